/* report.h - what show and history share: the way to an answer, and its cells. */
#ifndef FL_CLI_REPORT_H
#define FL_CLI_REPORT_H

#include "app/settings.h"
#include "cli/args.h"
#include "cli/print.h"

struct fl_pg_rows;
struct fl_pg_sync;

/* Connects, checks the schema, and begins a read-only transaction. On FL_OK the
 * caller closes *pg. */
FL_CHECKED fl_status fl_report_open(const struct fl_settings *settings, struct fl_pg_sync **pg,
                                    struct fl_err *err);

/* A whole command that asks one question: opens, asks, prints what went wrong, closes. Returns the exit code.
 */
int fl_report_answer(const struct fl_args *args, const struct fl_settings *settings,
                     fl_status (*question)(const struct fl_args *args, struct fl_pg_sync *pg,
                                           struct fl_err *err));

/* Cells from a column; null stays null. */
struct fl_cell fl_report_text(const struct fl_pg_rows *rows, size_t row, int column);
struct fl_cell fl_report_json(const struct fl_pg_rows *rows, size_t row, int column);
struct fl_cell fl_report_number(const struct fl_pg_rows *rows, size_t row, int column);
struct fl_cell fl_report_time_ms(const struct fl_pg_rows *rows, size_t row, int column);
struct fl_cell fl_report_duration(const struct fl_pg_rows *rows, size_t row, int column);
struct fl_cell fl_report_stamp(const struct fl_pg_rows *rows, size_t row, int column);
/* What became of a job, in its colour: success is plain, trouble red, what was refused or taken away yellow.
 */
struct fl_cell fl_report_state(const struct fl_pg_rows *rows, size_t row, int column);
struct fl_cell fl_report_bool(const struct fl_pg_rows *rows, size_t row, int column);

#endif
