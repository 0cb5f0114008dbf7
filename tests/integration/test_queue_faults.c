/*
 * The queue while workers and servers die, sleep, drain and come back.
 *
 * Whatever happens, every job is done exactly once: nothing is lost, nothing is given up, nothing is written
 * twice. What is wrong with one job, or with one worker, does not reach the others. Faults are put in by
 * progress (so many jobs are decided), not by time.
 */
#include "../lib/fleet.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { ID_BYTES = 24, NAME_BYTES = 64, PROMPT_MS = 20000 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Leases of the dead end soon, so that takeovers are short. */
#define SHORT_LEASE "FENCELINE_LEASE_TTL_MS=600"

/* The times of a worker that is never found dead while a test runs. */
#define LONG_DEATH "FENCELINE_WORKER_DEAD_MS=60000"
/* A statement may wait for a lock as long as the test wants it to. */
#define PATIENT "FENCELINE_POSTGRES_TIMEOUT_MS=60000"

/* ---- what the database says ---- */

static int64_t ask(int64_t job_id, const char *sql)
{
    char id[ID_BYTES];
    snprintf(id, sizeof id, "%" PRId64, job_id);
    return db_int(fenceline.db, sql, id);
}

static void assert_open(int64_t job_id)
{
    char *outcome = fleet_outcome(job_id);
    assert_string_equal(outcome, "open");
    free(outcome);
}

static int64_t count_decided(void)
{
    return db_int(fenceline.db, "SELECT count(*) FROM fenceline.jobs WHERE outcome IS NOT NULL");
}

static void await_decided(int64_t count)
{
    int64_t deadline_ms = process_now_ms() + FLEET_WAIT_MS, decided;
    while ((decided = count_decided()) < count && process_now_ms() < deadline_ms)
        process_sleep_ms(2);
    assert_true(decided >= count);
}

/* ---- a backlog: job i imports 2 + i % 4 chapters, of which each names the job and itself ---- */

static void enqueue_backlog(int jobs)
{
    char count[ID_BYTES];
    snprintf(count, sizeof count, "%d", jobs);
    db_exec(fenceline.db,
            "SELECT fenceline.enqueue('backlog' || i, 'chapters', body => "
            "convert_to(format('{\"chapters\":[%s]}',"
            " (SELECT string_agg(format('{\"startTime\":%s,\"title\":\"job %s row %s\"}', k * 10, i, k), ',')"
            "    FROM generate_series(0, 1 + i % 4) k)), 'UTF8'))"
            " FROM generate_series(1, $1::int) i",
            count);
}

/* All imported, by one attempt's commit each, and exactly their rows. */
static void assert_backlog(int jobs)
{
    int64_t rows = 0;
    for (int i = 1; i <= jobs; i++)
        rows += 2 + i % 4;
    assert_int_equal(db_int(fenceline.db, "SELECT count(*) FROM fenceline.jobs WHERE outcome = 'imported'"
                                          " AND episode_id LIKE 'backlog%'"),
                     jobs);
    assert_int_equal(fenceline_count_jobs("imported"), fenceline_count("jobs"));
    assert_int_equal(db_int(fenceline.db, "SELECT count(*) FROM fenceline.chapters"
                                          " WHERE episode_id LIKE 'backlog%'"),
                     rows);
    assert_int_equal(db_int(fenceline.db,
                            "SELECT count(*) FROM fenceline.chapters WHERE episode_id LIKE 'backlog%'"
                            " AND (title <> format('job %s row %s', substr(episode_id, 8), order_index)"
                            "      OR start_ms <> order_index * 10000)"),
                     0);
    assert_int_equal(db_int(fenceline.db, "SELECT count(*) FROM fenceline.jobs j JOIN fenceline.episodes e"
                                          " USING (episode_id) WHERE j.version <> e.version"),
                     0); /* one commit each */
    assert_int_equal(db_int(fenceline.db, "SELECT count(*) FROM fenceline.jobs WHERE attempts >= 10"),
                     0); /* job.max_attempts */
}

static void assert_alive(struct process *worker)
{
    if (process_ended(worker, 0)) {
        process_print(worker);
        fail_msg("a worker ended");
    }
}

static PGconn *lock_episode(const char *episode)
{
    PGconn *conn = db_open(fenceline.dsn);
    db_exec(conn, "INSERT INTO fenceline.episodes (episode_id) VALUES ($1) ON CONFLICT DO NOTHING", episode);
    db_exec(conn, "BEGIN");
    assert_int_equal(
        db_exec(conn, "SELECT FROM fenceline.episodes WHERE episode_id = $1 FOR UPDATE", episode), 1);
    return conn;
}

static void unlock(PGconn *conn)
{
    db_exec(conn, "COMMIT");
    db_close(conn);
}

/* A statement of a worker waits for a row that the test holds. */
static void await_blocked(void)
{
    fleet_await(1, "SELECT least(count(*), 1) FROM pg_stat_activity WHERE datname = current_database()"
                   " AND application_name LIKE 'fenceline%' AND wait_event_type = 'Lock'");
}

static void await_parked(const char *episode)
{
    char *lease = fenceline_lease_key(episode), waiters[2 * NAME_BYTES];
    snprintf(waiters, sizeof waiters, "%.*s:waiters", (int)(strlen(lease) - strlen(":lease")), lease);
    for (int i = 0; rdb_int(fenceline.redis, "EXISTS %s", waiters) == 0 && i < PROMPT_MS / 10; i++)
        process_sleep_ms(10);
    assert_int_equal(rdb_int(fenceline.redis, "EXISTS %s", waiters), 1);
    free(lease);
}

/* ---- workers that die ---- */

static void test_killed_worker(void **state)
{
    (void)state;
    enum { RUNNING = 3 };
    struct process *first = fleet_start_worker_with(
        (const char *const[]){"FENCELINE_FAIL_POINT=after-claim:stop", SHORT_LEASE, NULL});
    fenceline_set_lease("busy", "somebody@elsewhere:1", 60000);
    int64_t parked = fleet_enqueue_chapters("busy", "patient", 4, "create");
    await_parked("busy");
    enqueue_backlog(RUNNING);
    fenceline_await_stop(first);
    assert_int_equal(fenceline_count_jobs("open"), RUNNING + 1);
    fleet_kill_worker(first);
    struct process *second = fleet_start_worker();
    fenceline_drop_lease("busy");
    fleet_await_all_decided();
    assert_backlog(RUNNING);
    fleet_await_outcome(parked, "imported");
    fenceline_assert_chapters("busy", "patient", 4);
    assert_int_equal(ask(parked, "SELECT count(*) FROM fenceline.job_attempts WHERE job_id = $1"
                                 " AND error LIKE '%worker died%' AND worker LIKE '%:%'"),
                     1);
    assert_true(fenceline_count("job_attempts") > 1); /* also of those that ran */
    assert_int_equal(
        db_int(fenceline.db, "SELECT count(*) - count(DISTINCT job_id) FROM fenceline.job_attempts"), 0);
    assert_int_equal(db_int(fenceline.db, "SELECT count(*) FROM fenceline.jobs WHERE deaths > 2"), 0);
    fleet_stop_worker(second);
    fleet_assert_clean();
}

/* A death is forgotten once the job was handed back by a worker that lived. */
static void test_deaths_in_a_row_only(void **state)
{
    (void)state;
    struct process *first = fleet_start_worker_with(
        (const char *const[]){"FENCELINE_FAIL_POINT=after-claim:kill", SHORT_LEASE, NULL});
    free(fenceline_write_chapters("one", "later", 3));
    int64_t job = fleet_enqueue("one", "chapters", "gone.json", "create");
    process_wait(first, FLEET_WAIT_MS);
    assert_int_equal(first->signal, SIGKILL);
    struct process *second = fleet_start_worker();
    fleet_await(2,
                "SELECT least(count(*), 2) FROM fenceline.job_attempts"); /* the death, then no such file */
    fleet_await(0, "SELECT deaths FROM fenceline.jobs");
    assert_open(job);
    db_exec(fenceline.db, "UPDATE fenceline.jobs SET source = 'one.chapters.json'");
    fleet_await_outcome(job, "imported");
    fleet_stop_worker(second);
    fleet_assert_clean();
}

/* What waits in the hands of a dead worker for the lease of another does not hold up the rest that it had. */
static void test_suspects_do_not_wait_for_a_parked_one(void **state)
{
    (void)state;
    enum { OTHERS = 12 };
    fenceline_set_lease("busy", "somebody@elsewhere:1", 600000);
    int64_t busy = fleet_enqueue_chapters("busy", "patient", 2, "create");
    enqueue_backlog(OTHERS);
    db_exec(fenceline.db, "UPDATE fenceline.jobs SET deaths = 1");
    struct process *worker = fleet_start_worker();
    fleet_await(OTHERS, "SELECT count(*) FROM fenceline.jobs WHERE outcome = 'imported'");
    assert_open(busy);
    int64_t fresh = fleet_enqueue_chapters("fresh", "new", 2, "create");
    fleet_await_outcome(fresh, "imported");
    fenceline_drop_lease("busy");
    fleet_await_outcome(busy, "imported");
    fleet_stop_worker(worker);
    fleet_assert_clean();
}

/* ---- poison ---- */

#define MAX_DEATHS  "FENCELINE_JOB_MAX_DEATHS=2"
#define DIE_PARSING "FENCELINE_FAIL_POINT=after-parse:kill"

static struct process *launch_victim(void)
{
    return fleet_launch_worker((const char *const[]){DIE_PARSING, MAX_DEATHS, SHORT_LEASE, NULL});
}

static void assert_poisoned(int64_t job)
{
    fleet_await_outcome(job, "failed");
    assert_int_equal(ask(job, "SELECT count(*) FROM fenceline.jobs WHERE job_id = $1"
                              " AND message LIKE '%2 workers in a row died%'"),
                     1);
    assert_int_equal(ask(job, "SELECT least(count(*), 2) FROM fenceline.job_attempts WHERE job_id = $1"
                              " AND error LIKE '%worker died%'"),
                     2);
}

static void test_poison(void **state)
{
    (void)state;
    enum { RESTARTS_MAX = 10 };
    int64_t poison = fleet_enqueue_chapters("poison", "bitter", 2, "create");
    int deaths = 0;
    struct process *survivor = NULL;
    for (int i = 0; i < RESTARTS_MAX && !survivor; i++) {
        struct process *worker = launch_victim();
        char *outcome = NULL;
        while (!process_ended(worker, 20) && (!outcome || strcmp(outcome, "open") == 0)) {
            free(outcome);
            outcome = fleet_outcome(poison);
        }
        free(outcome);
        bool lives = !process_ended(worker, 0);
        deaths += !lives;
        survivor = lives ? worker : NULL;
    }
    assert_non_null(survivor);
    assert_int_equal(deaths, 2);
    assert_poisoned(poison);
    fenceline_assert_nothing("poison", NULL);
    fleet_stop_worker(survivor);
    fleet_assert_clean();
}

/* Who was only in the hands of the worker that died is no poison, and is imported by the next. */
static void test_poison_beside_innocents(void **state)
{
    (void)state;
    enum { INNOCENTS = 20 };
    int64_t poison = fleet_enqueue_chapters("poison", "bitter", 2, "create");
    struct process *worker = launch_victim();
    process_wait(worker, FLEET_WAIT_MS);
    assert_int_equal(worker->signal, SIGKILL);
    /* The next takes a busy job at once, and the poison when the first is found dead. */
    fenceline_set_lease("busy", "somebody@elsewhere:1", 600000);
    int64_t busy = fleet_enqueue_chapters("busy", "patient", 4, "create");
    worker = launch_victim();
    await_parked("busy");
    process_wait(worker, FLEET_WAIT_MS);
    assert_int_equal(worker->signal, SIGKILL);
    assert_open(poison);
    assert_open(busy);
    struct process *healthy = fleet_start_worker_with((const char *const[]){MAX_DEATHS, SHORT_LEASE, NULL});
    enqueue_backlog(INNOCENTS);
    fleet_await(INNOCENTS, "SELECT count(*) FROM fenceline.jobs WHERE outcome = 'imported'");
    assert_poisoned(poison);
    fenceline_drop_lease("busy");
    fleet_await_outcome(busy, "imported");
    fenceline_assert_chapters("busy", "patient", 4);
    fenceline_assert_nothing("poison", NULL);
    fleet_stop_worker(healthy);
    fleet_assert_clean();
}

/* Nor is it poison because it waited for another's lease in the hands of one dying worker after the other. */
static void test_parked_while_workers_die(void **state)
{
    (void)state;
    enum { DEATHS = 4 };
    fenceline_set_lease("busy", "somebody@elsewhere:1", 600000);
    int64_t busy = fleet_enqueue_chapters("busy", "patient", 4, "create");
    for (int i = 0; i < DEATHS; i++) {
        char sql[256];
        struct process *worker = fleet_start_worker_with((const char *const[]){MAX_DEATHS, NULL});
        snprintf(sql, sizeof sql,
                 "SELECT count(*) FROM fenceline.jobs WHERE worker LIKE '%%:%d' OR outcome IS NOT NULL",
                 (int)worker->pid);
        fleet_await(1, sql);
        process_sleep_ms(100); /* until it is parked */
        assert_open(busy);
        fleet_kill_worker(worker);
    }
    fenceline_drop_lease("busy");
    struct process *healthy = fleet_start_worker_with((const char *const[]){MAX_DEATHS, NULL});
    fleet_await_outcome(busy, "imported");
    fenceline_assert_chapters("busy", "patient", 4);
    fleet_stop_worker(healthy);
    fleet_assert_clean();
}

/* ---- servers ---- */

enum { BACKLOG = 300, SOME = 30 };

static struct process *start_slow_worker(void)
{
    return fleet_start_worker_with((const char *const[]){"FENCELINE_WORKER_SLOTS=2", SHORT_LEASE, NULL});
}

static void assert_still_open(void)
{
    assert_true(fenceline_count_jobs("open") > 0); /* else the fault came too late, and nothing is tested */
}

static void test_flushall(void **state)
{
    (void)state;
    enqueue_backlog(BACKLOG);
    struct process *worker = start_slow_worker();
    await_decided(SOME);
    rdb_exec(fenceline.redis, "FLUSHALL");
    assert_still_open();
    fleet_await_all_decided();
    assert_alive(worker);
    assert_backlog(BACKLOG);
    fleet_stop_worker(worker);
    fleet_assert_clean();
}

static void lose_redis(int away_ms, enum services_stop_mode mode)
{
    enqueue_backlog(BACKLOG);
    struct process *workers[] = {start_slow_worker(), start_slow_worker()};
    await_decided(SOME);
    services_redis_stop(&fenceline.services, mode);
    process_sleep_ms(away_ms);
    assert_still_open();
    services_redis_start(&fenceline.services);
    fenceline_reconnect();
    fleet_await_all_decided();
    assert_backlog(BACKLOG);
    for (size_t i = 0; i < COUNT(workers); i++) {
        assert_alive(workers[i]);
        fleet_stop_worker(workers[i]);
    }
    fleet_assert_clean();
}

static void test_redis_starts_again_empty(void **state)
{
    (void)state;
    lose_redis(0, SERVICES_IMMEDIATE);
}

static void test_redis_is_away(void **state)
{
    (void)state;
    lose_redis(2000, SERVICES_FAST);
}

/* Longer than any time of the workers. */
static void test_redis_is_away_for_long(void **state)
{
    (void)state;
    lose_redis(5000, SERVICES_FAST);
}

static void lose_postgres(int away_ms, enum services_stop_mode mode)
{
    enqueue_backlog(BACKLOG);
    struct process *workers[] = {start_slow_worker(), start_slow_worker()};
    await_decided(SOME);
    services_postgres_stop(&fenceline.services, mode);
    process_sleep_ms(away_ms);
    services_postgres_start(&fenceline.services);
    fenceline_reconnect();
    assert_still_open();
    fleet_await_all_decided();
    assert_backlog(BACKLOG);
    for (size_t i = 0; i < COUNT(workers); i++) {
        assert_alive(workers[i]);
        fleet_stop_worker(workers[i]);
    }
    fleet_assert_clean();
}

static void test_postgres_restarts(void **state)
{
    (void)state;
    lose_postgres(0, SERVICES_FAST);
}

static void test_postgres_crashes(void **state)
{
    (void)state;
    lose_postgres(0, SERVICES_IMMEDIATE);
}

static void test_postgres_is_away(void **state)
{
    (void)state;
    lose_postgres(3000, SERVICES_FAST);
}

/* A worker that is started before its servers waits for them, and can be told to stop meanwhile. */
static void test_servers_come_late(void **state)
{
    (void)state;
    enqueue_backlog(SOME);
    services_redis_stop(&fenceline.services, SERVICES_FAST);
    services_postgres_stop(&fenceline.services, SERVICES_FAST);
    struct process *patient = fleet_launch_worker(NULL), *other = fleet_launch_worker(NULL);
    process_wait_for_output(other, "fenceline: ", FLEET_WAIT_MS);
    process_wait_for_output(patient, "fenceline: ", FLEET_WAIT_MS);
    process_sleep_ms(1000);
    int64_t began_ms = process_now_ms();
    process_signal(other, SIGTERM);
    fenceline_finish(other, 0);
    assert_true(process_now_ms() - began_ms < PROMPT_MS);
    services_redis_start(&fenceline.services);
    process_sleep_ms(500);
    services_postgres_start(&fenceline.services);
    fenceline_reconnect();
    fleet_await_ready(patient);
    fleet_await_all_decided();
    assert_backlog(SOME);
    fleet_stop_worker(patient);
    fleet_assert_clean();
}

/* ---- nobody told the workers ---- */

static void test_raw_insert(void **state)
{
    (void)state;
    struct process *worker = fleet_start_worker();
    free(fenceline_write_chapters("raw", "unheard", 5));
    process_sleep_ms(FLEET_DEAD_MS); /* past what it does at its start */
    db_exec(fenceline.db, "INSERT INTO fenceline.jobs (episode_id, kind, mode, source)"
                          " VALUES ('raw', 'chapters', 'create', 'raw.chapters.json')");
    int64_t job = db_int(fenceline.db, "SELECT job_id FROM fenceline.jobs");
    fleet_await_outcome(job, "imported");
    fenceline_assert_chapters("raw", "unheard", 5);
    fleet_stop_worker(worker);
    fleet_assert_clean();
}

/* ---- workers that sleep ---- */

/* While it sleeps it is taken for dead, and another does its job, from a file with another content. */
static void sleep_past_everything(const char *fail_point)
{
    char point[NAME_BYTES];
    snprintf(point, sizeof point, "FENCELINE_FAIL_POINT=%s:stop", fail_point);
    struct process *sleeper = fleet_start_worker_with((const char *const[]){point, SHORT_LEASE, NULL});
    free(fenceline_write_chapters("nap", "slow", 9));
    int64_t job = fleet_enqueue("nap", "chapters", "nap.chapters.json", "create");
    fenceline_await_stop(sleeper);
    free(fenceline_write_chapters("nap", "fast", 12));
    struct process *other = fleet_start_worker_with((const char *const[]){SHORT_LEASE, NULL});
    fleet_await_outcome(job, "imported");
    fenceline_assert_chapters("nap", "fast", 12);
    fleet_stop_worker(other);
    process_signal(sleeper, SIGCONT);
    enqueue_backlog(SOME);
    fleet_await_all_decided();
    assert_alive(sleeper);
    assert_backlog(SOME);
    fenceline_assert_chapters("nap", "fast", 12);
    assert_int_equal(ask(job, "SELECT row_count FROM fenceline.jobs WHERE job_id = $1"), 12);
    assert_int_equal(db_int(fenceline.db, "SELECT version FROM fenceline.episodes WHERE episode_id = 'nap'"),
                     ask(job, "SELECT version FROM fenceline.jobs WHERE job_id = $1"));
    fleet_stop_worker(sleeper);
    fleet_assert_clean();
}

static void test_sleeps_after_its_claim(void **state)
{
    (void)state;
    sleep_past_everything("after-claim");
}

static void test_sleeps_after_parsing(void **state)
{
    (void)state;
    sleep_past_everything("after-parse");
}

/* Asleep before its commit, and nobody else there: it goes on where it was, or begins again. */
static void test_sleeps_alone(void **state)
{
    (void)state;
    struct process *sleeper = fleet_start_worker_with(
        (const char *const[]){"FENCELINE_FAIL_POINT=before-commit:stop", SHORT_LEASE, NULL});
    enqueue_backlog(SOME);
    fenceline_await_stop(sleeper);
    process_sleep_ms(3 * FLEET_DEAD_MS / 2);
    process_signal(sleeper, SIGCONT);
    fleet_await_all_decided();
    assert_backlog(SOME);
    fleet_stop_worker(sleeper);
    fleet_assert_clean();
}

/* ---- draining ---- */

/* Blocked or parked, jobs are handed back when the patience ends, and the next worker has them at once. */
static void test_drain(void **state)
{
    (void)state;
    const char *const env[] = {"FENCELINE_WORKER_DRAIN_SECONDS=1", LONG_DEATH, PATIENT, NULL};
    struct process *first = fleet_start_worker_with(env);
    fenceline_set_lease("busy", "somebody@elsewhere:1", 60000);
    PGconn *lock = lock_episode("locked");
    int64_t parked = fleet_enqueue_chapters("busy", "patient", 4, "create");
    await_parked("busy");
    int64_t blocked = fleet_enqueue_chapters("locked", "barred", 3, "create");
    await_blocked();
    process_signal(first, SIGTERM);
    process_wait_for_output(first, "nothing new is begun", FLEET_WAIT_MS);
    int64_t late = fleet_enqueue_chapters("late", "new", 2, "create"); /* not for this worker any more */
    int64_t began_ms = process_now_ms();
    fenceline_finish(first, 0);
    int64_t drained_ms = process_now_ms() - began_ms;
    print_message("drained in %" PRId64 " ms\n", drained_ms);
    fenceline_assert_err(first, "stopped");
    fenceline_assert_not_err(first, "to be taken over");
    assert_true(drained_ms < 5000);
    assert_open(parked), assert_open(blocked), assert_open(late);
    assert_int_equal(fenceline_count_leases(), 1); /* its own are released */
    assert_int_equal(rdb_int(fenceline.redis, "ZCARD fenceline:{queue}:workers"), 0);
    unlock(lock);
    fenceline_drop_lease("busy");
    began_ms = process_now_ms();
    struct process *second = fleet_start_worker_with(env);
    fleet_await_all_decided();
    assert_true(process_now_ms() - began_ms < PROMPT_MS); /* of the 60 s that a death would have taken */
    assert_int_equal(fenceline_count_jobs("imported"), 3);
    fenceline_assert_chapters("busy", "patient", 4);
    fenceline_assert_chapters("locked", "barred", 3);
    assert_int_equal(fenceline_count("job_attempts"), 0);
    assert_int_equal(db_int(fenceline.db, "SELECT count(*) FROM fenceline.jobs WHERE attempts <> 1"), 0);
    fleet_stop_worker(second);
    fleet_assert_clean();
}

/* What runs may end while the worker drains. */
static void test_drain_lets_imports_end(void **state)
{
    (void)state;
    const char *const env[] = {"FENCELINE_WORKER_DRAIN_SECONDS=60", LONG_DEATH, PATIENT, NULL};
    struct process *worker = fleet_start_worker_with(env);
    PGconn *lock = lock_episode("locked");
    int64_t blocked = fleet_enqueue_chapters("locked", "barred", 3, "create");
    await_blocked();
    process_signal(worker, SIGTERM);
    process_wait_for_output(worker, "nothing new is begun", FLEET_WAIT_MS);
    unlock(lock);
    fenceline_finish(worker, 0);
    fleet_await_outcome(blocked, "imported");
    fenceline_assert_chapters("locked", "barred", 3);
    fleet_assert_clean();
}

/* A server that is away does not keep a worker from stopping; what it had is not lost. */
static void drain_without(void (*stop)(struct services *, enum services_stop_mode),
                          void (*start)(struct services *))
{
    const char *const env[] = {"FENCELINE_WORKER_DRAIN_SECONDS=1", "FENCELINE_WORKER_SLOTS=2", SHORT_LEASE,
                               NULL};
    struct process *first = fleet_start_worker_with(env);
    enqueue_backlog(BACKLOG);
    await_decided(SOME);
    stop(&fenceline.services, SERVICES_FAST);
    process_sleep_ms(500);
    int64_t began_ms = process_now_ms();
    process_signal(first, SIGTERM);
    fenceline_finish(first, 0);
    assert_true(process_now_ms() - began_ms < PROMPT_MS);
    start(&fenceline.services);
    fenceline_reconnect();
    assert_still_open();
    struct process *second = fleet_start_worker_with(env);
    fleet_await_all_decided();
    assert_backlog(BACKLOG);
    fleet_stop_worker(second);
    fleet_assert_clean();
}

static void test_drain_without_redis(void **state)
{
    (void)state;
    drain_without(services_redis_stop, services_redis_start);
}

static void test_drain_without_postgres(void **state)
{
    (void)state;
    drain_without(services_postgres_stop, services_postgres_start);
}

static void test_second_signal(void **state)
{
    (void)state;
    struct process *first = fleet_start_worker_with((const char *const[]){PATIENT, SHORT_LEASE, NULL});
    PGconn *lock = lock_episode("locked");
    int64_t blocked = fleet_enqueue_chapters("locked", "barred", 3, "create");
    await_blocked();
    process_signal(first, SIGTERM);
    process_wait_for_output(first, "nothing new is begun", FLEET_WAIT_MS);
    assert_false(process_ended(first, 300)); /* it would wait: 30 s */
    int64_t began_ms = process_now_ms();
    process_signal(first, SIGTERM);
    fenceline_finish(first, 130);
    assert_true(process_now_ms() - began_ms < 5000);
    assert_open(blocked);
    unlock(lock);
    struct process *second = fleet_start_worker_with((const char *const[]){SHORT_LEASE, NULL});
    fleet_await_outcome(blocked, "imported");
    fenceline_assert_chapters("locked", "barred", 3);
    fleet_stop_worker(second);
    fleet_assert_clean();
}

/* An episode that somebody has locked in Postgres holds up its own jobs only. */
static void test_locked_episode_holds_up_no_other(void **state)
{
    (void)state;
    struct process *worker = fleet_start_worker_with((const char *const[]){PATIENT, NULL});
    PGconn *lock = lock_episode("locked");
    int64_t blocked = fleet_enqueue_chapters("locked", "barred", 3, "create");
    await_blocked();
    enqueue_backlog(SOME);
    fleet_await(SOME, "SELECT count(*) FROM fenceline.jobs WHERE outcome = 'imported'");
    assert_open(blocked);
    unlock(lock);
    fleet_await_outcome(blocked, "imported");
    fleet_stop_worker(worker);
    fleet_assert_clean();
}

/* ---- settings, and the schema ---- */

static void write_config(int slots, const char *more)
{
    char text[512];
    snprintf(text, sizeof text,
             "[source]\nroot = %s\n[worker]\nslots = %d\nheartbeat_ms = 200\ndead_ms = 1000\n"
             "sweep_ms = 500\n%s",
             fenceline.folder, slots, more);
    free(files_write_text(fenceline.folder, "worker.conf", text));
}

static void await_listed(const char *text)
{
    for (int i = 0; i < PROMPT_MS / 100; i++) {
        struct process *list = fenceline_run(0, "worker", "list", "--json");
        bool is_there = strstr(list->out.bytes, text) != NULL;
        process_release(list);
        if (is_there)
            return;
        process_sleep_ms(100);
    }
    fail_msg("'worker list' never shows %s", text);
}

static void test_reload(void **state)
{
    (void)state;
    write_config(3, "");
    struct process *worker = fenceline_launch("worker", "--config", "worker.conf");
    fleet_await_ready(worker);
    await_listed("\"slots\":3");
    write_config(9, "");
    process_signal(worker, SIGHUP);
    await_listed("\"slots\":9");
    fenceline_assert_err(worker, "settings read again (9 slots)");
    write_config(5, "colour = red\n"); /* refused as a whole, and the worker goes on */
    process_signal(worker, SIGHUP);
    process_wait_for_output(worker, "settings not read again", FLEET_WAIT_MS);
    await_listed("\"slots\":9");
    enqueue_backlog(SOME);
    fleet_await_all_decided();
    assert_backlog(SOME);
    fleet_stop_worker(worker);
    fleet_assert_clean();
}

static void make_schema_newer(void)
{
    db_exec(fenceline.db, "INSERT INTO fenceline.schema_versions (version, name) VALUES (999, 'future')");
    db_exec(fenceline.db, "NOTIFY fenceline_queue, 'schema'");
}

static void test_schema_that_becomes_newer(void **state)
{
    (void)state;
    struct process *worker = fleet_start_worker();
    fenceline_set_lease("busy", "somebody@elsewhere:1", 60000);
    int64_t parked = fleet_enqueue_chapters("busy", "patient", 4, "create");
    await_parked("busy");
    make_schema_newer();
    fenceline_finish(worker, 2);
    fenceline_assert_err(worker, "schema version 999 is newer than this fenceline");
    assert_open(parked);
    assert_int_equal(fenceline_count("job_attempts"), 0);
    struct process *late = fleet_launch_worker(NULL);
    fenceline_finish(late, 2);
    fenceline_assert_err(late, "schema version 999 is newer than this fenceline");
    fenceline_assert_not_err(late, "ready (");
    /* Back again, as after a restore: the job is there. */
    db_exec(fenceline.db, "DELETE FROM fenceline.schema_versions WHERE version = 999");
    fenceline_drop_lease("busy");
    struct process *again = fleet_start_worker();
    fleet_await_outcome(parked, "imported");
    fleet_stop_worker(again);
    fleet_assert_clean();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FENCELINE_TEST(test_killed_worker),
        FENCELINE_TEST(test_deaths_in_a_row_only),
        FENCELINE_TEST(test_suspects_do_not_wait_for_a_parked_one),
        FENCELINE_TEST(test_poison),
        FENCELINE_TEST(test_poison_beside_innocents),
        FENCELINE_TEST(test_parked_while_workers_die),
        FENCELINE_TEST(test_flushall),
        FENCELINE_TEST(test_redis_starts_again_empty),
        FENCELINE_TEST(test_redis_is_away),
        FENCELINE_TEST(test_redis_is_away_for_long),
        FENCELINE_TEST(test_postgres_restarts),
        FENCELINE_TEST(test_postgres_crashes),
        FENCELINE_TEST(test_postgres_is_away),
        FENCELINE_TEST(test_servers_come_late),
        FENCELINE_TEST(test_raw_insert),
        FENCELINE_TEST(test_sleeps_after_its_claim),
        FENCELINE_TEST(test_sleeps_after_parsing),
        FENCELINE_TEST(test_sleeps_alone),
        FENCELINE_TEST(test_drain),
        FENCELINE_TEST(test_drain_lets_imports_end),
        FENCELINE_TEST(test_drain_without_redis),
        FENCELINE_TEST(test_drain_without_postgres),
        FENCELINE_TEST(test_second_signal),
        FENCELINE_TEST(test_locked_episode_holds_up_no_other),
        FENCELINE_TEST(test_reload),
        FENCELINE_TEST(test_schema_that_becomes_newer),
    };
    return cmocka_run_group_tests(tests, fenceline_start_group, fenceline_stop_group);
}
