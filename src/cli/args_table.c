/* args_table.c - what can be said on the command line. Only data; args.c reads it. */
#include "cli/args_table.h"

#define AT(member)   offsetof(struct fl_args, member)
#define COUNT(array) (sizeof(array) / sizeof *(array))

#define KIND_OPTION                                                                                          \
    {                                                                                                        \
        "kind", 0, FL_OPTION_KIND, AT(kind), "KIND",                                                         \
            "chapters or transcript (default: from the file's name)"                                         \
    }
#define FORMAT_OPTION                                                                                        \
    {                                                                                                        \
        "format", 0, FL_OPTION_FORMAT, AT(format), "FORMAT",                                                 \
            "chapters-json, srt, vtt, transcript-json or timed-text (default: by content)"                   \
    }
#define STRICT_OPTION                                                                                        \
    {                                                                                                        \
        "strict", 0, FL_OPTION_FLAG, AT(strict), NULL, "make every warning an error"                         \
    }
#define REPAIR_OPTION                                                                                        \
    {                                                                                                        \
        "repair", 0, FL_OPTION_FLAG, AT(repair), NULL,                                                       \
            "replace NUL and invalid UTF-8 by U+FFFD, with a warning"                                        \
    }
#define WAIT_LOCK_OPTION                                                                                     \
    {                                                                                                        \
        "wait-lock", 0, FL_OPTION_SECONDS, AT(wait_lock_ms), "SECONDS",                                      \
            "how long to wait for an episode that somebody else holds (default 10)"                          \
    }

const struct fl_option fl_common_options[] = {
    {"config", 0, FL_OPTION_TEXT, AT(config), "FILE",
     "configuration (default /etc/fenceline/fenceline.conf)"},
    {"redis", 0, FL_OPTION_TEXT, AT(redis), "URL",
     "Redis, as redis://HOST:PORT; with a password: FENCELINE_REDIS"},
    {"postgres", 0, FL_OPTION_TEXT, AT(postgres), "DSN",
     "Postgres, as postgresql://HOST/DATABASE; with a password: FENCELINE_POSTGRES"},
    {"json", 0, FL_OPTION_FLAG, AT(json), NULL, "JSON lines on standard output, for programs"},
    {"quiet", 'q', FL_OPTION_FLAG, AT(quiet), NULL, "only errors"},
    {"verbose", 'v', FL_OPTION_FLAG, AT(verbose), NULL, "more about what is being done"},
    {"no-color", 0, FL_OPTION_FLAG, AT(no_color), NULL, "no colours (nor with NO_COLOR in the environment)"},
    {"help", 'h', FL_OPTION_FLAG, AT(help), NULL, "show this"},
    {"version", 'V', FL_OPTION_FLAG, AT(version), NULL, "show the version"},
};
const size_t fl_common_option_count = COUNT(fl_common_options);

static const struct fl_option IMPORT_OPTIONS[] = {
    {"episode", 0, FL_OPTION_TEXT, AT(episode), "ID", "episode (default: from the file's name)"},
    KIND_OPTION,
    FORMAT_OPTION,
    {"mode", 0, FL_OPTION_MODE, AT(mode), "MODE",
     "create (default: it must not exist), replace, or if-version"},
    {"if-version", 0, FL_OPTION_NUMBER, AT(if_version), "N", "replace only version N; 0 = it must not exist"},
    STRICT_OPTION,
    REPAIR_OPTION,
    {"dry-run", 'n', FL_OPTION_FLAG, AT(dry_run), NULL,
     "say what would happen; take no lease, write nothing"},
    {"jobs", 'j', FL_OPTION_NUMBER, AT(jobs), "N", "imports at once, 1 to 256 (default 8)"},
    WAIT_LOCK_OPTION,
};

static const struct fl_option CHECK_OPTIONS[] = {
    KIND_OPTION,
    FORMAT_OPTION,
    STRICT_OPTION,
    REPAIR_OPTION,
    {"rows", 0, FL_OPTION_FLAG, AT(rows), NULL, "print the parsed rows as JSON, one object per file"},
};

static const struct fl_option DELETE_OPTIONS[] = {WAIT_LOCK_OPTION};

static const struct fl_option MIGRATE_OPTIONS[] = {
    {"status", 0, FL_OPTION_FLAG, AT(status), NULL, "list the versions, applied and pending; change nothing"},
    {"sql", 0, FL_OPTION_FLAG, AT(sql), NULL, "print the SQL of what is pending; change nothing"},
};

#define PATH_DETAILS                                                                                         \
    "PATH is a file, a folder (searched with all below it), or - for standard input.\n"                      \
    "Names tell episode and kind: EPISODE.chapters.json, EPISODE.srt, EPISODE.vtt,\n"                        \
    "EPISODE.transcript.json, EPISODE.transcript.txt, chapters/EPISODE.json, transcript/EPISODE.json.\n"

const struct fl_command_info fl_command_infos[FL_COMMAND_NONE] = {
    [FL_COMMAND_IMPORT] = {"PATH...", "import files or folders now, in this process", PATH_DETAILS, 1,
                           SIZE_MAX, false, IMPORT_OPTIONS, COUNT(IMPORT_OPTIONS)},
    [FL_COMMAND_CHECK] = {"PATH...", "parse and validate files, without any server", PATH_DETAILS, 1,
                          SIZE_MAX, false, CHECK_OPTIONS, COUNT(CHECK_OPTIONS)},
    [FL_COMMAND_SHOW] = {"EPISODE [KIND]", "show what is imported: documents and rows",
                         "KIND is chapters or transcript. Exit code 1 if nothing is imported.\n", 1, 2, true,
                         NULL, 0},
    [FL_COMMAND_HISTORY] = {"EPISODE", "show every job and every broken lock of an episode, in order",
                            "Exit code 1 if there was none.\n", 1, 1, false, NULL, 0},
    [FL_COMMAND_DELETE] = {"EPISODE [KIND]", "delete what is imported, under the episode's lease",
                           "KIND is chapters or transcript; without it, both.\n", 1, 2, true, DELETE_OPTIONS,
                           COUNT(DELETE_OPTIONS)},
    [FL_COMMAND_MIGRATE] = {"", "bring the schema in Postgres up to date", "", 0, 0, false, MIGRATE_OPTIONS,
                            COUNT(MIGRATE_OPTIONS)},
};
