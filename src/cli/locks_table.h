/* locks_table.h - locks as rows of a table and as JSON, for `locks list`, `show` and `watch`. */
#ifndef FL_CLI_LOCKS_TABLE_H
#define FL_CLI_LOCKS_TABLE_H

#include "app/locks.h"
#include "cli/args.h"
#include "cli/print.h"

/* Limit of the arena of one reading: some 2 KiB a lock. */
#define FL_LOCKS_ARENA_BYTES ((size_t)2 << 30)

struct fl_pg_sync;
struct fl_redis_sync;

/* Both servers, for one reading or several. redis NULL: it cannot be reached; redis_err says why. */
struct fl_locks_servers {
    struct fl_pg_sync *pg;
    struct fl_redis_sync *redis;
    struct fl_err redis_err;
};

/* Connects to both and checks the schema. Without Redis it goes on. Close it in any case. */
FL_CHECKED fl_status fl_locks_open(struct fl_locks_servers *servers, const struct fl_settings *settings,
                                   struct fl_err *err);
void fl_locks_close(struct fl_locks_servers *servers);

/* Reads into the arena; episode NULL = all. Errors as in fl_locks_read. */
FL_CHECKED fl_status fl_locks_ask(struct fl_locks *locks, struct fl_locks_servers *servers,
                                  struct fl_arena *arena, const struct fl_settings *settings,
                                  const char *episode, struct fl_err *err);

/* Keeps the rows that the options choose: --verdict, --older-than, --worker, --episode. */
void fl_locks_filter(struct fl_locks *locks, const struct fl_args *args);

/* The rows as they are; the locks must stay where they are. */
struct fl_table fl_locks_table(const struct fl_locks *locks);

/* How many rows should somebody look at? */
size_t fl_locks_needing_person(const struct fl_locks *locks);

/* "ep39 (job 41): stalled, no step for 3m12s; session 4711 waits for Lock/transactionid, held up by 4712 (in
 * a transaction for 3m12s)": what is wrong with one. One line, with its end. */
void fl_locks_print_trouble(FILE *out, const struct fl_lock *lock);

/* What to do about that: a line for each verdict among the locks (in their order) that needs a person. */
void fl_locks_print_advice(FILE *out, const struct fl_locks *locks);

/* "ep39: held by worker@host:4711 for job 41 (claimed, token 9, for 3m12s, its lease lives for 4s)"; one
 * line. */
void fl_locks_print_holder(FILE *out, const struct fl_lock *lock);

/* Whether its process lives, by its heartbeat, and what a break would cost it; one line. */
void fl_locks_print_alive(FILE *out, const struct fl_lock *lock, int64_t dead_ms);

/* The "worker@host:pid" of a holder, taken apart: host and pid absent or -1 where it is of another form. */
struct fl_slice fl_holder_host(struct fl_slice holder);
int64_t fl_holder_pid(struct fl_slice holder);

#endif
