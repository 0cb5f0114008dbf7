/* pg_dsn.h - looks at a Postgres connection string before libpq does; puts a password in, and hides it. */
#ifndef FL_IO_PG_DSN_H
#define FL_IO_PG_DSN_H

#include <stdbool.h>
#include <stddef.h>

#include "fenceline/err.h"

/* Reads a connection string ("" = libpq's variables) without connecting. FL_USAGE if libpq would not
 * understand it, or would understand another host than was meant (an unescaped '@', '/' or ':' in a
 * password): then libpq's own messages would quote parts of the password. *has_password (may be NULL): it
 * holds a password itself. */
FL_CHECKED fl_status fl_pg_dsn_check(const char *dsn, bool *has_password, struct fl_err *err);

/* The connection string with this password in it. FL_USAGE: it is wrong, has a password already, or is too
 * long then; neither is quoted. */
FL_CHECKED fl_status fl_pg_dsn_with_password(const char *dsn, const char *password, char *out,
                                             size_t size_bytes, struct fl_err *err);

/* The connection string for people: as it is, or, where it holds secrets, in keywords with *** in their
 * place; of one that cannot be read nothing but ***. Cut off at size_bytes. Returns out. */
const char *fl_pg_dsn_mask(const char *dsn, char *out, size_t size_bytes);

#endif
