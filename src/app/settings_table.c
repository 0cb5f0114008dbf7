/* settings_table.c - what can be configured. Only data; settings.c reads it.
 *
 * A new key: its member in settings.h, its row here, its lines in config/fenceline.conf (of which the manual
 * is made), in the same place of each. tests/unit/test_settings.c tells what was forgotten. */
#include <stddef.h>

#include "app/settings.h"
#include "app/settings_keys.h"

#define AT(member) offsetof(struct fl_settings, member)

static const struct fl_setting SETTINGS[] = {
    {"redis.url", FL_SETTING_TEXT, AT(redis_url), .default_text = "redis://127.0.0.1:6379", .unit = ""},
    {"redis.password_file", FL_SETTING_TEXT, AT(redis_password_file), .default_text = "", .unit = ""},
    {"redis.timeout_ms", FL_SETTING_INT64, AT(redis_timeout_ms), NULL, 5000, 100, 600000, "ms"},
    {"postgres.dsn", FL_SETTING_TEXT, AT(postgres_dsn), .default_text = "", .unit = ""},
    {"postgres.password_file", FL_SETTING_TEXT, AT(postgres_password_file), .default_text = "", .unit = ""},
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

_Static_assert(sizeof SETTINGS / sizeof *SETTINGS <= FL_SETTINGS_MAX, "FL_SETTINGS_MAX is too small");

const struct fl_setting *fl_settings_table(size_t *count)
{
    *count = sizeof SETTINGS / sizeof *SETTINGS;
    return SETTINGS;
}
