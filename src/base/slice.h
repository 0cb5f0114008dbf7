/* slice.h - reading text without copying it: comparison, trimming, lines, numbers, times. */
#ifndef FL_BASE_SLICE_H
#define FL_BASE_SLICE_H

#include "fenceline/types.h"

/* The %.*s arguments of a slice. */
#define FL_ARGS(s) (int)(s).len, (s).ptr ? (s).ptr : ""

struct fl_slice fl_slice_from(const char *text); /* strlen; NULL gives the absent slice */
struct fl_slice fl_slice_range(const char *begin, const char *end);
bool fl_slice_eq(struct fl_slice a, struct fl_slice b);
bool fl_slice_is(struct fl_slice a, const char *text);
bool fl_slice_starts(struct fl_slice a, const char *prefix);
bool fl_slice_ends(struct fl_slice a, const char *suffix);
int fl_slice_compare(struct fl_slice a, struct fl_slice b); /* bytewise, as COLLATE "C" */

/* Without ASCII white space (space, tab, CR, LF, FF, VT) at both ends. */
struct fl_slice fl_slice_trim(struct fl_slice a);

/* Nothing but ASCII white space, or nothing at all. */
bool fl_slice_is_blank(struct fl_slice a);

/* Line reader: LF, CRLF and a lone CR each end a line. `rest` is what is still to be read, `line_number` the
 * number of the line last returned (from 1). */
struct fl_lines {
    struct fl_slice rest;
    uint32_t line_number;
};

void fl_lines_init(struct fl_lines *lines, struct fl_slice text);

/* Next line without its end into *line; false at the end of the text. A text that ends with a line end has no
 * empty line after it. */
bool fl_lines_next(struct fl_lines *lines, struct fl_slice *line);

/* Line ends in the bytes from..to (to <= text.len) of text. A CR and its LF count once, where the LF is, so
 * that the count of a stretch depends on nothing but its two ends, and may be added or taken away. */
uint32_t fl_slice_count_line_ends(struct fl_slice text, size_t from, size_t to);

/* Moves *text behind c if it begins with c; false if it does not. */
bool fl_slice_take_char(struct fl_slice *text, char c);

/* Reads decimal digits from the front of *text into *value and moves *text behind them. Returns how many
 * digits were read; 0 = none. More than 18 digits read as INT64_MAX. */
size_t fl_slice_take_digits(struct fl_slice *text, int64_t *value);

/* The value of a hexadecimal digit, or -1. */
int fl_slice_hex_digit(char c);

/* A decimal number of seconds ("12", "3.5", "1e2", "0.0005", optional minus) to milliseconds, exactly and
 * rounded half away from zero once (product, "Formats"). False if the text is not exactly one JSON number, or
 * if its size is beyond +-10^15 ms. */
bool fl_slice_seconds_to_ms(struct fl_slice text, int64_t *value_ms);

#endif
