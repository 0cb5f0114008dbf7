/*
 * Redis in tests, over synchronous hiredis.
 *
 * Happy path: open, run commands, close; replies never leave this file.
 * Failure modes: a refused or lost connection, an error reply or a reply of an unexpected type fails the
 * running test.
 */
#include "rdb.h"
#include "files.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

enum { ANSWER_SECONDS = 10 };

redisContext *rdb_open(uint16_t port)
{
    const struct timeval limit = {.tv_sec = ANSWER_SECONDS};
    redisContext *redis = redisConnectWithTimeout("127.0.0.1", port, limit);
    if (redis == NULL)
        LIB_FAIL("out of memory for a Redis connection");
    if (redis->err != 0)
        LIB_FAIL("cannot connect to Redis on port %u: %s", (unsigned)port, redis->errstr);
    redisSetTimeout(redis, limit);
    return redis;
}

void rdb_close(redisContext *redis)
{
    if (redis != NULL)
        redisFree(redis);
}

static redisReply *run_or_fail(redisContext *redis, const char *format, va_list values)
{
    redisReply *reply = redisvCommand(redis, format, values);
    if (reply == NULL)
        LIB_FAIL("Redis connection lost: %s\nin: %s", redis->errstr, format);
    if (reply->type == REDIS_REPLY_ERROR)
        LIB_FAIL("Redis: %s\nin: %s", reply->str, format);
    return reply;
}

static char *copy_text(redisReply *reply, const char *format)
{
    char *text = NULL;
    switch (reply->type) {
    case REDIS_REPLY_NIL: return NULL;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS: text = strdup(reply->str); break;
    case REDIS_REPLY_INTEGER:
        if (asprintf(&text, "%lld", reply->integer) < 0)
            text = NULL;
        break;
    default: LIB_FAIL("a reply of type %d where one value was expected, in: %s", reply->type, format);
    }
    if (text == NULL)
        LIB_FAIL("out of memory for a reply");
    return text;
}

void rdb_exec(redisContext *redis, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    redisReply *reply = run_or_fail(redis, format, values);
    va_end(values);
    freeReplyObject(reply);
}

char *rdb_text(redisContext *redis, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    redisReply *reply = run_or_fail(redis, format, values);
    va_end(values);
    char *text = copy_text(reply, format);
    freeReplyObject(reply);
    return text;
}

int64_t rdb_int(redisContext *redis, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    redisReply *reply = run_or_fail(redis, format, values);
    va_end(values);
    char *text = copy_text(reply, format);
    freeReplyObject(reply);
    if (text == NULL)
        LIB_FAIL("nil where a number was expected, in: %s", format);
    char *end = text;
    errno = 0;
    int64_t number = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0') {
        LIB_FAIL("'%s' where a whole number was expected, in: %s", text, format);
    }
    free(text);
    return number;
}
