/* cmd_jobs.c - `fenceline jobs list`: which jobs there are.
 *
 * Happy path: one snapshot of Postgres, as a table or as JSON lines. Failure modes: no server, no schema. */
#include <inttypes.h>
#include <stdio.h>

#include "base/slice.h"
#include "cli/commands.h"
#include "cli/job_args.h"
#include "cli/report.h"
#include "io/pg_queue_admin.h"
#include "io/pg_sync.h"

enum { LIMIT = 100, LIMIT_MAX = 1000000 };

static const struct fl_column COLUMNS[] = {
    {"job", "job_id", FL_COLUMN_RIGHT},
    {"episode", "episode", 0},
    {"kind", "kind", FL_COLUMN_WHOLE},
    {"mode", "mode", FL_COLUMN_EXTRA},
    {"state", "state", 0},
    {"priority", "priority", FL_COLUMN_EXTRA},
    {"tries", "attempts", FL_COLUMN_RIGHT},
    {"age", "age_ms", FL_COLUMN_RIGHT},
    {"worker", "worker", FL_COLUMN_EXTRA},
    {"created", "created_at", FL_COLUMN_WHOLE | FL_COLUMN_EXTRA},
    {"finished", "finished_at", FL_COLUMN_WHOLE | FL_COLUMN_EXTRA},
    {"retried by", "retried_by", FL_COLUMN_RIGHT | FL_COLUMN_EXTRA},
    {"message", "message", 0},
    {NULL, "last_error", 0},
    {NULL, "source", 0},
    {NULL, "version", 0},
    {NULL, "row_count", 0},
};

static void get_job(const void *rows, size_t row, struct fl_cell *cells)
{
    *cells++ = fl_report_number(rows, row, FL_JOB_ID);
    *cells++ = fl_report_text(rows, row, FL_JOB_EPISODE);
    *cells++ = fl_report_text(rows, row, FL_JOB_KIND);
    *cells++ = fl_report_text(rows, row, FL_JOB_MODE);
    *cells++ = fl_report_state(rows, row, FL_JOB_STATE);
    *cells++ = fl_report_text(rows, row, FL_JOB_PRIORITY);
    *cells++ = fl_report_number(rows, row, FL_JOB_ATTEMPTS);
    *cells++ = fl_report_duration(rows, row, FL_JOB_AGE_MS);
    *cells++ = fl_report_text(rows, row, FL_JOB_WORKER);
    *cells++ = fl_report_stamp(rows, row, FL_JOB_CREATED_AT);
    *cells++ = fl_report_stamp(rows, row, FL_JOB_FINISHED_AT);
    *cells++ = fl_report_number(rows, row, FL_JOB_RETRIED_BY);
    bool has_message = !fl_pg_rows_is_null(rows, row, FL_JOB_MESSAGE);
    *cells++ = fl_report_text(rows, row, has_message ? FL_JOB_MESSAGE : FL_JOB_LAST_ERROR);
    *cells++ = fl_report_text(rows, row, FL_JOB_LAST_ERROR);
    *cells++ = fl_report_text(rows, row, FL_JOB_SOURCE);
    *cells++ = fl_report_number(rows, row, FL_JOB_VERSION);
    *cells++ = fl_report_number(rows, row, FL_JOB_ROWS);
}

static fl_status list(const struct fl_args *args, struct fl_pg_sync *pg, struct fl_err *err)
{
    struct fl_job_filter filter = fl_job_args_filter(args);
    struct fl_pg_rows *rows;
    int64_t limit = args->limit == FL_ARGS_NOT_GIVEN ? LIMIT : args->limit;
    fl_status status = fl_pg_jobs_list(pg, &filter, limit + 1, &rows, err);
    if (status != FL_OK)
        return status;
    size_t found = fl_pg_rows_count(rows);
    bool is_more = found > (size_t)limit;
    const struct fl_table table = {COLUMNS, sizeof COLUMNS / sizeof *COLUMNS, is_more ? (size_t)limit : found,
                                   get_job, rows};
    if (args->json)
        fl_print_json_lines(stdout, &table);
    else if (found)
        fl_print_table(stdout, &table, 0, fl_print_style_of(stdout, args->no_color));
    if (!found && !args->quiet && !args->json)
        fputs("fenceline: no such jobs\n", stderr);
    if (is_more && !args->quiet)
        fprintf(stderr, "fenceline: there are more than these %" PRId64 "; see them with --limit N\n", limit);
    fl_pg_rows_free(rows);
    return FL_OK;
}

int fl_cmd_jobs_list(struct fl_args *args, struct fl_settings *settings)
{
    if (args->limit == FL_ARGS_NOT_GIVEN || (args->limit >= 1 && args->limit <= LIMIT_MAX))
        return fl_report_answer(args, settings, list);
    struct fl_err err;
    fl_err_set(&err, FL_USAGE, "--limit takes 1 to %d", LIMIT_MAX);
    fl_print_error(&err);
    return fl_status_exit_code(err.code);
}
