/* progress.h - a progress bar on stderr, where stderr is a terminal; nothing elsewhere.
 *
 *     fl_progress_init(&progress, total, enabled);
 *     fl_progress_step(&progress, done, failed);      after each piece of work
 *     fl_progress_clear(&progress);                   before any line is printed to stdout or stderr
 *     fl_progress_finish(&progress); */
#ifndef FL_CLI_PROGRESS_H
#define FL_CLI_PROGRESS_H

#include "fenceline/types.h"

enum { FL_PROGRESS_BYTES = 256 };

struct fl_progress {
    bool enabled, drawn;
    size_t total; /* 0 = unknown */
    size_t done, failed;
    int64_t begun_ms, drawn_ms;
};

/* enabled false (--quiet, --json) = never draw; true = draw if stderr is a terminal that can move its cursor.
 */
void fl_progress_init(struct fl_progress *progress, size_t total, bool enabled);

/* Counts so far, not since the last call. Draws at most ten times a second, and not in the first 0.2 s. */
void fl_progress_step(struct fl_progress *progress, size_t done, size_t failed);

/* Takes the bar off the screen; the next step may draw it again. Cheap when there is none. */
void fl_progress_clear(struct fl_progress *progress);

/* Takes it off for good. */
void fl_progress_finish(struct fl_progress *progress);

/* The text of the bar after elapsed_ms for a terminal of that many columns, without escapes; for tests too.
 */
void fl_progress_format(const struct fl_progress *progress, int64_t elapsed_ms, size_t columns,
                        char out[FL_PROGRESS_BYTES]);

#endif
