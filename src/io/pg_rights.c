/* pg_rights.c - see pg_rights.h.
 *
 * Happy path: read the embedded list, keep what the role needs, by itself and by the roles it is given, ask
 * Postgres for all of it in one statement, and write a GRANT for each right that is missing. Failure modes:
 * those of fl_pg_sync_query; no memory. */
#include "io/pg_rights.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/slice.h"
#include "io/pg_sync.h"

enum { STATEMENT_BYTES = 2000 };

/* Objects are looked up in the catalogue: a cast of the name would need a right on the schema. */
static const char HELD_SQL[] =
    "SELECT coalesce(CASE u.kind"
    "         WHEN 'SCHEMA' THEN has_schema_privilege(n.oid, u.privilege)"
    "         WHEN 'FUNCTION' THEN (SELECT bool_and(has_function_privilege(p.oid, u.privilege)) FROM pg_proc "
    "p"
    "                                WHERE p.pronamespace = n.oid AND p.proname = split_part(u.object, '.', "
    "2))"
    "         WHEN 'ROLE' THEN pg_has_role(r.oid, 'USAGE')"
    "         ELSE CASE WHEN u.field IS NULL THEN has_table_privilege(c.oid, u.privilege)"
    "                   ELSE has_column_privilege(c.oid, a.attnum, u.privilege) END END, false)"
    "  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])"
    "       WITH ORDINALITY AS u (kind, privilege, object, field, i)"
    "  LEFT JOIN pg_namespace n ON n.nspname = split_part(u.object, '.', 1)"
    "  LEFT JOIN pg_class c"
    "       ON u.kind = 'TABLE' AND c.relnamespace = n.oid AND c.relname = split_part(u.object, '.', 2)"
    "  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = u.field AND NOT a.attisdropped"
    "  LEFT JOIN pg_roles r ON u.kind = 'ROLE' AND r.rolname = u.object"
    " ORDER BY u.i";

static const char USER_SQL[] =
    "SELECT u.rolname, quote_ident(u.rolname), u.rolsuper,"
    "       EXISTS (SELECT FROM pg_namespace WHERE nspname = 'fenceline' AND pg_has_role(nspowner, 'USAGE')),"
    "       r.oid IS NOT NULL, coalesce(pg_has_role(r.oid, 'USAGE'), false)"
    "  FROM pg_roles u LEFT JOIN pg_roles r ON r.rolname = $1"
    " WHERE u.rolname = current_user";

static fl_status no_memory(struct fl_err *err)
{
    return fl_err_set(err, FL_NO_MEMORY, "no memory for the list of rights");
}

/* ---- what a role needs ---- */

static bool is_ours(struct fl_slice role, int *index)
{
    for (*index = 0; *index < FL_ROLE_COUNT; (*index)++)
        if (fl_slice_is(role, fl_pg_role_name((enum fl_pg_role) * index)))
            return true;
    return false;
}

/* Moves what the role needs to the front and returns how much that is. It has all rights of a role of ours
 * that it is given, and need not be given that role itself. */
static size_t keep_needed(struct fl_pg_grant *grants, size_t count, enum fl_pg_role role)
{
    bool has[FL_ROLE_COUNT] = {false};
    size_t kept = 0;
    int owner = 0, given = 0;
    has[role] = true;
    for (int round = 0; round < FL_ROLE_COUNT; round++)
        for (size_t i = 0; i < count; i++)
            if (fl_slice_is(grants[i].kind, "ROLE") && is_ours(grants[i].role, &owner) && has[owner] &&
                is_ours(grants[i].object, &given))
                has[given] = true;
    for (size_t i = 0; i < count; i++) {
        bool is_role = fl_slice_is(grants[i].kind, "ROLE") && is_ours(grants[i].object, &given);
        if (!is_role && is_ours(grants[i].role, &owner) && has[owner])
            grants[kept++] = grants[i];
    }
    return kept;
}

/* ---- asking ---- */

/* One field of all grants as the text of an array; nothing in them needs quotes, but a word like "null". */
static const char *array_of(struct fl_arena *arena, const struct fl_pg_grant *grants, size_t count,
                            size_t field_offset)
{
    size_t size_bytes = 3;
    for (size_t i = 0; i < count; i++)
        size_bytes +=
            7 + ((const struct fl_slice *)(const void *)((const char *)&grants[i] + field_offset))->len;
    char *text = fl_arena_alloc(arena, size_bytes), *at = text;
    if (!text)
        return NULL;
    *at++ = '{';
    for (size_t i = 0; i < count; i++) {
        const struct fl_slice *field = (const void *)((const char *)&grants[i] + field_offset);
        at += sprintf(at, field->ptr ? "%s\"%.*s\"" : "%sNULL", i ? "," : "", FL_ARGS(*field));
    }
    strcpy(at, "}");
    return text;
}

static fl_status ask_held(struct fl_pg_sync *pg, struct fl_arena *arena, const struct fl_pg_grant *grants,
                          size_t count, struct fl_pg_rows **rows, struct fl_err *err)
{
    const char *params[] = {
        array_of(arena, grants, count, offsetof(struct fl_pg_grant, kind)),
        array_of(arena, grants, count, offsetof(struct fl_pg_grant, privilege)),
        array_of(arena, grants, count, offsetof(struct fl_pg_grant, object)),
        array_of(arena, grants, count, offsetof(struct fl_pg_grant, column)),
    };
    *rows = NULL;
    for (size_t i = 0; i < sizeof params / sizeof *params; i++)
        if (!params[i])
            return no_memory(err);
    return fl_pg_sync_query(pg, HELD_SQL, params, sizeof params / sizeof *params, rows, err);
}

/* *quoted: the user's name as SQL writes it. */
static fl_status ask_user(struct fl_pg_sync *pg, enum fl_pg_role role, struct fl_arena *arena,
                          struct fl_pg_rights *rights, struct fl_slice *quoted, struct fl_err *err)
{
    const char *params[] = {fl_pg_role_name(role)};
    struct fl_pg_rows *rows;
    fl_status status = fl_pg_sync_query(pg, USER_SQL, params, 1, &rows, err);
    if (status != FL_OK)
        return status;
    rights->user = fl_arena_copy(arena, fl_pg_rows_text(rows, 0, 0));
    *quoted = fl_arena_copy(arena, fl_pg_rows_text(rows, 0, 1));
    rights->is_superuser = fl_pg_rows_bool(rows, 0, 2);
    rights->is_owner = fl_pg_rows_bool(rows, 0, 3);
    rights->role_exists = fl_pg_rows_bool(rows, 0, 4);
    rights->is_member = fl_pg_rows_bool(rows, 0, 5);
    fl_pg_rows_free(rows);
    return rights->user.ptr && quoted->ptr ? FL_OK : no_memory(err);
}

/* ---- what to do ---- */

static bool shares_statement(const struct fl_pg_grant *a, const struct fl_pg_grant *b)
{
    return a->column.ptr && b->column.ptr && fl_slice_eq(a->object, b->object) &&
           fl_slice_eq(a->privilege, b->privilege);
}

/* The first `count` grants in one statement: one, or columns of one table. */
static struct fl_slice write_grant(struct fl_arena *arena, const struct fl_pg_grant *grants, size_t count,
                                   struct fl_slice user)
{
    char columns[STATEMENT_BYTES / 2] = "";
    size_t used = 0;
    if (fl_slice_is(grants->kind, "ROLE"))
        return fl_arena_format(arena, "GRANT %.*s TO %.*s;", FL_ARGS(grants->object), FL_ARGS(user));
    for (size_t i = 0; i < count && grants->column.ptr && used < sizeof columns; i++)
        used += (size_t)snprintf(columns + used, sizeof columns - used, "%s%.*s", i ? ", " : " (",
                                 FL_ARGS(grants[i].column));
    return fl_arena_format(arena, "GRANT %.*s%s%s ON %.*s %.*s TO %.*s;", FL_ARGS(grants->privilege), columns,
                           columns[0] ? ")" : "", FL_ARGS(grants->kind), FL_ARGS(grants->object),
                           FL_ARGS(user));
}

static fl_status write_grants(struct fl_arena *arena, const struct fl_pg_grant *missing, struct fl_slice user,
                              struct fl_pg_rights *rights, struct fl_err *err)
{
    size_t together;
    rights->grants = fl_arena_alloc(arena, (rights->missing + 1) * sizeof *rights->grants);
    if (!rights->grants)
        return no_memory(err);
    for (size_t i = 0; i < rights->missing; i += together) {
        together = 1;
        while (i + together < rights->missing && shares_statement(&missing[i], &missing[i + together]))
            together++;
        struct fl_slice grant = write_grant(arena, &missing[i], together, user);
        if (!grant.ptr)
            return no_memory(err);
        rights->grants[rights->grant_count++] = grant;
    }
    return FL_OK;
}

static struct fl_slice write_advice(struct fl_arena *arena, const char *role, struct fl_slice user,
                                    const struct fl_pg_rights *rights)
{
    if (!rights->role_exists)
        return fl_arena_format(
            arena, "as the owner of schema fenceline run config/roles.sql, then: GRANT %s TO %.*s;", role,
            FL_ARGS(user));
    if (!rights->is_member)
        return fl_arena_format(arena, "GRANT %s TO %.*s;", role, FL_ARGS(user));
    return fl_arena_format(
        arena,
        "as the owner of schema fenceline run 'fenceline migrate', then config/roles.sql again: "
        "the role %s lacks rights too",
        role);
}

fl_status fl_pg_rights_check(struct fl_pg_sync *pg, enum fl_pg_role role, struct fl_arena *arena,
                             struct fl_pg_rights *rights, struct fl_err *err)
{
    struct fl_pg_grant *grants;
    struct fl_pg_rows *held = NULL;
    struct fl_slice user = {0};
    size_t count;
    *rights = (struct fl_pg_rights){0};
    fl_status status = fl_pg_grants_parse(fl_roles_sql, arena, &grants, &count, err);
    if (status == FL_OK)
        status = ask_user(pg, role, arena, rights, &user, err);
    if (status != FL_OK)
        return status;
    rights->needed = keep_needed(grants, count, role);
    status = ask_held(pg, arena, grants, rights->needed, &held, err);
    for (size_t i = 0; status == FL_OK && i < rights->needed; i++)
        if (!fl_pg_rows_bool(held, i, 0))
            grants[rights->missing++] = grants[i];
    fl_pg_rows_free(held);
    if (status == FL_OK)
        status = write_grants(arena, grants, user, rights, err);
    if (status == FL_OK && rights->missing) {
        rights->advice = write_advice(arena, fl_pg_role_name(role), user, rights);
        status = rights->advice.ptr ? FL_OK : no_memory(err);
    }
    return status;
}
