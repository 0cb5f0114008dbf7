/* human.h - amounts as people read them. */
#ifndef FL_BASE_HUMAN_H
#define FL_BASE_HUMAN_H

#include <stdint.h>

enum { FL_HUMAN_BYTES = 32 };

/* How long: "40ms", "0.4s", "12s", "3m12s", "5h07m", "2d04h", never rounded up; a negative one with its
 * minus. Returns out. */
const char *fl_human_span(int64_t span_ms, char out[FL_HUMAN_BYTES]);

/* "812 B", "1.5 KiB", "64.0 MiB"; never negative. Returns out. */
const char *fl_human_size(int64_t size_bytes, char out[FL_HUMAN_BYTES]);

#endif
