/* progress.c - one line on the terminal, drawn over itself.
 *
 * Happy path: step looks at the clock and draws if the last time is long enough ago; the width is asked for
 * at every drawing, so a resized window is no matter. Failure modes: no terminal, or one that cannot erase a
 * line: nothing is ever drawn. What cannot be written is lost: a progress bar is not worth an error. */
#include "cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
    REDRAW_MS = 100,
    FIRST_DRAW_MS = 200,
    DEFAULT_COLUMNS = 80,
    BAR_COLUMNS = 30,
    SMALLEST_BAR_COLUMNS = 8
};

static const char ERASE_LINE[] = "\r\033[K";

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void fl_progress_init(struct fl_progress *progress, size_t total, bool enabled)
{
    const char *terminal = getenv("TERM");
    bool can_erase = terminal && terminal[0] && strcmp(terminal, "dumb") != 0;
    *progress = (struct fl_progress){
        .enabled = enabled && can_erase && isatty(STDERR_FILENO), .total = total, .begun_ms = now_ms()};
}

static void format_duration(int64_t seconds, char out[32])
{
    if (seconds >= 360000)
        snprintf(out, 32, "more than 99 h");
    else
        snprintf(out, 32, "%d:%02d:%02d", (int)(seconds / 3600), (int)(seconds / 60 % 60),
                 (int)(seconds % 60));
}

/* "12/2000  0%  156.0/s  0:00:11 left  2 failed" */
static void format_counts(const struct fl_progress *progress, int64_t elapsed_ms, char *out,
                          size_t size_bytes)
{
    char count[80], left[48] = "", failed[32] = "";
    double rate = elapsed_ms > 0 ? (double)progress->done * 1000.0 / (double)elapsed_ms : 0.0;
    if (progress->total) {
        size_t percent = (size_t)((double)progress->done * 100.0 / (double)progress->total);
        snprintf(count, sizeof count, "%zu/%zu  %zu%%", progress->done, progress->total, percent);
    } else {
        snprintf(count, sizeof count, "%zu done", progress->done);
    }
    if (progress->total > progress->done && rate > 0.0) {
        char duration[32];
        double seconds = (double)(progress->total - progress->done) / rate;
        format_duration(seconds < 1e9 ? (int64_t)(seconds + 0.5) : 1000000000, duration);
        snprintf(left, sizeof left, "  %s left", duration);
    }
    if (progress->failed)
        snprintf(failed, sizeof failed, "  %zu failed", progress->failed);
    snprintf(out, size_bytes, "%s  %.*f/s%s%s", count, rate < 100.0 ? 1 : 0, rate, left, failed);
}

static size_t format_bar(const struct fl_progress *progress, size_t columns, char out[BAR_COLUMNS + 8])
{
    size_t width = columns > BAR_COLUMNS ? BAR_COLUMNS : columns;
    size_t filled = (size_t)((double)width * (double)progress->done / (double)progress->total);
    if (filled > width)
        filled = width;
    out[0] = '[';
    memset(out + 1, '=', filled);
    memset(out + 1 + filled, ' ', width - filled);
    if (filled && filled < width)
        out[filled] = '>';
    memcpy(out + 1 + width, "] ", 3);
    return width + 3;
}

void fl_progress_format(const struct fl_progress *progress, int64_t elapsed_ms, size_t columns,
                        char out[FL_PROGRESS_BYTES])
{
    char bar[BAR_COLUMNS + 8] = "", counts[FL_PROGRESS_BYTES - BAR_COLUMNS - 8];
    /* The last column stays free: a terminal may wrap after it. */
    size_t room = columns > 1 ? columns - 1 : 1;
    format_counts(progress, elapsed_ms, counts, sizeof counts);
    size_t used = strlen(counts) + 3;
    if (progress->total && used + SMALLEST_BAR_COLUMNS <= room)
        format_bar(progress, room - used, bar);
    snprintf(out, FL_PROGRESS_BYTES, "%s%s", bar, counts);
    if (room < FL_PROGRESS_BYTES)
        out[room] = '\0';
}

static void draw(struct fl_progress *progress, int64_t at_ms)
{
    struct winsize size;
    char line[FL_PROGRESS_BYTES];
    size_t columns = DEFAULT_COLUMNS;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
        columns = size.ws_col;
    fl_progress_format(progress, at_ms - progress->begun_ms, columns, line);
    fflush(stdout); /* or its lines would come out behind the bar */
    fprintf(stderr, "%s%s", ERASE_LINE, line);
    fflush(stderr);
    progress->drawn = true;
    progress->drawn_ms = at_ms;
}

void fl_progress_step(struct fl_progress *progress, size_t done, size_t failed)
{
    progress->done = done;
    progress->failed = failed;
    if (!progress->enabled)
        return;
    int64_t at_ms = now_ms();
    if (at_ms - progress->begun_ms < FIRST_DRAW_MS || at_ms - progress->drawn_ms < REDRAW_MS)
        return;
    draw(progress, at_ms);
}

void fl_progress_clear(struct fl_progress *progress)
{
    if (!progress->drawn)
        return;
    fputs(ERASE_LINE, stderr);
    fflush(stderr);
    progress->drawn = false;
}

void fl_progress_finish(struct fl_progress *progress)
{
    fl_progress_clear(progress);
    progress->enabled = false;
}
