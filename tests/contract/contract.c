/* contract.c - runs the cases of the contract on a backend, and the steps that they are made of. See
 * contract.h.
 *
 * An attempt fills an fl_import by hand, as core/import.c would: the ports must not be able to tell. */
#include "contract.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attempt.h"
#include "base/arena.h"
#include "base/slice.h"
#include "core/parse.h"

enum { KINDS = 2 };

struct contract contract;

/* ---- documents ---- */

static const char *const BODIES[KINDS][CONTRACT_CONTENTS] = {
    {"{\"chapters\":[{\"startTime\":0,\"title\":\"a\"}]}",
     "{\"chapters\":[{\"startTime\":0,\"title\":\"b\"},{\"startTime\":9,\"title\":\"c\"}]}",
     "{\"chapters\":[{\"startTime\":5,\"title\":\"d\"}]}"},
    {"{\"segments\":[{\"startTime\":0,\"endTime\":1,\"body\":\"a\"}]}",
     "{\"segments\":[{\"startTime\":0,\"endTime\":1,\"body\":\"b\"},{\"startTime\":2,\"endTime\":3,\"body\":"
     "\"c\"}]}",
     "{\"segments\":[{\"startTime\":4,\"endTime\":5,\"body\":\"d\"}]}"},
};

static struct fl_arena arena;
static struct fl_document documents[KINDS][CONTRACT_CONTENTS];
static const struct fl_limits LIMITS = {.file_bytes = 4096, .rows = 100, .field_bytes = 1000};

static void parse_documents(void)
{
    fl_arena_init(&arena, 1 << 20);
    for (int kind = 0; kind < KINDS; kind++)
        for (int i = 0; i < CONTRACT_CONTENTS; i++) {
            const struct fl_parse_hint hint = {.kind = kind ? FL_TRANSCRIPT : FL_CHAPTERS};
            struct fl_err err;
            fl_status status = fl_parse_document(fl_slice_from(BODIES[kind][i]), &hint, &LIMITS, &arena,
                                                 &documents[kind][i], &err);
            assert_int_equal(status, FL_OK);
        }
}

const struct fl_document *contract_document(enum fl_kind kind, int content)
{
    return &documents[kind == FL_TRANSCRIPT][content];
}

/* ---- jobs ---- */

int64_t contract_add_job(const struct contract_job *job)
{
    return contract.backend->add_job(job);
}

int64_t contract_add_to(int episode, enum fl_kind kind, enum fl_mode mode)
{
    const struct contract_job job = {.episode = contract.episodes[episode], .kind = kind, .mode = mode};
    return contract_add_job(&job);
}

int64_t contract_add(enum fl_kind kind, enum fl_mode mode)
{
    return contract_add_to(0, kind, mode);
}

/* ---- steps ---- */

/* Static, and used again only much later: a case that fails leaves requests behind that are still answered.
 */
struct attempt *contract_attempt(int client, int episode, int64_t job_id, enum fl_kind kind,
                                 enum fl_mode mode)
{
    static struct attempt attempts[256];
    static unsigned last;
    struct attempt *a = &attempts[last++ % (sizeof attempts / sizeof *attempts)];
    *a = (struct attempt){.client = client, .policy = {.lease_ttl_ms = CONTRACT_TTL_MS}};
    a->import.policy = &a->policy;
    a->import.job = (struct fl_import_job){
        .job_id = job_id, .episode = fl_slice_from(contract.episodes[episode]), .kind = kind, .mode = mode};
    snprintf(a->import.lease.nonce.hex, sizeof a->import.lease.nonce.hex, "%032x", last);
    return a;
}

static void on_done(struct fl_request *request, struct fl_event *event)
{
    struct attempt *a = (struct attempt *)((char *)request - offsetof(struct attempt, request));
    assert_false(a->is_answered); /* exactly once */
    a->is_answered = true;
    a->answer = *event;
    assert_int_equal(event->op, request->op);
    if (event->type == FL_EVENT_COMMITTED)
        a->import.mark = event->mark;
}

void contract_send(struct attempt *a, enum fl_action_type action, int content)
{
    bool is_lease = action == FL_ACTION_LEASE || action == FL_ACTION_LEASE_CHECK ||
                    action == FL_ACTION_RENEW || action == FL_ACTION_RELEASE;
    const struct contract_backend *backend = contract.backend;
    a->is_answered = false;
    a->request = (struct fl_request){
        .action = action,
        .op = ++a->import.last_op,
        .import = &a->import,
        .document = content >= 0 ? contract_document(a->import.job.kind, content) : NULL,
        .done = on_done,
    };
    if (is_lease)
        backend->leases[a->client]->start(backend->leases[a->client]->self, &a->request);
    else
        backend->stores[a->client]->start(backend->stores[a->client]->self, &a->request);
    assert_false(a->is_answered); /* never from within */
}

const struct fl_event *contract_await(struct attempt *a)
{
    contract.backend->run_until(&a->is_answered);
    assert_true(a->is_answered);
    return &a->answer;
}

const struct fl_event *contract_ask(struct attempt *a, enum fl_action_type action)
{
    contract_send(a, action, -1);
    contract_await(a);
    if (a->answer.status != FL_OK)
        print_error("status %s: %s\n", fl_status_text(a->answer.status),
                    a->answer.err ? "see the server's log" : "no reason given");
    assert_int_equal(a->answer.status, FL_OK);
    return &a->answer;
}

void contract_read(struct attempt *a)
{
    if (!contract_ask(a, FL_ACTION_READ)->read.episode_found) {
        contract_ask(a, FL_ACTION_ENSURE);
        assert_true(contract_ask(a, FL_ACTION_READ)->read.episode_found);
    }
    assert_true(a->answer.read.job_found);
    a->import.version = a->answer.read.version;
    a->import.fence = a->answer.read.fence;
}

void contract_lease(struct attempt *a)
{
    assert_true(contract_ask(a, FL_ACTION_LEASE)->leased.granted);
    a->import.lease.token = a->answer.leased.token;
}

void contract_claim(struct attempt *a)
{
    assert_true(contract_ask(a, FL_ACTION_CLAIM)->claimed.claimed);
}

void contract_take(struct attempt *a)
{
    contract_read(a);
    contract_lease(a);
    contract_claim(a);
}

const struct fl_event *contract_commit(struct attempt *a, int content)
{
    contract_send(a, FL_ACTION_COMMIT, content);
    contract_await(a);
    assert_int_equal(a->answer.status, FL_OK);
    return &a->answer;
}

void contract_finish(int64_t job_id, int episode, enum fl_kind kind, enum fl_mode mode, int content,
                     enum fl_outcome outcome)
{
    struct attempt *a = contract_attempt(0, episode, job_id, kind, mode);
    contract_take(a);
    contract_commit(a, content);
    assert_int_equal(a->answer.committed.status, FL_COMMIT_DONE);
    assert_string_equal(fl_outcome_name(a->answer.committed.answer.outcome), fl_outcome_name(outcome));
    contract_ask(a, FL_ACTION_RELEASE);
}

int64_t contract_import(int episode, enum fl_kind kind, int content)
{
    int64_t job_id = contract_add_to(episode, kind, FL_MODE_REPLACE);
    contract_finish(job_id, episode, kind, FL_MODE_REPLACE, content, FL_OUTCOME_IMPORTED);
    return job_id;
}

int64_t contract_delete(int episode, enum fl_kind kind)
{
    int64_t job_id = contract_add_to(episode, kind, FL_MODE_DELETE);
    contract_finish(job_id, episode, kind, FL_MODE_DELETE, -1, FL_OUTCOME_DELETED);
    return job_id;
}

/* ---- what is there ---- */

struct contract_episode contract_row_of(int episode)
{
    return contract.backend->episode(contract.episodes[episode]);
}

void contract_assert_row(int64_t job_id, enum fl_outcome outcome)
{
    assert_string_equal(fl_outcome_name(contract.backend->row(job_id).outcome), fl_outcome_name(outcome));
}

void contract_assert_nonce(const struct fl_nonce *a, const struct fl_nonce *b)
{
    assert_string_equal(a->hex, b->hex);
}

void contract_assert_same_episode(const struct contract_episode *before, const struct contract_episode *after)
{
    assert_int_equal(before->is_there, after->is_there);
    assert_int_equal(before->version, after->version);
    assert_int_equal(before->fence, after->fence);
    contract_assert_nonce(&before->nonce, &after->nonce);
}

void contract_assert_same_document(const struct contract_document *before,
                                   const struct contract_document *after)
{
    assert_int_equal(before->is_there, after->is_there);
    assert_int_equal(before->is_deleted, after->is_deleted);
    assert_int_equal(before->version, after->version);
    assert_int_equal(before->rank, after->rank);
    assert_int_equal(before->job_id, after->job_id);
    assert_int_equal(before->row_count, after->row_count);
    assert_int_equal(before->content, after->content);
}

/* ---- who was woken ---- */

enum { WAKES_MS = 2000, NO_MORE_MS = 20 };

static void on_woken(void *owner, int64_t job_id)
{
    int client = owner == &contract.woken[1];
    int at = contract.woken_counts[client]++;
    assert_true(at < 16);
    contract.woken[client][at] = job_id;
}

void contract_assert_woken(int client, int64_t job_id)
{
    for (int i = 0; i < WAKES_MS && contract.woken_counts[client] == 0; i++)
        contract.backend->run_for(1);
    contract.backend->run_for(NO_MORE_MS);
    assert_int_equal(contract.woken_counts[client], 1);
    assert_int_equal(contract.woken[client][0], job_id);
    assert_int_equal(contract.woken_counts[!client], 0);
    contract.woken_counts[client] = 0;
}

void contract_assert_nobody_woken(void)
{
    contract.backend->run_for(NO_MORE_MS);
    assert_int_equal(contract.woken_counts[0] + contract.woken_counts[1], 0);
}

/* ---- running ---- */

static void run_case(void **state)
{
    const struct contract_case *one = *state;
    one->run(one->data);
}

static int start_case(void **state)
{
    static int number;
    (void)state;
    number++;
    for (int i = 0; i < CONTRACT_EPISODES; i++)
        snprintf(contract.episodes[i], sizeof contract.episodes[i], "ep%d-%d", i, number);
    memset(contract.woken_counts, 0, sizeof contract.woken_counts);
    contract.backend->start_case();
    for (int i = 0; i < CONTRACT_CLIENTS; i++) {
        contract.backend->leases[i]->owner = &contract.woken[i];
        contract.backend->leases[i]->woken = on_woken;
    }
    return 0;
}

static int end_case(void **state)
{
    (void)state;
    contract.backend->end_case();
    return 0;
}

static void add(struct CMUnitTest *tests, size_t *count, const struct contract_case *cases, size_t case_count)
{
    for (size_t i = 0; i < case_count; i++)
        tests[(*count)++] =
            (struct CMUnitTest){cases[i].name, run_case, start_case, end_case, (void *)&cases[i]};
}

int contract_run(const struct contract_backend *backend, CMFixtureFunction group_setup,
                 CMFixtureFunction group_teardown)
{
    size_t total =
        contract_document_count + contract_postgres_count + contract_transaction_count + contract_redis_count;
    struct CMUnitTest *tests = calloc(total, sizeof *tests);
    size_t count = 0;
    if (!tests)
        return 1;
    contract.backend = backend;
    parse_documents();
    add(tests, &count, contract_document_cases, contract_document_count);
    add(tests, &count, contract_postgres_cases, contract_postgres_count);
    add(tests, &count, contract_transaction_cases, contract_transaction_count);
    add(tests, &count, contract_redis_cases, contract_redis_count);
    /* Not cmocka_run_group_tests: that takes an array of fixed size. */
    int failed = _cmocka_run_group_tests("contract", tests, count, group_setup, group_teardown);
    fl_arena_release(&arena);
    free(tests);
    return failed;
}
