/* err.c - fills and prefixes error details; keeps them one line of valid UTF-8. */
#include "fenceline/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/slice.h"
#include "base/utf8.h"

static const struct {
    const char *text;
    bool retryable;
    int exit_code;
} STATUS[] = {
#define X(name, text, retryable, exit_code) [FL_##name] = {text, retryable, exit_code},
    FL_STATUS_LIST(X)
#undef X
};

/* Error texts quote hostile input: no control character may reach a terminal or break a log line, no invalid
 * byte a database, and a cut must not leave half a character. What is replaced becomes '?'; a last line end
 * goes. */
static void make_one_line(char *text, bool was_cut)
{
    struct fl_slice rest = fl_slice_from(text);
    char *out = text;
    if (rest.len && rest.ptr[rest.len - 1] == '\n')
        rest.len--;
    while (rest.len) {
        struct fl_slice next = {rest.ptr, rest.len < 4 ? rest.len : 4};
        size_t length = fl_utf8_bad_length(rest);
        bool good = fl_utf8_valid_prefix(next) >= 1;
        if (good && !fl_utf8_is_control(fl_utf8_next(&next))) {
            length = (size_t)(next.ptr - rest.ptr);
            memmove(out, rest.ptr, length);
            out += length;
        } else if (good) {
            length = (size_t)(next.ptr - rest.ptr);
            *out++ = '?';
        } else if (!was_cut || length < rest.len) {
            *out++ = '?';
        }
        rest = (struct fl_slice){rest.ptr + length, rest.len - length};
    }
    *out = '\0';
}

fl_status fl_err_vset(struct fl_err *err, fl_status code, const char *format, va_list args)
{
    if (!err)
        return code;
    int length = vsnprintf(err->text, sizeof err->text, format, args);
    err->code = code;
    make_one_line(err->text, length >= (int)sizeof err->text);
    return code;
}

fl_status fl_err_set(struct fl_err *err, fl_status code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fl_err_vset(err, code, format, args);
    va_end(args);
    return code;
}

void fl_err_prefix(struct fl_err *err, const char *format, ...)
{
    if (!err)
        return;
    char before[FL_ERR_TEXT_BYTES];
    memcpy(before, err->text, sizeof before);
    va_list args;
    va_start(args, format);
    int length = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    bool was_cut = length < 0 || length >= (int)sizeof err->text;
    if (!was_cut) {
        size_t room = sizeof err->text - (size_t)length;
        was_cut = snprintf(err->text + length, room, ": %s", before) >= (int)room;
    }
    make_one_line(err->text, was_cut);
}

const char *fl_status_text(fl_status code)
{
    return STATUS[code].text;
}

bool fl_status_retryable(fl_status code)
{
    return STATUS[code].retryable;
}

int fl_status_exit_code(fl_status code)
{
    return STATUS[code].exit_code;
}
