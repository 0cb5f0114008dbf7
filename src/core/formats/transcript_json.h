/* transcript_json.h - reads the Podcasting 2.0 JSON transcript (product, "Formats"). */
#ifndef FL_CORE_FORMATS_TRANSCRIPT_JSON_H
#define FL_CORE_FORMATS_TRANSCRIPT_JSON_H

#include "base/json.h"
#include "fenceline/document.h"

/* *found: is the root of this JSON an object with "segments"? FL_NO_MEMORY. */
FL_CHECKED fl_status fl_transcript_json_sniff(const struct fl_json_text *json, bool *found,
                                              struct fl_err *err);

/* Appends the rows of json to *doc, which was initialised for this format and is not finished here. All texts
 * are copied to doc->arena: json may be released at once. What is dropped or repaired becomes a warning.
 * FL_INVALID with line and rule in *err; FL_NO_MEMORY. */
FL_CHECKED fl_status fl_transcript_json_parse(struct fl_json_text *json, struct fl_document *doc,
                                              struct fl_err *err);

#endif
