/* loop_gap.c - a library to preload: the longest turn of a program's event loop, told on stderr at its end.
 *
 * A turn is the time from one return of epoll_wait to the next call of it, in the thread that calls it first;
 * what a thread of the pool does is in no turn. Processor time of that thread is told beside it: on a machine
 * with other work, only that is the program's own. */
#include <dlfcn.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <time.h>

struct moment {
    int64_t wall_us, own_us;
};

static __thread struct moment turn_began;
static struct moment longest;
static uint64_t turns, long_turns;

enum { LONG_US = 50000 };

static int64_t read_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static struct moment now(void)
{
    return (struct moment){read_us(CLOCK_MONOTONIC), read_us(CLOCK_THREAD_CPUTIME_ID)};
}

static void end_turn(void)
{
    struct moment ended = now();
    if (!turn_began.wall_us)
        return;
    int64_t wall_us = ended.wall_us - turn_began.wall_us, own_us = ended.own_us - turn_began.own_us;
    longest.wall_us = wall_us > longest.wall_us ? wall_us : longest.wall_us;
    longest.own_us = own_us > longest.own_us ? own_us : longest.own_us;
    long_turns += own_us > LONG_US;
    turns++;
}

/* libuv calls one or the other, as its release has it. */
int epoll_pwait(int fd, struct epoll_event *events, int limit, int timeout_ms, const sigset_t *mask)
{
    static int (*real)(int, struct epoll_event *, int, int, const sigset_t *);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "epoll_pwait");
    end_turn();
    int count = real(fd, events, limit, timeout_ms, mask);
    turn_began = now();
    return count;
}

int epoll_wait(int fd, struct epoll_event *events, int limit, int timeout_ms)
{
    return epoll_pwait(fd, events, limit, timeout_ms, NULL);
}

__attribute__((destructor)) static void tell(void)
{
    fprintf(stderr, "loop: %llu turns, longest %lld us, of own time %lld us, %llu above %d us\n",
            (unsigned long long)turns, (long long)longest.wall_us, (long long)longest.own_us,
            (unsigned long long)long_turns, LONG_US);
}
