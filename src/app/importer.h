/* importer.h - `fenceline import` and `delete`: many imports at once in one process, from a list of inputs.
 *
 * It owns the event loop and the adapters. Job rows are written some at a time ahead of the slots, then each
 * job runs the whole protocol. The loop runs until every input has its result. */
#ifndef FL_APP_IMPORTER_H
#define FL_APP_IMPORTER_H

#include "app/drive.h"
#include "app/settings.h"

/* One thing to do. The pointers are borrowed until its result was reported. */
struct fl_import_item {
    struct fl_slice name;     /* of the source, for jobs.source and messages */
    struct fl_source source;  /* unused for FL_MODE_DELETE */
    struct fl_import_job job; /* job_id is filled in */
    void *owner;              /* the caller's own */
};

/* How an item ended. Valid during the call only. */
struct fl_import_result {
    const struct fl_import_item *item;
    const struct fl_import *import;     /* answer, undecided, want_err */
    const struct fl_document *document; /* NULL if it was not (successfully) read */
    int64_t elapsed_ms;
    int exit_code;
};

struct fl_importer_calls {
    void *owner;
    /* The next item, or false when there is none. Called when there is room for it. */
    bool (*next)(void *owner, struct fl_import_item *item);
    void (*result)(void *owner, const struct fl_import_result *result);
    /* A remark about a running import, for --verbose; may be NULL. */
    void (*note)(void *owner, const struct fl_import *import, const char *note);
};

struct fl_importer_end {
    bool interrupted;     /* SIGINT or SIGTERM */
    size_t not_attempted; /* items that were taken and have no result, because a server is not available */
    uint64_t batches, batched; /* for --verbose: statements sent to Postgres, and requests in them */
};

/* Runs everything. FL_OK when every item that next() gave has had its result, or was counted in
 * end->not_attempted after an interrupt. FL_UNAVAILABLE or FL_USAGE, with *err, when a server or the schema
 * is not usable: no more items were started then. A second SIGINT ends the process at once, with exit code
 * 130: what was committed stays. */
FL_CHECKED fl_status fl_importer_run(const struct fl_settings *settings,
                                     const struct fl_importer_calls *calls, struct fl_importer_end *end,
                                     struct fl_err *err);

#endif
