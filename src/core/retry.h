/* retry.h - how long to wait before the next try. */
#ifndef FL_CORE_RETRY_H
#define FL_CORE_RETRY_H

#include <stdint.h>

/* Exponential backoff with full jitter: 1 to min(max_ms, base_ms * 2^attempt), evenly. attempt counts from 0.
 */
int64_t fl_retry_delay_ms(uint32_t attempt, int64_t base_ms, int64_t max_ms, uint64_t random);

#endif
