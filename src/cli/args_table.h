/* args_table.h - the options of every command, as data. Used by args.c and its help only. */
#ifndef FL_CLI_ARGS_TABLE_H
#define FL_CLI_ARGS_TABLE_H

#include "cli/args.h"

enum fl_option_type {
    FL_OPTION_FLAG, /* sets a bool */
    FL_OPTION_TEXT, /* stores the argument */
    FL_OPTION_KIND,
    FL_OPTION_FORMAT,
    FL_OPTION_MODE,
    FL_OPTION_NUMBER,   /* a whole number >= 0, into an int64_t */
    FL_OPTION_SECONDS,  /* decimal seconds, as ms into an int64_t */
    FL_OPTION_DURATION, /* "90s", "15m", "12h", "7d", as ms into an int64_t */
    FL_OPTION_TIME,     /* ISO 8601, as ms since 1970 into an int64_t */
    FL_OPTION_PRIORITY,
    FL_OPTION_OUTCOME, /* checked, and stored as text */
};

struct fl_option {
    const char *name;
    char letter; /* short form, or 0 */
    enum fl_option_type type;
    size_t offset;     /* of its member in struct fl_args */
    const char *value; /* how help names the argument; NULL = takes none */
    const char *help;
};

struct fl_command_info {
    const char *positional; /* "PATH..." as help shows it */
    const char *summary;    /* one line */
    const char *details;    /* lines below the options; "" = none */
    size_t fewest, most;    /* positional arguments */
    bool has_kind;          /* the second one is a KIND */
    const struct fl_option *options;
    size_t option_count;
};

extern const struct fl_option fl_common_options[];
extern const size_t fl_common_option_count;
extern const struct fl_command_info fl_command_infos[FL_COMMAND_NONE];

#endif
