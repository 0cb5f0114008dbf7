/* locks_watch.h - `fenceline locks watch`: the list, refreshed in place. */
#ifndef FL_CLI_LOCKS_WATCH_H
#define FL_CLI_LOCKS_WATCH_H

#include "cli/args.h"

/* Runs until q, ctrl-C or SIGTERM, then leaves the terminal as it was. Exit code 0; 2 without a terminal. */
int fl_locks_watch(const struct fl_args *args, const struct fl_settings *settings);

#endif
