/* contract.h - what the core relies on in its two servers, as cases that run on the simulated ones and on
 * real ones. The simulator (tests/sim) tells the truth as long as both give the same answers here.
 *
 * The cases talk to the servers through the ports of include/fenceline/ports.h, as two clients, each with
 * connections of its own. What no port can do (look at rows, hold a transaction open, end a session, lose the
 * data of Redis) a backend does: test_contract_sim.c on tests/sim, test_contract_real.c on Redis and
 * Postgres.
 *
 * Every case has episodes and jobs of its own, so that nothing has to be cleaned up in between. */
#ifndef TESTS_CONTRACT_H
#define TESTS_CONTRACT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fenceline/ports.h"

enum {
    CONTRACT_CLIENTS = 2,
    CONTRACT_EPISODES = 3,  /* per case */
    CONTRACT_JOBS = 12,     /* per case */
    CONTRACT_CONTENTS = 3,  /* documents of each kind: 0, 1, 2 */
    CONTRACT_TTL_MS = 4000, /* of leases, unless the case says otherwise */
    CONTRACT_LOCK_TIMEOUT_MS = 2000
};

struct contract_job {
    const char *episode;
    enum fl_kind kind;
    enum fl_mode mode;
    int64_t if_version;
    int64_t rank; /* 0 = its own id */
};

/* Rows, as they are committed. */
struct contract_episode {
    bool is_there;
    int64_t version, fence;
    struct fl_nonce nonce; /* empty = null */
};

struct contract_document {
    bool is_there, is_deleted;
    int64_t version, rank, job_id, row_count;
    int content; /* which document the rows are of; -1 = there are none */
};

struct contract_row {
    enum fl_outcome outcome;
    int64_t version, row_count;
};

struct contract_lease {
    bool is_held;
    struct fl_nonce nonce;
    int64_t token, remaining_ms;
    int64_t counter; /* 0 = none */
};

enum contract_break { CONTRACT_BROKEN, CONTRACT_CHANGED, CONTRACT_LOCKED, CONTRACT_UNKNOWN };

/* Filled by a backend. Every function fails the test if it cannot do what it is asked. */
struct contract_backend {
    /* Episodes of the case are called "ep<i>-<number>". */
    struct fl_store_port *stores[CONTRACT_CLIENTS];
    struct fl_lease_port *leases[CONTRACT_CLIENTS]; /* woken is the cases' own */

    void (*start_case)(void); /* an empty Redis; nothing held or refused */
    void (*end_case)(void);

    /* Lets the world go on until the flag is set, or for so long. */
    void (*run_until)(const bool *flag);
    void (*run_for)(int64_t ms);

    int64_t (*add_job)(const struct contract_job *job);
    struct contract_episode (*episode)(const char *episode);
    struct contract_document (*document)(const char *episode, enum fl_kind kind);
    struct contract_row (*row)(int64_t job_id);

    /* Postgres: transactions that have done their work wait with their COMMIT, from now on or no longer. */
    void (*hold_commits)(bool holds);
    /* The next COMMITs fail, and their transactions are rolled back. */
    void (*refuse_commits)(bool refuses);
    /* Until so many transactions wait for a lock, and so many with their COMMIT. */
    void (*await_transactions)(int waiting, int held);
    /* Where the request runs, with its transaction, as Postgres knows it. */
    struct fl_commit_mark (*mark)(const struct fl_request *request);
    void (*terminate)(const struct fl_request *request);
    bool (*is_running)(const struct fl_commit_mark *mark);
    /* The client's connections break; what was sent goes on. */
    void (*cut_postgres)(int client);
    /* A number that no transaction has had yet. */
    uint64_t (*future_xid)(void);
    enum contract_break (*break_claim)(const char *episode, const struct contract_episode *seen);

    struct contract_lease (*lease)(const char *episode);
    void (*set_counter)(const char *episode, int64_t counter);
    void (*lose_redis)(void); /* all data */
    void (*keep_redis)(void); /* a copy */
    void (*roll_back_redis)(void);
    /* A waiter of a client that is gone, in the queue of the episode; the time of all waiters is over. */
    void (*add_dead_waiter)(const char *episode);
    void (*expire_waiters)(const char *episode);

    void (*set_down)(bool redis, bool postgres);
};

/* Runs all cases on it; the exit code of the program. group_setup and group_teardown may be NULL. */
int contract_run(const struct contract_backend *backend, CMFixtureFunction group_setup,
                 CMFixtureFunction group_teardown);

/* The document: 0, 1 or 2 of its kind. */
const struct fl_document *contract_document(enum fl_kind kind, int content);

#endif
