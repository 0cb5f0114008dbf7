/* pg_queue_admin.h - jobs as operators see them, for `fenceline jobs` (the functions are those of
 * config/schema/004_jobs.sql).
 *
 * Answers are rows whose columns the enums name; they are the caller's to free. Times are ISO 8601 in UTC. */
#ifndef FL_IO_PG_QUEUE_ADMIN_H
#define FL_IO_PG_QUEUE_ADMIN_H

#include "fenceline/document.h"
#include "fenceline/err.h"
#include "fenceline/types.h"

struct fl_pg_sync;
struct fl_pg_rows;

/* Which jobs; NULL, FL_KIND_NONE, and older_than_ms < 0 = any. Borrowed. */
struct fl_job_filter {
    const char *outcome, *episode, *worker, *error;
    enum fl_kind kind;
    int64_t older_than_ms;
};

enum {
    FL_JOB_ID,
    FL_JOB_EPISODE,
    FL_JOB_KIND,
    FL_JOB_MODE,
    FL_JOB_IF_VERSION,
    FL_JOB_STATE, /* the outcome, or where an open job is */
    FL_JOB_PRIORITY,
    FL_JOB_ATTEMPTS,
    FL_JOB_WORKER,
    FL_JOB_VERSION,
    FL_JOB_ROWS,
    FL_JOB_MESSAGE,
    FL_JOB_LAST_ERROR,
    FL_JOB_SOURCE,
    FL_JOB_BODY_BYTES, /* null = no body */
    FL_JOB_CREATED_AT,
    FL_JOB_NOT_BEFORE,
    FL_JOB_DISPATCHED_AT,
    FL_JOB_STARTED_AT,
    FL_JOB_FINISHED_AT,
    FL_JOB_RANK,
    FL_JOB_RETRIED_BY,
    FL_JOB_DEATHS,
    FL_JOB_AGE_MS, /* since it was created */
    FL_JOB_TOKEN,  /* under which it was committed; null = decided without, or open */
};

/* At most limit of them, the newest first. */
FL_CHECKED fl_status fl_pg_jobs_list(struct fl_pg_sync *pg, const struct fl_job_filter *filter, int64_t limit,
                                     struct fl_pg_rows **rows, struct fl_err *err);

/* One job: one row, or none. */
FL_CHECKED fl_status fl_pg_jobs_get(struct fl_pg_sync *pg, int64_t job_id, struct fl_pg_rows **rows,
                                    struct fl_err *err);

/* The job, those it retries and those that retry it, in order; purged ones are missing. Columns as above. */
FL_CHECKED fl_status fl_pg_jobs_chain(struct fl_pg_sync *pg, int64_t job_id, struct fl_pg_rows **rows,
                                      struct fl_err *err);

enum { FL_ATTEMPT_NUMBER, FL_ATTEMPT_AT, FL_ATTEMPT_WORKER, FL_ATTEMPT_ERROR };

/* The attempts of a job that met an error, in order. */
FL_CHECKED fl_status fl_pg_jobs_attempts(struct fl_pg_sync *pg, int64_t job_id, struct fl_pg_rows **rows,
                                         struct fl_err *err);

enum { FL_JOB_PHASE, FL_JOB_PHASE_MS };

/* How long the job was in each phase, in order; null = not known. No rows for a job of which nothing is known
 * yet. */
FL_CHECKED fl_status fl_pg_jobs_phases(struct fl_pg_sync *pg, int64_t job_id, struct fl_pg_rows **rows,
                                       struct fl_err *err);

enum {
    FL_CLAIM_TOKEN,
    FL_CLAIM_HOLDER,
    FL_CLAIM_AT,
    FL_CLAIM_HELD_MS,
    FL_CLAIM_LOST_AT, /* of lost claims only, and the next: */
    FL_CLAIM_LOST_TO, /* token of the claim that came after */
};

/* The claim under which an open job holds its episode now: one row, or none (broken ones do not hold it). */
FL_CHECKED fl_status fl_pg_jobs_claim(struct fl_pg_sync *pg, int64_t job_id, struct fl_pg_rows **rows,
                                      struct fl_err *err);

/* The claims that the job lost to others, in order. */
FL_CHECKED fl_status fl_pg_jobs_lost_claims(struct fl_pg_sync *pg, int64_t job_id, struct fl_pg_rows **rows,
                                            struct fl_err *err);

/* Ids (one column) of matching jobs above `after`, at most limit, in order; not_retried: without those that
 * another job retries already. */
FL_CHECKED fl_status fl_pg_jobs_ids(struct fl_pg_sync *pg, const struct fl_job_filter *filter,
                                    bool not_retried, int64_t after, int64_t limit, struct fl_pg_rows **rows,
                                    struct fl_err *err);

/* How many of them there are. */
FL_CHECKED fl_status fl_pg_jobs_count(struct fl_pg_sync *pg, const struct fl_job_filter *filter,
                                      bool not_retried, int64_t *count, struct fl_err *err);

enum { FL_RETRY_OLD, FL_RETRY_NEW, FL_RETRY_PROBLEM };

/* ids is a Postgres array as text: "{1,2,3}". */
FL_CHECKED fl_status fl_pg_jobs_retry(struct fl_pg_sync *pg, const char *ids, bool as_new,
                                      struct fl_pg_rows **rows, struct fl_err *err);

enum { FL_CANCEL_ID, FL_CANCEL_PROBLEM };

/* reason may be NULL. */
FL_CHECKED fl_status fl_pg_jobs_cancel(struct fl_pg_sync *pg, const char *ids, const char *reason,
                                       struct fl_pg_rows **rows, struct fl_err *err);

/* How many decided jobs a purge would delete; deletes at most 10,000 of them. */
FL_CHECKED fl_status fl_pg_jobs_count_old(struct fl_pg_sync *pg, int64_t older_than_ms, const char *outcome,
                                          int64_t *count, struct fl_err *err);
FL_CHECKED fl_status fl_pg_jobs_purge(struct fl_pg_sync *pg, int64_t older_than_ms, const char *outcome,
                                      int64_t *purged, struct fl_err *err);

/* who and why may be NULL. *was: paused before. */
FL_CHECKED fl_status fl_pg_jobs_set_paused(struct fl_pg_sync *pg, bool pause, const char *who,
                                           const char *why, bool *was, struct fl_err *err);

#endif
