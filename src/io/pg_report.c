/* pg_report.c - read-only SQL. Failure modes are those of fl_pg_sync_query. */
#include "io/pg_report.h"

#include "io/pg_sync.h"

#define ISO_TIME(column) "to_char(" column " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"

/* clang-format off */
static const char DOCUMENTS_SQL[] =
    "SELECT kind, version, job_id, row_count, encode(sha256, 'hex'), format, source,"
    "       " ISO_TIME("imported_at") ", warnings,"
    "       CASE jsonb_typeof(warnings) WHEN 'array' THEN jsonb_array_length(warnings) ELSE 0 END"
    "  FROM fenceline.documents"
    " WHERE episode_id = $1 AND NOT deleted AND ($2::text IS NULL OR kind = $2)"
    " ORDER BY kind";

static const char *const ROWS_SQL[] = {
    [FL_CHAPTERS] =
        "SELECT order_index, start_ms, end_ms, title, url, img, toc, location"
        "  FROM fenceline.chapters WHERE episode_id = $1 ORDER BY order_index",
    [FL_TRANSCRIPT] =
        "SELECT order_index, start_ms, end_ms, speaker, body"
        "  FROM fenceline.transcript_segments WHERE episode_id = $1 ORDER BY order_index",
};

/* The first SELECT names the columns for all. Claims that ended with a decision are told by the job's token. The claim
 * that overtook another is noted just before that: but what was lost is told first. */
static const char HISTORY_SQL[] =
    "WITH jobs AS MATERIALIZED (SELECT * FROM fenceline.jobs WHERE episode_id = $1),"
    "     retried AS (SELECT retried_by AS job_id, min(job_id) AS retries FROM jobs"
    "                  WHERE retried_by IS NOT NULL GROUP BY retried_by)"
    "SELECT event, " ISO_TIME("at") ", job_id, kind, mode, if_version, outcome, version, row_count, who,"
    "       message, source, attempts, " ISO_TIME("created_at") ", " ISO_TIME("claimed_at") ","
    "       token, retries, retried_by,"
    "       CASE WHEN outcome IN ('imported', 'unchanged', 'deleted') THEN concat(outcome, ' v' || version)"
    "            ELSE outcome END,"
    "       nullif(concat_ws('; ', message, 'retries job ' || retries, 'retried by job ' || retried_by), '')"
    "  FROM (SELECT 'job' AS event, coalesce(finished_at, created_at) AS at, job_id, kind, mode, if_version,"
    "               coalesce(outcome, 'open') AS outcome, version, row_count, worker AS who,"
    "               coalesce(message, last_error) AS message, source, attempts, created_at,"
    "               NULL::timestamptz AS claimed_at, token, retries, retried_by, 5 AS step, job_id AS place"
    "          FROM jobs LEFT JOIN retried USING (job_id)"
    "         UNION ALL"
    "        SELECT 'attempt', at, job_id, kind, NULL, NULL, 'attempt failed', NULL, NULL, a.worker,"
    "               error, NULL, attempt, NULL, NULL, NULL, NULL, NULL, 1, attempt"
    "          FROM jobs JOIN fenceline.job_attempts a USING (job_id)"
    "         UNION ALL"
    "        SELECT 'claim', e.claimed_at, job_id, kind, NULL, NULL, 'claimed', NULL, NULL, e.holder,"
    "               'token ' || fence, NULL, NULL, NULL, e.claimed_at, fence, NULL, NULL, 4, fence"
    "          FROM jobs JOIN fenceline.episodes e USING (episode_id, job_id)"
    "         WHERE outcome IS NULL AND holder IS NOT NULL"
    "         UNION ALL"
    "        SELECT 'lost claim', lost_at, job_id, kind, NULL, NULL, 'claim lost', NULL, NULL, holder,"
    "               format('token %s, lost to %s', l.token, lost_to), NULL, NULL, NULL,"
    "               claimed_at, l.token, NULL, NULL, 3, lost_id"
    "          FROM fenceline.lost_claims l JOIN jobs USING (episode_id, job_id)"
    "         UNION ALL"
    "        SELECT 'break', broken_at, NULL, NULL, NULL, NULL, 'lock broken', NULL, NULL, broken_by,"
    "               concat_ws('; ', reason, 'held by ' || seen_holder,"
    "                         'fence ' || seen_fence || ' raised to ' || new_fence),"
    "               NULL, NULL, broken_at, NULL, NULL, NULL, NULL, 2, break_id"
    "          FROM fenceline.lock_breaks WHERE episode_id = $1) AS events"
    " ORDER BY CASE WHEN event = 'claim'"
    "               THEN coalesce((SELECT max(lost_at) FROM fenceline.lost_claims"
    "                               WHERE episode_id = $1 AND lost_to = events.token), events.at)"
    "               ELSE events.at END, step, place";
/* clang-format on */

fl_status fl_pg_report_begin(struct fl_pg_sync *pg, struct fl_err *err)
{
    return fl_pg_sync_script(pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err);
}

fl_status fl_pg_report_documents(struct fl_pg_sync *pg, const char *episode, enum fl_kind kind,
                                 struct fl_pg_rows **rows, struct fl_err *err)
{
    const char *params[] = {episode, kind == FL_KIND_NONE ? NULL : fl_kind_name(kind)};
    return fl_pg_sync_query(pg, DOCUMENTS_SQL, params, 2, rows, err);
}

fl_status fl_pg_report_rows(struct fl_pg_sync *pg, const char *episode, enum fl_kind kind,
                            struct fl_pg_rows **rows, struct fl_err *err)
{
    return fl_pg_sync_query(pg, ROWS_SQL[kind], &episode, 1, rows, err);
}

fl_status fl_pg_report_history(struct fl_pg_sync *pg, const char *episode, struct fl_pg_rows **rows,
                               struct fl_err *err)
{
    return fl_pg_sync_query(pg, HISTORY_SQL, &episode, 1, rows, err);
}
