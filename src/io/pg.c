/* pg.c - one pipelined libpq connection on libuv.
 *
 * Happy path: open -> CONNECTING (PQconnectPoll) -> SETUP (session settings, backend identity) -> IDLE;
 * add, add, send -> BUSY -> results, sync -> IDLE. A batch that leaves a failed transaction open is followed
 * by a ROLLBACK of our own (CLEANUP) before the connection is idle again. Failure modes: any error of the
 * connection, or no byte for timeout_ms while something is awaited, closes it: batch_end(FL_LOST) if a batch
 * was in flight, else down(). Time is counted in timer ticks, not by the clock, so that a process that was
 * stopped reads its replies before it complains. On close: the socket is libpq's; the poll handle goes before
 * PQfinish closes the descriptor. */
#include "io/pg.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "io/pg_error.h"
#include "io/pg_schema.h"

enum { TICK_MS = 250, SETUP_STATEMENTS = 3 };

/* Every statement here is a look-up by key: no plan may ever read a whole table, however the statistics
 * stand. An acknowledged import must survive a crash of the server, whatever the role's default is. */
static const char SETUP_SQL[] =
    "SELECT set_config('search_path', 'pg_catalog', false), set_config('enable_seqscan', 'off', false),"
    " set_config('enable_hashjoin', 'off', false), set_config('enable_mergejoin', 'off', false),"
    " set_config('plan_cache_mode', 'force_generic_plan', false),"
    " set_config('jit', 'off', false), set_config('client_encoding', 'UTF8', false),"
    " set_config('standard_conforming_strings', 'on', false),"
    " set_config('statement_timeout', $1, false), set_config('lock_timeout', $2, false),"
    " set_config('synchronous_commit',"
    "            CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'"
    "            ELSE current_setting('synchronous_commit') END, false)";
static const char IDENTITY_SQL[] =
    "SELECT pid, (extract(epoch FROM backend_start) * 1000000)::bigint FROM pg_stat_activity"
    " WHERE pid = pg_backend_pid()";

static void on_poll(uv_poll_t *poll, int status, int events);
static void on_tick(uv_timer_t *timer);

void fl_pg_init(struct fl_pg *pg, uv_loop_t *loop, const char *dsn, const char *name, int64_t timeout_ms,
                const struct fl_pg_events *events)
{
    *pg = (struct fl_pg){
        .loop = loop, .dsn = dsn, .name = name, .timeout_ms = timeout_ms, .events = *events, .poll_fd = -1};
    uv_timer_init(loop, &pg->timer);
    pg->timer.data = pg;
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

static void stop_polling(struct fl_pg *pg)
{
    if (!pg->poll)
        return;
    uv_poll_stop(pg->poll);
    pg->poll->data = NULL;
    uv_close((uv_handle_t *)pg->poll, free_handle);
    pg->poll = NULL;
    pg->poll_fd = -1;
    pg->poll_events = 0;
}

static bool watch(struct fl_pg *pg, int events)
{
    int fd = PQsocket(pg->conn);
    if (fd != pg->poll_fd) { /* PQconnectPoll may go on to the next host */
        stop_polling(pg);
        pg->poll = malloc(sizeof *pg->poll);
        if (!pg->poll || uv_poll_init(pg->loop, pg->poll, fd) != 0) {
            free(pg->poll);
            pg->poll = NULL;
            return false;
        }
        pg->poll->data = pg;
        pg->poll_fd = fd;
    }
    if (pg->poll_events == events) /* each change costs system calls */
        return true;
    pg->poll_events = events;
    return uv_poll_start(pg->poll, events, on_poll) == 0;
}

static void shut(struct fl_pg *pg)
{
    stop_polling(pg);
    uv_timer_stop(&pg->timer);
    PQfinish(pg->conn);
    pg->conn = NULL;
    pg->state = FL_PG_CLOSED;
    pg->prepared = pg->preparing = 0;
    pg->sent_count = 0;
    pg->has_more = false;
}

static void fail(struct fl_pg *pg, const char *what)
{
    struct fl_err err;
    bool had_batch = pg->state == FL_PG_BUSY || pg->state == FL_PG_CLEANUP;
    fl_pg_connection_error(&err, pg->conn, what);
    shut(pg);
    if (had_batch) {
        err.code = FL_LOST;
        pg->events.batch_end(pg->events.owner, pg, FL_LOST, &err);
    } else {
        pg->events.down(pg->events.owner, pg, &err);
    }
}

static void await_server(struct fl_pg *pg)
{
    pg->idle_ticks = 0;
    uv_timer_start(&pg->timer, on_tick, TICK_MS, TICK_MS);
}

static void on_tick(uv_timer_t *timer)
{
    struct fl_pg *pg = timer->data;
    if ((int64_t)++pg->idle_ticks * TICK_MS >= pg->timeout_ms)
        fail(pg, "no answer in time");
}

/* ---- opening ---- */

/* What fails within a call of the owner's is reported by the loop, never from within that call. */
static void on_broken(uv_timer_t *timer)
{
    fail(timer->data, "the connection broke");
}

void fl_pg_open(struct fl_pg *pg)
{
    FL_ASSERT(pg->state == FL_PG_CLOSED);
    const char *keys[] = {"dbname", "application_name", "client_encoding", NULL};
    const char *values[] = {pg->dsn, pg->name, "UTF8", NULL};
    pg->conn = PQconnectStartParams(keys, values, 1);
    pg->state = FL_PG_CONNECTING;
    if (!pg->conn || PQstatus(pg->conn) == CONNECTION_BAD || !watch(pg, UV_WRITABLE))
        uv_timer_start(&pg->timer, on_broken, 0, 0);
    else
        await_server(pg);
}

static void set_up(struct fl_pg *pg)
{
    char statement_timeout[24], lock_timeout[24];
    snprintf(statement_timeout, sizeof statement_timeout, "%lld", (long long)pg->timeout_ms * 2 / 3);
    snprintf(lock_timeout, sizeof lock_timeout, "%lld", (long long)pg->timeout_ms / 3);
    const char *values[] = {statement_timeout, lock_timeout};
    pg->state = FL_PG_SETUP;
    if (PQsetnonblocking(pg->conn, 1) != 0 || PQenterPipelineMode(pg->conn) != 1 ||
        PQsendQueryParams(pg->conn, SETUP_SQL, 2, NULL, values, NULL, NULL, 0) != 1 ||
        PQsendQueryParams(pg->conn, IDENTITY_SQL, 0, NULL, NULL, NULL, NULL, 0) != 1 ||
        PQsendQueryParams(pg->conn, fl_pg_schema_version_sql(), 0, NULL, NULL, NULL, NULL, 0) != 1 ||
        (pg->warm_up && PQsendQueryParams(pg->conn, pg->warm_up, 0, NULL, NULL, NULL, NULL, 0) != 1)) {
        fail(pg, "could not set up the session");
        return;
    }
    memset(pg->prepares, -1, sizeof pg->prepares);
    pg->setup_err.code = FL_OK;
    pg->backend_pid = 0;
    pg->sent_count = SETUP_STATEMENTS + (pg->warm_up ? 1 : 0);
    fl_pg_send(pg);
}

static void go_on_connecting(struct fl_pg *pg)
{
    pg->idle_ticks = 0;
    switch (PQconnectPoll(pg->conn)) {
    case PGRES_POLLING_READING:
        if (!watch(pg, UV_READABLE))
            fail(pg, "could not watch the socket");
        break;
    case PGRES_POLLING_WRITING:
        if (!watch(pg, UV_WRITABLE))
            fail(pg, "could not watch the socket");
        break;
    case PGRES_POLLING_OK: set_up(pg); break;
    case PGRES_POLLING_FAILED:
    case PGRES_POLLING_ACTIVE: fail(pg, "could not connect"); break;
    }
}

/* ---- sending ---- */

static void note_sent(struct fl_pg *pg, int prepared_id, int accepted)
{
    FL_ASSERT(pg->sent_count < FL_PG_BATCH * 2);
    if (accepted != 1)
        return; /* PQsend* fails only on a broken connection or without memory: the flush finds out */
    pg->prepares[pg->sent_count++] = (int16_t)prepared_id;
}

void fl_pg_add(struct fl_pg *pg, int id, const struct fl_pg_statement *statement,
               const struct fl_pg_param *params)
{
    const char *values[FL_PG_PARAMS];
    int lengths[FL_PG_PARAMS], formats[FL_PG_PARAMS];
    FL_ASSERT((pg->state == FL_PG_IDLE || pg->has_more) && statement->param_count <= FL_PG_PARAMS &&
              id < FL_PG_STATEMENTS);
    for (int i = 0; i < statement->param_count; i++) {
        values[i] = params[i].bytes;
        lengths[i] = params[i].length;
        formats[i] = params[i].format;
    }
    if (!((pg->prepared | pg->preparing) & 1u << id)) {
        note_sent(pg, id,
                  PQsendPrepare(pg->conn, statement->name, statement->sql, statement->param_count,
                                statement->types));
        pg->preparing |= 1u << id;
    }
    note_sent(
        pg, -1,
        PQsendQueryPrepared(pg->conn, statement->name, statement->param_count, values, lengths, formats, 0));
}

void fl_pg_add_command(struct fl_pg *pg, const char *sql)
{
    note_sent(pg, -1, PQsendQueryParams(pg->conn, sql, 0, NULL, NULL, NULL, NULL, 0));
}

/* As PQflush: 0 = nothing is left to be sent, 1 = something is, -1 = it failed. */
static int send_more(struct fl_pg *pg)
{
    int left = PQflush(pg->conn);
    if (left != 0 || !pg->has_more)
        return left;
    pg->idle_ticks = 0; /* a slow reader is not a silent one */
    pg->has_more = pg->events.more(pg->events.owner, pg);
    if (!pg->has_more && PQpipelineSync(pg->conn) != 1)
        return -1;
    left = PQflush(pg->conn);
    return left == 0 && pg->has_more ? 1 : left;
}

static void flush(struct fl_pg *pg)
{
    int left = send_more(pg);
    if (left < 0 || !watch(pg, left ? UV_READABLE | UV_WRITABLE : UV_READABLE))
        fail(pg, "could not send");
}

void fl_pg_send_pieces(struct fl_pg *pg)
{
    FL_ASSERT(pg->state == FL_PG_IDLE);
    pg->result_count = pg->delivered_count = 0;
    pg->got_result = false;
    pg->state = FL_PG_BUSY;
    pg->has_more = true;
    if (!watch(pg, UV_READABLE | UV_WRITABLE)) /* the first piece goes when the socket takes it */
        uv_timer_start(&pg->timer, on_broken, 0, 0);
    else
        await_server(pg);
}

void fl_pg_send(struct fl_pg *pg)
{
    pg->result_count = pg->delivered_count = 0;
    pg->got_result = false;
    if (pg->state == FL_PG_IDLE)
        pg->state = FL_PG_BUSY;
    int left = PQpipelineSync(pg->conn) == 1 ? PQflush(pg->conn) : -1;
    if (left < 0 || !watch(pg, left ? UV_READABLE | UV_WRITABLE : UV_READABLE))
        uv_timer_start(&pg->timer, on_broken, 0, 0);
    else
        await_server(pg);
}

/* ---- receiving ---- */

/* The session's settings, who serves it, and the version of the schema: a binary must not meet a newer one.
 */
static void read_setup(struct fl_pg *pg, const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    if (pg->setup_err.code != FL_OK || status == PGRES_PIPELINE_ABORTED)
        return;
    if (pg->result_count >= SETUP_STATEMENTS)
        return; /* what hinders the warm-up hinders the first batch too, which tells it */
    if (status != PGRES_TUPLES_OK || PQntuples(result) != 1) {
        fl_pg_result_error(&pg->setup_err, result);
        return;
    }
    if (pg->result_count == 1) {
        pg->backend_pid = atoi(PQgetvalue(result, 0, 0));
        pg->backend_start_us = strtoll(PQgetvalue(result, 0, 1), NULL, 10);
    } else if (pg->result_count == 2) {
        (void)!fl_pg_schema_judge(strtoll(PQgetvalue(result, 0, 0), NULL, 10), &pg->setup_err);
    }
}

static void deliver(struct fl_pg *pg, const PGresult *result)
{
    /* One more than was sent: the sync commits what stood outside of BEGIN and COMMIT, and that was refused.
     */
    int prepared_id = pg->result_count < pg->sent_count ? pg->prepares[pg->result_count] : -1;
    if (pg->state == FL_PG_SETUP)
        read_setup(pg, result);
    if (pg->state != FL_PG_BUSY)
        return;
    if (prepared_id >= 0 && PQresultStatus(result) == PGRES_COMMAND_OK) {
        pg->prepared |= 1u << prepared_id; /* it stays prepared, whatever becomes of the transaction */
        return;
    }
    pg->events.result(pg->events.owner, pg, pg->delivered_count, result);
    if (prepared_id < 0)
        pg->delivered_count++;
}

static void end_batch(struct fl_pg *pg)
{
    enum fl_pg_state was = pg->state;
    uv_timer_stop(&pg->timer);
    pg->preparing = 0;
    pg->sent_count = 0;
    if (was == FL_PG_SETUP && pg->setup_err.code != FL_OK) {
        shut(pg);
        pg->events.down(pg->events.owner, pg, &pg->setup_err);
        return;
    }
    if (PQtransactionStatus(pg->conn) != PQTRANS_IDLE) {
        /* The batch is over for its owner only when the connection is clean again. */
        pg->state = was == FL_PG_BUSY ? FL_PG_CLEANUP : was;
        PQsendQueryParams(pg->conn, "ROLLBACK", 0, NULL, NULL, NULL, NULL, 0);
        pg->prepares[0] = -1;
        pg->sent_count = 1;
        fl_pg_send(pg);
        return;
    }
    pg->state = FL_PG_IDLE;
    if (was != FL_PG_SETUP)
        pg->events.batch_end(pg->events.owner, pg, FL_OK, NULL);
    if (pg->state == FL_PG_IDLE)
        pg->events.idle(pg->events.owner, pg);
}

/* One result, or the NULL between two statements. False when there is nothing more to read now. */
static bool take_result(struct fl_pg *pg)
{
    if (PQisBusy(pg->conn))
        return false;
    PGresult *result = PQgetResult(pg->conn);
    if (!result) {
        if (!pg->got_result)
            return false;
        pg->got_result = false;
        pg->result_count++;
        return true;
    }
    bool is_sync = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
    if (!is_sync && !pg->got_result)
        deliver(pg, result);
    if (!is_sync)
        pg->got_result = true;
    PQclear(result);
    if (is_sync)
        end_batch(pg);
    return !is_sync;
}

static void take_notifies(struct fl_pg *pg)
{
    PGnotify *notify;
    while (pg->state != FL_PG_CLOSED && pg->events.notified && (notify = PQnotifies(pg->conn))) {
        pg->events.notified(pg->events.owner, pg, notify->extra);
        PQfreemem(notify);
    }
}

static void receive(struct fl_pg *pg)
{
    pg->idle_ticks = 0;
    if (PQconsumeInput(pg->conn) != 1) {
        fail(pg, "the connection broke");
        return;
    }
    if (pg->state == FL_PG_IDLE) {
        /* Nothing was asked: a notice, a parameter change, or the end (which consume reports next time). */
        PQisBusy(pg->conn);
        if (PQstatus(pg->conn) == CONNECTION_BAD)
            fail(pg, "the connection broke");
        else
            take_notifies(pg);
        return;
    }
    while (pg->state != FL_PG_CLOSED && take_result(pg))
        ;
    if (pg->state != FL_PG_CLOSED && PQstatus(pg->conn) == CONNECTION_BAD)
        fail(pg, "the connection broke");
    else
        take_notifies(pg);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct fl_pg *pg = poll->data;
    if (!pg)
        return;
    if (status < 0)
        pg->poll_events = 0; /* libuv has stopped it */
    if (pg->state == FL_PG_CONNECTING) {
        go_on_connecting(pg);
        return;
    }
    if (status < 0) {
        fail(pg, "the connection broke");
        return;
    }
    if (events & UV_WRITABLE)
        flush(pg);
    if (pg->state != FL_PG_CLOSED && events & UV_READABLE)
        receive(pg);
}

/* ---- closing ---- */

void fl_pg_close(struct fl_pg *pg)
{
    if (pg->state == FL_PG_CLOSED)
        return;
    bool had_batch = pg->state == FL_PG_BUSY || pg->state == FL_PG_CLEANUP;
    struct fl_err err;
    fl_err_set(&err, FL_LOST, "the connection to Postgres was closed");
    shut(pg);
    if (had_batch)
        pg->events.batch_end(pg->events.owner, pg, FL_LOST, &err);
}

void fl_pg_release(struct fl_pg *pg)
{
    fl_pg_close(pg);
    uv_close((uv_handle_t *)&pg->timer, NULL);
}
