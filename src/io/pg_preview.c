/* pg_preview.c - see pg_preview.h. The rule itself is fenceline.judge in config/schema. */
#include "io/pg_preview.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/slice.h"
#include "io/pg_sync.h"

static const char PREVIEW_SQL[] =
    "SELECT v.outcome, v.message, d.deleted IS FALSE AND encode(d.sha256, 'hex') = $5"
    "  FROM (SELECT jsonb_populate_record(NULL::fenceline.jobs, jsonb_build_object("
    "               'episode_id', $1::text, 'kind', $2::text, 'mode', $3::text, 'if_version', $4::bigint)) "
    "AS j) q"
    "  LEFT JOIN fenceline.documents d ON d.episode_id = $1 AND d.kind = $2"
    " CROSS JOIN LATERAL fenceline.judge(q.j, d) v";

fl_status fl_pg_preview(struct fl_pg_sync *pg, const struct fl_import_job *job, const struct fl_document *doc,
                        struct fl_arena *arena, struct fl_pg_preview *preview, struct fl_err *err)
{
    char if_version[24], sha256[2 * FL_SHA256_BYTES + 1];
    struct fl_slice episode = fl_arena_copy(arena, job->episode);
    struct fl_pg_rows *rows = NULL;
    snprintf(if_version, sizeof if_version, "%" PRId64, job->if_version);
    for (size_t i = 0; i < FL_SHA256_BYTES; i++)
        snprintf(sha256 + 2 * i, 3, "%02x", doc->sha256[i]);
    const char *params[] = {episode.ptr, fl_kind_name(job->kind), fl_mode_name(job->mode),
                            job->mode == FL_MODE_IF_VERSION ? if_version : NULL, sha256};
    if (!episode.ptr)
        return fl_err_set(err, FL_NO_MEMORY, "no memory for the episode id");
    fl_status status = fl_pg_sync_query(pg, PREVIEW_SQL, params, 5, &rows, err);
    if (status != FL_OK)
        return status;
    preview->outcome = fl_outcome_from_name(fl_pg_rows_text(rows, 0, 0));
    preview->message = fl_arena_copy(arena, fl_pg_rows_text(rows, 0, 1));
    if (preview->outcome == FL_OUTCOME_OPEN)
        preview->outcome = fl_pg_rows_bool(rows, 0, 2) ? FL_OUTCOME_UNCHANGED : FL_OUTCOME_IMPORTED;
    fl_pg_rows_free(rows);
    return FL_OK;
}
