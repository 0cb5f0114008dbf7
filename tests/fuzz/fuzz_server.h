/* fuzz_server.h - a Redis that answers what the input says, for targets that run production code over a
 * connection.
 *
 * It listens on a Unix socket and lives on its own loop. Each command is answered with the next part of the
 * input, well-formed as Redis would send it; what it holds is the input's. Parts are ended by 0x1e; the first
 * one holds the messages of a subscription, ended by 0x1f. Any other begins with its type: ':' a number, '_'
 * nil, '-' an error, '+' a status, '*' an array of parts ended by 0x1f (within it one of texts, ended by
 * 0x1d), '!' the connection breaks; anything else is text. SCRIPT LOAD takes no part; a command for which
 * there is none left is answered by 1. */
#ifndef FENCELINE_TESTS_FUZZ_SERVER_H
#define FENCELINE_TESTS_FUZZ_SERVER_H

#include <uv.h>

#include "fuzz.h"
#include "io/redis.h"

/* One for the process. */
struct fuzz_server {
    bool is_ready;
    uv_loop_t loop;
    uv_pipe_t listener;
    struct fl_redis_address address;
    struct fl_slice messages, parts; /* of the input, not sent yet; borrowed */
    size_t message_count;            /* of the input */
    size_t peer_count;               /* open connections */
};

/* Starts it the first time, and gives it this input. */
struct fuzz_server *fuzz_server_start(struct fl_slice input);

/* Runs the loop until all connections are closed, after the other side has closed its own. */
void fuzz_server_drain(struct fuzz_server *server);

#endif
