/* commands.h - one function per command: does it, prints, and returns the exit code (product, "Exit codes").
 *
 * The settings have been loaded, overridden by the options, and checked; the commands about settings
 * (cmd_config.c) do that themselves. */
#ifndef FL_CLI_COMMANDS_H
#define FL_CLI_COMMANDS_H

#include "cli/args.h"

#define X(name, function, words) int fl_cmd_##function(struct fl_args *args, struct fl_settings *settings);
FL_COMMAND_LIST(X)
#undef X

#endif
