/* test_secrets.c - passwords from files into URLs and connection strings, and none in what is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/config_check.h"
#include "app/secrets.h"
#include "app/settings_keys.h"
#include "io/pg_dsn.h"
#include "io/redis.h"
#include "io/redis_url.h"

static char folder[] = "/tmp/fenceline-secrets-XXXXXX", file_path[64];
static struct fl_err err;

static int make_folder(void **state)
{
    (void)state;
    unsetenv("CREDENTIALS_DIRECTORY");
    if (!mkdtemp(folder))
        return -1;
    snprintf(file_path, sizeof file_path, "%s/password", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(file_path);
    return rmdir(folder);
}

static void write_password(const char *text, size_t length)
{
    FILE *file = fopen(file_path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

/* What libpq reads from a connection string under a keyword. */
static void assert_keyword(const char *dsn, const char *keyword, const char *value)
{
    PQconninfoOption *options = PQconninfoParse(dsn, NULL);
    assert_non_null(options);
    for (PQconninfoOption *option = options; option->keyword; option++)
        if (strcmp(option->keyword, keyword) == 0) {
            assert_non_null(option->val);
            assert_string_equal(option->val, value);
        }
    PQconninfoFree(options);
}

static const char *const PASSWORDS[] = {
    "open4sesame",          "a b", "'",       "\\", "a'b\\c", "%41", "a@b:c/d?e&f#g=h+i",
    "\xc3\xa4\xe2\x82\xac", ";",   "\x01\x7f"};
enum { PASSWORD_COUNT = sizeof PASSWORDS / sizeof *PASSWORDS };

/* Whatever the password, the server is asked with it, and nothing else in the string changes. */
static void test_into_redis_url(void **state)
{
    (void)state;
    static const struct {
        const char *url, *user, *host;
        int port, db;
    } URLS[] = {{"redis://h", "", "h", 6379, 0},
                {"redis://h:1/2", "", "h", 1, 2},
                {"redis://user@h", "user", "h", 6379, 0},
                {"redis://us%3Aer@[::1]:5/3", "us:er", "::1", 5, 3},
                {"redis://:@h", "", "h", 6379, 0},
                {"redis://", "", "127.0.0.1", 6379, 0},
                {"unix:///run/redis.sock", "", "/run/redis.sock", 0, 0},
                {"unix://user@/run/redis.sock?db=4", "user", "/run/redis.sock", 0, 4}};
    for (size_t i = 0; i < sizeof URLS / sizeof *URLS; i++)
        for (size_t p = 0; p < PASSWORD_COUNT; p++) {
            char url[1024];
            struct fl_redis_address address;
            assert_int_equal(fl_redis_url_with_password(URLS[i].url, PASSWORDS[p], url, sizeof url, &err),
                             FL_OK);
            assert_int_equal(fl_redis_parse_url(url, &address, &err), FL_OK);
            assert_string_equal(address.password, PASSWORDS[p]);
            assert_string_equal(address.user, URLS[i].user);
            assert_string_equal(address.host, URLS[i].host);
            assert_int_equal(address.port, URLS[i].port);
            assert_int_equal(address.db, URLS[i].db);
            assert_null(strstr(address.shown, "sesame"));
        }
}

static void test_into_dsn(void **state)
{
    (void)state;
    static const char *const DSNS[] = {"",
                                       "host=h dbname=d",
                                       "host=h dbname=d ",
                                       "postgresql://u@h/d",
                                       "postgresql://h",
                                       "postgres://u@h:5/d?sslmode=disable",
                                       "dbname='a b'"};
    for (size_t i = 0; i < sizeof DSNS / sizeof *DSNS; i++)
        for (size_t p = 0; p < PASSWORD_COUNT; p++) {
            char dsn[1024];
            bool has_password;
            assert_int_equal(fl_pg_dsn_with_password(DSNS[i], PASSWORDS[p], dsn, sizeof dsn, &err), FL_OK);
            assert_keyword(dsn, "password", PASSWORDS[p]);
            assert_int_equal(fl_pg_dsn_check(dsn, &has_password, &err), FL_OK);
            assert_true(has_password);
        }
    char dsn[1024];
    assert_int_equal(
        fl_pg_dsn_with_password("postgres://u@h:5/d?sslmode=disable", "p", dsn, sizeof dsn, &err), FL_OK);
    assert_keyword(dsn, "host", "h");
    assert_keyword(dsn, "sslmode", "disable");
    assert_keyword(dsn, "user", "u");
}

static void test_refused(void **state)
{
    (void)state;
    char out[128];
    assert_int_equal(fl_redis_url_with_password("redis://u:other@h", "hunter2", out, sizeof out, &err),
                     FL_USAGE);
    assert_string_equal(err.text, "redis.url holds a password, too: give one of them");
    assert_int_equal(fl_redis_url_with_password("nonsense", "hunter2", out, sizeof out, &err), FL_USAGE);
    assert_int_equal(fl_redis_url_with_password("redis://h", "hunter2", out, 17, &err), FL_USAGE);
    assert_string_equal(err.text, "redis.url and its password are too long");
    assert_int_equal(fl_redis_url_with_password("redis://h", "hunter2", out, 19, &err), FL_OK);
    assert_int_equal(fl_pg_dsn_with_password("password=other", "hunter2", out, sizeof out, &err), FL_USAGE);
    assert_string_equal(err.text, "postgres.dsn holds a password, too: give one of them");
    assert_int_equal(fl_pg_dsn_with_password("postgresql://u:other@h", "hunter2", out, sizeof out, &err),
                     FL_USAGE);
    assert_int_equal(fl_pg_dsn_with_password("host", "hunter2", out, sizeof out, &err), FL_USAGE);
    assert_int_equal(fl_pg_dsn_with_password("host=h", "hunter2", out, 20, &err), FL_USAGE);
    assert_null(strstr(err.text, "hunter2"));
    char longest[1200];
    memset(longest, '\'', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(fl_pg_dsn_with_password("", longest, out, sizeof out, &err), FL_USAGE);
    assert_int_equal(fl_redis_url_with_password("redis://h", longest, out, sizeof out, &err), FL_USAGE);
}

static void test_masked(void **state)
{
    (void)state;
    static const struct {
        const char *url, *shown;
    } URLS[] = {
        {"redis://h:1/2", "redis://h:1/2"},
        {"redis://user:hunter2@h", "redis://user:***@h"},
        {"redis://:hunter2@h", "redis://:***@h"},
        {"redis://:hunt@er2@h", "redis://:***@h"},
        {"redis://user@h", "redis://user@h"},
        {"unix://user:hunter2@/run/x?db=1", "unix://user:***@/run/x?db=1"},
        {"redis://h?password=hunter2", "***"},
        {"hunter2@h", "***"},
        {"redis://u:hunter2@h:port", "***"},
        {"http://u:hunter2@h", "***"},
        {"", ""},
    };
    static const struct {
        const char *dsn, *shown;
    } DSNS[] = {
        {"", ""},
        {"host=h dbname=d", "host=h dbname=d"},
        {"postgresql://u@h/d", "postgresql://u@h/d"},
        {"postgresql://u:hunter2@h/d", "user=u password=*** dbname=d host=h"},
        {"host=h password='hunter2 hunter2'", "password=*** host=h"},
        {"postgresql://h/d?password=hunter2&application_name=a%20b",
         "password=*** dbname=d host=h application_name='a b'"},
        {"host=h sslpassword=hunter2", "host=h sslpassword=***"},
        {"postgresql://u:hunt@er2@h/d", "***"},
        {"password=hunter2 host", "***"},
    };
    char out[FL_SECRETS_SHOWN_BYTES];
    for (size_t i = 0; i < sizeof URLS / sizeof *URLS; i++)
        assert_string_equal(fl_redis_url_mask(URLS[i].url, out, sizeof out), URLS[i].shown);
    for (size_t i = 0; i < sizeof DSNS / sizeof *DSNS; i++)
        assert_string_equal(fl_pg_dsn_mask(DSNS[i].dsn, out, sizeof out), DSNS[i].shown);
    for (size_t size = 1; size < 40; size++) {
        assert_true(strlen(fl_pg_dsn_mask(DSNS[3].dsn, out, size)) < size);
        assert_true(strlen(fl_redis_url_mask(URLS[1].url, out, size)) < size);
        assert_null(strstr(out, "hunter2"));
    }
}

static fl_status read_from(const char *redis_file, const char *postgres_file, struct fl_settings *settings)
{
    fl_settings_init(settings);
    snprintf(settings->redis_password_file, sizeof settings->redis_password_file, "%s", redis_file);
    snprintf(settings->postgres_password_file, sizeof settings->postgres_password_file, "%s", postgres_file);
    return fl_secrets_read(settings, &err);
}

static void test_files(void **state)
{
    (void)state;
    struct fl_settings settings;
    static const char *const TEXTS[] = {"hunter2", "hunter2\n", "hunter2\r\n"};
    for (size_t i = 0; i < 3; i++) {
        write_password(TEXTS[i], strlen(TEXTS[i]));
        assert_int_equal(read_from(file_path, file_path, &settings), FL_OK);
        assert_string_equal(settings.redis_url, "redis://:hunter2@127.0.0.1:6379");
        assert_string_equal(settings.postgres_dsn, "password='hunter2'");
    }
    assert_int_equal(read_from("", "", &settings), FL_OK);
    assert_string_equal(settings.redis_url, "redis://127.0.0.1:6379");
    assert_string_equal(settings.postgres_dsn, "");
    /* A systemd credential. */
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    assert_int_equal(read_from("password", "", &settings), FL_OK);
    assert_string_equal(settings.redis_url, "redis://:hunter2@127.0.0.1:6379");
    assert_int_equal(read_from("passwort", "", &settings), FL_USAGE);
    assert_non_null(strstr(err.text, "/passwort: No such file or directory"));
    unsetenv("CREDENTIALS_DIRECTORY");
}

static void assert_file_refused(const char *text, size_t length, const char *part)
{
    struct fl_settings settings;
    write_password(text, length);
    assert_int_equal(read_from("", file_path, &settings), FL_USAGE);
    if (!strstr(err.text, part) || strncmp(err.text, "postgres.password_file: ", 24) != 0)
        fail_msg("'%s' is not in: %s", part, err.text);
    assert_null(strstr(err.text, "hunter2"));
    assert_string_equal(settings.postgres_dsn, "");
}

static void test_wrong_files(void **state)
{
    (void)state;
    struct fl_settings settings;
    char longest[300];
    memset(longest, 'x', sizeof longest);
    assert_file_refused("", 0, "is empty");
    assert_file_refused("\n", 1, "is empty");
    assert_file_refused("hunter2\nx", 9, "more than one line");
    assert_file_refused("hunter2\n\n", 9, "more than one line");
    assert_file_refused("hunter2\0x", 9, "more than one line");
    assert_file_refused(longest, FL_SECRETS_PASSWORD_BYTES + 1, "more than 256 bytes");
    assert_file_refused(longest, 299, "more than 256 bytes");
    write_password(longest, FL_SECRETS_PASSWORD_BYTES);
    assert_int_equal(read_from("", file_path, &settings), FL_OK);
    assert_int_equal(read_from("", folder, &settings), FL_USAGE);
    assert_non_null(strstr(err.text, "Is a directory"));
    assert_int_equal(read_from("password", "", &settings), FL_USAGE);
    assert_non_null(strstr(err.text, "redis.password_file: 'password' is the name of a systemd credential"));
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    static const char *const NO_NAMES[] = {"a/b", "../password", "..", "."};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(read_from(NO_NAMES[i], "", &settings), FL_USAGE);
        assert_non_null(strstr(err.text, "is neither an absolute path nor the name"));
    }
    unsetenv("CREDENTIALS_DIRECTORY");
    write_password("hunter2", 7);
    fl_settings_init(&settings);
    strcpy(settings.redis_url, "redis://u:other@h");
    strcpy(settings.redis_password_file, file_path);
    assert_int_equal(fl_secrets_read(&settings, &err), FL_USAGE);
    assert_string_equal(err.text, "redis.password_file: redis.url holds a password, too: give one of them");
}

/* ---- config check ---- */

struct heard {
    char text[8192];
    size_t errors, warnings, notes;
};

static void hear(void *owner, enum fl_config_level level, const char *setting, const char *text)
{
    struct heard *heard = owner;
    size_t *const counts[] = {&heard->notes, &heard->warnings, &heard->errors};
    ++*counts[level];
    snprintf(heard->text + strlen(heard->text), sizeof heard->text - strlen(heard->text), "%s|%s\n",
             setting ? setting : "-", text);
}

static struct heard check(const struct fl_settings *settings)
{
    struct heard heard = {.text = ""};
    fl_config_check(settings, hear, &heard);
    return heard;
}

/* Nobody listens there. */
static void init(struct fl_settings *settings)
{
    fl_settings_init(settings);
    strcpy(settings->postgres_dsn, "host=127.0.0.1 port=1");
}

static void test_check_values(void **state)
{
    (void)state;
    static const struct {
        int64_t ttl_ms, timeout_ms, stall_ms;
        size_t errors;
    } LEASES[] = {{8000, 5000, 60000, 0}, {7500, 5000, 60000, 0}, {7498, 5000, 60000, 1},
                  {1500, 1000, 60000, 0}, {1500, 1001, 60000, 1}, {8000, 5000, 2667, 0},
                  {8000, 5000, 2666, 1},  {500, 5000, 600, 1}};
    struct fl_settings settings;
    for (size_t i = 0; i < sizeof LEASES / sizeof *LEASES; i++) {
        init(&settings);
        settings.policy.lease_ttl_ms = LEASES[i].ttl_ms;
        settings.redis_timeout_ms = LEASES[i].timeout_ms;
        settings.policy.lease_stall_ms = LEASES[i].stall_ms;
        struct heard heard = check(&settings);
        assert_int_equal(heard.errors, LEASES[i].errors);
        assert_int_equal(heard.notes, 1);
        assert_non_null(
            strstr(heard.text, "postgres.connections|not asked how many connections Postgres allows: "));
    }
    init(&settings);
    settings.policy.lease_ttl_ms = 7000;
    assert_non_null(
        strstr(check(&settings).text,
               "lease.ttl_ms|lease.ttl_ms (7000) is shorter than its renewal needs: a renewal is sent "
               "after 2333 ms, and one that gets no answer is noticed only after redis.timeout_ms (5000), "
               "when the lease has ended; at least 7500, or a shorter redis.timeout_ms\n"));
    init(&settings);
    settings.limits.file_bytes = settings.inline_bytes;
    assert_int_equal(check(&settings).errors, 0);
    settings.limits.file_bytes--;
    assert_non_null(
        strstr(check(&settings).text, "limit.inline_bytes|limit.inline_bytes (1048576) is more than"));
    init(&settings);
    settings.worker.dead_ms = 300;
    assert_non_null(strstr(check(&settings).text, "-|worker.dead_ms (300) is shorter than three times"));
}

static void test_check_names(void **state)
{
    (void)state;
    struct fl_settings settings;
    init(&settings);
    strcpy(settings.source_root, folder);
    assert_int_equal(check(&settings).errors, 0);
    strcpy(settings.source_root, file_path);
    write_password("hunter2", 7);
    assert_non_null(strstr(check(&settings).text, "is no folder"));
    strcpy(settings.source_root, "/nowhere/at/all");
    assert_non_null(strstr(check(&settings).text, "source.root|source.root: /nowhere/at/all: No such file"));

    init(&settings);
    strcpy(settings.redis_url, "redis://u:hunter2@h:port");
    strcpy(settings.postgres_dsn, "password=hunter2 host");
    struct heard heard = check(&settings);
    assert_int_equal(heard.errors, 2);
    assert_int_equal(heard.notes, 0); /* whom should it ask? */
    assert_null(strstr(heard.text, "hunter2"));

    init(&settings);
    strcpy(settings.redis_password_file, file_path);
    assert_int_equal(chmod(file_path, 0640), 0);
    heard = check(&settings);
    assert_int_equal(heard.errors + heard.warnings, 0);
    assert_int_equal(chmod(file_path, 0644), 0);
    heard = check(&settings);
    assert_int_equal(heard.warnings, 1);
    assert_non_null(strstr(heard.text, "redis.password_file|"));
    assert_non_null(strstr(heard.text, "everybody can read it: chmod o-r "));
    assert_null(strstr(heard.text, "hunter2"));
    strcpy(settings.redis_password_file, "/nowhere/at/all");
    assert_non_null(
        strstr(check(&settings).text, "-|redis.password_file: cannot open /nowhere/at/all: No such file"));
}

/* A file with a password that everybody can read; one without, or a variable, is nobody's business. */
static void test_check_public_file(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        enum fl_origin_source source;
        mode_t mode;
        size_t warnings;
    } CASES[] = {{"redis://u:hunter2@h", FL_ORIGIN_FILE, 0644, 1},
                 {"redis://u:hunter2@h", FL_ORIGIN_FILE, 0640, 0},
                 {"redis://u@h", FL_ORIGIN_FILE, 0644, 0},
                 {"redis://u:hunter2@h", FL_ORIGIN_ENVIRONMENT, 0644, 0}};
    struct fl_settings settings;
    write_password("", 0);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        init(&settings);
        const struct fl_origin origin = {CASES[i].source, {file_path, strlen(file_path)}, 3};
        assert_int_equal(fl_settings_set(&settings, "redis.url", CASES[i].url, &origin, &err), FL_OK);
        assert_int_equal(chmod(file_path, CASES[i].mode), 0);
        struct heard heard = check(&settings);
        assert_int_equal(heard.warnings, CASES[i].warnings);
        assert_int_equal(heard.errors, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_into_redis_url),
        cmocka_unit_test(test_into_dsn),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_masked),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_wrong_files),
        cmocka_unit_test(test_check_values),
        cmocka_unit_test(test_check_names),
        cmocka_unit_test(test_check_public_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
