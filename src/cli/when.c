/* when.c - see when.h. */
#include "cli/when.h"

#include "base/slice.h"

enum { SECOND_MS = 1000, MINUTE_MS = 60 * SECOND_MS, HOUR_MS = 60 * MINUTE_MS, DAY_MS = 24 * HOUR_MS };

static const int64_t DURATION_MAX_MS = INT64_C(36525) * DAY_MS;

fl_status fl_when_duration(struct fl_slice text, const char *option, int64_t *duration_ms, struct fl_err *err)
{
    static const struct {
        char unit;
        int64_t ms;
    } UNITS[] = {{'s', SECOND_MS}, {'m', MINUTE_MS}, {'h', HOUR_MS}, {'d', DAY_MS}};
    struct fl_slice rest = text;
    int64_t number;
    if (fl_slice_take_digits(&rest, &number) > 0 && rest.len == 1)
        for (size_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++)
            if (rest.ptr[0] == UNITS[i].unit && number <= DURATION_MAX_MS / UNITS[i].ms) {
                *duration_ms = number * UNITS[i].ms;
                return FL_OK;
            }
    return fl_err_set(err, FL_USAGE, "--%s takes a duration such as 90s, 15m, 12h or 7d, not '%.*s'", option,
                      text.len > 80 ? 80 : (int)text.len, text.ptr);
}

/* Exactly `digits` digits. */
static bool take_number(struct fl_slice *text, size_t digits, int64_t min, int64_t max, int64_t *number)
{
    struct fl_slice head = {text->ptr, text->len < digits ? text->len : digits};
    if (fl_slice_take_digits(&head, number) != digits || *number < min || *number > max)
        return false;
    *text = (struct fl_slice){text->ptr + digits, text->len - digits};
    return true;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days since 1970-01-01 in the Gregorian calendar: whole years, then months. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    static const int BEFORE[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int64_t y = year - 1;
    int64_t days = 365 * (year - 1970) + (y / 4 - y / 100 + y / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400);
    return days + BEFORE[month - 1] + (month > 2 && is_leap(year)) + day - 1;
}

static bool take_date(struct fl_slice *text, int64_t *time_ms)
{
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t year, month, day;
    if (!take_number(text, 4, 1970, 9999, &year) || !fl_slice_take_char(text, '-') ||
        !take_number(text, 2, 1, 12, &month) || !fl_slice_take_char(text, '-') ||
        !take_number(text, 2, 1, DAYS[month - 1] + (month == 2 && is_leap(year)), &day))
        return false;
    *time_ms = days_of(year, month, day) * DAY_MS;
    return true;
}

static bool take_fraction(struct fl_slice *text, int64_t *time_ms)
{
    int64_t unit = 100;
    if (text->len == 0 || text->ptr[0] < '0' || text->ptr[0] > '9')
        return false;
    while (text->len && text->ptr[0] >= '0' && text->ptr[0] <= '9') {
        *time_ms += (text->ptr[0] - '0') * unit;
        unit /= 10;
        *text = (struct fl_slice){text->ptr + 1, text->len - 1};
    }
    return true;
}

static bool take_clock(struct fl_slice *text, int64_t *time_ms)
{
    int64_t hour, minute, second = 0;
    if (!take_number(text, 2, 0, 23, &hour) || !fl_slice_take_char(text, ':') ||
        !take_number(text, 2, 0, 59, &minute))
        return false;
    *time_ms += hour * HOUR_MS + minute * MINUTE_MS;
    if (!fl_slice_take_char(text, ':'))
        return true;
    if (!take_number(text, 2, 0, 60, &second))
        return false;
    *time_ms += second * SECOND_MS;
    return !fl_slice_take_char(text, '.') || take_fraction(text, time_ms);
}

static bool take_offset(struct fl_slice *text, int64_t *time_ms)
{
    int64_t hour, minute;
    bool is_east = text->len > 0 && text->ptr[0] == '+';
    if (text->len == 0 || fl_slice_take_char(text, 'Z'))
        return true;
    if (!fl_slice_take_char(text, '+') && !fl_slice_take_char(text, '-'))
        return false;
    if (!take_number(text, 2, 0, 14, &hour))
        return false;
    fl_slice_take_char(text, ':');
    if (!take_number(text, 2, 0, 59, &minute))
        return false;
    *time_ms += (is_east ? -1 : 1) * (hour * HOUR_MS + minute * MINUTE_MS);
    return true;
}

fl_status fl_when_time(struct fl_slice text, const char *option, int64_t *time_ms, struct fl_err *err)
{
    struct fl_slice rest = text;
    bool is_good = take_date(&rest, time_ms);
    if (is_good && rest.len && (fl_slice_take_char(&rest, 'T') || fl_slice_take_char(&rest, ' ')))
        is_good = take_clock(&rest, time_ms) && take_offset(&rest, time_ms);
    if (is_good && rest.len == 0)
        return FL_OK;
    return fl_err_set(err, FL_USAGE, "--%s takes a time such as 2026-02-01T10:00:00Z, not '%.*s'", option,
                      text.len > 80 ? 80 : (int)text.len, text.ptr);
}
