/* attempt.h - what the cases of the contract are written with: one try at one job, step by step, by hand.
 *
 *     struct attempt *a = contract_attempt(0, 0, job, FL_CHAPTERS, FL_MODE_REPLACE);
 *     contract_take(a);                                 READ, LEASE, CLAIM, as client 0
 *     contract_commit(a, 1);                            COMMIT of document 1: an answer, judged by the case
 *
 * Every function fails the test if a step does not answer in time, or answers with an error; contract_send
 * and contract_await are for steps that may. */
#ifndef TESTS_CONTRACT_ATTEMPT_H
#define TESTS_CONTRACT_ATTEMPT_H

#include "contract.h"

enum { CONTRACT_EPISODE_BYTES = 32 };

struct attempt {
    int client;
    struct fl_import_policy policy;
    struct fl_import import;
    struct fl_request request;
    struct fl_event answer;
    bool is_answered;
};

/* The case that runs. */
struct contract {
    const struct contract_backend *backend;
    char episodes[CONTRACT_EPISODES][CONTRACT_EPISODE_BYTES];
    int64_t woken[CONTRACT_CLIENTS][16]; /* job ids, in the order in which they were woken */
    int woken_counts[CONTRACT_CLIENTS];
};
extern struct contract contract;

struct contract_case {
    const char *name;
    void (*run)(const void *data);
    const void *data;
};

/* A job for episode 0 of the case; the functions below for more than that. */
int64_t contract_add(enum fl_kind kind, enum fl_mode mode);
int64_t contract_add_to(int episode, enum fl_kind kind, enum fl_mode mode);
int64_t contract_add_job(const struct contract_job *job);

/* An attempt that has done nothing yet, with a nonce of its own. It stays where it is for many cases. */
struct attempt *contract_attempt(int client, int episode, int64_t job_id, enum fl_kind kind,
                                 enum fl_mode mode);

/* Starts a step; waits for its answer. content: of the document of a COMMIT; -1 = a delete. */
void contract_send(struct attempt *a, enum fl_action_type action, int content);
const struct fl_event *contract_await(struct attempt *a);
/* Both, and the answer is FL_OK. */
const struct fl_event *contract_ask(struct attempt *a, enum fl_action_type action);

/* Steps 1 to 5, and that they succeed. */
void contract_read(struct attempt *a);  /* ENSURE if needed */
void contract_lease(struct attempt *a); /* is granted */
void contract_claim(struct attempt *a); /* is mine */
void contract_take(struct attempt *a);  /* all three */
const struct fl_event *contract_commit(struct attempt *a, int content);
/* All steps of a new job for that episode, with this outcome; returns its id. */
int64_t contract_import(int episode, enum fl_kind kind, int content);
int64_t contract_delete(int episode, enum fl_kind kind);
/* All steps of that job by client 0. */
void contract_finish(int64_t job_id, int episode, enum fl_kind kind, enum fl_mode mode, int content,
                     enum fl_outcome outcome);

/* What is there. */
struct contract_episode contract_row_of(int episode);
void contract_assert_row(int64_t job_id, enum fl_outcome outcome);
void contract_assert_same_episode(const struct contract_episode *before,
                                  const struct contract_episode *after);
void contract_assert_same_document(const struct contract_document *before,
                                   const struct contract_document *after);
void contract_assert_nonce(const struct fl_nonce *a, const struct fl_nonce *b);
/* Nobody, or that job alone, was woken, within some time. */
void contract_assert_woken(int client, int64_t job_id);
void contract_assert_nobody_woken(void);

/* The tables of cases. */
extern const struct contract_case contract_document_cases[], contract_postgres_cases[],
    contract_transaction_cases[], contract_redis_cases[];
extern const size_t contract_document_count, contract_postgres_count, contract_transaction_count,
    contract_redis_count;

#define CASES_END(name)                                                                                      \
    const size_t contract_##name##_count = sizeof contract_##name##_cases / sizeof *contract_##name##_cases

#endif
