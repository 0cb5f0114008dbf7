/* fuzz_redis.c - what stands in Redis, where anybody may have written it: keys and values of leases, entries
 * of the registry. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "app/registry.h"
#include "base/json.h"
#include "fuzz.h"
#include "io/redis_lease.h"

enum { ARENA_BYTES = 64 << 20, WORKERS_MAX = 64, RUNNING_MAX = 256 };

static const int64_t NUMBER_END = INT64_C(1) << 53;

/* ---- lease: input as an episode id, as a key, as a value ---- */

/* An id makes a key with one hash tag, from which the id can be read again. */
static void check_episode(struct fl_slice episode)
{
    char key_text[FL_LEASE_KEY_BYTES], text[FL_LEASE_KEY_BYTES];
    struct fl_slice again;
    if (episode.len == 0 || episode.len > 255)
        return;
    struct fl_slice key = fl_redis_lease_key(episode, "lease", key_text);
    size_t open = 0, closed = 0;
    for (size_t i = 0; i < key.len; i++) {
        open += key.ptr[i] == '{';
        closed += key.ptr[i] == '}';
    }
    FUZZ_CHECK(key.len < FL_LEASE_KEY_BYTES && open == 1 && closed == 1, "key '%.*s'", FL_ARGS(key));
    FUZZ_CHECK(fl_redis_lease_read_key(key, text, &again) && fl_slice_eq(episode, again),
               "'%.*s' is read as '%.*s'", FL_ARGS(key), FL_ARGS(again));
}

/* A key that is read is the key of what was read: nobody else's key passes for a lease of ours. */
static void check_key(struct fl_slice key)
{
    char text[FL_LEASE_KEY_BYTES], key_text[FL_LEASE_KEY_BYTES];
    struct fl_slice episode;
    if (!fl_redis_lease_read_key(key, text, &episode) || episode.len == 0)
        return;
    FUZZ_CHECK(episode.len <= 255, "an id of %zu bytes", episode.len);
    struct fl_slice again = fl_redis_lease_key(episode, "lease", key_text);
    FUZZ_CHECK(fl_slice_eq(key, again), "'%.*s' passes for '%.*s'", FL_ARGS(key), FL_ARGS(again));
}

/* A value that is read is "<nonce> <token> <who>", as lua/lease_acquire.lua writes it. */
static void check_value(struct fl_slice value)
{
    struct fl_slice nonce, who;
    struct fl_token token = {-1};
    if (!fl_redis_lease_read_value(value, &nonce, &token, &who))
        return;
    FUZZ_CHECK(nonce.ptr == value.ptr && nonce.len == FL_NONCE_LEN, "a nonce of %zu bytes", nonce.len);
    for (size_t i = 0; i < nonce.len; i++)
        FUZZ_CHECK(strchr("0123456789abcdef", nonce.ptr[i]) && nonce.ptr[i], "nonce '%.*s'", FL_ARGS(nonce));
    FUZZ_CHECK(token.n > 0 && token.n < NUMBER_END, "token %" PRId64, token.n);
    FUZZ_CHECK(who.ptr >= value.ptr && who.ptr + who.len <= value.ptr + value.len, "who is elsewhere");
    char again[64];
    int length = snprintf(again, sizeof again, "%.*s %" PRId64, FL_ARGS(nonce), token.n);
    FUZZ_CHECK(value.len >= (size_t)length && memcmp(value.ptr, again, (size_t)length) == 0 &&
                   (value.len == (size_t)length || value.ptr[length] == ' '),
               "'%.*s' is read as '%s'", FL_ARGS(value), again);
}

void fuzz_lease(struct fl_slice input)
{
    char *exact = fuzz_exact(input);
    struct fl_slice text = {exact, input.len};
    check_episode(text);
    check_key(text);
    check_value(text);
    free(exact);
}

/* ---- registry: each line of input is what one process has written ---- */

static void check_number(int64_t number, const char *name)
{
    FUZZ_CHECK(number >= -1 && number < NUMBER_END, "%s = %" PRId64, name, number);
}

static void check_text(struct fl_slice text, const char *name)
{
    FUZZ_CHECK((text.ptr || text.len == 0) && fuzz_is_text(text), "%s is no text", name);
}

static void check_jobs(struct fl_slice jobs)
{
    struct fl_json_text json;
    struct fl_err err;
    if (!jobs.ptr)
        return;
    FUZZ_CHECK(fl_json_parse(&json, jobs, &err) == FL_OK, "jobs: %s", err.text);
    FUZZ_CHECK(fl_json_type(json.root) == FL_JSON_ARRAY, "jobs are no array");
    for (const struct fl_json *item = fl_json_first(json.root); item; item = fl_json_next(item))
        FUZZ_CHECK(fl_json_type(item) == FL_JSON_NUMBER, "a job is no number");
    fl_json_release(&json);
}

static void check_process(const struct fl_registry *registry, const struct fl_process *process)
{
    check_text(process->holder, "holder");
    check_text(process->host, "host");
    check_text(process->version, "version");
    check_text(process->started, "started");
    check_text(process->state, "state");
    check_number(process->pid, "pid");
    check_number(process->slots, "slots");
    check_number(process->running, "running");
    check_number(process->parked, "parked");
    check_jobs(process->jobs);
    const struct fl_process *found = fl_registry_process(registry, process->holder);
    FUZZ_CHECK(!found == (process->holder.len == 0), "holder '%.*s'", FL_ARGS(process->holder));
    FUZZ_CHECK(!found || (fl_slice_eq(found->holder, process->holder) && found->beat_ms <= process->beat_ms),
               "another one is found");
}

static void check_running(const struct fl_registry *registry, size_t i)
{
    const struct fl_running *running = &registry->runnings[i];
    FUZZ_CHECK(running->process >= registry->processes &&
                   running->process < registry->processes + registry->process_count,
               "of no process");
    FUZZ_CHECK(i == 0 || running[-1].job_id <= running->job_id, "out of order");
    check_number(running->job_id, "job");
    check_number(running->token, "token");
    check_number(running->renewals, "renewals");
    check_number(running->held_ms, "held_ms");
    check_number(running->idle_ms, "idle_ms");
    check_number(running->backend, "backend");
    check_text(running->phase, "phase");
    const struct fl_running *found =
        fl_registry_running(registry, running->process->holder, running->job_id, running->token);
    FUZZ_CHECK(found && found->job_id == running->job_id && found->token == running->token &&
                   fl_slice_eq(found->process->holder, running->process->holder),
               "job %" PRId64 " is not found", running->job_id);
}

void fuzz_registry(struct fl_slice input)
{
    struct fl_registered_worker workers[WORKERS_MAX];
    struct fl_registry registry;
    struct fl_arena arena;
    struct fl_err err;
    size_t count = 0;
    char *exact = fuzz_exact(input);
    struct fl_slice rest = {exact, input.len};
    for (; rest.len && count < WORKERS_MAX; count++)
        workers[count] = (struct fl_registered_worker){.id = FL_SLICE("worker@host:1"),
                                                       .info = fuzz_take(&rest, '\n'),
                                                       .age_ms = (int64_t)(count * 7 % 5)};
    fl_arena_init(&arena, ARENA_BYTES);
    FUZZ_CHECK(fl_registry_build(&registry, workers, count, &arena, &err) == FL_OK, "%s", err.text);
    free(exact); /* nothing may point into it */
    FUZZ_CHECK(registry.process_count == count && registry.running_count <= count * RUNNING_MAX,
               "%zu of %zu processes", registry.process_count, count);
    for (size_t i = 0; i < count; i++)
        check_process(&registry, &registry.processes[i]);
    for (size_t i = 0; i < registry.running_count; i++)
        check_running(&registry, i);
    fl_arena_release(&arena);
}
