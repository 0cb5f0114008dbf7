/* sim_world.c - one run: what is asked for, what goes wrong, and the end. See sim.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "core/fence.h"
#include "sim.h"

enum { CALM_US = 8000000, END_US = 300000000, SWEEP_US = 400000, TROUBLE_US = 100000 };

/* ---- inputs ---- */

static const char *const BODIES[SIM_KINDS][SIM_CONTENTS] = {
    {"{\"chapters\":[{\"startTime\":0,\"title\":\"a\"}]}",
     "{\"chapters\":[{\"startTime\":0,\"title\":\"b\"},{\"startTime\":9,\"title\":\"c\"}]}",
     "{\"chapters\":[{\"startTime\":5,\"title\":\"d\"}]}", "{\"chapters\":[]}"},
    {"{\"segments\":[{\"startTime\":0,\"endTime\":1,\"body\":\"a\"}]}",
     "{\"segments\":[{\"startTime\":0,\"endTime\":1,\"body\":\"b\"},{\"startTime\":2,\"endTime\":3,\"body\":"
     "\"c\"}]}",
     "{\"segments\":[{\"startTime\":4,\"endTime\":5,\"body\":\"d\"}]}", "{\"segments\":[]}"},
};

const char *sim_body(int kind, int content)
{
    return BODIES[kind][content];
}

/* Which one it is, by its first text. */
int sim_content_of(const struct fl_document *document)
{
    struct fl_slice text =
        document->kind == FL_CHAPTERS ? document->chapters[0].title : document->segments[0].body;
    FL_ASSERT(text.len == 1);
    return text.ptr[0] == 'a' ? 0 : text.ptr[0] == 'b' ? 1 : 2;
}

/* ---- deliveries ---- */

static void on_deliver(struct sim *sim, void *unused, int64_t job_id)
{
    (void)unused;
    bool is_decided = sim->postgres.jobs[job_id].outcome != FL_OUTCOME_OPEN;
    if (is_decided && sim_below(&sim->chance, 4) != 0)
        return;
    int first = (int)sim_below(&sim->chance, (uint64_t)sim->process_count);
    for (int i = 0; i < sim->process_count; i++)
        if (sim_process_take(sim, &sim->processes[(first + i) % sim->process_count], job_id))
            return;
    sim_deliver(sim, job_id, 50000);
}

void sim_deliver(struct sim *sim, int64_t job_id, int64_t after_us)
{
    sim_at(sim, sim->now_us + after_us, on_deliver, NULL, job_id);
}

static bool all_decided(const struct sim *sim)
{
    for (int64_t id = 1; id <= sim->postgres.job_count; id++)
        if (sim->postgres.jobs[id].outcome == FL_OUTCOME_OPEN)
            return false;
    return true;
}

/* As the dispatcher's search: what is open and in nobody's hands is handed out again. */
static void on_sweep(struct sim *sim, void *unused, int64_t unused_too)
{
    (void)unused;
    (void)unused_too;
    if (sim->now_us > END_US || (sim->now_us > sim->calm_at_us && all_decided(sim)))
        return;
    for (int64_t id = 1; sim->now_us > sim->calm_at_us && id <= sim->postgres.job_count; id++)
        if (sim->postgres.jobs[id].outcome == FL_OUTCOME_OPEN && !sim_process_has(sim, id))
            sim_deliver(sim, id, 1000);
    sim_at(sim, sim->now_us + SWEEP_US, on_sweep, NULL, 0);
}

/* ---- operators: PROTOCOL 9 ---- */

static void on_break_end(struct sim *sim, void *pointer, int64_t unused)
{
    struct sim_call *call = pointer;
    (void)unused;
    if (call->state == SIM_ACTIVE) {
        sim_at(sim, sim->now_us + 5000, on_break_end, call, 0);
        return;
    }
    bool is_broken = call->state == SIM_COMMITTED && call->writes_episode;
    sim_note(sim, "operator: episode %d %s", call->episode,
             is_broken ? "broken" : "not broken: its holder has changed, or a transaction has it");
    if (is_broken && call->has_lease)
        sim_redis_delete(sim, call->episode, &call->lease_nonce, true);
}

static void on_break(struct sim *sim, void *pointer, int64_t unused)
{
    struct sim_call *call = pointer;
    (void)unused;
    sim_postgres_arrive(sim, call);
    sim_at(sim, sim->now_us + 5000, on_break_end, call, 0);
}

static void look_and_break(struct sim *sim)
{
    int episode = (int)sim_below(&sim->chance, (uint64_t)sim->episode_count);
    const struct sim_episode *row = &sim->postgres.episodes[episode];
    const struct sim_lease *lease = &sim->redis.data.leases[episode];
    const uint64_t random[2] = {sim_random(&sim->chance), sim_random(&sim->chance)};
    int64_t thinks_us = (int64_t)sim_below(&sim->chance, 600000);
    struct sim_call *call = sim_call_new(sim);
    call->is_break = true;
    call->episode = episode;
    call->nonce = fl_fence_nonce(random);
    call->seen_fence = row->fence;
    call->seen_version = row->version;
    call->seen_nonce = row->nonce;
    call->has_lease = sim_redis_has(sim, episode);
    call->lease_nonce = lease->nonce;
    sim_note(sim, "operator: sees episode %d: fence %" PRId64 ", nonce %.*s, lease %.*s", episode, row->fence,
             SIM_SHORT(row->nonce), SIM_SHORT(call->lease_nonce));
    sim_at(sim, sim->now_us + thinks_us, on_break, call, 0);
}

/* ---- troubles ---- */

static void on_restart(struct sim *sim, void *process, int64_t unused)
{
    (void)unused;
    sim_process_start(sim, process);
    sim_note(sim, "process %d: starts again", ((struct sim_process *)process)->index);
}

static void trouble_processes(struct sim *sim)
{
    struct sim_process *process = &sim->processes[sim_below(&sim->chance, (uint64_t)sim->process_count)];
    int64_t for_us = 100000 + (int64_t)sim_below(&sim->chance, 4000000);
    struct sim_slot *slot = &process->slots[sim_below(&sim->chance, SIM_SLOTS)];
    if (process->is_alive && sim_fault(sim, 60, "a process is killed")) {
        sim_note(sim, "process %d: is killed", process->index);
        sim_process_kill(sim, process);
        sim_at(sim, sim->now_us + for_us / 4, on_restart, process, 0);
    } else if (process->is_alive && sim_fault(sim, 20, "a process is paused")) {
        sim_note(sim, "process %d: is paused for %.1f s", process->index, (double)for_us / 1000000);
        sim_process_pause(sim, process, for_us);
    } else if (sim_fault(sim, 25, "a connection to Redis breaks")) {
        sim_process_cut(sim, process, SIM_TO_REDIS);
    } else if (sim_fault(sim, 25, "a connection to Postgres breaks")) {
        sim_process_cut(sim, process, SIM_TO_POSTGRES);
    } else if (slot->job_id && process->paused_until_us <= sim->now_us &&
               sim_fault(sim, 40, "a job is cancelled")) {
        fl_drive_cancel(&slot->drive);
    } else if (slot->job_id && process->paused_until_us <= sim->now_us &&
               sim_fault(sim, 40, "a job is handed back")) {
        fl_drive_stop(&slot->drive);
    }
}

static void trouble_servers(struct sim *sim)
{
    static const int64_t HOUR_US = INT64_C(3600000000);
    int64_t for_us = (int64_t)sim_below(&sim->chance, 2000000);
    if (sim_below(&sim->chance, 8) == 0)
        sim_redis_snapshot(sim);
    if (sim_fault(sim, 40, "Redis loses everything"))
        sim_redis_lose_all(sim);
    else if (sim_fault(sim, 25, "Redis goes back to an earlier state"))
        sim_redis_roll_back(sim);
    else if (sim_fault(sim, 60, "the clock of Redis is set forward by an hour"))
        sim->redis.clock_us += HOUR_US;
    else if (sim_fault(sim, 60, "the clock of Redis is set back by an hour"))
        sim->redis.clock_us -= HOUR_US;
    else if (sim_fault(sim, 50, "Redis is away"))
        sim->redis.down_until_us = sim->now_us + for_us;
    else if (sim_fault(sim, 60, "Postgres restarts"))
        sim_postgres_restart(sim, for_us);
    else if (sim_fault(sim, 15, "an operator breaks a lock"))
        look_and_break(sim);
    struct sim_call *call = sim->call_count ? sim->calls[sim_below(&sim->chance, sim->call_count)] : NULL;
    bool is_open = call && (call->state == SIM_ACTIVE || call->state == SIM_WAITING);
    if (is_open && sim_fault(sim, 4, "a session of Postgres is terminated"))
        sim_postgres_terminate(sim, call);
}

/* A clock that was set back gives leases an hour more: in the end an operator breaks them. */
static void end_long_leases(struct sim *sim)
{
    for (int i = 0; i < sim->episode_count; i++) {
        struct sim_lease *lease = &sim->redis.data.leases[i];
        if (lease->expires_us > sim->now_us + sim->redis.clock_us + CALM_US)
            lease->is_held = false;
    }
}

static void on_trouble(struct sim *sim, void *unused, int64_t unused_too)
{
    (void)unused;
    (void)unused_too;
    trouble_processes(sim);
    trouble_servers(sim);
    if (sim->now_us < sim->calm_at_us)
        sim_at(sim, sim->now_us + TROUBLE_US, on_trouble, NULL, 0);
    else
        end_long_leases(sim);
}

/* ---- one run ---- */

static void make_processes(struct sim *sim)
{
    sim->process_count = 2 + (int)sim_below(&sim->chance, SIM_PROCESSES - 1);
    for (int i = 0; i < sim->process_count; i++) {
        struct sim_process *process = &sim->processes[i];
        bool hands_back = sim_below(&sim->chance, 2) == 0;
        process->index = i;
        process->clock_us = (int64_t)sim_below(&sim->chance, 1000000) * 1000;
        process->random.state = sim_random(&sim->chance);
        process->policy = (struct fl_import_policy){.lease_ttl_ms = 1000,
                                                    .lease_max_ms = 5000,
                                                    .lease_stall_ms = 2000,
                                                    .wait_lock_ms = hands_back ? INT64_C(1) << 40 : 20000,
                                                    .backoff_base_ms = 10,
                                                    .backoff_max_ms = 300,
                                                    .look_ms = 200,
                                                    .max_attempts = 30,
                                                    .patience_ms = 3000,
                                                    .hand_back = hands_back};
        sim_process_start(sim, process);
    }
}

static void make_jobs(struct sim *sim)
{
    static const enum fl_mode MODES[] = {FL_MODE_CREATE,  FL_MODE_CREATE,     FL_MODE_REPLACE,
                                         FL_MODE_REPLACE, FL_MODE_IF_VERSION, FL_MODE_DELETE};
    struct sim_postgres *postgres = &sim->postgres;
    sim->episode_count = 1 + (int)sim_below(&sim->chance, SIM_EPISODES);
    postgres->job_count = 3 + (int)sim_below(&sim->chance, SIM_JOBS - 2);
    for (int64_t id = 1; id <= postgres->job_count; id++) {
        struct sim_job *job = &postgres->jobs[id];
        *job = (struct sim_job){.job_id = id,
                                .rank = id,
                                .episode = (int)sim_below(&sim->chance, (uint64_t)sim->episode_count),
                                .kind = (int)sim_below(&sim->chance, SIM_KINDS),
                                .mode = MODES[sim_below(&sim->chance, sizeof MODES / sizeof *MODES)],
                                .content = (int)sim_below(&sim->chance, 10) % SIM_CONTENTS};
        if (job->mode == FL_MODE_IF_VERSION)
            job->if_version = (int64_t)sim_below(&sim->chance, 4);
        if (sim_below(&sim->chance, 5) == 0)
            job->rank = 1 + (int64_t)sim_below(&sim->chance, (uint64_t)id);
        sim_deliver(sim, id, (int64_t)sim_below(&sim->chance, 3000000));
        sim->ledger.is_delivered_twice[id] = sim_below(&sim->chance, 3) == 0;
        if (sim->ledger.is_delivered_twice[id])
            sim_deliver(sim, id, (int64_t)sim_below(&sim->chance, 3000000));
    }
}

void sim_release(struct sim *sim)
{
    for (int i = 0; i < SIM_PROCESSES; i++)
        for (int k = 0; k < SIM_SLOTS; k++)
            fl_drive_release(&sim->processes[i].slots[k].drive);
    for (size_t i = 0; i < sim->call_count; i++)
        free(sim->calls[i]);
    free(sim->events);
}

bool sim_run(struct sim *sim, uint64_t seed, enum sim_mutant mutant, uint64_t fault_limit, FILE *timeline)
{
    *sim = (struct sim){.seed = seed, .mutant = mutant, .timeline = timeline, .fault_limit = fault_limit};
    sim_leave_out(mutant);
    sim->chance.state = seed;
    sim->faults.state = ~seed * UINT64_C(0x2545f4914f6cdd1d);
    sim->calm_at_us = CALM_US;
    sim->is_faulty = sim_below(&sim->chance, 8) != 0;
    for (int i = 0; i < SIM_EPISODES; i++)
        for (int kind = 0; kind < SIM_KINDS; kind++)
            sim->postgres.episodes[i].documents[kind] = (struct sim_document){.content = -1, .rows = -1};
    make_processes(sim);
    make_jobs(sim);
    sim_at(sim, TROUBLE_US, on_trouble, NULL, 0);
    sim_at(sim, SWEEP_US, on_sweep, NULL, 0);
    while (!sim->has_failed && sim->now_us < END_US && sim_step(sim))
        ;
    if (!sim->has_failed)
        sim_check_end(sim);
    return !sim->has_failed;
}
