/* show_export.c - `show --format`: one document as a file again.
 *
 * Happy path: the rows from one snapshot become a document as a parser would have made it, borrowing their
 * texts; core/export.c writes and compares it. Failure modes: nothing imported (exit 1, a message); no
 * server, no schema, no memory. In all of them nothing reaches stdout. What the format loses is a warning. */
#include "cli/show_export.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/slice.h"
#include "cli/print.h"
#include "cli/report.h"
#include "core/export.h"
#include "core/formats/location.h"
#include "io/pg_report.h"
#include "io/pg_sync.h"

enum { ROWS_LIMIT_BYTES = 1 << 30 }; /* beside what parsing takes: the rows twice, and their lines */

static int64_t end_of(const struct fl_pg_rows *rows, size_t row)
{
    return fl_pg_rows_is_null(rows, row, 2) ? FL_END_NONE : fl_pg_rows_int64(rows, row, 2);
}

static bool fill_chapter(struct fl_document *doc, const struct fl_pg_rows *rows, size_t row)
{
    struct fl_chapter *chapter = &doc->chapters[row];
    *chapter = (struct fl_chapter){.start_ms = fl_pg_rows_int64(rows, row, 1),
                                   .end_ms = end_of(rows, row),
                                   .title = fl_pg_rows_text(rows, row, 3),
                                   .url = fl_pg_rows_text(rows, row, 4),
                                   .img = fl_pg_rows_text(rows, row, 5),
                                   .toc = fl_pg_rows_bool(rows, row, 6),
                                   .location = fl_pg_rows_text(rows, row, 7)};
    return fl_location_compact(doc->arena, &chapter->location);
}

static void fill_segment(struct fl_document *doc, const struct fl_pg_rows *rows, size_t row)
{
    doc->segments[row] = (struct fl_segment){.start_ms = fl_pg_rows_int64(rows, row, 1),
                                             .end_ms = end_of(rows, row),
                                             .speaker = fl_pg_rows_text(rows, row, 3),
                                             .body = fl_pg_rows_text(rows, row, 4)};
}

static fl_status make_document(struct fl_document *doc, const struct fl_pg_rows *rows, struct fl_err *err)
{
    size_t count = fl_pg_rows_count(rows);
    bool is_chapters = doc->kind == FL_CHAPTERS, has_memory;
    void *made =
        fl_arena_alloc(doc->arena, count * (is_chapters ? sizeof *doc->chapters : sizeof *doc->segments));
    has_memory = made != NULL;
    if (is_chapters)
        doc->chapters = made;
    else
        doc->segments = made;
    for (size_t row = 0; has_memory && row < count; row++)
        if (is_chapters)
            has_memory = fill_chapter(doc, rows, row);
        else
            fill_segment(doc, rows, row);
    doc->row_count = count;
    return has_memory ? FL_OK : fl_err_set(err, FL_NO_MEMORY, "no memory for %zu rows", count);
}

/* "ep39 transcript, row 12: warning: the end ... (end)"; the number is that of `show`. */
static void print_loss(void *context, const struct fl_export_loss *loss)
{
    const struct fl_args *args = context;
    if (args->quiet)
        return;
    bool wants_color = fl_print_wants_color(stderr, args->no_color);
    fl_print_text(stderr, fl_slice_from(args->paths[0]));
    fprintf(stderr, " %s", fl_kind_name(args->kind));
    if (loss->row != FL_EXPORT_WHOLE)
        fprintf(stderr, ", row %zu", loss->row);
    fprintf(stderr, ": %swarning:%s ", fl_print_color(FL_COLOR_YELLOW, wants_color),
            fl_print_color(FL_COLOR_NONE, wants_color));
    fl_print_text(stderr, fl_slice_from(loss->text));
    fprintf(stderr, " (%s)\n", loss->rule);
}

static fl_status export_rows(struct fl_args *args, const struct fl_settings *settings,
                             const struct fl_pg_rows *rows, struct fl_err *err)
{
    struct fl_arena arena;
    struct fl_document doc;
    fl_arena_init(&arena, settings->limits.file_bytes * 8 + ROWS_LIMIT_BYTES);
    fl_document_init(&doc, &arena, &settings->limits, args->format);
    fl_status status = make_document(&doc, rows, err);
    if (status == FL_OK)
        status = fl_export_document(&doc, stdout, print_loss, args, err);
    fl_arena_release(&arena);
    return status;
}

static fl_status export_document(struct fl_args *args, const struct fl_settings *settings,
                                 struct fl_pg_sync *pg, struct fl_err *err)
{
    struct fl_pg_rows *documents, *rows;
    fl_status status = fl_pg_report_documents(pg, args->paths[0], args->kind, &documents, err);
    if (status != FL_OK)
        return status;
    size_t count = fl_pg_rows_count(documents);
    fl_pg_rows_free(documents);
    if (count == 0)
        return fl_err_set(err, FL_FAILED, "%s: no %s imported", args->paths[0], fl_kind_name(args->kind));
    status = fl_pg_report_rows(pg, args->paths[0], args->kind, &rows, err);
    if (status != FL_OK)
        return status;
    status = export_rows(args, settings, rows, err);
    fl_pg_rows_free(rows);
    return status;
}

int fl_show_export(struct fl_args *args, const struct fl_settings *settings)
{
    struct fl_pg_sync *pg;
    struct fl_err err = {0};
    fl_status status = fl_report_open(settings, &pg, &err);
    if (status == FL_OK)
        status = export_document(args, settings, pg, &err);
    if (status != FL_OK)
        fl_print_error(&err);
    fl_pg_sync_close(pg);
    return fl_status_exit_code(status);
}
