/* cmd_check.c - parses and validates files without any server.
 *
 * Happy path: expand the paths; per file read, parse, report; one arena serves all files. Failure modes: a
 * file that is missing, unreadable or invalid is reported in its place and the rest goes on; the exit code is
 * the worst. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/slice.h"
#include "cli/commands.h"
#include "cli/document_table.h"
#include "cli/paths.h"
#include "cli/print.h"
#include "core/job.h"
#include "core/parse.h"
#include "io/file_read.h"

enum { PATHS_LIMIT_BYTES = 1 << 30, ROWS_LIMIT_BYTES = 512 << 20 };

/* What one run of check has at hand. */
struct check {
    const struct fl_args *args;
    const struct fl_settings *settings;
    struct fl_arena arena; /* of the file at hand */
    struct fl_json_writer json;
    bool out_color, err_color;
};

static struct fl_slice name_of(const struct fl_path *path)
{
    return path->is_stdin ? FL_SLICE("-") : fl_slice_from(path->path);
}

static fl_status read_and_parse(struct check *check, const struct fl_path *path, struct fl_document *doc,
                                struct fl_err *err)
{
    struct fl_slice bytes, episode;
    size_t limit_bytes = check->settings->limits.file_bytes;
    if (path->error)
        return fl_err_set(err, FL_UNREADABLE, "%s", path->error);
    fl_status status = path->is_stdin
                           ? fl_file_read_descriptor(STDIN_FILENO, limit_bytes, &check->arena, &bytes, err)
                           : fl_file_read(path->path, limit_bytes, &check->arena, &bytes, err);
    if (status != FL_OK)
        return status;
    struct fl_parse_hint hint = {.format = check->args->format, .kind = check->args->kind};
    enum fl_kind name_kind = FL_KIND_NONE;
    if (!path->is_stdin)
        fl_job_from_path(fl_slice_from(path->path), &episode, &name_kind, &hint.name_format);
    /* An option says what the file is; only without one its name does, as import takes it. */
    if (hint.kind == FL_KIND_NONE)
        hint.kind = hint.format ? fl_format_kind(hint.format) : name_kind;
    return fl_parse_document(bytes, &hint, &check->settings->limits, &check->arena, doc, err);
}

static void write_text(struct fl_json_writer *json, const char *name, struct fl_slice text)
{
    fl_json_write_name(json, name);
    fl_json_write_string(json, text);
}

static void write_number(struct fl_json_writer *json, const char *name, int64_t number)
{
    fl_json_write_name(json, name);
    fl_json_write_int64(json, number);
}

static void report_json(struct check *check, const struct fl_path *path, const struct fl_document *doc)
{
    struct fl_json_writer *json = &check->json;
    char sha256[2 * FL_SHA256_BYTES + 1];
    for (size_t i = 0; i < FL_SHA256_BYTES; i++)
        snprintf(sha256 + 2 * i, 3, "%02x", doc->sha256[i]);
    fl_json_write_begin_object(json);
    write_text(json, "file", name_of(path));
    write_text(json, "format", fl_slice_from(fl_format_name(doc->format)));
    write_text(json, "kind", fl_slice_from(fl_kind_name(doc->kind)));
    write_number(json, "row_count", (int64_t)doc->row_count);
    write_number(json, "first_start_ms", fl_document_first_start_ms(doc));
    write_number(json, "last_end_ms", fl_document_last_end_ms(doc));
    write_text(json, "sha256", fl_slice_from(sha256));
    fl_json_write_name(json, "warnings");
    fl_document_write_warnings(doc, json);
    if (check->args->rows) {
        struct fl_table table = fl_document_table(doc);
        fl_json_write_name(json, "rows");
        fl_print_json_rows(json, &table);
    }
    fl_json_write_end_object(json);
    fl_json_write_end_line(json);
}

static void report_warnings(const struct check *check, const struct fl_path *path,
                            const struct fl_document *doc)
{
    for (size_t i = 0; i < doc->warnings_stored; i++) {
        const struct fl_warning *warning = &doc->warnings[i];
        fl_print_text(stderr, name_of(path));
        if (warning->line)
            fprintf(stderr, ":%" PRIu32, warning->line);
        fprintf(stderr, ": %swarning:%s ", fl_print_color(FL_COLOR_YELLOW, check->err_color),
                fl_print_color(FL_COLOR_NONE, check->err_color));
        fl_print_text(stderr, warning->text);
        fprintf(stderr, " (%s)\n", warning->rule);
    }
}

/* "ep39.vtt: transcript, 12 segments (vtt), 0:00:00.000 to 0:12:03.004, 2 warnings" */
static void report_plain(const struct check *check, const struct fl_path *path, const struct fl_document *doc)
{
    char first[FL_TIME_BYTES], last[FL_TIME_BYTES];
    const char *row_word = doc->kind == FL_CHAPTERS ? "chapter" : "segment";
    if (!check->args->quiet) {
        fl_print_text(stdout, name_of(path));
        printf(": %s%s%s, %zu %s%s (%s), %s to %s", fl_print_color(FL_COLOR_GREEN, check->out_color),
               fl_kind_name(doc->kind), fl_print_color(FL_COLOR_NONE, check->out_color), doc->row_count,
               row_word, doc->row_count == 1 ? "" : "s", fl_format_name(doc->format),
               fl_format_time(fl_document_first_start_ms(doc), first),
               fl_format_time(fl_document_last_end_ms(doc), last));
        if (doc->warning_count)
            printf(", %zu warning%s", doc->warning_count, doc->warning_count == 1 ? "" : "s");
        putchar('\n');
        fflush(stdout); /* so that on a terminal, or in one log, its warnings stand below it */
        report_warnings(check, path, doc);
    }
}

static void report_error(struct check *check, const struct fl_path *path, const struct fl_err *err)
{
    if (check->args->json) {
        fl_json_write_begin_object(&check->json);
        write_text(&check->json, "file", name_of(path));
        write_text(&check->json, "error", fl_slice_from(err->text));
        fl_json_write_end_object(&check->json);
        fl_json_write_end_line(&check->json);
        return;
    }
    fl_print_text(stderr, name_of(path));
    fprintf(stderr, ": %serror:%s ", fl_print_color(FL_COLOR_RED, check->err_color),
            fl_print_color(FL_COLOR_NONE, check->err_color));
    fl_print_text(stderr, fl_slice_from(err->text));
    fputc('\n', stderr);
}

static int check_file(struct check *check, const struct fl_path *path)
{
    struct fl_document doc = {0};
    struct fl_err err = {0};
    fl_status status = read_and_parse(check, path, &doc, &err);
    if (status != FL_OK)
        report_error(check, path, &err);
    else if (check->args->json || check->args->rows)
        report_json(check, path, &doc);
    else
        report_plain(check, path, &doc);
    fl_arena_release(&check->arena);
    return fl_status_exit_code(status);
}

int fl_cmd_check(struct fl_args *args, struct fl_settings *settings)
{
    struct fl_arena list;
    struct fl_paths paths;
    struct fl_err err = {0};
    struct check check = {.args = args,
                          .settings = settings,
                          .out_color = fl_print_wants_color(stdout, args->no_color),
                          .err_color = fl_print_wants_color(stderr, args->no_color)};
    /* Bytes of the file, up to three times as many when it is decoded or repaired, texts of JSON, and the
     * rows. */
    fl_arena_init(&check.arena, settings->limits.file_bytes * 8 + ROWS_LIMIT_BYTES);
    fl_arena_init(&list, PATHS_LIMIT_BYTES);
    fl_json_write_init(&check.json, stdout);
    int exit_code = 0;
    fl_status status = fl_paths_expand(&paths, &list, args->paths, args->path_count, &err);
    if (status != FL_OK) {
        fl_print_error(&err);
        exit_code = fl_status_exit_code(status);
    }
    for (size_t i = 0; status == FL_OK && i < paths.count; i++)
        exit_code = fl_exit_worse(exit_code, check_file(&check, &paths.items[i]));
    fl_arena_release(&list);
    return exit_code;
}
