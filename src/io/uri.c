/* uri.c - see uri.h. Pure. Failure modes: text that does not fit. */
#include "io/uri.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

bool fl_uri_escape(const char *text, char out[FL_URI_ESCAPED_BYTES])
{
    size_t used = 0;
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        bool is_plain = (byte < 0x80 && isalnum(byte)) || strchr("-._~", byte);
        if (used + 4 > FL_URI_ESCAPED_BYTES)
            return false;
        if (is_plain)
            out[used++] = (char)byte;
        else
            used += (size_t)sprintf(out + used, "%%%02X", byte);
    }
    out[used] = '\0';
    return true;
}
