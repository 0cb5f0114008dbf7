/* test_pg_grants.c - the list of rights is read as Postgres would read it, or refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/slice.h"
#include "io/pg_grants.h"

/* "role kind privilege object column" a line. */
static const char *read_back(const char *sql, char text[4096])
{
    struct fl_arena arena;
    struct fl_pg_grant *grants = NULL;
    struct fl_err err = {0};
    size_t count = 0, used = 0;
    fl_arena_init(&arena, 1 << 20);
    fl_status status = fl_pg_grants_parse(sql, &arena, &grants, &count, &err);
    text[0] = '\0';
    if (status != FL_OK)
        snprintf(text, 4096, "%s", err.text);
    for (size_t i = 0; i < count; i++)
        used +=
            (size_t)snprintf(text + used, 4096 - used, "%.*s %.*s %.*s %.*s %.*s\n", FL_ARGS(grants[i].role),
                             FL_ARGS(grants[i].kind), FL_ARGS(grants[i].privilege), FL_ARGS(grants[i].object),
                             FL_ARGS(grants[i].column));
    fl_arena_release(&arena);
    return text;
}

static void test_forms(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *grants;
    } CASES[] = {
        {"", ""},
        {"GRANT USAGE ON SCHEMA s TO a;", "a SCHEMA USAGE s \n"},
        {"GRANT SELECT ON TABLE s.t TO a;", "a TABLE SELECT s.t \n"},
        {"GRANT EXECUTE ON FUNCTION s.f, s.g TO a, b;", "a FUNCTION EXECUTE s.f \na FUNCTION EXECUTE s.g \nb "
                                                        "FUNCTION EXECUTE s.f \nb FUNCTION EXECUTE s.g \n"},
        {"GRANT SELECT (x, y), INSERT (z), DELETE ON TABLE s.t TO a;",
         "a TABLE SELECT s.t x\na TABLE SELECT s.t y\na TABLE INSERT s.t z\na TABLE DELETE s.t \n"},
        {"GRANT r TO a;", "a ROLE MEMBER r \n"},
        {"GRANT\n  SELECT -- all; of it\n ON TABLE s.t\n TO a -- the end\n;", "a TABLE SELECT s.t \n"},
        {"-- GRANT SELECT ON TABLE s.t TO a;", ""},
        {"BEGIN; REVOKE ALL ON TABLE s.t FROM a; GRANT r TO a; COMMIT;", "a ROLE MEMBER r \n"},
        {"SELECT 'a; GRANT r TO b; x'; GRANT r TO a;", "a ROLE MEMBER r \n"},
        {"SELECT 'never ends; GRANT r TO a;", ""},
        {"DO $$ BEGIN EXECUTE 'GRANT'; END $$;", ""},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char text[4096];
        if (strcmp(read_back(CASES[i].sql, text), CASES[i].grants) != 0)
            fail_msg("%s\ngives\n%s\nnot\n%s", CASES[i].sql, text, CASES[i].grants);
    }
}

/* A right that is overlooked would never be missed: so nothing is. */
static void test_other_forms_are_refused(void **state)
{
    (void)state;
    static const char *const CASES[] = {
        "GRANT",
        "GRANT SELECT",
        "GRANT SELECT ON t TO a;",
        "GRANT SELECT ON TABLE s.t",
        "GRANT SELECT ON TABLE s.t TO a",
        "GRANT SELECT ON TABLE s.t TO a WITH GRANT OPTION;",
        "GRANT SELECT ON ALL TABLES IN SCHEMA s TO a;",
        "GRANT SELECT (x ON TABLE s.t TO a;",
        "GRANT SELECT () ON TABLE s.t TO a;",
        "GRANT SELECT, ON TABLE s.t TO a;",
        "GRANT ALL PRIVILEGES ON TABLE s.t TO a;",
        "GRANT EXECUTE ON FUNCTION s.f(integer) TO a;",
        "GRANT EXECUTE ON PROCEDURE s.f TO a;",
        "GRANT SELECT ON TABLE \"s\".t TO a;",
        "GRANT r TO ;",
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char text[4096];
        if (!strstr(read_back(CASES[i], text), "not a GRANT as config/roles.sql writes them: GRANT"))
            fail_msg("%s\ngives\n%s", CASES[i], text);
    }
}

static void test_too_many_names(void **state)
{
    (void)state;
    char sql[4096] = "GRANT SELECT ON TABLE a", text[4096];
    for (int i = 0; i < 64; i++)
        strcat(sql, ", a");
    strcat(sql, " TO r;");
    assert_non_null(strstr(read_back(sql, text), "not a GRANT"));
}

static void test_no_memory(void **state)
{
    (void)state;
    struct fl_arena arena;
    struct fl_pg_grant *grants;
    struct fl_err err;
    size_t count;
    fl_arena_init(&arena, 0);
    assert_int_equal(fl_pg_grants_parse("GRANT r TO a;", &arena, &grants, &count, &err), FL_NO_MEMORY);
    fl_arena_release(&arena);
}

/* The file itself is in that form, and gives each role something. */
static void test_the_list(void **state)
{
    (void)state;
    struct fl_arena arena;
    struct fl_pg_grant *grants;
    size_t count, of_role[FL_ROLE_COUNT] = {0}, known = 0;
    fl_arena_init(&arena, 1 << 20);
    assert_int_equal(fl_pg_grants_parse(fl_roles_sql, &arena, &grants, &count, NULL), FL_OK);
    for (size_t i = 0; i < count; i++)
        for (int role = 0; role < FL_ROLE_COUNT; role++)
            of_role[role] += fl_slice_is(grants[i].role, fl_pg_role_name((enum fl_pg_role)role));
    for (int role = 0; role < FL_ROLE_COUNT; role++) {
        assert_true(of_role[role] >= 2);
        known += of_role[role];
    }
    assert_int_equal(known, count); /* nobody else is given anything */
    fl_arena_release(&arena);
}

static void test_roles_on(void **state)
{
    (void)state;
    char text[384], small[20];
    assert_true(fl_pg_grants_roles_on(FL_SLICE("purge_jobs"), text, sizeof text));
    assert_int_equal(strncmp(text, "fenceline_operator (", 20), 0);
    assert_null(strstr(text, " or fenceline_"));
    assert_true(fl_pg_grants_roles_on(FL_SLICE("fenceline"), text, sizeof text));
    assert_non_null(strstr(text, "enqueuer"));
    assert_false(fl_pg_grants_roles_on(FL_SLICE(""), text, sizeof text));
    assert_false(fl_pg_grants_roles_on(FL_SLICE("purge"), text, sizeof text));
    assert_false(fl_pg_grants_roles_on(FL_SLICE("purge_jobs2"), text, sizeof text));
    assert_false(fl_pg_grants_roles_on(FL_SLICE("purge_jobs"), small, sizeof small));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),          cmocka_unit_test(test_other_forms_are_refused),
        cmocka_unit_test(test_too_many_names), cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_the_list),       cmocka_unit_test(test_roles_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
