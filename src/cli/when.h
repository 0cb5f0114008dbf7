/* when.h - times and durations as people write them. */
#ifndef FL_CLI_WHEN_H
#define FL_CLI_WHEN_H

#include "fenceline/err.h"
#include "fenceline/types.h"

/* "90s", "15m", "12h" or "7d": a whole number and one unit, at most 100 years, to milliseconds. option is
 * named in the message. FL_USAGE. */
FL_CHECKED fl_status fl_when_duration(struct fl_slice text, const char *option, int64_t *duration_ms,
                                      struct fl_err *err);

/* ISO 8601, as base/iso_time.h reads it, to milliseconds since 1970. FL_USAGE. */
FL_CHECKED fl_status fl_when_time(struct fl_slice text, const char *option, int64_t *time_ms,
                                  struct fl_err *err);

#endif
