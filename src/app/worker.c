/* worker.c - see worker.h.
 *
 * Happy path: listen to Postgres, beat in Redis, then take entries whenever a slot is free: at a message,
 * after a finished job, and with each heartbeat. Failure modes: without Postgres or Redis nothing new is
 * taken; each is asked again with backoff or with the next heartbeat. On close: drain, leave the registry,
 * close the adapters, which answer everything that is in flight. */
#include "app/worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "app/dispatcher.h"
#include "app/process_info.h"
#include "app/web.h"
#include "base/assert.h"
#include "base/list.h"
#include "base/slice.h"
#include "io/pg_dsn.h"
#include "io/pg_listen.h"
#include "io/pg_schema.h"
#include "io/uv_clock.h"
#include "io/uv_pool.h"

enum { EXIT_INTERRUPTED = 130, LAST_GRACE_MS = 5000, LEAVE_MS = 1000, TROUBLES = 8 };

enum phase { PHASE_STARTING, PHASE_RUNNING, PHASE_DRAINING, PHASE_LEAVING, PHASE_OVER };

struct worker {
    struct fl_settings settings;
    const struct fl_worker_calls *calls;
    struct fl_redis_address address;
    uv_loop_t loop;
    uv_signal_t signals[3];
    uv_prepare_t pump;
    struct fl_uv_clock clock;
    struct fl_uv_pool pool;
    struct fl_redis_lease lease;
    struct fl_redis_queue queue;
    struct fl_pg_store store;
    struct fl_pg_listen listen;
    struct fl_queue_control control;
    struct fl_runs runs;
    struct fl_dispatcher dispatcher;
    struct fl_web web;
    struct fl_timer beat, drain;
    struct fl_process_name name;
    char info[FL_PROCESS_INFO_BYTES];
    enum phase phase;
    bool is_known; /* a heartbeat has arrived: the registry has this worker */
    bool has_control, asks_control, control_wanted;
    int64_t well_at_ms;    /* when Postgres answered it last */
    int64_t recover_at_ms; /* when Redis is asked again what this worker holds */
    int64_t control_at_ms; /* when it is asked again in any case */
    bool is_paused;
    bool look; /* there may be entries to take */
    fl_status status;
    struct fl_err err;
    char troubles[TROUBLES][FL_ERR_TEXT_BYTES]; /* told since all was well, in a ring; "" = none */
    size_t trouble_count;
};

static void begin_drain(struct worker *worker);

/* ---- telling ---- */

static void say(struct worker *worker, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct worker *worker, const char *format, ...)
{
    struct fl_err text;
    va_list args;
    va_start(args, format);
    fl_err_vset(&text, FL_OK, format, args);
    va_end(args);
    worker->calls->say(worker->calls->owner, text.text);
}

/* This binary does not fit what it meets: no use in going on. */
static void give_up(struct worker *worker, const struct fl_err *err)
{
    if (worker->status == FL_OK) {
        worker->status = err->code;
        worker->err = *err;
    }
    begin_drain(worker);
}

static void on_trouble(void *owner, const struct fl_err *err)
{
    struct worker *worker = owner;
    if (err->code == FL_USAGE) {
        give_up(worker, err);
        return;
    }
    for (size_t i = 0; i < TROUBLES; i++) /* two servers may be away, each for reasons of its own */
        if (strcmp(worker->troubles[i], err->text) == 0)
            return;
    snprintf(worker->troubles[worker->trouble_count++ % TROUBLES], FL_ERR_TEXT_BYTES, "%s", err->text);
    worker->calls->trouble(worker->calls->owner, err);
}

static void on_ended(void *owner, const struct fl_run_end *end)
{
    struct worker *worker = owner;
    fl_metrics_ended(&worker->web.metrics, end);
    worker->calls->ended(worker->calls->owner, end);
}

static void on_seen(void *owner, const struct fl_import *import, const struct fl_event *event)
{
    struct worker *worker = FL_CONTAINER(owner, struct worker, runs);
    fl_metrics_seen(&worker->web.metrics, import, event);
}

static void on_note(void *owner, const struct fl_import *import, const char *note)
{
    struct worker *worker = FL_CONTAINER(owner, struct worker, runs);
    if (worker->calls->note)
        worker->calls->note(worker->calls->owner, import, note);
}

static void send_beat(struct worker *worker);

/* Both servers answer. */
static void note_health(struct worker *worker)
{
    if (!worker->is_known || !worker->listen.is_listening || !worker->has_control)
        return;
    if (worker->trouble_count)
        say(worker, "both servers answer");
    worker->trouble_count = 0;
    memset(worker->troubles, 0, sizeof worker->troubles);
    if (worker->phase != PHASE_STARTING)
        return;
    worker->phase = PHASE_RUNNING;
    say(worker, "worker %s ready (%" PRId64 " slots)%s", worker->name.id, worker->settings.worker.slots,
        worker->is_paused ? ", paused" : "");
    send_beat(worker); /* the registry knows it as starting */
}

/* ---- the registry ---- */

/* Postgres has answered lately: one that is only silent would make a dispatcher that keeps its role and does
 * nothing. */
static bool is_well(const struct worker *worker)
{
    const struct fl_clock_port *clock = &worker->clock.port;
    int64_t limit_ms = worker->settings.worker.sweep_ms + worker->settings.worker.dead_ms;
    return worker->listen.is_listening && worker->has_control &&
           clock->now_ms(clock->self) - worker->well_at_ms < limit_ms;
}

static const char *state_of(const struct worker *worker)
{
    static const char *const STATES[] = {"starting", "running", "draining", "draining", "draining"};
    return worker->is_paused && worker->phase == PHASE_RUNNING ? "paused" : STATES[worker->phase];
}

static void send_beat(struct worker *worker)
{
    const struct fl_drive *drives[FL_PROCESS_INFO_IMPORTS];
    int64_t jobs[FL_PROCESS_INFO_JOBS];
    const struct fl_clock_port *clock = &worker->clock.port;
    const size_t *counts = worker->runs.counts;
    struct fl_err err;
    if (worker->queue.beating || worker->phase >= PHASE_LEAVING)
        return;
    const struct fl_process_info info = {
        .name = &worker->name,
        .holder = worker->store.holder,
        .state = state_of(worker),
        .slots = worker->settings.worker.slots,
        .running = (int64_t)(counts[FL_RUN_BEGINNING] + counts[FL_RUN_RUNNING]),
        .parked = (int64_t)(counts[FL_RUN_PARKED] + counts[FL_RUN_RESUMABLE] + counts[FL_RUN_HELD]),
        .jobs = jobs,
        .job_count = fl_runs_list(&worker->runs, jobs, FL_PROCESS_INFO_JOBS),
        .drives = drives,
        .drive_count = fl_runs_drives(&worker->runs, drives, FL_PROCESS_INFO_IMPORTS),
        .now_ms = clock->now_ms(clock->self),
    };
    bool would_dispatch = is_well(worker) && worker->phase <= PHASE_RUNNING;
    if (!fl_redis_queue_beat(&worker->queue, fl_process_info_format(&info, worker->info),
                             worker->settings.worker.dead_ms, would_dispatch, &err))
        on_trouble(worker, &err);
}

static void on_beaten(void *owner, fl_status status, bool is_dispatcher)
{
    struct worker *worker = owner;
    if (worker->phase >= PHASE_LEAVING) {
        worker->phase = PHASE_OVER;
        return;
    }
    worker->is_known = status == FL_OK;
    fl_dispatcher_set_active(&worker->dispatcher, is_dispatcher);
    if (status != FL_OK)
        return;
    worker->look = true;
    fl_dispatcher_tick(&worker->dispatcher);
    note_health(worker);
}

static void on_beat_timer(struct fl_timer *timer)
{
    struct worker *worker = FL_CONTAINER(timer, struct worker, beat);
    struct fl_clock_port *clock = &worker->clock.port;
    clock->set(clock->self, timer, clock->now_ms(clock->self) + worker->settings.worker.heartbeat_ms);
    send_beat(worker);
    int64_t now_ms = clock->now_ms(clock->self);
    if (!worker->has_control || now_ms >= worker->control_at_ms)
        worker->control_wanted = true; /* a notice may have been lost with its connection */
}

/* ---- pause, and the schema's version ---- */

static void on_control(struct fl_request *request, struct fl_event *event)
{
    struct worker *worker = FL_CONTAINER(request, struct worker, control.call.request);
    struct fl_err err;
    worker->asks_control = false;
    if (event->status != FL_OK) {
        worker->has_control = false;
        if (event->err)
            on_trouble(worker, event->err);
        return;
    }
    worker->has_control = true;
    worker->well_at_ms = worker->clock.port.now_ms(worker->clock.port.self);
    if (fl_pg_schema_judge(worker->control.schema_version, &err) != FL_OK) {
        give_up(worker, &err);
        return;
    }
    if (worker->is_paused != worker->control.paused && worker->phase == PHASE_RUNNING)
        say(worker, "worker %s %s", worker->name.id, worker->control.paused ? "paused" : "resumed");
    worker->is_paused = worker->control.paused;
    worker->look = true;
    note_health(worker);
}

static void ask_control(struct worker *worker)
{
    if (worker->asks_control || worker->phase > PHASE_RUNNING)
        return;
    struct fl_clock_port *clock = &worker->clock.port;
    worker->control_at_ms = clock->now_ms(clock->self) + worker->settings.worker.sweep_ms;
    worker->control_wanted = false;
    worker->asks_control = true;
    fl_pg_queue_control(&worker->store, &worker->control, on_control);
}

/* ---- what arrives ---- */

static void on_listening(void *owner)
{
    struct worker *worker = owner;
    worker->control_wanted = true;
    fl_dispatcher_wake(&worker->dispatcher);
    if (!worker->queue.beating)
        send_beat(worker);
}

static void on_listen_lost(void *owner, const struct fl_err *err)
{
    struct worker *worker = owner;
    worker->has_control = false;
    if (worker->phase <= PHASE_DRAINING)
        on_trouble(worker, err);
}

static void on_notified(void *owner, const char *payload)
{
    struct worker *worker = owner;
    struct fl_slice text = fl_slice_from(payload);
    int64_t job_id;
    if (fl_slice_is(text, "work")) {
        fl_dispatcher_wake(&worker->dispatcher);
    } else if (fl_slice_is(text, "pause") || fl_slice_is(text, "schema")) {
        worker->control_wanted = true;
    } else if (fl_slice_starts(text, "cancel ")) {
        struct fl_slice id = {text.ptr + 7, text.len - 7};
        if (fl_slice_take_digits(&id, &job_id) > 0 && id.len == 0)
            fl_runs_cancel(&worker->runs, job_id);
    }
}

static void on_woken(void *owner, int64_t job_id)
{
    struct worker *worker = owner;
    fl_runs_woken(&worker->runs, job_id);
}

static void on_told(void *owner, struct fl_slice message)
{
    struct worker *worker = owner;
    if (fl_slice_is(message, "work"))
        worker->look = true;
    else if (fl_slice_is(message, "dry"))
        fl_dispatcher_ran_low(&worker->dispatcher);
    else if (fl_slice_is(message, "role"))
        send_beat(worker);
}

static void on_taken(void *owner, fl_status status, const struct fl_queue_entry *entries, size_t count,
                     bool made)
{
    struct worker *worker = owner;
    if (status != FL_OK) { /* the next heartbeat looks again, also for what may have been taken */
        worker->recover_at_ms = 0;
        worker->is_known = false;
        return;
    }
    fl_runs_take(&worker->runs, entries, count);
    worker->look = worker->look || count > 0;
    if (made)
        fl_dispatcher_redis_was_empty(&worker->dispatcher);
    fl_dispatcher_ran_low(&worker->dispatcher);
}

/* Entries whose reply got lost: handed out to this worker, and yet not in its hands. */
static void on_recovered(void *owner, const struct fl_queue_entry *entries, size_t count, bool made)
{
    struct worker *worker = owner;
    for (size_t i = 0; i < count; i++)
        if (!fl_runs_holds(&worker->runs, &entries[i]) &&
            !fl_dispatcher_holds(&worker->dispatcher, &entries[i])) {
            fl_runs_take(&worker->runs, &entries[i], 1);
            worker->web.recovered++;
        }
    if (made)
        fl_dispatcher_redis_was_empty(&worker->dispatcher);
}

static void on_finished(void *owner, struct fl_queue_entry *entry)
{
    struct worker *worker = owner;
    if (!fl_dispatcher_finished(&worker->dispatcher, entry))
        fl_runs_finished(&worker->runs, entry);
}

/* ---- draining ---- */

static void leave(struct worker *worker)
{
    struct fl_clock_port *clock = &worker->clock.port;
    worker->phase = PHASE_LEAVING;
    clock->set(clock->self, &worker->drain, clock->now_ms(clock->self) + LEAVE_MS);
    if (worker->queue.beating || !fl_redis_queue_leave(&worker->queue))
        worker->phase = PHASE_OVER;
}

static void on_drain_timer(struct fl_timer *timer)
{
    struct worker *worker = FL_CONTAINER(timer, struct worker, drain);
    struct fl_clock_port *clock = &worker->clock.port;
    if (worker->phase == PHASE_DRAINING && !worker->runs.is_stopping) {
        say(worker, "worker %s hands %zu jobs back", worker->name.id, fl_runs_count(&worker->runs));
        worker->runs.is_stopping = true;
        clock->set(clock->self, timer, clock->now_ms(clock->self) + LAST_GRACE_MS);
        fl_runs_drain(&worker->runs, true);
        fl_pg_store_interrupt(&worker->store); /* a lost commit is still followed to its end */
    } else if (worker->phase == PHASE_DRAINING) {
        /* A server does not answer. What is left has its entry in Redis: others take it over. */
        say(worker, "worker %s leaves %zu jobs to be taken over", worker->name.id,
            fl_runs_count(&worker->runs));
        leave(worker);
    } else {
        worker->phase = PHASE_OVER;
    }
    if (worker->phase == PHASE_OVER)
        uv_stop(&worker->loop);
}

static void begin_drain(struct worker *worker)
{
    struct fl_clock_port *clock = &worker->clock.port;
    if (worker->phase >= PHASE_DRAINING)
        return;
    bool is_failing = worker->status != FL_OK;
    worker->phase = PHASE_DRAINING;
    worker->recover_at_ms = 0; /* all of it goes back */
    say(worker, "worker %s stops: nothing new is begun, %zu jobs are in its hands", worker->name.id,
        fl_runs_count(&worker->runs));
    fl_runs_drain(&worker->runs, false);
    int64_t patience_ms = is_failing ? 0 : worker->settings.worker.drain_seconds * 1000;
    clock->set(clock->self, &worker->drain, clock->now_ms(clock->self) + patience_ms);
    send_beat(worker); /* not the dispatcher any more, for whoever is next */
}

static void leave_if_done(struct worker *worker)
{
    if (worker->phase == PHASE_OVER) {
        uv_stop(&worker->loop);
        return;
    }
    bool is_done = worker->phase == PHASE_DRAINING && fl_runs_count(&worker->runs) == 0 &&
                   !worker->queue.taking && !worker->queue.beating &&
                   fl_dispatcher_is_idle(&worker->dispatcher);
    if (is_done)
        leave(worker);
}

static void reload(struct worker *worker)
{
    static struct fl_settings fresh;
    struct fl_err err;
    if (worker->calls->reload(worker->calls->owner, &fresh, &err) != FL_OK) {
        fl_err_prefix(&err, "settings not read again");
        worker->calls->trouble(worker->calls->owner, &err);
        return;
    }
    bool is_elsewhere = strcmp(fresh.redis_url, worker->settings.redis_url) != 0 ||
                        strcmp(fresh.postgres_dsn, worker->settings.postgres_dsn) != 0 ||
                        strcmp(fresh.http_listen, worker->settings.http_listen) != 0;
    worker->settings.worker = fresh.worker;
    worker->settings.limits = fresh.limits;
    worker->settings.policy = fresh.policy;
    fl_runs_apply_settings(&worker->runs);
    worker->look = true;
    say(worker, "settings read again (%" PRId64 " slots)%s", worker->settings.worker.slots,
        is_elsewhere ? "; another redis.url, postgres.dsn, password or http.listen needs a restart" : "");
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct worker *worker = signal->data;
    if (number == SIGHUP) {
        reload(worker);
        return;
    }
    if (worker->phase >= PHASE_DRAINING)
        _exit(EXIT_INTERRUPTED);
    begin_drain(worker);
}

/* ---- once a turn ---- */

static void pump(uv_prepare_t *handle)
{
    struct worker *worker = handle->data;
    if (worker->control_wanted && worker->listen.is_listening)
        ask_control(worker);
    fl_runs_pump(&worker->runs);
    size_t want = fl_runs_want(&worker->runs);
    bool may_take =
        worker->phase == PHASE_RUNNING && worker->is_known && is_well(worker) && !worker->is_paused;
    bool may_recover = worker->is_known && is_well(worker) && worker->phase <= PHASE_DRAINING;
    int64_t now_ms = worker->clock.port.now_ms(worker->clock.port.self);
    if (may_recover && now_ms >= worker->recover_at_ms && !worker->queue.taking) {
        worker->recover_at_ms = now_ms + worker->settings.worker.sweep_ms;
        fl_redis_queue_recover(&worker->queue);
    }
    if (worker->look && may_take && want > 0 && !worker->queue.taking) {
        worker->look = false;
        fl_redis_queue_take(&worker->queue, want);
    }
    leave_if_done(worker);
}

/* ---- what it tells by HTTP ---- */

static void describe_health(void *owner, struct fl_web_health *health)
{
    const struct worker *worker = owner;
    *health = (struct fl_web_health){
        .state = state_of(worker),
        .redis = worker->is_known,
        .postgres = is_well(worker),
        .schema = worker->has_control && worker->status != FL_USAGE,
        .is_paused = worker->is_paused,
    };
    for (size_t i = 0; i < TROUBLES; i++)
        if (worker->troubles[i][0])
            health->troubles[health->trouble_count++] = worker->troubles[i];
}

static void say_of_web(void *owner, const char *text)
{
    say(owner, "%s", text);
}

/* Not one of the servers': it does not go when both answer. */
static void trouble_of_web(void *owner, const struct fl_err *err)
{
    const struct worker *worker = owner;
    worker->calls->trouble(worker->calls->owner, err);
}

static void open_web(struct worker *worker)
{
    struct fl_web *web = &worker->web;
    web->settings = &worker->settings;
    web->clock = &worker->clock.port;
    web->pool = &worker->pool.port;
    web->worker = worker->name.id;
    web->runs = &worker->runs;
    web->queue = &worker->queue;
    web->lease = &worker->lease;
    web->store = &worker->store;
    web->listen = &worker->listen;
    web->dispatcher = &worker->dispatcher;
    web->owner = worker;
    web->describe = describe_health;
    web->say = say_of_web;
    web->trouble = trouble_of_web;
    fl_web_open(web);
}

/* ---- beginning and end ---- */

static void start_parts(struct worker *worker)
{
    struct fl_queue_events events = {
        .owner = worker,
        .taken = on_taken,
        .recovered = on_recovered,
        .finished = on_finished,
        .beaten = on_beaten,
        .failed = on_trouble,
    };
    fl_redis_queue_init(&worker->queue, &worker->loop, &worker->lease, worker->name.id, &events);
    worker->runs.settings = &worker->settings;
    worker->runs.ports = (struct fl_drive_ports){.store = &worker->store.port,
                                                 .lease = &worker->lease.port,
                                                 .pool = &worker->pool.port,
                                                 .clock = &worker->clock.port,
                                                 .note = on_note,
                                                 .seen = on_seen};
    worker->runs.store = &worker->store;
    worker->runs.queue = &worker->queue;
    worker->runs.worker = fl_slice_from(worker->store.holder);
    worker->runs.owner = worker;
    worker->runs.ended = on_ended;
    worker->runs.trouble = on_trouble;
    fl_runs_init(&worker->runs);
    worker->dispatcher.settings = &worker->settings;
    worker->dispatcher.clock = &worker->clock.port;
    worker->dispatcher.store = &worker->store;
    worker->dispatcher.queue = &worker->queue;
    fl_dispatcher_init(&worker->dispatcher);
}

static fl_status open_all(struct worker *worker)
{
    const struct fl_settings *settings = &worker->settings;
    struct fl_clock_port *clock = &worker->clock.port;
    fl_web_init(&worker->web, &worker->loop);
    fl_status status =
        fl_pg_store_init(&worker->store, &worker->loop, settings->postgres_dsn, settings->postgres_timeout_ms,
                         (int)settings->postgres_connections, "worker", &worker->err);
    if (status != FL_OK)
        return status;
    worker->store.stays_open = true;
    fl_uv_clock_init(&worker->clock, &worker->loop);
    fl_uv_pool_init(&worker->pool, &worker->loop);
    fl_process_name_init(&worker->name, &worker->clock.port, "");
    fl_redis_lease_init(&worker->lease, &worker->loop, &worker->address, settings->redis_timeout_ms,
                        worker->store.holder, worker->name.id);
    worker->lease.port.woken = on_woken;
    worker->lease.port.owner = worker;
    worker->lease.told = on_told;
    start_parts(worker);
    worker->listen.owner = worker;
    worker->listen.listening = on_listening;
    worker->listen.notified = on_notified;
    worker->listen.lost = on_listen_lost;
    fl_pg_listen_open(&worker->listen, &worker->loop, settings->postgres_dsn, worker->store.session,
                      settings->postgres_timeout_ms);
    fl_redis_lease_subscribe(&worker->lease);
    worker->beat = (struct fl_timer){.fire = on_beat_timer, .at_ms = FL_NEVER_MS};
    worker->drain = (struct fl_timer){.fire = on_drain_timer, .at_ms = FL_NEVER_MS};
    clock->set(clock->self, &worker->beat, clock->now_ms(clock->self));
    uv_prepare_init(&worker->loop, &worker->pump);
    worker->pump.data = worker;
    uv_prepare_start(&worker->pump, pump);
    static const int NUMBERS[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < 3; i++) {
        uv_signal_init(&worker->loop, &worker->signals[i]);
        worker->signals[i].data = worker;
        uv_signal_start(&worker->signals[i], on_signal, NUMBERS[i]);
    }
    open_web(worker);
    return FL_OK;
}

static void close_all(struct worker *worker)
{
    for (size_t i = 0; i < 3; i++)
        uv_close((uv_handle_t *)&worker->signals[i], NULL);
    uv_close((uv_handle_t *)&worker->pump, NULL);
    fl_web_close(&worker->web);
    fl_pg_listen_close(&worker->listen);
    fl_redis_queue_close(&worker->queue);
    fl_redis_lease_close(&worker->lease);
    fl_pg_store_close(&worker->store);
    fl_uv_clock_close(&worker->clock);
    uv_run(&worker->loop, UV_RUN_DEFAULT);
    int left = uv_loop_close(&worker->loop);
    FL_ASSERT(left == 0);
    fl_web_free(&worker->web);
    fl_pg_store_free(&worker->store);
    fl_runs_release(&worker->runs);
}

fl_status fl_worker_run(const struct fl_settings *settings, const struct fl_worker_calls *calls,
                        struct fl_err *err)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return fl_err_set(err, FL_NO_MEMORY, "no memory to start");
    worker->settings = *settings;
    worker->calls = calls;
    fl_status status = fl_redis_parse_url(settings->redis_url, &worker->address, &worker->err);
    if (status == FL_OK)
        status = fl_pg_dsn_check(settings->postgres_dsn, NULL, &worker->err);
    if (status == FL_OK) {
        uv_loop_init(&worker->loop);
        status = open_all(worker);
    }
    if (status == FL_OK) {
        uv_run(&worker->loop, UV_RUN_DEFAULT);
        say(worker, "worker %s stopped", worker->name.id);
        close_all(worker);
        status = worker->status;
    }
    if (err)
        *err = worker->err;
    free(worker);
    return status;
}
