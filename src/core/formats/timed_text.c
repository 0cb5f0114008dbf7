/* timed_text.c - reads timed text: blocks that begin with a [HH:MM:SS] stamp at the start of a line.
 *
 * Happy path: an outer pass over the lines looks for stamps only. When the next stamp is known, and with it
 * the end of the block before, that block's lines are read once more and split into runs: a run begins with
 * the block or with a "Name: " label and becomes one row. The speaker of a run without label is that of the
 * run before, also across blocks. The body is a slice of the input unless lines have to be joined.
 *
 * Failure modes, all warnings: text above the first stamp is dropped ("text-before-first-stamp"); what only
 * looks like a stamp stays text ("bad-stamp"); a block or label with nothing behind it yields no row
 * ("empty-block", "empty-label"); time that stands still or runs backward ("equal-stamp", "backward-stamp").
 * Limits of the document make the whole input invalid. */
#include "core/formats/timed_text.h"

#include "base/arena.h"
#include "base/slice.h"
#include "core/formats/clock.h"
#include "core/formats/speaker.h"

#include <string.h>

enum { SNIFF_BYTES = 4096 };

struct stamp {
    enum fl_clock_kind kind;
    int64_t start_ms;
    struct fl_slice rest; /* the line behind the stamp */
};

struct block {
    const char *begin; /* behind its stamp; NULL = no stamp was seen yet */
    uint32_t line;
    int64_t start_ms, end_ms;
};

/* Lines of one speaker within a block. */
struct run {
    const char *begin, *end; /* begin NULL = no text yet */
    uint32_t line;
    bool labelled;
    bool blank_last, has_gap; /* blank lines at the end, within */
};

struct reader {
    struct fl_document *doc;
    struct fl_slice speaker; /* of the last label; absent before the first */
    struct block block;      /* the one being read */
};

/* [H:MM:SS], [MM:SS], either with a fraction. BROKEN: it has the shape of a stamp, but not the values. */
static struct stamp read_stamp(struct fl_slice line)
{
    struct stamp stamp = {.kind = FL_CLOCK_NONE};
    struct fl_slice text = fl_slice_trim(line);
    struct fl_clock clock;

    if (!fl_slice_take_char(&text, '['))
        return stamp;
    enum fl_clock_kind kind = fl_clock_take(&text, &clock);
    bool half_fraction = clock.has_fraction_mark && clock.fraction_digits == 0;
    if (kind == FL_CLOCK_NONE || half_fraction || !fl_slice_take_char(&text, ']'))
        return stamp;
    bool is_padded = clock.digits[1] == 2 && (clock.fields == 2 || clock.digits[2] == 2);
    bool usable = kind == FL_CLOCK_OK && is_padded && clock.time_ms <= FL_TIME_LIMIT_MS;
    stamp.kind = usable ? FL_CLOCK_OK : FL_CLOCK_BROKEN;
    stamp.start_ms = clock.time_ms;
    stamp.rest = text;
    return stamp;
}

static void warn_bad_stamp(struct fl_document *doc, uint32_t line)
{
    fl_document_warn(
        doc, line, "bad-stamp",
        "kept as text: not [H:MM:SS] or [MM:SS] with minutes and seconds up to 59, within 100 hours");
}

/* Text above the first stamp has no time and cannot be a row. */
static void warn_unstamped(struct fl_document *doc, struct fl_slice text)
{
    struct fl_lines lines;
    struct fl_slice line;
    uint32_t first_line = 0;
    size_t dropped = 0;

    fl_lines_init(&lines, text);
    while (fl_lines_next(&lines, &line)) {
        if (fl_slice_is_blank(line))
            continue;
        if (dropped == 0)
            first_line = lines.line_number;
        dropped++;
    }
    if (dropped == 0)
        return;
    fl_document_warn(doc, first_line, "text-before-first-stamp",
                     "text before the first stamp dropped (lines: %zu)", dropped);
    fl_lines_init(&lines, text);
    while (fl_lines_next(&lines, &line)) {
        if (read_stamp(line).kind == FL_CLOCK_BROKEN)
            warn_bad_stamp(doc, lines.line_number);
    }
}

/* Writes the lines of raw that are not blank, joined by LF, to out (NULL: only measures). Returns the bytes.
 */
static size_t join_lines(struct fl_slice raw, char *out)
{
    struct fl_lines lines;
    struct fl_slice line;
    size_t out_bytes = 0;

    fl_lines_init(&lines, raw);
    while (fl_lines_next(&lines, &line)) {
        if (fl_slice_is_blank(line))
            continue;
        size_t separator_bytes = out_bytes > 0;
        if (out) {
            memcpy(out + out_bytes, "\n", separator_bytes);
            memcpy(out + out_bytes + separator_bytes, line.ptr, line.len);
        }
        out_bytes += separator_bytes + line.len;
    }
    return out_bytes;
}

/* The text of a run as it is stored, ptr NULL without memory. What is too long even when joined is returned
 * as it is: the document refuses it, and no memory is spent on it. */
static struct fl_slice body_of(const struct fl_document *doc, const struct run *run)
{
    struct fl_slice raw = fl_slice_range(run->begin, run->end);
    if (!run->has_gap && !memchr(raw.ptr, '\r', raw.len))
        return raw;
    size_t joined_bytes = join_lines(raw, NULL);
    if (joined_bytes > doc->limits->field_bytes)
        return raw;
    char *out = fl_arena_alloc(doc->arena, joined_bytes);
    if (!out)
        return (struct fl_slice){NULL, 0};
    (void)join_lines(raw, out);
    return (struct fl_slice){out, joined_bytes};
}

/* A run without text is nothing to store; its label still names the speaker of what comes after. */
static fl_status end_run(struct reader *reader, const struct run *run, struct fl_err *err)
{
    const struct block *block = &reader->block;
    if (!run->begin)
        return FL_OK;
    struct fl_segment row = {
        .start_ms = block->start_ms,
        .end_ms = block->end_ms,
        .speaker = reader->speaker,
        .body = body_of(reader->doc, run),
        .line = run->line,
    };
    if (!row.body.ptr)
        return fl_err_set(err, FL_NO_MEMORY, "line %u: no memory for the text", run->line);
    return fl_document_add_segment(reader->doc, &row, err);
}

static void warn_empty_label(const struct reader *reader, const struct run *run)
{
    if (run->begin || !run->labelled)
        return;
    fl_document_warn(reader->doc, run->line, "empty-label", "no text after the label of a speaker");
}

static void add_text(struct run *run, struct fl_slice line)
{
    struct fl_slice text = fl_slice_trim(line);
    if (text.len == 0) {
        run->blank_last = true;
        return;
    }
    if (!run->begin) {
        run->begin = text.ptr;
    } else if (run->blank_last) {
        run->has_gap = true;
    }
    run->blank_last = false;
    run->end = text.ptr + text.len;
}

/* Splits the open block, whose end time is known by now and whose text ends at text_end, into rows. */
static fl_status end_block(struct reader *reader, const char *text_end, struct fl_err *err)
{
    const struct block *block = &reader->block;
    struct run run = {.line = block->line};
    struct fl_lines lines;
    struct fl_slice line;
    size_t rows_before = reader->doc->row_count;

    fl_lines_init(&lines, fl_slice_range(block->begin, text_end));
    lines.line_number = block->line - 1; /* the rest of the stamp's line comes first */
    while (fl_lines_next(&lines, &line)) {
        struct fl_slice text = fl_slice_trim(line), label;
        bool below_stamp = lines.line_number > block->line;
        if (below_stamp && read_stamp(line).kind == FL_CLOCK_BROKEN)
            warn_bad_stamp(reader->doc, lines.line_number);
        if (fl_speaker_take(&text, &label)) {
            fl_status status = end_run(reader, &run, err);
            if (status != FL_OK)
                return status;
            warn_empty_label(reader, &run);
            reader->speaker = label;
            run = (struct run){.line = lines.line_number, .labelled = true};
            line = text;
        }
        add_text(&run, line);
    }
    fl_status status = end_run(reader, &run, err);
    if (status != FL_OK)
        return status;
    if (reader->doc->row_count > rows_before) {
        warn_empty_label(reader, &run);
    } else {
        fl_document_warn(reader->doc, block->line, "empty-block", "no text after the stamp");
    }
    return FL_OK;
}

/* A stamp ends the block before it, which can end no earlier than it starts, and begins the next one. */
static fl_status begin_block(struct reader *reader, const struct stamp *stamp, const struct fl_slice *line,
                             uint32_t line_number, struct fl_err *err)
{
    struct block *block = &reader->block;
    if (block->begin) {
        int64_t before_ms = block->start_ms;
        block->end_ms = stamp->start_ms > before_ms ? stamp->start_ms : before_ms;
        fl_status status = end_block(reader, line->ptr, err);
        if (status != FL_OK)
            return status;
        if (stamp->start_ms == before_ms) {
            fl_document_warn(reader->doc, line_number, "equal-stamp", "the same time as the stamp before it");
        } else if (stamp->start_ms < before_ms) {
            fl_document_warn(reader->doc, line_number, "backward-stamp",
                             "an earlier time than the stamp before it");
        }
    }
    *block = (struct block){
        .begin = stamp->rest.ptr, .line = line_number, .start_ms = stamp->start_ms, .end_ms = FL_END_NONE};
    return FL_OK;
}

bool fl_timed_text_sniff(struct fl_slice text)
{
    struct fl_lines lines;
    struct fl_slice line;

    if (text.len > SNIFF_BYTES)
        text.len = SNIFF_BYTES;
    fl_lines_init(&lines, text);
    while (fl_lines_next(&lines, &line)) {
        if (read_stamp(line).kind == FL_CLOCK_OK)
            return true;
    }
    return false;
}

fl_status fl_timed_text_parse(struct fl_slice text, struct fl_document *doc, struct fl_err *err)
{
    struct reader reader = {.doc = doc};
    struct fl_lines lines;
    struct fl_slice line;
    const char *text_end = text.len > 0 ? text.ptr + text.len : text.ptr;

    fl_lines_init(&lines, text);
    while (fl_lines_next(&lines, &line)) {
        struct stamp stamp = read_stamp(line);
        if (stamp.kind != FL_CLOCK_OK)
            continue;
        if (!reader.block.begin)
            warn_unstamped(doc, fl_slice_range(text.ptr, line.ptr));
        fl_status status = begin_block(&reader, &stamp, &line, lines.line_number, err);
        if (status != FL_OK)
            return status;
    }
    if (!reader.block.begin) {
        warn_unstamped(doc, text);
        return FL_OK;
    }
    return end_block(&reader, text_end, err);
}
