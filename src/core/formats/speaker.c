/* speaker.c - the rule for speaker labels, once for every format that writes them into its text.
 *
 * Happy path: walk the characters that a label may have up to the colon, look at what follows it, then ask
 * the list of words that are never a name. Failure: anything unexpected means "no label", and the text stays
 * whole: a label that is missed can still be read in the body, one that was never there has cut a sentence in
 * two. */
#include "core/formats/speaker.h"

#include "base/slice.h"
#include "base/utf8.h"

#include <string.h>
#include <strings.h>

/* Words that head a remark in running text. Kept short: each entry is a name that nobody can have. */
static const char *const NEVER_A_NAME[] = {
    "note", "notes", "warning", "attention", "caution", "tip", "ps", "p.s", "re", "fyi", "example",
};

static bool is_space(uint32_t character)
{
    return character == ' ' || (character >= '\t' && character <= '\r');
}

static bool is_label_character(uint32_t character)
{
    static const uint32_t APOSTROPHE = 0x2019;
    if (character == 0 || character >= 0x80)
        return character == APOSTROPHE || fl_utf8_is_letter(character);
    return fl_utf8_is_letter(character) || strchr("0123456789 .'-()&#_", (int)character) != NULL;
}

static bool is_never_a_name(struct fl_slice label)
{
    while (label.len > 0 && label.ptr[label.len - 1] == '.') {
        label.len--; /* "P.S.:" is "P.S:" */
    }
    for (size_t i = 0; i < sizeof NEVER_A_NAME / sizeof *NEVER_A_NAME; i++) {
        const char *word = NEVER_A_NAME[i];
        if (strlen(word) == label.len && strncasecmp(word, label.ptr, label.len) == 0)
            return true;
    }
    return false;
}

/* The text up to the first colon, if its characters and words are those of a label; else the absent slice.
 * *text then stands at the colon. */
static struct fl_slice take_until_colon(struct fl_slice *text)
{
    static const struct fl_slice NONE = {NULL, 0};
    const char *begin = text->ptr;
    uint32_t before = ' ';
    int words = 0;

    for (int characters = 0; text->len > 0 && text->ptr[0] != ':'; characters++) {
        uint32_t character = fl_utf8_next(text);
        bool first = characters == 0;
        if (characters == FL_SPEAKER_CHARACTERS || !is_label_character(character) ||
            (first && !fl_utf8_is_letter(character))) {
            return NONE;
        }
        words += before == ' ' && character != ' ';
        before = character;
    }
    if (text->len == 0 || words == 0 || words > FL_SPEAKER_WORDS)
        return NONE;
    return fl_slice_range(begin, text->ptr);
}

bool fl_speaker_take(struct fl_slice *text, struct fl_slice *speaker)
{
    struct fl_slice rest = *text;
    struct fl_slice label = fl_slice_trim(take_until_colon(&rest));

    if (label.len == 0)
        return false;
    rest.ptr++;
    rest.len--;
    if ((rest.len > 0 && !is_space((unsigned char)rest.ptr[0])) || is_never_a_name(label))
        return false;
    *speaker = label;
    *text = rest;
    return true;
}
