/* test_threads.c - sources are read and parsed in a pool of threads: the thread sanitizer watches a run of
 * many.
 *
 * Runs the build of the thread sanitizer (build/tsan/fenceline, or $FENCELINE_BIN_TSAN); without it the test
 * is skipped, visibly. The library fails a run whose output holds a sanitizer's report. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../lib/fenceline.h"

enum { EPISODES = 40, ROWS = 300 };

static bool has_tsan_build;

static void test_pool_threads_share_nothing(void **state)
{
    (void)state;
    if (!has_tsan_build) {
        print_message("skipped: no build of the thread sanitizer (make VARIANT=tsan)\n");
        skip();
    }
    char episode[32];
    for (int i = 0; i < EPISODES; i++) {
        snprintf(episode, sizeof episode, "many/ep%d", i);
        free(fenceline_write_chapters(episode, "tsan", ROWS));
        free(fenceline_write_transcript(episode, "tsan", ROWS));
    }
    char *bad = fenceline_write_chapters("many/bad", "tsan", 3);
    FILE *file = fopen(bad, "w");
    assert_non_null(file);
    fputs("{\"version\": \"1.2.0\", \"chapters\": [", file);
    fclose(file);
    free(bad);
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s/many", fenceline.folder);
    struct process *process = fenceline_run(4, "import", "--jobs", "16", folder);
    fenceline_assert_not_err(process, "ThreadSanitizer");
    assert_int_equal(db_int(fenceline.db, "SELECT count(*) FROM fenceline.chapters"), EPISODES * ROWS);
    assert_int_equal(db_int(fenceline.db, "SELECT count(*) FROM fenceline.transcript_segments"),
                     EPISODES * ROWS);
}

static void find_tsan_build(void)
{
    static char path[PATH_MAX];
    const char *given = getenv("FENCELINE_BIN_TSAN");
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 32);
    path[length > 0 ? length : 0] = '\0';
    for (int i = 0; i < 3 && strrchr(path, '/'); i++) /* build/test/integration/test_threads -> build */
        *strrchr(path, '/') = '\0';
    strcat(path, "/tsan/fenceline");
    if (!given)
        given = path;
    has_tsan_build = access(given, X_OK) == 0;
    if (has_tsan_build)
        setenv("FENCELINE_BIN", given, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {FENCELINE_TEST(test_pool_threads_share_nothing)};
    find_tsan_build();
    return cmocka_run_group_tests(tests, fenceline_start_group, fenceline_stop_group);
}
