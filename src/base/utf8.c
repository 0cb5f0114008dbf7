/* utf8.c - validation by the table of well-formed sequences (Unicode 3.9, table 3-7). */
#include "base/utf8.h"

#include <string.h>

/* How many bytes the lead announces, and the range its second byte must lie in. 0 = no lead. */
static size_t sequence_length(unsigned char lead, unsigned char *low, unsigned char *high)
{
    *low = 0x80;
    *high = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 2;
    if (lead >= 0xe0 && lead <= 0xef) {
        if (lead == 0xe0)
            *low = 0xa0;
        if (lead == 0xed)
            *high = 0x9f;
        return 3;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        if (lead == 0xf0)
            *low = 0x90;
        if (lead == 0xf4)
            *high = 0x8f;
        return 4;
    }
    return 0;
}

/* Bytes of the well-formed character at text, or 0; *matched = how many bytes were right so far. */
static size_t well_formed(const unsigned char *text, size_t left, size_t *matched)
{
    *matched = 1;
    if (text[0] > 0 && text[0] < 0x80)
        return 1;
    unsigned char low, high;
    size_t length = sequence_length(text[0], &low, &high);
    if (length == 0)
        return 0;
    for (; *matched < length; ++*matched) {
        if (*matched >= left || text[*matched] < low || text[*matched] > high)
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    return length;
}

size_t fl_utf8_valid_prefix(struct fl_slice text)
{
    const unsigned char *bytes = (const unsigned char *)text.ptr;
    size_t at = 0;
    while (at < text.len) {
        /* Eight ASCII bytes at a time, none of them NUL. */
        uint64_t word;
        while (text.len - at >= sizeof word) {
            memcpy(&word, bytes + at, sizeof word);
            if ((word | (word - UINT64_C(0x0101010101010101))) & UINT64_C(0x8080808080808080))
                break;
            at += sizeof word;
        }
        if (at == text.len)
            break;
        size_t matched, length = well_formed(bytes + at, text.len - at, &matched);
        if (length == 0)
            return at;
        at += length;
    }
    return at;
}

size_t fl_utf8_bad_length(struct fl_slice text)
{
    size_t matched;
    well_formed((const unsigned char *)text.ptr, text.len, &matched);
    return matched;
}

struct fl_slice fl_utf8_cut(struct fl_slice text, size_t limit_bytes)
{
    if (text.len <= limit_bytes)
        return text;
    for (text.len = limit_bytes; text.len && ((unsigned char)text.ptr[text.len] & 0xc0) == 0x80;)
        text.len--;
    return text;
}

uint32_t fl_utf8_next(struct fl_slice *text)
{
    const unsigned char *c = (const unsigned char *)text->ptr;
    uint32_t character = c[0];
    size_t length = 1;
    if (c[0] >= 0xf0) {
        character = (c[0] & 0x07u) << 18 | (c[1] & 0x3fu) << 12 | (c[2] & 0x3fu) << 6 | (c[3] & 0x3fu);
        length = 4;
    } else if (c[0] >= 0xe0) {
        character = (c[0] & 0x0fu) << 12 | (c[1] & 0x3fu) << 6 | (c[2] & 0x3fu);
        length = 3;
    } else if (c[0] >= 0xc0) {
        character = (c[0] & 0x1fu) << 6 | (c[1] & 0x3fu);
        length = 2;
    }
    text->ptr += length;
    text->len -= length;
    return character;
}

size_t fl_utf8_put(uint32_t character, char out[4])
{
    if (character < 0x80) {
        out[0] = (char)character;
        return 1;
    }
    if (character < 0x800) {
        out[0] = (char)(0xc0 | character >> 6);
        out[1] = (char)(0x80 | (character & 0x3f));
        return 2;
    }
    if (character < 0x10000) {
        out[0] = (char)(0xe0 | character >> 12);
        out[1] = (char)(0x80 | (character >> 6 & 0x3f));
        out[2] = (char)(0x80 | (character & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | character >> 18);
    out[1] = (char)(0x80 | (character >> 12 & 0x3f));
    out[2] = (char)(0x80 | (character >> 6 & 0x3f));
    out[3] = (char)(0x80 | (character & 0x3f));
    return 4;
}

bool fl_utf8_is_letter(uint32_t character)
{
    if (character < 0x80)
        return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z');
    if (character < 0xc0)
        return character == 0xaa || character == 0xb5 || character == 0xba;
    if (character == 0xd7 || character == 0xf7)
        return false;
    /* General punctuation to miscellaneous symbols, CJK punctuation, private use, specials, emoji. */
    static const struct {
        uint32_t first, last;
    } NOT_LETTERS[] = {{0x2000, 0x2bff},   {0x2e00, 0x2e7f}, {0x3000, 0x3004}, {0x3008, 0x3020},
                       {0x3030, 0x3030},   {0xe000, 0xf8ff}, {0xfe10, 0xfe6f}, {0xfeff, 0xff20},
                       {0xff3b, 0xff40},   {0xff5b, 0xff65}, {0xffe0, 0xffff}, {0x1f000, 0x1faff},
                       {0xe0000, 0x10ffff}};
    for (size_t i = 0; i < sizeof NOT_LETTERS / sizeof *NOT_LETTERS; i++)
        if (character >= NOT_LETTERS[i].first && character <= NOT_LETTERS[i].last)
            return false;
    return true;
}

bool fl_utf8_is_control(uint32_t character)
{
    return character < 0x20 || (character >= 0x7f && character < 0xa0) || character == 0x2028 ||
           character == 0x2029;
}

bool fl_utf8_turns_direction(uint32_t character)
{
    return character == 0x61c || character == 0x200e || character == 0x200f ||
           (character >= 0x202a && character <= 0x202e) || (character >= 0x2066 && character <= 0x206f);
}
