/* job.c - see job.h. Pure. */
#include "core/job.h"

#include "base/slice.h"
#include "base/utf8.h"

static const char *const MODES[] = {
    [FL_MODE_CREATE] = "create",
    [FL_MODE_REPLACE] = "replace",
    [FL_MODE_IF_VERSION] = "if-version",
    [FL_MODE_DELETE] = "delete",
};

static const char *const OUTCOMES[] = {
    [FL_OUTCOME_OPEN] = "open",
    [FL_OUTCOME_IMPORTED] = "imported",
    [FL_OUTCOME_UNCHANGED] = "unchanged",
    [FL_OUTCOME_REJECTED] = "rejected",
    [FL_OUTCOME_SUPERSEDED] = "superseded",
    [FL_OUTCOME_DELETED] = "deleted",
    [FL_OUTCOME_INVALID] = "invalid",
    [FL_OUTCOME_FAILED] = "failed",
    [FL_OUTCOME_CANCELLED] = "cancelled",
};

const char *fl_mode_name(enum fl_mode mode)
{
    return MODES[mode];
}

bool fl_mode_from_name(struct fl_slice name, enum fl_mode *mode)
{
    for (size_t i = 0; i < sizeof MODES / sizeof *MODES; i++) {
        if (!fl_slice_is(name, MODES[i]))
            continue;
        *mode = (enum fl_mode)i;
        return true;
    }
    return false;
}

const char *fl_outcome_name(enum fl_outcome outcome)
{
    return OUTCOMES[outcome];
}

enum fl_outcome fl_outcome_from_name(struct fl_slice name)
{
    for (size_t i = 0; i < sizeof OUTCOMES / sizeof *OUTCOMES; i++)
        if (fl_slice_is(name, OUTCOMES[i]))
            return (enum fl_outcome)i;
    return FL_OUTCOME_OPEN;
}

fl_status fl_episode_check(struct fl_slice episode, struct fl_err *err)
{
    if (episode.len == 0)
        return fl_err_set(err, FL_INVALID,
                          "the episode id is empty; give one of 1 to 255 bytes with --episode");
    if (episode.len > 255)
        return fl_err_set(err, FL_INVALID, "the episode id '%.*s...' has %zu bytes; at most 255 are allowed",
                          40, episode.ptr, episode.len);
    size_t valid = fl_utf8_valid_prefix(episode);
    if (valid != episode.len)
        return fl_err_set(err, FL_INVALID, "the episode id is not valid UTF-8 at byte %zu", valid + 1);
    struct fl_slice rest = episode;
    while (rest.len)
        if (fl_utf8_is_control(fl_utf8_next(&rest)))
            return fl_err_set(err, FL_INVALID, "the episode id '%.*s' has a control character at byte %zu",
                              FL_ARGS(episode), (size_t)(rest.ptr - episode.ptr));
    return FL_OK;
}

/* Suffixes that tell the kind themselves, the longer ones first. */
static const struct {
    const char *suffix;
    enum fl_format format;
} SUFFIXES[] = {
    {".chapters.json", FL_FORMAT_CHAPTERS_JSON},
    {".transcript.json", FL_FORMAT_TRANSCRIPT_JSON},
    {".transcript.txt", FL_FORMAT_TIMED_TEXT},
    {".transcript.srt", FL_FORMAT_SRT},
    {".transcript.vtt", FL_FORMAT_VTT},
    {".srt", FL_FORMAT_SRT},
    {".vtt", FL_FORMAT_VTT},
};

static struct fl_slice take_last_part(struct fl_slice *path)
{
    size_t begin = path->len;
    while (begin && path->ptr[begin - 1] != '/')
        begin--;
    struct fl_slice part = {path->ptr + begin, path->len - begin};
    path->len = begin ? begin - 1 : 0;
    return part;
}

static struct fl_slice without(struct fl_slice name, const char *suffix)
{
    return (struct fl_slice){name.ptr, name.len - fl_slice_from(suffix).len};
}

void fl_job_from_path(struct fl_slice path, struct fl_slice *episode, enum fl_kind *kind,
                      enum fl_format *format)
{
    struct fl_slice name = take_last_part(&path);
    struct fl_slice folder = take_last_part(&path);
    *episode = (struct fl_slice){0};
    *kind = FL_KIND_NONE;
    *format = FL_FORMAT_NONE;
    for (size_t i = 0; i < sizeof SUFFIXES / sizeof *SUFFIXES; i++) {
        if (!fl_slice_ends(name, SUFFIXES[i].suffix) || name.len == fl_slice_from(SUFFIXES[i].suffix).len)
            continue;
        *episode = without(name, SUFFIXES[i].suffix);
        *format = SUFFIXES[i].format;
        *kind = fl_format_kind(*format);
        return;
    }
    bool json = fl_slice_ends(name, ".json") && name.len > 5;
    bool text = fl_slice_ends(name, ".txt") && name.len > 4;
    if (fl_slice_is(folder, "chapters") && json)
        *format = FL_FORMAT_CHAPTERS_JSON;
    else if (fl_slice_is(folder, "transcript") && (json || text))
        *format = json ? FL_FORMAT_TRANSCRIPT_JSON : FL_FORMAT_TIMED_TEXT;
    if (*format == FL_FORMAT_NONE)
        return;
    *episode = without(name, json ? ".json" : ".txt");
    *kind = fl_format_kind(*format);
}
