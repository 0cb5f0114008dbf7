/*
 * Programs run by tests.
 *
 * Happy path: fork, execute, read the output of all living processes in one poll loop until the awaited thing
 * (text, end) happens; the end is seen through a pidfd, so that nothing sleeps longer than it must.
 * Failure modes: a program that cannot be executed reports the reason through a pipe that a successful exec
 * closes; time that runs out kills the process group; both fail the running test. Descendants that keep a
 * pipe open after the process ended are not waited for. On release: a process that still runs is killed and
 * reaped. The death of the test program kills every child through the parent death signal.
 */
#include "process.h"
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum {
    READ_BYTES = 16 * 1024,
    GROUPS_MAX = 64,
    NAME_BYTES = 128,
    POLLS_PER_PROCESS = 4,
    /* How often to look for the end of a process where the kernel offers no pidfd. */
    NO_PIDFD_TICK_MS = 5,
};

/* All that the child needs between fork and exec, where it must not allocate. */
struct child_plan {
    const struct process_spec *spec;
    char **env;
    int fds[3];        /* for stdin, stdout, stderr; -1: the terminal */
    char terminal[64]; /* path of its slave side, or empty */
    gid_t groups[GROUPS_MAX];
    int group_count;
    pid_t parent;
    int report_fd;
};

struct child_report {
    int error;
    char stage[32];
};

static struct process *live; /* every process not yet released, newest first */

int64_t process_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void process_sleep_ms(int duration_ms)
{
    struct timespec left = {.tv_sec = duration_ms / 1000, .tv_nsec = (long)(duration_ms % 1000) * 1000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        continue;
}

static void text_append(struct process_text *text, const void *bytes, size_t size_bytes)
{
    size_t needed = text->size_bytes + size_bytes + 1;
    if (needed > text->room_bytes) {
        size_t room = text->room_bytes * 2 > needed ? text->room_bytes * 2 : needed;
        text->bytes = realloc(text->bytes, room);
        if (text->bytes == NULL)
            LIB_FAIL("out of memory for output of %zu bytes", needed);
        text->room_bytes = room;
    }
    if (size_bytes > 0)
        memcpy(text->bytes + text->size_bytes, bytes, size_bytes);
    text->size_bytes += size_bytes;
    text->bytes[text->size_bytes] = '\0';
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Environment */

static bool same_name(const char *left, const char *right)
{
    size_t left_bytes = strcspn(left, "=");
    size_t right_bytes = strcspn(right, "=");
    return left_bytes == right_bytes && memcmp(left, right, left_bytes) == 0;
}

static bool named_in(const char *const *list, const char *entry)
{
    for (; *list != NULL; list++) {
        if (same_name(*list, entry))
            return true;
    }
    return false;
}

static size_t list_length(const char *const *list)
{
    size_t count = 0;
    while (list[count] != NULL)
        count++;
    return count;
}

/* The strings stay where they are; only the list is new. */
static char **build_env(const struct process_spec *spec)
{
    static const char *const none[] = {NULL};
    const char *const *changes = spec->env != NULL ? spec->env : none;
    const char *const *inherited = spec->clean_env ? none : (const char *const *)environ;
    char **env = calloc(list_length(changes) + list_length(inherited) + 1, sizeof *env);
    if (env == NULL)
        LIB_FAIL("out of memory for an environment");
    size_t count = 0;
    for (; *inherited != NULL; inherited++) {
        if (!named_in(changes, *inherited))
            env[count++] = (char *)(uintptr_t)*inherited;
    }
    for (; *changes != NULL; changes++) {
        if (strchr(*changes, '=') != NULL)
            env[count++] = (char *)(uintptr_t)*changes;
    }
    return env;
}

/* The child's side, between fork and exec: system calls only */

static _Noreturn void child_give_up(const struct child_plan *plan, const char *stage)
{
    struct child_report report = {.error = errno};
    strncpy(report.stage, stage, sizeof report.stage - 1);
    if (write(plan->report_fd, &report, sizeof report) < 0)
        _exit(126);
    _exit(127);
}

static void child_reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
}

static void child_set_streams(const struct child_plan *plan)
{
    int terminal_fd = -1;
    if (plan->terminal[0] != '\0') {
        /* The first terminal that a session leader opens becomes its controlling one. */
        terminal_fd = open(plan->terminal, O_RDWR | O_CLOEXEC);
        if (terminal_fd < 0)
            child_give_up(plan, "open its terminal");
    }
    for (int stream = 0; stream < 3; stream++) {
        int fd = plan->fds[stream] >= 0 ? plan->fds[stream] : terminal_fd;
        if (dup2(fd, stream) < 0)
            child_give_up(plan, "set up its streams");
    }
}

static void child_become_user(const struct child_plan *plan)
{
    const struct passwd *user = plan->spec->user;
    if (user == NULL)
        return;
    if (setgroups((size_t)plan->group_count, plan->groups) < 0 || setgid(user->pw_gid) < 0 ||
        setuid(user->pw_uid) < 0) {
        child_give_up(plan, "become another user");
    }
}

static _Noreturn void child_main(const struct child_plan *plan)
{
    const struct process_spec *spec = plan->spec;
    int death_signal = spec->death_signal != 0 ? spec->death_signal : SIGKILL;
    child_reset_signals();
    if (plan->terminal[0] != '\0' ? setsid() < 0 : setpgid(0, 0) < 0)
        child_give_up(plan, "form a group");
    child_set_streams(plan);
    if (spec->folder != NULL && chdir(spec->folder) < 0)
        child_give_up(plan, "enter its folder");
    child_become_user(plan);
    /* After the change of user, which would clear it; and the parent may be dead by now, too early to be
     * told. */
    if (prctl(PR_SET_PDEATHSIG, death_signal) < 0)
        child_give_up(plan, "set its death signal");
    if (getppid() != plan->parent)
        _exit(127);
    execvpe(spec->argv[0], (char *const *)(uintptr_t)spec->argv, plan->env);
    child_give_up(plan, "execute");
}

/* The parent's side of a start */

static void make_pipe(int fds[2])
{
    if (pipe2(fds, O_CLOEXEC) < 0)
        LIB_FAIL("cannot create a pipe: %s", strerror(errno));
}

static int open_or_fail(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0644);
    if (fd < 0)
        LIB_FAIL("cannot open %s: %s", path, strerror(errno));
    return fd;
}

static int open_terminal(const struct process_spec *spec, char *slave, size_t slave_bytes)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || grantpt(fd) < 0 || unlockpt(fd) < 0 || ptsname_r(fd, slave, slave_bytes) != 0) {
        LIB_FAIL("cannot open a terminal: %s", strerror(errno));
    }
    struct winsize size = {.ws_col = spec->terminal_columns, .ws_row = spec->terminal_rows};
    struct termios mode;
    if (ioctl(fd, TIOCSWINSZ, &size) < 0 || tcgetattr(fd, &mode) < 0) {
        LIB_FAIL("cannot set up a terminal: %s", strerror(errno));
    }
    mode.c_lflag &= ~(tcflag_t)ECHO;
    if (tcsetattr(fd, TCSANOW, &mode) < 0)
        LIB_FAIL("cannot set up a terminal: %s", strerror(errno));
    return fd;
}

static void plan_terminal(struct process *process, struct child_plan *plan)
{
    unsigned streams = plan->spec->terminal_streams;
    int fd = open_terminal(plan->spec, plan->terminal, sizeof plan->terminal);
    process->terminal_fd = fd;
    if ((streams & PROCESS_IN) != 0)
        process->in_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if ((streams & PROCESS_OUT) != 0) {
        process->out_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    } else if ((streams & PROCESS_ERR) != 0) {
        process->err_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    }
}

/* An output that is not on the terminal: the log, or a pipe whose other end is kept in *kept_fd. */
static void plan_output(struct child_plan *plan, int stream, int *kept_fd)
{
    int ends[2];
    if (plan->spec->log_path != NULL) {
        plan->fds[stream] = open_or_fail(plan->spec->log_path, O_WRONLY | O_CREAT | O_APPEND);
        return;
    }
    make_pipe(ends);
    plan->fds[stream] = ends[1];
    *kept_fd = ends[0];
}

static void plan_streams(struct process *process, struct child_plan *plan)
{
    const struct process_spec *spec = plan->spec;
    if (spec->terminal_streams != 0)
        plan_terminal(process, plan);
    if ((spec->terminal_streams & PROCESS_IN) == 0) {
        if (spec->input != NULL || spec->hold_input) {
            int ends[2];
            make_pipe(ends);
            plan->fds[STDIN_FILENO] = ends[0];
            process->in_fd = ends[1];
        } else {
            plan->fds[STDIN_FILENO] = open_or_fail("/dev/null", O_RDONLY);
        }
    }
    if ((spec->terminal_streams & PROCESS_OUT) == 0)
        plan_output(plan, STDOUT_FILENO, &process->out_fd);
    if ((spec->terminal_streams & PROCESS_ERR) == 0)
        plan_output(plan, STDERR_FILENO, &process->err_fd);
    int kept[] = {process->in_fd, process->out_fd, process->err_fd};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        if (kept[i] >= 0)
            fcntl(kept[i], F_SETFL, fcntl(kept[i], F_GETFL) | O_NONBLOCK);
    }
}

static struct process *new_process(const struct process_spec *spec)
{
    struct process *process = calloc(1, sizeof *process);
    char *name = calloc(1, NAME_BYTES);
    if (process == NULL || name == NULL)
        LIB_FAIL("out of memory for a process");
    for (const char *const *arg = spec->argv; *arg != NULL; arg++) {
        size_t used = strlen(name);
        snprintf(name + used, NAME_BYTES - used, "%s%s", used == 0 ? "" : " ", *arg);
    }
    process->name = name;
    process->exit_code = -1;
    process->in_fd = process->out_fd = process->err_fd = process->terminal_fd = process->ended_fd = -1;
    process->hold_input = spec->hold_input;
    process->outlives_tests = spec->outlives_tests;
    text_append(&process->out, NULL, 0);
    text_append(&process->err, NULL, 0);
    text_append(&process->input, spec->input, spec->input_bytes);
    return process;
}

static void close_all(struct process *process)
{
    close_fd(&process->in_fd);
    close_fd(&process->out_fd);
    close_fd(&process->err_fd);
    close_fd(&process->terminal_fd);
    close_fd(&process->ended_fd);
}

static void free_process(struct process *process)
{
    close_all(process);
    free(process->out.bytes);
    free(process->err.bytes);
    free(process->input.bytes);
    free(process->name);
    free(process);
}

/* Blocks until the child has executed its program (the pipe closes) or has reported why it cannot. */
static void await_exec(struct process *process, int report_fd)
{
    struct child_report report;
    ssize_t got;
    do {
        got = read(report_fd, &report, sizeof report);
    } while (got < 0 && errno == EINTR);
    close(report_fd);
    if (got != (ssize_t)sizeof report)
        return;
    waitpid(process->pid, NULL, 0);
    char *name = strdupa(process->name);
    free_process(process);
    LIB_FAIL("cannot start '%s': failed to %s: %s", name, report.stage, strerror(report.error));
}

struct process *process_start(const struct process_spec *spec)
{
    struct process *process = new_process(spec);
    struct child_plan plan = {.spec = spec, .fds = {-1, -1, -1}, .parent = getpid()};
    int report[2];
    plan.group_count = GROUPS_MAX;
    if (spec->user != NULL &&
        getgrouplist(spec->user->pw_name, spec->user->pw_gid, plan.groups, &plan.group_count) < 0) {
        LIB_FAIL("user %s is in more than %d groups", spec->user->pw_name, GROUPS_MAX);
    }
    signal(SIGPIPE, SIG_IGN);
    plan.env = build_env(spec);
    plan_streams(process, &plan);
    make_pipe(report);
    plan.report_fd = report[1];

    /* A copy of a program under sanitizers takes longer than most programs run. To change the user takes one:
     * glibc would have the threads of both do it. */
    process->pid = spec->user != NULL ? fork() : vfork();
    if (process->pid < 0)
        LIB_FAIL("cannot fork: %s", strerror(errno));
    if (process->pid == 0)
        child_main(&plan);

    close(report[1]);
    for (int stream = 0; stream < 3; stream++)
        close_fd(&plan.fds[stream]);
    free(plan.env);
    await_exec(process, report[0]);
    process->ended_fd = (int)syscall(SYS_pidfd_open, process->pid, 0);
    if (process->ended_fd >= 0)
        fcntl(process->ended_fd, F_SETFD, FD_CLOEXEC);
    process->next = live;
    live = process;
    return process;
}

/* The poll loop */

static void pump_input(struct process *process)
{
    static const char terminal_end = 4; /* Ctrl-D */
    if (process->in_fd < 0)
        return;
    while (process->input_done_bytes < process->input.size_bytes) {
        ssize_t sent = write(process->in_fd, process->input.bytes + process->input_done_bytes,
                             process->input.size_bytes - process->input_done_bytes);
        if (sent < 0 && errno == EAGAIN)
            return;
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0) {
            close_fd(&process->in_fd); /* the program does not read any more, which is its right */
            return;
        }
        process->input_done_bytes += (size_t)sent;
    }
    if (process->hold_input)
        return;
    if (process->terminal_fd >= 0 && write(process->in_fd, &terminal_end, 1) < 0 && errno == EAGAIN)
        return;
    close_fd(&process->in_fd);
}

static void pump_output(int *fd, struct process_text *text)
{
    char bytes[READ_BYTES];
    while (*fd >= 0) {
        ssize_t got = read(*fd, bytes, sizeof bytes);
        if (got > 0) {
            text_append(text, bytes, (size_t)got);
        } else if (got < 0 && errno == EAGAIN) {
            return;
        } else if (got == 0 || errno != EINTR) {
            close_fd(fd); /* end, or EIO: the last user of the terminal has closed it */
        }
    }
}

static void pump(struct process *process)
{
    int status = 0;
    /* First the end, then the pipes: so everything that was written before the end is captured. */
    bool ended_now = !process->ended && waitpid(process->pid, &status, WNOHANG) == process->pid;
    pump_input(process);
    pump_output(&process->out_fd, &process->out);
    pump_output(&process->err_fd, &process->err);
    if (!ended_now)
        return;
    process->ended = true;
    process->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    process->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    close_all(process);
}

static bool input_is_waiting(const struct process *process)
{
    return process->in_fd >= 0 &&
           (!process->hold_input || process->input_done_bytes < process->input.size_bytes);
}

/* Waits until something happens to any living process, then works on all of them. */
static void pump_all(int64_t wait_ms)
{
    size_t count = 0;
    for (const struct process *process = live; process != NULL; process = process->next)
        count++;
    struct pollfd *polls = calloc(count * POLLS_PER_PROCESS + 1, sizeof *polls);
    if (polls == NULL)
        LIB_FAIL("out of memory for polling %zu processes", count);
    nfds_t used = 0;
    for (const struct process *process = live; process != NULL; process = process->next) {
        if (process->ended)
            continue;
        /* poll skips negative descriptors: closed streams need no special care. */
        polls[used++] =
            (struct pollfd){.fd = input_is_waiting(process) ? process->in_fd : -1, .events = POLLOUT};
        polls[used++] = (struct pollfd){.fd = process->out_fd, .events = POLLIN};
        polls[used++] = (struct pollfd){.fd = process->err_fd, .events = POLLIN};
        polls[used++] = (struct pollfd){.fd = process->ended_fd, .events = POLLIN};
        if (process->ended_fd < 0 && wait_ms > NO_PIDFD_TICK_MS)
            wait_ms = NO_PIDFD_TICK_MS;
    }
    poll(polls, used, (int)wait_ms);
    free(polls);
    for (struct process *process = live; process != NULL; process = process->next) {
        if (!process->ended)
            pump(process);
    }
}

bool process_ended(struct process *process, int within_ms)
{
    int64_t deadline_ms = process_now_ms() + within_ms;
    pump_all(0);
    while (!process->ended) {
        int64_t left_ms = deadline_ms - process_now_ms();
        if (left_ms <= 0)
            return false;
        pump_all(left_ms);
    }
    return true;
}

static void kill_and_reap(struct process *process)
{
    if (process->ended)
        return;
    kill(-process->pid, SIGKILL);
    waitpid(process->pid, NULL, 0);
    process->ended = true;
    process->signal = SIGKILL;
}

int process_wait(struct process *process, int timeout_ms)
{
    if (!process_ended(process, timeout_ms)) {
        process_print(process);
        kill_and_reap(process);
        LIB_FAIL("'%s' did not end within %d ms and was killed", process->name, timeout_ms);
    }
    return process->signal != 0 ? -process->signal : process->exit_code;
}

void process_wait_code(struct process *process, int exit_code, int timeout_ms)
{
    int result = process_wait(process, timeout_ms);
    if (result == exit_code)
        return;
    process_print(process);
    if (result < 0) {
        LIB_FAIL("'%s' was ended by signal %d where exit code %d was expected", process->name, -result,
                 exit_code);
    }
    LIB_FAIL("'%s' exited with %d where %d was expected", process->name, result, exit_code);
}

struct process *process_run(const struct process_spec *spec, int timeout_ms)
{
    struct process *process = process_start(spec);
    process_wait(process, timeout_ms);
    return process;
}

/* Occurrences of a text in bytes that may contain NULs. */
static size_t count_in(const struct process_text *text, const char *wanted)
{
    size_t wanted_bytes = strlen(wanted);
    size_t count = 0;
    const char *from = text->bytes;
    const char *end = text->bytes + text->size_bytes;
    while (wanted_bytes > 0 && (from = memmem(from, (size_t)(end - from), wanted, wanted_bytes)) != NULL) {
        count++;
        from += wanted_bytes;
    }
    return count;
}

void process_wait_for_outputs(struct process *process, const char *text, size_t count, int timeout_ms)
{
    int64_t deadline_ms = process_now_ms() + timeout_ms;
    size_t searched_bytes = SIZE_MAX;
    for (;;) {
        pump_all(0);
        bool ended = process->ended;
        size_t size_bytes = process->out.size_bytes + process->err.size_bytes;
        if (size_bytes != searched_bytes &&
            count_in(&process->out, text) + count_in(&process->err, text) >= count) {
            return;
        }
        searched_bytes = size_bytes;
        int64_t left_ms = deadline_ms - process_now_ms();
        if (ended || left_ms <= 0)
            break;
        pump_all(left_ms);
    }
    process_print(process);
    if (process->ended)
        LIB_FAIL("'%s' ended without writing '%s' %zu times", process->name, text, count);
    kill_and_reap(process);
    LIB_FAIL("'%s' did not write '%s' %zu times within %d ms and was killed", process->name, text, count,
             timeout_ms);
}

void process_wait_for_output(struct process *process, const char *text, int timeout_ms)
{
    process_wait_for_outputs(process, text, 1, timeout_ms);
}

void process_signal(struct process *process, int signal_number)
{
    pump_all(0);
    if (process->ended) {
        process_print(process);
        LIB_FAIL("'%s' had ended before signal %d", process->name, signal_number);
    }
    kill(process->pid, signal_number);
}

void process_send(struct process *process, const void *bytes, size_t size_bytes)
{
    if (!process->hold_input)
        LIB_FAIL("'%s' was not started with hold_input", process->name);
    text_append(&process->input, bytes, size_bytes);
    pump_all(0);
}

void process_close_input(struct process *process)
{
    process->hold_input = false;
    pump_all(0);
}

void process_resize(struct process *process, unsigned short columns, unsigned short rows)
{
    struct winsize size = {.ws_col = columns, .ws_row = rows};
    if (ioctl(process->terminal_fd, TIOCSWINSZ, &size) < 0) {
        LIB_FAIL("'%s' has no terminal to resize", process->name);
    }
}

void process_print(const struct process *process)
{
    print_error("'%s' (pid %d) %s, exit code %d, signal %d\n", process->name, (int)process->pid,
                process->ended ? "has ended" : "is running", process->exit_code, process->signal);
    print_error("--- its stdout, %zu bytes:\n", process->out.size_bytes);
    files_print(process->out.bytes, process->out.size_bytes);
    print_error("--- its stderr, %zu bytes:\n", process->err.size_bytes);
    files_print(process->err.bytes, process->err.size_bytes);
    print_error("---\n");
}

void process_release(struct process *process)
{
    if (process == NULL)
        return;
    kill_and_reap(process);
    struct process **place = &live;
    while (*place != process)
        place = &(*place)->next;
    *place = process->next;
    free_process(process);
}

void process_release_all(void)
{
    struct process *next;
    for (struct process *process = live; process != NULL; process = next) {
        next = process->next;
        if (!process->outlives_tests)
            process_release(process);
    }
}
