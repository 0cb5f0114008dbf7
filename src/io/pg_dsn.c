/* pg_dsn.c - see pg_dsn.h. */
#include "io/pg_dsn.h"

#include <libpq-fe.h>
#include <string.h>

#include "base/slice.h"

static bool is_uri(const char *dsn)
{
    struct fl_slice text = fl_slice_from(dsn);
    return fl_slice_starts(text, "postgresql://") || fl_slice_starts(text, "postgres://");
}

/* An '@' left in a name of a URI, or a port that is no number, shows that the URI was cut in the wrong place.
 */
static bool is_misread(const PQconninfoOption *option, bool uri)
{
    if (!option->val)
        return false;
    if (strcmp(option->keyword, "port") == 0)
        return option->val[strspn(option->val, "0123456789,")] != '\0';
    bool is_name = strcmp(option->keyword, "host") == 0 || strcmp(option->keyword, "dbname") == 0;
    return uri && is_name && strpbrk(option->val, "@") != NULL;
}

fl_status fl_pg_dsn_check(const char *dsn, bool *has_password, struct fl_err *err)
{
    if (has_password)
        *has_password = false;
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(dsn, &message);
    PQfreemem(message); /* it may quote what it did not understand: perhaps a password */
    if (!options)
        return fl_err_set(
            err, FL_USAGE,
            "the Postgres connection string is neither postgresql://HOST:PORT/DATABASE nor "
            "\"host=HOST port=PORT dbname=DATABASE\" (it is not shown: it may hold a password)");
    fl_status status = FL_OK;
    for (const PQconninfoOption *option = options; option->keyword; option++) {
        bool is_password = strstr(option->keyword, "password") != NULL; /* and sslpassword */
        if (has_password && is_password && option->val && option->val[0])
            *has_password = true;
        if (is_misread(option, is_uri(dsn)))
            status =
                fl_err_set(err, FL_USAGE,
                           "the Postgres connection string has a wrong %s: write special characters in user "
                           "and password as %%XX ('@' is %%40, '/' is %%2F, ':' is %%3A)",
                           option->keyword);
    }
    PQconninfoFree(options);
    return status;
}
