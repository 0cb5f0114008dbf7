/* stage.c - see stage.h.
 *
 * Failure modes: a server that does not start fails the run. What a fault does to a server that another fault
 * has just taken away is lost, and that is told to the caller. */
#include "stage.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit.h"
#include "mutants.h"

enum { START_MS = 20000, POLL_MS = 10, ANSWER_MS = 1000 };

struct stage stage;

extern const char fl_roles_sql[]; /* generated from config/roles.sql */

static const char *const SETTINGS[] = {
    "FENCELINE_WORKER_SLOTS=8",
    "FENCELINE_WORKER_HEARTBEAT_MS=200",
    "FENCELINE_WORKER_DEAD_MS=1000",
    "FENCELINE_WORKER_SWEEP_MS=500",
    "FENCELINE_JOB_RETRY_BASE_MS=50",
    "FENCELINE_JOB_RETRY_MAX_MS=400",
    "FENCELINE_POSTGRES_TIMEOUT_MS=2000",
    "FENCELINE_REDIS_TIMEOUT_MS=1000",
    "FENCELINE_JOB_MAX_ATTEMPTS=1000",
    "FENCELINE_JOB_MAX_DEATHS=100",
    "FENCELINE_LEASE_TTL_MS=1200",
    "FENCELINE_JOB_PATIENCE_MS=30000",
    NULL,
};

/* ---- SQL ---- */

static void drop_notice(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

static PGresult *run_sql(size_t count, const char *const *list)
{
    if (!fenceline.db || PQstatus(fenceline.db) != CONNECTION_OK) {
        db_close(fenceline.db);
        fenceline.db = PQconnectdb(fenceline.dsn);
        PQsetNoticeProcessor(fenceline.db, drop_notice, NULL);
        /* We cannot wait for a lock that we hold ourselves, or for a process that we have stopped. */
        PQclear(PQexec(fenceline.db, "SET lock_timeout = '500ms'"));
    }
    return PQexecParams(fenceline.db, list[0], (int)count - 1, NULL, list + 1, NULL, NULL, 0);
}

int64_t stage_sql_list(size_t count, const char *const *list)
{
    PGresult *result = run_sql(count, list);
    int64_t rows = PQresultStatus(result) == PGRES_TUPLES_OK    ? PQntuples(result)
                   : PQresultStatus(result) == PGRES_COMMAND_OK ? atoll(PQcmdTuples(result))
                                                                : -1;
    PQclear(result);
    return rows;
}

char *stage_value_list(size_t count, const char *const *list)
{
    PGresult *result = run_sql(count, list);
    char *value = NULL;
    if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) > 0 && !PQgetisnull(result, 0, 0))
        value = strdup(PQgetvalue(result, 0, 0));
    PQclear(result);
    return value;
}

/* ---- Redis ---- */

static char *beside_us(const char *name)
{
    char path[PATH_MAX] = "";
    if (readlink("/proc/self/exe", path, sizeof path - 1) <= 0)
        LIB_FAIL("cannot tell the path of this test program");
    return files_join(dirname(path), name);
}

static void make_redis(struct redis *redis)
{
    char *path;
    redis->folder = files_temp_folder(fenceline.folder, "redis");
    redis->port = services_free_port();
    path = files_join(redis->folder, "clock");
    redis->clock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (redis->clock_fd < 0 || ftruncate(redis->clock_fd, sizeof *redis->clock_offset_ns) != 0)
        LIB_FAIL("cannot make %s", path);
    redis->clock_offset_ns =
        mmap(NULL, sizeof *redis->clock_offset_ns, PROT_READ | PROT_WRITE, MAP_SHARED, redis->clock_fd, 0);
    if (redis->clock_offset_ns == MAP_FAILED)
        LIB_FAIL("cannot map %s", path);
    free(path);
}

static redisContext *connect_redis(int which)
{
    const struct timeval limit = {.tv_sec = ANSWER_MS / 1000, .tv_usec = ANSWER_MS % 1000 * 1000};
    redisContext *redis = redisConnectWithTimeout("127.0.0.1", stage.redis[which].port, limit);
    if (redis && (redis->err || redisSetTimeout(redis, limit) != REDIS_OK)) {
        redisFree(redis);
        redis = NULL;
    }
    return redis;
}

bool stage_redis_say(int which, const char *format, ...)
{
    va_list list;
    redisContext *redis = connect_redis(which);
    if (!redis)
        return false;
    va_start(list, format);
    redisReply *reply = redisvCommand(redis, format, list);
    va_end(list);
    bool is_good = reply && reply->type != REDIS_REPLY_ERROR;
    if (reply)
        freeReplyObject(reply);
    redisFree(redis);
    return is_good;
}

void stage_redis_send(const char *command)
{
    int done = 0;
    redisContext *redis = connect_redis(stage.primary);
    if (!redis)
        return;
    redisAppendCommand(redis, command);
    redisBufferWrite(redis, &done);
    redisFree(redis);
}

char *stage_long_lease(int64_t ms)
{
    static const char SCRIPT[] = "for _, key in ipairs(redis.call('KEYS', 'fenceline:{*}:lease')) do "
                                 "  if redis.call('PTTL', key) > tonumber(ARGV[1]) then "
                                 "    return string.match(key, '{(.*)}') end end return false";
    char *episode = NULL;
    redisContext *redis = connect_redis(stage.primary);
    redisReply *reply = redis ? redisCommand(redis, "EVAL %s 0 %lld", SCRIPT, (long long)ms) : NULL;
    if (reply && reply->type == REDIS_REPLY_STRING)
        episode = strdup(reply->str);
    if (reply)
        freeReplyObject(reply);
    if (redis)
        redisFree(redis);
    return episode;
}

static void stop_monitor(int which)
{
    process_release(stage.monitors[which]);
    stage.monitors[which] = NULL;
}

void stage_end_monitors(void)
{
    process_sleep_ms(ANSWER_MS / 4); /* for what was told last */
    stop_monitor(0);
    stop_monitor(1);
}

/* Everything would be much; what names no lease is of no interest. */
static void start_monitor(int which)
{
    char command[128], name[32];
    if (stage.monitor_count == MONITORS)
        LIB_FAIL("Redis was started more often than there is room for");
    snprintf(command, sizeof command,
             "redis-cli -p %u MONITOR | grep --line-buffered -e ':lease\"' -e '\"FLUSHALL\"'",
             (unsigned)stage.redis[which].port);
    snprintf(name, sizeof name, "monitor%d", stage.monitor_count);
    char *log = files_write_text(fenceline.folder, name, "");
    stop_monitor(which);
    stage.monitor_logs[stage.monitor_count++] = log;
    stage.monitors[which] = process_start(
        &(struct process_spec){.argv = (const char *const[]){"sh", "-c", command, NULL}, .log_path = log});
}

static void start_redis(int which, bool is_empty)
{
    struct redis *redis = &stage.redis[which];
    char port[8], clock[PATH_MAX + 16], preload[PATH_MAX + 16];
    char *log = files_join(redis->folder, "log"), *dump = files_join(redis->folder, "dump.rdb");
    char *shim = beside_us("clock.so");
    if (is_empty)
        unlink(dump);
    snprintf(port, sizeof port, "%u", (unsigned)redis->port);
    snprintf(clock, sizeof clock, "CHAOS_CLOCK=%s/clock", redis->folder);
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", shim);
    redis->process = process_start(&(struct process_spec){
        .argv = (const char *const[]){"redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "",
                                      "--dir", redis->folder, "--enable-debug-command", "local",
                                      "--repl-diskless-sync-delay", "0", NULL},
        .clean_env = true,
        .env = (const char *const[]){"LC_ALL=C", clock, preload, NULL},
        .log_path = log,
    });
    for (int64_t end_ms = process_now_ms() + START_MS; !stage_redis_say(which, "PING");) {
        if (process_ended(redis->process, POLL_MS) || process_now_ms() > end_ms)
            LIB_FAIL("Redis did not start: %s", files_read(log, NULL));
    }
    free(log);
    free(dump);
    free(shim);
}

void stage_start_redis(int which, bool is_empty)
{
    start_redis(which, is_empty);
    start_monitor(which);
}

void stage_start_replica(int which)
{
    start_redis(which, true);
}

void stage_kill_redis(int which)
{
    process_release(stage.redis[which].process);
    stage.redis[which].process = NULL;
    stop_monitor(which);
}

void stage_step_clock(int64_t seconds)
{
    for (int i = 0; i < 2; i++)
        *(volatile int64_t *)stage.redis[i].clock_offset_ns = seconds * INT64_C(1000000000);
}

void stage_promote(int which)
{
    stage.primary = which;
    start_monitor(which);
    for (int i = 0; i < PATHS; i++) {
        proxy_set_target(&stage.proxies[i][REDIS], stage.redis[which].port);
        proxy_cut_all(&stage.proxies[i][REDIS], false);
    }
}

/* ---- Postgres and its pooler ---- */

void stage_start_pooler(void)
{
    char config[1024], path[PATH_MAX];
    char *folder = files_temp_folder(fenceline.folder, "pooler");
    chmod(folder, 0755);
    snprintf(
        config, sizeof config,
        "[databases]\n* = host=127.0.0.1 port=%u\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %u\n"
        "unix_socket_dir =\nauth_type = trust\nauth_file = %s/users\npool_mode = session\n"
        "default_pool_size = 50\nserver_login_retry = 0.2\nserver_idle_timeout = 1\n",
        (unsigned)services_postgres_port(&fenceline.services), (unsigned)stage.pooler_port, folder);
    free(files_write_text(folder, "users", "\"chaos\" \"\"\n"));
    free(files_write_text(folder, "pgbouncer.ini", config));
    snprintf(path, sizeof path, "%s/users", folder);
    chmod(path, 0644);
    snprintf(path, sizeof path, "%s/pgbouncer.ini", folder);
    chmod(path, 0644);
    char *log = files_join(folder, "log");
    stage.pooler = process_start(&(struct process_spec){
        .argv = (const char *const[]){"/usr/sbin/pgbouncer", path, NULL},
        .user = services_postgres_user(&fenceline.services),
        .folder = folder,
        .log_path = log,
    });
    free(log);
    free(folder);
}

/* "postgresql://postgres@127..." to the user chaos. */
static void make_dsn(uint16_t port, char dsn[SERVICES_DSN_BYTES])
{
    char as_owner[SERVICES_DSN_BYTES];
    services_dsn_on_port(fenceline.dsn, port, as_owner);
    snprintf(dsn, SERVICES_DSN_BYTES, "postgresql://chaos%.200s", strchr(as_owner, '@'));
}

static void prepare_database(void)
{
    db_exec(fenceline.db, fl_roles_sql);
    db_exec(fenceline.db,
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'chaos') THEN"
            " CREATE ROLE chaos LOGIN IN ROLE fenceline_worker, fenceline_operator; END IF; END $$");
    db_exec(fenceline.db, CHAOS_AUDIT_SQL);
    if (getenv("MUTANT") && getenv("MUTANT")[0])
        mutants_apply(getenv("MUTANT"));
    db_close(fenceline.db); /* from here on run_sql connects */
    fenceline.db = NULL;
}

/* ---- what is stuck ---- */

static void print_reply(const redisReply *reply)
{
    for (size_t i = 0; reply && i < reply->elements; i++)
        print_reply(reply->element[i]);
    if (reply && reply->str)
        print_error("%.200s ", reply->str);
    else if (reply && reply->type == REDIS_REPLY_INTEGER)
        print_error("%lld ", reply->integer);
}

static void print_redis(void)
{
    static const char *const COMMANDS[] = {
        "HGETALL fenceline:{queue}:entries",
        "XRANGE fenceline:{queue}:high - + COUNT 20",
        "XRANGE fenceline:{queue}:normal - + COUNT 20",
        "XRANGE fenceline:{queue}:low - + COUNT 20",
        "XPENDING fenceline:{queue}:high workers - + 20",
        "XPENDING fenceline:{queue}:normal workers - + 20",
        "XPENDING fenceline:{queue}:low workers - + 20",
        "ZRANGE fenceline:{queue}:workers 0 -1 WITHSCORES",
        "GET fenceline:{queue}:dispatcher",
        "PTTL fenceline:{queue}:dispatcher",
        "TIME",
        "KEYS fenceline:{*}:lease",
        "CLIENT LIST",
    };
    redisContext *redis = connect_redis(stage.primary);
    for (size_t i = 0; redis && i < sizeof COMMANDS / sizeof *COMMANDS; i++) {
        redisReply *reply = redisCommand(redis, COMMANDS[i]);
        print_error("%s: ", COMMANDS[i]);
        print_reply(reply);
        print_error("\n");
        if (reply)
            freeReplyObject(reply);
    }
    if (redis)
        redisFree(redis);
}

static void print_log_end(const char *path)
{
    enum { SHOWN_BYTES = 3000 };
    size_t size_bytes = 0;
    char *log = files_read(path, &size_bytes);
    size_t shown_bytes = size_bytes > SHOWN_BYTES ? SHOWN_BYTES : size_bytes;
    files_print(log + size_bytes - shown_bytes, shown_bytes);
    free(log);
}

void stage_print_state(void)
{
    char *sessions = stage_value(
        "SELECT string_agg(concat_ws(' ', pid, application_name, state, wait_event, now() - query_start,"
        " left(query, 80)), E'\\n') FROM pg_stat_activity WHERE datname = current_database()");
    print_redis();
    print_error("sessions:\n%s\n", sessions ? sessions : "");
    free(sessions);
    for (int i = 0; i < WORKERS; i++) {
        print_error("worker %d, process %d, the end of its log:\n", i, (int)stage.workers[i].process->pid);
        print_log_end(stage.workers[i].log_path);
    }
}

/* ---- workers ---- */

void stage_launch_worker(int number)
{
    struct worker *worker = &stage.workers[number];
    /* One of them is slow and attentive: the build with sanitizers, if that is the usual one. */
    fenceline_use_fast(number != 0);
    worker->process = fenceline_start(&(struct process_spec){
        .argv = (const char *const[]){"worker", NULL},
        .env = (const char *const[]){worker->env[0], worker->env[1], NULL},
        .log_path = worker->log_path,
    });
    fenceline_use_fast(true);
    worker->is_killed = worker->is_stopped = false;
}

void stage_mend_workers(void)
{
    for (int i = 0; i < WORKERS; i++) {
        struct worker *worker = &stage.workers[i];
        if (!process_ended(worker->process, 0))
            continue;
        if (!worker->is_killed) {
            stage.died++;
            print_error("worker %d ended by itself, code %d, signal %d; the end of its log:\n", i,
                        worker->process->exit_code, worker->process->signal);
            print_log_end(worker->log_path);
        }
        process_release(worker->process);
        stage_launch_worker(i);
    }
}

/* ---- all ---- */

static void start_paths(void)
{
    for (int i = 0; i < PATHS; i++) {
        bool is_pooled = i == POOLED_WORKER || i == CLIENTS_PATH;
        uint16_t redis = proxy_start(&stage.proxies[i][REDIS], stage.redis[0].port);
        uint16_t postgres =
            proxy_start(&stage.proxies[i][POSTGRES],
                        is_pooled ? stage.pooler_port : services_postgres_port(&fenceline.services));
        char dsn[SERVICES_DSN_BYTES], url[64];
        make_dsn(postgres, dsn);
        snprintf(url, sizeof url, "redis://127.0.0.1:%u", (unsigned)redis);
        if (i == CLIENTS_PATH) {
            memcpy(stage.postgres_dsn, dsn, sizeof dsn);
            memcpy(stage.redis_url, url, sizeof url);
        } else {
            char name[32];
            snprintf(name, sizeof name, "worker%d.log", i);
            stage.workers[i].log_path = files_join(fenceline.folder, name);
            snprintf(stage.workers[i].env[0], sizeof stage.workers[i].env[0], "FENCELINE_REDIS=%s", url);
            snprintf(stage.workers[i].env[1], sizeof stage.workers[i].env[1], "FENCELINE_POSTGRES=%s", dsn);
        }
    }
    fenceline.redis_url = stage.redis_url;
    fenceline.postgres_dsn = stage.postgres_dsn;
}

void stage_start(void)
{
    static char root[PATH_MAX];
    static const char *env[sizeof SETTINGS / sizeof *SETTINGS + 1];
    stage = (struct stage){0};
    snprintf(root, sizeof root, "FENCELINE_SOURCE_ROOT=%s", fenceline.folder);
    env[0] = root;
    memcpy(env + 1, SETTINGS, sizeof SETTINGS);
    fenceline.env = env;
    fenceline_use_fast(true);
    prepare_database();
    make_redis(&stage.redis[0]);
    make_redis(&stage.redis[1]);
    stage_start_redis(0, true);
    stage.pooler_port = services_free_port();
    stage_start_pooler();
    start_paths();
    for (int i = 0; i < WORKERS; i++)
        stage_launch_worker(i);
}

void stage_stop(void)
{
    for (int i = 0; i < PATHS; i++)
        for (int j = 0; j < SERVERS; j++)
            proxy_stop(&stage.proxies[i][j]);
    for (int i = 0; i < WORKERS; i++)
        free(stage.workers[i].log_path);
    for (int i = 0; i < stage.monitor_count; i++)
        free(stage.monitor_logs[i]);
    for (int i = 0; i < 2; i++) {
        if (stage.redis[i].clock_offset_ns)
            munmap(stage.redis[i].clock_offset_ns, sizeof *stage.redis[i].clock_offset_ns);
        close(stage.redis[i].clock_fd);
        free(stage.redis[i].folder);
    }
}
