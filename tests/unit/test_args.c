/* test_args.c - the command line: what is understood, what is refused and how, what help shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/args_table.h"

enum { WORDS = 16 };

static char line_copy[512];
static char *words[WORDS + 1];
static struct fl_args args;
static struct fl_err err;

/* Words are separated by single spaces; "''" is an empty word. */
static fl_status parse(const char *line)
{
    int count = 1;
    static char program[] = "fenceline", empty[] = "";
    words[0] = program;
    snprintf(line_copy, sizeof line_copy, "%s", line);
    for (char *word = strtok(line_copy, " "); word; word = strtok(NULL, " ")) {
        assert_true(count < WORDS);
        words[count++] = strcmp(word, "''") == 0 ? empty : word;
    }
    words[count] = NULL;
    memset(&err, 0, sizeof err);
    return fl_args_parse(&args, count, words, &err);
}

/* What show is to write decides the kind. */
static void test_written(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum fl_format format;
        enum fl_kind kind;
    } CASES[] = {
        {"show ep1 --format json", FL_FORMAT_TRANSCRIPT_JSON, FL_TRANSCRIPT},
        {"show ep1 transcript --format=srt", FL_FORMAT_SRT, FL_TRANSCRIPT},
        {"show --format vtt ep1", FL_FORMAT_VTT, FL_TRANSCRIPT},
        {"show ep1 --format chapters", FL_FORMAT_CHAPTERS_JSON, FL_CHAPTERS},
        {"show ep1 chapters --format chapters -q", FL_FORMAT_CHAPTERS_JSON, FL_CHAPTERS},
        {"show ep1", FL_FORMAT_NONE, FL_KIND_NONE},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        assert_int_equal(parse(CASES[i].line), FL_OK);
        assert_int_equal(args.format, CASES[i].format);
        assert_int_equal(args.kind, CASES[i].kind);
    }
}

static void test_import_options(void **state)
{
    (void)state;
    assert_int_equal(
        parse("import a.srt --episode ep1 --kind transcript b --format=srt --mode replace --strict "
              "--repair -n --jobs 4"),
        FL_OK);
    assert_int_equal(args.command, FL_COMMAND_IMPORT);
    assert_string_equal(args.episode, "ep1");
    assert_int_equal(args.kind, FL_TRANSCRIPT);
    assert_int_equal(args.format, FL_FORMAT_SRT);
    assert_int_equal(args.mode, FL_MODE_REPLACE);
    assert_true(args.strict && args.repair && args.dry_run);
    assert_int_equal(args.jobs, 4);
    assert_int_equal(args.path_count, 2);
    assert_string_equal(args.paths[0], "a.srt");
    assert_string_equal(args.paths[1], "b");
}

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(parse("import x"), FL_OK);
    assert_int_equal(args.mode, FL_MODE_CREATE);
    assert_int_equal(args.if_version, FL_ARGS_NOT_GIVEN);
    assert_int_equal(args.jobs, FL_ARGS_NOT_GIVEN);
    assert_int_equal(args.wait_lock_ms, FL_ARGS_NOT_GIVEN);
    assert_int_equal(args.kind, FL_KIND_NONE);
    assert_int_equal(args.format, FL_FORMAT_NONE);
    assert_null(args.episode);
    assert_false(args.json || args.quiet || args.verbose || args.no_color || args.dry_run || args.strict);
}

static void test_common_options(void **state)
{
    (void)state;
    assert_int_equal(
        parse("--json --config c.conf check -q --no-color x --redis redis://h --postgres dbname=d"), FL_OK);
    assert_int_equal(args.command, FL_COMMAND_CHECK);
    assert_true(args.json && args.quiet && args.no_color);
    assert_string_equal(args.config, "c.conf");
    assert_string_equal(args.redis, "redis://h");
    assert_string_equal(args.postgres, "dbname=d");
    assert_int_equal(parse("check -- --json -"), FL_OK);
    assert_false(args.json);
    assert_int_equal(args.path_count, 2);
    assert_string_equal(args.paths[0], "--json");
    assert_string_equal(args.paths[1], "-");
}

static void test_modes(void **state)
{
    (void)state;
    assert_int_equal(parse("import --if-version 7 x"), FL_OK);
    assert_int_equal(args.mode, FL_MODE_IF_VERSION);
    assert_int_equal(args.if_version, 7);
    assert_int_equal(parse("import --mode if-version --if-version 0 x"), FL_OK);
    assert_int_equal(args.if_version, 0);
    assert_int_equal(parse("delete ep1 chapters --wait-lock 0.5"), FL_OK);
    assert_int_equal(args.mode, FL_MODE_DELETE);
    assert_int_equal(args.kind, FL_CHAPTERS);
    assert_int_equal(args.wait_lock_ms, 500);
}

static void test_help_and_version(void **state)
{
    (void)state;
    assert_int_equal(parse("--help"), FL_OK);
    assert_true(args.help && args.command == FL_COMMAND_NONE);
    assert_int_equal(parse("show --help"), FL_OK); /* without its EPISODE */
    assert_true(args.help && args.command == FL_COMMAND_SHOW);
    assert_int_equal(parse("-V"), FL_OK);
    assert_true(args.version);
    assert_int_equal(parse("migrate --version"), FL_OK);
    assert_true(args.version);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *line, *message;
    } CASES[] = {
        {"", "no command given; see 'fenceline --help'"},
        {"improt x", "unknown command 'improt' (did you mean 'import'?); see 'fenceline --help'"},
        {"xyzzy", "unknown command 'xyzzy'; see 'fenceline --help'"},
        {"--strict import x", "unknown option '--strict'; see 'fenceline --help'"},
        {"import", "import needs PATH...; see 'fenceline import --help'"},
        {"import x --repa",
         "unknown option '--repa' (did you mean '--repair'?); see 'fenceline import --help'"},
        {"import x --dry", "unknown option '--dry'; see 'fenceline import --help'"},
        {"import --epi=x y", "unknown option '--epi'"},
        {"check --json -xq a", "unknown option '-x'; see 'fenceline check --help'"},
        {"check --json=1 a", "--json takes no value"},
        {"check --episode x a", "unknown option '--episode'"},
        {"import x --episode", "--episode needs a value: ID"},
        {"import x -j", "--jobs needs a value: N"},
        {"import x --jobs 4x", "--jobs takes a whole number, not '4x'"},
        {"import x --jobs -4", "--jobs takes a whole number, not '-4'"},
        {"import x --jobs 99999999999999999999", "--jobs takes a whole number"},
        {"import x --wait-lock ten", "--wait-lock takes seconds such as 10 or 0.5, not 'ten'"},
        {"import x --wait-lock -1", "--wait-lock takes seconds"},
        {"import x --kind song", "unknown kind 'song'; --kind takes chapters or transcript"},
        {"import x --format mp3",
         "unknown format 'mp3'; --format takes chapters-json, srt, vtt, transcript-json"},
        {"import x --mode merge", "unknown mode 'merge'; --mode takes create"},
        {"import x --mode delete", "import cannot delete: use 'fenceline delete EPISODE [KIND]'"},
        {"import x --mode if-version", "--mode if-version needs --if-version N"},
        {"import x --mode create --if-version 3", "--if-version contradicts --mode create"},
        {"import x --kind chapters --format vtt",
         "--format vtt holds a transcript, which contradicts --kind chapters"},
        {"import x -q -v", "--quiet contradicts --verbose"},
        {"migrate --status --sql", "--status contradicts --sql"},
        {"migrate now", "migrate takes no arguments: 'now' is too much"},
        {"show ep1 --format timed-text",
         "unknown format 'timed-text'; --format takes json, srt, vtt or chapters"},
        {"show ep1 --format", "--format needs a value: FORMAT"},
        {"show ep1 chapters --format srt",
         "--format json, srt and vtt write a transcript, which contradicts 'chapters'"},
        {"show ep1 transcript --format chapters",
         "--format chapters writes chapters, which contradicts 'transcript'"},
        {"show ep1 --json --format srt", "--json contradicts --format"},
        {"show ep1 song", "unknown kind 'song': chapters or transcript"},
        {"show ep1 chapters more", "show takes EPISODE [KIND]: 'more' is too much"},
        {"history ep1 chapters", "history takes EPISODE: 'chapters' is too much"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        if (parse(CASES[i].line) != FL_USAGE)
            fail_msg("accepted: %s", CASES[i].line);
        if (strncmp(err.text, CASES[i].message, strlen(CASES[i].message)) != 0)
            fail_msg("%s\n  gives    %s\n  and not  %s", CASES[i].line, err.text, CASES[i].message);
        assert_non_null(strstr(err.text, "see 'fenceline "));
    }
}

static void test_passwords(void **state)
{
    (void)state;
    static const char *const REFUSED[] = {
        "show e --redis redis://:hunter2@h:1",
        "show e --redis redis://u:hunter2@h",
        "show e --redis redis://hunter2@h",
        "show e --redis redis://h/0?password=hunter2",
        "show e --postgres postgresql://u:hunter2@h/d",
        "show e --postgres=postgres://h/d?password=hunter2",
        "show e --postgres password=hunter2",
        "--postgres postgresql://u:hunter2@h/d show e",
        "show e --postgres postgresql://u:hunter2@x/y@h/d",
        "show e --postgres postgresql://u:12/hunter2@h/d",
        "show e --postgres postgresql://u:h#/hunter2@h/d",
        "show e --postgres hunter2",
    };
    static const char *const ACCEPTED[] = {
        "show e --redis redis://h:6379/2",
        "show e --redis redis://u:@h",
        "show e --postgres postgresql://u@h:5432/d",
        "show e --postgres host=/run/x",
        "show e --postgres ''",
        "show e --postgres service=podcast",
    };
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
        if (parse(REFUSED[i]) != FL_USAGE)
            fail_msg("accepted: %s", REFUSED[i]);
        assert_null(strstr(err.text, "hunter2"));
    }
    for (size_t i = 0; i < sizeof ACCEPTED / sizeof *ACCEPTED; i++)
        if (parse(ACCEPTED[i]) != FL_OK)
            fail_msg("refused: %s: %s", ACCEPTED[i], err.text);
}

static void test_apply(void **state)
{
    (void)state;
    struct fl_settings settings;
    fl_settings_init(&settings);
    assert_int_equal(
        parse("import x --redis redis://h:1 --postgres dbname=d -j 256 --wait-lock 1.5 --strict"), FL_OK);
    assert_int_equal(fl_args_apply(&args, &settings, &err), FL_OK);
    assert_string_equal(settings.redis_url, "redis://h:1");
    assert_string_equal(settings.postgres_dsn, "dbname=d");
    assert_int_equal(settings.import_jobs, 256);
    assert_int_equal(settings.policy.wait_lock_ms, 1500);
    assert_true(settings.limits.strict && !settings.limits.repair);
    fl_settings_init(&settings);
    assert_int_equal(parse("import x --repair"), FL_OK);
    assert_int_equal(fl_args_apply(&args, &settings, &err), FL_OK);
    assert_int_equal(settings.import_jobs, 8);
    assert_int_equal(settings.policy.wait_lock_ms, 10000);
    assert_true(settings.limits.repair && !settings.limits.strict);
    assert_int_equal(parse("import x --jobs 257"), FL_OK);
    assert_int_equal(fl_args_apply(&args, &settings, &err), FL_USAGE);
    assert_string_equal(err.text, "--jobs: import.jobs must be a whole number from 1 to 256, not '257'; "
                                  "see 'fenceline import --help'");
    assert_int_equal(parse("import x --jobs 0"), FL_OK);
    assert_int_equal(fl_args_apply(&args, &settings, &err), FL_USAGE);
    assert_int_equal(parse("import x --wait-lock 3601"), FL_OK);
    assert_int_equal(fl_args_apply(&args, &settings, &err), FL_USAGE);
}

/* ---- the queue's commands ---- */

static void test_two_words(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum fl_command command;
    } CASES[] = {
        {"enqueue a", FL_COMMAND_ENQUEUE},       {"worker", FL_COMMAND_WORKER},
        {"worker --slots 2", FL_COMMAND_WORKER}, {"worker list", FL_COMMAND_WORKER_LIST},
        {"jobs list", FL_COMMAND_JOBS_LIST},     {"--json jobs list", FL_COMMAND_JOBS_LIST},
        {"jobs show 7", FL_COMMAND_JOBS_SHOW},   {"jobs retry", FL_COMMAND_JOBS_RETRY},
        {"jobs cancel", FL_COMMAND_JOBS_CANCEL}, {"jobs purge", FL_COMMAND_JOBS_PURGE},
        {"jobs pause", FL_COMMAND_JOBS_PAUSE},   {"jobs resume", FL_COMMAND_JOBS_RESUME},
        {"jobs stats", FL_COMMAND_JOBS_STATS},   {"worker list --json", FL_COMMAND_WORKER_LIST},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        if (parse(CASES[i].line) != FL_OK)
            fail_msg("refused: %s: %s", CASES[i].line, err.text);
        if (args.command != CASES[i].command)
            fail_msg("%s is %s", CASES[i].line, fl_command_name(args.command));
    }
    assert_int_equal(parse("-q jobs retry 12 13 --as-new 14"), FL_OK); /* the words are no arguments */
    assert_true(args.quiet && args.as_new);
    assert_int_equal(args.path_count, 3);
    assert_string_equal(args.paths[0], "12");
    assert_string_equal(args.paths[2], "14");
    assert_int_equal(parse("jobs show -- -7"), FL_OK);
    assert_string_equal(args.paths[0], "-7");
}

static void test_help_of_two_words(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum fl_command command;
    } CASES[] = {
        {"jobs --help", FL_COMMAND_NONE},
        {"jobs -h", FL_COMMAND_NONE},
        {"jobs list --help", FL_COMMAND_JOBS_LIST},
        {"jobs show -h", FL_COMMAND_JOBS_SHOW}, /* without its JOB */
        {"jobs purge --help", FL_COMMAND_JOBS_PURGE},
        {"worker --help", FL_COMMAND_WORKER},
        {"worker list --help", FL_COMMAND_WORKER_LIST},
        {"enqueue --help", FL_COMMAND_ENQUEUE},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        if (parse(CASES[i].line) != FL_OK)
            fail_msg("refused: %s: %s", CASES[i].line, err.text);
        assert_true(args.help);
        assert_int_equal(args.command, CASES[i].command);
        if (CASES[i].command == FL_COMMAND_NONE)
            assert_string_equal(args.group, "jobs");
        else
            assert_null(args.group);
    }
}

static void test_enqueue_options(void **state)
{
    (void)state;
    assert_int_equal(
        parse("enqueue a.srt b --episode ep1 --kind transcript --format srt --mode replace --strict "
              "--inline --priority high"),
        FL_OK);
    assert_string_equal(args.episode, "ep1");
    assert_int_equal(args.kind, FL_TRANSCRIPT);
    assert_int_equal(args.format, FL_FORMAT_SRT);
    assert_int_equal(args.mode, FL_MODE_REPLACE);
    assert_int_equal(args.priority, FL_PRIORITY_HIGH);
    assert_true(args.inline_body && args.strict && !args.wait && !args.repair);
    assert_int_equal(args.path_count, 2);
    assert_int_equal(parse("enqueue a --if-version 3 --repair -w --priority low"), FL_OK);
    assert_int_equal(args.mode, FL_MODE_IF_VERSION);
    assert_int_equal(args.if_version, 3);
    assert_int_equal(args.priority, FL_PRIORITY_LOW);
    assert_true(args.repair && args.wait);
    assert_int_equal(parse("enqueue --manifest - --wait --priority normal"), FL_OK);
    assert_string_equal(args.manifest, "-");
    assert_int_equal(args.path_count, 0);
    assert_int_equal(args.priority, FL_PRIORITY_NORMAL);
    assert_int_equal(parse("enqueue a --at 2026-02-01T10:00:00+01:00"), FL_OK);
    assert_true(args.at_ms == INT64_C(1769936400000));
    assert_int_equal(args.in_ms, FL_ARGS_NOT_GIVEN);
    assert_int_equal(parse("enqueue a --in=90s"), FL_OK);
    assert_int_equal(args.in_ms, 90000);
    assert_int_equal(args.at_ms, FL_ARGS_NOT_GIVEN);
    assert_int_equal(parse("enqueue a --at 1970-01-01T00:00:00Z"), FL_OK); /* 0 is given */
    assert_int_equal(args.at_ms, 0);
    assert_int_equal(parse("enqueue a"), FL_OK);
    assert_int_equal(args.mode, FL_MODE_CREATE);
    assert_int_equal(args.priority, FL_PRIORITY_NORMAL);
    assert_null(args.manifest);
    assert_false(args.inline_body || args.wait);
}

static void test_jobs_options(void **state)
{
    (void)state;
    static const char *const COMMANDS[] = {"list", "retry", "cancel"};
    for (size_t i = 0; i < 3; i++) {
        char line[256];
        snprintf(line, sizeof line,
                 "jobs %s --outcome failed --episode ep1 --kind chapters --worker w@h:1 --error dup "
                 "--older-than 7d",
                 COMMANDS[i]);
        assert_int_equal(parse(line), FL_OK);
        assert_string_equal(args.outcome, "failed");
        assert_string_equal(args.episode, "ep1");
        assert_int_equal(args.kind, FL_CHAPTERS);
        assert_string_equal(args.worker, "w@h:1");
        assert_string_equal(args.error, "dup");
        assert_int_equal(args.older_than_ms, 604800000);
    }
    assert_int_equal(parse("jobs list --limit 5"), FL_OK);
    assert_int_equal(args.limit, 5);
    assert_null(args.outcome);
    assert_null(args.worker);
    assert_null(args.error);
    assert_int_equal(args.older_than_ms, FL_ARGS_NOT_GIVEN);
    assert_int_equal(parse("jobs list"), FL_OK);
    assert_int_equal(args.limit, FL_ARGS_NOT_GIVEN);
    assert_int_equal(parse("jobs retry --as-new -y"), FL_OK);
    assert_true(args.as_new && args.yes);
    assert_int_equal(parse("jobs cancel 3 --reason why --yes"), FL_OK);
    assert_string_equal(args.reason, "why");
    assert_true(args.yes && !args.as_new);
    assert_int_equal(parse("jobs purge --older-than 90d --outcome imported --yes"), FL_OK);
    assert_true(args.older_than_ms == INT64_C(7776000000));
    assert_string_equal(args.outcome, "imported");
    assert_int_equal(parse("jobs pause --reason upgrade"), FL_OK);
    assert_string_equal(args.reason, "upgrade");
    assert_int_equal(parse("worker --pause --reason upgrade"), FL_OK);
    assert_true(args.pause && !args.resume);
    assert_string_equal(args.reason, "upgrade");
    assert_int_equal(parse("worker --resume"), FL_OK);
    assert_true(args.resume && !args.pause);
}

static void test_outcomes(void **state)
{
    (void)state;
    static const char *const OUTCOMES[] = {"open",    "imported", "unchanged", "rejected", "superseded",
                                           "deleted", "invalid",  "failed",    "cancelled"};
    for (size_t i = 0; i < sizeof OUTCOMES / sizeof *OUTCOMES; i++) {
        char line[64];
        snprintf(line, sizeof line, "jobs list --outcome %s", OUTCOMES[i]);
        assert_int_equal(parse(line), FL_OK);
        assert_string_equal(args.outcome, OUTCOMES[i]);
    }
}

static void test_slots(void **state)
{
    (void)state;
    struct fl_settings settings;
    fl_settings_init(&settings);
    assert_int_equal(parse("worker --slots 256"), FL_OK);
    assert_int_equal(args.slots, 256);
    assert_int_equal(fl_args_apply(&args, &settings, &err), FL_OK);
    assert_int_equal(settings.worker.slots, 256);
    fl_settings_init(&settings);
    assert_int_equal(parse("worker"), FL_OK);
    assert_int_equal(args.slots, FL_ARGS_NOT_GIVEN);
    assert_int_equal(fl_args_apply(&args, &settings, &err), FL_OK);
    assert_int_equal(settings.worker.slots, 16);
    assert_int_equal(parse("worker --slots 257"), FL_OK);
    assert_int_equal(fl_args_apply(&args, &settings, &err), FL_USAGE);
    assert_string_equal(err.text, "--slots: worker.slots must be a whole number from 1 to 256, not '257'; "
                                  "see 'fenceline worker --help'");
    assert_int_equal(parse("worker --slots 0"), FL_OK);
    assert_int_equal(fl_args_apply(&args, &settings, &err), FL_USAGE);
}

static void test_refused_of_the_queue(void **state)
{
    (void)state;
    static const struct {
        const char *line, *message;
    } CASES[] = {
        {"jobs", "'jobs' needs a word more, such as 'jobs list'; see 'fenceline jobs --help'"},
        {"jobs --json", "'jobs' needs a word more"},
        {"jobs lst", "unknown command 'jobs lst' (did you mean 'jobs list'?); see 'fenceline jobs --help'"},
        {"jobs retyr 5", "unknown command 'jobs retyr' (did you mean 'jobs retry'?)"},
        {"jobs xyzzy", "unknown command 'jobs xyzzy'; see 'fenceline jobs --help'"},
        {"jobs ''", "unknown command 'jobs '"},
        {"worker lst",
         "unknown command 'worker lst' (did you mean 'worker list'?); see 'fenceline worker --help'"},
        {"worker 4", "worker takes no arguments: '4' is too much; see 'fenceline worker --help'"},
        {"worker list now",
         "worker list takes no arguments: 'now' is too much; see 'fenceline worker list --help'"},
        {"worker --slots 2 list", "worker takes no arguments: 'list' is too much"},
        {"worker-list", "unknown command 'worker-list'"},
        {"'' list", "unknown command ''"},
        {"list jobs", "unknown command 'list'"},
        {"jobs list 5", "jobs list takes no arguments: '5' is too much"},
        {"jobs show", "jobs show needs JOB; see 'fenceline jobs show --help'"},
        {"jobs show 5 6", "jobs show takes JOB: '6' is too much"},
        {"jobs purge 5", "jobs purge takes no arguments"},
        {"jobs pause 5", "jobs pause takes no arguments"},
        {"jobs resume --reason x", "unknown option '--reason'"},
        {"worker --pause --resume", "--pause contradicts --resume; see 'fenceline worker --help'"},
        {"worker --reason x", "--reason goes with --pause"},
        {"worker --resume --reason x", "--reason goes with --pause"},
        {"worker --slots", "--slots needs a value: N"},
        {"worker --slots four", "--slots takes a whole number, not 'four'"},
        {"worker --slots -1", "--slots takes a whole number, not '-1'"},
        {"worker list --slots 3", "unknown option '--slots'"},
        {"enqueue a --at 2026-02-01 --in 5m", "--at contradicts --in: give one of them"},
        {"enqueue a --in 5m --at 1970-01-01", "--at contradicts --in"},
        {"enqueue a --manifest m", "--manifest contradicts 'a': inputs stand in the one or in the other"},
        {"enqueue --manifest m --episode e", "--manifest contradicts --episode: each of its lines names"},
        {"worker --pause --slots 3", "--slots contradicts --pause"},
        {"worker --slots 3 --resume", "--slots contradicts --resume"},
        {"jobs list --error \xff", "--error takes text in UTF-8"},
        {"jobs list --worker a\xc3", "--worker takes text in UTF-8"},
        {"jobs pause --reason \xed\xa0\x80", "--reason takes text in UTF-8"},
        {"enqueue a --at noon", "--at takes a time such as 2026-02-01T10:00:00Z, not 'noon'"},
        {"enqueue a --at 2026-02-30", "--at takes a time"},
        {"enqueue a --in 5", "--in takes a duration such as 90s, 15m, 12h or 7d, not '5'"},
        {"enqueue a --in -5m", "--in takes a duration"},
        {"enqueue a --in 36526d", "--in takes a duration"},
        {"enqueue a --priority urgent", "unknown priority 'urgent'; --priority takes high, normal or low"},
        {"enqueue a --priority HIGH", "unknown priority 'HIGH'"},
        {"enqueue a --mode if-version", "--mode if-version needs --if-version N"},
        {"enqueue a --mode create --if-version 3", "--if-version contradicts --mode create"},
        {"enqueue a --kind chapters --format vtt", "--format vtt holds a transcript, which contradicts"},
        {"enqueue a --manifest", "--manifest needs a value: FILE"},
        {"enqueue a --wait=5", "--wait takes no value"},
        {"enqueue a --dry-run", "unknown option '--dry-run'"},
        {"jobs list --outcome faild", "unknown outcome 'faild' (did you mean 'failed'?)"},
        {"jobs list --outcome xyzzyxyzzy", "unknown outcome 'xyzzyxyzzy'; --outcome takes open, imported"},
        {"jobs list --outcome ''", "unknown outcome ''"},
        {"jobs list --older-than 7", "--older-than takes a duration such as 90s, 15m, 12h or 7d, not '7'"},
        {"jobs list --limit many", "--limit takes a whole number, not 'many'"},
        {"jobs list --limit 99999999999999999999", "--limit takes a whole number"},
        {"jobs list --kind song", "unknown kind 'song'"},
        {"jobs list --episode ''", "the episode id is empty"},
        {"jobs list --yes", "unknown option '--yes'"},
        {"jobs cancel --as-new 5", "unknown option '--as-new'"},
        {"jobs retry --reason x", "unknown option '--reason'"},
        {"jobs retry --older 7d", "unknown option '--older'"},
        {"jobs retry -7", "unknown option '-7'"},
        {"jobs purge --episode ep1", "unknown option '--episode'"},
        {"jobs list -q -v", "--quiet contradicts --verbose; see 'fenceline jobs list --help'"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        if (parse(CASES[i].line) != FL_USAGE)
            fail_msg("accepted: %s", CASES[i].line);
        if (strncmp(err.text, CASES[i].message, strlen(CASES[i].message)) != 0)
            fail_msg("%s\n  gives    %s\n  and not  %s", CASES[i].line, err.text, CASES[i].message);
        assert_non_null(strstr(err.text, "see 'fenceline "));
    }
}

/* Words of any length, and of bytes that mean something to printf or to a terminal. */
static void test_hostile_words(void **state)
{
    (void)state;
    static const char *const LINES[] = {"%s",
                                        "jobs %s",
                                        "jobs list --outcome %s",
                                        "jobs list --limit %s",
                                        "enqueue x --at %s",
                                        "enqueue x --in %s",
                                        "enqueue x --priority %s",
                                        "worker %s",
                                        "jobs show 1 %s",
                                        "jobs --%s"};
    static char long_word[400];
    memset(long_word, 'x', sizeof long_word - 1);
    const char *const WORDS_OF_EVIL[] = {long_word, "%n%s%n", "\033]0;x\a", "\xff\xfe", "\xe2\x80\xae"};
    for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++)
        for (size_t k = 0; k < sizeof WORDS_OF_EVIL / sizeof *WORDS_OF_EVIL; k++) {
            char line[480];
            const char *at = strstr(LINES[i], "%s");
            snprintf(line, sizeof line, "%.*s%s", (int)(at - LINES[i]), LINES[i], WORDS_OF_EVIL[k]);
            if (parse(line) != FL_USAGE)
                fail_msg("accepted: %s", line);
            assert_null(strchr(err.text, '\033'));
            assert_null(strchr(err.text, '\n'));
            assert_non_null(strstr(err.text, "see 'fenceline ")); /* not cut off by a long word */
        }
}

static char *help_of(enum fl_command command)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    fl_args_print_help(out, command);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void test_help_text(void **state)
{
    (void)state;
    char *program = help_of(FL_COMMAND_NONE);
    for (int i = 0; i < FL_COMMAND_NONE; i++) {
        const struct fl_command_info *info = &fl_command_infos[i];
        char *text = help_of((enum fl_command)i), option[64];
        assert_non_null(strstr(program, fl_command_name((enum fl_command)i)));
        assert_non_null(strstr(program, info->summary));
        for (size_t o = 0; o < info->option_count; o++) {
            snprintf(option, sizeof option, "--%s", info->options[o].name);
            if (!strstr(text, option))
                fail_msg("%s is missing in the help of %s", option, fl_command_name((enum fl_command)i));
        }
        for (size_t o = 0; o < fl_common_option_count; o++)
            assert_non_null(strstr(text, fl_common_options[o].help));
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
            if (strlen(line) > 110)
                fail_msg("too wide: %s", line);
        free(text);
    }
    free(program);
}

/* "jobs --help": every word that may follow, and nothing else. */
static void test_group_help(void **state)
{
    (void)state;
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    fl_args_print_group_help(out, "jobs");
    assert_int_equal(fclose(out), 0);
    for (int i = 0; i < FL_COMMAND_NONE; i++) {
        const char *name = fl_command_name((enum fl_command)i);
        char line[64];
        snprintf(line, sizeof line, "\n  %s ", name);
        bool is_one = strncmp(name, "jobs ", 5) == 0;
        if ((strstr(text, line) != NULL) != is_one)
            fail_msg("%s is %s in the help of jobs", name, is_one ? "missing" : "there");
    }
    assert_non_null(strstr(text, "--json"));
    free(text);
    char *worker = help_of(FL_COMMAND_WORKER);
    assert_non_null(strstr(worker, "See also: fenceline worker list --help"));
    free(worker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written),       cmocka_unit_test(test_import_options),
        cmocka_unit_test(test_defaults),      cmocka_unit_test(test_common_options),
        cmocka_unit_test(test_modes),         cmocka_unit_test(test_help_and_version),
        cmocka_unit_test(test_refused),       cmocka_unit_test(test_passwords),
        cmocka_unit_test(test_apply),         cmocka_unit_test(test_help_text),
        cmocka_unit_test(test_two_words),     cmocka_unit_test(test_help_of_two_words),
        cmocka_unit_test(test_group_help),    cmocka_unit_test(test_enqueue_options),
        cmocka_unit_test(test_jobs_options),  cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_slots),         cmocka_unit_test(test_refused_of_the_queue),
        cmocka_unit_test(test_hostile_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
