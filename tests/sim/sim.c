/* sim.c - events in order of time, chance, and the timeline. See sim.h. */
#include "sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

uint64_t sim_random(struct sim_random *random)
{
    uint64_t z = (random->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t sim_below(struct sim_random *random, uint64_t below)
{
    return sim_random(random) % below;
}

/* ---- a heap of events ---- */

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void swap(struct sim_event *a, struct sim_event *b)
{
    struct sim_event kept = *a;
    *a = *b;
    *b = kept;
}

void sim_at(struct sim *sim, int64_t at_us, void (*run)(struct sim *sim, void *a, int64_t b), void *a,
            int64_t b)
{
    if (sim->event_count == sim->event_capacity) {
        sim->event_capacity = sim->event_capacity ? sim->event_capacity * 2 : 256;
        sim->events = realloc(sim->events, sim->event_capacity * sizeof *sim->events);
        FL_ASSERT(sim->events);
    }
    size_t at = sim->event_count++;
    if (at_us < sim->now_us)
        at_us = sim->now_us;
    sim->events[at] = (struct sim_event){at_us, ++sim->last_order, run, a, b};
    for (; at > 0 && is_before(&sim->events[at], &sim->events[(at - 1) / 2]); at = (at - 1) / 2)
        swap(&sim->events[at], &sim->events[(at - 1) / 2]);
}

/* The next event; false = there is none. */
bool sim_step(struct sim *sim)
{
    if (sim->event_count == 0)
        return false;
    struct sim_event next = sim->events[0];
    sim->events[0] = sim->events[--sim->event_count];
    for (size_t at = 0;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < sim->event_count && is_before(&sim->events[child + 1], &sim->events[child]))
            child++;
        if (child >= sim->event_count || !is_before(&sim->events[child], &sim->events[at]))
            break;
        swap(&sim->events[at], &sim->events[child]);
        at = child;
    }
    sim->now_us = next.at_us;
    sim->steps++;
    next.run(sim, next.a, next.b);
    return true;
}

/* ---- the timeline, failures, faults ---- */

void sim_note(struct sim *sim, const char *format, ...)
{
    if (!sim->timeline)
        return;
    va_list args;
    va_start(args, format);
    fprintf(sim->timeline, "%12.3f ms  ", (double)sim->now_us / 1000);
    vfprintf(sim->timeline, format, args);
    fputc('\n', sim->timeline);
    va_end(args);
}

void sim_fail(struct sim *sim, const char *format, ...)
{
    if (sim->has_failed)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(sim->failure, sizeof sim->failure, format, args);
    va_end(args);
    sim->has_failed = true;
    sim_note(sim, "FAILED: %s", sim->failure);
}

bool sim_fault(struct sim *sim, uint64_t odds, const char *what)
{
    bool is_drawn =
        sim_below(&sim->faults, odds) == 0; /* drawn in any case, so that a prefix stays a prefix */
    if (!is_drawn || !sim->is_faulty || sim->now_us >= sim->calm_at_us ||
        sim->fault_count >= sim->fault_limit)
        return false;
    sim->fault_count++;
    sim_note(sim, "fault %" PRIu64 ": %s", sim->fault_count, what);
    return true;
}
