/* pg_dsn.c - see pg_dsn.h. libpq reads the string; which of its parameters are secrets libpq says, too.
 *
 * Failure modes: FL_USAGE, with nothing of what might be a secret in the message. */
#include "io/pg_dsn.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

#include "base/slice.h"
#include "io/uri.h"

/* Parameters that libpq would show as "*" in a dialog: password, sslpassword. */
static bool is_secret(const PQconninfoOption *option)
{
    return option->dispchar && option->dispchar[0] == '*';
}

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
        if (has_password && is_secret(option) && option->val && option->val[0])
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

/* As a value among keywords: in quotes, with those in it and backslashes escaped. false: it does not fit. */
static bool quote(const char *text, char *out, size_t size_bytes)
{
    size_t used = 0;
    if (size_bytes < 3)
        return false;
    out[used++] = '\'';
    for (; *text; text++) {
        if (used + 4 > size_bytes)
            return false;
        if (*text == '\'' || *text == '\\')
            out[used++] = '\\';
        out[used++] = *text;
    }
    out[used++] = '\'';
    out[used] = '\0';
    return true;
}

fl_status fl_pg_dsn_with_password(const char *dsn, const char *password, char *out, size_t size_bytes,
                                  struct fl_err *err)
{
    bool has_password;
    fl_status status = fl_pg_dsn_check(dsn, &has_password, err);
    if (status != FL_OK)
        return status;
    if (has_password)
        return fl_err_set(err, FL_USAGE, "postgres.dsn holds a password, too: give one of them");
    char escaped[FL_URI_ESCAPED_BYTES];
    int length = -1;
    if (is_uri(dsn) && fl_uri_escape(password, escaped))
        length = snprintf(out, size_bytes, "%s%cpassword=%s", dsn, strchr(dsn, '?') ? '&' : '?', escaped);
    else if (!is_uri(dsn) && quote(password, escaped, sizeof escaped))
        length = snprintf(out, size_bytes, "%s%spassword=%s", dsn, dsn[0] ? " " : "", escaped);
    if (length < 0 || (size_t)length >= size_bytes)
        return fl_err_set(err, FL_USAGE, "postgres.dsn and its password are too long");
    return FL_OK;
}

/* A value as people would write it: quoted only where it must be. */
static void append(char *out, size_t size_bytes, const char *keyword, const char *value)
{
    char quoted[FL_URI_ESCAPED_BYTES];
    size_t used = strlen(out);
    bool is_plain = value[0] && !value[strcspn(value, " \t\n'\\")];
    if (!is_plain && quote(value, quoted, sizeof quoted))
        value = quoted;
    snprintf(out + used, size_bytes - used, "%s%s=%s", used ? " " : "", keyword, value);
}

const char *fl_pg_dsn_mask(const char *dsn, char *out, size_t size_bytes)
{
    bool has_password;
    snprintf(out, size_bytes, "***");
    if (fl_pg_dsn_check(dsn, &has_password, NULL) != FL_OK)
        return out;
    PQconninfoOption *options = has_password ? PQconninfoParse(dsn, NULL) : NULL;
    if (!has_password)
        snprintf(out, size_bytes, "%s", dsn);
    else if (options)
        out[0] = '\0';
    for (const PQconninfoOption *option = options; option && option->keyword; option++)
        if (option->val)
            append(out, size_bytes, option->keyword, is_secret(option) ? "***" : option->val);
    PQconninfoFree(options);
    return out;
}
