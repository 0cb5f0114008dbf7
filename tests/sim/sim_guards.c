/* sim_guards.c - guards of core/fence.c that a run can leave out: the linker puts these in front of the
 * production functions (--wrap), which stay as they are. See sim.h. */
#include "core/fence.h"
#include "sim.h"

static enum sim_mutant missing;

void sim_leave_out(enum sim_mutant mutant)
{
    missing = mutant;
}

enum fl_token_verdict __real_fl_fence_check_token(struct fl_token token, struct fl_fence fence);
enum fl_token_verdict __wrap_fl_fence_check_token(struct fl_token token, struct fl_fence fence);
enum fl_token_verdict __wrap_fl_fence_check_token(struct fl_token token, struct fl_fence fence)
{
    enum fl_token_verdict verdict = __real_fl_fence_check_token(token, fence);
    return verdict == FL_TOKEN_TOO_LOW && missing == SIM_TOKEN_ABOVE_FENCE ? FL_TOKEN_GOOD : verdict;
}

bool __real_fl_fence_is_mine(struct fl_fence seen, struct fl_nonce seen_nonce, struct fl_token token,
                             struct fl_nonce nonce);
bool __wrap_fl_fence_is_mine(struct fl_fence seen, struct fl_nonce seen_nonce, struct fl_token token,
                             struct fl_nonce nonce);
bool __wrap_fl_fence_is_mine(struct fl_fence seen, struct fl_nonce seen_nonce, struct fl_token token,
                             struct fl_nonce nonce)
{
    if (missing == SIM_NONCE)
        return seen.n == token.n;
    return __real_fl_fence_is_mine(seen, seen_nonce, token, nonce);
}
