/* args_check.c - what options and arguments say together: how many arguments, contradictions, secrets.
 *
 * Happy path: nothing to say. Failure modes: FL_USAGE with the first thing that is wrong; nothing here looks
 * at files or servers. */
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "base/utf8.h"
#include "cli/args_table.h"
#include "core/job.h"
#include "io/pg_dsn.h"

static fl_status check_positional(struct fl_args *args, struct fl_err *err)
{
    FL_ASSERT(args->command < FL_COMMAND_NONE);
    const struct fl_command_info *info = &fl_command_infos[args->command];
    if (args->path_count < info->fewest)
        return fl_err_set(err, FL_USAGE, "%s needs %s", fl_command_name(args->command), info->positional);
    if (args->path_count > info->most)
        return fl_err_set(err, FL_USAGE, "%s takes %s: '%.80s' is too much", fl_command_name(args->command),
                          info->positional[0] ? info->positional : "no arguments", args->paths[info->most]);
    if (!info->has_kind || args->path_count < 2)
        return FL_OK;
    args->kind = fl_kind_from_name(fl_slice_from(args->paths[1]));
    if (args->kind != FL_KIND_NONE)
        return FL_OK;
    return fl_err_set(err, FL_USAGE, "unknown kind '%.80s': chapters or transcript", args->paths[1]);
}

/* An id on the command line that no episode can have is wrong usage, not bad input. */
static fl_status check_episode(const struct fl_args *args, struct fl_err *err)
{
    bool is_first = strncmp(fl_command_infos[args->command].positional, "EPISODE", 7) == 0;
    const char *episode = is_first ? args->paths[0] : args->episode;
    if (!episode || fl_episode_check(fl_slice_from(episode), err) == FL_OK)
        return FL_OK;
    err->code = FL_USAGE;
    return FL_USAGE;
}

static fl_status check_mode(struct fl_args *args, bool mode_given, struct fl_err *err)
{
    bool has_version = args->if_version != FL_ARGS_NOT_GIVEN;
    if (has_version && mode_given && args->mode != FL_MODE_IF_VERSION)
        return fl_err_set(err, FL_USAGE, "--if-version contradicts --mode %s", fl_mode_name(args->mode));
    if (!has_version && args->mode == FL_MODE_IF_VERSION)
        return fl_err_set(err, FL_USAGE, "--mode if-version needs --if-version N");
    if (has_version)
        args->mode = FL_MODE_IF_VERSION;
    if (args->command == FL_COMMAND_DELETE)
        args->mode = FL_MODE_DELETE;
    return FL_OK;
}

/* In `ps`, everybody can read a command line. */
static bool redis_has_password(const char *url)
{
    struct fl_slice text = fl_slice_from(url);
    const char *scheme = strstr(url, "://"), *start = scheme ? scheme + 3 : url;
    const char *at = memrchr(url, '@', text.len);
    if (strstr(url, "password=") || strstr(url, "auth="))
        return true;
    if (!at || at < start)
        return false;
    const char *colon = memchr(start, ':', (size_t)(at - start));
    return !colon || colon + 1 < at; /* some programs take a lone word before '@' for the password */
}

static fl_status check_secrets(const struct fl_args *args, struct fl_err *err)
{
    bool has_password = false;
    if (args->redis && redis_has_password(args->redis))
        return fl_err_set(err, FL_USAGE,
                          "--redis holds a password, which everybody could read in ps: put the URL into "
                          "FENCELINE_REDIS or into the configuration file");
    if (!args->postgres)
        return FL_OK;
    fl_status status = fl_pg_dsn_check(args->postgres, &has_password, err);
    if (has_password)
        return fl_err_set(err, FL_USAGE,
                          "--postgres holds a password, which everybody could read in ps: put it into "
                          "FENCELINE_POSTGRES, the configuration file or ~/.pgpass");
    if (status != FL_OK)
        fl_err_prefix(err, "--postgres");
    return status;
}

/* Postgres holds no other text, so that it could match nothing. */
static fl_status check_texts(const struct fl_args *args, struct fl_err *err)
{
    const struct {
        const char *option, *text;
    } TEXTS[] = {{"--error", args->error}, {"--worker", args->worker}, {"--reason", args->reason}};
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        struct fl_slice text = fl_slice_from(TEXTS[i].text);
        if (fl_utf8_valid_prefix(text) != text.len)
            return fl_err_set(err, FL_USAGE, "%s takes text in UTF-8", TEXTS[i].option);
    }
    return FL_OK;
}

/* The format that show writes and the KIND that it was given. */
static fl_status check_written(struct fl_args *args, struct fl_err *err)
{
    if (args->command != FL_COMMAND_SHOW || args->format == FL_FORMAT_NONE)
        return FL_OK;
    enum fl_kind kind = fl_format_kind(args->format);
    if (args->json)
        return fl_err_set(err, FL_USAGE,
                          "--json contradicts --format: the one prints JSON lines about "
                          "documents, the other writes a document");
    if (args->kind != FL_KIND_NONE && args->kind != kind)
        return fl_err_set(err, FL_USAGE,
                          kind == FL_CHAPTERS ? "--format chapters writes chapters, which contradicts "
                                                "'transcript': use --format json, srt or vtt"
                                              : "--format json, srt and vtt write a transcript, which "
                                                "contradicts 'chapters': use --format chapters");
    args->kind = kind;
    return FL_OK;
}

static fl_status check_pairs(const struct fl_args *args, struct fl_err *err)
{
    bool is_worker = args->command == FL_COMMAND_WORKER;
    bool has_slots = args->slots != FL_ARGS_NOT_GIVEN;
    const struct {
        bool is_wrong;
        const char *text;
    } PAIRS[] = {
        {args->quiet && args->verbose, "--quiet contradicts --verbose"},
        {args->status && args->sql, "--status contradicts --sql"},
        {args->pause && args->resume, "--pause contradicts --resume"},
        {is_worker && args->reason && !args->pause, "--reason goes with --pause"},
        {args->pause && has_slots, "--slots contradicts --pause, which starts no worker"},
        {args->resume && has_slots, "--slots contradicts --resume, which starts no worker"},
        {args->at_ms != FL_ARGS_NOT_GIVEN && args->in_ms != FL_ARGS_NOT_GIVEN,
         "--at contradicts --in: give one of them"},
        {args->manifest && args->episode,
         "--manifest contradicts --episode: each of its lines names its own"},
    };
    for (size_t i = 0; i < sizeof PAIRS / sizeof *PAIRS; i++)
        if (PAIRS[i].is_wrong)
            return fl_err_set(err, FL_USAGE, "%s", PAIRS[i].text);
    if (args->manifest && args->path_count)
        return fl_err_set(err, FL_USAGE,
                          "--manifest contradicts '%.80s': inputs stand in the one or in the other",
                          args->paths[0]);
    bool both = args->format != FL_FORMAT_NONE && args->kind != FL_KIND_NONE;
    if (both && fl_format_kind(args->format) != args->kind)
        return fl_err_set(err, FL_USAGE, "--format %s holds a %s, which contradicts --kind %s",
                          fl_format_name(args->format), fl_kind_name(fl_format_kind(args->format)),
                          fl_kind_name(args->kind));
    return FL_OK;
}

fl_status fl_args_check(struct fl_args *args, bool mode_given, struct fl_err *err)
{
    fl_status status = check_mode(args, mode_given, err);
    if (status == FL_OK)
        status = check_positional(args, err);
    if (status == FL_OK)
        status = check_episode(args, err);
    if (status == FL_OK)
        status = check_secrets(args, err);
    if (status == FL_OK)
        status = check_texts(args, err);
    if (status == FL_OK)
        status = check_written(args, err);
    return status == FL_OK ? check_pairs(args, err) : status;
}
