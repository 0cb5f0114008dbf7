/* pg_listen.h - one connection to Postgres that only listens: NOTIFY wakes, nothing polls.
 *
 * It connects again by itself, for ever, half a second after each failure; what was missed meanwhile is for
 * whoever is told that it listens (again). */
#ifndef FL_IO_PG_LISTEN_H
#define FL_IO_PG_LISTEN_H

#include "io/pg.h"

struct fl_pg_listen {
    struct fl_pg pg;
    uv_timer_t again;
    void *owner;
    /* It listens now: look at everything, notices may have been missed. */
    void (*listening)(void *owner);
    void (*notified)(void *owner, const char *payload); /* borrowed */
    /* It does not listen any more, or could not begin to. err->code FL_USAGE: it never will. */
    void (*lost)(void *owner, const struct fl_err *err);
    bool is_listening;
};

/* Starts to connect. dsn and name (as in fl_pg_init) are borrowed. Fill owner and the three functions before.
 * The channel is fenceline_queue. */
void fl_pg_listen_open(struct fl_pg_listen *listen, uv_loop_t *loop, const char *dsn, const char *name,
                       int64_t timeout_ms);

/* Closes for good; run the loop once more before the memory goes. */
void fl_pg_listen_close(struct fl_pg_listen *listen);

#endif
