/* chapters_json.c - Podcasting 2.0 JSON chapters 1.2 to rows (product, "Formats").
 *
 * Happy path: the root's members are sorted into a table, then each element of "chapters" in the order of the
 * file: its members into a table, its times as exact decimals, its texts into the arena, one row.
 * Failure modes: a document that cannot be trusted (no chapters, a bad time) is refused as a whole, with
 * line, chapter number and rule; a member that is merely of the wrong type, unknown, or there twice is left
 * out with a warning. Sorting, missing ends and overlaps are the business of fl_document_finish. */
#include "core/formats/chapters_json.h"

#include <string.h>

#include "base/slice.h"
#include "core/formats/json_rows.h"

enum { ROOT_CHAPTERS, ROOT_VERSION, ROOT_MEMBERS = 8 };
static const char *const ROOT_NAMES[ROOT_MEMBERS] = {[ROOT_CHAPTERS] = "chapters",
                                                     [ROOT_VERSION] = "version",
                                                     "author",
                                                     "title",
                                                     "podcastName",
                                                     "description",
                                                     "fileName",
                                                     "waypoints"};

enum { START_TIME, END_TIME, TITLE, URL, IMG, TOC, LOCATION, CHAPTER_MEMBERS };
static const char *const CHAPTER_NAMES[CHAPTER_MEMBERS] = {[START_TIME] = "startTime",
                                                           [END_TIME] = "endTime",
                                                           [TITLE] = "title",
                                                           [URL] = "url",
                                                           [IMG] = "img",
                                                           [TOC] = "toc",
                                                           [LOCATION] = "location"};

static fl_status read_text(struct fl_json_rows *rows, const struct fl_json *value, const char *warning,
                           struct fl_slice *text)
{
    if (!value)
        return FL_OK;
    if (fl_json_type(value) == FL_JSON_STRING)
        return fl_json_rows_keep(rows, fl_json_string(value), text);
    fl_json_rows_warn(rows, value, "wrong-type", warning);
    return FL_OK;
}

/* Postgres keeps numbers of jsonb as numeric, which has limits: a number it would refuse must not reach it.
 */
static bool is_storable(struct fl_slice number)
{
    size_t exponent_at = 0;
    while (exponent_at < number.len && number.ptr[exponent_at] != 'e' && number.ptr[exponent_at] != 'E')
        exponent_at++;
    struct fl_slice exponent = {number.ptr + exponent_at, number.len - exponent_at};
    int64_t power = 0;
    for (; exponent.len && (exponent.ptr[0] < '0' || exponent.ptr[0] > '9'); exponent.len--)
        exponent.ptr++;
    fl_slice_take_digits(&exponent, &power);
    return exponent_at <= 1000 && power <= 1000;
}

/* Adds the bytes that the value takes at least as compact JSON; *storable turns false at a bad number.
 * Recursive, but no deeper than FL_JSON_DEPTH_LIMIT. */
static size_t measure(const struct fl_json_rows *rows, const struct fl_json *value, bool *storable)
{
    struct fl_slice number = fl_json_number(rows->json, value);
    if (number.ptr && !is_storable(number))
        *storable = false;
    size_t least_bytes = 1 + number.len + fl_json_string(value).len;
    for (const struct fl_json *at = fl_json_first(value); at; at = fl_json_next(at))
        least_bytes += strlen(fl_json_name(at)) + measure(rows, at, storable);
    return least_bytes;
}

static fl_status read_location(struct fl_json_rows *rows, const struct fl_json *value,
                               struct fl_slice *location)
{
    bool storable = true;
    if (!value)
        return FL_OK;
    if (fl_json_type(value) != FL_JSON_OBJECT) {
        fl_json_rows_warn(rows, value, "wrong-type", "location is not an object and is left out");
        return FL_OK;
    }
    if (measure(rows, value, &storable) > rows->doc->limits->field_bytes)
        return fl_json_rows_refuse(rows, value, "location is longer than a text field may be");
    if (!storable) {
        fl_json_rows_warn(rows, value, "bad-location",
                          "location holds a number too long or too large to store; it is left out");
        return FL_OK;
    }
    *location = fl_json_print(rows->doc->arena, value);
    return location->ptr ? FL_OK : fl_json_rows_no_memory(rows);
}

static bool read_toc(struct fl_json_rows *rows, const struct fl_json *value)
{
    if (!value)
        return true;
    if (fl_json_type(value) == FL_JSON_BOOL)
        return fl_json_true(value);
    fl_json_rows_warn(rows, value, "wrong-type", "toc is neither true nor false and is taken as true");
    return true;
}

static fl_status read_chapter(struct fl_json_rows *rows, const struct fl_json *chapter)
{
    const struct fl_json *found[CHAPTER_MEMBERS];
    struct fl_json_times times;
    struct fl_chapter row = {.title = FL_SLICE(""), .line = fl_json_line(rows->json, chapter)};
    fl_json_rows_collect(rows, chapter, found);
    fl_status status = fl_json_rows_times(rows, chapter, found[START_TIME], found[END_TIME], &times);
    if (status == FL_OK)
        status = read_text(rows, found[TITLE], "title is not a string and is left out", &row.title);
    if (status == FL_OK)
        status = read_text(rows, found[URL], "url is not a string and is left out", &row.url);
    if (status == FL_OK)
        status = read_text(rows, found[IMG], "img is not a string and is left out", &row.img);
    if (status == FL_OK)
        status = read_location(rows, found[LOCATION], &row.location);
    if (status != FL_OK)
        return status;
    row.start_ms = times.start_ms;
    row.end_ms = times.end_ms;
    row.toc = read_toc(rows, found[TOC]);
    return fl_document_add_chapter(rows->doc, &row, rows->err);
}

fl_status fl_chapters_json_sniff(const struct fl_json_text *json, bool *found, struct fl_err *err)
{
    return fl_json_rows_sniff(json, ROOT_NAMES[ROOT_CHAPTERS], found, err);
}

fl_status fl_chapters_json_parse(struct fl_json_text *json, struct fl_document *doc, struct fl_err *err)
{
    size_t found[ROOT_MEMBERS];
    struct fl_json_rows rows = {
        .json = json,
        .doc = doc,
        .err = err,
        .root = {.names = ROOT_NAMES, .count = ROOT_MEMBERS, .owner = "document"},
        .row = {.names = CHAPTER_NAMES, .count = CHAPTER_MEMBERS, .owner = "chapter"}};
    fl_status status = fl_json_rows_open(&rows, found, ROOT_CHAPTERS);
    if (status != FL_OK)
        return status;
    if (!found[ROOT_VERSION])
        fl_document_warn(doc, fl_json_line_at(json, fl_json_root_at(json)), "missing-version",
                         "the document does not say its \"version\"; it is read as version 1.2");
    return fl_json_rows_each(&rows, found[ROOT_CHAPTERS], read_chapter);
}
