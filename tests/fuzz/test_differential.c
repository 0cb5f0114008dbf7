/* test_differential.c - a short run of differential.py with a fixed seed, in every run of the tests: SubRip
 * and WebVTT as fenceline reads them and as readers from Debian packages do. Skipped without those packages.
 *
 * The program is $FENCELINE_BIN, else "fenceline" in the folder above this test's own. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/process.h"

#define SEED  "1"
#define FILES "400"

enum { TIMEOUT_MS = 120000, READER_MISSING = 77 };

static const char *program(char path[PATH_MAX + 16])
{
    const char *given = getenv("FENCELINE_BIN");
    if (given)
        return given;
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
    assert_true(length > 0);
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    assert_non_null(slash);
    strcpy(slash, "/../fenceline");
    return path;
}

static void test_as_other_readers(void **state)
{
    char path[PATH_MAX + 16];
    (void)state;
    struct process *run =
        process_run(&(struct process_spec){.argv = (const char *const[]){"tests/fuzz/differential.py",
                                                                         program(path), SEED, FILES, NULL}},
                    TIMEOUT_MS);
    if (run->exit_code == READER_MISSING) {
        print_message("skip: %s\n", strtok(run->err.bytes, "\n"));
        process_release(run);
        skip();
    }
    if (run->exit_code != 0)
        process_print(run);
    assert_int_equal(run->exit_code, 0);
    /* It has compared something, and with each reader. */
    assert_non_null(strstr(run->out.bytes, "seed " SEED ": 800 files, "));
    assert_non_null(strstr(run->out.bytes, "python3-srt      valid"));
    assert_non_null(strstr(run->out.bytes, "python3-pysrt    valid"));
    assert_non_null(strstr(run->out.bytes, "python3-webvtt   valid"));
    process_release(run);
}

static int stop(void **state)
{
    (void)state;
    process_release_all();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(test_as_other_readers, stop)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
