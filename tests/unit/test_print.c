/* test_print.c - tables and JSON from the same rows, hostile text, times, exit codes, the progress bar's
 * text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/slice.h"
#include "base/utf8.h"
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
    assert_text(FL_SLICE("\u0635\u064e\u0628\u0627\u062d"), "\u0635\u064e\u0628\u0627\u062d", 4); /* vowels */
    assert_text(FL_SLICE("a\u200bb"), "a\u200bb", 2); /* zero width */
    assert_text(FL_SLICE("\U0001f468\u200d\U0001f469"), "\U0001f468\u200d\U0001f469", 4);
    assert_text(FL_SLICE("\U0001faff"), "\U0001faff", 2); /* newer than this libc: an emoji all the same */
    setlocale(LC_CTYPE, "C");
}

/* Marks without end on one character would cover the lines around it. */
static void test_piled_marks(void **state)
{
    (void)state;
    char pile[1 + 20 * 2 + 2] = "a";
    for (int i = 0; i < 20; i++)
        memcpy(pile + 1 + (ptrdiff_t)i * 2, "\u0301", 2);
    pile[41] = 'b';
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        skip();
    assert_text(fl_slice_from(pile),
                "a\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301"
                "\\u0301\\u0301\\u0301\\u0301\\u0301\\u0301\\u0301\\u0301\\u0301\\u0301\\u0301\\u0301"
                "b",
                2 + 12 * 6);
    setlocale(LC_CTYPE, "C");
}

static bool is_harmful(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f || c == 0x2028 ||
           c == 0x2029 || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static void assert_harmless(char *printed)
{
    struct fl_slice text = fl_slice_from(printed);
    while (text.len)
        assert_false(is_harmful(fl_utf8_next(&text)));
    free(printed);
}

/* Every character there is: none that is harmful is printed, as text, as JSON, or as JSON inside JSON; all
 * others are printed as they are. */
static void test_no_harmful_character(void **state)
{
    (void)state;
    for (uint32_t c = 1; c < 0x110000; c += c == 0xd7ff ? 0x801 : 1) {
        char character[4], *printed[3];
        size_t length[3];
        struct fl_slice text = {character, fl_utf8_put(c, character)};
        if (!is_harmful(c) && c > 0x3000 && c % 251)
            continue; /* some of the many that are all the same */
        for (int way = 0; way < 3; way++) {
            FILE *out = open_memstream(&printed[way], &length[way]);
            struct fl_json_writer json;
            fl_json_write_init(&json, out);
            if (way == 0)
                fl_print_text(out, text);
            else if (way == 1)
                fl_json_write_string(&json, text);
            else
                fl_json_write_raw(&json, text);
            assert_int_equal(fclose(out), 0);
        }
        if (!is_harmful(c) && !(c >= 0x206a && c <= 0x206f)) {
            assert_memory_equal(printed[0], character, text.len);
            assert_memory_equal(printed[2], character, text.len);
        }
        for (int way = 0; way < 3; way++)
            assert_harmless(printed[way]);
    }
}

static void assert_cut(const char *text, size_t columns, const char *expected, size_t expected_columns)
{
    char *printed = NULL;
    size_t length;
    FILE *out = open_memstream(&printed, &length);
    assert_int_equal(fl_print_text_cut(out, fl_slice_from(text), columns), expected_columns);
    assert_int_equal(fl_print_text_cut(NULL, fl_slice_from(text), columns), expected_columns);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(printed, expected);
    free(printed);
}

static void test_cut(void **state)
{
    (void)state;
    assert_cut("abcdef", 6, "abcdef", 6);
    assert_cut("abcdef", 5, "abcd\u2026", 5);
    assert_cut("abcdef", 1, "\u2026", 1);
    assert_cut("", 1, "", 0);
    assert_cut("ab\033cd", 6, "ab\u2026", 3); /* no half escapes */
    assert_cut("ab\033cd", 7, "ab\\x1B\u2026", 7);
    assert_cut("ab\xff\xff", 7, "ab\\xFF\u2026", 7);
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        skip();
    assert_cut("\u65e5\u672c\u8a9e", 6, "\u65e5\u672c\u8a9e", 6);
    assert_cut("\u65e5\u672c\u8a9e", 5, "\u65e5\u672c\u2026", 5);
    assert_cut("\u65e5\u672c\u8a9e", 4, "\u65e5\u2026", 3); /* no half characters */
    assert_cut("cafe\u0301", 4, "cafe\u0301", 4);
    assert_cut("cafe\u0301s", 5, "cafe\u0301s", 5);
    assert_cut("cafe\u0301s!", 5, "cafe\u0301\u2026", 5); /* its accent stays with a letter */
    setlocale(LC_CTYPE, "C");
}

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } CASES[] = {
        {-1, "-"},
        {INT64_MIN, "-"},
        {0, "0ms"},
        {99, "99ms"},
        {100, "0.1s"},
        {400, "0.4s"},
        {9999, "9.9s"},
        {10000, "10s"},
        {12345, "12s"},
        {59999, "59s"},
        {60000, "1m00s"},
        {192000, "3m12s"},
        {3599999, "59m59s"},
        {3600000, "1h00m"},
        {7500000, "2h05m"},
        {86399999, "23h59m"},
        {86400000, "1d00h"},
        {273600000, "3d04h"},
        {8640000000, "100d00h"},
    };
    char out[FL_TIME_BYTES];
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_string_equal(fl_format_duration(CASES[i].ms, out), CASES[i].text);
    assert_string_equal(fl_format_duration(INT64_MAX, out), "106751991167d07h");
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

static const struct fl_column COLUMNS[] = {
    {"n", "number", FL_COLUMN_RIGHT}, {"name", "name", 0}, {NULL, "hidden", 0},
    {"at", "at_ms", FL_COLUMN_RIGHT}, {"ok", NULL, 0},     {"note", "note", 0}};

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
    fl_print_table(out, &TABLE, 2, (struct fl_print_style){0});
    assert_int_equal(fclose(out), 0);
    assert_string_equal(printed, "     n  name           at  ok   note\n"
                                 "    -5  -               -  no   -\n"
                                 "  1234  a\\nb  0:01:01.001  yes  end\n");
    free(printed);
    out = open_memstream(&printed, &length);
    fl_print_table(out, &TABLE, 0, (struct fl_print_style){.has_color = true});
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
    static const struct fl_column WIDE[] = {{"a", "a", 0}, {"b", "b", 0}};
    const struct fl_table table = {WIDE, 2, 2, get_wide_row, NULL};
    char *printed = NULL;
    size_t length;
    memset(wide, 'w', sizeof wide);
    FILE *out = open_memstream(&printed, &length);
    fl_print_table(out, &table, 0, (struct fl_print_style){0});
    assert_int_equal(fclose(out), 0);
    assert_int_equal(length, strlen("a  b\n") + sizeof wide + strlen("  7\n") + strlen("w  7\n"));
    free(printed);
}

static char *printed_table(const struct fl_table *table, int indent, struct fl_print_style style)
{
    char *printed = NULL;
    size_t length;
    FILE *out = open_memstream(&printed, &length);
    fl_print_table(out, table, indent, style);
    assert_int_equal(fclose(out), 0);
    return printed;
}

static void get_lock(const void *rows, size_t row, struct fl_cell *cells)
{
    (void)rows;
    static const char *const EPISODES[] = {"ep1", "an-episode-with-a-long-name", "\033[2J\u202etxt.\xff"};
    cells[0] = (struct fl_cell){.type = FL_CELL_NUMBER, .number = row == 1 ? 1234567890 : 7};
    cells[1] = (struct fl_cell){.type = FL_CELL_TEXT, .text = fl_slice_from(EPISODES[row])};
    cells[2] = (struct fl_cell){.type = FL_CELL_TEXT, .text = FL_SLICE("chapters")};
    cells[3] = (struct fl_cell){.type = FL_CELL_DURATION, .number = row == 1 ? 192000 : -1};
    cells[4] = (struct fl_cell){.type = FL_CELL_STAMP, .text = FL_SLICE("2026-01-18T10:03:05.123Z")};
    cells[5] = (struct fl_cell){
        .type = FL_CELL_TEXT, .text = FL_SLICE("stalled"), .color = row ? FL_COLOR_RED : FL_COLOR_NONE};
    cells[6] =
        (struct fl_cell){.type = FL_CELL_TEXT, .text = FL_SLICE("it waits for a lock of another session")};
}

static const struct fl_column LOCKS[] = {{"job", "job_id", FL_COLUMN_RIGHT},
                                         {"episode", "episode", 0},
                                         {"kind", "kind", FL_COLUMN_EXTRA},
                                         {"held", "held_ms", FL_COLUMN_RIGHT},
                                         {"since", "since", FL_COLUMN_WHOLE | FL_COLUMN_EXTRA},
                                         {"verdict", "verdict", 0},
                                         {"why", NULL, 0}};
static const struct fl_table LOCK_TABLE = {LOCKS, 7, 3, get_lock, NULL};

static void assert_table(const struct fl_table *table, size_t width, const char *expected)
{
    char *printed = printed_table(table, 0, (struct fl_print_style){.width = width});
    assert_string_equal(printed, expected);
    free(printed);
}

static void test_fitted_table(void **state)
{
    (void)state;
    assert_table(
        &LOCK_TABLE, 0,
        "       job  episode                      kind       held  since                 verdict  why\n"
        "         7  ep1                          chapters      -  2026-01-18 10:03:05Z  stalled  it waits "
        "for "
        "a lock of another session\n"
        "1234567890  an-episode-with-a-long-name  chapters  3m12s  2026-01-18 10:03:05Z  stalled  it waits "
        "for "
        "a lock of another session\n"
        "         7  \\x1B[2J\\u202Etxt.\\xFF        chapters      -  2026-01-18 10:03:05Z  stalled  it "
        "waits "
        "for "
        "a lock of another session\n");
    /* The widest first, and never the numbers, the verdict (short already), or the time. */
    assert_table(&LOCK_TABLE, 100,
                 "       job  episode              kind       held  since                 verdict  why\n"
                 "         7  ep1                  chapters      -  2026-01-18 10:03:05Z  stalled  it waits "
                 "for a loc\u2026\n"
                 "1234567890  an-episode-with-a-\u2026  chapters  3m12s  2026-01-18 10:03:05Z  stalled  it "
                 "waits for a loc\u2026\n"
                 "         7  \\x1B[2J\\u202Etxt.\u2026   chapters      -  2026-01-18 10:03:05Z  stalled  it "
                 "waits for a loc\u2026\n");
    /* What is extra is left out while the rest has no room. */
    assert_table(&LOCK_TABLE, 72,
                 "       job  episode           kind       held  verdict  why\n"
                 "         7  ep1               chapters      -  stalled  it waits for a \u2026\n"
                 "1234567890  an-episode-with\u2026  chapters  3m12s  stalled  it waits for a \u2026\n"
                 "         7  \\x1B[2J\\u202Etx\u2026  chapters      -  stalled  it waits for a \u2026\n");
    assert_table(&LOCK_TABLE, 71,
                 "       job  episode                 held  verdict  why\n"
                 "         7  ep1                        -  stalled  it waits for a lock\u2026\n"
                 "1234567890  an-episode-with-a-lo\u2026  3m12s  stalled  it waits for a lock\u2026\n"
                 "         7  \\x1B[2J\\u202Etxt.\\xFF      -  stalled  it waits for a lock\u2026\n");
    /* With less room yet, all are cut to a few columns. */
    assert_table(&LOCK_TABLE, 47,
                 "       job  episode     held  verdict  why\n"
                 "         7  ep1            -  stalled  it wait\u2026\n"
                 "1234567890  an-episo\u2026  3m12s  stalled  it wait\u2026\n"
                 "         7  \\x1B[2J\u2026       -  stalled  it wait\u2026\n");
}

static void get_title(const void *rows, size_t row, struct fl_cell *cells)
{
    static const char *const TITLES[] = {"\u65e5\u672c\u8a9e\u306e\u984c", "abcdefghijkl",
                                         "e\u0301e\u0301e\u0301"};
    (void)rows;
    cells[0] = (struct fl_cell){.type = FL_CELL_TEXT, .text = fl_slice_from(TITLES[row])};
    cells[1] = (struct fl_cell){.type = FL_CELL_NUMBER, .number = (int64_t)row};
}

/* Where a wide character does not fit, a column stays free: what follows is aligned all the same. */
static void test_wide_characters_cut(void **state)
{
    (void)state;
    static const struct fl_column BOTH[] = {{"title", "title", 0}, {"n", "n", FL_COLUMN_RIGHT}};
    const struct fl_table table = {BOTH, 2, 3, get_title, NULL};
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        skip();
    assert_table(
        &table, 11,
        "title     n\n\u65e5\u672c\u8a9e\u2026   0\nabcdefg\u2026  1\ne\u0301e\u0301e\u0301       2\n");
    setlocale(LC_CTYPE, "C");
}

/* ---- told below its line; records ---- */

static void get_event(const void *rows, size_t row, struct fl_cell *cells)
{
    static const struct fl_slice WHY[] = {FL_SLICE("cannot read in/x: no such file, and no other either"),
                                          {NULL, 0},
                                          FL_SLICE("averyveryverylongword\033 ends"),
                                          FL_SLICE("")};
    (void)rows;
    cells[0] = (struct fl_cell){.type = FL_CELL_NUMBER, .number = (int64_t)row};
    cells[1] = (struct fl_cell){.type = FL_CELL_TEXT, .text = WHY[row]};
    cells[2] = (struct fl_cell){.type = FL_CELL_DURATION, .number = row == 1 ? 192000 : -1};
}

static const struct fl_column EVENTS[] = {
    {"job", "job_id", FL_COLUMN_RIGHT}, {"why", "why", FL_COLUMN_BELOW}, {NULL, "took_ms", 0}};
static const struct fl_table EVENT_TABLE = {EVENTS, 3, 4, get_event, NULL};

static void test_below(void **state)
{
    (void)state;
    static const char WHOLE[] = "job  why\n"
                                "  0  cannot read in/x: no such file, and no other either\n"
                                "  1  -\n"
                                "  2  averyveryverylongword\\x1B ends\n"
                                "  3  \n";
    assert_table(&EVENT_TABLE, 0, WHOLE);
    assert_table(&EVENT_TABLE, 56, WHOLE);
    /* One column less, and it stands below; nothing of it is lost. */
    assert_table(&EVENT_TABLE, 55,
                 "job\n"
                 "  0\n    cannot read in/x: no such file, and no other either\n"
                 "  1\n"
                 "  2\n    averyveryverylongword\\x1B ends\n"
                 "  3\n");
    assert_table(&EVENT_TABLE, 20,
                 "job\n"
                 "  0\n    cannot read\n    in/x: no such\n    file, and no\n    other either\n"
                 "  1\n"
                 "  2\n    averyveryverylon\n    gword\\x1B ends\n"
                 "  3\n");
}

static void test_record(void **state)
{
    (void)state;
    static const char *const EXPECTED[] = {
        "  job  0\n  why  cannot read in/x: no such file, and no other either\n", "  job  1\n",
        "  job  2\n  why  averyveryverylongword\\x1B ends\n", "  job  3\n  why  \n"};
    for (size_t row = 0; row < 4; row++) {
        char *printed = NULL;
        size_t length;
        FILE *out = open_memstream(&printed, &length);
        fl_print_record(out, &EVENT_TABLE, row, 2, (struct fl_print_style){.width = 10}); /* it wraps */
        assert_int_equal(fclose(out), 0);
        assert_string_equal(printed, EXPECTED[row]);
        free(printed);
    }
}

static void test_fit(void **state)
{
    (void)state;
    assert_int_equal(fl_print_text_fit(FL_SLICE("abc"), 3), 3);
    assert_int_equal(fl_print_text_fit(FL_SLICE("abc"), 2), 2);
    assert_int_equal(fl_print_text_fit(FL_SLICE("abc"), 0), 1); /* never nothing */
    assert_int_equal(fl_print_text_fit(FL_SLICE(""), 5), 0);
    assert_int_equal(fl_print_text_fit(FL_SLICE("\033a"), 1), 1);
    assert_int_equal(fl_print_text_fit(FL_SLICE("a\xff\xff"), 8), 2);
}

static size_t lines_of(const char *text)
{
    size_t lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

static size_t longest_line(const char *text)
{
    size_t longest = 0;
    for (; *text; text += strcspn(text, "\n") + 1) {
        size_t columns = fl_print_text(NULL, (struct fl_slice){text, strcspn(text, "\n")});
        longest = columns > longest ? columns : longest;
    }
    return longest;
}

/* Whatever the width, no line is longer, unless the first column alone is. */
static void test_every_width(void **state)
{
    (void)state;
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        skip();
    for (int indent = 0; indent <= 2; indent += 2)
        for (size_t width = 1; width < 160; width++) {
            char *printed = printed_table(&LOCK_TABLE, indent, (struct fl_print_style){.width = width});
            size_t first = 10 + (size_t)indent;
            assert_in_range(longest_line(printed), 1, width > first ? width : first);
            assert_non_null(strstr(printed, "1234567890"));
            assert_int_equal(lines_of(printed), 4);
            if (width >= 160 - 20)
                assert_non_null(strstr(printed, "another session"));
            free(printed);
        }
    setlocale(LC_CTYPE, "C");
}

static void test_colored_cell(void **state)
{
    (void)state;
    char *printed = printed_table(&LOCK_TABLE, 0, (struct fl_print_style){.has_color = true});
    const char *healthy = strchr(printed, '\n') + 1, *stalled = strchr(healthy, '\n') + 1;
    assert_non_null(strstr(stalled, "  \033[31mstalled\033[0m  it"));
    assert_true(strstr(healthy, "\033[31m") > stalled);
    free(printed);
    printed = printed_table(&LOCK_TABLE, 0, (struct fl_print_style){0});
    assert_null(strchr(printed, '\033'));
    free(printed);
}

static void test_duration_and_stamp_in_json(void **state)
{
    (void)state;
    char *printed = NULL;
    size_t length;
    FILE *out = open_memstream(&printed, &length);
    fl_print_json_lines(out, &LOCK_TABLE);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(
        printed, "\"held_ms\":null,\"since\":\"2026-01-18T10:03:05.123Z\",\"verdict\":\"stalled\"}\n"));
    assert_non_null(strstr(printed, "\"held_ms\":192000,"));
    free(printed);
}

/* A stamp that is none is shown as it is. */
static void get_stamp(const void *rows, size_t row, struct fl_cell *cells)
{
    static const char *const STAMPS[] = {
        NULL, "", "2026", "2026-01-18T10:03:05Z", "2026-01-18T10:03:05\n7890", "infinity"};
    (void)rows;
    cells[0] = (struct fl_cell){.type = FL_CELL_STAMP, .text = fl_slice_from(STAMPS[row])};
}

static void test_strange_stamps(void **state)
{
    (void)state;
    static const struct fl_column AT[] = {{"at", "at", FL_COLUMN_WHOLE}};
    const struct fl_table table = {AT, 1, 6, get_stamp, NULL};
    assert_table(&table, 0, "at\n-\n\n2026\n2026-01-18 10:03:05Z\n2026-01-18T10:03:05\\n7890\ninfinity\n");
}

static void test_style(void **state)
{
    (void)state;
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    FILE *terminal = fopen(ptsname(master), "w"), *file = tmpfile();
    assert_non_null(terminal);
    assert_non_null(file);
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    assert_int_equal(ioctl(master, TIOCSWINSZ, &(struct winsize){.ws_col = 93, .ws_row = 20}), 0);
    struct fl_print_style style = fl_print_style_of(terminal, false);
    assert_true(style.has_color);
    assert_int_equal(style.width, 93);
    style = fl_print_style_of(terminal, true);
    assert_false(style.has_color);
    assert_int_equal(style.width, 93);
    assert_int_equal(ioctl(master, TIOCSWINSZ, &(struct winsize){0}), 0);
    assert_int_equal(fl_print_style_of(terminal, false).width, 0);
    style = fl_print_style_of(file, false);
    assert_false(style.has_color);
    assert_int_equal(style.width, 0);
    fclose(terminal);
    fclose(file);
    close(master);
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
        cmocka_unit_test(test_piled_marks),
        cmocka_unit_test(test_no_harmful_character),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_exit_codes),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_wide_cell),
        cmocka_unit_test(test_fitted_table),
        cmocka_unit_test(test_wide_characters_cut),
        cmocka_unit_test(test_below),
        cmocka_unit_test(test_record),
        cmocka_unit_test(test_fit),
        cmocka_unit_test(test_every_width),
        cmocka_unit_test(test_colored_cell),
        cmocka_unit_test(test_duration_and_stamp_in_json),
        cmocka_unit_test(test_strange_stamps),
        cmocka_unit_test(test_style),
        cmocka_unit_test(test_document_table),
        cmocka_unit_test(test_color),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_progress_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
