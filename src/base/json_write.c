/* json_write.c - JSON to a stream, with a small fixed stack that knows where the next comma goes.
 *
 * Happy path: every value passes begin_value, which puts the comma and checks that a value may stand here;
 * strings are written in runs between the characters that need an escape. Failure modes: the stream fails
 * (ferror stays set, nothing is lost track of); the caller writes out of turn: abort, because half a line of
 * machine output that looks whole is worse than none. */
#include "base/json_write.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/utf8.h"

void fl_json_write_init(struct fl_json_writer *writer, FILE *out)
{
    *writer = (struct fl_json_writer){.out = out};
}

static void put(struct fl_json_writer *writer, struct fl_slice text)
{
    if (text.len)
        fwrite(text.ptr, 1, text.len, writer->out);
}

static void begin_value(struct fl_json_writer *writer)
{
    unsigned depth = writer->depth;
    FL_ASSERT(depth > 0 || !writer->levels[0].has_value); /* one document a line */
    FL_ASSERT(writer->levels[depth].has_name == writer->levels[depth].is_object);
    if (writer->levels[depth].has_value && !writer->levels[depth].is_object)
        putc(',', writer->out);
    writer->levels[depth].has_value = true;
    writer->levels[depth].has_name = false;
}

static void begin_level(struct fl_json_writer *writer, bool is_object)
{
    begin_value(writer);
    FL_ASSERT(writer->depth < FL_JSON_WRITE_DEPTH_LIMIT);
    writer->depth++;
    memset(&writer->levels[writer->depth], 0, sizeof writer->levels[0]);
    writer->levels[writer->depth].is_object = is_object;
    putc(is_object ? '{' : '[', writer->out);
}

static void end_level(struct fl_json_writer *writer, bool is_object)
{
    FL_ASSERT(writer->depth > 0);
    FL_ASSERT(writer->levels[writer->depth].is_object == is_object); /* the end matches its begin */
    FL_ASSERT(!writer->levels[writer->depth].has_name);              /* no name without a value */
    writer->depth--;
    putc(is_object ? '}' : ']', writer->out);
}

void fl_json_write_begin_object(struct fl_json_writer *writer)
{
    begin_level(writer, true);
}

void fl_json_write_end_object(struct fl_json_writer *writer)
{
    end_level(writer, true);
}

void fl_json_write_begin_array(struct fl_json_writer *writer)
{
    begin_level(writer, false);
}

void fl_json_write_end_array(struct fl_json_writer *writer)
{
    end_level(writer, false);
}

size_t fl_json_escape(uint32_t character, char out[FL_JSON_ESCAPE_BYTES])
{
    static const char SHORT_FORMS[][2] = {{'"', '"'},  {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'},
                                          {'\n', 'n'}, {'\r', 'r'},  {'\t', 't'}};
    out[0] = '\\';
    for (size_t i = 0; i < sizeof SHORT_FORMS / sizeof *SHORT_FORMS; i++) {
        if (character != (unsigned char)SHORT_FORMS[i][0])
            continue;
        out[1] = SHORT_FORMS[i][1];
        return 2;
    }
    if (!fl_utf8_is_control(character) && !fl_utf8_turns_direction(character))
        return 0;
    out[1] = 'u'; /* all of them lie below U+10000 */
    for (int i = 0; i < 4; i++)
        out[2 + i] = "0123456789abcdef"[character >> (12 - 4 * i) & 0xf];
    return FL_JSON_ESCAPE_BYTES;
}

static bool is_plain(char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* The escape of a character inside JSON text. There quotes and backslashes are syntax, and a line end or tab
 * can only be space between values. */
static size_t escape_json(uint32_t character, char out[FL_JSON_ESCAPE_BYTES])
{
    if (character >= 0x7f)
        return fl_json_escape(character, out);
    out[0] = ' ';
    return character < 0x20;
}

static void put_valid(struct fl_json_writer *writer, struct fl_slice text, bool is_json)
{
    const char *run = text.ptr;
    while (text.len) {
        const char *at = text.ptr;
        if (is_plain(*at)) {
            text.ptr++;
            text.len--;
            continue;
        }
        char escape[FL_JSON_ESCAPE_BYTES];
        uint32_t character = fl_utf8_next(&text);
        size_t escape_bytes = is_json ? escape_json(character, escape) : fl_json_escape(character, escape);
        if (!escape_bytes)
            continue;
        put(writer, (struct fl_slice){run, (size_t)(at - run)});
        put(writer, (struct fl_slice){escape, escape_bytes});
        run = text.ptr;
    }
    put(writer, (struct fl_slice){run, (size_t)(text.ptr - run)});
}

static void put_safe(struct fl_json_writer *writer, struct fl_slice text, bool is_json)
{
    while (text.len) {
        size_t valid_bytes = fl_utf8_valid_prefix(text);
        put_valid(writer, (struct fl_slice){text.ptr, valid_bytes}, is_json);
        text.ptr += valid_bytes;
        text.len -= valid_bytes;
        if (!text.len)
            break;
        bool is_nul = *text.ptr == '\0'; /* valid UTF-8, but ends the valid prefix */
        size_t bad_bytes = is_nul ? 1 : fl_utf8_bad_length(text);
        put(writer, is_nul ? FL_SLICE("\\u0000") : FL_SLICE("\xef\xbf\xbd"));
        text.ptr += bad_bytes;
        text.len -= bad_bytes;
    }
}

static void put_string(struct fl_json_writer *writer, struct fl_slice text)
{
    putc('"', writer->out);
    put_safe(writer, text, false);
    putc('"', writer->out);
}

void fl_json_write_name(struct fl_json_writer *writer, const char *name)
{
    unsigned depth = writer->depth;
    FL_ASSERT(writer->levels[depth].is_object);
    FL_ASSERT(!writer->levels[depth].has_name);
    if (writer->levels[depth].has_value)
        putc(',', writer->out);
    put_string(writer, (struct fl_slice){name, strlen(name)});
    putc(':', writer->out);
    writer->levels[depth].has_name = true;
}

void fl_json_write_string(struct fl_json_writer *writer, struct fl_slice text)
{
    if (!text.ptr) {
        fl_json_write_null(writer);
        return;
    }
    begin_value(writer);
    put_string(writer, text);
}

void fl_json_write_int64(struct fl_json_writer *writer, int64_t number)
{
    begin_value(writer);
    fprintf(writer->out, "%" PRId64, number);
}

void fl_json_write_bool(struct fl_json_writer *writer, bool value)
{
    fl_json_write_raw(writer, value ? FL_SLICE("true") : FL_SLICE("false"));
}

void fl_json_write_null(struct fl_json_writer *writer)
{
    fl_json_write_raw(writer, FL_SLICE("null"));
}

void fl_json_write_raw(struct fl_json_writer *writer, struct fl_slice json)
{
    begin_value(writer);
    put_safe(writer, json.ptr ? json : FL_SLICE("null"), true);
}

void fl_json_write_end_line(struct fl_json_writer *writer)
{
    FL_ASSERT(writer->depth == 0 && writer->levels[0].has_value); /* a complete document */
    writer->levels[0].has_value = false;
    putc('\n', writer->out);
}
