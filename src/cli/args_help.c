/* args_help.c - help, made from the tables that are also parsed. Failure modes: none but those of the stream,
 * which main looks at. */
#include "cli/args.h"
#include "cli/args_table.h"

static void print_options(FILE *out, const struct fl_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char left[64], letter[8] = "";
        if (options[i].letter)
            snprintf(letter, sizeof letter, "-%c, ", options[i].letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, options[i].name, options[i].value ? " " : "",
                 options[i].value ? options[i].value : "");
        fprintf(out, "  %-22s  %s\n", left, options[i].help);
    }
}

static void print_command(FILE *out, enum fl_command command)
{
    char left[64];
    snprintf(left, sizeof left, "%s %s", fl_command_name(command), fl_command_infos[command].positional);
    fprintf(out, "  %-22s  %s\n", left, fl_command_infos[command].summary);
}

static void print_program_help(FILE *out)
{
    fputs("fenceline - imports chapters and transcripts of podcast episodes, each exactly once\n\n"
          "Usage: fenceline COMMAND [options] [arguments]\n\nCommands:\n",
          out);
    for (int i = 0; i < FL_COMMAND_NONE; i++)
        print_command(out, (enum fl_command)i);
    fputs("\nOptions of every command:\n", out);
    print_options(out, fl_common_options, fl_common_option_count);
    fputs("\n'fenceline COMMAND --help' shows the rest.\n\n"
          "Exit codes: 0 done or unchanged, 1 failed, 2 usage or configuration, 3 rejected or superseded,\n"
          "4 invalid input, 5 busy, 6 Redis or Postgres unavailable.\n",
          out);
}

void fl_args_print_group_help(FILE *out, const char *group)
{
    fprintf(out, "Usage: fenceline %s COMMAND [options] [arguments]\n\nCommands:\n", group);
    for (int i = 0; i < FL_COMMAND_NONE; i++)
        if (fl_command_second_word((enum fl_command)i, group))
            print_command(out, (enum fl_command)i);
    fputs("\nOptions of every command:\n", out);
    print_options(out, fl_common_options, fl_common_option_count);
    fprintf(out, "\n'fenceline %s COMMAND --help' shows the rest.\n", group);
}

void fl_args_print_help(FILE *out, enum fl_command command)
{
    if (command == FL_COMMAND_NONE) {
        print_program_help(out);
        return;
    }
    const struct fl_command_info *info = &fl_command_infos[command];
    fprintf(out, "fenceline %s - %s\n\nUsage: fenceline %s [options]%s%s\n", fl_command_name(command),
            info->summary, fl_command_name(command), info->positional[0] ? " " : "", info->positional);
    if (info->details[0])
        fprintf(out, "\n%s", info->details);
    if (info->option_count)
        fputs("\nOptions:\n", out);
    print_options(out, info->options, info->option_count);
    for (int i = 0; i < FL_COMMAND_NONE; i++)
        if (fl_command_second_word((enum fl_command)i, fl_command_name(command)))
            fprintf(out, "\nSee also: fenceline %s --help\n", fl_command_name((enum fl_command)i));
    fputs("\nOptions of every command:\n", out);
    print_options(out, fl_common_options, fl_common_option_count);
}
