/* settings.h - everything that can be configured, with defaults, units and ranges (product, "Configuration").
 *
 * Order: option, environment (FENCELINE_REDIS, FENCELINE_POSTGRES, FENCELINE_<SECTION>_<KEY>), file, default.
 */
#ifndef FL_APP_SETTINGS_H
#define FL_APP_SETTINGS_H

#include "fenceline/err.h"
#include "fenceline/import.h"
#include "fenceline/types.h"

/* The file that is read where none is named, and need not exist. */
#define FL_SETTINGS_PATH "/etc/fenceline/fenceline.conf"

enum { FL_SETTINGS_TEXT_BYTES = 1024, FL_SETTINGS_MAX = 64, FL_ORIGIN_BYTES = 1100 };

/* Where a value came from. */
enum fl_origin_source { FL_ORIGIN_DEFAULT, FL_ORIGIN_FILE, FL_ORIGIN_ENVIRONMENT, FL_ORIGIN_OPTION };
struct fl_origin {
    enum fl_origin_source source;
    struct fl_slice name; /* path, variable, or "--option"; lives as long as the process */
    unsigned line;        /* of a file; 0 elsewhere */
};

/* A worker's own; ms unless the name says otherwise. */
struct fl_worker_settings {
    int64_t slots;         /* worker.slots: imports at once */
    int64_t drain_seconds; /* worker.drain_seconds */
    int64_t heartbeat_ms;  /* worker.heartbeat_ms */
    int64_t dead_ms;       /* worker.dead_ms: without a heartbeat for so long, a worker is dead */
    int64_t sweep_ms;      /* worker.sweep_ms: how often jobs that Redis has lost are looked for */
    int64_t retry_base_ms, retry_max_ms; /* job.retry_base_ms, job.retry_max_ms */
    int64_t max_deaths;                  /* job.max_deaths */
    int64_t retention_days;              /* job.retention_days; 0 = keep all */
};

struct fl_settings {
    char redis_url[FL_SETTINGS_TEXT_BYTES];              /* redis.url */
    char postgres_dsn[FL_SETTINGS_TEXT_BYTES];           /* postgres.dsn; "" = libpq's own PG* variables */
    char redis_password_file[FL_SETTINGS_TEXT_BYTES];    /* redis.password_file; "" = none */
    char postgres_password_file[FL_SETTINGS_TEXT_BYTES]; /* postgres.password_file; "" = none */
    int64_t redis_timeout_ms;                            /* redis.timeout_ms */
    int64_t postgres_timeout_ms;                         /* postgres.timeout_ms */
    int64_t postgres_connections;                        /* postgres.connections: at most, per process */
    int64_t import_jobs;                                 /* import.jobs: imports at once, --jobs */
    char source_root[FL_SETTINGS_TEXT_BYTES];            /* source.root; "" = workers read no files */
    struct fl_worker_settings worker;
    char http_listen[FL_SETTINGS_TEXT_BYTES]; /* http.listen */
    size_t inline_bytes;                      /* limit.inline_bytes */
    struct fl_limits limits;                  /* limit.file_bytes, limit.rows, limit.field_bytes */
    struct fl_import_policy
        policy; /* lease.ttl_ms, lease.max_ms, lease.stall_ms, lease.wait_ms, lease.look_ms,
                   job.max_attempts, job.patience_ms, job.backoff_base_ms, job.backoff_max_ms */
    struct fl_origin origins[FL_SETTINGS_MAX]; /* in the order of the table (settings_keys.h) */
};

/* All defaults. */
void fl_settings_init(struct fl_settings *settings);

/* Defaults, then the file (NULL = /etc/fenceline/fenceline.conf if it exists), then the environment. FL_USAGE
 * names file, line, key, range, and for an unknown key the nearest known one. Options are applied by the
 * caller after. */
FL_CHECKED fl_status fl_settings_load(struct fl_settings *settings, const char *path, struct fl_err *err);

/* The same, and goes on where something is wrong: tell (may be NULL: the first thing ends it) hears of each,
 * in order. *err and the status are of the first. */
FL_CHECKED fl_status fl_settings_load_telling(struct fl_settings *settings, const char *path,
                                              void (*tell)(void *owner, const struct fl_err *err),
                                              void *owner, struct fl_err *err);

/* Sets one key ("lease.ttl_ms") from text and notes where it came from. FL_USAGE for an unknown key or a
 * value out of range, with the origin in front. */
FL_CHECKED fl_status fl_settings_set(struct fl_settings *settings, const char *key, const char *value,
                                     const struct fl_origin *origin, struct fl_err *err);

/* "FENCELINE_LEASE_TTL_MS", "--wait-lock", "/etc/fenceline/fenceline.conf:12", "default". Returns out. */
const char *fl_origin_format(const struct fl_origin *origin, char out[FL_ORIGIN_BYTES]);

/* What no single key shows: contradictions between keys with which nothing can work. FL_USAGE. */
FL_CHECKED fl_status fl_settings_check(const struct fl_settings *settings, struct fl_err *err);

#endif
