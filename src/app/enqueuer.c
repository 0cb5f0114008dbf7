/* enqueuer.c - see enqueuer.h.
 *
 * Happy path: fill a chunk from next(), send it as one statement, fill the next one meanwhile; tell of each
 * when Postgres has answered. A chunk with a document that an unanswered one has too waits for that, since
 * ids are the order in which workers run them. Failure modes: a retryable error sends the same chunk again
 * after a pause, under the same request id, until the patience is over; any other error, or an interrupt,
 * ends the run after what is in flight was answered. On close: the store answers everything, then the loop
 * closes its handles. */
#include "app/enqueuer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/list.h"
#include "base/slice.h"
#include "core/retry.h"
#include "io/pg_dsn.h"
#include "io/uv_clock.h"

enum {
    CHUNKS = 3,
    ARENA_BYTES = 64 * 1024 * 1024,
    LARGEST_BODY_BYTES = 1024 * 1024, /* of limit.inline_bytes */
    FULL_BYTES = FL_ENQUEUE_CHUNK_BYTES - LARGEST_BODY_BYTES,
    DOCUMENT_SLOTS = 1024,
    STEPS_A_TURN = 1000,
    EXIT_INTERRUPTED = 130,
};

enum chunk_state {
    CHUNK_FREE,
    CHUNK_FILLING,
    CHUNK_HELD,    /* full, but has a document that one in flight has too */
    CHUNK_SENT,    /* Postgres has it */
    CHUNK_WAITING, /* to be sent again */
};

struct chunk {
    struct enqueuer *enqueuer;
    enum chunk_state state;
    struct fl_arena arena; /* of what the jobs point to */
    struct fl_submit_job jobs[FL_ENQUEUE_CHUNK_JOBS];
    int64_t job_ids[FL_ENQUEUE_CHUNK_JOBS];
    uint64_t documents[DOCUMENT_SLOTS]; /* hashes of (episode, kind), open addressing; 0 = free */
    size_t count, body_bytes;
    bool shares_document; /* with a chunk that was in flight when it was filled */
    bool maybe_written;   /* an attempt was lost: it may have taken effect */
    struct fl_submit submit;
    struct fl_timer timer;
    uint32_t attempts;
    int64_t since_ms; /* first failure */
};

enum fill_result { FILL_FULL, FILL_LATER, FILL_UNFINISHED, FILL_END };

struct enqueuer {
    const struct fl_settings *settings;
    const struct fl_enqueuer_calls *calls;
    struct fl_enqueuer_end *end;
    uv_loop_t loop;
    uv_signal_t sigint, sigterm;
    uv_poll_t input;
    uv_idle_t idle; /* brings the loop back at once */
    bool has_input;
    struct fl_uv_clock clock;
    struct fl_pg_store store;
    struct chunk chunks[CHUNKS];
    bool exhausted, stopping;
    fl_status status;
    struct fl_err err;
};

static void pump(struct enqueuer *enqueuer);

/* ---- documents of a chunk ---- */

static uint64_t hash_document(const struct fl_submit_job *job)
{
    uint64_t hash = 14695981039346656037u + (uint64_t)job->kind; /* FNV-1a */
    for (size_t i = 0; i < job->episode.len; i++)
        hash = (hash ^ (unsigned char)job->episode.ptr[i]) * 1099511628211u;
    return hash ? hash : 1;
}

static uint64_t *document_slot(struct chunk *chunk, uint64_t hash)
{
    size_t i = (hash ^ hash >> 32) % DOCUMENT_SLOTS;
    while (chunk->documents[i] && chunk->documents[i] != hash)
        i = (i + 1) % DOCUMENT_SLOTS;
    return &chunk->documents[i];
}

static bool is_in_flight(const struct chunk *chunk)
{
    return chunk->state == CHUNK_SENT || chunk->state == CHUNK_WAITING;
}

static void note_document(struct chunk *chunk, const struct fl_submit_job *job)
{
    uint64_t hash = hash_document(job);
    *document_slot(chunk, hash) = hash;
    for (size_t i = 0; i < CHUNKS; i++) {
        struct chunk *other = &chunk->enqueuer->chunks[i];
        if (is_in_flight(other) && *document_slot(other, hash))
            chunk->shares_document = true;
    }
}

/* ---- the end of a chunk, and of all ---- */

static void empty(struct chunk *chunk)
{
    fl_arena_release(&chunk->arena);
    if (chunk->count)
        memset(chunk->documents, 0, sizeof chunk->documents);
    chunk->state = CHUNK_FREE;
    chunk->count = chunk->body_bytes = 0;
    chunk->shares_document = chunk->maybe_written = false;
    chunk->attempts = 0;
}

static void give_up(struct chunk *chunk)
{
    struct enqueuer *enqueuer = chunk->enqueuer;
    enqueuer->clock.port.set(enqueuer->clock.port.self, &chunk->timer, FL_NEVER_MS);
    if (chunk->maybe_written)
        enqueuer->end->unknown += chunk->count;
    else
        enqueuer->end->not_written += chunk->count;
    empty(chunk);
}

/* No more jobs are taken; what Postgres has is awaited. */
static void stop(struct enqueuer *enqueuer, fl_status status, const struct fl_err *err)
{
    enqueuer->stopping = true;
    if (status != FL_OK && enqueuer->status == FL_OK) {
        enqueuer->status = status;
        enqueuer->err = *err;
    }
    for (size_t i = 0; i < CHUNKS; i++)
        if (enqueuer->chunks[i].state != CHUNK_FREE && enqueuer->chunks[i].state != CHUNK_SENT)
            give_up(&enqueuer->chunks[i]);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct enqueuer *enqueuer = signal->data;
    (void)number;
    if (enqueuer->end->interrupted)
        _exit(EXIT_INTERRUPTED);
    enqueuer->end->interrupted = true;
    stop(enqueuer, FL_OK, NULL);
    pump(enqueuer);
}

static bool is_finished(const struct enqueuer *enqueuer)
{
    for (size_t i = 0; i < CHUNKS; i++)
        if (enqueuer->chunks[i].state != CHUNK_FREE)
            return false;
    return enqueuer->exhausted || enqueuer->stopping;
}

/* ---- writing ---- */

static void on_written(struct fl_request *request, struct fl_event *event);

static void send_chunk(struct chunk *chunk)
{
    chunk->state = CHUNK_SENT;
    fl_pg_store_enqueue(&chunk->enqueuer->store, &chunk->submit, on_written);
}

static void send_first(struct chunk *chunk)
{
    struct fl_clock_port *clock = &chunk->enqueuer->clock.port;
    chunk->submit = (struct fl_submit){.jobs = chunk->jobs, .count = chunk->count, .job_ids = chunk->job_ids};
    clock->random(clock->self, chunk->submit.request_id);
    send_chunk(chunk);
}

static void on_timer(struct fl_timer *timer)
{
    send_chunk(FL_CONTAINER(timer, struct chunk, timer));
}

static void send_later(struct chunk *chunk, int64_t now_ms)
{
    uint64_t random[2];
    struct fl_clock_port *clock = &chunk->enqueuer->clock.port;
    const struct fl_import_policy *policy = &chunk->enqueuer->settings->policy;
    clock->random(clock->self, random);
    chunk->state = CHUNK_WAITING;
    chunk->submit.again = true;
    clock->set(clock->self, &chunk->timer,
               now_ms + fl_retry_delay_ms(chunk->attempts - 1, policy->backoff_base_ms,
                                          policy->backoff_max_ms, random[0]));
}

static void on_failed(struct chunk *chunk, const struct fl_event *event)
{
    struct enqueuer *enqueuer = chunk->enqueuer;
    int64_t now_ms = enqueuer->clock.port.now_ms(enqueuer->clock.port.self);
    if (chunk->attempts++ == 0)
        chunk->since_ms = now_ms;
    if (event->status == FL_LOST)
        chunk->maybe_written = true;
    if (fl_status_retryable(event->status) && !enqueuer->stopping &&
        now_ms - chunk->since_ms < enqueuer->settings->policy.patience_ms) {
        send_later(chunk, now_ms);
        return;
    }
    fl_status status = event->status == FL_LOST ? FL_UNAVAILABLE : event->status;
    give_up(chunk);
    stop(enqueuer, enqueuer->end->interrupted ? FL_OK : status, event->err);
}

static bool has_in_flight(const struct enqueuer *enqueuer)
{
    for (size_t i = 0; i < CHUNKS; i++)
        if (is_in_flight(&enqueuer->chunks[i]))
            return true;
    return false;
}

static void send_held(struct enqueuer *enqueuer)
{
    for (size_t i = 0; i < CHUNKS; i++)
        if (enqueuer->chunks[i].state == CHUNK_HELD && !has_in_flight(enqueuer))
            send_first(&enqueuer->chunks[i]);
}

static void on_written(struct fl_request *request, struct fl_event *event)
{
    struct fl_submit *submit = FL_CONTAINER(request, struct fl_submit, call.request);
    struct chunk *chunk = FL_CONTAINER(submit, struct chunk, submit);
    struct enqueuer *enqueuer = chunk->enqueuer;
    if (event->status == FL_OK) {
        enqueuer->calls->written(enqueuer->calls->owner, chunk->jobs, chunk->job_ids, chunk->count);
        empty(chunk);
    } else {
        on_failed(chunk, event);
    }
    send_held(enqueuer);
    pump(enqueuer);
}

/* ---- taking ---- */

static struct chunk *chunk_to_fill(struct enqueuer *enqueuer)
{
    struct chunk *found = NULL;
    if (enqueuer->exhausted || enqueuer->stopping)
        return NULL;
    for (size_t i = 0; i < CHUNKS; i++) {
        struct chunk *chunk = &enqueuer->chunks[i];
        if (chunk->state == CHUNK_HELD)
            return NULL; /* or its jobs would be overtaken */
        if (chunk->state == CHUNK_FILLING || (chunk->state == CHUNK_FREE && !found))
            found = chunk;
    }
    return found;
}

static enum fill_result fill(struct enqueuer *enqueuer, struct chunk *chunk)
{
    chunk->state = CHUNK_FILLING;
    for (int steps = 0; steps < STEPS_A_TURN; steps++) {
        if (chunk->count == FL_ENQUEUE_CHUNK_JOBS || chunk->body_bytes >= FULL_BYTES)
            return FILL_FULL;
        struct fl_submit_job *job = &chunk->jobs[chunk->count];
        *job = (struct fl_submit_job){0};
        switch (enqueuer->calls->next(enqueuer->calls->owner, &chunk->arena, job)) {
        case FL_ENQUEUE_JOB:
            FL_ASSERT(job->body.len <= LARGEST_BODY_BYTES);
            chunk->body_bytes += job->body.len;
            chunk->count++;
            note_document(chunk, job);
            break;
        case FL_ENQUEUE_SKIPPED: break;
        case FL_ENQUEUE_LATER: return FILL_LATER;
        case FL_ENQUEUE_END: enqueuer->exhausted = true; return FILL_END;
        }
    }
    return FILL_UNFINISHED;
}

static void on_idle(uv_idle_t *idle)
{
    pump(idle->data);
}

static void on_input(uv_poll_t *input, int status, int events)
{
    (void)status; /* next() finds out */
    (void)events;
    pump(input->data);
}

static void come_back(struct enqueuer *enqueuer, enum fill_result result)
{
    uv_idle_stop(&enqueuer->idle);
    if (enqueuer->has_input)
        uv_poll_stop(&enqueuer->input);
    if (result == FILL_LATER && enqueuer->has_input)
        uv_poll_start(&enqueuer->input, UV_READABLE, on_input);
    else if (result == FILL_LATER || result == FILL_UNFINISHED)
        uv_idle_start(&enqueuer->idle, on_idle);
}

static void pump(struct enqueuer *enqueuer)
{
    enum fill_result result = FILL_FULL;
    for (struct chunk *chunk; result == FILL_FULL && (chunk = chunk_to_fill(enqueuer));) {
        result = fill(enqueuer, chunk);
        if (result == FILL_UNFINISHED)
            break;
        if (chunk->count == 0)
            empty(chunk);
        else if (chunk->shares_document && has_in_flight(enqueuer))
            chunk->state = CHUNK_HELD;
        else
            send_first(chunk);
    }
    come_back(enqueuer, chunk_to_fill(enqueuer) ? result : FILL_FULL);
    if (is_finished(enqueuer))
        uv_stop(&enqueuer->loop);
}

/* ---- beginning and end ---- */

static void open_handles(struct enqueuer *enqueuer)
{
    uv_signal_t *signals[] = {&enqueuer->sigint, &enqueuer->sigterm};
    const int numbers[] = {SIGINT, SIGTERM};
    for (size_t i = 0; i < 2; i++) {
        uv_signal_init(&enqueuer->loop, signals[i]);
        signals[i]->data = enqueuer;
        uv_signal_start(signals[i], on_signal, numbers[i]);
    }
    uv_idle_init(&enqueuer->loop, &enqueuer->idle);
    enqueuer->idle.data = enqueuer;
    int fd = enqueuer->calls->wait_fd;
    enqueuer->has_input = fd >= 0 && uv_poll_init(&enqueuer->loop, &enqueuer->input, fd) == 0;
    enqueuer->input.data = enqueuer;
    fl_uv_clock_init(&enqueuer->clock, &enqueuer->loop);
}

static void close_all(struct enqueuer *enqueuer)
{
    uv_close((uv_handle_t *)&enqueuer->sigint, NULL);
    uv_close((uv_handle_t *)&enqueuer->sigterm, NULL);
    uv_close((uv_handle_t *)&enqueuer->idle, NULL);
    if (enqueuer->has_input)
        uv_close((uv_handle_t *)&enqueuer->input, NULL);
    fl_pg_store_close(&enqueuer->store);
    fl_uv_clock_close(&enqueuer->clock);
    uv_run(&enqueuer->loop, UV_RUN_DEFAULT);
    int left = uv_loop_close(&enqueuer->loop);
    FL_ASSERT(left == 0);
    fl_pg_store_free(&enqueuer->store);
}

static fl_status run(struct enqueuer *enqueuer)
{
    const struct fl_settings *settings = enqueuer->settings;
    int connections = settings->postgres_connections < CHUNKS ? (int)settings->postgres_connections : CHUNKS;
    fl_status status =
        fl_pg_store_init(&enqueuer->store, &enqueuer->loop, settings->postgres_dsn,
                         settings->postgres_timeout_ms, connections, "enqueue", &enqueuer->err);
    if (status != FL_OK)
        return status;
    open_handles(enqueuer);
    pump(enqueuer);
    uv_run(&enqueuer->loop, UV_RUN_DEFAULT);
    close_all(enqueuer);
    return enqueuer->status;
}

fl_status fl_enqueuer_run(const struct fl_settings *settings, const struct fl_enqueuer_calls *calls,
                          struct fl_enqueuer_end *end, struct fl_err *err)
{
    *end = (struct fl_enqueuer_end){0};
    fl_status status = fl_pg_dsn_check(settings->postgres_dsn, NULL, err);
    if (status != FL_OK)
        return status;
    struct enqueuer *enqueuer = calloc(1, sizeof *enqueuer);
    if (!enqueuer)
        return fl_err_set(err, FL_NO_MEMORY, "no memory to start");
    enqueuer->settings = settings;
    enqueuer->calls = calls;
    enqueuer->end = end;
    for (size_t i = 0; i < CHUNKS; i++) {
        struct chunk *chunk = &enqueuer->chunks[i];
        chunk->enqueuer = enqueuer;
        chunk->timer = (struct fl_timer){.fire = on_timer, .at_ms = FL_NEVER_MS};
        fl_arena_init(&chunk->arena, ARENA_BYTES);
    }
    uv_loop_init(&enqueuer->loop);
    status = run(enqueuer);
    if (status != FL_OK && err)
        *err = enqueuer->err;
    free(enqueuer);
    return status;
}
