/* srt.c - reads SubRip: cues of an optional index line, a timing line and text up to the next cue.
 *
 * Happy path: one pass over the lines. A timing line ends the cue before it and begins a new one; every other
 * line is text of the cue that is open. Only when the next timing line comes is it known whether a line of
 * digits was text or that cue's index, so the end of the text before such a line is kept. When a cue ends,
 * its text is cleaned of tags (a slice of the input if there is nothing to clean), the label of the speaker
 * is taken off, and the row is added.
 *
 * Failure modes: a cue that cannot be used is dropped together with its text, and a warning at its timing
 * line says so ("bad-timing", "end-before-start", "empty-cue"; text that belongs to no cue:
 * "text-before-first-cue"). Limits of the document make the whole input invalid. */
#include "core/formats/srt.h"

#include "base/arena.h"
#include "base/slice.h"
#include "core/formats/clock.h"
#include "core/formats/speaker.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum {
    SNIFF_BYTES = 4096,
    SNIFF_LINES = 20,        /* that are not blank */
    LABEL_SLACK_BYTES = 512, /* more than a marker, a label and the white space around them */
};

struct timing {
    enum fl_clock_kind kind; /* BROKEN: no one can take the line for text, but its times cannot be used */
    int64_t start_ms, end_ms;
};

/* What the line before was: decides whether a line that only resembles a timing line may begin a cue, and
 * whether the line before belongs to the cue that begins. */
enum before {
    BEFORE_BLANK, /* also at the beginning of the file */
    BEFORE_TEXT,
    BEFORE_DIGITS,             /* below text or a timing line */
    BEFORE_DIGITS_AFTER_BLANK, /* as index lines stand */
};

enum cue_state { CUE_NONE, CUE_DROPPED, CUE_OPEN };

struct reader {
    struct fl_document *doc;
    enum cue_state state;
    enum before before;
    struct fl_segment row;        /* times and line of the open cue */
    const char *begin, *end;      /* its text without blank lines around it; begin NULL = none yet */
    const char *end_above_digits; /* what `end` was before the last line, if that was one of digits */
    uint32_t stray_line;          /* first line of text before the first cue */
    size_t stray_lines;
};

static bool take_one_of(struct fl_slice *text, const char *any_of)
{
    if (text->len == 0 || text->ptr[0] == '\0' || strchr(any_of, text->ptr[0]) == NULL)
        return false;
    text->ptr++;
    text->len--;
    return true;
}

static void skip_blanks(struct fl_slice *text)
{
    while (take_one_of(text, " \t")) {
    }
}

/* From "time -->" on the line is taken for a timing line; what follows the second time is not looked at,
 * unless it goes on like a number: then the time was misread. */
static struct timing read_timing(struct fl_slice line)
{
    struct timing timing = {.kind = FL_CLOCK_NONE};
    struct fl_clock clock;

    skip_blanks(&line);
    enum fl_clock_kind start = fl_clock_take(&line, &clock);
    timing.start_ms = clock.time_ms;
    skip_blanks(&line);
    if (start == FL_CLOCK_NONE || !fl_slice_starts(line, "-->"))
        return timing;
    line = (struct fl_slice){line.ptr + 3, line.len - 3};
    skip_blanks(&line);
    enum fl_clock_kind end = fl_clock_take(&line, &clock);
    timing.end_ms = clock.time_ms;
    bool usable = start == FL_CLOCK_OK && end == FL_CLOCK_OK && !take_one_of(&line, "0123456789:,.");
    timing.kind = usable ? FL_CLOCK_OK : FL_CLOCK_BROKEN;
    return timing;
}

/* Where a timing line is due, whatever has an arrow was meant as one. Elsewhere "a --> b" is text. */
static bool is_broken_timing(const struct reader *reader, struct fl_slice line)
{
    bool due = reader->before == BEFORE_BLANK || reader->before == BEFORE_DIGITS_AFTER_BLANK;
    return due && line.len > 0 && memmem(line.ptr, line.len, "-->", 3) != NULL;
}

/* Length of <i>, </FONT>, <font color="red"> ... at the front of text, which begins with '<'; 0 = no tag to
 * be stripped. Only font has attributes: "<b and c>" is text. Ends at a line end or the next '<', so that the
 * walk over a text full of openings stays linear. */
static size_t angle_tag_length(struct fl_slice text)
{
    static const char *const NAMES[] = {"i", "b", "u", "s", "font"};
    struct fl_slice rest = {text.ptr + 1, text.len - 1};

    bool closing = fl_slice_take_char(&rest, '/');
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        size_t len = strlen(NAMES[i]);
        if (rest.len <= len || strncasecmp(rest.ptr, NAMES[i], len) != 0)
            continue;
        struct fl_slice tail = {rest.ptr + len, rest.len - len};
        bool attributes = len > 1 && !closing && take_one_of(&tail, " \t");
        while (tail.len > 0 && (attributes ? strchr("<>\r\n", tail.ptr[0]) == NULL : tail.ptr[0] == ' ')) {
            tail.ptr++;
            tail.len--;
        }
        if (fl_slice_take_char(&tail, '>'))
            return text.len - tail.len;
    }
    return 0;
}

/* Length of {\an8}, {b}, {/I} ... at the front of text, which begins with '{'; 0 = no override. */
static size_t brace_tag_length(struct fl_slice text)
{
    struct fl_slice rest = {text.ptr + 1, text.len - 1};

    if (fl_slice_take_char(&rest, '\\')) {
        while (rest.len > 0 && strchr("{}\r\n", rest.ptr[0]) == NULL) {
            rest.ptr++;
            rest.len--;
        }
        return fl_slice_take_char(&rest, '}') ? text.len - rest.len : 0;
    }
    (void)fl_slice_take_char(&rest, '/');
    return take_one_of(&rest, "biusBIUS") && fl_slice_take_char(&rest, '}') ? text.len - rest.len : 0;
}

/* Writes raw without tags and with LF as the only line end to out (NULL: only measures). Returns the bytes.
 */
static size_t strip(struct fl_slice raw, char *out)
{
    size_t out_bytes = 0;

    while (raw.len > 0) {
        char c = raw.ptr[0];
        size_t skipped = c == '<' ? angle_tag_length(raw) : c == '{' ? brace_tag_length(raw) : 0;
        if (skipped == 0) {
            skipped = c == '\r' && raw.len > 1 && raw.ptr[1] == '\n' ? 2 : 1;
            if (out) {
                out[out_bytes] = c == '\r' ? '\n' : c;
            }
            out_bytes++;
        }
        raw.ptr += skipped;
        raw.len -= skipped;
    }
    return out_bytes;
}

/* Too long for the document, even if a label and the white space around it were taken off. */
static bool is_too_long(const struct fl_document *doc, size_t text_bytes)
{
    size_t limit_bytes = doc->limits->field_bytes;
    return text_bytes > limit_bytes && text_bytes - limit_bytes > LABEL_SLACK_BYTES;
}

/* The text of a cue as it is stored, ptr NULL without memory. A text that is too long even when stripped is
 * returned as it is: the document refuses it, and no memory is spent on it. */
static struct fl_slice clean(const struct fl_document *doc, struct fl_slice raw)
{
    bool dirty =
        memchr(raw.ptr, '<', raw.len) || memchr(raw.ptr, '{', raw.len) || memchr(raw.ptr, '\r', raw.len);
    if (!dirty)
        return raw;
    size_t clean_bytes = strip(raw, NULL);
    if (clean_bytes == raw.len && !memchr(raw.ptr, '\r', raw.len))
        return raw;
    if (is_too_long(doc, clean_bytes))
        return raw;
    char *out = fl_arena_alloc(doc->arena, clean_bytes);
    if (!out)
        return (struct fl_slice){NULL, 0};
    (void)strip(raw, out);
    return fl_slice_trim((struct fl_slice){out, clean_bytes});
}

/* Cues are often fragments of sentences: "and he said: go". Several words that begin or end in lower case are
 * no name; a label that is missed can still be read in the body, one that was never there has cut a sentence.
 */
static bool is_part_of_a_sentence(struct fl_slice label)
{
    const char *remark = memchr(label.ptr, '(', label.len); /* "Ann (on the phone)" */
    if (remark)
        label = fl_slice_trim(fl_slice_range(label.ptr, remark));
    const char *space = label.len ? memchr(label.ptr, ' ', label.len) : NULL;
    if (!space)
        return false;
    const char *last = (const char *)memrchr(label.ptr, ' ', label.len) + 1;
    return islower((unsigned char)label.ptr[0]) || islower((unsigned char)*last);
}

/* Takes "Name: ", "- Name: " or ">> Name: " off the body. A label with nothing behind it is left alone: more
 * often than a name it is the first half of a sentence ("The answer is:"). */
static struct fl_slice take_speaker(struct fl_slice *body)
{
    struct fl_slice speaker = {NULL, 0};
    struct fl_slice rest = *body;

    if (!fl_slice_take_char(&rest, '-') && fl_slice_starts(rest, ">>")) {
        rest = (struct fl_slice){rest.ptr + 2, rest.len - 2};
        (void)fl_slice_take_char(&rest, '>'); /* ">>>" marks a new story in broadcast captions */
    }
    skip_blanks(&rest);
    if (!fl_speaker_take(&rest, &speaker) || is_part_of_a_sentence(speaker))
        return (struct fl_slice){NULL, 0};
    rest = fl_slice_trim(rest);
    if (rest.len == 0)
        return (struct fl_slice){NULL, 0};
    *body = rest;
    return speaker;
}

static fl_status end_cue(struct reader *reader, struct fl_err *err)
{
    struct fl_document *doc = reader->doc;
    struct fl_segment *row = &reader->row;

    if (reader->state == CUE_NONE && reader->stray_lines > 0) {
        fl_document_warn(doc, reader->stray_line, "text-before-first-cue",
                         "text before the first cue dropped (lines: %zu)", reader->stray_lines);
    }
    if (reader->state != CUE_OPEN)
        return FL_OK;
    row->body = (struct fl_slice){"", 0};
    if (reader->begin) {
        row->body = clean(doc, fl_slice_trim(fl_slice_range(reader->begin, reader->end)));
    }
    if (!row->body.ptr)
        return fl_err_set(err, FL_NO_MEMORY, "line %u: no memory for the text of the cue", row->line);
    if (row->body.len == 0) {
        fl_document_warn(doc, row->line, "empty-cue", "cue without text dropped");
        return FL_OK;
    }
    if (!is_too_long(doc, row->body.len)) /* else it was not cleaned: no label may make it fit */
        row->speaker = take_speaker(&row->body);
    return fl_document_add_segment(doc, row, err);
}

static void begin_cue(struct reader *reader, const struct timing *timing, uint32_t line)
{
    const char *rule = NULL, *reason = NULL;
    if (timing->kind == FL_CLOCK_BROKEN) {
        rule = "bad-timing";
        reason = "the line is not H:MM:SS,mmm --> H:MM:SS,mmm with minutes and seconds up to 59";
    } else if (timing->start_ms > FL_TIME_LIMIT_MS) {
        rule = "bad-timing";
        reason = "it starts after more than 100 hours";
    } else if (timing->end_ms > FL_END_LIMIT_MS) {
        rule = "bad-timing";
        reason = "it ends after more than 1000 hours";
    } else if (timing->end_ms < timing->start_ms) {
        rule = "end-before-start";
        reason = "it ends before it starts";
    }
    if (rule) {
        fl_document_warn(reader->doc, line, rule, "cue and its text dropped: %s", reason);
    }
    reader->state = rule ? CUE_DROPPED : CUE_OPEN;
    reader->row = (struct fl_segment){.start_ms = timing->start_ms, .end_ms = timing->end_ms, .line = line};
    reader->begin = reader->end = NULL;
    reader->before = BEFORE_TEXT;
}

static bool is_digits(struct fl_slice text)
{
    int64_t ignored;
    return fl_slice_take_digits(&text, &ignored) > 0 && text.len == 0;
}

/* A line that is no timing line: text of the open cue, at least until the next line is known. */
static void add_line(struct reader *reader, struct fl_slice line, uint32_t line_number)
{
    struct fl_slice text = fl_slice_trim(line);

    if (text.len == 0) {
        reader->before = BEFORE_BLANK;
        return;
    }
    if (is_digits(text)) {
        bool after_blank = reader->before == BEFORE_BLANK;
        reader->before = after_blank ? BEFORE_DIGITS_AFTER_BLANK : BEFORE_DIGITS;
        reader->end_above_digits = reader->end;
    } else {
        reader->before = BEFORE_TEXT;
    }
    if (!reader->begin) {
        reader->begin = line.ptr;
        reader->stray_line = line_number;
    }
    reader->end = line.ptr + line.len;
    reader->stray_lines++;
}

/* A cue begins: if the line above is one of digits, it was the index of that cue and not text. */
static void give_back_index(struct reader *reader)
{
    if (reader->before != BEFORE_DIGITS && reader->before != BEFORE_DIGITS_AFTER_BLANK) {
        return;
    }
    reader->end = reader->end_above_digits;
    if (!reader->end) {
        reader->begin = NULL;
    }
    reader->stray_lines--;
}

bool fl_srt_sniff(struct fl_slice text)
{
    struct fl_lines lines;
    struct fl_slice line;

    if (fl_slice_starts(text, "WEBVTT"))
        return false;
    if (text.len > SNIFF_BYTES) {
        text.len = SNIFF_BYTES;
    }
    fl_lines_init(&lines, text);
    for (int seen = 0; seen < SNIFF_LINES && fl_lines_next(&lines, &line);) {
        if (read_timing(line).kind != FL_CLOCK_NONE)
            return true;
        seen += !fl_slice_is_blank(line);
    }
    return false;
}

fl_status fl_srt_parse(struct fl_slice text, struct fl_document *doc, struct fl_err *err)
{
    struct reader reader = {.doc = doc, .state = CUE_NONE, .before = BEFORE_BLANK};
    struct fl_lines lines;
    struct fl_slice line;

    fl_lines_init(&lines, text);
    while (fl_lines_next(&lines, &line)) {
        struct timing timing = read_timing(line);
        if (timing.kind == FL_CLOCK_NONE && !is_broken_timing(&reader, line)) {
            add_line(&reader, line, lines.line_number);
            continue;
        }
        if (timing.kind == FL_CLOCK_NONE) {
            timing.kind = FL_CLOCK_BROKEN;
        }
        give_back_index(&reader);
        fl_status status = end_cue(&reader, err);
        if (status != FL_OK)
            return status;
        begin_cue(&reader, &timing, lines.line_number);
    }
    return end_cue(&reader, err);
}
