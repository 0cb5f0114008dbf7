/*
 * Faults by count: a small import, and its Nth call of a port fails, for every N and in every way, and every
 * pair of them. No chance: the runs are all there are. The production core and driver run on the simulated
 * servers of tests/sim, whose checker watches every step; and in the end the job has the outcome that it
 * would have had without the fault.
 *
 * A failure names the scenario, the calls and the faults, and prints what happened.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../sim/sim.h"

enum { END_US = 120000000, MAX_CALLS = 400, MAX_FAULTS = 2, CONTENT_INVALID = SIM_CONTENTS - 1 };

struct scenario {
    const char *name;
    int content_before; /* of the document that is there before; -1 = none */
    bool is_newer;      /* and it is of a newer job than this one */
    enum fl_mode mode;
    int64_t if_version; /* that of the document is 1 */
    int content;
    enum fl_outcome outcome;
    int content_after; /* -1 = no document */
    int64_t load_us;   /* how long it takes to read and parse */
    bool has_rival;    /* another process has a newer job (replace by document 2) for the episode, at once */
};

static const struct scenario SCENARIOS[] = {
    {"create", -1, false, FL_MODE_CREATE, 0, 0, FL_OUTCOME_IMPORTED, 0, 500, false},
    {"create, rejected", 0, false, FL_MODE_CREATE, 0, 1, FL_OUTCOME_REJECTED, 0, 500, false},
    {"replace", 0, false, FL_MODE_REPLACE, 0, 1, FL_OUTCOME_IMPORTED, 1, 500, false},
    {"replace, unchanged", 0, false, FL_MODE_REPLACE, 0, 0, FL_OUTCOME_UNCHANGED, 0, 500, false},
    {"replace, superseded", 0, true, FL_MODE_REPLACE, 0, 1, FL_OUTCOME_SUPERSEDED, 0, 500, false},
    {"replace, invalid", 0, false, FL_MODE_REPLACE, 0, CONTENT_INVALID, FL_OUTCOME_INVALID, 0, 500, false},
    {"if-version", 0, false, FL_MODE_IF_VERSION, 1, 1, FL_OUTCOME_IMPORTED, 1, 500, false},
    {"if-version, rejected", 0, false, FL_MODE_IF_VERSION, 7, 1, FL_OUTCOME_REJECTED, 0, 500, false},
    {"delete", 0, false, FL_MODE_DELETE, 0, 0, FL_OUTCOME_DELETED, -1, 0, false},
    {"delete, unchanged", -1, false, FL_MODE_DELETE, 0, 0, FL_OUTCOME_UNCHANGED, -1, 0, false},
    {"replace, slow, renewed", 0, false, FL_MODE_REPLACE, 0, 1, FL_OUTCOME_IMPORTED, 1, 900000, false},
    {"two at once", 0, false, FL_MODE_REPLACE, 0, 1, FL_OUTCOME_OPEN, 2, 500, true},
};

/* What goes wrong, when. */
struct fault {
    unsigned call; /* the Nth of all, from 1 */
    enum sim_call_fault how;
    int64_t late_us;
    unsigned lasts; /* and as many calls after it; 0 = it alone */
};

static const struct fault WAYS[] = {
    {.how = SIM_CALL_UNAVAILABLE},
    {.how = SIM_CALL_UNAVAILABLE, .lasts = 4},
    {.how = SIM_CALL_TRANSIENT},
    {.how = SIM_CALL_FAILED},
    {.how = SIM_CALL_LOST_REQUEST},
    {.how = SIM_CALL_LOST_REPLY},
    {.how = SIM_CALL_SILENT},
    {.how = SIM_CALL_LATE, .late_us = 100},
    {.how = SIM_CALL_LATE, .late_us = 2000},
    {.how = SIM_CALL_LATE, .late_us = 30000},
    {.how = SIM_CALL_LATE, .late_us = 1500000},
};

enum { WAY_COUNT = sizeof WAYS / sizeof *WAYS };

static struct sim sim;
static struct fault faults[MAX_FAULTS];
static const struct scenario *running;
static unsigned calls, begun, loads;
static enum fl_action_type struck; /* the call that the first fault met */
static uint64_t runs;

/* ---- the world ---- */

static enum sim_call_fault plan(struct sim *unused, const struct fl_request *request, int64_t *late_us)
{
    (void)unused;
    calls++;
    begun += request->op == 1;
    if (calls == faults[0].call)
        struck = request->action;
    for (int i = 0; i < MAX_FAULTS; i++) {
        if (faults[i].call && calls >= faults[i].call && calls <= faults[i].call + faults[i].lasts) {
            *late_us = faults[i].late_us;
            return faults[i].how;
        }
    }
    return SIM_CALL_GOOD;
}

static void on_loaded(struct sim *unused, void *pointer, int64_t unused_too)
{
    struct fl_work *work = pointer;
    (void)unused;
    (void)unused_too;
    loads++;
    work->run(work);
    work->done(work);
}

static void start_work(void *self, struct fl_work *work)
{
    (void)self;
    sim_at(&sim, sim.now_us + running->load_us, on_loaded, work, 0);
}

static void add_process(int index, bool hands_back)
{
    struct sim_process *process = &sim.processes[index];
    process->index = index;
    process->random.state = (uint64_t)index;
    process->policy = (struct fl_import_policy){.lease_ttl_ms = 1000,
                                                .lease_max_ms = 5000,
                                                .lease_stall_ms = 2000,
                                                .wait_lock_ms = 20000,
                                                .backoff_base_ms = 10,
                                                .backoff_max_ms = 300,
                                                .look_ms = 200,
                                                .max_attempts = 10,
                                                .patience_ms = 3000,
                                                .hand_back = hands_back};
    sim_process_start(&sim, process);
    process->pool.start = start_work;
}

static void add_document(const struct scenario *scenario)
{
    struct sim_episode *episode = &sim.postgres.episodes[0];
    if (scenario->content_before < 0)
        return;
    *episode = (struct sim_episode){.is_there = true, .version = 1, .fence = 1};
    episode->documents[1] = (struct sim_document){.content = -1, .rows = -1};
    episode->documents[0] = (struct sim_document){.is_there = true,
                                                  .version = 1,
                                                  .job_id = 1,
                                                  .rank = scenario->is_newer ? 10 : 1,
                                                  .row_count = 1,
                                                  .content = scenario->content_before,
                                                  .rows = scenario->content_before};
    sim.postgres.jobs[1].outcome = FL_OUTCOME_IMPORTED;
    sim.postgres.jobs[1].content = scenario->content_before;
    sim.postgres.jobs[1].effects = 1;
    sim.ledger.claimed[0] = sim.ledger.committed[0] = 1;
    sim.ledger.decided[1] = true;
}

/* Job 1 made what is there, 2 is the import, 3 the rival's. */
static void make_world(const struct scenario *scenario, bool hands_back, int parity, FILE *timeline)
{
    sim = (struct sim){.seed = 1,
                       .timeline = timeline,
                       .plan = plan,
                       .is_faulty = true, /* for the checker; chance has none, since it is calm */
                       .process_count = scenario->has_rival ? 2 : 1,
                       .episode_count = 1};
    sim_leave_out(SIM_NONE);
    running = scenario;
    calls = begun = loads = 0;
    struck = FL_ACTION_NONE;
    sim.postgres.last_backend = parity; /* whether a lost reply has told its transaction: sim_process.c */
    for (int i = 0; i < SIM_EPISODES; i++)
        for (int kind = 0; kind < SIM_KINDS; kind++)
            sim.postgres.episodes[i].documents[kind] = (struct sim_document){.content = -1, .rows = -1};
    sim.postgres.job_count = scenario->has_rival ? 3 : 2;
    sim.postgres.jobs[1] =
        (struct sim_job){.job_id = 1, .rank = 1, .mode = FL_MODE_REPLACE, .outcome = FL_OUTCOME_CANCELLED};
    sim.postgres.jobs[2] = (struct sim_job){.job_id = 2,
                                            .rank = 2,
                                            .mode = scenario->mode,
                                            .if_version = scenario->if_version,
                                            .content = scenario->content};
    if (scenario->has_rival)
        sim.postgres.jobs[3] =
            (struct sim_job){.job_id = 3, .rank = 3, .mode = FL_MODE_REPLACE, .content = 2};
    add_document(scenario);
    for (int i = 0; i < sim.process_count; i++)
        add_process(i, hands_back);
}

/* ---- what must be in the end ---- */

static bool had_error(void)
{
    return faults[0].how == SIM_CALL_FAILED || faults[1].how == SIM_CALL_FAILED;
}

/* A fault before the load costs no second one: whoever loads holds the episode (a silence is longer than any
 * lease). And who was not asked to hand jobs back ends them itself. */
static void check_effort(const struct scenario *scenario, bool hands_back)
{
    bool is_before = struck == FL_ACTION_READ || struck == FL_ACTION_ENSURE || struck == FL_ACTION_LEASE ||
                     struck == FL_ACTION_CLAIM || struck == FL_ACTION_RELEASE;
    bool is_single = faults[1].call == 0 && faults[0].how != SIM_CALL_SILENT && !scenario->has_rival;
    if (is_single && is_before && loads > 1)
        sim_fail(&sim, "the document was loaded %u times", loads);
    if (!hands_back && !had_error() && begun > (scenario->has_rival ? 2 : 1))
        sim_fail(&sim, "an import ended undecided");
}

static void check_end(const struct scenario *scenario)
{
    const struct sim_job *job = &sim.postgres.jobs[2], *rival = &sim.postgres.jobs[3];
    const struct sim_document *document = &sim.postgres.episodes[0].documents[0];
    bool has_failed = job->outcome == FL_OUTCOME_FAILED || rival->outcome == FL_OUTCOME_FAILED;
    sim_check_end(&sim);
    if (sim_redis_has(&sim, 0))
        sim_fail(&sim, "a lease is left, long after its time");
    if (has_failed && had_error())
        return; /* an error that no retry helps against may end a job; the checker has seen that it wrote
                   nothing */
    if (scenario->outcome != FL_OUTCOME_OPEN && job->outcome != scenario->outcome)
        sim_fail(&sim, "the job is %s", fl_outcome_name(job->outcome));
    if (scenario->has_rival && rival->outcome != FL_OUTCOME_IMPORTED)
        sim_fail(&sim, "the rival's job is %s", fl_outcome_name(rival->outcome));
    if (document->rows != scenario->content_after)
        sim_fail(&sim, "the document that is there is number %d", document->rows);
}

static bool run(const struct scenario *scenario, bool hands_back, int parity, FILE *timeline)
{
    make_world(scenario, hands_back, parity, timeline);
    for (int i = 0; i < sim.process_count; i++)
        sim_process_take(&sim, &sim.processes[i], 2 + i);
    while (!sim.has_failed && sim.now_us < END_US && sim_step(&sim))
        ;
    if (!sim.has_failed)
        check_end(scenario);
    if (!sim.has_failed)
        check_effort(scenario, hands_back);
    sim_release(&sim);
    runs++;
    return !sim.has_failed;
}

static void print_run(const struct scenario *scenario, bool hands_back, int parity)
{
    char *text = NULL;
    size_t length = 0;
    FILE *timeline = open_memstream(&text, &length);
    assert_non_null(timeline);
    (void)run(scenario, hands_back, parity, timeline);
    fclose(timeline);
    print_message("%s", text);
    free(text);
}

/* Both kinds of callers, and lost replies that have told their transaction, or not. */
static void run_all_kinds(const struct scenario *scenario, unsigned *most_calls)
{
    for (int kind = 0; kind < 4; kind++) {
        bool hands_back = kind & 1;
        bool is_good = run(scenario, hands_back, kind >> 1, NULL);
        if (calls > *most_calls)
            *most_calls = calls;
        if (is_good)
            continue;
        print_run(scenario, hands_back, kind >> 1);
        fail_msg("%s%s: call %u in way %d, call %u in way %d: %s", scenario->name,
                 hands_back ? ", handed back" : "", faults[0].call, faults[0].how, faults[1].call,
                 faults[1].how, sim.failure);
    }
}

/* ---- all of them ---- */

static void test_no_fault(void **state)
{
    const struct scenario *scenario = *state;
    unsigned most_calls = 0;
    memset(faults, 0, sizeof faults);
    run_all_kinds(scenario, &most_calls);
    assert_in_range(most_calls, 2, MAX_CALLS);
}

static void test_every_call(void **state)
{
    const struct scenario *scenario = *state;
    memset(faults, 0, sizeof faults);
    for (int way = 0; way < WAY_COUNT; way++) {
        unsigned most_calls = MAX_CALLS;
        for (unsigned call = 1; call <= most_calls; call++) {
            most_calls = 0;
            faults[0] = WAYS[way];
            faults[0].call = call;
            run_all_kinds(scenario, &most_calls);
        }
    }
}

static void test_every_pair(void **state)
{
    const struct scenario *scenario = *state;
    uint64_t before = runs;
    for (int way = 0; way < WAY_COUNT * WAY_COUNT; way++) {
        unsigned most_calls = MAX_CALLS;
        for (unsigned call = 1; call < most_calls; call++) {
            most_calls = MAX_CALLS;
            for (unsigned other = call + 1; other <= most_calls; other++) {
                most_calls = 0;
                faults[0] = WAYS[way / WAY_COUNT];
                faults[1] = WAYS[way % WAY_COUNT];
                faults[0].call = call;
                faults[1].call = other;
                run_all_kinds(scenario, &most_calls);
            }
        }
    }
    memset(faults, 0, sizeof faults);
    print_message("%" PRIu64 " pairs\n", runs - before);
}

/* Under sanitizers pairs are for the mode that has the most to lose. */
static bool has_pairs(const struct scenario *scenario)
{
#ifdef __SANITIZE_ADDRESS__
    return strcmp(scenario->name, "create") == 0;
#else
    (void)scenario;
    return true;
#endif
}

int main(void)
{
    enum { COUNT = sizeof SCENARIOS / sizeof *SCENARIOS };
    static struct CMUnitTest tests[COUNT * 3];
    static char names[COUNT * 3][64];
    size_t count = 0;
    for (int i = 0; i < COUNT; i++) {
        const struct scenario *scenario = &SCENARIOS[i];
        static void (*const TESTS[])(void **) = {test_no_fault, test_every_call, test_every_pair};
        static const char *const TEXTS[] = {"no fault", "every call", "every pair"};
        for (int k = 0; k < (has_pairs(scenario) ? 3 : 2); k++) {
            snprintf(names[count], sizeof names[0], "%s: %s", scenario->name, TEXTS[k]);
            tests[count] =
                (struct CMUnitTest){names[count], TESTS[k], NULL, NULL, (void *)(uintptr_t)scenario};
            count++;
        }
    }
    int failed = _cmocka_run_group_tests("port faults", tests, count, NULL, NULL);
    print_message("%" PRIu64 " runs\n", runs);
    return failed;
}
