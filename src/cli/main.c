/* main.c - from the command line to one command and its exit code.
 *
 * Happy path: parse the arguments, load the settings (file, environment, options), check them, run the
 * command, and make sure that what it printed has arrived. Failure modes: usage and configuration (exit 2),
 * and an output that cannot be written (exit 1): a full disk must not look like success. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "cli/commands.h"
#include "cli/print.h"

#ifndef FL_VERSION
#define FL_VERSION "0.1.0"
#endif

static int (*const COMMANDS[])(struct fl_args *args, struct fl_settings *settings) = {
#define X(name, function, words) [FL_COMMAND_##name] = fl_cmd_##function,
    FL_COMMAND_LIST(X)
#undef X
};

static int fail(const struct fl_err *err)
{
    fl_print_error(err);
    return fl_status_exit_code(err->code);
}

static int run(int argc, char **argv)
{
    static struct fl_settings settings; /* several KiB of text: not for the stack */
    struct fl_args args;
    struct fl_err err = {0};
    if (fl_args_parse(&args, argc, argv, &err) != FL_OK)
        return fail(&err);
    if (args.help) {
        if (args.group)
            fl_args_print_group_help(stdout, args.group);
        else
            fl_args_print_help(stdout, args.command);
        return 0;
    }
    if (args.version) {
        puts("fenceline " FL_VERSION);
        return 0;
    }
    bool is_about_settings =
        args.command == FL_COMMAND_CONFIG_CHECK || args.command == FL_COMMAND_CONFIG_SHOW;
    if (!is_about_settings && fl_args_load_settings(&args, &settings, &err) != FL_OK)
        return fail(&err);
    return COMMANDS[args.command](&args, &settings);
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "C.UTF-8"); /* only for the width of characters in tables */
    int exit_code = run(argc, argv);
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return exit_code;
    const char *reason = errno ? strerrordesc_np(errno) : NULL;
    fprintf(stderr, "fenceline: cannot write to standard output%s%s\n", reason ? ": " : "",
            reason ? reason : "");
    return fl_exit_worse(exit_code, 1);
}
