/* pg_listen.c - see pg_listen.h.
 *
 * Happy path: open, LISTEN, then every notice goes to its owner. Failure modes: no connection, or a lost one:
 * the owner is told, and a timer opens it again. A connection that dies without a word is found by TCP
 * keepalives; what came meanwhile is found by the owner's own regular look. */
#include "io/pg_listen.h"

enum { AGAIN_MS = 500 };

static void on_again(uv_timer_t *timer)
{
    struct fl_pg_listen *listen = timer->data;
    if (listen->pg.state == FL_PG_CLOSED)
        fl_pg_open(&listen->pg);
}

static void on_idle(void *owner, struct fl_pg *pg)
{
    struct fl_pg_listen *listen = owner;
    if (listen->is_listening)
        return;
    fl_pg_add_command(pg, "LISTEN fenceline_queue");
    fl_pg_send(pg);
}

static void on_result(void *owner, struct fl_pg *pg, int index, const PGresult *result)
{
    struct fl_pg_listen *listen = owner;
    (void)pg;
    (void)index;
    listen->is_listening = PQresultStatus(result) == PGRES_COMMAND_OK;
}

static void lose(struct fl_pg_listen *listen, const struct fl_err *err)
{
    listen->is_listening = false;
    uv_timer_start(&listen->again, on_again, AGAIN_MS, 0);
    listen->lost(listen->owner, err);
}

static void on_batch_end(void *owner, struct fl_pg *pg, fl_status status, const struct fl_err *err)
{
    struct fl_pg_listen *listen = owner;
    struct fl_err refused;
    if (status == FL_OK && listen->is_listening) {
        listen->listening(listen->owner);
        return;
    }
    if (status == FL_OK) {
        fl_err_set(&refused, FL_UNAVAILABLE, "Postgres refused to LISTEN");
        fl_pg_close(pg);
        err = &refused;
    }
    lose(listen, err);
}

static void on_down(void *owner, struct fl_pg *pg, const struct fl_err *err)
{
    (void)pg;
    lose(owner, err);
}

static void on_notified(void *owner, struct fl_pg *pg, const char *payload)
{
    struct fl_pg_listen *listen = owner;
    (void)pg;
    listen->notified(listen->owner, payload);
}

void fl_pg_listen_open(struct fl_pg_listen *listen, uv_loop_t *loop, const char *dsn, const char *name,
                       int64_t timeout_ms)
{
    struct fl_pg_events events = {.owner = listen,
                                  .idle = on_idle,
                                  .result = on_result,
                                  .batch_end = on_batch_end,
                                  .down = on_down,
                                  .notified = on_notified};
    fl_pg_init(&listen->pg, loop, dsn, name, timeout_ms, &events);
    uv_timer_init(loop, &listen->again);
    listen->again.data = listen;
    uv_timer_start(&listen->again, on_again, 0, 0);
}

void fl_pg_listen_close(struct fl_pg_listen *listen)
{
    fl_pg_release(&listen->pg);
    uv_close((uv_handle_t *)&listen->again, NULL);
}
