/* pg.h - one non-blocking libpq connection in pipeline mode on an event loop.
 *
 * It carries one batch at a time: some statements, sent without waiting, then a sync. The batch is told of
 * every result and of its end. Statements are prepared on first use, inside the same pipeline. */
#ifndef FL_IO_PG_H
#define FL_IO_PG_H

#include <libpq-fe.h>
#include <uv.h>

#include "fenceline/err.h"
#include "fenceline/types.h"

/* A statement that is prepared once per connection. types = parameter OIDs, 0 = let the server infer. */
struct fl_pg_statement {
    const char *name, *sql;
    int param_count;
    const Oid *types;
};

/* One bound parameter. bytes NULL = SQL null. format 1 = binary, 0 = text (then NUL-terminated). */
struct fl_pg_param {
    const char *bytes;
    int length, format;
};

enum { FL_PG_STATEMENTS = 32, FL_PG_PARAMS = 20, FL_PG_BATCH = 64 };

struct fl_pg;

struct fl_pg_events {
    void *owner;
    /* Connected, set up, and idle: give it a batch, or not. Also after each batch. */
    void (*idle)(void *owner, struct fl_pg *pg);
    /* Result number `index` of the batch (statements in the order they were sent). Borrowed. One more, with
     * an error, if what stood outside of BEGIN and COMMIT could not be committed in the end. */
    void (*result)(void *owner, struct fl_pg *pg, int index, const PGresult *result);
    /* A batch that is sent in pieces (fl_pg_send_pieces) has no more to send: adds the next piece, or the
     * last, and then returns false. NULL where there are no such batches. */
    bool (*more)(void *owner, struct fl_pg *pg);
    /* The batch is over: FL_OK = every result was delivered and the server is in sync. FL_LOST = the
     * connection broke or timed out; what was not delivered is unknown. The connection is closed then. */
    void (*batch_end)(void *owner, struct fl_pg *pg, fl_status status, const struct fl_err *err);
    /* It could not be opened, or broke while idle. It is closed now. */
    void (*down)(void *owner, struct fl_pg *pg, const struct fl_err *err);
    /* A NOTIFY on a channel that the connection listens to. Borrowed. May be NULL. */
    void (*notified)(void *owner, struct fl_pg *pg, const char *payload);
};

enum fl_pg_state { FL_PG_CLOSED, FL_PG_CONNECTING, FL_PG_SETUP, FL_PG_IDLE, FL_PG_BUSY, FL_PG_CLEANUP };

struct fl_pg {
    uv_loop_t *loop;
    const char *dsn, *name;
    int64_t timeout_ms;
    struct fl_pg_events events;
    enum fl_pg_state state;
    PGconn *conn;
    uv_poll_t *poll; /* heap: outlives a closed connection until libuv has let go of it */
    int poll_fd, poll_events;
    uv_timer_t timer;
    int idle_ticks;                    /* timer ticks without any byte from the server */
    uint32_t prepared, preparing;      /* bit per statement id: by now; by the batch in flight */
    int16_t prepares[FL_PG_BATCH * 2]; /* per result to come: the statement id it prepares, or -1 */
    int sent_count, result_count, delivered_count;
    bool has_more;   /* the batch in flight is being sent in pieces, and this was not the last */
    bool got_result; /* of the statement whose results are being read */
    int32_t backend_pid;
    int64_t backend_start_us;
    struct fl_err setup_err; /* why this session cannot be used */
    const char *warm_up; /* SQL that a new session runs first, whatever comes of it; NULL: none. Borrowed */
};

/* A closed connection; opens nothing. dsn and name are borrowed. dsn "" = libpq's own PG* variables; name is
 * what pg_stat_activity.application_name shows ("fenceline worker@host:pid"), as far as it fits. */
void fl_pg_init(struct fl_pg *pg, uv_loop_t *loop, const char *dsn, const char *name, int64_t timeout_ms,
                const struct fl_pg_events *events);

/* Starts to connect. Answers with idle or down, never before it returns. Only when FL_PG_CLOSED. */
void fl_pg_open(struct fl_pg *pg);

/* Closes the connection now; a batch in flight ends as FL_LOST, from within this call. init'ed again after.
 */
void fl_pg_close(struct fl_pg *pg);

/* Closes for good; the memory of *pg may go when the loop has run once more (handles are closed by it). */
void fl_pg_release(struct fl_pg *pg);

/* While idle, or within more(): adds one statement to the next batch; id < FL_PG_STATEMENTS names it on this
 * connection. Strings are copied. A failure shows in send. */
void fl_pg_add(struct fl_pg *pg, int id, const struct fl_pg_statement *statement,
               const struct fl_pg_param *params);

/* Adds a plain command without parameters: "BEGIN", "COMMIT". */
void fl_pg_add_command(struct fl_pg *pg, const char *sql);

/* Sends what was added, with a sync behind it; the connection is busy until batch_end. */
void fl_pg_send(struct fl_pg *pg);

/* The same for a batch that is too large to be in memory at once: whenever all that was added is on its way,
 * more() adds the next piece, in a turn of the loop of its own. At most FL_PG_BATCH pieces. */
void fl_pg_send_pieces(struct fl_pg *pg);

#endif
