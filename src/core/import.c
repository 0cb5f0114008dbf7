/* import.c - the state machine of one import (protocol, steps 1 to 8; the picture is in import.h).
 *
 * Happy path: READ, LEASE, CLAIM, FETCH, PARSE, COMMIT, RELEASE, ACK, DONE, one answer a state.
 * Failure modes: an answer that says "no effect" is tried again from step 1, with backoff, up to
 * policy->max_attempts; an answer that was lost is looked up in the state made for it; whoever has been
 * overtaken starts again at step 1, where the job's row tells what happened. */
#include "fenceline/import.h"

#include <inttypes.h>

#include "base/assert.h"
#include "base/slice.h"
#include "core/fence.h"
#include "core/lease.h"
#include "core/retry.h"

enum { RESOLVE_ATTEMPTS = 8, STALE_LIMIT = 200 };

#define BIT(state) (1u << FL_IMPORT_##state)

typedef enum fl_import_state answer_function(struct fl_import *im, const struct fl_event *ev);

void fl_import_init(struct fl_import *im, const struct fl_import_job *job,
                    const struct fl_import_policy *policy)
{
    *im = (struct fl_import){
        .policy = policy,
        .job = *job,
        .state = FL_IMPORT_WAIT,
        .after_wait = FL_IMPORT_READ,
        .busy_since_ms = FL_NEVER_MS,
        .trouble_since_ms = FL_NEVER_MS,
        .lease.renew_at_ms = FL_NEVER_MS,
    };
}

/* ---- moves that several states share ---- */

/* Gives the lease back first, if an acquire may have taken effect. */
static enum fl_import_state release_then(struct fl_import *im, enum fl_import_state next)
{
    if (!im->lease.owed)
        return next;
    im->after_release = next;
    return FL_IMPORT_RELEASE;
}

static enum fl_import_state pause_then(struct fl_import *im, const struct fl_event *ev, uint32_t attempt,
                                       enum fl_import_state next)
{
    int64_t delay_ms =
        fl_retry_delay_ms(attempt, im->policy->backoff_base_ms, im->policy->backoff_max_ms, ev->random[0]);
    im->after_wait = next;
    im->for_lease = false;
    im->wait_until_ms = ev->now_ms + delay_ms;
    return next == FL_IMPORT_READ ? release_then(im, FL_IMPORT_WAIT) : FL_IMPORT_WAIT;
}

static enum fl_import_state decide(struct fl_import *im, enum fl_outcome want)
{
    im->want = want;
    return FL_IMPORT_DECIDE;
}

static enum fl_import_state answered(struct fl_import *im, const struct fl_answer *answer)
{
    im->answer = *answer;
    return release_then(im, FL_IMPORT_ACK);
}

static enum fl_import_state leave_undecided(struct fl_import *im, fl_status why)
{
    im->undecided = why;
    return release_then(im, FL_IMPORT_ACK);
}

static void keep_error(struct fl_import *im, const struct fl_event *ev)
{
    if (ev->err)
        im->want_err = *ev->err;
    else
        fl_err_set(&im->want_err, ev->status, "%s", fl_status_text(ev->status));
    im->want_err.code = ev->status;
}

/* A server that restarts must not cost a job: while it is away, attempts alone do not give up. Errors that
 * are far apart are different absences; their number is limited as that of the attempts is. */
static bool is_patient(struct fl_import *im, const struct fl_event *ev)
{
    bool is_new =
        im->trouble_since_ms == FL_NEVER_MS || ev->now_ms - im->trouble_last_ms > im->policy->patience_ms;
    if (is_new) {
        im->trouble_since_ms = ev->now_ms;
        im->absences++;
    }
    im->trouble_last_ms = ev->now_ms;
    bool away = ev->status == FL_UNAVAILABLE || ev->status == FL_LOST;
    return away && ev->now_ms - im->trouble_since_ms < im->policy->patience_ms &&
           im->absences <= im->policy->max_attempts;
}

/* For a queue, which can try again much later: what has to do with the job's place and time, not with its
 * input. */
static bool is_temporary(fl_status status)
{
    return fl_status_retryable(status) || status == FL_USAGE || status == FL_UNREADABLE;
}

/* The operation had no effect (or one that step 1 will see): again from step 1, or give up. */
static enum fl_import_state retry(struct fl_import *im, const struct fl_event *ev)
{
    keep_error(im, ev);
    im->attempts++;
    if (im->policy->hand_back && is_temporary(ev->status)) {
        im->stopped = im->stop; /* then the error may be the stop's own: a connection that was closed */
        return leave_undecided(im, ev->status);
    }
    bool patient = is_patient(im, ev);
    if (!fl_status_retryable(ev->status) || (im->attempts >= im->policy->max_attempts && !patient))
        return decide(im, FL_OUTCOME_FAILED);
    return pause_then(im, ev, im->attempts - 1, FL_IMPORT_READ);
}

/* Somebody else has, or may have, the episode now. Not an error: from step 1, after a jittered pause. */
static enum fl_import_state overtaken(struct fl_import *im, const struct fl_event *ev)
{
    im->stale_count++;
    im->note = im->lease.held && fl_lease_is_over(&im->lease, ev->now_ms)
                   ? "the lease ran out before the work was done; starting over"
                   : "another import has the episode now; starting over";
    if (im->stale_count >= STALE_LIMIT && im->want == FL_OUTCOME_OPEN) {
        fl_err_set(&im->want_err, FL_FAILED,
                   "%.*s: overtaken by other imports %" PRIu32 " times in a row; gave up",
                   FL_ARGS(im->job.episode), im->stale_count);
        return decide(im, FL_OUTCOME_FAILED);
    }
    return pause_then(im, ev, im->stale_count > 4 ? 4 : im->stale_count, FL_IMPORT_READ);
}

/* ---- one function a state, in the order of the arrow ---- */

static bool mode_forbids(const struct fl_import *im, const struct fl_event *ev)
{
    bool present = ev->read.document_found && !ev->read.document_deleted;
    switch (im->job.mode) {
    case FL_MODE_CREATE: return present;
    case FL_MODE_IF_VERSION:
        if (im->job.if_version == 0)
            return present;
        return !present || ev->read.document_version != im->job.if_version;
    case FL_MODE_REPLACE:
    case FL_MODE_DELETE: break;
    }
    return false;
}

/* PROTOCOL 1 */
static enum fl_import_state on_read(struct fl_import *im, const struct fl_event *ev)
{
    if (ev->status != FL_OK)
        return retry(im, ev);
    if (!ev->read.job_found) {
        fl_err_set(&im->want_err, FL_FAILED, "job %" PRId64 " does not exist any more", im->job.job_id);
        return leave_undecided(im, FL_FAILED);
    }
    if (ev->read.answer.outcome != FL_OUTCOME_OPEN)
        return answered(im, &ev->read.answer);
    if (!ev->read.episode_found)
        return FL_IMPORT_ENSURE;
    if (im->want == FL_OUTCOME_FAILED || im->want == FL_OUTCOME_INVALID || im->want == FL_OUTCOME_CANCELLED)
        return FL_IMPORT_DECIDE;
    if (mode_forbids(im, ev))
        return decide(im, FL_OUTCOME_REJECTED);
    if (ev->read.document_found && ev->read.document_rank > ev->read.rank)
        return decide(im, FL_OUTCOME_SUPERSEDED);
    im->want = FL_OUTCOME_OPEN;
    im->version = ev->read.version;
    im->fence = ev->read.fence;
    return FL_IMPORT_LEASE;
}

static enum fl_import_state on_ensured(struct fl_import *im, const struct fl_event *ev)
{
    return ev->status == FL_OK ? FL_IMPORT_READ : retry(im, ev);
}

static enum fl_import_state wait_for_holder(struct fl_import *im, const struct fl_event *ev)
{
    fl_lease_end(&im->lease);
    im->trouble_since_ms = FL_NEVER_MS; /* both servers have answered: a later absence is another one */
    if (im->busy_since_ms == FL_NEVER_MS)
        im->busy_since_ms = ev->now_ms;
    int64_t give_up_ms = im->busy_since_ms + im->policy->wait_lock_ms;
    if (ev->now_ms >= give_up_ms) {
        im->gave_up_busy = true;
        fl_err_set(
            &im->want_err, FL_FAILED,
            "%.*s: busy: %.*s holds the lease for another %.1f s; gave up after %.1f s. Try again, or wait "
            "longer with --wait-lock SECONDS.",
            FL_ARGS(im->job.episode), FL_ARGS(ev->leased.holder), (double)ev->leased.remaining_ms / 1000,
            (double)(ev->now_ms - im->busy_since_ms) / 1000);
        return decide(im, FL_OUTCOME_CANCELLED);
    }
    int64_t look_ms = im->policy->look_ms;
    int64_t until_ms = ev->now_ms + look_ms / 2 + (int64_t)(ev->random[0] % (uint64_t)(look_ms / 2 + 1));
    int64_t expiry_ms = ev->now_ms + ev->leased.remaining_ms + 1 + (int64_t)(ev->random[1] % 16);
    if (expiry_ms < until_ms)
        until_ms = expiry_ms;
    im->wait_until_ms = until_ms < give_up_ms ? until_ms : give_up_ms;
    im->after_wait = FL_IMPORT_READ;
    im->for_lease = true;
    return FL_IMPORT_WAIT;
}

/* PROTOCOL 2: the lease is mine, says Redis; is its token usable? */
static enum fl_import_state on_granted(struct fl_import *im, const struct fl_event *ev, struct fl_token token)
{
    switch (fl_fence_check_token(token, im->fence)) {
    case FL_TOKEN_TOO_LOW: return overtaken(im, ev);
    case FL_TOKEN_POISONED:
        fl_err_set(
            &im->want_err, FL_FAILED,
            "%.*s: Redis handed out fencing token %" PRId64 ", far above the fence %" PRId64
            " in Postgres: its counter was tampered with. Delete the episode's ':token' key in Redis and "
            "import again.",
            FL_ARGS(im->job.episode), token.n, im->fence.n);
        im->note = "alarm: Redis handed out a fencing token far above the fence; it was refused";
        im->attempts++;
        return im->attempts >= im->policy->max_attempts
                   ? decide(im, FL_OUTCOME_FAILED)
                   : pause_then(im, ev, im->attempts - 1, FL_IMPORT_READ);
    case FL_TOKEN_GOOD: break;
    }
    fl_lease_grant(&im->lease, token, im->policy, ev->now_ms);
    im->times.leased_ms = ev->now_ms;
    return fl_lease_is_over(&im->lease, ev->now_ms) ? overtaken(im, ev) : FL_IMPORT_CLAIM;
}

static enum fl_import_state on_leased(struct fl_import *im, const struct fl_event *ev)
{
    if (ev->status == FL_LOST)
        return FL_IMPORT_LEASE_CHECK;
    if (ev->status != FL_OK) {
        fl_lease_end(&im->lease);
        return retry(im, ev);
    }
    return ev->leased.granted ? on_granted(im, ev, ev->leased.token) : wait_for_holder(im, ev);
}

/* PROTOCOL 2, reply lost. Not mine: the acquire may still be on its way, so a compare-and-delete stays owed.
 */
static enum fl_import_state on_lease_seen(struct fl_import *im, const struct fl_event *ev)
{
    if (ev->status != FL_OK)
        return retry(im, ev);
    return ev->lease_seen.mine ? on_granted(im, ev, ev->lease_seen.token) : overtaken(im, ev);
}

static enum fl_import_state load(struct fl_import *im, const struct fl_event *ev)
{
    im->busy_since_ms = FL_NEVER_MS;
    im->times.claimed_ms = ev->now_ms;
    return im->job.mode == FL_MODE_DELETE ? FL_IMPORT_COMMIT : FL_IMPORT_FETCH;
}

/* PROTOCOL 3 */
static enum fl_import_state on_claimed(struct fl_import *im, const struct fl_event *ev)
{
    if (ev->status == FL_LOST)
        return FL_IMPORT_CLAIM_CHECK;
    if (ev->status != FL_OK)
        return retry(im, ev);
    return ev->claimed.claimed ? load(im, ev) : overtaken(im, ev);
}

static enum fl_import_state on_claim_seen(struct fl_import *im, const struct fl_event *ev)
{
    if (ev->status != FL_OK)
        return retry(im, ev);
    bool mine =
        fl_fence_is_mine(ev->claim_seen.fence, ev->claim_seen.nonce, im->lease.token, im->lease.nonce);
    return mine ? load(im, ev) : overtaken(im, ev);
}

/* PROTOCOL 4. Bad input is final at once; a lease that has run out stops the work early. */
static enum fl_import_state on_loaded(struct fl_import *im, const struct fl_event *ev,
                                      enum fl_import_state next)
{
    bool final = ev->status == FL_INVALID || (ev->status == FL_UNREADABLE && !im->policy->hand_back);
    if (final) {
        keep_error(im, ev);
        return decide(im, FL_OUTCOME_INVALID);
    }
    if (ev->status != FL_OK)
        return retry(im, ev);
    return fl_lease_is_over(&im->lease, ev->now_ms) ? overtaken(im, ev) : next;
}

static enum fl_import_state on_fetched(struct fl_import *im, const struct fl_event *ev)
{
    return on_loaded(im, ev, FL_IMPORT_PARSE);
}

static enum fl_import_state on_parsed(struct fl_import *im, const struct fl_event *ev)
{
    return on_loaded(im, ev, FL_IMPORT_COMMIT);
}

/* PROTOCOL 5 */
static enum fl_import_state on_committed(struct fl_import *im, const struct fl_event *ev)
{
    im->mark = ev->mark;
    if (ev->status == FL_LOST && im->mark.backend_pid != 0)
        return FL_IMPORT_RESOLVE;
    if (ev->status != FL_OK)
        return retry(im, ev);
    if (ev->committed.status == FL_COMMIT_STALE)
        return overtaken(im, ev);
    return answered(im, &ev->committed.answer);
}

/* PROTOCOL 6. Unknown after all tries: back to 1, where a new claim kills the old commit. */
static enum fl_import_state on_resolved(struct fl_import *im, const struct fl_event *ev)
{
    if (ev->status == FL_OK && ev->resolved.status == FL_RESOLVED_DECIDED)
        return answered(im, &ev->resolved.answer);
    if (ev->status == FL_OK && ev->resolved.status == FL_RESOLVED_NEVER)
        return pause_then(im, ev, 0, FL_IMPORT_READ);
    im->resolve_attempts++;
    bool go_on = im->resolve_attempts < RESOLVE_ATTEMPTS;
    if (!go_on)
        im->resolve_attempts = 0;
    return pause_then(im, ev, im->resolve_attempts, go_on ? FL_IMPORT_RESOLVE : FL_IMPORT_READ);
}

/* PROTOCOL 7. A lost reply is looked up by step 1; the ground for refusing may have gone: then step 1 as
 * well. */
static enum fl_import_state on_decided(struct fl_import *im, const struct fl_event *ev)
{
    if (ev->status == FL_OK && !ev->decided.ground_gone)
        return answered(im, &ev->decided.answer);
    if (ev->status == FL_OK) {
        im->want = FL_OUTCOME_OPEN;
        return overtaken(im, ev);
    }
    im->attempts++;
    if (im->want == FL_OUTCOME_REJECTED || im->want == FL_OUTCOME_SUPERSEDED || !im->want_err.text[0])
        keep_error(im, ev);
    bool patient = is_patient(im, ev);
    bool last = im->cancel || im->policy->hand_back || !fl_status_retryable(ev->status) ||
                (im->attempts >= im->policy->max_attempts && !patient);
    return last ? leave_undecided(im, ev->status) : pause_then(im, ev, im->attempts, FL_IMPORT_READ);
}

/* PROTOCOL 8: a lease that could not be released expires; that is normal. */
static enum fl_import_state on_released(struct fl_import *im, const struct fl_event *ev)
{
    (void)ev;
    fl_lease_end(&im->lease);
    return im->after_release;
}

static enum fl_import_state on_acked(struct fl_import *im, const struct fl_event *ev)
{
    (void)im;
    (void)ev;
    return FL_IMPORT_DONE;
}

/* ---- the table ---- */

#define FROM_START (BIT(READ) | BIT(RELEASE) | BIT(WAIT))
#define TO_DECIDE  (BIT(DECIDE) | BIT(ACK) | FROM_START)

static const struct {
    const char *name;
    enum fl_action_type action; /* on entry; FL_ACTION_NONE: waits for time, a wake-up or nothing */
    enum fl_event_type answer;  /* what ends the state */
    answer_function *on_answer;
    uint32_t next; /* allowed moves */
    bool cancel;   /* may be replaced on entry by DECIDE (cancelled), or by handing back */
} STATES[FL_IMPORT_STATE_COUNT] = {
    [FL_IMPORT_READ] = {"read", FL_ACTION_READ, FL_EVENT_READ, on_read, BIT(ENSURE) | BIT(LEASE) | TO_DECIDE,
                        true},
    [FL_IMPORT_ENSURE] = {"ensure", FL_ACTION_ENSURE, FL_EVENT_ENSURED, on_ensured, TO_DECIDE, true},
    [FL_IMPORT_LEASE] = {"lease", FL_ACTION_LEASE, FL_EVENT_LEASED, on_leased,
                         BIT(LEASE_CHECK) | BIT(CLAIM) | TO_DECIDE, true},
    [FL_IMPORT_LEASE_CHECK] = {"lease-check", FL_ACTION_LEASE_CHECK, FL_EVENT_LEASE_SEEN, on_lease_seen,
                               BIT(CLAIM) | TO_DECIDE, true},
    [FL_IMPORT_CLAIM] = {"claim", FL_ACTION_CLAIM, FL_EVENT_CLAIMED, on_claimed,
                         BIT(CLAIM_CHECK) | BIT(FETCH) | BIT(COMMIT) | TO_DECIDE, true},
    [FL_IMPORT_CLAIM_CHECK] = {"claim-check", FL_ACTION_CLAIM_CHECK, FL_EVENT_CLAIM_SEEN, on_claim_seen,
                               BIT(FETCH) | BIT(COMMIT) | TO_DECIDE, true},
    [FL_IMPORT_FETCH] = {"fetch", FL_ACTION_FETCH, FL_EVENT_FETCHED, on_fetched, BIT(PARSE) | TO_DECIDE,
                         true},
    [FL_IMPORT_PARSE] = {"parse", FL_ACTION_PARSE, FL_EVENT_PARSED, on_parsed, BIT(COMMIT) | TO_DECIDE, true},
    [FL_IMPORT_COMMIT] = {"commit", FL_ACTION_COMMIT, FL_EVENT_COMMITTED, on_committed,
                          BIT(RESOLVE) | TO_DECIDE, true},
    [FL_IMPORT_RESOLVE] = {"resolve", FL_ACTION_RESOLVE, FL_EVENT_RESOLVED, on_resolved,
                           BIT(ACK) | FROM_START, false},
    [FL_IMPORT_DECIDE] = {"decide", FL_ACTION_DECIDE, FL_EVENT_DECIDED, on_decided, TO_DECIDE, false},
    [FL_IMPORT_RELEASE] = {"release", FL_ACTION_RELEASE, FL_EVENT_RELEASED, on_released, TO_DECIDE, false},
    [FL_IMPORT_WAIT] = {"wait", FL_ACTION_NONE, FL_EVENT_TIME, NULL, BIT(RESOLVE) | TO_DECIDE, true},
    [FL_IMPORT_ACK] = {"ack", FL_ACTION_ACK, FL_EVENT_ACKED, on_acked, BIT(DONE), false},
    [FL_IMPORT_DONE] = {"done", FL_ACTION_NONE, FL_EVENT_TIME, NULL, 0, false},
};

/* A cancel or stop takes effect between steps: never after the commit was sent, whose answer then counts. */
static enum fl_import_state divert(struct fl_import *im, enum fl_import_state next)
{
    bool resolving = next == FL_IMPORT_WAIT && im->after_wait == FL_IMPORT_RESOLVE;
    if (!STATES[next].cancel || resolving)
        return next;
    if (im->stop && !im->cancel) {
        im->stopped = true;
        return leave_undecided(im, FL_TRANSIENT);
    }
    if (!im->cancel || im->want != FL_OUTCOME_OPEN)
        return next;
    fl_err_set(&im->want_err, FL_FAILED, "%.*s: cancelled before its commit was sent; nothing was written",
               FL_ARGS(im->job.episode));
    return decide(im, FL_OUTCOME_CANCELLED);
}

static void enter(struct fl_import *im, const struct fl_event *ev, enum fl_import_state next,
                  struct fl_action *action)
{
    next = divert(im, next);
    FL_ASSERT(STATES[im->state].next & 1u << next);
    im->state = next;
    action->type = STATES[next].action;
    im->op = action->type == FL_ACTION_NONE ? 0 : ++im->last_op;
    action->op = im->op;
    if (next == FL_IMPORT_COMMIT)
        im->times.loaded_ms = ev->now_ms;
    if (next == FL_IMPORT_LEASE)
        fl_lease_begin(&im->lease, ev->random, ev->now_ms);
}

static void on_renewed(struct fl_import *im, const struct fl_event *ev)
{
    if (ev->op != im->lease.renew_op || im->lease.renew_op == 0) {
        im->dropped_events++;
        return;
    }
    if (ev->status != FL_OK)
        fl_lease_renewal_failed(&im->lease, im->policy, ev->now_ms);
    else
        fl_lease_renewed(&im->lease, im->policy, ev->renewed.held);
    if (im->lease.lost)
        im->note = "the lease is gone before its time; stopping early";
}

static void renew_if_due(struct fl_import *im, const struct fl_event *ev, struct fl_action *action)
{
    if (im->op == 0 || im->state == FL_IMPORT_RELEASE ||
        !fl_lease_wants_renewal(&im->lease, im->policy, ev->now_ms, ev->progress))
        return;
    fl_lease_renewing(&im->lease, ++im->last_op, ev->now_ms);
    action->type = FL_ACTION_RENEW;
    action->op = im->lease.renew_op;
}

static int64_t next_wake_ms(const struct fl_import *im)
{
    int64_t wake_ms = im->state == FL_IMPORT_WAIT ? im->wait_until_ms : FL_NEVER_MS;
    bool renewing = im->op != 0 && im->lease.held && !im->lease.lost && im->state != FL_IMPORT_RELEASE;
    return renewing && im->lease.renew_at_ms < wake_ms ? im->lease.renew_at_ms : wake_ms;
}

static bool wait_is_over(const struct fl_import *im, const struct fl_event *ev)
{
    if (im->state != FL_IMPORT_WAIT)
        return false;
    bool at_once = ev->type == FL_EVENT_START || ev->type == FL_EVENT_CANCEL || ev->type == FL_EVENT_STOP;
    bool woken = ev->type == FL_EVENT_WOKEN && im->for_lease;
    return at_once || woken || (ev->type == FL_EVENT_TIME && ev->now_ms >= im->wait_until_ms);
}

static void on_answer(struct fl_import *im, const struct fl_event *ev, struct fl_action *action)
{
    if (ev->op == 0 || ev->op != im->op) {
        im->dropped_events++;
        return;
    }
    FL_ASSERT(STATES[im->state].answer == ev->type && STATES[im->state].on_answer);
    enum fl_import_state next = STATES[im->state].on_answer(im, ev);
    enter(im, ev, next, action);
}

struct fl_action fl_import_step(struct fl_import *im, const struct fl_event *ev)
{
    struct fl_action action = {.type = FL_ACTION_NONE};
    switch (ev->type) {
    case FL_EVENT_CANCEL: im->cancel = true; break;
    case FL_EVENT_STOP: im->stop = true; break;
    case FL_EVENT_RENEWED: on_renewed(im, ev); break;
    case FL_EVENT_START:
        FL_ASSERT(im->state == FL_IMPORT_WAIT && im->last_op == 0);
        im->times.started_ms = ev->now_ms;
        break;
    case FL_EVENT_TIME:
    case FL_EVENT_WOKEN: break;
    default: on_answer(im, ev, &action); break;
    }
    if (wait_is_over(im, ev) && action.type == FL_ACTION_NONE)
        enter(im, ev, im->after_wait, &action);
    else if (ev->type == FL_EVENT_TIME)
        renew_if_due(im, ev, &action);
    action.wake_at_ms = next_wake_ms(im);
    action.note = im->note;
    im->note = NULL;
    return action;
}

const char *fl_import_state_name(enum fl_import_state state)
{
    return STATES[state].name;
}

int fl_import_exit_code(const struct fl_import *im)
{
    if (im->undecided != FL_OK)
        return fl_status_exit_code(im->undecided);
    switch (im->answer.outcome) {
    case FL_OUTCOME_IMPORTED:
    case FL_OUTCOME_UNCHANGED:
    case FL_OUTCOME_DELETED: return 0;
    case FL_OUTCOME_REJECTED:
    case FL_OUTCOME_SUPERSEDED: return 3;
    case FL_OUTCOME_INVALID: return 4;
    case FL_OUTCOME_CANCELLED: return im->gave_up_busy ? 5 : 1;
    case FL_OUTCOME_FAILED: return im->want == FL_OUTCOME_FAILED ? fl_status_exit_code(im->want_err.code) : 1;
    case FL_OUTCOME_OPEN: break;
    }
    return 1;
}
