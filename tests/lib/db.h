/*
 * SQL in tests, over libpq. Values travel as text parameters ($1, $2, ...), never inside the SQL; a NULL
 * pointer is SQL's null. An SQL error, and a result of an unexpected shape, fail the running cmocka test with
 * the statement and the server's message.
 *
 *     PGconn *conn = db_open(dsn);
 *     db_exec(conn, "INSERT INTO notes (id, body) VALUES ($1, $2)", "7", NULL);
 *     assert_int_equal(db_int(conn, "SELECT count(*) FROM notes WHERE id = $1", "7"), 1);
 *     db_close(conn);
 */
#ifndef TESTS_LIB_DB_H
#define TESTS_LIB_DB_H

#include <stddef.h>
#include <stdint.h>

#include <libpq-fe.h>

/* SQL and its parameters as one list: element 0 is the statement. */
#define DB_LIST(...)                                                                                         \
    (sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)), (const char *const[])               \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }

/* A connection (libpq's URI or keywords); notices of the server are dropped. */
PGconn *db_open(const char *dsn);

/* NULL is allowed. */
void db_close(PGconn *conn);

/* Runs a statement and returns the number of rows it touched (0 where that has no meaning). Without
 * parameters it may be a script of several statements. int64_t db_exec(PGconn *conn, const char *sql,
 * params...) */
#define db_exec(conn, ...) db_exec_list((conn), DB_LIST(__VA_ARGS__))

/* One value as malloc'ed text; NULL for null and for no row at all. More than one row or column fails the
 * test. char *db_text(PGconn *conn, const char *sql, params...) */
#define db_text(conn, ...) db_text_list((conn), DB_LIST(__VA_ARGS__))

/* One value as a number; null, no row and anything but a whole number fail the test.
 * int64_t db_int(PGconn *conn, const char *sql, params...) */
#define db_int(conn, ...) db_int_list((conn), DB_LIST(__VA_ARGS__))

/* For statements that should fail: the SQLSTATE as malloc'ed text, "" when the connection was lost, NULL when
 * the statement worked. char *db_sqlstate(PGconn *conn, const char *sql, params...) */
#define db_sqlstate(conn, ...) db_sqlstate_list((conn), DB_LIST(__VA_ARGS__))

int64_t db_exec_list(PGconn *conn, size_t count, const char *const *list);
char *db_text_list(PGconn *conn, size_t count, const char *const *list);
int64_t db_int_list(PGconn *conn, size_t count, const char *const *list);
char *db_sqlstate_list(PGconn *conn, size_t count, const char *const *list);

#endif
