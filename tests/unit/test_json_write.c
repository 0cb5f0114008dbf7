/* test_json_write.c - commas, escapes, broken UTF-8, and that writing out of turn aborts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "base/json_write.h"
#include "base/slice.h"
#include "base/utf8.h"

struct fixture {
    struct fl_json_writer writer;
    FILE *out;
    char *text;
    size_t length;
};

static void open_writer(struct fixture *f)
{
    f->out = open_memstream(&f->text, &f->length);
    assert_non_null(f->out);
    fl_json_write_init(&f->writer, f->out);
}

static void assert_written(struct fixture *f, const char *expected)
{
    assert_int_equal(fclose(f->out), 0);
    assert_string_equal(f->text, expected);
    assert_int_equal(f->length, strlen(expected));
    free(f->text);
}

static void test_values_and_commas(void **state)
{
    (void)state;
    struct fixture f;
    open_writer(&f);
    struct fl_json_writer *w = &f.writer;
    fl_json_write_begin_object(w);
    fl_json_write_name(w, "file");
    fl_json_write_string(w, FL_SLICE("a.vtt"));
    fl_json_write_name(w, "numbers");
    fl_json_write_begin_array(w);
    fl_json_write_int64(w, INT64_MIN);
    fl_json_write_int64(w, 0);
    fl_json_write_int64(w, INT64_MAX);
    fl_json_write_end_array(w);
    fl_json_write_name(w, "empty");
    fl_json_write_begin_array(w);
    fl_json_write_end_array(w);
    fl_json_write_name(w, "nested");
    fl_json_write_begin_array(w);
    fl_json_write_begin_object(w);
    fl_json_write_end_object(w);
    fl_json_write_begin_object(w);
    fl_json_write_name(w, "ok");
    fl_json_write_bool(w, true);
    fl_json_write_name(w, "no");
    fl_json_write_bool(w, false);
    fl_json_write_end_object(w);
    fl_json_write_null(w);
    fl_json_write_string(w, (struct fl_slice){0});
    fl_json_write_string(w, FL_SLICE(""));
    fl_json_write_end_array(w);
    fl_json_write_name(w, "raw");
    fl_json_write_raw(w, FL_SLICE("{\"a\":1e400}"));
    fl_json_write_name(w, "absent");
    fl_json_write_raw(w, (struct fl_slice){0});
    fl_json_write_end_object(w);
    fl_json_write_end_line(w);
    fl_json_write_int64(w, 7);
    fl_json_write_end_line(w);
    assert_written(&f, "{\"file\":\"a.vtt\",\"numbers\":[-9223372036854775808,0,9223372036854775807],"
                       "\"empty\":[],\"nested\":[{},{\"ok\":true,\"no\":false},null,null,\"\"],"
                       "\"raw\":{\"a\":1e400},\"absent\":null}\n7\n");
}

static void test_strings(void **state)
{
    (void)state;
    static const struct {
        struct fl_slice text;
        const char *expected;
    } ROWS[] = {
        {FL_SLICE("plain"), "\"plain\""},
        {FL_SLICE("a\"b\\c/d"), "\"a\\\"b\\\\c/d\""},
        {FL_SLICE("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\""},
        {FL_SLICE("\x01\x1b\x1f\x7f"), "\"\\u0001\\u001b\\u001f\\u007f\""},
        {FL_SLICE("a\0b"), "\"a\\u0000b\""},
        {FL_SLICE("\xc2\x9b"), "\"\\u009b\""},                              /* C1: a terminal obeys it */
        {FL_SLICE("x\xe2\x80\xa8y\xe2\x80\xa9z"), "\"x\\u2028y\\u2029z\""}, /* line separators */
        {FL_SLICE("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"), "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\""},
        {FL_SLICE("a\xff\xfe z"), "\"a\xef\xbf\xbd\xef\xbf\xbd z\""},           /* bytes that never occur */
        {FL_SLICE("\xe2\x82"), "\"\xef\xbf\xbd\""},                             /* cut off at the end */
        {FL_SLICE("\xe2\x82z"), "\"\xef\xbf\xbdz\""},                           /* cut off inside */
        {FL_SLICE("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* a surrogate */
        {FL_SLICE("\xc0\xaf\""), "\"\xef\xbf\xbd\xef\xbf\xbd\\\"\""},           /* an overlong slash */
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct fixture f;
        char *copy = malloc(ROWS[i].text.len); /* exactly as long, so that reading behind it shows */
        assert_non_null(copy);
        memcpy(copy, ROWS[i].text.ptr, ROWS[i].text.len);
        open_writer(&f);
        fl_json_write_string(&f.writer, (struct fl_slice){copy, ROWS[i].text.len});
        free(copy);
        assert_written(&f, ROWS[i].expected);
    }
}

static void test_name_is_escaped(void **state)
{
    (void)state;
    struct fixture f;
    open_writer(&f);
    fl_json_write_begin_object(&f.writer);
    fl_json_write_name(&f.writer, "a\"\n\xff");
    fl_json_write_null(&f.writer);
    fl_json_write_end_object(&f.writer);
    assert_written(&f, "{\"a\\\"\\n\xef\xbf\xbd\":null}");
}

static void test_escape(void **state)
{
    (void)state;
    char out[FL_JSON_ESCAPE_BYTES];
    assert_int_equal(fl_json_escape('a', out), 0);
    assert_int_equal(fl_json_escape(0x1f600, out), 0);
    assert_int_equal(fl_json_escape('"', out), 2);
    assert_memory_equal(out, "\\\"", 2);
    assert_int_equal(fl_json_escape(0x2029, out), 6);
    assert_memory_equal(out, "\\u2029", 6);
    assert_int_equal(fl_json_escape(0x202e, out), 6); /* turns the direction of writing */
    assert_memory_equal(out, "\\u202e", 6);
}

/* JSON from elsewhere keeps its meaning, stays on its line, and steers no terminal. */
static void test_raw(void **state)
{
    (void)state;
    struct fixture f;
    open_writer(&f);
    fl_json_write_raw(&f.writer,
                      FL_SLICE("{\"a\\\"\":\n\t[\"\x7f\xc2\x9b\xe2\x80\xa8\xe2\x80\xae\xc3\xa9\xff\"]}"));
    assert_written(&f, "{\"a\\\"\":  [\"\\u007f\\u009b\\u2028\\u202e\xc3\xa9\xef\xbf\xbd\"]}");
}

/* Whatever bytes go in, valid JSON on one line comes out, and the reader agrees about valid text. */
static void test_round_trip(void **state)
{
    (void)state;
    uint32_t seed = 20260118;
    for (int round = 0; round < 2000; round++) {
        char bytes[24];
        size_t length = (size_t)round % sizeof bytes;
        for (size_t i = 0; i < length; i++) {
            seed = seed * 1664525 + 1013904223;
            bytes[i] = (char)(seed >> 24);
            if (round & 1)
                bytes[i] &= 0x7f;
            if (bytes[i] == 0)
                bytes[i] = 1; /* the reader refuses U+0000 */
        }
        struct fixture f;
        open_writer(&f);
        fl_json_write_string(&f.writer, (struct fl_slice){bytes, length});
        fl_json_write_end_line(&f.writer);
        assert_int_equal(fclose(f.out), 0);
        assert_ptr_equal(memchr(f.text, '\n', f.length), f.text + f.length - 1);
        struct fl_json_text json;
        struct fl_err err = {0};
        if (fl_json_parse(&json, (struct fl_slice){f.text, f.length}, &err) != FL_OK)
            fail_msg("%s", err.text);
        struct fl_slice text = {bytes, length}, read = fl_json_string(json.root);
        assert_int_equal(fl_utf8_valid_prefix(read), read.len);
        assert_int_equal(fl_slice_eq(read, text), fl_utf8_valid_prefix(text) == length);
        fl_json_release(&json);
        free(f.text);
    }
}

static void test_depth_limit_is_reached(void **state)
{
    (void)state;
    struct fixture f;
    open_writer(&f);
    for (int i = 0; i < FL_JSON_WRITE_DEPTH_LIMIT; i++)
        fl_json_write_begin_array(&f.writer);
    fl_json_write_bool(&f.writer, true);
    for (int i = 0; i < FL_JSON_WRITE_DEPTH_LIMIT; i++)
        fl_json_write_end_array(&f.writer);
    assert_written(&f, "[[[[[[[[[[[[[[[[true]]]]]]]]]]]]]]]]");
}

static void too_deep(struct fl_json_writer *w)
{
    for (int i = 0; i <= FL_JSON_WRITE_DEPTH_LIMIT; i++)
        fl_json_write_begin_array(w);
}

static void value_without_name(struct fl_json_writer *w)
{
    fl_json_write_begin_object(w);
    fl_json_write_null(w);
}

static void name_in_array(struct fl_json_writer *w)
{
    fl_json_write_begin_array(w);
    fl_json_write_name(w, "a");
}

static void name_at_top(struct fl_json_writer *w)
{
    fl_json_write_name(w, "a");
}

static void two_names(struct fl_json_writer *w)
{
    fl_json_write_begin_object(w);
    fl_json_write_name(w, "a");
    fl_json_write_name(w, "b");
}

static void end_after_name(struct fl_json_writer *w)
{
    fl_json_write_begin_object(w);
    fl_json_write_name(w, "a");
    fl_json_write_end_object(w);
}

static void end_of_another_kind(struct fl_json_writer *w)
{
    fl_json_write_begin_object(w);
    fl_json_write_end_array(w);
}

static void end_of_nothing(struct fl_json_writer *w)
{
    fl_json_write_end_array(w);
}

static void second_document(struct fl_json_writer *w)
{
    fl_json_write_null(w);
    fl_json_write_null(w);
}

static void empty_line(struct fl_json_writer *w)
{
    fl_json_write_end_line(w);
}

static void line_inside_array(struct fl_json_writer *w)
{
    fl_json_write_begin_array(w);
    fl_json_write_end_line(w);
}

static void in_turn(struct fl_json_writer *w)
{
    fl_json_write_null(w);
    fl_json_write_end_line(w);
    fl_json_write_null(w);
}

/* The signal that ends a child which does this: 0 if it goes through. */
static int signal_of(void (*misuse)(struct fl_json_writer *))
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit no_core = {0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        FILE *nothing = fopen("/dev/null", "w");
        if (!nothing || !freopen("/dev/null", "w", stderr))
            _exit(1);
        struct fl_json_writer writer;
        fl_json_write_init(&writer, nothing);
        misuse(&writer);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status))
        assert_int_equal(WEXITSTATUS(status), 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void test_misuse_aborts(void **state)
{
    (void)state;
    static void (*const MISUSES[])(struct fl_json_writer *) = {
        too_deep,        value_without_name, name_in_array,       name_at_top,
        two_names,       end_after_name,     end_of_another_kind, end_of_nothing,
        second_document, empty_line,         line_inside_array};
    for (size_t i = 0; i < sizeof MISUSES / sizeof *MISUSES; i++)
        if (signal_of(MISUSES[i]) != SIGABRT)
            fail_msg("misuse %zu did not abort", i);
    assert_int_equal(signal_of(in_turn), 0);
}

static void test_stream_error_stays(void **state)
{
    (void)state;
    FILE *full = fopen("/dev/full", "w");
    if (!full)
        skip();
    setvbuf(full, NULL, _IONBF, 0);
    struct fl_json_writer writer;
    fl_json_write_init(&writer, full);
    fl_json_write_string(&writer, FL_SLICE("lost"));
    fl_json_write_end_line(&writer);
    assert_true(ferror(full));
    fclose(full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_and_commas),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_name_is_escaped),
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_raw),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_depth_limit_is_reached),
        cmocka_unit_test(test_misuse_aborts),
        cmocka_unit_test(test_stream_error_stays),
    };
    return cmocka_run_group_tests_name("json_write", tests, NULL, NULL);
}
