/* human.c - see human.h. Failure modes: none; what is beyond the largest unit is a large number of it. */
#include "base/human.h"

#include <inttypes.h>
#include <stdio.h>

enum { SECOND_MS = 1000, MINUTE_S = 60, HOUR_S = 3600, DAY_S = 86400 };

const char *fl_human_span(int64_t span_ms, char out[FL_HUMAN_BYTES])
{
    const char *sign = span_ms < 0 ? "-" : "";
    uint64_t ms = span_ms < 0 ? 0 - (uint64_t)span_ms : (uint64_t)span_ms; /* INT64_MIN has no opposite */
    uint64_t s = ms / SECOND_MS;
    if (s < 10)
        snprintf(out, FL_HUMAN_BYTES, "%s%" PRIu64 ".%ds", sign, s, (int)(ms % SECOND_MS / 100));
    else if (s < MINUTE_S)
        snprintf(out, FL_HUMAN_BYTES, "%s%" PRIu64 "s", sign, s);
    else if (s < HOUR_S)
        snprintf(out, FL_HUMAN_BYTES, "%s%" PRIu64 "m%02ds", sign, s / MINUTE_S, (int)(s % MINUTE_S));
    else if (s < DAY_S)
        snprintf(out, FL_HUMAN_BYTES, "%s%" PRIu64 "h%02dm", sign, s / HOUR_S, (int)(s % HOUR_S / MINUTE_S));
    else
        snprintf(out, FL_HUMAN_BYTES, "%s%" PRIu64 "d%02dh", sign, s / DAY_S, (int)(s % DAY_S / HOUR_S));
    return out;
}

const char *fl_human_size(int64_t size_bytes, char out[FL_HUMAN_BYTES])
{
    static const char *const UNITS[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double size = size_bytes < 0 ? 0 : (double)size_bytes;
    size_t unit = 0;
    while (size >= 1023.95 && unit + 1 < sizeof UNITS / sizeof *UNITS) { /* would be printed as 1024.0 */
        size /= 1024;
        unit++;
    }
    snprintf(out, FL_HUMAN_BYTES, unit == 0 ? "%.0f %s" : "%.1f %s", size, UNITS[unit]);
    return out;
}
