/* enqueue_input.c - see enqueue_input.h.
 *
 * Happy path: a file below source.root becomes a job with its path there, any other a job with its bytes; a
 * line of a manifest becomes what it says. Failure modes: an input that is wrong is reported in its turn, and
 * the next one follows; a stream that cannot be read any more ends the list. */
#include "cli/enqueue_input.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app/manifest.h"
#include "base/arena.h"
#include "base/slice.h"
#include "base/utf8.h"
#include "cli/job_args.h"
#include "io/file_read.h"

enum { ARENA_BYTES = 1024 * 1024 * 1024, PLACE_BYTES = PATH_MAX + 32 };

static const char STANDARD_INPUT[] = "standard input";

/* ---- files ---- */

/* The part of path that lies below root, both without links; NULL = it does not. */
static const char *part_below(const char *root, const char *path)
{
    size_t length = strlen(root);
    if (!length || strncmp(root, path, length) != 0)
        return NULL;
    if (root[length - 1] != '/') {
        if (path[length] != '/')
            return NULL;
        length++;
    }
    return path[length] ? path + length : NULL;
}

static fl_status refuse_large(const struct fl_enqueue_input *input, int64_t size_bytes, bool is_below,
                              struct fl_err *err)
{
    const struct fl_settings *settings = input->settings;
    char way[FL_SETTINGS_TEXT_BYTES + 64];
    if (is_below)
        snprintf(way, sizeof way, "leave out --inline, since it lies below source.root");
    else if (settings->source_root[0])
        snprintf(way, sizeof way, "put it below source.root (%s), where workers read it themselves",
                 settings->source_root);
    else
        snprintf(way, sizeof way, "set source.root and put it below, where workers read it themselves");
    return fl_err_set(err, FL_INVALID,
                      "%" PRId64
                      " bytes are more than the %zu that a job may carry (limit.inline_bytes); %s, or "
                      "import it here with 'fenceline import'",
                      size_bytes, settings->inline_bytes, way);
}

/* The bytes travel inside the job. */
static fl_status take_inline(const struct fl_enqueue_input *input, const char *path, bool is_below,
                             struct fl_arena *arena, struct fl_submit_job *job, struct fl_err *err)
{
    struct stat info;
    job->source = fl_slice_from(path);
    if (stat(path, &info) == 0 && S_ISREG(info.st_mode) &&
        (uintmax_t)info.st_size > input->settings->inline_bytes)
        return refuse_large(input, (int64_t)info.st_size, is_below, err);
    return fl_file_read(path, input->settings->inline_bytes, arena, &job->body, err);
}

static fl_status take_file(const struct fl_enqueue_input *input, const char *path, struct fl_arena *arena,
                           struct fl_submit_job *job, struct fl_err *err)
{
    char resolved[PATH_MAX];
    struct stat info;
    const char *below = input->root[0] && realpath(path, resolved) ? part_below(input->root, resolved) : NULL;
    if (!below || input->args->inline_body)
        return take_inline(input, path, below != NULL, arena, job, err);
    if (stat(resolved, &info) == 0 && !S_ISREG(info.st_mode))
        return fl_err_set(err, FL_UNREADABLE, "not a regular file");
    job->source = fl_arena_copy(arena, fl_slice_from(below));
    if (!job->source.ptr)
        return fl_err_set(err, FL_NO_MEMORY, "no memory for a path");
    return fl_manifest_check_source(job->source, err);
}

static fl_status take_standard_input(const struct fl_enqueue_input *input, struct fl_submit_job *job,
                                     struct fl_err *err)
{
    job->source = fl_slice_from(STANDARD_INPUT);
    job->body = input->standard_input;
    if (job->body.len > input->settings->inline_bytes)
        return refuse_large(input, (int64_t)job->body.len, false, err);
    return FL_OK;
}

static fl_status take_path(const struct fl_enqueue_input *input, const struct fl_path *path,
                           struct fl_arena *arena, struct fl_submit_job *job, struct fl_err *err)
{
    *job = input->defaults;
    if (path->error)
        return fl_err_set(err, FL_UNREADABLE, "%s", path->error);
    struct fl_job_name name;
    fl_status status = fl_job_args_name(input->args, path->is_stdin ? NULL : path->path, &name, err);
    job->episode = name.episode;
    job->kind = name.kind;
    if (status == FL_OK)
        status = path->is_stdin ? take_standard_input(input, job, err)
                                : take_file(input, path->path, arena, job, err);
    if (status == FL_OK && fl_utf8_valid_prefix(job->source) != job->source.len)
        status = fl_err_set(err, FL_INVALID, "its path is not valid UTF-8, so no job can hold it");
    return status;
}

static enum fl_enqueue_next next_path(struct fl_enqueue_input *input, struct fl_arena *arena,
                                      struct fl_submit_job *job)
{
    if (input->next == input->paths.count)
        return FL_ENQUEUE_END;
    const struct fl_path *path = &input->paths.items[input->next++];
    struct fl_err err;
    if (take_path(input, path, arena, job, &err) == FL_OK)
        return FL_ENQUEUE_JOB;
    fl_import_report_problem(input->report, fl_slice_from(path->is_stdin ? STANDARD_INPUT : path->path),
                             &err);
    return FL_ENQUEUE_SKIPPED;
}

/* ---- manifest ---- */

/* "FILE:LINE"; line 0 = the whole file. */
static void report_line(struct fl_enqueue_input *input, uint64_t line, const struct fl_err *err)
{
    char place[PLACE_BYTES];
    snprintf(place, sizeof place, line ? "%s:%" PRIu64 : "%s", input->manifest, line);
    fl_import_report_problem(input->report, fl_slice_from(place), err);
}

static enum fl_enqueue_next take_line(struct fl_enqueue_input *input, struct fl_slice line,
                                      struct fl_arena *arena, struct fl_submit_job *job)
{
    struct fl_err err;
    if (input->lines.line_number == 1 && fl_slice_starts(line, "\xef\xbb\xbf"))
        line = (struct fl_slice){line.ptr + 3, line.len - 3};
    if (fl_slice_is_blank(line))
        return FL_ENQUEUE_SKIPPED;
    if (fl_manifest_parse(line, &input->defaults, input->settings->inline_bytes, arena, job, &err) == FL_OK)
        return FL_ENQUEUE_JOB;
    report_line(input, input->lines.line_number, &err);
    return FL_ENQUEUE_SKIPPED;
}

static enum fl_enqueue_next next_line(struct fl_enqueue_input *input, struct fl_arena *arena,
                                      struct fl_submit_job *job)
{
    struct fl_slice line;
    struct fl_err err;
    switch (fl_line_reader_next(&input->lines, &line, &err)) {
    case FL_LINE_GIVEN: return take_line(input, line, arena, job);
    case FL_LINE_SKIPPING: return FL_ENQUEUE_SKIPPED;
    case FL_LINE_LATER: return FL_ENQUEUE_LATER;
    case FL_LINE_END: return FL_ENQUEUE_END;
    case FL_LINE_TOO_LONG:
        fl_err_set(&err, FL_INVALID, "the line has more than %zu bytes, and no job can be that large",
                   input->lines.limit_bytes);
        report_line(input, input->lines.line_number, &err);
        return FL_ENQUEUE_SKIPPED;
    case FL_LINE_FAILED: report_line(input, 0, &err); break;
    }
    return FL_ENQUEUE_END;
}

/* ---- beginning and end ---- */

static void set_defaults(struct fl_enqueue_input *input)
{
    const struct fl_args *args = input->args;
    struct timespec now;
    input->defaults = (struct fl_submit_job){
        .episode = fl_slice_from(args->episode),
        .kind = args->kind == FL_KIND_NONE && args->format != FL_FORMAT_NONE ? fl_format_kind(args->format)
                                                                             : args->kind,
        .mode = args->mode,
        .if_version = args->mode == FL_MODE_IF_VERSION ? args->if_version : 0,
        .format = args->format,
        .priority = args->priority,
        .strict = args->strict,
        .repair = args->repair,
    };
    clock_gettime(CLOCK_REALTIME, &now);
    if (args->at_ms != FL_ARGS_NOT_GIVEN)
        input->defaults.not_before_ms = args->at_ms;
    else if (args->in_ms != FL_ARGS_NOT_GIVEN)
        input->defaults.not_before_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + args->in_ms;
}

static fl_status open_manifest(struct fl_enqueue_input *input, struct fl_err *err)
{
    const char *path = input->args->manifest;
    bool is_stdin = strcmp(path, "-") == 0;
    input->manifest = is_stdin ? STANDARD_INPUT : path;
    input->manifest_fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
    if (input->manifest_fd < 0)
        return fl_err_set(err, FL_UNREADABLE, "%s: cannot open it: %s", path, strerrordesc_np(errno));
    fl_line_reader_init(&input->lines, input->manifest_fd,
                        fl_manifest_line_bytes(input->settings->inline_bytes));
    return FL_OK;
}

static fl_status read_standard_input(struct fl_enqueue_input *input, struct fl_err *err)
{
    bool wanted = false;
    for (size_t i = 0; i < input->paths.count; i++)
        wanted = wanted || input->paths.items[i].is_stdin;
    if (!wanted)
        return FL_OK;
    if (!input->defaults.episode.ptr || input->defaults.kind == FL_KIND_NONE)
        return fl_err_set(err, FL_USAGE,
                          "standard input has no name to tell what it is; give --episode ID and --kind "
                          "chapters or --kind transcript");
    fl_status status = fl_file_read_descriptor(STDIN_FILENO, input->settings->limits.file_bytes,
                                               &input->arena, &input->standard_input, err);
    if (status != FL_OK)
        fl_err_prefix(err, STANDARD_INPUT);
    return status;
}

static fl_status open_paths(struct fl_enqueue_input *input, struct fl_err *err)
{
    const struct fl_args *args = input->args;
    const char *root = input->settings->source_root;
    if (!args->path_count)
        return fl_err_set(err, FL_USAGE,
                          "enqueue needs PATH... or --manifest FILE; see 'fenceline enqueue --help'");
    if (!root[0] || !realpath(root, input->root))
        input->root[0] = '\0'; /* not on this machine: every file travels inside its job */
    fl_status status = fl_paths_expand(&input->paths, &input->arena, args->paths, args->path_count, err);
    return status == FL_OK ? read_standard_input(input, err) : status;
}

enum fl_enqueue_next fl_enqueue_input_next(struct fl_enqueue_input *input, struct fl_arena *arena,
                                           struct fl_submit_job *job)
{
    return input->manifest ? next_line(input, arena, job) : next_path(input, arena, job);
}

size_t fl_enqueue_input_left(const struct fl_enqueue_input *input)
{
    return input->manifest ? 0 : input->paths.count - input->next;
}

fl_status fl_enqueue_input_open(struct fl_enqueue_input *input, const struct fl_args *args,
                                const struct fl_settings *settings, struct fl_err *err)
{
    *input = (struct fl_enqueue_input){
        .args = args, .settings = settings, .manifest_fd = -1, .lines = {.watch_fd = -1}};
    fl_arena_init(&input->arena, ARENA_BYTES);
    set_defaults(input);
    return args->manifest ? open_manifest(input, err) : open_paths(input, err);
}

void fl_enqueue_input_release(struct fl_enqueue_input *input)
{
    fl_line_reader_release(&input->lines);
    if (input->manifest_fd > STDIN_FILENO)
        close(input->manifest_fd);
    fl_arena_release(&input->arena);
}
