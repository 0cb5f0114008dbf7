/* pg_locks.c - see pg_locks.h. Read-only SQL but for the break. Lists travel as arrays, some at a time. */
#include "io/pg_locks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/slice.h"
#include "io/pg_sync.h"

enum { BATCH = 1000, NUMBER_BYTES = 24 };

#define AGE_SQL(column) "(extract(epoch FROM clock_timestamp() - " column ") * 1000)::bigint"

/* clang-format off */
static const char CLAIMS_SQL[] =
    "SELECT e.episode_id IS NOT NULL, e.version, e.fence, e.nonce, e.holder, e.job_id," AGE_SQL("e.claimed_at") ","
    "       fenceline.is_in_hands(e, j)"
    "  FROM unnest($1::text[]) WITH ORDINALITY AS u (id, i)"
    "  LEFT JOIN fenceline.episodes e ON e.episode_id = u.id"
    "  LEFT JOIN fenceline.jobs j ON j.job_id = e.job_id"
    " ORDER BY u.i";

static const char JOBS_SQL[] =
    "SELECT j.job_id IS NOT NULL, j.outcome IS NULL, j.episode_id, j.worker, j.kind, j.token,"
    "       " AGE_SQL("coalesce(j.started_at, j.created_at)")
    "  FROM unnest($1::bigint[]) WITH ORDINALITY AS u (id, i)"
    "  LEFT JOIN fenceline.jobs j ON j.job_id = u.id"
    " ORDER BY u.i";

static const char OPEN_SQL[] =
    "SELECT DISTINCT episode_id COLLATE \"C\" FROM fenceline.open_claims ORDER BY 1";

static const char SESSIONS_SQL[] =
    "SELECT pid, substr(application_name, 11), state, wait_event_type || '/' || wait_event,"
    "       CASE WHEN wait_event_type = 'Lock' THEN nullif(array_to_string(pg_blocking_pids(pid), ', '), '') END,"
    "       " AGE_SQL("xact_start")
    "  FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name LIKE 'fenceline %@%' ORDER BY pid";

static const char BREAK_SQL[] =
    "WITH ended AS MATERIALIZED ("
    "    SELECT pg_terminate_backend(a.pid) AS done FROM pg_stat_activity a, fenceline.episodes e"
    "     WHERE a.pid = $10::integer AND a.backend_start = $11::timestamptz AND e.episode_id = $1"
    "       AND e.fence = $3::bigint AND e.nonce IS NOT DISTINCT FROM $4)"
    "SELECT b.status, b.new_fence, b.job_outcome, c.count > 0"
    "  FROM (SELECT count(*) FROM ended WHERE done) AS c,"
    "       LATERAL fenceline.break_claim($1, $2::bigint, $3::bigint, $4, $5, $6::bigint, $7, $8, $9::boolean,"
    "                                     $10::integer IS NOT NULL AND c.count >= 0) AS b";

static const char LOCKER_SQL[] =
    "SELECT backend, session, state, backend_start, xact_ms FROM fenceline.episode_locker($1) WHERE backend IS NOT NULL";
/* clang-format on */

/* ---- arrays ---- */

static void put_quoted(FILE *out, struct fl_slice text)
{
    putc('"', out);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\')
            putc('\\', out);
        putc(text.ptr[i], out);
    }
    putc('"', out);
}

/* "{...}" of texts or of numbers; heap, the caller's. NULL: no memory. */
static char *array_of(const struct fl_slice *texts, const int64_t *numbers, size_t count)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return NULL;
    putc('{', out);
    for (size_t i = 0; i < count; i++) {
        if (i)
            putc(',', out);
        if (texts)
            put_quoted(out, texts[i]);
        else
            fprintf(out, "%" PRId64, numbers[i]);
    }
    putc('}', out);
    fclose(out);
    return text;
}

static fl_status ask_array(struct fl_pg_sync *pg, const char *sql, char *array, struct fl_pg_rows **rows,
                           struct fl_err *err)
{
    const char *params[] = {array};
    *rows = NULL;
    fl_status status = array ? fl_pg_sync_query(pg, sql, params, 1, rows, err)
                             : fl_err_set(err, FL_NO_MEMORY, "out of memory");
    free(array);
    return status;
}

/* ---- rows into structs ---- */

struct reader {
    struct fl_arena *arena;
    const struct fl_pg_rows *rows;
    size_t row;
    bool is_out_of_memory;
};

static struct fl_slice text_at(struct reader *reader, int column)
{
    struct fl_slice text = fl_pg_rows_text(reader->rows, reader->row, column);
    if (!text.ptr)
        return text;
    text = fl_arena_copy(reader->arena, text);
    reader->is_out_of_memory |= !text.ptr;
    return text;
}

static int64_t number_at(const struct reader *reader, int column, int64_t if_null)
{
    return fl_pg_rows_is_null(reader->rows, reader->row, column)
               ? if_null
               : fl_pg_rows_int64(reader->rows, reader->row, column);
}

static fl_status finish(struct reader *reader, struct fl_pg_rows *rows, fl_status status, struct fl_err *err)
{
    fl_pg_rows_free(rows);
    if (status == FL_OK && reader->is_out_of_memory)
        status = fl_err_set(err, FL_NO_MEMORY, "no memory for the list of locks");
    return status;
}

static void read_claim(struct reader *reader, struct fl_pg_claim *claim)
{
    *claim = (struct fl_pg_claim){
        .is_known = fl_pg_rows_bool(reader->rows, reader->row, 0),
        .version = number_at(reader, 1, 0),
        .fence = number_at(reader, 2, 0),
        .nonce = text_at(reader, 3),
        .holder = text_at(reader, 4),
        .job_id = number_at(reader, 5, 0),
        .age_ms = number_at(reader, 6, -1),
        .job_is_open = fl_pg_rows_bool(reader->rows, reader->row, 7),
    };
}

fl_status fl_pg_locks_claims(struct fl_pg_sync *pg, struct fl_arena *arena, const struct fl_slice *episodes,
                             size_t count, struct fl_pg_claim *claims, struct fl_err *err)
{
    fl_status status = FL_OK;
    for (size_t at = 0; status == FL_OK && at < count; at += BATCH) {
        size_t batch = count - at < BATCH ? count - at : BATCH;
        struct fl_pg_rows *rows;
        status = ask_array(pg, CLAIMS_SQL, array_of(episodes + at, NULL, batch), &rows, err);
        struct reader reader = {arena, rows, 0, false};
        for (; status == FL_OK && reader.row < batch; reader.row++)
            read_claim(&reader, &claims[at + reader.row]);
        status = finish(&reader, rows, status, err);
    }
    return status;
}

fl_status fl_pg_locks_jobs(struct fl_pg_sync *pg, struct fl_arena *arena, const int64_t *ids, size_t count,
                           struct fl_pg_lock_job *jobs, struct fl_err *err)
{
    fl_status status = FL_OK;
    for (size_t at = 0; status == FL_OK && at < count; at += BATCH) {
        size_t batch = count - at < BATCH ? count - at : BATCH;
        struct fl_pg_rows *rows;
        status = ask_array(pg, JOBS_SQL, array_of(NULL, ids + at, batch), &rows, err);
        struct reader reader = {arena, rows, 0, false};
        for (; status == FL_OK && reader.row < batch; reader.row++)
            jobs[at + reader.row] = (struct fl_pg_lock_job){
                .is_known = fl_pg_rows_bool(rows, reader.row, 0),
                .is_open = fl_pg_rows_bool(rows, reader.row, 1),
                .episode = text_at(&reader, 2),
                .worker = text_at(&reader, 3),
                .kind = fl_kind_from_name(fl_pg_rows_text(rows, reader.row, 4)),
                .token = number_at(&reader, 5, 0),
                .age_ms = number_at(&reader, 6, -1),
            };
        status = finish(&reader, rows, status, err);
    }
    return status;
}

fl_status fl_pg_locks_open_claims(struct fl_pg_sync *pg, struct fl_arena *arena, struct fl_slice **episodes,
                                  size_t *count, struct fl_err *err)
{
    struct fl_pg_rows *rows;
    fl_status status = fl_pg_sync_query(pg, OPEN_SQL, NULL, 0, &rows, err);
    if (status != FL_OK)
        return status;
    struct reader reader = {arena, rows, 0, false};
    *count = fl_pg_rows_count(rows);
    *episodes = fl_arena_alloc(arena, *count * sizeof **episodes);
    reader.is_out_of_memory = !*episodes;
    for (; !reader.is_out_of_memory && reader.row < *count; reader.row++)
        (*episodes)[reader.row] = text_at(&reader, 0);
    return finish(&reader, rows, FL_OK, err);
}

fl_status fl_pg_locks_sessions(struct fl_pg_sync *pg, struct fl_arena *arena, struct fl_pg_session **sessions,
                               size_t *count, struct fl_err *err)
{
    struct fl_pg_rows *rows;
    fl_status status = fl_pg_sync_query(pg, SESSIONS_SQL, NULL, 0, &rows, err);
    if (status != FL_OK)
        return status;
    struct reader reader = {arena, rows, 0, false};
    *count = fl_pg_rows_count(rows);
    *sessions = fl_arena_alloc(arena, *count * sizeof **sessions);
    reader.is_out_of_memory = !*sessions;
    for (; !reader.is_out_of_memory && reader.row < *count; reader.row++)
        (*sessions)[reader.row] = (struct fl_pg_session){
            .pid = number_at(&reader, 0, 0),
            .holder = text_at(&reader, 1),
            .state = text_at(&reader, 2),
            .wait = text_at(&reader, 3),
            .blockers = text_at(&reader, 4),
            .xact_ms = number_at(&reader, 5, -1),
        };
    return finish(&reader, rows, FL_OK, err);
}

/* ---- breaking ---- */

static const char *number(int64_t value, char text[NUMBER_BYTES])
{
    snprintf(text, NUMBER_BYTES, "%" PRId64, value);
    return text;
}

static enum fl_break_status status_from(struct fl_slice name)
{
    return fl_slice_is(name, "broken")    ? FL_BREAK_DONE
           : fl_slice_is(name, "changed") ? FL_BREAK_CHANGED
           : fl_slice_is(name, "locked")  ? FL_BREAK_LOCKED
                                          : FL_BREAK_UNKNOWN;
}

fl_status fl_pg_locks_break(struct fl_pg_sync *pg, struct fl_arena *arena, const struct fl_pg_break *what,
                            struct fl_pg_broken *broken, struct fl_err *err)
{
    char version[NUMBER_BYTES], fence[NUMBER_BYTES], job[NUMBER_BYTES], backend[NUMBER_BYTES];
    struct fl_slice nonce = fl_arena_copy(arena, what->seen->nonce),
                    holder = fl_arena_copy(arena, what->holder);
    struct fl_slice episode = fl_arena_copy(arena, what->episode);
    const struct fl_pg_locker *end = what->end;
    const char *params[] = {
        episode.ptr,
        number(what->seen->version, version),
        number(what->seen->fence, fence),
        what->seen->nonce.ptr ? nonce.ptr : NULL,
        what->holder.ptr ? holder.ptr : NULL,
        what->job_id ? number(what->job_id, job) : NULL,
        what->who,
        what->reason,
        what->cancel_job ? "t" : "f",
        end ? number(end->pid, backend) : NULL,
        end ? end->started_at.ptr : NULL,
    };
    struct fl_pg_rows *rows;
    *broken = (struct fl_pg_broken){0};
    fl_status status = fl_pg_sync_query(pg, BREAK_SQL, params, 11, &rows, err);
    if (status != FL_OK)
        return status;
    struct reader reader = {arena, rows, 0, false};
    *broken = (struct fl_pg_broken){
        .status = status_from(fl_pg_rows_text(rows, 0, 0)),
        .new_fence = number_at(&reader, 1, 0),
        .job_outcome = text_at(&reader, 2),
        .has_ended = fl_pg_rows_bool(rows, 0, 3),
    };
    return finish(&reader, rows, FL_OK, err);
}

fl_status fl_pg_locks_locker(struct fl_pg_sync *pg, struct fl_arena *arena, struct fl_slice episode,
                             struct fl_pg_locker *locker, struct fl_err *err)
{
    const char *params[] = {fl_arena_copy(arena, episode).ptr};
    struct fl_pg_rows *rows;
    fl_status status = fl_pg_sync_query(pg, LOCKER_SQL, params, 1, &rows, err);
    *locker = (struct fl_pg_locker){0};
    if (status != FL_OK)
        return status;
    struct reader reader = {arena, rows, 0, false};
    if (fl_pg_rows_count(rows) > 0)
        *locker = (struct fl_pg_locker){
            .pid = number_at(&reader, 0, 0),
            .session = text_at(&reader, 1),
            .state = text_at(&reader, 2),
            .started_at = text_at(&reader, 3),
            .xact_ms = number_at(&reader, 4, -1),
        };
    return finish(&reader, rows, FL_OK, err);
}
