/* pg_schema.h - the schema in Postgres and its versions.
 *
 * The migrations are config/schema/NNN_name.sql, embedded at build time by tools/embed-schema. They only go
 * forward; which ones were applied stands in fenceline.schema_versions. */
#ifndef FL_IO_PG_SCHEMA_H
#define FL_IO_PG_SCHEMA_H

#include <stdio.h>

#include "fenceline/err.h"
#include "fenceline/types.h"

struct fl_arena;
struct fl_pg_sync;

struct fl_schema_file {
    int version; /* 1, 2, 3, ... without gaps */
    const char *name, *sql;
};

extern const struct fl_schema_file fl_schema_files[];
extern const size_t fl_schema_file_count;

/* One version that the binary knows or the database has. */
struct fl_schema_entry {
    int64_t version;
    struct fl_slice name;
    struct fl_slice applied_at; /* "2026-01-18T10:03:05Z"; absent = pending */
    bool known;                 /* false: newer than this binary */
};

/* For commands before they start: the statement that asks for the version (one bigint), and what to say to
 * it. FL_USAGE: missing or older ("run 'fenceline migrate'"), or newer than this binary. A schema that is not
 * there at all makes the statement itself fail; fl_pg_error has the words for that. */
const char *fl_pg_schema_version_sql(void);
FL_CHECKED fl_status fl_pg_schema_judge(int64_t version, struct fl_err *err);

/* Both in one, on a blocking connection. */
FL_CHECKED fl_status fl_pg_schema_check(struct fl_pg_sync *pg, struct fl_err *err);

/* All versions known or applied, in order; *entries lives in arena. A database without schema has only
 * pending ones. */
FL_CHECKED fl_status fl_pg_schema_status(struct fl_pg_sync *pg, struct fl_arena *arena,
                                         struct fl_schema_entry **entries, size_t *count, struct fl_err *err);

/* Applies what is missing, each version in its own transaction, and tells of each after its commit. Safe when
 * run by several at once: an advisory lock lets one at a time look and apply. FL_USAGE if the database is
 * newer. */
FL_CHECKED fl_status fl_pg_schema_migrate(struct fl_pg_sync *pg,
                                          void (*applied)(void *context, const struct fl_schema_file *file),
                                          void *context, struct fl_err *err);

/* Writes the SQL of every pending entry, with the transactions and bookkeeping that migrate would add: a
 * script for psql -v ON_ERROR_STOP=1. entries NULL = of all versions, for a database without schema. */
void fl_pg_schema_print_sql(FILE *out, const struct fl_schema_entry *entries, size_t count);

#endif
