/* parse.c - bytes to a finished document (product, "Formats").
 *
 * Happy path: the bytes are valid UTF-8 and stay where they are; the format's own reader appends rows whose
 * slices point into them; finish sorts, checks and sums up. Failure: FL_INVALID with line or byte and rule.
 */
#include "core/parse.h"

#include <inttypes.h>

#include "base/arena.h"
#include "base/slice.h"
#include "base/utf8.h"
#include "core/formats/chapters_json.h"
#include "core/formats/srt.h"
#include "core/formats/timed_text.h"
#include "core/formats/transcript_json.h"
#include "core/formats/vtt.h"

typedef fl_status text_parser(struct fl_slice text, struct fl_document *doc, struct fl_err *err);
typedef fl_status json_parser(struct fl_json_text *json, struct fl_document *doc, struct fl_err *err);

/* Repairs are made before the document exists; they are told when it does. */
struct repairs {
    size_t count;
    uint32_t first_line;
};

static uint32_t line_at(struct fl_slice text, size_t offset)
{
    return 1 + fl_slice_count_line_ends(text, 0, offset);
}

static fl_status refuse_bad_bytes(struct fl_slice text, size_t offset, struct fl_err *err)
{
    unsigned char byte = (unsigned char)text.ptr[offset];
    uint32_t line = line_at(text, offset);
    if (byte == 0)
        return fl_err_set(err, FL_INVALID, "line %" PRIu32 ", byte %zu: NUL character (--repair replaces it)",
                          line, offset + 1);
    return fl_err_set(err, FL_INVALID,
                      "line %" PRIu32 ", byte %zu: 0x%02x is not valid UTF-8 (--repair replaces such bytes)",
                      line, offset + 1, byte);
}

/* A copy in which every bad sequence is one U+FFFD. */
static fl_status repair_utf8(struct fl_slice *text, struct fl_arena *arena, struct repairs *repairs,
                             struct fl_err *err)
{
    char *copy = fl_arena_alloc(arena, text->len * 3 + 1);
    if (!copy)
        return fl_err_set(err, FL_NO_MEMORY, "no memory to repair %zu bytes", text->len);
    char *end = copy;
    struct fl_slice rest = *text;
    while (rest.len) {
        size_t good = fl_utf8_valid_prefix(rest);
        for (size_t i = 0; i < good; i++)
            *end++ = rest.ptr[i];
        rest = (struct fl_slice){rest.ptr + good, rest.len - good};
        if (rest.len == 0)
            break;
        if (repairs->count++ == 0)
            repairs->first_line = line_at(*text, (size_t)(rest.ptr - text->ptr));
        size_t bad = fl_utf8_bad_length(rest);
        rest = (struct fl_slice){rest.ptr + bad, rest.len - bad};
        end += fl_utf8_put(0xfffd, end);
    }
    *text = fl_slice_range(copy, end);
    return FL_OK;
}

static uint32_t utf16_unit(const unsigned char *at, bool big_endian)
{
    return big_endian ? (uint32_t)at[0] << 8 | at[1] : (uint32_t)at[1] << 8 | at[0];
}

/* UTF-16 with its BOM already taken off. A lone surrogate or an odd last byte is bad input, or U+FFFD by
 * repair. */
static fl_status decode_utf16(struct fl_slice *text, bool big_endian, bool repair, struct fl_arena *arena,
                              struct repairs *repairs, struct fl_err *err)
{
    char *copy = fl_arena_alloc(arena, text->len / 2 * 3 + 4);
    if (!copy)
        return fl_err_set(err, FL_NO_MEMORY, "no memory to decode %zu bytes of UTF-16", text->len);
    char *out = copy;
    const unsigned char *in = (const unsigned char *)text->ptr;
    for (size_t at = 0; at < text->len; at += 2) {
        uint32_t unit = at + 1 < text->len ? utf16_unit(in + at, big_endian) : 0xdc00;
        if (unit >= 0xd800 && unit < 0xdc00 && at + 3 < text->len) {
            uint32_t low = utf16_unit(in + at + 2, big_endian);
            if (low >= 0xdc00 && low < 0xe000) {
                unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                at += 2;
            }
        }
        bool bad = unit >= 0xd800 && unit < 0xe000;
        if (bad && !repair)
            return fl_err_set(err, FL_INVALID, "byte %zu: not valid UTF-16 (--repair replaces it)", at + 3);
        if (bad && repairs->count++ == 0)
            repairs->first_line = line_at(fl_slice_range(copy, out), (size_t)(out - copy));
        out += fl_utf8_put(bad ? 0xfffd : unit, out);
    }
    *text = fl_slice_range(copy, out);
    return FL_OK;
}

static fl_status decode(struct fl_slice *text, const struct fl_limits *limits, struct fl_arena *arena,
                        struct repairs *repairs, struct fl_err *err)
{
    bool big_endian = fl_slice_starts(*text, "\xfe\xff");
    if (big_endian || fl_slice_starts(*text, "\xff\xfe")) {
        *text = (struct fl_slice){text->ptr + 2, text->len - 2};
        fl_status status = decode_utf16(text, big_endian, limits->repair, arena, repairs, err);
        if (status != FL_OK)
            return status;
    }
    size_t valid = fl_utf8_valid_prefix(*text);
    if (valid != text->len && !limits->repair)
        return refuse_bad_bytes(*text, valid, err);
    if (valid != text->len) {
        fl_status status = repair_utf8(text, arena, repairs, err);
        if (status != FL_OK)
            return status;
    }
    if (fl_slice_starts(*text, "\xef\xbb\xbf"))
        *text = (struct fl_slice){text->ptr + 3, text->len - 3};
    return FL_OK;
}

static bool is_json_format(enum fl_format format)
{
    return format == FL_FORMAT_CHAPTERS_JSON || format == FL_FORMAT_TRANSCRIPT_JSON;
}

static bool looks_like_json(struct fl_slice text)
{
    struct fl_slice rest = fl_slice_trim(text);
    return rest.len && (rest.ptr[0] == '{' || (rest.ptr[0] == '[' && !fl_timed_text_sniff(text)));
}

/* Content first, name second. */
static enum fl_format choose_text_format(struct fl_slice text, const struct fl_parse_hint *hint)
{
    if (fl_vtt_sniff(text))
        return FL_FORMAT_VTT;
    if (fl_srt_sniff(text))
        return FL_FORMAT_SRT;
    if (fl_timed_text_sniff(text))
        return FL_FORMAT_TIMED_TEXT;
    return hint->name_format;
}

static fl_status choose_json_format(const struct fl_json_text *json, const struct fl_parse_hint *hint,
                                    enum fl_format *format, struct fl_err *err)
{
    bool found;
    *format = FL_FORMAT_CHAPTERS_JSON;
    fl_status status = fl_chapters_json_sniff(json, &found, err);
    if (status != FL_OK || found)
        return status;
    *format = FL_FORMAT_TRANSCRIPT_JSON;
    status = fl_transcript_json_sniff(json, &found, err);
    if (status != FL_OK || found)
        return status;
    *format = is_json_format(hint->name_format) ? hint->name_format
              : hint->kind == FL_CHAPTERS       ? FL_FORMAT_CHAPTERS_JSON
              : hint->kind == FL_TRANSCRIPT     ? FL_FORMAT_TRANSCRIPT_JSON
                                                : FL_FORMAT_NONE;
    return FL_OK;
}

static fl_status check_choice(enum fl_format format, const struct fl_parse_hint *hint, struct fl_err *err)
{
    if (format == FL_FORMAT_NONE)
        return fl_err_set(
            err, FL_INVALID,
            "unknown format: neither chapters JSON, transcript JSON, SubRip, WebVTT nor timed text; "
            "name it with --format");
    if (hint->kind != FL_KIND_NONE && fl_format_kind(format) != hint->kind)
        return fl_err_set(err, FL_INVALID, "wrong kind: the file holds %s (%s), but %s were asked for",
                          fl_kind_name(fl_format_kind(format)), fl_format_name(format),
                          hint->kind == FL_CHAPTERS ? "chapters" : "transcripts");
    return FL_OK;
}

static fl_status parse_text(struct fl_slice text, enum fl_format format, struct fl_document *doc,
                            struct fl_err *err)
{
    switch (format) {
    case FL_FORMAT_VTT: return fl_vtt_parse(text, doc, err);
    case FL_FORMAT_SRT: return fl_srt_parse(text, doc, err);
    case FL_FORMAT_TIMED_TEXT: return fl_timed_text_parse(text, doc, err);
    case FL_FORMAT_NONE:
    case FL_FORMAT_CHAPTERS_JSON:
    case FL_FORMAT_TRANSCRIPT_JSON: break;
    }
    return fl_err_set(err, FL_INVALID, "the file is not JSON, which %s needs", fl_format_name(format));
}

static void tell_repairs(const struct repairs *repairs, struct fl_document *doc)
{
    if (repairs->count)
        fl_document_warn(
            doc, repairs->first_line, "repaired",
            "%zu characters that Postgres cannot store were replaced by U+FFFD, the first in this line",
            repairs->count);
}

static fl_status parse_as_json(struct fl_slice text, const struct fl_parse_hint *hint,
                               const struct fl_limits *limits, const struct repairs *repairs,
                               struct fl_document *doc, struct fl_arena *arena, struct fl_err *err)
{
    struct fl_json_text json;
    fl_status status = fl_json_open(&json, text, err);
    if (status != FL_OK)
        return status;
    enum fl_format format = hint->format;
    if (!format)
        status = choose_json_format(&json, hint, &format, err);
    if (status == FL_OK)
        status = check_choice(format, hint, err);
    if (status == FL_OK) {
        fl_document_init(doc, arena, limits, format);
        tell_repairs(repairs, doc);
        json_parser *parse =
            format == FL_FORMAT_CHAPTERS_JSON ? fl_chapters_json_parse : fl_transcript_json_parse;
        status = parse(&json, doc, err);
    }
    fl_json_release(&json);
    return status;
}

fl_status fl_parse_document(struct fl_slice bytes, const struct fl_parse_hint *hint,
                            const struct fl_limits *limits, struct fl_arena *arena, struct fl_document *doc,
                            struct fl_err *err)
{
    struct repairs repairs = {0};
    struct fl_slice text = bytes;
    if (bytes.len > limits->file_bytes)
        return fl_err_set(err, FL_INVALID, "%zu bytes are more than the limit of %zu (limit.file_bytes)",
                          bytes.len, limits->file_bytes);
    if (bytes.len == 0)
        return fl_err_set(err, FL_INVALID, "the file is empty");
    fl_status status = decode(&text, limits, arena, &repairs, err);
    if (status != FL_OK)
        return status;
    if (hint->format ? is_json_format(hint->format) : looks_like_json(text)) {
        status = parse_as_json(text, hint, limits, &repairs, doc, arena, err);
        return status == FL_OK ? fl_document_finish(doc, err) : status;
    }
    enum fl_format format = hint->format ? hint->format : choose_text_format(text, hint);
    status = check_choice(format, hint, err);
    if (status != FL_OK)
        return status;
    fl_document_init(doc, arena, limits, format);
    tell_repairs(&repairs, doc);
    status = parse_text(text, format, doc, err);
    return status == FL_OK ? fl_document_finish(doc, err) : status;
}
