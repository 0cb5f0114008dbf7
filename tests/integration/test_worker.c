/*
 * The worker as its users see it: jobs from SQL to rows, order, priorities, parking, schedule, retries,
 * refusals.
 *
 * What happens when workers and servers die is in test_queue_faults.c.
 */
#include "../lib/fleet.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ID_BYTES = 24, NAME_BYTES = 64 };

static int64_t ask(int64_t job_id, const char *sql)
{
    char id[ID_BYTES];
    snprintf(id, sizeof id, "%" PRId64, job_id);
    return db_int(fenceline.db, sql, id);
}

static char *ask_text(int64_t job_id, const char *sql)
{
    char id[ID_BYTES];
    snprintf(id, sizeof id, "%" PRId64, job_id);
    char *text = db_text(fenceline.db, sql, id);
    assert_non_null(text);
    return text;
}

static void assert_message(int64_t job_id, const char *part)
{
    char *message = ask_text(job_id, "SELECT coalesce(message, '') FROM fenceline.jobs WHERE job_id = $1");
    if (!strstr(message, part))
        fail_msg("job %" PRId64 " says \"%s\", not \"%s\"", job_id, message, part);
    free(message);
}

static void write_source(const char *episode, const char *tag, int count)
{
    free(fenceline_write_chapters(episode, tag, count));
}

/* ---- from SQL to rows ---- */

static void test_idle_worker_comes_and_goes(void **state)
{
    (void)state;
    struct process *worker = fleet_start_worker();
    assert_int_equal(rdb_int(fenceline.redis, "ZCARD fenceline:{queue}:workers"), 1);
    fleet_stop_worker(worker);
    fenceline_assert_err(worker, "stopped");
    assert_int_equal(rdb_int(fenceline.redis, "ZCARD fenceline:{queue}:workers"),
                     0); /* it has left the registry */
    assert_int_equal(rdb_int(fenceline.redis, "EXISTS fenceline:{queue}:dispatcher"), 0);
    fleet_assert_clean();
}

static void test_sources_and_bodies(void **state)
{
    (void)state;
    write_source("deep/ep1", "first", 12);
    free(fenceline_write_transcript("ep1", "talk", 7));
    struct process *worker = fleet_start_worker();
    int64_t a = fleet_enqueue("ep1", "chapters", "deep/ep1.chapters.json", "create");
    int64_t b = fleet_enqueue("ep1", "transcript", "ep1.srt", "create");
    int64_t c = fleet_enqueue_chapters("ep2", "inline", 3, "create");
    fleet_await_outcome(a, "imported");
    fleet_await_outcome(b, "imported");
    fleet_await_outcome(c, "imported");
    fenceline_assert_chapters("ep1", "first", 12);
    fenceline_assert_transcript("ep1", "talk", 7);
    fenceline_assert_chapters("ep2", "inline", 3);
    assert_int_equal(ask(c, "SELECT count(body) FROM fenceline.jobs WHERE job_id = $1"),
                     0); /* not kept after success */
    assert_int_equal(ask(a, "SELECT attempts FROM fenceline.jobs WHERE job_id = $1"), 1);
    fleet_assert_clean();
    fleet_stop_worker(worker);
}

static void test_jobs_wait_for_a_worker(void **state)
{
    (void)state;
    write_source("ep1", "first", 2);
    int64_t job = fleet_enqueue("ep1", "chapters", "ep1.chapters.json", "create");
    int64_t late = fleet_enqueue("ep1", "chapters", "ep1.chapters.json", "delete");
    struct process *worker = fleet_start_worker();
    fleet_await_outcome(job, "imported");
    fleet_await_outcome(late, "deleted");
    fenceline_assert_nothing("ep1", "chapters");
    fleet_stop_worker(worker);
}

/* Enqueued in a transaction that does not commit, a job never was. */
static void test_enqueue_is_the_callers_transaction(void **state)
{
    (void)state;
    write_source("ep1", "first", 2);
    struct process *worker = fleet_start_worker();
    db_exec(fenceline.db, "BEGIN");
    fleet_enqueue("ep1", "chapters", "ep1.chapters.json", "create");
    db_exec(fenceline.db, "ROLLBACK");
    db_exec(fenceline.db, "BEGIN");
    int64_t job = fleet_enqueue("ep2", "chapters", "ep1.chapters.json", "create");
    db_exec(fenceline.db, "COMMIT");
    fleet_await_outcome(job, "imported");
    fenceline_assert_nothing("ep1", NULL);
    assert_int_equal(fenceline_count("jobs"), 1);
    fleet_stop_worker(worker);
}

/* ---- refusals and bad input: final at once ---- */

static void test_refusals(void **state)
{
    (void)state;
    write_source("ep1", "first", 4);
    write_source("ep2", "second", 5);
    struct process *worker = fleet_start_worker();
    fleet_await_outcome(fleet_enqueue("ep1", "chapters", "ep1.chapters.json", "create"), "imported");
    int64_t again = fleet_enqueue("ep1", "chapters", "ep2.chapters.json", "create");
    fleet_await_outcome(again, "rejected");
    assert_message(again, "already imported (4 chapters");
    fleet_await_outcome(fleet_enqueue("ep1", "chapters", "ep1.chapters.json", "replace"), "unchanged");
    fleet_await_outcome(fleet_enqueue("ep1", "chapters", "ep2.chapters.json", "replace"), "imported");
    fenceline_assert_chapters("ep1", "second", 5);
    int64_t stale = db_int(fenceline.db, "SELECT fenceline.enqueue('ep1', 'chapters', 'ep1.chapters.json',"
                                         " mode => 'if-version', if_version => 1)");
    fleet_await_outcome(stale, "rejected");
    fleet_stop_worker(worker);
}

static void test_bad_input_is_final(void **state)
{
    (void)state;
    free(files_write_text(fenceline.folder, "bad.chapters.json", "{\"chapters\": [{\"startTime\": -1}]}"));
    struct process *worker = fleet_start_worker();
    int64_t job = fleet_enqueue("bad", "chapters", "bad.chapters.json", "create");
    fleet_await_outcome(job, "invalid");
    assert_message(job, "bad.chapters.json: line 1");
    assert_int_equal(ask(job, "SELECT attempts FROM fenceline.jobs WHERE job_id = $1"), 1);
    assert_int_equal(fenceline_count("job_attempts"), 0);
    fenceline_assert_nothing("bad", NULL);
    fleet_stop_worker(worker);
}

/* Hostile paths are refused, and nothing outside of source.root is read. */
static void test_sources_outside_of_the_root(void **state)
{
    (void)state;
    char *outside = files_temp_folder("/tmp", "fenceline-outside");
    free(files_write_text(outside, "secret.json",
                          "{\"chapters\": [{\"startTime\": 0, \"title\": \"secret\"}]}"));
    char *link = files_join(fenceline.folder, "link.chapters.json");
    char *target = files_join(outside, "secret.json");
    assert_int_equal(symlink(target, link), 0);
    char *folder_link = files_join(fenceline.folder, "way");
    assert_int_equal(symlink(outside, folder_link), 0);
    const char *const SOURCES[] = {
        "link.chapters.json", "way/secret.json", "../secret.json", target, "a/../../b", ""};
    struct process *worker = fleet_start_worker();
    for (size_t i = 0; i < sizeof SOURCES / sizeof *SOURCES; i++) {
        char episode[NAME_BYTES];
        snprintf(episode, sizeof episode, "ep%zu", i);
        fleet_await_outcome(fleet_enqueue(episode, "chapters", SOURCES[i], "create"), "invalid");
    }
    assert_int_equal(fenceline_count("chapters"), 0);
    fleet_stop_worker(worker);
    files_remove_tree(outside);
    free(outside), free(link), free(target), free(folder_link);
}

/* ---- retries ---- */

static void test_source_that_comes_late(void **state)
{
    (void)state;
    struct process *worker = fleet_start_worker();
    int64_t job = fleet_enqueue("ep1", "chapters", "ep1.chapters.json", "create");
    fleet_await(1, "SELECT least(count(*), 1) FROM fenceline.job_attempts");
    char *open = fleet_outcome(job);
    assert_string_equal(open, "open");
    free(open);
    /* As a careful producer does it: a worker that reads half a file would be right to call it invalid. */
    char *staged = fenceline_write_chapters("staging/ep1", "late", 6);
    char *place = files_join(fenceline.folder, "ep1.chapters.json");
    assert_int_equal(rename(staged, place), 0);
    free(staged), free(place);
    fleet_await_outcome(job, "imported");
    fenceline_assert_chapters("ep1", "late", 6);
    int64_t errors = fenceline_count("job_attempts");
    assert_int_equal(ask(job, "SELECT attempts FROM fenceline.jobs WHERE job_id = $1"), errors + 1);
    char *error = ask_text(job, "SELECT error FROM fenceline.job_attempts WHERE job_id = $1 AND attempt = 1");
    assert_non_null(strstr(error, "ep1.chapters.json: no such file"));
    free(error);
    fleet_assert_clean();
    fleet_stop_worker(worker);
}

static void test_source_that_never_comes(void **state)
{
    (void)state;
    struct process *worker =
        fleet_start_worker_with((const char *const[]){"FENCELINE_JOB_MAX_ATTEMPTS=3", NULL});
    int64_t job = fleet_enqueue("ep1", "chapters", "gone.json", "create");
    fleet_await_outcome(job, "failed");
    assert_message(job, "gave up after 3 attempts; the last: gone.json: no such file");
    assert_int_equal(fenceline_count("job_attempts"), 3);
    assert_int_equal(db_int(fenceline.db, "SELECT count(DISTINCT attempt) FROM fenceline.job_attempts"), 3);
    process_wait_for_output(worker, ": failed: gone.json", FLEET_WAIT_MS);
    fleet_assert_clean();
    fleet_stop_worker(worker);
}

/* A source that cannot be read does not hold up the jobs behind it. */
static void test_waiting_for_a_retry_blocks_nobody(void **state)
{
    (void)state;
    write_source("ep1", "good", 3);
    const char *const env[] = {"FENCELINE_WORKER_SLOTS=1", "FENCELINE_JOB_RETRY_BASE_MS=60000",
                               "FENCELINE_JOB_RETRY_MAX_MS=60000", NULL};
    struct process *worker = fleet_start_worker_with(env);
    int64_t stuck = fleet_enqueue("ep1", "chapters", "gone.json", "replace");
    fleet_await(1, "SELECT count(*) FROM fenceline.job_attempts");
    fleet_await_outcome(fleet_enqueue("ep1", "chapters", "ep1.chapters.json", "replace"), "imported");
    char *open = fleet_outcome(stuck);
    assert_string_equal(open, "open");
    free(open);
    fleet_stop_worker(worker);
}

/* ---- order ---- */

static void test_jobs_of_one_document_run_in_order(void **state)
{
    (void)state;
    enum { JOBS = 20 };
    struct process *workers[3];
    for (size_t i = 0; i < 3; i++)
        workers[i] = fleet_start_worker();
    db_exec(fenceline.db, "BEGIN");
    for (int i = 0; i < JOBS; i++) {
        char tag[NAME_BYTES];
        snprintf(tag, sizeof tag, "take %d", i);
        fleet_enqueue_chapters("ep1", tag, 3 + i, "replace");
    }
    db_exec(fenceline.db, "COMMIT");
    fleet_await_all_decided();
    fenceline_assert_chapters("ep1", "take 19", 22);
    assert_int_equal(fenceline_count_jobs("imported"), JOBS); /* none superseded: none came too early */
    assert_int_equal(db_int(fenceline.db,
                            "SELECT count(*) FROM (SELECT version, lag(version) OVER (ORDER BY job_id) AS"
                            " before FROM fenceline.jobs) j WHERE version <= before"),
                     0);
    for (size_t i = 0; i < 3; i++)
        fleet_stop_worker(workers[i]);
    fleet_assert_clean();
}

/* High first, low last, and low not never: with both waiting, low gets one of sixteen slots. */
static void test_priorities(void **state)
{
    (void)state;
    enum { EACH = 64 };
    db_exec(fenceline.db,
            "SELECT fenceline.enqueue(p || i, 'chapters', body => '{\"chapters\":[{\"startTime\":1}]}',"
            " priority => p) FROM generate_series(1, 64) i, unnest(ARRAY['low', 'normal', 'high']) p");
    struct process *worker = fleet_start_worker_with((const char *const[]){"FENCELINE_WORKER_SLOTS=1", NULL});
    fleet_await_all_decided();
    assert_int_equal(fenceline_count_jobs("imported"), 3 * EACH);
    const char *const SQL =
        "SELECT count(*) FROM (SELECT priority FROM fenceline.jobs ORDER BY finished_at LIMIT 64) j"
        " WHERE priority = $1::int";
    int64_t high = db_int(fenceline.db, SQL, "-1"), normal = db_int(fenceline.db, SQL, "0"),
            low = db_int(fenceline.db, SQL, "1");
    print_message("of the first 64: %" PRId64 " high, %" PRId64 " normal, %" PRId64 " low\n", high, normal,
                  low);
    assert_true(high > normal && normal > low && low >= 2);
    fleet_stop_worker(worker);
}

static void test_newer_job_of_a_higher_priority_overtakes(void **state)
{
    (void)state;
    fleet_enqueue_chapters("ep1", "old", 3, "replace");
    db_exec(fenceline.db, "UPDATE fenceline.jobs SET priority = 1");
    int64_t urgent = fleet_enqueue_chapters("ep1", "urgent", 5, "replace");
    db_exec(
        fenceline.db,
        "UPDATE fenceline.jobs SET priority = -1 WHERE job_id = (SELECT max(job_id) FROM fenceline.jobs)");
    struct process *worker = fleet_start_worker_with((const char *const[]){"FENCELINE_WORKER_SLOTS=1", NULL});
    fleet_await_outcome(urgent, "imported");
    fleet_await_outcome(urgent - 1, "superseded");
    fenceline_assert_chapters("ep1", "urgent", 5);
    fleet_stop_worker(worker);
}

static void test_scheduled_jobs(void **state)
{
    (void)state;
    struct process *worker = fleet_start_worker();
    write_source("ep1", "first", 2);
    int64_t later = db_int(fenceline.db, "SELECT fenceline.enqueue('ep1', 'chapters', 'ep1.chapters.json',"
                                         " not_before => now() + interval '1.5 seconds')");
    int64_t never = db_int(fenceline.db, "SELECT fenceline.enqueue('ep2', 'chapters', 'ep1.chapters.json',"
                                         " not_before => now() + interval '1 day')");
    fleet_await_outcome(later, "imported");
    assert_int_equal(
        ask(later, "SELECT count(*) FROM fenceline.jobs WHERE job_id = $1 AND started_at >= not_before"), 1);
    /* Not found by the sweep a while later, but at its time. */
    assert_int_equal(ask(later, "SELECT count(*) FROM fenceline.jobs WHERE job_id = $1"
                                " AND dispatched_at < not_before + interval '400 milliseconds'"),
                     1);
    char *open = fleet_outcome(never);
    assert_string_equal(open, "open");
    free(open);
    fleet_stop_worker(worker);
}

/* ---- busy episodes ---- */

static void test_busy_episode_needs_no_slot(void **state)
{
    (void)state;
    write_source("ep1", "first", 2);
    fenceline_set_lease("busy", "somebody@elsewhere:1", 60000);
    struct process *worker = fleet_start_worker_with((const char *const[]){"FENCELINE_WORKER_SLOTS=1", NULL});
    int64_t busy = fleet_enqueue("busy", "chapters", "ep1.chapters.json", "create");
    fleet_await(1, "SELECT attempts FROM fenceline.jobs WHERE episode_id = 'busy'");
    fleet_await_outcome(fleet_enqueue("other", "chapters", "ep1.chapters.json", "create"), "imported");
    char *open = fleet_outcome(busy);
    assert_string_equal(open, "open");
    free(open);
    fenceline_drop_lease("busy"); /* without a wake-up: the worker looks again by itself */
    fleet_await_outcome(busy, "imported");
    fleet_assert_clean();
    fleet_stop_worker(worker);
}

/* More jobs that wait for others than a worker keeps: the rest goes back to Postgres, and all come through.
 */
static void test_many_busy_episodes(void **state)
{
    (void)state;
    enum { BUSY = 30 };
    for (int i = 0; i < BUSY; i++) {
        char episode[NAME_BYTES];
        snprintf(episode, sizeof episode, "busy%d", i);
        fenceline_set_lease(episode, "somebody@elsewhere:1", 60000);
        fleet_enqueue_chapters(episode, "patient", 2, "create");
    }
    struct process *worker = fleet_start_worker_with((const char *const[]){"FENCELINE_WORKER_SLOTS=2", NULL});
    int64_t other = fleet_enqueue_chapters("other", "free", 2, "create");
    fleet_await_outcome(other, "imported");
    assert_int_equal(fenceline_count_jobs("open"), BUSY);
    for (int i = 0; i < BUSY; i++) {
        char episode[NAME_BYTES];
        snprintf(episode, sizeof episode, "busy%d", i);
        fenceline_drop_lease(episode);
    }
    fleet_await_all_decided();
    assert_int_equal(fenceline_count_jobs("imported"), BUSY + 1);
    assert_int_equal(fenceline_count("job_attempts"), 0); /* waiting is no error */
    fleet_assert_clean();
    fleet_stop_worker(worker);
}

/* The holder is an import in its own process, and its release wakes the job. */
static void test_release_wakes_the_parked_job(void **state)
{
    (void)state;
    char *path = fenceline_write_transcript("ep1", "talk", 4);
    write_source("ep1", "first", 2);
    struct process *holder = fenceline_start(
        &(struct process_spec){.argv = (const char *const[]){"import", path, NULL},
                               .env = (const char *const[]){"FENCELINE_FAIL_POINT=after-claim:stop",
                                                            "FENCELINE_LEASE_TTL_MS=60000", NULL}});
    fenceline_await_stop(holder);
    struct process *worker = fleet_start_worker_with(
        (const char *const[]){"FENCELINE_LEASE_LOOK_MS=60000", NULL}); /* nobody looks */
    int64_t job = fleet_enqueue("ep1", "chapters", "ep1.chapters.json", "create");
    fleet_await(1, "SELECT attempts FROM fenceline.jobs WHERE kind = 'chapters'");
    for (int i = 0; rdb_int(fenceline.redis, "EXISTS fenceline:{ep1}:waiters") == 0 && i < 500; i++)
        process_sleep_ms(10);
    process_signal(holder, SIGCONT);
    fenceline_finish(holder, 0);
    fleet_await_outcome(job, "imported");
    int64_t waited_ms =
        ask(job, "SELECT (extract(epoch FROM j.finished_at - t.finished_at) * 1000)::bigint"
                 " FROM fenceline.jobs j, fenceline.jobs t WHERE j.job_id = $1 AND t.kind = 'transcript'");
    assert_true(waited_ms < 20000); /* far less than it would take to look again */
    free(path);
    fleet_stop_worker(worker);
}

/* Nobody releases it, nobody wakes: it ends, and the job runs soon after. */
static void test_lease_that_runs_out(void **state)
{
    (void)state;
    enum { LEASE_MS = 2000, SOON_MS = 3000 };
    struct process *worker = fleet_start_worker_with((const char *const[]){"FENCELINE_WORKER_SLOTS=1", NULL});
    fenceline_set_lease("busy", "somebody@elsewhere:1", LEASE_MS);
    int64_t began_ms = process_now_ms();
    int64_t job = fleet_enqueue_chapters("busy", "patient", 2, "create");
    fleet_await_outcome(job, "imported");
    assert_in_range(process_now_ms() - began_ms, LEASE_MS - 100, LEASE_MS + SOON_MS);
    assert_int_equal(ask(job, "SELECT attempts FROM fenceline.jobs WHERE job_id = $1"), 1);
    assert_int_equal(fenceline_count("job_attempts"), 0);
    fleet_stop_worker(worker);
    fleet_assert_clean();
}

/* What was asked for twice before it was done is written once. */
static void test_same_content_twice(void **state)
{
    (void)state;
    write_source("ep1", "same", 5);
    int64_t first = fleet_enqueue("ep1", "chapters", "ep1.chapters.json", "replace");
    int64_t second = fleet_enqueue("ep1", "chapters", "ep1.chapters.json", "replace");
    struct process *worker = fleet_start_worker();
    fleet_await_outcome(first, "imported");
    fleet_await_outcome(second, "unchanged");
    assert_int_equal(db_int(fenceline.db, "SELECT job_id FROM fenceline.documents"), first);
    fenceline_assert_chapters("ep1", "same", 5);
    fleet_stop_worker(worker);
    fleet_assert_clean();
}

/* A cancellation that comes while the commit is under way is too late, and says so. */
static void test_cancel_after_the_commit_was_sent(void **state)
{
    (void)state;
    struct process *worker = fleet_start_worker();
    PGconn *holder = db_open(fenceline.dsn);
    db_exec(holder, "BEGIN");
    db_exec(holder, "LOCK TABLE fenceline.chapters IN SHARE MODE");
    int64_t job = fleet_enqueue_chapters("ep1", "quick", 3, "create");
    fleet_await(
        1, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
           " AND wait_event_type = 'Lock' AND query LIKE '%commit_chapters%' AND pid <> pg_backend_pid()");
    struct process *cancel = fenceline_launch("jobs", "cancel", "1");
    process_ended(cancel, 300); /* it waits for the commit */
    db_exec(holder, "COMMIT");
    db_close(holder);
    fenceline_finish(cancel, 3);
    fenceline_assert_err(cancel, "decided already: imported");
    fleet_await_outcome(job, "imported");
    fenceline_assert_chapters("ep1", "quick", 3);
    fleet_stop_worker(worker);
    fleet_assert_clean();
}

/* ---- the service ---- */

/* A worker does not look at what comes of it; here each error fails the test. */
static void test_warm_up_leaves_nothing(void **state)
{
    (void)state;
    int64_t first = fleet_enqueue_chapters("ep1", "one", 2, "create");
    db_exec(fenceline.db, "SELECT fenceline.warm_up()");
    db_exec(fenceline.db, "SELECT fenceline.warm_up()");
    assert_int_equal(fenceline_count("episodes"), 1);
    assert_int_equal(fenceline_count("jobs"), 1);
    assert_int_equal(fenceline_count("documents"), 0);
    assert_int_equal(fenceline_count("chapters"), 0);
    assert_int_equal(fenceline_count("transcript_segments"), 0);
    assert_int_equal(fleet_enqueue_chapters("ep2", "two", 2, "create"), first + 1);
    assert_int_equal(db_int(fenceline.db, "SELECT count(dispatched_at) FROM fenceline.jobs"), 0);
}

/* Times as they are by default: nothing but being told starts a job early. */
static const char *const DEFAULT_TIMES[] = {"FENCELINE_WORKER_HEARTBEAT_MS=1000",
                                            "FENCELINE_WORKER_DEAD_MS=5000", "FENCELINE_WORKER_SWEEP_MS=5000",
                                            NULL};

static void test_work_starts_at_once(void **state)
{
    (void)state;
    enum { JOBS = 21, SOON_MS = 150 };
    struct process *workers[] = {fleet_start_worker_with(DEFAULT_TIMES),
                                 fleet_start_worker_with(DEFAULT_TIMES)};
    for (int i = 0; i < JOBS; i++) {
        char episode[NAME_BYTES];
        snprintf(episode, sizeof episode, "ep%d", i);
        fleet_await_outcome(fleet_enqueue_chapters(episode, "quick", 2, "create"), "imported");
        process_sleep_ms(i * 7 % 50);
    }
    int64_t median_ms =
        db_int(fenceline.db, "SELECT (1000 * percentile_disc(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM"
                             " started_at - created_at)))::bigint FROM fenceline.jobs");
    print_message("begun %" PRId64 " ms after the enqueue (median)\n", median_ms);
    assert_true(median_ms < SOON_MS);
    for (size_t i = 0; i < 2; i++)
        fleet_stop_worker(workers[i]);
}

/* Processor time that a process has used, in ms. */
static int64_t used_ms(const struct process *process)
{
    char path[NAME_BYTES], line[512];
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)process->pid);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t got = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[got] = '\0';
    const char *rest = strrchr(line, ')');
    assert_non_null(rest);
    assert_int_equal(sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system),
                     2);
    return (int64_t)(user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

static int64_t script_calls(void)
{
    char *info = rdb_text(fenceline.redis, "INFO commandstats");
    const char *at = strstr(info, "cmdstat_evalsha:calls=");
    int64_t calls = at ? strtoll(strchr(at, '=') + 1, NULL, 10) : 0;
    free(info);
    return calls;
}

/* Two workers without work: no question more often than once a second, to either server. */
static void test_idle_workers_ask_little(void **state)
{
    (void)state;
    enum { WATCH_MS = 4000, LOOKS = 200, WORKERS = 2, KINDS = 4 }; /* kinds of questions to Redis */
    fenceline_use_fast(true);
    struct process *workers[WORKERS];
    for (size_t i = 0; i < WORKERS; i++)
        workers[i] = fleet_start_worker_with(DEFAULT_TIMES);
    fleet_await_outcome(fleet_enqueue_chapters("ep1", "before", 2, "create"), "imported");
    process_sleep_ms(2000); /* it settles */
    int64_t began_ms = process_now_ms(), calls = script_calls();
    int64_t cpu_ms = used_ms(workers[0]) + used_ms(workers[1]);
    db_exec(fenceline.db, "CREATE TEMP TABLE seen (pid integer, query_start timestamptz)");
    for (int i = 0; i < LOOKS; i++) {
        db_exec(fenceline.db, "INSERT INTO seen SELECT pid, query_start FROM pg_stat_activity"
                              " WHERE datname = current_database() AND application_name LIKE 'fenceline%'");
        process_sleep_ms(WATCH_MS / LOOKS);
    }
    calls = script_calls() - calls;
    int64_t rounds = WORKERS * ((process_now_ms() - began_ms) / 1000 + 1);
    cpu_ms = used_ms(workers[0]) + used_ms(workers[1]) - cpu_ms;
    int64_t statements =
        db_int(fenceline.db, "SELECT count(DISTINCT (pid, query_start)) - count(DISTINCT pid)"
                             " FROM seen");
    print_message("in %d ms: %" PRId64 " scripts, %" PRId64 " statements, %" PRId64 " ms of processor time\n",
                  WATCH_MS, calls, statements, cpu_ms);
    assert_true(db_int(fenceline.db, "SELECT count(DISTINCT pid) FROM seen") >= WORKERS);
    assert_in_range(calls, WORKERS, KINDS * rounds);
    assert_true(statements <= rounds);
    assert_true(cpu_ms <= WATCH_MS * WORKERS / 50);
    for (size_t i = 0; i < WORKERS; i++)
        fleet_stop_worker(workers[i]);
}

static void test_registry(void **state)
{
    (void)state;
    struct process *worker = fleet_start_worker_with((const char *const[]){"FENCELINE_WORKER_SLOTS=7", NULL});
    fenceline_set_lease("busy", "somebody@elsewhere:1", 60000);
    fleet_enqueue_chapters("busy", "patient", 2, "create");
    fleet_await(1, "SELECT attempts FROM fenceline.jobs");
    process_sleep_ms(500); /* two heartbeats */
    struct process *list = fenceline_run(0, "worker", "list", "--json");
    fenceline_assert_out(list, "\"slots\":7");
    fenceline_assert_out(list, "\"parked\":1");
    fenceline_assert_out(list, "\"state\":\"running\"");
    fenceline_assert_out(list, "\"jobs\":[1]");
    fenceline_drop_lease("busy");
    fleet_await_all_decided();
    fleet_stop_worker(worker);
    fenceline_assert_err(fenceline_run(0, "worker", "list"), "no workers");
}

static void test_wrong_usage(void **state)
{
    (void)state;
    fenceline_assert_err(fenceline_run(2, "worker", "now"), "too much");
    fenceline_assert_err(fenceline_run(2, "worker", "--slots", "0"), "worker.slots");
    fenceline_assert_err(
        fenceline_run_spec(2, .argv = (const char *const[]){"worker", NULL},
                           .env = (const char *const[]){"FENCELINE_WORKER_DEAD_MS=500", NULL}),
        "heartbeat");
}

/* A schema that is not there, or of a later version, is no reason to wait. */
static void test_schema_that_does_not_fit(void **state)
{
    (void)state;
    db_exec(fenceline.db, "INSERT INTO fenceline.schema_versions (version, name) VALUES (999, 'future')");
    struct process *worker = fleet_launch_worker(NULL);
    fenceline_finish(worker, 2);
    fenceline_assert_err(worker, "999");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FENCELINE_TEST(test_idle_worker_comes_and_goes),
        FENCELINE_TEST(test_sources_and_bodies),
        FENCELINE_TEST(test_jobs_wait_for_a_worker),
        FENCELINE_TEST(test_enqueue_is_the_callers_transaction),
        FENCELINE_TEST(test_refusals),
        FENCELINE_TEST(test_bad_input_is_final),
        FENCELINE_TEST(test_sources_outside_of_the_root),
        FENCELINE_TEST(test_source_that_comes_late),
        FENCELINE_TEST(test_source_that_never_comes),
        FENCELINE_TEST(test_waiting_for_a_retry_blocks_nobody),
        FENCELINE_TEST(test_jobs_of_one_document_run_in_order),
        FENCELINE_TEST(test_priorities),
        FENCELINE_TEST(test_newer_job_of_a_higher_priority_overtakes),
        FENCELINE_TEST(test_scheduled_jobs),
        FENCELINE_TEST(test_busy_episode_needs_no_slot),
        FENCELINE_TEST(test_many_busy_episodes),
        FENCELINE_TEST(test_release_wakes_the_parked_job),
        FENCELINE_TEST(test_lease_that_runs_out),
        FENCELINE_TEST(test_same_content_twice),
        FENCELINE_TEST(test_cancel_after_the_commit_was_sent),
        FENCELINE_TEST(test_warm_up_leaves_nothing),
        FENCELINE_TEST(test_work_starts_at_once),
        FENCELINE_TEST(test_idle_workers_ask_little),
        FENCELINE_TEST(test_registry),
        FENCELINE_TEST(test_wrong_usage),
        FENCELINE_TEST(test_schema_that_does_not_fit),
    };
    return cmocka_run_group_tests(tests, fenceline_start_group, fenceline_stop_group);
}
