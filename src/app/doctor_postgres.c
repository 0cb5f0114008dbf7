/* doctor_postgres.c - what the facts about Postgres mean. Pure.
 *
 * Postgres decides who may write, and keeps what was acknowledged: what is wrong here can lose imports. */
#include <inttypes.h>
#include <stdio.h>

#include "app/doctor_checks.h"
#include "base/slice.h"

enum { DEAD_ROWS_WARNING = 10000, CONNECTIONS_WARNING_PERCENT = 80 };

static const struct fl_pg_setting *setting(const struct fl_doctor_facts *facts, enum fl_pg_setting_id id)
{
    return &facts->pg.settings[id];
}

static void judge_version(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    /* A server that is too old was not connected to: the connection's finding says so. */
    if (!fl_check_unseen(result, facts->pg.server_trouble))
        fl_check_found(result, FL_DOCTOR_OK, "%.*s", FL_ARGS(facts->pg.version));
}

static void judge_role(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    if (fl_check_unseen(result, facts->pg.server_trouble))
        return;
    if (!facts->pg.in_recovery) {
        fl_check_found(result, FL_DOCTOR_OK, "primary");
        return;
    }
    fl_check_found(result, FL_DOCTOR_DANGER, "standby: it refuses every write");
    fl_check_advise(result, "point postgres.dsn to the primary: name all hosts and add "
                            "target_session_attrs=read-write");
}

static void judge_pooler(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    if (fl_check_unseen(result, facts->pg.pooler_trouble))
        return;
    switch (facts->pg.pooler) {
    case FL_PG_DIRECT: fl_check_found(result, FL_DOCTOR_OK, "none: a session is ours alone"); break;
    case FL_PG_POOLER_SESSION:
        fl_check_found(result, FL_DOCTOR_OK, "a session pooler: a session is ours while we are connected");
        break;
    case FL_PG_POOLER_TRANSACTION:
        fl_check_found(result, FL_DOCTOR_DANGER,
                       "a transaction pooler: each transaction may get another session");
        fl_check_advise(result, "point postgres.dsn to the server itself, or set pool_mode = session: "
                                "prepared statements, LISTEN and session settings do not survive here");
        break;
    }
}

/* fsync and full_page_writes: off = a crash of the machine may leave a broken database. */
static void judge_on(const struct fl_doctor_facts *facts, struct fl_check_result *result,
                     enum fl_pg_setting_id id, const char *what_if_off)
{
    if (fl_check_unseen(result, facts->pg.settings_trouble))
        return;
    if (!fl_slice_is(setting(facts, id)->value, "off")) {
        fl_check_found(result, FL_DOCTOR_OK, "on");
        return;
    }
    fl_check_found(result, FL_DOCTOR_DANGER, "off: %s", what_if_off);
    fl_check_advise(result, "ALTER SYSTEM SET %.*s = on; SELECT pg_reload_conf()",
                    FL_ARGS(setting(facts, id)->name));
}

static void judge_fsync(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    judge_on(facts, result, FL_PG_FSYNC, "a crash of the machine can lose or corrupt everything");
}

static void judge_full_page_writes(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    judge_on(facts, result, FL_PG_FULL_PAGE_WRITES, "a crash of the machine can leave pages half written");
}

static void judge_synchronous_commit(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    const struct fl_pg_facts *pg = &facts->pg;
    const struct fl_pg_setting *commit = setting(facts, FL_PG_SYNCHRONOUS_COMMIT);
    bool has_standbys = pg->standbys > 0 || setting(facts, FL_PG_SYNCHRONOUS_STANDBY_NAMES)->value.len > 0;
    if (fl_check_unseen(result, pg->settings_trouble))
        return;
    if (fl_slice_is(commit->value, "off")) {
        fl_check_found(result, FL_DOCTOR_DANGER, "off (set by: %.*s): a crash forgets what was acknowledged",
                       FL_ARGS(commit->source));
        fl_check_advise(result, "set it to on where it was turned off (ALTER ROLE, ALTER DATABASE, "
                                "configuration): imports turn it on for themselves, but jobs that "
                                "applications enqueue, and what operators change, are written with it");
    } else if (fl_slice_is(commit->value, "local") && has_standbys) {
        fl_check_found(result, FL_DOCTOR_WARNING, "local (set by: %.*s): no commit waits for a standby",
                       FL_ARGS(commit->source));
        fl_check_advise(result, "set it to on: otherwise a failover loses imports that were acknowledged");
    } else {
        fl_check_found(result, FL_DOCTOR_OK, "%.*s", FL_ARGS(commit->value));
    }
}

static bool unseen_without_stats(const struct fl_doctor_facts *facts, struct fl_check_result *result,
                                 const char *what)
{
    if (facts->pg.sees_all)
        return false;
    fl_check_found(result, FL_DOCTOR_WARNING, "could not look: %s", what);
    fl_check_advise(result, "GRANT pg_read_all_stats TO the role that runs doctor (%.*s)",
                    FL_ARGS(facts->pg.role));
    return true;
}

static void judge_standbys(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    const struct fl_pg_facts *pg = &facts->pg;
    struct fl_slice wanted = setting(facts, FL_PG_SYNCHRONOUS_STANDBY_NAMES)->value;
    if (fl_check_unseen(result, pg->standbys_trouble) || pg->in_recovery)
        return;
    if (pg->standbys > 0 &&
        unseen_without_stats(facts, result, "standbys are shown to monitoring roles only"))
        return;
    if (wanted.len && pg->synchronous_standbys == 0) {
        fl_check_found(result, FL_DOCTOR_DANGER,
                       "no synchronous one is connected: every commit waits for one (%.*s)", FL_ARGS(wanted));
        fl_check_advise(result, "start the standby, or take it out of synchronous_standby_names");
    } else if (pg->standbys == 0) {
        fl_check_found(result, FL_DOCTOR_OK, "none: nothing to fail over to");
    } else if (pg->synchronous_standbys == 0) {
        fl_check_found(result, FL_DOCTOR_WARNING,
                       "%" PRId64 ", all asynchronous (%.*s), %s behind: a failover loses what was just "
                       "acknowledged",
                       pg->standbys, FL_ARGS(pg->asynchronous_standby),
                       fl_check_size(result, pg->standby_lag_bytes));
        fl_check_advise(result, "name one in synchronous_standby_names, or know that after a failover the "
                                "last imports must be looked at");
    } else {
        fl_check_found(result, FL_DOCTOR_OK, "%" PRId64 ", %" PRId64 " synchronous%s", pg->standbys,
                       pg->synchronous_standbys,
                       pg->standbys > pg->synchronous_standbys ? ": fail over to that one only" : "");
    }
}

static void judge_slots(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    const struct fl_pg_facts *pg = &facts->pg;
    if (fl_check_unseen(result, pg->slots_trouble))
        return;
    if (pg->idle_slots == 0) {
        fl_check_found(result, FL_DOCTOR_OK, "none unused");
        return;
    }
    fl_check_found(result, FL_DOCTOR_WARNING, "%" PRId64 " unused (%.*s keeps %s of WAL)", pg->idle_slots,
                   FL_ARGS(pg->idle_slot), fl_check_size(result, pg->idle_slot_bytes));
    fl_check_advise(result, "bring its reader back, or SELECT pg_drop_replication_slot(...): it keeps WAL "
                            "until the disk is full, and dead rows from vacuum");
}

static void judge_prepared(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    const struct fl_pg_facts *pg = &facts->pg;
    if (fl_check_unseen(result, pg->prepared_trouble))
        return;
    if (pg->prepared == 0) {
        fl_check_found(result, FL_DOCTOR_OK, "none");
        return;
    }
    bool is_old = pg->prepared_ms >= facts->older_than_ms;
    fl_check_found(result, is_old ? FL_DOCTOR_WARNING : FL_DOCTOR_OK, "%" PRId64 ", the oldest for %s: %.*s",
                   pg->prepared, fl_check_span(result, pg->prepared_ms), FL_ARGS(pg->prepared_gid));
    if (is_old)
        fl_check_advise(result, "COMMIT PREPARED or ROLLBACK PREPARED it: it keeps its locks, and dead "
                                "rows from vacuum, over every restart");
}

static void judge_transactions(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    const struct fl_pg_facts *pg = &facts->pg;
    if (fl_check_unseen(result, pg->sessions_trouble))
        return;
    if (pg->transaction_ms >= facts->older_than_ms) {
        fl_check_found(
            result, FL_DOCTOR_WARNING, "one is open for %s: pid %" PRId64 ", %.*s, %.*s, role %.*s",
            fl_check_span(result, pg->transaction_ms), pg->transaction_pid, FL_ARGS(pg->transaction_state),
            FL_ARGS(pg->transaction_application), FL_ARGS(pg->transaction_role));
        fl_check_advise(result,
                        "end it, or SELECT pg_terminate_backend(%" PRId64 "): imports may wait for "
                        "its locks, and dead rows stay while it lasts",
                        pg->transaction_pid);
        return;
    }
    if (unseen_without_stats(facts, result, "sessions of other roles are not shown"))
        return;
    fl_check_found(result, FL_DOCTOR_OK, "none open for long%s%s",
                   pg->transaction_ms > 0 ? "; the oldest for " : "",
                   pg->transaction_ms > 0 ? fl_check_span(result, pg->transaction_ms) : "");
}

/* Sessions that import set statement_timeout and lock_timeout for themselves; commands of operators do not.
 */
static void judge_timeouts(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    static const struct {
        enum fl_pg_setting_id id;
        int64_t least_ms;
    } TIMEOUTS[] = {{FL_PG_IDLE_TIMEOUT, 10000},
                    {FL_PG_TRANSACTION_TIMEOUT, 15000},
                    {FL_PG_STATEMENT_TIMEOUT, 5000},
                    {FL_PG_LOCK_TIMEOUT, 1000}};
    char list[512];
    size_t used = 0;
    list[0] = '\0';
    if (fl_check_unseen(result, facts->pg.settings_trouble))
        return;
    for (size_t i = 0; i < sizeof TIMEOUTS / sizeof *TIMEOUTS && used < sizeof list; i++) {
        const struct fl_pg_setting *timeout = setting(facts, TIMEOUTS[i].id);
        if (timeout->number > 0 && timeout->number < TIMEOUTS[i].least_ms)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%.*s = %" PRId64 "ms (%.*s)",
                                     used ? ", " : "", FL_ARGS(timeout->name), timeout->number,
                                     FL_ARGS(timeout->source));
    }
    if (!used) {
        fl_check_found(result, FL_DOCTOR_OK, "none that could end an import");
        return;
    }
    fl_check_found(result, FL_DOCTOR_WARNING, "%s", list);
    fl_check_advise(result,
                    "raise them for this role (ALTER ROLE %.*s SET ...): the server ends imports "
                    "or commands that take longer, and they start over",
                    FL_ARGS(facts->pg.role));
}

static void judge_connections(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    const struct fl_pg_facts *pg = &facts->pg;
    if (fl_check_unseen(result, pg->settings_trouble) || fl_check_unseen(result, pg->sessions_trouble))
        return;
    int64_t workers = facts->redis_err.code == FL_OK ? facts->redis.workers_alive : 0;
    int64_t wanted = workers * (facts->pg_connections + 1); /* and one that listens */
    int64_t ours = wanted > pg->our_sessions ? wanted : pg->our_sessions;
    int64_t total = ours + pg->sessions - pg->our_sessions;
    int64_t room = setting(facts, FL_PG_MAX_CONNECTIONS)->number -
                   setting(facts, FL_PG_SUPERUSER_RESERVED)->number - setting(facts, FL_PG_RESERVED)->number;
    if (pg->database_limit >= 0 && pg->database_limit < room)
        room = pg->database_limit;
    bool over_role = pg->role_limit >= 0 && ours > pg->role_limit;
    enum fl_doctor_level level = total > room || over_role                          ? FL_DOCTOR_DANGER
                                 : total * 100 > room * CONNECTIONS_WARNING_PERCENT ? FL_DOCTOR_WARNING
                                                                                    : FL_DOCTOR_OK;
    fl_check_found(
        result, level,
        "%" PRId64 " of %" PRId64 " wanted (%" PRId64 " worker%s, %" PRId64 " each; %" PRId64 " others)%s",
        total, room, workers, fl_plural(workers), facts->pg_connections + 1, pg->sessions - pg->our_sessions,
        over_role ? "; the role may have fewer than fenceline wants" : "");
    if (level != FL_DOCTOR_OK)
        fl_check_advise(result, "raise max_connections (or the limit of role or database), lower "
                                "postgres.connections, or run fewer workers: who gets no connection waits");
}

static void judge_clock(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    bool has_redis = facts->redis_err.code == FL_OK && !facts->redis.clock_trouble.ptr;
    if (!fl_check_unseen(result, facts->pg.server_trouble))
        fl_check_clock(result, facts->pg.clock_ahead_ms, "Redis's", has_redis, facts->redis.clock_ahead_ms);
}

static void judge_schema(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    int64_t version = facts->pg.schema_version, known = facts->schema_known;
    if (fl_check_unseen(result, facts->pg.schema_trouble))
        return;
    if (version == known) {
        fl_check_found(result, FL_DOCTOR_OK, "version %" PRId64, version);
    } else if (version == 0) {
        fl_check_found(result, FL_DOCTOR_DANGER, "not there");
        fl_check_advise(result, "run 'fenceline migrate', or look at postgres.dsn: is it this database?");
    } else if (version < known) {
        fl_check_found(result, FL_DOCTOR_DANGER, "version %" PRId64 ", and this fenceline needs %" PRId64,
                       version, known);
        fl_check_advise(result, "run 'fenceline migrate'");
    } else {
        fl_check_found(result, FL_DOCTOR_DANGER,
                       "version %" PRId64 ", newer than this fenceline, which knows %" PRId64, version,
                       known);
        fl_check_advise(result, "upgrade fenceline on this machine: it refuses to work meanwhile");
    }
}

static void judge_bloat(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    const struct fl_pg_facts *pg = &facts->pg;
    if (fl_check_unseen(result, pg->tables_trouble) || !pg->table.ptr)
        return;
    bool is_bloated = pg->table_dead >= DEAD_ROWS_WARNING && pg->table_dead > pg->table_live / 2;
    bool is_bad = is_bloated || !pg->table_autovacuum;
    bool was_vacuumed = pg->table_vacuumed_ms >= 0;
    fl_check_found(result, is_bad ? FL_DOCTOR_WARNING : FL_DOCTOR_OK,
                   "%.*s: %" PRId64 " dead of %" PRId64 " rows, %s, %s%s%s", FL_ARGS(pg->table),
                   pg->table_dead, pg->table_dead + pg->table_live, fl_check_size(result, pg->table_bytes),
                   was_vacuumed ? "vacuumed " : "not vacuumed yet",
                   was_vacuumed ? fl_check_span(result, pg->table_vacuumed_ms) : "",
                   was_vacuumed ? " ago" : "");
    if (!pg->table_autovacuum)
        fl_check_advise(result, "autovacuum is off for it, or for the server: turn it on; the tables of a "
                                "queue grow without it");
    else if (is_bloated)
        fl_check_advise(result, "VACUUM it now; if that does not help, look at long transactions and "
                                "unused replication slots above");
}

const struct fl_check fl_doctor_postgres_checks[] = {
    {FL_DOCTOR_POSTGRES, FL_NEEDS_PG, "version", judge_version},
    {FL_DOCTOR_POSTGRES, FL_NEEDS_PG, "role", judge_role},
    {FL_DOCTOR_POSTGRES, FL_NEEDS_PG, "pooler", judge_pooler},
    {FL_DOCTOR_POSTGRES, FL_NEEDS_PG, "fsync", judge_fsync},
    {FL_DOCTOR_POSTGRES, FL_NEEDS_PG, "full_page_writes", judge_full_page_writes},
    {FL_DOCTOR_POSTGRES, FL_NEEDS_PG, "synchronous_commit", judge_synchronous_commit},
    {FL_DOCTOR_POSTGRES, FL_NEEDS_PG, "standbys", judge_standbys},
    {FL_DOCTOR_POSTGRES, FL_NEEDS_PG, "replication_slots", judge_slots},
    {FL_DOCTOR_POSTGRES, FL_NEEDS_PG, "prepared", judge_prepared},
    {FL_DOCTOR_POSTGRES, FL_NEEDS_PG, "transactions", judge_transactions},
    {FL_DOCTOR_POSTGRES, FL_NEEDS_PG, "timeouts", judge_timeouts},
    {FL_DOCTOR_POSTGRES, FL_NEEDS_PG, "max_connections", judge_connections},
    {FL_DOCTOR_POSTGRES, FL_NEEDS_PG, "clock", judge_clock},
    {FL_DOCTOR_POSTGRES, FL_NEEDS_PG, "schema", judge_schema},
    {FL_DOCTOR_POSTGRES, FL_NEEDS_SCHEMA, "bloat", judge_bloat},
};
const size_t fl_doctor_postgres_check_count =
    sizeof fl_doctor_postgres_checks / sizeof *fl_doctor_postgres_checks;
