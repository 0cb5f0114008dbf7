/*
 * The program under test, beside real servers.
 *
 * Happy path: the group starts both servers and migrates one database with the program itself; each test gets
 * a copy of that database, an emptied Redis and a new folder; runs get the servers' addresses by environment;
 * their output and exit code are checked; what is stored is compared as text, built once from the expectation
 * and once by one statement in the database.
 *
 * Failure modes: a failed test leaves by longjmp, so its processes, its stopped servers and its folder are
 * put in order by the teardown, not by the test. The databases of tests are not dropped: they go with the
 * servers.
 */
#include "fenceline.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ENV_MAX = 64, ARGS_MAX = 512 };

struct fenceline fenceline;

static char template_dsn[SERVICES_DSN_BYTES];
static char *usual_binary, *fast_binary;
static bool is_fast;

/* TEST='test_kill*' build/test/integration/test_x runs those alone. */
__attribute__((constructor)) static void choose_tests(void)
{
    if (getenv("TEST"))
        cmocka_set_test_filter(getenv("TEST"));
}

/* The binary */

static char *own_folder(void)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0)
        LIB_FAIL("cannot tell the path of this test program");
    path[length] = '\0';
    *strrchr(path, '/') = '\0';
    char *folder = strdup(path);
    assert_non_null(folder);
    return folder;
}

/* "<folder of the test program>/<beside>" made absolute; NULL if there is no such program. */
static char *binary_beside(const char *beside)
{
    char *folder = own_folder();
    char *joined = files_join(folder, beside);
    char *path = realpath(joined, NULL);
    free(joined);
    free(folder);
    return path;
}

static void find_binaries(void)
{
    const char *given = getenv("FENCELINE_BIN");
    const char *given_fast = getenv("FENCELINE_BIN_FAST");
    usual_binary = given != NULL ? realpath(given, NULL) : binary_beside("../fenceline");
    fast_binary = given_fast != NULL ? realpath(given_fast, NULL) : binary_beside("../../debug/fenceline");
    if (usual_binary == NULL)
        LIB_FAIL("there is no fenceline to test: build it, or name it in FENCELINE_BIN");
}

const char *fenceline_binary(void)
{
    return is_fast && fast_binary != NULL ? fast_binary : usual_binary;
}

void fenceline_use_fast(bool fast)
{
    is_fast = fast;
}

/* Setup and teardown */

static void set_defaults(void)
{
    fenceline.redis_url = services_redis_url(&fenceline.services);
    fenceline.postgres_dsn = fenceline.dsn;
    fenceline.env = NULL;
    fenceline.secret = NULL;
    is_fast = false;
}

static void disconnect(void)
{
    db_close(fenceline.db);
    rdb_close(fenceline.redis);
    fenceline.db = NULL;
    fenceline.redis = NULL;
}

void fenceline_reconnect(void)
{
    disconnect();
    if (services_postgres_pid(&fenceline.services) > 0)
        fenceline.db = db_open(fenceline.dsn);
    if (services_redis_pid(&fenceline.services) > 0)
        fenceline.redis = rdb_open(services_redis_port(&fenceline.services));
}

int fenceline_start_group(void **state)
{
    (void)state;
    find_binaries();
    services_start(&fenceline.services, SERVICES_REDIS | SERVICES_POSTGRES);
    services_new_database(&fenceline.services, template_dsn);
    memcpy(fenceline.dsn, template_dsn, sizeof template_dsn);
    set_defaults();
    process_release(fenceline_run(0, "migrate", "--quiet"));
    return 0;
}

int fenceline_stop_group(void **state)
{
    (void)state;
    process_release_all();
    disconnect();
    services_stop(&fenceline.services);
    free(usual_binary);
    free(fast_binary);
    usual_binary = fast_binary = NULL;
    return 0;
}

int fenceline_start_test(void **state)
{
    (void)state;
    services_copy_database(&fenceline.services, template_dsn, fenceline.dsn);
    set_defaults();
    fenceline.folder = files_temp_folder(NULL, "fenceline-input");
    if (chmod(fenceline.folder, 0755) != 0)
        LIB_FAIL("cannot open %s for everybody", fenceline.folder);
    fenceline_reconnect();
    rdb_exec(fenceline.redis, "FLUSHALL");
    return 0;
}

int fenceline_stop_test(void **state)
{
    (void)state;
    process_release_all();
    disconnect();
    if (services_postgres_pid(&fenceline.services) < 0)
        services_postgres_start(&fenceline.services);
    if (services_redis_pid(&fenceline.services) < 0)
        services_redis_start(&fenceline.services);
    files_remove_tree(fenceline.folder);
    free(fenceline.folder);
    fenceline.folder = NULL;
    return 0;
}

/* Running */

static bool is_named_in(const char *const *list, const char *name, size_t name_bytes)
{
    for (; list != NULL && *list != NULL; list++) {
        if (strncmp(*list, name, name_bytes) == 0 && ((*list)[name_bytes] == '=' || !(*list)[name_bytes]))
            return true;
    }
    return false;
}

struct environment {
    char *owned[ENV_MAX];
    const char *list[ENV_MAX];
    size_t owned_count, count;
};

/* Unless the run says something else of that name. */
static void set_variable(struct environment *env, const char *const *more, const char *name,
                         const char *value)
{
    if (value == NULL || is_named_in(more, name, strlen(name)))
        return;
    char *text = NULL;
    if (asprintf(&text, "%s=%s", name, value) < 0)
        LIB_FAIL("out of memory for an environment");
    env->owned[env->owned_count++] = text;
    env->list[env->count++] = text;
}

static void add_variable(struct environment *env, const char *text)
{
    if (env->count + 1 >= ENV_MAX)
        LIB_FAIL("more than %d variables for one run", ENV_MAX);
    env->list[env->count++] = text;
}

/* What a command does not free, its end does; to look for it takes as long as the run. A worker must not
 * leak. */
static const char *usual_asan_options(const struct process_spec *spec)
{
    return spec->argv[0] != NULL && strcmp(spec->argv[0], "worker") == 0 ? NULL : "detect_leaks=0";
}

static void build_environment(struct environment *env, const struct process_spec *spec)
{
    const char *const *more = spec->env;
    static const char *const inherited[] = {"PATH",         "HOME",          "TMPDIR",     "ASAN_OPTIONS",
                                            "LSAN_OPTIONS", "UBSAN_OPTIONS", "GCOV_PREFIX"};
    for (size_t i = 0; i < sizeof inherited / sizeof *inherited; i++)
        set_variable(env, more, inherited[i], getenv(inherited[i]));
    if (getenv("ASAN_OPTIONS") == NULL)
        set_variable(env, more, "ASAN_OPTIONS", usual_asan_options(spec));
    set_variable(env, more, "FENCELINE_REDIS", fenceline.redis_url);
    set_variable(env, more, "FENCELINE_POSTGRES", fenceline.postgres_dsn);
    static const char listen[] = "FENCELINE_HTTP_LISTEN"; /* many workers run at once */
    set_variable(env, more, listen, is_named_in(fenceline.env, listen, strlen(listen)) ? NULL : "off");
    for (const char *const *of_test = fenceline.env; of_test != NULL && *of_test != NULL; of_test++) {
        if (!is_named_in(more, *of_test, strcspn(*of_test, "=")))
            add_variable(env, *of_test);
    }
    for (; more != NULL && *more != NULL; more++)
        add_variable(env, *more);
}

struct process *fenceline_start(const struct process_spec *spec)
{
    const char *args[ARGS_MAX] = {fenceline_binary()};
    size_t count = 1;
    struct environment env = {.count = 0};
    for (const char *const *arg = spec->argv; *arg != NULL; arg++) {
        if (count + 1 >= ARGS_MAX)
            LIB_FAIL("more than %d arguments for one run", ARGS_MAX);
        args[count++] = *arg;
    }
    build_environment(&env, spec);
    struct process_spec full = *spec;
    full.argv = args;
    full.env = env.list;
    full.clean_env = true;
    full.folder = spec->folder != NULL ? spec->folder : fenceline.folder;
    struct process *process = process_start(&full);
    for (size_t i = 0; i < env.owned_count; i++)
        free(env.owned[i]);
    return process;
}

static void check_output(const struct process *process)
{
    static const char *const reports[] = {"ERROR: AddressSanitizer", "ERROR: LeakSanitizer",
                                          ": runtime error: ", "WARNING: ThreadSanitizer", "FL_ASSERT"};
    for (size_t i = 0; i < sizeof reports / sizeof *reports; i++) {
        if (strstr(process->err.bytes, reports[i]) != NULL) {
            process_print(process);
            LIB_FAIL("the program reports '%s'", reports[i]);
        }
    }
    if (fenceline.secret != NULL && (strstr(process->out.bytes, fenceline.secret) != NULL ||
                                     strstr(process->err.bytes, fenceline.secret) != NULL)) {
        process_print(process);
        LIB_FAIL("the program printed the secret");
    }
}

struct process *fenceline_finish_within(struct process *process, int exit_code, int timeout_ms)
{
    process_wait_code(process, exit_code, timeout_ms);
    check_output(process);
    return process;
}

struct process *fenceline_finish(struct process *process, int exit_code)
{
    return fenceline_finish_within(process, exit_code, FENCELINE_RUN_MS);
}

/* The state behind the name in parentheses: 'T' while it is stopped. */
static char state_of(pid_t pid)
{
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 'X';
    size_t got = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[got] = '\0';
    const char *name_end = strrchr(line, ')');
    return name_end != NULL && name_end[1] == ' ' ? name_end[2] : 'X';
}

void fenceline_await_stop(const struct process *process)
{
    int64_t deadline_ms = process_now_ms() + FENCELINE_RUN_MS;
    for (;;) {
        char state = state_of(process->pid);
        if (state == 'T')
            return;
        if (state == 'X' || state == 'Z' || process_now_ms() > deadline_ms) {
            process_print(process);
            LIB_FAIL("the program has not stopped itself");
        }
        process_sleep_ms(2);
    }
}

static void check_text(const struct process *process, const char *stream, const char *bytes, const char *text,
                       bool wanted)
{
    if ((strstr(bytes, text) != NULL) == wanted)
        return;
    process_print(process);
    LIB_FAIL("%s %s '%s'", stream, wanted ? "lacks" : "must not contain", text);
}

void fenceline_assert_out(const struct process *process, const char *text)
{
    check_text(process, "stdout", process->out.bytes, text, true);
}

void fenceline_assert_err(const struct process *process, const char *text)
{
    check_text(process, "stderr", process->err.bytes, text, true);
}

void fenceline_assert_not_out(const struct process *process, const char *text)
{
    check_text(process, "stdout", process->out.bytes, text, false);
}

void fenceline_assert_not_err(const struct process *process, const char *text)
{
    check_text(process, "stderr", process->err.bytes, text, false);
}

/* Input files */

struct text {
    char *bytes;
    size_t size_bytes;
    FILE *stream;
};

static void open_text(struct text *text)
{
    *text = (struct text){.bytes = NULL};
    text->stream = open_memstream(&text->bytes, &text->size_bytes);
    assert_non_null(text->stream);
}

static char *write_input(const char *episode, const char *ending, struct text *text)
{
    char *name = NULL;
    fclose(text->stream);
    if (asprintf(&name, "%s%s", episode, ending) < 0)
        LIB_FAIL("out of memory for a file's name");
    char *path = files_write(fenceline.folder, name, text->bytes, text->size_bytes);
    free(name);
    free(text->bytes);
    return path;
}

char *fenceline_write_chapters(const char *episode, const char *tag, int count)
{
    struct text text;
    open_text(&text);
    fputs("{\"version\": \"1.2.0\", \"chapters\": [\n", text.stream);
    for (int i = 0; i < count; i++) {
        fprintf(text.stream, "  {\"startTime\": %d, \"title\": \"%s chapter %d\"}%s\n", i * 10, tag, i,
                i + 1 < count ? "," : "");
    }
    fputs("]}\n", text.stream);
    return write_input(episode, ".chapters.json", &text);
}

char *fenceline_write_transcript(const char *episode, const char *tag, int count)
{
    struct text text;
    open_text(&text);
    for (int i = 0; i < count; i++) {
        int start = i * 10;
        fprintf(text.stream, "%d\n%02d:%02d:%02d,000 --> %02d:%02d:%02d,500\n%s segment %d\n\n", i + 1,
                start / 3600, start / 60 % 60, start % 60, (start + 9) / 3600, (start + 9) / 60 % 60,
                (start + 9) % 60, tag, i);
    }
    return write_input(episode, ".srt", &text);
}

/* What is stored: one text a document, a first line of the document itself and one line a row. */

static char *stored_chapters(const char *episode)
{
    char *text = db_text(
        fenceline.db,
        "SELECT coalesce((SELECT row_count || ' rows' FROM fenceline.documents"
        "                  WHERE episode_id = $1 AND kind = 'chapters' AND NOT deleted), 'no document')"
        "    || coalesce((SELECT string_agg(format(E'\\n%s %s %s %s', order_index, start_ms,"
        "                                          coalesce(end_ms::text, '-'), title), '' ORDER BY "
        "order_index)"
        "                   FROM fenceline.chapters WHERE episode_id = $1), '')",
        episode);
    assert_non_null(text);
    return text;
}

static char *stored_transcript(const char *episode)
{
    char *text = db_text(
        fenceline.db,
        "SELECT coalesce((SELECT row_count || ' rows' FROM fenceline.documents"
        "                  WHERE episode_id = $1 AND kind = 'transcript' AND NOT deleted), 'no document')"
        "    || coalesce((SELECT string_agg(format(E'\\n%s %s %s %s', order_index, start_ms,"
        "                                          coalesce(end_ms::text, '-'), body), '' ORDER BY "
        "order_index)"
        "                   FROM fenceline.transcript_segments WHERE episode_id = $1), '')",
        episode);
    assert_non_null(text);
    return text;
}

static char *expected_chapters(const char *tag, int count)
{
    struct text text;
    open_text(&text);
    fprintf(text.stream, "%d rows", count);
    for (int i = 0; i + 1 < count; i++)
        fprintf(text.stream, "\n%d %d %d %s chapter %d", i, i * 10000, i * 10000 + 10000, tag, i);
    fprintf(text.stream, "\n%d %d - %s chapter %d", count - 1, (count - 1) * 10000, tag, count - 1);
    fclose(text.stream);
    return text.bytes;
}

static char *expected_transcript(const char *tag, int count)
{
    struct text text;
    open_text(&text);
    fprintf(text.stream, "%d rows", count);
    for (int i = 0; i < count; i++)
        fprintf(text.stream, "\n%d %d %d %s segment %d", i, i * 10000, i * 10000 + 9500, tag, i);
    fclose(text.stream);
    return text.bytes;
}

/* Frees both texts. */
static bool is_same(char *stored, char *expected)
{
    bool same = strcmp(stored, expected) == 0;
    free(stored);
    free(expected);
    return same;
}

/* Frees both texts. */
static void assert_same(const char *episode, const char *kind, char *stored, char *expected)
{
    if (strcmp(stored, expected) != 0) {
        print_error("expected %s of %s:\n", kind, episode);
        files_print(expected, strlen(expected));
        print_error("\nstored:\n");
        files_print(stored, strlen(stored));
        print_error("\n");
        free(stored);
        free(expected);
        LIB_FAIL("%s: other %s are stored than expected", episode, kind);
    }
    free(stored);
    free(expected);
}

void fenceline_assert_chapters(const char *episode, const char *tag, int count)
{
    assert_same(episode, "chapters", stored_chapters(episode), expected_chapters(tag, count));
}

void fenceline_assert_transcript(const char *episode, const char *tag, int count)
{
    assert_same(episode, "segments", stored_transcript(episode), expected_transcript(tag, count));
}

bool fenceline_has_chapters(const char *episode, const char *tag, int count)
{
    return is_same(stored_chapters(episode), expected_chapters(tag, count));
}

bool fenceline_has_transcript(const char *episode, const char *tag, int count)
{
    return is_same(stored_transcript(episode), expected_transcript(tag, count));
}

void fenceline_assert_nothing(const char *episode, const char *kind)
{
    if (kind == NULL || strcmp(kind, "chapters") == 0)
        assert_same(episode, "chapters", stored_chapters(episode), strdup("no document"));
    if (kind == NULL || strcmp(kind, "transcript") == 0)
        assert_same(episode, "segments", stored_transcript(episode), strdup("no document"));
}

int64_t fenceline_count(const char *table)
{
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM fenceline.%s", table);
    return db_int(fenceline.db, sql);
}

struct rule {
    const char *text;
    const char *sql; /* the broken ones, as text */
};

static const struct rule rules[] = {
    {"a document has exactly the rows it counts",
     "SELECT format('%s %s: %s counted, %s stored', d.episode_id, d.kind, d.row_count, n)"
     "  FROM fenceline.documents d, LATERAL ("
     "       SELECT CASE d.kind WHEN 'chapters'"
     "              THEN (SELECT count(*) FROM fenceline.chapters r WHERE r.episode_id = d.episode_id)"
     "              ELSE (SELECT count(*) FROM fenceline.transcript_segments r"
     "                     WHERE r.episode_id = d.episode_id) END) c(n)"
     " WHERE n <> CASE WHEN d.deleted THEN 0 ELSE d.row_count END"},
    {"rows belong to a document",
     "SELECT r.episode_id FROM (SELECT episode_id, 'chapters' AS kind FROM fenceline.chapters UNION"
     "                          SELECT episode_id, 'transcript' FROM fenceline.transcript_segments) r"
     " WHERE NOT EXISTS (SELECT FROM fenceline.documents d WHERE d.episode_id = r.episode_id"
     "                      AND d.kind = r.kind AND NOT d.deleted)"},
    {"rows are numbered from 0 without a gap, in the order of their starts",
     "SELECT episode_id || ' ' || order_index FROM ("
     "  SELECT episode_id, order_index, row_number() OVER (PARTITION BY kind, episode_id"
     "                                                     ORDER BY start_ms, order_index) - 1 AS place"
     "    FROM (SELECT 'chapters' AS kind, episode_id, order_index, start_ms FROM fenceline.chapters UNION "
     "ALL"
     "          SELECT 'transcript', episode_id, order_index, start_ms FROM fenceline.transcript_segments) a"
     ") b WHERE order_index <> place"},
    {"the fence is never below the version",
     "SELECT episode_id FROM fenceline.episodes WHERE fence < version"},
    {"a document's version is one that its episode reached",
     "SELECT d.episode_id FROM fenceline.documents d LEFT JOIN fenceline.episodes e USING (episode_id)"
     " WHERE e.version IS NULL OR d.version > e.version"},
    {"a document is the work of the job it names",
     "SELECT format('%s %s: job %s', d.episode_id, d.kind, d.job_id)"
     "  FROM fenceline.documents d LEFT JOIN fenceline.jobs j USING (job_id)"
     " WHERE j.job_id IS NULL OR j.episode_id <> d.episode_id OR j.kind <> d.kind OR j.version <> d.version"
     "    OR j.outcome IS DISTINCT FROM CASE WHEN d.deleted THEN 'deleted' ELSE 'imported' END"
     "    OR NOT d.deleted AND j.row_count IS DISTINCT FROM d.row_count"},
    {"no version is committed twice",
     "SELECT episode_id || ' ' || version FROM fenceline.jobs WHERE outcome IN ('imported', 'deleted')"
     " GROUP BY episode_id, version HAVING count(*) > 1"},
    {"of one document, a create succeeds once, and again only after a deletion",
     "SELECT episode_id || ' ' || kind FROM fenceline.jobs GROUP BY episode_id, kind"
     " HAVING count(*) FILTER (WHERE mode = 'create' AND outcome = 'imported')"
     "      > 1 + count(*) FILTER (WHERE outcome = 'deleted')"},
};

void fenceline_assert_consistent(void)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        char sql[2048];
        snprintf(sql, sizeof sql, "SELECT string_agg(broken.what, ', ') FROM (%s LIMIT 10) AS broken(what)",
                 rules[i].sql);
        char *broken = db_text(fenceline.db, sql);
        if (broken != NULL)
            LIB_FAIL("not kept: %s; broken by %s", rules[i].text, broken);
    }
}

/* Jobs */

char *fenceline_outcome(const char *episode, const char *kind)
{
    return db_text(fenceline.db,
                   "SELECT coalesce(outcome, 'open') FROM fenceline.jobs"
                   " WHERE episode_id = $1 AND kind = coalesce($2, kind) ORDER BY job_id DESC LIMIT 1",
                   episode, kind);
}

void fenceline_assert_outcome(const char *episode, const char *kind, const char *outcome)
{
    char *found = fenceline_outcome(episode, kind);
    if (found == NULL)
        LIB_FAIL("%s: there is no job, expected one with outcome %s", episode, outcome);
    if (strcmp(found, outcome) != 0) {
        char *message = db_text(fenceline.db,
                                "SELECT message FROM fenceline.jobs WHERE episode_id = $1"
                                " AND kind = coalesce($2, kind) ORDER BY job_id DESC LIMIT 1",
                                episode, kind);
        LIB_FAIL("%s: outcome is %s instead of %s (%s)", episode, found, outcome,
                 message != NULL ? message : "no message");
    }
    free(found);
}

int64_t fenceline_count_jobs(const char *outcome)
{
    return db_int(fenceline.db, "SELECT count(*) FROM fenceline.jobs WHERE coalesce(outcome, 'open') = $1",
                  outcome);
}

/* Leases */

int64_t fenceline_count_leases(void)
{
    return rdb_int(fenceline.redis, "EVAL %s 0", "return #redis.call('KEYS', 'fenceline:{*}:lease')");
}

char *fenceline_lease_key(const char *episode)
{
    struct text text;
    open_text(&text);
    fputs("fenceline:{", text.stream);
    for (; *episode != '\0'; episode++) {
        if (strchr("%{}", *episode) != NULL)
            fprintf(text.stream, "%%%02X", (unsigned)(unsigned char)*episode);
        else
            fputc(*episode, text.stream);
    }
    fputs("}:lease", text.stream);
    fclose(text.stream);
    return text.bytes;
}

void fenceline_set_lease(const char *episode, const char *who, int64_t ttl_ms)
{
    char ttl[32], value[512];
    char *key = fenceline_lease_key(episode);
    snprintf(ttl, sizeof ttl, "%lld", (long long)ttl_ms);
    snprintf(value, sizeof value, "%s 1 %s", "0123456789abcdef0123456789abcdef", who);
    rdb_exec(fenceline.redis, "SET %s %s PX %s", key, value, ttl);
    free(key);
}

void fenceline_drop_lease(const char *episode)
{
    char *key = fenceline_lease_key(episode);
    rdb_exec(fenceline.redis, "DEL %s", key);
    free(key);
}

void fenceline_assert_clean(void)
{
    assert_int_equal(fenceline_count_leases(), 0);
    assert_int_equal(fenceline_count_jobs("open"), 0);
    fenceline_assert_consistent();
}
