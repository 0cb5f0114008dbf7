/* stage.h - what a chaos run plays on: a Postgres, a pooler in front of it, a Redis and at times a second
 * one, workers, and for each process a proxy to either server.
 *
 * Path i belongs to worker i; the last one to all other programs. Worker 1 and the others' path reach
 * Postgres through pgbouncer in session mode. All the programs log in as a user with the roles of
 * config/roles.sql. */
#ifndef TESTS_CHAOS_STAGE_H
#define TESTS_CHAOS_STAGE_H

#include "../lib/fenceline.h"
#include "../lib/proxy.h"

enum { WORKERS = 3, PATHS = WORKERS + 1, CLIENTS_PATH = WORKERS, POOLED_WORKER = 1, LEASE_MS = 1200 };
enum { MONITORS = 512 };
enum server { REDIS, POSTGRES, SERVERS };

struct redis {
    struct process *process; /* NULL = it does not run */
    uint16_t port;
    char *folder;
    int clock_fd;
    int64_t *clock_offset_ns;
};

struct worker {
    struct process *process;
    char *log_path;
    bool is_killed, is_stopped;
    char env[4][SERVICES_DSN_BYTES + 40];
};

struct stage {
    struct proxy proxies[PATHS][SERVERS];
    struct redis redis[2];
    int primary;                 /* which of the two */
    struct process *monitors[2]; /* of each Redis; NULL = nobody listens */
    char *monitor_logs[MONITORS];
    int monitor_count;
    struct process *pooler;
    uint16_t pooler_port;
    struct worker workers[WORKERS];
    char redis_url[64], postgres_dsn[SERVICES_DSN_BYTES];
    unsigned died; /* workers that ended without being told to */
};
extern struct stage stage;

/* For a test of fenceline.h: adds all this to it, and takes it away. */
void stage_start(void);
void stage_stop(void);

/* A worker that ended by itself is reported, and started again as those are that were killed. */
void stage_mend_workers(void);
void stage_launch_worker(int number);

/* Redis, and what it is told (for the checker): starts empty or from the file dump.rdb in its folder. */
void stage_start_redis(int which, bool is_empty);
void stage_kill_redis(int which);
/* One command to the primary, or to one of the two; false if it could not be said or was refused. */
bool stage_redis_say(int which, const char *format, ...);
/* Sends it, and does not wait. */
void stage_redis_send(const char *command);
void stage_step_clock(int64_t seconds);
/* An episode whose lease has longer to live than that; malloc'ed, NULL = there is none. */
char *stage_long_lease(int64_t ms);
/* A replica, empty; what it is told is of interest only from its promotion on. */
void stage_start_replica(int which);
/* The proxies lead to this one from now on. */
void stage_promote(int which);
/* Ends the logs of what was told. */
void stage_end_monitors(void);

void stage_start_pooler(void);

/* For a run that hangs: the queue and the leases in Redis, sessions, and the ends of the workers' logs. */
void stage_print_state(void);

/* SQL that may fail, as user postgres and past all proxies; the number of rows touched or found, -1 = it
 * failed. Parameters as for db_exec. */
#define stage_sql(...) stage_sql_list(DB_LIST(__VA_ARGS__))
int64_t stage_sql_list(size_t count, const char *const *list);
/* The same, and gives the value of the first row and column (malloc'ed; NULL if there is none, or it failed).
 */
#define stage_value(...) stage_value_list(DB_LIST(__VA_ARGS__))
char *stage_value_list(size_t count, const char *const *list);

#endif
