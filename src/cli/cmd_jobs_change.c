/* cmd_jobs_change.c - `fenceline jobs retry`, `cancel`, `purge`, `pause` and `resume`.
 *
 * Happy path: ids are done as given; filters first say how many jobs they choose, and ask; then it goes on in
 * pieces, each its own transaction. Failure modes: a job that cannot be retried or cancelled is told and
 * costs exit code 3 (1 if there is none such), and the others are done; without a terminal nobody can be
 * asked, and --yes is needed (exit 2). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/slice.h"
#include "cli/commands.h"
#include "cli/confirm.h"
#include "cli/job_args.h"
#include "cli/print.h"
#include "io/pg_schema.h"
#include "io/pg_sync.h"

enum { PIECE = 500, EXIT_REFUSED = 3, TRIES = 5 };

/* One change under way. */
struct change {
    const struct fl_args *args;
    struct fl_pg_sync *pg;
    const char *verb, *participle; /* "retry", "retried" */
    struct fl_job_filter filter;
    bool not_retried;
    bool has_default; /* without any filter it means all that the default chooses */
    /* Does the piece; its rows have an id first, and a problem in the column `problem`. */
    fl_status (*apply)(struct change *change, const char *ids, struct fl_pg_rows **rows, struct fl_err *err);
    int problem, new_id; /* columns; new_id -1 = none */
    int64_t done;
    int exit_code;
};

static fl_status open_schema(const struct fl_settings *settings, struct fl_pg_sync **pg, struct fl_err *err)
{
    *pg = NULL;
    fl_status status = fl_pg_sync_open(pg, settings->postgres_dsn, settings->postgres_timeout_ms, err);
    return status == FL_OK ? fl_pg_schema_check(*pg, err) : status;
}

static fl_status ask(const struct fl_args *args, const char *verb, int64_t count, bool *is_yes,
                     struct fl_err *err)
{
    char would[64], question[72];
    snprintf(would, sizeof would, "%s %" PRId64 " job%s", verb, count, count == 1 ? "" : "s");
    snprintf(question, sizeof question, "%c%s?", would[0] - 'a' + 'A', would + 1);
    return fl_confirm(args, question, would, is_yes, err);
}

/* ---- one piece ---- */

static void print_change_json(const struct change *change, const struct fl_pg_rows *rows, size_t row)
{
    struct fl_json_writer json;
    fl_json_write_init(&json, stdout);
    fl_json_write_begin_object(&json);
    fl_json_write_name(&json, "job_id");
    fl_json_write_int64(&json, fl_pg_rows_int64(rows, row, 0));
    if (change->new_id >= 0) {
        fl_json_write_name(&json, "new_job_id");
        if (fl_pg_rows_is_null(rows, row, change->new_id))
            fl_json_write_null(&json);
        else
            fl_json_write_int64(&json, fl_pg_rows_int64(rows, row, change->new_id));
    }
    fl_json_write_name(&json, "problem");
    fl_json_write_string(&json, fl_pg_rows_text(rows, row, change->problem));
    fl_json_write_end_object(&json);
    fl_json_write_end_line(&json);
}

static void report(struct change *change, const struct fl_pg_rows *rows, bool is_named)
{
    for (size_t row = 0; row < fl_pg_rows_count(rows); row++) {
        int64_t id = fl_pg_rows_int64(rows, row, 0);
        struct fl_slice problem = fl_pg_rows_text(rows, row, change->problem);
        change->done += problem.ptr == NULL;
        if (problem.ptr) {
            bool is_unknown = fl_slice_is(problem, "there is no such job");
            change->exit_code = fl_exit_worse(change->exit_code, is_unknown ? 1 : EXIT_REFUSED);
        }
        if (change->args->json) {
            print_change_json(change, rows, row);
        } else if (problem.ptr) {
            fprintf(stderr, "fenceline: job %" PRId64 " not %s: ", id, change->participle);
            fl_print_text(stderr, problem);
            fputc('\n', stderr);
        } else if (is_named && change->new_id >= 0 && !change->args->quiet) {
            printf("job %" PRId64 " %s as job %" PRId64 "\n", id, change->participle,
                   fl_pg_rows_int64(rows, row, change->new_id));
        } else if (is_named && !change->args->quiet) {
            printf("job %" PRId64 " %s\n", id, change->participle);
        }
    }
}

static void append_id(struct fl_buffer *ids, int64_t id)
{
    char text[24];
    snprintf(text, sizeof text, "%s%" PRId64, ids->size_bytes == 1 ? "" : ",", id);
    fl_buffer_append_slice(ids, fl_slice_from(text));
}

static fl_status apply(struct change *change, struct fl_buffer *ids, bool is_named, struct fl_err *err)
{
    struct fl_pg_rows *rows;
    fl_buffer_append(ids, "}", 2); /* with its NUL */
    if (ids->failed)
        return fl_err_set(err, FL_NO_MEMORY, "no memory for the ids of the jobs");
    /* A piece is one transaction: after a deadlock with workers, nothing of it was done. */
    fl_status status = FL_TRANSIENT;
    for (int i = 0; status == FL_TRANSIENT && i < TRIES; i++)
        status = change->apply(change, ids->bytes, &rows, err);
    if (status != FL_OK)
        return status;
    report(change, rows, is_named);
    fl_pg_rows_free(rows);
    return FL_OK;
}

static fl_status change_named(struct change *change, struct fl_buffer *ids, struct fl_err *err)
{
    const struct fl_args *args = change->args;
    fl_status status = FL_OK;
    for (size_t i = 0; status == FL_OK && i < args->path_count;) {
        size_t end = i + PIECE < args->path_count ? i + PIECE : args->path_count;
        fl_buffer_clear(ids);
        fl_buffer_append(ids, "{", 1);
        for (; status == FL_OK && i < end; i++) {
            int64_t id = 0;
            status = fl_job_args_id(args->paths[i], &id, err);
            append_id(ids, id);
        }
        if (status == FL_OK)
            status = apply(change, ids, true, err);
    }
    return status;
}

static fl_status change_chosen(struct change *change, struct fl_buffer *ids, struct fl_err *err)
{
    int64_t last = 0, count = 0;
    bool is_yes = false;
    fl_status status = fl_pg_jobs_count(change->pg, &change->filter, change->not_retried, &count, err);
    if (status == FL_OK && count > 0)
        status = ask(change->args, change->verb, count, &is_yes, err);
    /* No more than were counted: a retry that fails at once would be chosen again for ever. */
    for (int64_t left = count; status == FL_OK && is_yes && left > 0;) {
        struct fl_pg_rows *rows;
        int64_t piece = left < PIECE ? left : PIECE;
        status = fl_pg_jobs_ids(change->pg, &change->filter, change->not_retried, last, piece, &rows, err);
        size_t found = status == FL_OK ? fl_pg_rows_count(rows) : 0;
        if (status != FL_OK)
            break;
        left -= (int64_t)found;
        fl_buffer_clear(ids);
        fl_buffer_append(ids, "{", 1);
        for (size_t i = 0; i < found; i++)
            append_id(ids, last = fl_pg_rows_int64(rows, i, 0));
        fl_pg_rows_free(rows);
        if (found == 0)
            break;
        status = apply(change, ids, false, err);
    }
    bool is_told = (is_yes || count == 0) && !change->args->quiet && !change->args->json;
    if (status == FL_OK && is_told)
        printf("%" PRId64 " job%s %s\n", change->done, change->done == 1 ? "" : "s", change->participle);
    return status;
}

/* All of the command line, before anything is done or anybody is asked. */
static fl_status check_change(const struct change *change, struct fl_err *err)
{
    const struct fl_args *args = change->args;
    bool has_filter = args->outcome || args->episode || args->worker || args->error ||
                      args->kind != FL_KIND_NONE || args->older_than_ms != FL_ARGS_NOT_GIVEN;
    int64_t job_id;
    if (args->path_count && has_filter)
        return fl_err_set(err, FL_USAGE, "give jobs or filters, not both");
    if (!args->path_count && !has_filter && !change->has_default)
        return fl_err_set(err, FL_USAGE,
                          "which jobs? Give their numbers, or a filter such as --outcome or --episode");
    fl_status status = FL_OK;
    for (size_t i = 0; status == FL_OK && i < args->path_count; i++)
        status = fl_job_args_id(args->paths[i], &job_id, err);
    return status;
}

static int run_change(struct change *change, struct fl_settings *settings)
{
    const struct fl_args *args = change->args;
    struct fl_err err = {0};
    struct fl_buffer ids;
    fl_status status = check_change(change, &err);
    fl_buffer_init(&ids);
    if (status == FL_OK)
        status = open_schema(settings, &change->pg, &err);
    if (status == FL_OK && args->path_count)
        status = change_named(change, &ids, &err);
    else if (status == FL_OK)
        status = change_chosen(change, &ids, &err);
    if (status != FL_OK)
        fl_print_error(&err);
    fl_pg_sync_close(change->pg);
    fl_buffer_release(&ids);
    return fl_exit_worse(change->exit_code, fl_status_exit_code(status));
}

/* ---- retry, cancel ---- */

static int refuse_outcome(const char *rule, const char *outcome)
{
    struct fl_err err;
    fl_err_set(&err, FL_USAGE, "%s %s", rule, outcome);
    fl_print_error(&err);
    return fl_status_exit_code(FL_USAGE);
}

static fl_status apply_retry(struct change *change, const char *ids, struct fl_pg_rows **rows,
                             struct fl_err *err)
{
    return fl_pg_jobs_retry(change->pg, ids, change->args->as_new, rows, err);
}

int fl_cmd_jobs_retry(struct fl_args *args, struct fl_settings *settings)
{
    struct change change = {.args = args,
                            .verb = "retry",
                            .participle = "retried",
                            .filter = fl_job_args_filter(args),
                            .not_retried = true,
                            .has_default = true,
                            .apply = apply_retry,
                            .problem = FL_RETRY_PROBLEM,
                            .new_id = FL_RETRY_NEW};
    if (!args->outcome)
        change.filter.outcome = "failed";
    static const char *const LASTING[] = {"open", "imported", "unchanged", "superseded", "deleted"};
    for (size_t i = 0; i < sizeof LASTING / sizeof *LASTING; i++)
        if (strcmp(change.filter.outcome, LASTING[i]) == 0)
            return refuse_outcome("retry is for jobs that were given up, not those that are", LASTING[i]);
    return run_change(&change, settings);
}

static fl_status apply_cancel(struct change *change, const char *ids, struct fl_pg_rows **rows,
                              struct fl_err *err)
{
    return fl_pg_jobs_cancel(change->pg, ids, change->args->reason, rows, err);
}

int fl_cmd_jobs_cancel(struct fl_args *args, struct fl_settings *settings)
{
    struct change change = {.args = args,
                            .verb = "cancel",
                            .participle = "cancelled",
                            .filter = fl_job_args_filter(args),
                            .apply = apply_cancel,
                            .problem = FL_CANCEL_PROBLEM,
                            .new_id = -1};
    if (args->outcome && strcmp(args->outcome, "open") != 0)
        return refuse_outcome("only open jobs can be cancelled, not those that are", args->outcome);
    change.filter.outcome = "open";
    return run_change(&change, settings);
}

/* ---- purge ---- */

static fl_status check_purge(const struct fl_args *args, struct fl_err *err)
{
    if (args->older_than_ms == FL_ARGS_NOT_GIVEN)
        return fl_err_set(err, FL_USAGE, "jobs purge needs --older-than, such as --older-than 90d");
    if (args->outcome && strcmp(args->outcome, "open") == 0)
        return fl_err_set(err, FL_USAGE, "open jobs are never purged; cancel them first");
    return FL_OK;
}

static fl_status purge(const struct fl_args *args, struct fl_pg_sync *pg, struct fl_err *err)
{
    int64_t count = 0, purged = 0, piece = 1;
    bool is_yes = false;
    fl_status status = fl_pg_jobs_count_old(pg, args->older_than_ms, args->outcome, &count, err);
    if (status == FL_OK && count > 0)
        status = ask(args, "purge", count, &is_yes, err);
    while (status == FL_OK && is_yes && piece > 0) {
        status = fl_pg_jobs_purge(pg, args->older_than_ms, args->outcome, &piece, err);
        purged += status == FL_OK ? piece : 0;
    }
    if (status == FL_OK && args->json)
        printf("{\"purged\":%" PRId64 "}\n", purged);
    else if (status == FL_OK && (is_yes || count == 0) && !args->quiet)
        printf("%" PRId64 " job%s purged\n", purged, purged == 1 ? "" : "s");
    return status;
}

int fl_cmd_jobs_purge(struct fl_args *args, struct fl_settings *settings)
{
    struct fl_pg_sync *pg = NULL;
    struct fl_err err = {0};
    fl_status status = check_purge(args, &err);
    if (status == FL_OK)
        status = open_schema(settings, &pg, &err);
    if (status == FL_OK)
        status = purge(args, pg, &err);
    if (status != FL_OK)
        fl_print_error(&err);
    fl_pg_sync_close(pg);
    return fl_status_exit_code(status);
}

/* ---- pause, resume ---- */

static int set_paused(const struct fl_args *args, const struct fl_settings *settings, bool pause)
{
    struct fl_pg_sync *pg;
    struct fl_err err = {0};
    char who[256];
    bool was = false;
    fl_confirm_who(who, sizeof who);
    fl_status status = open_schema(settings, &pg, &err);
    if (status == FL_OK)
        status = fl_pg_jobs_set_paused(pg, pause, who, args->reason, &was, &err);
    fl_pg_sync_close(pg);
    if (status != FL_OK) {
        fl_print_error(&err);
        return fl_status_exit_code(status);
    }
    const char *text = pause ? was ? "workers were paused already"
                                   : "workers paused: they finish what runs, and begin "
                                     "nothing new until 'fenceline jobs resume'"
                       : was ? "workers resumed"
                             : "workers were not paused";
    if (args->json)
        printf("{\"paused\":%s,\"was_paused\":%s}\n", pause ? "true" : "false", was ? "true" : "false");
    else if (!args->quiet)
        puts(text);
    return 0;
}

int fl_cmd_jobs_pause(struct fl_args *args, struct fl_settings *settings)
{
    return set_paused(args, settings, true);
}

int fl_cmd_jobs_resume(struct fl_args *args, struct fl_settings *settings)
{
    return set_paused(args, settings, false);
}
