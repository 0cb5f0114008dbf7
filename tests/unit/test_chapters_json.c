/* test_chapters_json.c - every rule of Podcasting 2.0 JSON chapters: rows, warnings, refusals; then hostile
 * input. Rows and warnings are compared as text, so that nothing can be there unnoticed. */
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
#include "core/formats/chapters_json.h"

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
    fl_document_init(&f->doc, &f->arena, limits, FL_FORMAT_CHAPTERS_JSON);
    f->status = fl_json_open(&json, (struct fl_slice){copy, text.len}, &f->err);
    if (f->status == FL_OK)
        f->status = fl_chapters_json_parse(&json, &f->doc, &f->err);
    fl_json_release(&json);
    memset(copy, '#', text.len);
    free(copy);
}

static void read_chapters(struct fixture *f, const char *text)
{
    read_with(f, fl_slice_from(text), &LIMITS);
}

static void print_field(FILE *out, struct fl_slice field)
{
    if (field.ptr)
        fprintf(out, " \"%.*s\"", FL_ARGS(field));
    else
        fprintf(out, " -");
}

/* "line start end title url img location toc" a row, then "line rule text" a warning. */
static void assert_document(struct fixture *f, const char *expected)
{
    char *text;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    if (f->status != FL_OK)
        fprintf(out, "refused: %s\n", f->err.text);
    for (size_t i = 0; i < f->doc.row_count && f->status == FL_OK; i++) {
        const struct fl_chapter *row = &f->doc.chapters[i];
        fprintf(out, "%" PRIu32 " %" PRId64 " %" PRId64, row->line, row->start_ms, row->end_ms);
        print_field(out, row->title);
        print_field(out, row->url);
        print_field(out, row->img);
        print_field(out, row->location);
        fprintf(out, "%s\n", row->toc ? "" : " hidden");
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
    read_chapters(&f, text);
    assert_document(&f, expected);
}

/* One chapter with these members, on line 1. */
static void assert_chapter(const char *members, const char *expected)
{
    char text[4096];
    assert_true(snprintf(text, sizeof text, "{\"version\":\"1.2.0\",\"chapters\":[{%s}]}", members) <
                (int)sizeof text);
    assert_read(text, expected);
}

static void test_rich_document(void **state)
{
    (void)state;
    assert_read("{\n"
                "  \"version\": \"1.2.0\", \"author\": \"A\", \"title\": \"T\", \"podcastName\": \"P\",\n"
                "  \"description\": \"D\", \"fileName\": \"f.mp3\", \"waypoints\": true,\n"
                "  \"chapters\": [\n"
                "    {\"startTime\": 0, \"title\": \"Intro \\u00e9\", \"toc\": true},\n"
                "    {\"startTime\": 12.5, \"endTime\": 30.0005, \"title\": \"Two\",\n"
                "     \"url\": \"https://example.org/a\\/b\", \"img\": \"https://example.org/i.png\"},\n"
                "    {\"startTime\": 1e2,\n"
                "     \"toc\": false, \"location\": { \"name\": \"Paris\", \"geo\": \"geo:48.86,2.29\" }},\n"
                "    {\"startTime\": 60, \"title\": \"out of order is kept as it stands\"}\n"
                "  ]\n"
                "}\n",
                "5 0 -1 \"Intro \xc3\xa9\" - - -\n"
                "6 12500 30001 \"Two\" \"https://example.org/a/b\" \"https://example.org/i.png\" -\n"
                "8 100000 -1 \"\" - - \"{\"name\":\"Paris\",\"geo\":\"geo:48.86,2.29\"}\" hidden\n"
                "10 60000 -1 \"out of order is kept as it stands\" - - -\n");
}

static void test_members_may_come_first_or_last(void **state)
{
    (void)state;
    assert_read("{\"chapters\":[{\"title\":\"a\",\"endTime\":2,\"startTime\":1}],\"version\":1.2}",
                "1 1000 2000 \"a\" - - -\n");
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *members, *expected;
    } ROWS[] = {
        {"\"startTime\":0.0005", "1 1 -1 \"\" - - -\n"},
        {"\"startTime\":1.0004999999999999999999", "1 1000 -1 \"\" - - -\n"},
        {"\"startTime\":1e2", "1 100000 -1 \"\" - - -\n"},
        {"\"startTime\":1E-3", "1 1 -1 \"\" - - -\n"},
        {"\"startTime\":-0.0", "1 0 -1 \"\" - - -\n"},
        {"\"startTime\":-0e5", "1 0 -1 \"\" - - -\n"},
        {"\"startTime\":360000", "1 360000000 -1 \"\" - - -\n"},
        {"\"startTime\":3,\"endTime\":3", "1 3000 3000 \"\" - - -\n"},
        {"\"startTime\":3,\"endTime\":2.9996", "1 3000 3000 \"\" - - -\n"},
        {"\"startTime\":3,\"endTime\":null", "1 3000 -1 \"\" - - -\n"},
        {"\"title\":\"a\"", "refused: line 1: chapter 1: startTime is missing\n"},
        {"\"startTime\":null", "refused: line 1: chapter 1: startTime is missing\n"},
        {"\"starttime\":1", "refused: line 1: chapter 1: startTime is missing\n"},
        {"\"startTime\":\"12\"", "refused: line 1: chapter 1: startTime is not a number\n"},
        {"\"startTime\":[1]", "refused: line 1: chapter 1: startTime is not a number\n"},
        {"\"startTime\":true", "refused: line 1: chapter 1: startTime is not a number\n"},
        {"\"startTime\":-1", "refused: line 1: chapter 1: startTime is negative\n"},
        {"\"startTime\":-0.0001", "refused: line 1: chapter 1: startTime is negative\n"},
        {"\"startTime\":-1e-99", "refused: line 1: chapter 1: startTime is negative\n"},
        {"\"startTime\":-1e99", "refused: line 1: chapter 1: startTime is negative\n"},
        {"\"startTime\":360000.001", "refused: line 1: chapter 1: startTime is beyond 100 hours\n"},
        {"\"startTime\":1e300", "refused: line 1: chapter 1: startTime is beyond 100 hours\n"},
        {"\"startTime\":1e999999999999999999999",
         "refused: line 1: chapter 1: startTime is beyond 100 hours\n"},
        {"\"startTime\":3,\"endTime\":2.9994", "refused: line 1: chapter 1: endTime lies before startTime\n"},
        {"\"startTime\":0,\"endTime\":-0.0001", "refused: line 1: chapter 1: endTime is negative\n"},
        {"\"startTime\":3,\"endTime\":\"4\"", "refused: line 1: chapter 1: endTime is not a number\n"},
        {"\"startTime\":3,\"endTime\":1e300", "refused: line 1: chapter 1: endTime is too large\n"},
        {"\"startTime\":3,\"endTime\":3600001", "refused: line 1: end time is beyond 1000 hours\n"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        assert_chapter(ROWS[i].members, ROWS[i].expected);
}

static void test_texts(void **state)
{
    (void)state;
    assert_chapter("\"startTime\":1,\"title\":null,\"url\":null,\"img\":null,\"toc\":null,\"location\":null",
                   "1 1000 -1 \"\" - - -\n");
    assert_chapter("\"startTime\":1,\"title\":\"\",\"url\":\"\",\"img\":\"\"",
                   "1 1000 -1 \"\" \"\" \"\" -\n");
    assert_chapter(
        "\"startTime\":1,\"title\":7,\"url\":[],\"img\":{},\"toc\":\"false\",\"location\":\"geo:1,2\"",
        "1 1000 -1 \"\" - - -\n"
        "1 wrong-type: chapter 1: title is not a string and is left out\n"
        "1 wrong-type: chapter 1: url is not a string and is left out\n"
        "1 wrong-type: chapter 1: img is not a string and is left out\n"
        "1 wrong-type: chapter 1: location is not an object and is left out\n"
        "1 wrong-type: chapter 1: toc is neither true nor false and is taken as true\n");
    assert_chapter("\"startTime\":1,\"toc\":0,\"location\":[]",
                   "1 1000 -1 \"\" - - -\n"
                   "1 wrong-type: chapter 1: location is not an object and is left out\n"
                   "1 wrong-type: chapter 1: toc is neither true nor false and is taken as true\n");
}

static void test_location(void **state)
{
    (void)state;
    assert_chapter("\"startTime\":1,\"location\":{}", "1 1000 -1 \"\" - - \"{}\"\n");
    assert_chapter("\"startTime\":1,\"location\":{ \"a\" : [1.50, 1E+2, true, null, {\"b\":\"\\u00e9\\n\"}]}",
                   "1 1000 -1 \"\" - - \"{\"a\":[1.50,1E+2,true,null,{\"b\":\"\xc3\xa9\\n\"}]}\"\n");
    assert_chapter("\"startTime\":1,\"location\":{\"lat\":1e-1000}",
                   "1 1000 -1 \"\" - - \"{\"lat\":1e-1000}\"\n");
    static const char *const UNSTORABLE[] = {"1e1001", "-1.5E-99999", "1e+9999999999999999999999"};
    for (size_t i = 0; i < sizeof UNSTORABLE / sizeof *UNSTORABLE; i++) {
        char members[256];
        snprintf(members, sizeof members, "\"startTime\":1,\"location\":{\"a\":[{\"b\":%s}]}", UNSTORABLE[i]);
        assert_chapter(members, "1 1000 -1 \"\" - - -\n"
                                "1 bad-location: chapter 1: location holds a number too long or too large to "
                                "store; it is left out\n");
    }
    char digits[1024] = {0}, members[2048];
    memset(digits, '7', 1001);
    snprintf(members, sizeof members, "\"startTime\":1,\"location\":{\"a\":%s}", digits);
    assert_chapter(members,
                   "1 1000 -1 \"\" - - -\n"
                   "1 bad-location: chapter 1: location holds a number too long or too large to store; "
                   "it is left out\n");
}

static void test_unknown_members(void **state)
{
    (void)state;
    assert_read("{\"version\":\"1.2.0\",\"generator\":{\"startTime\":1},\"chapters\":[\n"
                "{\"startTime\":1,\"value\":1},\n"
                "{\"startTime\":2,\"generator\":3,\"value\":[1],\n"
                "\"Title\":\"x\"},\n"
                "{\"startTime\":3,\"Title\":\"x\",\"generator\":null}],\"generator\":2}",
                "2 1000 -1 \"\" - - -\n3 2000 -1 \"\" - - -\n5 3000 -1 \"\" - - -\n"
                "1 unknown-member: member \"generator\" of a document is unknown and is left out\n"
                "2 unknown-member: member \"value\" of a chapter is unknown and is left out\n"
                "3 unknown-member: member \"generator\" of a chapter is unknown and is left out\n"
                "4 unknown-member: member \"Title\" of a chapter is unknown and is left out\n");
}

/* A name is shown up to 60 bytes, and never half a character of it. */
static void test_long_unknown_name(void **state)
{
    (void)state;
    char name[256] = "", text[512];
    for (int i = 0; i < 59; i++)
        strcat(name, "n");
    strcat(name, "\xe2\x82\xac tail");
    snprintf(text, sizeof text, "\"startTime\":1,\"%s\":1", name);
    name[59] = '\0';
    char expected[512];
    snprintf(expected, sizeof expected,
             "1 1000 -1 \"\" - - -\n"
             "1 unknown-member: member \"%s\" of a chapter is unknown and is left out\n",
             name);
    assert_chapter(text, expected);
    snprintf(text, sizeof text, "\"startTime\":1,\"%s!\":1", name);
    snprintf(expected, sizeof expected,
             "1 1000 -1 \"\" - - -\n"
             "1 unknown-member: member \"%s!\" of a chapter is unknown and is left out\n",
             name);
    assert_chapter(text, expected);
}

static void test_many_unknown_names(void **state)
{
    (void)state;
    char text[8192] = "{\"version\":\"1\",\"chapters\":[";
    for (int round = 0; round < 2; round++) {
        sprintf(text + strlen(text), "%s{\"startTime\":%d", round ? ",\n" : "", round);
        for (int i = 0; i < 25; i++)
            sprintf(text + strlen(text), ",\"x%d\":1", i);
        strcat(text, "}");
    }
    strcat(text, "]}");
    struct fixture f;
    read_chapters(&f, text);
    assert_int_equal(f.status, FL_OK);
    assert_int_equal(f.doc.row_count, 2);
    assert_int_equal(f.doc.warning_count, 21);
    assert_true(
        fl_slice_is(f.doc.warnings[19].text, "member \"x19\" of a chapter is unknown and is left out"));
    assert_true(fl_slice_is(f.doc.warnings[20].text,
                            "more than 20 unknown members of a chapter; the others are not listed"));
    fl_arena_release(&f.arena);
}

static void test_duplicate_members(void **state)
{
    (void)state;
    assert_read("{\"version\":\"1.2.0\",\"chapters\":[{\"startTime\":1,\"title\":\"a\",\n"
                "\"title\":\"b\",\"startTime\":\"x\"}],\n\"chapters\":[]}",
                "1 1000 -1 \"a\" - - -\n"
                "3 duplicate-member: member \"chapters\" of a document is there twice; the first counts\n"
                "2 duplicate-member: member \"title\" of a chapter is there twice; the first counts\n"
                "2 duplicate-member: member \"startTime\" of a chapter is there twice; the first counts\n");
}

static void test_version(void **state)
{
    (void)state;
    static const char MISSING[] =
        " \"\" - - -\n2 missing-version: the document does not say its \"version\"; "
        "it is read as version 1.2\n";
    char expected[256];
    snprintf(expected, sizeof expected, "2 1000 -1%s", MISSING);
    assert_read("\n{\"chapters\":[{\"startTime\":1}]}", expected);
    assert_read("\n{\"version\":null,\"chapters\":[{\"startTime\":1}]}", expected);
}

static void test_refused_documents(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } ROWS[] = {
        {"[]", "refused: line 1: a chapters document must be an object\n"},
        {"\n7", "refused: line 2: a chapters document must be an object\n"},
        {"{}", "refused: line 1: \"chapters\" is missing\n"},
        {"{\"Chapters\":[]}", "refused: line 1: \"chapters\" is missing\n"},
        {"{\"chapters\":null}", "refused: line 1: \"chapters\" is missing\n"},
        {"{\n\"chapters\":{\"startTime\":1}}", "refused: line 2: \"chapters\" is not an array\n"},
        {"{\n\"chapters\":\n[]}", "refused: line 3: \"chapters\" is empty\n"},
        {"{\"chapters\":[{\"startTime\":1},\n7]}", "refused: line 2: chapter 2: it is not an object\n"},
        {"{\"chapters\":[{\"startTime\":1},\n[]]}", "refused: line 2: chapter 2: it is not an object\n"},
        {"{\"chapters\":[null]}", "refused: line 1: chapter 1: it is not an object\n"},
        {"{\"chapters\":[\n{\"startTime\":1},\n{\"startTime\":2},\n{\n\"title\":\"x\"}]}",
         "refused: line 4: chapter 3: startTime is missing\n"},
        {"{\"chapters\":[\n{\"startTime\":1},\n{\"title\":\"x\",\n\"startTime\":\"2\"}]}",
         "refused: line 4: chapter 2: startTime is not a number\n"},
        {"{\"chapters\":[{\"startTime\":1}]} x", "refused: line 1, byte 32: bytes after the document\n"},
        {"{\"chapters\":[{\"startTime\":1}]", "refused: line 1, byte 30: the text ends inside an object, "
                                              "',' or '}' expected\n"},
        {"{\"chapters\":[{\"startTime\":1,\"title\":\"\\u0000\"}]}",
         "refused: line 1, byte 38: \\u0000 in a string: U+0000 cannot be stored\n"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        assert_read(ROWS[i].text, ROWS[i].expected);
}

static void test_nesting(void **state)
{
    (void)state;
    for (int depth = 61; depth <= 62; depth++) { /* three levels are open around it */
        char text[512] = "{\"version\":\"1\",\"chapters\":[{\"startTime\":1,\"title\":";
        memset(text + strlen(text), '[', (size_t)depth);
        memset(text + strlen(text), ']', (size_t)depth);
        strcat(text, "}]}");
        struct fixture f;
        read_chapters(&f, text);
        assert_int_equal(f.status, depth == 61 ? FL_OK : FL_INVALID);
        assert_int_equal(f.doc.row_count, depth == 61);
        if (depth == 62)
            assert_non_null(strstr(f.err.text, "nested deeper than 64 levels"));
        fl_arena_release(&f.arena);
    }
}

static void test_limits(void **state)
{
    (void)state;
    struct fl_limits small = LIMITS;
    small.rows = 2;
    small.field_bytes = 10;
    static const struct {
        const char *text, *expected;
    } ROWS[] = {
        {"{\"version\":\"1\",\"chapters\":[{\"startTime\":1,\"title\":\"0123456789\"}]}",
         "1 1000 -1 \"0123456789\" - - -\n"},
        {"{\"version\":\"1\",\"chapters\":[{\"startTime\":1,\"title\":\"0123456789a\"}]}",
         "refused: line 1: title has 11 bytes, more than the limit of 10\n"},
        {"{\"version\":\"1\",\"chapters\":[{\"startTime\":1,\"url\":\"0123456789a\"}]}",
         "refused: line 1: url has 11 bytes, more than the limit of 10\n"},
        {"{\"version\":\"1\",\"chapters\":[{\"startTime\":1,\"location\":{\"a\":1234}}]}",
         "1 1000 -1 \"\" - - \"{\"a\":1234}\"\n"},
        {"{\"version\":\"1\",\"chapters\":[{\"startTime\":1,\"location\":{\"a\":12345}}]}",
         "refused: line 1: location has 11 bytes, more than the limit of 10\n"},
        {"{\"version\":\"1\",\"chapters\":[{\"startTime\":1,\"location\":{\"a\":\"0123456789\"}}]}",
         "refused: line 1: chapter 1: location is longer than a text field may be\n"},
        {"{\"version\":\"1\",\"chapters\":[{\"startTime\":1},{\"startTime\":2},{\"startTime\":3}]}",
         "refused: line 1: more than 2 rows, the limit of one document\n"},
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
        fl_json_open(&json,
                     FL_SLICE("{\"version\":\"1\",\"chapters\":[{\"startTime\":1,\"title\":\"a\","
                              "\"url\":\"b\",\"img\":\"c\",\"location\":{\"d\":1}}]}"),
                     &err),
        FL_OK);
    bool succeeded = false;
    int failures = 0;
    for (size_t limit = 0; !succeeded && limit < 1 << 16; limit += 16) {
        struct fl_arena arena;
        struct fl_document doc;
        fl_arena_init(&arena, limit);
        fl_document_init(&doc, &arena, &LIMITS, FL_FORMAT_CHAPTERS_JSON);
        fl_status status = fl_chapters_json_parse(&json, &doc, &err);
        succeeded = status == FL_OK;
        if (!succeeded)
            assert_int_equal(status, FL_NO_MEMORY);
        if (!succeeded)
            assert_true(++failures && doc.row_count == 0 && err.text[0]);
        fl_arena_release(&arena);
    }
    assert_true(succeeded);
    assert_in_range(failures, 5, 1000); /* four texts and the row */
    fl_json_release(&json);
}

static void test_sniff(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool expected;
    } ROWS[] = {{"{\"chapters\":[]}", true},    {"{\"a\":1,\"chapters\":7}", true},
                {"{\"segments\":[]}", false},   {"{\"a\":{\"chapters\":[]}}", false},
                {"[{\"chapters\":[]}]", false}, {"\"chapters\"", false}};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct fl_json_text json;
        assert_int_equal(fl_json_open(&json, fl_slice_from(ROWS[i].text), NULL), FL_OK);
        bool found;
        assert_int_equal(fl_chapters_json_sniff(&json, &found, NULL), FL_OK);
        assert_int_equal(found, ROWS[i].expected);
        fl_json_release(&json);
    }
}

static const char RICH[] =
    "{\"version\":\"1.2.0\",\"author\":\"A\",\"chapters\":[\n"
    "{\"startTime\":0,\"title\":\"\\u00e9\",\"toc\":false,\"endTime\":1.5},\r\n"
    "{\"startTime\":168.25,\"title\":\"Two\",\"url\":\"https://example.org/\",\"img\":\"i\",\"other\":[1]},\n"
    "{\"startTime\":2e2,\"location\":{\"name\":\"x\",\"geo\":\"geo:1,2\",\"n\":[1.0,{}]}}]}";

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
    uint32_t seed = 12;
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
            const struct fl_chapter *row = &f.doc.chapters[i];
            assert_in_range(row->start_ms, 0, FL_TIME_LIMIT_MS);
            assert_true(row->end_ms == FL_END_NONE || row->end_ms >= row->start_ms);
            assert_non_null(row->title.ptr);
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
    end += sprintf(end, "{\"version\":\"1.2.0\",\"chapters\":[");
    for (int i = 0; i < COUNT; i++)
        end += sprintf(end, "%s\n{\"title\":\"t%d\",\"url\":7,\"startTime\":%d.001}", i ? "," : "", i, i);
    end += sprintf(end, "]}");
    struct fixture f;
    read_with(&f, fl_slice_range(text, end), &LIMITS);
    free(text);
    assert_int_equal(f.status, FL_OK);
    assert_int_equal(f.doc.row_count, COUNT);
    assert_int_equal(f.doc.warning_count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        char title[16];
        snprintf(title, sizeof title, "t%zu", i);
        assert_int_equal(f.doc.chapters[i].start_ms, i * 1000 + 1);
        assert_int_equal(f.doc.chapters[i].line, i + 2);
        assert_true(fl_slice_is(f.doc.chapters[i].title, title));
    }
    fl_arena_release(&f.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rich_document),
        cmocka_unit_test(test_members_may_come_first_or_last),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_location),
        cmocka_unit_test(test_unknown_members),
        cmocka_unit_test(test_long_unknown_name),
        cmocka_unit_test(test_many_unknown_names),
        cmocka_unit_test(test_duplicate_members),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_refused_documents),
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_sniff),
        cmocka_unit_test(test_every_prefix_is_refused),
        cmocka_unit_test(test_flipped_bytes),
        cmocka_unit_test(test_many_rows),
    };
    return cmocka_run_group_tests_name("chapters_json", tests, NULL, NULL);
}
