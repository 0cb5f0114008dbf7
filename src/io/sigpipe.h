/* sigpipe.h - writing to a socket whose other side has gone must not end the process: hiredis has no way to
 * ask for that, and ignoring the signal altogether would change what happens to `fenceline jobs | head`. */
#ifndef FL_IO_SIGPIPE_H
#define FL_IO_SIGPIPE_H

#include <signal.h>

struct fl_sigpipe {
    sigset_t before;
};

/* From here to the release SIGPIPE ends nothing, in this thread; what is written fails with EPIPE instead. */
void fl_sigpipe_hold(struct fl_sigpipe *hold);
void fl_sigpipe_release(const struct fl_sigpipe *hold);

#endif
