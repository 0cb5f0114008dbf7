/* doctor_rights.c - may the users that are configured do what fenceline does? Pure.
 *
 * Which of the roles is meant follows from what the user can: the first one that it fills, of worker,
 * operator and reader. One that fills none lacks what a worker needs. */
#include <inttypes.h>
#include <string.h>

#include "app/doctor_checks.h"
#include "base/arena.h"
#include "base/slice.h"

/* head, then the parts with a separator between; "" without memory. */
static struct fl_slice join(struct fl_arena *arena, struct fl_slice head, const struct fl_slice *parts,
                            size_t count, const char *separator)
{
    size_t length = head.len, gap = strlen(separator);
    for (size_t i = 0; i < count; i++)
        length += gap + parts[i].len;
    char *text = fl_arena_alloc(arena, length + 1);
    if (!text)
        return FL_SLICE("");
    size_t at = head.len;
    if (at)
        memcpy(text, head.ptr, at);
    for (size_t i = 0; i < count; i++) {
        memcpy(text + at, separator, gap);
        if (parts[i].len)
            memcpy(text + at + gap, parts[i].ptr, parts[i].len);
        at += gap + parts[i].len;
    }
    text[at] = '\0';
    return (struct fl_slice){text, at};
}

static void judge_postgres(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    static const enum fl_pg_role ROLES[] = {FL_ROLE_WORKER, FL_ROLE_OPERATOR, FL_ROLE_READER};
    const struct fl_pg_rights *lacking = &facts->pg_rights[FL_ROLE_WORKER];
    bool has_schema = facts->pg.schema_version > 0 || facts->pg.schema_trouble.ptr;
    if (!has_schema ||
        fl_check_unseen(result, facts->pg_rights_trouble)) /* without one, that is what to mend */
        return;
    for (size_t i = 0; i < sizeof ROLES / sizeof *ROLES; i++) {
        const struct fl_pg_rights *rights = &facts->pg_rights[ROLES[i]];
        if (rights->missing > 0)
            continue;
        fl_check_found(result, FL_DOCTOR_OK, "%.*s has those of %s%s", FL_ARGS(rights->user),
                       fl_pg_role_name(ROLES[i]),
                       rights->is_superuser ? ", as a superuser"
                       : rights->is_owner   ? ", as the schema's owner"
                                            : "");
        return;
    }
    fl_check_found(result, FL_DOCTOR_DANGER, "%.*s lacks %zu of %zu that an import needs",
                   FL_ARGS(lacking->user), lacking->missing, lacking->needed);
    result->advice = join(result->arena, lacking->advice, lacking->grants, lacking->grant_count, "; ");
}

static void judge_redis(const struct fl_doctor_facts *facts, struct fl_check_result *result)
{
    const struct fl_redis_rights *rights = &facts->redis_rights;
    if (fl_check_unseen(result, facts->redis_rights_trouble))
        return;
    if (rights->missing_count == 0) {
        fl_check_found(result, FL_DOCTOR_OK, "%.*s has all %zu", FL_ARGS(rights->user), rights->needed);
        return;
    }
    struct fl_slice missing =
        join(result->arena, rights->missing[0], rights->missing + 1, rights->missing_count - 1, " ");
    fl_check_found(result, FL_DOCTOR_DANGER, "%.*s lacks %.*s%s", FL_ARGS(rights->user), FL_ARGS(missing),
                   rights->is_known ? "" : ", and may not ask for more");
    result->advice = join(result->arena, FL_SLICE("as an administrator: "), &rights->line, 1, "");
}

const struct fl_check fl_doctor_redis_rights = {FL_DOCTOR_REDIS, FL_NEEDS_REDIS, "rights", judge_redis};
const struct fl_check fl_doctor_postgres_rights = {FL_DOCTOR_POSTGRES, FL_NEEDS_PG, "rights", judge_postgres};
