/* job_args.h - what the commands for jobs share: filters and ids from the command line. */
#ifndef FL_CLI_JOB_ARGS_H
#define FL_CLI_JOB_ARGS_H

#include "cli/args.h"
#include "io/pg_queue_admin.h"

/* The filter that the options describe; borrowed from args. */
struct fl_job_filter fl_job_args_filter(const struct fl_args *args);

/* A job id: FL_USAGE for anything else. */
FL_CHECKED fl_status fl_job_args_id(const char *text, int64_t *job_id, struct fl_err *err);

#endif
