/* paths.c - walks folders.
 *
 * Happy path: stat each argument; a file is added, a folder is read completely, its names are sorted, and
 * each is added or walked in turn, so that the list is the same on every machine. Failure modes: see the
 * header; a folder that cannot be read is one entry with an error, and the rest goes on. Only memory ends it
 * all. */
#include "cli/paths.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/slice.h"
#include "core/job.h"

enum { DEPTH_LIMIT = 64 };

static const char NO_FILES[] =
    "no importable files in this folder (names such as EPISODE.chapters.json, EPISODE.srt, EPISODE.vtt, "
    "EPISODE.transcript.json, EPISODE.transcript.txt)";

static fl_status no_memory(struct fl_err *err)
{
    return fl_err_set(err, FL_NO_MEMORY, "out of memory while looking for files");
}

static fl_status add(struct fl_paths *paths, const struct fl_path *path, struct fl_err *err)
{
    if (paths->count == paths->capacity) {
        size_t wanted = paths->capacity ? paths->capacity * 2 : 64;
        void *moved = fl_arena_grow(paths->arena, paths->items, paths->capacity * sizeof *paths->items,
                                    wanted * sizeof *paths->items);
        if (!moved)
            return no_memory(err);
        paths->items = moved;
        paths->capacity = wanted;
    }
    paths->items[paths->count++] = *path;
    return FL_OK;
}

static fl_status add_error(struct fl_paths *paths, const char *path, int error, struct fl_err *err)
{
    const char *reason = strerrordesc_np(error);
    if (error == ENOENT || error == ENOTDIR)
        reason = "no such file or folder";
    if (error == EACCES || error == EPERM)
        reason = "no permission to read it";
    return add(paths, &(struct fl_path){.path = path, .error = reason ? reason : "not readable"}, err);
}

static bool is_importable(const char *path)
{
    struct fl_slice episode;
    enum fl_kind kind;
    enum fl_format format;
    fl_job_from_path(fl_slice_from(path), &episode, &kind, &format);
    return episode.ptr && kind != FL_KIND_NONE;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a folder but hidden ones, sorted; the caller frees them. errno and false if it cannot be read.
 */
struct names {
    char **items;
    size_t count, capacity;
};

static void free_names(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
}

static bool add_name(struct names *names, const char *name)
{
    if (names->count == names->capacity) {
        size_t wanted = names->capacity ? names->capacity * 2 : 64;
        char **moved = realloc(names->items, wanted * sizeof *moved);
        if (!moved)
            return false;
        names->items = moved;
        names->capacity = wanted;
    }
    char *copy = strdup(name);
    if (!copy)
        return false;
    names->items[names->count++] = copy;
    return true;
}

/* 0, or the errno of what went wrong. */
static int read_folder(const char *folder, struct names *names)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return errno;
    int error = 0;
    while (!error) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry) {
            error = errno;
            break;
        }
        if (entry->d_name[0] != '.' && !add_name(names, entry->d_name))
            error = ENOMEM;
    }
    closedir(dir);
    if (names->count)
        qsort(names->items, names->count, sizeof *names->items, compare_names);
    return error;
}

static fl_status add_folder(struct fl_paths *paths, const char *folder, int depth, struct fl_err *err);

static fl_status add_entry(struct fl_paths *paths, const char *folder, const char *name, int depth,
                           struct fl_err *err)
{
    struct stat info, target;
    size_t folder_bytes = strlen(folder), name_bytes = strlen(name);
    bool needs_slash = folder[folder_bytes - 1] != '/';
    char *path = fl_arena_alloc(paths->arena, folder_bytes + name_bytes + 2);
    if (!path)
        return no_memory(err);
    memcpy(path, folder, folder_bytes);
    if (needs_slash)
        path[folder_bytes++] = '/';
    memcpy(path + folder_bytes, name, name_bytes + 1);
    if (lstat(path, &info) != 0)
        return is_importable(path) ? add_error(paths, path, errno, err) : FL_OK;
    if (S_ISDIR(info.st_mode))
        return add_folder(paths, path, depth + 1, err);
    bool leads_to_folder = S_ISLNK(info.st_mode) && stat(path, &target) == 0 && S_ISDIR(target.st_mode);
    if (leads_to_folder || !is_importable(path))
        return FL_OK;
    return add(paths, &(struct fl_path){.path = path}, err);
}

static fl_status add_folder(struct fl_paths *paths, const char *folder, int depth, struct fl_err *err)
{
    struct names names = {0};
    if (depth > DEPTH_LIMIT)
        return add(paths, &(struct fl_path){.path = folder, .error = "folders nested too deep"}, err);
    int error = read_folder(folder, &names);
    fl_status status = error == ENOMEM ? no_memory(err) : FL_OK;
    if (error && error != ENOMEM)
        status = add_error(paths, folder, error, err);
    for (size_t i = 0; !error && status == FL_OK && i < names.count; i++)
        status = add_entry(paths, folder, names.items[i], depth, err);
    free_names(&names);
    return status;
}

static fl_status add_stdin(struct fl_paths *paths, struct fl_err *err)
{
    const char *error = NULL;
    for (size_t i = 0; i < paths->count; i++)
        if (paths->items[i].is_stdin)
            error = "standard input can be read only once";
    return add(paths, &(struct fl_path){.path = "-", .error = error, .is_stdin = true}, err);
}

static fl_status add_argument(struct fl_paths *paths, const char *argument, struct fl_err *err)
{
    struct stat info;
    if (strcmp(argument, "-") == 0)
        return add_stdin(paths, err);
    if (stat(argument, &info) != 0)
        return add_error(paths, argument, errno, err);
    if (!S_ISDIR(info.st_mode))
        return add(paths, &(struct fl_path){.path = argument}, err);
    size_t before = paths->count;
    fl_status status = add_folder(paths, argument, 0, err);
    if (status == FL_OK && paths->count == before)
        status = add(paths, &(struct fl_path){.path = argument, .error = NO_FILES}, err);
    return status;
}

fl_status fl_paths_expand(struct fl_paths *paths, struct fl_arena *arena, char *const *args, size_t arg_count,
                          struct fl_err *err)
{
    *paths = (struct fl_paths){.arena = arena};
    fl_status status = FL_OK;
    for (size_t i = 0; status == FL_OK && i < arg_count; i++)
        status = add_argument(paths, args[i], err);
    return status;
}
