/* cmd_jobs_show.c - `fenceline jobs show`: all about one job.
 *
 * Happy path: one snapshot of Postgres, as a record with tables below it, or as one JSON object. Failure
 * modes: no such job (exit 1), no server, no schema. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/job_args.h"
#include "cli/report.h"
#include "io/pg_queue_admin.h"
#include "io/pg_sync.h"

/* Everything that is there, in the order in which it happens. */
static const struct {
    struct fl_column column;
    int at;
    struct fl_cell (*get)(const struct fl_pg_rows *rows, size_t row, int column);
} FIELDS[] = {
    {{"job", "job_id", 0}, FL_JOB_ID, fl_report_number},
    {{"episode", "episode", 0}, FL_JOB_EPISODE, fl_report_text},
    {{"kind", "kind", 0}, FL_JOB_KIND, fl_report_text},
    {{"mode", "mode", 0}, FL_JOB_MODE, fl_report_text},
    {{"if version", "if_version", 0}, FL_JOB_IF_VERSION, fl_report_number},
    {{"source", "source", 0}, FL_JOB_SOURCE, fl_report_text},
    {{"body bytes", "body_bytes", 0}, FL_JOB_BODY_BYTES, fl_report_number},
    {{"priority", "priority", 0}, FL_JOB_PRIORITY, fl_report_text},
    {{"rank", "rank", 0}, FL_JOB_RANK, fl_report_number},
    {{"created", "created_at", 0}, FL_JOB_CREATED_AT, fl_report_stamp},
    {{"not before", "not_before", 0}, FL_JOB_NOT_BEFORE, fl_report_stamp},
    {{"dispatched", "dispatched_at", 0}, FL_JOB_DISPATCHED_AT, fl_report_stamp},
    {{"started", "started_at", 0}, FL_JOB_STARTED_AT, fl_report_stamp},
    {{"finished", "finished_at", 0}, FL_JOB_FINISHED_AT, fl_report_stamp},
    {{"worker", "worker", 0}, FL_JOB_WORKER, fl_report_text},
    {{"attempts", "attempts", 0}, FL_JOB_ATTEMPTS, fl_report_number},
    {{"deaths", "deaths", 0}, FL_JOB_DEATHS, fl_report_number},
    {{"state", "state", 0}, FL_JOB_STATE, fl_report_state},
    {{"message", "message", 0}, FL_JOB_MESSAGE, fl_report_text},
    {{"token", "token", 0}, FL_JOB_TOKEN, fl_report_number},
    {{"version", "version", 0}, FL_JOB_VERSION, fl_report_number},
    {{"rows", "row_count", 0}, FL_JOB_ROWS, fl_report_number},
    {{"retried by", "retried_by", 0}, FL_JOB_RETRIED_BY, fl_report_number},
};

enum { FIELD_COUNT = sizeof FIELDS / sizeof *FIELDS };

static void get_fields(const void *rows, size_t row, struct fl_cell *cells)
{
    for (size_t i = 0; i < FIELD_COUNT; i++)
        cells[i] = FIELDS[i].get(rows, row, FIELDS[i].at);
}

static const struct fl_column PHASES[] = {{"phase", "phase", 0}, {"took", "ms", FL_COLUMN_RIGHT}};

static void get_phase(const void *rows, size_t row, struct fl_cell *cells)
{
    *cells++ = fl_report_text(rows, row, FL_JOB_PHASE);
    *cells++ = fl_report_duration(rows, row, FL_JOB_PHASE_MS);
}

static const struct fl_column CLAIM[] = {{"token", "token", FL_COLUMN_RIGHT},
                                         {"holder", "holder", 0},
                                         {"since", "claimed_at", FL_COLUMN_WHOLE},
                                         {"held for", "held_ms", FL_COLUMN_RIGHT}};
static const struct fl_column LOST[] = {{"token", "token", FL_COLUMN_RIGHT},
                                        {"holder", "holder", 0},
                                        {"since", "claimed_at", FL_COLUMN_WHOLE},
                                        {"held for", "held_ms", FL_COLUMN_RIGHT},
                                        {NULL, "lost_at", 0},
                                        {"lost to", "lost_to", FL_COLUMN_RIGHT}};

static void get_claim(const void *rows, size_t row, struct fl_cell *cells)
{
    *cells++ = fl_report_number(rows, row, FL_CLAIM_TOKEN);
    *cells++ = fl_report_text(rows, row, FL_CLAIM_HOLDER);
    *cells++ = fl_report_stamp(rows, row, FL_CLAIM_AT);
    *cells++ = fl_report_duration(rows, row, FL_CLAIM_HELD_MS);
}

static void get_lost(const void *rows, size_t row, struct fl_cell *cells)
{
    get_claim(rows, row, cells);
    cells[4] = fl_report_stamp(rows, row, FL_CLAIM_LOST_AT);
    cells[5] = fl_report_number(rows, row, FL_CLAIM_LOST_TO);
}

static const struct fl_column ATTEMPTS[] = {{"attempt", "attempt", FL_COLUMN_RIGHT},
                                            {"at", "at", FL_COLUMN_WHOLE},
                                            {"worker", "worker", 0},
                                            {"error", "error", FL_COLUMN_BELOW}};

static void get_attempt(const void *rows, size_t row, struct fl_cell *cells)
{
    *cells++ = fl_report_number(rows, row, FL_ATTEMPT_NUMBER);
    *cells++ = fl_report_stamp(rows, row, FL_ATTEMPT_AT);
    *cells++ = fl_report_text(rows, row, FL_ATTEMPT_WORKER);
    *cells++ = fl_report_text(rows, row, FL_ATTEMPT_ERROR);
}

static const struct fl_column CHAIN[] = {{"job", "job_id", FL_COLUMN_RIGHT},
                                         {"state", "state", 0},
                                         {"created", "created_at", FL_COLUMN_WHOLE},
                                         {"finished", "finished_at", FL_COLUMN_WHOLE | FL_COLUMN_EXTRA},
                                         {"message", "message", FL_COLUMN_BELOW}};

static void get_link(const void *rows, size_t row, struct fl_cell *cells)
{
    *cells++ = fl_report_number(rows, row, FL_JOB_ID);
    *cells++ = fl_report_state(rows, row, FL_JOB_STATE);
    *cells++ = fl_report_stamp(rows, row, FL_JOB_CREATED_AT);
    *cells++ = fl_report_stamp(rows, row, FL_JOB_FINISHED_AT);
    *cells++ = fl_report_text(rows, row, FL_JOB_MESSAGE);
}

/* What is told below the record, in this order. */
static const struct section {
    const char *title, *name;
    const struct fl_column *columns;
    size_t column_count, least_rows; /* for fewer there is nothing to tell in words */
    bool is_one;                     /* at most one row: in JSON an object or null, not an array */
    void (*get)(const void *rows, size_t row, struct fl_cell *cells);
    fl_status (*ask)(struct fl_pg_sync *pg, int64_t job_id, struct fl_pg_rows **rows, struct fl_err *err);
} SECTIONS[] = {
    {"it holds its episode:", "claim", CLAIM, 4, 1, true, get_claim, fl_pg_jobs_claim},
    {"time per phase:", "phases", PHASES, 2, 1, false, get_phase, fl_pg_jobs_phases},
    {"attempts that met an error:", "errors", ATTEMPTS, 4, 1, false, get_attempt, fl_pg_jobs_attempts},
    {"claims that it lost:", "lost_claims", LOST, 6, 1, false, get_lost, fl_pg_jobs_lost_claims},
    {"retries, each of the one before:", "chain", CHAIN, 5, 2, false, get_link, fl_pg_jobs_chain},
};

enum { SECTION_COUNT = sizeof SECTIONS / sizeof *SECTIONS };

static void print_json(const struct fl_table *record, const struct fl_table sections[SECTION_COUNT])
{
    struct fl_json_writer json;
    fl_json_write_init(&json, stdout);
    fl_json_write_begin_object(&json);
    fl_print_json_members(&json, record, 0);
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        fl_json_write_name(&json, SECTIONS[i].name);
        if (!SECTIONS[i].is_one) {
            fl_print_json_rows(&json, &sections[i]);
        } else if (sections[i].row_count == 0) {
            fl_json_write_null(&json);
        } else {
            fl_json_write_begin_object(&json);
            fl_print_json_members(&json, &sections[i], 0);
            fl_json_write_end_object(&json);
        }
    }
    fl_json_write_end_object(&json);
    fl_json_write_end_line(&json);
}

static void print_plain(const struct fl_args *args, const struct fl_table *record,
                        const struct fl_table sections[SECTION_COUNT])
{
    struct fl_print_style style = fl_print_style_of(stdout, args->no_color);
    fl_print_record(stdout, record, 0, 0, style);
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        if (sections[i].row_count < SECTIONS[i].least_rows)
            continue;
        printf("\n%s\n", SECTIONS[i].title);
        fl_print_table(stdout, &sections[i], 2, style);
    }
}

static fl_status show(const struct fl_args *args, struct fl_pg_sync *pg, struct fl_err *err)
{
    struct fl_pg_rows *job = NULL, *rows[SECTION_COUNT] = {0};
    struct fl_column columns[FIELD_COUNT];
    struct fl_table sections[SECTION_COUNT];
    int64_t job_id = 0;
    fl_status status = fl_job_args_id(args->paths[0], &job_id, err);
    if (status == FL_OK)
        status = fl_pg_jobs_get(pg, job_id, &job, err);
    if (status == FL_OK && fl_pg_rows_count(job) == 0)
        status = fl_err_set(err, FL_FAILED, "there is no job %" PRId64, job_id);
    for (size_t i = 0; status == FL_OK && i < SECTION_COUNT; i++) {
        status = SECTIONS[i].ask(pg, job_id, &rows[i], err);
        sections[i] =
            (struct fl_table){SECTIONS[i].columns, SECTIONS[i].column_count,
                              status == FL_OK ? fl_pg_rows_count(rows[i]) : 0, SECTIONS[i].get, rows[i]};
    }
    for (size_t i = 0; i < FIELD_COUNT; i++)
        columns[i] = FIELDS[i].column;
    const struct fl_table record = {columns, FIELD_COUNT, 1, get_fields, job};
    if (status == FL_OK && args->json)
        print_json(&record, sections);
    else if (status == FL_OK)
        print_plain(args, &record, sections);
    fl_pg_rows_free(job);
    for (size_t i = 0; i < SECTION_COUNT; i++)
        fl_pg_rows_free(rows[i]);
    return status;
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
