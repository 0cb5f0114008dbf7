/* manual.c - writes a man page or a completion to standard output; the Makefile calls it, nobody installs it.
 *
 * Usage: manual page TEMPLATE CONF > PAGE      TEMPLATE as in docs/man, CONF = config/fenceline.conf
 *        manual aliases FOLDER                 pages that lead to those: fenceline-jobs-list.1, ...
 *        manual completion SHELL > FILE        bash, zsh or fish
 *
 * Failure modes: a template that names what there is not: exit code 1, and make removes what was written. */
#include "manual.h"

#include <string.h>

void manual_first_word(enum fl_command command, char word[32])
{
    const char *name = fl_command_name(command);
    snprintf(word, 32, "%.*s", (int)strcspn(name, " "), name);
}

bool manual_begins_group(enum fl_command command)
{
    char word[32], before[32];
    manual_first_word(command, word);
    for (int i = 0; i < (int)command; i++) {
        manual_first_word((enum fl_command)i, before);
        if (strcmp(word, before) == 0)
            return false;
    }
    return true;
}

bool manual_is_only_group(const char *word)
{
    for (int i = 0; i < FL_COMMAND_NONE; i++)
        if (strcmp(fl_command_name((enum fl_command)i), word) == 0)
            return false;
    return true;
}

/* Joins the names of an enumeration. */
static void join(char *out, size_t size_bytes, const char *name)
{
    size_t used = strlen(out);
    if (name)
        snprintf(out + used, size_bytes - used, "%s%s", used ? " " : "", name);
}

const char *manual_values(const struct fl_option *option)
{
    static char values[256];
    values[0] = '\0';
    switch (option->type) {
    case FL_OPTION_KIND:
        for (int i = FL_KIND_NONE + 1; i <= FL_TRANSCRIPT; i++)
            join(values, sizeof values, fl_kind_name((enum fl_kind)i));
        break;
    case FL_OPTION_FORMAT:
        for (int i = FL_FORMAT_NONE + 1; i <= FL_FORMAT_TIMED_TEXT; i++)
            join(values, sizeof values, fl_format_name((enum fl_format)i));
        break;
    case FL_OPTION_MODE:
        for (int i = FL_MODE_CREATE; i < FL_MODE_DELETE; i++)
            join(values, sizeof values, fl_mode_name((enum fl_mode)i));
        break;
    case FL_OPTION_OUTCOME:
        join(values, sizeof values, "open");
        for (int i = FL_OUTCOME_OPEN + 1; i <= FL_OUTCOME_CANCELLED; i++)
            join(values, sizeof values, fl_outcome_name((enum fl_outcome)i));
        break;
    case FL_OPTION_VERDICT:
        for (int i = 0; i < FL_VERDICT_COUNT; i++)
            join(values, sizeof values, fl_verdict_name((enum fl_verdict)i));
        break;
    case FL_OPTION_WRITTEN: return "json srt vtt chapters";
    case FL_OPTION_PRIORITY: return "high normal low";
    case FL_OPTION_FLAG:
    case FL_OPTION_TEXT:
    case FL_OPTION_NUMBER:
    case FL_OPTION_SECONDS:
    case FL_OPTION_DURATION:
    case FL_OPTION_TIME: break;
    }
    return values;
}

/* "jobs list" has its own name, fenceline-jobs-list(1), which leads to fenceline-jobs(1). */
static int write_aliases(const char *folder)
{
    for (int i = 0; i < FL_COMMAND_NONE; i++) {
        char word[32], path[512];
        const char *second = fl_command_name((enum fl_command)i);
        manual_first_word((enum fl_command)i, word);
        second += strlen(word);
        if (!second[0])
            continue;
        snprintf(path, sizeof path, "%s/fenceline-%s-%s.1", folder, word, second + 1);
        FILE *page = fopen(path, "w");
        bool is_written = page && fprintf(page, ".so man1/fenceline-%s.1\n", word) > 0;
        if (!page || fclose(page) != 0 || !is_written) {
            perror(path);
            return 1;
        }
    }
    return 0;
}

static int print_page(const char *path, const char *conf)
{
    FILE *template = fopen(path, "r");
    if (!template) {
        perror(path);
        return 1;
    }
    bool is_right = manual_page(template, stdout, conf);
    fclose(template);
    return is_right ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "page") == 0)
        return print_page(argv[2], argv[3]);
    if (argc == 3 && strcmp(argv[1], "aliases") == 0)
        return write_aliases(argv[2]);
    if (argc == 3 && strcmp(argv[1], "completion") == 0 && manual_completion(stdout, argv[2]))
        return 0;
    fputs("usage: manual page TEMPLATE CONF | aliases FOLDER | completion bash|zsh|fish\n", stderr);
    return 2;
}
