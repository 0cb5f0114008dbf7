/* manifest.c - see manifest.h. No I/O: the caller reads the lines.
 *
 * Happy path: a glance at the shape (flat, few keys), the strict JSON reader, one table of keys, then what
 * the keys say together. Failure modes: FL_INVALID with a key or a byte of the line; nested or endless
 * objects are refused by the glance, before a tree of them could take memory. */
#include "app/manifest.h"

#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/iso_time.h"
#include "base/json.h"
#include "base/nearest.h"
#include "base/slice.h"
#include "base/utf8.h"
#include "core/job.h"

enum { KEYS_LIMIT = 32, SHOWN_BYTES = 60 };

#define EXAMPLE "{\"episode\":\"ep39\",\"kind\":\"chapters\",\"source\":\"in/ep39.chapters.json\"}"

enum key {
    EPISODE,
    KIND,
    SOURCE,
    BODY,
    MODE,
    IF_VERSION,
    FORMAT,
    PRIORITY,
    NOT_BEFORE,
    STRICT,
    REPAIR,
    KEYS
};

static const struct {
    const char *name;
    enum fl_json_type type;
} KEY_TABLE[KEYS] = {
    [EPISODE] = {"episode", FL_JSON_STRING},
    [KIND] = {"kind", FL_JSON_STRING},
    [SOURCE] = {"source", FL_JSON_STRING},
    [BODY] = {"body", FL_JSON_STRING},
    [MODE] = {"mode", FL_JSON_STRING},
    [IF_VERSION] = {"if_version", FL_JSON_NUMBER},
    [FORMAT] = {"format", FL_JSON_STRING},
    [PRIORITY] = {"priority", FL_JSON_STRING},
    [NOT_BEFORE] = {"not_before", FL_JSON_STRING},
    [STRICT] = {"strict", FL_JSON_BOOL},
    [REPAIR] = {"repair", FL_JSON_BOOL},
};

/* One line while it is read. */
struct reading {
    struct fl_json_text json;
    const struct fl_json *values[KEYS]; /* NULL = not given */
    struct fl_arena *arena;
    struct fl_submit_job *job;
    size_t inline_bytes;
    struct fl_err *err;
};

size_t fl_manifest_line_bytes(size_t inline_bytes)
{
    return inline_bytes * FL_MANIFEST_ESCAPE_BYTES + FL_MANIFEST_SPARE_BYTES;
}

/* ---- shape ---- */

/* What no job line has, found without building anything: objects in it, lists, too many keys. What is no JSON
 * at all is left to the reader, which says it better. */
static fl_status check_shape(struct fl_slice line, struct fl_err *err)
{
    bool in_string = false;
    size_t keys = 0;
    unsigned depth = 0;
    for (size_t i = 0; i < line.len; i++) {
        char c = line.ptr[i];
        if (in_string && c == '\\') {
            i++;
        } else if (c == '"') {
            in_string = !in_string;
        } else if (!in_string) {
            depth += c == '{';
            keys += c == ',' || c == ':';
            if (depth > 1 || c == '[')
                return fl_err_set(err, FL_INVALID,
                                  "byte %zu: %s inside a job; a line is one flat object, such as " EXAMPLE,
                                  i + 1, c == '[' ? "a list" : "an object");
            if (keys > 2 * KEYS_LIMIT)
                return fl_err_set(err, FL_INVALID,
                                  "byte %zu: more than %d keys; a line is one job, such as " EXAMPLE, i + 1,
                                  KEYS_LIMIT);
        }
    }
    return FL_OK;
}

/* The reader counts lines, but this is one. */
static void drop_line_number(struct fl_err *err)
{
    static const char ALWAYS[] = "line 1, ";
    if (err && strncmp(err->text, ALWAYS, sizeof ALWAYS - 1) == 0)
        memmove(err->text, err->text + sizeof ALWAYS - 1, strlen(err->text) - sizeof ALWAYS + 2);
}

static fl_status parse_json(struct reading *reading, struct fl_slice line)
{
    struct fl_err *err = reading->err;
    size_t valid = fl_utf8_valid_prefix(line);
    if (valid != line.len)
        return fl_err_set(err, FL_INVALID, "byte %zu: %s", valid + 1,
                          line.ptr[valid] ? "not valid UTF-8" : "a NUL, which no text has");
    fl_status status = check_shape(line, err);
    if (status != FL_OK)
        return status;
    status = fl_json_parse(&reading->json, line, err);
    if (status != FL_OK) {
        drop_line_number(err);
        return status;
    }
    if (fl_json_type(reading->json.root) == FL_JSON_OBJECT)
        return FL_OK;
    return fl_err_set(err, FL_INVALID, "not an object; a line is one job, such as " EXAMPLE);
}

/* ---- keys ---- */

static fl_status refuse_key(const char *name, struct fl_err *err)
{
    struct fl_nearest nearest;
    fl_nearest_init(&nearest, fl_slice_from(name));
    for (size_t i = 0; i < KEYS; i++)
        fl_nearest_offer(&nearest, KEY_TABLE[i].name);
    if (nearest.best)
        return fl_err_set(err, FL_INVALID, "unknown key '%.*s'; did you mean '%s'?", SHOWN_BYTES, name,
                          nearest.best);
    return fl_err_set(
        err, FL_INVALID,
        "unknown key '%.*s'; a job has episode, kind, source or body, mode, if_version, format, "
        "priority, not_before, strict, repair",
        SHOWN_BYTES, name);
}

static fl_status check_type(enum key key, const struct fl_json *value, struct fl_err *err)
{
    static const char *const NAMES[] = {[FL_JSON_STRING] = "a text in quotes",
                                        [FL_JSON_NUMBER] = "a number",
                                        [FL_JSON_BOOL] = "true or false"};
    if (fl_json_type(value) == KEY_TABLE[key].type)
        return FL_OK;
    return fl_err_set(err, FL_INVALID, "%s must be %s", KEY_TABLE[key].name, NAMES[KEY_TABLE[key].type]);
}

static fl_status find_values(struct reading *reading)
{
    bool seen[KEYS] = {false};
    for (const struct fl_json *member = fl_json_first(reading->json.root); member;
         member = fl_json_next(member)) {
        const char *name = fl_json_name(member);
        size_t key = 0;
        while (key < KEYS && strcmp(KEY_TABLE[key].name, name) != 0)
            key++;
        if (key == KEYS)
            return refuse_key(name, reading->err);
        if (seen[key])
            return fl_err_set(reading->err, FL_INVALID, "%s is given twice", name);
        seen[key] = true;
        if (fl_json_type(member) == FL_JSON_NULL)
            continue;
        fl_status status = check_type((enum key)key, member, reading->err);
        if (status != FL_OK)
            return status;
        reading->values[key] = member;
    }
    return FL_OK;
}

/* ---- what the keys say ---- */

static struct fl_slice text_of(const struct reading *reading, enum key key)
{
    return fl_json_string(reading->values[key]);
}

static fl_status refuse_name(const struct reading *reading, enum key key, const char *right)
{
    return fl_err_set(reading->err, FL_INVALID, "unknown %s '%.*s'; it is %s", KEY_TABLE[key].name,
                      SHOWN_BYTES, text_of(reading, key).ptr, right);
}

static fl_status read_mode(struct reading *reading)
{
    struct fl_submit_job *job = reading->job;
    bool has_mode = reading->values[MODE], has_version = reading->values[IF_VERSION];
    if (has_mode && !fl_mode_from_name(text_of(reading, MODE), &job->mode))
        return refuse_name(reading, MODE, "create, replace, if-version or delete");
    if (has_version) {
        struct fl_slice number = fl_json_number(&reading->json, reading->values[IF_VERSION]);
        bool is_whole = fl_slice_take_digits(&number, &job->if_version) > 0 && number.len == 0 &&
                        job->if_version < INT64_MAX;
        if (!is_whole)
            return fl_err_set(reading->err, FL_INVALID, "if_version must be a whole number from 0 on");
        if (has_mode && job->mode != FL_MODE_IF_VERSION)
            return fl_err_set(reading->err, FL_INVALID,
                              "if_version contradicts mode '%s'; its mode is if-version",
                              fl_mode_name(job->mode));
        job->mode = FL_MODE_IF_VERSION;
    }
    if (job->mode == FL_MODE_IF_VERSION && job->if_version < 0)
        return fl_err_set(reading->err, FL_INVALID,
                          "mode if-version needs if_version, the version to replace");
    return FL_OK;
}

static bool priority_from_name(struct fl_slice name, enum fl_priority *priority)
{
    static const struct {
        const char *name;
        enum fl_priority priority;
    } PRIORITIES[] = {{"high", FL_PRIORITY_HIGH}, {"normal", FL_PRIORITY_NORMAL}, {"low", FL_PRIORITY_LOW}};
    for (size_t i = 0; i < FL_PRIORITY_COUNT; i++) {
        if (!fl_slice_is(name, PRIORITIES[i].name))
            continue;
        *priority = PRIORITIES[i].priority;
        return true;
    }
    return false;
}

static fl_status read_words(struct reading *reading)
{
    struct fl_submit_job *job = reading->job;
    if (reading->values[KIND] && (job->kind = fl_kind_from_name(text_of(reading, KIND))) == FL_KIND_NONE)
        return refuse_name(reading, KIND, "chapters or transcript");
    if (reading->values[FORMAT] &&
        (job->format = fl_format_from_name(text_of(reading, FORMAT))) == FL_FORMAT_NONE)
        return refuse_name(reading, FORMAT, "chapters-json, srt, vtt, transcript-json or timed-text");
    if (reading->values[PRIORITY] && !priority_from_name(text_of(reading, PRIORITY), &job->priority))
        return refuse_name(reading, PRIORITY, "high, normal or low");
    if (reading->values[NOT_BEFORE] && !fl_iso_time(text_of(reading, NOT_BEFORE), &job->not_before_ms))
        return fl_err_set(reading->err, FL_INVALID,
                          "not_before '%.*s' is no time; write it as 2026-02-01T10:00:00Z", SHOWN_BYTES,
                          text_of(reading, NOT_BEFORE).ptr);
    if (reading->values[STRICT])
        job->strict = fl_json_true(reading->values[STRICT]);
    if (reading->values[REPAIR])
        job->repair = fl_json_true(reading->values[REPAIR]);
    return FL_OK;
}

fl_status fl_manifest_check_source(struct fl_slice source, struct fl_err *err)
{
    size_t valid = fl_utf8_valid_prefix(source);
    if (source.len == 0)
        return fl_err_set(err, FL_INVALID, "source is empty; it is a path below source.root");
    if (source.len > FL_MANIFEST_SOURCE_BYTES)
        return fl_err_set(err, FL_INVALID, "source has %zu bytes; at most %d are allowed", source.len,
                          FL_MANIFEST_SOURCE_BYTES);
    if (valid != source.len)
        return fl_err_set(err, FL_INVALID, "source is not valid UTF-8 at byte %zu", valid + 1);
    if (source.ptr[0] == '/')
        return fl_err_set(err, FL_INVALID, "source '%.*s' is absolute; it must be relative to source.root",
                          SHOWN_BYTES, source.ptr);
    for (struct fl_slice rest = source; rest.len;) {
        const char *slash = memchr(rest.ptr, '/', rest.len);
        struct fl_slice part = fl_slice_range(rest.ptr, slash ? slash : rest.ptr + rest.len);
        if (fl_slice_is(part, ".."))
            return fl_err_set(err, FL_INVALID,
                              "source has a '..'; it must lead straight down from source.root");
        rest = fl_slice_range(part.ptr + part.len + (slash != NULL), rest.ptr + rest.len);
    }
    return FL_OK;
}

static fl_status read_input(struct reading *reading)
{
    struct fl_submit_job *job = reading->job;
    bool has_body = reading->values[BODY], has_source = reading->values[SOURCE];
    bool is_delete = job->mode == FL_MODE_DELETE;
    if (is_delete && has_body)
        return fl_err_set(reading->err, FL_INVALID, "mode delete takes no body");
    if (!is_delete && !has_body && !has_source)
        return fl_err_set(reading->err, FL_INVALID,
                          "no input; give source, a path below source.root, or body, the input itself");
    job->body = fl_arena_copy(reading->arena, text_of(reading, BODY));
    job->source = fl_arena_copy(reading->arena, text_of(reading, SOURCE));
    if ((has_body && !job->body.ptr) || (has_source && !job->source.ptr))
        return fl_err_set(reading->err, FL_NO_MEMORY, "no memory for a line of a manifest");
    if (!has_body)
        job->body = (struct fl_slice){0};
    if (!has_source)
        job->source = (struct fl_slice){0};
    if (has_body && job->body.len == 0)
        return fl_err_set(reading->err, FL_INVALID, "body is empty");
    if (job->body.len > reading->inline_bytes)
        return fl_err_set(
            reading->err, FL_INVALID,
            "body has %zu bytes, more than the %zu that a job may carry (limit.inline_bytes); put "
            "the input below source.root and give source instead",
            job->body.len, reading->inline_bytes);
    return has_source ? fl_manifest_check_source(job->source, reading->err) : FL_OK;
}

static fl_status read_document(struct reading *reading)
{
    struct fl_submit_job *job = reading->job;
    struct fl_slice named_episode = {0};
    enum fl_kind named_kind = FL_KIND_NONE;
    enum fl_format named_format;
    if (job->source.ptr)
        fl_job_from_path(job->source, &named_episode, &named_kind, &named_format);
    if (reading->values[EPISODE])
        job->episode = fl_arena_copy(reading->arena, text_of(reading, EPISODE));
    else if (!job->episode.ptr)
        job->episode = named_episode;
    if (job->kind == FL_KIND_NONE)
        job->kind = job->format != FL_FORMAT_NONE ? fl_format_kind(job->format) : named_kind;
    if (!job->episode.ptr || job->episode.len == 0)
        return fl_err_set(reading->err, FL_INVALID, "no episode; give it, as in " EXAMPLE);
    if (job->kind == FL_KIND_NONE)
        return fl_err_set(reading->err, FL_INVALID,
                          "no kind; give \"kind\":\"chapters\" or \"kind\":\"transcript\"");
    if (job->format != FL_FORMAT_NONE && fl_format_kind(job->format) != job->kind)
        return fl_err_set(reading->err, FL_INVALID, "format %s holds no %s", fl_format_name(job->format),
                          fl_kind_name(job->kind));
    return fl_episode_check(job->episode, reading->err);
}

fl_status fl_manifest_parse(struct fl_slice line, const struct fl_submit_job *defaults, size_t inline_bytes,
                            struct fl_arena *arena, struct fl_submit_job *job, struct fl_err *err)
{
    struct reading reading = {.arena = arena, .job = job, .inline_bytes = inline_bytes, .err = err};
    *job = *defaults;
    if (job->mode != FL_MODE_IF_VERSION)
        job->if_version = -1;
    fl_status status = parse_json(&reading, line);
    if (status == FL_OK)
        status = find_values(&reading);
    if (status == FL_OK)
        status = read_mode(&reading);
    if (status == FL_OK)
        status = read_words(&reading);
    if (status == FL_OK)
        status = read_input(&reading);
    if (status == FL_OK)
        status = read_document(&reading);
    fl_json_release(&reading.json);
    return status;
}
