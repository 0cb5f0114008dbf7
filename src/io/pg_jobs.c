/* pg_jobs.c - writes job rows, many in one statement (protocol, "Jobs": a row before anything else). */
#include <stdlib.h>

#include "base/assert.h"
#include "base/slice.h"
#include "io/pg_store.h"

static const Oid SUBMIT_TYPES[] = {FL_OID_UUID,       FL_OID_TEXT_ARRAY, FL_OID_TEXT_ARRAY, FL_OID_TEXT_ARRAY,
                                   FL_OID_INT8_ARRAY, FL_OID_TEXT_ARRAY, FL_OID_TEXT};
static const struct fl_pg_statement SUBMIT = {
    "fl_submit", "SELECT fenceline.submit_jobs($1, $2, $3, $4, $5, $6, $7)", 7, SUBMIT_TYPES};

enum column { EPISODE, KIND, MODE, SOURCE };

static struct fl_slice cell(const struct fl_submit_job *job, enum column column)
{
    switch (column) {
    case EPISODE: return job->episode;
    case KIND: return fl_slice_from(fl_kind_name(job->kind));
    case MODE: return fl_slice_from(fl_mode_name(job->mode));
    case SOURCE: break;
    }
    return job->source;
}

static void put_column(struct fl_pg_params *params, const struct fl_submit *submit, enum column column)
{
    fl_pg_params_begin_array(params, FL_OID_TEXT);
    for (size_t i = 0; i < submit->count; i++)
        fl_pg_params_element_text(params, cell(&submit->jobs[i], column));
    fl_pg_params_end_array(params);
}

static void put_if_versions(struct fl_pg_params *params, const struct fl_submit *submit)
{
    fl_pg_params_begin_array(params, FL_OID_INT8);
    for (size_t i = 0; i < submit->count; i++) {
        if (submit->jobs[i].mode == FL_MODE_IF_VERSION)
            fl_pg_params_element_int8(params, submit->jobs[i].if_version);
        else
            fl_pg_params_element_null(params);
    }
    fl_pg_params_end_array(params);
}

void fl_pg_submit_add(struct fl_pg_store *store, struct fl_pg *pg, const struct fl_submit *submit)
{
    struct fl_pg_params *params = &store->params;
    struct fl_pg_param bound[FL_PG_PARAMS];
    fl_pg_params_clear(params);
    fl_pg_params_bytea(params, (const uint8_t *)submit->request_id, sizeof submit->request_id);
    put_column(params, submit, EPISODE);
    put_column(params, submit, KIND);
    put_column(params, submit, MODE);
    put_if_versions(params, submit);
    put_column(params, submit, SOURCE);
    fl_pg_params_text(params, submit->worker);
    bool complete = fl_pg_params_bind(params, bound);
    FL_ASSERT(complete);
    fl_pg_add(pg, FL_STATEMENT_SUBMIT, &SUBMIT, bound);
}

void fl_pg_submit_read(const PGresult *result, struct fl_submit *submit)
{
    FL_ASSERT((size_t)PQntuples(result) == submit->count);
    for (size_t i = 0; i < submit->count; i++)
        submit->job_ids[i] = strtoll(PQgetvalue(result, (int)i, 0), NULL, 10);
}
