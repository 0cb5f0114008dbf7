/*
 * enqueue: from the command line and from SQL. What becomes a path and what travels inside the job,
 * manifests, streams, schedules; each job written once and only once whatever happens to the connection;
 * memory that does not grow; and --wait to the outcomes.
 *
 * Happy path: run, compare the rows of fenceline.jobs. No worker runs here: where outcomes are needed, the
 * test decides the jobs itself. Failure modes: tests that act "in the middle" wait until the database shows
 * it.
 */
#include "../lib/fenceline.h"
#include "../lib/proxy.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MANY = 20000, LARGEST_KIB = 24 * 1024 };

static struct proxy proxy;
static char root[512], root_setting[600];
static const char *with_root[] = {root_setting, NULL};

/* source.root is <folder>/root, which exists. */
static int start_test(void **state)
{
    int result = fenceline_start_test(state);
    snprintf(root, sizeof root, "%s/root", fenceline.folder);
    snprintf(root_setting, sizeof root_setting, "FENCELINE_SOURCE_ROOT=%s", root);
    files_make_folder(root);
    return result;
}

static int stop_test(void **state)
{
    process_release_all();
    proxy_stop(&proxy);
    return fenceline_stop_test(state);
}

static void use_proxy(void)
{
    static char dsn[SERVICES_DSN_BYTES];
    uint16_t port = proxy_start(&proxy, services_postgres_port(&fenceline.services));
    services_dsn_on_port(fenceline.dsn, port, dsn);
    fenceline.postgres_dsn = dsn;
}

/* One value of the only job of this episode, as text: "null" if it is null, "" if there is no such job. */
static void assert_job(const char *episode, const char *expression, const char *expected)
{
    char sql[400];
    snprintf(sql, sizeof sql,
             "SELECT coalesce((SELECT coalesce((%s)::text, 'null') FROM fenceline.jobs WHERE episode_id = "
             "$1), '')",
             expression);
    char *value = db_text(fenceline.db, sql, episode);
    if (strcmp(value, expected) != 0)
        fail_msg("%s: %s is '%s', not '%s'", episode, expression, value, expected);
    free(value);
}

/* Also feeds what was sent to processes. */
static void await_jobs(struct process *enqueue, int64_t count)
{
    for (int i = 0; i < 3000 && fenceline_count("jobs") < count; i++)
        (void)process_ended(enqueue, 10);
    assert_int_equal(fenceline_count("jobs"), count);
}

static void write_text(const char *name, const char *text)
{
    free(files_write_text(fenceline.folder, name, text));
}

/* ---- paths ---- */

static void test_below_the_root(void **state)
{
    (void)state;
    fenceline.env = with_root;
    free(fenceline_write_chapters("root/in/a", "a", 3));
    free(fenceline_write_transcript("root/b", "b", 3));
    struct process *enqueue = fenceline_run(0, "enqueue", "root/in/a.chapters.json", "root");
    assert_int_equal(fenceline_count("jobs"), 3);
    fenceline_assert_out(enqueue, "3 jobs enqueued (ids 1 to 3)");
    assert_string_equal(enqueue->err.bytes, "");
    assert_job("b", "source", "b.srt");
    assert_job("b", "body", "null");
    assert_job("b", "kind", "transcript");
    assert_job("b", "queued", "true");
    assert_job("b", "outcome", "null");
    assert_job("b", "dispatched_at", "null");
    assert_int_equal(db_int(fenceline.db, "SELECT count(*) FROM fenceline.jobs WHERE episode_id = 'a' AND "
                                          "source = 'in/a.chapters.json' AND body IS NULL"),
                     2);
}

/* Where links end is what counts: workers open no link that leads out. */
static void test_links(void **state)
{
    (void)state;
    fenceline.env = with_root;
    free(fenceline_write_chapters("root/in/real", "r", 3));
    free(fenceline_write_chapters("outside/out", "o", 3));
    char *from = files_join(fenceline.folder, "link_in.chapters.json");
    assert_int_equal(symlink("root/in/real.chapters.json", from), 0);
    free(from);
    from = files_join(fenceline.folder, "root/link_out.chapters.json");
    assert_int_equal(symlink("../outside/out.chapters.json", from), 0);
    free(from);
    from = files_join(fenceline.folder, "root_link");
    assert_int_equal(symlink("root", from), 0);
    free(from);
    fenceline_run(0, "enqueue", "link_in.chapters.json", "root/link_out.chapters.json",
                  "root_link/in/real.chapters.json");
    assert_job("link_in", "source", "in/real.chapters.json");
    assert_job("link_in", "body", "null");
    assert_job("link_out", "source", "root/link_out.chapters.json");
    assert_job("link_out", "body IS NOT NULL", "true");
    assert_job("real", "source", "in/real.chapters.json");

    /* The root itself may be given by a link; and a folder that only begins like it is not below it. */
    snprintf(root_setting, sizeof root_setting, "FENCELINE_SOURCE_ROOT=%s/root_link/", fenceline.folder);
    free(fenceline_write_chapters("root/x", "x", 3));
    free(fenceline_write_chapters("rooted/y", "y", 3));
    fenceline_run(0, "enqueue", "root/x.chapters.json", "rooted/y.chapters.json");
    assert_job("x", "source", "x.chapters.json");
    assert_job("y", "source", "rooted/y.chapters.json");
    assert_job("y", "body IS NOT NULL", "true");
}

static void test_inline(void **state)
{
    (void)state;
    char *path = fenceline_write_chapters("here", "h", 3);
    char *text = files_read(path, NULL);
    struct process *enqueue =
        fenceline_run(0, "enqueue", "--verbose", "here.chapters.json"); /* no source.root */
    fenceline_assert_out(enqueue, "here: chapters enqueued as job 1 (here.chapters.json, inline)");
    fenceline_assert_out(enqueue, "1 job enqueued (id 1)");
    assert_job("here", "source", "here.chapters.json");
    assert_job("here", "convert_from(body, 'UTF8')", text);
    free(text);
    free(path);

    fenceline.env = with_root;
    free(fenceline_write_chapters("root/forced", "f", 3));
    fenceline_run(0, "enqueue", "--inline", "root/forced.chapters.json");
    assert_job("forced", "source", "root/forced.chapters.json");
    assert_job("forced", "body IS NOT NULL", "true");
}

static void test_too_large_to_travel(void **state)
{
    (void)state;
    fenceline.env = (const char *const[]){"FENCELINE_LIMIT_INLINE_BYTES=1000", root_setting, NULL};
    free(fenceline_write_chapters("large", "large", 100));
    free(fenceline_write_chapters("small", "small", 2));
    free(fenceline_write_chapters("root/below", "below", 100));
    struct process *enqueue =
        fenceline_run(4, "enqueue", "large.chapters.json", "small.chapters.json", "root/below.chapters.json");
    fenceline_assert_err(enqueue, "large.chapters.json: ");
    fenceline_assert_err(enqueue, "limit.inline_bytes");
    fenceline_assert_err(enqueue, "below source.root");
    fenceline_assert_err(enqueue, "fenceline import");
    fenceline_assert_out(enqueue, "2 jobs enqueued (ids 1 to 2), 1 input not");
    assert_job("large", "source", "");
    assert_job("below", "source", "below.chapters.json");
    enqueue = fenceline_run(4, "enqueue", "--inline", "root/below.chapters.json");
    fenceline_assert_err(enqueue, "leave out --inline");
    fenceline_assert_out(enqueue, "no jobs enqueued, 1 input not");

    char text[1002] = "";
    memset(text, ' ', 1001);
    struct process *piped = fenceline_run_spec(
        4, .argv = (const char *const[]){"enqueue", "--episode", "e", "--kind", "chapters", "-", NULL},
        .input = text, .input_bytes = 1001);
    fenceline_assert_err(piped, "standard input: 1001 bytes");
}

static void test_bad_paths(void **state)
{
    (void)state;
    fenceline.env = with_root;
    free(fenceline_write_chapters("root/good", "good", 2));
    free(fenceline_write_chapters("root/d/deep", "deep", 2));
    write_text("root/unclear.json", "{}");
    write_text("root/empty.srt", "");
    write_text("outside.srt", "");
    char *pipe_path = files_join(root, "pipe.srt");
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    free(pipe_path);
    struct process *enqueue =
        fenceline_run(4, "enqueue", "--json", "missing.srt", "root/good.chapters.json", "root/unclear.json",
                      "root/pipe.srt", "outside.srt", "root/d", "root/empty.srt");
    assert_int_equal(files_count_lines(enqueue->out.bytes), 7);
    fenceline_assert_out(enqueue, "{\"file\":\"missing.srt\",\"episode\":null");
    fenceline_assert_out(enqueue, "no such file or folder");
    fenceline_assert_out(enqueue, "--episode ID");
    fenceline_assert_out(enqueue, "not a regular file");
    fenceline_assert_out(enqueue, "the file is empty");
    fenceline_assert_out(enqueue,
                         "{\"file\":\"good.chapters.json\",\"episode\":\"good\",\"kind\":\"chapters\","
                         "\"job_id\":1,\"outcome\":\"open\"");
    assert_job("deep", "source", "d/deep.chapters.json");
    assert_job("empty", "source", "empty.srt"); /* what is in a file is for the worker to judge */
    assert_int_equal(fenceline_count("jobs"), 3);

    struct process *quiet = fenceline_run(4, "enqueue", "--quiet", "missing.srt", "root/good.chapters.json");
    assert_string_equal(quiet->out.bytes, "");
    fenceline_assert_err(quiet, "missing.srt");
    fenceline_run(2, "enqueue");
    fenceline_run(2, "enqueue", "--manifest", "m.jsonl", "root/good.chapters.json");
    struct process *absent = fenceline_run(4, "enqueue", "--manifest", "m.jsonl");
    fenceline_assert_err(absent, "m.jsonl");
    assert_int_equal(fenceline_count("jobs"), 4);
}

static void test_standard_input(void **state)
{
    (void)state;
    static const char TEXT[] = "{\"chapters\":[{\"startTime\":0,\"title\":\"x\"}]}";
    fenceline_run_spec(
        0, .argv = (const char *const[]){"enqueue", "--episode", "e", "--kind", "chapters", "-", NULL},
        .input = TEXT, .input_bytes = sizeof TEXT - 1);
    assert_job("e", "convert_from(body, 'UTF8')", TEXT);
    assert_job("e", "source", "standard input");
    struct process *nameless = fenceline_run_spec(2, .argv = (const char *const[]){"enqueue", "-", NULL},
                                                  .input = TEXT, .input_bytes = sizeof TEXT - 1);
    fenceline_assert_err(nameless, "--kind");
    assert_int_equal(fenceline_count("jobs"), 1);
}

/* ---- what a job says ---- */

static void test_options(void **state)
{
    (void)state;
    write_text("words", "x");
    fenceline_run(0, "enqueue", "--episode", "plain", "--kind", "transcript", "words");
    assert_job("plain", "mode", "create");
    assert_job("plain", "priority", "0");
    assert_job("plain", "not_before", "null");
    assert_job("plain", "if_version", "null");
    assert_job("plain", "format", "null");
    assert_job("plain", "strict OR repair", "false");
    fenceline_run(0, "enqueue", "--episode", "all", "--format", "srt", "--if-version", "7", "--strict",
                  "--repair", "--priority", "high", "--at", "2126-02-01T11:00:00+01:00", "words");
    assert_job("all", "kind", "transcript");
    assert_job("all", "mode", "if-version");
    assert_job("all", "if_version", "7");
    assert_job("all", "format", "srt");
    assert_job("all", "strict AND repair", "true");
    assert_job("all", "priority", "-1");
    assert_job("all", "not_before = '2126-02-01T10:00:00Z'", "true");
    fenceline_run(0, "enqueue", "--episode", "later", "--kind", "chapters", "--mode", "replace", "--priority",
                  "low", "--in", "2h", "words");
    assert_job("later", "mode", "replace");
    assert_job("later", "priority", "1");
    assert_job("later",
               "not_before BETWEEN now() + interval '115 minutes' AND now() + interval '125 minutes'",
               "true");
    fenceline_run(2, "enqueue", "--episode", "e", "--kind", "chapters", "--priority", "urgent", "words");
    fenceline_run(2, "enqueue", "--episode", "e", "--kind", "chapters", "--at", "tomorrow", "words");
    fenceline_run(2, "enqueue", "--episode", "e", "--kind", "chapters", "--in", "soon", "words");
    assert_int_equal(fenceline_count("jobs"), 3);
}

static void test_manifest(void **state)
{
    (void)state;
    write_text(
        "m.jsonl",
        "\xef\xbb\xbf{\"episode\":\"one\",\"kind\":\"chapters\",\"source\":\"not/here.json\"}\r\n"
        "\n"
        "{\"source\":\"in/two.chapters.json\",\"mode\":\"replace\",\"priority\":\"high\"}\n"
        "{\"episode\":\"three\",\"kind\":\"transcript\",\"body\":\"WEBVTT\\n\\u00e9\",\"format\":\"vtt\","
        "\"not_before\":\"2126-02-01T10:00Z\",\"strict\":true,\"repair\":true}\n"
        "{\"episode\":\"four\",\"kind\":\"chapters\",\"mode\":\"delete\"}\n"
        "{\"episode\":\"five\",\"kind\":\"chapters\",\"source\":\"s\",\"if_version\":0}");
    struct process *enqueue = fenceline_run(0, "enqueue", "--manifest", "m.jsonl", "--priority", "low");
    fenceline_assert_out(enqueue, "5 jobs enqueued (ids 1 to 5)");
    assert_job("one", "source", "not/here.json");
    assert_job("one", "priority", "1");
    assert_job("two", "mode", "replace");
    assert_job("two", "priority", "-1");
    assert_job("three", "convert_from(body, 'UTF8')", "WEBVTT\n\xc3\xa9");
    assert_job("three", "source", "null");
    assert_job("three", "format", "vtt");
    assert_job("three", "not_before = '2126-02-01T10:00:00Z'", "true");
    assert_job("three", "strict AND repair", "true");
    assert_job("four", "mode", "delete");
    assert_job("five", "if_version", "0");
    assert_job("five", "job_id", "5");
}

static void test_bad_manifest(void **state)
{
    (void)state;
    write_text("m.jsonl", "{\"episode\":\"a\",\"kind\":\"chapters\",\"source\":\"s\"}\n"
                          "{\"episde\":\"b\",\"kind\":\"chapters\",\"source\":\"s\"}\n"
                          "nonsense\n"
                          "{\"episode\":\"c\",\"kind\":\"chapters\",\"source\":\"../s\"}\n"
                          "{\"episode\":\"d\",\"kind\":\"chapters\",\"source\":\"s\"}\n");
    struct process *enqueue = fenceline_run(4, "enqueue", "--manifest", "m.jsonl");
    fenceline_assert_err(enqueue, "m.jsonl:2: unknown key 'episde'; did you mean 'episode'?");
    fenceline_assert_err(enqueue, "m.jsonl:3: byte 1: ");
    fenceline_assert_err(enqueue, "m.jsonl:4: ");
    fenceline_assert_out(enqueue, "2 jobs enqueued (ids 1 to 2), 3 inputs not");
    assert_job("d", "job_id", "2");
    fenceline_run(4, "enqueue", "--manifest", "."); /* a folder */
}

static void send_text(struct process *process, const char *text)
{
    process_send(process, text, strlen(text));
}

static int64_t peak_kib(const struct process *process)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/status", (int)process->pid);
    char *text = files_read(path, NULL);
    const char *peak = strstr(text, "VmHWM:");
    assert_non_null(peak);
    int64_t kib = strtoll(peak + 6, NULL, 10);
    free(text);
    return kib;
}

/* Sanitizers keep what is freed: memory is measured in the fast build alone. */
static bool use_lean_binary(void)
{
    char usual[4096];
    snprintf(usual, sizeof usual, "%s", fenceline_binary());
    fenceline_use_fast(true);
    return strcmp(usual, fenceline_binary()) != 0;
}

static struct process *start_stream(const char *option)
{
    return fenceline_start(&(struct process_spec){
        .argv = (const char *const[]){"enqueue", "--manifest", "-", option, NULL}, .hold_input = true});
}

static void test_many_in_bounded_memory(void **state)
{
    (void)state;
    bool is_lean = use_lean_binary();
    struct process *enqueue = start_stream("--verbose");
    for (int i = 0; i < MANY; i += 1000) {
        char lines[1000 * 128];
        size_t used = 0;
        for (int k = i; k < i + 1000; k++)
            used += (size_t)snprintf(
                lines + used, sizeof lines - used,
                "{\"episode\":\"ep%d\",\"kind\":\"chapters\",\"source\":\"in/ep%d.json\"}\n", k, k);
        process_send(enqueue, lines, used);
    }
    await_jobs(enqueue, MANY);
    if (is_lean)
        assert_in_range(peak_kib(enqueue), 1, LARGEST_KIB);
    process_close_input(enqueue);
    fenceline_finish(enqueue, 0);
    fenceline_assert_out(enqueue, "20000 jobs enqueued (ids 1 to 20000)");
    assert_int_equal(files_count_lines(enqueue->out.bytes), MANY + 1);
    assert_int_equal(db_int(fenceline.db, "SELECT count(DISTINCT episode_id) FROM fenceline.jobs WHERE "
                                          "source = 'in/' || episode_id || '.json'"),
                     MANY);
    /* Chunks are written side by side, but what the program says of each job is true. */
    char *line =
        db_text(fenceline.db, "SELECT 'ep19999: chapters enqueued as job ' || job_id || "
                              "' (in/ep19999.json)' FROM fenceline.jobs WHERE episode_id = 'ep19999'");
    fenceline_assert_out(enqueue, line);
    free(line);
}

/* An endless line is read and dropped; bodies of a megabyte go in small groups. */
static void test_large_lines_in_bounded_memory(void **state)
{
    (void)state;
    bool is_lean = use_lean_binary();
    struct process *enqueue = start_stream(NULL);
    char *piece = malloc(1 << 20);
    assert_non_null(piece);
    memset(piece, '[', 1 << 20);
    for (int i = 0; i < 64; i++) {
        process_send(enqueue, piece, 1 << 20);
        (void)process_ended(enqueue, 0);
    }
    static const char BEGIN[] = "\n{\"episode\":\"large\",\"kind\":\"chapters\",\"body\":\"", END[] = "\"}";
    memset(piece, 'b', 1 << 20);
    for (int i = 0; i < 20; i++) {
        process_send(enqueue, BEGIN, sizeof BEGIN - 1);
        process_send(enqueue, piece, 1 << 20);
        process_send(enqueue, END, sizeof END - 1);
    }
    send_text(enqueue, "\n");
    free(piece);
    await_jobs(enqueue, 20);
    if (is_lean)
        assert_in_range(peak_kib(enqueue), 1, 2 * LARGEST_KIB);
    process_close_input(enqueue);
    fenceline_finish(enqueue, 4);
    fenceline_assert_err(enqueue, "standard input:1: the line has more than");
    assert_int_equal(
        db_int(fenceline.db, "SELECT count(*) FROM fenceline.jobs WHERE octet_length(body) = 1048576"), 20);
}

/* Ids are the order in which workers run the jobs of a document: that of the manifest, over all chunks. */
static void test_order_within_a_document(void **state)
{
    (void)state;
    enum { LINES = 3000, DOCUMENTS = 700 };
    char *lines = malloc(LINES * 100);
    assert_non_null(lines);
    size_t used = 0;
    for (int i = 0; i < LINES; i++)
        used +=
            (size_t)sprintf(lines + used, "{\"episode\":\"d%d\",\"kind\":\"chapters\",\"source\":\"%d\"}\n",
                            i % DOCUMENTS, i);
    lines[used] = '\0';
    write_text("m.jsonl", lines);
    free(lines);
    fenceline_run(0, "enqueue", "--manifest", "m.jsonl");
    assert_int_equal(fenceline_count("jobs"), LINES);
    assert_int_equal(db_int(fenceline.db, "SELECT count(*) FROM (SELECT source::int < lag(source::int) OVER "
                                          "(PARTITION BY episode_id ORDER BY job_id) AS swapped "
                                          "FROM fenceline.jobs) s WHERE swapped"),
                     0);
}

/* A line is enqueued when it comes, and not when the stream ends. */
static void test_slow_stream(void **state)
{
    (void)state;
    struct process *enqueue = start_stream("--json");
    send_text(enqueue, "{\"episode\":\"a\",\"kind\":\"chapters\",\"source\":\"s\"}\n{\"epi");
    process_wait_for_output(enqueue, "\"job_id\":1", 10000);
    assert_job("a", "source", "s");
    send_text(enqueue, "sode\":\"b\",\"kind\":\"chapters\",\"source\":\"s\"}");
    assert_false(process_ended(enqueue, 300));
    assert_job("b", "source", "");
    process_close_input(enqueue);
    fenceline_finish(enqueue, 0);
    assert_job("b", "source", "s");
}

static void test_interrupt(void **state)
{
    (void)state;
    struct process *enqueue = start_stream(NULL);
    for (int i = 0; i < 1200; i++)
        send_text(enqueue, "{\"episode\":\"e\",\"kind\":\"chapters\",\"source\":\"s\"}\n");
    await_jobs(enqueue, 1200);
    process_signal(enqueue, SIGINT);
    fenceline_finish_within(enqueue, 130, 5000);
    fenceline_assert_out(enqueue, "1200 jobs enqueued (ids 1 to 1200)");
    fenceline_assert_err(enqueue, "standard input was read to line 1200");
    assert_int_equal(fenceline_count("jobs"), 1200);
}

/* Somebody who presses Ctrl-C twice does not want to wait for a server. */
static void test_second_interrupt(void **state)
{
    (void)state;
    use_proxy();
    proxy_block(&proxy, PROXY_SILENT);
    write_text("a.srt", "x");
    struct process *enqueue = fenceline_launch("enqueue", "a.srt");
    assert_true(proxy_wait_connections(&proxy, 1, 10000));
    assert_false(process_ended(enqueue, 300));
    process_signal(enqueue, SIGINT);
    assert_false(process_ended(enqueue, 500));
    process_signal(enqueue, SIGINT);
    fenceline_finish_within(enqueue, 130, 2000);
    assert_int_equal(fenceline_count("jobs"), 0);
}

/* ---- connections ---- */

static void write_manifest(int lines)
{
    char *text = malloc((size_t)lines * 100);
    assert_non_null(text);
    size_t used = 0;
    for (int i = 0; i < lines; i++)
        used +=
            (size_t)sprintf(text + used, "{\"episode\":\"c%d\",\"kind\":\"chapters\",\"source\":\"s\"}\n", i);
    text[used] = '\0';
    write_text("m.jsonl", text);
    free(text);
}

/* Every job once, with the ids that were told. */
static void assert_each_once(const struct process *enqueue, int count)
{
    assert_int_equal(fenceline_count("jobs"), count);
    assert_int_equal(db_int(fenceline.db, "SELECT count(DISTINCT episode_id) FROM fenceline.jobs"), count);
    assert_int_equal(files_count_text(enqueue->out.bytes, "\"outcome\":\"open\""), (size_t)count);
    char *line = db_text(fenceline.db,
                         "SELECT '\"episode\":\"c7\",\"kind\":\"chapters\",\"job_id\":' || job_id || ',' "
                         "FROM fenceline.jobs WHERE episode_id = 'c7'");
    fenceline_assert_out(enqueue, line);
    free(line);
}

static void test_cut_connections(void **state)
{
    (void)state;
    static const struct {
        enum proxy_action action;
        const char *pattern;
        unsigned nth;
    } CUTS[] = {
        {PROXY_CUT_REPLY, "fl_enqueue", 1}, /* done, and nobody told */
        {PROXY_CUT_BEFORE, "fl_enqueue", 1},
        {PROXY_CUT_REPLY, "fl_enqueue", 3},
        {PROXY_CUT_BEFORE, "search_path", 1},
    };
    use_proxy();
    write_manifest(2100);
    for (size_t i = 0; i < sizeof CUTS / sizeof *CUTS; i++) {
        db_exec(fenceline.db,
                "TRUNCATE fenceline.jobs, fenceline.episodes, fenceline.job_attempts, fenceline.lost_claims");
        int rule = proxy_arm(&proxy, &(struct proxy_rule){.direction = PROXY_TO_SERVER,
                                                          .action = CUTS[i].action,
                                                          .pattern = CUTS[i].pattern,
                                                          .nth = CUTS[i].nth});
        struct process *enqueue = fenceline_run(0, "enqueue", "--manifest", "m.jsonl", "--json");
        assert_int_equal(proxy_fired(&proxy, rule), 1);
        assert_each_once(enqueue, 2100);
        proxy_disarm_all(&proxy);
    }
}

static void test_postgres_restarts(void **state)
{
    (void)state;
    enum { JOBS = 4000 };
    fenceline.env = (const char *const[]){"FENCELINE_JOB_PATIENCE_MS=60000", NULL};
    use_proxy();
    proxy_delay(&proxy, PROXY_TO_CLIENT, 50);
    write_manifest(JOBS);
    struct process *enqueue = fenceline_launch("enqueue", "--manifest", "m.jsonl", "--json");
    for (int i = 0; i < 10000 && fenceline_count("jobs") == 0; i++)
        process_sleep_ms(1);
    assert_true(fenceline_count("jobs") < JOBS);
    services_postgres_restart(&fenceline.services, SERVICES_IMMEDIATE);
    fenceline_finish(enqueue, 0);
    fenceline_reconnect();
    assert_each_once(enqueue, JOBS);
}

static void test_postgres_away(void **state)
{
    (void)state;
    char dsn[SERVICES_DSN_BYTES];
    fenceline.env =
        (const char *const[]){"FENCELINE_JOB_PATIENCE_MS=300", "FENCELINE_POSTGRES_TIMEOUT_MS=1000", NULL};
    write_manifest(10);
    write_text("a.srt", "x");
    services_dsn_on_port(fenceline.dsn, services_free_port(), dsn);
    fenceline.postgres_dsn = dsn;
    struct process *away = fenceline_run(6, "enqueue", "a.srt", "missing.srt");
    fenceline_assert_err(away, "Postgres: ");
    fenceline_assert_err(away, "1 input not attempted");
    fenceline_assert_out(away, "no jobs enqueued");
    fenceline_run(6, "enqueue", "--wait", "--manifest", "m.jsonl");

    /* It took them, and never answered: that is said, and not called a failure. */
    use_proxy();
    proxy_arm(&proxy, &(struct proxy_rule){.direction = PROXY_TO_SERVER,
                                           .action = PROXY_CUT_REPLY,
                                           .pattern = "fl_enqueue",
                                           .every = true});
    struct process *unknown = fenceline_run(6, "enqueue", "--manifest", "m.jsonl");
    fenceline_assert_err(unknown, "whether 10 more jobs were enqueued is not known");
    assert_int_equal(fenceline_count("jobs"), 10);
}

static void test_needs_no_redis_but_a_schema(void **state)
{
    (void)state;
    char dsn[SERVICES_DSN_BYTES];
    write_text("a.srt", "x");
    fenceline.redis_url = "redis://127.0.0.1:1";
    fenceline_run(0, "enqueue", "a.srt");
    services_new_database(&fenceline.services, dsn);
    fenceline.postgres_dsn = dsn;
    struct process *empty = fenceline_run(2, "enqueue", "a.srt");
    fenceline_assert_err(empty, "fenceline migrate");
}

/* ---- SQL ---- */

static bool has_notify(PGconn *conn, const char *payload, int within_ms)
{
    int64_t until_ms = process_now_ms() + within_ms;
    bool found = false;
    do {
        struct pollfd ready = {.fd = PQsocket(conn), .events = POLLIN};
        (void)poll(&ready, 1, 20);
        assert_int_equal(PQconsumeInput(conn), 1);
        for (PGnotify *notify; (notify = PQnotifies(conn)); PQfreemem(notify))
            found = found || strcmp(notify->extra, payload) == 0;
    } while (!found && process_now_ms() < until_ms);
    return found;
}

static void test_sql_in_a_transaction(void **state)
{
    (void)state;
    PGconn *listener = db_open(fenceline.dsn);
    db_exec(listener, "LISTEN fenceline_queue");
    db_exec(fenceline.db, "BEGIN");
    db_exec(fenceline.db, "SELECT fenceline.enqueue('gone', 'chapters', source => 'a')");
    db_exec(fenceline.db, "ROLLBACK");
    assert_int_equal(fenceline_count("jobs"), 0);
    assert_int_equal(fenceline_count("episodes"), 0);
    assert_false(has_notify(listener, "work", 200));

    db_exec(fenceline.db, "BEGIN");
    db_exec(fenceline.db,
            "SELECT fenceline.enqueue('sql', 'chapters', source => 'in/a.json', mode => 'if-version', "
            "if_version => 3, priority => 'low', not_before => '2126-01-01Z', strict => true, "
            "format => 'chapters-json')");
    assert_false(has_notify(listener, "work", 200));
    db_exec(fenceline.db, "COMMIT");
    assert_true(has_notify(listener, "work", 5000));
    assert_job("sql", "queued AND strict AND NOT repair", "true");
    assert_job("sql", "priority", "1");
    assert_job("sql", "if_version", "3");
    assert_job("sql", "source", "in/a.json");
    assert_job("sql", "not_before = '2126-01-01Z'", "true");
    int64_t id =
        db_int(fenceline.db, "SELECT fenceline.enqueue('body', 'transcript', body => 'WEBVTT'::bytea)");
    assert_job("body", "convert_from(body, 'UTF8')", "WEBVTT");
    assert_int_equal(db_int(fenceline.db, "SELECT job_id FROM fenceline.jobs WHERE episode_id = 'body'"), id);
    assert_true(has_notify(listener, "work", 5000));

    write_text("a.srt", "x");
    fenceline_run(0, "enqueue", "a.srt");
    assert_true(has_notify(listener, "work", 5000));
    db_close(listener);
}

static void test_sql_errors(void **state)
{
    (void)state;
    static const char *const CALLS[] = {
        "SELECT fenceline.enqueue('', 'chapters', source => 'a')",
        "SELECT fenceline.enqueue(NULL, 'chapters', source => 'a')",
        "SELECT fenceline.enqueue(repeat('x', 256), 'chapters', source => 'a')",
        "SELECT fenceline.enqueue(E'a\\nb', 'chapters', source => 'a')",
        "SELECT fenceline.enqueue('e', 'pictures', source => 'a')",
        "SELECT fenceline.enqueue('e', NULL, source => 'a')",
        "SELECT fenceline.enqueue('e', 'chapters')",
        "SELECT fenceline.enqueue('e', 'chapters', source => 'a', mode => 'always')",
        "SELECT fenceline.enqueue('e', 'chapters', source => 'a', mode => 'if-version')",
        "SELECT fenceline.enqueue('e', 'chapters', source => 'a', if_version => 1)",
        "SELECT fenceline.enqueue('e', 'chapters', source => 'a', mode => 'if-version', if_version => -1)",
        "SELECT fenceline.enqueue('e', 'chapters', source => 'a', priority => 'urgent')",
        "SELECT fenceline.enqueue('e', 'chapters', source => 'a', format => 'xml')",
        "SELECT fenceline.enqueue('e', 'chapters', body => convert_to(repeat('x', 1048577), 'UTF8'))",
    };
    for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS; i++) {
        char *state_code = db_sqlstate(fenceline.db, CALLS[i]);
        if (!state_code || strcmp(state_code, "22023") != 0)
            fail_msg("%s: %s", CALLS[i], state_code ? state_code : "worked");
        free(state_code);
    }
    assert_int_equal(fenceline_count("jobs"), 0);
    db_exec(fenceline.db, "SELECT fenceline.enqueue('e', 'chapters', mode => 'delete')");
    db_exec(fenceline.db, "SELECT fenceline.enqueue(repeat('x', 255), 'chapters', body => "
                          "convert_to(repeat('x', 1048576), 'UTF8'))");
    assert_int_equal(fenceline_count("jobs"), 2);
}

/* ---- --wait ---- */

static void decide(const char *episode, const char *outcome, const char *message)
{
    db_exec(fenceline.db,
            "SELECT fenceline.decide_job(job_id, $2, $3) FROM fenceline.jobs WHERE episode_id = $1 AND "
            "outcome IS NULL",
            episode, outcome, message);
}

static struct process *start_waiting(int jobs, const char *option)
{
    write_manifest(jobs);
    struct process *enqueue = fenceline_launch("enqueue", "--wait", "--manifest", "m.jsonl", option);
    await_jobs(enqueue, jobs);
    return enqueue;
}

static void test_wait(void **state)
{
    (void)state;
    struct process *enqueue = start_waiting(3, NULL);
    decide("c0", "imported", NULL);
    decide("c1", "unchanged", NULL);
    assert_false(process_ended(enqueue, 700));
    decide("c2", "deleted", NULL);
    fenceline_finish_within(enqueue, 0, 5000);
    assert_int_equal(files_count_lines(enqueue->out.bytes),
                     1); /* the summary of the jobs, and no line for each */
    fenceline_assert_err(enqueue, "1 imported, 1 unchanged, 1 deleted in ");
    assert_int_equal(files_count_lines(enqueue->err.bytes), 1);
}

static void test_wait_for_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *outcome;
        int exit_code;
    } CASES[] = {{"invalid", 4}, {"failed", 1}, {"cancelled", 1}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        db_exec(fenceline.db,
                "TRUNCATE fenceline.jobs, fenceline.episodes, fenceline.job_attempts, fenceline.lost_claims");
        struct process *enqueue = start_waiting(2, NULL);
        decide("c0", CASES[i].outcome, "c0: for a reason");
        process_wait_for_output(enqueue, "c0: for a reason", 5000); /* at once, not in the end */
        decide("c1", "imported", NULL);
        fenceline_finish_within(enqueue, CASES[i].exit_code, 5000);
        fenceline_assert_not_out(enqueue, "c1");
    }
    db_exec(fenceline.db,
            "TRUNCATE fenceline.jobs, fenceline.episodes, fenceline.job_attempts, fenceline.lost_claims");
    struct process *rejected = start_waiting(1, NULL);
    db_exec(fenceline.db,
            "UPDATE fenceline.jobs SET outcome = 'rejected', message = 'c0: is there', finished_at = now()");
    fenceline_finish_within(rejected, 3, 5000);
    fenceline_assert_err(rejected, "c0: is there");
}

static void test_wait_with_all_lines(void **state)
{
    (void)state;
    struct process *json = start_waiting(2, "--json");
    decide("c0", "imported", NULL);
    decide("c1", "failed", "no luck");
    fenceline_finish_within(json, 1, 5000);
    assert_int_equal(files_count_lines(json->out.bytes), 2); /* each job once: with its outcome */
    fenceline_assert_out(json, "{\"file\":\"s\",\"episode\":\"c0\",\"kind\":\"chapters\",\"job_id\":1,"
                               "\"outcome\":\"imported\"");
    fenceline_assert_out(json, "\"outcome\":\"failed\"");
    fenceline_assert_out(json, "\"message\":\"no luck\"");

    db_exec(fenceline.db,
            "TRUNCATE fenceline.jobs, fenceline.episodes, fenceline.job_attempts, fenceline.lost_claims");
    struct process *verbose = start_waiting(1, "--verbose");
    decide("c0", "imported", NULL);
    fenceline_finish_within(verbose, 0, 5000);
    fenceline_assert_out(verbose, "c0: chapters enqueued as job ");
    fenceline_assert_out(verbose, "chapters imported");
}

static void test_wait_for_many(void **state)
{
    (void)state;
    enum { JOBS = 12000 };
    fenceline_use_fast(true);
    struct process *enqueue = start_waiting(JOBS, NULL);
    /* Not in the order of their ids, as priorities and times may have it. */
    db_exec(fenceline.db,
            "UPDATE fenceline.jobs SET outcome = 'imported', finished_at = now() WHERE job_id % 3 = 0");
    db_exec(fenceline.db, "UPDATE fenceline.jobs SET outcome = 'failed', message = 'x', finished_at = now() "
                          "WHERE job_id % 3 = 1 AND job_id > 11000");
    process_sleep_ms(300);
    db_exec(fenceline.db,
            "UPDATE fenceline.jobs SET outcome = 'imported', finished_at = now() WHERE outcome IS NULL");
    fenceline_finish_within(enqueue, 1, 20000);
    fenceline_assert_err(enqueue, "11667 imported, 333 failed in ");
    assert_int_equal(files_count_lines(enqueue->err.bytes), 334);
}

static void test_wait_interrupted(void **state)
{
    (void)state;
    struct process *enqueue = start_waiting(3, NULL);
    decide("c0", "imported", NULL);
    assert_false(process_ended(enqueue, 700));
    process_signal(enqueue, SIGINT);
    fenceline_finish_within(enqueue, 130, 2000);
    fenceline_assert_out(enqueue, "3 jobs enqueued (ids 1 to 3)");
    fenceline_assert_err(enqueue, "2 jobs stay enqueued");
    assert_int_equal(fenceline_count_jobs("open"), 2);
}

static void test_wait_over_a_restart(void **state)
{
    (void)state;
    fenceline.env = (const char *const[]){"FENCELINE_JOB_PATIENCE_MS=60000", NULL};
    struct process *enqueue = start_waiting(2, NULL);
    decide("c0", "imported", NULL);
    services_postgres_restart(&fenceline.services, SERVICES_IMMEDIATE);
    fenceline_reconnect();
    assert_false(process_ended(enqueue, 1000));
    decide("c1", "imported", NULL);
    fenceline_finish_within(enqueue, 0, 20000);
    fenceline_assert_err(enqueue, "2 imported in ");
}

static void test_wait_without_end(void **state)
{
    (void)state;
    fenceline.env = (const char *const[]){"FENCELINE_JOB_PATIENCE_MS=300", NULL};
    struct process *purged = start_waiting(2, NULL);
    decide("c0", "imported", NULL);
    db_exec(fenceline.db, "DELETE FROM fenceline.jobs WHERE episode_id = 'c1'");
    fenceline_finish_within(purged, 1, 5000);
    fenceline_assert_err(purged, "job 2 is gone");

    db_exec(fenceline.db,
            "TRUNCATE fenceline.jobs, fenceline.episodes, fenceline.job_attempts, fenceline.lost_claims");
    struct process *away = start_waiting(2, NULL);
    assert_false(process_ended(away, 300));
    services_postgres_stop(&fenceline.services, SERVICES_IMMEDIATE);
    fenceline_finish_within(away, 6, 10000);
    fenceline_assert_err(away, "2 jobs stay enqueued");
    services_postgres_start(&fenceline.services);
    fenceline_reconnect();
    assert_int_equal(fenceline_count_jobs("open"), 2);
}

static void test_progress_bar(void **state)
{
    (void)state;
    write_manifest(4);
    struct process *enqueue = fenceline_start(&(struct process_spec){
        .argv = (const char *const[]){"enqueue", "--wait", "--manifest", "m.jsonl", NULL},
        .env = (const char *const[]){"TERM=xterm", NULL},
        .terminal_streams = PROCESS_ERR,
        .terminal_columns = 100,
        .terminal_rows = 24});
    await_jobs(enqueue, 4);
    decide("c0", "imported", NULL);
    process_wait_for_output(enqueue, "1/4", 5000);
    decide("c1", "imported", NULL);
    decide("c2", "imported", NULL);
    decide("c3", "imported", NULL);
    fenceline_finish_within(enqueue, 0, 5000);
    fenceline_assert_err(enqueue, "4 imported in ");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, start_test, stop_test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_below_the_root),
        TEST(test_links),
        TEST(test_inline),
        TEST(test_too_large_to_travel),
        TEST(test_bad_paths),
        TEST(test_standard_input),
        TEST(test_options),
        TEST(test_manifest),
        TEST(test_bad_manifest),
        TEST(test_many_in_bounded_memory),
        TEST(test_large_lines_in_bounded_memory),
        TEST(test_order_within_a_document),
        TEST(test_slow_stream),
        TEST(test_interrupt),
        TEST(test_second_interrupt),
        TEST(test_cut_connections),
        TEST(test_postgres_restarts),
        TEST(test_postgres_away),
        TEST(test_needs_no_redis_but_a_schema),
        TEST(test_sql_in_a_transaction),
        TEST(test_sql_errors),
        TEST(test_wait),
        TEST(test_wait_for_refusals),
        TEST(test_wait_with_all_lines),
        TEST(test_wait_for_many),
        TEST(test_wait_interrupted),
        TEST(test_wait_over_a_restart),
        TEST(test_wait_without_end),
        TEST(test_progress_bar),
    };
    return cmocka_run_group_tests(tests, fenceline_start_group, fenceline_stop_group);
}
