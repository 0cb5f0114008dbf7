/* args.h - the command line: one table of options per command, from which both the parse and --help are made.
 */
#ifndef FL_CLI_ARGS_H
#define FL_CLI_ARGS_H

#include <stdio.h>

#include "app/settings.h"
#include "core/verdict.h"
#include "fenceline/document.h"
#include "fenceline/err.h"
#include "fenceline/types.h"

/* enum name, function fl_cmd_<name>, words on the command line */
#define FL_COMMAND_LIST(X)                                                                                   \
    X(IMPORT, import, "import")                                                                              \
    X(CHECK, check, "check")                                                                                 \
    X(ENQUEUE, enqueue, "enqueue")                                                                           \
    X(WORKER, worker, "worker")                                                                              \
    X(WORKER_LIST, worker_list, "worker list")                                                               \
    X(JOBS_LIST, jobs_list, "jobs list")                                                                     \
    X(JOBS_SHOW, jobs_show, "jobs show")                                                                     \
    X(JOBS_STATS, jobs_stats, "jobs stats")                                                                  \
    X(JOBS_RETRY, jobs_retry, "jobs retry")                                                                  \
    X(JOBS_CANCEL, jobs_cancel, "jobs cancel")                                                               \
    X(JOBS_PURGE, jobs_purge, "jobs purge")                                                                  \
    X(JOBS_PAUSE, jobs_pause, "jobs pause")                                                                  \
    X(JOBS_RESUME, jobs_resume, "jobs resume")                                                               \
    X(LOCKS_LIST, locks_list, "locks list")                                                                  \
    X(LOCKS_SHOW, locks_show, "locks show")                                                                  \
    X(LOCKS_WATCH, locks_watch, "locks watch")                                                               \
    X(LOCKS_BREAK, locks_break, "locks break")                                                               \
    X(SHOW, show, "show")                                                                                    \
    X(HISTORY, history, "history")                                                                           \
    X(DELETE, delete, "delete")                                                                              \
    X(MIGRATE, migrate, "migrate")                                                                           \
    X(DOCTOR, doctor, "doctor")                                                                              \
    X(CONFIG_CHECK, config_check, "config check")                                                            \
    X(CONFIG_SHOW, config_show, "config show")

enum fl_command {
#define X(name, function, words) FL_COMMAND_##name,
    FL_COMMAND_LIST(X)
#undef X
        FL_COMMAND_NONE
};

enum { FL_ARGS_NOT_GIVEN = -1 };

/* All strings are borrowed from argv. */
struct fl_args {
    enum fl_command command;
    bool help, version; /* asked for: print and exit 0, look at nothing else */
    const char *group;  /* without a command: the first word of several, such as "jobs"; or NULL */

    /* every command */
    const char *config, *redis, *postgres; /* NULL = not given */
    bool json, quiet, verbose, no_color;

    /* import, check, enqueue; episode and kind also filter jobs */
    const char *episode;   /* NULL = not given; not checked here: fl_episode_check */
    enum fl_kind kind;     /* FL_KIND_NONE = not given; also the KIND of show and delete */
    enum fl_format format; /* FL_FORMAT_NONE = not given; of show: what is to be written */
    enum fl_mode mode;     /* FL_MODE_CREATE if not given; FL_MODE_DELETE for the command delete */
    int64_t if_version;    /* with FL_MODE_IF_VERSION; else FL_ARGS_NOT_GIVEN */
    bool strict, repair, dry_run;
    int64_t jobs;         /* FL_ARGS_NOT_GIVEN; fl_args_apply puts it into the settings */
    int64_t wait_lock_ms; /* likewise */

    /* enqueue */
    const char *manifest; /* NULL = not given; "-" = standard input */
    bool inline_body, wait;
    enum fl_priority priority; /* FL_PRIORITY_NORMAL if not given */
    int64_t at_ms;             /* since 1970, UTC; FL_ARGS_NOT_GIVEN */
    int64_t in_ms;             /* from now; FL_ARGS_NOT_GIVEN */

    /* worker */
    bool pause, resume;
    int64_t slots; /* FL_ARGS_NOT_GIVEN; fl_args_apply puts it into the settings */

    /* jobs (older_than_ms also doctor): NULL and FL_ARGS_NOT_GIVEN = not given */
    const char *outcome; /* an outcome's name, or "open": checked */
    const char *worker, *error, *reason;
    int64_t older_than_ms, limit;
    bool yes, as_new;

    /* locks */
    enum fl_verdict verdict; /* FL_VERDICT_COUNT = not given */
    bool cancel_job;

    bool rows;        /* check */
    bool status, sql; /* migrate */

    /* import, check, enqueue: PATH...; show, history, delete, locks: paths[0] is the EPISODE; jobs: JOB... */
    char *const *paths;
    size_t path_count;
};

/* Reads argv (getopt_long may reorder it). FL_USAGE: *err says what is wrong and how to see help. Does not
 * read the environment or any file. */
FL_CHECKED fl_status fl_args_parse(struct fl_args *args, int argc, char **argv, struct fl_err *err);

/* All that a command needs before it begins: file, environment, options, the contradictions between them, and
 * the passwords from their files. FL_USAGE with the first thing that is wrong. */
FL_CHECKED fl_status fl_args_load_settings(const struct fl_args *args, struct fl_settings *settings,
                                           struct fl_err *err);

/* Puts options over the settings that were loaded before: --redis, --postgres, --jobs, --wait-lock, --slots,
 * --strict, --repair. FL_USAGE for a value out of range. */
FL_CHECKED fl_status fl_args_apply(const struct fl_args *args, struct fl_settings *settings,
                                   struct fl_err *err);

/* Help for one command, or for the whole program (FL_COMMAND_NONE). */
void fl_args_print_help(FILE *out, enum fl_command command);

/* Help for all commands that begin with this word. */
void fl_args_print_group_help(FILE *out, const char *group);

/* The words of a command: "import", "jobs list". Static. */
const char *fl_command_name(enum fl_command command);

#endif
