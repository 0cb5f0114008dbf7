/* completion.c - completion for bash, zsh and fish from the tables of the command line.
 *
 * Happy path: each script finds the command among the words before the cursor as args.c does (one word or
 * two, options in between), then offers what may follow: words, options, values, files. Failure modes: no
 * such shell. */
#include <string.h>

#include "manual.h"

/* How each shell writes these down. */
enum files { NO_FILES, FILES_FIRST, KIND_SECOND };

/* What the arguments of a command are: paths, an episode and its kind, or something that only the servers
 * know. */
static enum files arguments_of(enum fl_command command)
{
    const struct fl_command_info *info = &fl_command_infos[command];
    if (strncmp(info->positional, "PATH", 4) == 0)
        return FILES_FIRST;
    return info->has_kind ? KIND_SECOND : NO_FILES;
}

static bool takes_file(const struct fl_option *option)
{
    return option->value && strcmp(option->value, "FILE") == 0;
}

/* All names of commands and of groups, each in quotes, with a separator. */
static void print_known(FILE *out, const char *quote, const char *separator)
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

/* What a first word is for; a group has no summary of its own. */
static const char *about_word(enum fl_command command)
{
    char word[32];
    manual_first_word(command, word);
    return manual_is_only_group(word) ? "several commands" : fl_command_infos[command].summary;
}

/* "--config|--redis|--postgres": the options that may stand before the command and take a word. */
static void print_common_with_value(FILE *out, const char *separator)
{
    const char *between = "";
    for (size_t i = 0; i < fl_common_option_count; i++) {
        if (!fl_common_options[i].value)
            continue;
        fprintf(out, "%s--%s", between, fl_common_options[i].name);
        between = separator;
    }
}

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
        if (takes_file(&options[i]))
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
                    takes_file(option) ? "        *:--%s) compopt -o default; return ;;\n"
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
        if (arguments_of((enum fl_command)i) == FILES_FIRST)
            fprintf(out, "        '%s') compopt -o default; return ;;\n",
                    fl_command_name((enum fl_command)i));
        else if (arguments_of((enum fl_command)i) == KIND_SECOND)
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
    print_common_with_value(out, " | ");
    fputs(") ((i++)) ; continue ;;\n"
          "        -*) continue ;;\n"
          "        esac\n"
          "        case ${command:+$command }$word in\n"
          "        ",
          out);
    print_known(out, "'", " | ");
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

/* ---- zsh ---- */

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
        if (option->value && takes_file(option))
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
        print_quoted(out, group[0] ? fl_command_infos[i].summary : about_word((enum fl_command)i), ":");
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
    fprintf(out, "            $common%s\n        ;;\n", ARGUMENTS[arguments_of(command)]);
}

static void print_zsh(FILE *out)
{
    fputs("#compdef fenceline\n# zsh completion for fenceline, made from its table of options\n\n"
          "_fenceline()\n{\n"
          "    local command= word= known\n"
          "    local -a words_of common\n"
          "    local -i i last=1\n"
          "    known=( ",
          out);
    print_known(out, "'", " ");
    fputs(" )\n    common=( \\\n", out);
    print_zsh_options(out, fl_common_options, fl_common_option_count);
    fputs("    )\n"
          "    for ((i = 2; i < CURRENT; i++)); do\n"
          "        word=$words[i]\n"
          "        case $word in\n"
          "        ",
          out);
    print_common_with_value(out, " | ");
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

/* ---- fish ---- */

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
            fputs(takes_file(option) ? " -r -F" : " -x", out);
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
            print_fish_word(out, "", word, about_word((enum fl_command)i));
        if (second)
            print_fish_word(out, word, second + 1, fl_command_infos[i].summary);
        if (arguments_of((enum fl_command)i) == FILES_FIRST)
            fprintf(out, "complete -c fenceline -n '__fenceline_is %s' -F\n", name);
        else if (arguments_of((enum fl_command)i) == KIND_SECOND)
            fprintf(out,
                    "complete -c fenceline -n '__fenceline_is %s; and __fenceline_has 1' -a 'chapters "
                    "transcript'\n",
                    name);
    }
}

static void print_fish(FILE *out)
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
    print_common_with_value(out, " ");
    fputs("\n                set skip 1\n"
          "            case '-*'\n"
          "                continue\n"
          "            case '*'\n"
          "                if contains -- (string join ' ' $command $word) ",
          out);
    print_known(out, "'", " ");
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

bool manual_completion(FILE *out, const char *shell)
{
    static const struct {
        const char *shell;
        void (*print)(FILE *out);
    } SHELLS[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    for (size_t i = 0; i < sizeof SHELLS / sizeof *SHELLS; i++)
        if (strcmp(shell, SHELLS[i].shell) == 0) {
            SHELLS[i].print(out);
            return true;
        }
    return false;
}
