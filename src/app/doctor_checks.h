/* doctor_checks.h - the tables of checks, for doctor.c and for those who fill them. */
#ifndef FL_APP_DOCTOR_CHECKS_H
#define FL_APP_DOCTOR_CHECKS_H

#include "app/doctor.h"

/* What one check says; nothing said = it does not apply here. */
struct fl_check_result {
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
    void (*judge)(const struct fl_doctor_facts *facts, struct fl_check_result *result);
};

extern const struct fl_check fl_doctor_redis_checks[], fl_doctor_postgres_checks[], fl_doctor_queue_checks[];
extern const size_t fl_doctor_redis_check_count, fl_doctor_postgres_check_count, fl_doctor_queue_check_count;

extern const struct fl_check fl_doctor_redis_rights, fl_doctor_postgres_rights;

/* What was found, and its level; then, above ok, what to do. */
void fl_check_found(struct fl_check_result *result, enum fl_doctor_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void fl_check_advise(struct fl_check_result *result, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* If there is trouble: a warning that this could not be looked at, and why; true. */
bool fl_check_unseen(struct fl_check_result *result, struct fl_slice trouble);

/* Numbers as text that lives in the arena. */
const char *fl_check_span(const struct fl_check_result *result, int64_t span_ms);
const char *fl_check_size(const struct fl_check_result *result, int64_t size_bytes);

/* A clock that is off by so much against this machine's, and against the other server's. */
void fl_check_clock(struct fl_check_result *result, int64_t ahead_ms, const char *other, bool has_other,
                    int64_t other_ahead_ms);

/* "" or "s" */
const char *fl_plural(int64_t count);

#endif
