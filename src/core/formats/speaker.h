/* speaker.h - tells the label "Name: " at the start of a text from a sentence that merely holds a colon. */
#ifndef FL_CORE_FORMATS_SPEAKER_H
#define FL_CORE_FORMATS_SPEAKER_H

#include "fenceline/types.h"

enum {
    FL_SPEAKER_CHARACTERS = 40, /* of a label, not bytes */
    FL_SPEAKER_WORDS = 4,
};

/* Takes a speaker label from the front of *text (valid UTF-8, leading white space already gone). True:
 * *speaker is the label without colon and white space, borrowed from the text, and *text stands behind the
 * colon. False: there is none; neither is changed.
 *
 * A label begins with a letter of any script and goes on with letters, digits, spaces and . ' - ( ) & # _ and
 * the apostrophe U+2019, for at most FL_SPEAKER_CHARACTERS and FL_SPEAKER_WORDS; its colon is followed by
 * white space or the end of the text. So "https://" and "10:30" are none. Nor are the words that head a
 * remark, in either case: note, notes, warning, attention, caution, tip, ps, p.s, re, fyi, example. Reads no
 * more than that many characters, however long the text is. */
bool fl_speaker_take(struct fl_slice *text, struct fl_slice *speaker);

#endif
