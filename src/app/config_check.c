/* config_check.c - see config_check.h.
 *
 * Happy path: nothing to say. Failure modes: each is a finding; a Postgres that is away is a note, because a
 * configuration is often checked before its servers are there. */
#include "app/config_check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "app/secrets.h"
#include "app/settings_keys.h"
#include "base/slice.h"
#include "io/pg_doctor.h"
#include "io/pg_dsn.h"
#include "io/pg_sync.h"
#include "io/redis.h"

enum { LISTENING = 1 }; /* connections of a worker beside postgres.connections */

struct check {
    const struct fl_settings *settings;
    fl_config_tell *tell;
    void *owner;
};

static __attribute__((format(printf, 4, 5))) void say(const struct check *check, enum fl_config_level level,
                                                      const char *setting, const char *format, ...)
{
    char text[FL_ERR_TEXT_BYTES];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    check->tell(check->owner, level, setting, text);
}

/* ---- between settings ---- */

static void check_lease(const struct check *check)
{
    const struct fl_settings *settings = check->settings;
    int64_t ttl_ms = settings->policy.lease_ttl_ms, renew_ms = ttl_ms / 3;
    if (ttl_ms - renew_ms < settings->redis_timeout_ms)
        say(check, FL_CONFIG_ERROR, "lease.ttl_ms",
            "lease.ttl_ms (%" PRId64 ") is shorter than its renewal needs: a renewal is sent after %" PRId64
            " ms, and one that gets no answer is noticed only after redis.timeout_ms (%" PRId64
            "), when the lease has ended; at least %" PRId64 ", or a shorter redis.timeout_ms",
            ttl_ms, renew_ms, settings->redis_timeout_ms, (settings->redis_timeout_ms * 3 + 1) / 2);
    if (settings->policy.lease_stall_ms <= renew_ms)
        say(check, FL_CONFIG_ERROR, "lease.stall_ms",
            "lease.stall_ms (%" PRId64 ") ends before the first renewal, a third of lease.ttl_ms (%" PRId64
            "): the lease would never be renewed; at least lease.ttl_ms",
            settings->policy.lease_stall_ms, ttl_ms);
}

static void check_sizes(const struct check *check)
{
    const struct fl_settings *settings = check->settings;
    if (settings->inline_bytes > settings->limits.file_bytes)
        say(check, FL_CONFIG_ERROR, "limit.inline_bytes",
            "limit.inline_bytes (%zu) is more than limit.file_bytes (%zu): 'enqueue' would accept what "
            "workers "
            "have no room for",
            settings->inline_bytes, settings->limits.file_bytes);
}

/* ---- what settings name ---- */

static void check_addresses(const struct check *check)
{
    struct fl_redis_address address;
    struct fl_err err = {0};
    if (fl_redis_parse_url(check->settings->redis_url, &address, &err) != FL_OK)
        say(check, FL_CONFIG_ERROR, "redis.url", "%s", err.text);
    if (fl_pg_dsn_check(check->settings->postgres_dsn, NULL, &err) != FL_OK)
        say(check, FL_CONFIG_ERROR, "postgres.dsn", "%s", err.text);
}

static void check_root(const struct check *check)
{
    struct stat file;
    const char *root = check->settings->source_root;
    if (!root[0])
        return;
    if (stat(root, &file) != 0)
        say(check, FL_CONFIG_ERROR, "source.root", "source.root: %s: %s", root, strerrordesc_np(errno));
    else if (!S_ISDIR(file.st_mode))
        say(check, FL_CONFIG_ERROR, "source.root", "source.root: %s is no folder", root);
}

static void warn_if_public(const struct check *check, const char *setting, const char *path)
{
    struct stat file;
    if (stat(path, &file) == 0 && file.st_mode & S_IROTH)
        say(check, FL_CONFIG_WARNING, setting, "%s holds a password, and everybody can read it: chmod o-r %s",
            path, path);
}

static void check_secrets(const struct check *check)
{
    static const char *const FILES[] = {"redis.password_file", "postgres.password_file"};
    static const char *const HOLDERS[] = {"redis.url", "postgres.dsn"};
    char path[FL_SETTINGS_TEXT_BYTES];
    for (size_t i = 0; i < 2; i++) {
        const char *name = fl_settings_text(check->settings, fl_settings_find(FILES[i]));
        if (name[0] && fl_secrets_path(name, path, NULL) == FL_OK)
            warn_if_public(check, FILES[i], path);
        const struct fl_setting *holder = fl_settings_find(HOLDERS[i]);
        const struct fl_origin *origin = fl_settings_origin(check->settings, holder);
        if (origin->source != FL_ORIGIN_FILE || !fl_secrets_has_password(check->settings, holder))
            continue;
        snprintf(path, sizeof path, "%.*s", FL_ARGS(origin->name));
        warn_if_public(check, HOLDERS[i], path);
    }
}

/* ---- what Postgres allows ---- */

static void judge_room(const struct check *check, int64_t room, int64_t allowed)
{
    int64_t wanted = check->settings->postgres_connections + LISTENING;
    if (wanted > allowed)
        say(check, FL_CONFIG_ERROR, "postgres.connections",
            "postgres.connections (%" PRId64 ", and one that listens) is more than Postgres allows this role "
            "(%" PRId64 "): lower it, or raise max_connections or the limit of role or database",
            check->settings->postgres_connections, allowed);
    else if (wanted > room)
        say(check, FL_CONFIG_WARNING, "postgres.connections",
            "postgres.connections (%" PRId64 ", and one that listens) is more than Postgres has room for now "
            "(%" PRId64 " of %" PRId64 "): 'fenceline doctor' counts who has them",
            check->settings->postgres_connections, room > 0 ? room : 0, allowed);
}

static void ask_postgres(const struct check *check, const struct fl_settings *resolved)
{
    struct fl_pg_sync *pg;
    struct fl_err err = {0};
    int64_t allowed = 0, used = 0;
    fl_status status = fl_pg_sync_open(&pg, resolved->postgres_dsn, resolved->postgres_timeout_ms, &err);
    if (status == FL_OK)
        status = fl_pg_doctor_room(pg, &allowed, &used, &err);
    fl_pg_sync_close(pg);
    if (status == FL_OK)
        judge_room(check, allowed - used, allowed);
    else
        say(check, FL_CONFIG_NOTE, "postgres.connections",
            "not asked how many connections Postgres allows: %s", err.text);
}

void fl_config_check(const struct fl_settings *settings, fl_config_tell *tell, void *owner)
{
    const struct check check = {.settings = settings, .tell = tell, .owner = owner};
    struct fl_settings resolved = *settings;
    struct fl_err err = {0};
    if (fl_settings_check(settings, &err) != FL_OK)
        say(&check, FL_CONFIG_ERROR, NULL, "%s", err.text);
    check_lease(&check);
    check_sizes(&check);
    check_addresses(&check);
    check_root(&check);
    check_secrets(&check);
    if (fl_secrets_read(&resolved, &err) != FL_OK)
        say(&check, FL_CONFIG_ERROR, NULL, "%s", err.text);
    else if (fl_pg_dsn_check(resolved.postgres_dsn, NULL, NULL) == FL_OK)
        ask_postgres(&check, &resolved);
}
