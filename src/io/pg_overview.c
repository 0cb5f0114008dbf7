/* pg_overview.c - see pg_overview.h. Failure modes: those of fl_pg_sync_query. */
#include "io/pg_overview.h"

#include "io/pg_sync.h"

/* clang-format off */
static const char DEPTH_SQL[] =
    "SELECT waiting, scheduled, retrying, dispatched, running, oldest_due_ms, breaks, paused"
    "  FROM fenceline.queue_depth()";

/* The newest jobs by their number, which the primary key gives: no index on finished_at is worth its price to
 * every commit. */
static const char PAGE_SQL[] =
    "WITH newest AS MATERIALIZED ("
    "    SELECT job_id, outcome, greatest(created_at, not_before) AS due_at, started_at, finished_at, token, lease_ms,"
    "           claim_ms, load_ms"
    "      FROM fenceline.jobs ORDER BY job_id DESC LIMIT 50000),"
    " decided AS MATERIALIZED ("
    "    SELECT * FROM newest WHERE finished_at > now() - interval '1 hour'),"
    " minutes AS ("
    "    SELECT greatest(floor(extract(epoch FROM now() - finished_at) / 60), 0)::integer AS minute, outcome,"
    "           count(*) AS jobs"
    "      FROM decided GROUP BY 1, 2),"
    " phases AS ("
    "    SELECT p.place, min(p.phase) AS phase, count(p.ms) AS jobs, max(p.ms) AS longest,"
    "           percentile_disc(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY p.ms) AS percentiles"
    "      FROM (VALUES (1)) one"
    "      LEFT JOIN (SELECT * FROM decided ORDER BY job_id DESC LIMIT 5000) j ON true,"
    "           LATERAL fenceline.job_phases(due_at, started_at, finished_at, token, lease_ms, claim_ms, load_ms) p"
    "     GROUP BY 1),"
    " failures AS ("
    "    SELECT job_id, episode_id, kind, outcome, left(coalesce(message, last_error), 500) AS message, attempts,"
    "           fenceline.ms_between(finished_at, now()) AS age_ms"
    "      FROM (SELECT * FROM fenceline.jobs"
    "             WHERE coalesce(outcome, 'open') IN ('rejected', 'invalid', 'failed', 'cancelled')"
    "             ORDER BY job_id DESC LIMIT 1000) j"
    "     WHERE outcome IN ('invalid', 'failed') ORDER BY job_id DESC LIMIT 20)"
    " SELECT (SELECT coalesce(json_agg(minutes), '[]') FROM minutes),"
    "        (SELECT coalesce(json_agg(json_build_object('phase', phase, 'jobs', jobs, 'p50_ms', percentiles[1],"
    "                                                    'p99_ms', percentiles[2], 'max_ms', longest)"
    "                                  ORDER BY place), '[]') FROM phases),"
    "        (SELECT coalesce(json_agg(json_build_object('job', job_id, 'episode', episode_id, 'kind', kind,"
    "                                                    'outcome', outcome, 'message', message,"
    "                                                    'attempts', attempts, 'age_ms', age_ms)"
    "                                  ORDER BY job_id DESC), '[]') FROM failures)";
/* clang-format on */

fl_status fl_pg_overview_depth(struct fl_pg_sync *pg, struct fl_pg_rows **rows, struct fl_err *err)
{
    return fl_pg_sync_query(pg, DEPTH_SQL, NULL, 0, rows, err);
}

fl_status fl_pg_overview_page(struct fl_pg_sync *pg, struct fl_pg_rows **rows, struct fl_err *err)
{
    return fl_pg_sync_query(pg, PAGE_SQL, NULL, 0, rows, err);
}
