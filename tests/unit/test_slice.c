/* test_slice.c - comparing, trimming, lines, numbers and times of text that does not end in NUL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"

/* A copy of exactly its size, so that reading past the end is seen. */
static struct fl_slice exact(const char *text, size_t len)
{
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    return (struct fl_slice){copy, len};
}

static void drop(struct fl_slice text)
{
    free((char *)(uintptr_t)text.ptr);
}

static const struct fl_slice ABSENT = {NULL, 0};

static void test_from_and_range(void **state)
{
    (void)state;
    assert_null(fl_slice_from(NULL).ptr);
    assert_int_equal(fl_slice_from(NULL).len, 0);
    assert_int_equal(fl_slice_from("abc").len, 3);
    assert_non_null(fl_slice_from("").ptr);
    static const char TEXT[] = "abcdef";
    struct fl_slice range = fl_slice_range(TEXT + 1, TEXT + 4);
    assert_ptr_equal(range.ptr, TEXT + 1);
    assert_int_equal(range.len, 3);
    assert_int_equal(fl_slice_range(TEXT, TEXT).len, 0);
}

static void test_equality(void **state)
{
    (void)state;
    assert_true(fl_slice_eq(FL_SLICE("abc"), FL_SLICE("abc")));
    assert_true(fl_slice_eq(FL_SLICE("a\0c"), FL_SLICE("a\0c")));
    assert_false(fl_slice_eq(FL_SLICE("a\0c"), FL_SLICE("a\0d")));
    assert_false(fl_slice_eq(FL_SLICE("abc"), FL_SLICE("ab")));
    assert_true(fl_slice_eq(FL_SLICE(""), FL_SLICE("")));
    assert_false(fl_slice_eq(ABSENT, FL_SLICE("a")));
    assert_true(fl_slice_is(FL_SLICE("abc"), "abc"));
    assert_false(fl_slice_is(FL_SLICE("abc"), "abcd"));
    assert_false(fl_slice_is(FL_SLICE("abc"), "ab"));
    assert_false(fl_slice_is(FL_SLICE("ab\0"), "ab"));
    assert_false(fl_slice_is(ABSENT, "a"));
}

static void test_starts_and_ends(void **state)
{
    (void)state;
    struct fl_slice text = exact("WEBVTT", 6);
    assert_true(fl_slice_starts(text, "WEB"));
    assert_true(fl_slice_starts(text, "WEBVTT"));
    assert_true(fl_slice_starts(text, ""));
    assert_false(fl_slice_starts(text, "WEBVTT "));
    assert_false(fl_slice_starts(text, "EB"));
    assert_true(fl_slice_ends(text, "VTT"));
    assert_true(fl_slice_ends(text, "WEBVTT"));
    assert_true(fl_slice_ends(text, ""));
    assert_false(fl_slice_ends(text, "xWEBVTT"));
    assert_false(fl_slice_ends(text, "VT"));
    drop(text);
    assert_false(fl_slice_starts(ABSENT, "a"));
    assert_false(fl_slice_ends(ABSENT, "a"));
}

static void test_order_is_bytewise(void **state)
{
    (void)state;
    static const struct fl_slice SORTED[] = {FL_SLICE(""),         FL_SLICE("\0"),  FL_SLICE("A"),
                                             FL_SLICE("a"),        FL_SLICE("a\0"), FL_SLICE("aa"),
                                             FL_SLICE("ab"),       FL_SLICE("b"),   FL_SLICE("\x7f"),
                                             FL_SLICE("\xc3\xa9"), FL_SLICE("\xff")};
    const size_t n = sizeof(SORTED) / sizeof(SORTED[0]);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            int order = fl_slice_compare(SORTED[i], SORTED[j]);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
}

static void test_trim_and_blank(void **state)
{
    (void)state;
    struct fl_slice text = exact(" \t\r\n\f\va b\t\v\f\n\r ", 15);
    assert_true(fl_slice_is(fl_slice_trim(text), "a b"));
    assert_false(fl_slice_is_blank(text));
    drop(text);
    assert_int_equal(fl_slice_trim(FL_SLICE(" \t ")).len, 0);
    assert_int_equal(fl_slice_trim(ABSENT).len, 0);
    assert_int_equal(fl_slice_trim(FL_SLICE("\xc2\xa0x\0")).len, 4); /* neither is ASCII white space */
    assert_true(fl_slice_is_blank(FL_SLICE("")));
    assert_true(fl_slice_is_blank(ABSENT));
    assert_true(fl_slice_is_blank(FL_SLICE(" \t\r\n\f\v")));
    assert_false(fl_slice_is_blank(FL_SLICE(" \0 ")));
    assert_false(fl_slice_is_blank(FL_SLICE("\x1f")));
}

/* ---- lines ---- */

static void assert_lines(struct fl_slice text, const char *joined, uint32_t count)
{
    struct fl_slice copy = exact(text.ptr, text.len);
    struct fl_lines lines;
    fl_lines_init(&lines, copy);
    char got[256] = "";
    struct fl_slice line;
    uint32_t n = 0;
    while (fl_lines_next(&lines, &line)) {
        assert_non_null(line.ptr);
        assert_int_equal(lines.line_number, ++n);
        strncat(got, line.ptr, line.len);
        strcat(got, "|");
    }
    assert_string_equal(got, joined);
    assert_int_equal(n, count);
    assert_false(fl_lines_next(&lines, &line)); /* stays at the end */
    drop(copy);
}

static void test_lines(void **state)
{
    (void)state;
    assert_lines(FL_SLICE(""), "", 0);
    assert_lines(FL_SLICE("a"), "a|", 1);
    assert_lines(FL_SLICE("a\n"), "a|", 1);
    assert_lines(FL_SLICE("a\r\n"), "a|", 1);
    assert_lines(FL_SLICE("a\r"), "a|", 1);
    assert_lines(FL_SLICE("a\nb\r\nc\rd"), "a|b|c|d|", 4);
    assert_lines(FL_SLICE("\n\r\n\r"), "|||", 3);
    assert_lines(FL_SLICE("a\r\r\nb"), "a||b|", 3);
    assert_lines(FL_SLICE("a\n\rb"), "a||b|", 3);
    assert_lines(FL_SLICE("\n"), "|", 1);
}

/* The count of a stretch depends on its two ends only, and agrees with the line reader. */
static void test_line_ends_add_up(void **state)
{
    (void)state;
    static const char KINDS[] = {'\r', '\n', 'x'};
    for (unsigned code = 0; code < 2187; code++) { /* 3^7 */
        char bytes[7];
        unsigned rest = code;
        for (size_t i = 0; i < 7; i++, rest /= 3)
            bytes[i] = KINDS[rest % 3];
        struct fl_slice text = exact(bytes, 7);
        uint32_t whole = fl_slice_count_line_ends(text, 0, 7);
        struct fl_lines lines;
        struct fl_slice line;
        fl_lines_init(&lines, text);
        while (fl_lines_next(&lines, &line))
            ;
        assert_int_equal(whole, lines.line_number - (bytes[6] == 'x'));
        for (size_t from = 0; from <= 7; from++)
            for (size_t to = from; to <= 7; to++)
                assert_int_equal(fl_slice_count_line_ends(text, 0, from) +
                                     fl_slice_count_line_ends(text, from, to) +
                                     fl_slice_count_line_ends(text, to, 7),
                                 whole);
        drop(text);
    }
    assert_int_equal(fl_slice_count_line_ends(FL_SLICE("a\r\nb"), 0, 2), 0); /* counted where the LF is */
    assert_int_equal(fl_slice_count_line_ends(FL_SLICE("a\r\nb"), 2, 3), 1);
}

/* ---- numbers ---- */

static void test_take_char(void **state)
{
    (void)state;
    struct fl_slice text = FL_SLICE("a:b");
    assert_false(fl_slice_take_char(&text, ':'));
    assert_int_equal(text.len, 3);
    assert_true(fl_slice_take_char(&text, 'a'));
    assert_true(fl_slice_take_char(&text, ':'));
    assert_true(fl_slice_is(text, "b"));
    assert_true(fl_slice_take_char(&text, 'b'));
    assert_false(fl_slice_take_char(&text, 'b'));
    text = ABSENT;
    assert_false(fl_slice_take_char(&text, 'a'));
}

static void test_take_digits(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t taken;
        int64_t value;
    } CASES[] = {
        {"0", 1, 0},
        {"12:", 2, 12},
        {"007x", 3, 7},
        {"999999999999999999", 18, 999999999999999999},
        {"1000000000000000000", 19, INT64_MAX},
        {"0000000000000000001", 19, INT64_MAX},
        {"99999999999999999999999999999999 ", 32, INT64_MAX},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        size_t len = strlen(CASES[i].text);
        struct fl_slice text = exact(CASES[i].text, len), rest = text;
        int64_t value = -1;
        assert_int_equal(fl_slice_take_digits(&rest, &value), CASES[i].taken);
        assert_int_equal(value, CASES[i].value);
        assert_ptr_equal(rest.ptr, text.ptr + CASES[i].taken);
        assert_int_equal(rest.len, len - CASES[i].taken);
        drop(text);
    }
    static const char *const NONE[] = {"", "x1", "-1", "+1", " 1", "\xd9\xa1"};
    for (size_t i = 0; i < sizeof(NONE) / sizeof(NONE[0]); i++) {
        struct fl_slice text = fl_slice_from(NONE[i]);
        int64_t value;
        assert_int_equal(fl_slice_take_digits(&text, &value), 0);
        assert_ptr_equal(text.ptr, NONE[i]);
    }
}

static void assert_ms(const char *seconds, int64_t expected_ms)
{
    struct fl_slice text = exact(seconds, strlen(seconds));
    int64_t value_ms = INT64_MIN;
    if (!fl_slice_seconds_to_ms(text, &value_ms) || value_ms != expected_ms)
        fail_msg("%s s: %lld ms", seconds, (long long)value_ms);
    drop(text);
}

static void test_seconds(void **state)
{
    (void)state;
    static const struct {
        const char *seconds;
        int64_t ms;
    } CASES[] = {
        {"0", 0},
        {"-0", 0},
        {"0.0", 0},
        {"12", 12000},
        {"3.5", 3500},
        {"-3.5", -3500},
        {"1e2", 100000},
        {"1E2", 100000},
        {"1e+2", 100000},
        {"100e-2", 1000},
        {"1.5e1", 15000},
        {"0e99999999999", 0},
        {"0.000e-5", 0},
        /* rounded once, half away from zero */
        {"0.0005", 1},
        {"-0.0005", -1},
        {"5e-4", 1},
        {"0.00049999999999999999999999", 0},
        {"0.0004999e0", 0},
        {"0.00050000000000000000000001", 1},
        {"1.0005", 1001},
        {"2.6745", 2675},
        {"1.0014999999999999999999", 1001},
        {"-2.0015", -2002},
        {"1234567.8905", 1234567891},
        {"0.9995", 1000},
        {"0.9994", 999},
        {"5e-5", 0},
        {"49e-5", 0},
        {"50e-5", 1},
        /* exact where a double is not */
        {"8.325", 8325},
        {"1.005", 1005},
        {"4.35", 4350},
        {"359999.9994", 359999999},
        /* far exponents */
        {"1e-99999999999999999999", 0},
        {"0.1e3", 100000},
        {"0.00000000000000000001e20", 1000},
        {"100000000000000000000e-20", 1000},
        {"1e12", 1000000000000000},
        {"-1e12", -1000000000000000},
        {"1000000000000", 1000000000000000},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
        assert_ms(CASES[i].seconds, CASES[i].ms);
}

static void test_every_millisecond_reads_as_itself(void **state)
{
    (void)state;
    for (int ms = 0; ms < 100000; ms++) {
        char text[32];
        snprintf(text, sizeof(text), "%d.%03d", ms / 1000, ms % 1000);
        int64_t value_ms;
        assert_true(fl_slice_seconds_to_ms(fl_slice_from(text), &value_ms));
        assert_int_equal(value_ms, ms);
        snprintf(text, sizeof(text), "%de-3", ms);
        assert_true(fl_slice_seconds_to_ms(fl_slice_from(text), &value_ms));
        assert_int_equal(value_ms, ms);
    }
}

static void test_no_seconds(void **state)
{
    (void)state;
    static const char *const BAD[] = {
        "", "-", "+1", "01", "-01", "1.", ".5", "-.5", "1e", "1e+", "1e-", "e5", "1.e5", "NaN", "Infinity",
        "-Infinity", "0x10", " 1", "1 ", "1\n", "--1", "1e5x", "1.5.5", "1,5", "1e2.5", "1e2e2", "null",
        "\"1\"", "00", "1_000",
        /* beyond the limit */
        "1000000000000.001", "1000000000001", "-1000000000000.001", "9007199254740.993", "1e13", "1e18",
        "1e999999999999999999999999", "-1e400", "99999999999999999999999999999999999999",
        "0.001e99999999999999999999"};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        struct fl_slice text = exact(BAD[i], strlen(BAD[i]));
        int64_t value_ms = 0;
        if (fl_slice_seconds_to_ms(text, &value_ms))
            fail_msg("'%s' read as %lld ms", BAD[i], (long long)value_ms);
        drop(text);
    }
    int64_t value_ms;
    assert_false(fl_slice_seconds_to_ms(FL_SLICE("1\0"), &value_ms));
    assert_false(fl_slice_seconds_to_ms(ABSENT, &value_ms));
}

/* A megabyte of digits is one number, read in one pass. */
static void test_long_numbers(void **state)
{
    (void)state;
    enum { DIGITS = 1000000 };
    char *text = malloc(DIGITS + 2);
    assert_non_null(text);
    memset(text, '0', DIGITS);
    memcpy(text, "7.", 2);
    int64_t value_ms = 0;
    assert_true(fl_slice_seconds_to_ms((struct fl_slice){text, DIGITS}, &value_ms));
    assert_int_equal(value_ms, 7000);
    memset(text, '9', DIGITS);
    assert_false(fl_slice_seconds_to_ms((struct fl_slice){text, DIGITS}, &value_ms));
    memcpy(text, "0.", 2);
    assert_true(fl_slice_seconds_to_ms((struct fl_slice){text, DIGITS}, &value_ms));
    assert_int_equal(value_ms, 1000);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_and_range),
        cmocka_unit_test(test_equality),
        cmocka_unit_test(test_starts_and_ends),
        cmocka_unit_test(test_order_is_bytewise),
        cmocka_unit_test(test_trim_and_blank),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_line_ends_add_up),
        cmocka_unit_test(test_take_char),
        cmocka_unit_test(test_take_digits),
        cmocka_unit_test(test_seconds),
        cmocka_unit_test(test_every_millisecond_reads_as_itself),
        cmocka_unit_test(test_no_seconds),
        cmocka_unit_test(test_long_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
