/* uv_clock.c - see uv_clock.h. CLOCK_BOOTTIME goes on while the machine sleeps, as the lease in Redis does;
 * libuv's own clock may not, so a timer that fires early is set again. */
#include "io/uv_clock.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/assert.h"
#include "base/list.h"

static int64_t now_ms(void *self)
{
    struct timespec now;
    (void)self;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void take_random(void *self, uint64_t out[2])
{
    struct fl_uv_clock *clock = self;
    if (clock->random_left < 2 * sizeof *out) {
        /* Up to 256 bytes are given whole or not at all (getrandom(2)); without them no nonce is safe. */
        ssize_t got = getrandom(clock->random, sizeof clock->random, 0);
        FL_ASSERT(got == (ssize_t)sizeof clock->random);
        clock->random_left = sizeof clock->random;
    }
    clock->random_left -= 2 * sizeof *out;
    memcpy(out, clock->random + clock->random_left, 2 * sizeof *out);
}

static void on_timer(uv_timer_t *handle);

static void arm(struct fl_uv_clock *clock)
{
    int64_t next_ms = FL_NEVER_MS;
    for (struct fl_link *link = clock->timers.next; link != &clock->timers; link = link->next) {
        const struct fl_timer *timer = FL_CONTAINER(link, struct fl_timer, link);
        if (timer->at_ms < next_ms)
            next_ms = timer->at_ms;
    }
    if (next_ms == FL_NEVER_MS) {
        uv_timer_stop(&clock->timer);
        return;
    }
    int64_t delay_ms = next_ms - now_ms(clock);
    uv_update_time(clock->timer.loop);
    uv_timer_start(&clock->timer, on_timer, delay_ms > 0 ? (uint64_t)delay_ms : 0, 0);
}

static void on_timer(uv_timer_t *handle)
{
    struct fl_uv_clock *clock = handle->data;
    struct fl_link due;
    int64_t now = now_ms(clock);
    fl_list_init(&due);
    for (struct fl_link *link = clock->timers.next, *next; link != &clock->timers; link = next) {
        next = link->next;
        if (FL_CONTAINER(link, struct fl_timer, link)->at_ms > now)
            continue;
        fl_list_remove(link);
        fl_list_append(&due, link);
    }
    for (struct fl_link *link; (link = fl_list_take_first(&due));) {
        struct fl_timer *timer = FL_CONTAINER(link, struct fl_timer, link);
        timer->at_ms = FL_NEVER_MS;
        timer->fire(timer);
    }
    arm(clock);
}

static void set(void *self, struct fl_timer *timer, int64_t at_ms)
{
    struct fl_uv_clock *clock = self;
    if (timer->at_ms == at_ms)
        return;
    if (timer->at_ms != FL_NEVER_MS)
        fl_list_remove(&timer->link);
    timer->at_ms = at_ms;
    if (at_ms != FL_NEVER_MS)
        fl_list_append(&clock->timers, &timer->link);
    arm(clock);
}

void fl_uv_clock_init(struct fl_uv_clock *clock, uv_loop_t *loop)
{
    *clock =
        (struct fl_uv_clock){.port = {.self = clock, .now_ms = now_ms, .random = take_random, .set = set}};
    fl_list_init(&clock->timers);
    uv_timer_init(loop, &clock->timer);
    clock->timer.data = clock;
}

void fl_uv_clock_close(struct fl_uv_clock *clock)
{
    uv_close((uv_handle_t *)&clock->timer, NULL);
}
