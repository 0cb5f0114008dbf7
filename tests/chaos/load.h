/* load.h - the work of a chaos run: jobs enqueued by SQL and by `fenceline enqueue`, imports and deletions in
 * processes of their own, retries, and an operator who breaks claims. All of it is drawn from one seed. What
 * was answered goes into the log for the checker. */
#ifndef TESTS_CHAOS_LOAD_H
#define TESTS_CHAOS_LOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { LOAD_CLIENTS = 6 };

/* xorshift*, never 0. */
uint64_t load_random(uint64_t *state);

void load_start(uint64_t seed, FILE *log);

/* A little more of it; keeps open_target jobs open. */
void load_step(int64_t open_target);

/* How many jobs were enqueued by SQL so far. */
int64_t load_enqueued(void);

/* Breaks one of the claims that a process holds now, by `fenceline locks break`. false: it holds none. */
bool load_break(int pid, bool cancel_job);

/* What an operator does after the clock of Redis was set back: a lease that a dead process has got before has
 * an hour to live; one such lease, if there is any, is broken. */
void load_break_long_lease(void);

/* The process of a client that runs, chosen by a number; -1 = none. is_killed: do not expect an answer. */
int load_pick_client(uint64_t random, bool is_killed);

/* Collects what has ended. Returns how many still run. */
int load_collect(void);

/* count jobs by SQL, without anything else; the highest id before them. */
int64_t load_calm(int count);

void load_stop(void);

#endif
