/* cmd_enqueue.c - `fenceline enqueue`: files, folders or a manifest become jobs for workers.
 *
 * Happy path: the inputs go to the enqueuer one by one; say how many were written; with --wait follow them to
 * their outcomes. Failure modes: an input that is wrong is reported in its turn and costs exit code 4, and
 * the rest is enqueued; Postgres away ends the run with 6, and what was written stays written and is told. */
#include <inttypes.h>

#include "cli/commands.h"
#include "cli/enqueue_input.h"
#include "cli/follow.h"

enum { EXIT_INTERRUPTED = 130 };

struct enqueue_run {
    const struct fl_args *args;
    const struct fl_settings *settings;
    struct fl_enqueue_input input;
    struct fl_import_report report;
    struct fl_follow follow;
    fl_status follow_status; /* of adding to it */
    struct fl_err follow_err;
    size_t written;
    int64_t first_id, last_id; /* lowest and highest */
};

/* ---- what was written ---- */

static enum fl_enqueue_next next_job(void *owner, struct fl_arena *arena, struct fl_submit_job *job)
{
    struct enqueue_run *run = owner;
    return fl_enqueue_input_next(&run->input, arena, job);
}

static void report_job(struct enqueue_run *run, const struct fl_submit_job *job, int64_t job_id)
{
    if (run->args->json) {
        struct fl_import_item item = {.name = job->source};
        struct fl_import import = {.job = {.job_id = job_id, .episode = job->episode, .kind = job->kind}};
        fl_import_report_result(
            &run->report, &(struct fl_import_result){.item = &item, .import = &import, .elapsed_ms = -1});
        return;
    }
    run->report.done++;
    if (!run->args->verbose)
        return;
    fl_progress_clear(&run->report.progress);
    fl_print_text(stdout, job->episode);
    printf(": %s enqueued as job %" PRId64, fl_kind_name(job->kind), job_id);
    if (job->source.ptr) {
        fputs(" (", stdout);
        fl_print_text(stdout, job->source);
        fputs(job->body.ptr ? ", inline)" : ")", stdout);
    }
    putchar('\n');
}

static void on_written(void *owner, const struct fl_submit_job *jobs, const int64_t *job_ids, size_t count)
{
    struct enqueue_run *run = owner;
    bool waits = run->args->wait;
    for (size_t i = 0; i < count; i++) {
        if (run->written++ == 0)
            run->first_id = run->last_id = job_ids[i];
        run->first_id = job_ids[i] < run->first_id ? job_ids[i] : run->first_id;
        run->last_id = job_ids[i] > run->last_id ? job_ids[i] : run->last_id;
        if (waits && run->args->json)
            run->report.done++; /* its outcome will be its line */
        else
            report_job(run, &jobs[i], job_ids[i]);
    }
    fflush(stdout); /* somebody may read the lines as they come */
    if (waits && run->follow_status == FL_OK)
        run->follow_status = fl_follow_add(&run->follow, job_ids, count, &run->follow_err);
    fl_progress_step(&run->report.progress, run->report.done, run->report.failed);
}

/* "3 jobs enqueued (ids 17 to 19), 1 input not" */
static void print_summary(const struct enqueue_run *run)
{
    size_t not_taken = run->report.failed;
    if (run->args->json || run->args->quiet)
        return;
    if (run->written == 0)
        fputs("no jobs enqueued", stdout);
    else if (run->written == 1)
        printf("1 job enqueued (id %" PRId64 ")", run->first_id);
    else if ((size_t)(run->last_id - run->first_id) + 1 == run->written)
        printf("%zu jobs enqueued (ids %" PRId64 " to %" PRId64 ")", run->written, run->first_id,
               run->last_id);
    else
        printf("%zu jobs enqueued (ids from %" PRId64 " to %" PRId64 ", others in between)", run->written,
               run->first_id, run->last_id);
    if (not_taken)
        printf(", %zu input%s not", not_taken, not_taken == 1 ? "" : "s");
    putchar('\n');
    fflush(stdout);
}

static void print_end(const struct enqueue_run *run, const struct fl_enqueuer_end *end)
{
    const struct fl_enqueue_input *input = &run->input;
    size_t left = end->not_written + fl_enqueue_input_left(input);
    if (end->unknown)
        fprintf(
            stderr,
            "fenceline: whether %zu more job%s enqueued is not known: Postgres took them and did not answer; "
            "'fenceline jobs list' shows them if so\n",
            end->unknown, end->unknown == 1 ? " was" : "s were");
    if (left && !run->args->quiet)
        fprintf(stderr, "fenceline: %zu input%s not attempted\n", left, left == 1 ? "" : "s");
    if (input->manifest && (end->interrupted || left || end->unknown) && !run->args->quiet)
        fprintf(stderr, "fenceline: %s was read to line %" PRIu64 "\n", input->manifest,
                input->lines.line_number);
}

/* ---- --wait ---- */

static int wait_for_outcomes(struct enqueue_run *run)
{
    struct fl_import_report *report = &run->report;
    struct fl_err err = run->follow_err;
    bool interrupted = false;
    size_t total = run->follow.open_count + report->failed;
    report->done = report->failed; /* now outcomes count */
    fl_progress_finish(&report->progress);
    fl_progress_init(&report->progress, total, !run->args->quiet && !run->args->json);
    fl_status status = run->follow_status;
    if (status == FL_OK)
        status = fl_follow_run(&run->follow, run->settings, report, &interrupted, &err);
    int exit_code = fl_import_report_finish(report);
    if (status != FL_OK)
        fl_print_error(&err);
    if (run->follow.open_count)
        fprintf(
            stderr,
            "fenceline: no longer following; %zu job%s stay enqueued, and 'fenceline jobs list' shows them\n",
            run->follow.open_count, run->follow.open_count == 1 ? "" : "s");
    return interrupted ? EXIT_INTERRUPTED : fl_exit_worse(exit_code, fl_status_exit_code(status));
}

/* ---- the command ---- */

static int enqueue_all(struct enqueue_run *run)
{
    struct fl_enqueuer_calls calls = {
        .owner = run, .next = next_job, .written = on_written, .wait_fd = run->input.lines.watch_fd};
    struct fl_enqueuer_end end = {0};
    struct fl_err err = {0};
    fl_import_report_init(&run->report, run->args, fl_enqueue_input_left(&run->input));
    run->input.report = &run->report;
    fl_status status = fl_enqueuer_run(run->settings, &calls, &end, &err);
    int exit_code = fl_exit_worse(run->report.exit_code, fl_status_exit_code(status));
    fl_progress_clear(&run->report.progress);
    if (status != FL_OK)
        fl_print_error(&err);
    print_summary(run);
    print_end(run, &end);
    if (!run->args->wait || run->written == 0 || end.interrupted) {
        fl_progress_finish(&run->report.progress);
        return end.interrupted ? EXIT_INTERRUPTED : exit_code;
    }
    return fl_exit_worse(wait_for_outcomes(run), exit_code);
}

int fl_cmd_enqueue(struct fl_args *args, struct fl_settings *settings)
{
    struct enqueue_run run = {.args = args, .settings = settings};
    struct fl_err err = {0};
    fl_status status = fl_enqueue_input_open(&run.input, args, settings, &err);
    int exit_code = fl_status_exit_code(status);
    if (status == FL_OK)
        exit_code = enqueue_all(&run);
    else
        fl_print_error(&err);
    fl_follow_release(&run.follow);
    fl_enqueue_input_release(&run.input);
    return exit_code;
}
