/* pg_doctor_queue.c - see pg_doctor.h: the parts that ask for our own schema, and the queue in it.
 *
 * Failure modes: those of fl_pg_sync_query; pg_doctor.c keeps the reason. */
#include <inttypes.h>
#include <stdio.h>

#include "base/arena.h"
#include "io/pg_doctor_look.h"
#include "io/pg_schema.h"

enum { NUMBER_BYTES = 24 };

static const char HAS_SCHEMA_SQL[] =
    "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    "                WHERE n.nspname = 'fenceline' AND c.relname = 'schema_versions')";
static const char TABLES_SQL[] =
    "SELECT s.schemaname || '.' || s.relname, s.n_live_tup, s.n_dead_tup, pg_total_relation_size(s.relid),"
    "       coalesce((extract(epoch FROM clock_timestamp() - greatest(s.last_vacuum, s.last_autovacuum))"
    "                 * 1000)::bigint, -1),"
    "       current_setting('autovacuum')::boolean AND NOT"
    "       coalesce(c.reloptions && ARRAY['autovacuum_enabled=false', 'autovacuum_enabled=off'], false)"
    "  FROM pg_stat_all_tables s JOIN pg_class c ON c.oid = s.relid"
    " WHERE s.schemaname = 'fenceline'"
    " ORDER BY 6, s.n_dead_tup DESC, s.relname = 'jobs' DESC LIMIT 1";
static const char PAUSED_SQL[] =
    "SELECT paused, paused_by, reason, (extract(epoch FROM clock_timestamp() - paused_at) * 1000)::bigint"
    "  FROM fenceline.queue_control";
/* As dispatch_jobs chooses them; a job behind an older one for its document is not late. */
static const char DUE_SQL[] =
    "SELECT count(*),"
    "       max((extract(epoch FROM clock_timestamp() - greatest(j.created_at, j.not_before)) * "
    "1000)::bigint)"
    "  FROM fenceline.jobs j"
    " WHERE coalesce(j.outcome, 'waiting') = 'waiting' AND j.dispatched_at IS NULL AND j.queued"
    "   AND coalesce(j.not_before, '-infinity') <= clock_timestamp()"
    "   AND NOT EXISTS (SELECT FROM fenceline.jobs o"
    "                    WHERE o.episode_id = j.episode_id AND o.kind = j.kind"
    "                      AND coalesce(o.outcome, 'open') = 'open' AND o.queued AND o.job_id < j.job_id"
    "                      AND o.priority <= j.priority"
    "                      AND (o.dispatched_at IS NOT NULL"
    "                           OR coalesce(o.not_before, '-infinity') <= clock_timestamp()))";
/* A job waits since it was wanted; one that met errors, since the first. */
static const char OPEN_SQL[] =
    "SELECT count(*) OVER (), count(*) FILTER (WHERE queued) OVER (), job_id, fenceline.job_state(j),"
    "       episode_id,"
    "       (extract(epoch FROM clock_timestamp() - since.at) * 1000)::bigint"
    "  FROM fenceline.jobs j,"
    "       LATERAL (SELECT CASE WHEN j.last_error IS NULL THEN greatest(j.created_at, j.not_before)"
    "                            ELSE coalesce((SELECT min(a.at) FROM fenceline.job_attempts a"
    "                                            WHERE a.job_id = j.job_id), j.created_at) END AS at) since"
    " WHERE coalesce(j.outcome, 'open') = 'open' AND since.at <= clock_timestamp()"
    " ORDER BY since.at LIMIT 1";
static const char DEAD_LETTERS_SQL[] =
    "SELECT count(*) FROM fenceline.jobs"
    " WHERE coalesce(outcome, 'open') IN ('rejected', 'invalid', 'failed', 'cancelled')"
    "   AND outcome = 'failed' AND retried_by IS NULL AND queued";
static const char DISPATCHED_SQL[] = "SELECT id FROM fenceline.dispatched_jobs($1::bigint, 0, $2::integer)";
static const char RECHECK_SQL[] =
    "SELECT job_id FROM fenceline.jobs"
    " WHERE job_id = ANY ($1::bigint[]) AND outcome IS NULL"
    "   AND dispatched_at <= clock_timestamp() - $2::bigint * interval '1 millisecond'";

static const char *number(int64_t value, char text[NUMBER_BYTES])
{
    snprintf(text, NUMBER_BYTES, "%" PRId64, value);
    return text;
}

fl_status fl_pg_look_at_schema(struct fl_pg_look *look, struct fl_err *err)
{
    struct fl_pg_rows *rows;
    fl_status status = fl_pg_look_ask(look, HAS_SCHEMA_SQL, &rows, err);
    bool is_there = status == FL_OK && fl_pg_rows_bool(rows, 0, 0);
    if (status == FL_OK)
        fl_pg_rows_free(rows);
    if (!is_there)
        return status;
    status = fl_pg_look_ask(look, fl_pg_schema_version_sql(), &rows, err);
    if (status != FL_OK)
        return status;
    look->facts->schema_version = fl_pg_rows_int64(rows, 0, 0);
    fl_pg_rows_free(rows);
    return FL_OK;
}

fl_status fl_pg_look_at_tables(struct fl_pg_look *look, struct fl_err *err)
{
    struct fl_pg_facts *facts = look->facts;
    struct fl_pg_rows *rows;
    fl_status status = fl_pg_look_ask(look, TABLES_SQL, &rows, err);
    if (status != FL_OK)
        return status;
    if (fl_pg_rows_count(rows)) {
        facts->table = fl_pg_look_keep(look, rows, 0, 0);
        facts->table_live = fl_pg_rows_int64(rows, 0, 1);
        facts->table_dead = fl_pg_rows_int64(rows, 0, 2);
        facts->table_bytes = fl_pg_rows_int64(rows, 0, 3);
        facts->table_vacuumed_ms = fl_pg_rows_int64(rows, 0, 4);
        facts->table_autovacuum = fl_pg_rows_bool(rows, 0, 5);
    }
    fl_pg_rows_free(rows);
    return FL_OK;
}

/* ---- the queue ---- */

static void read_paused(struct fl_pg_look *look, const struct fl_pg_rows *rows)
{
    look->facts->paused = fl_pg_rows_bool(rows, 0, 0);
    look->facts->paused_by = fl_pg_look_keep(look, rows, 0, 1);
    look->facts->paused_reason = fl_pg_look_keep(look, rows, 0, 2);
    look->facts->paused_ms = fl_pg_rows_int64(rows, 0, 3);
}

static void read_due(struct fl_pg_look *look, const struct fl_pg_rows *rows)
{
    look->facts->due = fl_pg_rows_int64(rows, 0, 0);
    look->facts->due_ms = fl_pg_rows_int64(rows, 0, 1);
}

static void read_open(struct fl_pg_look *look, const struct fl_pg_rows *rows)
{
    look->facts->open = fl_pg_rows_int64(rows, 0, 0);
    look->facts->open_for_workers = fl_pg_rows_int64(rows, 0, 1);
    look->facts->open_job = fl_pg_rows_int64(rows, 0, 2);
    look->facts->open_state = fl_pg_look_keep(look, rows, 0, 3);
    look->facts->open_episode = fl_pg_look_keep(look, rows, 0, 4);
    look->facts->open_ms = fl_pg_rows_int64(rows, 0, 5);
}

static void read_dead_letters(struct fl_pg_look *look, const struct fl_pg_rows *rows)
{
    look->facts->dead_letters = fl_pg_rows_int64(rows, 0, 0);
}

static fl_status look_at_dispatched(struct fl_pg_look *look, struct fl_err *err)
{
    char age[NUMBER_BYTES], most[NUMBER_BYTES];
    const char *params[] = {number(look->grace_ms, age), number(FL_DOCTOR_JOBS, most)};
    struct fl_pg_rows *rows;
    fl_status status = fl_pg_sync_query(look->pg, DISPATCHED_SQL, params, 2, &rows, err);
    if (status != FL_OK)
        return status;
    size_t count = fl_pg_rows_count(rows);
    look->facts->dispatched = fl_arena_alloc(look->arena, count * sizeof *look->facts->dispatched);
    for (size_t i = 0; look->facts->dispatched && i < count; i++)
        look->facts->dispatched[i] = fl_pg_rows_int64(rows, i, 0);
    fl_pg_rows_free(rows);
    if (!look->facts->dispatched)
        return fl_err_set(err, FL_NO_MEMORY, "out of memory");
    look->facts->dispatched_count = count;
    return FL_OK;
}

fl_status fl_pg_look_at_queue(struct fl_pg_look *look, struct fl_err *err)
{
    static const struct {
        const char *sql;
        void (*read)(struct fl_pg_look *look, const struct fl_pg_rows *rows);
    } QUESTIONS[] = {
        {PAUSED_SQL, read_paused},
        {DUE_SQL, read_due},
        {OPEN_SQL, read_open},
        {DEAD_LETTERS_SQL, read_dead_letters},
    };
    for (size_t i = 0; i < sizeof QUESTIONS / sizeof *QUESTIONS; i++) {
        struct fl_pg_rows *rows;
        fl_status status = fl_pg_look_ask(look, QUESTIONS[i].sql, &rows, err);
        if (status != FL_OK)
            return status;
        if (fl_pg_rows_count(rows))
            QUESTIONS[i].read(look, rows);
        fl_pg_rows_free(rows);
    }
    return look_at_dispatched(look, err);
}

fl_status fl_pg_doctor_recheck(struct fl_pg_sync *pg, int64_t grace_ms, struct fl_arena *arena, int64_t *jobs,
                               size_t *count, struct fl_err *err)
{
    char age[NUMBER_BYTES];
    size_t room = *count * NUMBER_BYTES + 3, used = 1;
    char *ids = fl_arena_alloc(arena, room);
    if (!ids)
        return fl_err_set(err, FL_NO_MEMORY, "out of memory");
    ids[0] = '{';
    for (size_t i = 0; i < *count; i++)
        used += (size_t)snprintf(ids + used, room - used, "%s%" PRId64, i ? "," : "", jobs[i]);
    snprintf(ids + used, room - used, "}");
    const char *params[] = {ids, number(grace_ms, age)};
    struct fl_pg_rows *rows;
    fl_status status = fl_pg_sync_query(pg, RECHECK_SQL, params, 2, &rows, err);
    if (status != FL_OK)
        return status;
    size_t kept = fl_pg_rows_count(rows) < *count ? fl_pg_rows_count(rows) : *count;
    for (size_t i = 0; i < kept; i++)
        jobs[i] = fl_pg_rows_int64(rows, i, 0);
    *count = kept;
    fl_pg_rows_free(rows);
    return FL_OK;
}
