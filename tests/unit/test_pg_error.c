/* test_pg_error.c - SQLSTATE to status and advice; connection strings; nothing quotes a password. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "io/pg_dsn.h"
#include "io/pg_error.h"

static void test_states(void **state)
{
    (void)state;
    static const struct {
        const char *sqlstate;
        fl_status status;
        const char *advice;
    } CASES[] = {
        {"08000", FL_UNAVAILABLE, "point to another"},
        {"08006", FL_UNAVAILABLE, "FENCELINE_POSTGRES"},
        {"57P01", FL_UNAVAILABLE, "--postgres DSN"},
        {"57P02", FL_UNAVAILABLE, "start it"},
        {"57P03", FL_UNAVAILABLE, "try again"},
        {"25006", FL_UNAVAILABLE, "read-only (a standby?)"},
        {"28P01", FL_UNAVAILABLE, "~/.pgpass"},
        {"28000", FL_UNAVAILABLE, "~/.pgpass"},
        {"3D000", FL_UNAVAILABLE, "create it"},
        {"53100", FL_TRANSIENT, "disk"},
        {"53300", FL_TRANSIENT, "connections"},
        {"40001", FL_TRANSIENT, "try again"},
        {"40P01", FL_TRANSIENT, "try again"},
        {"55P03", FL_TRANSIENT, "lock"},
        {"57014", FL_TRANSIENT, "too long"},
        {"42501", FL_USAGE, "with a role of config/roles.sql"},
        {"3F000", FL_USAGE, "run 'fenceline migrate'"},
        {"42P01", FL_USAGE, "run 'fenceline migrate'"},
        {"42883", FL_USAGE, "run 'fenceline migrate'"},
        {"42704", FL_USAGE, "run 'fenceline migrate'"},
        {"42703", FL_USAGE, "run 'fenceline migrate'"},
        {"23505", FL_FAILED, "SQLSTATE 23505"},
        {"40002", FL_FAILED, "SQLSTATE 40002"},
        {"57000", FL_FAILED, "SQLSTATE 57000"},
        {"XX000", FL_FAILED, "SQLSTATE XX000"},
        {"25001", FL_FAILED, "SQLSTATE 25001"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct fl_err err = {0};
        if (fl_pg_error(&err, CASES[i].sqlstate, "it says") != CASES[i].status)
            fail_msg("%s gives '%s'", CASES[i].sqlstate, fl_status_text(err.code));
        assert_int_equal(err.code, CASES[i].status);
        assert_ptr_equal(strstr(err.text, "Postgres: it says"), err.text);
        if (!strstr(err.text, CASES[i].advice))
            fail_msg("%s: %s", CASES[i].sqlstate, err.text);
    }
}

static void test_exit_codes(void **state)
{
    (void)state;
    assert_int_equal(fl_status_exit_code(fl_pg_error(NULL, "28P01", "x")), 6);
    assert_int_equal(fl_status_exit_code(fl_pg_error(NULL, "25006", "x")), 6);
    assert_int_equal(fl_status_exit_code(fl_pg_error(NULL, "42501", "x")), 2);
    assert_int_equal(fl_status_exit_code(fl_pg_error(NULL, "42P01", "x")), 2);
    assert_int_equal(fl_status_exit_code(fl_pg_error(NULL, "XX000", "x")), 1);
}

static void test_no_state(void **state)
{
    (void)state;
    struct fl_err err;
    assert_int_equal(fl_pg_error(&err, NULL, NULL), FL_UNAVAILABLE);
    assert_non_null(strstr(err.text, "the connection is gone"));
    assert_int_equal(fl_pg_error(&err, "", "closed"), FL_UNAVAILABLE);
    assert_int_equal(fl_pg_error(&err, "23", ""), FL_FAILED);
    assert_non_null(strstr(err.text, "no message"));
    assert_int_equal(fl_pg_error(&err, "XX000", "two\nlines\033[31m"), FL_FAILED);
    assert_null(strpbrk(err.text, "\n\033"));
}

static void test_connection_error(void **state)
{
    (void)state;
    struct fl_err err;
    const char *keys[] = {"host", "port", "user", "password", "connect_timeout", NULL};
    const char *values[] = {"127.0.0.1,127.0.0.1", "1,1", "u", "hunter2", "2", NULL};
    PGconn *conn = PQconnectdbParams(keys, values, 0);
    assert_int_equal(fl_pg_connection_error(&err, conn, "could not connect"), FL_UNAVAILABLE);
    PQfinish(conn);
    assert_non_null(strstr(err.text, "port 1 failed"));
    assert_non_null(strstr(err.text, "; connection to server")); /* the second host, on the same line */
    assert_non_null(
        strstr(err.text, "start it, or point to another with --postgres DSN or FENCELINE_POSTGRES"));
    assert_null(strstr(err.text, "hunter2"));
    assert_null(strpbrk(err.text, "\n\t?"));
    assert_int_equal(fl_pg_connection_error(&err, NULL, "could not connect"), FL_UNAVAILABLE);
    assert_non_null(strstr(err.text, "out of memory"));
}

static void test_dsn(void **state)
{
    (void)state;
    static const struct {
        const char *dsn;
        fl_status status;
        bool has_password;
    } CASES[] = {
        {"", FL_OK, false},
        {"postgresql://u@h:5432/d", FL_OK, false},
        {"postgresql://u:hunter2@h:5432/d", FL_OK, true},
        {"postgresql://u:hunter2%40x@h:5432/d", FL_OK, true},
        {"postgresql://h1:1,h2:2/d?password=hunter2", FL_OK, true},
        {"host=h password=hunter2", FL_OK, true},
        {"host=h sslpassword=hunter2", FL_OK, true},
        {"host=h password=''", FL_OK, false},
        {"host=h passfile=/x", FL_OK, false},
        {"host=h dbname=a@b", FL_OK, false},
        {"hunter2", FL_USAGE, false},
        {"host=h hunter2", FL_USAGE, false},
        {"postgresql://u:hunt@er2@h/d", FL_USAGE, true},
        {"postgresql://u:hunt/er2@h/d", FL_USAGE, false},
        {"postgresql://u:12/hunter2@h/d", FL_USAGE, false},
        {"postgresql://u:hunter2%zz@h/d", FL_USAGE, false},
        {"postgresql://h/d?hunter2=1", FL_USAGE, false},
        {"host=h port=hunter2", FL_USAGE, false},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct fl_err err = {0};
        bool has_password = !CASES[i].has_password;
        if (fl_pg_dsn_check(CASES[i].dsn, &has_password, &err) != CASES[i].status)
            fail_msg("%s: %s", CASES[i].dsn, err.text);
        assert_int_equal(has_password, CASES[i].has_password);
        assert_null(strstr(err.text, "unter2"));
        assert_int_equal(err.text[0] != '\0', CASES[i].status != FL_OK);
    }
}

/* What is denied names the role that has it. */
static void test_denied(void **state)
{
    (void)state;
    static const struct {
        const char *message, *advice, *not_advice;
    } CASES[] = {
        {"permission denied for table chapters", "needs the role fenceline_reader (show", "fenceline_worker"},
        {"permission denied for table jobs",
         "fenceline_reader (show, history, jobs list, locks list) or "
         "fenceline_worker (import, delete, enqueue, worker)",
         "enqueuer"},
        {"permission denied for view segments_with_chapters", "fenceline_reader", "fenceline_worker"},
        {"permission denied for function retry_jobs", "needs the role fenceline_operator (",
         "fenceline_reader"},
        {"permission denied for function commit_chapters", "needs the role fenceline_worker (",
         "fenceline_reader"},
        {"permission denied for function enqueue", "needs the role fenceline_enqueuer (", "fenceline_worker"},
        {"permission denied for schema fenceline", "'fenceline migrate' runs as that owner", NULL},
        {"permission denied for function enter_commit", "with a role of config/roles.sql", "fenceline_"},
        {"permission denied for table job", "with a role of config/roles.sql", "fenceline_"},
        {"permission denied for database podcast", "with a role of config/roles.sql", "fenceline_"},
        {"permission denied for table", "with a role of config/roles.sql", "fenceline_"},
        {"must be owner of table jobs", "the owner of the database or of schema fenceline", "fenceline_"},
        {"keine Berechtigung", "with a role of config/roles.sql", "fenceline_"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct fl_err err = {0};
        assert_int_equal(fl_pg_error(&err, "42501", CASES[i].message), FL_USAGE);
        assert_non_null(strstr(err.text, CASES[i].message));
        if (!strstr(err.text, CASES[i].advice) ||
            (CASES[i].not_advice && strstr(err.text, CASES[i].not_advice)))
            fail_msg("%s", err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),   cmocka_unit_test(test_exit_codes),
        cmocka_unit_test(test_no_state), cmocka_unit_test(test_connection_error),
        cmocka_unit_test(test_dsn),      cmocka_unit_test(test_denied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
