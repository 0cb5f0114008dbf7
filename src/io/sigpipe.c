/* sigpipe.c - see sigpipe.h.
 *
 * Happy path: block it, and afterwards take it away if it has come, as libpq does. Failure modes: none. */
#include "io/sigpipe.h"

#include <errno.h>
#include <time.h>

static sigset_t sigpipe_alone(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    return set;
}

void fl_sigpipe_hold(struct fl_sigpipe *hold)
{
    const sigset_t set = sigpipe_alone();
    pthread_sigmask(SIG_BLOCK, &set, &hold->before);
}

void fl_sigpipe_release(const struct fl_sigpipe *hold)
{
    const sigset_t set = sigpipe_alone();
    const struct timespec at_once = {0};
    while (sigtimedwait(&set, NULL, &at_once) < 0 && errno == EINTR) {
    }
    pthread_sigmask(SIG_SETMASK, &hold->before, NULL);
}
