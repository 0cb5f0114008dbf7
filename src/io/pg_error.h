/* pg_error.h - what an error of Postgres means for us, and what a human can do about it. */
#ifndef FL_IO_PG_ERROR_H
#define FL_IO_PG_ERROR_H

#include <libpq-fe.h>

#include "fenceline/err.h"

/* Status and one line, from the SQLSTATE (NULL or "" = the server sent none: the connection is gone) and the
 * server's primary message. Fills *err with "Postgres: <message>; <what to do>" and returns its code:
 * FL_UNAVAILABLE no server, not this server, or no login; FL_TRANSIENT trying again can help; FL_USAGE schema
 * or permission; FL_FAILED everything else. */
fl_status fl_pg_error(struct fl_err *err, const char *sqlstate, const char *message);

/* The same from a result that is an error. */
fl_status fl_pg_result_error(struct fl_err *err, const PGresult *result);

/* Why a connection could not be opened, or broke: FL_UNAVAILABLE with libpq's words (hosts and ports, never a
 * password, as long as fl_pg_dsn_check passed) and what to do. conn may be NULL (no memory); `what` is our
 * own view
 * ("could not connect"). */
fl_status fl_pg_connection_error(struct fl_err *err, PGconn *conn, const char *what);

#endif
