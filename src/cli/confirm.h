/* confirm.h - asks before something is changed, and knows who asks for it. */
#ifndef FL_CLI_CONFIRM_H
#define FL_CLI_CONFIRM_H

#include "cli/args.h"

/* "Retry 12 jobs? [y/N]" on stderr, answered on standard input; *is_yes at once with --yes. No: says that
 * nothing was done. FL_USAGE where nobody can be asked: "this would retry 12 jobs; confirm it with --yes". */
FL_CHECKED fl_status fl_confirm(const struct fl_args *args, const char *question, const char *would,
                                bool *is_yes, struct fl_err *err);

/* Who runs this command: "user@host", for the record. */
void fl_confirm_who(char *who, size_t size_bytes);

#endif
