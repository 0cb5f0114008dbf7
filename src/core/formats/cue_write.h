/* cue_write.h - what cues look like in SubRip and in WebVTT alike. Used by srt_write.c and vtt_write.c only.
 */
#ifndef FL_CORE_FORMATS_CUE_WRITE_H
#define FL_CORE_FORMATS_CUE_WRITE_H

#include <stdio.h>

#include "fenceline/document.h"

/* Neither format has an end that is not known; so long after its start such a cue ends. */
enum { FL_CUE_OPEN_END_MS = 5000 };

/* "00:01:02,003 --> 00:01:04,005" and a line end; mark stands between seconds and milliseconds. Hours have
 * two digits or as many as they need. */
void fl_cue_write_timing(FILE *out, const struct fl_segment *row, char mark);

#endif
