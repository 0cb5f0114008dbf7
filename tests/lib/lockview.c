/*
 * What `fenceline locks list` says, for tests.
 *
 * Happy path: run, find the row, take members by SQL. Threads are held by ptrace: interrupted, and left so.
 * Failure modes: no such row or member, a verdict that does not come in time: the test fails with the rows.
 */
#include "lockview.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

enum { POLL_MS = 40, ARGS_MAX = 16, THREADS_MAX = 64 };

static pid_t held[THREADS_MAX];
static size_t held_count;

struct process *lockview_list(int exit_code, const char *const *arguments)
{
    const char *argv[ARGS_MAX] = {"locks", "list", "--json"};
    size_t count = 3;
    for (; arguments && *arguments; arguments++) {
        assert_true(count < ARGS_MAX - 1);
        argv[count++] = *arguments;
    }
    struct process *list = fenceline_start(&(struct process_spec){.argv = argv});
    if (exit_code != LOCKVIEW_ANY)
        return fenceline_finish(list, exit_code);
    int code = process_wait(list, FENCELINE_RUN_MS);
    if (code != 0 && code != 3 && code != 6)
        LIB_FAIL("locks list: exit code %d: %s", code, list->err.bytes);
    return list;
}

char *lockview_find(const char *lines, const char *episode)
{
    char *row = NULL;
    for (const char *at = lines; *at;) {
        size_t length = strcspn(at, "\n");
        char *line = strndup(at, length);
        assert_non_null(line);
        char *name = lockview_text(line, "episode");
        if (name && strcmp(name, episode) == 0) {
            if (row)
                LIB_FAIL("%s is listed twice:\n%s\n%s", episode, row, line);
            row = line;
        } else {
            free(line);
        }
        free(name);
        at += length + (at[length] == '\n');
    }
    return row;
}

char *lockview_row(const char *episode)
{
    struct process *list = lockview_list(LOCKVIEW_ANY, (const char *const[]){"--episode", episode, NULL});
    char *row = lockview_find(list->out.bytes, episode);
    process_release(list);
    return row;
}

char *lockview_await_text(const char *episode, const char *member, const char *value)
{
    int64_t end_ms = process_now_ms() + LOCKVIEW_WAIT_MS;
    char *row = NULL;
    do {
        free(row);
        row = lockview_row(episode);
        char *now = row ? lockview_text(row, member) : NULL;
        bool is_there = row && (!value || (now && strcmp(now, value) == 0));
        free(now);
        if (is_there)
            return row;
        process_sleep_ms(POLL_MS);
    } while (process_now_ms() < end_ms);
    LIB_FAIL("waited for %s of %s to be %s: %s", member, episode, value ? value : "there",
             row ? row : "not listed");
}

char *lockview_await(const char *episode, const char *verdict)
{
    return lockview_await_text(episode, "verdict", verdict);
}

void lockview_await_none(const char *episode)
{
    int64_t end_ms = process_now_ms() + LOCKVIEW_WAIT_MS;
    char *row = NULL;
    do {
        free(row);
        row = lockview_row(episode);
        if (!row)
            return;
        process_sleep_ms(POLL_MS);
    } while (process_now_ms() < end_ms);
    LIB_FAIL("%s is still listed: %s", episode, row);
}

char *lockview_text(const char *row, const char *member)
{
    if (db_int(fenceline.db, "SELECT ($1::jsonb ? $2)::int", row, member) != 1)
        LIB_FAIL("no member %s in %s", member, row);
    return db_text(fenceline.db, "SELECT $1::jsonb ->> $2", row, member);
}

void lockview_assert_text(const char *row, const char *member, const char *expected)
{
    char *text = lockview_text(row, member);
    bool is_same = text && expected ? strcmp(text, expected) == 0 : text == expected;
    if (!is_same)
        LIB_FAIL("%s is %s, expected %s, in %s", member, text ? text : "null", expected ? expected : "null",
                 row);
    free(text);
}

int64_t lockview_int(const char *row, const char *member)
{
    return db_int(fenceline.db, "SELECT coalesce(($1::jsonb ->> $2)::bigint, -1)", row, member);
}

void lockview_assert_between(const char *row, const char *member, int64_t least, int64_t most)
{
    int64_t number = lockview_int(row, member);
    if (number < least || number > most)
        LIB_FAIL("%s is %" PRId64 ", expected %" PRId64 " to %" PRId64 ", in %s", member, number, least, most,
                 row);
}

static bool hold(pid_t thread)
{
    if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) != 0)
        return false;
    held[held_count++] = thread;
    return ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) == 0 && waitpid(thread, NULL, __WALL) == thread;
}

PGconn *lockview_block_commits(void)
{
    PGconn *blocker = db_open(fenceline.dsn);
    db_exec(blocker, "BEGIN");
    db_exec(blocker, "LOCK TABLE fenceline.chapters IN ACCESS EXCLUSIVE MODE");
    return blocker;
}

void lockview_unblock_commits(PGconn *blocker)
{
    db_exec(blocker, "COMMIT");
    db_close(blocker);
}

bool lockview_hang_pool(const struct process *process)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)process->pid);
    DIR *threads = opendir(path);
    if (!threads)
        return false;
    bool is_held = true;
    size_t before = held_count;
    for (struct dirent *entry = readdir(threads); entry && is_held; entry = readdir(threads)) {
        pid_t thread = (pid_t)atoi(entry->d_name);
        if (thread > 0 && thread != process->pid && held_count < THREADS_MAX)
            is_held = hold(thread);
    }
    closedir(threads);
    return is_held && held_count > before;
}

void lockview_release_pool(void)
{
    for (size_t i = 0; i < held_count; i++)
        if (ptrace(PTRACE_DETACH, held[i], NULL, NULL) != 0)
            waitpid(held[i], NULL, __WALL); /* it was killed: only its end is left to be taken */
    held_count = 0;
}
