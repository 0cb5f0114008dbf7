/* test_retry.c - exponential backoff with full jitter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/retry.h"

static uint64_t next_random(uint64_t *seed)
{
    uint64_t z = (*seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Smallest and largest delay of many. */
static void span(uint32_t attempt, int64_t base_ms, int64_t max_ms, int64_t *least, int64_t *most)
{
    uint64_t seed = 5;
    *least = INT64_MAX;
    *most = INT64_MIN;
    for (int i = 0; i < 5000; i++) {
        int64_t delay_ms = fl_retry_delay_ms(attempt, base_ms, max_ms, next_random(&seed));
        *least = delay_ms < *least ? delay_ms : *least;
        *most = delay_ms > *most ? delay_ms : *most;
    }
}

static void test_doubles_from_attempt_0_up_to_the_maximum(void **state)
{
    (void)state;
    static const struct {
        uint32_t attempt;
        int64_t limit_ms;
    } CASES[] = {{0, 10}, {1, 20}, {2, 40}, {3, 80}, {4, 100}, {5, 100}, {1000, 100}};
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        int64_t least, most;
        span(CASES[i].attempt, 10, 100, &least, &most);
        assert_int_equal(least, 1);
        assert_int_equal(most, CASES[i].limit_ms);
    }
}

static void test_spread_is_even(void **state)
{
    (void)state;
    unsigned counts[8] = {0};
    uint64_t seed = 11;
    for (int i = 0; i < 16000; i++) {
        int64_t delay_ms = fl_retry_delay_ms(3, 1, 1000, next_random(&seed));
        assert_in_range(delay_ms, 1, 8);
        counts[delay_ms - 1]++;
    }
    for (int i = 0; i < 8; i++)
        assert_in_range(counts[i], 1800, 2200);
}

static void test_nothing_overflows(void **state)
{
    (void)state;
    static const uint64_t RANDOMS[] = {0, 1, UINT64_MAX / 2, UINT64_MAX - 1, UINT64_MAX};
    static const uint32_t ATTEMPTS[] = {0, 1, 31, 32, 62, 63, 64, 65, UINT32_MAX};
    for (size_t r = 0; r < sizeof(RANDOMS) / sizeof(RANDOMS[0]); r++)
        for (size_t a = 0; a < sizeof(ATTEMPTS) / sizeof(ATTEMPTS[0]); a++) {
            assert_in_range(fl_retry_delay_ms(ATTEMPTS[a], 100, 5000, RANDOMS[r]), 1, 5000);
            assert_true(fl_retry_delay_ms(ATTEMPTS[a], INT64_MAX / 2, INT64_MAX / 2, RANDOMS[r]) >= 1);
            assert_int_equal(fl_retry_delay_ms(ATTEMPTS[a], 1, 1, RANDOMS[r]), 1);
        }
}

static void test_base_above_the_maximum(void **state)
{
    (void)state;
    int64_t least, most;
    span(0, 500, 20, &least, &most);
    assert_int_equal(least, 1);
    assert_int_equal(most, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doubles_from_attempt_0_up_to_the_maximum),
        cmocka_unit_test(test_spread_is_even),
        cmocka_unit_test(test_nothing_overflows),
        cmocka_unit_test(test_base_above_the_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
