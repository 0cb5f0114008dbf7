/* cmd_show.c - what is imported for an episode.
 *
 * Happy path: one snapshot, per document a line about it and its rows; with --json one object per document;
 * with --format one document as a file again (show_export.c).
 * Failure modes: nothing imported (exit 1, a message); no server, no schema. */
#include <inttypes.h>
#include <stdio.h>

#include "base/slice.h"
#include "cli/commands.h"
#include "cli/document_table.h"
#include "cli/print.h"
#include "cli/report.h"
#include "cli/show_export.h"
#include "io/pg_report.h"
#include "io/pg_sync.h"

static const struct fl_column DOCUMENT_COLUMNS[] = {
    {NULL, "kind", 0},      {NULL, "version", 0},     {NULL, "job_id", 0},
    {NULL, "row_count", 0}, {NULL, "sha256", 0},      {NULL, "format", 0},
    {NULL, "source", 0},    {NULL, "imported_at", 0}, {NULL, "warnings", 0},
};

static void get_document(const void *rows, size_t row, struct fl_cell *cells)
{
    cells[0] = fl_report_text(rows, row, FL_REPORT_DOCUMENT_KIND);
    cells[1] = fl_report_number(rows, row, FL_REPORT_DOCUMENT_VERSION);
    cells[2] = fl_report_number(rows, row, FL_REPORT_DOCUMENT_JOB);
    cells[3] = fl_report_number(rows, row, FL_REPORT_DOCUMENT_ROWS);
    cells[4] = fl_report_text(rows, row, FL_REPORT_DOCUMENT_SHA256);
    cells[5] = fl_report_text(rows, row, FL_REPORT_DOCUMENT_FORMAT);
    cells[6] = fl_report_text(rows, row, FL_REPORT_DOCUMENT_SOURCE);
    cells[7] = fl_report_text(rows, row, FL_REPORT_DOCUMENT_IMPORTED_AT);
    cells[8] = fl_report_json(rows, row, FL_REPORT_DOCUMENT_WARNINGS);
}

static void get_chapter(const void *rows, size_t row, struct fl_cell *cells)
{
    cells[0] = fl_report_number(rows, row, 0);
    cells[1] = fl_report_time_ms(rows, row, 1);
    cells[2] = fl_report_time_ms(rows, row, 2);
    for (int column = 3; column <= 5; column++)
        cells[column] = fl_report_text(rows, row, column);
    cells[6] = fl_report_bool(rows, row, 6);
    cells[7] = fl_report_json(rows, row, 7);
}

static void get_segment(const void *rows, size_t row, struct fl_cell *cells)
{
    cells[0] = fl_report_number(rows, row, 0);
    cells[1] = fl_report_time_ms(rows, row, 1);
    cells[2] = fl_report_time_ms(rows, row, 2);
    cells[3] = fl_report_text(rows, row, 3);
    cells[4] = fl_report_text(rows, row, 4);
}

static struct fl_table table_of(enum fl_kind kind, const struct fl_pg_rows *rows)
{
    struct fl_table table = {.row_count = fl_pg_rows_count(rows),
                             .get = kind == FL_CHAPTERS ? get_chapter : get_segment,
                             .rows = rows};
    table.columns = fl_document_columns(kind, &table.column_count);
    return table;
}

static void print_json(const char *episode, const struct fl_pg_rows *documents, size_t row,
                       const struct fl_table *table)
{
    const struct fl_table document = {DOCUMENT_COLUMNS, sizeof DOCUMENT_COLUMNS / sizeof *DOCUMENT_COLUMNS,
                                      fl_pg_rows_count(documents), get_document, documents};
    struct fl_json_writer json;
    fl_json_write_init(&json, stdout);
    fl_json_write_begin_object(&json);
    fl_json_write_name(&json, "episode");
    fl_json_write_string(&json, fl_slice_from(episode));
    fl_print_json_members(&json, &document, row);
    fl_json_write_name(&json, "rows");
    fl_print_json_rows(&json, table);
    fl_json_write_end_object(&json);
    fl_json_write_end_line(&json);
}

/* "ep39 chapters: 12 rows, version 7, imported 2026-01-18T10:03:05.123Z by job 41 from ep39.chapters.json
 * (chapters-json, 2 warnings)" */
static void print_plain(const char *episode, const struct fl_pg_rows *documents, size_t row,
                        const struct fl_table *table, struct fl_print_style style)
{
    struct fl_slice source = fl_pg_rows_text(documents, row, FL_REPORT_DOCUMENT_SOURCE);
    struct fl_slice format = fl_pg_rows_text(documents, row, FL_REPORT_DOCUMENT_FORMAT);
    int64_t warnings = fl_pg_rows_int64(documents, row, FL_REPORT_DOCUMENT_WARNING_COUNT);
    if (row)
        putchar('\n');
    fputs(fl_print_color(FL_COLOR_GREEN, style.has_color), stdout);
    fl_print_text(stdout, fl_slice_from(episode));
    putchar(' ');
    fl_print_text(stdout, fl_pg_rows_text(documents, row, FL_REPORT_DOCUMENT_KIND));
    printf("%s: %zu row%s, version %" PRId64 ", imported ", fl_print_color(FL_COLOR_NONE, style.has_color),
           table->row_count, table->row_count == 1 ? "" : "s",
           fl_pg_rows_int64(documents, row, FL_REPORT_DOCUMENT_VERSION));
    fl_print_text(stdout, fl_pg_rows_text(documents, row, FL_REPORT_DOCUMENT_IMPORTED_AT));
    printf(" by job %" PRId64, fl_pg_rows_int64(documents, row, FL_REPORT_DOCUMENT_JOB));
    if (source.ptr)
        fputs(" from ", stdout);
    fl_print_text(stdout, source);
    fputs(" (", stdout);
    fl_print_text(stdout, format);
    if (warnings)
        printf(", %" PRId64 " warning%s", warnings, warnings == 1 ? "" : "s");
    puts(")");
    fl_print_table(stdout, table, 2, style);
}

static fl_status show_document(const struct fl_args *args, struct fl_pg_sync *pg,
                               const struct fl_pg_rows *documents, size_t row, struct fl_err *err)
{
    struct fl_pg_rows *rows;
    enum fl_kind kind = fl_kind_from_name(fl_pg_rows_text(documents, row, FL_REPORT_DOCUMENT_KIND));
    fl_status status = fl_pg_report_rows(pg, args->paths[0], kind, &rows, err);
    if (status != FL_OK)
        return status;
    struct fl_table table = table_of(kind, rows);
    if (args->json)
        print_json(args->paths[0], documents, row, &table);
    else
        print_plain(args->paths[0], documents, row, &table, fl_print_style_of(stdout, args->no_color));
    fl_pg_rows_free(rows);
    return FL_OK;
}

static fl_status show_documents(const struct fl_args *args, struct fl_pg_sync *pg, struct fl_err *err)
{
    struct fl_pg_rows *documents;
    fl_status status = fl_pg_report_documents(pg, args->paths[0], args->kind, &documents, err);
    if (status != FL_OK)
        return status;
    size_t count = fl_pg_rows_count(documents);
    if (count == 0)
        status =
            fl_err_set(err, FL_FAILED, "%s: no %s imported", args->paths[0],
                       args->kind == FL_KIND_NONE ? "chapters and no transcript" : fl_kind_name(args->kind));
    for (size_t row = 0; status == FL_OK && row < count; row++)
        status = show_document(args, pg, documents, row, err);
    fl_pg_rows_free(documents);
    return status;
}

int fl_cmd_show(struct fl_args *args, struct fl_settings *settings)
{
    if (args->format != FL_FORMAT_NONE)
        return fl_show_export(args, settings);
    return fl_report_answer(args, settings, show_documents);
}
