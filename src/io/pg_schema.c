/* pg_schema.c - brings fenceline's schema up to date, forward only.
 *
 * Happy path: in one transaction make the schema and its table of versions; then, per missing version, one
 * transaction that takes the lock, looks again, runs the script, and notes the version.
 * Failure modes: a script fails: its transaction is rolled back, what was applied before stays, and the next
 * run goes on from there. A second migrate at the same time waits for the lock and finds the work done. A
 * database with a version that this binary does not know is left alone. */
#include "io/pg_schema.h"

#include <inttypes.h>

#include "base/arena.h"
#include "base/slice.h"
#include "io/pg_sync.h"

/* The key is only a number that nobody else is likely to use: "fenceln" in ASCII. */
#define LOCK_SQL "SELECT pg_advisory_xact_lock(28821972412886126)"
/* Read from the catalogue under a fresh snapshot: to_regclass answers from a cache that the wait for a lock
 * does not refresh, and needs permission on the schema. */
#define SCHEMA_PRESENT_SQL "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'fenceline')"
#define PRESENT_SQL                                                                                          \
    "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"                    \
    " WHERE n.nspname = 'fenceline' AND c.relname = 'schema_versions')"
#define NOTIFY_SQL "NOTIFY fenceline_queue, 'schema';\n"
#define MAKE_SCHEMA_SQL                                                                                      \
    "CREATE SCHEMA fenceline;\n"                                                                             \
    "COMMENT ON SCHEMA fenceline IS 'Chapters and transcripts, imported safely by fenceline';\n"
#define MAKE_VERSIONS_SQL                                                                                    \
    "CREATE TABLE fenceline.schema_versions (\n"                                                             \
    "    version    integer PRIMARY KEY,\n"                                                                  \
    "    name       text NOT NULL,\n"                                                                        \
    "    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()\n"                                        \
    ");\n"                                                                                                   \
    "COMMENT ON TABLE fenceline.schema_versions IS 'Which migrations were applied; written by fenceline "    \
    "migrate';\n"

const char *fl_pg_schema_version_sql(void)
{
    return "SELECT coalesce(max(version), 0)::bigint FROM fenceline.schema_versions";
}

fl_status fl_pg_schema_judge(int64_t version, struct fl_err *err)
{
    int64_t known = (int64_t)fl_schema_file_count;
    if (version > known)
        return fl_err_set(err, FL_USAGE,
                          "schema version %" PRId64 " is newer than this fenceline (%" PRId64
                          "): upgrade fenceline",
                          version, known);
    if (version < known)
        return fl_err_set(err, FL_USAGE,
                          "schema version %" PRId64 " is older than this fenceline (%" PRId64
                          "): run 'fenceline migrate'",
                          version, known);
    return FL_OK;
}

static fl_status ask_version(struct fl_pg_sync *pg, int64_t *version, struct fl_err *err)
{
    struct fl_pg_rows *rows;
    fl_status status = fl_pg_sync_query(pg, fl_pg_schema_version_sql(), NULL, 0, &rows, err);
    if (status != FL_OK)
        return status;
    *version = fl_pg_rows_int64(rows, 0, 0);
    fl_pg_rows_free(rows);
    return FL_OK;
}

fl_status fl_pg_schema_check(struct fl_pg_sync *pg, struct fl_err *err)
{
    int64_t version;
    fl_status status = ask_version(pg, &version, err);
    return status == FL_OK ? fl_pg_schema_judge(version, err) : status;
}

static fl_status ask_yes(struct fl_pg_sync *pg, const char *sql, bool *yes, struct fl_err *err)
{
    struct fl_pg_rows *rows;
    fl_status status = fl_pg_sync_query(pg, sql, NULL, 0, &rows, err);
    if (status != FL_OK)
        return status;
    *yes = fl_pg_rows_bool(rows, 0, 0);
    fl_pg_rows_free(rows);
    return FL_OK;
}

static fl_status begin_locked(struct fl_pg_sync *pg, struct fl_err *err)
{
    fl_status status = fl_pg_sync_script(pg, "BEGIN", err);
    return status == FL_OK ? fl_pg_sync_script(pg, LOCK_SQL, err) : status;
}

/* Looks before it creates: CREATE ... IF NOT EXISTS asks for the right to create even where nothing is
 * missing. */
static fl_status make_versions_locked(struct fl_pg_sync *pg, struct fl_err *err)
{
    bool present = false, schema_present = false;
    fl_status status = begin_locked(pg, err);
    if (status == FL_OK)
        status = ask_yes(pg, PRESENT_SQL, &present, err);
    if (status == FL_OK)
        status = ask_yes(pg, SCHEMA_PRESENT_SQL, &schema_present, err);
    if (status == FL_OK && !schema_present)
        status = fl_pg_sync_script(pg, MAKE_SCHEMA_SQL, err);
    if (status == FL_OK && !present)
        status = fl_pg_sync_script(pg, MAKE_VERSIONS_SQL, err);
    return status == FL_OK ? fl_pg_sync_commit(pg, err) : status;
}

static fl_status make_versions(struct fl_pg_sync *pg, struct fl_err *err)
{
    bool present = false;
    fl_status status = ask_yes(pg, PRESENT_SQL, &present, err);
    if (status != FL_OK || present)
        return status;
    status = make_versions_locked(pg, err);
    if (status != FL_OK)
        fl_pg_sync_rollback(pg);
    return status;
}

static fl_status apply_locked(struct fl_pg_sync *pg, const struct fl_schema_file *file, bool *applied,
                              struct fl_err *err)
{
    int64_t version = 0;
    char text[16];
    *applied = false;
    fl_status status = begin_locked(pg, err);
    if (status == FL_OK)
        status = ask_version(pg, &version, err);
    if (status == FL_OK && version > (int64_t)fl_schema_file_count)
        return fl_pg_schema_judge(version, err);
    if (status == FL_OK && version >= file->version)
        return fl_pg_sync_commit(pg, err);
    if (status == FL_OK)
        status = fl_pg_sync_script(pg, file->sql, err);
    snprintf(text, sizeof text, "%d", file->version);
    const char *params[] = {text, file->name};
    if (status == FL_OK)
        status = fl_pg_sync_query(pg, "INSERT INTO fenceline.schema_versions (version, name) VALUES ($1, $2)",
                                  params, 2, NULL, err);
    if (status == FL_OK) /* with the commit: workers that do not know this version stop */
        status = fl_pg_sync_script(pg, NOTIFY_SQL, err);
    if (status == FL_OK)
        status = fl_pg_sync_commit(pg, err);
    *applied = status == FL_OK;
    return status;
}

fl_status fl_pg_schema_migrate(struct fl_pg_sync *pg,
                               void (*applied)(void *context, const struct fl_schema_file *file),
                               void *context, struct fl_err *err)
{
    int64_t version = 0;
    fl_status status = make_versions(pg, err);
    if (status == FL_OK)
        status = ask_version(pg, &version, err);
    if (status == FL_OK && version > (int64_t)fl_schema_file_count)
        return fl_pg_schema_judge(version, err);
    for (size_t i = (size_t)version; status == FL_OK && i < fl_schema_file_count; i++) {
        bool by_us;
        status = apply_locked(pg, &fl_schema_files[i], &by_us, err);
        if (status != FL_OK) {
            fl_pg_sync_rollback(pg);
            fl_err_prefix(err, "migration %03d %s", fl_schema_files[i].version, fl_schema_files[i].name);
        } else if (by_us) {
            applied(context, &fl_schema_files[i]);
        }
    }
    return status;
}

static void add_entry(struct fl_schema_entry *entries, size_t *count, const struct fl_schema_entry *entry)
{
    entries[(*count)++] = *entry;
}

/* Merges what the database has (in order) with what the binary knows. */
static fl_status merge(const struct fl_pg_rows *rows, struct fl_arena *arena,
                       struct fl_schema_entry **entries, size_t *count, struct fl_err *err)
{
    size_t row_count = rows ? fl_pg_rows_count(rows) : 0, row = 0;
    *entries = fl_arena_alloc(arena, (row_count + fl_schema_file_count) * sizeof **entries);
    if (!*entries)
        return fl_err_set(err, FL_NO_MEMORY, "out of memory");
    *count = 0;
    for (size_t i = 0; i < fl_schema_file_count; i++) {
        struct fl_schema_entry entry = {.version = fl_schema_files[i].version,
                                        .name = fl_slice_from(fl_schema_files[i].name),
                                        .known = true};
        if (row < row_count && fl_pg_rows_int64(rows, row, 0) == entry.version)
            entry.applied_at = fl_arena_copy(arena, fl_pg_rows_text(rows, row++, 2));
        add_entry(*entries, count, &entry);
    }
    for (; row < row_count; row++)
        add_entry(
            *entries, count,
            &(struct fl_schema_entry){.version = fl_pg_rows_int64(rows, row, 0),
                                      .name = fl_arena_copy(arena, fl_pg_rows_text(rows, row, 1)),
                                      .applied_at = fl_arena_copy(arena, fl_pg_rows_text(rows, row, 2))});
    return FL_OK;
}

fl_status fl_pg_schema_status(struct fl_pg_sync *pg, struct fl_arena *arena, struct fl_schema_entry **entries,
                              size_t *count, struct fl_err *err)
{
    static const char SQL[] =
        "SELECT version, name, to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
        "  FROM fenceline.schema_versions WHERE version > 0 ORDER BY version";
    struct fl_pg_rows *rows = NULL;
    bool present = false;
    fl_status status = ask_yes(pg, PRESENT_SQL, &present, err);
    if (status == FL_OK && present)
        status = fl_pg_sync_query(pg, SQL, NULL, 0, &rows, err);
    if (status == FL_OK)
        status = merge(rows, arena, entries, count, err);
    fl_pg_rows_free(rows);
    return status;
}

void fl_pg_schema_print_sql(FILE *out, const struct fl_schema_entry *entries, size_t count)
{
    bool first = true;
    for (size_t i = 0; i < fl_schema_file_count; i++) {
        const struct fl_schema_file *file = &fl_schema_files[i];
        if (entries && i < count && entries[i].applied_at.ptr)
            continue;
        if (first)
            fputs("-- Run with: psql -v ON_ERROR_STOP=1\n", out);
        first = false;
        fprintf(out, "\n-- migration %03d %s\nBEGIN;\n" LOCK_SQL ";\n", file->version, file->name);
        if (i == 0)
            fputs(MAKE_SCHEMA_SQL MAKE_VERSIONS_SQL "\n", out);
        fputs(file->sql, out);
        fprintf(out,
                "\nINSERT INTO fenceline.schema_versions (version, name) VALUES (%d, '%s');\n" NOTIFY_SQL
                "COMMIT;\n",
                file->version, file->name);
    }
    if (first)
        fputs("-- The schema is up to date: nothing to do.\n", out);
}
