/* main.c - runs seeds through the simulator. See sim.h.
 *
 * sim [--seed N] [--count N] [--mutant NAME] [--replay N]
 * Exit code 0: all held (with --mutant: it was found); 1: not. */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim.h"

static const char *const MUTANTS[SIM_MUTANT_COUNT] = {[SIM_NONE] = "none",
#define X(name, text) [SIM_##name] = text,
                                                      SIM_MUTANTS(X)
#undef X
};

static struct sim sim; /* some hundred KiB */

static bool run(uint64_t seed, enum sim_mutant mutant, uint64_t fault_limit, FILE *timeline)
{
    bool is_good = sim_run(&sim, seed, mutant, fault_limit, timeline);
    sim_release(&sim);
    return is_good;
}

/* The fewest faults, from the first on, with which it still fails. */
static uint64_t shrink(uint64_t seed, enum sim_mutant mutant)
{
    uint64_t limit = 0;
    while (run(seed, mutant, limit, NULL))
        limit++;
    return limit;
}

static void report(uint64_t seed, enum sim_mutant mutant)
{
    uint64_t limit = shrink(seed, mutant);
    run(seed, mutant, limit, NULL);
    printf("seed %" PRIu64 " fails: %s\nwith its first %" PRIu64
           " faults; the timeline: make sim SEED=%" PRIu64 " REPLAY=%" PRIu64 "%s%s\n",
           seed, sim.failure, limit, seed, limit, mutant ? " MUTANT=" : "", mutant ? MUTANTS[mutant] : "");
}

int main(int argc, char **argv)
{
    static const struct option OPTIONS[] = {{"seed", required_argument, NULL, 's'},
                                            {"count", required_argument, NULL, 'c'},
                                            {"mutant", required_argument, NULL, 'm'},
                                            {"replay", required_argument, NULL, 'r'},
                                            {0}};
    uint64_t seed = 1, count = 1000, steps = 0, faults = 0;
    const char *replay = NULL;
    enum sim_mutant mutant = SIM_NONE;
    for (int option; (option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
        if (option == 's')
            seed = strtoull(optarg, NULL, 0);
        else if (option == 'c')
            count = strtoull(optarg, NULL, 0);
        else if (option == 'r')
            replay = optarg;
        else if (option != 'm')
            return 2;
        for (int i = 0; option == 'm' && i < SIM_MUTANT_COUNT; i++)
            if (strcmp(optarg, MUTANTS[i]) == 0)
                mutant = (enum sim_mutant)i;
    }
    if (replay)
        return run(seed, mutant, strtoull(replay, NULL, 0), stdout) ? 0 : 1;
    clock_t began = clock();
    for (uint64_t i = 0; i < count; i++) {
        bool is_good = run(seed + i, mutant, UINT64_MAX, NULL);
        steps += sim.steps;
        faults += sim.fault_count;
        if (is_good)
            continue;
        report(seed + i, mutant);
        if (mutant)
            printf("mutant %s: found after %" PRIu64 " seeds\n", MUTANTS[mutant], i + 1);
        return mutant ? 0 : 1;
    }
    double seconds = (double)(clock() - began) / CLOCKS_PER_SEC;
    printf("%" PRIu64 " seeds from %" PRIu64 ": %" PRIu64 " steps, %" PRIu64 " faults; %.0f seeds a minute\n",
           count, seed, steps, faults, (double)count * 60 / seconds);
    if (mutant)
        printf("mutant %s: NOT found\n", MUTANTS[mutant]);
    return mutant ? 1 : 0;
}
