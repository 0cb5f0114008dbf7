/* fuzz_lines.c - a stream line by line (io/line_read.h), in pieces, beside a plain look at the whole text. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "io/line_read.h"

enum { PIECE_MAX_BYTES = 64, LIMIT_MAX_BYTES = 64, INPUT_MAX_BYTES = 32 * 1024 /* what a pipe holds */ };

/* Takes the next line of the whole text; false at its end. */
static bool expect(struct fl_slice *rest, size_t limit_bytes, struct fl_slice *line, bool *is_too_long)
{
    if (rest->len == 0)
        return false;
    *line = fuzz_take(rest, '\n');
    *is_too_long = line->len > limit_bytes;
    if (line->len && line->ptr[line->len - 1] == '\r')
        line->len--;
    return true;
}

/* Reads what is there; true at the end. */
static bool read_lines(struct fl_line_reader *reader, struct fl_slice *rest)
{
    struct fl_slice line, expected;
    struct fl_err err;
    bool is_too_long;
    for (;;) {
        enum fl_line_status status = fl_line_reader_next(reader, &line, &err);
        if (status == FL_LINE_SKIPPING)
            continue;
        if (status == FL_LINE_LATER || status == FL_LINE_END)
            return status == FL_LINE_END;
        FUZZ_CHECK(status != FL_LINE_FAILED, "%s", err.text);
        FUZZ_CHECK(expect(rest, reader->limit_bytes, &expected, &is_too_long), "line %ju is one too many",
                   (uintmax_t)reader->line_number);
        FUZZ_CHECK(is_too_long == (status == FL_LINE_TOO_LONG), "line %ju: status %d",
                   (uintmax_t)reader->line_number, status);
        FUZZ_CHECK(is_too_long || fl_slice_eq(line, expected), "line %ju is '%.*s'",
                   (uintmax_t)reader->line_number, FL_ARGS(line));
    }
}

/* The first byte chooses the limit of a line, the second the length of a piece. */
void fuzz_lines(struct fl_slice input)
{
    size_t limit_bytes = fuzz_take_byte(&input) % LIMIT_MAX_BYTES;
    size_t piece_bytes = fuzz_take_byte(&input) % PIECE_MAX_BYTES + 1;
    struct fl_slice rest = input, unread = input;
    struct fl_line_reader reader;
    int ends[2];
    bool is_end = false;
    if (input.len > INPUT_MAX_BYTES)
        return;
    FUZZ_CHECK(pipe2(ends, O_CLOEXEC) == 0, "no pipe");
    fl_line_reader_init(&reader, ends[0], limit_bytes);
    while (unread.len) {
        size_t bytes = unread.len < piece_bytes ? unread.len : piece_bytes;
        FUZZ_CHECK(write(ends[1], unread.ptr, bytes) == (ssize_t)bytes, "the pipe is full");
        unread = (struct fl_slice){unread.ptr + bytes, unread.len - bytes};
        FUZZ_CHECK(!read_lines(&reader, &rest), "an end while the stream is open");
    }
    close(ends[1]);
    while (!is_end)
        is_end = read_lines(&reader, &rest);
    FUZZ_CHECK(rest.len == 0, "%zu bytes were not read", rest.len);
    fl_line_reader_release(&reader);
    close(ends[0]);
}
