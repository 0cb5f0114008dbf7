/*
 * What `fenceline locks list` says, for tests: rows as JSON text, their members taken by Postgres' own JSON
 * functions (which also refuse what is no JSON).
 *
 *     char *row = lockview_await("ep1", "stalled");
 *     assert_int_equal(lockview_int(row, "token"), 7);
 *     free(row);
 *
 * All settings are those of fenceline.env. Every function fails the running test when something goes wrong.
 */
#ifndef TESTS_LIB_LOCKVIEW_H
#define TESTS_LIB_LOCKVIEW_H

#include "fenceline.h"

enum { LOCKVIEW_WAIT_MS = 20000, LOCKVIEW_ANY = -1 };

/* Runs `locks list --json` with more arguments (ends with NULL); gives the process, which has ended.
 * exit_code LOCKVIEW_ANY: whatever it is. */
struct process *lockview_list(int exit_code, const char *const *arguments);

/* The row of an episode in the output of a list, malloc'ed; NULL = there is none. More than one fails. */
char *lockview_find(const char *lines, const char *episode);

/* The row of an episode now; NULL = not listed. */
char *lockview_row(const char *episode);

/* Waits until the episode is listed with this verdict (NULL: any), or with member = value. */
char *lockview_await(const char *episode, const char *verdict);
char *lockview_await_text(const char *episode, const char *member, const char *value);

/* Waits until it is not listed any more. */
void lockview_await_none(const char *episode);

/* A member as text, malloc'ed: NULL for null. A row without that member fails the test. */
char *lockview_text(const char *row, const char *member);
void lockview_assert_text(const char *row, const char *member, const char *expected);

/* A member that is a number; -1 for null. */
int64_t lockview_int(const char *row, const char *member);

/* The member lies between both. */
void lockview_assert_between(const char *row, const char *member, int64_t least, int64_t most);

/* A transaction of the test's that holds a table: every commit of chapters waits until it is unblocked. */
PGconn *lockview_block_commits(void);
void lockview_unblock_commits(PGconn *blocker);

/* Stops every thread of the process but the first: what these do (reading and parsing files) hangs, as on a
 * dead disk, while its heartbeats go on. False: there is no such thread yet, or the system forbids it. */
bool lockview_hang_pool(const struct process *process);

/* Lets them go on. Also needed after the process was killed. */
void lockview_release_pool(void);

#endif
