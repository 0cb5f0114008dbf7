/* test_export.c - documents written out again: hostile random documents through every writer and back through
 * the parser that imports, and one named case for each thing that could break that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h> /* needs the headers above */

#include "base/arena.h"
#include "base/slice.h"
#include "core/export.h"
#include "core/formats/location.h"
#include "core/parse.h"

enum {
    ARENA_BYTES = 1 << 30,
    DOCUMENTS = 10000, /* per format, of those that it carries */
    ANY_DOCUMENTS = 5000,
    ROWS_MAX = 6,
    PIECES_MAX = 7,
    LOSSES_KEPT = 256,
    MANY_ROWS = 20000, /* enough for anything quadratic to take minutes */
    CPU_SECONDS_LIMIT = 20,
};

static const struct fl_limits LIMITS = {.file_bytes = 1 << 26, .rows = 200000, .field_bytes = 1 << 16};

/* One document, what was written of it, what was told, and what is read from the text. */
struct trip {
    struct fl_arena arena, back_arena;
    struct fl_document doc, back;
    struct fl_err err;
    fl_status status, back_status;
    char *text;
    size_t text_bytes;
    size_t loss_count;
    struct {
        size_t row;
        char rule[16], text[200];
    } losses[LOSSES_KEPT]; /* the first loss_count of them */
};

static void begin(struct trip *t, enum fl_format format)
{
    memset(t, 0, offsetof(struct trip, losses));
    fl_arena_init(&t->arena, ARENA_BYTES);
    fl_arena_init(&t->back_arena, ARENA_BYTES);
    fl_document_init(&t->doc, &t->arena, &LIMITS, format);
}

static void release(struct trip *t)
{
    fl_arena_release(&t->arena);
    fl_arena_release(&t->back_arena);
    free(t->text);
}

static void keep_loss(void *context, const struct fl_export_loss *loss)
{
    struct trip *t = context;
    size_t i = t->loss_count++;
    assert_non_null(loss->rule);
    assert_true(strlen(loss->text) > 10);
    if (i >= LOSSES_KEPT)
        return;
    t->losses[i].row = loss->row;
    snprintf(t->losses[i].rule, sizeof t->losses[i].rule, "%s", loss->rule);
    snprintf(t->losses[i].text, sizeof t->losses[i].text, "%s", loss->text);
}

static void add_segment(struct trip *t, int64_t start_ms, int64_t end_ms, struct fl_slice speaker,
                        struct fl_slice body)
{
    struct fl_segment row = {.start_ms = start_ms, .end_ms = end_ms, .speaker = speaker, .body = body};
    assert_int_equal(fl_document_add_segment(&t->doc, &row, &t->err), FL_OK);
}

/* Writes t->doc as it is, and reads the text as `check FILE` would: nothing said about its format. */
static void export(struct trip *t)
{
    FILE *out = open_memstream(&t->text, &t->text_bytes);
    assert_non_null(out);
    t->status = fl_export_document(&t->doc, out, keep_loss, t, &t->err);
    assert_int_equal(fclose(out), 0);
    if (t->status != FL_OK)
        return;
    static const struct fl_limits NO_LIMITS = {SIZE_MAX, SIZE_MAX, SIZE_MAX, false, false};
    t->back_status = fl_parse_document((struct fl_slice){t->text, t->text_bytes}, &(struct fl_parse_hint){0},
                                       &NO_LIMITS, &t->back_arena, &t->back, &t->err);
}

static bool same_text(struct fl_slice a, struct fl_slice b)
{
    return !a.ptr == !b.ptr && fl_slice_eq(a, b);
}

static bool same_row(const struct trip *t, size_t row, size_t read)
{
    if (t->doc.kind == FL_CHAPTERS) {
        const struct fl_chapter *a = &t->doc.chapters[row], *b = &t->back.chapters[read];
        return a->start_ms == b->start_ms && a->end_ms == b->end_ms && same_text(a->title, b->title) &&
               same_text(a->url, b->url) && same_text(a->img, b->img) &&
               same_text(a->location, b->location) && a->toc == b->toc;
    }
    const struct fl_segment *a = &t->doc.segments[row], *b = &t->back.segments[read];
    return a->start_ms == b->start_ms && a->end_ms == b->end_ms && same_text(a->speaker, b->speaker) &&
           same_text(a->body, b->body);
}

static bool is_told(const struct trip *t, size_t row, const char *rule)
{
    for (size_t i = 0; i < t->loss_count; i++)
        if (t->losses[i].row == row && (!rule || strcmp(t->losses[i].rule, rule) == 0))
            return true;
    return false;
}

static void print_trip(const struct trip *t, const char *what, size_t row)
{
    print_error("%s, row %zu; written:\n%.*s\n", what, row, (int)t->text_bytes, t->text);
    for (size_t i = 0; i < t->loss_count && i < LOSSES_KEPT; i++)
        print_error("told: row %zd %s: %s\n", (ssize_t)t->losses[i].row, t->losses[i].rule,
                    t->losses[i].text);
}

/* Every row comes back the same, and nothing is told. */
static bool is_exact(const struct trip *t)
{
    bool exact = t->status == FL_OK && t->back_status == FL_OK && t->loss_count == 0 &&
                 t->back.format == t->doc.format && t->back.row_count == t->doc.row_count;
    if (!exact)
        print_trip(t, "losses, or not read back", 0);
    for (size_t row = 0; exact && row < t->doc.row_count; row++) {
        exact = same_row(t, row, row);
        if (!exact)
            print_trip(t, "a row that is not the same", row);
    }
    return exact;
}

static void assert_exact(struct trip *t)
{
    export(t);
    assert_true(is_exact(t));
    assert_memory_equal(t->doc.sha256, t->back.sha256, FL_SHA256_BYTES);
}

/* What is told is what happened, row by row: rows said to be lost are not there, rows that differ are told,
 * and all others are the same and in their place. */
static bool is_honest(const struct trip *t)
{
    size_t read = 0;
    if (t->status != FL_OK)
        return false;
    if (t->back_status != FL_OK) {
        bool told = is_told(t, FL_EXPORT_WHOLE, "refused");
        if (!told)
            print_trip(t, "refused, and not told", 0);
        return told;
    }
    for (size_t row = 0; row < t->doc.row_count; row++) {
        if (is_told(t, row, "lost"))
            continue;
        bool same = read < t->back.row_count && same_row(t, row, read);
        if (read >= t->back.row_count || same == is_told(t, row, NULL)) {
            print_trip(t, same ? "the same, but told" : "differs, but not told", row);
            return false;
        }
        read++;
    }
    if (read != t->back.row_count)
        print_trip(t, "rows too many", read);
    return read == t->back.row_count;
}

/* ---- hostile documents ---- */

static uint64_t random_state;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static size_t random_below(size_t limit)
{
    return (size_t)(next_random() >> 11) % limit;
}

static const char *const PIECES[] = {
    "-->",
    "--",
    ">",
    "-",
    "\n",
    "\n\n",
    "\r",
    "\r\n",
    " ",
    "\t",
    "  \n  ",
    "\v",
    "\f",
    "<",
    "{",
    "}",
    "/",
    "\\",
    "<i>",
    "</i>",
    "<B>",
    "</font>",
    "<font a=1>",
    "{\\an8}",
    "{b}",
    "{/i}",
    "<v Bob>",
    "</v>",
    "<c></c>",
    "<i></i>",
    "&",
    "&amp;",
    "&lt",
    "&#13;",
    "&#x0a;",
    "&nbsp;",
    ";",
    "#",
    "7",
    "12\n",
    "\n3\n",
    "Foo: ",
    "Foo:",
    "- ",
    ">> Ann: ",
    "ann lee: ",
    "Note: ",
    "https://a.b",
    "10:30",
    "NOTE x",
    "STYLE",
    "WEBVTT",
    "[00:01:02]",
    "\xe2\x80\xa8",
    "\xef\xbb\xbf",
    "\xc3\xa9",
    "\xf0\x9f\x99\x82",
    "\"",
    "'",
    "\x7f",
    "\x01",
    "\xc2\x85",
    "a",
    "word ",
    "00:00:01,000 --> 00:00:02,000",
    "\n00:00:01.000 --> 00:00:02.000\n",
    "00:01 -->",
    "{\"segments\":[",
    "\xef\xbf\xbf",
    "ZOE: ",
    "i>",
    "\\n",
    "X",
    "\xc2\xa0",
    "null",
    ",",
    "<00:01.000>",
    "<ruby>a<rt>b",
};

static struct fl_slice hostile(struct trip *t, const char *before, const char *after)
{
    char text[1024];
    size_t used = (size_t)snprintf(text, sizeof text, "%s", before);
    for (size_t pieces = random_below(PIECES_MAX + 1); pieces > 0; pieces--)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s",
                                 PIECES[random_below(sizeof PIECES / sizeof *PIECES)]);
    used += (size_t)snprintf(text + used, sizeof text - used, "%s", after);
    assert_true(used < sizeof text);
    return fl_arena_copy(&t->arena, (struct fl_slice){text, used});
}

static struct fl_slice without(struct fl_slice text, const char *characters)
{
    char *out = (char *)(uintptr_t)text.ptr;
    size_t kept = 0;
    for (size_t i = 0; i < text.len; i++)
        if (!strchr(characters, text.ptr[i]))
            out[kept++] = text.ptr[i];
    return (struct fl_slice){text.ptr, kept};
}

/* Speakers and bodies that the format carries: its rules in the words of docs/EXPORT.md, not in code of ours.
 */
static void carried_segment(struct trip *t, struct fl_slice *speaker, struct fl_slice *body)
{
    static const char *const LABELS[] = {"Ann", "Ann Lee", "Dr. Zo\xc3\xab O'Neil", "Host 1 (live)", "K"};
    bool has_speaker = random_below(2);
    *speaker = (struct fl_slice){0};
    switch (t->doc.format) {
    case FL_FORMAT_SRT:
        *body = without(hostile(t, has_speaker ? "-" : "(", "."), "\r");
        if (has_speaker)
            *speaker = fl_slice_from(LABELS[random_below(sizeof LABELS / sizeof *LABELS)]);
        break;
    case FL_FORMAT_VTT:
        *body = hostile(t, "~", ".");
        if (has_speaker)
            *speaker = without(hostile(t, ".", "&"), " \t\r\n\f");
        break;
    default:
        *body = hostile(t, random_below(2) ? "~" : "", random_below(2) ? " ~" : "~");
        if (has_speaker)
            *speaker = hostile(t, random_below(2) ? " " : "", ".");
    }
}

static void any_segment(struct trip *t, struct fl_slice *speaker, struct fl_slice *body)
{
    *speaker = random_below(2) ? hostile(t, "", "") : (struct fl_slice){0};
    *body = hostile(t, "", "");
}

static void add_random_chapter(struct trip *t, int64_t start_ms, int64_t end_ms)
{
    static const char *const LOCATIONS[] = {"{}", "{\"name\":\"a\\nb\",\"geo\":\"geo:1.5,2\"}",
                                            "{\"a\":[1,2.50,-3e5,null,true,{\"\":\"\"}]}"};
    struct fl_chapter row = {
        .start_ms = start_ms, .end_ms = end_ms, .title = hostile(t, "", ""), .toc = random_below(2)};
    if (random_below(2))
        row.url = hostile(t, "", "");
    if (random_below(2))
        row.img = hostile(t, "", "");
    if (random_below(2))
        row.location = fl_slice_from(LOCATIONS[random_below(sizeof LOCATIONS / sizeof *LOCATIONS)]);
    assert_int_equal(fl_document_add_chapter(&t->doc, &row, &t->err), FL_OK);
}

/* As an import would store it: sorted, missing ends filled. Carried: all that the format promises to carry.
 */
static void make_random(struct trip *t, bool carried)
{
    bool needs_end = carried && (t->doc.format == FL_FORMAT_SRT || t->doc.format == FL_FORMAT_VTT);
    int64_t start_ms = (int64_t)random_below(10) ? (int64_t)random_below(5000) : 359000000;
    for (size_t rows = 1 + random_below(ROWS_MAX); rows > 0; rows--) {
        int64_t end_ms = start_ms + (int64_t)(random_below(4) ? random_below(100000) : 0);
        if (!needs_end && random_below(3) == 0)
            end_ms = FL_END_NONE;
        struct fl_slice speaker, body;
        if (t->doc.kind == FL_CHAPTERS) {
            add_random_chapter(t, start_ms, end_ms);
        } else {
            (carried ? carried_segment : any_segment)(t, &speaker, &body);
            add_segment(t, start_ms, end_ms, speaker, body);
        }
        start_ms += random_below(3) ? (int64_t)random_below(60000) : 0;
    }
    assert_int_equal(fl_document_finish(&t->doc, &t->err), FL_OK);
}

static void run_random(enum fl_format format, bool carried)
{
    static struct trip t;
    size_t told = 0;
    uint64_t documents = carried ? DOCUMENTS : ANY_DOCUMENTS;
    for (uint64_t seed = 1; seed <= documents; seed++) {
        random_state = seed * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)format;
        begin(&t, format);
        make_random(&t, carried);
        export(&t);
        bool good = carried ? is_exact(&t) : is_honest(&t);
        bool same_sum = !carried || !good || memcmp(t.doc.sha256, t.back.sha256, FL_SHA256_BYTES) == 0;
        told += t.loss_count;
        release(&t);
        if (!good || !same_sum)
            fail_msg("%s, seed %llu%s", fl_format_name(format), (unsigned long long)seed,
                     same_sum ? "" : ": another checksum");
    }
    if (carried)
        assert_int_equal(told, 0);
    else
        assert_true(told > ANY_DOCUMENTS / 10);
}

static const enum fl_format WRITTEN[] = {FL_FORMAT_CHAPTERS_JSON, FL_FORMAT_TRANSCRIPT_JSON, FL_FORMAT_SRT,
                                         FL_FORMAT_VTT};
enum { WRITTEN_COUNT = sizeof WRITTEN / sizeof *WRITTEN };

static void test_carried_is_exact(void **state)
{
    (void)state;
    for (size_t i = 0; i < WRITTEN_COUNT; i++)
        run_random(WRITTEN[i], true);
}

static void test_any_is_told(void **state)
{
    (void)state;
    for (size_t i = 1; i < WRITTEN_COUNT; i++) /* chapters carry any */
        run_random(WRITTEN[i], false);
}

/* ---- named cases ---- */

/* One segment between two plain ones, which must never be harmed. */
static void trip_segment(struct trip *t, enum fl_format format, const char *speaker, const char *body)
{
    begin(t, format);
    add_segment(t, 0, 1000, (struct fl_slice){0}, FL_SLICE("before"));
    add_segment(t, 2000, 3000, fl_slice_from(speaker), fl_slice_from(body));
    add_segment(t, 4000, 5000, (struct fl_slice){0}, FL_SLICE("after"));
    assert_int_equal(fl_document_finish(&t->doc, &t->err), FL_OK);
    export(t);
    assert_int_equal(t->status, FL_OK);
    assert_int_equal(t->back_status, FL_OK);
}

static void test_srt_text(void **state)
{
    (void)state;
    static const struct {
        const char *speaker, *body, *written; /* written: what stands below the times */
    } CASES[] = {
        {NULL, "plain", "plain"},
        {"Ann", "plain", "Ann: plain"},
        {NULL, "two\nlines", "two\nlines"},
        {NULL, "a\n\nb", "a\n<i></i>\nb"},
        {NULL, "a\n \t\nb", "a\n \t<i></i>\nb"},
        {NULL, "42", "42"},
        {NULL, "a\n42", "a\n42"},
        {NULL, "a\n\n42", "a\n<i></i>\n42"},
        {NULL, "00:00:01,000 --> 00:00:02,000", "00:00:01,000 --<i></i>> 00:00:02,000"},
        {NULL, "a --> b", "a --<i></i>> b"},
        {NULL, "a\n\n-->\n\nb", "a\n<i></i>\n--<i></i>>\n<i></i>\nb"},
        {NULL, "---->>", "----<i></i>>>"},
        {NULL, "-\n->", "-\n->"},
        {NULL, "1 < 2 <b and {c}", "1 < 2 <<i></i>b and {c}"},
        {NULL, "<i>x</i>", "<<i></i>i>x<<i></i>/i>"},
        {NULL, "{\\an8}x{/i}{b}", "{<i></i>\\an8}x{<i></i>/i}{<i></i>b}"},
        {NULL, "<<i>{{b}", "<<<i></i>i>{{<i></i>b}"},
        {NULL, "a &amp; b &lt;", "a &amp; b &lt;"},
        {NULL, "[00:01:02] x", "[00:01:02] x"},
        {NULL, "Note: this", "Note: this"},
        {NULL, "https://x.y", "https://x.y"},
        {"Ann", "Bob: hello", "Ann: Bob: hello"},
        {"Ann", "- Bob: hello", "Ann: - Bob: hello"},
        {"Zo\xc3\xab",
         "a\xe2\x80\xa8"
         "b",
         "Zo\xc3\xab: a\xe2\x80\xa8"
         "b"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct trip t;
        char cue[256];
        trip_segment(&t, FL_FORMAT_SRT, CASES[i].speaker, CASES[i].body);
        assert_true(is_exact(&t));
        snprintf(cue, sizeof cue, "\n2\n00:00:02,000 --> 00:00:03,000\n%s\n\n3\n", CASES[i].written);
        if (!strstr(t.text, cue))
            print_trip(&t, cue, 1);
        assert_non_null(strstr(t.text, cue));
        release(&t);
    }
}

static void test_vtt_text(void **state)
{
    (void)state;
    static const struct {
        const char *speaker, *body, *written;
    } CASES[] = {
        {NULL, "plain", "plain"},
        {"Ann", "plain", "<v Ann>plain"},
        {"Foo: Bar", "x", "<v Foo: Bar>x"},
        {"a name of far more than forty characters, and of nine words", "x",
         "<v a name of far more than forty characters, and of nine words>x"},
        {"A<b>&amp;.c", "x", "<v A&lt;b&gt;&amp;amp;.c>x"},
        {"a-->b", "x", "<v a--&gt;b>x"},
        {NULL, "Ann: x", "Ann: x"},
        {NULL, "a --> b", "a --&gt; b"},
        {NULL, "00:01.000 --> 00:02.000", "00:01.000 --&gt; 00:02.000"},
        {NULL, "<v Bob>x</v>", "&lt;v Bob&gt;x&lt;/v&gt;"},
        {NULL, "&lt; & &amp; &#60;", "&amp;lt; &amp; &amp;amp; &amp;#60;"},
        {NULL, "a\n\nb", "a\n<c></c>\nb"},
        {NULL, "a\n\n\n \nb", "a\n<c></c>\n<c></c>\n \nb"},
        {"Ann", "a\n\nNOTE b", "<v Ann>a\n<c></c>\nNOTE b"},
        {NULL, "a\rb\r\nc", "a&#13;b&#13;\nc"},
        {NULL,
         "a\xe2\x80\xa8"
         "b\xc2\x85",
         "a\xe2\x80\xa8"
         "b\xc2\x85"},
        {NULL, "[00:01:02] x", "[00:01:02] x"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct trip t;
        char cue[256];
        trip_segment(&t, FL_FORMAT_VTT, CASES[i].speaker, CASES[i].body);
        assert_true(is_exact(&t));
        snprintf(cue, sizeof cue, "\n\n00:00:02.000 --> 00:00:03.000\n%s\n\n00:", CASES[i].written);
        if (!strstr(t.text, cue))
            print_trip(&t, cue, 1);
        assert_non_null(strstr(t.text, cue));
        release(&t);
    }
}

/* What a format cannot carry: the nearest thing is written, and exactly these rules are told of the row. */
static void test_losses(void **state)
{
    (void)state;
    static const struct {
        enum fl_format format;
        const char *speaker, *body, *written, *rules[3];
    } CASES[] = {
        {FL_FORMAT_SRT, NULL, "Foo: bar", "\nFoo: bar\n", {"speaker", "text"}},
        {FL_FORMAT_SRT, NULL, "- Foo: bar", "\n- Foo: bar\n", {"speaker", "text"}},
        {FL_FORMAT_SRT, "Foo: Bar", "x", "\nFoo: Bar: x\n", {"speaker", "text"}},
        {FL_FORMAT_SRT,
         "one two three four five",
         "x",
         "\none two three four five: x\n",
         {"speaker", "text"}},
        {FL_FORMAT_SRT,
         "A name of more than forty characters, yes",
         "x",
         "characters, yes: x\n",
         {"speaker", "text"}},
        {FL_FORMAT_SRT, "the host", "x", "\nthe host: x\n", {"speaker", "text"}},
        {FL_FORMAT_SRT, "2nd voice", "x", "\n2nd voice: x\n", {"speaker", "text"}},
        {FL_FORMAT_SRT, "Note", "x", "\nNote: x\n", {"speaker", "text"}},
        {FL_FORMAT_SRT, " Ann", "x", "\n Ann: x\n", {"speaker"}},
        {FL_FORMAT_SRT,
         "A\n\n7\n00:00:09,000 --> 00:00:10,000\nB",
         "x",
         "\n7\n00:00:09,000 --<i></i>> 00:",
         {"speaker", "text"}},
        {FL_FORMAT_SRT, NULL, " x", "\n x\n", {"text"}},
        {FL_FORMAT_SRT, NULL, "x\n\n", "\nx\n<i></i>\n<i></i>\n\n3\n", {"text"}},
        {FL_FORMAT_SRT, NULL, "a\rb\r\nc", "\na\nb\nc\n\n", {"text"}},
        {FL_FORMAT_SRT, NULL, " \n ", "\n <i></i>\n <i></i>\n\n3\n", {"lost"}},
        {FL_FORMAT_SRT, NULL, "", ",000\n<i></i>\n\n3\n", {"lost"}},
        {FL_FORMAT_VTT, NULL, "x \n", "\nx \n<c></c>\n\n", {"text"}},
        {FL_FORMAT_VTT, NULL, "\nx", "\n<c></c>\nx\n\n", {"text"}},
        {FL_FORMAT_VTT, "A  B\n\nC", "x", "\n<v A  B  C>x\n", {"speaker"}},
        {FL_FORMAT_VTT, " Ann ", "x", "\n<v  Ann >x\n", {"speaker"}},
        {FL_FORMAT_VTT, " ", "x", "\nx\n", {"speaker"}},
        {FL_FORMAT_VTT, NULL, "", ".000\n\n\n00:", {"lost"}},
        {FL_FORMAT_TRANSCRIPT_JSON, "", "x", "\"speaker\":\"\",", {"speaker"}},
        {FL_FORMAT_TRANSCRIPT_JSON, "Ann", "\n", "\"body\":\"\\n\"}", {"lost"}},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct trip t;
        size_t rules = 0;
        trip_segment(&t, CASES[i].format, CASES[i].speaker, CASES[i].body);
        for (; rules < 3 && CASES[i].rules[rules]; rules++)
            if (!is_told(&t, 1, CASES[i].rules[rules]))
                print_trip(&t, CASES[i].rules[rules], 1);
        if (t.loss_count != rules || !strstr(t.text, CASES[i].written))
            print_trip(&t, CASES[i].body, 1);
        assert_true(is_honest(&t));
        assert_int_equal(t.loss_count, rules);
        for (size_t rule = 0; rule < rules; rule++)
            assert_true(is_told(&t, 1, CASES[i].rules[rule]));
        assert_non_null(strstr(t.text, CASES[i].written));
        release(&t);
    }
}

static void test_open_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < WRITTEN_COUNT; i++) {
        struct trip t;
        begin(&t, WRITTEN[i]);
        bool is_json = WRITTEN[i] == FL_FORMAT_CHAPTERS_JSON || WRITTEN[i] == FL_FORMAT_TRANSCRIPT_JSON;
        if (t.doc.kind == FL_CHAPTERS) {
            const struct fl_chapter row = {.start_ms = 1500, .end_ms = FL_END_NONE, .title = FL_SLICE("a")};
            assert_int_equal(fl_document_add_chapter(&t.doc, &row, &t.err), FL_OK);
        } else { /* two at once, as in the last block of timed text */
            add_segment(&t, 1500, FL_END_NONE, FL_SLICE("Ann"), FL_SLICE("a"));
            add_segment(&t, 1500, FL_END_NONE, FL_SLICE("Bob"), FL_SLICE("b"));
        }
        assert_int_equal(fl_document_finish(&t.doc, &t.err), FL_OK);
        export(&t);
        assert_true(is_honest(&t));
        assert_int_equal(t.loss_count, is_json ? 0 : 2);
        assert_true(is_json || (is_told(&t, 0, "end") && is_told(&t, 1, "end")));
        assert_true(is_json || strstr(t.text, "00:00:01,500 --> 00:00:06,500\nAnn: a\n") ||
                    strstr(t.text, "00:00:01.500 --> 00:00:06.500\n<v Bob>b\n"));
        release(&t);
    }
}

static void test_times(void **state)
{
    (void)state;
    for (size_t i = 1; i < WRITTEN_COUNT; i++) {
        struct trip t;
        begin(&t, WRITTEN[i]);
        add_segment(&t, 0, 0, (struct fl_slice){0}, FL_SLICE("a"));
        add_segment(&t, 59999, 60000, (struct fl_slice){0}, FL_SLICE("b"));
        add_segment(&t, 59999, 3599999, (struct fl_slice){0}, FL_SLICE("c"));
        add_segment(&t, 359999999, 360000000, (struct fl_slice){0}, FL_SLICE("d"));
        add_segment(&t, FL_TIME_LIMIT_MS, FL_END_LIMIT_MS, (struct fl_slice){0}, FL_SLICE("e"));
        assert_int_equal(fl_document_finish(&t.doc, &t.err), FL_OK);
        assert_exact(&t);
        if (WRITTEN[i] == FL_FORMAT_SRT)
            assert_non_null(strstr(t.text, "\n5\n100:00:00,000 --> 1000:00:00,000\ne\n"));
        if (WRITTEN[i] == FL_FORMAT_VTT)
            assert_non_null(strstr(t.text, "\n99:59:59.999 --> 100:00:00.000\nd\n"));
        if (WRITTEN[i] == FL_FORMAT_TRANSCRIPT_JSON)
            assert_non_null(strstr(t.text, "{\"startTime\":59.999,\"endTime\":60,\"body\":\"b\"},\n"));
        release(&t);
    }
}

/* Rows that no import makes, but other SQL may: told, in every format, and nothing overflows. */
static void test_rows_of_other_programs(void **state)
{
    (void)state;
    for (size_t i = 1; i < WRITTEN_COUNT; i++) {
        struct fl_segment rows[] = {
            {.start_ms = 5000, .end_ms = 6000, .body = FL_SLICE("a")},
            {.start_ms = 1000, .end_ms = 2000, .body = FL_SLICE("b")},
            {.start_ms = 7000, .end_ms = FL_END_NONE, .body = FL_SLICE("c")},
            {.start_ms = 8000, .end_ms = 9000, .body = FL_SLICE("d")},
            {.start_ms = INT64_MAX, .end_ms = FL_END_NONE, .body = FL_SLICE("e")},
        };
        struct trip t;
        begin(&t, WRITTEN[i]);
        t.doc.segments = rows;
        t.doc.row_count = 4;
        export(&t);
        assert_true(is_told(&t, 0, "order"));
        assert_true(is_told(&t, 2, "end"));
        assert_int_equal(t.loss_count, 2);
        assert_int_equal(t.back_status, FL_OK);
        assert_int_equal(t.back.row_count, 4);
        release(&t);

        begin(&t, WRITTEN[i]);
        t.doc.segments = rows + 3;
        t.doc.row_count = 2;
        export(&t);
        assert_int_equal(t.status, FL_OK);
        bool is_json = WRITTEN[i] == FL_FORMAT_TRANSCRIPT_JSON;
        assert_true(is_json ? is_told(&t, FL_EXPORT_WHOLE, "refused") : is_told(&t, 1, "lost"));
        assert_int_equal(t.loss_count, 1);
        release(&t);
    }
}

static void test_chapters(void **state)
{
    (void)state;
    const struct fl_chapter rows[] = {
        {.start_ms = 0, .end_ms = 168250, .title = FL_SLICE("a \"b\"\n\xe2\x80\xa8<&>"), .toc = true},
        {.start_ms = 168250,
         .end_ms = 300000,
         .title = FL_SLICE(""),
         .url = FL_SLICE(""),
         .img = FL_SLICE("https://a/b?c=d&e"),
         .location = FL_SLICE("{\"name\":\"x\"}")},
        {.start_ms = 168250, .end_ms = FL_END_NONE, .title = FL_SLICE(" c "), .toc = true},
    };
    struct trip t;
    begin(&t, FL_FORMAT_CHAPTERS_JSON);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(fl_document_add_chapter(&t.doc, &rows[i], &t.err), FL_OK);
    assert_int_equal(fl_document_finish(&t.doc, &t.err), FL_OK);
    assert_exact(&t);
    assert_string_equal(t.text,
                        "{\n\"version\":\"1.2.0\",\n\"chapters\":[\n"
                        "{\"startTime\":0,\"endTime\":168.25,\"title\":\"a \\\"b\\\"\\n\\u2028<&>\"},\n"
                        "{\"startTime\":168.25,\"endTime\":300,\"title\":\"\",\"url\":\"\","
                        "\"img\":\"https://a/b?c=d&e\",\"toc\":false,\"location\":{\"name\":\"x\"}},\n"
                        "{\"startTime\":168.25,\"title\":\" c \"}\n"
                        "]\n}\n");
    /* The parser has no word against it, not even a warning but that of the equal start. */
    assert_int_equal(t.back.warning_count, 1);
    release(&t);

    struct fl_chapter bad[] = {{.title = FL_SLICE("a"), .end_ms = FL_END_NONE, .location = FL_SLICE("[1]")},
                               {.title = FL_SLICE("b"), .start_ms = 9, .end_ms = 10}};
    begin(&t, FL_FORMAT_CHAPTERS_JSON);
    t.doc.chapters = bad;
    t.doc.row_count = 2;
    export(&t);
    assert_true(is_honest(&t));
    assert_true(is_told(&t, 0, "location") && is_told(&t, 0, "end"));
    assert_int_equal(t.loss_count, 2);
    release(&t);
}

static void test_location(void **state)
{
    (void)state;
    static const struct {
        const char *stored, *compact;
    } CASES[] = {
        {"{\"a\": 1, \"b\": [true, null, -2.50]}", "{\"a\":1,\"b\":[true,null,-2.50]}"},
        {"{\"a\": \"1000000000000000000000000 \\\" x: 1, y\"}",
         "{\"a\":\"1000000000000000000000000 \\\" x: 1, y\"}"},
        {"{\"a\": 1000000000000000000000000}", "{\"a\":1e24}"},
        {"{\"a\": [-1200000000000000000000000, 5]}", "{\"a\":[-12e23,5]}"},
        {"{\"a\": 0.00000000000000000000000150}", "{\"a\":15e-25}"},
        {"{\"a\": -0.0000000000000000000000000}", "{\"a\":0}"},
        {"{\"a\": 12345678901234567890123}", "{\"a\":12345678901234567890123}"},
        {"{\"a\": 1.2345678901234567890123}", "{\"a\":1.2345678901234567890123}"},
        {"{\"a\": 1000000000000000000000000e10000}", "{\"a\":1000000000000000000000000e10000}"},
        {"[1, 2]", "[1,2]"},
        {"no json", "no json"},
    };
    struct fl_arena arena;
    fl_arena_init(&arena, ARENA_BYTES);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct fl_slice location = fl_slice_from(CASES[i].stored);
        assert_true(fl_location_compact(&arena, &location));
        assert_int_equal(location.len, strlen(CASES[i].compact));
        assert_memory_equal(location.ptr, CASES[i].compact, location.len);
    }
    struct fl_slice none = {0};
    assert_true(fl_location_compact(&arena, &none));
    assert_null(none.ptr);

    /* 1e999, as jsonb prints it, 70 times: longer than a text field may be, and too long to be a number. */
    static char stored[80000];
    size_t used = (size_t)snprintf(stored, sizeof stored, "{\"a\": [0");
    for (int i = 0; i < 70; i++) {
        used += (size_t)snprintf(stored + used, sizeof stored - used, ", 1");
        memset(stored + used, '0', 1000);
        used += 1000;
    }
    used += (size_t)snprintf(stored + used, sizeof stored - used, "]}");
    struct fl_slice location = {stored, used};
    assert_true(fl_location_compact(&arena, &location));
    assert_int_equal(location.len, strlen("{\"a\":[0]}") + 70 * strlen(",1e1000"));
    fl_arena_release(&arena);
}

static void test_limits(void **state)
{
    (void)state;
    static char longest[1 << 16];
    memset(longest, 'x', sizeof longest);
    struct trip t;
    begin(&t, FL_FORMAT_SRT);
    add_segment(&t, 0, 1, FL_SLICE("Ann"), (struct fl_slice){longest, sizeof longest});
    assert_int_equal(fl_document_finish(&t.doc, &t.err), FL_OK);
    assert_exact(&t);
    release(&t);

    begin(&t, FL_FORMAT_SRT); /* the label stays in the text, which grows too long for an import */
    add_segment(&t, 0, 1, FL_SLICE("nobody special"), (struct fl_slice){longest, sizeof longest});
    assert_int_equal(fl_document_finish(&t.doc, &t.err), FL_OK);
    export(&t);
    assert_true(is_told(&t, 0, "speaker") && is_told(&t, 0, "text") && is_told(&t, 0, "limit"));
    release(&t);

    static const struct fl_limits SMALL = {.file_bytes = 40, .rows = 1, .field_bytes = 100};
    trip_segment(&t, FL_FORMAT_VTT, NULL, "x");
    free(t.text);
    t.loss_count = 0;
    t.doc.limits = &SMALL;
    export(&t);
    assert_int_equal(t.loss_count, 2);
    assert_true(is_told(&t, FL_EXPORT_WHOLE, "limit"));
    release(&t);
}

/* Without memory nothing is written at all. */
static void test_no_memory(void **state)
{
    (void)state;
    static char body[1 << 15];
    memset(body, '&', sizeof body); /* must be copied to be read */
    struct fl_segment row = {.start_ms = 0, .end_ms = 1, .body = {body, sizeof body}};
    struct trip t;
    for (size_t i = 1; i < WRITTEN_COUNT; i++) {
        size_t limit_bytes = WRITTEN[i] == FL_FORMAT_SRT ? 0 : 20000;
        begin(&t, WRITTEN[i]);
        fl_arena_init(&t.arena, limit_bytes);
        t.doc.segments = &row;
        t.doc.row_count = 1;
        export(&t);
        assert_int_equal(t.status, FL_NO_MEMORY);
        assert_int_equal(t.text_bytes, 0);
        assert_true(strlen(t.err.text) > 0);
        release(&t);
    }
}

static void test_many_losses(void **state)
{
    (void)state;
    struct trip t;
    begin(&t, FL_FORMAT_VTT);
    for (int i = 0; i < 5000; i++)
        add_segment(&t, i, i + 1, (struct fl_slice){0}, FL_SLICE(" x"));
    assert_int_equal(fl_document_finish(&t.doc, &t.err), FL_OK);
    export(&t);
    assert_int_equal(t.loss_count, FL_EXPORT_LOSSES_TOLD + 1);
    release(&t);
}

/* A long document in every format: seconds at most, even under a sanitizer. */
static void test_large(void **state)
{
    (void)state;
    for (size_t i = 1; i < WRITTEN_COUNT; i++) {
        struct trip t;
        begin(&t, WRITTEN[i]);
        clock_t began = clock();
        for (int row = 0; row < MANY_ROWS; row++)
            add_segment(&t, row, row + 1, row % 2 ? FL_SLICE("Ann") : (struct fl_slice){0},
                        FL_SLICE("<i>one\n\ntwo</i> --> & three"));
        assert_int_equal(fl_document_finish(&t.doc, &t.err), FL_OK);
        assert_exact(&t);
        assert_true((clock() - began) / CLOCKS_PER_SEC < CPU_SECONDS_LIMIT);
        release(&t);
    }
}

static void test_formats(void **state)
{
    (void)state;
    assert_false(fl_export_has_writer(FL_FORMAT_NONE));
    assert_false(fl_export_has_writer(FL_FORMAT_TIMED_TEXT));
    for (size_t i = 0; i < WRITTEN_COUNT; i++)
        assert_true(fl_export_has_writer(WRITTEN[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_carried_is_exact),
        cmocka_unit_test(test_any_is_told),
        cmocka_unit_test(test_srt_text),
        cmocka_unit_test(test_vtt_text),
        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_open_end),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_rows_of_other_programs),
        cmocka_unit_test(test_chapters),
        cmocka_unit_test(test_location),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_many_losses),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
