/* verdict.h - what a lock's state means for the operator (issue "For the operator on call"). Pure. */
#ifndef FL_CORE_VERDICT_H
#define FL_CORE_VERDICT_H

#include "fenceline/types.h"

#define FL_VERDICTS(X)                                                                                       \
    X(ZOMBIE, "zombie", true)                                                                                \
    X(REDIS_LOST, "redis-lost", true)                                                                        \
    X(FENCE_AHEAD, "fence-ahead", true)                                                                      \
    X(ORPHAN, "orphan", true)                                                                                \
    X(STALLED, "stalled", true)                                                                              \
    X(EXPIRING, "expiring", false)                                                                           \
    X(HEALTHY, "healthy", false)

/* In the order in which they need attention. */
enum fl_verdict {
#define X(name, text, needs_person) FL_VERDICT_##name,
    FL_VERDICTS(X)
#undef X
        FL_VERDICT_COUNT
};

enum { FL_UNKNOWN_MS = -1 };

/* What is known of one lock. Ages in ms, or FL_UNKNOWN_MS. */
struct fl_lock_facts {
    bool redis_answers;
    bool redis_forgot;  /* its counter is below the fence: it has lost data */
    bool has_lease;     /* somebody's, valid now */
    bool is_foreign;    /* that is none of fenceline's */
    bool is_superseded; /* a later claim or a break has ended this holder's */
    bool has_session;   /* the holder has connections to Postgres */
    int64_t left_ms;    /* of the lease */
    int64_t held_ms;    /* since the lease was taken */
    int64_t beat_ms;    /* since the holder's last heartbeat */
    int64_t idle_ms;    /* since the import's last step */
};

struct fl_lock_limits {
    int64_t ttl_ms;   /* of leases */
    int64_t dead_ms;  /* a process without a heartbeat for so long is dead */
    int64_t stall_ms; /* an import without a step for so long is stalled */
};

enum fl_verdict fl_verdict_judge(const struct fl_lock_facts *facts, const struct fl_lock_limits *limits);

/* "healthy", ...; from_name gives FL_VERDICT_COUNT for any other. */
const char *fl_verdict_name(enum fl_verdict verdict);
enum fl_verdict fl_verdict_from_name(struct fl_slice name);

/* Should somebody look at it? */
bool fl_verdict_needs_person(enum fl_verdict verdict);

/* What it means and what to do, one line. Static. */
const char *fl_verdict_advice(enum fl_verdict verdict);

#endif
