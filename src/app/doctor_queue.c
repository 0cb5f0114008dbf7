/* doctor_queue.c - what the facts about the queue mean. Pure. */
#include <inttypes.h>

#include "app/doctor_checks.h"
#include "base/slice.h"

static void judge_workers(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    int64_t alive = facts->redis.workers_alive, dead = facts->redis.workers_dead;
    bool knows_queue = facts->pg_err.code == FL_OK && !facts->pg.queue_trouble.ptr;
    int64_t waiting = knows_queue ? facts->pg.open_for_workers : 0;
    if (fl_check_unseen(result, facts->redis.workers_trouble))
        return;
    if (alive == 0 && waiting > 0) {
        fl_check_found(result, FL_DOCTOR_DANGER, "none alive, and %" PRId64 " job%s waiting", waiting,
                       waiting == 1 ? " is" : "s are");
        fl_check_advise(result, "start 'fenceline worker'; 'fenceline worker list' shows who was there");
        return;
    }
    fl_check_found(result, FL_DOCTOR_OK, "%" PRId64 " alive, %" PRId64 " dead or gone without a word", alive,
                   dead);
}

static void judge_paused(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    const struct fl_pg_facts *pg = &facts->pg;
    if (fl_check_unseen(result, pg->queue_trouble))
        return;
    if (!pg->paused) {
        fl_check_found(result, FL_DOCTOR_OK, "no");
        return;
    }
    fl_check_found(result, FL_DOCTOR_WARNING, "for %s, by %.*s%s%.*s", fl_check_span(result, pg->paused_ms),
                   FL_ARGS(pg->paused_by), pg->paused_reason.ptr ? ": " : "", FL_ARGS(pg->paused_reason));
    fl_check_advise(result, "'fenceline jobs resume' lets the workers go on");
}

static void judge_undispatched(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    const struct fl_pg_facts *pg = &facts->pg;
    if (fl_check_unseen(result, pg->queue_trouble))
        return;
    if (pg->due == 0) {
        fl_check_found(result, FL_DOCTOR_OK, "none");
        return;
    }
    bool is_late = pg->due_ms >= facts->older_than_ms;
    fl_check_found(result, is_late ? FL_DOCTOR_WARNING : FL_DOCTOR_OK,
                   "%" PRId64 " job%s due and not handed out, the oldest for %s", pg->due,
                   pg->due == 1 ? " is" : "s are", fl_check_span(result, pg->due_ms));
    if (is_late)
        fl_check_advise(result, "start more workers; if some are alive and idle, read their logs: one of "
                                "them hands jobs out, and needs both servers");
}

static void judge_orphaned(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    const struct fl_redis_facts *redis = &facts->redis;
    if (fl_check_unseen(result, facts->pg.queue_trouble) || fl_check_unseen(result, redis->entries_trouble))
        return;
    if (redis->missing_count == 0 && redis->dead_entries == 0) {
        fl_check_found(result, FL_DOCTOR_OK, "none");
        return;
    }
    if (redis->missing_count)
        fl_check_found(result, FL_DOCTOR_WARNING,
                       "%zu job%s handed to Redis and not there (job %" PRId64 "%s); %" PRId64
                       " held by dead workers",
                       redis->missing_count, redis->missing_count == 1 ? " was" : "s were", redis->missing[0],
                       redis->missing_count > 1 ? ", ..." : "", redis->dead_entries);
    else
        fl_check_found(result, FL_DOCTOR_WARNING, "%" PRId64 " job%s held by dead workers (%.*s)",
                       redis->dead_entries, fl_plural(redis->dead_entries), FL_ARGS(redis->dead_worker));
    fl_check_advise(result, "nothing is lost: a worker that is alive finds them within worker.sweep_ms. "
                            "If they stay, read the workers' logs, or start one");
}

static void judge_open(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    const struct fl_pg_facts *pg = &facts->pg;
    if (fl_check_unseen(result, pg->queue_trouble))
        return;
    if (pg->open == 0) {
        fl_check_found(result, FL_DOCTOR_OK, "none");
        return;
    }
    bool is_old = pg->open_ms >= facts->older_than_ms;
    fl_check_found(result, is_old ? FL_DOCTOR_WARNING : FL_DOCTOR_OK,
                   "%" PRId64 "; the oldest for %s: job %" PRId64 ", %.*s, episode %.*s", pg->open,
                   fl_check_span(result, pg->open_ms), pg->open_job, FL_ARGS(pg->open_state),
                   FL_ARGS(pg->open_episode));
    if (is_old)
        fl_check_advise(result, "'fenceline jobs show %" PRId64 "' tells its attempts and what it waits for",
                        pg->open_job);
}

static void judge_dead_letters(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    const struct fl_pg_facts *pg = &facts->pg;
    if (fl_check_unseen(result, pg->queue_trouble))
        return;
    fl_check_found(result, pg->dead_letters ? FL_DOCTOR_WARNING : FL_DOCTOR_OK,
                   pg->dead_letters ? "%" PRId64 " that nobody has retried" : "none", pg->dead_letters);
    if (pg->dead_letters)
        fl_check_advise(result, "'fenceline jobs list --outcome failed' shows them, 'fenceline jobs retry' "
                                "gives them new attempts, 'fenceline jobs purge' deletes old ones");
}

const struct fl_check fl_doctor_queue_checks[] = {
    {FL_DOCTOR_QUEUE, FL_NEEDS_REDIS, "workers", judge_workers},
    {FL_DOCTOR_QUEUE, FL_NEEDS_SCHEMA, "paused", judge_paused},
    {FL_DOCTOR_QUEUE, FL_NEEDS_SCHEMA, "undispatched", judge_undispatched},
    {FL_DOCTOR_QUEUE, FL_NEEDS_REDIS | FL_NEEDS_SCHEMA, "orphaned", judge_orphaned},
    {FL_DOCTOR_QUEUE, FL_NEEDS_SCHEMA, "open_jobs", judge_open},
    {FL_DOCTOR_QUEUE, FL_NEEDS_SCHEMA, "dead_letters", judge_dead_letters},
};
const size_t fl_doctor_queue_check_count = sizeof fl_doctor_queue_checks / sizeof *fl_doctor_queue_checks;
