/* utf8.h - keeps bytes that Postgres would refuse out of every document. */
#ifndef FL_BASE_UTF8_H
#define FL_BASE_UTF8_H

#include "fenceline/types.h"

/* Offset of the first byte that is U+0000 or does not belong to valid UTF-8 (no surrogates, no overlong form,
 * nothing above U+10FFFF); text.len if there is none. */
size_t fl_utf8_valid_prefix(struct fl_slice text);

/* Bytes to replace by one U+FFFD at the front of text, whose first byte is bad (the maximal subpart, Unicode
 * 3.9): 1 to 3. */
size_t fl_utf8_bad_length(struct fl_slice text);

/* The longest beginning of valid UTF-8 that has at most limit_bytes and does not end inside a character. */
struct fl_slice fl_utf8_cut(struct fl_slice text, size_t limit_bytes);

/* Decodes one character of valid UTF-8 from the front of *text and moves *text behind it. text->len > 0. */
uint32_t fl_utf8_next(struct fl_slice *text);

/* Writes a character (not a surrogate, <= U+10FFFF) to out and returns its 1 to 4 bytes. */
size_t fl_utf8_put(uint32_t character, char out[4]);

/* A letter or mark of any script, roughly: everything above U+00BF that is no general punctuation, symbol,
 * space or control, and the ASCII letters. Good for names of speakers, not for linguistics. */
bool fl_utf8_is_letter(uint32_t character);

/* A control character: C0, DEL, C1, and the line and paragraph separators U+2028/2029. */
bool fl_utf8_is_control(uint32_t character);

/* Marks and overrides that turn the direction of writing: with them a line can read other than it is. */
bool fl_utf8_turns_direction(uint32_t character);

#endif
