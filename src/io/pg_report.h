/* pg_report.h - questions about what is imported and what has happened, for show and history.
 *
 * Answers are rows whose columns the enums name; they are the caller's to free. Times are ISO 8601 in UTC
 * ("2026-01-18T10:03:05.123Z"). */
#ifndef FL_IO_PG_REPORT_H
#define FL_IO_PG_REPORT_H

#include "fenceline/document.h"
#include "fenceline/err.h"
#include "fenceline/types.h"

struct fl_pg_sync;
struct fl_pg_rows;

/* Begins a read-only transaction in which every answer comes from one and the same moment. */
FL_CHECKED fl_status fl_pg_report_begin(struct fl_pg_sync *pg, struct fl_err *err);

enum {
    FL_REPORT_DOCUMENT_KIND,
    FL_REPORT_DOCUMENT_VERSION,
    FL_REPORT_DOCUMENT_JOB,
    FL_REPORT_DOCUMENT_ROWS,
    FL_REPORT_DOCUMENT_SHA256, /* hex */
    FL_REPORT_DOCUMENT_FORMAT,
    FL_REPORT_DOCUMENT_SOURCE,
    FL_REPORT_DOCUMENT_IMPORTED_AT,
    FL_REPORT_DOCUMENT_WARNINGS, /* JSON array */
    FL_REPORT_DOCUMENT_WARNING_COUNT,
};

/* Current documents of an episode (deleted ones are not), chapters first; kind FL_KIND_NONE = all. */
FL_CHECKED fl_status fl_pg_report_documents(struct fl_pg_sync *pg, const char *episode, enum fl_kind kind,
                                            struct fl_pg_rows **rows, struct fl_err *err);

/* Rows of one document in order: columns as in fenceline.chapters or fenceline.transcript_segments, from
 * order_index on. */
FL_CHECKED fl_status fl_pg_report_rows(struct fl_pg_sync *pg, const char *episode, enum fl_kind kind,
                                       struct fl_pg_rows **rows, struct fl_err *err);

enum {
    FL_REPORT_EVENT, /* "job", "attempt" (one that met an error), "claim" (the current one, of an open job),
                      * "lost claim", or "break" */
    FL_REPORT_EVENT_AT, /* when it happened; of a job when it was decided, of an open one when it was created
                         */
    FL_REPORT_EVENT_JOB,
    FL_REPORT_EVENT_KIND,
    FL_REPORT_EVENT_MODE,
    FL_REPORT_EVENT_IF_VERSION,
    FL_REPORT_EVENT_OUTCOME, /* of a job, or "open"; else "attempt failed", "claimed", "claim lost", "lock
                                broken" */
    FL_REPORT_EVENT_VERSION,
    FL_REPORT_EVENT_ROWS,
    FL_REPORT_EVENT_WHO,
    FL_REPORT_EVENT_MESSAGE,
    FL_REPORT_EVENT_SOURCE,
    FL_REPORT_EVENT_ATTEMPTS,   /* of a job how often it was begun; of an attempt which one */
    FL_REPORT_EVENT_CREATED_AT, /* of a job */
    FL_REPORT_EVENT_CLAIMED_AT, /* of a claim, lost or not */
    FL_REPORT_EVENT_TOKEN,      /* of the claim; of a job, of the one that decided it */
    FL_REPORT_EVENT_RETRIES,    /* job that this one retries */
    FL_REPORT_EVENT_RETRIED_BY, /* job that retries this one */
    FL_REPORT_EVENT_RESULT,     /* for people: the outcome with its version */
    FL_REPORT_EVENT_STORY,      /* for people: the message, and the retries */
};

/* Everything that happened to an episode, in order of time. */
FL_CHECKED fl_status fl_pg_report_history(struct fl_pg_sync *pg, const char *episode,
                                          struct fl_pg_rows **rows, struct fl_err *err);

#endif
