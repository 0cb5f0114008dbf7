/* confirm.c - see confirm.h. Failure modes: no terminal; an end of input is a no. */
#include "cli/confirm.h"

#include <pwd.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

fl_status fl_confirm(const struct fl_args *args, const char *question, const char *would, bool *is_yes,
                     struct fl_err *err)
{
    char answer[16] = "";
    *is_yes = args->yes;
    if (args->yes)
        return FL_OK;
    if (!isatty(STDIN_FILENO))
        return fl_err_set(err, FL_USAGE, "this would %s; confirm it with --yes", would);
    fprintf(stderr, "%s [y/N] ", question);
    if (fgets(answer, sizeof answer, stdin))
        *is_yes = strcasecmp(answer, "y\n") == 0 || strcasecmp(answer, "yes\n") == 0;
    if (!*is_yes)
        fputs("fenceline: nothing was done\n", stderr);
    return FL_OK;
}

void fl_confirm_who(char *who, size_t size_bytes)
{
    char host[128] = "?";
    gethostname(host, sizeof host - 1);
    const struct passwd *user = getpwuid(getuid());
    snprintf(who, size_bytes, "%s@%s", user ? user->pw_name : "?", host);
}
