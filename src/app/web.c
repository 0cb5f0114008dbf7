/* web.c - see web.h.
 *
 * Happy path: a table of paths, and for each a function that writes its answer. Failure modes: the port is
 * taken: told once, and tried again; no memory for an answer: 503. On close: connections are cut off, a
 * reading under way is waited for by the loop. */
#include "app/web.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/page.h"
#include "base/json_write.h"
#include "base/list.h"
#include "base/slice.h"

enum { AGAIN_MS = 5000 };

static const char JSON[] = "application/json", TEXT[] = "text/plain; charset=utf-8";

struct path {
    const char *path;
    /* Fills *answer; false: later. */
    bool (*get)(struct fl_web *web, struct fl_http_answer *answer);
};

/* ---- answers that are written ---- */

static FILE *begin_body(struct fl_web *web)
{
    free(web->body);
    web->body = NULL;
    return open_memstream(&web->body, &web->body_bytes);
}

static void end_body(struct fl_web *web, FILE *out, unsigned status, const char *type,
                     struct fl_http_answer *answer)
{
    bool is_whole = out && !ferror(out);
    if ((out && fclose(out) != 0) || !is_whole) {
        *answer = (struct fl_http_answer){.status = 503, .type = TEXT, .body = FL_SLICE("no memory\n")};
        return;
    }
    *answer = (struct fl_http_answer){.status = status, .type = type, .body = {web->body, web->body_bytes}};
}

/* ---- health ---- */

struct check {
    const char *name, *reason; /* why it does not pass */
    bool passes;
};

static void put_check(struct fl_json_writer *json, const struct check *check)
{
    fl_json_write_begin_object(json);
    fl_json_write_name(json, "check");
    fl_json_write_string(json, fl_slice_from(check->name));
    fl_json_write_name(json, "ok");
    fl_json_write_bool(json, check->passes);
    if (!check->passes) {
        fl_json_write_name(json, "reason");
        fl_json_write_string(json, fl_slice_from(check->reason));
    }
    fl_json_write_end_object(json);
}

static void put_health(const struct fl_web *web, FILE *out, const struct fl_web_health *health, bool is_well,
                       const struct check *checks, size_t count)
{
    struct fl_json_writer json;
    fl_json_write_init(&json, out);
    fl_json_write_begin_object(&json);
    fl_json_write_name(&json, "ok");
    fl_json_write_bool(&json, is_well);
    fl_json_write_name(&json, "worker");
    fl_json_write_string(&json, fl_slice_from(web->worker));
    fl_json_write_name(&json, "state");
    fl_json_write_string(&json, fl_slice_from(health->state));
    fl_json_write_name(&json, "loop_lag_ms");
    fl_json_write_int64(&json, (int64_t)(fl_uv_lag_seconds(&web->lag) * 1000));
    fl_json_write_name(&json, "checks");
    fl_json_write_begin_array(&json);
    for (size_t i = 0; i < count; i++)
        put_check(&json, &checks[i]);
    fl_json_write_end_array(&json);
    fl_json_write_name(&json, "troubles");
    fl_json_write_begin_array(&json);
    for (size_t i = 0; i < health->trouble_count; i++)
        fl_json_write_string(&json, fl_slice_from(health->troubles[i]));
    fl_json_write_end_array(&json);
    fl_json_write_end_object(&json);
    fl_json_write_end_line(&json);
}

static bool get_livez(struct fl_web *web, struct fl_http_answer *answer)
{
    static const struct check TURNS = {"loop", "", true}; /* or this would not be answered */
    struct fl_web_health health = {0};
    FILE *out = begin_body(web);
    web->describe(web->owner, &health);
    if (out)
        put_health(web, out, &health, true, &TURNS, 1);
    end_body(web, out, 200, JSON, answer);
    return true;
}

static void list_checks(const struct fl_web_health *health, struct check checks[FL_METRICS_CHECKS])
{
    checks[0] = (struct check){"redis", "no heartbeat has been answered", health->redis};
    checks[1] = (struct check){"postgres", "it does not answer, or the listening connection is down",
                               health->postgres};
    checks[2] = (struct check){"schema", "its version is not known, or is none that this program fits",
                               health->schema};
    bool is_running = strcmp(health->state, "running") == 0 || strcmp(health->state, "paused") == 0;
    checks[3] = (struct check){"running", "the worker is starting, or was told to stop", is_running};
}

static bool get_readyz(struct fl_web *web, struct fl_http_answer *answer)
{
    struct fl_web_health health = {0};
    struct check checks[FL_METRICS_CHECKS];
    FILE *out = begin_body(web);
    web->describe(web->owner, &health);
    list_checks(&health, checks);
    bool is_ready = true;
    for (size_t i = 0; i < FL_METRICS_CHECKS; i++)
        is_ready = is_ready && checks[i].passes;
    if (out)
        put_health(web, out, &health, is_ready, checks, FL_METRICS_CHECKS);
    end_body(web, out, is_ready ? 200 : 503, JSON, answer);
    return true;
}

/* ---- metrics ---- */

static void add_queue(struct fl_web *web, struct fl_metrics_now *now)
{
    struct fl_overview_depth depth;
    for (int i = 0; i < FL_PRIORITY_COUNT; i++)
        now->stream_entries[i] = (double)web->queue->depth.entries[i];
    if (!fl_overview_depth(&web->overview, &depth))
        return;
    const int64_t jobs[] = {depth.waiting, depth.scheduled, depth.retrying, depth.dispatched, depth.running};
    for (int i = 0; i < FL_METRICS_STATES; i++)
        now->queue_jobs[i] = (double)jobs[i];
    now->oldest_due_s = (double)depth.oldest_due_ms / 1000;
    now->lock_breaks = (double)depth.breaks;
}

static void add_connections(const struct fl_web *web, struct fl_metrics_now *now)
{
    int postgres = web->listen->is_listening;
    for (int i = 0; i < web->store->lane_count; i++)
        postgres += web->store->lanes[i].pg.state >= FL_PG_IDLE;
    now->connections[0] = postgres;
    now->connections[1] = web->lease->commands.connected + web->lease->wakes.connected;
    now->connections[2] = (double)web->http.connection_count;
}

static void add_health(struct fl_web *web, struct fl_metrics_now *now)
{
    struct fl_web_health health = {0};
    struct check checks[FL_METRICS_CHECKS];
    web->describe(web->owner, &health);
    list_checks(&health, checks);
    for (int i = 0; i < FL_METRICS_CHECKS; i++)
        now->ready[i] = checks[i].passes;
    now->paused = health.is_paused;
    now->dispatcher = web->dispatcher->is_active;
}

static bool get_metrics(struct fl_web *web, struct fl_http_answer *answer)
{
    struct fl_metrics_now now;
    FILE *out = begin_body(web);
    fl_metrics_now_init(&now);
    now.slots = (double)web->settings->worker.slots;
    for (int place = 0; place < FL_RUN_PLACES; place++)
        now.in_hand[place] = (double)web->runs->counts[place];
    now.parks = (double)web->runs->parks;
    now.wakeups = (double)web->runs->wakeups;
    now.redeliveries[FL_REDELIVERY_DEAD_WORKER] = (double)web->dispatcher->taken_over;
    now.redeliveries[FL_REDELIVERY_LOST_REPLY] = (double)web->recovered;
    now.redeliveries[FL_REDELIVERY_LOST_ENTRY] = (double)web->dispatcher->found_lost;
    now.loop_lag_s = fl_uv_lag_seconds(&web->lag);
    now.loop_busy_s = (double)web->lag.busy_ns / 1e9;
    now.http_requests = (double)web->http.answered;
    now.http_cut_off = (double)web->http.evicted;
    add_health(web, &now);
    add_queue(web, &now);
    add_connections(web, &now);
    fl_metrics_now_process(&now);
    if (out)
        fl_metrics_write(out, &web->metrics, &now);
    end_body(web, out, 200, "text/plain; version=0.0.4; charset=utf-8", answer);
    return true;
}

/* ---- the page ---- */

static bool get_page(struct fl_web *web, struct fl_http_answer *answer)
{
    *answer = (struct fl_http_answer){
        .status = 200, .type = "text/html; charset=utf-8", .policy = web->page_policy};
    answer->body = web->page ? fl_slice_from(web->page) : FL_SLICE("no memory for the page\n");
    return true;
}

static bool get_overview(struct fl_web *web, struct fl_http_answer *answer)
{
    *answer = (struct fl_http_answer){.status = 200, .type = JSON, .body = fl_overview_page(&web->overview)};
    return answer->body.ptr != NULL;
}

/* ---- which path ---- */

static const struct path PATHS[] = {
    {"/", get_page},       {"/overview.json", get_overview}, {"/metrics", get_metrics},
    {"/livez", get_livez}, {"/readyz", get_readyz},
};

static bool on_asked(void *owner, const char *path, struct fl_http_answer *answer)
{
    struct fl_web *web = owner;
    for (size_t i = 0; i < sizeof PATHS / sizeof *PATHS; i++)
        if (strcmp(path, PATHS[i].path) == 0)
            return PATHS[i].get(web, answer);
    answer->status = 404;
    answer->body = FL_SLICE("here are /, /overview.json, /metrics, /livez and /readyz\n");
    return true;
}

static void on_changed(void *owner)
{
    struct fl_web *web = owner;
    fl_http_resume(&web->http);
}

/* ---- beginning and end ---- */

static void listen_or_wait(struct fl_web *web)
{
    struct fl_err err;
    if (fl_http_open(&web->http, &err) == FL_OK) {
        fl_err_set(&err, FL_OK, "metrics, health and the status page: http://%s/", web->http.shown);
        web->say(web->owner, err.text);
        return;
    }
    if (!web->was_told)
        web->trouble(web->owner, &err);
    web->was_told = true;
    web->clock->set(web->clock->self, &web->again, web->clock->now_ms(web->clock->self) + AGAIN_MS);
}

static void on_again(struct fl_timer *timer)
{
    listen_or_wait(FL_CONTAINER(timer, struct fl_web, again));
}

void fl_web_init(struct fl_web *web, uv_loop_t *loop)
{
    const struct fl_http_events events = {.owner = web, .asked = on_asked};
    fl_uv_lag_init(&web->lag, loop);
    fl_http_init(&web->http, loop, &web->address, &events);
    web->again = (struct fl_timer){.fire = on_again, .at_ms = FL_NEVER_MS};
}

void fl_web_open(struct fl_web *web)
{
    struct fl_err err;
    web->overview.pool = web->pool;
    web->overview.clock = web->clock;
    web->overview.settings = web->settings;
    web->overview.worker = web->worker;
    web->overview.owner = web;
    web->overview.changed = on_changed;
    fl_overview_init(&web->overview);
    if (fl_http_parse_address(web->settings->http_listen, &web->address, &err) != FL_OK ||
        web->address.is_off)
        return; /* the settings have been checked */
    fl_page_build(&web->page, &web->page_policy);
    listen_or_wait(web);
}

void fl_web_close(struct fl_web *web)
{
    web->clock->set(web->clock->self, &web->again, FL_NEVER_MS);
    fl_http_close(&web->http);
    fl_overview_close(&web->overview);
    fl_uv_lag_close(&web->lag);
}

void fl_web_free(struct fl_web *web)
{
    fl_overview_free(&web->overview);
    free(web->page);
    free(web->page_policy);
    free(web->body);
}
