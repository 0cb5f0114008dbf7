/* json.c - the tree of a JSON document: cJSON behind a strict scanner (json_scan.c).
 *
 * Happy path: the scanner refuses what RFC 8259 refuses and what Postgres could not store, and notes where
 * each value begins, in document order. cJSON then builds the tree, and one walk over it in the same order
 * gives each node its place. Two fields of cJSON that hold numbers as int and double are never read as
 * numbers here, so they carry the place instead:
 *   valueint      offset of the value in the text (the scanner refuses a text beyond INT_MAX)
 *   valuestring   of a number: its text, borrowed (marked cJSON_IsReference, so cJSON does not free it)
 *   valuedouble   of a number: the length of that text
 * Failure modes: what the scanner refuses (FL_INVALID); no memory; a cJSON that sees another tree than the
 * scanner did (FL_FAILED). cJSON notes the place of its last error in a global of its own: nobody reads it,
 * so parsing on several threads at once is harmless. */
#include "base/json.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json_scan.h"
#include "base/json_write.h"
#include "base/slice.h"

enum { CJSON_NUMBER_BYTES = 60 /* releases of cJSON up to 1.7.18 cut longer numbers at 63 */ };

/* The text from a value on. */
static struct fl_slice text_from(const struct fl_json_scan *scan, size_t offset)
{
    return (struct fl_slice){scan->text.ptr + offset, scan->text.len - offset};
}

/* A copy of a part of the text, in which "0" and spaces stand for every number that is too long for cJSON: it
 * needs only to see that there is one. NULL without memory. */
static char *blank_long_numbers(const struct fl_json_scan *scan, struct fl_slice part)
{
    size_t skipped = (size_t)(part.ptr - scan->text.ptr);
    char *copy = malloc(part.len);
    if (!copy)
        return NULL;
    memcpy(copy, part.ptr, part.len);
    for (size_t i = 0; i < scan->count; i++) {
        size_t length = fl_json_scan_number_bytes(text_from(scan, scan->offsets[i]));
        if (length <= CJSON_NUMBER_BYTES)
            continue;
        memset(copy + scan->offsets[i] - skipped, ' ', length);
        copy[scan->offsets[i] - skipped] = '0';
    }
    return copy;
}

/* Notes the place in the node. False if the value there is not of the node's type. */
static bool place(const struct fl_json_scan *scan, cJSON *node, size_t offset)
{
    struct fl_slice text = text_from(scan, offset);
    node->valueint = (int)offset;
    switch (node->type & 0xff) {
    case cJSON_Object: return *text.ptr == '{';
    case cJSON_Array: return *text.ptr == '[';
    case cJSON_String: return *text.ptr == '"' && node->valuestring;
    case cJSON_True: return *text.ptr == 't';
    case cJSON_False: return *text.ptr == 'f';
    case cJSON_NULL: return *text.ptr == 'n';
    case cJSON_Number: break;
    default: return false;
    }
    size_t length = fl_json_scan_number_bytes(text);
    node->type |= cJSON_IsReference;
    node->valuestring = (char *)(uintptr_t)text.ptr;
    node->valuedouble = (double)length;
    return length > 0;
}

/* Gives each node its place, in document order. False if the tree is not the one the scanner saw. */
static bool place_all(const struct fl_json_scan *scan, cJSON *root)
{
    cJSON *parents[FL_JSON_DEPTH_LIMIT];
    size_t depth = 0, i = 0;
    for (cJSON *node = root; node; i++) {
        if (i == scan->count || !place(scan, node, scan->offsets[i]))
            return false;
        if (node->child && depth == FL_JSON_DEPTH_LIMIT)
            return false;
        if (node->child) {
            parents[depth++] = node;
            node = node->child;
            continue;
        }
        while (depth && !node->next)
            node = parents[--depth];
        node = node->next;
    }
    return i == scan->count;
}

/* The tree of the part of the text that was scanned. */
static fl_status build(const struct fl_json_scan *scan, struct fl_slice part, cJSON **root,
                       struct fl_err *err)
{
    bool has_long_number = scan->longest_number_bytes > CJSON_NUMBER_BYTES;
    char *copy = has_long_number ? blank_long_numbers(scan, part) : NULL;
    if (!has_long_number || copy)
        *root = cJSON_ParseWithLength(copy ? copy : part.ptr, part.len);
    free(copy);
    /* The text is strict JSON by now, so what cJSON can still lack is memory. */
    if (!*root)
        return fl_err_set(err, FL_NO_MEMORY, "no memory for the tree of a JSON document");
    if (place_all(scan, *root))
        return FL_OK;
    cJSON_Delete(*root);
    *root = NULL;
    return fl_err_set(err, FL_FAILED, "cJSON %s reads this JSON document differently than its grammar says",
                      cJSON_Version());
}

fl_status fl_json_parse(struct fl_json_text *json, struct fl_slice text, struct fl_err *err)
{
    *json = (struct fl_json_text){.text = text, .line_number = 1};
    struct fl_json_scan scan;
    cJSON *root = NULL;
    fl_status status = fl_json_scan(&scan, text, err);
    if (status == FL_OK)
        status = build(&scan, text, &root, err);
    fl_json_scan_release(&scan);
    json->root = (struct fl_json *)(void *)root;
    return status;
}

/* struct fl_json is a name for cJSON that other files cannot look into. */
static const cJSON *node_of(const struct fl_json *value)
{
    return (const cJSON *)(const void *)value;
}

static const struct fl_json *value_of(const cJSON *node)
{
    return (const struct fl_json *)(const void *)node;
}

void fl_json_release(struct fl_json_text *json)
{
    cJSON_Delete((cJSON *)(void *)json->root); /* recursive, but no deeper than the scanner allows */
    json->root = NULL;
}

enum fl_json_type fl_json_type(const struct fl_json *value)
{
    switch (node_of(value)->type & 0xff) {
    case cJSON_Object: return FL_JSON_OBJECT;
    case cJSON_Array: return FL_JSON_ARRAY;
    case cJSON_String: return FL_JSON_STRING;
    case cJSON_Number: return FL_JSON_NUMBER;
    case cJSON_NULL: return FL_JSON_NULL;
    default: return FL_JSON_BOOL;
    }
}

const struct fl_json *fl_json_first(const struct fl_json *value)
{
    return value ? value_of(node_of(value)->child) : NULL;
}

const struct fl_json *fl_json_next(const struct fl_json *value)
{
    return value_of(node_of(value)->next);
}

const char *fl_json_name(const struct fl_json *value)
{
    const char *name = node_of(value)->string;
    return name ? name : "";
}

const struct fl_json *fl_json_get(const struct fl_json *value, const char *name)
{
    if (!value || fl_json_type(value) != FL_JSON_OBJECT)
        return NULL;
    const struct fl_json *member = fl_json_first(value);
    while (member && strcmp(fl_json_name(member), name) != 0)
        member = fl_json_next(member);
    return member;
}

struct fl_slice fl_json_string(const struct fl_json *value)
{
    if (!value || fl_json_type(value) != FL_JSON_STRING)
        return (struct fl_slice){0};
    const char *text = node_of(value)->valuestring;
    return (struct fl_slice){text, strlen(text)};
}

bool fl_json_true(const struct fl_json *value)
{
    return value && cJSON_IsTrue(node_of(value));
}

struct fl_slice fl_json_number(const struct fl_json_text *json, const struct fl_json *value)
{
    if (!value || fl_json_type(value) != FL_JSON_NUMBER)
        return (struct fl_slice){0};
    const cJSON *node = node_of(value);
    return (struct fl_slice){json->text.ptr + node->valueint, (size_t)node->valuedouble};
}

uint32_t fl_json_line(struct fl_json_text *json, const struct fl_json *value)
{
    return fl_json_line_at(json, (size_t)node_of(value)->valueint);
}

uint32_t fl_json_line_at(struct fl_json_text *json, size_t offset)
{
    if (offset >= json->line_offset)
        json->line_number += fl_slice_count_line_ends(json->text, json->line_offset, offset);
    else
        json->line_number -= fl_slice_count_line_ends(json->text, offset, json->line_offset);
    json->line_offset = offset;
    return json->line_number;
}

/* ---- without a tree of the whole ---- */

fl_status fl_json_open(struct fl_json_text *json, struct fl_slice text, struct fl_err *err)
{
    *json = (struct fl_json_text){.text = text, .line_number = 1};
    return fl_json_scan_check(text, err);
}

size_t fl_json_root_at(const struct fl_json_text *json)
{
    return fl_json_scan_skip_space(json->text, 0);
}

size_t fl_json_first_at(const struct fl_json_text *json, size_t offset)
{
    size_t at = fl_json_scan_skip_space(json->text, offset + 1);
    return json->text.ptr[at] == '}' || json->text.ptr[at] == ']' ? 0 : at;
}

size_t fl_json_member_at(const struct fl_json_text *json, size_t offset)
{
    size_t colon = fl_json_scan_skip_space(json->text, fl_json_scan_skip(json->text, offset));
    return fl_json_scan_skip_space(json->text, colon + 1);
}

size_t fl_json_next_at(const struct fl_json_text *json, size_t offset)
{
    size_t at = fl_json_scan_skip_space(json->text, fl_json_scan_skip(json->text, offset));
    if (json->text.ptr[at] == ':') { /* that was the name of a member */
        at = fl_json_scan_skip_space(json->text, at + 1);
        at = fl_json_scan_skip_space(json->text, fl_json_scan_skip(json->text, at));
    }
    return json->text.ptr[at] == ',' ? fl_json_scan_skip_space(json->text, at + 1) : 0;
}

enum fl_json_type fl_json_type_at(const struct fl_json_text *json, size_t offset)
{
    switch (json->text.ptr[offset]) {
    case '{': return FL_JSON_OBJECT;
    case '[': return FL_JSON_ARRAY;
    case '"': return FL_JSON_STRING;
    case 't':
    case 'f': return FL_JSON_BOOL;
    case 'n': return FL_JSON_NULL;
    default: return FL_JSON_NUMBER;
    }
}

fl_status fl_json_read_at(const struct fl_json_text *json, size_t offset, struct fl_json **value,
                          struct fl_err *err)
{
    struct fl_json_scan scan;
    cJSON *root = NULL;
    size_t end = offset;
    fl_status status = fl_json_scan_value(&scan, json->text, offset, &end, err);
    if (status == FL_OK)
        status = build(&scan, (struct fl_slice){json->text.ptr + offset, end - offset}, &root, err);
    fl_json_scan_release(&scan);
    *value = (struct fl_json *)(void *)root;
    return status;
}

void fl_json_free_value(struct fl_json *value)
{
    cJSON_Delete((cJSON *)(void *)value);
}

/* Where print puts its bytes; without `out` it only counts them. */
struct sink {
    char *out;
    size_t length;
};

static void put(struct sink *sink, const char *text, size_t length)
{
    if (sink->out)
        memcpy(sink->out + sink->length, text, length);
    sink->length += length;
}

static void put_string(struct sink *sink, const char *text)
{
    put(sink, "\"", 1);
    const char *run = text;
    for (; *text; text++) {
        char escape[FL_JSON_ESCAPE_BYTES];
        size_t escape_bytes = (unsigned char)*text < 0x80 ? fl_json_escape((unsigned char)*text, escape) : 0;
        if (!escape_bytes)
            continue; /* bytes of longer characters stand for themselves */
        put(sink, run, (size_t)(text - run));
        put(sink, escape, escape_bytes);
        run = text + 1;
    }
    put(sink, run, (size_t)(text - run));
    put(sink, "\"", 1);
}

/* Recursive, but no deeper than the scanner allows. */
static void put_value(struct sink *sink, const cJSON *node)
{
    bool is_object = cJSON_IsObject(node);
    if (is_object || cJSON_IsArray(node)) {
        put(sink, is_object ? "{" : "[", 1);
        for (const cJSON *child = node->child; child; child = child->next) {
            if (is_object)
                put_string(sink, child->string);
            if (is_object)
                put(sink, ":", 1);
            put_value(sink, child);
            if (child->next)
                put(sink, ",", 1);
        }
        put(sink, is_object ? "}" : "]", 1);
    } else if (cJSON_IsString(node)) {
        put_string(sink, node->valuestring);
    } else if (cJSON_IsNumber(node)) {
        put(sink, node->valuestring, (size_t)node->valuedouble);
    } else {
        const char *word = cJSON_IsNull(node) ? "null" : cJSON_IsTrue(node) ? "true" : "false";
        put(sink, word, strlen(word));
    }
}

struct fl_slice fl_json_print(struct fl_arena *arena, const struct fl_json *value)
{
    struct sink counted = {0}, written = {0};
    put_value(&counted, node_of(value));
    written.out = fl_arena_alloc(arena, counted.length);
    if (!written.out)
        return (struct fl_slice){0};
    put_value(&written, node_of(value));
    return (struct fl_slice){written.out, written.length};
}
