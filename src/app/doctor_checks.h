/* doctor_checks.h - the tables of checks, for doctor.c and for those who fill them. */
#ifndef FL_APP_DOCTOR_CHECKS_H
#define FL_APP_DOCTOR_CHECKS_H

#include "app/doctor.h"

/* What one check says; nothing said = it does not apply here. */
struct fl_verdict {
    struct fl_arena *arena;
    bool said;
    enum fl_doctor_level level;
    struct fl_slice found, advice;
};

/* What a check needs to be there. */
enum { FL_NEEDS_REDIS = 1, FL_NEEDS_PG = 2, FL_NEEDS_SCHEMA = 4 };

struct fl_check {
    enum fl_doctor_server server;
    unsigned needs; /* FL_NEEDS_... */
    const char *name;
    void (*judge)(const struct fl_doctor_facts *facts, struct fl_verdict *verdict);
};

extern const struct fl_check fl_doctor_redis_checks[], fl_doctor_postgres_checks[], fl_doctor_queue_checks[];
extern const size_t fl_doctor_redis_check_count, fl_doctor_postgres_check_count, fl_doctor_queue_check_count;

/* What was found, and its level; then, above ok, what to do. */
void fl_verdict_found(struct fl_verdict *verdict, enum fl_doctor_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void fl_verdict_advise(struct fl_verdict *verdict, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* If there is trouble: a warning that this could not be looked at, and why; true. */
bool fl_verdict_unseen(struct fl_verdict *verdict, struct fl_slice trouble);

/* Numbers as text that lives in the arena. */
const char *fl_verdict_span(const struct fl_verdict *verdict, int64_t span_ms);
const char *fl_verdict_size(const struct fl_verdict *verdict, int64_t size_bytes);

/* A clock that is off by so much against this machine's, and against the other server's. */
void fl_verdict_clock(struct fl_verdict *verdict, int64_t ahead_ms, const char *other, bool has_other,
                      int64_t other_ahead_ms);

/* "" or "s" */
const char *fl_plural(int64_t count);

#endif
