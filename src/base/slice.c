/* slice.c - reading text in place. Nothing here allocates or looks behind the end of a slice. */
#include "base/slice.h"

#include <string.h>

struct fl_slice fl_slice_from(const char *text)
{
    return (struct fl_slice){text, text ? strlen(text) : 0};
}

struct fl_slice fl_slice_range(const char *begin, const char *end)
{
    return (struct fl_slice){begin, (size_t)(end - begin)};
}

bool fl_slice_eq(struct fl_slice a, struct fl_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool fl_slice_is(struct fl_slice a, const char *text)
{
    return fl_slice_eq(a, fl_slice_from(text));
}

bool fl_slice_starts(struct fl_slice a, const char *prefix)
{
    size_t length = strlen(prefix);
    return a.len >= length && (length == 0 || memcmp(a.ptr, prefix, length) == 0);
}

bool fl_slice_ends(struct fl_slice a, const char *suffix)
{
    size_t length = strlen(suffix);
    return a.len >= length && (length == 0 || memcmp(a.ptr + a.len - length, suffix, length) == 0);
}

int fl_slice_compare(struct fl_slice a, struct fl_slice b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
    if (order)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct fl_slice fl_slice_trim(struct fl_slice a)
{
    while (a.len && is_space(a.ptr[0])) {
        a.ptr++;
        a.len--;
    }
    while (a.len && is_space(a.ptr[a.len - 1]))
        a.len--;
    return a;
}

bool fl_slice_is_blank(struct fl_slice a)
{
    return fl_slice_trim(a).len == 0;
}

void fl_lines_init(struct fl_lines *lines, struct fl_slice text)
{
    *lines = (struct fl_lines){.rest = text};
}

bool fl_lines_next(struct fl_lines *lines, struct fl_slice *line)
{
    struct fl_slice *rest = &lines->rest;
    if (rest->len == 0)
        return false;
    /* One pass for both ends: two memchr would read the whole rest again for every line of a CR-only file. */
    const char *end = rest->ptr, *text_end = rest->ptr + rest->len;
    while (end < text_end && *end != '\n' && *end != '\r')
        end++;
    const char *next = end;
    if (next < text_end && *next == '\r')
        next++;
    if (next < text_end && *next == '\n' && (next == end || end[0] == '\r'))
        next++;
    *line = fl_slice_range(rest->ptr, end);
    *rest = fl_slice_range(next, text_end);
    lines->line_number++;
    return true;
}

uint32_t fl_slice_count_line_ends(struct fl_slice text, size_t from, size_t to)
{
    uint32_t count = 0;
    for (size_t i = from; i < to; i++) {
        char c = text.ptr[i];
        if (c == '\n' || (c == '\r' && (i + 1 == text.len || text.ptr[i + 1] != '\n')))
            count++;
    }
    return count;
}

bool fl_slice_take_char(struct fl_slice *text, char c)
{
    if (!text->len || text->ptr[0] != c)
        return false;
    text->ptr++;
    text->len--;
    return true;
}

int fl_slice_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

size_t fl_slice_take_digits(struct fl_slice *text, int64_t *value)
{
    size_t count = 0;
    *value = 0;
    while (count < text->len && text->ptr[count] >= '0' && text->ptr[count] <= '9') {
        if (count < 18)
            *value = *value * 10 + (text->ptr[count] - '0');
        count++;
    }
    if (count > 18)
        *value = INT64_MAX;
    if (count) /* an absent text has no place to count from */
        text->ptr += count;
    text->len -= count;
    return count;
}

/* Reads the exponent of a JSON number; beyond +-1000000 it makes no difference any more. */
static bool take_exponent(struct fl_slice *text, int64_t *exponent)
{
    *exponent = 0;
    if (!fl_slice_take_char(text, 'e') && !fl_slice_take_char(text, 'E'))
        return true;
    bool negative = fl_slice_take_char(text, '-');
    if (!negative)
        fl_slice_take_char(text, '+');
    if (!fl_slice_take_digits(text, exponent))
        return false;
    if (*exponent > 1000000)
        *exponent = 1000000;
    if (negative)
        *exponent = -*exponent;
    return true;
}

/* The digits before and after the point as one row of digits, digit i worth 10^(point-1-i) ms. */
struct decimal {
    struct fl_slice whole, fraction;
    int64_t point;
};

static int digit_at(const struct decimal *d, int64_t i)
{
    if (i < 0)
        return 0;
    size_t at = (size_t)i;
    if (at < d->whole.len)
        return d->whole.ptr[at] - '0';
    at -= d->whole.len;
    return at < d->fraction.len ? d->fraction.ptr[at] - '0' : 0;
}

static bool decimal_to_ms(const struct decimal *d, int64_t *value_ms)
{
    int64_t count = (int64_t)(d->whole.len + d->fraction.len);
    int64_t first = 0;
    while (first < count && digit_at(d, first) == 0)
        first++;
    *value_ms = 0;
    if (first == count)
        return true; /* zero, whatever the exponent */
    if (d->point - first > 16)
        return false;
    for (int64_t i = first; i < d->point; i++)
        *value_ms = *value_ms * 10 + digit_at(d, i);
    if (digit_at(d, d->point) >= 5)
        ++*value_ms;
    return *value_ms <= 1000000000000000;
}

bool fl_slice_seconds_to_ms(struct fl_slice text, int64_t *value_ms)
{
    int64_t ignored, exponent;
    bool negative = fl_slice_take_char(&text, '-');
    struct decimal d = {.whole = {text.ptr, 0}, .fraction = {text.ptr, 0}};
    d.whole.len = fl_slice_take_digits(&text, &ignored);
    if (d.whole.len == 0 || (d.whole.len > 1 && d.whole.ptr[0] == '0'))
        return false;
    if (fl_slice_take_char(&text, '.')) {
        d.fraction.ptr = text.ptr;
        d.fraction.len = fl_slice_take_digits(&text, &ignored);
        if (d.fraction.len == 0)
            return false;
    }
    if (!take_exponent(&text, &exponent) || text.len)
        return false;
    d.point = (int64_t)d.whole.len + exponent + 3;
    if (!decimal_to_ms(&d, value_ms))
        return false;
    if (negative)
        *value_ms = -*value_ms;
    return true;
}
