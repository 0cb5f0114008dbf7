/* pg_commit.c - PROTOCOL 5: one call per commit, with the whole document in binary arrays.
 *
 * libpq refuses COPY in pipeline mode, and a pipeline cannot branch on a row count halfway: so the function
 * in config/schema/002_functions.sql checks, decides and writes, and this file only packs its parameters. */
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

static void put_times(struct fl_pg_params *params, const struct fl_document *doc, size_t offset_bytes)
{
    const char *rows = doc->kind == FL_CHAPTERS ? (const char *)doc->chapters : (const char *)doc->segments;
    size_t row_bytes = doc->kind == FL_CHAPTERS ? sizeof *doc->chapters : sizeof *doc->segments;
    fl_pg_params_begin_array(params, FL_OID_INT8);
    for (size_t i = 0; i < doc->row_count; i++) {
        int64_t time_ms = *(const int64_t *)(const void *)(rows + i * row_bytes + offset_bytes);
        if (time_ms == FL_END_NONE)
            fl_pg_params_element_null(params);
        else
            fl_pg_params_element_int8(params, time_ms);
    }
    fl_pg_params_end_array(params);
}

/* The column of texts whose slice lies at offset_bytes of each row. */
static void put_texts(struct fl_pg_params *params, const struct fl_document *doc, size_t offset_bytes)
{
    const char *rows = doc->kind == FL_CHAPTERS ? (const char *)doc->chapters : (const char *)doc->segments;
    size_t row_bytes = doc->kind == FL_CHAPTERS ? sizeof *doc->chapters : sizeof *doc->segments;
    fl_pg_params_begin_array(params, FL_OID_TEXT);
    for (size_t i = 0; i < doc->row_count; i++)
        fl_pg_params_element_text(
            params, *(const struct fl_slice *)(const void *)(rows + i * row_bytes + offset_bytes));
    fl_pg_params_end_array(params);
}

static void put_tocs(struct fl_pg_params *params, const struct fl_document *doc)
{
    fl_pg_params_begin_array(params, FL_OID_BOOL);
    for (size_t i = 0; i < doc->row_count; i++)
        fl_pg_params_element_bool(params, doc->chapters[i].toc);
    fl_pg_params_end_array(params);
}

static void put_chapters(struct fl_pg_params *params, const struct fl_document *doc)
{
    put_times(params, doc, offsetof(struct fl_chapter, start_ms));
    put_times(params, doc, offsetof(struct fl_chapter, end_ms));
    put_texts(params, doc, offsetof(struct fl_chapter, title));
    put_texts(params, doc, offsetof(struct fl_chapter, url));
    put_texts(params, doc, offsetof(struct fl_chapter, img));
    put_tocs(params, doc);
    put_texts(params, doc, offsetof(struct fl_chapter, location));
    fl_pg_params_text(params, doc->block_digests);
}

static void put_segments(struct fl_pg_params *params, const struct fl_document *doc)
{
    put_times(params, doc, offsetof(struct fl_segment, start_ms));
    put_times(params, doc, offsetof(struct fl_segment, end_ms));
    put_texts(params, doc, offsetof(struct fl_segment, speaker));
    put_texts(params, doc, offsetof(struct fl_segment, body));
    fl_pg_params_text(params, doc->block_digests);
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
    fl_pg_params_int8(params, im->job.job_id);
    fl_pg_params_text(params, im->job.episode);
    put_claim(params, im);
    put_durations(params, &im->times);
    fl_pg_params_bytea(params, doc->sha256, sizeof doc->sha256);
    fl_pg_params_text(params, fl_slice_from(fl_format_name(doc->format)));
    put_warnings(params, doc);
    if (doc->kind == FL_CHAPTERS) {
        put_chapters(params, doc);
        add(store, pg, FL_STATEMENT_COMMIT_CHAPTERS, &COMMIT_CHAPTERS);
    } else {
        put_segments(params, doc);
        add(store, pg, FL_STATEMENT_COMMIT_TRANSCRIPT, &COMMIT_TRANSCRIPT);
    }
}
