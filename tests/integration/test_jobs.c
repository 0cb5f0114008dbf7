/*
 * `fenceline jobs` where several things happen at once, or many: chains of retries, two who retry the same
 * jobs, a deadlock with a worker, jobs that come while the question is open, what workers are told, and which
 * indexes serve the lists. What each command prints for one job is in test_job_commands.
 *
 * Happy path: jobs are written and decided by SQL; no worker runs. Failure modes: a test that needs the
 * program "in the middle" waits until the database shows that it is there.
 */
#include "../lib/fenceline.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ID_BYTES = 24, PIECE = 500, WAIT_MS = 10000 };

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define WORDS(...)   ((const char *const[]){__VA_ARGS__, NULL})

/* The number as text, for the next few calls. */
static const char *id_of(int64_t job_id)
{
    static char texts[8][ID_BYTES];
    static size_t next;
    char *text = texts[next++ % COUNT(texts)];
    snprintf(text, ID_BYTES, "%" PRId64, job_id);
    return text;
}

static int64_t enqueue(const char *episode)
{
    return db_int(fenceline.db, "SELECT fenceline.enqueue($1, 'chapters', 'in/x.json', mode => 'replace')",
                  episode);
}

static void decide(int64_t job_id, const char *outcome)
{
    db_exec(fenceline.db, "SELECT fenceline.decide_job($1, $2, $2)", id_of(job_id), outcome);
}

static int64_t decided(const char *episode, const char *outcome)
{
    int64_t job_id = enqueue(episode);
    decide(job_id, outcome);
    return job_id;
}

/* Many at once, all of one episode. */
static void insert_many(const char *episode, const char *outcome, int count)
{
    db_exec(fenceline.db, "INSERT INTO fenceline.episodes (episode_id) VALUES ($1) ON CONFLICT DO NOTHING",
            episode);
    db_exec(fenceline.db,
            "INSERT INTO fenceline.jobs (episode_id, kind, source, outcome, finished_at)"
            " SELECT $1, 'chapters', 'x', $2::text, CASE WHEN $2::text IS NOT NULL THEN now() END"
            "   FROM generate_series(1, $3::integer)",
            episode, outcome, id_of(count));
}

static int64_t retry(int64_t job_id)
{
    fenceline_run(0, "jobs", "retry", id_of(job_id));
    return db_int(fenceline.db, "SELECT retried_by FROM fenceline.jobs WHERE job_id = $1", id_of(job_id));
}

static bool is_so(const char *condition)
{
    char sql[512];
    snprintf(sql, sizeof sql, "SELECT (%s)::integer", condition);
    return db_int(fenceline.db, sql) == 1;
}

static void await_so(const char *condition)
{
    for (int64_t deadline_ms = process_now_ms() + WAIT_MS; !is_so(condition); process_sleep_ms(10))
        if (process_now_ms() > deadline_ms)
            LIB_FAIL("not so in time: %s", condition);
}

/* ---- retry ---- */

/* "1 4 5": the jobs of the chain that `jobs show` tells. */
static char *chain_of(int64_t job_id)
{
    struct process *show = fenceline_run(0, "jobs", "show", "--json", id_of(job_id));
    cJSON *object = cJSON_Parse(show->out.bytes);
    const cJSON *chain = cJSON_GetObjectItemCaseSensitive(object, "chain");
    if (!cJSON_IsArray(chain))
        LIB_FAIL("no chain in: %s", show->out.bytes);
    char *text = calloc(1, 256);
    assert_non_null(text);
    for (int i = 0; i < cJSON_GetArraySize(chain); i++) {
        const cJSON *id = cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(chain, i), "job_id");
        snprintf(text + strlen(text), 256 - strlen(text), "%s%.0f", i ? " " : "", id->valuedouble);
    }
    cJSON_Delete(object);
    process_release(show);
    return text;
}

static void assert_chain(int64_t job_id, const char *expected)
{
    char *chain = chain_of(job_id);
    assert_string_equal(chain, expected);
    free(chain);
}

static void test_chain(void **state)
{
    (void)state;
    int64_t first = decided("ep", "failed");
    decided("ep", "failed"); /* no part of it */
    int64_t second = retry(first);
    decide(second, "invalid");
    decided("other", "failed");
    int64_t third = retry(second);
    char all[64], rest[64];
    snprintf(all, sizeof all, "%" PRId64 " %" PRId64 " %" PRId64, first, second, third);
    snprintf(rest, sizeof rest, "%" PRId64 " %" PRId64, second, third);
    assert_chain(first, all);
    assert_chain(second, all);
    assert_chain(third, all);
    struct process *text = fenceline_run(0, "jobs", "show", id_of(third));
    fenceline_assert_out(text, "retries, each of the one before:");
    fenceline_assert_out(text, "invalid");
    fenceline_assert_out(text, "waiting");
    fenceline_assert_not_out(fenceline_run(0, "jobs", "show", id_of(first + 1)), "each of the one before");

    /* Without its first job, and with what no retry can write. */
    db_exec(fenceline.db, "DELETE FROM fenceline.jobs WHERE job_id = $1", id_of(first));
    assert_chain(third, rest);
    db_exec(fenceline.db, "UPDATE fenceline.jobs SET retried_by = $2::bigint WHERE job_id = $1", id_of(third),
            id_of(second));
    assert_chain(third, rest);
    db_exec(fenceline.db, "UPDATE fenceline.jobs SET retried_by = job_id WHERE job_id = $1", id_of(third));
    assert_chain(third, rest);
}

/* The input travels with the job, whatever its bytes are. */
static void test_body(void **state)
{
    (void)state;
    int64_t job_id =
        db_int(fenceline.db, "SELECT fenceline.enqueue('ep', 'chapters', body => '\\x00ff0a5c'::bytea)");
    decide(job_id, "failed");
    int64_t again = retry(job_id);
    char *body = db_text(fenceline.db,
                         "SELECT encode(body, 'hex') || coalesce(source, ' none') FROM fenceline.jobs"
                         " WHERE job_id = $1",
                         id_of(again));
    assert_string_equal(body, "00ff0a5c none");
    free(body);

    int64_t deletion = db_int(fenceline.db, "SELECT fenceline.enqueue('ep', 'transcript', mode => 'delete')");
    decide(deletion, "failed");
    again = retry(deletion);
    char *mode = db_text(fenceline.db, "SELECT mode FROM fenceline.jobs WHERE job_id = $1", id_of(again));
    assert_string_equal(mode, "delete");
    free(mode);
}

/* Each job gets one retry, whoever asks for it, and in whatever order. */
static void test_retries_at_once(void **state)
{
    (void)state;
    enum { JOBS = 300, RUNS = 6 };
    insert_many("ep", "failed", JOBS);
    int64_t first = db_int(fenceline.db, "SELECT min(job_id) FROM fenceline.jobs");
    const char *argv[JOBS + 3] = {"jobs", "retry"};
    char ids[JOBS][ID_BYTES];
    for (int i = 0; i < JOBS; i++) {
        snprintf(ids[i], ID_BYTES, "%" PRId64, first + JOBS - 1 - i);
        argv[2 + i] = ids[i];
    }
    /* One of the rows is held until all of them want it. */
    PGconn *holder = db_open(fenceline.dsn);
    db_exec(holder, "BEGIN");
    db_exec(holder, "SELECT FROM fenceline.jobs WHERE job_id = $1 FOR UPDATE", id_of(first));
    struct process *runs[RUNS];
    for (int i = 0; i < RUNS; i++)
        runs[i] = i % 2 ? fenceline_launch("jobs", "retry", "--yes")
                        : fenceline_start(&(struct process_spec){.argv = argv});
    await_so("(SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
             "    AND query LIKE '%retry_jobs%' AND pid <> pg_backend_pid()) = 6");
    db_exec(holder, "COMMIT");
    db_close(holder);
    for (int i = 0; i < RUNS; i++) {
        int code = process_wait(runs[i], FENCELINE_RUN_MS);
        if (code != 0 && code != 3)
            LIB_FAIL("exit code %d: %s", code, runs[i]->err.bytes);
    }
    assert_int_equal(fenceline_count("jobs"), 2 * JOBS);
    assert_true(
        is_so("NOT EXISTS (SELECT FROM fenceline.jobs WHERE outcome = 'failed' AND retried_by IS NULL)"
              " AND (SELECT count(DISTINCT rank) FROM fenceline.jobs) = 300"));
}

/* ---- cancel ---- */

/* What a worker may do that begins several jobs at once, in another order than ours. */
static void test_deadlock(void **state)
{
    (void)state;
    int64_t a = enqueue("a"), b = enqueue("b");
    PGconn *worker = db_open(fenceline.dsn);
    db_exec(worker, "SET deadlock_timeout = '60s'"); /* so that the command is the one that must give way */
    db_exec(worker, "BEGIN");
    db_exec(worker, "UPDATE fenceline.jobs SET started_at = now() WHERE job_id = $1", id_of(b));
    struct process *cancel = fenceline_launch("jobs", "cancel", "--outcome", "open", "--yes");
    await_so(
        "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%cancel_jobs%'"
        " AND pid <> pg_backend_pid())");
    db_exec(worker, "UPDATE fenceline.jobs SET started_at = now() WHERE job_id = $1", id_of(a));
    db_exec(worker, "COMMIT");
    db_close(worker);
    fenceline_finish(cancel, 0);
    assert_string_equal(cancel->out.bytes, "2 jobs cancelled\n");
    assert_int_equal(fenceline_count_jobs("cancelled"), 2);
    char *log = files_read(services_postgres_log_path(&fenceline.services), NULL);
    assert_true(files_count_text(log, "deadlock detected") > 0); /* else nothing was tested */
    free(log);
}

static void test_twice_the_same(void **state)
{
    (void)state;
    int64_t job_id = enqueue("ep");
    struct process *cancel = fenceline_run(0, "jobs", "cancel", id_of(job_id), id_of(job_id));
    assert_int_equal(files_count_lines(cancel->out.bytes), 1);
}

/* The whole command line is read before anything is done. */
static void test_wrong_id_at_the_end(void **state)
{
    (void)state;
    insert_many("ep", NULL, PIECE);
    int64_t first = db_int(fenceline.db, "SELECT min(job_id) FROM fenceline.jobs");
    const char *argv[PIECE + 4] = {"jobs", "cancel"};
    char ids[PIECE][ID_BYTES];
    for (int i = 0; i < PIECE; i++) {
        snprintf(ids[i], ID_BYTES, "%" PRId64, first + i);
        argv[2 + i] = ids[i];
    }
    argv[PIECE + 2] = "12O";
    struct process *cancel = fenceline_finish(fenceline_start(&(struct process_spec){.argv = argv}), 2);
    fenceline_assert_err(cancel, "'12O' is no job");
    assert_int_equal(fenceline_count_jobs("open"), PIECE);
}

/* What is confirmed is what was counted. */
static void test_jobs_that_come_later(void **state)
{
    (void)state;
    insert_many("ep", NULL, 3);
    struct process *cancel =
        fenceline_start(&(struct process_spec){.argv = WORDS("jobs", "cancel", "--episode", "ep"),
                                               .hold_input = true,
                                               .terminal_streams = PROCESS_IN | PROCESS_OUT | PROCESS_ERR,
                                               .terminal_columns = 80,
                                               .terminal_rows = 24});
    process_wait_for_output(cancel, "Cancel 3 jobs? [y/N] ", WAIT_MS);
    insert_many("ep", NULL, 4);
    process_send(cancel, "Y\n", 2);
    fenceline_finish(cancel, 0);
    fenceline_assert_out(cancel, "3 jobs cancelled");
    assert_int_equal(fenceline_count_jobs("open"), 4);
    assert_true(is_so("(SELECT max(job_id) FROM fenceline.jobs WHERE outcome = 'cancelled')"
                      " < (SELECT min(job_id) FROM fenceline.jobs WHERE outcome IS NULL)"));
}

/* ---- purge ---- */

/* Several at once share the work, and nothing else goes. */
static void test_purges_at_once(void **state)
{
    (void)state;
    insert_many("ep", "imported", 30000);
    insert_many("ep", "failed", 5);
    insert_many("ep", NULL, 5);
    struct process *runs[3];
    for (size_t i = 0; i < COUNT(runs); i++)
        runs[i] = fenceline_launch("jobs", "purge", "--older-than", "0s", "--outcome", "imported", "--yes",
                                   "--json");
    int64_t purged = 0, n;
    for (size_t i = 0; i < COUNT(runs); i++) {
        fenceline_finish(runs[i], 0);
        assert_int_equal(sscanf(runs[i]->out.bytes, "{\"purged\":%" SCNd64 "}", &n), 1);
        purged += n;
    }
    assert_int_equal(purged, 30000);
    assert_int_equal(fenceline_count_jobs("failed"), 5);
    assert_int_equal(fenceline_count_jobs("open"), 5);
}

/* ---- what workers are told ---- */

/* The next notification of the queue, or "". */
static const char *next_notification(void)
{
    static char payload[64];
    db_int(fenceline.db, "SELECT 1"); /* reads what has come */
    PGnotify *notify = PQnotifies(fenceline.db);
    snprintf(payload, sizeof payload, "%s", notify ? notify->extra : "");
    PQfreemem(notify);
    return payload;
}

static void test_notifications(void **state)
{
    (void)state;
    int64_t failed = decided("failed", "failed"), open = enqueue("open");
    char expected[64];
    db_exec(fenceline.db, "LISTEN fenceline_queue");
    fenceline_run(0, "jobs", "retry", id_of(failed));
    assert_string_equal(next_notification(), "work");
    fenceline_run(0, "jobs", "cancel", id_of(open));
    snprintf(expected, sizeof expected, "cancel %" PRId64, open);
    assert_string_equal(next_notification(), expected);
    fenceline_run(3, "jobs", "cancel", id_of(open));
    assert_string_equal(next_notification(), "");
    fenceline_run(0, "jobs", "pause");
    assert_string_equal(next_notification(), "pause");
    fenceline_run(0, "jobs", "resume");
    assert_string_equal(next_notification(), "pause");
}

/* ---- asking ---- */

static void assert_listed(const char *worker, int lines)
{
    struct process *list = fenceline_run(0, "jobs", "list", "--json", "--quiet", "--worker", worker);
    if ((int)files_count_lines(list->out.bytes) != lines)
        LIB_FAIL("--worker %s: %s", worker, list->out.bytes);
    process_release(list);
}

static void test_names_of_workers(void **state)
{
    (void)state;
    insert_many("ep", NULL, 4);
    db_exec(fenceline.db,
            "UPDATE fenceline.jobs j SET worker = w FROM unnest('{worker@alpha:11,worker@alpha:12,"
            "worker@alphabet:11,import@alpha:11}'::text[]) WITH ORDINALITY AS u (w, n)"
            " WHERE n = job_id - (SELECT min(job_id) - 1 FROM fenceline.jobs)");
    assert_listed("worker@alpha:11", 1);
    assert_listed("alpha:11:0a1b2c", 1); /* as `worker list` shows it */
    assert_listed("alpha:11", 1);
    assert_listed("alpha", 2);
    assert_listed("worker", 3);
    assert_listed("import", 1);
    assert_listed("alph", 0);
    assert_listed("alpha:1", 0);
    assert_listed("", 0);
    assert_listed("%", 0);
    assert_listed("alpha:11:zzzzzz", 0);
}

/* Few among many are found without reading the many. */
static void test_plans(void **state)
{
    (void)state;
    static const struct {
        const char *outcome, *episode, *index;
    } CASES[] = {
        {"open", NULL, "jobs_open"},
        {"failed", NULL, "jobs_in_trouble"},
        {"cancelled", NULL, "jobs_in_trouble"},
        {NULL, NULL, "jobs_pkey"},
        {"imported", NULL, "jobs_pkey"},
        {NULL, "few", "jobs_by_episode"},
        {"imported", "few", "jobs_by_episode"},
    };
    insert_many("many", "imported", 30000);
    insert_many("few", "failed", 20);
    insert_many("few", NULL, 20);
    db_exec(fenceline.db, "ANALYZE fenceline.jobs");
    for (size_t i = 0; i < COUNT(CASES); i++) {
        char *plan = db_text(fenceline.db,
                             "EXPLAIN (FORMAT JSON) SELECT * FROM fenceline.jobs_matching($1, $2, NULL, NULL,"
                             " NULL, NULL) j ORDER BY job_id DESC LIMIT 101",
                             CASES[i].outcome, CASES[i].episode);
        if (!strstr(plan, CASES[i].index) || strstr(plan, "Seq Scan"))
            LIB_FAIL("case %zu without %s: %s", i, CASES[i].index, plan);
        free(plan);
    }
}

/* Sessions of workers and commands have a search path of their own. */
static void test_search_path(void **state)
{
    (void)state;
    decided("a", "failed");
    enqueue("b");
    db_exec(fenceline.db, "SET search_path = pg_catalog");
    static const char *const CALLS[] = {
        "SELECT count(*) FROM fenceline.jobs_matching('failed', 'a', 'chapters', 'w', 'x', 0)",
        "SELECT count(fenceline.job_state(j)) FROM fenceline.retry_chain(1) j",
        "SELECT count(*) FROM fenceline.retry_jobs('{1,2,3}', false)",
        "SELECT count(*) FROM fenceline.cancel_jobs('{1,2,3}', 'why')",
        "SELECT fenceline.purge_jobs(0, 'failed', 10)",
        "SELECT fenceline.set_paused(true, 'who', 'why')::integer",
    };
    for (size_t i = 0; i < COUNT(CALLS); i++)
        db_int(fenceline.db, CALLS[i]);
    db_exec(fenceline.db, "RESET search_path");
    assert_int_equal(fenceline_count_jobs("failed"), 0);
}

/* What is wrong on the command line is told as such, though no server could be asked. */
static void test_usage_comes_first(void **state)
{
    (void)state;
    char dsn[SERVICES_DSN_BYTES];
    services_dsn_on_port(fenceline.dsn, services_free_port(), dsn);
    fenceline.postgres_dsn = dsn;
    const char *const *const COMMANDS[] = {
        WORDS("jobs", "list", "--limit", "0"),
        WORDS("jobs", "list", "--limit", "1000001"),
        WORDS("jobs", "list", "--error", "\xff"),
        WORDS("jobs", "show", "x"),
        WORDS("jobs", "retry", "1", "x"),
        WORDS("jobs", "retry", "--outcome", "imported"),
        WORDS("jobs", "cancel"),
        WORDS("jobs", "cancel", "1", "--kind", "chapters"),
        WORDS("jobs", "cancel", "--outcome", "failed"),
        WORDS("jobs", "purge"),
        WORDS("jobs", "purge", "--older-than", "1d", "--outcome", "open"),
        WORDS("jobs", "pause", "--reason", "\xc3"),
        WORDS("worker", "--reason", "x"),
    };
    for (size_t i = 0; i < COUNT(COMMANDS); i++) {
        struct process *wrong = fenceline_run_spec(2, .argv = COMMANDS[i]);
        fenceline_assert_not_err(wrong, "Postgres");
        process_release(wrong);
    }
    fenceline_run(6, "jobs", "list");
}

/* What an operator was told of survives a crash of the server, whatever the role's default is. */
static void test_durable(void **state)
{
    static const char *const CALLS[] = {
        "SELECT count(*) FROM fenceline.retry_jobs('{1}', false)",
        "SELECT count(*) FROM fenceline.cancel_jobs('{1}', NULL)",
        "SELECT fenceline.set_paused(false, 'me', NULL)::integer",
        "SELECT (fenceline.break_claim('e', 0, 0, NULL, NULL, NULL, 'me', NULL, false, false)).new_fence",
    };
    (void)state;
    enqueue("e");
    for (size_t i = 0; i < COUNT(CALLS); i++) {
        db_exec(fenceline.db, "BEGIN");
        db_exec(fenceline.db, "SET LOCAL synchronous_commit = off");
        db_int(fenceline.db, CALLS[i]);
        char *now = db_text(fenceline.db, "SELECT current_setting('synchronous_commit')");
        assert_string_equal(now, "on");
        free(now);
        db_exec(fenceline.db, "ROLLBACK");
    }
}

/* A dispatcher asks each time it is woken, so what that costs must not grow with the number of jobs that
 * wait: some are due, some scheduled for later, and of both only the first are looked at. */
static void test_dispatch_reads_few_rows(void **state)
{
    static const char READ[] = "SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_xact_user_tables"
                               " WHERE relid = 'fenceline.jobs'::regclass";
    enum { WAITING = 2000, TAKEN = 5 };
    (void)state;
    db_exec(fenceline.db,
            "INSERT INTO fenceline.jobs (episode_id, kind, source, not_before)"
            " SELECT 'e' || n, 'chapters', 'x', CASE WHEN n % 2 = 0 THEN now() + interval '1 hour' END"
            "   FROM generate_series(1, $1::integer) n",
            id_of(WAITING));
    db_exec(fenceline.db, "BEGIN");
    db_exec(fenceline.db, "SET LOCAL enable_seqscan = off");
    int64_t before = db_int(fenceline.db, READ);
    assert_int_equal(db_int(fenceline.db, "SELECT count(id) FROM fenceline.dispatch_jobs(0, $1::integer, 0)",
                            id_of(TAKEN)),
                     TAKEN);
    int64_t rows = db_int(fenceline.db, READ) - before;
    db_exec(fenceline.db, "ROLLBACK");
    assert_in_range(rows, TAKEN, 10 * TAKEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FENCELINE_TEST(test_chain),
        FENCELINE_TEST(test_body),
        FENCELINE_TEST(test_retries_at_once),
        FENCELINE_TEST(test_deadlock),
        FENCELINE_TEST(test_twice_the_same),
        FENCELINE_TEST(test_wrong_id_at_the_end),
        FENCELINE_TEST(test_jobs_that_come_later),
        FENCELINE_TEST(test_purges_at_once),
        FENCELINE_TEST(test_notifications),
        FENCELINE_TEST(test_names_of_workers),
        FENCELINE_TEST(test_plans),
        FENCELINE_TEST(test_dispatch_reads_few_rows),
        FENCELINE_TEST(test_search_path),
        FENCELINE_TEST(test_durable),
        FENCELINE_TEST(test_usage_comes_first),
    };
    return cmocka_run_group_tests(tests, fenceline_start_group, fenceline_stop_group);
}
