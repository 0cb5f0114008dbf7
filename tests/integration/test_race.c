/*
 * Importers that race, as separate processes on real servers: of two simultaneous imports of one new episode
 * exactly one takes place, and the other says what is there; a lease of somebody else is waited for, and when
 * the wait is over without it, nothing has happened and the message names the holder.
 *
 * Happy path: processes are started as close together as the system allows, with different content, so that a
 * mixture of both would show. Failure modes: a test in which nothing raced proves nothing; so the pairs count
 * how often both jobs were open at once.
 */
#include "../lib/fenceline.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { PAIRS = 200, CROWD = 16, REPLACE_PAIRS = 15, KIND_PAIRS = 12, LEFT_ROWS = 12, RIGHT_ROWS = 9 };

static char *episode_path(const char *folder, const char *episode, const char *tag, int count)
{
    char name[64];
    snprintf(name, sizeof name, "%s/%s", folder, episode);
    return fenceline_write_chapters(name, tag, count);
}

/* One whole line of the text. An importer that lost the race late says that it starts over, before it
 * refuses. */
static bool has_line(const char *text, const char *line)
{
    size_t line_bytes = strlen(line);
    for (const char *at = text; (at = strstr(at, line)) != NULL; at++) {
        if ((at == text || at[-1] == '\n') && at[line_bytes] == '\n')
            return true;
    }
    return false;
}

/* The contract line of the product: episode, kind, what is there, since when, by which job, what to do; and
 * each figure is the truth of the database. */
static void assert_refusal(const struct process *refused, const char *episode, const char *rows)
{
    char *expected = db_text(
        fenceline.db,
        "SELECT format('%s: chapters already imported (%s, version %s, %s by job %s). Use --mode replace, or"
        " ''fenceline delete %s chapters''.', d.episode_id, $2::text, d.version,"
        " to_char(d.imported_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), d.job_id, d.episode_id)"
        "  FROM fenceline.documents d WHERE d.episode_id = $1 AND d.kind = 'chapters'",
        episode, rows);
    assert_non_null(expected);
    if (!has_line(refused->err.bytes, expected)) {
        process_print(refused);
        LIB_FAIL("the refusal should be the line '%s'", expected);
    }
    assert_string_equal(refused->out.bytes, "");
    free(expected);
}

/* Both ended: one imported, one refused. Returns the one that imported. */
static struct process *winner_of(struct process *left, struct process *right)
{
    int left_code = process_wait(left, FENCELINE_RUN_MS);
    int right_code = process_wait(right, FENCELINE_RUN_MS);
    if (!(left_code == 0 && right_code == 3) && !(left_code == 3 && right_code == 0)) {
        process_print(left);
        process_print(right);
        LIB_FAIL("exit codes %d and %d instead of 0 and 3", left_code, right_code);
    }
    return left_code == 0 ? left : right;
}

/* Two at once. Half of the pairs start as close together as two processes can; the other half is held at the
 * line: both have their job and have seen an empty episode, then both go. */
static void start_pair(struct process *processes[2], char *const paths[2], int first, bool is_held)
{
    const char *hold = is_held ? "FENCELINE_FAIL_POINT=before-lease:stop" : "LC_ALL=C";
    for (int k = 0; k < 2; k++) {
        int which = k == 0 ? first : !first;
        processes[which] = fenceline_start(&(struct process_spec){
            .argv = (const char *const[]){"import", paths[which], NULL},
            .env = (const char *const[]){hold, NULL},
        });
    }
    for (int k = 0; is_held && k < 2; k++)
        fenceline_await_stop(processes[k]);
    for (int k = 0; is_held && k < 2; k++)
        process_signal(processes[k == 0 ? first : !first], SIGCONT);
}

/* (a) and (b) of the acceptance: 200 pairs. */
static void test_pairs(void **state)
{
    (void)state;
    fenceline_use_fast(true);
    for (int i = 0; i < PAIRS; i++) {
        char episode[32];
        snprintf(episode, sizeof episode, "pair%d", i);
        char *paths[2] = {episode_path("left", episode, "left", LEFT_ROWS),
                          episode_path("right", episode, "right", RIGHT_ROWS)};
        int first = i % 2;
        struct process *processes[2];
        start_pair(processes, paths, first, i % 4 < 2);
        bool left_won = winner_of(processes[0], processes[1]) == processes[0];

        fenceline_assert_out(processes[!left_won], "chapters imported");
        assert_refusal(processes[left_won], episode, left_won ? "12 chapters" : "9 chapters");
        if (left_won)
            fenceline_assert_chapters(episode, "left", LEFT_ROWS);
        else
            fenceline_assert_chapters(episode, "right", RIGHT_ROWS);
        for (int k = 0; k < 2; k++) {
            process_release(processes[k]);
            free(paths[k]);
        }
    }
    assert_int_equal(fenceline_count_jobs("imported"), PAIRS);
    assert_int_equal(fenceline_count_jobs("rejected"), PAIRS);
    assert_int_equal(fenceline_count("jobs"), 2 * PAIRS);
    assert_int_equal(fenceline_count("documents"), PAIRS);
    fenceline_assert_clean();

    int64_t raced =
        db_int(fenceline.db, "SELECT count(*) FROM fenceline.jobs a JOIN fenceline.jobs b USING (episode_id)"
                             " WHERE a.outcome = 'imported' AND b.outcome = 'rejected'"
                             "   AND b.created_at < a.finished_at AND a.created_at < b.finished_at");
    print_message("%d of %d pairs had both jobs open at once\n", (int)raced, PAIRS);
    assert_true(raced >= PAIRS / 2);
}

/* Many at once: one imports, all others are told the same. */
static void test_crowd(void **state)
{
    (void)state;
    fenceline_use_fast(true);
    char *paths[CROWD];
    struct process *crowd[CROWD];
    int winner = -1;
    for (int i = 0; i < CROWD; i++) {
        char folder[32], tag[32];
        snprintf(folder, sizeof folder, "in%d", i);
        snprintf(tag, sizeof tag, "number%d", i);
        paths[i] = episode_path(folder, "crowded", tag, LEFT_ROWS + i);
    }
    for (int i = 0; i < CROWD; i++)
        crowd[i] = fenceline_launch("import", "--wait-lock", "50", paths[i]);
    for (int i = 0; i < CROWD; i++) {
        int code = process_wait(crowd[i], FENCELINE_RUN_MS);
        if (code == 0 && winner < 0)
            winner = i;
        else
            fenceline_finish(crowd[i], 3);
    }
    assert_true(winner >= 0);
    char tag[32], rows[32];
    snprintf(tag, sizeof tag, "number%d", winner);
    snprintf(rows, sizeof rows, "%d chapters", LEFT_ROWS + winner);
    fenceline_assert_chapters("crowded", tag, LEFT_ROWS + winner);
    for (int i = 0; i < CROWD; i++) {
        if (i != winner)
            assert_refusal(crowd[i], "crowded", rows);
        free(paths[i]);
    }
    assert_int_equal(fenceline_count_jobs("imported"), 1);
    assert_int_equal(fenceline_count_jobs("rejected"), CROWD - 1);
    fenceline_assert_clean();
}

/* The two kinds of an episode share its lease, and both succeed. */
static void test_both_kinds(void **state)
{
    (void)state;
    fenceline_use_fast(true);
    for (int i = 0; i < KIND_PAIRS; i++) {
        char episode[32];
        snprintf(episode, sizeof episode, "kinds%d", i);
        char *chapters = fenceline_write_chapters(episode, "here", 5);
        char *transcript = fenceline_write_transcript(episode, "there", 7);
        struct process *first = fenceline_launch("import", i % 2 ? chapters : transcript);
        struct process *second = fenceline_launch("import", i % 2 ? transcript : chapters);
        process_release(fenceline_finish(first, 0));
        process_release(fenceline_finish(second, 0));
        fenceline_assert_chapters(episode, "here", 5);
        fenceline_assert_transcript(episode, "there", 7);
        free(chapters);
        free(transcript);
    }
    assert_int_equal(db_int(fenceline.db,
                            "SELECT count(*) FROM fenceline.documents d JOIN fenceline.documents o"
                            " USING (episode_id, version) WHERE d.kind < o.kind"),
                     0);
    fenceline_assert_clean();
}

/* Replacements race too: each is applied or superseded, and the newest job's content stays. Every file has
 * content of its own: what "unchanged" means here is another test's question. */
static void test_replace_pairs(void **state)
{
    (void)state;
    fenceline_use_fast(true);
    for (int i = 0; i < REPLACE_PAIRS; i++) {
        char tags[2][32];
        char *paths[2];
        struct process *processes[2];
        for (int k = 0; k < 2; k++) {
            snprintf(tags[k], sizeof tags[k], "%s%d", k == 0 ? "left" : "right", i);
            paths[k] = episode_path(k == 0 ? "left" : "right", "again", tags[k], LEFT_ROWS);
        }
        for (int k = 0; k < 2; k++)
            processes[k] = fenceline_launch("import", "--mode", "replace", paths[k]);
        for (int k = 0; k < 2; k++) {
            if (process_wait(processes[k], FENCELINE_RUN_MS) != 0) {
                fenceline_finish(processes[k], 3);
                fenceline_assert_err(processes[k], "newer");
            }
            process_release(processes[k]);
        }
        char *newest =
            db_text(fenceline.db, "SELECT source FROM fenceline.jobs ORDER BY job_id DESC LIMIT 1");
        fenceline_assert_chapters("again", tags[strcmp(newest, paths[1]) == 0], LEFT_ROWS);
        free(newest);
        free(paths[0]);
        free(paths[1]);
    }
    assert_int_equal(fenceline_count_jobs("imported") + fenceline_count_jobs("superseded"),
                     2 * REPLACE_PAIRS);
    assert_int_equal(fenceline_count_jobs("unchanged"), 0);
    fenceline_assert_clean();
}

/* An import that has its job and then sleeps, while a newer one comes and goes. When it wakes it is too late:
 * the newer one was first asked for later, and what it left must stay. */
static struct process *start_sleeper(const char *mode, const char *path)
{
    struct process *sleeper = fenceline_start(&(struct process_spec){
        .argv = (const char *const[]){"import", "--mode", mode, path, NULL},
        .env = (const char *const[]){"FENCELINE_FAIL_POINT=before-lease:stop", NULL},
    });
    fenceline_await_stop(sleeper);
    return sleeper;
}

static void test_older_is_superseded(void **state)
{
    (void)state;
    char *old = episode_path("old", "again", "old", 5);
    char *new = episode_path("new", "again", "new", 6);
    struct process *sleeper = start_sleeper("replace", old);
    fenceline_run(0, "import", "--mode", "replace", new);
    process_signal(sleeper, SIGCONT);
    fenceline_finish(sleeper, 3);
    fenceline_assert_err(sleeper, "newer");
    fenceline_assert_chapters("again", "new", 6);
    assert_int_equal(fenceline_count_jobs("superseded"), 1);
    fenceline_assert_clean();
    free(old);
    free(new);
}

/* The newer job found its content there already: it is as newer as if it had written it. */
static void test_older_than_an_unchanged(void **state)
{
    (void)state;
    char *old = episode_path("old", "again", "old", 5);
    char *new = episode_path("new", "again", "new", 6);
    fenceline_run(0, "import", new);
    struct process *sleeper = start_sleeper("replace", old);
    struct process *unchanged = fenceline_run(0, "import", "--mode", "replace", new);
    fenceline_assert_out(unchanged, "unchanged");
    process_signal(sleeper, SIGCONT);
    process_wait(sleeper, FENCELINE_RUN_MS);
    fenceline_assert_chapters("again", "new", 6);
    fenceline_finish(sleeper, 3);
    fenceline_assert_clean();
    free(old);
    free(new);
}

/* A deletion is a job like any other: an older import does not bring the document back. */
static void test_older_than_a_deletion(void **state)
{
    (void)state;
    char *old = episode_path("old", "again", "old", 5);
    char *new = episode_path("new", "again", "new", 6);
    fenceline_run(0, "import", new);
    struct process *sleeper = start_sleeper("replace", old);
    fenceline_run(0, "delete", "again", "chapters");
    process_signal(sleeper, SIGCONT);
    fenceline_finish(sleeper, 3);
    fenceline_assert_err(sleeper, "newer");
    fenceline_assert_nothing("again", NULL);
    fenceline_assert_clean();
    free(old);
    free(new);
}

/* ---- a lease that somebody else holds ---- */

static void test_waits_for_release(void **state)
{
    (void)state;
    char *path = fenceline_write_chapters("held", "mine", 4);
    fenceline_set_lease("held", "import@elsewhere:4711", 60000);
    struct process *importer = fenceline_launch("import", "--wait-lock", "40", path);
    assert_false(process_ended(importer, 1500));
    fenceline_assert_nothing("held", NULL);
    assert_int_equal(fenceline_count_leases(), 1);

    fenceline_drop_lease("held");
    fenceline_finish_within(importer, 0, 5000);
    fenceline_assert_chapters("held", "mine", 4);
    fenceline_assert_clean();
    free(path);
}

static void test_waits_for_expiry(void **state)
{
    (void)state;
    char *path = fenceline_write_chapters("held", "mine", 4);
    fenceline_set_lease("held", "import@elsewhere:4711", 2000);
    int64_t since_ms = process_now_ms();
    struct process *importer = fenceline_launch("import", path);
    fenceline_finish_within(importer, 0, 10000);
    int64_t took_ms = process_now_ms() - since_ms;
    assert_in_range(took_ms, 1900, 6000);
    fenceline_assert_chapters("held", "mine", 4);
    fenceline_assert_clean();
    free(path);
}

/* A holder that releases wakes the one who waits: it need not look by itself. */
static void test_is_woken(void **state)
{
    (void)state;
    char *path = fenceline_write_chapters("woken", "mine", 4);
    struct process *holder = fenceline_start(&(struct process_spec){
        .argv = (const char *const[]){"import", path, NULL},
        .env = (const char *const[]){"FENCELINE_FAIL_POINT=after-claim:stop", "FENCELINE_LEASE_TTL_MS=60000",
                                     NULL},
    });
    fenceline_await_stop(holder);
    assert_int_equal(fenceline_count_leases(), 1);

    struct process *waiter = fenceline_start(&(struct process_spec){
        .argv = (const char *const[]){"import", "--wait-lock", "50", path, NULL},
        .env = (const char *const[]){"FENCELINE_LEASE_LOOK_MS=60000", NULL},
    });
    assert_false(process_ended(waiter, 1500));
    process_signal(holder, SIGCONT);
    fenceline_finish_within(holder, 0, 5000);
    fenceline_finish_within(waiter, 3, 5000);
    assert_refusal(waiter, "woken", "4 chapters");
    fenceline_assert_chapters("woken", "mine", 4);
    fenceline_assert_clean();
    free(path);
}

/* Exit 5: what is said, and that nothing happened. */
static void assert_busy(struct process *process, const char *mode)
{
    fenceline_finish_within(process, 5, 10000);
    fenceline_assert_err(process, "held: ");
    fenceline_assert_err(process, "import@elsewhere:4711");
    fenceline_assert_err(process, "--wait-lock");
    fenceline_assert_outcome("held", NULL, "cancelled");
    char *job_mode = db_text(fenceline.db, "SELECT mode FROM fenceline.jobs ORDER BY job_id DESC LIMIT 1");
    assert_string_equal(job_mode, mode);
    free(job_mode);
    assert_int_equal(fenceline_count_jobs("open"), 0);
    fenceline_assert_consistent();
    /* The lease of the other is as it was. */
    char *key = fenceline_lease_key("held");
    char *value = rdb_text(fenceline.redis, "GET %s", key);
    assert_non_null(value);
    assert_non_null(strstr(value, "import@elsewhere:4711"));
    free(value);
    free(key);
}

static void test_wait_runs_out(void **state)
{
    (void)state;
    char *path = fenceline_write_chapters("held", "mine", 4);
    fenceline_set_lease("held", "import@elsewhere:4711", 60000);
    int64_t since_ms = process_now_ms();
    assert_busy(fenceline_launch("import", "--wait-lock", "1", path), "create");
    assert_in_range(process_now_ms() - since_ms, 1000, 5000);
    fenceline_assert_nothing("held", NULL);
    assert_int_equal(fenceline_count("documents"), 0);

    since_ms = process_now_ms();
    assert_busy(fenceline_launch("import", "--wait-lock", "0", path), "create");
    assert_in_range(process_now_ms() - since_ms, 0, 2500);

    /* In JSON the same: a line with the outcome and the code. */
    struct process *json = fenceline_run(5, "import", "--json", "--wait-lock", "0", path);
    fenceline_assert_out(json, "\"exit_code\":5");
    fenceline_assert_out(json, "\"outcome\":\"cancelled\"");
    fenceline_assert_out(json, "import@elsewhere:4711");

    /* One that is held does not hold up the others of the same command. */
    char *other = fenceline_write_chapters("free", "mine", 4);
    fenceline_run(5, "import", "--wait-lock", "0", path, other);
    fenceline_assert_chapters("free", "mine", 4);

    fenceline_drop_lease("held");
    fenceline_run(0, "import", path);
    fenceline_assert_chapters("held", "mine", 4);
    fenceline_assert_clean();
    free(other);
    free(path);
}

static void test_delete_waits_too(void **state)
{
    (void)state;
    char *path = fenceline_write_chapters("held", "mine", 4);
    fenceline_run(0, "import", path);
    fenceline_set_lease("held", "import@elsewhere:4711", 60000);
    assert_busy(fenceline_launch("delete", "--wait-lock", "0", "held", "chapters"), "delete");
    fenceline_assert_chapters("held", "mine", 4);

    struct process *deletion = fenceline_launch("delete", "held", "chapters");
    assert_false(process_ended(deletion, 700));
    fenceline_drop_lease("held");
    fenceline_finish_within(deletion, 0, 5000);
    fenceline_assert_nothing("held", NULL);
    fenceline_assert_clean();
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FENCELINE_TEST(test_pairs),
        FENCELINE_TEST(test_crowd),
        FENCELINE_TEST(test_both_kinds),
        FENCELINE_TEST(test_replace_pairs),
        FENCELINE_TEST(test_older_is_superseded),
        FENCELINE_TEST(test_older_than_an_unchanged),
        FENCELINE_TEST(test_older_than_a_deletion),
        FENCELINE_TEST(test_waits_for_release),
        FENCELINE_TEST(test_waits_for_expiry),
        FENCELINE_TEST(test_is_woken),
        FENCELINE_TEST(test_wait_runs_out),
        FENCELINE_TEST(test_delete_waits_too),
    };
    return cmocka_run_group_tests(tests, fenceline_start_group, fenceline_stop_group);
}
