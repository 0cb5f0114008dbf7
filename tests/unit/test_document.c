/* test_document.c - building a document: limits, order, missing ends, warnings, checksum, names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json_write.h"
#include "base/slice.h"
#include "fenceline/document.h"

enum { ROWS_LIMIT = 100, FIELD_LIMIT = 20 };

struct fixture {
    struct fl_arena arena;
    struct fl_limits limits;
    struct fl_document doc;
    struct fl_err err;
};

static void open_document(struct fixture *f, enum fl_format format)
{
    *f = (struct fixture){.limits = {.file_bytes = 1000000, .rows = ROWS_LIMIT, .field_bytes = FIELD_LIMIT}};
    fl_arena_init(&f->arena, 16 * 1024 * 1024);
    fl_document_init(&f->doc, &f->arena, &f->limits, format);
}

static void close_document(struct fixture *f)
{
    fl_arena_release(&f->arena);
}

static fl_status add_chapter(struct fixture *f, int64_t start_ms, int64_t end_ms, const char *title,
                             uint32_t line)
{
    struct fl_chapter row = {
        .start_ms = start_ms, .end_ms = end_ms, .title = fl_slice_from(title), .toc = true, .line = line};
    return fl_document_add_chapter(&f->doc, &row, &f->err);
}

static fl_status add_segment(struct fixture *f, int64_t start_ms, int64_t end_ms, const char *speaker,
                             const char *body, uint32_t line)
{
    struct fl_segment row = {.start_ms = start_ms,
                             .end_ms = end_ms,
                             .speaker = fl_slice_from(speaker),
                             .body = fl_slice_from(body),
                             .line = line};
    return fl_document_add_segment(&f->doc, &row, &f->err);
}

static size_t warnings_of(const struct fixture *f, const char *rule, uint32_t *line)
{
    size_t count = 0;
    for (size_t i = 0; i < f->doc.warnings_stored; i++)
        if (strcmp(f->doc.warnings[i].rule, rule) == 0 && count++ == 0 && line)
            *line = f->doc.warnings[i].line;
    return count;
}

static void assert_checksum(const struct fixture *f, const char *rows)
{
    struct sha256_ctx context;
    uint8_t digest[FL_SHA256_BYTES];
    sha256_init(&context);
    sha256_update(&context, strlen(rows), (const uint8_t *)rows);
    sha256_digest(&context, sizeof(digest), digest);
    assert_memory_equal(f->doc.sha256, digest, sizeof(digest));
}

static void test_empty(void **state)
{
    (void)state;
    struct fixture f;
    open_document(&f, FL_FORMAT_SRT);
    assert_int_equal(f.doc.kind, FL_TRANSCRIPT);
    assert_int_equal(f.doc.format, FL_FORMAT_SRT);
    assert_int_equal(f.doc.row_count, 0);
    assert_int_equal(fl_document_finish(&f.doc, &f.err), FL_INVALID);
    assert_int_equal(f.err.code, FL_INVALID);
    assert_true(f.err.text[0] != '\0');
    close_document(&f);
}

static void test_chapters_in_order(void **state)
{
    (void)state;
    struct fixture f;
    open_document(&f, FL_FORMAT_CHAPTERS_JSON);
    assert_int_equal(f.doc.kind, FL_CHAPTERS);
    struct fl_chapter full = {.start_ms = 0,
                              .end_ms = 1500,
                              .title = FL_SLICE("Intro"),
                              .url = FL_SLICE("https://a/"),
                              .img = FL_SLICE(""),
                              .location = FL_SLICE("{\"a\":1}"),
                              .toc = false,
                              .line = 3};
    assert_int_equal(fl_document_add_chapter(&f.doc, &full, &f.err), FL_OK);
    assert_int_equal(add_chapter(&f, 2000, FL_END_NONE, "", 9), FL_OK);
    assert_int_equal(add_chapter(&f, 5000, FL_END_NONE, "Outro", 12), FL_OK);
    assert_int_equal(fl_document_finish(&f.doc, &f.err), FL_OK);
    assert_int_equal(f.doc.row_count, 3);
    assert_int_equal(f.doc.warning_count, 0);
    assert_int_equal(f.doc.chapters[0].end_ms, 1500); /* given: stays, gap or not */
    assert_int_equal(f.doc.chapters[1].end_ms, 5000); /* missing: the next start */
    assert_int_equal(f.doc.chapters[2].end_ms, FL_END_NONE);
    assert_true(fl_slice_is(f.doc.chapters[0].url, "https://a/"));
    assert_non_null(f.doc.chapters[0].img.ptr);
    assert_null(f.doc.chapters[1].url.ptr);
    assert_int_equal(fl_document_first_start_ms(&f.doc), 0);
    assert_int_equal(fl_document_last_end_ms(&f.doc), 5000);
    assert_checksum(&f, "0,1500,5:Intro,10:https://a/,0:,7:{\"a\":1},0,\n"
                        "2000,5000,0:,-,-,-,1,\n"
                        "5000,-,5:Outro,-,-,-,1,\n");
    close_document(&f);
}

static void test_segments_and_their_checksum(void **state)
{
    (void)state;
    struct fixture f;
    open_document(&f, FL_FORMAT_VTT);
    assert_int_equal(add_segment(&f, 10, 900, "Ana", "\xc3\xa9t\xc3\xa9", 3), FL_OK);
    assert_int_equal(add_segment(&f, 500, 700, NULL, "b", 5), FL_OK);
    assert_int_equal(fl_document_finish(&f.doc, &f.err), FL_OK);
    assert_int_equal(f.doc.warning_count, 0); /* segments may overlap: people do */
    assert_int_equal(fl_document_first_start_ms(&f.doc), 10);
    assert_int_equal(fl_document_last_end_ms(&f.doc), 900); /* the greatest, not the last */
    assert_checksum(&f, "10,900,3:Ana,5:\xc3\xa9t\xc3\xa9,\n500,700,-,1:b,\n");
    close_document(&f);
}

/* The checksum tells apart what only differs in where fields end. */
static void test_checksum_keeps_fields_apart(void **state)
{
    (void)state;
    static const char *const PAIRS[][2] = {{"a", "b"}, {"ab", ""}, {"", "ab"}, {NULL, "ab"}, {"a,1:b", ""}};
    uint8_t sums[5][FL_SHA256_BYTES];
    for (size_t i = 0; i < 5; i++) {
        struct fixture f;
        open_document(&f, FL_FORMAT_SRT);
        assert_int_equal(add_segment(&f, 1, 2, PAIRS[i][0], PAIRS[i][1], (uint32_t)i), FL_OK);
        assert_int_equal(fl_document_finish(&f.doc, &f.err), FL_OK);
        memcpy(sums[i], f.doc.sha256, FL_SHA256_BYTES);
        close_document(&f);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(sums[i], sums[j], FL_SHA256_BYTES);
    }
}

static void test_unsorted_rows_are_sorted_stably(void **state)
{
    (void)state;
    struct fixture f;
    open_document(&f, FL_FORMAT_SRT);
    static const int64_t STARTS[] = {500, 100, 500, 300, 100, 0};
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(add_segment(&f, STARTS[i], FL_END_NONE, NULL, "x", 10 + i), FL_OK);
    assert_int_equal(fl_document_finish(&f.doc, &f.err), FL_OK);
    static const uint32_t LINES[] = {15, 11, 14, 13, 10, 12};
    static const int64_t ENDS[] = {100, 300, 300, 500, FL_END_NONE, FL_END_NONE};
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(f.doc.segments[i].line, LINES[i]);
        assert_int_equal(f.doc.segments[i].end_ms, ENDS[i]);
    }
    uint32_t line = 0;
    assert_int_equal(warnings_of(&f, "unsorted", &line), 1);
    assert_int_equal(line, 11); /* the first row out of order */
    assert_int_equal(fl_document_last_end_ms(&f.doc), 500);
    close_document(&f);
}

/* Segments of one block share its start. None of them ends where it begins; chapters do, with a warning. */
static void test_missing_ends_of_equal_starts(void **state)
{
    (void)state;
    struct fixture f;
    open_document(&f, FL_FORMAT_TIMED_TEXT);
    assert_int_equal(add_segment(&f, 100, FL_END_NONE, "a", "x", 1), FL_OK);
    assert_int_equal(add_segment(&f, 100, FL_END_NONE, "b", "x", 2), FL_OK);
    assert_int_equal(fl_document_finish(&f.doc, &f.err), FL_OK);
    assert_int_equal(f.doc.segments[0].end_ms, FL_END_NONE);
    assert_int_equal(f.doc.segments[1].end_ms, FL_END_NONE);
    assert_int_equal(f.doc.warning_count, 0);
    assert_int_equal(fl_document_last_end_ms(&f.doc), 100); /* no end is known: the last start */
    close_document(&f);
    open_document(&f, FL_FORMAT_CHAPTERS_JSON);
    assert_int_equal(add_chapter(&f, 100, FL_END_NONE, "a", 1), FL_OK);
    assert_int_equal(add_chapter(&f, 100, FL_END_NONE, "b", 2), FL_OK);
    assert_int_equal(fl_document_finish(&f.doc, &f.err), FL_OK);
    assert_int_equal(f.doc.chapters[0].end_ms, 100);
    assert_int_equal(f.doc.chapters[1].end_ms, FL_END_NONE);
    assert_int_equal(warnings_of(&f, "equal-start", NULL), 1);
    close_document(&f);
}

/* Order in the file does not matter to the checksum where it does not matter to the rows. */
static void test_sorted_and_unsorted_have_one_checksum(void **state)
{
    (void)state;
    uint8_t sums[2][FL_SHA256_BYTES];
    for (int turn = 0; turn < 2; turn++) {
        struct fixture f;
        open_document(&f, FL_FORMAT_CHAPTERS_JSON);
        for (int i = 0; i < 10; i++) {
            int64_t start_ms = 100 * (turn ? 9 - i : i);
            assert_int_equal(add_chapter(&f, start_ms, FL_END_NONE, "t", (uint32_t)i), FL_OK);
        }
        assert_int_equal(fl_document_finish(&f.doc, &f.err), FL_OK);
        memcpy(sums[turn], f.doc.sha256, FL_SHA256_BYTES);
        close_document(&f);
    }
    assert_memory_equal(sums[0], sums[1], FL_SHA256_BYTES);
}

static void test_many_rows_in_the_worst_order(void **state)
{
    (void)state;
    enum { MANY = 200000 };
    struct fixture f;
    open_document(&f, FL_FORMAT_SRT);
    fl_arena_release(&f.arena);
    fl_arena_init(&f.arena, 256 * 1024 * 1024);
    f.limits.rows = MANY;
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(add_segment(&f, MANY - i, FL_END_NONE, NULL, "x", i + 1), FL_OK);
    assert_int_equal(add_segment(&f, 1, FL_END_NONE, NULL, "x", 0), FL_INVALID);
    assert_int_equal(fl_document_finish(&f.doc, &f.err), FL_OK);
    assert_int_equal(f.doc.row_count, MANY);
    for (size_t i = 0; i + 1 < MANY; i++)
        assert_int_equal(f.doc.segments[i].start_ms, i + 1);
    close_document(&f);
}

static void test_equal_starts_and_overlaps_of_chapters(void **state)
{
    (void)state;
    struct fixture f;
    open_document(&f, FL_FORMAT_CHAPTERS_JSON);
    assert_int_equal(add_chapter(&f, 0, 1000, "a", 2), FL_OK);
    assert_int_equal(add_chapter(&f, 1000, 3000, "touches", 3), FL_OK);
    assert_int_equal(add_chapter(&f, 2000, 4000, "overlaps", 4), FL_OK);
    assert_int_equal(add_chapter(&f, 5000, FL_END_NONE, "b", 5), FL_OK);
    assert_int_equal(add_chapter(&f, 5000, FL_END_NONE, "same start", 6), FL_OK);
    assert_int_equal(fl_document_finish(&f.doc, &f.err), FL_OK);
    assert_int_equal(f.doc.row_count, 5); /* kept */
    uint32_t line = 0;
    assert_int_equal(warnings_of(&f, "overlap", &line), 1);
    assert_in_range(line, 3, 4);
    assert_int_equal(warnings_of(&f, "equal-start", &line), 1);
    assert_in_range(line, 5, 6);
    assert_int_equal(f.doc.warning_count, 2);
    assert_int_equal(f.doc.chapters[2].end_ms, 4000);
    assert_int_equal(f.doc.chapters[3].end_ms, 5000);
    close_document(&f);
}

static void test_strict_refuses_any_warning(void **state)
{
    (void)state;
    struct fixture f;
    open_document(&f, FL_FORMAT_SRT);
    f.limits.strict = true;
    assert_int_equal(add_segment(&f, 0, 10, NULL, "x", 1), FL_OK);
    assert_int_equal(fl_document_finish(&f.doc, &f.err), FL_OK);
    close_document(&f);

    open_document(&f, FL_FORMAT_SRT);
    f.limits.strict = true;
    assert_int_equal(add_segment(&f, 0, 10, NULL, "x", 1), FL_OK);
    fl_document_warn(&f.doc, 17, "bad-timing", "cue dropped");
    assert_int_equal(fl_document_finish(&f.doc, &f.err), FL_INVALID);
    assert_non_null(strstr(f.err.text, "17"));
    close_document(&f);

    open_document(&f, FL_FORMAT_SRT); /* what finish itself warns of counts too */
    f.limits.strict = true;
    assert_int_equal(add_segment(&f, 5, 10, NULL, "x", 1), FL_OK);
    assert_int_equal(add_segment(&f, 0, 4, NULL, "x", 2), FL_OK);
    assert_int_equal(fl_document_finish(&f.doc, &f.err), FL_INVALID);
    close_document(&f);
}

/* ---- what a row may be ---- */

static void test_times(void **state)
{
    (void)state;
    static const struct {
        int64_t start_ms, end_ms;
        fl_status status;
    } CASES[] = {
        {0, 0, FL_OK},
        {5, 5, FL_OK},
        {5, FL_END_NONE, FL_OK},
        {FL_TIME_LIMIT_MS, FL_TIME_LIMIT_MS, FL_OK},
        {-1, 5, FL_INVALID},
        {-1, FL_END_NONE, FL_INVALID},
        {INT64_MIN, 5, FL_INVALID},
        {5, 4, FL_INVALID},
        {5, -2, FL_INVALID},
        {5, INT64_MIN, FL_INVALID},
        {FL_TIME_LIMIT_MS + 1, FL_END_NONE, FL_INVALID},
        {INT64_MAX, INT64_MAX, FL_INVALID},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct fixture f;
        open_document(&f, FL_FORMAT_SRT);
        assert_int_equal(add_segment(&f, CASES[i].start_ms, CASES[i].end_ms, NULL, "x", 1234),
                         CASES[i].status);
        assert_int_equal(f.doc.row_count, CASES[i].status == FL_OK);
        if (CASES[i].status != FL_OK)
            assert_non_null(strstr(f.err.text, "1234"));
        close_document(&f);
        open_document(&f, FL_FORMAT_CHAPTERS_JSON);
        assert_int_equal(add_chapter(&f, CASES[i].start_ms, CASES[i].end_ms, "x", 1234), CASES[i].status);
        assert_int_equal(f.doc.row_count, CASES[i].status == FL_OK);
        close_document(&f);
    }
}

static void test_each_field_has_a_limit(void **state)
{
    (void)state;
    static const char LONG[] = "123456789012345678901"; /* one more than the limit */
    const struct fl_slice fits = {LONG, FIELD_LIMIT}, too_long = {LONG, FIELD_LIMIT + 1};
    for (int field = 0; field < 4; field++) {
        struct fixture f;
        open_document(&f, FL_FORMAT_CHAPTERS_JSON);
        for (int turn = 0; turn < 2; turn++) {
            struct fl_chapter row = {.end_ms = FL_END_NONE, .title = FL_SLICE(""), .line = 77};
            struct fl_slice *const fields[] = {&row.title, &row.url, &row.img, &row.location};
            *fields[field] = turn ? too_long : fits;
            assert_int_equal(fl_document_add_chapter(&f.doc, &row, &f.err), turn ? FL_INVALID : FL_OK);
        }
        assert_non_null(strstr(f.err.text, "77"));
        assert_non_null(strstr(f.err.text, "20"));
        close_document(&f);
    }
    for (int field = 0; field < 2; field++) {
        struct fixture f;
        open_document(&f, FL_FORMAT_SRT);
        for (int turn = 0; turn < 2; turn++) {
            struct fl_segment row = {.end_ms = 5, .body = FL_SLICE("b"), .line = 77};
            *(field ? &row.speaker : &row.body) = turn ? too_long : fits;
            assert_int_equal(fl_document_add_segment(&f.doc, &row, &f.err), turn ? FL_INVALID : FL_OK);
        }
        close_document(&f);
    }
}

static void test_row_limit(void **state)
{
    (void)state;
    struct fixture f;
    open_document(&f, FL_FORMAT_SRT);
    for (uint32_t i = 0; i < ROWS_LIMIT; i++)
        assert_int_equal(add_segment(&f, i, i, NULL, "x", i), FL_OK);
    assert_int_equal(add_segment(&f, 500, 500, NULL, "x", 4711), FL_INVALID);
    assert_non_null(strstr(f.err.text, "4711"));
    assert_non_null(strstr(f.err.text, "100"));
    assert_int_equal(f.doc.row_count, ROWS_LIMIT);
    close_document(&f);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct fixture f;
    open_document(&f, FL_FORMAT_SRT);
    fl_arena_release(&f.arena);
    fl_arena_init(&f.arena, 20 * 1024);
    f.limits.rows = 1000000;
    fl_status status = FL_OK;
    for (uint32_t i = 0; i < 100000 && status == FL_OK; i++)
        status = add_segment(&f, i, i, NULL, "x", i);
    assert_int_equal(status, FL_NO_MEMORY);
    assert_int_equal(f.err.code, FL_NO_MEMORY);
    size_t rows = f.doc.row_count;
    assert_true(rows > 0 && f.doc.segments[rows - 1].start_ms == (int64_t)rows - 1);
    for (int i = 0; i < 1000; i++)
        fl_document_warn(&f.doc, 1, "test", "row %d", i);
    assert_int_equal(f.doc.warning_count, 1000); /* counted at least */
    assert_true(f.doc.warnings_stored <= 1000);
    close_document(&f);
}

/* ---- warnings ---- */

static char *warnings_json(const struct fl_document *doc)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    struct fl_json_writer json;
    fl_json_write_init(&json, out);
    fl_document_write_warnings(doc, &json);
    fl_json_write_end_line(&json);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void test_warnings_as_json(void **state)
{
    (void)state;
    struct fixture f;
    open_document(&f, FL_FORMAT_SRT);
    char *text = warnings_json(&f.doc);
    assert_string_equal(text, "[]\n");
    free(text);
    fl_document_warn(&f.doc, 3, "bad-timing", "cue \"%s\" dropped", "x");
    fl_document_warn(&f.doc, 0, "encoding", "%s", "UTF-16");
    text = warnings_json(&f.doc);
    assert_string_equal(text, "[{\"line\":3,\"rule\":\"bad-timing\",\"text\":\"cue \\\"x\\\" dropped\"},"
                              "{\"line\":0,\"rule\":\"encoding\",\"text\":\"UTF-16\"}]\n");
    free(text);
    close_document(&f);
}

static void test_too_many_warnings_are_counted(void **state)
{
    (void)state;
    struct fixture f;
    open_document(&f, FL_FORMAT_SRT);
    for (uint32_t i = 1; i <= FL_WARNINGS_KEPT; i++)
        fl_document_warn(&f.doc, i, "bad-timing", "cue %u", i);
    assert_int_equal(f.doc.warnings_stored, FL_WARNINGS_KEPT);
    assert_int_equal(f.doc.warnings[FL_WARNINGS_KEPT - 1].line, FL_WARNINGS_KEPT);
    for (uint32_t i = 1; i <= 5000; i++)
        fl_document_warn(&f.doc, FL_WARNINGS_KEPT + i, "bad-timing", "cue %u", i);
    assert_int_equal(f.doc.warnings_stored, FL_WARNINGS_KEPT);
    assert_int_equal(f.doc.warning_count, FL_WARNINGS_KEPT + 5000);
    assert_int_equal(f.doc.warnings[FL_WARNINGS_KEPT - 2].line, FL_WARNINGS_KEPT - 1);
    /* The last kept one says that there are more. */
    assert_true(f.doc.warnings[FL_WARNINGS_KEPT - 1].line == 0 ||
                strcmp(f.doc.warnings[FL_WARNINGS_KEPT - 1].rule, "bad-timing") != 0);
    close_document(&f);
}

/* ---- names ---- */

static void test_names(void **state)
{
    (void)state;
    static const struct {
        enum fl_format format;
        enum fl_kind kind;
    } FORMATS[] = {{FL_FORMAT_CHAPTERS_JSON, FL_CHAPTERS},
                   {FL_FORMAT_SRT, FL_TRANSCRIPT},
                   {FL_FORMAT_VTT, FL_TRANSCRIPT},
                   {FL_FORMAT_TRANSCRIPT_JSON, FL_TRANSCRIPT},
                   {FL_FORMAT_TIMED_TEXT, FL_TRANSCRIPT}};
    for (size_t i = 0; i < sizeof(FORMATS) / sizeof(FORMATS[0]); i++) {
        const char *name = fl_format_name(FORMATS[i].format);
        assert_int_equal(fl_format_from_name(fl_slice_from(name)), FORMATS[i].format);
        assert_int_equal(fl_format_kind(FORMATS[i].format), FORMATS[i].kind);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(name, fl_format_name(FORMATS[j].format));
    }
    assert_string_equal(fl_format_name(FL_FORMAT_SRT), "srt");
    assert_string_equal(fl_format_name(FL_FORMAT_VTT), "vtt");
    assert_string_equal(fl_kind_name(FL_CHAPTERS), "chapters");
    assert_string_equal(fl_kind_name(FL_TRANSCRIPT), "transcript");
    assert_int_equal(fl_kind_from_name(FL_SLICE("chapters")), FL_CHAPTERS);
    assert_int_equal(fl_kind_from_name(FL_SLICE("transcript")), FL_TRANSCRIPT);
    static const struct fl_slice UNKNOWN[] = {FL_SLICE(""),    FL_SLICE("chapter"), FL_SLICE("chapters2"),
                                              FL_SLICE("SRT"), FL_SLICE("srt\0"),   {NULL, 0}};
    for (size_t i = 0; i < sizeof(UNKNOWN) / sizeof(UNKNOWN[0]); i++) {
        assert_int_equal(fl_kind_from_name(UNKNOWN[i]), FL_KIND_NONE);
        assert_int_equal(fl_format_from_name(UNKNOWN[i]), FL_FORMAT_NONE);
    }
    assert_int_equal(fl_format_kind(FL_FORMAT_NONE), FL_KIND_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_chapters_in_order),
        cmocka_unit_test(test_segments_and_their_checksum),
        cmocka_unit_test(test_checksum_keeps_fields_apart),
        cmocka_unit_test(test_unsorted_rows_are_sorted_stably),
        cmocka_unit_test(test_missing_ends_of_equal_starts),
        cmocka_unit_test(test_sorted_and_unsorted_have_one_checksum),
        cmocka_unit_test(test_many_rows_in_the_worst_order),
        cmocka_unit_test(test_equal_starts_and_overlaps_of_chapters),
        cmocka_unit_test(test_strict_refuses_any_warning),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_each_field_has_a_limit),
        cmocka_unit_test(test_row_limit),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_warnings_as_json),
        cmocka_unit_test(test_too_many_warnings_are_counted),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
