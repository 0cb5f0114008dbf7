/* cmd_history.c - everything that happened to an episode, in order of time: jobs with their outcomes and
 * versions, attempts that failed, claims, broken locks.
 *
 * Happy path: one statement, one table; with --json one object per event. Failure modes: nothing ever
 * happened (exit 1, a message); no server, no schema. */
#include <stdio.h>

#include "base/slice.h"
#include "cli/commands.h"
#include "cli/history_table.h"
#include "cli/print.h"
#include "cli/report.h"
#include "io/pg_report.h"
#include "io/pg_sync.h"

static const struct fl_column COLUMNS[] = {
    {NULL, "event", 0},
    {"when", "at", FL_COLUMN_WHOLE},
    {"job", "job_id", FL_COLUMN_RIGHT},
    {"kind", "kind", FL_COLUMN_WHOLE},
    {"mode", "mode", FL_COLUMN_EXTRA},
    {"if", "if_version", FL_COLUMN_RIGHT | FL_COLUMN_EXTRA},
    {"outcome", NULL, FL_COLUMN_WHOLE},
    {NULL, "outcome", 0},
    {NULL, "version", 0},
    {"rows", "row_count", FL_COLUMN_RIGHT | FL_COLUMN_EXTRA},
    {"token", "token", FL_COLUMN_RIGHT | FL_COLUMN_EXTRA},
    {"who", "who", 0},
    {"message", NULL, FL_COLUMN_BELOW},
    {NULL, "message", 0},
    {NULL, "source", 0},
    {NULL, "attempts", 0},
    {NULL, "created_at", 0},
    {NULL, "claimed_at", 0},
    {NULL, "retries", 0},
    {NULL, "retried_by", 0},
};

static void get_event(const void *rows, size_t row, struct fl_cell *cells)
{
    *cells++ = fl_report_text(rows, row, FL_REPORT_EVENT);
    *cells++ = fl_report_stamp(rows, row, FL_REPORT_EVENT_AT);
    *cells++ = fl_report_number(rows, row, FL_REPORT_EVENT_JOB);
    *cells++ = fl_report_text(rows, row, FL_REPORT_EVENT_KIND);
    *cells++ = fl_report_text(rows, row, FL_REPORT_EVENT_MODE);
    *cells++ = fl_report_number(rows, row, FL_REPORT_EVENT_IF_VERSION);
    *cells++ = fl_report_state(rows, row, FL_REPORT_EVENT_RESULT);
    *cells++ = fl_report_text(rows, row, FL_REPORT_EVENT_OUTCOME);
    *cells++ = fl_report_number(rows, row, FL_REPORT_EVENT_VERSION);
    *cells++ = fl_report_number(rows, row, FL_REPORT_EVENT_ROWS);
    *cells++ = fl_report_number(rows, row, FL_REPORT_EVENT_TOKEN);
    *cells++ = fl_report_text(rows, row, FL_REPORT_EVENT_WHO);
    *cells++ = fl_report_text(rows, row, FL_REPORT_EVENT_STORY);
    *cells++ = fl_report_text(rows, row, FL_REPORT_EVENT_MESSAGE);
    *cells++ = fl_report_text(rows, row, FL_REPORT_EVENT_SOURCE);
    *cells++ = fl_report_number(rows, row, FL_REPORT_EVENT_ATTEMPTS);
    *cells++ = fl_report_text(rows, row, FL_REPORT_EVENT_CREATED_AT);
    *cells++ = fl_report_text(rows, row, FL_REPORT_EVENT_CLAIMED_AT);
    *cells++ = fl_report_number(rows, row, FL_REPORT_EVENT_RETRIES);
    *cells++ = fl_report_number(rows, row, FL_REPORT_EVENT_RETRIED_BY);
}

struct fl_table fl_history_table(const struct fl_pg_rows *rows)
{
    return (struct fl_table){COLUMNS, sizeof COLUMNS / sizeof *COLUMNS, fl_pg_rows_count(rows), get_event,
                             rows};
}

static fl_status show_history(const struct fl_args *args, struct fl_pg_sync *pg, struct fl_err *err)
{
    struct fl_pg_rows *rows;
    fl_status status = fl_pg_report_history(pg, args->paths[0], &rows, err);
    if (status != FL_OK)
        return status;
    const struct fl_table table = fl_history_table(rows);
    if (table.row_count == 0)
        status = fl_err_set(err, FL_FAILED, "%s: no job and no broken lock is known", args->paths[0]);
    else if (args->json)
        fl_print_json_lines(stdout, &table);
    else
        fl_print_table(stdout, &table, 0, fl_print_style_of(stdout, args->no_color));
    fl_pg_rows_free(rows);
    return status;
}

int fl_cmd_history(struct fl_args *args, struct fl_settings *settings)
{
    return fl_report_answer(args, settings, show_history);
}
