/*
 * SQL in tests, over libpq.
 *
 * Happy path: open, run statements with parameters, close; results never leave this file.
 * Failure modes: a refused connection, an SQL error or a result of an unexpected shape fails the running
 * test. db_sqlstate alone takes an SQL error as its answer.
 */
#include "db.h"
#include "files.h"

#include <errno.h>
#include <string.h>

static void drop_notice(void *unused, const PGresult *result)
{
    (void)unused;
    (void)result;
}

PGconn *db_open(const char *dsn)
{
    PGconn *conn = PQconnectdb(dsn);
    if (conn == NULL)
        LIB_FAIL("out of memory for a database connection");
    if (PQstatus(conn) != CONNECTION_OK)
        LIB_FAIL("cannot connect to %s: %s", dsn, PQerrorMessage(conn));
    PQsetNoticeReceiver(conn, drop_notice, NULL);
    return conn;
}

void db_close(PGconn *conn)
{
    PQfinish(conn);
}

static PGresult *run_list(PGconn *conn, size_t count, const char *const *list)
{
    /* The extended protocol takes one statement only; scripts need the simple one. */
    if (count == 1)
        return PQexec(conn, list[0]);
    return PQexecParams(conn, list[0], (int)(count - 1), NULL, list + 1, NULL, NULL, 0);
}

static bool succeeded(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

static PGresult *run_or_fail(PGconn *conn, size_t count, const char *const *list)
{
    PGresult *result = run_list(conn, count, list);
    if (succeeded(result))
        return result;
    PQclear(result);
    LIB_FAIL("%s\nin: %s", PQerrorMessage(conn), list[0]);
}

int64_t db_exec_list(PGconn *conn, size_t count, const char *const *list)
{
    PGresult *result = run_or_fail(conn, count, list);
    int64_t touched = strtoll(PQcmdTuples(result), NULL, 10);
    PQclear(result);
    return touched;
}

char *db_text_list(PGconn *conn, size_t count, const char *const *list)
{
    PGresult *result = run_or_fail(conn, count, list);
    int rows = PQntuples(result);
    int columns = PQnfields(result);
    if (rows > 1 || columns != 1) {
        PQclear(result);
        LIB_FAIL("%d rows of %d columns where one value was expected, in: %s", rows, columns, list[0]);
    }
    char *text = NULL;
    if (rows == 1 && !PQgetisnull(result, 0, 0)) {
        text = strdup(PQgetvalue(result, 0, 0));
        if (text == NULL)
            LIB_FAIL("out of memory for a value");
    }
    PQclear(result);
    return text;
}

int64_t db_int_list(PGconn *conn, size_t count, const char *const *list)
{
    char *text = db_text_list(conn, count, list);
    if (text == NULL)
        LIB_FAIL("null or no row where a number was expected, in: %s", list[0]);
    char *end = text;
    errno = 0;
    int64_t number = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0') {
        LIB_FAIL("'%s' where a whole number was expected, in: %s", text, list[0]);
    }
    free(text);
    return number;
}

char *db_sqlstate_list(PGconn *conn, size_t count, const char *const *list)
{
    PGresult *result = run_list(conn, count, list);
    char *state = NULL;
    if (!succeeded(result)) {
        const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        state = strdup(code == NULL ? "" : code);
        if (state == NULL)
            LIB_FAIL("out of memory for an SQLSTATE");
    }
    PQclear(result);
    return state;
}
