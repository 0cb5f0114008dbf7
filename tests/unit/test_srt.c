/* test_srt.c - SubRip: one test a rule; the speaker rule that timed text shares is tested here too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h> /* needs the headers above */

#include "base/arena.h"
#include "base/slice.h"
#include "base/utf8.h"
#include "core/formats/speaker.h"
#include "core/formats/srt.h"

#define TIMING "00:00:01,000 --> 00:00:02,000\n"

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
    fl_document_init(&p->doc, &p->arena, limits, FL_FORMAT_SRT);
    p->status = fl_srt_parse((struct fl_slice){p->copy, text.len}, &p->doc, &p->err);
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

/* The only cue of text has this speaker and body. */
static void assert_cue(const char *cue_text, const char *speaker, const char *body)
{
    struct parsed p;
    char text[1024];
    assert_true(strlen(cue_text) < sizeof text - sizeof TIMING);
    strcpy(text, TIMING);
    strcat(text, cue_text);
    parse(&p, text);
    assert_counts(&p, 1, 0);
    assert_row(&p, 0, 1000, 2000, speaker, body);
    release(&p);
}

/* A cue with this timing line is kept with these times. */
static void assert_timing(const char *timing, int64_t start_ms, int64_t end_ms)
{
    struct parsed p;
    char text[256];
    assert_true(strlen(timing) < sizeof text - 16);
    strcpy(text, timing);
    strcat(text, "\nSay it.\n");
    parse(&p, text);
    assert_counts(&p, 1, 0);
    assert_row(&p, 0, start_ms, end_ms, NULL, "Say it.");
    release(&p);
}

/* Cues above and below a cue with this timing line stay as they are, and it is dropped with a warning. */
static void assert_dropped(const char *timing, const char *rule)
{
    struct parsed p;
    char text[512];
    assert_true(strlen(timing) < 256);
    strcpy(text, "1\n" TIMING "above\n\n2\n");
    strcat(text, timing);
    strcat(text, "\nlost\n\nlost too\n\n3\n" TIMING "below\n");
    parse(&p, text);
    assert_counts(&p, 2, 1);
    assert_row(&p, 0, 1000, 2000, NULL, "above");
    assert_row(&p, 1, 1000, 2000, NULL, "below");
    assert_warning(&p, 0, 6, rule);
    release(&p);
}

static void reads_cues_in_the_order_of_the_file(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "1\n00:00:05,000 --> 00:00:06,500\nlater\n\n2\n00:00:01,000 --> 00:00:02,000\nearlier\n");
    assert_counts(&p, 2, 0);
    assert_row(&p, 0, 5000, 6500, NULL, "later");
    assert_row(&p, 1, 1000, 2000, NULL, "earlier");
    assert_int_equal(p.doc.segments[0].line, 2);
    assert_int_equal(p.doc.segments[1].line, 6);
    release(&p);
}

static void index_line_is_optional(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, TIMING "one\n\n" TIMING "two\n\n17\n" TIMING "three\n");
    assert_counts(&p, 3, 0);
    assert_row(&p, 0, 1000, 2000, NULL, "one");
    assert_row(&p, 1, 1000, 2000, NULL, "two");
    assert_row(&p, 2, 1000, 2000, NULL, "three");
    release(&p);
}

static void digits_are_an_index_only_above_a_timing_line(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "1\n" TIMING "How many?\n42\nSure?\n\n43\n\n 2 \n" TIMING "44\n3\n" TIMING "45\n\n46");
    assert_counts(&p, 3, 0);
    assert_row(&p, 0, 1000, 2000, NULL, "How many?\n42\nSure?\n\n43");
    assert_row(&p, 1, 1000, 2000, NULL, "44");
    assert_row(&p, 2, 1000, 2000, NULL, "45\n\n46");
    release(&p);
}

static void cues_need_no_blank_line_between_them(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "1\n" TIMING "one\n2\n" TIMING "two\n" TIMING "three");
    assert_counts(&p, 3, 0);
    assert_row(&p, 0, 1000, 2000, NULL, "one");
    assert_row(&p, 1, 1000, 2000, NULL, "two");
    assert_row(&p, 2, 1000, 2000, NULL, "three");
    release(&p);
}

static void blank_lines_inside_text_are_kept_and_around_it_trimmed(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "1\n" TIMING "\n \none\n\ntwo\n\t\n\n\n2\n" TIMING "three\n\n\n");
    assert_counts(&p, 2, 0);
    assert_row(&p, 0, 1000, 2000, NULL, "one\n\ntwo");
    assert_row(&p, 1, 1000, 2000, NULL, "three");
    release(&p);
}

static void times_may_have_comma_or_point(void **state)
{
    (void)state;
    assert_timing("1:02:03,004 --> 01:02:04.005", 3723004, 3724005);
    assert_timing("00:00:00.000 --> 00:00:00,001", 0, 1);
}

static void hours_are_optional_and_up_to_four_digits(void **state)
{
    (void)state;
    assert_timing("02:03,004 --> 59:59,999", 123004, 3599999);
    assert_timing("0099:00:00,000 --> 0100:00:00,000", 356400000, 360000000);
    assert_timing("100:00:00,000 --> 1000:00:00,000", 360000000, INT64_C(3600000000));
    assert_dropped("00000:00:01,000 --> 00:00:02,000", "bad-timing");
}

static void fraction_is_decimal_and_rounded_once(void **state)
{
    (void)state;
    assert_timing("00:01:39 --> 00:01:41,04", 99000, 101040);
    assert_timing("00:00:01,5 --> 00:00:02,123456789", 1500, 2123);
    assert_timing("00:00:01,0004 --> 00:00:01,0005", 1000, 1001);
    assert_timing("00:00:01,00049999 --> 00:00:59,9999", 1000, 60000);
    assert_timing("00:00:01, --> 00:00:02.", 1000, 2000);
    assert_dropped("00:00:01,0000000001 --> 00:00:02", "bad-timing");
}

static void spaces_around_times_and_arrow_are_optional(void **state)
{
    (void)state;
    assert_timing("00:00:01,000-->00:00:02,000", 1000, 2000);
    assert_timing(" \t00:00:01,000 \t-->   00:00:02,000 \t", 1000, 2000);
}

static void what_follows_the_times_is_ignored(void **state)
{
    (void)state;
    assert_timing("00:00:01,000 --> 00:00:02,000 X1:40 X2:600 Y1:20 Y2:50", 1000, 2000);
    assert_timing("00:00:01,000 --> 00:00:02,000 align:start --> 3", 1000, 2000);
    assert_timing("00:00:01,000 --> 00:00:02,000X1:40", 1000, 2000);
}

static void a_second_time_that_goes_on_is_not_read_as_a_shorter_one(void **state)
{
    (void)state;
    assert_dropped("00:00:01,000 --> 00:00:02:500", "bad-timing");
    assert_dropped("00:00:01,000 --> 00:00:02,500.5", "bad-timing");
}

static void minutes_and_seconds_above_59_drop_the_cue(void **state)
{
    (void)state;
    assert_dropped("00:60:00,000 --> 01:00:01,000", "bad-timing");
    assert_dropped("00:00:60,000 --> 00:01:01,000", "bad-timing");
    assert_dropped("00:00:01,000 --> 00:99:00,000", "bad-timing");
    assert_dropped("00:00:01,000 --> 00:00:75,000", "bad-timing");
    assert_dropped("00:000:01,000 --> 00:00:02,000", "bad-timing");
    assert_dropped("00:00:001,000 --> 00:00:02,000", "bad-timing");
    assert_dropped("999999999999999999999:00:01,000 --> 00:00:02,000", "bad-timing");
}

static void broken_timing_at_a_cue_start_drops_the_cue(void **state)
{
    (void)state;
    assert_dropped("garbage --> 00:00:02,000", "bad-timing");
    assert_dropped("-00:00:01,000 --> 00:00:02,000", "bad-timing");
    assert_dropped("00:00:01:500 --> 00:00:02:000", "bad-timing");
    assert_dropped("-->", "bad-timing");
    struct parsed p;
    parse(&p, "00:00:0l,000 --> 00:00:02,000\nlost\n\nx --> y\nlost\n" TIMING "kept\n00:00:07,000 -->\nlost");
    assert_counts(&p, 1, 3);
    assert_row(&p, 0, 1000, 2000, NULL, "kept");
    assert_warning(&p, 0, 1, "bad-timing");
    assert_warning(&p, 1, 4, "bad-timing");
    assert_warning(&p, 2, 8, "bad-timing");
    release(&p);
}

static void arrow_inside_text_is_text(void **state)
{
    (void)state;
    assert_cue("a --> b\nc\n7\n--> d", NULL, "a --> b\nc\n7\n--> d");
}

static void text_before_the_first_cue_is_dropped(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "\nA title\n\nand more\n1\n" TIMING "one\n");
    assert_counts(&p, 1, 1);
    assert_row(&p, 0, 1000, 2000, NULL, "one");
    assert_warning(&p, 0, 2, "text-before-first-cue");
    assert_slice(p.doc.warnings[0].text, "text before the first cue dropped (lines: 2)");
    release(&p);

    parse(&p, "\n\n1\n" TIMING "one\n");
    assert_counts(&p, 1, 0);
    release(&p);

    parse(&p, "no cue at all\n");
    assert_counts(&p, 0, 1);
    assert_warning(&p, 0, 1, "text-before-first-cue");
    release(&p);
}

static void end_before_start_drops_the_cue(void **state)
{
    (void)state;
    assert_dropped("00:00:02,000 --> 00:00:01,999", "end-before-start");
    assert_timing("00:00:02,000 --> 00:00:02,000", 2000, 2000);
}

static void start_beyond_the_limit_drops_the_cue(void **state)
{
    (void)state;
    assert_timing("100:00:00,000 --> 100:00:01,000", FL_TIME_LIMIT_MS, FL_TIME_LIMIT_MS + 1000);
    assert_dropped("100:00:00,001 --> 100:00:01,000", "bad-timing");
    assert_dropped("00:00:01,000 --> 1000:00:00,001", "bad-timing");
}

static void cue_without_text_is_dropped(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, "1\n" TIMING "\n2\n" TIMING "3\n" TIMING "<i> </i>{\\an8}\r\n\n4\n" TIMING "x\n" TIMING);
    assert_counts(&p, 1, 4);
    assert_row(&p, 0, 1000, 2000, NULL, "x");
    assert_warning(&p, 0, 2, "empty-cue");
    assert_warning(&p, 1, 5, "empty-cue");
    assert_warning(&p, 2, 7, "empty-cue");
    assert_warning(&p, 3, 13, "empty-cue");
    release(&p);
}

static void html_tags_are_stripped(void **state)
{
    (void)state;
    assert_cue("<i>a</i> <B>b</B> <u>c</U> <s>d</s >", NULL, "a b c d");
    assert_cue("<font color=\"#ff0000\">red</font> <FONT face='x' size=2>y</FONT>", NULL, "red y");
    assert_cue("<font>plain</font>\n<i>over\ntwo</i>", NULL, "plain\nover\ntwo");
    assert_cue(" <i> inner </i> ", NULL, "inner");
}

static void overrides_in_braces_are_stripped(void **state)
{
    (void)state;
    assert_cue("{\\an8}up {\\i1}a{\\i0} {\\pos(10,20)\\fad(1,2)}b", NULL, "up a b");
    assert_cue("{b}a{/b} {I}b{/I} {u}c{/u} {s}d{/s}", NULL, "a b c d");
}

static void other_brackets_stay(void **state)
{
    (void)state;
    assert_cue("a < b, <3, <b and c>, <v Bo>x</v>", NULL, "a < b, <3, <b and c>, <v Bo>x</v>");
    assert_cue("<ib> <> </> < i> <br> <fonts> <font color", NULL,
               "<ib> <> </> < i> <br> <fonts> <font color");
    assert_cue("<font a\nb> <font <i>x</i>", NULL, "<font a\nb> <font x");
    assert_cue("{x} {} {bi} {/} {\\an8 {\\i1\n} {", NULL, "{x} {} {bi} {/} {\\an8 {\\i1\n} {");
    assert_cue("<", NULL, "<");
    assert_cue("{", NULL, "{");
    assert_cue("</", NULL, "</");
    assert_cue("<i", NULL, "<i");
    assert_cue("<<i>b>", NULL, "<b>");
}

static void text_without_tags_is_not_copied(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, TIMING "Bo: a < b\nc {d}\n");
    assert_counts(&p, 1, 0);
    const char *end = p.copy + strlen(TIMING "Bo: a < b\nc {d}\n");
    assert_true(p.doc.segments[0].body.ptr > p.copy && p.doc.segments[0].body.ptr < end);
    assert_true(p.doc.segments[0].speaker.ptr > p.copy && p.doc.segments[0].speaker.ptr < end);
    release(&p);
}

static void speaker_is_taken_from_the_start_of_a_cue(void **state)
{
    (void)state;
    assert_cue("Ann: Hi, Bo: you?", "Ann", "Hi, Bo: you?");
    assert_cue("Dr. O'Neil-Smith (on phone): yes", "Dr. O'Neil-Smith (on phone)", "yes");
    assert_cue("SPEAKER_01: text", "SPEAKER_01", "text");
    assert_cue("Speaker #2:\ttext", "Speaker #2", "text");
    assert_cue("Ann & Bo : both", "Ann & Bo", "both");
    assert_cue("<b>Ann:</b> tagged", "Ann", "tagged");
}

static void part_of_a_sentence_is_no_speaker(void **state)
{
    (void)state;
    assert_cue("He said: go", NULL, "He said: go");
    assert_cue("and my Question: why", NULL, "and my Question: why");
    assert_cue("Ludwig van Beethoven: Ha", "Ludwig van Beethoven", "Ha");
    assert_cue("narrator: Once", "narrator", "Once");
}

static void speaker_may_be_of_any_script(void **state)
{
    (void)state;
    assert_cue("Åse Łęcka: hei", "Åse Łęcka", "hei");
    assert_cue("Ольга: да", "Ольга", "да");
    assert_cue("山田: はい", "山田", "はい");
    assert_cue("D\xe2\x80\x99"
               "Arcy: oui",
               "D\xe2\x80\x99"
               "Arcy",
               "oui");
}

static void label_alone_on_its_line_names_the_speaker(void **state)
{
    (void)state;
    assert_cue("MAN:\nHow did we get here?\nTell me.", "MAN", "How did we get here?\nTell me.");
    assert_cue("MAN:\r\n\r\nHow?\r\nTell.", "MAN", "How?\nTell.");
}

static void label_without_text_behind_it_is_text(void **state)
{
    (void)state;
    assert_cue("The answer is:", NULL, "The answer is:");
    assert_cue("- Ann: ", NULL, "- Ann:");
}

static void marker_before_a_label_goes_with_it(void **state)
{
    (void)state;
    assert_cue(">> ALICE: Hi", "ALICE", "Hi");
    assert_cue(">>> ALICE: Hi", "ALICE", "Hi");
    assert_cue("- Ann: Hi", "Ann", "Hi");
    assert_cue("- <i>Ann: Hi</i>", "Ann", "Hi");
}

static void marker_without_a_label_stays(void **state)
{
    (void)state;
    assert_cue(">> Hi there", NULL, ">> Hi there");
    assert_cue("- Hi there\n- You too", NULL, "- Hi there\n- You too");
    assert_cue("> Ann: quoted", NULL, "> Ann: quoted");
}

static void only_the_first_label_of_a_cue_is_taken(void **state)
{
    (void)state;
    assert_cue("- Ann: Hi\n- Bo: You too", "Ann", "Hi\n- Bo: You too");
}

static void speaker_is_not_carried_over(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, TIMING "Ann: one\n\n" TIMING "two\n");
    assert_counts(&p, 2, 0);
    assert_row(&p, 0, 1000, 2000, "Ann", "one");
    assert_row(&p, 1, 1000, 2000, NULL, "two");
    release(&p);
}

static void addresses_and_times_of_day_are_no_speakers(void **state)
{
    (void)state;
    assert_cue("https://example.org/", NULL, "https://example.org/");
    assert_cue("10:30 is late", NULL, "10:30 is late");
    assert_cue("10: that was close", NULL, "10: that was close");
    assert_cue("At 10:30: we met", NULL, "At 10:30: we met");
    assert_cue("Ann:Hi", NULL, "Ann:Hi");
    assert_cue("(Ann): Hi", NULL, "(Ann): Hi");
    assert_cue("Well, Ann: Hi", NULL, "Well, Ann: Hi");
    assert_cue(": Hi", NULL, ": Hi");
    assert_cue("What\nfor: this", NULL, "What\nfor: this");
}

static void words_that_head_a_remark_are_no_speakers(void **state)
{
    (void)state;
    static const char *const WORDS[] = {
        "Note", "notes", "WARNING", "Attention", "Caution", "Tip",
        "PS",   "P.S",   "p.s.",    "Re",        "FYI",     "Example",
    };
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        char text[64];
        strcpy(text, WORDS[i]);
        strcat(text, ": wet paint");
        assert_cue(text, NULL, text);
    }
    assert_cue("Noteworthy: me", "Noteworthy", "me");
    assert_cue("Tipp: me", "Tipp", "me");
}

static void label_has_at_most_40_characters_and_4_words(void **state)
{
    (void)state;
    assert_cue("Abcdefghij abcdefghij abcdefghij Abcdefg: x", "Abcdefghij abcdefghij abcdefghij Abcdefg",
               "x");
    assert_cue("Abcdefghij abcdefghij abcdefghij Abcdefgh: x", NULL,
               "Abcdefghij abcdefghij abcdefghij Abcdefgh: x");
    assert_cue("øøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøø: x", "øøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøø",
               "x");
    assert_cue("øøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøø: x", NULL,
               "øøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøøø: x");
    assert_cue("A b  c D: x", "A b  c D", "x");
    assert_cue("A b c d E: x", NULL, "A b c d E: x");
}

static void speaker_take_leaves_its_arguments_alone_without_a_label(void **state)
{
    (void)state;
    struct fl_slice text = FL_SLICE("no label"), speaker = {NULL, 7};
    const char *begin = text.ptr;
    assert_false(fl_speaker_take(&text, &speaker));
    assert_ptr_equal(text.ptr, begin);
    assert_int_equal(text.len, 8);
    assert_int_equal(speaker.len, 7);
    text = FL_SLICE("Ann:");
    assert_true(fl_speaker_take(&text, &speaker));
    assert_slice(speaker, "Ann");
    assert_int_equal(text.len, 0);
    text = FL_SLICE("");
    assert_false(fl_speaker_take(&text, &speaker));
}

static void line_ends_of_every_kind(void **state)
{
    (void)state;
    static const char *const TEXTS[] = {
        "1\n00:01 --> 00:02\na\nb\n\nc\n\n2\n00:03 --> 00:02\nx\n",
        "1\r00:01 --> 00:02\ra\rb\r\rc\r\r2\r00:03 --> 00:02\rx\r",
        "1\r\n00:01 --> 00:02\r\na\r\nb\r\n\r\nc\r\n\r\n2\r\n00:03 --> 00:02\r\nx",
        "1\r\n00:01 --> 00:02\na\rb\r\n\nc\n\r2\r00:03 --> 00:02\r\nx\r",
    };
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        struct parsed p;
        parse(&p, TEXTS[i]);
        assert_counts(&p, 1, 1);
        assert_row(&p, 0, 1000, 2000, NULL, "a\nb\n\nc");
        assert_int_equal(p.doc.segments[0].line, 2);
        assert_warning(&p, 0, 9, "end-before-start");
        release(&p);
    }
}

static const char RICH[] =
    "stray\n\n1\r\n00:00:01,04 --> 00:00:02 X1:1\r\n>> Åse (off): <i>hé</i>\r\n{\\an8}x\r\n\r\n"
    "2\r00:61:00,000 --> 01:00:00,000\rlost\r\r3\n1:2:3.123456789-->100:00:00,5\n"
    "- Ольга:\n<font color=\"#fff\">a < b</font>\n\n4\n\n5\nx --> y\n\n"
    "6\n00:00:05,000 --> 00:00:04,000\nq\n7\n00:00:05,000 --> 00:00:06,000\n{b}{/b}\n";

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
    fl_document_init(&p.doc, &p.arena, &LIMITS, FL_FORMAT_SRT);
    assert_int_equal(fl_srt_parse((struct fl_slice){NULL, 0}, &p.doc, &p.err), FL_OK);
    assert_counts(&p, 0, 0);
    fl_arena_release(&p.arena);
}

static void cut_off_at_every_byte(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof RICH; len++) {
        struct fl_slice text = {RICH, len};
        text.len = fl_utf8_valid_prefix(text);
        struct parsed p;
        parse_limited(&p, text, &LIMITS, ARENA_BYTES);
        assert_int_equal(p.status, FL_OK);
        assert_true(p.doc.row_count <= 3);
        for (size_t i = 0; i < p.doc.row_count; i++) {
            struct fl_slice body = p.doc.segments[i].body;
            assert_true(body.len > 0);
            assert_int_equal(fl_utf8_valid_prefix(body), body.len);
            assert_null(memchr(body.ptr, '\r', body.len));
        }
        (void)fl_srt_sniff((struct fl_slice){p.copy, text.len});
        release(&p);
    }
    struct parsed whole;
    parse(&whole, RICH);
    assert_counts(&whole, 2, 5);
    assert_row(&whole, 0, 1040, 2000, "Åse (off)", "hé\nx");
    assert_row(&whole, 1, 3723123, 360000500, "Ольга", "a < b\n\n4");
    release(&whole);
}

static void out_of_memory_anywhere_is_a_status(void **state)
{
    (void)state;
    struct parsed p;
    for (size_t arena_bytes = 0; arena_bytes < 8192; arena_bytes += 16) {
        parse_limited(&p, fl_slice_from(RICH), &LIMITS, arena_bytes);
        if (p.status == FL_OK) {
            assert_int_equal(p.doc.row_count, 2);
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
    parse_limited(&p, FL_SLICE(TIMING "a\n" TIMING "b\n"), &limits, ARENA_BYTES);
    assert_int_equal(p.status, FL_OK);
    release(&p);
    parse_limited(&p, FL_SLICE(TIMING "a\n" TIMING "b\n" TIMING "c\n"), &limits, ARENA_BYTES);
    assert_int_equal(p.status, FL_INVALID);
    assert_true(fl_slice_starts(fl_slice_from(p.err.text), "line 5: more than 2 rows"));
    release(&p);
}

static void too_long_text_is_invalid(void **state)
{
    (void)state;
    struct fl_limits limits = LIMITS;
    limits.field_bytes = 8;
    struct parsed p;
    parse_limited(&p, FL_SLICE("1\n" TIMING "Ann: <i>12345678</i>\n"), &limits, ARENA_BYTES);
    assert_int_equal(p.status, FL_OK);
    assert_row(&p, 0, 1000, 2000, "Ann", "12345678");
    release(&p);
    parse_limited(&p, FL_SLICE("1\n" TIMING "123456789\n"), &limits, ARENA_BYTES);
    assert_int_equal(p.status, FL_INVALID);
    assert_true(fl_slice_starts(fl_slice_from(p.err.text), "line 2: text has 9 bytes"));
    release(&p);
    parse_limited(&p, FL_SLICE("1\n" TIMING "<i>123456789</i>\n"), &limits, ARENA_BYTES);
    assert_int_equal(p.status, FL_INVALID);
    assert_true(fl_slice_starts(fl_slice_from(p.err.text), "line 2: text has 9 bytes"));
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

/* Without the white space behind its label, the text as it stands in the file would be short enough. */
static void too_long_text_with_a_label_is_not_taken_with_its_tags(void **state)
{
    (void)state;
    struct fl_limits limits = LIMITS;
    limits.field_bytes = 8;
    struct parsed p;
    char text[1024];
    snprintf(text, sizeof text, "%sAnn:%600s<i>x</i>\n", TIMING, "");
    parse_limited(&p, fl_slice_from(text), &limits, ARENA_BYTES);
    assert_int_equal(p.status, FL_INVALID);
    assert_true(fl_slice_starts(fl_slice_from(p.err.text), "line 1: text has "));
    release(&p);
    snprintf(text, sizeof text, "%sAnn:%400s<i>x</i>\n", TIMING, "");
    parse_limited(&p, fl_slice_from(text), &limits, ARENA_BYTES);
    assert_int_equal(p.status, FL_OK);
    assert_row(&p, 0, 1000, 2000, "Ann", "x");
    release(&p);
}

static void too_long_text_takes_no_memory(void **state)
{
    (void)state;
    struct fl_slice text = repeat(TIMING, "<i>x</i>\r\n");
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
        {TIMING, "<font "}, {TIMING, "{\\"},   {TIMING, "<"},      {TIMING, " "},     {TIMING, "\n"},
        {TIMING, "\r"},     {TIMING, "7\n"},   {TIMING, "a"},      {"", "x --> y\n"}, {"", TIMING},
        {"", "0"},          {"", "0:"},        {"", TIMING "-\n"}, {"", "\n-->"},     {"", TIMING "</i>\r"},
        {TIMING, "</"},     {TIMING, "a\n\n"}, {"", "1\n" TIMING}, {TIMING, "i>"},    {TIMING, "- a: \r\n"},
    };
    struct fl_limits limits = LIMITS;
    limits.field_bytes = HOSTILE_BYTES;
    clock_t begin = clock();
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        struct fl_slice text = repeat(TEXTS[i].head, TEXTS[i].pattern);
        struct parsed p;
        parse_limited(&p, text, &limits, ARENA_BYTES);
        assert_int_equal(p.status, FL_OK);
        (void)fl_srt_sniff((struct fl_slice){p.copy, text.len});
        release(&p);
        free((char *)text.ptr);
    }
    assert_true((clock() - begin) / CLOCKS_PER_SEC < CPU_SECONDS_LIMIT);
}

static void sniff_wants_a_timing_line_near_the_beginning(void **state)
{
    (void)state;
    assert_true(fl_srt_sniff(FL_SLICE("1\n" TIMING "x")));
    assert_true(fl_srt_sniff(FL_SLICE("\n\n00:01,5-->00:02")));
    assert_true(fl_srt_sniff(FL_SLICE("1\r00:00:01,000 --> 00:00:99,000\rx")));
    assert_false(fl_srt_sniff(FL_SLICE("")));
    assert_false(fl_srt_sniff(FL_SLICE("a --> b\n1\n2\n")));
    assert_false(fl_srt_sniff(FL_SLICE("[00:00:01] hello\n")));
    assert_false(fl_srt_sniff(FL_SLICE("{\"chapters\": []}")));
    assert_true(
        fl_srt_sniff(FL_SLICE("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\n17\n18\n19\n" TIMING)));
    assert_false(fl_srt_sniff(
        FL_SLICE("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\n17\n18\n19\n20\n" TIMING)));
    char far[5000 + sizeof TIMING];
    memset(far, 'x', 5000);
    memcpy(far + 4998, "\n" TIMING, sizeof TIMING);
    assert_false(fl_srt_sniff((struct fl_slice){far, sizeof far}));
}

static void sniff_leaves_webvtt_alone(void **state)
{
    (void)state;
    assert_false(fl_srt_sniff(FL_SLICE("WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nx\n")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_cues_in_the_order_of_the_file),
        cmocka_unit_test(index_line_is_optional),
        cmocka_unit_test(digits_are_an_index_only_above_a_timing_line),
        cmocka_unit_test(cues_need_no_blank_line_between_them),
        cmocka_unit_test(blank_lines_inside_text_are_kept_and_around_it_trimmed),
        cmocka_unit_test(times_may_have_comma_or_point),
        cmocka_unit_test(hours_are_optional_and_up_to_four_digits),
        cmocka_unit_test(fraction_is_decimal_and_rounded_once),
        cmocka_unit_test(spaces_around_times_and_arrow_are_optional),
        cmocka_unit_test(what_follows_the_times_is_ignored),
        cmocka_unit_test(a_second_time_that_goes_on_is_not_read_as_a_shorter_one),
        cmocka_unit_test(minutes_and_seconds_above_59_drop_the_cue),
        cmocka_unit_test(broken_timing_at_a_cue_start_drops_the_cue),
        cmocka_unit_test(arrow_inside_text_is_text),
        cmocka_unit_test(text_before_the_first_cue_is_dropped),
        cmocka_unit_test(end_before_start_drops_the_cue),
        cmocka_unit_test(start_beyond_the_limit_drops_the_cue),
        cmocka_unit_test(cue_without_text_is_dropped),
        cmocka_unit_test(html_tags_are_stripped),
        cmocka_unit_test(overrides_in_braces_are_stripped),
        cmocka_unit_test(other_brackets_stay),
        cmocka_unit_test(text_without_tags_is_not_copied),
        cmocka_unit_test(speaker_is_taken_from_the_start_of_a_cue),
        cmocka_unit_test(part_of_a_sentence_is_no_speaker),
        cmocka_unit_test(speaker_may_be_of_any_script),
        cmocka_unit_test(label_alone_on_its_line_names_the_speaker),
        cmocka_unit_test(label_without_text_behind_it_is_text),
        cmocka_unit_test(marker_before_a_label_goes_with_it),
        cmocka_unit_test(marker_without_a_label_stays),
        cmocka_unit_test(only_the_first_label_of_a_cue_is_taken),
        cmocka_unit_test(speaker_is_not_carried_over),
        cmocka_unit_test(addresses_and_times_of_day_are_no_speakers),
        cmocka_unit_test(words_that_head_a_remark_are_no_speakers),
        cmocka_unit_test(label_has_at_most_40_characters_and_4_words),
        cmocka_unit_test(speaker_take_leaves_its_arguments_alone_without_a_label),
        cmocka_unit_test(line_ends_of_every_kind),
        cmocka_unit_test(empty_input_yields_nothing),
        cmocka_unit_test(cut_off_at_every_byte),
        cmocka_unit_test(out_of_memory_anywhere_is_a_status),
        cmocka_unit_test(too_many_rows_are_invalid),
        cmocka_unit_test(too_long_text_is_invalid),
        cmocka_unit_test(too_long_text_with_a_label_is_not_taken_with_its_tags),
        cmocka_unit_test(too_long_text_takes_no_memory),
        cmocka_unit_test(hostile_input_takes_linear_time),
        cmocka_unit_test(sniff_wants_a_timing_line_near_the_beginning),
        cmocka_unit_test(sniff_leaves_webvtt_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
