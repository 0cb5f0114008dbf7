/* args.c - getopt_long over the tables of args_table.c.
 *
 * Happy path: options before the command (common ones only), the command, then its options and arguments in
 * any order. Failure modes: everything that is not understood is FL_USAGE, one line that ends with where help
 * is. Long options must be written out: a prefix that is unique today is not tomorrow. */
#include "cli/args.h"

#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#include "app/secrets.h"
#include "base/assert.h"
#include "base/nearest.h"
#include "base/slice.h"
#include "cli/args_table.h"
#include "cli/when.h"

enum { OPTIONS = 32, LONG_BASE = 256 };

static const char *const COMMAND_NAMES[] = {
#define X(name, function, words) [FL_COMMAND_##name] = words,
    FL_COMMAND_LIST(X)
#undef X
};

const char *fl_command_name(enum fl_command command)
{
    return COMMAND_NAMES[command];
}

const char *fl_command_second_word(enum fl_command command, const char *first)
{
    size_t length = strlen(first);
    const char *words = COMMAND_NAMES[command];
    return strncmp(words, first, length) == 0 && words[length] == ' ' ? words + length + 1 : NULL;
}

/* The options that hold at one place of the command line, and getopt's view of them. */
struct option_set {
    const struct fl_option *options[OPTIONS];
    size_t count;
    struct option longs[OPTIONS + 1];
    char letters[2 * OPTIONS + 3];
};

static void add_options(struct option_set *set, const struct fl_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        FL_ASSERT(set->count < OPTIONS);
        const struct fl_option *option = &options[i];
        int id = LONG_BASE + (int)set->count;
        set->longs[set->count] =
            (struct option){option->name, option->value ? required_argument : no_argument, NULL, id};
        set->options[set->count++] = option;
        if (!option->letter)
            continue;
        size_t used = strlen(set->letters);
        set->letters[used++] = option->letter;
        if (option->value)
            set->letters[used++] = ':';
        set->letters[used] = '\0';
    }
}

static void make_set(struct option_set *set, enum fl_command command)
{
    /* ':' first: tell a missing argument from an unknown option; '+': stop at the command. */
    *set = (struct option_set){.letters = ":"};
    if (command == FL_COMMAND_NONE)
        strcpy(set->letters, "+:");
    else
        add_options(set, fl_command_infos[command].options, fl_command_infos[command].option_count);
    add_options(set, fl_common_options, fl_common_option_count);
}

/* How to see help, as the end of a message. */
static void set_usage(struct fl_err *err, const struct fl_args *args)
{
    struct fl_err before = *err;
    const char *word = args->command != FL_COMMAND_NONE ? COMMAND_NAMES[args->command] : args->group;
    fl_err_set(err, FL_USAGE, "%.*s; see 'fenceline %s%s--help'", FL_ERR_TEXT_BYTES - 64, before.text,
               word ? word : "", word ? " " : "");
}

static fl_status refuse_unknown(const struct option_set *set, const char *word, struct fl_err *err)
{
    struct fl_nearest nearest;
    struct fl_slice name = fl_slice_from(word);
    const char *equals = strchr(word, '=');
    if (equals)
        name = fl_slice_range(word, equals);
    while (name.len && name.ptr[0] == '-')
        name = (struct fl_slice){name.ptr + 1, name.len - 1};
    fl_nearest_init(&nearest, name);
    for (size_t i = 0; name.len > 1 && i < set->count; i++)
        fl_nearest_offer(&nearest, set->options[i]->name);
    if (nearest.best)
        return fl_err_set(err, FL_USAGE, "unknown option '--%.*s' (did you mean '--%s'?)", FL_ARGS(name),
                          nearest.best);
    return fl_err_set(err, FL_USAGE, "unknown option '%.*s'", 80, word);
}

static fl_status store_name(const struct fl_option *option, struct fl_args *args, const char *value,
                            struct fl_err *err)
{
    struct fl_slice name = fl_slice_from(value);
    bool known = false;
    if (option->type == FL_OPTION_KIND)
        known = (args->kind = fl_kind_from_name(name)) != FL_KIND_NONE;
    else if (option->type == FL_OPTION_FORMAT)
        known = (args->format = fl_format_from_name(name)) != FL_FORMAT_NONE;
    else
        known = fl_mode_from_name(name, &args->mode);
    if (!known)
        return fl_err_set(err, FL_USAGE, "unknown %s '%.80s'; --%s takes %s", option->name, value,
                          option->name, option->help);
    if (option->type == FL_OPTION_MODE && args->mode == FL_MODE_DELETE)
        return fl_err_set(err, FL_USAGE, "import cannot delete: use 'fenceline delete EPISODE [KIND]'");
    return FL_OK;
}

/* What can be written again has shorter names than what can be read: its kind is clear without them. */
static fl_status store_written(struct fl_args *args, const char *value, struct fl_err *err)
{
    static const struct {
        const char *name;
        enum fl_format format;
    } WRITTEN[] = {{"json", FL_FORMAT_TRANSCRIPT_JSON},
                   {"srt", FL_FORMAT_SRT},
                   {"vtt", FL_FORMAT_VTT},
                   {"chapters", FL_FORMAT_CHAPTERS_JSON}};
    for (size_t i = 0; i < sizeof WRITTEN / sizeof *WRITTEN; i++)
        if (strcmp(value, WRITTEN[i].name) == 0) {
            args->format = WRITTEN[i].format;
            return FL_OK;
        }
    return fl_err_set(err, FL_USAGE, "unknown format '%.80s'; --format takes json, srt, vtt or chapters",
                      value);
}

static fl_status store_priority(struct fl_args *args, const char *value, struct fl_err *err)
{
    static const char *const NAMES[] = {"high", "normal", "low"};
    for (int i = 0; i < FL_PRIORITY_COUNT; i++)
        if (strcmp(value, NAMES[i]) == 0) {
            args->priority = (enum fl_priority)(i - 1);
            return FL_OK;
        }
    return fl_err_set(err, FL_USAGE, "unknown priority '%.80s'; --priority takes high, normal or low", value);
}

static fl_status store_outcome(struct fl_args *args, const char *value, struct fl_err *err)
{
    struct fl_nearest nearest;
    fl_nearest_init(&nearest, fl_slice_from(value));
    for (int i = FL_OUTCOME_OPEN; i <= FL_OUTCOME_CANCELLED; i++)
        fl_nearest_offer(&nearest, fl_outcome_name((enum fl_outcome)i));
    args->outcome = value;
    if (strcmp(value, "open") == 0 || fl_outcome_from_name(fl_slice_from(value)) != FL_OUTCOME_OPEN)
        return FL_OK;
    if (nearest.best)
        return fl_err_set(err, FL_USAGE, "unknown outcome '%.80s' (did you mean '%s'?)", value, nearest.best);
    return fl_err_set(
        err, FL_USAGE,
        "unknown outcome '%.80s'; --outcome takes open, imported, unchanged, rejected, superseded, "
        "deleted, invalid, failed or cancelled",
        value);
}

static fl_status store_verdict(struct fl_args *args, const char *value, struct fl_err *err)
{
    args->verdict = fl_verdict_from_name(fl_slice_from(value));
    if (args->verdict != FL_VERDICT_COUNT)
        return FL_OK;
    return fl_err_set(
        err, FL_USAGE,
        "unknown verdict '%.80s'; --verdict takes healthy, expiring, stalled, orphan, fence-ahead, "
        "redis-lost or zombie",
        value);
}

static fl_status store_number(const struct fl_option *option, int64_t *place, const char *value,
                              struct fl_err *err)
{
    struct fl_slice text = fl_slice_from(value), rest = text;
    if (option->type == FL_OPTION_SECONDS) {
        if (fl_slice_seconds_to_ms(text, place) && *place >= 0)
            return FL_OK;
        return fl_err_set(err, FL_USAGE, "--%s takes seconds such as 10 or 0.5, not '%.80s'", option->name,
                          value);
    }
    if (fl_slice_take_digits(&rest, place) > 0 && rest.len == 0 && *place < INT64_MAX)
        return FL_OK;
    return fl_err_set(err, FL_USAGE, "--%s takes a whole number, not '%.80s'", option->name, value);
}

static fl_status store(const struct fl_option *option, struct fl_args *args, const char *value,
                       struct fl_err *err)
{
    void *place = (char *)args + option->offset;
    switch (option->type) {
    case FL_OPTION_FLAG: *(bool *)place = true; return FL_OK;
    case FL_OPTION_TEXT: *(const char **)place = value; return FL_OK;
    case FL_OPTION_KIND:
    case FL_OPTION_FORMAT:
    case FL_OPTION_MODE: return store_name(option, args, value, err);
    case FL_OPTION_WRITTEN: return store_written(args, value, err);
    case FL_OPTION_NUMBER:
    case FL_OPTION_SECONDS: return store_number(option, place, value, err);
    case FL_OPTION_DURATION: return fl_when_duration(fl_slice_from(value), option->name, place, err);
    case FL_OPTION_TIME: return fl_when_time(fl_slice_from(value), option->name, place, err);
    case FL_OPTION_PRIORITY: return store_priority(args, value, err);
    case FL_OPTION_VERDICT: return store_verdict(args, value, err);
    case FL_OPTION_OUTCOME: return store_outcome(args, value, err);
    }
    return FL_OK;
}

static const struct fl_option *option_of(const struct option_set *set, int id)
{
    if (id >= LONG_BASE)
        return set->options[id - LONG_BASE];
    for (size_t i = 0; i < set->count; i++)
        if (set->options[i]->letter == id)
            return set->options[i];
    return NULL;
}

static bool is_written_out(const struct fl_option *option, const char *word)
{
    size_t length = strlen(option->name);
    return strncmp(word + 2, option->name, length) == 0 &&
           (word[2 + length] == '\0' || word[2 + length] == '=');
}

/* getopt tells by optopt: 0 = a long option that it does not know, or knows two of. */
static fl_status refuse(const struct option_set *set, int id, const char *word, struct fl_err *err)
{
    const struct fl_option *option = optopt ? option_of(set, optopt) : NULL;
    if (id == ':' && option)
        return fl_err_set(err, FL_USAGE, "--%s needs a value: %s", option->name, option->value);
    if (option)
        return fl_err_set(err, FL_USAGE, "--%s takes no value", option->name);
    if (optopt)
        return fl_err_set(err, FL_USAGE, "unknown option '-%c'", optopt);
    return refuse_unknown(set, word, err);
}

/* Reads options until the first word that is none (before the command) or the end (after it). */
static fl_status read_options(struct fl_args *args, enum fl_command command, int argc, char **argv,
                              struct fl_err *err)
{
    struct option_set set;
    fl_status status = FL_OK;
    make_set(&set, command);
    opterr = 0;
    while (status == FL_OK && !args->help && !args->version) {
        int id = getopt_long(argc, argv, set.letters, set.longs, NULL);
        if (id == -1)
            break;
        const struct fl_option *option = id == '?' || id == ':' ? NULL : option_of(&set, id);
        bool separate = option && option->value && optarg == argv[optind - 1];
        const char *word = argv[optind - 1 - separate];
        if (!option)
            status = refuse(&set, id, word, err);
        else if (id >= LONG_BASE && !is_written_out(option, word))
            status = refuse_unknown(&set, word, err);
        else
            status = store(option, args, optarg, err);
    }
    return status;
}

/* Is this word the first of a command of two words? */
static bool begins_command(const char *word)
{
    for (int i = 0; i < FL_COMMAND_NONE; i++)
        if (fl_command_second_word((enum fl_command)i, word))
            return true;
    return false;
}

static const char *first_of_group(const char *word)
{
    int i = 0;
    while (i < FL_COMMAND_NONE - 1 && !fl_command_second_word((enum fl_command)i, word))
        i++;
    return COMMAND_NAMES[i];
}

static bool find_exactly(struct fl_args *args, const char *words)
{
    for (int i = 0; i < FL_COMMAND_NONE; i++)
        if (strcmp(words, COMMAND_NAMES[i]) == 0)
            args->command = (enum fl_command)i;
    return args->command != FL_COMMAND_NONE;
}

/* Only the words that may stand there are offered: after "jobs", not those after nothing. */
static const char *nearest_word(const char *first, const char *word)
{
    struct fl_nearest nearest;
    fl_nearest_init(&nearest, fl_slice_from(word));
    for (int i = 0; i < FL_COMMAND_NONE; i++) {
        const char *name = first ? fl_command_second_word((enum fl_command)i, first) : COMMAND_NAMES[i];
        if (name)
            fl_nearest_offer(&nearest, name);
    }
    return nearest.best;
}

static fl_status refuse_second(const char *first, const char *second, struct fl_err *err)
{
    const char *best = nearest_word(first, second);
    if (best)
        return fl_err_set(err, FL_USAGE, "unknown command '%.60s %.60s' (did you mean '%.60s %s'?)", first,
                          second, first, best);
    return fl_err_set(err, FL_USAGE, "unknown command '%.60s %.60s'", first, second);
}

static fl_status refuse_first(const char *word, struct fl_err *err)
{
    const char *best = nearest_word(NULL, word);
    if (best)
        return fl_err_set(err, FL_USAGE, "unknown command '%.80s' (did you mean '%s'?)", word, best);
    return fl_err_set(err, FL_USAGE, "unknown command '%.80s'", word);
}

/* "worker" is a command, and so is "worker list"; "jobs" alone is none. *words = how many the command has. */
static fl_status find_command(struct fl_args *args, char *const *argv, int argc, int *words,
                              struct fl_err *err)
{
    char two[128];
    bool is_group = begins_command(argv[0]);
    bool has_second = is_group && argc > 1 && argv[1][0] != '-';
    snprintf(two, sizeof two, "%.60s %.60s", argv[0], has_second ? argv[1] : "");
    *words = has_second && find_exactly(args, two) ? 2 : 1;
    if (*words == 2)
        return FL_OK;
    bool is_command = find_exactly(args, argv[0]);
    args->group = is_group && !is_command ? argv[0] : NULL;
    if (has_second && (!is_command || nearest_word(argv[0], argv[1])))
        return refuse_second(argv[0], argv[1], err);
    if (is_command)
        return FL_OK;
    if (!is_group)
        return refuse_first(argv[0], err);
    args->help = argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
    return args->help ? FL_OK
                      : fl_err_set(err, FL_USAGE, "'%.60s' needs a word more, such as '%s'", argv[0],
                                   first_of_group(argv[0]));
}

fl_status fl_args_parse(struct fl_args *args, int argc, char **argv, struct fl_err *err)
{
    const enum fl_mode mode_not_given = FL_MODE_DELETE; /* no option can give it */
    *args = (struct fl_args){.command = FL_COMMAND_NONE,
                             .mode = mode_not_given,
                             .if_version = FL_ARGS_NOT_GIVEN,
                             .jobs = FL_ARGS_NOT_GIVEN,
                             .at_ms = FL_ARGS_NOT_GIVEN,
                             .in_ms = FL_ARGS_NOT_GIVEN,
                             .slots = FL_ARGS_NOT_GIVEN,
                             .older_than_ms = FL_ARGS_NOT_GIVEN,
                             .verdict = FL_VERDICT_COUNT,
                             .limit = FL_ARGS_NOT_GIVEN,
                             .wait_lock_ms = FL_ARGS_NOT_GIVEN};
    optind = 0; /* glibc: start afresh */
    fl_status status = read_options(args, FL_COMMAND_NONE, argc, argv, err);
    if (status == FL_OK && (args->help || args->version))
        return FL_OK;
    int at = optind;
    if (status == FL_OK && at >= argc)
        status = fl_err_set(err, FL_USAGE, "no command given");
    int words = 1;
    if (status == FL_OK)
        status = find_command(args, argv + at, argc - at, &words, err);
    if (status == FL_OK && args->help)
        return FL_OK;
    if (status == FL_OK) {
        at += words - 1;
        optind = 0;
        status = read_options(args, args->command, argc - at, argv + at, err);
        args->paths = argv + at + optind;
        args->path_count = (size_t)(argc - at - optind);
    }
    bool mode_given = args->mode != mode_not_given;
    if (!mode_given)
        args->mode = FL_MODE_CREATE;
    if (status == FL_OK && (args->help || args->version))
        return FL_OK;
    if (status == FL_OK)
        status = fl_args_check(args, mode_given, err);
    if (status != FL_OK)
        set_usage(err, args);
    return status;
}

fl_status fl_args_apply(const struct fl_args *args, struct fl_settings *settings, struct fl_err *err)
{
    char jobs[24], wait_ms[24], slots[24];
    snprintf(jobs, sizeof jobs, "%" PRId64, args->jobs);
    snprintf(wait_ms, sizeof wait_ms, "%" PRId64, args->wait_lock_ms);
    snprintf(slots, sizeof slots, "%" PRId64, args->slots);
    const struct {
        const char *origin, *key, *value;
    } GIVEN[] = {{"--redis", "redis.url", args->redis},
                 {"--postgres", "postgres.dsn", args->postgres},
                 {"--jobs", "import.jobs", args->jobs == FL_ARGS_NOT_GIVEN ? NULL : jobs},
                 {"--slots", "worker.slots", args->slots == FL_ARGS_NOT_GIVEN ? NULL : slots},
                 {"--wait-lock", "lease.wait_ms", args->wait_lock_ms == FL_ARGS_NOT_GIVEN ? NULL : wait_ms}};
    fl_status status = FL_OK;
    for (size_t i = 0; status == FL_OK && i < sizeof GIVEN / sizeof *GIVEN; i++)
        if (GIVEN[i].value)
            status = fl_settings_set(settings, GIVEN[i].key, GIVEN[i].value,
                                     &(struct fl_origin){FL_ORIGIN_OPTION, fl_slice_from(GIVEN[i].origin), 0},
                                     err);
    if (status != FL_OK)
        set_usage(err, args);
    settings->limits.strict = args->strict;
    settings->limits.repair = args->repair;
    return status;
}

fl_status fl_args_load_settings(const struct fl_args *args, struct fl_settings *settings, struct fl_err *err)
{
    fl_status status = fl_settings_load(settings, args->config, err);
    if (status == FL_OK)
        status = fl_args_apply(args, settings, err);
    if (status == FL_OK)
        status = fl_settings_check(settings, err);
    return status == FL_OK ? fl_secrets_read(settings, err) : status;
}
