/* runs.h - the jobs that a worker has in its hands, from the entry in Redis to its acknowledgement.
 *
 *     taken -> beginning -> running -> finishing
 *                  |        ^     |
 *                  v        |     v
 *                held     parked, resumable          postponing -> finishing
 *
 * taken: entries whose job is not read yet. beginning: being read and marked in Postgres. held: suspects,
 * with which a worker has died before: one at a time. parked: waits for another holder's lease, without a
 * slot. resumable: may go on as soon as a slot is free. postponing: its attempt ended without an outcome, and
 * Postgres is being told. finishing: its entry is being acknowledged. */
#ifndef FL_APP_RUNS_H
#define FL_APP_RUNS_H

#include "app/drive.h"
#include "app/settings.h"
#include "io/pg_queue.h"
#include "io/redis_queue.h"

enum fl_run_place {
    FL_RUN_TAKEN,
    FL_RUN_BEGINNING,
    FL_RUN_HELD,
    FL_RUN_RUNNING,
    FL_RUN_PARKED,
    FL_RUN_RESUMABLE,
    FL_RUN_POSTPONING,
    FL_RUN_TO_POSTPONE, /* Postgres could not be told: once more, later */
    FL_RUN_FINISHING,
    FL_RUN_PLACES
};

struct fl_run {
    struct fl_queue_entry entry;
    struct fl_link link;
    struct fl_runs *runs;
    enum fl_run_place place;
    bool is_begun, is_suspect; /* known to be open; the one suspect that runs */
    bool overflow;             /* parked, and to be handed back */
    bool is_stopping;          /* told to stop */
    int64_t attempts, deaths;
    int64_t waited_ms; /* until it was begun */
    char *text;        /* memory of episode, source and body */
    struct fl_source source;
    struct fl_import_job job;
    struct fl_drive drive;
    struct fl_queue_postpone postpone;
};

/* How a run ended, for the log. Valid during the call. */
struct fl_run_end {
    int64_t job_id;
    struct fl_slice episode;
    enum fl_kind kind;
    enum fl_outcome outcome; /* FL_OUTCOME_OPEN: it will be tried again */
    const char *message;     /* "" = the outcome says it all */
    int64_t waited_ms;       /* from the moment it was due until this attempt began */
    int64_t elapsed_ms;      /* since then */
    uint32_t late_answers;   /* that were dropped */
};

struct fl_runs {
    const struct fl_settings *settings; /* may change while jobs run */
    struct fl_import_policy policy;     /* of all jobs: as in the settings, but for a queue */
    struct fl_drive_ports ports;
    struct fl_pg_store *store;
    struct fl_redis_queue *queue;
    struct fl_slice worker; /* for jobs.worker */
    struct fl_link places[FL_RUN_PLACES];
    size_t counts[FL_RUN_PLACES];
    struct fl_queue_begin begin;
    struct fl_queue_begin_suspect begin_suspect;
    struct fl_run *suspect; /* that is beginning or running; NULL = none */
    bool is_beginning;
    bool is_draining;
    bool is_stopping;  /* the worker's: running ones have been told to stop */
    uint32_t failures; /* of Postgres in a row */
    bool is_blocked;   /* Postgres failed: nothing new until the timer has fired */
    struct fl_timer timer;
    uint64_t parks, wakeups; /* so far */
    void *owner;
    void (*ended)(void *owner, const struct fl_run_end *end);
    /* Postgres cannot be used now; code FL_USAGE: it never will be by this binary. */
    void (*trouble)(void *owner, const struct fl_err *err);
};

/* Fill settings, ports (without parked, unpark and owner), store, queue, worker, owner, ended and trouble
 * before. */
void fl_runs_init(struct fl_runs *runs);

/* The settings have changed. */
void fl_runs_apply_settings(struct fl_runs *runs);

/* How many more entries it would take now. */
size_t fl_runs_want(const struct fl_runs *runs);

/* Takes entries over (copied). Without memory for one, its entry is given back. */
void fl_runs_take(struct fl_runs *runs, const struct fl_queue_entry *entries, size_t count);

/* Is this entry (by its id) in its hands? */
bool fl_runs_holds(const struct fl_runs *runs, const struct fl_queue_entry *entry);

/* Does what can be done now; once a turn of the loop. */
void fl_runs_pump(struct fl_runs *runs);

/* Nothing new any more. What does not run goes back at once; running ones finish, or are stopped too. */
void fl_runs_drain(struct fl_runs *runs, bool running_too);

void fl_runs_cancel(struct fl_runs *runs,
                    int64_t job_id); /* it has been decided elsewhere, or is unknown here */
void fl_runs_woken(struct fl_runs *runs, int64_t job_id); /* the lease that it waits for is free */

/* The entry's acknowledgement has arrived: its run is over. */
void fl_runs_finished(struct fl_runs *runs, struct fl_queue_entry *entry);

size_t fl_runs_count(const struct fl_runs *runs); /* all of them */
/* At most limit ids of begun jobs; returns how many. */
size_t fl_runs_list(const struct fl_runs *runs, int64_t *job_ids, size_t limit);

/* The imports that run now; borrowed until the loop turns. Returns how many. */
size_t fl_runs_drives(const struct fl_runs *runs, const struct fl_drive **drives, size_t limit);

/* Frees all; nothing may be in flight any more. */
void fl_runs_release(struct fl_runs *runs);

#endif
