/* pg_store.h - the store port on Postgres: a few connections, and the steps of many imports in few
 * statements.
 *
 * Batches are made by back-pressure, never by a timer: what waits while every connection is busy travels
 * together when one becomes free (protocol, step 3). Claims, reads and checks of a batch are one statement;
 * commits and decisions are one call each in a shared transaction, ordered by episode id so that batches
 * cannot deadlock; a call answers with a status and raises nothing, so one refusal cannot undo another's
 * success. If something does raise (disk full, a dead server), each import of that batch goes again alone. */
#ifndef FL_IO_PG_STORE_H
#define FL_IO_PG_STORE_H

#include "base/list.h"
#include "fenceline/ports.h"
#include "io/pg.h"
#include "io/pg_param.h"

enum {
    FL_STORE_BATCH = 32,
    FL_STORE_COMMIT_BATCH = 8,
    FL_STORE_CONNECTIONS = 64,
    FL_STORE_PIECE_BYTES = 1024 * 1024, /* of a document: what is larger goes in pieces, and alone */
};

enum fl_store_group { /* in the order in which a free connection serves them: what ends work goes first */
                      FL_GROUP_COMMIT,
                      FL_GROUP_COMMIT_LARGE, /* in pieces; never by the last free connection */
                      FL_GROUP_RESOLVE,
                      FL_GROUP_DECIDE,
                      FL_GROUP_CLAIM_CHECK,
                      FL_GROUP_CLAIM,
                      FL_GROUP_ENSURE,
                      FL_GROUP_READ,
                      FL_GROUP_CALL,
                      FL_GROUP_COUNT
};

struct fl_submit_job {
    struct fl_slice episode, source; /* borrowed */
    enum fl_kind kind;
    enum fl_mode mode;
    int64_t if_version;

    /* fl_pg_store_enqueue only */
    struct fl_slice body;  /* the input itself; absent = workers read the source */
    enum fl_format format; /* FL_FORMAT_NONE = by content */
    enum fl_priority priority;
    int64_t not_before_ms; /* since 1970; 0 = at once */
    bool strict, repair;
};

/* One statement outside of the steps of an import, by the same connections. Belongs to the caller until
 * request.done, which is called with status and err only. */
struct fl_pg_call {
    struct fl_request request;
    int id; /* FL_STATEMENT_* */
    const struct fl_pg_statement *statement;
    void (*bind)(const struct fl_pg_call *call, struct fl_pg_params *params);
    void (*read)(struct fl_pg_call *call, const PGresult *result); /* its rows, borrowed */
};

/* Some jobs to be written at once (protocol, "Jobs"). Belongs to the caller until call.request.done. */
struct fl_submit {
    struct fl_pg_call call;
    const struct fl_submit_job *jobs;
    size_t count;
    uint64_t request_id[2]; /* random, the same when it is sent again: so that its rows are written once */
    bool again;             /* it was sent before */
    struct fl_slice worker; /* who will run them; unused by fl_pg_store_enqueue */
    int64_t *job_ids;       /* count of them, filled on FL_OK */
};

/* One connection and the batch that it carries. */
struct fl_store_lane {
    struct fl_pg pg;
    struct fl_pg_store *store;
    enum fl_store_group group;
    struct fl_request *requests[FL_STORE_BATCH];
    struct fl_event events[FL_STORE_BATCH];
    int count;
    size_t sent_rows; /* of a document that goes in pieces */
    int pieces;
    bool committed; /* the tag of the batch's COMMIT was COMMIT */
    bool has_error; /* a statement was refused: err says why */
    struct fl_err err;
};

struct fl_pg_store {
    struct fl_store_port port;
    uv_loop_t *loop;
    uv_prepare_t dispatch; /* runs once a turn of the loop, after all that the turn brought */
    struct fl_link queues[FL_GROUP_COUNT];
    struct fl_store_lane *lanes;
    int lane_count;
    int64_t failed_open_ms; /* loop time of the last failed connect */
    bool stays_open;        /* all connections are opened before they are needed: for a service */
    char session[288];      /* "fenceline import@host:pid": what its connections are called */
    const char *holder;     /* its second half, shown to operators */
    struct fl_pg_params params;
    uint64_t batches, batched; /* transactions or statements sent, and requests in them */
};

/* Ready to take requests; connects when the first one comes. dsn is borrowed; name is the program's part of
 * the holder ("import"). FL_NO_MEMORY. */
FL_CHECKED fl_status fl_pg_store_init(struct fl_pg_store *store, uv_loop_t *loop, const char *dsn,
                                      int64_t timeout_ms, int connections, const char *name,
                                      struct fl_err *err);

/* Queues a call; done is called later, never from within. */
void fl_pg_store_call(struct fl_pg_store *store, struct fl_pg_call *call,
                      void (*done)(struct fl_request *request, struct fl_event *event));

/* Queues jobs to be written; done gets submit->call.request. */
void fl_pg_store_submit(struct fl_pg_store *store, struct fl_submit *submit,
                        void (*done)(struct fl_request *request, struct fl_event *event));

/* The same for jobs that the workers shall run: they are told at once. */
void fl_pg_store_enqueue(struct fl_pg_store *store, struct fl_submit *submit,
                         void (*done)(struct fl_request *request, struct fl_event *event));

/* Waits no longer for what is in flight: its connections are closed, and each request gets FL_LOST; what is
 * queued goes over new ones. A statement that waits in Postgres for a lock may still take effect: that is
 * what FL_LOST says. */
void fl_pg_store_interrupt(struct fl_pg_store *store);

/* Answers everything that is queued or in flight (FL_UNAVAILABLE, FL_LOST), closes all; run the loop once
 * more before the memory goes, then fl_pg_store_free. */
void fl_pg_store_close(struct fl_pg_store *store);
void fl_pg_store_free(struct fl_pg_store *store);

/* pg_steps.c: puts the lane's batch on its connection; reads one result into the events of the lane
 * (fl_pg_events); and tells whether a group's batch is one call each in a shared transaction. */
void fl_pg_steps_add(struct fl_pg_store *store, struct fl_store_lane *lane);
void fl_pg_steps_read(void *lane, struct fl_pg *pg, int index, const PGresult *result);
/* The next piece of a batch of FL_GROUP_COMMIT_LARGE: see fl_pg_events.more. */
bool fl_pg_steps_more(void *lane, struct fl_pg *pg);
bool fl_pg_steps_share_a_transaction(enum fl_store_group group);

/* pg_commit.c: the statement of one commit. */
void fl_pg_commit_add(struct fl_pg_store *store, struct fl_pg *pg, const struct fl_request *request);

/* Does the document of this commit go in pieces? */
bool fl_pg_commit_is_large(const struct fl_request *request);
/* Adds the next piece of a large commit, or the commit itself, to a transaction that is open: then returns
 * false. */
bool fl_pg_commit_add_piece(struct fl_pg_store *store, struct fl_store_lane *lane);

/* Ids of the statements, one number space per connection. */
enum {
    FL_STATEMENT_READ,
    FL_STATEMENT_ENSURE,
    FL_STATEMENT_CLAIM,
    FL_STATEMENT_CLAIM_CHECK,
    FL_STATEMENT_DECIDE,
    FL_STATEMENT_RESOLVE,
    FL_STATEMENT_SUBMIT,
    FL_STATEMENT_ENQUEUE,
    FL_STATEMENT_DISPATCH,
    FL_STATEMENT_DISPATCHED,
    FL_STATEMENT_BEGIN,
    FL_STATEMENT_BEGIN_SUSPECT,
    FL_STATEMENT_POSTPONE,
    FL_STATEMENT_SUSPECT,
    FL_STATEMENT_TIDY,
    FL_STATEMENT_CONTROL,
    FL_STATEMENT_COMMIT_CHAPTERS,
    FL_STATEMENT_COMMIT_TRANSCRIPT,
    FL_STATEMENT_COMMIT_DELETE,
    FL_STATEMENT_STAGE,
    FL_STATEMENT_COMMIT_STAGED,
};

#endif
