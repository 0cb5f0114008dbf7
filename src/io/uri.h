/* uri.h - text as it may stand within a URI. */
#ifndef FL_IO_URI_H
#define FL_IO_URI_H

#include <stdbool.h>

enum { FL_URI_ESCAPED_BYTES = 1024 };

/* Letters, digits and "-._~" stay, every other byte becomes %XX. false: it does not fit. */
bool fl_uri_escape(const char *text, char out[FL_URI_ESCAPED_BYTES]);

#endif
