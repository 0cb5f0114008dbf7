/* uv_pool.h - the pool port: work in libuv's threads, its end back on the loop. */
#ifndef FL_IO_UV_POOL_H
#define FL_IO_UV_POOL_H

#include <uv.h>

#include "fenceline/ports.h"

struct fl_uv_pool {
    struct fl_pool_port port;
    uv_loop_t *loop;
};

void fl_uv_pool_init(struct fl_uv_pool *pool, uv_loop_t *loop);

#endif
