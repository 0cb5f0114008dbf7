/* redis.c - see redis.h.
 *
 * Happy path: open sends AUTH and SELECT before anything else, commands go out together once a turn of the
 * loop. Failure modes: no reply to anything for timeout_ms while something is awaited closes the connection;
 * time is counted in timer ticks, so that a process that was stopped reads its replies before it complains.
 * On close: hiredis calls every callback in flight with NULL. */
#include "io/redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "io/sigpipe.h"

enum { TICK_MS = 250, DEFAULT_PORT = 6379 };

/* ---- the address ---- */

/* Copies with %XX decoded. False if it does not fit or would hold a NUL. */
static bool decode(struct fl_slice from, char to[FL_REDIS_TEXT_BYTES])
{
    size_t length = 0;
    for (size_t i = 0; i < from.len; i++) {
        char c = from.ptr[i];
        if (c == '%' && i + 2 < from.len && fl_slice_hex_digit(from.ptr[i + 1]) >= 0 &&
            fl_slice_hex_digit(from.ptr[i + 2]) >= 0) {
            c = (char)(fl_slice_hex_digit(from.ptr[i + 1]) * 16 + fl_slice_hex_digit(from.ptr[i + 2]));
            i += 2;
        }
        if (c == '\0' || length + 1 >= FL_REDIS_TEXT_BYTES)
            return false;
        to[length++] = c;
    }
    to[length] = '\0';
    return true;
}

static bool number(struct fl_slice text, int64_t max, int *value)
{
    int64_t n;
    if (fl_slice_take_digits(&text, &n) == 0 || text.len || n > max)
        return false;
    *value = (int)n;
    return true;
}

/* Splits off what stands before the first (or last) separator; false if there is none. */
static bool split(struct fl_slice *rest, char separator, bool last, struct fl_slice *before)
{
    const char *at = rest->len == 0 ? NULL
                     : last         ? memrchr(rest->ptr, separator, rest->len)
                                    : memchr(rest->ptr, separator, rest->len);
    if (!at)
        return false;
    *before = fl_slice_range(rest->ptr, at);
    *rest = fl_slice_range(at + 1, rest->ptr + rest->len);
    return true;
}

static fl_status bad_url(struct fl_err *err, const char *what)
{
    return fl_err_set(
        err, FL_USAGE,
        "redis.url: %s; expected redis://[user[:password]@]host[:port][/db] or unix:///path[?db=N]", what);
}

static bool parse_login(struct fl_slice login, struct fl_redis_address *address)
{
    struct fl_slice user;
    bool has_password = split(&login, ':', false, &user);
    if (!has_password)
        return decode(login, address->user);
    return decode(user, address->user) && decode(login, address->password);
}

static fl_status parse_unix(struct fl_slice rest, struct fl_redis_address *address, struct fl_err *err)
{
    struct fl_slice before;
    if (split(&rest, '@', true, &before) && !parse_login(before, address))
        return bad_url(err, "user or password is too long");
    struct fl_slice path = rest;
    if (split(&rest, '?', false, &before)) {
        path = before;
        if (!fl_slice_starts(rest, "db=") ||
            !number((struct fl_slice){rest.ptr + 3, rest.len - 3}, 65535, &address->db))
            return bad_url(err, "only ?db=N may follow the path of a socket");
    }
    if (!fl_slice_starts(path, "/") || !decode(path, address->host))
        return bad_url(err, "the path of the socket must be absolute and not too long");
    snprintf(address->shown, sizeof address->shown, "%s", address->host);
    return FL_OK;
}

static fl_status parse_tcp(struct fl_slice rest, struct fl_redis_address *address, struct fl_err *err)
{
    struct fl_slice part, host = rest;
    address->port = DEFAULT_PORT;
    if (split(&rest, '@', true, &part)) {
        if (!parse_login(part, address))
            return bad_url(err, "user or password is too long");
        host = rest;
    }
    if (split(&rest, '/', false, &part)) {
        host = part;
        if (rest.len && !number(rest, 65535, &address->db))
            return bad_url(err, "the database after '/' must be a number");
    }
    bool bracketed = fl_slice_starts(host, "[");
    struct fl_slice port = host;
    if (bracketed && split(&port, ']', false, &host)) {
        host = (struct fl_slice){host.ptr + 1, host.len - 1};
        port =
            fl_slice_starts(port, ":") ? (struct fl_slice){port.ptr + 1, port.len - 1} : (struct fl_slice){0};
    } else if (split(&port, ':', true, &part)) {
        host = part;
    } else {
        port = (struct fl_slice){0};
    }
    if (port.ptr && (!number(port, 65535, &address->port) || address->port == 0))
        return bad_url(err, "the port must be a number from 1 to 65535");
    if (host.len == 0)
        host = FL_SLICE("127.0.0.1");
    if (memchr(host.ptr, '?', host.len)) /* a password, as other programs take it: it must not be shown */
        return bad_url(err, "no '?' may follow the host");
    if (!decode(host, address->host))
        return bad_url(err, "the host is too long");
    snprintf(address->shown, sizeof address->shown, "%s:%d", address->host, address->port);
    return FL_OK;
}

fl_status fl_redis_parse_url(const char *url, struct fl_redis_address *address, struct fl_err *err)
{
    struct fl_slice rest = fl_slice_from(url);
    *address = (struct fl_redis_address){.port = 0};
    if (fl_slice_starts(rest, "redis://"))
        return parse_tcp((struct fl_slice){rest.ptr + 8, rest.len - 8}, address, err);
    if (fl_slice_starts(rest, "unix://"))
        return parse_unix((struct fl_slice){rest.ptr + 7, rest.len - 7}, address, err);
    if (fl_slice_starts(rest, "rediss://"))
        return fl_err_set(
            err, FL_USAGE,
            "redis.url: rediss:// needs TLS, which this build's hiredis lacks; use redis:// through a "
            "local TLS proxy");
    return bad_url(err, "unknown scheme");
}

/* ---- hiredis on libuv ----
 *
 * The adapter that hiredis 0.14 ships drops an event that comes with an error, so that a refused or reset
 * connection would only be found by its silence. */

struct watcher {
    redisAsyncContext *context; /* NULL = closing */
    uv_poll_t poll;
    int events;
    bool corked; /* commands gather: fl_redis_flush will write them */
};

/* Callbacks run in there, and context may be gone afterwards. */
static void write_now(redisAsyncContext *context)
{
    struct fl_sigpipe hold;
    fl_sigpipe_hold(&hold);
    redisAsyncHandleWrite(context);
    fl_sigpipe_release(&hold);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watcher *watcher = poll->data;
    /* libuv stops a handle that it reports an error for: let hiredis read and write, and find out which. */
    int ready = status < 0 ? watcher->events : events;
    if (status < 0)
        uv_poll_start(poll, watcher->events, on_poll);
    if (watcher->context && ready & UV_READABLE)
        redisAsyncHandleRead(watcher->context);
    if (watcher->context && ready & UV_WRITABLE)
        write_now(watcher->context);
}

static void change_events(struct watcher *watcher, int add, int remove)
{
    int events = (watcher->events | add) & ~remove;
    if (events == watcher->events) /* each change costs system calls */
        return;
    watcher->events = events;
    if (events)
        uv_poll_start(&watcher->poll, watcher->events, on_poll);
    else
        uv_poll_stop(&watcher->poll);
}

static void add_read(void *watcher)
{
    change_events(watcher, UV_READABLE, 0);
}

static void remove_read(void *watcher)
{
    change_events(watcher, 0, UV_READABLE);
}

static void add_write(void *pointer)
{
    struct watcher *watcher = pointer;
    if (!watcher->corked)
        change_events(watcher, UV_WRITABLE, 0);
}

static void remove_write(void *watcher)
{
    change_events(watcher, 0, UV_WRITABLE);
}

static void on_watcher_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void end_watch(void *pointer)
{
    struct watcher *watcher = pointer;
    watcher->context = NULL;
    uv_poll_stop(&watcher->poll);
    uv_close((uv_handle_t *)&watcher->poll, on_watcher_closed);
}

static bool begin_watch(redisAsyncContext *context, uv_loop_t *loop)
{
    struct watcher *watcher = calloc(1, sizeof *watcher);
    if (!watcher || uv_poll_init(loop, &watcher->poll, context->c.fd) != 0) {
        free(watcher);
        return false;
    }
    watcher->context = context;
    watcher->poll.data = watcher;
    context->ev.data = watcher;
    context->ev.addRead = add_read;
    context->ev.delRead = remove_read;
    context->ev.addWrite = add_write;
    context->ev.delWrite = remove_write;
    context->ev.cleanup = end_watch;
    return true;
}

/* ---- the connection ---- */

#define HOW_TO_REACH "start it, or point to another with --redis URL or FENCELINE_REDIS"

fl_status fl_redis_silent(const struct fl_redis_address *address, int64_t timeout_ms, struct fl_err *err)
{
    return fl_err_set(err, FL_UNAVAILABLE, "Redis at %s: no answer for %.1f s; " HOW_TO_REACH, address->shown,
                      (double)timeout_ms / 1000);
}

fl_status fl_redis_unreachable(const struct fl_redis_address *address, const char *what, struct fl_err *err)
{
    return fl_err_set(err, FL_UNAVAILABLE, "Redis at %s: %s; " HOW_TO_REACH, address->shown, what);
}

static void on_tick(uv_timer_t *timer)
{
    struct fl_redis *redis = timer->data;
    if (redis->waiting == 0 && redis->connected) {
        uv_timer_stop(timer);
        return;
    }
    if ((int64_t)++redis->idle_ticks * TICK_MS < redis->timeout_ms)
        return;
    fl_redis_silent(redis->address, redis->timeout_ms, &redis->why);
    fl_redis_close(redis);
    if (redis->down)
        redis->down(redis->owner, redis);
}

void fl_redis_init(struct fl_redis *redis, uv_loop_t *loop, const struct fl_redis_address *address,
                   int64_t timeout_ms)
{
    *redis = (struct fl_redis){.loop = loop, .address = address, .timeout_ms = timeout_ms};
    uv_timer_init(loop, &redis->timer);
    redis->timer.data = redis;
    uv_unref((uv_handle_t *)&redis->timer);
}

static void watch_for_silence(struct fl_redis *redis)
{
    if (uv_is_active((uv_handle_t *)&redis->timer))
        return;
    redis->idle_ticks = 0;
    uv_timer_start(&redis->timer, on_tick, TICK_MS, TICK_MS);
}

static void note_loss(struct fl_redis *redis, const char *what)
{
    fl_redis_unreachable(redis->address, what, &redis->why);
}

/* hiredis frees the context after a failed connect, and the callbacks of what was sent get NULL before that.
 */
static void on_connect(const redisAsyncContext *context, int status)
{
    struct fl_redis *redis = context->data;
    if (!redis)
        return;
    redis->connected = status == REDIS_OK;
    if (redis->connected)
        return;
    note_loss(redis, context->errstr[0] ? context->errstr : "could not connect");
    redis->context = NULL;
    uv_timer_stop(&redis->timer);
    if (redis->down)
        redis->down(redis->owner, redis);
}

static void on_disconnect(const redisAsyncContext *context, int status)
{
    struct fl_redis *redis = context->data;
    if (!redis)
        return;
    if (status != REDIS_OK)
        note_loss(redis, context->errstr[0] ? context->errstr : "the connection broke");
    redis->context = NULL;
    uv_timer_stop(&redis->timer);
    if (redis->down)
        redis->down(redis->owner, redis);
}

/* AUTH or SELECT was refused: nothing sent after it can be trusted to have worked. */
static void on_login(redisAsyncContext *context, void *reply, void *owner)
{
    struct fl_redis *redis = owner;
    redisReply *answer = reply;
    fl_redis_answered(redis, answer);
    if (answer && answer->type == REDIS_REPLY_ERROR) {
        fl_redis_reply_error(redis, answer, &redis->why);
        redis->login_failed = true;
        redisAsyncDisconnect(context);
    }
}

static void log_in(struct fl_redis *redis)
{
    const struct fl_redis_address *address = redis->address;
    const char *auth[3] = {"AUTH"};
    int argc = 1;
    if (address->user[0])
        auth[argc++] = address->user;
    auth[argc++] = address->password;
    if (address->password[0])
        fl_redis_send(redis, argc, auth, NULL, on_login, redis);
    char db[16];
    snprintf(db, sizeof db, "%d", address->db);
    const char *select[] = {"SELECT", db};
    if (address->db)
        fl_redis_send(redis, 2, select, NULL, on_login, redis);
}

/* hiredis answers what is in flight before it says that the connection is gone. What such an answer sends on
 * it would be dropped without a word, and its callback never called. */
static bool is_ending(const redisAsyncContext *context)
{
    return context->c.flags & (REDIS_DISCONNECTING | REDIS_FREEING);
}

fl_status fl_redis_open(struct fl_redis *redis, struct fl_err *err)
{
    if (redis->context && is_ending(redis->context)) {
        if (err)
            *err = redis->why;
        return FL_UNAVAILABLE;
    }
    if (redis->context)
        return FL_OK;
    const struct fl_redis_address *address = redis->address;
    redisAsyncContext *context = address->port ? redisAsyncConnect(address->host, address->port)
                                               : redisAsyncConnectUnix(address->host);
    redis->connected = redis->login_failed = false;
    redis->waiting = 0;
    if (!context || context->err || !begin_watch(context, redis->loop)) {
        note_loss(redis, context && context->err ? context->errstr : "no memory");
        if (context)
            redisAsyncFree(context);
        if (err)
            *err = redis->why;
        return FL_UNAVAILABLE;
    }
    context->data = redis;
    redis->context = context;
    redis->opened++;
    redisAsyncSetConnectCallback(context, on_connect);
    redisAsyncSetDisconnectCallback(context, on_disconnect);
    note_loss(redis, "the connection broke");
    watch_for_silence(redis);
    log_in(redis);
    return FL_OK;
}

void fl_redis_send(struct fl_redis *redis, int argc, const char **argv, const size_t *lengths,
                   redisCallbackFn *callback, void *request)
{
    redis->waiting++;
    watch_for_silence(redis);
    redisAsyncCommandArgv(redis->context, callback, request, argc, argv, lengths);
}

void fl_redis_cork(struct fl_redis *redis)
{
    if (redis->context && redis->connected)
        ((struct watcher *)redis->context->ev.data)->corked = true;
}

void fl_redis_flush(struct fl_redis *redis)
{
    struct watcher *watcher = redis->context ? redis->context->ev.data : NULL;
    if (!watcher || !watcher->corked)
        return;
    watcher->corked = false;
    write_now(redis->context);
}

void fl_redis_answered(struct fl_redis *redis, const redisReply *reply)
{
    redis->waiting--;
    if (reply)
        redis->idle_ticks = 0;
}

fl_status fl_redis_lost(const struct fl_redis *redis, struct fl_err *err)
{
    *err = redis->why;
    err->code = redis->connected ? FL_LOST : FL_UNAVAILABLE;
    return err->code;
}

#define RIGHTS_ADVICE                                                                                        \
    "this Redis user lacks a right: an administrator of Redis gives it the rules of config/redis.acl (ACL "  \
    "SETUSER)"

static const struct {
    const char *prefix;
    fl_status status;
    const char *advice;
} REPLY_ERRORS[] = {
    {"LOADING", FL_UNAVAILABLE, "it is still loading its data"},
    {"BUSY ", FL_UNAVAILABLE, "a script blocks it"},
    {"TRYAGAIN", FL_UNAVAILABLE, "the cluster is being resharded"},
    {"CLUSTERDOWN", FL_UNAVAILABLE, "the cluster is down"},
    {"MASTERDOWN", FL_UNAVAILABLE, "its primary is down"},
    {"NOREPLICAS", FL_UNAVAILABLE, "it has too few replicas"},
    {"OOM", FL_UNAVAILABLE, "it has no memory left: raise maxmemory"},
    {"MISCONF", FL_UNAVAILABLE, "it cannot write to its disk"},
    {"READONLY", FL_UNAVAILABLE, "it is a replica: point --redis to the primary"},
    {"NOAUTH", FL_UNAVAILABLE, "give user and password in FENCELINE_REDIS"},
    {"WRONGPASS", FL_UNAVAILABLE, "check user and password in FENCELINE_REDIS"},
    {"NOPERM", FL_USAGE, RIGHTS_ADVICE},
    {"The user executing the script can't", FL_USAGE, RIGHTS_ADVICE}, /* Redis 7, without NOPERM */
};

fl_status fl_redis_refusal(const struct fl_redis_address *address, const redisReply *reply,
                           struct fl_err *err)
{
    struct fl_slice text = {reply->str, reply->type == REDIS_REPLY_ERROR ? reply->len : 0};
    /* An error raised by a call inside a script comes wrapped by older versions. */
    for (size_t i = 0; i < sizeof REPLY_ERRORS / sizeof *REPLY_ERRORS; i++)
        if (text.len && memmem(text.ptr, text.len, REPLY_ERRORS[i].prefix, strlen(REPLY_ERRORS[i].prefix)))
            return fl_err_set(err, REPLY_ERRORS[i].status, "Redis at %s: %.*s; %s", address->shown,
                              FL_ARGS(text), REPLY_ERRORS[i].advice);
    if (text.len)
        return fl_err_set(err, FL_FAILED, "Redis at %s: %.*s", address->shown, FL_ARGS(text));
    return fl_err_set(err, FL_FAILED, "Redis at %s sent a reply of an unexpected shape", address->shown);
}

fl_status fl_redis_reply_error(const struct fl_redis *redis, const redisReply *reply, struct fl_err *err)
{
    if (!redis->login_failed)
        return fl_redis_refusal(redis->address, reply, err);
    *err = redis->why; /* that is why, whatever the commands after it were told */
    return err->code;
}

void fl_redis_close(struct fl_redis *redis)
{
    redisAsyncContext *context = redis->context;
    uv_timer_stop(&redis->timer);
    if (!context)
        return;
    redis->context = NULL;
    context->data = NULL;
    redisAsyncFree(context);
}

void fl_redis_release(struct fl_redis *redis)
{
    redis->down = NULL;
    fl_redis_close(redis);
    uv_close((uv_handle_t *)&redis->timer, NULL);
}
