/* worker_info.h - what the registry in Redis says of a worker: one JSON object. */
#ifndef FL_APP_WORKER_INFO_H
#define FL_APP_WORKER_INFO_H

#include "app/runs.h"

enum { FL_WORKER_INFO_BYTES = 4096 };

struct fl_worker_info {
    const char *worker, *host, *started_at, *state;
    int64_t slots;
    const struct fl_runs *runs;
};

/* {"worker", "host", "version", "started", "state", "pid", "slots", "running", "parked", "jobs": [ids, at
 * most 64]}; terminated by NUL in out. */
struct fl_slice fl_worker_info_format(const struct fl_worker_info *info, char out[FL_WORKER_INFO_BYTES]);

#endif
