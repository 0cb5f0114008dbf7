/*
 * The program with servers that are down, die, come back, refuse or forget. In each case: the exit code of
 * the product, one line on standard error that names the server and says what to do, an end within a bounded
 * time, nothing half written, and never a password in any output.
 *
 * Happy path of each test: break the server in one way, run, look at code and message and database, mend, run
 * again with success. Failure modes: a broken server is mended by restarting it (Redis keeps no settings),
 * which the teardown does also after a failed test.
 */
#include "../lib/fenceline.h"
#include "../lib/proxy.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { MANY = 500, ROWS = 6, BOUND_MS = 30000 };

static struct proxy proxy;

/* For servers that stay bad: an import need not hope for them as long as it does by default. */
static const char *const impatient[] = {"FENCELINE_JOB_PATIENCE_MS=1000", "FENCELINE_JOB_MAX_ATTEMPTS=6",
                                        "FENCELINE_REDIS_TIMEOUT_MS=1000",
                                        "FENCELINE_POSTGRES_TIMEOUT_MS=1500", NULL};

/* Redis forgets what a test has set; the proxy ends. */
static int stop_test(void **state)
{
    process_release_all();
    proxy_stop(&proxy);
    if (services_redis_pid(&fenceline.services) > 0)
        services_redis_stop(&fenceline.services, SERVICES_IMMEDIATE);
    return fenceline_stop_test(state);
}

#define SERVER_TEST(function) cmocka_unit_test_setup_teardown(function, fenceline_start_test, stop_test)

/* "postgresql://<user>:<password>@127.0.0.1:<port>/<database>" from the test's own. */
static char *dsn_as(const char *user, const char *password)
{
    char *dsn = NULL;
    const char *host = strstr(fenceline.dsn, "127.0.0.1");
    assert_non_null(host);
    if (asprintf(&dsn, "postgresql://%s%s%s@%s", user, password != NULL ? ":" : "",
                 password != NULL ? password : "", host) < 0)
        LIB_FAIL("out of memory");
    return dsn;
}

/* Lines on standard error that contain the text. */
static size_t lines_with(const struct process *process, const char *text)
{
    size_t count = 0;
    char *copy = strdup(process->err.bytes);
    char *rest = NULL;
    for (char *line = strtok_r(copy, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        count += strstr(line, text) != NULL;
    free(copy);
    return count;
}

/* A line that names the server, with its address unless port is 0, and says why and what to do. */
static bool is_complete(const char *line, const char *server, uint16_t port, const char *why,
                        const char *what_to_do)
{
    char port_text[16];
    snprintf(port_text, sizeof port_text, "%u", (unsigned)port);
    bool named = port == 0 || (strstr(line, "127.0.0.1") != NULL && strstr(line, port_text) != NULL);
    return strstr(line, server) != NULL && named && strcasestr(line, why) != NULL &&
           strstr(line, what_to_do) != NULL;
}

/* Every line about the server is complete. */
static void assert_complete(const struct process *process, const char *server, uint16_t port, const char *why,
                            const char *what_to_do)
{
    size_t complete = 0, all = lines_with(process, server);
    char *copy = strdup(process->err.bytes);
    char *rest = NULL;
    for (char *line = strtok_r(copy, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        complete += is_complete(line, server, port, why, what_to_do);
    free(copy);
    if (complete == 0 || complete != all) {
        process_print(process);
        LIB_FAIL("each line about %s should say 127.0.0.1 and %u (if not 0), '%s' and '%s'", server,
                 (unsigned)port, why, what_to_do);
    }
    assert_string_equal(process->out.bytes, "");
}

/* There is exactly one such line. A second line may only count the inputs that were not attempted. */
static void assert_one_line(const struct process *process, const char *server, uint16_t port, const char *why,
                            const char *what_to_do)
{
    if (lines_with(process, server) != 1 || files_count_lines(process->err.bytes) > 2) {
        process_print(process);
        LIB_FAIL("there should be one line about %s", server);
    }
    assert_complete(process, server, port, why, what_to_do);
}

/* Every command that talks to Postgres. */
static const char *const commands[][4] = {
    {"import", "good.chapters.json"},
    {"import", "--dry-run", "good.chapters.json"},
    {"show", "good"},
    {"history", "good"},
    {"delete", "good"},
    {"migrate"},
    {"migrate", "--status"},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static struct process *launch_command(size_t i)
{
    return fenceline_start(&(struct process_spec){.argv = commands[i]});
}

static void write_good(void)
{
    free(fenceline_write_chapters("good", "good", ROWS));
}

/* The program works again, with what good.chapters.json holds. */
static void assert_mended(void)
{
    process_release(fenceline_run(0, "import", "--mode", "replace", "good.chapters.json"));
    fenceline_assert_chapters("good", "good", ROWS);
    fenceline_assert_clean();
}

/* ---- not there at the start ---- */

static void test_postgres_down(void **state)
{
    (void)state;
    fenceline.env = impatient;
    write_good();
    fenceline.secret = "sesame71";
    uint16_t port = services_postgres_port(&fenceline.services);
    char *dsn = dsn_as("postgres", fenceline.secret);
    fenceline.postgres_dsn = dsn;
    services_postgres_stop(&fenceline.services, SERVICES_FAST);
    for (size_t i = 0; i < COMMANDS; i++) {
        struct process *down = fenceline_finish_within(launch_command(i), 6, 20000);
        assert_one_line(down, "Postgres", port, "refused", "FENCELINE_POSTGRES");
        process_release(down);
    }
    /* One line for the server, not one for each file. */
    for (int i = 0; i < 20; i++) {
        char episode[16];
        snprintf(episode, sizeof episode, "in/e%d", i);
        free(fenceline_write_chapters(episode, "many", ROWS));
    }
    assert_one_line(fenceline_run(6, "import", "in"), "Postgres", port, "refused", "FENCELINE_POSTGRES");
    services_postgres_start(&fenceline.services);
    fenceline_reconnect();
    assert_int_equal(fenceline_count("jobs"), 0);
    assert_mended();
    fenceline.postgres_dsn = fenceline.dsn;
    free(dsn);
}

static void test_redis_down(void **state)
{
    (void)state;
    write_good();
    services_redis_stop(&fenceline.services, SERVICES_FAST);
    int64_t since_ms = process_now_ms();
    struct process *down = fenceline_run(6, "import", "good.chapters.json");
    int64_t took_ms = process_now_ms() - since_ms;
    assert_one_line(down, "Redis", services_redis_port(&fenceline.services), "refused", "FENCELINE_REDIS");
    fenceline_assert_nothing("good", NULL);
    assert_int_equal(fenceline_count_jobs("open"), 0);
    /* A refused connection is an answer: there is nothing to wait for. */
    assert_in_range(took_ms, 0, 3000);

    fenceline_run(6, "delete", "good");
    assert_int_equal(fenceline_count_jobs("open"), 0);
    /* What needs no lease needs no Redis. */
    fenceline_run(0, "import", "--dry-run", "good.chapters.json");
    fenceline_run(0, "check", "good.chapters.json");
    fenceline_run(0, "migrate");
    fenceline_run(1, "show", "good");
    services_redis_start(&fenceline.services);
    fenceline_reconnect();
    assert_mended();
}

/* Servers that take the connection and then say nothing. */
static void test_silent_servers(void **state)
{
    (void)state;
    fenceline.env = impatient;
    write_good();
    char url[64], dsn[SERVICES_DSN_BYTES];
    uint16_t port = proxy_start(&proxy, services_redis_port(&fenceline.services));
    snprintf(url, sizeof url, "redis://127.0.0.1:%u", (unsigned)port);
    proxy_block(&proxy, PROXY_SILENT);
    fenceline.redis_url = url;
    struct process *silent = fenceline_launch("import", "good.chapters.json");
    fenceline_finish_within(silent, 6, 20000);
    assert_one_line(silent, "Redis", port, "no answer", "FENCELINE_REDIS");
    fenceline.redis_url = services_redis_url(&fenceline.services);
    proxy_stop(&proxy);
    fenceline_assert_nothing("good", NULL);

    port = proxy_start(&proxy, services_postgres_port(&fenceline.services));
    proxy_block(&proxy, PROXY_SILENT);
    services_dsn_on_port(fenceline.dsn, port, dsn);
    fenceline.postgres_dsn = dsn;
    for (size_t i = 0; i < COMMANDS; i++) {
        silent = fenceline_finish_within(launch_command(i), 6, 20000);
        /* libpq, asked to wait by itself, has words of its own for it. */
        const char *why =
            strstr(silent->err.bytes, "timeout expired") != NULL ? "timeout expired" : "no answer";
        assert_one_line(silent, "Postgres", 0, why, "FENCELINE_POSTGRES");
    }
    fenceline.postgres_dsn = fenceline.dsn;
    assert_mended();
}

/* ---- dying in the middle ---- */

static void write_many(void)
{
    for (int i = 0; i < MANY; i++) {
        char episode[32];
        snprintf(episode, sizeof episode, "many/m%d", i);
        free(fenceline_write_chapters(episode, "many", ROWS));
    }
}

static void await_documents(struct process *importer, int64_t count)
{
    while (fenceline_count("documents") < count) {
        if (process_ended(importer, 5)) {
            process_print(importer);
            LIB_FAIL("the import ended before it was in the middle");
        }
    }
}

/* What is stored is whole, and a next run brings all that is missing. */
static void assert_whole_and_resumable(int code_of_rerun)
{
    fenceline_assert_consistent();
    int64_t stored = fenceline_count("documents");
    print_message("%d of %d were stored\n", (int)stored, MANY);
    assert_in_range(stored, 10, MANY - 1);
    fenceline_run(code_of_rerun, "import", "many");
    assert_int_equal(fenceline_count("documents"), MANY);
    for (int i = 0; i < MANY; i++) {
        char episode[32];
        snprintf(episode, sizeof episode, "m%d", i);
        fenceline_assert_chapters(episode, "many", ROWS);
    }
    assert_int_equal(fenceline_count_leases(), 0);
    fenceline_assert_consistent();
}

static void test_redis_dies(void **state)
{
    (void)state;
    fenceline.env = impatient;
    write_many();
    struct process *importer = fenceline_launch("import", "many");
    await_documents(importer, 10);
    services_redis_stop(&fenceline.services, SERVICES_IMMEDIATE);
    int64_t since_ms = process_now_ms();
    fenceline_finish_within(importer, 6, BOUND_MS);
    print_message("ended %d ms after Redis had died\n", (int)(process_now_ms() - since_ms));
    fenceline_assert_err(importer, "Redis at 127.0.0.1:");
    /* Postgres was there to take the answer of every job. */
    assert_int_equal(fenceline_count_jobs("open"), 0);
    services_redis_start(&fenceline.services);
    fenceline_reconnect();
    assert_whole_and_resumable(3);
}

static void test_postgres_dies(void **state)
{
    (void)state;
    fenceline.env = impatient;
    write_many();
    struct process *importer = fenceline_launch("import", "many");
    await_documents(importer, 10);
    services_postgres_stop(&fenceline.services, SERVICES_IMMEDIATE);
    int64_t since_ms = process_now_ms();
    fenceline_finish_within(importer, 6, BOUND_MS);
    print_message("ended %d ms after Postgres had died\n", (int)(process_now_ms() - since_ms));
    fenceline_assert_err(importer, "Postgres");
    services_postgres_start(&fenceline.services);
    fenceline_reconnect();
    /* Nobody is left who would give the leases back, but they end by themselves. */
    assert_whole_and_resumable(3);
}

static void come_back(bool is_redis, enum services_stop_mode mode)
{
    write_many();
    struct process *importer = fenceline_launch("import", "many");
    await_documents(importer, 10);
    if (is_redis)
        services_redis_stop(&fenceline.services, mode);
    else
        services_postgres_stop(&fenceline.services, mode);
    assert_false(process_ended(importer, 2000));
    if (is_redis)
        services_redis_start(&fenceline.services);
    else
        services_postgres_start(&fenceline.services);
    fenceline_finish_within(importer, 0, BOUND_MS);
    fenceline_reconnect();
    for (int i = 0; i < MANY; i++) {
        char episode[32];
        snprintf(episode, sizeof episode, "m%d", i);
        fenceline_assert_chapters(episode, "many", ROWS);
    }
    assert_int_equal(fenceline_count("documents"), MANY);
    assert_int_equal(fenceline_count_jobs("imported"), MANY);
    fenceline_assert_clean();
}

static void test_redis_comes_back(void **state)
{
    (void)state;
    come_back(true, SERVICES_IMMEDIATE);
}

static void test_postgres_comes_back(void **state)
{
    (void)state;
    come_back(false, SERVICES_IMMEDIATE);
}

static void test_postgres_restarts_orderly(void **state)
{
    (void)state;
    come_back(false, SERVICES_FAST);
}

/* ---- Redis forgets ---- */

static void forget_in_between(const char *command)
{
    write_many();
    struct process *importer = fenceline_launch("import", "many");
    unsigned count = 0;
    while (!process_ended(importer, 10)) {
        rdb_exec(fenceline.redis, command);
        count++;
    }
    print_message("%s %u times\n", command, count);
    assert_true(count >= 10);
    fenceline_finish(importer, 0);
    for (int i = 0; i < MANY; i++) {
        char episode[32];
        snprintf(episode, sizeof episode, "m%d", i);
        fenceline_assert_chapters(episode, "many", ROWS);
    }
    assert_int_equal(fenceline_count_jobs("imported"), MANY);
    fenceline_assert_clean();
}

static void test_script_flush(void **state)
{
    (void)state;
    forget_in_between("SCRIPT FLUSH");
}

static void test_flushall(void **state)
{
    (void)state;
    forget_in_between("FLUSHALL");
}

/* ---- the schema ---- */

static void test_schema_missing(void **state)
{
    (void)state;
    static char dsn[SERVICES_DSN_BYTES];
    write_good();
    services_new_database(&fenceline.services, dsn);
    fenceline.postgres_dsn = dsn;
    for (size_t i = 0; i < 5; i++)
        assert_one_line(fenceline_finish(launch_command(i), 2), "schema", 0, "missing", "fenceline migrate");
    assert_int_equal(fenceline_count_leases(), 0);
    fenceline_run(0, "migrate");
    fenceline_run(0, "import", "good.chapters.json");
    fenceline.postgres_dsn = fenceline.dsn;
}

/* Only the first version is there. */
static void test_schema_older(void **state)
{
    (void)state;
    write_good();
    db_exec(fenceline.db, "DELETE FROM fenceline.schema_versions WHERE version ="
                          " (SELECT max(version) FROM fenceline.schema_versions)");
    struct process *older = fenceline_run(2, "import", "good.chapters.json");
    assert_one_line(older, "schema", 0, "older", "fenceline migrate");
    fenceline_run(2, "delete", "good");
    assert_int_equal(fenceline_count("jobs"), 0);
    struct process *status = fenceline_run(0, "migrate", "--status");
    fenceline_assert_out(status, "pending");
}

static void test_schema_newer(void **state)
{
    (void)state;
    write_good();
    db_exec(fenceline.db, "INSERT INTO fenceline.schema_versions (version, name)"
                          " SELECT max(version) + 1, 'from the future' FROM fenceline.schema_versions");
    for (size_t i = 0; i < 6; i++)
        assert_one_line(fenceline_finish(launch_command(i), 2), "schema", 0, "newer", "fenceline");
    assert_int_equal(fenceline_count("jobs"), 0);
    assert_int_equal(fenceline_count_leases(), 0);
}

/* ---- no rights ---- */

static void test_read_only_database(void **state)
{
    (void)state;
    fenceline.env = impatient;
    write_good();
    fenceline_run(0, "import", "good.chapters.json");
    char *name = db_text(fenceline.db, "SELECT current_database()");
    char sql[256];
    snprintf(sql, sizeof sql, "ALTER DATABASE \"%s\" SET default_transaction_read_only = on", name);
    db_exec(fenceline.db, sql);
    struct process *refused = fenceline_run(6, "import", "--mode", "replace", "good.chapters.json");
    assert_one_line(refused, "Postgres", 0, "read-only", "primary");
    refused = fenceline_run(6, "delete", "good");
    assert_one_line(refused, "Postgres", 0, "read-only", "primary");
    /* Reading is all right. */
    fenceline_run(0, "show", "good");
    fenceline_run(0, "history", "good");
    fenceline_run(0, "import", "--dry-run", "--mode", "replace", "good.chapters.json");
    assert_int_equal(fenceline_count("jobs"), 1);
    fenceline_assert_chapters("good", "good", ROWS);
    snprintf(sql, sizeof sql, "ALTER DATABASE \"%s\" RESET default_transaction_read_only", name);
    db_exec(fenceline.db, "SET default_transaction_read_only = off");
    db_exec(fenceline.db, sql);
    free(name);
    fenceline_run(0, "import", "--mode", "replace", "good.chapters.json");
    fenceline_assert_clean();
}

static void test_user_without_rights(void **state)
{
    (void)state;
    write_good();
    db_exec(fenceline.db, "DO $$BEGIN CREATE ROLE fenceline_guest LOGIN;"
                          " EXCEPTION WHEN duplicate_object THEN NULL; END$$");
    char *dsn = dsn_as("fenceline_guest", NULL);
    fenceline.postgres_dsn = dsn;
    for (size_t i = 0; i < 5; i++) {
        struct process *refused = fenceline_finish(launch_command(i), 2);
        assert_one_line(refused, "Postgres", 0, "permission denied", "config/roles.sql");
    }
    assert_int_equal(fenceline_count("jobs"), 0);
    assert_int_equal(fenceline_count_leases(), 0);
    fenceline.postgres_dsn = fenceline.dsn;
    free(dsn);
}

/* Puts a line in front of pg_hba.conf, so that this role needs its password; all others are as before. */
static void demand_password(const char *role, const char *password)
{
    char sql[512];
    snprintf(sql, sizeof sql, "CREATE ROLE %s LOGIN SUPERUSER PASSWORD '%s'", role, password);
    db_exec(fenceline.db, sql);
    char *path = db_text(fenceline.db, "SHOW hba_file");
    char *before = files_read(path, NULL);
    FILE *file = fopen(path, "we"); /* as it is, with its owner */
    assert_non_null(file);
    fprintf(file, "host all %s 127.0.0.1/32 scram-sha-256\n%s", role, before);
    assert_int_equal(fclose(file), 0);
    free(before);
    free(path);
    db_exec(fenceline.db, "SELECT pg_reload_conf()");
}

static void test_postgres_password(void **state)
{
    (void)state;
    fenceline.env = impatient;
    static const char right[] = "open4sesame", wrong[] = "shut5sesame";
    write_good();
    demand_password("fenceline_keyed", right);
    char *with_right = dsn_as("fenceline_keyed", right), *with_wrong = dsn_as("fenceline_keyed", wrong),
         *without = dsn_as("fenceline_keyed", NULL);
    uint16_t port = services_postgres_port(&fenceline.services);

    /* The configuration is read again by a signal. */
    fenceline.postgres_dsn = without;
    int64_t deadline_ms = process_now_ms() + 5000;
    struct process *refused = fenceline_launch("show", "good");
    while (process_wait(refused, 20000) != 6 && process_now_ms() < deadline_ms)
        refused = fenceline_launch("show", "good");
    assert_one_line(refused, "Postgres", port, "password", "FENCELINE_POSTGRES");

    fenceline.postgres_dsn = with_wrong;
    fenceline.secret = wrong;
    for (size_t i = 0; i < COMMANDS; i++) {
        refused = fenceline_finish(launch_command(i), 6);
        assert_one_line(refused, "Postgres", port, "password", "FENCELINE_POSTGRES");
    }
    /* However talkative. */
    fenceline_run(6, "import", "--verbose", "good.chapters.json");
    fenceline_run(6, "import", "--json", "good.chapters.json");

    fenceline.postgres_dsn = with_right;
    fenceline.secret = right;
    fenceline_run(0, "import", "--verbose", "good.chapters.json");
    fenceline_run(0, "history", "good");
    fenceline_run(0, "show", "--json", "good");
    fenceline_run(3, "import", "--verbose", "--json", "good.chapters.json");
    struct process *gone = fenceline_run_spec(
        6, .argv = (const char *const[]){"import", "--verbose", "good.chapters.json", NULL},
        .env = (const char *const[]){"FENCELINE_REDIS=redis://:open4sesame@127.0.0.1:1", NULL});
    assert_int_equal(lines_with(gone, "Redis"), 1);
    fenceline.postgres_dsn = fenceline.dsn;
    assert_mended();
    free(with_right);
    free(with_wrong);
    free(without);
}

/* A password on the command line is refused before anybody reads it in ps, and not repeated. */
static void test_password_as_option(void **state)
{
    (void)state;
    write_good();
    fenceline.secret = "open4sesame";
    struct process *refused = fenceline_run(2, "import", "--postgres",
                                            "postgresql://u:open4sesame@127.0.0.1/d", "good.chapters.json");
    fenceline_assert_err(refused, "FENCELINE_POSTGRES");
    fenceline_run(2, "--postgres", "host=127.0.0.1 password=open4sesame", "show", "good");
    fenceline_run(2, "--postgres=postgresql://127.0.0.1/d?password=open4sesame", "show", "good");
    refused = fenceline_run(2, "--redis", "redis://:open4sesame@127.0.0.1", "import", "good.chapters.json");
    fenceline_assert_err(refused, "FENCELINE_REDIS");
    fenceline_run(2, "--redis=redis://user:open4sesame@127.0.0.1", "import", "good.chapters.json");
    /* Nor one in a string that cannot be read. */
    fenceline.postgres_dsn = "postgresql://u:open4sesame@[::1/d";
    fenceline_run(2, "show", "good");
    fenceline.postgres_dsn = "password=open4sesame host";
    fenceline_run(2, "show", "good");
    fenceline.postgres_dsn = fenceline.dsn;
    fenceline.redis_url = "redis://u:open4sesame@127.0.0.1:port/x";
    fenceline_run(2, "import", "good.chapters.json");
    fenceline.redis_url = "rediss://u:open4sesame";
    process_wait(fenceline_launch("import", "good.chapters.json"), 20000);
    fenceline.redis_url = services_redis_url(&fenceline.services);
    assert_mended();
}

/* ---- a Redis that refuses ---- */

static char *redis_as(const char *credentials)
{
    char *url = NULL;
    if (asprintf(&url, "redis://%s@127.0.0.1:%u", credentials,
                 (unsigned)services_redis_port(&fenceline.services)) < 0)
        LIB_FAIL("out of memory");
    return url;
}

static void test_redis_password(void **state)
{
    (void)state;
    fenceline.env = impatient;
    uint16_t port = services_redis_port(&fenceline.services);
    write_good();
    rdb_exec(fenceline.redis, "CONFIG SET requirepass open4sesame");
    rdb_exec(fenceline.redis, "AUTH open4sesame");
    rdb_exec(fenceline.redis, "ACL SETUSER keeper on >lamp5room ~fenceline:* &fenceline:* +@all");
    fenceline.secret = "open4sesame";

    struct process *refused = fenceline_run(6, "import", "good.chapters.json");
    assert_one_line(refused, "Redis", port, "password", "FENCELINE_REDIS");
    fenceline_assert_nothing("good", NULL);

    char *wrong = redis_as(":shut5sesame");
    fenceline.redis_url = wrong;
    fenceline.secret = "shut5sesame";
    refused = fenceline_run(6, "import", "good.chapters.json");
    assert_one_line(refused, "Redis", port, "invalid", "FENCELINE_REDIS");
    fenceline_run(6, "import", "--verbose", "--json", "good.chapters.json");
    fenceline_assert_nothing("good", NULL);
    assert_int_equal(fenceline_count_jobs("open"), 0);

    char *right = redis_as(":open4sesame");
    fenceline.redis_url = right;
    fenceline.secret = "open4sesame";
    fenceline_run(0, "import", "--verbose", "good.chapters.json");
    fenceline_assert_chapters("good", "good", ROWS);
    char *keeper = redis_as("keeper:lamp5room");
    fenceline.redis_url = keeper;
    fenceline.secret = "lamp5room";
    fenceline_run(0, "delete", "--verbose", "good");
    fenceline_assert_nothing("good", NULL);
    fenceline_assert_clean();
    free(wrong);
    free(right);
    free(keeper);
}

/* A user that may not do what is needed: said at once, not after ten attempts. */
static void test_redis_no_rights(void **state)
{
    (void)state;
    fenceline.env = impatient;
    write_good();
    rdb_exec(fenceline.redis, "ACL SETUSER guest on >open4sesame ~* &* +@read +@connection +subscribe");
    char *guest = redis_as("guest:open4sesame");
    fenceline.redis_url = guest;
    fenceline.secret = "open4sesame";
    int64_t since_ms = process_now_ms();
    struct process *refused = fenceline_run(2, "import", "good.chapters.json");
    assert_in_range(process_now_ms() - since_ms, 0, 5000);
    assert_complete(refused, "Redis at", services_redis_port(&fenceline.services), "NOPERM", "Redis user");
    fenceline_assert_nothing("good", NULL);
    assert_int_equal(fenceline_count_jobs("open"), 0);
    fenceline.redis_url = services_redis_url(&fenceline.services);
    free(guest);
    assert_mended();
}

static void test_redis_replica(void **state)
{
    (void)state;
    fenceline.env = impatient;
    write_good();
    rdb_exec(fenceline.redis, "REPLICAOF 127.0.0.1 1");
    int64_t since_ms = process_now_ms();
    struct process *refused = fenceline_run(6, "import", "good.chapters.json");
    assert_in_range(process_now_ms() - since_ms, 0, 20000);
    assert_complete(refused, "Redis", services_redis_port(&fenceline.services), "replica", "--redis");
    fenceline_assert_nothing("good", NULL);
    assert_int_equal(fenceline_count_jobs("open"), 0);
    rdb_exec(fenceline.redis, "REPLICAOF NO ONE");
    assert_mended();
}

static void test_redis_out_of_memory(void **state)
{
    (void)state;
    fenceline.env = impatient;
    write_good();
    rdb_exec(fenceline.redis, "CONFIG SET maxmemory-policy noeviction maxmemory 1");
    int64_t since_ms = process_now_ms();
    struct process *refused = fenceline_run(6, "import", "good.chapters.json");
    assert_in_range(process_now_ms() - since_ms, 0, 20000);
    assert_complete(refused, "Redis", services_redis_port(&fenceline.services), "memory", "raise maxmemory");
    fenceline_assert_nothing("good", NULL);
    assert_int_equal(fenceline_count_jobs("open"), 0);
    rdb_exec(fenceline.redis, "CONFIG SET maxmemory 0");
    assert_mended();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(test_postgres_down),       SERVER_TEST(test_redis_down),
        SERVER_TEST(test_silent_servers),      SERVER_TEST(test_redis_dies),
        SERVER_TEST(test_postgres_dies),       SERVER_TEST(test_redis_comes_back),
        SERVER_TEST(test_postgres_comes_back), SERVER_TEST(test_postgres_restarts_orderly),
        SERVER_TEST(test_script_flush),        SERVER_TEST(test_flushall),
        SERVER_TEST(test_schema_missing),      SERVER_TEST(test_schema_older),
        SERVER_TEST(test_schema_newer),        SERVER_TEST(test_read_only_database),
        SERVER_TEST(test_user_without_rights), SERVER_TEST(test_postgres_password),
        SERVER_TEST(test_password_as_option),  SERVER_TEST(test_redis_password),
        SERVER_TEST(test_redis_no_rights),     SERVER_TEST(test_redis_replica),
        SERVER_TEST(test_redis_out_of_memory),
    };
    return cmocka_run_group_tests(tests, fenceline_start_group, fenceline_stop_group);
}
