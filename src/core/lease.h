/* lease.h - the local view of one lease: its deadline and when to renew it (protocol, steps 2 and 4). */
#ifndef FL_CORE_LEASE_H
#define FL_CORE_LEASE_H

#include "fenceline/import.h"

/* A fresh acquisition is about to be sent at now_ms: new nonce, nothing held, release owed from now on. */
void fl_lease_begin(struct fl_lease *lease, const uint64_t random[2], int64_t now_ms);

/* It was granted. The deadline counts from the moment the command was sent. */
void fl_lease_grant(struct fl_lease *lease, struct fl_token token, const struct fl_import_policy *policy,
                    int64_t now_ms);

/* Is it past its local deadline, or known to be gone? Then stop early. */
bool fl_lease_is_over(const struct fl_lease *lease, int64_t now_ms);

/* Should a renewal be sent now? Notes progress; ends renewal for good when the work has made none for
 * policy->lease_stall_ms, or policy->lease_max_ms after the grant. */
bool fl_lease_wants_renewal(struct fl_lease *lease, const struct fl_import_policy *policy, int64_t now_ms,
                            uint64_t progress);

/* A renewal with number op is sent now; its answer: held by us (the deadline moves), gone, or unknown (again
 * soon). */
void fl_lease_renewing(struct fl_lease *lease, uint32_t op, int64_t now_ms);
void fl_lease_renewed(struct fl_lease *lease, const struct fl_import_policy *policy, bool held);
void fl_lease_renewal_failed(struct fl_lease *lease, const struct fl_import_policy *policy, int64_t now_ms);

/* Released, or nothing to release: forget it. */
void fl_lease_end(struct fl_lease *lease);

#endif
