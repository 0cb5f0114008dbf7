/* redis_doctor.c - see redis_doctor.h.
 *
 * Happy path: INFO once, CONFIG GET save, some PINGs, TIME, the registry, and what the streams say of their
 * consumers. Failure modes: a command that is refused (an ACL, a managed Redis, a sentinel), or a connection
 * that breaks, leaves its reason in the part's trouble, and the next part is looked at all the same. */
#include "io/redis_doctor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/slice.h"
#include "io/redis_registry.h"

enum { CHUNK = 512, REPLICAS_MAX = 1000 };

struct look {
    struct fl_redis_sync *redis;
    const struct fl_redis_question *question;
    struct fl_arena *arena;
    struct fl_redis_facts *facts;
    struct fl_registered_worker *workers;
    size_t worker_count;
};

static struct fl_slice trouble(const struct look *look, const struct fl_err *err)
{
    struct fl_slice text = fl_arena_copy(look->arena, fl_slice_from(err->text));
    return text.ptr ? text : FL_SLICE("out of memory");
}

static int64_t now_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t number_of(struct fl_slice text)
{
    int64_t value = 0;
    return fl_slice_take_digits(&text, &value) ? value : 0;
}

/* ---- INFO ---- */

/* The value of "name:value" among the lines of INFO; absent if there is none. */
static struct fl_slice field(struct fl_slice info, const char *name)
{
    struct fl_lines lines;
    struct fl_slice line;
    size_t length = strlen(name);
    fl_lines_init(&lines, info);
    while (fl_lines_next(&lines, &line))
        if (line.len > length && line.ptr[length] == ':' && fl_slice_starts(line, name))
            return fl_slice_range(line.ptr + length + 1, line.ptr + line.len);
    return (struct fl_slice){0};
}

/* One part of "ip=..,port=..,state=online,offset=..,lag=0". */
static struct fl_slice part(struct fl_slice list, const char *name)
{
    size_t length = strlen(name);
    while (list.len) {
        const char *comma = memchr(list.ptr, ',', list.len);
        struct fl_slice item = comma ? fl_slice_range(list.ptr, comma) : list;
        if (item.len > length && item.ptr[length] == '=' && fl_slice_starts(item, name))
            return fl_slice_range(item.ptr + length + 1, item.ptr + item.len);
        list = comma ? fl_slice_range(comma + 1, list.ptr + list.len) : (struct fl_slice){"", 0};
    }
    return (struct fl_slice){0};
}

static void read_replicas(struct fl_slice info, struct fl_redis_facts *facts)
{
    facts->replicas = number_of(field(info, "connected_slaves"));
    for (int64_t i = 0; i < facts->replicas && i < REPLICAS_MAX; i++) {
        char name[32];
        snprintf(name, sizeof name, "slave%" PRId64, i);
        struct fl_slice replica = field(info, name);
        int64_t lag_s = number_of(part(replica, "lag"));
        if (!fl_slice_is(part(replica, "state"), "online"))
            facts->replicas_not_online++;
        else if (lag_s > facts->replica_lag_s)
            facts->replica_lag_s = lag_s;
    }
}

static void read_info(struct fl_slice info, struct fl_redis_facts *facts)
{
    facts->version = field(info, "redis_version");
    facts->mode = field(info, "redis_mode");
    facts->role = field(info, "role");
    facts->master_host = field(info, "master_host");
    facts->master_port = field(info, "master_port");
    facts->eviction_policy = field(info, "maxmemory_policy");
    /* What Redis does not count against the limit: the buffers of replicas. */
    facts->used_bytes =
        number_of(field(info, "used_memory")) - number_of(field(info, "mem_not_counted_for_evict"));
    facts->max_bytes = number_of(field(info, "maxmemory"));
    facts->system_bytes = number_of(field(info, "total_system_memory"));
    facts->aof_on = fl_slice_is(field(info, "aof_enabled"), "1");
    facts->save_failed = fl_slice_is(field(info, "rdb_last_bgsave_status"), "err");
    facts->aof_write_failed = fl_slice_is(field(info, "aof_last_write_status"), "err");
    struct fl_slice rest = facts->version;
    int64_t major = 0, minor = 0;
    fl_slice_take_digits(&rest, &major);
    if (fl_slice_take_char(&rest, '.'))
        fl_slice_take_digits(&rest, &minor);
    facts->version_major = major > 1000 ? 1000 : (int)major;
    facts->version_minor = minor > 1000 ? 1000 : (int)minor;
    read_replicas(info, facts);
}

static fl_status look_at_info(struct look *look, struct fl_err *err)
{
    static const char *const INFO[] = {"INFO"};
    redisReply *reply;
    fl_status status = fl_redis_sync_ask(look->redis, 1, INFO, REDIS_REPLY_STRING, &reply, err);
    if (status != FL_OK)
        return status;
    struct fl_slice info = fl_arena_copy(look->arena, (struct fl_slice){reply->str, reply->len});
    freeReplyObject(reply);
    if (!info.ptr)
        return fl_err_set(err, FL_NO_MEMORY, "out of memory");
    read_info(info, look->facts);
    return FL_OK;
}

static fl_status look_at_save(struct look *look, struct fl_err *err)
{
    static const char *const CONFIG[] = {"CONFIG", "GET", "save"};
    redisReply *reply;
    fl_status status = fl_redis_sync_ask(look->redis, 3, CONFIG, REDIS_REPLY_ARRAY, &reply, err);
    if (status != FL_OK)
        return status;
    bool is_told = reply->elements == 2 && reply->element[1]->type == REDIS_REPLY_STRING;
    if (is_told)
        look->facts->save =
            fl_arena_copy(look->arena, (struct fl_slice){reply->element[1]->str, reply->element[1]->len});
    freeReplyObject(reply);
    return is_told ? FL_OK : fl_err_set(err, FL_FAILED, "this Redis does not tell its setting 'save'");
}

/* ---- latency and clock ---- */

static int by_value(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static fl_status look_at_latency(struct look *look, struct fl_err *err)
{
    static const char *const PING[] = {"PING"};
    int64_t took_us[FL_PING_COUNT];
    for (size_t i = 0; i < FL_PING_COUNT; i++) {
        redisReply *reply;
        int64_t sent_us = now_us(CLOCK_MONOTONIC);
        fl_redis_sync_send(look->redis, 1, PING, NULL);
        /* An error is an answer, too: a Redis that cannot save refuses PING. */
        fl_status status = fl_redis_sync_receive(look->redis, &reply, err);
        if (status != FL_OK)
            return status;
        freeReplyObject(reply);
        took_us[i] = now_us(CLOCK_MONOTONIC) - sent_us;
    }
    qsort(took_us, FL_PING_COUNT, sizeof *took_us, by_value);
    look->facts->ping_median_us = took_us[FL_PING_COUNT / 2];
    look->facts->ping_worst_us = took_us[FL_PING_COUNT - 1];
    return FL_OK;
}

static int64_t integer_in(const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_INTEGER)
        return reply->integer;
    return reply->type == REDIS_REPLY_STRING ? strtoll(reply->str, NULL, 10) : 0;
}

static fl_status look_at_clock(struct look *look, struct fl_err *err)
{
    static const char *const TIME[] = {"TIME"};
    redisReply *reply;
    int64_t before_us = now_us(CLOCK_REALTIME);
    fl_status status = fl_redis_sync_ask(look->redis, 1, TIME, REDIS_REPLY_ARRAY, &reply, err);
    if (status != FL_OK)
        return status;
    int64_t after_us = now_us(CLOCK_REALTIME);
    bool is_time = reply->elements == 2;
    if (is_time) {
        int64_t its_us = integer_in(reply->element[0]) * 1000000 + integer_in(reply->element[1]);
        look->facts->clock_ahead_ms = (its_us - (before_us + (after_us - before_us) / 2)) / 1000;
    }
    freeReplyObject(reply);
    return is_time ? FL_OK : fl_err_set(err, FL_FAILED, "this Redis does not tell its time");
}

/* ---- the queue ---- */

static bool is_alive(const struct look *look, struct fl_slice worker)
{
    for (size_t i = 0; i < look->worker_count; i++)
        if (fl_slice_eq(look->workers[i].id, worker))
            return look->workers[i].age_ms <= look->question->dead_ms;
    return false;
}

static fl_status look_at_workers(struct look *look, struct fl_err *err)
{
    fl_status status =
        fl_redis_registry_read(look->redis, look->arena, &look->workers, &look->worker_count, err);
    if (status != FL_OK)
        return status;
    for (size_t i = 0; i < look->worker_count; i++) {
        bool alive = look->workers[i].age_ms <= look->question->dead_ms;
        if (!fl_redis_registry_is_worker(
                look->workers[i].id)) /* it takes no jobs, and goes when it is done */
            continue;
        look->facts->workers_alive += alive;
        look->facts->workers_dead += !alive;
    }
    return FL_OK;
}

/* A member of one consumer of XINFO CONSUMERS, which is a flat list of names and values; NULL = none. */
static const redisReply *member(const redisReply *consumer, const char *name)
{
    for (size_t i = 0; i + 1 < consumer->elements; i += 2)
        if (consumer->element[i]->type == REDIS_REPLY_STRING && strcmp(consumer->element[i]->str, name) == 0)
            return consumer->element[i + 1];
    return NULL;
}

static void count_dead(struct look *look, const redisReply *consumers)
{
    for (size_t i = 0; i < consumers->elements; i++) {
        const redisReply *name = member(consumers->element[i], "name");
        const redisReply *pending = member(consumers->element[i], "pending");
        if (!name || name->type != REDIS_REPLY_STRING || !pending || integer_in(pending) == 0)
            continue;
        struct fl_slice worker = {name->str, name->len};
        if (is_alive(look, worker))
            continue;
        look->facts->dead_entries += integer_in(pending);
        look->facts->dead_worker = fl_arena_copy(look->arena, worker);
    }
}

/* A stream or a group that is not there yet has no consumers. */
static bool means_none(const redisReply *reply)
{
    return strncmp(reply->str, "ERR no such key", 15) == 0 || strncmp(reply->str, "NOGROUP", 7) == 0;
}

static fl_status look_at_consumers(struct look *look, const char *stream, struct fl_err *err)
{
    const char *const consumers[] = {"XINFO", "CONSUMERS", stream, "workers"};
    redisReply *reply;
    fl_redis_sync_send(look->redis, 4, consumers, NULL);
    fl_status status = fl_redis_sync_receive(look->redis, &reply, err);
    if (status != FL_OK)
        return status;
    if (reply->type == REDIS_REPLY_ARRAY)
        count_dead(look, reply);
    else if (reply->type != REDIS_REPLY_ERROR)
        status = fl_err_set(err, FL_FAILED, "XINFO CONSUMERS gave an unexpected answer");
    else if (!means_none(reply))
        status = fl_err_set(err, FL_USAGE, "Redis refused XINFO CONSUMERS: %s", reply->str);
    freeReplyObject(reply);
    return status;
}

/* Asks for the entries of some jobs, and notes those that have none. */
static fl_status check_chunk(struct look *look, const int64_t *jobs, size_t count, struct fl_err *err)
{
    const char *argv[2 + CHUNK] = {"HMGET", "fenceline:{queue}:entries"};
    char numbers[CHUNK][24];
    redisReply *reply;
    for (size_t i = 0; i < count; i++) {
        snprintf(numbers[i], sizeof numbers[i], "%" PRId64, jobs[i]);
        argv[2 + i] = numbers[i];
    }
    fl_status status = fl_redis_sync_ask(look->redis, (int)(2 + count), argv, REDIS_REPLY_ARRAY, &reply, err);
    if (status != FL_OK)
        return status;
    for (size_t i = 0; i < count && i < reply->elements; i++)
        if (reply->element[i]->type == REDIS_REPLY_NIL)
            look->facts->missing[look->facts->missing_count++] = jobs[i];
    freeReplyObject(reply);
    return FL_OK;
}

static fl_status look_at_entries(struct look *look, struct fl_err *err)
{
    static const char *const STREAMS[] = {"fenceline:{queue}:high", "fenceline:{queue}:normal",
                                          "fenceline:{queue}:low"};
    const struct fl_redis_question *question = look->question;
    fl_status status = FL_OK;
    look->facts->missing = fl_arena_alloc(look->arena, question->job_count * sizeof *look->facts->missing);
    if (!look->facts->missing)
        return fl_err_set(err, FL_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < sizeof STREAMS / sizeof *STREAMS && status == FL_OK; i++)
        status = look_at_consumers(look, STREAMS[i], err);
    for (size_t from = 0; from < question->job_count && status == FL_OK; from += CHUNK) {
        size_t left = question->job_count - from;
        status = check_chunk(look, question->jobs + from, left < CHUNK ? left : CHUNK, err);
    }
    return status;
}

void fl_redis_doctor_look(struct fl_redis_sync *redis, const struct fl_redis_question *question,
                          struct fl_arena *arena, struct fl_redis_facts *facts)
{
    *facts =
        (struct fl_redis_facts){.shown = fl_arena_copy(arena, fl_slice_from(fl_redis_sync_shown(redis)))};
    struct look look = {.redis = redis, .question = question, .arena = arena, .facts = facts};
    const struct {
        fl_status (*look_at)(struct look *look, struct fl_err *err);
        struct fl_slice *trouble;
    } parts[] = {
        {look_at_info, &facts->info_trouble},       {look_at_save, &facts->save_trouble},
        {look_at_latency, &facts->latency_trouble}, {look_at_clock, &facts->clock_trouble},
        {look_at_workers, &facts->workers_trouble}, {look_at_entries, &facts->entries_trouble},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct fl_err err = {0};
        if (parts[i].look_at(&look, &err) != FL_OK)
            *parts[i].trouble = trouble(&look, &err);
    }
    /* Who is dead is not known without the registry. */
    if (facts->workers_trouble.ptr && !facts->entries_trouble.ptr)
        facts->entries_trouble = facts->workers_trouble;
}
