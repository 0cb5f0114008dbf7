/* A Redis that goes away while a command is being sent: an error of that connection, and never the end of the
 * process. The other side ends the connection and then resets it, so that the next thing written would raise
 * SIGPIPE; here that signal keeps its default, which is to end the process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/redis.h"
#include "io/redis_sync.h"
#include "io/sigpipe.h"

enum { TURNS = 1000, TIMEOUT_MS = 5000, URL_BYTES = 64 };

static int listener;
static char url[URL_BYTES];

static int start_listener(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    (void)state;
    signal(SIGPIPE, SIG_DFL);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 4), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    snprintf(url, sizeof url, "redis://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    return 0;
}

static int stop_listener(void **state)
{
    (void)state;
    return close(listener);
}

/* First its end, then a reset: whoever writes next is told EPIPE, and gets the signal. */
static void go_away(void)
{
    const struct linger at_once = {.l_onoff = 1};
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    assert_int_equal(close(fd), 0);
}

static void count_lost(redisAsyncContext *context, void *reply, void *owner)
{
    struct fl_redis *redis = context->data;
    fl_redis_answered(redis, reply);
    assert_null(reply);
    ++*(int *)owner;
}

static void test_connection_of_the_loop(void **state)
{
    const char *ping[] = {"PING"};
    struct fl_redis_address address;
    struct fl_redis redis;
    struct fl_err err;
    uv_loop_t loop;
    int lost = 0;
    (void)state;
    assert_int_equal(fl_redis_parse_url(url, &address, &err), FL_OK);
    assert_int_equal(uv_loop_init(&loop), 0);
    fl_redis_init(&redis, &loop, &address, TIMEOUT_MS);
    assert_int_equal(fl_redis_open(&redis, &err), FL_OK);
    for (int i = 0; i < TURNS && !redis.connected; i++)
        uv_run(&loop, UV_RUN_ONCE);
    assert_true(redis.connected);
    go_away();
    fl_redis_cork(&redis);
    fl_redis_send(&redis, 1, ping, NULL, count_lost, &lost);
    fl_redis_flush(&redis);
    for (int i = 0; i < TURNS && lost == 0; i++)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(lost, 1);
    assert_int_equal(fl_redis_lost(&redis, &err), FL_LOST);
    fl_redis_release(&redis);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_connection_of_a_command(void **state)
{
    const char *const ping[] = {"PING"};
    struct fl_redis_sync *redis = NULL;
    redisReply *reply = NULL;
    struct fl_err err;
    (void)state;
    assert_int_equal(fl_redis_sync_open(&redis, url, TIMEOUT_MS, &err), FL_OK);
    go_away();
    fl_redis_sync_send(redis, 1, ping, NULL);
    assert_int_not_equal(fl_redis_sync_receive(redis, &reply, &err), FL_OK);
    assert_null(reply);
    fl_redis_sync_close(redis);
}

/* What is written elsewhere raises it as before, and it does not come late. */
static void test_signal_is_as_before(void **state)
{
    struct fl_sigpipe hold;
    sigset_t blocked, pending;
    int fds[2];
    (void)state;
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    fl_sigpipe_hold(&hold);
    assert_int_equal(write(fds[1], "x", 1), -1);
    assert_int_equal(errno, EPIPE);
    fl_sigpipe_release(&hold);
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    sigpending(&pending);
    assert_false(sigismember(&blocked, SIGPIPE));
    assert_false(sigismember(&pending, SIGPIPE));
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connection_of_the_loop),
        cmocka_unit_test(test_connection_of_a_command),
        cmocka_unit_test(test_signal_is_as_before),
    };
    return cmocka_run_group_tests(tests, start_listener, stop_listener);
}
