/* fuzz_document.c - what must hold for every input of every parser, and the targets of the parsers.
 *
 * Of a document: rows in order and within the limits, texts that Postgres takes, lines that exist, warnings
 * that can be read. Of the parse: the same input gives the same; --strict accepts exactly what has no
 * warning; --repair changes nothing about what is valid; a limit that fits exactly is no obstacle, and one
 * less is one; the kind that the file holds may be named, the other one may not. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/json_write.h"
#include "fuzz.h"

enum {
    ARENA_BYTES = 256 << 20,
    ARENA_BASE_BYTES = 4 << 20,
    ARENA_BYTES_PER_BYTE =
        256, /* a chapter is 130 bytes in the arena, twice while the list grows, and 16 in the file */
};

/* One run of the parser. */
struct run {
    char *bytes;
    struct fl_limits limits;
    struct fl_arena arena;
    struct fl_document doc;
    struct fl_err err;
    fl_status status;
};

static void start(struct run *run, struct fl_slice input, const struct fl_parse_hint *hint,
                  struct fl_limits limits)
{
    *run = (struct run){.bytes = fuzz_exact(input), .limits = limits};
    fl_arena_init(&run->arena, ARENA_BYTES);
    run->status = fl_parse_document((struct fl_slice){run->bytes, input.len}, hint, &run->limits, &run->arena,
                                    &run->doc, &run->err);
    if (run->status == FL_OK)
        return;
    fuzz_check_err(run->status, &run->err);
    FUZZ_CHECK(run->status == FL_INVALID, "status %d: %s", (int)run->status, run->err.text);
}

static void end(struct run *run)
{
    fl_arena_release(&run->arena);
    free(run->bytes);
}

/* ---- a document ---- */

static void check_text(const char *name, struct fl_slice text, const struct fl_document *doc)
{
    FUZZ_CHECK(text.ptr || text.len == 0, "%s: absent, and %zu bytes long", name, text.len);
    FUZZ_CHECK(fuzz_is_text(text), "%s is not text that Postgres takes", name);
    FUZZ_CHECK(text.len <= doc->limits->field_bytes, "%s has %zu bytes", name, text.len);
}

static void check_times(int64_t start_ms, int64_t end_ms, int64_t *before_ms)
{
    FUZZ_CHECK(start_ms >= 0 && start_ms <= FL_TIME_LIMIT_MS, "start %lld", (long long)start_ms);
    FUZZ_CHECK(start_ms >= *before_ms, "start %lld after %lld", (long long)start_ms, (long long)*before_ms);
    FUZZ_CHECK(end_ms == FL_END_NONE || (end_ms >= start_ms && end_ms <= FL_END_LIMIT_MS), "%lld to %lld",
               (long long)start_ms, (long long)end_ms);
    *before_ms = start_ms;
}

static void check_line(uint32_t line, struct fl_slice input)
{
    /* A line takes at least a byte, two in UTF-16. */
    FUZZ_CHECK(line >= 1 && line <= input.len + 1, "line %u of %zu bytes", line, input.len);
}

static void check_location(struct fl_slice location)
{
    struct fl_json_text json;
    struct fl_err err;
    if (!location.ptr)
        return;
    FUZZ_CHECK(fl_json_parse(&json, location, &err) == FL_OK, "location: %s", err.text);
    FUZZ_CHECK(fl_json_type(json.root) == FL_JSON_OBJECT, "location is no object");
    fl_json_release(&json);
}

static bool has_warning(const struct fl_document *doc, const char *rule)
{
    for (size_t i = 0; i < doc->warnings_stored; i++)
        if (strcmp(doc->warnings[i].rule, rule) == 0)
            return true;
    return doc->warning_count > doc->warnings_stored;
}

static void check_chapters(const struct fl_document *doc, struct fl_slice input)
{
    int64_t before_ms = 0;
    bool has_equal = false, has_overlap = false;
    for (size_t i = 0; i < doc->row_count; i++) {
        const struct fl_chapter *row = &doc->chapters[i], *next = i + 1 < doc->row_count ? row + 1 : NULL;
        check_times(row->start_ms, row->end_ms, &before_ms);
        FUZZ_CHECK(row->title.ptr, "chapter %zu has no title, not even an empty one", i);
        check_text("title", row->title, doc);
        check_text("url", row->url, doc);
        check_text("img", row->img, doc);
        check_text("location", row->location, doc);
        check_location(row->location);
        check_line(row->line, input);
        FUZZ_CHECK(row->end_ms != FL_END_NONE || !next, "chapter %zu of %zu has no end", i, doc->row_count);
        has_equal |= next && next->start_ms == row->start_ms;
        has_overlap |= next && next->start_ms > row->start_ms && row->end_ms > next->start_ms;
        FUZZ_CHECK(!next || next->start_ms > row->start_ms || next->line >= row->line, "chapter %zu", i);
    }
    FUZZ_CHECK(!has_equal || has_warning(doc, "equal-start"), "%zu warnings", doc->warning_count);
    FUZZ_CHECK(!has_overlap || has_warning(doc, "overlap"), "%zu warnings", doc->warning_count);
}

static void check_segments(const struct fl_document *doc, struct fl_slice input)
{
    int64_t before_ms = 0;
    for (size_t i = 0; i < doc->row_count; i++) {
        const struct fl_segment *row = &doc->segments[i], *next = i + 1 < doc->row_count ? row + 1 : NULL;
        check_times(row->start_ms, row->end_ms, &before_ms);
        check_text("speaker", row->speaker, doc);
        check_text("text", row->body, doc);
        check_line(row->line, input);
        FUZZ_CHECK(!row->speaker.ptr || !fl_slice_is_blank(row->speaker), "segment %zu: a blank speaker", i);
        FUZZ_CHECK(row->body.ptr && !fl_slice_is_blank(row->body), "segment %zu: no text", i);
        FUZZ_CHECK(!next || next->start_ms > row->start_ms || next->line >= row->line, "segment %zu", i);
    }
}

static void check_warnings(const struct fl_document *doc, struct fl_slice input)
{
    FUZZ_CHECK(doc->warnings_stored <= FL_WARNINGS_KEPT, "%zu warnings", doc->warnings_stored);
    FUZZ_CHECK(doc->warnings_stored ==
                   (doc->warning_count < FL_WARNINGS_KEPT ? doc->warning_count : FL_WARNINGS_KEPT),
               "%zu of %zu warnings", doc->warnings_stored, doc->warning_count);
    for (size_t i = 0; i < doc->warnings_stored; i++) {
        const struct fl_warning *warning = &doc->warnings[i];
        size_t word = strspn(warning->rule, "abcdefghijklmnopqrstuvwxyz-");
        FUZZ_CHECK(word > 0 && warning->rule[word] == '\0', "rule '%s'", warning->rule);
        FUZZ_CHECK(warning->text.len > 0 && fuzz_is_text(warning->text), "text of warning %zu", i);
        if (warning->line)
            check_line(warning->line, input);
    }
}

/* The JSON that goes into documents.warnings is JSON, and holds all of them. */
static void check_warnings_json(const struct fl_document *doc)
{
    char *text = NULL;
    size_t text_bytes = 0, count = 0;
    struct fl_json_writer writer;
    struct fl_json_text json;
    struct fl_err err;
    FILE *out = open_memstream(&text, &text_bytes);
    FUZZ_CHECK(out, "no memory");
    fl_json_write_init(&writer, out);
    fl_document_write_warnings(doc, &writer);
    fclose(out);
    FUZZ_CHECK(fl_json_parse(&json, (struct fl_slice){text, text_bytes}, &err) == FL_OK, "%s", err.text);
    for (const struct fl_json *item = fl_json_first(json.root); item; item = fl_json_next(item)) {
        struct fl_slice told = fl_json_string(fl_json_get(item, "text"));
        FUZZ_CHECK(count < doc->warnings_stored && fl_slice_eq(told, doc->warnings[count].text),
                   "warning %zu: %.*s", count, FL_ARGS(told));
        count++;
    }
    FUZZ_CHECK(count == doc->warnings_stored, "%zu of %zu", count, doc->warnings_stored);
    fl_json_release(&json);
    free(text);
}

static void check_document(const struct fl_document *doc, struct fl_slice input)
{
    FUZZ_CHECK(doc->row_count > 0 && doc->row_count <= doc->limits->rows, "%zu rows", doc->row_count);
    FUZZ_CHECK(doc->kind == fl_format_kind(doc->format) && doc->kind != FL_KIND_NONE, "kind %d", doc->kind);
    if (doc->kind == FL_CHAPTERS)
        check_chapters(doc, input);
    else
        check_segments(doc, input);
    check_warnings(doc, input);
    if (doc->warning_count)
        check_warnings_json(doc);
    int64_t last_ms = fl_document_last_end_ms(doc), first_ms = fl_document_first_start_ms(doc);
    FUZZ_CHECK(first_ms >= 0 && last_ms >= first_ms, "%lld to %lld", (long long)first_ms, (long long)last_ms);
}

/* ---- runs of the parser compared ---- */

static void check_same(const struct run *a, const struct run *b, const char *what)
{
    FUZZ_CHECK(a->status == b->status, "%s: %s / %s", what, a->status ? a->err.text : "ok",
               b->status ? b->err.text : "ok");
    if (a->status != FL_OK)
        return;
    FUZZ_CHECK(a->doc.format == b->doc.format, "%s: format %d / %d", what, a->doc.format, b->doc.format);
    FUZZ_CHECK(a->doc.row_count == b->doc.row_count, "%s: %zu / %zu rows", what, a->doc.row_count,
               b->doc.row_count);
    FUZZ_CHECK(memcmp(a->doc.sha256, b->doc.sha256, FL_SHA256_BYTES) == 0, "%s: other checksum", what);
    FUZZ_CHECK(a->doc.warning_count == b->doc.warning_count, "%s: %zu / %zu warnings", what,
               a->doc.warning_count, b->doc.warning_count);
}

static void check_again(const struct run *first, struct fl_slice input, const struct fl_parse_hint *hint,
                        struct fl_limits limits, const char *what)
{
    struct run run;
    start(&run, input, hint, limits);
    check_same(first, &run, what);
    end(&run);
}

static void check_refused(struct fl_slice input, const struct fl_parse_hint *hint, struct fl_limits limits,
                          const char *what)
{
    struct run run;
    start(&run, input, hint, limits);
    FUZZ_CHECK(run.status == FL_INVALID, "%s: accepted", what);
    end(&run);
}

static size_t longest_field(const struct fl_document *doc)
{
    size_t longest = 0;
    for (size_t i = 0; i < doc->row_count; i++) {
        const struct fl_slice chapter[] = {
            doc->kind == FL_CHAPTERS ? doc->chapters[i].title : (struct fl_slice){0},
            doc->kind == FL_CHAPTERS ? doc->chapters[i].url : (struct fl_slice){0},
            doc->kind == FL_CHAPTERS ? doc->chapters[i].img : (struct fl_slice){0},
            doc->kind == FL_CHAPTERS ? doc->chapters[i].location : (struct fl_slice){0}};
        const struct fl_slice segment[] = {
            doc->kind == FL_TRANSCRIPT ? doc->segments[i].speaker : (struct fl_slice){0},
            doc->kind == FL_TRANSCRIPT ? doc->segments[i].body : (struct fl_slice){0}};
        for (size_t field = 0; field < 4; field++)
            longest = chapter[field].len > longest ? chapter[field].len : longest;
        for (size_t field = 0; field < 2; field++)
            longest = segment[field].len > longest ? segment[field].len : longest;
    }
    return longest;
}

/* A limit that the document just keeps, and one that it just does not. A location that is left out does not
 * stand in the document; but it has a length in the file, which the limit holds for, too. */
static void check_limits(const struct run *run, struct fl_slice input, const struct fl_parse_hint *hint)
{
    struct fl_limits limits = run->limits;
    limits.rows = run->doc.row_count;
    limits.file_bytes = input.len;
    bool is_whole = !has_warning(&run->doc, "bad-location");
    if (is_whole)
        limits.field_bytes = longest_field(&run->doc);
    check_again(run, input, hint, limits, "limits that just suffice");
    struct fl_limits less = limits;
    less.rows--;
    check_refused(input, hint, less, "one row too many");
    less = limits;
    less.file_bytes--;
    check_refused(input, hint, less, "one byte too many");
    less = limits;
    if (is_whole && less.field_bytes-- > 0)
        check_refused(input, hint, less, "one byte of a field too many");
}

static void check_options(const struct run *run, struct fl_slice input, const struct fl_parse_hint *hint)
{
    struct fl_limits strict = run->limits, repair = run->limits;
    struct fl_parse_hint kind = *hint;
    strict.strict = true;
    if (run->doc.warning_count)
        check_refused(input, hint, strict, "--strict in spite of a warning");
    else
        check_again(run, input, hint, strict, "--strict without a warning");
    repair.repair = true;
    check_again(run, input, hint, repair, "--repair of what is valid");
    kind.kind = run->doc.kind;
    check_again(run, input, &kind, run->limits, "the kind that the file holds");
    kind.kind = run->doc.kind == FL_CHAPTERS ? FL_TRANSCRIPT : FL_CHAPTERS;
    kind.format = run->doc.format;
    check_refused(input, &kind, run->limits, "the other kind");
}

fl_status fuzz_check_parse(struct fl_slice input, const struct fl_parse_hint *hint, struct fl_limits limits)
{
    struct run run;
    start(&run, input, hint, limits);
    FUZZ_CHECK(run.arena.used_bytes <= ARENA_BASE_BYTES + input.len * ARENA_BYTES_PER_BYTE,
               "%zu bytes of memory for %zu bytes", run.arena.used_bytes, input.len);
    check_again(&run, input, hint, limits, "the same once more");
    fl_status status = run.status;
    if (status == FL_OK) {
        check_document(&run.doc, input);
        check_options(&run, input, hint);
        check_limits(&run, input, hint);
        fuzz_check_export(&run.doc);
    }
    end(&run);
    return status;
}

void fuzz_check_line_ends(struct fl_slice input, enum fl_format format)
{
    static const char *const ENDS[] = {"\r\n", "\r"};
    const struct fl_parse_hint hint = {.format = format};
    struct run run;
    if (input.len == 0 || memchr(input.ptr, '\r', input.len) || (unsigned char)input.ptr[0] >= 0xfe)
        return;
    start(&run, input, &hint, fuzz_limits());
    for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++) {
        char *text = malloc(input.len * 2);
        size_t length = 0;
        FUZZ_CHECK(text, "no memory");
        for (size_t at = 0; at < input.len; at++)
            if (input.ptr[at] != '\n')
                text[length++] = input.ptr[at];
            else
                for (const char *c = ENDS[i]; *c; c++)
                    text[length++] = *c;
        check_again(&run, (struct fl_slice){text, length}, &hint, fuzz_limits(), i ? "CR" : "CRLF");
        free(text);
    }
    end(&run);
}

/* ---- the targets ---- */

static void parse_as(struct fl_slice input, enum fl_format format)
{
    (void)fuzz_check_parse(input, &(struct fl_parse_hint){.format = format}, fuzz_limits());
    fuzz_check_line_ends(input, format);
}

void fuzz_chapters_json(struct fl_slice input)
{
    parse_as(input, FL_FORMAT_CHAPTERS_JSON);
}

void fuzz_transcript_json(struct fl_slice input)
{
    parse_as(input, FL_FORMAT_TRANSCRIPT_JSON);
}

void fuzz_srt(struct fl_slice input)
{
    parse_as(input, FL_FORMAT_SRT);
}

void fuzz_vtt(struct fl_slice input)
{
    parse_as(input, FL_FORMAT_VTT);
}

void fuzz_timed_text(struct fl_slice input)
{
    parse_as(input, FL_FORMAT_TIMED_TEXT);
}

/* The same text as UTF-16, with its BOM. */
static struct fl_slice utf16_of(struct fl_slice text, bool big_endian)
{
    char *out = malloc(text.len * 2 + 2), *end_of = out;
    FUZZ_CHECK(out, "no memory");
    struct fl_slice rest = text;
    for (uint32_t units[2] = {0xfeff}, count = 1; count;) {
        for (uint32_t i = 0; i < count; i++) {
            *end_of++ = (char)(big_endian ? units[i] >> 8 : units[i]);
            *end_of++ = (char)(big_endian ? units[i] : units[i] >> 8);
        }
        uint32_t character = rest.len ? (unsigned char)rest.ptr[0] : 0;
        size_t bytes = character < 0x80 ? 1 : character < 0xe0 ? 2 : character < 0xf0 ? 3 : 4;
        if (bytes > 1)
            character &= 0x7fu >> bytes;
        for (size_t i = 1; i < bytes; i++)
            character = character << 6 | ((unsigned char)rest.ptr[i] & 0x3fu);
        count = rest.len == 0 ? 0 : character < 0x10000 ? 1 : 2;
        units[0] = count < 2 ? character : 0xd800 + ((character - 0x10000) >> 10);
        units[1] = 0xdc00 + ((character - 0x10000) & 0x3ff);
        if (count)
            rest = (struct fl_slice){rest.ptr + bytes, rest.len - bytes};
    }
    return (struct fl_slice){out, (size_t)(end_of - out)};
}

/* However a text is encoded, it says the same. */
static void check_encodings(struct fl_slice text, const struct fl_parse_hint *hint)
{
    struct run run;
    if (text.len == 0 || !fuzz_is_text(text) || fl_slice_starts(text, "\xef\xbb\xbf"))
        return;
    start(&run, text, hint, fuzz_limits());
    for (int big_endian = 0; big_endian < 2; big_endian++) {
        struct fl_slice utf16 = utf16_of(text, big_endian);
        check_again(&run, utf16, hint, fuzz_limits(), "UTF-16");
        free((void *)(uintptr_t)utf16.ptr);
    }
    char *marked = malloc(text.len + 3);
    FUZZ_CHECK(marked, "no memory");
    memcpy(marked, "\xef\xbb\xbf", 3);
    memcpy(marked + 3, text.ptr, text.len);
    check_again(&run, (struct fl_slice){marked, text.len + 3}, hint, fuzz_limits(), "UTF-8 with BOM");
    free(marked);
    end(&run);
}

/* The first byte chooses the hints and --repair, the rest is the file. */
void fuzz_document(struct fl_slice input)
{
    unsigned options = fuzz_take_byte(&input);
    struct fl_limits limits = fuzz_limits();
    struct fl_parse_hint hint = {.kind = (enum fl_kind)(options & 3) % (FL_TRANSCRIPT + 1),
                                 .name_format =
                                     (enum fl_format)((options >> 2 & 7) % (FL_FORMAT_TIMED_TEXT + 1))};
    if (options & 0x40)
        hint.format = (enum fl_format)((options >> 2 & 7) % (FL_FORMAT_TIMED_TEXT + 1));
    limits.repair = options & 0x20;
    (void)fuzz_check_parse(input, &hint, limits);
    check_encodings(input, &hint);
}
