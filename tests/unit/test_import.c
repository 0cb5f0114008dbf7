/* test_import.c - the import's state machine on its straight ways: each mode, refusals, waiting for others,
 * renewal, and every move that the table forbids. Lost replies, cancel and the random walk:
 * test_import_faults.c */
#include "import_rig.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/slice.h"

static const char *const HAPPY = "read lease claim fetch parse commit release ack";
static const char *const REFUSED = "read decide ack";

static void put_document(struct rig *rig, int64_t version, int64_t rank, bool deleted)
{
    struct world *w = &rig->world;
    w->document_found = true;
    w->document_deleted = deleted;
    w->document_version = w->version = w->fence = version;
    w->document_rank = rank;
}

static void assert_runs(struct rig *rig, const char *trace, enum fl_outcome outcome, int exit_code)
{
    rig_start(rig);
    rig_finish(rig);
    assert_string_equal(rig->trace, trace);
    rig_assert_end(rig, outcome, exit_code);
}

/* ---- happy paths ---- */

static void test_create_step_by_step(void **state)
{
    (void)state;
    static const enum fl_import_state STATES[] = {FL_IMPORT_READ,    FL_IMPORT_LEASE, FL_IMPORT_CLAIM,
                                                  FL_IMPORT_FETCH,   FL_IMPORT_PARSE, FL_IMPORT_COMMIT,
                                                  FL_IMPORT_RELEASE, FL_IMPORT_ACK};
    static const enum fl_action_type ACTIONS[] = {FL_ACTION_READ,    FL_ACTION_LEASE, FL_ACTION_CLAIM,
                                                  FL_ACTION_FETCH,   FL_ACTION_PARSE, FL_ACTION_COMMIT,
                                                  FL_ACTION_RELEASE, FL_ACTION_ACK};
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    rig.world.fence = 40;
    rig_start(&rig);
    for (size_t i = 0; i < sizeof(STATES) / sizeof(STATES[0]); i++) {
        rig_assert_state(&rig, STATES[i]);
        assert_int_equal(rig.action.type, ACTIONS[i]);
        assert_int_equal(rig.action.op, i + 1);
        rig.now_ms += 5;
        rig_answer(&rig);
    }
    rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
    assert_int_equal(rig.import.fence.n, 40); /* never raised in place */
    assert_int_equal(rig.world.fence, 41);
    assert_int_equal(rig.import.answer.version, 41);
    assert_int_equal(rig.import.answer.row_count, 12);
    assert_int_equal(rig.import.dropped_events, 0);
    assert_int_equal(rig.import.attempts, 0);
    assert_int_equal(rig.import.stale_count, 0);
}

static void test_unknown_episode_is_ensured_and_read_again(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    rig.world.episode_found = false;
    assert_runs(&rig, "read ensure read lease claim fetch parse commit release ack", FL_OUTCOME_IMPORTED, 0);
}

static void test_replace_with_and_without_a_document(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_REPLACE);
    assert_runs(&rig, HAPPY, FL_OUTCOME_IMPORTED, 0);
    rig_init(&rig, FL_MODE_REPLACE);
    put_document(&rig, 5, 3, false);
    assert_runs(&rig, HAPPY, FL_OUTCOME_IMPORTED, 0);
}

static void test_if_version(void **state)
{
    (void)state;
    static const struct {
        int64_t asked, there; /* there 0 = no document */
        bool deleted;
        bool passes;
    } CASES[] = {{0, 0, false, true},  {5, 5, false, true}, {0, 5, false, false}, {4, 5, false, false},
                 {5, 0, false, false}, {0, 5, true, true},  {5, 5, true, false},  {6, 5, false, false}};
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct rig rig;
        rig_init(&rig, FL_MODE_IF_VERSION);
        rig.import.job.if_version = CASES[i].asked;
        if (CASES[i].there)
            put_document(&rig, CASES[i].there, 3, CASES[i].deleted);
        if (CASES[i].passes)
            assert_runs(&rig, HAPPY, FL_OUTCOME_IMPORTED, 0);
        else
            assert_runs(&rig, REFUSED, FL_OUTCOME_REJECTED, 3);
    }
}

/* The document's version counts, not the episode's: another kind may have been committed since. */
static void test_if_version_means_the_document(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_IF_VERSION);
    rig.import.job.if_version = 5;
    put_document(&rig, 5, 3, false);
    rig.world.version = rig.world.fence = 9;
    assert_runs(&rig, HAPPY, FL_OUTCOME_IMPORTED, 0);
}

static void test_delete_neither_fetches_nor_parses(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_DELETE);
    put_document(&rig, 5, 3, false);
    assert_runs(&rig, "read lease claim commit release ack", FL_OUTCOME_DELETED, 0);
}

static void test_delete_of_nothing_is_unchanged(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_DELETE);
    rig_start(&rig);
    rig_finish(&rig);
    rig_assert_end(&rig, FL_OUTCOME_UNCHANGED, 0);
}

/* ---- refusals and answers that were there before ---- */

static void test_create_on_a_document_is_rejected(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    put_document(&rig, 5, 3, false);
    rig_start(&rig);
    rig_answer(&rig);
    rig_assert_state(&rig, FL_IMPORT_DECIDE);
    assert_int_equal(rig.import.want, FL_OUTCOME_REJECTED);
    rig_finish(&rig);
    assert_string_equal(rig.trace, REFUSED);
    rig_assert_end(&rig, FL_OUTCOME_REJECTED, 3);
    assert_int_equal(rig.leases, 0);
}

static void test_create_on_a_deleted_document(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    put_document(&rig, 5, 3, true);
    assert_runs(&rig, HAPPY, FL_OUTCOME_IMPORTED, 0);
}

static void test_superseded_by_rank(void **state)
{
    (void)state;
    static const struct {
        int64_t rank; /* of the document; the job's is 7 */
        bool deleted, superseded;
    } CASES[] = {{6, false, false}, {7, false, false}, {8, false, true}, {8, true, true}, {6, true, false}};
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
        for (int mode = FL_MODE_REPLACE; mode <= FL_MODE_DELETE; mode += FL_MODE_DELETE - FL_MODE_REPLACE) {
            struct rig rig;
            rig_init(&rig, (enum fl_mode)mode);
            put_document(&rig, 5, CASES[i].rank, CASES[i].deleted);
            rig_start(&rig);
            rig_answer(&rig);
            assert_int_equal(rig.import.state == FL_IMPORT_DECIDE, CASES[i].superseded);
            if (CASES[i].superseded)
                assert_int_equal(rig.import.want, FL_OUTCOME_SUPERSEDED);
            rig_finish(&rig);
            if (CASES[i].superseded)
                rig_assert_end(&rig, FL_OUTCOME_SUPERSEDED, 3);
            else
                assert_int_equal(fl_import_exit_code(&rig.import), 0);
        }
}

static void test_superseded_by_a_deletion_leaves_it_deleted(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    put_document(&rig, 5, 8, true);
    assert_runs(&rig, REFUSED, FL_OUTCOME_SUPERSEDED, 3);
}

/* Redelivery: the row's answer, exactly, and nothing else happens. */
static void test_outcome_there_already(void **state)
{
    (void)state;
    static const struct {
        enum fl_outcome outcome;
        int exit_code;
    } CASES[] = {{FL_OUTCOME_IMPORTED, 0},   {FL_OUTCOME_UNCHANGED, 0}, {FL_OUTCOME_REJECTED, 3},
                 {FL_OUTCOME_SUPERSEDED, 3}, {FL_OUTCOME_DELETED, 0},   {FL_OUTCOME_INVALID, 4},
                 {FL_OUTCOME_FAILED, 1},     {FL_OUTCOME_CANCELLED, 1}};
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct rig rig;
        rig_init(&rig, FL_MODE_CREATE);
        put_document(&rig, 5, 9, false); /* would be rejected and superseded */
        rig.world.row = (struct fl_answer){
            .outcome = CASES[i].outcome, .version = 5, .row_count = 12, .message = "as it was"};
        rig_start(&rig);
        rig_finish(&rig);
        assert_string_equal(rig.trace, "read ack");
        assert_int_equal(rig.import.answer.outcome, CASES[i].outcome);
        assert_int_equal(rig.import.answer.version, 5);
        assert_int_equal(rig.import.answer.row_count, 12);
        assert_string_equal(rig.import.answer.message, "as it was");
        assert_int_equal(fl_import_exit_code(&rig.import), CASES[i].exit_code);
    }
}

static void test_outcome_wins_over_a_missing_episode(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    rig.world.episode_found = false;
    rig.world.row.outcome = FL_OUTCOME_CANCELLED;
    rig_start(&rig);
    rig_finish(&rig);
    assert_string_equal(rig.trace, "read ack");
}

static void test_job_that_is_gone(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    rig.world.job_missing = true;
    rig_start(&rig);
    rig_finish(&rig);
    assert_int_equal(rig.leases, 0);
    assert_int_not_equal(rig.import.undecided, FL_OK);
    assert_int_equal(fl_import_exit_code(&rig.import), 1);
    assert_true(rig.import.want_err.text[0] != '\0');
}

/* What the commit finds under its lock is the answer, also where READ had seen nothing of it. */
static void test_commit_answers_what_it_found(void **state)
{
    (void)state;
    static const struct {
        enum fl_outcome outcome;
        int exit_code;
    } CASES[] = {{FL_OUTCOME_UNCHANGED, 0}, {FL_OUTCOME_SUPERSEDED, 3}, {FL_OUTCOME_REJECTED, 3}};
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct rig rig;
        rig_init(&rig, FL_MODE_REPLACE);
        rig_start(&rig);
        rig_reach(&rig, FL_IMPORT_COMMIT);
        struct fl_event event = {.type = FL_EVENT_COMMITTED, .op = rig.flying.op};
        event.committed.status = FL_COMMIT_DONE;
        event.committed.answer.outcome = CASES[i].outcome;
        rig_feed(&rig, event);
        rig_finish(&rig);
        assert_string_equal(rig.trace, HAPPY);
        assert_int_equal(rig.import.answer.outcome, CASES[i].outcome);
        assert_int_equal(fl_import_exit_code(&rig.import), CASES[i].exit_code);
    }
}

static void test_commit_finds_the_job_decided(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    rig_start(&rig);
    rig_reach(&rig, FL_IMPORT_COMMIT);
    rig.world.row.outcome = FL_OUTCOME_CANCELLED; /* 'jobs cancel' in between */
    rig_finish(&rig);
    assert_string_equal(rig.trace, HAPPY);
    rig_assert_end(&rig, FL_OUTCOME_CANCELLED, 1);
}

static void test_ground_for_refusing_gone(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    put_document(&rig, 5, 3, false);
    rig_start(&rig);
    rig_reach(&rig, FL_IMPORT_DECIDE);
    rig.world.document_deleted = true;
    rig.world.version = rig.world.fence = 6;
    rig_reach(&rig, FL_IMPORT_READ);
    rig_finish(&rig);
    rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
    assert_int_equal(rig.reads, 2);
}

static void test_bad_source_is_invalid_and_released(void **state)
{
    (void)state;
    static const fl_status STATUSES[] = {FL_INVALID, FL_UNREADABLE};
    static const enum fl_action_type AT[] = {FL_ACTION_FETCH, FL_ACTION_PARSE};
    for (int s = 0; s < 2; s++)
        for (int a = 0; a < 2; a++) {
            struct rig rig;
            rig_init(&rig, FL_MODE_CREATE);
            rig_start(&rig);
            rig_reach(&rig, a ? FL_IMPORT_PARSE : FL_IMPORT_FETCH);
            assert_int_equal(rig.flying.type, AT[a]);
            struct fl_err err = {.code = STATUSES[s], .text = "line 3: no start"};
            struct fl_event event = {
                .type = RIG_ACTIONS[AT[a]].answer, .op = rig.flying.op, .status = STATUSES[s], .err = &err};
            rig_feed(&rig, event);
            memset(&err, 'x', sizeof(err)); /* borrowed during the event only */
            assert_non_null(strstr(rig.import.want_err.text, "line 3: no start"));
            rig_finish(&rig);
            rig_assert_end(&rig, FL_OUTCOME_INVALID, 4);
            assert_int_equal(rig.reads, 1); /* never tried again */
            assert_int_equal(rig.commits, 0);
        }
}

/* ---- others are faster ---- */

static void test_claim_refused_starts_over_after_a_pause(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_REPLACE);
    rig_start(&rig);
    rig_reach(&rig, FL_IMPORT_CLAIM);
    rig.world.fence = 1; /* somebody claimed with the same token from a flushed Redis */
    rig_reach(&rig, FL_IMPORT_WAIT);
    assert_string_equal(rig.trace, "read lease claim release wait");
    assert_int_equal(rig.import.stale_count, 1);
    assert_int_equal(rig.import.attempts, 0); /* no operating error */
    assert_in_range(rig.action.wake_at_ms - rig.now_ms, 1, RIG_BACKOFF_MAX_MS);
    rig_mark(&rig);
    rig_finish(&rig);
    assert_string_equal(rig.trace, HAPPY);
    rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
    assert_int_equal(rig.import.answer.version, 2);
}

static void test_stale_commit_starts_over(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    rig_start(&rig);
    rig_reach(&rig, FL_IMPORT_COMMIT);
    put_document(&rig, 2, 3, false); /* somebody claimed and committed */
    rig_reach(&rig, FL_IMPORT_WAIT);
    assert_string_equal(rig.trace, "read lease claim fetch parse commit release wait");
    assert_int_equal(rig.import.stale_count, 1);
    rig_finish(&rig);
    rig_assert_end(&rig, FL_OUTCOME_REJECTED, 3); /* decided from what is there now */
    assert_int_equal(rig.commits, 1);
}

/* Losing to others is no operating error: it does not use up the attempts. */
static void test_losing_often_does_not_give_up(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_REPLACE);
    rig_start(&rig);
    for (int i = 0; i < RIG_ATTEMPTS * 3; i++) {
        rig_reach(&rig, FL_IMPORT_COMMIT);
        rig.world.fence++;
        rig_reach(&rig, FL_IMPORT_WAIT);
    }
    assert_int_equal(rig.import.stale_count, RIG_ATTEMPTS * 3);
    rig_finish(&rig);
    rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
}

static void feed_token(struct rig *rig, int64_t token)
{
    struct fl_event event = {.type = FL_EVENT_LEASED, .op = rig->flying.op, .status = FL_OK};
    event.leased.granted = true;
    event.leased.token.n = token;
    rig_feed(rig, event);
}

static void test_token_not_above_the_fence_is_not_claimed(void **state)
{
    (void)state;
    static const int64_t TOKENS[] = {40, 39, 0, -1};
    for (size_t i = 0; i < sizeof(TOKENS) / sizeof(TOKENS[0]); i++) {
        struct rig rig;
        rig_init(&rig, FL_MODE_CREATE);
        rig.world.fence = 40;
        rig_start(&rig);
        rig_reach(&rig, FL_IMPORT_LEASE);
        feed_token(&rig, TOKENS[i]);
        rig_assert_state(&rig, FL_IMPORT_RELEASE);
        rig_reach(&rig, FL_IMPORT_READ);
        assert_string_equal(rig.trace, "read lease release wait read");
        rig_finish(&rig);
        rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
    }
}

static void test_poisoned_token_is_refused_with_an_alarm(void **state)
{
    (void)state;
    const int64_t tokens[] = {40 + ((int64_t)1 << 32) + 1, (int64_t)1 << 53, INT64_MAX};
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        struct rig rig;
        rig_init(&rig, FL_MODE_CREATE);
        rig.world.fence = 40;
        rig_start(&rig);
        rig_reach(&rig, FL_IMPORT_LEASE);
        feed_token(&rig, tokens[i]);
        rig_assert_state(&rig, FL_IMPORT_RELEASE);
        assert_non_null(rig.action.note);
        rig_reach(&rig, FL_IMPORT_READ);
        assert_string_equal(rig.trace, "read lease release wait read");
        rig_finish(&rig);
        rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
    }
}

/* A counter that stays poisoned does not repair itself: the import ends, with the reason. */
static void test_counter_that_stays_poisoned(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    rig.world.counter = (int64_t)1 << 52;
    rig_start(&rig);
    rig_finish(&rig);
    assert_int_equal(rig.commits, 0);
    assert_int_equal(rig.world.fence, 0);
    assert_true(rig.leases <= RIG_ATTEMPTS + 1);
    assert_int_not_equal(fl_import_exit_code(&rig.import), 0);
    assert_true(rig.import.want_err.text[0] != '\0');
}

/* ---- busy ---- */

static void start_busy(struct rig *rig)
{
    rig_init(rig, FL_MODE_CREATE);
    rig->world.other_remaining_ms = RIG_TTL_MS;
    rig_start(rig);
    rig_reach(rig, FL_IMPORT_WAIT);
}

static void test_busy_waits_and_looks_again(void **state)
{
    (void)state;
    struct rig rig;
    start_busy(&rig);
    assert_string_equal(rig.trace, "read lease wait"); /* nothing to release */
    assert_int_equal(rig.action.type, FL_ACTION_NONE);
    assert_in_range(rig.action.wake_at_ms - rig.now_ms, RIG_LOOK_MS / 2, RIG_LOOK_MS);
    assert_int_equal(rig.import.busy_since_ms, RIG_START_MS);
    rig.world.other_remaining_ms = 0;
    rig_mark(&rig);
    rig_ring(&rig);
    rig_assert_state(&rig, FL_IMPORT_READ); /* never the lease without a fresh read */
    rig_finish(&rig);
    assert_string_equal(rig.trace, HAPPY);
    rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
    assert_int_equal(rig.import.attempts, 0);
}

static void test_woken_looks_at_once(void **state)
{
    (void)state;
    struct rig rig;
    start_busy(&rig);
    rig.now_ms += 3;
    rig.world.other_remaining_ms = 0;
    rig_wake(&rig);
    rig_assert_state(&rig, FL_IMPORT_READ);
    assert_int_equal(rig.action.type, FL_ACTION_READ);
    rig_finish(&rig);
    rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
}

/* While it waited, the holder did the very thing: decided from the fresh read. */
static void test_busy_then_rejected(void **state)
{
    (void)state;
    struct rig rig;
    start_busy(&rig);
    put_document(&rig, 4, 3, false);
    rig.world.other_remaining_ms = 0;
    rig_mark(&rig);
    rig_wake(&rig);
    rig_finish(&rig);
    assert_string_equal(rig.trace, REFUSED);
    rig_assert_end(&rig, FL_OUTCOME_REJECTED, 3);
}

static void test_other_lease_that_ends_soon_is_not_overslept(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    rig.world.other_remaining_ms = 40;
    rig_start(&rig);
    rig_reach(&rig, FL_IMPORT_WAIT);
    assert_in_range(rig.action.wake_at_ms - rig.now_ms, 1, RIG_LOOK_MS);
}

static void test_early_ring_keeps_waiting(void **state)
{
    (void)state;
    struct rig rig;
    start_busy(&rig);
    int64_t wake_at_ms = rig.action.wake_at_ms;
    rig.now_ms = wake_at_ms - 1;
    rig_feed(&rig, (struct fl_event){.type = FL_EVENT_TIME});
    rig_assert_state(&rig, FL_IMPORT_WAIT);
    assert_int_equal(rig.action.wake_at_ms, wake_at_ms);
}

static void test_wait_lock_runs_out(void **state)
{
    (void)state;
    struct rig rig;
    start_busy(&rig);
    for (int i = 0; i < 1000 && rig.import.state != FL_IMPORT_DECIDE; i++)
        rig_next(&rig);
    assert_int_equal(rig.import.want, FL_OUTCOME_CANCELLED);
    assert_in_range(rig.now_ms, RIG_START_MS + RIG_WAIT_LOCK_MS - RIG_LOOK_MS,
                    RIG_START_MS + RIG_WAIT_LOCK_MS);
    rig_finish(&rig);
    rig_assert_end(&rig, FL_OUTCOME_CANCELLED, 5);
    assert_true(rig.import.gave_up_busy);
    assert_in_range(rig.leases, RIG_WAIT_LOCK_MS / RIG_LOOK_MS, 2 * RIG_WAIT_LOCK_MS / RIG_LOOK_MS + 1);
    assert_non_null(strstr(rig.import.want_err.text, "worker-2@host")); /* who held it */
}

static void test_wait_lock_of_nothing_gives_up_at_once(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    rig.policy.wait_lock_ms = 0;
    rig.world.other_remaining_ms = RIG_TTL_MS;
    rig_start(&rig);
    for (int i = 0; i < 20 && rig.import.state != FL_IMPORT_DONE; i++)
        rig_next(&rig);
    rig_assert_end(&rig, FL_OUTCOME_CANCELLED, 5);
    assert_in_range(rig.now_ms, RIG_START_MS, RIG_START_MS + RIG_LOOK_MS);
    assert_int_equal(rig.leases, 1);
}

/* Busy for two stretches, with a lease of its own in between: the patience starts anew. */
static void test_patience_starts_anew_after_a_grant(void **state)
{
    (void)state;
    struct rig rig;
    start_busy(&rig);
    rig.now_ms += RIG_WAIT_LOCK_MS - RIG_LOOK_MS;
    rig.world.other_remaining_ms = 0;
    rig_wake(&rig);
    rig_reach(&rig, FL_IMPORT_COMMIT);
    assert_int_equal(rig.import.busy_since_ms, FL_NEVER_MS);
    rig.world.fence++; /* stale */
    rig_reach(&rig, FL_IMPORT_WAIT);
    rig.world.other_remaining_ms = RIG_TTL_MS;
    rig_reach(&rig, FL_IMPORT_LEASE);
    rig_reach(&rig, FL_IMPORT_WAIT);
    rig.now_ms += RIG_LOOK_MS * 2;
    rig.world.other_remaining_ms = 0;
    rig_wake(&rig);
    rig_finish(&rig);
    rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
}

/* ---- the lease while loading ---- */

static void reach_fetch(struct rig *rig)
{
    rig_init(rig, FL_MODE_CREATE);
    rig_start(rig);
    rig_reach(rig, FL_IMPORT_FETCH);
}

static void test_deadline_counts_from_the_moment_of_sending(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    rig_start(&rig);
    rig.now_ms += 50;
    rig_answer(&rig); /* the read; the lease is sent now */
    rig_assert_state(&rig, FL_IMPORT_LEASE);
    rig.now_ms += 2000;
    rig_answer(&rig);
    assert_int_equal(rig.import.lease.deadline_ms, RIG_START_MS + 50 + RIG_TTL_MS);
    assert_int_equal(rig.import.lease.granted_ms, RIG_START_MS + 50);
}

static void test_renewal_runs_beside_the_load(void **state)
{
    (void)state;
    struct rig rig;
    reach_fetch(&rig);
    uint32_t fetch_op = rig.flying.op;
    rig_mark(&rig);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(rig.action.wake_at_ms, rig.import.lease.renew_at_ms);
        assert_in_range(rig.action.wake_at_ms, rig.now_ms + 1, rig.import.lease.deadline_ms - RIG_TTL_MS / 2);
        rig_ring(&rig);
        assert_int_equal(rig.action.type, FL_ACTION_RENEW);
        rig_assert_state(&rig, FL_IMPORT_FETCH);
        assert_int_equal(rig.import.op, fetch_op);
        int64_t sent_ms = rig.now_ms;
        rig.now_ms += 700;
        rig_answer_renewal(&rig);
        assert_int_equal(rig.action.type, FL_ACTION_NONE);
        assert_int_equal(rig.import.lease.deadline_ms, sent_ms + RIG_TTL_MS);
    }
    assert_string_equal(rig.trace, "renew renew renew renew renew");
    assert_int_equal(rig.import.lease.renewals, 5);
    rig_finish(&rig);
    rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
    assert_int_equal(rig.import.dropped_events, 0);
    assert_int_equal(rig.import.stale_count, 0);
}

static void test_ring_before_the_renewal_is_due(void **state)
{
    (void)state;
    struct rig rig;
    reach_fetch(&rig);
    int64_t wake_at_ms = rig.action.wake_at_ms;
    rig.now_ms = wake_at_ms - 1;
    rig_feed(&rig, (struct fl_event){.type = FL_EVENT_TIME});
    assert_int_equal(rig.action.type, FL_ACTION_NONE);
    assert_int_equal(rig.action.wake_at_ms, wake_at_ms);
}

/* PROTOCOL 4: renewal says that the lease is gone: stop early. */
static void assert_stopped_early(struct rig *rig, const char *trace)
{
    rig_reach(rig, FL_IMPORT_WAIT);
    assert_string_equal(rig->trace, trace);
    assert_int_equal(rig->commits, 0);
    assert_int_equal(rig->import.stale_count, 1);
    rig_finish(rig);
    rig_assert_end(rig, FL_OUTCOME_IMPORTED, 0);
}

static void test_renewal_finds_the_lease_gone(void **state)
{
    (void)state;
    struct rig rig;
    reach_fetch(&rig);
    rig.world.lease_present = false;
    rig_mark(&rig);
    rig_ring(&rig);
    rig_answer_renewal(&rig);
    assert_true(rig.import.lease.lost);
    rig_assert_state(&rig, FL_IMPORT_FETCH); /* one operation in flight: its answer comes first */
    assert_stopped_early(&rig, "renew release wait");
}

static void test_lease_gone_while_parsing(void **state)
{
    (void)state;
    struct rig rig;
    reach_fetch(&rig);
    rig_reach(&rig, FL_IMPORT_PARSE);
    rig.world.lease_present = false;
    rig_mark(&rig);
    rig_ring(&rig);
    rig_answer_renewal(&rig);
    assert_stopped_early(&rig, "renew release wait");
}

static void test_past_the_deadline_stops_early(void **state)
{
    (void)state;
    struct rig rig;
    reach_fetch(&rig);
    rig.now_ms = rig.import.lease.deadline_ms + 1; /* the process was stopped */
    rig_mark(&rig);
    assert_stopped_early(&rig, "release wait");
}

static void test_lost_renewal_is_sent_again_soon(void **state)
{
    (void)state;
    static const fl_status STATUSES[] = {FL_LOST, FL_UNAVAILABLE, FL_TRANSIENT, FL_FAILED, FL_NO_MEMORY};
    for (size_t i = 0; i < sizeof(STATUSES) / sizeof(STATUSES[0]); i++) {
        struct rig rig;
        reach_fetch(&rig);
        int64_t deadline_ms = rig.import.lease.deadline_ms;
        rig_ring(&rig);
        rig_feed(&rig,
                 (struct fl_event){.type = FL_EVENT_RENEWED, .op = rig.renewal.op, .status = STATUSES[i]});
        assert_int_equal(rig.import.lease.deadline_ms, deadline_ms);
        assert_int_equal(rig.import.attempts, 0);
        assert_in_range(rig.action.wake_at_ms, rig.now_ms + 1, deadline_ms - 1);
        rig_ring(&rig);
        assert_int_equal(rig.action.type, FL_ACTION_RENEW);
        rig_answer_renewal(&rig);
        assert_true(rig.import.lease.deadline_ms > deadline_ms);
        rig_finish(&rig);
        rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
    }
}

/* Redis does not come back: the load stops at its own deadline, without a commit. */
static void test_renewals_lost_up_to_the_deadline(void **state)
{
    (void)state;
    struct rig rig;
    reach_fetch(&rig);
    int64_t deadline_ms = rig.import.lease.deadline_ms;
    int rings = 0;
    while (rig.now_ms < deadline_ms && rig.action.wake_at_ms != FL_NEVER_MS && rings++ < 1000) {
        rig_ring(&rig);
        if (rig.renewal.type != FL_ACTION_NONE)
            rig_feed(&rig,
                     (struct fl_event){.type = FL_EVENT_RENEWED, .op = rig.renewal.op, .status = FL_LOST});
    }
    assert_in_range(rings, 2, 999);
    rig.now_ms = rig.now_ms > deadline_ms ? rig.now_ms : deadline_ms;
    rig_mark(&rig);
    assert_stopped_early(&rig, "release wait");
}

static void test_stalled_work_is_not_renewed_for_ever(void **state)
{
    (void)state;
    struct rig rig;
    reach_fetch(&rig);
    rig.frozen = true;
    int renewals = 0;
    while (rig.action.wake_at_ms != FL_NEVER_MS && renewals < 100) {
        rig_ring(&rig);
        if (rig.renewal.type == FL_ACTION_NONE)
            continue;
        renewals++;
        rig_answer_renewal(&rig);
    }
    assert_in_range(renewals, 2, 99);
    assert_true(rig.now_ms - RIG_START_MS <= RIG_STALL_MS + RIG_TTL_MS);
    rig_assert_state(&rig, FL_IMPORT_FETCH); /* the load may still end in time */
}

static void test_renewal_ends_at_the_cap(void **state)
{
    (void)state;
    struct rig rig;
    reach_fetch(&rig);
    int renewals = 0;
    while (rig.action.wake_at_ms != FL_NEVER_MS && renewals < 1000) {
        rig_ring(&rig);
        if (rig.renewal.type == FL_ACTION_NONE)
            continue;
        renewals++;
        rig_answer_renewal(&rig);
    }
    assert_in_range(renewals, RIG_LEASE_MAX_MS / (RIG_TTL_MS / 2), 999);
    assert_in_range(rig.now_ms, RIG_START_MS + RIG_LEASE_MAX_MS - RIG_TTL_MS,
                    RIG_START_MS + RIG_LEASE_MAX_MS + RIG_TTL_MS);
}

static void test_late_answer_of_a_renewal(void **state)
{
    (void)state;
    struct rig rig;
    reach_fetch(&rig);
    rig_ring(&rig);
    struct rig_op old = rig.renewal;
    rig.renewal.type = FL_ACTION_NONE;
    rig_reach(&rig, FL_IMPORT_ACK); /* released meanwhile */
    uint32_t dropped = rig.import.dropped_events;
    struct fl_event event = {.type = FL_EVENT_RENEWED, .op = old.op};
    event.renewed.held = false;
    rig_feed(&rig, event);
    assert_int_equal(rig.import.dropped_events, dropped + 1);
    assert_int_equal(rig.action.type, FL_ACTION_NONE);
    rig_assert_state(&rig, FL_IMPORT_ACK);
    rig_answer(&rig);
    rig_assert_state(&rig, FL_IMPORT_DONE);
    rig_feed(&rig, event); /* also after the end */
    assert_int_equal(rig.import.dropped_events, dropped + 2);
    rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
}

/* ---- late answers, and what the table forbids ---- */

static void test_late_answers_are_dropped_and_counted(void **state)
{
    (void)state;
    for (int s = FL_IMPORT_READ; s < FL_IMPORT_DONE; s++) {
        if (s == FL_IMPORT_ENSURE || s == FL_IMPORT_LEASE_CHECK || s == FL_IMPORT_CLAIM_CHECK ||
            s == FL_IMPORT_RESOLVE || s == FL_IMPORT_DECIDE || s == FL_IMPORT_WAIT)
            continue;
        struct rig rig;
        rig_init(&rig, FL_MODE_REPLACE);
        rig.world.episode_found = false; /* so that there are old operations at READ */
        rig_start(&rig);
        rig_reach(&rig, FL_IMPORT_ENSURE);
        rig_reach(&rig, (enum fl_import_state)s);
        for (uint32_t op = 1; op < rig.import.op; op++) {
            struct fl_import before = rig.import;
            struct fl_event event = {.type = RIG_ACTIONS[rig.old[(op - 1) % RIG_OLD_OPS].type].answer,
                                     .op = op};
            if (rig.old_count > RIG_OLD_OPS && op <= rig.old_count - RIG_OLD_OPS)
                continue;
            int64_t wake_at_ms = rig.action.wake_at_ms;
            rig_feed(&rig, event);
            assert_int_equal(rig.action.type, FL_ACTION_NONE);
            assert_int_equal(rig.action.wake_at_ms, wake_at_ms);
            assert_int_equal(rig.import.dropped_events, before.dropped_events + 1);
            assert_int_equal(rig.import.state, before.state);
            assert_int_equal(rig.import.op, before.op);
            assert_int_equal(rig.import.lease.token.n, before.lease.token.n);
        }
        rig_finish(&rig);
        rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
    }
}

static bool step_aborts(const struct rig *rig, const struct fl_event *event)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        if (!freopen("/dev/null", "w", stderr))
            _exit(3);
        signal(SIGABRT, SIG_DFL);
        struct rig copy = *rig;
        (void)fl_import_step(&copy.import, event);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/* Puts rig into any state that has an operation in flight. */
static void stand_in(struct rig *rig, enum fl_import_state state)
{
    rig_init(rig, state == FL_IMPORT_DECIDE ? FL_MODE_CREATE : FL_MODE_REPLACE);
    if (state == FL_IMPORT_DECIDE)
        put_document(rig, 5, 3, false);
    rig->world.episode_found = state != FL_IMPORT_ENSURE;
    rig_start(rig);
    static const enum fl_import_state BEFORE[FL_IMPORT_STATE_COUNT] = {
        [FL_IMPORT_LEASE_CHECK] = FL_IMPORT_LEASE,
        [FL_IMPORT_CLAIM_CHECK] = FL_IMPORT_CLAIM,
        [FL_IMPORT_RESOLVE] = FL_IMPORT_COMMIT,
    };
    if (BEFORE[state] != FL_IMPORT_READ) {
        rig_reach(rig, BEFORE[state]);
        rig_lose(rig, true);
    } else {
        rig_reach(rig, state);
    }
    rig_assert_state(rig, state);
}

static void test_every_wrong_answer_aborts(void **state)
{
    (void)state;
    for (int s = FL_IMPORT_READ; s <= FL_IMPORT_ACK; s++) {
        if (s == FL_IMPORT_WAIT)
            continue;
        struct rig rig;
        stand_in(&rig, (enum fl_import_state)s);
        for (int type = FL_EVENT_START; type <= FL_EVENT_ACKED; type++) {
            struct fl_event event = {
                .type = (enum fl_event_type)type, .op = rig.flying.op, .now_ms = rig.now_ms};
            bool fits = event.type == RIG_ACTIONS[rig.flying.type].answer;
            bool aborts = step_aborts(&rig, &event);
            if (aborts == fits)
                fail_msg("state %s, event %d: %s", fl_import_state_name(rig.import.state), type,
                         aborts ? "aborts" : "passes");
        }
    }
}

static void test_start_comes_once(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    struct fl_event start = {.type = FL_EVENT_START, .now_ms = RIG_START_MS};
    assert_false(step_aborts(&rig, &start));
    rig_start(&rig);
    assert_true(step_aborts(&rig, &start));
    rig_finish(&rig);
    assert_true(step_aborts(&rig, &start));
}

/* ---- names ---- */

static void test_names(void **state)
{
    (void)state;
#define X(name, text) assert_string_equal(fl_import_state_name(FL_IMPORT_##name), text);
    FL_IMPORT_STATES(X)
#undef X
    static const char *const MODES[] = {"create", "replace", "if-version", "delete"};
    for (int i = 0; i < 4; i++) {
        enum fl_mode mode = FL_MODE_CREATE;
        assert_string_equal(fl_mode_name((enum fl_mode)i), MODES[i]);
        assert_true(fl_mode_from_name(fl_slice_from(MODES[i]), &mode));
        assert_int_equal(mode, i);
    }
    enum fl_mode mode;
    assert_false(fl_mode_from_name(FL_SLICE("creat"), &mode));
    assert_false(fl_mode_from_name(FL_SLICE("creates"), &mode));
    assert_false(fl_mode_from_name(FL_SLICE("Create"), &mode));
    assert_false(fl_mode_from_name((struct fl_slice){NULL, 0}, &mode));
    static const char *const OUTCOMES[] = {"open",    "imported", "unchanged", "rejected", "superseded",
                                           "deleted", "invalid",  "failed",    "cancelled"};
    for (int i = 0; i < 9; i++) {
        assert_string_equal(fl_outcome_name((enum fl_outcome)i), OUTCOMES[i]);
        assert_int_equal(fl_outcome_from_name(fl_slice_from(OUTCOMES[i])), i);
    }
    assert_int_equal(fl_outcome_from_name(FL_SLICE("import")), FL_OUTCOME_OPEN);
    assert_int_equal(fl_outcome_from_name((struct fl_slice){NULL, 0}), FL_OUTCOME_OPEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create_step_by_step),
        cmocka_unit_test(test_unknown_episode_is_ensured_and_read_again),
        cmocka_unit_test(test_replace_with_and_without_a_document),
        cmocka_unit_test(test_if_version),
        cmocka_unit_test(test_if_version_means_the_document),
        cmocka_unit_test(test_delete_neither_fetches_nor_parses),
        cmocka_unit_test(test_delete_of_nothing_is_unchanged),
        cmocka_unit_test(test_create_on_a_document_is_rejected),
        cmocka_unit_test(test_create_on_a_deleted_document),
        cmocka_unit_test(test_superseded_by_rank),
        cmocka_unit_test(test_superseded_by_a_deletion_leaves_it_deleted),
        cmocka_unit_test(test_outcome_there_already),
        cmocka_unit_test(test_outcome_wins_over_a_missing_episode),
        cmocka_unit_test(test_job_that_is_gone),
        cmocka_unit_test(test_commit_answers_what_it_found),
        cmocka_unit_test(test_commit_finds_the_job_decided),
        cmocka_unit_test(test_ground_for_refusing_gone),
        cmocka_unit_test(test_bad_source_is_invalid_and_released),
        cmocka_unit_test(test_claim_refused_starts_over_after_a_pause),
        cmocka_unit_test(test_stale_commit_starts_over),
        cmocka_unit_test(test_losing_often_does_not_give_up),
        cmocka_unit_test(test_token_not_above_the_fence_is_not_claimed),
        cmocka_unit_test(test_poisoned_token_is_refused_with_an_alarm),
        cmocka_unit_test(test_counter_that_stays_poisoned),
        cmocka_unit_test(test_busy_waits_and_looks_again),
        cmocka_unit_test(test_woken_looks_at_once),
        cmocka_unit_test(test_busy_then_rejected),
        cmocka_unit_test(test_other_lease_that_ends_soon_is_not_overslept),
        cmocka_unit_test(test_early_ring_keeps_waiting),
        cmocka_unit_test(test_wait_lock_runs_out),
        cmocka_unit_test(test_wait_lock_of_nothing_gives_up_at_once),
        cmocka_unit_test(test_patience_starts_anew_after_a_grant),
        cmocka_unit_test(test_deadline_counts_from_the_moment_of_sending),
        cmocka_unit_test(test_renewal_runs_beside_the_load),
        cmocka_unit_test(test_ring_before_the_renewal_is_due),
        cmocka_unit_test(test_renewal_finds_the_lease_gone),
        cmocka_unit_test(test_lease_gone_while_parsing),
        cmocka_unit_test(test_past_the_deadline_stops_early),
        cmocka_unit_test(test_lost_renewal_is_sent_again_soon),
        cmocka_unit_test(test_renewals_lost_up_to_the_deadline),
        cmocka_unit_test(test_stalled_work_is_not_renewed_for_ever),
        cmocka_unit_test(test_renewal_ends_at_the_cap),
        cmocka_unit_test(test_late_answer_of_a_renewal),
        cmocka_unit_test(test_late_answers_are_dropped_and_counted),
        cmocka_unit_test(test_every_wrong_answer_aborts),
        cmocka_unit_test(test_start_comes_once),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
