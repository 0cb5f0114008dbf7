/* test_doctor.c - facts in, findings out: every check at every level, without a server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "app/doctor.h"
#include "base/arena.h"
#include "base/slice.h"

static struct fl_arena arena;
static struct fl_doctor_facts facts;
static struct fl_findings findings;

/* A good pair: primaries that keep what they are told, and an empty queue with two workers. */
static void set_good(void)
{
    static const struct {
        enum fl_pg_setting_id id;
        const char *name, *value;
        int64_t number;
    } SETTINGS[] = {
        {FL_PG_FSYNC, "fsync", "on", 0},
        {FL_PG_FULL_PAGE_WRITES, "full_page_writes", "on", 0},
        {FL_PG_SYNCHRONOUS_COMMIT, "synchronous_commit", "on", 0},
        {FL_PG_SYNCHRONOUS_STANDBY_NAMES, "synchronous_standby_names", "", 0},
        {FL_PG_IDLE_TIMEOUT, "idle_in_transaction_session_timeout", "0", 0},
        {FL_PG_STATEMENT_TIMEOUT, "statement_timeout", "0", 0},
        {FL_PG_LOCK_TIMEOUT, "lock_timeout", "0", 0},
        {FL_PG_TRANSACTION_TIMEOUT, "transaction_timeout", "0", 0},
        {FL_PG_MAX_CONNECTIONS, "max_connections", "100", 100},
        {FL_PG_SUPERUSER_RESERVED, "superuser_reserved_connections", "3", 3},
        {FL_PG_RESERVED, "reserved_connections", "0", 0},
    };
    memset(&facts, 0, sizeof facts);
    facts.pg_connections = 3;
    facts.older_than_ms = FL_DOCTOR_OLDER_THAN_MS;
    facts.schema_known = 4;
    facts.redis = (struct fl_redis_facts){
        .shown = FL_SLICE("127.0.0.1:6379"),
        .version = FL_SLICE("7.0.15"),
        .version_major = 7,
        .mode = FL_SLICE("standalone"),
        .role = FL_SLICE("master"),
        .eviction_policy = FL_SLICE("noeviction"),
        .used_bytes = 1000,
        .max_bytes = 100000,
        .system_bytes = 1000000,
        .save = FL_SLICE("3600 1"),
        .ping_median_us = 100,
        .ping_worst_us = 900,
        .workers_alive = 2,
    };
    facts.pg = (struct fl_pg_facts){
        .shown = FL_SLICE("127.0.0.1:5432, database podcast, role app"),
        .version = FL_SLICE("15.8"),
        .role = FL_SLICE("app"),
        .sees_all = true,
        .sessions = 10,
        .our_sessions = 8,
        .role_limit = -1,
        .database_limit = -1,
        .schema_version = 4,
        .table = FL_SLICE("fenceline.jobs"),
        .table_vacuumed_ms = -1,
        .table_autovacuum = true,
    };
    for (size_t i = 0; i < sizeof SETTINGS / sizeof *SETTINGS; i++)
        facts.pg.settings[SETTINGS[i].id] =
            (struct fl_pg_setting){fl_slice_from(SETTINGS[i].name), fl_slice_from(SETTINGS[i].value),
                                   FL_SLICE("default"), SETTINGS[i].number};
}

static int start(void **state)
{
    (void)state;
    fl_arena_init(&arena, 1 << 20);
    set_good();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fl_arena_release(&arena);
    return 0;
}

static void judge(void)
{
    findings.count = 0;
    fl_doctor_judge(&facts, &arena, &findings);
}

static const struct fl_finding *find(enum fl_doctor_server server, const char *check)
{
    for (size_t i = 0; i < findings.count; i++)
        if (findings.items[i].server == server && strcmp(findings.items[i].check, check) == 0)
            return &findings.items[i];
    return NULL;
}

/* Exactly this finding is at this level, and all others are ok. */
static void assert_only(enum fl_doctor_server server, const char *check, enum fl_doctor_level level,
                        const char *found)
{
    judge();
    const struct fl_finding *finding = find(server, check);
    if (!finding)
        fail_msg("%s: no such finding", check);
    for (size_t i = 0; i < findings.count; i++) {
        const struct fl_finding *item = &findings.items[i];
        if (item != finding && item->level != FL_DOCTOR_OK)
            fail_msg("%s is not ok beside %s: %.*s", item->check, check, FL_ARGS(item->found));
    }
    if (finding->level != level)
        fail_msg("%s: level %d: %.*s", check, (int)finding->level, FL_ARGS(finding->found));
    if (!strstr(finding->found.ptr, found))
        fail_msg("%s: \"%s\" is not in: %.*s", check, found, FL_ARGS(finding->found));
    assert_true((finding->advice.ptr != NULL) == (level != FL_DOCTOR_OK));
}

static void test_good(void **state)
{
    (void)state;
    judge();
    assert_int_equal(findings.count, 11 + 17 + 6);
    assert_int_equal(fl_findings_count(&findings, FL_DOCTOR_OK), findings.count);
    assert_int_equal(fl_doctor_exit_code(&facts, &findings), 0);
    for (size_t i = 0; i < findings.count; i++) {
        assert_true(findings.items[i].found.len > 0);
        assert_null(findings.items[i].advice.ptr);
    }
}

/* ---- every fact that is wrong, alone ---- */

#define SET(name, statement)                                                                                 \
    static void name(void)                                                                                   \
    {                                                                                                        \
        statement;                                                                                           \
    }
#define SETTING(id) facts.pg.settings[id]

SET(old_redis, (facts.redis.version_major = 6, facts.redis.version_minor = 1))
SET(redis_62, (facts.redis.version_major = 6, facts.redis.version_minor = 2))
SET(redis_5, (facts.redis.version_major = 5, facts.redis.version_minor = 9))
static struct fl_slice one_right = {"+xadd", 5}, one_grant = {"GRANT x TO y", 12};

/* Lacks something of the first `roles` of worker, operator, reader. */
static void lack(int roles)
{
    static const enum fl_pg_role ROLES[] = {FL_ROLE_WORKER, FL_ROLE_OPERATOR, FL_ROLE_READER};
    for (int i = 0; i < roles; i++)
        facts.pg_rights[ROLES[i]] = (struct fl_pg_rights){.user = FL_SLICE("shy"),
                                                          .needed = 9,
                                                          .missing = 2,
                                                          .grants = &one_grant,
                                                          .grant_count = 1,
                                                          .advice = FL_SLICE("by its role")};
}

SET(operator_only, lack(1))
SET(reader_only, lack(2))
SET(no_role, lack(3))
SET(rights_unseen, facts.pg_rights_trouble = FL_SLICE("no memory"))
SET(redis_lacks, (facts.redis_rights.missing_count = 1, facts.redis_rights.missing = &one_right,
                  facts.redis_rights.is_known = true))
SET(redis_rights_unseen, facts.redis_rights_trouble = FL_SLICE("away"))
SET(cluster, facts.redis.mode = FL_SLICE("cluster"))
SET(replica, facts.redis.role = FL_SLICE("slave"))
SET(lagging, (facts.redis.replicas = 2, facts.redis.replica_lag_s = 5))
SET(in_step, (facts.redis.replicas = 2, facts.redis.replica_lag_s = 4))
SET(syncing, (facts.redis.replicas = 1, facts.redis.replicas_not_online = 1))
SET(evicts_all, facts.redis.eviction_policy = FL_SLICE("allkeys-lru"))
SET(evicts_volatile, facts.redis.eviction_policy = FL_SLICE("volatile-ttl"))
SET(evicts_never, (facts.redis.eviction_policy = FL_SLICE("allkeys-lru"), facts.redis.max_bytes = 0))
SET(no_persistence, facts.redis.save = FL_SLICE(""))
SET(aof, (facts.redis.save = FL_SLICE(""), facts.redis.aof_on = true))
SET(save_fails, facts.redis.save_failed = true)
SET(aof_fails, (facts.redis.aof_on = true, facts.redis.aof_write_failed = true))
SET(no_config, (facts.redis.save = (struct fl_slice){0}, facts.redis.save_trouble = FL_SLICE("NOPERM")))
SET(memory_79, facts.redis.used_bytes = 79999)
SET(memory_80, facts.redis.used_bytes = 80000)
SET(memory_95, facts.redis.used_bytes = 95000)
SET(memory_of_machine, (facts.redis.max_bytes = 0, facts.redis.used_bytes = 900000))
SET(quick, facts.redis.ping_median_us = 19999)
SET(slow, facts.redis.ping_median_us = 20000)
SET(very_slow, facts.redis.ping_median_us = 500000)
SET(no_ping, facts.redis.latency_trouble = FL_SLICE("gone"))
SET(clock_near, (facts.redis.clock_ahead_ms = -1000, facts.pg.clock_ahead_ms = -1000))
SET(standby, facts.pg.in_recovery = true)
SET(pooler, facts.pg.pooler = FL_PG_POOLER_TRANSACTION)
SET(session_pooler, facts.pg.pooler = FL_PG_POOLER_SESSION)
SET(no_pooler_look, facts.pg.pooler_trouble = FL_SLICE("too many clients"))
SET(fsync_off, SETTING(FL_PG_FSYNC).value = FL_SLICE("off"))
SET(full_page_writes_off, SETTING(FL_PG_FULL_PAGE_WRITES).value = FL_SLICE("off"))
SET(commit_off, SETTING(FL_PG_SYNCHRONOUS_COMMIT).value = FL_SLICE("off"))
SET(commit_local, SETTING(FL_PG_SYNCHRONOUS_COMMIT).value = FL_SLICE("local"))
SET(commit_local_beside, (commit_local(), facts.pg.standbys = 1, facts.pg.synchronous_standbys = 1,
                          SETTING(FL_PG_SYNCHRONOUS_STANDBY_NAMES).value = FL_SLICE("s1")))
SET(commit_remote_write, SETTING(FL_PG_SYNCHRONOUS_COMMIT).value = FL_SLICE("remote_write"))
SET(asynchronous, (facts.pg.standbys = 2, facts.pg.asynchronous_standby = FL_SLICE("s2")))
SET(synchronous, (facts.pg.standbys = 2, facts.pg.synchronous_standbys = 1))
SET(unseen_standby, (facts.pg.standbys = 1, facts.pg.sees_all = false, facts.pg.transaction_ms = 600000))
SET(standby_gone, SETTING(FL_PG_SYNCHRONOUS_STANDBY_NAMES).value = FL_SLICE("s1"))
SET(idle_slot, (facts.pg.idle_slots = 1, facts.pg.idle_slot = FL_SLICE("old")))
SET(prepared_new, (facts.pg.prepared = 1, facts.pg.prepared_ms = 599999))
SET(prepared_old, (facts.pg.prepared = 1, facts.pg.prepared_ms = 600000))
SET(transaction_new, facts.pg.transaction_ms = 599999)
SET(transaction_old, facts.pg.transaction_ms = 600000)
SET(sees_little, facts.pg.sees_all = false)
SET(idle_timeout, SETTING(FL_PG_IDLE_TIMEOUT).number = 9999)
SET(idle_timeout_long, SETTING(FL_PG_IDLE_TIMEOUT).number = 10000)
SET(statement_timeout, SETTING(FL_PG_STATEMENT_TIMEOUT).number = 4999)
SET(lock_timeout, SETTING(FL_PG_LOCK_TIMEOUT).number = 999)
SET(transaction_timeout, SETTING(FL_PG_TRANSACTION_TIMEOUT).number = 14999)
SET(two_timeouts, (idle_timeout(), lock_timeout()))
SET(fleet_fits, (facts.redis.workers_alive = 18, facts.pg.sessions = 12)) /* 72 + 4 of 97 */
SET(fleet_tight, (facts.redis.workers_alive = 20))                        /* 80 + 2 of 97 */
SET(fleet_over, (facts.redis.workers_alive = 24))                         /* 96 + 2 of 97 */
SET(others_over, facts.pg.sessions = 98)
SET(role_limit, facts.pg.role_limit = 7)
SET(database_limit, facts.pg.database_limit = 9)
SET(pg_clock, facts.pg.clock_ahead_ms = 1001)
SET(no_schema, facts.pg.schema_version = 0)
SET(old_schema, facts.pg.schema_version = 3)
SET(new_schema, facts.pg.schema_version = 5)
SET(bloated, (facts.pg.table_dead = 10000, facts.pg.table_live = 19999))
SET(not_bloated, (facts.pg.table_dead = 10000, facts.pg.table_live = 20000))
SET(small_bloat, facts.pg.table_dead = 9999)
SET(no_autovacuum, facts.pg.table_autovacuum = false)
SET(nobody_due, (facts.redis.workers_alive = 0, facts.pg.open = 1, facts.pg.open_for_workers = 1))
SET(nobody_for_two, (facts.redis.workers_alive = 0, facts.pg.open = 3, facts.pg.open_for_workers = 2))
SET(busy, (facts.pg.open = 1, facts.pg.open_for_workers = 1))
SET(nobody_idle, (facts.redis.workers_alive = 0, facts.pg.open = 1)) /* an import of its own */
SET(paused,
    (facts.pg.paused = true, facts.pg.paused_by = FL_SLICE("ada"), facts.pg.paused_reason = FL_SLICE("move")))
SET(due, (facts.pg.due = 5, facts.pg.due_ms = 599999))
SET(due_long, (facts.pg.due = 1, facts.pg.due_ms = 600000))
static int64_t missing[] = {41, 42};
SET(lost, (facts.redis.missing = missing, facts.redis.missing_count = 2))
SET(held_by_dead, (facts.redis.dead_entries = 1, facts.redis.dead_worker = FL_SLICE("w1")))
SET(open_new, (facts.pg.open = 3, facts.pg.open_ms = 599999))
SET(open_old, (facts.pg.open = 3, facts.pg.open_ms = 600000, facts.pg.open_job = 77))
SET(dead_letter, facts.pg.dead_letters = 1)

static void test_each(void **state)
{
    enum { R = FL_DOCTOR_REDIS, P = FL_DOCTOR_POSTGRES, Q = FL_DOCTOR_QUEUE };
    enum { OK = FL_DOCTOR_OK, WARNING = FL_DOCTOR_WARNING, DANGER = FL_DOCTOR_DANGER };
    static const struct {
        void (*set)(void);
        int server;
        const char *check;
        int level;
        const char *found;
    } CASES[] = {
        {old_redis, R, "version", DANGER, "7.0.15"},
        {redis_5, R, "version", DANGER, ""},
        {redis_62, R, "version", OK, ""},
        {operator_only, P, "rights", OK, "fenceline_operator"},
        {reader_only, P, "rights", OK, "fenceline_reader"},
        {no_role, P, "rights", DANGER, "shy lacks 2 of 9"},
        {rights_unseen, P, "rights", WARNING, "could not look"},
        {redis_lacks, R, "rights", DANGER, "lacks +xadd"},
        {redis_rights_unseen, R, "rights", WARNING, "could not look"},
        {cluster, R, "mode", DANGER, "cluster"},
        {replica, R, "role", DANGER, "replica of"},
        {lagging, R, "replicas", WARNING, "5s behind"},
        {in_step, R, "replicas", OK, "harmless"},
        {syncing, R, "replicas", WARNING, "1 not in sync"},
        {evicts_all, R, "eviction_policy", DANGER, "leases and the queue"},
        {evicts_volatile, R, "eviction_policy", DANGER, "drops leases"},
        {evicts_never, R, "eviction_policy", WARNING, "without effect"},
        {no_persistence, R, "persistence", WARNING, "none"},
        {aof, R, "persistence", OK, "append-only"},
        {save_fails, R, "persistence", DANGER, "snapshot"},
        {aof_fails, R, "persistence", DANGER, "append-only"},
        {no_config, R, "persistence", OK, "may not see (CONFIG GET save)"},
        {memory_79, R, "memory", OK, "79%"},
        {memory_80, R, "memory", WARNING, "80%"},
        {memory_95, R, "memory", DANGER, "95%"},
        {memory_of_machine, R, "memory", WARNING, "no maxmemory"},
        {quick, R, "latency", OK, "20.0 ms"},
        {slow, R, "latency", WARNING, "20.0 ms"},
        {very_slow, R, "latency", DANGER, "500.0 ms"},
        {no_ping, R, "latency", WARNING, "could not look"},
        {clock_near, R, "clock", OK, "1.0s behind"},
        {clock_near, P, "clock", OK, "0ms apart"},
        {standby, P, "role", DANGER, "standby"},
        {pooler, P, "pooler", DANGER, "transaction pooler"},
        {session_pooler, P, "pooler", OK, "session pooler"},
        {no_pooler_look, P, "pooler", WARNING, "could not look"},
        {fsync_off, P, "fsync", DANGER, "off"},
        {full_page_writes_off, P, "full_page_writes", DANGER, "off"},
        {commit_off, P, "synchronous_commit", DANGER, "set by: default"},
        {commit_local, P, "synchronous_commit", OK, "local"},
        {commit_local_beside, P, "synchronous_commit", WARNING, "no commit waits"},
        {commit_remote_write, P, "synchronous_commit", OK, "remote_write"},
        {asynchronous, P, "standbys", WARNING, "s2"},
        {synchronous, P, "standbys", OK, "fail over to that one only"},
        {standby_gone, P, "standbys", DANGER, "every commit waits"},
        {idle_slot, P, "replication_slots", WARNING, "old"},
        {prepared_new, P, "prepared", OK, "9m59s"},
        {prepared_old, P, "prepared", WARNING, "10m00s"},
        {transaction_new, P, "transactions", OK, "9m59s"},
        {transaction_old, P, "transactions", WARNING, "10m00s"},
        {sees_little, P, "transactions", WARNING, "could not look"},
        {idle_timeout, P, "timeouts", WARNING, "idle_in_transaction_session_timeout = 9999ms (default)"},
        {idle_timeout_long, P, "timeouts", OK, "none"},
        {statement_timeout, P, "timeouts", WARNING, "statement_timeout = 4999ms"},
        {lock_timeout, P, "timeouts", WARNING, "lock_timeout = 999ms"},
        {transaction_timeout, P, "timeouts", WARNING, "transaction_timeout = 14999ms"},
        {two_timeouts, P, "timeouts", WARNING, "(default), lock_timeout"},
        {fleet_fits, P, "max_connections", OK, "76 of 97"},
        {fleet_tight, P, "max_connections", WARNING, "82 of 97"},
        {fleet_over, P, "max_connections", DANGER, "98 of 97"},
        {others_over, P, "max_connections", DANGER, "98 of 97"},
        {role_limit, P, "max_connections", DANGER, "the role may have fewer"},
        {database_limit, P, "max_connections", DANGER, "10 of 9"},
        {old_schema, P, "schema", DANGER, "version 3, and this fenceline needs 4"},
        {new_schema, P, "schema", DANGER, "newer"},
        {no_schema, P, "schema", DANGER, "not there"},
        {bloated, P, "bloat", WARNING, "10000 dead of 29999"},
        {not_bloated, P, "bloat", OK, "10000 dead of 30000"},
        {small_bloat, P, "bloat", OK, "9999 dead of 9999"},
        {no_autovacuum, P, "bloat", WARNING, "0 dead"},
        {nobody_due, Q, "workers", DANGER, "1 job is waiting"},
        {nobody_for_two, Q, "workers", DANGER, "2 jobs are waiting"},
        {busy, Q, "workers", OK, "2 alive"},
        {nobody_idle, Q, "workers", OK, "0 alive"},
        {paused, Q, "paused", WARNING, "by ada: move"},
        {due, Q, "undispatched", OK, "5 jobs are due"},
        {due_long, Q, "undispatched", WARNING, "1 job is due and not handed out, the oldest for 10m00s"},
        {lost, Q, "orphaned", WARNING, "2 jobs were handed to Redis and not there (job 41, ...)"},
        {held_by_dead, Q, "orphaned", WARNING, "1 job held by dead workers (w1)"},
        {open_new, Q, "open_jobs", OK, "3; the oldest for 9m59s"},
        {open_old, Q, "open_jobs", WARNING, "job 77"},
        {dead_letter, Q, "dead_letters", WARNING, "1 that nobody"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        set_good();
        CASES[i].set();
        assert_only((enum fl_doctor_server)CASES[i].server, CASES[i].check,
                    (enum fl_doctor_level)CASES[i].level, CASES[i].found);
        int exit_code = CASES[i].level == DANGER ? 1 : CASES[i].level == WARNING ? 3 : 0;
        assert_int_equal(fl_doctor_exit_code(&facts, &findings), exit_code);
    }
}

/* ---- what hangs together ---- */

static void test_clocks_apart(void **state)
{
    (void)state;
    pg_clock();
    judge();
    /* Postgres is off; Redis is right, and yet apart from Postgres. */
    assert_int_equal(find(FL_DOCTOR_POSTGRES, "clock")->level, FL_DOCTOR_WARNING);
    assert_int_equal(find(FL_DOCTOR_REDIS, "clock")->level, FL_DOCTOR_WARNING);
    assert_int_equal(fl_findings_count(&findings, FL_DOCTOR_WARNING), 2);
    assert_non_null(strstr(find(FL_DOCTOR_REDIS, "clock")->found.ptr, "1.0s apart from Postgres's"));
}

static void test_unseen_standby(void **state)
{
    (void)state;
    unseen_standby();
    judge();
    assert_non_null(strstr(find(FL_DOCTOR_POSTGRES, "standbys")->found.ptr, "could not look"));
    /* What is seen counts, even if not all is. */
    assert_non_null(strstr(find(FL_DOCTOR_POSTGRES, "transactions")->found.ptr, "open for 10m00s"));
}

static void test_sentinel(void **state)
{
    (void)state;
    /* A sentinel has no role, no data and no registry. */
    facts.redis = (struct fl_redis_facts){
        .shown = FL_SLICE("127.0.0.1:26379"),
        .version = FL_SLICE("7.0.15"),
        .version_major = 7,
        .mode = FL_SLICE("sentinel"),
        .save_trouble = FL_SLICE("unknown command"),
        .workers_trouble = FL_SLICE("unknown command"),
        .entries_trouble = FL_SLICE("unknown command"),
    };
    judge();
    assert_int_equal(find(FL_DOCTOR_REDIS, "mode")->level, FL_DOCTOR_DANGER);
    assert_int_equal(fl_findings_count(&findings, FL_DOCTOR_DANGER), 1);
    assert_null(find(FL_DOCTOR_REDIS, "role"));
    assert_null(find(FL_DOCTOR_REDIS, "persistence"));
    assert_int_equal(find(FL_DOCTOR_QUEUE, "workers")->level, FL_DOCTOR_WARNING);
    assert_int_equal(find(FL_DOCTOR_QUEUE, "orphaned")->level, FL_DOCTOR_WARNING);
}

static void test_no_schema_hides_what_needs_it(void **state)
{
    (void)state;
    no_schema();
    judge();
    assert_null(find(FL_DOCTOR_POSTGRES, "bloat"));
    assert_null(find(FL_DOCTOR_QUEUE, "paused"));
    assert_null(find(FL_DOCTOR_QUEUE, "orphaned"));
    assert_non_null(find(FL_DOCTOR_QUEUE, "workers"));
}

static void test_redis_away(void **state)
{
    (void)state;
    fl_err_set(&facts.redis_err, FL_UNAVAILABLE, "Redis at nowhere: refused; start it");
    facts.redis = (struct fl_redis_facts){0};
    judge();
    const struct fl_finding *finding = find(FL_DOCTOR_REDIS, "connection");
    assert_int_equal(finding->level, FL_DOCTOR_DANGER);
    assert_true(fl_slice_is(finding->advice, "Redis at nowhere: refused; start it"));
    assert_null(find(FL_DOCTOR_REDIS, "version"));
    assert_null(find(FL_DOCTOR_QUEUE, "workers"));
    assert_null(find(FL_DOCTOR_QUEUE, "orphaned"));
    assert_non_null(find(FL_DOCTOR_QUEUE, "undispatched"));
    assert_true(fl_slice_is(find(FL_DOCTOR_POSTGRES, "clock")->found, "0ms ahead of this machine's"));
    assert_int_equal(fl_findings_count(&findings, FL_DOCTOR_OK), findings.count - 1);
    assert_int_equal(fl_doctor_exit_code(&facts, &findings), 6);
}

static void test_postgres_away(void **state)
{
    (void)state;
    fl_err_set(&facts.pg_err, FL_UNAVAILABLE, "Postgres: refused");
    facts.pg = (struct fl_pg_facts){0};
    judge();
    assert_int_equal(find(FL_DOCTOR_POSTGRES, "connection")->level, FL_DOCTOR_DANGER);
    assert_int_equal(findings.count, 11 + 1 + 1);
    assert_int_equal(fl_doctor_exit_code(&facts, &findings), 6);
}

static void test_exit_codes(void **state)
{
    (void)state;
    dead_letter();
    fsync_off();
    judge();
    assert_int_equal(fl_doctor_exit_code(&facts, &findings), 1);
    facts.redis_err.code = FL_UNAVAILABLE;
    assert_int_equal(fl_doctor_exit_code(&facts, &findings), 6);
    facts.pg_err.code = FL_USAGE; /* an address that cannot be right */
    assert_int_equal(fl_doctor_exit_code(&facts, &findings), 2);
}

static void test_parts_that_could_not_be_looked_at(void **state)
{
    struct fl_slice trouble = FL_SLICE("Postgres: permission denied");
    (void)state;
    struct fl_slice *const troubles[] = {
        &facts.redis.info_trouble,    &facts.redis.latency_trouble, &facts.redis.clock_trouble,
        &facts.redis.workers_trouble, &facts.redis.entries_trouble, &facts.pg.server_trouble,
        &facts.pg.pooler_trouble,     &facts.pg.settings_trouble,   &facts.pg.sessions_trouble,
        &facts.pg.standbys_trouble,   &facts.pg.slots_trouble,      &facts.pg.prepared_trouble,
        &facts.pg.schema_trouble,     &facts.pg.tables_trouble,     &facts.pg.queue_trouble,
    };
    size_t expected = 0;
    for (size_t i = 0; i < sizeof troubles / sizeof *troubles; i++) {
        set_good();
        *troubles[i] = trouble;
        judge();
        size_t unseen = fl_findings_count(&findings, FL_DOCTOR_WARNING);
        assert_in_range(unseen, 1, 7);
        assert_int_equal(fl_findings_count(&findings, FL_DOCTOR_OK) + unseen, findings.count);
        expected += unseen;
    }
    /* The three that stand for several checks: INFO 7, settings 5, the queue 5; the server 3; sessions 2. */
    assert_int_equal(expected, 7 + 5 + 5 + 3 + 2 + 10);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_good),         TEST(test_each),
        TEST(test_clocks_apart), TEST(test_unseen_standby),
        TEST(test_sentinel),     TEST(test_no_schema_hides_what_needs_it),
        TEST(test_redis_away),   TEST(test_postgres_away),
        TEST(test_exit_codes),   TEST(test_parts_that_could_not_be_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
