/* chapters_json_write.c - writes Podcasting 2.0 JSON chapters 1.2: one chapter a line, with everything that a
 * row has. Failure modes: those of the stream. */
#include "core/formats/json_write_rows.h"
#include "core/formats/writers.h"

static void write_chapter(const struct fl_document *doc, size_t row, struct fl_json_writer *json)
{
    const struct fl_chapter *chapter = &doc->chapters[row];
    fl_json_write_times(json, chapter->start_ms, chapter->end_ms);
    fl_json_write_text(json, "title", chapter->title);
    fl_json_write_text(json, "url", chapter->url);
    fl_json_write_text(json, "img", chapter->img);
    if (!chapter->toc) { /* shown is what its absence means */
        fl_json_write_name(json, "toc");
        fl_json_write_bool(json, false);
    }
    if (chapter->location.ptr) {
        fl_json_write_name(json, "location");
        fl_json_write_raw(json, chapter->location);
    }
}

void fl_chapters_json_write(const struct fl_document *doc, FILE *out, uint32_t *row_lines)
{
    fl_json_write_document(doc, out, row_lines, "1.2.0", "chapters", write_chapter);
}
