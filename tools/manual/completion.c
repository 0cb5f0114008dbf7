/* completion.c - completion for a shell from the tables of the command line: what all share, and bash.
 *
 * Happy path: each script finds the command among the words before the cursor as args.c does (one word or
 * two, options in between), then offers what may follow: words, options, values, files. Failure modes: no
 * such shell. */
#include <string.h>

#include "completion.h"

enum completion_arguments completion_arguments_of(enum fl_command command)
{
    const struct fl_command_info *info = &fl_command_infos[command];
    if (strncmp(info->positional, "PATH", 4) == 0)
        return FILES_FIRST;
    return info->has_kind ? KIND_SECOND : NO_FILES;
}

bool completion_takes_file(const struct fl_option *option)
{
    return option->value && strcmp(option->value, "FILE") == 0;
}

void completion_print_known(FILE *out, const char *quote, const char *separator)
{
    const char *between = "";
    for (int i = 0; i < FL_COMMAND_NONE; i++) {
        char word[32];
        manual_first_word((enum fl_command)i, word);
        if (manual_begins_group((enum fl_command)i) && manual_is_only_group(word)) {
            fprintf(out, "%s%s%s%s", between, quote, word, quote);
            between = separator;
        }
        fprintf(out, "%s%s%s%s", between, quote, fl_command_name((enum fl_command)i), quote);
        between = separator;
    }
}

const char *completion_about_word(enum fl_command command)
{
    char word[32];
    manual_first_word(command, word);
    return manual_is_only_group(word) ? "several commands" : fl_command_infos[command].summary;
}

void completion_print_common_with_value(FILE *out, const char *separator)
{
    const char *between = "";
    for (size_t i = 0; i < fl_common_option_count; i++) {
        if (!fl_common_options[i].value)
            continue;
        fprintf(out, "%s--%s", between, fl_common_options[i].name);
        between = separator;
    }
}

/* ---- bash ---- */

static void print_flags(FILE *out, const struct fl_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (options[i].letter)
            fprintf(out, "-%c ", options[i].letter);
        fprintf(out, "--%s ", options[i].name);
    }
}

static void print_bash_values(FILE *out, const char *command, const struct fl_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!options[i].value)
            continue;
        if (completion_takes_file(&options[i]))
            fprintf(out, "        '%s:--%s') compopt -o default; return ;;\n", command, options[i].name);
        else
            fprintf(out, "        '%s:--%s') offer='%s' ;;\n", command, options[i].name,
                    manual_values(&options[i]));
    }
}

/* Common options go with every command, and before it. */
static void print_bash_common_values(FILE *out)
{
    for (size_t i = 0; i < fl_common_option_count; i++) {
        const struct fl_option *option = &fl_common_options[i];
        if (option->value)
            fprintf(out,
                    completion_takes_file(option) ? "        *:--%s) compopt -o default; return ;;\n"
                                                  : "        *:--%s) return ;;\n",
                    option->name);
    }
}

static void print_bash_words(FILE *out, const char *group)
{
    fprintf(out, "        '%s') offer='", group);
    for (int i = 0; i < FL_COMMAND_NONE; i++) {
        char word[32];
        manual_first_word((enum fl_command)i, word);
        const char *second = fl_command_second_word((enum fl_command)i, group);
        if (group[0] && second)
            fprintf(out, "%s ", second);
        else if (!group[0] && manual_begins_group((enum fl_command)i))
            fprintf(out, "%s ", word);
    }
    fputs("' ;;\n", out);
}

static void print_bash_arguments(FILE *out)
{
    print_bash_words(out, "");
    for (int i = 0; i < FL_COMMAND_NONE; i++) {
        char word[32];
        manual_first_word((enum fl_command)i, word);
        bool has_more = strchr(fl_command_name((enum fl_command)i), ' ');
        if (has_more && (i == 0 || !fl_command_second_word((enum fl_command)(i - 1), word)))
            print_bash_words(out, word);
        if (completion_arguments_of((enum fl_command)i) == FILES_FIRST)
            fprintf(out, "        '%s') compopt -o default; return ;;\n",
                    fl_command_name((enum fl_command)i));
        else if (completion_arguments_of((enum fl_command)i) == KIND_SECOND)
            fprintf(out, "        '%s') ((count == 1)) && offer='chapters transcript' ;;\n",
                    fl_command_name((enum fl_command)i));
    }
}

static void print_bash(FILE *out)
{
    fputs("# bash completion for fenceline, made from its table of options\n\n"
          "_fenceline()\n{\n"
          "    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
          "    local command= word= offer= i count=0\n"
          "    COMPREPLY=()\n"
          "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "        word=${COMP_WORDS[i]}\n"
          "        case $word in\n"
          "        ",
          out);
    completion_print_common_with_value(out, " | ");
    fputs(") ((i++)) ; continue ;;\n"
          "        -*) continue ;;\n"
          "        esac\n"
          "        case ${command:+$command }$word in\n"
          "        ",
          out);
    completion_print_known(out, "'", " | ");
    fputs(") command=${command:+$command }$word ;;\n"
          "        *) ((count++)) ;;\n"
          "        esac\n"
          "    done\n"
          "    case $command:$before in\n",
          out);
    print_bash_common_values(out);
    for (int i = 0; i < FL_COMMAND_NONE; i++)
        print_bash_values(out, fl_command_name((enum fl_command)i), fl_command_infos[i].options,
                          fl_command_infos[i].option_count);
    fputs("    *)\n        if [[ $current == -* ]]; then\n            offer='", out);
    print_flags(out, fl_common_options, fl_common_option_count);
    fputs("'\n            case $command in\n", out);
    for (int i = 0; i < FL_COMMAND_NONE; i++) {
        fprintf(out, "            '%s') offer+='", fl_command_name((enum fl_command)i));
        print_flags(out, fl_command_infos[i].options, fl_command_infos[i].option_count);
        fputs("' ;;\n", out);
    }
    fputs("            esac\n        else\n        case $command in\n", out);
    print_bash_arguments(out);
    fputs("        esac\n        fi\n        ;;\n    esac\n"
          "    mapfile -t COMPREPLY < <(compgen -W \"$offer\" -- \"$current\")\n"
          "}\n\ncomplete -F _fenceline fenceline\n",
          out);
}

bool manual_completion(FILE *out, const char *shell)
{
    static const struct {
        const char *shell;
        void (*print)(FILE *out);
    } SHELLS[] = {{"bash", print_bash}, {"zsh", completion_print_zsh}, {"fish", completion_print_fish}};
    for (size_t i = 0; i < sizeof SHELLS / sizeof *SHELLS; i++)
        if (strcmp(shell, SHELLS[i].shell) == 0) {
            SHELLS[i].print(out);
            return true;
        }
    return false;
}
