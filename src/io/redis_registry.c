/* redis_registry.c - see redis_registry.h.
 *
 * Happy path: three commands in one pipeline, their replies copied into the arena. Failure modes: no
 * connection, no answer in time, a refused command: the first reason is told. */
#include "io/redis_registry.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/slice.h"

/* More than a process writes of itself (process_info.h): somebody else's. */
enum { INFO_BYTES_MAX = 256 * 1024 };

bool fl_redis_registry_is_worker(struct fl_slice id)
{
    return !fl_slice_starts(id, FL_REGISTRY_IMPORT);
}

struct listing {
    struct fl_arena *arena;
    struct fl_registered_worker *workers;
    size_t count;
};

static struct fl_slice text_of(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_STRING)
        return (struct fl_slice){"", 0};
    return (struct fl_slice){reply->str, reply->len};
}

/* 0 for what is none, or none that Redis counts with. */
static int64_t number_of(const redisReply *reply)
{
    struct fl_slice text = text_of(reply);
    int64_t number = 0;
    return fl_slice_take_digits(&text, &number) > 0 && number < INT64_C(1) << 53 ? number : 0;
}

static int by_id(const void *a, const void *b)
{
    return fl_slice_compare(((const struct fl_registered_worker *)a)->id,
                            ((const struct fl_registered_worker *)b)->id);
}

static bool list(struct listing *listing, const redisReply *time, const redisReply *heartbeats)
{
    int64_t now_ms = 0;
    size_t count = heartbeats->elements / 2;
    if (time->elements == 2)
        now_ms = number_of(time->element[0]) * 1000 + number_of(time->element[1]) / 1000;
    listing->workers = fl_arena_alloc(listing->arena, count * sizeof *listing->workers);
    if (!listing->workers)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct fl_slice id = fl_arena_copy(listing->arena, text_of(heartbeats->element[2 * i]));
        int64_t beaten_ms = number_of(heartbeats->element[2 * i + 1]);
        if (!id.ptr)
            return false;
        listing->workers[i] = (struct fl_registered_worker){.id = id, .age_ms = now_ms - beaten_ms};
    }
    listing->count = count;
    if (count)
        qsort(listing->workers, count, sizeof *listing->workers, by_id);
    return true;
}

static bool add_info(const struct listing *listing, const redisReply *info)
{
    for (size_t i = 0; i + 1 < info->elements; i += 2) {
        struct fl_registered_worker key = {.id = text_of(info->element[i])};
        struct fl_registered_worker *worker =
            listing->count ? bsearch(&key, listing->workers, listing->count, sizeof key, by_id) : NULL;
        if (!worker || info->element[i + 1]->len > INFO_BYTES_MAX)
            continue;
        worker->info = fl_arena_copy(listing->arena, text_of(info->element[i + 1]));
        if (!worker->info.ptr)
            return false;
    }
    return true;
}

fl_status fl_redis_registry_read(struct fl_redis_sync *redis, struct fl_arena *arena,
                                 struct fl_registered_worker **workers, size_t *count, struct fl_err *err)
{
    static const char *const TIME[] = {"TIME"};
    static const char *const HEARTBEATS[] = {"ZRANGE", "fenceline:{queue}:workers", "0", "-1", "WITHSCORES"};
    static const char *const INFO[] = {"HGETALL", "fenceline:{queue}:info"};
    struct listing listing = {.arena = arena};
    redisReply *replies[3] = {NULL, NULL, NULL};
    fl_status status = FL_OK;
    fl_redis_sync_send(redis, 1, TIME, NULL);
    fl_redis_sync_send(redis, 5, HEARTBEATS, NULL);
    fl_redis_sync_send(redis, 2, INFO, NULL);
    for (int i = 0; i < 3 && status == FL_OK; i++)
        status = fl_redis_sync_expect(redis, REDIS_REPLY_ARRAY, &replies[i], err);
    if (status == FL_OK && !(list(&listing, replies[0], replies[1]) && add_info(&listing, replies[2])))
        status = fl_err_set(err, FL_NO_MEMORY, "no memory for the list of workers");
    for (int i = 0; i < 3; i++)
        freeReplyObject(replies[i]);
    *workers = listing.workers;
    *count = listing.count;
    return status;
}
