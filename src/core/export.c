/* export.c - see export.h.
 *
 * Happy path: the writer of the format fills a buffer, the parser reads it, each row that was written is
 * found by its line and is the same; the buffer goes out. Failure modes: a row that differs, is not found, or
 * stands elsewhere is a loss, with the reason that the format has for it; a text that the parser refuses as a
 * whole, or that is beyond a limit, is a loss of the document; without memory nothing is written. */
#include "core/export.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/slice.h"
#include "base/utf8.h"
#include "core/formats/writers.h"
#include "core/parse.h"

enum { QUOTED_BYTES = 40 };

/* What can be lost; times and texts of a row come first. */
enum loss {
    LOSS_START,
    LOSS_END,
    LOSS_TEXT,
    LOSS_SPEAKER,
    LOSS_URL,
    LOSS_IMG,
    LOSS_TOC,
    LOSS_LOCATION,
    LOSS_ROW,
    LOSS_ORDER,
    LOSS_LIMIT,
    LOSS_REFUSED,
    LOSS_MORE,
    LOSS_COUNT
};

static const char *const RULES[LOSS_COUNT] = {
    [LOSS_START] = "start",      [LOSS_END] = "end",     [LOSS_TEXT] = "text",   [LOSS_SPEAKER] = "speaker",
    [LOSS_URL] = "url",          [LOSS_IMG] = "img",     [LOSS_TOC] = "toc",     [LOSS_LOCATION] = "location",
    [LOSS_ROW] = "lost",         [LOSS_ORDER] = "order", [LOSS_LIMIT] = "limit", [LOSS_REFUSED] = "refused",
    [LOSS_MORE] = "more-losses",
};

struct format {
    fl_document_writer *write;
    const char *reasons[LOSS_COUNT]; /* of the losses that the format makes by itself */
};

#define CUE_REASONS                                                                                          \
    [LOSS_END] = "the format needs an end, so 5 s after the start stand there",                              \
    [LOSS_ROW] = "a cue without text, or beyond 100 hours, is dropped"

static const struct format FORMATS[] = {
    [FL_FORMAT_CHAPTERS_JSON] = {fl_chapters_json_write,
                                 {[LOSS_END] = "a missing end is read as the start of the next chapter",
                                  [LOSS_LOCATION] =
                                      "only an object without numbers of extreme size is read"}},
    [FL_FORMAT_TRANSCRIPT_JSON] = {fl_transcript_json_write,
                                   {[LOSS_END] = "a missing end is read as the next start",
                                    [LOSS_SPEAKER] = "a name of white space is read as none",
                                    [LOSS_ROW] = "a segment without text is dropped"}},
    [FL_FORMAT_SRT] = {fl_srt_write,
                       {CUE_REASONS,
                        [LOSS_TEXT] = "SubRip keeps no white space around a text and no lone CR, and has no "
                                      "mark between label and text",
                        [LOSS_SPEAKER] =
                            "SubRip has speakers only as a label \"Name: \" in front of the text, "
                            "of at most 40 characters and 4 words"}},
    [FL_FORMAT_VTT] = {fl_vtt_write,
                       {CUE_REASONS, [LOSS_TEXT] = "white space around a text is not kept",
                        [LOSS_SPEAKER] = "WebVTT makes one space of any white space in a name"}},
};

struct comparison {
    const struct fl_document *doc, *back; /* as it is stored, as it was read */
    const struct format *format;
    fl_export_tell *tell;
    void *context;
    size_t count; /* of losses */
};

static __attribute__((format(printf, 4, 5))) void lose(struct comparison *c, size_t row, enum loss loss,
                                                       const char *format, ...)
{
    const char *reason = c->format->reasons[loss];
    struct fl_err text;
    if (c->count++ >= FL_EXPORT_LOSSES_TOLD)
        return;
    va_list args;
    va_start(args, format);
    (void)fl_err_vset(&text, FL_OK, format, args);
    va_end(args);
    struct fl_err whole;
    (void)fl_err_set(&whole, FL_OK, "%s%s%s", text.text, reason ? ": " : "", reason ? reason : "");
    c->tell(c->context, &(struct fl_export_loss){.row = row, .rule = RULES[loss], .text = whole.text});
}

static void compare_time(struct comparison *c, size_t row, enum loss loss, int64_t stored_ms, int64_t read_ms)
{
    if (stored_ms == read_ms)
        return;
    if (stored_ms == FL_END_NONE)
        lose(c, row, loss, "no %s is stored, but %" PRId64 " ms is read back", RULES[loss], read_ms);
    else if (read_ms == FL_END_NONE)
        lose(c, row, loss, "the %s %" PRId64 " ms is not read back", RULES[loss], stored_ms);
    else
        lose(c, row, loss, "the %s %" PRId64 " ms is read back as %" PRId64 " ms", RULES[loss], stored_ms,
             read_ms);
}

/* A text that may be long: where it differs says more than what it holds. */
static void compare_text(struct comparison *c, size_t row, const char *name, struct fl_slice stored,
                         struct fl_slice read)
{
    if (fl_slice_eq(stored, read))
        return;
    if (fl_slice_eq(fl_slice_trim(stored), fl_slice_trim(read))) {
        lose(c, row, LOSS_TEXT, "the %s is read back without white space around it", name);
        return;
    }
    size_t same = 0;
    while (same < stored.len && same < read.len && stored.ptr[same] == read.ptr[same])
        same++;
    lose(c, row, LOSS_TEXT, "the %s is read back differently from byte %zu on", name, same + 1);
}

/* A text that is short as a rule, and may be null. */
static void compare_field(struct comparison *c, size_t row, enum loss loss, struct fl_slice stored,
                          struct fl_slice read)
{
    if (fl_slice_eq(stored, read) && !stored.ptr == !read.ptr)
        return;
    struct fl_slice s = fl_utf8_cut(stored, QUOTED_BYTES), r = fl_utf8_cut(read, QUOTED_BYTES);
    const char *s_mark = stored.ptr ? "\"" : "", *r_mark = read.ptr ? "\"" : "";
    lose(c, row, loss, "the %s %s%.*s%s%s is read back as %s%.*s%s%s", RULES[loss], s_mark,
         FL_ARGS(stored.ptr ? s : FL_SLICE("null")), s.len < stored.len ? "..." : "", s_mark, r_mark,
         FL_ARGS(read.ptr ? r : FL_SLICE("null")), r.len < read.len ? "..." : "", r_mark);
}

static void check_length(struct comparison *c, size_t row, const char *name, struct fl_slice read)
{
    if (read.len > c->doc->limits->field_bytes)
        lose(c, row, LOSS_LIMIT,
             "the %s has %zu bytes in the file, more than an import takes "
             "(limit.field_bytes %zu)",
             name, read.len, c->doc->limits->field_bytes);
}

static void compare_segment(struct comparison *c, size_t row, const struct fl_segment *read)
{
    const struct fl_segment *stored = &c->doc->segments[row];
    compare_time(c, row, LOSS_START, stored->start_ms, read->start_ms);
    compare_time(c, row, LOSS_END, stored->end_ms, read->end_ms);
    compare_field(c, row, LOSS_SPEAKER, stored->speaker, read->speaker);
    compare_text(c, row, "text", stored->body, read->body);
    check_length(c, row, "speaker", read->speaker);
    check_length(c, row, "text", read->body);
}

static void compare_chapter(struct comparison *c, size_t row, const struct fl_chapter *read)
{
    const struct fl_chapter *stored = &c->doc->chapters[row];
    compare_time(c, row, LOSS_START, stored->start_ms, read->start_ms);
    compare_time(c, row, LOSS_END, stored->end_ms, read->end_ms);
    compare_text(c, row, "title", stored->title, read->title);
    compare_field(c, row, LOSS_URL, stored->url, read->url);
    compare_field(c, row, LOSS_IMG, stored->img, read->img);
    compare_field(c, row, LOSS_LOCATION, stored->location, read->location);
    if (stored->toc != read->toc)
        lose(c, row, LOSS_TOC, "toc is read back as %s", read->toc ? "true" : "false");
    check_length(c, row, "title", read->title);
    check_length(c, row, "url", read->url);
    check_length(c, row, "img", read->img);
    check_length(c, row, "location", read->location);
}

static uint32_t line_read(const struct fl_document *back, size_t i)
{
    return back->kind == FL_CHAPTERS ? back->chapters[i].line : back->segments[i].line;
}

/* The row that was written to this line (lines rise), or row_count. */
static size_t row_at(const struct fl_document *doc, const uint32_t *row_lines, uint32_t line)
{
    size_t low = 0, high = doc->row_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (row_lines[middle] < line)
            low = middle + 1;
        else
            high = middle;
    }
    return low < doc->row_count && row_lines[low] == line ? low : doc->row_count;
}

/* found[row] becomes 1 + the place of the row in what was read; 0 = it is not there. */
static void match(struct comparison *c, const uint32_t *row_lines, size_t *found)
{
    size_t before = 0;
    for (size_t row = 0; row < c->doc->row_count; row++)
        found[row] = 0;
    for (size_t i = 0; i < c->back->row_count; i++) {
        size_t row = row_at(c->doc, row_lines, line_read(c->back, i));
        if (row == c->doc->row_count || found[row]) {
            lose(c, row == c->doc->row_count ? FL_EXPORT_WHOLE : row, LOSS_ROW,
                 "line %" PRIu32 " is read as a row more", line_read(c->back, i));
            continue;
        }
        if (row < before)
            lose(c, row, LOSS_ORDER, "it stands behind row %zu, which starts later; an import sorts", before);
        before = row > before ? row : before;
        found[row] = i + 1;
    }
}

static fl_status compare(struct comparison *c, const uint32_t *row_lines, struct fl_err *err)
{
    const struct fl_document *doc = c->doc;
    size_t *found = fl_arena_alloc(doc->arena, doc->row_count * sizeof *found);
    if (!found)
        return fl_err_set(err, FL_NO_MEMORY, "no memory to compare %zu rows", doc->row_count);
    match(c, row_lines, found);
    for (size_t row = 0; row < doc->row_count; row++) {
        if (found[row] == 0)
            lose(c, row, LOSS_ROW, "the row is not read back");
        else if (doc->kind == FL_CHAPTERS)
            compare_chapter(c, row, &c->back->chapters[found[row] - 1]);
        else
            compare_segment(c, row, &c->back->segments[found[row] - 1]);
    }
    return FL_OK;
}

/* Reads text as an import would, without its limits: one field too many bytes long must not hide the rest. */
static fl_status read_back(struct comparison *c, struct fl_slice text, const uint32_t *row_lines,
                           struct fl_err *err)
{
    static const struct fl_limits NO_LIMITS = {SIZE_MAX, SIZE_MAX, SIZE_MAX, false, false};
    const struct fl_limits *limits = c->doc->limits;
    struct fl_document back;
    struct fl_err refusal = {0};
    fl_status status =
        fl_parse_document(text, &(struct fl_parse_hint){0}, &NO_LIMITS, c->doc->arena, &back, &refusal);
    if (status == FL_NO_MEMORY)
        return fl_err_set(err, status, "cannot read the document back: %s", refusal.text);
    if (text.len > limits->file_bytes)
        lose(c, FL_EXPORT_WHOLE, LOSS_LIMIT, "%zu bytes are more than an import takes (limit.file_bytes %zu)",
             text.len, limits->file_bytes);
    if (c->doc->row_count > limits->rows)
        lose(c, FL_EXPORT_WHOLE, LOSS_LIMIT, "%zu rows are more than an import takes (limit.rows %zu)",
             c->doc->row_count, limits->rows);
    if (status != FL_OK || back.format != c->doc->format) {
        lose(c, FL_EXPORT_WHOLE, LOSS_REFUSED, "an import would refuse the document: %s",
             status != FL_OK ? refusal.text : "its format is not recognised");
        return FL_OK;
    }
    c->back = &back;
    status = compare(c, row_lines, err);
    c->back = NULL;
    return status;
}

static fl_status verify(const struct fl_document *doc, struct fl_slice text, const uint32_t *row_lines,
                        fl_export_tell *tell, void *context, struct fl_err *err)
{
    struct comparison c = {.doc = doc, .format = &FORMATS[doc->format], .tell = tell, .context = context};
    fl_status status = read_back(&c, text, row_lines, err);
    if (c.count <= FL_EXPORT_LOSSES_TOLD)
        return status;
    char more[64];
    snprintf(more, sizeof more, "%zu losses more are not listed", c.count - FL_EXPORT_LOSSES_TOLD);
    tell(context, &(struct fl_export_loss){FL_EXPORT_WHOLE, RULES[LOSS_MORE], more});
    return status;
}

bool fl_export_has_writer(enum fl_format format)
{
    return format < sizeof FORMATS / sizeof *FORMATS && FORMATS[format].write;
}

fl_status fl_export_document(const struct fl_document *doc, FILE *out, fl_export_tell *tell, void *context,
                             struct fl_err *err)
{
    char *text = NULL;
    size_t text_bytes = 0;
    uint32_t *row_lines = fl_arena_alloc(doc->arena, doc->row_count * sizeof *row_lines);
    FILE *buffer = row_lines ? open_memstream(&text, &text_bytes) : NULL;
    if (buffer)
        FORMATS[doc->format].write(doc, buffer, row_lines);
    bool failed = !buffer || ferror(buffer);
    if (buffer)
        failed |= fclose(buffer) != 0;
    fl_status status = FL_OK;
    if (failed)
        status = fl_err_set(err, FL_NO_MEMORY, "no memory to write %zu rows", doc->row_count);
    else
        status = verify(doc, (struct fl_slice){text, text_bytes}, row_lines, tell, context, err);
    if (status == FL_OK)
        fwrite(text, 1, text_bytes, out);
    free(text);
    return status;
}
