/* pg_doctor.h - what there is to know about a Postgres before it is trusted with imports: plain facts, judged
 * elsewhere. Nothing is changed by looking, and no session setting either: behind a pooler it would be
 * somebody else's. */
#ifndef FL_IO_PG_DOCTOR_H
#define FL_IO_PG_DOCTOR_H

#include "fenceline/err.h"
#include "fenceline/types.h"

struct fl_arena;
struct fl_pg_sync;

/* The settings looked at, as they are for this role in this database. */
enum fl_pg_setting_id {
    FL_PG_FSYNC,
    FL_PG_FULL_PAGE_WRITES,
    FL_PG_SYNCHRONOUS_COMMIT,
    FL_PG_SYNCHRONOUS_STANDBY_NAMES,
    FL_PG_IDLE_TIMEOUT, /* the timeouts: ms, 0 = none */
    FL_PG_STATEMENT_TIMEOUT,
    FL_PG_LOCK_TIMEOUT,
    FL_PG_TRANSACTION_TIMEOUT,
    FL_PG_MAX_CONNECTIONS,
    FL_PG_SUPERUSER_RESERVED,
    FL_PG_RESERVED,
    FL_PG_SETTING_COUNT
};

struct fl_pg_setting {
    struct fl_slice name;
    struct fl_slice value;  /* absent: this version has no such setting */
    struct fl_slice source; /* "default", "configuration file", "database", "user", "client", ... */
    int64_t number;
};

/* What stands between us and the server. */
enum fl_pg_pooler { FL_PG_DIRECT, FL_PG_POOLER_SESSION, FL_PG_POOLER_TRANSACTION };

/* Slices live in the arena; `*_trouble` says why a part could not be looked at, absent = it was. */
struct fl_pg_facts {
    struct fl_slice server_trouble;
    struct fl_slice shown;   /* "127.0.0.1:5432, database podcast, role app" */
    struct fl_slice version; /* "15.8" */
    struct fl_slice role;
    bool in_recovery;
    bool sees_all;          /* pg_read_all_stats: sessions of other roles and standbys are visible in full */
    int64_t clock_ahead_ms; /* of this machine's; half a round trip exact */

    struct fl_slice pooler_trouble;
    enum fl_pg_pooler pooler;

    struct fl_slice settings_trouble;
    struct fl_pg_setting settings[FL_PG_SETTING_COUNT];

    struct fl_slice sessions_trouble;
    int64_t sessions, our_sessions;     /* of clients; of those, fenceline's */
    int64_t role_limit, database_limit; /* connections; -1 = none */
    int64_t transaction_ms;             /* the longest open one in this database; 0 = none */
    int64_t transaction_pid;
    struct fl_slice transaction_state, transaction_application, transaction_role;

    struct fl_slice standbys_trouble;
    int64_t standbys, synchronous_standbys;
    int64_t standby_lag_bytes;            /* of the slowest: written here, not yet flushed there */
    struct fl_slice asynchronous_standby; /* one of those */

    struct fl_slice slots_trouble;
    int64_t idle_slots; /* replication slots that nobody uses */
    struct fl_slice idle_slot;
    int64_t idle_slot_bytes; /* WAL that it keeps */

    struct fl_slice prepared_trouble;
    int64_t prepared, prepared_ms; /* prepared transactions in this database, age of the oldest */
    struct fl_slice prepared_gid;

    struct fl_slice schema_trouble;
    int64_t schema_version; /* 0 = there is none */

    struct fl_slice
        tables_trouble;    /* of our tables one without autovacuum, or else the one with the most dead rows */
    struct fl_slice table; /* absent: no schema */
    int64_t table_live, table_dead, table_bytes;
    int64_t table_vacuumed_ms; /* so long ago; -1 = never */
    bool table_autovacuum;

    struct fl_slice queue_trouble;
    bool paused;
    struct fl_slice paused_by, paused_reason;
    int64_t paused_ms;
    int64_t due, due_ms;            /* jobs that are due and not handed to Redis; age of the oldest */
    int64_t open, open_for_workers; /* without those that are scheduled for later */
    int64_t open_ms, open_job;
    struct fl_slice open_state, open_episode; /* of the oldest */
    int64_t dead_letters;
    int64_t *dispatched; /* jobs that should have an entry in Redis, at most FL_DOCTOR_JOBS */
    size_t dispatched_count;
};

enum { FL_DOCTOR_JOBS = 16384 };

/* Looks at everything on an open connection; dsn and timeout_ms are for a second one, beside which a pooler
 * shows. grace_ms: how long after its dispatch a job may be without an entry. A part that fails is told in
 * its trouble. */
void fl_pg_doctor_look(struct fl_pg_sync *pg, const char *dsn, int64_t timeout_ms, int64_t grace_ms,
                       struct fl_arena *arena, struct fl_pg_facts *facts);

/* How many connections Postgres allows this role in this database, counting neither those that are reserved
 * nor other roles' use of them; and how many others have now of that number. */
FL_CHECKED fl_status fl_pg_doctor_room(struct fl_pg_sync *pg, int64_t *allowed, int64_t *used,
                                       struct fl_err *err);

/* Which of these jobs (at most FL_DOCTOR_JOBS) are still open and dispatched: the others were decided while
 * Redis was asked. Keeps those in place. */
FL_CHECKED fl_status fl_pg_doctor_recheck(struct fl_pg_sync *pg, int64_t grace_ms, struct fl_arena *arena,
                                          int64_t *jobs, size_t *count, struct fl_err *err);

#endif
