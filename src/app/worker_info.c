/* worker_info.c - see worker_info.h. */
#include "app/worker_info.h"

#include <stdio.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/json_write.h"
#include "base/slice.h"

enum { JOBS_SHOWN = 64 };

static void write_members(struct fl_json_writer *json, const struct fl_worker_info *info)
{
    const size_t *counts = info->runs->counts;
    const struct {
        const char *name, *text;
    } TEXTS[] = {{"worker", info->worker},
                 {"host", info->host},
                 {"version", FL_VERSION},
                 {"started", info->started_at},
                 {"state", info->state}};
    const struct {
        const char *name;
        int64_t number;
    } NUMBERS[] = {
        {"pid", getpid()},
        {"slots", info->slots},
        {"running", (int64_t)(counts[FL_RUN_BEGINNING] + counts[FL_RUN_RUNNING])},
        {"parked", (int64_t)(counts[FL_RUN_PARKED] + counts[FL_RUN_RESUMABLE] + counts[FL_RUN_HELD])}};
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        fl_json_write_name(json, TEXTS[i].name);
        fl_json_write_string(json, fl_slice_from(TEXTS[i].text));
    }
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++) {
        fl_json_write_name(json, NUMBERS[i].name);
        fl_json_write_int64(json, NUMBERS[i].number);
    }
}

static void write_jobs(struct fl_json_writer *json, const struct fl_runs *runs)
{
    int64_t jobs[JOBS_SHOWN];
    size_t count = fl_runs_list(runs, jobs, JOBS_SHOWN);
    fl_json_write_name(json, "jobs");
    fl_json_write_begin_array(json);
    for (size_t i = 0; i < count; i++)
        fl_json_write_int64(json, jobs[i]);
    fl_json_write_end_array(json);
}

struct fl_slice fl_worker_info_format(const struct fl_worker_info *info, char out[FL_WORKER_INFO_BYTES])
{
    struct fl_json_writer json;
    FILE *stream = fmemopen(out, FL_WORKER_INFO_BYTES, "w");
    FL_ASSERT(stream); /* without memory for a few KiB the process cannot go on */
    fl_json_write_init(&json, stream);
    fl_json_write_begin_object(&json);
    write_members(&json, info);
    write_jobs(&json, info->runs);
    fl_json_write_end_object(&json);
    fclose(stream);
    return fl_slice_from(out);
}
