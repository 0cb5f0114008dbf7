/* import_report.c - see import_report.h. */
#include "cli/import_report.h"

#include <inttypes.h>
#include <time.h>

#include "base/slice.h"

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void fl_import_report_init(struct fl_import_report *report, const struct fl_args *args, size_t total)
{
    *report = (struct fl_import_report){
        .args = args,
        .color_out = fl_print_wants_color(stdout, args->no_color),
        .color_err = fl_print_wants_color(stderr, args->no_color),
        .begun_ms = now_ms(),
    };
    fl_progress_init(&report->progress, total, !args->quiet && !args->json);
}

static void count(struct fl_import_report *report, enum fl_outcome outcome, int exit_code)
{
    report->counts[outcome]++;
    report->exit_code = fl_exit_worse(report->exit_code, exit_code);
    report->done++;
    report->failed += exit_code != 0;
}

static void step(struct fl_import_report *report)
{
    fl_progress_step(&report->progress, report->done, report->failed);
}

/* ---- JSON: the same members for every way to end ---- */

struct line {
    struct fl_slice file;
    const struct fl_import_job *job; /* NULL: no job was made */
    const struct fl_document *document;
    const char *outcome;
    int64_t version, row_count, elapsed_ms; /* version, row_count 0 = null; elapsed_ms < 0 = null */
    struct fl_slice message;
    int exit_code;
    bool dry_run;
};

static void write_number(struct fl_json_writer *json, const char *name, int64_t number, bool is_known)
{
    fl_json_write_name(json, name);
    if (is_known)
        fl_json_write_int64(json, number);
    else
        fl_json_write_null(json);
}

static void write_text(struct fl_json_writer *json, const char *name, struct fl_slice text)
{
    fl_json_write_name(json, name);
    fl_json_write_string(json, text);
}

static void print_json(const struct line *line)
{
    struct fl_json_writer json;
    const struct fl_import_job *job = line->job;
    fl_json_write_init(&json, stdout);
    fl_json_write_begin_object(&json);
    write_text(&json, "file", line->file);
    write_text(&json, "episode", job ? job->episode : (struct fl_slice){0});
    write_text(&json, "kind", job ? fl_slice_from(fl_kind_name(job->kind)) : (struct fl_slice){0});
    write_number(&json, "job_id", job ? job->job_id : 0, job && job->job_id);
    write_text(&json, "outcome", fl_slice_from(line->outcome));
    write_number(&json, "version", line->version, line->version > 0);
    write_number(&json, "row_count", line->row_count, line->version > 0 || line->dry_run);
    write_text(&json, "message", line->message.len ? line->message : (struct fl_slice){0});
    fl_json_write_name(&json, "warnings");
    if (line->document) {
        fl_document_write_warnings(line->document, &json);
    } else {
        fl_json_write_begin_array(&json);
        fl_json_write_end_array(&json);
    }
    write_number(&json, "elapsed_ms", line->elapsed_ms, line->elapsed_ms >= 0);
    write_number(&json, "exit_code", line->exit_code, true);
    if (line->dry_run) {
        fl_json_write_name(&json, "dry_run");
        fl_json_write_bool(&json, true);
    }
    fl_json_write_end_object(&json);
    fl_json_write_end_line(&json);
}

/* ---- plain lines ---- */

static const char *unit_of(enum fl_kind kind, int64_t count_of_rows)
{
    if (kind == FL_CHAPTERS)
        return count_of_rows == 1 ? "chapter" : "chapters";
    return count_of_rows == 1 ? "segment" : "segments";
}

static void print_warnings(const struct fl_import_report *report, struct fl_slice file,
                           const struct fl_document *doc)
{
    if (!report->args->verbose || !doc)
        return;
    for (size_t i = 0; i < doc->warnings_stored; i++) {
        fl_print_text(stderr, file);
        fprintf(stderr, ":%" PRIu32 ": warning: ", doc->warnings[i].line);
        fl_print_text(stderr, doc->warnings[i].text);
        fprintf(stderr, " (%s)\n", doc->warnings[i].rule);
    }
}

static void print_source(struct fl_slice file, const struct fl_document *doc, int64_t elapsed_ms)
{
    fputs(" (", stdout);
    fl_print_text(stdout, file);
    if (elapsed_ms >= 0)
        printf(", %" PRId64 " ms", elapsed_ms);
    if (doc && doc->warning_count)
        printf(", %zu warning%s", doc->warning_count, doc->warning_count == 1 ? "" : "s");
    puts(")");
}

/* "ep39: 12 chapters imported, version 7 (ep39.chapters.json, 5 ms)" */
static void print_good(const struct fl_import_report *report, const struct line *line,
                       enum fl_outcome outcome)
{
    enum fl_color color = outcome == FL_OUTCOME_UNCHANGED ? FL_COLOR_NONE : FL_COLOR_GREEN;
    enum fl_kind kind = line->job->kind;
    if (report->args->quiet)
        return;
    fl_print_text(stdout, line->job->episode);
    fputs(": ", stdout);
    if (color != FL_COLOR_NONE)
        fputs(fl_print_color(color, report->color_out), stdout);
    const char *would = line->dry_run ? "would be " : "";
    if (outcome == FL_OUTCOME_IMPORTED && line->dry_run)
        printf("%" PRId64 " %s would be imported", line->row_count, unit_of(kind, line->row_count));
    else if (outcome == FL_OUTCOME_IMPORTED)
        printf("%" PRId64 " %s imported, version %" PRId64, line->row_count, unit_of(kind, line->row_count),
               line->version);
    else if (outcome == FL_OUTCOME_DELETED)
        printf("%s deleted, version %" PRId64, fl_kind_name(kind), line->version);
    else if (line->job->mode == FL_MODE_DELETE)
        printf("no %s to delete", fl_kind_name(kind));
    else
        printf("%s %sunchanged: the same %" PRId64 " %s are there, version %" PRId64, fl_kind_name(kind),
               would, line->row_count, unit_of(kind, line->row_count), line->version);
    if (color != FL_COLOR_NONE)
        fputs(fl_print_color(FL_COLOR_NONE, report->color_out), stdout);
    if (line->file.len)
        print_source(line->file, line->document, line->elapsed_ms);
    else
        putchar('\n');
}

/* A refusal's message names the episode itself; the others need to be told where they come from. */
static void print_bad(const struct fl_import_report *report, const struct line *line, bool names_episode)
{
    fflush(stdout); /* the two streams may go to one place */
    fputs(fl_print_color(names_episode ? FL_COLOR_YELLOW : FL_COLOR_RED, report->color_err), stderr);
    if (!names_episode && line->file.len) {
        fl_print_text(stderr, line->file);
        fputs(": ", stderr);
    }
    if (!names_episode && line->job) {
        fprintf(stderr, "%s: ", line->outcome);
    }
    fl_print_text(stderr, line->message);
    fprintf(stderr, "%s\n", fl_print_color(FL_COLOR_NONE, report->color_err));
}

static bool starts_with_episode(struct fl_slice message, struct fl_slice episode)
{
    struct fl_slice start = {message.ptr, episode.len};
    return message.len > episode.len && fl_slice_eq(start, episode) && message.ptr[episode.len] == ':';
}

static void print_line(struct fl_import_report *report, const struct line *line, enum fl_outcome outcome)
{
    fl_progress_clear(&report->progress);
    bool names_episode = line->job && starts_with_episode(line->message, line->job->episode);
    if (report->args->json)
        print_json(line);
    else if (line->exit_code == 0 && line->job)
        print_good(report, line, outcome);
    else
        print_bad(report, line, names_episode);
    if (!report->args->json)
        print_warnings(report, line->file, line->document);
    step(report);
}

void fl_import_report_result(struct fl_import_report *report, const struct fl_import_result *result)
{
    const struct fl_import *im = result->import;
    bool undecided = im->undecided != FL_OK;
    enum fl_outcome outcome = undecided ? FL_OUTCOME_OPEN : im->answer.outcome;
    struct line line = {
        .file = result->item->name,
        .job = &im->job,
        .document = result->document,
        .outcome = undecided ? "undecided" : fl_outcome_name(outcome),
        .version = undecided ? 0 : im->answer.version,
        .row_count = undecided ? 0 : im->answer.row_count,
        .elapsed_ms = result->elapsed_ms,
        .message = fl_slice_from(undecided ? im->want_err.text : im->answer.message),
        .exit_code = result->exit_code,
    };
    count(report, outcome, result->exit_code);
    print_line(report, &line, outcome);
}

void fl_import_report_preview(struct fl_import_report *report, const struct fl_import_preview *preview)
{
    struct line line = {
        .file = preview->file,
        .job = preview->job,
        .document = preview->document,
        .outcome = fl_outcome_name(preview->outcome),
        .row_count = (int64_t)preview->document->row_count,
        .elapsed_ms = -1,
        .message = preview->message,
        .exit_code = preview->outcome == FL_OUTCOME_REJECTED ? 3 : 0,
        .dry_run = true,
    };
    count(report, preview->outcome, line.exit_code);
    print_line(report, &line, preview->outcome);
}

void fl_import_report_problem(struct fl_import_report *report, struct fl_slice file, const struct fl_err *err)
{
    struct line line = {
        .file = file,
        .outcome = fl_outcome_name(FL_OUTCOME_INVALID),
        .elapsed_ms = -1,
        .message = fl_slice_from(err->text),
        .exit_code = fl_status_exit_code(err->code),
    };
    count(report, FL_OUTCOME_INVALID, line.exit_code);
    print_line(report, &line, FL_OUTCOME_INVALID);
}

void fl_import_report_note(struct fl_import_report *report, const struct fl_import *im, const char *note)
{
    fl_progress_clear(&report->progress);
    fl_print_text(stderr, im->job.episode);
    fprintf(stderr, ": %s (job %" PRId64 ", %s)\n", note, im->job.job_id, fl_import_state_name(im->state));
}

int fl_import_report_finish(struct fl_import_report *report)
{
    fl_progress_finish(&report->progress);
    if (report->args->json || report->args->quiet || report->done < 2)
        return report->exit_code;
    fflush(stdout);
    const char *separator = report->args->dry_run ? "dry run, nothing was written: " : "";
    for (int outcome = FL_OUTCOME_IMPORTED; outcome <= FL_OUTCOME_CANCELLED; outcome++) {
        if (!report->counts[outcome])
            continue;
        fprintf(stderr, "%s%zu %s", separator, report->counts[outcome],
                fl_outcome_name((enum fl_outcome)outcome));
        separator = ", ";
    }
    if (report->counts[FL_OUTCOME_OPEN])
        fprintf(stderr, "%s%zu undecided", separator, report->counts[FL_OUTCOME_OPEN]);
    fprintf(stderr, " in %.2f s\n", (double)(now_ms() - report->begun_ms) / 1000);
    return report->exit_code;
}
