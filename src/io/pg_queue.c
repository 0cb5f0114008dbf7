/* pg_queue.c - see pg_queue.h. Each call: a statement, what it binds, what it reads. */
#include "io/pg_queue.h"

#include "base/assert.h"
#include "base/slice.h"
#include "io/pg_result.h"
#include "io/pg_schema.h"

static void start(struct fl_pg_store *store, struct fl_pg_call *call, fl_pg_call_done *done, int id,
                  const struct fl_pg_statement *statement,
                  void (*bind_call)(const struct fl_pg_call *, struct fl_pg_params *),
                  void (*read_rows)(struct fl_pg_call *, const PGresult *))
{
    call->id = id;
    call->statement = statement;
    call->bind = bind_call;
    call->read = read_rows;
    fl_pg_store_call(store, call, done);
}

static void put_ids(struct fl_pg_params *params, const int64_t *ids, size_t count)
{
    fl_pg_params_begin_array(params, FL_OID_INT8);
    for (size_t i = 0; i < count; i++)
        fl_pg_params_element_int8(params, ids[i]);
    fl_pg_params_end_array(params);
}

/* ---- begin ---- */

static const Oid BEGIN_TYPES[] = {FL_OID_INT8_ARRAY, FL_OID_TEXT};
static const struct fl_pg_statement BEGIN = {
    "fl_begin",
    "SELECT id, episode, kind, mode, if_version, source, body, "
    "format, strict, repair, attempts, deaths, waited_ms, rank, version, "
    "fence, document_version, document_rank, document_deleted"
    "  FROM fenceline.begin_jobs($1, $2)",
    2, BEGIN_TYPES};

static void bind_begin(const struct fl_pg_call *call, struct fl_pg_params *params)
{
    const struct fl_queue_begin *begin = (const struct fl_queue_begin *)call;
    put_ids(params, begin->ids, begin->count);
    fl_pg_params_text(params, begin->worker);
}

/* Of an open job; six columns from `first`. */
static struct fl_reading read_reading(const PGresult *result, int row, int first)
{
    return (struct fl_reading){
        .job_found = true,
        .rank = fl_pg_int64(result, row, first),
        .episode_found = !PQgetisnull(result, row, first + 1),
        .version = {fl_pg_int64(result, row, first + 1)},
        .fence = {fl_pg_int64(result, row, first + 2)},
        .document_found = !PQgetisnull(result, row, first + 3),
        .document_version = fl_pg_int64(result, row, first + 3),
        .document_rank = fl_pg_int64(result, row, first + 4),
        .document_deleted = fl_pg_bool(result, row, first + 5),
    };
}

static void read_begin(struct fl_pg_call *call, const PGresult *result)
{
    struct fl_queue_begin *begin = (struct fl_queue_begin *)call;
    for (int row = 0; row < PQntuples(result); row++) {
        struct fl_begun_job job = {
            .job_id = fl_pg_int64(result, row, 0),
            .episode = fl_pg_text(result, row, 1),
            .kind = fl_kind_from_name(fl_pg_text(result, row, 2)),
            .if_version = fl_pg_int64(result, row, 4),
            .source = fl_pg_text(result, row, 5),
            .body = fl_pg_text(result, row, 6),
            .format = fl_format_from_name(fl_pg_text(result, row, 7)),
            .strict = fl_pg_bool(result, row, 8),
            .repair = fl_pg_bool(result, row, 9),
            .attempts = fl_pg_int64(result, row, 10),
            .deaths = fl_pg_int64(result, row, 11),
            .waited_ms = fl_pg_int64(result, row, 12),
            .reading = read_reading(result, row, 13),
        };
        bool known = fl_mode_from_name(fl_pg_text(result, row, 3), &job.mode);
        FL_ASSERT(known && job.kind != FL_KIND_NONE); /* constraints of the table */
        begin->begun(begin->owner, &job);
    }
}

void fl_pg_queue_begin(struct fl_pg_store *store, struct fl_queue_begin *begin, fl_pg_call_done *done)
{
    start(store, &begin->call, done, FL_STATEMENT_BEGIN, &BEGIN, bind_begin, read_begin);
}

size_t fl_pg_queue_unhex(struct fl_slice hex, char *out)
{
    size_t count = 0;
    for (size_t i = 2; i + 1 < hex.len; i += 2) {
        int high = fl_slice_hex_digit(hex.ptr[i]), low = fl_slice_hex_digit(hex.ptr[i + 1]);
        if (high < 0 || low < 0)
            break;
        out[count++] = (char)(high * 16 + low);
    }
    return count;
}

/* ---- begin_suspect ---- */

static const Oid BEGIN_SUSPECT_TYPES[] = {FL_OID_INT8, FL_OID_TEXT, FL_OID_INT8};
static const struct fl_pg_statement BEGIN_SUSPECT = {
    "fl_begin_suspect", "SELECT fenceline.begin_suspect($1, $2, $3::integer)", 3, BEGIN_SUSPECT_TYPES};

static void bind_begin_suspect(const struct fl_pg_call *call, struct fl_pg_params *params)
{
    const struct fl_queue_begin_suspect *begin = (const struct fl_queue_begin_suspect *)call;
    fl_pg_params_int8(params, begin->job_id);
    fl_pg_params_text(params, begin->worker);
    fl_pg_params_int8(params, begin->max_deaths);
}

static void read_begin_suspect(struct fl_pg_call *call, const PGresult *result)
{
    ((struct fl_queue_begin_suspect *)call)->begun = fl_pg_bool(result, 0, 0);
}

void fl_pg_queue_begin_suspect(struct fl_pg_store *store, struct fl_queue_begin_suspect *begin,
                               fl_pg_call_done *done)
{
    start(store, &begin->call, done, FL_STATEMENT_BEGIN_SUSPECT, &BEGIN_SUSPECT, bind_begin_suspect,
          read_begin_suspect);
}

/* ---- postpone ---- */

static const Oid POSTPONE_TYPES[] = {FL_OID_INT8, FL_OID_TEXT, FL_OID_TEXT, FL_OID_INT8, FL_OID_INT8};
static const struct fl_pg_statement POSTPONE = {
    "fl_postpone", "SELECT fenceline.postpone_job($1, $2, $3, $4, $5::integer)", 5, POSTPONE_TYPES};

static void bind_postpone(const struct fl_pg_call *call, struct fl_pg_params *params)
{
    const struct fl_queue_postpone *postpone = (const struct fl_queue_postpone *)call;
    fl_pg_params_int8(params, postpone->job_id);
    fl_pg_params_text(params, postpone->worker);
    fl_pg_params_text(params, postpone->error);
    fl_pg_params_int8(params, postpone->delay_ms);
    fl_pg_params_int8(params, postpone->max_attempts);
}

static void read_postpone(struct fl_pg_call *call, const PGresult *result)
{
    ((struct fl_queue_postpone *)call)->outcome = fl_outcome_from_name(fl_pg_text(result, 0, 0));
}

void fl_pg_queue_postpone(struct fl_pg_store *store, struct fl_queue_postpone *postpone,
                          fl_pg_call_done *done)
{
    start(store, &postpone->call, done, FL_STATEMENT_POSTPONE, &POSTPONE, bind_postpone, read_postpone);
}

/* ---- dispatch ---- */

static const Oid DISPATCH_TYPES[] = {FL_OID_INT8, FL_OID_INT8, FL_OID_INT8};
static const struct fl_pg_statement DISPATCH = {
    "fl_dispatch",
    "SELECT id, level, due_in_ms FROM fenceline.dispatch_jobs($1::integer, $2::integer, $3::integer)", 3,
    DISPATCH_TYPES};

static void bind_dispatch(const struct fl_pg_call *call, struct fl_pg_params *params)
{
    const struct fl_queue_dispatch *dispatch = (const struct fl_queue_dispatch *)call;
    for (int i = 0; i < FL_PRIORITY_COUNT; i++)
        fl_pg_params_int8(params, dispatch->room[i]);
}

static void read_dispatch(struct fl_pg_call *call, const PGresult *result)
{
    struct fl_queue_dispatch *dispatch = (struct fl_queue_dispatch *)call;
    int last = PQntuples(result) - 1;
    FL_ASSERT(last >= 0 && (size_t)last <= sizeof dispatch->jobs / sizeof *dispatch->jobs);
    int64_t taken[FL_PRIORITY_COUNT] = {0};
    for (int row = 0; row < last; row++) {
        dispatch->jobs[row] =
            (struct fl_queue_id){fl_pg_int64(result, row, 0), (enum fl_priority)fl_pg_int64(result, row, 1)};
        taken[dispatch->jobs[row].priority - FL_PRIORITY_HIGH]++;
    }
    dispatch->count = (size_t)last;
    dispatch->due_in_ms = PQgetisnull(result, last, 2) ? FL_NEVER_MS : fl_pg_int64(result, last, 2);
    dispatch->more = false;
    for (int i = 0; i < FL_PRIORITY_COUNT; i++)
        dispatch->more = dispatch->more || taken[i] >= dispatch->room[i];
}

void fl_pg_queue_dispatch(struct fl_pg_store *store, struct fl_queue_dispatch *dispatch,
                          fl_pg_call_done *done)
{
    start(store, &dispatch->call, done, FL_STATEMENT_DISPATCH, &DISPATCH, bind_dispatch, read_dispatch);
}

/* ---- dispatched ---- */

static const struct fl_pg_statement DISPATCHED = {
    "fl_dispatched", "SELECT id, level FROM fenceline.dispatched_jobs($1, $2, $3::integer)", 3,
    DISPATCH_TYPES};

static void bind_dispatched(const struct fl_pg_call *call, struct fl_pg_params *params)
{
    const struct fl_queue_dispatched *dispatched = (const struct fl_queue_dispatched *)call;
    fl_pg_params_int8(params, dispatched->age_ms);
    fl_pg_params_int8(params, dispatched->after);
    fl_pg_params_int8(params, FL_DISPATCHED_LIMIT);
}

static void read_dispatched(struct fl_pg_call *call, const PGresult *result)
{
    struct fl_queue_dispatched *dispatched = (struct fl_queue_dispatched *)call;
    int count = PQntuples(result);
    FL_ASSERT(count <= FL_DISPATCHED_LIMIT);
    for (int row = 0; row < count; row++)
        dispatched->jobs[row] =
            (struct fl_queue_id){fl_pg_int64(result, row, 0), (enum fl_priority)fl_pg_int64(result, row, 1)};
    dispatched->count = (size_t)count;
}

void fl_pg_queue_dispatched(struct fl_pg_store *store, struct fl_queue_dispatched *dispatched,
                            fl_pg_call_done *done)
{
    start(store, &dispatched->call, done, FL_STATEMENT_DISPATCHED, &DISPATCHED, bind_dispatched,
          read_dispatched);
}

/* ---- suspect, tidy, control ---- */

static const Oid SUSPECT_TYPES[] = {FL_OID_INT8_ARRAY, FL_OID_TEXT_ARRAY};
static const struct fl_pg_statement SUSPECT = {"fl_suspect", "SELECT fenceline.suspect_jobs($1, $2)", 2,
                                               SUSPECT_TYPES};

static void bind_suspect(const struct fl_pg_call *call, struct fl_pg_params *params)
{
    const struct fl_queue_suspect *suspect = (const struct fl_queue_suspect *)call;
    put_ids(params, suspect->ids, suspect->count);
    fl_pg_params_begin_array(params, FL_OID_TEXT);
    for (size_t i = 0; i < suspect->count; i++)
        fl_pg_params_element_text(params, fl_slice_from(suspect->workers[i]));
    fl_pg_params_end_array(params);
}

static void read_nothing(struct fl_pg_call *call, const PGresult *result)
{
    (void)call;
    (void)result;
}

void fl_pg_queue_suspect(struct fl_pg_store *store, struct fl_queue_suspect *suspect, fl_pg_call_done *done)
{
    start(store, &suspect->call, done, FL_STATEMENT_SUSPECT, &SUSPECT, bind_suspect, read_nothing);
}

enum { TIDY_LIMIT = 5000 };

static const Oid TIDY_TYPES[] = {FL_OID_INT8, FL_OID_INT8};
static const struct fl_pg_statement TIDY = {"fl_tidy", "SELECT fenceline.tidy_jobs($1, $2::integer)", 2,
                                            TIDY_TYPES};

static void bind_tidy(const struct fl_pg_call *call, struct fl_pg_params *params)
{
    fl_pg_params_int8(params, ((const struct fl_queue_tidy *)call)->retention_days);
    fl_pg_params_int8(params, TIDY_LIMIT);
}

static void read_tidy(struct fl_pg_call *call, const PGresult *result)
{
    ((struct fl_queue_tidy *)call)->purged = fl_pg_int64(result, 0, 0);
}

void fl_pg_queue_tidy(struct fl_pg_store *store, struct fl_queue_tidy *tidy, fl_pg_call_done *done)
{
    start(store, &tidy->call, done, FL_STATEMENT_TIDY, &TIDY, bind_tidy, read_tidy);
}

static const struct fl_pg_statement CONTROL = {
    "fl_control",
    "SELECT paused, (SELECT max(version) FROM fenceline.schema_versions) FROM fenceline.queue_control", 0,
    NULL};

static void bind_control(const struct fl_pg_call *call, struct fl_pg_params *params)
{
    (void)call;
    (void)params;
}

static void read_control(struct fl_pg_call *call, const PGresult *result)
{
    struct fl_queue_control *control = (struct fl_queue_control *)call;
    control->paused = PQntuples(result) > 0 && fl_pg_bool(result, 0, 0);
    control->schema_version = PQntuples(result) > 0 ? fl_pg_int64(result, 0, 1) : 0;
}

void fl_pg_queue_control(struct fl_pg_store *store, struct fl_queue_control *control, fl_pg_call_done *done)
{
    start(store, &control->call, done, FL_STATEMENT_CONTROL, &CONTROL, bind_control, read_control);
}
