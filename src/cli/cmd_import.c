/* cmd_import.c - `fenceline import`: files and folders, now, in this process.
 *
 * Happy path: expand the paths, tell episode and kind of each, hand them to the importer one by one, report
 * each result. Failure modes: an input without an episode or of a bad name is reported in its turn and costs
 * exit code 4; a server that is not available ends the run with 6. --dry-run parses and asks, and writes
 * nothing. */
#include <sys/resource.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/slice.h"
#include "cli/commands.h"
#include "cli/import_report.h"
#include "cli/job_args.h"
#include "cli/paths.h"
#include "io/file_read.h"
#include "io/pg_preview.h"
#include "io/pg_schema.h"
#include "io/pg_sync.h"

enum { ARENA_BYTES = 1024 * 1024 * 1024, EXIT_INTERRUPTED = 130 };

struct import_run {
    const struct fl_args *args;
    const struct fl_settings *settings;
    struct fl_arena arena; /* paths, and standard input */
    struct fl_paths paths;
    size_t next;
    struct fl_slice standard_input;
    struct fl_import_report report;
};

static const char *shown_name(const struct fl_path *path)
{
    return path->is_stdin ? "standard input" : path->path;
}

/* Fills *item for the path. A path that cannot be imported gives a status, and *err. */
static fl_status prepare(const struct import_run *run, const struct fl_path *path,
                         struct fl_import_item *item, struct fl_err *err)
{
    if (path->error)
        return fl_err_set(err, FL_UNREADABLE, "%s", path->error);
    *item = (struct fl_import_item){.name = fl_slice_from(shown_name(path))};
    item->source.path = path->path;
    item->source.body = path->is_stdin ? run->standard_input : (struct fl_slice){0};
    item->source.limits = run->settings->limits;
    item->job.mode = run->args->mode;
    item->job.if_version = run->args->mode == FL_MODE_IF_VERSION ? run->args->if_version : 0;
    struct fl_job_name name;
    fl_status status = fl_job_args_name(run->args, path->is_stdin ? NULL : path->path, &name, err);
    item->job.episode = name.episode;
    item->job.kind = name.kind;
    item->source.hint = (struct fl_parse_hint){
        .format = run->args->format, .name_format = name.name_format, .kind = name.kind};
    return status;
}

static bool next_item(void *owner, struct fl_import_item *item)
{
    struct import_run *run = owner;
    while (run->next < run->paths.count) {
        const struct fl_path *path = &run->paths.items[run->next++];
        struct fl_err err;
        if (prepare(run, path, item, &err) == FL_OK)
            return true;
        fl_import_report_problem(&run->report, fl_slice_from(shown_name(path)), &err);
    }
    return false;
}

static void on_result(void *owner, const struct fl_import_result *result)
{
    struct import_run *run = owner;
    fl_import_report_result(&run->report, result);
}

static void on_note(void *owner, const struct fl_import *import, const char *note)
{
    struct import_run *run = owner;
    fl_import_report_note(&run->report, import, note);
}

static void print_end(const struct import_run *run, const struct fl_importer_end *end)
{
    size_t left = end->not_attempted + (run->paths.count - run->next);
    if (left && !run->args->quiet)
        fprintf(stderr, "fenceline: %zu input%s not attempted\n", left, left == 1 ? "" : "s");
    if (run->args->verbose && end->batches)
        fprintf(stderr, "fenceline: %llu requests to Postgres in %llu statements or transactions\n",
                (unsigned long long)end->batched, (unsigned long long)end->batches);
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    if (run->args->verbose)
        fprintf(stderr, "fenceline: used %.3f s CPU, at most %ld KiB memory\n",
                (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                    (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6,
                used.ru_maxrss);
}

static int import_all(struct import_run *run)
{
    struct fl_importer_calls calls = {
        .owner = run, .next = next_item, .result = on_result, .note = run->args->quiet ? NULL : on_note};
    struct fl_importer_end end = {0};
    struct fl_err err = {0};
    fl_status status = fl_importer_run(run->settings, &calls, &end, &err);
    int exit_code = fl_import_report_finish(&run->report);
    if (status != FL_OK)
        fl_print_error(&err);
    print_end(run, &end);
    if (end.interrupted)
        return EXIT_INTERRUPTED;
    return fl_exit_worse(exit_code, fl_status_exit_code(status));
}

/* ---- --dry-run ---- */

static void preview_one(struct import_run *run, struct fl_pg_sync *pg, const struct fl_import_item *item,
                        struct fl_err *err)
{
    struct fl_arena arena;
    struct fl_document doc;
    struct fl_slice bytes = item->source.body;
    struct fl_pg_preview preview;
    fl_arena_init(&arena, ARENA_BYTES);
    fl_status status = FL_OK;
    if (!bytes.ptr)
        status = fl_file_read(item->source.path, run->settings->limits.file_bytes, &arena, &bytes, err);
    if (status == FL_OK)
        status = fl_parse_document(bytes, &item->source.hint, &item->source.limits, &arena, &doc, err);
    if (status == FL_OK)
        status = fl_pg_preview(pg, &item->job, &doc, &arena, &preview, err);
    if (status == FL_OK) {
        fl_import_report_preview(&run->report, &(struct fl_import_preview){.file = item->name,
                                                                           .job = &item->job,
                                                                           .document = &doc,
                                                                           .outcome = preview.outcome,
                                                                           .message = preview.message});
    } else {
        fl_import_report_problem(&run->report, item->name, err);
    }
    fl_arena_release(&arena);
}

static int preview_all(struct import_run *run)
{
    struct fl_pg_sync *pg = NULL;
    struct fl_import_item item = {0};
    struct fl_err err = {0};
    fl_status status =
        fl_pg_sync_open(&pg, run->settings->postgres_dsn, run->settings->postgres_timeout_ms, &err);
    if (status == FL_OK)
        status = fl_pg_schema_check(pg, &err);
    while (status == FL_OK && next_item(run, &item))
        preview_one(run, pg, &item, &err);
    fl_pg_sync_close(pg);
    int exit_code = fl_import_report_finish(&run->report);
    if (status != FL_OK)
        fl_print_error(&err);
    return fl_exit_worse(exit_code, fl_status_exit_code(status));
}

/* ---- the command ---- */

static fl_status read_standard_input(struct import_run *run, struct fl_err *err)
{
    bool wanted = false;
    for (size_t i = 0; i < run->paths.count; i++)
        wanted = wanted || run->paths.items[i].is_stdin;
    if (!wanted)
        return FL_OK;
    const struct fl_args *args = run->args;
    if (!args->episode || (args->kind == FL_KIND_NONE && args->format == FL_FORMAT_NONE))
        return fl_err_set(err, FL_USAGE,
                          "standard input has no name to tell what it is; give --episode ID and --kind "
                          "chapters or --kind transcript");
    fl_status status = fl_file_read_descriptor(STDIN_FILENO, run->settings->limits.file_bytes, &run->arena,
                                               &run->standard_input, err);
    if (status != FL_OK)
        fl_err_prefix(err, "standard input");
    return status;
}

int fl_cmd_import(struct fl_args *args, struct fl_settings *settings)
{
    struct import_run run = {.args = args, .settings = settings};
    struct fl_err err = {0};
    int exit_code;
    fl_arena_init(&run.arena, ARENA_BYTES);
    fl_status status = fl_paths_expand(&run.paths, &run.arena, args->paths, args->path_count, &err);
    if (status == FL_OK)
        status = read_standard_input(&run, &err);
    if (status != FL_OK) {
        fl_print_error(&err);
        exit_code = fl_status_exit_code(status);
    } else {
        fl_import_report_init(&run.report, args, run.paths.count);
        exit_code = args->dry_run ? preview_all(&run) : import_all(&run);
    }
    fl_arena_release(&run.arena);
    return exit_code;
}
