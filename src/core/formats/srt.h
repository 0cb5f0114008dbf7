/* srt.h - reads SubRip (product, "Formats"). */
#ifndef FL_CORE_FORMATS_SRT_H
#define FL_CORE_FORMATS_SRT_H

#include "fenceline/document.h"

/* Does the beginning of text look like this format? Looks at no more than the first few KiB. */
bool fl_srt_sniff(struct fl_slice text);

/* Appends the rows of text (valid UTF-8, no BOM, no NUL) to *doc, which was initialised for this format and
 * is not finished here. Slices in the rows point into text where nothing had to change, else into doc->arena.
 * What is dropped or repaired becomes a warning. FL_INVALID with line and rule in *err; FL_NO_MEMORY. */
FL_CHECKED fl_status fl_srt_parse(struct fl_slice text, struct fl_document *doc, struct fl_err *err);

#endif
