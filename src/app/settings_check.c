/* settings_check.c - contradictions between settings.
 *
 * Happy path: nothing to say. Failure modes: FL_USAGE with the first contradiction, the settings that take
 * part in it, and their values. */
#include <inttypes.h>

#include "app/settings.h"
#include "io/http.h"

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
