/*
 * A worker whose network fails, while the servers themselves and the rest of the fleet are well: one that is
 * cut off from Redis or from Postgres alone, requests that are lost, and requests that are done but whose
 * answers are lost.
 *
 * Happy path: proxies stand between one worker and its servers. Failure modes looked for: a job that nobody
 * does because its worker, or the dispatcher, lives and yet cannot work; an effect that comes twice because
 * it is asked for again; a job that is given up for what the network did. A trigger keeps a diary of every
 * write to a document. Servers that die, and workers that die, are in test_queue_faults.c.
 */
#include "../lib/fleet.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../lib/proxy.h"

enum { ID_BYTES = 24, NAME_BYTES = 128, PROMPT_MS = 20000 };

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define TEST(function)                                                                                       \
    {                                                                                                        \
#function, function, start_test, stop_test, NULL                                                     \
    }

enum { LEASE_MS = 600 };
#define SHORT_LEASE "FENCELINE_LEASE_TTL_MS=600"

/* Generated from lua/ at build time. */
extern const char fl_lua_queue_add[], fl_lua_queue_beat[], fl_lua_queue_finish[], fl_lua_queue_take[];
extern const char fl_lua_lease_acquire[], fl_lua_lease_release[];

enum server { REDIS, POSTGRES, SERVERS };

static struct proxy proxies[SERVERS];
static char redis_env[64], postgres_env[SERVICES_DSN_BYTES + 32];

/* ---- set-up ---- */

static const char DIARY[] = "CREATE TABLE public.diary (n bigserial PRIMARY KEY, job_id bigint);"
                            "CREATE FUNCTION public.keep_diary() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                            "  INSERT INTO public.diary (job_id) VALUES (NEW.job_id); RETURN NULL; END $$;"
                            "CREATE TRIGGER keep_diary AFTER INSERT OR UPDATE ON fenceline.documents"
                            "  FOR EACH ROW EXECUTE FUNCTION public.keep_diary()";

static int start_test(void **state)
{
    char dsn[SERVICES_DSN_BYTES];
    int status = fenceline_start_test(state);
    db_exec(fenceline.db, DIARY);
    uint16_t port = proxy_start(&proxies[REDIS], services_redis_port(&fenceline.services));
    snprintf(redis_env, sizeof redis_env, "FENCELINE_REDIS=redis://127.0.0.1:%u", (unsigned)port);
    port = proxy_start(&proxies[POSTGRES], services_postgres_port(&fenceline.services));
    services_dsn_on_port(fenceline.dsn, port, dsn);
    snprintf(postgres_env, sizeof postgres_env, "FENCELINE_POSTGRES=%s", dsn);
    return status;
}

static int stop_test(void **state)
{
    for (size_t i = 0; i < SERVERS; i++)
        proxy_stop(&proxies[i]);
    return fenceline_stop_test(state);
}

/* ---- workers and jobs ---- */

#define BEHIND_PROXIES redis_env, postgres_env, SHORT_LEASE, "FENCELINE_REDIS_TIMEOUT_MS=500"

/* A request that gets no answer is given up soon. */
static struct process *start_behind_proxies(void)
{
    return fleet_start_worker_with(
        (const char *const[]){BEHIND_PROXIES, "FENCELINE_POSTGRES_TIMEOUT_MS=1000", NULL});
}

static struct process *start_direct(void)
{
    return fleet_start_worker_with((const char *const[]){SHORT_LEASE, NULL});
}

static int64_t enqueue_one(const char *episode)
{
    return fleet_enqueue_chapters(episode, episode, 3, "create");
}

/* name1..name<count>: job i imports 2 + i % 4 chapters that name it. */
static void enqueue_many(const char *name, int count)
{
    char last[ID_BYTES];
    snprintf(last, sizeof last, "%d", count);
    db_exec(
        fenceline.db,
        "SELECT fenceline.enqueue($1 || i, 'chapters', body => convert_to(format('{\"chapters\":[%s]}', ("
        "    SELECT string_agg(format('{\"startTime\":%s,\"title\":\"%s row %s\"}', k * 10, $1 || i, k), ',')"
        "      FROM generate_series(0, 1 + i % 4) k)), 'UTF8')) FROM generate_series(1, $2::int) i",
        name, last);
}

static void assert_open(int64_t job_id)
{
    char *outcome = fleet_outcome(job_id);
    assert_string_equal(outcome, "open");
    free(outcome);
}

static int64_t ask(int64_t job_id, const char *sql)
{
    char id[ID_BYTES];
    snprintf(id, sizeof id, "%" PRId64, job_id);
    return db_int(fenceline.db, sql, id);
}

static int64_t count_by(const struct process *worker)
{
    char pid[ID_BYTES];
    snprintf(pid, sizeof pid, "%d", (int)worker->pid);
    return db_int(fenceline.db,
                  "SELECT count(*) FROM fenceline.jobs WHERE outcome = 'imported' AND worker LIKE '%:' || $1",
                  pid);
}

/* Every job is imported, its document written once, and each row is one of its own. */
static void assert_each_once(void)
{
    assert_int_equal(fenceline_count_jobs("imported"), fenceline_count("jobs"));
    assert_int_equal(db_int(fenceline.db, "SELECT count(*) FROM public.diary"), fenceline_count("jobs"));
    assert_int_equal(db_int(fenceline.db, "SELECT count(DISTINCT job_id) FROM public.diary"),
                     fenceline_count("jobs"));
    assert_int_equal(db_int(fenceline.db, "SELECT count(*) FROM fenceline.chapters"
                                          " WHERE NOT starts_with(title, episode_id || ' ')"),
                     0);
    fleet_assert_clean();
}

/* Commits wait while the test holds this: what is claimed stays claimed. */
static PGconn *hold_commits(void)
{
    PGconn *conn = db_open(fenceline.dsn);
    db_exec(conn, "BEGIN");
    db_exec(conn, "LOCK TABLE fenceline.chapters IN SHARE MODE");
    return conn;
}

static void let_commit(PGconn *conn)
{
    db_exec(conn, "COMMIT");
    db_close(conn);
}

static void await_held(void)
{
    fleet_await(1, "SELECT least(count(*), 1) FROM pg_stat_activity WHERE datname = current_database()"
                   " AND application_name LIKE 'fenceline%' AND wait_event_type = 'Lock'"
                   " AND query LIKE '%commit_chapters%'");
}

/* ---- cut off from Redis ---- */

/* Without Redis no import starts, but what has claimed may commit; and all goes on by itself. */
static void lose_redis(bool is_silent)
{
    struct process *worker = start_behind_proxies();
    PGconn *held = hold_commits();
    int64_t claimed = enqueue_one("claimed");
    await_held();
    if (is_silent) {
        proxy_block(&proxies[REDIS], PROXY_SILENT);
    } else {
        proxy_block(&proxies[REDIS], PROXY_REFUSE);
        proxy_cut_all(&proxies[REDIS], true);
    }
    int64_t fresh = enqueue_one("fresh");
    let_commit(held);
    fleet_await_outcome(claimed, "imported");
    process_sleep_ms(3 * FLEET_DEAD_MS / 2); /* several heartbeats and searches */
    assert_open(fresh);
    assert_int_equal(ask(fresh, "SELECT attempts FROM fenceline.jobs WHERE job_id = $1"), 0);
    assert_int_equal(db_int(fenceline.db, "SELECT fence FROM fenceline.episodes WHERE episode_id = 'fresh'"),
                     0);
    assert_false(process_ended(worker, 0));
    proxy_resume(&proxies[REDIS]);
    fleet_await_outcome(fresh, "imported");
    assert_int_equal(fenceline_count("job_attempts"), 0);
    fleet_stop_worker(worker);
    assert_each_once();
}

static void test_redis_refuses(void **state)
{
    (void)state;
    lose_redis(false);
}

static void test_redis_is_silent(void **state)
{
    (void)state;
    lose_redis(true);
}

/* It cannot say that it lives: others take its job, while it is in the middle of its commit. */
static void test_taken_for_dead(void **state)
{
    (void)state;
    enum { MORE = 60 };
    /* It would not give up a commit that waits for a lock before it is taken for dead. */
    struct process *cut_off = fleet_start_worker_with(
        (const char *const[]){BEHIND_PROXIES, "FENCELINE_POSTGRES_TIMEOUT_MS=60000", NULL});
    PGconn *held = hold_commits();
    int64_t job = enqueue_one("torn");
    await_held();
    struct process *other = start_direct();
    proxy_block(&proxies[REDIS], PROXY_SILENT);
    fleet_await(1, "SELECT count(*) FROM fenceline.job_attempts WHERE error LIKE '%worker died%'");
    let_commit(held);
    fleet_await_outcome(job, "imported");
    enqueue_many("while", 5); /* the other goes on */
    fleet_await_all_decided();
    assert_false(process_ended(cut_off, 0));
    proxy_resume(&proxies[REDIS]);
    fleet_stop_worker(other);
    enqueue_many("after", MORE); /* and so does the one that is back */
    fleet_await_all_decided();
    assert_in_range(count_by(cut_off), MORE, MORE + 1);
    fleet_stop_worker(cut_off);
    assert_each_once();
}

/* Longer than any lease and any time after which a worker is dead: but their workers live, so they stay
 * there. */
static void test_long_jobs_are_handed_out_once(void **state)
{
    (void)state;
    const char *const env[] = {SHORT_LEASE, "FENCELINE_WORKER_SLOTS=1", NULL};
    struct process *first = fleet_start_worker_with(env), *second = fleet_start_worker_with(env);
    db_exec(fenceline.db, "CREATE FUNCTION public.take_long() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                          "  PERFORM pg_sleep(2.5); RETURN NULL; END $$;"
                          "CREATE TRIGGER take_long AFTER INSERT ON fenceline.chapters"
                          "  FOR EACH STATEMENT EXECUTE FUNCTION public.take_long()");
    int64_t began_ms = process_now_ms();
    enqueue_many("long", 2); /* one for each */
    fleet_await_all_decided();
    assert_true(process_now_ms() - began_ms > 2 * FLEET_DEAD_MS && 2 * FLEET_DEAD_MS > LEASE_MS);
    assert_int_equal(count_by(first), 1);
    assert_int_equal(count_by(second), 1);
    assert_int_equal(db_int(fenceline.db, "SELECT max(attempts) FROM fenceline.jobs"), 1);
    assert_int_equal(fenceline_count("job_attempts"), 0); /* none of them was taken for dead */
    fleet_stop_worker(first);
    fleet_stop_worker(second);
    assert_each_once();
}

/* ---- cut off from Postgres ---- */

/* The only worker waits, and goes on by itself. */
static void test_postgres_is_silent(void **state)
{
    (void)state;
    enum { JOBS = 40 };
    struct process *worker = start_behind_proxies();
    enqueue_many("first", JOBS);
    fleet_await(1, "SELECT least(count(*), 1) FROM fenceline.jobs WHERE outcome IS NOT NULL");
    proxy_block(&proxies[POSTGRES], PROXY_SILENT);
    enqueue_many("second", JOBS);
    process_sleep_ms(3000);
    assert_true(fenceline_count_jobs("open") >= JOBS);
    assert_false(process_ended(worker, 0));
    proxy_resume(&proxies[POSTGRES]);
    fleet_await_all_decided();
    fleet_stop_worker(worker);
    assert_each_once();
}

/* It lives, has a heartbeat, perhaps dispatches, and can do nothing: that must not hold up the fleet. */
static void strand(bool is_dispatcher, bool has_jobs)
{
    enum { JOBS = 60 };
    struct process *stranded = NULL, *other = NULL;
    if (!is_dispatcher)
        other = start_direct();
    stranded = start_behind_proxies();
    if (is_dispatcher)
        other = start_direct();
    PGconn *held = has_jobs ? hold_commits() : NULL;
    if (has_jobs) {
        enqueue_many("early", 8); /* some for each of the two */
        await_held();
        process_sleep_ms(300);
    }
    proxy_block(&proxies[POSTGRES], PROXY_SILENT);
    if (has_jobs)
        let_commit(held);
    enqueue_many("late", JOBS);
    int64_t began_ms = process_now_ms();
    fleet_await_all_decided(); /* without the stranded one */
    print_message("all are decided after %" PRId64 " ms\n", process_now_ms() - began_ms);
    assert_true(process_now_ms() - began_ms < PROMPT_MS);
    proxy_resume(&proxies[POSTGRES]);
    assert_false(process_ended(stranded, 0));
    fleet_stop_worker(other);
    enqueue_many("after", JOBS);
    fleet_await_all_decided();
    assert_true(count_by(stranded) >= JOBS);
    fleet_stop_worker(stranded);
    assert_each_once();
}

static void test_stranded_worker(void **state)
{
    (void)state;
    strand(false, false);
}

static void test_stranded_worker_with_jobs(void **state)
{
    (void)state;
    strand(false, true);
}

static void test_stranded_dispatcher(void **state)
{
    (void)state;
    strand(true, false);
}

static void test_stranded_dispatcher_with_jobs(void **state)
{
    (void)state;
    strand(true, true);
}

/* What a worker leaves behind that died before the clock of Redis was set back by an hour: for that hour it
 * would seem to live, as the dispatcher and with a job in its hands. */
static void test_clock_of_redis_set_back(void **state)
{
    enum { HOUR_MS = 3600000 };
    (void)state;
    struct process *dead = start_direct();
    PGconn *held = hold_commits();
    int64_t job = enqueue_one("torn");
    await_held();
    char *id = rdb_text(fenceline.redis, "GET fenceline:{queue}:dispatcher");
    char *name = strndup(id, strcspn(id, " "));
    fleet_kill_worker(dead);
    db_exec(fenceline.db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                          " WHERE application_name LIKE 'fenceline worker@%'");
    let_commit(held);
    rdb_exec(fenceline.redis, "SET fenceline:{queue}:dispatcher %s PX %d", id, HOUR_MS);
    rdb_exec(fenceline.redis, "ZINCRBY fenceline:{queue}:workers %d %s", HOUR_MS, name);
    struct process *other = start_direct();
    fleet_await_outcome(job, "imported");
    fleet_await_outcome(enqueue_one("new"), "imported");
    fleet_stop_worker(other);
    assert_each_once();
    free(id);
    free(name);
}

/* A Redis that went back to an earlier state gives an entry's id again, if its clock is behind: what a worker
 * still has in its hands from before must not take the other job's entry away. */
static void test_entry_id_given_again(void **state)
{
    static const char GIVE_AGAIN[] =
        "local entry = redis.call('HGET', KEYS[2], ARGV[1]) redis.call('HDEL', KEYS[2], ARGV[1])"
        "redis.call('DEL', KEYS[1]) redis.call('XGROUP', 'CREATE', KEYS[1], 'workers', '0', 'MKSTREAM')"
        "redis.call('XADD', KEYS[1], entry, 'job', ARGV[2]) redis.call('HSET', KEYS[2], ARGV[2], entry)";
    (void)state;
    struct process *worker = start_direct();
    PGconn *held = hold_commits();
    int64_t before = enqueue_one("before");
    await_held();
    fenceline_run(0, "jobs", "pause");
    int64_t after = enqueue_one("after");
    fleet_await(1, "SELECT count(*) FROM fenceline.jobs WHERE episode_id = 'after' AND dispatched_at IS NOT"
                   " NULL");
    for (int64_t end_ms = process_now_ms() + PROMPT_MS; fleet_entries() < 2; process_sleep_ms(10))
        assert_true(process_now_ms() < end_ms);
    rdb_exec(fenceline.redis, "EVAL %s 2 fenceline:{queue}:normal fenceline:{queue}:entries %lld %lld",
             GIVE_AGAIN, (long long)before, (long long)after);
    let_commit(held);
    fleet_await_outcome(before, "imported");
    process_sleep_ms(FLEET_DEAD_MS); /* the worker lays it down */
    fenceline_run(0, "jobs", "resume");
    fleet_await_outcome(after, "imported");
    fleet_stop_worker(worker);
    fleet_assert_clean();
    assert_each_once();
}

/* A dispatcher takes a dead worker's jobs over, and Postgres is cut off from it before it can note that.
 * Another becomes the dispatcher; what the first has in its hands it gives back as soon as it can. */
static void test_rescuer_loses_its_role(void **state)
{
    (void)state;
    struct process *rescuer = start_behind_proxies(), *victim = start_direct();
    PGconn *held = hold_commits();
    enqueue_many("torn", 8); /* some for each */
    await_held();
    fleet_await(8, "SELECT count(*) FROM fenceline.jobs WHERE started_at IS NOT NULL");
    char *id = rdb_text(fenceline.redis, "GET fenceline:{queue}:dispatcher");
    int rule = proxy_arm(&proxies[POSTGRES], &(struct proxy_rule){.direction = PROXY_TO_SERVER,
                                                                  .action = PROXY_CUT_BEFORE,
                                                                  .pattern = "suspect_jobs",
                                                                  .every = true});
    char pid[ID_BYTES];
    snprintf(pid, sizeof pid, "%d", (int)victim->pid);
    fleet_kill_worker(victim);
    db_exec(fenceline.db, /* or else its commits, which only wait, would still come */
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'fenceline worker@%:' || $1",
            pid);
    assert_true(proxy_wait_fired(&proxies[POSTGRES], rule, 1, PROMPT_MS));
    proxy_block(&proxies[POSTGRES], PROXY_SILENT);
    struct process *other = start_direct();
    let_commit(held);
    char *now = NULL;
    for (int64_t end_ms = process_now_ms() + PROMPT_MS; process_now_ms() < end_ms; process_sleep_ms(50)) {
        free(now);
        now = rdb_text(fenceline.redis, "GET fenceline:{queue}:dispatcher");
        if (now && strcmp(now, id) != 0)
            break;
    }
    assert_non_null(now);
    assert_string_not_equal(now, id);
    enqueue_many("other", 20);
    fleet_await(20,
                "SELECT count(*) FROM fenceline.jobs WHERE outcome IS NOT NULL AND episode_id LIKE 'other%'");
    assert_true(fenceline_count_jobs("open") > 0); /* in the hands of the first, which has a heartbeat */
    proxy_disarm_all(&proxies[POSTGRES]);
    proxy_resume(&proxies[POSTGRES]);
    fleet_await_all_decided();
    assert_true(db_int(fenceline.db,
                       "SELECT count(*) FROM fenceline.job_attempts WHERE error LIKE '%worker died%'") > 0);
    assert_false(process_ended(rescuer, 0));
    fleet_stop_worker(rescuer);
    fleet_stop_worker(other);
    assert_each_once();
    free(now);
    free(id);
}

/* ---- requests that are lost, and answers that are lost ---- */

static const struct request {
    const char *name;
    enum server server;
    const char *script; /* of Redis; NULL: the name is a part of the SQL */
} REQUESTS[] = {
    {"queue_add", REDIS, fl_lua_queue_add},
    {"queue_take", REDIS, fl_lua_queue_take},
    {"queue_finish", REDIS, fl_lua_queue_finish},
    {"queue_beat", REDIS, fl_lua_queue_beat},
    {"lease_acquire", REDIS, fl_lua_lease_acquire},
    {"lease_release", REDIS, fl_lua_lease_release},
    {"dispatch_jobs", POSTGRES, NULL},
    {"begin_jobs", POSTGRES, NULL},
    {"postpone_job", POSTGRES, NULL},
};

enum { ACTIONS = 2, TIMES = 3, LOSSES = COUNT(REQUESTS) * ACTIONS };

static const enum proxy_action ACTIONS_OF[ACTIONS] = {PROXY_CUT_BEFORE, PROXY_CUT_REPLY};
static const char *const ACTION_NAMES[ACTIONS] = {"request", "answer"};

struct loss {
    const struct request *request;
    enum proxy_action action;
    char name[NAME_BYTES];
};
static struct loss losses[LOSSES];

/* Work for every request: jobs that run at once, and one whose source is not there at first. It is written
 * when the loss has happened. */
static void lose_once(struct process *worker, const struct loss *loss, const char *pattern, unsigned nth)
{
    enum { JOBS = 12 };
    struct proxy *proxy = &proxies[loss->request->server];
    char name[NAME_BYTES], file[2 * NAME_BYTES];
    bool is_redis = loss->request->server == REDIS;
    int rule = proxy_arm(proxy, &(struct proxy_rule){.direction = PROXY_TO_SERVER,
                                                     .action = loss->action,
                                                     .pattern = pattern,
                                                     .nth = is_redis ? nth : 1});
    if (!is_redis)
        proxy_cut_all(proxy, false); /* SQL travels once a connection: then by a name that we do not know */
    snprintf(name, sizeof name, "many%u-", nth);
    enqueue_many(name, JOBS);
    snprintf(name, sizeof name, "late%u", nth);
    snprintf(file, sizeof file, "%s.chapters.json", name);
    fleet_enqueue(name, "chapters", file, "create");
    int64_t deadline_ms = process_now_ms() + PROMPT_MS;
    while (proxy_fired(proxy, rule) == 0 && process_now_ms() < deadline_ms)
        assert_false(process_ended(worker, 5));
    if (proxy_fired(proxy, rule) == 0)
        fail_msg("%s was not lost: it was seen %u times", loss->request->name, proxy_hits(proxy, rule));
    free(fenceline_write_chapters(name, name, 4));
    fleet_await_all_decided();
    proxy_disarm_all(proxy);
}

static void test_loss(void **state)
{
    const struct loss *loss = *state;
    char *pattern = loss->request->script ? rdb_text(fenceline.redis, "SCRIPT LOAD %s", loss->request->script)
                                          : strdup(loss->request->name);
    struct process *worker = start_behind_proxies();
    for (unsigned nth = 1; nth <= TIMES; nth++)
        lose_once(worker, loss, pattern, nth);
    assert_int_equal(db_int(fenceline.db, "SELECT count(*) FROM fenceline.job_attempts"
                                          " WHERE error LIKE '%worker died%'"),
                     0);
    assert_false(process_ended(worker, 0));
    for (int i = 0; fleet_entries() > 0 && i < 100;
         i++) /* an entry that was added twice is still to be taken */
        process_sleep_ms(20);
    fleet_stop_worker(worker);
    process_sleep_ms(LEASE_MS); /* a release that was lost */
    assert_each_once();
    free(pattern);
}

static void name_losses(struct CMUnitTest *tests)
{
    for (size_t i = 0; i < LOSSES; i++) {
        struct loss *loss = &losses[i];
        *loss = (struct loss){.request = &REQUESTS[i / ACTIONS], .action = ACTIONS_OF[i % ACTIONS]};
        snprintf(loss->name, sizeof loss->name, "test_lost_%s_of_%s", ACTION_NAMES[i % ACTIONS],
                 loss->request->name);
        tests[i] = (struct CMUnitTest){loss->name, test_loss, start_test, stop_test, loss};
    }
}

/* Every connection of one of two workers breaks again and again. */
static void test_storm(void **state)
{
    (void)state;
    enum { JOBS = 400, CUTS = 40 };
    enqueue_many("storm", JOBS);
    struct process *worker = start_behind_proxies(), *other = start_direct();
    for (int i = 0; i < CUTS; i++) {
        proxy_cut_all(&proxies[i % SERVERS], i % 4 < 2);
        assert_false(process_ended(worker, 10 + i * 37 % 50));
    }
    fleet_await_all_decided();
    assert_false(process_ended(worker, 0));
    fleet_stop_worker(other);
    enqueue_many("after", 30);
    fleet_await_all_decided();
    assert_true(count_by(worker) >= 30);
    fleet_stop_worker(worker);
    assert_each_once();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_redis_refuses),           TEST(test_redis_is_silent),
        TEST(test_taken_for_dead),          TEST(test_long_jobs_are_handed_out_once),
        TEST(test_rescuer_loses_its_role),  TEST(test_postgres_is_silent),
        TEST(test_stranded_worker),         TEST(test_stranded_worker_with_jobs),
        TEST(test_stranded_dispatcher),     TEST(test_stranded_dispatcher_with_jobs),
        TEST(test_clock_of_redis_set_back), TEST(test_storm),
        TEST(test_entry_id_given_again),
    };
    struct CMUnitTest lost[LOSSES];
    name_losses(lost);
    int failed = cmocka_run_group_tests_name("losses", lost, fenceline_start_group, fenceline_stop_group);
    return failed +
           cmocka_run_group_tests_name("cut off", tests, fenceline_start_group, fenceline_stop_group);
}
