/* follow.h - `enqueue --wait`: follows jobs to their outcomes, and reports each. */
#ifndef FL_CLI_FOLLOW_H
#define FL_CLI_FOLLOW_H

#include "app/settings.h"
#include "cli/import_report.h"

enum { FL_FOLLOW_BLOCK_IDS = 512 };

/* The jobs to follow among FL_FOLLOW_BLOCK_IDS ids in a row: a bit each, since the ids of one program lie
 * close together, with those of others in between. */
struct fl_follow_block {
    int64_t number; /* its first id is number * FL_FOLLOW_BLOCK_IDS */
    uint64_t open[FL_FOLLOW_BLOCK_IDS / 64];
};

struct fl_follow {
    struct fl_follow_block *blocks; /* by number */
    size_t count, capacity;
    size_t open_count; /* jobs */
    size_t next;       /* where the next question goes on */
};

void fl_follow_release(struct fl_follow *follow);

/* Adds jobs. FL_NO_MEMORY. */
FL_CHECKED fl_status fl_follow_add(struct fl_follow *follow, const int64_t *job_ids, size_t count,
                                   struct fl_err *err);

/* Waits until none is open. Each outcome goes to the report: to be printed if it is no success, or with
 * --verbose or --json. Returns FL_OK with *interrupted after SIGINT or SIGTERM: the jobs that are left go on
 * without us. Postgres may be away for policy.patience_ms, then the error is returned. */
FL_CHECKED fl_status fl_follow_run(struct fl_follow *follow, const struct fl_settings *settings,
                                   struct fl_import_report *report, bool *interrupted, struct fl_err *err);

#endif
