/* when.c - see when.h. */
#include "cli/when.h"

#include "base/iso_time.h"
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

fl_status fl_when_time(struct fl_slice text, const char *option, int64_t *time_ms, struct fl_err *err)
{
    if (fl_iso_time(text, time_ms))
        return FL_OK;
    return fl_err_set(err, FL_USAGE, "--%s takes a time such as 2026-02-01T10:00:00Z, not '%.*s'", option,
                      text.len > 80 ? 80 : (int)text.len, text.ptr);
}
