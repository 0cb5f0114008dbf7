/* json_write_rows.c - see json_write_rows.h. Each row is a line of its own, so that two documents can be
 * compared by line; line ends between values mean nothing in JSON. Failure modes: those of the stream. */
#include "core/formats/json_write_rows.h"

#include <inttypes.h>

enum { ROWS_FROM_LINE = 4 };

void fl_json_write_document(const struct fl_document *doc, FILE *out, uint32_t *row_lines,
                            const char *version, const char *list, fl_json_row_writer *write_row)
{
    fprintf(out, "{\n\"version\":\"%s\",\n\"%s\":[\n", version, list);
    for (size_t i = 0; i < doc->row_count; i++) {
        struct fl_json_writer json;
        fl_json_write_init(&json, out);
        fl_json_write_begin_object(&json);
        write_row(doc, i, &json);
        fl_json_write_end_object(&json);
        fputs(i + 1 < doc->row_count ? ",\n" : "\n", out);
        row_lines[i] = ROWS_FROM_LINE + (uint32_t)i;
    }
    fputs("]\n}\n", out);
}

static void put_seconds(struct fl_json_writer *json, const char *name, int64_t time_ms)
{
    char text[32];
    int length = snprintf(text, sizeof text, "%" PRId64 ".%03d", time_ms / 1000, (int)(time_ms % 1000));
    while (text[length - 1] == '0')
        length--;
    if (text[length - 1] == '.')
        length--;
    fl_json_write_name(json, name);
    fl_json_write_raw(json, (struct fl_slice){text, (size_t)length});
}

void fl_json_write_times(struct fl_json_writer *json, int64_t start_ms, int64_t end_ms)
{
    put_seconds(json, "startTime", start_ms);
    if (end_ms != FL_END_NONE)
        put_seconds(json, "endTime", end_ms);
}

void fl_json_write_text(struct fl_json_writer *json, const char *name, struct fl_slice text)
{
    if (!text.ptr)
        return;
    fl_json_write_name(json, name);
    fl_json_write_string(json, text);
}
