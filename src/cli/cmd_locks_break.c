/* cmd_locks_break.c - `fenceline locks break`: ends the claim of exactly the holder that was seen (PROTOCOL
 * 9).
 *
 * Happy path: look, show, ask, look again, raise the fence in Postgres (from there on the old holder cannot
 * commit), delete the lease by its nonce. Failure modes: somebody has claimed, committed or leased since:
 * nothing is broken (exit 3); a transaction holds the episode's row: it is given time, then its session is
 * ended, if it is fenceline's own; Redis cannot be reached: the fence is raised all the same, the lease
 * expires (exit 6). A crash between the steps leaves a lease that is worth nothing: the next break deletes
 * it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/fail_point.h"
#include "base/arena.h"
#include "base/slice.h"
#include "cli/commands.h"
#include "cli/confirm.h"
#include "cli/locks_table.h"
#include "io/redis_lease.h"

enum { EXIT_CHANGED = 3, LOOK_MS = 50, PATIENCE_MS = 2000, GIVE_UP_MS = 15000 };

struct breaking {
    const struct fl_args *args;
    const struct fl_settings *settings;
    struct fl_locks_servers servers;
    struct fl_arena arena;
    struct fl_lock seen;
    char who[256];
    struct fl_pg_broken broken;
    bool lease_deleted;
    struct fl_err redis_err; /* why the lease could not be deleted */
};

static bool is_held(const struct fl_lock *lock)
{
    return lock->lease.has_lease || lock->is_claimed;
}

/* ---- what there is ---- */

static fl_status look(struct breaking *breaking, struct fl_lock *lock, struct fl_err *err)
{
    struct fl_locks locks;
    const char *episode = breaking->args->paths[0];
    fl_status status =
        fl_locks_ask(&locks, &breaking->servers, &breaking->arena, breaking->settings, episode, err);
    if (status != FL_OK)
        return status;
    if (!locks.redis_answers)
        breaking->redis_err = locks.redis_err;
    *lock = locks.locks[locks.count - 1]; /* zombies come first; they are no holders any more */
    for (size_t i = 0; i < locks.count; i++)
        if (is_held(&locks.locks[i]))
            *lock = locks.locks[i];
    if (!lock->claim.is_known)
        return fl_err_set(
            err, FL_FAILED, "%s: no such episode%s", episode,
            lock->lease.has_lease
                ? ", though Redis has a lease for it: do --redis and --postgres belong together?"
                : "");
    return FL_OK;
}

/* ---- PROTOCOL 9 (ii) ---- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_a_moment(void)
{
    nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000}, NULL);
}

/* Is this session one of that holder's? */
static bool is_session_of(struct fl_slice session, struct fl_slice holder)
{
    return fl_slice_starts(session, "fenceline ") &&
           fl_locks_is_session_of((struct fl_slice){session.ptr + 10, session.len - 10}, holder);
}

/* A commit takes milliseconds. One that has the row for seconds is stuck, or its process is paused. *found:
 * the session that has the row is the holder's, and nobody else's. */
static fl_status find_locker(struct breaking *breaking, struct fl_pg_locker *locker, bool *found,
                             struct fl_err *err)
{
    const struct fl_lock *seen = &breaking->seen;
    fl_status status = fl_pg_locks_locker(breaking->servers.pg, &breaking->arena, seen->episode, locker, err);
    *found =
        status == FL_OK && locker->pid != 0 &&
        (is_session_of(locker->session, seen->holder) || is_session_of(locker->session, seen->claim.holder));
    return status;
}

static void print_ended(const struct fl_pg_locker *locker)
{
    fprintf(stderr, "its session %" PRId64 " (", locker->pid);
    fl_print_text(stderr, locker->state);
    fputs(") held the episode's row, and was ended: its transaction is rolled back\n", stderr);
}

static fl_status locked_error(struct breaking *breaking, struct fl_err *err)
{
    struct fl_pg_locker locker;
    fl_status status =
        fl_pg_locks_locker(breaking->servers.pg, &breaking->arena, breaking->seen.episode, &locker, err);
    if (status != FL_OK)
        return status;
    if (locker.pid == 0)
        return fl_err_set(err, FL_FAILED,
                          "%s: nothing was broken: others lock the episode's row again and again",
                          breaking->args->paths[0]);
    return fl_err_set(err, FL_FAILED,
                      "%s: nothing was broken: session %" PRId64
                      " (%.*s) has locked the episode's row for %.1f s. End it "
                      "with SELECT pg_terminate_backend(%" PRId64 "), then break again.",
                      breaking->args->paths[0], locker.pid, FL_ARGS(locker.session),
                      (double)locker.xact_ms / 1000, locker.pid);
}

static fl_status raise_fence(struct breaking *breaking, struct fl_err *err)
{
    const struct fl_lock *seen = &breaking->seen;
    struct fl_pg_locker locker;
    struct fl_pg_break what = {
        .episode = seen->episode,
        .holder = seen->holder,
        .seen = &seen->claim,
        .job_id = seen->job_id,
        .cancel_job = breaking->args->cancel_job,
        .who = breaking->who,
        .reason = breaking->args->reason,
    };
    int64_t began_ms = now_ms();
    bool may_end = true;
    for (;;) {
        fl_status status =
            fl_pg_locks_break(breaking->servers.pg, &breaking->arena, &what, &breaking->broken, err);
        if (status == FL_USAGE &&
            what.end) { /* no right to end a session: in the end it is told who has it */
            may_end = false;
            what.end = NULL;
            continue;
        }
        if (status == FL_OK && breaking->broken.has_ended)
            print_ended(&locker);
        if (status != FL_OK || breaking->broken.status != FL_BREAK_LOCKED)
            return status;
        bool found = false;
        if (now_ms() - began_ms > GIVE_UP_MS)
            return locked_error(breaking, err);
        if (may_end && now_ms() - began_ms > PATIENCE_MS)
            status = find_locker(breaking, &locker, &found, err);
        if (status != FL_OK)
            return status;
        what.end = found ? &locker : NULL;
        if (!found)
            pause_a_moment();
    }
}

/* ---- PROTOCOL 9 (iii) ---- */

static void delete_lease(struct breaking *breaking)
{
    const struct fl_lock *seen = &breaking->seen;
    bool has_lease = seen->lease.has_lease && !seen->lease.is_foreign;
    if (!breaking->servers.redis || !has_lease)
        return;
    if (fl_redis_locks_delete(breaking->servers.redis, seen->episode, seen->lease.nonce,
                              &breaking->lease_deleted, &breaking->redis_err) == FL_OK)
        breaking->redis_err = (struct fl_err){0};
}

/* ---- the answer ---- */

static void print_json(const struct breaking *breaking, bool is_broken)
{
    const struct fl_lock *seen = &breaking->seen;
    struct fl_json_writer json;
    fl_json_write_init(&json, stdout);
    fl_json_write_begin_object(&json);
    fl_json_write_name(&json, "episode");
    fl_json_write_string(&json, seen->episode);
    fl_json_write_name(&json, "broken");
    fl_json_write_bool(&json, is_broken);
    fl_json_write_name(&json, "holder");
    fl_json_write_string(&json, seen->holder);
    const struct {
        const char *name;
        int64_t number;
    } NUMBERS[] = {{"job_id", seen->job_id},
                   {"token", seen->token},
                   {"seen_fence", seen->claim.fence},
                   {"new_fence", is_broken ? breaking->broken.new_fence : seen->claim.fence}};
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++) {
        fl_json_write_name(&json, NUMBERS[i].name);
        fl_json_write_int64(&json, NUMBERS[i].number);
    }
    fl_json_write_name(&json, "lease_deleted");
    fl_json_write_bool(&json, breaking->lease_deleted);
    fl_json_write_name(&json, "job_outcome");
    fl_json_write_string(&json, breaking->broken.job_outcome);
    fl_json_write_end_object(&json);
    fl_json_write_end_line(&json);
}

static void print_lease(const struct breaking *breaking)
{
    const struct fl_lock *seen = &breaking->seen;
    char key[FL_LEASE_KEY_BYTES];
    if (breaking->lease_deleted) {
        fputs(", lease deleted", stdout);
    } else if (seen->lease.is_foreign) {
        fputs(". Its key in Redis is left as it is, and keeps others away; to remove it: DEL ", stdout);
        fl_print_text(stdout, fl_redis_lease_key(seen->episode, "lease", key));
    } else if (seen->lease.has_lease && !breaking->redis_err.text[0]) {
        fputs(", its lease had gone by itself", stdout);
    }
}

static void print_broken(const struct breaking *breaking)
{
    const struct fl_lock *seen = &breaking->seen;
    fl_print_text(stdout, seen->episode);
    printf(": broken: fence raised from %" PRId64 " to %" PRId64, seen->claim.fence,
           breaking->broken.new_fence);
    print_lease(breaking);
    fputs(". The old holder can do nothing any more: a commit of its is refused.\n", stdout);
    if (breaking->broken.job_outcome.ptr) {
        printf("job %" PRId64 ": ", seen->job_id);
        fl_print_text(stdout, breaking->broken.job_outcome);
        putchar('\n');
    } else if (seen->is_open) {
        printf("job %" PRId64 " is still undecided and starts over; to end it: fenceline jobs cancel %" PRId64
               "\n",
               seen->job_id, seen->job_id);
    }
}

/* "fenceline: ep39: text" on standard error; an id comes from whoever made the episode. */
static void say(const struct breaking *breaking, const char *text)
{
    fputs("fenceline: ", stderr);
    fl_print_text(stderr, fl_slice_from(breaking->args->paths[0]));
    fprintf(stderr, ": %s\n", text);
}

static int answer(const struct breaking *breaking)
{
    bool is_broken = breaking->broken.status == FL_BREAK_DONE;
    if (breaking->args->json)
        print_json(breaking, is_broken);
    if (!is_broken) {
        say(breaking, "nothing was broken: its holder has changed since, or has finished. Look again with "
                      "'fenceline locks show'.");
        return EXIT_CHANGED;
    }
    if (!breaking->args->json)
        print_broken(breaking);
    if (!breaking->redis_err.text[0])
        return 0;
    fl_print_error(&breaking->redis_err);
    say(breaking, "its lease could not be deleted. It expires by itself; or break again.");
    return fl_status_exit_code(FL_UNAVAILABLE);
}

/* ---- the command ---- */

/* A lease that has run out meanwhile changes nothing as long as its claim stands. */
static bool is_same_holder(const struct fl_lock *seen, const struct fl_lock *now)
{
    bool is_same_claim = seen->claim.fence == now->claim.fence && seen->claim.version == now->claim.version &&
                         fl_slice_eq(seen->claim.nonce, now->claim.nonce);
    bool is_same_lease =
        seen->lease.has_lease == now->lease.has_lease && fl_slice_eq(seen->lease.nonce, now->lease.nonce);
    bool has_expired = seen->is_claimed && now->is_claimed && !now->lease.has_lease;
    return is_same_claim && (is_same_lease || has_expired);
}

/* Without Redis nobody knows whether there is a lease that was not claimed yet. */
static int nothing_to_break(const struct breaking *breaking)
{
    if (breaking->args->json)
        print_json(breaking, false);
    if (breaking->redis_err.text[0]) {
        fl_print_error(&breaking->redis_err);
        say(breaking, "nobody has claimed it; whether somebody has its lease cannot be seen without Redis");
        return fl_status_exit_code(FL_UNAVAILABLE);
    }
    if (!breaking->args->json && !breaking->args->quiet)
        say(breaking, "nobody holds it; there is nothing to break");
    return 0;
}

static fl_status confirm(struct breaking *breaking, bool *is_yes, struct fl_err *err)
{
    const struct fl_lock *seen = &breaking->seen;
    if (!breaking->args->quiet || !breaking->args->yes) {
        fl_locks_print_holder(stderr, seen);
        fl_locks_print_alive(stderr, seen, breaking->settings->worker.dead_ms);
    }
    if (breaking->args->cancel_job && seen->job_id <= 0)
        return fl_err_set(err, FL_USAGE, "%s: --cancel-job: the holder's job is not known",
                          breaking->args->paths[0]);
    return fl_confirm(breaking->args, "Break it?", "this would break the lock", is_yes, err);
}

static fl_status run(struct breaking *breaking, int *code, struct fl_err *err)
{
    struct fl_lock again;
    bool is_yes = false;
    fl_status status = fl_locks_open(&breaking->servers, breaking->settings, err);
    breaking->redis_err = breaking->servers.redis_err;
    if (status == FL_OK)
        status = look(breaking, &breaking->seen, err);
    if (status == FL_OK && !is_held(&breaking->seen)) {
        *code = nothing_to_break(breaking);
        return FL_OK;
    }
    if (status == FL_OK)
        status = confirm(breaking, &is_yes, err);
    if (status != FL_OK || !is_yes)
        return status;
    breaking->broken.status = FL_BREAK_CHANGED;
    status = look(breaking, &again, err); /* somebody may have thought for a while */
    fl_fail_point("before", "break");
    if (status == FL_OK && is_same_holder(&breaking->seen, &again))
        status = raise_fence(breaking, err);
    if (status != FL_OK)
        return status;
    fl_fail_point("after", "break");
    if (breaking->broken.status == FL_BREAK_DONE)
        delete_lease(breaking);
    *code = answer(breaking);
    return FL_OK;
}

int fl_cmd_locks_break(struct fl_args *args, struct fl_settings *settings)
{
    struct breaking breaking = {.args = args, .settings = settings};
    struct fl_err err = {0};
    int code = 0;
    fl_arena_init(&breaking.arena, FL_LOCKS_ARENA_BYTES);
    fl_confirm_who(breaking.who, sizeof breaking.who);
    fl_status status = run(&breaking, &code, &err);
    if (status != FL_OK)
        fl_print_error(&err);
    fl_locks_close(&breaking.servers);
    fl_arena_release(&breaking.arena);
    return status == FL_OK ? code : fl_status_exit_code(status);
}
