/* sim_postgres.c - the functions of config/schema/002 and 005 on rows in memory, with locks. See sim.h.
 *
 * A call that writes is one transaction: it locks its episode's row, or waits until whoever has it has ended
 * and then looks again at what is there (READ COMMITTED); it decides, and some time later it commits, or is
 * terminated. All rows that a job touches are reached through that lock. */
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "sim.h"

enum { LOCK_TIMEOUT_US = 2000000 };

static bool is_same(const struct fl_nonce *a, const struct fl_nonce *b)
{
    return memcmp(a->hex, b->hex, FL_NONCE_LEN) == 0;
}

static struct sim_episode *episode_of(struct sim *sim, const struct sim_call *call)
{
    return &sim->postgres.episodes[call->episode];
}

/* ---- what a job may do (judge in config/schema/002) ---- */

static enum fl_outcome judge(const struct sim *sim, const struct sim_job *job,
                             const struct sim_document *document)
{
    bool is_present = document->is_there && !document->is_deleted;
    if (job->mode == FL_MODE_CREATE && is_present)
        return FL_OUTCOME_REJECTED;
    if (job->mode == FL_MODE_IF_VERSION && job->if_version == 0 && is_present)
        return FL_OUTCOME_REJECTED;
    if (job->mode == FL_MODE_IF_VERSION && job->if_version > 0 &&
        (!is_present || document->version != job->if_version))
        return FL_OUTCOME_REJECTED;
    if (document->is_there && document->rank > job->rank && sim->mutant != SIM_SUPERSEDED)
        return FL_OUTCOME_SUPERSEDED;
    return FL_OUTCOME_OPEN;
}

struct sim_job *sim_postgres_job(struct sim *sim, int64_t job_id)
{
    bool is_there = job_id > 0 && job_id <= SIM_JOBS && sim->postgres.jobs[job_id].job_id != 0;
    return is_there ? &sim->postgres.jobs[job_id] : NULL;
}

static struct fl_answer answer_of(const struct sim_job *job)
{
    if (!job)
        return (struct fl_answer){.outcome = FL_OUTCOME_OPEN};
    return (struct fl_answer){.outcome = job->outcome, .version = job->version, .row_count = job->row_count};
}

/* ---- statements without a lock ---- */

static void read(struct sim *sim, struct sim_call *call)
{
    const struct sim_job *job = sim_postgres_job(sim, call->job_id);
    const struct sim_episode *episode = episode_of(sim, call);
    call->answer.read.job_found = job;
    if (!job)
        return;
    const struct sim_document *document = &episode->documents[job->kind];
    call->answer.read.answer = answer_of(job);
    call->answer.read.rank = job->rank;
    call->answer.read.episode_found = episode->is_there;
    call->answer.read.version.n = episode->version;
    call->answer.read.fence.n = episode->fence;
    call->answer.read.document_found = document->is_there;
    call->answer.read.document_deleted = document->is_deleted;
    call->answer.read.document_version = document->version;
    call->answer.read.document_rank = sim->mutant == SIM_SUPERSEDED ? 0 : document->rank;
}

struct sim_call *sim_postgres_find(struct sim *sim, const struct fl_commit_mark *mark)
{
    for (size_t i = 0; i < sim->call_count; i++) {
        struct sim_call *call = sim->calls[i];
        bool is_open = call->state == SIM_WAITING || call->state == SIM_ACTIVE;
        if (is_open && call->backend == mark->backend_pid &&
            sim_call_mark(call).backend_start_us == mark->backend_start_us)
            return call;
    }
    return NULL;
}

static bool is_over(const struct sim *sim, uint64_t xid)
{
    for (size_t i = 0; i < sim->call_count; i++)
        if (sim->calls[i]->xid == xid)
            return sim->calls[i]->state == SIM_COMMITTED || sim->calls[i]->state == SIM_ABORTED;
    return true;
}

/* PROTOCOL 6 */
static fl_status resolve(struct sim *sim, struct sim_call *call)
{
    if (call->mark.xid > sim->postgres.last_xid) /* pg_xact_status refuses to guess */
        return FL_FAILED;
    bool over = call->mark.xid && is_over(sim, call->mark.xid);
    struct sim_call *other = over ? NULL : sim_postgres_find(sim, &call->mark);
    if (other)
        sim_postgres_terminate(sim, other);
    over = over || !other;
    call->answer.resolved.answer = answer_of(sim_postgres_job(sim, call->job_id));
    call->answer.resolved.status = call->answer.resolved.answer.outcome != FL_OUTCOME_OPEN
                                       ? FL_RESOLVED_DECIDED
                                   : over ? FL_RESOLVED_NEVER
                                          : FL_RESOLVED_RUNNING;
    return FL_OK;
}

/* ---- statements with the lock; what they will leave goes into call->after ---- */

/* PROTOCOL 3: the condition of the UPDATE. */
static bool may_claim(const struct sim *sim, const struct sim_call *call, const struct sim_episode *episode)
{
    bool is_unchanged = episode->version == call->version && episode->fence == call->fence;
    bool is_above = call->token > episode->fence;
    if (sim->mutant == SIM_CLAIM_CONDITION)
        is_unchanged = true;
    if (sim->mutant == SIM_TOKEN_ABOVE_FENCE)
        is_above = true;
    return episode->is_there && is_unchanged && is_above;
}

static void claim(struct sim_call *call)
{
    call->answer.claimed.claimed = true;
    call->writes_episode = true;
    call->after.fence = call->token;
    call->after.nonce = call->nonce;
}

/* PROTOCOL 5 a: the condition of the SELECT FOR UPDATE. */
static bool may_commit(struct sim *sim, const struct sim_call *call, const struct sim_episode *episode)
{
    const struct sim_job *job = sim_postgres_job(sim, call->job_id);
    bool is_mine = episode->version == call->version && episode->fence == call->token &&
                   (is_same(&episode->nonce, &call->nonce) || sim->mutant == SIM_NONCE);
    if (sim->mutant == SIM_COMMIT_CONDITION)
        is_mine = true;
    return job && is_mine && job->kind == call->kind;
}

/* PROTOCOL 5 */
static void commit(struct sim *sim, struct sim_call *call)
{
    struct sim_episode *episode = episode_of(sim, call);
    struct sim_job *job = &sim->postgres.jobs[call->job_id];
    struct sim_document *after = &call->after.documents[job->kind];
    const struct sim_document *document = &episode->documents[job->kind];
    call->answer.mark.xid = call->xid;
    if (job->outcome != FL_OUTCOME_OPEN && sim->mutant != SIM_WRITE_ONCE) {
        call->answer.committed.status = FL_COMMIT_DECIDED;
        call->answer.committed.answer = answer_of(job);
        return;
    }
    bool is_present = document->is_there && !document->is_deleted;
    enum fl_outcome outcome = judge(sim, job, document);
    if (outcome == FL_OUTCOME_OPEN && job->mode == FL_MODE_DELETE)
        outcome = is_present ? FL_OUTCOME_DELETED : FL_OUTCOME_UNCHANGED;
    else if (outcome == FL_OUTCOME_OPEN)
        outcome =
            is_present && document->content == call->content ? FL_OUTCOME_UNCHANGED : FL_OUTCOME_IMPORTED;
    call->writes_job = true;
    call->job_after = *job;
    call->job_after.outcome = outcome;
    call->job_after.version = document->version;
    call->job_after.row_count = document->row_count;
    bool keeps_rank = sim->mutant != SIM_RANK_OF_UNCHANGED;
    if (outcome == FL_OUTCOME_UNCHANGED && after->is_there && after->rank < job->rank && keeps_rank) {
        after->rank = job->rank;
        call->writes_document = true;
    }
    if (outcome == FL_OUTCOME_IMPORTED || outcome == FL_OUTCOME_DELETED) {
        bool is_deleted = outcome == FL_OUTCOME_DELETED;
        *after = (struct sim_document){.is_there = true,
                                       .is_deleted = is_deleted,
                                       .version = call->token,
                                       .rank = job->rank,
                                       .job_id = job->job_id,
                                       .row_count = call->row_count,
                                       .content = is_deleted ? -1 : call->content,
                                       .rows = is_deleted ? -1 : call->content};
        call->job_after.version = call->token;
        call->job_after.row_count = call->row_count;
        call->job_after.effects++;
        call->after.version = call->token;
        call->writes_document = call->writes_episode = true;
    }
    call->answer.committed.status = FL_COMMIT_DONE;
    call->answer.committed.answer = answer_of(&call->job_after);
}

/* PROTOCOL 7 */
static void decide(struct sim *sim, struct sim_call *call)
{
    const struct sim_job *job = sim_postgres_job(sim, call->job_id);
    call->answer.decided.answer = answer_of(job);
    if (!job)
        return;
    const struct sim_document *document = &episode_of(sim, call)->documents[job->kind];
    enum fl_outcome outcome = call->want;
    bool has_ground = outcome == FL_OUTCOME_REJECTED || outcome == FL_OUTCOME_SUPERSEDED;
    if (has_ground && sim->mutant != SIM_DECIDE_AGAIN)
        outcome = judge(sim, job, document);
    call->answer.decided.ground_gone = outcome == FL_OUTCOME_OPEN;
    if (outcome == FL_OUTCOME_OPEN)
        return;
    if (job->outcome == FL_OUTCOME_OPEN || sim->mutant == SIM_WRITE_ONCE) {
        call->writes_job = true;
        call->job_after = *job;
        call->job_after.outcome = outcome;
        call->job_after.version = document->version;
        call->job_after.row_count = document->row_count;
    }
    call->answer.decided.answer = answer_of(call->writes_job ? &call->job_after : job);
}

/* PROTOCOL 9 (ii) */
static void break_claim(struct sim *sim, struct sim_call *call)
{
    const struct sim_episode *episode = episode_of(sim, call);
    call->writes_episode = episode->is_there && episode->version == call->seen_version &&
                           episode->fence == call->seen_fence && is_same(&episode->nonce, &call->seen_nonce);
    call->after.fence = episode->fence + (sim->mutant == SIM_BREAK_FENCE ? 0 : 1);
    if (sim->mutant != SIM_BREAK_FENCE)
        call->after.nonce = call->nonce;
}

/* ---- transactions ---- */

static void execute(struct sim *sim, struct sim_call *call);

static void next_waiter(struct sim *sim, struct sim_episode *episode)
{
    episode->locker = NULL;
    if (episode->waiting_count == 0)
        return;
    struct sim_call *next = episode->waiting[0];
    memmove(episode->waiting, episode->waiting + 1, --episode->waiting_count * sizeof(struct sim_call *));
    execute(sim, next);
}

static void apply(struct sim *sim, struct sim_call *call)
{
    struct sim_episode *episode = episode_of(sim, call);
    struct sim_job *job = &sim->postgres.jobs[call->job_id];
    const struct sim_episode before = *episode;
    if (call->writes_episode) {
        episode->version = call->after.version;
        episode->fence = call->after.fence;
        episode->nonce = call->after.nonce;
    }
    if (call->writes_document)
        episode->documents[job->kind] = call->after.documents[job->kind];
    if (call->writes_job) {
        *job = call->job_after;
        sim_check_decided(sim, job, &before);
    }
    if (call->is_break && call->writes_episode)
        sim_check_broken(sim, call);
    else if (call->action == FL_ACTION_CLAIM && call->writes_episode)
        sim_check_claim(sim, call);
    else if (call->writes_episode)
        sim_check_commit(sim, call, &before);
    sim_check_state(sim);
}

static void end(struct sim *sim, struct sim_call *call, bool is_committed)
{
    struct sim_episode *episode = episode_of(sim, call);
    call->state = is_committed ? SIM_COMMITTED : SIM_ABORTED;
    if (is_committed)
        apply(sim, call);
    next_waiter(sim, episode);
}

static const char *name_of(const struct sim_call *call)
{
    return call->is_break                     ? "break"
           : call->action == FL_ACTION_CLAIM  ? "claim"
           : call->action == FL_ACTION_COMMIT ? "commit"
                                              : "decide";
}

/* The mutant that writes rows in a second transaction: the document's row first, its rows with the next
 * event. */
static void write_rows_late(struct sim *sim, void *pointer, int64_t content)
{
    struct sim_call *call = pointer;
    const struct sim_job *job = &sim->postgres.jobs[call->job_id];
    episode_of(sim, call)->documents[job->kind].rows = (int)content;
    sim_check_state(sim);
}

static void on_commit(struct sim *sim, void *pointer, int64_t unused)
{
    struct sim_call *call = pointer;
    (void)unused;
    if (call->state != SIM_ACTIVE)
        return;
    if (sim->postgres.holds_commits) {
        sim_at(sim, sim->now_us + 1000, on_commit, call, 0);
        return;
    }
    if (sim->postgres.refuses_commits || sim_fault(sim, 60, "a COMMIT that answers ROLLBACK")) {
        end(sim, call, false);
        sim_reply(sim, call, sim->mutant == SIM_COMMAND_TAG ? FL_OK : FL_TRANSIENT);
        return;
    }
    const struct sim_job *job = &sim->postgres.jobs[call->job_id];
    if (sim->mutant == SIM_ONE_TRANSACTION && call->writes_document && call->action == FL_ACTION_COMMIT) {
        struct sim_document *after = &call->after.documents[job->kind];
        sim_at(sim, sim->now_us + 500, write_rows_late, call, after->rows);
        after->rows = episode_of(sim, call)->documents[job->kind].rows;
    }
    sim_note(sim,
             "postgres: %s of job %" PRId64 " on episode %d is durable (token %" PRId64 ", nonce %.*s)%s",
             name_of(call), call->job_id, call->episode, call->token, SIM_SHORT(call->nonce),
             call->writes_episode || call->writes_job ? "" : ", without effect");
    end(sim, call, true);
    sim_reply(sim, call, FL_OK);
}

/* Does the statement find a row at all? If not, it locks nothing, waits for nothing, and has its answer. */
static bool finds_row(struct sim *sim, const struct sim_call *call)
{
    const struct sim_episode *episode = episode_of(sim, call);
    if (call->is_break)
        return true;
    if (call->action ==
        FL_ACTION_ENSURE) /* ON CONFLICT waits for a change of the row, not for a lock on it */
        return episode->locker && episode->locker->writes_episode;
    if (call->action == FL_ACTION_CLAIM)
        return may_claim(sim, call, episode);
    return call->action != FL_ACTION_COMMIT || may_commit(sim, call, episode);
}

static void answer_without_row(struct sim *sim, struct sim_call *call)
{
    call->state = SIM_COMMITTED;
    if (call->action == FL_ACTION_ENSURE)
        episode_of(sim, call)->is_there = true;
    else if (call->action == FL_ACTION_CLAIM)
        call->answer.claimed.claimed = false;
    else
        call->answer.committed.status = FL_COMMIT_STALE;
    sim_reply(sim, call, FL_OK);
}

static void execute(struct sim *sim, struct sim_call *call)
{
    struct sim_episode *episode = episode_of(sim, call);
    if (!finds_row(sim, call)) {
        answer_without_row(sim, call);
        next_waiter(sim, episode);
        return;
    }
    episode->locker = call;
    call->state = SIM_ACTIVE;
    call->after = *episode;
    call->writes_episode = call->writes_job = call->writes_document = false;
    if (call->is_break)
        break_claim(sim, call);
    else if (call->action == FL_ACTION_CLAIM)
        claim(call);
    else if (call->action == FL_ACTION_COMMIT)
        commit(sim, call);
    else
        decide(sim, call);
    int64_t takes_us = 200 + (int64_t)sim_below(&sim->chance, 2000);
    if (sim_fault(sim, 25, "a transaction that takes long"))
        takes_us += (int64_t)sim_below(&sim->chance, 4000000);
    sim_at(sim, sim->now_us + takes_us, on_commit, call, 0);
}

static void stop_waiting(struct sim *sim, struct sim_call *call, fl_status status)
{
    struct sim_episode *episode = episode_of(sim, call);
    size_t kept = 0;
    for (size_t i = 0; i < episode->waiting_count; i++)
        if (episode->waiting[i] != call)
            episode->waiting[kept++] = episode->waiting[i];
    episode->waiting_count = kept;
    call->state = SIM_ABORTED;
    sim_reply(sim, call, status);
}

static void on_lock_timeout(struct sim *sim, void *pointer, int64_t unused)
{
    struct sim_call *call = pointer;
    (void)unused;
    if (call->state == SIM_WAITING)
        stop_waiting(sim, call, FL_TRANSIENT);
}

void sim_postgres_terminate(struct sim *sim, struct sim_call *call)
{
    sim_note(sim, "postgres: session %" PRId32 " (job %" PRId64 ") is terminated", call->backend,
             call->job_id);
    if (call->state == SIM_WAITING) {
        stop_waiting(sim, call, FL_LOST);
    } else if (call->state == SIM_ACTIVE) {
        end(sim, call, false);
        sim_reply(sim, call, FL_LOST);
    }
}

void sim_postgres_restart(struct sim *sim, int64_t down_us)
{
    for (size_t i = 0; i < sim->call_count; i++)
        if (sim->calls[i]->state == SIM_WAITING || sim->calls[i]->state == SIM_ACTIVE)
            sim_postgres_terminate(sim, sim->calls[i]);
    sim->postgres.down_until_us = sim->now_us + down_us;
}

void sim_postgres_arrive(struct sim *sim, struct sim_call *call)
{
    struct sim_episode *episode = episode_of(sim, call);
    if (sim->now_us < sim->postgres.down_until_us) {
        sim_reply(sim, call, FL_UNAVAILABLE);
        return;
    }
    if (!call->is_break)
        switch (call->action) {
        case FL_ACTION_READ:
            read(sim, call);
            sim_reply(sim, call, FL_OK);
            return;
        case FL_ACTION_RESOLVE: sim_reply(sim, call, resolve(sim, call)); return;
        case FL_ACTION_CLAIM_CHECK:
            call->answer.claim_seen.fence.n = episode->fence;
            call->answer.claim_seen.nonce = episode->nonce;
            sim_reply(sim, call, FL_OK);
            return;
        default: break;
        }
    call->xid = ++sim->postgres.last_xid;
    if (!episode->locker) {
        execute(sim, call);
        return;
    }
    if (!finds_row(sim, call)) {
        answer_without_row(sim, call);
        return;
    }
    if (call->is_break) { /* NOWAIT: the operator is told who has it */
        call->state = SIM_ABORTED;
        return;
    }
    FL_ASSERT(episode->waiting_count < 64);
    call->state = SIM_WAITING;
    episode->waiting[episode->waiting_count++] = call;
    sim_at(sim, sim->now_us + LOCK_TIMEOUT_US, on_lock_timeout, call, 0);
}
