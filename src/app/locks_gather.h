/* locks_gather.h - one reading of all locks while it is made: for locks.c and locks_zombies.c alone. */
#ifndef FL_APP_LOCKS_GATHER_H
#define FL_APP_LOCKS_GATHER_H

#include "app/locks.h"

struct fl_gather {
    struct fl_locks *locks;
    struct fl_redis_sync *redis; /* NULL = it does not answer */
    struct fl_pg_sync *pg;
    struct fl_arena *arena;
    struct fl_lock_limits limits;
    int64_t settle_ms; /* what the registry says may be so old */
    struct fl_err *err;
};

/* Zeroed, in the arena. Without memory NULL, and *status becomes FL_NO_MEMORY if it was FL_OK. */
void *fl_gather_allocate(struct fl_gather *gather, size_t count, size_t size, fl_status *status);

/* Redis does not answer any more, for this reason: what Postgres knows is still worth showing. */
void fl_gather_lose_redis(struct fl_gather *gather, const struct fl_err *err);

/* Has this holder any connection to Postgres? */
bool fl_gather_has_session(const struct fl_locks *locks, struct fl_slice holder);

/* The session that works for this lock now, by what its process says; or NULL. */
const struct fl_pg_session *fl_gather_session_of(const struct fl_locks *locks, const struct fl_lock *lock);

/* Adds a row for each holder that was overtaken and has not noticed; of this episode, if it is present.
 * Errors are those of Postgres, and FL_NO_MEMORY. */
FL_CHECKED fl_status fl_gather_zombies(struct fl_gather *gather, struct fl_slice episode);

#endif
