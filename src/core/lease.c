/* lease.c - see lease.h. Pure arithmetic; a renewal a third of the way leaves two more tries before the end.
 */
#include "core/lease.h"

#include "core/fence.h"

void fl_lease_begin(struct fl_lease *lease, const uint64_t random[2], int64_t now_ms)
{
    *lease = (struct fl_lease){
        .nonce = fl_fence_nonce(random), .owed = true, .granted_ms = now_ms, .renew_at_ms = FL_NEVER_MS};
}

void fl_lease_grant(struct fl_lease *lease, struct fl_token token, const struct fl_import_policy *policy,
                    int64_t now_ms)
{
    lease->held = true;
    lease->token = token;
    lease->deadline_ms = lease->granted_ms + policy->lease_ttl_ms;
    lease->renew_at_ms = lease->granted_ms + policy->lease_ttl_ms / 3;
    lease->progress_ms = now_ms;
}

bool fl_lease_is_over(const struct fl_lease *lease, int64_t now_ms)
{
    return lease->lost || !lease->held || now_ms >= lease->deadline_ms;
}

bool fl_lease_wants_renewal(struct fl_lease *lease, const struct fl_import_policy *policy, int64_t now_ms,
                            uint64_t progress)
{
    if (!lease->held || lease->lost || lease->renew_op || now_ms < lease->renew_at_ms)
        return false;
    if (progress != lease->progress) {
        lease->progress = progress;
        lease->progress_ms = now_ms;
    }
    bool stalled = now_ms - lease->progress_ms >= policy->lease_stall_ms;
    bool capped = now_ms - lease->granted_ms >= policy->lease_max_ms;
    if (stalled || capped)
        lease->renew_at_ms = FL_NEVER_MS;
    return !stalled && !capped;
}

void fl_lease_renewing(struct fl_lease *lease, uint32_t op, int64_t now_ms)
{
    lease->renew_op = op;
    lease->renew_sent_ms = now_ms;
    lease->renew_at_ms = FL_NEVER_MS;
}

void fl_lease_renewed(struct fl_lease *lease, const struct fl_import_policy *policy, bool held)
{
    lease->renew_op = 0;
    if (!held) {
        lease->lost = true;
        return;
    }
    lease->renewals++;
    lease->deadline_ms = lease->renew_sent_ms + policy->lease_ttl_ms;
    lease->renew_at_ms = lease->renew_sent_ms + policy->lease_ttl_ms / 3;
}

void fl_lease_renewal_failed(struct fl_lease *lease, const struct fl_import_policy *policy, int64_t now_ms)
{
    lease->renew_op = 0;
    lease->renew_at_ms = now_ms + policy->lease_ttl_ms / 10 + 1;
}

void fl_lease_end(struct fl_lease *lease)
{
    *lease = (struct fl_lease){.renew_at_ms = FL_NEVER_MS};
}
