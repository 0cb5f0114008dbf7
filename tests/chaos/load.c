/* load.c - see load.h.
 *
 * Failure modes: what a fault prevents is not enqueued, and the log does not say it was; a client that was
 * killed or lost its servers has printed some answers or none, and those it has printed count. */
#include "load.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "content.h"
#include "stage.h"

enum {
    EPISODES = 150,
    HOT_EPISODES = 12,
    BATCH = 24,
    PATH_ROOM = 3,
    ARGS = 16,
    NAME_BYTES = 64,
    ARG_BYTES = 512,
    CLIENT_LIMIT_MS = 120000,
    LONG_LEASE_MS = 600000,
};

struct client {
    struct process *process; /* NULL = free */
    bool is_break;
    int64_t until_ms;
    char episode[NAME_BYTES];
};

static struct load {
    uint64_t random, number;
    uint64_t last_number[EPISODES][CONTENT_KINDS];
    FILE *log;
    struct client clients[LOAD_CLIENTS];
    int64_t next_client_ms, next_batch_ms, enqueued;
} load;

uint64_t load_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static int below(int limit)
{
    return (int)(load_random(&load.random) >> 33) % limit;
}

void load_start(uint64_t seed, FILE *log)
{
    load = (struct load){.random = content_mix(seed) | 1, .log = log};
}

/* ---- one job ---- */

struct wish {
    char episode[NAME_BYTES];
    enum content_kind kind;
    const char *mode;
    char if_version[24]; /* "" = none */
    uint64_t number;
};

static const char *draw_mode(void)
{
    static const char *const MODES[] = {"create",  "create",  "replace",    "replace", "replace",
                                        "replace", "replace", "if-version", "delete",  "delete"};
    return MODES[below(sizeof MODES / sizeof *MODES)];
}

static struct wish draw_wish(bool may_delete)
{
    int episode = below(3) == 0 ? below(HOT_EPISODES) : below(EPISODES);
    struct wish wish = {.kind = below(2) ? CONTENT_CHAPTERS : CONTENT_TRANSCRIPT, .mode = draw_mode()};
    while (!may_delete && strcmp(wish.mode, "delete") == 0)
        wish.mode = draw_mode();
    snprintf(wish.episode, sizeof wish.episode, "ep%d", episode);
    /* Now and then the same file again. */
    uint64_t *last = &load.last_number[episode][wish.kind];
    if (*last == 0 || below(10) != 0)
        *last = ++load.number;
    wish.number = *last;
    if (strcmp(wish.mode, "if-version") != 0)
        return wish;
    char *version = NULL;
    if (below(4) != 0)
        version = stage_value("SELECT version FROM fenceline.documents WHERE episode_id = $1 AND kind = $2"
                              " AND NOT deleted",
                              wish.episode, content_kind_name(wish.kind));
    snprintf(wish.if_version, sizeof wish.if_version, "%s", version ? version : "0");
    free(version);
    return wish;
}

/* "k17/ep3.srt" below the source root; the path. */
static char *write_file(const struct wish *wish)
{
    char name[2 * NAME_BYTES];
    char *text = content_file(wish->number, wish->kind);
    snprintf(name, sizeof name, "k%" PRIu64 "/%s.%s", wish->number, wish->episode,
             wish->kind == CONTENT_CHAPTERS ? "chapters.json" : "srt");
    char *path = files_write_text(fenceline.folder, name, text);
    free(text);
    return path;
}

static bool enqueue_one(char id[24])
{
    static const char *const PRIORITIES[] = {"high", "normal", "normal", "normal", "low"};
    struct wish wish = draw_wish(true);
    bool is_delete = strcmp(wish.mode, "delete") == 0, has_body = below(4) != 0;
    char name[NAME_BYTES];
    char *text = NULL, *path = NULL;
    const char *source = name;
    snprintf(name, sizeof name, "k%" PRIu64 "/body", wish.number);
    if (!is_delete && has_body) {
        text = content_file(wish.number, wish.kind);
    } else if (!is_delete) {
        path = write_file(&wish);
        source = path + strlen(fenceline.folder) + 1;
    }
    char *found = stage_value("SELECT fenceline.enqueue($1, $2, source => $3, body => convert_to($4, 'UTF8'),"
                              " mode => $5, if_version => $6::bigint, priority => $7)",
                              wish.episode, content_kind_name(wish.kind), source, text, wish.mode,
                              wish.if_version[0] ? wish.if_version : NULL, PRIORITIES[below(5)]);
    snprintf(id, 24, "%s", found ? found : "");
    free(found);
    free(text);
    free(path);
    return id[0] != '\0';
}

/* In one transaction, as an application would. */
static bool enqueue_batch(int count)
{
    char ids[BATCH][24];
    bool is_good = stage_sql("BEGIN") >= 0;
    for (int i = 0; i < count && is_good; i++)
        is_good = enqueue_one(ids[i]);
    /* A lost connection is made anew by the next statement, which then is in no transaction. */
    is_good = is_good && PQtransactionStatus(fenceline.db) == PQTRANS_INTRANS;
    if (stage_sql(is_good ? "COMMIT" : "ROLLBACK") < 0 || !is_good)
        return false;
    for (int i = 0; i < count; i++)
        fprintf(load.log, "enqueued %s\n", ids[i]);
    load.enqueued += count;
    return true;
}

/* A job that was refused is tried again under its old rank: most often it is superseded by now. */
static void retry_one(void)
{
    char *id = stage_value("SELECT new_id FROM fenceline.retry_jobs(ARRAY(SELECT job_id FROM fenceline.jobs"
                           " WHERE outcome IN ('rejected', 'cancelled') AND retried_by IS NULL AND queued"
                           " ORDER BY job_id DESC LIMIT 1), false) WHERE new_id IS NOT NULL");
    if (id)
        fprintf(load.log, "enqueued %s\n", id);
    free(id);
}

/* ---- clients ---- */

/* The first one is the operator's. */
static struct client *free_client(bool is_break)
{
    for (int i = is_break ? 0 : 1; i < LOAD_CLIENTS; i++)
        if (!load.clients[i].process)
            return &load.clients[i];
    return NULL;
}

static void launch(struct client *client, const char *const *argv, bool is_break)
{
    *client = (struct client){
        .process = fenceline_start(&(struct process_spec){.argv = argv}),
        .is_break = is_break,
        .until_ms = process_now_ms() + CLIENT_LIMIT_MS,
    };
}

static void start_delete(struct client *client)
{
    struct wish wish = draw_wish(true);
    launch(client,
           (const char *const[]){"delete", "--json", wish.episode, content_kind_name(wish.kind), NULL},
           false);
}

/* import, or enqueue --wait: some files at once. */
static void start_import(struct client *client, bool is_enqueue)
{
    const char *argv[ARGS] = {is_enqueue ? "enqueue" : "import", "--json"};
    char *paths[PATH_ROOM];
    int files = 1 + below(PATH_ROOM);
    size_t count = 2;
    struct wish wish = {0};
    if (is_enqueue)
        argv[count++] = below(4) == 0 ? "--inline" : "--wait";
    if (is_enqueue)
        argv[count++] = "--wait";
    for (int i = 0; i < files; i++) {
        struct wish next = draw_wish(false);
        if (i == 0)
            wish = next;
        paths[i] = write_file(&next);
    }
    if (wish.if_version[0]) {
        argv[count++] = "--if-version";
        argv[count++] = wish.if_version;
    } else {
        argv[count++] = "--mode";
        argv[count++] = wish.mode;
    }
    for (int i = 0; i < files; i++)
        argv[count++] = paths[i];
    launch(client, argv, false);
    for (int i = 0; i < files; i++)
        free(paths[i]);
}

static void start_break(struct client *client, const char *episode, bool cancel_job)
{
    launch(client,
           (const char *const[]){"locks", "break", "--yes", "--json", "--reason", "chaos", episode,
                                 cancel_job ? "--cancel-job" : NULL, NULL},
           true);
    snprintf(client->episode, sizeof client->episode, "%s", episode);
}

bool load_break(int pid, bool cancel_job)
{
    struct client *client = free_client(true);
    char text[24];
    snprintf(text, sizeof text, "%d", pid);
    char *episode =
        stage_value("SELECT c.episode_id FROM fenceline.open_claims c JOIN fenceline.episodes e USING"
                    " (episode_id) WHERE e.holder LIKE '%:' || $1 ORDER BY random() LIMIT 1",
                    text);
    bool is_started = client && episode;
    if (is_started)
        start_break(client, episode, cancel_job);
    free(episode);
    return is_started;
}

void load_break_long_lease(void)
{
    struct client *client = free_client(true);
    char *episode = client ? stage_long_lease(LONG_LEASE_MS) : NULL;
    if (episode)
        start_break(client, episode, false);
    free(episode);
}

int load_pick_client(uint64_t random, bool is_killed)
{
    for (int i = 0; i < LOAD_CLIENTS; i++) {
        struct client *client = &load.clients[(random + (uint64_t)i) % LOAD_CLIENTS];
        if (client->process && !process_ended(client->process, 0)) {
            client->until_ms = is_killed ? 0 : client->until_ms;
            return (int)client->process->pid;
        }
    }
    return -1;
}

/* ---- what they answered ---- */

/* The number behind "name": in a line of JSON; -1 = null or not there. Texts of ours hold no such names. */
static int64_t member(const char *line, const char *name)
{
    char quoted[NAME_BYTES];
    snprintf(quoted, sizeof quoted, "\"%s\":", name);
    const char *at = strstr(line, quoted);
    if (!at)
        return -1;
    at += strlen(quoted);
    return *at >= '0' && *at <= '9' ? strtoll(at, NULL, 10) : -1;
}

static void log_answer(const char *line)
{
    static const char *const DECIDED[] = {"imported", "unchanged", "rejected", "superseded",
                                          "deleted",  "invalid",   "failed",   "cancelled"};
    char outcome[NAME_BYTES] = "";
    const char *at = strstr(line, "\"outcome\":\"");
    int64_t job = member(line, "job_id");
    if (!at || job < 0)
        return;
    sscanf(at, "\"outcome\":\"%39[a-z]", outcome);
    for (size_t i = 0; i < sizeof DECIDED / sizeof *DECIDED; i++)
        if (strcmp(outcome, DECIDED[i]) == 0)
            fprintf(load.log, "answer %" PRId64 " %s %" PRId64 " %" PRId64 " %" PRId64 "\n", job, outcome,
                    member(line, "version"), member(line, "row_count"), member(line, "exit_code"));
}

static void log_output(const struct client *client)
{
    char *rest = client->process->out.bytes;
    for (char *line; (line = strsep(&rest, "\n")) != NULL && rest;) { /* a cut-off last line is no answer */
        if (!client->is_break)
            log_answer(line);
        else if (strstr(line, "\"broken\":true"))
            fprintf(load.log, "broken %s %" PRId64 " %" PRId64 "\n", client->episode,
                    member(line, "seen_fence"), member(line, "new_fence"));
    }
}

static void check_client(const struct client *client)
{
    const struct process *process = client->process;
    if (strstr(process->err.bytes, "Sanitizer") || strstr(process->err.bytes, "runtime error") ||
        (process->signal != 0 && process->signal != SIGKILL) || process->exit_code == 2) {
        process_print(process);
        LIB_FAIL("a program ended as it must not: exit code %d, signal %d", process->exit_code,
                 process->signal);
    }
}

int load_collect(void)
{
    int running = 0;
    for (int i = 0; i < LOAD_CLIENTS; i++) {
        struct client *client = &load.clients[i];
        if (!client->process)
            continue;
        if (!process_ended(client->process, 0)) {
            running++;
            if (client->until_ms > 0 && process_now_ms() > client->until_ms) {
                process_print(client->process);
                LIB_FAIL("a program has not ended after %d s", CLIENT_LIMIT_MS / 1000);
            }
            continue;
        }
        check_client(client);
        log_output(client);
        process_release(client->process);
        client->process = NULL;
    }
    return running;
}

/* ---- all ---- */

void load_step(int64_t open_target)
{
    int64_t now_ms = process_now_ms();
    load_collect();
    struct client *client = free_client(false);
    if (client && now_ms >= load.next_client_ms) {
        int kind = below(10);
        load.next_client_ms = now_ms + below(300);
        if (kind == 0)
            start_delete(client);
        else
            start_import(client, kind > 6);
    }
    if (now_ms < load.next_batch_ms)
        return;
    char *open = stage_value("SELECT count(*) FROM fenceline.jobs WHERE coalesce(outcome, 'open') = 'open'");
    load.next_batch_ms = now_ms + 10;
    if (open && strtoll(open, NULL, 10) < open_target)
        enqueue_batch(1 + below(BATCH - 1));
    if (below(20) == 0)
        retry_one();
    free(open);
}

int64_t load_enqueued(void)
{
    return load.enqueued;
}

int64_t load_calm(int count)
{
    char *last = stage_value("SELECT max(job_id) FROM fenceline.jobs");
    int64_t id = last ? strtoll(last, NULL, 10) : 0;
    free(last);
    for (int64_t end_ms = process_now_ms() + CLIENT_LIMIT_MS; count > 0;) {
        if (enqueue_batch(BATCH))
            count -= BATCH;
        else if (process_now_ms() > end_ms)
            LIB_FAIL("nothing can be enqueued, though there are no faults");
    }
    return id;
}

void load_stop(void)
{
    for (int i = 0; i < LOAD_CLIENTS; i++) {
        process_release(load.clients[i].process);
        load.clients[i].process = NULL;
    }
}
