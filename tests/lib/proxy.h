/*
 * A TCP proxy on loopback between a client and a real server, run by a thread of the test program. It
 * forwards bytes unchanged until a rule or a switch says otherwise.
 *
 *     struct proxy proxy;
 *     uint16_t port = proxy_start(&proxy, services_postgres_port(&services));
 *     int rule = proxy_arm(&proxy, &(struct proxy_rule){
 *         .direction = PROXY_TO_SERVER, .action = PROXY_CUT_REPLY, .pattern = "COMMIT"});
 *     ... the client commits through the port and loses the answer ...
 *     assert_true(proxy_wait_fired(&proxy, rule, 1, 5000));
 *     proxy_stop(&proxy);
 *
 * A pattern is found even when it is split over several reads. What happens is decided by the position of the
 * pattern in the stream and not by how TCP cut the stream into pieces: bytes in front of a pattern are always
 * forwarded. A cut does not wait for answers to what was forwarded before. The functions are for the test's
 * thread; where the system refuses they fail the running test.
 *
 * The server is connected to when the client has been accepted. So when the server is down, a client sees its
 * connection accepted and then closed; for a refused connection use proxy_block with PROXY_REFUSE.
 */
#ifndef TESTS_LIB_PROXY_H
#define TESTS_LIB_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PROXY_PATTERN_MAX_BYTES = 256, PROXY_RULES_MAX = 32 };

enum proxy_direction { PROXY_TO_SERVER, PROXY_TO_CLIENT };

enum proxy_action {
    PROXY_COUNT,      /* only count */
    PROXY_CUT_BEFORE, /* forward what is in front of the pattern, then close both sides: the receiver never
                         sees the pattern as a whole */
    PROXY_CUT_AFTER,  /* forward the piece with the pattern, then close both sides. The piece may end inside a
                         message that is longer than one read: to be sure that a server executes the message,
                         take PROXY_CUT_REPLY */
    PROXY_CUT_REPLY,  /* PROXY_TO_SERVER only: go on forwarding to the server, swallow all it sends from now
                         on,  and close both sides as soon as it has sent something (or the until pattern): so
                         it  did execute, and the client never learns */
    PROXY_END_BEFORE, /* forward what is in front of the pattern, then only this direction ends (half-close:
                         the receiver sees the end of the stream); the other one goes on */
    PROXY_HOLD, /* hold the pattern and all behind it in this direction until proxy_resume: a late packet */
};

enum proxy_block {
    PROXY_SILENT, /* connections are accepted and stay open, but no byte passes in either direction */
    PROXY_REFUSE, /* new connections are refused; those that exist go on */
};

struct proxy_rule {
    enum proxy_direction direction; /* of the pattern */
    enum proxy_action action;
    const void *pattern;  /* raw bytes, copied */
    size_t pattern_bytes; /* at most PROXY_PATTERN_MAX_BYTES; 0: pattern is a string that ends with NUL */
    const void *until;    /* PROXY_CUT_REPLY: close when the server has sent this; NULL: anything. Needed when
                             answers to earlier requests may still be under way */
    size_t until_bytes;
    unsigned nth; /* act at this occurrence, counted over all connections from the arming on; 0 means 1 */
    bool every;   /* and at all that follow; otherwise once */
    bool reset; /* close by RST ("connection reset") instead of FIN ("end of file"). After PROXY_CUT_AFTER the
                   receiver of the pattern gets FIN all the same, so that it surely reads it */
};

struct proxy {
    struct proxy_state *state;
};

/* Listens on a free port of 127.0.0.1 and returns it. */
uint16_t proxy_start(struct proxy *proxy, uint16_t target_port);

/* Closes every connection and ends the thread. Calling it twice is fine; *proxy must be zeroed or started. */
void proxy_stop(struct proxy *proxy);

/* Connections from now on go to another server, as after a failover. Those that exist stay. */
void proxy_set_target(struct proxy *proxy, uint16_t target_port);

/* Adds a rule and returns its number. If several rules match in the same piece, the one armed first acts.
 * PROXY_RULES_MAX can be armed at once. A further one takes the place of the oldest if that was disarmed; the
 * number of the oldest is then not valid any more. */
int proxy_arm(struct proxy *proxy, const struct proxy_rule *rule);

/* No rule acts or counts any more; their numbers stay readable. Connections that are held stay held. */
void proxy_disarm_all(struct proxy *proxy);

/* How often the pattern was seen; how often the action was carried out (the connection is closed, the bytes
 * are being held; always 0 for PROXY_COUNT). */
unsigned proxy_hits(struct proxy *proxy, int rule);
unsigned proxy_fired(struct proxy *proxy, int rule);

/* Waits until the number is at least count; false when the time ran out. */
bool proxy_wait_hits(struct proxy *proxy, int rule, unsigned count, int timeout_ms);
bool proxy_wait_fired(struct proxy *proxy, int rule, unsigned count, int timeout_ms);

/* Connections accepted since the start; connections open now. */
unsigned proxy_connections(struct proxy *proxy);
unsigned proxy_open_connections(struct proxy *proxy);
bool proxy_wait_connections(struct proxy *proxy, unsigned count, int timeout_ms);

void proxy_block(struct proxy *proxy, enum proxy_block block);

/* Ends proxy_block and lets go what PROXY_HOLD holds. */
void proxy_resume(struct proxy *proxy);

/* Closes all connections that exist now; they are closed when it returns. */
void proxy_cut_all(struct proxy *proxy, bool reset);

/* Every piece read from now on in this direction is forwarded that much later (latency, not bandwidth). */
void proxy_delay(struct proxy *proxy, enum proxy_direction direction, int delay_ms);

#endif
