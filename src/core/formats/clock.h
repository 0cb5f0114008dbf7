/* clock.h - reads times as people write them: [H:]MM:SS with a fraction after a point or comma. Used by the
 * formats whose times have no stricter grammar of their own: SubRip and timed text. */
#ifndef FL_CORE_FORMATS_CLOCK_H
#define FL_CORE_FORMATS_CLOCK_H

#include "fenceline/types.h"

/* BROKEN: it has the shape of a time, and cannot be one. */
enum fl_clock_kind { FL_CLOCK_NONE, FL_CLOCK_BROKEN, FL_CLOCK_OK };

struct fl_clock {
    int64_t time_ms;        /* FL_CLOCK_OK only */
    size_t fields;          /* 2 or 3 */
    size_t digits[3];       /* of each field, in the order of the text */
    bool has_fraction_mark; /* a point or comma, even with no digits behind it */
    size_t fraction_digits;
};

/* Reads the time at the front of *text and moves *text behind it; on FL_CLOCK_NONE *text is anywhere within.
 * FL_CLOCK_OK: minutes and seconds have one or two digits and are at most 59, hours have up to 4 digits; up
 * to 9 digits of a fraction, rounded once to the millisecond. */
enum fl_clock_kind fl_clock_take(struct fl_slice *text, struct fl_clock *clock);

#endif
