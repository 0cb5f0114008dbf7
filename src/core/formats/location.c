/* location.c - see location.h.
 *
 * Happy path: parse and print, which leaves out the spaces; then copy the result, strings as they are,
 * numbers in their shortest form where that matters. Failure modes: no memory; a text that cannot be parsed
 * (a jsonb that other SQL has put there) stays as it is. */
#include "core/formats/location.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/slice.h"

enum {
    LONG_NUMBER_BYTES = 20,     /* shorter ones are easier to read as they are */
    LONG_LOCATION_BYTES = 1024, /* but in one so long, every byte may be one too many */
    EXPONENT_LIMIT = 1000,      /* the parser takes no larger one */
};

/* A number without zeros at its ends: digits, worth 10^exponent each. */
struct decimal {
    char *digits;
    size_t count;
    int64_t exponent;
};

/* The digits of number go to room, which has space for as many bytes. */
static struct decimal read_decimal(struct fl_slice number, char *room)
{
    struct decimal d = {.digits = room};
    bool is_fraction = false;
    for (size_t i = 0; i < number.len; i++) {
        char c = number.ptr[i];
        is_fraction |= c == '.';
        if (c < '0' || c > '9')
            continue;
        d.exponent -= is_fraction;
        if (d.count || c != '0')
            room[d.count++] = c;
    }
    for (; d.count && room[d.count - 1] == '0'; d.count--)
        d.exponent++;
    return d;
}

/* Writes the shortest form of number to out, which has room for number.len bytes; returns its bytes. */
static size_t put_number(struct fl_slice number, char *out)
{
    char exponent[24];
    bool is_negative = number.ptr[0] == '-';
    size_t at = is_negative;
    struct decimal d = read_decimal(number, out + at);
    if (d.count == 0) {
        out[0] = '0';
        return 1;
    }
    size_t exponent_bytes = (size_t)snprintf(exponent, sizeof exponent, "e%" PRId64, d.exponent);
    bool is_storable = d.exponent >= -EXPONENT_LIMIT && d.exponent <= EXPONENT_LIMIT;
    if (!is_storable || at + d.count + exponent_bytes >= number.len) {
        memcpy(out, number.ptr, number.len);
        return number.len;
    }
    if (is_negative)
        out[0] = '-';
    memcpy(out + at + d.count, exponent, exponent_bytes);
    return at + d.count + exponent_bytes;
}

/* Bytes of the string at the front of json, with both quotes. */
static size_t string_bytes(struct fl_slice json)
{
    size_t at = 1;
    while (json.ptr[at] != '"')
        at += json.ptr[at] == '\\' ? 2 : 1;
    return at + 1;
}

/* Bytes of the number at the front of json; 0 = there is none. */
static size_t number_bytes(struct fl_slice json)
{
    static const char CHARACTERS[] = "-0123456789+.eE";
    size_t bytes = 0;
    if (!memchr(CHARACTERS, json.ptr[0], 11))
        return 0;
    while (bytes < json.len && memchr(CHARACTERS, json.ptr[bytes], sizeof CHARACTERS - 1))
        bytes++;
    return bytes;
}

/* Copies json, which is valid and compact, to out, which has room for as much. Returns the bytes. */
static size_t shorten(struct fl_slice json, char *out)
{
    bool is_long = json.len > LONG_LOCATION_BYTES;
    char *begin = out;
    while (json.len) {
        size_t bytes = number_bytes(json);
        struct fl_slice number = {json.ptr, bytes};
        bool worth_it = bytes && (is_long || bytes > LONG_NUMBER_BYTES);
        if (worth_it && !memchr(number.ptr, 'e', bytes) && !memchr(number.ptr, 'E', bytes)) {
            out += put_number(number, out);
        } else {
            if (!bytes)
                bytes = json.ptr[0] == '"' ? string_bytes(json) : 1;
            memcpy(out, json.ptr, bytes);
            out += bytes;
        }
        json = (struct fl_slice){json.ptr + bytes, json.len - bytes};
    }
    return (size_t)(out - begin);
}

bool fl_location_compact(struct fl_arena *arena, struct fl_slice *location)
{
    struct fl_json_text json;
    if (!location->ptr)
        return true;
    fl_status status = fl_json_parse(&json, *location, NULL);
    if (status != FL_OK)
        return status != FL_NO_MEMORY;
    struct fl_slice compact = fl_json_print(arena, json.root);
    fl_json_release(&json);
    char *out = compact.ptr ? fl_arena_alloc(arena, compact.len) : NULL;
    if (!out)
        return false;
    *location = (struct fl_slice){out, shorten(compact, out)};
    return true;
}
