/* doctor_redis.c - what the facts about Redis mean. Pure.
 *
 * Redis decides nothing that Postgres does not check (docs/PROTOCOL.md): what is wrong here makes imports
 * slow, wait or fail, and never makes them wrong. The advice says so where it calms. */
#include <inttypes.h>

#include "app/doctor_checks.h"
#include "base/slice.h"

enum {
    LAG_WARNING_S = 5,
    USED_WARNING_PERCENT = 80,
    USED_DANGER_PERCENT = 95,
    LATENCY_WARNING_US = 20000,
    LATENCY_DANGER_US = 500000
};

static void judge_version(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    const struct fl_redis_facts *redis = &facts->redis;
    bool is_old = redis->version_major < 6 || (redis->version_major == 6 && redis->version_minor < 2);
    if (fl_check_unseen(result, redis->info_trouble))
        return;
    fl_check_found(result, is_old ? FL_DOCTOR_DANGER : FL_DOCTOR_OK, "%.*s", FL_ARGS(redis->version));
    if (is_old)
        fl_check_advise(result, "upgrade to Redis 6.2 or newer: the scripts need it");
}

static void judge_mode(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    const struct fl_redis_facts *redis = &facts->redis;
    if (fl_check_unseen(result, redis->info_trouble))
        return;
    bool is_sentinel = fl_slice_is(redis->mode, "sentinel"), is_cluster = fl_slice_is(redis->mode, "cluster");
    fl_check_found(result, is_sentinel || is_cluster ? FL_DOCTOR_DANGER : FL_DOCTOR_OK, "%.*s",
                   FL_ARGS(redis->mode));
    if (is_sentinel)
        fl_check_advise(result, "this is a sentinel, which holds no data: point redis.url to the primary "
                                "that it watches, or to an address that follows it");
    else if (is_cluster)
        fl_check_advise(result, "fenceline does not follow a cluster's redirections: point redis.url to a "
                                "Redis without cluster mode");
}

static void judge_role(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    const struct fl_redis_facts *redis = &facts->redis;
    if (fl_check_unseen(result, redis->info_trouble) || !redis->role.ptr)
        return;
    if (fl_slice_is(redis->role, "master")) {
        fl_check_found(result, FL_DOCTOR_OK, "primary");
        return;
    }
    fl_check_found(result, FL_DOCTOR_DANGER, "replica of %.*s:%.*s", FL_ARGS(redis->master_host),
                   FL_ARGS(redis->master_port));
    fl_check_advise(result, "it refuses every lease: point redis.url to the primary");
}

static void judge_replicas(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    const struct fl_redis_facts *redis = &facts->redis;
    if (fl_check_unseen(result, redis->info_trouble) || !redis->role.ptr)
        return;
    if (redis->replicas == 0) {
        fl_check_found(result, FL_DOCTOR_OK, "none: nothing to fail over to");
        return;
    }
    bool is_behind = redis->replicas_not_online > 0 || redis->replica_lag_s >= LAG_WARNING_S;
    fl_check_found(result, is_behind ? FL_DOCTOR_WARNING : FL_DOCTOR_OK,
                   "%" PRId64 " replica%s, the slowest %" PRId64 "s behind, %" PRId64
                   " not in sync yet; a failover may lose the newest leases: harmless, Postgres refuses "
                   "whoever lost one",
                   redis->replicas, fl_plural(redis->replicas), redis->replica_lag_s,
                   redis->replicas_not_online);
    if (is_behind)
        fl_check_advise(result, "look at the replica and its network: after a failover to it, more "
                                "imports than need be would start over");
}

static void judge_eviction(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    const struct fl_redis_facts *redis = &facts->redis;
    if (fl_check_unseen(result, redis->info_trouble) || !redis->eviction_policy.ptr)
        return;
    if (fl_slice_is(redis->eviction_policy, "noeviction")) {
        fl_check_found(result, FL_DOCTOR_OK, "noeviction");
        return;
    }
    if (redis->max_bytes > 0)
        fl_check_found(result, FL_DOCTOR_DANGER, "%.*s: when full, Redis drops leases%s",
                       FL_ARGS(redis->eviction_policy),
                       fl_slice_starts(redis->eviction_policy, "allkeys") ? " and the queue" : "");
    else
        fl_check_found(result, FL_DOCTOR_WARNING, "%.*s, without effect until maxmemory is set",
                       FL_ARGS(redis->eviction_policy));
    fl_check_advise(result, "set maxmemory-policy to noeviction, here and in the configuration file; "
                            "nothing is imported wrongly by it, but work is done twice and thrown away");
}

static void judge_persistence(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    const struct fl_redis_facts *redis = &facts->redis;
    if (fl_check_unseen(result, redis->info_trouble) || !redis->role.ptr)
        return;
    if (redis->save_failed || redis->aof_write_failed) {
        fl_check_found(result, FL_DOCTOR_DANGER, "the last %s failed",
                       redis->save_failed ? "snapshot" : "write to the append-only file");
        fl_check_advise(result, "free its disk, check the rights on its folder, read its log: Redis "
                                "refuses writes while it cannot save");
        return;
    }
    if (redis->aof_on) {
        fl_check_found(result, FL_DOCTOR_OK, "append-only file");
        return;
    }
    if (redis->save_trouble.ptr) { /* CONFIG GET tells passwords, too: fenceline's own user may not send it */
        fl_check_found(
            result, FL_DOCTOR_OK,
            "no append-only file; whether it saves snapshots this user may not see (CONFIG GET save)");
        return;
    }
    if (redis->save.len) {
        fl_check_found(result, FL_DOCTOR_OK, "snapshots (save %.*s)", FL_ARGS(redis->save));
        return;
    }
    fl_check_found(result, FL_DOCTOR_WARNING, "none: a restart empties it");
    fl_check_advise(result, "set appendonly yes, or live with it: leases are taken anew and queue entries "
                            "rebuilt from Postgres, so nothing is lost but some seconds");
}

static void judge_memory(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    const struct fl_redis_facts *redis = &facts->redis;
    if (fl_check_unseen(result, redis->info_trouble) || !redis->role.ptr)
        return;
    bool has_limit = redis->max_bytes > 0;
    int64_t room_bytes = has_limit ? redis->max_bytes : redis->system_bytes;
    int64_t percent = room_bytes > 0 ? (int64_t)((double)redis->used_bytes * 100 / (double)room_bytes) : 0;
    enum fl_doctor_level level = percent >= USED_DANGER_PERCENT    ? FL_DOCTOR_DANGER
                                 : percent >= USED_WARNING_PERCENT ? FL_DOCTOR_WARNING
                                                                   : FL_DOCTOR_OK;
    fl_check_found(result, level, "%s of %s used (%" PRId64 "%%)%s", fl_check_size(result, redis->used_bytes),
                   fl_check_size(result, room_bytes), percent,
                   has_limit ? "" : "; no maxmemory: all of the machine's");
    if (level != FL_DOCTOR_OK)
        fl_check_advise(result, "raise maxmemory, or move what else is stored there: a full Redis refuses "
                                "leases, and imports wait");
}

static void judge_latency(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    const struct fl_redis_facts *redis = &facts->redis;
    if (fl_check_unseen(result, redis->latency_trouble))
        return;
    enum fl_doctor_level level = redis->ping_median_us >= LATENCY_DANGER_US    ? FL_DOCTOR_DANGER
                                 : redis->ping_median_us >= LATENCY_WARNING_US ? FL_DOCTOR_WARNING
                                                                               : FL_DOCTOR_OK;
    fl_check_found(result, level, "%.1f ms (median of %d pings; worst %.1f ms)",
                   (double)redis->ping_median_us / 1000, FL_PING_COUNT, (double)redis->ping_worst_us / 1000);
    if (level != FL_DOCTOR_OK)
        fl_check_advise(result, "move workers and Redis closer, and look for slow commands of others "
                                "(SLOWLOG GET): each import asks Redis several times");
}

static void judge_clock(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    bool has_pg = facts->pg_err.code == FL_OK && !facts->pg.server_trouble.ptr;
    if (!fl_check_unseen(result, facts->redis.clock_trouble))
        fl_check_clock(result, facts->redis.clock_ahead_ms, "Postgres's", has_pg, facts->pg.clock_ahead_ms);
}

const struct fl_check fl_doctor_redis_checks[] = {
    {FL_DOCTOR_REDIS, FL_NEEDS_REDIS, "version", judge_version},
    {FL_DOCTOR_REDIS, FL_NEEDS_REDIS, "mode", judge_mode},
    {FL_DOCTOR_REDIS, FL_NEEDS_REDIS, "role", judge_role},
    {FL_DOCTOR_REDIS, FL_NEEDS_REDIS, "replicas", judge_replicas},
    {FL_DOCTOR_REDIS, FL_NEEDS_REDIS, "eviction_policy", judge_eviction},
    {FL_DOCTOR_REDIS, FL_NEEDS_REDIS, "persistence", judge_persistence},
    {FL_DOCTOR_REDIS, FL_NEEDS_REDIS, "memory", judge_memory},
    {FL_DOCTOR_REDIS, FL_NEEDS_REDIS, "latency", judge_latency},
    {FL_DOCTOR_REDIS, FL_NEEDS_REDIS, "clock", judge_clock},
};
const size_t fl_doctor_redis_check_count = sizeof fl_doctor_redis_checks / sizeof *fl_doctor_redis_checks;
