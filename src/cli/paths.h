/* paths.h - PATH arguments to a list of files. */
#ifndef FL_CLI_PATHS_H
#define FL_CLI_PATHS_H

#include "fenceline/err.h"
#include "fenceline/types.h"

struct fl_arena;

/* One file to read, or one path that cannot be read. "-" is standard input. */
struct fl_path {
    const char *path;
    const char *error; /* NULL = a file; else why not: exit code 4. Static or in the arena */
    bool is_stdin;
};

/* In the order of the arguments; files of a folder sorted bytewise, folders with all below them in their
 * place. */
struct fl_paths {
    struct fl_arena *arena;
    struct fl_path *items;
    size_t count, capacity;
};

/* Files are taken as given, whatever their name; below folders, those whose name fl_job_from_path
 * understands. Hidden entries are skipped, links to folders are not followed, links to files are. What is
 * wrong with a path stands in its place in the list: missing, not readable, a folder without importable
 * files, nested too deep. All memory comes from arena, which is borrowed. FL_NO_MEMORY only. */
FL_CHECKED fl_status fl_paths_expand(struct fl_paths *paths, struct fl_arena *arena, char *const *args,
                                     size_t arg_count, struct fl_err *err);

#endif
