/* test_config.c - `config check`, `config show`, and passwords from files, on real servers.
 *
 * Happy path: what is right is said to be right, and with a password from a file every command works. Failure
 * modes tried: typos, contradictions, a server with less room than is asked for, wrong passwords, and none in
 * any output. */
#include "../lib/fenceline.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char PASSWORD[] = "open4sesame";

static char *config_path;

static void write_config(const char *text)
{
    free(config_path);
    config_path = files_write_text(fenceline.folder, "test.conf", text);
    assert_int_equal(chmod(config_path, 0600), 0);
}

static struct process *config(int exit_code, const char *command, const char *option)
{
    return fenceline_run(exit_code, "config", command, "--config", config_path, option);
}

static void assert_ok(const struct process *process)
{
    char expected[300];
    snprintf(expected, sizeof expected, "the configuration is ok: %s\n", config_path);
    assert_string_equal(process->out.bytes, expected);
}

/* The connection string of the test's database for another role. */
static char *dsn_as(const char *role)
{
    char *dsn = NULL;
    const char *host = strstr(fenceline.dsn, "127.0.0.1");
    assert_non_null(host);
    assert_true(asprintf(&dsn, "postgresql://%s@%s", role, host) > 0);
    return dsn;
}

static void test_right(void **state)
{
    (void)state;
    write_config("[lease]\nttl_ms = 9000\n");
    struct process *ok = config(0, "check", NULL);
    assert_ok(ok);
    assert_string_equal(ok->err.bytes, "");
    assert_string_equal(config(0, "check", "--json")->out.bytes, "");
    assert_string_equal(config(0, "check", "--quiet")->out.bytes, "");
    fenceline_assert_clean();
}

static void test_typos(void **state)
{
    (void)state;
    write_config("[lease]\nttl_m = 9000\nlook_ms = 5\n\n[lock]\nx = 1\n");
    struct process *wrong = config(2, "check", NULL);
    fenceline_assert_out(wrong, "test.conf:2: unknown setting 'lease.ttl_m'; did you mean 'lease.ttl_ms'?\n");
    fenceline_assert_out(
        wrong, "test.conf:3: lease.look_ms must be a whole number of ms from 10 to 60000, not '5'\n");
    fenceline_assert_out(wrong, "test.conf:6: unknown setting 'lock.x'");
    assert_int_equal(files_count_lines(wrong->out.bytes), 3);
    assert_int_equal(
        files_count_text(config(2, "check", "--json")->out.bytes, "{\"level\":\"error\",\"setting\":null,"),
        3);
    /* Every other command stops at the first. */
    fenceline_assert_err(fenceline_run(2, "show", "ep1", "--config", config_path),
                         "did you mean 'lease.ttl_ms'?");
    fenceline_assert_err(config(2, "show", NULL), "did you mean 'lease.ttl_ms'?");
}

/* What works until the first slow answer is refused by the check, and by nobody else. */
static void test_short_lease(void **state)
{
    (void)state;
    write_config("[lease]\nttl_ms = 3000\n");
    struct process *wrong = config(2, "check", "--no-color");
    fenceline_assert_out(wrong, "error: lease.ttl_ms (3000) is shorter than its renewal needs");
    fenceline_run(1, "show", "ep1", "--config", config_path);
    write_config("[lease]\nttl_ms = 3000\n[redis]\ntimeout_ms = 2000\n");
    config(0, "check", NULL);
}

/* A role, a database, and the server: each may allow fewer connections than are asked for. */
static void test_too_many_connections(void **state)
{
    (void)state;
    static const char *const ROOM[] = {"ALTER ROLE fenceline_few CONNECTION LIMIT 4",
                                       "ALTER ROLE fenceline_few CONNECTION LIMIT -1"};
    char sql[256], *dsn = dsn_as("fenceline_few");
    db_exec(fenceline.db, "CREATE ROLE fenceline_few LOGIN CONNECTION LIMIT 3");
    fenceline.postgres_dsn = dsn;
    write_config("[postgres]\nconnections = 3\n");
    struct process *wrong = config(2, "check", NULL);
    fenceline_assert_out(
        wrong, "postgres.connections (3, and one that listens) is more than Postgres allows this role (3)");
    db_exec(fenceline.db, ROOM[0]);
    config(0, "check", NULL);
    db_exec(fenceline.db, ROOM[1]);
    snprintf(sql, sizeof sql, "ALTER DATABASE %s CONNECTION LIMIT 3", PQdb(fenceline.db));
    db_exec(fenceline.db, sql);
    fenceline_assert_out(config(2, "check", "--json"),
                         "{\"level\":\"error\",\"setting\":\"postgres.connections\",");
    snprintf(sql, sizeof sql, "ALTER DATABASE %s CONNECTION LIMIT -1", PQdb(fenceline.db));
    db_exec(fenceline.db, sql);
    config(0, "check", NULL);

    /* The whole server, less what is reserved for superusers. */
    char *room = db_text(fenceline.db, "SELECT current_setting('max_connections')::int"
                                       " - current_setting('superuser_reserved_connections')::int");
    char text[128];
    snprintf(text, sizeof text, "is more than Postgres has room for now");
    write_config("[postgres]\nconnections = 64\n");
    bool fits = atoi(room) >= 65;
    struct process *many = config(fits ? 0 : 2, "check", NULL);
    if (!fits)
        fenceline_assert_out(many, room);
    free(room);
    free(dsn);
    fenceline.postgres_dsn = fenceline.dsn;
    db_exec(fenceline.db, "DROP ROLE fenceline_few");
}

/* A server that is away is no fault of the configuration. */
static void test_servers_away(void **state)
{
    (void)state;
    write_config("");
    fenceline.postgres_dsn = "postgresql://127.0.0.1:1/none";
    fenceline.redis_url = "redis://127.0.0.1:1";
    struct process *ok = config(0, "check", NULL);
    assert_ok(ok);
    fenceline_assert_err(ok,
                         "note: not asked how many connections Postgres allows: Postgres: could not connect");
    fenceline_assert_out(config(0, "check", "--json"),
                         "{\"level\":\"note\",\"setting\":\"postgres.connections\",");
    assert_string_equal(config(0, "check", "--quiet")->err.bytes, "");
}

static void test_show(void **state)
{
    (void)state;
    write_config("[lease]\nttl_ms = 9000\n[job]\n\nmax_deaths = 7\n");
    fenceline.secret = PASSWORD;
    fenceline.postgres_dsn = "postgresql://me:open4sesame@127.0.0.1:1/none";
    fenceline.redis_url = "redis://me:open4sesame@127.0.0.1:1";
    static const char *const ENV[] = {"FENCELINE_LEASE_LOOK_MS=70", NULL};
    fenceline.env = ENV;
    struct process *shown = config(0, "show", "--json");
    static const char *const LINES[] = {
        "{\"setting\":\"redis.url\",\"unit\":\"\",\"value\":\"redis://me:***@127.0.0.1:1\","
        "\"default\":\"redis://"
        "127.0.0.1:6379\",\"source\":\"environment\",\"origin\":\"FENCELINE_REDIS\",\"line\":null}\n",
        "\"value\":\"user=me password=*** dbname=none host=127.0.0.1 port=1\"",
        "{\"setting\":\"lease.look_ms\",\"unit\":\"ms\",\"value\":70,\"default\":500,\"source\":"
        "\"environment\","
        "\"origin\":\"FENCELINE_LEASE_LOOK_MS\",\"line\":null}\n",
        "{\"setting\":\"job.max_deaths\",\"unit\":\"\",\"value\":7,\"default\":3,\"source\":\"file\","
        "\"origin\":\"",
        "test.conf\",\"line\":5}\n",
        "{\"setting\":\"worker.slots\",\"unit\":\"\",\"value\":16,\"default\":16,\"source\":\"default\","
        "\"origin\":null,"
        "\"line\":null}\n",
    };
    for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++)
        fenceline_assert_out(shown, LINES[i]);
    struct process *given =
        fenceline_run(0, "config", "show", "--config", config_path, "--redis", "redis://h:5");
    fenceline_assert_out(given, "redis.url               redis://h:5");
    fenceline_assert_out(given, "  --redis\n");
    fenceline_assert_out(given, "test.conf:2\n");
    fenceline_assert_out(config(0, "show", "-q"), "job.retention_days");
}

/* Hostile values stay one line and cannot steer the terminal. */
static void test_show_hostile(void **state)
{
    (void)state;
    static const char *const ENV[] = {"FENCELINE_SOURCE_ROOT=/x\033]0;title\a\n\xff", NULL};
    fenceline.env = ENV;
    write_config("");
    struct process *shown = config(0, "show", NULL);
    fenceline_assert_not_out(shown, "\033");
    fenceline_assert_out(shown, "/x\\x1B]0;title\\x07\\n\\xFF");
    fenceline_assert_not_out(config(0, "show", "--json"), "\033");
    fenceline_assert_not_out(config(2, "check", NULL), "\033");
}

/* Both servers want a password, and each finds it in a file; a wrong one is refused without being shown. */
static void test_password_files(void **state)
{
    (void)state;
    fenceline.secret = PASSWORD;
    char *dsn = dsn_as("fenceline_filed"), *path = db_text(fenceline.db, "SHOW hba_file");
    char *before = files_read(path, NULL), *hba = NULL, *conf = NULL;
    db_exec(fenceline.db, "CREATE ROLE fenceline_filed LOGIN SUPERUSER PASSWORD 'open4sesame'");
    assert_true(asprintf(&hba, "host all fenceline_filed 127.0.0.1/32 scram-sha-256\n%s", before) > 0);
    FILE *file = fopen(path, "we"); /* as it is, with its owner */
    assert_non_null(file);
    fputs(hba, file);
    assert_int_equal(fclose(file), 0);
    db_exec(fenceline.db, "SELECT pg_reload_conf()");
    rdb_exec(fenceline.redis, "ACL SETUSER filed on >open4sesame ~fenceline:* &fenceline:* +@all");
    char *input = fenceline_write_chapters("ep1", "first", 12);
    char *secret = files_write_text(fenceline.folder, "secret", "open4sesame\n");
    assert_int_equal(chmod(secret, 0600), 0);
    char url[64];
    snprintf(url, sizeof url, "redis://filed@127.0.0.1:%u", services_redis_port(&fenceline.services));
    fenceline.redis_url = url;
    fenceline.postgres_dsn = dsn;

    /* By path, for every command, by whatever kind of connection. */
    assert_true(
        asprintf(&conf, "[redis]\npassword_file = %s\n[postgres]\npassword_file = %s\n", secret, secret) > 0);
    write_config(conf);
    fenceline_run(0, "import", "--config", config_path, "--verbose", input);
    fenceline_run(0, "show", "--config", config_path, "ep1");
    fenceline_run(0, "worker", "list", "--config", config_path);
    fenceline_run(0, "enqueue", "--config", config_path, "--mode", "replace", input);
    struct process *worker = fenceline_launch("worker", "--config", config_path, "--verbose");
    process_wait_for_output(worker, "unchanged", 20000);
    process_signal(worker, SIGHUP);
    process_wait_for_output(worker, "settings read again (16 slots)\n", 20000);
    process_signal(worker, SIGTERM);
    fenceline_finish(worker, 0);
    assert_ok(config(0, "check", NULL));
    fenceline_assert_out(config(0, "show", NULL), "/secret");

    /* As systemd gives it. */
    write_config("[redis]\npassword_file = secret\n[postgres]\npassword_file = secret\n");
    fenceline_assert_err(fenceline_run(2, "show", "ep1", "--config", config_path),
                         "is the name of a systemd credential");
    char credentials[300];
    snprintf(credentials, sizeof credentials, "CREDENTIALS_DIRECTORY=%s", fenceline.folder);
    fenceline_run_spec(0, .argv = (const char *const[]){"delete", "ep1", "--config", config_path, NULL},
                       .env = (const char *const[]){credentials, NULL});

    /* A wrong one. */
    fenceline.secret = "shut5sesame";
    free(files_write_text(fenceline.folder, "secret", "shut5sesame\n"));
    write_config(conf);
    fenceline_run(6, "show", "--config", config_path, "--verbose", "ep1");
    fenceline_run(6, "worker", "list", "--config", config_path, "--verbose");

    file = fopen(path, "we");
    assert_non_null(file);
    fputs(before, file);
    assert_int_equal(fclose(file), 0);
    fenceline.postgres_dsn = fenceline.dsn;
    db_exec(fenceline.db, "SELECT pg_reload_conf()");
    db_exec(fenceline.db, "DROP ROLE fenceline_filed");
    rdb_exec(fenceline.redis, "ACL DELUSER filed");
    free(before);
    free(hba);
    free(conf);
    free(dsn);
    free(path);
    free(input);
    free(secret);
}

/* A password changed while a worker runs: it says what it does not take over. */
static void test_reload_password(void **state)
{
    (void)state;
    char *secret = files_write_text(fenceline.folder, "secret", "one\n"), *conf = NULL;
    assert_true(asprintf(&conf, "[postgres]\npassword_file = %s\n", secret) > 0);
    write_config(conf);
    struct process *worker = fenceline_launch("worker", "--config", config_path);
    process_wait_for_output(worker, "16 slots", 20000);
    free(files_write_text(fenceline.folder, "secret", "two\n"));
    process_signal(worker, SIGHUP);
    process_wait_for_output(
        worker, "another redis.url, postgres.dsn, password or http.listen needs a restart", 20000);
    assert_int_equal(unlink(secret), 0);
    process_signal(worker, SIGHUP);
    process_wait_for_output(worker, "settings not read again: postgres.password_file: cannot open", 20000);
    process_signal(worker, SIGTERM);
    fenceline_finish(worker, 0);
    free(secret);
    free(conf);
}

static void test_usage(void **state)
{
    (void)state;
    fenceline_assert_err(fenceline_run(2, "config"), "'config' needs a word more, such as 'config check'");
    fenceline_assert_err(fenceline_run(2, "config", "chek"), "(did you mean 'config check'?)");
    fenceline_assert_err(fenceline_run(2, "config", "show", "lease.ttl_ms"),
                         "config show takes no arguments");
    fenceline_assert_err(fenceline_run(2, "config", "show", "--config", "/nowhere/x.conf"), "No such file");
    fenceline_assert_out(fenceline_run(2, "config", "check", "--config", "/nowhere/x.conf"), "No such file");
    fenceline_assert_out(fenceline_run(0, "config", "--help"), "config show");
}

static int stop_group(void **state)
{
    free(config_path);
    return fenceline_stop_group(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FENCELINE_TEST(test_right),           FENCELINE_TEST(test_typos),
        FENCELINE_TEST(test_short_lease),     FENCELINE_TEST(test_too_many_connections),
        FENCELINE_TEST(test_servers_away),    FENCELINE_TEST(test_show),
        FENCELINE_TEST(test_show_hostile),    FENCELINE_TEST(test_password_files),
        FENCELINE_TEST(test_reload_password), FENCELINE_TEST(test_usage),
    };
    return cmocka_run_group_tests(tests, fenceline_start_group, stop_group);
}
