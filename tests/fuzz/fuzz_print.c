/* fuzz_print.c - whatever is printed, nothing of it steers a terminal: cli/print.h on hostile bytes.
 *
 * Also what it promises about widths: measured and printed are the same, what is cut is no wider than was
 * asked for, what fits is what was counted. */
#include <inttypes.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "base/human.h"
#include "base/json.h"
#include "cli/print.h"
#include "fuzz.h"

enum { COLUMNS = 3, ROWS_MAX = 16, CELL_COLUMNS_MAX = 10 /* of one escape or character: \U10FFFF */ };

struct sink {
    FILE *out;
    char *text;
    size_t bytes;
};

static void open_sink(struct sink *sink)
{
    *sink = (struct sink){0};
    sink->out = open_memstream(&sink->text, &sink->bytes);
    FUZZ_CHECK(sink->out, "no memory");
}

/* All of it printable; LF is, where lines are what was asked for. */
static void close_sink(struct sink *sink, bool has_lines, const char *what)
{
    fclose(sink->out);
    struct fl_slice rest = {sink->text, sink->bytes};
    FUZZ_CHECK(has_lines || !memchr(sink->text, '\n', sink->bytes), "%s: a line end", what);
    while (rest.len)
        FUZZ_CHECK(fuzz_is_printable(fuzz_take(&rest, '\n')), "%s: what is printed is raw", what);
}

static void check_text(struct fl_slice text, size_t columns)
{
    struct sink sink;
    open_sink(&sink);
    size_t width = fl_print_text(sink.out, text);
    close_sink(&sink, false, "text");
    FUZZ_CHECK(width == fl_print_text(NULL, text), "%zu columns, measured otherwise", width);
    size_t printed_bytes = sink.bytes;
    FUZZ_CHECK(printed_bytes >= width / 2, "%zu columns in %zu bytes", width, printed_bytes);
    free(sink.text);

    open_sink(&sink);
    size_t cut = fl_print_text_cut(sink.out, text, columns);
    close_sink(&sink, false, "cut text");
    FUZZ_CHECK(cut <= columns && cut == fl_print_text_cut(NULL, text, columns), "%zu of %zu columns", cut,
               columns);
    FUZZ_CHECK(width > columns || (cut == width && sink.bytes == printed_bytes),
               "%zu columns were cut to %zu", width, cut);
    free(sink.text);

    size_t fit = fl_print_text_fit(text, columns);
    FUZZ_CHECK(fit <= text.len && (fit > 0 || text.len == 0), "%zu of %zu bytes", fit, text.len);
    width = fl_print_text(NULL, (struct fl_slice){text.ptr, fit});
    FUZZ_CHECK(width <= columns || width <= CELL_COLUMNS_MAX, "%zu bytes take %zu of %zu columns", fit, width,
               columns);
}

static void check_err(struct fl_slice text)
{
    struct fl_err err;
    if (text.len && memchr(text.ptr, '\0', text.len))
        return;
    (void)fl_err_set(&err, FL_FAILED, "about %.*s", FL_ARGS(text));
    fuzz_check_err(FL_FAILED, &err);
    fl_err_prefix(&err, "%.*s", FL_ARGS(text));
    fl_err_prefix(&err, "file");
    fuzz_check_err(FL_FAILED, &err);
}

struct rows {
    struct fl_slice cells[ROWS_MAX][COLUMNS];
    size_t count;
};

static void get_row(const void *pointer, size_t row, struct fl_cell *cells)
{
    const struct rows *rows = pointer;
    for (size_t c = 0; c < COLUMNS; c++)
        cells[c] = (struct fl_cell){.type = FL_CELL_TEXT, .text = rows->cells[row][c]};
    cells[1].type = FL_CELL_STAMP;
}

static void check_json_lines(const struct fl_table *table)
{
    struct sink sink;
    open_sink(&sink);
    fl_print_json_lines(sink.out, table);
    close_sink(&sink, true, "JSON lines");
    struct fl_slice rest = {sink.text, sink.bytes};
    size_t lines = 0;
    bool has_nul = memmem(sink.text, sink.bytes, "\\u0000", 6); /* JSON, but our own reader takes none */
    for (; rest.len; lines++) {
        struct fl_json_text json;
        struct fl_err err;
        struct fl_slice line = fuzz_take(&rest, '\n');
        fl_status status = fl_json_parse(&json, line, &err);
        FUZZ_CHECK(status == FL_OK || has_nul, "%s: %.*s", err.text, FL_ARGS(line));
        if (status == FL_OK)
            fl_json_release(&json);
    }
    FUZZ_CHECK(lines == table->row_count, "%zu lines for %zu rows", lines, table->row_count);
    free(sink.text);
}

/* Cells are ended by 0x1f. */
static void check_table(struct fl_slice text, size_t width, unsigned flags)
{
    const struct fl_column columns[COLUMNS] = {{"one", "one", flags & 15},
                                               {"two", "two", FL_COLUMN_EXTRA},
                                               {"three", "three", flags >> 4 & FL_COLUMN_WHOLE}};
    struct rows rows = {.count = 0};
    for (; text.len && rows.count < ROWS_MAX; rows.count++)
        for (size_t c = 0; c < COLUMNS; c++)
            rows.cells[rows.count][c] = fuzz_take(&text, '\x1f');
    const struct fl_table table = {columns, COLUMNS, rows.count, get_row, &rows};
    const struct fl_print_style style = {.width = width};
    struct sink sink;
    open_sink(&sink);
    fl_print_table(sink.out, &table, 2, style);
    for (size_t row = 0; row < rows.count; row++)
        fl_print_record(sink.out, &table, row, 2, style);
    close_sink(&sink, true, "table");
    free(sink.text);
    check_json_lines(&table);
}

static void check_amounts(struct fl_slice text)
{
    char out[FL_HUMAN_BYTES], time[FL_TIME_BYTES];
    int64_t number = 0;
    memcpy(&number, text.ptr ? text.ptr : "", text.len < sizeof number ? text.len : sizeof number);
    FUZZ_CHECK(strlen(fl_human_span(number, out)) < sizeof out, "%s", out);
    FUZZ_CHECK(number < 0 || strlen(fl_human_size(number, out)) < sizeof out, "%s", out);
    FUZZ_CHECK(strlen(fl_format_time(number, time)) < sizeof time, "%s", time);
    FUZZ_CHECK(strlen(fl_format_duration(number, time)) < sizeof time, "%s", time);
}

/* The first byte chooses the width, the second the sort of the columns. */
void fuzz_print(struct fl_slice input)
{
    size_t columns = fuzz_take_byte(&input) % 100 + 1;
    unsigned flags = fuzz_take_byte(&input);
    setlocale(LC_CTYPE, "C.UTF-8"); /* as main() has it where widths are known */
    char *exact = fuzz_exact(input);
    struct fl_slice text = {exact, input.len};
    check_text(text, columns);
    check_err(text);
    check_table(text, columns < 4 ? 0 : columns, flags);
    check_amounts(text);
    free(exact);
}
