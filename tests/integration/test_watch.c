/*
 * `fenceline locks watch` on a terminal: it draws, refreshes, keeps to the size of the terminal, survives the
 * loss of either server, and gives the terminal back as it was.
 *
 * What it writes is judged frame by frame: each begins where the cursor is sent home.
 */
#include "../lib/fleet.h"
#include "../lib/lockview.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/slice.h"
#include "cli/print.h"

enum { LONG_MS = 20000, COLUMNS = 80, LINES = 24 };

#define HOME         "\033[H"
#define ENTER_SCREEN "\033[?1049h\033[?25l"
#define LEAVE_SCREEN "\033[?25h\033[?1049l"
#define HOLDER       "import@host:1 (job 1)"

static struct process *start_watch(unsigned short columns, unsigned short rows)
{
    return fenceline_start(&(struct process_spec){
        .argv = (const char *const[]){"locks", "watch", NULL},
        .env = (const char *const[]){"TERM=xterm-256color", "FENCELINE_REDIS_TIMEOUT_MS=1000", NULL},
        .terminal_streams = PROCESS_IN | PROCESS_OUT | PROCESS_ERR,
        .terminal_columns = columns,
        .terminal_rows = rows,
        .hold_input = true});
}

/* ---- frames ---- */

static size_t frames(const struct process *watch)
{
    return files_count_text(watch->out.bytes, HOME);
}

/* Asks for two frames more, and gives the last whole one, malloc'ed. */
static char *next_frame(struct process *watch)
{
    for (int i = 0; i < 2; i++) { /* space refreshes at once */
        process_send(watch, " ", 1);
        process_wait_for_outputs(watch, HOME, frames(watch) + 1, LONG_MS);
    }
    const char *at = watch->out.bytes, *begin = NULL, *end = NULL;
    for (const char *home = strstr(at, HOME); home; home = strstr(home + 1, HOME)) {
        begin = end;
        end = home;
    }
    assert_non_null(begin);
    return strndup(begin, (size_t)(end - begin));
}

static char *await_frame(struct process *watch, const char *text)
{
    int64_t end_ms = process_now_ms() + LONG_MS;
    char *frame = next_frame(watch);
    while (!strstr(frame, text)) {
        if (process_now_ms() > end_ms)
            LIB_FAIL("waited for \"%s\" on the screen:\n%s", text, frame);
        free(frame);
        frame = next_frame(watch);
    }
    return frame;
}

/* The frame without colours and other escapes; anything but those that it uses fails. */
static char *plain(const char *frame)
{
    static const char *const KNOWN[] = {"\033[H",  "\033[K",   "\033[J",   "\033[0m", "\033[m",
                                        "\033[1m", "\033[31m", "\033[32m", "\033[33m"};
    char *text = calloc(strlen(frame) + 1, 1), *out = text;
    assert_non_null(text);
    while (*frame) {
        size_t skipped = 0;
        for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
            if (strncmp(frame, KNOWN[i], strlen(KNOWN[i])) == 0)
                skipped = strlen(KNOWN[i]);
        if (*frame == '\033' && !skipped)
            LIB_FAIL("an escape that it does not use: %.8s in\n%s", frame + 1, frame);
        if (!skipped && *frame != '\r')
            *out++ = *frame;
        frame += skipped ? skipped : 1;
    }
    return text;
}

/* No line is wider than the terminal, no more lines are there than it has. */
static void assert_fits(const char *frame, size_t columns, size_t rows)
{
    char *text = plain(frame);
    size_t lines = 0;
    for (const char *at = text; *at; lines++) {
        size_t length = strcspn(at, "\n");
        size_t width = fl_print_text(NULL, (struct fl_slice){at, length});
        if (width > columns)
            LIB_FAIL("a line of %zu columns on %zu: %.*s", width, columns, (int)length, at);
        at += length + (at[length] == '\n');
    }
    if (lines > rows)
        LIB_FAIL("%zu lines on %zu:\n%s", lines, rows, text);
    free(text);
}

/* ---- tests ---- */

static void end_by_key(struct process *watch)
{
    process_send(watch, "q", 1);
    fenceline_finish_within(watch, 0, LONG_MS);
    assert_int_equal(files_count_text(watch->out.bytes, ENTER_SCREEN), 1);
    assert_int_equal(files_count_text(watch->out.bytes, LEAVE_SCREEN), 1);
    assert_true(strstr(watch->out.bytes, LEAVE_SCREEN)[strlen(LEAVE_SCREEN)] == '\0'); /* nothing after it */
}

static void test_draws_and_refreshes(void **state)
{
    (void)state;
    struct process *watch = start_watch(COLUMNS, LINES);
    char *frame = await_frame(watch, "0 held");
    assert_fits(frame, COLUMNS, LINES);
    free(frame);
    fenceline_set_lease("ep-one", HOLDER, 7900);
    process_wait_for_output(watch, "ep-one", LONG_MS); /* by itself */
    frame = await_frame(watch, "ep-one");
    assert_non_null(strstr(frame, "healthy"));
    assert_non_null(strstr(frame, "1 held, 0 need attention"));
    free(frame);
    frame = await_frame(watch, "orphan"); /* never heard of, and older than dead_ms */
    assert_non_null(strstr(frame, "1 needs attention"));
    assert_non_null(strstr(frame, "no heartbeat"));
    assert_non_null(strstr(frame, "\033[31m")); /* red */
    assert_fits(frame, COLUMNS, LINES);
    free(frame);
    fenceline_drop_lease("ep-one");
    free(await_frame(watch, "0 held"));
    end_by_key(watch);
}

static void test_what_needs_attention_comes_first(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        char episode[32];
        snprintf(episode, sizeof episode, "a-%02d", i);
        fenceline_set_lease(episode, HOLDER, 7999); /* looks new */
    }
    fenceline_set_lease("z-old", HOLDER, 2900); /* looks five seconds old */
    struct process *watch = start_watch(COLUMNS, LINES);
    char *frame = next_frame(watch);
    const char *old = strstr(frame, "z-old"), *new = strstr(frame, "a-00");
    assert_non_null(old);
    assert_true(!new || old < new);
    assert_non_null(strstr(frame, " more"));
    assert_fits(frame, COLUMNS, LINES);
    free(frame);
    end_by_key(watch);
}

static void test_resize(void **state)
{
    (void)state;
    static const struct {
        unsigned short columns, rows;
    } SIZES[] = {{200, 50}, {40, 10}, {20, 5}, {8, 3}, {1, 1}, {300, 4}, {80, 24}};
    for (int i = 0; i < 40; i++) {
        char episode[64];
        snprintf(episode, sizeof episode, "episode-with-a-long-name-\xe6\xbc\xa2\xe5\xad\x97-%02d", i);
        fenceline_set_lease(episode, HOLDER, 3000 + 100 * i);
        char *key = fenceline_lease_key(episode);
        rdb_exec(fenceline.redis, "PERSIST %s", key);
        free(key);
    }
    struct process *watch = start_watch(COLUMNS, LINES);
    free(next_frame(watch));
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        size_t before = frames(watch);
        int64_t began_ms = process_now_ms();
        process_resize(watch, SIZES[i].columns, SIZES[i].rows);
        process_wait_for_outputs(watch, HOME, before + 1, LONG_MS);
        assert_true(process_now_ms() - began_ms < 5000);
        char *frame = next_frame(watch);
        assert_fits(frame, SIZES[i].columns, SIZES[i].rows);
        free(frame);
    }
    end_by_key(watch);
}

static bool is_same_mode(const struct termios *a, const struct termios *b)
{
    return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_cflag == b->c_cflag &&
           a->c_lflag == b->c_lflag && memcmp(a->c_cc, b->c_cc, sizeof a->c_cc) == 0;
}

/* However it is ended, the terminal is as it was. */
static void test_gives_the_terminal_back(void **state)
{
    (void)state;
    static const struct {
        const char *keys;
        int signal;
    } ENDS[] = {{"q", 0},       {"Q", 0},       {"\003", 0}, {NULL, SIGTERM},
                {NULL, SIGINT}, {NULL, SIGHUP}, {"x y q", 0}};
    for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++) {
        struct process *watch = start_watch(COLUMNS, LINES);
        struct termios before, during, after;
        assert_int_equal(tcgetattr(watch->terminal_fd, &before), 0);
        free(next_frame(watch));
        assert_int_equal(tcgetattr(watch->terminal_fd, &during), 0);
        assert_int_equal(during.c_lflag & (ICANON | ECHO), 0);
        assert_true(during.c_lflag & ISIG);
        if (ENDS[i].keys)
            process_send(watch, ENDS[i].keys, strlen(ENDS[i].keys));
        else
            process_signal(watch, ENDS[i].signal);
        int terminal = dup(watch->terminal_fd);
        fenceline_finish_within(watch, 0, LONG_MS);
        assert_int_equal(tcgetattr(terminal, &after), 0);
        before.c_lflag |= during.c_lflag & ECHO;
        assert_true(is_same_mode(&before, &after));
        assert_non_null(strstr(watch->out.bytes, LEAVE_SCREEN));
        close(terminal);
        process_release(watch);
    }
}

/* Ctrl-Z gives the terminal back, too, and after it all goes on. */
static void test_stop_and_continue(void **state)
{
    (void)state;
    struct process *watch = start_watch(COLUMNS, LINES);
    free(next_frame(watch));
    process_signal(watch, SIGTSTP);
    process_wait_for_output(watch, LEAVE_SCREEN, LONG_MS);
    for (size_t seen = 0; seen != frames(watch);) { /* it is still now */
        seen = frames(watch);
        assert_false(process_ended(watch, 2500));
    }
    process_signal(watch, SIGCONT);
    process_wait_for_outputs(watch, ENTER_SCREEN, 2, LONG_MS);
    free(next_frame(watch));
    process_send(watch, "q", 1);
    fenceline_finish_within(watch, 0, LONG_MS);
}

static void test_servers_go_and_come_back(void **state)
{
    (void)state;
    fenceline_set_lease("ep-one", HOLDER, 600000);
    struct process *watch = start_watch(COLUMNS, LINES);
    free(await_frame(watch, "ep-one"));
    services_redis_stop(&fenceline.services, SERVICES_IMMEDIATE);
    char *frame = await_frame(watch, "Redis");
    assert_fits(frame, COLUMNS, LINES);
    free(frame);
    services_redis_start(&fenceline.services);
    fenceline_reconnect();
    fenceline_set_lease("ep-two", HOLDER, 600000);
    free(await_frame(watch, "ep-two"));
    services_postgres_stop(&fenceline.services, SERVICES_FAST);
    frame = await_frame(watch, "Postgres");
    assert_fits(frame, COLUMNS, LINES);
    free(frame);
    services_postgres_start(&fenceline.services);
    fenceline_reconnect();
    free(await_frame(watch, "ep-two"));
    end_by_key(watch);
}

/* Writing to a Unix socket that the other side has closed is SIGPIPE at once, unlike with TCP. */
static void test_redis_on_a_unix_socket_goes_and_comes_back(void **state)
{
    (void)state;
    char *path = files_join(fenceline.folder, "r.sock"), url[160];
    const char *const args[] = {"--unixsocket", path, NULL};
    snprintf(url, sizeof url, "unix://%s", path);
    services_redis_set_args(&fenceline.services, args);
    services_redis_stop(&fenceline.services, SERVICES_IMMEDIATE);
    services_redis_start(&fenceline.services);
    fenceline_reconnect();
    fenceline.redis_url = url;
    fenceline_set_lease("ep-one", HOLDER, 600000);
    struct process *watch = start_watch(COLUMNS, LINES);
    free(await_frame(watch, "ep-one"));
    services_redis_stop(&fenceline.services, SERVICES_IMMEDIATE);
    free(await_frame(watch, "Redis"));
    services_redis_start(&fenceline.services);
    fenceline_reconnect();
    fenceline_set_lease("ep-two", HOLDER, 600000);
    free(await_frame(watch, "ep-two"));
    end_by_key(watch);
    services_redis_set_args(&fenceline.services, NULL);
    free(path);
}

static void test_hostile_ids(void **state)
{
    (void)state;
    static const char *const EPISODES[] = {"a\xe2\x80\xae"
                                           "b",
                                           "wide-\xe6\xbc\xa2\xe5\xad\x97",
                                           "e\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81"};
    for (size_t i = 0; i < sizeof EPISODES / sizeof *EPISODES; i++)
        fenceline_set_lease(EPISODES[i], HOLDER, 2500);
    rdb_exec(fenceline.redis, "SET %b %s", "fenceline:{\x1b[2J\x07}:lease", (size_t)22, "x");
    rdb_exec(fenceline.redis, "SET fenceline:{ok}:lease %b",
             "0123456789abcdef0123456789abcdef 1 \x1b[2Jx@h:1 (job 1)", (size_t)52);
    struct process *watch = start_watch(COLUMNS, LINES);
    char *frame = await_frame(watch, "wide-");
    assert_fits(frame, COLUMNS, LINES);
    assert_null(strstr(frame, "\033[2J"));
    assert_null(strstr(frame, "\xe2\x80\xae"));
    assert_null(strchr(frame, '\a'));
    free(frame);
    end_by_key(watch);
}

static void test_needs_a_terminal(void **state)
{
    (void)state;
    struct process *watch = fenceline_run(2, "locks", "watch");
    fenceline_assert_err(watch, "needs a terminal");
    assert_int_equal(watch->out.size_bytes, 0);
}

/* Its filters are those of the list. */
static void test_filter(void **state)
{
    (void)state;
    fenceline_set_lease("ep-one", HOLDER, 600000);
    fenceline_set_lease("ep-two", HOLDER, 600000);
    struct process *watch = fenceline_start(
        &(struct process_spec){.argv = (const char *const[]){"locks", "watch", "--episode", "ep-two", NULL},
                               .terminal_streams = PROCESS_IN | PROCESS_OUT | PROCESS_ERR,
                               .terminal_columns = COLUMNS,
                               .terminal_rows = LINES,
                               .hold_input = true});
    char *frame = await_frame(watch, "ep-two");
    assert_null(strstr(frame, "ep-one"));
    free(frame);
    end_by_key(watch);
}

int main(void)
{
    setlocale(LC_CTYPE, "C.UTF-8"); /* for the width of characters */
    const struct CMUnitTest tests[] = {
        FENCELINE_TEST(test_draws_and_refreshes),
        FENCELINE_TEST(test_what_needs_attention_comes_first),
        FENCELINE_TEST(test_resize),
        FENCELINE_TEST(test_gives_the_terminal_back),
        FENCELINE_TEST(test_stop_and_continue),
        FENCELINE_TEST(test_servers_go_and_come_back),
        FENCELINE_TEST(test_redis_on_a_unix_socket_goes_and_comes_back),
        FENCELINE_TEST(test_hostile_ids),
        FENCELINE_TEST(test_needs_a_terminal),
        FENCELINE_TEST(test_filter),
    };
    return cmocka_run_group_tests_name("watch", tests, fenceline_start_group, fenceline_stop_group);
}
