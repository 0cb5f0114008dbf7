/* registry.h - the registry in Redis, read: which processes there are, and what each import does (written by
 * process_info.h). What stands there is hostile: shown as far as it is what a process writes. */
#ifndef FL_APP_REGISTRY_H
#define FL_APP_REGISTRY_H

#include "io/redis_registry.h"

/* One process; absent slices and -1 where it says nothing usable. */
struct fl_process {
    struct fl_slice id, holder, host, version, started, state;
    struct fl_slice jobs; /* JSON: an array of numbers; or absent */
    int64_t pid, slots, running, parked;
    int64_t beat_ms; /* since its last heartbeat */
};

/* One import that it runs, as of its last heartbeat. */
struct fl_running {
    const struct fl_process *process;
    int64_t job_id, token, renewals, held_ms, idle_ms, backend;
    struct fl_slice phase;
};

struct fl_registry {
    struct fl_process *processes; /* by id */
    size_t process_count;
    struct fl_running *runnings; /* by job */
    size_t running_count;
};

/* The registry that these entries make, of which any may hold anything. Slices of *registry point to the
 * arena and to workers. FL_NO_MEMORY. */
FL_CHECKED fl_status fl_registry_build(struct fl_registry *registry,
                                       const struct fl_registered_worker *workers, size_t count,
                                       struct fl_arena *arena, struct fl_err *err);

/* Reads all of it into the arena. Errors as in fl_redis_registry_read. */
FL_CHECKED fl_status fl_registry_read(struct fl_registry *registry, struct fl_redis_sync *redis,
                                      struct fl_arena *arena, struct fl_err *err);

/* The process that calls itself so in leases, claims and jobs ("worker@host:pid"): the one with the latest
 * heartbeat; NULL = none. */
const struct fl_process *fl_registry_process(const struct fl_registry *registry, struct fl_slice holder);

/* What this process does for this job under this token; NULL = it has not said so. */
const struct fl_running *fl_registry_running(const struct fl_registry *registry, struct fl_slice holder,
                                             int64_t job_id, int64_t token);

#endif
