/* sim.h - a world in one process: the production core and driver (core/import.c, app/drive.c) on a simulated
 * Redis and a simulated Postgres, in virtual time, with faults. One seed decides everything.
 *
 *     sim.c           events in order of time, chance, the timeline
 *     sim_redis.c     leases, counters, waiters; its own clock; data that is lost, or comes back
 *     sim_postgres.c  the statements of config/schema as they lock, wait, re-evaluate and commit
 *     sim_process.c   processes that import, their ports, pauses and deaths; the network in between
 *     sim_guards.c    guards that a run can leave out
 *     sim_check.c     what must hold after every step (docs/PROTOCOL.md)
 *     sim_world.c     one run: jobs, processes, operators, faults; then calm, until all is decided
 *
 * What happens at a server happens at one moment of virtual time; what is sent arrives later, in the order of
 * its connection, or never, or long after its sender has given it up. */
#ifndef TESTS_SIM_H
#define TESTS_SIM_H

#include <stdio.h>

#include "app/drive.h"

enum {
    SIM_EPISODES = 3,
    SIM_KINDS = 2,
    SIM_JOBS = 12,
    SIM_PROCESSES = 4,
    SIM_SLOTS = 3,
    SIM_CONTENTS = 4, /* of each kind; the last one cannot be parsed */
    SIM_WAITERS = 16,
    SIM_CALLS = 4096
};

/* What a run leaves out of the protocol on purpose (docs/TESTING.md, "Guards removed"). */
enum sim_mutant {
    SIM_NONE,
#define SIM_MUTANTS(X)                                                                                       \
    X(CLAIM_CONDITION, "claim-condition")                                                                    \
    X(TOKEN_ABOVE_FENCE, "token-above-fence")                                                                \
    X(NONCE, "nonce")                                                                                        \
    X(WRITE_ONCE, "write-once")                                                                              \
    X(ONE_TRANSACTION, "one-transaction")                                                                    \
    X(COMMAND_TAG, "command-tag")                                                                            \
    X(READ_BEFORE_LEASE, "read-before-lease")                                                                \
    X(FLOOR, "floor")                                                                                        \
    X(RELEASE_COMPARE, "release-compare")                                                                    \
    X(RENEW_COMPARE, "renew-compare")                                                                        \
    X(SUPERSEDED, "superseded")                                                                              \
    X(COMMIT_CONDITION, "commit-condition")                                                                  \
    X(BREAK_FENCE, "break-fence")                                                                            \
    X(DECIDE_AGAIN, "decide-again")                                                                          \
    X(RANK_OF_UNCHANGED, "rank-of-unchanged")
#define X(name, text) SIM_##name,
    SIM_MUTANTS(X)
#undef X
        SIM_MUTANT_COUNT
};

struct sim;

/* ---- sim.c ---- */

struct sim_random {
    uint64_t state;
};

uint64_t sim_random(struct sim_random *random);
/* 0 to below-1; below > 0. */
uint64_t sim_below(struct sim_random *random, uint64_t below);

/* Calls run(sim, a, b) at that time; events of one time in the order in which they were made. */
void sim_at(struct sim *sim, int64_t at_us, void (*run)(struct sim *sim, void *a, int64_t b), void *a,
            int64_t b);

/* A line of the timeline, if it is wanted. */
void sim_note(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Something that must not be: ends the run. */
void sim_fail(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A fault, once in `odds` on average, as long as faults are allowed. */
bool sim_fault(struct sim *sim, uint64_t odds, const char *what);

/* ---- Redis ---- */

struct sim_lease {
    bool is_held;
    struct fl_nonce nonce;
    int64_t token, job_id;
    int64_t expires_us; /* by its clock */
};

struct sim_waiter {
    int process;
    int64_t job_id;
    int64_t until_us; /* by the clock of Redis */
};

struct sim_redis_data {
    struct sim_lease leases[SIM_EPISODES];
    int64_t counters[SIM_EPISODES]; /* 0 = none */
    struct sim_waiter waiters[SIM_EPISODES][SIM_WAITERS];
    size_t waiter_counts[SIM_EPISODES];
};

struct sim_redis {
    struct sim_redis_data data, snapshot;
    bool has_snapshot;
    int64_t clock_us; /* ahead of the world's time */
    int64_t down_until_us;
};

/* ---- Postgres ---- */

struct sim_document {
    bool is_there, is_deleted;
    int64_t version, rank, job_id;
    int64_t row_count;
    int content; /* as its row says */
    int rows;    /* content of the rows themselves; -1 = none */
};

struct sim_job {
    int64_t job_id, rank; /* job_id 0 = there is none */
    int episode, kind;    /* 0 chapters, 1 transcript */
    enum fl_mode mode;
    int64_t if_version;
    int content;
    enum fl_outcome outcome;
    int64_t version, row_count;
    unsigned effects; /* times that it wrote its document */
};

struct sim_episode {
    bool is_there;
    int64_t version, fence;
    struct fl_nonce nonce;
    struct sim_document documents[SIM_KINDS];
    struct sim_call *locker; /* transaction that has its row */
    struct sim_call *waiting[64];
    size_t waiting_count;
};

struct sim_postgres {
    struct sim_episode episodes[SIM_EPISODES];
    struct sim_job jobs[SIM_JOBS + 1]; /* by job id; 0 is unused */
    int job_count;
    uint64_t last_xid;
    int32_t last_backend;
    int64_t down_until_us;
    bool holds_commits, refuses_commits; /* for tests/contract: every COMMIT waits; fails */
};

/* ---- calls: one request of a process to a server, from sending to answer ---- */

enum sim_call_state { SIM_SENT, SIM_WAITING, SIM_ACTIVE, SIM_COMMITTED, SIM_ABORTED, SIM_DONE };

/* What becomes of one call, where a test decides it instead of chance. */
enum sim_call_fault {
    SIM_CALL_GOOD,
    SIM_CALL_UNAVAILABLE, /* no effect, and an answer that says so: this and the next two */
    SIM_CALL_TRANSIENT,
    SIM_CALL_FAILED,
    SIM_CALL_LOST_REQUEST, /* no effect, and nobody knows */
    SIM_CALL_LOST_REPLY,   /* effect, and nobody knows: the connection breaks */
    SIM_CALL_SILENT,       /* the same, after a long wait for the answer */
    SIM_CALL_LATE,         /* given up, and the effect comes late_us later */
    SIM_CALL_FAULT_COUNT
};

struct sim_call {
    struct sim_process *process; /* NULL = an operator's */
    enum sim_call_fault fault;   /* planned */
    uint32_t life;               /* of the process */
    struct fl_request *request;
    bool is_answered; /* the process has its answer, or has given it up */
    uint32_t connection;
    enum sim_call_state state;
    enum fl_action_type action;
    uint32_t op;
    int episode, content, kind;
    int64_t row_count; /* of the document */
    int64_t job_id;
    struct fl_nonce nonce;
    int64_t token, version, fence, ttl_ms;
    enum fl_outcome want;
    struct fl_commit_mark mark; /* RESOLVE: of the commit in question */
    uint64_t xid;
    int32_t backend;
    struct fl_event answer;
    struct sim_episode after; /* what its commit will leave */
    struct sim_job job_after;
    bool writes_episode, writes_job, writes_document;
    /* an operator's break */
    bool is_break;
    int64_t seen_fence, seen_version;
    struct fl_nonce seen_nonce, lease_nonce;
    bool has_lease;
};

/* ---- processes ---- */

struct sim_slot {
    struct fl_drive drive;
    struct sim_process *process;
    int64_t job_id; /* 0 = free */
};

struct sim_process {
    struct sim *sim;
    int index;
    uint32_t life;
    bool is_alive, hands_back;
    int64_t paused_until_us;
    int64_t clock_us;                     /* its CLOCK_BOOTTIME is ahead of the world's time by this */
    uint32_t connections[2];              /* number of the connection to Redis, to Postgres */
    int64_t arrives_us[2], answers_us[2]; /* order on a connection */
    struct fl_import_policy policy;
    struct fl_drive_ports ports;
    struct fl_store_port store;
    struct fl_lease_port lease;
    struct fl_pool_port pool;
    struct fl_clock_port clock;
    struct sim_random random;
    struct sim_slot slots[SIM_SLOTS];
};

enum { SIM_TO_REDIS, SIM_TO_POSTGRES };

/* ---- one run ---- */

struct sim_event {
    int64_t at_us;
    uint64_t order;
    void (*run)(struct sim *sim, void *a, int64_t b);
    void *a;
    int64_t b;
};

/* What the checker remembers. */
struct sim_ledger {
    int64_t claimed[SIM_EPISODES];   /* highest token claimed or broken to */
    int64_t committed[SIM_EPISODES]; /* last version */
    struct fl_nonce claim_nonce[SIM_EPISODES];
    struct fl_nonce broken[SIM_EPISODES]
                          [32]; /* nonces whose claim or lease an acknowledged break has ended */
    size_t broken_counts[SIM_EPISODES];
    bool decided[SIM_JOBS + 1];
    bool is_delivered_twice[SIM_JOBS + 1];
    int64_t applied[SIM_EPISODES][SIM_KINDS]; /* highest rank of a job that left or confirmed the content */
    uint64_t stale, loads;                    /* imports that had to start over; documents parsed */
};

struct sim {
    uint64_t seed;
    enum sim_mutant mutant;
    /* NULL = chance alone; asked for every call of a port. */
    enum sim_call_fault (*plan)(struct sim *sim, const struct fl_request *request, int64_t *late_us);
    FILE *timeline; /* NULL = none */
    int64_t now_us;
    struct sim_random chance, faults;
    struct sim_event *events;
    size_t event_count, event_capacity;
    uint64_t last_order, steps;
    int64_t calm_at_us; /* no faults from here on */
    uint64_t fault_count, fault_limit;
    bool is_faulty; /* this run has faults at all */
    struct sim_redis redis;
    struct sim_postgres postgres;
    struct sim_process processes[SIM_PROCESSES];
    int process_count, episode_count;
    struct sim_call *calls[SIM_CALLS];
    size_t call_count;
    struct sim_ledger ledger;
    bool has_failed;
    char failure[512];
};

/* Runs one seed to its end. fault_limit: at most so many faults. True: all held. */
bool sim_run(struct sim *sim, uint64_t seed, enum sim_mutant mutant, uint64_t fault_limit, FILE *timeline);
void sim_release(struct sim *sim);
/* sim.c: the next event; false = there is none. */
bool sim_step(struct sim *sim);

/* sim_process.c */
void sim_process_start(struct sim *sim, struct sim_process *process);
void sim_process_kill(struct sim *sim, struct sim_process *process);
void sim_process_pause(struct sim *sim, struct sim_process *process, int64_t for_us);
void sim_process_cut(struct sim *sim, struct sim_process *process, int server);
/* Gives it a job; false = no free slot. */
bool sim_process_take(struct sim *sim, struct sim_process *process, int64_t job_id);
bool sim_process_has(const struct sim *sim, int64_t job_id);
void sim_wake(struct sim *sim, int process, int64_t job_id);
struct sim_call *sim_call_new(struct sim *sim);
/* The server has answered; the answer travels. */
void sim_reply(struct sim *sim, struct sim_call *call, fl_status status);

/* What the server knows of the session that a call runs in. */
struct fl_commit_mark sim_call_mark(const struct sim_call *call);

/* sim_redis.c, sim_postgres.c: a call arrives. */
void sim_redis_arrive(struct sim *sim, struct sim_call *call);
void sim_postgres_arrive(struct sim *sim, struct sim_call *call);
void sim_redis_lose_all(struct sim *sim);
void sim_redis_snapshot(struct sim *sim);
void sim_redis_roll_back(struct sim *sim);
bool sim_redis_delete(struct sim *sim, int episode, const struct fl_nonce *nonce, bool compares);
bool sim_redis_has(struct sim *sim, int episode);
void sim_postgres_restart(struct sim *sim, int64_t down_us);
void sim_postgres_terminate(struct sim *sim, struct sim_call *call);
/* The open transaction of that session, or NULL; what else the mark says is ignored. */
struct sim_call *sim_postgres_find(struct sim *sim, const struct fl_commit_mark *mark);
/* The row, or NULL. */
struct sim_job *sim_postgres_job(struct sim *sim, int64_t job_id);

/* sim_guards.c: which guard of core/fence.c is left out. */
void sim_leave_out(enum sim_mutant mutant);

/* sim_check.c */
void sim_check_claim(struct sim *sim, const struct sim_call *call);
void sim_check_commit(struct sim *sim, const struct sim_call *call, const struct sim_episode *before);
void sim_check_decided(struct sim *sim, const struct sim_job *job, const struct sim_episode *before);
void sim_check_answer(struct sim *sim, const struct fl_import *import);
void sim_check_broken(struct sim *sim, const struct sim_call *call);
void sim_check_state(struct sim *sim);
void sim_check_end(struct sim *sim);

/* sim_world.c: inputs of the jobs, parsed once. */
const char *sim_body(int kind, int content);
int sim_content_of(const struct fl_document *document);
void sim_deliver(struct sim *sim, int64_t job_id, int64_t after_us);

/* 'nonce' for the timeline: its first 6 digits. */
#define SIM_SHORT(nonce) (nonce).hex[0] ? 6 : 0, (nonce).hex

#endif
