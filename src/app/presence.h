/* presence.h - an import process in the registry: heartbeats while it runs, so that operators see what a long
 * run does. One that is over before its first heartbeat never appears. (A worker does this itself: its
 * heartbeats do more.) */
#ifndef FL_APP_PRESENCE_H
#define FL_APP_PRESENCE_H

#include "app/process_info.h"
#include "app/settings.h"
#include "io/redis_queue.h"

struct fl_presence {
    struct fl_process_name name;
    struct fl_redis_queue queue; /* only its heartbeats */
    struct fl_clock_port *clock;
    const struct fl_worker_settings *settings;
    struct fl_timer timer;
    void *owner;
    /* Fills all of *info but name and now_ms; what it points to must live until the next call. */
    void (*describe)(void *owner, struct fl_process_info *info);
    void (*left)(void *owner); /* after fl_presence_leave, once */
    bool is_registered, is_leaving, leave_is_sent;
    char json[FL_PROCESS_INFO_BYTES];
};

/* First: the process' name, which its lease adapter needs. */
void fl_presence_init(struct fl_presence *presence, struct fl_clock_port *clock,
                      const struct fl_worker_settings *settings);

/* Then, with the lease adapter ready and owner, describe and left set: the first heartbeat comes after
 * heartbeat_ms. */
void fl_presence_start(struct fl_presence *presence, uv_loop_t *loop, struct fl_redis_lease *lease);

/* Leaves the registry, if it is in it; left() follows, perhaps from within. Further calls do nothing. */
void fl_presence_leave(struct fl_presence *presence);

/* Before fl_redis_lease_close; nothing is called any more. */
void fl_presence_close(struct fl_presence *presence);

#endif
