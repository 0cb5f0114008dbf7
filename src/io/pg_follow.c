/* pg_follow.c - see pg_follow.h. Failure modes are those of fl_pg_sync_query. */
#include "io/pg_follow.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "io/pg_sync.h"

enum { ID_BYTES = 21 }; /* a 64-bit number and a comma */

static const char FOLLOW_SQL[] =
    "SELECT u.id, j.outcome, j.episode_id, j.kind, j.mode, j.source, j.version, j.row_count, j.message"
    "  FROM unnest($1::bigint[]) AS u (id) LEFT JOIN fenceline.jobs j ON j.job_id = u.id"
    " WHERE j.job_id IS NULL OR j.outcome IS NOT NULL"
    " ORDER BY u.id";

fl_status fl_pg_follow(struct fl_pg_sync *pg, const int64_t *job_ids, size_t count, struct fl_pg_rows **rows,
                       struct fl_err *err)
{
    FL_ASSERT(count > 0 && count <= FL_FOLLOW_LIMIT);
    *rows = NULL;
    char *list = malloc(count * ID_BYTES + 2);
    if (!list)
        return fl_err_set(err, FL_NO_MEMORY, "no memory to ask for %zu jobs", count);
    char *at = list;
    for (size_t i = 0; i < count; i++)
        at += sprintf(at, "%c%" PRId64, i ? ',' : '{', job_ids[i]);
    at[0] = '}';
    at[1] = '\0';
    const char *params[] = {list};
    fl_status status = fl_pg_sync_query(pg, FOLLOW_SQL, params, 1, rows, err);
    free(list);
    return status;
}
