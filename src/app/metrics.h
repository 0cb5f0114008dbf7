/* metrics.h - what a worker counts about itself, and how Prometheus reads it (docs/METRICS.md has each).
 *
 * Counting is one addition into a struct that the worker owns. What is a gauge is asked for when somebody
 * reads. */
#ifndef FL_APP_METRICS_H
#define FL_APP_METRICS_H

#include <stdio.h>

#include "app/runs.h"
#include "fenceline/import.h"

enum { FL_METRICS_OUTCOMES = FL_OUTCOME_CANCELLED, FL_METRICS_KINDS = 2, FL_METRICS_BUCKETS = 15 };

/* Steps whose reply can be lost. */
enum fl_metrics_step {
    FL_STEP_READ,
    FL_STEP_ENSURE,
    FL_STEP_LEASE,
    FL_STEP_LEASE_CHECK,
    FL_STEP_CLAIM,
    FL_STEP_CLAIM_CHECK,
    FL_STEP_COMMIT,
    FL_STEP_RESOLVE,
    FL_STEP_DECIDE,
    FL_STEP_RELEASE,
    FL_STEP_RENEW,
    FL_STEP_COUNT
};

/* What has a lost reply that is looked up, and what that found. */
enum fl_metrics_resolved { FL_RESOLVE_LEASE, FL_RESOLVE_CLAIM, FL_RESOLVE_COMMIT, FL_RESOLVE_COUNT };
enum fl_metrics_result { FL_RESULT_DONE, FL_RESULT_UNDONE, FL_RESULT_UNKNOWN, FL_RESULT_COUNT };

enum fl_metrics_redelivery {
    FL_REDELIVERY_DEAD_WORKER, /* taken over */
    FL_REDELIVERY_LOST_REPLY,  /* handed out to this worker, which had not heard of it */
    FL_REDELIVERY_LOST_ENTRY,  /* Redis had lost it: added again */
    FL_REDELIVERY_COUNT
};

enum fl_metrics_phase {
    FL_PHASE_WAIT,
    FL_PHASE_LEASE,
    FL_PHASE_CLAIM,
    FL_PHASE_LOAD,
    FL_PHASE_COMMIT,
    FL_PHASE_COUNT
};

/* Each time is in the first bucket that holds it, or only in count and sum. */
struct fl_histogram {
    uint64_t buckets[FL_METRICS_BUCKETS];
    uint64_t count, sum_ms;
};

struct fl_metrics {
    uint64_t jobs[FL_METRICS_KINDS][FL_METRICS_OUTCOMES];
    uint64_t retries[FL_METRICS_KINDS];
    uint64_t stale_commits, claims_lost, leases_lost, leases_busy, late_answers;
    uint64_t lost_replies[FL_STEP_COUNT];
    uint64_t resolved[FL_RESOLVE_COUNT][FL_RESULT_COUNT];
    struct fl_histogram phases[FL_PHASE_COUNT];
    struct fl_histogram jobs_ms[FL_METRICS_KINDS];
};

enum { FL_METRICS_STATES = 5, FL_METRICS_CHECKS = 4, FL_METRICS_SERVERS = 3 };

/* What is true now; NAN = not known. */
struct fl_metrics_now {
    double slots, in_hand[FL_RUN_PLACES];
    double ready[FL_METRICS_CHECKS]; /* redis, postgres, schema, running */
    double paused, dispatcher;
    double queue_jobs[FL_METRICS_STATES]; /* waiting, scheduled, retrying, dispatched, running */
    double oldest_due_s, lock_breaks;
    double stream_entries[FL_PRIORITY_COUNT]; /* high first */
    double parks, wakeups, redeliveries[FL_REDELIVERY_COUNT];
    double connections[FL_METRICS_SERVERS]; /* postgres, redis, http */
    double loop_lag_s, loop_busy_s;
    double http_requests, http_cut_off;
    double memory_bytes, cpu_s, started_s, max_fds;
};

/* An event of an import has been dealt with (drive.h). */
void fl_metrics_seen(struct fl_metrics *metrics, const struct fl_import *import,
                     const struct fl_event *event);

/* An attempt has ended, with an outcome or to be tried again. */
void fl_metrics_ended(struct fl_metrics *metrics, const struct fl_run_end *end);

/* Puts a time into a histogram; a negative one is 0. */
void fl_histogram_add(struct fl_histogram *histogram, int64_t elapsed_ms);

/* Sets all of *now to NAN. */
void fl_metrics_now_init(struct fl_metrics_now *now);

/* Memory, processor time and descriptors of this process, from /proc; what cannot be read stays NAN. */
void fl_metrics_now_process(struct fl_metrics_now *now);

/* Writes all in Prometheus' text format, version 0.0.4. Errors of the stream stay in the stream. */
void fl_metrics_write(FILE *out, const struct fl_metrics *metrics, const struct fl_metrics_now *now);

#endif
