/* json_write_rows.h - what the JSON formats share when written: an object with a list, one row a line. Used
 * by chapters_json_write.c and transcript_json_write.c only. */
#ifndef FL_CORE_FORMATS_JSON_WRITE_ROWS_H
#define FL_CORE_FORMATS_JSON_WRITE_ROWS_H

#include "base/json_write.h"
#include "fenceline/document.h"

/* Writes the members of one row; its object is open and stays open. */
typedef void fl_json_row_writer(const struct fl_document *doc, size_t row, struct fl_json_writer *json);

/* {"version": version, list: [ one line per row ]}. row_lines: see writers.h. */
void fl_json_write_document(const struct fl_document *doc, FILE *out, uint32_t *row_lines,
                            const char *version, const char *list, fl_json_row_writer *write_row);

/* startTime, and endTime if it is known, as decimal seconds without needless zeros. */
void fl_json_write_times(struct fl_json_writer *json, int64_t start_ms, int64_t end_ms);

/* A member of that name, unless text is null. */
void fl_json_write_text(struct fl_json_writer *json, const char *name, struct fl_slice text);

#endif
