/* cmd_migrate.c - brings the schema up to date, lists its versions, or prints the SQL.
 *
 * Happy path: connect, apply what is missing, say what was applied. Failure modes: no database (exit 6; --sql
 * prints everything instead), no permission or a schema newer than this binary (exit 2). */
#include <inttypes.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/slice.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "io/pg_schema.h"
#include "io/pg_sync.h"

enum { STATUS_LIMIT_BYTES = 1 << 20 };

struct migrate {
    const struct fl_args *args;
    struct fl_json_writer json;
    size_t applied_count;
};

static const struct fl_column COLUMNS[] = {{"version", "version", FL_COLUMN_RIGHT},
                                           {"name", "name", 0},
                                           {"state", "state", 0},
                                           {"applied at", "applied_at", 0}};

static void get_entry(const void *rows, size_t row, struct fl_cell *cells)
{
    const struct fl_schema_entry *entry = &((const struct fl_schema_entry *)rows)[row];
    const char *state = !entry->known           ? "newer than this fenceline"
                        : entry->applied_at.ptr ? "applied"
                                                : "pending";
    cells[0] = (struct fl_cell){.type = FL_CELL_NUMBER, .number = entry->version};
    cells[1] = (struct fl_cell){.type = FL_CELL_TEXT, .text = entry->name};
    cells[2] = (struct fl_cell){.type = FL_CELL_TEXT, .text = fl_slice_from(state)};
    cells[3] = (struct fl_cell){.type = FL_CELL_TEXT, .text = entry->applied_at};
}

static void print_entries(struct migrate *migrate, const struct fl_schema_entry *entries, size_t count)
{
    struct fl_table table = {COLUMNS, sizeof COLUMNS / sizeof *COLUMNS, count, get_entry, entries};
    if (!migrate->args->json) {
        fl_print_table(stdout, &table, 0, fl_print_style_of(stdout, migrate->args->no_color));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        fl_json_write_begin_object(&migrate->json);
        fl_print_json_members(&migrate->json, &table, i);
        fl_json_write_end_object(&migrate->json);
        fl_json_write_end_line(&migrate->json);
    }
}

static void tell_applied(void *context, const struct fl_schema_file *file)
{
    struct migrate *migrate = context;
    migrate->applied_count++;
    if (migrate->args->json) {
        fl_json_write_begin_object(&migrate->json);
        fl_json_write_name(&migrate->json, "version");
        fl_json_write_int64(&migrate->json, file->version);
        fl_json_write_name(&migrate->json, "name");
        fl_json_write_string(&migrate->json, fl_slice_from(file->name));
        fl_json_write_name(&migrate->json, "state");
        fl_json_write_string(&migrate->json, FL_SLICE("applied"));
        fl_json_write_end_object(&migrate->json);
        fl_json_write_end_line(&migrate->json);
    } else if (!migrate->args->quiet) {
        printf("applied %03d %s\n", file->version, file->name);
    }
}

static fl_status apply(struct migrate *migrate, struct fl_pg_sync *pg, struct fl_err *err)
{
    fl_pg_sync_set_timeout(pg, 0); /* a migration of much data takes as long as it takes */
    fl_status status = fl_pg_schema_migrate(pg, tell_applied, migrate, err);
    bool tells = !migrate->args->json && !migrate->args->quiet;
    if (status == FL_OK && tells && migrate->applied_count == 0)
        puts("schema is up to date");
    return status;
}

static fl_status look(struct migrate *migrate, struct fl_pg_sync *pg, struct fl_err *err)
{
    struct fl_arena arena;
    struct fl_schema_entry *entries;
    size_t count;
    fl_arena_init(&arena, STATUS_LIMIT_BYTES);
    fl_status status = fl_pg_schema_status(pg, &arena, &entries, &count, err);
    if (status == FL_OK && migrate->args->sql)
        fl_pg_schema_print_sql(stdout, entries, count);
    else if (status == FL_OK)
        print_entries(migrate, entries, count);
    fl_arena_release(&arena);
    return status;
}

int fl_cmd_migrate(struct fl_args *args, struct fl_settings *settings)
{
    struct fl_pg_sync *pg;
    struct fl_err err = {0};
    struct migrate migrate = {.args = args};
    fl_json_write_init(&migrate.json, stdout);
    fl_status status = fl_pg_sync_open(&pg, settings->postgres_dsn, settings->postgres_timeout_ms, &err);
    if (status == FL_UNAVAILABLE && args->sql) {
        if (!args->quiet) {
            fl_print_error(&err);
            fputs("fenceline: printing the SQL of all versions, for a database without schema\n", stderr);
        }
        fl_pg_schema_print_sql(stdout, NULL, 0);
        return 0;
    }
    if (status == FL_OK)
        status = args->sql || args->status ? look(&migrate, pg, &err) : apply(&migrate, pg, &err);
    if (status != FL_OK)
        fl_print_error(&err);
    fl_pg_sync_close(pg);
    return fl_status_exit_code(status);
}
