/* test_doctor.c - `fenceline doctor` on real servers: each finding is made to appear, alone among checks that
 * are ok, and on a good pair there is none.
 *
 * The group's own servers are started again as a good pair: durable, with room for prepared transactions.
 * What cannot be changed on them (a cluster, a sentinel, a replica, a standby, a pooler, a wrong clock) is a
 * server of its own on a free port. */
#include "../lib/fleet.h"
#include "../lib/proxy.h"
#include "io/pg_grants.h"

#include <glob.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { SERVER_WAIT_MS = 30000, CHECKS = 34, TEXT_BYTES = 512 };

static const char *const GOOD_POSTGRES[] = {"--fsync=on", "--max_prepared_transactions=4", NULL};
static const char *const GOOD_REDIS[] = {"--save", "3600 1", NULL};

/* ---- running it ---- */

/* Runs it with further arguments (NULL: none), as JSON lines. */
static struct process *doctor_with(int exit_code, const char *const *args)
{
    const char *argv[16] = {"doctor", "--json"};
    size_t count = 2;
    for (; args && *args; args++)
        argv[count++] = *args;
    struct process *process = fenceline_start(&(struct process_spec){.argv = argv});
    fenceline_finish(process, exit_code);
    assert_string_equal(process->err.bytes, "");
    return process;
}

static struct process *doctor(int exit_code)
{
    return doctor_with(exit_code, NULL);
}

/* The line of a finding at that level; NULL if there is none. */
static char *find(const struct process *process, const char *server, const char *check, const char *level)
{
    char start[TEXT_BYTES];
    snprintf(start, sizeof start, "{\"server\":\"%s\",\"check\":\"%s\",\"level\":\"%s\",", server, check,
             level);
    const char *at = strstr(process->out.bytes, start);
    return at ? strndup(at, strcspn(at, "\n")) : NULL;
}

/* There is this finding, and it contains the text; above ok it has an advice. */
static void assert_finding(const struct process *process, const char *server, const char *check,
                           const char *level, const char *text)
{
    char *line = find(process, server, check, level);
    if (line == NULL) {
        process_print(process);
        LIB_FAIL("%s %s is not %s", server, check, level);
    }
    if (strstr(line, text) == NULL)
        LIB_FAIL("no '%s' in: %s", text, line);
    if ((strstr(line, "\"advice\":null") == NULL) != (strcmp(level, "ok") != 0))
        LIB_FAIL("advice? %s", line);
    free(line);
}

static size_t count_not_ok(const struct process *process)
{
    return files_count_text(process->out.bytes, "\"level\":\"warning\"") +
           files_count_text(process->out.bytes, "\"level\":\"danger\"");
}

/* It is the only one that is not ok. */
static void assert_only(const struct process *process, const char *server, const char *check,
                        const char *level, const char *text)
{
    assert_finding(process, server, check, level, text);
    if (count_not_ok(process) != 1) {
        process_print(process);
        LIB_FAIL("%s is not the only finding", check);
    }
}

/* Runs it, and this is the only finding. */
static void assert_doctor(const char *server, const char *check, const char *level, const char *text)
{
    int exit_code = strcmp(level, "danger") == 0 ? 1 : strcmp(level, "warning") == 0 ? 3 : 0;
    struct process *process = doctor(exit_code);
    if (exit_code == 0)
        assert_finding(process, server, check, level, text);
    else
        assert_only(process, server, check, level, text);
    process_release(process);
}

static void assert_all_ok(void)
{
    struct process *process = doctor(0);
    assert_int_equal(files_count_text(process->out.bytes, "\"level\":\"ok\""), CHECKS);
    assert_int_equal(files_count_lines(process->out.bytes), CHECKS);
    process_release(process);
}

/* ---- servers ---- */

static struct process *start_redis(uint16_t port, const char *folder, const char *const *more)
{
    char text[8];
    snprintf(text, sizeof text, "%u", (unsigned)port);
    const char *argv[32] = {"redis-server", "--bind", "127.0.0.1", "--port", text,
                            "--dir",        folder,   "--save",    "3600 1"};
    size_t count = 9;
    for (; more && *more; more++)
        argv[count++] = *more;
    return process_start(&(struct process_spec){.argv = argv, .folder = folder});
}

/* Waits until it answers. */
static redisContext *await_redis(uint16_t port)
{
    for (int64_t end_ms = process_now_ms() + SERVER_WAIT_MS; process_now_ms() < end_ms;) {
        redisContext *redis = redisConnect("127.0.0.1", port);
        if (redis && !redis->err)
            return redis;
        rdb_close(redis); /* refused: not up yet */
        process_sleep_ms(20);
    }
    LIB_FAIL("Redis does not answer on port %u", (unsigned)port);
}

static void use_redis(uint16_t port, char url[TEXT_BYTES])
{
    snprintf(url, TEXT_BYTES, "redis://127.0.0.1:%u", (unsigned)port);
    fenceline.redis_url = url;
}

static void await_postgres(const char *dsn)
{
    for (int64_t end_ms = process_now_ms() + SERVER_WAIT_MS; process_now_ms() < end_ms;) {
        if (PQping(dsn) == PQPING_OK)
            return;
        process_sleep_ms(20);
    }
    LIB_FAIL("%s does not answer", dsn);
}

/* A folder that the servers' user may write. */
static char *server_folder(const char *name)
{
    char *folder = files_join(services_folder(&fenceline.services), name);
    const struct passwd *user = services_postgres_user(&fenceline.services);
    files_make_folder(folder);
    assert_int_equal(chmod(folder, 0700), 0);
    if (user)
        assert_int_equal(chown(folder, user->pw_uid, user->pw_gid), 0);
    return folder;
}

static void restart_postgres(const char *const *args)
{
    db_close(fenceline.db);
    fenceline.db = NULL;
    services_postgres_set_args(&fenceline.services, args);
    services_postgres_restart(&fenceline.services, SERVICES_FAST);
    fenceline_reconnect();
}

/* For this database, from the next session on. NULL: reset. */
static void set_in_database(const char *name, const char *value)
{
    char *database = db_text(fenceline.db, "SELECT current_database()");
    char sql[TEXT_BYTES];
    if (value)
        snprintf(sql, sizeof sql, "ALTER DATABASE %s SET %s = '%s'", database, name, value);
    else
        snprintf(sql, sizeof sql, "ALTER DATABASE %s RESET %s", database, name);
    db_exec(fenceline.db, sql);
    free(database);
}

/* For the server; waits until it counts. */
static void set_in_server(const char *name, const char *value)
{
    char sql[TEXT_BYTES], *now = NULL;
    snprintf(sql, sizeof sql, "ALTER SYSTEM SET %s = '%s'", name, value);
    db_exec(fenceline.db, sql);
    db_exec(fenceline.db, "SELECT pg_reload_conf()");
    for (int i = 0; i < 500 && (!now || strcmp(now, value) != 0); i++) {
        free(now);
        process_sleep_ms(10);
        now = db_text(fenceline.db, "SELECT current_setting($1)", name);
    }
    assert_string_equal(now, value);
    free(now);
}

static int start_group(void **state)
{
    fenceline_start_group(state);
    services_redis_stop(&fenceline.services, SERVICES_FAST);
    services_redis_set_args(&fenceline.services, GOOD_REDIS);
    services_redis_start(&fenceline.services);
    services_postgres_set_args(&fenceline.services, GOOD_POSTGRES);
    services_postgres_restart(&fenceline.services, SERVICES_FAST);
    return 0;
}

/* Sanitizers add nothing to what the many runs of these tests look for; some of them run with them all the
 * same.
 */
static int start_test(void **state)
{
    fenceline_start_test(state);
    fenceline_use_fast(true);
    return 0;
}

/* ---- a good pair ---- */

static void test_good_pair(void **state)
{
    (void)state;
    fenceline_use_fast(false);
    assert_all_ok();
    struct process *process = fenceline_run(0, "doctor");
    fenceline_assert_out(process, "Redis\n  ok       connection          127.0.0.1:");
    fenceline_assert_out(process, "\n\nPostgres\n  ok       connection          127.0.0.1:");
    fenceline_assert_out(process, "\n\nQueue\n  ok       workers             0 alive");
    fenceline_assert_err(process, "fenceline: all 34 checks are ok\n");
    fenceline_assert_not_out(process, "\033");
    process_release(process);
    process = fenceline_run(0, "doctor", "--quiet");
    assert_string_equal(process->out.bytes, "");
    assert_string_equal(process->err.bytes, "");
    process_release(process);
}

static void test_help(void **state)
{
    (void)state;
    struct process *process = fenceline_run(0, "doctor", "--help");
    fenceline_assert_out(process, "Exit codes: 0 all ok, 3 a warning, 1 a danger, 6 a server is away");
    fenceline_assert_out(process, "--older-than DURATION");
    process_release(process);
    fenceline_run(2, "doctor", "surplus");
}

/* 80 columns, aligned, coloured by level; hostile texts stay texts. */
static void test_on_a_terminal(void **state)
{
    static const char *const ENV[] = {"TERM=xterm", NULL};
    static const char *const NO_COLOR[] = {"TERM=xterm", "NO_COLOR=1", NULL};
    (void)state;
    rdb_exec(fenceline.redis, "CONFIG SET save %s", "");
    db_exec(fenceline.db,
            "SELECT fenceline.set_paused(true, E'eve\\033[2J', E'wide \\u30b3\\u30fc\\u30c9 and so on "
            "and on, until the line is full and goes on in the next')");
    const struct process_spec spec = {.argv = (const char *const[]){"doctor", NULL},
                                      .env = ENV,
                                      .terminal_streams = PROCESS_OUT,
                                      .terminal_columns = 80,
                                      .terminal_rows = 50};
    struct process *process = fenceline_finish(fenceline_start(&spec), 3);
    fenceline_assert_out(process, "\033[1mRedis\033[0m\r\n  \033[32mok       \033[0mconnection          ");
    fenceline_assert_out(process,
                         "  \033[33mwarning  \033[0mpersistence         none: a restart empties it\r\n"
                         "                               -> set appendonly yes");
    fenceline_assert_out(process, "by eve\\x1B[2J: wide \xe3\x82\xb3");
    fenceline_assert_not_out(process, "\033[2J");
    fenceline_assert_err(process, "fenceline: 0 dangers, 2 warnings, 32 ok\n");
    process_release(process);
    struct process_spec plain = spec;
    plain.env = NO_COLOR;
    process = fenceline_finish(fenceline_start(&plain), 3);
    fenceline_assert_not_out(process, "\033");
    for (char *line = strtok(process->out.bytes, "\r\n"); line; line = strtok(NULL, "\r\n")) {
        size_t columns = 0;
        for (const char *at = line; *at; at++)
            columns +=
                ((unsigned char)*at & 0xc0) != 0x80; /* wide ones: two columns, and so at most 3 more */
        assert_in_range(columns, 1, 80);
    }
    process_release(process);
    process = doctor(3);
    assert_finding(process, "queue", "paused", "warning", "by eve\\u001b[2J: wide");
    process_release(process);
    rdb_exec(fenceline.redis, "CONFIG SET save %s", "3600 1");
}

/* ---- Redis ---- */

static void test_eviction(void **state)
{
    (void)state;
    rdb_exec(fenceline.redis, "CONFIG SET maxmemory-policy allkeys-lru");
    assert_doctor("redis", "eviction_policy", "warning", "allkeys-lru, without effect");
    rdb_exec(fenceline.redis, "CONFIG SET maxmemory 500mb");
    assert_doctor("redis", "eviction_policy", "danger",
                  "allkeys-lru: when full, Redis drops leases and the queue");
    rdb_exec(fenceline.redis, "CONFIG SET maxmemory-policy volatile-lru");
    assert_doctor("redis", "eviction_policy", "danger", "volatile-lru: when full, Redis drops leases\"");
    rdb_exec(fenceline.redis, "CONFIG SET maxmemory-policy noeviction");
    assert_all_ok();
    rdb_exec(fenceline.redis, "CONFIG SET maxmemory 0");
}

static void test_memory(void **state)
{
    char limit[24];
    (void)state;
    rdb_exec(fenceline.redis, "SETRANGE big %s x", "67108864");
    char *info = rdb_text(fenceline.redis, "INFO memory");
    int64_t used_bytes = strtoll(strstr(info, "used_memory:") + 12, NULL, 10);
    free(info);
    snprintf(limit, sizeof limit, "%" PRId64, used_bytes * 100 / 85);
    rdb_exec(fenceline.redis, "CONFIG SET maxmemory %s", limit);
    assert_doctor("redis", "memory", "warning", "used (85%)");
    snprintf(limit, sizeof limit, "%" PRId64, used_bytes * 100 / 98);
    rdb_exec(fenceline.redis, "CONFIG SET maxmemory %s", limit);
    assert_doctor("redis", "memory", "danger", "used (98%)");
    rdb_exec(fenceline.redis, "CONFIG SET maxmemory 0");
}

static void test_persistence(void **state)
{
    (void)state;
    rdb_exec(fenceline.redis, "CONFIG SET save %s", "");
    assert_doctor("redis", "persistence", "warning", "none: a restart empties it");
    rdb_exec(fenceline.redis, "CONFIG SET appendonly yes");
    assert_doctor("redis", "persistence", "ok", "append-only file");
    rdb_exec(fenceline.redis, "CONFIG SET appendonly no");
    rdb_exec(fenceline.redis, "CONFIG SET save %s", "3600 1");
}

/* Its folder is gone: Redis cannot save, and would refuse writes. */
static void test_save_fails(void **state)
{
    char url[TEXT_BYTES];
    (void)state;
    uint16_t port = services_free_port();
    char *folder = files_temp_folder(NULL, "fenceline-doctor");
    struct process *server = start_redis(port, folder, NULL);
    redisContext *redis = await_redis(port);
    assert_true(files_remove_tree(folder));
    rdb_exec(redis, "SET a b");
    rdb_exec(redis, "BGSAVE");
    for (int i = 0; i < 500 && rdb_int(redis, "LASTSAVE") && i >= 0; i++) {
        char *info = rdb_text(redis, "INFO persistence");
        bool failed = strstr(info, "rdb_last_bgsave_status:err") != NULL;
        free(info);
        if (failed)
            break;
        process_sleep_ms(10);
    }
    use_redis(port, url);
    assert_doctor("redis", "persistence", "danger", "the last snapshot failed");
    rdb_close(redis);
    process_release(server);
    free(folder);
}

/* A user who may not ask for the configuration. */
static void test_config_is_refused(void **state)
{
    char url[TEXT_BYTES];
    (void)state;
    rdb_exec(fenceline.redis, "ACL SETUSER shy on >guess123 ~* &* +@all -config");
    snprintf(url, sizeof url, "redis://shy:guess123@127.0.0.1:%u",
             (unsigned)services_redis_port(&fenceline.services));
    fenceline.redis_url = url;
    fenceline.secret = "guess123";
    struct process *process = doctor(0); /* CONFIG GET tells passwords, too: nobody needs the right to it */
    assert_finding(process, "redis", "persistence", "ok", "may not see (CONFIG GET save)");
    process_release(process);
    rdb_exec(fenceline.redis, "ACL SETUSER shy -info -xinfo -hmget");
    process = doctor(1);
    assert_finding(process, "redis", "rights", "danger",
                   "shy lacks +xinfo|consumers +hmget +info\",\"advice\":\"as an admini");
    assert_finding(process, "redis", "rights", "danger", "ACL SETUSER shy resetkeys");
    assert_finding(process, "redis", "version", "warning", "could not look");
    assert_finding(process, "redis", "role", "warning", "could not look");
    assert_finding(process, "queue", "orphaned", "warning", "could not look");
    assert_finding(process, "redis", "latency", "ok", "");
    process_release(process);
    rdb_exec(fenceline.redis, "ACL DELUSER shy");
}

static void test_replica(void **state)
{
    char url[TEXT_BYTES], primary[TEXT_BYTES];
    (void)state;
    uint16_t port = services_free_port();
    char *folder = files_temp_folder(NULL, "fenceline-doctor");
    snprintf(primary, sizeof primary, "127.0.0.1 %u", (unsigned)services_redis_port(&fenceline.services));
    rdb_exec(fenceline.redis, "CONFIG SET repl-diskless-sync-delay 3");
    struct process *server = start_redis(port, folder, (const char *const[]){"--replicaof", primary, NULL});
    redisContext *redis = await_redis(port);
    for (int i = 0; i < 500; i++) {
        char *info = rdb_text(fenceline.redis, "INFO replication");
        bool is_there = strstr(info, "connected_slaves:1") != NULL;
        free(info);
        if (is_there)
            break;
        process_sleep_ms(10);
    }
    assert_doctor("redis", "replicas", "warning", "1 replica, the slowest 0s behind, 1 not in sync yet");
    for (int i = 0; i < 1000; i++) {
        char *info = rdb_text(fenceline.redis, "INFO replication");
        bool is_online = strstr(info, "state=online") != NULL;
        free(info);
        if (is_online)
            break;
        process_sleep_ms(10);
    }
    assert_doctor("redis", "replicas", "ok", "harmless");
    process_signal(server, SIGSTOP);
    process_sleep_ms(6500);
    assert_doctor("redis", "replicas", "warning", "0 not in sync yet");
    process_signal(server, SIGCONT);
    use_redis(port, url);
    snprintf(primary, sizeof primary, "replica of 127.0.0.1:%u",
             (unsigned)services_redis_port(&fenceline.services));
    assert_doctor("redis", "role", "danger", primary);
    rdb_close(redis);
    process_release(server);
    files_remove_tree(folder);
    free(folder);
}

static void test_cluster(void **state)
{
    char url[TEXT_BYTES];
    (void)state;
    uint16_t port = services_free_port();
    char *folder = files_temp_folder(NULL, "fenceline-doctor");
    struct process *server = start_redis(
        port, folder, (const char *const[]){"--cluster-enabled", "yes", "--cluster-port", "0", NULL});
    if (process_ended(server, 300)) { /* a bus port of its own, where the default one would be too high */
        process_print(server);
        LIB_FAIL("the cluster does not start");
    }
    redisContext *redis = await_redis(port);
    use_redis(port, url);
    struct process *process = doctor(1);
    assert_finding(process, "redis", "mode", "danger", "cluster");
    process_release(process);
    rdb_close(redis);
    process_release(server);
    files_remove_tree(folder);
    free(folder);
}

static void test_sentinel(void **state)
{
    char url[TEXT_BYTES], config[TEXT_BYTES];
    (void)state;
    uint16_t port = services_free_port();
    char *folder = files_temp_folder(NULL, "fenceline-doctor");
    snprintf(config, sizeof config, "bind 127.0.0.1\nport %u\nsentinel monitor main 127.0.0.1 %u 1\n",
             (unsigned)port, (unsigned)services_redis_port(&fenceline.services));
    char *path = files_write_text(folder, "sentinel.conf", config);
    struct process *server = process_start(&(struct process_spec){
        .argv = (const char *const[]){"redis-server", path, "--sentinel", NULL}, .folder = folder});
    redisContext *redis = await_redis(port);
    use_redis(port, url);
    struct process *process = doctor(1);
    assert_finding(process, "redis", "mode", "danger", "sentinel");
    assert_finding(process, "queue", "workers", "warning", "could not look");
    assert_null(strstr(process->out.bytes, "\"check\":\"eviction_policy\""));
    process_release(process);
    rdb_close(redis);
    process_release(server);
    files_remove_tree(folder);
    free(folder);
    free(path);
}

static void test_latency(void **state)
{
    struct proxy proxy = {0};
    char url[TEXT_BYTES];
    (void)state;
    uint16_t port = proxy_start(&proxy, services_redis_port(&fenceline.services));
    use_redis(port, url);
    proxy_delay(&proxy, PROXY_TO_CLIENT, 25);
    struct process *process = doctor(3);
    assert_only(process, "redis", "latency", "warning", " ms (median of 15 pings");
    process_release(process);
    proxy_stop(&proxy);
}

/* ---- clocks ---- */

/* Starts a program that sees a clock which is off by some seconds ("+90s"). */
static struct process *start_elsewhen(const char *offset, const char *const *argv, const char *const *env)
{
    const char *all[32] = {"faketime", "-f", offset};
    size_t count = 3;
    for (; *argv; argv++)
        all[count++] = *argv;
    return process_start(&(struct process_spec){.argv = all, .env = env});
}

/* This machine's clock is wrong: both servers are off by as much. A sanitizer does not bear what faketime
 * loads in front of it. */
static void test_own_clock(void **state)
{
    char redis_env[TEXT_BYTES], pg_env[TEXT_BYTES];
    (void)state;
    const char *fast = fenceline_binary();
    fenceline_use_fast(false);
    if (strcmp(fast, fenceline_binary()) == 0) {
        print_message("skipped: there is no build without sanitizers\n");
        skip();
    }
    fenceline_use_fast(true);
    snprintf(redis_env, sizeof redis_env, "FENCELINE_REDIS=%s", fenceline.redis_url);
    snprintf(pg_env, sizeof pg_env, "FENCELINE_POSTGRES=%s", fenceline.postgres_dsn);
    struct process *process =
        start_elsewhen("+90s", (const char *const[]){fenceline_binary(), "doctor", "--json", NULL},
                       (const char *const[]){redis_env, pg_env, NULL});
    process_wait_code(process, 3, SERVER_WAIT_MS);
    char *line = find(process, "redis", "clock", "warning");
    assert_non_null(line);
    /* Spans are cut and not rounded, and the two questions take a moment. */
    assert_true(strstr(line, "1m30s behind this machine's") || strstr(line, "1m29s behind this machine's"));
    assert_non_null(strstr(line, "s apart from Postgres's"));
    free(line);
    assert_finding(process, "postgres", "clock", "warning", "s apart from Redis's");
    assert_int_equal(count_not_ok(process), 2);
    process_release(process);
}

/* ---- Postgres ---- */

static void test_not_durable(void **state)
{
    (void)state;
    restart_postgres((const char *const[]){"--fsync=off", NULL});
    assert_doctor("postgres", "fsync", "danger",
                  "off: a crash of the machine can lose or corrupt everything");
    restart_postgres((const char *const[]){"--fsync=on", "--full_page_writes=off", NULL});
    assert_doctor("postgres", "full_page_writes", "danger", "off: a crash");
    restart_postgres(GOOD_POSTGRES);
    assert_all_ok();
}

static void test_synchronous_commit(void **state)
{
    (void)state;
    set_in_database("synchronous_commit", "off");
    assert_doctor("postgres", "synchronous_commit", "danger", "off (set by: database)");
    set_in_database("synchronous_commit", NULL);
    db_exec(fenceline.db, "ALTER ROLE postgres SET synchronous_commit = off");
    assert_doctor("postgres", "synchronous_commit", "danger", "off (set by: user)");
    db_exec(fenceline.db, "ALTER ROLE postgres RESET synchronous_commit");
    set_in_database("synchronous_commit", "local"); /* no standby: the same as on */
    assert_doctor("postgres", "synchronous_commit", "ok", "local");
}

static void test_timeouts(void **state)
{
    static const struct {
        const char *name, *value, *text;
    } CASES[] = {
        {"idle_in_transaction_session_timeout", "2s",
         "idle_in_transaction_session_timeout = 2000ms (database)"},
        {"statement_timeout", "3s", "statement_timeout = 3000ms (database)"},
        {"lock_timeout", "200ms", "lock_timeout = 200ms (database)"},
        {"transaction_timeout", "10s", "transaction_timeout = 10000ms (database)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        if (!db_int(fenceline.db, "SELECT count(*) FROM pg_settings WHERE name = $1", CASES[i].name))
            continue; /* transaction_timeout came with Postgres 17 */
        set_in_database(CASES[i].name, CASES[i].value);
        assert_doctor("postgres", "timeouts", "warning", CASES[i].text);
        set_in_database(CASES[i].name, NULL);
    }
}

static void test_transactions(void **state)
{
    static const char *const OLD[] = {"--older-than", "1s", NULL};
    char text[TEXT_BYTES];
    (void)state;
    PGconn *other = db_open(fenceline.dsn);
    db_exec(other, "SET application_name = 'nightly report'");
    db_exec(other, "BEGIN");
    db_exec(other, "SELECT 1");
    process_sleep_ms(1200);
    assert_doctor("postgres", "transactions", "ok", "none open for long; the oldest for ");
    struct process *process = doctor_with(3, OLD);
    snprintf(text, sizeof text, "pid %d, idle in transaction, nightly report, role postgres",
             PQbackendPID(other));
    assert_only(process, "postgres", "transactions", "warning", text);
    process_release(process);
    db_exec(other, "COMMIT");
    process_release(doctor_with(0, OLD));
    db_exec(other, "BEGIN");
    db_exec(other, "CREATE TABLE public.elsewhere (i int)");
    db_exec(other, "PREPARE TRANSACTION E'gone\\033[2J'");
    process_sleep_ms(1200);
    assert_doctor("postgres", "prepared", "ok", "1, the oldest for ");
    process = doctor_with(3, OLD);
    assert_only(process, "postgres", "prepared", "warning", "gone\\u001b[2J");
    process_release(process);
    db_exec(other, "ROLLBACK PREPARED E'gone\\033[2J'");
    db_close(other);
}

static void test_slots(void **state)
{
    (void)state;
    db_exec(fenceline.db, "SELECT pg_create_physical_replication_slot('forgotten', true)");
    assert_doctor("postgres", "replication_slots", "warning", "1 unused (forgotten keeps ");
    db_exec(fenceline.db, "SELECT pg_drop_replication_slot('forgotten')");
}

static void test_connections(void **state)
{
    (void)state;
    struct process *workers[] = {fleet_start_worker(), fleet_start_worker()};
    assert_doctor("postgres", "max_connections", "ok", "9 of 197 wanted (2 workers, 4 each; 1 others)");
    fleet_stop_worker(workers[0]);
    fleet_stop_worker(workers[1]);
    /* Two workers may want 8; the test itself has a connection; 3 are reserved. */
    restart_postgres(
        (const char *const[]){"--fsync=on", "--max_connections=11", "--max_wal_senders=2", NULL});
    workers[0] = fleet_start_worker();
    workers[1] = fleet_start_worker();
    assert_doctor("postgres", "max_connections", "danger", "9 of 8 wanted (2 workers, 4 each; 1 others)");
    fleet_stop_worker(workers[1]);
    fleet_await(4, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'fenceline worker%'");
    assert_doctor("postgres", "max_connections", "ok", "5 of 8 wanted (1 worker, 4 each; 1 others)");
    PGconn *others[] = {db_open(fenceline.dsn), db_open(fenceline.dsn)};
    assert_doctor("postgres", "max_connections", "warning", "7 of 8 wanted (1 worker, 4 each; 3 others)");
    db_close(others[0]);
    db_close(others[1]);
    fleet_stop_worker(workers[0]);
    restart_postgres(GOOD_POSTGRES);
}

/* A role that may do nothing, and have few connections. */
static void test_role_without_rights(void **state)
{
    char dsn[SERVICES_DSN_BYTES];
    (void)state;
    db_exec(fenceline.db, "CREATE ROLE shy LOGIN CONNECTION LIMIT 3");
    const char *host = strchr(fenceline.dsn, '@');
    snprintf(dsn, sizeof dsn, "postgresql://shy%s", host);
    fenceline.postgres_dsn = dsn;
    struct process *worker = NULL;
    struct process *process = doctor(1);
    assert_finding(process, "postgres", "rights", "danger", "shy lacks");
    assert_finding(process, "postgres", "rights", "danger", "GRANT EXECUTE ON FUNCTION fenceline.");
    assert_finding(process, "postgres", "transactions", "warning", "GRANT pg_read_all_stats TO");
    assert_finding(process, "postgres", "schema", "warning", "permission denied");
    assert_finding(process, "postgres", "fsync", "ok", "on");
    assert_int_equal(count_not_ok(process), 3);
    process_release(process);
    /* One worker of its own wants more than the role may have. */
    fenceline.postgres_dsn = fenceline.dsn;
    worker = fleet_start_worker();
    fenceline.postgres_dsn = dsn;
    process = doctor(1);
    assert_finding(process, "postgres", "max_connections", "danger", "the role may have fewer");
    process_release(process);
    fleet_stop_worker(worker);
    db_exec(fenceline.db, "DROP ROLE shy");
}

/* Whoever fills one of the roles has what that role is for. */
static void test_roles(void **state)
{
    static const char *const ROLES[] = {"fenceline_worker", "fenceline_operator", "fenceline_reader"};
    char dsn[SERVICES_DSN_BYTES], sql[TEXT_BYTES], text[TEXT_BYTES];
    (void)state;
    db_exec(fenceline.db, fl_roles_sql);
    for (size_t i = 0; i < sizeof ROLES / sizeof *ROLES; i++) {
        snprintf(sql, sizeof sql, "CREATE ROLE shy LOGIN IN ROLE %s", ROLES[i]);
        db_exec(fenceline.db, sql);
        snprintf(dsn, sizeof dsn, "postgresql://shy%s", strchr(fenceline.dsn, '@'));
        fenceline.postgres_dsn = dsn;
        struct process *process = doctor(strcmp(ROLES[i], "fenceline_operator") == 0 ? 0 : 3);
        snprintf(text, sizeof text, "shy has those of %s", ROLES[i]);
        assert_finding(process, "postgres", "rights", "ok", text);
        process_release(process);
        fenceline.postgres_dsn = fenceline.dsn;
        db_exec(fenceline.db, "DROP ROLE shy");
    }
}

static void test_schema(void **state)
{
    char empty[SERVICES_DSN_BYTES];
    char text[64];
    (void)state;
    services_new_database(&fenceline.services, empty);
    fenceline.postgres_dsn = empty;
    assert_doctor("postgres", "schema", "danger", "not there");
    fenceline.postgres_dsn = fenceline.dsn;
    int64_t newest = db_int(fenceline.db, "SELECT max(version) FROM fenceline.schema_versions");
    db_exec(fenceline.db, "INSERT INTO fenceline.schema_versions (version, name) VALUES (9999, 'future')");
    assert_doctor("postgres", "schema", "danger", "version 9999, newer than this fenceline");
    db_exec(fenceline.db, "DELETE FROM fenceline.schema_versions WHERE version = 9999");
    snprintf(text, sizeof text, "%" PRId64, newest);
    db_exec(fenceline.db, "DELETE FROM fenceline.schema_versions WHERE version = $1", text);
    snprintf(text, sizeof text, "version %" PRId64 ", and this fenceline needs %" PRId64, newest - 1, newest);
    assert_doctor("postgres", "schema", "danger", text);
}

static void test_bloat(void **state)
{
    (void)state;
    db_exec(fenceline.db, "ALTER TABLE fenceline.jobs SET (autovacuum_enabled = off)");
    assert_doctor("postgres", "bloat", "warning", "autovacuum is off for it");
    PGconn *other = db_open(fenceline.dsn);
    db_exec(other, "INSERT INTO fenceline.jobs (queued, episode_id, kind, source, outcome, finished_at)"
                   " SELECT false, 'ep1', 'chapters', 'x', 'imported', now() FROM generate_series(1, 12000)");
    db_exec(other, "DELETE FROM fenceline.jobs");
    db_close(other); /* its counts are told at its end */
    db_exec(fenceline.db, "ALTER TABLE fenceline.jobs RESET (autovacuum_enabled)");
    fleet_await(12000, "SELECT n_dead_tup FROM pg_stat_all_tables"
                       " WHERE relid = 'fenceline.jobs'::regclass");
    assert_doctor("postgres", "bloat", "warning", "fenceline.jobs: 12000 dead of 12000 rows, ");
    db_exec(fenceline.db, "VACUUM fenceline.jobs");
    fleet_await(0, "SELECT n_dead_tup FROM pg_stat_all_tables WHERE relid = 'fenceline.jobs'::regclass");
    assert_doctor("postgres", "bloat", "ok", " ago");
}

/* ---- standbys ---- */

/* A copy of the group's Postgres, following it; env as in process.h. Its database is the test's. */
static struct process *start_standby(const char *const *env, char dsn[SERVICES_DSN_BYTES])
{
    char port_text[8], primary_port[8];
    const struct passwd *user = services_postgres_user(&fenceline.services);
    char *folder = server_folder("standby");
    char *backup = services_postgres_program(&fenceline.services, "pg_basebackup");
    char *postgres = services_postgres_program(&fenceline.services, "postgres");
    uint16_t port = services_free_port();
    files_remove_tree(folder);
    free(server_folder("standby"));
    snprintf(port_text, sizeof port_text, "%u", (unsigned)port);
    snprintf(primary_port, sizeof primary_port, "%u", (unsigned)services_postgres_port(&fenceline.services));
    struct process *copying = process_start(&(struct process_spec){
        .argv = (const char *const[]){backup, "-h", "127.0.0.1", "-p", primary_port, "-U", "postgres", "-D",
                                      folder, "-R", "--checkpoint=fast", "--no-sync", NULL},
        .user = user,
        .folder = folder,
    });
    process_wait_code(copying, 0, SERVER_WAIT_MS);
    struct process *standby = process_start(&(struct process_spec){
        .argv = (const char *const[]){postgres, "-D", folder, "-p", port_text, "--listen_addresses=127.0.0.1",
                                      "--unix_socket_directories=", "--shared_buffers=16MB",
                                      "--max_connections=200", "--cluster_name=copy",
                                      "--max_prepared_transactions=4", NULL},
        .env = env,
        .user = user,
        .folder = folder,
        .death_signal = SIGQUIT,
    });
    services_dsn_on_port(fenceline.dsn, port, dsn);
    await_postgres(dsn);
    fleet_await(1, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'");
    process_release(copying);
    free(folder);
    free(backup);
    free(postgres);
    return standby;
}

static void stop_standby(struct process *standby)
{
    process_signal(standby, SIGINT);
    process_wait(standby, SERVER_WAIT_MS);
    process_release(standby);
    fleet_await(0, "SELECT count(*) FROM pg_stat_replication");
}

static void test_standby(void **state)
{
    char dsn[SERVICES_DSN_BYTES];
    (void)state;
    struct process *standby = start_standby(NULL, dsn);
    assert_doctor("postgres", "standbys", "warning", "1, all asynchronous (copy), ");
    fenceline.postgres_dsn = dsn; /* its schema and queue can be looked at, too */
    assert_doctor("postgres", "role", "danger", "standby: it refuses every write");
    fenceline.postgres_dsn = fenceline.dsn;

    set_in_server("synchronous_standby_names", "copy");
    fleet_await(1, "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'");
    assert_doctor("postgres", "standbys", "ok", "1, 1 synchronous");
    set_in_database("synchronous_commit", "local");
    assert_doctor("postgres", "synchronous_commit", "warning", "local (set by: database): no commit waits");
    set_in_database("synchronous_commit", NULL);

    stop_standby(standby);
    assert_doctor("postgres", "standbys", "danger", "no synchronous one is connected: every commit waits");
    set_in_server("synchronous_standby_names", "");
    assert_all_ok();
}

/* Where one of the servers has another time than the other one. */
static void test_clock_of_postgres(void **state)
{
    char preload[TEXT_BYTES], dsn[SERVICES_DSN_BYTES];
    glob_t found;
    (void)state;
    if (glob("/usr/lib/*/faketime/libfaketime.so.1", 0, NULL, &found) != 0) {
        print_message("skipped: libfaketime is not installed\n");
        skip();
    }
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", found.gl_pathv[0]);
    globfree(&found);
    struct process *standby = start_standby((const char *const[]){preload, "FAKETIME=-90s", NULL}, dsn);
    fenceline.postgres_dsn = dsn;
    struct process *process = doctor(1);
    assert_finding(process, "postgres", "role", "danger", "standby");
    char *line = find(process, "postgres", "clock", "warning");
    assert_non_null(line);
    assert_true(strstr(line, "\"1m30s behind this machine's, 1m30s apart from Redis's") ||
                strstr(line, "\"1m29s behind this machine's, 1m29s apart from Redis's"));
    free(line);
    assert_finding(process, "redis", "clock", "warning", "s apart from Postgres's");
    assert_int_equal(count_not_ok(process), 3);
    process_release(process);
    fenceline.postgres_dsn = fenceline.dsn;
    stop_standby(standby);
}

/* ---- poolers ---- */

static struct process *start_pooler(const char *mode, uint16_t port)
{
    char config[1024], path[TEXT_BYTES];
    char *folder = server_folder("pooler");
    snprintf(
        config, sizeof config,
        "[databases]\n* = host=127.0.0.1 port=%u\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %u\n"
        "unix_socket_dir =\nauth_type = trust\nauth_file = %s/users\npool_mode = %s\n",
        (unsigned)services_postgres_port(&fenceline.services), (unsigned)port, folder, mode);
    free(files_write_text(folder, "users", "\"postgres\" \"\"\n"));
    free(files_write_text(folder, "pgbouncer.ini", config));
    snprintf(path, sizeof path, "%s/users", folder);
    chmod(path, 0644);
    snprintf(path, sizeof path, "%s/pgbouncer.ini", folder);
    chmod(path, 0644);
    struct process *pooler = process_start(&(struct process_spec){
        .argv = (const char *const[]){"/usr/sbin/pgbouncer", path, NULL},
        .user = services_postgres_user(&fenceline.services),
        .folder = folder,
        .death_signal = SIGQUIT,
    });
    free(folder);
    return pooler;
}

static void test_poolers(void **state)
{
    static const struct {
        const char *mode, *level, *text;
    } CASES[] = {
        {"session", "ok", "a session pooler"},
        {"transaction", "danger", "a transaction pooler"},
        {"statement", "danger", "a transaction pooler"},
    };
    char dsn[SERVICES_DSN_BYTES];
    (void)state;
    if (access("/usr/sbin/pgbouncer", X_OK) != 0) {
        print_message("skipped: pgbouncer is not installed\n");
        skip();
    }
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        uint16_t port = services_free_port();
        struct process *pooler = start_pooler(CASES[i].mode, port);
        services_dsn_on_port(fenceline.dsn, port, dsn);
        await_postgres(dsn);
        fenceline.postgres_dsn = dsn;
        for (int run = 0; run < 3; run++) /* never by luck */
            assert_doctor("postgres", "pooler", CASES[i].level, CASES[i].text);
        process_release(pooler);
    }
}

/* Clients that come and go make the pooler hand sessions out in another order. */
static void test_busy_pooler(void **state)
{
    enum { OTHERS = 6 };
    char dsn[SERVICES_DSN_BYTES];
    PGconn *others[OTHERS];
    (void)state;
    if (access("/usr/sbin/pgbouncer", X_OK) != 0)
        skip();
    uint16_t port = services_free_port();
    struct process *pooler = start_pooler("transaction", port);
    services_dsn_on_port(fenceline.dsn, port, dsn);
    await_postgres(dsn);
    for (int i = 0; i < OTHERS; i++) {
        others[i] = db_open(dsn);
        db_exec(others[i], "BEGIN");
    }
    for (int i = 0; i < OTHERS; i += 2)
        db_exec(others[i], "COMMIT");
    fenceline.postgres_dsn = dsn;
    assert_doctor("postgres", "pooler", "danger", "a transaction pooler");
    for (int i = 0; i < OTHERS; i++)
        db_close(others[i]);
    process_release(pooler);
}

/* ---- the queue ---- */

static void test_paused(void **state)
{
    (void)state;
    fenceline_run(0, "jobs", "pause", "--reason", "moving house");
    assert_doctor("queue", "paused", "warning", ": moving house");
    fenceline_run(0, "jobs", "resume");
    assert_all_ok();
}

static void test_nobody_works(void **state)
{
    (void)state;
    fleet_enqueue_chapters("ep1", "a", 3, "create");
    rdb_exec(fenceline.redis, "ZADD fenceline:{queue}:workers %lld import@here:1:abcdef",
             (long long)time(NULL) * 1000);
    assert_doctor("queue", "workers", "danger",
                  "none alive, and 1 job is waiting"); /* an import takes no jobs */
    struct process *worker = fleet_start_worker();
    fleet_await_all_decided();
    assert_doctor("queue", "workers", "ok", "1 alive");
    fleet_stop_worker(worker);
    assert_doctor("queue", "workers", "ok", "0 alive");
}

/* Nobody hands out what is due. */
static void test_undispatched(void **state)
{
    (void)state;
    fleet_enqueue_chapters("ep1", "a", 3, "create");
    fleet_enqueue_chapters("ep1", "b", 3, "replace"); /* behind it, and so not late */
    db_exec(fenceline.db,
            "SELECT fenceline.enqueue('ep2', 'chapters', source => 'x', not_before => now() + interval "
            "'1 hour')");
    struct process *process = doctor(1);
    assert_finding(process, "queue", "workers", "danger", "none alive, and 2 jobs are waiting");
    assert_finding(process, "queue", "undispatched", "ok",
                   "1 job is due and not handed out, the oldest for ");
    assert_finding(process, "queue", "open_jobs", "ok", "2; the oldest for ");
    process_release(process);
    db_exec(fenceline.db,
            "UPDATE fenceline.jobs SET created_at = now() - interval '192 s' WHERE episode_id = 'ep1'");
    process = doctor_with(1, (const char *const[]){"--older-than", "3m", NULL});
    assert_finding(process, "queue", "undispatched", "warning",
                   "1 job is due and not handed out, the oldest for 3m12s");
    assert_finding(process, "queue", "open_jobs", "warning",
                   "2; the oldest for 3m12s: job 1, waiting, episode ep1");
    process_release(process);
    struct process *worker = fleet_start_worker();
    fleet_await(1, "SELECT count(*) FROM fenceline.jobs WHERE outcome IS NULL");
    assert_doctor("queue", "undispatched", "ok", "none");
    fleet_stop_worker(worker);
}

/* Marked as handed out, and not in Redis. */
static void test_lost_by_redis(void **state)
{
    static const char *const ENV[] = {"FENCELINE_WORKER_SWEEP_MS=600000", NULL};
    (void)state;
    /* A worker that lives, and looks for lost jobs so rarely that this one stays lost. */
    struct process *worker = fleet_start_worker_with(ENV);
    int64_t job = fleet_enqueue_chapters("ep1", "a", 3, "create");
    fleet_await_outcome(job, "imported");
    db_exec(fenceline.db, "INSERT INTO fenceline.jobs (episode_id, kind, source, dispatched_at)"
                          " VALUES ('ep2', 'chapters', 'x', now() - interval '1 minute')");
    assert_doctor("queue", "orphaned", "warning", "1 job was handed to Redis and not there (job 2)");
    db_exec(fenceline.db, "UPDATE fenceline.jobs SET dispatched_at = now() WHERE job_id = 2");
    assert_doctor("queue", "orphaned", "ok", "none"); /* it may be on its way */
    db_exec(fenceline.db, "DELETE FROM fenceline.jobs WHERE job_id = 2");
    fleet_stop_worker(worker);
}

/* A job that is decided while doctor looks has left Redis rightly. */
static void test_decided_meanwhile(void **state)
{
    struct proxy proxy = {0};
    char url[TEXT_BYTES];
    (void)state;
    struct process *worker =
        fleet_start_worker_with((const char *const[]){"FENCELINE_WORKER_SWEEP_MS=600000", NULL});
    /* Its first search for lost jobs is over. */
    fleet_await_outcome(fleet_enqueue_chapters("ep1", "a", 3, "create"), "imported");
    db_exec(fenceline.db, "INSERT INTO fenceline.jobs (episode_id, kind, source, dispatched_at)"
                          " VALUES ('ep2', 'chapters', 'x', now() - interval '1 minute'),"
                          "        ('ep3', 'chapters', 'x', now() - interval '1 minute')");
    use_redis(proxy_start(&proxy, services_redis_port(&fenceline.services)), url);
    int rule = proxy_arm(
        &proxy, &(struct proxy_rule){.direction = PROXY_TO_SERVER, .action = PROXY_HOLD, .pattern = "HMGET"});
    struct process *process = fenceline_launch("doctor", "--json");
    assert_true(proxy_wait_fired(&proxy, rule, 1, SERVER_WAIT_MS));
    db_exec(fenceline.db,
            "UPDATE fenceline.jobs SET outcome = 'imported', finished_at = now() WHERE job_id = 2");
    proxy_resume(&proxy);
    fenceline_finish(process, 3);
    assert_only(process, "queue", "orphaned", "warning", "1 job was handed to Redis and not there (job 3)");
    process_release(process);
    proxy_stop(&proxy);
    fleet_stop_worker(worker);
}

static void test_held_by_the_dead(void **state)
{
    static const char *const ENV[] = {"FENCELINE_WORKER_DEAD_MS=1000", "FENCELINE_WORKER_HEARTBEAT_MS=200",
                                      NULL};
    (void)state;
    fenceline.env = ENV;
    struct process *worker = fleet_start_worker();
    fenceline_set_lease("ep1", "somebody", 60000);
    fleet_enqueue_chapters("ep1", "a", 3, "create");
    fleet_await(1, "SELECT count(*) FROM fenceline.jobs WHERE started_at IS NOT NULL");
    struct process *process = doctor(0);
    assert_finding(process, "queue", "orphaned", "ok", "none");
    assert_finding(process, "queue", "open_jobs", "ok", "1; the oldest for ");
    process_release(process);
    fleet_kill_worker(worker);
    process_sleep_ms(FLEET_DEAD_MS + 300);
    process = doctor(1);
    assert_finding(process, "queue", "orphaned", "warning", "1 job held by dead workers (");
    assert_finding(process, "queue", "workers", "danger", "none alive, and 1 job is waiting");
    assert_int_equal(count_not_ok(process), 2);
    process_release(process);
    fenceline_drop_lease("ep1");
}

static void test_dead_letters(void **state)
{
    static const char *const ENV[] = {"FENCELINE_JOB_MAX_ATTEMPTS=1", NULL};
    (void)state;
    struct process *worker = fleet_start_worker_with(ENV);
    int64_t job = fleet_enqueue("ep1", "chapters", "not-there.json", "create");
    fleet_await_outcome(job, "failed");
    assert_doctor("queue", "dead_letters", "warning", "1 that nobody has retried");
    free(fenceline_write_chapters("not-there", "a", 3));
    fenceline_run(0, "jobs", "retry", "1");
    fleet_await_all_decided();
    struct process *process = doctor(3); /* again: the file is called otherwise; but one letter, not two */
    assert_finding(process, "queue", "dead_letters", "warning", "1 that nobody has retried");
    process_release(process);
    fleet_stop_worker(worker);
}

/* ---- servers that are away ---- */

static void test_away(void **state)
{
    char url[TEXT_BYTES], dsn[SERVICES_DSN_BYTES];
    (void)state;
    use_redis(services_free_port(), url);
    struct process *process = doctor(6);
    assert_only(process, "redis", "connection", "danger", "Connection refused");
    assert_finding(process, "postgres", "fsync", "ok", "on");
    assert_finding(process, "queue", "undispatched", "ok", "none");
    assert_null(strstr(process->out.bytes, "\"check\":\"orphaned\""));
    process_release(process);
    services_dsn_on_port(fenceline.dsn, services_free_port(), dsn);
    fenceline.postgres_dsn = dsn;
    process = doctor(6);
    assert_finding(process, "redis", "connection", "danger", "Connection refused");
    assert_finding(process, "postgres", "connection", "danger", "Connection refused");
    assert_int_equal(files_count_lines(process->out.bytes), 2);
    process_release(process);
    fenceline.redis_url = services_redis_url(&fenceline.services);
    process = doctor(6);
    assert_only(process, "postgres", "connection", "danger", "Connection refused");
    assert_finding(process, "redis", "role", "ok", "primary");
    process_release(process);
    fenceline.redis_url = "nonsense";
    process_release(fenceline_run(2, "doctor"));
}

/* A server that accepts and says nothing costs its timeout, and the other one is still looked at. */
static void test_silent(void **state)
{
    static const char *const ENV[] = {"FENCELINE_REDIS_TIMEOUT_MS=300", NULL};
    struct proxy proxy = {0};
    char url[TEXT_BYTES];
    (void)state;
    fenceline.env = ENV;
    use_redis(proxy_start(&proxy, services_redis_port(&fenceline.services)), url);
    proxy_block(&proxy, PROXY_SILENT);
    struct process *process = doctor(3);
    assert_finding(process, "redis", "version", "warning", "no answer for 0.3 s");
    assert_finding(process, "postgres", "fsync", "ok", "on");
    process_release(process);
    proxy_stop(&proxy);
}

/* Durable servers wait for the disk, and here nothing has to outlive the tests: where there is memory for it,
 * their files lie there, and the tests take a third of the time. */
static void prefer_memory(void)
{
    struct statvfs space;
    bool has_room = statvfs("/dev/shm", &space) == 0 && space.f_bavail > (2ULL << 30) / space.f_frsize;
    if (has_room && access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
}

int main(void)
{
    prefer_memory();
#define TEST(function) cmocka_unit_test_setup_teardown(function, start_test, fenceline_stop_test)
    const struct CMUnitTest tests[] = {
        /* Those that restart or copy Postgres come first: each test adds a database. */
        TEST(test_good_pair),
        TEST(test_standby),
        TEST(test_clock_of_postgres),
        TEST(test_not_durable),
        TEST(test_connections),
        TEST(test_help),
        TEST(test_on_a_terminal),
        TEST(test_eviction),
        TEST(test_memory),
        TEST(test_persistence),
        TEST(test_save_fails),
        TEST(test_config_is_refused),
        TEST(test_replica),
        TEST(test_cluster),
        TEST(test_sentinel),
        TEST(test_latency),
        TEST(test_own_clock),
        TEST(test_synchronous_commit),
        TEST(test_timeouts),
        TEST(test_transactions),
        TEST(test_slots),
        TEST(test_role_without_rights),
        TEST(test_roles),
        TEST(test_schema),
        TEST(test_bloat),
        TEST(test_poolers),
        TEST(test_busy_pooler),
        TEST(test_paused),
        TEST(test_nobody_works),
        TEST(test_undispatched),
        TEST(test_lost_by_redis),
        TEST(test_decided_meanwhile),
        TEST(test_held_by_the_dead),
        TEST(test_dead_letters),
        TEST(test_away),
        TEST(test_silent),
    };
    return cmocka_run_group_tests(tests, start_group, fenceline_stop_group);
}
