/* sim_check.c - what must hold after every step; numbers as in docs/PROTOCOL.md. It knows what the world
 * knows, and nothing of what the core thinks. See sim.h. */
#include <inttypes.h>
#include <string.h>

#include "sim.h"

static bool is_same(const struct fl_nonce *a, const struct fl_nonce *b)
{
    return memcmp(a->hex, b->hex, FL_NONCE_LEN) == 0;
}

static void check_not_broken(struct sim *sim, const struct sim_call *call, const char *what)
{
    const struct sim_ledger *ledger = &sim->ledger;
    for (size_t i = 0; i < ledger->broken_counts[call->episode]; i++)
        if (is_same(&ledger->broken[call->episode][i], &call->nonce))
            sim_fail(sim, "9: episode %d: %s of job %" PRId64 " under nonce %.*s, which was broken",
                     call->episode, what, call->job_id, SIM_SHORT(call->nonce));
}

void sim_check_claim(struct sim *sim, const struct sim_call *call)
{
    struct sim_ledger *ledger = &sim->ledger;
    check_not_broken(sim, call, "claim");
    if (call->token <= ledger->claimed[call->episode])
        sim_fail(sim, "4: episode %d: token %" PRId64 " was claimed after %" PRId64, call->episode,
                 call->token, ledger->claimed[call->episode]);
    ledger->claimed[call->episode] = call->token;
    ledger->claim_nonce[call->episode] = call->nonce;
}

/* Was it right to write this document then? */
static bool was_allowed(const struct sim_job *job, const struct sim_document *before)
{
    bool is_present = before->is_there && !before->is_deleted;
    switch (job->mode) {
    case FL_MODE_CREATE: return !is_present;
    case FL_MODE_IF_VERSION:
        return job->if_version ? is_present && before->version == job->if_version : !is_present;
    case FL_MODE_DELETE: return is_present;
    case FL_MODE_REPLACE: break;
    }
    return true;
}

void sim_check_commit(struct sim *sim, const struct sim_call *call, const struct sim_episode *before)
{
    struct sim_ledger *ledger = &sim->ledger;
    const struct sim_job *job = &sim->postgres.jobs[call->job_id];
    const struct sim_document *document = &before->documents[job->kind];
    int episode = call->episode;
    check_not_broken(sim, call, "commit");
    if (call->token != ledger->claimed[episode] || !is_same(&call->nonce, &ledger->claim_nonce[episode]))
        sim_fail(sim,
                 "4: episode %d: job %" PRId64 " committed under token %" PRId64 ", but %" PRId64
                 " is claimed",
                 episode, call->job_id, call->token, ledger->claimed[episode]);
    if (call->token <= ledger->committed[episode])
        sim_fail(sim, "1: episode %d: version %" PRId64 " was committed after %" PRId64, episode, call->token,
                 ledger->committed[episode]);
    ledger->committed[episode] = call->token;
    if (!was_allowed(job, document))
        sim_fail(sim, "5: episode %d: job %" PRId64 " (%s) must not write this document", episode,
                 job->job_id, fl_mode_name(job->mode));
    if (ledger->applied[episode][job->kind] > job->rank)
        sim_fail(sim, "2: episode %d: job %" PRId64 " of rank %" PRId64 " overwrote rank %" PRId64, episode,
                 job->job_id, job->rank, ledger->applied[episode][job->kind]);
}

/* The content is now as this job wants it: an older one must not replace it. */
static void note_rank(struct sim *sim, const struct sim_job *job, const struct sim_document *document)
{
    int64_t *applied = &sim->ledger.applied[job->episode][job->kind];
    bool is_confirmed = job->outcome == FL_OUTCOME_UNCHANGED && document->is_there;
    bool is_wanted = job->outcome == FL_OUTCOME_IMPORTED || job->outcome == FL_OUTCOME_DELETED;
    if ((is_confirmed || is_wanted) && *applied < job->rank)
        *applied = job->rank;
}

void sim_check_decided(struct sim *sim, const struct sim_job *job, const struct sim_episode *before)
{
    struct sim_ledger *ledger = &sim->ledger;
    const struct sim_document *document = &before->documents[job->kind];
    bool has_effect = job->outcome == FL_OUTCOME_IMPORTED || job->outcome == FL_OUTCOME_DELETED;
    if (ledger->decided[job->job_id])
        sim_fail(sim, "6: job %" PRId64 " was decided twice", job->job_id);
    ledger->decided[job->job_id] = true;
    if (job->effects != (has_effect ? 1 : 0))
        sim_fail(sim, "6: job %" PRId64 " is %s and has written %u times", job->job_id,
                 fl_outcome_name(job->outcome), job->effects);
    if (job->outcome == FL_OUTCOME_REJECTED && was_allowed(job, document))
        sim_fail(sim, "7: job %" PRId64 " was rejected without a ground", job->job_id);
    if (job->outcome == FL_OUTCOME_SUPERSEDED && !(document->is_there && document->rank > job->rank))
        sim_fail(sim, "7: job %" PRId64 " was superseded by nothing", job->job_id);
    note_rank(sim, job, document);
}

void sim_check_answer(struct sim *sim, const struct fl_import *import)
{
    const struct sim_job *job = &sim->postgres.jobs[import->job.job_id];
    if (import->answer.outcome == FL_OUTCOME_OPEN || import->answer.outcome != job->outcome)
        sim_fail(sim, "6: job %" PRId64 " was answered %s, its row says %s", job->job_id,
                 fl_outcome_name(import->answer.outcome), fl_outcome_name(job->outcome));
}

void sim_check_broken(struct sim *sim, const struct sim_call *call)
{
    struct sim_ledger *ledger = &sim->ledger;
    size_t *count = &ledger->broken_counts[call->episode];
    if (*count + 2 < sizeof ledger->broken[0] / sizeof *ledger->broken[0]) {
        if (call->seen_nonce.hex[0])
            ledger->broken[call->episode][(*count)++] = call->seen_nonce;
        if (call->has_lease)
            ledger->broken[call->episode][(*count)++] = call->lease_nonce;
    }
    ledger->claimed[call->episode] = sim->postgres.episodes[call->episode].fence;
    ledger->claim_nonce[call->episode] = sim->postgres.episodes[call->episode].nonce;
}

void sim_check_state(struct sim *sim)
{
    for (int i = 0; i < sim->episode_count; i++) {
        const struct sim_episode *episode = &sim->postgres.episodes[i];
        if (episode->fence < episode->version)
            sim_fail(sim, "1: episode %d: fence %" PRId64 " is below version %" PRId64, i, episode->fence,
                     episode->version);
        for (int kind = 0; kind < SIM_KINDS; kind++) {
            const struct sim_document *document = &episode->documents[kind];
            bool is_present = document->is_there && !document->is_deleted;
            if (document->rows != document->content)
                sim_fail(sim, "2: episode %d: its document and its rows are of different files", i);
            if (is_present && document->content != sim->postgres.jobs[document->job_id].content)
                sim_fail(sim, "2: episode %d: its document is not that of job %" PRId64, i, document->job_id);
            if (document->version > episode->version)
                sim_fail(sim, "1: episode %d: a document is newer than the episode", i);
        }
    }
}

void sim_check_end(struct sim *sim)
{
    /* What leaves the version as it was lets a second delivery, which has read just before, load once more.
     */
    uint64_t loads = 0, spare = 0;
    for (int64_t id = 1; id <= sim->postgres.job_count; id++) {
        const struct sim_job *job = &sim->postgres.jobs[id];
        bool is_loaded = job->outcome == FL_OUTCOME_IMPORTED || job->outcome == FL_OUTCOME_INVALID ||
                         (job->outcome == FL_OUTCOME_UNCHANGED && job->mode != FL_MODE_DELETE);
        loads += is_loaded;
        spare += is_loaded && job->outcome != FL_OUTCOME_IMPORTED && sim->ledger.is_delivered_twice[id];
        if (job->outcome == FL_OUTCOME_OPEN)
            sim_fail(sim, "11: job %" PRId64 " has no outcome, long after the last fault", id);
        if (job->outcome == FL_OUTCOME_FAILED && !sim->is_faulty)
            sim_fail(sim, "11: job %" PRId64 " failed without any fault", id);
    }
    if (!sim->is_faulty && (sim->ledger.loads < loads || sim->ledger.loads > loads + spare))
        sim_fail(sim, "12: %" PRIu64 " documents were loaded for %" PRIu64 " imports, without any fault",
                 sim->ledger.loads, loads);
}
