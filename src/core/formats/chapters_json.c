/* chapters_json.c - Podcasting 2.0 JSON chapters 1.2 to rows (product, "Formats").
 *
 * Happy path: the root's members are sorted into a table, then each element of "chapters" in the order of the
 * file: its members into a table, its times as exact decimals, its texts into the arena, one row.
 * Failure modes: a document that cannot be trusted (no chapters, a bad time) is refused as a whole, with
 * line, chapter number and rule; a member that is merely of the wrong type, unknown, or there twice is left
 * out with a warning. Sorting, missing ends and overlaps are the business of fl_document_finish. */
#include "core/formats/chapters_json.h"

#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/slice.h"

enum { UNKNOWN_NAMES_KEPT = 20, NAME_SHOWN_BYTES = 60 };

/* The members one kind of object may have. The names outside of it are warned of once each, for the whole
 * document: a hosting service that adds a member adds it to every chapter. */
struct members {
    const char *const *names;
    size_t count;
    const char *owner;
    const char *unknown[UNKNOWN_NAMES_KEPT];
    size_t unknown_count;
    bool unknown_more;
};

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

struct reader {
    struct fl_json_text *json;
    struct fl_document *doc;
    struct fl_err *err;
    struct members root, chapter;
    size_t number; /* of the chapter, from 1 */
};

static fl_status refuse(struct reader *r, const struct fl_json *value, const char *rule)
{
    return fl_err_set(r->err, FL_INVALID, "line %" PRIu32 ": chapter %zu: %s", fl_json_line(r->json, value),
                      r->number, rule);
}

static fl_status refuse_document(struct reader *r, const struct fl_json *value, const char *rule)
{
    return fl_err_set(r->err, FL_INVALID, "line %" PRIu32 ": %s", fl_json_line(r->json, value), rule);
}

static fl_status no_memory(struct reader *r)
{
    return fl_err_set(r->err, FL_NO_MEMORY, "chapter %zu: the memory limit of one import is reached",
                      r->number);
}

static void warn_wrong_type(struct reader *r, const struct fl_json *value, const char *text)
{
    fl_document_warn(r->doc, fl_json_line(r->json, value), "wrong-type", "chapter %zu: %s", r->number, text);
}

/* The beginning of a name, cut between characters. */
static struct fl_slice shown(const char *name)
{
    size_t length = strnlen(name, NAME_SHOWN_BYTES + 1);
    if (length > NAME_SHOWN_BYTES)
        for (length--; length && ((unsigned char)name[length] & 0xc0) == 0x80;)
            length--;
    return (struct fl_slice){name, length};
}

static void warn_unknown(struct reader *r, struct members *members, const struct fl_json *member)
{
    const char *name = fl_json_name(member);
    if (members->unknown_more)
        return;
    for (size_t i = 0; i < members->unknown_count; i++)
        if (strcmp(members->unknown[i], name) == 0)
            return;
    uint32_t line = fl_json_line(r->json, member);
    if (members->unknown_count == UNKNOWN_NAMES_KEPT) {
        members->unknown_more = true;
        fl_document_warn(r->doc, line, "unknown-member",
                         "more than %d unknown members of a %s; the others are not listed",
                         UNKNOWN_NAMES_KEPT, members->owner);
        return;
    }
    members->unknown[members->unknown_count++] = name;
    fl_document_warn(r->doc, line, "unknown-member", "member \"%.*s\" of a %s is unknown and is left out",
                     FL_ARGS(shown(name)), members->owner);
}

/* Sorts the members of an object into found[], in the order of members->names: NULL where there is none or
 * where it is null. Of members of the same name the first counts. */
static void collect(struct reader *r, const struct fl_json *object, struct members *members,
                    const struct fl_json **found)
{
    memset(found, 0, members->count * sizeof(const struct fl_json *));
    for (const struct fl_json *at = fl_json_first(object); at; at = fl_json_next(at)) {
        size_t i = 0;
        while (i < members->count && strcmp(members->names[i], fl_json_name(at)) != 0)
            i++;
        if (i == members->count)
            warn_unknown(r, members, at);
        else if (found[i])
            fl_document_warn(r->doc, fl_json_line(r->json, at), "duplicate-member",
                             "member \"%s\" of a %s is there twice; the first counts", members->names[i],
                             members->owner);
        else
            found[i] = at;
    }
    for (size_t i = 0; i < members->count; i++)
        if (found[i] && fl_json_type(found[i]) == FL_JSON_NULL)
            found[i] = NULL;
}

/* Below zero, even where it would round to zero milliseconds. */
static bool is_negative(struct fl_slice number)
{
    if (number.len == 0 || number.ptr[0] != '-')
        return false;
    for (size_t i = 1; i < number.len && number.ptr[i] != 'e' && number.ptr[i] != 'E'; i++)
        if (number.ptr[i] >= '1' && number.ptr[i] <= '9')
            return true;
    return false;
}

static fl_status read_times(struct reader *r, const struct fl_json *chapter, const struct fl_json *start,
                            const struct fl_json *end, struct fl_chapter *row)
{
    if (!start)
        return refuse(r, chapter, "startTime is missing");
    struct fl_slice number = fl_json_number(r->json, start);
    if (!number.ptr)
        return refuse(r, start, "startTime is not a number");
    if (is_negative(number))
        return refuse(r, start, "startTime is negative");
    if (!fl_slice_seconds_to_ms(number, &row->start_ms) || row->start_ms > FL_TIME_LIMIT_MS)
        return refuse(r, start, "startTime is beyond 100 hours");
    if (!end)
        return FL_OK;
    number = fl_json_number(r->json, end);
    if (!number.ptr)
        return refuse(r, end, "endTime is not a number");
    if (is_negative(number))
        return refuse(r, end, "endTime is negative");
    if (!fl_slice_seconds_to_ms(number, &row->end_ms))
        return refuse(r, end, "endTime is too large");
    return row->end_ms < row->start_ms ? refuse(r, end, "endTime lies before startTime") : FL_OK;
}

/* A text into the arena. What is longer than a field may be is left where it is: fl_document_add_chapter
 * refuses the row with the right words, and the arena does not run full first. */
static fl_status keep(struct reader *r, struct fl_slice text, struct fl_slice *kept)
{
    *kept = text.len > r->doc->limits->field_bytes ? text : fl_arena_copy(r->doc->arena, text);
    return kept->ptr ? FL_OK : no_memory(r);
}

static fl_status read_text(struct reader *r, const struct fl_json *value, const char *warning,
                           struct fl_slice *text)
{
    if (!value)
        return FL_OK;
    if (fl_json_type(value) == FL_JSON_STRING)
        return keep(r, fl_json_string(value), text);
    warn_wrong_type(r, value, warning);
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
static size_t measure(const struct reader *r, const struct fl_json *value, bool *storable)
{
    struct fl_slice number = fl_json_number(r->json, value);
    if (number.ptr && !is_storable(number))
        *storable = false;
    size_t least_bytes = 1 + number.len + fl_json_string(value).len;
    for (const struct fl_json *at = fl_json_first(value); at; at = fl_json_next(at))
        least_bytes += strlen(fl_json_name(at)) + measure(r, at, storable);
    return least_bytes;
}

static fl_status read_location(struct reader *r, const struct fl_json *value, struct fl_slice *location)
{
    bool storable = true;
    if (!value)
        return FL_OK;
    if (fl_json_type(value) != FL_JSON_OBJECT) {
        warn_wrong_type(r, value, "location is not an object and is left out");
        return FL_OK;
    }
    if (measure(r, value, &storable) > r->doc->limits->field_bytes)
        return refuse(r, value, "location is longer than a text field may be");
    if (!storable) {
        fl_document_warn(
            r->doc, fl_json_line(r->json, value), "bad-location",
            "chapter %zu: location holds a number too long or too large to store; it is left out", r->number);
        return FL_OK;
    }
    *location = fl_json_print(r->doc->arena, value);
    return location->ptr ? FL_OK : no_memory(r);
}

static bool read_toc(struct reader *r, const struct fl_json *value)
{
    if (!value)
        return true;
    if (fl_json_type(value) == FL_JSON_BOOL)
        return fl_json_true(value);
    warn_wrong_type(r, value, "toc is neither true nor false and is taken as true");
    return true;
}

static fl_status read_chapter(struct reader *r, const struct fl_json *chapter)
{
    const struct fl_json *found[CHAPTER_MEMBERS];
    if (fl_json_type(chapter) != FL_JSON_OBJECT)
        return refuse(r, chapter, "it is not an object");
    struct fl_chapter row = {
        .end_ms = FL_END_NONE, .title = FL_SLICE(""), .line = fl_json_line(r->json, chapter)};
    collect(r, chapter, &r->chapter, found);
    fl_status status = read_times(r, chapter, found[START_TIME], found[END_TIME], &row);
    if (status == FL_OK)
        status = read_text(r, found[TITLE], "title is not a string and is left out", &row.title);
    if (status == FL_OK)
        status = read_text(r, found[URL], "url is not a string and is left out", &row.url);
    if (status == FL_OK)
        status = read_text(r, found[IMG], "img is not a string and is left out", &row.img);
    if (status == FL_OK)
        status = read_location(r, found[LOCATION], &row.location);
    if (status != FL_OK)
        return status;
    row.toc = read_toc(r, found[TOC]);
    return fl_document_add_chapter(r->doc, &row, r->err);
}

bool fl_chapters_json_sniff(const struct fl_json *root)
{
    return fl_json_get(root, ROOT_NAMES[ROOT_CHAPTERS]) != NULL;
}

fl_status fl_chapters_json_parse(struct fl_json_text *json, struct fl_document *doc, struct fl_err *err)
{
    const struct fl_json *root = json->root, *found[ROOT_MEMBERS];
    struct reader r = {.json = json,
                       .doc = doc,
                       .err = err,
                       .root = {.names = ROOT_NAMES, .count = ROOT_MEMBERS, .owner = "document"},
                       .chapter = {.names = CHAPTER_NAMES, .count = CHAPTER_MEMBERS, .owner = "chapter"}};
    if (fl_json_type(root) != FL_JSON_OBJECT)
        return refuse_document(&r, root, "a chapters document must be an object");
    collect(&r, root, &r.root, found);
    const struct fl_json *chapters = found[ROOT_CHAPTERS];
    if (!chapters)
        return refuse_document(&r, root, "\"chapters\" is missing");
    if (fl_json_type(chapters) != FL_JSON_ARRAY)
        return refuse_document(&r, chapters, "\"chapters\" is not an array");
    if (!fl_json_first(chapters))
        return refuse_document(&r, chapters, "\"chapters\" is empty");
    if (!found[ROOT_VERSION])
        fl_document_warn(doc, fl_json_line(json, root), "missing-version",
                         "the document does not say its \"version\"; it is read as version 1.2");
    fl_status status = FL_OK;
    for (const struct fl_json *at = fl_json_first(chapters); at && status == FL_OK; at = fl_json_next(at)) {
        r.number++;
        status = read_chapter(&r, at);
    }
    return status;
}
