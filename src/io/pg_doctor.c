/* pg_doctor.c - see pg_doctor.h.
 *
 * Happy path: one statement a part, each in a transaction of its own. Failure modes: a statement that is
 * refused, or a connection that breaks, leaves its reason in the part's trouble, and the next part is looked
 * at all the same. Views of the server hide what belongs to other roles: sees_all tells. */
#include "io/pg_doctor.h"

#include <time.h>

#include "base/arena.h"
#include "base/slice.h"
#include "io/pg_doctor_look.h"

enum { POOLER_ROUNDS = 4 };

static const char *const SETTING_NAMES[FL_PG_SETTING_COUNT] = {
    [FL_PG_FSYNC] = "fsync",
    [FL_PG_FULL_PAGE_WRITES] = "full_page_writes",
    [FL_PG_SYNCHRONOUS_COMMIT] = "synchronous_commit",
    [FL_PG_SYNCHRONOUS_STANDBY_NAMES] = "synchronous_standby_names",
    [FL_PG_IDLE_TIMEOUT] = "idle_in_transaction_session_timeout",
    [FL_PG_STATEMENT_TIMEOUT] = "statement_timeout",
    [FL_PG_LOCK_TIMEOUT] = "lock_timeout",
    [FL_PG_TRANSACTION_TIMEOUT] = "transaction_timeout",
    [FL_PG_MAX_CONNECTIONS] = "max_connections",
    [FL_PG_SUPERUSER_RESERVED] = "superuser_reserved_connections",
    [FL_PG_RESERVED] = "reserved_connections",
};

static const char SERVER_SQL[] =
    "SELECT coalesce(host(inet_server_addr()) || ':' || inet_server_port(), 'local socket'),"
    "       current_database(), current_user, split_part(current_setting('server_version'), ' ', 1),"
    "       pg_is_in_recovery(), pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),"
    "       (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
/* A row that belongs to another role and may not be seen in full has no backend_type. */
static const char SESSIONS_SQL[] =
    "SELECT count(*), count(*) FILTER (WHERE application_name LIKE 'fenceline%' AND pid <> pg_backend_pid()),"
    "       (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user AND NOT rolsuper),"
    "       (SELECT datconnlimit FROM pg_database WHERE datname = current_database())"
    "  FROM pg_stat_activity"
    " WHERE datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'";
/* A limit of -1 is none; least() passes over nulls. reserved_connections came with Postgres 16. Whoever asks
 * has a session too, which is gone in a moment. */
static const char ROOM_SQL[] =
    "SELECT least(current_setting('max_connections')::bigint"
    "               - current_setting('superuser_reserved_connections')::bigint"
    "               - coalesce(current_setting('reserved_connections', true), '0')::bigint,"
    "             nullif((SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user AND NOT rolsuper), "
    "-1),"
    "             nullif((SELECT datconnlimit FROM pg_database WHERE datname = current_database()), -1)),"
    "       (SELECT count(*) - 1 FROM pg_stat_activity"
    "         WHERE datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend')";
static const char TRANSACTION_SQL[] =
    "SELECT (extract(epoch FROM clock_timestamp() - xact_start) * 1000)::bigint,"
    "       pid, state, application_name, usename"
    "  FROM pg_stat_activity"
    " WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    "   AND datname = current_database()"
    " ORDER BY xact_start LIMIT 1";
static const char STANDBYS_SQL[] =
    "SELECT count(*), count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')),"
    "       max(CASE WHEN pg_is_in_recovery() THEN 0"
    "                ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), flush_lsn) END)::bigint,"
    "       max(CASE WHEN sync_state NOT IN ('sync', 'quorum')"
    "                THEN coalesce(nullif(application_name, ''), 'pid ' || pid) END)"
    "  FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup'";
static const char SLOTS_SQL[] =
    "SELECT count(*) OVER (), slot_name,"
    "       (CASE WHEN pg_is_in_recovery() THEN 0"
    "             ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) END)::bigint"
    "  FROM pg_replication_slots"
    " WHERE NOT active AND restart_lsn IS NOT NULL"
    " ORDER BY restart_lsn LIMIT 1";
static const char PREPARED_SQL[] =
    "SELECT count(*) OVER (), (extract(epoch FROM clock_timestamp() - prepared) * 1000)::bigint, gid"
    "  FROM pg_prepared_xacts WHERE database = current_database()"
    " ORDER BY prepared LIMIT 1";

fl_status fl_pg_look_ask(struct fl_pg_look *look, const char *sql, struct fl_pg_rows **rows,
                         struct fl_err *err)
{
    return fl_pg_sync_query(look->pg, sql, NULL, 0, rows, err);
}

/* A value that outlives the rows. */
struct fl_slice fl_pg_look_keep(struct fl_pg_look *look, const struct fl_pg_rows *rows, size_t row,
                                int column)
{
    struct fl_slice text = fl_pg_rows_text(rows, row, column);
    return text.ptr ? fl_arena_copy(look->arena, text) : text;
}

/* ---- the server ---- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static fl_status look_at_server(struct fl_pg_look *look, struct fl_err *err)
{
    struct fl_pg_facts *facts = look->facts;
    struct fl_pg_rows *rows;
    int64_t before_ms = now_ms();
    fl_status status = fl_pg_look_ask(look, SERVER_SQL, &rows, err);
    if (status != FL_OK)
        return status;
    int64_t after_ms = now_ms();
    struct fl_slice host = fl_pg_rows_text(rows, 0, 0), database = fl_pg_rows_text(rows, 0, 1);
    facts->role = fl_pg_look_keep(look, rows, 0, 2);
    facts->shown = fl_arena_format(look->arena, "%.*s, database %.*s, role %.*s", FL_ARGS(host),
                                   FL_ARGS(database), FL_ARGS(facts->role));
    facts->version = fl_pg_look_keep(look, rows, 0, 3);
    facts->in_recovery = fl_pg_rows_bool(rows, 0, 4);
    facts->sees_all = fl_pg_rows_bool(rows, 0, 5);
    facts->clock_ahead_ms = fl_pg_rows_int64(rows, 0, 6) - (before_ms + (after_ms - before_ms) / 2);
    fl_pg_rows_free(rows);
    return FL_OK;
}

static fl_status backend_pid(struct fl_pg_sync *pg, int64_t *pid, struct fl_err *err)
{
    struct fl_pg_rows *rows;
    fl_status status = fl_pg_sync_query(pg, "SELECT pg_backend_pid()", NULL, 0, &rows, err);
    if (status != FL_OK)
        return status;
    *pid = fl_pg_rows_int64(rows, 0, 0);
    fl_pg_rows_free(rows);
    return FL_OK;
}

/* While both connections stand, a session of the server belongs to one of them: unless somebody in between
 * lends it from transaction to transaction. Such a one gives the second connection the first one's session,
 * or the first one another session each time; or it knows no transactions at all, and refuses BEGIN. */
static fl_status watch_once(struct fl_pg_look *look, struct fl_pg_sync *beside, struct fl_err *err)
{
    int64_t before = 0, during = 0, after = 0, told = fl_pg_sync_backend_pid(look->pg);
    fl_status status = backend_pid(look->pg, &before, err);
    if (status != FL_OK)
        return status;
    look->facts->pooler = before == told ? FL_PG_DIRECT : FL_PG_POOLER_SESSION;
    status = fl_pg_sync_script(beside, "BEGIN", err);
    bool is_refused = status != FL_OK && before != told;
    if (status == FL_OK)
        status = backend_pid(beside, &during, err);
    fl_pg_sync_rollback(beside);
    if (status == FL_OK)
        status = backend_pid(look->pg, &after, err);
    if (is_refused || (status == FL_OK && (before == during || before != after))) {
        look->facts->pooler = FL_PG_POOLER_TRANSACTION;
        return FL_OK;
    }
    return status;
}

static fl_status look_at_pooler(struct fl_pg_look *look, struct fl_err *err)
{
    struct fl_pg_sync *beside;
    fl_status status = fl_pg_sync_open(&beside, look->dsn, look->timeout_ms, err);
    if (status != FL_OK)
        return status;
    for (int i = 0; i < POOLER_ROUNDS && status == FL_OK; i++) {
        status = watch_once(look, beside, err);
        if (look->facts->pooler == FL_PG_POOLER_TRANSACTION)
            break;
    }
    fl_pg_sync_close(beside);
    return status;
}

static fl_status look_at_settings(struct fl_pg_look *look, struct fl_err *err)
{
    struct fl_pg_rows *rows;
    for (size_t i = 0; i < FL_PG_SETTING_COUNT; i++)
        look->facts->settings[i].name = fl_slice_from(SETTING_NAMES[i]);
    fl_status status = fl_pg_look_ask(look, "SELECT name, setting, source FROM pg_settings", &rows, err);
    if (status != FL_OK)
        return status;
    for (size_t row = 0; row < fl_pg_rows_count(rows); row++) {
        for (size_t i = 0; i < FL_PG_SETTING_COUNT; i++) {
            struct fl_pg_setting *setting = &look->facts->settings[i];
            if (!fl_slice_eq(fl_pg_rows_text(rows, row, 0), setting->name))
                continue;
            setting->value = fl_pg_look_keep(look, rows, row, 1);
            setting->source = fl_pg_look_keep(look, rows, row, 2);
            setting->number = fl_pg_rows_int64(rows, row, 1);
        }
    }
    fl_pg_rows_free(rows);
    return FL_OK;
}

static fl_status look_at_sessions(struct fl_pg_look *look, struct fl_err *err)
{
    struct fl_pg_facts *facts = look->facts;
    struct fl_pg_rows *rows;
    fl_status status = fl_pg_look_ask(look, SESSIONS_SQL, &rows, err);
    if (status != FL_OK)
        return status;
    facts->sessions = fl_pg_rows_int64(rows, 0, 0) - 1; /* ours of now is gone in a moment */
    facts->our_sessions = fl_pg_rows_int64(rows, 0, 1);
    facts->role_limit = fl_pg_rows_is_null(rows, 0, 2) ? -1 : fl_pg_rows_int64(rows, 0, 2);
    facts->database_limit = fl_pg_rows_is_null(rows, 0, 3) ? -1 : fl_pg_rows_int64(rows, 0, 3);
    fl_pg_rows_free(rows);
    status = fl_pg_look_ask(look, TRANSACTION_SQL, &rows, err);
    if (status != FL_OK)
        return status;
    if (fl_pg_rows_count(rows)) {
        facts->transaction_ms = fl_pg_rows_int64(rows, 0, 0);
        facts->transaction_pid = fl_pg_rows_int64(rows, 0, 1);
        facts->transaction_state = fl_pg_look_keep(look, rows, 0, 2);
        facts->transaction_application = fl_pg_look_keep(look, rows, 0, 3);
        facts->transaction_role = fl_pg_look_keep(look, rows, 0, 4);
    }
    fl_pg_rows_free(rows);
    return FL_OK;
}

/* ---- what keeps vacuum from its work, and what a failover would lose ---- */

static fl_status look_at_standbys(struct fl_pg_look *look, struct fl_err *err)
{
    struct fl_pg_facts *facts = look->facts;
    struct fl_pg_rows *rows;
    fl_status status = fl_pg_look_ask(look, STANDBYS_SQL, &rows, err);
    if (status != FL_OK)
        return status;
    facts->standbys = fl_pg_rows_int64(rows, 0, 0);
    facts->synchronous_standbys = fl_pg_rows_int64(rows, 0, 1);
    facts->standby_lag_bytes = fl_pg_rows_int64(rows, 0, 2);
    facts->asynchronous_standby = fl_pg_look_keep(look, rows, 0, 3);
    fl_pg_rows_free(rows);
    return FL_OK;
}

static fl_status look_at_slots(struct fl_pg_look *look, struct fl_err *err)
{
    struct fl_pg_facts *facts = look->facts;
    struct fl_pg_rows *rows;
    fl_status status = fl_pg_look_ask(look, SLOTS_SQL, &rows, err);
    if (status != FL_OK)
        return status;
    if (fl_pg_rows_count(rows)) {
        facts->idle_slots = fl_pg_rows_int64(rows, 0, 0);
        facts->idle_slot = fl_pg_look_keep(look, rows, 0, 1);
        facts->idle_slot_bytes = fl_pg_rows_int64(rows, 0, 2);
    }
    fl_pg_rows_free(rows);
    return FL_OK;
}

static fl_status look_at_prepared(struct fl_pg_look *look, struct fl_err *err)
{
    struct fl_pg_facts *facts = look->facts;
    struct fl_pg_rows *rows;
    fl_status status = fl_pg_look_ask(look, PREPARED_SQL, &rows, err);
    if (status != FL_OK)
        return status;
    if (fl_pg_rows_count(rows)) {
        facts->prepared = fl_pg_rows_int64(rows, 0, 0);
        facts->prepared_ms = fl_pg_rows_int64(rows, 0, 1);
        facts->prepared_gid = fl_pg_look_keep(look, rows, 0, 2);
    }
    fl_pg_rows_free(rows);
    return FL_OK;
}

void fl_pg_doctor_look(struct fl_pg_sync *pg, const char *dsn, int64_t timeout_ms, int64_t grace_ms,
                       struct fl_arena *arena, struct fl_pg_facts *facts)
{
    *facts = (struct fl_pg_facts){.role_limit = -1, .database_limit = -1};
    struct fl_pg_look look = {pg, dsn, timeout_ms, grace_ms, arena, facts};
    const struct {
        fl_status (*look_at)(struct fl_pg_look *look, struct fl_err *err);
        struct fl_slice *trouble;
        bool needs_schema;
    } parts[] = {
        {look_at_server, &facts->server_trouble, false},
        {look_at_pooler, &facts->pooler_trouble, false},
        {look_at_settings, &facts->settings_trouble, false},
        {look_at_sessions, &facts->sessions_trouble, false},
        {look_at_standbys, &facts->standbys_trouble, false},
        {look_at_slots, &facts->slots_trouble, false},
        {look_at_prepared, &facts->prepared_trouble, false},
        {fl_pg_look_at_schema, &facts->schema_trouble, false},
        {fl_pg_look_at_tables, &facts->tables_trouble, true},
        {fl_pg_look_at_queue, &facts->queue_trouble, true},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct fl_err err = {0};
        if (parts[i].needs_schema && facts->schema_version == 0)
            continue;
        if (parts[i].look_at(&look, &err) == FL_OK)
            continue;
        *parts[i].trouble = fl_arena_copy(arena, fl_slice_from(err.text));
        if (!parts[i].trouble->ptr)
            *parts[i].trouble = FL_SLICE("out of memory");
    }
}

fl_status fl_pg_doctor_room(struct fl_pg_sync *pg, int64_t *allowed, int64_t *used, struct fl_err *err)
{
    struct fl_pg_rows *rows;
    fl_status status = fl_pg_sync_query(pg, ROOM_SQL, NULL, 0, &rows, err);
    if (status != FL_OK)
        return status;
    *allowed = fl_pg_rows_int64(rows, 0, 0);
    *used = fl_pg_rows_int64(rows, 0, 1);
    fl_pg_rows_free(rows);
    return FL_OK;
}
