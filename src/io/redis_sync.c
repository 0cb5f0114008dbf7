/* redis_sync.c - see redis_sync.h. hiredis' own blocking calls, with a limit on each wait.
 *
 * Failure modes: no connection, no login, no answer in time, a refused command: each with its reason. After a
 * lost connection every further reply is FL_UNAVAILABLE at once. */
#include "io/redis_sync.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "io/sigpipe.h"

struct fl_redis_sync {
    struct fl_redis_address address;
    redisContext *context;
    int64_t timeout_ms;
};

static fl_status unreachable(const struct fl_redis_sync *redis, struct fl_err *err)
{
    const redisContext *context = redis->context;
    bool is_late = context && context->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK);
    if (is_late)
        return fl_redis_silent(&redis->address, redis->timeout_ms, err);
    return fl_redis_unreachable(&redis->address,
                                !context             ? "no memory"
                                : context->errstr[0] ? context->errstr
                                                     : "the connection broke",
                                err);
}

static fl_status log_in(struct fl_redis_sync *redis, struct fl_err *err)
{
    const struct fl_redis_address *address = &redis->address;
    fl_status status = FL_OK;
    redisReply *reply = NULL;
    if (address->password[0]) {
        const char *auth[] = {"AUTH", address->user[0] ? address->user : address->password,
                              address->password};
        status = fl_redis_sync_ask(redis, address->user[0] ? 3 : 2, auth, REDIS_REPLY_STATUS, &reply, err);
        if (status == FL_OK)
            freeReplyObject(reply);
    }
    if (status == FL_OK && address->db) {
        char db[16];
        snprintf(db, sizeof db, "%d", address->db);
        const char *select[] = {"SELECT", db};
        status = fl_redis_sync_ask(redis, 2, select, REDIS_REPLY_STATUS, &reply, err);
        if (status == FL_OK)
            freeReplyObject(reply);
    }
    return status;
}

static fl_status connect_to(struct fl_redis_sync *redis, struct fl_err *err)
{
    const struct fl_redis_address *address = &redis->address;
    const struct timeval timeout = {redis->timeout_ms / 1000, redis->timeout_ms % 1000 * 1000};
    redis->context = address->port ? redisConnectWithTimeout(address->host, address->port, timeout)
                                   : redisConnectUnixWithTimeout(address->host, timeout);
    bool is_open = redis->context && !redis->context->err;
    if (is_open && redisSetTimeout(redis->context, timeout) == REDIS_OK)
        return FL_OK;
    return unreachable(redis, err);
}

fl_status fl_redis_sync_open(struct fl_redis_sync **redis, const char *url, int64_t timeout_ms,
                             struct fl_err *err)
{
    struct fl_redis_sync *opened = calloc(1, sizeof *opened);
    *redis = NULL;
    if (!opened)
        return fl_err_set(err, FL_NO_MEMORY, "no memory for a connection to Redis");
    opened->timeout_ms = timeout_ms;
    fl_status status = fl_redis_parse_url(url, &opened->address, err);
    if (status == FL_OK)
        status = connect_to(opened, err);
    if (status == FL_OK)
        status = log_in(opened, err);
    if (status == FL_OK)
        *redis = opened;
    else
        fl_redis_sync_close(opened);
    return status;
}

const char *fl_redis_sync_shown(const struct fl_redis_sync *redis)
{
    return redis->address.shown;
}

void fl_redis_sync_close(struct fl_redis_sync *redis)
{
    if (redis && redis->context)
        redisFree(redis->context);
    free(redis);
}

void fl_redis_sync_send(struct fl_redis_sync *redis, int argc, const char *const *argv, const size_t *lengths)
{
    /* hiredis takes a list it does not change. Without memory the context has an error, which receive tells.
     */
    redisAppendCommandArgv(redis->context, argc, (const char **)argv, lengths);
}

fl_status fl_redis_sync_receive(struct fl_redis_sync *redis, redisReply **reply, struct fl_err *err)
{
    void *received = NULL;
    struct fl_sigpipe hold;
    *reply = NULL;
    fl_sigpipe_hold(&hold);
    bool is_good =
        !redis->context->err && redisGetReply(redis->context, &received) == REDIS_OK && received != NULL;
    fl_sigpipe_release(&hold);
    if (!is_good)
        return unreachable(redis, err);
    *reply = received;
    return FL_OK;
}

fl_status fl_redis_sync_expect(struct fl_redis_sync *redis, int type, redisReply **reply, struct fl_err *err)
{
    redisReply *received = NULL;
    *reply = NULL;
    fl_status status = fl_redis_sync_receive(redis, &received, err);
    if (status != FL_OK)
        return status;
    bool is_good = received->type != REDIS_REPLY_ERROR && (type == 0 || received->type == type);
    if (is_good)
        *reply = received;
    else
        status = fl_redis_refusal(&redis->address, received, err);
    if (!is_good)
        freeReplyObject(received);
    return status;
}

fl_status fl_redis_sync_ask(struct fl_redis_sync *redis, int argc, const char *const *argv, int type,
                            redisReply **reply, struct fl_err *err)
{
    fl_redis_sync_send(redis, argc, argv, NULL);
    return fl_redis_sync_expect(redis, type, reply, err);
}
