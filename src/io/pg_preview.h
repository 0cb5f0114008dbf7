/* pg_preview.h - what would become of an import, asked without writing anything (`import --dry-run`). */
#ifndef FL_IO_PG_PREVIEW_H
#define FL_IO_PG_PREVIEW_H

#include "fenceline/import.h"

struct fl_pg_sync;
struct fl_arena;

struct fl_pg_preview {
    enum fl_outcome outcome; /* imported, unchanged or rejected */
    struct fl_slice message; /* of a refusal; in the arena */
};

/* Judges the job against the document that is stored now, by the same rule as the commit (protocol, step 5b).
 */
FL_CHECKED fl_status fl_pg_preview(struct fl_pg_sync *pg, const struct fl_import_job *job,
                                   const struct fl_document *doc, struct fl_arena *arena,
                                   struct fl_pg_preview *preview, struct fl_err *err);

#endif
