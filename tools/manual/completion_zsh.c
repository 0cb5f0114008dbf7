/* completion_zsh.c - completion for zsh: finds the command, then lets _arguments do the rest. */
#include <string.h>

#include "completion.h"

/* Text within single quotes of a shell; further characters are escaped by a backslash. */
static void print_quoted(FILE *out, const char *text, const char *escaped)
{
    for (; *text; text++) {
        if (*text == '\'') {
            fputs("'\\''", out);
            continue;
        }
        if (strchr(escaped, *text))
            putc('\\', out);
        putc(*text, out);
    }
}

static void print_zsh_options(FILE *out, const struct fl_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct fl_option *option = &options[i];
        fputs("            ", out);
        if (option->letter)
            fprintf(out, "'(-%c --%s)'{-%c,--%s}", option->letter, option->name, option->letter,
                    option->name);
        else
            fprintf(out, "--%s", option->name);
        fputs("'[", out);
        print_quoted(out, option->help, "[]");
        putc(']', out);
        if (option->value && completion_takes_file(option))
            fprintf(out, ":%s:_files", option->value);
        else if (option->value && manual_values(option)[0])
            fprintf(out, ":%s:(%s)", option->value, manual_values(option));
        else if (option->value)
            fprintf(out, ":%s:", option->value);
        fputs("' \\\n", out);
    }
}

static void print_zsh_words(FILE *out, const char *group)
{
    for (int i = 0; i < FL_COMMAND_NONE; i++) {
        char word[32];
        manual_first_word((enum fl_command)i, word);
        const char *second = fl_command_second_word((enum fl_command)i, group);
        bool is_one = group[0] ? second != NULL : manual_begins_group((enum fl_command)i);
        if (!is_one)
            continue;
        fprintf(out, " '%s:", group[0] ? second : word);
        print_quoted(out, group[0] ? fl_command_infos[i].summary : completion_about_word((enum fl_command)i),
                     ":");
        putc('\'', out);
    }
}

static void print_zsh_command(FILE *out, enum fl_command command)
{
    static const char *const ARGUMENTS[] = {"", " '*:PATH:_files'",
                                            " '1:EPISODE:' '2:KIND:(chapters transcript)'"};
    const char *name = fl_command_name(command);
    char word[32];
    manual_first_word(command, word);
    if (manual_begins_group(command) && manual_is_only_group(word)) {
        fprintf(out, "    '%s')\n        words_of=(", word);
        print_zsh_words(out, word);
        fputs(" )\n        _describe command words_of\n        ;;\n", out);
    }
    fprintf(out, "    '%s')\n", name);
    const char *begins_more =
        command + 1 < FL_COMMAND_NONE ? fl_command_second_word(command + 1, name) : NULL;
    if (begins_more) {
        fputs("        words_of=(", out);
        print_zsh_words(out, name);
        fputs(" )\n        _describe command words_of\n", out);
    }
    fputs("        _arguments -S \\\n", out);
    print_zsh_options(out, fl_command_infos[command].options, fl_command_infos[command].option_count);
    fprintf(out, "            $common%s\n        ;;\n", ARGUMENTS[completion_arguments_of(command)]);
}

void completion_print_zsh(FILE *out)
{
    fputs("#compdef fenceline\n# zsh completion for fenceline, made from its table of options\n\n"
          "_fenceline()\n{\n"
          "    local command= word= known\n"
          "    local -a words_of common\n"
          "    local -i i last=1\n"
          "    known=( ",
          out);
    completion_print_known(out, "'", " ");
    fputs(" )\n    common=( \\\n", out);
    print_zsh_options(out, fl_common_options, fl_common_option_count);
    fputs("    )\n"
          "    for ((i = 2; i < CURRENT; i++)); do\n"
          "        word=$words[i]\n"
          "        case $word in\n"
          "        ",
          out);
    completion_print_common_with_value(out, " | ");
    fputs(") ((i++)) ; continue ;;\n"
          "        -*) continue ;;\n"
          "        esac\n"
          "        [[ -n ${(M)known:#${command:+$command }$word} ]] || break\n"
          "        command=${command:+$command }$word\n"
          "        last=$i\n"
          "    done\n"
          "    shift $((last - 1)) words\n"
          "    ((CURRENT -= last - 1))\n"
          "    case $command in\n"
          "    '')\n"
          "        words_of=(",
          out);
    print_zsh_words(out, "");
    fputs(" )\n"
          "        if [[ $words[CURRENT] == -* || $words[CURRENT-1] == --* ]]; then\n"
          "            _arguments -S $common\n"
          "        else\n"
          "            _describe command words_of\n"
          "        fi\n"
          "        ;;\n",
          out);
    for (int i = 0; i < FL_COMMAND_NONE; i++)
        print_zsh_command(out, (enum fl_command)i);
    fputs("    esac\n}\n\n_fenceline \"$@\"\n", out);
}
