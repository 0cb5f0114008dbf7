/* job_args.c - see job_args.h. */
#include "cli/job_args.h"

#include "base/slice.h"
#include "base/utf8.h"
#include "core/job.h"

struct fl_job_filter fl_job_args_filter(const struct fl_args *args)
{
    return (struct fl_job_filter){.outcome = args->outcome,
                                  .episode = args->episode,
                                  .worker = args->worker,
                                  .error = args->error,
                                  .kind = args->kind,
                                  .older_than_ms = args->older_than_ms};
}

fl_status fl_job_args_id(const char *text, int64_t *job_id, struct fl_err *err)
{
    struct fl_slice digits = fl_slice_from(text);
    if (fl_slice_take_digits(&digits, job_id) > 0 && digits.len == 0 && *job_id < INT64_MAX)
        return FL_OK;
    return fl_err_set(err, FL_USAGE,
                      "'%.80s' is no job: a job is a number, as 'fenceline jobs list' shows it", text);
}

fl_status fl_job_args_name(const struct fl_args *args, const char *path, struct fl_job_name *name,
                           struct fl_err *err)
{
    *name = (struct fl_job_name){.kind = FL_KIND_NONE, .name_format = FL_FORMAT_NONE};
    struct fl_slice text = fl_slice_from(path);
    if (path)
        fl_job_from_path(text, &name->episode, &name->kind, &name->name_format);
    if (args->kind != FL_KIND_NONE)
        name->kind = args->kind;
    else if (args->format != FL_FORMAT_NONE)
        name->kind = fl_format_kind(args->format);
    if (args->episode)
        name->episode = fl_slice_from(args->episode);
    if (!name->episode.ptr)
        return fl_err_set(err, FL_INVALID,
                          "its name does not tell the episode; give it with --episode ID, or name it "
                          "ID.chapters.json, ID.srt, ID.vtt, ID.transcript.json or ID.transcript.txt");
    if (name->kind == FL_KIND_NONE)
        return fl_err_set(err, FL_INVALID,
                          "its name does not tell whether it holds chapters or a transcript; give --kind "
                          "chapters or --kind transcript");
    if (fl_utf8_valid_prefix(text) != text.len)
        return fl_err_set(err, FL_INVALID, "its path is not valid UTF-8, so no job can hold it");
    return fl_episode_check(name->episode, err);
}
