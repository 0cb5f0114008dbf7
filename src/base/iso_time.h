/* iso_time.h - points in time as ISO 8601 writes them. */
#ifndef FL_BASE_ISO_TIME_H
#define FL_BASE_ISO_TIME_H

#include "fenceline/types.h"

/* "2026-02-01T10:00:00Z" to ms since 1970: seconds and their fraction are optional, a blank may stand for the
 * T, an offset (+01:00, -0530, +01) for the Z, and without either it is UTC; a date alone is its midnight. A
 * leap second counts as the second after it. False for anything else, dates that do not exist, and years
 * other than 1970 to 9999. */
bool fl_iso_time(struct fl_slice text, int64_t *time_ms);

#endif
