/* faults.c - see faults.h.
 *
 * A fault begins, and after its duration ends; several are active at once, but only one that replaces or
 * stops the Redis, and one of Postgres. What cannot be done (the server is just away, nothing matched) is not
 * counted. A rule of a proxy counts when it has fired. */
#include "faults.h"

#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "load.h"
#include "stage.h"

enum {
    PLAN_ROOM = 4096,
    ACTIVE_ROOM = 24,
    NAME_BYTES = 64,
    TEXT_BYTES = 256,
    FIRST_MS = 300,
    HOUR_S = 3600,
    CALM_MS = 30000
};

/* Who else must not be at work at the same time. */
enum area { ANYWHERE, OF_REDIS, OF_POSTGRES, OF_POOLER };

struct fault;

/* a, b: two random numbers of this fault. false: it could not be injected. */
typedef bool begin_fn(struct fault *fault);
typedef void end_fn(struct fault *fault);

struct kind {
    const char *name;
    int weight, min_ms, max_ms;
    enum area area;
    begin_fn *begin;
    end_fn *end;
    int number; /* for kinds that share their functions */
    const char *text;
};

struct fault {
    const struct kind *kind;
    int64_t at_ms, until_ms;
    uint64_t a, b;
    int rule, pid;
    bool is_active;
};

static struct plan {
    struct fault faults[PLAN_ROOM];
    int count, next;
    bool verbose;
} plan;

/* ---- processes ---- */

static struct worker *worker_of(const struct fault *fault)
{
    return &stage.workers[fault->a % WORKERS];
}

static bool kill_worker(struct fault *fault)
{
    struct worker *worker = worker_of(fault);
    if (worker->is_killed || process_ended(worker->process, 0))
        return false;
    worker->is_killed = true;
    process_signal(worker->process, SIGKILL);
    return true;
}

static bool tell_worker(struct fault *fault)
{
    struct worker *worker = worker_of(fault);
    if (worker->is_killed || worker->is_stopped || process_ended(worker->process, 0))
        return false;
    worker->is_killed = true;
    process_signal(worker->process, SIGTERM);
    return true;
}

static bool stop_worker(struct fault *fault)
{
    struct worker *worker = worker_of(fault);
    if (worker->is_killed || worker->is_stopped || process_ended(worker->process, 0))
        return false;
    worker->is_stopped = true;
    process_signal(worker->process, SIGSTOP);
    return true;
}

static void continue_worker(struct fault *fault)
{
    struct worker *worker = worker_of(fault);
    if (worker->is_stopped && !process_ended(worker->process, 0))
        process_signal(worker->process, SIGCONT);
    worker->is_stopped = false;
}

static bool kill_client(struct fault *fault)
{
    fault->pid = load_pick_client(fault->a, true);
    return fault->pid > 0 && kill(fault->pid, SIGKILL) == 0;
}

static bool stop_client(struct fault *fault)
{
    fault->pid = load_pick_client(fault->a, false);
    return fault->pid > 0 && kill(fault->pid, SIGSTOP) == 0;
}

static void continue_client(struct fault *fault)
{
    /* It cannot have been collected meanwhile: it was stopped. */
    kill(fault->pid, SIGCONT);
}

/* A claim lasts for milliseconds: a worker is stopped in the middle of one, and an operator does not like it.
 */
static bool break_claim(struct fault *fault)
{
    enum { TRIES = 12 };
    struct worker *worker = worker_of(fault);
    bool is_started = false;
    if (worker->is_killed || worker->is_stopped || process_ended(worker->process, 0))
        return false;
    for (int i = 0; i < TRIES && !is_started; i++) {
        process_signal(worker->process, SIGSTOP);
        is_started = load_break(worker->process->pid, fault->kind->number != 0);
        if (!is_started)
            process_signal(worker->process, SIGCONT);
        process_sleep_ms(i % 4);
    }
    worker->is_stopped = is_started;
    return is_started;
}

/* ---- the network ---- */

extern const char fl_lua_queue_add[], fl_lua_queue_beat[], fl_lua_queue_finish[], fl_lua_queue_take[],
    fl_lua_queue_rescue[], fl_lua_lease_acquire[], fl_lua_lease_release[], fl_lua_lease_renew[],
    fl_lua_lease_look[];

static const char *const SCRIPTS[] = {
    fl_lua_queue_add,     fl_lua_queue_beat,    fl_lua_queue_finish, fl_lua_queue_take, fl_lua_queue_rescue,
    fl_lua_lease_acquire, fl_lua_lease_release, fl_lua_lease_renew,  fl_lua_lease_look,
};
static const char *const REDIS_WORDS[] = {"SUBSCRIBE", "GET\r\n", "EVAL"};
static const char *const SQL_WORDS[] = {
    "fl_commit_chapters",
    "fl_commit_transcript",
    "fl_commit_delete",
    "fl_begin",
    "fl_begin_suspect",
    "fl_postpone",
    "fl_dispatch",
    "fl_dispatched",
    "fl_suspect",
    "fl_read",
    "fl_claim",
    "fl_claim_check",
    "fl_decide",
    "fl_resolve",
    "fl_submit",
    "fl_enqueue",
    "COMMIT",
    "BEGIN",
    "application_name",
    "search_path",
    "fl_control",
    "break_claim",
    "LISTEN",
};
/* What servers say: a result, a row, the end of a transaction, a push. */
static const char *const REDIS_ANSWERS[] = {"*", ":1", "$", "message"};
static const char *const SQL_ANSWERS[] = {"SELECT", "COMMIT", "imported", "done", "stale", "ROLLBACK"};

#define COUNT(array)        (sizeof(array) / sizeof *(array))
#define PICK(array, number) ((array)[(number) % COUNT(array)])

static struct proxy *proxy_of(const struct fault *fault)
{
    return &stage.proxies[fault->a % PATHS][fault->a / PATHS % SERVERS];
}

/* A request, or, every third time, an answer. */
static const char *draw_pattern(const struct fault *fault, bool is_answer, char sha1[TEXT_BYTES])
{
    bool is_redis = fault->a / PATHS % SERVERS == REDIS;
    uint64_t random = fault->b >> 8;
    if (!is_redis)
        return is_answer ? PICK(SQL_ANSWERS, random) : PICK(SQL_WORDS, random);
    if (is_answer)
        return PICK(REDIS_ANSWERS, random);
    size_t word = random % (COUNT(SCRIPTS) + COUNT(REDIS_WORDS));
    if (word >= COUNT(SCRIPTS))
        return REDIS_WORDS[word - COUNT(SCRIPTS)];
    const struct timeval limit = {.tv_sec = 1};
    redisContext *redis = redisConnectWithTimeout("127.0.0.1", stage.redis[stage.primary].port, limit);
    redisReply *reply = NULL;
    if (redis && !redis->err && redisSetTimeout(redis, limit) == REDIS_OK)
        reply = redisCommand(redis, "SCRIPT LOAD %s", SCRIPTS[word]);
    bool is_known = reply && reply->type == REDIS_REPLY_STRING;
    if (is_known)
        snprintf(sha1, TEXT_BYTES, "%s", reply->str);
    if (reply)
        freeReplyObject(reply);
    if (redis)
        redisFree(redis);
    return is_known ? sha1 : "EVALSHA";
}

static bool arm_rule(struct fault *fault)
{
    char sha1[TEXT_BYTES];
    enum proxy_action action = (enum proxy_action)fault->kind->number;
    bool is_answer = action != PROXY_CUT_REPLY && fault->b % 3 == 0;
    fault->rule = proxy_arm(proxy_of(fault), &(struct proxy_rule){
                                                 .direction = is_answer ? PROXY_TO_CLIENT : PROXY_TO_SERVER,
                                                 .action = action,
                                                 .pattern = draw_pattern(fault, is_answer, sha1),
                                                 .nth = 1 + (unsigned)(fault->b >> 4) % 2,
                                                 .reset = (fault->b >> 6) % 2,
                                             });
    return true;
}

static int kind_counts(const struct kind *kind, int by);

/* Other rules of the same proxy go with it, too: seldom, and then they do not count. */
static void end_rule(struct fault *fault)
{
    struct proxy *proxy = proxy_of(fault);
    if (proxy_fired(proxy, fault->rule) == 0)
        kind_counts(fault->kind, -1);
    for (int i = 0; i < plan.next; i++) {
        struct fault *other = &plan.faults[i];
        if (other != fault && other->is_active && other->kind->begin == arm_rule &&
            proxy_of(other) == proxy) {
            if (proxy_fired(proxy, other->rule) == 0)
                kind_counts(other->kind, -1);
            other->is_active = false;
        }
    }
    proxy_disarm_all(proxy);
    proxy_resume(proxy);
}

static bool delay_proxy(struct fault *fault)
{
    proxy_delay(proxy_of(fault), fault->b % 2 ? PROXY_TO_SERVER : PROXY_TO_CLIENT,
                5 + (int)(fault->b >> 8) % 250);
    return true;
}

static void end_delay(struct fault *fault)
{
    proxy_delay(proxy_of(fault), PROXY_TO_SERVER, 0);
    proxy_delay(proxy_of(fault), PROXY_TO_CLIENT, 0);
}

static bool silence_proxy(struct fault *fault)
{
    proxy_block(proxy_of(fault), PROXY_SILENT);
    return true;
}

static bool refuse_proxy(struct fault *fault)
{
    proxy_block(proxy_of(fault), PROXY_REFUSE);
    proxy_cut_all(proxy_of(fault), fault->b % 2);
    return true;
}

static void resume_proxy(struct fault *fault)
{
    proxy_resume(proxy_of(fault));
}

static bool cut_proxy(struct fault *fault)
{
    proxy_cut_all(proxy_of(fault), fault->b % 2);
    return true;
}

/* ---- Redis ---- */

static bool say_redis(struct fault *fault)
{
    return stage_redis_say(stage.primary, fault->kind->text);
}

static bool pause_redis(struct fault *fault)
{
    return stage_redis_say(stage.primary, "CLIENT PAUSE %d %s", 100 + (int)(fault->b >> 8) % 2200,
                           fault->b % 2 ? "ALL" : "WRITE");
}

static bool sleep_redis(struct fault *fault)
{
    char command[NAME_BYTES];
    snprintf(command, sizeof command, "DEBUG SLEEP %d.%02d", (int)(fault->b >> 8) % 2,
             (int)(fault->b >> 16) % 100);
    stage_redis_send(command);
    return true;
}

static bool restart_redis_empty(struct fault *fault)
{
    (void)fault;
    stage_kill_redis(stage.primary);
    return true;
}

static void end_restart_empty(struct fault *fault)
{
    (void)fault;
    stage_start_redis(stage.primary, true);
}

/* The snapshot is taken now; the restart from it comes at the end. */
static bool save_redis(struct fault *fault)
{
    (void)fault;
    return stage_redis_say(stage.primary, "SAVE");
}

static void restart_redis_old(struct fault *fault)
{
    (void)fault;
    stage_kill_redis(stage.primary);
    stage_start_redis(stage.primary, false);
}

/* The replica is cut off from its primary now, and takes its place at the end: the lag is the duration. */
static bool start_replica(struct fault *fault)
{
    int replica = 1 - stage.primary;
    bool is_linked = false;
    (void)fault;
    stage_start_replica(replica);
    if (stage_redis_say(replica, "REPLICAOF 127.0.0.1 %d", (int)stage.redis[stage.primary].port))
        for (int i = 0; i < 100 && !is_linked; i++) {
            process_sleep_ms(10);
            is_linked = stage_redis_say(replica, "EVAL %s 0",
                                        "if string.find(redis.call('INFO', 'replication'), "
                                        "'master_link_status:up', 1, true) then return 1 end"
                                        " return redis.error_reply('ERR not yet')");
        }
    if (is_linked && stage_redis_say(replica, "REPLICAOF NO ONE"))
        return true;
    stage_kill_redis(replica);
    return false;
}

static void promote_replica(struct fault *fault)
{
    int old = stage.primary;
    (void)fault;
    if (fault->b % 2)
        stage_kill_redis(old);
    stage_promote(1 - old);
    stage_kill_redis(old);
}

static bool starve_redis(struct fault *fault)
{
    (void)fault;
    return stage_redis_say(stage.primary, "CONFIG SET maxmemory 1");
}

static bool make_redis_read_only(struct fault *fault)
{
    (void)fault;
    return stage_redis_say(stage.primary, "REPLICAOF 127.0.0.1 1");
}

static void feed_redis(struct fault *fault)
{
    (void)fault;
    stage_redis_say(stage.primary, "CONFIG SET maxmemory 0");
}

static void make_redis_writable(struct fault *fault)
{
    (void)fault;
    stage_redis_say(stage.primary, "REPLICAOF NO ONE");
}

static bool step_clock(struct fault *fault)
{
    stage_step_clock(fault->kind->number);
    return true;
}

static void set_clock(struct fault *fault)
{
    (void)fault;
    stage_step_clock(0);
}

/* ---- Postgres ---- */

#define OURS "datname = current_database() AND usename = 'chaos' "

static bool terminate_one(struct fault *fault)
{
    (void)fault;
    return stage_sql("SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity WHERE " OURS
                     "AND state <> 'idle' ORDER BY random() LIMIT 1) a") > 0;
}

static bool terminate_all(struct fault *fault)
{
    (void)fault;
    return stage_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE " OURS) > 0;
}

/* An error, or the end of the session, at one of the places that write: claims, outcomes, documents, the
 * commit. */
static bool make_trouble(struct fault *fault)
{
    static const char *const PLACES[] = {"episodes", "jobs", "documents", "commit"};
    char share[NAME_BYTES];
    snprintf(share, sizeof share, "0.%02d", 5 + (int)(fault->b >> 8) % 60);
    return stage_sql("UPDATE chaos.trouble SET state = $1, share = $2::float8 WHERE what = $3",
                     fault->kind->text, share, PICK(PLACES, fault->b)) > 0;
}

static void end_trouble(struct fault *fault)
{
    (void)fault;
    stage_sql("UPDATE chaos.trouble SET share = 0");
}

static bool restart_postgres(struct fault *fault)
{
    db_close(fenceline.db);
    fenceline.db = NULL;
    services_postgres_restart(&fenceline.services, (enum services_stop_mode)fault->kind->number);
    return true;
}

static PGconn *locker;

static bool hold_lock(struct fault *fault)
{
    static const char *const LOCKS[] = {
        "LOCK TABLE fenceline.documents IN SHARE MODE",
        "LOCK TABLE fenceline.chapters IN SHARE MODE",
        "LOCK TABLE fenceline.jobs IN SHARE MODE",
        "SELECT FROM fenceline.episodes WHERE episode_id IN ('ep1', 'ep2', 'ep3', 'ep4', 'ep5') FOR UPDATE",
    };
    const char *lock = PICK(LOCKS, fault->b);
    if (fault->kind->number &&
        (stage_sql("ALTER ROLE chaos SET lock_timeout = '150ms'") < 0 || !terminate_all(fault)))
        return false;
    locker = PQconnectdb(fenceline.dsn);
    PQclear(PQexec(locker, "SET lock_timeout = '300ms'"));
    PQclear(PQexec(locker, "BEGIN"));
    PGresult *result = PQexec(locker, lock);
    bool is_held = PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;
    PQclear(result);
    return is_held;
}

static void drop_lock(struct fault *fault)
{
    db_close(locker);
    locker = NULL;
    if (fault->kind->number)
        stage_sql("ALTER ROLE chaos RESET lock_timeout");
}

static bool limit_connections(struct fault *fault)
{
    return stage_sql(fault->b % 2 ? "ALTER ROLE chaos CONNECTION LIMIT 0"
                                  : "ALTER ROLE chaos CONNECTION LIMIT 3") >= 0 &&
           terminate_all(fault);
}

static void end_limit(struct fault *fault)
{
    (void)fault;
    stage_sql("ALTER ROLE chaos CONNECTION LIMIT -1");
}

static bool kill_pooler(struct fault *fault)
{
    (void)fault;
    process_release(stage.pooler);
    stage.pooler = NULL;
    return true;
}

static void restart_pooler(struct fault *fault)
{
    (void)fault;
    stage_start_pooler();
}

/* ---- the table ---- */

static const struct kind KINDS[] = {
    {"SIGKILL a worker", 6, 0, 0, ANYWHERE, kill_worker, NULL, 0, NULL},
    {"SIGTERM a worker", 2, 0, 0, ANYWHERE, tell_worker, NULL, 0, NULL},
    {"SIGSTOP a worker past its leases", 6, LEASE_MS + 200, 3000, ANYWHERE, stop_worker, continue_worker, 0,
     NULL},
    {"SIGSTOP a worker briefly", 4, 50, 900, ANYWHERE, stop_worker, continue_worker, 0, NULL},
    {"SIGKILL an import or enqueue", 4, 0, 0, ANYWHERE, kill_client, NULL, 0, NULL},
    {"SIGSTOP an import or enqueue", 4, 200, 3000, ANYWHERE, stop_client, continue_client, 0, NULL},
    {"locks break", 8, 300, 1800, ANYWHERE, break_claim, continue_worker, 0, NULL},
    {"locks break --cancel-job", 4, 300, 1800, ANYWHERE, break_claim, continue_worker, 1, NULL},
    {"cut before a message", 8, 400, 2500, ANYWHERE, arm_rule, end_rule, PROXY_CUT_BEFORE, NULL},
    {"cut after a message", 8, 400, 2500, ANYWHERE, arm_rule, end_rule, PROXY_CUT_AFTER, NULL},
    {"swallow the answer, cut", 8, 400, 2500, ANYWHERE, arm_rule, end_rule, PROXY_CUT_REPLY, NULL},
    {"half-close before a message", 6, 400, 2500, ANYWHERE, arm_rule, end_rule, PROXY_END_BEFORE, NULL},
    {"hold a message", 6, 400, 3000, ANYWHERE, arm_rule, end_rule, PROXY_HOLD, NULL},
    {"delay a path", 4, 200, 2500, ANYWHERE, delay_proxy, end_delay, 0, NULL},
    {"silence on a path", 3, 200, 3000, ANYWHERE, silence_proxy, resume_proxy, 0, NULL},
    {"connections refused on a path", 3, 100, 1500, ANYWHERE, refuse_proxy, resume_proxy, 0, NULL},
    {"all connections of a path cut", 4, 0, 0, ANYWHERE, cut_proxy, NULL, 0, NULL},
    {"FLUSHALL", 4, 0, 0, OF_REDIS, say_redis, NULL, 0, "FLUSHALL"},
    {"SCRIPT FLUSH", 4, 0, 0, OF_REDIS, say_redis, NULL, 0, "SCRIPT FLUSH"},
    {"Redis restarted empty", 3, 50, 900, OF_REDIS, restart_redis_empty, end_restart_empty, 0, NULL},
    {"Redis restarted from an old snapshot", 4, 200, 3000, OF_REDIS, save_redis, restart_redis_old, 0, NULL},
    {"replica promoted with lag", 4, 100, 2500, OF_REDIS, start_replica, promote_replica, 0, NULL},
    {"CLIENT PAUSE", 3, 0, 0, OF_REDIS, pause_redis, NULL, 0, NULL},
    {"DEBUG SLEEP", 3, 0, 0, OF_REDIS, sleep_redis, NULL, 0, NULL},
    {"Redis out of memory", 3, 100, 1500, OF_REDIS, starve_redis, feed_redis, 0, NULL},
    {"Redis read-only", 3, 100, 1500, OF_REDIS, make_redis_read_only, make_redis_writable, 0, NULL},
    {"clock of Redis forward an hour, and back", 3, 50, 1500, OF_REDIS, step_clock, set_clock, HOUR_S, NULL},
    {"clock of Redis back an hour, and forward", 3, 50, 1500, OF_REDIS, step_clock, set_clock, -HOUR_S, NULL},
    {"pg_terminate_backend, one at work", 8, 0, 0, OF_POSTGRES, terminate_one, NULL, 0, NULL},
    {"pg_terminate_backend, all", 3, 0, 0, OF_POSTGRES, terminate_all, NULL, 0, NULL},
    {"session ended within a step", 6, 50, 800, OF_POSTGRES, make_trouble, end_trouble, 0, "end"},
    {"disk full", 4, 50, 800, OF_POSTGRES, make_trouble, end_trouble, 0, "53100"},
    {"deadlock", 2, 50, 800, OF_POSTGRES, make_trouble, end_trouble, 0, "40P01"},
    {"statement cancelled", 2, 50, 800, OF_POSTGRES, make_trouble, end_trouble, 0, "57014"},
    {"a lock held for long", 2, 200, 1800, OF_POSTGRES, hold_lock, drop_lock, 0, NULL},
    {"lock timeout", 3, 200, 1500, OF_POSTGRES, hold_lock, drop_lock, 1, NULL},
    {"connections exhausted", 2, 200, 1500, OF_POSTGRES, limit_connections, end_limit, 0, NULL},
    {"Postgres restarted fast", 2, 0, 0, OF_POSTGRES, restart_postgres, NULL, SERVICES_FAST, NULL},
    {"Postgres restarted immediate", 2, 0, 0, OF_POSTGRES, restart_postgres, NULL, SERVICES_IMMEDIATE, NULL},
    {"pgbouncer killed", 2, 50, 800, OF_POOLER, kill_pooler, restart_pooler, 0, NULL},
};

static int counts[COUNT(KINDS)], totals[COUNT(KINDS)];

static int kind_counts(const struct kind *kind, int by)
{
    return counts[kind - KINDS] += by;
}

/* ---- drawing, and carrying out ---- */

static const struct kind *draw_kind(uint64_t random)
{
    int sum = 0;
    for (size_t i = 0; i < COUNT(KINDS); i++)
        sum += KINDS[i].weight;
    int at = (int)(random % (uint64_t)sum);
    size_t i = 0;
    while (at >= KINDS[i].weight)
        at -= KINDS[i++].weight;
    return &KINDS[i];
}

void faults_plan(uint64_t seed, int64_t duration_ms, bool verbose)
{
    uint64_t random = content_mix(seed ^ UINT64_C(0x6661756c7473)) | 1;
    int64_t at_ms = FIRST_MS;
    /* Of two rounds one has faults all the time, and the other more imports. */
    bool is_dense = seed % 2 == 0;
    memset(&plan, 0, sizeof plan);
    memset(counts, 0, sizeof counts);
    plan.verbose = verbose;
    while (plan.count < PLAN_ROOM) {
        const struct kind *kind = draw_kind(load_random(&random) >> 20);
        int span_ms = kind->max_ms - kind->min_ms;
        struct fault fault = {
            .kind = kind, .at_ms = at_ms, .a = load_random(&random) >> 16, .b = load_random(&random) >> 16};
        fault.until_ms =
            at_ms + kind->min_ms + (span_ms ? (int64_t)(load_random(&random) >> 20) % span_ms : 0);
        at_ms += (is_dense ? 20 : 100) + (int64_t)(load_random(&random) >> 20) % (is_dense ? 340 : 1600);
        if (fault.until_ms >= duration_ms)
            break;
        plan.faults[plan.count++] = fault;
    }
}

static bool is_taken(enum area area)
{
    for (int i = 0; i < plan.next; i++)
        if (plan.faults[i].is_active && plan.faults[i].kind->area == area)
            return true;
    return false;
}

/* One fault at a time on a path, or the end of one would end the other. */
static bool is_in_the_way(const struct fault *fault)
{
    bool is_network =
        fault->kind->end == resume_proxy || fault->kind->end == end_delay || fault->kind->end == end_rule;
    for (int i = 0; i < plan.next; i++) {
        const struct fault *other = &plan.faults[i];
        if (!other->is_active)
            continue;
        if (is_network && other->kind->end == fault->kind->end && proxy_of(other) == proxy_of(fault))
            return true;
    }
    return fault->kind->area != ANYWHERE && is_taken(fault->kind->area);
}

static void begin_fault(struct fault *fault, int64_t now_ms)
{
    bool is_in = !is_in_the_way(fault) && fault->kind->begin(fault);
    if (!is_in && fault->kind->end == drop_lock)
        drop_lock(fault);
    if (!is_in && fault->kind->end == end_limit)
        end_limit(fault);
    if (is_in)
        kind_counts(fault->kind, 1);
    fault->is_active = is_in && fault->kind->end;
    fault->until_ms += now_ms - fault->at_ms;
    if (plan.verbose)
        print_message("%6" PRId64 " ms: %s%s\n", now_ms, fault->kind->name,
                      is_in ? "" : " (not possible now)");
}

static void end_due(int64_t now_ms)
{
    for (int i = 0; i < plan.next; i++) {
        struct fault *fault = &plan.faults[i];
        if (fault->is_active && fault->until_ms <= now_ms) {
            fault->kind->end(fault);
            fault->is_active = false;
        }
    }
}

void faults_step(int64_t now_ms)
{
    end_due(now_ms);
    while (plan.next < plan.count && plan.faults[plan.next].at_ms <= now_ms)
        begin_fault(&plan.faults[plan.next++], now_ms);
    stage_mend_workers();
}

void faults_end(void)
{
    end_due(INT64_MAX);
    for (int i = 0; i < PATHS; i++)
        for (int j = 0; j < SERVERS; j++) {
            proxy_disarm_all(&stage.proxies[i][j]);
            proxy_resume(&stage.proxies[i][j]);
        }
    /* Redis may still be paused, or asleep. */
    for (int64_t end_ms = process_now_ms() + CALM_MS; !stage_redis_say(stage.primary, "DEL chaos");)
        if (process_now_ms() > end_ms)
            LIB_FAIL("Redis does not write again after the faults");
    stage_mend_workers();
}

void faults_log(FILE *log)
{
    for (size_t i = 0; i < COUNT(KINDS); i++) {
        fprintf(log, "fault %d %s\n", counts[i], KINDS[i].name);
        totals[i] += counts[i];
    }
}

int faults_count(void)
{
    int sum = 0;
    for (size_t i = 0; i < COUNT(KINDS); i++)
        sum += totals[i];
    return sum;
}

void faults_print_totals(void)
{
    for (size_t i = 0; i < COUNT(KINDS); i++)
        print_message("  %6d %s\n", totals[i], KINDS[i].name);
    print_message("  %6d faults\n", faults_count());
}
