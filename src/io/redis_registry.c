/* redis_registry.c - see redis_registry.h.
 *
 * Happy path: a loop of its own, three commands in one pipeline, their replies copied into the arena. Failure
 * modes: no connection, no answer in time, a refused command: the first reason is told. */
#include "io/redis_registry.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/slice.h"

enum { QUESTIONS = 3 };

struct reading {
    uv_loop_t loop;
    struct fl_redis redis;
    struct fl_arena *arena;
    struct fl_registered_worker *workers;
    size_t count, capacity;
    int64_t now_ms;
    int left; /* answers still to come */
    fl_status status;
    struct fl_err *err;
};

static struct fl_slice text_of(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_STRING)
        return (struct fl_slice){"", 0};
    return (struct fl_slice){reply->str, reply->len};
}

static const redisReply *receive(struct reading *reading, void *pointer)
{
    const redisReply *reply = pointer;
    struct fl_err err;
    fl_status status = FL_OK;
    fl_redis_answered(&reading->redis, reply);
    if (!reply)
        status = fl_redis_lost(&reading->redis, &err) == FL_LOST ? FL_UNAVAILABLE : err.code;
    else if (reply->type != REDIS_REPLY_ARRAY)
        status = fl_redis_reply_error(&reading->redis, reply, &err);
    if (status != FL_OK && reading->status == FL_OK) {
        reading->status = status;
        *reading->err = err;
    }
    if (--reading->left == 0)
        uv_stop(&reading->loop);
    return status == FL_OK ? reply : NULL;
}

static void on_time(redisAsyncContext *context, void *pointer, void *owner)
{
    struct reading *reading = owner;
    (void)context;
    const redisReply *reply = receive(reading, pointer);
    if (reply && reply->elements == 2)
        reading->now_ms = strtoll(reply->element[0]->str, NULL, 10) * 1000 +
                          strtoll(reply->element[1]->str, NULL, 10) / 1000;
}

static struct fl_registered_worker *add_worker(struct reading *reading, struct fl_slice id)
{
    if (reading->count == reading->capacity) {
        size_t capacity = reading->capacity ? reading->capacity * 2 : 16;
        struct fl_registered_worker *moved = fl_arena_grow(
            reading->arena, reading->workers, reading->capacity * sizeof *moved, capacity * sizeof *moved);
        if (!moved)
            return NULL;
        reading->workers = moved;
        reading->capacity = capacity;
    }
    struct fl_registered_worker *worker = &reading->workers[reading->count];
    *worker = (struct fl_registered_worker){.id = fl_arena_copy(reading->arena, id)};
    if (!worker->id.ptr)
        return NULL;
    reading->count++;
    return worker;
}

static void on_heartbeats(redisAsyncContext *context, void *pointer, void *owner)
{
    struct reading *reading = owner;
    (void)context;
    const redisReply *reply = receive(reading, pointer);
    for (size_t i = 0; reply && i + 1 < reply->elements; i += 2) {
        struct fl_registered_worker *worker = add_worker(reading, text_of(reply->element[i]));
        if (!worker) {
            reading->status = fl_err_set(reading->err, FL_NO_MEMORY, "no memory for the list of workers");
            return;
        }
        worker->age_ms = reading->now_ms - strtoll(text_of(reply->element[i + 1]).ptr, NULL, 10);
    }
}

static void on_info(redisAsyncContext *context, void *pointer, void *owner)
{
    struct reading *reading = owner;
    (void)context;
    const redisReply *reply = receive(reading, pointer);
    for (size_t i = 0; reply && i + 1 < reply->elements; i += 2)
        for (size_t k = 0; k < reading->count; k++)
            if (fl_slice_eq(reading->workers[k].id, text_of(reply->element[i])))
                reading->workers[k].info = fl_arena_copy(reading->arena, text_of(reply->element[i + 1]));
}

static int by_id(const void *a, const void *b)
{
    return fl_slice_compare(((const struct fl_registered_worker *)a)->id,
                            ((const struct fl_registered_worker *)b)->id);
}

static void ask(struct reading *reading)
{
    static const char *const TIME[] = {"TIME"};
    static const char *const HEARTBEATS[] = {"ZRANGE", "fenceline:{queue}:workers", "0", "-1", "WITHSCORES"};
    static const char *const INFO[] = {"HGETALL", "fenceline:{queue}:info"};
    reading->left = QUESTIONS;
    fl_redis_send(&reading->redis, 1, (const char **)TIME, NULL, on_time, reading);
    fl_redis_send(&reading->redis, 5, (const char **)HEARTBEATS, NULL, on_heartbeats, reading);
    fl_redis_send(&reading->redis, 2, (const char **)INFO, NULL, on_info, reading);
}

fl_status fl_redis_registry_read(const struct fl_redis_address *address, int64_t timeout_ms,
                                 struct fl_arena *arena, struct fl_registered_worker **workers, size_t *count,
                                 struct fl_err *err)
{
    struct reading reading = {.arena = arena, .err = err};
    uv_loop_init(&reading.loop);
    fl_redis_init(&reading.redis, &reading.loop, address, timeout_ms);
    reading.status = fl_redis_open(&reading.redis, err);
    if (reading.status == FL_OK) {
        ask(&reading);
        uv_run(&reading.loop, UV_RUN_DEFAULT);
    }
    fl_redis_release(&reading.redis);
    uv_run(&reading.loop, UV_RUN_DEFAULT);
    int left = uv_loop_close(&reading.loop);
    FL_ASSERT(left == 0);
    if (reading.count)
        qsort(reading.workers, reading.count, sizeof *reading.workers, by_id);
    *workers = reading.workers;
    *count = reading.count;
    return reading.status;
}
