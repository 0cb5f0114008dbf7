/* process_info.c - see process_info.h. */
#include "app/process_info.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/json_write.h"
#include "base/slice.h"

void fl_process_name_init(struct fl_process_name *name, struct fl_clock_port *clock, const char *prefix)
{
    uint64_t random[2];
    *name = (struct fl_process_name){.host = "?"};
    clock->random(clock->self, random);
    gethostname(name->host, sizeof name->host - 1);
    for (char *c = name->host; *c; c++)
        if (*c <= ' ' || *c == ':' || *c == 0x7f)
            *c = '-';
    snprintf(name->id, sizeof name->id, "%s%s:%ld:%06" PRIx64, prefix, name->host, (long)getpid(),
             random[0] >> 40);
    time_t now = time(NULL);
    struct tm utc;
    strftime(name->started_at, sizeof name->started_at, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
}

struct number {
    const char *name;
    int64_t value;
};

static void write_numbers(struct fl_json_writer *json, const struct number *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fl_json_write_name(json, numbers[i].name);
        fl_json_write_int64(json, numbers[i].value);
    }
}

static void write_process(struct fl_json_writer *json, const struct fl_process_info *info)
{
    const struct {
        const char *name, *text;
    } TEXTS[] = {{"worker", info->name->id},          {"holder", info->holder},
                 {"host", info->name->host},          {"version", FL_VERSION},
                 {"started", info->name->started_at}, {"state", info->state}};
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        fl_json_write_name(json, TEXTS[i].name);
        fl_json_write_string(json, fl_slice_from(TEXTS[i].text));
    }
    const struct number numbers[] = {
        {"pid", getpid()}, {"slots", info->slots}, {"running", info->running}, {"parked", info->parked}};
    write_numbers(json, numbers, sizeof numbers / sizeof *numbers);
}

static void write_jobs(struct fl_json_writer *json, const struct fl_process_info *info)
{
    fl_json_write_name(json, "jobs");
    fl_json_write_begin_array(json);
    for (size_t i = 0; i < info->job_count && i < FL_PROCESS_INFO_JOBS; i++)
        fl_json_write_int64(json, info->jobs[i]);
    fl_json_write_end_array(json);
}

static void write_import(struct fl_json_writer *json, const struct fl_drive *drive, int64_t now_ms)
{
    const struct fl_lease *lease = &drive->import.lease;
    const struct number numbers[] = {{"job", drive->import.job.job_id},
                                     {"token", lease->held ? lease->token.n : 0},
                                     {"renewals", lease->renewals},
                                     {"held_ms", lease->held ? now_ms - lease->granted_ms : 0},
                                     {"idle_ms", now_ms - drive->progress_ms},
                                     {"backend", drive->request.backend_pid}};
    fl_json_write_begin_object(json);
    write_numbers(json, numbers, sizeof numbers / sizeof *numbers);
    fl_json_write_name(json, "phase");
    fl_json_write_string(json, fl_slice_from(fl_drive_phase(drive)));
    fl_json_write_end_object(json);
}

struct fl_slice fl_process_info_format(const struct fl_process_info *info, char out[FL_PROCESS_INFO_BYTES])
{
    struct fl_json_writer json;
    FILE *stream = fmemopen(out, FL_PROCESS_INFO_BYTES, "w");
    FL_ASSERT(stream); /* without memory for a few KiB the process cannot go on */
    fl_json_write_init(&json, stream);
    fl_json_write_begin_object(&json);
    write_process(&json, info);
    write_jobs(&json, info);
    fl_json_write_name(&json, "imports");
    fl_json_write_begin_array(&json);
    for (size_t i = 0; i < info->drive_count && i < FL_PROCESS_INFO_IMPORTS; i++)
        write_import(&json, info->drives[i], info->now_ms);
    fl_json_write_end_array(&json);
    fl_json_write_end_object(&json);
    fclose(stream);
    return fl_slice_from(out);
}
