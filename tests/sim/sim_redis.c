/* sim_redis.c - the Lua scripts of lua/lease_*.lua, each at one moment. See sim.h. */
#include <inttypes.h>
#include <string.h>

#include "sim.h"

enum { WAITER_TTL_US = 60000000 };

static int64_t clock_of(const struct sim *sim)
{
    return sim->now_us + sim->redis.clock_us;
}

static bool is_same(const struct fl_nonce *a, const struct fl_nonce *b)
{
    return memcmp(a->hex, b->hex, FL_NONCE_LEN) == 0;
}

/* As Redis does it: a key whose time has come is gone when it is looked at. */
static struct sim_lease *lease_of(struct sim *sim, int episode)
{
    struct sim_lease *lease = &sim->redis.data.leases[episode];
    if (lease->is_held && lease->expires_us <= clock_of(sim))
        lease->is_held = false;
    return lease;
}

bool sim_redis_has(struct sim *sim, int episode)
{
    return lease_of(sim, episode)->is_held;
}

static void remove_waiter(struct sim *sim, int episode, int process, int64_t job_id)
{
    struct sim_redis_data *data = &sim->redis.data;
    struct sim_waiter *waiters = data->waiters[episode];
    size_t kept = 0;
    for (size_t i = 0; i < data->waiter_counts[episode]; i++)
        if (waiters[i].process != process || waiters[i].job_id != job_id)
            waiters[kept++] = waiters[i];
    data->waiter_counts[episode] = kept;
}

/* Ordered by when they asked last. */
static void add_waiter(struct sim *sim, const struct sim_call *call)
{
    struct sim_redis_data *data = &sim->redis.data;
    size_t *count = &data->waiter_counts[call->episode];
    remove_waiter(sim, call->episode, call->process->index, call->job_id);
    if (*count < SIM_WAITERS)
        data->waiters[call->episode][(*count)++] =
            (struct sim_waiter){call->process->index, call->job_id, clock_of(sim) + WAITER_TTL_US};
}

static void acquire(struct sim *sim, struct sim_call *call)
{
    struct sim_redis_data *data = &sim->redis.data;
    struct sim_lease *lease = lease_of(sim, call->episode);
    call->answer.leased.granted = !lease->is_held;
    if (lease->is_held) {
        call->answer.leased.remaining_ms = (lease->expires_us - clock_of(sim)) / 1000;
        call->answer.leased.holder = (struct fl_slice){"another", 7};
        add_waiter(sim, call);
        return;
    }
    int64_t counter = data->counters[call->episode];
    if (counter < call->fence && sim->mutant != SIM_FLOOR)
        counter = call->fence;
    bool is_invented = sim_fault(sim, 60, "Redis invents a token");
    if (is_invented)
        counter = (int64_t)sim_below(&sim->chance, (uint64_t)call->fence + 3);
    if (counter + 1 <= call->fence && !is_invented) /* it could claim nothing: all that follows is in vain */
        sim_fail(sim, "11: episode %d: token %" PRId64 " was handed out, and the fence is %" PRId64,
                 call->episode, counter + 1, call->fence);
    data->counters[call->episode] = counter + 1;
    *lease = (struct sim_lease){.is_held = true,
                                .nonce = call->nonce,
                                .token = counter + 1,
                                .job_id = call->job_id,
                                .expires_us = clock_of(sim) + call->ttl_ms * 1000};
    remove_waiter(sim, call->episode, call->process->index, call->job_id);
    call->answer.leased.token.n = counter + 1;
    sim_note(sim, "redis: episode %d leased to job %" PRId64 ", token %" PRId64 ", nonce %.*s", call->episode,
             call->job_id, counter + 1, SIM_SHORT(call->nonce));
}

static void wake_one(struct sim *sim, int episode)
{
    struct sim_redis_data *data = &sim->redis.data;
    while (data->waiter_counts[episode] > 0) {
        struct sim_waiter waiter = data->waiters[episode][0];
        remove_waiter(sim, episode, waiter.process, waiter.job_id);
        if (waiter.until_us <= clock_of(sim) || !sim->processes[waiter.process].is_alive)
            continue; /* forgotten; no subscriber */
        sim_wake(sim, waiter.process, waiter.job_id);
        return;
    }
}

bool sim_redis_delete(struct sim *sim, int episode, const struct fl_nonce *nonce, bool compares)
{
    struct sim_lease *lease = lease_of(sim, episode);
    if (!lease->is_held || (compares && !is_same(&lease->nonce, nonce)))
        return false;
    if (!is_same(&lease->nonce, nonce))
        sim_fail(sim, "episode %d: a lease was deleted by a nonce that is not its own", episode);
    lease->is_held = false;
    wake_one(sim, episode);
    return true;
}

static bool renew(struct sim *sim, const struct sim_call *call)
{
    struct sim_lease *lease = lease_of(sim, call->episode);
    bool is_mine = lease->is_held && is_same(&lease->nonce, &call->nonce);
    if (!is_mine && !(lease->is_held && sim->mutant == SIM_RENEW_COMPARE))
        return false;
    if (!is_mine)
        sim_fail(sim, "episode %d: a lease was renewed by a nonce that is not its own", call->episode);
    lease->expires_us = clock_of(sim) + call->ttl_ms * 1000;
    return true;
}

void sim_redis_arrive(struct sim *sim, struct sim_call *call)
{
    struct sim_lease *lease;
    if (sim->now_us < sim->redis.down_until_us) {
        sim_reply(sim, call, FL_UNAVAILABLE);
        return;
    }
    bool has_ttl = call->action == FL_ACTION_LEASE || call->action == FL_ACTION_RENEW;
    if (has_ttl && call->ttl_ms <= 0) {
        sim_reply(sim, call, FL_FAILED);
        return;
    }
    switch (call->action) {
    case FL_ACTION_LEASE: acquire(sim, call); break;
    case FL_ACTION_LEASE_CHECK:
        lease = lease_of(sim, call->episode);
        call->answer.lease_seen.mine = lease->is_held && is_same(&lease->nonce, &call->nonce);
        call->answer.lease_seen.token.n = lease->token;
        break;
    case FL_ACTION_RENEW: call->answer.renewed.held = renew(sim, call); break;
    default: sim_redis_delete(sim, call->episode, &call->nonce, sim->mutant != SIM_RELEASE_COMPARE); break;
    }
    sim_reply(sim, call, FL_OK);
}

void sim_redis_lose_all(struct sim *sim)
{
    sim->redis.data = (struct sim_redis_data){0};
}

void sim_redis_snapshot(struct sim *sim)
{
    sim->redis.snapshot = sim->redis.data;
    sim->redis.has_snapshot = true;
}

/* A replica that was behind has become the primary, or an old dump was loaded: deleted leases are back, newer
 * ones and their tokens are unknown. */
void sim_redis_roll_back(struct sim *sim)
{
    if (sim->redis.has_snapshot)
        sim->redis.data = sim->redis.snapshot;
}
