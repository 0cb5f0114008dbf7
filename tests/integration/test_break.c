/*
 * `fenceline locks break`: whoever was seen holding an episode can commit nothing any more, whatever it does
 * at that moment, and its job is done exactly once in the end. Nobody else is ever broken.
 *
 * Holders are imports stopped at fail points (app/drive.c), and workers that hang (lockview.h). Each is
 * broken, then let go on; jobs.token tells under which claim its job was decided.
 */
#include "../lib/fleet.h"
#include "../lib/lockview.h"
#include "../lib/proxy.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 12, ID_BYTES = 24, LONG_MS = 30000 };

/* With a hand's breadth between what expires and what does not; a waiter that is not woken looks once a
 * minute. */
static const char *const USUAL[] = {"FENCELINE_LEASE_TTL_MS=20000",
                                    "FENCELINE_LEASE_WAIT_MS=60000",
                                    "FENCELINE_LEASE_LOOK_MS=60000",
                                    "FENCELINE_POSTGRES_TIMEOUT_MS=60000",
                                    "FENCELINE_WORKER_HEARTBEAT_MS=200",
                                    "FENCELINE_WORKER_DEAD_MS=2000",
                                    NULL};
#define SHORT_LEASE "FENCELINE_LEASE_TTL_MS=600"

/* ---- the truth ---- */

static int64_t of_episode(const char *column)
{
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT %s FROM fenceline.episodes WHERE episode_id = 'ep1'", column);
    return db_int(fenceline.db, sql);
}

static int64_t breaks(void)
{
    return fenceline_count("lock_breaks");
}

static bool has_lease(void)
{
    char *key = fenceline_lease_key("ep1");
    bool is_there = rdb_int(fenceline.redis, "EXISTS %s", key) == 1;
    free(key);
    return is_there;
}

static void await_no_lease(void)
{
    int64_t end_ms = process_now_ms() + LONG_MS;
    while (has_lease() && process_now_ms() < end_ms)
        process_sleep_ms(20);
    assert_false(has_lease());
}

static int64_t of_job(const char *column, int64_t job_id)
{
    char sql[128], id[ID_BYTES];
    snprintf(sql, sizeof sql, "SELECT coalesce(%s, 0) FROM fenceline.jobs WHERE job_id = $1", column);
    snprintf(id, sizeof id, "%" PRId64, job_id);
    return db_int(fenceline.db, sql, id);
}

/* Done once, and not under the broken claim; the break is on record, and the fence is where it says. */
static void assert_done_once(int64_t job_id, int64_t broken_token, const char *tag)
{
    fleet_await_outcome(job_id, "imported");
    assert_true(of_job("token", job_id) > broken_token);
    assert_true(of_job("token", job_id) >
                db_int(fenceline.db, "SELECT max(new_fence) FROM fenceline.lock_breaks"));
    assert_int_equal(of_episode("version"), of_job("token", job_id));
    fenceline_assert_chapters("ep1", tag, ROWS);
    fenceline_assert_consistent();
}

/* ---- holders ---- */

/* An import of "slow" that stops itself at the label. */
static struct process *stop_import(const char *label, const char *lease)
{
    char point[96];
    snprintf(point, sizeof point, "FENCELINE_FAIL_POINT=%s:stop", label);
    char *path = fenceline_write_chapters("ep1", "slow", ROWS);
    struct process *import =
        fenceline_start(&(struct process_spec){.argv = (const char *const[]){"import", path, NULL},
                                               .env = (const char *const[]){point, lease, NULL}});
    fenceline_await_stop(import);
    free(path);
    return import;
}

static struct process *import_other(void)
{
    char *path = fenceline_write_chapters("ep1", "other", ROWS);
    struct process *other = fenceline_launch("import", "--mode", "replace", path);
    free(path);
    return other;
}

static int stop_test(void **state)
{
    lockview_release_pool();
    return fenceline_stop_test(state);
}

static int start_test(void **state)
{
    int status = fenceline_start_test(state);
    fenceline.env = USUAL;
    fenceline_use_fast(true);
    return status;
}

/* ---- alive ---- */

static void assert_audit(int64_t job_id, const char *nonce, int64_t fence)
{
    char *row = db_text(fenceline.db, "SELECT row_to_json(b)::text FROM fenceline.lock_breaks b");
    char *holder =
        db_text(fenceline.db, "SELECT worker FROM fenceline.jobs ORDER BY job_id LIMIT 1 OFFSET 1");
    lockview_assert_text(row, "episode_id", "ep1");
    lockview_assert_text(row, "reason", "it hangs");
    lockview_assert_text(row, "seen_nonce", nonce);
    lockview_assert_text(row, "seen_holder", holder);
    assert_int_equal(lockview_int(row, "seen_fence"), fence);
    assert_int_equal(lockview_int(row, "new_fence"), fence + 1);
    assert_int_equal(lockview_int(row, "job_id"), job_id);
    lockview_assert_text(row, "cancelled", "false");
    char *who = lockview_text(row, "broken_by");
    assert_non_null(strchr(who, '@'));
    struct process *history = fenceline_run(0, "history", "ep1");
    fenceline_assert_out(history, "lock broken");
    fenceline_assert_out(history, "it hangs");
    fenceline_assert_out(history, who);
    free(who);
    free(holder);
    free(row);
}

static struct process *start_hung_worker(void)
{
    struct process *worker = fleet_start_worker();
    fleet_await_outcome(fleet_enqueue_chapters("warm-up", "warm", 2, "replace"), "imported");
    if (!lockview_hang_pool(worker)) {
        print_message("skipped: this system does not let a test hold threads (ptrace)\n");
        skip();
    }
    return worker;
}

/* What is on record, what is said, and who waits is woken at once. */
static void test_alive(void **state)
{
    (void)state;
    struct process *worker = start_hung_worker();
    int64_t job = fleet_enqueue_chapters("ep1", "slow", ROWS, "replace");
    free(lockview_await_text("ep1", "phase", "fetch"));
    int64_t fence = of_episode("fence");
    char *nonce = db_text(fenceline.db, "SELECT nonce FROM fenceline.episodes WHERE episode_id = 'ep1'");
    struct process *waiter = import_other();
    free(lockview_await_text("ep1", "waiting", "1"));

    struct process *broken = fenceline_run(0, "locks", "break", "ep1", "--yes", "--reason", "it hangs");
    fenceline_assert_err(broken, "ep1: held by worker@");
    fenceline_assert_err(broken, "warning: its process is alive");
    fenceline_assert_err(broken, "in phase fetch");
    fenceline_assert_out(broken, "ep1: broken: fence raised from");
    fenceline_assert_out(broken, "lease deleted");
    fenceline_assert_out(broken, "nothing any more");
    fenceline_finish_within(waiter, 0, 10000); /* by itself it would look again after a minute */
    fenceline_assert_chapters("ep1", "other", ROWS);
    assert_audit(job, nonce, fence);

    lockview_release_pool();
    /* Its job is older than the one that waited, and was applied before it can start over. */
    fleet_await_outcome(job, "superseded");
    fenceline_assert_chapters("ep1", "other", ROWS);
    assert_int_equal(breaks(), 1);
    fleet_stop_worker(worker);
    fleet_assert_clean();
    free(nonce);
}

static void test_json(void **state)
{
    (void)state;
    struct process *import = stop_import("after-claim", NULL);
    char *holder = db_text(fenceline.db, "SELECT holder FROM fenceline.episodes WHERE episode_id = 'ep1'");
    struct process *broken = fenceline_run(0, "locks", "break", "ep1", "--yes", "--quiet", "--json");
    assert_int_equal(files_count_lines(broken->out.bytes), 1);
    lockview_assert_text(broken->out.bytes, "episode", "ep1");
    lockview_assert_text(broken->out.bytes, "broken", "true");
    lockview_assert_text(broken->out.bytes, "holder", holder);
    lockview_assert_text(broken->out.bytes, "lease_deleted", "true");
    lockview_assert_text(broken->out.bytes, "job_outcome", NULL);
    assert_int_equal(lockview_int(broken->out.bytes, "job_id"), 1);
    assert_int_equal(lockview_int(broken->out.bytes, "token"), 1);
    assert_int_equal(lockview_int(broken->out.bytes, "seen_fence"), 1);
    assert_int_equal(lockview_int(broken->out.bytes, "new_fence"), 2);
    broken = fenceline_run(0, "locks", "break", "ep1", "--yes", "--json");
    lockview_assert_text(broken->out.bytes, "broken", "false");
    process_signal(import, SIGCONT);
    fenceline_finish(import, 0);
    assert_done_once(1, 1, "slow");
    free(holder);
}

/* ---- paused anywhere ---- */

static void test_paused(void **state)
{
    (void)state;
    static const char *const LABELS[] = {"after-lease", "before-claim", "after-claim",  "before-fetch",
                                         "after-fetch", "after-parse",  "before-commit"};
    for (size_t i = 0; i < sizeof LABELS / sizeof *LABELS; i++) {
        struct process *import = stop_import(LABELS[i], NULL);
        int64_t job = db_int(fenceline.db, "SELECT max(job_id) FROM fenceline.jobs");
        char *row = lockview_row("ep1");
        int64_t token = lockview_int(row, "token");
        bool is_claimed = i >= 2;
        lockview_assert_text(row, "claimed", is_claimed ? "true" : "false");
        struct process *broken = fenceline_run(0, "locks", "break", "ep1", "--yes");
        fenceline_assert_err(broken, is_claimed ? "(claimed, token" : "(not claimed yet, token");
        fenceline_assert_out(broken, "lease deleted");
        assert_false(has_lease());
        fenceline_assert_nothing("ep1", NULL);
        process_signal(import, SIGCONT);
        fenceline_finish_within(import, 0, LONG_MS);
        assert_done_once(job, token, "slow");
        assert_int_equal(breaks(), i + 1);
        fenceline_run(0, "delete", "ep1", "chapters");
        free(row);
    }
    fenceline_assert_clean();
}

/* ---- in the middle of its commit ---- */

static void test_commit_that_waits(void **state)
{
    (void)state;
    struct process *worker = fleet_start_worker();
    PGconn *blocker = lockview_block_commits();
    int64_t job = fleet_enqueue_chapters("ep1", "slow", ROWS, "create");
    char *row = lockview_await_text("ep1", "session_wait", "Lock/relation"), session[64];
    int64_t token = lockview_int(row, "token");
    snprintf(session, sizeof session,
             "its session %" PRId64 " (active) held the episode's row, and was ended",
             lockview_int(row, "session"));
    struct process *broken = fenceline_run(0, "locks", "break", "ep1", "--yes");
    fenceline_assert_err(broken, session);
    fenceline_assert_out(broken, "broken");
    assert_true(of_episode("fence") > token);
    assert_int_equal(of_episode("version"), 0);
    lockview_unblock_commits(blocker);
    assert_done_once(job, token, "slow");
    fleet_stop_worker(worker);
    fleet_assert_clean();
    free(row);
}

/* A client that has sent all but its COMMIT holds the row, and its server waits for it. */
static void test_commit_that_is_held_up(void **state)
{
    (void)state;
    struct proxy proxy = {0};
    char dsn[SERVICES_DSN_BYTES];
    services_dsn_on_port(fenceline.dsn, proxy_start(&proxy, services_postgres_port(&fenceline.services)),
                         dsn);
    fenceline.postgres_dsn = dsn;
    struct process *import = stop_import("before-commit", NULL);
    fenceline.postgres_dsn = fenceline.dsn;
    int rule = proxy_arm(
        &proxy, &(struct proxy_rule){
                    .direction = PROXY_TO_SERVER, .action = PROXY_HOLD, .pattern = "COMMIT", .nth = 1});
    process_signal(import, SIGCONT);
    assert_true(proxy_wait_fired(&proxy, rule, 1, LONG_MS));
    char *code = NULL;
    for (int64_t end_ms = process_now_ms() + LONG_MS; !code && process_now_ms() < end_ms;
         process_sleep_ms(10))
        code = db_sqlstate(fenceline.db,
                           "SELECT FROM fenceline.episodes WHERE episode_id = 'ep1' FOR UPDATE NOWAIT");
    assert_string_equal(code, "55P03"); /* locked */
    int64_t token = of_episode("fence");
    struct process *broken = fenceline_run(0, "locks", "break", "ep1", "--yes");
    fenceline_assert_err(broken, "held the episode's row, and was ended");
    assert_int_equal(of_episode("fence"), token + 1);
    fenceline_assert_nothing("ep1", NULL);
    proxy_resume(&proxy); /* the late COMMIT finds nobody */
    fenceline_finish_within(import, 0, LONG_MS);
    assert_done_once(1, token, "slow");
    proxy_stop(&proxy);
    free(code);
}

/* A session that is not the holder's is left alone, and named; were it another worker's. */
static void test_row_locked_by_somebody_else(void **state)
{
    (void)state;
    struct process *import = stop_import("after-claim", NULL);
    PGconn *other = db_open(fenceline.dsn);
    char pid[64];
    snprintf(pid, sizeof pid, "pg_terminate_backend(%d)", PQbackendPID(other));
    db_exec(other, "SET application_name = 'fenceline worker@other:1'");
    db_exec(other, "BEGIN");
    db_exec(other, "SELECT FROM fenceline.episodes WHERE episode_id = 'ep1' FOR UPDATE");
    struct process *broken = fenceline_launch("locks", "break", "ep1", "--yes");
    fenceline_finish_within(broken, 1, LONG_MS);
    fenceline_assert_err(broken, "nothing was broken");
    fenceline_assert_err(broken, pid);
    assert_int_equal(breaks(), 0);
    assert_true(has_lease());
    db_exec(other, "COMMIT");
    db_close(other);
    process_signal(import, SIGCONT);
    fenceline_finish(import, 0);
    assert_int_equal(of_job("token", 1), 1);
}

/* ---- what is left of a holder ---- */

static void test_expired(void **state)
{
    (void)state;
    struct process *import = stop_import("after-parse", SHORT_LEASE);
    await_no_lease();
    struct process *broken = fenceline_run(0, "locks", "break", "ep1", "--yes");
    fenceline_assert_err(broken, "without a lease");
    assert_int_equal(of_episode("fence"), 2);
    assert_int_equal(breaks(), 1);
    broken = fenceline_run(0, "locks", "break", "ep1", "--yes"); /* a second time there is nothing */
    fenceline_assert_err(broken, "nobody holds it");
    assert_int_equal(of_episode("fence"), 2);
    process_signal(import, SIGCONT);
    fenceline_finish(import, 0);
    assert_done_once(1, 1, "slow");
}

static void test_expired_before_its_claim(void **state)
{
    (void)state;
    struct process *import = stop_import("after-lease", SHORT_LEASE);
    await_no_lease();
    struct process *broken = fenceline_run(0, "locks", "break", "ep1", "--yes");
    fenceline_assert_err(broken, "nobody holds it");
    assert_int_equal(breaks(), 0);
    process_signal(import, SIGCONT);
    fenceline_finish(import, 0);
}

static void test_nothing_to_break(void **state)
{
    (void)state;
    struct process *unknown = fenceline_run(1, "locks", "break", "ep1", "--yes");
    fenceline_assert_err(unknown, "ep1: no such episode");
    fenceline_set_lease("ep1", "w@host:1 (job 1)", 60000);
    unknown = fenceline_run(1, "locks", "break", "ep1", "--yes");
    fenceline_assert_err(unknown, "do --redis and --postgres belong together?");
    fenceline_drop_lease("ep1");
    fenceline_finish(import_other(), 0);
    struct process *idle = fenceline_run(0, "locks", "break", "ep1", "--yes");
    fenceline_assert_err(idle, "ep1: nobody holds it; there is nothing to break");
    idle = fenceline_run(0, "locks", "break", "ep1"); /* nothing to ask */
    assert_int_equal(of_episode("fence"), 1);
    assert_int_equal(breaks(), 0);
}

static void test_must_be_confirmed(void **state)
{
    (void)state;
    struct process *import = stop_import("after-claim", NULL);
    struct process *asked = fenceline_run(2, "locks", "break", "ep1");
    fenceline_assert_err(asked, "--yes");
    fenceline_run(2, "locks", "break", "--yes");
    fenceline_run(2, "locks", "break", "ep1", "ep2", "--yes");
    assert_int_equal(breaks(), 0);
    assert_int_equal(of_episode("fence"), 1);
    assert_true(has_lease());
    process_release(import);
}

/* Its key is left: whose it is, nobody knows. That it keeps everybody away, is said. */
static void test_foreign_key(void **state)
{
    (void)state;
    fenceline_finish(import_other(), 0);
    rdb_exec(fenceline.redis, "SET fenceline:{ep1}:lease %s", "something else");
    struct process *broken = fenceline_run(0, "locks", "break", "ep1", "--yes");
    fenceline_assert_err(broken, "fenceline has not written");
    fenceline_assert_out(broken, "DEL fenceline:{ep1}:lease");
    fenceline_assert_not_out(broken, "gone by itself");
    assert_true(has_lease());
}

/* A worker that died between its commit and its release: the job is decided, the lease still there. */
static void test_decided_holder(void **state)
{
    (void)state;
    struct process *import = stop_import("before-release", NULL);
    process_release(import);
    struct process *waiter = import_other();
    free(lockview_await_text("ep1", "waiting", "1"));
    fenceline_run(0, "locks", "break", "ep1", "--yes");
    assert_false(fenceline_count_jobs("cancelled") > 0);
    fenceline_finish_within(waiter, 0, 10000);
    fenceline_assert_chapters("ep1", "other", ROWS);
    fenceline_assert_clean();
}

/* ---- somebody else holds it when the answer comes ---- */

static struct process *ask(void)
{
    struct process *broken = fenceline_start(
        &(struct process_spec){.argv = (const char *const[]){"locks", "break", "ep1", "--no-color", NULL},
                               .terminal_streams = PROCESS_IN | PROCESS_ERR,
                               .terminal_columns = 80,
                               .terminal_rows = 24,
                               .hold_input = true});
    process_wait_for_output(broken, "Break it? [y/N] ", LONG_MS);
    return broken;
}

static void answer(struct process *broken, const char *text, int exit_code)
{
    process_send(broken, text, strlen(text));
    fenceline_finish_within(broken, exit_code, LONG_MS);
}

static void test_other_holder_at_the_answer(void **state)
{
    (void)state;
    struct process *first = stop_import("after-claim", SHORT_LEASE);
    struct process *broken = ask();
    await_no_lease();
    char *path = fenceline_write_chapters("ep1", "other", ROWS);
    struct process *second = fenceline_start(
        &(struct process_spec){.argv = (const char *const[]){"import", "--mode", "replace", path, NULL},
                               .env = (const char *const[]){"FENCELINE_FAIL_POINT=after-claim:stop", NULL}});
    fenceline_await_stop(second);
    answer(broken, "y\n", 3);
    fenceline_assert_err(broken, "nothing was broken");
    assert_int_equal(breaks(), 0);
    assert_int_equal(of_episode("fence"), 2);
    assert_true(has_lease());
    process_signal(second, SIGCONT);
    fenceline_finish(second, 0);
    assert_int_equal(of_job("token", 2), 2); /* it was left alone */
    process_release(first);
    free(path);
}

static void test_unclaimed_lease_of_another_at_the_answer(void **state)
{
    (void)state;
    struct process *first = stop_import("after-claim", SHORT_LEASE);
    struct process *broken = ask();
    await_no_lease();
    char *path = fenceline_write_chapters("ep1", "other", ROWS);
    struct process *second = fenceline_start(
        &(struct process_spec){.argv = (const char *const[]){"import", "--mode", "replace", path, NULL},
                               .env = (const char *const[]){"FENCELINE_FAIL_POINT=after-lease:stop", NULL}});
    fenceline_await_stop(second);
    answer(broken, "y\n", 3);
    assert_int_equal(breaks(), 0);
    assert_true(has_lease());
    process_signal(second, SIGCONT);
    fenceline_finish(second, 0);
    assert_int_equal(of_job("token", 2), 2);
    process_release(first);
    free(path);
}

static void test_finished_at_the_answer(void **state)
{
    (void)state;
    struct process *import = stop_import("after-claim", NULL);
    struct process *broken = ask();
    process_signal(import, SIGCONT);
    fenceline_finish(import, 0);
    answer(broken, "y\n", 3);
    fenceline_assert_err(broken, "or has finished");
    assert_int_equal(breaks(), 0);
    assert_int_equal(of_episode("fence"), 1);
}

/* Only its lease has run out: it is still the one who may commit, and the one that was seen. */
static void test_lease_gone_at_the_answer(void **state)
{
    (void)state;
    struct process *import = stop_import("after-claim", SHORT_LEASE);
    struct process *broken = ask();
    await_no_lease();
    answer(broken, "y\n", 0);
    assert_int_equal(breaks(), 1);
    process_signal(import, SIGCONT);
    fenceline_finish(import, 0);
    assert_done_once(1, 1, "slow");
}

static void test_no_at_the_answer(void **state)
{
    (void)state;
    struct process *import = stop_import("after-claim", NULL);
    struct process *broken = ask();
    fenceline_assert_err(broken, "ep1: held by import@");
    answer(broken, "n\n", 0);
    fenceline_assert_err(broken, "nothing was done");
    answer(ask(), "\n", 0);
    assert_int_equal(breaks(), 0);
    process_signal(import, SIGCONT);
    fenceline_finish(import, 0);
    assert_int_equal(of_job("token", 1), 1);
}

/* ---- Redis ---- */

static void test_without_redis(void **state)
{
    (void)state;
    struct process *import = stop_import("before-commit", NULL);
    services_redis_stop(&fenceline.services, SERVICES_IMMEDIATE);
    struct process *broken = fenceline_run(6, "locks", "break", "ep1", "--yes");
    fenceline_assert_out(broken, "broken");
    fenceline_assert_err(broken, "its lease could not be deleted");
    assert_int_equal(of_episode("fence"), 2);
    assert_int_equal(breaks(), 1);
    process_signal(import, SIGCONT);
    process_sleep_ms(500); /* it is refused, and waits for Redis */
    assert_int_equal(of_episode("version"), 0);
    fenceline_assert_nothing("ep1", NULL);
    broken = fenceline_run(6, "locks", "break", "ep1", "--yes"); /* nobody claims it; more cannot be told */
    fenceline_assert_err(broken, "cannot be seen without Redis");
    assert_int_equal(breaks(), 1);
    services_redis_start(&fenceline.services);
    fenceline_reconnect();
    fenceline_finish_within(import, 0, LONG_MS);
    assert_done_once(1, 1, "slow");
}

/* ---- a crash between the steps ---- */

static void crash_at(const char *point)
{
    struct process *killed = fenceline_start(
        &(struct process_spec){.argv = (const char *const[]){"locks", "break", "ep1", "--yes", NULL},
                               .env = (const char *const[]){point, NULL}});
    process_wait(killed, LONG_MS);
    assert_int_equal(killed->signal, SIGKILL);
}

static void test_crash_before_the_fence(void **state)
{
    (void)state;
    struct process *import = stop_import("after-claim", NULL);
    crash_at("FENCELINE_FAIL_POINT=before-break:kill");
    assert_int_equal(of_episode("fence"), 1);
    assert_int_equal(breaks(), 0);
    assert_true(has_lease());
    fenceline_run(0, "locks", "break", "ep1", "--yes");
    assert_false(has_lease());
    process_signal(import, SIGCONT);
    fenceline_finish(import, 0);
    assert_done_once(1, 1, "slow");
}

/* The fence is up, and that is what counts; the lease is still there, and the next break takes it away. */
static void test_crash_after_the_fence(void **state)
{
    (void)state;
    struct process *import = stop_import("before-commit", NULL);
    crash_at("FENCELINE_FAIL_POINT=after-break:kill");
    assert_int_equal(of_episode("fence"), 2);
    assert_int_equal(breaks(), 1);
    assert_true(has_lease());
    struct process *again = fenceline_run(0, "locks", "break", "ep1", "--yes");
    fenceline_assert_err(again, "superseded, so it can commit nothing");
    fenceline_assert_out(again, "lease deleted");
    assert_false(has_lease());
    process_signal(import, SIGCONT);
    fenceline_finish(import, 0);
    assert_done_once(1, 1, "slow");
}

/* Nobody runs it again: the broken one is refused all the same. */
static void test_crash_after_the_fence_and_no_more(void **state)
{
    (void)state;
    struct process *import = stop_import("before-commit", NULL);
    crash_at("FENCELINE_FAIL_POINT=after-break:kill");
    process_signal(import, SIGCONT);
    fenceline_finish(import, 0);
    assert_done_once(1, 1, "slow");
}

/* ---- with its job ---- */

static void test_cancel_job_of_a_worker(void **state)
{
    (void)state;
    struct process *worker = start_hung_worker();
    int64_t job = fleet_enqueue_chapters("ep1", "slow", ROWS, "create");
    free(lockview_await_text("ep1", "phase", "fetch"));
    struct process *broken =
        fenceline_run(0, "locks", "break", "ep1", "--yes", "--cancel-job", "--reason", "wrong file");
    fenceline_assert_out(broken, "cancelled");
    fleet_await_outcome(job, "cancelled"); /* at once, not when the worker comes to it */
    assert_int_equal(db_int(fenceline.db, "SELECT count(*) FROM fenceline.lock_breaks WHERE cancelled"), 1);
    lockview_release_pool();
    fleet_await_outcome(fleet_enqueue_chapters("ep2", "next", ROWS, "create"), "imported");
    lockview_await_none("ep1");
    fenceline_assert_nothing("ep1", NULL);
    assert_int_equal(of_episode("version"), 0);
    fleet_stop_worker(worker);
    fleet_assert_clean();
}

static void test_cancel_job_of_an_import(void **state)
{
    (void)state;
    struct process *import = stop_import("before-commit", NULL);
    struct process *broken = fenceline_run(0, "locks", "break", "ep1", "--yes", "--cancel-job", "--json");
    lockview_assert_text(broken->out.bytes, "job_outcome", "cancelled");
    process_signal(import, SIGCONT);
    process_wait(import, LONG_MS);
    assert_true(import->exit_code > 0); /* it was told so */
    fenceline_assert_err(import, "cancelled");
    fenceline_assert_nothing("ep1", NULL);
    fenceline_assert_outcome("ep1", NULL, "cancelled");
    fenceline_assert_clean();
}

/* ---- two operators ---- */

static void test_two_at_once(void **state)
{
    (void)state;
    struct process *import = stop_import("after-claim", NULL), *both[2];
    for (int i = 0; i < 2; i++)
        both[i] = fenceline_start(&(struct process_spec){
            .argv = (const char *const[]){"locks", "break", "ep1", "--yes", NULL},
            .env = (const char *const[]){"FENCELINE_FAIL_POINT=before-break:stop", NULL}});
    for (int i = 0; i < 2; i++)
        fenceline_await_stop(both[i]); /* both have seen the same holder twice */
    for (int i = 0; i < 2; i++)
        process_signal(both[i], SIGCONT);
    int codes = process_wait(both[0], LONG_MS) + 10 * process_wait(both[1], LONG_MS);
    assert_true(codes == 3 || codes == 30);
    assert_int_equal(breaks(), 1);
    assert_int_equal(of_episode("fence"), 2);
    process_signal(import, SIGCONT);
    fenceline_finish(import, 0);
    assert_done_once(1, 1, "slow");
}

#define BREAK_TEST(function) cmocka_unit_test_setup_teardown(function, start_test, stop_test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BREAK_TEST(test_alive),
        BREAK_TEST(test_json),
        BREAK_TEST(test_paused),
        BREAK_TEST(test_commit_that_waits),
        BREAK_TEST(test_commit_that_is_held_up),
        BREAK_TEST(test_row_locked_by_somebody_else),
        BREAK_TEST(test_expired),
        BREAK_TEST(test_expired_before_its_claim),
        BREAK_TEST(test_nothing_to_break),
        BREAK_TEST(test_must_be_confirmed),
        BREAK_TEST(test_foreign_key),
        BREAK_TEST(test_decided_holder),
        BREAK_TEST(test_other_holder_at_the_answer),
        BREAK_TEST(test_unclaimed_lease_of_another_at_the_answer),
        BREAK_TEST(test_finished_at_the_answer),
        BREAK_TEST(test_lease_gone_at_the_answer),
        BREAK_TEST(test_no_at_the_answer),
        BREAK_TEST(test_without_redis),
        BREAK_TEST(test_crash_before_the_fence),
        BREAK_TEST(test_crash_after_the_fence),
        BREAK_TEST(test_crash_after_the_fence_and_no_more),
        BREAK_TEST(test_cancel_job_of_a_worker),
        BREAK_TEST(test_cancel_job_of_an_import),
        BREAK_TEST(test_two_at_once),
    };
    return cmocka_run_group_tests_name("break", tests, fenceline_start_group, fenceline_stop_group);
}
