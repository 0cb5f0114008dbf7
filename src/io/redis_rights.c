/* redis_rights.c - see redis_rights.h.
 *
 * Happy path: MULTI, then one harmless call of each command in the list, all in one pipeline. Redis looks at
 * the rights when it queues a command, so QUEUED means yes and NOPERM no; DISCARD drops them all. (ACL DRYRUN
 * would ask the same, but needs Redis 7 and the rights of an administrator.) Failure modes: no connection or
 * no login; a user who may not send MULTI: then nothing more is known; a rule without a call in the table
 * below. */
#include "io/redis_rights.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/slice.h"
#include "io/redis_sync.h"

enum { RULES = 96, ARGS = 8, LINE_BYTES = 2000 };

#define KEY     "fenceline:{doctor}:rights"
#define CHANNEL "fenceline:wake:doctor"

/* A call that the server accepts, if only its user may: K is a key, C a channel. */
static const struct {
    const char *command, *args;
} CALLS[] = {
    {"del", "K"},
    {"eval", "script 0"},
    {"evalsha", "sha1 0"},
    {"exists", "K"},
    {"get", "K"},
    {"getrange", "K 0 1"},
    {"hdel", "K field"},
    {"hexists", "K field"},
    {"hget", "K field"},
    {"hgetall", "K"},
    {"hmget", "K field"},
    {"hset", "K field value"},
    {"pexpire", "K 1"},
    {"info", ""},
    {"ping", ""},
    {"pttl", "K"},
    {"publish", "C message"},
    {"scan", "0"},
    {"script|load", "script"},
    {"select", "0"},
    {"set", "K value"},
    {"subscribe", "C"},
    {"time", ""},
    {"xack", "K group 0-1"},
    {"xadd", "K * field value"},
    {"xclaim", "K group consumer 0 0-1"},
    {"xdel", "K 0-1"},
    {"xgroup|create", "K group 0"},
    {"xgroup|delconsumer", "K group consumer"},
    {"xinfo|consumers", "K group"},
    {"xlen", "K"},
    {"xpending", "K group"},
    {"xrange", "K 0 0"},
    {"xreadgroup", "GROUP group consumer STREAMS K >"},
    {"zadd", "K 0 member"},
    {"zcount", "K 0 0"},
    {"zpopmin", "K"},
    {"zrange", "K 0 0"},
    {"zrangebyscore", "K 0 0"},
    {"zrem", "K member"},
    {"zremrangebyscore", "K 0 0"},
    {"zrevrange", "K 0 0"},
    {"zscore", "K member"},
};

/* ---- the list ---- */

bool fl_redis_acl_next(struct fl_lines *lines, struct fl_slice *rule)
{
    while (fl_lines_next(lines, rule)) {
        size_t length = 0;
        while (length < rule->len && !strchr("# \t", rule->ptr[length]))
            length++;
        rule->len = length;
        if (length)
            return true;
    }
    return false;
}

struct rule {
    struct fl_slice text;
    bool is_missing;
};

struct list {
    struct rule rules[RULES];
    size_t count;
};

static void read_list(struct list *list)
{
    struct fl_lines lines;
    struct fl_slice text;
    fl_lines_init(&lines, fl_slice_from(fl_redis_acl));
    list->count = 0;
    while (list->count < RULES && fl_redis_acl_next(&lines, &text))
        list->rules[list->count++] = (struct rule){.text = text};
}

/* Rules that begin so are rights; the others take away what a user may have had. */
static bool is_right(const struct rule *rule)
{
    return strchr("+~&", rule->text.ptr[0]) != NULL;
}

static bool is_command(const struct rule *rule)
{
    return rule->text.ptr[0] == '+';
}

/* MULTI and DISCARD frame the question, and are asked by it. */
static bool is_frame(const struct rule *rule)
{
    return fl_slice_is(rule->text, "+multi") || fl_slice_is(rule->text, "+discard");
}

static void mark_missing(struct list *list, const char *prefix)
{
    for (size_t i = 0; i < list->count; i++)
        if (fl_slice_starts(list->rules[i].text, prefix))
            list->rules[i].is_missing = true;
}

/* ---- asking ---- */

static fl_status send_call(struct fl_redis_sync *redis, const struct rule *rule, struct fl_err *err)
{
    const char *argv[ARGS];
    char words[128];
    struct fl_slice command = {rule->text.ptr + 1, rule->text.len - 1};
    size_t call = 0, calls = sizeof CALLS / sizeof *CALLS;
    int argc = 0;
    while (call < calls && !fl_slice_is(command, CALLS[call].command))
        call++;
    if (call == calls)
        return fl_err_set(err, FL_FAILED, "redis_rights.c has no call for the rule %.*s of config/redis.acl",
                          FL_ARGS(rule->text));
    snprintf(words, sizeof words, "%s %s", CALLS[call].command, CALLS[call].args);
    char *rest = NULL;
    for (char *word = strtok_r(words, "| ", &rest); word && argc < ARGS; word = strtok_r(NULL, " |", &rest))
        argv[argc++] = strcmp(word, "K") == 0 ? KEY : strcmp(word, "C") == 0 ? CHANNEL : word;
    fl_redis_sync_send(redis, argc, argv, NULL);
    return FL_OK;
}

/* What a refusal says is missing: the command, or one of the patterns. Rights are looked at first: any other
 * refusal (a replica, a full disk or memory) means that the right is there; but a command may have been
 * renamed away. */
static void read_answer(struct list *list, struct rule *rule, const redisReply *reply)
{
    bool is_refused = reply->type == REDIS_REPLY_ERROR;
    bool is_right_refused = is_refused && strncmp(reply->str, "NOPERM", 6) == 0;
    bool is_unknown = is_refused && strncmp(reply->str, "ERR unknown", 11) == 0;
    if (is_right_refused && strstr(reply->str, "keys"))
        mark_missing(list, "~");
    else if (is_right_refused && strstr(reply->str, "channels"))
        mark_missing(list, "&");
    else if (is_right_refused || is_unknown)
        rule->is_missing = true;
}

static fl_status receive_answer(struct fl_redis_sync *redis, struct list *list, struct rule *rule,
                                struct fl_err *err)
{
    redisReply *reply;
    fl_status status = fl_redis_sync_receive(redis, &reply, err);
    if (status != FL_OK)
        return status;
    read_answer(list, rule, reply);
    freeReplyObject(reply);
    return FL_OK;
}

static fl_status ask_all(struct fl_redis_sync *redis, struct list *list, struct fl_err *err)
{
    static const char *const DISCARD[] = {"DISCARD"};
    fl_status status = FL_OK;
    for (size_t i = 0; status == FL_OK && i < list->count; i++)
        if (is_command(&list->rules[i]) && !is_frame(&list->rules[i]))
            status = send_call(redis, &list->rules[i], err);
    fl_redis_sync_send(redis, 1, DISCARD, NULL);
    for (size_t i = 0; status == FL_OK && i < list->count; i++)
        if (is_command(&list->rules[i]) && !is_frame(&list->rules[i]))
            status = receive_answer(redis, list, &list->rules[i], err);
    for (size_t i = 0; status == FL_OK && i < list->count; i++)
        if (fl_slice_is(list->rules[i].text, "+discard"))
            status = receive_answer(redis, list, &list->rules[i], err);
    return status;
}

/* MULTI, and if that is allowed the rest. */
static fl_status ask(struct fl_redis_sync *redis, const struct fl_redis_address *address, struct list *list,
                     bool *is_known, struct fl_err *err)
{
    static const char *const MULTI[] = {"MULTI"};
    redisReply *reply;
    fl_redis_sync_send(redis, 1, MULTI, NULL);
    fl_status status = fl_redis_sync_receive(redis, &reply, err);
    if (status != FL_OK)
        return status;
    bool is_refused = reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOPERM", 6) == 0;
    if (is_refused)
        mark_missing(list, "+multi");
    else if (reply->type == REDIS_REPLY_ERROR)
        status = fl_redis_refusal(address, reply, err);
    else
        status = ask_all(redis, list, err);
    freeReplyObject(reply);
    *is_known = !is_refused;
    return status;
}

/* ---- what to do ---- */

static bool write_line(const struct list *list, struct fl_arena *arena, struct fl_redis_rights *rights)
{
    char line[LINE_BYTES];
    bool is_shared = fl_slice_is(rights->user, "default");
    size_t used = (size_t)snprintf(line, sizeof line, "ACL SETUSER %.*s",
                                   FL_ARGS(is_shared ? FL_SLICE("fenceline") : rights->user));
    for (size_t i = 0; i < list->count && used < sizeof line; i++)
        used += (size_t)snprintf(line + used, sizeof line - used, " %.*s", FL_ARGS(list->rules[i].text));
    if (used >= sizeof line)
        return false;
    rights->line = fl_arena_copy(arena, (struct fl_slice){line, used});
    return rights->line.ptr != NULL;
}

static fl_status write_rights(const struct list *list, struct fl_arena *arena, struct fl_redis_rights *rights,
                              struct fl_err *err)
{
    rights->missing = fl_arena_alloc(arena, list->count * sizeof *rights->missing);
    if (!rights->missing || !write_line(list, arena, rights))
        return fl_err_set(err, FL_NO_MEMORY, "no memory for the list of rights");
    for (size_t i = 0; i < list->count; i++) {
        rights->needed += is_right(&list->rules[i]);
        if (list->rules[i].is_missing)
            rights->missing[rights->missing_count++] = list->rules[i].text;
    }
    return FL_OK;
}

fl_status fl_redis_rights_check(const char *url, int64_t timeout_ms, struct fl_arena *arena,
                                struct fl_redis_rights *rights, struct fl_err *err)
{
    struct fl_redis_address address;
    struct fl_redis_sync *redis = NULL;
    struct list list;
    *rights = (struct fl_redis_rights){0};
    read_list(&list);
    fl_status status = fl_redis_parse_url(url, &address, err);
    if (status == FL_OK)
        status = fl_redis_sync_open(&redis, url, timeout_ms, err);
    if (status == FL_OK)
        status = ask(redis, &address, &list, &rights->is_known, err);
    fl_redis_sync_close(redis);
    if (status != FL_OK)
        return status;
    bool is_named = address.user[0] && address.password[0]; /* without a password nobody logs in */
    rights->user = is_named ? fl_arena_copy(arena, fl_slice_from(address.user)) : FL_SLICE("default");
    if (!rights->user.ptr)
        return fl_err_set(err, FL_NO_MEMORY, "no memory for the list of rights");
    return write_rights(&list, arena, rights, err);
}
