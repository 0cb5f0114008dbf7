/*
 * Importers killed by SIGKILL at every step of the protocol.
 *
 * At each fail point (app/drive.c) a process dies. Then the database must hold everything of its import or
 * nothing of it, which of the two is known from the step, and the lease it left must run out by itself: the
 * next import of the same file ends well within that time. Steps that only a lost reply leads to are reached
 * through proxies; a claim and a commit that are still waiting on the server when their process dies are made
 * to wait by row locks of the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/db.h"
#include "../lib/fenceline.h"
#include "../lib/files.h"
#include "../lib/process.h"
#include "../lib/proxy.h"
#include "../lib/rdb.h"
#include "../lib/services.h"

enum { LONG_MS = 30000, POLL_MS = 10, ROWS_OLD = 7, ROWS_NEW = 40 };

/* Short, so that the leases of the dead do not cost the test much; and how long the next one waits for it. */
#define TTL_MS  "1500"
#define WAIT_MS "20000"

enum effect { NOTHING, EVERYTHING };

struct step {
    const char *label;
    enum effect effect;
};

/* What every import goes through. */
static const struct step STEPS[] = {
    {"before-read", NOTHING},       {"after-read", NOTHING},       {"before-lease", NOTHING},
    {"after-lease", NOTHING},       {"before-claim", NOTHING},     {"after-claim", NOTHING},
    {"before-fetch", NOTHING},      {"after-fetch", NOTHING},      {"before-parse", NOTHING},
    {"after-parse", NOTHING},       {"before-commit", NOTHING},    {"after-commit", EVERYTHING},
    {"before-release", EVERYTHING}, {"after-release", EVERYTHING}, {"before-ack", EVERYTHING},
    {"after-ack", EVERYTHING},
};
enum { STEP_COUNT = sizeof STEPS / sizeof *STEPS };

/* A delete has nothing to fetch and to parse. */
static bool is_in_delete(const char *label)
{
    return strstr(label, "fetch") == NULL && strstr(label, "parse") == NULL;
}

static struct services services;
static struct proxy redis_proxy, postgres_proxy;
static char dsn[SERVICES_DSN_BYTES];
static char *folder;
static PGconn *db;
static redisContext *redis;

/* ---- files, and the rows that must come of them ---- */

/* A file of chapters for the episode; its titles begin with tag. Returns its path. */
static char *write_chapters(const char *episode, const char *tag, int rows)
{
    char *text = NULL, *name = NULL;
    size_t size_bytes = 0;
    FILE *out = open_memstream(&text, &size_bytes);
    assert_non_null(out);
    fputs("{\"version\": \"1.2.0\", \"chapters\": [", out);
    for (int i = 0; i < rows; i++)
        fprintf(out, "%s\n{\"startTime\": %d, \"title\": \"%s %d\"}", i == 0 ? "" : ",", i, tag, i);
    fputs("\n]}\n", out);
    assert_int_equal(fclose(out), 0);
    assert_true(asprintf(&name, "%s/%s.chapters.json", tag, episode) > 0);
    char *path = files_write_text(folder, name, text);
    free(text);
    free(name);
    return path;
}

static char *rows_of(const char *tag, int rows)
{
    char *text = NULL;
    size_t size_bytes = 0;
    FILE *out = open_memstream(&text, &size_bytes);
    assert_non_null(out);
    for (int i = 0; i < rows; i++) {
        fprintf(out, "%d %d ", i, i * 1000);
        if (i + 1 < rows)
            fprintf(out, "%d ", (i + 1) * 1000);
        else
            fputs("- ", out);
        fprintf(out, "%s %d\n", tag, i);
    }
    assert_int_equal(fclose(out), 0);
    return text;
}

static char *rows_in_database(const char *episode)
{
    return db_text(db,
                   "SELECT coalesce(string_agg(format(E'%s %s %s %s\\n', order_index, start_ms,"
                   "       coalesce(end_ms::text, '-'), title), '' ORDER BY order_index), '')"
                   "  FROM fenceline.chapters WHERE episode_id = $1",
                   episode);
}

/* ---- what the database says ---- */

static int64_t last_job(const char *episode)
{
    return db_int(db, "SELECT max(job_id) FROM fenceline.jobs WHERE episode_id = $1", episode);
}

static char *outcome_of(int64_t job_id)
{
    char id[24];
    snprintf(id, sizeof id, "%" PRId64, job_id);
    return db_text(db, "SELECT coalesce(outcome, 'open') FROM fenceline.jobs WHERE job_id = $1", id);
}

static void assert_outcome(int64_t job_id, const char *expected)
{
    char *outcome = outcome_of(job_id);
    assert_string_equal(outcome, expected);
    free(outcome);
}

/* Document, version and rows of an episode as one text: whatever an import may change. */
static char *content_of(const char *episode)
{
    char *rows = rows_in_database(episode), *text = NULL;
    char *head =
        db_text(db,
                "SELECT format('version %s, document %s', coalesce(e.version, 0),"
                "              coalesce(to_jsonb(d)::text, 'none'))"
                "  FROM (SELECT 1) one LEFT JOIN fenceline.episodes e ON e.episode_id = $1"
                "  LEFT JOIN fenceline.documents d ON d.episode_id = e.episode_id AND d.kind = 'chapters'",
                episode);
    assert_true(asprintf(&text, "%s\n%s", head, rows) > 0);
    free(head);
    free(rows);
    return text;
}

/* The document is whole and is the work of this job, under a token that was claimed. */
static void assert_written_by(const char *episode, int64_t job_id, const char *outcome, const char *tag,
                              int rows)
{
    char id[24], count[24];
    char *expected = rows_of(tag, rows), *found = rows_in_database(episode);
    assert_string_equal(found, expected);
    free(found);
    free(expected);
    snprintf(id, sizeof id, "%" PRId64, job_id);
    snprintf(count, sizeof count, "%d", rows);
    assert_outcome(job_id, outcome);
    assert_int_equal(
        db_int(db,
               "SELECT count(*) FROM fenceline.documents d JOIN fenceline.jobs j USING (job_id)"
               "  JOIN fenceline.episodes e ON e.episode_id = d.episode_id"
               " WHERE d.episode_id = $1 AND d.kind = 'chapters' AND d.job_id = $2 AND d.row_count = $3"
               "   AND d.deleted = (j.outcome = 'deleted') AND j.version = d.version AND e.version = d.version"
               "   AND e.fence >= e.version AND j.row_count = d.row_count AND d.rank = j.job_id",
               episode, id, count),
        1);
}

/* ---- processes ---- */

static struct process *start_with(const char *redis_url, const char *postgres_dsn, const char *fail_point,
                                  const char *const *arguments)
{
    const char *argv[12] = {fenceline_program()};
    char point[96], redis_text[320], postgres_text[320];
    int count = 1;
    while (*arguments != NULL && count < 11)
        argv[count++] = *arguments++;
    snprintf(redis_text, sizeof redis_text, "FENCELINE_REDIS=%s", redis_url);
    snprintf(postgres_text, sizeof postgres_text, "FENCELINE_POSTGRES=%s", postgres_dsn);
    snprintf(point, sizeof point, "FENCELINE_FAIL_POINT%s%s", fail_point == NULL ? "" : "=",
             fail_point == NULL ? "" : fail_point);
    return process_start(&(struct process_spec){
        .argv = argv,
        .env = (const char *const[]){redis_text, postgres_text, point, "FENCELINE_LEASE_TTL_MS=" TTL_MS,
                                     "FENCELINE_LEASE_WAIT_MS=" WAIT_MS, "NO_COLOR=1", NULL}});
}

#define ARGUMENTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct process *start(const char *const *arguments)
{
    return start_with(services_redis_url(&services), dsn, NULL, arguments);
}
