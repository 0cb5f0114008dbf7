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

static const Oid READ_TYPES[] = {FL_OID_INT8_ARRAY};
static const Oid TEXT_ARRAY_TYPES[] = {FL_OID_TEXT_ARRAY};
static const Oid CLAIM_TYPES[] = {FL_OID_TEXT_ARRAY, FL_OID_INT8_ARRAY, FL_OID_INT8_ARRAY,
                                  FL_OID_INT8_ARRAY, FL_OID_TEXT_ARRAY, FL_OID_TEXT_ARRAY};
static const Oid DECIDE_TYPES[] = {FL_OID_INT8, FL_OID_TEXT, FL_OID_TEXT};
static const Oid RESOLVE_TYPES[] = {FL_OID_INT8, FL_OID_INT8, FL_OID_INT8, FL_OID_INT8};

static const struct fl_pg_statement READ = {
    "fl_read",
    "SELECT j.outcome, j.message, j.version, j.row_count, coalesce(j.rank, j.job_id), e.version, e.fence,"
    "       d.version, d.rank, d.deleted, j.job_id"
    "  FROM unnest($1) WITH ORDINALITY AS u (id, i)"
    "  LEFT JOIN fenceline.jobs j ON j.job_id = u.id"
    "  LEFT JOIN fenceline.episodes e ON e.episode_id = j.episode_id"
    "  LEFT JOIN fenceline.documents d ON d.episode_id = j.episode_id AND d.kind = j.kind"
    " ORDER BY u.i",
    1, READ_TYPES};

static const struct fl_pg_statement ENSURE = {
    "fl_ensure",
    "INSERT INTO fenceline.episodes (episode_id) SELECT DISTINCT e COLLATE \"C\" FROM unnest($1) e ORDER BY 1"
    "    ON CONFLICT DO NOTHING",
    1, TEXT_ARRAY_TYPES};

static const struct fl_pg_statement CLAIM = {"fl_claim",
                                             "SELECT c FROM unnest(fenceline.claim_episodes($1, $2, $3, $4, "
                                             "$5, $6)) WITH ORDINALITY AS u (c, i) ORDER BY i",
                                             6, CLAIM_TYPES};

static const struct fl_pg_statement CLAIM_CHECK = {
    "fl_claim_check",
    "SELECT e.fence, e.nonce FROM unnest($1) WITH ORDINALITY AS u (id, i)"
    "  LEFT JOIN fenceline.episodes e ON e.episode_id = u.id ORDER BY u.i",
    1, TEXT_ARRAY_TYPES};

static const struct fl_pg_statement DECIDE = {
    "fl_decide",
    "SELECT status, outcome, message, version, row_count, xid FROM fenceline.decide_job($1, $2, $3)", 3,
    DECIDE_TYPES};

static const struct fl_pg_statement RESOLVE = {
    "fl_resolve",
    "SELECT status, outcome, message, version, row_count, xid FROM fenceline.resolve_commit("
    "    $1, $2, $3::integer, timestamptz 'epoch' + $4 * interval '1 microsecond')",
    4, RESOLVE_TYPES};

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
    FL_ASSERT(!"an action for the store");
}

static enum fl_event_type answer_type(enum fl_store_group group)
{
    static const enum fl_event_type TYPES[FL_GROUP_COUNT] = {
        [FL_GROUP_COMMIT] = FL_EVENT_COMMITTED, [FL_GROUP_RESOLVE] = FL_EVENT_RESOLVED,
        [FL_GROUP_DECIDE] = FL_EVENT_DECIDED,   [FL_GROUP_CLAIM_CHECK] = FL_EVENT_CLAIM_SEEN,
        [FL_GROUP_CLAIM] = FL_EVENT_CLAIMED,    [FL_GROUP_ENSURE] = FL_EVENT_ENSURED,
        [FL_GROUP_READ] = FL_EVENT_READ,        [FL_GROUP_SUBMIT] = FL_EVENT_START,
    };
    return TYPES[group];
}

/* These share one transaction, with one statement each between BEGIN and COMMIT. */
static bool is_transaction(enum fl_store_group group)
{
    return group == FL_GROUP_COMMIT || group == FL_GROUP_DECIDE;
}

static int batch_limit(enum fl_store_group group)
{
    return group == FL_GROUP_COMMIT ? FL_STORE_COMMIT_BATCH : group == FL_GROUP_SUBMIT ? 1 : FL_STORE_BATCH;
}

/* ---- building a batch ---- */

static void add(struct fl_pg_store *store, struct fl_pg *pg, int id, const struct fl_pg_statement *statement)
{
    struct fl_pg_param params[FL_PG_PARAMS];
    bool bound = fl_pg_params_bind(&store->params, params);
    FL_ASSERT(bound); /* a few KiB: without them the process cannot go on */
    fl_pg_add(pg, id, statement, params);
}

static void add_ids(struct fl_pg_store *store, struct fl_store_lane *lane, int id,
                    const struct fl_pg_statement *statement)
{
    fl_pg_params_clear(&store->params);
    fl_pg_params_begin_array(&store->params, FL_OID_INT8);
    for (int i = 0; i < lane->count; i++)
        fl_pg_params_element_int8(&store->params, lane->requests[i]->import->job.job_id);
    fl_pg_params_end_array(&store->params);
    add(store, &lane->pg, id, statement);
}

static void add_episode_array(struct fl_pg_store *store, const struct fl_store_lane *lane)
{
    fl_pg_params_begin_array(&store->params, FL_OID_TEXT);
    for (int i = 0; i < lane->count; i++)
        fl_pg_params_element_text(&store->params, lane->requests[i]->import->job.episode);
    fl_pg_params_end_array(&store->params);
}

static void add_episodes(struct fl_pg_store *store, struct fl_store_lane *lane, int id,
                         const struct fl_pg_statement *statement)
{
    fl_pg_params_clear(&store->params);
    add_episode_array(store, lane);
    add(store, &lane->pg, id, statement);
}

static void add_claims(struct fl_pg_store *store, struct fl_store_lane *lane)
{
    struct fl_pg_params *params = &store->params;
    fl_pg_params_clear(params);
    add_episode_array(store, lane);
    fl_pg_params_begin_array(params, FL_OID_INT8);
    for (int i = 0; i < lane->count; i++)
        fl_pg_params_element_int8(params, lane->requests[i]->import->version.n);
    fl_pg_params_end_array(params);
    fl_pg_params_begin_array(params, FL_OID_INT8);
    for (int i = 0; i < lane->count; i++)
        fl_pg_params_element_int8(params, lane->requests[i]->import->fence.n);
    fl_pg_params_end_array(params);
    fl_pg_params_begin_array(params, FL_OID_INT8);
    for (int i = 0; i < lane->count; i++)
        fl_pg_params_element_int8(params, lane->requests[i]->import->lease.token.n);
    fl_pg_params_end_array(params);
    fl_pg_params_begin_array(params, FL_OID_TEXT);
    for (int i = 0; i < lane->count; i++)
        fl_pg_params_element_text(params, fl_slice_from(lane->requests[i]->import->lease.nonce.hex));
    fl_pg_params_end_array(params);
    fl_pg_params_begin_array(params, FL_OID_TEXT);
    for (int i = 0; i < lane->count; i++) {
        char holder[300];
        snprintf(holder, sizeof holder, "%s job %lld", store->holder,
                 (long long)lane->requests[i]->import->job.job_id);
        fl_pg_params_element_text(params, fl_slice_from(holder));
    }
    fl_pg_params_end_array(params);
    add(store, &lane->pg, FL_STATEMENT_CLAIM, &CLAIM);
}

static void add_decision(struct fl_pg_store *store, struct fl_pg *pg, const struct fl_import *im)
{
    fl_pg_params_clear(&store->params);
    fl_pg_params_int8(&store->params, im->job.job_id);
    fl_pg_params_text(&store->params, fl_slice_from(fl_outcome_name(im->want)));
    fl_pg_params_text(&store->params, fl_slice_from(im->want_err.text));
    add(store, pg, FL_STATEMENT_DECIDE, &DECIDE);
}

static void add_resolution(struct fl_pg_store *store, struct fl_pg *pg, const struct fl_import *im)
{
    fl_pg_params_clear(&store->params);
    fl_pg_params_int8(&store->params, im->job.job_id);
    if (im->mark.xid)
        fl_pg_params_int8(&store->params, (int64_t)im->mark.xid);
    else
        fl_pg_params_text(&store->params, (struct fl_slice){0});
    fl_pg_params_int8(&store->params, im->mark.backend_pid);
    fl_pg_params_int8(&store->params, im->mark.backend_start_us);
    add(store, pg, FL_STATEMENT_RESOLVE, &RESOLVE);
}

static void add_one(struct fl_pg_store *store, struct fl_store_lane *lane, struct fl_request *request)
{
    switch (lane->group) {
    case FL_GROUP_COMMIT: fl_pg_commit_add(store, &lane->pg, request); break;
    case FL_GROUP_DECIDE: add_decision(store, &lane->pg, request->import); break;
    case FL_GROUP_RESOLVE: add_resolution(store, &lane->pg, request->import); break;
    case FL_GROUP_SUBMIT: fl_pg_submit_add(store, &lane->pg, (const struct fl_submit *)request); break;
    case FL_GROUP_CLAIM_CHECK:
    case FL_GROUP_CLAIM:
    case FL_GROUP_ENSURE:
    case FL_GROUP_READ:
    case FL_GROUP_COUNT: FL_ASSERT(!"a statement for one request");
    }
}

static void add_batch(struct fl_pg_store *store, struct fl_store_lane *lane)
{
    switch (lane->group) {
    case FL_GROUP_READ: add_ids(store, lane, FL_STATEMENT_READ, &READ); return;
    case FL_GROUP_ENSURE: add_episodes(store, lane, FL_STATEMENT_ENSURE, &ENSURE); return;
    case FL_GROUP_CLAIM: add_claims(store, lane); return;
    case FL_GROUP_CLAIM_CHECK: add_episodes(store, lane, FL_STATEMENT_CLAIM_CHECK, &CLAIM_CHECK); return;
    case FL_GROUP_COMMIT:
    case FL_GROUP_DECIDE:
    case FL_GROUP_RESOLVE:
    case FL_GROUP_SUBMIT:
    case FL_GROUP_COUNT: break;
    }
    if (is_transaction(lane->group))
        fl_pg_add_command(&lane->pg, "BEGIN");
    for (int i = 0; i < lane->count; i++)
        add_one(store, lane, lane->requests[i]);
    if (is_transaction(lane->group))
        fl_pg_add_command(&lane->pg, "COMMIT");
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
        lane->requests[lane->count++] = request;
        if (request->alone)
            break;
    }
    if (group != FL_GROUP_SUBMIT)
        qsort(lane->requests, (size_t)lane->count, sizeof(struct fl_request *), by_episode);
    for (int i = 0; i < lane->count; i++)
        lane->events[i].op = lane->requests[i]->op;
}

/* ---- reading results ---- */

static int64_t int64_at(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) ? 0 : strtoll(PQgetvalue(result, row, column), NULL, 10);
}

static struct fl_slice text_at(const PGresult *result, int row, int column)
{
    if (PQgetisnull(result, row, column))
        return (struct fl_slice){0};
    return (struct fl_slice){PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column)};
}

/* Four columns from `first`: outcome, message, version, row_count. */
static void read_answer(const PGresult *result, int row, int first, struct fl_answer *answer)
{
    struct fl_err message;
    fl_err_set(&message, FL_OK, "%.*s", FL_ARGS(text_at(result, row, first + 1)));
    answer->outcome = fl_outcome_from_name(text_at(result, row, first));
    answer->version = int64_at(result, row, first + 2);
    answer->row_count = int64_at(result, row, first + 3);
    memcpy(answer->message, message.text, sizeof answer->message);
}

static void read_read(const PGresult *result, int row, struct fl_event *event)
{
    event->read.job_found = !PQgetisnull(result, row, 10);
    read_answer(result, row, 0, &event->read.answer);
    event->read.rank = int64_at(result, row, 4);
    event->read.episode_found = !PQgetisnull(result, row, 5);
    event->read.version.n = int64_at(result, row, 5);
    event->read.fence.n = int64_at(result, row, 6);
    event->read.document_found = !PQgetisnull(result, row, 7);
    event->read.document_version = int64_at(result, row, 7);
    event->read.document_rank = int64_at(result, row, 8);
    event->read.document_deleted = fl_slice_is(text_at(result, row, 9), "t");
}

static void read_claim_seen(const PGresult *result, int row, struct fl_event *event)
{
    struct fl_slice nonce = text_at(result, row, 1);
    event->claim_seen.fence.n = int64_at(result, row, 0);
    event->claim_seen.nonce = (struct fl_nonce){{0}};
    if (nonce.len == FL_NONCE_LEN)
        memcpy(event->claim_seen.nonce.hex, nonce.ptr, FL_NONCE_LEN);
}

/* One row per request, in the order of the batch. */
static void read_rows(struct fl_store_lane *lane, const PGresult *result)
{
    for (int i = 0; i < lane->count; i++) {
        struct fl_event *event = &lane->events[i];
        event->status = FL_OK;
        if (lane->group == FL_GROUP_ENSURE)
            continue;
        FL_ASSERT(PQntuples(result) == lane->count);
        if (lane->group == FL_GROUP_READ)
            read_read(result, i, event);
        else if (lane->group == FL_GROUP_CLAIM)
            event->claimed.claimed = fl_slice_is(text_at(result, i, 0), "t");
        else
            read_claim_seen(result, i, event);
    }
}

/* One row of fenceline.answer. The event of a commit stays FL_LOST until the tag of the COMMIT has been seen.
 */
static void read_answer_row(struct fl_store_lane *lane, int i, const PGresult *result)
{
    struct fl_event *event = &lane->events[i];
    FL_ASSERT(PQntuples(result) == 1);
    struct fl_slice status = text_at(result, 0, 0);
    struct fl_answer answer;
    read_answer(result, 0, 1, &answer);
    if (lane->group == FL_GROUP_COMMIT) {
        event->mark.xid = (uint64_t)int64_at(result, 0, 5);
        event->committed.answer = answer;
        event->committed.status = fl_slice_is(status, "done")    ? FL_COMMIT_DONE
                                  : fl_slice_is(status, "stale") ? FL_COMMIT_STALE
                                                                 : FL_COMMIT_DECIDED;
    } else if (lane->group == FL_GROUP_DECIDE) {
        event->decided.answer = answer;
        event->decided.ground_gone = fl_slice_is(status, "retry");
    } else {
        event->status = FL_OK;
        event->resolved.answer = answer;
        event->resolved.status = fl_slice_is(status, "decided") ? FL_RESOLVED_DECIDED
                                 : fl_slice_is(status, "never") ? FL_RESOLVED_NEVER
                                                                : FL_RESOLVED_RUNNING;
    }
}

static void on_result(void *owner, struct fl_pg *pg, int index, const PGresult *result)
{
    struct fl_store_lane *lane = owner;
    (void)pg;
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_PIPELINE_ABORTED)
        return;
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        if (!lane->has_error)
            fl_pg_result_error(&lane->err, result);
        lane->has_error = true;
        return;
    }
    if (is_transaction(lane->group)) {
        if (index == lane->count + 1)
            lane->committed = strcmp(PQcmdStatus((PGresult *)result), "COMMIT") == 0;
        else if (index > 0)
            read_answer_row(lane, index - 1, result);
    } else if (lane->group == FL_GROUP_RESOLVE) {
        read_answer_row(lane, index, result);
    } else if (lane->group == FL_GROUP_SUBMIT) {
        fl_pg_submit_read(result, (struct fl_submit *)lane->requests[0]);
        lane->events[0].status = FL_OK;
    } else {
        read_rows(lane, result);
    }
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
    bool refused = lane->has_error || (is_transaction(lane->group) && !lane->committed);
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
        else if (is_transaction(lane->group))
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
        enum fl_store_group group = request->import ? group_of(request->action) : FL_GROUP_SUBMIT;
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
    bool too_early = has_open_lane(store) && (int64_t)uv_now(store->loop) - store->failed_open_ms < REOPEN_MS;
    struct fl_store_lane *closed = NULL;
    for (int i = 0; i < store->lane_count; i++) {
        enum fl_pg_state state = store->lanes[i].pg.state;
        if (state == FL_PG_CONNECTING || state == FL_PG_SETUP)
            return;
        if (state == FL_PG_CLOSED && !closed)
            closed = &store->lanes[i];
    }
    if (closed && !too_early)
        fl_pg_open(&closed->pg);
}

static void dispatch(uv_prepare_t *handle)
{
    struct fl_pg_store *store = handle->data;
    for (int i = 0; i < store->lane_count && !nothing_waits(store); i++) {
        struct fl_store_lane *lane = &store->lanes[i];
        if (lane->pg.state != FL_PG_IDLE)
            continue;
        int group = 0;
        while (fl_list_is_empty(&store->queues[group]))
            group++;
        take_batch(lane, (enum fl_store_group)group);
        store->batches++;
        store->batched += (uint64_t)lane->count;
        add_batch(store, lane);
        fl_pg_send(&lane->pg);
    }
    if (!nothing_waits(store))
        open_one_more(store);
}

static void start(void *self, struct fl_request *request)
{
    struct fl_pg_store *store = self;
    fl_list_append(&store->queues[group_of(request->action)], &request->link);
}

void fl_pg_store_submit(struct fl_pg_store *store, struct fl_submit *submit)
{
    submit->request.import = NULL;
    fl_list_append(&store->queues[FL_GROUP_SUBMIT], &submit->request.link);
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
        struct fl_pg_events events = {lane, on_idle, on_result, on_batch_end, on_down};
        lane->store = store;
        fl_pg_init(&lane->pg, loop, dsn, timeout_ms, &events);
    }
    char host[128] = "?";
    gethostname(host, sizeof host - 1);
    snprintf(store->holder, sizeof store->holder, "%s@%s:%ld", name, host, (long)getpid());
    store->failed_open_ms = -REOPEN_MS;
    fl_pg_params_init(&store->params);
    uv_prepare_init(loop, &store->dispatch);
    store->dispatch.data = store;
    uv_prepare_start(&store->dispatch, dispatch);
    uv_unref((uv_handle_t *)&store->dispatch);
    return FL_OK;
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
