/* print.c - tables, JSON and text for people and programs.
 *
 * Happy path: a table is walked twice, once to measure and once to print; JSON needs one walk. Failure modes:
 * a stream that fails stays failed (main asks at the end); text that is not UTF-8 is shown byte by byte. */
#include "cli/print.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "base/assert.h"
#include "base/slice.h"
#include "base/utf8.h"

bool fl_print_wants_color(FILE *stream, bool no_color)
{
    const char *forbidden = getenv("NO_COLOR"), *terminal = getenv("TERM");
    if (no_color || (forbidden && forbidden[0]))
        return false;
    return isatty(fileno(stream)) && terminal && strcmp(terminal, "dumb") != 0;
}

const char *fl_print_color(enum fl_color color, bool wants_color)
{
    static const char *const ESCAPES[] = {
        [FL_COLOR_NONE] = "\033[0m",   [FL_COLOR_BOLD] = "\033[1m",    [FL_COLOR_RED] = "\033[31m",
        [FL_COLOR_GREEN] = "\033[32m", [FL_COLOR_YELLOW] = "\033[33m",
    };
    return wants_color ? ESCAPES[color] : "";
}

/* Marks and overrides of writing direction: they can make a line read other than it is. */
static bool turns_direction(uint32_t character)
{
    return character == 0x61c || character == 0x200e || character == 0x200f ||
           (character >= 0x202a && character <= 0x202e) || (character >= 0x2066 && character <= 0x2069);
}

/* The escape of a character that must not be printed as it is, or "" in out. */
static void escape(uint32_t character, char out[8])
{
    const char *short_form = character == '\n'   ? "\\n"
                             : character == '\r' ? "\\r"
                             : character == '\t' ? "\\t"
                                                 : "";
    if (short_form[0] || !(fl_utf8_is_control(character) || turns_direction(character)))
        snprintf(out, 8, "%s", short_form);
    else
        snprintf(out, 8, character < 0x100 ? "\\x%02X" : "\\u%04X", (unsigned)character & 0xffff);
}

static size_t put(FILE *out, const char *text)
{
    if (out)
        fputs(text, out);
    return strlen(text);
}

static void put_run(FILE *out, const char *begin, const char *end)
{
    if (out && end > begin)
        fwrite(begin, 1, (size_t)(end - begin), out);
}

static size_t put_valid(FILE *out, struct fl_slice text)
{
    size_t columns = 0;
    const char *run = text.ptr;
    while (text.len) {
        const char *at = text.ptr;
        if (*at >= 0x20 && *at < 0x7f) {
            text = (struct fl_slice){at + 1, text.len - 1};
            columns++;
            continue;
        }
        char escaped[8];
        uint32_t character = fl_utf8_next(&text);
        escape(character, escaped);
        if (escaped[0]) {
            put_run(out, run, at);
            columns += put(out, escaped);
            run = text.ptr;
            continue;
        }
        int width = wcwidth((wchar_t)character);
        columns += width < 0 ? 1 : (size_t)width; /* unknown to this locale */
    }
    put_run(out, run, text.ptr);
    return columns;
}

size_t fl_print_text(FILE *out, struct fl_slice text)
{
    size_t columns = 0;
    while (text.len) {
        size_t valid_bytes = fl_utf8_valid_prefix(text);
        columns += put_valid(out, (struct fl_slice){text.ptr, valid_bytes});
        text = (struct fl_slice){text.ptr + valid_bytes, text.len - valid_bytes};
        size_t bad_bytes = text.len ? fl_utf8_bad_length(text) : 0;
        for (size_t i = 0; i < bad_bytes; i++) {
            char escaped[8];
            snprintf(escaped, sizeof escaped, "\\x%02X", (unsigned)(unsigned char)text.ptr[i]);
            columns += put(out, escaped);
        }
        text = (struct fl_slice){text.ptr + bad_bytes, text.len - bad_bytes};
    }
    return columns;
}

const char *fl_format_time(int64_t time_ms, char out[FL_TIME_BYTES])
{
    if (time_ms < 0)
        snprintf(out, FL_TIME_BYTES, "-");
    else
        snprintf(out, FL_TIME_BYTES, "%" PRId64 ":%02d:%02d.%03d", time_ms / 3600000,
                 (int)(time_ms / 60000 % 60), (int)(time_ms / 1000 % 60), (int)(time_ms % 1000));
    return out;
}

static size_t print_cell(FILE *out, const struct fl_cell *cell)
{
    char text[FL_TIME_BYTES];
    switch (cell->type) {
    case FL_CELL_NULL: return put(out, "-");
    case FL_CELL_TEXT:
    case FL_CELL_JSON: return cell->text.ptr ? fl_print_text(out, cell->text) : put(out, "-");
    case FL_CELL_TIME: return put(out, fl_format_time(cell->number, text));
    case FL_CELL_BOOL: return put(out, cell->boolean ? "yes" : "no");
    case FL_CELL_NUMBER: snprintf(text, sizeof text, "%" PRId64, cell->number); return put(out, text);
    }
    return 0;
}

static void pad(FILE *out, size_t columns)
{
    for (size_t i = 0; i < columns; i++)
        putc(' ', out);
}

/* Where a line stands while it is printed: spaces are only put when something follows them. */
struct line {
    FILE *out;
    size_t owed_columns;
};

static void print_padded(struct line *line, const struct fl_cell *cell, size_t width, bool right)
{
    size_t used = print_cell(NULL, cell);
    size_t missing = used < width ? width - used : 0;
    pad(line->out, line->owed_columns + (right ? missing : 0));
    print_cell(line->out, cell);
    line->owed_columns = 2 + (right ? 0 : missing);
}

static void measure(const struct fl_table *table, size_t widths[FL_TABLE_COLUMNS])
{
    struct fl_cell cells[FL_TABLE_COLUMNS];
    for (size_t c = 0; c < table->column_count; c++)
        widths[c] = table->columns[c].title ? strlen(table->columns[c].title) : 0;
    for (size_t row = 0; row < table->row_count; row++) {
        table->get(table->rows, row, cells);
        for (size_t c = 0; c < table->column_count; c++) {
            bool needs_width = c + 1 < table->column_count || table->columns[c].right;
            size_t width = needs_width && table->columns[c].title ? print_cell(NULL, &cells[c]) : 0;
            if (width > widths[c] && width <= FL_TABLE_WIDTH)
                widths[c] = width;
        }
    }
}

static void print_line(FILE *out, const struct fl_table *table, const struct fl_cell *cells,
                       const size_t *widths, int indent)
{
    struct line line = {.out = out, .owed_columns = (size_t)indent};
    for (size_t c = 0; c < table->column_count; c++)
        if (table->columns[c].title)
            print_padded(&line, &cells[c], widths[c], table->columns[c].right);
}

void fl_print_table(FILE *out, const struct fl_table *table, int indent, bool wants_color)
{
    size_t widths[FL_TABLE_COLUMNS];
    struct fl_cell cells[FL_TABLE_COLUMNS];
    FL_ASSERT(table->column_count <= FL_TABLE_COLUMNS);
    measure(table, widths);
    for (size_t c = 0; c < table->column_count; c++)
        cells[c] = (struct fl_cell){.type = FL_CELL_TEXT, .text = fl_slice_from(table->columns[c].title)};
    fputs(fl_print_color(FL_COLOR_BOLD, wants_color), out);
    print_line(out, table, cells, widths, indent);
    fputs(fl_print_color(FL_COLOR_NONE, wants_color), out);
    putc('\n', out);
    for (size_t row = 0; row < table->row_count; row++) {
        table->get(table->rows, row, cells);
        print_line(out, table, cells, widths, indent);
        putc('\n', out);
    }
}

static void write_cell(struct fl_json_writer *writer, const struct fl_cell *cell)
{
    switch (cell->type) {
    case FL_CELL_NULL: fl_json_write_null(writer); break;
    case FL_CELL_TEXT: fl_json_write_string(writer, cell->text); break;
    case FL_CELL_JSON: fl_json_write_raw(writer, cell->text); break;
    case FL_CELL_BOOL: fl_json_write_bool(writer, cell->boolean); break;
    case FL_CELL_NUMBER: fl_json_write_int64(writer, cell->number); break;
    case FL_CELL_TIME:
        if (cell->number < 0)
            fl_json_write_null(writer);
        else
            fl_json_write_int64(writer, cell->number);
        break;
    }
}

void fl_print_json_members(struct fl_json_writer *writer, const struct fl_table *table, size_t row)
{
    struct fl_cell cells[FL_TABLE_COLUMNS];
    FL_ASSERT(table->column_count <= FL_TABLE_COLUMNS);
    table->get(table->rows, row, cells);
    for (size_t c = 0; c < table->column_count; c++) {
        if (!table->columns[c].name)
            continue;
        fl_json_write_name(writer, table->columns[c].name);
        write_cell(writer, &cells[c]);
    }
}

void fl_print_json_rows(struct fl_json_writer *writer, const struct fl_table *table)
{
    fl_json_write_begin_array(writer);
    for (size_t row = 0; row < table->row_count; row++) {
        fl_json_write_begin_object(writer);
        fl_print_json_members(writer, table, row);
        fl_json_write_end_object(writer);
    }
    fl_json_write_end_array(writer);
}

void fl_print_json_lines(FILE *out, const struct fl_table *table)
{
    struct fl_json_writer json;
    fl_json_write_init(&json, out);
    for (size_t row = 0; row < table->row_count; row++) {
        fl_json_write_begin_object(&json);
        fl_print_json_members(&json, table, row);
        fl_json_write_end_object(&json);
        fl_json_write_end_line(&json);
    }
}

void fl_print_error(const struct fl_err *err)
{
    fputs("fenceline: ", stderr);
    fl_print_text(stderr, fl_slice_from(err->text));
    fputc('\n', stderr);
}

int fl_exit_worse(int a, int b)
{
    static const int WORST_FIRST[] = {130, 2, 6, 1, 4, 3, 5};
    for (size_t i = 0; i < sizeof WORST_FIRST / sizeof *WORST_FIRST; i++)
        if (a == WORST_FIRST[i] || b == WORST_FIRST[i])
            return WORST_FIRST[i];
    return a ? a : b;
}
