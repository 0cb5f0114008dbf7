/*
 * `fenceline locks list` where much happens, where there is much, and where there is what nobody expects: a
 * busy run needs no person, 100,000 leases are listed without holding up Redis, and hostile content in Redis
 * and Postgres neither ends it nor reaches the terminal raw.
 */
#include "../lib/fleet.h"
#include "../lib/lockview.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { ROWS = 12, ID_BYTES = 24 };

#define LIST_ENV                                                                                             \
    "FENCELINE_WORKER_HEARTBEAT_MS=200", "FENCELINE_WORKER_DEAD_MS=2000", "FENCELINE_LEASE_WAIT_MS=30000"

static const char *const PATIENT[] = {LIST_ENV, "FENCELINE_LEASE_TTL_MS=6000",
                                      "FENCELINE_LEASE_STALL_MS=60000", "FENCELINE_POSTGRES_TIMEOUT_MS=60000",
                                      NULL};
/* ---- a busy run is healthy ---- */

enum { BUSY_JOBS = 600, BUSY_EPISODES = 40, BUSY_ROWS = 800, LISTS_MIN = 3 };

/* Many jobs for few episodes, so that each is held again as soon as it is free. */
static void enqueue_busy_jobs(void)
{
    char jobs[ID_BYTES], episodes[ID_BYTES];
    free(fenceline_write_chapters("odd", "odd", BUSY_ROWS));
    free(fenceline_write_chapters("even", "even", BUSY_ROWS));
    snprintf(jobs, sizeof jobs, "%d", BUSY_JOBS);
    snprintf(episodes, sizeof episodes, "%d", BUSY_EPISODES);
    db_exec(fenceline.db,
            "SELECT fenceline.enqueue('ep' || i % $2::int, 'chapters', mode => 'replace',"
            "         source => CASE WHEN i / $2::int % 2 = 0 THEN 'even' ELSE 'odd' END || '.chapters.json')"
            "  FROM generate_series(1, $1::int) i",
            jobs, episodes);
}

static void test_nothing_flaps(void **state)
{
    (void)state;
    fenceline.env = PATIENT;
    fenceline_use_fast(true);
    struct process *workers[2] = {fleet_start_worker(), fleet_start_worker()};
    size_t lists = 0, rows = 0;
    enqueue_busy_jobs();
    char *path = fenceline_write_chapters("ep1", "import", ROWS);
    struct process *import = fenceline_launch("import", "--mode", "replace", path);
    while (fenceline_count_jobs("open") > 0) {
        struct process *list = lockview_list(LOCKVIEW_ANY, NULL);
        if (list->exit_code != 0)
            LIB_FAIL("list %zu: exit code %d:\n%s%s", lists, list->exit_code, list->out.bytes,
                     list->err.bytes);
        rows += files_count_lines(list->out.bytes);
        lists++;
        process_release(list);
    }
    print_message("%zu lists, %zu locks seen\n", lists, rows);
    assert_true(lists > LISTS_MIN);
    assert_true(rows > LISTS_MIN);
    process_wait(import, FLEET_WAIT_MS);
    fleet_stop_worker(workers[0]);
    fleet_stop_worker(workers[1]);
    fleet_assert_clean();
    free(path);
}

/* ---- many ---- */

enum { MANY = 100000, PIPELINE = 1000, LIST_MS_MAX = 30000, GAP_MS_MAX = 250, STATEMENTS_MAX = 400 };

static void write_leases(int count)
{
    for (int i = 0; i < count; i++) {
        redisAppendCommand(fenceline.redis, "SET fenceline:{many-%06d}:lease %s%s PX 580000", i,
                           "0123456789abcdef0123456789abcdef 1 import@host:1", " (job 1)");
        for (int k = 0; i % PIPELINE == PIPELINE - 1 && k < PIPELINE; k++) {
            redisReply *reply = NULL;
            assert_int_equal(redisGetReply(fenceline.redis, (void **)&reply), REDIS_OK);
            assert_int_equal(reply->type, REDIS_REPLY_STATUS);
            freeReplyObject(reply);
        }
    }
}

/* Another client of the same Redis. */
struct pinger {
    pthread_t thread;
    atomic_bool is_over;
    int64_t longest_ms;
    size_t count;
    int port;
};

static void *ping(void *argument)
{
    struct pinger *pinger = argument;
    redisContext *redis = redisConnect("127.0.0.1", pinger->port);
    while (redis && !redis->err && !atomic_load(&pinger->is_over)) {
        int64_t began_ms = process_now_ms();
        freeReplyObject(redisCommand(redis, "PING"));
        int64_t took_ms = process_now_ms() - began_ms;
        if (took_ms > pinger->longest_ms)
            pinger->longest_ms = took_ms;
        pinger->count++;
        usleep(1000);
    }
    redisFree(redis);
    return NULL;
}

static int64_t statements(void)
{
    return db_int(fenceline.db,
                  "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()");
}

static int count_ends(const struct process_text *text)
{
    int count = 0;
    for (size_t i = 0; i < text->size_bytes; i++)
        count += text->bytes[i] == '\n';
    return count;
}

/* Within seconds, without holding up others, without KEYS, with few statements: also where all of them look
 * wrong, and are looked at twice. */
static void test_many_leases(void **state)
{
    (void)state;
    fenceline.env = (const char *const[]){"FENCELINE_LEASE_TTL_MS=600000", NULL}; /* so old do they seem */
    fenceline_use_fast(true);
    write_leases(MANY);
    rdb_exec(fenceline.redis, "CONFIG RESETSTAT");
    int64_t before = statements();
    struct pinger pinger = {.port = services_redis_port(&fenceline.services)};
    assert_int_equal(pthread_create(&pinger.thread, NULL, ping, &pinger), 0);
    int64_t began_ms = process_now_ms();
    struct process *list = lockview_list(3, (const char *const[]){"--quiet", NULL});
    int64_t took_ms = process_now_ms() - began_ms;
    atomic_store(&pinger.is_over, true);
    pthread_join(pinger.thread, NULL);
    process_sleep_ms(1200); /* statistics of a session that has ended arrive a moment later */
    int64_t asked = statements() - before;
    print_message("%d leases listed in %" PRId64 " ms; longest of %zu pings %" PRId64 " ms; %" PRId64
                  " statements\n",
                  MANY, took_ms, pinger.count, pinger.longest_ms, asked);
    assert_int_equal(count_ends(&list->out), MANY);
    assert_true(took_ms < LIST_MS_MAX);
    assert_true(pinger.count > 10);
    assert_true(pinger.longest_ms < GAP_MS_MAX);
    assert_true(asked < STATEMENTS_MAX);
    char *commands = rdb_text(fenceline.redis, "INFO commandstats");
    assert_non_null(strstr(commands, "cmdstat_scan"));
    assert_null(strstr(commands, "cmdstat_keys"));
    free(commands);
}

/* ---- hostile ---- */

/* Only what may stand on a terminal: no control characters but line ends, no bytes of invalid UTF-8. */
static void assert_clean_text(const struct process_text *text)
{
    for (size_t i = 0; i < text->size_bytes; i++) {
        unsigned char c = (unsigned char)text->bytes[i];
        if ((c < ' ' && c != '\n') || c == 0x7f)
            LIB_FAIL("byte %02x at %zu of the output", c, i);
        if (c == 0xc2 && (unsigned char)text->bytes[i + 1] < 0xa0)
            LIB_FAIL("a C1 control at %zu of the output", i);
    }
    char *length = db_text(fenceline.db, "SELECT length($1)", text->bytes); /* Postgres refuses other UTF-8 */
    assert_non_null(length);
    free(length);
}

static void run_clean(int exit_code, const char *const *argv)
{
    struct process *process = fenceline_start(&(struct process_spec){.argv = argv});
    int code = process_wait(process, FENCELINE_RUN_MS);
    if (exit_code == LOCKVIEW_ANY ? code != 0 && code != 3 && code != 1 : code != exit_code)
        LIB_FAIL("%s %s: exit code %d\n%s%s", argv[1], argv[2], code, process->out.bytes, process->err.bytes);
    assert_clean_text(&process->out);
    assert_clean_text(&process->err);
    process_release(process);
}

#define VALUE(text) text, sizeof text - 1

static const struct {
    const char *value;
    size_t bytes;
} HOSTILE_LEASES[] = {
    {VALUE("")},
    {VALUE("x")},
    {VALUE("garbage that is long enough to be a lease of somebody else's, though it is none at all")},
    {VALUE("\x1b[2J\x1b]0;owned\x07")},
    {VALUE("0123456789abcdef0123456789abcdef 1 \x1b[31mred@host:1 (job 1)")},
    {VALUE("0123456789abcdef0123456789abcdef 1 \xff\xfe\xc0\x80@host:1 (job 1)")},
    {VALUE("0123456789abcdef0123456789abcdef 1 a\0b@host:1 (job 1)")},
    {VALUE("0123456789abcdef0123456789abcdef 99999999999999999999999999 w@host:1 (job 1)")},
    {VALUE("0123456789abcdef0123456789abcdef -1 w@host:1 (job 1)")},
    {VALUE("0123456789abcdef0123456789abcdef 1 w@host:1 (job -1)")},
    {VALUE("0123456789abcdef0123456789abcdef 1 w@host:1 (job 99999999999999999999)")},
    {VALUE("0123456789abcdef0123456789abcdef 1 w@host:1 (job 1) (job 2)")},
    {VALUE("0123456789abcdef0123456789abcdef 1 w@host:1 (job 9223372036854775807)")},
    {VALUE("0123456789abcdef0123456789abcdef 1 @: (job 1)")},
    {VALUE("0123456789abcdef0123456789abcdef 1 \xe2\x80\xae@host:1 (job 1)")},
    {VALUE("0123456789abcdef0123456789abcdef 1 :@ (job )")},
    {VALUE("0123456789abcdef0123456789abcdef 1 ")},
};

static const char *const HOSTILE_EPISODES[] = {
    "100%",
    "a{b}c",
    "%7B",
    "two words",
    " lead",
    "\xe6\xbc\xa2\xe5\xad\x97\xe3\x82\xab\xe3\x83\x8a",
    "\"quoted\\\"",
    "{}",
    "a,b",
    "null",
    "'; DROP TABLE x; --",
    "\xf0\x9f\x8e\x99\xef\xb8\x8f podcast",
};

static const char *const HOSTILE_KEYS[] = {
    "fenceline:{}:lease",
    "fenceline:{a}b}:lease",
    "fenceline:{%zz}:lease",
    "fenceline:{\x1b[2J}:lease",
    "fenceline:{\xff\xfe}:lease",
    "fenceline:{%}:lease",
    "fenceline:{\xc2\x9b"
    "2J}:lease",
};

static void set_bytes(const char *key, const char *value, size_t bytes)
{
    rdb_exec(fenceline.redis, "SET %s %b PX 60000", key, value, bytes);
}

static void set_large(const char *key, size_t bytes, const char *begin)
{
    char *value = malloc(bytes);
    assert_non_null(value);
    memset(value, 'x', bytes);
    memcpy(value, begin, strlen(begin));
    rdb_exec(fenceline.redis, "SET %s %b PX 60000", key, value, bytes);
    free(value);
}

static void register_process(const char *id, const char *score, const char *json, size_t bytes)
{
    rdb_exec(fenceline.redis, "ZADD fenceline:{queue}:workers %s %s", score, id);
    rdb_exec(fenceline.redis, "HSET fenceline:{queue}:info %s %b", id, json, bytes);
}

static void write_hostile_leases(void)
{
    char episode[300], long_id[256] = "";
    for (size_t i = 0; i < COUNT(HOSTILE_LEASES); i++) {
        snprintf(episode, sizeof episode, "hostile-%02zu", i);
        char *key = fenceline_lease_key(episode);
        set_bytes(key, HOSTILE_LEASES[i].value, HOSTILE_LEASES[i].bytes);
        free(key);
    }
    for (size_t i = 0; i < COUNT(HOSTILE_EPISODES); i++)
        fenceline_set_lease(HOSTILE_EPISODES[i], "w@host:1 (job 1)", 60000);
    for (size_t i = 0; i < COUNT(HOSTILE_KEYS); i++)
        set_bytes(HOSTILE_KEYS[i], VALUE("0123456789abcdef0123456789abcdef 1 w@host:1 (job 1)"));
    memset(long_id, '%', 255);
    fenceline_set_lease(long_id, "w@host:1 (job 1)", 60000);
    set_large("fenceline:{large}:lease", 4 << 20, "0123456789abcdef0123456789abcdef 1 w@host:1 ");
    set_large("fenceline:{large-counter}:token", 4 << 20, "1");
    fenceline_set_lease("large-counter", "w@host:1 (job 1)", 60000);
}

/* Keys of other types under the names of leases, counters and waiters. */
static void write_other_types(void)
{
    rdb_exec(fenceline.redis, "HSET fenceline:{hash}:lease a b");
    rdb_exec(fenceline.redis, "RPUSH fenceline:{list}:lease a b");
    rdb_exec(fenceline.redis, "ZADD fenceline:{zset}:lease 1 b");
    rdb_exec(fenceline.redis, "XADD fenceline:{stream}:lease * a b");
    fenceline_set_lease("waiters-hash", "w@host:1 (job 1)", 60000);
    rdb_exec(fenceline.redis, "HSET fenceline:{waiters-hash}:waiters a b");
    fenceline_set_lease("waiters-text", "w@host:1 (job 1)", 60000);
    rdb_exec(fenceline.redis, "SET fenceline:{waiters-text}:waiters x");
    fenceline_set_lease("waiters-bad", "w@host:1 (job 1)", 60000);
    rdb_exec(fenceline.redis, "ZADD fenceline:{waiters-bad}:waiters inf %b +inf %s +inf %s", "\x1b[2J \xff",
             (size_t)6, "no-number x", "a 99999999999999999999");
    for (int i = 0; i < 300; i++)
        rdb_exec(fenceline.redis, "ZADD fenceline:{waiters-many}:waiters +inf %s%d", "chan ", i);
    fenceline_set_lease("waiters-many", "w@host:1 (job 1)", 60000);
    fenceline_set_lease("counter-bad", "w@host:1 (job 1)", 60000);
    rdb_exec(fenceline.redis, "SET fenceline:{counter-bad}:token %s", "\x1b[2Jnot a number");
    fenceline_set_lease("counter-list", "w@host:1 (job 1)", 60000);
    rdb_exec(fenceline.redis, "RPUSH fenceline:{counter-list}:token 1");
}

static void write_hostile_registry(void)
{
    enum { LARGE_BYTES = 10 << 20 };
    static const char *const ENTRIES[] = {
        "",
        "garbage",
        "{",
        "[]",
        "null",
        "{\"holder\": 7, \"imports\": 3}",
        "{\"holder\": \"w@host:1\", \"imports\": [1, null, \"x\", {}, {\"job\": -5, \"token\": 1e300, "
        "\"held_ms\": "
        "-99999999999999999999, \"idle_ms\": 99999999999999999999999, \"backend\": -1, \"phase\": 7}]}",
        "{\"holder\": \"w@host:1\", \"imports\": [{\"job\": 1, \"token\": 1, \"held_ms\": 9007199254740991, "
        "\"idle_ms\": 9007199254740991, \"renewals\": 9007199254740991, \"backend\": 9007199254740991, "
        "\"phase\": "
        "\"\\u001b[2J\\u009b2J\\u202e\"}], \"pid\": -1, \"slots\": 1e9}",
        "{\"holder\": \"\\u001b[2J\", \"state\": \"\\u0007\", \"jobs\": [1e400, -0], \"host\": {}}",
    };
    static const char *const SCORES[] = {"0",     "-1",  "inf", "-inf", "1e300", "9007199254740991",
                                         "-9e18", "1.5", "9e18"};
    for (size_t i = 0; i < COUNT(ENTRIES); i++) {
        char id[32];
        snprintf(id, sizeof id, "host:%zu:\x1b[2J", i);
        register_process(id, SCORES[i], ENTRIES[i], strlen(ENTRIES[i]));
    }
    char *large = malloc(LARGE_BYTES);
    assert_non_null(large);
    memset(large, '[', LARGE_BYTES);
    register_process("deep", "1", large, LARGE_BYTES);
    memset(large, ' ', LARGE_BYTES);
    memcpy(large, "{\"holder\": \"w@host:1\", \"imports\": [{}", 37);
    for (size_t at = 37; at + 5 < LARGE_BYTES; at += 3)
        memcpy(large + at, ",{}", 3);
    large[LARGE_BYTES - 2] = ']';
    large[LARGE_BYTES - 1] = '}';
    register_process("large", "1", large, LARGE_BYTES);
    register_process("\xff\xfe", "1", VALUE("\xff\xfe"));
    free(large);
}

/* Episodes that another program wrote into the table, with claims nobody understands. */
static void write_hostile_rows(void)
{
    static const char *const EPISODES[] = {"bell\x07 \x1b[2J", "bell"};
    for (size_t i = 0; i < COUNT(EPISODES); i++)
        db_exec(fenceline.db,
                "WITH j AS (INSERT INTO fenceline.jobs (episode_id, kind, source, queued, worker)"
                "           VALUES ($1, 'chapters', 'x', false, E'\\x1b[2J') RETURNING job_id)"
                " INSERT INTO fenceline.episodes (episode_id, fence, nonce, holder, job_id)"
                " SELECT $1, 9223372036854775806, E'\\x1b', E'\\x1b[2J@\\n:9', job_id FROM j",
                EPISODES[i]);
    db_exec(fenceline.db, "INSERT INTO fenceline.episodes (episode_id, fence, nonce, holder, job_id)"
                          " VALUES ('hostile-00', 5, 'x', 'w', 12)");
}

static void test_hostile_content(void **state)
{
    (void)state;
    fenceline.env = PATIENT;
    write_hostile_leases();
    write_other_types();
    write_hostile_registry();
    write_hostile_rows();
    run_clean(3, (const char *const[]){"locks", "list", NULL});
    run_clean(3, (const char *const[]){"locks", "list", "--json", NULL});
    run_clean(0, (const char *const[]){"worker", "list", NULL});
    struct process *list = lockview_list(3, NULL);
    for (size_t i = 0; i < COUNT(HOSTILE_EPISODES); i++) {
        char *row = lockview_find(list->out.bytes, HOSTILE_EPISODES[i]);
        if (!row)
            LIB_FAIL("%s is not listed", HOSTILE_EPISODES[i]);
        assert_int_equal(lockview_int(row, "token"), 1);
        lockview_assert_text(row, "holder", "w@host:1");
        free(row);
    }
    static const char *const LISTED[] = {"hash",        "list",         "waiters-hash", "waiters-text",
                                         "waiters-bad", "waiters-many", "counter-bad",  "counter-list",
                                         "large",       "hostile-00"};
    for (size_t i = 0; i < COUNT(LISTED); i++) {
        char *row = lockview_find(list->out.bytes, LISTED[i]);
        if (!row)
            LIB_FAIL("%s is not listed", LISTED[i]);
        free(row);
    }
    run_clean(3, (const char *const[]){"locks", "show", "hostile-00", NULL});
    run_clean(3, (const char *const[]){"locks", "show", "bell", NULL});
    run_clean(
        2, (const char *const[]){"locks", "show", "bell\x07 \x1b[2J", NULL}); /* no id that fenceline takes */
    run_clean(2, (const char *const[]){"locks", "break", "bell\x07 \x1b[2J", "--yes", NULL});
    run_clean(1, (const char *const[]){"locks", "show", "\xe2\x80\xae", NULL});
    run_clean(1, (const char *const[]){"locks", "break", "\xe2\x80\xae", "--yes", NULL});
    run_clean(LOCKVIEW_ANY,
              (const char *const[]){"locks", "break", "hostile-00", "--yes", "--reason", "\x1b[2J", NULL});
    run_clean(0, (const char *const[]){"history", "hostile-00", NULL});
    run_clean(0, (const char *const[]){"locks", "break", "bell", "--yes", NULL});
    run_clean(3, (const char *const[]){"locks", "show", "hostile-00", NULL}); /* its key is still there */
}

/* A lease that names another episode's job does not make it this one's. */
static void test_job_of_another_episode(void **state)
{
    (void)state;
    fenceline.env = PATIENT;
    fenceline_use_fast(true);
    int64_t job = fleet_enqueue_chapters("victim", "one", ROWS, "create");
    char *path = fenceline_write_chapters("ep1", "one", ROWS), who[64];
    fenceline_run(0, "import", path);
    snprintf(who, sizeof who, "w@host:1 (job %" PRId64 ")", job);
    fenceline_set_lease("ep1", who, 60000);
    char *row = lockview_row("ep1");
    lockview_assert_text(row, "kind", NULL);
    free(row);
    struct process *broken = fenceline_run(2, "locks", "break", "ep1", "--yes", "--cancel-job");
    fenceline_assert_err(broken, "job is not known");
    fenceline_run(0, "locks", "break", "ep1", "--yes");
    char *outcome = fleet_outcome(job);
    assert_string_equal(outcome, "open");
    free(outcome);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FENCELINE_TEST(test_nothing_flaps),
        FENCELINE_TEST(test_many_leases),
        FENCELINE_TEST(test_hostile_content),
        FENCELINE_TEST(test_job_of_another_episode),
    };
    return cmocka_run_group_tests_name("content", tests, fenceline_start_group, fenceline_stop_group);
}
