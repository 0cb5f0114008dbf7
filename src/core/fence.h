/* fence.h - the only place in C that compares token, fence and nonce (house, "Layout").
 *
 * The comparisons that safety rests on run in Postgres (config/schema); these save work and catch a Redis
 * that hands out nonsense. */
#ifndef FL_CORE_FENCE_H
#define FL_CORE_FENCE_H

#include "fenceline/types.h"

enum fl_token_verdict {
    FL_TOKEN_GOOD,
    FL_TOKEN_TOO_LOW,  /* not above the fence that was read: the claim could not succeed */
    FL_TOKEN_POISONED, /* above fence + 2^32, or 2^53 and more: the counter in Redis was tampered with */
};

/* May this token, minted for an episode whose fence was read as `fence`, be claimed? (protocol, step 2) */
enum fl_token_verdict fl_fence_check_token(struct fl_token token, struct fl_fence fence);

/* Does the claim seen in the database belong to this token and nonce? (protocol, step 3, reply lost) */
bool fl_fence_is_mine(struct fl_fence seen_fence, struct fl_nonce seen_nonce, struct fl_token token,
                      struct fl_nonce nonce);

/* A fresh nonce of 128 random bits. */
struct fl_nonce fl_fence_nonce(const uint64_t random[2]);

#endif
