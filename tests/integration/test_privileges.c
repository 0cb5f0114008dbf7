/*
 * Least privilege: under the roles of config/roles.sql and the Redis user of config/redis.acl everything
 * works, and nothing else does.
 *
 * Each test logs in as users who have one role each, and as the Redis user, all made from the two files. What
 * works is run for real, and nobody may have been refused anything meanwhile, not even silently: the servers'
 * own logs tell. That no right is too many: each is taken away alone, and is missed. That none is forgotten:
 * the schema and the sources are compared with the lists.
 */
#include "../lib/fleet.h"

#include <ctype.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../lib/proxy.h"
#include "base/arena.h"
#include "base/slice.h"
#include "io/pg_rights.h"
#include "io/pg_sync.h"
#include "io/redis_rights.h"

#define COUNT(array)   (sizeof(array) / sizeof *(array))
#define REDIS_PASSWORD "lamp5room"

enum { SQL_BYTES = 2048, URL_BYTES = 160, PATH_BYTES = 4096, ID_BYTES = 24, TIMEOUT_MS = 10000, RULES = 128 };

/* A user for each role, by its place in the enum, and one without any. */
static const char *const USERS[] = {"t_reader", "t_operator", "t_worker", "t_enqueuer", "t_nobody"};
enum { NOBODY = FL_ROLE_COUNT };

static char *roles_sql, *redis_acl, *acl_path; /* the files, and where the second one is */
static char role_dsn[SERVICES_DSN_BYTES + 32], role_redis_url[URL_BYTES];
static struct fl_arena arena;

/* ---- set-up ---- */

/* The path of something in the repository: where the tests are started, or above the test program. */
static char *repository_path(const char *relative)
{
    char own[PATH_BYTES];
    if (access(relative, R_OK) == 0)
        return realpath(relative, NULL);
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    assert_true(length > 0);
    own[length] = '\0';
    for (char *slash = strrchr(own, '/'); slash != NULL && slash != own; slash = strrchr(own, '/')) {
        *slash = '\0';
        char *path = files_join(own, relative);
        if (access(path, R_OK) == 0)
            return path;
        free(path);
    }
    LIB_FAIL("there is no %s: run the tests from the repository's folder", relative);
}

static int start_group(void **state)
{
    char *path = repository_path("config/roles.sql");
    roles_sql = files_read(path, NULL);
    free(path);
    acl_path = repository_path("config/redis.acl");
    redis_acl = files_read(acl_path, NULL);
    fl_arena_init(&arena, 16 << 20);
    return fenceline_start_group(state);
}

static int stop_group(void **state)
{
    free(roles_sql);
    free(redis_acl);
    free(acl_path);
    fl_arena_release(&arena);
    return fenceline_stop_group(state);
}

static void make_user(int user)
{
    char sql[SQL_BYTES];
    if (db_int(fenceline.db, "SELECT count(*) FROM pg_roles WHERE rolname = $1", USERS[user]) > 0)
        return;
    snprintf(sql, sizeof sql, "CREATE ROLE %s LOGIN", USERS[user]);
    if (user != NOBODY) {
        strcat(sql, " IN ROLE ");
        strcat(sql, fl_pg_role_name((enum fl_pg_role)user));
    }
    db_exec(fenceline.db, sql);
}

/* The command that the file itself and the README tell. */
static void make_redis_user(void)
{
    char command[PATH_BYTES + 256];
    snprintf(command, sizeof command,
             "grep -o '^[^# ]*' '%s' | xargs redis-cli -p %u ACL SETUSER fenceline reset on '>%s'", acl_path,
             (unsigned)services_redis_port(&fenceline.services), REDIS_PASSWORD);
    struct process *shell = process_run(
        &(struct process_spec){.argv = (const char *const[]){"sh", "-c", command, NULL}}, TIMEOUT_MS);
    assert_int_equal(shell->exit_code, 0);
    assert_string_equal(shell->out.bytes, "OK\n");
    process_release(shell);
}

static int start_test(void **state)
{
    int status = fenceline_start_test(state);
    fenceline_use_fast(true);
    fenceline.secret = REDIS_PASSWORD;
    db_exec(fenceline.db, roles_sql);
    for (int user = 0; user < (int)COUNT(USERS); user++)
        make_user(user);
    make_redis_user();
    rdb_exec(fenceline.redis, "ACL LOG RESET");
    return status;
}

static int stop_test(void **state)
{
    fl_arena_release(&arena);
    return fenceline_stop_test(state);
}

static void dsn_of(const char *dsn, const char *user, char result[sizeof role_dsn])
{
    const char *rest = strchr(dsn, '@');
    assert_non_null(rest);
    snprintf(result, sizeof role_dsn, "postgresql://%s%s", user, rest);
}

/* From now on the program logs in as a user with this role alone, and as the Redis user. */
static void become(int user)
{
    dsn_of(fenceline.dsn, USERS[user], role_dsn);
    snprintf(role_redis_url, sizeof role_redis_url, "redis://fenceline:%s@127.0.0.1:%u", REDIS_PASSWORD,
             (unsigned)services_redis_port(&fenceline.services));
    fenceline.postgres_dsn = role_dsn;
    fenceline.redis_url = role_redis_url;
}

static PGconn *open_as(int user)
{
    char dsn[sizeof role_dsn];
    dsn_of(fenceline.dsn, USERS[user], dsn);
    return db_open(dsn);
}

static redisContext *redis_as_fenceline(void)
{
    redisContext *redis = rdb_open(services_redis_port(&fenceline.services));
    rdb_exec(redis, "AUTH fenceline %s", REDIS_PASSWORD);
    return redis;
}

/* ---- nobody was refused anything ---- */

static size_t denials(void)
{
    char *log = files_read(services_postgres_log_path(&fenceline.services), NULL);
    size_t count = files_count_text(log, "permission denied") + files_count_text(log, "must be ");
    free(log);
    return count;
}

static void assert_nothing_denied(size_t denials_before)
{
    if (denials() != denials_before) {
        services_postgres_log_tail(&fenceline.services, 10);
        fail_msg("Postgres has refused something, see the log");
    }
    redisReply *log = redisCommand(fenceline.redis, "ACL LOG 1");
    assert_non_null(log);
    if (log->elements > 0)
        fail_msg("Redis has refused %s '%s' (%s)", log->element[0]->element[3]->str,
                 log->element[0]->element[7]->str, log->element[0]->element[5]->str);
    freeReplyObject(log);
}

/* ---- the lists and the schema ---- */

/* One text, or the test fails with the question and what was found. */
static void assert_none(const char *advice, const char *sql)
{
    char *found = db_text(fenceline.db, sql, roles_sql);
    if (found)
        fail_msg("%s: %s", found, advice);
}

#define LISTED "regexp_replace($1, '--[^\\n]*', '', 'g') ~ ('\\mfenceline\\.' || name || '\\M')"

static void test_every_object_is_listed(void **state)
{
    (void)state;
    assert_none("config/roles.sql gives it to no role: add it to a GRANT there, and to a role that needs it",
                "SELECT string_agg(name, ', ') FROM (SELECT relname AS name FROM pg_class"
                " WHERE relnamespace = 'fenceline'::regnamespace AND relkind IN ('r', 'v', 'm', 'p', 'f')) c"
                " WHERE NOT " LISTED);
    assert_none(
        "config/roles.sql does not name it: add it to the GRANT EXECUTE of a role that calls it, or, if only "
        "functions with the owner's rights do, to the last REVOKE there",
        "SELECT string_agg(name, ', ') FROM (SELECT proname AS name FROM pg_proc"
        " WHERE pronamespace = 'fenceline'::regnamespace) p WHERE NOT " LISTED);
    assert_none(
        "config/roles.sql names it, but the schema has no such table or function",
        "SELECT string_agg(DISTINCT name, ', ')"
        "  FROM regexp_matches(regexp_replace($1, '--[^\\n]*', '', 'g'), '\\mfenceline\\.(\\w+)', 'g') m (m),"
        "       LATERAL (SELECT m[1]) n (name)"
        " WHERE NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'fenceline'::regnamespace"
        "                     AND relname = name)"
        "   AND NOT EXISTS (SELECT FROM pg_proc WHERE pronamespace = 'fenceline'::regnamespace"
        "                     AND proname = name)");
    assert_none(
        "two functions of one name: GRANT ... ON FUNCTION without its parameters cannot tell them apart",
        "SELECT string_agg(proname, ', ') FROM (SELECT proname FROM pg_proc"
        " WHERE pronamespace = 'fenceline'::regnamespace AND $1::text IS NOT NULL"
        " GROUP BY proname HAVING count(*) > 1) p");
}

/* As `fenceline migrate` leaves it, before any role is made. */
static void test_schema_is_closed(void **state)
{
    (void)state;
    char dsn[SERVICES_DSN_BYTES];
    services_new_database(&fenceline.services, dsn);
    fenceline.postgres_dsn = dsn;
    process_release(fenceline_run(0, "migrate", "--quiet"));
    db_close(fenceline.db);
    fenceline.db = db_open(dsn);
    assert_none(
        "anybody may call it: end the migration that makes it with REVOKE ALL ON ALL FUNCTIONS IN SCHEMA "
        "fenceline FROM PUBLIC",
        "SELECT string_agg(proname, ', ') FROM pg_proc p,"
        "       LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a"
        " WHERE pronamespace = 'fenceline'::regnamespace AND a.grantee = 0 AND $1::text IS NOT NULL");
    assert_none(
        "it runs with the owner's rights, but looks names up where its caller likes: SET search_path = "
        "pg_catalog, pg_temp",
        "SELECT string_agg(proname, ', ') FROM pg_proc WHERE pronamespace = 'fenceline'::regnamespace"
        "   AND prosecdef AND NOT 'search_path=pg_catalog, pg_temp' = ANY (coalesce(proconfig, '{}'))"
        "   AND $1::text IS NOT NULL");
    db_exec(fenceline.db, roles_sql);
    /* resolve_commit ends sessions of the caller's, job_answer is its part, and episode_locker looks at
     * sessions as the caller may: they write nothing. */
    assert_none(
        "a role may call it, but it runs with the caller's rights, who may write no table: SECURITY DEFINER "
        "SET search_path = pg_catalog, pg_temp, as in config/schema/006_rights.sql",
        "SELECT string_agg(proname, ', ') FROM pg_proc"
        " WHERE pronamespace = 'fenceline'::regnamespace AND provolatile = 'v' AND NOT prosecdef"
        "   AND (has_function_privilege('fenceline_worker', oid, 'EXECUTE')"
        "        OR has_function_privilege('fenceline_operator', oid, 'EXECUTE')"
        "        OR has_function_privilege('fenceline_enqueuer', oid, 'EXECUTE'))"
        "   AND proname NOT IN ('resolve_commit', 'job_answer', 'episode_locker') AND $1::text IS NOT NULL");
    assert_int_equal(db_int(fenceline.db,
                            "SELECT count(*) FROM pg_class c, LATERAL aclexplode(relacl) a"
                            " WHERE relnamespace = 'fenceline'::regnamespace AND a.grantee = 0"),
                     0);
}

/* What the binary embeds is the file. */
static void test_files_are_embedded(void **state)
{
    (void)state;
    assert_string_equal(fl_roles_sql, roles_sql);
    assert_string_equal(fl_redis_acl, redis_acl);
}

/* ---- the lists and the sources ---- */

struct words {
    char *names[RULES];
    size_t count;
};

static void add_word(struct words *words, const char *word)
{
    for (size_t i = 0; i < words->count; i++)
        if (strcmp(words->names[i], word) == 0)
            return;
    assert_true(words->count < RULES);
    words->names[words->count++] = strdup(word);
}

static bool has_word(const struct words *words, const char *word)
{
    for (size_t i = 0; i < words->count; i++)
        if (strcmp(words->names[i], word) == 0)
            return true;
    return false;
}

static void free_words(struct words *words)
{
    while (words->count > 0)
        free(words->names[--words->count]);
}

/* "XGROUP" in lower case if Redis knows such a command; *has_subcommands as XGROUP CREATE has. */
static bool is_command(const char *literal, char name[32], bool *has_subcommands)
{
    size_t i = 0;
    for (; literal[i] && i < 31; i++)
        name[i] = (char)tolower((unsigned char)literal[i]);
    name[i] = '\0';
    redisReply *reply = redisCommand(fenceline.redis, "COMMAND INFO %s", name);
    assert_true(reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 1);
    const redisReply *info = reply->element[0];
    bool is_known = info->type == REDIS_REPLY_ARRAY && info->elements > 6;
    *has_subcommands = is_known && info->elements > 9 && info->element[9]->elements > 0;
    freeReplyObject(reply);
    return is_known;
}

/* The next literal of capitals alone; NULL at the end. *text moves behind it. */
static const char *next_literal(const char **text, char quote, char literal[32])
{
    for (const char *at = strchr(*text, quote); at; at = strchr(at + 1, quote)) {
        size_t length = 0;
        while (isupper((unsigned char)at[1 + length]) && length < 31)
            length++;
        if (length < 3 || at[1 + length] != quote)
            continue;
        memcpy(literal, at + 1, length);
        literal[length] = '\0';
        *text = at + 2 + length;
        return literal;
    }
    return NULL;
}

static void add_commands(struct words *used, const char *path, char quote)
{
    char literal[32], name[80];
    char *text = files_read(path, NULL);
    const char *at = text;
    bool has_subcommands;
    while (next_literal(&at, quote, literal)) {
        char command[32], subcommand[32];
        /* Everybody may send AUTH; READONLY is how an error begins; CONFIG GET shows passwords too, and
         * doctor does without it. */
        if (!is_command(literal, command, &has_subcommands) || strcmp(command, "auth") == 0 ||
            strcmp(command, "readonly") == 0 || strcmp(command, "config") == 0)
            continue;
        snprintf(name, sizeof name, "%s", command);
        if (has_subcommands && next_literal(&at, quote, literal)) {
            size_t i = 0;
            for (; literal[i]; i++)
                subcommand[i] = (char)tolower((unsigned char)literal[i]);
            subcommand[i] = '\0';
            snprintf(name, sizeof name, "%s|%s", command, subcommand);
        }
        add_word(used, name);
    }
    free(text);
}

static void add_files(struct words *used, const char *folder, const char *prefix, const char *suffix,
                      char quote)
{
    char *path = repository_path(folder), command[PATH_BYTES + 64];
    snprintf(command, sizeof command, "ls '%s'/%s*%s", path, prefix, suffix);
    FILE *list = popen(command, "re");
    assert_non_null(list);
    char line[PATH_BYTES];
    int files = 0;
    while (fgets(line, sizeof line, list)) {
        line[strcspn(line, "\n")] = '\0';
        add_commands(used, line, quote);
        files++;
    }
    pclose(list);
    assert_true(files >= 4);
    free(path);
}

/* Both ways: what the sources send stands in the list, and what stands in the list is sent somewhere. */
static void test_redis_list_is_what_the_sources_send(void **state)
{
    (void)state;
    struct words used = {.count = 0}, listed = {.count = 0};
    struct fl_lines lines;
    struct fl_slice rule;
    add_files(&used, "lua", "", ".lua", '\'');
    add_files(&used, "src/io", "redis", ".c", '"');
    assert_true(used.count > 30);
    fl_lines_init(&lines, fl_slice_from(redis_acl));
    while (fl_redis_acl_next(&lines, &rule))
        if (rule.ptr[0] == '+')
            add_word(&listed, fl_arena_copy(&arena, (struct fl_slice){rule.ptr + 1, rule.len - 1}).ptr);
    for (size_t i = 0; i < used.count; i++)
        if (!has_word(&listed, used.names[i]))
            fail_msg("lua/ or src/io/redis*.c sends %s, and config/redis.acl does not allow it: add +%s "
                     "there, and a "
                     "call of it to the table in src/io/redis_rights.c",
                     used.names[i], used.names[i]);
    for (size_t i = 0; i < listed.count; i++)
        if (!has_word(&used, listed.names[i]))
            fail_msg("config/redis.acl allows +%s, and nothing in lua/ or src/io/redis*.c sends it",
                     listed.names[i]);
    free_words(&used);
    free_words(&listed);
}

/* ---- what works: imports ---- */

static void test_worker_imports(void **state)
{
    (void)state;
    size_t before = denials();
    become(FL_ROLE_WORKER);
    char *chapters = fenceline_write_chapters("tree/ep one", "first", 12);
    char *transcript = fenceline_write_transcript("tree/ep one", "talk", 30);
    char *second = fenceline_write_chapters("other/ep one", "second", 5);
    fenceline_run(0, "import", "tree");
    fenceline_assert_chapters("ep one", "first", 12);
    fenceline_assert_transcript("ep one", "talk", 30);
    fenceline_assert_err(fenceline_run(3, "import", chapters), "already imported (12 chapters");
    fenceline_assert_err(fenceline_run(3, "import", "--dry-run", chapters), "already imported (12 chapters");
    fenceline_run(0, "import", "--dry-run", "--mode", "replace", second);
    fenceline_run(0, "import", "--mode", "replace", second);
    fenceline_assert_chapters("ep one", "second", 5);
    fenceline_run(3, "import", "--if-version", "1", chapters);
    fenceline_run(0, "import", "--if-version", "3", chapters);
    rdb_exec(fenceline.redis, "SCRIPT FLUSH");
    fenceline_run(0, "import", "--mode", "replace", second);
    rdb_exec(fenceline.redis, "FLUSHALL");
    fenceline_run(0, "delete", "ep one", "transcript");
    fenceline_assert_nothing("ep one", "transcript");
    strcat(role_redis_url, "/1");
    fenceline_run(0, "delete", "ep one");
    fenceline_assert_nothing("ep one", NULL);
    fenceline_assert_clean();
    assert_nothing_denied(before);
    free(chapters);
    free(transcript);
    free(second);
}

/* A lease that somebody else holds; a waiter that is gone, whom the release wakes in vain; and a long import,
 * which tells the registry of itself and renews its lease. */
static void test_worker_waits_and_wakes(void **state)
{
    (void)state;
    size_t before = denials();
    become(FL_ROLE_WORKER);
    char *path = fenceline_write_chapters("busy", "first", 3);
    fenceline_set_lease("busy", "somebody@elsewhere:1", 60000);
    rdb_exec(fenceline.redis, "ZADD fenceline:{busy}:waiters 9999999999999 %s", "fenceline:wake:gone 7");
    struct process *import = fenceline_launch("import", "--wait-lock", "30", path);
    for (int i = 0; rdb_int(fenceline.redis, "ZCARD fenceline:{busy}:waiters") < 2 && i < 500; i++)
        process_sleep_ms(10);
    assert_int_equal(rdb_int(fenceline.redis, "ZCARD fenceline:{busy}:waiters"), 2);
    for (int i = 0; rdb_int(fenceline.redis, "ZCARD fenceline:{queue}:workers") < 1 && i < 500; i++)
        process_sleep_ms(10);
    assert_int_equal(rdb_int(fenceline.redis, "ZCARD fenceline:{queue}:workers"), 1);
    fenceline_assert_out(fenceline_run(0, "worker", "list"), "import");
    fenceline_drop_lease("busy");
    fenceline_finish(import, 0);
    fenceline_assert_chapters("busy", "first", 3);
    assert_int_equal(rdb_int(fenceline.redis, "ZCARD fenceline:{busy}:waiters"), 0);
    assert_nothing_denied(before);
    free(path);
}

/* The answer of a commit is lost, with and without the transaction's id; or the commit hangs, and its session
 * must be ended, which a user may do to its own. */
static void test_worker_resolves_lost_commits(void **state)
{
    (void)state;
    static const struct proxy_rule RULES_OF[] = {
        {.direction = PROXY_TO_SERVER,
         .action = PROXY_CUT_REPLY,
         .pattern = "fl_commit_",
         .until = "COMMIT",
         .until_bytes = 6},
        {.direction = PROXY_TO_CLIENT, .action = PROXY_CUT_BEFORE, .pattern = "COMMIT"},
        {.direction = PROXY_TO_SERVER, .action = PROXY_HOLD, .pattern = "COMMIT"},
    };
    static const char *const ENV[] = {"FENCELINE_POSTGRES_TIMEOUT_MS=1500", NULL};
    size_t before = denials();
    char dsn[SERVICES_DSN_BYTES], through[sizeof role_dsn];
    struct proxy proxy;
    services_dsn_on_port(fenceline.dsn, proxy_start(&proxy, services_postgres_port(&fenceline.services)),
                         dsn);
    dsn_of(dsn, USERS[FL_ROLE_WORKER], through);
    become(FL_ROLE_WORKER);
    fenceline.postgres_dsn = through;
    for (size_t i = 0; i < COUNT(RULES_OF); i++) {
        char episode[32];
        snprintf(episode, sizeof episode, "lost%zu", i);
        char *path = fenceline_write_chapters(episode, "first", 4);
        int rule = proxy_arm(&proxy, &RULES_OF[i]);
        fenceline_run_spec(0, .argv = (const char *const[]){"import", path, NULL}, .env = ENV);
        assert_int_equal(proxy_fired(&proxy, rule), 1);
        fenceline_assert_chapters(episode, "first", 4);
        proxy_disarm_all(&proxy);
        free(path);
    }
    proxy_stop(&proxy);
    char *log = files_read(services_postgres_log_path(&fenceline.services), NULL);
    assert_true(files_count_text(log, "terminating connection due to administrator command") >= 1);
    free(log);
    assert_nothing_denied(before);
}

/* ---- what works: the queue ---- */

static int64_t enqueue_as(int user, const char *episode, const char *source, const char *mode)
{
    PGconn *conn = open_as(user);
    int64_t id = db_int(conn, "SELECT fenceline.enqueue($1, 'chapters', source => $2, mode => $3)", episode,
                        source, mode);
    db_close(conn);
    return id;
}

static void run_as(int user, int exit_code, const char *a, const char *b, const char *c)
{
    become(user);
    struct process *process = fenceline_run_spec(exit_code, .argv = (const char *const[]){a, b, c, NULL});
    process_release(process);
    become(FL_ROLE_WORKER);
}

static void run_job_command(int user, const char *command, int64_t job)
{
    char id[ID_BYTES];
    snprintf(id, sizeof id, "%" PRId64, job);
    run_as(user, 0, "jobs", command, id);
}

static void test_queue_of_roles(void **state)
{
    (void)state;
    static const char *const ENV[] = {"FENCELINE_JOB_MAX_ATTEMPTS=2", "FENCELINE_JOB_RETENTION_DAYS=1",
                                      "FENCELINE_LEASE_TTL_MS=1500", NULL};
    size_t before = denials();
    become(FL_ROLE_WORKER);
    free(fenceline_write_chapters("ep1", "first", 12));
    char *inline_path = fenceline_write_transcript("ep2", "talk", 7);
    struct process *worker = fleet_start_worker_with(ENV);
    fleet_await_outcome(enqueue_as(FL_ROLE_ENQUEUER, "ep1", "ep1.chapters.json", "create"), "imported");
    fenceline_assert_chapters("ep1", "first", 12);
    fleet_await_outcome(enqueue_as(FL_ROLE_ENQUEUER, "ep1", "ep1.chapters.json", "create"), "rejected");
    process_release(fenceline_run(0, "enqueue", "--wait", inline_path));
    fenceline_assert_transcript("ep2", "talk", 7);

    int64_t lacking = enqueue_as(FL_ROLE_ENQUEUER, "ep3", "ep3.chapters.json", "create");
    fleet_await_outcome(lacking, "failed"); /* after an attempt that was postponed */
    assert_int_equal(fenceline_count("job_attempts"), 2);
    free(fenceline_write_chapters("ep3", "late", 3));
    run_job_command(FL_ROLE_OPERATOR, "retry", lacking);
    fleet_await_all_decided();
    fenceline_assert_chapters("ep3", "late", 3);

    fenceline_set_lease("busy", "somebody@elsewhere:1", 60000);
    int64_t parked = enqueue_as(FL_ROLE_ENQUEUER, "busy", "ep1.chapters.json", "create");
    for (int i = 0; rdb_int(fenceline.redis, "EXISTS fenceline:{busy}:waiters") == 0 && i < 500; i++)
        process_sleep_ms(10);
    run_job_command(FL_ROLE_OPERATOR, "cancel", parked);
    fleet_await_outcome(parked, "cancelled");
    for (int i = 0; fleet_entries() > 0 && i < 500; i++) /* the worker was told */
        process_sleep_ms(10);
    assert_int_equal(fleet_entries(), 0);
    fenceline_drop_lease("busy");

    run_as(FL_ROLE_OPERATOR, 0, "jobs", "pause", NULL);
    int64_t paused = enqueue_as(FL_ROLE_ENQUEUER, "ep4", "ep1.chapters.json", "create");
    rdb_exec(fenceline.redis, "FLUSHALL");
    rdb_exec(fenceline.redis, "SCRIPT FLUSH");
    run_as(FL_ROLE_OPERATOR, 0, "jobs", "resume", NULL);
    fleet_await_outcome(paused, "imported");
    fleet_stop_worker(worker);
    fleet_assert_clean();
    become(FL_ROLE_OPERATOR);
    process_release(fenceline_run(0, "jobs", "purge", "--older-than", "0s", "--yes"));
    assert_int_equal(fenceline_count("jobs"), 0);
    assert_nothing_denied(before);
    free(inline_path);
}

static void test_killed_worker(void **state)
{
    (void)state;
    size_t before = denials();
    become(FL_ROLE_WORKER);
    free(fenceline_write_chapters("ep1", "first", 12));
    struct process *first = fleet_start_worker_with(
        (const char *const[]){"FENCELINE_FAIL_POINT=after-claim:stop", "FENCELINE_LEASE_TTL_MS=1500", NULL});
    int64_t job = enqueue_as(FL_ROLE_ENQUEUER, "ep1", "ep1.chapters.json", "create");
    fenceline_await_stop(first);
    struct process *second =
        fleet_start_worker_with((const char *const[]){"FENCELINE_LEASE_TTL_MS=1500", NULL});
    fleet_kill_worker(first);
    fleet_await_outcome(job, "imported");
    fenceline_assert_chapters("ep1", "first", 12);
    assert_int_equal(fenceline_count("job_attempts"), 1);
    fleet_stop_worker(second);
    fleet_assert_clean();
    assert_nothing_denied(before);
}

static void test_reader_looks(void **state)
{
    (void)state;
    static const char *const COMMANDS[][6] = {
        {"show", "ep1"},
        {"show", "ep1", "--json"},
        {"show", "ep1", "transcript"},
        {"history", "ep1"},
        {"history", "ep1", "--json"},
        {"jobs", "list"},
        {"jobs", "list", "--outcome", "imported", "--json"},
        {"jobs", "show", "1"},
        {"worker", "list"},
        {"jobs", "stats"},
        {"locks", "list"},
        {"locks", "list", "--json"},
        {"locks", "show", "ep1"},
        {"show", "ep1", "--format", "chapters"},
        {"migrate", "--status"},
    };
    size_t before = denials();
    free(fenceline_write_chapters("tree/ep1", "first", 12));
    free(fenceline_write_transcript("tree/ep1", "talk", 7));
    become(FL_ROLE_WORKER);
    fenceline_run(0, "import", "tree");
    for (size_t i = 0; i < COUNT(COMMANDS); i++) {
        become(FL_ROLE_READER);
        process_release(fenceline_run_spec(0, .argv = COMMANDS[i]));
        become(FL_ROLE_OPERATOR);
        process_release(fenceline_run_spec(0, .argv = COMMANDS[i]));
    }
    PGconn *conn = open_as(FL_ROLE_READER);
    assert_int_equal(db_int(conn, "SELECT count(chapter_title) FROM fenceline.segments_with_chapters"), 7);
    db_close(conn);
    assert_nothing_denied(before);
}

/* A claim is broken, though its session is stuck in its commit, with the episode's row locked. */
static void test_operator_breaks(void **state)
{
    (void)state;
    free(fenceline_write_chapters("ep1", "first", 3));
    become(FL_ROLE_WORKER);
    struct process *import = fenceline_start(
        &(struct process_spec){.argv = (const char *const[]){"import", "ep1.chapters.json", NULL},
                               .env = (const char *const[]){"FENCELINE_FAIL_POINT=after-claim:stop", NULL}});
    fenceline_await_stop(import);
    PGconn *stuck = open_as(FL_ROLE_WORKER);
    char *holder = db_text(fenceline.db, "SELECT 'fenceline ' || holder FROM fenceline.episodes");
    db_exec(stuck, "SELECT set_config('application_name', $1, false)", holder); /* as one of its own */
    free(holder);
    db_exec(stuck, "BEGIN");
    db_exec(stuck, "SELECT fenceline.decide_job(1, 'failed', 'stuck')");
    become(FL_ROLE_READER);
    struct process *refused = fenceline_run(2, "locks", "break", "ep1", "--yes");
    fenceline_assert_err(refused, "permission denied for function break_claim; this user needs the role "
                                  "fenceline_operator");
    size_t before = denials();
    become(FL_ROLE_OPERATOR);
    struct process *broken = fenceline_run(0, "locks", "break", "ep1", "--yes", "--reason", "a test");
    fenceline_assert_err(broken, "was ended");
    fenceline_assert_out(broken, "fence raised");
    assert_int_equal(fenceline_count("lock_breaks"), 1);
    assert_int_equal(fenceline_count_leases(), 0);
    become(FL_ROLE_READER);
    fenceline_assert_out(fenceline_run(0, "history", "ep1"), "lock broken");
    process_signal(import, SIGCONT);
    fenceline_finish(import, 0); /* it starts over */
    fenceline_assert_chapters("ep1", "first", 3);
    fenceline_assert_clean();
    assert_nothing_denied(before);
    db_close(stuck);
}

/* All that doctor looks at; but for one thing that no user of fenceline may see. */
static void test_operator_doctors(void **state)
{
    (void)state;
    size_t before = denials();
    become(FL_ROLE_OPERATOR);
    struct process *doctor =
        fenceline_run(1, "doctor", "--json"); /* the test's Postgres does without fsync */
    fenceline_assert_not_out(doctor, "could not look");
    fenceline_assert_not_out(doctor, "permission");
    fenceline_assert_not_out(doctor, "lacks");
    fenceline_assert_out(doctor, "may not see (CONFIG GET save)");
    assert_int_equal(denials(), before);
    redisReply *log = redisCommand(fenceline.redis, "ACL LOG 10");
    assert_true(log && log->elements == 1);
    assert_string_equal(log->element[0]->element[7]->str, "config|get");
    freeReplyObject(log);
}

/* ---- what does not: Postgres ---- */

/* Of these, nothing works for any role, but that a worker may name a new episode. %s: each table. */
static const char *const NO_WRITE[] = {
    "INSERT INTO fenceline.%s DEFAULT VALUES",
    "DELETE FROM fenceline.%s",
    "TRUNCATE fenceline.%s",
    "DROP TABLE fenceline.%s",
    "ALTER TABLE fenceline.%s ADD COLUMN extra text",
    "CREATE RULE extra AS ON UPDATE TO fenceline.%s DO INSTEAD NOTHING",
};

static const char *const NOBODY_MAY[] = {
    "UPDATE fenceline.chapters SET title = 'x'",
    "UPDATE fenceline.transcript_segments SET body = 'x'",
    "UPDATE fenceline.documents SET version = 9",
    "UPDATE fenceline.episodes SET fence = 9",
    "UPDATE fenceline.jobs SET outcome = 'imported', finished_at = now()",
    "UPDATE fenceline.queue_control SET paused = true",
    "INSERT INTO fenceline.chapters (episode_id, order_index, start_ms, title, toc) VALUES ('e', 0, 0, 'x', "
    "true)",
    "INSERT INTO fenceline.jobs (episode_id, kind, source) VALUES ('e', 'chapters', 'x')",
    "INSERT INTO fenceline.lock_breaks (episode_id, broken_by, seen_fence, new_fence) VALUES ('e', 'x', 1, "
    "2)",
    "INSERT INTO fenceline.schema_versions VALUES (99, 'x')",
    "SELECT nextval(pg_get_serial_sequence('fenceline.jobs', 'job_id'))",
    "SELECT fenceline.enter_commit(1, 1, 0, '', '{}', 'chapters', '', 1, '', '[]', NULL)",
    "SELECT fenceline.find_request(gen_random_uuid(), false, '{}')",
    "CREATE TABLE fenceline.extra (x integer)",
    "CREATE FUNCTION fenceline.extra() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION fenceline.shell_word(word text) RETURNS text LANGUAGE sql AS 'SELECT ''x'''",
    "ALTER FUNCTION fenceline.shell_word SECURITY DEFINER",
    "DROP FUNCTION fenceline.shell_word",
    "DROP SCHEMA fenceline CASCADE",
    "GRANT fenceline_worker TO t_nobody",
    "CREATE ROLE extra",
    "SET ROLE postgres",
    "SELECT * FROM pg_authid",
    "SELECT pg_read_file('PG_VERSION')",
    "SELECT pg_reload_conf()",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "SELECT * FROM public.secrets",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
};

static const char *const READER_MAY_NOT[] = {
    "SELECT fenceline.cancel_jobs('{1}', 'x')",
    "SELECT fenceline.retry_jobs('{1}', false)",
    "SELECT fenceline.purge_jobs(0, NULL, 1)",
    "SELECT fenceline.set_paused(true, 'x', 'y')",
    "SELECT fenceline.break_claim('ep1', 1, 1, 'x', 'x', 1, 'x', 'x', false, false)",
    "SELECT fenceline.enqueue('e', 'chapters', source => 'x')",
    "SELECT fenceline.decide_job(1, 'cancelled', 'x')",
    "SELECT fenceline.tidy_jobs(1, 1)",
    "SELECT fenceline.submit_jobs(gen_random_uuid(), false, '{}', '{}', '{}', '{}', '{}', 'x')",
    "SELECT fenceline.claim_episodes('{e}', '{0}', '{0}', '{1}', '{x}', 'x', '{1}')",
    "SELECT fenceline.commit_delete(1, 'e', 'chapters', 1, 0, 'x', '{}')",
    "INSERT INTO fenceline.episodes (episode_id) VALUES ('e')",
};

static const char *const OPERATOR_MAY_NOT[] = {
    "SELECT fenceline.enqueue('e', 'chapters', source => 'x')",
    "SELECT fenceline.decide_job(1, 'imported', 'x')",
    "SELECT fenceline.submit_jobs(gen_random_uuid(), false, '{}', '{}', '{}', '{}', '{}', 'x')",
    "SELECT fenceline.claim_episodes('{e}', '{0}', '{0}', '{1}', '{x}', 'x', '{1}')",
    "SELECT fenceline.commit_chapters(1, 'e', 1, 0, 'x', '{}', '', 'x', '[]', '{0}', '{1}', '{x}', '{x}', "
    "'{x}',"
    " '{t}', '{NULL}')",
    "SELECT fenceline.commit_delete(1, 'e', 'chapters', 1, 0, 'x', '{}')",
    "SELECT fenceline.begin_jobs('{1}', 'x')",
    "INSERT INTO fenceline.episodes (episode_id) VALUES ('e')",
};

static const char *const WORKER_MAY_NOT[] = {
    "SELECT title FROM fenceline.chapters",
    "SELECT body FROM fenceline.transcript_segments",
    "SELECT body FROM fenceline.jobs",
    "SELECT error FROM fenceline.job_attempts",
    "SELECT reason FROM fenceline.lock_breaks",
    "INSERT INTO fenceline.episodes (episode_id, fence) VALUES ('e', 7)",
    "SELECT fenceline.cancel_jobs('{1}', 'x')",
    "SELECT fenceline.retry_jobs('{1}', false)",
    "SELECT fenceline.purge_jobs(0, NULL, 1)",
    "SELECT fenceline.set_paused(true, 'x', 'y')",
    "SELECT fenceline.break_claim('ep1', 1, 1, 'x', 'x', 1, 'x', 'x', false, false)",
    "SELECT fenceline.enqueue('e', 'chapters', source => 'x')",
};

static const char *const ENQUEUER_MAY_NOT[] = {
    "SELECT version FROM fenceline.schema_versions",
    "SELECT job_id FROM fenceline.jobs",
    "SELECT episode_id FROM fenceline.episodes",
    "SELECT paused FROM fenceline.queue_control",
    "INSERT INTO fenceline.episodes (episode_id) VALUES ('e')",
    "SELECT fenceline.enqueue_jobs(gen_random_uuid(), false, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', "
    "'{}',"
    " '{}', '{}')",
    "SELECT fenceline.submit_jobs(gen_random_uuid(), false, '{}', '{}', '{}', '{}', '{}', 'x')",
    "SELECT fenceline.cancel_jobs('{1}', 'x')",
    "SELECT fenceline.decide_job(1, 'cancelled', 'x')",
};

static void assert_refused(PGconn *conn, int user, const char *sql)
{
    char *sqlstate = db_sqlstate(conn, sql);
    if (!sqlstate || strcmp(sqlstate, "42501") != 0)
        fail_msg("%s: %s: SQLSTATE %s, not 42501", USERS[user], sql, sqlstate ? sqlstate : "(it worked)");
    free(sqlstate);
}

static void test_postgres_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *const *list;
        size_t count;
    } MAY_NOT[FL_ROLE_COUNT] = {
        [FL_ROLE_READER] = {READER_MAY_NOT, COUNT(READER_MAY_NOT)},
        [FL_ROLE_OPERATOR] = {OPERATOR_MAY_NOT, COUNT(OPERATOR_MAY_NOT)},
        [FL_ROLE_WORKER] = {WORKER_MAY_NOT, COUNT(WORKER_MAY_NOT)},
        [FL_ROLE_ENQUEUER] = {ENQUEUER_MAY_NOT, COUNT(ENQUEUER_MAY_NOT)},
    };
    db_exec(fenceline.db, "CREATE TABLE public.secrets (x text)");
    free(fenceline_write_chapters("ep1", "first", 12));
    process_release(fenceline_run(0, "import", "ep1.chapters.json"));
    PGresult *tables = PQexec(fenceline.db, "SELECT relname FROM pg_class WHERE relkind = 'r'"
                                            " AND relnamespace = 'fenceline'::regnamespace");
    assert_true(PQntuples(tables) >= 9);
    for (int user = 0; user < FL_ROLE_COUNT; user++) {
        PGconn *conn = open_as(user);
        for (int table = 0; table < PQntuples(tables); table++)
            for (size_t i = 0; i < COUNT(NO_WRITE); i++) {
                const char *name = PQgetvalue(tables, table, 0);
                char sql[SQL_BYTES];
                if (user == FL_ROLE_WORKER && i == 0 && strcmp(name, "episodes") == 0)
                    continue;
                snprintf(sql, sizeof sql, NO_WRITE[i], name);
                assert_refused(conn, user, sql);
            }
        for (size_t i = 0; i < COUNT(NOBODY_MAY); i++)
            assert_refused(conn, user, NOBODY_MAY[i]);
        for (size_t i = 0; i < MAY_NOT[user].count; i++)
            assert_refused(conn, user, MAY_NOT[user].list[i]);
        db_close(conn);
    }
    PQclear(tables);
    fenceline_assert_chapters("ep1", "first", 12);
    assert_int_equal(fenceline_count("jobs"), 1);
    fenceline_assert_clean();
}

/* The program says which role it takes. */
static void test_program_says_which_role(void **state)
{
    (void)state;
    static const struct {
        int user;
        const char *command[4], *denied, *role;
    } CASES[] = {
        {FL_ROLE_READER, {"import", "ep1.chapters.json"}, "function submit_jobs", "fenceline_worker"},
        {FL_ROLE_READER, {"import", "--dry-run", "ep1.chapters.json"}, "function judge", "fenceline_worker"},
        {FL_ROLE_READER, {"delete", "ep1"}, "function submit_jobs", "fenceline_worker"},
        {FL_ROLE_READER, {"enqueue", "ep1.chapters.json"}, "function enqueue_jobs", "fenceline_worker"},
        {FL_ROLE_READER, {"jobs", "pause"}, "function set_paused", "fenceline_operator"},
        {FL_ROLE_READER, {"jobs", "retry", "1"}, "function retry_jobs", "fenceline_operator"},
        {FL_ROLE_READER, {"jobs", "cancel", "1"}, "function cancel_jobs", "fenceline_operator"},
        {FL_ROLE_OPERATOR, {"import", "ep1.chapters.json"}, "function submit_jobs", "fenceline_worker"},
        {FL_ROLE_OPERATOR, {"delete", "ep1"}, "function submit_jobs", "fenceline_worker"},
        {FL_ROLE_WORKER, {"show", "ep1"}, "table chapters", "fenceline_reader"},
        {FL_ROLE_WORKER, {"history", "ep1"}, "table ", "fenceline_reader"},
        {FL_ROLE_WORKER, {"jobs", "list"}, "function jobs_matching", "fenceline_reader"},
        {FL_ROLE_WORKER, {"jobs", "pause"}, "function set_paused", "fenceline_operator"},
        {FL_ROLE_ENQUEUER, {"import", "ep1.chapters.json"}, "table schema_versions", "fenceline_worker"},
        {FL_ROLE_ENQUEUER, {"show", "ep1"}, "table schema_versions", "fenceline_reader"},
        {NOBODY, {"show", "ep1"}, "schema fenceline", "fenceline_reader"},
        {NOBODY, {"import", "ep1.chapters.json"}, "schema fenceline", "fenceline_worker"},
        {NOBODY, {"worker"}, "schema fenceline", "fenceline_worker"},
    };
    free(fenceline_write_chapters("ep1", "first", 3));
    become(FL_ROLE_WORKER);
    process_release(fenceline_run(0, "import", "ep1.chapters.json"));
    for (size_t i = 0; i < COUNT(CASES); i++) {
        become(CASES[i].user);
        struct process *refused = fenceline_run_spec(2, .argv = CASES[i].command);
        char denied[SQL_BYTES];
        snprintf(denied, sizeof denied, "permission denied for %s", CASES[i].denied);
        fenceline_assert_err(refused, denied);
        fenceline_assert_err(refused, CASES[i].role);
        fenceline_assert_err(refused, "config/roles.sql");
        process_release(refused);
    }
    fenceline_assert_chapters("ep1", "first", 3);
}

/* migrate is the owner's. An up-to-date schema it may look at; an empty database it may not fill. */
static void test_migrate_is_for_the_owner(void **state)
{
    (void)state;
    char empty[SERVICES_DSN_BYTES], dsn[sizeof role_dsn];
    become(FL_ROLE_WORKER);
    fenceline_run(0, "migrate");
    services_new_database(&fenceline.services, empty);
    dsn_of(empty, USERS[FL_ROLE_WORKER], dsn);
    fenceline.postgres_dsn = dsn;
    struct process *refused = fenceline_run(2, "migrate");
    fenceline_assert_err(refused, "permission denied for database");
    fenceline_assert_err(refused, "runs as the owner of the database or of schema fenceline");
    become(FL_ROLE_WORKER);
    db_exec(fenceline.db, "DELETE FROM fenceline.schema_versions WHERE version > 1");
    refused = fenceline_run(2, "migrate");
    fenceline_assert_err(refused, "'fenceline migrate' runs as");
}

/* ---- what does not: Redis ---- */

static void test_redis_refuses(void **state)
{
    (void)state;
    static const char *const NO_COMMAND[] = {
        "FLUSHALL",
        "FLUSHDB",
        "CONFIG GET maxmemory",
        "CONFIG SET maxmemory 1",
        "KEYS *",
        "RANDOMKEY",
        "DBSIZE",
        "SHUTDOWN NOSAVE",
        "SAVE",
        "REPLICAOF 127.0.0.1 1",
        "ACL LIST",
        "ACL SETUSER fenceline +@all",
        "CLIENT LIST",
        "CLIENT KILL TYPE normal",
        "MONITOR",
        "SCRIPT FLUSH",
        "SCRIPT KILL",
        "FUNCTION FLUSH",
        "RENAME fenceline:{a}:x fenceline:{a}:y",
        "EXPIRE fenceline:{a}:x 1",
        "PERSIST fenceline:{a}:lease",
        "INCR fenceline:{a}:token",
        "GETDEL fenceline:{a}:lease",
        "UNLINK fenceline:{a}:lease",
        "RESTORE fenceline:{a}:x 0 x",
        "DUMP fenceline:{a}:x",
        "XGROUP DESTROY fenceline:{queue}:normal workers",
        "XGROUP SETID fenceline:{queue}:normal workers 0",
        "XTRIM fenceline:{queue}:normal MAXLEN 0",
        "XINFO STREAM fenceline:{queue}:normal",
        "PSUBSCRIBE *",
    };
    static const char *const NO_KEY[] = {
        "GET other",          "SET other 1",      "GET fenceline",      "DEL other fenceline:{a}:x",
        "SET fencelinex:a 1", "HGETALL sessions", "XADD other * job 1", "EVAL x 1 other",
        "ZADD other 1 x",     "HSET other a b",   "ZRANGE other 0 -1",
    };
    static const char *const NO_CHANNEL[] = {
        "PUBLISH other x",
        "PUBLISH fenceline:wake x",
        "SUBSCRIBE other",
        "SUBSCRIBE fenceline:wake:a other",
    };
    static const struct {
        const char *const *list;
        size_t count;
        const char *words;
    } LISTS[] = {
        {NO_COMMAND, COUNT(NO_COMMAND), "no permissions to run"},
        {NO_KEY, COUNT(NO_KEY), "keys"},
        {NO_CHANNEL, COUNT(NO_CHANNEL), "channels"},
    };
    static const char *const NO_SCRIPT[] = {
        "return redis.call('FLUSHALL')",
        "return redis.call('GET', 'other')",
        "return redis.call('PUBLISH', 'other', 'x')",
    };
    redisContext *redis = redis_as_fenceline();
    rdb_exec(redis, "SET fenceline:{a}:x 1");
    for (size_t list = 0; list < COUNT(LISTS); list++)
        for (size_t i = 0; i < LISTS[list].count; i++) {
            redisReply *reply = redisCommand(redis, LISTS[list].list[i]);
            if (!reply || reply->type != REDIS_REPLY_ERROR || strncmp(reply->str, "NOPERM", 6) != 0 ||
                !strstr(reply->str, LISTS[list].words))
                fail_msg("%s: %s", LISTS[list].list[i], reply && reply->str ? reply->str : "(it worked)");
            freeReplyObject(reply);
        }
    for (size_t i = 0; i < COUNT(NO_SCRIPT); i++) {
        redisReply *reply = redisCommand(redis, "EVAL %s 0", NO_SCRIPT[i]);
        if (!reply || reply->type != REDIS_REPLY_ERROR)
            fail_msg("%s worked", NO_SCRIPT[i]);
        freeReplyObject(reply);
    }
    rdb_close(redis);
    assert_int_equal(rdb_int(fenceline.redis, "EXISTS fenceline:{a}:x"), 1);
}

/* A right that the user lacks, at once and in words: also where only a script needs it. */
static void test_program_says_what_redis_lacks(void **state)
{
    (void)state;
    static const struct {
        const char *change, *words;
    } CASES[] = {
        {"-evalsha", "'evalsha'"},
        {"-ping", "'ping'"},
        {"-set", "the script can't run this command"},
        {"resetkeys", "keys"},
    };
    free(fenceline_write_chapters("ep1", "first", 3));
    become(FL_ROLE_WORKER);
    for (size_t i = 0; i < COUNT(CASES); i++) {
        make_redis_user();
        rdb_exec(fenceline.redis, "ACL SETUSER fenceline %s", CASES[i].change);
        struct process *refused = fenceline_run(2, "import", "ep1.chapters.json");
        fenceline_assert_err(refused, CASES[i].words);
        fenceline_assert_err(refused, "this Redis user lacks a right");
        fenceline_assert_err(refused, "config/redis.acl");
        process_release(refused);
        assert_int_equal(fenceline_count_leases(), 0);
    }
    make_redis_user();
    rdb_exec(fenceline.redis, "ACL SETUSER fenceline -hgetall");
    fenceline_assert_err(fenceline_run(2, "worker", "list"), "'hgetall'");
}

/* A worker does not begin without a right; one that loses a right says so, and goes on once it has it back.
 */
static void test_worker_says_what_redis_lacks(void **state)
{
    (void)state;
    free(fenceline_write_chapters("ep1", "first", 3));
    become(FL_ROLE_WORKER);
    rdb_exec(fenceline.redis, "ACL SETUSER fenceline -xreadgroup");
    struct process *worker = fenceline_finish(fleet_launch_worker(NULL), 2);
    fenceline_assert_err(worker, "this Redis user lacks a right");
    fenceline_assert_err(worker, "config/redis.acl");
    fenceline_assert_not_err(worker, "BUSYGROUP");
    make_redis_user();
    worker = fleet_start_worker();
    rdb_exec(fenceline.redis, "ACL SETUSER fenceline -xreadgroup");
    int64_t job = enqueue_as(FL_ROLE_ENQUEUER, "ep1", "ep1.chapters.json", "create");
    fenceline_assert_err(fenceline_finish(worker, 2), "this Redis user lacks a right");
    make_redis_user();
    worker = fleet_start_worker();
    fleet_await_outcome(job, "imported");
    fleet_stop_worker(worker);
    fleet_assert_clean();
}

/* ---- no right is too many: Postgres ---- */

/* What programs with each role send, or ask of their SQL client; the statements of src/io/pg_*.c with their
 * values. */
static const char *const READER_SENDS[] = {
    "TABLE fenceline.schema_versions",
    "TABLE fenceline.documents",
    "TABLE fenceline.chapters",
    "TABLE fenceline.transcript_segments",
    "TABLE fenceline.segments_with_chapters",
    "TABLE fenceline.episodes",
    "TABLE fenceline.jobs",
    "TABLE fenceline.job_attempts",
    "TABLE fenceline.queue_control",
    "TABLE fenceline.lock_breaks",
    "TABLE fenceline.lost_claims",
    "TABLE fenceline.open_claims",
};

static const char *const OPERATOR_SENDS[] = {
    "SELECT job_id, fenceline.job_state(j) FROM fenceline.jobs_matching(NULL, NULL, NULL, NULL, NULL, NULL) "
    "j",
};

static const char *const WORKER_SENDS[] = {
    "SELECT coalesce(max(version), 0)::bigint FROM fenceline.schema_versions",
    "SELECT j.outcome, j.message, j.version, j.row_count, coalesce(j.rank, j.job_id), e.version, e.fence,"
    "       d.version, d.rank, d.deleted, j.job_id"
    "  FROM unnest('{1}'::bigint[]) WITH ORDINALITY AS u (id, i)"
    "  LEFT JOIN fenceline.jobs j ON j.job_id = u.id"
    "  LEFT JOIN fenceline.episodes e ON e.episode_id = j.episode_id"
    "  LEFT JOIN fenceline.documents d ON d.episode_id = j.episode_id AND d.kind = j.kind",
    "INSERT INTO fenceline.episodes (episode_id) SELECT 'e' ON CONFLICT DO NOTHING",
    "SELECT e.fence, e.nonce FROM fenceline.episodes e WHERE e.episode_id = 'ep one'",
    "SELECT j.outcome, j.episode_id, j.kind, j.mode, j.source, j.version, j.row_count, j.message"
    "  FROM fenceline.jobs j WHERE j.job_id = 1",
    "SELECT paused, (SELECT max(version) FROM fenceline.schema_versions) FROM fenceline.queue_control",
    "SELECT v.message FROM (SELECT jsonb_populate_record(NULL::fenceline.jobs, jsonb_build_object("
    "    'episode_id', 'ep one', 'kind', 'chapters', 'mode', 'create')) AS j) q"
    "  LEFT JOIN fenceline.documents d ON d.episode_id = 'ep one' AND d.kind = 'chapters'"
    " CROSS JOIN LATERAL fenceline.judge(q.j, d) v",
    "SELECT fenceline.resolve_commit(1, NULL, 0, now())",
};

static const char *const ENQUEUER_SENDS[] = {
    "SELECT fenceline.enqueue('ep one', 'chapters', source => 'x')",
};

static const struct {
    const char *const *list;
    size_t count;
} SENDS[FL_ROLE_COUNT] = {
    [FL_ROLE_READER] = {READER_SENDS, COUNT(READER_SENDS)},
    [FL_ROLE_OPERATOR] = {OPERATOR_SENDS, COUNT(OPERATOR_SENDS)},
    [FL_ROLE_WORKER] = {WORKER_SENDS, COUNT(WORKER_SENDS)},
    [FL_ROLE_ENQUEUER] = {ENQUEUER_SENDS, COUNT(ENQUEUER_SENDS)},
};

/* Does it stop at a right? Whatever else becomes of it, nothing is changed. */
static bool is_denied(PGconn *conn, const char *sql)
{
    db_exec(conn, "BEGIN");
    char *sqlstate = db_sqlstate(conn, sql);
    db_exec(conn, "ROLLBACK");
    bool is_denied = sqlstate && strcmp(sqlstate, "42501") == 0;
    free(sqlstate);
    return is_denied;
}

/* Sessions of others are seen as such, or the column is masked. */
static bool sees_sessions(PGconn *conn)
{
    return db_int(conn,
                  "SELECT count(*) FROM pg_stat_activity WHERE usename = 'postgres' AND state IS NOT NULL") >
           0;
}

/* A call of the function with nulls: its first check is whether it may be called. */
static void call_of(const struct fl_pg_grant *grant, char sql[SQL_BYTES])
{
    char name[128];
    snprintf(name, sizeof name, "%.*s", FL_ARGS(grant->object));
    char *call =
        db_text(fenceline.db,
                "SELECT format('SELECT %s(%s)', $1::text, (SELECT string_agg('NULL::' || t::regtype, ', ')"
                " FROM unnest(proargtypes) t)) FROM pg_proc WHERE oid = $1::regproc",
                name);
    assert_non_null(call);
    snprintf(sql, SQL_BYTES, "%s", call);
    free(call);
}

static bool something_is_denied(PGconn *conn, int role, const struct fl_pg_grant *grant)
{
    char sql[SQL_BYTES];
    if (fl_slice_is(grant->object, "pg_read_all_stats"))
        return !sees_sessions(conn);
    if (fl_slice_is(grant->object, "pg_signal_backend"))
        return is_denied(conn,
                         "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 't_reader'");
    for (size_t i = 0; i < SENDS[role].count; i++)
        if (is_denied(conn, SENDS[role].list[i]))
            return true;
    if (!fl_slice_is(grant->kind, "FUNCTION"))
        return false;
    call_of(grant, sql);
    return is_denied(conn, sql);
}

static void change(const char *verb, const char *preposition, const struct fl_pg_grant *grant)
{
    char sql[SQL_BYTES], column[128] = "";
    if (grant->column.ptr)
        snprintf(column, sizeof column, " (%.*s)", FL_ARGS(grant->column));
    if (fl_slice_is(grant->kind, "ROLE"))
        snprintf(sql, sizeof sql, "%s %.*s %s %.*s", verb, FL_ARGS(grant->object), preposition,
                 FL_ARGS(grant->role));
    else
        snprintf(sql, sizeof sql, "%s %.*s%s ON %.*s %.*s %s %.*s", verb, FL_ARGS(grant->privilege), column,
                 FL_ARGS(grant->kind), FL_ARGS(grant->object), preposition, FL_ARGS(grant->role));
    db_exec(fenceline.db, sql);
}

static struct fl_pg_rights check_as(struct fl_pg_sync *pg, int role)
{
    struct fl_pg_rights rights;
    struct fl_err err;
    if (fl_pg_rights_check(pg, (enum fl_pg_role)role, &arena, &rights, &err) != FL_OK)
        fail_msg("%s", err.text);
    return rights;
}

static struct fl_pg_sync *sync_as(int user)
{
    char dsn[sizeof role_dsn];
    struct fl_pg_sync *pg;
    struct fl_err err;
    dsn_of(fenceline.dsn, USERS[user], dsn);
    if (fl_pg_sync_open(&pg, dsn, TIMEOUT_MS, &err) != FL_OK)
        fail_msg("%s", err.text);
    return pg;
}

static int role_of(const struct fl_pg_grant *grant)
{
    for (int role = 0; role < FL_ROLE_COUNT; role++)
        if (fl_slice_is(grant->role, fl_pg_role_name((enum fl_pg_role)role)))
            return role;
    LIB_FAIL("config/roles.sql knows a role that the program does not: %.*s", FL_ARGS(grant->role));
}

static bool names(struct fl_slice text, struct fl_slice part)
{
    return part.len == 0 || memmem(text.ptr, text.len, part.ptr, part.len) != NULL;
}

/* Without this one right something is refused, and the comparison names it and nothing else. */
static void assert_missed(PGconn *conn, struct fl_pg_sync *pg, const struct fl_pg_grant *grant, int role)
{
    struct fl_pg_rights rights = check_as(pg, role);
    bool is_role_of_ours = fl_slice_starts(grant->object, "fenceline_");
    if (!something_is_denied(conn, role, grant))
        fail_msg("%.*s does without %.*s %.*s on %.*s: strike it out of config/roles.sql",
                 FL_ARGS(grant->role), FL_ARGS(grant->privilege), FL_ARGS(grant->column),
                 FL_ARGS(grant->object));
    if (is_role_of_ours)
        assert_true(rights.missing > 10); /* all that it brings */
    else if (rights.missing != 1 || rights.grant_count != 1 || !names(rights.grants[0], grant->object) ||
             !names(rights.grants[0], grant->column))
        fail_msg("without %.*s on %.*s %zu rights are missing: %.*s", FL_ARGS(grant->privilege),
                 FL_ARGS(grant->object), rights.missing, FL_ARGS(rights.grants[0]));
    assert_non_null(rights.advice.ptr);
}

static void test_postgres_needs_each_right(void **state)
{
    (void)state;
    struct fl_pg_grant *grants;
    size_t count;
    struct fl_arena list;
    PGconn *conns[FL_ROLE_COUNT];
    struct fl_pg_sync *syncs[FL_ROLE_COUNT];
    fl_arena_init(&list, 1 << 20);
    assert_int_equal(fl_pg_grants_parse(roles_sql, &list, &grants, &count, NULL), FL_OK);
    assert_true(count > 50);
    free(fenceline_write_chapters("ep one", "first", 3));
    process_release(fenceline_run(0, "import", "ep one.chapters.json"));
    for (int role = 0; role < FL_ROLE_COUNT; role++) {
        conns[role] = open_as(role);
        syncs[role] = sync_as(role);
        assert_int_equal(check_as(syncs[role], role).missing, 0);
        for (size_t i = 0; i < SENDS[role].count; i++)
            if (is_denied(conns[role], SENDS[role].list[i]))
                fail_msg("%s may not: %s", USERS[role], SENDS[role].list[i]);
    }
    assert_true(sees_sessions(conns[FL_ROLE_OPERATOR]));
    for (size_t i = 0; i < count; i++) {
        int role = role_of(&grants[i]);
        change("REVOKE", "FROM", &grants[i]);
        assert_missed(conns[role], syncs[role], &grants[i], role);
        change("GRANT", "TO", &grants[i]);
        fl_arena_release(&arena);
    }
    for (int role = 0; role < FL_ROLE_COUNT; role++) {
        assert_int_equal(check_as(syncs[role], role).missing, 0);
        fl_pg_sync_close(syncs[role]);
        db_close(conns[role]);
    }
    fl_arena_release(&list);
}

/* Each function that a role may call is called: by the program, or by a function that runs with its caller's
 * rights. enqueue is for programs of others. */
static void test_each_function_is_called(void **state)
{
    (void)state;
    char *folder = repository_path("src/io"), command[PATH_BYTES + 64];
    snprintf(command, sizeof command, "cat '%s'/pg_*.c", folder);
    struct process *cat = process_run(
        &(struct process_spec){.argv = (const char *const[]){"sh", "-c", command, NULL}}, TIMEOUT_MS);
    char *uncalled = db_text(
        fenceline.db,
        "SELECT string_agg(proname, ', ') FROM pg_proc p WHERE pronamespace = 'fenceline'::regnamespace"
        "   AND EXISTS (SELECT FROM aclexplode(proacl) a JOIN pg_roles r ON r.oid = a.grantee"
        "                WHERE starts_with(r.rolname, 'fenceline_'))"
        "   AND position('fenceline.' || proname || '(' IN $1) = 0 AND proname <> 'enqueue'"
        "   AND NOT EXISTS (SELECT FROM pg_proc c WHERE c.pronamespace = p.pronamespace AND NOT c.prosecdef"
        "                      AND position('fenceline.' || p.proname || '(' IN c.prosrc) > 0"
        "                      AND position('fenceline.' || c.proname || '(' IN $1 || (SELECT "
        "string_agg(prosrc, '')"
        "                           FROM pg_proc o WHERE o.pronamespace = p.pronamespace AND NOT "
        "o.prosecdef)) > 0)",
        cat->out.bytes);
    if (uncalled)
        fail_msg("config/roles.sql lets a role call %s, and nothing in src/io/pg_*.c does", uncalled);
    process_release(cat);
    free(folder);
}

/* ---- what is missing, and what to do about it ---- */

static void assert_text(struct fl_slice text, const char *part)
{
    if (!text.ptr || !memmem(text.ptr, text.len, part, strlen(part)))
        fail_msg("'%.*s' lacks '%s'", FL_ARGS(text), part);
}

/* A user without any: by the role or by the single GRANTs, after what is told nothing is missing. */
static void test_postgres_advice(void **state)
{
    (void)state;
    struct fl_pg_sync *pg = sync_as(NOBODY);
    for (int role = 0; role < FL_ROLE_COUNT; role++) {
        struct fl_pg_rights rights = check_as(pg, role);
        char advice[SQL_BYTES];
        assert_text(rights.user, USERS[NOBODY]);
        assert_false(rights.is_superuser || rights.is_owner || rights.is_member);
        assert_true(rights.role_exists && rights.needed >= 2);
        assert_int_equal(rights.missing, rights.needed);
        snprintf(advice, sizeof advice, "GRANT %s TO %s;", fl_pg_role_name((enum fl_pg_role)role),
                 USERS[NOBODY]);
        assert_string_equal(rights.advice.ptr, advice);
        for (size_t i = 0; i < rights.grant_count; i++)
            db_exec(fenceline.db, rights.grants[i].ptr);
        rights = check_as(pg, role);
        assert_int_equal(rights.missing, 0);
        assert_false(rights.is_member);
        assert_null(rights.advice.ptr);
        db_exec(fenceline.db,
                "DROP OWNED BY t_nobody; REVOKE pg_read_all_stats, pg_signal_backend FROM t_nobody");
        db_exec(fenceline.db, advice);
        rights = check_as(pg, role);
        assert_int_equal(rights.missing, 0);
        assert_true(rights.is_member);
        snprintf(advice, sizeof advice, "REVOKE %s FROM t_nobody", fl_pg_role_name((enum fl_pg_role)role));
        db_exec(fenceline.db, advice);
    }
    fl_pg_sync_close(pg);
}

/* Columns of one table are granted together; a role that is older than the schema; no role at all; a strange
 * name. */
static void test_postgres_advice_in_odd_cases(void **state)
{
    (void)state;
    struct fl_pg_sync *pg = sync_as(FL_ROLE_WORKER);
    db_exec(fenceline.db, "REVOKE SELECT (mode, source) ON fenceline.jobs FROM fenceline_worker");
    db_exec(fenceline.db, "REVOKE SELECT (fence) ON fenceline.episodes FROM fenceline_worker");
    struct fl_pg_rights rights = check_as(pg, FL_ROLE_WORKER);
    assert_int_equal(rights.missing, 3);
    assert_int_equal(rights.grant_count, 2);
    assert_string_equal(rights.grants[0].ptr,
                        "GRANT SELECT (mode, source) ON TABLE fenceline.jobs TO t_worker;");
    assert_string_equal(rights.grants[1].ptr,
                        "GRANT SELECT (fence) ON TABLE fenceline.episodes TO t_worker;");
    assert_text(rights.advice, "config/roles.sql again");
    db_exec(fenceline.db, "ALTER ROLE fenceline_worker RENAME TO put_away");
    rights = check_as(pg, FL_ROLE_WORKER);
    db_exec(fenceline.db, "ALTER ROLE put_away RENAME TO fenceline_worker");
    assert_false(rights.role_exists);
    assert_text(rights.advice, "run config/roles.sql, then: GRANT fenceline_worker TO t_worker;");
    db_exec(fenceline.db, "ALTER ROLE t_nobody RENAME TO \"t \"\"odd\"\" one\"");
    struct fl_pg_sync *odd = NULL;
    char dsn[sizeof role_dsn];
    dsn_of(fenceline.dsn, "t%20%22odd%22%20one", dsn);
    assert_int_equal(fl_pg_sync_open(&odd, dsn, TIMEOUT_MS, NULL), FL_OK);
    rights = check_as(odd, FL_ROLE_ENQUEUER);
    assert_string_equal(rights.advice.ptr, "GRANT fenceline_enqueuer TO \"t \"\"odd\"\" one\";");
    db_exec(fenceline.db, rights.advice.ptr);
    assert_int_equal(check_as(odd, FL_ROLE_ENQUEUER).missing, 0);
    db_exec(fenceline.db, "REVOKE fenceline_enqueuer FROM \"t \"\"odd\"\" one\"");
    db_exec(fenceline.db, "ALTER ROLE \"t \"\"odd\"\" one\" RENAME TO t_nobody");
    fl_pg_sync_close(odd);
    fl_pg_sync_close(pg);
}

static void test_postgres_owner_and_empty_database(void **state)
{
    (void)state;
    char empty[SERVICES_DSN_BYTES], dsn[sizeof role_dsn];
    struct fl_pg_sync *pg;
    assert_int_equal(fl_pg_sync_open(&pg, fenceline.dsn, TIMEOUT_MS, NULL), FL_OK);
    struct fl_pg_rights rights = check_as(pg, FL_ROLE_WORKER);
    assert_true(rights.is_superuser && rights.is_owner);
    assert_int_equal(rights.missing, 0);
    fl_pg_sync_close(pg);
    services_new_database(&fenceline.services, empty);
    dsn_of(empty, USERS[FL_ROLE_WORKER], dsn);
    assert_int_equal(fl_pg_sync_open(&pg, dsn, TIMEOUT_MS, NULL), FL_OK);
    rights = check_as(pg, FL_ROLE_WORKER);
    assert_false(rights.is_superuser || rights.is_owner);
    assert_int_equal(rights.missing, rights.needed);
    assert_text(rights.advice, "'fenceline migrate'");
    fl_pg_sync_close(pg);
}

/* ---- no right is too many: Redis ---- */

static struct fl_redis_rights redis_check(const char *url)
{
    struct fl_redis_rights rights;
    struct fl_err err;
    if (fl_redis_rights_check(url, TIMEOUT_MS, &arena, &rights, &err) != FL_OK)
        fail_msg("%s", err.text);
    return rights;
}

/* The user with all rules of the file but one. */
static void make_redis_user_without(size_t left_out)
{
    const char *argv[RULES] = {"ACL", "SETUSER", "fenceline", "reset", "on", (">" REDIS_PASSWORD)};
    struct fl_lines lines;
    struct fl_slice rule;
    int argc = 6;
    fl_lines_init(&lines, fl_slice_from(redis_acl));
    for (size_t i = 0; fl_redis_acl_next(&lines, &rule); i++)
        if (i != left_out)
            argv[argc++] = fl_arena_copy(&arena, rule).ptr;
    redisReply *reply = redisCommandArgv(fenceline.redis, argc, argv, NULL);
    assert_true(reply && reply->type == REDIS_REPLY_STATUS);
    freeReplyObject(reply);
}

static void test_redis_needs_each_right(void **state)
{
    (void)state;
    struct fl_lines lines;
    struct fl_slice rule;
    size_t rights_seen = 0;
    become(FL_ROLE_WORKER);
    assert_int_equal(redis_check(role_redis_url).missing_count, 0);
    fl_lines_init(&lines, fl_slice_from(redis_acl));
    for (size_t i = 0; fl_redis_acl_next(&lines, &rule); i++) {
        make_redis_user_without(i);
        struct fl_redis_rights rights = redis_check(role_redis_url);
        bool is_right = strchr("+~&", rule.ptr[0]) != NULL;
        rights_seen += is_right;
        assert_int_equal(rights.is_known, !fl_slice_is(rule, "+multi"));
        if (rights.missing_count != is_right || (is_right && !fl_slice_eq(rights.missing[0], rule)))
            fail_msg("without %.*s %zu rights are missing: %.*s", FL_ARGS(rule), rights.missing_count,
                     FL_ARGS(rights.missing_count ? rights.missing[0] : FL_SLICE("none")));
        fl_arena_release(&arena);
    }
    make_redis_user();
    struct fl_redis_rights rights = redis_check(role_redis_url);
    assert_int_equal(rights.needed, rights_seen);
    assert_true(rights_seen > 35);
    assert_int_equal(rights.missing_count, 0);
    assert_int_equal(rdb_int(fenceline.redis, "DBSIZE"), 0); /* asking leaves nothing behind */
}

/* The line that is told gives the rights, and takes away what is too much. */
static void test_redis_advice(void **state)
{
    (void)state;
    const char *argv[RULES];
    char url[URL_BYTES], line[SQL_BYTES];
    int argc = 0;
    become(FL_ROLE_WORKER);
    rdb_exec(fenceline.redis,
             "ACL SETUSER guest reset on >%s ~other:* &* +@read +@connection +multi +discard",
             REDIS_PASSWORD);
    snprintf(url, sizeof url, "redis://guest:%s@127.0.0.1:%u", REDIS_PASSWORD,
             (unsigned)services_redis_port(&fenceline.services));
    struct fl_redis_rights rights = redis_check(url);
    assert_true(rights.is_known);
    assert_string_equal(rights.user.ptr, "guest");
    assert_true(rights.missing_count > 15 && rights.missing_count < rights.needed);
    assert_string_equal(fl_arena_copy(&arena, rights.missing[0]).ptr, "~fenceline:*");
    assert_text(rights.line,
                "ACL SETUSER guest resetkeys resetchannels -@all ~fenceline:* &fenceline:wake:* +");
    snprintf(line, sizeof line, "%s", rights.line.ptr);
    for (char *rest = NULL, *word = strtok_r(line, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        argv[argc++] = word;
    redisReply *reply = redisCommandArgv(fenceline.redis, argc, argv, NULL);
    assert_true(reply && reply->type == REDIS_REPLY_STATUS);
    freeReplyObject(reply);
    assert_int_equal(redis_check(url).missing_count, 0);
    redisContext *guest = rdb_open(services_redis_port(&fenceline.services));
    rdb_exec(guest, "AUTH guest %s", REDIS_PASSWORD);
    reply = redisCommand(guest, "GET other:x");
    assert_true(reply && reply->type == REDIS_REPLY_ERROR);
    freeReplyObject(reply);
    rdb_close(guest);
    rights = redis_check(services_redis_url(&fenceline.services));
    assert_string_equal(rights.user.ptr, "default");
    assert_int_equal(rights.missing_count, 0);
    assert_text(rights.line, "ACL SETUSER fenceline ");
    rdb_exec(fenceline.redis, "ACL DELUSER guest");
}

static void test_redis_cannot_be_asked(void **state)
{
    (void)state;
    struct fl_redis_rights rights;
    struct fl_err err;
    char url[URL_BYTES];
    become(FL_ROLE_WORKER);
    snprintf(url, sizeof url, "redis://fenceline:wrong@127.0.0.1:%u",
             (unsigned)services_redis_port(&fenceline.services));
    assert_int_equal(fl_redis_rights_check(url, TIMEOUT_MS, &arena, &rights, &err), FL_UNAVAILABLE);
    assert_non_null(strstr(err.text, "WRONGPASS"));
    assert_int_equal(fl_redis_rights_check("nonsense", TIMEOUT_MS, &arena, &rights, &err), FL_USAGE);
    rdb_exec(fenceline.redis, "ACL SETUSER default off");
    fl_status status =
        fl_redis_rights_check(services_redis_url(&fenceline.services), TIMEOUT_MS, &arena, &rights, &err);
    rdb_exec(fenceline.redis, "ACL SETUSER default on");
    assert_int_equal(status, FL_UNAVAILABLE);
    assert_non_null(strstr(err.text, "NOAUTH"));
    services_redis_stop(&fenceline.services, SERVICES_FAST);
    assert_int_equal(fl_redis_rights_check(role_redis_url, TIMEOUT_MS, &arena, &rights, &err),
                     FL_UNAVAILABLE);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, start_test, stop_test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_object_is_listed),
        TEST(test_schema_is_closed),
        TEST(test_files_are_embedded),
        TEST(test_redis_list_is_what_the_sources_send),
        TEST(test_worker_imports),
        TEST(test_worker_waits_and_wakes),
        TEST(test_worker_resolves_lost_commits),
        TEST(test_queue_of_roles),
        TEST(test_killed_worker),
        TEST(test_reader_looks),
        TEST(test_operator_breaks),
        TEST(test_operator_doctors),
        TEST(test_postgres_refuses),
        TEST(test_program_says_which_role),
        TEST(test_migrate_is_for_the_owner),
        TEST(test_redis_refuses),
        TEST(test_program_says_what_redis_lacks),
        TEST(test_worker_says_what_redis_lacks),
        TEST(test_postgres_needs_each_right),
        TEST(test_each_function_is_called),
        TEST(test_postgres_advice),
        TEST(test_postgres_advice_in_odd_cases),
        TEST(test_postgres_owner_and_empty_database),
        TEST(test_redis_needs_each_right),
        TEST(test_redis_advice),
        TEST(test_redis_cannot_be_asked),
    };
    return cmocka_run_group_tests(tests, start_group, stop_group);
}
