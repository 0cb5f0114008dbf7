/* cmd_jobs_stats.c - `fenceline jobs stats`: the queue in numbers.
 *
 * Happy path: one snapshot of Postgres, as a few lines and tables, or as one JSON object. Failure modes: no
 * server, no schema. */
#include <inttypes.h>
#include <stdio.h>

#include "base/slice.h"
#include "cli/commands.h"
#include "cli/report.h"
#include "io/pg_job_stats.h"
#include "io/pg_sync.h"

/* All that was asked. */
struct stats {
    struct fl_pg_rows *outcomes, *open, *queue, *phases;
    int64_t open_jobs, dead_letters, decided_minute, decided_hour;
};

static const struct fl_column OUTCOMES[] = {{"outcome", "outcome", 0},
                                            {"jobs", "jobs", FL_COLUMN_RIGHT},
                                            {"last hour", "last_hour", FL_COLUMN_RIGHT},
                                            {"last minute", "last_minute", FL_COLUMN_RIGHT}};

static void get_outcome(const void *rows, size_t row, struct fl_cell *cells)
{
    *cells++ = fl_report_text(rows, row, FL_STATS_OUTCOME);
    *cells++ = fl_report_number(rows, row, FL_STATS_OUTCOME_JOBS);
    *cells++ = fl_report_number(rows, row, FL_STATS_OUTCOME_HOUR);
    *cells++ = fl_report_number(rows, row, FL_STATS_OUTCOME_MINUTE);
}

static const struct fl_column STATES[] = {{"open", "state", 0}, {"jobs", "jobs", FL_COLUMN_RIGHT}};

static void get_state(const void *rows, size_t row, struct fl_cell *cells)
{
    *cells++ = fl_report_text(rows, row, FL_STATS_STATE);
    *cells++ = fl_report_number(rows, row, FL_STATS_STATE_JOBS);
}

static const struct fl_column PHASES[] = {{"phase, last hour", "phase", 0},
                                          {"jobs", "jobs", FL_COLUMN_RIGHT},
                                          {"p50", "p50_ms", FL_COLUMN_RIGHT},
                                          {"p99", "p99_ms", FL_COLUMN_RIGHT},
                                          {"max", "max_ms", FL_COLUMN_RIGHT}};

static void get_phase(const void *rows, size_t row, struct fl_cell *cells)
{
    *cells++ = fl_report_text(rows, row, FL_STATS_PHASE);
    *cells++ = fl_report_number(rows, row, FL_STATS_PHASE_JOBS);
    for (int column = FL_STATS_PHASE_P50_MS; column <= FL_STATS_PHASE_MAX_MS; column++)
        *cells++ = fl_report_duration(rows, row, column);
}

static fl_status ask(struct fl_pg_sync *pg, struct stats *stats, struct fl_err *err)
{
    fl_status status = fl_pg_job_stats_outcomes(pg, &stats->outcomes, err);
    if (status == FL_OK)
        status = fl_pg_job_stats_open(pg, &stats->open, err);
    if (status == FL_OK)
        status = fl_pg_job_stats_queue(pg, &stats->queue, err);
    if (status == FL_OK)
        status = fl_pg_job_stats_phases(pg, &stats->phases, err);
    if (status != FL_OK)
        return status;
    for (size_t i = 0; i < fl_pg_rows_count(stats->outcomes); i++) {
        stats->decided_minute += fl_pg_rows_int64(stats->outcomes, i, FL_STATS_OUTCOME_MINUTE);
        stats->decided_hour += fl_pg_rows_int64(stats->outcomes, i, FL_STATS_OUTCOME_HOUR);
        if (fl_slice_is(fl_pg_rows_text(stats->outcomes, i, FL_STATS_OUTCOME), "failed"))
            stats->dead_letters = fl_pg_rows_int64(stats->outcomes, i, FL_STATS_OUTCOME_NOT_RETRIED);
    }
    for (size_t i = 0; i < fl_pg_rows_count(stats->open); i++)
        stats->open_jobs += fl_pg_rows_int64(stats->open, i, FL_STATS_STATE_JOBS);
    return FL_OK;
}

static void write_number(struct fl_json_writer *json, const char *name, const struct fl_pg_rows *rows,
                         int column)
{
    fl_json_write_name(json, name);
    if (fl_pg_rows_is_null(rows, 0, column))
        fl_json_write_null(json);
    else
        fl_json_write_int64(json, fl_pg_rows_int64(rows, 0, column));
}

static void write_rate(struct fl_json_writer *json, const char *name, int64_t count, int seconds)
{
    char number[32];
    snprintf(number, sizeof number, "%.3f", (double)count / seconds);
    fl_json_write_name(json, name);
    fl_json_write_raw(json, fl_slice_from(number));
}

static void print_json(const struct stats *stats, const struct fl_table *tables)
{
    static const char *const NAMES[] = {"open", "outcomes", "phases"};
    struct fl_json_writer json;
    fl_json_write_init(&json, stdout);
    fl_json_write_begin_object(&json);
    fl_json_write_name(&json, "open_jobs");
    fl_json_write_int64(&json, stats->open_jobs);
    write_number(&json, "oldest_due_job_id", stats->queue, FL_STATS_QUEUE_OLDEST_JOB);
    write_number(&json, "oldest_due_ms", stats->queue, FL_STATS_QUEUE_OLDEST_DUE_MS);
    fl_json_write_name(&json, "dead_letters");
    fl_json_write_int64(&json, stats->dead_letters);
    write_rate(&json, "per_second_last_minute", stats->decided_minute, 60);
    write_rate(&json, "per_second_last_hour", stats->decided_hour, 3600);
    fl_json_write_name(&json, "paused");
    fl_json_write_bool(&json, fl_pg_rows_bool(stats->queue, 0, FL_STATS_QUEUE_PAUSED));
    for (size_t i = 0; i < 3; i++) {
        fl_json_write_name(&json, NAMES[i]);
        fl_print_json_rows(&json, &tables[i]);
    }
    fl_json_write_end_object(&json);
    fl_json_write_end_line(&json);
}

static void print_plain(const struct fl_args *args, const struct stats *stats, const struct fl_table *tables)
{
    struct fl_print_style style = fl_print_style_of(stdout, args->no_color);
    char age[FL_TIME_BYTES];
    printf("%" PRId64 " open", stats->open_jobs);
    if (!fl_pg_rows_is_null(stats->queue, 0, FL_STATS_QUEUE_OLDEST_JOB))
        printf(", the oldest has been due for %s (job %" PRId64 ")",
               fl_format_duration(fl_pg_rows_int64(stats->queue, 0, FL_STATS_QUEUE_OLDEST_DUE_MS), age),
               fl_pg_rows_int64(stats->queue, 0, FL_STATS_QUEUE_OLDEST_JOB));
    printf("\n%s%" PRId64 " dead letter%s%s%s\n",
           fl_print_color(FL_COLOR_RED, style.has_color && stats->dead_letters > 0), stats->dead_letters,
           stats->dead_letters == 1 ? "" : "s",
           fl_print_color(FL_COLOR_NONE, style.has_color && stats->dead_letters > 0),
           stats->dead_letters ? ": see 'fenceline jobs list --outcome failed'" : "");
    printf("%.1f decided per second in the last minute, %.1f in the last hour\n",
           (double)stats->decided_minute / 60, (double)stats->decided_hour / 3600);
    if (fl_pg_rows_bool(stats->queue, 0, FL_STATS_QUEUE_PAUSED))
        printf("%sworkers are paused%s until 'fenceline jobs resume'\n",
               fl_print_color(FL_COLOR_YELLOW, style.has_color),
               fl_print_color(FL_COLOR_NONE, style.has_color));
    for (size_t i = 0; i < 3; i++) {
        putchar('\n');
        fl_print_table(stdout, &tables[i], 0, style);
    }
}

static fl_status show_stats(const struct fl_args *args, struct fl_pg_sync *pg, struct fl_err *err)
{
    struct stats stats = {0};
    fl_status status = ask(pg, &stats, err);
    if (status == FL_OK) {
        const struct fl_table tables[] = {
            {STATES, 2, fl_pg_rows_count(stats.open), get_state, stats.open},
            {OUTCOMES, 4, fl_pg_rows_count(stats.outcomes), get_outcome, stats.outcomes},
            {PHASES, 5, fl_pg_rows_count(stats.phases), get_phase, stats.phases}};
        if (args->json)
            print_json(&stats, tables);
        else
            print_plain(args, &stats, tables);
    }
    fl_pg_rows_free(stats.outcomes);
    fl_pg_rows_free(stats.open);
    fl_pg_rows_free(stats.queue);
    fl_pg_rows_free(stats.phases);
    return status;
}

int fl_cmd_jobs_stats(struct fl_args *args, struct fl_settings *settings)
{
    return fl_report_answer(args, settings, show_stats);
}
