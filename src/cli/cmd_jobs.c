/* cmd_jobs.c - `fenceline jobs list` and `jobs show`: which jobs there are, and all about one.
 *
 * Happy path: one snapshot of Postgres, as a table or as JSON. Failure modes: no such job (exit 1), no
 * server, no schema. */
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

/* Success is plain, trouble is red, what was refused is yellow. */
static struct fl_cell state_cell(const struct fl_pg_rows *rows, size_t row)
{
    static const struct {
        const char *state;
        enum fl_color color;
    } COLORS[] = {
        {"failed", FL_COLOR_RED},       {"invalid", FL_COLOR_RED},           {"rejected", FL_COLOR_YELLOW},
        {"cancelled", FL_COLOR_YELLOW}, {"to be tried again", FL_COLOR_RED}, {"running", FL_COLOR_GREEN},
    };
    struct fl_cell cell = fl_report_text(rows, row, FL_JOB_STATE);
    for (size_t i = 0; i < sizeof COLORS / sizeof *COLORS; i++)
        if (fl_slice_is(cell.text, COLORS[i].state))
            cell.color = COLORS[i].color;
    return cell;
}

static void get_job(const void *rows, size_t row, struct fl_cell *cells)
{
    *cells++ = fl_report_number(rows, row, FL_JOB_ID);
    *cells++ = fl_report_text(rows, row, FL_JOB_EPISODE);
    *cells++ = fl_report_text(rows, row, FL_JOB_KIND);
    *cells++ = fl_report_text(rows, row, FL_JOB_MODE);
    *cells++ = state_cell(rows, row);
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

/* ---- show ---- */

/* Everything that is there, in the order in which it happens. */
static const struct {
    const char *title, *name;
    int column;
    enum fl_cell_type type;
} FIELDS[] = {
    {"job", "job_id", FL_JOB_ID, FL_CELL_NUMBER},
    {"episode", "episode", FL_JOB_EPISODE, FL_CELL_TEXT},
    {"kind", "kind", FL_JOB_KIND, FL_CELL_TEXT},
    {"mode", "mode", FL_JOB_MODE, FL_CELL_TEXT},
    {"if version", "if_version", FL_JOB_IF_VERSION, FL_CELL_NUMBER},
    {"source", "source", FL_JOB_SOURCE, FL_CELL_TEXT},
    {"body bytes", "body_bytes", FL_JOB_BODY_BYTES, FL_CELL_NUMBER},
    {"priority", "priority", FL_JOB_PRIORITY, FL_CELL_TEXT},
    {"rank", "rank", FL_JOB_RANK, FL_CELL_NUMBER},
    {"created", "created_at", FL_JOB_CREATED_AT, FL_CELL_TEXT},
    {"not before", "not_before", FL_JOB_NOT_BEFORE, FL_CELL_TEXT},
    {"dispatched", "dispatched_at", FL_JOB_DISPATCHED_AT, FL_CELL_TEXT},
    {"started", "started_at", FL_JOB_STARTED_AT, FL_CELL_TEXT},
    {"finished", "finished_at", FL_JOB_FINISHED_AT, FL_CELL_TEXT},
    {"worker", "worker", FL_JOB_WORKER, FL_CELL_TEXT},
    {"attempts", "attempts", FL_JOB_ATTEMPTS, FL_CELL_NUMBER},
    {"deaths", "deaths", FL_JOB_DEATHS, FL_CELL_NUMBER},
    {"state", "state", FL_JOB_STATE, FL_CELL_TEXT},
    {"message", "message", FL_JOB_MESSAGE, FL_CELL_TEXT},
    {"version", "version", FL_JOB_VERSION, FL_CELL_NUMBER},
    {"rows", "row_count", FL_JOB_ROWS, FL_CELL_NUMBER},
    {"retried by", "retried_by", FL_JOB_RETRIED_BY, FL_CELL_NUMBER},
};

enum { FIELD_COUNT = sizeof FIELDS / sizeof *FIELDS };

static const struct fl_column ATTEMPTS[] = {
    {"attempt", "attempt", FL_COLUMN_RIGHT}, {"at", "at", 0}, {"worker", "worker", 0}, {"error", "error", 0}};

static void get_attempt(const void *rows, size_t row, struct fl_cell *cells)
{
    *cells++ = fl_report_number(rows, row, FL_ATTEMPT_NUMBER);
    *cells++ = fl_report_text(rows, row, FL_ATTEMPT_AT);
    *cells++ = fl_report_text(rows, row, FL_ATTEMPT_WORKER);
    *cells++ = fl_report_text(rows, row, FL_ATTEMPT_ERROR);
}

static const struct fl_column CHAIN[] = {{"job", "job_id", FL_COLUMN_RIGHT},
                                         {"state", "state", 0},
                                         {"created", "created_at", 0},
                                         {"finished", "finished_at", 0},
                                         {"message", "message", 0}};

static void get_link(const void *rows, size_t row, struct fl_cell *cells)
{
    *cells++ = fl_report_number(rows, row, FL_JOB_ID);
    *cells++ = fl_report_text(rows, row, FL_JOB_STATE);
    *cells++ = fl_report_text(rows, row, FL_JOB_CREATED_AT);
    *cells++ = fl_report_text(rows, row, FL_JOB_FINISHED_AT);
    *cells++ = fl_report_text(rows, row, FL_JOB_MESSAGE);
}

static void print_job_json(const struct fl_pg_rows *job, const struct fl_table *attempts,
                           const struct fl_table *chain)
{
    struct fl_json_writer json;
    fl_json_write_init(&json, stdout);
    fl_json_write_begin_object(&json);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        fl_json_write_name(&json, FIELDS[i].name);
        if (FIELDS[i].type == FL_CELL_NUMBER && !fl_pg_rows_is_null(job, 0, FIELDS[i].column))
            fl_json_write_int64(&json, fl_pg_rows_int64(job, 0, FIELDS[i].column));
        else
            fl_json_write_string(&json, fl_pg_rows_text(job, 0, FIELDS[i].column));
    }
    fl_json_write_name(&json, "errors");
    fl_print_json_rows(&json, attempts);
    fl_json_write_name(&json, "chain");
    fl_print_json_rows(&json, chain);
    fl_json_write_end_object(&json);
    fl_json_write_end_line(&json);
}

static void print_job(const struct fl_args *args, const struct fl_pg_rows *job,
                      const struct fl_table *attempts, const struct fl_table *chain)
{
    struct fl_print_style style = fl_print_style_of(stdout, args->no_color);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (fl_pg_rows_is_null(job, 0, FIELDS[i].column))
            continue;
        printf("%-11s ", FIELDS[i].title);
        fl_print_text(stdout, fl_pg_rows_text(job, 0, FIELDS[i].column));
        putchar('\n');
    }
    if (attempts->row_count > 0) {
        puts("\nattempts that met an error:");
        fl_print_table(stdout, attempts, 2, style);
    }
    if (chain->row_count > 1) {
        puts("\nretries, each of the one before:");
        fl_print_table(stdout, chain, 2, style);
    }
}

static fl_status show(const struct fl_args *args, struct fl_pg_sync *pg, struct fl_err *err)
{
    struct fl_pg_rows *job = NULL, *errors = NULL, *links = NULL;
    int64_t job_id = 0;
    fl_status status = fl_job_args_id(args->paths[0], &job_id, err);
    if (status == FL_OK)
        status = fl_pg_jobs_get(pg, job_id, &job, err);
    if (status == FL_OK && fl_pg_rows_count(job) == 0)
        status = fl_err_set(err, FL_FAILED, "there is no job %" PRId64, job_id);
    if (status == FL_OK)
        status = fl_pg_jobs_attempts(pg, job_id, &errors, err);
    if (status == FL_OK)
        status = fl_pg_jobs_chain(pg, job_id, &links, err);
    if (status == FL_OK) {
        const struct fl_table attempts = {ATTEMPTS, 4, fl_pg_rows_count(errors), get_attempt, errors};
        const struct fl_table chain = {CHAIN, 5, fl_pg_rows_count(links), get_link, links};
        if (args->json)
            print_job_json(job, &attempts, &chain);
        else
            print_job(args, job, &attempts, &chain);
    }
    fl_pg_rows_free(job);
    fl_pg_rows_free(errors);
    fl_pg_rows_free(links);
    return status;
}

/* ---- the commands ---- */

int fl_cmd_jobs_list(struct fl_args *args, struct fl_settings *settings)
{
    if (args->limit == FL_ARGS_NOT_GIVEN || (args->limit >= 1 && args->limit <= LIMIT_MAX))
        return fl_report_answer(args, settings, list);
    struct fl_err err;
    fl_err_set(&err, FL_USAGE, "--limit takes 1 to %d", LIMIT_MAX);
    fl_print_error(&err);
    return fl_status_exit_code(err.code);
}

int fl_cmd_jobs_show(struct fl_args *args, struct fl_settings *settings)
{
    struct fl_err err;
    int64_t job_id;
    if (fl_job_args_id(args->paths[0], &job_id, &err) == FL_OK)
        return fl_report_answer(args, settings, show);
    fl_print_error(&err);
    return fl_status_exit_code(err.code);
}
