/* cue_write.c - see cue_write.h. Failure modes: those of the stream. */
#include "core/formats/cue_write.h"

#include <inttypes.h>

static void put_time(FILE *out, int64_t time_ms, char mark)
{
    fprintf(out, "%02" PRId64 ":%02d:%02d%c%03d", time_ms / 3600000, (int)(time_ms / 60000 % 60),
            (int)(time_ms / 1000 % 60), mark, (int)(time_ms % 1000));
}

void fl_cue_write_timing(FILE *out, const struct fl_segment *row, char mark)
{
    int64_t end_ms = row->end_ms;
    if (end_ms == FL_END_NONE)
        end_ms = row->start_ms <= FL_END_LIMIT_MS ? row->start_ms + FL_CUE_OPEN_END_MS : row->start_ms;
    put_time(out, row->start_ms, mark);
    fputs(" --> ", out);
    put_time(out, end_ms, mark);
    putc('\n', out);
}
