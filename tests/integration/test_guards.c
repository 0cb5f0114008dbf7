/*
 * Guards removed, on the real servers (docs/TESTING.md): each guard of the functions in config/schema, of the
 * scripts in lua/ and of the store's adapter is attacked twice. With it the attack fails. Then that guard
 * alone is taken out of the text, which must be there to the letter, and the same attack succeeds: so it is
 * this guard that holds, and this test would see its loss.
 */
#include "../lib/fenceline.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include <uv.h>

#include "io/pg_store.h"
#include "io/redis_script.h"

enum { TIMEOUT_MS = 10000, POLL_MS = 5 };

#define NONCE_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define NONCE_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* ---- taking a guard out ---- */

/* The text with `part` replaced; fails unless it is there exactly once. malloc'ed. */
static char *replaced(const char *text, const char *part, const char *by)
{
    const char *at = strstr(text, part);
    if (!at || strstr(at + 1, part))
        LIB_FAIL("the guard is not in the text exactly once: %s\n--- text ---\n%s", part, text);
    size_t size = strlen(text) + strlen(by) + 1;
    char *result = malloc(size);
    assert_non_null(result);
    snprintf(result, size, "%.*s%s%s", (int)(at - text), text, by, at + strlen(part));
    return result;
}

static void leave_out(const char *function, const char *guard, const char *instead)
{
    char *text = db_text(fenceline.db, "SELECT pg_get_functiondef($1::regproc)", function);
    char *without = replaced(text, guard, instead);
    db_exec(fenceline.db, without);
    free(without);
    free(text);
}

/* ---- the steps of an import, by hand ---- */

static const char *number(int64_t value)
{
    static char texts[128][24];
    static int last;
    char *text = texts[last++ % 128];
    snprintf(text, sizeof texts[0], "%" PRId64, value);
    return text;
}

/* Its id, as text. */
static const char *add_job(const char *episode, const char *mode)
{
    db_exec(fenceline.db, "INSERT INTO fenceline.episodes (episode_id) VALUES ($1) ON CONFLICT DO NOTHING",
            episode);
    return number(db_int(fenceline.db,
                         "INSERT INTO fenceline.jobs (episode_id, kind, mode, queued, worker)"
                         "    VALUES ($1, 'chapters', $2, false, 'test') RETURNING job_id",
                         episode, mode));
}

#define CLAIM_SQL                                                                                            \
    "SELECT (fenceline.claim_episodes(ARRAY[$1], ARRAY[$2::bigint], ARRAY[$3::bigint], ARRAY[$4::bigint],"   \
    "                                 ARRAY[$5], 'test', ARRAY[$6::bigint]))[1]::integer"

static bool claim(const char *job, const char *episode, int64_t version, int64_t fence, int64_t token,
                  const char *nonce)
{
    return db_int(fenceline.db, CLAIM_SQL, episode, number(version), number(fence), number(token), nonce,
                  job) == 1;
}

#define COMMIT_SQL                                                                                           \
    "SELECT status FROM fenceline.commit_chapters($1, $2, $3, $4, $5, '{0,0,0}', sha256(convert_to($6, "     \
    "'UTF8')),"                                                                                              \
    "    'json', '[]', '{0}', '{null}', ARRAY[$6], '{null}', '{null}', '{true}', '{null}')"

/* Says the function that it has done it? */
static bool commit(const char *job, const char *episode, int64_t token, int64_t version, const char *nonce,
                   const char *title)
{
    char *status =
        db_text(fenceline.db, COMMIT_SQL, job, episode, number(token), number(version), nonce, title);
    bool is_done = strcmp(status, "done") == 0;
    free(status);
    return is_done;
}

static bool outcome_is(const char *job, const char *outcome)
{
    char *text =
        db_text(fenceline.db, "SELECT coalesce(outcome, 'open') FROM fenceline.jobs WHERE job_id = $1", job);
    bool is_so = strcmp(text, outcome) == 0;
    free(text);
    return is_so;
}

static bool title_is(const char *episode, const char *title)
{
    char *text = db_text(
        fenceline.db, "SELECT string_agg(title, ',') FROM fenceline.chapters WHERE episode_id = $1", episode);
    bool is_so = text && strcmp(text, title) == 0;
    free(text);
    return is_so;
}

static void decide(const char *job, const char *outcome)
{
    db_exec(fenceline.db, "SELECT fenceline.decide_job($1, $2, 'by the test')", job, outcome);
}

static bool break_claim(const char *episode, int64_t version, int64_t fence, const char *nonce)
{
    char *status =
        db_text(fenceline.db,
                "SELECT status FROM fenceline.break_claim($1, $2, $3, $4, NULL, NULL, 'test', NULL,"
                "                                         false, false)",
                episode, number(version), number(fence), nonce);
    bool is_broken = strcmp(status, "broken") == 0;
    free(status);
    return is_broken;
}

/* Claims with the next token, and commits. */
static void import(const char *job, const char *episode, const char *title)
{
    int64_t version =
        db_int(fenceline.db, "SELECT version FROM fenceline.episodes WHERE episode_id = $1", episode);
    int64_t fence =
        db_int(fenceline.db, "SELECT fence FROM fenceline.episodes WHERE episode_id = $1", episode);
    assert_true(claim(job, episode, version, fence, fence + 1, NONCE_A));
    assert_true(commit(job, episode, fence + 1, version, NONCE_A, title));
}

/* ---- attacks on the functions: true = it has succeeded ---- */

/* It has read, and has a lease with a high token; its lock is broken; it claims on what it has read. */
static bool claims_after_a_break(const char *episode)
{
    const char *job = add_job(episode, "create");
    assert_true(break_claim(episode, 0, 0, NULL));
    return claim(job, episode, 0, 0, 5, NONCE_A) && commit(job, episode, 5, 0, NONCE_A, "after the break");
}

/* Redis went back, and handed the same token out twice. */
static bool claims_the_same_token(const char *episode)
{
    const char *first = add_job(episode, "replace"), *second = add_job(episode, "replace");
    assert_true(claim(first, episode, 0, 0, 5, NONCE_A));
    return claim(second, episode, 0, 5, 5, NONCE_B);
}

/* Both have token 5, and only A has claimed with it. */
static bool commits_with_another_nonce(const char *episode)
{
    const char *first = add_job(episode, "replace"), *second = add_job(episode, "replace");
    assert_true(claim(first, episode, 0, 0, 5, NONCE_A));
    return commit(second, episode, 5, 0, NONCE_B, "not the claimant") &&
           title_is(episode, "not the claimant");
}

/* Another has claimed since, and both have read the same version. */
static bool commits_after_a_later_claim(const char *episode)
{
    const char *first = add_job(episode, "replace"), *second = add_job(episode, "replace");
    assert_true(claim(first, episode, 0, 0, 1, NONCE_A));
    assert_true(claim(second, episode, 0, 1, 2, NONCE_B));
    return commit(first, episode, 1, 0, NONCE_A, "too late") && title_is(episode, "too late");
}

/* It is cancelled, its caller has been told so, and then its commit arrives. */
static bool commits_a_decided_job(const char *episode)
{
    const char *job = add_job(episode, "replace");
    assert_true(claim(job, episode, 0, 0, 1, NONCE_A));
    decide(job, "cancelled");
    return commit(job, episode, 1, 0, NONCE_A, "was cancelled") && outcome_is(job, "imported");
}

/* It is imported, and another delivery of it gives up. */
static bool decides_an_imported_job(const char *episode)
{
    const char *job = add_job(episode, "replace");
    import(job, episode, "is there");
    decide(job, "failed");
    return outcome_is(job, "failed");
}

static bool overwrites_a_newer_job(const char *episode)
{
    const char *older = add_job(episode, "replace"), *newer = add_job(episode, "replace");
    import(newer, episode, "new");
    import(older, episode, "old");
    return title_is(episode, "old");
}

/* tests/model/rank.pml */
static bool overwrites_what_a_newer_job_confirmed(const char *episode)
{
    const char *first = add_job(episode, "replace"), *second = add_job(episode, "replace");
    const char *third = add_job(episode, "replace");
    import(first, episode, "A");
    import(third, episode, "A");
    assert_true(outcome_is(third, "unchanged"));
    import(second, episode, "B");
    return title_is(episode, "B");
}

/* It has read that there is a document; that is deleted before it reports so. */
static bool rejects_without_a_ground(const char *episode)
{
    const char *first = add_job(episode, "create"), *deletes = add_job(episode, "delete");
    const char *second = add_job(episode, "create");
    import(first, episode, "is there");
    assert_true(claim(deletes, episode, 1, 1, 2, NONCE_A));
    db_exec(fenceline.db, "SELECT fenceline.commit_delete($1, $2, 'chapters', 2, 1, $3, '{0,0,0}')", deletes,
            episode, NONCE_A);
    assert_true(outcome_is(deletes, "deleted"));
    decide(second, "rejected");
    return outcome_is(second, "rejected");
}

/* The core has not looked, or at something else: the function has the last word. */
static bool creates_twice(const char *episode)
{
    const char *first = add_job(episode, "create"), *second = add_job(episode, "create");
    import(first, episode, "first");
    import(second, episode, "second");
    return title_is(episode, "second");
}

static bool commits_after_its_break(const char *episode)
{
    const char *job = add_job(episode, "replace");
    assert_true(claim(job, episode, 0, 0, 1, NONCE_A));
    assert_true(break_claim(episode, 0, 1, NONCE_A));
    return commit(job, episode, 1, 0, NONCE_A, "was broken") && title_is(episode, "was broken");
}

/* An operator saw A; meanwhile B has claimed, whom nobody wants to break. */
static bool breaks_the_next_holder(const char *episode)
{
    const char *first = add_job(episode, "replace"), *second = add_job(episode, "replace");
    assert_true(claim(first, episode, 0, 0, 1, NONCE_A));
    assert_true(claim(second, episode, 0, 1, 2, NONCE_B));
    break_claim(episode, 0, 1, NONCE_A);
    return !commit(second, episode, 2, 0, NONCE_B, "is healthy");
}

/* ---- attacks in the middle of a commit, which waits for the table of chapters ---- */

static void await_waiting(const char *event)
{
    static const char SQL[] = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                              "   AND wait_event_type = 'Lock' AND wait_event = $1";
    const struct timespec pause = {0, POLL_MS * 1000000L};
    for (int ms = 0; db_int(fenceline.db, SQL, event) == 0; ms += POLL_MS) {
        if (ms > TIMEOUT_MS)
            LIB_FAIL("nobody waits for a lock of a %s", event);
        nanosleep(&pause, NULL);
    }
}

static void send_query(PGconn *conn, const char *sql, const char *const *params, int count)
{
    assert_int_equal(PQsendQueryParams(conn, sql, count, NULL, params, NULL, NULL, 0), 1);
}

static void finish(PGconn *conn)
{
    for (PGresult *result; (result = PQgetResult(conn));)
        PQclear(result);
}

/* A has checked its claim and is about to write when B claims: afterwards both have succeeded. */
static bool claims_in_the_middle_of_a_commit(const char *episode)
{
    const char *first = add_job(episode, "replace"), *second = add_job(episode, "replace");
    const char *const params[] = {first, episode, "1", "0", NONCE_A, "overtaken"};
    PGconn *blocker = db_open(fenceline.dsn), *slow = db_open(fenceline.dsn);
    assert_true(claim(first, episode, 0, 0, 1, NONCE_A));
    db_exec(blocker, "BEGIN");
    db_exec(blocker, "LOCK TABLE fenceline.jobs IN SHARE MODE");
    send_query(slow, COMMIT_SQL, params, 6);
    await_waiting("relation");
    db_exec(fenceline.db, "SET lock_timeout = '100ms'");
    char *state = db_sqlstate(fenceline.db, CLAIM_SQL, episode, "0", "1", "2", NONCE_B, second);
    db_exec(fenceline.db, "RESET lock_timeout");
    bool is_claimed = !state;
    if (state)
        assert_string_equal(state, "55P03"); /* it waits for the commit's lock */
    free(state);
    db_exec(blocker, "COMMIT");
    finish(slow);
    db_close(slow);
    db_close(blocker);
    return is_claimed && title_is(episode, "overtaken");
}

/* Its session is ended after the outcome, before the rows. in_pieces: each statement in a transaction of its
 * own. */
static bool ends_between_outcome_and_rows(const char *episode, bool in_pieces)
{
    const char *job = add_job(episode, "replace");
    const char *const params[] = {job, episode, "1", "0", NONCE_A, "half"};
    PGconn *blocker = db_open(fenceline.dsn), *slow = db_open(fenceline.dsn);
    assert_true(claim(job, episode, 0, 0, 1, NONCE_A));
    db_exec(blocker, "BEGIN");
    db_exec(blocker, "LOCK TABLE fenceline.chapters IN EXCLUSIVE MODE");
    if (in_pieces) {
        db_exec(slow,
                "SELECT fenceline.enter_commit($1, 1, 0, $2, '{0,0,0}', 'chapters', sha256('half'), 1, "
                "'chapters-json', '[]', NULL)",
                job, NONCE_A);
        send_query(slow, "DELETE FROM fenceline.chapters WHERE episode_id = $1", &episode, 1);
    } else {
        send_query(slow, COMMIT_SQL, params, 6);
    }
    await_waiting("relation");
    db_exec(fenceline.db, "SELECT pg_terminate_backend($1)", number(PQbackendPID(slow)));
    finish(slow);
    db_exec(blocker, "COMMIT");
    db_close(slow);
    db_close(blocker);
    return outcome_is(job, "imported") && !title_is(episode, "half");
}

static void test_without_one_transaction(void **state)
{
    (void)state;
    assert_false(ends_between_outcome_and_rows("ep1", false));
    assert_true(ends_between_outcome_and_rows("ep2", true));
}

/* ---- the table of them ---- */

struct guard {
    const char *name;
    bool (*attack)(const char *episode);
    const char *function, *guard, *instead;
};

static const struct guard GUARDS[] = {
    {"claim_condition", claims_after_a_break, "fenceline.claim_episodes",
     "AND version = versions[i] AND fence = fences[i] AND tokens[i] > fence;", "AND tokens[i] > fence;"},
    {"token_above_fence", claims_the_same_token, "fenceline.claim_episodes",
     "fence = fences[i] AND tokens[i] > fence;", "fence = fences[i];"},
    {"nonce", commits_with_another_nonce, "fenceline.enter_commit", " AND e.nonce = my_nonce", ""},
    {"commit_condition", commits_after_a_later_claim, "fenceline.enter_commit",
     "AND e.version = ver AND e.fence = tok AND e.nonce = my_nonce", ""},
    {"write_once_in_commit", commits_a_decided_job, "fenceline.enter_commit", " AND outcome IS NULL;", ";"},
    {"write_once_in_decide", decides_an_imported_job, "fenceline.decide_job", " AND outcome IS NULL;", ";"},
    {"superseded", overwrites_a_newer_job, "fenceline.judge",
     "ELSIF d.rank > coalesce(j.rank, j.job_id) THEN", "ELSIF false THEN"},
    {"rank_of_unchanged", overwrites_what_a_newer_job_confirmed, "fenceline.enter_commit",
     "IF a.outcome = 'unchanged' THEN", "IF false THEN"},
    {"decide_again", rejects_without_a_ground, "fenceline.decide_job",
     "IF want IN ('rejected', 'superseded') THEN", "IF false THEN"},
    {"judge_at_commit", creates_twice, "fenceline.enter_commit",
     "fenceline.judge(k, d) v WHERE k.job_id = id;", "fenceline.judge(k, d) v WHERE false;"},
    {"row_lock", claims_in_the_middle_of_a_commit, "fenceline.enter_commit", "       FOR NO KEY UPDATE OF e;",
     ";"},
    {"break_fence", commits_after_its_break, "fenceline.break_claim",
     "SET fence = e.fence + 1, nonce = replace(gen_random_uuid()::text, '-', ''),",
     "SET fence = e.fence, nonce = e.nonce,"},
    {"break_condition", breaks_the_next_holder, "fenceline.break_claim",
     " AND e.version = seen_version AND e.fence = seen_fence\n       AND e.nonce IS NOT DISTINCT FROM "
     "seen_nonce",
     ""},
};

enum { GUARD_COUNT = sizeof GUARDS / sizeof *GUARDS };

static void test_without(void **state)
{
    const struct guard *guard = *state;
    fenceline_start_test(NULL);
    assert_false(guard->attack("ep1"));
    leave_out(guard->function, guard->guard, guard->instead);
    assert_true(guard->attack("ep2"));
}

/* ---- the scripts of Redis ---- */

static int64_t call(const char *script, int keys, const char *a, const char *b, const char *c, const char *d)
{
    /* Keys and arguments that a script does not know are no harm. */
    redisReply *reply = redisCommand(fenceline.redis, "EVAL %s %d %s %s %s %s %s %s %s %s %s %s", script,
                                     keys, a, b, c, d, "0", "60000", "me", "60000", "channel 1", "60000");
    assert_non_null(reply);
    if (reply->type == REDIS_REPLY_ERROR)
        LIB_FAIL("%s", reply->str);
    int64_t value =
        reply->type == REDIS_REPLY_ARRAY ? strtoll(reply->element[1]->str, NULL, 10) : reply->integer;
    freeReplyObject(reply);
    return value;
}

static void set_lease(const char *nonce)
{
    redisReply *reply = redisCommand(fenceline.redis, "SET lease %s%s PX 5000", nonce, " 1 another");
    assert_non_null(reply);
    freeReplyObject(reply);
}

/* The lease is B's by now. */
static bool releases_anothers(const char *script)
{
    set_lease(NONCE_B);
    return call(script, 2, "lease", "waiters", NONCE_A, "0") == 1;
}

static bool renews_anothers(const char *script)
{
    set_lease(NONCE_B);
    return call(script, 1, "lease", NONCE_A, "60000", "0") == 1;
}

/* Redis has lost its counter, and Postgres' fence is at 41: a token of 1 could claim nothing. */
static bool hands_out_a_low_token(const char *script)
{
    redisReply *reply =
        redisCommand(fenceline.redis, "EVAL %s 3 lease counter waiters %s 41 5000 me 60000 %s 60000", script,
                     NONCE_A, "channel 1");
    assert_non_null(reply);
    assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
    bool is_low = strtoll(reply->element[1]->str, NULL, 10) <= 41;
    freeReplyObject(reply);
    return is_low;
}

static const struct script_guard {
    const char *name;
    bool (*attack)(const char *script);
    enum fl_script script;
    const char *guard, *instead;
} SCRIPTS[] = {
    {"release_compare", releases_anothers, FL_SCRIPT_RELEASE,
     " and string.sub(held, 1, 33) == ARGV[1] .. ' '", ""},
    {"renew_compare", renews_anothers, FL_SCRIPT_RENEW, " and string.sub(held, 1, 33) == ARGV[1] .. ' '", ""},
    {"floor", hands_out_a_low_token, FL_SCRIPT_ACQUIRE, "if counter < floor then\n  counter = floor\nend\n",
     ""},
};

enum { SCRIPT_COUNT = sizeof SCRIPTS / sizeof *SCRIPTS };

static void flush(void)
{
    redisReply *reply = redisCommand(fenceline.redis, "FLUSHALL");
    assert_non_null(reply);
    freeReplyObject(reply);
}

static void test_script_without(void **state)
{
    const struct script_guard *guard = *state;
    fenceline_start_test(NULL);
    const char *script = fl_redis_script_text(guard->script);
    assert_false(guard->attack(script));
    char *without = replaced(script, guard->guard, guard->instead);
    flush();
    assert_true(guard->attack(without));
    free(without);
}

/* ---- the store's adapter: what it relies on is replaced behind its back (the Makefile wraps it) ---- */

static bool has_no_order, has_no_tag, is_rolled_back;

int __real_fl_slice_compare(struct fl_slice a, struct fl_slice b);
int __wrap_fl_slice_compare(struct fl_slice a, struct fl_slice b);
int __wrap_fl_slice_compare(struct fl_slice a, struct fl_slice b)
{
    return has_no_order ? 0 : __real_fl_slice_compare(a, b);
}

char *__real_PQcmdStatus(PGresult *result);
char *__wrap_PQcmdStatus(PGresult *result);
char *__wrap_PQcmdStatus(PGresult *result)
{
    static char commit_tag[] = "COMMIT";
    return has_no_tag ? commit_tag : __real_PQcmdStatus(result);
}

/* A COMMIT that Postgres answers with ROLLBACK. */
void __real_fl_pg_add_command(struct fl_pg *pg, const char *sql);
void __wrap_fl_pg_add_command(struct fl_pg *pg, const char *sql);
void __wrap_fl_pg_add_command(struct fl_pg *pg, const char *sql)
{
    __real_fl_pg_add_command(pg, is_rolled_back && strcmp(sql, "COMMIT") == 0 ? "ROLLBACK" : sql);
}

static uv_loop_t loop;
static uv_timer_t ticks; /* keeps the loop alive while nothing is connected yet */

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

struct step {
    struct fl_import import;
    struct fl_request request;
    fl_status status;
    bool is_claimed;
};

static int unanswered;

static void on_done(struct fl_request *request, struct fl_event *event)
{
    struct step *step = FL_CONTAINER(request, struct step, request);
    step->status = event->status;
    step->is_claimed = event->type == FL_EVENT_CLAIMED && event->claimed.claimed;
    unanswered--;
}

static void start(struct fl_pg_store *store, struct step *step, enum fl_action_type action, const char *job,
                  const char *episode, const char *nonce)
{
    *step = (struct step){.import = {.job = {.job_id = strtoll(job, NULL, 10),
                                             .episode = {episode, strlen(episode)},
                                             .kind = FL_CHAPTERS},
                                     .want = FL_OUTCOME_CANCELLED,
                                     .lease = {.token = {1}}}};
    memcpy(step->import.lease.nonce.hex, nonce, FL_NONCE_LEN);
    step->request = (struct fl_request){.action = action, .op = 1, .import = &step->import, .done = on_done};
    unanswered++;
    store->port.start(store->port.self, &step->request);
}

static void open_stores(struct fl_pg_store *stores, int count)
{
    struct fl_err err;
    assert_int_equal(uv_loop_init(&loop), 0);
    uv_timer_init(&loop, &ticks);
    uv_timer_start(&ticks, on_tick, POLL_MS, POLL_MS);
    for (int i = 0; i < count; i++)
        assert_int_equal(fl_pg_store_init(&stores[i], &loop, fenceline.dsn, TIMEOUT_MS, 1, "guards", &err),
                         FL_OK);
}

static void close_stores(struct fl_pg_store *stores, int count)
{
    for (int i = 0; i < count; i++)
        fl_pg_store_close(&stores[i]);
    uv_close((uv_handle_t *)&ticks, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    for (int i = 0; i < count; i++)
        fl_pg_store_free(&stores[i]);
}

static void await_answers(void)
{
    while (unanswered > 0)
        uv_run(&loop, UV_RUN_ONCE);
}

/* Is the job told to be decided, though its row is open? */
static bool takes_a_rollback_for_success(const char *episode)
{
    struct fl_pg_store store;
    struct step step;
    const char *job = add_job(episode, "replace");
    open_stores(&store, 1);
    is_rolled_back = true;
    start(&store, &step, FL_ACTION_DECIDE, job, episode, NONCE_A);
    await_answers();
    is_rolled_back = false;
    close_stores(&store, 1);
    assert_true(outcome_is(job, "open"));
    return step.status == FL_OK;
}

static void test_without_command_tag(void **state)
{
    (void)state;
    assert_false(takes_a_rollback_for_success("ep1"));
    has_no_tag = true;
    bool has_succeeded = takes_a_rollback_for_success("ep2");
    has_no_tag = false;
    assert_true(has_succeeded);
}

static size_t deadlocks(void)
{
    char *log = files_read(services_postgres_log_path(&fenceline.services), NULL);
    size_t count = files_count_text(log, "deadlock detected");
    free(log);
    return count;
}

/* Two batches of the same two episodes, one the other way round. Each update takes a while, with its lock. */
static bool deadlocks_two_batches(const char *one, const char *two)
{
    struct fl_pg_store stores[2];
    struct step steps[4];
    const char *job_one = add_job(one, "replace"), *job_two = add_job(two, "replace");
    size_t before = deadlocks();
    open_stores(stores, 2);
    start(&stores[0], &steps[0], FL_ACTION_CLAIM, job_one, one, NONCE_A);
    start(&stores[0], &steps[1], FL_ACTION_CLAIM, job_two, two, NONCE_A);
    start(&stores[1], &steps[2], FL_ACTION_CLAIM, job_two, two, NONCE_B);
    start(&stores[1], &steps[3], FL_ACTION_CLAIM, job_one, one, NONCE_B);
    await_answers();
    close_stores(stores, 2);
    /* Whatever happened, each was claimed by one of the two: the one that was rolled back has gone again. */
    assert_int_equal(steps[0].is_claimed + steps[3].is_claimed, 1);
    assert_int_equal(steps[1].is_claimed + steps[2].is_claimed, 1);
    return deadlocks() > before;
}

static void test_without_batch_order(void **state)
{
    (void)state;
    db_exec(fenceline.db, "CREATE FUNCTION public.linger() RETURNS trigger LANGUAGE plpgsql AS"
                          "    $$ BEGIN PERFORM pg_sleep(0.3); RETURN NEW; END $$;"
                          "CREATE TRIGGER linger BEFORE UPDATE ON fenceline.episodes"
                          "    FOR EACH ROW EXECUTE FUNCTION public.linger();"
                          "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = ''50ms''',"
                          "                           current_database()); END $$");
    assert_false(deadlocks_two_batches("a1", "a2"));
    has_no_order = true;
    bool has_succeeded = deadlocks_two_batches("b1", "b2");
    has_no_order = false;
    assert_true(has_succeeded);
}

int main(void)
{
    static char names[GUARD_COUNT + SCRIPT_COUNT][64];
    struct CMUnitTest tests[GUARD_COUNT + SCRIPT_COUNT + 3] = {
        FENCELINE_TEST(test_without_one_transaction),
        FENCELINE_TEST(test_without_command_tag),
        FENCELINE_TEST(test_without_batch_order),
    };
    struct CMUnitTest *test = &tests[3];
    for (int i = 0; i < GUARD_COUNT; i++, test++) {
        snprintf(names[i], sizeof names[i], "test_without_%s", GUARDS[i].name);
        *test = (struct CMUnitTest){names[i], test_without, NULL, fenceline_stop_test, (void *)&GUARDS[i]};
    }
    for (int i = 0; i < SCRIPT_COUNT; i++, test++) {
        char *name = names[GUARD_COUNT + i];
        snprintf(name, sizeof names[0], "test_without_%s", SCRIPTS[i].name);
        *test =
            (struct CMUnitTest){name, test_script_without, NULL, fenceline_stop_test, (void *)&SCRIPTS[i]};
    }
    return cmocka_run_group_tests(tests, fenceline_start_group, fenceline_stop_group);
}
