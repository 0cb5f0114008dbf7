/* fence.c - see fence.h. Pure. */
#include "core/fence.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAX_TOKEN      (INT64_C(1) << 53)
#define MAX_TOKEN_JUMP (INT64_C(1) << 32)

enum fl_token_verdict fl_fence_check_token(struct fl_token token, struct fl_fence fence)
{
    if (token.n <= fence.n)
        return FL_TOKEN_TOO_LOW;
    if (token.n >= MAX_TOKEN || token.n - fence.n > MAX_TOKEN_JUMP)
        return FL_TOKEN_POISONED;
    return FL_TOKEN_GOOD;
}

bool fl_fence_is_mine(struct fl_fence seen_fence, struct fl_nonce seen_nonce, struct fl_token token,
                      struct fl_nonce nonce)
{
    return seen_fence.n == token.n && memcmp(seen_nonce.hex, nonce.hex, FL_NONCE_LEN) == 0;
}

struct fl_nonce fl_fence_nonce(const uint64_t random[2])
{
    struct fl_nonce nonce;
    snprintf(nonce.hex, sizeof nonce.hex, "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
    return nonce;
}
