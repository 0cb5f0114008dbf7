/*
 * Does the checker of the chaos runs find what it is there for? A true history is made with the functions of
 * the schema, and the checker finds nothing wrong with it. Then, for each rule, what the triggers wrote down,
 * what is stored or what was answered is forged in one place, and the checker has to name that rule.
 */
#include "../lib/fenceline.h"

#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "audit.h"
#include "content.h"

enum { CHECKER_MS = 60000, ID_BYTES = 24, NAME_BYTES = 96 };

static char *history_log;

/* What a forgery changes, and its end takes back: that is faster than a database for each. */
static const char *const TABLES[] = {
    "chaos.audit",         "chaos.commits",         "fenceline.episodes",
    "fenceline.documents", "fenceline.chapters",    "fenceline.transcript_segments",
    "fenceline.jobs",      "fenceline.lock_breaks",
};
enum { TABLE_COUNT = sizeof TABLES / sizeof *TABLES, SQL_BYTES = 256 };

/* ---- the true history ---- */

static FILE *answers;
static int nonces;

static void number(char text[ID_BYTES], int64_t n)
{
    snprintf(text, ID_BYTES, "%" PRId64, n);
}

static int64_t enqueue(const char *episode, enum content_kind kind, const char *mode, const char *if_version,
                       uint64_t file)
{
    char source[NAME_BYTES];
    snprintf(source, sizeof source, "k%" PRIu64 "/body", file);
    int64_t job =
        db_int(fenceline.db, "SELECT fenceline.enqueue($1, $2, source => $3, mode => $4, if_version => $5)",
               episode, content_kind_name(kind), source, mode, if_version);
    fprintf(answers, "enqueued %" PRId64 "\n", job);
    return job;
}

/* PROTOCOL 3, with a token above the fence. */
static void claim(const char *episode, int64_t job, char nonce[40])
{
    char id[ID_BYTES];
    number(id, job);
    snprintf(nonce, 40, "%032d", ++nonces);
    char *claimed =
        db_text(fenceline.db,
                "SELECT fenceline.claim_episodes(ARRAY[$1], ARRAY[version], ARRAY[fence], ARRAY[fence + 1],"
                " ARRAY[$2], 'test', ARRAY[$3::bigint]) FROM fenceline.episodes WHERE episode_id = $1",
                episode, nonce, id);
    assert_string_equal(claimed, "{t}");
    free(claimed);
}

static void answer(int64_t job, int exit_code)
{
    char id[ID_BYTES];
    number(id, job);
    char *line =
        db_text(fenceline.db,
                "SELECT format('answer %s %s %s %s', job_id, outcome, CASE WHEN version > 0 THEN version ELSE"
                " -1 END, CASE WHEN version > 0 THEN row_count ELSE -1 END) FROM fenceline.jobs"
                " WHERE job_id = $1",
                id);
    fprintf(answers, "%s %d\n", line, exit_code);
    free(line);
}

/* PROTOCOL 5. */
static void commit(const char *episode, int64_t job, const char *nonce, uint64_t file, enum content_kind kind)
{
    static const char *const SQL[CONTENT_KINDS] = {
        "SELECT fenceline.commit_chapters($1, $2, fence, version, $3, '{1,1,1}', sha256(convert_to($4::text, "
        "'UTF8')), 'x', "
        "'[]',"
        " ARRAY(SELECT i * 10000::bigint FROM generate_series(0, $5::int - 1) i),"
        " ARRAY(SELECT i * 10000::bigint + 9500 FROM generate_series(0, $5::int - 1) i),"
        " ARRAY(SELECT format('%s row %s', $4::text, i) FROM generate_series(0, $5::int - 1) i),"
        " array_fill(NULL::text, ARRAY[$5::int]), array_fill(NULL::text, ARRAY[$5::int]),"
        " array_fill(true, ARRAY[$5::int]), array_fill(NULL::text, ARRAY[$5::int]))"
        " FROM fenceline.episodes WHERE episode_id = $2",
        "SELECT fenceline.commit_transcript($1, $2, fence, version, $3, '{1,1,1}', "
        "sha256(convert_to($4::text, 'UTF8')), 'x', "
        "'[]',"
        " ARRAY(SELECT i * 10000::bigint FROM generate_series(0, $5::int - 1) i),"
        " ARRAY(SELECT i * 10000::bigint + 9500 FROM generate_series(0, $5::int - 1) i),"
        " array_fill(NULL::text, ARRAY[$5::int]),"
        " ARRAY(SELECT format('%s row %s', $4::text, i) FROM generate_series(0, $5::int - 1) i))"
        " FROM fenceline.episodes WHERE episode_id = $2",
    };
    char id[ID_BYTES], rows[ID_BYTES], name[NAME_BYTES];
    number(id, job);
    number(rows, content_rows(file, kind));
    snprintf(name, sizeof name, "k%" PRIu64, file);
    free(db_text(fenceline.db, SQL[kind], id, episode, nonce, name, rows));
}

static int64_t import(const char *episode, enum content_kind kind, const char *mode, const char *if_version,
                      uint64_t file)
{
    char nonce[40];
    int64_t job = enqueue(episode, kind, mode, if_version, file);
    claim(episode, job, nonce);
    commit(episode, job, nonce, file, kind);
    return job;
}

static void decide(int64_t job, const char *outcome)
{
    char id[ID_BYTES];
    number(id, job);
    free(db_text(fenceline.db, "SELECT fenceline.decide_job($1, $2, 'so')", id, outcome));
}

static void break_claim(const char *episode, int64_t job, bool cancel)
{
    char id[ID_BYTES];
    number(id, job);
    char *line = db_text(
        fenceline.db,
        "SELECT format('broken %s %s %s', $1::text, fence, (fenceline.break_claim($1, version, fence, nonce,"
        " holder, $2, 'test', NULL, $3, false)).new_fence) FROM fenceline.episodes WHERE episode_id = $1",
        episode, id, cancel ? "t" : "f");
    fprintf(answers, "%s\n", line);
    free(line);
}

static uint64_t next_file(bool is_invalid)
{
    static uint64_t file;
    do
        file++;
    while (content_is_invalid(file, CONTENT_CHAPTERS) != is_invalid ||
           content_rows(file, CONTENT_CHAPTERS) < 2);
    return file;
}

/* The jobs have these numbers, which the forgeries below use:
 *  1 imported, version 1    2 rejected        3 imported, 2       4 unchanged, token 3   5 transcript
 * imported, 4 6 claimed with 5, broken by 6, then imported with 7            7 if-version 7 imported, 8 8
 * chapters deleted, 9    9 superseded by 10, imported with 10  11 cancelled with its break (token 11, fence
 * 12) 12 invalid               13 (ep2) imported, 1                  14 (ep2) overtaken claim 2, imported
 * with 3 */
static void make_history(void)
{
    char nonce[40];
    const char *ep = "ep1";
    uint64_t file = next_file(false), second = next_file(false);
    answer(import(ep, CONTENT_CHAPTERS, "create", NULL, file), 0);
    int64_t job = enqueue(ep, CONTENT_CHAPTERS, "create", NULL, second);
    decide(job, "rejected");
    answer(job, 3);
    import(ep, CONTENT_CHAPTERS, "replace", NULL, second);
    answer(import(ep, CONTENT_CHAPTERS, "replace", NULL, second), 0);
    import(ep, CONTENT_TRANSCRIPT, "create", NULL, next_file(false));
    job = enqueue(ep, CONTENT_CHAPTERS, "replace", NULL, file = next_file(false));
    claim(ep, job, nonce);
    break_claim(ep, job, false);
    claim(ep, job, nonce);
    commit(ep, job, nonce, file, CONTENT_CHAPTERS);
    import(ep, CONTENT_CHAPTERS, "if-version", "7", next_file(false));
    job = enqueue(ep, CONTENT_CHAPTERS, "delete", NULL, 0);
    claim(ep, job, nonce);
    char id[ID_BYTES];
    number(id, job);
    free(db_text(fenceline.db,
                 "SELECT fenceline.commit_delete($1, $2, 'chapters', fence, version, $3, '{1,1,1}') FROM"
                 " fenceline.episodes WHERE episode_id = $2",
                 id, ep, nonce));
    answer(job, 0);
    job = enqueue(ep, CONTENT_CHAPTERS, "replace", NULL, next_file(false));
    import(ep, CONTENT_CHAPTERS, "replace", NULL, next_file(false));
    decide(job, "superseded");
    answer(job, 3);
    job = enqueue(ep, CONTENT_CHAPTERS, "replace", NULL, next_file(false));
    claim(ep, job, nonce);
    break_claim(ep, job, true);
    answer(job, 1);
    job = enqueue(ep, CONTENT_CHAPTERS, "replace", NULL, next_file(true));
    decide(job, "invalid");
    answer(job, 4);
    import("ep2", CONTENT_CHAPTERS, "create", NULL, next_file(false));
    job = enqueue("ep2", CONTENT_CHAPTERS, "replace", NULL, file = next_file(false));
    claim("ep2", job, nonce);
    claim("ep2", job, nonce);
    commit("ep2", job, nonce, file, CONTENT_CHAPTERS);
    assert_int_equal(job, 14);
}

static int start_group(void **state)
{
    size_t size_bytes;
    char sql[SQL_BYTES];
    if (fenceline_start_group(state) != 0 || fenceline_start_test(state) != 0)
        return -1;
    db_exec(fenceline.db, CHAOS_AUDIT_SQL);
    answers = open_memstream(&history_log, &size_bytes);
    make_history();
    fclose(answers);
    db_exec(fenceline.db, "SET session_replication_role = replica");
    for (int i = 0; i < TABLE_COUNT; i++) {
        snprintf(sql, sizeof sql, "CREATE TABLE public.saved%d AS TABLE %s", i, TABLES[i]);
        db_exec(fenceline.db, sql);
    }
    return 0;
}

static int stop_group(void **state)
{
    free(history_log);
    fenceline_stop_test(state);
    return fenceline_stop_group(state);
}

static int restore(void **state)
{
    char sql[SQL_BYTES];
    (void)state;
    process_release_all();
    for (int i = 0; i < TABLE_COUNT; i++) {
        snprintf(sql, sizeof sql,
                 "DELETE FROM %s; INSERT INTO %s OVERRIDING SYSTEM VALUE TABLE public.saved%d", TABLES[i],
                 TABLES[i], i);
        db_exec(fenceline.db, sql);
    }
    return 0;
}

/* ---- the checker ---- */

static char *monitor_log; /* NULL = the checker gets none */

static struct process *check(const char *more)
{
    char path[PATH_MAX] = "", *text = NULL;
    assert_true(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
    assert_true(asprintf(&text, "%s%s", history_log, more ? more : "") > 0);
    char *program = files_join(dirname(path), "checker");
    char *log = files_write_text(fenceline.folder, "events", text);
    struct process *checker = process_run(
        &(struct process_spec){.argv = (const char *const[]){program, fenceline.dsn, log, monitor_log, NULL}},
        CHECKER_MS);
    free(text);
    free(program);
    free(log);
    return checker;
}

static void test_true_history(void **state)
{
    (void)state;
    struct process *checker = check("calm 14\n");
    if (checker->exit_code != 0)
        process_print(checker);
    assert_int_equal(checker->exit_code, 0);
    assert_non_null(strstr(checker->out.bytes,
                           "14 imports judged: 8 imported, 1 unchanged, 1 rejected, 1 superseded,"
                           " 1 deleted, 1 invalid, 0 failed, 1 cancelled\n"));
    assert_non_null(strstr(checker->out.bytes, " 13 claims (1 overtaken), 9 versions, 2 breaks, "));
    assert_non_null(strstr(checker->out.bytes, "\n0 violations\n"));
    process_release(checker);
}

static void test_what_cannot_be_judged(void **state)
{
    (void)state;
    struct process *checker = check("nonsense\n");
    assert_int_equal(checker->exit_code, 2);
    process_release(checker);
    db_exec(fenceline.db, "ALTER TABLE chaos.commits RENAME TO elsewhere");
    checker = check(NULL);
    db_exec(fenceline.db, "ALTER TABLE chaos.elsewhere RENAME TO commits");
    assert_int_equal(checker->exit_code, 2);
    process_release(checker);
}

static void test_nothing_to_judge(void **state)
{
    (void)state;
    db_exec(fenceline.db, "ALTER TABLE chaos.audit RENAME TO elsewhere;"
                          "CREATE TABLE chaos.audit (LIKE chaos.elsewhere)");
    struct process *checker = check(NULL);
    db_exec(fenceline.db, "DROP TABLE chaos.audit; ALTER TABLE chaos.elsewhere RENAME TO audit");
    assert_int_equal(checker->exit_code, 2);
    assert_non_null(strstr(checker->err.bytes, "nothing to judge"));
    process_release(checker);
}

#define AUDIT_OF(job, name) " WHERE job = " #job " AND what = '" name "'"

/* In one place each; sql with triggers and constraints off. */
static const struct forgery {
    const char *name;
    int rule;
    const char *sql;  /* NULL: only the log */
    const char *line; /* of the log; NULL: only the database */
} FORGERIES[] = {
    {"version_falls", 1,
     "UPDATE chaos.audit SET version = 1 WHERE what = 'episode' AND version = 4 AND old_version = 2", NULL},
    {"fence_below_version", 1,
     "UPDATE chaos.audit SET fence = 3, old_fence = 3 WHERE what = 'episode' AND version = 4", NULL},
    {"document_of_another_version", 1, "UPDATE chaos.audit SET version = 3" AUDIT_OF(5, "document"), NULL},
    {"claim_with_a_version", 1,
     "UPDATE chaos.audit SET version = 2 WHERE what = 'episode' AND fence = 2 AND"
     " version = 1",
     NULL},
    {"rows_of_two_files", 2,
     "UPDATE chaos.audit SET digest = (SELECT digest FROM chaos.audit WHERE job = 1 AND what = "
     "'document')" AUDIT_OF(3, "document"),
     NULL},
    {"a_row_is_missing", 2, "UPDATE chaos.audit SET row_count = row_count - 1" AUDIT_OF(6, "document"), NULL},
    {"stored_count_is_wrong", 2,
     "UPDATE chaos.audit SET what = 'document with other rows'" AUDIT_OF(5, "document"), NULL},
    {"rows_in_a_second_transaction", 2,
     "WITH x AS (INSERT INTO chaos.commits (xid) VALUES (999999999) RETURNING xid)"
     "UPDATE chaos.audit SET xid = (SELECT xid FROM x) WHERE what = 'rows' AND xid ="
     " (SELECT xid FROM chaos.audit" AUDIT_OF(13, "document") ")",
     NULL},
    {"a_stored_row_was_changed", 2, "UPDATE fenceline.chapters SET title = 'no' WHERE order_index = 1", NULL},
    {"rows_without_a_document", 2,
     "INSERT INTO fenceline.transcript_segments VALUES ('ep2', 0, 0, 1, NULL, 'where from')", NULL},
    {"acknowledged_import_is_lost", 3, NULL, "answer 77 imported 3 4 0\n"},
    {"enqueued_job_is_lost", 3, NULL, "enqueued 77\n"},
    {"document_is_not_of_the_last_commit", 3,
     "UPDATE fenceline.documents SET version = 1, job_id = 1 WHERE"
     " episode_id = 'ep1' AND kind = 'chapters'",
     NULL},
    {"document_has_gone", 3, "DELETE FROM fenceline.documents WHERE episode_id = 'ep2'", NULL},
    {"episode_is_back_at_an_old_version", 3,
     "UPDATE fenceline.episodes SET version = 4 WHERE episode_id = 'ep1'", NULL},
    {"episode_has_gone", 3, "DELETE FROM fenceline.episodes WHERE episode_id = 'ep2'", NULL},
    {"job_has_gone", 3, "DELETE FROM fenceline.jobs WHERE job_id = 2", NULL},
    {"changes_are_missing", 3, "DELETE FROM chaos.audit WHERE what = 'episode' AND fence = 4", NULL},
    {"stale_commit_after_a_claim", 4, "UPDATE chaos.audit SET version = 2, token = 2" AUDIT_OF(14, "outcome"),
     NULL},
    {"version_below_the_fence", 4,
     "UPDATE chaos.audit SET version = 2 WHERE what = 'episode' AND episode = 'ep2'"
     " AND version = 3",
     NULL},
    {"claim_does_not_raise_the_fence", 4,
     "UPDATE chaos.audit SET fence = 1 WHERE what = 'episode' AND episode = 'ep2' AND fence = 2 AND "
     "old_fence = 1;"
     "UPDATE chaos.audit SET nonce = 'x' WHERE what = 'episode' AND episode = 'ep2' AND fence = 1 AND "
     "old_fence = 1",
     NULL},
    {"nonce_is_not_fresh", 4,
     "UPDATE chaos.audit SET nonce = lpad('14', 32, '0') WHERE what = 'episode' AND episode = 'ep2'", NULL},
    {"unchanged_under_an_old_token", 4, "UPDATE chaos.audit SET token = 2" AUDIT_OF(4, "outcome"), NULL},
    {"create_over_a_document", 5,
     "UPDATE chaos.audit SET mode = 'create' WHERE job = 3 AND what IN ('job', 'outcome')", NULL},
    {"if_version_of_another_version", 5,
     "UPDATE chaos.audit SET if_version = 5 WHERE job = 7 AND what IN ('job', 'outcome')", NULL},
    {"if_version_0_over_a_document", 5,
     "UPDATE chaos.audit SET if_version = 0 WHERE job = 7 AND what IN ('job', 'outcome')", NULL},
    {"outcome_written_twice", 6,
     "INSERT INTO chaos.audit (xid, what, episode, kind, job, mode, rank, outcome, version, row_count, "
     "source, queued)"
     " SELECT (SELECT xid FROM chaos.audit WHERE what = 'outcome' AND job = 5), what, episode, kind, job, "
     "mode, rank,"
     " outcome, version, row_count, source, queued FROM chaos.audit" AUDIT_OF(2, "outcome"),
     NULL},
    {"effect_twice", 6, "UPDATE chaos.audit SET job = 1, rank = 1" AUDIT_OF(3, "document"), NULL},
    {"effect_without_the_outcome", 6, "UPDATE chaos.audit SET outcome = 'unchanged'" AUDIT_OF(6, "outcome"),
     NULL},
    {"outcome_without_an_effect", 6, "DELETE FROM chaos.audit" AUDIT_OF(13, "document"), NULL},
    {"stored_outcome_is_another", 6, "UPDATE fenceline.jobs SET outcome = 'unchanged' WHERE job_id = 3",
     NULL},
    {"answer_is_not_the_row", 6, NULL, "answer 2 imported 1 4 0\n"},
    {"answer_has_another_version", 6, NULL, "answer 1 imported 9 4 0\n"},
    {"invalid_file_imported", 6,
     "UPDATE chaos.audit SET source = (SELECT source FROM chaos.audit" AUDIT_OF(
         12, "job") ")"
                    " WHERE job = 13 AND what = 'job'",
     NULL},
    {"rejected_without_a_reason", 7,
     "UPDATE chaos.audit SET mode = 'replace' WHERE job = 2 AND what IN ('job', 'outcome')", NULL},
    {"superseded_by_nobody", 7,
     "UPDATE chaos.audit SET rank = 99 WHERE job = 9 AND what IN ('job', 'outcome')", NULL},
    {"old_job_over_a_newer_one", 7,
     "UPDATE chaos.audit SET rank = 1 WHERE job = 7 AND what IN ('job', 'outcome', 'document')", NULL},
    {"unchanged_though_it_differs", 7,
     "UPDATE chaos.audit SET source = 'k77/body' WHERE job = 4 AND what IN ('job', 'outcome')", NULL},
    {"imported_though_it_is_the_same", 7,
     "UPDATE chaos.audit a SET source = o.source FROM chaos.audit o WHERE a.job = 6 AND o.job = 3 AND o.what "
     "= 'job';"
     "UPDATE chaos.audit a SET digest = o.digest, row_count = o.row_count FROM chaos.audit o WHERE a.job = 6 "
     "AND"
     " a.what = 'document' AND o.job = 3 AND o.what = 'document'",
     NULL},
    {"cancelled_by_nobody", 7, "UPDATE chaos.audit SET deleted = false" AUDIT_OF(11, "break"), NULL},
    {"good_file_invalid", 7, "UPDATE chaos.audit SET outcome = 'invalid'" AUDIT_OF(2, "outcome"), NULL},
    {"exit_code_lies", 8, NULL, "answer 1 imported 1 ROWS 3\n"},
    {"commit_after_a_break", 9,
     "DELETE FROM chaos.audit WHERE what = 'episode' AND fence = 7 AND old_fence = 6;"
     "UPDATE chaos.audit SET old_fence = 6, fence = 6, version = 6 WHERE what = 'episode' AND version = 7 AND"
     " old_version = 4",
     NULL},
    {"outcome_under_a_broken_claim", 9,
     "DELETE FROM chaos.audit WHERE what = 'episode' AND fence = 7 AND old_fence = 6", NULL},
    {"break_is_lost", 9, NULL, "broken ep2 1 2\n"},
    {"break_of_another_claim", 9, "UPDATE chaos.audit SET nonce = 'another'" AUDIT_OF(6, "break"), NULL},
    {"break_without_effect", 9,
     "DELETE FROM chaos.audit WHERE what = 'episode' AND fence = 12;"
     "DELETE FROM chaos.audit WHERE what = 'episode' AND old_fence = 12",
     NULL},
    {"job_is_open", 11, "UPDATE fenceline.jobs SET outcome = NULL, finished_at = NULL WHERE job_id = 10",
     NULL},
    {"job_was_given_up", 11, "UPDATE chaos.audit SET outcome = 'failed'" AUDIT_OF(2, "outcome"), NULL},
    {"claim_overtaken_in_calm", 12, NULL, "calm 13\n"},
};

enum { FORGERY_COUNT = sizeof FORGERIES / sizeof *FORGERIES };

static void test_forgery(void **state)
{
    const struct forgery *forgery = *state;
    char expected[NAME_BYTES];
    char *line = forgery->line ? strdup(forgery->line) : NULL;
    if (forgery->sql)
        db_exec(fenceline.db, forgery->sql);
    char *hole = line ? strstr(line, "ROWS") : NULL;
    if (hole) /* as in its row */
        snprintf(hole, 5, "%" PRId64 " 3",
                 db_int(fenceline.db, "SELECT row_count FROM fenceline.jobs WHERE job_id = 1"));
    if (hole)
        strcat(line, "\n");
    struct process *checker = check(line);
    snprintf(expected, sizeof expected, "VIOLATION of rule %d: ", forgery->rule);
    if (checker->exit_code != 1 || !strstr(checker->out.bytes, expected))
        process_print(checker);
    assert_int_equal(checker->exit_code, 1);
    assert_non_null(strstr(checker->out.bytes, expected));
    process_release(checker);
    free(line);
}

#define N1                     "11111111111111111111111111111111"
#define N2                     "22222222222222222222222222222222"
#define TOLD(who, words)       "1795615811.581185 [0 " who "] " words "\n"
#define CALL(keys, last_words) TOLD("127.0.0.1:9", "\"EVALSHA\" \"0123\" \"" keys "\" " last_words)
#define KEY                    "\"fenceline:{ep \\\"1\\\"}:lease\""
#define ACQUIRE(nonce)                                                                                       \
    CALL("3", KEY " \"token\" \"waiters\" \"" nonce "\" \"7\"")                                              \
    TOLD("lua", "\"GET\" " KEY) TOLD("lua", "\"SET\" " KEY " \"" nonce " 8 me\" \"NX\" \"PX\" \"9\"")
#define RENEW(nonce)   CALL("1", KEY " \"" nonce "\" \"9\"") TOLD("lua", "\"PEXPIRE\" " KEY " \"9\"")
#define RELEASE(nonce) CALL("2", KEY " \"waiters\" \"" nonce "\"") TOLD("lua", "\"DEL\" " KEY)

/* What Redis was told, as MONITOR shows it. */
static const struct told {
    const char *text;
    int exit_code;
} TOLD_LEASES[] = {
    {ACQUIRE(N1) RENEW(N1) RELEASE(N1) ACQUIRE(N2) RELEASE(N2), 0},
    {ACQUIRE(N1) ACQUIRE(N2) RENEW(N2), 0}, /* it expired */
    {RELEASE(N1) ACQUIRE(N2), 0},           /* from before the log */
    {ACQUIRE(N1) TOLD("127.0.0.1:9", "\"FLUSHALL\"") RENEW(N2), 0},
    {ACQUIRE(N1) CALL("1", KEY " \"" N2 "\" \"9\"") TOLD("lua", "\"GET\" " KEY), 0},
    {ACQUIRE(N1) RENEW(N2), 1},
    {ACQUIRE(N1) ACQUIRE(N2) RELEASE(N1), 1},
    {ACQUIRE(N1) TOLD("127.0.0.1:9", "\"DEL\" " KEY), 1},
    {CALL("3", KEY " \"token\" \"waiters\" \"" N1 "\" \"7\"") TOLD("lua", "\"SET\" " KEY " \"" N2 " 8 me\""),
     1},
    {TOLD("127.0.0.1:9", "\"PING\""), 2}, /* nothing to judge */
};

static void test_told_leases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof TOLD_LEASES / sizeof *TOLD_LEASES; i++) {
        monitor_log = files_write_text(fenceline.folder, "monitor", TOLD_LEASES[i].text);
        struct process *checker = check(NULL);
        free(monitor_log);
        monitor_log = NULL;
        if (checker->exit_code != TOLD_LEASES[i].exit_code)
            process_print(checker);
        assert_int_equal(checker->exit_code, TOLD_LEASES[i].exit_code);
        assert_int_equal(strstr(checker->out.bytes, "VIOLATION of rule 10: ") != NULL,
                         TOLD_LEASES[i].exit_code == 1);
        process_release(checker);
    }
}

/* And after all that the true history is still found to be true. */
int main(void)
{
    enum { BEFORE = 4 };
    struct CMUnitTest tests[FORGERY_COUNT + BEFORE + 1] = {
        cmocka_unit_test(test_true_history),
        cmocka_unit_test_teardown(test_what_cannot_be_judged, restore),
        cmocka_unit_test_teardown(test_nothing_to_judge, restore),
        cmocka_unit_test(test_told_leases),
    };
    for (size_t i = 0; i < FORGERY_COUNT; i++)
        tests[BEFORE + i] = (struct CMUnitTest){FORGERIES[i].name, test_forgery, NULL, restore,
                                                (void *)(uintptr_t)&FORGERIES[i]};
    tests[FORGERY_COUNT + BEFORE] = (struct CMUnitTest)cmocka_unit_test(test_true_history);
    return cmocka_run_group_tests(tests, start_group, stop_group);
}
