/* fail_point.h - places where a test makes the process die or stop. Compiled in only with FL_FAIL_POINTS,
 * which no released binary has.
 *
 * FENCELINE_FAIL_POINT=<label>:<kill|stop> in the environment: at that label the process sends itself SIGKILL
 * or SIGSTOP, once. Labels are before-<action> and after-<action>: see app/drive.c;
 * before-break and after-break: around the raising of the fence in `locks break`. */
#ifndef FL_APP_FAIL_POINT_H
#define FL_APP_FAIL_POINT_H

#ifdef FL_FAIL_POINTS
void fl_fail_point(const char *when, const char *action);
#else
static inline void fl_fail_point(const char *when, const char *action)
{
    (void)when;
    (void)action;
}
#endif

#endif
