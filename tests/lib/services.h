/*
 * Real servers for tests: a Redis and a PostgreSQL of the test program's own, on free ports of 127.0.0.1,
 * with their files in a new temporary folder. Servers that already run on the machine are never touched.
 *
 *     static struct services services;
 *
 *     static int start(void **state) { services_start(&services, SERVICES_REDIS | SERVICES_POSTGRES); return
 * 0; } static int stop(void **state)  { services_stop(&services); return 0; }
 *
 *     char dsn[SERVICES_DSN_BYTES];
 *     services_new_database(&services, dsn);      one a test: tests do not see each other's rows
 *
 * Nothing is left behind: servers and folder go with services_stop, at exit, and also when the test program
 * is killed (parent death signals; a small watching process then removes the folder). All functions fail the
 * running cmocka test, with the end of the server's log, when something does not work in time. They are for
 * the main thread (see process.h).
 *
 * Redis runs without persistence: it is empty after every start. PostgreSQL runs with fsync off unless
 * SERVICES_FSYNC is given: its data outlive any stop and restart here, though not a crash of the machine. As
 * root it runs as the user "postgres", since it refuses to run as root.
 *
 * Programs: redis-server from PATH; PostgreSQL from $FENCELINE_TEST_PG_BIN, else the newest
 * /usr/lib/postgresql/<version>/bin, else PATH.
 */
#ifndef TESTS_LIB_SERVICES_H
#define TESTS_LIB_SERVICES_H

#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum services_flag {
    SERVICES_REDIS = 1,
    SERVICES_POSTGRES = 2,
    SERVICES_FSYNC = 4, /* PostgreSQL with fsync on */
};

enum services_stop_mode {
    SERVICES_FAST,      /* orderly: PostgreSQL rolls back what is open, Redis leaves by SIGTERM */
    SERVICES_IMMEDIATE, /* like a crash: PostgreSQL recovers at its next start, Redis is killed */
};

enum { SERVICES_DSN_BYTES = 256 };

struct services {
    struct services_state *state;
};

/* The name of the first program that these flags need and this machine lacks, or NULL: for skip(). */
const char *services_missing(unsigned flags);

/* Starts what the flags name, and returns when it accepts connections. */
void services_start(struct services *services, unsigned flags);

/* Stops everything and removes the folder. Calling it twice is fine; *services must be zeroed or started. */
void services_stop(struct services *services);

/* A stopped server keeps its port, and starts on it again. Signals (SIGSTOP, SIGKILL) can be sent to the pid;
 * a server that was stopped by SIGSTOP can still be stopped here. */
void services_postgres_stop(struct services *services, enum services_stop_mode mode);
void services_postgres_start(struct services *services);
void services_postgres_restart(struct services *services, enum services_stop_mode mode);
void services_redis_stop(struct services *services, enum services_stop_mode mode);
void services_redis_start(struct services *services);

/* Further arguments of a server from its next start on ("--fsync=on", NULL); the last one wins, also over
 * those that are given here anyway. NULL = none again. The list is borrowed until it is replaced. */
void services_postgres_set_args(struct services *services, const char *const *args);
void services_redis_set_args(struct services *services, const char *const *args);

/* A program of the PostgreSQL that runs here ("pg_basebackup"), and the user whom its servers run as (NULL:
 * as we are). The path is malloc'ed. */
char *services_postgres_program(const struct services *services, const char *name);
const struct passwd *services_postgres_user(const struct services *services);

uint16_t services_redis_port(const struct services *services);
uint16_t services_postgres_port(const struct services *services);
pid_t services_redis_pid(const struct services *services);    /* -1 while it is stopped */
pid_t services_postgres_pid(const struct services *services); /* of the postmaster */

/* "redis://127.0.0.1:<port>"; valid until services_stop. */
const char *services_redis_url(const struct services *services);

/* A fresh, empty database with a name of its own (UTF-8, locale C, owner postgres): its URI goes into dsn. */
void services_new_database(struct services *services, char dsn[SERVICES_DSN_BYTES]);

/* The same with the content of a database that was made here and has no connections now: prepare a schema
 * once, then copy it for each test. */
void services_copy_database(struct services *services, const char *from_dsn, char dsn[SERVICES_DSN_BYTES]);

/* The same database through another port, such as a proxy's. dsn and result may be the same memory. */
void services_dsn_on_port(const char *dsn, uint16_t port, char result[SERVICES_DSN_BYTES]);

/* Prints the last lines of the log through cmocka's print_error. */
void services_postgres_log_tail(const struct services *services, int lines);
void services_redis_log_tail(const struct services *services, int lines);

/* The path of PostgreSQL's log (messages, errors; a test may search it), and of the folder of the servers. */
const char *services_postgres_log_path(const struct services *services);
const char *services_folder(const struct services *services);

/* A port of 127.0.0.1 on which nothing listens, for a server that a test starts itself. It is never given out
 * twice while this program runs, neither by it nor by other programs that ask here; and it lies outside of
 * the range that the system uses for outgoing connections. */
uint16_t services_free_port(void);

#endif
