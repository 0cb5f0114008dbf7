/* pg_sync.c - blocking calls over libpq's non-blocking ones, so that a server that stays silent cannot hold
 * us.
 *
 * Happy path: send, then poll and read until the result is complete; the last result of a script counts.
 * Failure modes: an error of the server is mapped by pg_error; a broken connection or no answer within the
 * timeout closes it, and every later call says so. On close: libpq frees all; results are their caller's. */
#include "io/pg_sync.h"

#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "io/pg_dsn.h"
#include "io/pg_error.h"

enum { PARAMS = 12, OLDEST_VERSION = 140000 };

struct fl_pg_sync {
    PGconn *conn; /* NULL = closed after a failure */
    int64_t timeout_ms;
};

struct fl_pg_rows {
    PGresult *result;
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void drop_notice(void *context, const char *message)
{
    (void)context;
    (void)message;
}

static fl_status check_connection(PGconn *conn, struct fl_err *err)
{
    if (!conn || PQstatus(conn) != CONNECTION_OK)
        return fl_pg_connection_error(err, conn, "could not connect");
    PQsetNoticeProcessor(conn, drop_notice, NULL);
    int version = PQserverVersion(conn);
    if (version < OLDEST_VERSION)
        return fl_err_set(err, FL_USAGE,
                          "Postgres: this server has version %d, and fenceline needs 14 or newer",
                          version / 10000);
    return FL_OK;
}

fl_status fl_pg_sync_open(struct fl_pg_sync **pg, const char *dsn, int64_t timeout_ms, struct fl_err *err)
{
    char seconds[24];
    *pg = NULL;
    fl_status status = fl_pg_dsn_check(dsn, NULL, err);
    if (status != FL_OK)
        return status;
    /* libpq counts in seconds and treats 1 as 2. A timeout in the connection string comes later and so wins.
     */
    snprintf(seconds, sizeof seconds, "%" PRId64, timeout_ms < 2000 ? 2 : timeout_ms / 1000);
    const char *keys[] = {"connect_timeout", "dbname", "application_name", "client_encoding", NULL};
    const char *values[] = {seconds, dsn, "fenceline", "UTF8", NULL};
    PGconn *conn = PQconnectdbParams(keys, values, 1);
    status = check_connection(conn, err);
    if (status == FL_OK)
        *pg = malloc(sizeof **pg);
    if (!*pg) {
        PQfinish(conn);
        return status != FL_OK ? status : fl_err_set(err, FL_NO_MEMORY, "out of memory");
    }
    **pg = (struct fl_pg_sync){.conn = conn, .timeout_ms = timeout_ms};
    return FL_OK;
}

void fl_pg_sync_close(struct fl_pg_sync *pg)
{
    if (!pg)
        return;
    PQfinish(pg->conn);
    free(pg);
}

void fl_pg_sync_set_timeout(struct fl_pg_sync *pg, int64_t timeout_ms)
{
    pg->timeout_ms = timeout_ms;
}

int64_t fl_pg_sync_backend_pid(const struct fl_pg_sync *pg)
{
    return pg->conn ? PQbackendPID(pg->conn) : 0;
}

static void close_connection(struct fl_pg_sync *pg)
{
    PQfinish(pg->conn);
    pg->conn = NULL;
}

static fl_status give_up(struct fl_pg_sync *pg, const char *what, struct fl_err *err)
{
    fl_status status = fl_pg_connection_error(err, pg->conn, what);
    close_connection(pg);
    return status;
}

/* Waits until the socket is ready for events; false when the time is up. */
static bool await_socket(PGconn *conn, short events, int64_t deadline_ms)
{
    struct pollfd pollfd = {.fd = PQsocket(conn), .events = events};
    for (;;) {
        int64_t left_ms = deadline_ms == FL_NEVER_MS ? -1 : deadline_ms - now_ms();
        if (deadline_ms != FL_NEVER_MS && left_ms < 0)
            left_ms = 0;
        int ready = poll(&pollfd, 1, left_ms > 3600000 ? 3600000 : (int)left_ms);
        if (ready > 0)
            return true;
        if (ready == 0 && deadline_ms != FL_NEVER_MS && now_ms() >= deadline_ms)
            return false;
        if (ready < 0 && errno != EINTR)
            return false;
    }
}

/* Sends what is buffered and reads until the next result can be taken without blocking. */
static fl_status await_result(struct fl_pg_sync *pg, int64_t deadline_ms, struct fl_err *err)
{
    int unsent = PQflush(pg->conn);
    while (unsent > 0 || (unsent == 0 && PQisBusy(pg->conn))) {
        short events = (short)(POLLIN | (unsent ? POLLOUT : 0));
        if (!await_socket(pg->conn, events, deadline_ms))
            return give_up(pg, "no answer in time", err);
        if (!PQconsumeInput(pg->conn)) {
            if (PQisBusy(pg->conn))
                return give_up(pg, "the connection broke", err);
            break; /* what came before the end is still to be taken */
        }
        if (unsent)
            unsent = PQflush(pg->conn);
    }
    return FL_OK;
}

/* Takes all results of what was sent; *last is the last one. The first error counts: after "terminated by the
 * administrator" the connection breaks too, but that says less. */
static fl_status collect(struct fl_pg_sync *pg, PGresult **last, struct fl_err *err)
{
    int64_t deadline_ms = pg->timeout_ms ? now_ms() + pg->timeout_ms : FL_NEVER_MS;
    fl_status status = FL_OK;
    bool server_said_why = false;
    *last = NULL;
    while (PQstatus(pg->conn) == CONNECTION_OK) {
        fl_status wait_status = await_result(pg, deadline_ms, err);
        if (wait_status != FL_OK)
            return wait_status;
        PGresult *result = PQgetResult(pg->conn);
        if (!result)
            break;
        ExecStatusType type = PQresultStatus(result);
        bool failed = type != PGRES_TUPLES_OK && type != PGRES_COMMAND_OK && type != PGRES_EMPTY_QUERY;
        if (failed && status == FL_OK) {
            status = fl_pg_result_error(err, result);
            server_said_why = PQresultErrorField(result, PG_DIAG_SQLSTATE) != NULL;
        }
        PQclear(*last);
        *last = result;
    }
    bool broken = PQstatus(pg->conn) != CONNECTION_OK || !*last;
    if (broken && !server_said_why)
        return give_up(pg, "the connection broke", err);
    if (broken)
        close_connection(pg);
    return status;
}

static fl_status run(struct fl_pg_sync *pg, int accepted, PGresult **result, struct fl_err *err)
{
    *result = NULL;
    if (accepted != 1)
        return give_up(pg, "could not send", err);
    fl_status status = collect(pg, result, err);
    if (status == FL_OK)
        return FL_OK;
    PQclear(*result);
    *result = NULL;
    return status;
}

static fl_status refuse_closed(struct fl_err *err)
{
    return fl_pg_error(err, NULL, "the connection was closed after a failure");
}

fl_status fl_pg_sync_query(struct fl_pg_sync *pg, const char *sql, const char *const *params,
                           size_t param_count, struct fl_pg_rows **rows, struct fl_err *err)
{
    PGresult *result;
    FL_ASSERT(param_count <= PARAMS);
    if (rows)
        *rows = NULL;
    if (!pg->conn)
        return refuse_closed(err);
    fl_status status = run(
        pg, PQsendQueryParams(pg->conn, sql, (int)param_count, NULL, params, NULL, NULL, 0), &result, err);
    if (status == FL_OK && rows) {
        *rows = malloc(sizeof **rows);
        if (!*rows)
            status = fl_err_set(err, FL_NO_MEMORY, "out of memory");
    }
    if (status == FL_OK && rows && *rows)
        (*rows)->result = result;
    else
        PQclear(result);
    return status;
}

fl_status fl_pg_sync_script(struct fl_pg_sync *pg, const char *sql, struct fl_err *err)
{
    PGresult *result;
    if (!pg->conn)
        return refuse_closed(err);
    fl_status status = run(pg, PQsendQuery(pg->conn, sql), &result, err);
    PQclear(result);
    return status;
}

fl_status fl_pg_sync_commit(struct fl_pg_sync *pg, struct fl_err *err)
{
    PGresult *result;
    if (!pg->conn)
        return refuse_closed(err);
    fl_status status = run(pg, PQsendQuery(pg->conn, "COMMIT"), &result, err);
    if (status == FL_OK && strcmp(PQcmdStatus(result), "COMMIT") != 0)
        status = fl_err_set(err, FL_FAILED, "Postgres rolled the transaction back: nothing was changed");
    PQclear(result);
    return status;
}

void fl_pg_sync_rollback(struct fl_pg_sync *pg)
{
    PGresult *result = NULL;
    if (!pg->conn || PQtransactionStatus(pg->conn) == PQTRANS_IDLE)
        return;
    (void)run(pg, PQsendQuery(pg->conn, "ROLLBACK"), &result, NULL);
    PQclear(result);
}

void fl_pg_rows_free(struct fl_pg_rows *rows)
{
    if (!rows)
        return;
    PQclear(rows->result);
    free(rows);
}

size_t fl_pg_rows_count(const struct fl_pg_rows *rows)
{
    return (size_t)PQntuples(rows->result);
}

bool fl_pg_rows_is_null(const struct fl_pg_rows *rows, size_t row, int column)
{
    return PQgetisnull(rows->result, (int)row, column);
}

struct fl_slice fl_pg_rows_text(const struct fl_pg_rows *rows, size_t row, int column)
{
    if (fl_pg_rows_is_null(rows, row, column))
        return (struct fl_slice){0};
    const char *text = PQgetvalue(rows->result, (int)row, column);
    return (struct fl_slice){text, (size_t)PQgetlength(rows->result, (int)row, column)};
}

int64_t fl_pg_rows_int64(const struct fl_pg_rows *rows, size_t row, int column)
{
    return strtoll(PQgetvalue(rows->result, (int)row, column), NULL, 10); /* "" if null: 0 */
}

bool fl_pg_rows_bool(const struct fl_pg_rows *rows, size_t row, int column)
{
    return PQgetvalue(rows->result, (int)row, column)[0] == 't';
}
