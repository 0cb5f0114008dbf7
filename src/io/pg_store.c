/* pg_store.c - queues requests by kind, fills free connections with batches, hands out the answers.
 *
 * Happy path: start() queues; once a turn of the loop `dispatch` gives each free connection the most urgent
 * kind that waits; results fill one event per request; at the end of the batch every request gets its event.
 * Failure modes: a refused statement (requests go again alone, then fail with its text); a broken connection
 * (FL_LOST for all that were in flight, with the mark that step 6 needs); no connection (FL_UNAVAILABLE).
 * On close: everything is answered first. */
#include "io/pg_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/slice.h"
#include "io/pg_error.h"

enum { REOPEN_MS = 1000 };

static void dispatch(uv_prepare_t *handle);

static enum fl_store_group group_of(enum fl_action_type action)
{
    switch (action) {
    case FL_ACTION_READ: return FL_GROUP_READ;
    case FL_ACTION_ENSURE: return FL_GROUP_ENSURE;
    case FL_ACTION_CLAIM: return FL_GROUP_CLAIM;
    case FL_ACTION_CLAIM_CHECK: return FL_GROUP_CLAIM_CHECK;
    case FL_ACTION_COMMIT: return FL_GROUP_COMMIT;
    case FL_ACTION_RESOLVE: return FL_GROUP_RESOLVE;
    case FL_ACTION_DECIDE: return FL_GROUP_DECIDE;
    case FL_ACTION_NONE:
    case FL_ACTION_LEASE:
    case FL_ACTION_LEASE_CHECK:
    case FL_ACTION_FETCH:
    case FL_ACTION_PARSE:
    case FL_ACTION_RELEASE:
    case FL_ACTION_ACK:
    case FL_ACTION_RENEW: break;
    }
    FL_ASSERT(false && "an action for the store");
}

static enum fl_event_type answer_type(enum fl_store_group group)
{
    static const enum fl_event_type TYPES[FL_GROUP_COUNT] = {
        [FL_GROUP_COMMIT] = FL_EVENT_COMMITTED,
        [FL_GROUP_COMMIT_LARGE] = FL_EVENT_COMMITTED,
        [FL_GROUP_RESOLVE] = FL_EVENT_RESOLVED,
        [FL_GROUP_DECIDE] = FL_EVENT_DECIDED,
        [FL_GROUP_CLAIM_CHECK] = FL_EVENT_CLAIM_SEEN,
        [FL_GROUP_CLAIM] = FL_EVENT_CLAIMED,
        [FL_GROUP_ENSURE] = FL_EVENT_ENSURED,
        [FL_GROUP_READ] = FL_EVENT_READ,
        [FL_GROUP_CALL] = FL_EVENT_START,
    };
    return TYPES[group];
}

static int batch_limit(enum fl_store_group group)
{
    switch (group) {
    case FL_GROUP_COMMIT: return FL_STORE_COMMIT_BATCH;
    case FL_GROUP_COMMIT_LARGE:
    case FL_GROUP_CALL: return 1;
    case FL_GROUP_RESOLVE:
    case FL_GROUP_DECIDE:
    case FL_GROUP_CLAIM_CHECK:
    case FL_GROUP_CLAIM:
    case FL_GROUP_ENSURE:
    case FL_GROUP_READ:
    case FL_GROUP_COUNT: break;
    }
    return FL_STORE_BATCH;
}

/* PROTOCOL 3: batches lock episodes in one order, so that two of them cannot deadlock. */
static int by_episode(const void *a, const void *b)
{
    const struct fl_request *const *x = a, *const *y = b;
    return fl_slice_compare((*x)->import->job.episode, (*y)->import->job.episode);
}

static void take_batch(struct fl_store_lane *lane, enum fl_store_group group)
{
    struct fl_link *queue = &lane->store->queues[group];
    int limit = batch_limit(group);
    lane->group = group;
    lane->count = 0;
    lane->committed = lane->has_error = false;
    while (lane->count < limit && !fl_list_is_empty(queue)) {
        struct fl_request *request = FL_CONTAINER(queue->next, struct fl_request, link);
        if (request->alone && lane->count > 0)
            break;
        fl_list_remove(&request->link);
        lane->events[lane->count] =
            (struct fl_event){.type = answer_type(group), .op = request->op, .status = FL_LOST};
        request->backend_pid = lane->pg.backend_pid;
        lane->requests[lane->count++] = request;
        if (request->alone)
            break;
    }
    if (group != FL_GROUP_CALL)
        qsort(lane->requests, (size_t)lane->count, sizeof(struct fl_request *), by_episode);
    for (int i = 0; i < lane->count; i++)
        lane->events[i].op = lane->requests[i]->op;
}

/* ---- handing out the answers ---- */

static void requeue_alone(struct fl_store_lane *lane)
{
    struct fl_link *queue = &lane->store->queues[lane->group];
    for (int i = 0; i < lane->count; i++) {
        lane->requests[i]->alone = true;
        fl_list_append(queue, &lane->requests[i]->link);
    }
    lane->count = 0;
}

static void mark_commit(const struct fl_pg *pg, struct fl_event *event)
{
    event->mark.backend_pid = pg->backend_pid;
    event->mark.backend_start_us = pg->backend_start_us;
}

static void answer_all(struct fl_store_lane *lane)
{
    int count = lane->count;
    lane->count = 0;
    for (int i = 0; i < count; i++) {
        lane->requests[i]->alone = false;
        lane->requests[i]->done(lane->requests[i], &lane->events[i]);
    }
}

static void on_batch_end(void *owner, struct fl_pg *pg, fl_status status, const struct fl_err *err)
{
    struct fl_store_lane *lane = owner;
    bool refused = lane->has_error || (fl_pg_steps_share_a_transaction(lane->group) && !lane->committed);
    if (status == FL_OK && refused && lane->count > 1) {
        requeue_alone(lane);
        return;
    }
    if (!lane->has_error && status == FL_OK && refused)
        fl_err_set(&lane->err, FL_TRANSIENT, "Postgres rolled the transaction back");
    for (int i = 0; i < lane->count; i++) {
        struct fl_event *event = &lane->events[i];
        mark_commit(pg, event);
        event->err = status != FL_OK ? err : refused ? &lane->err : NULL;
        if (status != FL_OK)
            event->status = FL_LOST;
        else if (refused)
            event->status = lane->err.code;
        else if (fl_pg_steps_share_a_transaction(lane->group))
            event->status = FL_OK;
    }
    answer_all(lane);
}

/* ---- connections ---- */

static void answer_unavailable(struct fl_pg_store *store, const struct fl_err *err)
{
    struct fl_link waiting;
    fl_list_init(&waiting);
    for (int group = 0; group < FL_GROUP_COUNT; group++)
        for (struct fl_link *link; (link = fl_list_take_first(&store->queues[group]));)
            fl_list_append(&waiting, link);
    for (struct fl_link *link; (link = fl_list_take_first(&waiting));) {
        struct fl_request *request = FL_CONTAINER(link, struct fl_request, link);
        enum fl_store_group group = request->import ? group_of(request->action) : FL_GROUP_CALL;
        struct fl_event event = {
            .type = answer_type(group), .op = request->op, .status = err->code, .err = err};
        request->alone = false;
        request->done(request, &event);
    }
}

static bool has_open_lane(const struct fl_pg_store *store)
{
    for (int i = 0; i < store->lane_count; i++)
        if (store->lanes[i].pg.state != FL_PG_CLOSED)
            return true;
    return false;
}

/* One connection too many for the server is no reason to give up the others. */
static void on_down(void *owner, struct fl_pg *pg, const struct fl_err *err)
{
    struct fl_store_lane *lane = owner;
    (void)pg;
    lane->store->failed_open_ms = (int64_t)uv_now(lane->store->loop);
    if (!has_open_lane(lane->store))
        answer_unavailable(lane->store, err);
}

static void on_idle(void *owner, struct fl_pg *pg)
{
    (void)owner; /* dispatch looks at every lane, once a turn */
    (void)pg;
}

static bool nothing_waits(const struct fl_pg_store *store)
{
    for (int group = 0; group < FL_GROUP_COUNT; group++)
        if (!fl_list_is_empty(&store->queues[group]))
            return false;
    return true;
}

static void open_one_more(struct fl_pg_store *store)
{
    bool can_wait = has_open_lane(store) || nothing_waits(store);
    bool too_early = can_wait && (int64_t)uv_now(store->loop) - store->failed_open_ms < REOPEN_MS;
    struct fl_store_lane *closed = NULL;
    for (int i = 0; i < store->lane_count; i++) {
        enum fl_pg_state state = store->lanes[i].pg.state;
        if (state == FL_PG_CONNECTING || state == FL_PG_SETUP)
            return;
        if (state == FL_PG_CLOSED && !closed)
            closed = &store->lanes[i];
    }
    if (!closed || too_early)
        return;
    closed->pg.warm_up = store->stays_open ? "SELECT fenceline.warm_up()" : NULL;
    fl_pg_open(&closed->pg);
}

/* Large commits take long: one connection is left for the others, where there is more than one. */
static bool may_send_large(const struct fl_pg_store *store)
{
    int busy = 0;
    for (int i = 0; i < store->lane_count; i++)
        busy += store->lanes[i].count > 0 && store->lanes[i].group == FL_GROUP_COMMIT_LARGE;
    return busy == 0 || busy < store->lane_count - 1;
}

/* The most urgent kind of those that wait; FL_GROUP_COUNT = none may go now. */
static enum fl_store_group choose_group(const struct fl_pg_store *store)
{
    for (int group = 0; group < FL_GROUP_COUNT; group++)
        if (!fl_list_is_empty(&store->queues[group]) &&
            (group != FL_GROUP_COMMIT_LARGE || may_send_large(store)))
            return (enum fl_store_group)group;
    return FL_GROUP_COUNT;
}

static void dispatch(uv_prepare_t *handle)
{
    struct fl_pg_store *store = handle->data;
    for (int i = 0; i < store->lane_count && !nothing_waits(store); i++) {
        struct fl_store_lane *lane = &store->lanes[i];
        if (lane->pg.state != FL_PG_IDLE)
            continue;
        enum fl_store_group group = choose_group(store);
        if (group == FL_GROUP_COUNT)
            break;
        take_batch(lane, group);
        store->batches++;
        store->batched += (uint64_t)lane->count;
        fl_pg_steps_add(store, lane);
        if (group == FL_GROUP_COMMIT_LARGE)
            fl_pg_send_pieces(&lane->pg);
        else
            fl_pg_send(&lane->pg);
    }
    if (!nothing_waits(store) || store->stays_open)
        open_one_more(store);
}

static void start(void *self, struct fl_request *request)
{
    struct fl_pg_store *store = self;
    enum fl_store_group group = group_of(request->action);
    if (group == FL_GROUP_COMMIT && fl_pg_commit_is_large(request))
        group = FL_GROUP_COMMIT_LARGE;
    fl_list_append(&store->queues[group], &request->link);
}

void fl_pg_store_call(struct fl_pg_store *store, struct fl_pg_call *call,
                      void (*done)(struct fl_request *request, struct fl_event *event))
{
    call->request = (struct fl_request){.done = done};
    fl_list_append(&store->queues[FL_GROUP_CALL], &call->request.link);
}

fl_status fl_pg_store_init(struct fl_pg_store *store, uv_loop_t *loop, const char *dsn, int64_t timeout_ms,
                           int connections, const char *name, struct fl_err *err)
{
    *store = (struct fl_pg_store){.port = {.self = store, .start = start}, .loop = loop};
    store->lanes = calloc((size_t)connections, sizeof *store->lanes);
    if (!store->lanes)
        return fl_err_set(err, FL_NO_MEMORY, "no memory for %d connections to Postgres", connections);
    store->lane_count = connections;
    for (int group = 0; group < FL_GROUP_COUNT; group++)
        fl_list_init(&store->queues[group]);
    for (int i = 0; i < connections; i++) {
        struct fl_store_lane *lane = &store->lanes[i];
        struct fl_pg_events events = {.owner = lane,
                                      .idle = on_idle,
                                      .result = fl_pg_steps_read,
                                      .more = fl_pg_steps_more,
                                      .batch_end = on_batch_end,
                                      .down = on_down};
        lane->store = store;
        fl_pg_init(&lane->pg, loop, dsn, store->session, timeout_ms, &events);
    }
    char host[128] = "?";
    gethostname(host, sizeof host - 1);
    snprintf(store->session, sizeof store->session, "fenceline %s@%s:%ld", name, host, (long)getpid());
    store->holder = store->session + strlen("fenceline ");
    store->failed_open_ms = -REOPEN_MS;
    fl_pg_params_init(&store->params);
    uv_prepare_init(loop, &store->dispatch);
    store->dispatch.data = store;
    uv_prepare_start(&store->dispatch, dispatch);
    uv_unref((uv_handle_t *)&store->dispatch);
    return FL_OK;
}

void fl_pg_store_interrupt(struct fl_pg_store *store)
{
    for (int i = 0; i < store->lane_count; i++)
        if (store->lanes[i].pg.state == FL_PG_BUSY || store->lanes[i].pg.state == FL_PG_CLEANUP)
            fl_pg_close(&store->lanes[i].pg);
}

void fl_pg_store_close(struct fl_pg_store *store)
{
    struct fl_err err;
    fl_err_set(&err, FL_UNAVAILABLE, "the connections to Postgres are being closed");
    for (int i = 0; i < store->lane_count; i++)
        fl_pg_release(&store->lanes[i].pg);
    answer_unavailable(store, &err);
    uv_close((uv_handle_t *)&store->dispatch, NULL);
}

void fl_pg_store_free(struct fl_pg_store *store)
{
    free(store->lanes);
    fl_pg_params_release(&store->params);
}
