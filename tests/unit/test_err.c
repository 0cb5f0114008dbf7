/* test_err.c - status codes, and the one line that travels with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/utf8.h"
#include "fenceline/err.h"

static bool is_clean(const struct fl_err *err)
{
    size_t len = strnlen(err->text, sizeof(err->text));
    struct fl_slice text = {err->text, len};
    if (len == sizeof(err->text) || fl_utf8_valid_prefix(text) != len)
        return false;
    while (text.len > 0)
        if (fl_utf8_is_control(fl_utf8_next(&text)))
            return false;
    return true;
}

static void test_columns(void **state)
{
    (void)state;
#define X(name, text, retryable, exit_code)                                                                  \
    assert_string_equal(fl_status_text(FL_##name), text);                                                    \
    assert_int_equal(fl_status_retryable(FL_##name), retryable);                                             \
    assert_int_equal(fl_status_exit_code(FL_##name), exit_code);
    FL_STATUS_LIST(X)
#undef X
}

static void test_set_returns_the_code(void **state)
{
    (void)state;
    struct fl_err err;
    memset(&err, 'x', sizeof(err));
    assert_int_equal(fl_err_set(&err, FL_INVALID, "line %d: %s", 3, "no start"), FL_INVALID);
    assert_int_equal(err.code, FL_INVALID);
    assert_string_equal(err.text, "line 3: no start");
    assert_int_equal(fl_err_set(NULL, FL_LOST, "gone"), FL_LOST);
    assert_int_equal(fl_err_set(&err, FL_FAILED, "%s", ""), FL_FAILED);
    assert_string_equal(err.text, "");
}

static fl_status set_by_list(struct fl_err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static fl_status set_by_list(struct fl_err *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fl_status status = fl_err_vset(err, FL_TRANSIENT, format, args);
    va_end(args);
    return status;
}

static void test_vset(void **state)
{
    (void)state;
    struct fl_err err;
    assert_int_equal(set_by_list(&err, "%s %d", "deadlock", 2), FL_TRANSIENT);
    assert_string_equal(err.text, "deadlock 2");
    assert_int_equal(set_by_list(NULL, "%s %d", "deadlock", 2), FL_TRANSIENT);
}

static void test_control_characters_become_question_marks(void **state)
{
    (void)state;
    struct fl_err err;
    (void)!fl_err_set(&err, FL_FAILED, "a\nb\tc\rd\x1b[31me\x7f");
    assert_string_equal(err.text, "a?b?c?d?[31me?");
    (void)!fl_err_set(&err, FL_FAILED, "x\xc2\x85y\xe2\x80\xa8z");
    assert_true(is_clean(&err));
    assert_non_null(strchr(err.text, 'y'));
    assert_non_null(strchr(err.text, 'z'));
}

static void test_invalid_bytes_never_get_through(void **state)
{
    (void)state;
    struct fl_err err;
    for (unsigned a = 1; a < 256; a++)
        for (unsigned b = 1; b < 256; b += 5) {
            (void)!fl_err_set(&err, FL_FAILED, "ab%c%cyz", (int)a, (int)b);
            if (!is_clean(&err))
                fail_msg("bytes %02x %02x", a, b);
            assert_memory_equal(err.text, "ab", 2);
            assert_non_null(strchr(err.text, 'z')); /* what is good stays */
        }
}

static void test_long_text_is_cut_between_characters(void **state)
{
    (void)state;
    struct fl_err err;
    char text[3 * FL_ERR_TEXT_BYTES];
    for (size_t lead = 0; lead < 5; lead++) {
        memset(text, 'a', lead);
        size_t len = lead;
        for (; len + 4 < sizeof(text); len += 4)
            memcpy(text + len, "\xf0\x9f\x8e\x99", 4);
        text[len] = '\0';
        (void)!fl_err_set(&err, FL_FAILED, "%s", text);
        assert_true(is_clean(&err));
        assert_in_range(strlen(err.text), FL_ERR_TEXT_BYTES - 4 - 4, FL_ERR_TEXT_BYTES - 1);
        assert_memory_equal(err.text, text, FL_ERR_TEXT_BYTES - 12);
    }
}

/* The text may be made from itself. */
static void test_prefix(void **state)
{
    (void)state;
    struct fl_err err;
    (void)!fl_err_set(&err, FL_UNREADABLE, "no such file");
    fl_err_prefix(&err, "%s, line %d", "ep39.srt", 3);
    assert_string_equal(err.text, "ep39.srt, line 3: no such file");
    assert_int_equal(err.code, FL_UNREADABLE);
    fl_err_prefix(&err, "a\nb");
    assert_string_equal(err.text, "a?b: ep39.srt, line 3: no such file");
}

static void test_prefix_of_a_full_text(void **state)
{
    (void)state;
    struct fl_err err;
    char text[2 * FL_ERR_TEXT_BYTES];
    size_t len = 0;
    for (; len + 3 < sizeof(text); len += 3)
        memcpy(text + len, "\xe2\x82\xac", 3);
    text[len] = '\0';
    (void)!fl_err_set(&err, FL_INVALID, "%s", text);
    for (int i = 0; i < 5; i++) {
        fl_err_prefix(&err, "ring %d", i);
        assert_true(is_clean(&err));
    }
    assert_memory_equal(err.text, "ring 4: ring 3: ring 2: ", 24);
    fl_err_prefix(&err, "%s", text); /* longer than all there is */
    assert_true(is_clean(&err));
    assert_int_equal(err.code, FL_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_set_returns_the_code),
        cmocka_unit_test(test_vset),
        cmocka_unit_test(test_control_characters_become_question_marks),
        cmocka_unit_test(test_invalid_bytes_never_get_through),
        cmocka_unit_test(test_long_text_is_cut_between_characters),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_prefix_of_a_full_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
