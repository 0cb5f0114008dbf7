/* cases_transaction.c - what transactions of Postgres do to each other, and what is left of one whose session
 * ends or whose COMMIT is refused (PROTOCOL 3, 5, 6 and 7). See contract.h.
 *
 * A transaction "is held" when it has done all its work and waits with its COMMIT; it "waits" when another
 * has the row that it needs. After the other has ended it looks again at what is there (READ COMMITTED). */
#include "attempt.h"

#define CH FL_CHAPTERS

static struct attempt *new_attempt(int client)
{
    return contract_attempt(client, 0, contract_add(CH, FL_MODE_REPLACE), CH, FL_MODE_REPLACE);
}

/* Starts it, and waits until it is held. */
static void hold(struct attempt *a, enum fl_action_type action, int content)
{
    contract.backend->hold_commits(true);
    contract_send(a, action, content);
    contract.backend->await_transactions(0, 1);
    assert_false(a->is_answered);
}

/* Starts it, and waits until it waits for the one that is held. */
static void block(struct attempt *a, enum fl_action_type action, int content)
{
    contract_send(a, action, content);
    contract.backend->await_transactions(1, 1);
    assert_false(a->is_answered);
}

static void let_commit(void)
{
    contract.backend->hold_commits(false);
}

static void await_ok(struct attempt *a)
{
    assert_int_equal(contract_await(a)->status, FL_OK);
}

/* Ends its session, and it is told that nobody knows. */
static void terminate(struct attempt *a)
{
    contract.backend->terminate(&a->request);
    assert_int_equal(contract_await(a)->status, FL_LOST);
}

/* A holder who is about to commit, and a rival who has read the same. */
static void set_up(struct attempt **holder, struct attempt **rival)
{
    *holder = new_attempt(0);
    contract_read(*holder);
    *rival = new_attempt(1);
    contract_read(*rival);
    contract_lease(*holder);
    (*rival)->import.lease.token.n = (*holder)->import.lease.token.n + 1;
}

/* ---- one waits for another ---- */

static void test_claim_waits_for_a_claim(const void *data)
{
    struct attempt *a, *b;
    (void)data;
    set_up(&a, &b);
    hold(a, FL_ACTION_CLAIM, -1);
    block(b, FL_ACTION_CLAIM, -1);
    let_commit();
    await_ok(a);
    await_ok(b);
    assert_true(a->answer.claimed.claimed);
    assert_false(b->answer.claimed.claimed);
}

static void test_claim_waits_for_a_claim_that_aborts(const void *data)
{
    struct attempt *a, *b;
    (void)data;
    set_up(&a, &b);
    hold(a, FL_ACTION_CLAIM, -1);
    block(b, FL_ACTION_CLAIM, -1);
    terminate(a);
    let_commit();
    await_ok(b);
    assert_true(b->answer.claimed.claimed);
    struct contract_episode row = contract_row_of(0);
    contract_assert_nonce(&row.nonce, &b->import.lease.nonce);
}

static void test_claim_waits_for_a_commit(const void *data)
{
    struct attempt *a, *b;
    (void)data;
    set_up(&a, &b);
    contract_claim(a);
    b->import.fence.n = a->import.lease.token.n; /* read after the claim */
    hold(a, FL_ACTION_COMMIT, 1);
    block(b, FL_ACTION_CLAIM, -1);
    let_commit();
    await_ok(a);
    await_ok(b);
    assert_int_equal(a->answer.committed.status, FL_COMMIT_DONE);
    assert_false(b->answer.claimed.claimed); /* the version has moved */
}

static void test_claim_waits_for_a_commit_that_aborts(const void *data)
{
    struct attempt *a, *b;
    (void)data;
    set_up(&a, &b);
    contract_claim(a);
    b->import.fence.n = a->import.lease.token.n;
    hold(a, FL_ACTION_COMMIT, 1);
    block(b, FL_ACTION_CLAIM, -1);
    terminate(a);
    let_commit();
    await_ok(b);
    assert_true(b->answer.claimed.claimed);
    assert_false(contract.backend->document(contract.episodes[0], CH).is_there);
    contract_assert_row(a->import.job.job_id, FL_OUTCOME_OPEN);
    assert_int_equal(contract_commit(a, 1)->committed.status, FL_COMMIT_STALE);
}

static void test_commit_waits_for_a_claim(const void *data)
{
    struct attempt *a, *b;
    (void)data;
    set_up(&a, &b);
    contract_claim(a);
    b->import.fence.n = a->import.lease.token.n;
    hold(b, FL_ACTION_CLAIM, -1);
    block(a, FL_ACTION_COMMIT, 1);
    let_commit();
    await_ok(b);
    await_ok(a);
    assert_true(b->answer.claimed.claimed);
    assert_int_equal(a->answer.committed.status, FL_COMMIT_STALE);
    assert_false(contract.backend->document(contract.episodes[0], CH).is_there);
    contract_assert_row(a->import.job.job_id, FL_OUTCOME_OPEN);
}

static void test_commit_waits_for_a_claim_that_aborts(const void *data)
{
    struct attempt *a, *b;
    (void)data;
    set_up(&a, &b);
    contract_claim(a);
    b->import.fence.n = a->import.lease.token.n;
    hold(b, FL_ACTION_CLAIM, -1);
    block(a, FL_ACTION_COMMIT, 1);
    terminate(b);
    let_commit();
    await_ok(a);
    assert_int_equal(a->answer.committed.status, FL_COMMIT_DONE);
    assert_int_equal(contract.backend->document(contract.episodes[0], CH).content, 1);
}

/* Another decides the job of a commit that waits: its outcome is the first one's. */
static void test_commit_waits_for_a_decision(const void *data)
{
    struct attempt *a, *b;
    (void)data;
    set_up(&a, &b);
    contract_claim(a);
    b->import.job.job_id = a->import.job.job_id;
    b->import.want = FL_OUTCOME_CANCELLED;
    hold(b, FL_ACTION_DECIDE, -1);
    block(a, FL_ACTION_COMMIT, 1);
    let_commit();
    await_ok(b);
    await_ok(a);
    assert_int_equal(b->answer.decided.answer.outcome, FL_OUTCOME_CANCELLED);
    assert_int_equal(a->answer.committed.status, FL_COMMIT_DECIDED);
    assert_int_equal(a->answer.committed.answer.outcome, FL_OUTCOME_CANCELLED);
    assert_false(contract.backend->document(contract.episodes[0], CH).is_there);
}

static void test_decision_waits_for_a_commit(const void *data)
{
    struct attempt *a, *b;
    (void)data;
    set_up(&a, &b);
    contract_claim(a);
    b->import.job.job_id = a->import.job.job_id;
    b->import.want = FL_OUTCOME_CANCELLED;
    hold(a, FL_ACTION_COMMIT, 1);
    block(b, FL_ACTION_DECIDE, -1);
    let_commit();
    await_ok(a);
    await_ok(b);
    assert_int_equal(b->answer.decided.answer.outcome, FL_OUTCOME_IMPORTED);
    assert_int_equal(b->answer.decided.answer.version, a->import.lease.token.n);
    contract_assert_row(a->import.job.job_id, FL_OUTCOME_IMPORTED);
}

static void test_decision_waits_for_a_commit_that_aborts(const void *data)
{
    struct attempt *a, *b;
    (void)data;
    set_up(&a, &b);
    contract_claim(a);
    b->import.job.job_id = a->import.job.job_id;
    b->import.want = FL_OUTCOME_CANCELLED;
    hold(a, FL_ACTION_COMMIT, 1);
    block(b, FL_ACTION_DECIDE, -1);
    terminate(a);
    let_commit();
    await_ok(b);
    assert_int_equal(b->answer.decided.answer.outcome, FL_OUTCOME_CANCELLED);
    assert_false(contract.backend->document(contract.episodes[0], CH).is_there);
}

/* A ground for refusing that comes, and one that goes, while the decision waits. */
static void test_decision_finds_a_new_ground(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    struct attempt *b = contract_attempt(1, 0, contract_add(CH, FL_MODE_CREATE), CH, FL_MODE_CREATE);
    contract_take(a);
    b->import.want = FL_OUTCOME_REJECTED;
    hold(a, FL_ACTION_COMMIT, 1);
    block(b, FL_ACTION_DECIDE, -1);
    let_commit();
    await_ok(a);
    await_ok(b);
    assert_false(b->answer.decided.ground_gone);
    assert_int_equal(b->answer.decided.answer.outcome, FL_OUTCOME_REJECTED);
}

static void test_decision_loses_its_ground(const void *data)
{
    (void)data;
    contract_import(0, CH, 0);
    struct attempt *a = contract_attempt(0, 0, contract_add(CH, FL_MODE_DELETE), CH, FL_MODE_DELETE);
    struct attempt *b = contract_attempt(1, 0, contract_add(CH, FL_MODE_CREATE), CH, FL_MODE_CREATE);
    contract_take(a);
    b->import.want = FL_OUTCOME_REJECTED;
    hold(a, FL_ACTION_COMMIT, -1);
    block(b, FL_ACTION_DECIDE, -1);
    let_commit();
    await_ok(a);
    await_ok(b);
    assert_true(b->answer.decided.ground_gone);
    contract_assert_row(b->import.job.job_id, FL_OUTCOME_OPEN);
}

/* ---- and what does not wait ---- */

static void test_reads_do_not_wait(const void *data)
{
    struct attempt *a, *b;
    (void)data;
    set_up(&a, &b);
    contract_claim(a);
    hold(a, FL_ACTION_COMMIT, 1);
    const struct fl_event *ev = contract_ask(b, FL_ACTION_READ);
    assert_int_equal(ev->read.version.n, 0);
    assert_int_equal(ev->read.fence.n, a->import.lease.token.n);
    assert_false(ev->read.document_found);
    assert_int_equal(contract_ask(b, FL_ACTION_CLAIM_CHECK)->claim_seen.fence.n, a->import.lease.token.n);
    assert_false(a->is_answered);
    let_commit();
    await_ok(a);
}

/* INSERT .. ON CONFLICT DO NOTHING wants to know whether the row that is in its way stays. */
static void test_ensure_waits_for_a_change(const void *data)
{
    struct attempt *a, *b;
    (void)data;
    set_up(&a, &b);
    hold(a, FL_ACTION_CLAIM, -1);
    block(b, FL_ACTION_ENSURE, -1);
    let_commit();
    await_ok(a);
    await_ok(b);
    assert_int_equal(contract_row_of(0).fence, a->import.lease.token.n);
}

static void test_ensure_does_not_wait_for_a_lock(const void *data)
{
    struct attempt *a, *b;
    (void)data;
    set_up(&a, &b);
    a->import.want = FL_OUTCOME_INVALID;
    hold(a, FL_ACTION_DECIDE, -1);
    contract_ask(b, FL_ACTION_ENSURE);
    assert_false(a->is_answered);
    let_commit();
    await_ok(a);
}

static void test_stale_claim_does_not_wait(const void *data)
{
    struct attempt *a, *b;
    (void)data;
    set_up(&a, &b);
    contract_claim(a);
    hold(a, FL_ACTION_COMMIT, 1);
    assert_false(contract_ask(b, FL_ACTION_CLAIM)->claimed.claimed);
    assert_false(a->is_answered);
    let_commit();
    await_ok(a);
}

static void test_stale_commit_does_not_wait(const void *data)
{
    struct attempt *a, *b;
    (void)data;
    set_up(&a, &b);
    contract_claim(a);
    hold(a, FL_ACTION_COMMIT, 1);
    assert_int_equal(contract_commit(b, 0)->committed.status, FL_COMMIT_STALE);
    assert_false(a->is_answered);
    let_commit();
    await_ok(a);
}

static void test_break_does_not_wait(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    contract_take(a);
    struct contract_episode seen = contract_row_of(0);
    hold(a, FL_ACTION_COMMIT, 1);
    assert_int_equal(contract.backend->break_claim(contract.episodes[0], &seen), CONTRACT_LOCKED);
    let_commit();
    await_ok(a);
    assert_int_equal(a->answer.committed.status, FL_COMMIT_DONE);
    assert_int_equal(contract_row_of(0).fence, seen.fence);
}

static void test_other_episodes_do_not_wait(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    struct attempt *b = contract_attempt(1, 1, contract_add_to(1, CH, FL_MODE_REPLACE), CH, FL_MODE_REPLACE);
    contract_take(a);
    contract_take(b);
    hold(a, FL_ACTION_COMMIT, 1);
    contract_send(b, FL_ACTION_COMMIT, 0);
    contract.backend->await_transactions(0, 2);
    let_commit();
    await_ok(a);
    await_ok(b);
    assert_int_equal(b->answer.committed.status, FL_COMMIT_DONE);
}

static void test_lock_timeout(const void *data)
{
    struct attempt *a, *b;
    (void)data;
    set_up(&a, &b);
    contract_claim(a);
    b->import.fence.n = a->import.lease.token.n;
    hold(a, FL_ACTION_COMMIT, 1);
    block(b, FL_ACTION_CLAIM, -1);
    assert_int_equal(contract_await(b)->status, FL_TRANSIENT);
    assert_int_equal(contract_row_of(0).fence, a->import.lease.token.n);
    let_commit();
    contract.backend->run_until(&a->is_answered); /* done, or timed out itself meanwhile */
}

/* ---- sessions that end, COMMITs that fail ---- */

/* Nothing of it is there, and it can be done again. */
static void check_undone(struct attempt *a, const struct contract_episode *before)
{
    struct contract_episode after = contract_row_of(0);
    contract_assert_same_episode(before, &after);
    contract_assert_row(a->import.job.job_id, FL_OUTCOME_OPEN);
    assert_false(contract.backend->document(contract.episodes[0], CH).is_there);
}

static void test_terminated_while_waiting(const void *data)
{
    struct attempt *a, *b;
    (void)data;
    set_up(&a, &b);
    hold(a, FL_ACTION_CLAIM, -1);
    block(b, FL_ACTION_CLAIM, -1);
    terminate(b);
    let_commit();
    await_ok(a);
    assert_true(a->answer.claimed.claimed);
    struct contract_episode row = contract_row_of(0);
    contract_assert_nonce(&row.nonce, &a->import.lease.nonce);
}

static void test_terminated_commit_while_waiting(const void *data)
{
    struct attempt *a, *b;
    (void)data;
    set_up(&a, &b);
    contract_claim(a);
    b->import.want = FL_OUTCOME_FAILED;
    hold(b, FL_ACTION_DECIDE, -1);
    block(a, FL_ACTION_COMMIT, 1);
    struct contract_episode before = contract_row_of(0);
    terminate(a);
    assert_true(a->import.mark.backend_pid > 0);
    let_commit();
    await_ok(b);
    check_undone(a, &before);
    assert_int_equal(contract_ask(a, FL_ACTION_RESOLVE)->resolved.status, FL_RESOLVED_NEVER);
}

static void terminate_held(enum fl_action_type action, int content)
{
    struct attempt *a, *b;
    set_up(&a, &b);
    if (action != FL_ACTION_CLAIM)
        contract_claim(a);
    a->import.want = FL_OUTCOME_CANCELLED;
    struct contract_episode before = contract_row_of(0);
    hold(a, action, content);
    terminate(a);
    let_commit();
    check_undone(a, &before);
}

static void test_terminated_claim(const void *data)
{
    (void)data;
    terminate_held(FL_ACTION_CLAIM, -1);
}

static void test_terminated_commit(const void *data)
{
    (void)data;
    terminate_held(FL_ACTION_COMMIT, 1);
}

static void test_terminated_decision(const void *data)
{
    (void)data;
    terminate_held(FL_ACTION_DECIDE, -1);
}

/* The server says of itself that it was rolled back: an error, never a success. */
static void refuse(enum fl_action_type action, int content)
{
    struct attempt *a, *b;
    set_up(&a, &b);
    if (action != FL_ACTION_CLAIM)
        contract_claim(a);
    a->import.want = FL_OUTCOME_CANCELLED;
    struct contract_episode before = contract_row_of(0);
    contract.backend->refuse_commits(true);
    contract_send(a, action, content);
    assert_int_equal(contract_await(a)->status, FL_TRANSIENT);
    contract.backend->refuse_commits(false);
    check_undone(a, &before);
    contract_send(a, action, content);
    await_ok(a);
}

static void test_refused_claim(const void *data)
{
    (void)data;
    refuse(FL_ACTION_CLAIM, -1);
}

static void test_refused_commit(const void *data)
{
    (void)data;
    refuse(FL_ACTION_COMMIT, 1);
}

static void test_refused_decision(const void *data)
{
    (void)data;
    refuse(FL_ACTION_DECIDE, -1);
}

/* ---- lost replies: PROTOCOL 6 ---- */

/* A commit that is held, and whose sender has lost its connection. */
static struct attempt *lose_reply(struct fl_commit_mark *mark)
{
    struct attempt *a = new_attempt(0);
    contract_take(a);
    hold(a, FL_ACTION_COMMIT, 1);
    *mark = contract.backend->mark(&a->request);
    assert_true(mark->xid > 0);
    contract.backend->cut_postgres(0);
    assert_int_equal(contract_await(a)->status, FL_LOST);
    assert_int_equal(a->import.mark.backend_pid, mark->backend_pid);
    assert_int_equal(a->import.mark.backend_start_us, mark->backend_start_us);
    return a;
}

static void await_end(const struct fl_commit_mark *mark)
{
    for (int i = 0; i < 2000 && contract.backend->is_running(mark); i++)
        contract.backend->run_for(1);
    assert_false(contract.backend->is_running(mark));
}

static void test_lost_reply_of_a_commit(const void *data)
{
    struct fl_commit_mark mark;
    (void)data;
    struct attempt *a = lose_reply(&mark);
    let_commit();
    await_end(&mark);
    const struct fl_event *ev = contract_ask(a, FL_ACTION_RESOLVE);
    assert_int_equal(ev->resolved.status, FL_RESOLVED_DECIDED);
    assert_int_equal(ev->resolved.answer.outcome, FL_OUTCOME_IMPORTED);
    assert_int_equal(ev->resolved.answer.version, a->import.lease.token.n);
    assert_int_equal(contract.backend->document(contract.episodes[0], CH).content, 1);
}

/* It runs still: its session is ended, and only then it never happened. */
static void resolve_running(bool knows_xid)
{
    struct fl_commit_mark mark;
    struct attempt *a = lose_reply(&mark);
    a->import.mark.xid = knows_xid ? mark.xid : 0;
    assert_int_equal(contract_ask(a, FL_ACTION_RESOLVE)->resolved.status, FL_RESOLVED_RUNNING);
    await_end(&mark);
    assert_int_equal(contract_ask(a, FL_ACTION_RESOLVE)->resolved.status, FL_RESOLVED_NEVER);
    let_commit();
    contract.backend->run_for(20);
    contract_assert_row(a->import.job.job_id, FL_OUTCOME_OPEN);
    assert_false(contract.backend->document(contract.episodes[0], CH).is_there);
    a->import.mark.xid = mark.xid; /* by its number, too: aborted */
    assert_int_equal(contract_ask(a, FL_ACTION_RESOLVE)->resolved.status, FL_RESOLVED_NEVER);
}

static void test_resolve_running_xid(const void *data)
{
    (void)data;
    resolve_running(true);
}

static void test_resolve_running_session(const void *data)
{
    (void)data;
    resolve_running(false);
}

/* Another session of the same number is not the one that was meant: it goes on. */
static void test_resolve_spares_another_session(const void *data)
{
    struct fl_commit_mark mark;
    (void)data;
    struct attempt *a = lose_reply(&mark);
    a->import.mark = (struct fl_commit_mark){.backend_pid = mark.backend_pid,
                                             .backend_start_us = mark.backend_start_us - 1};
    assert_int_equal(contract_ask(a, FL_ACTION_RESOLVE)->resolved.status, FL_RESOLVED_NEVER);
    assert_true(contract.backend->is_running(&mark));
    let_commit();
    await_end(&mark);
    contract_assert_row(a->import.job.job_id, FL_OUTCOME_IMPORTED);
}

/* Before a new claim, a commit that was given up may still end well; after it, it cannot. */
static void test_new_claim_kills_a_lost_commit(const void *data)
{
    (void)data;
    struct attempt *a, *b;
    set_up(&a, &b);
    contract_claim(a);
    b->import.fence.n = a->import.lease.token.n;
    hold(b, FL_ACTION_CLAIM, -1);
    block(a, FL_ACTION_COMMIT, 1);
    struct fl_commit_mark mark = contract.backend->mark(&a->request);
    contract.backend->cut_postgres(0);
    assert_int_equal(contract_await(a)->status, FL_LOST);
    let_commit();
    await_ok(b);
    assert_true(b->answer.claimed.claimed);
    await_end(&mark);
    contract_assert_row(a->import.job.job_id, FL_OUTCOME_OPEN);
    assert_false(contract.backend->document(contract.episodes[0], CH).is_there);
    assert_int_equal(contract_ask(a, FL_ACTION_RESOLVE)->resolved.status, FL_RESOLVED_NEVER);
}

static void test_lost_reply_of_a_claim(const void *data)
{
    struct attempt *a, *b;
    (void)data;
    set_up(&a, &b);
    hold(a, FL_ACTION_CLAIM, -1);
    struct fl_commit_mark mark = contract.backend->mark(&a->request);
    contract.backend->cut_postgres(0);
    assert_int_equal(contract_await(a)->status, FL_LOST);
    assert_int_equal(contract_ask(a, FL_ACTION_CLAIM_CHECK)->claim_seen.fence.n, 0);
    let_commit();
    await_end(&mark);
    contract_ask(a, FL_ACTION_CLAIM_CHECK);
    assert_int_equal(a->answer.claim_seen.fence.n, a->import.lease.token.n);
    contract_assert_nonce(&a->answer.claim_seen.nonce, &a->import.lease.nonce);
}

const struct contract_case contract_transaction_cases[] = {
    {"claim waits for a claim", test_claim_waits_for_a_claim, NULL},
    {"claim waits for a claim that aborts", test_claim_waits_for_a_claim_that_aborts, NULL},
    {"claim waits for a commit", test_claim_waits_for_a_commit, NULL},
    {"claim waits for a commit that aborts", test_claim_waits_for_a_commit_that_aborts, NULL},
    {"commit waits for a claim", test_commit_waits_for_a_claim, NULL},
    {"commit waits for a claim that aborts", test_commit_waits_for_a_claim_that_aborts, NULL},
    {"commit waits for a decision", test_commit_waits_for_a_decision, NULL},
    {"decide waits for a commit", test_decision_waits_for_a_commit, NULL},
    {"decide waits for a commit that aborts", test_decision_waits_for_a_commit_that_aborts, NULL},
    {"decide finds a new ground", test_decision_finds_a_new_ground, NULL},
    {"decide loses its ground", test_decision_loses_its_ground, NULL},
    {"read, claim-check do not wait", test_reads_do_not_wait, NULL},
    {"ensure waits for a change of the row", test_ensure_waits_for_a_change, NULL},
    {"ensure does not wait for a lock", test_ensure_does_not_wait_for_a_lock, NULL},
    {"a stale claim does not wait", test_stale_claim_does_not_wait, NULL},
    {"a stale commit does not wait", test_stale_commit_does_not_wait, NULL},
    {"a break does not wait", test_break_does_not_wait, NULL},
    {"other episodes do not wait", test_other_episodes_do_not_wait, NULL},
    {"who waits too long gives up", test_lock_timeout, NULL},
    {"claim: its session ends while it waits", test_terminated_while_waiting, NULL},
    {"commit: its session ends while it waits", test_terminated_commit_while_waiting, NULL},
    {"claim: its session ends before COMMIT", test_terminated_claim, NULL},
    {"commit: its session ends before COMMIT", test_terminated_commit, NULL},
    {"decide: its session ends before COMMIT", test_terminated_decision, NULL},
    {"claim: its COMMIT is refused", test_refused_claim, NULL},
    {"commit: its COMMIT is refused", test_refused_commit, NULL},
    {"decide: its COMMIT is refused", test_refused_decision, NULL},
    {"resolve: a commit that arrived", test_lost_reply_of_a_commit, NULL},
    {"resolve: a transaction that runs", test_resolve_running_xid, NULL},
    {"resolve: a session that runs", test_resolve_running_session, NULL},
    {"resolve: spares another session", test_resolve_spares_another_session, NULL},
    {"resolve: a commit that a claim has overtaken", test_new_claim_kills_a_lost_commit, NULL},
    {"claim-check: the reply of the claim was lost", test_lost_reply_of_a_claim, NULL},
};
CASES_END(transaction);
