/* fail_point.c - see fail_point.h. */
#include "app/fail_point.h"

#ifdef FL_FAIL_POINTS
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void fl_fail_point(const char *when, const char *action)
{
    static bool spent;
    char label[64];
    const char *wanted = getenv("FENCELINE_FAIL_POINT");
    if (!wanted || spent)
        return;
    size_t length = (size_t)snprintf(label, sizeof label, "%s-%s:", when, action);
    if (strncmp(wanted, label, length) != 0)
        return;
    spent = true;
    /* The test waits for this line before it goes on. */
    fprintf(stderr, "fail point %s\n", wanted);
    fflush(NULL);
    kill(getpid(), strcmp(wanted + length, "stop") == 0 ? SIGSTOP : SIGKILL);
}
#else
typedef int fl_fail_points_are_off; /* C has no empty translation unit */
#endif
