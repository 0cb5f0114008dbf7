/*
 * Input that is missing, unreadable, broken, hostile or of the wrong kind, and episode ids that try to be
 * something else. In each case: exit code 4 (2 where the command itself is wrong), one line that says what is
 * wrong and where, no rows, a job with the outcome "invalid" where there was a job, and the good file of the
 * same command is imported.
 *
 * Happy path: a table of files; all of them in one command, and each of them alone. Failure modes: a case
 * that the machine cannot make (permissions, for a test without an ordinary user to become) is skipped, and
 * says so.
 */
#include "../lib/fenceline.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROWS = 5, HUGE_BYTES = 100 * 1024 * 1024, DEEP = 100000 };

/* A file of the test's folder, of any bytes and any name. */
static void write_bytes(const char *name, const void *bytes, size_t size_bytes)
{
    free(files_write(fenceline.folder, name, bytes, size_bytes));
}

static void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

static void write_good(void)
{
    free(fenceline_write_chapters("good", "good", ROWS));
}

/* The line of standard error that speaks of this text; fails unless there is exactly one. malloc'ed. */
static char *line_about(const struct process *process, const char *text)
{
    char *found = NULL, *rest = NULL;
    char *copy = strdup(process->err.bytes);
    for (char *line = strtok_r(copy, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        if (strstr(line, text) == NULL)
            continue;
        if (found != NULL) {
            process_print(process);
            LIB_FAIL("more than one line about '%s'", text);
        }
        found = strdup(line);
    }
    free(copy);
    if (found == NULL) {
        process_print(process);
        LIB_FAIL("no line about '%s'", text);
    }
    return found;
}

static void assert_line(const struct process *process, const char *about, const char *text)
{
    char *line = line_about(process, about);
    if (strcasestr(line, text) == NULL) {
        process_print(process);
        LIB_FAIL("the line about '%s' should say '%s'", about, text);
    }
    free(line);
}

/* ---- files that are not what they should be ---- */

struct bad_file {
    const char *name;
    const char *bytes;
    size_t size_bytes; /* 0: up to the NUL */
    const char *says;  /* in the message */
};

static const struct bad_file bad_files[] = {
    {"empty.chapters.json", "", 0, "empty"},
    {"blank.chapters.json", "  \n\n\t ", 0, "JSON"},
    {"nul.chapters.json", "{\"chapters\":[{\"startTime\":0,\"title\":\"a\0b\"}]}", 44, "byte 39"},
    {"nultext.srt", "1\n00:00:01,000 --> 00:00:02,000\na\0b\n", 36, "byte 34"},
    {"latin.chapters.json", "{\"chapters\":[{\"startTime\":0,\"title\":\"caf\xe9\"}]}", 0, "byte 41"},
    {"latin.srt", "1\n00:00:01,000 --> 00:00:02,000\ncaf\xe9\n", 0, "byte 36"},
    {"overlong.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\n\xc0\xaf\n", 0, "UTF-8"},
    {"surrogate.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\n\xed\xa0\x80\n", 0, "UTF-8"},
    {"uescape.chapters.json", "{\"chapters\":[{\"startTime\":0,\"title\":\"a\\u0000b\"}]}", 0, "U+0000"},
    {"kind.chapters.json", "1\n00:00:01,000 --> 00:00:02,000\nHello\n", 0, "transcript"},
    {"kind.srt", "{\"chapters\":[{\"startTime\":0,\"title\":\"a\"}]}", 0, "chapters"},
    {"unknown.srt", "Dear diary, nothing happened.\n", 0, "line 1"},
    {"unknown.chapters.json", "<rss version=\"2.0\"></rss>\n", 0, "JSON"},
    {"cut.chapters.json", "{\"chapters\":[{\"startTime\":0,\"ti", 0, "byte"},
    {"after.chapters.json", "{\"chapters\":[{\"startTime\":0}]} x", 0, "byte"},
    {"none.chapters.json", "{\"chapters\":[]}", 0, "empty"},
    {"array.chapters.json", "[1,2,3]", 0, "object"},
    {"nochapters.chapters.json", "{\"version\":\"1.2.0\"}", 0, "chapters"},
    {"nostart.chapters.json", "{\"chapters\":[\n{\"title\":\"a\"}]}", 0, "line 2"},
    {"negative.chapters.json", "{\"chapters\":[\n\n{\"startTime\":-1}]}", 0, "line 3"},
    {"text.chapters.json", "{\"chapters\":[{\"startTime\":\"0\"}]}", 0, "number"},
    {"backward.chapters.json", "{\"chapters\":[{\"startTime\":9,\"endTime\":8}]}", 0, "end"},
    {"late.chapters.json", "{\"chapters\":[{\"startTime\":360001}]}", 0, "100 h"},
    {"nocues.vtt", "WEBVTT\n\nNOTE nothing here\n", 0, "no"},
    {"nosegments.transcript.json", "{\"segments\":[]}", 0, "empty"},
    {"nostamps.transcript.txt", "Marit: good evening\n", 0, "line 1"},
};
enum { BAD_FILES = sizeof bad_files / sizeof *bad_files };

static void write_bad_files(void)
{
    for (size_t i = 0; i < BAD_FILES; i++) {
        size_t size = bad_files[i].size_bytes != 0 ? bad_files[i].size_bytes : strlen(bad_files[i].bytes);
        write_bytes(bad_files[i].name, bad_files[i].bytes, size);
    }
}

/* The database after n broken files: n jobs that say so, and not a row. */
static void assert_all_invalid(int64_t jobs)
{
    assert_int_equal(fenceline_count_jobs("invalid"), jobs);
    assert_int_equal(fenceline_count("chapters") + fenceline_count("transcript_segments"), 0);
    assert_int_equal(fenceline_count("documents"), 0);
    assert_int_equal(
        db_int(fenceline.db, "SELECT count(*) FROM fenceline.jobs WHERE coalesce(message, '') = ''"), 0);
    fenceline_assert_clean();
}

static void test_each_alone(void **state)
{
    (void)state;
    write_bad_files();
    for (size_t i = 0; i < BAD_FILES; i++) {
        struct process *alone = fenceline_run(4, "import", bad_files[i].name);
        assert_line(alone, bad_files[i].name, bad_files[i].says);
        assert_string_equal(alone->out.bytes, "");
        assert_int_equal(files_count_lines(alone->err.bytes), 1);
        process_release(alone);
    }
    assert_all_invalid(BAD_FILES);
    /* What the message says is in the history too. */
    struct process *history = fenceline_run(0, "history", "late");
    fenceline_assert_out(history, "invalid");
    fenceline_assert_out(history, "100 h");
}

static void test_all_with_a_good_one(void **state)
{
    (void)state;
    write_bad_files();
    write_good();
    struct process *folder = fenceline_run(4, "import", ".");
    for (size_t i = 0; i < BAD_FILES; i++)
        assert_line(folder, bad_files[i].name, bad_files[i].says);
    fenceline_assert_out(folder, "good: 5 chapters imported");
    fenceline_assert_chapters("good", "good", ROWS);
    assert_int_equal(fenceline_count_jobs("invalid"), BAD_FILES);
    assert_int_equal(fenceline_count_jobs("imported"), 1);
    assert_int_equal(fenceline_count("documents"), 1);
    assert_int_equal(fenceline_count("transcript_segments"), 0);
    fenceline_assert_clean();
}

/* "check" says the same, without any server. */
static void test_check_says_the_same(void **state)
{
    (void)state;
    write_bad_files();
    fenceline.redis_url = "redis://127.0.0.1:1";
    fenceline.postgres_dsn = "postgresql://127.0.0.1:1/none";
    for (size_t i = 0; i < BAD_FILES; i++) {
        struct process *check = fenceline_run(4, "check", bad_files[i].name);
        assert_line(check, bad_files[i].name, bad_files[i].says);
        process_release(check);
        check = fenceline_run(4, "check", "--json", bad_files[i].name);
        fenceline_assert_out(check, "\"error\":\"");
        assert_int_equal(files_count_lines(check->out.bytes), 1);
        process_release(check);
    }
}

/* A document that is there is not touched by a broken file, in any mode. */
static void test_stored_document_stays(void **state)
{
    (void)state;
    char *path = fenceline_write_chapters("late", "before", ROWS);
    fenceline_run(0, "import", path);
    write_bad_files();
    fenceline_run(4, "import", "--mode", "replace", "late.chapters.json");
    fenceline_assert_outcome("late", "chapters", "invalid");
    fenceline_assert_chapters("late", "before", ROWS);
    fenceline_assert_clean();
    free(path);
}

/* ---- files that cannot be read ---- */

static void test_missing(void **state)
{
    (void)state;
    write_good();
    free(files_write_text(fenceline.folder, "folder/readme.md", "nothing to import"));
    struct process *missing = fenceline_run(4, "import", "nosuch.chapters.json", "folder",
                                            "good.chapters.json/x.srt", "good.chapters.json");
    assert_line(missing, "nosuch.chapters.json", "no such file");
    assert_line(missing, "folder:", "EPISODE.chapters.json");
    free(line_about(missing, "good.chapters.json/x.srt"));
    fenceline_assert_chapters("good", "good", ROWS);
    /* Nothing was known about these, so there is no job. */
    assert_int_equal(fenceline_count("jobs"), 1);
    fenceline_assert_clean();
}

static void test_special_files(void **state)
{
    (void)state;
    write_good();
    char *fifo = files_join(fenceline.folder, "pipe.chapters.json");
    char *loop = files_join(fenceline.folder, "loop.chapters.json");
    assert_int_equal(mkfifo(fifo, 0644), 0);
    assert_int_equal(symlink("loop.chapters.json", loop), 0);
    /* A pipe that nobody writes to must not hold the program up. */
    struct process *special =
        fenceline_launch("import", "pipe.chapters.json", "loop.chapters.json", "good.chapters.json");
    fenceline_finish_within(special, 4, 15000);
    free(line_about(special, "pipe.chapters.json"));
    free(line_about(special, "loop.chapters.json"));
    fenceline_assert_chapters("good", "good", ROWS);
    fenceline_assert_clean();
    free(fifo);
    free(loop);
}

static void test_unreadable(void **state)
{
    (void)state;
    const struct passwd *user = geteuid() == 0 ? getpwnam("nobody") : NULL;
    if (geteuid() == 0 && user == NULL) {
        print_message("skip: permissions do not bind root, and there is no user nobody to become\n");
        skip();
    }
    if (user != NULL && access("/proc/self/exe", X_OK) == 0) {
        struct process *can_run = process_run(
            &(struct process_spec){.argv = (const char *const[]){"test", "-x", fenceline_binary(), NULL},
                                   .user = user},
            5000);
        if (can_run->exit_code != 0) {
            print_message("skip: the user nobody may not run %s\n", fenceline_binary());
            skip();
        }
    }
    write_good();
    char *secret = fenceline_write_chapters("secret", "secret", ROWS);
    assert_int_equal(chmod(secret, 0000), 0);
    struct process *refused = fenceline_run_spec(
        4, .argv = (const char *const[]){"import", "secret.chapters.json", "good.chapters.json", NULL},
        .user = user);
    assert_line(refused, "secret.chapters.json", "permission");
    fenceline_assert_chapters("good", "good", ROWS);
    fenceline_assert_nothing("secret", NULL);
    assert_int_equal(fenceline_count_jobs("imported"), 1);
    fenceline_assert_clean();
    free(secret);
}

/* Too large, too deep, too many, too long: each limit says its name, and is cheap. */
static void test_huge(void **state)
{
    (void)state;
    write_good();
    char *path = files_write(fenceline.folder, "huge.chapters.json", "{", 1);
    assert_int_equal(truncate(path, HUGE_BYTES), 0);
    struct process *huge = fenceline_run(4, "import", "huge.chapters.json", "good.chapters.json");
    assert_line(huge, "huge.chapters.json", "67108864");
    assert_line(huge, "huge.chapters.json", "limit.file_bytes");
    fenceline_assert_chapters("good", "good", ROWS);
    fenceline_assert_outcome("huge", "chapters", "invalid");

    /* By standard input the size is not known before. */
    char *input = calloc(1, HUGE_BYTES);
    assert_non_null(input);
    struct process *piped = fenceline_run_spec(
        4, .argv = (const char *const[]){"import", "--episode", "piped", "--kind", "chapters", "-", NULL},
        .input = input, .input_bytes = HUGE_BYTES);
    fenceline_assert_err(piped, "67108864");
    free(input);
    fenceline_assert_nothing("piped", NULL);
    fenceline_assert_clean();
    free(path);
}

static void test_deep(void **state)
{
    (void)state;
    char *deep = malloc(2 * DEEP + 128);
    assert_non_null(deep);
    int head = sprintf(deep, "{\"chapters\":[{\"startTime\":0,\"location\":");
    memset(deep + head, '[', DEEP);
    memset(deep + head + DEEP, ']', DEEP);
    sprintf(deep + head + 2 * DEEP, "}]}");
    write_text("deep.chapters.json", deep);
    write_bytes("open.chapters.json", deep + head, DEEP);
    free(deep);
    write_good();
    struct process *refused =
        fenceline_run(4, "import", "deep.chapters.json", "open.chapters.json", "good.chapters.json");
    assert_line(refused, "deep.chapters.json", "64");
    assert_line(refused, "open.chapters.json", "64");
    fenceline_assert_chapters("good", "good", ROWS);
    fenceline_assert_clean();
}

static void test_limits(void **state)
{
    (void)state;
    static const char *const limits[] = {"FENCELINE_LIMIT_ROWS=5", "FENCELINE_LIMIT_FIELD_BYTES=40", NULL};
    char *wide = NULL;
    free(fenceline_write_chapters("more", "more", 6));
    write_good();
    assert_true(asprintf(&wide, "{\"chapters\":[{\"startTime\":0,\"title\":\"%041d\"}]}", 0) > 0);
    write_text("wide.chapters.json", wide);
    free(wide);
    struct process *refused =
        fenceline_run_spec(4,
                           .argv = (const char *const[]){"import", "more.chapters.json", "wide.chapters.json",
                                                         "good.chapters.json", NULL},
                           .env = limits);
    assert_line(refused, "more.chapters.json", "5 rows, the limit");
    assert_line(refused, "wide.chapters.json", "limit of 40");
    fenceline_assert_chapters("good", "good", ROWS);
    assert_int_equal(fenceline_count("documents"), 1);
    fenceline_assert_clean();
}

/* ---- --strict and --repair ---- */

static const char unsorted[] = "{\"version\":\"1.2.0\",\"chapters\":[\n{\"startTime\":10,\"title\":\"b\"},\n{"
                               "\"startTime\":0,\"title\":\"a\"}]}";

static void test_strict(void **state)
{
    (void)state;
    write_text("mixed.chapters.json", unsorted);
    write_good();
    struct process *strict =
        fenceline_run(4, "import", "--strict", "mixed.chapters.json", "good.chapters.json");
    assert_line(strict, "mixed.chapters.json", "3");
    assert_line(strict, "mixed.chapters.json", "unsorted");
    fenceline_assert_nothing("mixed", NULL);
    fenceline_assert_outcome("mixed", "chapters", "invalid");
    fenceline_assert_chapters("good", "good", ROWS);
    fenceline_run(4, "check", "--strict", "mixed.chapters.json");

    /* Without it: a warning with line and rule, here and in the document. */
    struct process *warned = fenceline_run(0, "import", "--verbose", "mixed.chapters.json");
    assert_line(warned, "warning", "mixed.chapters.json:3");
    assert_line(warned, "warning", "unsorted");
    char *warning = db_text(fenceline.db, "SELECT concat_ws(' ', warnings->0->>'line', warnings->0->>'rule')"
                                          "  FROM fenceline.documents WHERE episode_id = 'mixed'");
    assert_string_equal(warning, "3 unsorted");
    free(warning);
    fenceline_run(0, "check", "mixed.chapters.json");
    fenceline_assert_clean();
}

static void test_repair(void **state)
{
    (void)state;
    write_text("latin.chapters.json",
               "{\"chapters\":[{\"startTime\":0,\"title\":\"caf\xe9 \xe2\x82\xac\"}]}");
    write_bytes("nul.srt", "1\n00:00:01,000 --> 00:00:02,000\na\0b\n", 36);
    fenceline_run(4, "import", "latin.chapters.json", "nul.srt");
    assert_all_invalid(2);
    struct process *repaired =
        fenceline_run(0, "import", "--verbose", "--repair", "latin.chapters.json", "nul.srt");
    fenceline_assert_err(repaired, "latin.chapters.json:1: warning:");
    fenceline_assert_err(repaired, "nul.srt:3: warning:");
    char *title = db_text(fenceline.db, "SELECT title FROM fenceline.chapters");
    char *body = db_text(fenceline.db, "SELECT body FROM fenceline.transcript_segments");
    assert_string_equal(title, "caf\xef\xbf\xbd \xe2\x82\xac");
    assert_string_equal(body, "a\xef\xbf\xbd"
                              "b");
    free(title);
    free(body);
    assert_int_equal(db_int(fenceline.db, "SELECT count(*) FROM fenceline.documents WHERE warnings <> '[]'"),
                     2);
    /* Both together: the repair is a warning, and every warning is an error. */
    fenceline_run(4, "import", "--repair", "--strict", "--mode", "replace", "latin.chapters.json");
    fenceline_assert_clean();
}

/* ---- episode ids ---- */

struct good_id {
    const char *id;
    const char *tag;
};

static const struct good_id good_ids[] = {
    {"with space", "t0"},
    {" ", "t1"},
    {"a}b{c", "t2"},
    {"{x}", "t3"},
    {"}", "t4"},
    {"%7D", "t5"},
    {"%", "t6"},
    {"{", "t7"},
    {"{}", "t8"},
    {"a}b{c}:lease", "t9"},
    {"o'brien", "t10"},
    {"say \"hi\"", "t11"},
    {"x'); DROP TABLE fenceline.jobs; --", "t12"},
    {"$1", "t13"},
    {"\\x00", "t14"},
    {"{a,b}", "t15"},
    {"{\"a\",NULL}", "t16"},
    {"NULL", "t17"},
    {"--help", "t18"},
    {"--mode=replace", "t19"},
    {"-n", "t20"},
    {"-", "t21"},
    {"*", "t22"},
    {"../../etc/passwd", "t23"},
    {"\xc3\xa9pisode \xf0\x9f\x8e\x99", "t24"},
    {"caf\xc3\xa9", "t25"},
    {"cafe\xcc\x81", "t26"},
    {"EP", "t27"},
    {"ep", "t28"},
};
enum { GOOD_IDS = sizeof good_ids / sizeof *good_ids };

/* All are just names: each has its own rows, its own lease, its own history. */
static void test_ids_are_only_names(void **state)
{
    (void)state;
    fenceline_use_fast(true);
    for (size_t i = 0; i < GOOD_IDS; i++) {
        char *path = fenceline_write_chapters("any", good_ids[i].tag, ROWS);
        process_release(fenceline_run(0, "import", "--episode", good_ids[i].id, path));
        free(path);
    }
    for (size_t i = 0; i < GOOD_IDS; i++) {
        fenceline_assert_chapters(good_ids[i].id, good_ids[i].tag, ROWS);
        struct process *show = fenceline_run(0, "show", "--json", "--", good_ids[i].id);
        fenceline_assert_out(show, good_ids[i].tag);
        process_release(show);
        process_release(fenceline_run(0, "history", "--", good_ids[i].id));
    }
    assert_int_equal(fenceline_count("episodes"), GOOD_IDS);
    assert_int_equal(fenceline_count("documents"), GOOD_IDS);
    for (size_t i = 0; i < GOOD_IDS; i += 2)
        process_release(fenceline_run(0, "delete", "--", good_ids[i].id, "chapters"));
    for (size_t i = 0; i < GOOD_IDS; i++) {
        if (i % 2 == 0)
            fenceline_assert_nothing(good_ids[i].id, NULL);
        else
            fenceline_assert_chapters(good_ids[i].id, good_ids[i].tag, ROWS);
    }
    fenceline_assert_clean();
}

/* The lease of one is not the lease of another, whatever they look like in a key. */
static void test_ids_do_not_share_leases(void **state)
{
    (void)state;
    static const char *const ids[] = {"a}b{c", "{x}", "}", "%7D", "a", "x"};
    fenceline_use_fast(true);
    enum { IDS = sizeof ids / sizeof *ids };
    char *path = fenceline_write_chapters("any", "any", ROWS);
    for (size_t held = 0; held < IDS; held++) {
        fenceline_set_lease(ids[held], "import@elsewhere:4711", 60000);
        for (size_t i = 0; i < IDS; i++) {
            process_release(fenceline_run(i == held ? 5 : 0, "import", "--quiet", "--mode", "replace",
                                          "--wait-lock", "0", "--episode", ids[i], path));
        }
        fenceline_drop_lease(ids[held]);
    }
    fenceline_assert_clean();
    free(path);
}

/* The advice of a refusal can be pasted into a shell, whatever the id. */
static void test_advice_can_be_pasted(void **state)
{
    (void)state;
    static const char *const ids[] = {"plain", "with space", "o'brien", "say \"hi\"",
                                      "$HOME", "`id`",       "a;b",     "--help"};
    char *path = fenceline_write_chapters("any", "any", ROWS);
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        fenceline_run(0, "import", "--episode", ids[i], path);
        struct process *refused = fenceline_run(3, "import", "--episode", ids[i], path);
        char *advice = strstr(refused->err.bytes, "or 'fenceline ");
        assert_non_null(advice);
        advice += strlen("or 'fenceline ");
        char *end = strstr(advice, "'.\n");
        assert_non_null(end);
        *end = '\0';
        char *command = NULL;
        assert_true(asprintf(&command, "\"$0\" %s", advice) > 0);
        char redis[128], postgres[SERVICES_DSN_BYTES + 32];
        snprintf(redis, sizeof redis, "FENCELINE_REDIS=%s", fenceline.redis_url);
        snprintf(postgres, sizeof postgres, "FENCELINE_POSTGRES=%s", fenceline.postgres_dsn);
        struct process *pasted =
            process_run(&(struct process_spec){.argv = (const char *const[]){"sh", "-c", command,
                                                                             fenceline_binary(), NULL},
                                               .env = (const char *const[]){redis, postgres, NULL}},
                        FENCELINE_RUN_MS);
        if (pasted->exit_code != 0 || strstr(pasted->out.bytes, "chapters deleted") == NULL) {
            process_print(pasted);
            LIB_FAIL("the advice for '%s' does not delete it: fenceline %s", ids[i], advice);
        }
        fenceline_assert_nothing(ids[i], NULL);
        free(command);
    }
    free(path);
}

static void test_ids_refused(void **state)
{
    (void)state;
    char id[512];
    char *path = fenceline_write_chapters("any", "any", ROWS);
    static const struct {
        const char *id, *says;
    } refused[] = {
        {"", "empty"},         {"new\nline", "byte 4"}, {"tab\tid", "byte 4"},
        {"del\x7f", "byte 4"}, {"bad\xff", "byte 4"},   {"cut\xe2\x82", "byte 4"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct process *process = fenceline_run(2, "import", "--episode", refused[i].id, path);
        fenceline_assert_err(process, refused[i].says);
        assert_int_equal(files_count_lines(process->err.bytes), 1);
        process_release(process);
        process_release(fenceline_run(2, "show", refused[i].id));
        process_release(fenceline_run(2, "delete", refused[i].id));
    }
    memset(id, 'x', sizeof id);
    id[256] = '\0';
    struct process *longer = fenceline_run(2, "import", "--episode", id, path);
    fenceline_assert_err(longer, "255");
    assert_int_equal(fenceline_count("jobs"), 0);
    id[255] = '\0';
    fenceline_run(0, "import", "--episode", id, path);
    fenceline_assert_chapters(id, "any", ROWS);
    fenceline_run(0, "delete", id);
    fenceline_assert_nothing(id, NULL);

    /* The limit counts bytes: 85 characters of 3 bytes are 255. */
    id[0] = '\0';
    for (int i = 0; i < 85; i++)
        strcat(id, "\xe2\x82\xac");
    fenceline_run(0, "import", "--episode", id, path);
    strcat(id, "x");
    fenceline_run(2, "import", "--episode", id, path);
    fenceline_assert_clean();
    free(path);
}

/* The same by the name of a file: the others of the command are imported. */
static void test_names_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"new\nline.chapters.json",
                                        "bad\xff.chapters.json",
                                        ".chapters.json",
                                        "esc\x1b[2J.srt",
                                        "what.json",
                                        "what.txt"};
    write_good();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        write_text(names[i], "{\"chapters\":[{\"startTime\":0}]}");
        struct process *refused =
            fenceline_run(4, "import", names[i], "good.chapters.json", "--mode", "replace");
        assert_int_equal(files_count_lines(refused->err.bytes), 2); /* and the summary */
        /* No control character reaches the terminal. */
        fenceline_assert_not_err(refused, "\x1b");
        fenceline_assert_not_err(refused, "new\nline");
        process_release(refused);
    }
    fenceline_assert_chapters("good", "good", ROWS);
    assert_int_equal(fenceline_count("documents"), 1);
    assert_int_equal(fenceline_count("episodes"), 1);
    fenceline_assert_clean();
}

/* No job can hold such a path; the inputs beside it are imported all the same. */
static void test_path_that_is_not_utf8(void **state)
{
    (void)state;
    char *good = fenceline_write_chapters("good", "fine", 3);
    char *folder = files_join(fenceline.folder, "caf\xe9");
    files_make_folder(folder);
    char *bad = files_write_text(folder, "bad.chapters.json", "{\"chapters\": [{\"startTime\": 0}]}");
    struct process *import = fenceline_run(4, "import", bad, good);
    fenceline_assert_err(import, "not valid UTF-8");
    fenceline_assert_chapters("good", "fine", 3);
    assert_int_equal(fenceline_count("jobs"), 1);
    free(good), free(folder), free(bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FENCELINE_TEST(test_path_that_is_not_utf8),
        FENCELINE_TEST(test_each_alone),
        FENCELINE_TEST(test_all_with_a_good_one),
        FENCELINE_TEST(test_check_says_the_same),
        FENCELINE_TEST(test_stored_document_stays),
        FENCELINE_TEST(test_missing),
        FENCELINE_TEST(test_special_files),
        FENCELINE_TEST(test_unreadable),
        FENCELINE_TEST(test_huge),
        FENCELINE_TEST(test_deep),
        FENCELINE_TEST(test_limits),
        FENCELINE_TEST(test_strict),
        FENCELINE_TEST(test_repair),
        FENCELINE_TEST(test_ids_are_only_names),
        FENCELINE_TEST(test_ids_do_not_share_leases),
        FENCELINE_TEST(test_advice_can_be_pasted),
        FENCELINE_TEST(test_ids_refused),
        FENCELINE_TEST(test_names_refused),
    };
    return cmocka_run_group_tests(tests, fenceline_start_group, fenceline_stop_group);
}
