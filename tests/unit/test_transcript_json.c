/* test_transcript_json.c - every rule of the Podcasting 2.0 JSON transcript: rows, warnings, refusals; then
 * hostile input. Rows and warnings are compared as text, so that nothing can be there unnoticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/slice.h"
#include "core/formats/transcript_json.h"

static const struct fl_limits LIMITS = {.file_bytes = 64 << 20, .rows = 200000, .field_bytes = 64 << 10};

struct fixture {
    struct fl_arena arena;
    struct fl_document doc;
    struct fl_err err;
    fl_status status;
};

/* Reads text from memory of exactly its length that is gone afterwards, as is the tree: rows must not need
 * them. */
static void read_with(struct fixture *f, struct fl_slice text, const struct fl_limits *limits)
{
    struct fl_json_text json;
    char *copy = malloc(text.len ? text.len : 1);
    assert_non_null(copy);
    memcpy(copy, text.ptr, text.len);
    *f = (struct fixture){.status = FL_OK};
    fl_arena_init(&f->arena, 64 << 20);
    fl_document_init(&f->doc, &f->arena, limits, FL_FORMAT_TRANSCRIPT_JSON);
    f->status = fl_json_open(&json, (struct fl_slice){copy, text.len}, &f->err);
    if (f->status == FL_OK)
        f->status = fl_transcript_json_parse(&json, &f->doc, &f->err);
    fl_json_release(&json);
    memset(copy, '#', text.len);
    free(copy);
}

/* "line start end speaker body" a row, then "line rule text" a warning. */
static void assert_document(struct fixture *f, const char *expected)
{
    char *text;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    if (f->status != FL_OK)
        fprintf(out, "refused: %s\n", f->err.text);
    for (size_t i = 0; i < f->doc.row_count && f->status == FL_OK; i++) {
        const struct fl_segment *row = &f->doc.segments[i];
        fprintf(out, "%" PRIu32 " %" PRId64 " %" PRId64, row->line, row->start_ms, row->end_ms);
        if (row->speaker.ptr)
            fprintf(out, " %.*s:", FL_ARGS(row->speaker));
        fprintf(out, " \"%.*s\"\n", FL_ARGS(row->body));
    }
    for (size_t i = 0; i < f->doc.warnings_stored && f->status == FL_OK; i++)
        fprintf(out, "%" PRIu32 " %s: %.*s\n", f->doc.warnings[i].line, f->doc.warnings[i].rule,
                FL_ARGS(f->doc.warnings[i].text));
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
    fl_arena_release(&f->arena);
}

static void assert_read(const char *text, const char *expected)
{
    struct fixture f;
    read_with(&f, fl_slice_from(text), &LIMITS);
    assert_document(&f, expected);
}

/* One segment with these members and a body, on line 1. */
static void assert_segment(const char *members, const char *expected)
{
    char text[4096];
    assert_true(snprintf(text, sizeof text, "{\"version\":\"1.0.0\",\"segments\":[{%s,\"body\":\"b\"}]}",
                         members) < (int)sizeof text);
    assert_read(text, expected);
}

static void test_rich_document(void **state)
{
    (void)state;
    assert_read(
        "{\r\n"
        "  \"version\": \"1.0.0\",\r\n"
        "  \"segments\": [\r\n"
        "    {\"speaker\": \"Ann\", \"startTime\": 0.5, \"endTime\": 0.75, \"body\": \"I \\u00e9\"},\r\n"
        "    {\"startTime\": 0.75, \"body\": \" no speaker,\\n two lines \"},\r\n"
        "    {\r\n"
        "      \"body\": \"any order\", \"endTime\": 1e1,\r\n"
        "      \"startTime\": 2E0, \"speaker\": \" Bo \"},\r\n"
        "    {\"startTime\": 1, \"body\": \"out of order is kept as it stands\"}\r\n"
        "  ]\r\n"
        "}",
        "4 500 750 Ann: \"I \xc3\xa9\"\n"
        "5 750 -1 \" no speaker,\n two lines \"\n"
        "6 2000 10000  Bo : \"any order\"\n"
        "9 1000 -1 \"out of order is kept as it stands\"\n");
}

static void test_version_is_not_needed(void **state)
{
    (void)state;
    assert_read("{\"segments\":[{\"startTime\":1,\"body\":\"b\"}]}", "1 1000 -1 \"b\"\n");
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *members, *expected;
    } ROWS[] = {
        {"\"startTime\":0.0005", "1 1 -1 \"b\"\n"},
        {"\"startTime\":1.0004999999999999999999", "1 1000 -1 \"b\"\n"},
        {"\"startTime\":1e2", "1 100000 -1 \"b\"\n"},
        {"\"startTime\":1E-3", "1 1 -1 \"b\"\n"},
        {"\"startTime\":-0", "1 0 -1 \"b\"\n"},
        {"\"startTime\":-0e5", "1 0 -1 \"b\"\n"},
        {"\"startTime\":360000", "1 360000000 -1 \"b\"\n"},
        {"\"startTime\":3,\"endTime\":3", "1 3000 3000 \"b\"\n"},
        {"\"startTime\":3,\"endTime\":null", "1 3000 -1 \"b\"\n"},
        {"\"start\":1", "refused: line 1: segment 1: startTime is missing\n"},
        {"\"startTime\":null", "refused: line 1: segment 1: startTime is missing\n"},
        {"\"startTime\":\"12\"", "refused: line 1: segment 1: startTime is not a number\n"},
        {"\"startTime\":{}", "refused: line 1: segment 1: startTime is not a number\n"},
        {"\"startTime\":-0.0001", "refused: line 1: segment 1: startTime is negative\n"},
        {"\"startTime\":360000.001", "refused: line 1: segment 1: startTime is beyond 100 hours\n"},
        {"\"startTime\":1e300", "refused: line 1: segment 1: startTime is beyond 100 hours\n"},
        {"\"startTime\":3,\"endTime\":2", "refused: line 1: segment 1: endTime lies before startTime\n"},
        {"\"startTime\":0,\"endTime\":-0.0001", "refused: line 1: segment 1: endTime is negative\n"},
        {"\"startTime\":3,\"endTime\":false", "refused: line 1: segment 1: endTime is not a number\n"},
        {"\"startTime\":3,\"endTime\":1e300", "refused: line 1: segment 1: endTime is too large\n"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        assert_segment(ROWS[i].members, ROWS[i].expected);
}

static void test_speaker(void **state)
{
    (void)state;
    assert_segment("\"startTime\":1,\"speaker\":\"\\u00c5sa\"", "1 1000 -1 \xc3\x85sa: \"b\"\n");
    assert_segment("\"startTime\":1,\"speaker\":null", "1 1000 -1 \"b\"\n");
    assert_segment("\"startTime\":1,\"speaker\":\"\"", "1 1000 -1 \"b\"\n");
    assert_segment("\"startTime\":1,\"speaker\":\" \\t\"", "1 1000 -1 \"b\"\n");
    assert_segment("\"startTime\":1,\"speaker\":7",
                   "1 1000 -1 \"b\"\n1 wrong-type: segment 1: speaker is not a string and is left out\n");
}

static void test_dropped_segments(void **state)
{
    (void)state;
    assert_read("{\"version\":\"1\",\"segments\":[\n"
                "{\"startTime\":1,\"speaker\":7},\n"
                "{\"startTime\":2,\"body\":null},\n"
                "{\"startTime\":3,\n\"body\":\"\"},\n"
                "{\"startTime\":4,\"body\":\" \\r\\n\\t\"},\n"
                "{\"startTime\":5,\"body\":[\"x\"]},\n"
                "{\"startTime\":6,\"body\":\".\"}]}",
                "8 6000 -1 \".\"\n"
                "2 missing-body: segment 1: body is missing; the segment is dropped\n"
                "3 missing-body: segment 2: body is missing; the segment is dropped\n"
                "5 empty-body: segment 3: body is empty; the segment is dropped\n"
                "6 empty-body: segment 4: body is empty; the segment is dropped\n"
                "7 wrong-type: segment 5: body is not a string; the segment is dropped\n");
}

/* A segment that would be dropped does not hide a bad time. */
static void test_bad_time_without_body(void **state)
{
    (void)state;
    assert_read("{\"segments\":[{\"startTime\":-1}]}", "refused: line 1: segment 1: startTime is negative\n");
}

static void test_nothing_left(void **state)
{
    (void)state;
    struct fixture f;
    read_with(&f, FL_SLICE("{\"segments\":[{\"startTime\":1}]}"), &LIMITS);
    assert_int_equal(f.status, FL_OK);
    assert_int_equal(f.doc.row_count, 0);
    assert_int_equal(fl_document_finish(&f.doc, &f.err), FL_INVALID);
    assert_non_null(strstr(f.err.text, "body is missing"));
    fl_arena_release(&f.arena);
}

static void test_unknown_and_duplicate_members(void **state)
{
    (void)state;
    assert_read("{\"language\":\"en\",\"segments\":[\n"
                "{\"startTime\":1,\"body\":\"a\",\"words\":[{\"words\":1}]},\n"
                "{\"startTime\":2,\"body\":\"b\",\"words\":[],\n"
                "\"Speaker\":\"x\",\"body\":\"c\"}],\n"
                "\"version\":\"1\",\"version\":\"2\"}",
                "2 1000 -1 \"a\"\n3 2000 -1 \"b\"\n"
                "1 unknown-member: member \"language\" of a document is unknown and is left out\n"
                "5 duplicate-member: member \"version\" of a document is there twice; the first counts\n"
                "2 unknown-member: member \"words\" of a segment is unknown and is left out\n"
                "4 unknown-member: member \"Speaker\" of a segment is unknown and is left out\n"
                "4 duplicate-member: member \"body\" of a segment is there twice; the first counts\n");
}

static void test_many_unknown_names(void **state)
{
    (void)state;
    char text[8192] = "{\"segments\":[{\"startTime\":1,\"body\":\"b\"";
    for (int i = 0; i < 300; i++)
        sprintf(text + strlen(text), ",\"x%d\":1", i % 150);
    strcat(text, "}]}");
    struct fixture f;
    read_with(&f, fl_slice_from(text), &LIMITS);
    assert_int_equal(f.status, FL_OK);
    assert_int_equal(f.doc.warning_count, 21);
    assert_true(fl_slice_is(f.doc.warnings[20].text,
                            "more than 20 unknown members of a segment; the others are not listed"));
    fl_arena_release(&f.arena);
}

/* A name is shown up to 60 bytes, and never half a character of it. */
static void test_long_unknown_name(void **state)
{
    (void)state;
    char name[256] = "", text[512], expected[512];
    memset(name, 'n', 58);
    strcat(name, "\xe2\x82\xac tail");
    snprintf(text, sizeof text, "\"startTime\":1,\"%s\":1", name);
    name[58] = '\0';
    snprintf(expected, sizeof expected,
             "1 1000 -1 \"b\"\n1 unknown-member: member \"%s\" of a segment is unknown and is left out\n",
             name);
    assert_segment(text, expected);
}

static void test_refused_documents(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } ROWS[] = {
        {"[{\"startTime\":1,\"body\":\"b\"}]", "refused: line 1: a transcript document must be an object\n"},
        {"\"segments\"", "refused: line 1: a transcript document must be an object\n"},
        {"\n{}", "refused: line 2: \"segments\" is missing\n"},
        {"{\"segments\":null}", "refused: line 1: \"segments\" is missing\n"},
        {"{\n\"segments\":{}}", "refused: line 2: \"segments\" is not an array\n"},
        {"{\n\"segments\":\n[]}", "refused: line 3: \"segments\" is empty\n"},
        {"{\"segments\":[\n{\"startTime\":1,\"body\":\"b\"},\n\"x\"]}",
         "refused: line 3: segment 2: it is not an object\n"},
        {"{\"segments\":[\n{\"startTime\":1,\"body\":\"b\"},\n{\n\"body\":\"x\"}]}",
         "refused: line 3: segment 2: startTime is missing\n"},
        {"{\"segments\":[{\"startTime\":1,\"body\":\"b\"}]},",
         "refused: line 1, byte 42: bytes after the document\n"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        assert_read(ROWS[i].text, ROWS[i].expected);
}

static void test_limits(void **state)
{
    (void)state;
    struct fl_limits small = LIMITS;
    small.rows = 1;
    small.field_bytes = 4;
    static const struct {
        const char *text, *expected;
    } ROWS[] = {
        {"{\"segments\":[{\"startTime\":1,\"body\":\"1234\",\"speaker\":\"1234\"}]}",
         "1 1000 -1 1234: \"1234\"\n"},
        {"{\"segments\":[{\"startTime\":1,\"body\":\"12345\"}]}",
         "refused: line 1: text has 5 bytes, more than the limit of 4\n"},
        {"{\"segments\":[{\"startTime\":1,\"body\":\"1\",\"speaker\":\"12345\"}]}",
         "refused: line 1: speaker has 5 bytes, more than the limit of 4\n"},
        {"{\"segments\":[{\"startTime\":1,\"body\":\"1\"},{\"startTime\":1,\"body\":\"1\"}]}",
         "refused: line 1: more than 1 rows, the limit of one document\n"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct fixture f;
        read_with(&f, fl_slice_from(ROWS[i].text), &small);
        if (f.status != FL_OK)
            assert_int_equal(f.status, FL_INVALID);
        assert_document(&f, ROWS[i].expected);
    }
}

/* A full arena is an operating error, wherever it happens. */
static void test_no_memory(void **state)
{
    (void)state;
    struct fl_json_text json;
    struct fl_err err;
    assert_int_equal(
        fl_json_open(&json, FL_SLICE("{\"segments\":[{\"startTime\":1,\"body\":\"a\",\"speaker\":\"b\"}]}"),
                     &err),
        FL_OK);
    bool succeeded = false;
    int failures = 0;
    for (size_t limit = 0; !succeeded && limit < 1 << 16; limit += 16) {
        struct fl_arena arena;
        struct fl_document doc;
        fl_arena_init(&arena, limit);
        fl_document_init(&doc, &arena, &LIMITS, FL_FORMAT_TRANSCRIPT_JSON);
        fl_status status = fl_transcript_json_parse(&json, &doc, &err);
        succeeded = status == FL_OK;
        if (!succeeded)
            assert_int_equal(status, FL_NO_MEMORY);
        if (!succeeded)
            assert_true(++failures && doc.row_count == 0 && err.text[0]);
        fl_arena_release(&arena);
    }
    assert_true(succeeded);
    assert_in_range(failures, 3, 1000); /* two texts and the row */
    fl_json_release(&json);
}

static void test_sniff(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool expected;
    } ROWS[] = {{"{\"segments\":[]}", true},    {"{\"a\":1,\"segments\":7}", true},
                {"{\"chapters\":[]}", false},   {"{\"a\":{\"segments\":[]}}", false},
                {"[{\"segments\":[]}]", false}, {"\"segments\"", false}};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct fl_json_text json;
        assert_int_equal(fl_json_open(&json, fl_slice_from(ROWS[i].text), NULL), FL_OK);
        bool found;
        assert_int_equal(fl_transcript_json_sniff(&json, &found, NULL), FL_OK);
        assert_int_equal(found, ROWS[i].expected);
        fl_json_release(&json);
    }
}

static const char RICH[] =
    "{\"version\":\"1.0.0\",\"segments\":[\n"
    "{\"speaker\":\"Ann\",\"startTime\":0,\"endTime\":1.5,\"body\":\"\\u00e9 one\"},\r\n"
    "{\"speaker\":null,\"startTime\":1.25,\"body\":\"two\\n\",\"other\":[1]},\n"
    "{\"startTime\":2e2,\"body\":\"three\"},{\"startTime\":201,\"body\":\"\"}]}";

static void test_every_prefix_is_refused(void **state)
{
    (void)state;
    for (size_t length = 0; length < sizeof RICH - 1; length++) {
        struct fixture f;
        read_with(&f, (struct fl_slice){RICH, length}, &LIMITS);
        assert_int_equal(f.status, FL_INVALID);
        assert_int_equal(strncmp(f.err.text, "line ", 5), 0);
        fl_arena_release(&f.arena);
    }
}

static void test_flipped_bytes(void **state)
{
    (void)state;
    uint32_t seed = 45;
    int accepted = 0, rounds = 10000;
    for (int round = 0; round < rounds; round++) {
        char text[sizeof RICH];
        memcpy(text, RICH, sizeof RICH);
        for (int flips = 1 + round % 3; flips > 0; flips--) {
            seed = seed * 1664525 + 1013904223;
            size_t at = (seed >> 8) % (sizeof RICH - 1);
            seed = seed * 1664525 + 1013904223;
            text[at] = round & 1 ? (char)(seed >> 24) : "{}[]:,\"-.0e9 "[(seed >> 8) % 13];
        }
        struct fixture f;
        read_with(&f, (struct fl_slice){text, sizeof RICH - 1}, &LIMITS);
        assert_true(f.status == FL_OK || f.status == FL_INVALID);
        accepted += f.status == FL_OK;
        for (size_t i = 0; i < f.doc.row_count; i++) {
            const struct fl_segment *row = &f.doc.segments[i];
            assert_in_range(row->start_ms, 0, FL_TIME_LIMIT_MS);
            assert_true(row->end_ms == FL_END_NONE || row->end_ms >= row->start_ms);
            assert_true(fl_slice_trim(row->body).len > 0);
            assert_true(!row->speaker.ptr || row->speaker.len > 0);
        }
        fl_arena_release(&f.arena);
    }
    assert_in_range(accepted, rounds / 20, rounds - rounds / 20);
}

/* As many rows as may be, one a line: lines and rows must not cost a walk over the file each. */
static void test_many_rows(void **state)
{
    (void)state;
    enum { COUNT = 200000 };
    char *text = malloc(COUNT * 64 + 64), *end = text;
    assert_non_null(text);
    end += sprintf(end, "{\"segments\":[");
    for (int i = 0; i < COUNT; i++)
        end += sprintf(end, "%s\n{\"body\":\"t%d\",\"speaker\":7,\"startTime\":%d.001}", i ? "," : "", i, i);
    end += sprintf(end, "]}");
    struct fixture f;
    read_with(&f, fl_slice_range(text, end), &LIMITS);
    free(text);
    assert_int_equal(f.status, FL_OK);
    assert_int_equal(f.doc.row_count, COUNT);
    assert_int_equal(f.doc.warning_count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        char body[16];
        snprintf(body, sizeof body, "t%zu", i);
        assert_int_equal(f.doc.segments[i].start_ms, i * 1000 + 1);
        assert_int_equal(f.doc.segments[i].line, i + 2);
        assert_true(fl_slice_is(f.doc.segments[i].body, body));
    }
    fl_arena_release(&f.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rich_document),
        cmocka_unit_test(test_version_is_not_needed),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_speaker),
        cmocka_unit_test(test_dropped_segments),
        cmocka_unit_test(test_bad_time_without_body),
        cmocka_unit_test(test_nothing_left),
        cmocka_unit_test(test_unknown_and_duplicate_members),
        cmocka_unit_test(test_many_unknown_names),
        cmocka_unit_test(test_long_unknown_name),
        cmocka_unit_test(test_refused_documents),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_sniff),
        cmocka_unit_test(test_every_prefix_is_refused),
        cmocka_unit_test(test_flipped_bytes),
        cmocka_unit_test(test_many_rows),
    };
    return cmocka_run_group_tests_name("transcript_json", tests, NULL, NULL);
}
