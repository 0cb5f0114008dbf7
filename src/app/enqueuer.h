/* enqueuer.h - `fenceline enqueue`: any number of jobs into Postgres, for workers to run.
 *
 * It owns the event loop and the connections to Postgres; Redis is not needed. Jobs come one by one from a
 * callback and are written in chunks, some at a time on connections of their own. Memory is bounded by the
 * chunks, whatever the number of jobs. */
#ifndef FL_APP_ENQUEUER_H
#define FL_APP_ENQUEUER_H

#include "app/settings.h"
#include "base/arena.h"
#include "io/pg_store.h"

enum {
    FL_ENQUEUE_CHUNK_JOBS = 500,
    FL_ENQUEUE_CHUNK_BYTES = 2 * 1024 * 1024, /* of bodies */
};

enum fl_enqueue_next {
    FL_ENQUEUE_JOB,     /* *job is the next one */
    FL_ENQUEUE_SKIPPED, /* one that cannot be enqueued: ask again */
    FL_ENQUEUE_LATER,   /* none yet: ask again when wait_fd is readable */
    FL_ENQUEUE_END,
};

struct fl_enqueuer_calls {
    void *owner;
    /* The next job, which must be valid: one that Postgres refuses ends the whole run. What it points to
     * lives in arena, or until the end. It may read files, but should wait for nobody. */
    enum fl_enqueue_next (*next)(void *owner, struct fl_arena *arena, struct fl_submit_job *job);
    /* These jobs are durable. Valid during the call only. */
    void (*written)(void *owner, const struct fl_submit_job *jobs, const int64_t *job_ids, size_t count);
    int wait_fd; /* made non-blocking; -1 = next never answers FL_ENQUEUE_LATER for long */
};

struct fl_enqueuer_end {
    bool interrupted;   /* SIGINT or SIGTERM: no more jobs were taken */
    size_t not_written; /* jobs that were taken and are certainly not there */
    size_t unknown;     /* jobs that may be there: Postgres never answered */
};

/* Runs everything. Jobs for one document are written in their order, so that their ids rise. FL_OK when every
 * job that next() gave is written, or was counted in *end after an interrupt. Else *err says why no more jobs
 * could be written: FL_UNAVAILABLE, FL_USAGE (the schema), FL_FAILED. A second SIGINT ends the process at
 * once, with exit code 130. */
FL_CHECKED fl_status fl_enqueuer_run(const struct fl_settings *settings,
                                     const struct fl_enqueuer_calls *calls, struct fl_enqueuer_end *end,
                                     struct fl_err *err);

#endif
