/* pg_overview.h - what the status page and the metrics of a worker ask Postgres, at a bounded cost: none of
 * it reads the whole table of jobs. (config/schema/004_jobs.sql: queue_depth.)
 *
 * Answers are rows, the caller's to free. Errors as in fl_pg_sync_query. */
#ifndef FL_IO_PG_OVERVIEW_H
#define FL_IO_PG_OVERVIEW_H

#include "fenceline/err.h"
#include "fenceline/types.h"

struct fl_pg_sync;
struct fl_pg_rows;

/* Open jobs by state, in the order of these columns. Any worker may ask. */
enum {
    FL_OVERVIEW_WAITING,
    FL_OVERVIEW_SCHEDULED,
    FL_OVERVIEW_RETRYING,
    FL_OVERVIEW_DISPATCHED,
    FL_OVERVIEW_RUNNING,
    FL_OVERVIEW_OLDEST_DUE_MS, /* of the open job that is due for the longest time; null = none is due */
    FL_OVERVIEW_BREAKS,        /* claims ever broken */
    FL_OVERVIEW_PAUSED,
};
FL_CHECKED fl_status fl_pg_overview_depth(struct fl_pg_sync *pg, struct fl_pg_rows **rows,
                                          struct fl_err *err);

/* One row with three JSON texts. They take the rights of fenceline_reader. */
enum {
    /* [{"minute" (0 = this one, up to 59 ago), "outcome", "jobs"}], of the newest 50,000 jobs */
    FL_OVERVIEW_MINUTES,
    /* [{"phase", "jobs", "p50_ms", "p99_ms", "max_ms"}], of those decided within the last hour among the
     * newest 5,000 jobs */
    FL_OVERVIEW_PHASES,
    /* The newest 20 that are invalid or failed: [{"job", "episode", "kind", "outcome", "message", "attempts",
     * "age_ms"}] */
    FL_OVERVIEW_FAILURES,
};
FL_CHECKED fl_status fl_pg_overview_page(struct fl_pg_sync *pg, struct fl_pg_rows **rows, struct fl_err *err);

#endif
