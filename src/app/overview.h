/* overview.h - what a worker's page and metrics tell of the whole: workers, leases, queue, outcomes; read
 * from both servers in a thread of the pool, by connections of its own, so that the loop and the imports
 * never wait for it.
 *
 * It costs the same for one viewer and for a hundred: each answer is kept for a while, and for ten times as
 * long as it took to get. Nobody asks: nothing is read, and the connections are closed. */
#ifndef FL_APP_OVERVIEW_H
#define FL_APP_OVERVIEW_H

#include "app/settings.h"
#include "fenceline/ports.h"

struct fl_pg_sync;
struct fl_redis_sync;

/* The queue, of all workers. */
struct fl_overview_depth {
    int64_t waiting, scheduled, retrying, dispatched, running;
    int64_t oldest_due_ms; /* 0 = none is due */
    int64_t breaks;
};

/* One kind of answer, and when it is due again. */
struct fl_overview_part {
    int64_t wanted_ms; /* last asked for; FL_NEVER_MS = never */
    int64_t made_ms;   /* FL_NEVER_MS = not yet */
    int64_t cost_ms;   /* that took */
    bool is_asked;     /* by the reading under way */
};

struct fl_overview {
    struct fl_pool_port *pool;
    struct fl_clock_port *clock;
    const struct fl_settings *settings;
    const char *worker; /* id of the worker that tells */
    void *owner;
    void (*changed)(void *owner); /* there is a new answer */
    /* Its own. */
    struct fl_work work;
    bool is_busy, is_closed;
    struct fl_overview_part page, depth;
    struct fl_timer idle;    /* then the connections are closed */
    struct fl_settings used; /* by the thread */
    struct fl_pg_sync *pg;   /* the thread's while busy; NULL = closed */
    struct fl_redis_sync *redis;
    char *text; /* the page's JSON; the thread writes next */
    size_t text_bytes;
    char *next;
    size_t next_bytes;
    bool has_depth, has_next_depth;
    struct fl_overview_depth numbers, next_numbers;
};

/* Fill pool, clock, settings, worker, owner and changed before. Reads nothing yet. */
void fl_overview_init(struct fl_overview *overview);

/* One JSON object for the page (docs/METRICS.md has its members). Absent: it is being read, and changed()
 * follows. */
struct fl_slice fl_overview_page(struct fl_overview *overview);

/* The queue, at most some 15 s old while it is asked for more often than once a minute. False: not known. */
bool fl_overview_depth(struct fl_overview *overview, struct fl_overview_depth *depth);

/* Nothing is called any more. Run the loop until it is empty, then fl_overview_free. */
void fl_overview_close(struct fl_overview *overview);
void fl_overview_free(struct fl_overview *overview);

#endif
