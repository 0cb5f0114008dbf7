/* transcript_json_write.c - writes the Podcasting 2.0 JSON transcript: one segment a line, with everything
 * that a row has. Failure modes: those of the stream. */
#include "core/formats/json_write_rows.h"
#include "core/formats/writers.h"

static void write_segment(const struct fl_document *doc, size_t row, struct fl_json_writer *json)
{
    const struct fl_segment *segment = &doc->segments[row];
    fl_json_write_text(json, "speaker", segment->speaker);
    fl_json_write_times(json, segment->start_ms, segment->end_ms);
    fl_json_write_text(json, "body", segment->body);
}

void fl_transcript_json_write(const struct fl_document *doc, FILE *out, uint32_t *row_lines)
{
    fl_json_write_document(doc, out, row_lines, "1.0.0", "segments", write_segment);
}
