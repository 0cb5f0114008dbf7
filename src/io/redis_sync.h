/* redis_sync.h - a small blocking connection to Redis, for the commands that ask and print.
 *
 * Everything waits, but never longer than the timeout. Commands may be sent in a pipeline: their replies are
 * received in the order in which they were sent. */
#ifndef FL_IO_REDIS_SYNC_H
#define FL_IO_REDIS_SYNC_H

#include "io/redis.h"

struct fl_redis_sync;

/* Connects to the URL (redis.h) and logs in. FL_USAGE: the URL is wrong; FL_UNAVAILABLE: not reachable, or no
 * login. On FL_OK the caller closes *redis. */
FL_CHECKED fl_status fl_redis_sync_open(struct fl_redis_sync **redis, const char *url, int64_t timeout_ms,
                                        struct fl_err *err);
/* NULL is allowed. */
void fl_redis_sync_close(struct fl_redis_sync *redis);

/* "127.0.0.1:6379": for messages, without secrets. */
const char *fl_redis_sync_shown(const struct fl_redis_sync *redis);

/* Puts one command into the pipeline (lengths NULL: argv are C strings). */
void fl_redis_sync_send(struct fl_redis_sync *redis, int argc, const char *const *argv,
                        const size_t *lengths);

/* Receives the next reply; the caller's to free (freeReplyObject). FL_UNAVAILABLE: none came in time, or the
 * connection broke: nothing more can be received then. An error reply is a reply. */
FL_CHECKED fl_status fl_redis_sync_receive(struct fl_redis_sync *redis, redisReply **reply,
                                           struct fl_err *err);

/* As above, but an error reply, or one that is not of this type (REDIS_REPLY_...; 0 = any), is an error too:
 * FL_USAGE (no permission), FL_UNAVAILABLE, FL_FAILED. *reply is set on FL_OK only. */
FL_CHECKED fl_status fl_redis_sync_expect(struct fl_redis_sync *redis, int type, redisReply **reply,
                                          struct fl_err *err);

/* Sends one command and expects its reply; nothing may be in the pipeline. */
FL_CHECKED fl_status fl_redis_sync_ask(struct fl_redis_sync *redis, int argc, const char *const *argv,
                                       int type, redisReply **reply, struct fl_err *err);

#endif
