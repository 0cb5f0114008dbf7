/*
 * What an operator asks about jobs and episodes: `jobs stats`, what `jobs show` tells of claims and phases,
 * `history`, and how these and the other tables fit into a terminal.
 *
 * Happy path: rows with known times are written by SQL, so that every number can be told beforehand. Failure
 * modes: ids and messages that no terminal should see raw are among them.
 */
#include "../lib/fleet.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "base/slice.h"
#include "cli/print.h"

enum { ID_BYTES = 24 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

#define EVIL                                                                                                 \
    "\033[31m\033]0;title\a\r\x7f \xc2\x9b"                                                                  \
    "2J \xe2\x80\xae \xe2\x81\xa6 \xe2\x80\xa8 \"quoted\" \t\n \xe6\x97\xa5\xe6\x9c\xac e\xcc\x81 "          \
    "\xf0\x9f\x98\x80"

/* ---- helpers ---- */

/* The number as text, for the next few calls. */
static const char *id_of(int64_t job_id)
{
    static char texts[8][ID_BYTES];
    static size_t next;
    char *text = texts[next++ % COUNT(texts)];
    snprintf(text, ID_BYTES, "%" PRId64, job_id);
    return text;
}

static int64_t enqueue(const char *episode)
{
    return db_int(fenceline.db, "SELECT fenceline.enqueue($1, 'chapters', 'in/x.json', mode => 'replace')",
                  episode);
}

/* Line n of the output, from 0, as a JSON object. */
static cJSON *json_line(const struct process *process, size_t n)
{
    const char *line = process->out.bytes;
    for (size_t i = 0; i < n && line; i++)
        line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL;
    cJSON *object = line ? cJSON_ParseWithLength(line, strcspn(line, "\n")) : NULL;
    if (!cJSON_IsObject(object))
        LIB_FAIL("line %zu is no object: %s", n, process->out.bytes);
    return object;
}

static const cJSON *member(const cJSON *object, const char *name)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!value)
        LIB_FAIL("no member %s in %s", name, cJSON_PrintUnformatted(object));
    return value;
}

static void assert_number(const cJSON *object, const char *name, double expected)
{
    const cJSON *value = member(object, name);
    if (!cJSON_IsNumber(value) || value->valuedouble != expected)
        LIB_FAIL("%s is not %g in %s", name, expected, cJSON_PrintUnformatted(object));
}

static void assert_near(const cJSON *object, const char *name, double expected, double tolerance)
{
    const cJSON *value = member(object, name);
    if (!cJSON_IsNumber(value) || value->valuedouble < expected || value->valuedouble > expected + tolerance)
        LIB_FAIL("%s is not %g (+%g) in %s", name, expected, tolerance, cJSON_PrintUnformatted(object));
}

static void assert_text(const cJSON *object, const char *name, const char *expected)
{
    const cJSON *value = member(object, name);
    if (!(expected ? cJSON_IsString(value) && strcmp(value->valuestring, expected) == 0
                   : cJSON_IsNull(value)))
        LIB_FAIL("%s is not %s in %s", name, expected ? expected : "null", cJSON_PrintUnformatted(object));
}

/* The row of an array whose first member has this text. */
static const cJSON *row_of(const cJSON *object, const char *array, const char *text)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, member(object, array))
    {
        if (row->child && cJSON_IsString(row->child) && strcmp(row->child->valuestring, text) == 0)
            return row;
    }
    LIB_FAIL("no %s in %s", text, array);
    return NULL;
}

/* ---- stats ---- */

static cJSON *stats(void)
{
    return json_line(fenceline_run(0, "jobs", "stats", "--json"), 0);
}

/* A job row with times, in seconds before now; source is always there. */
static void add(const char *columns, const char *values)
{
    char sql[1024];
    snprintf(sql, sizeof sql,
             "INSERT INTO fenceline.jobs (episode_id, kind, source, %s) SELECT 'ep', 'chapters', 'x', %s",
             columns, values);
    db_exec(fenceline.db, sql);
}

static void test_stats_of_nothing(void **state)
{
    (void)state;
    cJSON *all = stats();
    assert_number(all, "open_jobs", 0);
    assert_number(all, "dead_letters", 0);
    assert_number(all, "per_second_last_minute", 0);
    assert_number(all, "per_second_last_hour", 0);
    assert_true(cJSON_IsNull(member(all, "oldest_due_job_id")) && cJSON_IsNull(member(all, "oldest_due_ms")));
    assert_true(cJSON_IsFalse(member(all, "paused")));
    assert_int_equal(cJSON_GetArraySize(member(all, "open")), 5);
    assert_int_equal(cJSON_GetArraySize(member(all, "outcomes")), 8);
    assert_int_equal(cJSON_GetArraySize(member(all, "phases")), 6);
    const cJSON *lease = row_of(all, "phases", "lease");
    assert_number(lease, "jobs", 0);
    assert_true(cJSON_IsNull(member(lease, "p50_ms")) && cJSON_IsNull(member(lease, "max_ms")));
    cJSON_Delete(all);
    struct process *text = fenceline_run(0, "jobs", "stats");
    fenceline_assert_out(
        text, "0 open\n0 dead letters\n0.0 decided per second in the last minute, 0.0 in the last hour\n");
}

static void test_stats_of_outcomes(void **state)
{
    (void)state;
    add("outcome, finished_at", "'imported', now() - i * interval '1 s' FROM generate_series(1, 30) i");
    add("outcome, finished_at", "'imported', now() - interval '10 min' FROM generate_series(1, 330)");
    add("outcome, finished_at", "'imported', now() - interval '61 min' FROM generate_series(1, 7)");
    add("outcome, finished_at", "'rejected', now() - interval '3 days' FROM generate_series(1, 2)");
    add("outcome, finished_at, retried_by",
        "'failed', now() - interval '2 days', NULLIF(i, 1) FROM generate_series(1, 4) i");
    cJSON *all = stats();
    const cJSON *imported = row_of(all, "outcomes", "imported");
    assert_number(imported, "jobs", 367);
    assert_number(imported, "last_hour", 360);
    assert_number(imported, "last_minute", 30);
    assert_number(row_of(all, "outcomes", "rejected"), "jobs", 2);
    assert_number(row_of(all, "outcomes", "rejected"), "last_hour", 0);
    assert_number(row_of(all, "outcomes", "failed"), "jobs", 4);
    assert_number(row_of(all, "outcomes", "cancelled"), "jobs", 0);
    assert_number(all, "per_second_last_minute", 0.5);
    assert_number(all, "per_second_last_hour", 0.1);
    assert_number(all, "dead_letters", 1); /* the others are retried */
    assert_number(all, "open_jobs", 0);
    cJSON_Delete(all);
    struct process *text = fenceline_run(0, "jobs", "stats");
    fenceline_assert_out(text, "1 dead letter: see 'fenceline jobs list --outcome failed'\n"
                               "0.5 decided per second in the last minute, 0.1 in the last hour\n");
}

static void test_stats_of_the_open(void **state)
{
    (void)state;
    add("created_at, not_before", "now() - interval '3 days', now() + interval '1 hour'");
    cJSON *scheduled = stats(); /* open, but not due */
    assert_number(scheduled, "open_jobs", 1);
    assert_true(cJSON_IsNull(member(scheduled, "oldest_due_job_id")) &&
                cJSON_IsNull(member(scheduled, "oldest_due_ms")));
    cJSON_Delete(scheduled);
    add("created_at", "now() - interval '1000 s'");
    add("created_at, not_before", "now() - interval '2 days', now() - interval '100 s'");
    add("created_at, not_before, attempts", "now(), now() + interval '1 hour', 1 FROM generate_series(1, 2)");
    add("dispatched_at", "now() FROM generate_series(1, 3)");
    add("dispatched_at, started_at, worker",
        "now() - interval '3 s', now(), 'worker@h:1' FROM generate_series(1, 4)");
    cJSON *all = stats();
    assert_number(all, "open_jobs", 12);
    assert_number(row_of(all, "open", "waiting"), "jobs", 2);
    assert_number(row_of(all, "open", "scheduled"), "jobs", 1);
    assert_number(row_of(all, "open", "to be tried again"), "jobs", 2);
    assert_number(row_of(all, "open", "dispatched"), "jobs", 3);
    assert_number(row_of(all, "open", "running"), "jobs", 4);
    assert_near(all, "oldest_due_ms", 1000000, 60000);
    assert_number(all, "oldest_due_job_id",
                  (double)db_int(fenceline.db, "SELECT min(job_id) + 1 FROM fenceline.jobs"));
    cJSON_Delete(all);
    fenceline_run(0, "jobs", "pause");
    cJSON *paused = stats();
    assert_true(cJSON_IsTrue(member(paused, "paused")));
    cJSON_Delete(paused);
    struct process *text = fenceline_run(0, "jobs", "stats");
    fenceline_assert_out(text, "12 open, the oldest has been due for 16m");
    fenceline_assert_out(text, "workers are paused");
}

static void assert_phase(const cJSON *all, const char *phase, int jobs, int p50_ms, int p99_ms, int max_ms)
{
    const cJSON *row = row_of(all, "phases", phase);
    assert_number(row, "jobs", jobs);
    assert_number(row, "p50_ms", p50_ms);
    assert_number(row, "p99_ms", p99_ms);
    assert_number(row, "max_ms", max_ms);
}

static void test_stats_of_phases(void **state)
{
    (void)state;
    /* Job i of 100: due, 10 i ms later begun, i ms lease, 2 i claim, 3 i load, 10 i ms after its begin
     * decided. Half of them were scheduled: they waited since then, not since they were created. */
    db_exec(
        fenceline.db,
        "INSERT INTO fenceline.jobs (episode_id, kind, source, outcome, created_at, not_before, started_at, "
        "finished_at,"
        "                            token, lease_ms, claim_ms, load_ms)"
        " SELECT 'ep', 'chapters', 'x', 'imported', due - CASE WHEN i % 2 = 0 THEN interval '1 day' ELSE '0' "
        "END,"
        "        CASE WHEN i % 2 = 0 THEN due END, due + i * interval '10 ms', due + i * interval '20 ms',"
        "        i, i, 2 * i, 3 * i"
        "   FROM generate_series(1, 100) i, (SELECT now() - interval '30 min' AS due) t");
    /* An import in its own process; one that had no lease; one that was cancelled before it was due; an old
     * one. */
    add("queued, outcome, created_at, finished_at, token, lease_ms, claim_ms, load_ms",
        "false, 'imported', now() - interval '60 ms', now(), 101, 1, 2, 3");
    add("outcome, created_at, started_at, finished_at",
        "'rejected', now() - interval '1 s', now() - interval '500 ms', now()");
    add("outcome, not_before, finished_at", "'cancelled', now() + interval '1 day', now()");
    add("outcome, created_at, started_at, finished_at, token, lease_ms",
        "'imported', now() - interval '2 hours', now() - interval '2 hours', now() - interval '1 hour', 5, "
        "100000");
    cJSON *all = stats();
    assert_phase(all, "waiting", 101, 500, 990, 1000);
    assert_phase(all, "lease", 101, 50, 99, 100);
    assert_phase(all, "claim", 101, 100, 198, 200);
    assert_phase(all, "load", 101, 150, 297, 300);
    assert_phase(all, "commit", 100, 200, 396, 400);
    assert_phase(all, "total", 102, 1000, 1980, 2000);
    cJSON_Delete(all);
    struct process *text = fenceline_run(0, "jobs", "stats");
    fenceline_assert_out(text, "commit             100  0.2s  0.3s  0.4s\n");
}

/* ---- claims, phases, history ---- */

/* PROTOCOL 3, for one episode that stands at this version and fence. */
static void claim(const char *episode, int version, int fence, int token, const char *holder, int64_t job_id)
{
    db_exec(
        fenceline.db,
        "SELECT fenceline.claim_episodes(ARRAY[$1], ARRAY[$2::bigint], ARRAY[$3::bigint], ARRAY[$4::bigint],"
        "                                ARRAY['n' || $4], $5, ARRAY[$6::bigint])",
        episode, id_of(version), id_of(fence), id_of(token), holder, id_of(job_id));
}

static cJSON *shown(int64_t job_id)
{
    return json_line(fenceline_run(0, "jobs", "show", "--json", id_of(job_id)), 0);
}

static void test_show_claims(void **state)
{
    (void)state;
    int64_t first = enqueue("ep"), second = enqueue("ep");
    cJSON *idle = shown(first);
    assert_true(cJSON_IsNull(member(idle, "claim")) && cJSON_IsNull(member(idle, "token")));
    assert_int_equal(cJSON_GetArraySize(member(idle, "lost_claims")), 0);
    cJSON_Delete(idle);
    fenceline_assert_not_out(fenceline_run(0, "jobs", "show", id_of(first)), "claim");

    claim("ep", 0, 0, 5, "worker@h:1", first);
    db_exec(fenceline.db, "UPDATE fenceline.episodes SET claimed_at = now() - interval '192 s'");
    cJSON *holding = shown(first);
    const cJSON *held = member(holding, "claim");
    assert_number(held, "token", 5);
    assert_text(held, "holder", "worker@h:1");
    assert_near(held, "held_ms", 192000, 60000);
    assert_int_equal(strlen(member(held, "claimed_at")->valuestring), strlen("2026-01-18T10:03:05.123Z"));
    cJSON_Delete(holding);
    struct process *text = fenceline_run(0, "jobs", "show", id_of(first));
    fenceline_assert_out(text,
                         "\nit holds its episode:\n  token  holder      since                 held for\n"
                         "      5  worker@h:1  20");
    fenceline_assert_out(text, "3m1");

    claim("ep", 0, 5, 9, "worker@h:2", second); /* overtaken */
    cJSON *overtaken = shown(first), *newest = shown(second);
    assert_true(cJSON_IsNull(member(overtaken, "claim")));
    const cJSON *lost = cJSON_GetArrayItem(member(overtaken, "lost_claims"), 0);
    assert_number(lost, "token", 5);
    assert_text(lost, "holder", "worker@h:1");
    assert_near(lost, "held_ms", 192000, 60000);
    assert_number(lost, "lost_to", 9);
    assert_number(member(newest, "claim"), "token", 9);
    assert_int_equal(cJSON_GetArraySize(member(newest, "lost_claims")), 0);
    cJSON_Delete(overtaken);
    cJSON_Delete(newest);
    fenceline_assert_out(fenceline_run(0, "jobs", "show", id_of(first)), "\nclaims that it lost:\n");

    db_exec(fenceline.db, "UPDATE fenceline.episodes SET holder = NULL, fence = 10"); /* as a break does */
    cJSON *broken = shown(second);
    assert_true(cJSON_IsNull(member(broken, "claim")));
    cJSON_Delete(broken);
    claim("ep", 0, 10, 12, "worker@h:3", second);
    db_exec(fenceline.db, "SELECT fenceline.decide_job($1, 'failed', 'x')", id_of(second));
    cJSON *over = shown(second);
    assert_true(cJSON_IsNull(member(over, "claim")));
    cJSON_Delete(over);
}

static void test_show_phases(void **state)
{
    (void)state;
    int64_t job_id = enqueue("ep");
    cJSON *fresh = shown(job_id);
    assert_int_equal(cJSON_GetArraySize(member(fresh, "phases")), 0);
    cJSON_Delete(fresh);
    db_exec(
        fenceline.db,
        "UPDATE fenceline.jobs SET created_at = '2026-02-01 10:00Z', not_before = '2026-02-01 11:00Z',"
        "  started_at = '2026-02-01 11:03:12Z', finished_at = '2026-02-01 11:03:13.5Z', outcome = 'imported',"
        "  token = 7, lease_ms = 400, claim_ms = 20, load_ms = 30");
    static const struct {
        const char *phase;
        int ms;
    } EXPECTED[] = {{"waiting", 192000}, {"lease", 400},   {"claim", 20},
                    {"load", 30},        {"commit", 1050}, {"total", 193500}};
    cJSON *decided = shown(job_id);
    assert_number(decided, "token", 7);
    assert_int_equal(cJSON_GetArraySize(member(decided, "phases")), COUNT(EXPECTED));
    for (int i = 0; i < (int)COUNT(EXPECTED); i++) {
        const cJSON *phase = cJSON_GetArrayItem(member(decided, "phases"), i);
        assert_text(phase, "phase", EXPECTED[i].phase);
        assert_number(phase, "ms", EXPECTED[i].ms);
    }
    cJSON_Delete(decided);
    struct process *text = fenceline_run(0, "jobs", "show", id_of(job_id));
    fenceline_assert_out(text, "\ntime per phase:\n  phase     took\n  waiting  3m12s\n  lease     0.4s\n"
                               "  claim     20ms\n  load      30ms\n  commit    1.0s\n  total    3m13s\n");
    fenceline_assert_out(text, "finished    2026-02-01 11:03:13Z\n");
    /* Each wait, of a job that is begun again, counts from when it was due again; before that, none is known.
     */
    db_exec(fenceline.db,
            "UPDATE fenceline.jobs SET not_before = '2026-02-01 11:04Z', outcome = NULL,"
            " finished_at = NULL, token = NULL, lease_ms = NULL, claim_ms = NULL, load_ms = NULL");
    cJSON *again = shown(job_id);
    assert_int_equal(cJSON_GetArraySize(member(again, "phases")), 0);
    cJSON_Delete(again);
}

/* A real import leaves its token and its times. */
static void test_show_an_import(void **state)
{
    (void)state;
    free(fenceline_write_chapters("ep", "a", 2));
    fenceline_run(0, "import", "ep.chapters.json");
    cJSON *job = shown(db_int(fenceline.db, "SELECT job_id FROM fenceline.jobs"));
    assert_number(job, "token", (double)db_int(fenceline.db, "SELECT version FROM fenceline.episodes"));
    static const char *const PHASES[] = {"lease", "claim", "load", "total"};
    assert_int_equal(cJSON_GetArraySize(member(job, "phases")), COUNT(PHASES));
    for (int i = 0; i < (int)COUNT(PHASES); i++)
        assert_text(cJSON_GetArrayItem(member(job, "phases"), i), "phase", PHASES[i]);
    cJSON_Delete(job);
}

/* One episode with everything that can happen to it, in an order that its ids do not tell. */
static void write_history(int64_t jobs[3])
{
    free(fenceline_write_chapters("ep", "a", 2));
    fenceline_run(0, "import", "ep.chapters.json");
    int version = (int)db_int(fenceline.db, "SELECT version FROM fenceline.episodes");
    int64_t failed = enqueue("ep"), other = enqueue("ep");
    enqueue("elsewhere");
    claim("elsewhere", 0, 0, 1, "worker@h:7", db_int(fenceline.db, "SELECT max(job_id) FROM fenceline.jobs"));
    db_exec(fenceline.db, "SELECT fenceline.begin_jobs(ARRAY[$1::bigint], 'worker@h:1')", id_of(failed));
    claim("ep", version, version, version + 10, "worker@h:1", failed);
    db_exec(fenceline.db, "SELECT fenceline.postpone_job($1, 'worker@h:1', 'no such file " EVIL "', 0, 9)",
            id_of(failed));
    claim("ep", version, version + 10, version + 20, "worker@h:2", other);
    db_exec(fenceline.db, "SELECT fenceline.decide_job($1, 'failed', 'gave up')", id_of(failed));
    db_exec(fenceline.db, "INSERT INTO fenceline.lock_breaks (episode_id, broken_by, reason, seen_fence, "
                          "seen_holder, new_fence)"
                          " VALUES ('ep', 'bob@h', 'it hung', 1, 'worker@h:0', 2)");
    claim("ep", version, version + 20, version + 30, "worker@h:3", other);
    fenceline_run(0, "jobs", "retry", id_of(failed));
    jobs[0] = failed;
    jobs[1] = other;
    jobs[2] = db_int(fenceline.db, "SELECT retried_by FROM fenceline.jobs WHERE job_id = $1", id_of(failed));
}

static void test_history(void **state)
{
    (void)state;
    int64_t jobs[3];
    write_history(jobs);
    double token =
        (double)db_int(fenceline.db, "SELECT version FROM fenceline.episodes WHERE episode_id = 'ep'");
    struct process *history = fenceline_run(0, "history", "--json", "ep");
    static const struct {
        const char *event, *outcome, *who, *message;
        int job, token; /* job: index, -1 = the import, -2 = none; token: after the import's, -1 = none */
    } EXPECTED[] = {
        {"job", "imported", NULL, NULL, -1, 0},
        {"job", "open", NULL, NULL, 1, -1},
        {"attempt", "attempt failed", "worker@h:1", "no such file " EVIL, 0, -1},
        {"lost claim", "claim lost", "worker@h:1", NULL, 0, 10},
        {"job", "failed", "worker@h:1", "gave up", 0, -1},
        {"break", "lock broken", "bob@h", "it hung; held by worker@h:0; fence 1 raised to 2", -2, -1},
        {"lost claim", "claim lost", "worker@h:2", NULL, 1, 20},
        {"claim", "claimed", "worker@h:3", NULL, 1, 30},
        {"job", "open", NULL, NULL, 2, -1},
    };
    assert_int_equal(files_count_lines(history->out.bytes), COUNT(EXPECTED));
    char last_at[32] = "";
    for (size_t i = 0; i < COUNT(EXPECTED); i++) {
        cJSON *event = json_line(history, i);
        assert_text(event, "event", EXPECTED[i].event);
        assert_text(event, "outcome", EXPECTED[i].outcome);
        if (EXPECTED[i].who)
            assert_text(event, "who", EXPECTED[i].who);
        if (EXPECTED[i].message)
            assert_text(event, "message", EXPECTED[i].message);
        if (EXPECTED[i].job >= 0)
            assert_number(event, "job_id", (double)jobs[EXPECTED[i].job]);
        if (EXPECTED[i].token >= 0)
            assert_number(event, "token", token + EXPECTED[i].token);
        else
            assert_true(cJSON_IsNull(member(event, "token")));
        bool is_claim = strstr(EXPECTED[i].event, "claim") != NULL;
        assert_int_equal(cJSON_IsString(member(event, "claimed_at")), is_claim);
        /* The claim that overtook another is a moment older than the loss, but told after it. */
        assert_true(strcmp(member(event, "at")->valuestring, last_at) >= 0 || i == 7);
        snprintf(last_at, sizeof last_at, "%s", member(event, "at")->valuestring);
        cJSON_Delete(event);
    }
    cJSON *dead = json_line(history, 4), *retry = json_line(history, 8), *lost = json_line(history, 3);
    assert_number(dead, "retried_by", (double)jobs[2]);
    assert_number(retry, "retries", (double)jobs[0]);
    assert_true(cJSON_IsNull(member(retry, "message")));
    assert_true(strcmp(member(lost, "claimed_at")->valuestring, member(lost, "at")->valuestring) <= 0);
    cJSON_Delete(dead);
    cJSON_Delete(retry);
    cJSON_Delete(lost);
}

static void test_history_in_words(void **state)
{
    (void)state;
    int64_t jobs[3];
    char expected[128];
    write_history(jobs);
    struct process *text = fenceline_run(0, "history", "ep");
    assert_int_equal(files_count_lines(text->out.bytes), 10);
    snprintf(expected, sizeof expected, "gave up; retried by job %" PRId64 "\n", jobs[2]);
    fenceline_assert_out(text, expected);
    snprintf(expected, sizeof expected, "  retries job %" PRId64 "\n", jobs[0]);
    fenceline_assert_out(text, expected);
    snprintf(expected, sizeof expected, "  imported v%" PRId64 "  ",
             db_int(fenceline.db, "SELECT version FROM fenceline.episodes WHERE episode_id = 'ep'"));
    fenceline_assert_out(text, expected);
    fenceline_assert_not_out(text, "worker@h:7");
    assert_null(strchr(text->out.bytes, '\033'));
    /* Once nobody holds it, the claim is no news any more: its job tells it. */
    db_exec(fenceline.db, "SELECT fenceline.decide_job($1, 'cancelled', 'x')", id_of(jobs[1]));
    fenceline_assert_not_out(fenceline_run(0, "history", "ep"), "claimed");
}

/* ---- on a terminal ---- */

/* What was written to a terminal, without colours. */
static char *without_colors(const char *text)
{
    char *plain = malloc(strlen(text) + 1), *end = plain;
    assert_non_null(plain);
    while (*text) {
        size_t skip =
            text[0] == '\033' && text[1] == '[' ? strspn(text + 2, "0123456789;") + 3 : text[0] == '\r';
        if (skip)
            text += skip;
        else
            *end++ = *text++;
    }
    *end = '\0';
    return plain;
}

/* No line of a table is wider than the terminal, and none holds what a terminal would obey. Prose may wrap.
 */
static void assert_fits(const char *const *words, unsigned short columns)
{
    struct process *shown =
        fenceline_run_spec(0, .argv = words, .terminal_streams = PROCESS_OUT, .terminal_columns = columns,
                           .terminal_rows = 24, .env = (const char *const[]){"TERM=xterm", NULL});
    char *plain = without_colors(shown->out.bytes), *expected = NULL;
    size_t length;
    for (const char *line = plain; *line; line += strcspn(line, "\n") + 1) {
        struct fl_slice text = {line, strcspn(line, "\n")};
        bool is_prose = strncmp(words[0], "show", 4) == 0 && line == plain;
        if (!is_prose && fl_print_text(NULL, text) > columns)
            LIB_FAIL("more than %u columns: %.*s", columns, (int)text.len, text.ptr);
        FILE *out = open_memstream(&expected, &length);
        fl_print_text(out, text);
        assert_int_equal(fclose(out), 0);
        if (length != text.len || memcmp(expected, text.ptr, length) != 0)
            LIB_FAIL("not harmless: %s", expected);
        free(expected);
    }
    free(plain);
}

static void test_terminal(void **state)
{
    (void)state;
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        skip();
    static const char LONG[] =
        "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe3\x81\xae-a-very-long-name-of-an-episode-2026";
    int64_t job_id = enqueue(LONG);
    enqueue("ep");
    db_exec(fenceline.db, "SELECT fenceline.decide_job($1, 'failed', $2)", id_of(job_id), EVIL EVIL EVIL);
    db_exec(fenceline.db, "INSERT INTO fenceline.job_attempts VALUES ($1, 1, now(), $2, $2)", id_of(job_id),
            EVIL EVIL);
    db_exec(fenceline.db,
            "INSERT INTO fenceline.lock_breaks (episode_id, broken_by, reason, seen_fence, new_fence)"
            " VALUES ($1, $2, $2, 1, 2)",
            LONG, EVIL);
    db_exec(fenceline.db,
            "INSERT INTO fenceline.documents (episode_id, kind, version, job_id, rank, row_count, sha256, "
            "imported_at)"
            " VALUES ($1, 'chapters', 1, 1, 1, 2, '', now())",
            LONG);
    db_exec(fenceline.db,
            "INSERT INTO fenceline.chapters (episode_id, order_index, start_ms, title, url, toc)"
            " VALUES ($1, 0, 1, $2, $2, true), ($1, 1, 2, 't', NULL, false)",
            LONG, EVIL EVIL);
    static const char *const COMMANDS[][5] = {
        {"jobs", "list"}, {"jobs", "stats"}, {"history", LONG}, {"show", LONG}, {"migrate", "--status"}};
    static const unsigned short WIDTHS[] = {120, 80};
    for (size_t w = 0; w < COUNT(WIDTHS); w++)
        for (size_t i = 0; i < COUNT(COMMANDS); i++)
            assert_fits(COMMANDS[i], WIDTHS[w]);
    /* Without a terminal nothing is cut. */
    struct process *list = fenceline_run(0, "jobs", "list");
    fenceline_assert_out(list, LONG);
    fenceline_assert_out(list, "retried by");
    assert_null(strstr(list->out.bytes, "\xe2\x80\xa6"));
    setlocale(LC_CTYPE, "C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FENCELINE_TEST(test_stats_of_nothing),  FENCELINE_TEST(test_stats_of_outcomes),
        FENCELINE_TEST(test_stats_of_the_open), FENCELINE_TEST(test_stats_of_phases),
        FENCELINE_TEST(test_show_claims),       FENCELINE_TEST(test_show_phases),
        FENCELINE_TEST(test_show_an_import),    FENCELINE_TEST(test_history),
        FENCELINE_TEST(test_history_in_words),  FENCELINE_TEST(test_terminal),
    };
    return cmocka_run_group_tests(tests, fenceline_start_group, fenceline_stop_group);
}
