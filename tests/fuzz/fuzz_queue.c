/* fuzz_queue.c - the worker's side of Redis on replies that hold anything: jobs taken from the streams,
 * leases of others, messages on the worker's own channel (fuzz_server.h tells how the input is read).
 *
 * Production code: io/redis_queue.c, io/redis_lease.c. Whatever comes, each command is answered by exactly
 * one event. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_server.h"
#include "io/redis_lease.h"
#include "io/redis_queue.h"

#define NONCE "0123456789abcdef0123456789abcdef"

enum { REQUESTS = 4, TURNS_MAX = 10000, TIMEOUT_MS = 5000 };

struct worker {
    struct fuzz_server *server;
    struct fl_redis_lease lease;
    struct fl_redis_queue queue;
    struct fl_queue_entry entries[FL_TAKE_LIMIT];
    struct fl_request requests[REQUESTS];
    size_t entry_count, finished;
    int taken, recovered, added, checked, beaten, rescued, answered;
    size_t messages;
};

static void check_entries(const struct fl_queue_entry *entries, size_t count, size_t limit, fl_status status)
{
    FUZZ_CHECK(count <= limit && (status == FL_OK || count == 0), "%zu entries", count);
    for (size_t i = 0; i < count; i++)
        FUZZ_CHECK(entries[i].job_id >= 0 && memchr(entries[i].id, '\0', sizeof entries[i].id),
                   "job %" PRId64, entries[i].job_id);
}

/* All of them are finished at once, every other one given back. */
static void on_taken(void *owner, fl_status status, const struct fl_queue_entry *entries, size_t count,
                     bool made)
{
    struct worker *worker = owner;
    (void)made;
    worker->taken++;
    check_entries(entries, count, FL_TAKE_LIMIT, status);
    for (; worker->entry_count < count; worker->entry_count++) {
        worker->entries[worker->entry_count] = entries[worker->entry_count];
        if (entries[worker->entry_count].priority < FL_PRIORITY_HIGH ||
            entries[worker->entry_count].priority > FL_PRIORITY_LOW)
            worker->entries[worker->entry_count].priority =
                FL_PRIORITY_LOW; /* that number is a script's own */
        fl_redis_queue_finish(&worker->queue, &worker->entries[worker->entry_count], worker->entry_count % 2);
    }
}

static void on_recovered(void *owner, const struct fl_queue_entry *entries, size_t count, bool made)
{
    (void)made;
    ((struct worker *)owner)->recovered++;
    check_entries(entries, count, FL_TAKE_LIMIT, FL_OK);
}

static void on_finished(void *owner, struct fl_queue_entry *entry)
{
    struct worker *worker = owner;
    FUZZ_CHECK(entry >= worker->entries && entry < worker->entries + worker->entry_count, "another's entry");
    worker->finished++;
}

static void on_beaten(void *owner, fl_status status, bool is_dispatcher)
{
    ((struct worker *)owner)->beaten++;
    FUZZ_CHECK(status == FL_OK || !is_dispatcher, "dispatcher by a failure");
}

static void on_failed(void *owner, const struct fl_err *err)
{
    (void)owner;
    fuzz_check_err(err->code, err);
}

static void on_added(void *owner, fl_status status)
{
    (void)status;
    ((struct worker *)owner)->added++;
}

static void on_checked(void *owner, fl_status status, size_t count)
{
    ((struct worker *)owner)->checked++;
    FUZZ_CHECK(count <= 3 && (status == FL_OK || count == 0), "%zu of 3 are missing", count);
}

static void on_rescued(void *owner, fl_status status, const struct fl_queue_entry *entries,
                       const struct fl_slice *workers, size_t count)
{
    ((struct worker *)owner)->rescued++;
    check_entries(entries, count, FL_RESCUE_LIMIT, status);
    for (size_t i = 0; i < count; i++)
        FUZZ_CHECK(workers[i].ptr || workers[i].len == 0, "entry %zu has no worker", i);
}

static void on_woken(void *owner, int64_t job_id)
{
    FUZZ_CHECK(job_id >= 0, "job %" PRId64, job_id);
    ((struct worker *)owner)->messages++;
}

static void on_told(void *owner, struct fl_slice message)
{
    FUZZ_CHECK(message.ptr || message.len == 0, "an absent message of %zu bytes", message.len);
    ((struct worker *)owner)->messages++;
}

static void on_done(struct fl_request *request, struct fl_event *event)
{
    struct worker *worker = FL_CONTAINER(request - request->op, struct worker, requests);
    worker->answered++;
    FUZZ_CHECK(event->op == request->op, "an answer to %u", event->op);
    if (event->status != FL_OK) {
        fuzz_check_err(event->status, event->err);
        return;
    }
    if (event->type == FL_EVENT_LEASED && event->leased.granted)
        FUZZ_CHECK(event->leased.token.n >= 0, "token %" PRId64, event->leased.token.n);
    if (event->type == FL_EVENT_LEASED && !event->leased.granted)
        FUZZ_CHECK(event->leased.remaining_ms >= 0 && event->leased.holder.ptr, "nobody has it for %" PRId64,
                   event->leased.remaining_ms);
    if (event->type == FL_EVENT_LEASE_SEEN && event->lease_seen.mine)
        FUZZ_CHECK(event->lease_seen.token.n > 0 && event->lease_seen.token.n < INT64_C(1) << 53,
                   "token %" PRId64, event->lease_seen.token.n);
}

static void start_requests(struct worker *worker, const struct fl_import *import)
{
    static const enum fl_action_type ACTIONS[REQUESTS] = {FL_ACTION_LEASE, FL_ACTION_LEASE_CHECK,
                                                          FL_ACTION_RENEW, FL_ACTION_RELEASE};
    for (uint32_t i = 0; i < REQUESTS; i++) {
        worker->requests[i] =
            (struct fl_request){.action = ACTIONS[i], .op = i, .import = import, .done = on_done};
        worker->lease.port.start(worker->lease.port.self, &worker->requests[i]);
    }
}

static bool is_answered(const struct worker *worker)
{
    const struct fl_redis_queue *queue = &worker->queue;
    bool is_finishing =
        queue->finish_count > 0 || (!queue->finish_blocked && !fl_list_is_empty(&queue->to_finish));
    return !queue->taking && !queue->adding && !queue->checking && !queue->beating && !queue->rescuing &&
           !is_finishing && worker->answered == REQUESTS &&
           worker->messages == worker->server->message_count + 1;
}

static void run_until_answered(const struct worker *worker, const char *what)
{
    for (int turn = 0; !is_answered(worker); turn++) {
        FUZZ_CHECK(turn < TURNS_MAX, "%s: not answered", what);
        uv_run(&worker->server->loop, UV_RUN_ONCE);
    }
}

static void ask_everything(struct worker *worker)
{
    struct fl_queue_id added[] = {{1, FL_PRIORITY_HIGH}, {2, FL_PRIORITY_NORMAL}, {3, FL_PRIORITY_LOW}};
    struct fl_queue_id checked[] = {{1, FL_PRIORITY_HIGH}, {2, FL_PRIORITY_NORMAL}, {3, FL_PRIORITY_LOW}};
    struct fl_import_policy policy = {.lease_ttl_ms = 10000};
    struct fl_import import = {
        .policy = &policy, .job = {.job_id = 7, .episode = FL_SLICE("ep{7}%")}, .lease = {.nonce = {NONCE}}};
    struct fl_err err;
    struct fl_redis_queue *queue = &worker->queue;
    bool is_sent = fl_redis_queue_take(queue, 8) && fl_redis_queue_rescue(queue, 1000) &&
                   fl_redis_queue_check(queue, checked, 3) && fl_redis_queue_add(queue, added, 3) &&
                   fl_redis_queue_beat(queue, FL_SLICE("{}"), 1000, true, &err);
    FUZZ_CHECK(is_sent, "a command cannot be sent");
    start_requests(worker, &import);
    run_until_answered(worker, "the first commands");
    FUZZ_CHECK(worker->taken == 1 && worker->rescued == 1 && worker->checked == 1 && worker->added == 1 &&
                   worker->beaten == 1 && worker->answered == REQUESTS,
               "%d %d %d %d %d %d", worker->taken, worker->rescued, worker->checked, worker->added,
               worker->beaten, worker->answered);
    FUZZ_CHECK(worker->finished <= worker->entry_count, "%zu of %zu entries", worker->finished,
               worker->entry_count);
    FUZZ_CHECK(fl_redis_queue_recover(queue), "a recovery cannot be sent");
    run_until_answered(worker, "the recovery");
    FUZZ_CHECK(worker->recovered <= 1 && worker->taken == 1, "%d recoveries", worker->recovered);
}

void fuzz_queue(struct fl_slice input)
{
    static struct worker worker;
    char *exact = fuzz_exact(input);
    struct fuzz_server *server = fuzz_server_start((struct fl_slice){exact, input.len});
    worker = (struct worker){.server = server};
    const struct fl_queue_events events = {.owner = &worker,
                                           .taken = on_taken,
                                           .recovered = on_recovered,
                                           .finished = on_finished,
                                           .beaten = on_beaten,
                                           .failed = on_failed};
    fl_redis_lease_init(&worker.lease, &server->loop, &server->address, TIMEOUT_MS, "worker@host:1",
                        "host:1:abcdef");
    worker.lease.port.owner = &worker;
    worker.lease.port.woken = on_woken;
    worker.lease.told = on_told;
    fl_redis_queue_init(&worker.queue, &server->loop, &worker.lease, "host:1:abcdef", &events);
    worker.queue.dispatch_events = (struct fl_dispatch_events){
        .owner = &worker, .added = on_added, .checked = on_checked, .rescued = on_rescued};
    fl_redis_lease_subscribe(&worker.lease);
    ask_everything(&worker);
    fl_redis_queue_close(&worker.queue);
    fl_redis_lease_close(&worker.lease);
    fuzz_server_drain(server);
    free(exact);
}
