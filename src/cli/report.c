/* report.c - opens Postgres for a command that only asks. Failure modes: those of each step, in *err; nothing
 * stays open then. */
#include "cli/report.h"

#include "base/slice.h"
#include "io/pg_report.h"
#include "io/pg_schema.h"
#include "io/pg_sync.h"

fl_status fl_report_open(const struct fl_settings *settings, struct fl_pg_sync **pg, struct fl_err *err)
{
    *pg = NULL;
    fl_status status = fl_pg_sync_open(pg, settings->postgres_dsn, settings->postgres_timeout_ms, err);
    if (status == FL_OK)
        status = fl_pg_schema_check(*pg, err);
    if (status == FL_OK)
        status = fl_pg_report_begin(*pg, err);
    if (status == FL_OK)
        return FL_OK;
    fl_pg_sync_close(*pg);
    *pg = NULL;
    return status;
}

int fl_report_answer(const struct fl_args *args, const struct fl_settings *settings,
                     fl_status (*question)(const struct fl_args *, struct fl_pg_sync *, struct fl_err *))
{
    struct fl_pg_sync *pg;
    struct fl_err err = {0};
    fl_status status = fl_report_open(settings, &pg, &err);
    if (status == FL_OK)
        status = question(args, pg, &err);
    if (status != FL_OK)
        fl_print_error(&err);
    fl_pg_sync_close(pg);
    return fl_status_exit_code(status);
}

static struct fl_cell null_cell(void)
{
    return (struct fl_cell){.type = FL_CELL_NULL};
}

struct fl_cell fl_report_text(const struct fl_pg_rows *rows, size_t row, int column)
{
    return (struct fl_cell){.type = FL_CELL_TEXT, .text = fl_pg_rows_text(rows, row, column)};
}

struct fl_cell fl_report_json(const struct fl_pg_rows *rows, size_t row, int column)
{
    return (struct fl_cell){.type = FL_CELL_JSON, .text = fl_pg_rows_text(rows, row, column)};
}

struct fl_cell fl_report_number(const struct fl_pg_rows *rows, size_t row, int column)
{
    if (fl_pg_rows_is_null(rows, row, column))
        return null_cell();
    return (struct fl_cell){.type = FL_CELL_NUMBER, .number = fl_pg_rows_int64(rows, row, column)};
}

struct fl_cell fl_report_time_ms(const struct fl_pg_rows *rows, size_t row, int column)
{
    if (fl_pg_rows_is_null(rows, row, column))
        return null_cell();
    return (struct fl_cell){.type = FL_CELL_TIME, .number = fl_pg_rows_int64(rows, row, column)};
}

struct fl_cell fl_report_duration(const struct fl_pg_rows *rows, size_t row, int column)
{
    if (fl_pg_rows_is_null(rows, row, column))
        return null_cell();
    return (struct fl_cell){.type = FL_CELL_DURATION, .number = fl_pg_rows_int64(rows, row, column)};
}

struct fl_cell fl_report_stamp(const struct fl_pg_rows *rows, size_t row, int column)
{
    return (struct fl_cell){.type = FL_CELL_STAMP, .text = fl_pg_rows_text(rows, row, column)};
}

struct fl_cell fl_report_state(const struct fl_pg_rows *rows, size_t row, int column)
{
    static const struct {
        const char *state;
        enum fl_color color;
    } COLORS[] = {
        {"failed", FL_COLOR_RED},
        {"invalid", FL_COLOR_RED},
        {"to be tried again", FL_COLOR_RED},
        {"attempt failed", FL_COLOR_RED},
        {"rejected", FL_COLOR_YELLOW},
        {"cancelled", FL_COLOR_YELLOW},
        {"claim lost", FL_COLOR_YELLOW},
        {"lock broken", FL_COLOR_YELLOW},
        {"running", FL_COLOR_GREEN},
        {"claimed", FL_COLOR_GREEN},
    };
    struct fl_cell cell = fl_report_text(rows, row, column);
    for (size_t i = 0; i < sizeof COLORS / sizeof *COLORS; i++)
        if (fl_slice_is(cell.text, COLORS[i].state))
            cell.color = COLORS[i].color;
    return cell;
}

struct fl_cell fl_report_bool(const struct fl_pg_rows *rows, size_t row, int column)
{
    if (fl_pg_rows_is_null(rows, row, column))
        return null_cell();
    return (struct fl_cell){.type = FL_CELL_BOOL, .boolean = fl_pg_rows_bool(rows, row, column)};
}
