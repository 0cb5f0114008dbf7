/* json.h - the one guard around cJSON (no other file includes <cJSON.h>).
 *
 * parse first walks the text with a strict RFC 8259 scanner (depth, bytes after the document, \u0000, lone
 * surrogates, number syntax), noting where each value begins, and only then lets cJSON build the tree. So
 * every value knows its line and its exact text: numbers are read as decimals, never as doubles. At most
 * 4,000,000 values are accepted: a node of the tree takes some 100 bytes, and this bounds the tree where the
 * size of the file does not. */
#ifndef FL_BASE_JSON_H
#define FL_BASE_JSON_H

#include "fenceline/err.h"
#include "fenceline/types.h"

struct fl_arena;
struct fl_json; /* one value of the tree; lives until fl_json_release */

enum fl_json_type {
    FL_JSON_OBJECT,
    FL_JSON_ARRAY,
    FL_JSON_STRING,
    FL_JSON_NUMBER,
    FL_JSON_BOOL,
    FL_JSON_NULL
};

enum {
    FL_JSON_DEPTH_LIMIT = 64,
    FL_JSON_VALUE_LIMIT = 4000000, /* of one document */
};

struct fl_json_text {
    struct fl_slice text; /* borrowed; must be valid UTF-8 without BOM */
    struct fl_json *root;
    size_t line_offset; /* cursor of fl_json_line */
    uint32_t line_number;
};

/* Parses the whole of text. FL_INVALID with line, byte and rule in *err ("line 3, byte 57: ...");
 * FL_NO_MEMORY. On FL_OK call fl_json_release. */
FL_CHECKED fl_status fl_json_parse(struct fl_json_text *json, struct fl_slice text, struct fl_err *err);
void fl_json_release(struct fl_json_text *json);

/* The same without a tree: only what is read below is ever in memory as one. On FL_OK call fl_json_release.
 */
FL_CHECKED fl_status fl_json_open(struct fl_json_text *json, struct fl_slice text, struct fl_err *err);
/* Offset of the root in the text; of the first member or element of the object or array at offset; of the
 * next, given the offset where the one before began. 0 = there is none. A member begins with its name. */
size_t fl_json_root_at(const struct fl_json_text *json);
size_t fl_json_first_at(const struct fl_json_text *json, size_t offset);
size_t fl_json_next_at(const struct fl_json_text *json, size_t offset);
/* Offset of the value of the member at offset. */
size_t fl_json_member_at(const struct fl_json_text *json, size_t offset);
enum fl_json_type fl_json_type_at(const struct fl_json_text *json, size_t offset);
uint32_t fl_json_line_at(struct fl_json_text *json, size_t offset);
/* The tree of the value (or of the name, as a string) at offset, for fl_json_free_value. FL_NO_MEMORY. */
FL_CHECKED fl_status fl_json_read_at(const struct fl_json_text *json, size_t offset, struct fl_json **value,
                                     struct fl_err *err);
void fl_json_free_value(struct fl_json *value);

enum fl_json_type fl_json_type(const struct fl_json *value);
/* Member of an object by exact name (the first of duplicates); NULL if value is NULL, no object, or has none.
 */
const struct fl_json *fl_json_get(const struct fl_json *value, const char *name);
/* First element of an array or member of an object, and the one after; NULL at the end. */
const struct fl_json *fl_json_first(const struct fl_json *value);
const struct fl_json *fl_json_next(const struct fl_json *value);
/* Name of an object's member, "" otherwise. */
const char *fl_json_name(const struct fl_json *value);
/* Unescaped text of a string, borrowed from the tree; the absent slice for any other type. */
struct fl_slice fl_json_string(const struct fl_json *value);
bool fl_json_true(const struct fl_json *value);
/* The number exactly as written, borrowed from the text; the absent slice for any other type. */
struct fl_slice fl_json_number(const struct fl_json_text *json, const struct fl_json *value);
/* Line of the value, from 1. Cheap when asked in rising order. */
uint32_t fl_json_line(struct fl_json_text *json, const struct fl_json *value);
/* The value as compact JSON in the arena; ptr NULL without memory. */
struct fl_slice fl_json_print(struct fl_arena *arena, const struct fl_json *value);

#endif
