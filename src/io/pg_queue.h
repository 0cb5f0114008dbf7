/* pg_queue.h - the queue in Postgres, as a worker and a dispatcher use it (protocol, "Jobs"; the functions
 * are those of config/schema/003_queue.sql).
 *
 * Each call is a struct of its caller's, which stays where it is until done. Fill its input, start it, read
 * its output in done if the event's status is FL_OK. */
#ifndef FL_IO_PG_QUEUE_H
#define FL_IO_PG_QUEUE_H

#include "io/pg_store.h"

typedef void fl_pg_call_done(struct fl_request *request, struct fl_event *event);

/* A job as it was begun; borrowed from the reply. */
struct fl_begun_job {
    int64_t job_id;
    struct fl_slice episode;
    struct fl_slice source; /* may be absent */
    struct fl_slice body;   /* in Postgres' hex form ("\\x..."); absent = read the source */
    enum fl_kind kind;
    enum fl_mode mode;
    int64_t if_version;
    enum fl_format format; /* FL_FORMAT_NONE = by content */
    bool strict, repair;
    int64_t attempts;          /* this one included */
    int64_t deaths;            /* above 0: a suspect, which is not begun yet */
    int64_t waited_ms;         /* since it was due */
    struct fl_reading reading; /* step 1 of the protocol, in the same statement */
};

enum { FL_BEGIN_LIMIT = 256 };

/* Begins jobs. begun() is called for each open one; the others are decided, or gone. */
struct fl_queue_begin {
    struct fl_pg_call call;
    int64_t ids[FL_BEGIN_LIMIT];
    size_t count;
    struct fl_slice worker;
    void *owner;
    void (*begun)(void *owner, const struct fl_begun_job *job);
};
void fl_pg_queue_begin(struct fl_pg_store *store, struct fl_queue_begin *begin, fl_pg_call_done *done);

/* Begins one suspect: counts its possible death first. begun false = it has been decided. */
struct fl_queue_begin_suspect {
    struct fl_pg_call call;
    int64_t job_id, max_deaths;
    struct fl_slice worker;
    bool begun;
};
void fl_pg_queue_begin_suspect(struct fl_pg_store *store, struct fl_queue_begin_suspect *begin,
                               fl_pg_call_done *done);

/* An attempt ended without an outcome: after an error (its text), or handed back (absent). */
struct fl_queue_postpone {
    struct fl_pg_call call;
    int64_t job_id, delay_ms, max_attempts;
    struct fl_slice worker, error;
    enum fl_outcome outcome; /* FL_OUTCOME_OPEN = it will be tried again */
};
void fl_pg_queue_postpone(struct fl_pg_store *store, struct fl_queue_postpone *postpone,
                          fl_pg_call_done *done);

enum { FL_DISPATCH_LIMIT = 1024 }; /* of each priority */

/* Takes jobs that are due, for a dispatcher to add to the streams. room[i]: of priority i - 1. */
struct fl_queue_dispatch {
    struct fl_pg_call call;
    int64_t room[FL_PRIORITY_COUNT]; /* each 0 to FL_DISPATCH_LIMIT */
    struct fl_queue_id jobs[FL_DISPATCH_LIMIT * FL_PRIORITY_COUNT];
    size_t count;
    int64_t due_in_ms; /* until the next scheduled job; FL_NEVER_MS = none */
    bool more;         /* jobs that are due may be left */
};
void fl_pg_queue_dispatch(struct fl_pg_store *store, struct fl_queue_dispatch *dispatch,
                          fl_pg_call_done *done);

enum { FL_DISPATCHED_LIMIT = 512 };

/* Jobs above `after` that should have had an entry in Redis for age_ms. */
struct fl_queue_dispatched {
    struct fl_pg_call call;
    int64_t age_ms, after;
    struct fl_queue_id jobs[FL_DISPATCHED_LIMIT];
    size_t count;
};
void fl_pg_queue_dispatched(struct fl_pg_store *store, struct fl_queue_dispatched *dispatched,
                            fl_pg_call_done *done);

enum { FL_SUSPECT_LIMIT = 64, FL_WORKER_BYTES = 160 };

/* Workers died with these jobs. */
struct fl_queue_suspect {
    struct fl_pg_call call;
    int64_t ids[FL_SUSPECT_LIMIT];
    char workers[FL_SUSPECT_LIMIT][FL_WORKER_BYTES];
    size_t count;
};
void fl_pg_queue_suspect(struct fl_pg_store *store, struct fl_queue_suspect *suspect, fl_pg_call_done *done);

/* What is done once in a while: abandoned imports, retention (0 days = keep all). */
struct fl_queue_tidy {
    struct fl_pg_call call;
    int64_t retention_days;
    int64_t purged;
};
void fl_pg_queue_tidy(struct fl_pg_store *store, struct fl_queue_tidy *tidy, fl_pg_call_done *done);

/* Are the workers paused? And is the schema still one that this binary knows (FL_USAGE in the event if not)?
 */
struct fl_queue_control {
    struct fl_pg_call call;
    bool paused;
    int64_t schema_version;
};
void fl_pg_queue_control(struct fl_pg_store *store, struct fl_queue_control *control, fl_pg_call_done *done);

/* The bytes of a body in hex form, into memory of at least half its length; returns how many. Anything else
 * than hex digits ends it. */
size_t fl_pg_queue_unhex(struct fl_slice hex, char *out);

#endif
