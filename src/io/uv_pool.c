/* uv_pool.c - see uv_pool.h. */
#include "io/uv_pool.h"

#include "base/assert.h"

_Static_assert(sizeof(uv_work_t) <= sizeof((struct fl_work *)0)->adapter,
               "fl_work.adapter holds a uv_work_t");

static void run(uv_work_t *handle)
{
    struct fl_work *work = handle->data;
    work->run(work);
}

static void done(uv_work_t *handle, int status)
{
    struct fl_work *work = handle->data;
    FL_ASSERT(status == 0); /* nobody cancels work */
    work->done(work);
}

static void start(void *self, struct fl_work *work)
{
    struct fl_uv_pool *pool = self;
    uv_work_t *handle = (uv_work_t *)(void *)work->adapter;
    handle->data = work;
    int status = uv_queue_work(pool->loop, handle, run, done);
    FL_ASSERT(status == 0);
}

void fl_uv_pool_init(struct fl_uv_pool *pool, uv_loop_t *loop)
{
    *pool = (struct fl_uv_pool){.port = {.self = pool, .start = start}, .loop = loop};
}
