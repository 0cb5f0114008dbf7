/* pg_queue_admin.c - see pg_queue_admin.h. Failure modes: those of fl_pg_sync_query. */
#include "io/pg_queue_admin.h"

#include <inttypes.h>
#include <stdio.h>

#include "io/pg_sync.h"

/* clang-format off */
#define TIME_SQL(column) "to_char(" column " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
/* Both are on the clock of one server, but a row may be newer than the beginning of this transaction. */
#define SINCE_SQL(column) "coalesce(fenceline.ms_between(" column ", now()), 0)"
#define COLUMNS_SQL \
    "SELECT job_id, episode_id, kind, mode, if_version, fenceline.job_state(j)," \
    "       CASE priority WHEN -1 THEN 'high' WHEN 0 THEN 'normal' ELSE 'low' END, attempts, worker," \
    "       version, row_count, message, last_error, source, octet_length(body)," \
    "       " TIME_SQL("created_at") ", " TIME_SQL("not_before") ", " TIME_SQL("dispatched_at") "," \
    "       " TIME_SQL("started_at") ", " TIME_SQL("finished_at") "," \
    "       coalesce(rank, job_id), retried_by, deaths, " SINCE_SQL("created_at") ", token "

static const char ATTEMPTS_SQL[] =
    "SELECT attempt, " TIME_SQL("at") ", worker, error"
    "  FROM fenceline.job_attempts WHERE job_id = $1::bigint ORDER BY at, attempt";

static const char PHASES_SQL[] =
    "SELECT phase, ms"
    "  FROM fenceline.jobs j,"
    "       LATERAL fenceline.job_phases(greatest(created_at, not_before), started_at, finished_at, token,"
    "                                    lease_ms, claim_ms, load_ms)"
    " WHERE job_id = $1::bigint AND ms IS NOT NULL"
    " ORDER BY place";

static const char CLAIM_SQL[] =
    "SELECT fence, holder, " TIME_SQL("claimed_at") ", " SINCE_SQL("claimed_at")
    "  FROM fenceline.episodes e JOIN fenceline.jobs j USING (episode_id, job_id)"
    " WHERE j.job_id = $1::bigint AND outcome IS NULL AND holder IS NOT NULL";

static const char LOST_CLAIMS_SQL[] =
    "SELECT token, holder, " TIME_SQL("claimed_at") ", fenceline.ms_between(claimed_at, lost_at),"
    "       " TIME_SQL("lost_at") ", lost_to"
    "  FROM fenceline.lost_claims WHERE job_id = $1::bigint ORDER BY lost_id";
/* clang-format on */
#define MATCHING_SQL "FROM fenceline.jobs_matching($1, $2, $3, $4, $5, $6::bigint) j "

enum { NUMBER_BYTES = 24, FILTERS = 6, PURGE_BATCH = 10000 };

static const char *number(int64_t value, char text[NUMBER_BYTES])
{
    snprintf(text, NUMBER_BYTES, "%" PRId64, value);
    return text;
}

/* The first six parameters; age is their memory. */
static void bind_filter(const struct fl_job_filter *filter, char age[NUMBER_BYTES],
                        const char *params[FILTERS])
{
    params[0] = filter->outcome;
    params[1] = filter->episode;
    params[2] = filter->kind == FL_KIND_NONE ? NULL : fl_kind_name(filter->kind);
    params[3] = filter->worker;
    params[4] = filter->error;
    params[5] = filter->older_than_ms < 0 ? NULL : number(filter->older_than_ms, age);
}

static fl_status ask_one(struct fl_pg_sync *pg, const char *sql, const char *const *params, size_t count,
                         int64_t *value, struct fl_err *err)
{
    struct fl_pg_rows *rows;
    fl_status status = fl_pg_sync_query(pg, sql, params, count, &rows, err);
    if (status != FL_OK)
        return status;
    *value = fl_pg_rows_int64(rows, 0, 0);
    fl_pg_rows_free(rows);
    return FL_OK;
}

fl_status fl_pg_jobs_list(struct fl_pg_sync *pg, const struct fl_job_filter *filter, int64_t limit,
                          struct fl_pg_rows **rows, struct fl_err *err)
{
    char age[NUMBER_BYTES], most[NUMBER_BYTES];
    const char *params[FILTERS + 1];
    bind_filter(filter, age, params);
    params[FILTERS] = number(limit, most);
    return fl_pg_sync_query(pg, COLUMNS_SQL MATCHING_SQL "ORDER BY job_id DESC LIMIT $7::bigint", params,
                            FILTERS + 1, rows, err);
}

static fl_status ask_about(struct fl_pg_sync *pg, const char *sql, int64_t job_id, struct fl_pg_rows **rows,
                           struct fl_err *err)
{
    char id[NUMBER_BYTES];
    const char *params[] = {number(job_id, id)};
    return fl_pg_sync_query(pg, sql, params, 1, rows, err);
}

fl_status fl_pg_jobs_get(struct fl_pg_sync *pg, int64_t job_id, struct fl_pg_rows **rows, struct fl_err *err)
{
    return ask_about(pg, COLUMNS_SQL "FROM fenceline.jobs j WHERE job_id = $1::bigint", job_id, rows, err);
}

fl_status fl_pg_jobs_chain(struct fl_pg_sync *pg, int64_t job_id, struct fl_pg_rows **rows,
                           struct fl_err *err)
{
    return ask_about(pg, COLUMNS_SQL "FROM fenceline.retry_chain($1::bigint) j ORDER BY job_id", job_id, rows,
                     err);
}

fl_status fl_pg_jobs_attempts(struct fl_pg_sync *pg, int64_t job_id, struct fl_pg_rows **rows,
                              struct fl_err *err)
{
    return ask_about(pg, ATTEMPTS_SQL, job_id, rows, err);
}

fl_status fl_pg_jobs_phases(struct fl_pg_sync *pg, int64_t job_id, struct fl_pg_rows **rows,
                            struct fl_err *err)
{
    return ask_about(pg, PHASES_SQL, job_id, rows, err);
}

fl_status fl_pg_jobs_claim(struct fl_pg_sync *pg, int64_t job_id, struct fl_pg_rows **rows,
                           struct fl_err *err)
{
    return ask_about(pg, CLAIM_SQL, job_id, rows, err);
}

fl_status fl_pg_jobs_lost_claims(struct fl_pg_sync *pg, int64_t job_id, struct fl_pg_rows **rows,
                                 struct fl_err *err)
{
    return ask_about(pg, LOST_CLAIMS_SQL, job_id, rows, err);
}

fl_status fl_pg_jobs_ids(struct fl_pg_sync *pg, const struct fl_job_filter *filter, bool not_retried,
                         int64_t after, int64_t limit, struct fl_pg_rows **rows, struct fl_err *err)
{
    char age[NUMBER_BYTES], from[NUMBER_BYTES], most[NUMBER_BYTES];
    const char *params[FILTERS + 3];
    bind_filter(filter, age, params);
    params[FILTERS] = not_retried ? "t" : "f";
    params[FILTERS + 1] = number(after, from);
    params[FILTERS + 2] = number(limit, most);
    return fl_pg_sync_query(pg,
                            "SELECT job_id " MATCHING_SQL
                            "WHERE NOT ($7::boolean AND retried_by IS NOT NULL) AND job_id > $8::bigint"
                            " ORDER BY job_id LIMIT $9::bigint",
                            params, FILTERS + 3, rows, err);
}

fl_status fl_pg_jobs_count(struct fl_pg_sync *pg, const struct fl_job_filter *filter, bool not_retried,
                           int64_t *count, struct fl_err *err)
{
    char age[NUMBER_BYTES];
    const char *params[FILTERS + 1];
    bind_filter(filter, age, params);
    params[FILTERS] = not_retried ? "t" : "f";
    return ask_one(pg, "SELECT count(*) " MATCHING_SQL "WHERE NOT ($7::boolean AND retried_by IS NOT NULL)",
                   params, FILTERS + 1, count, err);
}

fl_status fl_pg_jobs_retry(struct fl_pg_sync *pg, const char *ids, bool as_new, struct fl_pg_rows **rows,
                           struct fl_err *err)
{
    const char *params[] = {ids, as_new ? "t" : "f"};
    return fl_pg_sync_query(
        pg, "SELECT old_id, new_id, problem FROM fenceline.retry_jobs($1::bigint[], $2::boolean)", params, 2,
        rows, err);
}

fl_status fl_pg_jobs_cancel(struct fl_pg_sync *pg, const char *ids, const char *reason,
                            struct fl_pg_rows **rows, struct fl_err *err)
{
    const char *params[] = {ids, reason};
    return fl_pg_sync_query(pg, "SELECT id, problem FROM fenceline.cancel_jobs($1::bigint[], $2)", params, 2,
                            rows, err);
}

fl_status fl_pg_jobs_count_old(struct fl_pg_sync *pg, int64_t older_than_ms, const char *outcome,
                               int64_t *count, struct fl_err *err)
{
    char age[NUMBER_BYTES];
    const char *params[] = {number(older_than_ms, age), outcome};
    return ask_one(pg,
                   "SELECT count(*) FROM fenceline.jobs"
                   " WHERE finished_at <= now() - $1::bigint * interval '1 millisecond'"
                   "   AND ($2::text IS NULL OR outcome = $2)",
                   params, 2, count, err);
}

fl_status fl_pg_jobs_purge(struct fl_pg_sync *pg, int64_t older_than_ms, const char *outcome, int64_t *purged,
                           struct fl_err *err)
{
    char age[NUMBER_BYTES], most[NUMBER_BYTES];
    const char *params[] = {number(older_than_ms, age), outcome, number(PURGE_BATCH, most)};
    return ask_one(pg, "SELECT fenceline.purge_jobs($1::bigint, $2, $3::integer)", params, 3, purged, err);
}

fl_status fl_pg_jobs_set_paused(struct fl_pg_sync *pg, bool pause, const char *who, const char *why,
                                bool *was, struct fl_err *err)
{
    const char *params[] = {pause ? "t" : "f", who, why};
    struct fl_pg_rows *rows;
    fl_status status =
        fl_pg_sync_query(pg, "SELECT fenceline.set_paused($1::boolean, $2, $3)", params, 3, &rows, err);
    if (status != FL_OK)
        return status;
    *was = fl_pg_rows_bool(rows, 0, 0);
    fl_pg_rows_free(rows);
    return FL_OK;
}
