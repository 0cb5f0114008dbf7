/* ports.h - what an adapter fills: the same driver runs on Redis and Postgres, or on a simulator.
 *
 * Contract of every port: start() takes a request and returns at once; it never calls done() before it
 * returns, and calls it exactly once later, with an event whose op is the request's. The request belongs to
 * the caller and must stay where it is until then; what it points to (import, document, bytes) must not
 * change meanwhile. */
#ifndef FENCELINE_PORTS_H
#define FENCELINE_PORTS_H

#include "fenceline/import.h"

struct fl_request {
    enum fl_action_type action;
    uint32_t op;
    const struct fl_import *import;
    const struct fl_document *document; /* FL_ACTION_COMMIT (NULL for a delete) */
    void (*done)(struct fl_request *request, struct fl_event *event);
    struct fl_link link; /* adapter's, while it has the request */
    void *adapter;       /* adapter's own, meanwhile */
    int32_t backend_pid; /* set by the store, for reports: the session of Postgres that works on it; or 0 */
    bool alone;          /* adapter's: shared a transaction that failed, and goes alone now */
};

/* FL_ACTION_READ, ENSURE, CLAIM, CLAIM_CHECK, COMMIT, RESOLVE, DECIDE (protocol, steps 1, 3, 5, 6, 7). */
struct fl_store_port {
    void *self;
    void (*start)(void *self, struct fl_request *request);
};

/* FL_ACTION_LEASE, LEASE_CHECK, RENEW, RELEASE (protocol, steps 2, 4, 8). A LEASE that is answered "busy" has
 * put the import on the episode's list of waiters: when the holder releases, woken() is called with its job
 * id. */
struct fl_lease_port {
    void *self;
    void (*start)(void *self, struct fl_request *request);
    void (*woken)(void *owner, int64_t job_id); /* filled by the owner, called by the adapter */
    void *owner;
};

/* Work for a thread of the pool: run() there, touching only what hangs on the work; done() back on the loop.
 */
struct fl_work {
    void (*run)(struct fl_work *work);
    void (*done)(struct fl_work *work);
    void *adapter[20]; /* storage of the adapter, while it has the work */
};

struct fl_pool_port {
    void *self;
    void (*start)(void *self, struct fl_work *work);
};

/* A point in time on CLOCK_BOOTTIME. fire() is called once, at or after at_ms, never from within set(). */
struct fl_timer {
    void (*fire)(struct fl_timer *timer);
    int64_t at_ms; /* FL_NEVER_MS = not set */
    struct fl_link link;
};

struct fl_clock_port {
    void *self;
    int64_t (*now_ms)(void *self);
    void (*random)(void *self, uint64_t out[2]);
    /* Sets or moves the timer; FL_NEVER_MS takes it off. */
    void (*set)(void *self, struct fl_timer *timer, int64_t at_ms);
};

#endif
