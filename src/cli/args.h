/* args.h - the command line: one table of options per command, from which both the parse and --help are made.
 */
#ifndef FL_CLI_ARGS_H
#define FL_CLI_ARGS_H

#include <stdio.h>

#include "app/settings.h"
#include "fenceline/document.h"
#include "fenceline/err.h"
#include "fenceline/types.h"

/* enum name, word on the command line */
#define FL_COMMAND_LIST(X)                                                                                   \
    X(IMPORT, import)                                                                                        \
    X(CHECK, check)                                                                                          \
    X(SHOW, show)                                                                                            \
    X(HISTORY, history)                                                                                      \
    X(DELETE, delete)                                                                                        \
    X(MIGRATE, migrate)

enum fl_command {
#define X(name, word) FL_COMMAND_##name,
    FL_COMMAND_LIST(X)
#undef X
        FL_COMMAND_NONE
};

enum { FL_ARGS_NOT_GIVEN = -1 };

/* All strings are borrowed from argv. */
struct fl_args {
    enum fl_command command;
    bool help, version; /* asked for: print and exit 0, look at nothing else */

    /* every command */
    const char *config, *redis, *postgres; /* NULL = not given */
    bool json, quiet, verbose, no_color;

    /* import, check */
    const char *episode;   /* NULL = not given; not checked here: fl_episode_check */
    enum fl_kind kind;     /* FL_KIND_NONE = not given; also the KIND of show and delete */
    enum fl_format format; /* FL_FORMAT_NONE = not given */
    enum fl_mode mode;     /* FL_MODE_CREATE if not given; FL_MODE_DELETE for the command delete */
    int64_t if_version;    /* with FL_MODE_IF_VERSION; else FL_ARGS_NOT_GIVEN */
    bool strict, repair, dry_run;
    int64_t jobs;         /* FL_ARGS_NOT_GIVEN; fl_args_apply puts it into the settings */
    int64_t wait_lock_ms; /* likewise */

    bool rows;        /* check */
    bool status, sql; /* migrate */

    char *const *paths; /* import, check: PATH...; show, history, delete: paths[0] is the EPISODE */
    size_t path_count;
};

/* Reads argv (getopt_long may reorder it). FL_USAGE: *err says what is wrong and how to see help. Does not
 * read the environment or any file. */
FL_CHECKED fl_status fl_args_parse(struct fl_args *args, int argc, char **argv, struct fl_err *err);

/* Puts options over the settings that were loaded before: --redis, --postgres, --jobs, --wait-lock, --strict,
 * --repair. FL_USAGE for a value out of range. */
FL_CHECKED fl_status fl_args_apply(const struct fl_args *args, struct fl_settings *settings,
                                   struct fl_err *err);

/* Help for one command, or for the whole program (FL_COMMAND_NONE). */
void fl_args_print_help(FILE *out, enum fl_command command);

/* The word of a command. Static. */
const char *fl_command_name(enum fl_command command);

#endif
