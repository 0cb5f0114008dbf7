/* cmd_locks.c - `fenceline locks list` and `locks show`: who holds what, why it waits, what is safe to do.
 *
 * Happy path: one reading of both servers, as a table or as JSON; exit 3 if somebody should look. Failure
 * modes: without Redis the claims in Postgres are shown, and the exit code is 6; without Postgres nothing is;
 * an episode that Postgres does not know is exit 1. */
#include <inttypes.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/slice.h"
#include "cli/commands.h"
#include "cli/history_table.h"
#include "cli/locks_table.h"
#include "cli/locks_watch.h"
#include "io/pg_report.h"
#include "io/pg_sync.h"

enum { EXIT_PERSON = 3, TROUBLES = 20, RECENT = 10 };

static int exit_code(const struct fl_locks *locks)
{
    int code = fl_locks_needing_person(locks) > 0 ? EXIT_PERSON : 0;
    return locks->redis_answers ? code : fl_exit_worse(code, fl_status_exit_code(FL_UNAVAILABLE));
}

static void print_redis_error(const struct fl_locks *locks)
{
    if (!locks->redis_answers)
        fl_print_error(&locks->redis_err);
}

/* ---- list ---- */

static void print_troubles(const struct fl_locks *locks)
{
    size_t count = fl_locks_needing_person(locks);
    if (count == 0)
        return;
    fputs("\n", stdout);
    for (size_t i = 0; i < locks->count && i < TROUBLES; i++)
        if (fl_verdict_needs_person(locks->locks[i].verdict))
            fl_locks_print_trouble(stdout, &locks->locks[i]);
    if (count > TROUBLES)
        printf("... and %zu more\n", count - TROUBLES);
    fputs("\n", stdout);
    fl_locks_print_advice(stdout, locks);
}

static void print_list(const struct fl_args *args, const struct fl_locks *locks)
{
    const struct fl_table table = fl_locks_table(locks);
    if (args->json) {
        fl_print_json_lines(stdout, &table);
    } else if (locks->count) {
        fl_print_table(stdout, &table, 0, fl_print_style_of(stdout, args->no_color));
        print_troubles(locks);
    } else if (!args->quiet) {
        fputs("fenceline: no such locks\n", stderr);
    }
    print_redis_error(locks);
}

int fl_cmd_locks_list(struct fl_args *args, struct fl_settings *settings)
{
    struct fl_locks_servers servers;
    struct fl_locks locks = {0};
    struct fl_arena arena;
    struct fl_err err = {0};
    fl_arena_init(&arena, FL_LOCKS_ARENA_BYTES);
    fl_status status = fl_locks_open(&servers, settings, &err);
    if (status == FL_OK) /* one episode is looked up, many are scanned for */
        status = fl_locks_ask(&locks, &servers, &arena, settings, NULL, &err);
    if (status == FL_OK) {
        fl_locks_filter(&locks, args);
        print_list(args, &locks);
    } else {
        fl_print_error(&err);
    }
    int code = status == FL_OK ? exit_code(&locks) : fl_status_exit_code(status);
    fl_locks_close(&servers);
    fl_arena_release(&arena);
    return code;
}

/* ---- show ---- */

static bool is_held(const struct fl_lock *lock)
{
    return lock->lease.has_lease || lock->is_claimed || lock->verdict == FL_VERDICT_ZOMBIE;
}

/* Without the row of an episode that nobody holds; the others are holders, or were. */
static struct fl_locks holders_of(const struct fl_locks *locks, struct fl_arena *arena)
{
    struct fl_locks holders = *locks;
    holders.locks = fl_arena_alloc(arena, locks->count * sizeof *holders.locks);
    holders.count = 0;
    for (size_t i = 0; holders.locks && i < locks->count; i++)
        if (is_held(&locks->locks[i]))
            holders.locks[holders.count++] = locks->locks[i];
    return holders;
}

static void print_show_json(const char *episode, const struct fl_pg_claim *claim,
                            const struct fl_locks *holders, const struct fl_table *history)
{
    const struct fl_table table = fl_locks_table(holders);
    struct fl_json_writer json;
    fl_json_write_init(&json, stdout);
    fl_json_write_begin_object(&json);
    fl_json_write_name(&json, "episode");
    fl_json_write_string(&json, fl_slice_from(episode));
    fl_json_write_name(&json, "version");
    fl_json_write_int64(&json, claim->version);
    fl_json_write_name(&json, "fence");
    fl_json_write_int64(&json, claim->fence);
    fl_json_write_name(&json, "holders");
    fl_print_json_rows(&json, &table);
    fl_json_write_name(&json, "history");
    fl_print_json_rows(&json, history);
    fl_json_write_end_object(&json);
    fl_json_write_end_line(&json);
}

/* The last events of an episode. */
struct recent {
    struct fl_table all;
    size_t skipped;
};

static void get_recent(const void *rows, size_t row, struct fl_cell *cells)
{
    const struct recent *recent = rows;
    recent->all.get(recent->all.rows, recent->skipped + row, cells);
}

static struct fl_table recent_of(struct recent *recent, const struct fl_pg_rows *events)
{
    recent->all = fl_history_table(events);
    recent->skipped = recent->all.row_count > RECENT ? recent->all.row_count - RECENT : 0;
    return (struct fl_table){recent->all.columns, recent->all.column_count,
                             recent->all.row_count - recent->skipped, get_recent, recent};
}

static void print_field(const struct fl_column *column, const struct fl_cell *cell)
{
    char text[FL_TIME_BYTES];
    bool is_known = cell->type != FL_CELL_NULL && !(cell->type == FL_CELL_TEXT && !cell->text.ptr) &&
                    !(cell->type == FL_CELL_DURATION && cell->number < 0);
    if (!is_known)
        return;
    printf("%-16s ", column->title ? column->title : column->name);
    if (cell->type == FL_CELL_TEXT)
        fl_print_text(stdout, cell->text);
    else if (cell->type == FL_CELL_DURATION)
        fputs(fl_format_duration(cell->number, text), stdout);
    else if (cell->type == FL_CELL_BOOL)
        fputs(cell->boolean ? "yes" : "no", stdout);
    else
        printf("%" PRId64, cell->number);
    putchar('\n');
}

/* Every column of the table but the last (the waiters), one a line. */
static void print_holder(const struct fl_locks *holders, size_t row)
{
    const struct fl_table table = fl_locks_table(holders);
    const struct fl_lock *lock = &holders->locks[row];
    struct fl_cell cells[FL_TABLE_COLUMNS];
    table.get(table.rows, row, cells);
    for (size_t column = 0; column + 1 < table.column_count; column++)
        print_field(&table.columns[column], &cells[column]);
    for (size_t i = 0; i < lock->waiters_known; i++) {
        char age[FL_TIME_BYTES];
        printf("%-16s job %" PRId64 ", since %s, ", i ? "" : "waiters", lock->waiters[i].job_id,
               fl_format_duration(lock->waiters[i].age_ms, age));
        fl_print_text(stdout, lock->waiters[i].holder);
        putchar('\n');
    }
}

static void print_show(const char *episode, const struct fl_pg_claim *claim, const struct fl_locks *holders,
                       const struct fl_table *history, const struct fl_args *args)
{
    if (holders->count == 0) {
        fl_print_text(stdout, fl_slice_from(episode));
        printf(": nobody holds it (version %" PRId64 ", fence %" PRId64 ")\n", claim->version, claim->fence);
    }
    for (size_t i = 0; i < holders->count; i++) {
        if (i)
            putchar('\n');
        print_holder(holders, i);
    }
    if (fl_locks_needing_person(holders))
        print_troubles(holders);
    if (history->row_count) {
        puts("\nlately:");
        fl_print_table(stdout, history, 2, fl_print_style_of(stdout, args->no_color));
    }
}

static fl_status show(const struct fl_args *args, const struct fl_settings *settings, struct fl_arena *arena,
                      struct fl_locks *locks, struct fl_err *err)
{
    const char *episode = args->paths[0];
    struct fl_locks_servers servers;
    struct fl_pg_rows *events = NULL;
    fl_status status = fl_locks_open(&servers, settings, err);
    if (status == FL_OK)
        status = fl_locks_ask(locks, &servers, arena, settings, episode, err);
    bool is_known = status == FL_OK && locks->count > 0 && locks->locks[locks->count - 1].claim.is_known;
    if (status == FL_OK && !is_known)
        status = fl_err_set(err, FL_FAILED, "%s: no such episode", episode);
    if (status == FL_OK)
        status = fl_pg_report_history(servers.pg, episode, &events, err);
    if (status == FL_OK) {
        struct fl_locks holders = holders_of(locks, arena);
        struct recent recent;
        const struct fl_table history = recent_of(&recent, events);
        if (args->json)
            print_show_json(episode, &locks->locks[0].claim, &holders, &history);
        else
            print_show(episode, &locks->locks[0].claim, &holders, &history, args);
        print_redis_error(locks);
        *locks = holders;
    }
    fl_pg_rows_free(events);
    fl_locks_close(&servers);
    return status;
}

int fl_cmd_locks_show(struct fl_args *args, struct fl_settings *settings)
{
    struct fl_locks locks = {0};
    struct fl_arena arena;
    struct fl_err err = {0};
    fl_arena_init(&arena, FL_LOCKS_ARENA_BYTES);
    fl_status status = show(args, settings, &arena, &locks, &err);
    if (status != FL_OK)
        fl_print_error(&err);
    int code = status == FL_OK ? exit_code(&locks) : fl_status_exit_code(status);
    fl_arena_release(&arena);
    return code;
}

/* ---- watch ---- */

int fl_cmd_locks_watch(struct fl_args *args, struct fl_settings *settings)
{
    return fl_locks_watch(args, settings);
}
