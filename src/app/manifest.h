/* manifest.h - one line of a manifest to one job: {"episode": "ep39", "source": "in/ep39.chapters.json"}. */
#ifndef FL_APP_MANIFEST_H
#define FL_APP_MANIFEST_H

#include "io/pg_store.h"

struct fl_arena;

enum {
    FL_MANIFEST_SOURCE_BYTES = 4095,
    FL_MANIFEST_SPARE_BYTES = 64 * 1024, /* of a line, beside its body */
    FL_MANIFEST_ESCAPE_BYTES = 6,        /* at most, of one byte of a body: \u0001 */
};

/* Longest line that can be right when a body has at most inline_bytes. */
size_t fl_manifest_line_bytes(size_t inline_bytes);

/* Reads one line, which is one flat JSON object with the keys episode, kind, source, body, mode, if_version,
 * format, priority, not_before, strict, repair; a null counts as not given. What is not given comes from
 * *defaults (its if_version counts if its mode is FL_MODE_IF_VERSION), or from the name of the source. Texts
 * are copied into arena. FL_INVALID says what is wrong and what would be right, without file and line; memory
 * stays in proportion to the line. FL_NO_MEMORY. */
FL_CHECKED fl_status fl_manifest_parse(struct fl_slice line, const struct fl_submit_job *defaults,
                                       size_t inline_bytes, struct fl_arena *arena, struct fl_submit_job *job,
                                       struct fl_err *err);

/* A source as workers can open it: relative, straight down from source.root, valid UTF-8. */
FL_CHECKED fl_status fl_manifest_check_source(struct fl_slice source, struct fl_err *err);

#endif
