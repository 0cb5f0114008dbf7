/* redis_locks.h - leases as operators see them (protocol, step 9): who has which, who waits, and the deletion
 * of exactly the one that was seen. */
#ifndef FL_IO_REDIS_LOCKS_H
#define FL_IO_REDIS_LOCKS_H

#include "io/redis_sync.h"

struct fl_arena;

enum { FL_LOCK_WAITERS = 64 };

/* One episode's keys. Slices and lists live in the arena. Anybody may have written what stands there. */
struct fl_redis_lock {
    struct fl_slice episode;
    bool has_lease;
    bool is_foreign;        /* its value is none of fenceline's: the members of the lease are empty */
    struct fl_slice nonce;  /* 32 hex digits */
    struct fl_slice holder; /* "worker@host:pid" */
    int64_t token, job_id;  /* job 0 = not told */
    int64_t left_ms;        /* until it expires; -1 = it never does */
    int64_t counter;        /* the last token handed out; 0 = that is not known any more */
    size_t waiter_count;    /* all of them; waiters has at most FL_LOCK_WAITERS */
    int64_t *waiters;       /* job ids */
};

/* All leases, by episode (bytewise), each once; leases that come or go meanwhile may be missed. SCAN, so
 * Redis goes on serving others. FL_UNAVAILABLE, FL_USAGE (no permission), FL_FAILED, FL_NO_MEMORY. */
FL_CHECKED fl_status fl_redis_locks_scan(struct fl_redis_sync *redis, struct fl_arena *arena,
                                         struct fl_redis_lock **locks, size_t *count, struct fl_err *err);

/* Fills locks[i] for episodes[i], whether or not there is a lease. Errors as above. */
FL_CHECKED fl_status fl_redis_locks_look(struct fl_redis_sync *redis, struct fl_arena *arena,
                                         const struct fl_slice *episodes, size_t count,
                                         struct fl_redis_lock *locks, struct fl_err *err);

/* PROTOCOL 9 (iii): deletes the lease if it still has this nonce, and wakes one waiter. *deleted: it had. */
FL_CHECKED fl_status fl_redis_locks_delete(struct fl_redis_sync *redis, struct fl_slice episode,
                                           struct fl_slice nonce, bool *deleted, struct fl_err *err);

#endif
