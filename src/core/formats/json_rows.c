/* json_rows.c - the part of reading chapters and transcripts that is the same for both.
 *
 * Happy path: open sorts the root's members into a table and finds the list in it; each hands over its
 * elements, one small tree after the other, so that a document is never one large tree; collect sorts the
 * members of one into a table, times reads its times as exact decimals. Failure modes: a document that cannot
 * be trusted (no list, a bad time) is refused as a whole, with line, number of the row and rule; a member
 * that is unknown or there twice is left out with a warning. */
#include "core/formats/json_rows.h"

#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/slice.h"
#include "base/utf8.h"

enum { NAME_SHOWN_BYTES = 60 };

static fl_status refuse_at(struct fl_json_rows *rows, uint32_t line, const char *rule)
{
    return fl_err_set(rows->err, FL_INVALID, "line %" PRIu32 ": %s %zu: %s", line, rows->row.owner,
                      rows->number, rule);
}

fl_status fl_json_rows_refuse(struct fl_json_rows *rows, const struct fl_json *value, const char *rule)
{
    return refuse_at(rows, fl_json_line(rows->json, value), rule);
}

void fl_json_rows_warn(struct fl_json_rows *rows, const struct fl_json *value, const char *rule,
                       const char *text)
{
    fl_document_warn(rows->doc, fl_json_line(rows->json, value), rule, "%s %zu: %s", rows->row.owner,
                     rows->number, text);
}

fl_status fl_json_rows_no_memory(struct fl_json_rows *rows)
{
    return fl_err_set(rows->err, FL_NO_MEMORY, "%s %zu: the memory limit of one import is reached",
                      rows->row.owner, rows->number);
}

/* FNV-1a. Two names of one hash are warned of as one. */
static uint64_t hash_name(struct fl_slice name)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (unsigned char)name.ptr[i]) * UINT64_C(1099511628211);
    return hash;
}

static void warn_unknown(struct fl_json_rows *rows, struct fl_json_members *members, struct fl_slice name,
                         uint32_t line)
{
    if (members->unknown_more)
        return;
    uint64_t hash = hash_name(name);
    for (size_t i = 0; i < members->unknown_count; i++)
        if (members->unknown[i] == hash)
            return;
    if (members->unknown_count == FL_JSON_UNKNOWN_NAMES_KEPT) {
        members->unknown_more = true;
        fl_document_warn(rows->doc, line, "unknown-member",
                         "more than %d unknown members of a %s; the others are not listed",
                         FL_JSON_UNKNOWN_NAMES_KEPT, members->owner);
        return;
    }
    members->unknown[members->unknown_count++] = hash;
    struct fl_slice shown = fl_utf8_cut(name, NAME_SHOWN_BYTES);
    fl_document_warn(rows->doc, line, "unknown-member", "member \"%.*s\" of a %s is unknown and is left out",
                     FL_ARGS(shown), members->owner);
}

/* The place of a member in its table; members->count, after a warning, where it has none or has one already.
 */
static size_t find_place(struct fl_json_rows *rows, struct fl_json_members *members, const char *name,
                         uint32_t line, uint64_t *seen)
{
    size_t i = 0;
    while (i < members->count && strcmp(members->names[i], name) != 0)
        i++;
    if (i == members->count) {
        warn_unknown(rows, members, fl_slice_from(name), line);
    } else if (*seen >> i & 1) {
        fl_document_warn(rows->doc, line, "duplicate-member",
                         "member \"%s\" of a %s is there twice; the first counts", members->names[i],
                         members->owner);
        return members->count;
    } else {
        *seen |= UINT64_C(1) << i;
    }
    return i;
}

void fl_json_rows_collect(struct fl_json_rows *rows, const struct fl_json *object,
                          const struct fl_json **found)
{
    struct fl_json_members *members = &rows->row;
    uint64_t seen = 0;
    memset(found, 0, members->count * sizeof(const struct fl_json *));
    for (const struct fl_json *at = fl_json_first(object); at; at = fl_json_next(at)) {
        size_t i = find_place(rows, members, fl_json_name(at), fl_json_line(rows->json, at), &seen);
        if (i < members->count && fl_json_type(at) != FL_JSON_NULL)
            found[i] = at;
    }
}

static fl_status collect_root(struct fl_json_rows *rows, size_t root, size_t *found)
{
    struct fl_json_members *members = &rows->root;
    uint64_t seen = 0;
    memset(found, 0, members->count * sizeof *found);
    for (size_t at = fl_json_first_at(rows->json, root); at; at = fl_json_next_at(rows->json, at)) {
        struct fl_json *name;
        fl_status status = fl_json_read_at(rows->json, at, &name, rows->err);
        if (status != FL_OK)
            return status;
        size_t value = fl_json_member_at(rows->json, at);
        size_t i =
            find_place(rows, members, fl_json_string(name).ptr, fl_json_line_at(rows->json, value), &seen);
        fl_json_free_value(name);
        if (i < members->count && fl_json_type_at(rows->json, value) != FL_JSON_NULL)
            found[i] = value;
    }
    return FL_OK;
}

fl_status fl_json_rows_sniff(const struct fl_json_text *json, const char *name, bool *found,
                             struct fl_err *err)
{
    size_t root = fl_json_root_at(json);
    *found = false;
    if (fl_json_type_at(json, root) != FL_JSON_OBJECT)
        return FL_OK;
    for (size_t at = fl_json_first_at(json, root); at && !*found; at = fl_json_next_at(json, at)) {
        struct fl_json *member;
        fl_status status = fl_json_read_at(json, at, &member, err);
        if (status != FL_OK)
            return status;
        *found = fl_slice_is(fl_json_string(member), name);
        fl_json_free_value(member);
    }
    return FL_OK;
}

fl_status fl_json_rows_open(struct fl_json_rows *rows, size_t *found, size_t list)
{
    size_t root = fl_json_root_at(rows->json), at = root;
    const char *name = rows->root.names[list], *problem = NULL;
    if (fl_json_type_at(rows->json, root) != FL_JSON_OBJECT)
        return fl_err_set(rows->err, FL_INVALID, "line %" PRIu32 ": a %s document must be an object",
                          fl_json_line_at(rows->json, root), fl_kind_name(rows->doc->kind));
    fl_status status = collect_root(rows, root, found);
    if (status != FL_OK)
        return status;
    if (found[list])
        at = found[list];
    if (!found[list])
        problem = "missing";
    else if (fl_json_type_at(rows->json, at) != FL_JSON_ARRAY)
        problem = "not an array";
    else if (!fl_json_first_at(rows->json, at))
        problem = "empty";
    if (!problem)
        return FL_OK;
    return fl_err_set(rows->err, FL_INVALID, "line %" PRIu32 ": \"%s\" is %s",
                      fl_json_line_at(rows->json, at), name, problem);
}

fl_status fl_json_rows_each(struct fl_json_rows *rows, size_t list, fl_json_row_reader *read)
{
    fl_status status = FL_OK;
    for (size_t at = fl_json_first_at(rows->json, list); at && status == FL_OK;
         at = fl_json_next_at(rows->json, at)) {
        struct fl_json *row;
        rows->number++;
        if (fl_json_type_at(rows->json, at) != FL_JSON_OBJECT)
            return refuse_at(rows, fl_json_line_at(rows->json, at), "it is not an object");
        status = fl_json_read_at(rows->json, at, &row, rows->err);
        if (status == FL_OK)
            status = read(rows, row);
        fl_json_free_value(row);
    }
    return status;
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

fl_status fl_json_rows_times(struct fl_json_rows *rows, const struct fl_json *object,
                             const struct fl_json *start, const struct fl_json *end,
                             struct fl_json_times *times)
{
    times->end_ms = FL_END_NONE;
    if (!start)
        return fl_json_rows_refuse(rows, object, "startTime is missing");
    struct fl_slice number = fl_json_number(rows->json, start);
    if (!number.ptr)
        return fl_json_rows_refuse(rows, start, "startTime is not a number");
    if (is_negative(number))
        return fl_json_rows_refuse(rows, start, "startTime is negative");
    if (!fl_slice_seconds_to_ms(number, &times->start_ms) || times->start_ms > FL_TIME_LIMIT_MS)
        return fl_json_rows_refuse(rows, start, "startTime is beyond 100 hours");
    if (!end)
        return FL_OK;
    number = fl_json_number(rows->json, end);
    if (!number.ptr)
        return fl_json_rows_refuse(rows, end, "endTime is not a number");
    if (is_negative(number))
        return fl_json_rows_refuse(rows, end, "endTime is negative");
    if (!fl_slice_seconds_to_ms(number, &times->end_ms))
        return fl_json_rows_refuse(rows, end, "endTime is too large");
    if (times->end_ms < times->start_ms)
        return fl_json_rows_refuse(rows, end, "endTime lies before startTime");
    return FL_OK;
}

fl_status fl_json_rows_keep(struct fl_json_rows *rows, struct fl_slice text, struct fl_slice *kept)
{
    *kept = text.len > rows->doc->limits->field_bytes ? text : fl_arena_copy(rows->doc->arena, text);
    return kept->ptr ? FL_OK : fl_json_rows_no_memory(rows);
}
