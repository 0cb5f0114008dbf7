/* fuzz_locks.c - the operator's side of Redis on replies that hold anything: leases, their waiters, the
 * registry of processes (fuzz_server.h tells how the input is read).
 *
 * Production code: io/redis_locks.c, io/redis_registry.c over io/redis_sync.c, which blocks and so has a
 * thread.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "app/registry.h"
#include "fuzz_server.h"
#include "io/redis_lease.h"
#include "io/redis_locks.h"

enum { ARENA_BYTES = 64 << 20, TIMEOUT_MS = 5000 };

struct look {
    struct fl_redis_sync *redis;
    struct fl_arena arena;
    uv_async_t over;
    const char *url;
};

static void check_lock(const struct fl_redis_lock *lock)
{
    FUZZ_CHECK(fuzz_is_id(lock->episode), "episode '%.*s'", FL_ARGS(lock->episode));
    FUZZ_CHECK(lock->counter >= 0 && lock->job_id >= 0 && lock->token >= 0,
               "counter %" PRId64 ", job %" PRId64, lock->counter, lock->job_id);
    FUZZ_CHECK(lock->has_lease || !lock->is_foreign, "a foreign lease that is none");
    if (lock->has_lease && !lock->is_foreign) {
        FUZZ_CHECK(lock->nonce.len == FL_NONCE_LEN && lock->token > 0 && lock->token < INT64_C(1) << 53,
                   "token %" PRId64, lock->token);
        FUZZ_CHECK(lock->holder.ptr && fuzz_is_plain(lock->holder), "a raw holder");
    } else {
        FUZZ_CHECK(lock->nonce.len == 0 && lock->holder.len == 0 && lock->token == 0, "of no lease of ours");
    }
}

static void check_locks(const struct fl_redis_lock *locks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        check_lock(&locks[i]);
        FUZZ_CHECK(i == 0 || fl_slice_compare(locks[i - 1].episode, locks[i].episode) < 0, "lock %zu", i);
    }
}

static void look_at_locks(struct look *look)
{
    static const struct fl_slice EPISODES[] = {{"ep2", 3}, {"ep{1}", 5}};
    struct fl_redis_lock *locks = NULL, given[2];
    struct fl_err err;
    size_t count = 0;
    fl_status status = fl_redis_locks_look(look->redis, &look->arena, EPISODES, 2, given, &err);
    if (status == FL_OK)
        check_locks(given, 2);
    else
        fuzz_check_err(status, &err);
    status = fl_redis_locks_scan(look->redis, &look->arena, &locks, &count, &err);
    if (status == FL_OK)
        check_locks(locks, count);
    else
        fuzz_check_err(status, &err);
}

static void look_at_registry(struct look *look)
{
    struct fl_registry registry;
    struct fl_err err;
    fl_status status = fl_registry_read(&registry, look->redis, &look->arena, &err);
    if (status != FL_OK)
        fuzz_check_err(status, &err);
    for (size_t i = 0; status == FL_OK && i < registry.process_count; i++)
        FUZZ_CHECK(registry.processes[i].id.ptr && fuzz_is_text(registry.processes[i].host), "process %zu",
                   i);
}

static void *look_at_all(void *pointer)
{
    struct look *look = pointer;
    struct fl_err err;
    fl_status status = fl_redis_sync_open(&look->redis, look->url, TIMEOUT_MS, &err);
    FUZZ_CHECK(status == FL_OK, "%s", err.text);
    look_at_registry(look);
    look_at_locks(look);
    fl_redis_sync_close(look->redis);
    uv_async_send(&look->over);
    return NULL;
}

static void on_over(uv_async_t *over)
{
    uv_close((uv_handle_t *)over, NULL);
    over->data = NULL;
}

void fuzz_locks(struct fl_slice input)
{
    char url[FL_REDIS_TEXT_BYTES + 16];
    char *exact = fuzz_exact(input);
    struct fuzz_server *server = fuzz_server_start((struct fl_slice){exact, input.len});
    struct look look = {.url = url};
    pthread_t thread;
    snprintf(url, sizeof url, "unix://%s", server->address.host);
    fl_arena_init(&look.arena, ARENA_BYTES);
    uv_async_init(&server->loop, &look.over, on_over);
    look.over.data = &look;
    FUZZ_CHECK(pthread_create(&thread, NULL, look_at_all, &look) == 0, "no thread");
    while (look.over.data)
        uv_run(&server->loop, UV_RUN_ONCE);
    pthread_join(thread, NULL);
    fuzz_server_drain(server);
    fl_arena_release(&look.arena);
    free(exact);
}
