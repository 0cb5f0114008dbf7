/* pg_sync.h - a small blocking connection to Postgres, for the commands that ask and print.
 *
 * Everything waits, but never longer than the timeout. Parameters and results are text. */
#ifndef FL_IO_PG_SYNC_H
#define FL_IO_PG_SYNC_H

#include "fenceline/err.h"
#include "fenceline/types.h"

struct fl_pg_sync;
struct fl_pg_rows;

/* Connects; dsn "" = libpq's own PG* variables. The connection is named "fenceline", in UTF-8. FL_USAGE: the
 * connection string is wrong, or the server is older than Postgres 14; FL_UNAVAILABLE: not reachable, or no
 * login. On FL_OK the caller closes *pg. */
FL_CHECKED fl_status fl_pg_sync_open(struct fl_pg_sync **pg, const char *dsn, int64_t timeout_ms,
                                     struct fl_err *err);
/* NULL is allowed. What was not committed is rolled back by the server. */
void fl_pg_sync_close(struct fl_pg_sync *pg);

/* How long a statement may take from now on, in ms; 0 = as long as it takes. */
void fl_pg_sync_set_timeout(struct fl_pg_sync *pg, int64_t timeout_ms);

/* The server process as the connection was told of it; a pooler tells its own number. 0 = closed. */
int64_t fl_pg_sync_backend_pid(const struct fl_pg_sync *pg);

/* Runs one statement with text parameters $1... (NULL = null). *rows (may be NULL: not wanted) is the
 * caller's to free. Errors as fl_pg_error says; FL_UNAVAILABLE when no answer came in time: the connection is
 * closed then. */
FL_CHECKED fl_status fl_pg_sync_query(struct fl_pg_sync *pg, const char *sql, const char *const *params,
                                      size_t param_count, struct fl_pg_rows **rows, struct fl_err *err);

/* Runs a script of several statements without parameters; its rows are dropped. */
FL_CHECKED fl_status fl_pg_sync_script(struct fl_pg_sync *pg, const char *sql, struct fl_err *err);

/* Ends the transaction and checks that the server says COMMIT, not ROLLBACK. */
FL_CHECKED fl_status fl_pg_sync_commit(struct fl_pg_sync *pg, struct fl_err *err);

/* Leaves a transaction without effect; never fails (a dead connection has none left). */
void fl_pg_sync_rollback(struct fl_pg_sync *pg);

void fl_pg_rows_free(struct fl_pg_rows *rows); /* NULL is allowed */
size_t fl_pg_rows_count(const struct fl_pg_rows *rows);
/* A value, absent if null; borrowed from rows. */
struct fl_slice fl_pg_rows_text(const struct fl_pg_rows *rows, size_t row, int column);
bool fl_pg_rows_is_null(const struct fl_pg_rows *rows, size_t row, int column);
/* A whole number (null = 0), and a boolean (null = false). */
int64_t fl_pg_rows_int64(const struct fl_pg_rows *rows, size_t row, int column);
bool fl_pg_rows_bool(const struct fl_pg_rows *rows, size_t row, int column);

#endif
