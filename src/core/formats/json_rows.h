/* json_rows.h - what the JSON formats share: an object with a list of objects, each of which is one row.
 * Used by chapters_json.c and transcript_json.c only. */
#ifndef FL_CORE_FORMATS_JSON_ROWS_H
#define FL_CORE_FORMATS_JSON_ROWS_H

#include "base/json.h"
#include "fenceline/document.h"

enum { FL_JSON_UNKNOWN_NAMES_KEPT = 20 };

/* The members one kind of object may have. The names outside of it are warned of once each, for the whole
 * document: a program that adds a member adds it to every row. */
struct fl_json_members {
    const char *const *names;
    size_t count;
    const char *owner;                            /* "chapter": as warnings and errors call the object */
    uint64_t unknown[FL_JSON_UNKNOWN_NAMES_KEPT]; /* their hashes: no name is kept, so none needs memory */
    size_t unknown_count;
    bool unknown_more;
};

/* One document being read; the caller fills the first five. */
struct fl_json_rows {
    struct fl_json_text *json;
    struct fl_document *doc;
    struct fl_err *err;
    struct fl_json_members root, row;
    size_t number; /* of the row, from 1 */
};

struct fl_json_times {
    int64_t start_ms, end_ms;
};

/* Reads one element of the list, which is an object. */
typedef fl_status fl_json_row_reader(struct fl_json_rows *rows, const struct fl_json *object);

/* *found: is there a member of that name in the root of a JSON text? FL_NO_MEMORY. */
FL_CHECKED fl_status fl_json_rows_sniff(const struct fl_json_text *json, const char *name, bool *found,
                                        struct fl_err *err);

/* Sorts the root's members into found[rows->root.count]: the offsets of their values, 0 = there is none.
 * FL_INVALID unless the root is an object whose member number `list` is an array that is not empty;
 * FL_NO_MEMORY. */
FL_CHECKED fl_status fl_json_rows_open(struct fl_json_rows *rows, size_t *found, size_t list);

/* Hands the elements of the list at that offset to read, in order, until one fails; each is a tree that is
 * gone when read returns. FL_INVALID at one that is no object; FL_NO_MEMORY. */
FL_CHECKED fl_status fl_json_rows_each(struct fl_json_rows *rows, size_t list, fl_json_row_reader *read);

/* Sorts the members of a row into found[rows->row.count], in the order of the names: NULL where there is none
 * or where it is null. Of members of the same name the first counts; the others, and unknown members, are
 * left out with a warning. */
void fl_json_rows_collect(struct fl_json_rows *rows, const struct fl_json *object,
                          const struct fl_json **found);

/* startTime and endTime of a row; end_ms FL_END_NONE without one. FL_INVALID if there is no start, or a time
 * is no number, negative or too large, or the end lies before the start. */
FL_CHECKED fl_status fl_json_rows_times(struct fl_json_rows *rows, const struct fl_json *object,
                                        const struct fl_json *start, const struct fl_json *end,
                                        struct fl_json_times *times);

/* A text into the arena. What is longer than a field may be is left where it is: fl_document_add_* refuses
 * the row with the right words, and the arena does not run full first. FL_NO_MEMORY. */
FL_CHECKED fl_status fl_json_rows_keep(struct fl_json_rows *rows, struct fl_slice text,
                                       struct fl_slice *kept);

/* FL_INVALID for the row now being read, with the line of value in it. */
fl_status fl_json_rows_refuse(struct fl_json_rows *rows, const struct fl_json *value, const char *rule);

/* A warning about the row now being read, at the line of value in it. rule: see fl_document_warn. */
void fl_json_rows_warn(struct fl_json_rows *rows, const struct fl_json *value, const char *rule,
                       const char *text);

/* FL_NO_MEMORY for the row now being read. */
fl_status fl_json_rows_no_memory(struct fl_json_rows *rows);

#endif
