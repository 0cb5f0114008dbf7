/* presence.c - see presence.h.
 *
 * Happy path: a heartbeat at each tick, one in flight; at the end one that leaves. Failure modes: Redis is
 * away: a heartbeat is lost, and the next one follows; the end does not wait for what cannot be sent. */
#include "app/presence.h"

#include "base/list.h"
#include "io/redis_registry.h"

static void on_timer(struct fl_timer *timer)
{
    struct fl_presence *presence = FL_CONTAINER(timer, struct fl_presence, timer);
    struct fl_clock_port *clock = presence->clock;
    int64_t now_ms = clock->now_ms(clock->self);
    if (!presence->queue.beating && !presence->is_leaving) {
        struct fl_process_info info = {.name = &presence->name, .now_ms = now_ms};
        presence->describe(presence->owner, &info);
        presence->is_registered |=
            fl_redis_queue_beat(&presence->queue, fl_process_info_format(&info, presence->json),
                                presence->settings->dead_ms, false, NULL);
    }
    clock->set(clock->self, timer, now_ms + presence->settings->heartbeat_ms);
}

static void send_leave(struct fl_presence *presence)
{
    presence->leave_is_sent = presence->is_registered && fl_redis_queue_leave(&presence->queue);
    if (!presence->leave_is_sent)
        presence->left(presence->owner);
}

static void on_beaten(void *owner, fl_status status, bool is_dispatcher)
{
    struct fl_presence *presence = owner;
    (void)is_dispatcher;
    if (!presence->is_leaving)
        return;
    if (status == FL_OK && !presence->leave_is_sent)
        send_leave(presence);
    else
        presence->left(presence->owner);
}

void fl_presence_init(struct fl_presence *presence, struct fl_clock_port *clock,
                      const struct fl_worker_settings *settings)
{
    presence->clock = clock;
    presence->settings = settings;
    fl_process_name_init(&presence->name, clock, FL_REGISTRY_IMPORT);
}

void fl_presence_start(struct fl_presence *presence, uv_loop_t *loop, struct fl_redis_lease *lease)
{
    const struct fl_queue_events events = {.owner = presence, .beaten = on_beaten};
    struct fl_clock_port *clock = presence->clock;
    fl_redis_queue_init(&presence->queue, loop, lease, presence->name.id, &events);
    presence->timer = (struct fl_timer){.fire = on_timer, .at_ms = FL_NEVER_MS};
    clock->set(clock->self, &presence->timer, clock->now_ms(clock->self) + presence->settings->heartbeat_ms);
}

void fl_presence_leave(struct fl_presence *presence)
{
    bool is_new = !presence->is_leaving;
    presence->is_leaving = true;
    if (is_new && !presence->queue.beating)
        send_leave(presence);
}

void fl_presence_close(struct fl_presence *presence)
{
    fl_redis_queue_close(&presence->queue);
}
