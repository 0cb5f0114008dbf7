/* test_import_faults.c - the import's state machine when things go wrong: every failure in every state, lost
 * replies, cancel, giving up, and a long random walk. */
#include "import_rig.h"

#include "base/slice.h"

static void put_document(struct rig *rig, int64_t version, int64_t rank)
{
    struct world *w = &rig->world;
    w->document_found = true;
    w->document_version = w->version = w->fence = version;
    w->document_rank = rank;
}

/* Puts rig into any state but DONE, in the mode that comes by there. */
static void stand_in(struct rig *rig, enum fl_import_state state)
{
    rig_init(rig, state == FL_IMPORT_DECIDE ? FL_MODE_CREATE : FL_MODE_REPLACE);
    rig->world.episode_found = state != FL_IMPORT_ENSURE;
    if (state == FL_IMPORT_DECIDE)
        put_document(rig, 5, 3);
    if (state == FL_IMPORT_WAIT)
        rig->world.other_remaining_ms = RIG_TTL_MS;
    rig_start(rig);
    static const enum fl_import_state BEFORE[FL_IMPORT_STATE_COUNT] = {
        [FL_IMPORT_LEASE_CHECK] = FL_IMPORT_LEASE,
        [FL_IMPORT_CLAIM_CHECK] = FL_IMPORT_CLAIM,
        [FL_IMPORT_RESOLVE] = FL_IMPORT_COMMIT,
    };
    if (BEFORE[state] != FL_IMPORT_READ) {
        rig_reach(rig, BEFORE[state]);
        rig_lose(rig, state != FL_IMPORT_RESOLVE);
    } else {
        rig_reach(rig, state);
    }
    rig_assert_state(rig, state);
    rig->world.other_remaining_ms = 0;
}

/* ---- every state, every kind of failure ---- */

/* What happens from the failed answer on, all else well. `|` marks alternatives that the protocol leaves
 * open. */
struct failure_case {
    enum fl_import_state state;
    const char *passing; /* LOST without effect, UNAVAILABLE, TRANSIENT, NO_MEMORY */
    const char *lost;    /* NULL = as passing */
    const char *final;   /* FAILED */
    enum fl_outcome final_outcome;
};

#define AGAIN "read lease claim fetch parse commit release ack"

static const struct failure_case FAILURES[] = {
    {FL_IMPORT_READ, "wait " AGAIN, NULL, "decide ack", FL_OUTCOME_FAILED},
    {FL_IMPORT_ENSURE, "wait read ensure " AGAIN, NULL, "decide ack", FL_OUTCOME_FAILED},
    {FL_IMPORT_LEASE, "wait " AGAIN "|release wait " AGAIN, "lease-check release wait " AGAIN,
     "decide ack|decide release ack|release decide ack", FL_OUTCOME_FAILED},
    {FL_IMPORT_LEASE_CHECK, "release wait " AGAIN, NULL, "decide release ack|release decide ack",
     FL_OUTCOME_FAILED},
    {FL_IMPORT_CLAIM, "release wait " AGAIN, "claim-check release wait " AGAIN,
     "decide release ack|release decide ack", FL_OUTCOME_FAILED},
    {FL_IMPORT_CLAIM_CHECK, "release wait " AGAIN, NULL, "decide release ack|release decide ack",
     FL_OUTCOME_FAILED},
    {FL_IMPORT_FETCH, "release wait " AGAIN, NULL, "decide release ack|release decide ack",
     FL_OUTCOME_FAILED},
    {FL_IMPORT_PARSE, "release wait " AGAIN, NULL, "decide release ack|release decide ack",
     FL_OUTCOME_FAILED},
    {FL_IMPORT_COMMIT, "release wait " AGAIN, "resolve release wait " AGAIN,
     "decide release ack|release decide ack", FL_OUTCOME_FAILED},
    {FL_IMPORT_RESOLVE, "wait resolve release wait " AGAIN, NULL,
     "wait resolve release wait " AGAIN "|release wait " AGAIN, FL_OUTCOME_IMPORTED},
    {FL_IMPORT_DECIDE, "wait decide ack|wait read decide ack", NULL, "ack", FL_OUTCOME_OPEN},
    {FL_IMPORT_RELEASE, "ack", NULL, "ack", FL_OUTCOME_IMPORTED},
};

static bool is_one_of(const char *trace, const char *alternatives)
{
    size_t len = strlen(trace);
    for (const char *at = alternatives; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (strncmp(at, trace, len) == 0 && (at[len] == '|' || at[len] == '\0'))
            return true;
    return false;
}

static void fail_once(const struct failure_case *c, fl_status status, struct rig *rig)
{
    stand_in(rig, c->state);
    rig_mark(rig);
    uint32_t errors = rig->import.attempts;
    if (status == FL_LOST)
        rig_lose(rig, false);
    else
        rig_refuse(rig, status);
    /* A renewal is none of the main operations. */
    assert_true(rig->import.attempts <= errors + 1);
    rig_reach(rig, FL_IMPORT_DONE);
    const char *expected = status == FL_FAILED            ? c->final
                           : status == FL_LOST && c->lost ? c->lost
                                                          : c->passing;
    if (!is_one_of(rig->trace, expected))
        fail_msg("%s answered \"%s\": %s, not %s", fl_import_state_name(c->state), fl_status_text(status),
                 rig->trace, expected);
}

static void test_each_state_survives_each_failure(void **state)
{
    (void)state;
    static const fl_status PASSING[] = {FL_LOST, FL_UNAVAILABLE, FL_TRANSIENT, FL_NO_MEMORY};
    for (size_t i = 0; i < sizeof(FAILURES) / sizeof(FAILURES[0]); i++)
        for (size_t s = 0; s < sizeof(PASSING) / sizeof(PASSING[0]); s++) {
            struct rig rig;
            fail_once(&FAILURES[i], PASSING[s], &rig);
            if (FAILURES[i].state == FL_IMPORT_DECIDE)
                rig_assert_end(&rig, FL_OUTCOME_REJECTED, 3);
            else if (FAILURES[i].state == FL_IMPORT_RELEASE)
                assert_int_equal(fl_import_exit_code(&rig.import), 0);
            else
                rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
        }
}

static void test_final_failures_are_decided(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(FAILURES) / sizeof(FAILURES[0]); i++) {
        struct rig rig;
        fail_once(&FAILURES[i], FL_FAILED, &rig);
        assert_int_equal(rig.world.row.outcome, FAILURES[i].final_outcome);
        assert_int_equal(rig.import.undecided != FL_OK, FAILURES[i].final_outcome == FL_OUTCOME_OPEN);
        assert_int_equal(fl_import_exit_code(&rig.import),
                         FAILURES[i].final_outcome == FL_OUTCOME_IMPORTED ? 0 : 1);
        if (FAILURES[i].final_outcome == FL_OUTCOME_FAILED)
            assert_non_null(strstr(rig.import.want_err.text, "ep39: failed")); /* the reason */
    }
}

static void test_pauses_after_failures_are_backed_off(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    rig.policy.max_attempts = 20;
    rig_start(&rig);
    for (int i = 0; i < 12; i++) {
        rig_reach(&rig, FL_IMPORT_READ);
        rig_refuse(&rig, FL_UNAVAILABLE);
        rig_assert_state(&rig, FL_IMPORT_WAIT);
        int64_t limit_ms = i < 6 ? RIG_BACKOFF_BASE_MS << i : RIG_BACKOFF_MAX_MS;
        limit_ms = limit_ms > RIG_BACKOFF_MAX_MS ? RIG_BACKOFF_MAX_MS : limit_ms;
        assert_in_range(rig.action.wake_at_ms - rig.now_ms, 1, limit_ms);
        assert_int_equal(rig.import.attempts, i + 1);
    }
    rig_finish(&rig);
    rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
}

static void test_backoff_is_not_cut_short_by_a_release(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    rig_start(&rig);
    rig_refuse(&rig, FL_UNAVAILABLE);
    int64_t wake_at_ms = rig.action.wake_at_ms;
    rig_wake(&rig);
    rig_assert_state(&rig, FL_IMPORT_WAIT);
    assert_int_equal(rig.action.wake_at_ms, wake_at_ms);
}

static void test_woken_elsewhere_changes_nothing(void **state)
{
    (void)state;
    for (int s = FL_IMPORT_READ; s <= FL_IMPORT_ACK; s++) {
        if (s == FL_IMPORT_WAIT)
            continue;
        struct rig rig;
        stand_in(&rig, (enum fl_import_state)s);
        int64_t wake_at_ms = rig.action.wake_at_ms;
        rig_wake(&rig);
        assert_int_equal(rig.action.type, FL_ACTION_NONE);
        assert_int_equal(rig.action.wake_at_ms, wake_at_ms);
        rig_assert_state(&rig, (enum fl_import_state)s);
        assert_int_equal(rig.import.dropped_events, 0);
    }
}

/* A release between the look at the lease and its answer must not be slept through for longer than a look. */
static void test_woken_while_the_busy_answer_travels(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    rig.world.other_remaining_ms = RIG_TTL_MS;
    rig_start(&rig);
    rig_reach(&rig, FL_IMPORT_LEASE);
    rig_wake(&rig);
    rig_answer(&rig);
    if (rig.import.state == FL_IMPORT_WAIT)
        assert_in_range(rig.action.wake_at_ms - rig.now_ms, 1, RIG_LOOK_MS);
    rig.world.other_remaining_ms = 0;
    rig_finish(&rig);
    rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
}

/* ---- giving up ---- */

static void test_gives_up_after_max_attempts(void **state)
{
    (void)state;
    static const struct {
        enum fl_import_state state;
        fl_status status;
    } CASES[] = {{FL_IMPORT_CLAIM, FL_TRANSIENT}, {FL_IMPORT_COMMIT, FL_TRANSIENT},
                 {FL_IMPORT_FETCH, FL_TRANSIENT}, {FL_IMPORT_PARSE, FL_NO_MEMORY},
                 {FL_IMPORT_LEASE, FL_TRANSIENT}, {FL_IMPORT_READ, FL_TRANSIENT}};
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct rig rig;
        rig_init(&rig, FL_MODE_CREATE);
        rig_start(&rig);
        unsigned failures = 0;
        while (rig.import.state != FL_IMPORT_DONE && rig.steps < 500)
            if (rig.import.state == CASES[i].state) {
                failures++;
                rig_refuse(&rig, CASES[i].status);
            } else {
                rig_next(&rig);
            }
        assert_int_equal(failures, RIG_ATTEMPTS);
        rig_assert_end(&rig, FL_OUTCOME_FAILED, 1);
        assert_non_null(strstr(rig.import.want_err.text, fl_status_text(CASES[i].status)));
    }
}

/* Postgres is away: no outcome can be written, and none is claimed. */
static void test_servers_that_stay_away(void **state)
{
    (void)state;
    static const fl_status STATUSES[] = {FL_UNAVAILABLE, FL_LOST};
    for (int i = 0; i < 2; i++) {
        struct rig rig;
        rig_init(&rig, FL_MODE_CREATE);
        rig_start(&rig);
        while (rig.import.state != FL_IMPORT_DONE && rig.steps < 500)
            if (rig.flying.type == FL_ACTION_ACK)
                rig_answer(&rig);
            else if (rig.flying.type != FL_ACTION_NONE)
                rig_refuse(&rig, STATUSES[i]);
            else
                rig_ring(&rig);
        rig_assert_state(&rig, FL_IMPORT_DONE);
        assert_int_equal(rig.reads, RIG_ATTEMPTS);
        assert_int_equal(rig.import.answer.outcome, FL_OUTCOME_OPEN);
        assert_int_equal(rig.import.undecided, STATUSES[i]);
        assert_int_equal(fl_import_exit_code(&rig.import), 6);
        assert_non_null(strstr(rig.import.want_err.text, fl_status_text(STATUSES[i])));
    }
}

/* Redis answers nothing for away_ms from now on; Postgres does. True if the import lived through it.
 */
static bool outlives_outage(struct rig *rig, fl_status status, int64_t away_ms)
{
    rig_reach(rig, FL_IMPORT_LEASE);
    int64_t back_ms = rig->now_ms + away_ms;
    while (rig->import.state != FL_IMPORT_DONE && rig->now_ms < back_ms && rig->steps < 2000)
        if (rig->flying.type == FL_ACTION_LEASE || rig->flying.type == FL_ACTION_LEASE_CHECK ||
            rig->flying.type == FL_ACTION_RELEASE)
            rig_refuse(rig, status);
        else
            rig_next(rig);
    return rig->import.state != FL_IMPORT_DONE && rig->import.want == FL_OUTCOME_OPEN;
}

/* A server that restarts must not cost a job, however often it is tried meanwhile. */
static void test_patience_with_a_server_that_is_away(void **state)
{
    (void)state;
    static const struct {
        fl_status status;
        int64_t patience_ms, away_ms;
        bool outlives;
    } CASES[] = {
        {FL_UNAVAILABLE, 60000, 40000, true},  {FL_LOST, 60000, 40000, true},
        {FL_UNAVAILABLE, 60000, 90000, false}, {FL_LOST, 60000, 90000, false},
        {FL_UNAVAILABLE, 0, 40000, false},     {FL_TRANSIENT, 60000, 40000, false}, /* there, but failing */
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct rig rig;
        rig_init(&rig, FL_MODE_CREATE);
        rig.policy.patience_ms = CASES[i].patience_ms;
        rig_start(&rig);
        assert_int_equal(outlives_outage(&rig, CASES[i].status, CASES[i].away_ms), CASES[i].outlives);
        rig_finish(&rig);
        if (CASES[i].outlives)
            rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
        else
            assert_int_not_equal(fl_import_exit_code(&rig.import), 0);
    }
}

/* Each absence is measured from its own beginning, not from some error long before. */
static void test_patience_counts_from_each_outage(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    rig.policy.patience_ms = 10000;
    rig_start(&rig);
    rig_refuse(&rig, FL_UNAVAILABLE); /* a short blip */
    rig.world.other_remaining_ms = RIG_TTL_MS;
    rig_reach(&rig, FL_IMPORT_LEASE);
    rig_reach(&rig, FL_IMPORT_WAIT);
    rig.now_ms += 60000; /* then all is well for a minute, but somebody has the episode */
    rig.world.other_remaining_ms = 0;
    rig_wake(&rig);
    assert_true(outlives_outage(&rig, FL_UNAVAILABLE, 6000));
    rig_finish(&rig);
    rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
}

/* The same, where a long load without trouble lies between the two absences. */
static void test_patience_after_a_long_load(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    rig.policy.patience_ms = 10000;
    rig_start(&rig);
    rig_refuse(&rig, FL_UNAVAILABLE); /* a short blip */
    rig_reach(&rig, FL_IMPORT_FETCH);
    for (int64_t until_ms = rig.now_ms + 60000; rig.now_ms < until_ms; rig_answer_renewal(&rig))
        rig_ring(&rig);
    rig_reach(&rig, FL_IMPORT_COMMIT);
    for (int64_t back_ms = rig.now_ms + 6000; rig.now_ms < back_ms && rig.import.state != FL_IMPORT_DONE;)
        if (rig.flying.type == FL_ACTION_COMMIT || rig.flying.type == FL_ACTION_READ ||
            rig.flying.type == FL_ACTION_DECIDE)
            rig_refuse(&rig, FL_UNAVAILABLE);
        else
            rig_next(&rig);
    assert_int_equal(rig.import.want, FL_OUTCOME_OPEN);
    rig_finish(&rig);
    rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
}

/* Patience must not become endless where only one operation fails, however long the work before it takes. */
static void test_patience_ends_though_other_steps_succeed(void **state)
{
    (void)state;
    static const enum fl_action_type FAILING[] = {FL_ACTION_LEASE, FL_ACTION_CLAIM, FL_ACTION_FETCH,
                                                  FL_ACTION_COMMIT};
    for (size_t i = 0; i < sizeof(FAILING) / sizeof(FAILING[0]); i++) {
        struct rig rig;
        rig_init(&rig, FL_MODE_CREATE);
        rig.policy.patience_ms = 3000;
        rig_start(&rig);
        while (rig.import.state != FL_IMPORT_DONE && rig.steps < 5000)
            if (rig.flying.type == FAILING[i]) {
                rig_refuse(&rig, FL_UNAVAILABLE);
            } else {
                rig.now_ms += rig.flying.type == FL_ACTION_FETCH ? 5000 : 0;
                rig_next(&rig);
            }
        rig_assert_state(&rig, FL_IMPORT_DONE);
        assert_int_equal(rig.world.effects, 0);
        assert_int_equal(fl_import_exit_code(&rig.import), 6);
    }
}

/* Redis is away, Postgres is there: somehow ended, nothing imported, in bounded time. */
static void test_redis_that_stays_away(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    rig_start(&rig);
    while (rig.import.state != FL_IMPORT_DONE && rig.steps < 500)
        if (rig.flying.type == FL_ACTION_LEASE || rig.flying.type == FL_ACTION_RELEASE)
            rig_refuse(&rig, FL_UNAVAILABLE);
        else
            rig_next(&rig);
    rig_assert_state(&rig, FL_IMPORT_DONE);
    assert_int_equal(rig.leases, RIG_ATTEMPTS);
    assert_int_equal(fl_import_exit_code(&rig.import), 6);
}

static void test_decide_gives_up_in_the_end(void **state)
{
    (void)state;
    static const fl_status STATUSES[] = {FL_TRANSIENT, FL_LOST};
    for (int i = 0; i < 2; i++) {
        struct rig rig;
        stand_in(&rig, FL_IMPORT_DECIDE);
        while (rig.import.state != FL_IMPORT_DONE && rig.steps < 500)
            if (rig.flying.type == FL_ACTION_DECIDE)
                rig_refuse(&rig, STATUSES[i]);
            else
                rig_next(&rig);
        rig_assert_state(&rig, FL_IMPORT_DONE);
        assert_int_equal(rig.import.undecided, STATUSES[i]);
        assert_int_equal(rig.import.answer.outcome, FL_OUTCOME_OPEN);
        assert_int_equal(fl_import_exit_code(&rig.import), fl_status_exit_code(STATUSES[i]));
    }
}

/* Decided, reply lost: writing once more finds what was written. */
static void test_lost_decision_is_found(void **state)
{
    (void)state;
    struct rig rig;
    stand_in(&rig, FL_IMPORT_DECIDE);
    rig_lose(&rig, true);
    rig_finish(&rig);
    rig_assert_end(&rig, FL_OUTCOME_REJECTED, 3);
}

static void test_ack_that_fails(void **state)
{
    (void)state;
    static const fl_status STATUSES[] = {FL_LOST, FL_UNAVAILABLE, FL_TRANSIENT, FL_FAILED};
    for (int i = 0; i < 4; i++) {
        struct rig rig;
        stand_in(&rig, FL_IMPORT_ACK);
        for (int n = 0; n < 100 && rig.import.state != FL_IMPORT_DONE; n++)
            if (rig.flying.type != FL_ACTION_NONE)
                rig_refuse(&rig, STATUSES[i]); /* redelivery will find the outcome */
            else
                rig_ring(&rig);
        rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
    }
}

/* ---- lost replies ---- */

static void test_lost_acquire_that_took_effect(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    rig_start(&rig);
    rig_reach(&rig, FL_IMPORT_LEASE);
    rig.now_ms += 400;
    rig_lose(&rig, true);
    rig_finish(&rig);
    assert_string_equal(rig.trace, "read lease lease-check claim fetch parse commit release ack");
    rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
}

static void test_found_lease_counts_from_the_lost_acquire(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    rig_start(&rig);
    rig_reach(&rig, FL_IMPORT_LEASE);
    rig.now_ms += 400;
    rig_lose(&rig, true);
    rig.now_ms += 400;
    rig_answer(&rig);
    rig_assert_state(&rig, FL_IMPORT_CLAIM);
    assert_int_equal(rig.import.lease.deadline_ms, RIG_START_MS + RIG_TTL_MS);
    assert_int_equal(rig.import.lease.token.n, 1);
}

static void test_found_token_is_checked_too(void **state)
{
    (void)state;
    static const int64_t TOKENS[] = {40, INT64_MAX};
    for (int i = 0; i < 2; i++) {
        struct rig rig;
        rig_init(&rig, FL_MODE_CREATE);
        rig.world.fence = 40;
        rig_start(&rig);
        rig_reach(&rig, FL_IMPORT_LEASE);
        rig_lose(&rig, true);
        rig.world.lease_token = TOKENS[i];
        rig_answer(&rig);
        assert_int_not_equal(rig.import.state, FL_IMPORT_CLAIM);
        rig_finish(&rig);
        assert_false(rig.world.lease_present);
        assert_int_equal(rig.world.effects, rig.commits);
    }
}

static void test_lost_claim_that_took_effect(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    rig_start(&rig);
    rig_reach(&rig, FL_IMPORT_CLAIM);
    rig_lose(&rig, true);
    rig_finish(&rig);
    assert_string_equal(rig.trace, "read lease claim claim-check fetch parse commit release ack");
    rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
}

/* A claim found by looking is a claim: whoever holds the episode waits for nobody. */
static void test_found_claim_ends_the_wait(void **state)
{
    (void)state;
    struct rig rig;
    stand_in(&rig, FL_IMPORT_WAIT);
    rig.now_ms += RIG_WAIT_LOCK_MS - RIG_LOOK_MS;
    rig_wake(&rig);
    rig_reach(&rig, FL_IMPORT_CLAIM);
    rig_lose(&rig, true);
    rig_reach(&rig, FL_IMPORT_COMMIT);
    assert_int_equal(rig.import.busy_since_ms, FL_NEVER_MS);
    rig.world.fence++; /* stale, and then busy again for the first time */
    rig_reach(&rig, FL_IMPORT_WAIT);
    rig.now_ms += RIG_LOOK_MS * 2;
    rig.world.other_remaining_ms = RIG_TTL_MS;
    rig_reach(&rig, FL_IMPORT_LEASE);
    rig_answer(&rig);
    rig_assert_state(&rig, FL_IMPORT_WAIT);
}

/* Same number, other nonce: a Redis rolled back handed the token out twice. */
static void test_lost_claim_of_somebody_else(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    rig_start(&rig);
    rig_reach(&rig, FL_IMPORT_CLAIM);
    rig_lose(&rig, true);
    rig.world.claim_nonce.hex[FL_NONCE_LEN - 1] ^= 1;
    rig_mark(&rig);
    rig_finish(&rig);
    assert_string_equal(rig.trace, "release wait " AGAIN);
    rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
    assert_int_equal(rig.import.answer.version, 2);
}

static void test_lost_commit_that_took_effect(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, FL_MODE_CREATE);
    rig_start(&rig);
    rig_reach(&rig, FL_IMPORT_COMMIT);
    rig_lose(&rig, true);
    rig_assert_state(&rig, FL_IMPORT_RESOLVE);
    assert_int_equal(rig.import.mark.xid, 900);
    assert_int_equal(rig.import.mark.backend_pid, RIG_MARK_PID);
    assert_int_equal(rig.import.mark.backend_start_us, 1);
    rig_finish(&rig);
    assert_string_equal(rig.trace, "read lease claim fetch parse commit resolve release ack");
    rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
}

/* The transaction had not even an id when the reply was lost, but something was sent. */
static void test_lost_commit_without_transaction_id(void **state)
{
    (void)state;
    struct rig rig;
    stand_in(&rig, FL_IMPORT_COMMIT);
    struct fl_event event = {.type = FL_EVENT_COMMITTED,
                             .op = rig.flying.op,
                             .status = FL_LOST,
                             .mark = {.xid = 0, .backend_pid = 5, .backend_start_us = 9}};
    rig_feed(&rig, event);
    rig_assert_state(&rig, FL_IMPORT_RESOLVE);
    assert_int_equal(rig.import.mark.backend_pid, 5);
}

static void test_lost_commit_that_was_never_sent(void **state)
{
    (void)state;
    struct rig rig;
    stand_in(&rig, FL_IMPORT_COMMIT);
    rig_mark(&rig);
    rig_feed(&rig, (struct fl_event){.type = FL_EVENT_COMMITTED, .op = rig.flying.op, .status = FL_LOST});
    rig_finish(&rig);
    assert_string_equal(rig.trace, "release wait " AGAIN);
    rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
}

/* A mark of an earlier commit must not be asked for again. */
static void test_mark_of_an_earlier_commit_is_forgotten(void **state)
{
    (void)state;
    struct rig rig;
    stand_in(&rig, FL_IMPORT_RESOLVE);
    rig_reach(&rig, FL_IMPORT_COMMIT); /* never applied: the second attempt */
    rig_mark(&rig);
    rig_feed(&rig, (struct fl_event){.type = FL_EVENT_COMMITTED, .op = rig.flying.op, .status = FL_LOST});
    assert_int_equal(rig.import.mark.backend_pid, 0);
    rig_finish(&rig);
    assert_string_equal(rig.trace, "release wait " AGAIN);
}

static void test_commit_that_is_still_running(void **state)
{
    (void)state;
    struct rig rig;
    stand_in(&rig, FL_IMPORT_RESOLVE);
    rig.world.commit_pending = true;
    rig_mark(&rig);
    rig_answer(&rig); /* running: its backend was told to end */
    assert_int_equal(rig.commits, 1);
    rig_reach(&rig, FL_IMPORT_RESOLVE);
    rig_finish(&rig);
    assert_true(is_one_of(rig.trace, "wait resolve release wait " AGAIN "|resolve release wait " AGAIN));
    rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
}

static void test_commit_that_will_not_end(void **state)
{
    (void)state;
    struct rig rig;
    stand_in(&rig, FL_IMPORT_RESOLVE);
    unsigned asked = 0;
    int64_t began_ms = rig.now_ms;
    while (rig.import.state != FL_IMPORT_READ && asked < 100) {
        rig.world.commit_pending = true;
        asked += rig.flying.type == FL_ACTION_RESOLVE;
        rig_next(&rig);
    }
    assert_in_range(asked, 2, 99); /* unknown: back to 1, where a new claim kills it */
    assert_true(rig.now_ms > began_ms);
    rig_finish(&rig);
    rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
}

/* The lost commit arrives after the import went back to step 1: found there, and only once. */
static void test_lost_commit_arrives_later(void **state)
{
    (void)state;
    static const enum fl_import_state AT[] = {FL_IMPORT_RELEASE, FL_IMPORT_READ, FL_IMPORT_LEASE,
                                              FL_IMPORT_CLAIM};
    for (size_t i = 0; i < sizeof(AT) / sizeof(AT[0]); i++) {
        struct rig rig;
        stand_in(&rig, FL_IMPORT_RESOLVE);
        struct world *w = &rig.world;
        w->pending_version = w->version;
        w->pending_token = w->fence;
        w->pending_nonce = w->claim_nonce;
        rig_answer(&rig); /* never, says a server that has not seen it yet */
        rig_reach(&rig, AT[i]);
        w->commit_pending = true;
        world_apply_pending(w, &rig.import);
        assert_int_equal(w->effects, 1);
        rig_finish(&rig);
        rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
    }
}

static void test_lost_release_is_not_waited_for(void **state)
{
    (void)state;
    struct rig rig;
    stand_in(&rig, FL_IMPORT_RELEASE);
    rig_lose(&rig, true);
    rig_finish(&rig);
    rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
}

/* ---- cancel ---- */

static void test_cancel_before_the_commit(void **state)
{
    (void)state;
    for (int s = FL_IMPORT_READ; s <= FL_IMPORT_WAIT; s++) {
        if (s == FL_IMPORT_COMMIT || s == FL_IMPORT_RESOLVE || s == FL_IMPORT_DECIDE ||
            s == FL_IMPORT_RELEASE)
            continue;
        struct rig rig;
        stand_in(&rig, (enum fl_import_state)s);
        rig_mark(&rig);
        rig_cancel(&rig);
        unsigned commits = rig.commits;
        rig_cancel(&rig); /* twice is once */
        rig_finish(&rig);
        if (!is_one_of(rig.trace, "decide ack|decide release ack|release decide ack"))
            fail_msg("cancelled in %s: %s", fl_import_state_name((enum fl_import_state)s), rig.trace);
        assert_int_equal(rig.commits, commits);
        rig_assert_end(&rig, FL_OUTCOME_CANCELLED, 1);
        assert_false(rig.import.gave_up_busy);
    }
}

/* The operation in flight fails after the cancel: no pause, no retry. */
static void test_cancel_then_failure(void **state)
{
    (void)state;
    static const fl_status STATUSES[] = {FL_LOST, FL_UNAVAILABLE, FL_TRANSIENT};
    static const enum fl_import_state STATES[] = {
        FL_IMPORT_READ,  FL_IMPORT_ENSURE,      FL_IMPORT_LEASE, FL_IMPORT_LEASE_CHECK,
        FL_IMPORT_CLAIM, FL_IMPORT_CLAIM_CHECK, FL_IMPORT_FETCH, FL_IMPORT_PARSE};
    for (size_t i = 0; i < sizeof(STATES) / sizeof(STATES[0]); i++)
        for (int s = 0; s < 3; s++) {
            struct rig rig;
            stand_in(&rig, STATES[i]);
            rig_mark(&rig);
            rig_cancel(&rig);
            if (STATUSES[s] == FL_LOST)
                rig_lose(&rig, true);
            else
                rig_refuse(&rig, STATUSES[s]);
            rig_finish(&rig);
            assert_null(strstr(rig.trace, "commit"));
            assert_null(strstr(rig.trace, "fetch"));
            rig_assert_end(&rig, FL_OUTCOME_CANCELLED, 1);
        }
}

static void test_cancel_finds_the_outcome_there(void **state)
{
    (void)state;
    struct rig rig;
    stand_in(&rig, FL_IMPORT_READ);
    rig.world.row.outcome = FL_OUTCOME_UNCHANGED;
    rig_cancel(&rig);
    rig_finish(&rig);
    rig_assert_end(&rig, FL_OUTCOME_UNCHANGED, 0);
}

static void test_cancel_after_the_commit_was_sent(void **state)
{
    (void)state;
    struct rig rig;
    stand_in(&rig, FL_IMPORT_COMMIT);
    rig_cancel(&rig);
    assert_int_equal(rig.action.type, FL_ACTION_NONE);
    rig_finish(&rig);
    rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
}

static void test_cancel_then_stale_commit(void **state)
{
    (void)state;
    struct rig rig;
    stand_in(&rig, FL_IMPORT_COMMIT);
    rig.world.fence++;
    rig_cancel(&rig);
    rig_mark(&rig);
    rig_finish(&rig);
    assert_true(is_one_of(rig.trace, "decide release ack|release decide ack"));
    rig_assert_end(&rig, FL_OUTCOME_CANCELLED, 1);
}

static void test_cancel_then_lost_commit(void **state)
{
    (void)state;
    for (int applied = 0; applied < 2; applied++) {
        struct rig rig;
        stand_in(&rig, FL_IMPORT_COMMIT);
        rig_cancel(&rig);
        rig_mark(&rig);
        rig_lose(&rig, applied);
        rig_assert_state(&rig, FL_IMPORT_RESOLVE);
        rig_finish(&rig);
        if (applied)
            rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
        else
            rig_assert_end(&rig, FL_OUTCOME_CANCELLED, 1);
    }
}

static void test_cancel_while_resolving(void **state)
{
    (void)state;
    for (int applied = 0; applied < 2; applied++) {
        struct rig rig;
        stand_in(&rig, FL_IMPORT_RESOLVE);
        if (applied)
            world_write(&rig.world, &rig.import.job, rig.world.fence);
        rig_cancel(&rig);
        assert_int_equal(rig.action.type, FL_ACTION_NONE);
        rig_finish(&rig);
        if (applied)
            rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
        else
            rig_assert_end(&rig, FL_OUTCOME_CANCELLED, 1);
    }
}

/* Between two questions after a running commit. */
static void test_cancel_while_waiting_to_resolve_again(void **state)
{
    (void)state;
    for (int applied = 0; applied < 2; applied++) {
        struct rig rig;
        stand_in(&rig, FL_IMPORT_RESOLVE);
        rig.world.commit_pending = true;
        rig_answer(&rig);
        if (applied)
            world_write(&rig.world, &rig.import.job, rig.world.fence);
        rig_cancel(&rig);
        rig_finish(&rig);
        if (applied)
            rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
        else
            rig_assert_end(&rig, FL_OUTCOME_CANCELLED, 1);
    }
}

static void test_cancel_when_the_answer_is_known(void **state)
{
    (void)state;
    static const enum fl_import_state STATES[] = {FL_IMPORT_RELEASE, FL_IMPORT_ACK};
    for (int i = 0; i < 2; i++) {
        struct rig rig;
        stand_in(&rig, STATES[i]);
        rig_cancel(&rig);
        rig_finish(&rig);
        rig_assert_end(&rig, FL_OUTCOME_IMPORTED, 0);
    }
    struct rig rig;
    stand_in(&rig, FL_IMPORT_DECIDE);
    rig_cancel(&rig);
    rig_finish(&rig);
    rig_assert_end(&rig, FL_OUTCOME_REJECTED, 3);
}

/* The refusal under way turns out groundless: then the cancel counts. */
static void test_cancel_while_deciding_without_ground(void **state)
{
    (void)state;
    struct rig rig;
    stand_in(&rig, FL_IMPORT_DECIDE);
    rig.world.document_deleted = true;
    rig_cancel(&rig);
    rig_finish(&rig);
    rig_assert_end(&rig, FL_OUTCOME_CANCELLED, 1);
    assert_int_equal(rig.leases, 0);
}

/* The release belongs to an attempt that failed: what follows is the cancel, not the next attempt. */
static void test_cancel_in_the_release_before_a_retry(void **state)
{
    (void)state;
    struct rig rig;
    stand_in(&rig, FL_IMPORT_CLAIM);
    rig_refuse(&rig, FL_TRANSIENT);
    rig_assert_state(&rig, FL_IMPORT_RELEASE);
    rig_mark(&rig);
    rig_cancel(&rig);
    rig_finish(&rig);
    assert_string_equal(rig.trace, "decide ack");
    rig_assert_end(&rig, FL_OUTCOME_CANCELLED, 1);
}

static void test_cancel_with_postgres_away(void **state)
{
    (void)state;
    struct rig rig;
    stand_in(&rig, FL_IMPORT_FETCH);
    rig_cancel(&rig);
    while (rig.import.state != FL_IMPORT_DONE && rig.steps < 500)
        if (rig.flying.type == FL_ACTION_DECIDE)
            rig_refuse(&rig, FL_UNAVAILABLE);
        else
            rig_next(&rig);
    rig_assert_state(&rig, FL_IMPORT_DONE);
    assert_int_equal(rig.import.undecided, FL_UNAVAILABLE);
    assert_int_equal(fl_import_exit_code(&rig.import), 6);
    assert_false(rig.world.lease_present);
}

/* ---- the random walk ---- */

enum { WALK_STEPS = 200000, WALK_CALM_STEPS = 400, WALK_SEED = 20260118 };

struct walk {
    struct rig rig;
    uint64_t seed;
    unsigned imports, decided, undecided, cancelled, imported, late, stopped;
    bool release_unsure; /* a RELEASE was sent and may have had no effect */
};

static uint64_t roll(struct walk *walk, uint64_t below)
{
    uint64_t z = (walk->seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % below;
}

static void walk_begin(struct walk *walk)
{
    struct rig *rig = &walk->rig;
    rig_init(rig, (enum fl_mode)roll(walk, 4));
    rig->random = roll(walk, UINT64_MAX);
    rig->policy.wait_lock_ms = (int64_t)roll(walk, 3) * RIG_LOOK_MS * 4;
    rig->policy.max_attempts = 1 + (uint32_t)roll(walk, 8);
    rig->policy.patience_ms = (int64_t)roll(walk, 3) * 2000;
    rig->policy.hand_back = roll(walk, 3) == 0;
    rig->world.episode_found = roll(walk, 4);
    rig->import.job.if_version = roll(walk, 2) ? 5 : 0;
    if (rig->world.episode_found && roll(walk, 2)) {
        put_document(rig, 5, 3 + (int64_t)roll(walk, 5));
        rig->world.document_deleted = roll(walk, 3) == 0;
    }
    walk->release_unsure = false;
    walk->imports++;
    rig_start(rig);
}

/* Other workers, breaks, expiry, Redis gone mad. */
static void walk_interfere(struct walk *walk)
{
    struct world *w = &walk->rig.world;
    switch (roll(walk, 9)) {
    case 0:
        w->fence++;
        memset(w->claim_nonce.hex, '7', FL_NONCE_LEN);
        break;
    case 1: w->lease_present = false; break;
    case 2: w->other_remaining_ms = w->lease_present ? 0 : (int64_t)roll(walk, RIG_TTL_MS) + 1; break;
    case 3:
    case 4: w->other_remaining_ms = 0; break;
    case 5: w->counter = roll(walk, 2) ? 0 : w->counter + (int64_t)roll(walk, 5); break;
    case 6:
        if (roll(walk, 20) == 0)
            w->counter = w->fence + ((int64_t)1 << (33 + roll(walk, 25)));
        break;
    case 7:
        if (w->row.outcome == FL_OUTCOME_OPEN && roll(walk, 20) == 0)
            w->row.outcome = FL_OUTCOME_CANCELLED;
        break;
    default: world_apply_pending(w, &walk->rig.import);
    }
}

static void walk_lose(struct walk *walk)
{
    struct rig *rig = &walk->rig;
    struct world *w = &rig->world;
    bool applied = roll(walk, 2);
    if (rig->flying.type == FL_ACTION_COMMIT && !applied && roll(walk, 2)) {
        w->commit_pending = true;
        w->pending_version = rig->import.version.n;
        w->pending_token = rig->import.lease.token.n;
        w->pending_nonce = rig->import.lease.nonce;
    }
    if (rig->flying.type == FL_ACTION_RELEASE && !applied)
        walk->release_unsure = true;
    if (rig->flying.type == FL_ACTION_COMMIT && !applied && !w->commit_pending && roll(walk, 2))
        rig_feed(rig, (struct fl_event){.type = FL_EVENT_COMMITTED, .op = rig->flying.op, .status = FL_LOST});
    else
        rig_lose(rig, applied);
}

static void walk_late_answer(struct walk *walk)
{
    struct rig *rig = &walk->rig;
    if (rig->old_count == 0)
        return;
    size_t kept = rig->old_count < RIG_OLD_OPS ? rig->old_count : RIG_OLD_OPS;
    struct rig_op old = rig->old[roll(walk, kept)];
    if (old.op == rig->flying.op || old.op == rig->import.op || old.op == rig->renewal.op)
        return;
    uint32_t dropped = rig->import.dropped_events;
    struct fl_event event = {.type = RIG_ACTIONS[old.type].answer, .op = old.op};
    if (event.type == FL_EVENT_LEASED)
        event.leased.granted = true;
    if (event.type == FL_EVENT_CLAIMED)
        event.claimed.claimed = true;
    rig_feed(rig, event);
    assert_int_equal(rig->action.type, FL_ACTION_NONE);
    assert_int_equal(rig->import.dropped_events, dropped + 1);
    walk->late++;
}

static void walk_answer(struct walk *walk)
{
    static const fl_status REFUSALS[] = {FL_UNAVAILABLE, FL_UNAVAILABLE, FL_TRANSIENT, FL_TRANSIENT,
                                         FL_NO_MEMORY,   FL_FAILED,      FL_INVALID,   FL_UNREADABLE};
    struct rig *rig = &walk->rig;
    uint64_t n = roll(walk, 100);
    if (n < 75) {
        rig_answer(rig);
    } else if (n < 87) {
        walk_lose(walk);
    } else {
        bool loads = rig->flying.type == FL_ACTION_FETCH || rig->flying.type == FL_ACTION_PARSE;
        if (rig->flying.type == FL_ACTION_RELEASE)
            walk->release_unsure = true;
        rig_refuse(rig, REFUSALS[roll(walk, loads ? 8 : 6)]);
    }
}

static void walk_step(struct walk *walk)
{
    struct rig *rig = &walk->rig;
    rig->now_ms += (int64_t)roll(walk, roll(walk, 50) ? 200 : RIG_TTL_MS * 2);
    rig->frozen = roll(walk, 4) == 0;
    uint64_t n = roll(walk, 100);
    if (n < 12)
        walk_interfere(walk);
    else if (n < 16)
        walk_late_answer(walk);
    else if (n < 19)
        rig_wake(rig);
    else if (n < 21)
        rig_cancel(rig);
    else if (n < 22 && rig->policy.hand_back)
        rig_stop(rig);
    else if (n < 40 && rig->renewal.type != FL_ACTION_NONE && roll(walk, 2))
        rig_answer_renewal(rig);
    else if (n < 40 && rig->renewal.type != FL_ACTION_NONE)
        rig_feed(rig, (struct fl_event){.type = FL_EVENT_RENEWED, .op = rig->renewal.op, .status = FL_LOST});
    else if (n < 60 && rig->action.wake_at_ms != FL_NEVER_MS)
        rig_ring(rig);
    else if (rig->flying.type != FL_ACTION_NONE)
        walk_answer(walk);
    else
        rig_ring(rig);
}

static void walk_calm_down(struct walk *walk)
{
    struct rig *rig = &walk->rig;
    struct world *w = &rig->world;
    w->other_remaining_ms = 0;
    w->lease_present = w->lease_present && !walk->release_unsure;
    w->counter = w->fence;
    rig->frozen = false;
    unsigned steps = 0;
    for (; rig->import.state != FL_IMPORT_DONE && steps < WALK_CALM_STEPS; steps++) {
        if (walk->release_unsure && !world_lease_mine(w, &rig->import))
            w->lease_present = false; /* it expired */
        rig_next(rig);
    }
    if (rig->import.state != FL_IMPORT_DONE)
        fail_msg("import %u is still in %s after %u steps: %s", walk->imports,
                 fl_import_state_name(rig->import.state), steps, rig->trace);
}

static void walk_judge(struct walk *walk)
{
    struct rig *rig = &walk->rig;
    struct world *w = &rig->world;
    if (rig->renewal.type != FL_ACTION_NONE)
        rig_answer_renewal(rig);
    world_apply_pending(w, &rig->import); /* at last, or never: the answer given must stay true */
    if (rig->import.undecided == FL_OK) {
        walk->decided++;
        assert_int_not_equal(rig->import.answer.outcome, FL_OUTCOME_OPEN);
        assert_int_equal(rig->import.answer.outcome, w->row.outcome);
        assert_int_equal(rig->import.answer.version, w->row.version);
    } else {
        walk->undecided++;
        assert_int_equal(rig->import.answer.outcome, FL_OUTCOME_OPEN);
        assert_int_not_equal(fl_import_exit_code(&rig->import), 0);
        assert_true(rig->import.stopped || rig->import.want_err.text[0] != '\0');
        walk->stopped += rig->import.stopped;
    }
    assert_true(w->effects <= 1);
    assert_int_equal(w->effects,
                     w->row.outcome == FL_OUTCOME_IMPORTED || w->row.outcome == FL_OUTCOME_DELETED);
    assert_true(!w->lease_present || walk->release_unsure);
    walk->cancelled += w->row.outcome == FL_OUTCOME_CANCELLED;
    walk->imported += w->row.outcome == FL_OUTCOME_IMPORTED;
}

static void test_random_walk(void **state)
{
    (void)state;
    static struct walk walk;
    walk = (struct walk){.seed = WALK_SEED};
    for (unsigned steps = 0; steps < WALK_STEPS;) {
        walk_begin(&walk);
        unsigned wild = 1 + (unsigned)roll(&walk, 150);
        while (wild-- > 0 && walk.rig.import.state != FL_IMPORT_DONE)
            walk_step(&walk);
        walk_calm_down(&walk);
        walk_judge(&walk);
        steps += walk.rig.steps;
    }
    /* The walk must have seen something. */
    assert_true(walk.imports > 2000);
    assert_true(walk.imported > 300 && walk.cancelled > 100 && walk.undecided > 10 && walk.late > 500);
    assert_true(walk.stopped > 50);
    print_message(
        "%u imports: %u imported, %u cancelled, %u undecided, %u of them stopped; %u late answers\n",
        walk.imports, walk.imported, walk.cancelled, walk.undecided, walk.stopped, walk.late);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_state_survives_each_failure),
        cmocka_unit_test(test_final_failures_are_decided),
        cmocka_unit_test(test_pauses_after_failures_are_backed_off),
        cmocka_unit_test(test_backoff_is_not_cut_short_by_a_release),
        cmocka_unit_test(test_woken_elsewhere_changes_nothing),
        cmocka_unit_test(test_woken_while_the_busy_answer_travels),
        cmocka_unit_test(test_gives_up_after_max_attempts),
        cmocka_unit_test(test_servers_that_stay_away),
        cmocka_unit_test(test_patience_with_a_server_that_is_away),
        cmocka_unit_test(test_patience_counts_from_each_outage),
        cmocka_unit_test(test_patience_after_a_long_load),
        cmocka_unit_test(test_patience_ends_though_other_steps_succeed),
        cmocka_unit_test(test_redis_that_stays_away),
        cmocka_unit_test(test_decide_gives_up_in_the_end),
        cmocka_unit_test(test_lost_decision_is_found),
        cmocka_unit_test(test_ack_that_fails),
        cmocka_unit_test(test_lost_acquire_that_took_effect),
        cmocka_unit_test(test_found_lease_counts_from_the_lost_acquire),
        cmocka_unit_test(test_found_token_is_checked_too),
        cmocka_unit_test(test_lost_claim_that_took_effect),
        cmocka_unit_test(test_found_claim_ends_the_wait),
        cmocka_unit_test(test_lost_claim_of_somebody_else),
        cmocka_unit_test(test_lost_commit_that_took_effect),
        cmocka_unit_test(test_lost_commit_without_transaction_id),
        cmocka_unit_test(test_lost_commit_that_was_never_sent),
        cmocka_unit_test(test_mark_of_an_earlier_commit_is_forgotten),
        cmocka_unit_test(test_commit_that_is_still_running),
        cmocka_unit_test(test_commit_that_will_not_end),
        cmocka_unit_test(test_lost_commit_arrives_later),
        cmocka_unit_test(test_lost_release_is_not_waited_for),
        cmocka_unit_test(test_cancel_before_the_commit),
        cmocka_unit_test(test_cancel_then_failure),
        cmocka_unit_test(test_cancel_finds_the_outcome_there),
        cmocka_unit_test(test_cancel_after_the_commit_was_sent),
        cmocka_unit_test(test_cancel_then_stale_commit),
        cmocka_unit_test(test_cancel_then_lost_commit),
        cmocka_unit_test(test_cancel_while_resolving),
        cmocka_unit_test(test_cancel_while_waiting_to_resolve_again),
        cmocka_unit_test(test_cancel_when_the_answer_is_known),
        cmocka_unit_test(test_cancel_while_deciding_without_ground),
        cmocka_unit_test(test_cancel_in_the_release_before_a_retry),
        cmocka_unit_test(test_cancel_with_postgres_away),
        cmocka_unit_test(test_random_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
