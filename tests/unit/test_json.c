/* test_json.c - the strict scanner, places and lines of values, exact numbers, printing; then hostile input:
 * every prefix, flipped bytes, depth, size. Texts are copied to memory of exactly their length, so that a
 * sanitizer sees every byte read behind the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/slice.h"

static char *exact_copy(struct fl_slice text)
{
    char *copy = malloc(text.len ? text.len : 1);
    assert_non_null(copy);
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    return copy;
}

static void parse(struct fl_json_text *json, struct fl_slice text)
{
    struct fl_err err = {0};
    if (fl_json_parse(json, text, &err) != FL_OK)
        fail_msg("%.*s: %s", FL_ARGS(text), err.text);
    assert_non_null(json->root);
}

static void assert_slice(struct fl_slice actual, const char *expected)
{
    if (!fl_slice_is(actual, expected))
        fail_msg("\"%.*s\" is not \"%s\"", FL_ARGS(actual), expected);
    assert_non_null(actual.ptr);
}

static void assert_printed(const struct fl_json *value, const char *expected)
{
    struct fl_arena arena;
    fl_arena_init(&arena, 1 << 20);
    assert_slice(fl_json_print(&arena, value), expected);
    fl_arena_release(&arena);
}

static void test_accepts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum fl_json_type type;
        const char *printed;
    } ROWS[] = {
        {"{}", FL_JSON_OBJECT, "{}"},
        {" \t\r\n[ ] \n", FL_JSON_ARRAY, "[]"},
        {"true", FL_JSON_BOOL, "true"},
        {"false", FL_JSON_BOOL, "false"},
        {"null", FL_JSON_NULL, "null"},
        {"0", FL_JSON_NUMBER, "0"},
        {"-0", FL_JSON_NUMBER, "-0"},
        {"-0.0e-0", FL_JSON_NUMBER, "-0.0e-0"},
        {"12E+3", FL_JSON_NUMBER, "12E+3"},
        {"\"\"", FL_JSON_STRING, "\"\""},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", FL_JSON_STRING, "\"\\\"\\\\/\\b\\f\\n\\r\\t\""},
        {"\"\\u00e9\\u20AC\\ud83D\\uDe00\"", FL_JSON_STRING, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"\"\\u0001\x7f\"", FL_JSON_STRING, "\"\\u0001\\u007f\""},
        {"[1,\"a\" , [ {\"b\" : null , \"\":true}], -2.50]", FL_JSON_ARRAY,
         "[1,\"a\",[{\"b\":null,\"\":true}],-2.50]"},
        {"{\"a\":{\"a\":{\"a\":[[],{}]}},\"a\":1}", FL_JSON_OBJECT,
         "{\"a\":{\"a\":{\"a\":[[],{}]}},\"a\":1}"},
        {"{\"k\\\"\\n\":1}", FL_JSON_OBJECT, "{\"k\\\"\\n\":1}"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct fl_json_text json;
        char *copy = exact_copy(fl_slice_from(ROWS[i].text));
        parse(&json, (struct fl_slice){copy, strlen(ROWS[i].text)});
        assert_int_equal(fl_json_type(json.root), ROWS[i].type);
        assert_printed(json.root, ROWS[i].printed);
        fl_json_release(&json);
        assert_null(json.root);
        free(copy);
    }
}

static void test_refuses(void **state)
{
    (void)state;
    static const struct {
        struct fl_slice text;
        const char *error;
    } ROWS[] = {
        {{NULL, 0}, "line 1, byte 1: the text is empty, a value expected"},
        {FL_SLICE(""), "line 1, byte 1: the text is empty, a value expected"},
        {FL_SLICE(" \n "), "line 2, byte 2: the text is empty, a value expected"},
        {FL_SLICE("\xef\xbb\xbf{}"), "line 1, byte 1: a value expected, found byte 0xEF"},
        {FL_SLICE("\0"), "line 1, byte 1: a value expected, found byte 0x00"},
        {FL_SLICE("{}\0"), "line 1, byte 3: bytes after the document"},
        {FL_SLICE("{} {}"), "line 1, byte 4: bytes after the document"},
        {FL_SLICE("1 2"), "line 1, byte 3: bytes after the document"},
        {FL_SLICE("nullx"), "line 1, byte 5: bytes after the document"},
        {FL_SLICE("[1]]"), "line 1, byte 4: bytes after the document"},
        {FL_SLICE("nul"), "line 1, byte 1: a value expected, found 'n'"},
        {FL_SLICE("True"), "line 1, byte 1: a value expected, found 'T'"},
        {FL_SLICE("NaN"), "line 1, byte 1: a value expected, found 'N'"},
        {FL_SLICE("[Infinity]"), "line 1, byte 2: a value expected, found 'I'"},
        {FL_SLICE("'a'"), "line 1, byte 1: a value expected, found '''"},
        {FL_SLICE("// c\n{}"), "line 1, byte 1: a value expected, found '/'"},
        {FL_SLICE("\f{}"), "line 1, byte 1: a value expected, found byte 0x0C"},
        {FL_SLICE("["), "line 1, byte 2: the text ends inside an array, a value expected"},
        {FL_SLICE("[1"), "line 1, byte 3: the text ends inside an array, ',' or ']' expected"},
        {FL_SLICE("[1,]"), "line 1, byte 4: a value expected, found ']'"},
        {FL_SLICE("[,1]"), "line 1, byte 2: a value expected, found ','"},
        {FL_SLICE("[1 2]"), "line 1, byte 4: ',' or ']' expected, found '2'"},
        {FL_SLICE("[1}"), "line 1, byte 3: ',' or ']' expected, found '}'"},
        {FL_SLICE("{"), "line 1, byte 2: the text ends inside an object, a name in quotes expected"},
        {FL_SLICE("[{]"), "line 1, byte 3: a name in quotes expected, found ']'"},
        {FL_SLICE("{a:1}"), "line 1, byte 2: a name in quotes expected, found 'a'"},
        {FL_SLICE("{1:1}"), "line 1, byte 2: a name in quotes expected, found '1'"},
        {FL_SLICE("{\"a\"}"), "line 1, byte 5: ':' expected, found '}'"},
        {FL_SLICE("{\"a\" 1}"), "line 1, byte 6: ':' expected, found '1'"},
        {FL_SLICE("{\"a\""), "line 1, byte 5: the text ends inside an object, ':' expected"},
        {FL_SLICE("{\"a\":}"), "line 1, byte 6: a value expected, found '}'"},
        {FL_SLICE("{\"a\":"), "line 1, byte 6: the text ends inside an object, a value expected"},
        {FL_SLICE("{\"a\":1,}"), "line 1, byte 8: a name in quotes expected, found '}'"},
        {FL_SLICE("{\"a\":1]"), "line 1, byte 7: ',' or '}' expected, found ']'"},
        {FL_SLICE("{\n  \"a\": 1,\n  \"b\": +1\n}"), "line 3, byte 8: a value expected, found '+'"},
        {FL_SLICE("01"), "line 1, byte 1: a number with a leading zero"},
        {FL_SLICE("[-01.5]"), "line 1, byte 2: a number with a leading zero"},
        {FL_SLICE("-"), "line 1, byte 1: a number without digits"},
        {FL_SLICE("[-a]"), "line 1, byte 2: a number without digits"},
        {FL_SLICE(".5"), "line 1, byte 1: a value expected, found '.'"},
        {FL_SLICE("1."), "line 1, byte 1: a number without digits after its point"},
        {FL_SLICE("1.e3"), "line 1, byte 1: a number without digits after its point"},
        {FL_SLICE("1e"), "line 1, byte 1: a number without digits in its exponent"},
        {FL_SLICE("1e+"), "line 1, byte 1: a number without digits in its exponent"},
        {FL_SLICE("0x10"), "line 1, byte 2: bytes after the document"},
        {FL_SLICE("[1e2.5]"), "line 1, byte 5: ',' or ']' expected, found '.'"},
        {FL_SLICE("\"a"), "line 1, byte 1: the string that begins here has no end"},
        {FL_SLICE("{\"a"), "line 1, byte 2: the string that begins here has no end"},
        {FL_SLICE("\"a\nb\""), "line 1, byte 3: control character 0x0A in a string"},
        {FL_SLICE("\"a\0b\""), "line 1, byte 3: control character 0x00 in a string"},
        {FL_SLICE("\"a\tb\""), "line 1, byte 3: control character 0x09 in a string"},
        {FL_SLICE("{\"a\x1f\":1}"), "line 1, byte 4: control character 0x1F in a string"},
        {FL_SLICE("\"\\x\""), "line 1, byte 2: unknown escape in a string"},
        {FL_SLICE("\"\\\0\""), "line 1, byte 2: unknown escape in a string"},
        {FL_SLICE("\"\\"), "line 1, byte 2: unknown escape in a string"},
        {FL_SLICE("\"\\u12\""), "line 1, byte 2: \\u without four hexadecimal digits"},
        {FL_SLICE("\"\\u12g4\""), "line 1, byte 2: \\u without four hexadecimal digits"},
        {FL_SLICE("\"\\u123"), "line 1, byte 2: \\u without four hexadecimal digits"},
        {FL_SLICE("\"\\u00\0"
                  "0\""),
         "line 1, byte 2: \\u without four hexadecimal digits"},
        {FL_SLICE("\"ab\\u0000\""), "line 1, byte 4: \\u0000 in a string: U+0000 cannot be stored"},
        {FL_SLICE("{\"\\u0000\":1}"), "line 1, byte 3: \\u0000 in a string: U+0000 cannot be stored"},
        {FL_SLICE("\"\\ud800\""), "line 1, byte 2: surrogate \\uD800 without its other half"},
        {FL_SLICE("\"\\uD83Dx\""), "line 1, byte 2: surrogate \\uD83D without its other half"},
        {FL_SLICE("\"\\ud83d\\n\""), "line 1, byte 2: surrogate \\uD83D without its other half"},
        {FL_SLICE("\"\\ud83d\\ud83d\""), "line 1, byte 2: surrogate \\uD83D without its other half"},
        {FL_SLICE("\"\\ude00\\ud83d\""), "line 1, byte 2: surrogate \\uDE00 without its other half"},
        {FL_SLICE("\"\\ud83d\\ude0"), "line 1, byte 2: surrogate \\uD83D without its other half"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct fl_json_text json;
        struct fl_err err = {0};
        char *copy = exact_copy(ROWS[i].text);
        struct fl_slice text = {ROWS[i].text.ptr ? copy : NULL, ROWS[i].text.len};
        assert_int_equal(fl_json_parse(&json, text, &err), FL_INVALID);
        assert_int_equal(err.code, FL_INVALID);
        assert_string_equal(err.text, ROWS[i].error);
        assert_null(json.root);
        assert_int_equal(fl_json_parse(&json, text, NULL), FL_INVALID);
        fl_json_release(&json); /* harmless after a failure */
        free(copy);
    }
}

/* Opens `depth` levels, objects where bit (level % 8) of pattern is set, around a 1. */
static size_t write_nested(char *out, int depth, unsigned pattern)
{
    char *at = out;
    for (int i = 0; i < depth; i++)
        at = stpcpy(at, pattern >> (i % 8) & 1 ? "{\"a\":" : "[");
    *at++ = '1';
    for (int i = depth - 1; i >= 0; i--)
        *at++ = pattern >> (i % 8) & 1 ? '}' : ']';
    return (size_t)(at - out);
}

static void test_depth(void **state)
{
    (void)state;
    static const unsigned PATTERNS[] = {0x00, 0xff, 0xaa, 0x55, 0x0f};
    char text[1024];
    for (size_t i = 0; i < sizeof PATTERNS / sizeof *PATTERNS; i++) {
        for (int depth = 63; depth <= 66; depth++) {
            struct fl_json_text json;
            struct fl_err err = {0};
            size_t length = write_nested(text, depth, PATTERNS[i]);
            fl_status status = fl_json_parse(&json, (struct fl_slice){text, length}, &err);
            assert_int_equal(status, depth <= FL_JSON_DEPTH_LIMIT ? FL_OK : FL_INVALID);
            if (status != FL_OK) {
                assert_non_null(strstr(err.text, "nested deeper than 64 levels"));
                continue;
            }
            text[length] = '\0';
            assert_printed(json.root, text);
            fl_json_release(&json);
        }
    }
}

/* A file of the largest size that only opens levels. */
static void test_endless_nesting(void **state)
{
    (void)state;
    static const struct {
        const char *piece, *error;
    } ROWS[] = {{"[", "line 1, byte 65: nested deeper than 64 levels"},
                {"{\"a\":", "line 1, byte 321: nested deeper than 64 levels"},
                {"\n[", "line 66, byte 1: nested deeper than 64 levels"}};
    const size_t size_bytes = 64 << 20;
    char *text = malloc(size_bytes);
    assert_non_null(text);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        size_t piece_bytes = strlen(ROWS[i].piece);
        for (size_t at = 0; at + piece_bytes <= size_bytes; at += piece_bytes)
            memcpy(text + at, ROWS[i].piece, piece_bytes);
        struct fl_json_text json;
        struct fl_err err = {0};
        assert_int_equal(fl_json_parse(&json, (struct fl_slice){text, size_bytes}, &err), FL_INVALID);
        assert_string_equal(err.text, ROWS[i].error);
    }
    free(text);
}

/* The tree costs far more than the text: its size has a limit of its own. */
static void test_too_many_values(void **state)
{
    (void)state;
    const size_t count = 4000000; /* and the array itself makes one more */
    char *text = malloc(2 * count + 1);
    assert_non_null(text);
    for (size_t i = 0; i < count; i++)
        memcpy(text + 1 + 2 * i, "0,", 2);
    text[0] = '[';
    text[2 * count] = ']';
    struct fl_json_text json;
    struct fl_err err = {0};
    assert_int_equal(fl_json_parse(&json, (struct fl_slice){text, 2 * count + 1}, &err), FL_INVALID);
    assert_string_equal(err.text, "line 1, byte 8000000: more than 4000000 values");
    free(text);
}

static void test_lines(void **state)
{
    (void)state;
    struct fl_json_text json;
    parse(&json, FL_SLICE("\n[1,\r\n2,\r3,\n\r4,\r\r\n5, 6,\"\\n\",\n[\n7]]\n"));
    static const uint32_t LINES[] = {2, 3, 4, 6, 8, 8, 8, 9};
    const struct fl_json *values[8], *at = fl_json_first(json.root);
    for (size_t i = 0; i < 8; i++, at = fl_json_next(at)) {
        assert_non_null(at);
        values[i] = at;
        assert_int_equal(fl_json_line(&json, at), LINES[i]);
    }
    assert_null(at);
    assert_int_equal(fl_json_line(&json, fl_json_first(values[7])), 10);
    for (size_t i = 8; i-- > 0;)
        assert_int_equal(fl_json_line(&json, values[i]), LINES[i]);
    assert_int_equal(fl_json_line(&json, values[6]), LINES[6]);
    assert_int_equal(fl_json_line(&json, json.root), 2);
    fl_json_release(&json);
}

static void test_members(void **state)
{
    (void)state;
    struct fl_json_text json;
    parse(&json, FL_SLICE("{\"a\":1,\"A\":2,\"\":3,\"a\":4,\"b\\u00e9\":[true,false,null]}"));
    const struct fl_json *a = fl_json_get(json.root, "a");
    assert_slice(fl_json_number(&json, a), "1");
    assert_slice(fl_json_number(&json, fl_json_get(json.root, "A")), "2");
    assert_slice(fl_json_number(&json, fl_json_get(json.root, "")), "3");
    assert_null(fl_json_get(json.root, "c"));
    assert_null(fl_json_get(NULL, "a"));
    assert_null(fl_json_get(a, "a"));
    assert_ptr_equal(fl_json_first(json.root), a);
    assert_string_equal(fl_json_name(fl_json_next(a)), "A");
    assert_string_equal(fl_json_name(json.root), "");
    const struct fl_json *list = fl_json_get(json.root, "b\xc3\xa9"), *at = fl_json_first(list);
    assert_null(fl_json_get(list, ""));
    assert_string_equal(fl_json_name(at), "");
    assert_true(fl_json_true(at));
    assert_false(fl_json_true(fl_json_next(at)));
    assert_false(fl_json_true(a));
    assert_null(fl_json_string(at).ptr);
    assert_null(fl_json_string(NULL).ptr);
    assert_null(fl_json_number(&json, at).ptr);
    assert_null(fl_json_number(&json, NULL).ptr);
    assert_null(fl_json_first(at));
    assert_null(fl_json_next(fl_json_next(fl_json_next(at))));
    fl_json_release(&json);
}

static void test_strings(void **state)
{
    (void)state;
    struct fl_json_text json;
    parse(&json, FL_SLICE("[\"\",\"a\\u00e9\\ud83d\\ude00\\\\\\/\",\"\\uD834\\uDD1E\\uffff\"]"));
    const struct fl_json *at = fl_json_first(json.root);
    assert_slice(fl_json_string(at), "");
    at = fl_json_next(at);
    assert_slice(fl_json_string(at), "a\xc3\xa9\xf0\x9f\x98\x80\\/");
    assert_slice(fl_json_string(fl_json_next(at)), "\xf0\x9d\x84\x9e\xef\xbf\xbf");
    fl_json_release(&json);
}

/* As long as it likes, as written, and never through a double. */
static void test_numbers_are_exact(void **state)
{
    (void)state;
    static const char *const NUMBERS[] = {
        "0.1",
        "1e400",
        "-1E-400",
        "9007199254740993",
        "100000000000000000000000000000000000000000000000000000000000",
        "1000000000000000000000000000000000000000000000000000000000001",
        "0.1234567890123456789012345678901234567890123456789012345678901234567890",
        "1.00000000000000000000000000000000000000000000000000000000000000000000e-5"};
    char text[1024] = "{\"n\":[";
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++)
        sprintf(text + strlen(text), "%s%s", i ? " ,\n" : "", NUMBERS[i]);
    strcat(text, "],\"s\":\"\\u0031\"}");
    struct fl_json_text json;
    parse(&json, fl_slice_from(text));
    const struct fl_json *list = fl_json_get(json.root, "n"), *at = fl_json_first(list);
    char printed[1024] = "[";
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++, at = fl_json_next(at)) {
        struct fl_slice number = fl_json_number(&json, at);
        assert_slice(number, NUMBERS[i]);
        assert_true(number.ptr > text && number.ptr < text + sizeof text); /* borrowed */
        assert_int_equal(fl_json_line(&json, at), i + 1);
        sprintf(printed + strlen(printed), "%s%s", i ? "," : "", NUMBERS[i]);
    }
    assert_null(at);
    assert_printed(list, strcat(printed, "]"));
    assert_slice(fl_json_string(fl_json_get(json.root, "s")), "1");
    fl_json_release(&json);
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++) { /* alone, with nothing behind it */
        char *copy = exact_copy(fl_slice_from(NUMBERS[i]));
        parse(&json, (struct fl_slice){copy, strlen(NUMBERS[i])});
        assert_slice(fl_json_number(&json, json.root), NUMBERS[i]);
        assert_printed(json.root, NUMBERS[i]);
        fl_json_release(&json);
        free(copy);
    }
}

static void test_seconds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } ROWS[] = {
        {"0", 0},
        {"-0", 0},
        {"0.0005", 1},
        {"0.00049999999999999999999999", 0},
        {"1.0004999999999999999999", 1000},
        {"1.0005", 1001},
        {"1e2", 100000},
        {"1E-3", 1},
        {"4.35", 4350},
        {"0.0015", 2},
        {"1.0025", 1003},
        {"5e-4", 1},
        {"4.9e-4", 0},
        {"359999.9995", 360000000},
        {"1.00049999999999999999999999999999999999999999999999999999999999999999999999999999", 1000},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct fl_json_text json;
        int64_t ms = -1;
        parse(&json, fl_slice_from(ROWS[i].text));
        assert_true(fl_slice_seconds_to_ms(fl_json_number(&json, json.root), &ms));
        assert_int_equal(ms, ROWS[i].ms);
        fl_json_release(&json);
    }
}

static void test_print_without_memory(void **state)
{
    (void)state;
    struct fl_json_text json;
    struct fl_arena arena;
    fl_arena_init(&arena, 8);
    parse(&json, FL_SLICE("[\"longer than eight bytes\"]"));
    assert_null(fl_json_print(&arena, json.root).ptr);
    fl_json_release(&json);
    fl_arena_release(&arena);
}

static const char RICH[] =
    "{\r\n  \"version\": \"1.2.0\", \"n\": [0, -1.5e+10, 1E-3, 0.0005],\n"
    "  \"s\": [\"\", \"\\u00e9\\ud83d\\ude00\\n\", \"\xc3\xa9\xf0\x9f\x98\x80\"],\r"
    "  \"o\": {\"t\": true, \"f\": false, \"z\": null, \"e\": {}, \"a\": [[[]]]},\n"
    "  \"l\": 0.1234567890123456789012345678901234567890123456789012345678901234567\n}";

static void test_every_prefix_is_refused(void **state)
{
    (void)state;
    for (size_t length = 0; length < sizeof RICH - 1; length++) {
        struct fl_json_text json;
        struct fl_err err = {0};
        char *copy = exact_copy((struct fl_slice){RICH, length});
        assert_int_equal(fl_json_parse(&json, (struct fl_slice){copy, length}, &err), FL_INVALID);
        assert_int_equal(strncmp(err.text, "line ", 5), 0);
        free(copy);
    }
    struct fl_json_text json;
    parse(&json, FL_SLICE(RICH));
    fl_json_release(&json);
}

/* What is accepted prints to something that is accepted and prints to itself. */
static void check_accepted(const struct fl_json_text *json, struct fl_arena *arena)
{
    struct fl_json_text again;
    struct fl_slice printed = fl_json_print(arena, json->root);
    assert_non_null(printed.ptr);
    parse(&again, printed);
    assert_true(fl_slice_eq(fl_json_print(arena, again.root), printed));
    fl_json_release(&again);
}

static void test_flipped_bytes(void **state)
{
    (void)state;
    struct fl_arena arena;
    fl_arena_init(&arena, 1 << 20);
    char *text = malloc(sizeof RICH - 1);
    assert_non_null(text);
    uint32_t seed = 39;
    int accepted = 0, rounds = 20000;
    for (int round = 0; round < rounds; round++) {
        memcpy(text, RICH, sizeof RICH - 1);
        for (int flips = 1 + round % 3; flips > 0; flips--) {
            seed = seed * 1664525 + 1013904223;
            size_t at = (seed >> 8) % (sizeof RICH - 1);
            seed = seed * 1664525 + 1013904223;
            if (round & 1)
                text[at] = (char)(text[at] ^ (1 << (seed >> 29)));
            else
                text[at] = "{}[]:,\"\\u0-.eE1 \n"[(seed >> 8) % 18];
        }
        struct fl_json_text json;
        struct fl_err err = {0};
        fl_status status = fl_json_parse(&json, (struct fl_slice){text, sizeof RICH - 1}, &err);
        assert_true(status == FL_OK || status == FL_INVALID);
        if (status != FL_OK)
            continue;
        accepted++;
        check_accepted(&json, &arena);
        fl_json_release(&json);
        fl_arena_release(&arena);
    }
    assert_in_range(accepted, rounds / 20, rounds - rounds / 20); /* both ways were taken often */
    free(text);
}

static void test_big_array(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    char *text = malloc(COUNT * 12 + 2), *end = text;
    assert_non_null(text);
    *end++ = '[';
    for (int i = 0; i < COUNT; i++)
        end += sprintf(end, "%s%d.5", i ? ",\n" : "", i);
    *end++ = ']';
    struct fl_json_text json;
    parse(&json, fl_slice_range(text, end));
    int i = 0;
    for (const struct fl_json *at = fl_json_first(json.root); at; at = fl_json_next(at), i++) {
        int64_t ms;
        assert_true(fl_slice_seconds_to_ms(fl_json_number(&json, at), &ms));
        assert_int_equal(ms, i * INT64_C(1000) + 500);
        assert_int_equal(fl_json_line(&json, at), i + 1);
    }
    assert_int_equal(i, COUNT);
    fl_json_release(&json);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_endless_nesting),
        cmocka_unit_test(test_too_many_values),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_numbers_are_exact),
        cmocka_unit_test(test_seconds),
        cmocka_unit_test(test_print_without_memory),
        cmocka_unit_test(test_every_prefix_is_refused),
        cmocka_unit_test(test_flipped_bytes),
        cmocka_unit_test(test_big_array),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
