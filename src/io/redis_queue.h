/* redis_queue.h - the queue in Redis: three streams that one consumer group shares, the registry of workers,
 * and who dispatches (protocol, "Jobs").
 *
 * Keys: "fenceline:{queue}:high", ":normal", ":low" (streams, group "workers", field "job"), ":entries"
 * (hash: job -> entry id), ":idle" (sorted set: channels of workers with free slots), ":workers" (sorted set:
 * worker by its last heartbeat, ms of Redis' clock), ":info" (hash: worker -> JSON), ":dispatcher" ("<worker>
 * <channel>", with an expiry).
 *
 * Commands go over the connection of the leases. Each function starts one; its answer comes later, through
 * the event of its name, with FL_OK or why it did not work: then it may be started again. None of them is
 * needed for safety: what Redis forgets, Postgres still knows. */
#ifndef FL_IO_REDIS_QUEUE_H
#define FL_IO_REDIS_QUEUE_H

#include "io/redis_lease.h"

enum {
    FL_ENTRY_BYTES = 44,
    FL_TAKE_LIMIT = 256,
    FL_RESCUE_LIMIT = 64,
    FL_ADD_BATCH = 128,
    FL_FINISH_BATCH = 64
};

/* One entry of a stream, held by this worker until it is finished. Its owner's memory. */
struct fl_queue_entry {
    int64_t job_id;
    enum fl_priority priority;
    char id[FL_ENTRY_BYTES];
    bool give_back; /* set by finish */
    struct fl_link link;
};

/* Lengths of the streams, high first. */
struct fl_queue_depth {
    int64_t entries[FL_PRIORITY_COUNT];
};

struct fl_queue_events {
    void *owner;
    /* Entries that are this worker's now; borrowed, copy them. made: a group had to be made, so Redis was
     * empty. */
    void (*taken)(void *owner, fl_status status, const struct fl_queue_entry *entries, size_t count,
                  bool made);
    /* All that Redis says this worker holds; borrowed. made as above. */
    void (*recovered)(void *owner, const struct fl_queue_entry *entries, size_t count, bool made);
    /* The entry is gone from Redis, or given back; it is its owner's again. */
    void (*finished)(void *owner, struct fl_queue_entry *entry);
    void (*beaten)(void *owner, fl_status status, bool is_dispatcher);
    /* Any command did not work: why, for a human. Its own event follows. */
    void (*failed)(void *owner, const struct fl_err *err);
};

/* What only a dispatcher asks for. */
struct fl_dispatch_events {
    void *owner;
    void (*added)(void *owner, fl_status status);
    /* The first `count` of the ids that were asked for have no entry. */
    void (*checked)(void *owner, fl_status status, size_t count);
    /* Entries of dead workers, now held by this one, and whose they were; borrowed. */
    void (*rescued)(void *owner, fl_status status, const struct fl_queue_entry *entries,
                    const struct fl_slice *workers, size_t count);
};

struct fl_redis_queue {
    struct fl_redis_lease *lease;
    struct fl_queue_events events;
    struct fl_dispatch_events dispatch_events; /* the dispatcher fills it */
    char worker[FL_CHANNEL_BYTES];
    uv_prepare_t dispatch;    /* finished entries of a loop turn go out together */
    struct fl_link to_finish; /* entries */
    struct fl_link finishing; /* sent, in the order of the script's arguments */
    uint32_t loaded;          /* the connection (its number) that knows the scripts; 0 = none */
    bool finish_blocked;      /* it failed: try again with the next heartbeat */
    int finish_count;         /* entries of `finishing`; 0 = none in flight */
    bool recovering;          /* the take in flight is a recovery */
    bool taking, adding, checking, beating, rescuing;
    int add_parts; /* commands of one add still to be answered */
    fl_status add_status;
    struct fl_queue_id *check_ids;
    size_t check_count;
    uint32_t turn;               /* of the shares */
    struct fl_queue_depth depth; /* as last seen */
};

/* worker: this worker's id, without spaces; the lease's channel must be "fenceline:wake:<worker>". events is
 * copied. */
void fl_redis_queue_init(struct fl_redis_queue *queue, uv_loop_t *loop, struct fl_redis_lease *lease,
                         const char *worker, const struct fl_queue_events *events);

/* All return false if the command could not even be sent: then no event follows. */

/* Takes at most `want` (1 to FL_TAKE_LIMIT) entries, shared 11 : 4 : 1 between the priorities as far as there
 * are such; what one lacks, the others fill. With fewer than that, the worker is noted as idle: told "work"
 * when there is some. */
bool fl_redis_queue_take(struct fl_redis_queue *queue, size_t want);

/* Asks what Redis thinks this worker holds: the reply of a take may have been lost, and nobody else would
 * come for those entries as long as this worker lives. Not while a take is in flight; no event follows a
 * failure. */
bool fl_redis_queue_recover(struct fl_redis_queue *queue);

/* The job is decided or waits in Postgres again: its entry goes; or, to give it back, goes to whoever is
 * next. The entry stays where it is until finished(). Tried again for as long as it takes. */
void fl_redis_queue_finish(struct fl_redis_queue *queue, struct fl_queue_entry *entry, bool give_back);

/* Adds jobs, those that have no entry yet, and wakes idle workers. jobs is read at once. */
bool fl_redis_queue_add(struct fl_redis_queue *queue, const struct fl_queue_id *jobs, size_t count);

/* Which of these jobs have no entry? ids is borrowed until checked(), and reordered: those come first. */
bool fl_redis_queue_check(struct fl_redis_queue *queue, struct fl_queue_id *ids, size_t count);

/* A heartbeat with what the registry shows, a JSON object; dead_ms as in worker.dead_ms; would_dispatch: this
 * worker is able to. Also starts again what could not be finished. */
bool fl_redis_queue_beat(struct fl_redis_queue *queue, struct fl_slice info, int64_t dead_ms,
                         bool would_dispatch, struct fl_err *err);

/* Leaves the registry; the answer is beaten(). */
bool fl_redis_queue_leave(struct fl_redis_queue *queue);

/* Takes over at most FL_RESCUE_LIMIT entries of workers that are dead for dead_ms. */
bool fl_redis_queue_rescue(struct fl_redis_queue *queue, int64_t dead_ms);

/* Before fl_redis_lease_close, whose closing answers everything in flight. Entries that were not finished are
 * their owner's again without an event. */
void fl_redis_queue_close(struct fl_redis_queue *queue);

#endif
