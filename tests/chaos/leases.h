/* leases.h - rule 10, judged from what Redis was told: a lease is set, renewed and deleted only by its own
 * nonce. */
#ifndef TESTS_CHAOS_LEASES_H
#define TESTS_CHAOS_LEASES_H

#include <stdbool.h>

#include "judge.h"

/* Judges one log of MONITOR, from one start or promotion of a Redis to its end. Lines may be left out that
 * name no lease and are no FLUSHALL. Counts in judge->leases what was set, renewed and deleted. false: there
 * is no such file. */
bool leases_judge(struct judge *judge, const char *path);

#endif
