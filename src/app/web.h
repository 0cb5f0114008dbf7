/* web.h - what a worker answers by HTTP: /metrics, /livez, /readyz, the status page, and its data.
 *
 * Never worth an import: a port that is taken is told once, tried again from time to time, and otherwise
 * nothing is missing. */
#ifndef FL_APP_WEB_H
#define FL_APP_WEB_H

#include "app/dispatcher.h"
#include "app/metrics.h"
#include "app/overview.h"
#include "io/http.h"
#include "io/pg_listen.h"
#include "io/uv_lag.h"

/* How the worker is. Texts are borrowed until the loop turns. */
struct fl_web_health {
    const char *state; /* "starting", "running", "paused", "draining" */
    bool redis, postgres, schema, is_paused;
    const char *troubles[8]; /* why not, as it was told last */
    size_t trouble_count;
};

struct fl_web {
    const struct fl_settings *settings;
    struct fl_clock_port *clock;
    struct fl_pool_port *pool;
    const char *worker; /* its id */
    const struct fl_runs *runs;
    const struct fl_redis_queue *queue;
    const struct fl_redis_lease *lease;
    const struct fl_pg_store *store;
    const struct fl_pg_listen *listen;
    const struct fl_dispatcher *dispatcher;
    void *owner;
    void (*describe)(void *owner, struct fl_web_health *health);
    void (*say)(void *owner, const char *text);
    void (*trouble)(void *owner, const struct fl_err *err);
    struct fl_metrics metrics;
    uint64_t recovered; /* entries whose reply had got lost; the worker counts them */
    /* Its own. */
    struct fl_http_address address;
    struct fl_http http;
    struct fl_uv_lag lag;
    struct fl_overview overview;
    struct fl_timer again;
    bool was_told; /* that it does not listen */
    char *page, *page_policy;
    char *body; /* of the last answer */
    size_t body_bytes;
};

/* First of all, before the loop has any handle. */
void fl_web_init(struct fl_web *web, uv_loop_t *loop);

/* Then, with everything down to trouble filled: listens, if http.listen says so. Never fails. */
void fl_web_open(struct fl_web *web);

/* Then run the loop until it is empty, and fl_web_free. */
void fl_web_close(struct fl_web *web);
void fl_web_free(struct fl_web *web);

#endif
