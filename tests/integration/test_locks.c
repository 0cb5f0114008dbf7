/*
 * `fenceline locks list` and `locks show` against the truth: every verdict is made to happen on real servers,
 * every member of a row is compared with what Redis, Postgres and the system say.
 *
 * A worker whose threads are held (lockview_hang_pool) hangs in fetch or parse while its heartbeats go on;
 * one whose commit meets a table lock of the test's hangs in commit. Breaking is tested in test_break.c,
 * watching in test_watch.c.
 */
#include "../lib/fleet.h"
#include "../lib/lockview.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { ROWS = 12, ID_BYTES = 24 };

/* What the list goes by: the workers' own limits, but for a dead_ms that a busy machine keeps to. */
#define LIST_ENV                                                                                             \
    "FENCELINE_WORKER_HEARTBEAT_MS=200", "FENCELINE_WORKER_DEAD_MS=2000", "FENCELINE_LEASE_WAIT_MS=30000"

static const char *const PATIENT[] = {LIST_ENV, "FENCELINE_LEASE_TTL_MS=6000",
                                      "FENCELINE_LEASE_STALL_MS=60000", "FENCELINE_POSTGRES_TIMEOUT_MS=60000",
                                      NULL};
static const char *const SOON_STALLED[] = {LIST_ENV, "FENCELINE_LEASE_TTL_MS=1500",
                                           "FENCELINE_LEASE_STALL_MS=3000",
                                           "FENCELINE_POSTGRES_TIMEOUT_MS=60000", NULL};
static const char *const SHORT_LEASE[] = {LIST_ENV, "FENCELINE_LEASE_TTL_MS=1000",
                                          "FENCELINE_LEASE_STALL_MS=60000", NULL};

/* ---- making imports hang ---- */

/* A transaction of the test's that holds a table: every commit of chapters waits for it. */
static PGconn *block_commits(void)
{
    PGconn *blocker = db_open(fenceline.dsn);
    db_exec(blocker, "BEGIN");
    db_exec(blocker, "LOCK TABLE fenceline.chapters IN ACCESS EXCLUSIVE MODE");
    return blocker;
}

static void unblock_commits(PGconn *blocker)
{
    db_exec(blocker, "COMMIT");
    db_close(blocker);
}

/* A worker that has run a job, so that its threads are there, and these are held now. */
static struct process *start_hung_worker(const char *const *env)
{
    fenceline_use_fast(true);
    struct process *worker = fleet_start_worker_with(env);
    fleet_await_outcome(fleet_enqueue_chapters("warm-up", "warm", 2, "replace"), "imported");
    if (!lockview_hang_pool(worker)) {
        print_message("skipped: this system does not let a test hold threads (ptrace)\n");
        skip();
    }
    return worker;
}

static void end_worker(struct process *worker)
{
    lockview_release_pool();
    fleet_stop_worker(worker);
}

static int stop_test(void **state)
{
    lockview_release_pool(); /* a process whose threads are held does not end */
    return fenceline_stop_test(state);
}

/* ---- the truth ---- */

static char *lease_value(const char *episode)
{
    char *key = fenceline_lease_key(episode);
    char *value = rdb_text(fenceline.redis, "GET %s", key);
    free(key);
    return value;
}

static int64_t lease_token(const char *episode)
{
    char *value = lease_value(episode);
    assert_non_null(value);
    int64_t token = strtoll(value + 33, NULL, 10);
    free(value);
    return token;
}

static int64_t lease_left_ms(const char *episode)
{
    char *key = fenceline_lease_key(episode);
    int64_t left_ms = rdb_int(fenceline.redis, "PTTL %s", key);
    free(key);
    return left_ms;
}

static int64_t of_episode(const char *column, const char *episode)
{
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT %s FROM fenceline.episodes WHERE episode_id = $1", column);
    return db_int(fenceline.db, sql, episode);
}

static int64_t last_job(const char *episode)
{
    return db_int(fenceline.db, "SELECT max(job_id) FROM fenceline.jobs WHERE episode_id = $1", episode);
}

static void assert_claim_is_told(const char *row, const char *episode)
{
    char *holder =
        db_text(fenceline.db, "SELECT holder FROM fenceline.episodes WHERE episode_id = $1", episode);
    lockview_assert_text(row, "holder", holder);
    assert_int_equal(lockview_int(row, "fence"), of_episode("fence", episode));
    assert_int_equal(lockview_int(row, "token"), of_episode("fence", episode));
    assert_int_equal(lockview_int(row, "version"), of_episode("version", episode));
    assert_int_equal(lockview_int(row, "job_id"), of_episode("job_id", episode));
    lockview_assert_text(row, "claimed", "true");
    free(holder);
}

static void assert_process_is_told(const char *row, const struct process *process)
{
    char host[128] = "";
    gethostname(host, sizeof host - 1);
    assert_int_equal(lockview_int(row, "pid"), process->pid);
    lockview_assert_text(row, "host", host);
    char *id = lockview_text(row, "worker");
    assert_non_null(id);
    assert_non_null(strstr(process->err.bytes, id)); /* its own "worker <id> ready" */
    assert_true(rdb_int(fenceline.redis, "ZSCORE fenceline:{queue}:workers %s", id) > 0);
    free(id);
}

/* ---- healthy, and every member ---- */

static void assert_session_is_told(const char *row, PGconn *blocker)
{
    int64_t session = db_int(fenceline.db, "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                                           "   AND application_name LIKE 'fenceline worker@%'"
                                           "   AND datname = current_database()");
    char blocker_pid[ID_BYTES];
    snprintf(blocker_pid, sizeof blocker_pid, "%d", PQbackendPID(blocker));
    assert_int_equal(lockview_int(row, "session"), session);
    lockview_assert_text(row, "session_state", "active");
    lockview_assert_text(row, "session_wait", "Lock/relation");
    lockview_assert_text(row, "session_blockers", blocker_pid);
}

static void assert_waiters_are_told(const char *row, int64_t first, int64_t second)
{
    char expected[128];
    char *waiters = lockview_text(row, "waiters");
    char *jobs = db_text(fenceline.db,
                         "SELECT string_agg(w ->> 'job_id', ' ' ORDER BY n)"
                         "  FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS e (w, n)",
                         waiters);
    snprintf(expected, sizeof expected, "%" PRId64 " %" PRId64, first, second);
    assert_string_equal(jobs, expected);
    /* Their ages and names as Postgres has them, not older than now. */
    assert_int_equal(db_int(fenceline.db,
                            "SELECT count(*) FROM jsonb_array_elements($1::jsonb) w JOIN fenceline.jobs j"
                            "    ON j.job_id = (w ->> 'job_id')::bigint AND j.worker = w ->> 'holder'"
                            " WHERE (w ->> 'age_ms')::bigint BETWEEN 1 AND"
                            "       extract(epoch FROM clock_timestamp() - j.created_at) * 1000",
                            waiters),
                     2);
    free(jobs);
    free(waiters);
}

static struct process *start_waiter(const char *tag)
{
    char *path = fenceline_write_chapters("ep1", tag, ROWS);
    struct process *waiter = fenceline_launch("import", "--mode", "replace", path);
    free(path);
    return waiter;
}

static void test_every_member(void **state)
{
    (void)state;
    fenceline.env = PATIENT;
    fenceline_use_fast(true);
    struct process *worker = fleet_start_worker();
    PGconn *blocker = block_commits();
    int64_t began_ms = process_now_ms();
    int64_t job = fleet_enqueue_chapters("ep1", "first", ROWS, "create");
    free(lockview_await_text("ep1", "phase", "commit"));
    struct process *second = start_waiter("second");
    free(lockview_await_text("ep1", "waiting", "1"));
    int64_t second_job = last_job("ep1");
    struct process *third = start_waiter("third");
    free(lockview_await_text("ep1", "waiting", "2"));
    free(lockview_await_text("ep1", "renewals", "1")); /* after a third of six seconds */
    struct process *list = lockview_list(0, NULL);
    assert_int_equal(files_count_lines(list->out.bytes), 1);
    char *row = lockview_find(list->out.bytes, "ep1");
    int64_t left_ms = lease_left_ms("ep1");
    assert_non_null(row);

    lockview_assert_text(row, "verdict", "healthy");
    lockview_assert_text(row, "kind", "chapters");
    lockview_assert_text(row, "phase", "commit");
    assert_int_equal(lockview_int(row, "job_id"), job);
    assert_int_equal(lockview_int(row, "token"), lease_token("ep1"));
    assert_int_equal(lockview_int(row, "version"), 0);
    assert_int_equal(lockview_int(row, "waiting"), 2);
    assert_claim_is_told(row, "ep1");
    assert_process_is_told(row, worker);
    assert_session_is_told(row, blocker);
    assert_waiters_are_told(row, second_job, last_job("ep1"));
    lockview_assert_between(row, "left_ms", left_ms, 6000);
    lockview_assert_between(row, "held_ms", 1500, process_now_ms() - began_ms);
    lockview_assert_between(row, "idle_ms", 1000, process_now_ms() - began_ms);
    lockview_assert_between(row, "heartbeat_age_ms", 0, 1500);
    free(row);

    unblock_commits(blocker);
    fleet_await_outcome(job, "imported");
    fenceline_finish(second, 0);
    fenceline_finish(third, 0);
    list = lockview_list(0, NULL);
    assert_int_equal(list->out.size_bytes, 0);
    fleet_stop_worker(worker);
    fleet_assert_clean();
}

/* ---- phases, and stalled in each ---- */

/* Some CPU time of its threads: a large file takes half a second to parse. */
static int64_t pool_ticks(const struct process *process)
{
    char command[128], text[32] = "";
    snprintf(command, sizeof command,
             "cat /proc/%d/task/*/stat | awk '$1 != %d {t += $14} END {print t + 0}'", (int)process->pid,
             (int)process->pid);
    FILE *stream = popen(command, "re");
    assert_non_null(stream);
    assert_non_null(fgets(text, sizeof text, stream));
    pclose(stream);
    return strtoll(text, NULL, 10);
}

static void write_large_transcript(const char *name)
{
    char *path = files_join(fenceline.folder, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    for (int i = 0; i < 190000; i++) /* near the limit of rows, and of bytes */
        fprintf(file, "%d\n%02d:%02d:%02d,000 --> %02d:%02d:%02d,900\n%0250d\n\n", i + 1, i / 3600,
                i / 60 % 60, i % 60, i / 3600, i / 60 % 60, i % 60, i);
    assert_int_equal(fclose(file), 0);
    free(path);
}

static void test_phases(void **state)
{
    (void)state;
    fenceline.env = PATIENT;
    struct process *worker = start_hung_worker(NULL);
    int64_t fetching = fleet_enqueue_chapters("ep-fetch", "fetch", ROWS, "create");
    char *row = lockview_await_text("ep-fetch", "phase", "fetch");
    lockview_assert_text(row, "verdict", "healthy");
    lockview_assert_text(row, "session", NULL); /* no transaction is open while it loads */
    assert_claim_is_told(row, "ep-fetch");
    free(row);
    lockview_release_pool();
    fleet_await_outcome(fetching, "imported");

    write_large_transcript("ep-parse.srt");
    int64_t before = pool_ticks(worker);
    int64_t parsing = fleet_enqueue("ep-parse", "transcript", "ep-parse.srt", "create");
    while (pool_ticks(worker) < before + 8)
        process_sleep_ms(1);
    assert_true(lockview_hang_pool(worker));
    row = lockview_await_text("ep-parse", "phase", "parse");
    lockview_assert_text(row, "kind", "transcript");
    assert_int_equal(lockview_int(row, "job_id"), parsing);
    assert_claim_is_told(row, "ep-parse");
    free(row);
    char id[ID_BYTES];
    snprintf(id, sizeof id, "%" PRId64, parsing);
    fenceline_run(0, "jobs", "cancel", "--yes", id); /* its rows would take long */
    end_worker(worker);
    fleet_await_outcome(parsing, "cancelled");
}

static void assert_person_is_told(const char *episode, const char *const *words)
{
    struct process *list = fenceline_run(3, "locks", "list");
    struct process *show = fenceline_run(3, "locks", "show", episode);
    fenceline_assert_out(list, episode);
    for (; *words; words++) {
        fenceline_assert_out(list, *words);
        fenceline_assert_out(show, *words);
    }
}

/* Its session, what that waits for, and who is in the way: what an operator needs at night. */
static void test_stalled_commit(void **state)
{
    (void)state;
    fenceline.env = SOON_STALLED;
    fenceline_use_fast(true);
    struct process *worker = fleet_start_worker();
    PGconn *blocker = block_commits();
    char blockers[64], session[64];
    int64_t job = fleet_enqueue_chapters("ep1", "one", ROWS, "create");
    char *row = lockview_await("ep1", "stalled");
    lockview_assert_text(row, "phase", "commit");
    lockview_assert_between(row, "idle_ms", 1500, 4000);
    assert_session_is_told(row, blocker);
    snprintf(session, sizeof session, "session %" PRId64, lockview_int(row, "session"));
    free(row);
    snprintf(blockers, sizeof blockers, "%d", PQbackendPID(blocker));
    assert_person_is_told("ep1", (const char *const[]){"stalled", session, "Lock/relation", blockers, NULL});

    /* Without progress it is not renewed any more: the lease runs out, and what it waits for is still told.
     */
    row = lockview_await("ep1", "fence-ahead");
    lockview_assert_text(row, "left_ms", NULL);
    lockview_assert_text(row, "phase", "commit");
    assert_session_is_told(row, blocker);
    free(row);
    assert_person_is_told("ep1",
                          (const char *const[]){"fence-ahead", session, "Lock/relation", blockers, NULL});

    unblock_commits(blocker);
    fleet_await_outcome(job, "imported");
    lockview_await_none("ep1");
    fleet_stop_worker(worker);
    fenceline_assert_chapters("ep1", "one", ROWS);
}

static void test_stalled_fetch(void **state)
{
    (void)state;
    fenceline.env = SOON_STALLED;
    struct process *worker = start_hung_worker(NULL);
    int64_t job = fleet_enqueue_chapters("ep1", "one", ROWS, "create");
    char *row = lockview_await("ep1", "stalled");
    lockview_assert_text(row, "phase", "fetch");
    lockview_assert_between(row, "heartbeat_age_ms", 0, 1500); /* the process itself is well */
    free(row);
    end_worker(worker);
    fleet_await_outcome(job, "imported");
}

/* ---- orphan, fence-ahead ---- */

static void test_orphan_then_fence_ahead(void **state)
{
    (void)state;
    fenceline.env = PATIENT;
    struct process *worker = start_hung_worker(NULL);
    int64_t job = fleet_enqueue_chapters("ep1", "one", ROWS, "create");
    free(lockview_await("ep1", "healthy"));
    process_signal(worker, SIGKILL);
    lockview_release_pool();
    process_wait(worker, FLEET_WAIT_MS);
    char *row = lockview_await("ep1", "orphan");
    lockview_assert_between(row, "heartbeat_age_ms", 2001, 6500);
    lockview_assert_between(row, "left_ms", 1, 4500);
    assert_int_equal(lockview_int(row, "job_id"), job);
    assert_claim_is_told(row, "ep1");
    free(row);
    assert_person_is_told("ep1", (const char *const[]){"orphan", "no heartbeat for", NULL});
    row = lockview_await("ep1", "fence-ahead"); /* the lease has expired */
    lockview_assert_text(row, "left_ms", NULL);
    assert_claim_is_told(row, "ep1");
    free(row);
    struct process *next = fleet_start_worker();
    fleet_await_outcome(job, "imported");
    lockview_await_none("ep1");
    fleet_stop_worker(next);
    fenceline_assert_chapters("ep1", "one", ROWS);
    fleet_assert_clean();
}

/* An import that never came to its first heartbeat: nothing is known of it, so it gets as long as any other.
 */
static void test_never_heard(void **state)
{
    (void)state;
    fenceline.env = PATIENT;
    fenceline_use_fast(true);
    char *path = fenceline_write_chapters("ep1", "one", ROWS);
    struct process *killed = fenceline_start(
        &(struct process_spec){.argv = (const char *const[]){"import", path, NULL},
                               .env = (const char *const[]){"FENCELINE_FAIL_POINT=after-claim:kill",
                                                            "FENCELINE_WORKER_HEARTBEAT_MS=10000",
                                                            "FENCELINE_WORKER_DEAD_MS=30000", NULL}});
    process_wait(killed, FLEET_WAIT_MS);
    assert_int_equal(killed->signal, SIGKILL);
    char *row = lockview_row("ep1");
    lockview_assert_text(row, "verdict", "healthy");
    lockview_assert_text(row, "heartbeat_age_ms", NULL);
    lockview_assert_text(row, "worker", NULL);
    lockview_assert_text(row, "phase", NULL);
    assert_int_equal(lockview_int(row, "pid"), killed->pid);
    assert_claim_is_told(row, "ep1");
    free(row);
    row = lockview_await("ep1", "orphan");
    lockview_assert_between(row, "held_ms", 2001, 6500);
    free(row);
    row = lockview_await("ep1", "fence-ahead");
    assert_claim_is_told(row, "ep1");
    free(row);
    fenceline_finish(fenceline_launch("import", "--mode", "replace", path), 0);
    lockview_await_none("ep1");
    free(path);
}

/* Somebody has deleted its lease: it works on, and may commit. */
static void test_lease_deleted(void **state)
{
    (void)state;
    fenceline.env = PATIENT;
    struct process *worker = start_hung_worker(NULL);
    int64_t job = fleet_enqueue_chapters("ep1", "one", ROWS, "create");
    free(lockview_await_text("ep1", "phase", "fetch"));
    fenceline_drop_lease("ep1");
    char *row = lockview_await("ep1", "fence-ahead");
    assert_claim_is_told(row, "ep1");
    assert_process_is_told(row, worker);
    free(row);
    assert_person_is_told("ep1", (const char *const[]){"fence-ahead", "without a lease", NULL});
    lockview_release_pool();
    fleet_await_outcome(job, "imported");
    lockview_await_none("ep1");
    end_worker(worker);
}

/* A job that failed, and waits for its next attempt, is in nobody's hands, though its last claim was never
 * answered; nor is one that waits in the stream again. */
static void test_waiting_for_its_next_attempt(void **state)
{
    (void)state;
    fenceline.env = PATIENT;
    fenceline_use_fast(true);
    const char *const env[] = {"FENCELINE_JOB_RETRY_BASE_MS=60000", "FENCELINE_JOB_RETRY_MAX_MS=60000", NULL};
    const char *const *usual = fenceline.env;
    const char *both[16];
    size_t count = 0;
    for (size_t i = 0; env[i]; i++)
        both[count++] = env[i];
    for (size_t i = 0; usual[i]; i++)
        both[count++] = usual[i];
    both[count] = NULL;
    fenceline.env = both;
    struct process *worker = fleet_start_worker();
    int64_t job = fleet_enqueue("ep1", "chapters", "missing.chapters.json", "create");
    char id[ID_BYTES];
    snprintf(id, sizeof id, "%" PRId64, job);
    fleet_await(1,
                "SELECT count(*) FROM fenceline.jobs WHERE last_error IS NOT NULL AND dispatched_at IS NULL");
    assert_true(of_episode("job_id", "ep1") == job);
    lockview_await_none("ep1");
    struct process *show = fenceline_run(0, "locks", "show", "ep1");
    fenceline_assert_out(show, "nobody holds it");
    fleet_stop_worker(worker);
    /* Handed out again, and not begun yet. */
    db_exec(
        fenceline.db,
        "UPDATE fenceline.jobs SET dispatched_at = clock_timestamp(), not_before = NULL WHERE job_id = $1",
        id);
    lockview_await_none("ep1");
    fenceline_run(0, "locks", "list");
    fenceline_run(0, "locks", "show", "ep1");
}

/* ---- zombie ---- */

static void test_zombie_overtaken_by_another_job(void **state)
{
    (void)state;
    fenceline.env = SHORT_LEASE;
    struct process *worker = start_hung_worker(NULL);
    int64_t job = fleet_enqueue_chapters("ep1", "slow", ROWS, "create");
    char *row = lockview_await_text("ep1", "phase", "fetch");
    int64_t token = lockview_int(row, "token");
    free(row);
    process_signal(worker, SIGSTOP);
    char *path = fenceline_write_chapters("ep1", "fast", ROWS);
    fenceline_run(0, "import", "--mode", "replace", path);
    row = lockview_await("ep1", "zombie");
    assert_int_equal(lockview_int(row, "token"), token);
    assert_int_equal(lockview_int(row, "job_id"), job);
    assert_int_equal(lockview_int(row, "fence"), of_episode("fence", "ep1"));
    assert_true(of_episode("fence", "ep1") > token);
    lockview_assert_text(row, "claimed", "false");
    assert_process_is_told(row, worker);
    free(row);
    assert_person_is_told("ep1", (const char *const[]){"zombie", "superseded", NULL});
    process_signal(worker, SIGCONT);
    lockview_release_pool();
    fleet_await_outcome(job, "rejected");
    lockview_await_none("ep1");
    fenceline_assert_chapters("ep1", "fast", ROWS);
    end_worker(worker);
    free(path);
}

/* The usual way: another worker takes the same job over, and it is decided. */
static void test_zombie_overtaken_for_its_own_job(void **state)
{
    (void)state;
    fenceline.env = SHORT_LEASE;
    struct process *worker = start_hung_worker(NULL);
    int64_t job = fleet_enqueue_chapters("ep1", "one", ROWS, "create");
    free(lockview_await_text("ep1", "phase", "fetch"));
    process_signal(worker, SIGSTOP);
    struct process *next = fleet_start_worker();
    fleet_await_outcome(job, "imported");
    char *row = lockview_await("ep1", "zombie");
    assert_int_equal(lockview_int(row, "pid"), worker->pid);
    assert_int_equal(lockview_int(row, "job_id"), job);
    free(row);
    process_signal(worker, SIGCONT);
    lockview_release_pool();
    lockview_await_none("ep1");
    end_worker(worker);
    fleet_stop_worker(next);
    fenceline_assert_chapters("ep1", "one", ROWS);
    fleet_assert_clean();
}

/* ---- redis-lost ---- */

/* An import, and not a worker: those begin a job again as soon as they notice. */
static void test_redis_flushed(void **state)
{
    (void)state;
    fenceline.env = PATIENT;
    fenceline_use_fast(true);
    PGconn *blocker = block_commits();
    char *path = fenceline_write_chapters("ep1", "one", ROWS);
    struct process *import = fenceline_launch("import", path);
    free(lockview_await_text("ep1", "phase", "commit"));
    rdb_exec(fenceline.redis, "FLUSHALL");
    char *row = lockview_await("ep1", "redis-lost");
    assert_claim_is_told(row, "ep1");
    lockview_assert_text(row, "left_ms", NULL);
    free(row);
    assert_person_is_told("ep1", (const char *const[]){"redis-lost", "doctor", NULL});
    unblock_commits(blocker);
    fenceline_finish(import, 0);
    lockview_await_none("ep1");
    fenceline_assert_chapters("ep1", "one", ROWS);
    free(path);
}

static void test_redis_stopped(void **state)
{
    (void)state;
    fenceline.env = PATIENT;
    struct process *worker = start_hung_worker(NULL);
    int64_t job = fleet_enqueue_chapters("ep1", "one", ROWS, "create");
    free(lockview_await_text("ep1", "phase", "fetch"));
    services_redis_stop(&fenceline.services, SERVICES_IMMEDIATE);
    struct process *list = lockview_list(6, NULL);
    fenceline_assert_err(list, "Redis");
    char *row = lockview_find(list->out.bytes, "ep1");
    assert_non_null(row);
    lockview_assert_text(row, "verdict", "redis-lost");
    assert_claim_is_told(row, "ep1");
    lockview_assert_text(row, "heartbeat_age_ms", NULL);
    free(row);
    struct process *show = fenceline_run(6, "locks", "show", "ep1");
    fenceline_assert_out(show, "redis-lost");
    fenceline_assert_err(show, "Redis");
    services_redis_start(&fenceline.services);
    fenceline_reconnect();
    lockview_release_pool();
    fleet_await_outcome(job, "imported");
    lockview_await_none("ep1");
    end_worker(worker);
}

/* ---- expiring ---- */

/* Its renewals do not arrive: less than a third is left, and nobody needs to come. */
static void test_expiring(void **state)
{
    (void)state;
    fenceline.env = PATIENT;
    fenceline_use_fast(true);
    struct process *worker = start_hung_worker(NULL);
    int64_t job = fleet_enqueue_chapters("ep1", "one", ROWS, "create");
    free(lockview_await_text("ep1", "phase", "fetch"));
    char *key = fenceline_lease_key("ep1");
    rdb_exec(fenceline.redis, "PEXPIRE %s %s", key, "1900");
    struct process *list = lockview_list(0, NULL);
    char *row = lockview_find(list->out.bytes, "ep1");
    lockview_assert_text(row, "verdict", "expiring");
    lockview_assert_between(row, "left_ms", 1, 1900);
    free(row);
    free(key);
    end_worker(worker);
    fleet_await_outcome(job, "imported");
}

/* ---- filters ---- */

static void assert_listed(int exit_code, const char *const *arguments, size_t count)
{
    struct process *list = lockview_list(exit_code, arguments);
    if (files_count_lines(list->out.bytes) != count)
        LIB_FAIL("%zu rows expected with %s %s:\n%s", count, arguments[0], arguments[1], list->out.bytes);
}

static void test_filters(void **state)
{
    (void)state;
    char host[128] = "", old_holder[192];
    gethostname(host, sizeof host - 1);
    snprintf(old_holder, sizeof old_holder, "import@%s:1 (job 1)", host);
    fenceline.env = PATIENT;
    struct process *worker = start_hung_worker(NULL);
    fleet_enqueue_chapters("ep1", "one", ROWS, "create");
    fleet_enqueue_chapters("ep2", "two", ROWS, "create");
    free(lockview_await_text("ep1", "phase", "fetch"));
    char *row = lockview_await_text("ep2", "phase", "fetch");
    char *holder = lockview_text(row, "holder"), *id = lockview_text(row, "worker");
    fenceline_set_lease("ep3", "import@elsewhere:77 (job 5)", 1000); /* so it is taken for five seconds old */

    assert_listed(3, (const char *const[]){"--verdict", "orphan", NULL}, 1);
    assert_listed(0, (const char *const[]){"--verdict", "healthy", NULL}, 2);
    assert_listed(0, (const char *const[]){"--verdict", "zombie", NULL}, 0);
    assert_listed(0, (const char *const[]){"--episode", "ep2", NULL}, 1);
    assert_listed(0, (const char *const[]){"--episode", "ep", NULL}, 0);
    assert_listed(0, (const char *const[]){"--worker", holder, NULL}, 2);
    assert_listed(0, (const char *const[]){"--worker", id, NULL}, 2);
    assert_listed(0, (const char *const[]){"--worker", host, NULL}, 2);
    assert_listed(0, (const char *const[]){"--worker", "nowhere", NULL}, 0);
    assert_listed(0, (const char *const[]){"--worker", host, "--episode", "ep1", NULL}, 1);
    assert_listed(0, (const char *const[]){"--older-than", "1h", NULL}, 0);
    fenceline_set_lease("ep3", "import@elsewhere:77 (job 5)", 1000);
    assert_listed(3, (const char *const[]){"--older-than", "1s", "--worker", "elsewhere", NULL}, 1);
    struct process *none = fenceline_run(0, "locks", "list", "--verdict", "zombie");
    assert_int_equal(none->out.size_bytes, 0);
    fenceline_assert_err(none, "no such locks");
    fenceline_run(2, "locks", "list", "--verdict", "sick");
    free(row);
    free(holder);
    free(id);
    end_worker(worker);
}

/* ---- show ---- */

static void test_show(void **state)
{
    (void)state;
    fenceline.env = PATIENT;
    fenceline_use_fast(true);
    char *path = fenceline_write_chapters("ep1", "one", ROWS);
    fenceline_run(0, "import", path);
    struct process *idle = fenceline_run(0, "locks", "show", "ep1");
    fenceline_assert_out(idle, "ep1: nobody holds it (version 1, fence 1)");
    fenceline_assert_out(idle, "imported"); /* its history */
    struct process *unknown = fenceline_run(1, "locks", "show", "ep2");
    fenceline_assert_err(unknown, "ep2: no such episode");
    fenceline_run(2, "locks", "show");

    struct process *json = fenceline_run(0, "locks", "show", "ep1", "--json");
    assert_int_equal(files_count_lines(json->out.bytes), 1);
    lockview_assert_text(json->out.bytes, "episode", "ep1");
    lockview_assert_text(json->out.bytes, "holders", "[]");
    assert_int_equal(lockview_int(json->out.bytes, "version"), 1);
    assert_int_equal(lockview_int(json->out.bytes, "fence"), 1);
    assert_int_equal(
        db_int(fenceline.db, "SELECT jsonb_array_length($1::jsonb -> 'history')", json->out.bytes), 1);

    /* Ten events at most, the last ones. */
    for (int i = 0; i < 12; i++)
        db_exec(fenceline.db,
                "INSERT INTO fenceline.lock_breaks (episode_id, broken_by, reason, seen_fence, new_fence)"
                " VALUES ('ep1', 'me', $1::text, 1, 2)",
                i == 0 ? "the oldest" : "a later one");
    json = fenceline_run(0, "locks", "show", "ep1", "--json");
    assert_int_equal(
        db_int(fenceline.db, "SELECT jsonb_array_length($1::jsonb -> 'history')", json->out.bytes), 10);
    fenceline_assert_not_out(json, "the oldest");
    fenceline_assert_out(json, "a later one");
    free(path);
}

/* ---- a busy run is healthy ---- */

enum { BUSY_JOBS = 600, BUSY_EPISODES = 40, BUSY_ROWS = 800, LISTS_MIN = 15 };

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
    run_clean(0, (const char *const[]){"locks", "break", "hostile-00", "--yes", "--reason", "\x1b[2J", NULL});
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

#define LOCKS_TEST(function) cmocka_unit_test_setup_teardown(function, fenceline_start_test, stop_test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOCKS_TEST(test_every_member),
        LOCKS_TEST(test_phases),
        LOCKS_TEST(test_stalled_commit),
        LOCKS_TEST(test_stalled_fetch),
        LOCKS_TEST(test_orphan_then_fence_ahead),
        LOCKS_TEST(test_never_heard),
        LOCKS_TEST(test_lease_deleted),
        LOCKS_TEST(test_waiting_for_its_next_attempt),
        LOCKS_TEST(test_zombie_overtaken_by_another_job),
        LOCKS_TEST(test_zombie_overtaken_for_its_own_job),
        LOCKS_TEST(test_redis_flushed),
        LOCKS_TEST(test_redis_stopped),
        LOCKS_TEST(test_expiring),
        LOCKS_TEST(test_filters),
        LOCKS_TEST(test_show),
        LOCKS_TEST(test_nothing_flaps),
        LOCKS_TEST(test_many_leases),
        LOCKS_TEST(test_hostile_content),
        LOCKS_TEST(test_job_of_another_episode),
    };
    if (getenv("T"))
        cmocka_set_test_filter(getenv("T")); /*TMP*/
    return cmocka_run_group_tests_name("locks", tests, fenceline_start_group, fenceline_stop_group);
}
