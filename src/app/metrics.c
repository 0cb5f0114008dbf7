/* metrics.c - see metrics.h: the counting. What is written is in metrics_text.c.
 *
 * Happy path: each event of an import passes by, and a few of them count. There are no failure modes: nothing
 * is allocated, nothing can be refused. */
#include "app/metrics.h"

#include <math.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/fence.h"

static const int64_t BUCKETS_MS[FL_METRICS_BUCKETS] = {1,   2,    5,    10,   25,    50,    100,   250,
                                                       500, 1000, 2500, 5000, 15000, 60000, 300000};

void fl_histogram_add(struct fl_histogram *histogram, int64_t elapsed_ms)
{
    int64_t ms = elapsed_ms < 0 ? 0 : elapsed_ms;
    histogram->count++;
    histogram->sum_ms += (uint64_t)ms;
    for (int i = 0; i < FL_METRICS_BUCKETS; i++)
        if (ms <= BUCKETS_MS[i]) {
            histogram->buckets[i]++;
            return;
        }
}

/* ---- one event ---- */

static int step_of(enum fl_event_type type)
{
    switch (type) {
    case FL_EVENT_READ: return FL_STEP_READ;
    case FL_EVENT_ENSURED: return FL_STEP_ENSURE;
    case FL_EVENT_LEASED: return FL_STEP_LEASE;
    case FL_EVENT_LEASE_SEEN: return FL_STEP_LEASE_CHECK;
    case FL_EVENT_CLAIMED: return FL_STEP_CLAIM;
    case FL_EVENT_CLAIM_SEEN: return FL_STEP_CLAIM_CHECK;
    case FL_EVENT_COMMITTED: return FL_STEP_COMMIT;
    case FL_EVENT_RESOLVED: return FL_STEP_RESOLVE;
    case FL_EVENT_DECIDED: return FL_STEP_DECIDE;
    case FL_EVENT_RELEASED: return FL_STEP_RELEASE;
    case FL_EVENT_RENEWED: return FL_STEP_RENEW;
    case FL_EVENT_START:
    case FL_EVENT_FETCHED:
    case FL_EVENT_PARSED:
    case FL_EVENT_ACKED:
    case FL_EVENT_TIME:
    case FL_EVENT_WOKEN:
    case FL_EVENT_CANCEL:
    case FL_EVENT_STOP: break;
    }
    return -1;
}

static void count_resolved(struct fl_metrics *metrics, enum fl_metrics_resolved what,
                           const struct fl_event *event, bool is_done)
{
    metrics->resolved[what][event->status != FL_OK ? FL_RESULT_UNKNOWN
                            : is_done              ? FL_RESULT_DONE
                                                   : FL_RESULT_UNDONE]++;
}

/* PROTOCOL 6: what was not found out yet is asked again, until the import goes back to step 1. */
static void count_resolve(struct fl_metrics *metrics, const struct fl_import *import,
                          const struct fl_event *event)
{
    bool is_known = event->status == FL_OK && event->resolved.status != FL_RESOLVED_RUNNING;
    if (is_known)
        count_resolved(metrics, FL_RESOLVE_COMMIT, event, event->resolved.status == FL_RESOLVED_DECIDED);
    else if (import->after_wait == FL_IMPORT_READ)
        metrics->resolved[FL_RESOLVE_COMMIT][FL_RESULT_UNKNOWN]++;
}

static void add_phase(struct fl_metrics *metrics, enum fl_metrics_phase phase, const struct fl_event *event,
                      int64_t since_ms)
{
    fl_histogram_add(&metrics->phases[phase], event->now_ms - since_ms);
}

/* How long a step took that led on. */
static void add_times(struct fl_metrics *metrics, const struct fl_import *import,
                      const struct fl_event *event)
{
    const struct fl_import_times *times = &import->times;
    enum fl_import_state state = import->state;
    bool is_decided = event->type == FL_EVENT_COMMITTED  ? event->committed.status == FL_COMMIT_DONE
                      : event->type == FL_EVENT_RESOLVED ? event->resolved.status == FL_RESOLVED_DECIDED
                                                         : false;
    if (is_decided)
        add_phase(metrics, FL_PHASE_COMMIT, event, times->loaded_ms);
    else if (state == FL_IMPORT_CLAIM)
        add_phase(metrics, FL_PHASE_LEASE, event, times->started_ms);
    else if (event->type == FL_EVENT_PARSED && state == FL_IMPORT_COMMIT)
        add_phase(metrics, FL_PHASE_LOAD, event, times->claimed_ms);
    else if (state == FL_IMPORT_FETCH || state == FL_IMPORT_COMMIT)
        add_phase(metrics, FL_PHASE_CLAIM, event, times->leased_ms);
}

static bool claim_is_mine(const struct fl_import *import, const struct fl_event *event)
{
    return fl_fence_is_mine(event->claim_seen.fence, event->claim_seen.nonce, import->lease.token,
                            import->lease.nonce);
}

/* Loaded in time? Only a lease that is over sends what was loaded back. */
static bool ran_out(const struct fl_import *import, const struct fl_event *event)
{
    bool goes_back = import->state == FL_IMPORT_RELEASE || import->state == FL_IMPORT_WAIT;
    return event->status == FL_OK && goes_back && !import->lease.lost && !import->cancel && !import->stop;
}

void fl_metrics_seen(struct fl_metrics *metrics, const struct fl_import *import, const struct fl_event *event)
{
    bool is_ok = event->status == FL_OK;
    int step = step_of(event->type);
    if (event->status == FL_LOST && step >= 0)
        metrics->lost_replies[step]++;
    switch (event->type) {
    case FL_EVENT_LEASED: metrics->leases_busy += is_ok && !event->leased.granted; break;
    case FL_EVENT_LEASE_SEEN: count_resolved(metrics, FL_RESOLVE_LEASE, event, event->lease_seen.mine); break;
    case FL_EVENT_CLAIMED: metrics->claims_lost += is_ok && !event->claimed.claimed; break;
    case FL_EVENT_CLAIM_SEEN: {
        bool is_mine = is_ok && claim_is_mine(import, event);
        count_resolved(metrics, FL_RESOLVE_CLAIM, event, is_mine);
        metrics->claims_lost += is_ok && !is_mine;
        break;
    }
    case FL_EVENT_FETCHED:
    case FL_EVENT_PARSED: metrics->leases_lost += ran_out(import, event); break;
    case FL_EVENT_RENEWED: metrics->leases_lost += is_ok && !event->renewed.held; break;
    case FL_EVENT_COMMITTED:
        metrics->stale_commits += is_ok && event->committed.status == FL_COMMIT_STALE;
        break;
    case FL_EVENT_RESOLVED: count_resolve(metrics, import, event); break;
    case FL_EVENT_START:
    case FL_EVENT_READ:
    case FL_EVENT_ENSURED:
    case FL_EVENT_DECIDED:
    case FL_EVENT_RELEASED:
    case FL_EVENT_ACKED:
    case FL_EVENT_TIME:
    case FL_EVENT_WOKEN:
    case FL_EVENT_CANCEL:
    case FL_EVENT_STOP: return;
    }
    if (is_ok && event->type != FL_EVENT_RENEWED)
        add_times(metrics, import, event);
}

void fl_metrics_ended(struct fl_metrics *metrics, const struct fl_run_end *end)
{
    int kind = end->kind == FL_TRANSCRIPT;
    if (end->outcome == FL_OUTCOME_OPEN)
        metrics->retries[kind]++;
    else
        metrics->jobs[kind][end->outcome - 1]++;
    metrics->late_answers += end->late_answers;
    fl_histogram_add(&metrics->phases[FL_PHASE_WAIT], end->waited_ms);
    if (end->outcome != FL_OUTCOME_OPEN)
        fl_histogram_add(&metrics->jobs_ms[kind], end->waited_ms + end->elapsed_ms);
}

/* ---- the process ---- */

void fl_metrics_now_init(struct fl_metrics_now *now)
{
    double *numbers = (double *)now; /* it holds nothing else */
    for (size_t i = 0; i < sizeof *now / sizeof *numbers; i++)
        numbers[i] = NAN;
}

static double read_started_s(void)
{
    char text[1024];
    unsigned long long ticks = 0;
    struct timespec wall, boot;
    FILE *file = fopen("/proc/self/stat", "re");
    size_t length = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[length] = '\0';
    const char *rest = strrchr(text, ')'); /* the program's name may hold anything */
    if (!rest ||
        sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
               &ticks) != 1)
        return NAN;
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    double booted_s = (double)(wall.tv_sec - boot.tv_sec) + (double)(wall.tv_nsec - boot.tv_nsec) / 1e9;
    return booted_s + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static double read_memory_bytes(void)
{
    long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    int found = file ? fscanf(file, "%*d %lld", &pages) : 0;
    if (file)
        fclose(file);
    return found == 1 ? (double)pages * (double)sysconf(_SC_PAGESIZE) : NAN;
}

void fl_metrics_now_process(struct fl_metrics_now *now)
{
    struct rusage usage;
    struct rlimit limit;
    now->memory_bytes = read_memory_bytes();
    now->started_s = read_started_s();
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        now->cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        now->max_fds = (double)limit.rlim_cur;
}
