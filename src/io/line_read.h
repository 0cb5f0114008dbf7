/* line_read.h - a stream line by line, in memory that is bounded whatever it holds, without ever waiting. */
#ifndef FL_IO_LINE_READ_H
#define FL_IO_LINE_READ_H

#include "fenceline/err.h"
#include "fenceline/types.h"

enum fl_line_status {
    FL_LINE_GIVEN,    /* a line */
    FL_LINE_TOO_LONG, /* a line above the limit has ended: it was dropped */
    FL_LINE_SKIPPING, /* inside such a line: call again */
    FL_LINE_LATER,    /* nothing is there yet: call again when the descriptor is readable */
    FL_LINE_END,
    FL_LINE_FAILED, /* *err says why; nothing more comes */
};

struct fl_line_reader {
    int fd;
    int watch_fd;       /* readable whenever fd is, for an event loop; -1 = fd never lets anybody wait */
    size_t limit_bytes; /* of one line */
    char *bytes;
    size_t capacity;
    size_t begin, searched, end; /* of what is not given out yet; no line end lies before searched */
    bool ended, skipping;
    uint64_t line_number; /* of the line last given or dropped, from 1 */
};

/* Reads from a descriptor of any sort, which is borrowed and stays as it is: an event loop makes what it
 * watches non-blocking, and this one may be shared with other programs, so it gets watch_fd. */
void fl_line_reader_init(struct fl_line_reader *reader, int fd, size_t limit_bytes);
void fl_line_reader_release(struct fl_line_reader *reader);

/* The next line into *line, without its LF or CRLF; borrowed until the next call. A last line needs no line
 * end. */
enum fl_line_status fl_line_reader_next(struct fl_line_reader *reader, struct fl_slice *line,
                                        struct fl_err *err);

#endif
