/*
 * Redis in tests, over synchronous hiredis. Commands are formats of hiredis: %s takes a string, %b bytes and
 * a size_t, so that no value is ever quoted by hand. An error reply, a lost connection and a reply of an
 * unexpected type fail the running cmocka test with the command's format and the reason.
 *
 *     redisContext *redis = rdb_open(services_redis_port(&services));
 *     rdb_exec(redis, "SET %s %s", key, "value");
 *     assert_int_equal(rdb_int(redis, "EXISTS %s", key), 1);
 *     rdb_close(redis);
 */
#ifndef TESTS_LIB_RDB_H
#define TESTS_LIB_RDB_H

#include <stdint.h>

#include <hiredis/hiredis.h>

/* A connection to 127.0.0.1; every answer must come within 10 seconds. */
redisContext *rdb_open(uint16_t port);

/* NULL is allowed. */
void rdb_close(redisContext *redis);

/* Runs a command; any reply but an error is fine. */
void rdb_exec(redisContext *redis, const char *format, ...);

/* A string, status or number as malloc'ed text; NULL for nil. */
char *rdb_text(redisContext *redis, const char *format, ...);

/* A number, or a string that holds one. */
int64_t rdb_int(redisContext *redis, const char *format, ...);

#endif
