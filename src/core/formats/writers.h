/* writers.h - writes rows as a document in a standard format: the other half of the parsers, one file a
 * format.
 *
 * doc is finished or looks as if it were: kind, rows and row_count count, its format and warnings do not.
 * What goes to out is valid UTF-8 with LF as the line end, spelled so that the parser of the same format
 * reads the rows back, and programs that stop at the first blank line or know no escapes still see the right
 * text. Where a format cannot carry a row, the nearest thing is written; core/export.c finds these places by
 * reading the result, so a writer does not tell. Errors of the stream stay in it: ask ferror once, at the
 * end.
 *
 * row_lines (row_count of them) receives for each row the line on which the parser finds it: fl_chapter.line,
 * fl_segment.line. */
#ifndef FL_CORE_FORMATS_WRITERS_H
#define FL_CORE_FORMATS_WRITERS_H

#include <stdio.h>

#include "fenceline/document.h"

/* A writer; doc is of the kind that its format holds. */
typedef void fl_document_writer(const struct fl_document *doc, FILE *out, uint32_t *row_lines);

fl_document_writer fl_chapters_json_write;   /* Podcasting 2.0 JSON chapters 1.2 */
fl_document_writer fl_transcript_json_write; /* Podcasting 2.0 JSON transcript */
fl_document_writer fl_srt_write;             /* SubRip */
fl_document_writer fl_vtt_write;             /* WebVTT */

#endif
