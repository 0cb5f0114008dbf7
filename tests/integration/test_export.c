/*
 * `show --format`: what was imported is written again, read by `check --rows`, imported under another
 * episode, and compared with the first in SQL; the samples of the repository, those of the shared folder
 * where it is present (as in test_samples.c), and rows that are hostile to one format or another.
 *
 * Happy path: nothing is told on stderr, rows and checksums are equal. Failure modes: the rows that stderr
 * names must be exactly those that differ.
 */
#include "../lib/fenceline.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, FILES_MAX = 512, LISTED_BYTES = 4096 };

static const char *const TRANSCRIPT_FORMATS[] = {"json", "srt", "vtt", NULL};
static const char *const CHAPTERS_FORMATS[] = {"chapters", NULL};

/* Numbers of the rows that differ or stand on one side only: "0,3,4". */
static const char DIFFERENT_SEGMENTS[] =
    "SELECT coalesce(string_agg(order_index::text, ',' ORDER BY order_index), '') FROM"
    " (SELECT * FROM fenceline.transcript_segments WHERE episode_id = $1) a FULL JOIN"
    " (SELECT * FROM fenceline.transcript_segments WHERE episode_id = $2) b USING (order_index)"
    " WHERE (a.start_ms, a.end_ms, a.speaker, a.body)"
    "       IS DISTINCT FROM (b.start_ms, b.end_ms, b.speaker, b.body)";
static const char DIFFERENT_CHAPTERS[] =
    "SELECT coalesce(string_agg(order_index::text, ',' ORDER BY order_index), '') FROM"
    " (SELECT * FROM fenceline.chapters WHERE episode_id = $1) a FULL JOIN"
    " (SELECT * FROM fenceline.chapters WHERE episode_id = $2) b USING (order_index)"
    " WHERE (a.start_ms, a.end_ms, a.title, a.url, a.img, a.toc, a.location)"
    "       IS DISTINCT FROM (b.start_ms, b.end_ms, b.title, b.url, b.img, b.toc, b.location)";

/* The folder of the repository: where the tests are started, or above the test program. */
static char *repository_path(const char *relative)
{
    if (access(relative, R_OK) == 0)
        return realpath(relative, NULL);
    char own[PATH_BYTES];
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

/* ---- one way there and back ---- */

/* The rows that a warning on stderr names, each once, as DIFFERENT_* lists them. */
static void list_told(const char *err, char listed[LISTED_BYTES])
{
    static const char MARK[] = ", row ";
    long before = -1;
    size_t used = 0;
    listed[0] = '\0';
    for (const char *at = strstr(err, MARK); at != NULL; at = strstr(at + 1, MARK)) {
        long row = atol(at + strlen(MARK));
        if (row == before)
            continue;
        used += (size_t)snprintf(listed + used, LISTED_BYTES - used, "%s%ld", used ? "," : "", row);
        assert_true(used < LISTED_BYTES);
        before = row;
    }
}

/* Two runs more for each trip; the files of the repository are enough for that. */
static bool also_check = true;

static char *rows_of(const char *json_line)
{
    cJSON *object = cJSON_Parse(json_line);
    assert_true(cJSON_IsObject(object));
    cJSON *rows = cJSON_GetObjectItemCaseSensitive(object, "rows");
    assert_true(cJSON_IsArray(rows));
    char *text = cJSON_PrintUnformatted(rows);
    cJSON_Delete(object);
    return text;
}

/* `check --rows` of the file says what `show --json` says of the episode. */
static void assert_checked_rows(const char *episode, const char *kind, const char *path)
{
    struct process *check = fenceline_run(0, "check", "--rows", "--json", path);
    struct process *show = fenceline_run(0, "show", "--json", episode, kind);
    char *checked = rows_of(check->out.bytes), *shown = rows_of(show->out.bytes);
    assert_string_equal(checked, shown);
    cJSON_free(checked);
    cJSON_free(shown);
    process_release(check);
    process_release(show);
}

static char *sum_of(const char *episode, const char *kind)
{
    return db_text(fenceline.db,
                   "SELECT encode(sha256, 'hex') FROM fenceline.documents"
                   " WHERE episode_id = $1 AND kind = $2",
                   episode, kind);
}

/* The checksum is over the location as the file spells it, and jsonb keeps neither order nor spelling. */
static bool has_location(const char *episode)
{
    return db_int(fenceline.db,
                  "SELECT count(*) FROM fenceline.chapters WHERE episode_id = $1 AND location IS NOT NULL",
                  episode) > 0;
}

/* Writes, checks, imports as "<episode>/<format>", compares. Returns whether everything came back. */
static bool trip(const char *episode, const char *kind, const char *format)
{
    char copy[512], told[LISTED_BYTES];
    snprintf(copy, sizeof copy, "%s/%s", episode, format);
    struct process *show = fenceline_run(0, "show", episode, "--format", format);
    bool is_silent = show->err.size_bytes == 0;
    list_told(show->err.bytes, told);
    char *path = files_write(fenceline.folder, "written", show->out.bytes, show->out.size_bytes);
    process_release(fenceline_run(0, "import", "--quiet", "--episode", copy, "--kind", kind, path));
    bool is_chapters = strcmp(kind, "chapters") == 0;
    char *different =
        db_text(fenceline.db, is_chapters ? DIFFERENT_CHAPTERS : DIFFERENT_SEGMENTS, episode, copy);
    if (strcmp(different, told) != 0 || is_silent != (told[0] == '\0'))
        LIB_FAIL("%s as %s: rows %s differ, and told are %s: %s", episode, format, different, told,
                 show->err.bytes);
    if (is_silent) {
        char *before = sum_of(episode, kind), *after = sum_of(copy, kind);
        if (!is_chapters || !has_location(episode))
            assert_string_equal(before, after);
        free(before);
        free(after);
        if (also_check)
            assert_checked_rows(episode, kind, path);
    }
    free(different);
    free(path);
    process_release(show);
    return is_silent;
}

static size_t trip_all(const char *episode, const char *kind)
{
    size_t exact = 0;
    const char *const *formats = strcmp(kind, "chapters") == 0 ? CHAPTERS_FORMATS : TRANSCRIPT_FORMATS;
    for (; *formats; formats++)
        exact += trip(episode, kind, *formats);
    return exact;
}

/* ---- the samples ---- */

/* All files below the folder that can be imported, each as an episode of its own, there and back. Returns how
 * many; *exact = trips that lost nothing, *trips = all. */
static size_t trip_folder(const char *folder, size_t *exact, size_t *trips)
{
    const char *argv[FILES_MAX + 4] = {fenceline_binary(), "check", "--json"};
    struct process *find = process_run(
        &(struct process_spec){.argv = (const char *const[]){"find", folder, "-type", "f", NULL}}, 10000);
    char *rest = NULL, *list = strdup(find->out.bytes);
    size_t count = 3, imported = 0;
    for (char *path = strtok_r(list, "\n", &rest); path != NULL; path = strtok_r(NULL, "\n", &rest)) {
        assert_true(count < FILES_MAX);
        argv[count++] = path;
    }
    *exact = *trips = 0;
    struct process *check = process_run(&(struct process_spec){.argv = argv}, FENCELINE_RUN_MS);
    for (char *line = strtok_r(check->out.bytes, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        cJSON *object = cJSON_Parse(line);
        const char *path = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "file"));
        const char *kind = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "kind"));
        assert_non_null(path);
        if (kind != NULL) {
            const char *episode = path + strlen(folder) + 1;
            process_release(
                fenceline_run(0, "import", "--quiet", "--episode", episode, "--kind", kind, path));
            *exact += trip_all(episode, kind);
            *trips += strcmp(kind, "chapters") == 0 ? 1 : 3;
            imported++;
        }
        cJSON_Delete(object);
    }
    process_release(check);
    free(list);
    process_release(find);
    return imported;
}

static void test_samples(void **state)
{
    (void)state;
    size_t exact, trips;
    char *folder = repository_path("tests/samples");
    assert_non_null(folder);
    fenceline_use_fast(true);
    assert_int_equal(trip_folder(folder, &exact, &trips), 9);
    assert_int_equal(trips, 3 + 6 * 3);
    /* Of ep44, timed text, the last end is not known: SubRip and WebVTT cannot say so. */
    assert_int_equal(exact, trips - 2);
    fenceline_assert_clean();
    free(folder);
}

static void test_shared_samples(void **state)
{
    (void)state;
    const char *given = getenv("FENCELINE_SHARED_SAMPLES");
    char *folder = given != NULL ? realpath(given, NULL) : repository_path("../shared/samples");
    if (folder == NULL) {
        print_message("skip: no folder of shared samples (FENCELINE_SHARED_SAMPLES, or ../shared/samples)\n");
        skip();
    }
    size_t exact, trips;
    fenceline_use_fast(true);
    also_check = false;
    assert_true(trip_folder(folder, &exact, &trips) >= 20);
    also_check = true;
    assert_int_equal(exact, trips); /* real files hold nothing that a format cannot carry */
    fenceline_assert_clean();
    free(folder);
}

/* ---- rows that are hostile to a format ---- */

static void import_text(const char *episode, const char *name, const char *text)
{
    char *path = files_write_text(fenceline.folder, name, text);
    process_release(fenceline_run(0, "import", "--quiet", "--episode", episode, path));
    free(path);
}

static void test_hostile_rows(void **state)
{
    (void)state;
    import_text(
        "ep1", "a.transcript.json",
        "{\"version\":\"1.0.0\",\"segments\":["
        "{\"startTime\":0,\"endTime\":1,\"body\":\"a\\n\\n2\\n00:00:01,000 --> 00:00:02,000\\nb\"},"
        "{\"startTime\":1,\"endTime\":2,\"body\":\"<i>x</i> &amp; {b} <v Bob>y\"},"
        "{\"startTime\":2,\"endTime\":3,\"speaker\":\"Ann\",\"body\":\"Bob: 42\\n42\"},"
        "{\"startTime\":3,\"endTime\":4,\"body\":\"Bob: x\"},"                         /* 3: srt */
        "{\"startTime\":4,\"endTime\":5,\"body\":\" leading\"},"                       /* 4: srt, vtt */
        "{\"startTime\":5,\"endTime\":6,\"body\":\"cr\\rlf\\r\\nend\"},"               /* 5: srt */
        "{\"startTime\":6,\"endTime\":7,\"speaker\":\"a  b\",\"body\":\"x\"},"         /* 6: srt, vtt */
        "{\"startTime\":7,\"endTime\":8,\"speaker\":\"a: b\",\"body\":\"x\\u2028y\"}," /* 7: srt */
        "{\"startTime\":9,\"endTime\":9,\"body\":\"\\u001b[31m\\u0085 \\u202e\"},"
        "{\"startTime\":9,\"speaker\":\"\\u001b[31m\\u202e:\",\"body\":\"x\"}," /* 9: srt, vtt (no end) */
        "{\"startTime\":9,\"body\":\"y\"}]}");                                  /* 10: srt, vtt */
    assert_int_equal(trip_all("ep1", "transcript"), 1);

    struct process *srt = fenceline_run(0, "show", "ep1", "--format", "srt");
    fenceline_assert_err(srt, "ep1 transcript, row 3: warning: the speaker null is read back as \"Bob\"");
    fenceline_assert_err(srt, "ep1 transcript, row 10: warning: no end is stored, but 14000 ms is read back");
    fenceline_assert_not_err(srt, "row 0:");
    fenceline_assert_not_err(srt, "row 1:");
    fenceline_assert_not_err(srt, "row 2:");
    fenceline_assert_not_err(srt, "row 8:");
    fenceline_assert_not_err(srt, "\033");
    fenceline_assert_not_err(srt, "\xe2\x80\xae");
    struct process *vtt = fenceline_run(0, "show", "ep1", "transcript", "--format=vtt");
    fenceline_assert_err(vtt, "row 4: warning: the text is read back without white space around it");
    fenceline_assert_not_err(vtt, "row 3:");

    struct process *quiet = fenceline_run(0, "show", "ep1", "--format", "srt", "--quiet");
    assert_int_equal(quiet->err.size_bytes, 0);
    assert_string_equal(quiet->out.bytes, srt->out.bytes);
}

static void test_chapters(void **state)
{
    (void)state;
    /* Numbers that jsonb writes out in full: more digits than an import takes, unless they get back their
     * exponent. */
    import_text("ep2", "b.chapters.json",
                "{\"version\":\"1.2.0\",\"chapters\":["
                "{\"startTime\":0.001,\"title\":\"a\\r\\n\\u2028\\\"<>&\",\"toc\":false,\"url\":\"\","
                "\"location\":{\"name\":\"x\\u007f\\n\",\"geo\":[1e999,-25e-900,0.5,0e-500]}},"
                "{\"startTime\":5},{\"startTime\":5,\"title\":\" \",\"img\":\"i\",\"location\":{}},"
                "{\"startTime\":360000}]}");
    assert_true(trip("ep2", "chapters", "chapters"));
    struct process *first = fenceline_run(0, "show", "ep2", "--format", "chapters");
    struct process *second = fenceline_run(0, "show", "ep2/chapters", "--format", "chapters");
    assert_string_equal(first->out.bytes, second->out.bytes);
    fenceline_assert_out(first, "\"geo\":[1e999,-25e-900,0.5,0]");
}

/* What other SQL has put there is told as well, or written exactly. */
static void test_rows_of_other_programs(void **state)
{
    (void)state;
    free(fenceline_write_transcript("ep3", "x", 5));
    process_release(fenceline_run(0, "import", "--quiet", "ep3.srt"));
    db_exec(fenceline.db, "UPDATE fenceline.transcript_segments SET body = '' WHERE order_index = 1");
    db_exec(fenceline.db, "UPDATE fenceline.transcript_segments SET end_ms = NULL WHERE order_index = 2");
    db_exec(fenceline.db, "UPDATE fenceline.transcript_segments SET speaker = '' WHERE order_index = 3");
    db_exec(fenceline.db, "UPDATE fenceline.transcript_segments SET start_ms = 9000000000000000000,"
                          "       end_ms = 9000000000000000001 WHERE order_index = 4");
    struct process *vtt = fenceline_run(0, "show", "ep3", "--format", "vtt");
    fenceline_assert_err(vtt, "row 1: warning: the row is not read back");
    fenceline_assert_err(vtt, "row 2: warning: no end is stored");
    fenceline_assert_err(vtt, "row 3: warning: the speaker \"\" is read back as null");
    fenceline_assert_err(vtt, "row 4: warning: the row is not read back");
    fenceline_assert_out(vtt, "2500000000000:00:00.000 --> 2500000000000:00:00.001\nx segment 4\n");
    assert_int_equal(files_count_lines(vtt->err.bytes), 4);
    struct process *json = fenceline_run(0, "show", "ep3", "--format", "json");
    fenceline_assert_err(json, "ep3 transcript: warning: an import would refuse the document");
    fenceline_assert_out(json, "\"body\":\"x segment 4\"}");
}

/* ---- what is asked ---- */

static void assert_refused(int exit_code, const char *message, const char *const *argv)
{
    struct process *process =
        fenceline_finish(fenceline_start(&(struct process_spec){.argv = argv}), exit_code);
    fenceline_assert_err(process, message);
    assert_int_equal(process->out.size_bytes, 0);
    process_release(process);
}

static void test_refusals(void **state)
{
    (void)state;
    const struct {
        int exit_code;
        const char *message, *argv[7];
    } CASES[] = {
        {1, "ep4: no transcript imported", {"show", "ep4", "--format", "json"}},
        {1, "ep4: no chapters imported", {"show", "ep4", "--format", "chapters"}},
        {1, "ep5: no transcript imported", {"show", "ep5", "--format", "vtt"}},
        {1, "ep5: no chapters imported", {"show", "ep5", "chapters", "--format", "chapters"}},
        {2, "contradicts 'chapters': use --format chapters", {"show", "ep5", "chapters", "--format", "srt"}},
        {2, "contradicts 'chapters': use --format chapters", {"show", "ep5", "chapters", "--format", "json"}},
        {2, "contradicts 'transcript': use", {"show", "ep5", "transcript", "--format", "chapters"}},
        {2,
         "unknown format 'timed-text'; --format takes json, srt, vtt or chapters",
         {"show", "ep5", "--format", "timed-text"}},
        {2, "--json contradicts --format", {"show", "ep5", "--json", "--format", "srt"}},
        {2, "--format needs a value", {"show", "ep5", "--format"}},
    };
    free(fenceline_write_chapters("ep5", "x", 2)); /* and deleted again */
    process_release(fenceline_run(0, "import", "--quiet", "ep5.chapters.json"));
    process_release(fenceline_run(0, "delete", "--quiet", "ep5"));
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_refused(CASES[i].exit_code, CASES[i].message, CASES[i].argv);
}

/* A kind that was given and fits; the other kind of the same episode does not get in between. */
static void test_kinds(void **state)
{
    (void)state;
    free(fenceline_write_chapters("ep6", "x", 2));
    free(fenceline_write_transcript("ep6", "y", 2));
    process_release(fenceline_run(0, "import", "--quiet", "ep6.chapters.json", "ep6.srt"));
    struct process *chapters = fenceline_run(0, "show", "ep6", "--format", "chapters");
    fenceline_assert_out(chapters, "x chapter 1");
    fenceline_assert_not_out(chapters, "y segment");
    struct process *srt = fenceline_run(0, "show", "--format", "srt", "ep6", "transcript");
    assert_string_equal(srt->out.bytes, "1\n00:00:00,000 --> 00:00:09,500\ny segment 0\n\n"
                                        "2\n00:00:10,000 --> 00:00:19,500\ny segment 1\n");
    assert_int_equal(srt->err.size_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FENCELINE_TEST(test_samples),
        FENCELINE_TEST(test_shared_samples),
        FENCELINE_TEST(test_hostile_rows),
        FENCELINE_TEST(test_chapters),
        FENCELINE_TEST(test_rows_of_other_programs),
        FENCELINE_TEST(test_refusals),
        FENCELINE_TEST(test_kinds),
    };
    return cmocka_run_group_tests(tests, fenceline_start_group, fenceline_stop_group);
}
