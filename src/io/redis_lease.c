/* redis_lease.c - PROTOCOL 2, 4 and 8 on Redis; see redis_lease.h.
 *
 * Happy path: start() queues, `dispatch` sends all of a loop turn in one pipeline, each callback posts one
 * event. Failure modes: no connection: FL_UNAVAILABLE, and the next request tries to open it again; a
 * connection lost after the command was sent: FL_LOST; an unknown script: sent again in full. On close:
 * everything in flight is answered FL_LOST. */
#include "io/redis_lease.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "io/redis_script.h"

#define COUNTER_TTL_MS "604800000" /* a week; it may vanish at any time, the fence is its floor */
#define WAITER_TTL_MS  "60000"

enum { RESUBSCRIBE_MS = 500 };

struct fl_slice fl_redis_lease_key(struct fl_slice episode, const char *suffix, char out[FL_LEASE_KEY_BYTES])
{
    size_t at = (size_t)snprintf(out, FL_LEASE_KEY_BYTES, "fenceline:{");
    for (size_t i = 0; i < episode.len && at + 24 < FL_LEASE_KEY_BYTES; i++) {
        char c = episode.ptr[i];
        if (c == '%' || c == '{' || c == '}')
            at += (size_t)snprintf(out + at, FL_LEASE_KEY_BYTES - at, "%%%02X", (unsigned)c);
        else
            out[at++] = c;
    }
    at += (size_t)snprintf(out + at, FL_LEASE_KEY_BYTES - at, "}:%s", suffix);
    return (struct fl_slice){out, at};
}

bool fl_redis_lease_read_key(struct fl_slice key, char text[FL_LEASE_KEY_BYTES], struct fl_slice *episode)
{
    static const char HEAD[] = "fenceline:{", TAIL[] = "}:lease";
    const size_t head = sizeof HEAD - 1, tail = sizeof TAIL - 1;
    bool is_one = key.len > head + tail && key.len < FL_LEASE_KEY_BYTES && memcmp(key.ptr, HEAD, head) == 0 &&
                  memcmp(key.ptr + key.len - tail, TAIL, tail) == 0;
    size_t length = 0;
    for (size_t i = head; is_one && i < key.len - tail; i++) {
        char c = key.ptr[i];
        is_one = c != '{' && c != '}'; /* these are written as %7B and %7D: another's key, not ours */
        if (c == '%') {
            const char *digits = key.ptr + i + 1;
            c = memcmp(digits, "25", 2) == 0 ? '%' : memcmp(digits, "7B", 2) == 0 ? '{' : '}';
            is_one = c != '}' || memcmp(digits, "7D", 2) == 0;
            i += 2;
        }
        text[length++] = c;
    }
    *episode = (struct fl_slice){text, length};
    return is_one && length <= 255;
}

static enum fl_event_type answer_type(enum fl_action_type action)
{
    return action == FL_ACTION_LEASE         ? FL_EVENT_LEASED
           : action == FL_ACTION_LEASE_CHECK ? FL_EVENT_LEASE_SEEN
           : action == FL_ACTION_RENEW       ? FL_EVENT_RENEWED
                                             : FL_EVENT_RELEASED;
}

/* ---- replies ---- */

static bool is_nonce(struct fl_slice text)
{
    for (size_t i = 0; i < FL_NONCE_LEN; i++)
        if (!(text.ptr[i] >= '0' && text.ptr[i] <= '9') && !(text.ptr[i] >= 'a' && text.ptr[i] <= 'f'))
            return false;
    return true;
}

bool fl_redis_lease_read_value(struct fl_slice value, struct fl_slice *nonce, struct fl_token *token,
                               struct fl_slice *who)
{
    static const int64_t NUMBER_END = INT64_C(1) << 53; /* types.h: Lua counts in doubles */
    int64_t number;
    if (value.len < FL_NONCE_LEN + 2 || value.ptr[FL_NONCE_LEN] != ' ' || !is_nonce(value))
        return false;
    struct fl_slice rest = {value.ptr + FL_NONCE_LEN + 1, value.len - FL_NONCE_LEN - 1};
    if (rest.ptr[0] == '0' || fl_slice_take_digits(&rest, &number) == 0 || number >= NUMBER_END ||
        (rest.len && rest.ptr[0] != ' '))
        return false;
    *nonce = (struct fl_slice){value.ptr, FL_NONCE_LEN};
    *token = (struct fl_token){number};
    *who = fl_slice_trim(rest);
    return true;
}

static struct fl_slice reply_text(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_STRING)
        return (struct fl_slice){0};
    return (struct fl_slice){reply->str, (size_t)reply->len};
}

static bool read_leased(const redisReply *reply, struct fl_event *event)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2 ||
        reply->element[0]->type != REDIS_REPLY_INTEGER)
        return false;
    event->leased.granted = reply->element[0]->integer == 1;
    if (event->leased.granted) {
        struct fl_slice token = reply_text(reply->element[1]);
        return fl_slice_take_digits(&token, &event->leased.token.n) > 0 && token.len == 0;
    }
    if (reply->elements < 3 || reply->element[1]->type != REDIS_REPLY_INTEGER)
        return false;
    struct fl_slice nonce;
    struct fl_token token;
    if (!fl_redis_lease_read_value(reply_text(reply->element[2]), &nonce, &token, &event->leased.holder))
        event->leased.holder = FL_SLICE("somebody unknown (the lease's value is not fenceline's)");
    /* A key without expiry (-1) was not set by us; look again soon all the same. */
    event->leased.remaining_ms = reply->element[1]->integer > 0 ? reply->element[1]->integer : 0;
    return true;
}

static bool read_lease_seen(const redisReply *reply, const struct fl_import *im, struct fl_event *event)
{
    struct fl_slice nonce = {0}, who;
    event->lease_seen.mine = false;
    if (reply->type == REDIS_REPLY_NIL)
        return true;
    if (reply->type != REDIS_REPLY_STRING)
        return false;
    event->lease_seen.mine =
        fl_redis_lease_read_value(reply_text(reply), &nonce, &event->lease_seen.token, &who) &&
        fl_slice_is(nonce, im->lease.nonce.hex);
    return true;
}

static bool read_reply(const redisReply *reply, const struct fl_request *request, struct fl_event *event)
{
    switch (request->action) {
    case FL_ACTION_LEASE: return read_leased(reply, event);
    case FL_ACTION_LEASE_CHECK: return read_lease_seen(reply, request->import, event);
    case FL_ACTION_RENEW:
        event->renewed.held = reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
        break;
    default: break;
    }
    return reply->type == REDIS_REPLY_INTEGER;
}

static void send_command(struct fl_redis_lease *lease, struct fl_request *request, bool full_text);

static void on_reply(redisAsyncContext *context, void *reply_pointer, void *request_pointer)
{
    struct fl_request *request = request_pointer;
    struct fl_redis_lease *lease = request->adapter;
    const redisReply *reply = reply_pointer;
    struct fl_event event = {.type = answer_type(request->action), .op = request->op, .status = FL_OK};
    struct fl_err err;
    (void)context;
    fl_redis_answered(&lease->commands, reply);
    if (reply && fl_redis_script_unknown(reply) && lease->commands.context) {
        send_command(lease, request, true);
        return;
    }
    if (!reply)
        event.status = fl_redis_lost(&lease->commands, &err);
    else if (reply->type == REDIS_REPLY_ERROR || !read_reply(reply, request, &event))
        event.status = fl_redis_reply_error(&lease->commands, reply, &err);
    event.err = event.status == FL_OK ? NULL : &err;
    request->done(request, &event);
}

/* ---- requests ---- */

static void send_acquire(struct fl_redis_lease *lease, struct fl_request *request, bool full_text)
{
    const struct fl_import *im = request->import;
    char keys[3][FL_LEASE_KEY_BYTES], fence[24], ttl[24], who[320], waiter[FL_CHANNEL_BYTES + 24];
    snprintf(fence, sizeof fence, "%" PRId64, im->fence.n);
    snprintf(ttl, sizeof ttl, "%" PRId64, im->policy->lease_ttl_ms);
    snprintf(who, sizeof who, "%s (job %" PRId64 ")", lease->holder, im->job.job_id);
    snprintf(waiter, sizeof waiter, "%s %" PRId64, lease->channel, im->job.job_id);
    const struct fl_slice arguments[] = {
        fl_redis_lease_key(im->job.episode, "lease", keys[0]),
        fl_redis_lease_key(im->job.episode, "token", keys[1]),
        fl_redis_lease_key(im->job.episode, "waiters", keys[2]),
        fl_slice_from(im->lease.nonce.hex),
        fl_slice_from(fence),
        fl_slice_from(ttl),
        fl_slice_from(who),
        FL_SLICE(COUNTER_TTL_MS),
        fl_slice_from(waiter),
        FL_SLICE(WAITER_TTL_MS),
    };
    fl_redis_script_send(&lease->commands, &lease->scripts, FL_SCRIPT_ACQUIRE, full_text, 3, 7, arguments,
                         on_reply, request);
}

static void send_renew(struct fl_redis_lease *lease, struct fl_request *request, bool full_text)
{
    const struct fl_import *im = request->import;
    char key[FL_LEASE_KEY_BYTES], ttl[24];
    snprintf(ttl, sizeof ttl, "%" PRId64, im->policy->lease_ttl_ms);
    const struct fl_slice arguments[] = {fl_redis_lease_key(im->job.episode, "lease", key),
                                         fl_slice_from(im->lease.nonce.hex), fl_slice_from(ttl)};
    fl_redis_script_send(&lease->commands, &lease->scripts, FL_SCRIPT_RENEW, full_text, 1, 2, arguments,
                         on_reply, request);
}

static void send_release(struct fl_redis_lease *lease, struct fl_request *request, bool full_text)
{
    const struct fl_import *im = request->import;
    char keys[2][FL_LEASE_KEY_BYTES];
    const struct fl_slice arguments[] = {fl_redis_lease_key(im->job.episode, "lease", keys[0]),
                                         fl_redis_lease_key(im->job.episode, "waiters", keys[1]),
                                         fl_slice_from(im->lease.nonce.hex)};
    fl_redis_script_send(&lease->commands, &lease->scripts, FL_SCRIPT_RELEASE, full_text, 2, 1, arguments,
                         on_reply, request);
}

static void send_check(struct fl_redis_lease *lease, struct fl_request *request)
{
    char key[FL_LEASE_KEY_BYTES];
    struct fl_slice name = fl_redis_lease_key(request->import->job.episode, "lease", key);
    const char *argv[] = {"GET", name.ptr};
    const size_t lengths[] = {3, name.len};
    fl_redis_send(&lease->commands, 2, argv, lengths, on_reply, request);
}

static void send_command(struct fl_redis_lease *lease, struct fl_request *request, bool full_text)
{
    switch (request->action) {
    case FL_ACTION_LEASE: send_acquire(lease, request, full_text); return;
    case FL_ACTION_LEASE_CHECK: send_check(lease, request); return;
    case FL_ACTION_RENEW: send_renew(lease, request, full_text); return;
    case FL_ACTION_RELEASE: send_release(lease, request, full_text); return;
    default: FL_ASSERT(false && "an action for the lease");
    }
}

static void answer_queue(struct fl_redis_lease *lease, const struct fl_err *err)
{
    struct fl_link waiting;
    fl_list_init(&waiting);
    for (struct fl_link *link; (link = fl_list_take_first(&lease->queue));)
        fl_list_append(&waiting, link);
    for (struct fl_link *link; (link = fl_list_take_first(&waiting));) {
        struct fl_request *request = FL_CONTAINER(link, struct fl_request, link);
        struct fl_event event = {
            .type = answer_type(request->action), .op = request->op, .status = FL_UNAVAILABLE, .err = err};
        request->done(request, &event);
    }
}

/* ---- a sign of life ---- */

static void answer_ping(struct fl_redis_lease *lease, fl_status status, const struct fl_err *err)
{
    void (*alive)(void *, fl_status, const struct fl_err *) = lease->alive;
    lease->alive = NULL;
    alive(lease->alive_owner, status, err);
}

static void on_pong(redisAsyncContext *context, void *reply_pointer, void *owner)
{
    struct fl_redis_lease *lease = owner;
    const redisReply *reply = reply_pointer;
    struct fl_err err;
    fl_status status = FL_OK;
    (void)context;
    fl_redis_answered(&lease->commands, reply);
    if (!reply)
        status = fl_redis_lost(&lease->commands, &err) == FL_LOST ? FL_UNAVAILABLE : err.code;
    else if (reply->type == REDIS_REPLY_ERROR)
        status = fl_redis_reply_error(&lease->commands, reply, &err);
    answer_ping(lease, status, &err);
}

static void send_ping(struct fl_redis_lease *lease)
{
    const char *argv[] = {"PING"};
    lease->ping_is_sent = true;
    fl_redis_send(&lease->commands, 1, argv, NULL, on_pong, lease);
}

void fl_redis_lease_ping(struct fl_redis_lease *lease,
                         void (*alive)(void *, fl_status, const struct fl_err *), void *owner)
{
    FL_ASSERT(!lease->alive);
    lease->alive = alive;
    lease->alive_owner = owner;
    lease->ping_is_sent = false;
}

static void subscribe(struct fl_redis_lease *lease);

static void dispatch(uv_prepare_t *handle)
{
    struct fl_redis_lease *lease = handle->data;
    struct fl_err err;
    bool ping_waits = lease->alive && !lease->ping_is_sent;
    if (fl_list_is_empty(&lease->queue) && !ping_waits)
        return;
    if (fl_redis_open(&lease->commands, &err) != FL_OK) {
        answer_queue(lease, &err);
        if (ping_waits)
            answer_ping(lease, FL_UNAVAILABLE, &err);
        return;
    }
    if (ping_waits)
        send_ping(lease);
    if (!lease->wakes.context && !uv_is_active((uv_handle_t *)&lease->resubscribe))
        subscribe(lease);
    fl_redis_cork(&lease->commands);
    for (struct fl_link *link; (link = fl_list_take_first(&lease->queue));)
        send_command(lease, FL_CONTAINER(link, struct fl_request, link), false);
    fl_redis_flush(&lease->commands);
}

static void start(void *self, struct fl_request *request)
{
    struct fl_redis_lease *lease = self;
    request->adapter = lease;
    fl_list_append(&lease->queue, &request->link);
}

/* ---- wake-ups: one message per release that somebody waited for ---- */

static void on_message(redisAsyncContext *context, void *reply_pointer, void *owner)
{
    struct fl_redis_lease *lease = owner;
    const redisReply *reply = reply_pointer;
    (void)context;
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
        return;
    lease->wakes.waiting = 0;
    struct fl_slice job = reply_text(reply->element[2]);
    int64_t job_id;
    struct fl_slice message = job;
    if (fl_slice_take_digits(&job, &job_id) > 0 && job.len == 0)
        lease->port.woken(lease->port.owner, job_id);
    else if (lease->told)
        lease->told(lease->port.owner, message);
}

static void on_resubscribe(uv_timer_t *timer)
{
    subscribe(timer->data);
}

/* Without a subscription waiters still look by themselves; so a failure here is only tried again. */
static void on_wakes_down(void *owner, struct fl_redis *redis)
{
    struct fl_redis_lease *lease = owner;
    (void)redis;
    uv_timer_start(&lease->resubscribe, on_resubscribe, RESUBSCRIBE_MS, 0);
}

static void subscribe(struct fl_redis_lease *lease)
{
    const char *argv[] = {"SUBSCRIBE", lease->channel};
    if (fl_redis_open(&lease->wakes, NULL) != FL_OK) {
        on_wakes_down(lease, &lease->wakes);
        return;
    }
    fl_redis_send(&lease->wakes, 2, argv, NULL, on_message, lease);
}

void fl_redis_lease_subscribe(struct fl_redis_lease *lease)
{
    subscribe(lease);
}

void fl_redis_lease_init(struct fl_redis_lease *lease, uv_loop_t *loop,
                         const struct fl_redis_address *address, int64_t timeout_ms, const char *holder,
                         const char *name)
{
    *lease = (struct fl_redis_lease){.port = {.self = lease, .start = start}, .loop = loop, .holder = holder};
    fl_list_init(&lease->queue);
    fl_redis_scripts_init(&lease->scripts);
    snprintf(lease->channel, sizeof lease->channel, "fenceline:wake:%s", name);
    fl_redis_init(&lease->commands, loop, address, timeout_ms);
    fl_redis_init(&lease->wakes, loop, address, timeout_ms);
    lease->wakes.owner = lease;
    lease->wakes.down = on_wakes_down;
    uv_timer_init(loop, &lease->resubscribe);
    lease->resubscribe.data = lease;
    uv_unref((uv_handle_t *)&lease->resubscribe);
    uv_prepare_init(loop, &lease->dispatch);
    lease->dispatch.data = lease;
    uv_prepare_start(&lease->dispatch, dispatch);
    uv_unref((uv_handle_t *)&lease->dispatch);
}

void fl_redis_lease_close(struct fl_redis_lease *lease)
{
    struct fl_err err;
    fl_err_set(&err, FL_UNAVAILABLE, "the connection to Redis is being closed");
    fl_redis_release(&lease->commands);
    fl_redis_release(&lease->wakes);
    answer_queue(lease, &err);
    uv_close((uv_handle_t *)&lease->resubscribe, NULL);
    uv_close((uv_handle_t *)&lease->dispatch, NULL);
}
