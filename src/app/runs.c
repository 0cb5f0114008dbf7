/* runs.c - see runs.h.
 *
 * Happy path: take, begin all that was taken in one statement, drive each through the protocol, acknowledge.
 * Failure modes: Postgres away: nothing new is begun, and after a pause it is asked again; an attempt that
 * met an error, or was handed back, is told to Postgres first and acknowledged then, so that it is in one of
 * the two at any time; Redis away: acknowledgements wait. On close: what is left in a list has its entry in
 * Redis still, and others take it over. */
#include "app/runs.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/list.h"
#include "base/slice.h"
#include "core/job.h"
#include "core/retry.h"

enum {
    PARKED_PER_SLOT = 4, /* more of them go back to Postgres for a while */
    OVERFLOW_MS = 2000,
    WAITER_LOOK_MS = 2000, /* parked imports are woken; this is for a wake-up that got lost */
    FAILURES = 2,          /* of Postgres in a row: then what is not begun goes back to the others */
    PAUSE_BASE_MS = 50,
    PAUSE_MAX_MS = 2000,
};

/* Waits as long as it takes: parked jobs cost nothing. */
static const int64_t FOR_EVER_MS = INT64_C(1) << 50;

static void move(struct fl_run *run, enum fl_run_place place)
{
    struct fl_runs *runs = run->runs;
    fl_list_remove(&run->link);
    runs->counts[run->place]--;
    run->place = place;
    runs->counts[place]++;
    fl_list_append(&runs->places[place], &run->link);
}

static struct fl_run *first(const struct fl_runs *runs, enum fl_run_place place)
{
    const struct fl_link *list = &runs->places[place];
    return fl_list_is_empty(list) ? NULL : FL_CONTAINER(list->next, struct fl_run, link);
}

static void forget(struct fl_run *run)
{
    fl_list_remove(&run->link);
    run->runs->counts[run->place]--;
    fl_drive_release(&run->drive);
    free(run->text);
    free(run);
}

static void finish(struct fl_run *run, bool give_back)
{
    fl_drive_release(&run->drive); /* an acknowledgement may take long */
    free(run->text);
    run->text = NULL;
    move(run, FL_RUN_FINISHING);
    fl_redis_queue_finish(run->runs->queue, &run->entry, give_back);
}

void fl_runs_finished(struct fl_runs *runs, struct fl_queue_entry *entry)
{
    (void)runs;
    forget(FL_CONTAINER(entry, struct fl_run, entry));
}

/* ---- Postgres is away: a pause ---- */

static void on_timer(struct fl_timer *timer)
{
    struct fl_runs *runs = FL_CONTAINER(timer, struct fl_runs, timer);
    runs->is_blocked = false;
    fl_runs_pump(runs);
}

static void pause_after(struct fl_runs *runs, const struct fl_event *event)
{
    struct fl_clock_port *clock = runs->ports.clock;
    uint64_t random[2];
    if (event->status == FL_OK) {
        runs->failures = 0;
        return;
    }
    clock->random(clock->self, random);
    int64_t delay_ms = fl_retry_delay_ms(runs->failures++, PAUSE_BASE_MS, PAUSE_MAX_MS, random[0]);
    runs->is_blocked = true;
    clock->set(clock->self, &runs->timer, clock->now_ms(clock->self) + delay_ms);
    if (event->err)
        runs->trouble(runs->owner, event->err);
}

/* ---- an attempt without an outcome ---- */

static void report(struct fl_run *run, enum fl_outcome outcome, const char *message)
{
    struct fl_clock_port *clock = run->runs->ports.clock;
    struct fl_run_end end = {
        .job_id = run->job.job_id,
        .episode = run->job.episode,
        .kind = run->job.kind,
        .outcome = outcome,
        .message = message,
        .waited_ms = run->waited_ms,
        .elapsed_ms = clock->now_ms(clock->self) - run->drive.started_ms,
        .late_answers = run->drive.import.dropped_events,
    };
    run->runs->ended(run->runs->owner, &end);
}

static void on_postponed(struct fl_request *request, struct fl_event *event)
{
    struct fl_run *run = FL_CONTAINER(request, struct fl_run, postpone.call.request);
    struct fl_runs *runs = run->runs;
    pause_after(runs, event);
    if (event->status != FL_OK) {
        if (runs->is_draining || runs->failures > FAILURES) /* others may reach Postgres: they begin again */
            finish(run, true);
        else
            move(run, FL_RUN_TO_POSTPONE);
        return;
    }
    if (run->postpone.error.ptr)
        report(run, run->postpone.outcome, run->drive.import.want_err.text);
    finish(run, false);
}

static void send_postpone(struct fl_run *run)
{
    move(run, FL_RUN_POSTPONING);
    fl_pg_queue_postpone(run->runs->store, &run->postpone, on_postponed);
}

/* error absent: it is handed back, and waits for nothing but delay_ms. */
static void postpone(struct fl_run *run, struct fl_slice error, int64_t delay_ms)
{
    fl_arena_release(&run->drive.arena);
    run->postpone = (struct fl_queue_postpone){
        .job_id = run->entry.job_id,
        .delay_ms = delay_ms,
        .max_attempts = run->runs->policy.max_attempts,
        .worker = run->runs->worker,
        .error = error,
    };
    send_postpone(run);
}

static void postpone_after_error(struct fl_run *run)
{
    const struct fl_worker_settings *settings = &run->runs->settings->worker;
    struct fl_clock_port *clock = run->runs->ports.clock;
    const struct fl_import *import = &run->drive.import;
    uint64_t random[2];
    clock->random(clock->self, random);
    uint32_t attempt = run->attempts > 1 ? (uint32_t)run->attempts - 1 : 0;
    struct fl_slice error =
        fl_slice_from(import->want_err.text[0] ? import->want_err.text : fl_status_text(import->undecided));
    postpone(run, error,
             fl_retry_delay_ms(attempt, settings->retry_base_ms, settings->retry_max_ms, random[0]));
}

/* ---- running ---- */

static void on_done(struct fl_drive *drive)
{
    struct fl_run *run = FL_CONTAINER(drive, struct fl_run, drive);
    struct fl_runs *runs = run->runs;
    const struct fl_import *import = &drive->import;
    if (runs->suspect == run)
        runs->suspect = NULL;
    if (import->undecided == FL_OK) {
        report(run, import->answer.outcome, import->answer.message);
        finish(run, false);
    } else if (import->stopped) {
        postpone(run, (struct fl_slice){0}, run->overflow ? OVERFLOW_MS : 0);
    } else {
        if (import->undecided == FL_USAGE)
            runs->trouble(runs->owner, &import->want_err);
        postpone_after_error(run);
    }
}

static void drive(struct fl_run *run)
{
    struct fl_runs *runs = run->runs;
    move(run, FL_RUN_RUNNING);
    fl_drive_start(&run->drive, &runs->ports, &run->job, &runs->policy, &run->source, on_done);
}

static void on_parked(void *owner, struct fl_drive *drive_pointer)
{
    struct fl_runs *runs = owner;
    struct fl_run *run = FL_CONTAINER(drive_pointer, struct fl_run, drive);
    move(run, FL_RUN_PARKED);
    runs->parks++;
    bool is_too_many = runs->counts[FL_RUN_PARKED] > PARKED_PER_SLOT * (size_t)runs->settings->worker.slots;
    /* A suspect that waits would keep all others waiting, and be blamed for deaths that it has no part in. */
    run->overflow = is_too_many || runs->suspect == run;
}

static size_t free_slots(const struct fl_runs *runs)
{
    size_t slots = (size_t)runs->settings->worker.slots, running = runs->counts[FL_RUN_RUNNING];
    return running < slots ? slots - running : 0;
}

static bool on_unpark(void *owner, struct fl_drive *drive_pointer)
{
    struct fl_runs *runs = owner;
    struct fl_run *run = FL_CONTAINER(drive_pointer, struct fl_run, drive);
    bool may = run->is_stopping || free_slots(runs) > 0;
    move(run, may ? FL_RUN_RUNNING : FL_RUN_RESUMABLE);
    return may;
}

static void stop(struct fl_run *run)
{
    if (run->is_stopping)
        return;
    run->is_stopping = true;
    if (run->place != FL_RUN_RUNNING)
        move(run, FL_RUN_RUNNING);
    fl_drive_stop(&run->drive);
}

/* ---- beginning ---- */

static struct fl_run *find(struct fl_runs *runs, enum fl_run_place place, int64_t job_id)
{
    for (struct fl_link *link = runs->places[place].next; link != &runs->places[place]; link = link->next) {
        struct fl_run *run = FL_CONTAINER(link, struct fl_run, link);
        if (run->entry.job_id == job_id)
            return run;
    }
    return NULL;
}

/* One block for the texts of a job: episode, source, body. */
static bool copy_texts(struct fl_run *run, const struct fl_begun_job *job)
{
    size_t size = job->episode.len + 1 + job->source.len + 1 + job->body.len / 2 + 1;
    char *at = run->text = malloc(size);
    if (!at)
        return false;
    memcpy(at, job->episode.ptr, job->episode.len);
    run->job.episode = (struct fl_slice){at, job->episode.len};
    at += job->episode.len;
    *at++ = '\0';
    struct fl_slice source = job->source.ptr ? job->source : FL_SLICE("body");
    if (job->source.ptr)
        memcpy(at, job->source.ptr, job->source.len);
    run->source.path = job->source.ptr ? at : "body";
    at += job->source.len;
    *at++ = '\0';
    if (job->body.ptr)
        run->source.body = (struct fl_slice){at, fl_pg_queue_unhex(job->body, at)};
    struct fl_slice episode = {0};
    enum fl_kind kind = FL_KIND_NONE;
    fl_job_from_path(source, &episode, &kind, &run->source.hint.name_format);
    return true;
}

static void on_begun(void *owner, const struct fl_begun_job *job)
{
    struct fl_runs *runs = owner;
    struct fl_run *run = find(runs, FL_RUN_BEGINNING, job->job_id);
    if (!run || run->is_begun)
        return;
    run->attempts = job->attempts;
    run->deaths = job->deaths;
    run->waited_ms = job->waited_ms;
    run->drive.known = job->reading;
    run->drive.is_known = job->deaths == 0; /* a suspect waits, and reads then */
    run->job = (struct fl_import_job){
        .job_id = job->job_id, .kind = job->kind, .mode = job->mode, .if_version = job->if_version};
    run->source = (struct fl_source){.root = runs->settings->source_root,
                                     .hint = {.format = job->format, .kind = job->kind},
                                     .limits = runs->settings->limits};
    run->source.limits.strict = job->strict;
    run->source.limits.repair = job->repair;
    run->is_begun = copy_texts(run, job);
    if (!run->is_begun) { /* without memory it is somebody else's */
        run->deaths = 0;
        run->is_stopping = true;
    }
}

static void after_begin(struct fl_run *run)
{
    if (run->is_stopping || (run->is_begun && run->runs->is_draining))
        postpone(run, (struct fl_slice){0}, 0);
    else if (!run->is_begun)
        finish(run, false); /* decided, or gone */
    else if (run->deaths > 0)
        move(run, FL_RUN_HELD);
    else
        drive(run);
}

static void on_begin_end(struct fl_request *request, struct fl_event *event)
{
    struct fl_runs *runs = FL_CONTAINER(request, struct fl_runs, begin.call.request);
    runs->is_beginning = false;
    pause_after(runs, event);
    for (struct fl_run *run; (run = first(runs, FL_RUN_BEGINNING));) {
        if (event->status == FL_OK) {
            after_begin(run);
            continue;
        }
        free(run->text);
        run->text = NULL;
        run->is_begun = false;
        move(run, FL_RUN_TAKEN);
    }
    bool is_cut_off = runs->failures > FAILURES; /* perhaps only this worker */
    for (struct fl_run *run; is_cut_off && (run = first(runs, FL_RUN_TAKEN));)
        finish(run, true);
    if (runs->is_draining)
        fl_runs_drain(runs, false);
}

static void begin_taken(struct fl_runs *runs)
{
    if (runs->is_beginning || runs->is_blocked || runs->counts[FL_RUN_TAKEN] == 0)
        return;
    runs->begin.count = 0;
    for (struct fl_run *run; runs->begin.count < FL_BEGIN_LIMIT && (run = first(runs, FL_RUN_TAKEN));) {
        runs->begin.ids[runs->begin.count++] = run->entry.job_id;
        move(run, FL_RUN_BEGINNING);
    }
    runs->is_beginning = true;
    fl_pg_queue_begin(runs->store, &runs->begin, on_begin_end);
}

/* ---- suspects ---- */

static void on_suspect_begun(struct fl_request *request, struct fl_event *event)
{
    struct fl_runs *runs = FL_CONTAINER(request, struct fl_runs, begin_suspect.call.request);
    struct fl_run *run = runs->suspect;
    pause_after(runs, event);
    if (event->status == FL_OK && runs->begin_suspect.begun && !runs->is_draining) {
        run->attempts++;
        drive(run);
        return;
    }
    runs->suspect = NULL;
    if (event->status != FL_OK)
        move(run, FL_RUN_HELD);
    else if (runs->begin_suspect.begun)
        postpone(run, (struct fl_slice){0}, 0);
    else
        finish(run, false);
}

static void begin_one_suspect(struct fl_runs *runs)
{
    struct fl_run *run = first(runs, FL_RUN_HELD);
    if (!run || runs->suspect || runs->is_blocked || runs->is_draining || free_slots(runs) == 0)
        return;
    runs->suspect = run;
    move(run, FL_RUN_RUNNING); /* the slot is its own from here */
    runs->begin_suspect.job_id = run->entry.job_id;
    runs->begin_suspect.max_deaths = runs->settings->worker.max_deaths;
    runs->begin_suspect.worker = runs->worker;
    fl_pg_queue_begin_suspect(runs->store, &runs->begin_suspect, on_suspect_begun);
}

/* ---- once a turn ---- */

static void stop_overflow(struct fl_runs *runs)
{
    for (struct fl_link *link = runs->places[FL_RUN_PARKED].next, *next; link != &runs->places[FL_RUN_PARKED];
         link = next) {
        struct fl_run *run = FL_CONTAINER(link, struct fl_run, link);
        next = link->next;
        if (run->overflow)
            stop(run);
    }
}

void fl_runs_pump(struct fl_runs *runs)
{
    stop_overflow(runs);
    for (struct fl_run *run; free_slots(runs) > 0 && (run = first(runs, FL_RUN_RESUMABLE));) {
        move(run, FL_RUN_RUNNING);
        fl_drive_resume(&run->drive);
    }
    for (struct fl_run *run; !runs->is_blocked && (run = first(runs, FL_RUN_TO_POSTPONE));)
        send_postpone(run);
    begin_one_suspect(runs);
    begin_taken(runs);
}

size_t fl_runs_want(const struct fl_runs *runs)
{
    const size_t *counts = runs->counts;
    size_t slots = (size_t)runs->settings->worker.slots;
    size_t used = counts[FL_RUN_TAKEN] + counts[FL_RUN_BEGINNING] + counts[FL_RUN_RUNNING] +
                  counts[FL_RUN_RESUMABLE] + counts[FL_RUN_TO_POSTPONE];
    bool full = runs->is_draining || runs->is_blocked || counts[FL_RUN_HELD] > slots ||
                counts[FL_RUN_FINISHING] > PARKED_PER_SLOT * slots;
    return full || used >= slots ? 0 : slots - used;
}

void fl_runs_take(struct fl_runs *runs, const struct fl_queue_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct fl_run *run = calloc(1, sizeof *run);
        if (!run) /* the entry stays this worker's in Redis: the next worker gets it when this one is gone */
            continue;
        run->runs = runs;
        run->entry = entries[i];
        run->place = FL_RUN_TAKEN;
        fl_list_init(&run->link);
        runs->counts[FL_RUN_TAKEN]++;
        fl_list_append(&runs->places[FL_RUN_TAKEN], &run->link);
        if (runs->is_draining)
            finish(run, true);
    }
}

bool fl_runs_holds(const struct fl_runs *runs, const struct fl_queue_entry *entry)
{
    for (int place = 0; place < FL_RUN_PLACES; place++)
        for (const struct fl_link *link = runs->places[place].next; link != &runs->places[place];
             link = link->next)
            if (strcmp(FL_CONTAINER(link, struct fl_run, link)->entry.id, entry->id) == 0)
                return true;
    return false;
}

/* ---- stopping ---- */

void fl_runs_drain(struct fl_runs *runs, bool running_too)
{
    static const enum fl_run_place WAITING[] = {FL_RUN_PARKED, FL_RUN_RESUMABLE};
    runs->is_draining = true;
    for (struct fl_run *run; (run = first(runs, FL_RUN_TAKEN));)
        finish(run, true);
    for (struct fl_run *run; (run = first(runs, FL_RUN_HELD));)
        finish(run, true);
    for (struct fl_run *run; (run = first(runs, FL_RUN_TO_POSTPONE));)
        finish(run, true);
    for (size_t i = 0; i < sizeof WAITING / sizeof *WAITING; i++)
        for (struct fl_run *run; (run = first(runs, WAITING[i]));)
            stop(run);
    if (!running_too)
        return;
    struct fl_link *list = &runs->places[FL_RUN_RUNNING];
    for (struct fl_link *link = list->next, *next; link != list; link = next) {
        struct fl_run *run = FL_CONTAINER(link, struct fl_run, link);
        next = link->next;
        bool is_driven = run->drive.done != NULL; /* a suspect that is being begun is not */
        if (is_driven)
            stop(run);
    }
}

void fl_runs_cancel(struct fl_runs *runs, int64_t job_id)
{
    static const enum fl_run_place DRIVEN[] = {FL_RUN_RUNNING, FL_RUN_PARKED, FL_RUN_RESUMABLE};
    for (size_t i = 0; i < sizeof DRIVEN / sizeof *DRIVEN; i++) {
        struct fl_run *run = find(runs, DRIVEN[i], job_id);
        if (!run || !run->drive.done)
            continue;
        if (run->place != FL_RUN_RUNNING)
            move(run, FL_RUN_RUNNING);
        fl_drive_cancel(&run->drive);
        return;
    }
}

void fl_runs_woken(struct fl_runs *runs, int64_t job_id)
{
    struct fl_run *run = find(runs, FL_RUN_PARKED, job_id);
    if (!run)
        return;
    runs->wakeups++;
    fl_drive_wake(&run->drive);
}

/* ---- the rest ---- */

size_t fl_runs_count(const struct fl_runs *runs)
{
    size_t count = 0;
    for (int place = 0; place < FL_RUN_PLACES; place++)
        count += runs->counts[place];
    return count;
}

size_t fl_runs_list(const struct fl_runs *runs, int64_t *job_ids, size_t limit)
{
    static const enum fl_run_place BEGUN[] = {FL_RUN_RUNNING, FL_RUN_PARKED, FL_RUN_RESUMABLE, FL_RUN_HELD};
    size_t count = 0;
    for (size_t i = 0; i < sizeof BEGUN / sizeof *BEGUN; i++) {
        const struct fl_link *list = &runs->places[BEGUN[i]];
        for (const struct fl_link *link = list->next; link != list && count < limit; link = link->next)
            job_ids[count++] = FL_CONTAINER(link, struct fl_run, link)->entry.job_id;
    }
    return count;
}

size_t fl_runs_drives(const struct fl_runs *runs, const struct fl_drive **drives, size_t limit)
{
    const struct fl_link *list = &runs->places[FL_RUN_RUNNING];
    size_t count = 0;
    for (const struct fl_link *link = list->next; link != list && count < limit; link = link->next)
        drives[count++] = &FL_CONTAINER(link, struct fl_run, link)->drive;
    return count;
}

void fl_runs_apply_settings(struct fl_runs *runs)
{
    runs->policy = runs->settings->policy;
    runs->policy.hand_back = true;
    runs->policy.wait_lock_ms = FOR_EVER_MS;
    if (runs->policy.look_ms < WAITER_LOOK_MS)
        runs->policy.look_ms = WAITER_LOOK_MS;
}

void fl_runs_init(struct fl_runs *runs)
{
    for (int place = 0; place < FL_RUN_PLACES; place++)
        fl_list_init(&runs->places[place]);
    runs->ports.parked = on_parked;
    runs->ports.unpark = on_unpark;
    runs->ports.owner = runs;
    runs->timer = (struct fl_timer){.fire = on_timer, .at_ms = FL_NEVER_MS};
    runs->begin.worker = runs->worker;
    runs->begin.owner = runs;
    runs->begin.begun = on_begun;
    fl_runs_apply_settings(runs);
}

void fl_runs_release(struct fl_runs *runs)
{
    for (int place = 0; place < FL_RUN_PLACES; place++)
        for (struct fl_run *run; (run = first(runs, (enum fl_run_place)place));)
            forget(run);
}
