/* overview.c - see overview.h. The loop's side is at the end; everything before runs in the thread.
 *
 * Happy path: asked for, too old, read in the thread by the same questions as the commands' (locks list,
 * worker list, jobs stats), written as JSON, handed over. Failure modes: a server that is away, a right that
 * is missing: the answer says so in place of what cannot be told, and the connections are opened anew next
 * time. On close: a reading under way is waited for; its servers have a few seconds. */
#include "app/overview.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/locks.h"
#include "base/arena.h"
#include "base/json_write.h"
#include "base/list.h"
#include "base/slice.h"
#include "io/pg_overview.h"
#include "io/pg_sync.h"
#include "io/redis_sync.h"

enum {
    PAGE_MS = 1500, /* so long an answer is good */
    DEPTH_MS = 15000,
    DEPTH_USE_MS = 120000, /* older numbers are worse than none */
    COST_FACTOR = 10,
    STALE_FACTOR = 8, /* an older page is shown meanwhile, up to so many times its age */
    IDLE_MS = 60000,
    CONNECT_MS = 2000,
    QUERY_MS = 4000,
    ARENA_BYTES = 64 * 1024 * 1024,
    LOCKS_SHOWN = 200,
    WORKERS_SHOWN = 200,
};

/* ---- writing ---- */

static void put_text(struct fl_json_writer *json, const char *name, struct fl_slice text)
{
    fl_json_write_name(json, name);
    fl_json_write_string(json, text);
}

static void put_number(struct fl_json_writer *json, const char *name, int64_t number)
{
    fl_json_write_name(json, name);
    fl_json_write_int64(json, number);
}

static void put_bool(struct fl_json_writer *json, const char *name, bool value)
{
    fl_json_write_name(json, name);
    fl_json_write_bool(json, value);
}

static void put_process(struct fl_json_writer *json, const struct fl_process *process, int64_t dead_ms)
{
    fl_json_write_begin_object(json);
    put_text(json, "worker", process->id);
    put_text(json, "host", process->host);
    put_number(json, "pid", process->pid);
    put_text(json, "version", process->version);
    put_text(json, "started", process->started);
    put_text(json, "state", process->beat_ms > dead_ms ? FL_SLICE("dead") : process->state);
    put_number(json, "slots", process->slots);
    put_number(json, "running", process->running);
    put_number(json, "parked", process->parked);
    put_number(json, "beat_ms", process->beat_ms);
    fl_json_write_end_object(json);
}

static void put_workers(struct fl_json_writer *json, const struct fl_registry *registry, int64_t dead_ms)
{
    put_number(json, "worker_count", (int64_t)registry->process_count);
    fl_json_write_name(json, "workers");
    fl_json_write_begin_array(json);
    for (size_t i = 0; i < registry->process_count && i < WORKERS_SHOWN; i++)
        put_process(json, &registry->processes[i], dead_ms);
    fl_json_write_end_array(json);
}

static void put_lock(struct fl_json_writer *json, const struct fl_lock *lock)
{
    fl_json_write_begin_object(json);
    put_text(json, "episode", lock->episode);
    put_text(json, "kind",
             lock->kind == FL_KIND_NONE ? (struct fl_slice){0} : fl_slice_from(fl_kind_name(lock->kind)));
    put_text(json, "holder", lock->holder);
    put_number(json, "job", lock->job_id);
    put_number(json, "token", lock->token);
    put_number(json, "fence", lock->claim.fence);
    put_number(json, "version", lock->claim.version);
    put_number(json, "held_ms", lock->held_ms);
    put_number(json, "left_ms", lock->lease.has_lease ? lock->lease.left_ms : FL_UNKNOWN_MS);
    put_number(json, "idle_ms", lock->idle_ms);
    put_text(json, "phase", lock->running ? lock->running->phase : (struct fl_slice){0});
    put_number(json, "waiters", (int64_t)lock->lease.waiter_count);
    put_text(json, "verdict", fl_slice_from(fl_verdict_name(lock->verdict)));
    put_text(json, "advice", fl_slice_from(fl_verdict_advice(lock->verdict)));
    put_bool(json, "needs_person", fl_verdict_needs_person(lock->verdict));
    fl_json_write_end_object(json);
}

static void put_locks(struct fl_json_writer *json, const struct fl_locks *locks)
{
    put_number(json, "lease_count", (int64_t)locks->count);
    fl_json_write_name(json, "leases");
    fl_json_write_begin_array(json);
    for (size_t i = 0; i < locks->count && i < LOCKS_SHOWN; i++)
        put_lock(json, &locks->locks[i]);
    fl_json_write_end_array(json);
}

static void put_depth(struct fl_json_writer *json, const struct fl_overview_depth *depth, bool is_paused)
{
    fl_json_write_name(json, "queue");
    fl_json_write_begin_object(json);
    put_bool(json, "paused", is_paused);
    put_number(json, "waiting", depth->waiting);
    put_number(json, "scheduled", depth->scheduled);
    put_number(json, "retrying", depth->retrying);
    put_number(json, "dispatched", depth->dispatched);
    put_number(json, "running", depth->running);
    put_number(json, "oldest_due_ms", depth->oldest_due_ms);
    fl_json_write_end_object(json);
}

/* ---- reading, in the thread ---- */

struct reading {
    struct fl_overview *overview;
    struct fl_arena arena;
    struct fl_json_writer json;
    struct fl_err problems[4]; /* why something is missing */
    size_t problem_count;
};

static void note_problem(struct reading *reading, const struct fl_err *err)
{
    for (size_t i = 0; i < reading->problem_count; i++)
        if (strcmp(reading->problems[i].text, err->text) == 0)
            return;
    if (reading->problem_count < sizeof reading->problems / sizeof *reading->problems)
        reading->problems[reading->problem_count++] = *err;
}

static void open_servers(struct reading *reading, bool redis_too)
{
    struct fl_overview *overview = reading->overview;
    struct fl_err err;
    if (!overview->pg &&
        fl_pg_sync_open(&overview->pg, overview->used.postgres_dsn, CONNECT_MS, &err) != FL_OK)
        note_problem(reading, &err);
    if (overview->pg)
        fl_pg_sync_set_timeout(overview->pg, QUERY_MS);
    if (redis_too && !overview->redis &&
        fl_redis_sync_open(&overview->redis, overview->used.redis_url, CONNECT_MS, &err) != FL_OK)
        note_problem(reading, &err);
}

static void close_servers(struct fl_overview *overview)
{
    fl_pg_sync_close(overview->pg);
    fl_redis_sync_close(overview->redis);
    overview->pg = NULL;
    overview->redis = NULL;
}

static void read_depth(struct reading *reading, bool is_for_page)
{
    struct fl_overview *overview = reading->overview;
    struct fl_pg_rows *rows = NULL;
    struct fl_err err;
    overview->has_next_depth = false;
    if (!overview->pg)
        return;
    if (fl_pg_overview_depth(overview->pg, &rows, &err) != FL_OK) {
        note_problem(reading, &err);
        return;
    }
    overview->has_next_depth = true;
    overview->next_numbers = (struct fl_overview_depth){
        .waiting = fl_pg_rows_int64(rows, 0, FL_OVERVIEW_WAITING),
        .scheduled = fl_pg_rows_int64(rows, 0, FL_OVERVIEW_SCHEDULED),
        .retrying = fl_pg_rows_int64(rows, 0, FL_OVERVIEW_RETRYING),
        .dispatched = fl_pg_rows_int64(rows, 0, FL_OVERVIEW_DISPATCHED),
        .running = fl_pg_rows_int64(rows, 0, FL_OVERVIEW_RUNNING),
        .oldest_due_ms = fl_pg_rows_int64(rows, 0, FL_OVERVIEW_OLDEST_DUE_MS),
        .breaks = fl_pg_rows_int64(rows, 0, FL_OVERVIEW_BREAKS),
    };
    if (is_for_page)
        put_depth(&reading->json, &overview->next_numbers, fl_pg_rows_bool(rows, 0, FL_OVERVIEW_PAUSED));
    fl_pg_rows_free(rows);
}

static void read_hour(struct reading *reading)
{
    static const char *const NAMES[] = {"minutes", "phases", "failures"};
    struct fl_pg_rows *rows = NULL;
    struct fl_err err;
    if (!reading->overview->pg)
        return;
    if (fl_pg_overview_page(reading->overview->pg, &rows, &err) != FL_OK) {
        note_problem(reading, &err);
        return;
    }
    for (int column = FL_OVERVIEW_MINUTES; column <= FL_OVERVIEW_FAILURES; column++) {
        fl_json_write_name(&reading->json, NAMES[column]);
        fl_json_write_raw(&reading->json, fl_pg_rows_text(rows, 0, column));
    }
    fl_pg_rows_free(rows);
}

/* Leases take both servers, or at least Postgres; the workers only Redis. */
static void read_locks(struct reading *reading)
{
    struct fl_overview *overview = reading->overview;
    int64_t dead_ms = overview->used.worker.dead_ms;
    struct fl_locks locks = {0};
    struct fl_err err;
    fl_status read = FL_UNAVAILABLE;
    if (overview->pg) {
        read = fl_locks_read(&locks, overview->redis, overview->pg, &reading->arena, &overview->used,
                             (struct fl_slice){0}, &err);
        if (read != FL_OK)
            note_problem(reading, &err);
        if (!locks.redis_answers && locks.redis_err.text[0])
            note_problem(reading, &locks.redis_err);
    }
    if (read == FL_OK)
        put_locks(&reading->json, &locks);
    if (read == FL_OK && locks.redis_answers)
        put_workers(&reading->json, &locks.registry, dead_ms);
    else if (overview->redis &&
             fl_registry_read(&locks.registry, overview->redis, &reading->arena, &err) == FL_OK)
        put_workers(&reading->json, &locks.registry, dead_ms);
    else if (overview->redis)
        note_problem(reading, &err);
}

static void put_problems(struct reading *reading)
{
    fl_json_write_name(&reading->json, "problems");
    fl_json_write_begin_array(&reading->json);
    for (size_t i = 0; i < reading->problem_count; i++)
        fl_json_write_string(&reading->json, fl_slice_from(reading->problems[i].text));
    fl_json_write_end_array(&reading->json);
}

static void read_page(struct reading *reading)
{
    struct fl_overview *overview = reading->overview;
    FILE *out = open_memstream(&overview->next, &overview->next_bytes);
    if (!out)
        return;
    fl_json_write_init(&reading->json, out);
    fl_json_write_begin_object(&reading->json);
    put_text(&reading->json, "worker", fl_slice_from(overview->worker));
    put_text(&reading->json, "version", FL_SLICE(FL_VERSION));
    put_number(&reading->json, "good_for_ms", PAGE_MS);
    read_depth(reading, true);
    read_hour(reading);
    read_locks(reading);
    put_problems(reading);
    fl_json_write_end_object(&reading->json);
    fl_json_write_end_line(&reading->json);
    bool is_whole = !ferror(out);
    if (fclose(out) != 0 || !is_whole) {
        free(overview->next);
        overview->next = NULL;
    }
}

static void read_all(struct fl_work *work)
{
    struct fl_overview *overview = FL_CONTAINER(work, struct fl_overview, work);
    struct reading reading = {.overview = overview};
    fl_arena_init(&reading.arena, ARENA_BYTES);
    open_servers(&reading, overview->page.is_asked);
    if (overview->page.is_asked)
        read_page(&reading);
    else
        read_depth(&reading, false);
    for (size_t i = 0; i < reading.problem_count; i++)
        if (reading.problems[i].code != FL_USAGE) /* next time from the beginning */
            close_servers(overview);
    fl_arena_release(&reading.arena);
}

/* ---- the loop's side ---- */

static int64_t now_ms(const struct fl_overview *overview)
{
    return overview->clock->now_ms(overview->clock->self);
}

static void note_made(struct fl_overview_part *part, int64_t now)
{
    if (!part->is_asked)
        return;
    part->is_asked = false;
    part->cost_ms = now - part->wanted_ms;
    part->made_ms = now;
}

static void on_read(struct fl_work *work)
{
    struct fl_overview *overview = FL_CONTAINER(work, struct fl_overview, work);
    int64_t now = now_ms(overview);
    overview->is_busy = false;
    if (overview->is_closed)
        return;
    if (overview->next) {
        free(overview->text);
        overview->text = overview->next;
        overview->text_bytes = overview->next_bytes;
        overview->next = NULL;
    }
    overview->has_depth = overview->has_next_depth;
    overview->numbers = overview->next_numbers;
    overview->depth.is_asked = true; /* the page has it too */
    overview->depth.wanted_ms =
        overview->page.is_asked ? overview->page.wanted_ms : overview->depth.wanted_ms;
    note_made(&overview->page, now);
    note_made(&overview->depth, now);
    overview->clock->set(overview->clock->self, &overview->idle, now + IDLE_MS);
    overview->changed(overview->owner);
}

static void on_idle(struct fl_timer *timer)
{
    struct fl_overview *overview = FL_CONTAINER(timer, struct fl_overview, idle);
    if (!overview->is_busy) /* else the end of the reading sets the timer again */
        close_servers(overview);
}

/* Is an answer of that age still good? */
static bool is_good(const struct fl_overview *overview, const struct fl_overview_part *part, int64_t good_ms)
{
    int64_t by_cost_ms = COST_FACTOR * part->cost_ms;
    int64_t age_ms = now_ms(overview) - part->made_ms;
    return part->made_ms != FL_NEVER_MS && age_ms < (by_cost_ms > good_ms ? by_cost_ms : good_ms);
}

static void start(struct fl_overview *overview, struct fl_overview_part *part)
{
    if (overview->is_busy || overview->is_closed)
        return;
    overview->is_busy = true;
    part->is_asked = true;
    part->wanted_ms = now_ms(overview);
    overview->used = *overview->settings; /* which may be read again meanwhile */
    overview->work.run = read_all;
    overview->work.done = on_read;
    overview->pool->start(overview->pool->self, &overview->work);
}

struct fl_slice fl_overview_page(struct fl_overview *overview)
{
    struct fl_overview_part *page = &overview->page;
    if (!is_good(overview, page, PAGE_MS))
        start(overview, page);
    bool is_shown = is_good(overview, page, PAGE_MS * STALE_FACTOR) && overview->text;
    return is_shown ? (struct fl_slice){overview->text, overview->text_bytes} : (struct fl_slice){0};
}

bool fl_overview_depth(struct fl_overview *overview, struct fl_overview_depth *depth)
{
    struct fl_overview_part *part = &overview->depth;
    if (!is_good(overview, part, DEPTH_MS))
        start(overview, part);
    *depth = overview->numbers;
    return overview->has_depth && now_ms(overview) - part->made_ms < DEPTH_USE_MS;
}

void fl_overview_init(struct fl_overview *overview)
{
    overview->page.made_ms = overview->depth.made_ms = FL_NEVER_MS;
    overview->idle = (struct fl_timer){.fire = on_idle, .at_ms = FL_NEVER_MS};
}

void fl_overview_close(struct fl_overview *overview)
{
    overview->is_closed = true;
    overview->clock->set(overview->clock->self, &overview->idle, FL_NEVER_MS);
}

void fl_overview_free(struct fl_overview *overview)
{
    close_servers(overview);
    free(overview->text);
    free(overview->next);
}
