/* import.h - one import as a value and one pure function: (state, event) -> (state, action).
 *
 * The core decides, adapters act (house, "One idea"). It has no clock, no randomness and no I/O: time and
 * random numbers come inside events, every reply comes as an event, everything to be done goes out as an
 * action. The order of the steps is that of the protocol and must not be changed here without a run of the
 * model.
 *
 *     READ -> LEASE -> CLAIM -> FETCH -> PARSE -> COMMIT -> RELEASE -> ACK -> DONE
 *     decided -> ACK              mode forbids -> DECIDE -> ACK         busy -> WAIT -> READ
 *     claim lost, lease lost, stale -> RELEASE -> WAIT -> READ
 *     lost reply of the acquire -> LEASE_CHECK     of the claim -> CLAIM_CHECK     of the commit -> RESOLVE
 *     cancel: before the commit is sent -> DECIDE (cancelled); after it, its answer counts
 *     stop: before the commit is sent -> RELEASE -> ACK, undecided; after it, its answer counts */
#ifndef FENCELINE_IMPORT_H
#define FENCELINE_IMPORT_H

#include "fenceline/document.h"
#include "fenceline/err.h"
#include "fenceline/types.h"

#define FL_IMPORT_STATES(X)                                                                                  \
    X(READ, "read")                                                                                          \
    X(ENSURE, "ensure")                                                                                      \
    X(LEASE, "lease")                                                                                        \
    X(LEASE_CHECK, "lease-check")                                                                            \
    X(CLAIM, "claim")                                                                                        \
    X(CLAIM_CHECK, "claim-check")                                                                            \
    X(FETCH, "fetch")                                                                                        \
    X(PARSE, "parse")                                                                                        \
    X(COMMIT, "commit")                                                                                      \
    X(RESOLVE, "resolve")                                                                                    \
    X(DECIDE, "decide")                                                                                      \
    X(RELEASE, "release")                                                                                    \
    X(WAIT, "wait")                                                                                          \
    X(ACK, "ack")                                                                                            \
    X(DONE, "done")

enum fl_import_state {
#define X(name, text) FL_IMPORT_##name,
    FL_IMPORT_STATES(X)
#undef X
        FL_IMPORT_STATE_COUNT
};

/* Limits and times of all imports of a process; filled from the settings. */
struct fl_import_policy {
    int64_t lease_ttl_ms;   /* PX of the lease; > 0 */
    int64_t lease_max_ms;   /* renewal ends this long after the lease was taken */
    int64_t lease_stall_ms; /* renewal ends after this long without progress */
    int64_t wait_lock_ms;   /* how long to wait for a busy episode */
    int64_t backoff_base_ms, backoff_max_ms;
    int64_t look_ms; /* a waiter that nobody wakes looks again after 1/2 to 1 of this */
    uint32_t max_attempts;
    int64_t patience_ms; /* a server that is away may be away this long, however many attempts that takes */
    bool hand_back;      /* an operating error ends the import undecided: its queue tries it again later */
};

/* The job as far as the core needs it. episode is borrowed and outlives the import. */
struct fl_import_job {
    int64_t job_id;
    struct fl_slice episode;
    enum fl_kind kind;
    enum fl_mode mode;
    int64_t if_version; /* FL_MODE_IF_VERSION only; 0 = must not exist */
};

/* What the job's row says in the end: every answer anyone gets is this (protocol, "Words": outcome). */
struct fl_answer {
    enum fl_outcome outcome;
    int64_t version;   /* of the document, 0 if there is none */
    int64_t row_count; /* of the document */
    char message[FL_ERR_TEXT_BYTES];
};

/* Where a commit was sent: what step 6 needs if its reply is lost. */
struct fl_commit_mark {
    uint64_t xid;             /* 0 = not known yet */
    int32_t backend_pid;      /* 0 = the commit was certainly never sent */
    int64_t backend_start_us; /* pg_stat_activity.backend_start, microseconds since 1970 */
};

/* The lease of one acquisition (core/lease.c). */
struct fl_lease {
    struct fl_nonce nonce;
    struct fl_token token;
    bool owed;           /* an acquire may have taken effect: compare-and-delete is due */
    bool held, lost;     /* granted; known to be gone */
    int64_t granted_ms;  /* when the acquire that was granted had been sent */
    int64_t deadline_ms; /* local end: counted from when the command was SENT */
    int64_t renew_at_ms; /* next renewal; FL_NEVER_MS = no more */
    int64_t renew_sent_ms;
    uint32_t renew_op; /* 0 = no renewal in flight */
    uint32_t renewals;
    uint64_t progress; /* as last seen, and when it last changed */
    int64_t progress_ms;
};

/* When an attempt reached what; ms of CLOCK_BOOTTIME. For reports only. */
struct fl_import_times {
    int64_t started_ms; /* the first read */
    int64_t leased_ms, claimed_ms;
    int64_t loaded_ms; /* the commit is due */
};

enum fl_event_type {
    FL_EVENT_START,
    FL_EVENT_READ,
    FL_EVENT_ENSURED,
    FL_EVENT_LEASED,
    FL_EVENT_LEASE_SEEN,
    FL_EVENT_CLAIMED,
    FL_EVENT_CLAIM_SEEN,
    FL_EVENT_FETCHED,
    FL_EVENT_PARSED,
    FL_EVENT_COMMITTED,
    FL_EVENT_RESOLVED,
    FL_EVENT_DECIDED,
    FL_EVENT_RELEASED,
    FL_EVENT_ACKED,
    FL_EVENT_RENEWED, /* answers a renewal, which runs beside the main operation */
    FL_EVENT_TIME,    /* the time asked for in wake_at_ms has come */
    FL_EVENT_WOKEN,   /* somebody released the episode */
    FL_EVENT_CANCEL,
    FL_EVENT_STOP, /* hand the job back, undecided */
};

enum fl_commit_status {
    FL_COMMIT_DONE,    /* answer is in the row, the transaction's command tag was COMMIT */
    FL_COMMIT_STALE,   /* the claim is no longer mine: nothing was written, the job is undecided */
    FL_COMMIT_DECIDED, /* somebody had decided the job: nothing was written, answer is theirs */
};

enum fl_resolve_status {
    FL_RESOLVED_DECIDED, /* answer is in the row */
    FL_RESOLVED_NEVER,   /* the transaction is over and did not decide the job */
    FL_RESOLVED_RUNNING, /* its backend was told to end: ask again */
};

/* What step 1 of the protocol reads, in one snapshot. */
struct fl_reading {
    bool job_found, episode_found, document_found, document_deleted;
    struct fl_answer answer; /* outcome FL_OUTCOME_OPEN = undecided */
    struct fl_version version;
    struct fl_fence fence;
    int64_t document_version, document_rank, rank;
};

/* One answer or occurrence. `status` FL_OK means that the union member of `type` is valid; FL_LOST that the
 * operation may or may not have taken effect; anything else that it had none, with the reason in err
 * (borrowed, may be NULL). now_ms is CLOCK_BOOTTIME, random fresh at every event. */
struct fl_event {
    enum fl_event_type type;
    uint32_t op; /* of the action that this answers */
    fl_status status;
    const struct fl_err *err;
    int64_t now_ms;
    uint64_t random[2];
    uint64_t progress; /* anything that grows while the work moves */
    union {
        struct fl_reading read;
        struct {
            bool granted;
            struct fl_token token;  /* granted */
            int64_t remaining_ms;   /* busy: time left of the other's lease */
            struct fl_slice holder; /* busy: who; borrowed, for messages only */
        } leased;
        struct {
            bool mine;
            struct fl_token token;
        } lease_seen;
        struct {
            bool claimed;
        } claimed;
        struct {
            struct fl_fence fence;
            struct fl_nonce nonce;
        } claim_seen;
        struct {
            enum fl_commit_status status;
            struct fl_answer answer;
        } committed;
        struct {
            enum fl_resolve_status status;
            struct fl_answer answer;
        } resolved;
        struct {
            bool ground_gone; /* nothing was written: decide again from step 1 */
            struct fl_answer answer;
        } decided;
        struct {
            bool held;
        } renewed;
    };
    struct fl_commit_mark mark; /* FL_EVENT_COMMITTED with FL_LOST: where it was sent */
};

enum fl_action_type {
    FL_ACTION_NONE,
    FL_ACTION_READ,        /* step 1: outcome, version, fence, document in one snapshot */
    FL_ACTION_ENSURE,      /* step 1: insert the episode's row if there is none */
    FL_ACTION_LEASE,       /* step 2 */
    FL_ACTION_LEASE_CHECK, /* step 2, reply lost: whose is the lease? */
    FL_ACTION_CLAIM,       /* step 3 */
    FL_ACTION_CLAIM_CHECK, /* step 3, reply lost: whose is the claim? */
    FL_ACTION_FETCH,       /* step 4: bytes of the source */
    FL_ACTION_PARSE,       /* step 4: bytes to document */
    FL_ACTION_COMMIT,      /* step 5 */
    FL_ACTION_RESOLVE,     /* step 6 */
    FL_ACTION_DECIDE,      /* step 7: write the outcome want/want_message, or the ground found there */
    FL_ACTION_RELEASE,     /* step 8: compare the nonce, delete, wake one waiter */
    FL_ACTION_ACK,         /* step 8: hand the answer to whoever handed out the job */
    FL_ACTION_RENEW,       /* step 4: compare the nonce, then PEXPIRE; runs beside the main operation */
};

struct fl_action {
    enum fl_action_type type;
    uint32_t op;        /* goes into the answering event; for FL_ACTION_RENEW it is the renewal's own */
    int64_t wake_at_ms; /* send FL_EVENT_TIME then; replaces the time asked for before; FL_NEVER_MS = none */
    const char *note;   /* static text worth a log line, or NULL */
};

/* All of one import. Public so that callers can place it; only core/ writes it. */
struct fl_import {
    const struct fl_import_policy *policy;
    struct fl_import_job job;
    enum fl_import_state state;
    enum fl_import_state after_wait, after_release;
    uint32_t op, last_op;      /* in flight; last one given out */
    struct fl_version version; /* read in step 1 */
    struct fl_fence fence;     /* read in step 1, never raised in place: the claim compares it */
    struct fl_lease lease;
    struct fl_commit_mark mark;
    enum fl_outcome want;    /* what DECIDE is to write */
    struct fl_err want_err;  /* why; its text is the job's message */
    struct fl_answer answer; /* valid in ACK and DONE, unless undecided */
    fl_status undecided;     /* not FL_OK: gave up without an outcome in the row; want_err says why */
    struct fl_import_times times;
    bool cancel;       /* a cancel was asked for */
    bool stop;         /* to be handed back undecided, unless its commit was sent */
    bool stopped;      /* and so it was: undecided, and nothing went wrong */
    bool gave_up_busy; /* cancelled because somebody held the episode for too long */
    bool for_lease;    /* WAIT: a release by the holder wakes this import */
    const char *note;  /* for the next action */
    uint32_t attempts; /* operating errors so far */
    uint32_t resolve_attempts;
    uint32_t absences;       /* times that a server was away */
    uint32_t stale_count;    /* claims and leases lost to others */
    uint32_t dropped_events; /* late answers to old operations */
    int64_t trouble_since_ms,
        trouble_last_ms;   /* first and last error of an absence; since FL_NEVER_MS = none */
    int64_t busy_since_ms; /* FL_NEVER_MS = not waiting for anybody */
    int64_t wait_until_ms;
};

/* Makes *import ready for its FL_EVENT_START. policy is borrowed. */
void fl_import_init(struct fl_import *import, const struct fl_import_job *job,
                    const struct fl_import_policy *policy);

/* The step. Pure: reads and writes *import only. A late answer (its op is not the one in flight) is dropped
 * and counted. An event that the state does not allow, or a move that the table does not list, is a bug and
 * aborts. */
struct fl_action fl_import_step(struct fl_import *import, const struct fl_event *event);

/* "read", "claim", ...: static text for logs and tests. */
const char *fl_import_state_name(enum fl_import_state state);

/* "create", "replace", "if-version", "delete"; from_name returns false for any other. */
const char *fl_mode_name(enum fl_mode mode);
bool fl_mode_from_name(struct fl_slice name, enum fl_mode *mode);

/* "imported", ...; FL_OUTCOME_OPEN is "open". from_name gives FL_OUTCOME_OPEN for an unknown or absent name.
 */
const char *fl_outcome_name(enum fl_outcome outcome);
enum fl_outcome fl_outcome_from_name(struct fl_slice name);

/* Exit code of the finished import (product, "Exit codes"). */
int fl_import_exit_code(const struct fl_import *import);

#endif
