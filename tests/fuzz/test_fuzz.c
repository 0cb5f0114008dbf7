/* test_fuzz.c - each target over its corpus and its regressions, without libFuzzer, in every run of the
 * tests.
 *
 * Each file is given as it is, and cut off at up to CUTS places: a cut-off input is the most common broken
 * one. A target that fails ends the program; the last line on standard error names the input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

#include "fuzz.h"

enum { CUTS = 24, FILE_MAX_BYTES = 1 << 20, PATH_BYTES = 512 };

typedef void fuzz_target(struct fl_slice input);

struct target {
    const char *name;
    fuzz_target *run;
};

static char told[PATH_BYTES + 64]; /* of the input that is being tried */

static void tell_input(void)
{
    ssize_t written = write(STDERR_FILENO, told, strlen(told));
    (void)written;
}

static void on_abort(int signal_number)
{
    (void)signal_number;
    tell_input();
    signal(SIGABRT, SIG_DFL);
}

static void try_input(const struct target *target, const char *path, struct fl_slice input)
{
    snprintf(told, sizeof told, "    input: the first %zu bytes of %s\n", input.len, path);
    char *exact = fuzz_exact(input);
    target->run((struct fl_slice){exact, input.len});
    free(exact);
}

static void try_file(const struct target *target, const char *path)
{
    FILE *file = fopen(path, "rb");
    char *bytes = malloc(FILE_MAX_BYTES);
    assert_non_null(file);
    assert_non_null(bytes);
    size_t length = fread(bytes, 1, FILE_MAX_BYTES, file);
    assert_true(feof(file));
    fclose(file);
    size_t step = length / CUTS + 1;
    for (size_t cut = 0; cut < length; cut += step)
        try_input(target, path, (struct fl_slice){bytes, cut});
    try_input(target, path, (struct fl_slice){bytes, length});
    free(bytes);
}

/* Returns how many files there are; a folder may be missing. */
static size_t try_folder(const struct target *target, const char *folder)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "tests/fuzz/%s/%s", folder, target->name);
    DIR *dir = opendir(path);
    if (!dir) {
        assert_int_equal(errno, ENOENT);
        return 0;
    }
    size_t count = 0;
    for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "tests/fuzz/%s/%s/%s", folder, target->name, entry->d_name);
        try_file(target, path);
        count++;
    }
    closedir(dir);
    return count;
}

static void test_target(void **state)
{
    const struct target *target = *state;
    size_t corpus = try_folder(target, "corpus"), regressions = try_folder(target, "regressions");
    print_message("%s: %zu files of the corpus, %zu regressions\n", target->name, corpus, regressions);
    assert_true(corpus >= 3);
}

int main(void)
{
    static struct target targets[] = {
#define X(name) {#name, fuzz_##name},
        FUZZ_TARGETS(X)
#undef X
    };
    enum { COUNT = sizeof targets / sizeof *targets };
    struct CMUnitTest tests[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        tests[i] = (struct CMUnitTest){targets[i].name, test_target, NULL, NULL, &targets[i]};
    signal(SIGABRT, on_abort);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_set_death_callback(tell_input);
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
