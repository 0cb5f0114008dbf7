/* document.c - builds and finishes documents: the rules that hold for every format.
 *
 * Happy path: init, add rows, finish. Rows grow in the arena by doubling, in place where they are the newest
 * allocation. Failure modes: a limit is passed (FL_INVALID, with the line), the arena is full (FL_NO_MEMORY).
 */
#include "fenceline/document.h"

#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json_write.h"
#include "base/slice.h"

static const char *const KIND_NAMES[] = {
    [FL_KIND_NONE] = "none", [FL_CHAPTERS] = "chapters", [FL_TRANSCRIPT] = "transcript"};

static const struct {
    const char *name;
    enum fl_kind kind;
} FORMATS[] = {
    [FL_FORMAT_NONE] = {"none", FL_KIND_NONE},
    [FL_FORMAT_CHAPTERS_JSON] = {"chapters-json", FL_CHAPTERS},
    [FL_FORMAT_SRT] = {"srt", FL_TRANSCRIPT},
    [FL_FORMAT_VTT] = {"vtt", FL_TRANSCRIPT},
    [FL_FORMAT_TRANSCRIPT_JSON] = {"transcript-json", FL_TRANSCRIPT},
    [FL_FORMAT_TIMED_TEXT] = {"timed-text", FL_TRANSCRIPT},
};

const char *fl_kind_name(enum fl_kind kind)
{
    return KIND_NAMES[kind];
}

enum fl_kind fl_kind_from_name(struct fl_slice name)
{
    for (int kind = FL_CHAPTERS; kind <= FL_TRANSCRIPT; kind++)
        if (fl_slice_is(name, KIND_NAMES[kind]))
            return (enum fl_kind)kind;
    return FL_KIND_NONE;
}

const char *fl_format_name(enum fl_format format)
{
    return FORMATS[format].name;
}

enum fl_format fl_format_from_name(struct fl_slice name)
{
    for (int format = FL_FORMAT_CHAPTERS_JSON; format <= FL_FORMAT_TIMED_TEXT; format++)
        if (fl_slice_is(name, FORMATS[format].name))
            return (enum fl_format)format;
    return FL_FORMAT_NONE;
}

enum fl_kind fl_format_kind(enum fl_format format)
{
    return FORMATS[format].kind;
}

void fl_document_init(struct fl_document *doc, struct fl_arena *arena, const struct fl_limits *limits,
                      enum fl_format format)
{
    *doc = (struct fl_document){
        .arena = arena, .limits = limits, .format = format, .kind = fl_format_kind(format)};
}

/* Room for one more element in an arena array; the array may move. */
static bool reserve(struct fl_arena *arena, void **array, size_t *capacity, size_t count,
                    size_t element_bytes)
{
    if (count < *capacity)
        return true;
    size_t wanted = *capacity ? *capacity * 2 : 32;
    void *moved = fl_arena_grow(arena, *array, *capacity * element_bytes, wanted * element_bytes);
    if (!moved)
        return false;
    *array = moved;
    *capacity = wanted;
    return true;
}

static fl_status check_times(int64_t start_ms, int64_t end_ms, uint32_t line, struct fl_err *err)
{
    if (start_ms < 0)
        return fl_err_set(err, FL_INVALID, "line %" PRIu32 ": start time is negative", line);
    if (start_ms > FL_TIME_LIMIT_MS)
        return fl_err_set(err, FL_INVALID, "line %" PRIu32 ": start time is beyond 100 hours", line);
    if (end_ms != FL_END_NONE && end_ms < start_ms)
        return fl_err_set(err, FL_INVALID, "line %" PRIu32 ": end time lies before the start time", line);
    if (end_ms > FL_END_LIMIT_MS)
        return fl_err_set(err, FL_INVALID, "line %" PRIu32 ": end time is beyond 1000 hours", line);
    return FL_OK;
}

static fl_status check_field(const struct fl_document *doc, struct fl_slice field, const char *name,
                             uint32_t line, struct fl_err *err)
{
    if (field.len <= doc->limits->field_bytes)
        return FL_OK;
    return fl_err_set(err, FL_INVALID, "line %" PRIu32 ": %s has %zu bytes, more than the limit of %zu", line,
                      name, field.len, doc->limits->field_bytes);
}

static fl_status check_row_limit(const struct fl_document *doc, uint32_t line, struct fl_err *err)
{
    if (doc->row_count < doc->limits->rows)
        return FL_OK;
    return fl_err_set(err, FL_INVALID, "line %" PRIu32 ": more than %zu rows, the limit of one document",
                      line, doc->limits->rows);
}

static fl_status no_memory(uint32_t line, struct fl_err *err)
{
    return fl_err_set(err, FL_NO_MEMORY, "line %" PRIu32 ": the memory limit of one import is reached", line);
}

fl_status fl_document_add_chapter(struct fl_document *doc, const struct fl_chapter *row, struct fl_err *err)
{
    const struct {
        struct fl_slice field;
        const char *name;
    } FIELDS[] = {{row->title, "title"}, {row->url, "url"}, {row->img, "img"}, {row->location, "location"}};
    fl_status status = check_row_limit(doc, row->line, err);
    if (status == FL_OK)
        status = check_times(row->start_ms, row->end_ms, row->line, err);
    for (size_t i = 0; status == FL_OK && i < sizeof FIELDS / sizeof *FIELDS; i++)
        status = check_field(doc, FIELDS[i].field, FIELDS[i].name, row->line, err);
    if (status != FL_OK)
        return status;
    void *rows = doc->chapters;
    if (!reserve(doc->arena, &rows, &doc->row_capacity, doc->row_count, sizeof *row))
        return no_memory(row->line, err);
    doc->chapters = rows;
    doc->chapters[doc->row_count++] = *row;
    for (size_t i = 0; i < sizeof FIELDS / sizeof *FIELDS; i++)
        doc->text_bytes += FIELDS[i].field.len;
    return FL_OK;
}

fl_status fl_document_add_segment(struct fl_document *doc, const struct fl_segment *row, struct fl_err *err)
{
    fl_status status = check_row_limit(doc, row->line, err);
    if (status == FL_OK)
        status = check_times(row->start_ms, row->end_ms, row->line, err);
    if (status == FL_OK)
        status = check_field(doc, row->speaker, "speaker", row->line, err);
    if (status == FL_OK)
        status = check_field(doc, row->body, "text", row->line, err);
    if (status != FL_OK)
        return status;
    void *rows = doc->segments;
    if (!reserve(doc->arena, &rows, &doc->row_capacity, doc->row_count, sizeof *row))
        return no_memory(row->line, err);
    doc->segments = rows;
    doc->segments[doc->row_count++] = *row;
    doc->text_bytes += row->speaker.len + row->body.len;
    return FL_OK;
}

void fl_document_warn(struct fl_document *doc, uint32_t line, const char *rule, const char *format, ...)
{
    doc->warning_count++;
    if (doc->warnings_stored == FL_WARNINGS_KEPT) {
        doc->warnings[FL_WARNINGS_KEPT - 1].rule = "more-warnings";
        doc->warnings[FL_WARNINGS_KEPT - 1].text =
            FL_SLICE("only the first 999 warnings are listed; from this line on they are only counted");
        return;
    }
    struct fl_err text;
    va_list args;
    va_start(args, format);
    (void)fl_err_vset(&text, FL_OK, format, args);
    va_end(args);
    void *warnings = doc->warnings;
    if (!reserve(doc->arena, &warnings, &doc->warning_capacity, doc->warnings_stored, sizeof *doc->warnings))
        return;
    doc->warnings = warnings;
    struct fl_slice kept = fl_arena_copy(doc->arena, fl_slice_from(text.text));
    if (kept.ptr)
        doc->warnings[doc->warnings_stored++] = (struct fl_warning){.line = line, .rule = rule, .text = kept};
}

static int64_t start_ms(const struct fl_document *doc, size_t i)
{
    return doc->kind == FL_CHAPTERS ? doc->chapters[i].start_ms : doc->segments[i].start_ms;
}

static int64_t *end_ms(const struct fl_document *doc, size_t i)
{
    return doc->kind == FL_CHAPTERS ? &doc->chapters[i].end_ms : &doc->segments[i].end_ms;
}

static uint32_t line_of(const struct fl_document *doc, size_t i)
{
    return doc->kind == FL_CHAPTERS ? doc->chapters[i].line : doc->segments[i].line;
}

struct sort_key {
    int64_t start_ms;
    size_t index;
};

static int compare_keys(const void *a, const void *b)
{
    const struct sort_key *x = a, *y = b;
    if (x->start_ms != y->start_ms)
        return x->start_ms < y->start_ms ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static fl_status reorder(struct fl_document *doc, const struct sort_key *keys, struct fl_err *err)
{
    size_t row_bytes = doc->kind == FL_CHAPTERS ? sizeof *doc->chapters : sizeof *doc->segments;
    char *sorted = fl_arena_alloc(doc->arena, doc->row_count * row_bytes);
    if (!sorted)
        return no_memory(0, err);
    const char *rows = doc->kind == FL_CHAPTERS ? (const char *)doc->chapters : (const char *)doc->segments;
    for (size_t i = 0; i < doc->row_count; i++)
        memcpy(sorted + i * row_bytes, rows + keys[i].index * row_bytes, row_bytes);
    if (doc->kind == FL_CHAPTERS)
        doc->chapters = (void *)sorted;
    else
        doc->segments = (void *)sorted;
    doc->row_capacity = doc->row_count;
    return FL_OK;
}

static fl_status sort_rows(struct fl_document *doc, struct fl_err *err)
{
    size_t i = 1;
    while (i < doc->row_count && start_ms(doc, i) >= start_ms(doc, i - 1))
        i++;
    if (i >= doc->row_count)
        return FL_OK;
    fl_document_warn(doc, line_of(doc, i), "unsorted",
                     "starts before the row above it; rows are sorted by their start");
    struct sort_key *keys = fl_arena_alloc(doc->arena, doc->row_count * sizeof *keys);
    if (!keys)
        return no_memory(0, err);
    for (i = 0; i < doc->row_count; i++)
        keys[i] = (struct sort_key){.start_ms = start_ms(doc, i), .index = i};
    qsort(keys, doc->row_count, sizeof *keys, compare_keys);
    return reorder(doc, keys, err);
}

/* A missing end is the start of what comes next. Segments of one block share its start: for them, what comes
 * next is the next block, and the last block has no end. */
static void fill_ends(struct fl_document *doc)
{
    int64_t later_ms = FL_END_NONE;
    for (size_t i = doc->row_count; i-- > 0;) {
        bool is_last = i + 1 == doc->row_count;
        int64_t next_ms = is_last ? FL_END_NONE : start_ms(doc, i + 1), *end = end_ms(doc, i);
        if (next_ms > start_ms(doc, i))
            later_ms = next_ms;
        if (*end == FL_END_NONE)
            *end = doc->kind == FL_CHAPTERS ? next_ms : later_ms;
    }
}

/* Chapters must not overlap for a listener, so that is worth a warning; people in a transcript do talk at
 * once. */
static void warn_of_overlaps(struct fl_document *doc)
{
    for (size_t i = 0; i + 1 < doc->row_count; i++) {
        int64_t next_ms = start_ms(doc, i + 1);
        if (start_ms(doc, i) == next_ms)
            fl_document_warn(doc, line_of(doc, i + 1), "equal-start",
                             "starts at the same time as another chapter");
        else if (*end_ms(doc, i) > next_ms)
            fl_document_warn(doc, line_of(doc, i), "overlap", "ends after the next chapter has started");
    }
}

/* Both checksums of a row are over the same bytes: that of the document, and that of its block. */
struct checksums {
    struct sha256_ctx document, block;
};

static void hash_bytes(struct checksums *sums, const char *bytes, size_t length)
{
    sha256_update(&sums->document, length, (const uint8_t *)bytes);
    sha256_update(&sums->block, length, (const uint8_t *)bytes);
}

static void hash_number(struct checksums *sums, int64_t number)
{
    char text[24];
    int length = snprintf(text, sizeof text, "%" PRId64 ",", number);
    hash_bytes(sums, text, (size_t)length);
}

static void hash_time(struct checksums *sums, int64_t time_ms)
{
    if (time_ms == FL_END_NONE)
        hash_bytes(sums, "-,", 2);
    else
        hash_number(sums, time_ms);
}

static void hash_text(struct checksums *sums, struct fl_slice text)
{
    char length[24];
    if (!text.ptr) {
        hash_bytes(sums, "-,", 2);
        return;
    }
    int digits = snprintf(length, sizeof length, "%zu:", text.len);
    hash_bytes(sums, length, (size_t)digits);
    hash_bytes(sums, text.ptr, text.len);
    hash_bytes(sums, ",", 1);
}

static void hash_row(struct checksums *sums, const struct fl_document *doc, size_t i)
{
    hash_time(sums, start_ms(doc, i));
    hash_time(sums, *end_ms(doc, i));
    if (doc->kind == FL_CHAPTERS) {
        hash_text(sums, doc->chapters[i].title);
        hash_text(sums, doc->chapters[i].url);
        hash_text(sums, doc->chapters[i].img);
        hash_text(sums, doc->chapters[i].location);
        hash_number(sums, doc->chapters[i].toc);
    } else {
        hash_text(sums, doc->segments[i].speaker);
        hash_text(sums, doc->segments[i].body);
    }
    hash_bytes(sums, "\n", 1);
}

static fl_status take_checksums(struct fl_document *doc, struct fl_err *err)
{
    struct checksums sums;
    size_t blocks = (doc->row_count + FL_BLOCK_ROWS - 1) / FL_BLOCK_ROWS;
    uint8_t *digests = fl_arena_alloc(doc->arena, blocks * FL_BLOCK_DIGEST_BYTES);
    if (!digests)
        return no_memory(0, err);
    doc->block_digests = (struct fl_slice){(const char *)digests, blocks * FL_BLOCK_DIGEST_BYTES};
    sha256_init(&sums.document);
    sha256_init(&sums.block);
    for (size_t i = 0; i < doc->row_count; i++) {
        hash_row(&sums, doc, i);
        if ((i + 1) % FL_BLOCK_ROWS && i + 1 < doc->row_count)
            continue;
        sha256_digest(&sums.block, FL_BLOCK_DIGEST_BYTES, digests); /* begins anew */
        digests += FL_BLOCK_DIGEST_BYTES;
    }
    sha256_digest(&sums.document, sizeof doc->sha256, doc->sha256);
    return FL_OK;
}

static fl_status refuse_empty(const struct fl_document *doc, struct fl_err *err)
{
    const char *rows = doc->kind == FL_CHAPTERS ? "chapters" : "transcript segments";
    if (!doc->warnings_stored)
        return fl_err_set(err, FL_INVALID, "no %s found, and an input that yields no rows is invalid", rows);
    return fl_err_set(
        err, FL_INVALID, "no %s left after %zu warnings; the first: line %" PRIu32 ": %.*s (%s)", rows,
        doc->warning_count, doc->warnings[0].line, FL_ARGS(doc->warnings[0].text), doc->warnings[0].rule);
}

static fl_status refuse_warnings(const struct fl_document *doc, struct fl_err *err)
{
    if (!doc->warnings_stored)
        return no_memory(0, err);
    return fl_err_set(err, FL_INVALID, "line %" PRIu32 ": %.*s (%s; an error because of --strict)",
                      doc->warnings[0].line, FL_ARGS(doc->warnings[0].text), doc->warnings[0].rule);
}

fl_status fl_document_finish(struct fl_document *doc, struct fl_err *err)
{
    if (doc->row_count == 0)
        return refuse_empty(doc, err);
    fl_status status = sort_rows(doc, err);
    if (status != FL_OK)
        return status;
    fill_ends(doc);
    if (doc->kind == FL_CHAPTERS)
        warn_of_overlaps(doc);
    status = take_checksums(doc, err);
    if (status != FL_OK)
        return status;
    return doc->limits->strict && doc->warning_count ? refuse_warnings(doc, err) : FL_OK;
}

int64_t fl_document_first_start_ms(const struct fl_document *doc)
{
    return start_ms(doc, 0);
}

int64_t fl_document_last_end_ms(const struct fl_document *doc)
{
    int64_t last_ms = FL_END_NONE;
    for (size_t i = 0; i < doc->row_count; i++)
        if (*end_ms(doc, i) > last_ms)
            last_ms = *end_ms(doc, i);
    return last_ms == FL_END_NONE ? start_ms(doc, doc->row_count - 1) : last_ms;
}

void fl_document_write_warnings(const struct fl_document *doc, struct fl_json_writer *json)
{
    fl_json_write_begin_array(json);
    for (size_t i = 0; i < doc->warnings_stored; i++) {
        fl_json_write_begin_object(json);
        fl_json_write_name(json, "line");
        fl_json_write_int64(json, doc->warnings[i].line);
        fl_json_write_name(json, "rule");
        fl_json_write_string(json, fl_slice_from(doc->warnings[i].rule));
        fl_json_write_name(json, "text");
        fl_json_write_string(json, doc->warnings[i].text);
        fl_json_write_end_object(json);
    }
    fl_json_write_end_array(json);
}
