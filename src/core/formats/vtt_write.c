/* vtt_write.c - writes WebVTT: the signature, then per row a cue of times and "<v Speaker>text".
 *
 * Happy path: & < > are references, so that no text looks like a tag, a reference or an arrow; a CR is one
 * too, because as a line end it would become LF; a line that would be empty, and end the cue, holds an empty
 * class span. Failure modes: those of the stream. What cannot be carried (an end that is not known, white
 * space around a text, other white space than single spaces in a speaker) is written as near as can be. */
#include "base/slice.h"
#include "core/formats/cue_write.h"
#include "core/formats/vtt_text.h"
#include "core/formats/writers.h"

static const char NOTHING[] = "<c></c>"; /* a span without text */

/* The reference that must stand for c, or NULL. */
static const char *reference(char c)
{
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '\r': return "&#13;";
    }
    return NULL;
}

static void put_character(FILE *out, char c)
{
    const char *escaped = reference(c);
    if (escaped)
        fputs(escaped, out);
    else
        putc(c, out);
}

/* Readers make one space of any white space in a name; a line end must not even get there. */
static void put_voice(FILE *out, struct fl_slice speaker)
{
    if (fl_slice_is_blank(speaker))
        return;
    fputs("<v ", out);
    for (size_t i = 0; i < speaker.len; i++)
        put_character(out, fl_vtt_is_space(speaker.ptr[i]) ? ' ' : speaker.ptr[i]);
    putc('>', out);
}

/* Returns how many line ends it wrote. */
static uint32_t put_text(FILE *out, struct fl_slice text)
{
    uint32_t line_ends = 0;
    bool is_empty = true;
    for (size_t i = 0; i < text.len; i++) {
        bool is_end = text.ptr[i] == '\n';
        if (is_end && is_empty)
            fputs(NOTHING, out);
        put_character(out, text.ptr[i]);
        line_ends += is_end;
        is_empty = is_end;
    }
    if (is_empty && text.len)
        fputs(NOTHING, out);
    return line_ends;
}

void fl_vtt_write(const struct fl_document *doc, FILE *out, uint32_t *row_lines)
{
    uint32_t line = 3; /* the signature and a blank line are above */
    fputs("WEBVTT\n", out);
    for (size_t i = 0; i < doc->row_count; i++) {
        const struct fl_segment *row = &doc->segments[i];
        putc('\n', out);
        fl_cue_write_timing(out, row, '.');
        put_voice(out, row->speaker);
        row_lines[i] = line;
        line += 3 + put_text(out, row->body);
        putc('\n', out);
    }
}
