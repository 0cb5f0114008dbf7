/* metrics_text.c - the metrics in Prometheus' text format: one table, and one way to write each row of it.
 *
 * A value that is not known now is left out; a family without any value has no header either. */
#include "app/metrics.h"

#include <inttypes.h>
#include <math.h>

static const char *const BUCKETS[FL_METRICS_BUCKETS] = {"0.001", "0.002", "0.005", "0.01", "0.025",
                                                        "0.05",  "0.1",   "0.25",  "0.5",  "1",
                                                        "2.5",   "5",     "15",    "60",   "300"};

/* One label and all of its values. */
struct labels {
    const char *name;
    int count;
    const char *values[16];
};

static const struct labels KIND = {"kind", 2, {"chapters", "transcript"}};
static const struct labels OUTCOME = {
    "outcome",
    FL_METRICS_OUTCOMES,
    {"imported", "unchanged", "rejected", "superseded", "deleted", "invalid", "failed", "cancelled"}};
static const struct labels STEP = {"step",
                                   FL_STEP_COUNT,
                                   {"read", "ensure", "lease", "lease_check", "claim", "claim_check",
                                    "commit", "resolve", "decide", "release", "renew"}};
static const struct labels RESOLVED = {"step", FL_RESOLVE_COUNT, {"lease", "claim", "commit"}};
static const struct labels RESULT = {"result", FL_RESULT_COUNT, {"done", "undone", "unknown"}};
static const struct labels REASON = {
    "reason", FL_REDELIVERY_COUNT, {"dead_worker", "lost_reply", "lost_entry"}};
static const struct labels PHASE = {"phase", FL_PHASE_COUNT, {"wait", "lease", "claim", "load", "commit"}};
static const struct labels PLACE = {"place",
                                    FL_RUN_PLACES,
                                    {"taken", "beginning", "held", "running", "parked", "resumable",
                                     "postponing", "to_postpone", "finishing"}};
static const struct labels STATE = {
    "state", FL_METRICS_STATES, {"waiting", "scheduled", "retrying", "dispatched", "running"}};
static const struct labels PRIORITY = {"priority", FL_PRIORITY_COUNT, {"high", "normal", "low"}};
static const struct labels CHECK = {"check", FL_METRICS_CHECKS, {"redis", "postgres", "schema", "running"}};
static const struct labels SERVER = {"server", FL_METRICS_SERVERS, {"postgres", "redis", "http"}};
static const struct labels NONE = {"", 1, {""}};

enum type { COUNTED, COUNTER_NOW, GAUGE, HISTOGRAM }; /* uint64_t, double, double, struct fl_histogram */

struct family {
    const char *name;
    enum type type;
    size_t offset; /* in struct fl_metrics, or fl_metrics_now */
    const struct labels *outer, *inner;
    const char *help;
};

#define OF(member)  offsetof(struct fl_metrics, member)
#define NOW(member) offsetof(struct fl_metrics_now, member)

/* clang-format off */
static const struct family FAMILIES[] = {
    {"fenceline_jobs_total", COUNTED, OF(jobs), &KIND, &OUTCOME, "Jobs that this worker brought to an outcome."},
    {"fenceline_retries_total", COUNTED, OF(retries), &NONE, &KIND, "Attempts that met an error; their job waits to be tried again."},
    {"fenceline_stale_commits_total", COUNTED, OF(stale_commits), &NONE, &NONE, "Commits that Postgres refused, since the claim had passed to another."},
    {"fenceline_claims_lost_total", COUNTED, OF(claims_lost), &NONE, &NONE, "Claims that Postgres refused: somebody else had claimed, committed or broken the episode since it was read."},
    {"fenceline_leases_lost_total", COUNTED, OF(leases_lost), &NONE, &NONE, "Leases that were gone, or had run out, before the work under them was done."},
    {"fenceline_leases_busy_total", COUNTED, OF(leases_busy), &NONE, &NONE, "Leases that were asked for while another import held them."},
    {"fenceline_lost_replies_total", COUNTED, OF(lost_replies), &NONE, &STEP, "Requests to Redis or Postgres of which it is not known whether they took effect, since their reply was lost."},
    {"fenceline_lost_replies_resolved_total", COUNTED, OF(resolved), &RESOLVED, &RESULT, "Lost replies that were looked up: had the request taken effect?"},
    {"fenceline_late_answers_total", COUNTED, OF(late_answers), &NONE, &NONE, "Answers to operations that nobody waited for any more; they were dropped."},
    {"fenceline_parks_total", COUNTER_NOW, NOW(parks), &NONE, &NONE, "Imports that gave their slot up to wait for the lease of another."},
    {"fenceline_wakeups_total", COUNTER_NOW, NOW(wakeups), &NONE, &NONE, "Parked imports that were woken because a lease was released."},
    {"fenceline_redeliveries_total", COUNTER_NOW, NOW(redeliveries), &NONE, &REASON, "Jobs that were handed out once more."},
    {"fenceline_job_phase_seconds", HISTOGRAM, OF(phases), &NONE, &PHASE, "Time in each phase: wait (due until begun), lease (waiting for others included), claim, load, commit."},
    {"fenceline_job_duration_seconds", HISTOGRAM, OF(jobs_ms), &NONE, &KIND, "Time from the moment a job was due until its outcome."},
    {"fenceline_slots", GAUGE, NOW(slots), &NONE, &NONE, "Imports that may run at once (worker.slots)."},
    {"fenceline_jobs_in_hand", GAUGE, NOW(in_hand), &NONE, &PLACE, "Jobs in this worker's hands; running ones use a slot."},
    {"fenceline_ready", GAUGE, NOW(ready), &NONE, &CHECK, "1 where a check of /readyz passes."},
    {"fenceline_paused", GAUGE, NOW(paused), &NONE, &NONE, "1 while the workers are paused (jobs pause)."},
    {"fenceline_dispatcher", GAUGE, NOW(dispatcher), &NONE, &NONE, "1 on the worker that hands jobs from Postgres to Redis."},
    {"fenceline_queue_jobs", GAUGE, NOW(queue_jobs), &NONE, &STATE, "Open jobs in the database, of all workers."},
    {"fenceline_queue_oldest_due_seconds", GAUGE, NOW(oldest_due_s), &NONE, &NONE, "Age of the open job that is due for the longest time; 0 if none is due."},
    {"fenceline_queue_stream_entries", GAUGE, NOW(stream_entries), &NONE, &PRIORITY, "Entries in the streams of Redis, as this worker last saw them."},
    {"fenceline_lock_breaks_total", COUNTER_NOW, NOW(lock_breaks), &NONE, &NONE, "Claims that operators have broken, in this database."},
    {"fenceline_connections", GAUGE, NOW(connections), &NONE, &SERVER, "Connections that stand: of this worker to Postgres and Redis, of clients to this page."},
    {"fenceline_loop_lag_seconds", GAUGE, NOW(loop_lag_s), &NONE, &NONE, "Longest turn of the event loop within the last 15 to 30 s: so long something had to wait."},
    {"fenceline_loop_busy_seconds_total", COUNTER_NOW, NOW(loop_busy_s), &NONE, &NONE, "Time in which the event loop did not wait for anything."},
    {"fenceline_http_requests_total", COUNTER_NOW, NOW(http_requests), &NONE, &NONE, "Requests that were answered here."},
    {"fenceline_http_cut_off_total", COUNTER_NOW, NOW(http_cut_off), &NONE, &NONE, "Clients that were cut off here, since they were too slow or too many."},
    {"process_cpu_seconds_total", COUNTER_NOW, NOW(cpu_s), &NONE, &NONE, "Total user and system CPU time spent in seconds."},
    {"process_resident_memory_bytes", GAUGE, NOW(memory_bytes), &NONE, &NONE, "Resident memory size in bytes."},
    {"process_start_time_seconds", GAUGE, NOW(started_s), &NONE, &NONE, "Start time of the process since unix epoch in seconds."},
    {"process_max_fds", GAUGE, NOW(max_fds), &NONE, &NONE, "Maximum number of open file descriptors."},
};
/* clang-format on */

static void write_labels(FILE *out, const struct family *family, int outer, int inner, const char *bound)
{
    const char *mark = "{";
    if (family->outer != &NONE) {
        fprintf(out, "%s%s=\"%s\"", mark, family->outer->name, family->outer->values[outer]);
        mark = ",";
    }
    if (family->inner != &NONE) {
        fprintf(out, "%s%s=\"%s\"", mark, family->inner->name, family->inner->values[inner]);
        mark = ",";
    }
    if (bound) {
        fprintf(out, "%sle=\"%s\"", mark, bound);
        mark = ",";
    }
    if (mark[0] == ',')
        putc('}', out);
}

static void write_histogram(FILE *out, const struct family *family, int inner,
                            const struct fl_histogram *histogram)
{
    uint64_t sum = 0;
    for (int i = 0; i < FL_METRICS_BUCKETS; i++) {
        sum += histogram->buckets[i];
        fprintf(out, "%s_bucket", family->name);
        write_labels(out, family, 0, inner, BUCKETS[i]);
        fprintf(out, " %" PRIu64 "\n", sum);
    }
    fprintf(out, "%s_bucket", family->name);
    write_labels(out, family, 0, inner, "+Inf");
    fprintf(out, " %" PRIu64 "\n%s_sum", histogram->count, family->name);
    write_labels(out, family, 0, inner, NULL);
    fprintf(out, " %" PRIu64 ".%03u\n%s_count", histogram->sum_ms / 1000,
            (unsigned)(histogram->sum_ms % 1000), family->name);
    write_labels(out, family, 0, inner, NULL);
    fprintf(out, " %" PRIu64 "\n", histogram->count);
}

static void write_header(FILE *out, const struct family *family)
{
    static const char *const TYPES[] = {"counter", "counter", "gauge", "histogram"};
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name,
            TYPES[family->type]);
}

static void write_family(FILE *out, const struct family *family, const struct fl_metrics *metrics,
                         const struct fl_metrics_now *now)
{
    const uint64_t *counters = (const uint64_t *)(const void *)((const char *)metrics + family->offset);
    const double *numbers = (const double *)(const void *)((const char *)now + family->offset);
    const struct fl_histogram *histograms = (const void *)((const char *)metrics + family->offset);
    bool has_header = false;
    for (int i = 0; i < family->outer->count * family->inner->count; i++) {
        int outer = i / family->inner->count, inner = i % family->inner->count;
        bool is_number = family->type == GAUGE || family->type == COUNTER_NOW;
        if (is_number && isnan(numbers[i]))
            continue;
        if (!has_header)
            write_header(out, family);
        has_header = true;
        if (family->type == HISTOGRAM) {
            write_histogram(out, family, inner, &histograms[i]);
            continue;
        }
        fputs(family->name, out);
        write_labels(out, family, outer, inner, NULL);
        if (is_number)
            fprintf(out, " %.15g\n", numbers[i]);
        else
            fprintf(out, " %" PRIu64 "\n", counters[i]);
    }
}

void fl_metrics_write(FILE *out, const struct fl_metrics *metrics, const struct fl_metrics_now *now)
{
    fputs("# HELP fenceline_build_info Which program this is; always 1.\n# TYPE fenceline_build_info gauge\n"
          "fenceline_build_info{version=\"" FL_VERSION "\"} 1\n",
          out);
    for (size_t i = 0; i < sizeof FAMILIES / sizeof *FAMILIES; i++)
        write_family(out, &FAMILIES[i], metrics, now);
}
