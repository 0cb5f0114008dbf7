/*
 * Workers in tests: several processes of `fenceline worker` beside the servers of fenceline.h, with short
 * heartbeats.
 *
 *     struct process *w = fleet_start_worker();
 *     int64_t job = fleet_enqueue("ep1", "chapters", "ep1.chapters.json", "replace");
 *     fleet_await_outcome(job, "imported");
 *     fleet_stop_worker(w);
 *
 * source.root of every worker is the test's folder. Everything else of its settings can be changed by
 * fenceline.env or by the env of one worker. Every wait has a generous limit, and fails the test with what is
 * still open.
 */
#ifndef TESTS_LIB_FLEET_H
#define TESTS_LIB_FLEET_H

#include "fenceline.h"

enum { FLEET_WAIT_MS = 60000, FLEET_DEAD_MS = 1000 };

/* Starts one and waits until it is ready. env (NULL = none) ends with NULL and adds to the settings above:
 * worker.slots=4, heartbeat_ms=200, dead_ms=1000, sweep_ms=500, job.retry_base_ms=50, retry_max_ms=400. */
struct process *fleet_start_worker_with(const char *const *env);
#define fleet_start_worker() fleet_start_worker_with(NULL)

/* The same, without waiting. */
struct process *fleet_launch_worker(const char *const *env);
void fleet_await_ready(struct process *worker);

/* SIGTERM, and exit code 0 in time. */
void fleet_stop_worker(struct process *worker);

/* SIGKILL, and waits for its end. */
void fleet_kill_worker(struct process *worker);

/* One job by SELECT fenceline.enqueue: source is a path below the test's folder; returns its id. */
int64_t fleet_enqueue(const char *episode, const char *kind, const char *source, const char *mode);

/* The same with a body: chapters as fenceline_write_chapters writes them (tag, count). */
int64_t fleet_enqueue_chapters(const char *episode, const char *tag, int count, const char *mode);

/* The job's outcome, malloc'ed; "open" while it has none. */
char *fleet_outcome(int64_t job_id);

/* Waits until it has that outcome; another one fails the test with its message. */
void fleet_await_outcome(int64_t job_id, const char *outcome);

/* Waits until a query gives the number: for what a test waits for otherwise. */
void fleet_await(int64_t expected, const char *sql);

/* Waits until no job is open. */
void fleet_await_all_decided(void);

/* Jobs in Redis' streams, delivered or not. */
int64_t fleet_entries(void);

/* Nothing is left: no open job, no entry, no lease, and the database is consistent. */
void fleet_assert_clean(void);

#endif
