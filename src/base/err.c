/* err.c - fills and prefixes error details; keeps them one line of valid UTF-8. */
#include "fenceline/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *text;
    bool retryable;
    int exit_code;
} STATUS[] = {
#define X(name, text, retryable, exit_code) [FL_##name] = {text, retryable, exit_code},
    FL_STATUS_LIST(X)
#undef X
};

/* Error texts quote hostile input: no control character may reach a terminal or break a log line, and a cut
 * must not leave half a character. */
static void make_one_line(char *text, bool was_cut)
{
    size_t length = strlen(text);
    if (was_cut) {
        while (length && ((unsigned char)text[length - 1] & 0xc0) == 0x80)
            length--;
        if (length && (unsigned char)text[length - 1] >= 0xc0)
            length--;
        text[length] = '\0';
    }
    for (unsigned char *c = (unsigned char *)text; *c; c++) {
        if (*c < 0x20 || *c == 0x7f)
            *c = c[0] == '\n' && !c[1] ? '\0' : '?';
        else if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0)
            *c++ = '?', *c = '?';
    }
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
