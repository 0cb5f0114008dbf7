/*
 * The test library tested: files, processes, real servers, SQL and Redis helpers, the proxy with its rules.
 *
 * Happy path: one Redis and one PostgreSQL for the whole program; each test takes a database of its own.
 * Failure modes: what should fail a test can only be seen from outside. So this program runs itself again
 * with
 * "--case NAME", where one small test does the wrong thing, and checks the report and the exit code. The same
 * way it starts a copy that holds servers, kills it, and looks for what is left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../lib/db.h"
#include "../lib/files.h"
#include "../lib/process.h"
#include "../lib/proxy.h"
#include "../lib/rdb.h"
#include "../lib/services.h"

enum { SHORT_MS = 250, LONG_MS = 20000, START_MS = 60000 };

static struct services services;
static struct proxy proxy;

/* Helpers */

#define SHELL(script)                                                                                        \
    .argv = (const char *const[])                                                                            \
    {                                                                                                        \
        "/bin/sh", "-c", script, NULL                                                                        \
    }
#define START(...) process_start(&(struct process_spec){__VA_ARGS__})
#define RUN(...)   process_run(&(struct process_spec){__VA_ARGS__}, LONG_MS)
#define ARM(...)   proxy_arm(&proxy, &(struct proxy_rule){__VA_ARGS__})

static bool is_alive(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (!files_exists(path))
        return false;
    FILE *file = fopen(path, "re");
    char state = 'Z';
    if (file == NULL)
        return false;
    /* The name in parentheses has no blanks for the programs looked at here. */
    if (fscanf(file, "%*d %*s %c", &state) != 1)
        state = 'Z';
    fclose(file);
    return state != 'Z' && state != 'X'; /* a dead process that nobody has reaped yet is dead */
}

static bool dies_within(pid_t pid, int timeout_ms)
{
    int64_t deadline_ms = process_now_ms() + timeout_ms;
    while (is_alive(pid)) {
        if (process_now_ms() > deadline_ms)
            return false;
        process_sleep_ms(5);
    }
    return true;
}

static void assert_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is not in: %.800s", part, text);
}

static struct process *run_case(const char *name, int exit_code)
{
    struct process *process = START(.argv = (const char *const[]){"/proc/self/exe", "--case", name, NULL});
    process_wait_code(process, exit_code, START_MS);
    return process;
}

static int connect_raw(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        close(fd);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void send_raw(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Bytes received, 0 at the end of file, -errno on an error, -EAGAIN when nothing comes in time. */
static int receive_raw(int fd, char *bytes, size_t room, int timeout_ms)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    if (poll(&readable, 1, timeout_ms) == 0)
        return -EAGAIN;
    ssize_t got = recv(fd, bytes, room - 1, 0);
    if (got < 0)
        return -errno;
    bytes[got] = '\0';
    return (int)got;
}

static void assert_answer(int fd, const char *expected)
{
    char bytes[256];
    assert_int_equal(receive_raw(fd, bytes, sizeof bytes, LONG_MS), strlen(expected));
    assert_string_equal(bytes, expected);
}

static int stop_all(void **state)
{
    (void)state;
    proxy_stop(&proxy);
    process_release_all();
    return 0;
}

/* Files */

static void test_files(void **state)
{
    (void)state;
    char *folder = files_temp_folder(NULL, "fenceline-files");
    char *path = files_write(folder, "a/b/one.txt", "x\0y", 3);
    char *other = files_write_text(folder, "a/b/two.json", "one\ntwo\ntwo");
    size_t size_bytes = 0;
    char *bytes = files_read(path, &size_bytes);
    assert_int_equal(size_bytes, 3);
    assert_memory_equal(bytes, "x\0y", 4);
    assert_int_equal(files_size(path), 3);
    char *text = files_read(other, NULL);
    assert_int_equal(files_count_text(text, "two"), 2);
    assert_int_equal(files_count_text(text, ""), 0);
    assert_int_equal(files_count_lines(text), 3);
    assert_int_equal(files_count_lines("a\n"), 1);
    assert_int_equal(files_count_lines(""), 0);
    char *below = files_join(folder, "a/b");
    assert_int_equal(files_count_entries(below, ""), 2);
    assert_int_equal(files_count_entries(below, ".json"), 1);
    assert_true(files_remove_tree(folder));
    assert_false(files_exists(folder));
    assert_true(files_remove_tree(folder));
    free(folder);
    free(path);
    free(other);
    free(bytes);
    free(text);
    free(below);
}

static void test_files_large_and_link(void **state)
{
    (void)state;
    enum { LARGE_BYTES = 100 * 1000 };
    char *folder = files_temp_folder(NULL, "fenceline-files");
    char *outside = files_temp_folder(NULL, "fenceline-outside");
    char *kept = files_write_text(outside, "kept", "kept");
    char *large = malloc(LARGE_BYTES);
    assert_non_null(large);
    memset(large, 'x', LARGE_BYTES);
    char *path = files_write(folder, "large", large, LARGE_BYTES);
    size_t size_bytes = 0;
    char *bytes = files_read(path, &size_bytes);
    assert_int_equal(size_bytes, LARGE_BYTES);
    assert_memory_equal(bytes, large, LARGE_BYTES);
    char *link_path = files_join(folder, "link");
    assert_int_equal(symlink(outside, link_path), 0);
    assert_true(files_remove_tree(folder));
    assert_true(files_exists(kept));
    assert_true(files_remove_tree(outside));
    free(folder);
    free(outside);
    free(kept);
    free(large);
    free(path);
    free(bytes);
    free(link_path);
}

/* Processes */

static void test_process_output(void **state)
{
    (void)state;
    struct process *process = RUN(SHELL("echo to out; echo to err >&2; cat; pwd; exit 7"), .folder = "/");
    assert_int_equal(process->exit_code, 7);
    assert_int_equal(process->signal, 0);
    assert_string_equal(process->out.bytes, "to out\n/\n");
    assert_string_equal(process->err.bytes, "to err\n");
    process_release(process);
}

static void test_process_environment(void **state)
{
    (void)state;
    setenv("FENCELINE_TEST_KEPT", "kept", 1);
    setenv("FENCELINE_TEST_GONE", "gone", 1);
    setenv("FENCELINE_TEST_NEW", "old", 1);
    const char *const changes[] = {"FENCELINE_TEST_NEW=new", "FENCELINE_TEST_GONE", NULL};
    struct process *process = RUN(SHELL("env | grep ^FENCELINE_TEST_ | sort"), .env = changes);
    assert_string_equal(process->out.bytes, "FENCELINE_TEST_KEPT=kept\nFENCELINE_TEST_NEW=new\n");
    process_release(process);
    process = RUN(.argv = (const char *const[]){"/usr/bin/env", NULL}, .env = changes, .clean_env = true);
    assert_string_equal(process->out.bytes, "FENCELINE_TEST_NEW=new\n");
    process_release(process);
}

static void test_process_input(void **state)
{
    (void)state;
    enum { INPUT_BYTES = 1000 * 1000 };
    char *input = malloc(INPUT_BYTES);
    assert_non_null(input);
    for (size_t i = 0; i < INPUT_BYTES; i++)
        input[i] = (char)(i * 7 % 251);
    struct process *process =
        RUN(.argv = (const char *const[]){"cat", NULL}, .input = input, .input_bytes = INPUT_BYTES);
    assert_int_equal(process->out.size_bytes, INPUT_BYTES);
    assert_memory_equal(process->out.bytes, input, INPUT_BYTES);
    process_release(process);
    /* A program that does not read is no error. */
    process = RUN(.argv = (const char *const[]){"true", NULL}, .input = input, .input_bytes = INPUT_BYTES);
    assert_int_equal(process->exit_code, 0);
    process_release(process);
    free(input);
}

static void test_process_held_input(void **state)
{
    (void)state;
    struct process *process = START(SHELL("while read line; do echo got $line; done"), .hold_input = true);
    assert_false(process_ended(process, 50));
    process_send(process, "one\n", 4);
    process_wait_for_output(process, "got one", LONG_MS);
    process_send(process, "one\n", 4);
    process_wait_for_outputs(process, "got one", 2, LONG_MS);
    process_close_input(process);
    process_wait_code(process, 0, LONG_MS);
    process_release(process);
}

static void test_process_signals(void **state)
{
    (void)state;
    struct process *process =
        START(SHELL("trap 'echo stopping; exit 3' TERM; echo ready >&2; while :; do sleep 0.02; done"));
    process_wait_for_output(process, "ready", LONG_MS);
    process_signal(process, SIGTERM);
    process_wait_code(process, 3, LONG_MS);
    assert_string_equal(process->out.bytes, "stopping\n");
    process_release(process);
    process = START(.argv = (const char *const[]){"sleep", "60", NULL});
    process_signal(process, SIGKILL);
    assert_int_equal(process_wait(process, LONG_MS), -SIGKILL);
    assert_int_equal(process->exit_code, -1);
    process_release(process);
    /* Released while it runs, with a child of its own: both are gone. */
    process = START(SHELL("sleep 60 & echo $!; wait"));
    process_wait_for_output(process, "\n", LONG_MS);
    pid_t grandchild = (pid_t)atoi(process->out.bytes);
    pid_t child = process->pid;
    assert_true(is_alive(grandchild));
    process_release(process);
    assert_true(dies_within(child, LONG_MS));
    assert_true(dies_within(grandchild, LONG_MS));
}

/* Each writes more than a pipe holds: a wait for the last only works if all are read meanwhile. */
static void test_process_many_at_once(void **state)
{
    (void)state;
    enum { COUNT = 30 };
    struct process *list[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        list[i] = START(SHELL("head -c 200000 /dev/zero; exec sleep 0.01"));
    for (size_t i = COUNT; i-- > 0;) {
        process_wait_code(list[i], 0, LONG_MS);
        assert_int_equal(list[i]->out.size_bytes, 200000);
    }
    process_release_all();
}

static void test_process_pairs(void **state)
{
    (void)state;
    for (int i = 0; i < 400; i++) {
        struct process *left = START(.argv = (const char *const[]){"true", NULL});
        struct process *right = START(.argv = (const char *const[]){"false", NULL});
        process_wait_code(left, 0, LONG_MS);
        process_wait_code(right, 1, LONG_MS);
        process_release(left);
        process_release(right);
    }
}

static void test_process_orphans_do_not_block(void **state)
{
    (void)state;
    int64_t start_ms = process_now_ms();
    struct process *process = RUN(SHELL("sleep 30 & echo $!"));
    assert_true(process_now_ms() - start_ms < 10000);
    assert_int_equal(kill((pid_t)atoi(process->out.bytes), SIGKILL), 0);
    process_release(process);
}

static void test_process_terminal(void **state)
{
    (void)state;
    struct process *process = START(SHELL("stty size; trap 'stty size; exit 4' WINCH; test -t 2 && echo "
                                          "ready >&2; while :; do sleep 0.02; done"),
                                    .terminal_streams = PROCESS_IN | PROCESS_OUT | PROCESS_ERR,
                                    .terminal_columns = 72, .terminal_rows = 20);
    process_wait_for_output(process, "ready", LONG_MS);
    process_resize(process, 40, 10);
    process_wait_code(process, 4, LONG_MS);
    assert_string_equal(process->out.bytes, "20 72\r\nready\r\n10 40\r\n");
    process_release(process);

    /* A progress bar on stderr, data through a pipe. */
    process =
        RUN(SHELL("test -t 2 && printf '\\r50%%' >&2; test -t 1 || echo piped; test -t 0 || echo no input"),
            .terminal_streams = PROCESS_ERR, .terminal_columns = 80, .terminal_rows = 24);
    assert_string_equal(process->err.bytes, "\r50%");
    assert_string_equal(process->out.bytes, "piped\nno input\n");
    process_release(process);

    process = RUN(.argv = (const char *const[]){"cat", NULL}, .terminal_streams = PROCESS_IN,
                  .input = "typed\n", .input_bytes = 6);
    assert_string_equal(process->out.bytes, "typed\n");
    process_release(process);

    /* Input is not echoed: only what the program writes is captured. */
    process = RUN(.argv = (const char *const[]){"cat", NULL}, .terminal_streams = PROCESS_IN | PROCESS_OUT,
                  .input = "typed\n", .input_bytes = 6);
    assert_string_equal(process->out.bytes, "typed\r\n");
    process_release(process);
}

/* What the library does to a failing test, seen from outside. */
static void test_process_failures(void **state)
{
    (void)state;
    struct process *process = run_case("timeout", 1);
    assert_contains(process->err.bytes, "did not end within 250 ms and was killed");
    assert_contains(process->err.bytes, "written before the hang");
    /* The case prints the pid of what hung. */
    const char *pid = strstr(process->err.bytes, "hangs as ");
    assert_non_null(pid);
    assert_true(dies_within((pid_t)atoi(pid + strlen("hangs as ")), LONG_MS));
    process_release(process);

    process = run_case("exit-code", 1);
    assert_contains(process->err.bytes, "exited with 5 where 0 was expected");
    assert_contains(process->err.bytes, "the reason of five");
    process_release(process);
    process = run_case("signal", 1);
    assert_contains(process->err.bytes, "was ended by signal 9 where exit code 0 was expected");
    process_release(process);
    process = run_case("no-text", 1);
    assert_contains(process->err.bytes, "ended without writing 'never' 1 times");
    process_release(process);
    process = run_case("late-text", 1);
    assert_contains(process->err.bytes, "did not write 'never' 1 times within 250 ms and was killed");
    process_release(process);
    process = run_case("no-program", 1);
    assert_contains(process->err.bytes, "failed to execute: No such file or directory");
    process_release(process);
}

/* Servers */

static void test_redis(void **state)
{
    (void)state;
    redisContext *redis = rdb_open(services_redis_port(&services));
    char url[64];
    snprintf(url, sizeof url, "redis://127.0.0.1:%u", (unsigned)services_redis_port(&services));
    assert_string_equal(services_redis_url(&services), url);
    rdb_exec(redis, "SET %s %b", "key with blanks", "4\0", (size_t)1);
    assert_int_equal(rdb_int(redis, "GET %s", "key with blanks"), 4);
    assert_int_equal(rdb_int(redis, "EXISTS %s", "nothing"), 0);
    assert_null(rdb_text(redis, "GET %s", "nothing"));
    char *text = rdb_text(redis, "PING");
    assert_string_equal(text, "PONG");
    free(text);
    rdb_close(redis);
}

static void test_redis_starts_empty(void **state)
{
    (void)state;
    const enum services_stop_mode modes[] = {SERVICES_FAST, SERVICES_IMMEDIATE};
    for (size_t i = 0; i < 2; i++) {
        uint16_t port = services_redis_port(&services);
        redisContext *redis = rdb_open(port);
        rdb_exec(redis, "SET left behind");
        rdb_close(redis);
        pid_t pid = services_redis_pid(&services);
        services_redis_stop(&services, modes[i]);
        assert_false(is_alive(pid));
        assert_int_equal(services_redis_pid(&services), -1);
        assert_int_equal(connect_raw(port), -1);
        services_redis_start(&services);
        assert_int_equal(services_redis_port(&services), port);
        redis = rdb_open(port);
        assert_int_equal(rdb_int(redis, "DBSIZE"), 0);
        rdb_close(redis);
    }
}

static void test_databases(void **state)
{
    (void)state;
    char dsn[SERVICES_DSN_BYTES];
    char other[SERVICES_DSN_BYTES];
    char copy[SERVICES_DSN_BYTES];
    services_new_database(&services, dsn);
    services_new_database(&services, other);
    assert_string_not_equal(dsn, other);
    PGconn *conn = db_open(dsn);
    db_exec(conn, "CREATE TABLE notes (id int PRIMARY KEY, body text); INSERT INTO notes VALUES (1, 'one')");
    assert_int_equal(db_exec(conn, "INSERT INTO notes VALUES ($1, $2), (3, NULL)", "2", "it's"), 2);
    assert_int_equal(db_exec(conn, "INSERT INTO notes VALUES ($1, $2)", "4", NULL), 1);
    assert_int_equal(db_int(conn, "SELECT count(*) FROM notes"), 4);
    assert_int_equal(db_int(conn, "SELECT count(*) FROM notes WHERE body IS NULL"), 2);
    char *text = db_text(conn, "SELECT body FROM notes WHERE id = $1", "2");
    assert_string_equal(text, "it's");
    free(text);
    assert_null(db_text(conn, "SELECT body FROM notes WHERE id = 4"));
    assert_null(db_text(conn, "SELECT body FROM notes WHERE id = 5"));
    text = db_sqlstate(conn, "INSERT INTO notes VALUES ($1)", "1");
    assert_string_equal(text, "23505");
    free(text);
    assert_null(db_sqlstate(conn, "SELECT 1"));
    db_close(conn);

    services_copy_database(&services, dsn, copy);
    conn = db_open(copy);
    assert_int_equal(db_int(conn, "SELECT count(*) FROM notes"), 4);
    db_close(conn);
    conn = db_open(other);
    assert_null(db_text(conn, "SELECT to_regclass('notes')::text"));
    text =
        db_text(conn, "SELECT current_setting('server_encoding') || ' ' || current_setting('fsync') || ' ' ||"
                      " current_setting('synchronous_commit') || ' ' || current_setting('max_connections')");
    assert_string_equal(text, "UTF8 off on 200");
    free(text);
    db_close(conn);
}

static void test_postgres_restarts(void **state)
{
    (void)state;
    char dsn[SERVICES_DSN_BYTES];
    uint16_t port = services_postgres_port(&services);
    services_new_database(&services, dsn);
    PGconn *conn = db_open(dsn);
    db_exec(conn, "CREATE TABLE notes (id int)");
    const enum services_stop_mode modes[] = {SERVICES_FAST, SERVICES_IMMEDIATE};
    for (int i = 0; i < 2; i++) {
        pid_t pid = services_postgres_pid(&services);
        db_exec(conn, "INSERT INTO notes VALUES (1)");
        db_exec(conn, "BEGIN; INSERT INTO notes VALUES (2)"); /* open when the server goes down */
        services_postgres_restart(&services, modes[i]);
        assert_false(is_alive(pid));
        assert_int_equal(services_postgres_port(&services), port);
        char *code = db_sqlstate(conn, "COMMIT");
        assert_non_null(code);
        free(code);
        db_close(conn);
        conn = db_open(dsn);
        assert_int_equal(db_int(conn, "SELECT count(*) FROM notes WHERE id = 1"), i + 1);
        assert_int_equal(db_int(conn, "SELECT count(*) FROM notes WHERE id = 2"), 0);
    }
    db_close(conn);
    char *log = files_read(services_postgres_log_path(&services), NULL);
    assert_int_equal(files_count_text(log, "received fast shutdown request"), 1);
    assert_int_equal(files_count_text(log, "received immediate shutdown request"), 1);
    free(log);
}

/* Also a server that was frozen can be stopped, and stays down until it is started. */
static void test_postgres_stop_and_start(void **state)
{
    (void)state;
    char dsn[SERVICES_DSN_BYTES];
    services_new_database(&services, dsn);
    assert_int_equal(kill(services_postgres_pid(&services), SIGSTOP), 0);
    services_postgres_stop(&services, SERVICES_FAST);
    assert_int_equal(services_postgres_pid(&services), -1);
    assert_int_equal(connect_raw(services_postgres_port(&services)), -1);
    services_postgres_start(&services);
    PGconn *conn = db_open(dsn);
    assert_int_equal(db_int(conn, "SELECT 1"), 1);
    db_close(conn);
}

static void test_free_ports(void **state)
{
    (void)state;
    uint16_t ports[20];
    for (size_t i = 0; i < 20; i++) {
        ports[i] = services_free_port();
        assert_int_equal(connect_raw(ports[i]), -1);
        assert_int_not_equal(ports[i], services_postgres_port(&services));
        assert_int_not_equal(ports[i], services_redis_port(&services));
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(ports[i], ports[j]);
    }
}

static void test_helper_failures(void **state)
{
    (void)state;
    struct process *process = run_case("sql", 1);
    assert_contains(process->err.bytes, "relation \"nothing\" does not exist");
    assert_contains(process->err.bytes, "SELECT 1 FROM nothing");
    process_release(process);
    process = run_case("redis", 1);
    assert_contains(process->err.bytes, "nil where a number was expected, in: GET nothing");
    process_release(process);
    process = run_case("broken-server", 1);
    assert_contains(process->err.bytes, "PostgreSQL did not start");
    assert_contains(process->err.bytes, "the end of the log of PostgreSQL");
    assert_contains(process->err.bytes, "PG_VERSION");
    process_release(process);
}

/* Reads "word number" pairs as the holding cases print them. */
static long read_number(const struct process *process, const char *word)
{
    const char *found = strstr(process->out.bytes, word);
    if (found == NULL)
        LIB_FAIL("'%s' is not in: %s", word, process->out.bytes);
    return strtol(found + strlen(word), NULL, 10);
}

static void assert_nothing_left(const struct process *process, int timeout_ms)
{
    assert_true(dies_within((pid_t)read_number(process, "redis "), timeout_ms));
    assert_true(dies_within((pid_t)read_number(process, "postgres "), timeout_ms));
    assert_true(dies_within((pid_t)read_number(process, "backend "), timeout_ms));
    char *folder = strdup(strstr(process->out.bytes, "folder ") + strlen("folder "));
    assert_non_null(folder);
    folder[strcspn(folder, "\n")] = '\0';
    assert_int_equal(folder[0], '/');
    int64_t deadline_ms = process_now_ms() + timeout_ms;
    while (files_exists(folder) && process_now_ms() < deadline_ms)
        process_sleep_ms(5);
    assert_false(files_exists(folder));
    free(folder);
}

static void test_nothing_left_after_kill(void **state)
{
    (void)state;
    struct process *process = START(.argv = (const char *const[]){"/proc/self/exe", "--case", "hold", NULL});
    process_wait_for_output(process, "holding", START_MS);
    assert_true(is_alive((pid_t)read_number(process, "redis ")));
    assert_true(is_alive((pid_t)read_number(process, "postgres ")));
    assert_true(is_alive((pid_t)read_number(process, "backend ")));
    process_signal(process, SIGKILL);
    assert_int_equal(process_wait(process, LONG_MS), -SIGKILL);
    assert_nothing_left(process, LONG_MS);
    process_release(process);
}

static void test_nothing_left_after_exit(void **state)
{
    (void)state;
    struct process *process = run_case("leave", 0);
    assert_nothing_left(process, 0);
    process_release(process);
}

/* Proxy */

static void test_proxy_forwards(void **state)
{
    (void)state;
    enum { VALUE_BYTES = 3 * 1000 * 1000 };
    uint16_t port = proxy_start(&proxy, services_redis_port(&services));
    int to_server = ARM(.direction = PROXY_TO_SERVER, .pattern = "needle");
    int to_client = ARM(.direction = PROXY_TO_CLIENT, .pattern = "needle");
    char *value = malloc(VALUE_BYTES);
    assert_non_null(value);
    for (size_t i = 0; i < VALUE_BYTES; i++)
        value[i] = (char)(i * 13 % 249);
    for (size_t i = 0; i < 10; i++)
        memcpy(value + i * 65521 * 3, "needle", 6);
    redisContext *redis = rdb_open(port);
    rdb_exec(redis, "SET large %b", value, (size_t)VALUE_BYTES);
    redisReply *reply = redisCommand(redis, "GET large");
    assert_non_null(reply);
    assert_int_equal(reply->len, VALUE_BYTES);
    assert_memory_equal(reply->str, value, VALUE_BYTES);
    freeReplyObject(reply);
    free(value);
    assert_int_equal(proxy_hits(&proxy, to_server), 10);
    assert_int_equal(proxy_hits(&proxy, to_client), 10);
    assert_int_equal(proxy_fired(&proxy, to_client), 0);
    assert_int_equal(proxy_open_connections(&proxy), 1);
    rdb_close(redis);
    redis = rdb_open(port);
    assert_true(proxy_wait_connections(&proxy, 2, LONG_MS));
    assert_int_equal(proxy_connections(&proxy), 2);
    assert_false(proxy_wait_connections(&proxy, 3, 20));
    rdb_exec(redis, "DEL large");
    rdb_close(redis);
}

/* A table of one's own behind the proxy: *direct goes around it. */
static PGconn *open_through_proxy(PGconn **direct)
{
    char dsn[SERVICES_DSN_BYTES];
    services_new_database(&services, dsn);
    *direct = db_open(dsn);
    db_exec(*direct, "CREATE TABLE notes (id int)");
    uint16_t port = proxy_start(&proxy, services_postgres_port(&services));
    services_dsn_on_port(dsn, port, dsn);
    return db_open(dsn);
}

static void insert_and_lose_connection(PGconn *conn)
{
    char *code = db_sqlstate(conn, "INSERT INTO notes VALUES ($1)", "42");
    assert_non_null(code);
    assert_string_equal(code, "");
    free(code);
    assert_int_equal(PQstatus(conn), CONNECTION_BAD);
}

/* The server works on what it got even when its client is gone; give it the time. */
static int64_t wait_for_rows(PGconn *conn, int64_t count, int timeout_ms)
{
    int64_t deadline_ms = process_now_ms() + timeout_ms;
    int64_t rows;
    while ((rows = db_int(conn, "SELECT count(*) FROM notes")) != count && process_now_ms() < deadline_ms) {
        process_sleep_ms(5);
    }
    return rows;
}

static void test_proxy_cut_before(void **state)
{
    (void)state;
    PGconn *direct;
    PGconn *conn = open_through_proxy(&direct);
    int rule = ARM(.direction = PROXY_TO_SERVER, .action = PROXY_CUT_BEFORE, .pattern = "INSERT INTO");
    db_exec(conn, "SELECT 1");
    insert_and_lose_connection(conn);
    assert_true(proxy_wait_fired(&proxy, rule, 1, LONG_MS));
    process_sleep_ms(100);
    assert_int_equal(db_int(direct, "SELECT count(*) FROM notes"), 0);
    assert_int_equal(proxy_open_connections(&proxy), 0);
    db_close(conn);
    db_close(direct);
}

static void test_proxy_cut_after(void **state)
{
    (void)state;
    PGconn *direct;
    PGconn *conn = open_through_proxy(&direct);
    int rule =
        ARM(.direction = PROXY_TO_SERVER, .action = PROXY_CUT_AFTER, .pattern = "INSERT INTO", .reset = true);
    insert_and_lose_connection(conn);
    assert_int_equal(proxy_fired(&proxy, rule), 1);
    assert_int_equal(wait_for_rows(direct, 1, LONG_MS), 1);
    db_close(conn);
    db_close(direct);
}

static void test_proxy_cut_reply(void **state)
{
    (void)state;
    PGconn *direct;
    PGconn *conn = open_through_proxy(&direct);
    int rule = ARM(.direction = PROXY_TO_SERVER, .action = PROXY_CUT_REPLY, .pattern = "INSERT INTO",
                   .until = "INSERT 0 1");
    insert_and_lose_connection(conn);
    assert_int_equal(proxy_fired(&proxy, rule), 1);
    /* The server has answered, so the row is there at once. */
    assert_int_equal(db_int(direct, "SELECT count(*) FROM notes"), 1);
    db_close(conn);
    db_close(direct);
}

/* An earlier answer with the same text must not count as the one waited for. */
static void test_proxy_cut_reply_of_the_second(void **state)
{
    (void)state;
    PGconn *direct;
    PGconn *conn = open_through_proxy(&direct);
    int rule = ARM(.direction = PROXY_TO_SERVER, .action = PROXY_CUT_REPLY, .pattern = "INSERT INTO",
                   .nth = 2, .until = "INSERT 0 1");
    db_exec(conn, "INSERT INTO notes VALUES ($1)", "1");
    db_exec(direct, "BEGIN; LOCK TABLE notes"); /* the second one cannot be done before the lock goes */
    struct process *unlocker = START(SHELL("sleep 0.2; echo now; exec sleep 60"));
    assert_int_equal(PQsendQuery(conn, "INSERT INTO notes VALUES (2)"), 1);
    process_wait_for_output(unlocker, "now", LONG_MS);
    assert_int_equal(proxy_hits(&proxy, rule), 2);
    assert_int_equal(proxy_fired(&proxy, rule), 0);
    db_exec(direct, "COMMIT");
    assert_true(proxy_wait_fired(&proxy, rule, 1, LONG_MS));
    assert_int_equal(db_int(direct, "SELECT count(*) FROM notes"), 2);
    PQclear(PQgetResult(conn));
    assert_int_equal(PQstatus(conn), CONNECTION_BAD);
    process_release(unlocker);
    db_close(conn);
    db_close(direct);
}

static void test_proxy_cut_reply_until(void **state)
{
    (void)state;
    char bytes[64];
    uint16_t port = proxy_start(&proxy, services_redis_port(&services));
    int rule = ARM(.direction = PROXY_TO_SERVER, .action = PROXY_CUT_REPLY, .pattern = "go", .until = "end");
    int fd = connect_raw(port);
    send_raw(fd, "ECHO end\r\n");
    assert_answer(fd, "$3\r\nend\r\n"); /* forwarded before the rule acts: not what it waits for */
    send_raw(fd, "ECHO go\r\n");
    assert_int_equal(receive_raw(fd, bytes, sizeof bytes, 100), -EAGAIN);
    assert_int_equal(proxy_hits(&proxy, rule), 1);
    assert_int_equal(proxy_fired(&proxy, rule), 0);
    send_raw(fd, "ECHO end\r\n");
    assert_int_equal(receive_raw(fd, bytes, sizeof bytes, LONG_MS), 0);
    assert_int_equal(proxy_fired(&proxy, rule), 1);
    close(fd);
}

static void test_proxy_cut_to_client(void **state)
{
    (void)state;
    PGconn *direct;
    PGconn *conn = open_through_proxy(&direct);
    int rule = ARM(.direction = PROXY_TO_CLIENT, .action = PROXY_CUT_BEFORE, .pattern = "INSERT 0 1");
    insert_and_lose_connection(conn);
    assert_int_equal(proxy_fired(&proxy, rule), 1);
    assert_int_equal(db_int(direct, "SELECT count(*) FROM notes"), 1);
    db_close(conn);
    db_close(direct);
}

static void test_proxy_nth_and_every(void **state)
{
    (void)state;
    char bytes[64];
    uint16_t port = proxy_start(&proxy, services_redis_port(&services));
    redisContext *direct = rdb_open(services_redis_port(&services));
    rdb_exec(direct, "DEL counter");
    int third = ARM(.direction = PROXY_TO_SERVER, .action = PROXY_CUT_BEFORE, .pattern = "INCR", .nth = 3);
    int fd = connect_raw(port);
    send_raw(fd, "INCR counter\r\n");
    assert_answer(fd, ":1\r\n");
    /* What is in front of the third arrives, although it came in the same piece. */
    send_raw(fd, "INCR counter\r\nINCR counter\r\n");
    assert_true(proxy_wait_fired(&proxy, third, 1, LONG_MS));
    int64_t deadline_ms = process_now_ms() + LONG_MS;
    while (rdb_int(direct, "GET counter") < 2 && process_now_ms() < deadline_ms)
        process_sleep_ms(2);
    close(fd);
    fd = connect_raw(port);
    send_raw(fd, "INCR counter\r\n");
    assert_answer(fd, ":3\r\n");
    assert_int_equal(proxy_hits(&proxy, third), 4);
    assert_int_equal(proxy_fired(&proxy, third), 1);
    close(fd);
    rdb_close(direct);

    proxy_disarm_all(&proxy);
    int every = ARM(.direction = PROXY_TO_SERVER, .action = PROXY_CUT_BEFORE, .pattern = "ECHO",
                    .every = true, .reset = true);
    for (unsigned i = 1; i <= 3; i++) {
        fd = connect_raw(port);
        send_raw(fd, "ECHO e\r\n");
        assert_int_equal(receive_raw(fd, bytes, sizeof bytes, LONG_MS), -ECONNRESET);
        assert_int_equal(proxy_fired(&proxy, every), i);
        close(fd);
    }
    assert_int_equal(proxy_hits(&proxy, third), 4);
}

/* Raw bytes with a NUL, cut by TCP at every place. */
static void test_proxy_split_pattern(void **state)
{
    (void)state;
    static const char command[] = "*2\r\n$4\r\nECHO\r\n$5\r\nx\0y\0z\r\n";
    const size_t command_bytes = sizeof command - 1;
    char bytes[64];
    uint16_t port = proxy_start(&proxy, services_redis_port(&services));
    int seen = ARM(.direction = PROXY_TO_SERVER, .pattern = "x\0y\0z", .pattern_bytes = 5);
    int rounds = 0;
    for (size_t split = command_bytes - 8; split < command_bytes; split++, rounds++) {
        int fd = connect_raw(port);
        assert_int_equal(send(fd, command, split, 0), split);
        process_sleep_ms(10);
        assert_int_equal(send(fd, command + split, command_bytes - split, 0), command_bytes - split);
        assert_int_equal(receive_raw(fd, bytes, sizeof bytes, LONG_MS), 11);
        close(fd);
    }
    assert_int_equal(proxy_hits(&proxy, seen), rounds);

    int cut = ARM(.direction = PROXY_TO_SERVER, .action = PROXY_CUT_BEFORE, .pattern = "x\0y\0z",
                  .pattern_bytes = 5);
    int fd = connect_raw(port);
    assert_int_equal(send(fd, command, command_bytes - 5, 0), command_bytes - 5);
    process_sleep_ms(20);
    assert_int_equal(send(fd, command + command_bytes - 5, 5, 0), 5);
    assert_int_equal(receive_raw(fd, bytes, sizeof bytes, LONG_MS), 0);
    assert_int_equal(proxy_fired(&proxy, cut), 1);
    close(fd);
}

/* The late packet: its sender is dead before it arrives. */
static void test_proxy_hold(void **state)
{
    (void)state;
    PGconn *direct;
    PGconn *conn = open_through_proxy(&direct);
    int rule = ARM(.direction = PROXY_TO_SERVER, .action = PROXY_HOLD, .pattern = "INSERT INTO");
    assert_int_equal(PQsendQuery(conn, "INSERT INTO notes VALUES (1)"), 1);
    assert_true(proxy_wait_fired(&proxy, rule, 1, LONG_MS));
    db_close(conn);
    process_sleep_ms(100);
    assert_int_equal(db_int(direct, "SELECT count(*) FROM notes"), 0);
    assert_int_equal(proxy_open_connections(&proxy), 1);
    proxy_resume(&proxy);
    assert_int_equal(wait_for_rows(direct, 1, LONG_MS), 1);
    db_close(direct);
}

static void test_proxy_hold_then_answer(void **state)
{
    (void)state;
    char bytes[64];
    uint16_t port = proxy_start(&proxy, services_redis_port(&services));
    int rule = ARM(.direction = PROXY_TO_CLIENT, .action = PROXY_HOLD, .pattern = "b");
    int fd = connect_raw(port);
    send_raw(fd, "ECHO a\r\n");
    assert_answer(fd, "$1\r\na\r\n");
    send_raw(fd, "ECHO b\r\nECHO c\r\n");
    assert_true(proxy_wait_fired(&proxy, rule, 1, LONG_MS));
    assert_answer(fd, "$1\r\n");
    assert_int_equal(receive_raw(fd, bytes, sizeof bytes, 50), -EAGAIN);
    proxy_resume(&proxy);
    assert_answer(fd, "b\r\n$1\r\nc\r\n");
    close(fd);
}

/* A client that dies by RST with its request held: the request arrives all the same. */
static void test_proxy_hold_survives_reset(void **state)
{
    (void)state;
    const struct linger at_once = {.l_onoff = 1};
    uint16_t port = proxy_start(&proxy, services_redis_port(&services));
    redisContext *direct = rdb_open(services_redis_port(&services));
    rdb_exec(direct, "DEL late");
    int rule = ARM(.direction = PROXY_TO_SERVER, .action = PROXY_HOLD, .pattern = "SET");
    int fd = connect_raw(port);
    send_raw(fd, "PING\r\n");
    assert_answer(fd, "+PONG\r\n");
    send_raw(fd, "SET late 1\r\n");
    assert_true(proxy_wait_fired(&proxy, rule, 1, LONG_MS));
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
    process_sleep_ms(50);
    assert_int_equal(rdb_int(direct, "EXISTS late"), 0);
    proxy_resume(&proxy);
    int64_t deadline_ms = process_now_ms() + LONG_MS;
    while (rdb_int(direct, "EXISTS late") == 0 && process_now_ms() < deadline_ms)
        process_sleep_ms(2);
    assert_int_equal(rdb_int(direct, "DEL late"), 1);
    rdb_close(direct);
}

static void test_proxy_block(void **state)
{
    (void)state;
    char bytes[64];
    uint16_t port = proxy_start(&proxy, services_redis_port(&services));
    int before = connect_raw(port);
    send_raw(before, "PING\r\n");
    assert_answer(before, "+PONG\r\n");
    proxy_block(&proxy, PROXY_SILENT);
    int during = connect_raw(port);
    assert_true(proxy_wait_connections(&proxy, 2, LONG_MS));
    send_raw(before, "ECHO 1\r\n");
    send_raw(during, "ECHO 2\r\n");
    assert_int_equal(receive_raw(before, bytes, sizeof bytes, 50), -EAGAIN);
    assert_int_equal(receive_raw(during, bytes, sizeof bytes, 50), -EAGAIN);
    proxy_resume(&proxy);
    assert_answer(before, "$1\r\n1\r\n");
    assert_answer(during, "$1\r\n2\r\n");

    proxy_block(&proxy, PROXY_REFUSE);
    assert_int_equal(connect_raw(port), -1);
    assert_int_equal(errno, ECONNREFUSED);
    send_raw(before, "ECHO 3\r\n");
    assert_answer(before, "$1\r\n3\r\n");
    proxy_resume(&proxy);
    int after = connect_raw(port);
    send_raw(after, "ECHO 4\r\n");
    assert_answer(after, "$1\r\n4\r\n");

    proxy_cut_all(&proxy, false);
    assert_int_equal(proxy_open_connections(&proxy), 0);
    assert_int_equal(receive_raw(before, bytes, sizeof bytes, LONG_MS), 0);
    assert_int_equal(receive_raw(during, bytes, sizeof bytes, LONG_MS), 0);
    assert_int_equal(receive_raw(after, bytes, sizeof bytes, LONG_MS), 0);
    close(before);
    close(during);
    close(after);
}

static void test_proxy_delay(void **state)
{
    (void)state;
    char bytes[64];
    uint16_t port = proxy_start(&proxy, services_redis_port(&services));
    int fd = connect_raw(port);
    proxy_delay(&proxy, PROXY_TO_SERVER, 60);
    proxy_delay(&proxy, PROXY_TO_CLIENT, 90);
    int64_t start_ms = process_now_ms();
    send_raw(fd, "PING\r\n");
    assert_answer(fd, "+PONG\r\n");
    int64_t took_ms = process_now_ms() - start_ms;
    assert_true(took_ms >= 149);
    assert_true(took_ms < 5000);
    /* Latency and not bandwidth: ten requests under way at once take no longer than one. */
    start_ms = process_now_ms();
    for (int i = 0; i < 10; i++) {
        send_raw(fd, "PING\r\n");
        process_sleep_ms(1);
    }
    size_t got = 0;
    while (got < 10 * strlen("+PONG\r\n")) {
        int more = receive_raw(fd, bytes, sizeof bytes, LONG_MS);
        assert_true(more > 0);
        got += (size_t)more;
    }
    assert_true(process_now_ms() - start_ms < 10 * 150);
    close(fd);
}

static void test_proxy_without_server(void **state)
{
    (void)state;
    char bytes[64];
    uint16_t port = proxy_start(&proxy, services_free_port());
    int fd = connect_raw(port);
    assert_true(fd >= 0);
    assert_true(receive_raw(fd, bytes, sizeof bytes, LONG_MS) <= 0);
    close(fd);
    assert_int_equal(proxy_connections(&proxy), 1);
}

/* The server behind the proxy goes down and comes back. */
static void test_proxy_over_restart(void **state)
{
    (void)state;
    PGconn *direct;
    PGconn *conn = open_through_proxy(&direct);
    db_close(direct);
    services_postgres_restart(&services, SERVICES_IMMEDIATE);
    insert_and_lose_connection(conn);
    PQreset(conn);
    assert_int_equal(PQstatus(conn), CONNECTION_OK);
    assert_int_equal(db_exec(conn, "INSERT INTO notes VALUES (1)"), 1);
    db_close(conn);
}

/* Cases: run by the tests above in a program of their own */

static void case_timeout(void **state)
{
    (void)state;
    RUN(.argv = (const char *const[]){"true", NULL});
    process_run(
        &(struct process_spec){SHELL("echo written before the hang; echo hangs as $$; exec sleep 60")},
        SHORT_MS);
}

static void case_exit_code(void **state)
{
    (void)state;
    process_wait_code(START(SHELL("echo the reason of five >&2; exit 5")), 0, LONG_MS);
}

static void case_signal(void **state)
{
    (void)state;
    process_wait_code(START(SHELL("kill -9 $$")), 0, LONG_MS);
}

static void case_no_text(void **state)
{
    (void)state;
    process_wait_for_output(START(SHELL("echo something else")), "never", LONG_MS);
}

static void case_late_text(void **state)
{
    (void)state;
    process_wait_for_output(START(SHELL("echo something else; exec sleep 60")), "never", SHORT_MS);
}

static void case_no_program(void **state)
{
    (void)state;
    RUN(.argv = (const char *const[]){"/nonexistent/program", NULL});
}

static void case_sql(void **state)
{
    (void)state;
    char dsn[SERVICES_DSN_BYTES];
    services_start(&services, SERVICES_POSTGRES);
    services_new_database(&services, dsn);
    static PGconn *conn; /* the test is left from within: keep it where a leak checker finds it */
    conn = db_open(dsn);
    db_int(conn, "SELECT 1 FROM nothing");
}

static void case_redis(void **state)
{
    (void)state;
    services_start(&services, SERVICES_REDIS);
    static redisContext *redis;
    redis = rdb_open(services_redis_port(&services));
    rdb_int(redis, "GET nothing");
}

static void case_broken_server(void **state)
{
    (void)state;
    services_start(&services, SERVICES_POSTGRES);
    services_postgres_stop(&services, SERVICES_FAST);
    char *path = files_join(services_folder(&services), "postgres/PG_VERSION");
    assert_int_equal(unlink(path), 0);
    free(path);
    services_postgres_start(&services);
}

static void start_and_tell(void)
{
    char dsn[SERVICES_DSN_BYTES];
    services_start(&services, SERVICES_REDIS | SERVICES_POSTGRES);
    services_new_database(&services, dsn);
    static PGconn *conn;
    conn = db_open(dsn);
    printf("redis %d\npostgres %d\nbackend %d\nfolder %s\nholding\n", (int)services_redis_pid(&services),
           (int)services_postgres_pid(&services), PQbackendPID(conn), services_folder(&services));
    fflush(stdout);
    db_exec(conn, "BEGIN; CREATE TABLE notes (id int)");
}

static void case_hold(void **state)
{
    (void)state;
    start_and_tell();
    for (;;)
        pause();
}

static void case_leave(void **state)
{
    (void)state;
    start_and_tell();
    exit(0);
}

static const struct CMUnitTest cases[] = {
    {"timeout", case_timeout, NULL, NULL, NULL},
    {"exit-code", case_exit_code, NULL, NULL, NULL},
    {"signal", case_signal, NULL, NULL, NULL},
    {"no-text", case_no_text, NULL, NULL, NULL},
    {"late-text", case_late_text, NULL, NULL, NULL},
    {"no-program", case_no_program, NULL, NULL, NULL},
    {"sql", case_sql, NULL, NULL, NULL},
    {"redis", case_redis, NULL, NULL, NULL},
    {"broken-server", case_broken_server, NULL, NULL, NULL},
    {"hold", case_hold, NULL, NULL, NULL},
    {"leave", case_leave, NULL, NULL, NULL},
};

static int run_one_case(const char *name)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (strcmp(cases[i].name, name) != 0)
            continue;
        const struct CMUnitTest only[] = {cases[i]};
        return cmocka_run_group_tests(only, NULL, NULL);
    }
    fprintf(stderr, "no case '%s'\n", name);
    return 2;
}

static int start_services(void **state)
{
    (void)state;
    services_start(&services, SERVICES_REDIS | SERVICES_POSTGRES);
    return 0;
}

static int stop_services(void **state)
{
    (void)state;
    services_stop(&services);
    services_stop(&services);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest alone[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_files_large_and_link),
        cmocka_unit_test_teardown(test_process_output, stop_all),
        cmocka_unit_test_teardown(test_process_environment, stop_all),
        cmocka_unit_test_teardown(test_process_input, stop_all),
        cmocka_unit_test_teardown(test_process_held_input, stop_all),
        cmocka_unit_test_teardown(test_process_signals, stop_all),
        cmocka_unit_test_teardown(test_process_many_at_once, stop_all),
        cmocka_unit_test_teardown(test_process_pairs, stop_all),
        cmocka_unit_test_teardown(test_process_orphans_do_not_block, stop_all),
        cmocka_unit_test_teardown(test_process_terminal, stop_all),
        cmocka_unit_test_teardown(test_process_failures, stop_all),
    };
    static const struct CMUnitTest with_servers[] = {
        cmocka_unit_test_teardown(test_redis, stop_all),
        cmocka_unit_test_teardown(test_redis_starts_empty, stop_all),
        cmocka_unit_test_teardown(test_databases, stop_all),
        cmocka_unit_test_teardown(test_postgres_restarts, stop_all),
        cmocka_unit_test_teardown(test_postgres_stop_and_start, stop_all),
        cmocka_unit_test_teardown(test_free_ports, stop_all),
        cmocka_unit_test_teardown(test_helper_failures, stop_all),
        cmocka_unit_test_teardown(test_nothing_left_after_kill, stop_all),
        cmocka_unit_test_teardown(test_nothing_left_after_exit, stop_all),
        cmocka_unit_test_teardown(test_proxy_forwards, stop_all),
        cmocka_unit_test_teardown(test_proxy_cut_before, stop_all),
        cmocka_unit_test_teardown(test_proxy_cut_after, stop_all),
        cmocka_unit_test_teardown(test_proxy_cut_reply, stop_all),
        cmocka_unit_test_teardown(test_proxy_cut_reply_of_the_second, stop_all),
        cmocka_unit_test_teardown(test_proxy_cut_reply_until, stop_all),
        cmocka_unit_test_teardown(test_proxy_cut_to_client, stop_all),
        cmocka_unit_test_teardown(test_proxy_nth_and_every, stop_all),
        cmocka_unit_test_teardown(test_proxy_split_pattern, stop_all),
        cmocka_unit_test_teardown(test_proxy_hold, stop_all),
        cmocka_unit_test_teardown(test_proxy_hold_then_answer, stop_all),
        cmocka_unit_test_teardown(test_proxy_hold_survives_reset, stop_all),
        cmocka_unit_test_teardown(test_proxy_block, stop_all),
        cmocka_unit_test_teardown(test_proxy_delay, stop_all),
        cmocka_unit_test_teardown(test_proxy_without_server, stop_all),
        cmocka_unit_test_teardown(test_proxy_over_restart, stop_all),
    };
    if (argc == 3 && strcmp(argv[1], "--case") == 0)
        return run_one_case(argv[2]);
    int failed = cmocka_run_group_tests(alone, NULL, NULL);
    return failed + cmocka_run_group_tests(with_servers, start_services, stop_services);
}
