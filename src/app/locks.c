/* locks.c - see locks.h.
 *
 * Happy path: leases by SCAN, claims and jobs of those episodes and of all open claims, the registry,
 * sessions; joined, judged, sorted. What looks wrong is looked at a second time, since the parts are not read
 * at one moment: who has moved meanwhile is judged anew. Failure modes: without Redis the claims alone are
 * shown; without Postgres there is no answer. */
#include "app/locks_gather.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/slice.h"

enum {
    SESSION_NAME_BYTES = 53, /* what Postgres keeps of a holder behind "fenceline " */
    SECOND_LOOKS = 10000     /* where more than so many look wrong, they did not just move */
};

void *fl_gather_allocate(struct fl_gather *gather, size_t count, size_t size, fl_status *status)
{
    void *memory = fl_arena_alloc(gather->arena, count * size);
    if (memory && count)
        memset(memory, 0, count * size);
    if (!memory && *status == FL_OK)
        *status = fl_err_set(gather->err, FL_NO_MEMORY, "no memory for the list of locks");
    return memory;
}

void fl_gather_lose_redis(struct fl_gather *gather, const struct fl_err *err)
{
    gather->redis = NULL;
    gather->locks->redis_answers = false;
    gather->locks->redis_err = *err;
}

/* ---- joining ---- */

bool fl_locks_is_session_of(struct fl_slice session, struct fl_slice holder)
{
    if (holder.len > SESSION_NAME_BYTES)
        holder.len = SESSION_NAME_BYTES;
    return holder.len > 0 && fl_slice_eq(session, holder);
}

bool fl_gather_has_session(const struct fl_locks *locks, struct fl_slice holder)
{
    for (size_t i = 0; i < locks->session_count; i++)
        if (fl_locks_is_session_of(locks->sessions[i].holder, holder))
            return true;
    return false;
}

const struct fl_pg_session *fl_gather_session_of(const struct fl_locks *locks, const struct fl_lock *lock)
{
    for (size_t i = 0; lock->running && i < locks->session_count; i++)
        if (locks->sessions[i].pid == lock->running->backend &&
            fl_locks_is_session_of(locks->sessions[i].holder, lock->holder))
            return &locks->sessions[i];
    return NULL;
}

/* Who holds it: whoever has the lease, or else who has claimed it. */
static void join(const struct fl_locks *locks, struct fl_lock *lock, int64_t ttl_ms)
{
    const struct fl_redis_lock *lease = &lock->lease;
    const struct fl_pg_claim *claim = &lock->claim;
    bool by_lease = lease->has_lease && !lease->is_foreign;
    lock->holder = by_lease ? lease->holder : claim->holder;
    lock->job_id = by_lease ? lease->job_id : claim->job_id;
    lock->token = by_lease ? lease->token : claim->job_id ? claim->fence : 0;
    lock->is_claimed = by_lease ? claim->fence == lease->token && fl_slice_eq(claim->nonce, lease->nonce)
                                : claim->job_is_open && !lease->has_lease;
    lock->process = fl_registry_process(&locks->registry, lock->holder);
    lock->running = fl_registry_running(&locks->registry, lock->holder, lock->job_id, lock->token);
    lock->session = fl_gather_session_of(locks, lock);
    lock->held_ms = lock->is_claimed ? claim->age_ms
                    : lock->running  ? lock->running->held_ms
                    : by_lease       ? ttl_ms - lease->left_ms /* unless it was renewed */
                                     : FL_UNKNOWN_MS;
    bool knows_idle = lock->running && lock->running->idle_ms >= 0;
    lock->idle_ms = knows_idle ? lock->running->idle_ms + lock->process->beat_ms : FL_UNKNOWN_MS;
}

static bool is_held(const struct fl_lock *lock)
{
    return lock->lease.has_lease || lock->is_claimed;
}

static void judge(const struct fl_gather *gather, struct fl_lock *lock)
{
    const struct fl_redis_lock *lease = &lock->lease;
    bool by_lease = lease->has_lease && !lease->is_foreign;
    /* A week after a claim its counter may be gone without any loss. */
    enum { COUNTER_LIVES_MS = 6 * 24 * 3600 * 1000 };
    const struct fl_lock_facts facts = {
        .redis_answers = gather->redis != NULL,
        .redis_forgot = lease->counter < lock->claim.fence && lock->claim.age_ms < COUNTER_LIVES_MS,
        .has_lease = lease->has_lease,
        .is_foreign = lease->is_foreign,
        .is_superseded = by_lease && lease->token <= lock->claim.fence && !lock->is_claimed,
        .has_session = fl_gather_has_session(gather->locks, lock->holder),
        .left_ms = lease->left_ms,
        .held_ms = lock->held_ms,
        .beat_ms = lock->process ? lock->process->beat_ms : FL_UNKNOWN_MS,
        .idle_ms = lock->idle_ms,
    };
    lock->verdict = fl_verdict_judge(&facts, &gather->limits);
}

/* Fills the rows of these episodes; leases that were read already are in the rows. */
static fl_status fill(struct fl_gather *gather, struct fl_lock *rows, size_t count)
{
    fl_status status = FL_OK;
    struct fl_slice *episodes = fl_gather_allocate(gather, count, sizeof *episodes, &status);
    struct fl_pg_claim *claims = fl_gather_allocate(gather, count, sizeof *claims, &status);
    int64_t *ids = fl_gather_allocate(gather, count, sizeof *ids, &status);
    struct fl_pg_lock_job *jobs = fl_gather_allocate(gather, count, sizeof *jobs, &status);
    for (size_t i = 0; status == FL_OK && i < count; i++)
        episodes[i] = rows[i].episode;
    if (status == FL_OK)
        status = fl_pg_locks_claims(gather->pg, gather->arena, episodes, count, claims, gather->err);
    for (size_t i = 0; status == FL_OK && i < count; i++) {
        rows[i].claim = claims[i];
        join(gather->locks, &rows[i], gather->limits.ttl_ms);
        ids[i] = rows[i].job_id;
    }
    if (status == FL_OK)
        status = fl_pg_locks_jobs(gather->pg, gather->arena, ids, count, jobs, gather->err);
    for (size_t i = 0; status == FL_OK && i < count; i++) {
        if (jobs[i].is_known && fl_slice_eq(jobs[i].episode, rows[i].episode)) {
            rows[i].kind = jobs[i].kind;
            rows[i].is_open = jobs[i].is_open;
        } else { /* anybody can have written that number into the lease */
            rows[i].job_id = 0;
        }
        judge(gather, &rows[i]);
    }
    return status;
}

static fl_status look_at_leases(struct fl_gather *gather, struct fl_lock *rows, size_t count)
{
    fl_status status = FL_OK;
    struct fl_err err;
    struct fl_slice *episodes = fl_gather_allocate(gather, count, sizeof *episodes, &status);
    struct fl_redis_lock *leases = fl_gather_allocate(gather, count, sizeof *leases, &status);
    if (status != FL_OK)
        return status;
    for (size_t i = 0; i < count; i++)
        episodes[i] = rows[i].episode;
    if (gather->redis &&
        fl_redis_locks_look(gather->redis, gather->arena, episodes, count, leases, &err) != FL_OK)
        fl_gather_lose_redis(gather, &err);
    for (size_t i = 0; gather->redis && i < count; i++)
        rows[i].lease = leases[i];
    return FL_OK;
}

/* ---- which episodes ---- */

static fl_status list_episodes(struct fl_gather *gather)
{
    struct fl_locks *locks = gather->locks;
    struct fl_redis_lock *leases = NULL;
    struct fl_slice *claimed;
    size_t lease_count = 0, claim_count = 0, count = 0, missing = 0;
    struct fl_err err;
    if (gather->redis &&
        fl_redis_locks_scan(gather->redis, gather->arena, &leases, &lease_count, &err) != FL_OK) {
        fl_gather_lose_redis(gather, &err);
        lease_count = 0;
    }
    fl_status status =
        fl_pg_locks_open_claims(gather->pg, gather->arena, &claimed, &claim_count, gather->err);
    if (status != FL_OK)
        return status;
    locks->locks = fl_gather_allocate(gather, lease_count + claim_count, sizeof *locks->locks, &status);
    struct fl_lock *without = fl_gather_allocate(gather, claim_count, sizeof *without, &status);
    if (status != FL_OK)
        return status;
    for (size_t i = 0; i < lease_count; i++)
        locks->locks[count++] = (struct fl_lock){.episode = leases[i].episode, .lease = leases[i]};
    for (size_t i = 0, at = 0; i < claim_count; i++) { /* both are in order */
        while (at < lease_count && fl_slice_compare(leases[at].episode, claimed[i]) < 0)
            at++;
        if (at == lease_count || !fl_slice_eq(leases[at].episode, claimed[i]))
            without[missing++] = (struct fl_lock){.episode = claimed[i]};
    }
    status = look_at_leases(gather, without, missing);
    for (size_t i = 0; i < missing; i++)
        locks->locks[count++] = without[i];
    locks->count = count;
    return status;
}

/* ---- a second look ---- */

/* Between both looks somebody else has claimed it: that its lease was not seen says nothing yet. */
static bool has_moved(const struct fl_lock *first, const struct fl_lock *again)
{
    return again->verdict == FL_VERDICT_FENCE_AHEAD && first->claim.fence != again->claim.fence;
}

static fl_status look_again(struct fl_gather *gather)
{
    struct fl_locks *locks = gather->locks;
    fl_status status = FL_OK;
    size_t count = 0, kept = 0;
    struct fl_lock *again = fl_gather_allocate(gather, locks->count, sizeof *again, &status);
    struct fl_lock *first = fl_gather_allocate(gather, locks->count, sizeof *first, &status);
    if (status != FL_OK)
        return status;
    for (size_t i = 0; i < locks->count; i++) {
        bool is_fine = !fl_verdict_needs_person(locks->locks[i].verdict) || count == SECOND_LOOKS;
        if (is_held(&locks->locks[i]) && is_fine) {
            locks->locks[kept++] = locks->locks[i];
        } else if (is_held(&locks->locks[i])) {
            first[count] = locks->locks[i];
            again[count++] = (struct fl_lock){.episode = locks->locks[i].episode};
        }
    }
    status = look_at_leases(gather, again, count);
    if (status == FL_OK)
        status = fill(gather, again, count);
    for (size_t i = 0; status == FL_OK && i < count; i++)
        if (is_held(&again[i]) && !has_moved(&first[i], &again[i]))
            locks->locks[kept++] = again[i];
    locks->count = kept;
    return status;
}

/* ---- waiters ---- */

static size_t shown_waiters(const struct fl_lock *lock)
{
    return lock->lease.waiter_count < FL_LOCK_WAITERS ? lock->lease.waiter_count : FL_LOCK_WAITERS;
}

static int by_age(const void *a, const void *b)
{
    const struct fl_lock_waiter *x = a, *y = b;
    if (x->age_ms != y->age_ms)
        return x->age_ms > y->age_ms ? -1 : 1;
    return x->job_id < y->job_id ? -1 : x->job_id > y->job_id;
}

static fl_status add_waiters(struct fl_gather *gather)
{
    struct fl_locks *locks = gather->locks;
    fl_status status = FL_OK;
    size_t count = 0, at = 0;
    for (size_t i = 0; i < locks->count; i++)
        count += shown_waiters(&locks->locks[i]);
    int64_t *ids = fl_gather_allocate(gather, count, sizeof *ids, &status);
    struct fl_pg_lock_job *jobs = fl_gather_allocate(gather, count, sizeof *jobs, &status);
    struct fl_lock_waiter *waiters = fl_gather_allocate(gather, count, sizeof *waiters, &status);
    for (size_t i = 0; status == FL_OK && i < locks->count; i++)
        for (size_t k = 0; k < shown_waiters(&locks->locks[i]); k++)
            ids[at++] = locks->locks[i].lease.waiters[k];
    if (status == FL_OK)
        status = fl_pg_locks_jobs(gather->pg, gather->arena, ids, count, jobs, gather->err);
    at = 0;
    for (size_t i = 0; status == FL_OK && i < locks->count; i++) {
        struct fl_lock *lock = &locks->locks[i];
        lock->waiters = &waiters[at];
        for (size_t k = 0; k < shown_waiters(lock); k++, at++)
            if (jobs[at].is_known && jobs[at].is_open && /* else it has found its answer elsewhere */
                fl_slice_eq(jobs[at].episode, lock->episode))
                lock->waiters[lock->waiters_known++] = (struct fl_lock_waiter){
                    .job_id = ids[at], .age_ms = jobs[at].age_ms, .holder = jobs[at].worker};
        if (lock->waiters_known)
            qsort(lock->waiters, lock->waiters_known, sizeof *lock->waiters, by_age);
    }
    return status;
}

static int by_attention(const void *a, const void *b)
{
    const struct fl_lock *x = a, *y = b;
    if (x->verdict != y->verdict)
        return x->verdict < y->verdict ? -1 : 1;
    return fl_slice_compare(x->episode, y->episode);
}

static fl_status read_parts(struct fl_gather *gather)
{
    struct fl_locks *locks = gather->locks;
    struct fl_err err;
    if (gather->redis && fl_registry_read(&locks->registry, gather->redis, gather->arena, &err) != FL_OK)
        fl_gather_lose_redis(gather, &err);
    return fl_pg_locks_sessions(gather->pg, gather->arena, &locks->sessions, &locks->session_count,
                                gather->err);
}

static fl_status read_one(struct fl_gather *gather, struct fl_slice episode)
{
    struct fl_locks *locks = gather->locks;
    fl_status status = FL_OK;
    locks->locks = fl_gather_allocate(gather, 1, sizeof *locks->locks, &status);
    if (status != FL_OK)
        return status;
    locks->locks[0].episode = episode;
    locks->count = 1;
    status = look_at_leases(gather, locks->locks, 1);
    return status == FL_OK ? fill(gather, locks->locks, 1) : status;
}

static fl_status read_all(struct fl_gather *gather)
{
    fl_status status = list_episodes(gather);
    if (status == FL_OK)
        status = fill(gather, gather->locks->locks, gather->locks->count);
    return status == FL_OK ? look_again(gather) : status;
}

fl_status fl_locks_read(struct fl_locks *locks, struct fl_redis_sync *redis, struct fl_pg_sync *pg,
                        struct fl_arena *arena, const struct fl_settings *settings, struct fl_slice episode,
                        struct fl_err *err)
{
    struct fl_gather gather = {
        .locks = locks,
        .redis = redis,
        .pg = pg,
        .arena = arena,
        .limits = {.ttl_ms = settings->policy.lease_ttl_ms,
                   .dead_ms = settings->worker.dead_ms,
                   .stall_ms = settings->policy.lease_stall_ms / 2},
        .settle_ms = 2 * settings->worker.heartbeat_ms,
        .err = err,
    };
    locks->arena = arena;
    locks->redis_answers = redis != NULL;
    fl_status status = read_parts(&gather);
    if (status == FL_OK)
        status = episode.ptr ? read_one(&gather, episode) : read_all(&gather);
    if (status == FL_OK)
        status = fl_gather_zombies(&gather, episode);
    if (status == FL_OK)
        status = add_waiters(&gather);
    if (status == FL_OK && locks->count)
        qsort(locks->locks, locks->count, sizeof *locks->locks, by_attention);
    return status;
}
