/* locks_watch.c - see locks_watch.h. Plain ANSI on the terminal's second screen.
 *
 * Happy path: once a second, on a key or when the terminal is resized, read, draw into memory, write once.
 * Failure modes: a server that is away is told on the screen, and tried again with the next refresh. On
 * close: first screen, cursor and line mode are given back, also when stopped by ctrl-Z. */
#include "cli/locks_watch.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/slice.h"
#include "cli/locks_table.h"
#include "cli/print.h"

enum { REFRESH_MS = 1000 };

#define ENTER_SCREEN "\033[?1049h\033[?25l"
#define LEAVE_SCREEN "\033[?25h\033[?1049l"
#define HOME         "\033[H"
#define CLEAR_LINE   "\033[K"
#define CLEAR_REST   "\033[J"

struct watch {
    const struct fl_args *args;
    const struct fl_settings *settings;
    struct fl_locks_servers servers;
    struct termios saved;
    bool has_saved;
    int signals;
    bool is_over;
};

/* ---- the terminal ---- */

static void put(const char *text, size_t length)
{
    while (length > 0) {
        ssize_t written = write(STDOUT_FILENO, text, length);
        if (written <= 0)
            return; /* the terminal has gone: the signal for that ends the program */
        text += written;
        length -= (size_t)written;
    }
}

static void enter(struct watch *watch)
{
    watch->has_saved = tcgetattr(STDIN_FILENO, &watch->saved) == 0;
    if (watch->has_saved) {
        struct termios raw = watch->saved;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        raw.c_cc[VMIN] = 1;
        raw.c_cc[VTIME] = 0;
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    put(ENTER_SCREEN, strlen(ENTER_SCREEN));
}

static void leave(const struct watch *watch)
{
    put(LEAVE_SCREEN, strlen(LEAVE_SCREEN));
    if (watch->has_saved)
        tcsetattr(STDIN_FILENO, TCSANOW, &watch->saved);
}

static struct winsize size_of_terminal(void)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
        return (struct winsize){.ws_row = 24, .ws_col = 80};
    return size;
}

/* ---- drawing ---- */

static void draw_head(FILE *out, const struct watch *watch, const struct fl_locks *locks, size_t columns)
{
    char text[128], clock[16];
    time_t now = time(NULL);
    struct tm local;
    strftime(clock, sizeof clock, "%H:%M:%S", localtime_r(&now, &local));
    size_t troubles = fl_locks_needing_person(locks);
    int length = snprintf(text, sizeof text, "fenceline locks  %s  %zu held, %zu need%s attention  (q quits)",
                          clock, locks->count, troubles, troubles == 1 ? "s" : "");
    struct fl_print_style style = fl_print_style_of(stdout, watch->args->no_color);
    fputs(fl_print_color(FL_COLOR_BOLD, style.has_color), out);
    fl_print_text_cut(out, (struct fl_slice){text, (size_t)length}, columns);
    fputs(fl_print_color(FL_COLOR_NONE, style.has_color), out);
    putc('\n', out);
}

static void draw_line(FILE *out, const char *text, size_t columns)
{
    fl_print_text_cut(out, (struct fl_slice){text, strcspn(text, "\n")}, columns);
    putc('\n', out);
}

static void draw_troubles(FILE *out, const struct fl_locks *locks, size_t columns)
{
    for (size_t i = 0; i < locks->count; i++) {
        char *text = NULL;
        size_t length = 0;
        FILE *line = fl_verdict_needs_person(locks->locks[i].verdict) ? open_memstream(&text, &length) : NULL;
        if (!line)
            return; /* those that need attention come first */
        fl_locks_print_trouble(line, &locks->locks[i]);
        fclose(line);
        draw_line(out, text, columns);
        free(text);
    }
}

/* What to do about the first of them. */
static void draw_advice(FILE *out, const struct fl_locks *locks, size_t columns)
{
    char text[256];
    enum fl_verdict verdict = locks->locks[0].verdict;
    snprintf(text, sizeof text, "%s: %s", fl_verdict_name(verdict), fl_verdict_advice(verdict));
    draw_line(out, text, columns);
}

static void draw(FILE *out, const struct watch *watch, struct fl_locks *locks, const struct fl_err *err)
{
    struct winsize size = size_of_terminal();
    draw_head(out, watch, locks, size.ws_col);
    if (err->text[0])
        draw_line(out, err->text, size.ws_col);
    else if (!locks->redis_answers)
        draw_line(out, locks->redis_err.text, size.ws_col);
    putc('\n', out);
    /* The table gets what is left by the explanations, which get at most a third. */
    size_t rows = (size_t)size.ws_row, troubles = fl_locks_needing_person(locks);
    size_t explained = troubles < rows / 3 ? troubles : rows / 3;
    size_t room = rows > explained + 7 ? rows - explained - 7 : 1;
    struct fl_locks shown = *locks;
    shown.count = locks->count < room ? locks->count : room;
    const struct fl_table table = fl_locks_table(&shown);
    struct fl_print_style style = fl_print_style_of(stdout, watch->args->no_color);
    if (shown.count)
        fl_print_table(out, &table, 0, style);
    if (shown.count < locks->count)
        fprintf(out, "... and %zu more\n", locks->count - shown.count);
    if (explained) {
        putc('\n', out);
        shown.count = explained;
        draw_troubles(out, &shown, size.ws_col);
        draw_advice(out, &shown, size.ws_col);
    }
}

/* Writes at most as many lines as the screen has, each cleared to its end. */
static void show(const char *frame, size_t length)
{
    struct winsize size = size_of_terminal();
    char *text = NULL;
    size_t bytes = 0, lines = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (!out)
        return;
    fputs(HOME, out);
    for (size_t at = 0; at < length && lines < size.ws_row; lines++) {
        const char *end = memchr(frame + at, '\n', length - at);
        size_t line = end ? (size_t)(end - frame) - at : length - at;
        if (lines > 0)
            fputs("\r\n", out);
        fwrite(frame + at, 1, line, out);
        fputs(CLEAR_LINE, out);
        at += line + 1;
    }
    fputs(CLEAR_REST, out);
    fclose(out);
    put(text, bytes);
    free(text);
}

static void refresh(struct watch *watch)
{
    struct fl_locks locks = {.redis_answers = true};
    struct fl_arena arena;
    struct fl_err err = {0};
    char *frame = NULL;
    size_t length = 0;
    fl_status status = FL_OK;
    fl_arena_init(&arena, FL_LOCKS_ARENA_BYTES);
    if (!watch->servers.pg || !watch->servers.redis) { /* at first, and after a loss */
        fl_locks_close(&watch->servers);
        status = fl_locks_open(&watch->servers, watch->settings, &err);
    }
    if (status == FL_OK)
        status = fl_locks_ask(&locks, &watch->servers, &arena, watch->settings, NULL, &err);
    if (status != FL_OK || !locks.redis_answers)
        fl_locks_close(&watch->servers);
    if (status == FL_OK)
        fl_locks_filter(&locks, watch->args);
    else
        locks.count = 0;
    FILE *out = open_memstream(&frame, &length);
    if (out) {
        draw(out, watch, &locks, &err);
        fclose(out);
        show(frame, length);
    }
    free(frame);
    fl_arena_release(&arena);
}

/* ---- keys and signals ---- */

static void on_signal(struct watch *watch)
{
    struct signalfd_siginfo signal;
    if (read(watch->signals, &signal, sizeof signal) != sizeof signal)
        return;
    if (signal.ssi_signo == SIGTSTP) {
        leave(watch);
        kill(getpid(), SIGSTOP);
        enter(watch);
    } else if (signal.ssi_signo != SIGWINCH) {
        watch->is_over = true;
    }
}

static void on_key(struct watch *watch)
{
    char key = 'q'; /* as at the end of the input */
    ssize_t got = read(STDIN_FILENO, &key, 1);
    watch->is_over = watch->is_over || got <= 0 || key == 'q' || key == 'Q';
}

static void await_turn(struct watch *watch)
{
    struct pollfd wanted[] = {{.fd = watch->signals, .events = POLLIN},
                              {.fd = STDIN_FILENO, .events = POLLIN}};
    if (poll(wanted, 2, REFRESH_MS) <= 0)
        return;
    if (wanted[0].revents)
        on_signal(watch);
    if (wanted[1].revents)
        on_key(watch);
}

int fl_locks_watch(const struct fl_args *args, const struct fl_settings *settings)
{
    static const int SIGNALS[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
    struct watch watch = {.args = args, .settings = settings};
    struct fl_err err;
    sigset_t set;
    if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO) || args->json) {
        fl_err_set(&err, FL_USAGE, "locks watch needs a terminal; elsewhere use 'fenceline locks list'");
        fl_print_error(&err);
        return fl_status_exit_code(err.code);
    }
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof SIGNALS / sizeof *SIGNALS; i++)
        sigaddset(&set, SIGNALS[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    watch.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    enter(&watch);
    while (!watch.is_over) {
        refresh(&watch);
        await_turn(&watch);
    }
    leave(&watch);
    close(watch.signals);
    fl_locks_close(&watch.servers);
    return 0;
}
