/* pg_job_stats.c - see pg_job_stats.h. Failure modes: those of fl_pg_sync_query. */
#include "io/pg_job_stats.h"

#include "io/pg_sync.h"

/* clang-format off */
static const char OUTCOMES_SQL[] =
    "SELECT o.outcome, coalesce(jobs, 0), coalesce(hour, 0), coalesce(minute, 0), coalesce(not_retried, 0)"
    "  FROM unnest(ARRAY['imported', 'unchanged', 'deleted', 'rejected', 'superseded', 'invalid', 'failed',"
    "                    'cancelled']) WITH ORDINALITY o (outcome, place)"
    "  LEFT JOIN (SELECT outcome, count(*) AS jobs,"
    "                    count(*) FILTER (WHERE finished_at > now() - interval '1 hour') AS hour,"
    "                    count(*) FILTER (WHERE finished_at > now() - interval '1 minute') AS minute,"
    "                    count(*) FILTER (WHERE retried_by IS NULL) AS not_retried"
    "               FROM fenceline.jobs GROUP BY outcome) counted ON counted.outcome = o.outcome"
    " ORDER BY place";

static const char OPEN_SQL[] =
    "SELECT s.state, coalesce(jobs, 0)"
    "  FROM unnest(ARRAY['waiting', 'scheduled', 'to be tried again', 'dispatched', 'running'])"
    "       WITH ORDINALITY s (state, place)"
    "  LEFT JOIN (SELECT fenceline.job_state(j) AS state, count(*) AS jobs"
    "               FROM fenceline.jobs j WHERE coalesce(outcome, 'open') = 'open' GROUP BY 1) counted"
    "       ON counted.state = s.state"
    " ORDER BY place";

static const char QUEUE_SQL[] =
    "SELECT paused, job_id, fenceline.ms_between(due_at, now())"
    "  FROM fenceline.queue_control"
    "  LEFT JOIN (SELECT job_id, greatest(created_at, not_before) AS due_at"
    "               FROM fenceline.jobs"
    "              WHERE coalesce(outcome, 'open') = 'open' AND greatest(created_at, not_before) <= now()"
    "              ORDER BY due_at, job_id LIMIT 1) oldest ON true";

/* The limit, and the few columns, bound what has to be sorted: it stays in memory. */
static const char PHASES_SQL[] =
    "SELECT phase, jobs, percentiles[1], percentiles[2], longest"
    "  FROM (SELECT p.place, min(p.phase) AS phase, count(p.ms) AS jobs, max(p.ms) AS longest,"
    "               percentile_disc(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY p.ms) AS percentiles"
    "          FROM (VALUES (1)) one"
    "          LEFT JOIN (SELECT greatest(created_at, not_before) AS due_at, started_at, finished_at, token,"
    "                            lease_ms, claim_ms, load_ms"
    "                       FROM fenceline.jobs WHERE finished_at > now() - interval '1 hour'"
    "                      ORDER BY finished_at DESC LIMIT 20000) j ON true,"
    "               LATERAL fenceline.job_phases(due_at, started_at, finished_at, token, lease_ms, claim_ms,"
    "                                            load_ms) p"
    "         GROUP BY 1) phases"
    " ORDER BY place";
/* clang-format on */

fl_status fl_pg_job_stats_outcomes(struct fl_pg_sync *pg, struct fl_pg_rows **rows, struct fl_err *err)
{
    return fl_pg_sync_query(pg, OUTCOMES_SQL, NULL, 0, rows, err);
}

fl_status fl_pg_job_stats_open(struct fl_pg_sync *pg, struct fl_pg_rows **rows, struct fl_err *err)
{
    return fl_pg_sync_query(pg, OPEN_SQL, NULL, 0, rows, err);
}

fl_status fl_pg_job_stats_queue(struct fl_pg_sync *pg, struct fl_pg_rows **rows, struct fl_err *err)
{
    return fl_pg_sync_query(pg, QUEUE_SQL, NULL, 0, rows, err);
}

fl_status fl_pg_job_stats_phases(struct fl_pg_sync *pg, struct fl_pg_rows **rows, struct fl_err *err)
{
    return fl_pg_sync_query(pg, PHASES_SQL, NULL, 0, rows, err);
}
