/*
 * Chaos: real workers, imports, enqueuers and an operator on real servers, while everything fails that can.
 *
 * Without arguments a fixed run for `make check`. `test_chaos SEED SECONDS [verbose]` is `make chaos`: rounds
 * of at most a minute and a half, each with a database of its own, until the time is over. After each round
 * faults end, a calm load runs, every job must get its outcome, and the checker (a program that knows only
 * the database and the log) judges all that has happened. The seed decides which fault comes when, on whom
 * and for how long; the processes themselves are not deterministic, so that a seed repeats the weather and
 * not the run.
 */
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "faults.h"
#include "load.h"
#include "stage.h"

enum {
    CHECK_SEED = 6,
    CHECK_MS = 22000,
    ROUND_MS = 90000,
    SHORTEST_ROUND_MS = 5000,
    OPEN_JOBS = 300,
    CALM_JOBS = 96,
    FEWEST_FAULTS = 10,
    SLOWEST = 4,
    FEWEST_UNDER_FAULTS = 100,
    FEWEST_JUDGED = CALM_JOBS + FEWEST_UNDER_FAULTS,
    STILL_MS = 60000,
    TICK_MS = 4,
    CHECKER_MS = 300000,
};

static uint64_t seed = CHECK_SEED;
static int64_t run_ms = CHECK_MS;
static bool is_verbose, is_check = true;
static uint64_t judged;

/* ---- the end of a round ---- */

static int64_t ask(const char *sql)
{
    char *value = stage_value(sql);
    int64_t number = value ? strtoll(value, NULL, 10) : -1;
    free(value);
    return number;
}

static void fail_open(int64_t open)
{
    char *jobs = stage_value("SELECT string_agg(format('%s %s attempts %s dispatched %s error %s', job_id,"
                             " episode_id, attempts, dispatched_at, last_error), E'\\n') FROM (SELECT * FROM"
                             " fenceline.jobs WHERE outcome IS NULL AND queued ORDER BY job_id LIMIT 10) j");
    print_error("%s\n", jobs ? jobs : "");
    free(jobs);
    stage_print_state();
    LIB_FAIL("%" PRId64 " jobs are still open after a minute without faults and without progress", open);
}

static void await_decided(void)
{
    int64_t open, before = -1, since_ms = process_now_ms();
    while ((open = ask("SELECT count(*) FROM fenceline.jobs WHERE outcome IS NULL AND queued")) != 0) {
        if (open != before)
            since_ms = process_now_ms();
        before = open;
        if (process_now_ms() - since_ms > STILL_MS)
            fail_open(open);
        load_collect();
        load_break_long_lease();
        stage_mend_workers();
        process_sleep_ms(20);
    }
}

/* Imports whose processes were killed are decided by a worker a day later: that day passes here at once. */
static void age_orphans(void)
{
    stage_sql("UPDATE fenceline.jobs SET created_at = created_at - interval '2 days' WHERE outcome IS NULL");
    if (stage_sql("SELECT fenceline.tidy_jobs(0, 100000)") < 0)
        LIB_FAIL("tidy_jobs: %s", PQerrorMessage(fenceline.db));
}

/* The longest that this process did not get to run, while a load runs without faults. */
static int64_t run_calm(int64_t *after_job)
{
    int64_t longest_ms = 0, before_ms = process_now_ms();
    *after_job = load_calm(CALM_JOBS);
    while (ask("SELECT count(*) FROM fenceline.jobs WHERE outcome IS NULL AND queued") > 0) {
        int64_t now_ms = process_now_ms();
        longest_ms = now_ms - before_ms > longest_ms ? now_ms - before_ms : longest_ms;
        before_ms = now_ms;
        process_sleep_ms(TICK_MS);
        if (longest_ms > STILL_MS)
            break;
    }
    await_decided();
    return longest_ms;
}

static void stop_workers(void)
{
    for (int i = 0; i < WORKERS; i++) {
        struct worker *worker = &stage.workers[i];
        if (process_ended(worker->process, 0))
            continue;
        process_signal(worker->process, SIGTERM);
        process_wait_code(worker->process, 0, STILL_MS);
    }
}

static void look_for_reports(void)
{
    for (int i = 0; i < WORKERS; i++) {
        char *log = files_read(stage.workers[i].log_path, NULL);
        char *found = strstr(log, "Sanitizer");
        found = found ? found : strstr(log, "runtime error:");
        if (found)
            LIB_FAIL("worker %d: %.2000s", i, found);
        free(log);
    }
    assert_int_equal(stage.died, 0);
}

/* ---- the checker ---- */

static void run_checker(uint64_t round_seed, const char *log_path)
{
    char path[PATH_MAX] = "";
    assert_true(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
    char *program = files_join(dirname(path), "checker");
    const char *argv[3 + MONITORS + 1] = {program, fenceline.dsn, log_path};
    for (int i = 0; i < stage.monitor_count; i++)
        argv[3 + i] = stage.monitor_logs[i];
    struct process *checker = process_run(&(struct process_spec){.argv = argv}, CHECKER_MS);
    files_print(checker->out.bytes, checker->out.size_bytes);
    files_print(checker->err.bytes, checker->err.size_bytes);
    const char *at = strstr(checker->out.bytes, " imports judged:");
    while (at && at > checker->out.bytes && at[-1] >= '0' && at[-1] <= '9')
        at--;
    uint64_t now_judged = at ? strtoull(at, NULL, 10) : 0;
    judged += now_judged;
    if (checker->exit_code != 0)
        LIB_FAIL("the checker has found something (seed %" PRIu64 ")", round_seed);
    if (now_judged < FEWEST_JUDGED)
        LIB_FAIL("%" PRIu64 " imports are too few to judge anything by", now_judged);
    process_release(checker);
    free(program);
}

/* ---- a round ---- */

static void run_round(uint64_t round_seed, int64_t duration_ms)
{
    char *log_path = files_join(fenceline.folder, "events");
    FILE *log = fopen(log_path, "we");
    assert_non_null(log);
    stage_start();
    load_start(round_seed, log);
    faults_plan(round_seed, duration_ms, is_verbose);
    int64_t began_ms = process_now_ms(), after_job = 0;
    int64_t now_ms = 0; /* on a busy machine it takes longer until there is something to judge */
    for (; now_ms < duration_ms || (load_enqueued() < FEWEST_UNDER_FAULTS && now_ms < SLOWEST * duration_ms);
         now_ms = process_now_ms() - began_ms) {
        faults_step(now_ms);
        load_step(OPEN_JOBS);
        process_sleep_ms(TICK_MS);
    }
    faults_end();
    int64_t ended_ms = process_now_ms();
    await_decided();
    while (load_collect() > 0) {
        load_break_long_lease();
        process_sleep_ms(TICK_MS);
    }
    await_decided();
    age_orphans();
    int64_t settled_ms = process_now_ms() - ended_ms, longest_ms = run_calm(&after_job);
    if (longest_ms < LEASE_MS / 4) /* or the machine was too busy to blame the program */
        fprintf(log, "calm %" PRId64 "\n", after_job);
    faults_log(log);
    fclose(log);
    stop_workers();
    stage_end_monitors();
    print_message("seed %" PRIu64 ": %" PRId64 " ms with faults; then all was decided within %" PRId64
                  " ms; calm: this process waited %" PRId64 " ms at most\n",
                  round_seed, duration_ms, settled_ms, longest_ms);
    run_checker(round_seed, log_path);
    look_for_reports();
    load_stop();
    stage_stop();
    free(log_path);
}

static void test_chaos(void **state)
{
    (void)state;
    int64_t left_ms = run_ms - (is_check ? 0 : 1);
    for (uint64_t round_seed = seed; left_ms > 0; round_seed++) {
        int64_t duration_ms = left_ms < ROUND_MS + SHORTEST_ROUND_MS ? left_ms : ROUND_MS;
        if (round_seed > seed) {
            fenceline_stop_test(state);
            fenceline_start_test(state);
        }
        run_round(round_seed, duration_ms);
        left_ms -= duration_ms;
    }
    print_message("%" PRIu64 " imports judged in all, under these faults:\n", judged);
    faults_print_totals();
    assert_true(faults_count() >= FEWEST_FAULTS);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {FENCELINE_TEST(test_chaos)};
    if (argc > 2) {
        is_check = false;
        seed = strtoull(argv[1], NULL, 10);
        run_ms = strtoll(argv[2], NULL, 10) * 1000;
        is_verbose = argc > 3;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    return cmocka_run_group_tests(tests, fenceline_start_group, fenceline_stop_group);
}
