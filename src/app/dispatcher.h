/* dispatcher.h - one of the workers hands jobs from Postgres to Redis: those that are due, those that Redis
 * has lost, and those of dead workers (protocol, "Jobs").
 *
 * Who it is says the heartbeat. Two at once do no harm: Postgres hands each job to one of them, and Redis
 * takes each job once. None at all delays new jobs until the next heartbeat of any worker. */
#ifndef FL_APP_DISPATCHER_H
#define FL_APP_DISPATCHER_H

#include "app/settings.h"
#include "fenceline/ports.h"
#include "io/pg_queue.h"
#include "io/redis_queue.h"

struct fl_dispatcher {
    const struct fl_settings *settings;
    struct fl_clock_port *clock;
    struct fl_pg_store *store;
    struct fl_redis_queue *queue;
    bool is_active;
    bool is_busy;     /* a dispatch is under way: asking, or adding */
    bool is_looking;  /* for lost jobs: asking, checking, or adding */
    bool is_rescuing; /* from dead workers: taking over, telling Postgres */
    bool is_tidying;
    bool wanted;        /* jobs may be due: again when not busy */
    bool has_more;      /* as the last dispatch said */
    bool must_add;      /* jobs were marked and could not be added: with the next tick */
    int64_t look_at_ms; /* next search for lost jobs */
    int64_t tidy_at_ms;
    int64_t look_age_ms;
    struct fl_timer due; /* the next scheduled job */
    struct fl_queue_dispatch dispatch;
    struct fl_queue_dispatched dispatched;
    struct fl_queue_suspect suspect;
    struct fl_queue_tidy tidy;
    struct fl_queue_entry rescued[FL_SUSPECT_LIMIT];
    size_t rescued_count, rescued_left;
    bool lookup_adds;                /* the add in flight belongs to the search */
    uint64_t taken_over, found_lost; /* entries of dead workers; jobs that Redis had lost; so far */
};

/* Fill settings, clock, store and queue before; takes the queue's dispatch_events. */
void fl_dispatcher_init(struct fl_dispatcher *dispatcher);

/* What the heartbeat said. A new dispatcher looks at everything at once. */
void fl_dispatcher_set_active(struct fl_dispatcher *dispatcher, bool is_active);

/* Jobs may be due. */
void fl_dispatcher_wake(struct fl_dispatcher *dispatcher);

/* A stream has run low; Redis was empty; a heartbeat has passed. */
void fl_dispatcher_ran_low(struct fl_dispatcher *dispatcher);
void fl_dispatcher_redis_was_empty(struct fl_dispatcher *dispatcher);
void fl_dispatcher_tick(struct fl_dispatcher *dispatcher);

/* Is this entry (by its id) among those it has taken over? */
bool fl_dispatcher_holds(const struct fl_dispatcher *dispatcher, const struct fl_queue_entry *entry);

/* The entry is one of the dispatcher's (false = somebody else's), and was given back. */
bool fl_dispatcher_finished(struct fl_dispatcher *dispatcher, const struct fl_queue_entry *entry);

/* Nothing of it is in flight. */
bool fl_dispatcher_is_idle(const struct fl_dispatcher *dispatcher);

#endif
