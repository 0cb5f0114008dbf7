/* fuzz_json.c - base/json.h against a reader of JSON written anew.
 *
 * Both must accept the same texts, and see the same values in them: types, names, texts, numbers, in the same
 * order. What is printed again is the same; every value stands on the line that is told. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/json_scan.h"
#include "base/json_write.h"
#include "base/utf8.h"
#include "fuzz.h"

enum { ARENA_BYTES = 64 << 20, LEVELS_MAX = 64 };

/* ---- the other reader: recursive, and as plain as RFC 8259 ---- */

struct reader {
    const char *at, *end, *begin;
    struct fl_json_text *json; /* the tree to compare with; NULL = only: is it JSON? */
    char *text;                /* room for one unescaped string */
};

static void skip_space(struct reader *r)
{
    while (r->at < r->end && strchr(" \t\r\n", *r->at) && *r->at)
        r->at++;
}

static bool take(struct reader *r, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(r->end - r->at) < length || memcmp(r->at, word, length) != 0)
        return false;
    r->at += length;
    return true;
}

static bool take_unit(struct reader *r, uint32_t *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        char c = r->at < r->end ? *r->at : ' ';
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit == 16)
            return false;
        *unit = *unit << 4 | digit;
    }
    return true;
}

static bool take_escape(struct reader *r, size_t *length)
{
    static const char LETTERS[] = "\"\\/bfnrt", MEANT[] = "\"\\/\b\f\n\r\t";
    uint32_t unit, low;
    const char *letter = r->at < r->end && *r->at ? strchr(LETTERS, *r->at) : NULL;
    if (letter) {
        r->at++;
        r->text[(*length)++] = MEANT[letter - LETTERS];
        return true;
    }
    if (!take(r, "u") || !take_unit(r, &unit) || unit == 0 || (unit >= 0xdc00 && unit < 0xe000))
        return false;
    if (unit >= 0xd800 && unit < 0xdc00) {
        if (!take(r, "\\u") || !take_unit(r, &low) || low < 0xdc00 || low >= 0xe000)
            return false;
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    }
    *length += fl_utf8_put(unit, r->text + *length);
    return true;
}

/* Unescaped into r->text. */
static bool take_string(struct reader *r, size_t *length)
{
    *length = 0;
    if (!take(r, "\""))
        return false;
    while (r->at < r->end && *r->at != '"') {
        if (take(r, "\\")) {
            if (!take_escape(r, length))
                return false;
        } else if ((unsigned char)*r->at < 0x20) {
            return false;
        } else {
            r->text[(*length)++] = *r->at++;
        }
    }
    return take(r, "\"");
}

static size_t take_digits(struct reader *r)
{
    const char *begin = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
        r->at++;
    return (size_t)(r->at - begin);
}

static bool take_number(struct reader *r)
{
    (void)take(r, "-");
    if (!take(r, "0") && take_digits(r) == 0)
        return false;
    if (take(r, ".") && take_digits(r) == 0)
        return false;
    if (take(r, "e") || take(r, "E")) {
        (void)(take(r, "+") || take(r, "-"));
        return take_digits(r) > 0;
    }
    return true;
}

static bool take_value(struct reader *r, const struct fl_json *seen, int depth);

static void check_string(const struct reader *r, const struct fl_json *seen, size_t length)
{
    if (!r->json)
        return;
    struct fl_slice text = fl_json_string(seen);
    FUZZ_CHECK(fl_json_type(seen) == FL_JSON_STRING && text.ptr && text.len == length &&
                   memcmp(text.ptr, r->text, length) == 0,
               "the text is '%.*s'", FL_ARGS(text));
}

static bool take_list(struct reader *r, const struct fl_json *seen, int depth, bool is_object)
{
    const struct fl_json *member = r->json ? fl_json_first(seen) : NULL;
    size_t length;
    const char *end = is_object ? "}" : "]";
    r->at++;
    if (depth >= LEVELS_MAX)
        return false;
    skip_space(r);
    bool is_empty = take(r, end);
    for (bool more = !is_empty; more; member = member ? fl_json_next(member) : NULL) {
        FUZZ_CHECK(!r->json || member, "a member is missing from the tree");
        skip_space(r);
        if (is_object) {
            if (!take_string(r, &length))
                return false;
            FUZZ_CHECK(!r->json || (strlen(fl_json_name(member)) == length &&
                                    memcmp(fl_json_name(member), r->text, length) == 0),
                       "the name is '%s'", fl_json_name(member));
            skip_space(r);
            if (!take(r, ":"))
                return false;
        }
        if (!take_value(r, member, depth + 1))
            return false;
        more = take(r, ",");
    }
    FUZZ_CHECK(!r->json || !member, "a member too many in the tree");
    return is_empty || take(r, end);
}

static void check_value(const struct reader *r, const struct fl_json *seen, enum fl_json_type type,
                        const char *begin)
{
    if (!r->json)
        return;
    FUZZ_CHECK(fl_json_type(seen) == type, "type %d instead of %d", fl_json_type(seen), type);
    struct fl_slice number = fl_json_number(r->json, seen);
    FUZZ_CHECK(type != FL_JSON_NUMBER || fl_slice_eq(number, fl_slice_range(begin, r->at)),
               "the number is '%.*s'", FL_ARGS(number));
    FUZZ_CHECK(type != FL_JSON_BOOL || fl_json_true(seen) == (*begin == 't'), "not so");
}

/* With the white space around it. seen is its place in the tree. */
static bool take_value(struct reader *r, const struct fl_json *seen, int depth)
{
    size_t length;
    skip_space(r);
    const char *begin = r->at;
    char c = r->at < r->end ? *r->at : '\0';
    if (r->json) {
        uint32_t line = 1;
        for (const char *at = r->begin; at < begin; at++)
            line += *at == '\n' || (*at == '\r' && at[1] != '\n');
        FUZZ_CHECK(fl_json_line(r->json, seen) == line, "line %u instead of %u", fl_json_line(r->json, seen),
                   line);
    }
    enum fl_json_type type = FL_JSON_NUMBER;
    bool is_good;
    if (c == '{' || c == '[') {
        type = c == '{' ? FL_JSON_OBJECT : FL_JSON_ARRAY;
        is_good = take_list(r, seen, depth, c == '{');
    } else if (c == '"') {
        type = FL_JSON_STRING;
        is_good = take_string(r, &length);
        if (is_good)
            check_string(r, seen, length);
    } else if (c == 't' || c == 'f') {
        type = FL_JSON_BOOL;
        is_good = take(r, "true") || take(r, "false");
    } else if (c == 'n') {
        type = FL_JSON_NULL;
        is_good = take(r, "null");
    } else {
        is_good = take_number(r);
    }
    if (is_good)
        check_value(r, seen, type, begin);
    skip_space(r);
    return is_good;
}

/* json NULL: is text JSON? Otherwise: is its tree right? */
static bool read_text(struct fl_slice text, struct fl_json_text *json)
{
    struct reader r = {.at = text.ptr, .begin = text.ptr, .end = text.ptr + text.len, .json = json};
    r.text = malloc(text.len + 4);
    FUZZ_CHECK(r.text, "no memory");
    bool is_good = take_value(&r, json ? json->root : NULL, 0) && r.at == r.end;
    free(r.text);
    return is_good;
}

/* ---- properties ---- */

/* Of the members with one name, the first is found. */
static void check_get(const struct fl_json *object)
{
    if (fl_json_type(object) != FL_JSON_OBJECT)
        return;
    for (const struct fl_json *member = fl_json_first(object); member; member = fl_json_next(member)) {
        const struct fl_json *found = fl_json_get(object, fl_json_name(member)),
                             *first = fl_json_first(object);
        while (strcmp(fl_json_name(first), fl_json_name(member)) != 0)
            first = fl_json_next(first);
        FUZZ_CHECK(found == first, "'%s' is another member", fl_json_name(member));
    }
}

static void check_print(const struct fl_json_text *json)
{
    struct fl_arena arena;
    struct fl_json_text again;
    struct fl_err err;
    fl_arena_init(&arena, ARENA_BYTES);
    struct fl_slice printed = fl_json_print(&arena, json->root);
    FUZZ_CHECK(printed.ptr && fuzz_is_text(printed), "printed as '%.*s'", FL_ARGS(printed));
    FUZZ_CHECK(read_text(printed, NULL), "printed as '%.*s'", FL_ARGS(printed));
    FUZZ_CHECK(fl_json_parse(&again, printed, &err) == FL_OK, "%s: '%.*s'", err.text, FL_ARGS(printed));
    struct fl_slice twice = fl_json_print(&arena, again.root);
    FUZZ_CHECK(fl_slice_eq(printed, twice), "'%.*s' is printed as '%.*s'", FL_ARGS(printed), FL_ARGS(twice));
    fl_json_release(&again);
    fl_arena_release(&arena);
}

/* The writer's own text for raw JSON is the same JSON, on one line that cannot steer a terminal. */
static void check_raw(const struct fl_json_text *json, struct fl_slice text)
{
    char *line = NULL;
    size_t line_bytes = 0;
    struct fl_json_writer writer;
    struct fl_json_text again;
    struct fl_arena arena;
    FILE *out = open_memstream(&line, &line_bytes);
    FUZZ_CHECK(out, "no memory");
    fl_json_write_init(&writer, out);
    fl_json_write_raw(&writer, text);
    fclose(out);
    FUZZ_CHECK(fuzz_is_printable((struct fl_slice){line, line_bytes}), "raw: %s", line);
    FUZZ_CHECK(fl_json_parse(&again, (struct fl_slice){line, line_bytes}, NULL) == FL_OK, "raw: %s", line);
    fl_arena_init(&arena, ARENA_BYTES);
    FUZZ_CHECK(fl_slice_eq(fl_json_print(&arena, json->root), fl_json_print(&arena, again.root)), "raw: %s",
               line);
    fl_arena_release(&arena);
    fl_json_release(&again);
    free(line);
}

static void check_writer(struct fl_slice text)
{
    char *line = NULL;
    size_t line_bytes = 0;
    struct fl_json_writer writer;
    struct fl_json_text json;
    struct fl_err err;
    FILE *out = open_memstream(&line, &line_bytes);
    FUZZ_CHECK(out, "no memory");
    fl_json_write_init(&writer, out);
    fl_json_write_string(&writer, text);
    fl_json_write_end_line(&writer);
    fclose(out);
    struct fl_slice written = {line, line_bytes - 1};
    FUZZ_CHECK(line[line_bytes - 1] == '\n' && fuzz_is_printable(written), "written: %s", line);
    if (fuzz_is_text(text)) {
        FUZZ_CHECK(fl_json_parse(&json, written, &err) == FL_OK, "%s: %s", err.text, line);
        FUZZ_CHECK(fl_slice_eq(fl_json_string(json.root), text), "written: %s", line);
        fl_json_release(&json);
    }
    free(line);
}

/* A number of seconds, exactly: the same as by long double, where that has digits enough. */
static void check_seconds(struct fl_slice text)
{
    int64_t ms = 0;
    bool is_number = text.len > 0 && fl_json_scan_number_bytes(text) == text.len;
    bool is_time = fl_slice_seconds_to_ms(text, &ms);
    FUZZ_CHECK(!is_time || is_number, "a time of '%.*s'", FL_ARGS(text));
    if (!is_number || text.len > 15)
        return;
    char copy[16];
    snprintf(copy, sizeof copy, "%.*s", FL_ARGS(text));
    long double exact = strtold(copy, NULL) * 1000;
    FUZZ_CHECK(is_time || exact > 0.99e15L || exact < -0.99e15L, "no time of '%s'", copy);
    FUZZ_CHECK(!is_time || ((long double)ms - exact <= 0.501L && (long double)ms - exact >= -0.501L),
               "%lld ms of '%s'", (long long)ms, copy);
}

void fuzz_json(struct fl_slice input)
{
    struct fl_json_text json;
    struct fl_err err;
    check_writer(input);
    check_seconds(input);
    if (!fuzz_is_text(input) || fl_slice_starts(input, "\xef\xbb\xbf"))
        return; /* the caller's duty */
    char *exact = fuzz_exact(input);
    struct fl_slice text = {exact, input.len};
    fl_status status = fl_json_parse(&json, text, &err);
    bool is_json = read_text(text, NULL);
    FUZZ_CHECK((status == FL_OK) == is_json, "%s; the other reader says %s", status ? err.text : "accepted",
               is_json ? "JSON" : "no JSON");
    if (status == FL_OK) {
        FUZZ_CHECK(read_text(text, &json), "the second look differs");
        check_get(json.root);
        check_print(&json);
        check_raw(&json, text);
        fl_json_release(&json);
    } else {
        fuzz_check_err(status, &err);
    }
    free(exact);
}
