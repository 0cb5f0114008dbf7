/* test_import_queue.c - what is different for an import that a queue has handed out: it may be stopped and
 * handed back without a decision, and an operating error ends it at once, for the queue to try it again later
 * (issue 4, items 4 and 7). */
#include "import_rig.h"

static void start(struct rig *rig)
{
    rig_init(rig, FL_MODE_REPLACE);
    rig->policy.hand_back = true;
    rig_start(rig);
}

/* Undecided, with nothing left behind: no lease, no outcome, no rows. */
static void assert_handed_back(const struct rig *rig, bool stopped)
{
    rig_assert_state(rig, FL_IMPORT_DONE);
    assert_int_not_equal(rig->import.undecided, FL_OK);
    assert_int_equal(rig->import.stopped, stopped);
    assert_string_equal(fl_outcome_name(rig->world.row.outcome), "open");
    assert_int_equal(rig->world.effects, 0);
    assert_false(rig->world.lease_present);
    assert_null(strstr(rig->trace, "decide"));
}

static const enum fl_import_state BEFORE_COMMIT[] = {FL_IMPORT_READ, FL_IMPORT_LEASE, FL_IMPORT_CLAIM,
                                                     FL_IMPORT_FETCH, FL_IMPORT_PARSE};

enum { BEFORE_COMMIT_COUNT = sizeof BEFORE_COMMIT / sizeof *BEFORE_COMMIT };

static void test_stop_before_the_commit(void **state)
{
    (void)state;
    for (size_t i = 0; i < BEFORE_COMMIT_COUNT; i++) {
        struct rig rig;
        start(&rig);
        rig_reach(&rig, BEFORE_COMMIT[i]);
        rig_stop(&rig);
        rig_stop(&rig); /* twice is once */
        rig_finish(&rig);
        assert_int_equal(rig.commits, 0);
        assert_handed_back(&rig, true);
    }
}

static void test_stop_while_waiting_for_another_holder(void **state)
{
    (void)state;
    struct rig rig;
    start(&rig);
    rig.world.other_remaining_ms = RIG_TTL_MS;
    rig_reach(&rig, FL_IMPORT_WAIT);
    rig_mark(&rig);
    rig_stop(&rig);
    assert_string_equal(rig.trace, "ack"); /* at once: it has nothing to give back */
    rig.world.other_remaining_ms = 0;
    rig_finish(&rig);
    assert_handed_back(&rig, true);
}

static void test_stop_after_the_commit_was_sent(void **state)
{
    (void)state;
    struct rig rig;
    start(&rig);
    rig_reach(&rig, FL_IMPORT_COMMIT);
    rig_stop(&rig);
    assert_int_equal(rig.action.type, FL_ACTION_NONE);
    rig_finish(&rig);
    rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
    assert_false(rig.import.stopped);
}

/* A commit whose reply was lost is followed to its end: only a commit that certainly never happened is handed
 * back. */
static void test_stop_then_lost_commit(void **state)
{
    (void)state;
    for (int applied = 0; applied < 2; applied++) {
        struct rig rig;
        start(&rig);
        rig_reach(&rig, FL_IMPORT_COMMIT);
        rig_stop(&rig);
        rig_lose(&rig, applied);
        rig_assert_state(&rig, FL_IMPORT_RESOLVE);
        rig_finish(&rig);
        if (applied)
            rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
        else
            assert_handed_back(&rig, true);
    }
}

static void test_stop_while_being_refused(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    rig.policy.hand_back = true;
    rig.world.document_found = true;
    rig.world.document_version = rig.world.version = rig.world.fence = 5;
    rig_start(&rig);
    rig_reach(&rig, FL_IMPORT_DECIDE);
    rig_stop(&rig);
    rig_finish(&rig);
    rig_assert_end(&rig, FL_OUTCOME_REJECTED, 3);
}

/* 'jobs cancel' counts more than the end of the worker: the job must not come back. */
static void test_cancel_and_stop(void **state)
{
    (void)state;
    struct rig rig;
    start(&rig);
    rig_reach(&rig, FL_IMPORT_FETCH);
    rig_stop(&rig);
    rig_cancel(&rig);
    rig_finish(&rig);
    rig_assert_end(&rig, FL_OUTCOME_CANCELLED, 1);
}

static void test_an_error_ends_it_at_once(void **state)
{
    (void)state;
    static const fl_status STATUSES[] = {FL_UNAVAILABLE, FL_TRANSIENT, FL_NO_MEMORY, FL_USAGE};
    for (size_t i = 0; i < BEFORE_COMMIT_COUNT; i++)
        for (size_t s = 0; s < sizeof STATUSES / sizeof *STATUSES; s++) {
            struct rig rig;
            start(&rig);
            rig_reach(&rig, BEFORE_COMMIT[i]);
            rig_refuse(&rig, STATUSES[s]);
            rig_finish(&rig);
            assert_null(strstr(rig.trace, "wait"));
            assert_handed_back(&rig, false);
            assert_int_equal(rig.import.undecided, STATUSES[s]);
            assert_non_null(strstr(rig.import.want_err.text, fl_status_text(STATUSES[s])));
        }
}

/* Unlike an import on a command line, whose user sees that the file is not there. */
static void test_a_source_that_cannot_be_read_may_come_back(void **state)
{
    (void)state;
    static const enum fl_import_state LOADING[] = {FL_IMPORT_FETCH, FL_IMPORT_PARSE};
    for (size_t i = 0; i < 2; i++) {
        struct rig rig;
        start(&rig);
        rig_reach(&rig, LOADING[i]);
        rig_refuse(&rig, FL_UNREADABLE);
        rig_finish(&rig);
        assert_handed_back(&rig, false);
    }
}

static void test_bad_input_is_final(void **state)
{
    (void)state;
    struct rig rig;
    start(&rig);
    rig_reach(&rig, FL_IMPORT_PARSE);
    rig_refuse(&rig, FL_INVALID);
    rig_finish(&rig);
    rig_assert_end(&rig, FL_OUTCOME_INVALID, 4);
}

static void test_a_bug_is_final(void **state)
{
    (void)state;
    struct rig rig;
    start(&rig);
    rig_reach(&rig, FL_IMPORT_COMMIT);
    rig_refuse(&rig, FL_FAILED); /* a constraint, say: it would fail the same way for ever */
    rig_finish(&rig);
    rig_assert_end(&rig, FL_OUTCOME_FAILED, 1);
}

static void test_a_decision_that_cannot_be_written_is_left_open(void **state)
{
    (void)state;
    struct rig rig;
    start(&rig);
    rig_reach(&rig, FL_IMPORT_PARSE);
    rig_refuse(&rig, FL_INVALID);
    while (rig.flying.type != FL_ACTION_DECIDE)
        rig_next(&rig);
    rig_refuse(&rig, FL_UNAVAILABLE);
    rig_finish(&rig);
    rig_assert_state(&rig, FL_IMPORT_DONE);
    assert_int_equal(rig.import.undecided, FL_UNAVAILABLE);
    assert_string_equal(fl_outcome_name(rig.world.row.outcome), "open");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stop_before_the_commit),
        cmocka_unit_test(test_stop_while_waiting_for_another_holder),
        cmocka_unit_test(test_stop_after_the_commit_was_sent),
        cmocka_unit_test(test_stop_then_lost_commit),
        cmocka_unit_test(test_stop_while_being_refused),
        cmocka_unit_test(test_cancel_and_stop),
        cmocka_unit_test(test_an_error_ends_it_at_once),
        cmocka_unit_test(test_a_source_that_cannot_be_read_may_come_back),
        cmocka_unit_test(test_bad_input_is_final),
        cmocka_unit_test(test_a_bug_is_final),
        cmocka_unit_test(test_a_decision_that_cannot_be_written_is_left_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
