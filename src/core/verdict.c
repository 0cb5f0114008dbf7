/* verdict.c - see verdict.h. */
#include "core/verdict.h"

#include "base/slice.h"

static enum fl_verdict judge_lease(const struct fl_lock_facts *facts, const struct fl_lock_limits *limits)
{
    /* A process says hello some time after its first lease: until then nothing is known, and nothing is
     * wrong. */
    int64_t silent_ms = facts->beat_ms == FL_UNKNOWN_MS ? facts->held_ms : facts->beat_ms;
    if (facts->is_foreign || silent_ms > limits->dead_ms)
        return FL_VERDICT_ORPHAN;
    if (facts->idle_ms >= limits->stall_ms)
        return FL_VERDICT_STALLED;
    /* Renewed at a third of its life: with less than a third left, two renewals did not work. */
    return facts->left_ms >= 0 && facts->left_ms < limits->ttl_ms / 3 ? FL_VERDICT_EXPIRING
                                                                      : FL_VERDICT_HEALTHY;
}

enum fl_verdict fl_verdict_judge(const struct fl_lock_facts *facts, const struct fl_lock_limits *limits)
{
    if (facts->is_superseded)
        return facts->has_session || !facts->has_lease ? FL_VERDICT_ZOMBIE : FL_VERDICT_ORPHAN;
    if (!facts->redis_answers)
        return FL_VERDICT_REDIS_LOST;
    if (facts->has_lease)
        return judge_lease(facts, limits);
    return facts->redis_forgot ? FL_VERDICT_REDIS_LOST : FL_VERDICT_FENCE_AHEAD;
}

static const struct {
    const char *name;
    bool needs_person;
} VERDICTS[FL_VERDICT_COUNT] = {
#define X(name, text, needs_person) [FL_VERDICT_##name] = {text, needs_person},
    FL_VERDICTS(X)
#undef X
};

const char *fl_verdict_name(enum fl_verdict verdict)
{
    return VERDICTS[verdict].name;
}

enum fl_verdict fl_verdict_from_name(struct fl_slice name)
{
    int verdict = 0;
    while (verdict < FL_VERDICT_COUNT && !fl_slice_is(name, VERDICTS[verdict].name))
        verdict++;
    return (enum fl_verdict)verdict;
}

bool fl_verdict_needs_person(enum fl_verdict verdict)
{
    return VERDICTS[verdict].needs_person;
}

const char *fl_verdict_advice(enum fl_verdict verdict)
{
    switch (verdict) {
    case FL_VERDICT_ZOMBIE:
        return "superseded, its process paused or stuck: it can commit nothing; end that process, or "
               "continue it";
    case FL_VERDICT_REDIS_LOST:
        return "Redis is away, or lost the lease: the claim in Postgres still protects it; see 'fenceline "
               "doctor'";
    case FL_VERDICT_FENCE_AHEAD:
        return "claimed, but without a lease: the next import takes over; if none comes, break it";
    case FL_VERDICT_ORPHAN:
        return "no heartbeat: the lease expires by itself, and another import takes over; else break it";
    case FL_VERDICT_STALLED: return "no progress: end what holds its session up, or break it";
    case FL_VERDICT_EXPIRING: return "not renewed in time: it will be renewed soon, or expire";
    case FL_VERDICT_HEALTHY: return "";
    case FL_VERDICT_COUNT: break;
    }
    return "";
}
