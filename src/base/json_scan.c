/* json_scan.c - a scanner for strict JSON that keeps nothing but the places of the values.
 *
 * Happy path: one loop over the text. `expect` says what the grammar allows next, one bit for each open level
 * says whether it is an object, and each value's offset is noted where it begins. Failure modes: text that is
 * not strict JSON, too deep or with too many values (FL_INVALID, with line and byte); no memory for the
 * offsets. After a failure the offsets found so far are still the caller's to release. */
#include "base/json_scan.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/slice.h"

enum { FIRST_OFFSET_CAPACITY = 256 /* then doubled */ };

enum expectation { A_VALUE, A_VALUE_OR_END, A_NAME, A_NAME_OR_END, A_SEPARATOR, NOTHING };

struct scanner {
    const char *begin, *at, *end;
    enum expectation expect;
    unsigned depth;     /* open objects and arrays */
    uint64_t is_object; /* bit d: the one opened at depth d is an object */
    struct fl_json_scan *found;
    struct fl_err *err;
};

_Static_assert(FL_JSON_DEPTH_LIMIT <= 64, "is_object has one bit for each level");

__attribute__((format(printf, 3, 4))) static fl_status refuse(const struct scanner *s, const char *at,
                                                              const char *format, ...)
{
    char rule[128];
    va_list args;
    va_start(args, format);
    vsnprintf(rule, sizeof rule, format, args);
    va_end(args);
    uint32_t line = 1 + fl_slice_count_line_ends(s->found->text, 0, (size_t)(at - s->begin));
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
    struct fl_json_scan *found = s->found;
    if (found->count == FL_JSON_VALUE_LIMIT)
        return refuse(s, s->at, "more than %d values", FL_JSON_VALUE_LIMIT);
    if (found->counts_only) {
        found->count++;
        return FL_OK;
    }
    if (found->count == found->capacity) {
        size_t wanted = found->capacity ? found->capacity * 2 : FIRST_OFFSET_CAPACITY;
        uint32_t *moved = realloc(found->offsets, wanted * sizeof *moved);
        if (!moved)
            return fl_err_set(s->err, FL_NO_MEMORY, "no memory for the places of JSON values");
        found->offsets = moved;
        found->capacity = wanted;
    }
    found->offsets[found->count++] = (uint32_t)(s->at - s->begin);
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

static bool skip_digits(const char **at, const char *end)
{
    const char *begin = *at;
    while (*at < end && **at >= '0' && **at <= '9')
        ++*at;
    return *at > begin;
}

static bool skip_one_of(const char **at, const char *end, char a, char b)
{
    bool found = *at < end && (**at == a || **at == b);
    if (found)
        ++*at;
    return found;
}

/* Moves *at behind the number that begins there. Returns NULL, or what is wrong with it. */
static const char *skip_number(const char **at, const char *end)
{
    skip_one_of(at, end, '-', '-');
    const char *whole = *at;
    if (!skip_digits(at, end))
        return "a number without digits";
    if (*whole == '0' && *at - whole > 1)
        return "a number with a leading zero";
    if (skip_one_of(at, end, '.', '.') && !skip_digits(at, end))
        return "a number without digits after its point";
    if (skip_one_of(at, end, 'e', 'E')) {
        skip_one_of(at, end, '+', '-');
        if (!skip_digits(at, end))
            return "a number without digits in its exponent";
    }
    return NULL;
}

static fl_status scan_number(struct scanner *s)
{
    const char *begin = s->at;
    const char *rule = skip_number(&s->at, s->end);
    if (rule)
        return refuse(s, begin, "%s", rule);
    size_t length = (size_t)(s->at - begin);
    if (length > s->found->longest_number_bytes)
        s->found->longest_number_bytes = length;
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
    else if (first == '-' || (first >= '0' && first <= '9'))
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
    if (!skip_one_of(&s->at, s->end, ':', ':'))
        return refuse_found(s, "':'");
    s->expect = A_VALUE;
    return FL_OK;
}

static fl_status scan_separator(struct scanner *s)
{
    bool is_object = in_object(s);
    if (s->at < s->end && *s->at == (is_object ? '}' : ']'))
        return close_level(s);
    if (!skip_one_of(&s->at, s->end, ',', ','))
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

static fl_status scan_all(struct fl_json_scan *scan, struct fl_slice text, struct fl_err *err)
{
    if (!text.ptr)
        text = FL_SLICE("");
    scan->text = text;
    struct scanner s = {
        .begin = text.ptr, .at = text.ptr, .end = text.ptr + text.len, .found = scan, .err = err};
    if (text.len > INT_MAX)
        return refuse(&s, s.begin, "the text is longer than 2 GiB");
    fl_status status = FL_OK;
    skip_space(&s);
    while (status == FL_OK && (s.expect != NOTHING || s.at < s.end)) {
        status = scan_next(&s);
        skip_space(&s);
    }
    return status;
}

fl_status fl_json_scan(struct fl_json_scan *scan, struct fl_slice text, struct fl_err *err)
{
    *scan = (struct fl_json_scan){0};
    return scan_all(scan, text, err);
}

fl_status fl_json_scan_check(struct fl_slice text, struct fl_err *err)
{
    struct fl_json_scan scan = {.counts_only = true};
    return scan_all(&scan, text, err);
}

fl_status fl_json_scan_value(struct fl_json_scan *scan, struct fl_slice text, size_t offset, size_t *end,
                             struct fl_err *err)
{
    *scan = (struct fl_json_scan){.text = text};
    struct scanner s = {
        .begin = text.ptr, .at = text.ptr + offset, .end = text.ptr + text.len, .found = scan, .err = err};
    fl_status status = FL_OK;
    while (status == FL_OK && s.expect != NOTHING) {
        status = scan_next(&s);
        if (s.expect != NOTHING)
            skip_space(&s);
    }
    *end = (size_t)(s.at - s.begin);
    return status;
}

size_t fl_json_scan_skip(struct fl_slice text, size_t offset)
{
    size_t depth = 0;
    for (size_t at = offset; at < text.len; at++) {
        char c = text.ptr[at];
        if (c == '"') {
            while (text.ptr[++at] != '"')
                at += text.ptr[at] == '\\';
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (depth && (c == '}' || c == ']')) {
            depth--;
        } else if (!depth && memchr(" \n\r\t,:]}", c, 8)) {
            return at; /* a number or a word ends where something else begins */
        }
        if (!depth && memchr("\"]}", text.ptr[at], 3))
            return at + 1;
    }
    return text.len;
}

size_t fl_json_scan_skip_space(struct fl_slice text, size_t offset)
{
    while (offset < text.len && memchr(" \n\r\t", text.ptr[offset], 4))
        offset++;
    return offset;
}

void fl_json_scan_release(struct fl_json_scan *scan)
{
    free(scan->offsets);
    *scan = (struct fl_json_scan){0};
}

size_t fl_json_scan_number_bytes(struct fl_slice text)
{
    const char *at = text.ptr;
    return skip_number(&at, text.ptr + text.len) ? 0 : (size_t)(at - text.ptr);
}
