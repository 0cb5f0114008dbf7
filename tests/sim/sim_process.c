/* sim_process.c - processes that import: their ports, the network between them and the servers, pauses and
 * deaths. See sim.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/list.h"
#include "sim.h"

enum { GIVES_UP_US = 3000000 };

/* ---- calls ---- */

struct sim_call *sim_call_new(struct sim *sim)
{
    struct sim_call *call = calloc(1, sizeof *call);
    FL_ASSERT(call && sim->call_count < SIM_CALLS);
    sim->calls[sim->call_count++] = call;
    call->backend = ++sim->postgres.last_backend;
    return call;
}

struct fl_commit_mark sim_call_mark(const struct sim_call *call)
{
    return (struct fl_commit_mark){.xid = call->xid,
                                   .backend_pid = call->backend,
                                   .backend_start_us = INT64_C(1700000000000000) + call->backend};
}

static enum fl_event_type answer_type(enum fl_action_type action)
{
    static const enum fl_event_type TYPES[] = {
        [FL_ACTION_READ] = FL_EVENT_READ,        [FL_ACTION_ENSURE] = FL_EVENT_ENSURED,
        [FL_ACTION_LEASE] = FL_EVENT_LEASED,     [FL_ACTION_LEASE_CHECK] = FL_EVENT_LEASE_SEEN,
        [FL_ACTION_CLAIM] = FL_EVENT_CLAIMED,    [FL_ACTION_CLAIM_CHECK] = FL_EVENT_CLAIM_SEEN,
        [FL_ACTION_COMMIT] = FL_EVENT_COMMITTED, [FL_ACTION_RESOLVE] = FL_EVENT_RESOLVED,
        [FL_ACTION_DECIDE] = FL_EVENT_DECIDED,   [FL_ACTION_RELEASE] = FL_EVENT_RELEASED,
        [FL_ACTION_RENEW] = FL_EVENT_RENEWED,
    };
    return TYPES[action];
}

/* What happens in a process happens when it is awake. */
static bool is_asleep(struct sim *sim, struct sim_process *process,
                      void (*run)(struct sim *, void *, int64_t), void *a, int64_t b)
{
    if (process->paused_until_us <= sim->now_us)
        return false;
    sim_at(sim, process->paused_until_us, run, a, b);
    return true;
}

/* The mutant that reads once it has the lease: it knows the newest version and fence, whenever it wakes. */
static void read_after_lease(struct sim *sim, const struct sim_call *call)
{
    struct fl_import *import = (struct fl_import *)call->request->import;
    import->version.n = sim->postgres.episodes[call->episode].version;
    import->fence.n = sim->postgres.episodes[call->episode].fence;
    if (call->answer.leased.token.n <= import->fence.n)
        import->fence.n = call->answer.leased.token.n - 1;
}

static void on_answer(struct sim *sim, void *pointer, int64_t status)
{
    struct sim_call *call = pointer;
    struct sim_process *process = call->process;
    if (call->is_answered || process->life != call->life ||
        is_asleep(sim, process, on_answer, pointer, status))
        return;
    call->is_answered = true;
    call->answer.status = (fl_status)status;
    call->answer.mark.backend_pid = call->backend;
    call->answer.mark.backend_start_us = sim_call_mark(call).backend_start_us;
    bool knows_xid = status == FL_OK || call->backend % 2 == 0;
    if (!knows_xid)
        call->answer.mark.xid = 0;
    if (sim->mutant == SIM_READ_BEFORE_LEASE && call->action == FL_ACTION_LEASE && status == FL_OK)
        read_after_lease(sim, call);
    call->request->done(call->request, &call->answer);
}

static int server_of(enum fl_action_type action)
{
    bool is_lease = action == FL_ACTION_LEASE || action == FL_ACTION_LEASE_CHECK ||
                    action == FL_ACTION_RENEW || action == FL_ACTION_RELEASE;
    return is_lease ? SIM_TO_REDIS : SIM_TO_POSTGRES;
}

static int64_t delay_us(struct sim *sim)
{
    int64_t delay = 50 + (int64_t)sim_below(&sim->chance, 500);
    if (sim_fault(sim, 40, "a slow message"))
        delay += (int64_t)sim_below(&sim->chance, 1500000);
    return delay;
}

void sim_reply(struct sim *sim, struct sim_call *call, fl_status status)
{
    if (call->state != SIM_COMMITTED && call->state != SIM_ABORTED)
        call->state = SIM_DONE;
    if (!call->process)
        return;
    int server = server_of(call->action);
    int64_t *last_us = &call->process->answers_us[server];
    int64_t at_us = sim->now_us + delay_us(sim);
    at_us = at_us > *last_us ? at_us : *last_us + 1;
    *last_us = at_us;
    if (sim_fault(sim, 40, "a reply is lost") || call->fault == SIM_CALL_LOST_REPLY)
        status = FL_LOST;
    if (call->fault == SIM_CALL_SILENT)
        return; /* its sender gives up some time */
    sim_at(sim, at_us, on_answer, call, status);
}

static void on_arrival(struct sim *sim, void *pointer, int64_t unused)
{
    struct sim_call *call = pointer;
    (void)unused;
    if (server_of(call->action) == SIM_TO_REDIS)
        sim_redis_arrive(sim, call);
    else
        sim_postgres_arrive(sim, call);
}

static void on_give_up(struct sim *sim, void *pointer, int64_t unused)
{
    (void)unused;
    on_answer(sim, pointer, FL_LOST);
}

static struct sim_call *call_of(struct sim_process *process, struct fl_request *request)
{
    const struct fl_import *im = request->import;
    struct sim_call *call = sim_call_new(process->sim);
    call->process = process;
    call->life = process->life;
    call->request = request;
    call->action = request->action;
    call->op = request->op;
    call->episode = im->job.episode.ptr[2] - '0';
    call->job_id = im->job.job_id;
    call->nonce = im->lease.nonce;
    call->token = im->lease.token.n;
    call->version = im->version.n;
    call->fence = im->fence.n;
    call->ttl_ms = im->policy->lease_ttl_ms;
    call->want = im->want;
    call->mark = im->mark;
    call->kind = im->job.kind == FL_TRANSCRIPT;
    call->content = request->document ? sim_content_of(request->document) : -1;
    call->row_count = request->document ? (int64_t)request->document->row_count : 0;
    call->answer = (struct fl_event){.type = answer_type(request->action), .op = request->op};
    return call;
}

/* True: that is all that happens to the call now. */
static bool follow_plan(struct sim *sim, struct sim_call *call)
{
    static const char *const NAMES[SIM_CALL_FAULT_COUNT] = {
        [SIM_CALL_UNAVAILABLE] = "unavailable", [SIM_CALL_TRANSIENT] = "a temporary error",
        [SIM_CALL_FAILED] = "an error",         [SIM_CALL_LOST_REQUEST] = "a lost request",
        [SIM_CALL_LOST_REPLY] = "a lost reply", [SIM_CALL_SILENT] = "no reply for long",
        [SIM_CALL_LATE] = "a late effect"};
    static const fl_status ANSWERS[SIM_CALL_FAULT_COUNT] = {[SIM_CALL_UNAVAILABLE] = FL_UNAVAILABLE,
                                                            [SIM_CALL_TRANSIENT] = FL_TRANSIENT,
                                                            [SIM_CALL_FAILED] = FL_FAILED,
                                                            [SIM_CALL_LOST_REQUEST] = FL_LOST,
                                                            [SIM_CALL_LATE] = FL_LOST};
    int64_t late_us = 0;
    call->fault = sim->plan(sim, call->request, &late_us);
    if (call->fault != SIM_CALL_GOOD)
        sim_note(sim, "process %d: job %" PRId64 ": %s for action %d", call->process->index, call->job_id,
                 NAMES[call->fault], call->action);
    if (ANSWERS[call->fault] == FL_OK)
        return false;
    sim_at(sim, sim->now_us + 300, on_answer, call, ANSWERS[call->fault]);
    if (call->fault == SIM_CALL_LATE)
        sim_at(sim, sim->now_us + 300 + late_us, on_arrival, call, 0);
    return true;
}

static void start(void *self, struct fl_request *request)
{
    struct sim_process *process = self;
    struct sim *sim = process->sim;
    struct sim_call *call = call_of(process, request);
    int server = server_of(request->action);
    call->connection = process->connections[server];
    int64_t at_us = sim->now_us + delay_us(sim);
    at_us = at_us > process->arrives_us[server] ? at_us : process->arrives_us[server] + 1;
    sim_at(sim, sim->now_us + GIVES_UP_US, on_give_up, call, 0);
    if (sim->plan && follow_plan(sim, call))
        return;
    if (sim_fault(sim, 40, "a request is lost")) {
        sim_at(sim, sim->now_us + 300, on_answer, call, FL_LOST);
        return;
    }
    if (sim_fault(sim, 40, "a request arrives after its sender has given it up")) {
        sim_at(sim, sim->now_us + 300, on_answer, call, FL_LOST);
        sim_at(sim, at_us + (int64_t)sim_below(&sim->chance, 2500000), on_arrival, call, 0);
        return;
    }
    process->arrives_us[server] = at_us;
    sim_at(sim, at_us, on_arrival, call, 0);
}

void sim_process_cut(struct sim *sim, struct sim_process *process, int server)
{
    for (size_t i = 0; i < sim->call_count; i++) {
        struct sim_call *call = sim->calls[i];
        if (call->process == process && call->life == process->life && !call->is_answered &&
            server_of(call->action) == server)
            sim_at(sim, sim->now_us, on_answer, call, FL_LOST);
    }
    process->connections[server]++;
}

/* ---- clock, pool ---- */

static int64_t now_ms(void *self)
{
    const struct sim_process *process = self;
    return (process->sim->now_us + process->clock_us) / 1000;
}

static void fill_random(void *self, uint64_t out[2])
{
    struct sim_process *process = self;
    out[0] = sim_random(&process->random);
    out[1] = sim_random(&process->random);
}

static struct sim_slot *slot_of(struct fl_timer *timer)
{
    struct fl_drive *drive = FL_CONTAINER(timer, struct fl_drive, timer);
    return FL_CONTAINER(drive, struct sim_slot, drive);
}

static void on_timer(struct sim *sim, void *pointer, int64_t at_ms)
{
    struct fl_timer *timer = pointer;
    struct sim_process *process = slot_of(timer)->process;
    if (timer->at_ms != at_ms || is_asleep(sim, process, on_timer, pointer, at_ms))
        return;
    timer->at_ms = FL_NEVER_MS;
    timer->fire(timer);
}

static void set_timer(void *self, struct fl_timer *timer, int64_t at_ms)
{
    struct sim_process *process = self;
    timer->at_ms = at_ms;
    if (at_ms != FL_NEVER_MS)
        sim_at(process->sim, at_ms * 1000 - process->clock_us, on_timer, timer, at_ms);
}

static void on_loaded(struct sim *sim, void *pointer, int64_t life)
{
    struct fl_work *work = pointer;
    struct fl_drive *drive = FL_CONTAINER(work, struct fl_drive, work);
    struct sim_process *process = FL_CONTAINER(drive, struct sim_slot, drive)->process;
    if (process->life != life || is_asleep(sim, process, on_loaded, pointer, life))
        return;
    sim->ledger.loads++;
    work->run(work);
    work->done(work);
}

static void start_work(void *self, struct fl_work *work)
{
    struct sim_process *process = self;
    struct sim *sim = process->sim;
    int64_t takes_us = 100 + (int64_t)sim_below(&sim->chance, 3000);
    if (sim_fault(sim, 15, "a slow load"))
        takes_us += (int64_t)sim_below(&sim->chance, 3000000);
    sim_at(sim, sim->now_us + takes_us, on_loaded, work, process->life);
}

/* ---- jobs ---- */

static void on_done(struct fl_drive *drive)
{
    struct sim_slot *slot = FL_CONTAINER(drive, struct sim_slot, drive);
    struct sim *sim = slot->process->sim;
    int64_t job_id = slot->job_id;
    slot->job_id = 0;
    sim->ledger.stale += drive->import.stale_count;
    sim_note(sim, "process %d: job %" PRId64 " is done: %s", slot->process->index, job_id,
             drive->import.undecided != FL_OK ? "undecided" : fl_outcome_name(drive->import.answer.outcome));
    if (drive->import.undecided == FL_OK)
        sim_check_answer(sim, &drive->import);
    else
        sim_deliver(sim, job_id, 100000 + (int64_t)sim_below(&sim->chance, 300000));
}

bool sim_process_take(struct sim *sim, struct sim_process *process, int64_t job_id)
{
    static const char *const EPISODES[SIM_EPISODES] = {"ep0", "ep1", "ep2"};
    const struct sim_job *job = &sim->postgres.jobs[job_id];
    struct sim_slot *slot = NULL;
    for (int i = 0; i < SIM_SLOTS && !slot; i++)
        if (process->slots[i].job_id == 0)
            slot = &process->slots[i];
    if (!slot || !process->is_alive)
        return false;
    const struct fl_import_job import = {.job_id = job_id,
                                         .episode = {EPISODES[job->episode], 3},
                                         .kind = job->kind ? FL_TRANSCRIPT : FL_CHAPTERS,
                                         .mode = job->mode,
                                         .if_version = job->if_version};
    const char *body = sim_body(job->kind, job->content);
    const struct fl_source source = {.path = "body",
                                     .body = {body, strlen(body)},
                                     .hint = {.kind = import.kind},
                                     .limits = {.file_bytes = 4096, .rows = 100, .field_bytes = 1000}};
    slot->job_id = job_id;
    sim_note(sim, "process %d: begins job %" PRId64 " (episode %d, %s, %s)", process->index, job_id,
             job->episode, fl_kind_name(import.kind), fl_mode_name(job->mode));
    fl_drive_start(&slot->drive, &process->ports, &import, &process->policy, &source, on_done);
    return true;
}

bool sim_process_has(const struct sim *sim, int64_t job_id)
{
    for (int i = 0; i < sim->process_count; i++)
        for (int k = 0; k < SIM_SLOTS; k++)
            if (sim->processes[i].slots[k].job_id == job_id)
                return true;
    return false;
}

static void on_woken(struct sim *sim, void *pointer, int64_t job_id)
{
    struct sim_process *process = pointer;
    if (!is_asleep(sim, process, on_woken, pointer, job_id))
        process->lease.woken(process->lease.owner, job_id);
}

static void wake_slot(void *owner, int64_t job_id)
{
    struct sim_process *process = owner;
    for (int i = 0; i < SIM_SLOTS; i++)
        if (process->slots[i].job_id == job_id)
            fl_drive_wake(&process->slots[i].drive);
}

void sim_wake(struct sim *sim, int process, int64_t job_id)
{
    if (!sim_fault(sim, 10, "a wake-up is lost"))
        sim_at(sim, sim->now_us + 100 + (int64_t)sim_below(&sim->chance, 300), on_woken,
               &sim->processes[process], job_id);
}

/* ---- life and death ---- */

static void note(void *owner, const struct fl_import *import, const char *text)
{
    struct sim_process *process = owner;
    sim_note(process->sim, "process %d: job %" PRId64 ": %s", process->index, import->job.job_id, text);
}

void sim_process_start(struct sim *sim, struct sim_process *process)
{
    process->sim = sim;
    process->is_alive = true;
    process->paused_until_us = 0;
    process->store = (struct fl_store_port){.self = process, .start = start};
    process->lease =
        (struct fl_lease_port){.self = process, .start = start, .woken = wake_slot, .owner = process};
    process->pool = (struct fl_pool_port){.self = process, .start = start_work};
    process->clock =
        (struct fl_clock_port){.self = process, .now_ms = now_ms, .random = fill_random, .set = set_timer};
    process->ports = (struct fl_drive_ports){.store = &process->store,
                                             .lease = &process->lease,
                                             .pool = &process->pool,
                                             .clock = &process->clock,
                                             .note = note,
                                             .owner = process};
    for (int i = 0; i < SIM_SLOTS; i++)
        process->slots[i].process = process;
}

void sim_process_kill(struct sim *sim, struct sim_process *process)
{
    process->life++;
    process->is_alive = false;
    for (int i = 0; i < SIM_SLOTS; i++) {
        struct sim_slot *slot = &process->slots[i];
        int64_t job_id = slot->job_id;
        fl_drive_release(&slot->drive);
        *slot = (struct sim_slot){.process = process};
        if (job_id)
            sim_deliver(sim, job_id, 500000 + (int64_t)sim_below(&sim->chance, 1500000));
    }
}

void sim_process_pause(struct sim *sim, struct sim_process *process, int64_t for_us)
{
    process->paused_until_us = sim->now_us + for_us;
}
