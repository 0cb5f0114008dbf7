/* pg_error.c - SQLSTATE classes as one table, and libpq's connection errors as one line.
 *
 * Happy path: the entry that the SQLSTATE begins with gives status and advice. Failure modes: an
 * unknown SQLSTATE is FL_FAILED with the server's own words. Nothing here quotes a connection string. */
#include "io/pg_error.h"

#include <stdio.h>
#include <string.h>

#include "base/slice.h"
#include "io/pg_grants.h"

#define POINT_ELSEWHERE "start it, or point to another with --postgres DSN or FENCELINE_POSTGRES"
#define LOGIN_ADVICE                                                                                         \
    "check user and database in --postgres DSN or FENCELINE_POSTGRES; a password may stand in "              \
    "FENCELINE_POSTGRES, "                                                                                   \
    "in the configuration file or in ~/.pgpass"
#define OWNER_ADVICE                                                                                         \
    "no permission: 'fenceline migrate' runs as the owner of the database or of schema fenceline, all else " \
    "as a user with a role of config/roles.sql"
#define MIGRATE_ADVICE "fenceline's schema is missing or older: run 'fenceline migrate'"

static const struct {
    const char *prefix;
    fl_status status;
    const char *advice;
} STATES[] = {
    {"08", FL_UNAVAILABLE, POINT_ELSEWHERE},
    {"25006", FL_UNAVAILABLE,
     "this server is read-only (a standby?): point to the primary with --postgres DSN or FENCELINE_POSTGRES"},
    {"28", FL_UNAVAILABLE, LOGIN_ADVICE},
    {"3D000", FL_UNAVAILABLE,
     "create it (createdb), or point to another with --postgres DSN or FENCELINE_POSTGRES"},
    {"3F000", FL_USAGE, MIGRATE_ADVICE},
    {"40001", FL_TRANSIENT, "try again"},
    {"40P01", FL_TRANSIENT, "try again"},
    {"42501", FL_USAGE, OWNER_ADVICE},
    {"42703", FL_USAGE, MIGRATE_ADVICE},
    {"42704", FL_USAGE, MIGRATE_ADVICE},
    {"42883", FL_USAGE, MIGRATE_ADVICE},
    {"42P01", FL_USAGE, MIGRATE_ADVICE},
    {"53", FL_TRANSIENT, "the server is short of something: memory, disk or connections"},
    {"55P03", FL_TRANSIENT, "somebody holds a lock for long: try again"},
    {"57014", FL_TRANSIENT, "it took too long or was cancelled: try again"},
    {"57P01", FL_UNAVAILABLE, POINT_ELSEWHERE},
    {"57P02", FL_UNAVAILABLE, POINT_ELSEWHERE},
    {"57P03", FL_UNAVAILABLE, "it is starting or stopping: try again"},
};

static const char *first_of(const char *text, const char *otherwise)
{
    return text && text[0] ? text : otherwise;
}

/* "permission denied for table jobs": the role that has the right is in our own list. A server that speaks
 * another language, and what is not ours, get the general advice. */
static bool tell_role(struct fl_err *err, const char *message)
{
    static const char *const KINDS[] = {"table ", "view ", "function ", "schema "};
    static const char DENIED[] = "permission denied for ";
    char roles[384];
    const char *object = NULL;
    if (!message || strncmp(message, DENIED, sizeof DENIED - 1) != 0)
        return false;
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
        if (strncmp(message + sizeof DENIED - 1, KINDS[i], strlen(KINDS[i])) == 0)
            object = message + sizeof DENIED - 1 + strlen(KINDS[i]);
    if (!object || !fl_pg_grants_roles_on(fl_slice_from(object), roles, sizeof roles))
        return false;
    fl_err_set(
        err, FL_USAGE,
        "Postgres: %s; this user needs the role %s: the owner of schema fenceline runs config/roles.sql and "
        "grants it%s",
        message, roles, strcmp(object, "fenceline") == 0 ? " ('fenceline migrate' runs as that owner)" : "");
    return true;
}

fl_status fl_pg_error(struct fl_err *err, const char *sqlstate, const char *message)
{
    if (sqlstate && strcmp(sqlstate, "42501") == 0 && tell_role(err, message))
        return FL_USAGE;
    if (!sqlstate || !sqlstate[0])
        return fl_err_set(err, FL_UNAVAILABLE, "Postgres: %s; %s",
                          first_of(message, "the connection is gone"), POINT_ELSEWHERE);
    size_t i = 0;
    while (i < sizeof STATES / sizeof *STATES && !fl_slice_starts(fl_slice_from(sqlstate), STATES[i].prefix))
        i++;
    if (i < sizeof STATES / sizeof *STATES)
        return fl_err_set(err, STATES[i].status, "Postgres: %s; %s", first_of(message, "no message"),
                          STATES[i].advice);
    return fl_err_set(err, FL_FAILED, "Postgres: %s (SQLSTATE %.5s)", first_of(message, "no message"),
                      sqlstate);
}

fl_status fl_pg_result_error(struct fl_err *err, const PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    return fl_pg_error(err, sqlstate, first_of(primary, "the connection is gone"));
}

/* Several lines (one a host tried) to one; lines that begin with a tab are libpq's hints, and ours are
 * better. */
static void make_line(const char *text, char *line, size_t size_bytes)
{
    size_t used = 0;
    while (*text && used + 3 < size_bytes) {
        size_t length = strcspn(text, "\n");
        if (length && !strchr(" \t", *text) && strncmp(text, "LINE ", 5) != 0) {
            int put = snprintf(line + used, size_bytes - used, "%s%.*s", used ? "; " : "", (int)length, text);
            used = (size_t)put < size_bytes - used ? used + (size_t)put : size_bytes - 1;
        }
        text += length + (text[length] == '\n');
    }
    line[used] = '\0';
}

fl_status fl_pg_connection_error(struct fl_err *err, PGconn *conn, const char *what)
{
    char line[FL_ERR_TEXT_BYTES / 2];
    make_line(conn ? PQerrorMessage(conn) : "out of memory", line, sizeof line);
    bool uses_password = conn && (PQconnectionNeedsPassword(conn) || PQconnectionUsedPassword(conn));
    bool refused_login =
        uses_password && !PQparameterStatus(conn, "server_version"); /* told after the login */
    const char *advice = refused_login ? LOGIN_ADVICE : POINT_ELSEWHERE;
    if (strstr(line, "timeout expired"))
        what = "no answer in time";
    if (!line[0])
        return fl_err_set(err, FL_UNAVAILABLE, "Postgres: %s; %s", what, advice);
    return fl_err_set(err, FL_UNAVAILABLE, "Postgres: %s: %s; %s", what, line, advice);
}
