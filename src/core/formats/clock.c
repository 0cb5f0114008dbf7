/* clock.c - see clock.h.
 *
 * Happy path: two or three fields of digits with colons between them, then the fraction. The whole shape is
 * read before any size is judged, so that the caller can look at what follows a time that cannot be one.
 * Failure modes: no such shape (NONE); too many digits, or more than 59 minutes or seconds (BROKEN). */
#include "core/formats/clock.h"

#include "base/slice.h"

enum { HOUR_DIGITS = 4, FRACTION_DIGITS = 9 };

/* ",04" is 40 ms: the digits are a decimal fraction of a second. */
static int64_t fraction_to_ms(int64_t fraction, size_t digits)
{
    int64_t scale = 1;
    for (size_t i = 0; i < digits; i++)
        scale *= 10;
    return (fraction * 1000 + scale / 2) / scale;
}

enum fl_clock_kind fl_clock_take(struct fl_slice *text, struct fl_clock *clock)
{
    int64_t values[3], fraction = 0;
    *clock = (struct fl_clock){0};
    do {
        size_t digits = fl_slice_take_digits(text, &values[clock->fields]);
        if (digits == 0)
            return FL_CLOCK_NONE;
        clock->digits[clock->fields++] = digits;
    } while (clock->fields < 3 && fl_slice_take_char(text, ':'));
    if (clock->fields < 2)
        return FL_CLOCK_NONE;
    clock->has_fraction_mark = fl_slice_take_char(text, '.') || fl_slice_take_char(text, ',');
    if (clock->has_fraction_mark)
        clock->fraction_digits = fl_slice_take_digits(text, &fraction);

    size_t last = clock->fields - 1;
    int64_t hours = clock->fields == 3 ? values[0] : 0, minutes = values[last - 1], seconds = values[last];
    bool hours_fit = clock->fields < 3 || clock->digits[0] <= HOUR_DIGITS;
    bool sizes_fit = clock->digits[last - 1] <= 2 && clock->digits[last] <= 2 && hours_fit &&
                     clock->fraction_digits <= FRACTION_DIGITS;
    if (!sizes_fit || minutes > 59 || seconds > 59)
        return FL_CLOCK_BROKEN;
    int64_t whole_ms = ((hours * 60 + minutes) * 60 + seconds) * 1000;
    clock->time_ms = whole_ms + fraction_to_ms(fraction, clock->fraction_digits);
    return FL_CLOCK_OK;
}
