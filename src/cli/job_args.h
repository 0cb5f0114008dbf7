/* job_args.h - what commands share about jobs on the command line: names of inputs, filters, ids. */
#ifndef FL_CLI_JOB_ARGS_H
#define FL_CLI_JOB_ARGS_H

#include "cli/args.h"
#include "io/pg_queue_admin.h"

/* The filter that the options describe; borrowed from args. */
struct fl_job_filter fl_job_args_filter(const struct fl_args *args);

/* A job id: FL_USAGE for anything else. */
FL_CHECKED fl_status fl_job_args_id(const char *text, int64_t *job_id, struct fl_err *err);

/* What an input is: from the options, and where they say nothing, from its name. */
struct fl_job_name {
    struct fl_slice episode; /* borrowed from path or args */
    enum fl_kind kind;
    enum fl_format name_format; /* what the name suggests; FL_FORMAT_NONE = nothing */
};

/* path NULL = the input has no name (standard input). FL_INVALID: the name does not tell enough, it is not
 * valid UTF-8, or no episode can have such an id. */
FL_CHECKED fl_status fl_job_args_name(const struct fl_args *args, const char *path, struct fl_job_name *name,
                                      struct fl_err *err);

#endif
