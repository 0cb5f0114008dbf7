/* test_print.c - tables and JSON from the same rows, hostile text, times, exit codes, the progress bar's
 * text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "cli/document_table.h"
#include "cli/print.h"
#include "cli/progress.h"

static void assert_text(struct fl_slice text, const char *expected, size_t columns)
{
    char *printed = NULL;
    size_t length;
    FILE *out = open_memstream(&printed, &length);
    assert_non_null(out);
    assert_int_equal(fl_print_text(out, text), columns);
    assert_int_equal(fl_print_text(NULL, text), columns);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(printed, expected);
    free(printed);
}

static void test_hostile_text(void **state)
{
    (void)state;
    assert_text(FL_SLICE("plain"), "plain", 5);
    assert_text((struct fl_slice){0}, "", 0);
    assert_text(FL_SLICE(""), "", 0);
    assert_text(FL_SLICE("a\nb\tc\rd"), "a\\nb\\tc\\rd", 10);
    assert_text(FL_SLICE("\033[31mred\007"), "\\x1B[31mred\\x07", 15);
    assert_text(FL_SLICE("nul\0end"), "nul\\x00end", 10);
    assert_text(FL_SLICE("\x7f"), "\\x7F", 4);
    assert_text(FL_SLICE("\xc2\x9b"), "\\x9B", 4);                    /* C1: CSI in one character */
    assert_text(FL_SLICE("a\xff\xe2\x80z"), "a\\xFF\\xE2\\x80z", 14); /* not UTF-8 */
    assert_text(FL_SLICE("\xe2\x80\xae"
                         "gpj.exe"),
                "\\u202Egpj.exe", 13); /* right-to-left override */
    assert_text(FL_SLICE("\xe2\x80\xa8"), "\\u2028", 6);
    assert_text(FL_SLICE("\xc3\xa9t\xc3\xa9"), "\xc3\xa9t\xc3\xa9", 3);
    assert_text((struct fl_slice){"abcdef", 3}, "abc", 3); /* not beyond the slice */
}

static void test_width(void **state)
{
    (void)state;
    if (!setlocale(LC_CTYPE, "C.UTF-8")) {
        print_message("skip: no locale C.UTF-8\n");
        skip();
    }
    assert_text(FL_SLICE("\xe6\x97\xa5\xe6\x9c\xac"), "\xe6\x97\xa5\xe6\x9c\xac",
                4);                                     /* two wide characters */
    assert_text(FL_SLICE("e\xcc\x81"), "e\xcc\x81", 1); /* a combining accent */
    setlocale(LC_CTYPE, "C");
}

static void test_times(void **state)
{
    (void)state;
    char out[FL_TIME_BYTES];
    assert_string_equal(fl_format_time(0, out), "0:00:00.000");
    assert_string_equal(fl_format_time(3723004, out), "1:02:03.004");
    assert_string_equal(fl_format_time(360000000, out), "100:00:00.000");
    assert_string_equal(fl_format_time(59999, out), "0:00:59.999");
    assert_string_equal(fl_format_time(FL_END_NONE, out), "-");
    assert_non_null(strchr(fl_format_time(INT64_MAX, out), ':'));
}

static void test_exit_codes(void **state)
{
    (void)state;
    static const int WORST_FIRST[] = {130, 2, 6, 1, 4, 3, 5, 0};
    for (size_t a = 0; a < sizeof WORST_FIRST / sizeof *WORST_FIRST; a++)
        for (size_t b = a; b < sizeof WORST_FIRST / sizeof *WORST_FIRST; b++) {
            assert_int_equal(fl_exit_worse(WORST_FIRST[a], WORST_FIRST[b]), WORST_FIRST[a]);
            assert_int_equal(fl_exit_worse(WORST_FIRST[b], WORST_FIRST[a]), WORST_FIRST[a]);
        }
    assert_int_equal(fl_exit_worse(0, 77), 77);
}

static const struct fl_column COLUMNS[] = {{"n", "number", true},   {"name", "name", false},
                                           {NULL, "hidden", false}, {"at", "at_ms", true},
                                           {"ok", NULL, false},     {"note", "note", false}};

static void get_row(const void *rows, size_t row, struct fl_cell *cells)
{
    (void)rows;
    cells[0] = (struct fl_cell){.type = FL_CELL_NUMBER, .number = row ? 1234 : -5};
    cells[1] = (struct fl_cell){.type = FL_CELL_TEXT, .text = row ? FL_SLICE("a\nb") : (struct fl_slice){0}};
    cells[2] = (struct fl_cell){.type = FL_CELL_JSON, .text = FL_SLICE("{\"x\":1}")};
    cells[3] = (struct fl_cell){.type = FL_CELL_TIME, .number = row ? 61001 : FL_END_NONE};
    cells[4] = (struct fl_cell){.type = FL_CELL_BOOL, .boolean = row};
    cells[5] = row ? (struct fl_cell){.type = FL_CELL_TEXT, .text = FL_SLICE("end")}
                   : (struct fl_cell){.type = FL_CELL_NULL};
}

static const struct fl_table TABLE = {COLUMNS, sizeof COLUMNS / sizeof *COLUMNS, 2, get_row, NULL};

static void test_table(void **state)
{
    (void)state;
    char *printed = NULL;
    size_t length;
    FILE *out = open_memstream(&printed, &length);
    fl_print_table(out, &TABLE, 2, false);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(printed, "     n  name           at  ok   note\n"
                                 "    -5  -               -  no   -\n"
                                 "  1234  a\\nb  0:01:01.001  yes  end\n");
    free(printed);
    out = open_memstream(&printed, &length);
    fl_print_table(out, &TABLE, 0, true);
    assert_int_equal(fclose(out), 0);
    assert_ptr_equal(strstr(printed, "\033[1m   n  name"), printed);
    assert_non_null(strstr(printed, "note\033[0m\n"));
    free(printed);
}

static void test_json(void **state)
{
    (void)state;
    char *printed = NULL;
    size_t length;
    FILE *out = open_memstream(&printed, &length);
    struct fl_json_writer writer;
    fl_json_write_init(&writer, out);
    fl_print_json_rows(&writer, &TABLE);
    fl_json_write_end_line(&writer);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(
        printed,
        "[{\"number\":-5,\"name\":null,\"hidden\":{\"x\":1},\"at_ms\":null,\"note\":null},"
        "{\"number\":1234,\"name\":\"a\\nb\",\"hidden\":{\"x\":1},\"at_ms\":61001,\"note\":\"end\"}]\n");
    free(printed);
}

static char wide[400];

static void get_wide_row(const void *rows, size_t row, struct fl_cell *cells)
{
    (void)rows;
    cells[0] = (struct fl_cell){.type = FL_CELL_TEXT, .text = {wide, row ? 1 : sizeof wide}};
    cells[1] = (struct fl_cell){.type = FL_CELL_NUMBER, .number = 7};
}

/* One enormous cell must not make every line enormous. */
static void test_wide_cell(void **state)
{
    (void)state;
    static const struct fl_column WIDE[] = {{"a", "a", false}, {"b", "b", false}};
    const struct fl_table table = {WIDE, 2, 2, get_wide_row, NULL};
    char *printed = NULL;
    size_t length;
    memset(wide, 'w', sizeof wide);
    FILE *out = open_memstream(&printed, &length);
    fl_print_table(out, &table, 0, false);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(length, strlen("a  b\n") + sizeof wide + strlen("  7\n") + strlen("w  7\n"));
    free(printed);
}

static void test_document_table(void **state)
{
    (void)state;
    struct fl_chapter chapter = {.start_ms = 1, .end_ms = FL_END_NONE, .title = FL_SLICE("T"), .toc = true};
    struct fl_segment segment = {.start_ms = 1, .end_ms = 2, .body = FL_SLICE("B")};
    struct fl_document doc = {.kind = FL_CHAPTERS, .row_count = 1, .chapters = &chapter};
    static const char *const EXPECTED[] = {
        "[{\"order_index\":0,\"start_ms\":1,\"end_ms\":null,\"title\":\"T\",\"url\":null,\"img\":null,"
        "\"toc\":true,"
        "\"location\":null}]\n",
        "[{\"order_index\":0,\"start_ms\":1,\"end_ms\":2,\"speaker\":null,\"body\":\"B\"}]\n"};
    for (int i = 0; i < 2; i++) {
        char *printed = NULL;
        size_t length;
        FILE *out = open_memstream(&printed, &length);
        struct fl_json_writer writer;
        struct fl_table table = fl_document_table(&doc);
        fl_json_write_init(&writer, out);
        fl_print_json_rows(&writer, &table);
        fl_json_write_end_line(&writer);
        assert_int_equal(fclose(out), 0);
        assert_string_equal(printed, EXPECTED[i]);
        free(printed);
        doc = (struct fl_document){.kind = FL_TRANSCRIPT, .row_count = 1, .segments = &segment};
    }
}

static void test_color(void **state)
{
    (void)state;
    assert_string_equal(fl_print_color(FL_COLOR_RED, false), "");
    assert_string_equal(fl_print_color(FL_COLOR_RED, true), "\033[31m");
    FILE *file = tmpfile();
    assert_non_null(file);
    setenv("TERM", "xterm", 1);
    assert_false(fl_print_wants_color(file, false)); /* no terminal */
    fclose(file);
}

static void test_progress(void **state)
{
    (void)state;
    char out[FL_PROGRESS_BYTES];
    struct fl_progress progress = {.total = 2000, .done = 500, .failed = 2};
    fl_progress_format(&progress, 2000, 100, out);
    assert_string_equal(out, "[======>                       ] 500/2000  25%  250/s  0:00:06 left  2 failed");
    fl_progress_format(&progress, 2000, 60, out);
    assert_int_equal(strlen(out), 59);
    assert_int_equal(out[0], '[');
    fl_progress_format(&progress, 2000, 20, out); /* no room for a bar: the counts, cut */
    assert_string_equal(out, "500/2000  25%  250/");
    fl_progress_format(&progress, 2000, 0, out);
    assert_string_equal(out, "5");
    fl_progress_format(&progress, 0, 100, out);
    assert_non_null(strstr(out, "500/2000  25%  0.0/s  2 failed"));
    progress = (struct fl_progress){.total = 3, .done = 3};
    fl_progress_format(&progress, 1500, 100, out);
    assert_string_equal(out, "[==============================] 3/3  100%  2.0/s");
    progress = (struct fl_progress){.done = 12};
    fl_progress_format(&progress, 1000, 100, out);
    assert_string_equal(out, "12 done  12.0/s");
    progress = (struct fl_progress){.total = SIZE_MAX, .done = 1, .failed = SIZE_MAX};
    fl_progress_format(&progress, 1000, 1000, out);
    assert_non_null(strstr(out, "more than 99 h left"));
    progress = (struct fl_progress){.total = 2, .done = 5};
    fl_progress_format(&progress, 1000, 100, out);
    assert_non_null(strstr(out, "5/2"));
}

static void test_progress_elsewhere(void **state)
{
    (void)state;
    struct fl_progress progress;
    fl_progress_init(&progress, 10, false);
    assert_false(progress.enabled);
    fl_progress_step(&progress, 3, 1);
    fl_progress_clear(&progress);
    assert_int_equal(progress.done, 3);
    assert_false(progress.drawn);
    fl_progress_finish(&progress);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_width),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_exit_codes),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_wide_cell),
        cmocka_unit_test(test_document_table),
        cmocka_unit_test(test_color),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_progress_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
