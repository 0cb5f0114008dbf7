/* transcript_json.c - the Podcasting 2.0 JSON transcript to rows (product, "Formats").
 *
 * Happy path: the root's members are sorted into a table, then each element of "segments" in the order of the
 * file: its members into a table, its times as exact decimals, speaker and body into the arena, one row.
 * Failure modes: a document that cannot be trusted (no segments, a bad time) is refused as a whole, with
 * line, segment number and rule; a segment without words is dropped, and a member that is of the wrong type,
 * unknown, or there twice is left out, each with a warning. */
#include "core/formats/transcript_json.h"

#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/slice.h"

enum { UNKNOWN_NAMES_KEPT = 20, NAME_SHOWN_BYTES = 60 };

/* The members one kind of object may have. The names outside of it are warned of once each, for the whole
 * document: a program that adds a member adds it to every segment. */
struct members {
    const char *const *names;
    size_t count;
    const char *owner;
    const char *unknown[UNKNOWN_NAMES_KEPT];
    size_t unknown_count;
    bool unknown_more;
};

enum { ROOT_SEGMENTS, ROOT_VERSION, ROOT_MEMBERS };
static const char *const ROOT_NAMES[ROOT_MEMBERS] = {
    [ROOT_SEGMENTS] = "segments", [ROOT_VERSION] = "version"};

enum { START_TIME, END_TIME, SPEAKER, BODY, SEGMENT_MEMBERS };
static const char *const SEGMENT_NAMES[SEGMENT_MEMBERS] = {
    [START_TIME] = "startTime", [END_TIME] = "endTime", [SPEAKER] = "speaker", [BODY] = "body"};

struct reader {
    struct fl_json_text *json;
    struct fl_document *doc;
    struct fl_err *err;
    struct members root, segment;
    size_t number; /* of the segment, from 1 */
};

static fl_status refuse(struct reader *r, const struct fl_json *value, const char *rule)
{
    return fl_err_set(r->err, FL_INVALID, "line %" PRIu32 ": segment %zu: %s", fl_json_line(r->json, value),
                      r->number, rule);
}

static fl_status refuse_document(struct reader *r, const struct fl_json *value, const char *rule)
{
    return fl_err_set(r->err, FL_INVALID, "line %" PRIu32 ": %s", fl_json_line(r->json, value), rule);
}

static void warn(struct reader *r, const struct fl_json *value, const char *rule, const char *text)
{
    fl_document_warn(r->doc, fl_json_line(r->json, value), rule, "segment %zu: %s", r->number, text);
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

static fl_status read_times(struct reader *r, const struct fl_json *segment, const struct fl_json *start,
                            const struct fl_json *end, struct fl_segment *row)
{
    if (!start)
        return refuse(r, segment, "startTime is missing");
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

/* A text into the arena. What is longer than a field may be is left where it is: fl_document_add_segment
 * refuses the row with the right words, and the arena does not run full first. */
static fl_status keep(struct reader *r, struct fl_slice text, struct fl_slice *kept)
{
    *kept = text.len > r->doc->limits->field_bytes ? text : fl_arena_copy(r->doc->arena, text);
    if (kept->ptr)
        return FL_OK;
    return fl_err_set(r->err, FL_NO_MEMORY, "segment %zu: the memory limit of one import is reached",
                      r->number);
}

static fl_status read_speaker(struct reader *r, const struct fl_json *value, struct fl_slice *speaker)
{
    struct fl_slice text = fl_json_string(value);
    if (value && !text.ptr)
        warn(r, value, "wrong-type", "speaker is not a string and is left out");
    return fl_slice_trim(text).len ? keep(r, text, speaker) : FL_OK;
}

/* True if the segment has words; false with a warning if it is to be dropped. */
static bool has_words(struct reader *r, const struct fl_json *segment, const struct fl_json *body)
{
    if (!body) {
        warn(r, segment, "missing-body", "body is missing; the segment is dropped");
        return false;
    }
    struct fl_slice text = fl_json_string(body);
    if (!text.ptr)
        warn(r, body, "wrong-type", "body is not a string; the segment is dropped");
    else if (!fl_slice_trim(text).len)
        warn(r, body, "empty-body", "body is empty; the segment is dropped");
    else
        return true;
    return false;
}

static fl_status read_segment(struct reader *r, const struct fl_json *segment)
{
    const struct fl_json *found[SEGMENT_MEMBERS];
    if (fl_json_type(segment) != FL_JSON_OBJECT)
        return refuse(r, segment, "it is not an object");
    struct fl_segment row = {.end_ms = FL_END_NONE, .line = fl_json_line(r->json, segment)};
    collect(r, segment, &r->segment, found);
    fl_status status = read_times(r, segment, found[START_TIME], found[END_TIME], &row);
    if (status != FL_OK || !has_words(r, segment, found[BODY]))
        return status;
    status = read_speaker(r, found[SPEAKER], &row.speaker);
    if (status == FL_OK)
        status = keep(r, fl_json_string(found[BODY]), &row.body);
    return status == FL_OK ? fl_document_add_segment(r->doc, &row, r->err) : status;
}

bool fl_transcript_json_sniff(const struct fl_json *root)
{
    return fl_json_get(root, ROOT_NAMES[ROOT_SEGMENTS]) != NULL;
}

fl_status fl_transcript_json_parse(struct fl_json_text *json, struct fl_document *doc, struct fl_err *err)
{
    const struct fl_json *root = json->root, *found[ROOT_MEMBERS];
    struct reader r = {.json = json,
                       .doc = doc,
                       .err = err,
                       .root = {.names = ROOT_NAMES, .count = ROOT_MEMBERS, .owner = "document"},
                       .segment = {.names = SEGMENT_NAMES, .count = SEGMENT_MEMBERS, .owner = "segment"}};
    if (fl_json_type(root) != FL_JSON_OBJECT)
        return refuse_document(&r, root, "a transcript document must be an object");
    collect(&r, root, &r.root, found);
    const struct fl_json *segments = found[ROOT_SEGMENTS];
    if (!segments)
        return refuse_document(&r, root, "\"segments\" is missing");
    if (fl_json_type(segments) != FL_JSON_ARRAY)
        return refuse_document(&r, segments, "\"segments\" is not an array");
    if (!fl_json_first(segments))
        return refuse_document(&r, segments, "\"segments\" is empty");
    fl_status status = FL_OK;
    for (const struct fl_json *at = fl_json_first(segments); at && status == FL_OK; at = fl_json_next(at)) {
        r.number++;
        status = read_segment(&r, at);
    }
    return status;
}
