/* pg_grants.h - the rights of fenceline's roles in Postgres, as config/roles.sql lists them.
 *
 * That file is the only list. It is embedded at build time, and its GRANTs are read from there. */
#ifndef FL_IO_PG_GRANTS_H
#define FL_IO_PG_GRANTS_H

#include "fenceline/err.h"
#include "fenceline/types.h"

struct fl_arena;

extern const char fl_roles_sql[]; /* the file, to run as it is */

enum fl_pg_role { FL_ROLE_READER, FL_ROLE_OPERATOR, FL_ROLE_WORKER, FL_ROLE_ENQUEUER, FL_ROLE_COUNT };

/* "fenceline_reader"; static. */
const char *fl_pg_role_name(enum fl_pg_role role);

/* One right, as small as it can be given or taken: of one role, on one object, and where the file names
 * columns on one column. kind is SCHEMA, TABLE, FUNCTION, or ROLE: membership in the role `object`. */
struct fl_pg_grant {
    struct fl_slice role, kind, privilege, object, column; /* column absent = the whole object */
};

/* All GRANTs of a text in the form of config/roles.sql, in its order. The slices are of sql, the array of
 * arena. FL_INVALID: a GRANT is written in another form; *err shows where. */
FL_CHECKED fl_status fl_pg_grants_parse(const char *sql, struct fl_arena *arena, struct fl_pg_grant **grants,
                                        size_t *count, struct fl_err *err);

/* For "permission denied for table jobs": writes "fenceline_reader or fenceline_worker", the roles that have
 * a right on it. object is without the schema's name; "fenceline" is the schema itself. False if no role has
 * any. */
bool fl_pg_grants_roles_on(struct fl_slice object, char *text, size_t size_bytes);

#endif
