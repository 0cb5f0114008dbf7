/* redis_script.h - Lua scripts, embedded at build time from lua/, called by their SHA-1.
 *
 * The server knows a script after its first call; after SCRIPT FLUSH or a restart it answers NOSCRIPT and
 * gets the whole text once more. */
#ifndef FL_IO_REDIS_SCRIPT_H
#define FL_IO_REDIS_SCRIPT_H

#include "io/redis.h"

enum fl_script {
    FL_SCRIPT_ACQUIRE,
    FL_SCRIPT_RENEW,
    FL_SCRIPT_RELEASE,
    FL_SCRIPT_LEASE_LOOK,
    FL_SCRIPT_QUEUE_TAKE,
    FL_SCRIPT_QUEUE_ADD,
    FL_SCRIPT_QUEUE_FINISH,
    FL_SCRIPT_QUEUE_BEAT,
    FL_SCRIPT_QUEUE_RESCUE,
    FL_SCRIPT_COUNT
};

enum { FL_SCRIPT_ARGS = 270, FL_SCRIPT_SHA1_BYTES = 41 };

/* The names by which the server knows the scripts. */
struct fl_redis_scripts {
    char sha1[FL_SCRIPT_COUNT][FL_SCRIPT_SHA1_BYTES];
};

void fl_redis_scripts_init(struct fl_redis_scripts *scripts);

/* The text of a script. Static. */
const char *fl_redis_script_text(enum fl_script script);

/* Calls the script with its keys and arguments (together at most FL_SCRIPT_ARGS). full_text: EVAL instead of
 * EVALSHA. */
void fl_redis_script_send(struct fl_redis *redis, const struct fl_redis_scripts *scripts,
                          enum fl_script script, bool full_text, int key_count, int arg_count,
                          const struct fl_slice *keys_and_args, redisCallbackFn *callback, void *request);

/* Did the server not know the script? Then send it again with its full text. */
bool fl_redis_script_unknown(const redisReply *reply);

#endif
