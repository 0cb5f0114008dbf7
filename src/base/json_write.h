/* json_write.h - writes JSON to a stream, for machine output: one document a line (JSON lines).
 *
 * The caller says what comes, the writer puts commas, colons, quotes and escapes. Writing out of turn (a
 * value without a name inside an object, a name inside an array, an end that does not match, a second
 * document on one line) is a bug of the caller and aborts. Errors of the stream stay in the stream: ask
 * ferror once, at the end. Nothing is allocated. */
#ifndef FL_BASE_JSON_WRITE_H
#define FL_BASE_JSON_WRITE_H

#include <stdio.h>

#include "fenceline/types.h"

enum { FL_JSON_WRITE_DEPTH_LIMIT = 16, FL_JSON_ESCAPE_BYTES = 6 };

struct fl_json_writer {
    FILE *out; /* borrowed */
    unsigned depth;
    struct {
        bool is_object, has_value, has_name;
    } levels[FL_JSON_WRITE_DEPTH_LIMIT + 1]; /* [0] is the line itself */
};

/* A writer at the start of a line of out. It needs no release. */
void fl_json_write_init(struct fl_json_writer *writer, FILE *out);

/* Opens an object as the next value; up to FL_JSON_WRITE_DEPTH_LIMIT objects and arrays may be open at once.
 */
void fl_json_write_begin_object(struct fl_json_writer *writer);

/* Closes the innermost object, which must not wait for the value of a name. */
void fl_json_write_end_object(struct fl_json_writer *writer);

/* Opens an array as the next value. */
void fl_json_write_begin_array(struct fl_json_writer *writer);

/* Closes the innermost array. */
void fl_json_write_end_array(struct fl_json_writer *writer);

/* Name of the next value of an object; escaped as a string is. */
void fl_json_write_name(struct fl_json_writer *writer, const char *name);

/* A string; null for the absent slice. Quotes, backslashes, control characters and what turns the direction
 * of writing are escaped, so that a line stays one line and a terminal stays as it is; each piece of invalid
 * UTF-8 becomes U+FFFD. */
void fl_json_write_string(struct fl_json_writer *writer, struct fl_slice text);

/* A whole number, with all its digits (readers that count in doubles are exact below 2^53 only). */
void fl_json_write_int64(struct fl_json_writer *writer, int64_t number);

/* true or false. */
void fl_json_write_bool(struct fl_json_writer *writer, bool value);

/* null. */
void fl_json_write_null(struct fl_json_writer *writer);

/* A value that is JSON already: as given, but safe as a string is, with \u escapes (which mean the same) for
 * what would steer a terminal and spaces for line ends; null for the absent slice. */
void fl_json_write_raw(struct fl_json_writer *writer, struct fl_slice json);

/* Ends the line after one complete document; the writer may be used for the next. */
void fl_json_write_end_line(struct fl_json_writer *writer);

/* Writes the JSON escape of a character to out and returns its 2 to 6 bytes, or 0 if the character may stand
 * for itself in a string. No NUL is added. */
size_t fl_json_escape(uint32_t character, char out[FL_JSON_ESCAPE_BYTES]);

#endif
