/* json_scan.h - is a text strict JSON, and where does each of its values begin? Used by json.c only.
 *
 * Strict means RFC 8259, and on top of it what Postgres could not store or what a tree could not bear: no
 * \u0000, no lone surrogate, no more levels and values than json.h allows. */
#ifndef FL_BASE_JSON_SCAN_H
#define FL_BASE_JSON_SCAN_H

#include "fenceline/err.h"
#include "fenceline/types.h"

struct fl_json_scan {
    struct fl_slice text;        /* borrowed; all offsets are from its beginning */
    bool counts_only;            /* offsets are not kept */
    uint32_t *offsets;           /* of each value in the text, in document order; names are no values */
    size_t count, capacity;      /* of offsets */
    size_t longest_number_bytes; /* as written; 0 = no numbers */
};

/* Walks the whole text (valid UTF-8) once, without recursion. FL_INVALID with line, byte and rule in *err,
 * the byte counted from 1 within its line; FL_NO_MEMORY. Call fl_json_scan_release whatever it returned. */
FL_CHECKED fl_status fl_json_scan(struct fl_json_scan *scan, struct fl_slice text, struct fl_err *err);
void fl_json_scan_release(struct fl_json_scan *scan);

/* The same without keeping the offsets: is the text strict JSON? */
FL_CHECKED fl_status fl_json_scan_check(struct fl_slice text, struct fl_err *err);

/* In a text that was checked: the one value that begins at offset. *end = the offset behind it. FL_NO_MEMORY.
 * Call fl_json_scan_release whatever it returned. */
FL_CHECKED fl_status fl_json_scan_value(struct fl_json_scan *scan, struct fl_slice text, size_t offset,
                                        size_t *end, struct fl_err *err);

/* In a text that was checked: the offset behind the value, or the name, that begins at offset. */
size_t fl_json_scan_skip(struct fl_slice text, size_t offset);

/* In a text that was checked: the offset of what comes after spaces. */
size_t fl_json_scan_skip_space(struct fl_slice text, size_t offset);

/* Bytes of the number at the front of text; 0 = there is none. */
size_t fl_json_scan_number_bytes(struct fl_slice text);

#endif
