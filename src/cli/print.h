/* print.h - what reaches the user: tables and JSON from the same rows, times, safe text, exit codes.
 *
 * Data goes to stdout, everything else to stderr. Texts come from files and databases and are hostile until
 * printed here. */
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

/* Writes text so that it stays one line and cannot steer a terminal: LF, CR and tab as \n \r \t, other
 * control characters and bytes of invalid UTF-8 as \xNN, line separators and what turns the direction of
 * writing as \uNNNN. Returns the columns it takes; out NULL = measure only. */
size_t fl_print_text(FILE *out, struct fl_slice text);

/* "1:02:03.004"; a negative time (not known) is "-". Returns out. */
const char *fl_format_time(int64_t time_ms, char out[FL_TIME_BYTES]);

enum fl_cell_type {
    FL_CELL_NULL,
    FL_CELL_TEXT,
    FL_CELL_NUMBER,
    FL_CELL_TIME, /* milliseconds: H:MM:SS.mmm in tables, the number in JSON; negative = null */
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
};

struct fl_column {
    const char *title; /* in the table; NULL = only in JSON */
    const char *name;  /* in JSON; NULL = only in the table */
    bool right;        /* aligned to the right */
};

/* Rows are not stored here: get fills the cells of one row, as often as asked. */
struct fl_table {
    const struct fl_column *columns;
    size_t column_count; /* at most FL_TABLE_COLUMNS */
    size_t row_count;
    void (*get)(const void *rows, size_t row, struct fl_cell *cells);
    const void *rows;
};

enum { FL_TABLE_COLUMNS = 16, FL_TABLE_WIDTH = 60 };

/* A heading and one aligned line a row, each after `indent` spaces; a cell wider than FL_TABLE_WIDTH pushes
 * its own line only. */
void fl_print_table(FILE *out, const struct fl_table *table, int indent, bool wants_color);

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
