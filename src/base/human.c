/* human.c - see human.h. Failure modes: none; what is beyond the largest unit is a large number of it. */
#include "base/human.h"

#include <inttypes.h>
#include <stdio.h>

const char *fl_human_span(int64_t span_ms, char out[FL_HUMAN_BYTES])
{
    static const struct {
        uint64_t below_ms, unit_ms, part_ms, parts;
        const char *format;
    } FORMS[] = {
        {100, 1, 1, 1, "%s%" PRIu64 "ms"},
        {10000, 1000, 100, 10, "%s%" PRIu64 ".%ds"},
        {60000, 1000, 1000, 1, "%s%" PRIu64 "s"},
        {3600000, 60000, 1000, 60, "%s%" PRIu64 "m%02ds"},
        {86400000, 3600000, 60000, 60, "%s%" PRIu64 "h%02dm"},
        {UINT64_MAX, 86400000, 3600000, 24, "%s%" PRIu64 "d%02dh"},
    };
    uint64_t ms = span_ms < 0 ? 0 - (uint64_t)span_ms : (uint64_t)span_ms; /* INT64_MIN has no opposite */
    size_t form = 0;
    while (ms >= FORMS[form].below_ms)
        form++;
    snprintf(out, FL_HUMAN_BYTES, FORMS[form].format, span_ms < 0 ? "-" : "", ms / FORMS[form].unit_ms,
             (int)(ms / FORMS[form].part_ms % FORMS[form].parts));
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
