/* doctor_look.c - fills the facts: opens Postgres, then Redis, and asks each what io/ knows to ask.
 *
 * Happy path: Postgres says which jobs should be in Redis, Redis says which are not, and Postgres, asked
 * again, which of those were decided meanwhile. Failure modes: a server that is away is noted, and the other
 * one is looked at all the same. */
#include "app/doctor.h"
#include "base/arena.h"
#include "base/slice.h"
#include "io/pg_schema.h"
#include "io/pg_sync.h"
#include "io/redis_sync.h"

static void look_at_postgres(const struct fl_settings *settings, struct fl_pg_sync *pg,
                             struct fl_arena *arena, struct fl_doctor_facts *facts)
{
    fl_pg_doctor_look(pg, settings->postgres_dsn, settings->postgres_timeout_ms, facts->grace_ms, arena,
                      &facts->pg);
    struct fl_err err = {0};
    fl_status status = FL_OK;
    for (int role = FL_ROLE_READER; status == FL_OK && role <= FL_ROLE_WORKER; role++)
        status = fl_pg_rights_check(pg, (enum fl_pg_role)role, arena, &facts->pg_rights[role], &err);
    if (status != FL_OK)
        facts->pg_rights_trouble = fl_arena_copy(arena, fl_slice_from(err.text));
}

static void look_at_redis(const struct fl_settings *settings, struct fl_redis_sync *redis,
                          struct fl_arena *arena, struct fl_doctor_facts *facts)
{
    const struct fl_redis_question question = {
        .dead_ms = facts->dead_ms,
        .jobs = facts->pg.dispatched,
        .job_count = facts->pg.dispatched_count,
    };
    struct fl_err err = {0};
    fl_redis_doctor_look(redis, &question, arena, &facts->redis);
    if (fl_redis_rights_check(settings->redis_url, settings->redis_timeout_ms, arena, &facts->redis_rights,
                              &err) != FL_OK)
        facts->redis_rights_trouble = fl_arena_copy(arena, fl_slice_from(err.text));
}

/* What Redis lacks may have been decided while we looked. */
static void look_again(struct fl_pg_sync *pg, struct fl_arena *arena, struct fl_doctor_facts *facts)
{
    struct fl_err err = {0};
    struct fl_redis_facts *redis = &facts->redis;
    if (redis->missing_count == 0 || redis->entries_trouble.ptr)
        return;
    if (fl_pg_doctor_recheck(pg, facts->grace_ms, arena, redis->missing, &redis->missing_count, &err) !=
        FL_OK)
        redis->entries_trouble = fl_arena_copy(arena, fl_slice_from(err.text));
}

void fl_doctor_look(const struct fl_settings *settings, struct fl_arena *arena, struct fl_doctor_facts *facts)
{
    struct fl_pg_sync *pg = NULL;
    struct fl_redis_sync *redis = NULL;
    facts->pg_connections = settings->postgres_connections;
    facts->dead_ms = settings->worker.dead_ms;
    facts->grace_ms = 2 * settings->worker.sweep_ms; /* twice: the first search may have come too early */
    facts->schema_known = (int64_t)fl_schema_file_count;
    facts->pg_err.code =
        fl_pg_sync_open(&pg, settings->postgres_dsn, settings->postgres_timeout_ms, &facts->pg_err);
    if (pg)
        look_at_postgres(settings, pg, arena, facts);
    facts->redis_err.code =
        fl_redis_sync_open(&redis, settings->redis_url, settings->redis_timeout_ms, &facts->redis_err);
    if (redis)
        look_at_redis(settings, redis, arena, facts);
    if (pg && redis)
        look_again(pg, arena, facts);
    fl_redis_sync_close(redis);
    fl_pg_sync_close(pg);
}
