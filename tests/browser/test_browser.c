/*
 * The status page in a real browser (page.py): three sizes, light and dark, by keyboard, with texts that try
 * to become markup. Screenshots go to the folder that the program is given. Its own target (make browser),
 * since chromium is big.
 */
#include "../lib/fleet.h"

#include <stdio.h>
#include <string.h>

static const char *folder;

static const char *const HOSTILE[] = {
    "<img src=x onerror=\"window.owned=1\">",   "\"><svg onload=window.owned=2>",
    "</script><script>window.owned=3</script>", "javascript:window.owned=4//\xe2\x80\xae gpj.exe",
    "<b>bold</b>{{7*7}}${window.owned=5}",
};

enum { HOSTILE_COUNT = sizeof HOSTILE / sizeof *HOSTILE };

/* Failures, leases and a worker of such names, and an hour with all outcomes. */
static void make_hostile_world(void)
{
    db_exec(fenceline.db,
            "INSERT INTO fenceline.jobs (episode_id, kind, source, outcome, started_at, finished_at, token, "
            "lease_ms,"
            "                            claim_ms, load_ms, created_at)"
            " SELECT 'ep' || g, 'chapters', 'x', (ARRAY['imported', 'unchanged', 'rejected', 'invalid'])[1 + "
            "g % 7 % 4],"
            "        at - interval '400 ms', at, g, 20, 5, 200, at - interval '1 s'"
            "   FROM (SELECT g, now() - g % 3600 * interval '1 s' AS at FROM generate_series(1, 4000) g) x");
    for (size_t i = 0; i < HOSTILE_COUNT; i++) {
        db_exec(
            fenceline.db,
            "INSERT INTO fenceline.jobs (episode_id, kind, source, outcome, message, finished_at, attempts)"
            " VALUES ($1, 'chapters', 'x', 'failed', $1 || repeat(' and a long reason', 30), now(), 10)",
            HOSTILE[i]);
        fenceline_set_lease(HOSTILE[i], HOSTILE[i], 600000);
        rdb_exec(fenceline.redis, "HSET fenceline:{queue}:info %s %s", HOSTILE[i],
                 "{\"host\":\"<i>host</i>\",\"state\":\"<script>window.owned=6</"
                 "script>\",\"slots\":4,\"started\":\"<b>\"}");
        rdb_exec(fenceline.redis, "ZADD fenceline:{queue}:workers %lld %s", 1LL << 50, HOSTILE[i]);
    }
}

static void test_page(void **state)
{
    (void)state;
    char url[64];
    static const char WORDS[] = "status page: ";
    fenceline_use_fast(true);
    struct process *worker =
        fleet_start_worker_with((const char *const[]){"FENCELINE_HTTP_LISTEN=127.0.0.1:0", NULL});
    make_hostile_world();
    process_wait_for_output(worker, WORDS, FLEET_WAIT_MS);
    assert_int_equal(sscanf(strstr(worker->err.bytes, WORDS) + strlen(WORDS), "%63s", url), 1);
    struct process *look = process_run(
        &(struct process_spec){.argv = (const char *const[]){"tests/browser/page.py", url, folder, NULL}},
        240000);
    if (look->exit_code != 0)
        process_print(look);
    assert_int_equal(look->exit_code, 0);
    for (size_t i = 0; i < HOSTILE_COUNT; i++)
        fenceline_drop_lease(HOSTILE[i]);
    fleet_stop_worker(worker);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {FENCELINE_TEST(test_page)};
    folder = argc > 1 ? argv[1] : "build/browser";
    return cmocka_run_group_tests(tests, fenceline_start_group, fenceline_stop_group);
}
