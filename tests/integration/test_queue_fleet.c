/*
 * A fleet under load: three workers, 5,000 jobs, and the worst week of operations in half a minute.
 *
 * 4,000 episodes are created, and 100 documents replaced ten times each, from files and from bodies, while
 * workers are killed and servers lose what they can lose; or while every worker is restarted ten times as an
 * operator does it. In the end each job has its outcome, and each document is the file of the job that it
 * names. Faults come by progress, at pseudo-random moments of a fixed seed.
 */
#include "../lib/fleet.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum {
    WORKERS = 3,
    FILES = 50, /* file k has 3 + k % 10 chapters */
    SOLOS = 4000,
    DOCUMENTS = 100,
    TAKES = 10,
    JOBS = SOLOS + DOCUMENTS * TAKES,
    NAME_BYTES = 64,
    ID_BYTES = 24,
};

static const char *const ENV[] = {"FENCELINE_WORKER_SLOTS=16", "FENCELINE_LEASE_TTL_MS=2000", NULL};

/* ---- jobs ---- */

static void write_files(void)
{
    for (int k = 0; k < FILES; k++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "f%d", k);
        free(fenceline_write_chapters(name, name, 3 + k % 10));
    }
}

/* Jobs from to last. Of fifty, ten are takes of a document (each from another file than the one before), and
 * of the other forty each fourth has its input with it. */
static void enqueue_range(int from, int last)
{
    char first[ID_BYTES], end[ID_BYTES];
    snprintf(first, sizeof first, "%d", from);
    snprintf(end, sizeof end, "%d", last);
    db_exec(fenceline.db,
            "SELECT CASE WHEN i % 50 < 10 THEN"
            "    fenceline.enqueue('document' || i / 50, 'chapters', mode => 'replace',"
            "                      source => format('f%s.chapters.json', (i / 50 + i % 50 * 7) % 50))"
            " ELSE"
            "    fenceline.enqueue('solo' || i, 'chapters', source => format('f%s.chapters.json', i % 50),"
            "                      body => CASE WHEN i % 4 = 0 THEN convert_to(format('{\"chapters\":[%s]}',"
            "        (SELECT string_agg(format('{\"startTime\":%s,\"title\":\"f%s chapter %s\"}', c * 10, i "
            "% 50, c),"
            "                           ',') FROM generate_series(0, 2 + i % 50 % 10) c)), 'UTF8') END)"
            " END FROM generate_series($1::int, $2::int) i",
            first, end);
}

static int64_t count_decided(void)
{
    return db_int(fenceline.db, "SELECT count(*) FROM fenceline.jobs WHERE outcome IS NOT NULL");
}

static void await_decided(int64_t count)
{
    int64_t decided = -1, before = -1, still_since_ms = process_now_ms();
    while ((decided = count_decided()) < count) {
        if (decided != before)
            still_since_ms = process_now_ms();
        before = decided;
        if (process_now_ms() - still_since_ms > FLEET_WAIT_MS)
            fail_msg("nothing was decided for a minute: %" PRId64 " of %" PRId64, decided, count);
        process_sleep_ms(5);
    }
}

/* ---- what must be true in the end ---- */

static void assert_none(const char *what, const char *sql)
{
    char *found = db_text(fenceline.db, sql);
    if (found)
        fail_msg("%s: %s", what, found);
}

static void assert_exact(void)
{
    assert_int_equal(fenceline_count("jobs"), JOBS);
    assert_int_equal(fenceline_count_jobs("open"), 0);
    assert_none("given up, or refused",
                "SELECT string_agg(format('%s %s: %s', episode_id, outcome, message), E'\\n') FROM"
                " (SELECT * FROM fenceline.jobs WHERE outcome NOT IN ('imported', 'unchanged', 'superseded')"
                "  LIMIT 10) j");
    assert_int_equal(db_int(fenceline.db, "SELECT count(*) FROM fenceline.jobs WHERE outcome = 'imported'"
                                          " AND episode_id LIKE 'solo%'"),
                     SOLOS);
    assert_int_equal(fenceline_count("documents"), SOLOS + DOCUMENTS);
    /* The newest job of each document is the one that stands, even if an older one came late. */
    assert_none("not from the newest job",
                "SELECT string_agg(episode_id, ', ') FROM (SELECT d.episode_id FROM fenceline.documents d"
                "  WHERE d.job_id <> (SELECT max(j.job_id) FROM fenceline.jobs j"
                "                      WHERE j.episode_id = d.episode_id AND j.kind = d.kind) LIMIT 10) w");
    assert_none("other rows than those of the file of its job",
                "SELECT string_agg(format('%s: %s', episode_id, rows), E'\\n') FROM ("
                " SELECT d.episode_id, array_agg(c.title ORDER BY c.order_index)::text AS rows"
                "   FROM fenceline.documents d JOIN fenceline.jobs j USING (job_id)"
                "  CROSS JOIN LATERAL (SELECT substring(j.source FROM '^f(\\d+)\\.')::int AS k) f"
                "   LEFT JOIN fenceline.chapters c ON c.episode_id = d.episode_id"
                "  GROUP BY d.episode_id, f.k, d.row_count"
                " HAVING count(c.order_index) <> 3 + f.k % 10 OR d.row_count <> 3 + f.k % 10"
                "     OR min(c.order_index) <> 0 OR max(c.order_index) <> 2 + f.k % 10"
                "     OR bool_or(c.title <> format('f%s chapter %s', f.k, c.order_index)"
                "                OR c.start_ms <> c.order_index * 10000) LIMIT 10) w");
    assert_int_equal(db_int(fenceline.db, "SELECT count(*) FROM fenceline.chapters"),
                     db_int(fenceline.db, "SELECT sum(row_count) FROM fenceline.documents"));
    assert_none("versions that do not rise with the jobs",
                "SELECT string_agg(job_id::text, ', ') FROM (SELECT job_id FROM (SELECT job_id, version,"
                "   lag(version) OVER (PARTITION BY episode_id, kind ORDER BY job_id) AS before"
                "  FROM fenceline.jobs WHERE outcome = 'imported') v WHERE version <= before LIMIT 10) w");
    fleet_assert_clean();
}

/* ---- faults ---- */

static uint64_t random_state;

static int random_below(int limit)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int)((random_state >> 33) % (uint64_t)limit);
}

static void kill_and_restart(struct process **worker)
{
    fleet_kill_worker(*worker);
    process_release(*worker);
    *worker = fleet_launch_worker(ENV);
}

static void kill_first(struct process **workers)
{
    kill_and_restart(&workers[0]);
}

static void kill_second(struct process **workers)
{
    kill_and_restart(&workers[1]);
}

static void flush_redis(struct process **workers)
{
    (void)workers;
    rdb_exec(fenceline.redis, "FLUSHALL");
}

static void restart_redis(struct process **workers)
{
    (void)workers;
    services_redis_stop(&fenceline.services, SERVICES_IMMEDIATE);
    services_redis_start(&fenceline.services);
    fenceline_reconnect();
}

static void restart_postgres(struct process **workers)
{
    (void)workers;
    services_postgres_restart(&fenceline.services, SERVICES_FAST);
    fenceline_reconnect();
}

static const struct fault {
    const char *name;
    void (*make)(struct process **workers);
} FAULTS[] = {
    {"SIGKILL", kill_first},        {"SIGKILL", kill_second}, {"FLUSHALL", flush_redis},
    {"SIGKILL", kill_second},       {"Redis", restart_redis}, {"SIGKILL", kill_first},
    {"Postgres", restart_postgres}, {"SIGKILL", kill_first},  {"SIGKILL", kill_second},
};
enum { FAULT_COUNT = sizeof FAULTS / sizeof *FAULTS };

static void test_killed_and_emptied(void **state)
{
    (void)state;
    struct process *workers[WORKERS];
    const int step = JOBS / (FAULT_COUNT + 1);
    random_state = 4;
    fenceline_use_fast(true);
    write_files();
    enqueue_range(0, JOBS - 1);
    int64_t began_ms = process_now_ms();
    for (int i = 0; i < WORKERS; i++)
        workers[i] = fleet_launch_worker(ENV);
    for (int i = 0; i < FAULT_COUNT; i++) {
        await_decided(step / 2 + i * step + random_below(step));
        process_sleep_ms(random_below(20));
        print_message("%5" PRId64 " ms, %4" PRId64 " decided: %s\n", process_now_ms() - began_ms,
                      count_decided(), FAULTS[i].name);
        assert_true(fenceline_count_jobs("open") > 0);
        FAULTS[i].make(workers);
    }
    fleet_await_all_decided();
    print_message("%d jobs, %d faults, %" PRId64 " attempts cut off, %" PRId64 " superseded: %" PRId64
                  " ms\n",
                  JOBS, FAULT_COUNT, fenceline_count("job_attempts"), fenceline_count_jobs("superseded"),
                  process_now_ms() - began_ms);
    for (int i = 0; i < WORKERS; i++) {
        fleet_await_ready(workers[i]);
        fleet_stop_worker(workers[i]);
    }
    assert_exact();
}

/* ---- rolling restarts ---- */

static void test_rolling_restarts(void **state)
{
    (void)state;
    enum { RESTARTS = 10 * WORKERS, HEAD = JOBS / 2, PORTION = (JOBS - HEAD) / RESTARTS };
    struct process *workers[WORKERS];
    int enqueued = HEAD, under_load = 0;
    fenceline_use_fast(true);
    write_files();
    enqueue_range(0, HEAD - 1);
    int64_t began_ms = process_now_ms(), longest_ms = 0;
    for (int i = 0; i < WORKERS; i++)
        workers[i] = fleet_start_worker_with(ENV);
    for (int i = 0; i < RESTARTS; i++) {
        struct process **worker = &workers[i % WORKERS];
        int last = i == RESTARTS - 1 ? JOBS : enqueued + PORTION;
        await_decided((int64_t)(i + 1) * HEAD / (RESTARTS + 1));
        enqueue_range(enqueued, last - 1);
        enqueued = last;
        under_load += fenceline_count_jobs("open") > WORKERS * 16;
        int64_t stop_ms = process_now_ms();
        fleet_stop_worker(*worker);
        stop_ms = process_now_ms() - stop_ms;
        longest_ms = stop_ms > longest_ms ? stop_ms : longest_ms;
        process_release(*worker);
        *worker = fleet_start_worker_with(ENV);
    }
    fleet_await_all_decided();
    print_message("%d jobs, %d restarts, %d of them under load, the longest drain %" PRId64 " ms: %" PRId64
                  " ms\n",
                  JOBS, RESTARTS, under_load, longest_ms, process_now_ms() - began_ms);
    for (int i = 0; i < WORKERS; i++)
        fleet_stop_worker(workers[i]);
    assert_true(under_load >= RESTARTS / 3);
    assert_exact();
    assert_none("attempts cut off", "SELECT string_agg(format('%s by %s: %s', job_id, worker, error), E'\\n')"
                                    " FROM (SELECT * FROM fenceline.job_attempts LIMIT 10) a");
    assert_int_equal(fenceline_count_jobs("imported") + fenceline_count_jobs("unchanged"), JOBS);
    assert_int_equal(db_int(fenceline.db, "SELECT count(*) FROM fenceline.jobs WHERE attempts > 11"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FENCELINE_TEST(test_killed_and_emptied),
        FENCELINE_TEST(test_rolling_restarts),
    };
    return cmocka_run_group_tests(tests, fenceline_start_group, fenceline_stop_group);
}
