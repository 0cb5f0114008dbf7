/* pg_locks.h - claims, jobs and sessions as operators see them, and the break of a claim (protocol, step 9;
 * the function is that of config/schema/005_operator.sql).
 *
 * Slices live in the arena that each function is given. Errors as in fl_pg_sync_query, and FL_NO_MEMORY. */
#ifndef FL_IO_PG_LOCKS_H
#define FL_IO_PG_LOCKS_H

#include "fenceline/document.h"
#include "fenceline/err.h"
#include "fenceline/types.h"

struct fl_pg_sync;
struct fl_arena;

/* Who may commit, by Postgres. */
struct fl_pg_claim {
    bool is_known; /* the episode has a row */
    int64_t version, fence;
    struct fl_slice nonce, holder; /* of the last claim; holder absent = none, or it was broken */
    int64_t job_id;                /* of that claim; 0 = none */
    int64_t age_ms;                /* of that claim, or since it was broken */
    bool job_is_open;              /* that job is not decided, and this attempt not over */
};

/* A job, as far as a lock is about it. */
struct fl_pg_lock_job {
    bool is_known, is_open;
    struct fl_slice episode, worker;
    enum fl_kind kind;
    int64_t token;  /* under which it was decided; 0 = none */
    int64_t age_ms; /* since it was begun, or written */
};

/* One connection of a fenceline process to this database. */
struct fl_pg_session {
    int64_t pid;
    struct fl_slice
        holder; /* "worker@host:pid", as far as Postgres keeps it (63 bytes with the word before) */
    struct fl_slice state;    /* "active", "idle in transaction", ... */
    struct fl_slice wait;     /* "Lock/transactionid"; absent = it waits for nothing */
    struct fl_slice blockers; /* pids that it waits for: "4711, 4712"; absent = none */
    int64_t xact_ms;          /* age of its transaction; -1 = none */
};

/* claims[i] for episodes[i]. */
FL_CHECKED fl_status fl_pg_locks_claims(struct fl_pg_sync *pg, struct fl_arena *arena,
                                        const struct fl_slice *episodes, size_t count,
                                        struct fl_pg_claim *claims, struct fl_err *err);

/* jobs[i] for ids[i]. */
FL_CHECKED fl_status fl_pg_locks_jobs(struct fl_pg_sync *pg, struct fl_arena *arena, const int64_t *ids,
                                      size_t count, struct fl_pg_lock_job *jobs, struct fl_err *err);

/* Episodes whose claim is for an open job in somebody's hands, by episode (bytewise). */
FL_CHECKED fl_status fl_pg_locks_open_claims(struct fl_pg_sync *pg, struct fl_arena *arena,
                                             struct fl_slice **episodes, size_t *count, struct fl_err *err);

FL_CHECKED fl_status fl_pg_locks_sessions(struct fl_pg_sync *pg, struct fl_arena *arena,
                                          struct fl_pg_session **sessions, size_t *count, struct fl_err *err);

/* Who has locked an episode's row. */
struct fl_pg_locker {
    int64_t pid; /* 0 = nobody, by now */
    struct fl_slice session, state, started_at;
    int64_t xact_ms;
};

FL_CHECKED fl_status fl_pg_locks_locker(struct fl_pg_sync *pg, struct fl_arena *arena,
                                        struct fl_slice episode, struct fl_pg_locker *locker,
                                        struct fl_err *err);

/* What a break is about: all as it was seen. */
struct fl_pg_break {
    struct fl_slice episode, holder; /* holder may be absent */
    const struct fl_pg_claim *seen;
    int64_t job_id; /* 0 = not known */
    bool cancel_job;
    const char *who, *reason;       /* reason may be NULL */
    const struct fl_pg_locker *end; /* the holder's session, to be ended; NULL = none */
};

enum fl_break_status {
    FL_BREAK_DONE,    /* new_fence; the holder cannot commit any more */
    FL_BREAK_CHANGED, /* somebody has claimed or committed since: nothing was done */
    FL_BREAK_LOCKED,  /* a transaction has locked the episode: nothing was done */
    FL_BREAK_UNKNOWN  /* no such episode */
};

struct fl_pg_broken {
    enum fl_break_status status;
    int64_t new_fence;
    struct fl_slice job_outcome; /* if the job was to be cancelled */
    bool has_ended;              /* that session was there, and the claim as it was seen: it was ended */
};

/* PROTOCOL 9 (ii). A session is ended, by pid and start, only while the claim is the one that was seen. */
FL_CHECKED fl_status fl_pg_locks_break(struct fl_pg_sync *pg, struct fl_arena *arena,
                                       const struct fl_pg_break *what, struct fl_pg_broken *broken,
                                       struct fl_err *err);

#endif
