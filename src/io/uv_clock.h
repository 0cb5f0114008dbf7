/* uv_clock.h - the clock port: CLOCK_BOOTTIME, the kernel's random numbers, timers on libuv. */
#ifndef FL_IO_UV_CLOCK_H
#define FL_IO_UV_CLOCK_H

#include <uv.h>

#include "fenceline/ports.h"

struct fl_uv_clock {
    struct fl_clock_port port;
    uv_timer_t timer;      /* set to the earliest of the list */
    struct fl_link timers; /* a few per import: a list is enough */
    uint8_t random[256];
    size_t random_left;
};

void fl_uv_clock_init(struct fl_uv_clock *clock, uv_loop_t *loop);
/* Timers that are still set never fire; run the loop once more before the memory goes. */
void fl_uv_clock_close(struct fl_uv_clock *clock);

#endif
