/* print.c - JSON and text for people and programs.
 *
 * Happy path: text is printed unit by unit, a unit being a character or its escape. Failure modes: a stream
 * that fails stays failed (main asks at the end); text that is not UTF-8 is shown byte by byte. */
#include "cli/print.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "base/assert.h"
#include "base/human.h"
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

struct fl_print_style fl_print_style_of(FILE *stream, bool no_color)
{
    struct winsize size;
    struct fl_print_style style = {.has_color = fl_print_wants_color(stream, no_color)};
    if (isatty(fileno(stream)) && ioctl(fileno(stream), TIOCGWINSZ, &size) == 0)
        style.width = size.ws_col; /* 0 = it does not know itself */
    return style;
}

/* ---- text ---- */

/* More marks than any script puts on one character would cover the lines above and below. */
enum { MARKS_LIMIT = 8 };

/* What is printed as a whole or not at all. */
struct unit {
    const char *bytes;
    size_t size_bytes, columns;
    char escape[12];
};

/* Columns of a character that this libc does not know: most that Unicode adds are emoji and ideographs. */
static size_t unknown_columns(uint32_t character)
{
    return (character >= 0x1f000 && character < 0x20000) || (character >= 0x20000 && character < 0x3fffe) ? 2
                                                                                                          : 1;
}

static void take_character(struct fl_slice *text, unsigned *marks, struct unit *unit)
{
    const char *begin = text->ptr;
    uint32_t character = fl_utf8_next(text);
    int width = wcwidth((wchar_t)character);
    bool is_mark = width == 0;
    *marks = is_mark ? *marks + 1 : 0;
    *unit = (struct unit){.bytes = begin,
                          .size_bytes = (size_t)(text->ptr - begin),
                          .columns = width < 0 ? unknown_columns(character) : (size_t)width};
    const char *short_form = character == '\n'   ? "\\n"
                             : character == '\r' ? "\\r"
                             : character == '\t' ? "\\t"
                                                 : NULL;
    if (short_form)
        snprintf(unit->escape, sizeof unit->escape, "%s", short_form);
    else if (fl_utf8_is_control(character) || fl_utf8_turns_direction(character) ||
             (is_mark && *marks > MARKS_LIMIT))
        snprintf(unit->escape, sizeof unit->escape,
                 character < 0x100     ? "\\x%02X"
                 : character < 0x10000 ? "\\u%04X"
                                       : "\\U%06X",
                 (unsigned)character);
}

/* The next unit of a text that is not empty; marks counts from 0. */
static void take_unit(struct fl_slice *text, unsigned *marks, struct unit *unit)
{
    enum { CHARACTER_BYTES = 4 };
    struct fl_slice head = {text->ptr, text->len < CHARACTER_BYTES ? text->len : CHARACTER_BYTES};
    if (*text->ptr >= 0x20 && *text->ptr < 0x7f) {
        *unit = (struct unit){.bytes = text->ptr, .size_bytes = 1, .columns = 1};
        *marks = 0;
        *text = (struct fl_slice){text->ptr + 1, text->len - 1};
    } else if (fl_utf8_valid_prefix(head) > 0) {
        take_character(text, marks, unit);
    } else {
        *unit = (struct unit){.size_bytes = 1};
        snprintf(unit->escape, sizeof unit->escape, "\\x%02X", (unsigned)(unsigned char)*text->ptr);
        *text = (struct fl_slice){text->ptr + 1, text->len - 1};
    }
    if (!unit->escape[0])
        return;
    unit->bytes = unit->escape;
    unit->size_bytes = unit->columns = strlen(unit->escape);
}

/* As many units as fit; *rest is what was left. */
static size_t put_units(FILE *out, struct fl_slice text, size_t columns, struct fl_slice *rest)
{
    size_t used = 0;
    unsigned marks = 0;
    for (*rest = text; text.len; *rest = text) {
        struct unit unit;
        take_unit(&text, &marks, &unit);
        if (unit.columns > columns - used)
            break;
        used += unit.columns;
        if (out)
            fwrite(unit.bytes, 1, unit.size_bytes, out);
    }
    return used;
}

size_t fl_print_text(FILE *out, struct fl_slice text)
{
    struct fl_slice rest;
    return put_units(out, text, SIZE_MAX, &rest);
}

size_t fl_print_text_cut(FILE *out, struct fl_slice text, size_t columns)
{
    struct fl_slice rest;
    size_t used = put_units(NULL, text, columns, &rest);
    if (rest.len == 0)
        return put_units(out, text, columns, &rest);
    used = put_units(out, text, columns - 1, &rest);
    if (out)
        fputs("\u2026", out);
    return used + 1;
}

size_t fl_print_text_fit(struct fl_slice text, size_t columns)
{
    struct fl_slice rest, first = text;
    struct unit unit;
    unsigned marks = 0;
    put_units(NULL, text, columns, &rest);
    if (rest.len == text.len && text.len)
        take_unit(&first, &marks, &unit);
    return text.len - (rest.len < first.len ? rest.len : first.len);
}

/* ---- times ---- */

const char *fl_format_time(int64_t time_ms, char out[FL_TIME_BYTES])
{
    if (time_ms < 0)
        snprintf(out, FL_TIME_BYTES, "-");
    else
        snprintf(out, FL_TIME_BYTES, "%" PRId64 ":%02d:%02d.%03d", time_ms / 3600000,
                 (int)(time_ms / 60000 % 60), (int)(time_ms / 1000 % 60), (int)(time_ms % 1000));
    return out;
}

const char *fl_format_duration(int64_t duration_ms, char out[FL_TIME_BYTES])
{
    _Static_assert((int)FL_TIME_BYTES >= (int)FL_HUMAN_BYTES, "room for a span");
    if (duration_ms >= 0)
        return fl_human_span(duration_ms, out);
    snprintf(out, FL_TIME_BYTES, "-");
    return out;
}

/* ---- JSON ---- */

static void write_cell(struct fl_json_writer *writer, const struct fl_cell *cell)
{
    switch (cell->type) {
    case FL_CELL_NULL: fl_json_write_null(writer); break;
    case FL_CELL_TEXT:
    case FL_CELL_STAMP: fl_json_write_string(writer, cell->text); break;
    case FL_CELL_JSON: fl_json_write_raw(writer, cell->text); break;
    case FL_CELL_BOOL: fl_json_write_bool(writer, cell->boolean); break;
    case FL_CELL_NUMBER: fl_json_write_int64(writer, cell->number); break;
    case FL_CELL_TIME:
    case FL_CELL_DURATION:
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
