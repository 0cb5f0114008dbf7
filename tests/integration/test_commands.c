/*
 * The commands as a user sees them: import, check, delete, show, history, migrate, help and version; what
 * goes to which stream, in which form, with which exit code; and an end by Ctrl-C that leaves nothing open.
 *
 * Happy path: run, compare the output with the product's description and the rows with the file. Failure
 * modes: tests that need something "in the middle" wait until the database shows that it is there, and fail
 * if the program is done before.
 */
#include "../lib/fenceline.h"
#include "../lib/proxy.h"

#include <cjson/cJSON.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ROWS = 5, MANY = 600 };

static struct proxy proxy;

static int stop_test(void **state)
{
    process_release_all();
    proxy_stop(&proxy);
    return fenceline_stop_test(state);
}

static char *write_text(const char *name, const char *text)
{
    return files_write_text(fenceline.folder, name, text);
}

/* ---- import ---- */

static void test_one_and_many(void **state)
{
    (void)state;
    free(fenceline_write_chapters("one", "one", ROWS));
    struct process *one = fenceline_run(0, "import", "one.chapters.json");
    fenceline_assert_out(one, "one: 5 chapters imported, version 1");
    assert_int_equal(files_count_lines(one->out.bytes), 1);
    fenceline_assert_chapters("one", "one", ROWS);

    free(fenceline_write_chapters("two", "two", 1));
    free(fenceline_write_transcript("two", "words", 3));
    struct process *many = fenceline_run(0, "import", "two.chapters.json", "two.srt");
    fenceline_assert_out(many, "two: 1 chapter imported");
    fenceline_assert_out(many, "two: 3 segments imported");
    assert_int_equal(files_count_lines(many->out.bytes), 2);
    fenceline_assert_err(many, "2 imported");
    fenceline_assert_chapters("two", "two", 1);
    fenceline_assert_transcript("two", "words", 3);
    fenceline_assert_clean();
}

static void test_folder_tree(void **state)
{
    (void)state;
    free(fenceline_write_chapters("tree/a", "a", ROWS));
    free(fenceline_write_transcript("tree/deep/er/b", "b", ROWS));
    free(fenceline_write_chapters("tree/deep/c", "c", ROWS));
    free(write_text("tree/readme.md", "not for import"));
    free(write_text("tree/deep/cover.jpg", "not for import"));
    fenceline_run(0, "import", "tree");
    fenceline_assert_chapters("a", "a", ROWS);
    fenceline_assert_transcript("b", "b", ROWS);
    fenceline_assert_chapters("c", "c", ROWS);
    assert_int_equal(fenceline_count("jobs"), 3);
    fenceline_assert_clean();
}

static void test_standard_input(void **state)
{
    (void)state;
    char *path = fenceline_write_chapters("piped", "piped", ROWS);
    char *text = files_read(path, NULL);
    struct process *piped = fenceline_run_spec(
        0, .argv = (const char *const[]){"import", "--episode", "other", "--kind", "chapters", "-", NULL},
        .input = text, .input_bytes = strlen(text));
    fenceline_assert_out(piped, "other: 5 chapters imported");
    fenceline_assert_chapters("other", "piped", ROWS);
    struct process *nameless = fenceline_run_spec(2, .argv = (const char *const[]){"import", "-", NULL},
                                                  .input = text, .input_bytes = strlen(text));
    fenceline_assert_err(nameless, "--episode");
    fenceline_assert_err(nameless, "--kind");
    assert_int_equal(fenceline_count("jobs"), 1);
    free(text);
    free(path);
}

/* Episode and kind come from the name, or from the folder. */
static void test_names(void **state)
{
    (void)state;
    static const char srt[] = "1\n00:00:00,000 --> 00:00:09,500\nnames segment 0\n";
    static const char vtt[] = "WEBVTT\n\n00:00.000 --> 00:09.500\nnames segment 0\n";
    static const char json[] = "{\"version\":\"1.0.0\",\"segments\":[{\"startTime\":0,\"endTime\":9.5,"
                               "\"body\":\"names segment 0\"}]}";
    static const char chapters[] = "{\"version\":\"1.2.0\",\"chapters\":[{\"startTime\":0,"
                                   "\"title\":\"names chapter 0\"}]}";
    static const struct {
        const char *name, *text, *episode;
        bool is_chapters;
    } names[] = {
        {"n1.chapters.json", chapters, "n1", true},
        {"n2.srt", srt, "n2", false},
        {"n3.vtt", vtt, "n3", false},
        {"n4.transcript.json", json, "n4", false},
        {"chapters/n6.json", chapters, "n6", true},
        {"transcript/n7.vtt", vtt, "n7", false},
        {"transcript/n8.json", json, "n8", false},
        {"a.b.c.srt", srt, "a.b.c", false},
        {"show 12.vtt", srt, "show 12", false}, /* the content counts first, the name second */
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        free(write_text(names[i].name, names[i].text));
    free(write_text("n5.transcript.txt", "[00:00:00]\nnames segment 0\n"));
    fenceline_run(0, "import", ".");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].is_chapters)
            fenceline_assert_chapters(names[i].episode, "names", 1);
        else
            fenceline_assert_transcript(names[i].episode, "names", 1);
    }
    char *format = db_text(fenceline.db, "SELECT format FROM fenceline.documents WHERE episode_id = 'n5'");
    assert_string_equal(format, "timed-text");
    free(format);

    free(write_text("unclear.json", chapters));
    struct process *unclear = fenceline_run(4, "import", "unclear.json");
    fenceline_assert_err(unclear, "--episode");
    fenceline_run(0, "import", "--episode", "clear", "--kind", "chapters", "unclear.json");
    fenceline_assert_chapters("clear", "names", 1);
    fenceline_assert_clean();
}

static void test_modes(void **state)
{
    (void)state;
    char *a = fenceline_write_chapters("a/ep", "a", 3);
    char *b = fenceline_write_chapters("b/ep", "b", 4);
    struct process *refused = fenceline_run(3, "import", "--mode", "if-version", "--if-version", "5", a);
    fenceline_assert_err(refused, "ep: no chapters imported");
    fenceline_run(0, "import", "--if-version", "0", a);
    fenceline_assert_chapters("ep", "a", 3);
    fenceline_run(3, "import", "--if-version", "0", b);
    fenceline_run(3, "import", b);
    fenceline_run(3, "import", "--mode", "create", a); /* even the same content */
    fenceline_assert_chapters("ep", "a", 3);

    struct process *same = fenceline_run(0, "import", "--mode", "replace", a);
    fenceline_assert_out(same, "unchanged");
    fenceline_assert_outcome("ep", NULL, "unchanged");
    int64_t version = db_int(fenceline.db, "SELECT version FROM fenceline.documents");
    fenceline_run(0, "import", "--mode", "replace", b);
    fenceline_assert_chapters("ep", "b", 4);
    int64_t next = db_int(fenceline.db, "SELECT version FROM fenceline.documents");
    assert_true(next > version);

    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)version);
    refused = fenceline_run(3, "import", "--if-version", text, a);
    snprintf(text, sizeof text, "%lld", (long long)next);
    fenceline_assert_err(refused, "--if-version");
    fenceline_assert_err(refused, text);
    fenceline_run(0, "import", "--if-version", text, a);
    fenceline_assert_chapters("ep", "a", 3);
    fenceline_run(2, "import", "--mode", "if-version", a);
    fenceline_run(2, "import", "--mode", "replace", "--if-version", "3", a);
    fenceline_run(2, "import", "--mode", "always", a);
    fenceline_assert_clean();
    free(a);
    free(b);
}

/* ---- delete, show, history ---- */

static void test_delete(void **state)
{
    (void)state;
    free(fenceline_write_chapters("ep", "a", 3));
    free(fenceline_write_transcript("ep", "a", 4));
    fenceline_run(0, "import", "ep.chapters.json", "ep.srt");
    struct process *one = fenceline_run(0, "delete", "ep", "chapters");
    fenceline_assert_out(one, "ep: chapters deleted");
    fenceline_assert_nothing("ep", "chapters");
    fenceline_assert_transcript("ep", "a", 4);
    fenceline_assert_outcome("ep", "chapters", "deleted");

    /* Now it may be created again, and be told from the first one by its version. */
    fenceline_run(0, "import", "ep.chapters.json");
    fenceline_assert_chapters("ep", "a", 3);
    struct process *both = fenceline_run(0, "delete", "ep");
    fenceline_assert_out(both, "ep: chapters deleted");
    fenceline_assert_out(both, "ep: transcript deleted");
    fenceline_assert_nothing("ep", NULL);
    assert_int_equal(fenceline_count("episodes"), 1);
    fenceline_run(0, "delete", "ep");
    fenceline_run(1, "show", "ep");
    fenceline_run(2, "delete", "ep", "pictures");
    fenceline_run(2, "delete");
    fenceline_assert_clean();
}

static void test_show_and_history(void **state)
{
    (void)state;
    free(fenceline_write_chapters("ep", "a", 2));
    free(fenceline_write_transcript("ep", "a", 2));
    fenceline_run(0, "import", "ep.chapters.json", "ep.srt");
    fenceline_run(3, "import", "ep.chapters.json");
    struct process *show = fenceline_run(0, "show", "ep");
    fenceline_assert_out(show, "a chapter 1");
    fenceline_assert_out(show, "a segment 1");
    show = fenceline_run(0, "show", "ep", "chapters");
    fenceline_assert_out(show, "a chapter 1");
    fenceline_assert_not_out(show, "a segment 1");
    struct process *nothing = fenceline_run(1, "show", "nosuch");
    assert_string_equal(nothing->out.bytes, "");
    fenceline_assert_err(nothing, "nosuch");

    struct process *history = fenceline_run(0, "history", "--json", "ep");
    assert_int_equal(files_count_lines(history->out.bytes), 3);
    const char *imported = strstr(history->out.bytes, "\"outcome\":\"imported\"");
    const char *rejected = strstr(history->out.bytes, "\"outcome\":\"rejected\"");
    assert_true(imported != NULL && rejected != NULL && imported < rejected);
    assert_int_equal(files_count_lines(fenceline_run(0, "history", "ep")->out.bytes), 4);
    fenceline_run(1, "history", "nosuch");
}

static void test_view(void **state)
{
    (void)state;
    free(fenceline_write_chapters("ep", "a", 3));
    free(write_text("ep.srt",
                    "1\n00:00:09,999 --> 00:00:12,000\nfirst\n\n2\n00:00:10,000 --> 00:00:11,000\nsecond\n\n"
                    "3\n01:00:00,000 --> 01:00:01,000\nlast\n"));
    fenceline_run(0, "import", "ep.srt");
    static const char view[] =
        "SELECT string_agg(body || ':' || coalesce(chapter_title, '-'), ' ' ORDER BY order_index)"
        "  FROM fenceline.segments_with_chapters WHERE episode_id = 'ep'";
    char *before = db_text(fenceline.db, view);
    assert_string_equal(before, "first:- second:- last:-");
    fenceline_run(0, "import", "ep.chapters.json");
    char *after = db_text(fenceline.db, view);
    assert_string_equal(after, "first:a chapter 0 second:a chapter 1 last:a chapter 2");
    free(before);
    free(after);
}

/* ---- what is written where ---- */

/* Every line of stdout is an object with these members, and nothing else. Returns the first. */
static cJSON *assert_json_lines(const struct process *process, size_t lines, const char *const *names)
{
    cJSON *first = NULL;
    size_t name_count = 0, count = 0;
    char *copy = strdup(process->out.bytes), *rest = NULL;
    while (names[name_count] != NULL)
        name_count++;
    for (char *line = strtok_r(copy, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        cJSON *object = cJSON_Parse(line);
        if (!cJSON_IsObject(object))
            LIB_FAIL("not an object: %s", line);
        for (size_t i = 0; i < name_count; i++) {
            if (!cJSON_HasObjectItem(object, names[i]))
                LIB_FAIL("no member '%s' in %s", names[i], line);
        }
        if ((size_t)cJSON_GetArraySize(object) != name_count)
            LIB_FAIL("%d members instead of %zu in %s", cJSON_GetArraySize(object), name_count, line);
        if (count++ == 0)
            first = object;
        else
            cJSON_Delete(object);
    }
    free(copy);
    assert_int_equal(count, lines);
    return first;
}

static void test_json(void **state)
{
    (void)state;
    static const char *const import[] = {"file",     "episode",    "kind",      "job_id",
                                         "outcome",  "version",    "row_count", "message",
                                         "warnings", "elapsed_ms", "exit_code", NULL};
    static const char *const dry[] = {"file",      "episode",   "kind",    "job_id",   "outcome",
                                      "version",   "row_count", "message", "warnings", "elapsed_ms",
                                      "exit_code", "dry_run",   NULL};
    static const char *const check[] = {"file",        "format", "kind",     "row_count", "first_start_ms",
                                        "last_end_ms", "sha256", "warnings", NULL};
    static const char *const error[] = {"file", "error", NULL};
    static const char *const status[] = {"version", "name", "state", "applied_at", NULL};
    free(fenceline_write_chapters("ep", "a", 3));
    free(fenceline_write_transcript("ep", "a", 3));
    free(write_text("bad.chapters.json", "[]"));
    cJSON_Delete(assert_json_lines(
        fenceline_run(0, "import", "--dry-run", "--json", "ep.chapters.json", "ep.srt"), 2, dry));
    struct process *all =
        fenceline_run(4, "import", "--json", "ep.chapters.json", "ep.srt", "bad.chapters.json");
    cJSON_Delete(assert_json_lines(all, 3, import));
    cJSON *refused = assert_json_lines(fenceline_run(3, "--json", "import", "ep.chapters.json"), 1, import);
    assert_string_equal(cJSON_GetObjectItem(refused, "outcome")->valuestring, "rejected");
    assert_string_equal(cJSON_GetObjectItem(refused, "episode")->valuestring, "ep");
    assert_string_equal(cJSON_GetObjectItem(refused, "file")->valuestring, "ep.chapters.json");
    assert_int_equal(cJSON_GetObjectItem(refused, "exit_code")->valueint, 3);
    assert_non_null(
        strstr(cJSON_GetObjectItem(refused, "message")->valuestring, "already imported (3 chapters"));
    cJSON_Delete(refused);
    cJSON *checked = assert_json_lines(fenceline_run(0, "check", "--json", "ep.chapters.json"), 1, check);
    assert_int_equal(cJSON_GetObjectItem(checked, "row_count")->valueint, 3);
    assert_int_equal(cJSON_GetObjectItem(checked, "last_end_ms")->valueint, 20000);
    cJSON_Delete(checked);
    cJSON_Delete(assert_json_lines(fenceline_run(4, "check", "--json", "bad.chapters.json"), 1, error));
    cJSON_Delete(assert_json_lines(fenceline_run(0, "migrate", "--status", "--json"),
                                   (size_t)fenceline_count("schema_versions"), status));
}

static void test_streams(void **state)
{
    (void)state;
    free(fenceline_write_chapters("ep", "a", 3));
    free(fenceline_write_transcript("ep", "a", 3));
    struct process *plain = fenceline_run(0, "import", "ep.chapters.json", "ep.srt");
    assert_int_equal(files_count_lines(plain->out.bytes), 2);
    assert_int_equal(files_count_lines(plain->err.bytes), 1);
    /* No terminal: no bar, no colour. */
    for (const char *c = "\r\x1b"; *c != '\0'; c++) {
        assert_null(strchr(plain->out.bytes, *c));
        assert_null(strchr(plain->err.bytes, *c));
    }
    struct process *quiet = fenceline_run(0, "import", "--quiet", "--mode", "replace", "ep.chapters.json");
    assert_string_equal(quiet->out.bytes, "");
    assert_string_equal(quiet->err.bytes, "");
    quiet = fenceline_run(3, "import", "-q", "ep.chapters.json");
    assert_string_equal(quiet->out.bytes, "");
    fenceline_assert_err(quiet, "already imported");
}

static void test_progress_bar(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++) {
        char episode[32];
        snprintf(episode, sizeof episode, "in/e%d", i);
        free(fenceline_write_chapters(episode, "a", 3));
    }
    struct process *terminal =
        fenceline_run_spec(0, .argv = (const char *const[]){"import", "--mode", "replace", "in", NULL},
                           .env = (const char *const[]){"TERM=xterm", NULL}, .terminal_streams = PROCESS_ERR,
                           .terminal_columns = 80, .terminal_rows = 24);
    fenceline_assert_err(terminal, "\r");
    fenceline_assert_err(terminal, "40");
    assert_int_equal(files_count_lines(terminal->out.bytes), 40);
    assert_null(strchr(terminal->out.bytes, '\r'));
    assert_null(strchr(terminal->out.bytes, '\x1b'));

    struct process *colourless = fenceline_run_spec(
        0, .argv = (const char *const[]){"import", "--no-color", "--mode", "replace", "in", NULL},
        .env = (const char *const[]){"TERM=xterm", NULL}, .terminal_streams = PROCESS_OUT | PROCESS_ERR,
        .terminal_columns = 80, .terminal_rows = 24);
    fenceline_assert_not_out(colourless, "\x1b[3");
    fenceline_assert_not_out(colourless, "\x1b[1m");
    assert_int_equal(fenceline_count("documents"), 40);
}

static void test_dry_run(void **state)
{
    (void)state;
    free(fenceline_write_chapters("old", "a", 3));
    free(fenceline_write_chapters("new", "a", 3));
    free(write_text("bad.chapters.json", "[]"));
    fenceline_run(0, "import", "old.chapters.json");
    rdb_exec(fenceline.redis, "FLUSHALL");
    static const char counts[] =
        "SELECT format('%s %s %s %s %s', (SELECT count(*) FROM fenceline.jobs),"
        " (SELECT count(*) FROM fenceline.documents), (SELECT count(*) FROM fenceline.chapters),"
        " (SELECT string_agg(e::text, ',') FROM fenceline.episodes e),"
        " (SELECT last_value FROM pg_sequences WHERE schemaname = 'fenceline'"
        "   AND sequencename LIKE 'jobs%'))";
    char *before = db_text(fenceline.db, counts);
    /* A lease of somebody else is no reason to wait either. */
    fenceline_set_lease("new", "import@elsewhere:4711", 60000);
    struct process *dry = fenceline_run(4, "import", "--dry-run", "old.chapters.json", "new.chapters.json",
                                        "bad.chapters.json");
    fenceline_assert_out(dry, "new: 3 chapters would be imported");
    fenceline_assert_err(dry, "old: chapters already imported (3 chapters");
    fenceline_assert_err(dry, "bad.chapters.json");
    fenceline_run(3, "import", "-n", "old.chapters.json");
    struct process *same = fenceline_run(0, "import", "-n", "--mode", "replace", "old.chapters.json");
    fenceline_assert_out(same, "unchanged");
    assert_int_equal(rdb_int(fenceline.redis, "DBSIZE"), 1);
    char *after = db_text(fenceline.db, counts);
    assert_string_equal(before, after);
    free(before);
    free(after);
}

/* The first of 6, 1, 4, 3, 5 that occurred. */
static void test_exit_code_order(void **state)
{
    (void)state;
    static const struct {
        int code;
        const char *files[6];
    } cases[] = {
        {0, {"fine.chapters.json"}},
        {5, {"fine.chapters.json", "held.chapters.json"}},
        {3, {"fine.chapters.json", "there.chapters.json"}},
        {3, {"held.chapters.json", "there.chapters.json"}},
        {4, {"there.chapters.json", "held.chapters.json", "bad.chapters.json"}},
        {4, {"bad.chapters.json", "there.chapters.json"}},
        {4, {"nosuch.chapters.json", "there.chapters.json", "fine.chapters.json"}},
        {1, {"poison.chapters.json", "bad.chapters.json", "there.chapters.json", "held.chapters.json"}},
        {1, {"there.chapters.json", "poison.chapters.json"}},
    };
    static const char *const one_attempt[] = {"FENCELINE_JOB_MAX_ATTEMPTS=2", NULL};
    free(fenceline_write_chapters("fine", "a", 3));
    free(fenceline_write_chapters("there", "a", 3));
    free(fenceline_write_chapters("held", "a", 3));
    free(fenceline_write_chapters("poison", "poison", 3));
    free(write_text("bad.chapters.json", "[]"));
    fenceline_run(0, "import", "there.chapters.json");
    fenceline_set_lease("held", "import@elsewhere:4711", 600000);
    db_exec(fenceline.db, "ALTER TABLE fenceline.chapters ADD CHECK (title NOT LIKE 'poison%')");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *argv[16] = {"import", "--wait-lock", "0"};
        memcpy(argv + 3, cases[i].files, sizeof cases[i].files);
        process_release(fenceline_run_spec(cases[i].code, .argv = argv, .env = one_attempt));
        process_release(fenceline_run(0, "delete", "fine"));
    }
    fenceline_assert_outcome("poison", NULL, "failed");
    fenceline_assert_nothing("poison", NULL);

    /* 6 comes before everything. */
    fenceline.redis_url = "redis://127.0.0.1:1";
    fenceline_run(6, "import", "bad.chapters.json", "fine.chapters.json", "there.chapters.json");
    fenceline_drop_lease("held");
    fenceline_assert_clean();
}

static void test_help_and_version(void **state)
{
    (void)state;
    static const char *const commands[] = {"import", "check", "migrate", "show", "history", "delete"};
    struct process *help = fenceline_run(0, "--help");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        char usage[64];
        snprintf(usage, sizeof usage, "Usage: fenceline %s", commands[i]);
        fenceline_assert_out(help, commands[i]);
        struct process *one = fenceline_run(0, commands[i], "--help");
        fenceline_assert_out(one, usage);
        fenceline_assert_out(one, "--postgres");
        assert_string_equal(one->err.bytes, "");
    }
    struct process *version = fenceline_run(0, "--version");
    assert_int_equal(files_count_lines(version->out.bytes), 1);
    fenceline_assert_out(version, "fenceline ");
    struct process *wrong = fenceline_run(2, "imprt", "x");
    fenceline_assert_err(wrong, "'import'");
    wrong = fenceline_run(2, "import", "--jbos", "3", "x");
    fenceline_assert_err(wrong, "'--jobs'");
    assert_string_equal(wrong->out.bytes, "");
    fenceline_run(2, "import");
    fenceline_run_spec(2, .argv = (const char *const[]){NULL});
    fenceline_run(2, "import", "--jobs", "0", "x");
    fenceline_run(2, "import", "--jobs", "many", "x");
}

/* Neither server is needed, and neither is asked. */
static void test_check_without_servers(void **state)
{
    (void)state;
    free(fenceline_write_chapters("ep", "a", 3));
    fenceline.redis_url = "redis://127.0.0.1:1";
    fenceline.postgres_dsn = "postgresql://127.0.0.1:1/none";
    struct process *check = fenceline_run(0, "check", "ep.chapters.json");
    fenceline_assert_out(check, "ep.chapters.json: chapters, 3 chapters (chapters-json)");
    struct process *rows = fenceline_run(0, "check", "--rows", "ep.chapters.json");
    cJSON *object = cJSON_Parse(rows->out.bytes);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(object, "rows")), 3);
    cJSON_Delete(object);
    fenceline_run(0, "check", ".");
}

/* ---- migrate ---- */

static void test_migrate(void **state)
{
    (void)state;
    static char dsn[SERVICES_DSN_BYTES];
    int64_t versions = fenceline_count("schema_versions");
    free(fenceline_write_chapters("ep", "a", 3));
    for (int round = 0; round < 5; round++) {
        services_new_database(&fenceline.services, dsn);
        fenceline.postgres_dsn = dsn;
        struct process *before = fenceline_run(0, "migrate", "--status");
        fenceline_assert_out(before, "pending");
        struct process *first = fenceline_launch("migrate");
        struct process *second = fenceline_launch("migrate");
        fenceline_finish(first, 0);
        fenceline_finish(second, 0);
        /* Together they applied each version once. */
        assert_int_equal(files_count_text(first->out.bytes, "applied ") +
                             files_count_text(second->out.bytes, "applied "),
                         versions);
        struct process *after = fenceline_run(0, "migrate", "--status");
        fenceline_assert_not_out(after, "pending");
        fenceline_run(0, "migrate");
        fenceline_run(0, "import", "ep.chapters.json");
    }
    /* The SQL by itself does the same. */
    services_new_database(&fenceline.services, dsn);
    struct process *sql = fenceline_run(0, "migrate", "--sql");
    fenceline_assert_out(fenceline_run(0, "migrate", "--status"), "pending");
    PGconn *conn = db_open(dsn);
    db_exec(conn, sql->out.bytes);
    assert_int_equal(db_int(conn, "SELECT count(*) FROM fenceline.schema_versions"), versions);
    db_close(conn);
    fenceline_assert_not_out(fenceline_run(0, "migrate", "--status"), "pending");
    fenceline_assert_not_out(fenceline_run(0, "migrate", "--sql"), "CREATE");
    fenceline_run(0, "import", "ep.chapters.json");
}

/* ---- Ctrl-C ---- */

static void write_many(void)
{
    for (int i = 0; i < MANY; i++) {
        char episode[32];
        snprintf(episode, sizeof episode, "many/m%d", i);
        free(fenceline_write_chapters(episode, "many", ROWS));
    }
}

static void await_documents(struct process *importer, int64_t count)
{
    while (fenceline_count("documents") < count) {
        if (process_ended(importer, 5)) {
            process_print(importer);
            LIB_FAIL("the import ended before it was in the middle");
        }
    }
}

static void stop_in_the_middle(int signal_number)
{
    write_many();
    struct process *importer = fenceline_launch("import", "many");
    await_documents(importer, 20);
    process_signal(importer, signal_number);
    fenceline_finish_within(importer, 130, 5000);
    int64_t stored = fenceline_count("documents");
    print_message("%d of %d were imported\n", (int)stored, MANY);
    assert_in_range(stored, 20, MANY - 1);
    assert_int_equal(fenceline_count_jobs("imported"), stored);
    assert_int_equal(files_count_text(importer->out.bytes, " imported, version"), stored);
    fenceline_assert_clean();

    fenceline_run(3, "import", "many");
    for (int i = 0; i < MANY; i++) {
        char episode[32];
        snprintf(episode, sizeof episode, "m%d", i);
        fenceline_assert_chapters(episode, "many", ROWS);
    }
    assert_int_equal(fenceline_count_jobs("imported"), MANY);
    fenceline_assert_clean();
}

static void test_interrupt(void **state)
{
    (void)state;
    stop_in_the_middle(SIGINT);
}

/* A service manager says it with SIGTERM: the same clean end. */
static void test_terminate(void **state)
{
    (void)state;
    stop_in_the_middle(SIGTERM);
}

/* One that waits for a lease stops at once, and decides its job. */
static void test_interrupt_while_waiting(void **state)
{
    (void)state;
    free(fenceline_write_chapters("held", "a", 3));
    fenceline_set_lease("held", "import@elsewhere:4711", 60000);
    struct process *importer = fenceline_launch("import", "--wait-lock", "50", "held.chapters.json");
    assert_false(process_ended(importer, 1000));
    process_signal(importer, SIGINT);
    fenceline_finish_within(importer, 130, 3000);
    fenceline_assert_outcome("held", NULL, "cancelled");
    fenceline_assert_nothing("held", NULL);
    fenceline_drop_lease("held");
    fenceline_assert_clean();
}

/* A clean stop needs the servers. Whoever does not want to wait for one that is silent presses again. */
static void test_second_interrupt(void **state)
{
    (void)state;
    static char dsn[SERVICES_DSN_BYTES];
    write_many();
    uint16_t port = proxy_start(&proxy, services_postgres_port(&fenceline.services));
    services_dsn_on_port(fenceline.dsn, port, dsn);
    fenceline.postgres_dsn = dsn;
    struct process *importer = fenceline_launch("import", "many");
    await_documents(importer, 20);
    proxy_block(&proxy, PROXY_SILENT);
    process_signal(importer, SIGINT);
    assert_false(process_ended(importer, 700));
    process_signal(importer, SIGINT);
    int code = process_wait(importer, 1500);
    assert_true(code == 130 || code == -SIGINT);
    proxy_stop(&proxy);
    fenceline_assert_consistent();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FENCELINE_TEST(test_one_and_many),
        FENCELINE_TEST(test_folder_tree),
        FENCELINE_TEST(test_standard_input),
        FENCELINE_TEST(test_names),
        FENCELINE_TEST(test_modes),
        FENCELINE_TEST(test_delete),
        FENCELINE_TEST(test_show_and_history),
        FENCELINE_TEST(test_view),
        FENCELINE_TEST(test_json),
        FENCELINE_TEST(test_streams),
        FENCELINE_TEST(test_progress_bar),
        FENCELINE_TEST(test_dry_run),
        FENCELINE_TEST(test_exit_code_order),
        FENCELINE_TEST(test_help_and_version),
        FENCELINE_TEST(test_check_without_servers),
        FENCELINE_TEST(test_migrate),
        FENCELINE_TEST(test_interrupt),
        FENCELINE_TEST(test_terminate),
        FENCELINE_TEST(test_interrupt_while_waiting),
        cmocka_unit_test_setup_teardown(test_second_interrupt, fenceline_start_test, stop_test),
    };
    return cmocka_run_group_tests(tests, fenceline_start_group, fenceline_stop_group);
}
