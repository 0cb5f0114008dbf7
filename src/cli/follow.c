/* follow.c - see follow.h.
 *
 * Happy path: ask for the oldest open jobs and for some further ones in turn (priorities and times let them
 * end in any order), report what was decided, and ask again after a pause that grows while nothing happens.
 * Failure modes: Postgres away: connect again, with a pause, until the patience is over; an interrupt ends
 * the pause and the wait. */
#include "cli/follow.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/slice.h"
#include "io/pg_follow.h"
#include "io/pg_sync.h"

enum {
    BLOCKS_A_QUESTION = FL_FOLLOW_LIMIT / FL_FOLLOW_BLOCK_IDS,
    SHORTEST_PAUSE_MS = 50,
    LONGEST_PAUSE_MS = 500,
    EXIT_INTERRUPTED = 130,
};

void fl_follow_release(struct fl_follow *follow)
{
    free(follow->blocks);
    *follow = (struct fl_follow){0};
}

/* ---- the jobs that are open ---- */

static bool make_room(struct fl_follow *follow)
{
    if (follow->count < follow->capacity)
        return true;
    size_t wanted = follow->capacity ? follow->capacity * 2 : 16;
    struct fl_follow_block *moved = realloc(follow->blocks, wanted * sizeof *moved);
    if (!moved)
        return false;
    follow->blocks = moved;
    follow->capacity = wanted;
    return true;
}

/* Where the block with this number is, or would be. */
static size_t place_of(const struct fl_follow *follow, int64_t number)
{
    size_t low = 0, high = follow->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (follow->blocks[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The block with this number, made if need be; NULL without memory. */
static struct fl_follow_block *block_for(struct fl_follow *follow, int64_t number)
{
    size_t at = place_of(follow, number);
    if (at < follow->count && follow->blocks[at].number == number)
        return &follow->blocks[at];
    if (!make_room(follow))
        return NULL;
    memmove(&follow->blocks[at + 1], &follow->blocks[at], (follow->count - at) * sizeof *follow->blocks);
    follow->blocks[at] = (struct fl_follow_block){.number = number};
    follow->count++;
    return &follow->blocks[at];
}

fl_status fl_follow_add(struct fl_follow *follow, const int64_t *job_ids, size_t count, struct fl_err *err)
{
    for (size_t i = 0; i < count; i++) {
        struct fl_follow_block *block = block_for(follow, job_ids[i] / FL_FOLLOW_BLOCK_IDS);
        if (!block)
            return fl_err_set(err, FL_NO_MEMORY, "no memory to follow more than %zu jobs",
                              follow->open_count);
        size_t bit = (size_t)(job_ids[i] % FL_FOLLOW_BLOCK_IDS);
        block->open[bit / 64] |= UINT64_C(1) << bit % 64;
        follow->open_count++;
    }
    return FL_OK;
}

static bool is_done(const struct fl_follow_block *block)
{
    uint64_t any = 0;
    for (size_t i = 0; i < FL_FOLLOW_BLOCK_IDS / 64; i++)
        any |= block->open[i];
    return any == 0;
}

static void drop_done(struct fl_follow *follow)
{
    size_t kept = 0;
    for (size_t i = 0; i < follow->count; i++) {
        if (i == follow->next)
            follow->next = kept;
        if (!is_done(&follow->blocks[i]))
            follow->blocks[kept++] = follow->blocks[i];
    }
    follow->count = kept;
}

static size_t take_ids(const struct fl_follow_block *block, int64_t *job_ids)
{
    size_t count = 0;
    for (size_t bit = 0; bit < FL_FOLLOW_BLOCK_IDS; bit++)
        if (block->open[bit / 64] >> bit % 64 & 1)
            job_ids[count++] = block->number * FL_FOLLOW_BLOCK_IDS + (int64_t)bit;
    return count;
}

/* Half of a question is about the oldest jobs, half about the next ones in turn. */
static size_t choose(struct fl_follow *follow, int64_t job_ids[FL_FOLLOW_LIMIT])
{
    size_t count = 0, oldest = BLOCKS_A_QUESTION / 2;
    drop_done(follow);
    for (size_t i = 0; i < oldest && i < follow->count; i++)
        count += take_ids(&follow->blocks[i], job_ids + count);
    for (size_t i = oldest; i < BLOCKS_A_QUESTION && i < follow->count; i++) {
        if (follow->next < oldest || follow->next >= follow->count)
            follow->next = oldest;
        count += take_ids(&follow->blocks[follow->next++], job_ids + count);
    }
    return count;
}

static void note_done(struct fl_follow *follow, int64_t job_id)
{
    struct fl_follow_block *block = &follow->blocks[place_of(follow, job_id / FL_FOLLOW_BLOCK_IDS)];
    size_t bit = (size_t)(job_id % FL_FOLLOW_BLOCK_IDS);
    block->open[bit / 64] &= ~(UINT64_C(1) << bit % 64);
    follow->open_count--;
}

/* ---- reporting ---- */

static void read_answer(struct fl_import *import, const struct fl_pg_rows *rows, size_t row)
{
    struct fl_err message;
    fl_err_set(&message, FL_OK, "%.*s", FL_ARGS(fl_pg_rows_text(rows, row, FL_FOLLOW_MESSAGE)));
    memcpy(import->answer.message, message.text, sizeof import->answer.message);
    import->answer.outcome = fl_outcome_from_name(fl_pg_rows_text(rows, row, FL_FOLLOW_OUTCOME));
    import->answer.version = fl_pg_rows_int64(rows, row, FL_FOLLOW_VERSION);
    import->answer.row_count = fl_pg_rows_int64(rows, row, FL_FOLLOW_ROWS);
}

/* A job is reported as an import is. */
static void report_row(struct fl_import_report *report, const struct fl_pg_rows *rows, size_t row)
{
    const struct fl_args *args = report->args;
    struct fl_args silent = *args;
    struct fl_import_item item = {.name = fl_pg_rows_text(rows, row, FL_FOLLOW_SOURCE)};
    struct fl_import import = {
        .job = {.job_id = fl_pg_rows_int64(rows, row, FL_FOLLOW_JOB),
                .episode = fl_pg_rows_text(rows, row, FL_FOLLOW_EPISODE),
                .kind = fl_kind_from_name(fl_pg_rows_text(rows, row, FL_FOLLOW_KIND))}};
    (void)!fl_mode_from_name(fl_pg_rows_text(rows, row, FL_FOLLOW_MODE), &import.job.mode);
    if (fl_pg_rows_is_null(rows, row, FL_FOLLOW_OUTCOME))
        import.undecided = fl_err_set(&import.want_err, FL_FAILED,
                                      "job %" PRId64 " is gone: it was purged before its outcome was seen",
                                      import.job.job_id);
    else
        read_answer(&import, rows, row);
    struct fl_import_result result = {
        .item = &item, .import = &import, .elapsed_ms = -1, .exit_code = fl_import_exit_code(&import)};
    silent.quiet = args->quiet || (result.exit_code == 0 && !args->verbose);
    report->args = &silent;
    fl_import_report_result(report, &result);
    report->args = args;
}

/* ---- asking ---- */

static volatile sig_atomic_t stop_asked; /* of the process: a signal handler is given nothing of ours */

static void on_signal(int number)
{
    (void)number;
    if (stop_asked)
        _exit(EXIT_INTERRUPTED);
    stop_asked = 1;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Ends early when a signal comes. */
static void rest(int64_t pause_ms)
{
    const struct timespec pause = {.tv_sec = pause_ms / 1000, .tv_nsec = pause_ms % 1000 * 1000000};
    if (!stop_asked)
        nanosleep(&pause, NULL);
}

/* One question, on a connection that is opened if need be. *decided = how many jobs it told of. */
static fl_status ask(struct fl_follow *follow, const struct fl_settings *settings, struct fl_pg_sync **pg,
                     struct fl_import_report *report, size_t *decided, struct fl_err *err)
{
    int64_t job_ids[FL_FOLLOW_LIMIT];
    struct fl_pg_rows *rows = NULL;
    *decided = 0;
    size_t count = choose(follow, job_ids);
    fl_status status = FL_OK;
    if (!*pg)
        status = fl_pg_sync_open(pg, settings->postgres_dsn, settings->postgres_timeout_ms, err);
    if (status == FL_OK)
        status = fl_pg_follow(*pg, job_ids, count, &rows, err);
    if (status != FL_OK) {
        fl_pg_sync_close(*pg);
        *pg = NULL;
        return status;
    }
    *decided = fl_pg_rows_count(rows);
    for (size_t row = 0; row < *decided; row++) {
        report_row(report, rows, row);
        note_done(follow, fl_pg_rows_int64(rows, row, FL_FOLLOW_JOB));
    }
    fflush(stdout);
    fl_pg_rows_free(rows);
    return FL_OK;
}

static fl_status ask_until_done(struct fl_follow *follow, const struct fl_settings *settings,
                                struct fl_import_report *report, struct fl_err *err)
{
    struct fl_pg_sync *pg = NULL;
    fl_status status = FL_OK;
    int64_t pause_ms = SHORTEST_PAUSE_MS, well_ms = now_ms();
    while (follow->open_count && !stop_asked) {
        size_t decided;
        status = ask(follow, settings, &pg, report, &decided, err);
        bool is_away = status != FL_OK && fl_status_retryable(status) &&
                       now_ms() - well_ms < settings->policy.patience_ms;
        if (status != FL_OK && !is_away)
            break;
        if (status == FL_OK)
            well_ms = now_ms();
        pause_ms = decided ? SHORTEST_PAUSE_MS : pause_ms * 2;
        if (pause_ms > LONGEST_PAUSE_MS)
            pause_ms = LONGEST_PAUSE_MS;
        fl_progress_step(&report->progress, report->done, report->failed);
        if (follow->open_count)
            rest(pause_ms);
    }
    fl_pg_sync_close(pg);
    return stop_asked ? FL_OK : status;
}

fl_status fl_follow_run(struct fl_follow *follow, const struct fl_settings *settings,
                        struct fl_import_report *report, bool *interrupted, struct fl_err *err)
{
    struct sigaction action = {.sa_handler = on_signal}, before[2];
    stop_asked = 0;
    sigaction(SIGINT, &action, &before[0]);
    sigaction(SIGTERM, &action, &before[1]);
    fl_status status = ask_until_done(follow, settings, report, err);
    sigaction(SIGINT, &before[0], NULL);
    sigaction(SIGTERM, &before[1], NULL);
    *interrupted = stop_asked != 0;
    return status;
}
