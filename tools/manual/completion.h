/* completion.h - what the completions of all shells share. */
#ifndef FL_TOOLS_COMPLETION_H
#define FL_TOOLS_COMPLETION_H

#include "manual.h"

/* What the arguments of a command are: paths, an episode and its kind, or something that only the servers
 * know. */
enum completion_arguments { NO_FILES, FILES_FIRST, KIND_SECOND };
enum completion_arguments completion_arguments_of(enum fl_command command);

/* Is the option's value a file? */
bool completion_takes_file(const struct fl_option *option);

/* What the first word of a command is for; a group has no summary of its own. Static. */
const char *completion_about_word(enum fl_command command);

/* All names of commands and of groups, each in quotes, with a separator. */
void completion_print_known(FILE *out, const char *quote, const char *separator);

/* "--config|--redis|--postgres": the options that may stand before the command and take a word. */
void completion_print_common_with_value(FILE *out, const char *separator);

void completion_print_zsh(FILE *out);
void completion_print_fish(FILE *out);

#endif
