/* srt_write.c - writes SubRip: index, times, "Speaker: text", a blank line.
 *
 * SubRip has no escapes, but every reader strips formatting tags, so an empty pair of them parts what must
 * not stand together: the arrow, the beginning of a tag that is text, and a line that would otherwise be
 * blank and end the cue for most programs.
 *
 * Happy path: label and text pass through put_text character by character. Failure modes: those of the
 * stream. What SubRip cannot carry (an end that is not known, white space around a text, a lone CR, a speaker
 * that does not look like a label, a text that does) is written as near as can be. */
#include <string.h>

#include "base/slice.h"
#include "core/formats/cue_write.h"
#include "core/formats/writers.h"

static const char NOTHING[] = "<i></i>"; /* what readers strip */

/* The text of one cue on its way out. */
struct cue {
    FILE *out;
    uint32_t line_ends;
    char before, before_that; /* the last two characters of the text; 0 = none yet */
    bool has_ink;             /* the line holds more than white space */
};

static bool begins_tag(char opening, char next)
{
    const char *begins = opening == '<' ? "/ibusfIBUSF" : opening == '{' ? "\\/biusBIUS" : "";
    return next && strchr(begins, next);
}

static void end_line(struct cue *cue)
{
    if (!cue->has_ink)
        fputs(NOTHING, cue->out);
    putc('\n', cue->out);
    cue->line_ends++;
    cue->has_ink = false;
}

static void put_character(struct cue *cue, char c)
{
    bool is_second_half = c == '\n' && cue->before == '\r';
    bool is_arrow = c == '>' && cue->before == '-' && cue->before_that == '-';
    if (is_second_half) {
        cue->before = c;
        return;
    }
    if (c == '\n' || c == '\r') {
        end_line(cue);
    } else {
        if (is_arrow || begins_tag(cue->before, c))
            fputs(NOTHING, cue->out);
        putc(c, cue->out);
        cue->has_ink |= c != ' ' && (c < '\t' || c > '\r');
    }
    cue->before_that = cue->before;
    cue->before = c;
}

static void put_text(struct cue *cue, struct fl_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        put_character(cue, text.ptr[i]);
}

void fl_srt_write(const struct fl_document *doc, FILE *out, uint32_t *row_lines)
{
    uint32_t line = 1; /* of the index */
    for (size_t i = 0; i < doc->row_count; i++) {
        const struct fl_segment *row = &doc->segments[i];
        struct cue cue = {.out = out};
        fprintf(out, "%s%zu\n", i ? "\n" : "", i + 1);
        fl_cue_write_timing(out, row, ',');
        put_text(&cue, row->speaker);
        if (row->speaker.ptr)
            put_text(&cue, FL_SLICE(": "));
        put_text(&cue, row->body);
        end_line(&cue);
        row_lines[i] = line + 1; /* below the index */
        line += 3 + cue.line_ends;
    }
}
