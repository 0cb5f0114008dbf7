/* pg_commit.c - PROTOCOL 5: one call per commit, with the whole document in binary arrays.
 *
 * libpq refuses COPY in pipeline mode, and a pipeline cannot branch on a row count halfway: so the function
 * in config/schema/002_functions.sql checks, decides and writes, and this file only packs its parameters.
 * What is larger than a piece is staged before the call, in the same transaction: libpq copies what it sends,
 * and to pack and copy tens of MiB would hold up everything else on the loop. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/json_write.h"
#include "base/slice.h"
#include "io/pg_store.h"

#define HEAD_TYPES                                                                                           \
    FL_OID_INT8, FL_OID_TEXT, FL_OID_INT8, FL_OID_INT8, FL_OID_TEXT, FL_OID_INT8_ARRAY, FL_OID_BYTEA,        \
        FL_OID_TEXT, FL_OID_TEXT, FL_OID_INT8_ARRAY, FL_OID_INT8_ARRAY

#define ANSWER "SELECT status, outcome, message, version, row_count, xid FROM "

static const Oid CHAPTERS_TYPES[] = {HEAD_TYPES,        FL_OID_TEXT_ARRAY, FL_OID_TEXT_ARRAY,
                                     FL_OID_TEXT_ARRAY, FL_OID_BOOL_ARRAY, FL_OID_TEXT_ARRAY,
                                     FL_OID_BYTEA};
static const Oid TRANSCRIPT_TYPES[] = {HEAD_TYPES, FL_OID_TEXT_ARRAY, FL_OID_TEXT_ARRAY, FL_OID_BYTEA};
static const Oid DELETE_TYPES[] = {FL_OID_INT8, FL_OID_TEXT, FL_OID_TEXT,      FL_OID_INT8,
                                   FL_OID_INT8, FL_OID_TEXT, FL_OID_INT8_ARRAY};

static const struct fl_pg_statement COMMIT_CHAPTERS = {
    "fl_commit_chapters",
    ANSWER "fenceline.commit_chapters($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10, $11, $12, $13, $14, "
           "$15, $16, $17)",
    17, CHAPTERS_TYPES};
static const struct fl_pg_statement COMMIT_TRANSCRIPT = {
    "fl_commit_transcript",
    ANSWER "fenceline.commit_transcript($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10, $11, $12, $13, $14)",
    14, TRANSCRIPT_TYPES};
static const struct fl_pg_statement COMMIT_DELETE = {
    "fl_commit_delete", ANSWER "fenceline.commit_delete($1, $2, $3, $4, $5, $6, $7)", 7, DELETE_TYPES};

static const Oid STAGE_TYPES[] = {FL_OID_INT8,       FL_OID_INT8,       FL_OID_INT8_ARRAY, FL_OID_INT8_ARRAY,
                                  FL_OID_TEXT_ARRAY, FL_OID_TEXT_ARRAY, FL_OID_TEXT_ARRAY, FL_OID_TEXT_ARRAY,
                                  FL_OID_TEXT_ARRAY, FL_OID_BOOL_ARRAY, FL_OID_TEXT_ARRAY};
static const Oid STAGED_TYPES[] = {FL_OID_INT8, FL_OID_TEXT, FL_OID_TEXT,       FL_OID_INT8,
                                   FL_OID_INT8, FL_OID_TEXT, FL_OID_INT8_ARRAY, FL_OID_BYTEA,
                                   FL_OID_TEXT, FL_OID_TEXT, FL_OID_INT8,       FL_OID_BYTEA};
static const struct fl_pg_statement STAGE = {
    "fl_stage", "SELECT fenceline.stage_rows($1, $2::integer, $3, $4, $5, $6, $7, $8, $9, $10, $11)", 11,
    STAGE_TYPES};
static const struct fl_pg_statement COMMIT_STAGED = {
    "fl_commit_staged",
    ANSWER "fenceline.commit_staged($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::jsonb, $11::integer, $12)", 12,
    STAGED_TYPES};

enum { ROW_BYTES = 48 /* on the wire, around its texts */ };

static void put_claim(struct fl_pg_params *params, const struct fl_import *im)
{
    fl_pg_params_int8(params, im->lease.token.n);
    fl_pg_params_int8(params, im->version.n);
    fl_pg_params_text(params, fl_slice_from(im->lease.nonce.hex));
}

static void put_durations(struct fl_pg_params *params, const struct fl_import_times *times)
{
    const int64_t points_ms[] = {times->started_ms, times->leased_ms, times->claimed_ms, times->loaded_ms};
    fl_pg_params_begin_array(params, FL_OID_INT8);
    for (size_t i = 0; i < 3; i++)
        fl_pg_params_element_int8(params, points_ms[i + 1] - points_ms[i]);
    fl_pg_params_end_array(params);
}

/* documents.warnings: [{"line": 3, "rule": "unsorted", "text": "..."}] */
static void put_warnings(struct fl_pg_params *params, const struct fl_document *doc)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = doc->warnings_stored ? open_memstream(&text, &length) : NULL;
    if (!out) {
        fl_pg_params_text(params, FL_SLICE("[]"));
        return;
    }
    struct fl_json_writer json;
    fl_json_write_init(&json, out);
    fl_document_write_warnings(doc, &json);
    fclose(out);
    fl_pg_params_text(params, (struct fl_slice){text, length});
    free(text);
}

/* Some rows of a document, one after the other: all, or a piece. */
struct rows {
    const struct fl_document *doc;
    size_t first, end;
};

/* The field that lies at offset_bytes of row i. */
static const void *field(const struct rows *rows, size_t i, size_t offset_bytes)
{
    const struct fl_document *doc = rows->doc;
    if (doc->kind == FL_CHAPTERS)
        return (const char *)&doc->chapters[i] + offset_bytes;
    return (const char *)&doc->segments[i] + offset_bytes;
}

static void put_times(struct fl_pg_params *params, const struct rows *rows, size_t offset_bytes)
{
    fl_pg_params_begin_array(params, FL_OID_INT8);
    for (size_t i = rows->first; i < rows->end; i++) {
        int64_t time_ms = *(const int64_t *)field(rows, i, offset_bytes);
        if (time_ms == FL_END_NONE)
            fl_pg_params_element_null(params);
        else
            fl_pg_params_element_int8(params, time_ms);
    }
    fl_pg_params_end_array(params);
}

static void put_texts(struct fl_pg_params *params, const struct rows *rows, size_t offset_bytes)
{
    fl_pg_params_begin_array(params, FL_OID_TEXT);
    for (size_t i = rows->first; i < rows->end; i++)
        fl_pg_params_element_text(params, *(const struct fl_slice *)field(rows, i, offset_bytes));
    fl_pg_params_end_array(params);
}

static void put_tocs(struct fl_pg_params *params, const struct rows *rows)
{
    fl_pg_params_begin_array(params, FL_OID_BOOL);
    for (size_t i = rows->first; i < rows->end; i++)
        fl_pg_params_element_bool(params, rows->doc->chapters[i].toc);
    fl_pg_params_end_array(params);
}

static void put_chapter_times(struct fl_pg_params *params, const struct rows *rows)
{
    put_times(params, rows, offsetof(struct fl_chapter, start_ms));
    put_times(params, rows, offsetof(struct fl_chapter, end_ms));
}

static void put_chapter_texts(struct fl_pg_params *params, const struct rows *rows)
{
    put_texts(params, rows, offsetof(struct fl_chapter, title));
    put_texts(params, rows, offsetof(struct fl_chapter, url));
    put_texts(params, rows, offsetof(struct fl_chapter, img));
    put_tocs(params, rows);
    put_texts(params, rows, offsetof(struct fl_chapter, location));
}

static void put_segments(struct fl_pg_params *params, const struct rows *rows)
{
    put_times(params, rows, offsetof(struct fl_segment, start_ms));
    put_times(params, rows, offsetof(struct fl_segment, end_ms));
    put_texts(params, rows, offsetof(struct fl_segment, speaker));
    put_texts(params, rows, offsetof(struct fl_segment, body));
}

static void put_nulls(struct fl_pg_params *params, int count)
{
    for (int i = 0; i < count; i++)
        fl_pg_params_text(params, (struct fl_slice){0});
}

static void add(struct fl_pg_store *store, struct fl_pg *pg, int id, const struct fl_pg_statement *statement)
{
    struct fl_pg_param bound[FL_PG_PARAMS];
    bool complete = fl_pg_params_bind(&store->params, bound);
    FL_ASSERT(complete); /* bounded by the limits of a document */
    fl_pg_add(pg, id, statement, bound);
}

static void add_delete(struct fl_pg_store *store, struct fl_pg *pg, const struct fl_import *im)
{
    fl_pg_params_int8(&store->params, im->job.job_id);
    fl_pg_params_text(&store->params, im->job.episode);
    fl_pg_params_text(&store->params, fl_slice_from(fl_kind_name(im->job.kind)));
    put_claim(&store->params, im);
    put_durations(&store->params, &im->times);
    add(store, pg, FL_STATEMENT_COMMIT_DELETE, &COMMIT_DELETE);
}

static void put_checksum(struct fl_pg_params *params, const struct fl_document *doc)
{
    fl_pg_params_bytea(params, doc->sha256, sizeof doc->sha256);
    fl_pg_params_text(params, fl_slice_from(fl_format_name(doc->format)));
    put_warnings(params, doc);
}

void fl_pg_commit_add(struct fl_pg_store *store, struct fl_pg *pg, const struct fl_request *request)
{
    struct fl_pg_params *params = &store->params;
    const struct fl_import *im = request->import;
    const struct fl_document *doc = request->document;
    fl_pg_params_clear(params);
    if (!doc) {
        add_delete(store, pg, im);
        return;
    }
    const struct rows all = {.doc = doc, .end = doc->row_count};
    fl_pg_params_int8(params, im->job.job_id);
    fl_pg_params_text(params, im->job.episode);
    put_claim(params, im);
    put_durations(params, &im->times);
    put_checksum(params, doc);
    if (doc->kind == FL_CHAPTERS) {
        put_chapter_times(params, &all);
        put_chapter_texts(params, &all);
        fl_pg_params_text(params, doc->block_digests);
        add(store, pg, FL_STATEMENT_COMMIT_CHAPTERS, &COMMIT_CHAPTERS);
    } else {
        put_segments(params, &all);
        fl_pg_params_text(params, doc->block_digests);
        add(store, pg, FL_STATEMENT_COMMIT_TRANSCRIPT, &COMMIT_TRANSCRIPT);
    }
}

/* ---- large documents, in pieces ---- */

/* About what the rows take on the wire: their texts, and the lengths and times around them. */
static size_t wire_bytes(const struct fl_document *doc)
{
    return doc->text_bytes + doc->row_count * ROW_BYTES;
}

static size_t row_wire_bytes(const struct fl_document *doc, size_t i)
{
    if (doc->kind == FL_TRANSCRIPT)
        return ROW_BYTES + doc->segments[i].speaker.len + doc->segments[i].body.len;
    const struct fl_chapter *row = &doc->chapters[i];
    return ROW_BYTES + row->title.len + row->url.len + row->img.len + row->location.len;
}

bool fl_pg_commit_is_large(const struct fl_request *request)
{
    return request->document && wire_bytes(request->document) > FL_STORE_PIECE_BYTES;
}

/* The next whole blocks of rows that fill a piece, or the rest. Pieces grow with the document, so that their
 * number stays below FL_PG_BATCH. */
static struct rows next_piece(const struct fl_document *doc, size_t first)
{
    struct rows piece = {.doc = doc, .first = first, .end = first};
    size_t bytes = 0, enough = wire_bytes(doc) / (FL_PG_BATCH - 1);
    if (enough < FL_STORE_PIECE_BYTES)
        enough = FL_STORE_PIECE_BYTES;
    while (piece.end < doc->row_count && (bytes < enough || piece.end % FL_BLOCK_ROWS))
        bytes += row_wire_bytes(doc, piece.end++);
    return piece;
}

static void add_piece(struct fl_pg_store *store, struct fl_store_lane *lane, const struct rows *piece)
{
    struct fl_pg_params *params = &store->params;
    fl_pg_params_int8(params, lane->requests[0]->import->job.job_id);
    fl_pg_params_int8(params, (int64_t)piece->first);
    if (piece->doc->kind == FL_CHAPTERS) {
        put_chapter_times(params, piece);
        put_nulls(params, 2);
        put_chapter_texts(params, piece);
    } else {
        put_segments(params, piece);
        put_nulls(params, 5);
    }
    add(store, &lane->pg, FL_STATEMENT_STAGE, &STAGE);
}

static void add_staged(struct fl_pg_store *store, struct fl_pg *pg, const struct fl_request *request)
{
    struct fl_pg_params *params = &store->params;
    const struct fl_import *im = request->import;
    fl_pg_params_int8(params, im->job.job_id);
    fl_pg_params_text(params, im->job.episode);
    fl_pg_params_text(params, fl_slice_from(fl_kind_name(im->job.kind)));
    put_claim(params, im);
    put_durations(params, &im->times);
    put_checksum(params, request->document);
    fl_pg_params_int8(params, (int64_t)request->document->row_count);
    fl_pg_params_text(params, request->document->block_digests);
    add(store, pg, FL_STATEMENT_COMMIT_STAGED, &COMMIT_STAGED);
}

bool fl_pg_commit_add_piece(struct fl_pg_store *store, struct fl_store_lane *lane)
{
    const struct fl_request *request = lane->requests[0];
    struct rows piece = next_piece(request->document, lane->sent_rows);
    fl_pg_params_clear(&store->params);
    if (piece.first == piece.end) {
        add_staged(store, &lane->pg, request);
        return false;
    }
    add_piece(store, lane, &piece);
    lane->sent_rows = piece.end;
    lane->pieces++;
    return true;
}
