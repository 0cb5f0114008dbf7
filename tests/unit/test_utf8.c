/* test_utf8.c - what is valid UTF-8, against a table of its own; cutting, decoding, kinds of characters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

/* Well-formed sequences, as the Unicode standard lists them (table 3-7): ranges of each byte. */
static const struct {
    unsigned char ranges[4][2];
    size_t len;
} WELL_FORMED[] = {
    {{{0x01, 0x7f}}, 1}, /* U+0000 is well-formed, but Postgres refuses it */
    {{{0xc2, 0xdf}, {0x80, 0xbf}}, 2},
    {{{0xe0, 0xe0}, {0xa0, 0xbf}, {0x80, 0xbf}}, 3},
    {{{0xe1, 0xec}, {0x80, 0xbf}, {0x80, 0xbf}}, 3},
    {{{0xed, 0xed}, {0x80, 0x9f}, {0x80, 0xbf}}, 3},
    {{{0xee, 0xef}, {0x80, 0xbf}, {0x80, 0xbf}}, 3},
    {{{0xf0, 0xf0}, {0x90, 0xbf}, {0x80, 0xbf}, {0x80, 0xbf}}, 4},
    {{{0xf1, 0xf3}, {0x80, 0xbf}, {0x80, 0xbf}, {0x80, 0xbf}}, 4},
    {{{0xf4, 0xf4}, {0x80, 0x8f}, {0x80, 0xbf}, {0x80, 0xbf}}, 4},
};

/* Bytes at the front that agree with some row; *whole if that row is complete. */
static size_t longest_match(const unsigned char *bytes, size_t len, bool *whole)
{
    size_t best = 0;
    *whole = false;
    for (size_t r = 0; r < sizeof(WELL_FORMED) / sizeof(WELL_FORMED[0]); r++) {
        size_t n = 0;
        while (n < len && n < WELL_FORMED[r].len && bytes[n] >= WELL_FORMED[r].ranges[n][0] &&
               bytes[n] <= WELL_FORMED[r].ranges[n][1])
            n++;
        if (n > best) {
            best = n;
            *whole = n == WELL_FORMED[r].len;
        }
    }
    return best;
}

static void check_sequence(const unsigned char *bytes, size_t len)
{
    struct fl_slice text = {(const char *)bytes, len};
    size_t expected = 0;
    bool whole = true;
    while (expected < len) {
        size_t n = longest_match(bytes + expected, len - expected, &whole);
        if (!whole)
            break;
        expected += n;
    }
    size_t got = fl_utf8_valid_prefix(text);
    if (got != expected)
        fail_msg("%02x %02x %02x %02x (%zu bytes): %zu, not %zu", bytes[0], len > 1 ? bytes[1] : 0u,
                 len > 2 ? bytes[2] : 0u, len > 3 ? bytes[3] : 0u, len, got, expected);
    if (expected == len)
        return;
    size_t bad = longest_match(bytes + expected, len - expected, &whole);
    text.ptr += expected;
    text.len -= expected;
    if (fl_utf8_bad_length(text) != (bad ? bad : 1))
        fail_msg("%02x %02x %02x %02x (%zu bytes) at %zu: bad length %zu, not %zu", bytes[0],
                 len > 1 ? bytes[1] : 0u, len > 2 ? bytes[2] : 0u, len > 3 ? bytes[3] : 0u, len, expected,
                 fl_utf8_bad_length(text), bad ? bad : 1);
}

/* All sequences of up to four bytes that lie on some border, each in a block of its exact size. */
static void test_every_border_sequence(void **state)
{
    (void)state;
    static const unsigned char BORDERS[] = {0x00, 0x01, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
                                            0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
                                            0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};
    const size_t n = sizeof(BORDERS);
    for (size_t len = 1; len <= 4; len++) {
        unsigned char *bytes = malloc(len);
        assert_non_null(bytes);
        size_t count = 1;
        for (size_t i = 0; i < len; i++)
            count *= n;
        for (size_t code = 0; code < count; code++) {
            size_t rest = code;
            for (size_t i = 0; i < len; i++, rest /= n)
                bytes[i] = BORDERS[rest % n];
            check_sequence(bytes, len);
        }
        free(bytes);
    }
}

/* Long plain stretches may be skipped by words: a bad byte at each offset must still be found. */
static void test_bad_byte_at_each_offset(void **state)
{
    (void)state;
    static const unsigned char BAD[] = {0x00, 0x80, 0xc0, 0xff, 0xe2};
    for (size_t len = 1; len < 70; len++) {
        char *text = malloc(len);
        assert_non_null(text);
        memset(text, 'a', len);
        assert_int_equal(fl_utf8_valid_prefix((struct fl_slice){text, len}), len);
        for (size_t at = 0; at < len; at++)
            for (size_t b = 0; b < sizeof(BAD); b++) {
                text[at] = (char)BAD[b];
                assert_int_equal(fl_utf8_valid_prefix((struct fl_slice){text, len}), at);
                text[at] = 'a';
            }
        free(text);
    }
    assert_int_equal(fl_utf8_valid_prefix((struct fl_slice){NULL, 0}), 0);
}

static void test_cut(void **state)
{
    (void)state;
    static const char TEXT[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x8e\x99z"; /* borders at 0 1 3 6 10 11 */
    static const size_t EXPECTED[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
    struct fl_slice text = {TEXT, sizeof(TEXT) - 1};
    for (size_t limit = 0; limit < sizeof(EXPECTED) / sizeof(EXPECTED[0]); limit++) {
        struct fl_slice cut = fl_utf8_cut(text, limit);
        assert_ptr_equal(cut.ptr, TEXT);
        assert_int_equal(cut.len, EXPECTED[limit]);
    }
    assert_int_equal(fl_utf8_cut((struct fl_slice){NULL, 0}, 5).len, 0);
}

static void test_every_character_there_and_back(void **state)
{
    (void)state;
    for (uint32_t c = 1; c <= 0x10ffff; c++) {
        if (c == 0xd800)
            c = 0xe000;
        char out[5] = {0, 0, 0, 0, '#'};
        size_t len = fl_utf8_put(c, out);
        assert_int_equal(len, c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4);
        assert_int_equal(out[4], '#');
        struct fl_slice text = {out, len};
        assert_int_equal(fl_utf8_valid_prefix(text), len);
        assert_int_equal(fl_utf8_next(&text), c);
        assert_int_equal(text.len, 0);
        assert_ptr_equal(text.ptr, out + len);
    }
}

static void test_next_walks_a_text(void **state)
{
    (void)state;
    struct fl_slice text = FL_SLICE("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x8e\x99z");
    static const uint32_t EXPECTED[] = {'a', 0xe9, 0x20ac, 0x1f399, 'z'};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(fl_utf8_next(&text), EXPECTED[i]);
    assert_int_equal(text.len, 0);
}

static void test_letters(void **state)
{
    (void)state;
    static const uint32_t LETTERS[] = {'a',    'z',    'A',    'Z',    0xc0,   0xe9,  0x17f,
                                       0x301,  0x3b1,  0x416,  0x5d0,  0x627,  0x915, 0xe01,
                                       0x3042, 0x30ab, 0x4e2d, 0xac00, 0x20000};
    static const uint32_t OTHERS[] = {0,      '\n',   ' ',    '0',    '9',    ':',    '-',   '_',  '@',
                                      '[',    '`',    '{',    0x7f,   0x85,   0xa0,   0xab,  0xbf, 0x2013,
                                      0x201c, 0x2028, 0x20ac, 0x2192, 0x266a, 0x3000, 0xfeff};
    for (size_t i = 0; i < sizeof(LETTERS) / sizeof(LETTERS[0]); i++)
        if (!fl_utf8_is_letter(LETTERS[i]))
            fail_msg("U+%04X is a letter", LETTERS[i]);
    for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++)
        if (fl_utf8_is_letter(OTHERS[i]))
            fail_msg("U+%04X is no letter", OTHERS[i]);
}

static void test_controls(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x3000; c++) {
        bool expected = c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029;
        assert_int_equal(fl_utf8_is_control(c), expected);
        bool turns = c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
                     (c >= 0x2066 && c <= 0x206f);
        assert_int_equal(fl_utf8_turns_direction(c), turns);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_border_sequence),
        cmocka_unit_test(test_bad_byte_at_each_offset),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_every_character_there_and_back),
        cmocka_unit_test(test_next_walks_a_text),
        cmocka_unit_test(test_letters),
        cmocka_unit_test(test_controls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
