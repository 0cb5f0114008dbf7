/* line_read.c - see line_read.h.
 *
 * Happy path: what was read lies in one buffer; each call gives out the stretch up to the next line end, and
 * more is read behind it when there is none. Failure modes: a line above the limit is thrown away as it comes
 * (the buffer never holds more than the limit and one read); a descriptor that has nothing yet is not waited
 * for, so that the caller stays able to do other things; what cannot be read ends it. */
#include "io/line_read.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024 };

void fl_line_reader_init(struct fl_line_reader *reader, int fd, size_t limit_bytes)
{
    struct epoll_event event = {.events = EPOLLIN};
    *reader = (struct fl_line_reader){
        .fd = fd, .watch_fd = epoll_create1(EPOLL_CLOEXEC), .limit_bytes = limit_bytes};
    if (reader->watch_fd < 0 || epoll_ctl(reader->watch_fd, EPOLL_CTL_ADD, fd, &event) == 0)
        return;
    close(reader->watch_fd); /* a regular file */
    reader->watch_fd = -1;
}

void fl_line_reader_release(struct fl_line_reader *reader)
{
    free(reader->bytes);
    if (reader->watch_fd >= 0)
        close(reader->watch_fd);
    reader->bytes = NULL;
    reader->watch_fd = -1;
}

static enum fl_line_status fail(struct fl_line_reader *reader, fl_status code, const char *what,
                                struct fl_err *err)
{
    reader->ended = true;
    reader->begin = reader->searched = reader->end = 0;
    fl_err_set(err, code, "cannot read it: %s", what);
    return FL_LINE_FAILED;
}

/* Room for one read behind what is there. */
static bool make_room(struct fl_line_reader *reader)
{
    if (reader->begin) {
        memmove(reader->bytes, reader->bytes + reader->begin, reader->end - reader->begin);
        reader->searched -= reader->begin;
        reader->end -= reader->begin;
        reader->begin = 0;
    }
    if (reader->capacity - reader->end >= READ_BYTES)
        return true;
    size_t wanted = reader->capacity ? reader->capacity * 2 : 2 * READ_BYTES;
    if (wanted > reader->limit_bytes + 2 * READ_BYTES)
        wanted = reader->limit_bytes + 2 * READ_BYTES;
    char *moved = realloc(reader->bytes, wanted);
    if (!moved)
        return false;
    reader->bytes = moved;
    reader->capacity = wanted;
    return true;
}

/* FL_LINE_GIVEN: something new is there, or the end. */
static enum fl_line_status read_more(struct fl_line_reader *reader, struct fl_err *err)
{
    struct pollfd ready = {.fd = reader->fd, .events = POLLIN};
    if (!make_room(reader))
        return fail(reader, FL_NO_MEMORY, "out of memory", err);
    if (poll(&ready, 1, 0) == 0)
        return FL_LINE_LATER;
    ssize_t got = read(reader->fd, reader->bytes + reader->end, READ_BYTES);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return FL_LINE_LATER;
    if (got < 0) {
        const char *text = strerrordesc_np(errno);
        return fail(reader, FL_UNREADABLE, text ? text : "unknown error", err);
    }
    reader->ended = got == 0;
    reader->end += (size_t)got;
    return FL_LINE_GIVEN;
}

static enum fl_line_status give(struct fl_line_reader *reader, const char *line_end, struct fl_slice *line)
{
    size_t next = (size_t)(line_end - reader->bytes);
    *line = (struct fl_slice){reader->bytes + reader->begin, next - reader->begin};
    bool dropped = reader->skipping || line->len > reader->limit_bytes;
    reader->begin = reader->searched = next < reader->end ? next + 1 : next;
    reader->skipping = false;
    reader->line_number++;
    if (line->len && line->ptr[line->len - 1] == '\r')
        line->len--;
    return dropped ? FL_LINE_TOO_LONG : FL_LINE_GIVEN;
}

enum fl_line_status fl_line_reader_next(struct fl_line_reader *reader, struct fl_slice *line,
                                        struct fl_err *err)
{
    *line = (struct fl_slice){0};
    for (;;) {
        size_t left = reader->end - reader->searched;
        const char *line_end = left ? memchr(reader->bytes + reader->searched, '\n', left) : NULL;
        if (line_end)
            return give(reader, line_end, line);
        reader->searched = reader->end;
        bool too_long = reader->end - reader->begin > reader->limit_bytes;
        if (reader->ended && (reader->end > reader->begin || reader->skipping))
            return give(reader, reader->bytes + reader->end, line);
        if (reader->ended)
            return FL_LINE_END;
        if (too_long || reader->skipping)
            reader->begin = reader->searched = reader->end = 0;
        bool was_skipping = reader->skipping;
        reader->skipping = reader->skipping || too_long;
        enum fl_line_status status = read_more(reader, err);
        if (status != FL_LINE_GIVEN)
            return status;
        if (was_skipping)
            return FL_LINE_SKIPPING;
    }
}
