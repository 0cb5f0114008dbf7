/* redis_queue.c - see redis_queue.h.
 *
 * Happy path: each function sends one script; its callback reads the reply and posts the event. Failure
 * modes: no connection, a lost one, a refused command: the event says so, and the caller starts again with a
 * later heartbeat. A new connection is told the scripts first; one that has forgotten them (SCRIPT FLUSH) is
 * told again. On close: what is in flight is answered by the closing connection, and nobody is told any more.
 */
#include "io/redis_queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"

#define KEY(name) FL_SLICE("fenceline:{queue}:" name)
#define STREAMS   KEY("high"), KEY("normal"), KEY("low")

enum { NUMBER_BYTES = 24 };

static struct fl_slice number(int64_t value, char text[NUMBER_BYTES])
{
    snprintf(text, NUMBER_BYTES, "%" PRId64, value);
    return fl_slice_from(text);
}

/* ---- sending ---- */

static void tell_failure(struct fl_redis_queue *queue, const struct fl_err *err)
{
    if (queue->events.failed)
        queue->events.failed(queue->events.owner, err);
}

static void on_loaded(redisAsyncContext *context, void *pointer, void *owner)
{
    struct fl_redis_queue *queue = owner;
    const redisReply *reply = pointer;
    struct fl_err err;
    (void)context;
    fl_redis_answered(&queue->lease->commands, reply);
    if (!reply || reply->type != REDIS_REPLY_ERROR)
        return;
    (void)!fl_redis_reply_error(&queue->lease->commands, reply, &err);
    tell_failure(queue, &err);
}

/* Opens the connection and makes it know the scripts. */
static bool make_ready(struct fl_redis_queue *queue, struct fl_err *err)
{
    struct fl_redis *redis = &queue->lease->commands;
    if (fl_redis_open(redis, err) != FL_OK)
        return false;
    if (queue->loaded == redis->opened)
        return true;
    queue->loaded = redis->opened;
    for (int script = FL_SCRIPT_QUEUE_TAKE; script < FL_SCRIPT_COUNT; script++) {
        const char *argv[] = {"SCRIPT", "LOAD", fl_redis_script_text((enum fl_script)script)};
        fl_redis_send(redis, 3, argv, NULL, on_loaded, queue);
    }
    return true;
}

static bool send_script(struct fl_redis_queue *queue, enum fl_script script, int keys, int args,
                        const struct fl_slice *values, redisCallbackFn *callback)
{
    if (!make_ready(queue, NULL))
        return false;
    fl_redis_script_send(&queue->lease->commands, &queue->lease->scripts, script, false, keys, args, values,
                         callback, queue);
    return true;
}

/* First in every callback: the reply if it is a good one, else NULL and *status. */
static const redisReply *receive(struct fl_redis_queue *queue, void *pointer, fl_status *status)
{
    const redisReply *reply = pointer;
    struct fl_redis *redis = &queue->lease->commands;
    struct fl_err err;
    fl_redis_answered(redis, reply);
    *status = FL_OK;
    if (reply && reply->type != REDIS_REPLY_ERROR)
        return reply;
    *status = reply ? fl_redis_reply_error(redis, reply, &err) : fl_redis_lost(redis, &err);
    if (reply && fl_redis_script_unknown(reply))
        queue->loaded = 0; /* told again with the next command */
    else
        tell_failure(queue, &err);
    return NULL;
}

/* ---- reading ---- */

static int64_t integer_at(const redisReply *array, size_t i)
{
    return i < array->elements && array->element[i]->type == REDIS_REPLY_INTEGER ? array->element[i]->integer
                                                                                 : 0;
}

static struct fl_slice text_at(const redisReply *array, size_t i)
{
    if (i >= array->elements || array->element[i]->type != REDIS_REPLY_STRING)
        return (struct fl_slice){0};
    return (struct fl_slice){array->element[i]->str, array->element[i]->len};
}

static void read_depth(struct fl_redis_queue *queue, const redisReply *array)
{
    for (size_t i = 0; i < FL_PRIORITY_COUNT; i++)
        queue->depth.entries[i] = integer_at(array, 1 + i);
}

/* Stream, entry id, job: job 0 (which does not exist) where it is not a number, since anybody may write into
 * Redis. */
static struct fl_queue_entry read_entry(const redisReply *array, size_t at)
{
    struct fl_queue_entry entry = {.priority = (enum fl_priority)(integer_at(array, at) - 2)};
    struct fl_slice id = text_at(array, at + 1), job = text_at(array, at + 2);
    if (id.len < sizeof entry.id)
        snprintf(entry.id, sizeof entry.id, "%.*s", FL_ARGS(id));
    if (fl_slice_take_digits(&job, &entry.job_id) == 0 || job.len)
        entry.job_id = 0;
    return entry;
}

/* ---- take ---- */

static void on_taken(redisAsyncContext *context, void *pointer, void *owner)
{
    struct fl_redis_queue *queue = owner;
    struct fl_queue_entry entries[FL_TAKE_LIMIT];
    fl_status status;
    size_t count = 0;
    (void)context;
    const redisReply *reply = receive(queue, pointer, &status);
    queue->taking = false;
    bool made = reply && integer_at(reply, 0) == 1;
    if (reply && reply->type == REDIS_REPLY_ARRAY) {
        read_depth(queue, reply);
        for (size_t at = 4; at + 2 < reply->elements && count < FL_TAKE_LIMIT; at += 3)
            entries[count++] = read_entry(reply, at);
    }
    bool is_recovery = queue->recovering;
    queue->recovering = false;
    if (is_recovery && queue->events.recovered && status == FL_OK)
        queue->events.recovered(queue->events.owner, entries, count, made);
    else if (!is_recovery && queue->events.taken)
        queue->events.taken(queue->events.owner, status, entries, count, made);
}

/* Of 16 slots in turn, 11 are for high first, 4 for normal, 1 for low: low never starves. */
static void share(struct fl_redis_queue *queue, size_t want, int64_t shares[FL_PRIORITY_COUNT])
{
    memset(shares, 0, FL_PRIORITY_COUNT * sizeof *shares);
    for (size_t i = 0; i < want; i++, queue->turn++)
        shares[queue->turn % 16 == 15 ? 2 : queue->turn % 4 == 2 ? 1 : 0]++;
}

static bool send_take(struct fl_redis_queue *queue, const int64_t shares[FL_PRIORITY_COUNT], const char *from)
{
    char texts[FL_PRIORITY_COUNT][NUMBER_BYTES];
    FL_ASSERT(!queue->taking);
    const struct fl_slice values[] = {STREAMS,
                                      KEY("idle"),
                                      KEY("dispatcher"),
                                      fl_slice_from(queue->worker),
                                      fl_slice_from(queue->lease->channel),
                                      number(shares[0], texts[0]),
                                      number(shares[1], texts[1]),
                                      number(shares[2], texts[2]),
                                      fl_slice_from(from)};
    queue->taking = send_script(queue, FL_SCRIPT_QUEUE_TAKE, 5, 6, values, on_taken);
    return queue->taking;
}

bool fl_redis_queue_take(struct fl_redis_queue *queue, size_t want)
{
    int64_t shares[FL_PRIORITY_COUNT];
    FL_ASSERT(want > 0 && want <= FL_TAKE_LIMIT);
    share(queue, want, shares);
    return send_take(queue, shares, ">");
}

bool fl_redis_queue_recover(struct fl_redis_queue *queue)
{
    static const int64_t EACH[FL_PRIORITY_COUNT] = {FL_TAKE_LIMIT / FL_PRIORITY_COUNT,
                                                    FL_TAKE_LIMIT / FL_PRIORITY_COUNT,
                                                    FL_TAKE_LIMIT / FL_PRIORITY_COUNT};
    queue->recovering = send_take(queue, EACH, "0");
    return queue->recovering;
}

/* ---- finish ---- */

static void on_finished(redisAsyncContext *context, void *pointer, void *owner)
{
    struct fl_redis_queue *queue = owner;
    fl_status status;
    (void)context;
    bool done = receive(queue, pointer, &status) != NULL;
    queue->finish_blocked = !done;
    while (queue->finish_count > 0) {
        struct fl_link *link = fl_list_take_first(&queue->finishing);
        queue->finish_count--;
        if (!done)
            fl_list_append(&queue->to_finish, link);
        else if (queue->events.finished)
            queue->events.finished(queue->events.owner, FL_CONTAINER(link, struct fl_queue_entry, link));
    }
}

static void send_finished(struct fl_redis_queue *queue)
{
    struct fl_slice values[5 + 4 * FL_FINISH_BATCH] = {STREAMS, KEY("entries"), KEY("idle")};
    char streams[FL_FINISH_BATCH][NUMBER_BYTES], jobs[FL_FINISH_BATCH][NUMBER_BYTES];
    int count = 0;
    while (count < FL_FINISH_BATCH && !fl_list_is_empty(&queue->to_finish)) {
        struct fl_link *link = fl_list_take_first(&queue->to_finish);
        const struct fl_queue_entry *entry = FL_CONTAINER(link, struct fl_queue_entry, link);
        struct fl_slice *at = &values[5 + 4 * count];
        at[0] = number(entry->priority + 2, streams[count]);
        at[1] = fl_slice_from(entry->id);
        at[2] = number(entry->job_id, jobs[count]);
        at[3] = entry->give_back ? FL_SLICE("1") : FL_SLICE("0");
        fl_list_append(&queue->finishing, link);
        count++;
    }
    queue->finish_count = count;
    if (send_script(queue, FL_SCRIPT_QUEUE_FINISH, 5, 4 * count, values, on_finished))
        return;
    queue->finish_blocked = true;
    queue->finish_count = 0;
    for (struct fl_link *link; (link = fl_list_take_first(&queue->finishing));)
        fl_list_append(&queue->to_finish, link);
}

static void dispatch(uv_prepare_t *handle)
{
    struct fl_redis_queue *queue = handle->data;
    if (!queue->finish_blocked && queue->finish_count == 0 && !fl_list_is_empty(&queue->to_finish))
        send_finished(queue);
}

void fl_redis_queue_finish(struct fl_redis_queue *queue, struct fl_queue_entry *entry, bool give_back)
{
    entry->give_back = give_back;
    fl_list_append(&queue->to_finish, &entry->link);
}

/* ---- add ---- */

static void end_add_part(struct fl_redis_queue *queue, fl_status status)
{
    if (status != FL_OK)
        queue->add_status = status;
    if (--queue->add_parts > 0)
        return;
    queue->adding = false;
    if (queue->dispatch_events.added)
        queue->dispatch_events.added(queue->dispatch_events.owner, queue->add_status);
}

static void on_added(redisAsyncContext *context, void *pointer, void *owner)
{
    struct fl_redis_queue *queue = owner;
    fl_status status;
    (void)context;
    const redisReply *reply = receive(queue, pointer, &status);
    if (reply && reply->type == REDIS_REPLY_ARRAY)
        read_depth(queue, reply);
    end_add_part(queue, status);
}

static bool send_added(struct fl_redis_queue *queue, const struct fl_queue_id *jobs, size_t count)
{
    struct fl_slice values[5 + 2 * FL_ADD_BATCH] = {STREAMS, KEY("entries"), KEY("idle")};
    char streams[FL_ADD_BATCH][NUMBER_BYTES], ids[FL_ADD_BATCH][NUMBER_BYTES];
    for (size_t i = 0; i < count; i++) {
        values[5 + 2 * i] = number(jobs[i].priority + 2, streams[i]);
        values[6 + 2 * i] = number(jobs[i].job_id, ids[i]);
    }
    return send_script(queue, FL_SCRIPT_QUEUE_ADD, 5, (int)(2 * count), values, on_added);
}

bool fl_redis_queue_add(struct fl_redis_queue *queue, const struct fl_queue_id *jobs, size_t count)
{
    FL_ASSERT(!queue->adding);
    queue->add_status = FL_OK;
    queue->add_parts = 0;
    for (size_t at = 0; at < count; at += FL_ADD_BATCH) {
        size_t part = count - at < FL_ADD_BATCH ? count - at : FL_ADD_BATCH;
        if (send_added(queue, jobs + at, part))
            queue->add_parts++;
        else
            queue->add_status = FL_UNAVAILABLE;
    }
    queue->adding = queue->add_parts > 0;
    return queue->adding;
}

/* ---- check ---- */

static void on_checked(redisAsyncContext *context, void *pointer, void *owner)
{
    struct fl_redis_queue *queue = owner;
    fl_status status;
    size_t missing = 0;
    (void)context;
    const redisReply *reply = receive(queue, pointer, &status);
    queue->checking = false;
    for (size_t i = 0; reply && i < queue->check_count && i < reply->elements; i++)
        if (reply->element[i]->type == REDIS_REPLY_NIL)
            queue->check_ids[missing++] = queue->check_ids[i];
    if (queue->dispatch_events.checked)
        queue->dispatch_events.checked(queue->dispatch_events.owner, status, missing);
}

bool fl_redis_queue_check(struct fl_redis_queue *queue, struct fl_queue_id *ids, size_t count)
{
    enum { LIMIT = 512 };
    const char *argv[2 + LIMIT] = {"HMGET", "fenceline:{queue}:entries"};
    char texts[LIMIT][NUMBER_BYTES];
    FL_ASSERT(!queue->checking && count > 0 && count <= LIMIT);
    for (size_t i = 0; i < count; i++)
        argv[2 + i] = number(ids[i].job_id, texts[i]).ptr;
    queue->check_ids = ids;
    queue->check_count = count;
    queue->checking = make_ready(queue, NULL);
    if (queue->checking)
        fl_redis_send(&queue->lease->commands, (int)(2 + count), argv, NULL, on_checked, queue);
    return queue->checking;
}

/* ---- heartbeat, rescue ---- */

static void on_beaten(redisAsyncContext *context, void *pointer, void *owner)
{
    struct fl_redis_queue *queue = owner;
    fl_status status;
    (void)context;
    const redisReply *reply = receive(queue, pointer, &status);
    queue->beating = false;
    if (queue->events.beaten)
        queue->events.beaten(queue->events.owner, status, reply && reply->integer == 1);
}

bool fl_redis_queue_beat(struct fl_redis_queue *queue, struct fl_slice info, int64_t dead_ms,
                         bool would_dispatch, struct fl_err *err)
{
    char dead[NUMBER_BYTES];
    const struct fl_slice values[] = {KEY("workers"),
                                      KEY("info"),
                                      KEY("dispatcher"),
                                      KEY("idle"),
                                      fl_slice_from(queue->worker),
                                      info,
                                      fl_slice_from(queue->lease->channel),
                                      number(dead_ms, dead),
                                      would_dispatch ? FL_SLICE("1") : FL_SLICE("0")};
    FL_ASSERT(!queue->beating);
    queue->finish_blocked = false;
    queue->beating =
        make_ready(queue, err) && send_script(queue, FL_SCRIPT_QUEUE_BEAT, 4, 5, values, on_beaten);
    return queue->beating;
}

bool fl_redis_queue_leave(struct fl_redis_queue *queue)
{
    return fl_redis_queue_beat(queue, FL_SLICE(""), 1, false, NULL);
}

static void on_rescued(redisAsyncContext *context, void *pointer, void *owner)
{
    struct fl_redis_queue *queue = owner;
    struct fl_queue_entry entries[FL_RESCUE_LIMIT];
    struct fl_slice workers[FL_RESCUE_LIMIT];
    fl_status status;
    size_t count = 0;
    (void)context;
    const redisReply *reply = receive(queue, pointer, &status);
    queue->rescuing = false;
    for (size_t at = 0; reply && at + 3 < reply->elements && count < FL_RESCUE_LIMIT; at += 4) {
        entries[count] = read_entry(reply, at);
        workers[count++] = text_at(reply, at + 3);
    }
    if (queue->dispatch_events.rescued)
        queue->dispatch_events.rescued(queue->dispatch_events.owner, status, entries, workers, count);
}

bool fl_redis_queue_rescue(struct fl_redis_queue *queue, int64_t dead_ms)
{
    char dead[NUMBER_BYTES], limit[NUMBER_BYTES];
    FL_ASSERT(!queue->rescuing);
    const struct fl_slice values[] = {STREAMS, KEY("workers"), fl_slice_from(queue->worker),
                                      number(dead_ms, dead), number(FL_RESCUE_LIMIT, limit)};
    queue->rescuing = send_script(queue, FL_SCRIPT_QUEUE_RESCUE, 4, 3, values, on_rescued);
    return queue->rescuing;
}

/* ---- beginning and end ---- */

void fl_redis_queue_init(struct fl_redis_queue *queue, uv_loop_t *loop, struct fl_redis_lease *lease,
                         const char *worker, const struct fl_queue_events *events)
{
    *queue = (struct fl_redis_queue){.lease = lease, .events = *events};
    snprintf(queue->worker, sizeof queue->worker, "%s", worker);
    fl_list_init(&queue->to_finish);
    fl_list_init(&queue->finishing);
    uv_prepare_init(loop, &queue->dispatch);
    queue->dispatch.data = queue;
    uv_prepare_start(&queue->dispatch, dispatch);
    uv_unref((uv_handle_t *)&queue->dispatch);
}

void fl_redis_queue_close(struct fl_redis_queue *queue)
{
    queue->events = (struct fl_queue_events){0};
    queue->dispatch_events = (struct fl_dispatch_events){0};
    uv_close((uv_handle_t *)&queue->dispatch, NULL);
}
