/* redis_lease.h - the lease port on Redis: leases, renewals, releases, and wake-ups for those who wait.
 *
 * Keys of an episode share one hash tag, so that a cluster keeps them together and a script may touch them
 * all: "fenceline:{ID}:lease", ":token", ":waiters", where ID is the episode id with '%', '{' and '}' written
 * as %25, %7B and %7D: an id can neither break the tag nor be mistaken for another. */
#ifndef FL_IO_REDIS_LEASE_H
#define FL_IO_REDIS_LEASE_H

#include "base/list.h"
#include "fenceline/ports.h"
#include "io/redis.h"
#include "io/redis_script.h"

enum { FL_LEASE_KEY_BYTES = 3 * 255 + 32, FL_CHANNEL_BYTES = 192 };

struct fl_redis_lease {
    struct fl_lease_port port;
    uv_loop_t *loop;
    struct fl_redis commands; /* leases, pipelined: all of a loop turn go out together */
    struct fl_redis wakes;    /* subscribed to this process' own channel */
    uv_timer_t resubscribe;
    uv_prepare_t dispatch;
    struct fl_redis_scripts scripts;
    struct fl_link queue;
    char channel[FL_CHANNEL_BYTES];
    void (*told)(void *owner, struct fl_slice message); /* a message that is no job id; port.owner; or NULL */
    void (*alive)(void *owner, fl_status status, const struct fl_err *err); /* waits for a ping, or NULL */
    void *alive_owner;
    bool ping_is_sent;
    const char *holder; /* "import@host:pid", shown to operators; borrowed */
};

/* Ready to take requests; connects when the first one comes. address, holder are borrowed. name is the
 * process' own, without spaces, and unique: it names its wake-up channel, "fenceline:wake:<name>". */
void fl_redis_lease_init(struct fl_redis_lease *lease, uv_loop_t *loop,
                         const struct fl_redis_address *address, int64_t timeout_ms, const char *holder,
                         const char *name);

/* Connects and asks for a sign of life; answers later, once: FL_OK, or why Redis cannot be used. One at a
 * time. */
void fl_redis_lease_ping(struct fl_redis_lease *lease,
                         void (*alive)(void *, fl_status, const struct fl_err *), void *owner);

/* Opens the connection for wake-ups and messages now, and keeps it open: for those who wait for more than
 * leases. */
void fl_redis_lease_subscribe(struct fl_redis_lease *lease);

/* Answers everything that is queued or in flight, closes both connections; run the loop once more before the
 * memory goes. */
void fl_redis_lease_close(struct fl_redis_lease *lease);

/* The key of an episode: suffix is "lease", "token" or "waiters". */
struct fl_slice fl_redis_lease_key(struct fl_slice episode, const char *suffix, char out[FL_LEASE_KEY_BYTES]);

/* The other way round: *episode lies in text. False: no such key, as none that fl_redis_lease_key would not
 * make of *episode. */
bool fl_redis_lease_read_key(struct fl_slice key, char text[FL_LEASE_KEY_BYTES], struct fl_slice *episode);

/* The value of a lease: "<nonce> <token> <who>", the nonce in lower-case hex, the token from 1 to below 2^53.
 * False: it is none of fenceline's, and nothing was filled. Slices point into value. */
bool fl_redis_lease_read_value(struct fl_slice value, struct fl_slice *nonce, struct fl_token *token,
                               struct fl_slice *who);

#endif
