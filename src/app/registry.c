/* registry.c - see registry.h. Failure modes: those of reading; text that is no JSON, or of another shape,
 * leaves the members unknown. */
#include "app/registry.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/slice.h"
#include "base/utf8.h"

enum { RUNNING_LIMIT = 256 };

struct reader {
    struct fl_registry *registry;
    struct fl_arena *arena;
    size_t capacity; /* of runnings */
};

static struct fl_slice text_of(struct fl_arena *arena, const struct fl_json *object, const char *name)
{
    struct fl_slice text = fl_json_string(fl_json_get(object, name));
    return text.ptr ? fl_arena_copy(arena, text) : text;
}

static int64_t number_of(const struct fl_json_text *json, const struct fl_json *object, const char *name)
{
    struct fl_slice digits = fl_json_number(json, fl_json_get(object, name));
    int64_t number;
    bool is_good = fl_slice_take_digits(&digits, &number) > 0 && digits.len == 0 && number < INT64_C(1) << 53;
    return is_good ? number : -1;
}

static struct fl_slice numbers_of(struct fl_arena *arena, const struct fl_json *list)
{
    if (!list || fl_json_type(list) != FL_JSON_ARRAY)
        return (struct fl_slice){0};
    for (const struct fl_json *item = fl_json_first(list); item; item = fl_json_next(item))
        if (fl_json_type(item) != FL_JSON_NUMBER)
            return (struct fl_slice){0};
    return fl_json_print(arena, list);
}

static struct fl_running *add_running(struct reader *reader)
{
    struct fl_registry *registry = reader->registry;
    if (registry->running_count == reader->capacity) {
        size_t capacity = reader->capacity ? reader->capacity * 2 : 64;
        struct fl_running *moved = fl_arena_grow(reader->arena, registry->runnings,
                                                 reader->capacity * sizeof *moved, capacity * sizeof *moved);
        if (!moved)
            return NULL;
        registry->runnings = moved;
        reader->capacity = capacity;
    }
    return &registry->runnings[registry->running_count++];
}

static bool read_imports(struct reader *reader, const struct fl_json_text *json,
                         const struct fl_process *process)
{
    size_t count = 0;
    const struct fl_json *item = fl_json_first(fl_json_get(json->root, "imports"));
    for (; item && count < RUNNING_LIMIT; item = fl_json_next(item), count++) {
        struct fl_running *running = add_running(reader);
        if (!running)
            return false;
        *running = (struct fl_running){
            .process = process,
            .job_id = number_of(json, item, "job"),
            .token = number_of(json, item, "token"),
            .renewals = number_of(json, item, "renewals"),
            .held_ms = number_of(json, item, "held_ms"),
            .idle_ms = number_of(json, item, "idle_ms"),
            .backend = number_of(json, item, "backend"),
            .phase = text_of(reader->arena, item, "phase"),
        };
    }
    return true;
}

static bool read_process(struct reader *reader, const struct fl_registered_worker *worker,
                         struct fl_process *process)
{
    struct fl_json_text json = {0};
    *process = (struct fl_process){
        .id = worker->id, .pid = -1, .slots = -1, .running = -1, .parked = -1, .beat_ms = worker->age_ms};
    bool is_json = worker->info.ptr && fl_utf8_valid_prefix(worker->info) == worker->info.len &&
                   fl_json_parse(&json, worker->info, NULL) == FL_OK;
    if (!is_json)
        return true;
    struct fl_arena *arena = reader->arena;
    process->holder = text_of(arena, json.root, "holder");
    process->host = text_of(arena, json.root, "host");
    process->version = text_of(arena, json.root, "version");
    process->started = text_of(arena, json.root, "started");
    process->state = text_of(arena, json.root, "state");
    process->jobs = numbers_of(arena, fl_json_get(json.root, "jobs"));
    process->pid = number_of(&json, json.root, "pid");
    process->slots = number_of(&json, json.root, "slots");
    process->running = number_of(&json, json.root, "running");
    process->parked = number_of(&json, json.root, "parked");
    bool is_complete = read_imports(reader, &json, process);
    fl_json_release(&json);
    return is_complete;
}

static int by_job(const void *a, const void *b)
{
    int64_t x = ((const struct fl_running *)a)->job_id, y = ((const struct fl_running *)b)->job_id;
    return x < y ? -1 : x > y;
}

fl_status fl_registry_build(struct fl_registry *registry, const struct fl_registered_worker *workers,
                            size_t count, struct fl_arena *arena, struct fl_err *err)
{
    struct reader reader = {.registry = registry, .arena = arena};
    *registry = (struct fl_registry){.process_count = count};
    registry->processes = fl_arena_alloc(arena, count * sizeof *registry->processes);
    bool is_complete = registry->processes != NULL;
    for (size_t i = 0; is_complete && i < count; i++)
        is_complete = read_process(&reader, &workers[i], &registry->processes[i]);
    if (!is_complete)
        return fl_err_set(err, FL_NO_MEMORY, "no memory for the list of workers");
    if (registry->running_count)
        qsort(registry->runnings, registry->running_count, sizeof *registry->runnings, by_job);
    return FL_OK;
}

fl_status fl_registry_read(struct fl_registry *registry, struct fl_redis_sync *redis, struct fl_arena *arena,
                           struct fl_err *err)
{
    struct fl_registered_worker *workers;
    size_t count;
    *registry = (struct fl_registry){0};
    fl_status status = fl_redis_registry_read(redis, arena, &workers, &count, err);
    return status == FL_OK ? fl_registry_build(registry, workers, count, arena, err) : status;
}

const struct fl_process *fl_registry_process(const struct fl_registry *registry, struct fl_slice holder)
{
    const struct fl_process *found = NULL;
    for (size_t i = 0; holder.len && i < registry->process_count; i++) {
        const struct fl_process *process = &registry->processes[i];
        if (fl_slice_eq(process->holder, holder) && (!found || process->beat_ms < found->beat_ms))
            found = process;
    }
    return found;
}

const struct fl_running *fl_registry_running(const struct fl_registry *registry, struct fl_slice holder,
                                             int64_t job_id, int64_t token)
{
    const struct fl_running key = {.job_id = job_id};
    const struct fl_running *found =
        registry->running_count
            ? bsearch(&key, registry->runnings, registry->running_count, sizeof key, by_job)
            : NULL;
    const struct fl_running *end = registry->runnings + registry->running_count;
    while (found && found > registry->runnings && found[-1].job_id == job_id)
        found--;
    for (; found && found < end && found->job_id == job_id; found++)
        if (found->token == token && fl_slice_eq(found->process->holder, holder))
            return found;
    return NULL;
}
