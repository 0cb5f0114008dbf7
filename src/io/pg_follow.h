/* pg_follow.h - what has become of jobs by now (`enqueue --wait`). */
#ifndef FL_IO_PG_FOLLOW_H
#define FL_IO_PG_FOLLOW_H

#include <stddef.h>
#include <stdint.h>

#include "fenceline/err.h"

struct fl_pg_sync;
struct fl_pg_rows;

enum { FL_FOLLOW_LIMIT = 4096 };

enum {
    FL_FOLLOW_JOB,
    FL_FOLLOW_OUTCOME, /* null = there is no such job any more; all that follows is null too */
    FL_FOLLOW_EPISODE,
    FL_FOLLOW_KIND,
    FL_FOLLOW_MODE,
    FL_FOLLOW_SOURCE,
    FL_FOLLOW_VERSION,
    FL_FOLLOW_ROWS,
    FL_FOLLOW_MESSAGE,
};

/* Those of the jobs (at most FL_FOLLOW_LIMIT) that are not open: one row each, by id. *rows is the caller's
 * to free. */
FL_CHECKED fl_status fl_pg_follow(struct fl_pg_sync *pg, const int64_t *job_ids, size_t count,
                                  struct fl_pg_rows **rows, struct fl_err *err);

#endif
