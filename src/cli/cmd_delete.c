/* cmd_delete.c - `fenceline delete EPISODE [KIND]`: a job like any other, through the whole protocol. */
#include "base/slice.h"
#include "cli/commands.h"
#include "cli/import_report.h"

enum { EXIT_INTERRUPTED = 130 };

struct delete_run {
    struct fl_slice episode;
    enum fl_kind only, next; /* FL_KIND_NONE in `only`: both kinds */
    struct fl_import_report report;
};

static bool next_item(void *owner, struct fl_import_item *item)
{
    struct delete_run *run = owner;
    if (run->next > FL_TRANSCRIPT)
        return false;
    *item =
        (struct fl_import_item){.job = {.episode = run->episode, .kind = run->next, .mode = FL_MODE_DELETE}};
    run->next = run->only == FL_KIND_NONE ? run->next + 1 : FL_TRANSCRIPT + 1;
    return true;
}

static void on_result(void *owner, const struct fl_import_result *result)
{
    struct delete_run *run = owner;
    fl_import_report_result(&run->report, result);
}

int fl_cmd_delete(struct fl_args *args, struct fl_settings *settings)
{
    struct delete_run run = {
        .episode = fl_slice_from(args->paths[0]),
        .only = args->kind,
        .next = args->kind == FL_KIND_NONE ? FL_CHAPTERS : args->kind,
    };
    struct fl_importer_calls calls = {.owner = &run, .next = next_item, .result = on_result};
    struct fl_importer_end end = {0};
    struct fl_err err = {0};
    fl_import_report_init(&run.report, args, args->kind == FL_KIND_NONE ? 2 : 1);
    fl_status status = fl_importer_run(settings, &calls, &end, &err);
    int exit_code = fl_import_report_finish(&run.report);
    if (status != FL_OK)
        fl_print_error(&err);
    if (end.interrupted)
        return EXIT_INTERRUPTED;
    return fl_exit_worse(exit_code, fl_status_exit_code(status));
}
