/* judge.h - the invariants of docs/PROTOCOL.md, judged from what a database and an event log say.
 *
 * The numbers of the rules are those of the list "What the checker of a chaos run must verify". Feed it each
 * episode's changes in the order of their commits, then what is stored in the end, then the answers. */
#ifndef TESTS_CHAOS_JUDGE_H
#define TESTS_CHAOS_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "content.h"

enum { JUDGE_TEXT_BYTES = 40, JUDGE_NONE = -1 };

enum event_what {
    EVENT_NEW_EPISODE,
    EVENT_EPISODE,
    EVENT_JOB,
    EVENT_OUTCOME,
    EVENT_ROWS,
    EVENT_DOCUMENT,
    EVENT_BREAK,
    EVENT_OTHER, /* something that must never happen: the name tells */
};

enum judge_mode { MODE_CREATE, MODE_REPLACE, MODE_IF_VERSION, MODE_DELETE };

enum judge_outcome {
    OPEN,
    IMPORTED,
    UNCHANGED,
    REJECTED,
    SUPERSEDED,
    DELETED,
    INVALID,
    FAILED,
    CANCELLED,
    JUDGE_OUTCOMES,
};

/* One line of chaos.audit. Numbers that are null are JUDGE_NONE, texts "". */
struct event {
    enum event_what what;
    char name[JUDGE_TEXT_BYTES];
    int64_t commit, xid, job, version, old_version, fence, old_fence, if_version, rank, row_count, token;
    enum content_kind kind;
    enum judge_mode mode;
    enum judge_outcome outcome;
    char nonce[JUDGE_TEXT_BYTES], digest[JUDGE_TEXT_BYTES];
    uint64_t number; /* of the file; 0 = none */
    bool deleted, queued;
};

struct judge {
    struct judge_job *jobs; /* by id */
    size_t jobs_room;
    int64_t calm_after_job; /* jobs above it ran without faults; JUDGE_NONE: not judged */
    uint64_t counts[JUDGE_OUTCOMES], jobs_count, events, versions, claims, overtaken, breaks, answers,
        enqueues, violations, most_attempts, leases;
};

/* Names of outcomes as in jobs.outcome, "open" first; JUDGE_OUTCOMES of none. */
const char *judge_outcome_name(enum judge_outcome outcome);
enum judge_outcome judge_outcome_from(const char *name);

void judge_release(struct judge *judge);

/* A job's row in the end. */
void judge_final_job(struct judge *judge, int64_t id, enum judge_outcome outcome, int64_t version,
                     int64_t row_count, int64_t attempts);

/* What is stored of an episode in the end: its row; of each kind the document's row (version JUDGE_NONE:
 * none) and the rows. */
struct judge_final {
    int64_t version, fence;
    int64_t doc_version[CONTENT_KINDS], doc_job[CONTENT_KINDS], rows[CONTENT_KINDS];
    bool doc_deleted[CONTENT_KINDS];
    char digest[CONTENT_KINDS][JUDGE_TEXT_BYTES];
};

/* All changes of one episode, in the order of their commits, and what they should have left. Prints what is
 * wrong, with the changes before it. */
void judge_episode(struct judge *judge, const char *episode, const struct event *events, size_t count,
                   const struct judge_final *final);

/* What a program answered: an outcome of a job; that a job was enqueued; that a claim was broken. After all
 * the others. */
void judge_answer(struct judge *judge, int64_t job, enum judge_outcome outcome, int64_t version,
                  int64_t row_count, int64_t exit_code);
void judge_enqueued(struct judge *judge, int64_t job);
void judge_break(struct judge *judge, const char *episode, int64_t seen_fence, int64_t new_fence,
                 bool is_there);

/* Prints "rule R: episode: ..." and counts it. */
void judge_report(struct judge *judge, int rule, const char *episode, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
