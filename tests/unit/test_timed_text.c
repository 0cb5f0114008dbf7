/* test_timed_text.c - timed text with [HH:MM:SS] stamps: one test a rule. What a speaker label is, is tested
 * in test_srt.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h> /* needs the headers above */

#include "base/arena.h"
#include "base/slice.h"
#include "base/utf8.h"
#include "core/formats/timed_text.h"

enum { ARENA_BYTES = 64 * 1024 * 1024, HOSTILE_BYTES = 1024 * 1024, CPU_SECONDS_LIMIT = 5 };

static const struct fl_limits LIMITS = {.file_bytes = 1 << 26, .rows = 200000, .field_bytes = 1 << 16};

/* One parsed text. The copy ends exactly where its memory ends, so that a sanitizer sees a read behind it. */
struct parsed {
    struct fl_arena arena;
    struct fl_document doc;
    struct fl_err err;
    fl_status status;
    char *copy;
};

static void parse_limited(struct parsed *p, struct fl_slice text, const struct fl_limits *limits,
                          size_t arena_bytes)
{
    memset(p, 0, sizeof *p);
    p->copy = malloc(text.len ? text.len : 1);
    assert_non_null(p->copy);
    memcpy(p->copy, text.ptr, text.len);
    fl_arena_init(&p->arena, arena_bytes);
    fl_document_init(&p->doc, &p->arena, limits, FL_FORMAT_TIMED_TEXT);
    p->status = fl_timed_text_parse((struct fl_slice){p->copy, text.len}, &p->doc, &p->err);
}

static void parse(struct parsed *p, const char *text)
{
    parse_limited(p, fl_slice_from(text), &LIMITS, ARENA_BYTES);
    assert_int_equal(p->status, FL_OK);
}

static void release(struct parsed *p)
{
    fl_arena_release(&p->arena);
    free(p->copy);
}

static void assert_slice(struct fl_slice actual, const char *expected)
{
    if (!expected) {
        assert_null(actual.ptr);
        return;
    }
    assert_non_null(actual.ptr);
    char *text = strndup(actual.ptr, actual.len);
    assert_string_equal(text, expected);
    assert_int_equal(actual.len, strlen(expected));
    free(text);
}

static void assert_row(const struct parsed *p, size_t i, int64_t start_ms, int64_t end_ms,
                       const char *speaker, const char *body)
{
    assert_true(i < p->doc.row_count);
    const struct fl_segment *row = &p->doc.segments[i];
    assert_int_equal(row->start_ms, start_ms);
    assert_int_equal(row->end_ms, end_ms);
    assert_slice(row->speaker, speaker);
    assert_slice(row->body, body);
}

static void assert_line(const struct parsed *p, size_t i, uint32_t line)
{
    assert_true(i < p->doc.row_count);
    assert_int_equal(p->doc.segments[i].line, line);
}

static void assert_warning(const struct parsed *p, size_t i, uint32_t line, const char *rule)
{
    assert_true(i < p->doc.warnings_stored);
    assert_string_equal(p->doc.warnings[i].rule, rule);
    assert_int_equal(p->doc.warnings[i].line, line);
    assert_true(p->doc.warnings[i].text.len > 0);
}

static void assert_counts(const struct parsed *p, size_t rows, size_t warnings)
{
    assert_int_equal(p->doc.row_count, rows);
    assert_int_equal(p->doc.warning_count, warnings);
}

/* The stamp alone gives a row with this start. */
static void assert_stamp(const char *stamp, int64_t start_ms)
{
    struct parsed p;
    char text[128];
    assert_true(strlen(stamp) < sizeof text - 16);
    strcpy(text, stamp);
    strcat(text, " words\n");
    parse(&p, text);
    assert_counts(&p, 1, 0);
    assert_row(&p, 0, start_ms, FL_END_NONE, NULL, "words");
    release(&p);
}

/* Below a stamp, the line is text as it stands; with `warned` it is reported as a bad stamp. */
static void assert_no_stamp(const char *line, bool warned)
{
    struct parsed p;
    char text[128];
    assert_true(strlen(line) < sizeof text - 32);
    strcpy(text, "[00:01] above\n");
    strcat(text, line);
    strcat(text, "\nbelow");
    parse(&p, text);
    assert_counts(&p, 1, warned);
    if (warned)
        assert_warning(&p, 0, 2, "bad-stamp");
    strcpy(text, "above\n");
    strcat(text, line);
    strcat(text, "\nbelow");
    assert_row(&p, 0, 1000, FL_END_NONE, NULL, text);
    release(&p);
}

static void a_block_runs_from_stamp_to_stamp(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "[00:00:01]\none\n[00:00:02] two\nand more\n[00:00:04]three");
    assert_counts(&p, 3, 0);
    assert_row(&p, 0, 1000, 2000, NULL, "one");
    assert_row(&p, 1, 2000, 4000, NULL, "two\nand more");
    assert_row(&p, 2, 4000, FL_END_NONE, NULL, "three");
    assert_line(&p, 0, 1);
    assert_line(&p, 1, 3);
    assert_line(&p, 2, 5);
    release(&p);
}

static void stamps_have_two_or_three_fields(void **state)
{
    (void)state;
    assert_stamp("[01:02:03]", 3723000);
    assert_stamp("[1:02:03]", 3723000);
    assert_stamp("[02:03]", 123000);
    assert_stamp("[2:03]", 123000);
    assert_stamp("[0100:00:00]", FL_TIME_LIMIT_MS);
}

static void stamps_may_have_a_fraction(void **state)
{
    (void)state;
    assert_stamp("[00:00:01.250]", 1250);
    assert_stamp("[00:01.5]", 1500);
    assert_stamp("[00:01,04]", 1040);
    assert_stamp("[00:59.9995]", 60000);
    assert_stamp("[00:01.000499999]", 1000);
}

static void white_space_before_a_stamp_is_allowed(void **state)
{
    (void)state;
    assert_stamp(" \t[00:01]", 1000);
}

static void a_stamp_counts_only_at_the_start_of_a_line(void **state)
{
    (void)state;
    assert_no_stamp("see [00:02] there", false);
    assert_no_stamp("* [00:02] there", false);
    struct parsed p;
    parse(&p, "[00:01] [00:02] [99:99]\n[00:03][99:99]");
    assert_counts(&p, 2, 0);
    assert_row(&p, 0, 1000, 3000, NULL, "[00:02] [99:99]");
    assert_row(&p, 1, 3000, FL_END_NONE, NULL, "[99:99]");
    release(&p);
}

static void brackets_of_another_shape_are_text(void **state)
{
    (void)state;
    assert_no_stamp("[music]", false);
    assert_no_stamp("[12]", false);
    assert_no_stamp("[1:]", false);
    assert_no_stamp("[00:00:01", false);
    assert_no_stamp("[00:00:01.]", false);
    assert_no_stamp("[00:00:00:01]", false);
    assert_no_stamp("[-1:00]", false);
    assert_no_stamp("[", false);
}

static void bad_stamps_stay_text_of_the_block_before(void **state)
{
    (void)state;
    assert_no_stamp("[00:60:00] x", true);
    assert_no_stamp("[00:00:60] x", true);
    assert_no_stamp("[75:30]", true);
    assert_no_stamp("[00:75]", true);
    assert_no_stamp("[000:30]", true);
    assert_no_stamp("[00:1]", true);
    assert_no_stamp("[0:0:01]", true);
    assert_no_stamp("[0:00:1]", true);
    assert_no_stamp("[00000:00:01]", true);
    assert_no_stamp("[00:01.0000000001]", true);
    assert_no_stamp("[100:00:01]", true);
    assert_no_stamp("[99999999999999999999:00:01]", true);
}

static void warnings_come_in_the_order_of_the_lines(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "lost\n[00:99]\n[00:01]\nBo:\nAnn: x\n[77:00]\n[00:01]\n[00:00] y");
    assert_counts(&p, 2, 7);
    assert_warning(&p, 0, 1, "text-before-first-stamp");
    assert_warning(&p, 1, 2, "bad-stamp");
    assert_warning(&p, 2, 4, "empty-label");
    assert_warning(&p, 3, 6, "bad-stamp");
    assert_warning(&p, 4, 7, "equal-stamp");
    assert_warning(&p, 5, 7, "empty-block");
    assert_warning(&p, 6, 8, "backward-stamp");
    release(&p);
}

static void text_before_the_first_stamp_is_dropped(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "\nTitle\n\nAnn: hello\n[00:01] one");
    assert_counts(&p, 1, 1);
    assert_row(&p, 0, 1000, FL_END_NONE, NULL, "one");
    assert_warning(&p, 0, 2, "text-before-first-stamp");
    assert_slice(p.doc.warnings[0].text, "text before the first stamp dropped (lines: 2)");
    release(&p);

    parse(&p, "no stamp\nat all\n");
    assert_counts(&p, 0, 1);
    assert_warning(&p, 0, 1, "text-before-first-stamp");
    release(&p);

    parse(&p, " \n\n[00:01] one");
    assert_counts(&p, 1, 0);
    release(&p);
}

static void a_label_names_the_speaker(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "[00:01] Åse Łęcka: hei\n[00:02]\n  Ольга:\nда\n[00:03] At 10:30: no\nhttps://example.org/\n");
    assert_counts(&p, 3, 0);
    assert_row(&p, 0, 1000, 2000, "Åse Łęcka", "hei");
    assert_row(&p, 1, 2000, 3000, "Ольга", "да");
    assert_row(&p, 2, 3000, FL_END_NONE, "Ольга", "At 10:30: no\nhttps://example.org/");
    release(&p);
}

static void markers_of_subtitles_mean_nothing_here(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "[00:01] - Milk: one\n>> Eggs: two");
    assert_counts(&p, 1, 0);
    assert_row(&p, 0, 1000, FL_END_NONE, NULL, "- Milk: one\n>> Eggs: two");
    release(&p);
}

static void every_labelled_run_of_a_block_is_a_row(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "[00:01]\nfree\nAnn: one\ntwo\nBo: three\nBo: four\n[00:05] five");
    assert_counts(&p, 5, 0);
    assert_row(&p, 0, 1000, 5000, NULL, "free");
    assert_row(&p, 1, 1000, 5000, "Ann", "one\ntwo");
    assert_row(&p, 2, 1000, 5000, "Bo", "three");
    assert_row(&p, 3, 1000, 5000, "Bo", "four");
    assert_row(&p, 4, 5000, FL_END_NONE, "Bo", "five");
    assert_line(&p, 0, 1);
    assert_line(&p, 1, 3);
    assert_line(&p, 2, 5);
    assert_line(&p, 3, 6);
    release(&p);
}

static void speaker_is_carried_over_and_null_before_the_first(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "[00:01] one\n[00:02] Ann: two\n[00:03] three\n[00:04] Bo:\n[00:05] five");
    assert_counts(&p, 4, 1);
    assert_row(&p, 0, 1000, 2000, NULL, "one");
    assert_row(&p, 1, 2000, 3000, "Ann", "two");
    assert_row(&p, 2, 3000, 4000, "Ann", "three");
    assert_row(&p, 3, 5000, FL_END_NONE, "Bo", "five");
    assert_warning(&p, 0, 4, "empty-block");
    release(&p);
}

static void all_rows_of_the_last_block_are_open(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "[00:01] Ann: one\nBo: two");
    assert_counts(&p, 2, 0);
    assert_row(&p, 0, 1000, FL_END_NONE, "Ann", "one");
    assert_row(&p, 1, 1000, FL_END_NONE, "Bo", "two");
    release(&p);
}

static void a_label_without_text_is_reported(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "[00:01]\nAnn:\n\nBo: x\nCy:\n");
    assert_counts(&p, 1, 2);
    assert_row(&p, 0, 1000, FL_END_NONE, "Bo", "x");
    assert_warning(&p, 0, 2, "empty-label");
    assert_warning(&p, 1, 5, "empty-label");
    release(&p);
}

static void a_block_without_text_ends_the_block_before(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "[00:01] one\n[00:02]\n\n[00:03] three\n[00:04]");
    assert_counts(&p, 2, 2);
    assert_row(&p, 0, 1000, 2000, NULL, "one");
    assert_row(&p, 1, 3000, 4000, NULL, "three");
    assert_warning(&p, 0, 2, "empty-block");
    assert_warning(&p, 1, 5, "empty-block");
    release(&p);
}

static void equal_stamps_keep_their_text(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "[00:01] one\n[00:00:01.000] two\n[00:02] three");
    assert_counts(&p, 3, 1);
    assert_row(&p, 0, 1000, 1000, NULL, "one");
    assert_row(&p, 1, 1000, 2000, NULL, "two");
    assert_row(&p, 2, 2000, FL_END_NONE, NULL, "three");
    assert_warning(&p, 0, 2, "equal-stamp");
    release(&p);
}

static void backward_stamps_keep_their_text(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "[00:05] one\n[00:02] two\n[00:06] three");
    assert_counts(&p, 3, 1);
    assert_row(&p, 0, 5000, 5000, NULL, "one");
    assert_row(&p, 1, 2000, 6000, NULL, "two");
    assert_row(&p, 2, 6000, FL_END_NONE, NULL, "three");
    assert_warning(&p, 0, 2, "backward-stamp");
    release(&p);
}

static void blank_lines_separate_nothing(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "[00:01]\n\n one\n\n \ntwo\n\n[00:02] three\n");
    assert_counts(&p, 2, 0);
    assert_row(&p, 0, 1000, 2000, NULL, "one\ntwo");
    assert_row(&p, 1, 2000, FL_END_NONE, NULL, "three");
    release(&p);
}

static void text_of_adjacent_lines_is_not_copied(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "[00:01] Ann: one\ntwo\n\n[00:02]\n\nx\ny\n");
    assert_counts(&p, 2, 0);
    assert_ptr_equal(p.doc.segments[1].body.ptr, p.copy + strlen("[00:01] Ann: one\ntwo\n\n[00:02]\n\n"));
    assert_ptr_equal(p.doc.segments[0].body.ptr, p.copy + strlen("[00:01] Ann: "));
    assert_ptr_equal(p.doc.segments[0].speaker.ptr, p.copy + strlen("[00:01] "));
    assert_slice(p.doc.segments[0].body, "one\ntwo");
    release(&p);
}

static void line_ends_of_every_kind(void **state)
{
    (void)state;
    static const char *const TEXTS[] = {
        "[00:01]\nAnn: a\nb\n\nc\n[00:02]\n",
        "[00:01]\rAnn: a\rb\r\rc\r[00:02]\r",
        "[00:01]\r\nAnn: a\r\nb\r\n\r\nc\r\n[00:02]",
        "[00:01]\rAnn: a\r\nb\n\rc\r\n[00:02]\r",
    };
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        struct parsed p;
        parse(&p, TEXTS[i]);
        assert_counts(&p, 1, 1);
        assert_row(&p, 0, 1000, 2000, "Ann", "a\nb\nc");
        assert_line(&p, 0, 2);
        assert_warning(&p, 0, 6, "empty-block");
        release(&p);
    }
    struct parsed adjacent;
    parse(&adjacent, "[00:01]\r\na\r\nb\rc\n");
    assert_counts(&adjacent, 1, 0);
    assert_row(&adjacent, 0, 1000, FL_END_NONE, NULL, "a\nb\nc");
    release(&adjacent);
}

static void empty_input_yields_nothing(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "");
    assert_counts(&p, 0, 0);
    release(&p);
    parse(&p, "\n\r\n\r \n");
    assert_counts(&p, 0, 0);
    release(&p);
    fl_arena_init(&p.arena, ARENA_BYTES);
    fl_document_init(&p.doc, &p.arena, &LIMITS, FL_FORMAT_TIMED_TEXT);
    assert_int_equal(fl_timed_text_parse((struct fl_slice){NULL, 0}, &p.doc, &p.err), FL_OK);
    assert_counts(&p, 0, 0);
    fl_arena_release(&p.arena);
}

static const char RICH[] =
    "head\r\n\r\n[00:00:01.5] Åse (off): hé\r\n\r\nmore\r\nОльга:\r\nда\r\r[00:61:00] x\n"
    "[1:00:00]\n[1:00:00]free\n[00:59:00]\nBo:\nCy: last\n";

static void cut_off_at_every_byte(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof RICH; len++) {
        struct fl_slice text = {RICH, len};
        text.len = fl_utf8_valid_prefix(text);
        struct parsed p;
        parse_limited(&p, text, &LIMITS, ARENA_BYTES);
        assert_int_equal(p.status, FL_OK);
        assert_true(p.doc.row_count <= 4);
        for (size_t i = 0; i < p.doc.row_count; i++) {
            struct fl_slice body = p.doc.segments[i].body;
            assert_true(body.len > 0);
            assert_int_equal(fl_utf8_valid_prefix(body), body.len);
            assert_null(memchr(body.ptr, '\r', body.len));
        }
        (void)fl_timed_text_sniff((struct fl_slice){p.copy, text.len});
        release(&p);
    }
    struct parsed whole;
    parse(&whole, RICH);
    assert_counts(&whole, 4, 6);
    assert_row(&whole, 0, 1500, 3600000, "Åse (off)", "hé\nmore");
    assert_row(&whole, 1, 1500, 3600000, "Ольга", "да\n[00:61:00] x");
    assert_row(&whole, 2, 3600000, 3600000, "Ольга", "free");
    assert_row(&whole, 3, 3540000, FL_END_NONE, "Cy", "last");
    release(&whole);
}

static void out_of_memory_anywhere_is_a_status(void **state)
{
    (void)state;
    struct parsed p;
    for (size_t arena_bytes = 0; arena_bytes < 8192; arena_bytes += 16) {
        parse_limited(&p, fl_slice_from(RICH), &LIMITS, arena_bytes);
        if (p.status == FL_OK) {
            assert_int_equal(p.doc.row_count, 4);
        } else {
            assert_int_equal(p.status, FL_NO_MEMORY);
            assert_true(fl_slice_starts(fl_slice_from(p.err.text), "line "));
        }
        release(&p);
    }
    parse_limited(&p, fl_slice_from(RICH), &LIMITS, 0);
    assert_int_equal(p.status, FL_NO_MEMORY);
    release(&p);
}

static void too_many_rows_are_invalid(void **state)
{
    (void)state;
    struct fl_limits limits = LIMITS;
    limits.rows = 2;
    struct parsed p;
    parse_limited(&p, FL_SLICE("[00:01] a\n[00:02] b\n"), &limits, ARENA_BYTES);
    assert_int_equal(p.status, FL_OK);
    release(&p);
    parse_limited(&p, FL_SLICE("[00:01] a\n[00:02] b\nAnn: c\n"), &limits, ARENA_BYTES);
    assert_int_equal(p.status, FL_INVALID);
    assert_true(fl_slice_starts(fl_slice_from(p.err.text), "line 3: more than 2 rows"));
    release(&p);
}

static void too_long_text_is_invalid(void **state)
{
    (void)state;
    struct fl_limits limits = LIMITS;
    limits.field_bytes = 7;
    struct parsed p;
    parse_limited(&p, FL_SLICE("[00:01]\nAnn: 123\r\n\r\n567\n"), &limits, ARENA_BYTES);
    assert_int_equal(p.status, FL_OK);
    assert_row(&p, 0, 1000, FL_END_NONE, "Ann", "123\n567");
    release(&p);
    parse_limited(&p, FL_SLICE("[00:01]\nAnn: 12345678\n"), &limits, ARENA_BYTES);
    assert_int_equal(p.status, FL_INVALID);
    assert_true(fl_slice_starts(fl_slice_from(p.err.text), "line 2: text has 8 bytes"));
    release(&p);
    parse_limited(&p, FL_SLICE("[00:01]\nAnn: 123\n\n5678\n[00:02] x"), &limits, ARENA_BYTES);
    assert_int_equal(p.status, FL_INVALID);
    assert_true(fl_slice_starts(fl_slice_from(p.err.text), "line 2: text has "));
    release(&p);
}

/* Text of HOSTILE_BYTES made of head and then pattern over and over. */
static struct fl_slice repeat(const char *head, const char *pattern)
{
    size_t head_bytes = strlen(head), pattern_bytes = strlen(pattern);
    char *text = malloc(HOSTILE_BYTES);
    assert_non_null(text);
    memcpy(text, head, head_bytes);
    for (size_t i = head_bytes; i < HOSTILE_BYTES; i++)
        text[i] = pattern[(i - head_bytes) % pattern_bytes];
    return (struct fl_slice){text, HOSTILE_BYTES};
}

static void too_long_text_takes_no_memory(void **state)
{
    (void)state;
    struct fl_slice text = repeat("[00:01] ", "x\r\n\r\n");
    struct parsed p;
    parse_limited(&p, text, &LIMITS, 4096);
    assert_int_equal(p.status, FL_INVALID);
    assert_int_equal(p.arena.used_bytes, 0);
    release(&p);
    free((char *)text.ptr);
}

static void hostile_input_takes_linear_time(void **state)
{
    (void)state;
    static const struct {
        const char *head, *pattern;
    } TEXTS[] = {
        {"", "a"},           {"", "["},
        {"", "\r"},          {"", " "},
        {"[00:01]", "x\n"},  {"[00:01]", "\n"},
        {"[00:01]", " "},    {"[00:01]", "a\n\n"},
        {"[00:01]", "a:\n"}, {"[00:01]", "a: x "},
        {"", "[00:01]\n"},   {"", "[00:01] a: x\n"},
        {"", "[99:99]\n"},   {"[00:01]", "\r\n a"},
        {"[00:01]", "[0"},   {"[00:01]", "[99:99]\r"},
    };
    struct fl_limits limits = LIMITS;
    limits.field_bytes = HOSTILE_BYTES;
    clock_t begin = clock();
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        struct fl_slice text = repeat(TEXTS[i].head, TEXTS[i].pattern);
        struct parsed p;
        parse_limited(&p, text, &limits, ARENA_BYTES);
        assert_int_equal(p.status, FL_OK);
        (void)fl_timed_text_sniff((struct fl_slice){p.copy, text.len});
        release(&p);
        free((char *)text.ptr);
    }
    assert_true((clock() - begin) / CLOCKS_PER_SEC < CPU_SECONDS_LIMIT);
}

static void finish_keeps_the_ends_of_the_blocks(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "[00:01] Ann: one\nBo: two\n[00:05] three\nCy: four");
    assert_int_equal(fl_document_finish(&p.doc, &p.err), FL_OK);
    assert_row(&p, 0, 1000, 5000, "Ann", "one");
    assert_row(&p, 1, 1000, 5000, "Bo", "two");
    release(&p);
}

static void sniff_wants_a_stamp_in_the_first_4_kib(void **state)
{
    (void)state;
    assert_true(fl_timed_text_sniff(FL_SLICE("[00:00:01]\nx")));
    assert_true(fl_timed_text_sniff(FL_SLICE("\n\r\n  [1:05.5] x")));
    assert_true(fl_timed_text_sniff(FL_SLICE("A title\n\n[00:00:01] x")));
    assert_false(fl_timed_text_sniff(FL_SLICE("")));
    assert_false(fl_timed_text_sniff(FL_SLICE("see [00:01] there\n* [00:02] here\n[99:99]\n")));
    assert_false(fl_timed_text_sniff(FL_SLICE("[1, 2, 3]")));
    assert_false(fl_timed_text_sniff(FL_SLICE("1\n00:00:01,000 --> 00:00:02,000\nx\n")));
    char far[5000];
    memset(far, 'x', sizeof far);
    memcpy(far + 4000, "\n[00:01]\n", 9);
    assert_true(fl_timed_text_sniff((struct fl_slice){far, sizeof far}));
    memset(far, 'x', sizeof far);
    memcpy(far + 4090, "\n[00:01]\n", 9);
    assert_false(fl_timed_text_sniff((struct fl_slice){far, sizeof far}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_runs_from_stamp_to_stamp),
        cmocka_unit_test(stamps_have_two_or_three_fields),
        cmocka_unit_test(stamps_may_have_a_fraction),
        cmocka_unit_test(white_space_before_a_stamp_is_allowed),
        cmocka_unit_test(a_stamp_counts_only_at_the_start_of_a_line),
        cmocka_unit_test(brackets_of_another_shape_are_text),
        cmocka_unit_test(bad_stamps_stay_text_of_the_block_before),
        cmocka_unit_test(warnings_come_in_the_order_of_the_lines),
        cmocka_unit_test(text_before_the_first_stamp_is_dropped),
        cmocka_unit_test(a_label_names_the_speaker),
        cmocka_unit_test(markers_of_subtitles_mean_nothing_here),
        cmocka_unit_test(every_labelled_run_of_a_block_is_a_row),
        cmocka_unit_test(speaker_is_carried_over_and_null_before_the_first),
        cmocka_unit_test(all_rows_of_the_last_block_are_open),
        cmocka_unit_test(a_label_without_text_is_reported),
        cmocka_unit_test(a_block_without_text_ends_the_block_before),
        cmocka_unit_test(equal_stamps_keep_their_text),
        cmocka_unit_test(backward_stamps_keep_their_text),
        cmocka_unit_test(blank_lines_separate_nothing),
        cmocka_unit_test(text_of_adjacent_lines_is_not_copied),
        cmocka_unit_test(line_ends_of_every_kind),
        cmocka_unit_test(empty_input_yields_nothing),
        cmocka_unit_test(cut_off_at_every_byte),
        cmocka_unit_test(out_of_memory_anywhere_is_a_status),
        cmocka_unit_test(too_many_rows_are_invalid),
        cmocka_unit_test(too_long_text_is_invalid),
        cmocka_unit_test(too_long_text_takes_no_memory),
        cmocka_unit_test(hostile_input_takes_linear_time),
        cmocka_unit_test(finish_keeps_the_ends_of_the_blocks),
        cmocka_unit_test(sniff_wants_a_stamp_in_the_first_4_kib),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
