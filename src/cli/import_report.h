/* import_report.h - tells the user how each import ended: one line each (or one JSON object), and a summary.
 */
#ifndef FL_CLI_IMPORT_REPORT_H
#define FL_CLI_IMPORT_REPORT_H

#include "app/importer.h"
#include "cli/args.h"
#include "cli/print.h"
#include "cli/progress.h"

enum { FL_REPORT_OUTCOMES = FL_OUTCOME_CANCELLED + 1 };

struct fl_import_report {
    const struct fl_args *args;
    struct fl_progress progress;
    bool color_out, color_err;
    size_t done, failed;
    size_t counts[FL_REPORT_OUTCOMES]; /* FL_OUTCOME_OPEN counts what has no outcome */
    int exit_code;
    int64_t begun_ms;
};

/* total = number of inputs, for the progress bar. args is borrowed. */
void fl_import_report_init(struct fl_import_report *report, const struct fl_args *args, size_t total);

/* One import ended. Good news goes to stdout, everything else to stderr; with --json all to stdout. */
void fl_import_report_result(struct fl_import_report *report, const struct fl_import_result *result);

/* What --dry-run found: nothing was done. */
struct fl_import_preview {
    struct fl_slice file;
    const struct fl_import_job *job;
    const struct fl_document *document;
    enum fl_outcome outcome; /* imported, unchanged, rejected */
    struct fl_slice message;
};
void fl_import_report_preview(struct fl_import_report *report, const struct fl_import_preview *preview);

/* An input that cannot be imported at all: no job was made of it. */
void fl_import_report_problem(struct fl_import_report *report, struct fl_slice file,
                              const struct fl_err *err);

/* A remark about a running import, for --verbose. */
void fl_import_report_note(struct fl_import_report *report, const struct fl_import *import, const char *note);

/* Ends the bar; the summary of several inputs goes to stderr. Returns the exit code. */
int fl_import_report_finish(struct fl_import_report *report);

#endif
