/* redis_doctor.h - what there is to know about a Redis before it is trusted with leases and the queue: plain
 * facts, judged elsewhere. Nothing is changed by looking. */
#ifndef FL_IO_REDIS_DOCTOR_H
#define FL_IO_REDIS_DOCTOR_H

#include "fenceline/err.h"
#include "fenceline/types.h"

struct fl_arena;
struct fl_redis_sync;

/* Slices live in the arena; `*_trouble` says why a part could not be looked at, absent = it was. A slice that
 * the server does not tell (a sentinel has no role) is absent. */
struct fl_redis_facts {
    struct fl_slice shown; /* "127.0.0.1:6379" */

    struct fl_slice info_trouble; /* INFO: all down to aof_write_failed */
    struct fl_slice version;      /* "7.0.15" */
    int version_major, version_minor;
    struct fl_slice mode;                     /* "standalone", "sentinel", "cluster" */
    struct fl_slice role;                     /* "master", "slave" */
    struct fl_slice master_host, master_port; /* of a replica */
    int64_t replicas, replicas_not_online;
    int64_t replica_lag_s; /* of the slowest; since its last word */
    struct fl_slice eviction_policy;
    int64_t used_bytes, max_bytes, system_bytes; /* max 0 = no limit */
    bool aof_on, save_failed, aof_write_failed;

    struct fl_slice save_trouble; /* CONFIG GET save */
    struct fl_slice save;         /* "3600 1 300 100"; empty = no snapshots */

    struct fl_slice latency_trouble; /* of FL_PING_COUNT PINGs, one after the other */
    int64_t ping_median_us, ping_worst_us;

    struct fl_slice clock_trouble;
    int64_t clock_ahead_ms; /* of this machine's; half a round trip exact */

    struct fl_slice workers_trouble;
    int64_t workers_alive, workers_dead;

    struct fl_slice entries_trouble;
    int64_t dead_entries;        /* entries that workers without a heartbeat hold */
    struct fl_slice dead_worker; /* one of those */
    int64_t *missing;            /* of the jobs asked for: those that have no entry */
    size_t missing_count;
};

enum { FL_PING_COUNT = 15 };

/* What a look has to know: a worker is dead after dead_ms; these jobs should have an entry. */
struct fl_redis_question {
    int64_t dead_ms;
    const int64_t *jobs;
    size_t job_count;
};

/* Looks at everything; nothing may be in the pipeline. A part that fails is told in its trouble; without
 * memory all of them are. */
void fl_redis_doctor_look(struct fl_redis_sync *redis, const struct fl_redis_question *question,
                          struct fl_arena *arena, struct fl_redis_facts *facts);

#endif
