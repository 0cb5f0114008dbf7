/* test_job.c - episode ids, and what a file's name tells about a job. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "core/job.h"

/* In a block of its own exact size, so that reading past the slice is seen. */
static fl_status check(const char *text, size_t len, struct fl_err *err)
{
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    *err = (struct fl_err){.code = FL_OK};
    fl_status status = fl_episode_check((struct fl_slice){copy, len}, err);
    free(copy);
    return status;
}

static void test_episode_ids(void **state)
{
    (void)state;
    static const struct {
        struct fl_slice id;
        fl_status status;
    } CASES[] = {
        {FL_SLICE("e"), FL_OK},
        {FL_SLICE("ep39"), FL_OK},
        {FL_SLICE("a b/c:{d}.e*"), FL_OK},
        {FL_SLICE("\xc3\xa9\xe2\x82\xac\xf0\x9f\x8e\x99"), FL_OK},
        {FL_SLICE(""), FL_INVALID},
        {FL_SLICE("a\nb"), FL_INVALID},
        {FL_SLICE("a\tb"), FL_INVALID},
        {FL_SLICE("a\0b"), FL_INVALID},
        {FL_SLICE("a\x7f"), FL_INVALID},
        {FL_SLICE("a\xc2\x85"), FL_INVALID},    /* C1 */
        {FL_SLICE("\xe2\x80\xa8"), FL_INVALID}, /* line separator */
        {FL_SLICE("a\xc3"), FL_INVALID},        /* cut off */
        {FL_SLICE("a\xff"), FL_INVALID},        /* no UTF-8 */
        {FL_SLICE("\xc0\x80"), FL_INVALID},     /* overlong */
        {FL_SLICE("\xed\xa0\x80"), FL_INVALID}, /* surrogate */
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct fl_err err;
        assert_int_equal(check(CASES[i].id.ptr, CASES[i].id.len, &err), CASES[i].status);
        assert_int_equal(err.code, CASES[i].status);
        assert_int_equal(err.text[0] != '\0', CASES[i].status != FL_OK);
    }
}

static void test_episode_length(void **state)
{
    (void)state;
    char id[256];
    memset(id, 'x', sizeof(id));
    struct fl_err err;
    assert_int_equal(check(id, 255, &err), FL_OK);
    assert_int_equal(check(id, 256, &err), FL_INVALID);
    assert_non_null(strstr(err.text, "255"));
    /* bytes, not characters */
    for (size_t i = 0; i < sizeof(id); i += 2)
        memcpy(id + i, "\xc3\xa9", 2);
    assert_int_equal(check(id, 254, &err), FL_OK);
    assert_int_equal(check(id, 256, &err), FL_INVALID);
    assert_int_equal(fl_episode_check(FL_SLICE("a\nb"), NULL), FL_INVALID);
}

static void assert_told(const char *path, const char *episode, enum fl_kind kind, enum fl_format format)
{
    size_t len = strlen(path);
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, path, len);
    struct fl_slice got_episode = FL_SLICE("left over");
    enum fl_kind got_kind = FL_CHAPTERS;
    enum fl_format got_format = FL_FORMAT_VTT;
    fl_job_from_path((struct fl_slice){copy, len}, &got_episode, &got_kind, &got_format);
    if (!fl_slice_is(got_episode, episode ? episode : "") || (got_episode.ptr == NULL) != (episode == NULL) ||
        got_kind != kind || got_format != format)
        fail_msg("%s: episode %.*s kind %s format %s", path, FL_ARGS(got_episode), fl_kind_name(got_kind),
                 fl_format_name(got_format));
    free(copy);
}

static void test_names_of_files(void **state)
{
    (void)state;
    assert_told("ep39.chapters.json", "ep39", FL_CHAPTERS, FL_FORMAT_CHAPTERS_JSON);
    assert_told("ep39.srt", "ep39", FL_TRANSCRIPT, FL_FORMAT_SRT);
    assert_told("ep39.vtt", "ep39", FL_TRANSCRIPT, FL_FORMAT_VTT);
    assert_told("ep39.transcript.json", "ep39", FL_TRANSCRIPT, FL_FORMAT_TRANSCRIPT_JSON);
    assert_told("ep39.transcript.txt", "ep39", FL_TRANSCRIPT, FL_FORMAT_TIMED_TEXT);
    assert_told("/data/in/ep39.chapters.json", "ep39", FL_CHAPTERS, FL_FORMAT_CHAPTERS_JSON);
    assert_told("./show.v2.e39.srt", "show.v2.e39", FL_TRANSCRIPT, FL_FORMAT_SRT);
    assert_told("f\xc3\xa9/\xc3\xa9pisode 1.vtt", "\xc3\xa9pisode 1", FL_TRANSCRIPT, FL_FORMAT_VTT);
}

static void test_names_of_folders(void **state)
{
    (void)state;
    assert_told("chapters/ep39.json", "ep39", FL_CHAPTERS, FL_FORMAT_CHAPTERS_JSON);
    assert_told("/data/chapters/ep39.json", "ep39", FL_CHAPTERS, FL_FORMAT_CHAPTERS_JSON);
    assert_told("transcript/ep39.json", "ep39", FL_TRANSCRIPT, FL_FORMAT_TRANSCRIPT_JSON);
    assert_told("transcript/ep39.srt", "ep39", FL_TRANSCRIPT, FL_FORMAT_SRT);
    assert_told("a/transcript/ep39.vtt", "ep39", FL_TRANSCRIPT, FL_FORMAT_VTT);
    assert_told("transcript/ep39.txt", "ep39", FL_TRANSCRIPT, FL_FORMAT_TIMED_TEXT);
    assert_told("chapters/ep39.chapters.json", "ep39", FL_CHAPTERS, FL_FORMAT_CHAPTERS_JSON);
}

/* What the name does not tell stays open; nothing is guessed. */
static void test_names_that_tell_no_kind(void **state)
{
    (void)state;
    static const char *const PATHS[] = {"ep39.json",
                                        "ep39.txt",
                                        "in/ep39.json",
                                        "mychapters/ep39.json",
                                        "chapters/in/ep39.json",
                                        "ep39",
                                        "transcript/",
                                        "",
                                        "/",
                                        "chapters",
                                        "..",
                                        "chapters/.json"};
    for (size_t i = 0; i < sizeof(PATHS) / sizeof(PATHS[0]); i++) {
        struct fl_slice episode;
        enum fl_kind kind;
        enum fl_format format;
        fl_job_from_path(fl_slice_from(PATHS[i]), &episode, &kind, &format);
        if (strcmp(PATHS[i], "chapters/.json") != 0) {
            assert_int_equal(kind, FL_KIND_NONE);
            assert_int_equal(format, FL_FORMAT_NONE);
        }
        assert_true(episode.ptr == NULL || episode.len > 0); /* an empty id is no id */
    }
    struct fl_slice episode;
    enum fl_kind kind;
    enum fl_format format;
    fl_job_from_path(FL_SLICE(".srt"), &episode, &kind, &format);
    assert_true(episode.ptr == NULL || episode.len > 0);
    fl_job_from_path((struct fl_slice){NULL, 0}, &episode, &kind, &format);
    assert_null(episode.ptr);
    assert_int_equal(kind, FL_KIND_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_episode_ids),
        cmocka_unit_test(test_episode_length),
        cmocka_unit_test(test_names_of_files),
        cmocka_unit_test(test_names_of_folders),
        cmocka_unit_test(test_names_that_tell_no_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
