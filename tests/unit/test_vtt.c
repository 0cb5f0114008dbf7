/* test_vtt.c - WebVTT: one test per rule of the specification, then limits, cut-off input and memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/slice.h"
#include "core/formats/vtt.h"

#define TIMES     "00:01.000 --> 00:02.000\n"
#define CUE(text) "WEBVTT\n\n" TIMES text

enum { ARENA_BYTES = 64 * 1024 * 1024, CUE_LINE = 3 };

static struct {
    struct fl_arena arena;
    struct fl_document doc;
    struct fl_limits limits;
    struct fl_err err;
    char *input; /* of exact size, so that the sanitizer sees a read behind the end */
    size_t input_bytes;
} t;

static void forget(void)
{
    fl_arena_release(&t.arena);
    free(t.input);
    t.input = NULL;
}

static int set_up(void **state)
{
    (void)state;
    t.limits = (struct fl_limits){.file_bytes = 64 << 20, .rows = 200000, .field_bytes = 65536};
    fl_arena_init(&t.arena, ARENA_BYTES);
    t.input = NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    forget();
    return 0;
}

static fl_status parse_bytes(const char *text, size_t length)
{
    forget();
    t.input = malloc(length ? length : 1);
    assert_non_null(t.input);
    memcpy(t.input, text, length);
    t.input_bytes = length;
    t.err = (struct fl_err){0};
    fl_document_init(&t.doc, &t.arena, &t.limits, FL_FORMAT_VTT);
    return fl_vtt_parse((struct fl_slice){t.input, length}, &t.doc, &t.err);
}

static void parse(const char *text)
{
    fl_status status = parse_bytes(text, strlen(text));
    if (status != FL_OK)
        fail_msg("not parsed: %s", t.err.text);
}

static void assert_slice(struct fl_slice actual, const char *expected)
{
    if (!expected) {
        assert_null(actual.ptr);
        return;
    }
    assert_non_null(actual.ptr);
    char *copy = strndup(actual.ptr, actual.len);
    assert_non_null(copy);
    assert_string_equal(copy, expected);
    assert_int_equal(actual.len, strlen(expected));
    free(copy);
}

static void assert_row(size_t i, int64_t start_ms, int64_t end_ms, const char *speaker, const char *body)
{
    assert_true(i < t.doc.row_count);
    assert_int_equal(t.doc.segments[i].start_ms, start_ms);
    assert_int_equal(t.doc.segments[i].end_ms, end_ms);
    assert_slice(t.doc.segments[i].speaker, speaker);
    assert_slice(t.doc.segments[i].body, body);
}

static void assert_said(size_t i, const char *speaker, const char *body)
{
    assert_row(i, 1000, 2000, speaker, body);
}

static void assert_counts(size_t rows, size_t warnings)
{
    assert_int_equal(t.doc.row_count, rows);
    assert_int_equal(t.doc.warning_count, warnings);
}

static void assert_warning(size_t i, uint32_t line, const char *rule)
{
    assert_true(i < t.doc.warning_count);
    assert_int_equal(t.doc.warnings[i].line, line);
    assert_string_equal(t.doc.warnings[i].rule, rule);
    assert_true(t.doc.warnings[i].text.len > 0);
}

/* The only row of a file with one cue of this text, without warnings. */
static void expect_text(const char *text, const char *speaker, const char *body)
{
    char file[4096];
    assert_true((size_t)snprintf(file, sizeof file, CUE("%s"), text) < sizeof file);
    parse(file);
    assert_counts(1, 0);
    assert_said(0, speaker, body);
    assert_int_equal(t.doc.segments[0].line, CUE_LINE);
}

static bool is_in_input(struct fl_slice slice)
{
    return slice.ptr >= t.input && slice.ptr + slice.len <= t.input + t.input_bytes;
}

/* The only cue has these timings: dropped with the rule, or kept with the times if the rule is NULL. */
static void expect_timing(const char *line, const char *rule, int64_t start_ms, int64_t end_ms)
{
    char file[512];
    assert_true((size_t)snprintf(file, sizeof file, "WEBVTT\n\nid\n%s\ntext", line) < sizeof file);
    parse(file);
    if (rule) {
        assert_counts(0, 1);
        assert_warning(0, 4, rule);
        return;
    }
    assert_counts(1, 0);
    assert_row(0, start_ms, end_ms, NULL, "text");
    assert_int_equal(t.doc.segments[0].line, 4);
}

/* ---- signature and header ---- */

static void test_signature_accepted(void **state)
{
    (void)state;
    static const char *const GOOD[] = {
        "WEBVTT",     "WEBVTT\n",      "WEBVTT\r",     "WEBVTT\r\n",
        "WEBVTT ",    "WEBVTT\t",      "WEBVTT title", "WEBVTT\ttitle --> 00:01.000\n",
        "WEBVTT\n\n", "WEBVTT \n\n\n",
    };
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        assert_true(fl_vtt_sniff(fl_slice_from(GOOD[i])));
        parse(GOOD[i]);
        assert_counts(0, 0);
    }
}

static void test_signature_refused(void **state)
{
    (void)state;
    static const char *const BAD[] = {
        "",         "W",        "WEBVT",   "webvtt\n", "WEBVTTs",   "WEBVTT:", "WEBVTT\f",
        "WEBVTT\v", "\nWEBVTT", " WEBVTT", "XWEBVTT",  "WEBVTT-->", "WEBVTX",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        assert_false(fl_vtt_sniff(fl_slice_from(BAD[i])));
        assert_int_equal(parse_bytes(BAD[i], strlen(BAD[i])), FL_INVALID);
        assert_non_null(strstr(t.err.text, "line 1"));
        assert_non_null(strstr(t.err.text, "WEBVTT"));
        assert_counts(0, 0);
    }
}

static void test_signature_line_with_timings_is_no_cue(void **state)
{
    (void)state;
    parse("WEBVTT 00:01.000 --> 00:02.000\ntext\n");
    assert_counts(0, 0);
}

static void test_header_is_skipped(void **state)
{
    (void)state;
    parse("WEBVTT title\nKind: captions\nLanguage: en\nSTYLE\nanything\n\n" TIMES "hello\n");
    assert_counts(1, 0);
    assert_said(0, NULL, "hello");
    assert_int_equal(t.doc.segments[0].line, 7);
}

static void test_header_ends_at_arrow_on_line_two(void **state)
{
    (void)state;
    parse("WEBVTT\n" TIMES "hello\n");
    assert_counts(1, 0);
    assert_said(0, NULL, "hello");
    assert_int_equal(t.doc.segments[0].line, 2);
}

static void test_header_ends_at_arrow_behind_header_lines(void **state)
{
    (void)state;
    parse("WEBVTT\nKind: captions\nid\n" TIMES "hello\n");
    assert_counts(1, 0);
    assert_said(0, NULL, "hello");
    assert_int_equal(t.doc.segments[0].line, 4);
}

static void test_white_space_line_does_not_end_header(void **state)
{
    (void)state;
    parse("WEBVTT\nKind: captions\n \nstill header\n\n" TIMES "hello\n");
    assert_counts(1, 0);
    assert_said(0, NULL, "hello");
}

static void test_many_empty_lines_are_skipped(void **state)
{
    (void)state;
    parse("WEBVTT\n\n\n\n\n" TIMES "one\n\n\n\n\n" TIMES "two\n\n\n\n");
    assert_counts(2, 0);
    assert_said(0, NULL, "one");
    assert_said(1, NULL, "two");
    assert_int_equal(t.doc.segments[1].line, 12);
}

/* ---- blocks ---- */

static void test_notes_are_dropped_silently(void **state)
{
    (void)state;
    parse("WEBVTT\n\nNOTE\n\nNOTE one line\n\nNOTE\ttab\n\nNOTE\nmany\nlines\n\n" TIMES
          "hello\n\nNOTE end\n");
    assert_counts(1, 0);
    assert_said(0, NULL, "hello");
    assert_int_equal(t.doc.segments[0].line, 13);
}

static void test_note_before_timings_is_an_identifier(void **state)
{
    (void)state;
    parse("WEBVTT\n\nNOTE no empty line below\n" TIMES "hello\n");
    assert_counts(1, 0);
    assert_said(0, NULL, "hello");
}

static void test_note_of_two_lines_before_timings(void **state)
{
    (void)state;
    parse("WEBVTT\n\nNOTE\nno empty line below\n" TIMES "hello\n");
    assert_counts(1, 0);
    assert_said(0, NULL, "hello");
    assert_int_equal(t.doc.segments[0].line, 5);
}

static void test_style_and_region_are_dropped_silently(void **state)
{
    (void)state;
    parse(
        "WEBVTT\n\nSTYLE\n::cue { color: red }\n\nSTYLE \t\n::cue { }\n\nREGION\nid:a\nlines:3\n\nREGION\t\n"
        "id:b\n\nSTYLE\n\n" TIMES "hello\n");
    assert_counts(1, 0);
    assert_said(0, NULL, "hello");
    assert_int_equal(t.doc.segments[0].line, 18);
}

static void test_style_after_first_cue_is_dropped_silently(void **state)
{
    (void)state;
    parse(CUE("hello\n\nSTYLE\n::cue { }\n\nREGION\nid:a\n\n" TIMES "bye\n"));
    assert_counts(2, 0);
    assert_said(0, NULL, "hello");
    assert_said(1, NULL, "bye");
}

static void test_style_interrupted_by_timings(void **state)
{
    (void)state;
    parse("WEBVTT\n\nSTYLE\n::cue { }\n" TIMES "hello\n\nSTYLE\n" TIMES "bye\n");
    assert_counts(2, 0);
    assert_said(0, NULL, "hello");
    assert_said(1, NULL, "bye");
}

static void test_other_text_is_warned_of(void **state)
{
    (void)state;
    parse("WEBVTT\n\nlost text\nsecond line\n\nNOTES are no note\n\nSTYLE a\n\nREGION: b\n\nnote\n\n" TIMES
          "hello\n");
    assert_counts(1, 5);
    static const uint32_t LINES[] = {3, 6, 8, 10, 12};
    for (size_t i = 0; i < 5; i++)
        assert_warning(i, LINES[i], "not-a-cue");
    assert_non_null(strstr(t.doc.warnings[0].text.ptr, "lost text"));
}

static void test_white_space_block_is_not_warned_of(void **state)
{
    (void)state;
    parse("WEBVTT\n\n \t \n \n\n" TIMES "hello\n\n \n");
    assert_counts(1, 0);
    assert_said(0, NULL, "hello");
}

static void test_long_line_is_quoted_between_characters(void **state)
{
    (void)state;
    char file[256] = "WEBVTT\n\n";
    for (int i = 0; i < 59; i++)
        strcat(file, "x");
    strcat(file, "\xE2\x82\xAC"
                 "tail\n");
    parse(file);
    assert_counts(0, 1);
    assert_null(strchr(t.doc.warnings[0].text.ptr, '\xE2'));
    assert_null(strstr(t.doc.warnings[0].text.ptr, "tail"));
    assert_non_null(strstr(t.doc.warnings[0].text.ptr, "xxx\""));
}

static void test_identifiers_are_ignored(void **state)
{
    (void)state;
    parse("WEBVTT\n\n1\n" TIMES "one\n\nany text <v X>&amp;\n" TIMES "two\n\n" TIMES "three\n");
    assert_counts(3, 0);
    assert_said(0, NULL, "one");
    assert_said(1, NULL, "two");
    assert_said(2, NULL, "three");
    assert_int_equal(t.doc.segments[1].line, 8);
}

static void test_two_identifier_lines_are_lost_text(void **state)
{
    (void)state;
    parse("WEBVTT\n\nlost\nboth\n" TIMES "hello\n");
    assert_counts(1, 1);
    assert_warning(0, 3, "not-a-cue");
    assert_said(0, NULL, "hello");
}

static void test_missing_empty_line_between_cues(void **state)
{
    (void)state;
    parse(CUE("one\n00:03.000 --> 00:04.000\ntwo\n"));
    assert_counts(2, 0);
    assert_said(0, NULL, "one");
    assert_row(1, 3000, 4000, NULL, "two");
    assert_int_equal(t.doc.segments[1].line, 5);
}

static void test_missing_empty_line_makes_identifier_text(void **state)
{
    (void)state;
    parse(CUE("one\n2\n00:03.000 --> 00:04.000\ntwo\n"));
    assert_counts(2, 0);
    assert_said(0, NULL, "one\n2");
    assert_row(1, 3000, 4000, NULL, "two");
}

static void test_arrow_inside_text_ends_the_cue(void **state)
{
    (void)state;
    parse(CUE("one\nleft --> right\ngone\n\n" TIMES "two\n"));
    assert_counts(2, 1);
    assert_said(0, NULL, "one");
    assert_warning(0, 5, "bad-timing");
    assert_said(1, NULL, "two");
}

static void test_arrow_lines_in_sequence(void **state)
{
    (void)state;
    parse("WEBVTT\n\n-->\n" TIMES "one\nx-->\n" TIMES "two\n--->\n" TIMES "three\n" TIMES TIMES "four\n");
    assert_counts(4, 4);
    assert_said(0, NULL, "one");
    assert_said(1, NULL, "two");
    assert_said(2, NULL, "three");
    assert_said(3, NULL, "four");
    assert_warning(0, 3, "bad-timing");
    assert_warning(1, 6, "bad-timing");
    assert_warning(2, 9, "bad-timing");
    assert_warning(3, 12, "empty-cue");
}

static void test_bad_timing_takes_its_text_with_it(void **state)
{
    (void)state;
    parse("WEBVTT\n\nid\nnow --> later\ngone\ngone too\n\n" TIMES "hello\n");
    assert_counts(1, 1);
    assert_warning(0, 4, "bad-timing");
    assert_slice(t.doc.warnings[0].text,
                 "cue dropped: no valid start time ([hh:]mm:ss.ttt): \"now --> later\"");
    assert_said(0, NULL, "hello");
}

static void test_text_ends_at_empty_line_only(void **state)
{
    (void)state;
    parse(CUE("one\n \nstill one\n\ntwo\n"));
    assert_counts(1, 1);
    assert_said(0, NULL, "one\n \nstill one");
    assert_warning(0, 8, "not-a-cue");
}

static void test_order_of_the_file_is_kept(void **state)
{
    (void)state;
    parse("WEBVTT\n\n00:09.000 --> 00:10.000\nlate\n\n" TIMES "early\n");
    assert_counts(2, 0);
    assert_row(0, 9000, 10000, NULL, "late");
    assert_said(1, NULL, "early");
}

static void test_timings_at_end_of_file(void **state)
{
    (void)state;
    parse("WEBVTT\n\n00:01.000 --> 00:02.000");
    assert_counts(0, 1);
    assert_warning(0, 3, "empty-cue");
}

/* ---- timings ---- */

static void test_timestamps_accepted(void **state)
{
    (void)state;
    expect_timing("00:00.000 --> 00:00.001", NULL, 0, 1);
    expect_timing("59:59.999 --> 01:00:00.000", NULL, 3599999, 3600000);
    expect_timing("01:02:03.004 --> 02:00:00.000", NULL, 3723004, 7200000);
    expect_timing("0:00:01.000 --> 9:00:00.000", NULL, 1000, 32400000);
    expect_timing("00000001:00:00.000 --> 0000000000000000000002:00:00.000", "bad-timing", 0, 0);
    expect_timing("00000001:00:00.000 --> 000000000000000002:00:00.000", NULL, 3600000, 7200000);
    expect_timing("99:59:59.999 --> 100:00:00.000", NULL, 359999999, 360000000);
    expect_timing("60:00:00.000 --> 61:00:00.000", NULL, 216000000, 219600000);
}

static void test_timestamps_refused(void **state)
{
    (void)state;
    static const char *const BAD[] = {
        "",
        "1",
        "00",
        "00:",
        "00:0",
        "00:00",
        "00:00.",
        "00:00.0",
        "00:00.00",
        "00:00.0000",
        "00:00,000",
        "0:00.000",
        "000:00.000",
        "60:00.000",
        "00:60.000",
        "00:0.000",
        "00:000.000",
        "00:00:60.000",
        "00:60:00.000",
        "00:00:0.000",
        "00:0:00.000",
        "00:00:00",
        "00:00:00,000",
        "00:00:00.00",
        "-00:01.000",
        "+00:01.000",
        "00:00:00:00.000",
        "00 :00.000",
        "00: 00.000",
        "00:00 .000",
        "\xD9\xA0\xD9\xA0:00.000",
        "a",
    };
    char line[128];
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        (void)snprintf(line, sizeof line, "%s --> 01:00:00.000", BAD[i]);
        expect_timing(line, "bad-timing", 0, 0);
        assert_non_null(strstr(t.doc.warnings[0].text.ptr, "start time"));
    }
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        (void)snprintf(line, sizeof line, "00:00.000 --> %s", BAD[i]);
        expect_timing(line, "bad-timing", 0, 0);
        assert_non_null(strstr(t.doc.warnings[0].text.ptr, "end time"));
    }
}

static void test_white_space_around_the_arrow(void **state)
{
    (void)state;
    expect_timing("00:01.000-->00:02.000", NULL, 1000, 2000);
    expect_timing(" \t\f00:01.000 \t\f--> \t\f00:02.000 \t\f", NULL, 1000, 2000);
    expect_timing("\v00:01.000 --> 00:02.000", "bad-timing", 0, 0);
    expect_timing("00:01.000 --> \v00:02.000", "bad-timing", 0, 0);
    expect_timing("00:01.000\v--> 00:02.000", "bad-timing", 0, 0);
}

static void test_arrow_must_follow_the_start(void **state)
{
    (void)state;
    static const char *const BAD[] = {
        "00:01.000 -a --> 00:02.000",
        "00:01.000 - --> 00:02.000",
        "00:01.000 ---> 00:02.000",
        "00:01.000 x --> 00:02.000",
        "00:01.000 -->",
        "00:01.000 --> --> 00:02.000",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        expect_timing(BAD[i], "bad-timing", 0, 0);
}

static void test_settings_are_ignored(void **state)
{
    (void)state;
    expect_timing("00:01.000 --> 00:02.000 align:start position:0% line:-1", NULL, 1000, 2000);
    expect_timing("00:01.000 --> 00:02.000\tregion:fred  vertical:rl", NULL, 1000, 2000);
    expect_timing("00:01.000 --> 00:02.000align:start", NULL, 1000, 2000);
    expect_timing("00:01.000 --> 00:02.000 nonsense --> \"", NULL, 1000, 2000);
}

static void test_end_before_start_is_dropped(void **state)
{
    (void)state;
    expect_timing("00:02.000 --> 00:01.999", "end-before-start", 0, 0);
    expect_timing("00:02.000 --> 00:02.000", NULL, 2000, 2000);
}

static void test_times_beyond_the_limits_are_dropped(void **state)
{
    (void)state;
    expect_timing("100:00:00.000 --> 100:00:01.000", NULL, 360000000, 360001000);
    expect_timing("100:00:00.001 --> 100:00:01.000", "bad-timing", 0, 0);
    expect_timing("00:00.000 --> 1000:00:00.000", NULL, 0, 3600000000);
    expect_timing("00:00.000 --> 1000:00:00.001", "bad-timing", 0, 0);
    expect_timing("99999999999999999999999:00:00.000 --> 99999999999999999999999:00:00.000", "bad-timing", 0,
                  0);
    expect_timing("00:00.000 --> 999999999999999999:00:00.000", "bad-timing", 0, 0);
}

/* ---- line ends ---- */

static void test_line_ends(void **state)
{
    (void)state;
    static const char *const ENDS[] = {"\n", "\r\n", "\r"};
    static const char *const LINES[] = {
        "WEBVTT", "Kind: x", "",     "id", "00:01.000 --> 00:02.000", "one", "<v Al>two",
        "",       "",        "lost", "",   "00:03.000 --> 00:04.000", "a",   " b",
        "c"};
    for (size_t i = 0; i < 3; i++) {
        char file[512] = "";
        for (size_t k = 0; k < sizeof LINES / sizeof *LINES; k++) {
            strcat(file, LINES[k]);
            strcat(file, ENDS[i]);
        }
        parse(file);
        assert_counts(3, 1);
        assert_said(0, NULL, "one");
        assert_said(1, "Al", "two");
        assert_row(2, 3000, 4000, NULL, "a\n b\nc");
        assert_int_equal(t.doc.segments[0].line, 5);
        assert_int_equal(t.doc.segments[2].line, 12);
        assert_warning(0, 10, "not-a-cue");
        assert_int_equal(is_in_input(t.doc.segments[2].body), i == 0);
    }
}

static void test_line_ends_may_be_mixed(void **state)
{
    (void)state;
    parse("WEBVTT\r\n\r00:01.000 --> 00:02.000\none\r\ntwo\rthree\nfour\n\r\nNOTE\r\r");
    assert_counts(1, 0);
    assert_said(0, NULL, "one\ntwo\nthree\nfour");
}

static void test_text_is_not_copied_without_need(void **state)
{
    (void)state;
    parse(CUE("one\n  two R&B AT&T; \n\n" TIMES "<v Mary Ann>hello\nyou</v>\n\n" TIMES "a<b>b</b>\n"));
    assert_counts(3, 0);
    assert_said(0, NULL, "one\n  two R&B AT&T;");
    assert_said(1, "Mary Ann", "hello\nyou");
    assert_said(2, NULL, "ab");
    assert_true(is_in_input(t.doc.segments[0].body));
    assert_true(is_in_input(t.doc.segments[1].body));
    assert_true(is_in_input(t.doc.segments[1].speaker));
    assert_false(is_in_input(t.doc.segments[2].body));
}

/* ---- text: tags ---- */

static void test_text_is_trimmed(void **state)
{
    (void)state;
    expect_text("  \t one  \n two \t\n", NULL, "one  \n two");
}

static void test_known_tags_are_stripped(void **state)
{
    (void)state;
    expect_text("<c>a</c><i>b</i><b>c</b><u>d</u><lang en>e</lang>", NULL, "abcde");
    expect_text("a<b> </b>c", NULL, "a c");
    expect_text("<i>one\ntwo</i> three", NULL, "one\ntwo three");
}

static void test_tags_with_classes(void **state)
{
    (void)state;
    expect_text("<c.red.bg_blue>a</c><b.x>b</b><i.>c</i><u..y >d</u>", NULL, "abcd");
    expect_text("<.x>a<.>b< .y>c", NULL, "abc");
}

static void test_ruby_text_stays_in_order(void **state)
{
    (void)state;
    expect_text("<ruby>base<rt>above</rt>base2<rt>above2</ruby> end", NULL, "baseabovebase2above2 end");
    expect_text("a<rt>b</rt>c", NULL, "abc");
}

static void test_unknown_tags_are_stripped(void **state)
{
    (void)state;
    expect_text("<font color=red>a</font><x/>b<B>c</B><!-- d --", NULL, "abc");
    expect_text("a<>b</>c< >d< v Al>e</ v>f", NULL, "abcdef");
    expect_text("a<v&amp;b>c<vv Al>d<V Al>e", NULL, "acde");
}

static void test_timestamp_tags_are_stripped(void **state)
{
    (void)state;
    expect_text("one <00:01.500>two <00:00:01.700>three<1>!<99:99>?", NULL, "one two three!?");
    expect_text("one <00:01.500", NULL, "one");
}

static void test_unterminated_tag_takes_the_rest(void **state)
{
    (void)state;
    static const char *const TAILS[] = {"<",  "</", "<b", "<b.", "<b.c", "<b an", "</b", "<b\nmore text",
                                        "<.", "< ", "<1"};
    char text[64];
    for (size_t i = 0; i < sizeof TAILS / sizeof *TAILS; i++) {
        (void)snprintf(text, sizeof text, "left%s", TAILS[i]);
        expect_text(text, NULL, "left");
    }
}

static void test_less_than_inside_a_tag_belongs_to_it(void **state)
{
    (void)state;
    expect_text("a<b <i>b</i> c", NULL, "ab c");
    expect_text("1 < 2 and 2 > 1", NULL, "1  1");
}

static void test_greater_than_alone_is_text(void **state)
{
    (void)state;
    expect_text("a > b -> c >> d", NULL, "a > b -> c >> d");
}

static void test_tag_across_lines(void **state)
{
    (void)state;
    expect_text("<v\nAl\nBundy>hello</v>", "Al Bundy", "hello");
    expect_text("<v.x\nAl>hello", "Al", "hello");
    expect_text("<c\n>hello</c\n>", NULL, "hello");
}

static void test_empty_cues_are_dropped(void **state)
{
    (void)state;
    static const char *const EMPTY[] = {"",
                                        "\n",
                                        "   \n",
                                        "<b></b>",
                                        "<v Al>",
                                        "<v Al> </v>\n<v Bo>\t</v>",
                                        "<00:01.500>",
                                        "&#32;",
                                        "&Tab;&NewLine;",
                                        "<unterminated"};
    char file[256];
    for (size_t i = 0; i < sizeof EMPTY / sizeof *EMPTY; i++) {
        (void)snprintf(file, sizeof file, CUE("%s"), EMPTY[i]);
        parse(file);
        assert_counts(0, 1);
        assert_warning(0, CUE_LINE, "empty-cue");
    }
}

/* ---- text: voices ---- */

static void test_voice_is_the_speaker(void **state)
{
    (void)state;
    expect_text("<v Mary>hello", "Mary", "hello");
    expect_text("<v Mary>hello</v>", "Mary", "hello");
    expect_text("<v.loud.first Mary Ann>hello <b>you</b></v>", "Mary Ann", "hello you");
    expect_text("<b><v Mary>hello</v></b>", "Mary", "hello");
}

static void test_voice_name_is_trimmed_and_collapsed(void **state)
{
    (void)state;
    expect_text("<v  \t Mary \f Ann  >hello", "Mary Ann", "hello");
    expect_text("<v Mary  Ann>hello", "Mary Ann", "hello");
    expect_text("<v Mary\tAnn>hello", "Mary Ann", "hello");
    expect_text("<v Mary\nAnn>hello", "Mary Ann", "hello");
    expect_text("<v &#32;Mary &#9; Ann&#10;>hello", "Mary Ann", "hello");
    expect_text("<v J\xC3\xBCrgen\xC2\xA0\xC2\xA0P.>hello", "J\xC3\xBCrgen\xC2\xA0\xC2\xA0P.", "hello");
}

static void test_voice_name_with_references(void **state)
{
    (void)state;
    expect_text("<v A&amp;B>hello", "A&B", "hello");
    expect_text("<v A &lt;b&gt; C>hello", "A <b> C", "hello");
    expect_text("<v A&>hello", "A&", "hello");
    expect_text("<v A& B &foo; &#x; &#xe9;>hello", "A& B &foo; &#x; \xC3\xA9", "hello");
}

static void test_voice_without_name_is_no_speaker(void **state)
{
    (void)state;
    expect_text("<v>hello", NULL, "hello");
    expect_text("<v  >hello", NULL, "hello");
    expect_text("<v.loud>hello", NULL, "hello");
    expect_text("<v &#32;>hello", NULL, "hello");
}

static void test_each_voice_is_a_row(void **state)
{
    (void)state;
    parse(CUE("<v Al>one</v>\n<v Bo>two</v>\n"));
    assert_counts(2, 0);
    assert_said(0, "Al", "one");
    assert_said(1, "Bo", "two");
    assert_int_equal(t.doc.segments[0].line, CUE_LINE);
    assert_int_equal(t.doc.segments[1].line, CUE_LINE);
}

static void test_text_around_voices_has_no_speaker(void **state)
{
    (void)state;
    parse(CUE("before <v Al>one</v> between <v Bo>two</v> after\n"));
    assert_counts(5, 0);
    assert_said(0, NULL, "before");
    assert_said(1, "Al", "one");
    assert_said(2, NULL, "between");
    assert_said(3, "Bo", "two");
    assert_said(4, NULL, "after");
}

static void test_unclosed_voice_gives_way_to_the_next(void **state)
{
    (void)state;
    parse(CUE("<v Al>one\n<v Bo>two</v> three</v> four\n"));
    assert_counts(4, 0);
    assert_said(0, "Al", "one");
    assert_said(1, "Bo", "two");
    assert_said(2, "Al", "three");
    assert_said(3, NULL, "four");
}

static void test_same_voice_again_is_one_row(void **state)
{
    (void)state;
    expect_text("<v Al>one</v>\n<v Al>two</v> <v.x  Al >three</v>", "Al", "one\ntwo three");
    expect_text("<v Al>R&amp;B</v> <v A&#108;>two", "Al", "R&B two");
}

static void test_voice_end_must_match_the_innermost_tag(void **state)
{
    (void)state;
    expect_text("<v Al><b>one</v> two", "Al", "one two");
    expect_text("<v Al>one</v > two</V> three</v.x> four", "Al", "one two three four");
    parse(CUE("<v Al><b>one</v> two</b></v> three"));
    assert_counts(2, 0);
    assert_said(0, "Al", "one two");
    assert_said(1, NULL, "three");
}

static void test_ruby_end_closes_ruby_text(void **state)
{
    (void)state;
    parse(CUE("<v Al><ruby>a<rt>b</ruby></v>c"));
    assert_counts(2, 0);
    assert_said(0, "Al", "ab");
    assert_said(1, NULL, "c");
    /* Outside of <ruby> there is no <rt>, so that </v> meets the voice. */
    parse(CUE("<v Al><rt>a</v>b"));
    assert_counts(2, 0);
    assert_said(0, "Al", "a");
    assert_said(1, NULL, "b");
    /* With an open <b> in the <rt>, </ruby> closes nothing. */
    expect_text("<v Al><ruby>a<rt><b>b</ruby></v>c", "Al", "abc");
}

static void test_every_known_tag_hides_the_voice_end(void **state)
{
    (void)state;
    static const char *const TAGS[] = {"c", "i", "b", "u", "ruby", "lang"};
    char text[64];
    for (size_t i = 0; i < sizeof TAGS / sizeof *TAGS; i++) {
        (void)snprintf(text, sizeof text, "<v Al><%s>a</v>b", TAGS[i]);
        expect_text(text, "Al", "ab");
        (void)snprintf(text, sizeof text, CUE("<v Al><%s>a</%s></v>b"), TAGS[i], TAGS[i]);
        parse(text);
        assert_counts(2, 0);
        assert_said(1, NULL, "b");
    }
}

static void test_deep_nesting_keeps_the_text(void **state)
{
    (void)state;
    static char file[4096];
    strcpy(file, CUE("<v Al>"));
    for (int i = 0; i < 255; i++)
        strcat(file, "<b>");
    strcat(file, "in");
    parse(file);
    assert_counts(1, 0);
    assert_said(0, "Al", "in");
    strcat(file, "<i>deep</i>er\n");
    parse(file);
    assert_counts(1, 1);
    assert_said(0, "Al", "indeeper");
    assert_warning(0, CUE_LINE, "too-deep");
}

/* ---- text: character references ---- */

static void test_named_references(void **state)
{
    (void)state;
    static const struct {
        const char *reference, *character;
    } NAMED[] = {
        {"&amp;", "&"},
        {"&lt;", "<"},
        {"&gt;", ">"},
        {"&quot;", "\""},
        {"&apos;", "'"},
        {"&nbsp;", "\xC2\xA0"},
        {"&lrm;", "\xE2\x80\x8E"},
        {"&rlm;", "\xE2\x80\x8F"},
        {"&AMP;", "&"},
        {"&AElig;", "\xC3\x86"},
        {"&eacute;", "\xC3\xA9"},
        {"&Eacute;", "\xC3\x89"},
        {"&szlig;", "\xC3\x9F"},
        {"&scaron;", "\xC5\xA1"},
        {"&hellip;", "\xE2\x80\xA6"},
        {"&mdash;", "\xE2\x80\x94"},
        {"&rsquo;", "\xE2\x80\x99"},
        {"&euro;", "\xE2\x82\xAC"},
        {"&zwnj;", "\xE2\x80\x8C"},
        {"&zwj;", "\xE2\x80\x8D"},
        {"&yuml;", "\xC3\xBF"},
        {"&divideontimes;", "\xE2\x8B\x87"},
        {"&thetasym;", "\xCF\x91"},
        {"&frac12;", "\xC2\xBD"},
        {"&there4;", "\xE2\x88\xB4"},
        {"&or;", "\xE2\x88\xA8"},
        {"&Mu;", "\xCE\x9C"},
    };
    char text[64], body[64];
    for (size_t i = 0; i < sizeof NAMED / sizeof *NAMED; i++) {
        (void)snprintf(text, sizeof text, "a%sb", NAMED[i].reference);
        (void)snprintf(body, sizeof body, "a%sb", NAMED[i].character);
        expect_text(text, NULL, body);
    }
}

static void test_decoded_text_is_not_read_again(void **state)
{
    (void)state;
    expect_text("&lt;v Al&gt;&amp;amp;&#60;b>&#38;lt;", NULL, "<v Al>&amp;<b>&lt;");
}

static void test_references_without_semicolon(void **state)
{
    (void)state;
    expect_text("&amp &lt&gt &copy2026 &eacutes &AMPx", NULL,
                "& <> \xC2\xA9"
                "2026 \xC3\xA9s &x");
    expect_text("&apos &hellip &lrm &notit; &frac123", NULL,
                "&apos &hellip &lrm \xC2\xACit; \xC2\xBD"
                "3");
    expect_text("&lt", NULL, "<");
    expect_text("&ampere;", NULL, "&ere;");
}

static void test_longest_name_wins(void **state)
{
    (void)state;
    expect_text("&notin; &notni; &sup1; &sup; &timesb; &cent; &centerdot;", NULL,
                "\xE2\x88\x89 \xE2\x88\x8C \xC2\xB9 \xE2\x8A\x83 \xE2\x8A\xA0 \xC2\xA2 \xC2\xB7");
}

static void test_unknown_references_stay(void **state)
{
    (void)state;
    static const char *const LITERAL[] = {
        "&",      "&&",        "a & b", "&;",       "&1",   "&1;",
        "& amp;", "&foo;",     "&Amp;", "&LRM;",    "&a",   "&zzzzzzzzzzzzzzzzzzzzzzzzzzz;",
        "&#",     "&#;",       "&#x",   "&#x;",     "&#X;", "&#xg;",
        "&#a;",   "&#-1;",     "AT&T",  "&notinE;", "&0;",  "&\xC3\xA9;",
        "&lr",    "&hellips;", "Q&A?",
    };
    for (size_t i = 0; i < sizeof LITERAL / sizeof *LITERAL; i++)
        expect_text(LITERAL[i], NULL, LITERAL[i]);
    expect_text("&<b>x", NULL, "&x");
    expect_text("&#<b>x", NULL, "&#x");
    expect_text("&a<b>mp;", NULL, "&amp;");
}

static void test_numeric_references(void **state)
{
    (void)state;
    expect_text("&#65;&#x42;&#X43;&#x6a;&#x6A;&#0000068;", NULL, "ABCjjD");
    expect_text("&#65&#x42 &#67x&#x44g", NULL, "AB CxDg");
    expect_text("&#233;&#8364;&#x1F600;&#x10FFFF;", NULL,
                "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\xF4\x8F\xBF\xBF");
    expect_text("a&#9;b&#10;c&#127;", NULL, "a\tb\nc\x7F");
    expect_text("&#65", NULL, "A");
}

static void test_numeric_references_out_of_range(void **state)
{
    (void)state;
    static const char *const BAD[] = {
        "&#0;",
        "&#0",
        "&#x0;",
        "&#x000000;",
        "&#xD800;",
        "&#xDFFF;",
        "&#55296;",
        "&#x110000;",
        "&#1114112;",
        "&#4294967296;",
        "&#4294967361;",
        "&#x100000041;",
        "&#99999999999999999999999999;",
        "&#xFFFFFFFFFFFFFFFFFFFF;",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        expect_text(BAD[i], NULL, "\xEF\xBF\xBD");
    expect_text("&#xD7FF;&#xE000;&#xFFFF;", NULL, "\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF");
}

static void test_numeric_references_to_windows_1252(void **state)
{
    (void)state;
    expect_text("&#128;&#x82;&#x8C;&#146;&#x97;&#x9f;", NULL,
                "\xE2\x82\xAC\xE2\x80\x9A\xC5\x92\xE2\x80\x99\xE2\x80\x94\xC5\xB8");
    expect_text("&#x81;&#x8D;&#x8F;&#x90;&#x9D;", NULL, "\xC2\x81\xC2\x8D\xC2\x8F\xC2\x90\xC2\x9D");
    expect_text("&#x7F;&#xA0;.", NULL, "\x7F\xC2\xA0.");
}

/* ---- limits ---- */

static void test_field_limit(void **state)
{
    (void)state;
    t.limits.field_bytes = 10;
    parse(CUE("<b>0123</b>456789\n"));
    assert_counts(1, 0);
    const char *body = CUE("0123456789x\n"), *speaker = CUE("fine\n\n" TIMES "<v 0123456789x>a\n");
    assert_int_equal(parse_bytes(body, strlen(body)), FL_INVALID);
    assert_non_null(strstr(t.err.text, "line 3"));
    assert_int_equal(parse_bytes(speaker, strlen(speaker)), FL_INVALID);
    assert_non_null(strstr(t.err.text, "line 6"));
}

static void test_row_limit(void **state)
{
    (void)state;
    t.limits.rows = 3;
    parse(CUE("1\n\n" TIMES "2\n\n" TIMES "3\n"));
    assert_counts(3, 0);
    const char *cues = CUE("1\n\n" TIMES "2\n\n" TIMES "3\n\n" TIMES "4\n");
    assert_int_equal(parse_bytes(cues, strlen(cues)), FL_INVALID);
    assert_non_null(strstr(t.err.text, "line 12"));
    const char *voices = CUE("<v A>1<v B>2<v C>3<v D>4\n");
    assert_int_equal(parse_bytes(voices, strlen(voices)), FL_INVALID);
    assert_non_null(strstr(t.err.text, "line 3"));
}

static void test_memory_limit(void **state)
{
    (void)state;
    static const char *const BEGINS[] = {CUE("a&amp;"), CUE("<v a&amp;")};
    enum { FILE_BYTES = 9000 };
    char file[FILE_BYTES];
    memset(file, 'x', sizeof file);
    t.arena.limit_bytes = 8000; /* enough for the rows, but not for a copy of the text */
    for (size_t i = 0; i < sizeof BEGINS / sizeof *BEGINS; i++) {
        memcpy(file, BEGINS[i], strlen(BEGINS[i]));
        file[sizeof file - 2] = '>';
        assert_int_equal(parse_bytes(file, sizeof file), FL_NO_MEMORY);
        assert_non_null(strstr(t.err.text, "line 3"));
        assert_counts(0, 0);
    }
    t.arena.limit_bytes = 8; /* not even for a row */
    const char *plain = CUE("plain\n");
    assert_int_equal(parse_bytes(plain, strlen(plain)), FL_NO_MEMORY);
    assert_counts(0, 0);
}

/* ---- whole files ---- */

static const char RICH[] =
    "WEBVTT - rich\r\nKind: captions\r\n\r\nSTYLE\r\n::cue { color: red }\r\n\r\nREGION\nid:a\n\n"
    "NOTE comment --\nline\n\n1\n00:00:01.000 --> 00:02.000 align:start\n<v.loud Zo&euml;>Hi "
    "&amp; <b.x>you</b> &#x1F600; &#128;</v>\r\n<v B>\xC3\xA9t\xC3\xA9 &lt;</v> tail &notin; &am\n"
    "-->\nbad\n\nlost\n\n00:05.000 --> 00:04.000\nx\r\r00:06.000-->99:00:07.123\n"
    "<ruby>a<rt>b</ruby><00:06.500>c\n\nid\n00:08.000 --> 00:09.000\n<i></i>\n\n"
    "00:10.000 --> 00:11.000\nend <unfinished &#x";

static void test_rich_file(void **state)
{
    (void)state;
    parse(RICH);
    assert_counts(5, 4);
    assert_row(0, 1000, 2000, "Zo\xC3\xAB", "Hi & you \xF0\x9F\x98\x80 \xE2\x82\xAC");
    assert_row(1, 1000, 2000, "B", "\xC3\xA9t\xC3\xA9 <");
    assert_row(2, 1000, 2000, NULL, "tail \xE2\x88\x89 &am");
    assert_row(3, 6000, 356407123, NULL, "abc");
    assert_row(4, 10000, 11000, NULL, "end");
    assert_warning(0, 17, "bad-timing");
    assert_warning(1, 20, "not-a-cue");
    assert_warning(2, 22, "end-before-start");
    assert_warning(3, 29, "empty-cue");
}

static void test_every_prefix_of_a_rich_file(void **state)
{
    (void)state;
    size_t rows = 0;
    for (size_t length = 0; length < sizeof RICH; length++) {
        fl_status status = parse_bytes(RICH, length);
        assert_int_equal(status, length < 6 ? FL_INVALID : FL_OK);
        for (size_t i = 0; i < t.doc.row_count; i++)
            assert_true(t.doc.segments[i].body.len > 0);
        /* A row once complete stays; the cue at the cut may turn out bad by a byte, but costs no other. */
        assert_true(t.doc.row_count + 3 >= rows);
        rows = t.doc.row_count;
    }
    assert_int_equal(rows, 5);
}

static void test_every_byte_replaced(void **state)
{
    (void)state;
    static const char BYTES[] = "<>&;-:.\n\r /v0";
    char file[sizeof RICH];
    for (size_t at = 6; at < sizeof RICH - 1; at++) {
        for (size_t k = 0; k < sizeof BYTES - 1; k++) {
            memcpy(file, RICH, sizeof RICH);
            file[at] = BYTES[k];
            fl_status status = parse_bytes(file, sizeof RICH - 1);
            assert_int_equal(status, at == 6 && !strchr(" \n\r", BYTES[k]) ? FL_INVALID : FL_OK);
            for (size_t i = 0; i < t.doc.row_count; i++)
                assert_true(t.doc.segments[i].end_ms >= t.doc.segments[i].start_ms);
        }
    }
}

/* Hostile repetitions, 1 MiB each: linear or this test hangs. */
static void test_hostile_repetitions(void **state)
{
    (void)state;
    static const char *const UNITS[] = {"<",     "&",  "<b>", "<v A>x</v>\n", "&#0", "<v &#0;>",
                                        "-->\n", "\r", "a\n", "&amp",         "</v>"};
    enum { BYTES = 1 << 20 };
    char *file = malloc(BYTES);
    assert_non_null(file);
    t.limits.field_bytes = BYTES;
    for (size_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++) {
        size_t length = strlen(CUE("")), unit = strlen(UNITS[i]);
        memcpy(file, CUE(""), length);
        for (; length + unit <= BYTES; length += unit)
            memcpy(file + length, UNITS[i], unit);
        assert_int_equal(parse_bytes(file, length), FL_OK);
        assert_true(t.doc.row_count + t.doc.warning_count > 0);
        assert_true(t.arena.used_bytes <= 16 * BYTES);
    }
    free(file);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest TESTS[] = {
        TEST(test_signature_accepted),
        TEST(test_signature_refused),
        TEST(test_signature_line_with_timings_is_no_cue),
        TEST(test_header_is_skipped),
        TEST(test_header_ends_at_arrow_on_line_two),
        TEST(test_header_ends_at_arrow_behind_header_lines),
        TEST(test_white_space_line_does_not_end_header),
        TEST(test_many_empty_lines_are_skipped),
        TEST(test_notes_are_dropped_silently),
        TEST(test_note_before_timings_is_an_identifier),
        TEST(test_note_of_two_lines_before_timings),
        TEST(test_style_and_region_are_dropped_silently),
        TEST(test_style_after_first_cue_is_dropped_silently),
        TEST(test_style_interrupted_by_timings),
        TEST(test_other_text_is_warned_of),
        TEST(test_white_space_block_is_not_warned_of),
        TEST(test_long_line_is_quoted_between_characters),
        TEST(test_identifiers_are_ignored),
        TEST(test_two_identifier_lines_are_lost_text),
        TEST(test_missing_empty_line_between_cues),
        TEST(test_missing_empty_line_makes_identifier_text),
        TEST(test_arrow_inside_text_ends_the_cue),
        TEST(test_arrow_lines_in_sequence),
        TEST(test_bad_timing_takes_its_text_with_it),
        TEST(test_text_ends_at_empty_line_only),
        TEST(test_order_of_the_file_is_kept),
        TEST(test_timings_at_end_of_file),
        TEST(test_timestamps_accepted),
        TEST(test_timestamps_refused),
        TEST(test_white_space_around_the_arrow),
        TEST(test_arrow_must_follow_the_start),
        TEST(test_settings_are_ignored),
        TEST(test_end_before_start_is_dropped),
        TEST(test_times_beyond_the_limits_are_dropped),
        TEST(test_line_ends),
        TEST(test_line_ends_may_be_mixed),
        TEST(test_text_is_not_copied_without_need),
        TEST(test_text_is_trimmed),
        TEST(test_known_tags_are_stripped),
        TEST(test_tags_with_classes),
        TEST(test_ruby_text_stays_in_order),
        TEST(test_unknown_tags_are_stripped),
        TEST(test_timestamp_tags_are_stripped),
        TEST(test_unterminated_tag_takes_the_rest),
        TEST(test_less_than_inside_a_tag_belongs_to_it),
        TEST(test_greater_than_alone_is_text),
        TEST(test_tag_across_lines),
        TEST(test_empty_cues_are_dropped),
        TEST(test_voice_is_the_speaker),
        TEST(test_voice_name_is_trimmed_and_collapsed),
        TEST(test_voice_name_with_references),
        TEST(test_voice_without_name_is_no_speaker),
        TEST(test_each_voice_is_a_row),
        TEST(test_text_around_voices_has_no_speaker),
        TEST(test_unclosed_voice_gives_way_to_the_next),
        TEST(test_same_voice_again_is_one_row),
        TEST(test_voice_end_must_match_the_innermost_tag),
        TEST(test_ruby_end_closes_ruby_text),
        TEST(test_every_known_tag_hides_the_voice_end),
        TEST(test_deep_nesting_keeps_the_text),
        TEST(test_named_references),
        TEST(test_decoded_text_is_not_read_again),
        TEST(test_references_without_semicolon),
        TEST(test_longest_name_wins),
        TEST(test_unknown_references_stay),
        TEST(test_numeric_references),
        TEST(test_numeric_references_out_of_range),
        TEST(test_numeric_references_to_windows_1252),
        TEST(test_field_limit),
        TEST(test_row_limit),
        TEST(test_memory_limit),
        TEST(test_rich_file),
        TEST(test_every_prefix_of_a_rich_file),
        TEST(test_every_byte_replaced),
        TEST(test_hostile_repetitions),
    };
    return cmocka_run_group_tests(TESTS, NULL, NULL);
}
