/* types.h - the small values everything else is made of.
 *
 * Token, version and fence are all "a number that only rises" and are easily swapped by mistake, so each is
 * a struct of its own. Times are plain int64_t with the unit in the name (start_ms, now_ms). */
#ifndef FENCELINE_TYPES_H
#define FENCELINE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that belong to somebody else: a slice dies with the arena or buffer it points into. Not terminated
 * by NUL. `ptr == NULL` means absent (SQL null); an empty text has `ptr != NULL && len == 0`. */
struct fl_slice {
    const char *ptr;
    size_t len;
};

/* A place in an intrusive list (base/list.h). */
struct fl_link {
    struct fl_link *next, *previous;
};

/* A fencing token: minted with a lease, greater than every token claimed for the episode before
 * (protocol, "Words"). Below 2^53, because Lua counts in doubles. */
struct fl_token {
    int64_t n;
};

/* `episodes.version`: the token of the last commit. 0 = nothing was ever committed. */
struct fl_version {
    int64_t n;
};

/* `episodes.fence`: the highest token ever claimed (or raised by a break). fence >= version always. */
struct fl_fence {
    int64_t n;
};

enum { FL_NONCE_LEN = 32 };

/* 128 random bits as 32 lower-case hex digits, fresh for every acquisition; NUL-terminated for printing. */
struct fl_nonce {
    char hex[FL_NONCE_LEN + 1];
};

/* What an import may find in a document's place (product, "Modes"). */
enum fl_mode { FL_MODE_CREATE, FL_MODE_REPLACE, FL_MODE_IF_VERSION, FL_MODE_DELETE };

/* The final answer of a job, written once (product, "Outcomes"). FL_OUTCOME_OPEN is SQL null. */
enum fl_outcome {
    FL_OUTCOME_OPEN,
    FL_OUTCOME_IMPORTED,
    FL_OUTCOME_UNCHANGED,
    FL_OUTCOME_REJECTED,
    FL_OUTCOME_SUPERSEDED,
    FL_OUTCOME_DELETED,
    FL_OUTCOME_INVALID,
    FL_OUTCOME_FAILED,
    FL_OUTCOME_CANCELLED,
};

/* As in jobs.priority. */
enum fl_priority { FL_PRIORITY_HIGH = -1, FL_PRIORITY_NORMAL = 0, FL_PRIORITY_LOW = 1 };

enum { FL_PRIORITY_COUNT = 3 };

/* A job of the queue as dispatchers hand it on. */
struct fl_queue_id {
    int64_t job_id;
    enum fl_priority priority;
};

/* Limits on what is read (product, "Limits"); the settings fill it, the parsers obey it. */
struct fl_limits {
    size_t file_bytes;  /* one input file */
    size_t rows;        /* rows of one document */
    size_t field_bytes; /* one text field of a row */
    bool strict;        /* a warning makes the document invalid */
    bool repair;        /* NUL and invalid UTF-8 become U+FFFD with a warning, instead of invalid */
};

#define FL_SLICE(literal) ((struct fl_slice){(literal), sizeof(literal) - 1})
#define FL_NEVER_MS       INT64_MAX

#endif
