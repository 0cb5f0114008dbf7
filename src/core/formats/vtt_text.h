/* vtt_text.h - the text of one WebVTT cue: tags, voices and character references (WebVTT, "cue text parsing
 * rules"). Used by vtt.c only. */
#ifndef FL_CORE_FORMATS_VTT_TEXT_H
#define FL_CORE_FORMATS_VTT_TEXT_H

#include "fenceline/types.h"

struct fl_arena;

enum { FL_VTT_DEPTH_LIMIT = 256 };

/* Text in one voice, tags stripped, references decoded, lines joined by LF, trimmed, never empty.
 * speaker.ptr NULL = spoken by no named voice. */
struct fl_vtt_run {
    struct fl_slice speaker, body;
};

enum fl_vtt_tag {
    FL_VTT_TAG_NONE,
    FL_VTT_TAG_C,
    FL_VTT_TAG_I,
    FL_VTT_TAG_B,
    FL_VTT_TAG_U,
    FL_VTT_TAG_RUBY,
    FL_VTT_TAG_RT,
    FL_VTT_TAG_V,
    FL_VTT_TAG_LANG,
    FL_VTT_TAG_COUNT,
};

/* One open tag and the voice inside it. */
struct fl_vtt_node {
    enum fl_vtt_tag tag;
    struct fl_slice speaker;
};

/* All fields but the two flags are private. */
struct fl_vtt_text {
    bool too_deep;  /* a tag deeper than FL_VTT_DEPTH_LIMIT was ignored; its text was kept */
    bool no_memory; /* the arena is full; the cue is not complete */

    struct fl_arena *arena;
    struct fl_slice rest;  /* still to be read */
    struct fl_slice run;   /* collected so far; has text if len > 0 */
    struct fl_slice voice; /* speaker of run */
    bool run_copied;       /* run ends at out, and not in the input */
    char *out, *out_end;   /* room for all copied runs, made at the first need */
    size_t raw_bytes;
    size_t depth;
    struct fl_vtt_node nodes[FL_VTT_DEPTH_LIMIT + 1]; /* nodes[0] = the cue itself */
};

/* Begins to read raw, the lines of a cue as they stand in the file (valid UTF-8, line ends LF, CRLF or CR).
 * raw and arena are borrowed by the text and by every run. */
void fl_vtt_text_init(struct fl_vtt_text *text, struct fl_slice raw, struct fl_arena *arena);

/* The next run into *run, a slice of raw where nothing had to change; false at the end of the cue or without
 * memory (no_memory tells). Neighbours have different speakers. */
bool fl_vtt_text_next(struct fl_vtt_text *text, struct fl_vtt_run *run);

/* ASCII white space as HTML means it: tab, LF, FF, CR, space, but not VT. */
bool fl_vtt_is_space(char c);

#endif
