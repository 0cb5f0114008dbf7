/*
 * Connections that break, and packets that come late, exactly where it hurts: between the importer and its
 * servers stand proxies that cut, hold or swallow at a given request.
 *
 * Whatever is lost, an import ends imported exactly once: its rows are right, its answer is what its job's
 * row says, and the version of its document is one claimed token, written once. A trigger of the test keeps
 * the books on claims and versions. Where the servers stay silent, the import ends by itself with exit
 * code 6.
 */
#include "../lib/fenceline.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../lib/proxy.h"

enum { LONG_MS = 30000, ROWS_OLD = 5, ROWS = 25, NAME_BYTES = 96, ID_BYTES = 24, RULES_MAX = 2 };

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define TEST(function)                                                                                       \
    {                                                                                                        \
#function, function, start_test, stop_test, NULL                                                     \
    }

/* Generated from lua/ at build time. */
extern const char fl_lua_lease_acquire[], fl_lua_lease_renew[], fl_lua_lease_release[];

enum script { ACQUIRE, RENEW, RELEASE, SCRIPT_COUNT };
enum server { REDIS, POSTGRES };

static struct proxy proxies[2];
static char redis_proxy_url[64], postgres_proxy_dsn[SERVICES_DSN_BYTES];
static char *script_names[SCRIPT_COUNT]; /* how EVALSHA calls them */

/* ---- set-up ---- */

/* Who claimed what, and every version that was written, whatever a program says about it later. */
static const char BOOKS[] =
    "CREATE TABLE public.claims (episode text, fence bigint);"
    "CREATE TABLE public.versions (episode text, version bigint);"
    "CREATE FUNCTION public.keep_books() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    "  IF NEW.fence <> OLD.fence THEN INSERT INTO public.claims VALUES (NEW.episode_id, NEW.fence); END IF;"
    "  IF NEW.version <> OLD.version THEN"
    "    INSERT INTO public.versions VALUES (NEW.episode_id, NEW.version);"
    "  END IF;"
    "  RETURN NULL; END $$;"
    "CREATE TRIGGER keep_books AFTER UPDATE ON fenceline.episodes FOR EACH ROW"
    "  EXECUTE FUNCTION public.keep_books()";

/* Redis learns the scripts, so that no first call is answered "unknown script". */
static int start_test(void **state)
{
    const char *const texts[] = {
        [ACQUIRE] = fl_lua_lease_acquire, [RENEW] = fl_lua_lease_renew, [RELEASE] = fl_lua_lease_release};
    int status = fenceline_start_test(state);
    db_exec(fenceline.db, BOOKS);
    for (int i = 0; i < SCRIPT_COUNT; i++)
        script_names[i] = rdb_text(fenceline.redis, "SCRIPT LOAD %s", texts[i]);
    uint16_t port = proxy_start(&proxies[REDIS], services_redis_port(&fenceline.services));
    snprintf(redis_proxy_url, sizeof redis_proxy_url, "redis://127.0.0.1:%u", (unsigned)port);
    port = proxy_start(&proxies[POSTGRES], services_postgres_port(&fenceline.services));
    services_dsn_on_port(fenceline.dsn, port, postgres_proxy_dsn);
    fenceline_use_fast(true);
    return status;
}

static int stop_test(void **state)
{
    proxy_stop(&proxies[REDIS]);
    proxy_stop(&proxies[POSTGRES]);
    for (int i = 0; i < SCRIPT_COUNT; i++)
        free(script_names[i]);
    return fenceline_stop_test(state);
}

static void use_proxies(bool use)
{
    fenceline.redis_url = use ? redis_proxy_url : services_redis_url(&fenceline.services);
    fenceline.postgres_dsn = use ? postgres_proxy_dsn : fenceline.dsn;
}

/* ---- one import ---- */

struct import {
    char episode[NAME_BYTES];
    const char *mode; /* "create", "replace", "delete" */
    struct process *process;
};

static void write_old(const char *episode)
{
    char name[2 * NAME_BYTES];
    snprintf(name, sizeof name, "old/%s", episode);
    free(fenceline_write_chapters(name, "old", ROWS_OLD));
}

/* What replace and delete find there, for all episodes at once; it goes past the proxies. */
static void import_old(void)
{
    char *path = files_join(fenceline.folder, "old");
    use_proxies(false);
    process_release(fenceline_run(0, "import", "--quiet", path));
    free(path);
    db_exec(fenceline.db, "DELETE FROM public.claims");
    db_exec(fenceline.db, "DELETE FROM public.versions");
}

/* env ends with NULL; NULL = nothing to add. */
static void start(struct import *import, const char *episode, const char *mode, const char *const *env)
{
    *import = (struct import){.mode = mode};
    snprintf(import->episode, sizeof import->episode, "%s", episode);
    char *path = fenceline_write_chapters(episode, "new", ROWS);
    const char *const import_argv[] = {"import", "--json", "--verbose", "--mode", mode, path, NULL};
    const char *const delete_argv[] = {"delete", "--json", episode, "chapters", NULL};
    bool is_delete = strcmp(mode, "delete") == 0;
    import->process =
        fenceline_start(&(struct process_spec){.argv = is_delete ? delete_argv : import_argv, .env = env});
    free(path);
}

static int64_t count_where(const char *sql, const char *episode)
{
    return db_int(fenceline.db, sql, episode);
}

/* The answer on standard output is the job's row, word for word. */
static void assert_answer_is_row(const struct import *import)
{
    int64_t same = db_int(fenceline.db,
                          "SELECT count(*) FROM fenceline.jobs j, (SELECT $1::jsonb) AS answer (a)"
                          " WHERE j.job_id = (a ->> 'job_id')::bigint AND j.outcome = a ->> 'outcome'"
                          "   AND j.version = (a ->> 'version')::bigint"
                          "   AND j.row_count = (a ->> 'row_count')::integer"
                          "   AND j.message IS NOT DISTINCT FROM a ->> 'message'",
                          import->process->out.bytes);
    if (same != 1)
        process_print(import->process);
    assert_int_equal(same, 1);
}

/* One job, one outcome, one effect. Claims may be more: what came of them is seen in the versions. */
static void assert_done_once(const struct import *import)
{
    const char *episode = import->episode;
    bool is_delete = strcmp(import->mode, "delete") == 0;
    assert_answer_is_row(import);
    if (is_delete)
        fenceline_assert_nothing(episode, NULL);
    else
        fenceline_assert_chapters(episode, "new", ROWS);
    fenceline_assert_outcome(episode, NULL, is_delete ? "deleted" : "imported");
    assert_int_equal(count_where("SELECT count(*) FROM public.versions WHERE episode = $1", episode), 1);
    assert_int_equal(count_where("SELECT count(*) FROM public.versions v JOIN public.claims c"
                                 "    ON c.episode = v.episode AND c.fence = v.version"
                                 "  JOIN fenceline.episodes e ON e.episode_id = v.episode"
                                 "  JOIN fenceline.documents d ON d.episode_id = v.episode"
                                 " WHERE v.episode = $1 AND e.version = v.version AND d.version = v.version",
                                 episode),
                     1);
    int64_t jobs = count_where("SELECT count(*) FROM fenceline.jobs WHERE episode_id = $1", episode);
    assert_int_equal(jobs, strcmp(import->mode, "create") == 0 ? 1 : 2);
}

static void finish(struct import *import)
{
    fenceline_finish_within(import->process, 0, LONG_MS);
    assert_done_once(import);
    process_release(import->process);
}

/* ---- cuts at one request ---- */

struct cut {
    const char *name;
    enum server server;
    enum proxy_action action;
    const char *pattern; /* NULL: the script */
    enum script script;
    const char *until;
    enum proxy_direction direction;
    bool again; /* the claim is lost with it: the import needs a second token */
};

/* The statement is executed, and its answer is swallowed; or it never arrives. */
static const struct cut CUTS[] = {
    {.name = "acquire-request", REDIS, PROXY_CUT_BEFORE, NULL, ACQUIRE},
    {.name = "acquire-reply", REDIS, PROXY_CUT_REPLY, NULL, ACQUIRE},
    {.name = "wake-up", REDIS, PROXY_CUT_BEFORE, "SUBSCRIBE"},
    {.name = "startup", POSTGRES, PROXY_CUT_BEFORE, "application_name"},
    {.name = "session", POSTGRES, PROXY_CUT_REPLY, "search_path"},
    {.name = "submit-request", POSTGRES, PROXY_CUT_BEFORE, "fl_submit"},
    {.name = "read-request", POSTGRES, PROXY_CUT_BEFORE, "fl_read"},
    {.name = "read-reply", POSTGRES, PROXY_CUT_REPLY, "fl_read"},
    {.name = "claim-request", POSTGRES, PROXY_CUT_BEFORE, "fl_claim", .again = true},
    {.name = "claim-reply", POSTGRES, PROXY_CUT_REPLY, "fl_claim"},
    {.name = "commit-request", POSTGRES, PROXY_CUT_BEFORE, "fl_commit_", .again = true},
    {.name = "commit-end", POSTGRES, PROXY_CUT_BEFORE, "COMMIT", .again = true},
    {.name = "commit-reply", POSTGRES, PROXY_CUT_REPLY, "fl_commit_", .until = "COMMIT"},
    {.name = "commit-tag",
     POSTGRES,
     PROXY_CUT_BEFORE,
     "COMMIT",
     .direction = PROXY_TO_CLIENT}, /* the answer of the function arrives, with its transaction's id */
};
enum { FIRST_OF_POSTGRES = 3, FIRST_OF_CLAIM = 8 };
static const struct cut SUBMIT_REPLY = {.name = "submit-reply", POSTGRES, PROXY_CUT_REPLY, "fl_submit"};
static const struct cut RELEASES[] = {
    {.name = "release-request", REDIS, PROXY_CUT_BEFORE, NULL, RELEASE},
    {.name = "release-reply", REDIS, PROXY_CUT_REPLY, NULL, RELEASE},
};

static int arm(const struct cut *cut, bool reset)
{
    return proxy_arm(&proxies[cut->server],
                     &(struct proxy_rule){.direction = cut->direction,
                                          .action = cut->action,
                                          .pattern = cut->pattern ? cut->pattern : script_names[cut->script],
                                          .until = cut->until,
                                          .until_bytes = cut->until ? strlen(cut->until) : 0,
                                          .reset = reset});
}

static void disarm_all(void)
{
    proxy_disarm_all(&proxies[REDIS]);
    proxy_disarm_all(&proxies[POSTGRES]);
}

static void name_episode(char episode[NAME_BYTES], const struct cut *cut, bool reset)
{
    snprintf(episode, NAME_BYTES, "%s-%s", cut->name, reset ? "reset" : "closed");
}

/* Longer than the test waits: a broken connection is noticed by itself, not because nothing came in time. */
static const char *const LONG_TIMES[] = {"FENCELINE_REDIS_TIMEOUT_MS=120000",
                                         "FENCELINE_POSTGRES_TIMEOUT_MS=120000", NULL};

static void import_through_cut(const struct cut *cut, const char *mode, bool reset)
{
    struct import import;
    char episode[NAME_BYTES];
    name_episode(episode, cut, reset);
    use_proxies(true);
    int rule = arm(cut, reset);
    start(&import, episode, mode, LONG_TIMES);
    finish(&import);
    assert_int_equal(proxy_fired(&proxies[cut->server], rule), 1);
    int64_t first = strcmp(mode, "create") == 0 ? 1 : 2;
    assert_int_equal(count_where("SELECT version FROM public.versions WHERE episode = $1", episode),
                     cut->again ? first + 1 : first);
    disarm_all();
}

/* By an orderly close or a reset, each cut on an episode of its own. */
static void import_through_cuts(size_t first, const char *mode, bool reset)
{
    for (size_t i = first; i < COUNT(CUTS); i++) {
        char episode[NAME_BYTES];
        name_episode(episode, &CUTS[i], reset);
        write_old(episode);
    }
    if (strcmp(mode, "create") != 0)
        import_old();
    for (size_t i = first; i < COUNT(CUTS); i++)
        import_through_cut(&CUTS[i], mode, reset);
    fenceline_assert_clean();
}

static void test_create(void **state)
{
    (void)state;
    import_through_cuts(0, "create", false);
}

static void test_replace(void **state)
{
    (void)state;
    import_through_cuts(FIRST_OF_CLAIM, "replace", false);
}

static void test_delete(void **state)
{
    (void)state;
    import_through_cuts(FIRST_OF_CLAIM, "delete", false);
}

static void test_postgres_resets(void **state)
{
    (void)state;
    import_through_cuts(FIRST_OF_POSTGRES, "create", true);
}

static void test_redis_resets(void **state)
{
    (void)state;
    for (size_t i = 0; i < FIRST_OF_POSTGRES; i++)
        import_through_cut(&CUTS[i], "create", true);
    fenceline_assert_clean();
}

/* The rows were written, and the importer does not learn their ids. One row must stand for one import, and
 * none may stay open for ever. */
static void test_submit_reply(void **state)
{
    (void)state;
    import_through_cut(&SUBMIT_REPLY, "create", false);
    fenceline_assert_clean();
}

/* A lease that was not given back runs out by itself: that is normal, and no error. */
static void test_release(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(RELEASES); i++) {
        import_through_cut(&RELEASES[i], "create", false);
        int64_t left = fenceline_count_leases();
        assert_int_equal(left, RELEASES[i].action == PROXY_CUT_BEFORE ? 1 : 0);
        char *key = fenceline_lease_key("release-request-closed");
        assert_true(left == 0 || rdb_int(fenceline.redis, "PTTL %s", key) > 0);
        free(key);
        fenceline_drop_lease("release-request-closed");
    }
    fenceline_assert_clean();
}

/* It waited for long enough to be in the registry, and would leave that on the connection that is just being
 * lost. */
static void test_release_by_a_registered(void **state)
{
    (void)state;
    const char *const env[] = {"FENCELINE_WORKER_HEARTBEAT_MS=100", "FENCELINE_WORKER_DEAD_MS=300",
                               "FENCELINE_REDIS_TIMEOUT_MS=120000", NULL};
    for (int reset = 0; reset < 2; reset++) {
        struct import import;
        char episode[NAME_BYTES];
        snprintf(episode, sizeof episode, "registered%d", reset);
        fenceline_set_lease(episode, "somebody", 700);
        use_proxies(true);
        int rule = arm(&RELEASES[1], reset);
        start(&import, episode, "create", env);
        finish(&import);
        assert_int_equal(proxy_fired(&proxies[REDIS], rule), 1);
        disarm_all();
    }
    fenceline_assert_clean();
}

/* ---- the answer that resolves a lost one is lost as well ---- */

static const struct {
    const char *name;
    struct cut cuts[RULES_MAX];
} TWICE[] = {
    {"acquire-twice",
     {{.server = REDIS, .action = PROXY_CUT_REPLY, .script = ACQUIRE},
      {.server = REDIS, .action = PROXY_CUT_REPLY, .pattern = "\r\nGET\r\n"}}},
    {"claim-twice",
     {{.server = POSTGRES, .action = PROXY_CUT_REPLY, .pattern = "fl_claim"},
      {.server = POSTGRES, .action = PROXY_CUT_REPLY, .pattern = "fl_claim_check"}}},
    {"commit-twice",
     {{.server = POSTGRES, .action = PROXY_CUT_REPLY, .pattern = "fl_commit_", .until = "COMMIT"},
      {.server = POSTGRES, .action = PROXY_CUT_REPLY, .pattern = "fl_resolve"}}},
    {"commit-twice-unsent",
     {{.server = POSTGRES, .action = PROXY_CUT_BEFORE, .pattern = "COMMIT"},
      {.server = POSTGRES, .action = PROXY_CUT_REPLY, .pattern = "fl_resolve"}}},
};

static void test_lost_twice(void **state)
{
    (void)state;
    use_proxies(true);
    for (size_t i = 0; i < COUNT(TWICE); i++) {
        struct import import;
        int rules[RULES_MAX];
        for (int k = 0; k < RULES_MAX; k++)
            rules[k] = arm(&TWICE[i].cuts[k], false);
        start(&import, TWICE[i].name, "create", NULL);
        finish(&import);
        for (int k = 0; k < RULES_MAX; k++)
            assert_int_equal(proxy_fired(&proxies[TWICE[i].cuts[k].server], rules[k]), 1);
        disarm_all();
    }
    fenceline_assert_clean();
}

/* ---- a refusal whose reply is lost ---- */

static const struct cut DECIDES[] = {
    {.name = "decide-request", POSTGRES, PROXY_CUT_BEFORE, "fl_decide"},
    {.name = "decide-end", POSTGRES, PROXY_CUT_BEFORE, "COMMIT"},
    {.name = "decide-reply", POSTGRES, PROXY_CUT_REPLY, "fl_decide", .until = "COMMIT"},
};

static void test_decide(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(DECIDES); i++)
        write_old(DECIDES[i].name);
    import_old();
    use_proxies(true);
    for (size_t i = 0; i < COUNT(DECIDES); i++) {
        struct import import;
        int rule = arm(&DECIDES[i], false);
        start(&import, DECIDES[i].name, "create", NULL);
        fenceline_finish_within(import.process, 3, LONG_MS);
        assert_int_equal(proxy_fired(&proxies[POSTGRES], rule), 1);
        fenceline_assert_out(import.process, "already imported");
        fenceline_assert_outcome(import.episode, NULL, "rejected");
        assert_answer_is_row(&import);
        fenceline_assert_chapters(import.episode, "old", ROWS_OLD);
        process_release(import.process);
        disarm_all();
    }
    assert_int_equal(fenceline_count_jobs("rejected"), COUNT(DECIDES));
    assert_int_equal(db_int(fenceline.db, "SELECT count(*) FROM public.versions"), 0);
    fenceline_assert_clean();
}

/* ---- statements that go on after their connection was cut ---- */

static int64_t last_job(const char *episode)
{
    return db_int(fenceline.db, "SELECT max(job_id) FROM fenceline.jobs WHERE episode_id = $1", episode);
}

static PGconn *lock_row(const char *sql, const char *value)
{
    PGconn *conn = db_open(fenceline.dsn);
    db_exec(conn, "BEGIN");
    assert_int_equal(db_exec(conn, sql, value), 1);
    return conn;
}

static void unlock(PGconn *conn)
{
    db_exec(conn, "COMMIT");
    db_close(conn);
}

/* The pid of the backend that waits in this statement: for a lock, or in pg_sleep. */
static int64_t wait_for_waiting(const char *statement, int64_t other_than)
{
    char other[ID_BYTES];
    snprintf(other, sizeof other, "%" PRId64, other_than);
    int64_t deadline_ms = process_now_ms() + LONG_MS, pid = 0;
    while (pid == 0 && process_now_ms() < deadline_ms) {
        process_sleep_ms(5);
        pid = db_int(fenceline.db,
                     "SELECT coalesce(max(pid), 0) FROM pg_stat_activity WHERE datname = current_database()"
                     "   AND application_name LIKE 'fenceline%' AND wait_event_type IN ('Lock', 'Timeout')"
                     "   AND query LIKE '%' || $1 || '%' AND pid <> $2::bigint",
                     statement, other);
    }
    assert_int_not_equal(pid, 0);
    return pid;
}

static void wait_for_end_of(int64_t backend)
{
    char pid[ID_BYTES];
    snprintf(pid, sizeof pid, "%" PRId64, backend);
    int64_t deadline_ms = process_now_ms() + LONG_MS, alive = 1;
    while (alive != 0 && process_now_ms() < deadline_ms) {
        process_sleep_ms(5);
        alive = db_int(fenceline.db, "SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid);
    }
    assert_int_equal(alive, 0);
}

/* No time-out of the server may end what the test makes wait: the importer itself has to. */
#define NO_SERVER_TIMEOUT "FENCELINE_POSTGRES_TIMEOUT_MS=120000"
static const char *const STOP_BEFORE_COMMIT[] = {NO_SERVER_TIMEOUT, "FENCELINE_FAIL_POINT=before-commit:stop",
                                                 NULL};
static const char *const STOP_BEFORE_CLAIM[] = {NO_SERVER_TIMEOUT, "FENCELINE_FAIL_POINT=before-claim:stop",
                                                NULL};

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

/* Starts an import that stands still at its fail point. */
static void start_stopped(struct import *import, const char *episode, const char *mode,
                          const char *const *env)
{
    use_proxies(true);
    start(import, episode, mode, env);
    wait_until_stopped(import->process);
}

/* The commit waits on the server for a row that the test has locked, and its connection is cut: nobody could
 * tell what becomes of it. So it is made to end, and the import starts over. */
static void commit_and_cut(const char *mode)
{
    struct import import;
    char episode[NAME_BYTES], id[ID_BYTES];
    snprintf(episode, sizeof episode, "running-%s", mode);
    if (strcmp(mode, "create") != 0) {
        use_proxies(false);
        char *path = fenceline_write_chapters(episode, "old", ROWS_OLD);
        process_release(fenceline_run(0, "import", path));
        free(path);
        db_exec(fenceline.db, "DELETE FROM public.versions");
    }
    start_stopped(&import, episode, mode, STOP_BEFORE_COMMIT);
    snprintf(id, sizeof id, "%" PRId64, last_job(episode));
    PGconn *lock = lock_row("SELECT FROM fenceline.jobs WHERE job_id = $1 FOR UPDATE", id);
    process_signal(import.process, SIGCONT);
    int64_t backend = wait_for_waiting("commit_", 0);
    proxy_cut_all(&proxies[POSTGRES], false);
    wait_for_end_of(backend); /* while the lock is still held */
    unlock(lock);
    finish(&import);
}

static void test_commit_still_runs(void **state)
{
    (void)state;
    commit_and_cut("create");
    commit_and_cut("replace");
    commit_and_cut("delete");
    fenceline_assert_clean();
}

/* The same while the rows are already written and the transaction is in its last statement. */
static void test_commit_sleeps_in_a_trigger(void **state)
{
    (void)state;
    struct import import;
    db_exec(fenceline.db,
            "CREATE SEQUENCE public.times;"
            "CREATE FUNCTION public.sleep_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            "  IF nextval('public.times') = 1 THEN PERFORM pg_sleep(3600); END IF; RETURN NULL; END $$;"
            "CREATE TRIGGER sleep_once AFTER INSERT ON fenceline.documents FOR EACH ROW"
            "  EXECUTE FUNCTION public.sleep_once()");
    use_proxies(true);
    start(&import, "sleeping", "create", LONG_TIMES);
    int64_t backend = wait_for_waiting("commit_", 0);
    proxy_cut_all(&proxies[POSTGRES], true);
    wait_for_end_of(backend);
    finish(&import);
    assert_int_equal(db_int(fenceline.db, "SELECT last_value FROM public.times"), 2);
    fenceline_assert_clean();
}

/* The server itself ends the session in which the commit is running. */
static void test_commit_is_terminated(void **state)
{
    (void)state;
    struct import import;
    char id[ID_BYTES];
    start_stopped(&import, "terminated", "create", STOP_BEFORE_COMMIT);
    snprintf(id, sizeof id, "%" PRId64, last_job(import.episode));
    PGconn *lock = lock_row("SELECT FROM fenceline.jobs WHERE job_id = $1 FOR UPDATE", id);
    process_signal(import.process, SIGCONT);
    snprintf(id, sizeof id, "%" PRId64, wait_for_waiting("commit_", 0));
    db_exec(fenceline.db, "SELECT pg_terminate_backend($1)", id);
    unlock(lock);
    finish(&import);
    fenceline_assert_clean();
}

/* A claim that is cut while it waits takes effect later, for nobody: the import claims anew, above it. */
static void test_claim_still_runs(void **state)
{
    (void)state;
    struct import import;
    start_stopped(&import, "claiming", "create", STOP_BEFORE_CLAIM);
    PGconn *lock =
        lock_row("SELECT FROM fenceline.episodes WHERE episode_id = $1 FOR UPDATE", import.episode);
    process_signal(import.process, SIGCONT);
    int64_t backend = wait_for_waiting("claim_episodes", 0);
    proxy_cut_all(&proxies[POSTGRES], false);
    wait_for_waiting("claim_episodes", backend); /* its second one queues behind the first */
    unlock(lock);
    finish(&import);
    fenceline_assert_clean();
}

/* ---- renewals ---- */

/* The claim waits for the test; the lease outlives its time although a renewal was lost. */
static void renew_through(enum proxy_action action, const char *episode)
{
    static const char *const ENV[] = {"FENCELINE_LEASE_TTL_MS=900", NO_SERVER_TIMEOUT,
                                      "FENCELINE_FAIL_POINT=before-claim:stop", NULL};
    struct import import;
    start_stopped(&import, episode, "create", ENV);
    PGconn *lock = lock_row("SELECT FROM fenceline.episodes WHERE episode_id = $1 FOR UPDATE", episode);
    struct cut cut = {.server = REDIS, .action = action, .script = RENEW};
    int rule = arm(&cut, false);
    cut.action = PROXY_COUNT;
    int all = arm(&cut, false);
    process_signal(import.process, SIGCONT);
    wait_for_waiting("claim_episodes", 0);
    assert_true(proxy_wait_fired(&proxies[REDIS], rule, 1, LONG_MS));
    assert_true(proxy_wait_hits(&proxies[REDIS], all, 5, LONG_MS)); /* beyond the first lease's end */
    assert_int_equal(fenceline_count_leases(), 1);
    unlock(lock);
    finish(&import);
    /* Never lost, so never claimed again: the first token is the one that counts. */
    assert_int_equal(count_where("SELECT count(*) FROM public.claims WHERE episode = $1", episode), 1);
    disarm_all();
}

static void test_renew(void **state)
{
    (void)state;
    renew_through(PROXY_CUT_BEFORE, "renew-request");
    renew_through(PROXY_CUT_REPLY, "renew-reply");
    fenceline_assert_clean();
}

/* ---- packets that come late ---- */

static const char *const SHORT_TIMES[] = {
    "FENCELINE_POSTGRES_TIMEOUT_MS=1000", "FENCELINE_REDIS_TIMEOUT_MS=500", "FENCELINE_JOB_MAX_ATTEMPTS=4",
    "FENCELINE_JOB_PATIENCE_MS=10000",    "FENCELINE_LEASE_TTL_MS=30000",   NULL};

static const struct cut HELD[] = {
    {.name = "held-acquire", REDIS, PROXY_HOLD, NULL, ACQUIRE},
    {.name = "held-acquire-reply", REDIS, PROXY_HOLD, "*2\r\n:1\r\n", .direction = PROXY_TO_CLIENT},
    {.name = "held-claim", POSTGRES, PROXY_HOLD, "fl_claim"},
    {.name = "held-commit", POSTGRES, PROXY_HOLD, "fl_commit_"},
    {.name = "held-commit-end", POSTGRES, PROXY_HOLD, "COMMIT"},
    {.name = "held-commit-reply", POSTGRES, PROXY_HOLD, "COMMIT", .direction = PROXY_TO_CLIENT},
};

static char *content_of(const char *episode)
{
    char *text =
        db_text(fenceline.db,
                "SELECT concat_ws(E'\\n',"
                " (SELECT e::text FROM fenceline.episodes e WHERE episode_id = $1),"
                " (SELECT string_agg(d::text, E'\\n') FROM fenceline.documents d WHERE episode_id = $1),"
                " (SELECT string_agg(j::text, E'\\n' ORDER BY job_id) FROM fenceline.jobs j"
                "   WHERE episode_id = $1),"
                " (SELECT string_agg(c::text, E'\\n' ORDER BY order_index) FROM fenceline.chapters c"
                "   WHERE episode_id = $1))",
                episode);
    assert_non_null(text);
    return text;
}

/* The importer gives up waiting and goes on; what was held arrives when all is done, and changes nothing. */
static void import_and_let_late(const struct cut *held)
{
    struct import import;
    use_proxies(true);
    int rule = arm(held, false);
    start(&import, held->name, "create", SHORT_TIMES);
    finish(&import);
    assert_int_equal(proxy_fired(&proxies[held->server], rule), 1);
    char *before = content_of(import.episode);
    disarm_all();
    proxy_resume(&proxies[held->server]);
    int64_t deadline_ms = process_now_ms() + LONG_MS;
    while (proxy_open_connections(&proxies[held->server]) != 0 && process_now_ms() < deadline_ms)
        process_sleep_ms(5);
    assert_int_equal(proxy_open_connections(&proxies[held->server]), 0);
    process_sleep_ms(50); /* a server may still be at it */
    char *after = content_of(import.episode);
    assert_string_equal(after, before);
    free(before);
    free(after);
    /* An acquisition that comes when its owner is gone takes a lease that nobody gives back: it runs out. */
    char *key = fenceline_lease_key(import.episode);
    assert_int_not_equal(rdb_int(fenceline.redis, "PTTL %s", key), -1);
    free(key);
    fenceline_drop_lease(import.episode);
}

static void test_late_packets(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(HELD); i++)
        import_and_let_late(&HELD[i]);
    fenceline_assert_clean();
}

/* ---- silence ---- */

/* Where an import is when its server falls silent; NULL: it has not begun. */
static const char *const REDIS_SILENCES[] = {NULL, "before-lease"};
static const char *const POSTGRES_SILENCES[] = {NULL, "before-read", "before-claim", "before-commit"};
enum { SILENCES_MAX = COUNT(POSTGRES_SILENCES) };

static const char *const SHORTEST_TIMES[] = {
    "FENCELINE_POSTGRES_TIMEOUT_MS=500", "FENCELINE_REDIS_TIMEOUT_MS=500", "FENCELINE_JOB_MAX_ATTEMPTS=2",
    "FENCELINE_JOB_PATIENCE_MS=500",     "FENCELINE_LEASE_TTL_MS=30000",   NULL};

/* Starts an import that stops there, if that is a place. */
static void start_for_silence(struct import *import, const char *fail_point, const char *const *times)
{
    const char *env[COUNT(SHORT_TIMES) + 1];
    char point[NAME_BYTES] = "FENCELINE_FAIL_POINT", episode[NAME_BYTES];
    memcpy(env, times, sizeof SHORT_TIMES);
    if (fail_point)
        snprintf(point, sizeof point, "FENCELINE_FAIL_POINT=%s:stop", fail_point);
    env[COUNT(SHORT_TIMES) - 1] = point;
    env[COUNT(SHORT_TIMES)] = NULL;
    snprintf(episode, sizeof episode, "silent-%s", fail_point ? fail_point : "at-once");
    use_proxies(true);
    start(import, episode, "create", env);
    if (fail_point)
        wait_until_stopped(import->process);
}

/* Exit code 6 and the name of the server, nothing changed; false if not. */
static bool check_given_up(struct import *import, const char *server_name)
{
    int code = process_wait(import->process, LONG_MS);
    bool names_server =
        strstr(import->process->out.bytes, server_name) || strstr(import->process->err.bytes, server_name);
    fenceline_assert_nothing(import->episode, NULL);
    if (code != 6 || !names_server)
        process_print(import->process);
    process_release(import->process);
    return code == 6 && names_server;
}

/* The server never answers again: the imports end by themselves, and the next ones succeed. */
static void be_silent_for_ever(enum server server, const char *const *places, size_t count)
{
    struct import imports[SILENCES_MAX], next;
    size_t right = 0;
    for (size_t i = 1; i < count; i++)
        start_for_silence(&imports[i], places[i], SHORTEST_TIMES);
    proxy_block(&proxies[server], PROXY_SILENT);
    start_for_silence(&imports[0], NULL, SHORTEST_TIMES);
    for (size_t i = 1; i < count; i++)
        process_signal(imports[i].process, SIGCONT);
    for (size_t i = 0; i < count; i++)
        right += check_given_up(&imports[i], server == REDIS ? "Redis" : "Postgres");
    proxy_cut_all(&proxies[server], true);
    proxy_resume(&proxies[server]);
    use_proxies(false);
    for (size_t i = 0; i < count; i++) {
        fenceline_drop_lease(imports[i].episode);
        start(&next, imports[i].episode, "create", NULL);
        fenceline_finish_within(next.process, 0, LONG_MS);
        fenceline_assert_chapters(next.episode, "new", ROWS);
        process_release(next.process);
    }
    fenceline_assert_consistent();
    assert_int_equal(right, count);
}

static void test_redis_silent_for_ever(void **state)
{
    (void)state;
    be_silent_for_ever(REDIS, REDIS_SILENCES, COUNT(REDIS_SILENCES));
}

static void test_postgres_silent_for_ever(void **state)
{
    (void)state;
    be_silent_for_ever(POSTGRES, POSTGRES_SILENCES, COUNT(POSTGRES_SILENCES));
}

/* The server is silent until the import has given a connection up and tries another: it gets through. */
static void be_silent_for_a_while(enum server server, const char *place)
{
    struct import import;
    start_for_silence(&import, place, SHORT_TIMES);
    proxy_block(&proxies[server], PROXY_SILENT);
    unsigned opened = proxy_connections(&proxies[server]);
    process_signal(import.process, SIGCONT);
    assert_true(proxy_wait_connections(&proxies[server], opened + 1, LONG_MS));
    proxy_resume(&proxies[server]);
    finish(&import);
}

static void test_silent_for_a_while(void **state)
{
    (void)state;
    for (size_t i = 1; i < COUNT(REDIS_SILENCES); i++)
        be_silent_for_a_while(REDIS, REDIS_SILENCES[i]);
    for (size_t i = 1; i < COUNT(POSTGRES_SILENCES); i++)
        be_silent_for_a_while(POSTGRES, POSTGRES_SILENCES[i]);
    fenceline_assert_clean();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_create),
        TEST(test_replace),
        TEST(test_delete),
        TEST(test_postgres_resets),
        TEST(test_redis_resets),
        TEST(test_submit_reply),
        TEST(test_release),
        TEST(test_release_by_a_registered),
        TEST(test_lost_twice),
        TEST(test_decide),
        TEST(test_commit_still_runs),
        TEST(test_commit_sleeps_in_a_trigger),
        TEST(test_commit_is_terminated),
        TEST(test_claim_still_runs),
        TEST(test_renew),
        TEST(test_late_packets),
        TEST(test_redis_silent_for_ever),
        TEST(test_postgres_silent_for_ever),
        TEST(test_silent_for_a_while),
    };
    return cmocka_run_group_tests(tests, fenceline_start_group, fenceline_stop_group);
}
