/* test_verdict.c - what an operator is told about a lock: each verdict, its borders, and which one wins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/slice.h"
#include "core/verdict.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct fl_lock_limits LIMITS = {.ttl_ms = 9000, .dead_ms = 5000, .stall_ms = 30000};

/* Held, renewed and alive. */
static const struct fl_lock_facts GOOD = {
    .redis_answers = true,
    .has_lease = true,
    .has_session = true,
    .left_ms = 8000,
    .held_ms = 1000,
    .beat_ms = 500,
    .idle_ms = 20,
};

static void assert_verdict(struct fl_lock_facts facts, enum fl_verdict expected)
{
    enum fl_verdict verdict = fl_verdict_judge(&facts, &LIMITS);
    assert_string_equal(fl_verdict_name(verdict), fl_verdict_name(expected));
}

static void test_each_verdict(void **state)
{
    (void)state;
    struct fl_lock_facts facts = GOOD;
    assert_verdict(facts, FL_VERDICT_HEALTHY);
    facts.left_ms = 1000;
    assert_verdict(facts, FL_VERDICT_EXPIRING);
    facts.idle_ms = 60000;
    assert_verdict(facts, FL_VERDICT_STALLED);
    facts.beat_ms = 60000;
    assert_verdict(facts, FL_VERDICT_ORPHAN);
    facts.has_lease = false;
    assert_verdict(facts, FL_VERDICT_FENCE_AHEAD);
    facts.redis_forgot = true;
    assert_verdict(facts, FL_VERDICT_REDIS_LOST);
    facts.is_superseded = true;
    assert_verdict(facts, FL_VERDICT_ZOMBIE);
}

static void test_borders(void **state)
{
    (void)state;
    static const struct {
        int64_t left_ms, beat_ms, idle_ms;
        enum fl_verdict verdict;
    } CASES[] = {
        {3000, 0, 0, FL_VERDICT_HEALTHY}, /* a third of 9000 */
        {2999, 0, 0, FL_VERDICT_EXPIRING},       {1, 0, 0, FL_VERDICT_EXPIRING},
        {0, 0, 0, FL_VERDICT_EXPIRING},          {3000, 5000, 0, FL_VERDICT_HEALTHY},
        {3000, 5001, 0, FL_VERDICT_ORPHAN},      {3000, 0, 29999, FL_VERDICT_HEALTHY},
        {3000, 0, 30000, FL_VERDICT_STALLED},    {INT64_MAX, 0, 0, FL_VERDICT_HEALTHY},
        {3000, INT64_MAX, 0, FL_VERDICT_ORPHAN}, {3000, 0, INT64_MAX, FL_VERDICT_STALLED},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct fl_lock_facts facts = GOOD;
        facts.left_ms = CASES[i].left_ms;
        facts.beat_ms = CASES[i].beat_ms;
        facts.idle_ms = CASES[i].idle_ms;
        assert_verdict(facts, CASES[i].verdict);
    }
}

/* What is not known accuses nobody; a process without any heartbeat has as long as one that was heard. */
static void test_unknown(void **state)
{
    (void)state;
    struct fl_lock_facts facts = GOOD;
    facts.left_ms = FL_UNKNOWN_MS; /* it never expires */
    facts.idle_ms = FL_UNKNOWN_MS;
    assert_verdict(facts, FL_VERDICT_HEALTHY);
    facts.beat_ms = FL_UNKNOWN_MS;
    facts.held_ms = LIMITS.dead_ms;
    assert_verdict(facts, FL_VERDICT_HEALTHY);
    facts.held_ms = LIMITS.dead_ms + 1;
    assert_verdict(facts, FL_VERDICT_ORPHAN);
    facts.beat_ms = 0; /* once it is heard, how long it has been holding does not count */
    assert_verdict(facts, FL_VERDICT_HEALTHY);
    facts.beat_ms = facts.held_ms = FL_UNKNOWN_MS;
    assert_verdict(facts, FL_VERDICT_HEALTHY);
    const struct fl_lock_facts nothing = {.left_ms = FL_UNKNOWN_MS,
                                          .held_ms = FL_UNKNOWN_MS,
                                          .beat_ms = FL_UNKNOWN_MS,
                                          .idle_ms = FL_UNKNOWN_MS};
    assert_verdict(nothing, FL_VERDICT_REDIS_LOST); /* Redis does not answer */
}

/* Who has been overtaken is a zombie while it could still talk to Postgres, or has no lease that would say
 * more. */
static void test_superseded(void **state)
{
    (void)state;
    struct fl_lock_facts facts = GOOD;
    facts.is_superseded = true;
    assert_verdict(facts, FL_VERDICT_ZOMBIE);
    facts.has_session = false;
    assert_verdict(facts, FL_VERDICT_ORPHAN);
    facts.has_lease = false;
    assert_verdict(facts, FL_VERDICT_ZOMBIE);
}

/* A lease of somebody else's blocks the episode, whoever heartbeats. */
static void test_foreign(void **state)
{
    (void)state;
    struct fl_lock_facts facts = GOOD;
    facts.is_foreign = true;
    assert_verdict(facts, FL_VERDICT_ORPHAN);
}

/* All combinations of what can be true at once: the order of precedence, told a second way. */
static void test_precedence(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 512; bits++) {
        const struct fl_lock_facts facts = {
            .redis_answers = bits & 1,
            .redis_forgot = bits & 2,
            .has_lease = bits & 4,
            .is_foreign = bits & 8,
            .is_superseded = bits & 16,
            .has_session = bits & 32,
            .left_ms = bits & 64 ? 10 : 8000,
            .held_ms = 1,
            .beat_ms = bits & 128 ? 99999 : 1,
            .idle_ms = bits & 256 ? 99999 : 1,
        };
        enum fl_verdict expected = FL_VERDICT_HEALTHY; /* each line wins over those before it */
        if (facts.left_ms == 10)
            expected = FL_VERDICT_EXPIRING;
        if (facts.idle_ms == 99999)
            expected = FL_VERDICT_STALLED;
        if (facts.beat_ms == 99999 || facts.is_foreign)
            expected = FL_VERDICT_ORPHAN;
        if (!facts.has_lease)
            expected = facts.redis_forgot ? FL_VERDICT_REDIS_LOST : FL_VERDICT_FENCE_AHEAD;
        if (!facts.redis_answers)
            expected = FL_VERDICT_REDIS_LOST;
        if (facts.is_superseded)
            expected = facts.has_lease && !facts.has_session ? FL_VERDICT_ORPHAN : FL_VERDICT_ZOMBIE;
        assert_verdict(facts, expected);
    }
}

static void test_names(void **state)
{
    (void)state;
    static const char *const NAMES[] = {"zombie",  "redis-lost", "fence-ahead", "orphan",
                                        "stalled", "expiring",   "healthy"};
    static const char *const OTHERS[] = {"", "Healthy", "healthy ", "health", "stalledx", "all"};
    assert_int_equal(FL_VERDICT_COUNT, COUNT(NAMES));
    for (size_t i = 0; i < COUNT(NAMES); i++) {
        enum fl_verdict verdict = fl_verdict_from_name(fl_slice_from(NAMES[i]));
        assert_int_equal(verdict, i); /* the order in which they need attention */
        assert_string_equal(fl_verdict_name(verdict), NAMES[i]);
    }
    for (size_t i = 0; i < COUNT(OTHERS); i++)
        assert_int_equal(fl_verdict_from_name(fl_slice_from(OTHERS[i])), FL_VERDICT_COUNT);
}

/* All but the last two need a person, and say what to do. */
static void test_who_needs_a_person(void **state)
{
    (void)state;
    for (int verdict = 0; verdict < FL_VERDICT_COUNT; verdict++) {
        bool needs = verdict != FL_VERDICT_HEALTHY && verdict != FL_VERDICT_EXPIRING;
        assert_int_equal(fl_verdict_needs_person((enum fl_verdict)verdict), needs);
        if (needs)
            assert_true(strlen(fl_verdict_advice((enum fl_verdict)verdict)) > 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_verdict), cmocka_unit_test(test_borders),
        cmocka_unit_test(test_unknown),      cmocka_unit_test(test_superseded),
        cmocka_unit_test(test_foreign),      cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_names),        cmocka_unit_test(test_who_needs_a_person),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
