/* process_info.h - what the registry in Redis says of a process that imports: one JSON object. */
#ifndef FL_APP_PROCESS_INFO_H
#define FL_APP_PROCESS_INFO_H

#include "app/drive.h"

enum {
    FL_PROCESS_INFO_JOBS = 64,
    FL_PROCESS_INFO_IMPORTS = 256,
    FL_PROCESS_INFO_BYTES = 48 * 1024,
    FL_PROCESS_ID_BYTES = 160
};

/* Who it is; made once. */
struct fl_process_name {
    char host[128];
    char id[FL_PROCESS_ID_BYTES]; /* "host:pid:6 hex digits", without spaces, unique; see init */
    char started_at[32];          /* ISO 8601, UTC */
};

/* prefix: "", or what its id begins with (redis_registry.h). */
void fl_process_name_init(struct fl_process_name *name, struct fl_clock_port *clock, const char *prefix);

/* What it does; borrowed during the call. At most FL_PROCESS_INFO_... of jobs and drives are shown. */
struct fl_process_info {
    const struct fl_process_name *name;
    const char *holder; /* "worker@host:pid": what leases, claims and jobs say */
    const char *state;
    int64_t slots, running, parked;
    const int64_t *jobs; /* in its hands */
    size_t job_count;
    const struct fl_drive *const *drives; /* imports that run */
    size_t drive_count;
    int64_t now_ms; /* of the drives' clock */
};

/* {"worker" (the id), "holder", "host", "version", "started", "state", "pid", "slots", "running", "parked",
 * "jobs": [ids], "imports": [{"job", "token" (0 = no lease), "phase", "renewals", "held_ms", "idle_ms" (since
 * its last step), "backend" (pid of the Postgres session that works for it, 0 = none)}]}; terminated by NUL
 * in out. */
struct fl_slice fl_process_info_format(const struct fl_process_info *info, char out[FL_PROCESS_INFO_BYTES]);

#endif
