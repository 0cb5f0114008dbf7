/* file_read.h - one file, or standard input, completely into an arena. Any thread may call it. */
#ifndef FL_IO_FILE_READ_H
#define FL_IO_FILE_READ_H

#include "fenceline/err.h"
#include "fenceline/types.h"

struct fl_arena;

/* Reads the regular file at path. *bytes lives in arena and is not empty. Messages do not hold the path: the
 * caller puts it before them. FL_UNREADABLE: missing, no permission, a folder, a pipe or device (refused
 * without waiting), changed while it was read; FL_INVALID: larger than limit_bytes (told before anything is
 * read), or empty; FL_NO_MEMORY. */
FL_CHECKED fl_status fl_file_read(const char *path, size_t limit_bytes, struct fl_arena *arena,
                                  struct fl_slice *bytes, struct fl_err *err);

/* The same for a path below the folder root, where nothing leads out of it: no absolute path, no '..', no
 * link to somewhere else (FL_INVALID; a link that stays inside is followed). FL_UNREADABLE also if root
 * itself cannot be opened, or if the kernel has no openat2 (Linux 5.6). */
FL_CHECKED fl_status fl_file_read_below(const char *root, const char *relative, size_t limit_bytes,
                                        struct fl_arena *arena, struct fl_slice *bytes, struct fl_err *err);

/* Reads a descriptor of any sort (standard input) to its end, waiting where nothing is there yet; leaves it
 * open. Errors as above. */
FL_CHECKED fl_status fl_file_read_descriptor(int fd, size_t limit_bytes, struct fl_arena *arena,
                                             struct fl_slice *bytes, struct fl_err *err);

#endif
