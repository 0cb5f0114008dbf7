/*
 * Programs run by tests: start, feed, signal, watch, wait.
 *
 *     struct process *p = process_start(&(struct process_spec){
 *         .argv = (const char *const[]){"build/fenceline", "worker", NULL},
 *         .env = (const char *const[]){"FENCELINE_POSTGRES=...", "NO_COLOR", NULL},
 *     });
 *     process_wait_for_output(p, "ready", 5000);
 *     process_signal(p, SIGTERM);
 *     process_wait_code(p, 0, 5000);
 *     assert_non_null(strstr(p->err.bytes, "stopped"));
 *     process_release(p);
 *
 * Any number may run at once: every wait reads the output of all of them, so that none ever blocks on a full
 * pipe while the test waits for another. What goes wrong (no such program, time ran out, an unexpected exit
 * code) fails the running cmocka test and prints what the program wrote. A failing test leaves by longjmp and
 * its processes stay: call process_release_all() in the teardown.
 *
 * All functions are for one thread, and it should be the main one: a child is killed when the thread that
 * started it ends. That is also how nothing survives a test program that is killed. The first start sets
 * SIGPIPE to be ignored in the test program; children begin with default signals.
 */
#ifndef TESTS_LIB_PROCESS_H
#define TESTS_LIB_PROCESS_H

#include <pwd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Streams of the child, as bits. */
enum { PROCESS_IN = 1, PROCESS_OUT = 2, PROCESS_ERR = 4 };

struct process_spec {
    const char *const *argv; /* ends with NULL; argv[0] is looked up in PATH unless it has a slash */
    const char *const *env;  /* NULL, or a list that ends with NULL: "NAME=VALUE" sets, "NAME" removes */
    bool clean_env;          /* start from an empty environment instead of the test's own */
    const char *folder;      /* working folder; NULL: the test's own */

    const void *input; /* all of stdin, copied; NULL: /dev/null */
    size_t input_bytes;
    bool hold_input; /* stdin stays open for process_send until process_close_input */

    /* A terminal of this size for the streams given as PROCESS_ bits; the others are captured as usual. What
     * is written to the terminal is captured in out (in err if only PROCESS_ERR is given), with its "\r\n".
     * Input is not echoed, and ends with Ctrl-D: send whole lines. */
    unsigned terminal_streams;
    unsigned short terminal_columns, terminal_rows;

    /* For servers, see services.c. */
    const char *log_path;      /* stdout and stderr are appended here instead of being captured */
    const struct passwd *user; /* become this user (the test must be root); NULL: stay */
    int death_signal;          /* sent when the test program dies; 0: SIGKILL */
    bool outlives_tests;       /* process_release_all leaves it alone */
};

/* Captured output: always ends with a NUL, which is not counted; bytes is never NULL. */
struct process_text {
    char *bytes;
    size_t size_bytes;
    size_t room_bytes;
};

struct process {
    pid_t pid; /* also the number of its process group */
    bool ended;
    int exit_code; /* 0..255; -1 while it runs and when a signal ended it */
    int signal;    /* the signal that ended it, or 0 */
    struct process_text out, err;

    /* Private. */
    struct process *next;
    char *name;
    int in_fd, out_fd, err_fd, terminal_fd, ended_fd;
    bool hold_input, outlives_tests;
    struct process_text input;
    size_t input_done_bytes;
};

/* Starts the program; fails the test if it cannot be executed. process_release frees the result. */
struct process *process_start(const struct process_spec *spec);

/* Starts it and waits for its end, whatever the exit code; on timeout kills it and fails the test. */
struct process *process_run(const struct process_spec *spec, int timeout_ms);

/* Waits for the end; on timeout kills the process group and fails the test.
 * Returns the exit code, or the negative number of the signal that ended it. */
int process_wait(struct process *process, int timeout_ms);

/* The same, and fails the test unless it exited by itself with this code. */
void process_wait_code(struct process *process, int exit_code, int timeout_ms);

/* Has it ended, now or within that time? Never fails the test. Also useful as "work on the pipes for n ms".
 */
bool process_ended(struct process *process, int within_ms);

/* Returns as soon as text has appeared on stdout or stderr, at any time since the start. Fails the test when
 * the time runs out (the process is killed) or the process ends without it. */
void process_wait_for_output(struct process *process, const char *text, int timeout_ms);

/* The same for text that must have appeared count times on the two streams together. */
void process_wait_for_outputs(struct process *process, const char *text, size_t count, int timeout_ms);

/* Sends a signal to the process alone, not to its children. Fails the test if it has ended before. */
void process_signal(struct process *process, int signal_number);

/* Queues bytes for the stdin of a process started with hold_input, or closes that stdin after them. */
void process_send(struct process *process, const void *bytes, size_t size_bytes);
void process_close_input(struct process *process);

/* New size for the terminal; the child gets SIGWINCH. */
void process_resize(struct process *process, unsigned short columns, unsigned short rows);

/* Prints name, state and captured output through cmocka's print_error. */
void process_print(const struct process *process);

/* Kills the process group if it still runs, and frees everything. NULL is allowed. */
void process_release(struct process *process);

/* Releases every process that is left, except those with outlives_tests. */
void process_release_all(void);

/* The clock of the tests: monotonic milliseconds; and a pause, for polling only. */
int64_t process_now_ms(void);
void process_sleep_ms(int duration_ms);

#endif
