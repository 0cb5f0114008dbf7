/*
 * The contract (contract.h) on the simulated servers of tests/sim, without faults. The checker of the
 * simulator watches: a case that breaks an invariant fails, too.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../sim/sim.h"
#include "contract.h"

enum { DEAD_PROCESS = CONTRACT_CLIENTS, STEP_US = 5000000 };

static struct sim sim;

static void start(void *self, struct fl_request *request);
static struct fl_store_port stores[CONTRACT_CLIENTS] = {{&sim.processes[0], start},
                                                        {&sim.processes[1], start}};

static int episode_of(const char *name)
{
    return name[2] - '0';
}

static void sim_start_case(void)
{
    sim = (struct sim){.seed = 1,
                       .process_count = CONTRACT_CLIENTS + 1,
                       .episode_count = CONTRACT_EPISODES,
                       .now_us = 1000000};
    sim_leave_out(SIM_NONE);
    for (int i = 0; i < SIM_EPISODES; i++)
        for (int kind = 0; kind < SIM_KINDS; kind++)
            sim.postgres.episodes[i].documents[kind] = (struct sim_document){.content = -1, .rows = -1};
    for (int i = 0; i < CONTRACT_CLIENTS; i++) {
        sim.processes[i].index = i;
        sim_process_start(&sim, &sim.processes[i]);
    }
}

static void sim_end_case(void)
{
    char failure[sizeof sim.failure];
    memcpy(failure, sim.failure, sizeof failure);
    sim_release(&sim);
    sim.call_count = 0;
    sim.events = NULL;
    if (sim.has_failed)
        fail_msg("the checker says: %s", failure);
}

static void run_until(const bool *flag)
{
    int64_t end_us = sim.now_us + STEP_US;
    while (!*flag && sim.now_us < end_us && sim_step(&sim))
        ;
}

static void on_time(struct sim *unused, void *flag, int64_t unused_too)
{
    (void)unused;
    (void)unused_too;
    *(bool *)flag = true;
}

static void run_for(int64_t ms)
{
    bool is_over = false;
    sim_at(&sim, sim.now_us + ms * 1000, on_time, &is_over, 0);
    run_until(&is_over);
    assert_true(is_over);
}

/* ---- Postgres ---- */

/* The checker wants to know beforehand which document a job is about. */
static void start(void *self, struct fl_request *request)
{
    struct sim_process *process = self;
    struct sim_job *job = sim_postgres_job(&sim, request->import->job.job_id);
    if (job && request->document)
        job->content = sim_content_of(request->document);
    process->store.start(process->store.self, request);
}

static int64_t add_job(const struct contract_job *job)
{
    assert_true(sim.postgres.job_count < SIM_JOBS);
    int64_t id = ++sim.postgres.job_count;
    sim.postgres.jobs[id] = (struct sim_job){.job_id = id,
                                             .rank = job->rank ? job->rank : id,
                                             .episode = episode_of(job->episode),
                                             .kind = job->kind == FL_TRANSCRIPT,
                                             .mode = job->mode,
                                             .if_version = job->if_version};
    return id;
}

static struct contract_episode look_episode(const char *name)
{
    const struct sim_episode *row = &sim.postgres.episodes[episode_of(name)];
    return (struct contract_episode){row->is_there, row->version, row->fence, row->nonce};
}

static struct contract_document look_document(const char *name, enum fl_kind kind)
{
    const struct sim_document *row =
        &sim.postgres.episodes[episode_of(name)].documents[kind == FL_TRANSCRIPT];
    return (struct contract_document){.is_there = row->is_there,
                                      .is_deleted = row->is_deleted,
                                      .version = row->version,
                                      .rank = row->rank,
                                      .job_id = row->job_id,
                                      .row_count = row->row_count,
                                      .content = row->rows};
}

static struct contract_row look_row(int64_t job_id)
{
    const struct sim_job *job = sim_postgres_job(&sim, job_id);
    assert_non_null(job);
    return (struct contract_row){job->outcome, job->version, job->row_count};
}

static void hold_commits(bool holds)
{
    sim.postgres.holds_commits = holds;
}

static void refuse_commits(bool refuses)
{
    sim.postgres.refuses_commits = refuses;
}

static int count_calls(enum sim_call_state state)
{
    int count = 0;
    for (size_t i = 0; i < sim.call_count; i++)
        count += sim.calls[i]->state == state;
    return count;
}

static void await_transactions(int waiting, int held)
{
    int64_t end_us = sim.now_us + STEP_US;
    while ((count_calls(SIM_WAITING) != waiting || count_calls(SIM_ACTIVE) != held) && sim.now_us < end_us &&
           sim_step(&sim))
        ;
    assert_int_equal(count_calls(SIM_WAITING), waiting);
    assert_int_equal(count_calls(SIM_ACTIVE), held);
    run_for(5); /* held for certain: the longest transaction without faults takes 2.2 ms */
}

static struct sim_call *call_of(const struct fl_request *request)
{
    struct sim_call *found = NULL;
    for (size_t i = 0; i < sim.call_count; i++)
        if (sim.calls[i]->request == request)
            found = sim.calls[i];
    assert_non_null(found);
    return found;
}

static struct fl_commit_mark mark(const struct fl_request *request)
{
    return sim_call_mark(call_of(request));
}

static void terminate(const struct fl_request *request)
{
    sim_postgres_terminate(&sim, call_of(request));
}

static bool is_running(const struct fl_commit_mark *session)
{
    return sim_postgres_find(&sim, session) != NULL;
}

static void cut_postgres(int client)
{
    sim_process_cut(&sim, &sim.processes[client], SIM_TO_POSTGRES);
}

static uint64_t future_xid(void)
{
    return sim.postgres.last_xid + 1000000;
}

static enum contract_break break_claim(const char *name, const struct contract_episode *seen)
{
    struct sim_call *call = sim_call_new(&sim);
    call->is_break = true;
    call->episode = episode_of(name);
    snprintf(call->nonce.hex, sizeof call->nonce.hex, "%032x", 0xb0000000u + (unsigned)sim.call_count);
    call->seen_fence = seen->fence;
    call->seen_version = seen->version;
    call->seen_nonce = seen->nonce;
    if (!sim.postgres.episodes[call->episode].is_there)
        return CONTRACT_UNKNOWN;
    sim_postgres_arrive(&sim, call);
    if (call->state == SIM_ABORTED)
        return CONTRACT_LOCKED;
    for (int i = 0; i < 100 && call->state == SIM_ACTIVE; i++)
        run_for(1);
    return call->writes_episode ? CONTRACT_BROKEN : CONTRACT_CHANGED;
}

/* ---- Redis ---- */

static struct contract_lease look_lease(const char *name)
{
    int episode = episode_of(name);
    const struct sim_lease *lease = &sim.redis.data.leases[episode];
    struct contract_lease seen = {.is_held = sim_redis_has(&sim, episode),
                                  .counter = sim.redis.data.counters[episode]};
    if (!seen.is_held)
        return seen;
    seen.nonce = lease->nonce;
    seen.token = lease->token;
    seen.remaining_ms = (lease->expires_us - sim.now_us - sim.redis.clock_us) / 1000;
    return seen;
}

static void set_counter(const char *name, int64_t counter)
{
    sim.redis.data.counters[episode_of(name)] = counter;
}

static void lose_redis(void)
{
    sim_redis_lose_all(&sim);
}

static void keep_redis(void)
{
    sim_redis_snapshot(&sim);
}

static void roll_back_redis(void)
{
    sim_redis_roll_back(&sim);
}

static void add_dead_waiter(const char *name)
{
    struct sim_redis_data *data = &sim.redis.data;
    int episode = episode_of(name);
    data->waiters[episode][data->waiter_counts[episode]++] =
        (struct sim_waiter){DEAD_PROCESS, SIM_JOBS, sim.now_us + 60000000};
}

static void expire_waiters(const char *name)
{
    struct sim_redis_data *data = &sim.redis.data;
    for (size_t i = 0; i < data->waiter_counts[episode_of(name)]; i++)
        data->waiters[episode_of(name)][i].until_us = sim.now_us - 1;
}

static void set_down(bool redis, bool postgres)
{
    if (redis)
        sim_redis_lose_all(&sim); /* a server without persistence, as the real one of the tests */
    sim.redis.down_until_us = redis ? INT64_MAX : 0;
    sim.postgres.down_until_us = postgres ? INT64_MAX : 0;
}

int main(void)
{
    static const struct contract_backend BACKEND = {
        .stores = {&stores[0], &stores[1]},
        .leases = {&sim.processes[0].lease, &sim.processes[1].lease},
        .start_case = sim_start_case,
        .end_case = sim_end_case,
        .run_until = run_until,
        .run_for = run_for,
        .add_job = add_job,
        .episode = look_episode,
        .document = look_document,
        .row = look_row,
        .hold_commits = hold_commits,
        .refuse_commits = refuse_commits,
        .await_transactions = await_transactions,
        .mark = mark,
        .terminate = terminate,
        .is_running = is_running,
        .cut_postgres = cut_postgres,
        .future_xid = future_xid,
        .break_claim = break_claim,
        .lease = look_lease,
        .set_counter = set_counter,
        .lose_redis = lose_redis,
        .keep_redis = keep_redis,
        .roll_back_redis = roll_back_redis,
        .add_dead_waiter = add_dead_waiter,
        .expire_waiters = expire_waiters,
        .set_down = set_down,
    };
    return contract_run(&BACKEND, NULL, NULL);
}
