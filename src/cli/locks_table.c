/* locks_table.c - see locks_table.h. Failure modes: those of the servers; a table has none. */
#include "cli/locks_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json_write.h"
#include "base/slice.h"
#include "io/pg_schema.h"
#include "io/pg_sync.h"

/* ---- servers ---- */

fl_status fl_locks_open(struct fl_locks_servers *servers, const struct fl_settings *settings,
                        struct fl_err *err)
{
    *servers = (struct fl_locks_servers){0};
    fl_status status =
        fl_pg_sync_open(&servers->pg, settings->postgres_dsn, settings->postgres_timeout_ms, err);
    if (status == FL_OK)
        status = fl_pg_schema_check(servers->pg, err);
    if (status == FL_OK && fl_redis_sync_open(&servers->redis, settings->redis_url,
                                              settings->redis_timeout_ms, &servers->redis_err) == FL_USAGE) {
        *err = servers->redis_err;
        status = FL_USAGE;
    }
    return status;
}

void fl_locks_close(struct fl_locks_servers *servers)
{
    fl_redis_sync_close(servers->redis);
    fl_pg_sync_close(servers->pg);
    *servers = (struct fl_locks_servers){0};
}

fl_status fl_locks_ask(struct fl_locks *locks, struct fl_locks_servers *servers, struct fl_arena *arena,
                       const struct fl_settings *settings, const char *episode, struct fl_err *err)
{
    *locks = (struct fl_locks){.redis_err = servers->redis_err};
    return fl_locks_read(locks, servers->redis, servers->pg, arena, settings, fl_slice_from(episode), err);
}

/* ---- filters ---- */

struct fl_slice fl_holder_host(struct fl_slice holder)
{
    const char *at = holder.len ? memchr(holder.ptr, '@', holder.len) : NULL;
    const char *colon = holder.len ? memrchr(holder.ptr, ':', holder.len) : NULL;
    return at && colon && colon > at ? (struct fl_slice){at + 1, (size_t)(colon - at) - 1}
                                     : (struct fl_slice){0};
}

int64_t fl_holder_pid(struct fl_slice holder)
{
    const char *colon = holder.len ? memrchr(holder.ptr, ':', holder.len) : NULL;
    int64_t pid;
    if (!colon)
        return -1;
    struct fl_slice digits = {colon + 1, holder.len - (size_t)(colon - holder.ptr) - 1};
    return fl_slice_take_digits(&digits, &pid) > 0 && digits.len == 0 ? pid : -1;
}

static bool is_chosen(const struct fl_lock *lock, const struct fl_args *args)
{
    if (args->verdict != FL_VERDICT_COUNT && lock->verdict != args->verdict)
        return false;
    if (args->older_than_ms != FL_ARGS_NOT_GIVEN && lock->held_ms < args->older_than_ms)
        return false;
    if (args->episode && !fl_slice_is(lock->episode, args->episode))
        return false;
    return !args->worker || fl_slice_is(lock->holder, args->worker) ||
           fl_slice_is(fl_holder_host(lock->holder), args->worker) ||
           (lock->process && fl_slice_is(lock->process->id, args->worker));
}

void fl_locks_filter(struct fl_locks *locks, const struct fl_args *args)
{
    size_t kept = 0;
    for (size_t i = 0; i < locks->count; i++)
        if (is_chosen(&locks->locks[i], args))
            locks->locks[kept++] = locks->locks[i];
    locks->count = kept;
}

size_t fl_locks_needing_person(const struct fl_locks *locks)
{
    size_t count = 0;
    for (size_t i = 0; i < locks->count; i++)
        count += fl_verdict_needs_person(locks->locks[i].verdict);
    return count;
}

/* ---- rows ---- */

static const struct fl_column COLUMNS[] = {
    {"verdict", "verdict", FL_COLUMN_WHOLE},
    {"episode", "episode", 0},
    {"kind", "kind", FL_COLUMN_EXTRA},
    {"holder", "holder", 0},
    {"job", "job_id", FL_COLUMN_RIGHT},
    {"held", "held_ms", FL_COLUMN_RIGHT},
    {"left", "left_ms", FL_COLUMN_RIGHT},
    {"phase", "phase", FL_COLUMN_WHOLE},
    {"idle", "idle_ms", FL_COLUMN_RIGHT | FL_COLUMN_EXTRA},
    {"waiting", "waiting", FL_COLUMN_RIGHT},
    {"token", "token", FL_COLUMN_RIGHT | FL_COLUMN_EXTRA},
    {"fence", "fence", FL_COLUMN_RIGHT | FL_COLUMN_EXTRA},
    {"version", "version", FL_COLUMN_RIGHT | FL_COLUMN_EXTRA},
    {"renewals", "renewals", FL_COLUMN_RIGHT | FL_COLUMN_EXTRA},
    {"session", "session", FL_COLUMN_RIGHT | FL_COLUMN_EXTRA},
    {"waits for", "session_wait", FL_COLUMN_EXTRA},
    {NULL, "session_state", 0},
    {NULL, "session_blockers", 0},
    {NULL, "worker", 0},
    {NULL, "host", 0},
    {NULL, "pid", 0},
    {NULL, "heartbeat_age_ms", 0},
    {"claimed", "claimed", FL_COLUMN_EXTRA},
    {NULL, "waiters", 0},
};

static struct fl_cell text_cell(struct fl_slice text)
{
    return (struct fl_cell){.type = FL_CELL_TEXT, .text = text};
}

/* Below `least` it is not known. */
static struct fl_cell number_cell(int64_t number, int64_t least)
{
    return (struct fl_cell){.type = number < least ? FL_CELL_NULL : FL_CELL_NUMBER, .number = number};
}

static struct fl_cell duration_cell(int64_t duration_ms)
{
    return (struct fl_cell){.type = FL_CELL_DURATION, .number = duration_ms};
}

static struct fl_cell verdict_cell(enum fl_verdict verdict)
{
    return (struct fl_cell){.type = FL_CELL_TEXT,
                            .text = fl_slice_from(fl_verdict_name(verdict)),
                            .color = fl_verdict_needs_person(verdict) ? FL_COLOR_RED
                                     : verdict == FL_VERDICT_EXPIRING ? FL_COLOR_YELLOW
                                                                      : FL_COLOR_GREEN};
}

/* [{"job_id", "age_ms", "holder"}] */
static struct fl_cell waiters_cell(struct fl_arena *arena, const struct fl_lock *lock)
{
    struct fl_cell cell = {.type = FL_CELL_JSON, .text = FL_SLICE("[]")};
    char *text = NULL;
    size_t length = 0;
    FILE *out = lock->waiters_known ? open_memstream(&text, &length) : NULL;
    if (!out)
        return cell;
    struct fl_json_writer json;
    fl_json_write_init(&json, out);
    fl_json_write_begin_array(&json);
    for (size_t i = 0; i < lock->waiters_known; i++) {
        fl_json_write_begin_object(&json);
        fl_json_write_name(&json, "job_id");
        fl_json_write_int64(&json, lock->waiters[i].job_id);
        fl_json_write_name(&json, "age_ms");
        fl_json_write_int64(&json, lock->waiters[i].age_ms);
        fl_json_write_name(&json, "holder");
        fl_json_write_string(&json, lock->waiters[i].holder);
        fl_json_write_end_object(&json);
    }
    fl_json_write_end_array(&json);
    fclose(out);
    cell.text = fl_arena_copy(arena, (struct fl_slice){text, length});
    free(text);
    return cell;
}

static void get_lock(const void *rows, size_t row, struct fl_cell *cells)
{
    const struct fl_locks *locks = rows;
    const struct fl_lock *lock = &locks->locks[row];
    const struct fl_running *running = lock->running;
    const struct fl_pg_session *session = lock->session;
    bool has_kind = lock->kind != FL_KIND_NONE;
    *cells++ = verdict_cell(lock->verdict);
    *cells++ = text_cell(lock->episode);
    *cells++ = text_cell(has_kind ? fl_slice_from(fl_kind_name(lock->kind)) : (struct fl_slice){0});
    *cells++ = text_cell(lock->holder);
    *cells++ = number_cell(lock->job_id, 1);
    *cells++ = duration_cell(lock->held_ms);
    *cells++ = duration_cell(lock->lease.has_lease ? lock->lease.left_ms : FL_UNKNOWN_MS);
    *cells++ = text_cell(running ? running->phase : (struct fl_slice){0});
    *cells++ = duration_cell(lock->idle_ms);
    *cells++ = number_cell((int64_t)lock->lease.waiter_count, 0);
    *cells++ = number_cell(lock->token, 1);
    *cells++ = number_cell(lock->claim.is_known ? lock->claim.fence : -1, 0);
    *cells++ = number_cell(lock->claim.is_known ? lock->claim.version : -1, 0);
    *cells++ = number_cell(running ? running->renewals : -1, 0);
    *cells++ = number_cell(session ? session->pid : -1, 0);
    *cells++ = text_cell(session ? session->wait : (struct fl_slice){0});
    *cells++ = text_cell(session ? session->state : (struct fl_slice){0});
    *cells++ = text_cell(session ? session->blockers : (struct fl_slice){0});
    *cells++ = text_cell(lock->process ? lock->process->id : (struct fl_slice){0});
    *cells++ = text_cell(fl_holder_host(lock->holder));
    *cells++ = number_cell(fl_holder_pid(lock->holder), 0);
    *cells++ = duration_cell(lock->process ? lock->process->beat_ms : FL_UNKNOWN_MS);
    *cells++ = (struct fl_cell){.type = FL_CELL_BOOL, .boolean = lock->is_claimed};
    *cells++ = waiters_cell(locks->arena, lock);
}

struct fl_table fl_locks_table(const struct fl_locks *locks)
{
    return (struct fl_table){COLUMNS, sizeof COLUMNS / sizeof *COLUMNS, locks->count, get_lock, locks};
}

/* ---- in words ---- */

static void print_session(FILE *out, const struct fl_pg_session *session)
{
    char age[FL_TIME_BYTES];
    fprintf(out, "; session %" PRId64, session->pid);
    if (session->wait.ptr) {
        fputs(" waits for ", out);
        fl_print_text(out, session->wait);
    } else {
        fputs(" is ", out);
        fl_print_text(out, session->state);
    }
    if (session->blockers.ptr) {
        fputs(", held up by ", out);
        fl_print_text(out, session->blockers);
    }
    if (session->xact_ms >= 0)
        fprintf(out, " (in a transaction for %s)", fl_format_duration(session->xact_ms, age));
}

void fl_locks_print_trouble(FILE *out, const struct fl_lock *lock)
{
    char age[FL_TIME_BYTES];
    fl_print_text(out, lock->episode);
    if (lock->job_id > 0)
        fprintf(out, " (job %" PRId64 ")", lock->job_id);
    fprintf(out, ": %s", fl_verdict_name(lock->verdict));
    if (lock->lease.is_foreign)
        fputs(", its key in Redis holds something that fenceline has not written", out);
    else if (lock->verdict == FL_VERDICT_ORPHAN && lock->process)
        fprintf(out, ", no heartbeat for %s", fl_format_duration(lock->process->beat_ms, age));
    else if (lock->verdict == FL_VERDICT_ORPHAN)
        fputs(", no heartbeat", out);
    if (lock->verdict == FL_VERDICT_STALLED)
        fprintf(out, ", no step for %s", fl_format_duration(lock->idle_ms, age));
    if (lock->session)
        print_session(out, lock->session);
    putc('\n', out);
}

void fl_locks_print_advice(FILE *out, const struct fl_locks *locks)
{
    for (size_t i = 0; i < locks->count; i++) {
        enum fl_verdict verdict = locks->locks[i].verdict;
        bool is_new = i == 0 || locks->locks[i - 1].verdict != verdict; /* sorted by it */
        if (is_new && fl_verdict_needs_person(verdict))
            fprintf(out, "%s: %s\n", fl_verdict_name(verdict), fl_verdict_advice(verdict));
    }
}

static const char *standing_of(const struct fl_lock *lock)
{
    if (lock->is_claimed)
        return "claimed";
    /* PROTOCOL 3: only a token above the fence can still be claimed. */
    return lock->token <= lock->claim.fence ? "superseded, so it can commit nothing" : "not claimed yet";
}

void fl_locks_print_holder(FILE *out, const struct fl_lock *lock)
{
    char age[FL_TIME_BYTES];
    fl_print_text(out, lock->episode);
    if (lock->lease.is_foreign) {
        fputs(": its key in Redis holds something that fenceline has not written\n", out);
        return;
    }
    fputs(": held by ", out);
    fl_print_text(out, lock->holder.ptr ? lock->holder : FL_SLICE("somebody unknown"));
    if (lock->job_id > 0)
        fprintf(out, " for job %" PRId64, lock->job_id);
    fprintf(out, " (%s", standing_of(lock));
    if (lock->token > 0)
        fprintf(out, ", token %" PRId64, lock->token);
    if (lock->held_ms >= 0)
        fprintf(out, ", for %s", fl_format_duration(lock->held_ms, age));
    if (!lock->lease.has_lease)
        fputs(", without a lease)\n", out);
    else if (lock->lease.left_ms < 0)
        fputs(", its lease never expires)\n", out);
    else
        fprintf(out, ", its lease lives for %s)\n", fl_format_duration(lock->lease.left_ms, age));
}

static void print_phase(FILE *out, const struct fl_lock *lock)
{
    char age[FL_TIME_BYTES];
    fputs(", in phase ", out);
    fl_print_text(out, lock->running->phase);
    if (lock->idle_ms >= 0)
        fprintf(out, ", last step %s ago", fl_format_duration(lock->idle_ms, age));
}

void fl_locks_print_alive(FILE *out, const struct fl_lock *lock, int64_t dead_ms)
{
    char age[FL_TIME_BYTES];
    if (!lock->process) {
        fputs("its process has no heartbeat in the registry\n", out);
    } else if (lock->process->beat_ms > dead_ms) {
        fprintf(out, "its process seems dead: no heartbeat for %s\n",
                fl_format_duration(lock->process->beat_ms, age));
    } else {
        fprintf(out, "warning: its process is alive (heartbeat %s ago)",
                fl_format_duration(lock->process->beat_ms, age));
        if (lock->running)
            print_phase(out, lock);
        fputs(": what it does for this job is lost, and done again\n", out);
    }
}
