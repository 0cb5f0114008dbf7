/* parse.h - bytes of a file to a finished document: encoding, choice of format, limits. */
#ifndef FL_CORE_PARSE_H
#define FL_CORE_PARSE_H

#include "fenceline/document.h"

/* What the caller knows beforehand: an option, or the file's name. */
struct fl_parse_hint {
    enum fl_format format;      /* FL_FORMAT_NONE: told by content first, by name second */
    enum fl_format name_format; /* what the file's name suggests; FL_FORMAT_NONE = nothing */
    enum fl_kind kind;          /* FL_KIND_NONE: whatever the format holds */
};

/* Decodes (BOM, UTF-16 by BOM), refuses or repairs NUL and invalid UTF-8, tells the format, parses and
 * finishes. Everything is allocated in arena; slices may point into bytes, which must live as long. *doc is
 * valid only on FL_OK. FL_INVALID with line or byte and rule in *err (no file name: the caller adds it);
 * FL_NO_MEMORY. May run in any thread: touches nothing but its arguments. (product, "Formats") */
FL_CHECKED fl_status fl_parse_document(struct fl_slice bytes, const struct fl_parse_hint *hint,
                                       const struct fl_limits *limits, struct fl_arena *arena,
                                       struct fl_document *doc, struct fl_err *err);

#endif
