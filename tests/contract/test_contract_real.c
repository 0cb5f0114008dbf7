/*
 * The contract (contract.h) on the production adapters (io/pg_store.c, io/redis_lease.c) with a real
 * PostgreSQL and a real Redis. Two clients are two pairs of adapters on one event loop.
 *
 * What the cases need of Postgres beyond the ports, deferred triggers do: they run at COMMIT, where they wait
 * for a lock that the test has, or raise an error.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <uv.h>

#include "../lib/fenceline.h"
#include "contract.h"
#include "io/pg_store.h"
#include "io/redis_lease.h"

enum { TIMEOUT_MS = 3 * CONTRACT_LOCK_TIMEOUT_MS, CONNECTIONS = 4, WAIT_MS = 8000, TICK_MS = 1, KEYS = 32 };

static const char TRIGGERS[] =
    "CREATE SCHEMA contract;"
    "CREATE TABLE contract.refuses (yes boolean);"
    "CREATE FUNCTION contract.at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    "    PERFORM set_config('lock_timeout', '0', true);" /* as long as it takes */
    "    PERFORM pg_advisory_xact_lock_shared(7039);"
    "    IF EXISTS (SELECT FROM contract.refuses) THEN"
    "        RAISE EXCEPTION 'refused by the test' USING ERRCODE = '40001';"
    "    END IF;"
    "    RETURN NULL;"
    "END $$;"
    "CREATE CONSTRAINT TRIGGER at_commit AFTER UPDATE ON fenceline.episodes DEFERRABLE INITIALLY DEFERRED"
    "    FOR EACH ROW EXECUTE FUNCTION contract.at_commit();"
    "CREATE CONSTRAINT TRIGGER at_commit AFTER UPDATE ON fenceline.jobs DEFERRABLE INITIALLY DEFERRED"
    "    FOR EACH ROW EXECUTE FUNCTION contract.at_commit()";

static uv_loop_t loop;
static uv_timer_t ticks; /* so that the loop comes back */
static struct fl_pg_store stores[CONTRACT_CLIENTS];
static struct fl_redis_lease leases[CONTRACT_CLIENTS];
static struct fl_redis_address address;
static bool is_down[2], is_holding, is_refusing;

/* A copy of what Redis has. */
static struct {
    char *key, *value;
    size_t value_bytes;
    int64_t ttl_ms;
} kept[KEYS];
static int kept_count;

/* ---- time ---- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

static void run_until(const bool *flag)
{
    int64_t end_ms = now_ms() + WAIT_MS;
    while (!*flag && now_ms() < end_ms)
        uv_run(&loop, UV_RUN_ONCE);
}

static void run_for(int64_t ms)
{
    int64_t end_ms = now_ms() + ms;
    while (now_ms() < end_ms)
        uv_run(&loop, UV_RUN_ONCE);
}

/* ---- clients ---- */

static void set_alive(void *flag, fl_status status, const struct fl_err *err)
{
    (void)err;
    assert_int_equal(status, FL_OK);
    *(bool *)flag = true;
}

/* Its connections stand, and its channel has a subscriber: a wake-up that comes before is lost, and may be.
 */
static void connect_redis(int client)
{
    bool is_alive = false;
    char name[32];
    snprintf(name, sizeof name, "contract-%d", client);
    fl_redis_lease_subscribe(&leases[client]);
    fl_redis_lease_ping(&leases[client], set_alive, &is_alive);
    run_until(&is_alive);
    assert_true(is_alive);
    for (int i = 0; i < 2000; i++) {
        redisReply *reply = redisCommand(fenceline.redis, "PUBSUB NUMSUB fenceline:wake:%s", name);
        bool is_there = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
                        reply->element[1]->integer == 1;
        freeReplyObject(reply);
        if (is_there)
            return;
        run_for(1);
    }
    fail_msg("client %d has not subscribed", client);
}

static int start_group(void **state)
{
    struct fl_err err;
    fenceline_start_group(state);
    fenceline_start_test(state);
    db_exec(fenceline.db, TRIGGERS);
    assert_int_equal(uv_loop_init(&loop), 0);
    uv_timer_init(&loop, &ticks);
    uv_timer_start(&ticks, on_tick, TICK_MS, TICK_MS);
    assert_int_equal(fl_redis_parse_url(fenceline.redis_url, &address, &err), FL_OK);
    for (int i = 0; i < CONTRACT_CLIENTS; i++) {
        static const char *const NAMES[CONTRACT_CLIENTS] = {"contract-0", "contract-1"};
        assert_int_equal(
            fl_pg_store_init(&stores[i], &loop, fenceline.dsn, TIMEOUT_MS, CONNECTIONS, NAMES[i], &err),
            FL_OK);
        fl_redis_lease_init(&leases[i], &loop, &address, TIMEOUT_MS, NAMES[i], NAMES[i]);
        connect_redis(i);
    }
    return 0;
}

static int stop_group(void **state)
{
    for (int i = 0; i < CONTRACT_CLIENTS; i++) {
        fl_pg_store_close(&stores[i]);
        fl_redis_lease_close(&leases[i]);
    }
    uv_close((uv_handle_t *)&ticks, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    for (int i = 0; i < CONTRACT_CLIENTS; i++)
        fl_pg_store_free(&stores[i]);
    fenceline_stop_test(state);
    return fenceline_stop_group(state);
}

/* ---- Postgres ---- */

static const char *number(int64_t value)
{
    static char texts[8][24];
    static int last;
    char *text = texts[last++ % 8];
    snprintf(text, sizeof texts[0], "%" PRId64, value);
    return text;
}

static int64_t add_job(const struct contract_job *job)
{
    bool has_version = job->mode == FL_MODE_IF_VERSION;
    return db_int(fenceline.db,
                  "INSERT INTO fenceline.jobs (episode_id, kind, mode, if_version, rank, source, queued, "
                  "worker, attempts)"
                  "    VALUES ($1, $2, $3, $4, $5, 'a file', false, 'contract', 1) RETURNING job_id",
                  job->episode, fl_kind_name(job->kind), fl_mode_name(job->mode),
                  has_version ? number(job->if_version) : NULL, job->rank ? number(job->rank) : NULL);
}

static struct contract_episode look_episode(const char *name)
{
    struct contract_episode row = {0};
    char *text = db_text(fenceline.db,
                         "SELECT format('%s %s %s', version, fence, nonce) FROM fenceline.episodes"
                         "    WHERE episode_id = $1",
                         name);
    row.is_there =
        text && sscanf(text, "%" SCNd64 " %" SCNd64 " %32s", &row.version, &row.fence, row.nonce.hex) >= 2;
    assert_int_equal(row.is_there, text != NULL);
    free(text);
    return row;
}

/* Which document the rows are of, all of their columns compared; -1 = none; -2 = of none of them. */
static int content_of(const char *name, enum fl_kind kind)
{
    static const char *const SQL[2] = {
        "SELECT string_agg(format('%s %s %s', order_index, start_ms, title), ',' ORDER BY order_index)"
        "    FROM fenceline.chapters WHERE episode_id = $1",
        "SELECT string_agg(format('%s %s %s', order_index, start_ms, body), ',' ORDER BY order_index)"
        "    FROM fenceline.transcript_segments WHERE episode_id = $1"};
    char *rows = db_text(fenceline.db, SQL[kind == FL_TRANSCRIPT], name);
    int found = rows ? -2 : -1;
    for (int i = 0; rows && i < CONTRACT_CONTENTS; i++) {
        const struct fl_document *document = contract_document(kind, i);
        char expected[256];
        size_t length = 0;
        for (size_t k = 0; k < document->row_count; k++) {
            bool is_chapter = kind == FL_CHAPTERS;
            int64_t start_ms = is_chapter ? document->chapters[k].start_ms : document->segments[k].start_ms;
            struct fl_slice text = is_chapter ? document->chapters[k].title : document->segments[k].body;
            length += (size_t)snprintf(expected + length, sizeof expected - length, "%s%zu %" PRId64 " %.*s",
                                       k ? "," : "", k, start_ms, (int)text.len, text.ptr);
        }
        if (strcmp(rows, expected) == 0)
            found = i;
    }
    free(rows);
    return found;
}

static struct contract_document look_document(const char *name, enum fl_kind kind)
{
    struct contract_document row = {.content = content_of(name, kind)};
    int is_deleted = 0;
    char *text = db_text(fenceline.db,
                         "SELECT format('%s %s %s %s %s', deleted::integer, version, rank, job_id, row_count)"
                         "    FROM fenceline.documents WHERE episode_id = $1 AND kind = $2",
                         name, fl_kind_name(kind));
    row.is_there = text && sscanf(text, "%d %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64, &is_deleted,
                                  &row.version, &row.rank, &row.job_id, &row.row_count) == 5;
    assert_int_equal(row.is_there, text != NULL);
    row.is_deleted = is_deleted == 1;
    free(text);
    return row;
}

static struct contract_row look_row(int64_t job_id)
{
    struct contract_row row = {.outcome = FL_OUTCOME_OPEN};
    char outcome[16] = "";
    char *text = db_text(fenceline.db,
                         "SELECT format('%s %s %s', outcome, coalesce(version, 0), coalesce(row_count, 0))"
                         "    FROM fenceline.jobs WHERE job_id = $1 AND outcome IS NOT NULL",
                         number(job_id));
    if (text)
        assert_int_equal(sscanf(text, "%15s %" SCNd64 " %" SCNd64, outcome, &row.version, &row.row_count), 3);
    row.outcome = fl_outcome_from_name((struct fl_slice){outcome, strlen(outcome)});
    free(text);
    return row;
}

static void hold_commits(bool holds)
{
    if (holds != is_holding)
        db_exec(fenceline.db, holds ? "SELECT pg_advisory_lock(7039)" : "SELECT pg_advisory_unlock(7039)");
    is_holding = holds;
}

static void refuse_commits(bool refuses)
{
    db_exec(fenceline.db,
            refuses ? "INSERT INTO contract.refuses VALUES (true)" : "DELETE FROM contract.refuses");
    is_refusing = refuses;
}

static void await_transactions(int waiting, int held)
{
    static const char SQL[] =
        "SELECT count(*) FILTER (WHERE wait_event IN ('transactionid', 'tuple')) * 100"
        "       + count(*) FILTER (WHERE wait_event = 'advisory')"
        "  FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    int64_t end_ms = now_ms() + WAIT_MS, seen;
    while ((seen = db_int(fenceline.db, SQL)) != waiting * 100 + held && now_ms() < end_ms)
        run_for(1);
    assert_int_equal(seen, waiting * 100 + held);
}

static struct fl_commit_mark mark(const struct fl_request *request)
{
    struct fl_commit_mark seen = {.backend_pid = request->backend_pid};
    char *text = db_text(fenceline.db,
                         "SELECT format('%s %s', coalesce(backend_xid::text, '0'),"
                         "              (extract(epoch FROM backend_start) * 1000000)::bigint)"
                         "  FROM pg_stat_activity WHERE pid = $1",
                         number(request->backend_pid));
    assert_non_null(text);
    assert_int_equal(sscanf(text, "%" SCNu64 " %" SCNd64, &seen.xid, &seen.backend_start_us), 2);
    free(text);
    return seen;
}

static void terminate(const struct fl_request *request)
{
    db_exec(fenceline.db, "SELECT pg_terminate_backend($1)", number(request->backend_pid));
}

static bool is_running(const struct fl_commit_mark *session)
{
    return db_int(fenceline.db, "SELECT count(*) FROM pg_stat_activity WHERE pid = $1",
                  number(session->backend_pid)) == 1;
}

static void cut_postgres(int client)
{
    fl_pg_store_interrupt(&stores[client]);
}

static uint64_t future_xid(void)
{
    return (uint64_t)db_int(fenceline.db, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint") +
           1000000;
}

static enum contract_break break_claim(const char *name, const struct contract_episode *seen)
{
    char *status = db_text(fenceline.db,
                           "SELECT status FROM fenceline.break_claim($1, $2, $3, $4, NULL, NULL, 'contract', "
                           "NULL, false, false)",
                           name, number(seen->version), number(seen->fence),
                           seen->nonce.hex[0] ? seen->nonce.hex : NULL);
    assert_non_null(status);
    enum contract_break result = strcmp(status, "broken") == 0    ? CONTRACT_BROKEN
                                 : strcmp(status, "changed") == 0 ? CONTRACT_CHANGED
                                 : strcmp(status, "locked") == 0  ? CONTRACT_LOCKED
                                                                  : CONTRACT_UNKNOWN;
    free(status);
    return result;
}

/* ---- Redis ---- */

static const char *key_of(const char *name, const char *suffix)
{
    static char keys[4][FL_LEASE_KEY_BYTES];
    static int last;
    char *key = keys[last++ % 4];
    struct fl_slice made = fl_redis_lease_key((struct fl_slice){name, strlen(name)}, suffix, key);
    key[made.len] = '\0';
    return key;
}

static struct contract_lease look_lease(const char *name)
{
    const char *key = key_of(name, "lease");
    char *value = rdb_text(fenceline.redis, "GET %s", key);
    char *counter = rdb_text(fenceline.redis, "GET %s", key_of(name, "token"));
    struct contract_lease seen = {.is_held = value, .counter = counter ? strtoll(counter, NULL, 10) : 0};
    struct fl_slice nonce, who;
    struct fl_token token;
    if (value) {
        assert_true(fl_redis_lease_read_value((struct fl_slice){value, strlen(value)}, &nonce, &token, &who));
        memcpy(seen.nonce.hex, nonce.ptr, FL_NONCE_LEN);
        seen.token = token.n;
        seen.remaining_ms = rdb_int(fenceline.redis, "PTTL %s", key);
    }
    free(value);
    free(counter);
    return seen;
}

static void set_counter(const char *name, int64_t counter)
{
    if (counter)
        rdb_exec(fenceline.redis, "SET %s %s", key_of(name, "token"), number(counter));
    else
        rdb_exec(fenceline.redis, "DEL %s", key_of(name, "token"));
}

static void lose_redis(void)
{
    rdb_exec(fenceline.redis, "FLUSHALL");
}

static void forget_copy(void)
{
    for (int i = 0; i < kept_count; i++) {
        free(kept[i].key);
        free(kept[i].value);
    }
    kept_count = 0;
}

static void keep_redis(void)
{
    forget_copy();
    redisReply *keys = redisCommand(fenceline.redis, "KEYS *");
    assert_true(keys && keys->type == REDIS_REPLY_ARRAY && keys->elements <= KEYS);
    for (size_t i = 0; i < keys->elements; i++) {
        const char *key = keys->element[i]->str;
        redisReply *dump = redisCommand(fenceline.redis, "DUMP %s", key);
        int64_t ttl_ms = rdb_int(fenceline.redis, "PTTL %s", key);
        assert_true(dump && dump->type == REDIS_REPLY_STRING);
        kept[kept_count].key = strdup(key);
        kept[kept_count].value = malloc((size_t)dump->len);
        memcpy(kept[kept_count].value, dump->str, (size_t)dump->len);
        kept[kept_count].value_bytes = (size_t)dump->len;
        kept[kept_count++].ttl_ms = ttl_ms > 0 ? ttl_ms : 0;
        freeReplyObject(dump);
    }
    freeReplyObject(keys);
}

static void roll_back_redis(void)
{
    lose_redis();
    for (int i = 0; i < kept_count; i++)
        rdb_exec(fenceline.redis, "RESTORE %s %s %b", kept[i].key, number(kept[i].ttl_ms), kept[i].value,
                 kept[i].value_bytes);
}

static void add_dead_waiter(const char *name)
{
    char *now = rdb_text(fenceline.redis, "EVAL %s 0", "return redis.call('TIME')[1]");
    rdb_exec(fenceline.redis, "ZADD %s %s000 %s", key_of(name, "waiters"),
             number(strtoll(now, NULL, 10) + 60), "fenceline:wake:nobody 1");
    free(now);
}

static void expire_waiters(const char *name)
{
    rdb_exec(
        fenceline.redis, "EVAL %s 1 %s",
        "for _, w in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do redis.call('ZADD', KEYS[1], 1, w) end "
        "return 1",
        key_of(name, "waiters"));
}

/* ---- all of it ---- */

static void set_down(bool redis, bool postgres)
{
    if (redis && !is_down[0])
        services_redis_stop(&fenceline.services, SERVICES_IMMEDIATE);
    if (postgres && !is_down[1])
        services_postgres_stop(&fenceline.services, SERVICES_FAST);
    bool was_down[2] = {is_down[0], is_down[1]};
    is_down[0] = redis;
    is_down[1] = postgres;
    if (was_down[0] != redis || was_down[1] != postgres)
        run_for(20); /* the connections notice */
    if (!redis && was_down[0])
        services_redis_start(&fenceline.services);
    if (!postgres && was_down[1])
        services_postgres_start(&fenceline.services);
    if (!redis && !postgres && (was_down[0] || was_down[1]))
        fenceline_reconnect();
    for (int i = 0; !redis && was_down[0] && i < CONTRACT_CLIENTS; i++)
        connect_redis(i);
}

static void start_case(void)
{
    lose_redis();
}

static void end_case(void)
{
    set_down(false, false);
    hold_commits(false);
    if (is_refusing)
        refuse_commits(false);
    forget_copy();
    await_transactions(0, 0);
}

int main(void)
{
    static const struct contract_backend BACKEND = {
        .stores = {&stores[0].port, &stores[1].port},
        .leases = {&leases[0].port, &leases[1].port},
        .start_case = start_case,
        .end_case = end_case,
        .run_until = run_until,
        .run_for = run_for,
        .add_job = add_job,
        .episode = look_episode,
        .document = look_document,
        .row = look_row,
        .hold_commits = hold_commits,
        .refuse_commits = refuse_commits,
        .await_transactions = await_transactions,
        .mark = mark,
        .terminate = terminate,
        .is_running = is_running,
        .cut_postgres = cut_postgres,
        .future_xid = future_xid,
        .break_claim = break_claim,
        .lease = look_lease,
        .set_counter = set_counter,
        .lose_redis = lose_redis,
        .keep_redis = keep_redis,
        .roll_back_redis = roll_back_redis,
        .add_dead_waiter = add_dead_waiter,
        .expire_waiters = expire_waiters,
        .set_down = set_down,
    };
    return contract_run(&BACKEND, start_group, stop_group);
}
