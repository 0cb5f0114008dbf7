/* vtt.c - reads WebVTT: the file parsing algorithm of the W3C specification, with a warning for whatever it
 * drops.
 *
 * Happy path: signature, header, then block after block: at most one line before the timings, the timings,
 * the lines of the text up to an empty line, a line with --> or the end. The text becomes one row per voice
 * (vtt_text.c).
 *
 * Failure modes: no signature, or a limit of the document (FL_INVALID); the arena is full (FL_NO_MEMORY).
 * Blocks that are no cue, and cues that the specification or a limit drops, are warnings. */
#include "core/formats/vtt.h"

#include <inttypes.h>
#include <string.h>

#include "base/slice.h"
#include "base/utf8.h"
#include "core/formats/vtt_text.h"

static const char SIGNATURE[] = "WEBVTT";

enum {
    HOURS_LIMIT = 1000000, /* more is beyond every limit, and need not be counted */
    QUOTED_BYTES = 60,
};

struct timings {
    int64_t start_ms, end_ms;
};

struct block {
    struct fl_slice first_line;
    struct fl_slice timing_line;
    uint32_t first_number;
    uint32_t timing_number;            /* 0 = the block has no line with --> */
    const char *text_begin, *text_end; /* NULL = no lines behind the timings */
};

static bool has_arrow(struct fl_slice line)
{
    return memmem(line.ptr, line.len, "-->", 3) != NULL;
}

static void skip_space(struct fl_slice *text)
{
    while (text->len && fl_vtt_is_space(text->ptr[0]))
        (void)fl_slice_take_char(text, text->ptr[0]);
}

/* "collect a WebVTT timestamp". Hours may have any number of digits; two digits up to 59 are minutes, unless
 * two more parts follow. */
static bool take_timestamp(struct fl_slice *text, int64_t *value_ms)
{
    int64_t hours, minutes, seconds, fraction_ms;
    size_t digits = fl_slice_take_digits(text, &hours);
    if (digits == 0)
        return false;
    bool has_hours = digits != 2 || hours > 59;
    if (!fl_slice_take_char(text, ':') || fl_slice_take_digits(text, &minutes) != 2)
        return false;
    if (has_hours || (text->len && text->ptr[0] == ':')) {
        if (!fl_slice_take_char(text, ':') || fl_slice_take_digits(text, &seconds) != 2)
            return false;
    } else {
        seconds = minutes;
        minutes = hours;
        hours = 0;
    }
    if (!fl_slice_take_char(text, '.') || fl_slice_take_digits(text, &fraction_ms) != 3)
        return false;
    if (minutes > 59 || seconds > 59)
        return false;
    if (hours > HOURS_LIMIT)
        hours = HOURS_LIMIT;
    *value_ms = ((hours * 60 + minutes) * 60 + seconds) * 1000 + fraction_ms;
    return true;
}

/* "collect WebVTT cue timings and settings"; what follows the end time are settings, which place the text on
 * a screen and are ignored. Returns NULL, or what is wrong. */
static const char *read_timings(struct fl_slice line, struct timings *timings)
{
    skip_space(&line);
    if (!take_timestamp(&line, &timings->start_ms))
        return "cue dropped: no valid start time ([hh:]mm:ss.ttt)";
    skip_space(&line);
    if (!fl_slice_take_char(&line, '-') || !fl_slice_take_char(&line, '-') || !fl_slice_take_char(&line, '>'))
        return "cue dropped: no \"-->\" behind the start time";
    skip_space(&line);
    if (!take_timestamp(&line, &timings->end_ms))
        return "cue dropped: no valid end time ([hh:]mm:ss.ttt)";
    if (timings->start_ms > FL_TIME_LIMIT_MS)
        return "cue dropped: the start time is beyond 100 hours";
    if (timings->end_ms > FL_END_LIMIT_MS)
        return "cue dropped: the end time is beyond 1000 hours";
    return NULL;
}

static void warn(struct fl_document *doc, uint32_t line_number, const char *rule, const char *reason,
                 struct fl_slice line)
{
    line = fl_utf8_cut(fl_slice_trim(line), QUOTED_BYTES);
    fl_document_warn(doc, line_number, rule, "%s: \"%.*s\"", reason, FL_ARGS(line));
}

/* Header lines up to the first empty line, or up to a line with -->, which begins a cue. */
static void skip_header(struct fl_lines *lines)
{
    struct fl_slice line;
    struct fl_lines before = *lines;
    while (fl_lines_next(lines, &line) && line.len) {
        if (has_arrow(line)) {
            *lines = before;
            return;
        }
        before = *lines;
    }
}

/* "collect a WebVTT block". Timings are the first or the second line; a later line with --> is left to the
 * next block. Every line is read at most twice. An empty block has first_number 0. */
static void collect_block(struct fl_lines *lines, struct block *block)
{
    *block = (struct block){0};
    struct fl_slice line;
    struct fl_lines before = *lines;
    for (uint32_t count = 1; fl_lines_next(lines, &line) && line.len; count++) {
        if (has_arrow(line)) {
            if (block->timing_number || count > 2) {
                *lines = before;
                return;
            }
            block->timing_line = line;
            block->timing_number = lines->line_number;
            block->text_begin = NULL; /* the line before was the cue's identifier */
        } else {
            if (!block->text_begin)
                block->text_begin = line.ptr;
            block->text_end = line.ptr + line.len;
        }
        if (count == 1) {
            block->first_line = line;
            block->first_number = lines->line_number;
        }
        before = *lines;
    }
}

static bool is_word(struct fl_slice line, const char *word)
{
    if (!fl_slice_starts(line, word))
        return false;
    line.ptr += strlen(word);
    line.len -= strlen(word);
    skip_space(&line);
    return line.len == 0;
}

/* Does this line head a comment, a style sheet or a region? Nobody expects rows from those. */
static bool is_block_head(struct fl_slice line)
{
    return fl_slice_is(line, "NOTE") || fl_slice_starts(line, "NOTE ") || fl_slice_starts(line, "NOTE\t") ||
           is_word(line, "STYLE") || is_word(line, "REGION");
}

static fl_status add_cue(struct fl_document *doc, const struct block *block, const struct timings *timings,
                         struct fl_err *err)
{
    struct fl_segment row = {
        .start_ms = timings->start_ms, .end_ms = timings->end_ms, .line = block->timing_number};
    struct fl_slice raw = {0};
    if (block->text_begin)
        raw = fl_slice_range(block->text_begin, block->text_end);
    struct fl_vtt_text text;
    struct fl_vtt_run run;
    fl_vtt_text_init(&text, raw, doc->arena);
    bool has_rows = false;
    while (fl_vtt_text_next(&text, &run)) {
        row.speaker = run.speaker;
        row.body = run.body;
        fl_status status = fl_document_add_segment(doc, &row, err);
        if (status != FL_OK)
            return status;
        has_rows = true;
    }
    if (text.no_memory)
        return fl_err_set(err, FL_NO_MEMORY, "line %" PRIu32 ": the memory limit of one import is reached",
                          block->timing_number);
    if (text.too_deep)
        fl_document_warn(doc, block->timing_number, "too-deep", "tags nested deeper than %d were ignored",
                         FL_VTT_DEPTH_LIMIT);
    if (!has_rows)
        warn(doc, block->timing_number, "empty-cue", "cue without text dropped", block->timing_line);
    return FL_OK;
}

static fl_status add_block(struct fl_document *doc, const struct block *block, struct fl_err *err)
{
    if (!block->timing_number) {
        bool is_blank =
            !block->text_begin || fl_slice_is_blank(fl_slice_range(block->text_begin, block->text_end));
        if (!is_blank && !is_block_head(block->first_line))
            warn(doc, block->first_number, "not-a-cue", "text without timings dropped", block->first_line);
        return FL_OK;
    }
    struct timings timings;
    const char *reason = read_timings(block->timing_line, &timings);
    if (reason) {
        warn(doc, block->timing_number, "bad-timing", reason, block->timing_line);
        return FL_OK;
    }
    if (timings.end_ms < timings.start_ms) {
        warn(doc, block->timing_number, "end-before-start", "cue dropped: its end lies before its start",
             block->timing_line);
        return FL_OK;
    }
    return add_cue(doc, block, &timings, err);
}

bool fl_vtt_sniff(struct fl_slice text)
{
    if (!fl_slice_starts(text, SIGNATURE))
        return false;
    size_t length = sizeof SIGNATURE - 1;
    return text.len == length || memchr(" \t\n\r", text.ptr[length], 4) != NULL;
}

fl_status fl_vtt_parse(struct fl_slice text, struct fl_document *doc, struct fl_err *err)
{
    if (!fl_vtt_sniff(text))
        return fl_err_set(err, FL_INVALID,
                          "line 1: a WebVTT file must begin with \"WEBVTT\" and a space, a tab or a "
                          "line end");
    struct fl_lines lines;
    struct fl_slice signature;
    fl_lines_init(&lines, text);
    (void)fl_lines_next(&lines, &signature);
    skip_header(&lines);
    fl_status status = FL_OK;
    while (status == FL_OK && lines.rest.len) {
        struct block block;
        collect_block(&lines, &block);
        status = add_block(doc, &block, err);
    }
    return status;
}
