/* judge.c - see judge.h.
 *
 * An episode is replayed: its version, its fence with the nonce of whoever claimed last, and its two
 * documents. Each change is held against the state before it, and then applied. A transaction's changes come
 * together: an outcome, the rows, the episode's version, and at the end the document with the rows as they
 * were at its commit. */
#include "judge.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_VIOLATIONS = 40, SHOWN_EVENTS = 14, ARRAY_START = 1024 };

static const char *const OUTCOMES[JUDGE_OUTCOMES] = {
    "open", "imported", "unchanged", "rejected", "superseded", "deleted", "invalid", "failed", "cancelled"};

struct judge_job {
    bool is_known;
    char episode[JUDGE_TEXT_BYTES];
    enum content_kind kind;
    enum judge_mode mode;
    int64_t if_version, rank, version, row_count, effects;
    uint64_t number;
    bool queued;
    enum judge_outcome outcome, final_outcome;
    int64_t final_version, final_rows;
};

struct document {
    bool exists, deleted;
    int64_t version, job, rank, rows;
    char digest[JUDGE_TEXT_BYTES];
};

struct replay {
    struct judge *judge;
    const char *episode;
    const struct event *events;
    size_t count, at;
    bool exists;
    int64_t version, fence, claim_job;
    char nonce[JUDGE_TEXT_BYTES];
    bool is_claimed; /* the fence is a token, and not a break's */
    struct document documents[CONTENT_KINDS];
};

const char *judge_outcome_name(enum judge_outcome outcome)
{
    return OUTCOMES[outcome];
}

enum judge_outcome judge_outcome_from(const char *name)
{
    int i = 0;
    while (i < JUDGE_OUTCOMES && strcmp(OUTCOMES[i], name) != 0)
        i++;
    return (enum judge_outcome)i;
}

void judge_release(struct judge *judge)
{
    free(judge->jobs);
}

/* ---- saying what is wrong ---- */

void judge_report(struct judge *judge, int rule, const char *episode, const char *format, ...)
{
    va_list list;
    if (judge->violations++ >= SHOWN_VIOLATIONS)
        return;
    printf("VIOLATION of rule %d: %s: ", rule, episode);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    putchar('\n');
}

static void print_event(const struct event *event)
{
    printf("    commit %" PRId64 " xid %" PRId64 ": %s, job %" PRId64 ", version %" PRId64 ", fence %" PRId64
           " (was %" PRId64 "), nonce %.8s, token %" PRId64 ", rank %" PRId64 ", %s, %s, rows %" PRId64 "\n",
           event->commit, event->xid, event->name, event->job, event->version, event->fence, event->old_fence,
           event->nonce, event->token, event->rank, content_kind_name(event->kind), OUTCOMES[event->outcome],
           event->row_count);
}

/* With the changes that led there. */
#define WRONG(replay, rule, ...)                                                                             \
    do {                                                                                                     \
        judge_report((replay)->judge, (rule), (replay)->episode, __VA_ARGS__);                               \
        print_before(replay);                                                                                \
    } while (0)

static void print_before(const struct replay *replay)
{
    if (replay->judge->violations > SHOWN_VIOLATIONS)
        return;
    size_t first = replay->at > SHOWN_EVENTS ? replay->at - SHOWN_EVENTS : 0;
    for (size_t i = first; i <= replay->at && i < replay->count; i++)
        print_event(&replay->events[i]);
}

/* ---- jobs ---- */

static struct judge_job *job_of(struct judge *judge, int64_t id)
{
    static struct judge_job none;
    if (id <= 0)
        return &none;
    if ((size_t)id >= judge->jobs_room) {
        size_t room = judge->jobs_room ? judge->jobs_room : ARRAY_START;
        while (room <= (size_t)id)
            room *= 2;
        judge->jobs = realloc(judge->jobs, room * sizeof *judge->jobs);
        if (!judge->jobs)
            abort();
        memset(judge->jobs + judge->jobs_room, 0, (room - judge->jobs_room) * sizeof *judge->jobs);
        judge->jobs_room = room;
    }
    return &judge->jobs[id];
}

static void new_job(struct replay *replay, const struct event *event)
{
    struct judge_job *job = job_of(replay->judge, event->job);
    if (job->is_known)
        WRONG(replay, 6, "job %" PRId64 " was inserted twice", event->job);
    *job = (struct judge_job){.is_known = true,
                              .kind = event->kind,
                              .mode = event->mode,
                              .if_version = event->if_version,
                              .rank = event->rank,
                              .number = event->number,
                              .queued = event->queued,
                              .outcome = event->outcome};
    snprintf(job->episode, sizeof job->episode, "%s", replay->episode);
    replay->judge->jobs_count++;
    if (event->outcome != OPEN)
        WRONG(replay, 6, "job %" PRId64 " was inserted with an outcome", event->job);
}

/* Another change of the same transaction (and episode), before or after this one; NULL if there is none. */
static const struct event *in_transaction(const struct replay *replay, enum event_what what, int64_t job)
{
    int64_t xid = replay->events[replay->at].xid;
    size_t first = replay->at, last = replay->at;
    while (first > 0 && replay->events[first - 1].xid == xid)
        first--;
    while (last + 1 < replay->count && replay->events[last + 1].xid == xid)
        last++;
    for (size_t i = first; i <= last; i++) {
        const struct event *event = &replay->events[i];
        if (event->what == what && (job == JUDGE_NONE || event->job == job))
            return event;
    }
    return NULL;
}

/* ---- claims, breaks, versions ---- */

static void judge_claim(struct replay *replay, const struct event *event)
{
    struct judge *judge = replay->judge;
    const struct judge_job *before = job_of(judge, replay->claim_job);
    if (event->fence <= replay->fence)
        WRONG(replay, 4, "a claim with token %" PRId64 ", though the fence was %" PRId64, event->fence,
              replay->fence);
    if (event->version != replay->version)
        WRONG(replay, 1, "a claim changed the version");
    if (strlen(event->nonce) != 32 || strcmp(event->nonce, replay->nonce) == 0)
        WRONG(replay, 4, "a claim whose nonce is not fresh: %s", event->nonce);
    if (before->is_known && before->outcome == OPEN) {
        judge->overtaken++;
        if (judge->calm_after_job >= 0 && replay->claim_job > judge->calm_after_job)
            WRONG(replay, 12, "without any fault, the claim of job %" PRId64 " was overtaken",
                  replay->claim_job);
    }
    judge->claims++;
    replay->is_claimed = true;
    replay->claim_job = event->job;
}

static void judge_episode_row(struct replay *replay, const struct event *event)
{
    const struct event *broken = in_transaction(replay, EVENT_BREAK, JUDGE_NONE);
    if (event->old_version != replay->version || event->old_fence != replay->fence)
        WRONG(replay, 3,
              "version %" PRId64 " and fence %" PRId64 " came before this change, not %" PRId64
              " and %" PRId64 ": the order of commits is not that of the changes, or one is missing",
              event->old_version, event->old_fence, replay->version, replay->fence);
    if (event->fence < event->version)
        WRONG(replay, 1, "fence %" PRId64 " is below version %" PRId64, event->fence, event->version);
    if (broken && event->fence != replay->fence) {
        if (event->fence != replay->fence + 1 || broken->fence != event->fence ||
            broken->old_fence != replay->fence || strcmp(broken->nonce, replay->nonce) != 0)
            WRONG(replay, 9, "a break of another claim than the one that was seen");
        replay->judge->breaks++;
        replay->is_claimed = false;
        replay->claim_job = 0;
    } else if (event->fence != replay->fence) {
        judge_claim(replay, event);
    } else if (strcmp(event->nonce, replay->nonce) != 0) {
        WRONG(replay, 4, "the nonce changed without a claim");
    }
    if (event->version != replay->version) {
        replay->judge->versions++;
        if (event->version <= replay->version)
            WRONG(replay, 1, "version %" PRId64 " after version %" PRId64, event->version, replay->version);
        if (event->version != replay->fence || event->fence != replay->fence)
            WRONG(replay, 4, "version %" PRId64 " was committed while the fence was %" PRId64, event->version,
                  replay->fence);
        if (!replay->is_claimed)
            WRONG(replay, 9, "version %" PRId64 " was committed by a holder whose claim was broken",
                  event->version);
        if (!in_transaction(replay, EVENT_DOCUMENT, JUDGE_NONE))
            WRONG(replay, 6, "version %" PRId64 " rose without a document", event->version);
    }
    replay->version = event->version;
    replay->fence = event->fence;
    snprintf(replay->nonce, sizeof replay->nonce, "%s", event->nonce);
}

/* ---- outcomes ---- */

/* What the mode says of the document as it is; NULL = it may be applied. Written anew, not taken from the
 * schema. */
static const char *refusal(const struct judge_job *job, const struct document *document)
{
    bool present = document->exists && !document->deleted;
    if (job->mode == MODE_CREATE)
        return present ? "it exists" : NULL;
    if (job->mode != MODE_IF_VERSION)
        return NULL;
    if (job->if_version == 0)
        return present ? "it exists" : NULL;
    return present && document->version == job->if_version ? NULL : "it has another version";
}

static bool has_same_content(const struct judge_job *job, const struct document *document)
{
    char digest[CONTENT_DIGEST_BYTES];
    if (job->mode == MODE_DELETE)
        return !document->exists || document->deleted;
    content_digest(job->number, job->kind, digest);
    return document->exists && !document->deleted && strcmp(document->digest, digest) == 0;
}

/* Imported, deleted and unchanged: the job was applied. */
static void judge_applied(struct replay *replay, const struct event *event, const struct judge_job *job,
                          const struct document *document)
{
    const char *why = refusal(job, document);
    const struct event *effect = in_transaction(replay, EVENT_DOCUMENT, event->job);
    bool has_effect = event->outcome != UNCHANGED;
    if (why)
        WRONG(replay, 5, "job %" PRId64 " is %s, though %s", event->job, OUTCOMES[event->outcome], why);
    if (document->exists && document->rank > job->rank)
        WRONG(replay, 7, "job %" PRId64 " is %s over the newer job of rank %" PRId64, event->job,
              OUTCOMES[event->outcome], document->rank);
    if (has_effect != !has_same_content(job, document))
        WRONG(replay, 7, "job %" PRId64 " is %s, but the content is %s", event->job, OUTCOMES[event->outcome],
              has_effect ? "the same" : "another");
    if (has_effect && !effect)
        WRONG(replay, 6, "job %" PRId64 " is %s, but its transaction wrote no document", event->job,
              OUTCOMES[event->outcome]);
    if (has_effect && (event->version != event->token || !in_transaction(replay, EVENT_EPISODE, JUDGE_NONE)))
        WRONG(replay, 6, "job %" PRId64 " is %s without a version of its own", event->job,
              OUTCOMES[event->outcome]);
    if (has_effect && (job->mode == MODE_DELETE) != (event->outcome == DELETED))
        WRONG(replay, 6, "job %" PRId64 " is %s against its mode", event->job, OUTCOMES[event->outcome]);
    if (job->mode != MODE_DELETE && content_is_invalid(job->number, job->kind))
        WRONG(replay, 6, "job %" PRId64 " is %s, but its file is invalid", event->job,
              OUTCOMES[event->outcome]);
    if (event->token == JUDGE_NONE)
        WRONG(replay, 4, "job %" PRId64 " is %s without a token", event->job, OUTCOMES[event->outcome]);
}

static void judge_refused(struct replay *replay, const struct event *event, const struct judge_job *job,
                          const struct document *document)
{
    const struct event *broken = in_transaction(replay, EVENT_BREAK, event->job);
    switch (event->outcome) {
    case REJECTED:
        if (!refusal(job, document))
            WRONG(replay, 7, "job %" PRId64 " is rejected without a reason", event->job);
        break;
    case SUPERSEDED:
        if (!document->exists || document->rank <= job->rank)
            WRONG(replay, 7, "job %" PRId64 " is superseded, but no newer job was applied", event->job);
        break;
    case INVALID:
        if (!content_is_invalid(job->number, job->kind))
            WRONG(replay, 7, "job %" PRId64 " is invalid, but its file is not", event->job);
        break;
    case FAILED:
        if (job->queued)
            WRONG(replay, 11, "job %" PRId64 " was given up", event->job);
        break;
    case CANCELLED: /* an import in its own process whose process died is cancelled at the end of the run */
        if (job->queued && !(broken && broken->deleted))
            WRONG(replay, 7, "job %" PRId64 " is cancelled, but nobody cancelled it", event->job);
        break;
    case OPEN: WRONG(replay, 6, "job %" PRId64 " lost its outcome", event->job); break;
    case IMPORTED:
    case UNCHANGED:
    case DELETED:
    case JUDGE_OUTCOMES: break;
    }
}

static void judge_outcome(struct replay *replay, const struct event *event)
{
    struct judge *judge = replay->judge;
    struct judge_job *job = job_of(judge, event->job);
    const struct document *document = &replay->documents[job->kind];
    if (!job->is_known) {
        WRONG(replay, 6, "job %" PRId64 " was decided before it was there", event->job);
        return;
    }
    if (job->outcome != OPEN)
        WRONG(replay, 6, "job %" PRId64 " was %s, and is %s", event->job, OUTCOMES[job->outcome],
              OUTCOMES[event->outcome]);
    if (event->rank != job->rank || event->mode != job->mode || event->kind != job->kind)
        WRONG(replay, 6, "job %" PRId64 " was changed", event->job);
    if (event->token != JUDGE_NONE && (event->token != replay->fence || !replay->is_claimed))
        WRONG(replay, replay->is_claimed ? 4 : 9,
              "job %" PRId64 " is %s under token %" PRId64 "; the fence is %" PRId64, event->job,
              OUTCOMES[event->outcome], event->token, replay->fence);
    if (event->outcome == IMPORTED || event->outcome == DELETED || event->outcome == UNCHANGED)
        judge_applied(replay, event, job, document);
    else
        judge_refused(replay, event, job, document);
    job->outcome = event->outcome;
    job->version = event->version;
    job->row_count = event->row_count;
    judge->counts[event->outcome]++;
}

/* ---- documents and their rows ---- */

static void judge_new_document(struct replay *replay, const struct event *event)
{
    struct judge_job *job = job_of(replay->judge, event->job);
    const struct event *outcome = in_transaction(replay, EVENT_OUTCOME, event->job);
    char digest[CONTENT_DIGEST_BYTES];
    if (!outcome || outcome->outcome != (event->deleted ? DELETED : IMPORTED))
        WRONG(replay, 6, "a document by job %" PRId64 ", which its transaction did not decide as %s",
              event->job, event->deleted ? "deleted" : "imported");
    if (job->effects++ > 0)
        WRONG(replay, 6, "job %" PRId64 " had its effect twice", event->job);
    if (event->rank != job->rank || job->kind != event->kind || strcmp(job->episode, replay->episode) != 0)
        WRONG(replay, 6, "a document by job %" PRId64 ", which is for another one", event->job);
    if (event->version != replay->version)
        WRONG(replay, 1, "a document of version %" PRId64 " in version %" PRId64 " of its episode",
              event->version, replay->version);
    content_digest(job->number, job->kind, digest);
    if (event->deleted
            ? event->row_count != 0
            : event->row_count != content_rows(job->number, job->kind) || strcmp(event->digest, digest) != 0)
        WRONG(replay, 2, "%s: its %" PRId64 " rows are not those of file k%" PRIu64 " of job %" PRId64,
              content_kind_name(event->kind), event->row_count, job->number, event->job);
}

static void judge_document(struct replay *replay, const struct event *event)
{
    struct document *document = &replay->documents[event->kind];
    bool is_same = document->exists && document->job == event->job && document->version == event->version;
    if (!is_same) {
        judge_new_document(replay, event);
    } else {
        const struct event *outcome = in_transaction(replay, EVENT_OUTCOME, JUDGE_NONE);
        if (!outcome || outcome->outcome != UNCHANGED || event->rank < document->rank)
            WRONG(replay, 6, "the document of job %" PRId64 " was written again", event->job);
        if (strcmp(document->digest, event->digest) != 0)
            WRONG(replay, 2, "the rows changed, and the document did not");
    }
    *document = (struct document){.exists = true,
                                  .deleted = event->deleted,
                                  .version = event->version,
                                  .job = event->job,
                                  .rank = event->rank,
                                  .rows = event->row_count};
    snprintf(document->digest, sizeof document->digest, "%s", event->digest);
}

static void judge_rows(struct replay *replay, const struct event *event)
{
    const struct event *document = in_transaction(replay, EVENT_DOCUMENT, JUDGE_NONE);
    if (!document || document->kind != event->kind)
        WRONG(replay, 2, "rows of its %s were written outside of the transaction of their document",
              content_kind_name(event->kind));
}

static void judge_break_row(struct replay *replay, const struct event *event)
{
    const struct event *row = in_transaction(replay, EVENT_EPISODE, JUDGE_NONE);
    if (!row || row->fence != event->fence)
        WRONG(replay, 9, "a break is on record that did not raise the fence");
}

static void judge_event(struct replay *replay, const struct event *event)
{
    switch (event->what) {
    case EVENT_NEW_EPISODE:
        if (replay->exists || event->version != 0 || event->fence != 0)
            WRONG(replay, 1, "an episode begins at version %" PRId64 ", fence %" PRId64, event->version,
                  event->fence);
        replay->exists = true;
        break;
    case EVENT_EPISODE: judge_episode_row(replay, event); break;
    case EVENT_JOB: new_job(replay, event); break;
    case EVENT_OUTCOME: judge_outcome(replay, event); break;
    case EVENT_ROWS: judge_rows(replay, event); break;
    case EVENT_DOCUMENT: judge_document(replay, event); break;
    case EVENT_BREAK: judge_break_row(replay, event); break;
    case EVENT_OTHER: WRONG(replay, 2, "%s", event->name); break;
    }
}

static struct replay replay_all(struct judge *judge, const char *episode, const struct event *events,
                                size_t count)
{
    struct replay replay = {.judge = judge, .episode = episode, .events = events, .count = count};
    for (; replay.at < count; replay.at++)
        judge_event(&replay, &events[replay.at]);
    return replay;
}

/* ---- the end ---- */

void judge_episode(struct judge *judge, const char *episode, const struct event *events, size_t count,
                   const struct judge_final *final)
{
    struct replay replay = replay_all(judge, episode, events, count);
    judge->events += count;
    replay.at = count;
    if (final->version != replay.version || final->fence != replay.fence)
        WRONG(&replay, 3,
              "version %" PRId64 " and fence %" PRId64 " are stored; the last commit left %" PRId64
              " and %" PRId64,
              final->version, final->fence, replay.version, replay.fence);
    for (int kind = 0; kind < CONTENT_KINDS; kind++) {
        const struct document *document = &replay.documents[kind];
        bool is_there = final->doc_version[kind] != JUDGE_NONE;
        if (is_there != document->exists || (is_there && (final->doc_version[kind] != document->version ||
                                                          final->doc_job[kind] != document->job ||
                                                          final->doc_deleted[kind] != document->deleted)))
            WRONG(&replay, 3, "the stored %s are not those of the last commit", content_kind_name(kind));
        if (document->exists ? strcmp(final->digest[kind], document->digest) != 0 : final->rows[kind] != 0)
            WRONG(&replay, 2, "the stored rows of its %s are not those of the last commit",
                  content_kind_name(kind));
    }
}

void judge_final_job(struct judge *judge, int64_t id, enum judge_outcome outcome, int64_t version,
                     int64_t row_count, int64_t attempts)
{
    struct judge_job *job = job_of(judge, id);
    if (!job->is_known) {
        judge_report(judge, 3, "?", "job %" PRId64 " is stored, and was never inserted", id);
        return;
    }
    job->final_outcome = outcome;
    job->final_version = version;
    job->final_rows = row_count;
    if (outcome == OPEN)
        judge_report(judge, 11, job->episode, "job %" PRId64 " has no outcome in the end", id);
    if (outcome != job->outcome || version != job->version || row_count != job->row_count)
        judge_report(judge, 6, job->episode, "job %" PRId64 " is stored as %s, and was decided as %s", id,
                     OUTCOMES[outcome], OUTCOMES[job->outcome]);
    if (attempts > 0 && (uint64_t)attempts > judge->most_attempts)
        judge->most_attempts = (uint64_t)attempts;
}

/* ---- answers ---- */

static int exit_code_of(enum judge_outcome outcome)
{
    static const int CODES[JUDGE_OUTCOMES] = {
        [OPEN] = -1, [REJECTED] = 3, [SUPERSEDED] = 3, [INVALID] = 4, [FAILED] = 1, [CANCELLED] = 1};
    return CODES[outcome];
}

void judge_answer(struct judge *judge, int64_t id, enum judge_outcome outcome, int64_t version,
                  int64_t row_count, int64_t exit_code)
{
    const struct judge_job *job = job_of(judge, id);
    judge->answers++;
    if (!job->is_known) {
        judge_report(judge, 3, "?", "job %" PRId64 " was answered as %s, and is not in the history", id,
                     OUTCOMES[outcome]);
        return;
    }
    /* The program prints no version where there is none, and no count without a version. */
    int64_t known_version = job->final_version > 0 ? job->final_version : JUDGE_NONE;
    int64_t known_rows = known_version > 0 ? job->final_rows : JUDGE_NONE;
    if (job->final_outcome != outcome || known_version != version ||
        (known_version > 0 && known_rows != row_count))
        judge_report(judge, 6, job->episode,
                     "job %" PRId64 " was answered as %s, version %" PRId64 ", %" PRId64
                     " rows; its row says %s, version %" PRId64 ", %" PRId64 " rows",
                     id, OUTCOMES[outcome], version, row_count, OUTCOMES[job->final_outcome],
                     job->final_version, job->final_rows);
    if (exit_code != exit_code_of(outcome) && outcome != FAILED)
        judge_report(judge, 8, job->episode, "job %" PRId64 " is %s, and its program said exit code %" PRId64,
                     id, OUTCOMES[outcome], exit_code);
}

void judge_enqueued(struct judge *judge, int64_t id)
{
    judge->enqueues++;
    if (!job_of(judge, id)->is_known)
        judge_report(judge, 3, "?", "job %" PRId64 " was enqueued, and is not in the history", id);
}

void judge_break(struct judge *judge, const char *episode, int64_t seen_fence, int64_t new_fence,
                 bool is_there)
{
    judge->answers++;
    if (!is_there)
        judge_report(judge, 9, episode,
                     "a break of token %" PRId64 " by %" PRId64
                     " was acknowledged, and is not in the history",
                     seen_fence, new_fence);
}
