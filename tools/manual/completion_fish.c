/* completion_fish.c - completion for fish: a condition before each word and option that may be offered. */
#include <string.h>

#include "completion.h"

static void print_fish_text(FILE *out, const char *text)
{
    putc('\'', out);
    for (; *text; text++)
        fprintf(out, *text == '\'' || *text == '\\' ? "\\%c" : "%c", *text);
    fputs("'\n", out);
}

static void print_fish_options(FILE *out, const char *command, const struct fl_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct fl_option *option = &options[i];
        fputs("complete -c fenceline", out);
        if (command)
            fprintf(out, " -n '__fenceline_is %s'", command);
        if (option->letter)
            fprintf(out, " -s %c", option->letter);
        fprintf(out, " -l %s", option->name);
        if (option->value)
            fputs(completion_takes_file(option) ? " -r -F" : " -x", out);
        if (option->value && manual_values(option)[0])
            fprintf(out, " -a '%s'", manual_values(option));
        fputs(" -d ", out);
        print_fish_text(out, option->help);
    }
}

static void print_fish_word(FILE *out, const char *before, const char *word, const char *about)
{
    fprintf(out, "complete -c fenceline -n '__fenceline_is %s; and __fenceline_has 0' -a %s -d ", before,
            word);
    print_fish_text(out, about);
}

static void print_fish_words(FILE *out)
{
    for (int i = 0; i < FL_COMMAND_NONE; i++) {
        char word[32];
        const char *name = fl_command_name((enum fl_command)i), *second = strchr(name, ' ');
        manual_first_word((enum fl_command)i, word);
        if (manual_begins_group((enum fl_command)i))
            print_fish_word(out, "", word, completion_about_word((enum fl_command)i));
        if (second)
            print_fish_word(out, word, second + 1, fl_command_infos[i].summary);
        if (completion_arguments_of((enum fl_command)i) == FILES_FIRST)
            fprintf(out, "complete -c fenceline -n '__fenceline_is %s' -F\n", name);
        else if (completion_arguments_of((enum fl_command)i) == KIND_SECOND)
            fprintf(out,
                    "complete -c fenceline -n '__fenceline_is %s; and __fenceline_has 1' -a 'chapters "
                    "transcript'\n",
                    name);
    }
}

void completion_print_fish(FILE *out)
{
    fputs("# fish completion for fenceline, made from its table of options\n\n"
          "# The command, of one word or two or none, on the line before the cursor; then how many arguments "
          "it has.\n"
          "function __fenceline_line\n"
          "    set -l command\n"
          "    set -l count 0\n"
          "    set -l skip 0\n"
          "    for word in (commandline -opc)[2..]\n"
          "        if test $skip = 1\n"
          "            set skip 0\n"
          "            continue\n"
          "        end\n"
          "        switch $word\n"
          "            case ",
          out);
    completion_print_common_with_value(out, " ");
    fputs("\n                set skip 1\n"
          "            case '-*'\n"
          "                continue\n"
          "            case '*'\n"
          "                if contains -- (string join ' ' $command $word) ",
          out);
    completion_print_known(out, "'", " ");
    fputs("\n                    set -a command $word\n"
          "                else\n"
          "                    set count (math $count + 1)\n"
          "                end\n"
          "        end\n"
          "    end\n"
          "    echo \"$command\"\n"
          "    echo $count\n"
          "end\n\n"
          "function __fenceline_is\n"
          "    set -l line (__fenceline_line)\n"
          "    test \"$line[1]\" = \"$argv\"\n"
          "end\n\n"
          "function __fenceline_has\n"
          "    set -l line (__fenceline_line)\n"
          "    test $line[2] = $argv[1]\n"
          "end\n\n"
          "complete -c fenceline -f\n",
          out);
    print_fish_words(out);
    print_fish_options(out, NULL, fl_common_options, fl_common_option_count);
    for (int i = 0; i < FL_COMMAND_NONE; i++)
        print_fish_options(out, fl_command_name((enum fl_command)i), fl_command_infos[i].options,
                           fl_command_infos[i].option_count);
}
