/* test_clock.c - times as SubRip and timed text write them: shape, sizes, rounding, and what is left behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h> /* needs the headers above */

#include "base/slice.h"
#include "core/formats/clock.h"

/* Reads text from memory that ends where the text does, so that a sanitizer sees a read behind it. */
static enum fl_clock_kind take(const char *text, struct fl_clock *clock, size_t *left_bytes)
{
    size_t size_bytes = strlen(text);
    char *copy = malloc(size_bytes ? size_bytes : 1);
    assert_non_null(copy);
    memcpy(copy, text, size_bytes);
    struct fl_slice rest = {copy, size_bytes};
    enum fl_clock_kind kind = fl_clock_take(&rest, clock);
    *left_bytes = rest.len;
    assert_ptr_equal(rest.ptr + rest.len, copy + size_bytes);
    free(copy);
    return kind;
}

static void times_are_read_to_the_millisecond(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t time_ms;
        size_t left_bytes;
    } TIMES[] = {
        {"00:00", 0, 0},
        {"1:2", 62000, 0},
        {"59:59", 3599000, 0},
        {"1:00:00", 3600000, 0},
        {"9999:59:59", 35999999000, 0},
        {"00:00:01,5", 1500, 0},
        {"00:00:01.04", 1040, 0},
        {"00:01,0004", 1000, 0},
        {"00:01,0005", 1001, 0},
        {"00:01.999500000", 2000, 0},
        {"00:59.9999", 60000, 0},
        {"00:00:01,", 1000, 0},
        {"00:00:01 --> ", 1000, 5},
        {"00:00:01:30", 1000, 3},
        {"00:01]x", 1000, 2},
    };
    for (size_t i = 0; i < sizeof TIMES / sizeof *TIMES; i++) {
        struct fl_clock clock;
        size_t left_bytes;
        assert_int_equal(take(TIMES[i].text, &clock, &left_bytes), FL_CLOCK_OK);
        assert_int_equal(clock.time_ms, TIMES[i].time_ms);
        assert_int_equal(left_bytes, TIMES[i].left_bytes);
    }
}

static void what_has_not_the_shape_is_no_time(void **state)
{
    (void)state;
    static const char *const TEXTS[] = {"",    "7",      "12345", ":",     ":01",
                                        "00:", "00:01:", "a:b",   "-1:00", " 1:00"};
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        struct fl_clock clock;
        size_t left_bytes;
        assert_int_equal(take(TEXTS[i], &clock, &left_bytes), FL_CLOCK_NONE);
    }
}

static void what_cannot_be_a_time_is_read_to_its_end(void **state)
{
    (void)state;
    static const char *const TEXTS[] = {
        "60:00",     "00:60",     "00:60:00", "00:00:60",   "10000:00:00",      "00:001",
        "00:001:00", "00:00:001", "100:00",   "00:00:99,5", "1:1:1,0123456789", "99999999999999999999:00:00"};
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        struct fl_clock clock;
        size_t left_bytes;
        assert_int_equal(take(TEXTS[i], &clock, &left_bytes), FL_CLOCK_BROKEN);
        assert_int_equal(left_bytes, 0);
    }
}

static void digits_are_told(void **state)
{
    (void)state;
    struct fl_clock clock;
    size_t left_bytes;
    assert_int_equal(take("123:04:5.67", &clock, &left_bytes), FL_CLOCK_OK);
    assert_int_equal(clock.fields, 3);
    assert_int_equal(clock.digits[0], 3);
    assert_int_equal(clock.digits[1], 2);
    assert_int_equal(clock.digits[2], 1);
    assert_true(clock.has_fraction_mark);
    assert_int_equal(clock.fraction_digits, 2);
    assert_int_equal(take("01:02,", &clock, &left_bytes), FL_CLOCK_OK);
    assert_int_equal(clock.fields, 2);
    assert_true(clock.has_fraction_mark);
    assert_int_equal(clock.fraction_digits, 0);
    assert_int_equal(take("01:02", &clock, &left_bytes), FL_CLOCK_OK);
    assert_false(clock.has_fraction_mark);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_read_to_the_millisecond),
        cmocka_unit_test(what_has_not_the_shape_is_no_time),
        cmocka_unit_test(what_cannot_be_a_time_is_read_to_its_end),
        cmocka_unit_test(digits_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
