/* print.h - what reaches the user: tables and JSON from the same rows, times, safe text, exit codes.
 *
 * Data goes to stdout, everything else to stderr. Texts come from files and databases and are hostile until
 * printed here. Tables are in print_table.c, the rest in print.c. */
#ifndef FL_CLI_PRINT_H
#define FL_CLI_PRINT_H

#include <stdio.h>

#include "base/json_write.h"
#include "fenceline/err.h"
#include "fenceline/types.h"

enum { FL_TIME_BYTES = 32 };

enum fl_color { FL_COLOR_NONE, FL_COLOR_BOLD, FL_COLOR_RED, FL_COLOR_GREEN, FL_COLOR_YELLOW };

/* May this stream have colours: it is a terminal that knows them, and neither NO_COLOR nor --no-color forbids
 * it. */
bool fl_print_wants_color(FILE *stream, bool no_color);

/* The escape that begins a colour (FL_COLOR_NONE ends it), or "" where wants_color is false. Static. */
const char *fl_print_color(enum fl_color color, bool wants_color);

/* How a table is printed. */
struct fl_print_style {
    bool has_color;
    size_t width; /* columns that a line has; 0 = as many as it needs */
};

/* On a terminal its width, and colours as above; elsewhere neither. Asks the terminal each time: it may have
 * been resized. */
struct fl_print_style fl_print_style_of(FILE *stream, bool no_color);

/* Writes text so that it stays one line and cannot steer a terminal: LF, CR and tab as \n \r \t, other
 * control characters and bytes of invalid UTF-8 as \xNN, line separators, what turns the direction of
 * writing, and marks piled up on one character as \uNNNN. Returns the columns it takes; out NULL = measure
 * only. */
size_t fl_print_text(FILE *out, struct fl_slice text);

/* The same within so many columns (at least 1): of a longer text as much as fits, then "…". */
size_t fl_print_text_cut(FILE *out, struct fl_slice text, size_t columns);

/* Bytes of the longest beginning that takes no more columns, but at least of one character or escape. */
size_t fl_print_text_fit(struct fl_slice text, size_t columns);

/* "1:02:03.004"; a negative time (not known) is "-". Returns out. */
const char *fl_format_time(int64_t time_ms, char out[FL_TIME_BYTES]);

/* How long: "40ms", "0.4s", "12s", "3m12s", "2h05m", "3d04h", never rounded up; negative (not known) is "-".
 * Returns out. */
const char *fl_format_duration(int64_t duration_ms, char out[FL_TIME_BYTES]);

enum fl_cell_type {
    FL_CELL_NULL,
    FL_CELL_TEXT,
    FL_CELL_NUMBER,
    FL_CELL_TIME, /* a place in an episode, ms: H:MM:SS.mmm in tables, the number in JSON; negative = null */
    FL_CELL_DURATION, /* ms: as fl_format_duration in tables, the number in JSON; negative = null */
    FL_CELL_STAMP,    /* ISO 8601 in UTC, as text: to the second in tables, as it is in JSON */
    FL_CELL_BOOL,
    FL_CELL_JSON /* JSON text: as it is */
};

struct fl_cell {
    enum fl_cell_type type;
    union {
        struct fl_slice text; /* absent = null */
        int64_t number;
        bool boolean;
    };
    enum fl_color color; /* in tables */
};

enum {
    FL_COLUMN_RIGHT = 1, /* aligned to the right, and never shortened */
    FL_COLUMN_WHOLE = 2, /* never shortened */
    FL_COLUMN_EXTRA = 4, /* left out where a line has no room for all, the last one first */
    FL_COLUMN_BELOW = 8  /* of one column, the last: where it would be cut, it is told whole below its line */
};

struct fl_column {
    const char *title; /* in the table; NULL = only in JSON */
    const char *name;  /* in JSON; NULL = only in the table */
    unsigned flags;
};

/* Rows are not stored here: get fills the cells of one row, as often as asked. */
struct fl_table {
    const struct fl_column *columns;
    size_t column_count; /* at most FL_TABLE_COLUMNS */
    size_t row_count;
    void (*get)(const void *rows, size_t row, struct fl_cell *cells);
    const void *rows;
};

enum { FL_TABLE_COLUMNS = 24, FL_TABLE_WIDTH = 60 };

/* A heading and one aligned line a row, each after `indent` spaces. In a style with a width no line is longer
 * (unless its first column alone is): a column marked BELOW leaves the line, columns marked EXTRA are left
 * out while the others have not even 16 columns each, then texts are cut with "…", the widest column first;
 * on a very narrow terminal the last columns are left out. Without a width nothing is cut, and a cell wider
 * than FL_TABLE_WIDTH pushes its own line only. */
void fl_print_table(FILE *out, const struct fl_table *table, int indent, struct fl_print_style style);

/* One row as a record: a line for each column that has a title and whose value is not null, "title  value".
 * Nothing is cut: what is longer than a line wraps. */
void fl_print_record(FILE *out, const struct fl_table *table, size_t row, int indent,
                     struct fl_print_style style);

/* The same rows: members of one object, which the caller has opened and will close, or an array of objects.
 */
void fl_print_json_members(struct fl_json_writer *writer, const struct fl_table *table, size_t row);
void fl_print_json_rows(struct fl_json_writer *writer, const struct fl_table *table);

/* The same rows as JSON lines: one object each. */
void fl_print_json_lines(FILE *out, const struct fl_table *table);

/* "fenceline: text" on stderr. */
void fl_print_error(const struct fl_err *err);

/* Exit code of several inputs: of 6, 1, 4, 3, 5 the first that occurred; a usage error (2) and an
 * interruption (130) come before all of them. 0 only if both are. */
int fl_exit_worse(int a, int b);

#endif
