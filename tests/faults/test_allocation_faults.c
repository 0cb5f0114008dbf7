/*
 * Faults by count: the Nth allocation fails, for every N, while a document is parsed and while a whole import
 * runs in the simulator; the Nth alone, or it and all that follow. Either the result is the right one, or it
 * says that memory is short; nothing crashes, and LeakSanitizer finds nothing left.
 *
 * The linker puts the functions below in front of malloc, calloc and realloc (--wrap); cJSON, which is a
 * library of its own, is told to use them. They count only while production code runs that may allocate: the
 * simulator's own memory is not at stake.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../sim/sim.h"
#include "base/arena.h"
#include "base/slice.h"
#include "core/parse.h"

enum { END_US = 120000000, MAX_ALLOCATIONS = 500000, FILE_BYTES = 1 << 20, MANY_ROWS = 600 };

/* ---- memory ---- */

static bool is_counting, fails_on; /* fails_on: all that follow fail, too */
static unsigned allocations, fails_at;

static bool fails(void)
{
    if (!is_counting)
        return false;
    allocations++;
    return fails_on ? fails_at && allocations >= fails_at : allocations == fails_at;
}

void *__real_malloc(size_t size_bytes);
void *__real_calloc(size_t count, size_t size_bytes);
void *__real_realloc(void *memory, size_t size_bytes);
void *__wrap_malloc(size_t size_bytes);
void *__wrap_calloc(size_t count, size_t size_bytes);
void *__wrap_realloc(void *memory, size_t size_bytes);

void *__wrap_malloc(size_t size_bytes)
{
    return fails() ? NULL : __real_malloc(size_bytes);
}

void *__wrap_calloc(size_t count, size_t size_bytes)
{
    return fails() ? NULL : __real_calloc(count, size_bytes);
}

void *__wrap_realloc(void *memory, size_t size_bytes)
{
    return fails() ? NULL : __real_realloc(memory, size_bytes);
}

static void begin_counting(unsigned at, bool on)
{
    allocations = 0;
    fails_at = at;
    fails_on = on;
    is_counting = true;
}

/* ---- inputs: each format, small and with many rows, with much to warn of ---- */

static const char *const FILES[] = {
    "ep39.chapters.json",   "ep39.vtt", "ep40.chapters.json", "ep40.srt",
    "ep41.transcript.json", "ep42.srt", "ep43.vtt",           "ep44.transcript.txt"};

static char *file_text(const char *name, size_t *length)
{
    char path[256];
    snprintf(path, sizeof path, "tests/samples/%s", name);
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s: run this program from the top of the source", path);
    char *text = malloc(FILE_BYTES);
    assert_non_null(text);
    *length = fread(text, 1, FILE_BYTES, file);
    fclose(file);
    return text;
}

/* Rows out of order, with invalid UTF-8 and overlong lines: all that is repaired and warned of. */
static char *made_text(int which, size_t *length)
{
    char *text = malloc(FILE_BYTES);
    assert_non_null(text);
    size_t at = 0;
#define PUT(...) at += (size_t)snprintf(text + at, FILE_BYTES - at, __VA_ARGS__)
    if (which == 0)
        PUT("{\"version\":\"1.2.0\",\"chapters\":[");
    if (which == 2)
        PUT("WEBVTT\n\n");
    if (which == 3)
        PUT("{\"version\":\"1.0.0\",\"segments\":[");
    for (int i = 0; i < MANY_ROWS; i++) {
        int s = i % 10 == 3 ? i - 2 : i, h = s / 3600, m = s / 60 % 60;
        const char *comma = i ? "," : "";
        switch (which) {
        case 0:
            PUT("%s{\"startTime\":%d,\"title\":\"caf\\u00e9 %d\",\"img\":\"i\",\"x\":[1,{}]}", comma, s, i);
            break;
        case 1:
            PUT("%d\r\n%02d:%02d:%02d,000 --> %02d:%02d:%02d,900\r\nA: <i>b&amp;</i> \xff\r\n\r\n", i, h, m,
                s % 60, h, m, s % 60);
            break;
        case 2:
            PUT("%02d:%02d:%02d.000 --> %02d:%02d:%02d.900 align:x\n<v Ann &amp; Bob>b <c.x>c</c>\n\n", h, m,
                s % 60, h, m, s % 60);
            break;
        case 3:
            PUT("%s{\"startTime\":%d.5,\"endTime\":%d,\"speaker\":\"A\",\"body\":\"b\\n%d\"}", comma, s,
                s + 1, i);
            break;
        default: PUT("[%02d:%02d:%02d] Ann: hello %d\n\n", h, m, s % 60, i); break;
        }
    }
    if (which == 0 || which == 3)
        PUT("]}");
#undef PUT
    assert_true(at < FILE_BYTES - 1);
    *length = at;
    return text;
}

/* The same in UTF-16 with its mark: the decoder allocates, too. */
static char *as_utf16(const char *text, size_t *length)
{
    char *wide = malloc(2 * *length + 2);
    assert_non_null(wide);
    memcpy(wide, "\xff\xfe", 2);
    for (size_t i = 0; i < *length; i++) {
        wide[2 * i + 2] = (char)((unsigned char)text[i] < 0x80 ? text[i] : '?');
        wide[2 * i + 3] = 0;
    }
    *length = 2 * *length + 2;
    return wide;
}

/* ---- parsing ---- */

struct outcome {
    fl_status status;
    size_t row_count, warning_count;
    uint8_t sha256[FL_SHA256_BYTES];
};

static struct outcome parse(struct fl_slice bytes, unsigned at, bool on)
{
    static const struct fl_limits LIMITS = {
        .file_bytes = 2 * FILE_BYTES + 2, .rows = 100000, .field_bytes = 65536, .repair = true};
    const struct fl_parse_hint hint = {0};
    struct fl_arena arena;
    struct fl_document document = {0};
    struct fl_err err = {0};
    struct outcome outcome = {0};
    fl_arena_init(&arena, 64 << 20);
    begin_counting(at, on);
    outcome.status = fl_parse_document(bytes, &hint, &LIMITS, &arena, &document, &err);
    is_counting = false;
    if (outcome.status == FL_OK) {
        outcome.row_count = document.row_count;
        outcome.warning_count = document.warning_count;
        memcpy(outcome.sha256, document.sha256, sizeof outcome.sha256);
    } else {
        assert_int_equal(err.code, outcome.status);
        assert_int_not_equal(err.text[0], '\0');
    }
    fl_arena_release(&arena);
    return outcome;
}

/* Each allocation of it in turn; all of them, or with very many some, evenly. */
static void fail_each(const char *name, struct fl_slice bytes)
{
    const struct outcome good = parse(bytes, 0, false);
    unsigned all = allocations, short_of_memory = 0, step = all / 150 + 1;
    if (good.status != FL_OK)
        fail_msg("%s: %s", name, fl_status_text(good.status));
    assert_in_range(all, 1, MAX_ALLOCATIONS);
    for (unsigned at = 1; at <= all; at += at < 40 || at + 40 > all ? 1 : step)
        for (int on = 0; on < 2; on++) {
            struct outcome one = parse(bytes, at, on);
            if (one.status == FL_NO_MEMORY) {
                short_of_memory++;
                continue;
            }
            if (one.status != FL_OK)
                fail_msg("%s: allocation %u of %u fails: %s", name, at, all, fl_status_text(one.status));
            /* Room for a warning may be missing, but never a row, and the warning is still counted. */
            assert_int_equal(one.row_count, good.row_count);
            assert_int_equal(one.warning_count, good.warning_count);
            assert_memory_equal(one.sha256, good.sha256, sizeof one.sha256);
        }
    assert_true(short_of_memory > 0);
    print_message("%s: %u allocations\n", name, all);
}

static void test_parse_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        size_t length;
        char *text = file_text(FILES[i], &length);
        fail_each(FILES[i], (struct fl_slice){text, length});
        free(text);
    }
}

static void test_parse_many_rows(void **state)
{
    static const char *const NAMES[] = {"chapters", "srt", "vtt", "transcript", "timed text"};
    (void)state;
    for (int i = 0; i < 5; i++) {
        size_t length;
        char *text = made_text(i, &length);
        fail_each(NAMES[i], (struct fl_slice){text, length});
        free(text);
    }
}

static void test_parse_utf16(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        size_t length;
        char *text = file_text(FILES[i], &length), *wide = as_utf16(text, &length);
        fail_each(FILES[i], (struct fl_slice){wide, length});
        free(wide);
        free(text);
    }
}

/* ---- a whole import ---- */

struct import {
    const char *name;
    enum fl_mode mode;
    int kind, content;
    enum fl_outcome outcome;
    bool has_document; /* document 0 is there before */
};

static const struct import IMPORTS[] = {
    {"create", FL_MODE_CREATE, 0, 1, FL_OUTCOME_IMPORTED, false},
    {"create, transcript", FL_MODE_CREATE, 1, 1, FL_OUTCOME_IMPORTED, false},
    {"create, rejected", FL_MODE_CREATE, 0, 1, FL_OUTCOME_REJECTED, true},
    {"replace", FL_MODE_REPLACE, 0, 1, FL_OUTCOME_IMPORTED, true},
    {"replace, unchanged", FL_MODE_REPLACE, 0, 0, FL_OUTCOME_UNCHANGED, true},
    {"replace, invalid", FL_MODE_REPLACE, 0, SIM_CONTENTS - 1, FL_OUTCOME_INVALID, true},
    {"replace, invalid transcript", FL_MODE_REPLACE, 1, SIM_CONTENTS - 1, FL_OUTCOME_INVALID, false},
    {"if-version", FL_MODE_IF_VERSION, 0, 1, FL_OUTCOME_IMPORTED, true},
    {"delete", FL_MODE_DELETE, 0, 0, FL_OUTCOME_DELETED, true},
};

static struct sim sim;
static int loads;

static void on_loaded(struct sim *unused, void *pointer, int64_t unused_too)
{
    struct fl_work *work = pointer;
    (void)unused;
    (void)unused_too;
    if (fails_on && loads > 0)
        fails_at = 0; /* memory is there again */
    is_counting = true;
    work->run(work);
    is_counting = false;
    loads++;
    work->done(work);
}

static void start_work(void *self, struct fl_work *work)
{
    (void)self;
    sim_at(&sim, sim.now_us + 500, on_loaded, work, 0);
}

static void make_world(const struct import *import, bool hands_back)
{
    struct sim_process *process = &sim.processes[0];
    sim = (struct sim){.seed = 1, .is_faulty = true, .process_count = 1, .episode_count = 1};
    sim_leave_out(SIM_NONE);
    for (int i = 0; i < SIM_EPISODES; i++)
        for (int kind = 0; kind < SIM_KINDS; kind++)
            sim.postgres.episodes[i].documents[kind] = (struct sim_document){.content = -1, .rows = -1};
    sim.postgres.job_count = 2;
    sim.postgres.jobs[1] =
        (struct sim_job){.job_id = 1, .rank = 1, .mode = FL_MODE_REPLACE, .outcome = FL_OUTCOME_CANCELLED};
    sim.postgres.jobs[2] = (struct sim_job){.job_id = 2,
                                            .rank = 2,
                                            .kind = import->kind,
                                            .mode = import->mode,
                                            .if_version = 1,
                                            .content = import->content};
    if (import->has_document) {
        sim.postgres.episodes[0].is_there = true;
        sim.postgres.episodes[0].version = sim.postgres.episodes[0].fence = 1;
        sim.postgres.episodes[0].documents[import->kind] =
            (struct sim_document){.is_there = true, .version = 1, .job_id = 1, .rank = 1, .row_count = 1};
        sim.ledger.claimed[0] = sim.ledger.committed[0] = 1;
    }
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

static unsigned run_import(const struct import *import, bool hands_back, unsigned at, bool on)
{
    make_world(import, hands_back);
    begin_counting(at, on);
    is_counting = false;
    loads = 0;
    assert_true(sim_process_take(&sim, &sim.processes[0], 2));
    while (!sim.has_failed && sim.now_us < END_US && sim_step(&sim))
        ;
    if (!sim.has_failed)
        sim_check_end(&sim);
    enum fl_outcome outcome = sim.postgres.jobs[2].outcome;
    bool has_lease = sim_redis_has(&sim, 0), has_failed = sim.has_failed;
    sim_release(&sim);
    if (has_failed)
        fail_msg("%s: allocation %u fails: %s", import->name, at, sim.failure);
    assert_string_equal(fl_outcome_name(outcome), fl_outcome_name(import->outcome));
    assert_false(has_lease);
    return allocations;
}

static void test_import(void **state)
{
    const struct import *import = *state;
    for (int hands_back = 0; hands_back < 2; hands_back++) {
        unsigned all = run_import(import, hands_back, 0, false);
        bool loads_at_all = import->mode != FL_MODE_DELETE && import->outcome != FL_OUTCOME_REJECTED;
        assert_int_equal(all > 0, loads_at_all);
        unsigned again = 0;
        for (unsigned at = 1; at <= all; at++) {
            run_import(import, hands_back, at, false);
            again += loads == 2;
            assert_in_range(loads, 1, 2); /* once: a warning had no room (document.h) */
            run_import(import, hands_back, at, true);
            assert_in_range(loads, 1, 2);
        }
        assert_true(again + 1 >= all);
        print_message("%s: %u allocations\n", import->name, all);
    }
}

int main(void)
{
    enum { COUNT = sizeof IMPORTS / sizeof *IMPORTS };
    struct CMUnitTest tests[COUNT + 3] = {cmocka_unit_test(test_parse_files),
                                          cmocka_unit_test(test_parse_utf16),
                                          cmocka_unit_test(test_parse_many_rows)};
    static char names[COUNT][64];
    cJSON_Hooks hooks = {.malloc_fn = __wrap_malloc, .free_fn = free};
    cJSON_InitHooks(&hooks);
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "test_import: %s", IMPORTS[i].name);
        tests[i + 3] = (struct CMUnitTest){names[i], test_import, NULL, NULL, (void *)(uintptr_t)&IMPORTS[i]};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
