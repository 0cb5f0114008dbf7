/* settings.c - one table of keys; file, environment and options all pass through fl_settings_set.
 *
 * Happy path: init fills in the defaults, load reads the INI file line by line, then the environment.
 * Failure modes: an unknown key, a value out of range, a key given twice, a line that is no setting, a file
 * that cannot be read: FL_USAGE with the place and what would be right. Values of redis.url and postgres.dsn
 * may hold a password and are never quoted in a message. */
#include "app/settings.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/settings_keys.h"
#include "base/nearest.h"
#include "base/slice.h"
#include "io/http.h"

static const char DEFAULT_PATH[] = "/etc/fenceline/fenceline.conf";
static const char ENVIRONMENT_PREFIX[] = "FENCELINE_";

enum { LINE_BYTES = 2048, NAME_BYTES = 128 };

#define AT(member) offsetof(struct fl_settings, member)

static const struct fl_setting SETTINGS[] = {
    {"redis.url", FL_SETTING_TEXT, AT(redis_url), .default_text = "redis://127.0.0.1:6379", .unit = ""},
    {"redis.timeout_ms", FL_SETTING_INT64, AT(redis_timeout_ms), NULL, 5000, 100, 600000, "ms"},
    {"postgres.dsn", FL_SETTING_TEXT, AT(postgres_dsn), .default_text = "", .unit = ""},
    {"postgres.timeout_ms", FL_SETTING_INT64, AT(postgres_timeout_ms), NULL, 15000, 100, 600000, "ms"},
    {"postgres.connections", FL_SETTING_INT64, AT(postgres_connections), NULL, 3, 1, 64, ""},
    {"import.jobs", FL_SETTING_INT64, AT(import_jobs), NULL, 8, 1, 256, ""},
    {"source.root", FL_SETTING_TEXT, AT(source_root), .default_text = "", .unit = ""},
    {"worker.slots", FL_SETTING_INT64, AT(worker.slots), NULL, 16, 1, 256, ""},
    {"worker.drain_seconds", FL_SETTING_INT64, AT(worker.drain_seconds), NULL, 30, 0, 3600, "s"},
    {"worker.heartbeat_ms", FL_SETTING_INT64, AT(worker.heartbeat_ms), NULL, 1000, 100, 60000, "ms"},
    {"worker.dead_ms", FL_SETTING_INT64, AT(worker.dead_ms), NULL, 5000, 300, 600000, "ms"},
    {"worker.sweep_ms", FL_SETTING_INT64, AT(worker.sweep_ms), NULL, 5000, 100, 600000, "ms"},
    {"http.listen", FL_SETTING_TEXT, AT(http_listen), .default_text = "127.0.0.1:9465", .unit = ""},
    {"limit.file_bytes", FL_SETTING_SIZE, AT(limits.file_bytes), NULL, 67108864, 1, 1073741824, "bytes"},
    {"limit.rows", FL_SETTING_SIZE, AT(limits.rows), NULL, 200000, 1, 10000000, ""},
    {"limit.field_bytes", FL_SETTING_SIZE, AT(limits.field_bytes), NULL, 65536, 1, 16777216, "bytes"},
    {"limit.inline_bytes", FL_SETTING_SIZE, AT(inline_bytes), NULL, 1048576, 0, 1048576, "bytes"},
    {"lease.ttl_ms", FL_SETTING_INT64, AT(policy.lease_ttl_ms), NULL, 8000, 500, 600000, "ms"},
    {"lease.max_ms", FL_SETTING_INT64, AT(policy.lease_max_ms), NULL, 600000, 500, 86400000, "ms"},
    {"lease.stall_ms", FL_SETTING_INT64, AT(policy.lease_stall_ms), NULL, 60000, 500, 86400000, "ms"},
    {"lease.wait_ms", FL_SETTING_INT64, AT(policy.wait_lock_ms), NULL, 10000, 0, 3600000, "ms"},
    {"lease.look_ms", FL_SETTING_INT64, AT(policy.look_ms), NULL, 500, 10, 60000, "ms"},
    {"job.max_attempts", FL_SETTING_UINT32, AT(policy.max_attempts), NULL, 10, 1, 1000, ""},
    {"job.patience_ms", FL_SETTING_INT64, AT(policy.patience_ms), NULL, 10000, 0, 3600000, "ms"},
    {"job.backoff_base_ms", FL_SETTING_INT64, AT(policy.backoff_base_ms), NULL, 50, 1, 60000, "ms"},
    {"job.backoff_max_ms", FL_SETTING_INT64, AT(policy.backoff_max_ms), NULL, 2000, 1, 600000, "ms"},
    {"job.retry_base_ms", FL_SETTING_INT64, AT(worker.retry_base_ms), NULL, 500, 1, 600000, "ms"},
    {"job.retry_max_ms", FL_SETTING_INT64, AT(worker.retry_max_ms), NULL, 60000, 1, 86400000, "ms"},
    {"job.max_deaths", FL_SETTING_INT64, AT(worker.max_deaths), NULL, 3, 1, 100, ""},
    {"job.retention_days", FL_SETTING_INT64, AT(worker.retention_days), NULL, 0, 0, 36500, "days"},
};

enum { SETTING_COUNT = sizeof SETTINGS / sizeof *SETTINGS };

const struct fl_setting *fl_settings_table(size_t *count)
{
    *count = SETTING_COUNT;
    return SETTINGS;
}

static void store_number(struct fl_settings *settings, const struct fl_setting *setting, int64_t number)
{
    char *place = (char *)settings + setting->offset;
    switch (setting->type) {
    case FL_SETTING_INT64: memcpy(place, &number, sizeof number); break;
    case FL_SETTING_SIZE: memcpy(place, &(size_t){(size_t)number}, sizeof(size_t)); break;
    case FL_SETTING_UINT32: memcpy(place, &(uint32_t){(uint32_t)number}, sizeof(uint32_t)); break;
    case FL_SETTING_TEXT: break;
    }
}

void fl_settings_init(struct fl_settings *settings)
{
    *settings = (struct fl_settings){0};
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (SETTINGS[i].type == FL_SETTING_TEXT)
            snprintf((char *)settings + SETTINGS[i].offset, FL_SETTINGS_TEXT_BYTES, "%s",
                     SETTINGS[i].default_text);
        else
            store_number(settings, &SETTINGS[i], SETTINGS[i].default_number);
    }
}

static const struct fl_setting *find_setting(const char *key)
{
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (strcmp(SETTINGS[i].name, key) == 0)
            return &SETTINGS[i];
    return NULL;
}

static fl_status refuse_key(const char *key, const char *origin, struct fl_err *err)
{
    struct fl_nearest nearest;
    fl_nearest_init(&nearest, fl_slice_from(key));
    for (size_t i = 0; i < SETTING_COUNT; i++)
        fl_nearest_offer(&nearest, SETTINGS[i].name);
    if (nearest.best)
        return fl_err_set(err, FL_USAGE, "%s: unknown setting '%s'; did you mean '%s'?", origin, key,
                          nearest.best);
    return fl_err_set(err, FL_USAGE, "%s: unknown setting '%s'; config/fenceline.conf lists all of them",
                      origin, key);
}

static fl_status set_text(struct fl_settings *settings, const struct fl_setting *setting,
                          struct fl_slice value, const char *origin, struct fl_err *err)
{
    if (value.len >= FL_SETTINGS_TEXT_BYTES)
        return fl_err_set(err, FL_USAGE, "%s: %s has %zu bytes; at most %d are allowed", origin,
                          setting->name, value.len, FL_SETTINGS_TEXT_BYTES - 1);
    char *place = (char *)settings + setting->offset;
    if (value.len)
        memcpy(place, value.ptr, value.len);
    place[value.len] = '\0';
    return FL_OK;
}

fl_status fl_settings_set(struct fl_settings *settings, const char *key, const char *value,
                          const char *origin, struct fl_err *err)
{
    const struct fl_setting *setting = find_setting(key);
    if (!setting)
        return refuse_key(key, origin, err);
    struct fl_slice text = fl_slice_trim(fl_slice_from(value)), rest = text;
    if (setting->type == FL_SETTING_TEXT)
        return set_text(settings, setting, text, origin, err);
    int64_t number;
    bool whole = fl_slice_take_digits(&rest, &number) > 0 && rest.len == 0;
    if (!whole || number < setting->min || number > setting->max)
        return fl_err_set(err, FL_USAGE,
                          "%s: %s must be a whole number%s%s from %" PRId64 " to %" PRId64 ", not '%.*s'",
                          origin, setting->name, setting->unit[0] ? " of " : "", setting->unit, setting->min,
                          setting->max, text.len > 40 ? 40 : (int)text.len, text.len ? text.ptr : "");
    store_number(settings, setting, number);
    return FL_OK;
}

/* State of one reading of a file; inih calls back with it. */
struct reading {
    struct fl_settings *settings;
    const char *path;
    FILE *file;
    unsigned line;
    unsigned seen_line[SETTING_COUNT]; /* where each key was given; 0 = not yet */
    bool too_long;
    struct fl_err *err;
    fl_status status; /* of the first thing that was wrong */
};

/* Gives inih one line. Leading blanks go, because inih takes an indented line for the rest of the value
 * above. */
static char *read_line(char *line, int size_bytes, void *stream)
{
    struct reading *reading = stream;
    if (reading->status != FL_OK || !fgets(line, size_bytes, reading->file))
        return NULL;
    reading->line++;
    size_t length = strlen(line);
    if (length == (size_t)size_bytes - 1 && line[length - 1] != '\n') {
        reading->too_long = true;
        return NULL;
    }
    size_t blanks = strspn(line, " \t");
    memmove(line, line + blanks, length - blanks + 1);
    return line;
}

static int on_key(void *context, const char *section, const char *name, const char *value)
{
    struct reading *reading = context;
    if (reading->status != FL_OK)
        return 1;
    char origin[FL_SETTINGS_TEXT_BYTES], key[NAME_BYTES];
    snprintf(origin, sizeof origin, "%s:%u", reading->path, reading->line);
    if (!section[0]) {
        reading->status =
            fl_err_set(reading->err, FL_USAGE, "%s: '%s' stands before the first [section]", origin, name);
        return 1;
    }
    snprintf(key, sizeof key, "%s.%s", section, name);
    const struct fl_setting *setting = find_setting(key);
    unsigned *seen = setting ? &reading->seen_line[setting - SETTINGS] : NULL;
    if (seen && *seen) {
        reading->status =
            fl_err_set(reading->err, FL_USAGE, "%s: %s was given in line %u already", origin, key, *seen);
        return 1;
    }
    if (seen)
        *seen = reading->line;
    reading->status = fl_settings_set(reading->settings, key, value, origin, reading->err);
    return 1;
}

static fl_status read_stream(struct reading *reading, struct fl_err *err)
{
    ini_max_line = LINE_BYTES; /* its own 200 bytes are too few for a connection string */
    int bad_line = ini_parse_stream(read_line, reading, on_key, reading);
    if (reading->status != FL_OK)
        return reading->status;
    if (ferror(reading->file))
        return fl_err_set(err, FL_USAGE, "cannot read the configuration file %s: %s", reading->path,
                          strerrordesc_np(errno));
    if (reading->too_long)
        return fl_err_set(err, FL_USAGE, "%s:%u: the line is too long", reading->path, reading->line);
    if (bad_line)
        return fl_err_set(err, FL_USAGE, "%s:%d: neither 'key = value' nor '[section]' nor a comment",
                          reading->path, bad_line);
    return FL_OK;
}

static fl_status load_file(struct fl_settings *settings, const char *path, struct fl_err *err)
{
    struct reading reading = {.settings = settings, .path = path ? path : DEFAULT_PATH, .err = err};
    reading.file = fopen(reading.path, "re");
    if (!reading.file && !path && (errno == ENOENT || errno == ENOTDIR))
        return FL_OK;
    if (!reading.file)
        return fl_err_set(err, FL_USAGE, "cannot open the configuration file %s: %s", reading.path,
                          strerrordesc_np(errno));
    fl_status status = read_stream(&reading, err);
    fclose(reading.file);
    return status;
}

static const struct {
    const char *variable, *key;
} SHORT_VARIABLES[] = {{"FENCELINE_REDIS", "redis.url"}, {"FENCELINE_POSTGRES", "postgres.dsn"}};

/* "LEASE_TTL_MS" to "lease.ttl_ms"; false if it does not begin with a section of ours. */
static bool key_of_variable(struct fl_slice variable, char key[NAME_BYTES])
{
    if (variable.len >= NAME_BYTES)
        return false;
    for (size_t i = 0; i < variable.len; i++)
        key[i] = (char)tolower((unsigned char)variable.ptr[i]);
    key[variable.len] = '\0';
    char *end = strchr(key, '_');
    if (!end)
        return false;
    *end = '.';
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (strncmp(SETTINGS[i].name, key, (size_t)(end - key) + 1) == 0)
            return true;
    return false;
}

/* Variables of other meaning may share the prefix, so only those in a section of ours must be known. An empty
 * one counts as not set. */
static fl_status load_variable(struct fl_settings *settings, const char *entry, struct fl_err *err)
{
    const char *value = strchr(entry, '=');
    if (!value || !value[1] || strncmp(entry, ENVIRONMENT_PREFIX, strlen(ENVIRONMENT_PREFIX)) != 0)
        return FL_OK;
    struct fl_slice name = fl_slice_range(entry, value);
    char key[NAME_BYTES], origin[NAME_BYTES];
    if (!key_of_variable(fl_slice_range(entry + strlen(ENVIRONMENT_PREFIX), value), key))
        return FL_OK;
    snprintf(origin, sizeof origin, "%.*s", FL_ARGS(name));
    return fl_settings_set(settings, key, value + 1, origin, err);
}

static fl_status load_environment(struct fl_settings *settings, struct fl_err *err)
{
    fl_status status = FL_OK;
    for (char **entry = environ; entry && *entry && status == FL_OK; entry++)
        status = load_variable(settings, *entry, err);
    for (size_t i = 0; status == FL_OK && i < sizeof SHORT_VARIABLES / sizeof *SHORT_VARIABLES; i++) {
        const char *variable = SHORT_VARIABLES[i].variable, *value = getenv(variable);
        if (value && value[0])
            status = fl_settings_set(settings, SHORT_VARIABLES[i].key, value, variable, err);
    }
    return status;
}

fl_status fl_settings_load(struct fl_settings *settings, const char *path, struct fl_err *err)
{
    fl_settings_init(settings);
    fl_status status = load_file(settings, path, err);
    return status == FL_OK ? load_environment(settings, err) : status;
}

fl_status fl_settings_check(const struct fl_settings *settings, struct fl_err *err)
{
    const struct fl_import_policy *policy = &settings->policy;
    if (!settings->redis_url[0])
        return fl_err_set(err, FL_USAGE, "redis.url is empty: give one such as redis://127.0.0.1:6379");
    if (policy->lease_max_ms < policy->lease_ttl_ms)
        return fl_err_set(err, FL_USAGE,
                          "lease.max_ms (%" PRId64 ") is shorter than lease.ttl_ms (%" PRId64 ")",
                          policy->lease_max_ms, policy->lease_ttl_ms);
    if (policy->backoff_max_ms < policy->backoff_base_ms)
        return fl_err_set(err, FL_USAGE,
                          "job.backoff_max_ms (%" PRId64 ") is shorter than job.backoff_base_ms (%" PRId64
                          ")",
                          policy->backoff_max_ms, policy->backoff_base_ms);
    const struct fl_worker_settings *worker = &settings->worker;
    if (worker->retry_max_ms < worker->retry_base_ms)
        return fl_err_set(err, FL_USAGE,
                          "job.retry_max_ms (%" PRId64 ") is shorter than job.retry_base_ms (%" PRId64 ")",
                          worker->retry_max_ms, worker->retry_base_ms);
    if (worker->dead_ms < 3 * worker->heartbeat_ms)
        return fl_err_set(err, FL_USAGE,
                          "worker.dead_ms (%" PRId64 ") is shorter than three times worker.heartbeat_ms "
                          "(%" PRId64 "): one late heartbeat would take a worker's jobs away",
                          worker->dead_ms, worker->heartbeat_ms);
    if (settings->source_root[0] && settings->source_root[0] != '/')
        return fl_err_set(err, FL_USAGE, "source.root must be an absolute path, not '%s'",
                          settings->source_root);
    struct fl_http_address address;
    return fl_http_parse_address(settings->http_listen, &address, err);
}
