/* import_rig.h - for the tests of core/import.c: one import, a small world that answers it, and a ledger that
 * checks after every step what must hold whatever happens.
 *
 * rig_feed sends one event; rig_answer lets the world answer the action in flight (the Redis and Postgres of
 * the protocol, in memory); rig_lose does the same and loses the reply. The trace holds the names of all
 * actions, and "wait" for each pause, in order. */
#ifndef FL_TESTS_IMPORT_RIG_H
#define FL_TESTS_IMPORT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "fenceline/import.h"

enum {
    RIG_TRACE_BYTES = 4096,
    RIG_START_MS = 1000000,
    RIG_MARK_PID = 4242,
    RIG_TTL_MS = 30000,
    RIG_LEASE_MAX_MS = 600000,
    RIG_STALL_MS = 60000,
    RIG_WAIT_LOCK_MS = 120000,
    RIG_BACKOFF_BASE_MS = 100,
    RIG_BACKOFF_MAX_MS = 5000,
    RIG_LOOK_MS = 2000,
    RIG_ATTEMPTS = 4,
    RIG_OLD_OPS = 8,
};

static const struct {
    const char *name;
    enum fl_event_type answer;
} RIG_ACTIONS[] = {
    [FL_ACTION_NONE] = {"none", FL_EVENT_START},
    [FL_ACTION_READ] = {"read", FL_EVENT_READ},
    [FL_ACTION_ENSURE] = {"ensure", FL_EVENT_ENSURED},
    [FL_ACTION_LEASE] = {"lease", FL_EVENT_LEASED},
    [FL_ACTION_LEASE_CHECK] = {"lease-check", FL_EVENT_LEASE_SEEN},
    [FL_ACTION_CLAIM] = {"claim", FL_EVENT_CLAIMED},
    [FL_ACTION_CLAIM_CHECK] = {"claim-check", FL_EVENT_CLAIM_SEEN},
    [FL_ACTION_FETCH] = {"fetch", FL_EVENT_FETCHED},
    [FL_ACTION_PARSE] = {"parse", FL_EVENT_PARSED},
    [FL_ACTION_COMMIT] = {"commit", FL_EVENT_COMMITTED},
    [FL_ACTION_RESOLVE] = {"resolve", FL_EVENT_RESOLVED},
    [FL_ACTION_DECIDE] = {"decide", FL_EVENT_DECIDED},
    [FL_ACTION_RELEASE] = {"release", FL_EVENT_RELEASED},
    [FL_ACTION_ACK] = {"ack", FL_EVENT_ACKED},
    [FL_ACTION_RENEW] = {"renew", FL_EVENT_RENEWED},
};

/* What Postgres and Redis hold. */
struct world {
    struct fl_answer row; /* the job's */
    bool job_missing;
    bool episode_found, document_found, document_deleted;
    int64_t document_version, document_rank, rank;
    int64_t version, fence;
    struct fl_nonce claim_nonce;
    int64_t counter;
    int64_t other_remaining_ms; /* > 0: somebody else holds the lease */
    bool lease_present;
    struct fl_nonce lease_nonce;
    int64_t lease_token;
    bool commit_pending; /* sent, not applied yet; its reply is lost already */
    int64_t pending_version, pending_token;
    struct fl_nonce pending_nonce;
    unsigned effects;            /* documents written by this job */
    fl_status load;              /* of FETCH or PARSE, where load_at says */
    enum fl_action_type load_at; /* FL_ACTION_FETCH or FL_ACTION_PARSE */
};

/* An operation that was given out: old ones are answered late on purpose. */
struct rig_op {
    enum fl_action_type type;
    uint32_t op;
};

struct rig {
    struct fl_import_policy policy;
    struct fl_import import;
    struct world world;
    struct fl_action action; /* the last one */
    struct rig_op flying;    /* main operation waiting for its answer; FL_ACTION_NONE = none */
    struct rig_op renewal;
    struct rig_op old[RIG_OLD_OPS];
    size_t old_count;
    uint32_t top_op;
    int64_t now_ms;
    uint64_t random, progress;
    bool frozen; /* the work makes no progress */
    unsigned steps, commits, reads, leases, poisoned_notes;
    /* the ledger */
    unsigned commits_since_read;
    bool claimed, release_due;
    struct fl_token claimed_token;
    struct fl_nonce claimed_nonce, lease_nonce;
    char trace[RIG_TRACE_BYTES];
    size_t trace_len;
};

static inline uint64_t rig_random(struct rig *rig)
{
    uint64_t z = (rig->random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline void rig_trace(struct rig *rig, const char *word)
{
    size_t room = sizeof(rig->trace) - rig->trace_len;
    int n = snprintf(rig->trace + rig->trace_len, room, "%s%s", rig->trace_len ? " " : "", word);
    if (n > 0 && (size_t)n < room)
        rig->trace_len += (size_t)n;
    else
        rig->trace[rig->trace_len] = '\0';
}

/* Forgets the trace so far. */
static inline void rig_mark(struct rig *rig)
{
    rig->trace_len = 0;
    rig->trace[0] = '\0';
}

static inline bool rig_nonce_eq(struct fl_nonce a, struct fl_nonce b)
{
    return memcmp(a.hex, b.hex, FL_NONCE_LEN) == 0;
}

static inline void rig_init(struct rig *rig, enum fl_mode mode)
{
    *rig = (struct rig){
        .policy = {.lease_ttl_ms = RIG_TTL_MS,
                   .lease_max_ms = RIG_LEASE_MAX_MS,
                   .lease_stall_ms = RIG_STALL_MS,
                   .wait_lock_ms = RIG_WAIT_LOCK_MS,
                   .backoff_base_ms = RIG_BACKOFF_BASE_MS,
                   .backoff_max_ms = RIG_BACKOFF_MAX_MS,
                   .look_ms = RIG_LOOK_MS,
                   .max_attempts = RIG_ATTEMPTS},
        .world = {.episode_found = true, .rank = 7, .version = 0, .fence = 0},
        .now_ms = RIG_START_MS,
        .random = 1,
    };
    struct fl_import_job job = {
        .job_id = 7, .episode = FL_SLICE("ep39"), .kind = FL_CHAPTERS, .mode = mode, .if_version = 0};
    fl_import_init(&rig->import, &job, &rig->policy);
}

/* ---- the ledger ---- */

static inline void rig_note_event(struct rig *rig, const struct fl_event *event)
{
    if (event->type == FL_EVENT_RENEWED) {
        if (event->op == rig->renewal.op)
            rig->renewal = (struct rig_op){FL_ACTION_NONE, 0};
        return;
    }
    if (rig->flying.type == FL_ACTION_NONE || event->op != rig->flying.op ||
        event->type != RIG_ACTIONS[rig->flying.type].answer)
        return;
    rig->flying.type = FL_ACTION_NONE;
    bool ok = event->status == FL_OK;
    const struct fl_import *import = &rig->import;
    if (event->type == FL_EVENT_LEASED && (event->status == FL_LOST || (ok && event->leased.granted)))
        rig->release_due = true;
    if (event->type == FL_EVENT_LEASE_SEEN && ok && !event->lease_seen.mine)
        rig->release_due = false;
    if ((event->type == FL_EVENT_CLAIMED && ok && event->claimed.claimed) ||
        (event->type == FL_EVENT_CLAIM_SEEN && ok && event->claim_seen.fence.n == import->lease.token.n &&
         rig_nonce_eq(event->claim_seen.nonce, import->lease.nonce))) {
        rig->claimed = true;
        rig->claimed_token = import->lease.token;
        rig->claimed_nonce = import->lease.nonce;
    }
}

static inline void rig_check_main_action(struct rig *rig)
{
    const struct fl_import *import = &rig->import;
    /* House, "Async": one operation in flight. */
    assert_int_equal(rig->flying.type, FL_ACTION_NONE);
    assert_true(rig->action.op > rig->top_op);
    assert_int_equal(rig->action.op, import->op);
    rig->flying = (struct rig_op){rig->action.type, rig->action.op};
    if (rig->action.type == FL_ACTION_READ) {
        rig->reads++;
        rig->commits_since_read = 0;
        rig->claimed = false;
    }
    if (rig->action.type == FL_ACTION_LEASE) {
        rig->leases++;
        assert_false(rig->release_due);
        assert_int_equal(strlen(import->lease.nonce.hex), FL_NONCE_LEN);
        assert_true(import->lease.owed);
        assert_false(rig_nonce_eq(import->lease.nonce, rig->lease_nonce)); /* fresh each time */
        rig->lease_nonce = import->lease.nonce;
    }
    if (rig->action.type == FL_ACTION_RELEASE) {
        assert_true(rig_nonce_eq(import->lease.nonce, rig->lease_nonce));
        rig->release_due = false;
    }
    if (rig->action.type == FL_ACTION_COMMIT) {
        rig->commits++;
        assert_int_equal(++rig->commits_since_read, 1);
        assert_true(rig->claimed);
        assert_int_equal(rig->claimed_token.n, import->lease.token.n);
        assert_true(rig_nonce_eq(rig->claimed_nonce, import->lease.nonce));
    }
    if (rig->action.type == FL_ACTION_DECIDE)
        assert_int_not_equal(import->want, FL_OUTCOME_OPEN);
    if (rig->action.type == FL_ACTION_ACK)
        assert_false(rig->release_due);
}

static inline void rig_check_action(struct rig *rig, const struct fl_event *event)
{
    const struct fl_action *action = &rig->action;
    const struct fl_import *import = &rig->import;
    if (action->type == FL_ACTION_RENEW) {
        assert_true(action->op > rig->top_op);
        assert_int_not_equal(rig->flying.type, FL_ACTION_NONE);
        assert_int_not_equal(action->op, rig->flying.op);
        assert_true(rig_nonce_eq(import->lease.nonce, rig->lease_nonce));
        rig->renewal = (struct rig_op){action->type, action->op};
    } else if (action->type != FL_ACTION_NONE) {
        rig_check_main_action(rig);
    }
    if (action->type != FL_ACTION_NONE) {
        rig->top_op = action->op;
        rig->old[rig->old_count++ % RIG_OLD_OPS] = (struct rig_op){action->type, action->op};
        rig_trace(rig, RIG_ACTIONS[action->type].name);
    }
    if (import->state == FL_IMPORT_DONE) {
        assert_int_equal(rig->flying.type, FL_ACTION_NONE);
        assert_int_equal(action->wake_at_ms, FL_NEVER_MS);
        assert_false(rig->release_due);
        return;
    }
    /* Never stuck: either somebody will answer, or the clock will ring, and not at once again and again. */
    if (import->state == FL_IMPORT_WAIT)
        assert_true(action->wake_at_ms != FL_NEVER_MS);
    else
        assert_int_not_equal(rig->flying.type, FL_ACTION_NONE);
    if (event->type == FL_EVENT_TIME && action->type == FL_ACTION_NONE)
        assert_true(action->wake_at_ms > event->now_ms);
}

static inline void rig_feed(struct rig *rig, struct fl_event event)
{
    enum fl_import_state before = rig->import.state;
    event.now_ms = rig->now_ms;
    event.random[0] = rig_random(rig);
    event.random[1] = rig_random(rig);
    rig->progress += event.type != FL_EVENT_TIME && !rig->frozen;
    event.progress = rig->progress;
    rig_note_event(rig, &event);
    rig->action = fl_import_step(&rig->import, &event);
    rig->steps++;
    rig_check_action(rig, &event);
    if (rig->import.state == FL_IMPORT_WAIT && before != FL_IMPORT_WAIT)
        rig_trace(rig, "wait");
}

/* ---- the world ---- */

static inline bool world_mode_allows(const struct world *w, const struct fl_import_job *job)
{
    bool present = w->document_found && !w->document_deleted;
    switch (job->mode) {
    case FL_MODE_CREATE: return !present;
    case FL_MODE_IF_VERSION: return (present ? w->document_version : 0) == job->if_version;
    case FL_MODE_REPLACE:
    case FL_MODE_DELETE: break;
    }
    return true;
}

static inline bool world_superseded(const struct world *w)
{
    return w->document_found && w->document_rank > w->rank;
}

static inline void world_write(struct world *w, const struct fl_import_job *job, int64_t token)
{
    bool present = w->document_found && !w->document_deleted;
    bool is_delete = job->mode == FL_MODE_DELETE;
    w->row.outcome = !world_mode_allows(w, job) ? FL_OUTCOME_REJECTED
                     : world_superseded(w)      ? FL_OUTCOME_SUPERSEDED
                     : !is_delete               ? FL_OUTCOME_IMPORTED
                     : present                  ? FL_OUTCOME_DELETED
                                                : FL_OUTCOME_UNCHANGED;
    if (w->row.outcome != FL_OUTCOME_IMPORTED && w->row.outcome != FL_OUTCOME_DELETED)
        return;
    w->effects++;
    w->document_found = true;
    w->document_deleted = is_delete;
    w->document_rank = w->rank;
    w->document_version = w->version = token;
    w->row.version = is_delete ? 0 : token;
    w->row.row_count = is_delete ? 0 : 12;
}

static inline void world_read(const struct world *w, struct fl_event *event)
{
    event->read.job_found = !w->job_missing;
    event->read.episode_found = w->episode_found;
    event->read.document_found = w->document_found;
    event->read.document_deleted = w->document_deleted;
    event->read.answer = w->row;
    event->read.version.n = w->version;
    event->read.fence.n = w->fence;
    event->read.document_version = w->document_version;
    event->read.document_rank = w->document_rank;
    event->read.rank = w->rank;
}

static inline void world_lease(struct world *w, const struct fl_import *import, struct fl_event *event)
{
    if (w->other_remaining_ms > 0 || w->lease_present) {
        event->leased.granted = false;
        event->leased.remaining_ms = w->other_remaining_ms > 0 ? w->other_remaining_ms : RIG_TTL_MS;
        event->leased.holder = FL_SLICE("worker-2@host");
        return;
    }
    int64_t floor = w->counter > import->fence.n ? w->counter : import->fence.n;
    w->counter = w->lease_token = floor + 1;
    w->lease_present = true;
    w->lease_nonce = import->lease.nonce;
    event->leased.granted = true;
    event->leased.token.n = w->lease_token;
}

static inline bool world_lease_mine(const struct world *w, const struct fl_import *import)
{
    return w->lease_present && rig_nonce_eq(w->lease_nonce, import->lease.nonce);
}

static inline void world_claim(struct world *w, const struct fl_import *import, struct fl_event *event)
{
    if (w->version != import->version.n || w->fence != import->fence.n || import->lease.token.n <= w->fence)
        return;
    w->fence = import->lease.token.n;
    w->claim_nonce = import->lease.nonce;
    event->claimed.claimed = true;
}

static inline void world_commit(struct world *w, const struct fl_import *import, struct fl_event *event)
{
    if (w->version != import->version.n || w->fence != import->lease.token.n ||
        !rig_nonce_eq(w->claim_nonce, import->lease.nonce)) {
        event->committed.status = FL_COMMIT_STALE;
        return;
    }
    event->committed.status = FL_COMMIT_DECIDED;
    if (w->row.outcome == FL_OUTCOME_OPEN) {
        world_write(w, &import->job, import->lease.token.n);
        event->committed.status = FL_COMMIT_DONE;
    }
    event->committed.answer = w->row;
}

/* The commit whose reply was lost arrives after all. */
static inline void world_apply_pending(struct world *w, const struct fl_import *import)
{
    if (w->commit_pending && w->version == w->pending_version && w->fence == w->pending_token &&
        rig_nonce_eq(w->claim_nonce, w->pending_nonce) && w->row.outcome == FL_OUTCOME_OPEN)
        world_write(w, &import->job, w->pending_token);
    w->commit_pending = false;
}

static inline void world_resolve(struct world *w, struct fl_event *event)
{
    event->resolved.answer = w->row;
    event->resolved.status = w->row.outcome != FL_OUTCOME_OPEN ? FL_RESOLVED_DECIDED
                             : w->commit_pending               ? FL_RESOLVED_RUNNING
                                                               : FL_RESOLVED_NEVER;
    if (event->resolved.status == FL_RESOLVED_RUNNING)
        w->commit_pending = false; /* its backend was told to end */
}

static inline void world_decide(struct world *w, const struct fl_import *import, struct fl_event *event)
{
    bool rejects = import->want == FL_OUTCOME_REJECTED;
    bool supersedes = import->want == FL_OUTCOME_SUPERSEDED;
    if (w->row.outcome == FL_OUTCOME_OPEN && (rejects || supersedes)) {
        bool rejected = !world_mode_allows(w, &import->job), superseded = world_superseded(w);
        event->decided.ground_gone = !rejected && !superseded;
        if (event->decided.ground_gone)
            return;
        w->row.outcome = rejected ? FL_OUTCOME_REJECTED : FL_OUTCOME_SUPERSEDED;
    }
    if (w->row.outcome == FL_OUTCOME_OPEN)
        w->row.outcome = import->want;
    event->decided.answer = w->row;
}

/* Does what the action in flight asks for, and returns the truthful answer. */
static inline struct fl_event world_do(struct world *w, const struct fl_import *import, struct rig_op op)
{
    struct fl_event event = {.type = RIG_ACTIONS[op.type].answer, .op = op.op, .status = FL_OK};
    switch (op.type) {
    case FL_ACTION_READ: world_read(w, &event); break;
    case FL_ACTION_ENSURE: w->episode_found = true; break;
    case FL_ACTION_LEASE: world_lease(w, import, &event); break;
    case FL_ACTION_LEASE_CHECK:
        event.lease_seen.mine = world_lease_mine(w, import);
        event.lease_seen.token.n = w->lease_token;
        break;
    case FL_ACTION_CLAIM: world_claim(w, import, &event); break;
    case FL_ACTION_CLAIM_CHECK:
        event.claim_seen.fence.n = w->fence;
        event.claim_seen.nonce = w->claim_nonce;
        break;
    case FL_ACTION_FETCH:
    case FL_ACTION_PARSE: event.status = w->load_at == op.type ? w->load : FL_OK; break;
    case FL_ACTION_COMMIT: world_commit(w, import, &event); break;
    case FL_ACTION_RESOLVE: world_resolve(w, &event); break;
    case FL_ACTION_DECIDE: world_decide(w, import, &event); break;
    case FL_ACTION_RELEASE: w->lease_present = w->lease_present && !world_lease_mine(w, import); break;
    case FL_ACTION_RENEW: event.renewed.held = world_lease_mine(w, import); break;
    case FL_ACTION_ACK:
    case FL_ACTION_NONE: break;
    }
    return event;
}

/* ---- driving ---- */

static inline void rig_start(struct rig *rig)
{
    rig_feed(rig, (struct fl_event){.type = FL_EVENT_START});
}

static inline void rig_answer(struct rig *rig)
{
    rig_feed(rig, world_do(&rig->world, &rig->import, rig->flying));
}

/* The operation had no effect, for the reason status. */
static inline void rig_refuse(struct rig *rig, fl_status status)
{
    static struct fl_err err;
    (void)!fl_err_set(&err, status, "ep39: %s", fl_status_text(status));
    rig_feed(rig, (struct fl_event){.type = RIG_ACTIONS[rig->flying.type].answer,
                                    .op = rig->flying.op,
                                    .status = status,
                                    .err = &err});
}

/* The reply is lost; the operation took effect or not. */
static inline void rig_lose(struct rig *rig, bool applied)
{
    struct rig_op op = rig->flying;
    if (applied)
        (void)world_do(&rig->world, &rig->import, op);
    struct fl_event event = {.type = RIG_ACTIONS[op.type].answer, .op = op.op, .status = FL_LOST};
    if (op.type == FL_ACTION_COMMIT)
        event.mark = (struct fl_commit_mark){.xid = 900, .backend_pid = RIG_MARK_PID, .backend_start_us = 1};
    rig_feed(rig, event);
}

static inline void rig_answer_renewal(struct rig *rig)
{
    rig_feed(rig, world_do(&rig->world, &rig->import, rig->renewal));
}

static inline void rig_cancel(struct rig *rig)
{
    rig_feed(rig, (struct fl_event){.type = FL_EVENT_CANCEL});
}

static inline void rig_stop(struct rig *rig)
{
    rig_feed(rig, (struct fl_event){.type = FL_EVENT_STOP});
}

static inline void rig_wake(struct rig *rig)
{
    rig_feed(rig, (struct fl_event){.type = FL_EVENT_WOKEN});
}

/* The time asked for has come. */
static inline void rig_ring(struct rig *rig)
{
    assert_true(rig->action.wake_at_ms != FL_NEVER_MS);
    if (rig->now_ms < rig->action.wake_at_ms)
        rig->now_ms = rig->action.wake_at_ms;
    rig_feed(rig, (struct fl_event){.type = FL_EVENT_TIME});
}

/* Answers truthfully, and rings when there is nothing to answer, once. */
static inline void rig_next(struct rig *rig)
{
    if (rig->renewal.type != FL_ACTION_NONE)
        rig_answer_renewal(rig);
    else if (rig->flying.type != FL_ACTION_NONE)
        rig_answer(rig);
    else
        rig_ring(rig);
}

/* Truthful answers until the import stands in state (or, failing that, fails the test). */
static inline void rig_reach(struct rig *rig, enum fl_import_state state)
{
    for (int i = 0; i < 200 && rig->import.state != state; i++) {
        assert_int_not_equal(rig->import.state, FL_IMPORT_DONE);
        rig_next(rig);
    }
    assert_string_equal(fl_import_state_name(rig->import.state), fl_import_state_name(state));
}

static inline void rig_finish(struct rig *rig)
{
    rig_reach(rig, FL_IMPORT_DONE);
    if (rig->renewal.type != FL_ACTION_NONE)
        rig_answer_renewal(rig);
}

static inline void rig_assert_state(const struct rig *rig, enum fl_import_state state)
{
    assert_string_equal(fl_import_state_name(rig->import.state), fl_import_state_name(state));
}

/* Everything went as it should: this outcome, which is that of the row, and this exit code. */
static inline void rig_assert_end(const struct rig *rig, enum fl_outcome outcome, int exit_code)
{
    rig_assert_state(rig, FL_IMPORT_DONE);
    assert_string_equal(fl_outcome_name(rig->import.answer.outcome), fl_outcome_name(outcome));
    assert_string_equal(fl_outcome_name(rig->world.row.outcome), fl_outcome_name(outcome));
    assert_int_equal(rig->import.undecided, FL_OK);
    assert_int_equal(fl_import_exit_code(&rig->import), exit_code);
    assert_false(rig->world.lease_present);
    assert_int_equal(rig->world.effects, outcome == FL_OUTCOME_IMPORTED || outcome == FL_OUTCOME_DELETED);
}

#endif
