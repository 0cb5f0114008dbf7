/* redis_registry.h - who works: the registry that workers keep in Redis (redis_queue.h), for commands that
 * show it. */
#ifndef FL_IO_REDIS_REGISTRY_H
#define FL_IO_REDIS_REGISTRY_H

#include "io/redis_sync.h"

struct fl_arena;

/* One worker; slices live in the arena. */
struct fl_registered_worker {
    struct fl_slice id;
    struct fl_slice info; /* JSON as it stands there: anybody may have written it; absent if it is too long */
    int64_t age_ms;       /* since its last heartbeat, by Redis' clock */
};

/* Ids of imports begin with this; any other is a worker's. */
#define FL_REGISTRY_IMPORT "import@"
bool fl_redis_registry_is_worker(struct fl_slice id);

/* Reads all of it, in the order of the ids; nothing may be in the pipeline. FL_UNAVAILABLE, FL_USAGE (no
 * permission), FL_NO_MEMORY. */
FL_CHECKED fl_status fl_redis_registry_read(struct fl_redis_sync *redis, struct fl_arena *arena,
                                            struct fl_registered_worker **workers, size_t *count,
                                            struct fl_err *err);

#endif
