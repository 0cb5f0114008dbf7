/* manual.h - what the parts of the generator share: it writes man pages and completions from the tables that
 * the program itself parses, so that they cannot say anything else. */
#ifndef FL_TOOLS_MANUAL_H
#define FL_TOOLS_MANUAL_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/args_table.h"

/* Copies a page from template to out, and puts in for its lines that begin with '@' what the tables say
 * (docs/man/ README.md lists them). conf is the path of config/fenceline.conf. false: something is wrong, and
 * was told on stderr. */
bool manual_page(FILE *template, FILE *out, const char *conf);

/* Writes the completion for "bash", "zsh" or "fish"; false: no such shell. */
bool manual_completion(FILE *out, const char *shell);

/* What may follow an option, separated by blanks; "" = anything, a file if option->value is FILE. Static. */
const char *manual_values(const struct fl_option *option);

/* The first word of a command that has two, or its only one, into word. */
void manual_first_word(enum fl_command command, char word[32]);

/* Is this the first command with its first word? */
bool manual_begins_group(enum fl_command command);

/* The first word is no command by itself, as that of "jobs list". */
bool manual_is_only_group(const char *word);

#endif
