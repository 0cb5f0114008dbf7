/*
 * What a commit does to the rows: a replace writes those that differ, and a large document goes in pieces, by
 * itself.
 *
 * Which rows were written is read from xmin, the transaction that wrote a row; that of the document's own row
 * is the last commit. Nothing here is measured by the clock: tests/bench/large does that.
 */
#include "../lib/fleet.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 400, MANY_ROWS = 6000, TEXT_BYTES = 300, ID_BYTES = 24 };

/* ---- documents that differ in some rows ---- */

struct edit {
    const char *label;
    int rows;          /* afterwards */
    int from, to;      /* rows with other words: from <= i < to */
    int shift;         /* from `to` on, row i says what row i - shift said before */
    int64_t rewritten; /* rows that the replace may write */
};

static void print_text(FILE *out, int i, const struct edit *edit, const char *words)
{
    bool is_changed = edit && i >= edit->from && i < edit->to;
    int said = edit && i >= edit->to ? i - edit->shift : i;
    fprintf(out, "%s%d%s", is_changed ? "changed " : "", said, words);
}

static char *write_transcript(const char *episode, int rows, const struct edit *edit, const char *words)
{
    char name[64], *text;
    size_t length;
    snprintf(name, sizeof name, "%s.srt", episode);
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    for (int i = 0; i < rows; i++) {
        fprintf(out, "%02d:%02d:%02d,000 --> %02d:%02d:%02d,500\n", i / 3600, i / 60 % 60, i % 60, i / 3600,
                i / 60 % 60, i % 60);
        print_text(out, i, edit, words);
        fprintf(out, "\n\n");
    }
    fclose(out);
    char *path = files_write(fenceline.folder, name, text, length);
    free(text);
    return path;
}

static char *write_chapters(const char *episode, int rows, const struct edit *edit, const char *words)
{
    char name[64], *text;
    size_t length;
    snprintf(name, sizeof name, "%s.chapters.json", episode);
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    fprintf(out, "{\"version\":\"1.2.0\",\"chapters\":[");
    for (int i = 0; i < rows; i++) {
        fprintf(out, "%s{\"startTime\":%d,\"endTime\":%d,\"title\":\"", i ? ",\n" : "", i, i + 1);
        print_text(out, i, edit, words);
        fprintf(out, "\",\"url\":\"https://example.org/%d\",\"toc\":%s,\"location\":{\"n\":%d}}", i,
                i % 3 ? "true" : "false", i);
    }
    fprintf(out, "]}");
    fclose(out);
    char *path = files_write(fenceline.folder, name, text, length);
    free(text);
    return path;
}

#define WRITTEN_BY_LAST(table)                                                                               \
    "SELECT count(*) FROM fenceline." table " r JOIN fenceline.documents d USING (episode_id)"               \
    " WHERE r.episode_id = $1 AND r.xmin = d.xmin"

/* All rows, in order, as the file says them: times, words, and what else chapters have. */
static void assert_rows(const char *episode, bool chapters, int rows, const struct edit *edit,
                        const char *words)
{
    char *expected, *stored;
    size_t length;
    FILE *out = open_memstream(&expected, &length);
    assert_non_null(out);
    for (int i = 0; i < rows; i++) {
        fprintf(out, "%d %d %d ", i, i * 1000, chapters ? (i + 1) * 1000 : i * 1000 + 500);
        print_text(out, i, edit, words);
        if (chapters)
            fprintf(out, " https://example.org/%d %s {\"n\": %d}", i, i % 3 ? "true" : "false", i);
        fputc('\n', out);
    }
    fclose(out);
    stored = db_text(
        fenceline.db,
        chapters ? "SELECT string_agg(concat_ws(' ', order_index, start_ms, end_ms, title, url,"
                   "   toc::text, location) || E'\\n', '' ORDER BY order_index)"
                   "  FROM fenceline.chapters WHERE episode_id = $1"
                 : "SELECT string_agg(concat_ws(' ', order_index, start_ms, end_ms, body) || E'\\n', ''"
                   "   ORDER BY order_index) FROM fenceline.transcript_segments WHERE episode_id = $1",
        episode);
    assert_non_null(stored);
    assert_string_equal(stored, expected);
    free(stored);
    free(expected);
}

/* ---- a replace ---- */

/* Blocks have 16 rows; above 8 blocks that differ, all is written anew from the first of them on. */
static const struct edit EDITS[] = {
    {"one row in the middle", ROWS, 200, 201, 0, 1},
    {"the first row", ROWS, 0, 1, 0, 1},
    {"the last row", ROWS, ROWS - 1, ROWS, 0, 1},
    {"rows on both sides of a block's edge", ROWS, 31, 33, 0, 2},
    {"eight blocks", ROWS, 16, 16 * 9, 0, 16 * 8},
    {"nine blocks", ROWS, 20, 16 * 9 + 1, 0, ROWS - 16},
    {"all of them", ROWS, 0, ROWS, 0, ROWS},
    {"rows at the end", ROWS + 7, 0, 0, 0, 7},
    {"rows at the end, and a changed one", ROWS + 20, 3, 4, 0, 21},
    {"fewer rows", ROWS - 9, 0, 0, 0, 0},
    {"fewer rows, and a changed one", ROWS - 33, 100, 101, 0, 1},
    {"a row in between", ROWS + 1, 350, 351, 1, 51},
    {"a row in between, early", ROWS + 1, 100, 101, 1, ROWS + 1 - 96},
    {"one row alone", 1, 0, 0, 0, 0},
};

static void replace_and_look(const struct edit *edit, int n, bool chapters)
{
    char episode[32];
    snprintf(episode, sizeof episode, "ep%d", n);
    char *(*write)(const char *, int, const struct edit *, const char *) =
        chapters ? write_chapters : write_transcript;
    char *path = write(episode, ROWS, NULL, "");
    process_release(fenceline_run(0, "import", path));
    free(path);
    path = write(episode, edit->rows, edit, "");
    process_release(fenceline_run(0, "import", "--mode", "replace", path));
    free(path);
    assert_rows(episode, chapters, edit->rows, edit, "");
    int64_t written =
        db_int(fenceline.db, chapters ? WRITTEN_BY_LAST("chapters") : WRITTEN_BY_LAST("transcript_segments"),
               episode);
    if (written != edit->rewritten)
        fail_msg("%s: %" PRId64 " rows were written, not %" PRId64, edit->label, written, edit->rewritten);
}

static void test_replace_writes_what_differs(void **state)
{
    (void)state;
    fenceline_use_fast(true);
    for (int i = 0; i < (int)(sizeof EDITS / sizeof *EDITS); i++)
        replace_and_look(&EDITS[i], i, false);
    fenceline_assert_clean();
}

static void test_replace_of_chapters(void **state)
{
    (void)state;
    fenceline_use_fast(true);
    for (int i = 0; i < (int)(sizeof EDITS / sizeof *EDITS); i += 4)
        replace_and_look(&EDITS[i], i, true);
    fenceline_assert_clean();
}

/* After a delete there is nothing to compare with, and after a commit that left no digests all is compared.
 */
static void test_nothing_to_compare_with(void **state)
{
    (void)state;
    fenceline_use_fast(true);
    char *path = write_transcript("ep1", ROWS, NULL, "");
    process_release(fenceline_run(0, "import", path));
    process_release(fenceline_run(0, "delete", "ep1", "transcript"));
    fenceline_assert_nothing("ep1", "transcript");
    process_release(fenceline_run(0, "import", path));
    assert_rows("ep1", false, ROWS, NULL, "");
    free(path);
    db_exec(fenceline.db, "UPDATE fenceline.documents SET blocks = NULL");
    db_exec(fenceline.db, "UPDATE fenceline.transcript_segments SET body = 'by hand' WHERE order_index = 7");
    path = write_transcript("ep1", ROWS, &EDITS[0], "");
    process_release(fenceline_run(0, "import", "--mode", "replace", path));
    assert_rows("ep1", false, ROWS, &EDITS[0], "");
    free(path);
    fenceline_assert_clean();
}

/* Many replaces of one row in one document: index entries and pages do not pile up. */
static void test_replaces_leave_no_bloat(void **state)
{
    (void)state;
    enum { TIMES = 12 };
    fenceline_use_fast(true);
    char *path = write_transcript("ep1", ROWS, NULL, "");
    process_release(fenceline_run(0, "import", path));
    free(path);
    int64_t before = db_int(fenceline.db, "SELECT pg_relation_size('fenceline.transcript_segments')"
                                          " + pg_indexes_size('fenceline.transcript_segments')");
    for (int i = 0; i < TIMES; i++) {
        struct edit edit = {.rows = ROWS, .from = 200, .to = 201 + i % 2};
        path = write_transcript("ep1", ROWS, &edit, "");
        process_release(fenceline_run(0, "import", "--mode", "replace", path));
        free(path);
    }
    int64_t after = db_int(fenceline.db, "SELECT pg_relation_size('fenceline.transcript_segments')"
                                         " + pg_indexes_size('fenceline.transcript_segments')");
    assert_in_range(after, before, before + 2 * 8192);
}

/* ---- large documents ---- */

static char words[TEXT_BYTES];

static void test_large_documents(void **state)
{
    (void)state;
    struct edit edit = {.rows = MANY_ROWS + 100, .from = 3000, .to = 3001};
    fenceline_use_fast(true);
    memset(words, 'w', sizeof words - 1);
    for (int chapters = 0; chapters < 2; chapters++) {
        char *(*write)(const char *, int, const struct edit *, const char *) =
            chapters ? write_chapters : write_transcript;
        char *path = write("ep1", MANY_ROWS, NULL, words);
        process_release(fenceline_run(0, "import", path));
        assert_rows("ep1", chapters, MANY_ROWS, NULL, words);
        process_release(fenceline_run(3, "import", path));
        free(path);
        path = write("ep1", edit.rows, &edit, words);
        process_release(fenceline_run(0, "import", "--mode", "replace", path));
        assert_rows("ep1", chapters, edit.rows, &edit, words);
        free(path);
    }
    assert_int_equal(db_int(fenceline.db,
                            "SELECT count(*) FROM fenceline.transcript_segments r JOIN "
                            "fenceline.documents d USING (episode_id) WHERE r.xmin = d.xmin AND "
                            "d.kind = 'transcript'"),
                     101);
    assert_int_equal(fenceline_count("staged_rows"), 0);
    fenceline_assert_clean();
}

/* What somebody has staged for a job of another is never taken for its rows. */
static void test_staged_by_another(void **state)
{
    (void)state;
    fenceline_use_fast(true);
    memset(words, 'w', sizeof words - 1);
    db_exec(fenceline.db,
            "SELECT fenceline.stage_rows(n, 0, '{7}', '{8}', '{null}', '{forged}', NULL, NULL, NULL,"
            " NULL, NULL) FROM generate_series(1, 3) n");
    char *path = write_transcript("ep1", MANY_ROWS, NULL, words);
    process_release(fenceline_run(0, "import", path));
    assert_rows("ep1", false, MANY_ROWS, NULL, words);
    free(path);
    assert_null(db_sqlstate(fenceline.db,
                            "SELECT fenceline.commit_staged(2, 'e', 'transcript', 1, 0, '', '{0,0,0}', "
                            "'', 'srt', '[]', 1, '')")); /* stale: there is no such claim */
    fenceline_assert_clean();
}

/* Pieces that do not make up the document: nothing is written, and the job stays open. */
static void test_pieces_are_missing(void **state)
{
    (void)state;
    static const char *const STAGED[] = {"0", "16", NULL};
    for (int i = 0; STAGED[i]; i++) {
        db_exec(
            fenceline.db,
            "TRUNCATE fenceline.episodes, fenceline.jobs, fenceline.lost_claims RESTART IDENTITY CASCADE");
        db_exec(fenceline.db,
                "INSERT INTO fenceline.episodes (episode_id, fence, nonce) VALUES ('ep1', 1, 'n')");
        db_exec(fenceline.db,
                "INSERT INTO fenceline.jobs (episode_id, kind, source) VALUES ('ep1', 'transcript', 'x')");
        db_exec(fenceline.db, "BEGIN");
        db_exec(fenceline.db,
                "SELECT fenceline.stage_rows(1, $1, '{7}', '{8}', '{null}', '{a}', NULL, NULL, NULL, NULL,"
                " NULL)",
                STAGED[i]);
        char *state_code = db_sqlstate(
            fenceline.db,
            "SELECT fenceline.commit_staged(1, 'ep1', 'transcript', 1, 0, 'n', '{0,0,0}', '', 'srt', '[]',"
            " 17, '')");
        assert_string_equal(state_code, "P0001");
        free(state_code);
        db_exec(fenceline.db, "ROLLBACK");
        fenceline_assert_nothing("ep1", NULL);
        assert_int_equal(fenceline_count_jobs("open"), 1);
    }
}

/* A large commit that gets no further holds up no other import: not even by the same worker, whose other
 * connection is not given to a second large one. */
static void test_small_ones_pass(void **state)
{
    (void)state;
    static const char *const TWO[] = {"FENCELINE_POSTGRES_CONNECTIONS=2",
                                      "FENCELINE_POSTGRES_TIMEOUT_MS=60000", NULL};
    memset(words, 'w', sizeof words - 1);
    free(write_transcript("big1", MANY_ROWS, NULL, words));
    free(write_transcript("big2", MANY_ROWS, NULL, words));
    struct process *worker = fleet_start_worker_with(TWO);
    db_exec(fenceline.db, "BEGIN");
    db_exec(fenceline.db, "LOCK TABLE fenceline.staged_rows IN SHARE MODE");
    PGconn *other = db_open(fenceline.dsn);
    int64_t big[2];
    for (int i = 0; i < 2; i++) {
        char *id = db_text(other, "SELECT fenceline.enqueue($1, 'transcript', source => $2)",
                           i ? "big2" : "big1", i ? "big2.srt" : "big1.srt");
        big[i] = strtoll(id, NULL, 10);
        free(id);
    }
    db_exec(other,
            "SELECT fenceline.enqueue('small' || n, 'chapters', body => convert_to($1, 'UTF8'))"
            "  FROM generate_series(1, 20) n",
            "{\"version\":\"1.2.0\",\"chapters\":[{\"startTime\":0,\"title\":\"a\"}]}");
    for (int i = 0; db_int(other, "SELECT count(*) FROM fenceline.jobs WHERE outcome = 'imported'") < 20;
         i++) {
        assert_true(i < 1000);
        process_sleep_ms(20);
    }
    assert_int_equal(db_int(other, "SELECT count(*) FROM fenceline.jobs WHERE outcome IS NULL"), 2);
    db_exec(fenceline.db, "ROLLBACK");
    db_close(other);
    for (int i = 0; i < 2; i++)
        fleet_await_outcome(big[i], "imported");
    assert_rows("big1", false, MANY_ROWS, NULL, words);
    assert_rows("big2", false, MANY_ROWS, NULL, words);
    fleet_assert_clean();
    fleet_stop_worker(worker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FENCELINE_TEST(test_replace_writes_what_differs),
        FENCELINE_TEST(test_replace_of_chapters),
        FENCELINE_TEST(test_nothing_to_compare_with),
        FENCELINE_TEST(test_replaces_leave_no_bloat),
        FENCELINE_TEST(test_large_documents),
        FENCELINE_TEST(test_staged_by_another),
        FENCELINE_TEST(test_pieces_are_missing),
        FENCELINE_TEST(test_small_ones_pass),
    };
    return cmocka_run_group_tests(tests, fenceline_start_group, fenceline_stop_group);
}
