/* pg_jobs.c - writes job rows, many in one statement (protocol, "Jobs": a row before anything else).
 *
 * Happy path: one array a column, one call, the ids in the order of the jobs. Failure modes: those of a call
 * (pg_store.h); after FL_LOST the rows may be there, and the same request id sent again finds them instead of
 * writing them twice. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/slice.h"
#include "io/pg_store.h"

static const Oid SUBMIT_TYPES[] = {FL_OID_UUID,       FL_OID_INT8,       FL_OID_TEXT_ARRAY, FL_OID_TEXT_ARRAY,
                                   FL_OID_TEXT_ARRAY, FL_OID_INT8_ARRAY, FL_OID_TEXT_ARRAY, FL_OID_TEXT};
static const struct fl_pg_statement SUBMIT = {
    "fl_submit", "SELECT fenceline.submit_jobs($1, $2 = 1, $3, $4, $5, $6, $7, $8)", 8, SUBMIT_TYPES};

enum { OID_BYTEA_ARRAY = 1001 };
static const Oid ENQUEUE_TYPES[] = {
    FL_OID_UUID,       FL_OID_INT8,       FL_OID_TEXT_ARRAY, FL_OID_TEXT_ARRAY, FL_OID_TEXT_ARRAY,
    FL_OID_INT8_ARRAY, FL_OID_TEXT_ARRAY, OID_BYTEA_ARRAY,   FL_OID_TEXT_ARRAY, FL_OID_BOOL_ARRAY,
    FL_OID_BOOL_ARRAY, FL_OID_INT8_ARRAY, FL_OID_INT8_ARRAY};
static const struct fl_pg_statement ENQUEUE = {
    "fl_enqueue", "SELECT fenceline.enqueue_jobs($1, $2 = 1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    13, ENQUEUE_TYPES};

enum column { EPISODE, KIND, MODE, IF_VERSION, SOURCE, BODY, FORMAT, STRICT, REPAIR, PRIORITY, NOT_BEFORE };

static const uint32_t ELEMENT_TYPES[] = {
    [EPISODE] = FL_OID_TEXT, [KIND] = FL_OID_TEXT,     [MODE] = FL_OID_TEXT,       [IF_VERSION] = FL_OID_INT8,
    [SOURCE] = FL_OID_TEXT,  [BODY] = FL_OID_BYTEA,    [FORMAT] = FL_OID_TEXT,     [STRICT] = FL_OID_BOOL,
    [REPAIR] = FL_OID_BOOL,  [PRIORITY] = FL_OID_INT8, [NOT_BEFORE] = FL_OID_INT8,
};

static void put_int8(struct fl_pg_params *params, int64_t value, bool is_null)
{
    if (is_null)
        fl_pg_params_element_null(params);
    else
        fl_pg_params_element_int8(params, value);
}

static void put_cell(struct fl_pg_params *params, const struct fl_submit_job *job, enum column column)
{
    bool has_format = job->format != FL_FORMAT_NONE;
    switch (column) {
    case EPISODE: fl_pg_params_element_text(params, job->episode); break;
    case KIND: fl_pg_params_element_text(params, fl_slice_from(fl_kind_name(job->kind))); break;
    case MODE: fl_pg_params_element_text(params, fl_slice_from(fl_mode_name(job->mode))); break;
    case IF_VERSION: put_int8(params, job->if_version, job->mode != FL_MODE_IF_VERSION); break;
    case SOURCE: fl_pg_params_element_text(params, job->source); break;
    case BODY: fl_pg_params_element_text(params, job->body); break; /* bytea: the bytes as they are */
    case FORMAT:
        fl_pg_params_element_text(params, fl_slice_from(has_format ? fl_format_name(job->format) : NULL));
        break;
    case STRICT: fl_pg_params_element_bool(params, job->strict); break;
    case REPAIR: fl_pg_params_element_bool(params, job->repair); break;
    case PRIORITY: fl_pg_params_element_int8(params, job->priority); break;
    case NOT_BEFORE: put_int8(params, job->not_before_ms, job->not_before_ms == 0); break;
    }
}

static void put_column(struct fl_pg_params *params, const struct fl_submit *submit, enum column column)
{
    fl_pg_params_begin_array(params, ELEMENT_TYPES[column]);
    for (size_t i = 0; i < submit->count; i++)
        put_cell(params, &submit->jobs[i], column);
    fl_pg_params_end_array(params);
}

static void put_request(struct fl_pg_params *params, const struct fl_submit *submit)
{
    fl_pg_params_bytea(params, (const uint8_t *)submit->request_id, sizeof submit->request_id);
    fl_pg_params_int8(params, submit->again);
}

static void bind_submit(const struct fl_pg_call *call, struct fl_pg_params *params)
{
    const struct fl_submit *submit = (const struct fl_submit *)call;
    put_request(params, submit);
    for (enum column column = EPISODE; column <= SOURCE; column++)
        put_column(params, submit, column);
    fl_pg_params_text(params, submit->worker);
}

static void bind_enqueue(const struct fl_pg_call *call, struct fl_pg_params *params)
{
    const struct fl_submit *submit = (const struct fl_submit *)call;
    put_request(params, submit);
    for (enum column column = EPISODE; column <= NOT_BEFORE; column++)
        put_column(params, submit, column);
}

static void read_ids(struct fl_pg_call *call, const PGresult *result)
{
    struct fl_submit *submit = (struct fl_submit *)call;
    FL_ASSERT((size_t)PQntuples(result) == submit->count);
    for (size_t i = 0; i < submit->count; i++)
        submit->job_ids[i] = strtoll(PQgetvalue(result, (int)i, 0), NULL, 10);
}

void fl_pg_store_submit(struct fl_pg_store *store, struct fl_submit *submit,
                        void (*done)(struct fl_request *request, struct fl_event *event))
{
    submit->call.id = FL_STATEMENT_SUBMIT;
    submit->call.statement = &SUBMIT;
    submit->call.bind = bind_submit;
    submit->call.read = read_ids;
    fl_pg_store_call(store, &submit->call, done);
}

void fl_pg_store_enqueue(struct fl_pg_store *store, struct fl_submit *submit,
                         void (*done)(struct fl_request *request, struct fl_event *event))
{
    submit->call.id = FL_STATEMENT_ENQUEUE;
    submit->call.statement = &ENQUEUE;
    submit->call.bind = bind_enqueue;
    submit->call.read = read_ids;
    fl_pg_store_call(store, &submit->call, done);
}
