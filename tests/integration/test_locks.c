/*
 * `fenceline locks list` and `locks show` against the truth: every verdict is made to happen on real servers,
 * every member of a row is compared with what Redis, Postgres and the system say.
 *
 * A worker whose threads are held (lockview_hang_pool) hangs in fetch or parse while its heartbeats go on;
 * one whose commit meets a table lock of the test's hangs in commit. Much and hostile content is in
 * test_locks_content.c, breaking in test_break.c, watching in test_watch.c.
 */
#include "../lib/fleet.h"
#include "../lib/lockview.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
                                           "   AND query LIKE '%commit_chapters%'"
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
    PGconn *blocker = lockview_block_commits();
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

    lockview_unblock_commits(blocker);
    fleet_await_outcome(job, "imported");
    process_wait(second,
                 FLEET_WAIT_MS); /* imported, or superseded by the younger one, whoever is woken first */
    process_wait(third, FLEET_WAIT_MS);
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
    PGconn *blocker = lockview_block_commits();
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

    lockview_unblock_commits(blocker);
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

/* What is read is never of one moment: a holder that was overtaken a moment ago could not say so yet. One
 * whose job was decided under the very token it names has only not been heard of since. */
static void test_overtaken_a_moment_ago(void **state)
{
    (void)state;
    fenceline.env =
        (const char *const[]){"FENCELINE_WORKER_HEARTBEAT_MS=20000", "FENCELINE_WORKER_DEAD_MS=60000", NULL};
    fenceline_use_fast(true);
    PGconn *session = db_open(fenceline.dsn);
    char info[256], id[ID_BYTES];
    db_exec(session, "SET application_name = 'fenceline worker@elsewhere:1'");
    int64_t job = fleet_enqueue_chapters("ep1", "one", ROWS, "create");
    snprintf(id, sizeof id, "%" PRId64, job);
    snprintf(
        info, sizeof info,
        "{\"holder\": \"worker@elsewhere:1\", \"imports\": [{\"job\": %s, \"token\": 1, \"held_ms\": 99000, "
        "\"idle_ms\": 99000, \"phase\": \"fetch\"}]}",
        id);
    rdb_exec(fenceline.redis, "HSET fenceline:{queue}:info w %s", info);
    rdb_exec(fenceline.redis, "EVAL %s 1 fenceline:{queue}:workers w",
             "redis.call('ZADD', KEYS[1], redis.call('TIME')[1] * 1000, ARGV[1])");
    db_exec(fenceline.db, "UPDATE fenceline.episodes SET fence = 2, holder = 'import@here:2', job_id = NULL,"
                          "       claimed_at = clock_timestamp() WHERE episode_id = 'ep1'");
    if (fenceline_count("episodes") == 0)
        db_exec(fenceline.db, "INSERT INTO fenceline.episodes (episode_id, fence, nonce, claimed_at)"
                              " VALUES ('ep1', 2, 'n', clock_timestamp())");
    fenceline_assert_not_out(lockview_list(0, NULL), "zombie");
    db_exec(fenceline.db,
            "UPDATE fenceline.episodes SET claimed_at = clock_timestamp() - interval '1 minute'");
    fenceline_assert_out(lockview_list(3, NULL), "zombie");
    db_exec(
        fenceline.db,
        "UPDATE fenceline.jobs SET outcome = 'imported', finished_at = now(), token = 3 WHERE job_id = $1",
        id);
    fenceline_assert_out(lockview_list(3, NULL), "zombie");
    db_exec(fenceline.db, "UPDATE fenceline.jobs SET token = 1 WHERE job_id = $1", id);
    fenceline_assert_not_out(lockview_list(0, NULL), "zombie");
    db_exec(fenceline.db, "UPDATE fenceline.jobs SET token = 3 WHERE job_id = $1", id);
    db_close(session); /* no session, no zombie */
    fleet_await(0, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '%elsewhere%'");
    fenceline_assert_not_out(lockview_list(0, NULL), "zombie");
}

/* ---- redis-lost ---- */

/* An import, and not a worker: those begin a job again as soon as they notice. */
static void test_redis_flushed(void **state)
{
    (void)state;
    fenceline.env = PATIENT;
    fenceline_use_fast(true);
    PGconn *blocker = lockview_block_commits();
    char *path = fenceline_write_chapters("ep1", "one", ROWS);
    struct process *import = fenceline_launch("import", path);
    free(lockview_await_text("ep1", "phase", "commit"));
    rdb_exec(fenceline.redis, "FLUSHALL");
    char *row = lockview_await("ep1", "redis-lost");
    assert_claim_is_told(row, "ep1");
    lockview_assert_text(row, "left_ms", NULL);
    free(row);
    assert_person_is_told("ep1", (const char *const[]){"redis-lost", "doctor", NULL});
    lockview_unblock_commits(blocker);
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
        LOCKS_TEST(test_overtaken_a_moment_ago),
        LOCKS_TEST(test_redis_flushed),
        LOCKS_TEST(test_redis_stopped),
        LOCKS_TEST(test_expiring),
        LOCKS_TEST(test_filters),
        LOCKS_TEST(test_show),
    };
    return cmocka_run_group_tests_name("locks", tests, fenceline_start_group, fenceline_stop_group);
}
