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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_import_options),   cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_common_options),   cmocka_unit_test(test_modes),
        cmocka_unit_test(test_help_and_version), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_passwords),        cmocka_unit_test(test_apply),
        cmocka_unit_test(test_help_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
