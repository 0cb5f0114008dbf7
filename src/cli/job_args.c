/* job_args.c - see job_args.h. */
#include "cli/job_args.h"

#include "base/slice.h"

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
