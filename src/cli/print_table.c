/* print_table.c - tables for people, as wide as a terminal allows.
 *
 * Happy path: the rows are walked twice: once to measure, once to print. Between them the columns are fitted
 * to the width. Failure modes: a stream that fails stays failed (main asks at the end). */
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "cli/print.h"

enum {
    GAP_COLUMNS = 2,
    ROOMY_COLUMNS = 16,
    SHORT_COLUMNS = 8,
    SHORTEST_COLUMNS = 3,
    BELOW_INDENT = 4,
    BELOW_COLUMNS = 12, /* an escape has no more */
    STAMP_BYTES = sizeof "2026-01-18T10:03:05" - 1
};

/* Columns of a table as they are printed. */
struct layout {
    const struct fl_table *table;
    struct fl_print_style style;
    size_t indent;
    bool is_shown[FL_TABLE_COLUMNS];
    size_t widths[FL_TABLE_COLUMNS];
    size_t below; /* the column that is told below each line; FL_TABLE_COLUMNS = none */
};

/* What stands in a cell; memory is for what is not there as text. */
static struct fl_slice cell_text(const struct fl_cell *cell, char memory[FL_TIME_BYTES])
{
    switch (cell->type) {
    case FL_CELL_NULL: break;
    case FL_CELL_TEXT:
    case FL_CELL_JSON: return cell->text.ptr ? cell->text : FL_SLICE("-");
    case FL_CELL_STAMP:
        if (cell->text.len <= STAMP_BYTES || !strchr(".Z", cell->text.ptr[STAMP_BYTES]))
            return cell->text.ptr ? cell->text : FL_SLICE("-");
        memcpy(memory, cell->text.ptr, STAMP_BYTES);
        memory[sizeof "2026-01-18" - 1] = ' ';
        memory[STAMP_BYTES] = 'Z';
        return (struct fl_slice){memory, STAMP_BYTES + 1};
    case FL_CELL_TIME: return fl_slice_from(fl_format_time(cell->number, memory));
    case FL_CELL_DURATION: return fl_slice_from(fl_format_duration(cell->number, memory));
    case FL_CELL_BOOL: return cell->boolean ? FL_SLICE("yes") : FL_SLICE("no");
    case FL_CELL_NUMBER:
        snprintf(memory, FL_TIME_BYTES, "%" PRId64, cell->number);
        return fl_slice_from(memory);
    }
    return FL_SLICE("-");
}

static bool is_null(const struct fl_cell *cell)
{
    switch (cell->type) {
    case FL_CELL_NULL: return true;
    case FL_CELL_TEXT:
    case FL_CELL_JSON:
    case FL_CELL_STAMP: return !cell->text.ptr;
    case FL_CELL_TIME:
    case FL_CELL_DURATION: return cell->number < 0;
    case FL_CELL_BOOL:
    case FL_CELL_NUMBER: return false;
    }
    return false;
}

/* ---- how wide ---- */

static bool may_shorten(const struct layout *layout, size_t c)
{
    return layout->is_shown[c] && !(layout->table->columns[c].flags & (FL_COLUMN_RIGHT | FL_COLUMN_WHOLE));
}

static void measure(struct layout *layout)
{
    const struct fl_table *table = layout->table;
    struct fl_cell cells[FL_TABLE_COLUMNS];
    size_t line_width = layout->style.width;
    for (size_t c = 0; c < table->column_count; c++) {
        layout->is_shown[c] = table->columns[c].title;
        layout->widths[c] = layout->is_shown[c] ? strlen(table->columns[c].title) : 0;
    }
    for (size_t row = 0; row < table->row_count; row++) {
        table->get(table->rows, row, cells);
        for (size_t c = 0; c < table->column_count; c++) {
            char memory[FL_TIME_BYTES];
            size_t width = layout->is_shown[c] ? fl_print_text(NULL, cell_text(&cells[c], memory)) : 0;
            if (line_width && width > line_width && may_shorten(layout, c))
                width = line_width + 1; /* too much, however much */
            if (width > layout->widths[c] && (line_width || width <= FL_TABLE_WIDTH))
                layout->widths[c] = width;
        }
    }
}

/* Columns of a line whose texts are shortened to the minimum where they are longer. */
static size_t line_columns(const struct layout *layout, size_t minimum)
{
    size_t columns = layout->indent, shown = 0;
    for (size_t c = 0; c < layout->table->column_count; c++) {
        if (!layout->is_shown[c])
            continue;
        bool is_short = may_shorten(layout, c) && layout->widths[c] > minimum;
        columns += (is_short ? minimum : layout->widths[c]) + (shown++ ? GAP_COLUMNS : 0);
    }
    return columns;
}

/* Leaves out columns from the right, but not the first, until a line can have room. */
static void leave_out(struct layout *layout, unsigned flags, size_t minimum)
{
    for (size_t c = layout->table->column_count;
         c-- > 1 && line_columns(layout, minimum) > layout->style.width;)
        if ((layout->table->columns[c].flags & flags) == flags)
            layout->is_shown[c] = false;
}

/* Takes a column from the widest text, the last of them, until the line fits. */
static void shorten(struct layout *layout, size_t minimum)
{
    while (line_columns(layout, SIZE_MAX) > layout->style.width) {
        size_t widest = minimum, at = FL_TABLE_COLUMNS;
        for (size_t c = 0; c < layout->table->column_count; c++)
            if (may_shorten(layout, c) && layout->widths[c] > minimum && layout->widths[c] >= widest) {
                widest = layout->widths[c];
                at = c;
            }
        if (at == FL_TABLE_COLUMNS)
            return;
        layout->widths[at]--;
    }
}

static void fit(struct layout *layout)
{
    bool is_too_long = line_columns(layout, SIZE_MAX) > layout->style.width;
    for (size_t c = 0; c < layout->table->column_count; c++)
        if (is_too_long && (layout->table->columns[c].flags & FL_COLUMN_BELOW)) {
            layout->below = c;
            layout->is_shown[c] = false;
        }
    leave_out(layout, FL_COLUMN_EXTRA, ROOMY_COLUMNS);
    shorten(layout, SHORT_COLUMNS);
    shorten(layout, SHORTEST_COLUMNS);
    leave_out(layout, 0, SHORTEST_COLUMNS);
}

/* ---- printing ---- */

static void pad(FILE *out, size_t columns)
{
    for (size_t i = 0; i < columns; i++)
        putc(' ', out);
}

/* Returns the columns it takes. */
static size_t print_cell(FILE *out, const struct layout *layout, size_t c, const struct fl_cell *cell,
                         struct fl_slice text)
{
    bool is_cut = layout->style.width && may_shorten(layout, c);
    bool has_color = layout->style.has_color && cell->color != FL_COLOR_NONE;
    fputs(fl_print_color(cell->color, has_color), out);
    size_t used = is_cut ? fl_print_text_cut(out, text, layout->widths[c]) : fl_print_text(out, text);
    fputs(fl_print_color(FL_COLOR_NONE, has_color), out);
    return used;
}

/* Spaces are only put when something follows them. */
static void print_line(FILE *out, const struct layout *layout, const struct fl_cell *cells)
{
    size_t owed = layout->indent;
    for (size_t c = 0; c < layout->table->column_count; c++) {
        if (!layout->is_shown[c])
            continue;
        char memory[FL_TIME_BYTES];
        struct fl_slice text = cell_text(&cells[c], memory);
        bool is_right = layout->table->columns[c].flags & FL_COLUMN_RIGHT;
        size_t width = layout->widths[c], used = is_right ? fl_print_text(NULL, text) : 0;
        pad(out, owed + (is_right && used < width ? width - used : 0));
        used = print_cell(out, layout, c, &cells[c], text);
        owed = GAP_COLUMNS + (!is_right && used < width ? width - used : 0);
    }
}

/* A text over whole lines, indented, and broken at spaces where there are any. */
static void print_below(FILE *out, const struct layout *layout, const struct fl_cell *cell)
{
    char memory[FL_TIME_BYTES];
    struct fl_slice text = cell_text(cell, memory);
    size_t indent = layout->indent + BELOW_INDENT, width = layout->style.width;
    size_t room = width > indent + BELOW_COLUMNS ? width - indent : BELOW_COLUMNS;
    while (text.len) {
        size_t bytes = fl_print_text_fit(text, room), end = bytes;
        while (bytes < text.len && end > 0 && text.ptr[end] != ' ')
            end--;
        end = end ? end : bytes;
        pad(out, indent);
        fl_print_text(out, (struct fl_slice){text.ptr, end});
        putc('\n', out);
        text = (struct fl_slice){text.ptr + end, text.len - end};
        while (text.len && *text.ptr == ' ')
            text = (struct fl_slice){text.ptr + 1, text.len - 1};
    }
}

void fl_print_table(FILE *out, const struct fl_table *table, int indent, struct fl_print_style style)
{
    struct layout layout = {
        .table = table, .style = style, .indent = (size_t)indent, .below = FL_TABLE_COLUMNS};
    struct fl_cell cells[FL_TABLE_COLUMNS];
    FL_ASSERT(table->column_count <= FL_TABLE_COLUMNS);
    measure(&layout);
    if (style.width)
        fit(&layout);
    for (size_t c = 0; c < table->column_count; c++)
        cells[c] = (struct fl_cell){.type = FL_CELL_TEXT, .text = fl_slice_from(table->columns[c].title)};
    fputs(fl_print_color(FL_COLOR_BOLD, style.has_color), out);
    print_line(out, &layout, cells);
    fputs(fl_print_color(FL_COLOR_NONE, style.has_color), out);
    putc('\n', out);
    for (size_t row = 0; row < table->row_count; row++) {
        table->get(table->rows, row, cells);
        print_line(out, &layout, cells);
        putc('\n', out);
        if (layout.below < FL_TABLE_COLUMNS && !is_null(&cells[layout.below]))
            print_below(out, &layout, &cells[layout.below]);
    }
}

void fl_print_record(FILE *out, const struct fl_table *table, size_t row, int indent,
                     struct fl_print_style style)
{
    struct layout layout = {.table = table, .style = {.has_color = style.has_color}};
    struct fl_cell cells[FL_TABLE_COLUMNS];
    size_t widest = 0;
    FL_ASSERT(table->column_count <= FL_TABLE_COLUMNS);
    table->get(table->rows, row, cells);
    for (size_t c = 0; c < table->column_count; c++)
        if (table->columns[c].title && strlen(table->columns[c].title) > widest)
            widest = strlen(table->columns[c].title);
    for (size_t c = 0; c < table->column_count; c++) {
        const char *title = table->columns[c].title;
        if (!title || is_null(&cells[c]))
            continue;
        char memory[FL_TIME_BYTES];
        pad(out, (size_t)indent);
        fputs(title, out);
        pad(out, widest - strlen(title) + GAP_COLUMNS);
        print_cell(out, &layout, c, &cells[c], cell_text(&cells[c], memory));
        putc('\n', out);
    }
}
