/* fuzz_export.c - a document out and in again: what differs was told, and nothing else was.
 *
 * core/export.c reads back what it writes, too. This comparison is another one: by place instead of by line,
 * and of all rows at once. */
#include <stdlib.h>
#include <string.h>

#include "core/export.h"
#include "core/formats/location.h"
#include "fuzz.h"

enum { ARENA_BYTES = 64 << 20, ROWS_MAX = 256, FORMAT_COUNT = FL_FORMAT_TIMED_TEXT + 1 };

/* What fl_export_document told. */
struct told {
    size_t count;
    bool whole;   /* of the document, of rows that are missing, more, or elsewhere */
    bool limit;   /* of lengths */
    bool *of_row; /* row_count of them */
    size_t row_count;
};

static void on_loss(void *context, const struct fl_export_loss *loss)
{
    struct told *told = context;
    struct fl_slice text = fl_slice_from(loss->text);
    told->count++;
    FUZZ_CHECK(text.len && fuzz_is_text(text), "loss of %zu", loss->row);
    FUZZ_CHECK(loss->row == FL_EXPORT_WHOLE || loss->row < told->row_count, "row %zu", loss->row);
    if (strcmp(loss->rule, "limit") == 0)
        told->limit = true;
    if (loss->row == FL_EXPORT_WHOLE || strcmp(loss->rule, "lost") == 0 || strcmp(loss->rule, "order") == 0)
        told->whole = true;
    if (loss->row != FL_EXPORT_WHOLE)
        told->of_row[loss->row] = true;
}

static bool is_same_field(struct fl_slice a, struct fl_slice b)
{
    return !a.ptr == !b.ptr && a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static bool is_same_row(const struct fl_document *a, const struct fl_document *b, size_t row)
{
    if (a->kind == FL_CHAPTERS) {
        const struct fl_chapter *x = &a->chapters[row], *y = &b->chapters[row];
        return x->start_ms == y->start_ms && x->end_ms == y->end_ms && x->toc == y->toc &&
               fl_slice_eq(x->title, y->title) && is_same_field(x->url, y->url) &&
               is_same_field(x->img, y->img) && is_same_field(x->location, y->location);
    }
    const struct fl_segment *x = &a->segments[row], *y = &b->segments[row];
    return x->start_ms == y->start_ms && x->end_ms == y->end_ms && is_same_field(x->speaker, y->speaker) &&
           fl_slice_eq(x->body, y->body);
}

static void compare(const struct fl_document *doc, const struct fl_document *back, const struct told *told)
{
    size_t differing = 0;
    for (size_t row = 0; row < doc->row_count && row < back->row_count; row++) {
        bool is_same = is_same_row(doc, back, row);
        differing += !is_same;
        FUZZ_CHECK(is_same || told->whole || told->of_row[row],
                   "%s: row %zu is read back differently, untold", fl_format_name(doc->format), row);
    }
    bool is_equal = differing == 0 && doc->row_count == back->row_count;
    FUZZ_CHECK(is_equal || told->count, "%s: %zu rows, %zu read back, nothing told",
               fl_format_name(doc->format), doc->row_count, back->row_count);
    FUZZ_CHECK(!is_equal || told->count == 0 || told->limit, "%s: all is the same, but %zu losses were told",
               fl_format_name(doc->format), told->count);
}

static void check_format(struct fl_document *doc)
{
    struct told told = {.row_count = doc->row_count, .of_row = calloc(doc->row_count + 1, sizeof(bool))};
    char *text = NULL;
    size_t text_bytes = 0;
    struct fl_err err;
    struct fl_arena arena;
    struct fl_document back;
    FILE *out = open_memstream(&text, &text_bytes);
    FUZZ_CHECK(out && told.of_row, "no memory");
    fl_status status = fl_export_document(doc, out, on_loss, &told, &err);
    fclose(out);
    FUZZ_CHECK(status == FL_OK, "%s: %s", fl_format_name(doc->format), err.text);
    struct fl_slice written = {text, text_bytes};
    FUZZ_CHECK(fuzz_is_text(written), "%s: what is written is not text", fl_format_name(doc->format));

    fl_arena_init(&arena, ARENA_BYTES);
    char *exact = fuzz_exact(written);
    status = fl_parse_document((struct fl_slice){exact, written.len}, &(struct fl_parse_hint){0}, doc->limits,
                               &arena, &back, &err);
    if (status == FL_OK && back.format == doc->format)
        compare(doc, &back, &told);
    else
        FUZZ_CHECK(told.whole || told.limit, "%s: not read back, untold: %s", fl_format_name(doc->format),
                   status == FL_OK ? fl_format_name(back.format) : err.text);
    free(exact);
    fl_arena_release(&arena);
    free(text);
    free(told.of_row);
}

void fuzz_check_export(struct fl_document *doc)
{
    enum fl_format original = doc->format;
    for (int format = FL_FORMAT_NONE + 1; format < FORMAT_COUNT; format++) {
        doc->format = (enum fl_format)format;
        if (fl_export_has_writer(doc->format) && fl_format_kind(doc->format) == doc->kind)
            check_format(doc);
    }
    doc->format = original;
}

/* ---- the target: rows as no parser may ever have made them, but as the database can hold them ---- */

/* "-" at the front = null. */
static struct fl_slice take_field(struct fl_slice *row)
{
    struct fl_slice field = fuzz_take(row, '\x1f');
    return fl_slice_starts(field, "-") ? (struct fl_slice){0} : field;
}

static void add_row(struct fl_document *doc, struct fl_slice row)
{
    struct fl_err err;
    int64_t start_ms = fuzz_number(fuzz_take(&row, '\x1f'), FL_TIME_LIMIT_MS + INT64_C(1));
    struct fl_slice end = take_field(&row);
    int64_t end_ms = end.ptr ? start_ms + fuzz_number(end, FL_END_LIMIT_MS - start_ms + 1) : FL_END_NONE;
    struct fl_slice text = fuzz_take(&row, '\x1f'), first = take_field(&row), second = take_field(&row);
    struct fl_slice location = take_field(&row);
    bool toc = row.len == 0;
    if (!fl_location_compact(doc->arena, &location))
        location = (struct fl_slice){0};
    fl_status status =
        doc->kind == FL_CHAPTERS
            ? fl_document_add_chapter(
                  doc, &(struct fl_chapter){start_ms, end_ms, text, first, second, location, toc, 1}, &err)
            : fl_document_add_segment(doc, &(struct fl_segment){start_ms, end_ms, first, text, 1}, &err);
    FUZZ_CHECK(status == FL_OK || status == FL_INVALID, "%s", err.text);
}

/* The first byte chooses the kind and whether the document is finished; then rows, ended by 0x1e, of fields,
 * ended by 0x1f: start, length, text, speaker or url, img, location, anything = not in the table of contents.
 */
void fuzz_export(struct fl_slice input)
{
    unsigned options = fuzz_take_byte(&input);
    struct fl_limits limits = fuzz_limits();
    struct fl_arena arena;
    struct fl_document doc;
    struct fl_err err;
    if (!fuzz_is_text(input))
        return;
    char *exact = fuzz_exact(input);
    struct fl_slice rest = {exact, input.len};
    if (options & 4)
        limits.field_bytes = 64;
    fl_arena_init(&arena, ARENA_BYTES);
    fl_document_init(&doc, &arena, &limits, options & 1 ? FL_FORMAT_CHAPTERS_JSON : FL_FORMAT_SRT);
    while (rest.len && doc.row_count < ROWS_MAX)
        add_row(&doc, fuzz_take(&rest, '\x1e'));
    bool is_good = doc.row_count > 0 && (!(options & 2) || fl_document_finish(&doc, &err) == FL_OK);
    if (is_good)
        fuzz_check_export(&doc);
    fl_arena_release(&arena);
    free(exact);
}
