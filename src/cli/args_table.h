/* args_table.h - the options of every command, as data. Used by args.c, its checks and its help only. */
#ifndef FL_CLI_ARGS_TABLE_H
#define FL_CLI_ARGS_TABLE_H

#include "cli/args.h"

enum fl_option_type {
    FL_OPTION_FLAG, /* sets a bool */
    FL_OPTION_TEXT, /* stores the argument */
    FL_OPTION_KIND,
    FL_OPTION_FORMAT,
    FL_OPTION_WRITTEN, /* a format to write: json, srt, vtt, chapters */
    FL_OPTION_MODE,
    FL_OPTION_NUMBER,   /* a whole number >= 0, into an int64_t */
    FL_OPTION_SECONDS,  /* decimal seconds, as ms into an int64_t */
    FL_OPTION_DURATION, /* "90s", "15m", "12h", "7d", as ms into an int64_t */
    FL_OPTION_TIME,     /* ISO 8601, as ms since 1970 into an int64_t */
    FL_OPTION_PRIORITY,
    FL_OPTION_OUTCOME, /* checked, and stored as text */
    FL_OPTION_VERDICT,
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

/* The word behind `first` in the name of the command: "list" of "jobs list"; NULL = its name is another. */
const char *fl_command_second_word(enum fl_command command, const char *first);

/* What options and arguments say together; puts the mode and the KIND into args. FL_USAGE. */
FL_CHECKED fl_status fl_args_check(struct fl_args *args, bool mode_given, struct fl_err *err);

extern const struct fl_option fl_common_options[];
extern const size_t fl_common_option_count;
extern const struct fl_command_info fl_command_infos[FL_COMMAND_NONE];

#endif
