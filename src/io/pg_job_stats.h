/* pg_job_stats.h - the queue in numbers, for `fenceline jobs stats`.
 *
 * Answers are rows whose columns the enums name; they are the caller's to free. Asked in one transaction
 * (fl_pg_report_begin), all speak of one moment. Each reads the table of jobs at most once, so a million rows
 * take a second or two and harm nobody. */
#ifndef FL_IO_PG_JOB_STATS_H
#define FL_IO_PG_JOB_STATS_H

#include "fenceline/err.h"
#include "fenceline/types.h"

struct fl_pg_sync;
struct fl_pg_rows;

enum {
    FL_STATS_OUTCOME,
    FL_STATS_OUTCOME_JOBS,
    FL_STATS_OUTCOME_HOUR,        /* decided within the last hour */
    FL_STATS_OUTCOME_MINUTE,      /* and minute */
    FL_STATS_OUTCOME_NOT_RETRIED, /* of the jobs, those that no other job retries */
};

/* One row for each outcome that there can be, in a fixed order. */
FL_CHECKED fl_status fl_pg_job_stats_outcomes(struct fl_pg_sync *pg, struct fl_pg_rows **rows,
                                              struct fl_err *err);

enum { FL_STATS_STATE, FL_STATS_STATE_JOBS };

/* One row for each state that an open job can be in, in a fixed order. */
FL_CHECKED fl_status fl_pg_job_stats_open(struct fl_pg_sync *pg, struct fl_pg_rows **rows,
                                          struct fl_err *err);

enum { FL_STATS_QUEUE_PAUSED, FL_STATS_QUEUE_OLDEST_JOB, FL_STATS_QUEUE_OLDEST_DUE_MS };

/* One row: whether workers are paused, and which open job is due for the longest time (null = none is due).
 */
FL_CHECKED fl_status fl_pg_job_stats_queue(struct fl_pg_sync *pg, struct fl_pg_rows **rows,
                                           struct fl_err *err);

enum {
    FL_STATS_PHASE,
    FL_STATS_PHASE_JOBS, /* of which it is known */
    FL_STATS_PHASE_P50_MS,
    FL_STATS_PHASE_P99_MS,
    FL_STATS_PHASE_MAX_MS,
};

/* One row for each phase, in order, over the jobs decided within the last hour (the newest 20,000 of them).
 */
FL_CHECKED fl_status fl_pg_job_stats_phases(struct fl_pg_sync *pg, struct fl_pg_rows **rows,
                                            struct fl_err *err);

#endif
