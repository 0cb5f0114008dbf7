/* pg_grants.c - see pg_grants.h.
 *
 * Happy path: words and signs, one after the other; a statement that begins with GRANT becomes one entry for
 * each role, object and privilege it names; others are skipped. Failure modes: a GRANT of another form, or
 * one with too many names: said with the words it begins with; no memory. */
#include "io/pg_grants.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/slice.h"

enum { NAMES = 64, SHOWN_BYTES = 60, ARENA_BYTES = 1 << 20 };

static const struct {
    const char *name, *commands;
} ROLES[FL_ROLE_COUNT] = {
    [FL_ROLE_READER] = {"fenceline_reader", "show, history, jobs list, locks list"},
    [FL_ROLE_OPERATOR] = {"fenceline_operator", "jobs retry, cancel, purge, pause; locks break; doctor"},
    [FL_ROLE_WORKER] = {"fenceline_worker", "import, delete, enqueue, worker"},
    [FL_ROLE_ENQUEUER] = {"fenceline_enqueuer", "SELECT fenceline.enqueue(...)"},
};

const char *fl_pg_role_name(enum fl_pg_role role)
{
    FL_ASSERT(role < FL_ROLE_COUNT);
    return ROLES[role].name;
}

/* ---- words and signs ---- */

struct reader {
    struct fl_slice rest, token; /* an empty token is the end */
};

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.';
}

static void skip(struct reader *reader, size_t count)
{
    reader->rest.ptr += count;
    reader->rest.len -= count;
}

/* How many bytes from the front of rest go up to and with the sign; all, if it does not come. */
static size_t length_to(struct fl_slice rest, char sign)
{
    const char *at = memchr(rest.ptr, sign, rest.len);
    return at ? (size_t)(at - rest.ptr) + 1 : rest.len;
}

static void next(struct reader *reader)
{
    struct fl_slice *rest = &reader->rest;
    while (rest->len && (isspace((unsigned char)rest->ptr[0]) || fl_slice_starts(*rest, "--")))
        skip(reader, rest->ptr[0] == '-' ? length_to(*rest, '\n') : 1);
    size_t length = 0;
    while (length < rest->len && is_word(rest->ptr[length]))
        length++;
    if (length == 0 && rest->len)
        length =
            rest->ptr[0] == '\'' ? 1 + length_to((struct fl_slice){rest->ptr + 1, rest->len - 1}, '\'') : 1;
    reader->token = (struct fl_slice){rest->ptr, length};
    skip(reader, length);
}

static bool take(struct reader *reader, const char *text)
{
    bool is_it = fl_slice_is(reader->token, text);
    if (is_it)
        next(reader);
    return is_it;
}

static bool take_word(struct reader *reader, struct fl_slice *word)
{
    if (reader->token.len == 0 || !is_word(reader->token.ptr[0]))
        return false;
    *word = reader->token;
    next(reader);
    return true;
}

/* ---- one GRANT ---- */

struct names {
    struct fl_slice name[NAMES], column[NAMES];
    size_t count;
};

static bool add_name(struct names *names, struct fl_slice name, struct fl_slice column)
{
    if (names->count == NAMES)
        return false;
    names->name[names->count] = name;
    names->column[names->count++] = column;
    return true;
}

/* "(a, b)" after a privilege: it counts once for each column. */
static bool read_columns(struct reader *reader, struct names *names, struct fl_slice privilege)
{
    struct fl_slice column;
    do
        if (!take_word(reader, &column) || !add_name(names, privilege, column))
            return false;
    while (take(reader, ","));
    return take(reader, ")");
}

static bool read_names(struct reader *reader, struct names *names)
{
    struct fl_slice name;
    names->count = 0;
    do {
        bool is_good =
            take_word(reader, &name) && (take(reader, "(") ? read_columns(reader, names, name)
                                                           : add_name(names, name, (struct fl_slice){0}));
        if (!is_good)
            return false;
    } while (take(reader, ","));
    return true;
}

/* Names of objects and roles: nothing stands in parentheses after them, not the types of a function either.
 */
static bool read_plain_names(struct reader *reader, struct names *names)
{
    bool is_plain = read_names(reader, names);
    for (size_t i = 0; i < names->count; i++)
        is_plain = is_plain && !names->column[i].ptr;
    return is_plain;
}

struct grant {
    struct names privileges, objects, roles;
    struct fl_slice kind;
};

static bool read_grant(struct reader *reader, struct grant *grant)
{
    grant->kind = FL_SLICE("ROLE");
    if (!read_names(reader, &grant->privileges))
        return false;
    grant->objects = grant->privileges;
    if (take(reader, "ON")) {
        bool is_kind = take_word(reader, &grant->kind) &&
                       (fl_slice_is(grant->kind, "SCHEMA") || fl_slice_is(grant->kind, "TABLE") ||
                        fl_slice_is(grant->kind, "FUNCTION"));
        if (!is_kind || !read_plain_names(reader, &grant->objects))
            return false;
    } else { /* the roles given are the objects */
        grant->privileges = (struct names){.name = {FL_SLICE("MEMBER")}, .count = 1};
    }
    return take(reader, "TO") && read_plain_names(reader, &grant->roles) && fl_slice_is(reader->token, ";");
}

struct list {
    struct fl_arena *arena;
    struct fl_pg_grant *grants;
    size_t count;
};

static bool append(struct list *list, const struct grant *grant)
{
    size_t more = grant->roles.count * grant->objects.count * grant->privileges.count;
    struct fl_pg_grant *grown = fl_arena_grow(list->arena, list->grants, list->count * sizeof *grown,
                                              (list->count + more) * sizeof *grown);
    if (!grown)
        return false;
    list->grants = grown;
    for (size_t i = 0; i < more; i++) {
        size_t privilege = i % grant->privileges.count, others = i / grant->privileges.count;
        grown[list->count++] = (struct fl_pg_grant){
            .role = grant->roles.name[others / grant->objects.count],
            .kind = grant->kind,
            .privilege = grant->privileges.name[privilege],
            .object = grant->objects.name[others % grant->objects.count],
            .column = grant->privileges.column[privilege],
        };
    }
    return true;
}

fl_status fl_pg_grants_parse(const char *sql, struct fl_arena *arena, struct fl_pg_grant **grants,
                             size_t *count, struct fl_err *err)
{
    struct reader reader = {.rest = fl_slice_from(sql)};
    struct list list = {.arena = arena};
    struct grant grant;
    next(&reader);
    while (reader.token.len) {
        const char *from = reader.token.ptr;
        if (take(&reader, "GRANT") && !read_grant(&reader, &grant))
            return fl_err_set(err, FL_INVALID, "not a GRANT as config/roles.sql writes them: %.*s ...",
                              (int)strnlen(from, SHOWN_BYTES), from);
        if (fl_slice_is((struct fl_slice){from, 5}, "GRANT") && !append(&list, &grant))
            return fl_err_set(err, FL_NO_MEMORY, "no memory for the list of rights");
        while (reader.token.len && !fl_slice_is(reader.token, ";"))
            next(&reader);
        next(&reader);
    }
    *grants = list.grants;
    *count = list.count;
    return FL_OK;
}

/* ---- who has a right on it ---- */

static bool is_about(const struct fl_pg_grant *grant, struct fl_slice object)
{
    if (fl_slice_is(grant->kind, "SCHEMA"))
        return fl_slice_eq(grant->object, object);
    return grant->object.len == object.len + 10 && fl_slice_starts(grant->object, "fenceline.") &&
           fl_slice_eq((struct fl_slice){grant->object.ptr + 10, object.len}, object);
}

bool fl_pg_grants_roles_on(struct fl_slice object, char *text, size_t size_bytes)
{
    struct fl_arena arena;
    struct fl_pg_grant *grants = NULL;
    bool named[FL_ROLE_COUNT] = {false};
    size_t count = 0, used = 0;
    fl_arena_init(&arena, ARENA_BYTES);
    if (fl_pg_grants_parse(fl_roles_sql, &arena, &grants, &count, NULL) != FL_OK)
        count = 0;
    for (size_t i = 0; i < count; i++)
        for (int role = 0; role < FL_ROLE_COUNT; role++)
            named[role] |= is_about(&grants[i], object) && fl_slice_is(grants[i].role, ROLES[role].name);
    fl_arena_release(&arena);
    for (int role = 0; role < FL_ROLE_COUNT && used < size_bytes; role++)
        if (named[role])
            used += (size_t)snprintf(text + used, size_bytes - used, "%s%s (%s)", used ? " or " : "",
                                     ROLES[role].name, ROLES[role].commands);
    return used > 0 && used < size_bytes;
}
