/* pg_rights.h - which of the rights in config/roles.sql the user of a connection lacks. */
#ifndef FL_IO_PG_RIGHTS_H
#define FL_IO_PG_RIGHTS_H

#include "io/pg_grants.h"

struct fl_pg_sync;

struct fl_pg_rights {
    struct fl_slice user; /* who is logged in */
    bool is_superuser;    /* lacks nothing, and may do far more than fenceline needs */
    bool is_owner;        /* of the schema: the same, as far as the schema goes */
    bool role_exists, is_member;
    size_t needed, missing; /* single rights */
    /* GRANTs to this user, one each (columns of a table together): the owner of the schema runs them, and
     * nothing is missing any more. */
    struct fl_slice *grants;
    size_t grant_count;
    struct fl_slice advice; /* the better way, in a line: by the role; absent if nothing is missing */
};

/* Compares the user with the role, whether it got its rights by the role or one by one. A right on what the
 * schema does not have (it is older) counts as missing. Needs no right itself. Everything in *rights lives in
 * arena. */
FL_CHECKED fl_status fl_pg_rights_check(struct fl_pg_sync *pg, enum fl_pg_role role, struct fl_arena *arena,
                                        struct fl_pg_rights *rights, struct fl_err *err);

#endif
