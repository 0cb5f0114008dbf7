/* iso_time.c - see iso_time.h. Takes the parts from the front, one after the other; what is left is wrong. */
#include "base/iso_time.h"

#include "base/slice.h"

enum { SECOND_MS = 1000, MINUTE_MS = 60 * SECOND_MS, HOUR_MS = 60 * MINUTE_MS, DAY_MS = 24 * HOUR_MS };

/* Exactly so many digits. */
static bool take_number(struct fl_slice *text, size_t digits, int64_t min, int64_t max, int64_t *value)
{
    struct fl_slice part = {text->ptr, text->len < digits ? text->len : digits};
    if (fl_slice_take_digits(&part, value) != digits || *value < min || *value > max)
        return false;
    *text = (struct fl_slice){text->ptr + digits, text->len - digits};
    return true;
}

static bool take_either(struct fl_slice *text, char a, char b)
{
    return fl_slice_take_char(text, a) || fl_slice_take_char(text, b);
}

/* Days since 1970-01-01. The year begins in March here, so that a leap day is its last. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    if (month <= 2)
        year--;
    int64_t month_of_year = month > 2 ? month - 3 : month + 9;
    int64_t days = year * 365 + year / 4 - year / 100 + year / 400;
    return days + (153 * month_of_year + 2) / 5 + day - 1 - 719468;
}

static bool take_date(struct fl_slice *text, int64_t *time_ms)
{
    static const int8_t LENGTHS[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t year, month, day;
    if (!take_number(text, 4, 1970, 9999, &year) || !fl_slice_take_char(text, '-') ||
        !take_number(text, 2, 1, 12, &month) || !fl_slice_take_char(text, '-') ||
        !take_number(text, 2, 1, LENGTHS[month - 1], &day))
        return false;
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    *time_ms = days_of(year, month, day) * DAY_MS;
    return month != 2 || day < 29 || is_leap;
}

/* Digits after the point of a second; those beyond the millisecond are cut off. */
static bool take_fraction(struct fl_slice *text, int64_t *time_ms)
{
    size_t digits = 0;
    for (int64_t unit = 100; text->len && text->ptr[0] >= '0' && text->ptr[0] <= '9'; digits++, unit /= 10) {
        *time_ms += (text->ptr[0] - '0') * unit;
        *text = (struct fl_slice){text->ptr + 1, text->len - 1};
    }
    return digits > 0;
}

static bool take_clock(struct fl_slice *text, int64_t *time_ms)
{
    int64_t hours, minutes, seconds;
    if (!take_number(text, 2, 0, 23, &hours) || !fl_slice_take_char(text, ':') ||
        !take_number(text, 2, 0, 59, &minutes))
        return false;
    *time_ms += hours * HOUR_MS + minutes * MINUTE_MS;
    if (!fl_slice_take_char(text, ':'))
        return true;
    if (!take_number(text, 2, 0, 60, &seconds))
        return false;
    *time_ms += seconds * SECOND_MS;
    return !fl_slice_take_char(text, '.') || take_fraction(text, time_ms);
}

static bool take_offset(struct fl_slice *text, int64_t *time_ms)
{
    int64_t hours, minutes = 0;
    if (text->len == 0 || take_either(text, 'Z', 'z'))
        return true;
    bool is_west = fl_slice_take_char(text, '-');
    if ((!is_west && !fl_slice_take_char(text, '+')) || !take_number(text, 2, 0, 14, &hours))
        return false;
    bool has_colon = fl_slice_take_char(text, ':');
    if ((has_colon || text->len) && !take_number(text, 2, 0, 59, &minutes))
        return false;
    *time_ms += (is_west ? 1 : -1) * (hours * HOUR_MS + minutes * MINUTE_MS);
    return true;
}

bool fl_iso_time(struct fl_slice text, int64_t *time_ms)
{
    if (!take_date(&text, time_ms))
        return false;
    if (text.len == 0)
        return true;
    if (!take_either(&text, 'T', 't') && !fl_slice_take_char(&text, ' '))
        return false;
    return take_clock(&text, time_ms) && take_offset(&text, time_ms) && text.len == 0 && *time_ms >= 0;
}
