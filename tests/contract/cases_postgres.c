/* cases_postgres.c - every step on Postgres by itself, in each state of the episode's row that changes its
 * answer (PROTOCOL 1, 3, 5, 6, 7 and 9). What transactions do to each other is in cases_transaction.c. */
#include "attempt.h"

#define CH FL_CHAPTERS
#define TR FL_TRANSCRIPT

static struct attempt *new_attempt(int client)
{
    return contract_attempt(client, 0, contract_add(CH, FL_MODE_REPLACE), CH, FL_MODE_REPLACE);
}

/* Without any lease: as if the token came from a Redis that lies. */
static void claim_with(struct attempt *a, int64_t version, int64_t fence, int64_t token, bool expected)
{
    a->import.version.n = version;
    a->import.fence.n = fence;
    a->import.lease.token.n = token;
    struct contract_episode before = contract_row_of(0);
    assert_int_equal(contract_ask(a, FL_ACTION_CLAIM)->claimed.claimed, expected);
    struct contract_episode after = contract_row_of(0);
    if (expected) {
        before.fence = token;
        before.nonce = a->import.lease.nonce;
    }
    contract_assert_same_episode(&before, &after);
}

/* ---- READ, ENSURE ---- */

static void test_read_unknown_job(const void *data)
{
    (void)data;
    struct attempt *a = contract_attempt(0, 0, contract_add(CH, FL_MODE_CREATE) + 1, CH, FL_MODE_CREATE);
    const struct fl_event *ev = contract_ask(a, FL_ACTION_READ);
    assert_false(ev->read.job_found);
    assert_int_equal(ev->read.answer.outcome, FL_OUTCOME_OPEN);
}

static void test_read_unknown_episode(const void *data)
{
    (void)data;
    const struct fl_event *ev = contract_ask(new_attempt(0), FL_ACTION_READ);
    assert_true(ev->read.job_found);
    assert_false(ev->read.episode_found);
    assert_false(ev->read.document_found);
    assert_int_equal(ev->read.version.n, 0);
    assert_int_equal(ev->read.fence.n, 0);
}

static void test_read_decided_job(const void *data)
{
    (void)data;
    int64_t job_id = contract_import(0, TR, 1);
    struct attempt *a = contract_attempt(1, 0, job_id, TR, FL_MODE_REPLACE);
    const struct fl_event *ev = contract_ask(a, FL_ACTION_READ);
    assert_int_equal(ev->read.answer.outcome, FL_OUTCOME_IMPORTED);
    assert_int_equal(ev->read.answer.version, contract_row_of(0).version);
    assert_int_equal(ev->read.answer.row_count, 2);
}

static void test_read_rank_of_a_retry(const void *data)
{
    (void)data;
    int64_t first = contract_add(CH, FL_MODE_REPLACE);
    const struct contract_job job = {
        .episode = contract.episodes[0], .kind = CH, .mode = FL_MODE_REPLACE, .rank = first};
    struct attempt *retry = contract_attempt(0, 0, contract_add_job(&job), CH, FL_MODE_REPLACE);
    assert_int_equal(contract_ask(retry, FL_ACTION_READ)->read.rank, first);
    struct attempt *other = new_attempt(0);
    assert_int_equal(contract_ask(other, FL_ACTION_READ)->read.rank, other->import.job.job_id);
}

static void test_read_is_of_the_own_kind(const void *data)
{
    (void)data;
    contract_import(0, CH, 0);
    struct attempt *a = contract_attempt(0, 0, contract_add(TR, FL_MODE_CREATE), TR, FL_MODE_CREATE);
    const struct fl_event *ev = contract_ask(a, FL_ACTION_READ);
    assert_true(ev->read.episode_found);
    assert_false(ev->read.document_found);
}

static void test_reads_of_one_turn(const void *data)
{
    (void)data;
    int64_t done = contract_import(1, CH, 0);
    struct attempt *all[] = {
        contract_attempt(0, 1, done, CH, FL_MODE_REPLACE), new_attempt(0),
        contract_attempt(0, 2, done + 1000000, CH, FL_MODE_REPLACE),
        contract_attempt(0, 1, contract_add_to(1, CH, FL_MODE_CREATE), CH, FL_MODE_CREATE)};
    for (int i = 0; i < 4; i++)
        contract_send(all[i], FL_ACTION_READ, -1);
    for (int i = 0; i < 4; i++)
        assert_int_equal(contract_await(all[i])->status, FL_OK);
    assert_int_equal(all[0]->answer.read.answer.outcome, FL_OUTCOME_IMPORTED);
    assert_true(all[1]->answer.read.job_found);
    assert_false(all[1]->answer.read.episode_found);
    assert_false(all[2]->answer.read.job_found);
    assert_true(all[3]->answer.read.document_found);
    assert_int_equal(all[3]->answer.read.answer.outcome, FL_OUTCOME_OPEN);
}

static void test_ensure_makes_a_row(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    assert_false(contract_row_of(0).is_there);
    contract_ask(a, FL_ACTION_ENSURE);
    const struct contract_episode fresh = {.is_there = true};
    struct contract_episode row = contract_row_of(0);
    contract_assert_same_episode(&fresh, &row);
}

static void test_ensure_keeps_a_row(const void *data)
{
    (void)data;
    contract_import(0, CH, 0);
    struct contract_episode before = contract_row_of(0);
    contract_ask(new_attempt(1), FL_ACTION_ENSURE);
    struct contract_episode after = contract_row_of(0);
    contract_assert_same_episode(&before, &after);
}

/* ---- CLAIM, CLAIM_CHECK ---- */

static void test_claim_of_an_unknown_episode(const void *data)
{
    (void)data;
    claim_with(new_attempt(0), 0, 0, 1, false);
}

static void test_claim(const void *data)
{
    (void)data;
    contract_import(0, CH, 0);
    struct contract_episode row = contract_row_of(0);
    claim_with(new_attempt(0), row.version, row.fence, row.fence + 7, true);
}

static void test_claim_token_equal(const void *data)
{
    (void)data;
    contract_import(0, CH, 0);
    struct contract_episode row = contract_row_of(0);
    claim_with(new_attempt(0), row.version, row.fence, row.fence, false);
}

static void test_claim_token_below(const void *data)
{
    (void)data;
    contract_import(0, CH, 0);
    struct contract_episode row = contract_row_of(0);
    claim_with(new_attempt(0), row.version, row.fence, row.fence - 1, false);
}

static void test_claim_fence_moved(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1);
    contract_read(a);
    claim_with(b, 0, 0, 5, true);
    claim_with(a, 0, 0, 6, false);
}

static void test_claim_version_moved(const void *data)
{
    (void)data;
    contract_import(0, CH, 0);
    struct contract_episode row = contract_row_of(0);
    claim_with(new_attempt(0), row.version - 1, row.fence, row.fence + 1, false);
    claim_with(new_attempt(0), 0, row.fence, row.fence + 1, false);
}

static void test_claim_over_a_claim(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1);
    contract_read(a);
    claim_with(a, 0, 0, 1, true);
    claim_with(b, 0, 1, 2, true);
    assert_int_equal(contract_commit(a, 0)->committed.status, FL_COMMIT_STALE);
    assert_int_equal(contract_commit(b, 1)->committed.status, FL_COMMIT_DONE);
    assert_int_equal(contract.backend->document(contract.episodes[0], CH).content, 1);
}

static void test_claims_of_one_turn(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(0);
    contract_read(a);
    a->import.lease.token.n = b->import.lease.token.n = 1;
    contract_send(a, FL_ACTION_CLAIM, -1);
    contract_send(b, FL_ACTION_CLAIM, -1);
    assert_int_equal(contract_await(a)->status, FL_OK);
    assert_int_equal(contract_await(b)->status, FL_OK);
    assert_int_equal(a->answer.claimed.claimed + b->answer.claimed.claimed, 1);
    struct attempt *winner = a->answer.claimed.claimed ? a : b;
    struct contract_episode row = contract_row_of(0);
    contract_assert_nonce(&row.nonce, &winner->import.lease.nonce);
}

static void test_claims_of_both_clients(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1);
    contract_read(a);
    a->import.lease.token.n = 1;
    b->import.lease.token.n = 2;
    contract_send(a, FL_ACTION_CLAIM, -1);
    contract_send(b, FL_ACTION_CLAIM, -1);
    assert_int_equal(contract_await(a)->status, FL_OK);
    assert_int_equal(contract_await(b)->status, FL_OK);
    assert_int_equal(a->answer.claimed.claimed + b->answer.claimed.claimed, 1);
}

static void test_claim_check(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1);
    const struct fl_event *ev = contract_ask(a, FL_ACTION_CLAIM_CHECK);
    assert_int_equal(ev->claim_seen.fence.n, 0); /* no such episode */
    assert_int_equal(ev->claim_seen.nonce.hex[0], '\0');
    contract_read(a);
    contract_ask(a, FL_ACTION_CLAIM_CHECK);
    assert_int_equal(ev->claim_seen.fence.n, 0); /* nobody's */
    assert_int_equal(ev->claim_seen.nonce.hex[0], '\0');
    claim_with(a, 0, 0, 3, true);
    contract_ask(a, FL_ACTION_CLAIM_CHECK);
    assert_int_equal(ev->claim_seen.fence.n, 3);
    contract_assert_nonce(&ev->claim_seen.nonce, &a->import.lease.nonce);
    contract_ask(b, FL_ACTION_CLAIM_CHECK);
    assert_int_equal(b->answer.claim_seen.fence.n, 3);
    contract_assert_nonce(&b->answer.claim_seen.nonce, &a->import.lease.nonce);
}

/* ---- COMMIT, beside its table in cases_document.c ---- */

/* Nothing is written, the job stays open. */
static void refuse_commit(struct attempt *a)
{
    struct contract_episode before = contract_row_of(0);
    struct contract_document document = contract.backend->document(contract.episodes[0], CH);
    assert_int_equal(contract_commit(a, 1)->committed.status, FL_COMMIT_STALE);
    contract_assert_row(a->import.job.job_id, FL_OUTCOME_OPEN);
    struct contract_episode after = contract_row_of(0);
    struct contract_document document_after = contract.backend->document(contract.episodes[0], CH);
    contract_assert_same_episode(&before, &after);
    contract_assert_same_document(&document, &document_after);
}

static void test_commit_nonce_differs(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1);
    contract_take(a);
    b->import.version = a->import.version;
    b->import.lease.token = a->import.lease.token;
    refuse_commit(b);
}

/* Compared whole, not by how it begins. */
static void test_commit_nonce_prefix(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    contract_take(a);
    a->import.lease.nonce.hex[FL_NONCE_LEN - 1] ^= 1;
    refuse_commit(a);
}

static void test_commit_fence_moved(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1);
    contract_take(a);
    claim_with(b, 0, a->import.lease.token.n, a->import.lease.token.n + 1, true);
    refuse_commit(a);
}

static void test_commit_token_differs(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    contract_take(a);
    a->import.lease.token.n++;
    refuse_commit(a);
    a->import.lease.token.n -= 2;
    refuse_commit(a);
}

static void test_commit_version_moved(const void *data)
{
    (void)data;
    contract_import(0, CH, 0);
    struct attempt *a = new_attempt(0);
    contract_take(a);
    a->import.version.n--;
    refuse_commit(a);
}

static void test_commit_without_claim(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    contract_read(a);
    contract_lease(a);
    refuse_commit(a);
}

static void test_commit_of_an_unknown_job(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    contract_take(a);
    a->import.job.job_id++;
    assert_int_equal(contract_commit(a, 1)->committed.status, FL_COMMIT_STALE);
}

static void test_commit_of_another_kind(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    contract_take(a);
    a->import.job.kind = TR; /* the job's row says chapters */
    refuse_commit(a);
}

static void test_commit_of_a_decided_job(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b;
    contract_take(a);
    b = contract_attempt(1, 0, a->import.job.job_id, CH, FL_MODE_REPLACE);
    b->import.want = FL_OUTCOME_CANCELLED;
    contract_ask(b, FL_ACTION_DECIDE);
    struct contract_episode before = contract_row_of(0);
    const struct fl_event *ev = contract_commit(a, 1);
    assert_int_equal(ev->committed.status, FL_COMMIT_DECIDED);
    assert_int_equal(ev->committed.answer.outcome, FL_OUTCOME_CANCELLED);
    struct contract_episode after = contract_row_of(0);
    contract_assert_same_episode(&before, &after);
    assert_false(contract.backend->document(contract.episodes[0], CH).is_there);
    contract_assert_row(a->import.job.job_id, FL_OUTCOME_CANCELLED);
}

static void test_commit_twice(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    contract_take(a);
    assert_int_equal(contract_commit(a, 1)->committed.status, FL_COMMIT_DONE);
    struct contract_document before = contract.backend->document(contract.episodes[0], CH);
    assert_int_equal(contract_commit(a, 1)->committed.status, FL_COMMIT_STALE);
    struct contract_document after = contract.backend->document(contract.episodes[0], CH);
    contract_assert_same_document(&before, &after);
    contract_assert_row(a->import.job.job_id, FL_OUTCOME_IMPORTED);
}

/* A decision without rows moves no version, and so does not end the claim. */
static void test_unchanged_leaves_the_claim(const void *data)
{
    (void)data;
    contract_import(0, CH, 0);
    struct attempt *a = new_attempt(0);
    contract_take(a);
    assert_int_equal(contract_commit(a, 0)->committed.answer.outcome, FL_OUTCOME_UNCHANGED);
    assert_int_equal(contract_commit(a, 0)->committed.status, FL_COMMIT_DECIDED);
    assert_int_equal(a->answer.committed.answer.outcome, FL_OUTCOME_UNCHANGED);
}

/* The content is the newer job's too: an older one must not replace it. */
static void test_unchanged_raises_the_rank(const void *data)
{
    (void)data;
    contract_import(0, CH, 0);
    int64_t older = contract_add(CH, FL_MODE_REPLACE), newer = contract_add(CH, FL_MODE_REPLACE);
    contract_finish(newer, 0, CH, FL_MODE_REPLACE, 0, FL_OUTCOME_UNCHANGED);
    assert_int_equal(contract.backend->document(contract.episodes[0], CH).rank, newer);
    contract_finish(older, 0, CH, FL_MODE_REPLACE, 1, FL_OUTCOME_SUPERSEDED);
    assert_int_equal(contract.backend->document(contract.episodes[0], CH).content, 0);
}

/* A retry that keeps its rank is not superseded by what it wrote itself, and lowers nothing. */
static void test_equal_rank_is_not_superseded(const void *data)
{
    (void)data;
    int64_t first = contract_import(0, CH, 0);
    const struct contract_job job = {
        .episode = contract.episodes[0], .kind = CH, .mode = FL_MODE_REPLACE, .rank = first};
    contract_finish(contract_add_job(&job), 0, CH, FL_MODE_REPLACE, 0, FL_OUTCOME_UNCHANGED);
    assert_int_equal(contract.backend->document(contract.episodes[0], CH).rank, first);
    contract_finish(contract_add_job(&job), 0, CH, FL_MODE_REPLACE, 1, FL_OUTCOME_IMPORTED);
    assert_int_equal(contract.backend->document(contract.episodes[0], CH).rank, first);
}

static void test_kinds_have_ranks_of_their_own(const void *data)
{
    (void)data;
    int64_t older = contract_add(TR, FL_MODE_CREATE);
    contract_import(0, CH, 0);
    int64_t chapters_version = contract_row_of(0).version;
    contract_finish(older, 0, TR, FL_MODE_CREATE, 1, FL_OUTCOME_IMPORTED);
    assert_int_equal(contract.backend->document(contract.episodes[0], CH).version, chapters_version);
    assert_true(contract_row_of(0).version > chapters_version);
    assert_int_equal(contract.backend->document(contract.episodes[0], TR).content, 1);
    assert_int_equal(contract.backend->document(contract.episodes[0], CH).content, 0);
}

static void test_commit_does_not_need_the_lease(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    contract_take(a);
    contract.backend->lose_redis();
    assert_int_equal(contract_commit(a, 1)->committed.status, FL_COMMIT_DONE);
}

/* One of several in one transaction that is refused undoes nothing of the others. */
static void test_commits_of_one_turn(const void *data)
{
    (void)data;
    struct attempt *all[3];
    for (int i = 0; i < 3; i++) {
        all[i] = contract_attempt(0, i, contract_add_to(i, CH, FL_MODE_CREATE), CH, FL_MODE_CREATE);
        contract_take(all[i]);
    }
    all[1]->import.lease.nonce.hex[5] ^= 1;
    for (int i = 0; i < 3; i++)
        contract_send(all[i], FL_ACTION_COMMIT, i);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(contract_await(all[i])->status, FL_OK);
        assert_int_equal(all[i]->answer.committed.status, i == 1 ? FL_COMMIT_STALE : FL_COMMIT_DONE);
        assert_int_equal(contract.backend->document(contract.episodes[i], CH).content, i == 1 ? -1 : i);
    }
}

/* ---- DECIDE, beside its table ---- */

static void decide(struct attempt *a, enum fl_outcome want, enum fl_outcome expected)
{
    a->import.want = want;
    const struct fl_event *ev = contract_ask(a, FL_ACTION_DECIDE);
    assert_false(ev->decided.ground_gone);
    assert_string_equal(fl_outcome_name(ev->decided.answer.outcome), fl_outcome_name(expected));
}

static void test_decide_without_a_ground(const void *data)
{
    static const enum fl_outcome WANTS[] = {FL_OUTCOME_FAILED, FL_OUTCOME_INVALID, FL_OUTCOME_CANCELLED};
    (void)data;
    contract_import(0, CH, 0);
    struct contract_document before = contract.backend->document(contract.episodes[0], CH);
    struct contract_episode episode = contract_row_of(0);
    for (int i = 0; i < 3; i++) {
        struct attempt *a = new_attempt(0);
        decide(a, WANTS[i], WANTS[i]);
        assert_int_equal(a->answer.decided.answer.version, before.version);
        contract_assert_row(a->import.job.job_id, WANTS[i]);
    }
    struct contract_document after = contract.backend->document(contract.episodes[0], CH);
    struct contract_episode episode_after = contract_row_of(0);
    contract_assert_same_document(&before, &after);
    contract_assert_same_episode(&episode, &episode_after);
}

static void test_decide_without_an_episode(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    decide(a, FL_OUTCOME_INVALID, FL_OUTCOME_INVALID);
    contract_assert_row(a->import.job.job_id, FL_OUTCOME_INVALID);
    assert_false(contract_row_of(0).is_there);
}

static void test_decide_is_write_once(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    decide(a, FL_OUTCOME_INVALID, FL_OUTCOME_INVALID);
    decide(a, FL_OUTCOME_CANCELLED, FL_OUTCOME_INVALID);
    contract_assert_row(a->import.job.job_id, FL_OUTCOME_INVALID);
    int64_t imported = contract_import(0, CH, 0);
    struct attempt *late = contract_attempt(1, 0, imported, CH, FL_MODE_REPLACE);
    decide(late, FL_OUTCOME_FAILED, FL_OUTCOME_IMPORTED);
    contract_assert_row(imported, FL_OUTCOME_IMPORTED);
}

/* Of a job whose row has gone meanwhile: no answer, and nothing is made up. */
static void test_decide_of_an_unknown_job(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    a->import.job.job_id++;
    decide(a, FL_OUTCOME_CANCELLED, FL_OUTCOME_OPEN);
}

static void test_decide_leaves_the_claim(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1);
    contract_take(a);
    decide(b, FL_OUTCOME_CANCELLED, FL_OUTCOME_CANCELLED);
    assert_int_equal(contract_commit(a, 1)->committed.status, FL_COMMIT_DONE);
}

/* ---- RESOLVE of what is over ---- */

static void test_resolve_decided(const void *data)
{
    (void)data;
    int64_t job_id = contract_import(0, CH, 1);
    struct attempt *a = contract_attempt(1, 0, job_id, CH, FL_MODE_REPLACE);
    a->import.mark = (struct fl_commit_mark){.backend_pid = 1, .backend_start_us = 1};
    const struct fl_event *ev = contract_ask(a, FL_ACTION_RESOLVE);
    assert_int_equal(ev->resolved.status, FL_RESOLVED_DECIDED);
    assert_int_equal(ev->resolved.answer.outcome, FL_OUTCOME_IMPORTED);
    assert_int_equal(ev->resolved.answer.version, contract_row_of(0).version);
    assert_int_equal(ev->resolved.answer.row_count, 2);
}

static void test_resolve_committed_xid(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    contract_take(a);
    contract_commit(a, 1);
    assert_true(a->import.mark.xid > 0 && a->import.mark.backend_pid > 0);
    const struct fl_event *ev = contract_ask(a, FL_ACTION_RESOLVE);
    assert_int_equal(ev->resolved.status, FL_RESOLVED_DECIDED);
    assert_int_equal(ev->resolved.answer.outcome, FL_OUTCOME_IMPORTED);
}

static void test_resolve_dead_session(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    contract_read(a);
    a->import.mark = (struct fl_commit_mark){.backend_pid = 1, .backend_start_us = 1};
    assert_int_equal(contract_ask(a, FL_ACTION_RESOLVE)->resolved.status, FL_RESOLVED_NEVER);
    contract_assert_row(a->import.job.job_id, FL_OUTCOME_OPEN);
}

/* As on a standby that was promoted before it had heard of the transaction. */
static void test_resolve_future_xid(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    contract_read(a);
    a->import.mark = (struct fl_commit_mark){
        .xid = contract.backend->future_xid(), .backend_pid = 1, .backend_start_us = 1};
    contract_send(a, FL_ACTION_RESOLVE, -1);
    assert_int_equal(contract_await(a)->status, FL_FAILED);
}

/* ---- break ---- */

static enum contract_break break_claim(const struct contract_episode *seen)
{
    return contract.backend->break_claim(contract.episodes[0], seen);
}

static void test_break(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    contract_take(a);
    struct contract_episode seen = contract_row_of(0);
    assert_int_equal(break_claim(&seen), CONTRACT_BROKEN);
    struct contract_episode after = contract_row_of(0);
    assert_int_equal(after.version, seen.version);
    assert_int_equal(after.fence, seen.fence + 1);
    assert_string_not_equal(after.nonce.hex, seen.nonce.hex);
    refuse_commit(a);
}

static void test_break_before_the_claim(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    contract_read(a);
    contract_lease(a);
    struct contract_episode seen = contract_row_of(0);
    assert_int_equal(break_claim(&seen), CONTRACT_BROKEN);
    assert_false(contract_ask(a, FL_ACTION_CLAIM)->claimed.claimed);
}

static void test_break_of_another(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1);
    contract_take(a);
    struct contract_episode seen = contract_row_of(0);
    claim_with(b, 0, seen.fence, seen.fence + 1, true);
    struct contract_episode before = contract_row_of(0);
    assert_int_equal(break_claim(&seen), CONTRACT_CHANGED);
    struct contract_episode other = before;
    other.nonce = seen.nonce;
    assert_int_equal(break_claim(&other), CONTRACT_CHANGED);
    struct contract_episode after = contract_row_of(0);
    contract_assert_same_episode(&before, &after);
    assert_int_equal(contract_commit(b, 0)->committed.status, FL_COMMIT_DONE);
}

static void test_break_of_an_unknown_episode(const void *data)
{
    (void)data;
    const struct contract_episode seen = {.is_there = true};
    assert_int_equal(break_claim(&seen), CONTRACT_UNKNOWN);
    assert_false(contract_row_of(0).is_there);
}

/* ---- away ---- */

static void test_postgres_is_away(const void *data)
{
    static const enum fl_action_type ACTIONS[] = {FL_ACTION_READ,        FL_ACTION_ENSURE,  FL_ACTION_CLAIM,
                                                  FL_ACTION_CLAIM_CHECK, FL_ACTION_RESOLVE, FL_ACTION_DECIDE};
    (void)data;
    struct attempt *a = new_attempt(0);
    contract_take(a);
    struct contract_episode before = contract_row_of(0);
    contract.backend->set_down(false, true);
    a->import.want = FL_OUTCOME_FAILED;
    for (size_t i = 0; i < sizeof ACTIONS / sizeof *ACTIONS; i++) {
        contract_send(a, ACTIONS[i], -1);
        assert_int_equal(contract_await(a)->status, FL_UNAVAILABLE);
    }
    contract_send(a, FL_ACTION_COMMIT, 1);
    assert_int_equal(contract_await(a)->status, FL_UNAVAILABLE);
    contract.backend->set_down(false, false);
    struct contract_episode after = contract_row_of(0);
    contract_assert_same_episode(&before, &after);
    contract_assert_row(a->import.job.job_id, FL_OUTCOME_OPEN);
    assert_int_equal(contract_commit(a, 1)->committed.status, FL_COMMIT_DONE);
}

const struct contract_case contract_postgres_cases[] = {
    {"read: an unknown job", test_read_unknown_job, NULL},
    {"read: an unknown episode", test_read_unknown_episode, NULL},
    {"read: a decided job", test_read_decided_job, NULL},
    {"read: the rank of a retry", test_read_rank_of_a_retry, NULL},
    {"read: the document of the own kind", test_read_is_of_the_own_kind, NULL},
    {"read: several in one turn", test_reads_of_one_turn, NULL},
    {"ensure: makes a row", test_ensure_makes_a_row, NULL},
    {"ensure: keeps a row", test_ensure_keeps_a_row, NULL},
    {"claim: of an unknown episode", test_claim_of_an_unknown_episode, NULL},
    {"claim: fence and nonce, and no version", test_claim, NULL},
    {"claim: token equal to the fence", test_claim_token_equal, NULL},
    {"claim: token below the fence", test_claim_token_below, NULL},
    {"claim: the fence has moved", test_claim_fence_moved, NULL},
    {"claim: the version has moved", test_claim_version_moved, NULL},
    {"claim: ends the claim before it", test_claim_over_a_claim, NULL},
    {"claim: two in one turn", test_claims_of_one_turn, NULL},
    {"claim: two clients at once", test_claims_of_both_clients, NULL},
    {"claim-check: unknown, nobody's, mine, another's", test_claim_check, NULL},
    {"commit: the nonce differs", test_commit_nonce_differs, NULL},
    {"commit: the nonce differs in its last digit", test_commit_nonce_prefix, NULL},
    {"commit: the fence has moved", test_commit_fence_moved, NULL},
    {"commit: the token differs", test_commit_token_differs, NULL},
    {"commit: the version has moved", test_commit_version_moved, NULL},
    {"commit: without a claim", test_commit_without_claim, NULL},
    {"commit: of an unknown job", test_commit_of_an_unknown_job, NULL},
    {"commit: of another kind than the job's", test_commit_of_another_kind, NULL},
    {"commit: of a decided job", test_commit_of_a_decided_job, NULL},
    {"commit: twice", test_commit_twice, NULL},
    {"commit: unchanged leaves the claim", test_unchanged_leaves_the_claim, NULL},
    {"commit: unchanged raises the rank", test_unchanged_raises_the_rank, NULL},
    {"commit: an equal rank is not superseded", test_equal_rank_is_not_superseded, NULL},
    {"commit: kinds have ranks of their own", test_kinds_have_ranks_of_their_own, NULL},
    {"commit: does not need the lease", test_commit_does_not_need_the_lease, NULL},
    {"commit: three in one turn, one refused", test_commits_of_one_turn, NULL},
    {"decide: failed, invalid, cancelled", test_decide_without_a_ground, NULL},
    {"decide: without an episode", test_decide_without_an_episode, NULL},
    {"decide: is write-once", test_decide_is_write_once, NULL},
    {"decide: of an unknown job", test_decide_of_an_unknown_job, NULL},
    {"decide: leaves others their claim", test_decide_leaves_the_claim, NULL},
    {"resolve: decided", test_resolve_decided, NULL},
    {"resolve: a committed transaction", test_resolve_committed_xid, NULL},
    {"resolve: a session that is gone", test_resolve_dead_session, NULL},
    {"resolve: a transaction of the future", test_resolve_future_xid, NULL},
    {"break: ends the claim", test_break, NULL},
    {"break: before the claim", test_break_before_the_claim, NULL},
    {"break: of another than was seen", test_break_of_another, NULL},
    {"break: of an unknown episode", test_break_of_an_unknown_episode, NULL},
    {"postgres is away", test_postgres_is_away, NULL},
};
CASES_END(postgres);
