/* redis_script.c - see redis_script.h. */
#include "io/redis_script.h"

#include <nettle/sha1.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

/* Generated from lua/ at build time. */
extern const char fl_lua_lease_acquire[], fl_lua_lease_renew[], fl_lua_lease_release[], fl_lua_lease_look[];
extern const char fl_lua_queue_take[], fl_lua_queue_add[], fl_lua_queue_finish[], fl_lua_queue_beat[],
    fl_lua_queue_rescue[];

const char *fl_redis_script_text(enum fl_script script)
{
    switch (script) {
    case FL_SCRIPT_ACQUIRE: return fl_lua_lease_acquire;
    case FL_SCRIPT_RENEW: return fl_lua_lease_renew;
    case FL_SCRIPT_RELEASE: return fl_lua_lease_release;
    case FL_SCRIPT_LEASE_LOOK: return fl_lua_lease_look;
    case FL_SCRIPT_QUEUE_TAKE: return fl_lua_queue_take;
    case FL_SCRIPT_QUEUE_ADD: return fl_lua_queue_add;
    case FL_SCRIPT_QUEUE_FINISH: return fl_lua_queue_finish;
    case FL_SCRIPT_QUEUE_BEAT: return fl_lua_queue_beat;
    case FL_SCRIPT_QUEUE_RESCUE: return fl_lua_queue_rescue;
    case FL_SCRIPT_COUNT: break;
    }
    FL_ASSERT(false && "a script");
}

static void take_sha1(const char *text, char hex[FL_SCRIPT_SHA1_BYTES])
{
    struct sha1_ctx sha1;
    uint8_t digest[SHA1_DIGEST_SIZE];
    sha1_init(&sha1);
    sha1_update(&sha1, strlen(text), (const uint8_t *)text);
    sha1_digest(&sha1, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

void fl_redis_scripts_init(struct fl_redis_scripts *scripts)
{
    for (int script = 0; script < FL_SCRIPT_COUNT; script++)
        take_sha1(fl_redis_script_text((enum fl_script)script), scripts->sha1[script]);
}

void fl_redis_script_send(struct fl_redis *redis, const struct fl_redis_scripts *scripts,
                          enum fl_script script, bool full_text, int key_count, int arg_count,
                          const struct fl_slice *keys_and_args, redisCallbackFn *callback, void *request)
{
    const char *argv[FL_SCRIPT_ARGS + 3];
    size_t lengths[FL_SCRIPT_ARGS + 3];
    char keys[16];
    FL_ASSERT(key_count + arg_count <= FL_SCRIPT_ARGS);
    argv[0] = full_text ? "EVAL" : "EVALSHA";
    argv[1] = full_text ? fl_redis_script_text(script) : scripts->sha1[script];
    snprintf(keys, sizeof keys, "%d", key_count);
    argv[2] = keys;
    for (int i = 0; i < 3; i++)
        lengths[i] = strlen(argv[i]);
    for (int i = 0; i < key_count + arg_count; i++) {
        argv[3 + i] = keys_and_args[i].ptr;
        lengths[3 + i] = keys_and_args[i].len;
    }
    fl_redis_send(redis, 3 + key_count + arg_count, argv, lengths, callback, request);
}

bool fl_redis_script_unknown(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOSCRIPT", 8) == 0;
}
