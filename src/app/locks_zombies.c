/* locks_zombies.c - holders that were overtaken and have not noticed: what a process in the registry still
 * runs, though a later claim or a break has ended it.
 *
 * Happy path: those that made no step for a while and have sessions are suspected; the registry is read
 * again, and Postgres asked whether their claim still stands. Failure modes: without Redis nobody is
 * suspected. */
#include <string.h>

#include "app/locks_gather.h"
#include "base/arena.h"
#include "base/slice.h"

/* The registry is some time behind: who has really lost its claim has made no step since it was last told of.
 */
static bool may_be_zombie(const struct fl_gather *gather, const struct fl_running *running)
{
    bool is_held = running->token > 0 && running->idle_ms >= 0;
    return is_held && running->idle_ms + running->process->beat_ms > gather->settle_ms &&
           fl_gather_has_session(gather->locks, running->process->holder);
}

static bool is_shown(const struct fl_locks *locks, const struct fl_running *running)
{
    for (size_t i = 0; i < locks->count; i++)
        if (locks->locks[i].token == running->token && locks->locks[i].job_id == running->job_id &&
            fl_slice_eq(locks->locks[i].holder, running->process->holder))
            return true;
    return false;
}

struct suspects {
    const struct fl_running **runnings;
    int64_t *ids;
    struct fl_pg_lock_job *jobs;
    struct fl_slice *episodes;
    struct fl_pg_claim *claims;
    size_t count;
};

/* What Postgres knows about them. */
static fl_status ask_about(struct fl_gather *gather, struct suspects *suspects)
{
    fl_status status = FL_OK;
    suspects->jobs = fl_gather_allocate(gather, suspects->count, sizeof *suspects->jobs, &status);
    suspects->episodes = fl_gather_allocate(gather, suspects->count, sizeof *suspects->episodes, &status);
    suspects->claims = fl_gather_allocate(gather, suspects->count, sizeof *suspects->claims, &status);
    if (status == FL_OK)
        status = fl_pg_locks_jobs(gather->pg, gather->arena, suspects->ids, suspects->count, suspects->jobs,
                                  gather->err);
    for (size_t i = 0; status == FL_OK && i < suspects->count; i++)
        suspects->episodes[i] = suspects->jobs[i].episode;
    if (status == FL_OK)
        status = fl_pg_locks_claims(gather->pg, gather->arena, suspects->episodes, suspects->count,
                                    suspects->claims, gather->err);
    return status;
}

static struct fl_lock zombie_of(const struct fl_locks *locks, const struct suspects *suspects, size_t i)
{
    const struct fl_running *running = suspects->runnings[i];
    struct fl_lock lock = {
        .episode = suspects->episodes[i],
        .kind = suspects->jobs[i].kind,
        .holder = running->process->holder,
        .job_id = running->job_id,
        .token = running->token,
        .claim = suspects->claims[i],
        .is_open = suspects->jobs[i].is_open,
        .process = running->process,
        .running = running,
        .held_ms = running->held_ms,
        .idle_ms = running->idle_ms + running->process->beat_ms,
        .lease.left_ms = FL_UNKNOWN_MS,
        .verdict = FL_VERDICT_ZOMBIE,
    };
    lock.session = fl_gather_session_of(locks, &lock);
    return lock;
}

/* Overtaken for long enough that its process would have said so, had it noticed. A job that was decided under
 * this very token is no loss: it had ended before. */
static bool is_zombie(const struct fl_gather *gather, const struct suspects *suspects, size_t i)
{
    const struct fl_running *running = suspects->runnings[i];
    const struct fl_pg_lock_job *job = &suspects->jobs[i];
    const struct fl_pg_claim *claim = &suspects->claims[i];
    bool is_overtaken =
        claim->fence > running->token && (claim->age_ms < 0 || claim->age_ms > gather->settle_ms);
    return job->is_known && is_overtaken && (job->is_open || job->token != running->token);
}

static fl_status list_suspects(struct fl_gather *gather, const struct fl_registry *registry,
                               struct suspects *suspects)
{
    fl_status status = FL_OK;
    *suspects = (struct suspects){0};
    suspects->runnings =
        fl_gather_allocate(gather, registry->running_count, sizeof(struct fl_running *), &status);
    suspects->ids = fl_gather_allocate(gather, registry->running_count, sizeof *suspects->ids, &status);
    for (size_t i = 0; status == FL_OK && i < registry->running_count; i++) {
        const struct fl_running *running = &registry->runnings[i];
        if (!may_be_zombie(gather, running) || is_shown(gather->locks, running))
            continue;
        suspects->ids[suspects->count] = running->job_id;
        suspects->runnings[suspects->count++] = running;
    }
    return status;
}

fl_status fl_gather_zombies(struct fl_gather *gather, struct fl_slice episode)
{
    struct fl_locks *locks = gather->locks;
    struct fl_registry now;
    struct suspects suspects;
    struct fl_err err;
    fl_status status = list_suspects(gather, &locks->registry, &suspects);
    if (status != FL_OK || suspects.count == 0 || !gather->redis)
        return status;
    /* What was read first is old by now, if there are many locks: who is suspected is asked again. */
    if (fl_registry_read(&now, gather->redis, gather->arena, &err) != FL_OK) {
        fl_gather_lose_redis(gather, &err);
        return FL_OK;
    }
    status = list_suspects(gather, &now, &suspects);
    struct fl_lock *all = fl_gather_allocate(gather, locks->count + suspects.count, sizeof *all, &status);
    if (status == FL_OK)
        status = ask_about(gather, &suspects);
    if (status != FL_OK)
        return status;
    if (locks->count)
        memcpy(all, locks->locks, locks->count * sizeof *all);
    for (size_t i = 0; i < suspects.count; i++) {
        bool is_asked_for = !episode.ptr || fl_slice_eq(episode, suspects.episodes[i]);
        if (is_asked_for && is_zombie(gather, &suspects, i))
            all[locks->count++] = zombie_of(locks, &suspects, i);
    }
    locks->locks = all;
    return FL_OK;
}
