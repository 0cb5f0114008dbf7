/* document.h - what a parser yields and a store writes: the rows of one document, in one arena.
 *
 * A parser calls init once, then add_chapter / add_segment / warn in the order of the file, then returns.
 * core/parse.c calls finish, which sorts, fills missing ends, looks for overlaps and takes the checksum, so
 * that these rules exist once and not in every format. */
#ifndef FENCELINE_DOCUMENT_H
#define FENCELINE_DOCUMENT_H

#include "fenceline/err.h"
#include "fenceline/types.h"

struct fl_arena;
struct fl_json_writer;

enum fl_kind { FL_KIND_NONE, FL_CHAPTERS, FL_TRANSCRIPT };

enum fl_format {
    FL_FORMAT_NONE,
    FL_FORMAT_CHAPTERS_JSON,
    FL_FORMAT_SRT,
    FL_FORMAT_VTT,
    FL_FORMAT_TRANSCRIPT_JSON,
    FL_FORMAT_TIMED_TEXT,
};

enum {
    FL_END_NONE = -1,             /* end_ms: the format gives none */
    FL_WARNINGS_KEPT = 1000,      /* later ones are counted, and the last kept one says so */
    FL_TIME_LIMIT_MS = 360000000, /* 100 hours: a later start is invalid (product, "Formats") */
    FL_SHA256_BYTES = 32,
    FL_BLOCK_ROWS = 16, /* config/schema/002_functions.sql knows both */
    FL_BLOCK_DIGEST_BYTES = 16,
};

#define FL_END_LIMIT_MS (FL_TIME_LIMIT_MS * INT64_C(10)) /* 1000 hours: a later end is invalid */

/* One row of fenceline.chapters. Slices follow types.h: ptr NULL = null. */
struct fl_chapter {
    int64_t start_ms, end_ms; /* end_ms FL_END_NONE = not given */
    struct fl_slice title, url, img;
    struct fl_slice location; /* JSON text or null */
    bool toc;                 /* false only if the file says so */
    uint32_t line;            /* where it stands in the file, from 1 */
};

/* One row of fenceline.transcript_segments. */
struct fl_segment {
    int64_t start_ms, end_ms;
    struct fl_slice speaker, body;
    uint32_t line;
};

/* Something dropped, repaired or doubtful. `rule` is a short fixed word with hyphens ("unsorted",
 * "bad-timing") that a script may test; text says what and why, for a human. Rules are static strings. */
struct fl_warning {
    uint32_t line;
    const char *rule;
    struct fl_slice text;
};

struct fl_document {
    struct fl_arena *arena; /* owns everything below */
    const struct fl_limits *limits;
    enum fl_kind kind;
    enum fl_format format;
    union {
        struct fl_chapter *chapters; /* kind == FL_CHAPTERS */
        struct fl_segment *segments; /* kind == FL_TRANSCRIPT */
    };
    size_t row_count, row_capacity;
    size_t text_bytes; /* of all texts in the rows */
    struct fl_warning *warnings;
    size_t warnings_stored; /* at most FL_WARNINGS_KEPT */
    size_t warning_count;   /* all of them */
    size_t warning_capacity;
    uint8_t sha256[FL_SHA256_BYTES]; /* of the normalised rows, after finish */
    struct fl_slice block_digests;   /* of each FL_BLOCK_ROWS rows: what tells a commit which rows differ */
};

/* Makes *doc empty. arena and limits are borrowed and must outlive it. */
void fl_document_init(struct fl_document *doc, struct fl_arena *arena, const struct fl_limits *limits,
                      enum fl_format format);

/* Appends one row (copied; its slices are borrowed and must live as long as the arena). FL_INVALID with line
 * and limit in *err when there are too many rows, a field is too long, a start is negative or beyond
 * FL_TIME_LIMIT_MS (100 hours), or an end lies before its start or beyond FL_END_LIMIT_MS; FL_NO_MEMORY. */
FL_CHECKED fl_status fl_document_add_chapter(struct fl_document *doc, const struct fl_chapter *row,
                                             struct fl_err *err);
FL_CHECKED fl_status fl_document_add_segment(struct fl_document *doc, const struct fl_segment *row,
                                             struct fl_err *err);

/* Notes a warning. rule must be a static string. line 0 = the whole file. Never fails: without memory the
 * warning is still counted. */
void fl_document_warn(struct fl_document *doc, uint32_t line, const char *rule, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Ends the document: stable sort by start (warning "unsorted" at the first row out of order), a missing end
 * becomes the start of the next row (of the next later one in a transcript; the last stays FL_END_NONE),
 * warnings "equal-start" and "overlap" for chapters, checksum. FL_INVALID if there are no rows, or if
 * limits->strict and anything was warned of.
 *
 * Checksum: SHA-256 over, per row in order, each field as "<bytes>:<text>," or "-," when null; times in
 * decimal milliseconds as "<n>,", toc as "1," or "0,"; the row ends with LF. Field order is that of the
 * struct. The digest of a block is the same over its rows alone, cut to FL_BLOCK_DIGEST_BYTES. FL_NO_MEMORY.
 */
FL_CHECKED fl_status fl_document_finish(struct fl_document *doc, struct fl_err *err);

/* Start of the first row and the greatest end of all (or the last start, if no end is known).
 * The document must be finished and not empty. */
int64_t fl_document_first_start_ms(const struct fl_document *doc);
int64_t fl_document_last_end_ms(const struct fl_document *doc);

/* The stored warnings as a JSON array, as in documents.warnings and `check --json`: [{"line", "rule",
 * "text"}]. */
void fl_document_write_warnings(const struct fl_document *doc, struct fl_json_writer *json);

/* Names as they stand in tables, options and JSON: "chapters", "srt", ... The *_from_name functions return
 * the _NONE value for an unknown name. */
const char *fl_kind_name(enum fl_kind kind);
enum fl_kind fl_kind_from_name(struct fl_slice name);
const char *fl_format_name(enum fl_format format);
enum fl_format fl_format_from_name(struct fl_slice name);
enum fl_kind fl_format_kind(enum fl_format format);

#endif
