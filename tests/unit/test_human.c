/* test_human.c - amounts as people read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/human.h"

static void test_span(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } CASES[] = {
        {0, "0ms"},
        {99, "99ms"},
        {100, "0.1s"},
        {340, "0.3s"},
        {9999, "9.9s"},
        {10000, "10s"},
        {59999, "59s"},
        {60000, "1m00s"},
        {192000, "3m12s"},
        {3599999, "59m59s"},
        {3600000, "1h00m"},
        {18420000, "5h07m"},
        {86399999, "23h59m"},
        {86400000, "1d00h"},
        {187200000, "2d04h"},
        {-192000, "-3m12s"},
        {INT64_MAX, "106751991167d07h"},
        {INT64_MIN, "-106751991167d07h"},
    };
    char text[FL_HUMAN_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_string_equal(fl_human_span(CASES[i].ms, text), CASES[i].text);
}

static void test_size(void **state)
{
    static const struct {
        int64_t bytes;
        const char *text;
    } CASES[] = {
        {-1, "0 B"},
        {0, "0 B"},
        {1023, "1023 B"},
        {1024, "1.0 KiB"},
        {1536, "1.5 KiB"},
        {1048524, "1023.9 KiB"},
        {1048575, "1.0 MiB"},
        {67108864, "64.0 MiB"},
        {INT64_MAX, "8192.0 PiB"},
    };
    char text[FL_HUMAN_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_string_equal(fl_human_size(CASES[i].bytes, text), CASES[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_span), cmocka_unit_test(test_size)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
