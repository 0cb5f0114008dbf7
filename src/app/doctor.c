/* doctor.c - see doctor.h: the list of findings, and what all checks share.
 *
 * Failure modes: without memory for a text a finding stands there without it (its level is what counts);
 * more findings than fit are a bug. */
#include "app/doctor.h"

#include <stdarg.h>
#include <stdio.h>

#include "app/doctor_checks.h"
#include "base/arena.h"
#include "base/assert.h"
#include "base/human.h"
#include "base/slice.h"

enum { TEXT_BYTES = 1024, CLOCK_WARNING_MS = 1000 };

/* ---- verdicts ---- */

static struct fl_slice format_text(struct fl_arena *arena, const char *format, va_list args)
{
    char text[TEXT_BYTES];
    vsnprintf(text, sizeof text, format, args);
    return fl_arena_copy(arena, fl_slice_from(text));
}

void fl_check_found(struct fl_check_result *result, enum fl_doctor_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    result->said = true;
    result->level = level;
    result->found = format_text(result->arena, format, args);
    va_end(args);
}

void fl_check_advise(struct fl_check_result *result, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    result->advice = format_text(result->arena, format, args);
    va_end(args);
}

bool fl_check_unseen(struct fl_check_result *result, struct fl_slice trouble)
{
    if (!trouble.ptr)
        return false;
    fl_check_found(result, FL_DOCTOR_WARNING, "could not look");
    fl_check_advise(result, "%.*s", FL_ARGS(trouble));
    return true;
}

const char *fl_check_span(const struct fl_check_result *result, int64_t span_ms)
{
    char text[FL_HUMAN_BYTES];
    struct fl_slice kept = fl_arena_copy(result->arena, fl_slice_from(fl_human_span(span_ms, text)));
    return kept.ptr ? kept.ptr : "?";
}

const char *fl_check_size(const struct fl_check_result *result, int64_t size_bytes)
{
    char text[FL_HUMAN_BYTES];
    struct fl_slice kept = fl_arena_copy(result->arena, fl_slice_from(fl_human_size(size_bytes, text)));
    return kept.ptr ? kept.ptr : "?";
}

static int64_t magnitude(int64_t value)
{
    return value < 0 ? -value : value;
}

void fl_check_clock(struct fl_check_result *result, int64_t ahead_ms, const char *other, bool has_other,
                    int64_t other_ahead_ms)
{
    int64_t apart_ms = has_other ? magnitude(ahead_ms - other_ahead_ms) : 0;
    bool is_off = magnitude(ahead_ms) > CLOCK_WARNING_MS || apart_ms > CLOCK_WARNING_MS;
    fl_check_found(result, is_off ? FL_DOCTOR_WARNING : FL_DOCTOR_OK, "%s %s this machine's%s%s%s%s",
                   fl_check_span(result, magnitude(ahead_ms)), ahead_ms < 0 ? "behind" : "ahead of",
                   has_other ? ", " : "", has_other ? fl_check_span(result, apart_ms) : "",
                   has_other ? " apart from " : "", has_other ? other : "");
    if (is_off)
        fl_check_advise(result, "let NTP set all clocks: no lease and no commit depends on them, but ages "
                                "that are shown do, and when scheduled jobs start");
}

const char *fl_plural(int64_t count)
{
    return count == 1 ? "" : "s";
}

/* ---- findings ---- */

void fl_findings_add(struct fl_findings *findings, const struct fl_finding *finding)
{
    FL_ASSERT(findings->count < FL_FINDINGS_MAX);
    findings->items[findings->count++] = *finding;
}

size_t fl_findings_count(const struct fl_findings *findings, enum fl_doctor_level level)
{
    size_t count = 0;
    for (size_t i = 0; i < findings->count; i++)
        count += findings->items[i].level == level;
    return count;
}

static void judge_connection(enum fl_doctor_server server, const struct fl_err *err, struct fl_slice shown,
                             struct fl_arena *arena, struct fl_findings *findings)
{
    struct fl_finding finding = {.server = server, .check = "connection", .found = shown};
    if (err->code != FL_OK) {
        finding.level = FL_DOCTOR_DANGER;
        finding.found = FL_SLICE("not reached");
        finding.advice = fl_arena_copy(arena, fl_slice_from(err->text));
    }
    fl_findings_add(findings, &finding);
}

static unsigned what_is_there(const struct fl_doctor_facts *facts)
{
    bool has_pg = facts->pg_err.code == FL_OK;
    return (facts->redis_err.code == FL_OK ? FL_NEEDS_REDIS : 0u) | (has_pg ? FL_NEEDS_PG : 0u) |
           (has_pg && facts->pg.schema_version > 0 ? FL_NEEDS_SCHEMA : 0u);
}

static void judge_all(const struct fl_doctor_facts *facts, const struct fl_check *checks, size_t count,
                      struct fl_arena *arena, struct fl_findings *findings)
{
    unsigned there = what_is_there(facts);
    for (size_t i = 0; i < count; i++) {
        struct fl_check_result result = {.arena = arena};
        if ((checks[i].needs & ~there) == 0)
            checks[i].judge(facts, &result);
        if (result.said)
            fl_findings_add(findings, &(struct fl_finding){checks[i].server, checks[i].name, result.level,
                                                           result.found, result.advice});
    }
}

void fl_doctor_judge(const struct fl_doctor_facts *facts, struct fl_arena *arena,
                     struct fl_findings *findings)
{
    judge_connection(FL_DOCTOR_REDIS, &facts->redis_err, facts->redis.shown, arena, findings);
    judge_all(facts, fl_doctor_redis_checks, fl_doctor_redis_check_count, arena, findings);
    judge_all(facts, &fl_doctor_redis_rights, 1, arena, findings);
    judge_connection(FL_DOCTOR_POSTGRES, &facts->pg_err, facts->pg.shown, arena, findings);
    judge_all(facts, fl_doctor_postgres_checks, fl_doctor_postgres_check_count, arena, findings);
    judge_all(facts, &fl_doctor_postgres_rights, 1, arena, findings);
    judge_all(facts, fl_doctor_queue_checks, fl_doctor_queue_check_count, arena, findings);
}

int fl_doctor_exit_code(const struct fl_doctor_facts *facts, const struct fl_findings *findings)
{
    if (facts->redis_err.code == FL_USAGE || facts->pg_err.code == FL_USAGE)
        return fl_status_exit_code(FL_USAGE);
    if (facts->redis_err.code != FL_OK)
        return fl_status_exit_code(facts->redis_err.code);
    if (facts->pg_err.code != FL_OK)
        return fl_status_exit_code(facts->pg_err.code);
    if (fl_findings_count(findings, FL_DOCTOR_DANGER))
        return 1;
    return fl_findings_count(findings, FL_DOCTOR_WARNING) ? 3 : 0;
}

const char *fl_doctor_server_name(enum fl_doctor_server server)
{
    static const char *const NAMES[] = {"redis", "postgres", "queue"};
    FL_ASSERT(server < FL_DOCTOR_SERVER_COUNT);
    return NAMES[server];
}

const char *fl_doctor_level_name(enum fl_doctor_level level)
{
    static const char *const NAMES[] = {"ok", "warning", "danger"};
    FL_ASSERT(level < FL_DOCTOR_LEVEL_COUNT);
    return NAMES[level];
}
