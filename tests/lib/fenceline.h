/*
 * The program under test, beside real servers: one Redis and one PostgreSQL for a whole test program, and for
 * each test a migrated database of its own, an empty Redis and an empty folder for its input files.
 *
 *     static void test_imports(void **state)
 *     {
 *         (void)state;
 *         char *path = fenceline_write_chapters("ep1", "first", 12);
 *         fenceline_run(0, "import", path);
 *         fenceline_assert_chapters("ep1", "first", 12);
 *         free(path);
 *     }
 *
 *     int main(void)
 *     {
 *         const struct CMUnitTest tests[] = {FENCELINE_TEST(test_imports)};
 *         return cmocka_run_group_tests(tests, fenceline_start_group, fenceline_stop_group);
 *     }
 *
 * Which binary runs: $FENCELINE_BIN, else "fenceline" in the folder above the test program's own
 * (build/test/integration/test_x -> build/test/fenceline). fenceline_use_fast(true) takes instead
 * $FENCELINE_BIN_FAST, or the debug build beside it (build/debug/fenceline), if there is one: fail points,
 * but no sanitizers, so that hundreds of runs stay short.
 *
 * The program gets a clean environment: PATH, HOME, TMPDIR and the sanitizers' options of the test's own, and
 * FENCELINE_REDIS and FENCELINE_POSTGRES of the running test, and FENCELINE_HTTP_LISTEN=off. More is given
 * per run and wins over these.
 *
 * Every function fails the running cmocka test, and prints what the program wrote, if something goes wrong.
 * Strings returned are malloc'ed; processes returned belong to the caller, but a test may leave them: the end
 * of each test releases all. What a run writes is searched for fenceline.secret (when the test has set it)
 * and for a sanitizer's report: either fails the test.
 */
#ifndef TESTS_LIB_FENCELINE_H
#define TESTS_LIB_FENCELINE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "db.h"
#include "files.h"
#include "process.h"
#include "rdb.h"
#include "services.h"

/* How long one run may take, unless the test says otherwise. Far more than any run needs. */
enum { FENCELINE_RUN_MS = 60000 };

/* What the running test has. Read it; only the last four are for tests to change, and they are set again for
 * the next test. */
struct fenceline {
    struct services services;
    char dsn[SERVICES_DSN_BYTES]; /* the test's database, direct */
    PGconn *db;                   /* connections of the test itself to both; NULL after their server was */
    redisContext *redis;          /* stopped: fenceline_reconnect */
    char *folder;                 /* input files; readable for everybody, removed after the test */

    const char *redis_url;    /* what the program is told: the server itself, or say a proxy */
    const char *postgres_dsn; /* the same; default: dsn */
    const char *const *env;   /* as in process.h, for every run of this test; a run's own env wins. Or NULL */
    const char *secret;       /* must never appear in any output; NULL: nothing to look for */
};
extern struct fenceline fenceline;

/* Group setup and teardown: servers, and one migrated database as the pattern for those of the tests. */
int fenceline_start_group(void **state);
int fenceline_stop_group(void **state);

/* Setup and teardown of a test. Teardown starts a server again that the test has stopped. */
int fenceline_start_test(void **state);
int fenceline_stop_test(void **state);
#define FENCELINE_TEST(function)                                                                             \
    cmocka_unit_test_setup_teardown(function, fenceline_start_test, fenceline_stop_test)

/* New connections of the test itself, after a restart of a server or before using db in another database. */
void fenceline_reconnect(void);

/* ---- running ---- */

/* The binary that runs now. */
const char *fenceline_binary(void);

/* From now on until the end of the test: the fast build. Falls back to the usual binary. */
void fenceline_use_fast(bool fast);

/* Starts the program. spec as in process.h, but argv is without the program's name, env adds to the
 * environment described above, clean_env is implied, and folder is the test's folder unless it is given. */
struct process *fenceline_start(const struct process_spec *spec);

/* The same with nothing but arguments. */
#define fenceline_launch(...)                                                                                \
    fenceline_start(&(struct process_spec){.argv = (const char *const[]){__VA_ARGS__, NULL}})

/* Waits for the end, and fails the test unless it exited by itself with this code. */
struct process *fenceline_finish(struct process *process, int exit_code);
struct process *fenceline_finish_within(struct process *process, int exit_code, int timeout_ms);

/* Waits until the process has stopped itself (SIGSTOP), as at a fail point "<label>:stop". */
void fenceline_await_stop(const struct process *process);

/* Starts, waits, checks the exit code; gives the process with all that it wrote. */
#define fenceline_run(exit_code, ...) fenceline_finish(fenceline_launch(__VA_ARGS__), (exit_code))
#define fenceline_run_spec(exit_code, ...)                                                                   \
    fenceline_finish(fenceline_start(&(struct process_spec){__VA_ARGS__}), (exit_code))

/* The output of the process contains (or does not contain) the text. */
void fenceline_assert_out(const struct process *process, const char *text);
void fenceline_assert_err(const struct process *process, const char *text);
void fenceline_assert_not_out(const struct process *process, const char *text);
void fenceline_assert_not_err(const struct process *process, const char *text);

/* ---- input files, in the test's folder ---- */

/* "<episode>.chapters.json" with count chapters: chapter i (from 0) starts at i * 10 s, ends where the next
 * one starts (the last: null) and has the title "<tag> chapter <i>". Returns its path. The episode may hold
 * folders in front ("tree/a/ep1"). */
char *fenceline_write_chapters(const char *episode, const char *tag, int count);

/* "<episode>.srt" with count segments: segment i lasts from i * 10 s to i * 10 s + 9,5 s and says
 * "<tag> segment <i>". */
char *fenceline_write_transcript(const char *episode, const char *tag, int count);

/* ---- what is stored ---- */

/* The document, and exactly these rows: those of fenceline_write_chapters / _transcript. No document, a wrong
 * row count in it, other rows, rows missing, twice or too many all fail the test with both sides. */
void fenceline_assert_chapters(const char *episode, const char *tag, int count);
void fenceline_assert_transcript(const char *episode, const char *tag, int count);

/* Is it stored exactly so? For tests that do not know which of two files won. */
bool fenceline_has_chapters(const char *episode, const char *tag, int count);
bool fenceline_has_transcript(const char *episode, const char *tag, int count);

/* No document that is not deleted, and no row, of that kind ("chapters", "transcript"; NULL: of either). */
void fenceline_assert_nothing(const char *episode, const char *kind);

/* Rows of a table of the schema, such as "jobs". */
int64_t fenceline_count(const char *table);

/* All that is wrong in the database and must never be: a document without its rows, rows without their
 * document, overlapping or repeated order, fence below version, two jobs with the same imported version ...
 */
void fenceline_assert_consistent(void);

/* ---- jobs ---- */

/* Outcome of the newest job of the episode and kind (NULL: any kind); "open" while it has none, NULL if there
 * is no job. */
char *fenceline_outcome(const char *episode, const char *kind);
void fenceline_assert_outcome(const char *episode, const char *kind, const char *outcome);

/* Jobs with this outcome; "open": without one. */
int64_t fenceline_count_jobs(const char *outcome);

/* ---- leases ---- */

/* Keys of leases in Redis, of all episodes. */
int64_t fenceline_count_leases(void);

/* The key of a lease, as documented: the id's '%', '{', '}' are %25, %7B, %7D. */
char *fenceline_lease_key(const char *episode);

/* A lease held by somebody else, in the documented form "<nonce> <token> <who>". ttl_ms > 0. */
void fenceline_set_lease(const char *episode, const char *who, int64_t ttl_ms);
void fenceline_drop_lease(const char *episode);

/* Nothing is left of what has ended: no lease in Redis, no open job row, and the database is consistent. */
void fenceline_assert_clean(void);

#endif
