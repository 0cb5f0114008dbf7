/* json.c - a strict scanner in front of cJSON, and the tree behind it.
 *
 * Happy path: scan walks the text once, without recursion, refuses what RFC 8259 refuses and what Postgres
 * could not store, and notes where each value begins, in document order. cJSON then builds the tree, and one
 * walk over it in the same order gives each node its place. Two fields of cJSON that hold numbers as int and
 * double are never read as numbers here, so they carry the place instead:
 *   valueint      offset of the value in the text (the scanner refuses a text beyond INT_MAX)
 *   valuestring   of a number: its text, borrowed (marked cJSON_IsReference, so cJSON does not free it)
 *   valuedouble   of a number: the length of that text
 * Failure modes: text that is not strict JSON, too deep or with too many values (FL_INVALID, with line and
 * byte; bytes count from 1 within their line); no memory; a cJSON that sees another tree than the scanner did
 * (FL_FAILED). cJSON notes the place of its last error in a global of its own: nobody reads it, so parsing on
 * several threads at once is harmless. */
#include "base/json.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json_write.h"

enum {
    VALUE_LIMIT = 4000000,      /* a node of cJSON takes some 100 bytes: this bounds the tree, not the file */
    CJSON_NUMBER_BYTES = 60,    /* releases of cJSON up to 1.7.18 cut longer numbers at 63 */
    FIRST_OFFSET_CAPACITY = 256 /* then doubled */
};

enum expectation { A_VALUE, A_VALUE_OR_END, A_NAME, A_NAME_OR_END, A_SEPARATOR, NOTHING };

struct scanner {
    const char *begin, *at, *end;
    enum expectation expect;
    unsigned depth;     /* open objects and arrays */
    uint64_t is_object; /* bit d: the one opened at depth d is an object */
    uint32_t *offsets;  /* of each value, in document order */
    size_t count, capacity;
    bool has_long_number;
    struct fl_err *err;
};

_Static_assert(FL_JSON_DEPTH_LIMIT <= 64, "is_object has one bit for each level");

/* LF, CRLF and a lone CR each end a line, as everywhere (slice.h). A CR and its LF count where the LF is, so
 * that the count of a stretch depends on nothing but its two ends, and may be added or taken away. */
static uint32_t count_line_ends(struct fl_slice text, size_t from, size_t to)
{
    uint32_t count = 0;
    for (size_t i = from; i < to; i++) {
        char c = text.ptr[i];
        if (c == '\n' || (c == '\r' && (i + 1 == text.len || text.ptr[i + 1] != '\n')))
            count++;
    }
    return count;
}

__attribute__((format(printf, 3, 4))) static fl_status refuse(const struct scanner *s, const char *at,
                                                              const char *format, ...)
{
    char rule[128];
    va_list args;
    va_start(args, format);
    vsnprintf(rule, sizeof rule, format, args);
    va_end(args);
    struct fl_slice text = {s->begin, (size_t)(s->end - s->begin)};
    uint32_t line = 1 + count_line_ends(text, 0, (size_t)(at - s->begin));
    const char *line_begin = at;
    while (line_begin > s->begin && line_begin[-1] != '\n' && line_begin[-1] != '\r')
        line_begin--;
    return fl_err_set(s->err, FL_INVALID, "line %" PRIu32 ", byte %zu: %s", line,
                      (size_t)(at - line_begin) + 1, rule);
}

static bool in_object(const struct scanner *s)
{
    return s->depth && s->is_object >> (s->depth - 1) & 1;
}

static fl_status refuse_found(const struct scanner *s, const char *expected)
{
    if (s->at == s->end && s->depth == 0)
        return refuse(s, s->at, "the text is empty, %s expected", expected);
    if (s->at == s->end)
        return refuse(s, s->at, "the text ends inside an %s, %s expected", in_object(s) ? "object" : "array",
                      expected);
    unsigned char found = (unsigned char)*s->at;
    if (found > 0x20 && found < 0x7f)
        return refuse(s, s->at, "%s expected, found '%c'", expected, found);
    return refuse(s, s->at, "%s expected, found byte 0x%02X", expected, found);
}

static void skip_space(struct scanner *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t'))
        s->at++;
}

static fl_status note_value(struct scanner *s)
{
    if (s->count == VALUE_LIMIT)
        return refuse(s, s->at, "more than %d values", VALUE_LIMIT);
    if (s->count == s->capacity) {
        size_t wanted = s->capacity ? s->capacity * 2 : FIRST_OFFSET_CAPACITY;
        uint32_t *moved = realloc(s->offsets, wanted * sizeof *moved);
        if (!moved)
            return fl_err_set(s->err, FL_NO_MEMORY, "no memory for the places of JSON values");
        s->offsets = moved;
        s->capacity = wanted;
    }
    s->offsets[s->count++] = (uint32_t)(s->at - s->begin);
    return FL_OK;
}

static void end_value(struct scanner *s)
{
    s->expect = s->depth ? A_SEPARATOR : NOTHING;
}

static fl_status open_level(struct scanner *s, bool is_object)
{
    if (s->depth == FL_JSON_DEPTH_LIMIT)
        return refuse(s, s->at, "nested deeper than %d levels", FL_JSON_DEPTH_LIMIT);
    uint64_t bit = UINT64_C(1) << s->depth++;
    s->is_object = is_object ? s->is_object | bit : s->is_object & ~bit;
    s->expect = is_object ? A_NAME_OR_END : A_VALUE_OR_END;
    s->at++;
    return FL_OK;
}

static fl_status close_level(struct scanner *s)
{
    s->depth--;
    s->at++;
    end_value(s);
    return FL_OK;
}

static bool read_hex4(const char *at, const char *end, unsigned *unit)
{
    if (end - at < 4)
        return false;
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        static const char DIGITS[] = "0123456789abcdef0123456789ABCDEF";
        const char *digit = memchr(DIGITS, at[i], sizeof DIGITS - 1);
        if (!digit)
            return false;
        *unit = *unit << 4 | (unsigned)((digit - DIGITS) & 0xf);
    }
    return true;
}

/* at stands on the backslash; moves behind the escape. */
static fl_status scan_escape(struct scanner *s)
{
    const char *at = s->at;
    unsigned unit, low;
    if (s->end - at >= 2 && at[1] != '\0' && strchr("\"\\/bfnrt", at[1])) {
        s->at += 2;
        return FL_OK;
    }
    if (s->end - at < 2 || at[1] != 'u')
        return refuse(s, at, "unknown escape in a string");
    if (!read_hex4(at + 2, s->end, &unit))
        return refuse(s, at, "\\u without four hexadecimal digits");
    if (unit == 0)
        return refuse(s, at, "\\u0000 in a string: U+0000 cannot be stored");
    s->at += 6;
    if (unit < 0xd800 || unit > 0xdfff)
        return FL_OK;
    bool is_pair = unit <= 0xdbff && s->end - s->at >= 6 && s->at[0] == '\\' && s->at[1] == 'u' &&
                   read_hex4(s->at + 2, s->end, &low) && low >= 0xdc00 && low <= 0xdfff;
    if (!is_pair)
        return refuse(s, at, "surrogate \\u%04X without its other half", unit);
    s->at += 6;
    return FL_OK;
}

/* at stands on the opening quote; moves behind the closing one. */
static fl_status scan_string(struct scanner *s)
{
    const char *begin = s->at++;
    for (;;) {
        while (s->at < s->end && (unsigned char)*s->at >= 0x20 && *s->at != '"' && *s->at != '\\')
            s->at++;
        if (s->at == s->end)
            return refuse(s, begin, "the string that begins here has no end");
        if (*s->at == '"')
            break;
        if (*s->at != '\\')
            return refuse(s, s->at, "control character 0x%02X in a string", (unsigned)*s->at);
        fl_status status = scan_escape(s);
        if (status != FL_OK)
            return status;
    }
    s->at++;
    return FL_OK;
}

static bool starts_number(char first)
{
    return first == '-' || (first >= '0' && first <= '9');
}

static bool skip_digits(struct scanner *s)
{
    const char *begin = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return s->at > begin;
}

static bool skip_one_of(struct scanner *s, char a, char b)
{
    bool found = s->at < s->end && (*s->at == a || *s->at == b);
    if (found)
        s->at++;
    return found;
}

static fl_status scan_number(struct scanner *s)
{
    const char *begin = s->at;
    skip_one_of(s, '-', '-');
    const char *whole = s->at;
    if (!skip_digits(s))
        return refuse(s, begin, "a number without digits");
    if (*whole == '0' && s->at - whole > 1)
        return refuse(s, begin, "a number with a leading zero");
    if (skip_one_of(s, '.', '.') && !skip_digits(s))
        return refuse(s, begin, "a number without digits after its point");
    if (skip_one_of(s, 'e', 'E')) {
        skip_one_of(s, '+', '-');
        if (!skip_digits(s))
            return refuse(s, begin, "a number without digits in its exponent");
    }
    if (s->at - begin > CJSON_NUMBER_BYTES)
        s->has_long_number = true;
    return FL_OK;
}

static fl_status scan_word(struct scanner *s)
{
    static const struct fl_slice WORDS[] = {{"true", 4}, {"false", 5}, {"null", 4}};
    size_t left = (size_t)(s->end - s->at);
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        if (left < WORDS[i].len || memcmp(s->at, WORDS[i].ptr, WORDS[i].len) != 0)
            continue;
        s->at += WORDS[i].len;
        return FL_OK;
    }
    return refuse_found(s, "a value");
}

static fl_status scan_value(struct scanner *s)
{
    if (s->at == s->end)
        return refuse_found(s, "a value");
    fl_status status = note_value(s);
    if (status != FL_OK)
        return status;
    char first = *s->at;
    if (first == '{' || first == '[')
        return open_level(s, first == '{');
    if (first == '"')
        status = scan_string(s);
    else if (starts_number(first))
        status = scan_number(s);
    else
        status = scan_word(s);
    end_value(s);
    return status;
}

static fl_status scan_name(struct scanner *s)
{
    if (s->at == s->end || *s->at != '"')
        return refuse_found(s, "a name in quotes");
    fl_status status = scan_string(s);
    if (status != FL_OK)
        return status;
    skip_space(s);
    if (!skip_one_of(s, ':', ':'))
        return refuse_found(s, "':'");
    s->expect = A_VALUE;
    return FL_OK;
}

static fl_status scan_separator(struct scanner *s)
{
    bool is_object = in_object(s);
    if (s->at < s->end && *s->at == (is_object ? '}' : ']'))
        return close_level(s);
    if (!skip_one_of(s, ',', ','))
        return refuse_found(s, is_object ? "',' or '}'" : "',' or ']'");
    s->expect = is_object ? A_NAME : A_VALUE;
    return FL_OK;
}

static fl_status scan_next(struct scanner *s)
{
    bool at_end = s->at == s->end;
    switch (s->expect) {
    case A_VALUE_OR_END: return !at_end && *s->at == ']' ? close_level(s) : scan_value(s);
    case A_VALUE: return scan_value(s);
    case A_NAME_OR_END: return !at_end && *s->at == '}' ? close_level(s) : scan_name(s);
    case A_NAME: return scan_name(s);
    case A_SEPARATOR: return scan_separator(s);
    case NOTHING: break;
    }
    return refuse(s, s->at, "bytes after the document");
}

static fl_status scan(struct scanner *s)
{
    if (s->end - s->begin > INT_MAX)
        return refuse(s, s->begin, "the text is longer than 2 GiB");
    fl_status status = FL_OK;
    skip_space(s);
    while (status == FL_OK && (s->expect != NOTHING || s->at < s->end)) {
        status = scan_next(s);
        skip_space(s);
    }
    return status;
}

/* A copy of the text in which "0" and spaces stand for every number that is too long for cJSON: it needs only
 * to see that there is one. NULL without memory. */
static char *blank_long_numbers(const struct scanner *s)
{
    size_t length = (size_t)(s->end - s->begin);
    char *copy = malloc(length);
    if (!copy)
        return NULL;
    memcpy(copy, s->begin, length);
    for (size_t i = 0; i < s->count; i++) {
        struct scanner number = {.at = s->begin + s->offsets[i], .end = s->end};
        if (!starts_number(*number.at))
            continue;
        if (scan_number(&number) != FL_OK || !number.has_long_number)
            continue;
        memset(copy + s->offsets[i], ' ', (size_t)(number.at - s->begin) - s->offsets[i]);
        copy[s->offsets[i]] = '0';
    }
    return copy;
}

/* Does the node's type fit the first byte of its value? */
static bool fits(const cJSON *node, char first)
{
    switch (node->type & 0xff) {
    case cJSON_Object: return first == '{';
    case cJSON_Array: return first == '[';
    case cJSON_String: return first == '"' && node->valuestring;
    case cJSON_True: return first == 't';
    case cJSON_False: return first == 'f';
    case cJSON_NULL: return first == 'n';
    case cJSON_Number: return starts_number(first);
    default: return false;
    }
}

static void place(const struct scanner *s, cJSON *node, size_t offset)
{
    node->valueint = (int)offset;
    if (!cJSON_IsNumber(node))
        return;
    struct scanner number = {.at = s->begin + offset, .end = s->end};
    (void)scan_number(&number); /* it was scanned before: this finds its end again */
    node->type |= cJSON_IsReference;
    node->valuestring = (char *)(uintptr_t)(s->begin + offset);
    node->valuedouble = (double)(number.at - (s->begin + offset));
}

/* Gives each node its place, in document order. False if the tree is not the one the scanner saw. */
static bool place_all(const struct scanner *s, cJSON *root)
{
    cJSON *parents[FL_JSON_DEPTH_LIMIT];
    size_t depth = 0, i = 0;
    for (cJSON *node = root; node; i++) {
        if (i == s->count || !fits(node, s->begin[s->offsets[i]]))
            return false;
        place(s, node, s->offsets[i]);
        if (node->child && depth == FL_JSON_DEPTH_LIMIT)
            return false;
        if (node->child) {
            parents[depth++] = node;
            node = node->child;
            continue;
        }
        while (depth && !node->next)
            node = parents[--depth];
        node = node->next;
    }
    return i == s->count;
}

static fl_status build(const struct scanner *s, cJSON **root)
{
    char *copy = s->has_long_number ? blank_long_numbers(s) : NULL;
    if (!s->has_long_number || copy)
        *root = cJSON_ParseWithLength(copy ? copy : s->begin, (size_t)(s->end - s->begin));
    free(copy);
    /* The text is strict JSON by now, so what cJSON can still lack is memory. */
    if (!*root)
        return fl_err_set(s->err, FL_NO_MEMORY, "no memory for the tree of a JSON document");
    if (place_all(s, *root))
        return FL_OK;
    cJSON_Delete(*root);
    *root = NULL;
    return fl_err_set(s->err, FL_FAILED,
                      "cJSON %s reads this JSON document differently than its grammar says", cJSON_Version());
}

fl_status fl_json_parse(struct fl_json_text *json, struct fl_slice text, struct fl_err *err)
{
    *json = (struct fl_json_text){.text = text, .line_number = 1};
    if (!text.ptr)
        text = FL_SLICE("");
    struct scanner s = {.begin = text.ptr, .at = text.ptr, .end = text.ptr + text.len, .err = err};
    cJSON *root = NULL;
    fl_status status = scan(&s);
    if (status == FL_OK)
        status = build(&s, &root);
    free(s.offsets);
    json->root = (struct fl_json *)(void *)root;
    return status;
}

/* struct fl_json is a name for cJSON that other files cannot look into. */
static const cJSON *node_of(const struct fl_json *value)
{
    return (const cJSON *)(const void *)value;
}

static const struct fl_json *value_of(const cJSON *node)
{
    return (const struct fl_json *)(const void *)node;
}

void fl_json_release(struct fl_json_text *json)
{
    cJSON_Delete((cJSON *)(void *)json->root); /* recursive, but no deeper than the scanner allows */
    json->root = NULL;
}

enum fl_json_type fl_json_type(const struct fl_json *value)
{
    switch (node_of(value)->type & 0xff) {
    case cJSON_Object: return FL_JSON_OBJECT;
    case cJSON_Array: return FL_JSON_ARRAY;
    case cJSON_String: return FL_JSON_STRING;
    case cJSON_Number: return FL_JSON_NUMBER;
    case cJSON_NULL: return FL_JSON_NULL;
    default: return FL_JSON_BOOL;
    }
}

const struct fl_json *fl_json_first(const struct fl_json *value)
{
    return value ? value_of(node_of(value)->child) : NULL;
}

const struct fl_json *fl_json_next(const struct fl_json *value)
{
    return value_of(node_of(value)->next);
}

const char *fl_json_name(const struct fl_json *value)
{
    const char *name = node_of(value)->string;
    return name ? name : "";
}

const struct fl_json *fl_json_get(const struct fl_json *value, const char *name)
{
    if (!value || fl_json_type(value) != FL_JSON_OBJECT)
        return NULL;
    const struct fl_json *member = fl_json_first(value);
    while (member && strcmp(fl_json_name(member), name) != 0)
        member = fl_json_next(member);
    return member;
}

struct fl_slice fl_json_string(const struct fl_json *value)
{
    if (!value || fl_json_type(value) != FL_JSON_STRING)
        return (struct fl_slice){0};
    const char *text = node_of(value)->valuestring;
    return (struct fl_slice){text, strlen(text)};
}

bool fl_json_true(const struct fl_json *value)
{
    return value && cJSON_IsTrue(node_of(value));
}

struct fl_slice fl_json_number(const struct fl_json_text *json, const struct fl_json *value)
{
    if (!value || fl_json_type(value) != FL_JSON_NUMBER)
        return (struct fl_slice){0};
    const cJSON *node = node_of(value);
    return (struct fl_slice){json->text.ptr + node->valueint, (size_t)node->valuedouble};
}

uint32_t fl_json_line(struct fl_json_text *json, const struct fl_json *value)
{
    size_t offset = (size_t)node_of(value)->valueint;
    if (offset >= json->line_offset)
        json->line_number += count_line_ends(json->text, json->line_offset, offset);
    else
        json->line_number -= count_line_ends(json->text, offset, json->line_offset);
    json->line_offset = offset;
    return json->line_number;
}

/* Where print puts its bytes; without `out` it only counts them. */
struct sink {
    char *out;
    size_t length;
};

static void put(struct sink *sink, const char *text, size_t length)
{
    if (sink->out)
        memcpy(sink->out + sink->length, text, length);
    sink->length += length;
}

static void put_string(struct sink *sink, const char *text)
{
    put(sink, "\"", 1);
    const char *run = text;
    for (; *text; text++) {
        char escape[FL_JSON_ESCAPE_BYTES];
        size_t escape_bytes = (unsigned char)*text < 0x80 ? fl_json_escape((unsigned char)*text, escape) : 0;
        if (!escape_bytes)
            continue; /* bytes of longer characters stand for themselves */
        put(sink, run, (size_t)(text - run));
        put(sink, escape, escape_bytes);
        run = text + 1;
    }
    put(sink, run, (size_t)(text - run));
    put(sink, "\"", 1);
}

/* Recursive, but no deeper than the scanner allows. */
static void put_value(struct sink *sink, const cJSON *node)
{
    bool is_object = cJSON_IsObject(node);
    if (is_object || cJSON_IsArray(node)) {
        put(sink, is_object ? "{" : "[", 1);
        for (const cJSON *child = node->child; child; child = child->next) {
            if (is_object)
                put_string(sink, child->string);
            if (is_object)
                put(sink, ":", 1);
            put_value(sink, child);
            if (child->next)
                put(sink, ",", 1);
        }
        put(sink, is_object ? "}" : "]", 1);
    } else if (cJSON_IsString(node)) {
        put_string(sink, node->valuestring);
    } else if (cJSON_IsNumber(node)) {
        put(sink, node->valuestring, (size_t)node->valuedouble);
    } else {
        const char *word = cJSON_IsNull(node) ? "null" : cJSON_IsTrue(node) ? "true" : "false";
        put(sink, word, strlen(word));
    }
}

struct fl_slice fl_json_print(struct fl_arena *arena, const struct fl_json *value)
{
    struct sink counted = {0}, written = {0};
    put_value(&counted, node_of(value));
    written.out = fl_arena_alloc(arena, counted.length);
    if (!written.out)
        return (struct fl_slice){0};
    put_value(&written, node_of(value));
    return (struct fl_slice){written.out, written.length};
}
