/* importer.c - see importer.h.
 *
 * Happy path: ask Redis for a sign of life, write job rows in chunks (SUBMIT), start a drive in every free
 * slot, report each result, stop the loop when nothing is left. Failure modes: a server that is not available
 * ends the run after its imports gave up by themselves (they retry with backoff); an interrupt cancels what
 * runs and decides what was only written. On close: the adapters answer everything that is in flight, then
 * the loop closes its handles. */
#include "app/importer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/presence.h"
#include "base/assert.h"
#include "base/list.h"
#include "base/slice.h"
#include "core/retry.h"
#include "io/pg_dsn.h"
#include "io/pg_store.h"
#include "io/uv_clock.h"
#include "io/uv_pool.h"

enum { SUBMIT_CHUNK = 64, EXIT_INTERRUPTED = 130 };

struct slot {
    struct fl_drive drive;
    struct fl_import_item item;
    struct importer *importer;
    bool busy;
};

struct importer {
    const struct fl_settings *settings;
    const struct fl_importer_calls *calls;
    struct fl_importer_end *end;
    struct fl_redis_address address;
    uv_loop_t loop;
    uv_signal_t sigint, sigterm;
    struct fl_uv_clock clock;
    struct fl_uv_pool pool;
    struct fl_redis_lease lease;
    struct fl_presence presence;
    const struct fl_drive *drives[FL_PROCESS_INFO_IMPORTS]; /* what the registry is told */
    int64_t running_ids[FL_PROCESS_INFO_JOBS];
    struct fl_pg_store store;
    struct fl_drive_ports ports;
    struct slot *slots;
    size_t slot_count, busy_count;
    struct fl_import_item *ready; /* items with a job row that wait for a slot */
    size_t ready_count, ready_capacity;
    struct fl_import_item chunk[SUBMIT_CHUNK]; /* being written */
    struct fl_submit_job jobs[SUBMIT_CHUNK];
    int64_t job_ids[SUBMIT_CHUNK];
    struct fl_submit submit;
    struct fl_timer submit_timer;
    uint32_t submit_attempts;
    int64_t submit_since_ms; /* first failure of this chunk */
    bool submitting, exhausted, stopping;
    fl_status status;
    struct fl_err err;
};

static void pump(struct importer *importer);
static void write_chunk(struct importer *importer);

/* ---- the end of things ---- */

/* No more items are started; what runs comes to its own end. */
static void stop_feeding(struct importer *importer, fl_status status, const struct fl_err *err)
{
    importer->exhausted = importer->stopping = true;
    if (status != FL_OK && importer->status == FL_OK) {
        importer->status = status;
        importer->err = *err;
    }
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct importer *importer = signal->data;
    (void)number;
    if (importer->end->interrupted)
        _exit(EXIT_INTERRUPTED);
    importer->end->interrupted = true;
    stop_feeding(importer, FL_OK, NULL);
    for (size_t i = 0; i < importer->slot_count; i++)
        if (importer->slots[i].busy)
            fl_drive_cancel(&importer->slots[i].drive);
    pump(importer);
}

static bool is_finished(const struct importer *importer)
{
    return importer->exhausted && !importer->submitting && importer->ready_count == 0 &&
           importer->busy_count == 0;
}

/* ---- running ---- */

static void on_done(struct fl_drive *drive)
{
    struct slot *slot = FL_CONTAINER(drive, struct slot, drive);
    struct importer *importer = slot->importer;
    struct fl_clock_port *clock = &importer->clock.port;
    struct fl_import_result result = {
        .item = &slot->item,
        .import = &drive->import,
        .document = drive->document.kind != FL_KIND_NONE && drive->loaded == FL_OK ? &drive->document : NULL,
        .elapsed_ms = clock->now_ms(clock->self) - drive->started_ms,
        .exit_code = fl_import_exit_code(&drive->import),
    };
    importer->calls->result(importer->calls->owner, &result);
    slot->busy = false;
    importer->busy_count--;
    int code = result.exit_code;
    bool hopeless = code == fl_status_exit_code(FL_UNAVAILABLE) || code == fl_status_exit_code(FL_USAGE);
    if (hopeless && !importer->stopping) /* the next ones would fail the same way, after the same patience */
        stop_feeding(importer, FL_OK, NULL);
    pump(importer);
}

/* Chapters and transcript of one episode need the same lease: side by side one would only wait for the other.
 */
static bool episode_is_busy(const struct importer *importer, struct fl_slice episode)
{
    for (size_t i = 0; i < importer->slot_count; i++)
        if (importer->slots[i].busy && fl_slice_eq(importer->slots[i].item.job.episode, episode))
            return true;
    return false;
}

static void start_in(struct importer *importer, struct slot *slot, const struct fl_import_item *item)
{
    slot->item = *item;
    slot->busy = true;
    importer->busy_count++;
    fl_drive_start(&slot->drive, &importer->ports, &slot->item.job, &importer->settings->policy,
                   &slot->item.source, on_done);
    if (importer->stopping) /* its row is there: it must not stay open */
        fl_drive_cancel(&slot->drive);
}

static void fill_slots(struct importer *importer)
{
    size_t kept = 0;
    for (size_t i = 0; i < importer->ready_count; i++) {
        struct slot *free_slot = NULL;
        for (size_t k = 0; k < importer->slot_count && !free_slot; k++)
            if (!importer->slots[k].busy)
                free_slot = &importer->slots[k];
        if (free_slot && !episode_is_busy(importer, importer->ready[i].job.episode))
            start_in(importer, free_slot, &importer->ready[i]);
        else
            importer->ready[kept++] = importer->ready[i];
    }
    importer->ready_count = kept;
}

/* ---- job rows ---- */

static void on_submit_timer(struct fl_timer *timer)
{
    write_chunk(FL_CONTAINER(timer, struct importer, submit_timer));
}

static void retry_submit(struct importer *importer)
{
    uint64_t random[2];
    struct fl_clock_port *clock = &importer->clock.port;
    clock->random(clock->self, random);
    int64_t delay_ms =
        fl_retry_delay_ms(importer->submit_attempts, importer->settings->policy.backoff_base_ms,
                          importer->settings->policy.backoff_max_ms, random[0]);
    clock->set(clock->self, &importer->submit_timer, clock->now_ms(clock->self) + delay_ms);
}

static void on_submitted(struct fl_request *request, struct fl_event *event)
{
    struct fl_submit *submit = FL_CONTAINER(request, struct fl_submit, call.request);
    struct importer *importer = FL_CONTAINER(submit, struct importer, submit);
    struct fl_clock_port *clock = &importer->clock.port;
    int64_t now_ms = clock->now_ms(clock->self);
    if (importer->submit_attempts++ == 0)
        importer->submit_since_ms = now_ms;
    bool again = fl_status_retryable(event->status) &&
                 now_ms - importer->submit_since_ms < importer->settings->policy.patience_ms;
    if (event->status != FL_OK && again && !importer->stopping) {
        submit->again = true;
        retry_submit(importer);
        return;
    }
    importer->submitting = false;
    if (event->status != FL_OK) {
        importer->end->not_attempted += submit->count;
        fl_status status = event->status == FL_LOST ? FL_UNAVAILABLE : event->status;
        stop_feeding(importer, importer->end->interrupted ? FL_OK : status, event->err);
        pump(importer);
        return;
    }
    importer->submit_attempts = 0;
    for (size_t i = 0; i < submit->count; i++) {
        importer->chunk[i].job.job_id = submit->job_ids[i];
        importer->ready[importer->ready_count++] = importer->chunk[i];
    }
    pump(importer);
}

static void write_chunk(struct importer *importer)
{
    fl_pg_store_submit(&importer->store, &importer->submit, on_submitted);
}

/* A chunk is as large as what is missing, so that a small import writes once and a large one in few
 * statements. */
static void take_chunk(struct importer *importer)
{
    size_t count = 0;
    while (count < SUBMIT_CHUNK && !importer->exhausted) {
        struct fl_import_item *item = &importer->chunk[count];
        if (!importer->calls->next(importer->calls->owner, item)) {
            importer->exhausted = true;
            break;
        }
        importer->jobs[count++] = (struct fl_submit_job){
            .episode = item->job.episode,
            .source = item->name,
            .kind = item->job.kind,
            .mode = item->job.mode,
            .if_version = item->job.if_version,
        };
    }
    if (count == 0)
        return;
    importer->submitting = true;
    importer->submit = (struct fl_submit){.jobs = importer->jobs,
                                          .count = count,
                                          .worker = fl_slice_from(importer->store.holder),
                                          .job_ids = importer->job_ids};
    importer->clock.port.random(importer->clock.port.self, importer->submit.request_id);
    write_chunk(importer);
}

static void pump(struct importer *importer)
{
    fill_slots(importer);
    if (!importer->submitting && !importer->exhausted && importer->ready_count < importer->slot_count)
        take_chunk(importer);
    if (is_finished(importer))
        fl_presence_leave(&importer->presence);
}

/* ---- in the registry ---- */

static void on_describe(void *owner, struct fl_process_info *info)
{
    struct importer *importer = owner;
    size_t count = 0;
    for (size_t i = 0; i < importer->slot_count && count < FL_PROCESS_INFO_IMPORTS; i++)
        if (importer->slots[i].busy)
            importer->drives[count++] = &importer->slots[i].drive;
    for (size_t i = 0; i < count && i < FL_PROCESS_INFO_JOBS; i++)
        importer->running_ids[i] = importer->drives[i]->import.job.job_id;
    info->holder = importer->store.holder;
    info->state = importer->stopping ? "draining" : "importing";
    info->slots = (int64_t)importer->slot_count;
    info->running = (int64_t)count;
    info->jobs = importer->running_ids;
    info->job_count = count;
    info->drives = importer->drives;
    info->drive_count = count;
}

static void on_left(void *owner)
{
    struct importer *importer = owner;
    uv_stop(&importer->loop);
}

/* ---- beginning and end ---- */

static void on_alive(void *owner, fl_status status, const struct fl_err *err)
{
    struct importer *importer = owner;
    if (status != FL_OK)
        stop_feeding(importer, status, err);
    pump(importer);
}

static void on_woken(void *owner, int64_t job_id)
{
    struct importer *importer = owner;
    for (size_t i = 0; i < importer->slot_count; i++)
        if (importer->slots[i].busy && importer->slots[i].item.job.job_id == job_id)
            fl_drive_wake(&importer->slots[i].drive);
}

static fl_status allocate(struct importer *importer)
{
    importer->slot_count = (size_t)importer->settings->import_jobs;
    importer->slots = calloc(importer->slot_count, sizeof *importer->slots);
    importer->ready_capacity = importer->slot_count + SUBMIT_CHUNK;
    importer->ready = calloc(importer->ready_capacity, sizeof *importer->ready);
    if (!importer->slots || !importer->ready)
        return fl_err_set(&importer->err, FL_NO_MEMORY, "no memory for %zu imports at once; use fewer --jobs",
                          importer->slot_count);
    for (size_t i = 0; i < importer->slot_count; i++)
        importer->slots[i].importer = importer;
    return FL_OK;
}

static void catch_signals(struct importer *importer)
{
    uv_signal_t *signals[] = {&importer->sigint, &importer->sigterm};
    const int numbers[] = {SIGINT, SIGTERM};
    for (size_t i = 0; i < 2; i++) {
        uv_signal_init(&importer->loop, signals[i]);
        signals[i]->data = importer;
        uv_signal_start(signals[i], on_signal, numbers[i]);
    }
}

static void close_all(struct importer *importer)
{
    importer->end->batches = importer->store.batches;
    importer->end->batched = importer->store.batched;
    uv_close((uv_handle_t *)&importer->sigint, NULL);
    uv_close((uv_handle_t *)&importer->sigterm, NULL);
    fl_presence_close(&importer->presence);
    fl_redis_lease_close(&importer->lease);
    fl_pg_store_close(&importer->store);
    fl_uv_clock_close(&importer->clock);
    uv_run(&importer->loop, UV_RUN_DEFAULT);
    int left = uv_loop_close(&importer->loop);
    FL_ASSERT(left == 0);
    fl_pg_store_free(&importer->store);
}

static fl_status run(struct importer *importer)
{
    const struct fl_settings *settings = importer->settings;
    fl_status status = fl_pg_store_init(&importer->store, &importer->loop, settings->postgres_dsn,
                                        settings->postgres_timeout_ms, (int)settings->postgres_connections,
                                        "import", &importer->err);
    if (status != FL_OK)
        return status;
    struct fl_clock_port *clock = &importer->clock.port;
    fl_uv_clock_init(&importer->clock, &importer->loop);
    fl_uv_pool_init(&importer->pool, &importer->loop);
    fl_presence_init(&importer->presence, clock, &settings->worker);
    fl_redis_lease_init(&importer->lease, &importer->loop, &importer->address, settings->redis_timeout_ms,
                        importer->store.holder, importer->presence.name.id);
    importer->presence.owner = importer;
    importer->presence.describe = on_describe;
    importer->presence.left = on_left;
    fl_presence_start(&importer->presence, &importer->loop, &importer->lease);
    importer->lease.port.woken = on_woken;
    importer->lease.port.owner = importer;
    importer->ports = (struct fl_drive_ports){
        .store = &importer->store.port,
        .lease = &importer->lease.port,
        .pool = &importer->pool.port,
        .clock = &importer->clock.port,
        .note = importer->calls->note,
        .owner = importer->calls->owner,
    };
    importer->submit_timer = (struct fl_timer){.fire = on_submit_timer, .at_ms = FL_NEVER_MS};
    catch_signals(importer);
    fl_redis_lease_ping(&importer->lease, on_alive, importer);
    uv_run(&importer->loop, UV_RUN_DEFAULT);
    close_all(importer);
    return importer->status;
}

fl_status fl_importer_run(const struct fl_settings *settings, const struct fl_importer_calls *calls,
                          struct fl_importer_end *end, struct fl_err *err)
{
    struct importer *importer = calloc(1, sizeof *importer);
    if (!importer)
        return fl_err_set(err, FL_NO_MEMORY, "no memory to start");
    *end = (struct fl_importer_end){0};
    importer->settings = settings;
    importer->calls = calls;
    importer->end = end;
    fl_status status = fl_redis_parse_url(settings->redis_url, &importer->address, &importer->err);
    if (status == FL_OK)
        status = fl_pg_dsn_check(settings->postgres_dsn, NULL, &importer->err);
    if (status == FL_OK)
        status = allocate(importer);
    if (status == FL_OK) {
        uv_loop_init(&importer->loop);
        status = run(importer);
    }
    if (err)
        *err = importer->err;
    for (size_t i = 0; importer->slots && i < importer->slot_count; i++)
        fl_drive_release(&importer->slots[i].drive);
    free(importer->slots);
    free(importer->ready);
    free(importer);
    return status;
}
