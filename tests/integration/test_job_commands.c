/*
 * The commands for operators of the queue: jobs list, show, retry, cancel, purge, pause and resume, and
 * worker list.
 *
 * Happy path: jobs are written by SQL, and brought by SQL into the state that a command should meet; a real
 * worker runs only where the question is what it does then. Failure modes: whatever stands in Postgres or
 * Redis was written by somebody: each form of output is searched for what a terminal would obey.
 */
#include "../lib/fleet.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ID_BYTES = 24, NAME_BYTES = 64, TEXT_BYTES = 4096, PIECE = 500, IDLE_MS = 800 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- jobs by SQL ---- */

/* The number as text, for the next few calls. */
static const char *id_of(int64_t job_id)
{
    static char texts[8][ID_BYTES];
    static size_t next;
    char *text = texts[next++ % 8];
    snprintf(text, ID_BYTES, "%" PRId64, job_id);
    return text;
}

static int64_t enqueue(const char *episode, const char *kind)
{
    return fleet_enqueue(episode, kind, "in/x.json", "replace");
}

static void decide(int64_t job_id, const char *outcome, const char *message)
{
    db_exec(fenceline.db, "SELECT fenceline.decide_job($1, $2, $3)", id_of(job_id), outcome, message);
}

static int64_t decided(const char *episode, const char *outcome)
{
    int64_t job_id = enqueue(episode, "chapters");
    decide(job_id, outcome, outcome);
    return job_id;
}

static void dispatch(int64_t job_id)
{
    db_exec(fenceline.db, "UPDATE fenceline.jobs SET dispatched_at = clock_timestamp() WHERE job_id = $1",
            id_of(job_id));
}

static void begin(int64_t job_id, const char *worker)
{
    dispatch(job_id);
    db_exec(fenceline.db, "SELECT fenceline.begin_jobs(ARRAY[$1::bigint], $2)", id_of(job_id), worker);
}

static void postpone(int64_t job_id, const char *worker, const char *error, const char *delay_ms)
{
    db_exec(fenceline.db, "SELECT fenceline.postpone_job($1, $2, $3, $4, 99)", id_of(job_id), worker, error,
            delay_ms);
}

static void make_older(int64_t job_id, const char *days)
{
    db_exec(fenceline.db,
            "UPDATE fenceline.jobs SET created_at = created_at - $2::integer * interval '1 day',"
            " finished_at = finished_at - $2::integer * interval '1 day' WHERE job_id = $1",
            id_of(job_id), days);
}

/* One value of a job; "null" stands for null. */
static void assert_job(int64_t job_id, const char *expression, const char *expected)
{
    char sql[512];
    snprintf(sql, sizeof sql, "SELECT coalesce((%s)::text, 'null') FROM fenceline.jobs WHERE job_id = $1",
             expression);
    char *value = db_text(fenceline.db, sql, id_of(job_id));
    if (!value || strcmp(value, expected) != 0)
        fail_msg("job %" PRId64 ": %s is %s, not %s", job_id, expression, value ? value : "(no such job)",
                 expected);
    free(value);
}

/* ---- output ---- */

#define EVIL                                                                                                 \
    "\033[31m\033]0;title\a\b\r\x7f \xc2\x9b"                                                                \
    "2J \xe2\x80\xae \"quoted\" \\ 'single' \t\n%s%n <b>"

/* What a terminal would obey, or a reader would be misled by; lines end with \n. */
static void assert_harmless(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        bool is_c0 = (*at < 0x20 && *at != '\n') || *at == 0x7f;
        bool is_c1 = at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0;
        bool turns = at[0] == 0xe2 && at[1] == 0x80 && at[2] >= 0xaa && at[2] <= 0xae;
        if (is_c0 || is_c1 || turns)
            fail_msg("a control character (0x%02x) at byte %zu of: %s", *at,
                     (size_t)(at - (const unsigned char *)text), text);
    }
}

/* Line n of the output, from 0, as a JSON object. */
static cJSON *json_line(const struct process *process, size_t n)
{
    const char *line = process->out.bytes;
    for (size_t i = 0; i < n && line; i++)
        line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL;
    if (!line || !*line)
        LIB_FAIL("no line %zu in: %s", n, process->out.bytes);
    size_t length = strcspn(line, "\n");
    const char *end = NULL;
    cJSON *object = cJSON_ParseWithLengthOpts(line, length, &end, false);
    if (!cJSON_IsObject(object) || end != line + length)
        LIB_FAIL("not one JSON object: %s", line);
    return object;
}

static const char *text_in(const cJSON *object, const char *name)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!value)
        LIB_FAIL("no member %s", name);
    return cJSON_IsNull(value) ? "(null)" : cJSON_IsString(value) ? value->valuestring : "(no text)";
}

static int64_t number_in(const cJSON *object, const char *name)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsNumber(value))
        LIB_FAIL("%s is missing, or no number", name);
    return (int64_t)value->valuedouble;
}

static bool is_null_in(const cJSON *object, const char *name)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!value)
        LIB_FAIL("no member %s", name);
    return cJSON_IsNull(value);
}

/* A member of every object of a JSON lines output, one after the other. */
static const char *column(const struct process *process, const char *name)
{
    static char all[TEXT_BYTES];
    size_t used = 0, lines = files_count_lines(process->out.bytes);
    all[0] = '\0';
    for (size_t i = 0; i < lines; i++) {
        cJSON *object = json_line(process, i);
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", i ? " " : "", text_in(object, name));
        assert_true(used < sizeof all);
        cJSON_Delete(object);
    }
    return all;
}

#define LIST(...)                    fenceline_run(0, "jobs", "list", "--json", __VA_ARGS__)
#define assert_listed(expected, ...) assert_string_equal(column(LIST(__VA_ARGS__), "episode"), (expected))

/* The command with an answer on its terminal. */
static struct process *on_terminal(const char *const *argv, const char *answer, int exit_code)
{
    const struct process_spec spec = {.argv = argv,
                                      .input = answer,
                                      .input_bytes = strlen(answer),
                                      .terminal_streams = PROCESS_IN | PROCESS_OUT | PROCESS_ERR,
                                      .terminal_columns = 80,
                                      .terminal_rows = 24};
    return fenceline_finish(fenceline_start(&spec), exit_code);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- list ---- */

static void test_list_filters(void **state)
{
    (void)state;
    int64_t a = decided("a", "imported"), b = decided("b", "failed"), c = decided("c", "invalid");
    int64_t d = enqueue("d", "transcript"), e = enqueue("e", "chapters");
    begin(d, "worker@alpha:11");
    postpone(d, "worker@alpha:11", "Disk \"quota\" 100% exceeded", "60000");
    begin(e, "worker@beta:22");
    decide(b, "failed", "ignored: it is decided");
    make_older(a, "8");
    make_older(c, "2");
    assert_listed("e d c b a", "--quiet");
    assert_listed("e d", "--outcome", "open");
    assert_listed("a", "--outcome", "imported");
    assert_listed("b", "--outcome", "failed");
    assert_listed("c", "--episode", "c");
    assert_listed("", "--episode", "C");
    assert_listed("", "--episode", "%");
    assert_listed("d", "--kind", "transcript");
    assert_listed("e d", "--worker", "worker");
    assert_listed("d", "--worker", "worker@alpha:11");
    assert_listed("d", "--worker", "alpha:11:0a1b2c"); /* as worker list shows it */
    assert_listed("e", "--worker", "beta");
    assert_listed("", "--worker", "worker@alpha");
    assert_listed("", "--worker", "work");
    assert_listed("", "--worker", "alph");
    assert_listed("", "--worker", "alpha:1");
    assert_listed("d", "--error", "disk \"QUOTA\" 100%");
    assert_listed("", "--error", "d_sk");
    assert_listed("b", "--error", "failed"); /* in its message */
    assert_listed("c a", "--older-than", "1d");
    assert_listed("a", "--older-than", "7d");
    assert_listed("", "--older-than", "36525d");
    assert_listed("e d c b a", "--older-than", "0s");
    assert_listed("", "--outcome", "open", "--older-than", "1d");
    assert_listed("d", "--outcome", "open", "--kind", "transcript", "--worker", "worker", "--error", "quota");
    struct process *table = fenceline_run(0, "jobs", "list", "--outcome", "open");
    assert_int_equal(files_count_lines(table->out.bytes), 3); /* and the heading */
    fenceline_assert_out(table, "to be tried again");
    fenceline_assert_out(table, "Disk \"quota\" 100% exceeded");
    assert_int_equal(table->err.size_bytes, 0);
    struct process *none = fenceline_run(0, "jobs", "list", "--episode", "nobody");
    assert_string_equal(none->err.bytes, "fenceline: no such jobs\n");
    assert_int_equal(none->out.size_bytes, 0);
    (void)a;
}

static void test_list_limit(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        enqueue("old", "chapters");
    for (int i = 0; i < 102; i++)
        enqueue("new", "chapters");
    struct process *two = LIST("--limit", "2");
    assert_string_equal(column(two, "episode"), "new new");
    assert_string_equal(two->err.bytes, "fenceline: there are more than these 2; see them with --limit N\n");
    struct process *usual = fenceline_run(0, "jobs", "list");
    assert_int_equal(files_count_lines(usual->out.bytes), 101);
    fenceline_assert_err(usual, "there are more than these 100;");
    struct process *exact = LIST("--limit", "105");
    assert_int_equal(files_count_lines(exact->out.bytes), 105);
    assert_int_equal(exact->err.size_bytes, 0);
    struct process *quiet = fenceline_run(0, "jobs", "list", "--limit", "1", "--quiet");
    assert_int_equal(quiet->err.size_bytes, 0);
    fenceline_assert_err(fenceline_run(2, "jobs", "list", "--limit", "0"), "--limit takes 1 to");
    fenceline_assert_err(fenceline_run(2, "jobs", "list", "--limit", "1000001"),
                         "--limit takes 1 to 1000000");
}

static void test_states(void **state)
{
    (void)state;
    enqueue("waiting", "chapters");
    db_exec(fenceline.db, "SELECT fenceline.enqueue('scheduled', 'chapters', 'x', not_before => now() +"
                          " interval '1 hour', priority => 'high')");
    db_exec(fenceline.db, "SELECT fenceline.enqueue('due', 'chapters', 'x', not_before => now() -"
                          " interval '1 hour', priority => 'low')");
    dispatch(enqueue("dispatched", "chapters"));
    begin(enqueue("running", "chapters"), "worker@h:1");
    int64_t again = enqueue("again", "chapters");
    begin(again, "worker@h:1");
    postpone(again, "worker@h:1", "no such file", "600000");
    int64_t back = enqueue("back", "chapters"); /* handed back, and dispatched once more */
    begin(back, "worker@h:1");
    postpone(back, "worker@h:1", NULL, "0");
    dispatch(back);
    db_exec(fenceline.db,
            "SELECT fenceline.submit_jobs(gen_random_uuid(), false, '{importing}', '{chapters}',"
            " '{create}', '{NULL}', '{x}', 'import@h:2')");
    decided("decided", "cancelled");
    struct process *all = LIST("-q");
    static const char *const EXPECTED[][3] = {
        {"decided", "cancelled", "normal"}, {"importing", "running", "normal"},
        {"back", "dispatched", "normal"},   {"again", "to be tried again", "normal"},
        {"running", "running", "normal"},   {"dispatched", "dispatched", "normal"},
        {"due", "waiting", "low"},          {"scheduled", "scheduled", "high"},
        {"waiting", "waiting", "normal"},
    };
    assert_int_equal(files_count_lines(all->out.bytes), COUNT(EXPECTED));
    for (size_t i = 0; i < COUNT(EXPECTED); i++) {
        cJSON *job = json_line(all, i);
        assert_string_equal(text_in(job, "episode"), EXPECTED[i][0]);
        assert_string_equal(text_in(job, "state"), EXPECTED[i][1]);
        assert_string_equal(text_in(job, "priority"), EXPECTED[i][2]);
        cJSON_Delete(job);
    }
}

static void test_list_json(void **state)
{
    (void)state;
    int64_t job_id = enqueue("ep", "transcript");
    begin(job_id, "worker@h:1");
    cJSON *open = json_line(LIST("-q"), 0);
    assert_int_equal(number_in(open, "job_id"), job_id);
    assert_string_equal(text_in(open, "kind"), "transcript");
    assert_string_equal(text_in(open, "mode"), "replace");
    assert_string_equal(text_in(open, "worker"), "worker@h:1");
    assert_string_equal(text_in(open, "source"), "in/x.json");
    assert_int_equal(number_in(open, "attempts"), 1);
    assert_true(is_null_in(open, "finished_at") && is_null_in(open, "message") &&
                is_null_in(open, "version") && is_null_in(open, "row_count") &&
                is_null_in(open, "retried_by") && is_null_in(open, "last_error"));
    cJSON_Delete(open);
    decide(job_id, "failed", "it \"broke\"");
    db_exec(fenceline.db, "UPDATE fenceline.jobs SET created_at = '2026-02-01 10:00:00.125+01',"
                          " finished_at = '2026-02-01 10:00:07+01', version = 3, row_count = 12");
    fenceline_run(0, "jobs", "retry", id_of(job_id));
    cJSON *failed = json_line(LIST("--outcome", "failed"), 0);
    assert_string_equal(text_in(failed, "message"), "it \"broke\"");
    assert_string_equal(text_in(failed, "last_error"), "it \"broke\"");
    assert_string_equal(text_in(failed, "created_at"), "2026-02-01T09:00:00.125Z");
    assert_string_equal(text_in(failed, "finished_at"), "2026-02-01T09:00:07.000Z");
    assert_int_equal(number_in(failed, "version"), 3);
    assert_int_equal(number_in(failed, "row_count"), 12);
    assert_true(number_in(failed, "retried_by") > job_id);
    cJSON_Delete(failed);
}

/* ---- show ---- */

static void test_show(void **state)
{
    (void)state;
    int64_t job_id = enqueue("ep", "chapters");
    begin(job_id, "worker@h:1");
    postpone(job_id, "worker@h:1", "the first error", "0");
    begin(job_id, "worker@h:2");
    postpone(job_id, "worker@h:2", "the second error", "600000");
    struct process *text = fenceline_run(0, "jobs", "show", id_of(job_id));
    fenceline_assert_out(text, "episode     ep\n");
    fenceline_assert_out(text, "state       to be tried again\n");
    fenceline_assert_out(text, "attempts    2\n");
    fenceline_assert_out(text, "source      in/x.json\n");
    fenceline_assert_out(text, "attempts that met an error:");
    fenceline_assert_not_out(text, "finished");
    const char *first = strstr(text->out.bytes, "the first error");
    assert_true(first && strstr(first, "the second error"));
    cJSON *job = json_line(fenceline_run(0, "jobs", "show", "--json", id_of(job_id)), 0);
    assert_int_equal(number_in(job, "job_id"), job_id);
    assert_int_equal(number_in(job, "rank"), job_id);
    assert_int_equal(number_in(job, "attempts"), 2);
    assert_int_equal(number_in(job, "deaths"), 0);
    assert_true(is_null_in(job, "body_bytes") && is_null_in(job, "finished_at") &&
                is_null_in(job, "message"));
    assert_string_equal(text_in(job, "worker"), "worker@h:2");
    const cJSON *errors = cJSON_GetObjectItem(job, "errors");
    assert_int_equal(cJSON_GetArraySize(errors), 2);
    for (int i = 0; i < 2; i++) {
        const cJSON *error = cJSON_GetArrayItem(errors, i);
        assert_int_equal(number_in(error, "attempt"), i + 1);
        assert_string_equal(text_in(error, "worker"), i ? "worker@h:2" : "worker@h:1");
        assert_string_equal(text_in(error, "error"), i ? "the second error" : "the first error");
    }
    cJSON_Delete(job);
    int64_t body = fleet_enqueue_chapters("inline", "x", 2, "create");
    cJSON *inline_job = json_line(fenceline_run(0, "jobs", "show", "--json", id_of(body)), 0);
    assert_true(number_in(inline_job, "body_bytes") > 20);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(inline_job, "errors")), 0);
    cJSON_Delete(inline_job);
}

/* A job, what it retries, and what retries it, whichever of them is asked for. */
static void test_show_the_chain(void **state)
{
    (void)state;
    int64_t ids[3] = {decided("ep", "failed")};
    decided("ep", "failed"); /* not of this chain */
    for (int i = 1; i < 3; i++) {
        fenceline_run(0, "jobs", "retry", id_of(ids[i - 1]));
        ids[i] = db_int(fenceline.db, "SELECT retried_by FROM fenceline.jobs WHERE job_id = $1",
                        id_of(ids[i - 1]));
        if (i < 2)
            decide(ids[i], "invalid", "no " EVIL);
    }
    for (int i = 0; i < 3; i++) {
        cJSON *job = json_line(fenceline_run(0, "jobs", "show", "--json", id_of(ids[i])), 0);
        const cJSON *chain = cJSON_GetObjectItem(job, "chain");
        assert_int_equal(cJSON_GetArraySize(chain), 3);
        for (int k = 0; k < 3; k++)
            assert_int_equal(number_in(cJSON_GetArrayItem(chain, k), "job_id"), ids[k]);
        assert_string_equal(text_in(cJSON_GetArrayItem(chain, 1), "message"), "no " EVIL);
        cJSON_Delete(job);
        assert_harmless(fenceline_run(0, "jobs", "show", id_of(ids[i]))->out.bytes);
    }
    /* Rows of foreign hands that retry each other: an end is found. */
    db_exec(fenceline.db, "UPDATE fenceline.jobs SET retried_by = $1 WHERE job_id = $2", id_of(ids[0]),
            id_of(ids[2]));
    fenceline_run(0, "jobs", "show", id_of(ids[1]));
    db_exec(fenceline.db, "UPDATE fenceline.jobs SET retried_by = job_id WHERE job_id = $1", id_of(ids[1]));
    fenceline_run(0, "jobs", "show", id_of(ids[1]));
}

static void test_no_such_job(void **state)
{
    (void)state;
    static const char *const GARBAGE[] = {"x",        "7x",  "",    "1.5",
                                          "0x1",      "1e3", " 1",  "99999999999999999999",
                                          "１",       "+1",  "1,2", "9223372036854775807",
                                          "\033[31m1"};
    struct process *unknown = fenceline_run(1, "jobs", "show", "999999");
    assert_string_equal(unknown->err.bytes, "fenceline: there is no job 999999\n");
    fenceline_run(1, "jobs", "show", "0");
    fenceline_run(1, "jobs", "show", "--json", "999999999999999999"); /* more than there can be */
    static const char *const COMMANDS[] = {"show", "retry", "cancel"};
    for (size_t i = 0; i < COUNT(GARBAGE); i++)
        for (size_t k = 0; k < COUNT(COMMANDS); k++) {
            struct process *garbage = fenceline_run(2, "jobs", COMMANDS[k], GARBAGE[i]);
            fenceline_assert_err(garbage, "is no job: a job is a number");
            assert_harmless(garbage->err.bytes);
            process_release(garbage);
        }
    fenceline_run(2, "jobs", "show", "-1");
    /* One that is none among others: nothing is done. */
    int64_t job_id = enqueue("ep", "chapters");
    fenceline_run(2, "jobs", "cancel", id_of(job_id), "x");
    assert_job(job_id, "outcome", "null");
}

/* ---- retry ---- */

/* An older job that was given up must not overwrite what a newer one has imported since. */
static void test_retry_keeps_the_rank(void **state)
{
    (void)state;
    int64_t old = fleet_enqueue_chapters("ep", "old", 3, "replace");
    decide(old, "failed", "by hand");
    int64_t new = fleet_enqueue_chapters("ep", "new", 4, "replace");
    struct process *worker = fleet_start_worker();
    fleet_await_outcome(new, "imported");
    struct process *retry = fenceline_run(0, "jobs", "retry", id_of(old));
    int64_t again =
        db_int(fenceline.db, "SELECT retried_by FROM fenceline.jobs WHERE job_id = $1", id_of(old));
    char expected[NAME_BYTES];
    snprintf(expected, sizeof expected, "job %" PRId64 " retried as job %" PRId64 "\n", old, again);
    assert_string_equal(retry->out.bytes, expected);
    fleet_await_outcome(again, "superseded");
    assert_job(again, "rank", id_of(old));
    assert_job(old, "outcome", "failed");
    fenceline_assert_chapters("ep", "new", 4);

    fenceline_assert_err(fenceline_run(3, "jobs", "retry", id_of(again)),
                         "it is superseded: there is nothing to retry");
    fleet_assert_clean();
    fleet_stop_worker(worker);
}

static void test_retry_as_new(void **state)
{
    (void)state;
    int64_t old = fleet_enqueue_chapters("ep", "old", 3, "replace");
    decide(old, "cancelled", "by hand");
    int64_t new = fleet_enqueue_chapters("ep", "new", 4, "replace");
    struct process *worker = fleet_start_worker();
    fleet_await_outcome(new, "imported");
    cJSON *retry = json_line(fenceline_run(0, "jobs", "retry", "--json", "--as-new", id_of(old)), 0);
    assert_int_equal(number_in(retry, "job_id"), old);
    assert_true(is_null_in(retry, "problem"));
    int64_t again = number_in(retry, "new_job_id");
    cJSON_Delete(retry);
    fleet_await_outcome(again, "imported");
    assert_job(again, "rank", "null");
    fenceline_assert_chapters("ep", "old", 3);
    fleet_assert_clean();
    fleet_stop_worker(worker);
}

/* A retry has the whole of the old job, and may be retried itself: with the rank of the first. */
static void test_retry_of_a_retry(void **state)
{
    (void)state;
    int64_t first =
        db_int(fenceline.db,
               "SELECT fenceline.enqueue('ep', 'transcript', 'in/x.srt', mode => 'if-version',"
               " if_version => 4, priority => 'low', format => 'srt', strict => true, repair => true)");
    decide(first, "invalid", "by hand");
    fenceline_run(0, "jobs", "retry", id_of(first));
    int64_t second =
        db_int(fenceline.db, "SELECT retried_by FROM fenceline.jobs WHERE job_id = $1", id_of(first));
    assert_job(second,
               "concat_ws(' ', episode_id, kind, source, mode, if_version, priority, format, strict, repair)",
               "ep transcript in/x.srt if-version 4 1 srt t t");
    assert_job(second, "concat_ws(' ', queued, attempts, deaths, outcome, worker, last_error)", "t 0 0");
    decide(second, "failed", "again");
    fenceline_run(0, "jobs", "retry", id_of(second));
    int64_t third =
        db_int(fenceline.db, "SELECT retried_by FROM fenceline.jobs WHERE job_id = $1", id_of(second));
    assert_job(third, "rank", id_of(first));
}

static void test_retry_refusals(void **state)
{
    (void)state;
    int64_t open = enqueue("open", "chapters"), imported = decided("imported", "imported");
    int64_t unchanged = decided("unchanged", "unchanged"), failed = decided("failed", "failed");
    fenceline_assert_err(fenceline_run(3, "jobs", "retry", id_of(open)), "not retried: it is still open");
    fenceline_assert_err(fenceline_run(3, "jobs", "retry", id_of(imported)),
                         "not retried: it is imported: there is nothing to retry");
    fenceline_run(3, "jobs", "retry", id_of(unchanged));
    fenceline_assert_err(fenceline_run(1, "jobs", "retry", "999999"),
                         "job 999999 not retried: there is no such job");

    /* Twice, and the same one twice at once. */
    fenceline_run(0, "jobs", "retry", id_of(failed));
    int64_t again =
        db_int(fenceline.db, "SELECT retried_by FROM fenceline.jobs WHERE job_id = $1", id_of(failed));
    char expected[NAME_BYTES];
    snprintf(expected, sizeof expected, "job %" PRId64 " retries it already", again);
    fenceline_assert_err(fenceline_run(3, "jobs", "retry", id_of(failed)), expected);
    int64_t other = decided("other", "invalid");
    struct process *twice = fenceline_run(3, "jobs", "retry", id_of(other), id_of(other));
    assert_int_equal(files_count_lines(twice->out.bytes), 1);
    assert_int_equal(files_count_lines(twice->err.bytes), 1);

    /* The good one among bad ones is done; the worst tells the exit code. */
    int64_t good = decided("good", "failed");
    struct process *mixed = fenceline_run(1, "jobs", "retry", "--json", id_of(open), id_of(good), "999999");
    assert_int_equal(files_count_lines(mixed->out.bytes), 3);
    cJSON *line = json_line(mixed, 0);
    assert_string_equal(text_in(line, "problem"), "it is still open");
    assert_true(is_null_in(line, "new_job_id"));
    cJSON_Delete(line);
    assert_job(good, "retried_by IS NOT NULL", "true");

    /* An import in its own process left nothing that a worker could read. */
    free(files_write_text(fenceline.folder, "bad.chapters.json", "{"));
    fenceline_run(4, "import", "bad.chapters.json");
    int64_t import = db_int(fenceline.db, "SELECT max(job_id) FROM fenceline.jobs");
    struct process *import_retry = fenceline_run(3, "jobs", "retry", id_of(import));
    fenceline_assert_err(import_retry, "it was an import of ");
    fenceline_assert_err(import_retry, "bad.chapters.json in its own process: import it again");
    assert_int_equal(db_int(fenceline.db, "SELECT count(*) FROM fenceline.jobs WHERE rank IS NOT NULL"), 3);
    fenceline_assert_err(fenceline_run(2, "jobs", "retry", id_of(good), "--outcome", "failed"),
                         "give jobs or filters, not both");
}

static void test_retry_by_filter(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        decided("failed", "failed");
    decided("invalid", "invalid");
    decided("cancelled", "cancelled");
    int64_t imported = decided("imported", "imported");
    struct process *all = fenceline_run(0, "jobs", "retry", "--yes");
    assert_string_equal(all->out.bytes, "3 jobs retried\n");
    assert_int_equal(fenceline_count_jobs("open"), 3);
    assert_string_equal(fenceline_run(0, "jobs", "retry", "--yes")->out.bytes, "0 jobs retried\n");
    assert_string_equal(fenceline_run(0, "jobs", "retry")->out.bytes,
                        "0 jobs retried\n"); /* nothing to confirm */
    assert_string_equal(
        fenceline_run(0, "jobs", "retry", "--outcome", "invalid", "--episode", "other", "--yes")->out.bytes,
        "0 jobs retried\n");
    assert_string_equal(
        fenceline_run(0, "jobs", "retry", "--outcome", "invalid", "--error", "INVALID", "-y")->out.bytes,
        "1 job retried\n");
    assert_string_equal(fenceline_run(0, "jobs", "retry", "--outcome", "cancelled", "-yq")->out.bytes, "");
    assert_int_equal(fenceline_count_jobs("open"), 5);
    assert_job(imported, "retried_by", "null");
    fenceline_assert_err(fenceline_run(2, "jobs", "retry", "--outcome", "imported", "--yes"), "retr");
    fenceline_assert_err(fenceline_run(2, "jobs", "retry", "--outcome", "open", "--yes"), "retr");
}

/* Where retries fail as fast as they are made, each job that was there gets one, and the command ends. */
static void test_retry_by_filter_ends(void **state)
{
    (void)state;
    db_exec(fenceline.db, "INSERT INTO fenceline.episodes (episode_id) VALUES ('ep')");
    db_exec(fenceline.db, "INSERT INTO fenceline.jobs (episode_id, kind, source, outcome, finished_at)"
                          " SELECT 'ep', 'chapters', 'x', 'failed', now() FROM generate_series(1, 501)");
    db_exec(fenceline.db, "CREATE FUNCTION fail_at_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                          "    NEW.outcome := 'failed'; NEW.finished_at := now(); RETURN NEW; END $$;"
                          "CREATE TRIGGER fail_at_once BEFORE INSERT ON fenceline.jobs FOR EACH ROW"
                          "   WHEN (NEW.rank IS NOT NULL) EXECUTE FUNCTION fail_at_once()");
    struct process *retry = fenceline_finish_within(fenceline_launch("jobs", "retry", "--yes"), 0, 20000);
    assert_string_equal(retry->out.bytes, "501 jobs retried\n");
    assert_int_equal(fenceline_count("jobs"), 1002);
}

/* ---- cancel ---- */

static void test_cancel(void **state)
{
    (void)state;
    int64_t open = enqueue("open", "chapters"), plain = enqueue("plain", "chapters");
    int64_t imported = decided("imported", "imported");
    struct process *cancel = fenceline_run(0, "jobs", "cancel", id_of(open), "--reason", "wrong file");
    char expected[NAME_BYTES];
    snprintf(expected, sizeof expected, "job %" PRId64 " cancelled\n", open);
    assert_string_equal(cancel->out.bytes, expected);
    assert_job(open, "outcome", "cancelled");
    assert_job(open, "message", "open: cancelled: wrong file");
    fenceline_assert_err(fenceline_run(3, "jobs", "cancel", id_of(open)),
                         "not cancelled: it is decided already: cancelled");
    fenceline_assert_err(fenceline_run(3, "jobs", "cancel", id_of(imported)),
                         "it is decided already: imported");
    fenceline_assert_err(fenceline_run(1, "jobs", "cancel", "999999"), "not cancelled: there is no such job");
    struct process *mixed = fenceline_run(1, "jobs", "cancel", "999999", id_of(imported), id_of(plain));
    assert_int_equal(files_count_lines(mixed->err.bytes), 2);
    assert_job(plain, "message", "plain: cancelled");
    fenceline_run(2, "jobs", "cancel");
    fenceline_assert_err(fenceline_run(2, "jobs", "cancel", "--outcome", "imported"),
                         "only open jobs can be cancelled, not those that are imported");
    fenceline_run(2, "jobs", "cancel", id_of(open), "--episode", "open");
}

static void test_cancel_by_filter(void **state)
{
    (void)state;
    int64_t decided_one = decided("many", "failed");
    int64_t other = enqueue("other", "chapters");
    db_exec(fenceline.db,
            "INSERT INTO fenceline.episodes (episode_id) VALUES ('many') ON CONFLICT DO NOTHING");
    db_exec(fenceline.db,
            "INSERT INTO fenceline.jobs (episode_id, kind, source)"
            " SELECT 'many', 'chapters', 'x' FROM generate_series(1, $1::integer)",
            id_of(2 * PIECE + 1));
    struct process *refused = fenceline_run(2, "jobs", "cancel", "--episode", "many");
    fenceline_assert_err(refused, "this would cancel 1001 jobs; confirm it with --yes");
    assert_int_equal(fenceline_count_jobs("cancelled"), 0);
    struct process *cancel =
        fenceline_run(0, "jobs", "cancel", "--episode", "many", "--yes", "--reason", "no");
    assert_string_equal(cancel->out.bytes, "1001 jobs cancelled\n");
    assert_int_equal(fenceline_count_jobs("cancelled"), 2 * PIECE + 1);
    assert_job(other, "outcome", "null");
    assert_job(decided_one, "outcome", "failed");
    assert_string_equal(fenceline_run(0, "jobs", "cancel", "--outcome", "open", "--yes")->out.bytes,
                        "1 job cancelled\n");
    assert_int_equal(fenceline_count_jobs("open"), 0);
}

/* The worker has claimed the episode and is about to commit. */
static void test_cancel_of_a_running_job(void **state)
{
    (void)state;
    struct process *worker = fleet_start_worker_with(WORDS("FENCELINE_FAIL_POINT=after-claim:stop"));
    int64_t job_id = fleet_enqueue_chapters("ep", "x", 3, "replace");
    fenceline_await_stop(worker);
    assert_int_equal(fenceline_count_leases(), 1);
    cJSON *running = json_line(LIST("-q"), 0);
    assert_string_equal(text_in(running, "state"), "running");
    cJSON_Delete(running);
    fenceline_run(0, "jobs", "cancel", id_of(job_id), "--reason", "not this one");
    assert_job(job_id, "outcome", "cancelled");
    process_signal(worker, SIGCONT);
    process_wait_for_output(worker, "cancelled", FLEET_WAIT_MS);
    fleet_assert_clean();
    assert_job(job_id, "message", "ep: cancelled: not this one");
    assert_int_equal(fenceline_count("chapters"), 0);
    assert_int_equal(fenceline_count("documents"), 0);

    /* And the worker goes on. */
    int64_t next = fleet_enqueue_chapters("ep", "y", 2, "create");
    fleet_await_outcome(next, "imported");
    fenceline_assert_chapters("ep", "y", 2);
    fleet_assert_clean();
    fleet_stop_worker(worker);
}

/* One that waits for a lease has no slot, but it is in a worker's hands too. */
static void test_cancel_of_a_parked_job(void **state)
{
    (void)state;
    fenceline_set_lease("ep", "somebody@else", 60000);
    struct process *worker = fleet_start_worker_with(WORDS("FENCELINE_LEASE_LOOK_MS=60000"));
    int64_t job_id = fleet_enqueue_chapters("ep", "x", 3, "replace");
    fleet_await(1, "SELECT count(*) FROM fenceline.jobs WHERE started_at IS NOT NULL");
    process_sleep_ms(IDLE_MS / 2);
    fenceline_run(0, "jobs", "cancel", id_of(job_id));
    for (int i = 0; fleet_entries() > 0 && i < 250; i++) /* long before it would look again */
        process_sleep_ms(20);
    assert_int_equal(fleet_entries(), 0);
    fenceline_drop_lease("ep");
    fleet_assert_clean();
    fenceline_assert_nothing("ep", NULL);
    fleet_stop_worker(worker);
}

/* ---- purge ---- */

static void test_purge(void **state)
{
    (void)state;
    int64_t old = decided("old", "imported"), failed = decided("failed", "failed");
    int64_t young = decided("young", "imported"), open = enqueue("open", "chapters");
    postpone(open, "w", "an error", "0");
    make_older(old, "10");
    make_older(failed, "9");
    make_older(open, "100");
    fenceline_assert_err(fenceline_run(2, "jobs", "purge", "--yes"), "jobs purge needs --older-than");
    fenceline_assert_err(
        fenceline_run(2, "jobs", "purge", "--older-than", "1d", "--outcome", "open", "--yes"),
        "open jobs are never purged; cancel them first");
    fenceline_assert_err(fenceline_run(2, "jobs", "purge", "--older-than", "1d"),
                         "this would purge 2 jobs; confirm it with --yes");
    assert_int_equal(fenceline_count("jobs"), 4);
    assert_string_equal(fenceline_run(0, "jobs", "purge", "--older-than", "11d")->out.bytes,
                        "0 jobs purged\n");
    assert_string_equal(
        fenceline_run(0, "jobs", "purge", "--older-than", "1d", "--outcome", "failed", "-y")->out.bytes,
        "1 job purged\n");
    assert_string_equal(fenceline_run(0, "jobs", "purge", "--older-than", "1d", "-y", "--json")->out.bytes,
                        "{\"purged\":1}\n");
    assert_listed("open young", "-q");
    fenceline_run(0, "jobs", "purge", "--older-than", "0s", "-y");
    assert_listed("open", "-q");
    assert_int_equal(fenceline_count("job_attempts"), 1);
    fenceline_run(0, "jobs", "cancel", id_of(open));
    fenceline_run(0, "jobs", "purge", "--older-than", "0s", "-y");
    assert_int_equal(fenceline_count("jobs"), 0);
    assert_int_equal(fenceline_count("job_attempts"), 0); /* they go with their job */
    (void)young;
}

static void test_purge_of_many(void **state)
{
    (void)state;
    db_exec(fenceline.db, "INSERT INTO fenceline.episodes (episode_id) VALUES ('ep')");
    db_exec(fenceline.db, "INSERT INTO fenceline.jobs (episode_id, kind, source, outcome, finished_at)"
                          " SELECT 'ep', 'chapters', 'x', 'imported', now() - interval '2 days' FROM "
                          "generate_series(1, 20001)");
    assert_string_equal(fenceline_run(0, "jobs", "purge", "--older-than", "1d", "--yes")->out.bytes,
                        "20001 jobs purged\n");
    assert_int_equal(fenceline_count("jobs"), 0);
}

/* Fences live in episodes and ranks in documents: without its row, the newer job still counts. */
static void test_purge_keeps_both_guarantees(void **state)
{
    (void)state;
    int64_t old = fleet_enqueue_chapters("ep", "old", 3, "replace");
    decide(old, "failed", "by hand");
    int64_t new = fleet_enqueue_chapters("ep", "new", 4, "replace");
    struct process *worker = fleet_start_worker();
    fleet_await_outcome(new, "imported");
    int64_t fence = db_int(fenceline.db, "SELECT fence FROM fenceline.episodes WHERE episode_id = 'ep'");
    assert_true(fence > 0);
    fenceline_run(0, "jobs", "purge", "--older-than", "0s", "--outcome", "imported", "--yes");
    assert_int_equal(fenceline_count("jobs"), 1);
    assert_int_equal(db_int(fenceline.db, "SELECT fence FROM fenceline.episodes WHERE episode_id = 'ep'"),
                     fence);
    assert_int_equal(db_int(fenceline.db, "SELECT rank FROM fenceline.documents WHERE episode_id = 'ep'"),
                     new);
    fenceline_assert_chapters("ep", "new", 4);
    fenceline_run(0, "jobs", "retry", id_of(old));
    int64_t again =
        db_int(fenceline.db, "SELECT retried_by FROM fenceline.jobs WHERE job_id = $1", id_of(old));
    fleet_await_outcome(again, "superseded");
    fenceline_assert_chapters("ep", "new", 4);
    int64_t newest = fleet_enqueue_chapters("ep", "newest", 2, "replace");
    fleet_await_outcome(newest, "imported");
    assert_true(db_int(fenceline.db, "SELECT version FROM fenceline.episodes WHERE episode_id = 'ep'") >
                fence);
    fleet_stop_worker(worker);
}

/* ---- confirmation ---- */

static void test_confirmation(void **state)
{
    (void)state;
    decided("a", "failed");
    decided("b", "failed");
    fenceline_assert_err(fenceline_run(2, "jobs", "retry"), "this would retry 2 jobs; confirm it with --yes");
    fenceline_assert_err(fenceline_run(2, "jobs", "retry", "--episode", "a"), "this would retry 1 job;");
    struct process *no = on_terminal(WORDS("jobs", "retry"), "n\n", 0);
    fenceline_assert_out(no, "Retry 2 jobs? [y/N] ");
    fenceline_assert_out(no, "nothing was done");
    static const char *const NO[] = {"\n", "\x04", "yellow\n", "yesterday and so on and so on\n", "Y no\n"};
    for (size_t i = 0; i < COUNT(NO); i++)
        process_release(on_terminal(WORDS("jobs", "retry"), NO[i], 0));
    assert_int_equal(fenceline_count_jobs("open"), 0);
    struct process *yes = on_terminal(WORDS("jobs", "retry", "--episode", "a"), "y\n", 0);
    fenceline_assert_out(yes, "Retry 1 job? [y/N] ");
    fenceline_assert_out(yes, "1 job retried");
    assert_int_equal(fenceline_count_jobs("open"), 1);
    struct process *purge = on_terminal(WORDS("jobs", "purge", "--older-than", "0s"), "yes\n", 0);
    fenceline_assert_out(purge, "Purge 2 jobs? [y/N] ");
    fenceline_assert_out(purge, "2 jobs purged");
    struct process *cancel = on_terminal(WORDS("jobs", "cancel", "--kind", "chapters"), "n\n", 0);
    fenceline_assert_out(cancel, "Cancel 1 job? [y/N] ");
    assert_int_equal(fenceline_count_jobs("open"), 1);
}

/* ---- pause ---- */

static void await_worker_state(const char *expected)
{
    char last[NAME_BYTES] = "";
    for (int i = 0; i < 200; i++) {
        struct process *list = fenceline_run(0, "worker", "list", "--json");
        if (list->out.size_bytes) {
            cJSON *worker = json_line(list, 0);
            snprintf(last, sizeof last, "%s", text_in(worker, "state"));
            cJSON_Delete(worker);
        }
        process_release(list);
        if (strcmp(last, expected) == 0)
            return;
        process_sleep_ms(20);
    }
    fail_msg("the worker is %s, not %s", last, expected);
}

/* Nothing is begun for a while. */
static void assert_idle(int64_t job_id)
{
    process_sleep_ms(IDLE_MS);
    assert_job(job_id, "concat_ws(' ', outcome, started_at, attempts)", "0");
}

static void test_pause(void **state)
{
    (void)state;
    struct process *worker = fleet_start_worker();
    await_worker_state("running");
    struct process *pause = fenceline_run(0, "jobs", "pause", "--reason", "an upgrade");
    fenceline_assert_out(pause, "workers paused");
    process_wait_for_output(worker, " paused", FLEET_WAIT_MS);
    await_worker_state("paused");
    char *row = db_text(fenceline.db,
                        "SELECT concat_ws(' ', paused, reason, paused_by LIKE '%@%', paused_at <= now())"
                        " FROM fenceline.queue_control");
    assert_string_equal(row, "t an upgrade t t");
    free(row);
    int64_t job_id = fleet_enqueue_chapters("ep", "x", 3, "create");
    assert_idle(job_id);
    assert_string_equal(fenceline_run(0, "jobs", "pause")->out.bytes, "workers were paused already\n");
    fenceline_assert_out(fenceline_run(0, "jobs", "resume"), "workers resumed");
    fleet_await_outcome(job_id, "imported");
    await_worker_state("running");
    assert_string_equal(fenceline_run(0, "jobs", "resume")->out.bytes, "workers were not paused\n");
    char *after = db_text(fenceline.db, "SELECT concat_ws(' ', paused, reason, paused_by, paused_at)"
                                        " FROM fenceline.queue_control");
    assert_string_equal(after, "f");
    free(after);
    fenceline_assert_chapters("ep", "x", 3);
    fleet_stop_worker(worker);
}

static void test_pause_by_worker(void **state)
{
    (void)state;
    struct process *pause = fenceline_run(0, "worker", "--pause", "--reason", "x", "--json");
    assert_string_equal(pause->out.bytes, "{\"paused\":true,\"was_paused\":false}\n");
    int64_t job_id = fleet_enqueue_chapters("ep", "x", 3, "create");
    struct process *worker = fleet_start_worker(); /* it starts into the pause */
    await_worker_state("paused");
    assert_idle(job_id);
    assert_string_equal(fenceline_run(0, "worker", "--resume", "--json")->out.bytes,
                        "{\"paused\":false,\"was_paused\":true}\n");
    fleet_await_outcome(job_id, "imported");
    fenceline_run(0, "worker", "--pause");
    process_wait_for_outputs(worker, " paused", 2, FLEET_WAIT_MS);
    fleet_stop_worker(worker); /* a paused worker ends as well */
    assert_int_equal(fenceline_run(0, "worker", "--resume", "--quiet")->out.size_bytes, 0);
}

/* ---- hostile text ---- */

/* Rows as any program with access to the table could write them. */
static int64_t insert_evil_job(const char *outcome)
{
    db_exec(fenceline.db, "INSERT INTO fenceline.episodes (episode_id) VALUES ($1) ON CONFLICT DO NOTHING",
            EVIL);
    int64_t job_id =
        db_int(fenceline.db,
               "INSERT INTO fenceline.jobs (episode_id, kind, source, worker, last_error, message, outcome, "
               "finished_at)"
               " VALUES ($1::text, 'chapters', $1::text, $1::text, $1::text, $1::text, $2::text,"
               "         CASE WHEN $2::text IS NOT NULL THEN now() END)"
               " RETURNING job_id",
               EVIL, outcome);
    db_exec(fenceline.db,
            "INSERT INTO fenceline.job_attempts (job_id, attempt, worker, error) VALUES ($1, 1, $2, $2)",
            id_of(job_id), EVIL);
    return job_id;
}

static void test_hostile_text(void **state)
{
    (void)state;
    int64_t failed = insert_evil_job("failed"), open = insert_evil_job(NULL);
    const char *const *const COMMANDS[] = {
        WORDS("jobs", "list"),
        WORDS("jobs", "list", "--error", EVIL),
        WORDS("jobs", "list", "--worker", EVIL),
        WORDS("jobs", "show", id_of(failed)),
    };
    for (size_t i = 0; i < COUNT(COMMANDS); i++) {
        struct process *text = fenceline_run_spec(0, .argv = COMMANDS[i]);
        assert_harmless(text->out.bytes);
        assert_harmless(text->err.bytes);
        fenceline_assert_out(text, "\\x1B[31m");
    }
    assert_int_equal(files_count_lines(fenceline_run(0, "jobs", "list")->out.bytes), 3);
    /* JSON may hold the mark that turns the direction; a terminal is not where it goes. */
    struct process *list = fenceline_run(0, "jobs", "list", "--json");
    assert_null(strchr(list->out.bytes, '\033'));
    assert_null(strstr(list->out.bytes, "\xc2\x9b"));
    static const char *const MEMBERS[] = {"episode", "worker", "message", "last_error", "source"};
    for (size_t i = 0; i < COUNT(MEMBERS); i++) {
        cJSON *object = json_line(list, 0);
        assert_string_equal(text_in(object, MEMBERS[i]), EVIL);
        cJSON_Delete(object);
    }
    cJSON *shown = json_line(fenceline_run(0, "jobs", "show", "--json", id_of(failed)), 0);
    const cJSON *error = cJSON_GetArrayItem(cJSON_GetObjectItem(shown, "errors"), 0);
    assert_string_equal(text_in(error, "error"), EVIL);
    assert_string_equal(text_in(error, "worker"), EVIL);
    cJSON_Delete(shown);

    /* Reasons, and refusals that repeat what is stored. */
    struct process *cancel = fenceline_run(0, "jobs", "cancel", id_of(open), "--reason", EVIL);
    assert_harmless(cancel->out.bytes);
    struct process *refused = fenceline_run(3, "jobs", "cancel", id_of(open));
    assert_harmless(refused->err.bytes);
    struct process *history = fenceline_run(0, "jobs", "list", "--outcome", "cancelled");
    assert_harmless(history->out.bytes);
    db_exec(fenceline.db, "UPDATE fenceline.jobs SET queued = false WHERE job_id = $1", id_of(failed));
    struct process *import = fenceline_run(3, "jobs", "retry", id_of(failed));
    fenceline_assert_err(import, "it was an import of ");
    assert_harmless(import->err.bytes);
    struct process *json = fenceline_run(3, "jobs", "retry", "--json", id_of(failed));
    assert_null(strchr(json->out.bytes, '\033'));
    cJSON_Delete(json_line(json, 0));
    struct process *pause = fenceline_run(0, "jobs", "pause", "--reason", EVIL);
    assert_harmless(pause->out.bytes);
}

/* Text that is not UTF-8 cannot be in the database: it is refused, or meets nothing. */
static void test_text_that_is_no_utf8(void **state)
{
    (void)state;
    int64_t job_id = enqueue("ep", "chapters");
    static const char BAD[] = "\xff\xfe\033[31m";
    const char *const *const COMMANDS[] = {
        WORDS("jobs", "list", "--error", BAD),
        WORDS("jobs", "list", "--worker", BAD),
        WORDS("jobs", "list", "--episode", BAD),
        WORDS("jobs", "cancel", "--error", BAD, "--yes"),
        WORDS("jobs", "cancel", "--reason", BAD, id_of(job_id)),
        WORDS("jobs", "pause", "--reason", BAD),
        WORDS("worker", "--pause", "--reason", BAD),
    };
    for (size_t i = 0; i < COUNT(COMMANDS); i++) {
        struct process *process = fenceline_start(&(struct process_spec){.argv = COMMANDS[i]});
        int code = process_wait(process, FENCELINE_RUN_MS);
        if (code != 2)
            fail_msg("%s %s %s: exit code %d: %s", COMMANDS[i][0], COMMANDS[i][1], COMMANDS[i][2], code,
                     process->err.bytes);
        assert_harmless(process->err.bytes);
        assert_int_equal(files_count_lines(process->err.bytes), 1);
        process_release(process);
    }
    assert_job(job_id, "outcome", "null");
}

/* A worker tells about jobs on stderr. */
static void test_hostile_text_on_a_worker(void **state)
{
    (void)state;
    struct process *worker = fleet_start_worker();
    int64_t job_id = insert_evil_job(NULL);
    db_exec(fenceline.db, "UPDATE fenceline.jobs SET body = '{' WHERE job_id = $1", id_of(job_id));
    db_exec(fenceline.db, "NOTIFY fenceline_queue, 'work'");
    fleet_await(0, "SELECT count(*) FROM fenceline.jobs WHERE outcome IS NULL");
    assert_job(job_id, "outcome", "invalid");
    fleet_stop_worker(worker);
    fenceline_assert_err(worker, "invalid");
    assert_harmless(worker->err.bytes);
    fleet_assert_clean();
}

/* ---- worker list ---- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void register_worker(const char *id, const char *info, int64_t age_ms)
{
    rdb_exec(fenceline.redis, "ZADD fenceline:{queue}:workers %s %s", id_of(now_ms() - age_ms), id);
    if (info)
        rdb_exec(fenceline.redis, "HSET fenceline:{queue}:info %s %s", id, info);
}

static void test_worker_list(void **state)
{
    (void)state;
    struct process *none = fenceline_run(0, "worker", "list");
    assert_string_equal(none->err.bytes, "fenceline: no workers\n");
    assert_int_equal(none->out.size_bytes, 0);
    struct process *none_json = fenceline_run(0, "worker", "list", "--json");
    assert_int_equal(none_json->out.size_bytes + none_json->err.size_bytes, 0);

    struct process *worker = fleet_start_worker();
    await_worker_state("running");
    struct process *list = fenceline_run(0, "worker", "list", "--json");
    assert_int_equal(files_count_lines(list->out.bytes), 1);
    cJSON *shown = json_line(list, 0);
    assert_int_equal(number_in(shown, "pid"), worker->pid);
    assert_int_equal(number_in(shown, "slots"), 4);
    assert_int_equal(number_in(shown, "running"), 0);
    assert_int_equal(number_in(shown, "parked"), 0);
    assert_true(number_in(shown, "heartbeat_age_ms") < 5000);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(shown, "jobs")), 0);
    assert_int_equal(strlen(text_in(shown, "started")), strlen("2026-02-01T10:00:00Z"));
    char in_id[NAME_BYTES];
    snprintf(in_id, sizeof in_id, "%s:%d:", text_in(shown, "host"), (int)worker->pid);
    assert_non_null(strstr(text_in(shown, "worker"), in_id));
    struct process *table = fenceline_run(0, "worker", "list");
    fenceline_assert_out(table, text_in(shown, "worker"));
    fenceline_assert_out(table, "heartbeat");
    cJSON_Delete(shown);

    /* With a job that waits for somebody else's lease. */
    fenceline_set_lease("ep", "somebody@else", 60000);
    int64_t job_id = fleet_enqueue_chapters("ep", "x", 3, "create");
    int64_t parked = 0;
    for (int i = 0; parked == 0 && i < 250; i++) {
        process_sleep_ms(20);
        cJSON *object = json_line(fenceline_run(0, "worker", "list", "--json"), 0);
        parked = number_in(object, "parked");
        if (parked)
            assert_int_equal(cJSON_GetArrayItem(cJSON_GetObjectItem(object, "jobs"), 0)->valuedouble, job_id);
        cJSON_Delete(object);
    }
    assert_int_equal(parked, 1);
    fenceline_drop_lease("ep");
    fleet_stop_worker(worker);
    fenceline_run(0, "jobs", "cancel", "--episode", "ep", "--yes");
    assert_string_equal(fenceline_run(0, "worker", "list")->err.bytes, "fenceline: no workers\n");
}

static void test_dead_workers(void **state)
{
    (void)state;
    const char *const env[] = {"FENCELINE_WORKER_HEARTBEAT_MS=10000", "FENCELINE_WORKER_DEAD_MS=60000", NULL};
    fenceline.env = env;
    register_worker("b:1:aaaaaa", "{\"state\":\"running\"}", 70000);
    register_worker("a:1:aaaaaa", "{\"state\":\"running\"}", 2000);
    register_worker("c:1:aaaaaa", NULL, 100000);
    struct process *list = fenceline_run(0, "worker", "list", "--json");
    assert_string_equal(column(list, "worker"), "a:1:aaaaaa b:1:aaaaaa c:1:aaaaaa");
    assert_string_equal(column(list, "state"), "running dead dead");
    struct process *table = fenceline_run(0, "worker", "list");
    fenceline_assert_out(table, "dead");
    assert_int_equal(files_count_lines(table->out.bytes), 4);

    /* One that was killed, by the usual limits of the fleet. */
    fenceline.env = NULL;
    rdb_exec(fenceline.redis, "FLUSHALL");
    struct process *worker = fleet_start_worker();
    fleet_kill_worker(worker);
    process_sleep_ms(FLEET_DEAD_MS + 200);
    struct process *killed = fenceline_run_spec(
        0, .argv = WORDS("worker", "list", "--json"),
        .env = WORDS("FENCELINE_WORKER_DEAD_MS=1000", "FENCELINE_WORKER_HEARTBEAT_MS=200"));
    assert_string_equal(column(killed, "state"), "dead");
}

/* What stands in Redis was written by anybody. */
static void test_garbage_in_the_registry(void **state)
{
    (void)state;
    static const char *const INFOS[] = {
        "",
        "not JSON",
        "{",
        "null",
        "[]",
        "7",
        "\"text\"",
        "{}",
        "{\"pid\":1e400,\"slots\":123456789012345678901234567890,\"running\":-5,\"parked\":1.5,\"state\":7}",
        "{\"pid\":9223372036854775808,\"slots\":1e1,\"running\":null,\"parked\":\"4\",\"host\":[],\"jobs\":"
        "\"x\"}",
        "{\"jobs\":[1e400,123456789012345678901234567890,{\"a\":[\"\\u001b[31m\\u009b\\n\"]},null]}",
        "{\"host\":\"\\u001b[31m\\u009b\\r\\n\\u202e\",\"version\":\"\\\"quoted\\\"\",\"state\":"
        "\"\\u0007\\t\"}",
        "{\"host\":\"\033[31m\"}",
        "\033[31m",
        "{\"host\":\"\xff\xfe\",\"state\":\"running\"}",
        "\xff\xfe",
        "\xef\xbb\xbf{}",
        "{\"host\":\"a\",\"host\":\"b\",\"state\":\"\\ud800\"}",
        "{\"host\":\"\\u0000\"}",
    };
    char id[NAME_BYTES];
    for (size_t i = 0; i < COUNT(INFOS); i++) {
        snprintf(id, sizeof id, "h:1:%06zu", i);
        register_worker(id, INFOS[i], 0);
    }
    register_worker("\033[31m\xc2\x9b \"evil\" \\\n:1:x", "{\"state\":\"running\"}", 0);
    register_worker("\xff\xfe:1:x", "{\"state\":\"running\"}", 0);
    register_worker("", "{\"state\":\"running\"}", 0);
    rdb_exec(fenceline.redis, "ZADD fenceline:{queue}:workers %s %b", "5", "nul\0nul", (size_t)7);
    rdb_exec(fenceline.redis, "HSET fenceline:{queue}:info %s %s", "nobody",
             "{}"); /* no heartbeat: no worker */
    static const char *const SCORES[] = {
        "inf", "-inf", "1e308", "-1e308", "-9223372036854775808", "9223372036854775807", "0.5", "-1"};
    for (size_t i = 0; i < COUNT(SCORES); i++) {
        snprintf(id, sizeof id, "score:%zu", i);
        rdb_exec(fenceline.redis, "ZADD fenceline:{queue}:workers %s %s", SCORES[i], id);
    }
    size_t count = COUNT(INFOS) + 4 + COUNT(SCORES);
    struct process *table = fenceline_run(0, "worker", "list");
    assert_harmless(table->out.bytes);
    assert_int_equal(files_count_lines(table->out.bytes), count + 1);
    assert_int_equal(table->err.size_bytes, 0);
    struct process *json = fenceline_run(0, "worker", "list", "--json");
    assert_int_equal(files_count_lines(json->out.bytes), count);
    assert_null(strchr(json->out.bytes, '\033'));
    assert_null(strstr(json->out.bytes, "\xc2\x9b"));
    assert_null(strstr(json->out.bytes, "\xff"));
    for (size_t i = 0; i < count; i++) {
        cJSON *object = json_line(json, i);
        assert_int_equal(cJSON_GetArraySize(object), 11);
        (void)number_in(object, "heartbeat_age_ms");
        cJSON_Delete(object);
    }
    fenceline_run_spec(0, .argv = WORDS("worker", "list"), .terminal_streams = PROCESS_OUT | PROCESS_ERR,
                       .terminal_columns = 80, .terminal_rows = 24);
}

static void test_large_garbage_in_the_registry(void **state)
{
    (void)state;
    enum { LARGE = 4 * 1024 * 1024 };
    char *large = malloc(LARGE);
    assert_non_null(large);
    memset(large, '[', LARGE);
    rdb_exec(fenceline.redis, "ZADD fenceline:{queue}:workers 1 deep 2 long 3 many");
    rdb_exec(fenceline.redis, "HSET fenceline:{queue}:info deep %b", large, (size_t)LARGE);
    memset(large, 'x', LARGE);
    memcpy(large, "{\"host\":\"", 9);
    memcpy(large + LARGE - 2, "\"}", 2);
    rdb_exec(fenceline.redis, "HSET fenceline:{queue}:info long %b", large, (size_t)LARGE);
    memset(large, '0', LARGE);
    memcpy(large, "{\"jobs\":[", 9);
    for (size_t i = 10; i < LARGE - 2; i += 2)
        large[i] = ',';
    memcpy(large + LARGE - 3, "0]}", 3);
    rdb_exec(fenceline.redis, "HSET fenceline:{queue}:info many %b", large, (size_t)LARGE);
    free(large);
    struct process *list = fenceline_run(0, "worker", "list", "--json");
    assert_int_equal(files_count_lines(list->out.bytes), 3);
    struct process *table = fenceline_run(0, "worker", "list");
    assert_int_equal(files_count_lines(table->out.bytes), 4);
}

/* Keys of another type: an error that names Redis, and no crash. */
static void test_registry_of_another_type(void **state)
{
    (void)state;
    rdb_exec(fenceline.redis, "SET fenceline:{queue}:info x");
    struct process *info = fenceline_launch("worker", "list");
    assert_int_not_equal(process_wait(info, FENCELINE_RUN_MS), 0);
    assert_int_equal(files_count_lines(info->err.bytes), 1);
    fenceline_assert_err(info, "Redis");
    rdb_exec(fenceline.redis, "FLUSHALL");
    rdb_exec(fenceline.redis, "RPUSH fenceline:{queue}:workers x");
    struct process *workers = fenceline_launch("worker", "list", "--json");
    assert_int_not_equal(process_wait(workers, FENCELINE_RUN_MS), 0);
    assert_int_equal(workers->out.size_bytes, 0);
    fenceline_assert_err(workers, "Redis");
}

/* ---- servers away ---- */

static void test_servers_down(void **state)
{
    (void)state;
    int64_t job_id = enqueue("ep", "chapters");
    services_redis_stop(&fenceline.services, SERVICES_FAST);
    struct process *list = fenceline_run(6, "worker", "list", "--json");
    assert_int_equal(files_count_lines(list->err.bytes), 1);
    fenceline_assert_err(list, "Redis at 127.0.0.1:");
    /* The commands for jobs need only Postgres. */
    assert_listed("ep", "-q");
    fenceline_run(0, "jobs", "show", id_of(job_id));
    fenceline_run(0, "jobs", "pause");
    fenceline_run(0, "jobs", "cancel", id_of(job_id));
    services_postgres_stop(&fenceline.services, SERVICES_FAST);
    const char *const *const COMMANDS[] = {
        WORDS("jobs", "list"),
        WORDS("jobs", "show", "1"),
        WORDS("jobs", "retry", "1"),
        WORDS("jobs", "cancel", "1"),
        WORDS("jobs", "pause"),
        WORDS("worker", "--resume"),
        WORDS("jobs", "purge", "--older-than", "1d", "--yes"),
    };
    for (size_t i = 0; i < COUNT(COMMANDS); i++) {
        struct process *down = fenceline_run_spec(6, .argv = COMMANDS[i]);
        assert_int_equal(files_count_lines(down->err.bytes), 1);
        fenceline_assert_err(down, "Postgres");
        process_release(down);
    }
}

/* ---- retention ---- */

/* An import of yesterday that never ended is decided in the same step: that is how it is seen. */
static int64_t abandoned_import(const char *episode)
{
    db_exec(fenceline.db, "INSERT INTO fenceline.episodes (episode_id) VALUES ($1) ON CONFLICT DO NOTHING",
            episode);
    return db_int(
        fenceline.db,
        "INSERT INTO fenceline.jobs (queued, episode_id, kind, source, worker, created_at)"
        " VALUES (false, $1, 'chapters', 'x', 'import@h:1', now() - interval '2 days') RETURNING job_id",
        episode);
}

static void test_retention(void **state)
{
    (void)state;
    int64_t old = decided("old", "imported"), young = decided("young", "failed");
    int64_t open = enqueue("open", "chapters");
    db_exec(fenceline.db, "UPDATE fenceline.jobs SET not_before = now() + interval '1 day' WHERE job_id = $1",
            id_of(open));
    make_older(old, "31");
    make_older(young, "29");
    make_older(open, "400");
    int64_t first = abandoned_import("first");
    struct process *keeps = fleet_start_worker(); /* 0 days, the default: all are kept */
    fleet_await_outcome(first, "cancelled");
    assert_job(first, "message LIKE 'first: the process that imported it (import@h:1) ended%'", "true");
    fleet_stop_worker(keeps);
    assert_int_equal(fenceline_count("jobs"), 4);
    struct process *worker = fleet_start_worker_with(WORDS("FENCELINE_JOB_RETENTION_DAYS=30"));
    fleet_await(3, "SELECT count(*) FROM fenceline.jobs");
    fleet_stop_worker(worker);
    assert_job(young, "outcome", "failed");
    assert_job(open, "outcome", "null");
}

/* Many short runs: without sanitizers, as long as there is nothing hostile in them. */
static int start_fast(void **state)
{
    int result = fenceline_start_test(state);
    fenceline_use_fast(true);
    return result;
}

#define FAST_TEST(function) cmocka_unit_test_setup_teardown(function, start_fast, fenceline_stop_test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAST_TEST(test_list_filters),
        FAST_TEST(test_list_limit),
        FAST_TEST(test_states),
        FAST_TEST(test_list_json),
        FENCELINE_TEST(test_show),
        FAST_TEST(test_show_the_chain),
        FAST_TEST(test_no_such_job),
        FAST_TEST(test_retry_keeps_the_rank),
        FAST_TEST(test_retry_as_new),
        FAST_TEST(test_retry_of_a_retry),
        FAST_TEST(test_retry_refusals),
        FENCELINE_TEST(test_retry_by_filter),
        FAST_TEST(test_retry_by_filter_ends),
        FENCELINE_TEST(test_cancel),
        FAST_TEST(test_cancel_by_filter),
        FAST_TEST(test_cancel_of_a_running_job),
        FAST_TEST(test_cancel_of_a_parked_job),
        FENCELINE_TEST(test_purge),
        FAST_TEST(test_purge_of_many),
        FAST_TEST(test_purge_keeps_both_guarantees),
        FAST_TEST(test_confirmation),
        FAST_TEST(test_pause),
        FAST_TEST(test_pause_by_worker),
        FENCELINE_TEST(test_hostile_text),
        FENCELINE_TEST(test_text_that_is_no_utf8),
        FENCELINE_TEST(test_hostile_text_on_a_worker),
        FENCELINE_TEST(test_worker_list),
        FAST_TEST(test_dead_workers),
        FENCELINE_TEST(test_garbage_in_the_registry),
        FENCELINE_TEST(test_large_garbage_in_the_registry),
        FENCELINE_TEST(test_registry_of_another_type),
        FAST_TEST(test_servers_down),
        FAST_TEST(test_retention),
    };
    return cmocka_run_group_tests(tests, fenceline_start_group, fenceline_stop_group);
}
