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

#define INPUT_OPTIONS                                                                                        \
    {"episode", 0, FL_OPTION_TEXT, AT(episode), "ID", "episode (default: from the file's name)"},            \
        KIND_OPTION, FORMAT_OPTION,                                                                          \
        {"mode",   0,      FL_OPTION_MODE,                                                                   \
         AT(mode), "MODE", "create (default: it must not exist), replace, or if-version"},                   \
        {"if-version",   0,   FL_OPTION_NUMBER,                                                              \
         AT(if_version), "N", "replace only version N; 0 = it must not exist"},                              \
        STRICT_OPTION, REPAIR_OPTION

#define FILTER_OPTIONS                                                                                       \
    {"outcome",   0,         FL_OPTION_OUTCOME,                                                              \
     AT(outcome), "OUTCOME", "open, imported, unchanged, rejected, failed, ..."},                            \
        {"episode", 0, FL_OPTION_TEXT, AT(episode), "ID", "of this episode"},                                \
        {"kind", 0, FL_OPTION_KIND, AT(kind), "KIND", "chapters or transcript"},                             \
        {"worker",   0,      FL_OPTION_TEXT,                                                                 \
         AT(worker), "NAME", "run by this worker, as a list shows it, or on this host"},                     \
        {"error", 0, FL_OPTION_TEXT, AT(error), "TEXT", "whose last error or message holds this text"},      \
    {                                                                                                        \
        "older-than", 0, FL_OPTION_DURATION, AT(older_than_ms), "DURATION",                                  \
            "created so long ago: 90s, 15m, 12h, 7d"                                                         \
    }
#define YES_OPTION                                                                                           \
    {                                                                                                        \
        "yes", 'y', FL_OPTION_FLAG, AT(yes), NULL, "do not ask"                                              \
    }
#define REASON_OPTION                                                                                        \
    {                                                                                                        \
        "reason", 0, FL_OPTION_TEXT, AT(reason), "TEXT", "why, for those who look later"                     \
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
    INPUT_OPTIONS,
    {"dry-run", 'n', FL_OPTION_FLAG, AT(dry_run), NULL,
     "say what would happen; take no lease, write nothing"},
    {"jobs", 'j', FL_OPTION_NUMBER, AT(jobs), "N", "imports at once, 1 to 256 (default 8)"},
    WAIT_LOCK_OPTION,
};

static const struct fl_option ENQUEUE_OPTIONS[] = {
    {"manifest", 0, FL_OPTION_TEXT, AT(manifest), "FILE",
     "jobs as JSON lines instead of PATHs; - = standard input"},
    INPUT_OPTIONS,
    {"priority", 0, FL_OPTION_PRIORITY, AT(priority), "LEVEL", "high, normal (default) or low"},
    {"at", 0, FL_OPTION_TIME, AT(at_ms), "TIME", "not before this time, as 2026-02-01T10:00:00Z"},
    {"in", 0, FL_OPTION_DURATION, AT(in_ms), "DURATION", "not before so long from now: 90s, 15m, 12h, 7d"},
    {"inline", 0, FL_OPTION_FLAG, AT(inline_body), NULL,
     "send the files inside their jobs, even if workers could read them"},
    {"wait", 'w', FL_OPTION_FLAG, AT(wait), NULL, "follow the jobs to their outcomes"},
};

static const struct fl_option WORKER_OPTIONS[] = {
    {"slots", 0, FL_OPTION_NUMBER, AT(slots), "N", "imports at once, 1 to 256 (default 16)"},
    {"pause", 0, FL_OPTION_FLAG, AT(pause), NULL, "make all workers begin nothing new, and exit"},
    {"resume", 0, FL_OPTION_FLAG, AT(resume), NULL, "let them go on, and exit"},
    REASON_OPTION,
};

static const struct fl_option JOBS_LIST_OPTIONS[] = {
    FILTER_OPTIONS,
    {"limit", 0, FL_OPTION_NUMBER, AT(limit), "N", "at most so many, the newest first (default 100)"},
};

static const struct fl_option JOBS_RETRY_OPTIONS[] = {
    FILTER_OPTIONS,
    {"as-new", 0, FL_OPTION_FLAG, AT(as_new), NULL,
     "as if enqueued now: may overwrite what newer jobs have imported"},
    YES_OPTION,
};

static const struct fl_option JOBS_CANCEL_OPTIONS[] = {FILTER_OPTIONS, REASON_OPTION, YES_OPTION};

static const struct fl_option JOBS_PURGE_OPTIONS[] = {
    {"older-than", 0, FL_OPTION_DURATION, AT(older_than_ms), "DURATION",
     "decided so long ago: 90s, 15m, 12h, 7d"},
    {"outcome", 0, FL_OPTION_OUTCOME, AT(outcome), "OUTCOME", "only those with this outcome"},
    YES_OPTION,
};

static const struct fl_option JOBS_PAUSE_OPTIONS[] = {REASON_OPTION};

#define LOCK_FILTERS                                                                                         \
    {"verdict",   0,         FL_OPTION_VERDICT,                                                              \
     AT(verdict), "VERDICT", "healthy, expiring, stalled, orphan, fence-ahead, redis-lost or zombie"},       \
        {"older-than", 0, FL_OPTION_DURATION, AT(older_than_ms), "DURATION", "held for so long: 90s, 15m"},  \
        {"worker",   0,      FL_OPTION_TEXT,                                                                 \
         AT(worker), "NAME", "held by this worker, as a list shows it, or on this host"},                    \
    {                                                                                                        \
        "episode", 0, FL_OPTION_TEXT, AT(episode), "ID", "of this episode"                                   \
    }

static const struct fl_option LOCKS_LIST_OPTIONS[] = {LOCK_FILTERS};

static const struct fl_option LOCKS_BREAK_OPTIONS[] = {
    {"cancel-job", 0, FL_OPTION_FLAG, AT(cancel_job), NULL, "decide the holder's job as cancelled, too"},
    REASON_OPTION,
    YES_OPTION,
};

static const struct fl_option CHECK_OPTIONS[] = {
    KIND_OPTION,
    FORMAT_OPTION,
    STRICT_OPTION,
    REPAIR_OPTION,
    {"rows", 0, FL_OPTION_FLAG, AT(rows), NULL, "print the parsed rows as JSON, one object per file"},
};

static const struct fl_option SHOW_OPTIONS[] = {
    {"format", 0, FL_OPTION_WRITTEN, AT(format), "FORMAT",
     "write the document out again: json, srt or vtt (a transcript), or chapters"},
};

static const struct fl_option DELETE_OPTIONS[] = {WAIT_LOCK_OPTION};

static const struct fl_option MIGRATE_OPTIONS[] = {
    {"status", 0, FL_OPTION_FLAG, AT(status), NULL, "list the versions, applied and pending; change nothing"},
    {"sql", 0, FL_OPTION_FLAG, AT(sql), NULL, "print the SQL of what is pending; change nothing"},
};

static const struct fl_option DOCTOR_OPTIONS[] = {
    {"older-than", 0, FL_OPTION_DURATION, AT(older_than_ms), "DURATION",
     "from which age on a wait or an open transaction is a problem (default 10m)"},
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
    [FL_COMMAND_ENQUEUE] =
        {"PATH...", "write jobs for the workers, durably",
         PATH_DETAILS
         "A file below source.root is named in its job; any other travels inside it, up to\n"
         "limit.inline_bytes. A line of a manifest is an object with episode, kind, and source (a path\n"
         "below source.root) or body (the text itself); it may have mode, if_version, format,\n"
         "priority, not_before, strict and repair.\n",
         0, SIZE_MAX, false, ENQUEUE_OPTIONS, COUNT(ENQUEUE_OPTIONS)},
    [FL_COMMAND_WORKER] =
        {"", "the service: take jobs until told to stop",
         "SIGTERM: finish what runs, hand back the rest. SIGHUP: read the settings again.\n", 0, 0, false,
         WORKER_OPTIONS, COUNT(WORKER_OPTIONS)},
    [FL_COMMAND_WORKER_LIST] = {"", "show the workers: slots, jobs, heartbeats", "", 0, 0, false, NULL, 0},
    [FL_COMMAND_JOBS_LIST] = {"", "list jobs, the newest first", "", 0, 0, false, JOBS_LIST_OPTIONS,
                              COUNT(JOBS_LIST_OPTIONS)},
    [FL_COMMAND_JOBS_SHOW] = {"JOB", "show one job: every attempt, claim and phase",
                              "Exit code 1 if there is no such job.\n", 1, 1, false, NULL, 0},
    [FL_COMMAND_JOBS_STATS] = {"", "show the queue in numbers: depth, age, rate, outcomes, time per phase",
                               "", 0, 0, false, NULL, 0},
    [FL_COMMAND_JOBS_RETRY] = {"[JOB...]", "give failed jobs new attempts, under new jobs",
                               "Without JOB: all that the filters choose, failed ones by default.\n", 0,
                               SIZE_MAX, false, JOBS_RETRY_OPTIONS, COUNT(JOBS_RETRY_OPTIONS)},
    [FL_COMMAND_JOBS_CANCEL] = {"[JOB...]", "decide open jobs as cancelled",
                                "Without JOB: all open ones that the filters choose (at least one filter).\n",
                                0, SIZE_MAX, false, JOBS_CANCEL_OPTIONS, COUNT(JOBS_CANCEL_OPTIONS)},
    [FL_COMMAND_JOBS_PURGE] = {"", "delete the rows of jobs that were decided long ago",
                               "What is imported stays, and so does the order of jobs.\n", 0, 0, false,
                               JOBS_PURGE_OPTIONS, COUNT(JOBS_PURGE_OPTIONS)},
    [FL_COMMAND_JOBS_PAUSE] = {"", "make all workers begin nothing new", "", 0, 0, false, JOBS_PAUSE_OPTIONS,
                               COUNT(JOBS_PAUSE_OPTIONS)},
    [FL_COMMAND_JOBS_RESUME] = {"", "let all workers go on", "", 0, 0, false, NULL, 0},
    [FL_COMMAND_LOCKS_LIST] =
        {"", "show who holds which episode, and what is wrong with it",
         "Exit code 3 if somebody should look: stalled, orphan, fence-ahead, redis-lost,\n"
         "zombie. On a terminal as many columns as fit; --json has all.\n",
         0, 0, false, LOCKS_LIST_OPTIONS, COUNT(LOCKS_LIST_OPTIONS)},
    [FL_COMMAND_LOCKS_SHOW] = {"EPISODE", "show all about one episode's lock, and its recent history",
                               "Exit codes as for locks list; 1 if there is no such episode.\n", 1, 1, false,
                               NULL, 0},
    [FL_COMMAND_LOCKS_WATCH] = {"", "the list, refreshed in place",
                                "Keys: q ends it, space refreshes at once.\n", 0, 0, false,
                                LOCKS_LIST_OPTIONS, COUNT(LOCKS_LIST_OPTIONS)},
    [FL_COMMAND_LOCKS_BREAK] =
        {"EPISODE", "end the claim of whoever holds an episode",
         "Breaks exactly the holder that was seen: it can commit nothing from then on. Its job stays\n"
         "open and starts over. Exit code 3 if the holder has changed since, 0 if there was none.\n",
         1, 1, false, LOCKS_BREAK_OPTIONS, COUNT(LOCKS_BREAK_OPTIONS)},
    [FL_COMMAND_SHOW] =
        {"EPISODE [KIND]", "show what is imported: documents and rows",
         "KIND is chapters or transcript. Exit code 1 if nothing is imported.\n"
         "--format writes one document to standard output, as Podcasting 2.0 JSON (json, chapters),\n"
         "SubRip or WebVTT; what a format cannot carry is a warning that names the row.\n",
         1, 2, true, SHOW_OPTIONS, COUNT(SHOW_OPTIONS)},
    [FL_COMMAND_HISTORY] = {"EPISODE", "show every job, claim and broken lock of an episode, in order",
                            "Exit code 1 if there was none.\n", 1, 1, false, NULL, 0},
    [FL_COMMAND_DELETE] = {"EPISODE [KIND]", "delete what is imported, under the episode's lease",
                           "KIND is chapters or transcript; without it, both.\n", 1, 2, true, DELETE_OPTIONS,
                           COUNT(DELETE_OPTIONS)},
    [FL_COMMAND_MIGRATE] = {"", "bring the schema in Postgres up to date", "", 0, 0, false, MIGRATE_OPTIONS,
                            COUNT(MIGRATE_OPTIONS)},
    [FL_COMMAND_DOCTOR] =
        {"", "check both servers and the queue for what endangers imports",
         "A line per finding: ok, warning (works, but will be slower or lose something one day) or\n"
         "danger (imports fail, or what was acknowledged can be lost), and what to do. Nothing is\n"
         "changed. With --quiet only what is not ok.\n\n"
         "Exit codes: 0 all ok, 3 a warning, 1 a danger, 6 a server is away (the other is shown).\n",
         0, 0, false, DOCTOR_OPTIONS, COUNT(DOCTOR_OPTIONS)},
    [FL_COMMAND_CONFIG_CHECK] =
        {"", "say what is wrong with the configuration",
         "Unknown settings, values out of range, contradictions, files that are not there; asks Postgres,\n"
         "if it can be reached, how many connections it allows. Exit code 2 if anything is an error.\n",
         0, 0, false, NULL, 0},
    [FL_COMMAND_CONFIG_SHOW] = {"", "show the value of every setting, and where it came from",
                                "Passwords are shown as ***.\n", 0, 0, false, NULL, 0},
};
