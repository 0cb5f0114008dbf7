/* retry.c - see retry.h. */
#include "core/retry.h"

int64_t fl_retry_delay_ms(uint32_t attempt, int64_t base_ms, int64_t max_ms, uint64_t random)
{
    int64_t ceiling_ms = base_ms;
    while (attempt-- > 0 && ceiling_ms < max_ms)
        ceiling_ms *= 2;
    if (ceiling_ms > max_ms)
        ceiling_ms = max_ms;
    return 1 + (int64_t)(random % (uint64_t)ceiling_ms);
}
