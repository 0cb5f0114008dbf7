/* file_read.c - blocking reads with a limit.
 *
 * Happy path: open, fstat, allocate the size, read, and see the end where it was expected. A descriptor
 * without a size is read into a buffer that doubles at the end of the arena, so that it grows in place. Below
 * a root the kernel itself resolves the path (openat2), so that no link that is put there meanwhile leads
 * out. Failure modes: see the header. Opening never blocks (O_NONBLOCK), so a pipe cannot hold a thread of
 * the pool; a file is read and not mapped, so one that is cut meanwhile cannot kill us with SIGBUS. */
#include "io/file_read.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arena.h"

enum { FIRST_BYTES = 64 * 1024, RENAME_RETRIES = 100 };

static const char *reason(int error)
{
    const char *text = strerrordesc_np(error); /* static text: strerror is not safe in threads */
    return text ? text : "unknown error";
}

static fl_status refuse_open(int error, struct fl_err *err)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR: return fl_err_set(err, FL_UNREADABLE, "no such file or folder");
    case EACCES:
    case EPERM: return fl_err_set(err, FL_UNREADABLE, "no permission to read it");
    case ENXIO:
    case ENODEV: return fl_err_set(err, FL_UNREADABLE, "not a regular file");
    default: return fl_err_set(err, FL_UNREADABLE, "cannot open it: %s", reason(error));
    }
}

static fl_status refuse_read(int error, struct fl_err *err)
{
    if (error == EISDIR)
        return fl_err_set(err, FL_UNREADABLE, "is a folder, not a file");
    return fl_err_set(err, FL_UNREADABLE, "cannot read it: %s", reason(error));
}

static fl_status refuse_size(size_t limit_bytes, struct fl_err *err)
{
    return fl_err_set(err, FL_INVALID, "the file is larger than the limit of %zu bytes (limit.file_bytes)",
                      limit_bytes);
}

static fl_status refuse_empty(struct fl_err *err)
{
    return fl_err_set(err, FL_INVALID, "the file is empty");
}

static fl_status no_memory(size_t size_bytes, struct fl_err *err)
{
    return fl_err_set(err, FL_NO_MEMORY, "no memory for %zu bytes of input", size_bytes);
}

/* Reads up to size_bytes, less only at the end; -1 with errno. Waits where a descriptor is non-blocking. */
static ssize_t read_all(int fd, char *into, size_t size_bytes)
{
    size_t got = 0;
    while (got < size_bytes) {
        ssize_t count = read(fd, into + got, size_bytes - got);
        if (count == 0)
            break;
        if (count > 0) {
            got += (size_t)count;
        } else if (errno == EAGAIN) {
            (void)poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1);
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return (ssize_t)got;
}

static fl_status check_regular(int fd, size_t limit_bytes, size_t *size_bytes, struct fl_err *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return refuse_read(errno, err);
    if (S_ISDIR(info.st_mode))
        return refuse_read(EISDIR, err);
    if (S_ISFIFO(info.st_mode))
        return fl_err_set(err, FL_UNREADABLE, "is a pipe, not a regular file (use - to read standard input)");
    if (!S_ISREG(info.st_mode))
        return fl_err_set(err, FL_UNREADABLE, "not a regular file");
    if (info.st_size == 0)
        return refuse_empty(err);
    if ((uintmax_t)info.st_size > limit_bytes)
        return fl_err_set(err, FL_INVALID,
                          "the file has %jd bytes, more than the limit of %zu (limit.file_bytes)",
                          (intmax_t)info.st_size, limit_bytes);
    *size_bytes = (size_t)info.st_size;
    return FL_OK;
}

static fl_status read_regular(int fd, size_t limit_bytes, struct fl_arena *arena, struct fl_slice *bytes,
                              struct fl_err *err)
{
    size_t size_bytes = 0;
    fl_status status = check_regular(fd, limit_bytes, &size_bytes, err);
    if (status != FL_OK)
        return status;
    char *content = fl_arena_alloc(arena, size_bytes);
    if (!content)
        return no_memory(size_bytes, err);
    char beyond;
    ssize_t got = read_all(fd, content, size_bytes);
    ssize_t more = got < 0 ? got : read_all(fd, &beyond, 1);
    if (more < 0)
        return refuse_read(errno, err);
    if ((size_t)got != size_bytes || more != 0)
        return fl_err_set(err, FL_UNREADABLE, "the file changed while it was being read; try again");
    *bytes = (struct fl_slice){content, size_bytes};
    return FL_OK;
}

fl_status fl_file_read(const char *path, size_t limit_bytes, struct fl_arena *arena, struct fl_slice *bytes,
                       struct fl_err *err)
{
    *bytes = (struct fl_slice){0};
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return refuse_open(errno, err);
    fl_status status = read_regular(fd, limit_bytes, arena, bytes, err);
    close(fd);
    return status;
}

/* ---- below a root ---- */

/* What could never be right, whatever lies there. The kernel would follow '..' that stays inside. */
static fl_status check_relative(const char *relative, struct fl_err *err)
{
    if (!relative[0])
        return fl_err_set(err, FL_INVALID, "the path is empty");
    if (relative[0] == '/')
        return fl_err_set(err, FL_INVALID, "the path is absolute; it must be relative to source.root");
    for (const char *part = relative; *part;) {
        size_t length = strcspn(part, "/");
        if (length == 2 && part[0] == '.' && part[1] == '.')
            return fl_err_set(err, FL_INVALID,
                              "the path has a '..'; it must lead straight down from source.root");
        part += length + (part[length] == '/');
    }
    return FL_OK;
}

static fl_status refuse_below(int error, struct fl_err *err)
{
    switch (error) {
    case EXDEV: return fl_err_set(err, FL_INVALID, "a link in the path leads out of source.root");
    case ELOOP:
        return fl_err_set(err, FL_INVALID, "the path has too many links, or one that is not a file's");
    case ENAMETOOLONG: return fl_err_set(err, FL_INVALID, "the path is too long");
    case ENOSYS:
    case EPERM: /* as some sandboxes answer to what they do not know; a file's own refusal is EACCES */
        return fl_err_set(
            err, FL_UNREADABLE,
            "this kernel, or a sandbox around this process, has no openat2 (Linux 5.6), which it "
            "takes to open files safely below source.root; send the input inside its job "
            "(enqueue --inline)");
    case EAGAIN: return fl_err_set(err, FL_UNREADABLE, "folders are being renamed in the path; try again");
    default: return refuse_open(error, err);
    }
}

static int open_beneath(int root_fd, const char *relative)
{
    struct open_how how = {.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int fd = -1;
    for (int i = 0; i < RENAME_RETRIES && fd < 0; i++) {
        fd = (int)syscall(SYS_openat2, root_fd, relative, &how, sizeof how);
        if (fd < 0 && errno != EAGAIN && errno != EINTR) /* EAGAIN: something on the way was renamed */
            break;
    }
    return fd;
}

fl_status fl_file_read_below(const char *root, const char *relative, size_t limit_bytes,
                             struct fl_arena *arena, struct fl_slice *bytes, struct fl_err *err)
{
    *bytes = (struct fl_slice){0};
    fl_status status = check_relative(relative, err);
    if (status != FL_OK)
        return status;
    int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return fl_err_set(err, FL_UNREADABLE, "cannot open source.root %s: %s", root, reason(errno));
    int fd = open_beneath(root_fd, relative);
    status = fd < 0 ? refuse_below(errno, err) : read_regular(fd, limit_bytes, arena, bytes, err);
    if (fd >= 0)
        close(fd);
    close(root_fd);
    return status;
}

fl_status fl_file_read_descriptor(int fd, size_t limit_bytes, struct fl_arena *arena, struct fl_slice *bytes,
                                  struct fl_err *err)
{
    *bytes = (struct fl_slice){0};
    size_t capacity = 0, size_bytes = 0;
    char *content = NULL;
    for (;;) {
        /* One byte more than the limit tells "too large" from "just fits". */
        size_t wanted = capacity ? capacity * 2 : FIRST_BYTES;
        if (wanted > limit_bytes)
            wanted = limit_bytes + 1;
        char *moved = fl_arena_grow(arena, content, capacity, wanted);
        if (!moved)
            return no_memory(wanted, err);
        content = moved;
        capacity = wanted;
        ssize_t got = read_all(fd, content + size_bytes, capacity - size_bytes);
        if (got < 0)
            return refuse_read(errno, err);
        size_bytes += (size_t)got;
        if (size_bytes > limit_bytes)
            return refuse_size(limit_bytes, err);
        if (size_bytes < capacity)
            break;
    }
    if (size_bytes == 0)
        return refuse_empty(err);
    *bytes = (struct fl_slice){content, size_bytes};
    return FL_OK;
}
