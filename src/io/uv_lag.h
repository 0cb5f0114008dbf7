/* uv_lag.h - how long the turns of an event loop take: so long whatever becomes due meanwhile has to wait. */
#ifndef FL_IO_UV_LAG_H
#define FL_IO_UV_LAG_H

#include <uv.h>

struct fl_uv_lag {
    uv_prepare_t prepare;
    uint64_t seen_ns, idle_ns; /* at the end of the last turn */
    uint64_t busy_ns;          /* of all turns */
    uint64_t longest_ns[2];    /* in this window, and in the one before */
    uint64_t window_ns;        /* when this window began */
};

/* Before the loop has any other handle: then all of them are counted. */
void fl_uv_lag_init(struct fl_uv_lag *lag, uv_loop_t *loop);

/* The longest turn within the last 15 to 30 s, in seconds. */
double fl_uv_lag_seconds(const struct fl_uv_lag *lag);

void fl_uv_lag_close(struct fl_uv_lag *lag);

#endif
