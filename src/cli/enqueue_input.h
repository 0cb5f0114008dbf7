/* enqueue_input.h - the jobs that a command line of `enqueue` asks for, one by one. */
#ifndef FL_CLI_ENQUEUE_INPUT_H
#define FL_CLI_ENQUEUE_INPUT_H

#include <limits.h>

#include "app/enqueuer.h"
#include "cli/import_report.h"
#include "cli/paths.h"
#include "io/line_read.h"

struct fl_enqueue_input {
    const struct fl_args *args;
    const struct fl_settings *settings;
    struct fl_import_report *report; /* told of inputs that are wrong; to be set before the first next */
    struct fl_submit_job defaults;   /* what the options say */
    struct fl_arena arena;           /* paths, and standard input */
    struct fl_paths paths;
    size_t next;
    struct fl_slice standard_input;
    char root[PATH_MAX];  /* source.root without links; "" = not on this machine */
    const char *manifest; /* what it is called; NULL = paths */
    int manifest_fd;
    struct fl_line_reader lines;
};

/* Finds the files, or opens the manifest. FL_USAGE, FL_UNREADABLE (the manifest), FL_NO_MEMORY, and errors of
 * standard input. Release it whatever was returned. */
FL_CHECKED fl_status fl_enqueue_input_open(struct fl_enqueue_input *input, const struct fl_args *args,
                                           const struct fl_settings *settings, struct fl_err *err);
void fl_enqueue_input_release(struct fl_enqueue_input *input);

/* The next one, as fl_enqueuer_calls.next has it; wait_fd is lines.watch_fd. */
enum fl_enqueue_next fl_enqueue_input_next(struct fl_enqueue_input *input, struct fl_arena *arena,
                                           struct fl_submit_job *job);

/* Paths that were not taken yet; 0 for a manifest, whose end nobody knows. */
size_t fl_enqueue_input_left(const struct fl_enqueue_input *input);

#endif
