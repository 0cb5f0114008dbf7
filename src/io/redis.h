/* redis.h - one asynchronous hiredis connection on an event loop, opened on demand.
 *
 * URL: redis://[user[:password]@]host[:port][/db], or unix://[user[:password]@]/path[?db=N]. TLS (rediss://)
 * needs hiredis 1.x and is refused with a message that says so. */
#ifndef FL_IO_REDIS_H
#define FL_IO_REDIS_H

#include <hiredis/async.h>
#include <uv.h>

#include "fenceline/err.h"
#include "fenceline/types.h"

enum { FL_REDIS_TEXT_BYTES = 512 };

struct fl_redis_address {
    char host[FL_REDIS_TEXT_BYTES]; /* or the path of a Unix socket */
    int port;                       /* 0 = Unix socket */
    char user[FL_REDIS_TEXT_BYTES], password[FL_REDIS_TEXT_BYTES];
    int db;
    char shown[FL_REDIS_TEXT_BYTES + 16]; /* "127.0.0.1:6379": for messages, without secrets */
};

/* FL_USAGE with the reason; the URL itself is never quoted, it may hold a password. */
FL_CHECKED fl_status fl_redis_parse_url(const char *url, struct fl_redis_address *address,
                                        struct fl_err *err);

/* Messages that every kind of connection shares. Each fills *err and returns its code. */
fl_status fl_redis_silent(const struct fl_redis_address *address, int64_t timeout_ms, struct fl_err *err);
fl_status fl_redis_unreachable(const struct fl_redis_address *address, const char *what, struct fl_err *err);
/* For an error reply, or one of an unexpected shape. */
fl_status fl_redis_refusal(const struct fl_redis_address *address, const redisReply *reply,
                           struct fl_err *err);

struct fl_redis {
    uv_loop_t *loop;
    const struct fl_redis_address *address;
    int64_t timeout_ms;
    redisAsyncContext *context; /* NULL = closed */
    bool connected;             /* the connection stands */
    bool login_failed;          /* AUTH or SELECT was refused: `why` says it */
    uint32_t opened;            /* how often: whoever set something up on it knows when to do so again */
    int waiting;                /* commands sent and not answered */
    int idle_ticks;
    uv_timer_t timer;
    struct fl_err why; /* why it was lost */
    void *owner;
    void (*down)(void *owner, struct fl_redis *redis); /* it broke or could not be opened; may be NULL */
};

/* A closed connection. address is borrowed. */
void fl_redis_init(struct fl_redis *redis, uv_loop_t *loop, const struct fl_redis_address *address,
                   int64_t timeout_ms);

/* Opens it, if it is closed. FL_UNAVAILABLE if that fails at once, and in callbacks of a connection that is
 * just being lost; otherwise commands may be sent right away. */
FL_CHECKED fl_status fl_redis_open(struct fl_redis *redis, struct fl_err *err);

/* Sends one command. callback gets the reply, borrowed, or NULL when the connection was lost: then
 * fl_redis_lost tells whether it may have taken effect. Never calls back before it returns. */
void fl_redis_send(struct fl_redis *redis, int argc, const char **argv, const size_t *lengths,
                   redisCallbackFn *callback, void *request);

/* Between cork and flush commands only gather; flush writes them all at once. It may find the connection
 * broken, and then calls back from within: only from the loop, never from a caller's start(). */
void fl_redis_cork(struct fl_redis *redis);
void fl_redis_flush(struct fl_redis *redis);

/* For a callback without a reply: FL_LOST, or FL_UNAVAILABLE if the connection never stood. Fills *err. */
fl_status fl_redis_lost(const struct fl_redis *redis, struct fl_err *err);

/* For an error reply on this connection: as fl_redis_refusal, or why the login was refused. */
fl_status fl_redis_reply_error(const struct fl_redis *redis, const redisReply *reply, struct fl_err *err);

/* Must be called first in every callback: keeps count of what is awaited. */
void fl_redis_answered(struct fl_redis *redis, const redisReply *reply);

/* Closes it now: callbacks of commands in flight get NULL, from within this call. */
void fl_redis_close(struct fl_redis *redis);
/* Closes for good; run the loop once more before the memory goes. */
void fl_redis_release(struct fl_redis *redis);

#endif
