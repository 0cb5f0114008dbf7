/* cmd_worker.c - `fenceline worker`, the service; and `fenceline worker list`, who works.
 *
 * Happy path: the service runs until a signal ends it, and says on stderr what an operator wants to know; the
 * list is the registry in Redis as a table. Failure modes: usage, a schema that does not fit (exit 2), Redis
 * away (exit 6, list only: the service waits). */
#include <inttypes.h>
#include <stdio.h>

#include "app/registry.h"
#include "app/worker.h"
#include "base/arena.h"
#include "base/slice.h"
#include "cli/commands.h"
#include "cli/print.h"

/* ---- the service ---- */

static void on_say(void *owner, const char *text)
{
    const struct fl_args *args = owner;
    if (!args->quiet)
        fprintf(stderr, "fenceline: %s\n", text);
}

static void on_trouble(void *owner, const struct fl_err *err)
{
    (void)owner;
    fl_print_error(err);
}

/* Failures are always told; each job only on request: a worker does thousands a second. */
static void on_ended(void *owner, const struct fl_run_end *end)
{
    const struct fl_args *args = owner;
    bool is_failure = end->outcome == FL_OUTCOME_FAILED || end->outcome == FL_OUTCOME_INVALID;
    if (!args->verbose && (!is_failure || args->quiet))
        return;
    const char *outcome =
        end->outcome == FL_OUTCOME_OPEN ? "will be tried again" : fl_outcome_name(end->outcome);
    fprintf(stderr, "fenceline: job %" PRId64 " ", end->job_id);
    fl_print_text(stderr, end->episode);
    fprintf(stderr, " %s: %s%s", fl_kind_name(end->kind), outcome, end->message[0] ? ": " : "");
    fl_print_text(stderr, fl_slice_from(end->message));
    fprintf(stderr, " (%" PRId64 " ms)\n", end->elapsed_ms);
}

static void on_note(void *owner, const struct fl_import *import, const char *note)
{
    const struct fl_args *args = owner;
    if (!args->verbose)
        return;
    fprintf(stderr, "fenceline: job %" PRId64 " ", import->job.job_id);
    fl_print_text(stderr, import->job.episode);
    fprintf(stderr, ": %s\n", note);
}

static fl_status on_reload(void *owner, struct fl_settings *settings, struct fl_err *err)
{
    return fl_args_load_settings(owner, settings, err);
}

int fl_cmd_worker(struct fl_args *args, struct fl_settings *settings)
{
    if (args->pause)
        return fl_cmd_jobs_pause(args, settings);
    if (args->resume)
        return fl_cmd_jobs_resume(args, settings);
    const struct fl_worker_calls calls = {
        .owner = args,
        .say = on_say,
        .trouble = on_trouble,
        .ended = on_ended,
        .note = on_note,
        .reload = on_reload,
    };
    struct fl_err err = {0};
    setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
    fl_status status = fl_worker_run(settings, &calls, &err);
    if (status != FL_OK)
        fl_print_error(&err);
    return fl_status_exit_code(status);
}

/* ---- the list ---- */

static const struct fl_column COLUMNS[] = {
    {"worker", "worker", 0},
    {"host", "host", FL_COLUMN_EXTRA},
    {"pid", "pid", FL_COLUMN_RIGHT | FL_COLUMN_EXTRA},
    {"version", "version", FL_COLUMN_EXTRA},
    {"started", "started", FL_COLUMN_WHOLE | FL_COLUMN_EXTRA},
    {"slots", "slots", FL_COLUMN_RIGHT},
    {"running", "running", FL_COLUMN_RIGHT},
    {"parked", "parked", FL_COLUMN_RIGHT},
    {"state", "state", 0},
    {"heartbeat", "heartbeat_age_ms", FL_COLUMN_RIGHT},
    {NULL, "jobs", 0},
};

struct listing {
    struct fl_registry registry;
    int64_t dead_ms;
};

static struct fl_cell text_cell(struct fl_slice text)
{
    return (struct fl_cell){.type = FL_CELL_TEXT, .text = text};
}

static struct fl_cell number_cell(int64_t number)
{
    return (struct fl_cell){.type = number < 0 ? FL_CELL_NULL : FL_CELL_NUMBER, .number = number};
}

static void get_worker(const void *rows, size_t row, struct fl_cell *cells)
{
    const struct listing *listing = rows;
    const struct fl_process *process = &listing->registry.processes[row];
    bool is_dead = process->beat_ms > listing->dead_ms;
    *cells++ = text_cell(process->id);
    *cells++ = text_cell(process->host);
    *cells++ = number_cell(process->pid);
    *cells++ = text_cell(process->version);
    *cells++ = text_cell(process->started);
    *cells++ = number_cell(process->slots);
    *cells++ = number_cell(process->running);
    *cells++ = number_cell(process->parked);
    *cells++ = text_cell(is_dead ? FL_SLICE("dead") : process->state);
    *cells++ = (struct fl_cell){.type = FL_CELL_DURATION, .number = process->beat_ms};
    *cells++ = (struct fl_cell){.type = FL_CELL_JSON, .text = process->jobs};
}

static void print_list(const struct fl_args *args, const struct fl_table *table)
{
    if (args->json) {
        fl_print_json_lines(stdout, table);
    } else if (table->row_count == 0) {
        fprintf(stderr, "fenceline: no workers\n");
    } else {
        fl_print_table(stdout, table, 0, fl_print_style_of(stdout, args->no_color));
    }
}

int fl_cmd_worker_list(struct fl_args *args, struct fl_settings *settings)
{
    enum { ARENA_BYTES = 64 * 1024 * 1024 };
    struct listing listing = {.dead_ms = settings->worker.dead_ms};
    struct fl_redis_sync *redis = NULL;
    struct fl_arena arena;
    struct fl_err err = {0};
    fl_arena_init(&arena, ARENA_BYTES);
    fl_status status = fl_redis_sync_open(&redis, settings->redis_url, settings->redis_timeout_ms, &err);
    if (status == FL_OK)
        status = fl_registry_read(&listing.registry, redis, &arena, &err);
    const struct fl_table table = {COLUMNS, sizeof COLUMNS / sizeof *COLUMNS, listing.registry.process_count,
                                   get_worker, &listing};
    if (status == FL_OK)
        print_list(args, &table);
    else
        fl_print_error(&err);
    fl_redis_sync_close(redis);
    fl_arena_release(&arena);
    return fl_status_exit_code(status);
}
