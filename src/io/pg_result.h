/* pg_result.h - values of a result, as the statements of a worker read them. */
#ifndef FL_IO_PG_RESULT_H
#define FL_IO_PG_RESULT_H

#include <libpq-fe.h>
#include <stdlib.h>

#include "fenceline/types.h"

/* A whole number; null = 0. */
static inline int64_t fl_pg_int64(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) ? 0 : strtoll(PQgetvalue(result, row, column), NULL, 10);
}

/* A text, borrowed from the result; null = absent. */
static inline struct fl_slice fl_pg_text(const PGresult *result, int row, int column)
{
    if (PQgetisnull(result, row, column))
        return (struct fl_slice){0};
    return (struct fl_slice){PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column)};
}

/* A boolean; null = false. */
static inline bool fl_pg_bool(const PGresult *result, int row, int column)
{
    return !PQgetisnull(result, row, column) && PQgetvalue(result, row, column)[0] == 't';
}

#endif
