/*
 * The real files of the shared samples folder, compared with what tests/expected/shared_samples.tsv says
 * about them: kind, format, number of rows, first and last time. That table was derived without fenceline.
 * The folder is not part of the repository: $FENCELINE_SHARED_SAMPLES, else ../shared/samples beside the
 * repository; where it is absent, the tests say so and are skipped.
 *
 * Happy path: one "check --json" an entry of the table; then all good ones go into Postgres, each as an
 * episode of its own, and the counts are compared again. Failure modes: a file of the folder that the table
 * does not name, or the other way round, fails too, so that the two cannot drift apart.
 */
#include "../lib/fenceline.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ENTRIES_MAX = 256, ABSOLUTE_MAX = 4096 };

struct entry {
    char *path, *result, *kind, *format;
    long long row_count, first_start_ms, last_end_ms;
};

static struct entry entries[ENTRIES_MAX];
static size_t entry_count;
static char *table_text;
static char *samples; /* NULL: absent */

/* The folder of the repository: where the tests are started, or above the test program. */
static char *repository_path(const char *relative)
{
    if (access(relative, R_OK) == 0)
        return realpath(relative, NULL);
    char own[ABSOLUTE_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    assert_true(length > 0);
    own[length] = '\0';
    for (char *slash = strrchr(own, '/'); slash != NULL && slash != own; slash = strrchr(own, '/')) {
        *slash = '\0';
        char *path = files_join(own, relative);
        if (access(path, R_OK) == 0)
            return path;
        free(path);
    }
    return NULL;
}

static void read_table(void)
{
    char *path = repository_path("tests/expected/shared_samples.tsv");
    if (path == NULL)
        LIB_FAIL("there is no tests/expected/shared_samples.tsv");
    table_text = files_read(path, NULL);
    free(path);
    char *rest = NULL;
    for (char *line = strtok_r(table_text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        char *fields[8];
        size_t count = 0;
        if (line[0] == '#')
            continue;
        for (char *field = strsep(&line, "\t"); field != NULL && count < 8; field = strsep(&line, "\t"))
            fields[count++] = field;
        assert_true(count >= 7);
        assert_true(entry_count < ENTRIES_MAX);
        entries[entry_count++] = (struct entry){
            .path = fields[0],
            .result = fields[1],
            .kind = fields[2],
            .format = fields[3],
            .row_count = atoll(fields[4]),
            .first_start_ms = atoll(fields[5]),
            .last_end_ms = atoll(fields[6]),
        };
    }
    assert_true(entry_count > 50);
}

static int start_group(void **state)
{
    const char *given = getenv("FENCELINE_SHARED_SAMPLES");
    samples = given != NULL ? realpath(given, NULL) : repository_path("../shared/samples");
    if (samples == NULL)
        return 0;
    read_table();
    return fenceline_start_group(state);
}

static int stop_group(void **state)
{
    free(table_text);
    if (samples == NULL)
        return 0;
    free(samples);
    return fenceline_stop_group(state);
}

static int start_test(void **state)
{
    return samples != NULL ? fenceline_start_test(state) : 0;
}

static int stop_test(void **state)
{
    return samples != NULL ? fenceline_stop_test(state) : 0;
}

static void skip_without_samples(void)
{
    if (samples != NULL)
        return;
    print_message("skip: no folder of shared samples (FENCELINE_SHARED_SAMPLES, or ../shared/samples)\n");
    skip();
}

static bool is_good(const struct entry *entry)
{
    return strcmp(entry->result, "ok") == 0;
}

/* ---- comparing one object of "check --json" with an entry; returns the number of differences ---- */

static int differs_text(const struct entry *entry, const cJSON *object, const char *name,
                        const char *expected)
{
    const char *found = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    if (found != NULL && strcmp(found, expected) == 0)
        return 0;
    print_error("%s: %s is %s instead of %s\n", entry->path, name, found != NULL ? found : "missing",
                expected);
    return 1;
}

static int differs_number(const struct entry *entry, const cJSON *object, const char *name,
                          long long expected)
{
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(object, name);
    if (cJSON_IsNumber(found) && (long long)found->valuedouble == expected)
        return 0;
    print_error("%s: %s is %.0f instead of %lld\n", entry->path, name,
                cJSON_IsNumber(found) ? found->valuedouble : -1.0, expected);
    return 1;
}

static int differs(const struct entry *entry, const cJSON *object)
{
    bool has_error = cJSON_IsString(cJSON_GetObjectItemCaseSensitive(object, "error"));
    if (!is_good(entry)) {
        if (!has_error)
            print_error("%s: should be refused\n", entry->path);
        return !has_error;
    }
    if (has_error) {
        print_error("%s: refused: %s\n", entry->path,
                    cJSON_GetObjectItemCaseSensitive(object, "error")->valuestring);
        return 1;
    }
    return differs_text(entry, object, "kind", entry->kind) +
           differs_text(entry, object, "format", entry->format) +
           differs_number(entry, object, "row_count", entry->row_count) +
           differs_number(entry, object, "first_start_ms", entry->first_start_ms) +
           differs_number(entry, object, "last_end_ms", entry->last_end_ms);
}

static void test_check(void **state)
{
    (void)state;
    skip_without_samples();
    int wrong = 0;
    for (size_t i = 0; i < entry_count; i++) {
        char *path = files_join(samples, entries[i].path);
        struct process *check = fenceline_run(is_good(&entries[i]) ? 0 : 4, "check", "--json", path);
        assert_int_equal(files_count_lines(check->out.bytes), 1);
        cJSON *object = cJSON_Parse(check->out.bytes);
        assert_true(cJSON_IsObject(object));
        const char *file = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "file"));
        assert_non_null(file);
        assert_string_equal(file, path);
        wrong += differs(&entries[i], object);
        cJSON_Delete(object);
        process_release(check);
        free(path);
    }
    assert_int_equal(wrong, 0);
}

/* The table speaks of all files that are there. */
static void test_table_is_complete(void **state)
{
    (void)state;
    skip_without_samples();
    struct process *find = process_run(
        &(struct process_spec){.argv = (const char *const[]){"find", samples, "-type", "f", NULL}}, 10000);
    assert_int_equal(find->exit_code, 0);
    assert_int_equal(files_count_lines(find->out.bytes), entry_count);
}

/* All good ones, into Postgres: what the database counts is what the table says. */
static void test_import(void **state)
{
    (void)state;
    skip_without_samples();
    int wrong = 0, good = 0;
    fenceline_use_fast(true);
    for (size_t i = 0; i < entry_count; i++) {
        if (!is_good(&entries[i]))
            continue;
        char *path = files_join(samples, entries[i].path);
        process_release(fenceline_run(0, "import", "--quiet", "--episode", entries[i].path, "--kind",
                                      entries[i].kind, path));
        free(path);
        good++;
        bool is_chapters = strcmp(entries[i].kind, "chapters") == 0;
        char *stored = db_text(
            fenceline.db,
            is_chapters
                ? "SELECT concat_ws(' ', count(*), min(start_ms), coalesce(max(end_ms), max(start_ms)))"
                  "  FROM fenceline.chapters WHERE episode_id = $1"
                : "SELECT concat_ws(' ', count(*), min(start_ms), coalesce(max(end_ms), max(start_ms)))"
                  "  FROM fenceline.transcript_segments WHERE episode_id = $1",
            entries[i].path);
        char expected[128];
        snprintf(expected, sizeof expected, "%lld %lld %lld", entries[i].row_count, entries[i].first_start_ms,
                 entries[i].last_end_ms);
        if (strcmp(stored, expected) != 0) {
            print_error("%s: stored are '%s' instead of '%s'\n", entries[i].path, stored, expected);
            wrong++;
        }
        free(stored);
    }
    assert_int_equal(wrong, 0);
    assert_int_equal(fenceline_count("documents"), good);
    assert_int_equal(fenceline_count_jobs("imported"), good);
    fenceline_assert_clean();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_table_is_complete, start_test, stop_test),
        cmocka_unit_test_setup_teardown(test_check, start_test, stop_test),
        cmocka_unit_test_setup_teardown(test_import, start_test, stop_test),
    };
    return cmocka_run_group_tests(tests, start_group, stop_group);
}
