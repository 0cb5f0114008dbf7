/* faults.h - the faults of a chaos run: which, when, on whom and for how long is drawn from the seed before
 * the run begins. */
#ifndef TESTS_CHAOS_FAULTS_H
#define TESTS_CHAOS_FAULTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Draws the faults of so many milliseconds. verbose: tells each as it comes. */
void faults_plan(uint64_t seed, int64_t duration_ms, bool verbose);

/* Begins and ends what is due at that time since the start. */
void faults_step(int64_t now_ms);

/* Ends all that is active, and sets right whatever a fault may have left. */
void faults_end(void);

/* A line "fault COUNT KIND" for each kind; adds the counts of this run to those of all runs. */
void faults_log(FILE *log);
void faults_print_totals(void);
int faults_count(void);

#endif
