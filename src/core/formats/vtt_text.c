/* vtt_text.c - reads the text of one WebVTT cue into runs of one voice each.
 *
 * Follows the cue text parsing rules of WebVTT (tokenizer, tree of open tags, HTML character references). Of
 * the tree only the open tags are kept, because only the voice around a text matters.
 *
 * Happy path: plain stretches of the input extend the run in place; the first thing that changes (a tag
 * inside the run, a reference, a CR) moves the run to a buffer. No reference is longer decoded than written,
 * so a buffer of the size of the cue holds all of its runs, and reading is linear.
 *
 * Failure modes: the arena is full (no_memory); tags nested beyond the limit are ignored (too_deep). */
#include "core/formats/vtt_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/slice.h"
#include "base/utf8.h"

static const char *const TAG_NAMES[FL_VTT_TAG_COUNT] = {
    [FL_VTT_TAG_C] = "c",       [FL_VTT_TAG_I] = "i",   [FL_VTT_TAG_B] = "b", [FL_VTT_TAG_U] = "u",
    [FL_VTT_TAG_RUBY] = "ruby", [FL_VTT_TAG_RT] = "rt", [FL_VTT_TAG_V] = "v", [FL_VTT_TAG_LANG] = "lang",
};

enum { REPLACEMENT = 0xFFFD, LAST_CHARACTER = 0x10FFFF };

/* What HTML makes of numeric references to C1 controls: they were meant in windows-1252. 0 = stays itself. */
static const uint16_t C1_REPLACEMENTS[32] = {
    0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178,
};

/* Named references, sorted bytewise: all of HTML 4, Latin Extended-A, ASCII punctuation, and every name that
 * HTML knows without a semicolon ("=", else ":"), together with the longer names that begin with one of those
 * ("notin" is not "not" and "in"). Other names stay as they stand, and so do those with the value 0, for
 * which HTML has two characters. */
enum { LONGEST_NAME = 13, LONGEST_BARE_NAME = 6 };

static const char *const NAMES[] = {
    "AElig=C6 AMP=26 Aacute=C1 Abreve:102 Acirc=C2 Agrave=C0 Alpha:391 Amacr:100 Aogon:104 Aring=C5",
    "Atilde=C3 Auml=C4 Beta:392 COPY=A9 Cacute:106 Ccaron:10C Ccedil=C7 Ccirc:108 Cdot:10A Chi:3A7",
    "Dagger:2021 Dcaron:10E Delta:394 Dstrok:110 ENG:14A ETH=D0 Eacute=C9 Ecaron:11A Ecirc=CA Edot:116",
    "Egrave=C8 Emacr:112 Eogon:118 Epsilon:395 Eta:397 Euml=CB GT=3E Gamma:393 Gbreve:11E Gcedil:122",
    "Gcirc:11C Gdot:120 Hat:5E Hcirc:124 Hstrok:126 IJlig:132 Iacute=CD Icirc=CE Idot:130 Igrave=CC",
    "Imacr:12A Iogon:12E Iota:399 Itilde:128 Iuml=CF Jcirc:134 Kappa:39A Kcedil:136 LT=3C Lacute:139",
    "Lambda:39B Lcaron:13D Lcedil:13B Lmidot:13F Lstrok:141 Mu:39C Nacute:143 Ncaron:147 Ncedil:145",
    "NewLine:A Ntilde=D1 Nu:39D OElig:152 Oacute=D3 Ocirc=D4 Odblac:150 Ograve=D2 Omacr:14C Omega:3A9",
    "Omicron:39F Oslash=D8 Otilde=D5 Ouml=D6 Phi:3A6 Pi:3A0 Prime:2033 Psi:3A8 QUOT=22 REG=AE Racute:154",
    "Rcaron:158 Rcedil:156 Rho:3A1 Sacute:15A Scaron:160 Scedil:15E Scirc:15C Sigma:3A3 THORN=DE Tab:9",
    "Tau:3A4 Tcaron:164 Tcedil:162 Theta:398 Tstrok:166 Uacute=DA Ubreve:16C Ucirc=DB Udblac:170 Ugrave=D9",
    "Umacr:16A Uogon:172 Upsilon:3A5 Uring:16E Utilde:168 Uuml=DC Wcirc:174 Xi:39E Yacute=DD Ycirc:176",
    "Yuml:178 Zacute:179 Zcaron:17D Zdot:17B Zeta:396 aacute=E1 abreve:103 acirc=E2 acute=B4 aelig=E6",
    "agrave=E0 alefsym:2135 alpha:3B1 amacr:101 amp=26 and:2227 ang:2220 aogon:105 apos:27 aring=E5 ast:2A",
    "asymp:2248 atilde=E3 auml=E4 bdquo:201E beta:3B2 brvbar=A6 bsol:5C bull:2022 cacute:107 cap:2229",
    "ccaron:10D ccedil=E7 ccirc:109 cdot:10B cedil=B8 cent=A2 centerdot:B7 check:2713 chi:3C7 circ:2C6",
    "clubs:2663 colon:3A comma:2C commat:40 cong:2245 copy=A9 copysr:2117 crarr:21B5 cup:222A curren=A4",
    "dArr:21D3 dagger:2020 darr:2193 dash:2010 dcaron:10F deg=B0 delta:3B4 diams:2666 divide=F7",
    "divideontimes:22C7 dollar:24 dstrok:111 eacute=E9 ecaron:11B ecirc=EA edot:117 egrave=E8 emacr:113",
    "empty:2205 emsp:2003 eng:14B ensp:2002 eogon:119 epsilon:3B5 equals:3D equiv:2261 eta:3B7 eth=F0",
    "euml=EB euro:20AC excl:21 exist:2203 flat:266D fnof:192 forall:2200 frac12=BD frac14=BC frac34=BE",
    "frasl:2044 gamma:3B3 gbreve:11F gcirc:11D gdot:121 ge:2265 grave:60 gt=3E gtcc:2AA7 gtcir:2A7A",
    "gtdot:22D7 gtlPar:2995 gtquest:2A7C gtrapprox:2A86 gtrarr:2978 gtrdot:22D7 gtreqless:22DB",
    "gtreqqless:2A8C gtrless:2277 gtrsim:2273 hArr:21D4 harr:2194 hcirc:125 hearts:2665 hellip:2026",
    "horbar:2015 hstrok:127 hyphen:2010 iacute=ED icirc=EE iexcl=A1 igrave=EC ijlig:133 imacr:12B",
    "image:2111 imath:131 infin:221E inodot:131 int:222B iogon:12F iota:3B9 iquest=BF isin:2208 itilde:129",
    "iuml=EF jcirc:135 kappa:3BA kcedil:137 kgreen:138 lArr:21D0 lacute:13A lambda:3BB lang:27E8 laquo=AB",
    "larr:2190 lbrace:7B lbrack:5B lcaron:13E lcedil:13C lceil:2308 lcub:7B ldquo:201C le:2264 lfloor:230A",
    "lmidot:140 lowast:2217 lowbar:5F loz:25CA lpar:28 lrm:200E lsaquo:2039 lsqb:5B lsquo:2018 lstrok:142",
    "lt=3C ltcc:2AA6 ltcir:2A79 ltdot:22D6 lthree:22CB ltimes:22C9 ltlarr:2976 ltquest:2A7B ltrPar:2996",
    "ltri:25C3 ltrie:22B4 ltrif:25C2 macr=AF mdash:2014 micro=B5 middot=B7 minus:2212 mldr:2026 mu:3BC",
    "nabla:2207 nacute:144 napos:149 natural:266E nbsp=A0 ncaron:148 ncedil:146 ndash:2013 ne:2260 ni:220B",
    "nldr:2025 not=AC notin:2209 notinE:0 notindot:0 notinva:2209 notinvb:22F7 notinvc:22F6 notni:220C",
    "notniva:220C notnivb:22FE notnivc:22FD nsub:2284 ntilde=F1 nu:3BD num:23 numero:2116 oacute=F3",
    "ocirc=F4 odblac:151 oelig:153 ograve=F2 oline:203E omacr:14D omega:3C9 omicron:3BF oplus:2295 or:2228",
    "ordf=AA ordm=BA oslash=F8 otilde=F5 otimes:2297 ouml=F6 para=B6 parallel:2225 part:2202 percnt:25",
    "period:2E permil:2030 perp:22A5 phi:3C6 phone:260E pi:3C0 piv:3D6 plus:2B plusmn=B1 pound=A3",
    "prime:2032 prod:220F prop:221D psi:3C8 quest:3F quot=22 rArr:21D2 racute:155 radic:221A rang:27E9",
    "raquo=BB rarr:2192 rbrace:7D rbrack:5D rcaron:159 rcedil:157 rceil:2309 rcub:7D rdquo:201D real:211C",
    "reg=AE rfloor:230B rho:3C1 rlm:200F rpar:29 rsaquo:203A rsqb:5D rsquo:2019 sacute:15B sbquo:201A",
    "scaron:161 scedil:15F scirc:15D sdot:22C5 sect=A7 semi:3B sharp:266F shy=AD sigma:3C3 sigmaf:3C2",
    "sim:223C sol:2F spades:2660 star:2606 starf:2605 sub:2282 sube:2286 sum:2211 sung:266A sup:2283",
    "sup1=B9 sup2=B2 sup3=B3 supe:2287 szlig=DF tau:3C4 tcaron:165 tcedil:163 there4:2234 theta:3B8",
    "thetasym:3D1 thinsp:2009 thorn=FE tilde:2DC times=D7 timesb:22A0 timesbar:2A31 timesd:2A30 trade:2122",
    "tstrok:167 uArr:21D1 uacute=FA uarr:2191 ubreve:16D ucirc=FB udblac:171 ugrave=F9 umacr:16B uml=A8",
    "uogon:173 upsih:3D2 upsilon:3C5 uring:16F utilde:169 uuml=FC verbar:7C vert:7C wcirc:175 weierp:2118",
    "xi:3BE yacute=FD ycirc:177 yen=A5 yuml=FF zacute:17A zcaron:17E zdot:17C zeta:3B6 zwj:200D zwnj:200C"};

bool fl_vtt_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Compares a name with the one at entry, as fl_slice_compare would. */
static int compare_entry(struct fl_slice name, const char *entry)
{
    size_t i = 0;
    while (i < name.len && name.ptr[i] == entry[i])
        i++;
    if (i == name.len)
        return is_alnum(entry[i]) ? -1 : 0;
    if (!is_alnum(entry[i]))
        return 1;
    return name.ptr[i] < entry[i] ? -1 : 1;
}

/* Finds the row of NAMES that can hold the name, then reads it from its beginning. */
static bool find_name(struct fl_slice name, bool *bare, uint32_t *character)
{
    size_t low = 0, high = sizeof NAMES / sizeof *NAMES;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (compare_entry(name, NAMES[middle]) < 0)
            high = middle;
        else
            low = middle;
    }
    const char *entry = NAMES[low];
    while (entry && compare_entry(name, entry) > 0)
        if ((entry = strchr(entry, ' ')))
            entry++;
    if (!entry || compare_entry(name, entry) < 0)
        return false;
    *bare = entry[name.len] == '=';
    *character = (uint32_t)strtoul(entry + name.len + 1, NULL, 16);
    return true;
}

/* The longest name behind the & at the front of text. Returns the bytes of the reference, 0 = none. */
static size_t read_named(struct fl_slice text, uint32_t *character)
{
    bool bare;
    struct fl_slice name = {text.ptr + 1, 0};
    while (name.len <= LONGEST_NAME && 1 + name.len < text.len && is_alnum(name.ptr[name.len]))
        name.len++;
    bool has_end = 1 + name.len < text.len && name.ptr[name.len] == ';';
    if (has_end && find_name(name, &bare, character))
        return *character ? name.len + 2 : 0;
    if (name.len > LONGEST_BARE_NAME)
        name.len = LONGEST_BARE_NAME;
    for (; name.len > 1; name.len--)
        if (find_name(name, &bare, character) && bare)
            return name.len + 1;
    return 0;
}

static int digit_value(char c, uint32_t base)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (base == 16 && (c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

/* The number behind the &# at the front of text. Returns the bytes of the reference, 0 = none. */
static size_t read_numeric(struct fl_slice text, uint32_t *character)
{
    size_t at = 2;
    uint32_t base = 10, value = 0;
    if (at < text.len && (text.ptr[at] | 0x20) == 'x') {
        base = 16;
        at++;
    }
    size_t digits_at = at;
    for (; at < text.len && digit_value(text.ptr[at], base) >= 0; at++)
        if (value <= LAST_CHARACTER)
            value = value * base + (uint32_t)digit_value(text.ptr[at], base);
    if (at == digits_at)
        return 0;
    if (at < text.len && text.ptr[at] == ';')
        at++;
    if (value == 0 || value > LAST_CHARACTER || (value >= 0xD800 && value <= 0xDFFF))
        value = REPLACEMENT;
    if (value >= 0x80 && value <= 0x9F && C1_REPLACEMENTS[value - 0x80])
        value = C1_REPLACEMENTS[value - 0x80];
    *character = value;
    return at;
}

/* Decodes what begins with the & at the front of text to out, and moves *text behind it. An & that begins no
 * reference stands for itself. Returns the bytes in out, never more than were read. */
static size_t take_reference(struct fl_slice *text, char out[4])
{
    uint32_t character = '&';
    size_t length = 0;
    if (text->len > 1)
        length = text->ptr[1] == '#' ? read_numeric(*text, &character) : read_named(*text, &character);
    if (length == 0) {
        character = '&';
        length = 1;
    }
    text->ptr += length;
    text->len -= length;
    return fl_utf8_put(character, out);
}

/* Appends c, with white space collapsed and none at the front. */
static size_t put_collapsed(char *out, size_t length, char c, bool *space)
{
    if (fl_vtt_is_space(c)) {
        *space = length > 0;
        return length;
    }
    if (*space)
        out[length++] = ' ';
    *space = false;
    out[length++] = c;
    return length;
}

/* Would collapsing or decoding change this annotation? */
static bool is_plain(struct fl_slice annotation)
{
    for (size_t i = 0; i < annotation.len; i++) {
        char c = annotation.ptr[i];
        if (c == '&')
            return false;
        if (fl_vtt_is_space(c) && (c != ' ' || (i && annotation.ptr[i - 1] == ' ')))
            return false;
    }
    return true;
}

/* The name in a voice tag; absent if it is empty. */
static struct fl_slice voice_name(struct fl_vtt_text *text, struct fl_slice annotation)
{
    while (annotation.len && fl_vtt_is_space(annotation.ptr[0])) {
        annotation.ptr++;
        annotation.len--;
    }
    while (annotation.len && fl_vtt_is_space(annotation.ptr[annotation.len - 1]))
        annotation.len--;
    if (annotation.len == 0)
        return (struct fl_slice){0};
    if (is_plain(annotation))
        return annotation;
    char *out = fl_arena_alloc(text->arena, annotation.len);
    if (!out) {
        text->no_memory = true;
        return (struct fl_slice){0};
    }
    size_t length = 0;
    bool space = false;
    while (annotation.len) {
        char decoded[4] = {annotation.ptr[0]};
        size_t bytes = 1;
        if (annotation.ptr[0] == '&') {
            bytes = take_reference(&annotation, decoded);
        } else {
            annotation.ptr++;
            annotation.len--;
        }
        for (size_t i = 0; i < bytes; i++)
            length = put_collapsed(out, length, decoded[i], &space);
    }
    return length ? (struct fl_slice){out, length} : (struct fl_slice){0};
}

static enum fl_vtt_tag find_tag(struct fl_slice name)
{
    for (int tag = FL_VTT_TAG_NONE + 1; tag < FL_VTT_TAG_COUNT; tag++)
        if (fl_slice_is(name, TAG_NAMES[tag]))
            return (enum fl_vtt_tag)tag;
    return FL_VTT_TAG_NONE;
}

static void open_tag(struct fl_vtt_text *text, struct fl_slice content)
{
    const char *at = content.ptr, *end = content.ptr + content.len;
    while (at < end && !fl_vtt_is_space(*at) && *at != '.')
        at++;
    enum fl_vtt_tag tag = find_tag(fl_slice_range(content.ptr, at));
    const struct fl_vtt_node *around = &text->nodes[text->depth];
    if (tag == FL_VTT_TAG_NONE || (tag == FL_VTT_TAG_RT && around->tag != FL_VTT_TAG_RUBY))
        return;
    if (text->depth == FL_VTT_DEPTH_LIMIT) {
        text->too_deep = true;
        return;
    }
    struct fl_slice speaker = around->speaker;
    if (tag == FL_VTT_TAG_V) {
        while (at < end && !fl_vtt_is_space(*at)) /* classes */
            at++;
        speaker = voice_name(text, fl_slice_range(at, end));
    }
    text->nodes[++text->depth] = (struct fl_vtt_node){.tag = tag, .speaker = speaker};
}

/* An end tag closes the innermost open tag or nothing; </ruby> closes an open <rt> with it. */
static void close_tag(struct fl_vtt_text *text, struct fl_slice name)
{
    enum fl_vtt_tag tag = find_tag(name);
    enum fl_vtt_tag innermost = text->nodes[text->depth].tag;
    if (tag == FL_VTT_TAG_NONE)
        return;
    if (tag == FL_VTT_TAG_RUBY && innermost == FL_VTT_TAG_RT)
        text->depth -= 2;
    else if (tag == innermost)
        text->depth--;
}

/* Reads the tag at the front of rest; the end of the cue ends it as well as >. Timestamp tags and tags
 * without a name fall out as unknown ones, because no known name begins with a digit. */
static void take_tag(struct fl_vtt_text *text)
{
    struct fl_slice content = {text->rest.ptr + 1, text->rest.len - 1};
    const char *end = content.ptr + content.len;
    const char *close = memchr(content.ptr, '>', content.len);
    content.len = (size_t)((close ? close : end) - content.ptr);
    text->rest = close ? fl_slice_range(close + 1, end) : fl_slice_range(end, end);
    if (content.len && content.ptr[0] == '/')
        close_tag(text, fl_slice_range(content.ptr + 1, content.ptr + content.len));
    else
        open_tag(text, content);
}

/* What stands at the front of the rest, up to the next thing that is to be treated apart. */
struct piece {
    struct fl_slice text;
    struct fl_slice rest; /* what follows */
    bool in_place;        /* text lies in the input, and not in decoded */
    char decoded[4];
};

static void read_piece(struct fl_slice rest, struct piece *piece)
{
    const char *at = rest.ptr, *end = rest.ptr + rest.len;
    while (at < end && *at != '<' && *at != '&' && *at != '\r')
        at++;
    piece->in_place = at > rest.ptr;
    piece->text = fl_slice_range(rest.ptr, at);
    piece->rest = fl_slice_range(at, end);
    if (piece->in_place)
        return;
    size_t bytes = 1;
    if (*at == '&') {
        bytes = take_reference(&piece->rest, piece->decoded);
        piece->in_place = piece->rest.ptr == at + 1; /* an & that stands for itself */
    } else {
        piece->decoded[0] = '\n';
        at += end - at > 1 && at[1] == '\n' ? 2 : 1;
        piece->rest = fl_slice_range(at, end);
    }
    piece->text = (struct fl_slice){piece->in_place ? rest.ptr : piece->decoded, bytes};
}

static void append(struct fl_vtt_text *text, const struct piece *piece)
{
    struct fl_slice *run = &text->run;
    if (piece->in_place && !text->run_copied) {
        if (run->len == 0)
            run->ptr = piece->text.ptr;
        if (run->ptr + run->len == piece->text.ptr) {
            run->len += piece->text.len;
            return;
        }
    }
    if (!text->out) {
        text->out = fl_arena_alloc(text->arena, text->raw_bytes);
        if (!text->out) {
            text->no_memory = true;
            return;
        }
        text->out_end = text->out + text->raw_bytes;
    }
    if (!text->run_copied) {
        if (run->len)
            memcpy(text->out, run->ptr, run->len);
        run->ptr = text->out;
        text->out += run->len;
        text->run_copied = true;
    }
    FL_ASSERT(piece->text.len <= (size_t)(text->out_end - text->out));
    memcpy(text->out, piece->text.ptr, piece->text.len);
    text->out += piece->text.len;
    run->len += piece->text.len;
}

void fl_vtt_text_init(struct fl_vtt_text *text, struct fl_slice raw, struct fl_arena *arena)
{
    text->too_deep = text->no_memory = false;
    text->arena = arena;
    text->rest = raw;
    text->run = (struct fl_slice){0};
    text->run_copied = false;
    text->out = text->out_end = NULL;
    text->raw_bytes = raw.len;
    text->depth = 0;
    text->nodes[0] = (struct fl_vtt_node){.tag = FL_VTT_TAG_NONE};
}

bool fl_vtt_text_next(struct fl_vtt_text *text, struct fl_vtt_run *run)
{
    text->run = (struct fl_slice){0};
    text->run_copied = false;
    while (text->rest.len && !text->no_memory) {
        if (text->rest.ptr[0] == '<') {
            take_tag(text);
            continue;
        }
        struct piece piece;
        read_piece(text->rest, &piece);
        /* White space between voices belongs to whoever spoke before, so that it never makes a run. */
        if (fl_slice_trim(piece.text).len) {
            struct fl_slice voice = text->nodes[text->depth].speaker;
            if (text->run.len && !fl_slice_eq(voice, text->voice))
                break;
            text->voice = voice;
            append(text, &piece);
        } else if (text->run.len) {
            append(text, &piece);
        }
        text->rest = piece.rest;
    }
    *run = (struct fl_vtt_run){.speaker = text->voice, .body = fl_slice_trim(text->run)};
    return text->run.len && !text->no_memory;
}
