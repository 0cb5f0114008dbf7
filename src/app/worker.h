/* worker.h - `fenceline worker`: the service that takes jobs from the queue until it is told to stop.
 *
 * It owns the event loop, the adapters, the jobs in its hands (runs.h) and, if it is its turn, the
 * dispatching for all (dispatcher.h). It waits for servers that are away, however long, and never gives a job
 * up for that. */
#ifndef FL_APP_WORKER_H
#define FL_APP_WORKER_H

#include "app/runs.h"
#include "app/settings.h"

struct fl_worker_calls {
    void *owner;
    /* A line for the operator: ready, draining, stopped, back again. Not for each job. */
    void (*say)(void *owner, const char *text);
    /* Something is in the way; told once until it changes. */
    void (*trouble)(void *owner, const struct fl_err *err);
    void (*ended)(void *owner, const struct fl_run_end *end);
    void (*note)(void *owner, const struct fl_import *import, const char *note); /* may be NULL */
    /* SIGHUP: all settings anew, from file, environment and options. */
    fl_status (*reload)(void *owner, struct fl_settings *settings, struct fl_err *err);
};

/* Runs until SIGTERM or SIGINT: then nothing new is begun, what runs may finish within worker.drain_seconds,
 * and the rest goes back to the queue. FL_OK then; FL_USAGE with *err when this binary and the servers do not
 * fit (schema newer or missing, no permission). A second signal ends the process at once, with exit code 130:
 * what was committed stays, the rest is taken over by others. settings is copied. */
FL_CHECKED fl_status fl_worker_run(const struct fl_settings *settings, const struct fl_worker_calls *calls,
                                   struct fl_err *err);

#endif
