/*
 * Importers that are stopped (SIGSTOP), overtaken, and continued.
 *
 * The stopped one wakes with all that it knew: a lease that has run out, a claim that is no longer its own.
 * It must be refused, say why, and change nothing. Where nobody came in between it goes on; where an operator
 * broke its lease it starts over. It is stopped at fail points (app/drive.c), and by a plain SIGSTOP at any
 * time, also while a statement of its waits on the server.
 */
#include "../lib/fenceline.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { LONG_MS = 30000, ROWS_OLD = 5, ROWS_SLOW = 9, ROWS_FAST = 12, NAME_BYTES = 64, ID_BYTES = 24 };

/* The stopped one's lease ends soon after it was stopped; the other waits for that with a wide margin. */
#define SHORT_LEASE "FENCELINE_LEASE_TTL_MS=600"
#define LONG_LEASE  "FENCELINE_LEASE_TTL_MS=60000"
#define PATIENT     "FENCELINE_LEASE_WAIT_MS=20000"

/* Where one can be stopped so that another may still come in between. */
static const char *const LABELS[] = {
    "after-read",   "before-lease", "after-lease",  "before-claim", "after-claim",
    "before-fetch", "after-fetch",  "before-parse", "after-parse",  "before-commit",
};
/* The same of an import that has nothing to load. */
static const char *const DELETE_LABELS[] = {
    "after-read", "before-lease", "after-lease", "before-claim", "after-claim", "before-commit",
};
/* Where one has a lease or a claim that can be broken. */
static const char *const BREAK_LABELS[] = {
    "after-lease", "before-claim", "after-claim", "before-fetch", "after-parse", "before-commit",
};
enum { LABELS_MAX = sizeof LABELS / sizeof *LABELS };

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* One import that is stopped, of an episode of its own. */
struct sleeper {
    char episode[NAME_BYTES];
    struct process *process;
    int64_t job_id;
    char *seen; /* what was stored when it was continued */
};

/* ---- what the database says ---- */

static int64_t last_job(const char *episode)
{
    return db_int(fenceline.db, "SELECT max(job_id) FROM fenceline.jobs WHERE episode_id = $1", episode);
}

static int64_t version_of(const char *episode)
{
    return db_int(fenceline.db, "SELECT version FROM fenceline.episodes WHERE episode_id = $1", episode);
}

static int64_t fence_of(const char *episode)
{
    return db_int(fenceline.db, "SELECT fence FROM fenceline.episodes WHERE episode_id = $1", episode);
}

static char *job_text(int64_t job_id, const char *sql)
{
    char id[ID_BYTES];
    snprintf(id, sizeof id, "%" PRId64, job_id);
    char *text = db_text(fenceline.db, sql, id);
    assert_non_null(text);
    return text;
}

static void assert_job_outcome(int64_t job_id, const char *expected)
{
    char *outcome =
        job_text(job_id, "SELECT coalesce(outcome, 'open') FROM fenceline.jobs WHERE job_id = $1");
    assert_string_equal(outcome, expected);
    free(outcome);
}

/* Version, fence, claim, documents and rows of an episode, as one text: a refused import changes none. */
static char *content_of(const char *episode)
{
    char *text = db_text(fenceline.db,
                         "SELECT concat_ws(E'\\n',"
                         " (SELECT e::text FROM fenceline.episodes e WHERE episode_id = $1),"
                         " (SELECT string_agg(d::text, E'\\n' ORDER BY kind) FROM fenceline.documents d"
                         "   WHERE episode_id = $1),"
                         " (SELECT string_agg(c::text, E'\\n' ORDER BY order_index) FROM fenceline.chapters c"
                         "   WHERE episode_id = $1))",
                         episode);
    assert_non_null(text);
    return text;
}

/* ---- files: "old" is there before, "slow" is the stopped import's, "fast" the other's ---- */

static char *write_file(const char *tag, const char *episode, int rows)
{
    char name[2 * NAME_BYTES];
    snprintf(name, sizeof name, "%s/%s", tag, episode);
    return fenceline_write_chapters(name, tag, rows);
}

/* All files of that tag in one run, each in its turn. */
static struct process *run_all(int exit_code, const char *tag, const char *mode)
{
    char *path = files_join(fenceline.folder, tag);
    const char *const argv[] = {"import", "--mode", mode, path, NULL};
    const char *const env[] = {PATIENT, NULL};
    struct process *process = fenceline_start(&(struct process_spec){.argv = argv, .env = env});
    free(path);
    return fenceline_finish_within(process, exit_code, LONG_MS);
}

/* ---- the sleepers ---- */

/* Waits until it has stopped itself at its fail point: the line comes a moment before. */
static void wait_until_stopped(struct process *process)
{
    char path[64], line[512] = "", *state = line;
    process_wait_for_output(process, "fail point", LONG_MS);
    snprintf(path, sizeof path, "/proc/%d/stat", (int)process->pid);
    int64_t deadline_ms = process_now_ms() + LONG_MS;
    do {
        FILE *file = fopen(path, "re");
        assert_non_null(file);
        assert_non_null(fgets(line, sizeof line, file));
        fclose(file);
        state = strrchr(line, ')');
        assert_non_null(state);
    } while (state[2] != 'T' && process_now_ms() < deadline_ms);
    assert_int_equal(state[2], 'T');
}

static void start_sleeper(struct sleeper *sleeper, const char *name, const char *mode, const char *fail_point,
                          const char *lease)
{
    char point[NAME_BYTES + 32];
    *sleeper = (struct sleeper){0};
    snprintf(sleeper->episode, sizeof sleeper->episode, "ep-%s", name);
    snprintf(point, sizeof point, "FENCELINE_FAIL_POINT%s%s%s", fail_point ? "=" : "",
             fail_point ? fail_point : "", fail_point ? ":stop" : "");
    char *path = write_file("slow", sleeper->episode, ROWS_SLOW);
    const char *const import[] = {"import", "--mode", mode, path, NULL};
    const char *const delete[] = {"delete", sleeper->episode, "chapters", NULL};
    const char *const env[] = {lease, PATIENT, point, NULL};
    bool is_delete = strcmp(mode, "delete") == 0;
    sleeper->process =
        fenceline_start(&(struct process_spec){.argv = is_delete ? delete : import, .env = env});
    free(path);
}

static void stop_at(struct sleeper *sleeper, const char *mode, const char *label, const char *lease)
{
    start_sleeper(sleeper, label, mode, label, lease);
    wait_until_stopped(sleeper->process);
    sleeper->job_id = last_job(sleeper->episode);
}

static void wake(struct sleeper *sleeper)
{
    sleeper->seen = content_of(sleeper->episode);
    process_signal(sleeper->process, SIGCONT);
}

static void release(struct sleeper *sleeper)
{
    process_release(sleeper->process);
    free(sleeper->seen);
}

/* Refused: exit 3, one line that says by whom, its outcome in its row, and all else as it was. */
static void assert_refused(struct sleeper *sleeper, const char *outcome, const char *why)
{
    char by[NAME_BYTES];
    fenceline_finish_within(sleeper->process, 3, LONG_MS);
    fenceline_assert_err(sleeper->process, sleeper->episode);
    fenceline_assert_err(sleeper->process, why);
    snprintf(by, sizeof by, "job %" PRId64, last_job(sleeper->episode));
    fenceline_assert_err(sleeper->process, by);
    assert_job_outcome(sleeper->job_id, outcome);
    char *now = content_of(sleeper->episode);
    assert_string_equal(now, sleeper->seen);
    free(now);
    fenceline_assert_chapters(sleeper->episode, "fast", ROWS_FAST);
}

/* ---- overtaken ---- */

/* All are stopped, then another process imports other content for each, then all are continued. */
static void overtake(const char *const *labels, size_t count, const char *mode, const char *other_mode,
                     bool flush, const char *outcome, const char *why)
{
    struct sleeper sleepers[LABELS_MAX];
    bool is_new = strcmp(mode, "create") == 0;
    fenceline_use_fast(true);
    for (size_t i = 0; i < count; i++) {
        char episode[NAME_BYTES];
        snprintf(episode, sizeof episode, "ep-%s", labels[i]);
        free(write_file("old", episode, ROWS_OLD));
        free(write_file("fast", episode, ROWS_FAST));
    }
    if (!is_new)
        process_release(run_all(0, "old", "create"));
    for (size_t i = 0; i < count; i++)
        stop_at(&sleepers[i], mode, labels[i], flush ? LONG_LEASE : SHORT_LEASE);
    if (flush)
        rdb_exec(fenceline.redis, "FLUSHALL");
    process_release(run_all(0, "fast", other_mode));
    for (size_t i = 0; i < count; i++)
        wake(&sleepers[i]);
    for (size_t i = 0; i < count; i++) {
        assert_refused(&sleepers[i], outcome, why);
        release(&sleepers[i]);
    }
    fenceline_assert_clean();
}

static void test_create_past_its_lease(void **state)
{
    (void)state;
    overtake(LABELS, COUNT(LABELS), "create", "create", false, "rejected", "already imported");
}

/* Redis loses everything: its leases, and the counters of its tokens, which then come a second time. */
static void test_create_after_a_flush(void **state)
{
    (void)state;
    overtake(LABELS, COUNT(LABELS), "create", "create", true, "rejected", "already imported");
}

/* The stopped one has the lower job id: what it would write is older than what is there. */
static void test_replace_past_its_lease(void **state)
{
    (void)state;
    overtake(LABELS, COUNT(LABELS), "replace", "replace", false, "superseded", "superseded");
}

static void test_replace_after_a_flush(void **state)
{
    (void)state;
    overtake(LABELS, COUNT(LABELS), "replace", "replace", true, "superseded", "superseded");
}

static void test_delete_past_its_lease(void **state)
{
    (void)state;
    overtake(DELETE_LABELS, COUNT(DELETE_LABELS), "delete", "replace", false, "superseded", "superseded");
}

/* ---- nobody came in between ---- */

static void wait_for_no_lease(void)
{
    int64_t deadline_ms = process_now_ms() + LONG_MS;
    while (fenceline_count_leases() != 0 && process_now_ms() < deadline_ms)
        process_sleep_ms(10);
    assert_int_equal(fenceline_count_leases(), 0);
}

static void assert_imported(struct sleeper *sleeper)
{
    fenceline_finish_within(sleeper->process, 0, LONG_MS);
    assert_job_outcome(sleeper->job_id, "imported");
    fenceline_assert_chapters(sleeper->episode, "slow", ROWS_SLOW);
    assert_int_equal(version_of(sleeper->episode), fence_of(sleeper->episode));
}

static void test_alone(void **state)
{
    (void)state;
    struct sleeper sleepers[LABELS_MAX];
    fenceline_use_fast(true);
    for (size_t i = 0; i < COUNT(LABELS); i++)
        stop_at(&sleepers[i], "create", LABELS[i], SHORT_LEASE);
    wait_for_no_lease();
    for (size_t i = 0; i < COUNT(LABELS); i++)
        wake(&sleepers[i]);
    for (size_t i = 0; i < COUNT(LABELS); i++) {
        assert_imported(&sleepers[i]);
        release(&sleepers[i]);
    }
    assert_int_equal(fenceline_count_jobs("imported"), COUNT(LABELS));
    fenceline_assert_clean();
}

/* ---- broken by an operator, while the lease lasts ---- */

static int64_t break_claim(const char *episode)
{
    assert_int_equal(db_exec(fenceline.db,
                             "UPDATE fenceline.episodes SET fence = fence + 1,"
                             "       nonce = 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb' WHERE episode_id = $1",
                             episode),
                     1);
    return fence_of(episode);
}

/* What is dead is the claim, not the job: it starts over, and commits under a token claimed after the break.
 */
static void test_broken(void **state)
{
    (void)state;
    struct sleeper sleepers[LABELS_MAX];
    int64_t broken_fence[LABELS_MAX];
    fenceline_use_fast(true);
    for (size_t i = 0; i < COUNT(BREAK_LABELS); i++) {
        stop_at(&sleepers[i], "create", BREAK_LABELS[i], LONG_LEASE);
        broken_fence[i] = break_claim(sleepers[i].episode);
    }
    for (size_t i = 0; i < COUNT(BREAK_LABELS); i++)
        wake(&sleepers[i]);
    for (size_t i = 0; i < COUNT(BREAK_LABELS); i++) {
        assert_imported(&sleepers[i]);
        assert_true(version_of(sleepers[i].episode) > broken_fence[i]);
        release(&sleepers[i]);
    }
    fenceline_assert_clean();
}

/* The operator also lets the others in: now the broken one is the second. */
static void test_broken_and_overtaken(void **state)
{
    (void)state;
    struct sleeper sleepers[LABELS_MAX];
    fenceline_use_fast(true);
    for (size_t i = 0; i < COUNT(BREAK_LABELS); i++) {
        stop_at(&sleepers[i], "create", BREAK_LABELS[i], LONG_LEASE);
        break_claim(sleepers[i].episode);
        fenceline_drop_lease(sleepers[i].episode);
        free(write_file("fast", sleepers[i].episode, ROWS_FAST));
    }
    process_release(run_all(0, "fast", "create"));
    for (size_t i = 0; i < COUNT(BREAK_LABELS); i++)
        wake(&sleepers[i]);
    for (size_t i = 0; i < COUNT(BREAK_LABELS); i++) {
        assert_refused(&sleepers[i], "rejected", "already imported");
        release(&sleepers[i]);
    }
    fenceline_assert_clean();
}

/* ---- a lease that is somebody else's by now ---- */

/* Done, but stopped before it gave its lease back: what it then finds is not its own. */
static void test_does_not_release_the_lease_of_another(void **state)
{
    (void)state;
    struct sleeper sleeper;
    stop_at(&sleeper, "create", "before-release", SHORT_LEASE);
    wait_for_no_lease();
    fenceline_set_lease(sleeper.episode, "another", 60000);
    wake(&sleeper);
    assert_imported(&sleeper);
    assert_int_equal(fenceline_count_leases(), 1);
    fenceline_drop_lease(sleeper.episode);
    release(&sleeper);
    fenceline_assert_clean();
}

/* ---- SIGSTOP from outside ---- */

static void wait_for_blocked(const char *statement)
{
    int64_t deadline_ms = process_now_ms() + LONG_MS, blocked = 0;
    while (blocked == 0 && process_now_ms() < deadline_ms) {
        process_sleep_ms(5);
        blocked = db_int(fenceline.db,
                         "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                         "   AND application_name LIKE 'fenceline%' AND wait_event_type = 'Lock'"
                         "   AND query LIKE '%' || $1 || '%'",
                         statement);
    }
    assert_int_equal(blocked, 1);
}

static PGconn *lock_row(const char *sql, const char *value)
{
    PGconn *conn = db_open(fenceline.dsn);
    db_exec(conn, "BEGIN");
    assert_int_equal(db_exec(conn, sql, value), 1);
    return conn;
}

static void unlock(PGconn *conn)
{
    db_exec(conn, "COMMIT");
    db_close(conn);
}

/* Stopped while its claim waits on the server, which then grants it to a process that does not run. */
static void test_stopped_while_claiming(void **state)
{
    (void)state;
    struct sleeper sleeper;
    db_exec(fenceline.db, "INSERT INTO fenceline.episodes (episode_id) VALUES ('ep-claiming')");
    PGconn *lock = lock_row("SELECT FROM fenceline.episodes WHERE episode_id = $1 FOR UPDATE", "ep-claiming");
    start_sleeper(&sleeper, "claiming", "create", NULL, SHORT_LEASE);
    wait_for_blocked("claim_episodes");
    process_signal(sleeper.process, SIGSTOP);
    sleeper.job_id = last_job(sleeper.episode);
    unlock(lock);
    int64_t deadline_ms = process_now_ms() + LONG_MS;
    while (fence_of(sleeper.episode) == 0 && process_now_ms() < deadline_ms)
        process_sleep_ms(5);
    assert_int_equal(fence_of(sleeper.episode), 1);
    free(write_file("fast", sleeper.episode, ROWS_FAST));
    process_release(run_all(0, "fast", "create"));
    assert_true(version_of(sleeper.episode) > 1);
    wake(&sleeper);
    assert_refused(&sleeper, "rejected", "already imported");
    release(&sleeper);
    fenceline_assert_clean();
}

/* Stopped while its commit waits on the server: the commit counts, and the other one is refused. */
static void test_stopped_while_committing(void **state)
{
    (void)state;
    struct sleeper sleeper;
    char id[ID_BYTES];
    stop_at(&sleeper, "create", "before-commit", SHORT_LEASE);
    snprintf(id, sizeof id, "%" PRId64, sleeper.job_id);
    PGconn *lock = lock_row("SELECT FROM fenceline.jobs WHERE job_id = $1 FOR UPDATE", id);
    process_signal(sleeper.process, SIGCONT);
    wait_for_blocked("commit_chapters");
    process_signal(sleeper.process, SIGSTOP);
    free(write_file("fast", sleeper.episode, ROWS_FAST));
    unlock(lock);
    int64_t deadline_ms = process_now_ms() + LONG_MS;
    while (version_of(sleeper.episode) == 0 && process_now_ms() < deadline_ms)
        process_sleep_ms(5);
    struct process *other = run_all(3, "fast", "create");
    fenceline_assert_err(other, "already imported");
    process_release(other);
    process_signal(sleeper.process, SIGCONT);
    assert_imported(&sleeper);
    release(&sleeper);
    fenceline_assert_clean();
}

/* Stopped wherever it is after so many milliseconds: one of the two wins, and the other is told so. */
static void test_stopped_at_any_time(void **state)
{
    (void)state;
    enum { SLEEPERS = 16, STEP_MS = 3 };
    struct sleeper sleepers[SLEEPERS];
    int refused = 0;
    fenceline_use_fast(true);
    for (int i = 0; i < SLEEPERS; i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "at-%d-ms", i * STEP_MS);
        start_sleeper(&sleepers[i], name, "create", NULL, SHORT_LEASE);
        free(write_file("fast", sleepers[i].episode, ROWS_FAST));
        process_sleep_ms(i * STEP_MS);
        kill(sleepers[i].process->pid, SIGSTOP); /* it may have ended */
    }
    char *path = files_join(fenceline.folder, "fast");
    const char *const argv[] = {"import", path, NULL};
    const char *const env[] = {PATIENT, NULL};
    struct process *other = fenceline_start(&(struct process_spec){.argv = argv, .env = env});
    int other_code = process_wait(other, LONG_MS);
    free(path);
    for (int i = 0; i < SLEEPERS; i++)
        kill(sleepers[i].process->pid, SIGCONT);
    for (int i = 0; i < SLEEPERS; i++) {
        const char *episode = sleepers[i].episode;
        int code = process_wait(sleepers[i].process, LONG_MS);
        assert_true(code == 0 || code == 3);
        if (code == 0)
            fenceline_assert_chapters(episode, "slow", ROWS_SLOW);
        else
            fenceline_assert_chapters(episode, "fast", ROWS_FAST);
        refused += code == 3;
        release(&sleepers[i]);
    }
    assert_int_equal(other_code, refused == SLEEPERS ? 0 : 3);
    process_release(other);
    assert_int_equal(fenceline_count_jobs("imported"), SLEEPERS);
    assert_int_equal(fenceline_count_jobs("rejected"), SLEEPERS);
    fenceline_assert_clean();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FENCELINE_TEST(test_create_past_its_lease),
        FENCELINE_TEST(test_create_after_a_flush),
        FENCELINE_TEST(test_replace_past_its_lease),
        FENCELINE_TEST(test_replace_after_a_flush),
        FENCELINE_TEST(test_delete_past_its_lease),
        FENCELINE_TEST(test_alone),
        FENCELINE_TEST(test_broken),
        FENCELINE_TEST(test_broken_and_overtaken),
        FENCELINE_TEST(test_does_not_release_the_lease_of_another),
        FENCELINE_TEST(test_stopped_while_claiming),
        FENCELINE_TEST(test_stopped_while_committing),
        FENCELINE_TEST(test_stopped_at_any_time),
    };
    return cmocka_run_group_tests(tests, fenceline_start_group, fenceline_stop_group);
}
