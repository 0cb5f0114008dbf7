/*
 * Importers killed by SIGKILL at every step of the protocol.
 *
 * At each fail point (app/drive.c) a process dies. Then the database must hold everything of its import or
 * nothing of it; which of the two is known from the step. The lease it left runs out by itself, and the next
 * import of the same file ends well. Steps that only a lost reply leads to are reached through proxies; a
 * claim and a commit that still wait on the server when their process dies are made to wait by row locks of
 * the test.
 */
#include "../lib/fenceline.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../lib/proxy.h"

enum {
    LONG_MS = 30000,
    DEATH_MS = 10000,
    TTL_MS = 1500,
    ROWS_OLD = 7,
    ROWS_NEW = 40,
    NAME_BYTES = 64,
    ID_BYTES = 24
};

/* A lease that is short, and somebody who waits for its end with a wide margin. */
#define TIMES "FENCELINE_LEASE_TTL_MS=1500", "FENCELINE_LEASE_WAIT_MS=20000"

enum effect { NOTHING, EVERYTHING };

struct step {
    const char *label;
    enum effect effect;
    bool in_delete; /* a delete has nothing to fetch and to parse */
};

/* What every import goes through. */
static const struct step STEPS[] = {
    {"before-read", NOTHING, true},       {"after-read", NOTHING, true},
    {"before-lease", NOTHING, true},      {"after-lease", NOTHING, true},
    {"before-claim", NOTHING, true},      {"after-claim", NOTHING, true},
    {"before-fetch", NOTHING, false},     {"after-fetch", NOTHING, false},
    {"before-parse", NOTHING, false},     {"after-parse", NOTHING, false},
    {"before-commit", NOTHING, true},     {"after-commit", EVERYTHING, true},
    {"before-release", EVERYTHING, true}, {"after-release", EVERYTHING, true},
    {"before-ack", EVERYTHING, true},     {"after-ack", EVERYTHING, true},
};
enum { STEP_COUNT = sizeof STEPS / sizeof *STEPS };

enum mode { CREATE, REPLACE, DELETE };

/* One killed import. */
struct victim {
    char episode[NAME_BYTES];
    enum mode mode;
    bool transcript;
    char *old_path, *new_path;
    char *before; /* content before it began */
    struct process *next;
};

static struct proxy redis_proxy, postgres_proxy;
static char redis_proxy_url[NAME_BYTES], postgres_proxy_dsn[SERVICES_DSN_BYTES];

/* ---- what the database says ---- */

static void print_id(char text[ID_BYTES], int64_t id)
{
    snprintf(text, ID_BYTES, "%" PRId64, id);
}

static int64_t last_job(const char *episode)
{
    return db_int(fenceline.db, "SELECT max(job_id) FROM fenceline.jobs WHERE episode_id = $1", episode);
}

static void assert_job_outcome(int64_t job_id, const char *expected)
{
    char id[ID_BYTES];
    print_id(id, job_id);
    char *outcome =
        db_text(fenceline.db, "SELECT coalesce(outcome, 'open') FROM fenceline.jobs WHERE job_id = $1", id);
    assert_non_null(outcome);
    assert_string_equal(outcome, expected);
    free(outcome);
}

/* Version, documents and rows of an episode as one text: all that an import may change in the end. */
static char *content_of(const char *episode)
{
    return db_text(
        fenceline.db,
        "SELECT concat_ws(E'\\n',"
        " (SELECT coalesce(max(version), 0) FROM fenceline.episodes WHERE episode_id = $1),"
        " (SELECT string_agg(d::text, E'\\n' ORDER BY kind) FROM fenceline.documents d"
        "   WHERE episode_id = $1),"
        " (SELECT string_agg(c::text, E'\\n' ORDER BY order_index) FROM fenceline.chapters c"
        "   WHERE episode_id = $1),"
        " (SELECT string_agg(s::text, E'\\n' ORDER BY order_index) FROM fenceline.transcript_segments s"
        "   WHERE episode_id = $1))",
        episode);
}

static void assert_rows(const struct victim *victim, const char *tag, int count)
{
    if (victim->transcript)
        fenceline_assert_transcript(victim->episode, tag, count);
    else
        fenceline_assert_chapters(victim->episode, tag, count);
}

/* The job's outcome, document, rows and version belong together, under the token that was claimed last. */
static void assert_everything(const struct victim *victim, int64_t job_id)
{
    char id[ID_BYTES];
    print_id(id, job_id);
    assert_job_outcome(job_id, victim->mode == DELETE ? "deleted" : "imported");
    if (victim->mode == DELETE)
        fenceline_assert_nothing(victim->episode, NULL);
    else
        assert_rows(victim, "new", ROWS_NEW);
    assert_int_equal(db_int(fenceline.db,
                            "SELECT count(*) FROM fenceline.documents d JOIN fenceline.jobs j USING (job_id)"
                            "  JOIN fenceline.episodes e ON e.episode_id = d.episode_id"
                            " WHERE d.episode_id = $1 AND j.job_id = $2 AND j.version = d.version"
                            "   AND e.version = d.version AND e.fence = e.version"
                            "   AND d.deleted = (j.outcome = 'deleted') AND j.row_count = d.row_count",
                            victim->episode, id),
                     1);
}

static void assert_nothing(const struct victim *victim, int64_t job_id)
{
    char *now = content_of(victim->episode);
    assert_string_equal(now, victim->before);
    free(now);
    assert_job_outcome(job_id, "open");
}

/* The dead process left no lease, or one that ends by itself within its time. */
static void assert_lease_ends(const char *episode)
{
    char *key = fenceline_lease_key(episode);
    int64_t left_ms = rdb_int(fenceline.redis, "PTTL %s", key);
    assert_true(left_ms == -2 || (left_ms >= 0 && left_ms <= TTL_MS));
    free(key);
}

/* ---- one victim ---- */

static void begin(struct victim *victim, const char *name, enum mode mode, bool transcript)
{
    char path[NAME_BYTES + 8];
    *victim = (struct victim){.mode = mode, .transcript = transcript};
    snprintf(victim->episode, sizeof victim->episode, "%s", name);
    char *(*write)(const char *, const char *, int) =
        transcript ? fenceline_write_transcript : fenceline_write_chapters;
    snprintf(path, sizeof path, "old/%s", name);
    victim->old_path = mode == CREATE ? NULL : write(path, "old", ROWS_OLD);
    snprintf(path, sizeof path, "new/%s", name);
    victim->new_path = write(path, "new", ROWS_NEW);
}

/* Imports what replace and delete find there, of all victims at once. */
static void import_old(void)
{
    char *path = files_join(fenceline.folder, "old");
    process_release(fenceline_run(0, "import", "--quiet", path));
    free(path);
}

static struct process *start(const struct victim *victim, const char *fail_point)
{
    static const char *const MODE_ARGUMENTS[] = {[CREATE] = "create", [REPLACE] = "replace"};
    char point[NAME_BYTES + 32];
    snprintf(point, sizeof point, "FENCELINE_FAIL_POINT%s%s", fail_point ? "=" : "",
             fail_point ? fail_point : "");
    const char *const env[] = {TIMES, point, NULL};
    const char *const import[] = {"import", "--mode", MODE_ARGUMENTS[victim->mode % DELETE], victim->new_path,
                                  NULL};
    const char *const delete[] = {"delete", victim->episode, victim->transcript ? "transcript" : "chapters",
                                  NULL};
    return fenceline_start(
        &(struct process_spec){.argv = victim->mode == DELETE ? delete : import, .env = env});
}

/* Starts the import, and lets it die at the label. False if it never came there: then it is done. */
static bool kill_at(struct victim *victim, const char *label)
{
    char point[NAME_BYTES];
    snprintf(point, sizeof point, "%s:kill", label);
    victim->before = content_of(victim->episode);
    struct process *process = start(victim, point);
    bool reached = process_ended(process, DEATH_MS) && process->signal == SIGKILL;
    if (reached) {
        fenceline_assert_err(process, "fail point");
    } else {
        print_error("%s: the process did not die there\n", label);
        process_print(process);
    }
    process_release(process);
    return reached;
}

static void check_dead(const struct victim *victim, enum effect effect)
{
    int64_t job_id = last_job(victim->episode);
    assert_lease_ends(victim->episode);
    if (effect == EVERYTHING)
        assert_everything(victim, job_id);
    else
        assert_nothing(victim, job_id);
}

/* The next import of the same file: done by it, or there already and refused or found unchanged. */
static void check_next(struct victim *victim, enum effect effect)
{
    static const struct {
        int exit_code;
        const char *outcome;
    } EXPECTED[][2] = {
        [CREATE] = {[NOTHING] = {0, "imported"}, [EVERYTHING] = {3, "rejected"}},
        [REPLACE] = {[NOTHING] = {0, "imported"}, [EVERYTHING] = {0, "unchanged"}},
        [DELETE] = {[NOTHING] = {0, "deleted"}, [EVERYTHING] = {0, "unchanged"}},
    };
    fenceline_finish_within(victim->next, EXPECTED[victim->mode][effect].exit_code, LONG_MS);
    if (victim->mode == CREATE && effect == EVERYTHING)
        fenceline_assert_err(victim->next, "already imported");
    assert_job_outcome(last_job(victim->episode), EXPECTED[victim->mode][effect].outcome);
    if (victim->mode == DELETE)
        fenceline_assert_nothing(victim->episode, NULL);
    else
        assert_rows(victim, "new", ROWS_NEW);
}

/* The leases of the dead whose successors did not need one. */
static void wait_for_no_lease(void)
{
    int64_t deadline_ms = process_now_ms() + LONG_MS;
    while (fenceline_count_leases() != 0 && process_now_ms() < deadline_ms)
        process_sleep_ms(10);
    assert_int_equal(fenceline_count_leases(), 0);
}

static void end(struct victim *victim)
{
    free(victim->old_path);
    free(victim->new_path);
    free(victim->before);
}

/* ---- every step of a plain import ---- */

/* All die first; their successors then wait for the leases at the same time. */
static void kill_at_all_steps(enum mode mode)
{
    struct victim victims[STEP_COUNT] = {0};
    bool reached[STEP_COUNT] = {false};
    int missing = 0;
    fenceline_use_fast(true);
    for (int i = 0; i < STEP_COUNT; i++)
        begin(&victims[i], STEPS[i].label, mode, i % 3 == 1);
    if (mode != CREATE)
        import_old();
    for (int i = 0; i < STEP_COUNT; i++) {
        if (mode == DELETE && !STEPS[i].in_delete)
            continue;
        reached[i] = kill_at(&victims[i], STEPS[i].label);
        if (reached[i])
            check_dead(&victims[i], STEPS[i].effect);
        else
            missing++;
    }
    for (int i = 0; i < STEP_COUNT; i++)
        if (reached[i])
            victims[i].next = start(&victims[i], NULL);
    for (int i = 0; i < STEP_COUNT; i++) {
        if (reached[i])
            check_next(&victims[i], STEPS[i].effect);
        end(&victims[i]);
    }
    fenceline_assert_consistent();
    wait_for_no_lease();
    if (missing > 0)
        fail_msg("%d of the fail points named above do not exist", missing);
}

static void test_create(void **state)
{
    (void)state;
    kill_at_all_steps(CREATE);
}

static void test_replace(void **state)
{
    (void)state;
    kill_at_all_steps(REPLACE);
}

static void test_delete(void **state)
{
    (void)state;
    kill_at_all_steps(DELETE);
}

/* ---- steps off the straight way ---- */

/* The row of the episode is gone between the job's row and the first read: step 1 inserts it. */
static void test_ensure(void **state)
{
    (void)state;
    static const char *const LABELS[] = {"before-ensure", "after-ensure"};
    db_exec(fenceline.db,
            "CREATE FUNCTION lose_episode() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            "  DELETE FROM fenceline.episodes WHERE episode_id = NEW.episode_id AND fence = 0; RETURN NULL;"
            "END $$;"
            "CREATE TRIGGER lose_episode AFTER INSERT ON fenceline.jobs FOR EACH ROW"
            "  EXECUTE FUNCTION lose_episode()");
    for (size_t i = 0; i < sizeof LABELS / sizeof *LABELS; i++) {
        struct victim victim;
        begin(&victim, LABELS[i], CREATE, false);
        assert_true(kill_at(&victim, LABELS[i]));
        /* The row of the episode may be there now, and says version 0. */
        fenceline_assert_nothing(victim.episode, NULL);
        assert_job_outcome(last_job(victim.episode), "open");
        assert_lease_ends(victim.episode);
        victim.next = start(&victim, NULL);
        check_next(&victim, NOTHING);
        end(&victim);
    }
    fenceline_assert_consistent();
}

/* A refused import dies around the writing of its outcome: what is stored stays. */
static void test_decide(void **state)
{
    (void)state;
    static const struct {
        const char *label, *outcome;
    } DEATHS[] = {{"before-decide", "open"}, {"after-decide", "rejected"}};
    struct victim victim;
    begin(&victim, "ep-decide", CREATE, false);
    process_release(fenceline_run(0, "import", victim.new_path));
    for (size_t i = 0; i < sizeof DEATHS / sizeof *DEATHS; i++) {
        free(victim.before);
        assert_true(kill_at(&victim, DEATHS[i].label));
        char *now = content_of(victim.episode);
        assert_string_equal(now, victim.before);
        free(now);
        assert_job_outcome(last_job(victim.episode), DEATHS[i].outcome);
        process_release(fenceline_finish(start(&victim, NULL), 3));
    }
    assert_int_equal(fenceline_count_leases(), 0);
    fenceline_assert_consistent();
    end(&victim);
}

/* What of a lost reply leads to the step, and whether the import is in by then. */
struct detour {
    const char *label;
    enum effect effect;
    bool on_redis;
    enum proxy_action action;
    const char *pattern, *until;
};

static const struct detour DETOURS[] = {
    {"before-lease-check", NOTHING, true, PROXY_CUT_REPLY, ":token", NULL},
    {"after-lease-check", NOTHING, true, PROXY_CUT_REPLY, ":token", NULL},
    {"before-claim-check", NOTHING, false, PROXY_CUT_REPLY, "fl_claim", NULL},
    {"after-claim-check", NOTHING, false, PROXY_CUT_REPLY, "fl_claim", NULL},
    {"before-resolve", NOTHING, false, PROXY_CUT_BEFORE, "COMMIT", NULL},
    {"after-resolve", NOTHING, false, PROXY_CUT_BEFORE, "COMMIT", NULL},
    {"before-resolve", EVERYTHING, false, PROXY_CUT_REPLY, "fl_commit_", "COMMIT"},
    {"after-resolve", EVERYTHING, false, PROXY_CUT_REPLY, "fl_commit_", "COMMIT"},
};
enum { DETOUR_COUNT = sizeof DETOURS / sizeof *DETOURS };

static void start_proxies(void)
{
    uint16_t port = proxy_start(&redis_proxy, services_redis_port(&fenceline.services));
    snprintf(redis_proxy_url, sizeof redis_proxy_url, "redis://127.0.0.1:%u", (unsigned)port);
    port = proxy_start(&postgres_proxy, services_postgres_port(&fenceline.services));
    services_dsn_on_port(fenceline.dsn, port, postgres_proxy_dsn);
    /* Redis must know the scripts: the reply to an unknown one is none to lose. */
    char *path = fenceline_write_chapters("ep-warm", "warm", 1);
    process_release(fenceline_run(0, "import", path));
    free(path);
}

static int stop_proxies(void **state)
{
    proxy_stop(&redis_proxy);
    proxy_stop(&postgres_proxy);
    return fenceline_stop_test(state);
}

static void kill_on_detour(const struct detour *detour, struct victim *victim)
{
    fenceline.redis_url = redis_proxy_url;
    fenceline.postgres_dsn = postgres_proxy_dsn;
    struct proxy *proxy = detour->on_redis ? &redis_proxy : &postgres_proxy;
    int rule =
        proxy_arm(proxy, &(struct proxy_rule){.direction = PROXY_TO_SERVER,
                                              .action = detour->action,
                                              .pattern = detour->pattern,
                                              .until = detour->until,
                                              .until_bytes = detour->until ? strlen(detour->until) : 0});
    assert_true(kill_at(victim, detour->label));
    assert_int_equal(proxy_fired(proxy, rule), 1);
    proxy_disarm_all(proxy);
    fenceline.redis_url = services_redis_url(&fenceline.services);
    fenceline.postgres_dsn = fenceline.dsn;
    check_dead(victim, detour->effect);
}

static void kill_on_detours(enum mode mode)
{
    struct victim victims[DETOUR_COUNT];
    fenceline_use_fast(true);
    start_proxies();
    for (int i = 0; i < DETOUR_COUNT; i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "ep-detour-%d", i);
        begin(&victims[i], name, mode, false);
    }
    if (mode != CREATE)
        import_old();
    for (int i = 0; i < DETOUR_COUNT; i++)
        kill_on_detour(&DETOURS[i], &victims[i]);
    for (int i = 0; i < DETOUR_COUNT; i++)
        victims[i].next = start(&victims[i], NULL);
    for (int i = 0; i < DETOUR_COUNT; i++) {
        check_next(&victims[i], DETOURS[i].effect);
        end(&victims[i]);
    }
    wait_for_no_lease();
    fenceline_assert_consistent();
}

static void test_lost_replies_of_create(void **state)
{
    (void)state;
    kill_on_detours(CREATE);
}

static void test_lost_replies_of_replace(void **state)
{
    (void)state;
    kill_on_detours(REPLACE);
}

/* ---- a request that waits on the server when its process dies ---- */

/* Waits until a backend of fenceline waits for a lock in this statement; its pid. */
static int64_t wait_for_blocked(const char *statement)
{
    int64_t deadline_ms = process_now_ms() + LONG_MS, pid = 0;
    while (pid == 0 && process_now_ms() < deadline_ms) {
        process_sleep_ms(10);
        pid = db_int(fenceline.db,
                     "SELECT coalesce(max(pid), 0) FROM pg_stat_activity"
                     " WHERE datname = current_database() AND application_name LIKE 'fenceline%'"
                     "   AND wait_event_type = 'Lock' AND query LIKE '%' || $1 || '%'",
                     statement);
    }
    assert_int_not_equal(pid, 0);
    return pid;
}

/* A row lock of somebody else, on a connection of its own. */
static PGconn *lock_row(const char *sql, const char *value)
{
    PGconn *conn = db_open(fenceline.dsn);
    db_exec(conn, "BEGIN");
    assert_int_equal(db_exec(conn, sql, value), 1);
    return conn;
}

/* The claim of a dead process takes effect after its death, and after its successor has begun. */
static void kill_while_claiming(enum mode mode, const char *label)
{
    struct victim victim;
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "ep-claim-%d-%s", (int)mode, label);
    begin(&victim, name, mode, false);
    if (mode == CREATE)
        db_exec(fenceline.db, "INSERT INTO fenceline.episodes (episode_id) VALUES ($1)", victim.episode);
    else
        process_release(fenceline_run(0, "import", victim.old_path));
    PGconn *lock =
        lock_row("SELECT FROM fenceline.episodes WHERE episode_id = $1 FOR UPDATE", victim.episode);
    assert_true(kill_at(&victim, label)); /* a renewal is due while the claim waits */
    check_dead(&victim, NOTHING);
    wait_for_blocked("claim_episodes");
    victim.next = start(&victim, NULL);
    process_sleep_ms(100);
    db_exec(lock, "COMMIT");
    db_close(lock);
    check_next(&victim, NOTHING);
    end(&victim);
    fenceline_assert_consistent();
}

static void test_renew(void **state)
{
    (void)state;
    fenceline_use_fast(true);
    kill_while_claiming(CREATE, "before-renew");
    kill_while_claiming(CREATE, "after-renew");
    kill_while_claiming(REPLACE, "before-renew");
}

/* Waits until it has stopped itself at its fail point: the line comes a moment before. */
static void wait_until_stopped(struct process *process)
{
    char path[64], line[512] = "", *state = line;
    process_wait_for_output(process, "fail point", LONG_MS);
    snprintf(path, sizeof path, "/proc/%d/stat", (int)process->pid);
    int64_t deadline_ms = process_now_ms() + LONG_MS;
    do {
        FILE *file = fopen(path, "re");
        assert_non_null(file);
        assert_non_null(fgets(line, sizeof line, file));
        fclose(file);
        state = strrchr(line, ')');
        assert_non_null(state);
    } while (state[2] != 'T' && process_now_ms() < deadline_ms);
    assert_int_equal(state[2], 'T');
}

/* The commit of a dead process ends after its death: everything, although nobody waits for its answer. */
static void kill_while_committing(enum mode mode)
{
    struct victim victim;
    char name[NAME_BYTES], id[ID_BYTES];
    snprintf(name, sizeof name, "ep-commit-%d", (int)mode);
    begin(&victim, name, mode, false);
    if (mode != CREATE)
        process_release(fenceline_run(0, "import", victim.old_path));
    victim.before = content_of(victim.episode);
    struct process *process = start(&victim, "before-commit:stop");
    wait_until_stopped(process);
    int64_t job_id = last_job(victim.episode);
    print_id(id, job_id);
    PGconn *lock = lock_row("SELECT FROM fenceline.jobs WHERE job_id = $1 FOR UPDATE", id);
    process_signal(process, SIGCONT);
    int64_t pid = wait_for_blocked("commit_");
    process_signal(process, SIGKILL);
    assert_int_equal(process_wait(process, LONG_MS), -SIGKILL);
    process_release(process);
    check_dead(&victim, NOTHING); /* not yet */
    victim.next = start(&victim, NULL);
    process_sleep_ms(100);
    db_exec(lock, "COMMIT");
    db_close(lock);
    print_id(id, pid);
    int64_t deadline_ms = process_now_ms() + LONG_MS;
    while (db_int(fenceline.db, "SELECT count(*) FROM pg_stat_activity WHERE pid = $1", id) != 0 &&
           process_now_ms() < deadline_ms)
        process_sleep_ms(10);
    check_next(&victim, EVERYTHING);
    assert_job_outcome(job_id, victim.mode == DELETE ? "deleted" : "imported");
    end(&victim);
    fenceline_assert_consistent();
}

static void test_commit_outlives_its_process(void **state)
{
    (void)state;
    fenceline_use_fast(true);
    kill_while_committing(CREATE);
    kill_while_committing(REPLACE);
    kill_while_committing(DELETE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FENCELINE_TEST(test_create),
        FENCELINE_TEST(test_replace),
        FENCELINE_TEST(test_delete),
        FENCELINE_TEST(test_ensure),
        FENCELINE_TEST(test_decide),
        cmocka_unit_test_setup_teardown(test_lost_replies_of_create, fenceline_start_test, stop_proxies),
        cmocka_unit_test_setup_teardown(test_lost_replies_of_replace, fenceline_start_test, stop_proxies),
        FENCELINE_TEST(test_renew),
        FENCELINE_TEST(test_commit_outlives_its_process),
    };
    return cmocka_run_group_tests(tests, fenceline_start_group, fenceline_stop_group);
}
