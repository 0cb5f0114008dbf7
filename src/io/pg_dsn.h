/* pg_dsn.h - looks at a Postgres connection string before libpq does. */
#ifndef FL_IO_PG_DSN_H
#define FL_IO_PG_DSN_H

#include <stdbool.h>

#include "fenceline/err.h"

/* Reads a connection string ("" = libpq's variables) without connecting. FL_USAGE if libpq would not
 * understand it, or would understand another host than was meant (an unescaped '@', '/' or ':' in a
 * password): then libpq's own messages would quote parts of the password. *has_password (may be NULL): it
 * holds a password itself. */
FL_CHECKED fl_status fl_pg_dsn_check(const char *dsn, bool *has_password, struct fl_err *err);

#endif
