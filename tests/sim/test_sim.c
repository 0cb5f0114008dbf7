/*
 * A short, fixed part of `make sim`, for every run of the tests: seeds that must hold, and guards without
 * which some seed must fail. It shows that the checker can find something before it is believed that there is
 * nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

enum { MUTANT_SEEDS = 20000, NAME_BYTES = 64 };
#ifdef __SANITIZE_ADDRESS__ /* ten times slower, and here for other errors */
enum { SEEDS = 500 };
#else
enum { SEEDS = 20000 };
#endif

static struct sim sim; /* some hundred KiB */

static bool run(uint64_t seed, enum sim_mutant mutant, FILE *timeline)
{
    bool is_good = sim_run(&sim, seed, mutant, UINT64_MAX, timeline);
    sim_release(&sim);
    return is_good;
}

static void test_seeds(void **state)
{
    uint64_t steps = 0, faults = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        if (!run(seed, SIM_NONE, NULL))
            fail_msg("seed %" PRIu64 ": %s; see it with: make sim SEED=%" PRIu64 " N=1", seed, sim.failure,
                     seed);
        steps += sim.steps;
        faults += sim.fault_count;
    }
    print_message("%d seeds: %" PRIu64 " steps, %" PRIu64 " faults\n", SEEDS, steps, faults);
    assert_true(faults > SEEDS);
}

/* Each has failed once, by the fault of the product or of the checker. */
static void test_seeds_that_have_failed(void **state)
{
    static const uint64_t SEEDS_OF_OLD[] = {786876};
    (void)state;
    for (size_t i = 0; i < sizeof SEEDS_OF_OLD / sizeof *SEEDS_OF_OLD; i++)
        if (!run(SEEDS_OF_OLD[i], SIM_NONE, NULL))
            fail_msg("seed %" PRIu64 ": %s", SEEDS_OF_OLD[i], sim.failure);
}

static char *timeline_of(uint64_t seed)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    assert_true(run(seed, SIM_NONE, out));
    fclose(out);
    return text;
}

static void test_the_same_seed_is_the_same_run(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        char *once = timeline_of(seed), *twice = timeline_of(seed), *other = timeline_of(seed + 1000);
        assert_string_equal(once, twice);
        assert_string_not_equal(once, other);
        free(once);
        free(twice);
        free(other);
    }
}

static void test_without(void **state)
{
    enum sim_mutant mutant = *(enum sim_mutant *)*state;
    uint64_t seed = 1;
    while (seed <= MUTANT_SEEDS && run(seed, mutant, NULL))
        seed++;
    if (seed > MUTANT_SEEDS)
        fail_msg("no seed up to %d has found that this guard is missing", MUTANT_SEEDS);
    print_message("seed %" PRIu64 ": %s\n", seed, sim.failure);
}

int main(void)
{
    static const char *const NAMES[SIM_MUTANT_COUNT] = {
#define X(name, text) [SIM_##name] = text,
        SIM_MUTANTS(X)
#undef X
    };
    static enum sim_mutant mutants[SIM_MUTANT_COUNT];
    static char names[SIM_MUTANT_COUNT][NAME_BYTES];
    struct CMUnitTest tests[SIM_MUTANT_COUNT + 2] = {cmocka_unit_test(test_seeds),
                                                     cmocka_unit_test(test_seeds_that_have_failed),
                                                     cmocka_unit_test(test_the_same_seed_is_the_same_run)};
    for (int i = SIM_NONE + 1; i < SIM_MUTANT_COUNT; i++) {
        mutants[i] = (enum sim_mutant)i;
        snprintf(names[i], NAME_BYTES, "test_without_%s", NAMES[i]);
        tests[i + 2] = (struct CMUnitTest){names[i], test_without, NULL, NULL, &mutants[i]};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
