/* settings.c - one table of keys; file, environment and options all pass through fl_settings_set.
 *
 * Happy path: init fills in the defaults, load reads the INI file line by line, then the environment; each
 * value keeps where it came from. Failure modes: an unknown key, a value out of range, a key given twice, a
 * line that is no setting, a file that cannot be read: FL_USAGE with the place and what would be right; who
 * wants to hear of all of them gives a function. Values of redis.url and postgres.dsn may hold a password and
 * are never quoted in a message. */
#include "app/settings.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/settings_keys.h"
#include "base/assert.h"
#include "base/nearest.h"
#include "base/slice.h"

static const char ENVIRONMENT_PREFIX[] = "FENCELINE_";

enum { LINE_BYTES = 2048, NAME_BYTES = 128 };

/* Whoever wants to hear of everything that is wrong; without a function the first thing ends the reading. */
struct listener {
    void (*tell)(void *owner, const struct fl_err *err);
    void *owner;
    struct fl_err *err; /* of the first thing that was wrong */
    fl_status status;
};

/* Is there no sense in going on? */
static bool is_enough(const struct listener *listener)
{
    return listener->status != FL_OK && !listener->tell;
}

static void note(struct listener *listener, const struct fl_err *err)
{
    if (listener->tell)
        listener->tell(listener->owner, err);
    if (listener->status != FL_OK)
        return;
    listener->status = err->code;
    if (listener->err)
        *listener->err = *err;
}

static void store_number(struct fl_settings *settings, const struct fl_setting *setting, int64_t number)
{
    char *place = (char *)settings + setting->offset;
    switch (setting->type) {
    case FL_SETTING_INT64: memcpy(place, &number, sizeof number); break;
    case FL_SETTING_SIZE: memcpy(place, &(size_t){(size_t)number}, sizeof(size_t)); break;
    case FL_SETTING_UINT32: memcpy(place, &(uint32_t){(uint32_t)number}, sizeof(uint32_t)); break;
    case FL_SETTING_TEXT: break;
    }
}

void fl_settings_init(struct fl_settings *settings)
{
    size_t count;
    const struct fl_setting *table = fl_settings_table(&count);
    FL_ASSERT(count <= FL_SETTINGS_MAX);
    *settings = (struct fl_settings){0};
    for (size_t i = 0; i < count; i++) {
        if (table[i].type == FL_SETTING_TEXT)
            snprintf((char *)settings + table[i].offset, FL_SETTINGS_TEXT_BYTES, "%s", table[i].default_text);
        else
            store_number(settings, &table[i], table[i].default_number);
    }
}

const struct fl_setting *fl_settings_find(const char *key)
{
    size_t count;
    const struct fl_setting *table = fl_settings_table(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i].name, key) == 0)
            return &table[i];
    return NULL;
}

static size_t index_of(const struct fl_setting *setting)
{
    size_t count;
    return (size_t)(setting - fl_settings_table(&count));
}

const struct fl_origin *fl_settings_origin(const struct fl_settings *settings,
                                           const struct fl_setting *setting)
{
    return &settings->origins[index_of(setting)];
}

const char *fl_origin_format(const struct fl_origin *origin, char out[FL_ORIGIN_BYTES])
{
    if (origin->source == FL_ORIGIN_DEFAULT)
        snprintf(out, FL_ORIGIN_BYTES, "default");
    else if (origin->line)
        snprintf(out, FL_ORIGIN_BYTES, "%.*s:%u", FL_ARGS(origin->name), origin->line);
    else
        snprintf(out, FL_ORIGIN_BYTES, "%.*s", FL_ARGS(origin->name));
    return out;
}

int64_t fl_settings_number(const struct fl_settings *settings, const struct fl_setting *setting)
{
    const char *place = (const char *)settings + setting->offset;
    int64_t number = 0;
    size_t size;
    uint32_t small;
    switch (setting->type) {
    case FL_SETTING_INT64: memcpy(&number, place, sizeof number); break;
    case FL_SETTING_SIZE: memcpy(&size, place, sizeof size), number = (int64_t)size; break;
    case FL_SETTING_UINT32: memcpy(&small, place, sizeof small), number = small; break;
    case FL_SETTING_TEXT: break;
    }
    return number;
}

const char *fl_settings_text(const struct fl_settings *settings, const struct fl_setting *setting)
{
    return setting->type == FL_SETTING_TEXT ? (const char *)settings + setting->offset : NULL;
}

static fl_status refuse_key(const char *key, const char *origin, struct fl_err *err)
{
    struct fl_nearest nearest;
    size_t count;
    const struct fl_setting *table = fl_settings_table(&count);
    fl_nearest_init(&nearest, fl_slice_from(key));
    for (size_t i = 0; i < count; i++)
        fl_nearest_offer(&nearest, table[i].name);
    if (nearest.best)
        return fl_err_set(err, FL_USAGE, "%s: unknown setting '%s'; did you mean '%s'?", origin, key,
                          nearest.best);
    return fl_err_set(err, FL_USAGE, "%s: unknown setting '%s'; 'fenceline config show' lists all of them",
                      origin, key);
}

static fl_status set_text(struct fl_settings *settings, const struct fl_setting *setting,
                          struct fl_slice value, const char *origin, struct fl_err *err)
{
    if (value.len >= FL_SETTINGS_TEXT_BYTES)
        return fl_err_set(err, FL_USAGE, "%s: %s has %zu bytes; at most %d are allowed", origin,
                          setting->name, value.len, FL_SETTINGS_TEXT_BYTES - 1);
    char *place = (char *)settings + setting->offset;
    if (value.len)
        memcpy(place, value.ptr, value.len);
    place[value.len] = '\0';
    return FL_OK;
}

static fl_status set_number(struct fl_settings *settings, const struct fl_setting *setting,
                            struct fl_slice text, const char *origin, struct fl_err *err)
{
    int64_t number;
    struct fl_slice rest = text;
    bool whole = fl_slice_take_digits(&rest, &number) > 0 && rest.len == 0;
    if (!whole || number < setting->min || number > setting->max)
        return fl_err_set(err, FL_USAGE,
                          "%s: %s must be a whole number%s%s from %" PRId64 " to %" PRId64 ", not '%.*s'",
                          origin, setting->name, setting->unit[0] ? " of " : "", setting->unit, setting->min,
                          setting->max, text.len > 40 ? 40 : (int)text.len, text.len ? text.ptr : "");
    store_number(settings, setting, number);
    return FL_OK;
}

fl_status fl_settings_set(struct fl_settings *settings, const char *key, const char *value,
                          const struct fl_origin *origin, struct fl_err *err)
{
    char where[FL_ORIGIN_BYTES];
    fl_origin_format(origin, where);
    const struct fl_setting *setting = fl_settings_find(key);
    if (!setting)
        return refuse_key(key, where, err);
    struct fl_slice text = fl_slice_trim(fl_slice_from(value));
    fl_status status = setting->type == FL_SETTING_TEXT ? set_text(settings, setting, text, where, err)
                                                        : set_number(settings, setting, text, where, err);
    if (status == FL_OK)
        settings->origins[index_of(setting)] = *origin;
    return status;
}

/* State of one reading of a file; inih calls back with it. */
struct reading {
    struct fl_settings *settings;
    const char *path;
    FILE *file;
    unsigned line;
    unsigned seen_line[FL_SETTINGS_MAX]; /* where each key was given; 0 = not yet */
    bool too_long;
    struct listener *listener;
};

/* Gives inih one line. Leading blanks go, because inih takes an indented line for the rest of the value
 * above. */
static char *read_line(char *line, int size_bytes, void *stream)
{
    struct reading *reading = stream;
    if (is_enough(reading->listener) || !fgets(line, size_bytes, reading->file))
        return NULL;
    reading->line++;
    size_t length = strlen(line);
    if (length == (size_t)size_bytes - 1 && line[length - 1] != '\n') {
        reading->too_long = true;
        return NULL;
    }
    size_t blanks = strspn(line, " \t");
    memmove(line, line + blanks, length - blanks + 1);
    return line;
}

static fl_status read_key(struct reading *reading, const char *section, const char *name, const char *value,
                          struct fl_err *err)
{
    char key[NAME_BYTES];
    const struct fl_origin origin = {FL_ORIGIN_FILE, fl_slice_from(reading->path), reading->line};
    if (!section[0])
        return fl_err_set(err, FL_USAGE, "%s:%u: '%s' stands before the first [section]", reading->path,
                          reading->line, name);
    snprintf(key, sizeof key, "%s.%s", section, name);
    const struct fl_setting *setting = fl_settings_find(key);
    unsigned *seen = setting ? &reading->seen_line[index_of(setting)] : NULL;
    if (seen && *seen)
        return fl_err_set(err, FL_USAGE, "%s:%u: %s was given in line %u already", reading->path,
                          reading->line, key, *seen);
    if (seen)
        *seen = reading->line;
    return fl_settings_set(reading->settings, key, value, &origin, err);
}

static int on_key(void *context, const char *section, const char *name, const char *value)
{
    struct reading *reading = context;
    struct fl_err err = {0};
    if (!is_enough(reading->listener) && read_key(reading, section, name, value, &err) != FL_OK)
        note(reading->listener, &err);
    return 1;
}

static fl_status read_stream(struct reading *reading, struct fl_err *err)
{
    ini_max_line = LINE_BYTES; /* its own 200 bytes are too few for a connection string */
    int bad_line = ini_parse_stream(read_line, reading, on_key, reading);
    if (is_enough(reading->listener))
        return FL_OK;
    if (ferror(reading->file))
        return fl_err_set(err, FL_USAGE, "cannot read the configuration file %s: %s", reading->path,
                          strerrordesc_np(errno));
    if (reading->too_long)
        return fl_err_set(err, FL_USAGE, "%s:%u: the line is too long", reading->path, reading->line);
    if (bad_line)
        return fl_err_set(err, FL_USAGE, "%s:%d: neither 'key = value' nor '[section]' nor a comment",
                          reading->path, bad_line);
    return FL_OK;
}

static void load_file(struct fl_settings *settings, const char *path, struct listener *listener)
{
    struct fl_err err = {0};
    struct reading reading = {
        .settings = settings, .path = path ? path : FL_SETTINGS_PATH, .listener = listener};
    reading.file = fopen(reading.path, "re");
    if (!reading.file && !path && (errno == ENOENT || errno == ENOTDIR))
        return;
    if (!reading.file) {
        fl_err_set(&err, FL_USAGE, "cannot open the configuration file %s: %s", reading.path,
                   strerrordesc_np(errno));
        note(listener, &err);
        return;
    }
    if (read_stream(&reading, &err) != FL_OK)
        note(listener, &err);
    fclose(reading.file);
}

static const struct {
    const char *variable, *key;
} SHORT_VARIABLES[] = {{"FENCELINE_REDIS", "redis.url"}, {"FENCELINE_POSTGRES", "postgres.dsn"}};

/* "LEASE_TTL_MS" to "lease.ttl_ms"; false if it does not begin with a section of ours. */
static bool key_of_variable(struct fl_slice variable, char key[NAME_BYTES])
{
    if (variable.len >= NAME_BYTES)
        return false;
    for (size_t i = 0; i < variable.len; i++)
        key[i] = (char)tolower((unsigned char)variable.ptr[i]);
    key[variable.len] = '\0';
    char *end = strchr(key, '_');
    if (!end)
        return false;
    *end = '.';
    size_t count;
    const struct fl_setting *table = fl_settings_table(&count);
    for (size_t i = 0; i < count; i++)
        if (strncmp(table[i].name, key, (size_t)(end - key) + 1) == 0)
            return true;
    return false;
}

/* Variables of other meaning may share the prefix, so only those in a section of ours must be known. An empty
 * one counts as not set. */
static fl_status load_variable(struct fl_settings *settings, const char *entry, struct fl_err *err)
{
    const char *value = strchr(entry, '=');
    if (!value || !value[1] || strncmp(entry, ENVIRONMENT_PREFIX, strlen(ENVIRONMENT_PREFIX)) != 0)
        return FL_OK;
    char key[NAME_BYTES];
    const struct fl_origin origin = {FL_ORIGIN_ENVIRONMENT, fl_slice_range(entry, value), 0};
    if (!key_of_variable(fl_slice_range(entry + strlen(ENVIRONMENT_PREFIX), value), key))
        return FL_OK;
    return fl_settings_set(settings, key, value + 1, &origin, err);
}

static void load_environment(struct fl_settings *settings, struct listener *listener)
{
    struct fl_err err = {0};
    for (char **entry = environ; entry && *entry && !is_enough(listener); entry++)
        if (load_variable(settings, *entry, &err) != FL_OK)
            note(listener, &err);
    for (size_t i = 0; i < sizeof SHORT_VARIABLES / sizeof *SHORT_VARIABLES && !is_enough(listener); i++) {
        const char *variable = SHORT_VARIABLES[i].variable, *value = getenv(variable);
        const struct fl_origin origin = {FL_ORIGIN_ENVIRONMENT, fl_slice_from(variable), 0};
        if (value && value[0] &&
            fl_settings_set(settings, SHORT_VARIABLES[i].key, value, &origin, &err) != FL_OK)
            note(listener, &err);
    }
}

fl_status fl_settings_load_telling(struct fl_settings *settings, const char *path,
                                   void (*tell)(void *owner, const struct fl_err *err), void *owner,
                                   struct fl_err *err)
{
    struct listener listener = {.tell = tell, .owner = owner, .err = err, .status = FL_OK};
    fl_settings_init(settings);
    load_file(settings, path, &listener);
    if (!is_enough(&listener))
        load_environment(settings, &listener);
    return listener.status;
}

fl_status fl_settings_load(struct fl_settings *settings, const char *path, struct fl_err *err)
{
    return fl_settings_load_telling(settings, path, NULL, NULL, err);
}
