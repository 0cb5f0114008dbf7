/* transcript_json.c - the Podcasting 2.0 JSON transcript to rows (product, "Formats").
 *
 * Happy path: the root's members are sorted into a table, then each element of "segments" in the order of the
 * file: its members into a table, its times as exact decimals, speaker and body into the arena, one row.
 * Failure modes: a document that cannot be trusted (no segments, a bad time) is refused as a whole, with
 * line, segment number and rule; a segment without words is dropped, and a member that is of the wrong type,
 * unknown, or there twice is left out, each with a warning. */
#include "core/formats/transcript_json.h"

#include "base/slice.h"
#include "core/formats/json_rows.h"

enum { ROOT_SEGMENTS, ROOT_VERSION, ROOT_MEMBERS };
static const char *const ROOT_NAMES[ROOT_MEMBERS] = {
    [ROOT_SEGMENTS] = "segments", [ROOT_VERSION] = "version"};

enum { START_TIME, END_TIME, SPEAKER, BODY, SEGMENT_MEMBERS };
static const char *const SEGMENT_NAMES[SEGMENT_MEMBERS] = {
    [START_TIME] = "startTime", [END_TIME] = "endTime", [SPEAKER] = "speaker", [BODY] = "body"};

static fl_status read_speaker(struct fl_json_rows *rows, const struct fl_json *value,
                              struct fl_slice *speaker)
{
    struct fl_slice text = fl_json_string(value);
    if (value && !text.ptr)
        fl_json_rows_warn(rows, value, "wrong-type", "speaker is not a string and is left out");
    return fl_slice_trim(text).len ? fl_json_rows_keep(rows, text, speaker) : FL_OK;
}

/* True if the segment has words; false with a warning if it is to be dropped. */
static bool has_words(struct fl_json_rows *rows, const struct fl_json *segment, const struct fl_json *body)
{
    if (!body) {
        fl_json_rows_warn(rows, segment, "missing-body", "body is missing; the segment is dropped");
        return false;
    }
    struct fl_slice text = fl_json_string(body);
    if (!text.ptr)
        fl_json_rows_warn(rows, body, "wrong-type", "body is not a string; the segment is dropped");
    else if (!fl_slice_trim(text).len)
        fl_json_rows_warn(rows, body, "empty-body", "body is empty; the segment is dropped");
    else
        return true;
    return false;
}

static fl_status read_segment(struct fl_json_rows *rows, const struct fl_json *segment)
{
    const struct fl_json *found[SEGMENT_MEMBERS];
    struct fl_json_times times;
    struct fl_segment row = {.line = fl_json_line(rows->json, segment)};
    fl_json_rows_collect(rows, segment, found);
    fl_status status = fl_json_rows_times(rows, segment, found[START_TIME], found[END_TIME], &times);
    if (status != FL_OK || !has_words(rows, segment, found[BODY]))
        return status;
    status = read_speaker(rows, found[SPEAKER], &row.speaker);
    if (status == FL_OK)
        status = fl_json_rows_keep(rows, fl_json_string(found[BODY]), &row.body);
    if (status != FL_OK)
        return status;
    row.start_ms = times.start_ms;
    row.end_ms = times.end_ms;
    return fl_document_add_segment(rows->doc, &row, rows->err);
}

fl_status fl_transcript_json_sniff(const struct fl_json_text *json, bool *found, struct fl_err *err)
{
    return fl_json_rows_sniff(json, ROOT_NAMES[ROOT_SEGMENTS], found, err);
}

fl_status fl_transcript_json_parse(struct fl_json_text *json, struct fl_document *doc, struct fl_err *err)
{
    size_t found[ROOT_MEMBERS];
    struct fl_json_rows rows = {
        .json = json,
        .doc = doc,
        .err = err,
        .root = {.names = ROOT_NAMES, .count = ROOT_MEMBERS, .owner = "document"},
        .row = {.names = SEGMENT_NAMES, .count = SEGMENT_MEMBERS, .owner = "segment"}};
    fl_status status = fl_json_rows_open(&rows, found, ROOT_SEGMENTS);
    return status == FL_OK ? fl_json_rows_each(&rows, found[ROOT_SEGMENTS], read_segment) : status;
}
