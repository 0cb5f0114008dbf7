/* fuzz.c - see fuzz.h. The checks of text are written anew here: a decoder that judged itself would judge
 * well. */
#include "fuzz.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void fuzz_fail(const char *file, int line, const char *condition, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "%s:%d: does not hold: %s\n    ", file, line, condition);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

/* Decodes one character at the front of text: its bytes, or 0 if it is none. Table 3-7 of Unicode. */
static size_t decode(struct fl_slice text, uint32_t *character)
{
    static const struct {
        unsigned char first, last, second_first, second_last, bytes;
    } ROWS[] = {{0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
                {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    const unsigned char *c = (const unsigned char *)text.ptr;
    for (size_t i = 0; text.len && i < sizeof ROWS / sizeof *ROWS; i++) {
        size_t bytes = ROWS[i].bytes;
        if (c[0] < ROWS[i].first || c[0] > ROWS[i].last)
            continue;
        if (text.len < bytes || (bytes > 1 && (c[1] < ROWS[i].second_first || c[1] > ROWS[i].second_last)))
            return 0;
        *character = bytes == 1 ? c[0] : c[0] & (0x7fu >> bytes);
        for (size_t at = 1; at < bytes; at++) {
            if ((c[at] & 0xc0) != 0x80)
                return 0;
            *character = *character << 6 | (c[at] & 0x3f);
        }
        return bytes;
    }
    return 0;
}

static bool all(struct fl_slice text, bool (*is_good)(uint32_t character))
{
    while (text.len) {
        uint32_t character = 0;
        size_t bytes = decode(text, &character);
        if (bytes == 0 || !is_good(character))
            return false;
        text = (struct fl_slice){text.ptr + bytes, text.len - bytes};
    }
    return true;
}

static bool is_storable(uint32_t character)
{
    return character != 0;
}

/* C0, DEL, C1, line and paragraph separator, marks and overrides of direction. */
static bool is_harmless(uint32_t character)
{
    static const uint32_t TURNS[] = {0x61c,  0x200e, 0x200f, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066,
                                     0x2067, 0x2068, 0x2069, 0x206a, 0x206b, 0x206c, 0x206d, 0x206e, 0x206f};
    if (character < 0x20 || (character >= 0x7f && character <= 0x9f) || character == 0x2028 ||
        character == 0x2029)
        return false;
    for (size_t i = 0; i < sizeof TURNS / sizeof *TURNS; i++)
        if (character == TURNS[i])
            return false;
    return true;
}

static bool is_in_a_line(uint32_t character)
{
    return character >= 0x20 && character != 0x7f;
}

static bool is_plain(uint32_t character)
{
    return is_in_a_line(character) && !(character >= 0x80 && character <= 0x9f) && character != 0x2028 &&
           character != 0x2029;
}

bool fuzz_is_text(struct fl_slice text)
{
    return all(text, is_storable);
}

bool fuzz_is_plain(struct fl_slice text)
{
    return all(text, is_plain);
}

bool fuzz_is_id(struct fl_slice text)
{
    return text.len > 0 && text.len <= 255 && fuzz_is_plain(text);
}

bool fuzz_is_printable(struct fl_slice text)
{
    return all(text, is_harmless);
}

void fuzz_check_err(fl_status status, const struct fl_err *err)
{
    struct fl_slice text = {err->text, strnlen(err->text, sizeof err->text)};
    FUZZ_CHECK(status != FL_OK && err->code == status, "status %d, code %d", (int)status, (int)err->code);
    FUZZ_CHECK(text.len > 0 && text.len < sizeof err->text, "%zu bytes of a message", text.len);
    /* err.h promises UTF-8 in one line; what else could steer a terminal is escaped where it is printed. */
    FUZZ_CHECK(all(text, is_in_a_line), "message: %s", err->text);
}

struct fl_slice fuzz_take(struct fl_slice *input, char separator)
{
    const char *at = input->len ? memchr(input->ptr, separator, input->len) : NULL;
    struct fl_slice part = at ? fl_slice_range(input->ptr, at) : *input;
    size_t taken = part.len + (at != NULL);
    *input = (struct fl_slice){input->ptr + taken, input->len - taken};
    return part;
}

unsigned fuzz_take_byte(struct fl_slice *input)
{
    if (input->len == 0)
        return 0;
    *input = (struct fl_slice){input->ptr + 1, input->len - 1};
    return (unsigned char)input->ptr[-1];
}

int64_t fuzz_number(struct fl_slice text, int64_t limit)
{
    uint64_t number = 0;
    for (size_t i = 0; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++)
        number = number * 10 + (uint64_t)(text.ptr[i] - '0');
    return (int64_t)(number % (uint64_t)limit);
}

char *fuzz_exact(struct fl_slice text)
{
    char *copy = malloc(text.len ? text.len : 1);
    FUZZ_CHECK(copy, "no memory for %zu bytes", text.len);
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    return copy;
}

struct fl_limits fuzz_limits(void)
{
    return (struct fl_limits){
        .file_bytes = 64 << 20, .rows = 200000, .field_bytes = 65536, .strict = false, .repair = false};
}
