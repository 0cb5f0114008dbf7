/* test_metrics.c - what each event of an import counts, and that the text of it is whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "app/metrics.h"
#include "base/slice.h"

static struct fl_metrics metrics;
static struct fl_import import;

static int start(void **state)
{
    (void)state;
    memset(&metrics, 0, sizeof metrics);
    memset(&import, 0, sizeof import);
    import.times = (struct fl_import_times){
        .started_ms = 1000, .leased_ms = 1100, .claimed_ms = 1200, .loaded_ms = 1700};
    return 0;
}

static void see(enum fl_import_state state_after, struct fl_event event)
{
    import.state = state_after;
    fl_metrics_seen(&metrics, &import, &event);
}

static uint64_t count_all(const struct fl_metrics *all)
{
    uint64_t sum = 0;
    const uint64_t *numbers = (const uint64_t *)(const void *)all;
    for (size_t i = 0; i < sizeof *all / sizeof *numbers; i++)
        sum += numbers[i];
    return sum;
}

static void test_a_good_import_counts_its_times_alone(void **state)
{
    (void)state;
    see(FL_IMPORT_LEASE, (struct fl_event){.type = FL_EVENT_READ, .now_ms = 1050});
    see(FL_IMPORT_CLAIM, (struct fl_event){.type = FL_EVENT_LEASED, .now_ms = 1100, .leased.granted = true});
    see(FL_IMPORT_FETCH,
        (struct fl_event){.type = FL_EVENT_CLAIMED, .now_ms = 1200, .claimed.claimed = true});
    see(FL_IMPORT_PARSE, (struct fl_event){.type = FL_EVENT_FETCHED, .now_ms = 1300});
    see(FL_IMPORT_COMMIT, (struct fl_event){.type = FL_EVENT_PARSED, .now_ms = 1700});
    see(FL_IMPORT_COMMIT, (struct fl_event){.type = FL_EVENT_RENEWED, .now_ms = 1710, .renewed.held = true});
    see(FL_IMPORT_RELEASE, (struct fl_event){.type = FL_EVENT_COMMITTED, .now_ms = 1730});
    see(FL_IMPORT_ACK, (struct fl_event){.type = FL_EVENT_RELEASED, .now_ms = 1740});
    static const uint64_t SUMS[FL_PHASE_COUNT] = {0, 100, 100, 500, 30};
    for (int i = 1; i < FL_PHASE_COUNT; i++) {
        assert_int_equal(metrics.phases[i].count, 1);
        assert_int_equal(metrics.phases[i].sum_ms, SUMS[i]);
        memset(&metrics.phases[i], 0, sizeof metrics.phases[i]);
    }
    assert_int_equal(count_all(&metrics), 0);
}

static void test_losses(void **state)
{
    (void)state;
    see(FL_IMPORT_WAIT, (struct fl_event){.type = FL_EVENT_LEASED});
    assert_int_equal(metrics.leases_busy, 1);
    see(FL_IMPORT_RELEASE, (struct fl_event){.type = FL_EVENT_CLAIMED});
    assert_int_equal(metrics.claims_lost, 1);
    see(FL_IMPORT_RELEASE,
        (struct fl_event){.type = FL_EVENT_COMMITTED, .committed.status = FL_COMMIT_STALE});
    assert_int_equal(metrics.stale_commits, 1);
    assert_int_equal(metrics.phases[FL_PHASE_COMMIT].count, 0);
    see(FL_IMPORT_RELEASE,
        (struct fl_event){.type = FL_EVENT_COMMITTED, .committed.status = FL_COMMIT_DECIDED});
    assert_int_equal(metrics.stale_commits, 1);
    see(FL_IMPORT_RELEASE, (struct fl_event){.type = FL_EVENT_FETCHED}); /* it ran out */
    assert_int_equal(metrics.leases_lost, 1);
    see(FL_IMPORT_FETCH, (struct fl_event){.type = FL_EVENT_RENEWED}); /* it was gone */
    assert_int_equal(metrics.leases_lost, 2);
    import.lease.lost = true; /* and this is the same one */
    see(FL_IMPORT_RELEASE, (struct fl_event){.type = FL_EVENT_FETCHED});
    import.lease.lost = false;
    import.stop = true;
    see(FL_IMPORT_RELEASE, (struct fl_event){.type = FL_EVENT_PARSED});
    import.stop = false;
    see(FL_IMPORT_DECIDE, (struct fl_event){.type = FL_EVENT_PARSED, .status = FL_INVALID});
    assert_int_equal(metrics.leases_lost, 2);
}

static void test_lost_replies_and_what_they_were(void **state)
{
    (void)state;
    static const struct {
        enum fl_event_type type;
        enum fl_metrics_step step;
    } LOST[] = {{FL_EVENT_READ, FL_STEP_READ},        {FL_EVENT_ENSURED, FL_STEP_ENSURE},
                {FL_EVENT_LEASED, FL_STEP_LEASE},     {FL_EVENT_LEASE_SEEN, FL_STEP_LEASE_CHECK},
                {FL_EVENT_CLAIMED, FL_STEP_CLAIM},    {FL_EVENT_CLAIM_SEEN, FL_STEP_CLAIM_CHECK},
                {FL_EVENT_COMMITTED, FL_STEP_COMMIT}, {FL_EVENT_RESOLVED, FL_STEP_RESOLVE},
                {FL_EVENT_DECIDED, FL_STEP_DECIDE},   {FL_EVENT_RELEASED, FL_STEP_RELEASE},
                {FL_EVENT_RENEWED, FL_STEP_RENEW}};
    import.after_wait = FL_IMPORT_RESOLVE;
    for (size_t i = 0; i < FL_STEP_COUNT; i++) {
        see(FL_IMPORT_WAIT, (struct fl_event){.type = LOST[i].type, .status = FL_LOST});
        assert_int_equal(metrics.lost_replies[LOST[i].step], 1);
    }
    assert_int_equal(metrics.leases_lost + metrics.claims_lost + metrics.stale_commits, 0);
    memset(&metrics, 0, sizeof metrics);
    see(FL_IMPORT_CLAIM, (struct fl_event){.type = FL_EVENT_LEASE_SEEN, .lease_seen.mine = true});
    see(FL_IMPORT_RELEASE, (struct fl_event){.type = FL_EVENT_LEASE_SEEN});
    see(FL_IMPORT_RELEASE, (struct fl_event){.type = FL_EVENT_LEASE_SEEN, .status = FL_UNAVAILABLE});
    for (int i = 0; i < FL_RESULT_COUNT; i++)
        assert_int_equal(metrics.resolved[FL_RESOLVE_LEASE][i], 1);
    import.lease.token.n = 7;
    see(FL_IMPORT_FETCH, (struct fl_event){.type = FL_EVENT_CLAIM_SEEN, .claim_seen.fence.n = 7});
    see(FL_IMPORT_RELEASE, (struct fl_event){.type = FL_EVENT_CLAIM_SEEN, .claim_seen.fence.n = 8});
    assert_int_equal(metrics.resolved[FL_RESOLVE_CLAIM][FL_RESULT_DONE], 1);
    assert_int_equal(metrics.resolved[FL_RESOLVE_CLAIM][FL_RESULT_UNDONE], 1);
    assert_int_equal(metrics.claims_lost, 1);
    see(FL_IMPORT_RELEASE,
        (struct fl_event){.type = FL_EVENT_RESOLVED, .resolved.status = FL_RESOLVED_DECIDED});
    see(FL_IMPORT_RELEASE,
        (struct fl_event){.type = FL_EVENT_RESOLVED, .resolved.status = FL_RESOLVED_NEVER});
    see(FL_IMPORT_WAIT, (struct fl_event){.type = FL_EVENT_RESOLVED, .resolved.status = FL_RESOLVED_RUNNING});
    assert_int_equal(metrics.resolved[FL_RESOLVE_COMMIT][FL_RESULT_UNKNOWN], 0); /* it is asked again */
    import.after_wait = FL_IMPORT_READ;
    see(FL_IMPORT_RELEASE, (struct fl_event){.type = FL_EVENT_RESOLVED, .status = FL_UNAVAILABLE});
    for (int i = 0; i < FL_RESULT_COUNT; i++)
        assert_int_equal(metrics.resolved[FL_RESOLVE_COMMIT][i], 1);
}

static void test_ends(void **state)
{
    (void)state;
    for (int outcome = FL_OUTCOME_IMPORTED; outcome <= FL_OUTCOME_CANCELLED; outcome++)
        fl_metrics_ended(&metrics, &(struct fl_run_end){.kind = FL_TRANSCRIPT,
                                                        .outcome = (enum fl_outcome)outcome,
                                                        .waited_ms = 40,
                                                        .elapsed_ms = 5});
    fl_metrics_ended(&metrics, &(struct fl_run_end){.kind = FL_CHAPTERS, .waited_ms = -3, .late_answers = 2});
    for (int i = 0; i < FL_METRICS_OUTCOMES; i++)
        assert_int_equal(metrics.jobs[1][i], 1);
    assert_int_equal(metrics.retries[0], 1);
    assert_int_equal(metrics.late_answers, 2);
    assert_int_equal(metrics.phases[FL_PHASE_WAIT].count, 9);
    assert_int_equal(metrics.phases[FL_PHASE_WAIT].sum_ms, 8 * 40);
    assert_int_equal(metrics.jobs_ms[1].sum_ms, 8 * 45);
    assert_int_equal(metrics.jobs_ms[0].count, 0);
}

static char *written(const struct fl_metrics_now *now)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    fl_metrics_write(out, &metrics, now);
    fclose(out);
    return text;
}

static void test_text(void **state)
{
    (void)state;
    struct fl_metrics_now now;
    fl_metrics_now_init(&now);
    fl_histogram_add(&metrics.phases[FL_PHASE_LOAD], 3);
    fl_histogram_add(&metrics.phases[FL_PHASE_LOAD], 400000); /* above all bounds */
    fl_histogram_add(&metrics.phases[FL_PHASE_LOAD], 1);
    metrics.jobs[1][FL_OUTCOME_FAILED - 1] = 3;
    metrics.resolved[FL_RESOLVE_COMMIT][FL_RESULT_UNKNOWN] = 9;
    now.slots = 16;
    now.ready[1] = 0;
    char *text = written(&now);
    static const char *const PARTS[] = {
        "\nfenceline_job_phase_seconds_bucket{phase=\"load\",le=\"0.001\"} 1\n",
        "\nfenceline_job_phase_seconds_bucket{phase=\"load\",le=\"0.005\"} 2\n",
        "\nfenceline_job_phase_seconds_bucket{phase=\"load\",le=\"300\"} 2\n",
        "\nfenceline_job_phase_seconds_bucket{phase=\"load\",le=\"+Inf\"} 3\n",
        "\nfenceline_job_phase_seconds_sum{phase=\"load\"} 400.004\n",
        "\nfenceline_job_phase_seconds_count{phase=\"load\"} 3\n",
        "\nfenceline_jobs_total{kind=\"transcript\",outcome=\"failed\"} 3\n",
        "\nfenceline_lost_replies_resolved_total{step=\"commit\",result=\"unknown\"} 9\n",
        "\n# TYPE fenceline_slots gauge\nfenceline_slots 16\n",
        "\nfenceline_ready{check=\"postgres\"} 0\n",
    };
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++)
        if (!strstr(text, PARTS[i]))
            fail_msg("no %s in %s", PARTS[i], text);
    assert_null(strstr(text, "nan")); /* what is not known is not told */
    assert_null(strstr(text, "fenceline_ready{check=\"redis\""));
    assert_null(strstr(text, "fenceline_queue_jobs"));
    assert_int_equal(text[strlen(text) - 1], '\n');
    free(text);
}

static void test_the_process(void **state)
{
    (void)state;
    struct fl_metrics_now now;
    fl_metrics_now_init(&now);
    fl_metrics_now_process(&now);
    assert_true(now.memory_bytes > 100000);
    assert_true(now.started_s > 1.6e9);
    assert_true(now.cpu_s >= 0);
    assert_true(now.max_fds > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_good_import_counts_its_times_alone, start),
        cmocka_unit_test_setup(test_losses, start),
        cmocka_unit_test_setup(test_lost_replies_and_what_they_were, start),
        cmocka_unit_test_setup(test_ends, start),
        cmocka_unit_test_setup(test_text, start),
        cmocka_unit_test_setup(test_the_process, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
