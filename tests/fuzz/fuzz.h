/* fuzz.h - what the targets share: a check that stops at once, and properties that more than one target
 * asks for.
 *
 * A target is a function of bytes that returns if all is well and ends the process if not. The same functions
 * run under libFuzzer (libfuzzer.c, one program a target, `make fuzz`) and over the files of corpus/ and
 * regressions/ (test_fuzz.c, all targets in one program, `make check`). A target keeps no state between two
 * inputs. */
#ifndef FENCELINE_TESTS_FUZZ_H
#define FENCELINE_TESTS_FUZZ_H

#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/slice.h"
#include "core/parse.h"
#include "fenceline/document.h"
#include "fenceline/err.h"

/* name; corpus, dictionary and regressions carry it, the function is fuzz_<name> */
#define FUZZ_TARGETS(X)                                                                                      \
    X(chapters_json)                                                                                         \
    X(transcript_json)                                                                                       \
    X(srt)                                                                                                   \
    X(vtt)                                                                                                   \
    X(timed_text)                                                                                            \
    X(document)                                                                                              \
    X(export)                                                                                                \
    X(json)                                                                                                  \
    X(manifest)                                                                                              \
    X(lines)                                                                                                 \
    X(names)                                                                                                 \
    X(settings)                                                                                              \
    X(lease)                                                                                                 \
    X(registry)                                                                                              \
    X(queue)                                                                                                 \
    X(locks)                                                                                                 \
    X(times)                                                                                                 \
    X(urls)                                                                                                  \
    X(print)

#define X(name) void fuzz_##name(struct fl_slice input);
FUZZ_TARGETS(X)
#undef X

/* Ends the process, with a report of what did not hold, unless condition holds. */
#define FUZZ_CHECK(condition, ...)                                                                           \
    ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition, __VA_ARGS__))

void fuzz_fail(const char *file, int line, const char *condition, const char *format, ...)
    __attribute__((format(printf, 4, 5), noreturn));

/* Valid UTF-8 without NUL, by this folder's own decoder. */
bool fuzz_is_text(struct fl_slice text);

/* UTF-8 without control characters. */
bool fuzz_is_plain(struct fl_slice text);

/* An episode id: 1 to 255 bytes of UTF-8 without control characters. */
bool fuzz_is_id(struct fl_slice text);

/* As fuzz_is_text, and with nothing in it that could steer a terminal. */
bool fuzz_is_printable(struct fl_slice text);

/* A refusal as a human must be able to read it: another status than FL_OK, one line of printable text. */
void fuzz_check_err(fl_status status, const struct fl_err *err);

/* The front of input up to the first separator, which goes away with it; all of it if there is none. */
struct fl_slice fuzz_take(struct fl_slice *input, char separator);

/* The first byte of input as a number, and the rest; 0 for an empty one. */
unsigned fuzz_take_byte(struct fl_slice *input);

/* The decimal number at the front of text, modulo limit (> 0). */
int64_t fuzz_number(struct fl_slice text, int64_t limit);

/* A copy that ends where it ends, so that a sanitizer sees a step beyond; free() it. */
char *fuzz_exact(struct fl_slice text);

/* As an empty configuration has them. */
struct fl_limits fuzz_limits(void);

/* Parses input by this hint and asks of the result what must hold for every input (fuzz_document.c tells
 * what). Returns what fl_parse_document returned. */
fl_status fuzz_check_parse(struct fl_slice input, const struct fl_parse_hint *hint, struct fl_limits limits);

/* Of a text format: the line ends of input, if they are all LF, may as well be CRLF or CR. */
void fuzz_check_line_ends(struct fl_slice input, enum fl_format format);

/* Writes doc in each format that can hold it, reads it back, and compares the two by itself: whatever differs
 * must have been told, and nothing else. */
void fuzz_check_export(struct fl_document *doc);

#endif
