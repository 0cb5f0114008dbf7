/* test_manifest.c - lines of a manifest: what they may say, how what is wrong is told, and how a stream is
 * cut into lines whatever it holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/manifest.h"
#include "base/arena.h"
#include "base/iso_time.h"
#include "base/slice.h"
#include "io/line_read.h"

enum { INLINE_BYTES = 100 };

static struct fl_arena arena;
static struct fl_submit_job defaults, job;
static struct fl_err err;

static int set_up(void **state)
{
    (void)state;
    fl_arena_init(&arena, 1 << 26);
    defaults = (struct fl_submit_job){0};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fl_arena_release(&arena);
    return 0;
}

/* The line in memory that ends where it ends, so that a sanitizer sees a step beyond. */
static fl_status parse_bytes(const char *bytes, size_t length)
{
    char *exact = malloc(length ? length : 1);
    assert_non_null(exact);
    memcpy(exact, bytes, length);
    err = (struct fl_err){0};
    fl_status status =
        fl_manifest_parse((struct fl_slice){exact, length}, &defaults, INLINE_BYTES, &arena, &job, &err);
    free(exact); /* nothing may point into it */
    return status;
}

static void assert_parses(const char *line)
{
    fl_status status = parse_bytes(line, strlen(line));
    if (status != FL_OK)
        fail_msg("%s: %s", line, err.text);
}

static void assert_refused(const char *line, const char *part)
{
    assert_int_equal(parse_bytes(line, strlen(line)), FL_INVALID);
    if (!strstr(err.text, part))
        fail_msg("%s: '%s' does not contain '%s'", line, err.text, part);
}

static void assert_text(struct fl_slice text, const char *expected)
{
    if (!fl_slice_is(text, expected))
        fail_msg("'%.*s' is not '%s'", FL_ARGS(text), expected);
}

static void test_all_keys(void **state)
{
    (void)state;
    assert_parses(
        "{\"episode\":\"ep39\",\"kind\":\"chapters\",\"source\":\"in/a.json\",\"mode\":\"if-version\","
        "\"if_version\":7,\"format\":\"chapters-json\",\"priority\":\"high\","
        "\"not_before\":\"2026-02-01T10:00:00Z\",\"strict\":true,\"repair\":true}");
    assert_text(job.episode, "ep39");
    assert_text(job.source, "in/a.json");
    assert_null(job.body.ptr);
    assert_int_equal(job.kind, FL_CHAPTERS);
    assert_int_equal(job.mode, FL_MODE_IF_VERSION);
    assert_int_equal(job.if_version, 7);
    assert_int_equal(job.format, FL_FORMAT_CHAPTERS_JSON);
    assert_int_equal(job.priority, FL_PRIORITY_HIGH);
    assert_true(job.not_before_ms == 1769940000000);
    assert_true(job.strict);
    assert_true(job.repair);

    assert_parses(
        " {\"kind\":\"transcript\",\"episode\":\"\\u00e9p \\\"1\\\"\",\"body\":\"WEBVTT\\n\\n\"} \r");
    assert_text(job.episode, "\xc3\xa9p \"1\"");
    assert_text(job.body, "WEBVTT\n\n");
    assert_null(job.source.ptr);
    assert_int_equal(job.mode, FL_MODE_CREATE);
    assert_int_equal(job.format, FL_FORMAT_NONE);
    assert_int_equal(job.priority, FL_PRIORITY_NORMAL);
    assert_true(job.not_before_ms == 0);
    assert_false(job.strict || job.repair);
}

static void test_what_is_not_given(void **state)
{
    (void)state;
    assert_parses("{\"source\":\"x/ep1.chapters.json\"}");
    assert_text(job.episode, "ep1");
    assert_int_equal(job.kind, FL_CHAPTERS);
    assert_parses("{\"source\":\"transcript/ep2.json\",\"episode\":\"other\"}");
    assert_text(job.episode, "other");
    assert_int_equal(job.kind, FL_TRANSCRIPT);
    assert_parses("{\"episode\":\"e\",\"format\":\"srt\",\"source\":\"words\"}");
    assert_int_equal(job.kind, FL_TRANSCRIPT);
    assert_parses("{\"episode\":\"e\",\"kind\":\"chapters\",\"mode\":\"delete\"}");
    assert_int_equal(job.mode, FL_MODE_DELETE);
    assert_parses("{\"episode\":\"e\",\"kind\":\"chapters\",\"source\":\"s\",\"body\":null,\"mode\":null,"
                  "\"if_version\":null,\"strict\":null}");
    assert_null(job.body.ptr);
    assert_parses("{\"episode\":\"e\",\"kind\":\"chapters\",\"source\":\"s\",\"if_version\":0}");
    assert_int_equal(job.mode, FL_MODE_IF_VERSION);
    assert_int_equal(job.if_version, 0);
}

static void test_defaults(void **state)
{
    (void)state;
    defaults = (struct fl_submit_job){.episode = FL_SLICE("d"),
                                      .kind = FL_TRANSCRIPT,
                                      .mode = FL_MODE_IF_VERSION,
                                      .if_version = 3,
                                      .priority = FL_PRIORITY_LOW,
                                      .not_before_ms = 5,
                                      .strict = true};
    assert_parses("{\"source\":\"a.chapters.json\"}");
    assert_text(job.episode, "d");
    assert_int_equal(job.kind, FL_TRANSCRIPT); /* an option counts before a name */
    assert_int_equal(job.mode, FL_MODE_IF_VERSION);
    assert_int_equal(job.if_version, 3);
    assert_int_equal(job.priority, FL_PRIORITY_LOW);
    assert_true(job.not_before_ms == 5);
    assert_true(job.strict);
    assert_parses("{\"source\":\"s\",\"episode\":\"l\",\"kind\":\"chapters\",\"mode\":\"replace\","
                  "\"priority\":\"normal\",\"strict\":false,\"not_before\":\"1970-01-01T00:00:09Z\"}");
    assert_text(job.episode, "l");
    assert_int_equal(job.kind, FL_CHAPTERS);
    assert_int_equal(job.mode, FL_MODE_REPLACE);
    assert_int_equal(job.priority, FL_PRIORITY_NORMAL);
    assert_true(job.not_before_ms == 9000);
    assert_false(job.strict);
    assert_parses("{\"source\":\"s\",\"if_version\":4}");
    assert_int_equal(job.if_version, 4);
}

static void test_bad_keys(void **state)
{
    (void)state;
    assert_refused("{\"episde\":\"e\"}", "unknown key 'episde'; did you mean 'episode'?");
    assert_refused("{\"Episode\":\"e\"}", "did you mean 'episode'?");
    assert_refused("{\"ifversion\":1}", "did you mean 'if_version'?");
    assert_refused("{\"not-before\":\"\"}", "did you mean 'not_before'?");
    assert_refused("{\"zzzzzzzzzzzzzz\":1}", "a job has episode, kind, source or body");
    assert_refused("{\"\":1}", "unknown key ''");
    assert_refused("{\"episode\":\"e\",\"episode\":\"e\"}", "episode is given twice");
    assert_refused("{\"episode\":null,\"episode\":\"e\"}", "episode is given twice");
    assert_refused("{\"episode\":1}", "episode must be a text");
    assert_refused("{\"if_version\":\"1\"}", "if_version must be a number");
    assert_refused("{\"strict\":\"yes\"}", "strict must be true or false");
    assert_refused("{\"repair\":1}", "repair must be true or false");
}

#define JOB "\"episode\":\"e\",\"kind\":\"chapters\",\"source\":\"s\""

static void test_bad_values(void **state)
{
    (void)state;
    assert_parses("{" JOB "}");
    assert_refused("{}", "no input; give source");
    assert_refused("{\"source\":\"s\"}", "no episode");
    assert_refused("{\"source\":\"s\",\"episode\":\"e\"}", "no kind");
    assert_refused("{\"source\":\"s\",\"kind\":\"chapters\",\"episode\":\"\"}", "no episode");
    assert_refused("{\"source\":\"s\",\"kind\":\"chapters\",\"episode\":\"a\\nb\"}", "control character");
    assert_refused("{\"source\":\"s\",\"episode\":\"e\",\"kind\":\"pictures\"}",
                   "unknown kind 'pictures'; it is chapters or transcript");
    assert_refused("{" JOB ",\"mode\":\"always\"}", "create, replace, if-version or delete");
    assert_refused("{" JOB ",\"format\":\"xml\"}", "chapters-json, srt, vtt");
    assert_refused("{" JOB ",\"format\":\"srt\"}", "format srt holds no chapters");
    assert_refused("{" JOB ",\"priority\":\"urgent\"}", "high, normal or low");
    assert_refused("{" JOB ",\"mode\":\"if-version\"}", "needs if_version");
    assert_refused("{" JOB ",\"mode\":\"replace\",\"if_version\":1}", "contradicts mode 'replace'");
    assert_refused("{" JOB ",\"if_version\":-1}", "whole number");
    assert_refused("{" JOB ",\"if_version\":1.5}", "whole number");
    assert_refused("{" JOB ",\"if_version\":1e3}", "whole number");
    assert_refused("{" JOB ",\"if_version\":99999999999999999999}", "whole number");
    assert_refused("{" JOB ",\"not_before\":\"tomorrow\"}", "write it as 2026-02-01T10:00:00Z");
    assert_refused("{" JOB ",\"mode\":\"delete\",\"body\":\"b\"}", "delete takes no body");
    assert_refused("{\"episode\":\"e\",\"kind\":\"chapters\",\"body\":\"\"}", "body is empty");
}

static void test_sources(void **state)
{
    (void)state;
    static const char *const BAD[][2] = {{"", "empty"},    {"/etc/passwd", "absolute"},
                                         {"../x", "'..'"}, {"a/../b", "'..'"},
                                         {"a/..", "'..'"}, {"..", "'..'"}};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        char line[200];
        snprintf(line, sizeof line, "{\"episode\":\"e\",\"kind\":\"chapters\",\"source\":\"%s\"}", BAD[i][0]);
        assert_refused(line, BAD[i][1]);
    }
    assert_parses("{\"episode\":\"e\",\"kind\":\"chapters\",\"source\":\"a/..b/c../...\"}");
    char long_line[6000];
    snprintf(long_line, sizeof long_line, "{\"episode\":\"e\",\"kind\":\"chapters\",\"source\":\"%0*d\"}",
             FL_MANIFEST_SOURCE_BYTES, 0);
    assert_parses(long_line);
    snprintf(long_line, sizeof long_line, "{\"episode\":\"e\",\"kind\":\"chapters\",\"source\":\"%0*d\"}",
             FL_MANIFEST_SOURCE_BYTES + 1, 0);
    assert_refused(long_line, "4096 bytes; at most 4095");
}

static void test_body_limit(void **state)
{
    (void)state;
    char line[400];
    snprintf(line, sizeof line, "{\"episode\":\"e\",\"kind\":\"chapters\",\"body\":\"%0*d\"}", INLINE_BYTES,
             0);
    assert_parses(line);
    assert_int_equal(job.body.len, INLINE_BYTES);
    snprintf(line, sizeof line, "{\"episode\":\"e\",\"kind\":\"chapters\",\"body\":\"%0*d\"}",
             INLINE_BYTES + 1, 0);
    assert_refused(line, "101 bytes, more than the 100");
    assert_refused(line, "limit.inline_bytes");
    assert_true(fl_manifest_line_bytes(INLINE_BYTES) > 6 * INLINE_BYTES + 6 * FL_MANIFEST_SOURCE_BYTES);
}

/* What is not one flat JSON object. */
static void test_shapes(void **state)
{
    (void)state;
    assert_refused("[]", "a list");
    assert_refused("{\"episode\":{\"a\":1}}", "byte 12: an object inside a job");
    assert_refused("{\"episode\":[1]}", "byte 12: a list inside a job");
    assert_refused("\"text\"", "not an object");
    assert_refused("17", "not an object");
    assert_refused("{" JOB "", "byte ");
    assert_refused("{" JOB "} {" JOB "}", "an object inside a job");
    assert_refused("{" JOB "}x", "bytes after the document");
    assert_refused("{\"episode\":\"e\",}", "byte ");
    assert_refused("{\"episode\":\"e", "byte ");
    assert_refused("{\"episode\":\"\\u0000\"}", "U+0000");
    assert_refused("{\"episode\":\"\\ud800\"}", "surrogate");
    assert_refused("{\"episode\":\"\xff\"}", "byte 13: not valid UTF-8");
    assert_int_equal(parse_bytes("{\"episode\":\"e\0\"}", 16), FL_INVALID);
    assert_non_null(strstr(err.text, "byte 14: a NUL"));
    assert_null(strstr(err.text, "line 1"));
    assert_refused("{\"episode\":\"e\" \"kind\"}", "',' or '}' expected");
    assert_null(strstr(err.text, "line 1"));
    assert_parses(
        "{\"episode\":\"a[{,:\\\"]\",\"kind\":\"chapters\",\"source\":\"[[[{{{\"}"); /* in texts all may */
}

/* Deep or endless lines are refused by the first glance, without a tree in memory. */
static void test_hostile_lines(void **state)
{
    (void)state;
    enum { BYTES = 6 << 20 };
    static char line[BYTES];
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    memset(line, '[', BYTES);
    assert_int_equal(parse_bytes(line, BYTES), FL_INVALID);
    for (size_t i = 0; i + 5 <= BYTES; i += 5)
        memcpy(line + i, "{\"a\":", 5);
    assert_int_equal(parse_bytes(line, BYTES - BYTES % 5), FL_INVALID);
    memcpy(line, "{", 1);
    for (size_t i = 1; i + 6 <= BYTES; i += 6)
        memcpy(line + i, "\"a\":0,", 6);
    assert_int_equal(parse_bytes(line, BYTES - (BYTES - 1) % 6), FL_INVALID);
    assert_non_null(strstr(err.text, "more than 32 keys"));
    memset(line, '"', BYTES);
    assert_int_equal(parse_bytes(line, BYTES), FL_INVALID);
    memset(line, '\\', BYTES);
    assert_int_equal(parse_bytes(line, BYTES), FL_INVALID);
    memset(line, 'e', BYTES);
    memcpy(line, "{\"episode\":\"", 12);
    memcpy(line + BYTES - 2, "\"}", 2);
    assert_int_equal(parse_bytes(line, BYTES), FL_INVALID);
    getrusage(RUSAGE_SELF, &after);
    assert_true(after.ru_maxrss - before.ru_maxrss < 200 * 1024); /* a tree would take 400 MiB more */
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } GOOD[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-02-01T10:00:00Z", 1769940000000},
        {"2026-02-01T10:00:00", 1769940000000},
        {"2026-02-01T10:00", 1769940000000},
        {"2026-02-01 10:00Z", 1769940000000},
        {"2026-02-01t10:00z", 1769940000000},
        {"2026-02-01T11:00:00+01:00", 1769940000000},
        {"2026-02-01T04:30:00-0530", 1769940000000},
        {"2026-02-01T12:00+02", 1769940000000},
        {"2026-02-01T10:00:00.25Z", 1769940000250},
        {"2026-02-01T10:00:00.123456789Z", 1769940000123},
        {"2024-02-29T23:59:59Z", 1709251199000},
        {"2000-02-29T00:00Z", 951782400000},
        {"2000-03-01T00:00Z", 951868800000},
        {"1999-12-31T23:59:59.999Z", 946684799999},
        {"9999-12-31T23:59:59Z", 253402300799000},
        {"2026-02-01", 1769904000000},
        {"2026-02-01T10:00:00.1239999999999999999999999Z", 1769940000123},
        {"2016-12-31T23:59:60Z", 1483228800000},
        {"1970-01-01T01:00+01:00", 0},
    };
    static const char *const BAD[] = {
        "",
        "2026",
        "2026-02-01T",
        "2026-02-01T10",
        "2026-02-01T10:00:00ZZ",
        "2026-02-01T10:00:00 Z",
        "2026-2-1T10:00:00Z",
        "2026-02-30T10:00:00Z",
        "2025-02-29T10:00:00Z",
        "2100-02-29T10:00:00Z",
        "2026-13-01T10:00:00Z",
        "2026-00-01T10:00:00Z",
        "2026-01-00T10:00:00Z",
        "2026-04-31T10:00:00Z",
        "2026-02-01T24:00:00Z",
        "2026-02-01T10:60:00Z",
        "2026-02-01T10:00:61Z",
        "2026-02-01T10:00:00.Z",
        "2026-02-01T10:00:00+1",
        "2026-02-01T10:00:00+01:",
        "2026-02-01T10:00:00+15:00",
        "2026-02-01T10:00:00+01:60",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+01:00",
        "20260201T100000Z",
        "+2026-02-01T10:00:00Z",
        "12026-02-01T10:00:00Z",
        "2026-02-01T10:00:00+99999999999",
    };
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        int64_t ms = -1;
        if (!fl_iso_time(fl_slice_from(GOOD[i].text), &ms) || ms != GOOD[i].ms)
            fail_msg("%s: %lld", GOOD[i].text, (long long)ms);
    }
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        int64_t ms;
        if (fl_iso_time(fl_slice_from(BAD[i]), &ms))
            fail_msg("%s was taken for %lld", BAD[i], (long long)ms);
    }
}

/* ---- lines of a stream ---- */

static int pipe_with(const char *bytes, size_t length)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], bytes, length), (ssize_t)length);
    close(ends[1]);
    return ends[0];
}

static void assert_line(struct fl_line_reader *reader, const char *text, uint64_t number)
{
    struct fl_slice line;
    assert_int_equal(fl_line_reader_next(reader, &line, &err), FL_LINE_GIVEN);
    assert_text(line, text);
    assert_int_equal(reader->line_number, number);
}

static enum fl_line_status next_status(struct fl_line_reader *reader)
{
    struct fl_slice line;
    enum fl_line_status status;
    do
        status = fl_line_reader_next(reader, &line, &err);
    while (status == FL_LINE_SKIPPING);
    return status;
}

static void test_lines(void **state)
{
    (void)state;
    static const char TEXT[] = "one\n\ntwo\r\nthree\rfour\n\r\nlast";
    struct fl_line_reader reader;
    int fd = pipe_with(TEXT, sizeof TEXT - 1);
    fl_line_reader_init(&reader, fd, 100);
    assert_line(&reader, "one", 1);
    assert_line(&reader, "", 2);
    assert_line(&reader, "two", 3);
    assert_line(&reader, "three\rfour", 4);
    assert_line(&reader, "", 5);
    assert_line(&reader, "last", 6);
    assert_int_equal(next_status(&reader), FL_LINE_END);
    assert_int_equal(next_status(&reader), FL_LINE_END);
    fl_line_reader_release(&reader);
    close(fd);
}

static void test_empty_stream(void **state)
{
    (void)state;
    struct fl_line_reader reader;
    int fd = open("/dev/null", O_RDONLY);
    fl_line_reader_init(&reader, fd, 100);
    assert_int_equal(next_status(&reader), FL_LINE_END);
    fl_line_reader_release(&reader);
    close(fd);
    fd = open("/", O_RDONLY | O_DIRECTORY);
    fl_line_reader_init(&reader, fd, 100);
    assert_int_equal(next_status(&reader), FL_LINE_FAILED);
    assert_non_null(strstr(err.text, "directory"));
    assert_int_equal(next_status(&reader), FL_LINE_END);
    fl_line_reader_release(&reader);
    close(fd);
}

/* Lines of the limit are given, longer ones dropped, wherever the reads cut them. */
static void test_long_lines(void **state)
{
    (void)state;
    enum { LIMIT = 100000 };
    static const size_t LENGTHS[] = {LIMIT, LIMIT + 1, 3, 10 * LIMIT, 4, LIMIT - 1, 0, 5 * LIMIT};
    char path[] = "/tmp/fenceline-lines-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    static char bytes[10 * LIMIT];
    memset(bytes, 'x', sizeof bytes);
    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
        assert_int_equal(write(fd, bytes, LENGTHS[i]), (ssize_t)LENGTHS[i]);
        if (i + 1 < sizeof LENGTHS / sizeof *LENGTHS)
            assert_int_equal(write(fd, "\n", 1), 1);
    }
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    struct fl_line_reader reader;
    fl_line_reader_init(&reader, fd, LIMIT);
    assert_int_equal(reader.watch_fd, -1);
    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
        struct fl_slice line;
        enum fl_line_status status;
        do
            status = fl_line_reader_next(&reader, &line, &err);
        while (status == FL_LINE_SKIPPING);
        assert_int_equal(status, LENGTHS[i] > LIMIT ? FL_LINE_TOO_LONG : FL_LINE_GIVEN);
        assert_int_equal(reader.line_number, i + 1);
        if (status == FL_LINE_GIVEN)
            assert_int_equal(line.len, LENGTHS[i]);
        assert_true(reader.capacity <= LIMIT + 128 * 1024);
    }
    assert_int_equal(next_status(&reader), FL_LINE_END);
    fl_line_reader_release(&reader);
    close(fd);
}

/* Nobody waits for a slow writer; the descriptor to watch tells when there is more. */
static void test_slow_stream(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct fl_line_reader reader;
    fl_line_reader_init(&reader, ends[0], 100);
    assert_true(reader.watch_fd >= 0);
    struct pollfd watched = {.fd = reader.watch_fd, .events = POLLIN};
    assert_int_equal(next_status(&reader), FL_LINE_LATER);
    assert_int_equal(poll(&watched, 1, 0), 0);
    assert_int_equal(write(ends[1], "ha", 2), 2);
    assert_int_equal(poll(&watched, 1, 0), 1);
    assert_int_equal(next_status(&reader), FL_LINE_LATER);
    assert_int_equal(write(ends[1], "lf\nmore", 7), 7);
    assert_line(&reader, "half", 1);
    assert_int_equal(next_status(&reader), FL_LINE_LATER);
    close(ends[1]);
    assert_int_equal(poll(&watched, 1, 0), 1);
    assert_line(&reader, "more", 2);
    assert_int_equal(next_status(&reader), FL_LINE_END);
    assert_int_equal(fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0); /* it may be somebody else's too */
    fl_line_reader_release(&reader);
    close(ends[0]);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_all_keys),      TEST(test_what_is_not_given),
        TEST(test_defaults),      TEST(test_bad_keys),
        TEST(test_bad_values),    TEST(test_sources),
        TEST(test_body_limit),    TEST(test_shapes),
        TEST(test_hostile_lines), TEST(test_times),
        TEST(test_lines),         TEST(test_empty_stream),
        TEST(test_long_lines),    TEST(test_slow_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
