/* redis_locks.c - see redis_locks.h.
 *
 * Happy path: SCAN hands out keys some at a time; each batch of episodes is looked at in one pipeline, with
 * one script an episode, so that a lease and its waiters are seen at one moment. Failure modes: those of each
 * reply. A batch is preceded by its script's text, so a SCRIPT FLUSH in between costs nothing. */
#include "io/redis_locks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/slice.h"
#include "base/utf8.h"
#include "io/redis_lease.h"

/* VALUE_BYTES: more than any lease that fenceline writes. */
enum { BATCH = 512, VALUE_BYTES = 1024 };

struct found {
    struct fl_arena *arena;
    struct fl_slice *episodes;
    size_t count, capacity;
};

static struct fl_slice text_of(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_STRING)
        return (struct fl_slice){"", 0};
    return (struct fl_slice){reply->str, reply->len};
}

/* What fenceline itself has written is text without control characters. */
static bool is_plain(struct fl_slice text)
{
    if (fl_utf8_valid_prefix(text) != text.len)
        return false;
    while (text.len)
        if (fl_utf8_is_control(fl_utf8_next(&text)))
            return false;
    return true;
}

/* ---- SCAN ---- */

static bool add_episode(struct found *found, struct fl_slice key)
{
    char text[FL_LEASE_KEY_BYTES];
    struct fl_slice episode;
    if (!fl_redis_lease_read_key(key, text, &episode) || episode.len == 0 || !is_plain(episode))
        return true; /* of somebody else's */
    if (found->count == found->capacity) {
        size_t capacity = found->capacity ? found->capacity * 2 : 256;
        struct fl_slice *moved = fl_arena_grow(found->arena, found->episodes, found->capacity * sizeof *moved,
                                               capacity * sizeof *moved);
        if (!moved)
            return false;
        found->episodes = moved;
        found->capacity = capacity;
    }
    found->episodes[found->count] = fl_arena_copy(found->arena, episode);
    return found->episodes[found->count++].ptr != NULL;
}

static fl_status scan_once(struct fl_redis_sync *redis, char cursor[32], struct found *found,
                           struct fl_err *err)
{
    const char *scan[] = {"SCAN", cursor, "MATCH", "fenceline:{*}:lease", "COUNT", "1000"};
    redisReply *reply = NULL;
    fl_status status = fl_redis_sync_ask(redis, 6, scan, REDIS_REPLY_ARRAY, &reply, err);
    if (status != FL_OK)
        return status;
    bool is_good = reply->elements == 2 && reply->element[1]->type == REDIS_REPLY_ARRAY;
    if (is_good)
        snprintf(cursor, 32, "%.*s", FL_ARGS(text_of(reply->element[0])));
    for (size_t i = 0; status == FL_OK && is_good && i < reply->element[1]->elements; i++)
        if (!add_episode(found, text_of(reply->element[1]->element[i])))
            status = fl_err_set(err, FL_NO_MEMORY, "no memory for the list of leases");
    if (!is_good)
        status = fl_err_set(err, FL_FAILED, "Redis at %s sent a reply of an unexpected shape",
                            fl_redis_sync_shown(redis));
    freeReplyObject(reply);
    return status;
}

static int by_bytes(const void *a, const void *b)
{
    return fl_slice_compare(*(const struct fl_slice *)a, *(const struct fl_slice *)b);
}

/* SCAN may tell a key twice. */
static void sort_once_each(struct found *found)
{
    size_t kept = 0;
    if (found->count)
        qsort(found->episodes, found->count, sizeof *found->episodes, by_bytes);
    for (size_t i = 0; i < found->count; i++)
        if (kept == 0 || !fl_slice_eq(found->episodes[kept - 1], found->episodes[i]))
            found->episodes[kept++] = found->episodes[i];
    found->count = kept;
}

/* ---- looking ---- */

static void read_holder(struct fl_redis_lock *lock, struct fl_slice who)
{
    static const struct fl_slice MARK = {" (job ", 6};
    const char *mark = who.len ? memmem(who.ptr, who.len, MARK.ptr, MARK.len) : NULL;
    lock->holder = who;
    if (!mark)
        return;
    lock->holder.len = (size_t)(mark - who.ptr);
    struct fl_slice rest = {mark + MARK.len, who.len - lock->holder.len - MARK.len};
    if (fl_slice_take_digits(&rest, &lock->job_id) == 0 || !fl_slice_is(rest, ")"))
        lock->job_id = 0;
}

static int64_t number_of(struct fl_slice text)
{
    int64_t number = 0;
    return fl_slice_take_digits(&text, &number) > 0 && text.len == 0 ? number : 0;
}

static bool read_waiters(struct fl_redis_lock *lock, struct fl_arena *arena, const redisReply *reply)
{
    size_t count = 0;
    lock->waiters = fl_arena_alloc(arena, (reply->elements - 4) * sizeof *lock->waiters);
    for (size_t i = 4; lock->waiters && i < reply->elements; i++) {
        struct fl_slice waiter = text_of(reply->element[i]);
        const char *space = waiter.len ? memrchr(waiter.ptr, ' ', waiter.len) : NULL;
        size_t skipped = space ? (size_t)(space - waiter.ptr) + 1 : waiter.len;
        lock->waiters[count++] = number_of((struct fl_slice){waiter.ptr + skipped, waiter.len - skipped});
    }
    return lock->waiters != NULL;
}

static bool read_lock(struct fl_redis_lock *lock, struct fl_arena *arena, const redisReply *reply)
{
    struct fl_slice value = fl_arena_copy(arena, text_of(reply->element[0])), nonce, who;
    struct fl_token token = {0};
    if (!value.ptr)
        return false;
    lock->left_ms = reply->element[1]->integer;
    lock->has_lease = lock->left_ms != -2;
    lock->counter = number_of(text_of(reply->element[2]));
    lock->waiter_count = reply->element[3]->integer > 0 ? (size_t)reply->element[3]->integer : 0;
    lock->is_foreign = lock->has_lease && !(value.len < VALUE_BYTES && is_plain(value) &&
                                            fl_redis_lease_read_value(value, &nonce, &token, &who));
    if (lock->has_lease && !lock->is_foreign) {
        lock->nonce = nonce;
        lock->token = token.n;
        read_holder(lock, who);
    }
    return read_waiters(lock, arena, reply);
}

static void send_look(struct fl_redis_sync *redis, const char *sha1, struct fl_slice episode)
{
    static const char *const SUFFIXES[] = {"lease", "token", "waiters"};
    char keys[3][FL_LEASE_KEY_BYTES], limit[16], bytes[16];
    const char *argv[8] = {"EVALSHA", sha1, "3"};
    size_t lengths[8] = {7, FL_SCRIPT_SHA1_BYTES - 1, 1};
    for (int i = 0; i < 3; i++) {
        struct fl_slice key = fl_redis_lease_key(episode, SUFFIXES[i], keys[i]);
        argv[3 + i] = key.ptr;
        lengths[3 + i] = key.len;
    }
    argv[6] = limit;
    lengths[6] = (size_t)snprintf(limit, sizeof limit, "%d", FL_LOCK_WAITERS);
    argv[7] = bytes;
    lengths[7] = (size_t)snprintf(bytes, sizeof bytes, "%d", VALUE_BYTES);
    fl_redis_sync_send(redis, 8, argv, lengths);
}

static fl_status look_at_batch(struct fl_redis_sync *redis, struct fl_arena *arena,
                               const struct fl_slice *episodes, size_t count, struct fl_redis_lock *locks,
                               struct fl_err *err)
{
    struct fl_redis_scripts scripts;
    const char *load[] = {"SCRIPT", "LOAD", fl_redis_script_text(FL_SCRIPT_LEASE_LOOK)};
    redisReply *reply = NULL;
    fl_redis_scripts_init(&scripts);
    fl_redis_sync_send(redis, 3, load, NULL);
    for (size_t i = 0; i < count; i++)
        send_look(redis, scripts.sha1[FL_SCRIPT_LEASE_LOOK], episodes[i]);
    fl_status status = fl_redis_sync_expect(redis, REDIS_REPLY_STRING, &reply, err);
    freeReplyObject(reply);
    for (size_t i = 0; i < count; i++) {
        struct fl_err
            ignored; /* the first error counts; the replies after it must be taken off all the same */
        reply = NULL;
        fl_status this =
            fl_redis_sync_expect(redis, REDIS_REPLY_ARRAY, &reply, status == FL_OK ? err : &ignored);
        locks[i] = (struct fl_redis_lock){.episode = episodes[i]};
        if (this == FL_OK && (reply->elements < 4 || !read_lock(&locks[i], arena, reply)))
            this = fl_err_set(status == FL_OK ? err : &ignored, FL_NO_MEMORY,
                              "no memory for the list of leases");
        freeReplyObject(reply);
        if (status == FL_OK)
            status = this;
        if (this == FL_UNAVAILABLE) /* the connection is gone */
            break;
    }
    return status;
}

fl_status fl_redis_locks_look(struct fl_redis_sync *redis, struct fl_arena *arena,
                              const struct fl_slice *episodes, size_t count, struct fl_redis_lock *locks,
                              struct fl_err *err)
{
    fl_status status = FL_OK;
    for (size_t at = 0; status == FL_OK && at < count; at += BATCH) {
        size_t batch = count - at < BATCH ? count - at : BATCH;
        status = look_at_batch(redis, arena, episodes + at, batch, locks + at, err);
    }
    return status;
}

fl_status fl_redis_locks_scan(struct fl_redis_sync *redis, struct fl_arena *arena,
                              struct fl_redis_lock **locks, size_t *count, struct fl_err *err)
{
    struct found found = {.arena = arena};
    char cursor[32] = "0";
    fl_status status;
    *count = 0;
    do
        status = scan_once(redis, cursor, &found, err);
    while (status == FL_OK && strcmp(cursor, "0") != 0);
    sort_once_each(&found);
    *locks = fl_arena_alloc(arena, found.count * sizeof **locks);
    if (status == FL_OK && !*locks)
        status = fl_err_set(err, FL_NO_MEMORY, "no memory for the list of leases");
    if (status == FL_OK)
        status = fl_redis_locks_look(redis, arena, found.episodes, found.count, *locks, err);
    for (size_t i = 0; status == FL_OK && i < found.count; i++)
        if ((*locks)[i].has_lease) /* else it has gone in between */
            (*locks)[(*count)++] = (*locks)[i];
    return status;
}

/* ---- deleting ---- */

fl_status fl_redis_locks_delete(struct fl_redis_sync *redis, struct fl_slice episode, struct fl_slice nonce,
                                bool *deleted, struct fl_err *err)
{
    char keys[2][FL_LEASE_KEY_BYTES];
    struct fl_slice lease = fl_redis_lease_key(episode, "lease", keys[0]);
    struct fl_slice waiters = fl_redis_lease_key(episode, "waiters", keys[1]);
    const char *text = fl_redis_script_text(FL_SCRIPT_RELEASE);
    const char *argv[] = {"EVAL", text, "2", lease.ptr, waiters.ptr, nonce.ptr};
    const size_t lengths[] = {4, strlen(text), 1, lease.len, waiters.len, nonce.len};
    redisReply *reply = NULL;
    fl_redis_sync_send(redis, 6, argv, lengths);
    fl_status status = fl_redis_sync_expect(redis, REDIS_REPLY_INTEGER, &reply, err);
    *deleted = status == FL_OK && reply->integer == 1;
    freeReplyObject(reply);
    return status;
}
