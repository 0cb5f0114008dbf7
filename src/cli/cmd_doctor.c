/* cmd_doctor.c - `fenceline doctor`: is anything wrong with the servers, and what to do about it.
 *
 * Happy path: look, judge, print: a finding is a line with its level, its check and what was found, and below
 * it what to do. Failure modes: a server that is away is a finding, and exit code 6; the other one is shown
 * all the same. */
#include <stdio.h>
#include <string.h>

#include "app/doctor.h"
#include "base/arena.h"
#include "base/slice.h"
#include "cli/commands.h"
#include "cli/print.h"

enum { WIDTH = 80, LEVEL_COLUMN = 2, CHECK_COLUMN = 11, TEXT_COLUMN = 31, ARENA_BYTES = 64 * 1024 * 1024 };

static const char *const TITLES[] = {"Redis", "Postgres", "Queue"};

static void print_json(const struct fl_findings *findings)
{
    for (size_t i = 0; i < findings->count; i++) {
        const struct fl_finding *finding = &findings->items[i];
        const struct {
            const char *name;
            struct fl_slice text;
        } members[] = {
            {"server", fl_slice_from(fl_doctor_server_name(finding->server))},
            {"check", fl_slice_from(finding->check)},
            {"level", fl_slice_from(fl_doctor_level_name(finding->level))},
            {"found", finding->found},
            {"advice", finding->advice},
        };
        struct fl_json_writer json;
        fl_json_write_init(&json, stdout);
        fl_json_write_begin_object(&json);
        for (size_t m = 0; m < sizeof members / sizeof *members; m++) {
            fl_json_write_name(&json, members[m].name);
            fl_json_write_string(&json, members[m].text);
        }
        fl_json_write_end_object(&json);
        fl_json_write_end_line(&json);
    }
}

static struct fl_slice take_word(struct fl_slice *text)
{
    const char *space = memchr(text->ptr, ' ', text->len);
    struct fl_slice word = space ? fl_slice_range(text->ptr, space) : *text;
    size_t used = word.len + (space ? 1 : 0);
    *text = (struct fl_slice){text->ptr + used, text->len - used};
    return word;
}

/* Words from the column where the cursor is (TEXT_COLUMN), as many a line as fit. Ends the line. */
static void print_wrapped(struct fl_slice text)
{
    size_t column = TEXT_COLUMN;
    bool is_first = true;
    while (text.len) {
        struct fl_slice word = take_word(&text);
        size_t width = fl_print_text(NULL, word);
        if (!is_first && column + 1 + width > WIDTH) {
            printf("\n%*s", TEXT_COLUMN, "");
            column = TEXT_COLUMN;
            is_first = true;
        }
        if (!is_first)
            putchar(' ');
        column += (is_first ? 0 : 1) + fl_print_text(stdout, word);
        is_first = false;
    }
    putchar('\n');
}

static void print_finding(const struct fl_finding *finding, struct fl_arena *arena, bool wants_color)
{
    static const enum fl_color COLORS[] = {FL_COLOR_GREEN, FL_COLOR_YELLOW, FL_COLOR_RED};
    printf("%*s%s%-*s%s%-*s", LEVEL_COLUMN, "", fl_print_color(COLORS[finding->level], wants_color),
           CHECK_COLUMN - LEVEL_COLUMN, fl_doctor_level_name(finding->level),
           fl_print_color(FL_COLOR_NONE, wants_color), TEXT_COLUMN - CHECK_COLUMN, finding->check);
    print_wrapped(finding->found.ptr ? finding->found : FL_SLICE("-"));
    if (!finding->advice.ptr)
        return;
    struct fl_slice advice = fl_arena_format(arena, "-> %.*s", FL_ARGS(finding->advice));
    printf("%*s", TEXT_COLUMN, "");
    print_wrapped(advice.ptr ? advice : finding->advice);
}

/* quiet: only what is above ok. */
static void print_findings(const struct fl_findings *findings, struct fl_arena *arena,
                           const struct fl_args *args)
{
    bool wants_color = fl_print_wants_color(stdout, args->no_color), is_first = true;
    for (int server = 0; server < FL_DOCTOR_SERVER_COUNT; server++) {
        bool has_title = false;
        for (size_t i = 0; i < findings->count; i++) {
            const struct fl_finding *finding = &findings->items[i];
            if ((int)finding->server != server || (args->quiet && finding->level == FL_DOCTOR_OK))
                continue;
            if (!has_title)
                printf("%s%s%s%s\n", is_first ? "" : "\n", fl_print_color(FL_COLOR_BOLD, wants_color),
                       TITLES[server], fl_print_color(FL_COLOR_NONE, wants_color));
            has_title = true;
            is_first = false;
            print_finding(finding, arena, wants_color);
        }
    }
}

static void print_summary(const struct fl_findings *findings)
{
    size_t dangers = fl_findings_count(findings, FL_DOCTOR_DANGER);
    size_t warnings = fl_findings_count(findings, FL_DOCTOR_WARNING);
    if (dangers + warnings == 0)
        fprintf(stderr, "fenceline: all %zu checks are ok\n", findings->count);
    else
        fprintf(stderr, "fenceline: %zu danger%s, %zu warning%s, %zu ok\n", dangers, dangers == 1 ? "" : "s",
                warnings, warnings == 1 ? "" : "s", fl_findings_count(findings, FL_DOCTOR_OK));
}

int fl_cmd_doctor(struct fl_args *args, struct fl_settings *settings)
{
    static struct fl_doctor_facts facts; /* several KiB: not for the stack */
    static struct fl_findings findings;
    struct fl_arena arena;
    fl_arena_init(&arena, ARENA_BYTES);
    facts.older_than_ms =
        args->older_than_ms == FL_ARGS_NOT_GIVEN ? FL_DOCTOR_OLDER_THAN_MS : args->older_than_ms;
    fl_doctor_look(settings, &arena, &facts);
    fl_doctor_judge(&facts, &arena, &findings);
    if (args->json)
        print_json(&findings);
    else
        print_findings(&findings, &arena, args);
    if (!args->json && !args->quiet)
        print_summary(&findings);
    fl_arena_release(&arena);
    return fl_doctor_exit_code(&facts, &findings);
}
