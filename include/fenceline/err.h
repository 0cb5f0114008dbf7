/* err.h - status codes and the error detail that travels with them (house, "Errors").
 *
 * Outcomes of a correct run (busy, stale, rejected) are not errors: they are values in events. A status says
 * that an operation did not work; its detail is one line for a human: what failed, on which file, line,
 * episode or key, and what to do. */
#ifndef FENCELINE_ERR_H
#define FENCELINE_ERR_H

#include <stdarg.h>
#include <stdbool.h>

/* name, text, retryable?, exit code (product, "Exit codes") */
#define FL_STATUS_LIST(X)                                                                                    \
    X(OK, "ok", false, 0)                                                                                    \
    X(FAILED, "failed", false, 1)                                                                            \
    X(NO_MEMORY, "out of memory", true, 1)                                                                   \
    X(USAGE, "usage or configuration", false, 2)                                                             \
    X(INVALID, "invalid input", false, 4)                                                                    \
    X(UNREADABLE, "source not readable", false, 4)                                                           \
    X(TRANSIENT, "temporary server error", true, 1)                                                          \
    X(UNAVAILABLE, "server unavailable", true, 6)                                                            \
    X(LOST, "reply lost", true, 6)

enum fl_status {
#define X(name, text, retryable, exit_code) FL_##name,
    FL_STATUS_LIST(X)
#undef X
};
typedef enum fl_status fl_status;

#define FL_CHECKED __attribute__((warn_unused_result))

enum { FL_ERR_TEXT_BYTES = 1024 };

/* One line, valid UTF-8, no control characters; empty when the status is FL_OK. */
struct fl_err {
    fl_status code;
    char text[FL_ERR_TEXT_BYTES];
};

/* Fills *err with code and a printf-formatted text (cut at a character boundary, control characters become
 * '?'), and returns code, so that `return fl_err_set(err, FL_INVALID, ...)` reads as one step. err may be
 * NULL: then only the code is returned. */
fl_status fl_err_set(struct fl_err *err, fl_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with a va_list. */
fl_status fl_err_vset(struct fl_err *err, fl_status code, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

/* Puts "prefix: " before the text that is there. Used once per ring, to add context. */
void fl_err_prefix(struct fl_err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Columns of FL_STATUS_LIST. The returned text is static. */
const char *fl_status_text(fl_status code);
bool fl_status_retryable(fl_status code);
int fl_status_exit_code(fl_status code);

#endif
