/* test_when.c - durations and points in time as people write them, up to the limits and beyond. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/iso_time.h"
#include "base/slice.h"
#include "cli/when.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct fl_err err;

/* The text in memory of exactly its size: a look behind its end is seen by the sanitizer. */
static bool read_time(const char *text, int64_t *time_ms)
{
    size_t length = strlen(text);
    char *exact = malloc(length ? length : 1);
    assert_non_null(exact);
    memcpy(exact, text, length);
    bool is_time = fl_iso_time((struct fl_slice){exact, length}, time_ms);
    free(exact);
    return is_time;
}

static fl_status read_duration(const char *text, int64_t *duration_ms)
{
    size_t length = strlen(text);
    char *exact = malloc(length ? length : 1);
    assert_non_null(exact);
    memcpy(exact, text, length);
    memset(&err, 0, sizeof err);
    fl_status status = fl_when_duration((struct fl_slice){exact, length}, "older-than", duration_ms, &err);
    free(exact);
    return status;
}

/* ---- durations ---- */

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } CASES[] = {
        {"0s", 0},
        {"1s", 1000},
        {"90s", 90000},
        {"15m", 900000},
        {"12h", 43200000},
        {"7d", 604800000},
        {"007d", 604800000},
        {"3155760000s", INT64_C(3155760000000)}, /* 100 years, in each unit */
        {"52596000m", INT64_C(3155760000000)},
        {"876600h", INT64_C(3155760000000)},
        {"36525d", INT64_C(3155760000000)},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        int64_t ms = -7;
        if (read_duration(CASES[i].text, &ms) != FL_OK)
            fail_msg("refused: %s: %s", CASES[i].text, err.text);
        if (ms != CASES[i].ms)
            fail_msg("%s is %lld ms, not %lld", CASES[i].text, (long long)ms, (long long)CASES[i].ms);
    }
}

static void test_no_durations(void **state)
{
    (void)state;
    static const char *const CASES[] = {
        "",
        "s",
        "7",
        "-7d",
        "+7d",
        "7 d",
        " 7d",
        "7d ",
        "7D",
        "1d12h",
        "1.5h",
        "7w",
        "7y",
        "7ms",
        "0x7d",
        "7d\n",
        "1e3s",
        "36526d",
        "876601h",
        "52596001m",
        "3155760001s",
        "d7",
        "sieben",
        "99999999999999999999d",
        "9223372036854775807s",
        "9223372036854775808s",
        "106751991167d",
        "18446744073709551616s",
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        int64_t ms = -7;
        if (read_duration(CASES[i], &ms) != FL_USAGE)
            fail_msg("accepted: '%s' as %lld ms", CASES[i], (long long)ms);
        assert_int_equal(err.code, FL_USAGE);
        assert_non_null(strstr(err.text, "--older-than takes a duration such as 90s, 15m, 12h or 7d, not '"));
    }
    char long_text[5000];
    int64_t ms;
    memset(long_text, '9', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    assert_int_equal(read_duration(long_text, &ms), FL_USAGE);
    assert_true(strlen(err.text) < 200); /* only the beginning is repeated */
}

/* ---- points in time ---- */

static void assert_times(const char *text, int64_t expected_ms)
{
    int64_t ms = -7;
    if (!read_time(text, &ms))
        fail_msg("refused: %s", text);
    if (ms != expected_ms)
        fail_msg("%s is %lld, not %lld", text, (long long)ms, (long long)expected_ms);
}

static void assert_no_time(const char *text)
{
    int64_t ms = -7;
    if (read_time(text, &ms))
        fail_msg("accepted: '%s' as %lld", text, (long long)ms);
}

static void test_forms(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } CASES[] = {
        {"2026-02-01T10:00:00Z", INT64_C(1769940000000)},
        {"2026-02-01T10:00:00", INT64_C(1769940000000)}, /* without an offset: UTC */
        {"2026-02-01T10:00Z", INT64_C(1769940000000)},
        {"2026-02-01T10:00", INT64_C(1769940000000)},
        {"2026-02-01 10:00", INT64_C(1769940000000)},
        {"2026-02-01t10:00:00z", INT64_C(1769940000000)},
        {"2026-02-01", INT64_C(1769904000000)},
        {"2026-02-01T10:00:00.5Z", INT64_C(1769940000500)},
        {"2026-02-01T10:00:00.25", INT64_C(1769940000250)},
        {"2026-02-01T10:00:00.123Z", INT64_C(1769940000123)},
        {"2026-02-01T10:00:00.1239999999999999999999999999Z", INT64_C(1769940000123)}, /* cut, not rounded */
        {"2026-02-01T10:00:00.999999+00:00", INT64_C(1769940000999)},
        {"2026-02-01T23:59:60Z", INT64_C(1769990400000)}, /* a leap second */
    };
    for (size_t i = 0; i < COUNT(CASES); i++)
        assert_times(CASES[i].text, CASES[i].ms);
}

static void test_offsets(void **state)
{
    (void)state;
    static const int64_t TEN = INT64_C(1769940000000), HOUR = 3600000, MINUTE = 60000;
    assert_times("2026-02-01T10:00:00+01:00", TEN - HOUR);
    assert_times("2026-02-01T10:00:00+0100", TEN - HOUR);
    assert_times("2026-02-01T10:00:00+01", TEN - HOUR);
    assert_times("2026-02-01T10:00:00-05:30", TEN + 5 * HOUR + 30 * MINUTE);
    assert_times("2026-02-01T10:00-0530", TEN + 5 * HOUR + 30 * MINUTE);
    assert_times("2026-02-01T10:00:00-00:00", TEN);
    assert_times("2026-02-01T10:00:00.25+14:00", TEN - 14 * HOUR + 250);
    assert_times("2026-03-01T00:30:00+01:00", INT64_C(1772321400000)); /* the day before, in another month */
    static const char *const REFUSED[] = {
        "2026-02-01T10:00:00+15:00",
        "2026-02-01T10:00:00+1",
        "2026-02-01T10:00:00+1:00",
        "2026-02-01T10:00:00+01:",
        "2026-02-01T10:00:00+01:6",
        "2026-02-01T10:00:00+01:60",
        "2026-02-01T10:00:00+010",
        "2026-02-01T10:00:00+01000",
        "2026-02-01T10:00:00+01:00:00",
        "2026-02-01T10:00:00Z+01",
        "2026-02-01T10:00:00 +01",
        "2026-02-01T10:00:00--1",
        "2026-02-01T10:00:00ZZ",
        "2026-02-01T10:00:00 UTC",
        "2026-02-01T10:00:00CET",
        "2026-02-01Z",
        "2026-02-01+01:00",
        "2026-02-01T10:00:00+-1:00",
    };
    for (size_t i = 0; i < COUNT(REFUSED); i++)
        assert_no_time(REFUSED[i]);
}

static void test_no_times(void **state)
{
    (void)state;
    static const char *const CASES[] = {
        "",
        "now",
        "tomorrow",
        "1769940000",
        "10:00",
        "2026",
        "2026-02",
        "2026-2-1",
        "26-02-01",
        "2026/02/01",
        "20260201",
        "20260201T100000Z",
        "2026-00-01",
        "2026-13-01",
        "2026-01-00",
        "2026-01-32",
        "2026-04-31",
        "2026-02-29",
        "2026-02-01T",
        "2026-02-01T10",
        "2026-02-01T10:",
        "2026-02-01T10:0",
        "2026-02-01T1:00",
        "2026-02-01T24:00:00Z",
        "2026-02-01T10:60Z",
        "2026-02-01T10:00:",
        "2026-02-01T10:00:61Z",
        "2026-02-01T10:00:0",
        "2026-02-01T10:00:00.",
        "2026-02-01T10:00:00.Z",
        "2026-02-01T10:00:00,5Z",
        "2026-02-01T10:00.5",
        "2026-02-01  10:00",
        "2026-02-01x10:00",
        " 2026-02-01",
        "2026-02-01 ",
        "2026-02-01T10:00:00Z ",
        "2026-02-01T10:00:00Z\n",
        "-026-02-01",
        "+2026-02-01",
        "2026-+2-01",
        "2026-02--1",
        "2026-W05-1",
        "2026-032",
        "99999999999999999999-01-01",
        "2026-02-01T99999999999999999999:00",
        "\xd9\xa2\xd9\xa0\xd9\xa2\xd9\xa6-02-01", /* digits of another script */
    };
    for (size_t i = 0; i < COUNT(CASES); i++)
        assert_no_time(CASES[i]);
    int64_t ms;
    assert_false(fl_iso_time((struct fl_slice){0}, &ms));
    assert_false(fl_iso_time((struct fl_slice){"2026-02-01\0", 11}, &ms)); /* a NUL is a character too */
}

static void test_limits(void **state)
{
    (void)state;
    assert_times("1970-01-01T00:00:00Z", 0);
    assert_times("1970-01-01", 0);
    assert_times("1970-01-01T00:00:00.001Z", 1);
    assert_times("1970-01-01T01:00:00+01:00", 0);
    assert_no_time("1970-01-01T00:59:59.999+01:00"); /* 1969 in UTC */
    assert_no_time("1969-12-31T23:59:59Z");
    assert_no_time("1969-12-31T23:59:59-01:00");
    assert_no_time("0000-01-01");
    assert_times("9999-12-31T23:59:59.999Z", INT64_C(253402300799999));
    assert_no_time("10000-01-01T00:00:00Z");
    assert_times("2038-01-19T03:14:08Z", INT64_C(2147483648000)); /* beyond 32 bits of seconds */
}

/* The first and the last day of each month of all years, beside the C library's calendar. */
static void test_calendar(void **state)
{
    (void)state;
    static const int LENGTHS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    for (int year = 1970; year <= 9999; year++)
        for (int month = 1; month <= 12; month++) {
            bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
            int days[] = {1, LENGTHS[month - 1] + (month == 2 && is_leap)};
            for (int i = 0; i < 2; i++) {
                struct tm tm = {
                    .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = days[i], .tm_hour = 6};
                char text[64];
                snprintf(text, sizeof text, "%04d-%02d-%02dT06:00", year, month, days[i]);
                assert_times(text, (int64_t)timegm(&tm) * 1000);
            }
            char after[64];
            snprintf(after, sizeof after, "%04d-%02d-%02d", year, month, days[1] + 1);
            assert_no_time(after);
        }
    assert_times("2000-02-29", INT64_C(951782400000));
    assert_times("2028-02-29", INT64_C(1835395200000));
    assert_no_time("2100-02-29");
    assert_no_time("1971-02-29");
}

static void test_message(void **state)
{
    (void)state;
    int64_t ms = -7;
    assert_int_equal(fl_when_time(FL_SLICE("2026-02-01T10:00:00Z"), "at", &ms, &err), FL_OK);
    assert_int_equal(ms, INT64_C(1769940000000));
    assert_int_equal(fl_when_time(FL_SLICE("\033[31mnoon"), "at", &ms, &err), FL_USAGE);
    assert_int_equal(err.code, FL_USAGE);
    assert_string_equal(err.text, "--at takes a time such as 2026-02-01T10:00:00Z, not '?[31mnoon'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations), cmocka_unit_test(test_no_durations), cmocka_unit_test(test_forms),
        cmocka_unit_test(test_offsets),   cmocka_unit_test(test_no_times),     cmocka_unit_test(test_limits),
        cmocka_unit_test(test_calendar),  cmocka_unit_test(test_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
