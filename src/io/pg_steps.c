/* pg_steps.c - the statements of the protocol's steps, for a whole batch, and their results.
 *
 * Reads, claims and checks of a batch are one statement with arrays; commits and decisions are one call each
 * between BEGIN and COMMIT. Every result ends in the event of its request; what was refused is kept in the
 * lane. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "io/pg_error.h"
#include "io/pg_result.h"
#include "io/pg_store.h"

static const Oid READ_TYPES[] = {FL_OID_INT8_ARRAY};
static const Oid TEXT_ARRAY_TYPES[] = {FL_OID_TEXT_ARRAY};
static const Oid CLAIM_TYPES[] = {FL_OID_TEXT_ARRAY, FL_OID_INT8_ARRAY, FL_OID_INT8_ARRAY, FL_OID_INT8_ARRAY,
                                  FL_OID_TEXT_ARRAY, FL_OID_TEXT,       FL_OID_INT8_ARRAY};
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
                                             "$5, $6, $7)) WITH ORDINALITY AS u (c, i) ORDER BY i",
                                             7, CLAIM_TYPES};

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

/* These share one transaction, with one statement each between BEGIN and COMMIT. */
bool fl_pg_steps_share_a_transaction(enum fl_store_group group)
{
    return group == FL_GROUP_COMMIT || group == FL_GROUP_COMMIT_LARGE || group == FL_GROUP_DECIDE;
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
    fl_pg_params_text(params, fl_slice_from(store->holder));
    fl_pg_params_begin_array(params, FL_OID_INT8);
    for (int i = 0; i < lane->count; i++)
        fl_pg_params_element_int8(params, lane->requests[i]->import->job.job_id);
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

static void add_call(struct fl_pg_store *store, struct fl_pg *pg, const struct fl_pg_call *call)
{
    fl_pg_params_clear(&store->params);
    call->bind(call, &store->params);
    add(store, pg, call->id, call->statement);
}

static void add_one(struct fl_pg_store *store, struct fl_store_lane *lane, struct fl_request *request)
{
    switch (lane->group) {
    case FL_GROUP_COMMIT: fl_pg_commit_add(store, &lane->pg, request); break;
    case FL_GROUP_DECIDE: add_decision(store, &lane->pg, request->import); break;
    case FL_GROUP_RESOLVE: add_resolution(store, &lane->pg, request->import); break;
    case FL_GROUP_COMMIT_LARGE:
        lane->sent_rows = 0;
        lane->pieces = 0;
        break; /* the rest by fl_pg_steps_more */
    case FL_GROUP_CALL: add_call(store, &lane->pg, (const struct fl_pg_call *)request); break;
    case FL_GROUP_CLAIM_CHECK:
    case FL_GROUP_CLAIM:
    case FL_GROUP_ENSURE:
    case FL_GROUP_READ:
    case FL_GROUP_COUNT: FL_ASSERT(false && "a statement for one request");
    }
}

void fl_pg_steps_add(struct fl_pg_store *store, struct fl_store_lane *lane)
{
    switch (lane->group) {
    case FL_GROUP_READ: add_ids(store, lane, FL_STATEMENT_READ, &READ); return;
    case FL_GROUP_ENSURE: add_episodes(store, lane, FL_STATEMENT_ENSURE, &ENSURE); return;
    case FL_GROUP_CLAIM: add_claims(store, lane); return;
    case FL_GROUP_CLAIM_CHECK: add_episodes(store, lane, FL_STATEMENT_CLAIM_CHECK, &CLAIM_CHECK); return;
    case FL_GROUP_COMMIT:
    case FL_GROUP_COMMIT_LARGE:
    case FL_GROUP_DECIDE:
    case FL_GROUP_RESOLVE:
    case FL_GROUP_CALL:
    case FL_GROUP_COUNT: break;
    }
    if (fl_pg_steps_share_a_transaction(lane->group))
        fl_pg_add_command(&lane->pg, "BEGIN");
    for (int i = 0; i < lane->count; i++)
        add_one(store, lane, lane->requests[i]);
    if (fl_pg_steps_share_a_transaction(lane->group) && lane->group != FL_GROUP_COMMIT_LARGE)
        fl_pg_add_command(&lane->pg, "COMMIT");
}

bool fl_pg_steps_more(void *owner, struct fl_pg *pg)
{
    struct fl_store_lane *lane = owner;
    if (fl_pg_commit_add_piece(lane->store, lane))
        return true;
    fl_pg_add_command(pg, "COMMIT");
    return false;
}

/* ---- reading results ---- */

/* Four columns from `first`: outcome, message, version, row_count. */
static void read_answer(const PGresult *result, int row, int first, struct fl_answer *answer)
{
    struct fl_err message;
    fl_err_set(&message, FL_OK, "%.*s", FL_ARGS(fl_pg_text(result, row, first + 1)));
    answer->outcome = fl_outcome_from_name(fl_pg_text(result, row, first));
    answer->version = fl_pg_int64(result, row, first + 2);
    answer->row_count = fl_pg_int64(result, row, first + 3);
    memcpy(answer->message, message.text, sizeof answer->message);
}

static void read_read(const PGresult *result, int row, struct fl_event *event)
{
    event->read.job_found = !PQgetisnull(result, row, 10);
    read_answer(result, row, 0, &event->read.answer);
    event->read.rank = fl_pg_int64(result, row, 4);
    event->read.episode_found = !PQgetisnull(result, row, 5);
    event->read.version.n = fl_pg_int64(result, row, 5);
    event->read.fence.n = fl_pg_int64(result, row, 6);
    event->read.document_found = !PQgetisnull(result, row, 7);
    event->read.document_version = fl_pg_int64(result, row, 7);
    event->read.document_rank = fl_pg_int64(result, row, 8);
    event->read.document_deleted = fl_slice_is(fl_pg_text(result, row, 9), "t");
}

static void read_claim_seen(const PGresult *result, int row, struct fl_event *event)
{
    struct fl_slice nonce = fl_pg_text(result, row, 1);
    event->claim_seen.fence.n = fl_pg_int64(result, row, 0);
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
            event->claimed.claimed = fl_slice_is(fl_pg_text(result, i, 0), "t");
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
    struct fl_slice status = fl_pg_text(result, 0, 0);
    struct fl_answer answer;
    read_answer(result, 0, 1, &answer);
    if (lane->group == FL_GROUP_COMMIT || lane->group == FL_GROUP_COMMIT_LARGE) {
        event->mark.xid = (uint64_t)fl_pg_int64(result, 0, 5);
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

void fl_pg_steps_read(void *owner, struct fl_pg *pg, int index, const PGresult *result)
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
    if (lane->group == FL_GROUP_COMMIT_LARGE) /* pieces have nothing to tell */
        index = index <= lane->pieces ? 0 : index - lane->pieces;
    if (fl_pg_steps_share_a_transaction(lane->group)) {
        if (index == lane->count + 1)
            lane->committed = strcmp(PQcmdStatus((PGresult *)result), "COMMIT") == 0;
        else if (index > 0)
            read_answer_row(lane, index - 1, result);
    } else if (lane->group == FL_GROUP_RESOLVE) {
        read_answer_row(lane, index, result);
    } else if (lane->group == FL_GROUP_CALL) {
        struct fl_pg_call *call = (struct fl_pg_call *)lane->requests[0];
        call->read(call, result);
        lane->events[0].status = FL_OK;
    } else {
        read_rows(lane, result);
    }
}
