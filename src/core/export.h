/* export.h - a stored document out again as a file: writes it, reads it back, and tells what was lost. */
#ifndef FL_CORE_EXPORT_H
#define FL_CORE_EXPORT_H

#include <stdio.h>

#include "fenceline/document.h"

enum { FL_EXPORT_LOSSES_TOLD = 1000 }; /* later ones are counted, and a last one says how many */

#define FL_EXPORT_WHOLE SIZE_MAX

/* A place where reading the file gives something else than what is stored. rule is a short fixed word with
 * hyphens ("end", "speaker", "text", "lost", ...), text says what and why, for a human; it dies with the
 * call. */
struct fl_export_loss {
    size_t row; /* from 0, as order_index; FL_EXPORT_WHOLE = the document as a whole */
    const char *rule, *text;
};

/* Is called once for each loss; first for rows that stand elsewhere, then row by row. */
typedef void fl_export_tell(void *context, const struct fl_export_loss *loss);

/* Writes doc to out in doc->format, which has a writer (fl_export_has_writer) for rows of doc->kind. The rows
 * need no finish; locations are as fl_location_compact leaves them. doc->arena serves as scratch, doc->limits
 * are those that an import of the file would have: a file beyond them is a loss, too.
 *
 * The text is parsed by the very code that imports and compared row by row before a byte reaches out, so that
 * nothing is lost without being told. FL_NO_MEMORY, and then nothing was written. Errors of out stay in it.
 */
FL_CHECKED fl_status fl_export_document(const struct fl_document *doc, FILE *out, fl_export_tell *tell,
                                        void *context, struct fl_err *err);

/* Can this format be written? */
bool fl_export_has_writer(enum fl_format format);

#endif
