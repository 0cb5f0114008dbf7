/* history_table.h - the events of an episode as rows, for `history` and `locks show`. */
#ifndef FL_CLI_HISTORY_TABLE_H
#define FL_CLI_HISTORY_TABLE_H

#include "cli/print.h"

struct fl_pg_rows;

/* All rows of fl_pg_report_history, in order; they are borrowed. */
struct fl_table fl_history_table(const struct fl_pg_rows *rows);

#endif
