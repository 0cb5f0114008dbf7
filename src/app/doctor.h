/* doctor.h - turns facts about both servers into findings, and says what to do about each.
 *
 * Judging is pure: facts in, findings out, by the tables of doctor_redis.c, doctor_postgres.c and
 * doctor_queue.c. Looking (fl_doctor_look) opens both servers and fills the facts. */
#ifndef FL_APP_DOCTOR_H
#define FL_APP_DOCTOR_H

#include "app/settings.h"
#include "io/pg_doctor.h"
#include "io/pg_rights.h"
#include "io/redis_doctor.h"
#include "io/redis_rights.h"

enum fl_doctor_server { FL_DOCTOR_REDIS, FL_DOCTOR_POSTGRES, FL_DOCTOR_QUEUE, FL_DOCTOR_SERVER_COUNT };

/* ok: nothing to do. warning: works, and will be slower or lose something one day. danger: imports fail, wait
 * for ever, or what was acknowledged can be lost. */
enum fl_doctor_level { FL_DOCTOR_OK, FL_DOCTOR_WARNING, FL_DOCTOR_DANGER, FL_DOCTOR_LEVEL_COUNT };

struct fl_finding {
    enum fl_doctor_server server;
    const char *check; /* "eviction_policy": static */
    enum fl_doctor_level level;
    struct fl_slice found, advice; /* advice absent if ok; both may hold hostile text */
};

enum { FL_FINDINGS_MAX = 64 };

struct fl_findings {
    struct fl_finding items[FL_FINDINGS_MAX];
    size_t count;
};

struct fl_doctor_facts {
    /* Why a server could not be reached at all; FL_OK: it was. */
    struct fl_err redis_err, pg_err;
    struct fl_redis_facts redis; /* if reached */
    struct fl_pg_facts pg;
    struct fl_redis_rights redis_rights;
    struct fl_pg_rights pg_rights[FL_ROLE_COUNT]; /* of reader, operator and worker */
    struct fl_slice redis_rights_trouble,
        pg_rights_trouble; /* why they could not be looked at; absent: they were */

    int64_t pg_connections; /* postgres.connections: of one process */
    int64_t dead_ms;        /* worker.dead_ms */
    int64_t grace_ms;       /* how long after its dispatch a job may be without an entry */
    int64_t older_than_ms;  /* a wait, or an open transaction, is a problem from this age on */
    int64_t schema_known;   /* the newest version that this binary knows */
};

enum { FL_DOCTOR_OLDER_THAN_MS = 10 * 60 * 1000 }; /* the default */

/* Looks at both servers; one that cannot be reached does not keep the other from being looked at. Slices of
 * the facts live in the arena; facts->older_than_ms is the caller's to fill before. */
void fl_doctor_look(const struct fl_settings *settings, struct fl_arena *arena,
                    struct fl_doctor_facts *facts);

/* Adds a finding for each check that applies, in a fixed order. Texts live in the arena. */
void fl_doctor_judge(const struct fl_doctor_facts *facts, struct fl_arena *arena,
                     struct fl_findings *findings);

/* Adds one finding that somebody else has made. */
void fl_findings_add(struct fl_findings *findings, const struct fl_finding *finding);

/* How many have this level. */
size_t fl_findings_count(const struct fl_findings *findings, enum fl_doctor_level level);

/* 6 (or 2: its address is wrong) if a server could not be reached; else 1: a danger; 3: a warning; 0. */
int fl_doctor_exit_code(const struct fl_doctor_facts *facts, const struct fl_findings *findings);

/* "redis", "ok": as in JSON. Static. */
const char *fl_doctor_server_name(enum fl_doctor_server server);
const char *fl_doctor_level_name(enum fl_doctor_level level);

#endif
