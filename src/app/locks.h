/* locks.h - who holds which episode, joined from leases (Redis), claims, jobs and sessions (Postgres) and the
 * registry of processes, with a verdict on each (protocol, step 9). */
#ifndef FL_APP_LOCKS_H
#define FL_APP_LOCKS_H

#include "app/registry.h"
#include "app/settings.h"
#include "core/verdict.h"
#include "io/pg_locks.h"
#include "io/redis_locks.h"

struct fl_lock_waiter {
    int64_t job_id, age_ms; /* since the job was begun, or written; FL_UNKNOWN_MS */
    struct fl_slice holder; /* "worker@host:pid"; absent = not known */
};

/* One episode. Slices and pointers live in the arena of fl_locks. Unknown numbers are -1, unknown texts
 * absent. */
struct fl_lock {
    struct fl_slice episode;
    enum fl_kind kind;      /* of the job; FL_KIND_NONE = not known */
    struct fl_slice holder; /* "worker@host:pid" */
    int64_t job_id;         /* 0 = not known */
    int64_t token;          /* of the lease, or else of the claim; 0 = none */
    struct fl_redis_lock lease;
    struct fl_pg_claim claim;
    bool is_claimed; /* the holder is the one who may commit */
    bool is_open;    /* the job is not decided */
    const struct fl_process *process;
    const struct fl_running *running;
    const struct fl_pg_session *session; /* that works for it now, or NULL */
    int64_t held_ms, idle_ms;
    struct fl_lock_waiter *waiters; /* at most FL_LOCK_WAITERS of lease.waiter_count, the oldest first */
    size_t waiters_known;
    enum fl_verdict verdict;
};

struct fl_locks {
    struct fl_arena *arena;
    struct fl_lock *locks; /* those that need attention first, then by episode */
    size_t count;
    struct fl_registry registry;
    struct fl_pg_session *sessions;
    size_t session_count;
    bool redis_answers;
    struct fl_err redis_err; /* why it does not */
};

/* Reads all locks, or what there is about one episode, held or not (episode present). redis NULL: it cannot
 * be reached, for the reason in redis_err. Errors are those of Postgres, and FL_NO_MEMORY. */
FL_CHECKED fl_status fl_locks_read(struct fl_locks *locks, struct fl_redis_sync *redis, struct fl_pg_sync *pg,
                                   struct fl_arena *arena, const struct fl_settings *settings,
                                   struct fl_slice episode, struct fl_err *err);

/* Is the holder in a session's name, which Postgres may have cut, this holder? */
bool fl_locks_is_session_of(struct fl_slice session, struct fl_slice holder);

#endif
