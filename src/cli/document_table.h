/* document_table.h - rows of a parsed document as a table. */
#ifndef FL_CLI_DOCUMENT_TABLE_H
#define FL_CLI_DOCUMENT_TABLE_H

#include "cli/print.h"
#include "fenceline/document.h"

/* The rows of doc, which is borrowed: order_index, start_ms, end_ms, title, url, img, toc, location; or
 * order_index, start_ms, end_ms, speaker, body. */
struct fl_table fl_document_table(const struct fl_document *doc);

/* The columns alone: the same for rows that come from the database. */
const struct fl_column *fl_document_columns(enum fl_kind kind, size_t *count);

#endif
