/* fleet.c - see fleet.h. */
#include "fleet.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SETTINGS = 8, ENV_MAX = 32, POLL_US = 20000, ID_BYTES = 24 };

static const char *const SHORT[SETTINGS] = {
    "FENCELINE_WORKER_SLOTS=4",           "FENCELINE_WORKER_HEARTBEAT_MS=200",
    "FENCELINE_WORKER_DEAD_MS=1000",      "FENCELINE_WORKER_SWEEP_MS=500",
    "FENCELINE_JOB_RETRY_BASE_MS=50",     "FENCELINE_JOB_RETRY_MAX_MS=400",
    "FENCELINE_POSTGRES_TIMEOUT_MS=5000", "FENCELINE_REDIS_TIMEOUT_MS=3000",
};

struct process *fleet_launch_worker(const char *const *env)
{
    const char *all[ENV_MAX];
    char root[512];
    size_t count = 0;
    snprintf(root, sizeof root, "FENCELINE_SOURCE_ROOT=%s", fenceline.folder);
    all[count++] = root;
    for (size_t i = 0; i < SETTINGS; i++)
        all[count++] = SHORT[i];
    for (const char *const *at = fenceline.env; at && *at; at++)
        all[count++] = *at;
    for (; env && *env; env++) {
        assert_true(count < ENV_MAX - 1);
        all[count++] = *env;
    }
    all[count] = NULL;
    return fenceline_start(
        &(struct process_spec){.argv = (const char *const[]){"worker", "--verbose", NULL}, .env = all});
}

void fleet_await_ready(struct process *worker)
{
    process_wait_for_output(worker, " ready (", FLEET_WAIT_MS);
}

struct process *fleet_start_worker_with(const char *const *env)
{
    struct process *worker = fleet_launch_worker(env);
    fleet_await_ready(worker);
    return worker;
}

void fleet_stop_worker(struct process *worker)
{
    process_signal(worker, SIGTERM);
    fenceline_finish(worker, 0);
}

void fleet_kill_worker(struct process *worker)
{
    process_signal(worker, SIGKILL);
    process_wait(worker, FLEET_WAIT_MS);
}

static int64_t only_id(const char *sql, const char *a, const char *b, const char *c, const char *d)
{
    return db_int(fenceline.db, sql, a, b, c, d);
}

int64_t fleet_enqueue(const char *episode, const char *kind, const char *source, const char *mode)
{
    return only_id("SELECT fenceline.enqueue($1, $2, source => $3, mode => $4)", episode, kind, source, mode);
}

int64_t fleet_enqueue_chapters(const char *episode, const char *tag, int count, const char *mode)
{
    char *path = fenceline_write_chapters("fleet-body", tag, count);
    char *text = files_read(path, NULL);
    int64_t id =
        only_id("SELECT fenceline.enqueue($1, 'chapters', body => convert_to($2, 'UTF8'), mode => $3,"
                " source => $4)",
                episode, text, mode, "body.chapters.json");
    unlink(path);
    free(text);
    free(path);
    return id;
}

char *fleet_outcome(int64_t job_id)
{
    char id[ID_BYTES];
    snprintf(id, sizeof id, "%" PRId64, job_id);
    return db_text(fenceline.db, "SELECT coalesce(outcome, 'open') FROM fenceline.jobs WHERE job_id = $1",
                   id);
}

static char *describe(int64_t job_id)
{
    char id[ID_BYTES];
    snprintf(id, sizeof id, "%" PRId64, job_id);
    return db_text(
        fenceline.db,
        "SELECT format('job %s %s: %s, attempts %s, message %s, last error %s, dispatched %s', job_id,"
        " episode_id, coalesce(outcome, 'open'), attempts, coalesce(message, '-'),"
        " coalesce(last_error, '-'), dispatched_at) FROM fenceline.jobs WHERE job_id = $1",
        id);
}

void fleet_await_outcome(int64_t job_id, const char *outcome)
{
    for (int64_t waited_us = 0; waited_us < (int64_t)FLEET_WAIT_MS * 1000; waited_us += POLL_US) {
        char *now = fleet_outcome(job_id);
        assert_non_null(now);
        bool is_there = strcmp(now, outcome) == 0, is_other = !is_there && strcmp(now, "open") != 0;
        free(now);
        if (is_there)
            return;
        if (is_other)
            break;
        process_sleep_ms(POLL_US / 1000);
    }
    fail_msg("waited for %s: %s", outcome, describe(job_id));
}

void fleet_await(int64_t expected, const char *sql)
{
    int64_t found = -1;
    for (int64_t waited_us = 0; waited_us < (int64_t)FLEET_WAIT_MS * 1000; waited_us += POLL_US) {
        found = db_int(fenceline.db, sql);
        if (found == expected)
            return;
        process_sleep_ms(POLL_US / 1000);
    }
    fail_msg("waited for %" PRId64 ", got %" PRId64 ": %s", expected, found, sql);
}

void fleet_await_all_decided(void)
{
    int64_t open = -1, before = -1;
    /* As long as it goes on: the limit is for standing still. */
    for (int64_t waited_us = 0; waited_us < (int64_t)FLEET_WAIT_MS * 1000; waited_us += 5 * POLL_US) {
        open = db_int(fenceline.db, "SELECT count(*) FROM fenceline.jobs WHERE outcome IS NULL");
        if (open == 0)
            return;
        if (open != before)
            waited_us = 0;
        before = open;
        process_sleep_ms(5 * POLL_US / 1000);
    }
    char *which =
        db_text(fenceline.db,
                "SELECT string_agg(format('%s %s attempts %s dispatched %s error %s', job_id, episode_id,"
                " attempts, dispatched_at, last_error), E'\n') FROM (SELECT * FROM fenceline.jobs"
                " WHERE outcome IS NULL ORDER BY job_id LIMIT 10) j");
    fail_msg("%" PRId64 " jobs are still open, such as\n%s", open, which);
}

int64_t fleet_entries(void)
{
    static const char *const STREAMS[] = {"high", "normal", "low"};
    int64_t count = 0;
    for (size_t i = 0; i < 3; i++)
        count += rdb_int(fenceline.redis, "XLEN fenceline:{queue}:%s", STREAMS[i]);
    return count;
}

void fleet_assert_clean(void)
{
    for (int i = 0; fleet_entries() > 0 && i < 250; i++) /* the last acknowledgement is on its way */
        process_sleep_ms(POLL_US / 1000);
    assert_int_equal(fleet_entries(), 0);
    assert_int_equal(rdb_int(fenceline.redis, "HLEN fenceline:{queue}:entries"), 0);
    fenceline_assert_clean();
}
