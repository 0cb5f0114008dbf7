/* http.h - a small read-only HTTP server on an event loop, for numbers and pages about a running process.
 *
 * It is never worth an import: it takes at most a tenth of the loop's time, at most FL_HTTP_CONNECTIONS
 * clients with FL_HTTP_REQUEST_BYTES each, and a request that is not complete, or whose answer is not taken,
 * within FL_HTTP_PATIENCE_MS loses its connection; so does the one that is slow for longest when many come.
 * Only GET and HEAD are answered, and nothing that a client sends is kept. */
#ifndef FL_IO_HTTP_H
#define FL_IO_HTTP_H

#include <netinet/in.h>
#include <uv.h>

#include "fenceline/err.h"
#include "fenceline/types.h"

enum {
    FL_HTTP_CONNECTIONS = 64,
    FL_HTTP_REQUEST_BYTES = 16 * 1024, /* of memory, for a client's headers and our own */
    FL_HTTP_PATIENCE_MS = 10000,
    FL_HTTP_ADDRESS_BYTES = 64
};

/* Where to listen. */
struct fl_http_address {
    bool is_off;
    bool is_loopback; /* nobody from elsewhere gets there */
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
};

/* "127.0.0.1:9465", "[::1]:9465", "0.0.0.0:9465", "off" (or nothing). Port 0: any that is free. FL_USAGE with
 * what would be right. */
FL_CHECKED fl_status fl_http_parse_address(const char *text, struct fl_http_address *address,
                                           struct fl_err *err);

/* What is answered; body is copied. */
struct fl_http_answer {
    unsigned status;    /* 200, 404, ... */
    const char *type;   /* Content-Type */
    const char *policy; /* Content-Security-Policy; NULL = nothing may be loaded or run */
    struct fl_slice body;
};

struct fl_http_events {
    void *owner;
    /* A request for a path. True: *answer is filled, and what it points to lives until the loop turns. False:
     * not yet; the request is asked again after fl_http_resume. */
    bool (*asked)(void *owner, const char *path, struct fl_http_answer *answer);
};

struct fl_http {
    uv_loop_t *loop;
    const struct fl_http_address *address;
    struct fl_http_events events;
    struct MHD_Daemon *daemon; /* NULL = not listening */
    uv_poll_t poll;
    uv_timer_t timer;
    bool is_resting;      /* it has had its share of the loop's time */
    struct fl_link links; /* connections, the one that has been waited for longest first */
    size_t connection_count;
    uint64_t answered, evicted;        /* requests; connections that were too slow, or too many */
    char shown[FL_HTTP_ADDRESS_BYTES]; /* "127.0.0.1:9465", with the port that it has */
};

/* A server that does not listen yet. address and what events points to are borrowed. */
void fl_http_init(struct fl_http *http, uv_loop_t *loop, const struct fl_http_address *address,
                  const struct fl_http_events *events);

/* Listens; after a failure it may be tried again. FL_UNAVAILABLE with the reason: the port is taken, the
 * address is none of this machine's. Not when it is off. */
FL_CHECKED fl_status fl_http_open(struct fl_http *http, struct fl_err *err);

/* Asks again about all requests that were not answered yet. */
void fl_http_resume(struct fl_http *http);

/* Closes all connections at once; run the loop once more before the memory goes. */
void fl_http_close(struct fl_http *http);

#endif
