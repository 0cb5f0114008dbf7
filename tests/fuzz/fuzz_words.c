/* fuzz_words.c - what people and programs write to fenceline in words: lines of a manifest, names of files
 * and episodes, the configuration, times, addresses of servers. */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "app/manifest.h"
#include "app/settings.h"
#include "app/settings_keys.h"
#include "base/iso_time.h"
#include "base/json_write.h"
#include "cli/when.h"
#include "core/job.h"
#include "fuzz.h"
#include "io/pg_dsn.h"
#include "io/redis.h"

enum { ARENA_BYTES = 16 << 20, INLINE_BYTES = 200, TEXT_MAX_BYTES = 4096 };

#define SECRET "qK7-hidden-zX9"

/* ---- manifest: the first byte chooses what was given by options, the rest is a line ---- */

static void check_job(const struct fl_submit_job *job)
{
    struct fl_err err;
    FUZZ_CHECK(fl_episode_check(job->episode, &err) == FL_OK, "episode: %s", err.text);
    FUZZ_CHECK(job->kind == FL_CHAPTERS || job->kind == FL_TRANSCRIPT, "kind %d", job->kind);
    FUZZ_CHECK(job->format == FL_FORMAT_NONE || fl_format_kind(job->format) == job->kind,
               "format %d of kind %d", job->format, job->kind);
    FUZZ_CHECK(job->source.ptr || job->body.ptr || job->mode == FL_MODE_DELETE, "neither source nor body");
    FUZZ_CHECK(!job->source.ptr || fl_manifest_check_source(job->source, &err) == FL_OK, "source: %s",
               err.text);
    FUZZ_CHECK(fuzz_is_text(job->source) && fuzz_is_text(job->body), "source or body is no text");
    FUZZ_CHECK(!job->body.ptr || (job->body.len > 0 && job->body.len <= INLINE_BYTES), "a body of %zu bytes",
               job->body.len);
    FUZZ_CHECK(job->priority >= FL_PRIORITY_HIGH && job->priority <= FL_PRIORITY_LOW, "priority %d",
               job->priority);
    FUZZ_CHECK(job->not_before_ms >= 0, "not before %" PRId64, job->not_before_ms);
    FUZZ_CHECK(job->mode != FL_MODE_IF_VERSION || job->if_version >= 0, "if_version %" PRId64,
               job->if_version);
}

static void write_text(struct fl_json_writer *json, const char *name, struct fl_slice text)
{
    if (!text.ptr)
        return;
    fl_json_write_name(json, name);
    fl_json_write_string(json, text);
}

/* The job told in a line of its own: every key given. */
static char *line_of(const struct fl_submit_job *job, size_t *bytes)
{
    static const char *const PRIORITIES[] = {"high", "normal", "low"};
    char *line = NULL;
    struct fl_json_writer json;
    FILE *out = open_memstream(&line, bytes);
    FUZZ_CHECK(out, "no memory");
    fl_json_write_init(&json, out);
    fl_json_write_begin_object(&json);
    write_text(&json, "episode", job->episode);
    write_text(&json, "kind", fl_slice_from(fl_kind_name(job->kind)));
    write_text(&json, "source", job->source);
    write_text(&json, "body", job->body);
    write_text(&json, "mode", fl_slice_from(fl_mode_name(job->mode)));
    write_text(&json, "priority", fl_slice_from(PRIORITIES[job->priority - FL_PRIORITY_HIGH]));
    if (job->format)
        write_text(&json, "format", fl_slice_from(fl_format_name(job->format)));
    if (job->mode == FL_MODE_IF_VERSION) {
        fl_json_write_name(&json, "if_version");
        fl_json_write_int64(&json, job->if_version);
    }
    fl_json_write_name(&json, "strict");
    fl_json_write_bool(&json, job->strict);
    fl_json_write_name(&json, "repair");
    fl_json_write_bool(&json, job->repair);
    fl_json_write_end_object(&json);
    fclose(out);
    return line;
}

static void check_told_again(const struct fl_submit_job *job, struct fl_arena *arena)
{
    struct fl_submit_job defaults = {0}, again;
    struct fl_err err;
    size_t bytes;
    char *line = line_of(job, &bytes);
    fl_status status =
        fl_manifest_parse((struct fl_slice){line, bytes}, &defaults, INLINE_BYTES, arena, &again, &err);
    FUZZ_CHECK(status == FL_OK, "%s: %s", err.text, line);
    FUZZ_CHECK(fl_slice_eq(job->episode, again.episode) && fl_slice_eq(job->source, again.source) &&
                   fl_slice_eq(job->body, again.body) && job->kind == again.kind && job->mode == again.mode &&
                   job->priority == again.priority && job->strict == again.strict &&
                   job->repair == again.repair,
               "another job: %s", line);
    FUZZ_CHECK(job->mode != FL_MODE_IF_VERSION || job->if_version == again.if_version, "another version: %s",
               line);
    FUZZ_CHECK(job->format == again.format || job->format == FL_FORMAT_NONE, "another format: %s", line);
    free(line);
}

void fuzz_manifest(struct fl_slice input)
{
    unsigned options = fuzz_take_byte(&input);
    struct fl_submit_job job, defaults = {.kind = (enum fl_kind)((options & 3) % (FL_TRANSCRIPT + 1)),
                                          .mode = (enum fl_mode)(options >> 2 & 3),
                                          .if_version = options & 0x10 ? 7 : -1,
                                          .strict = options & 0x20};
    struct fl_arena arena;
    struct fl_err err;
    if (options & 0x40)
        defaults.episode = FL_SLICE("ep7");
    fl_arena_init(&arena, ARENA_BYTES);
    char *exact = fuzz_exact(input);
    fl_status status =
        fl_manifest_parse((struct fl_slice){exact, input.len}, &defaults, INLINE_BYTES, &arena, &job, &err);
    free(exact); /* nothing may point into it */
    if (status == FL_OK) {
        check_job(&job);
        check_told_again(&job, &arena);
    } else {
        fuzz_check_err(status, &err);
        FUZZ_CHECK(status == FL_INVALID, "status %d: %s", (int)status, err.text);
    }
    fl_arena_release(&arena);
}

/* ---- names: input as an episode id, as a path of a file, as a source ---- */

static bool leads_out(struct fl_slice path)
{
    if (fl_slice_starts(path, "/"))
        return true;
    while (path.len)
        if (fl_slice_is(fuzz_take(&path, '/'), ".."))
            return true;
    return false;
}

void fuzz_names(struct fl_slice input)
{
    struct fl_err err;
    struct fl_slice episode;
    enum fl_kind kind;
    enum fl_format format;
    char *exact = fuzz_exact(input);
    struct fl_slice text = {exact, input.len};
    fl_status status = fl_episode_check(text, &err);
    FUZZ_CHECK(status == FL_OK || status == FL_INVALID, "status %d", (int)status);
    if (status != FL_OK)
        fuzz_check_err(status, &err);
    FUZZ_CHECK((status == FL_OK) == fuzz_is_id(text), "an id of %zu bytes: %s", text.len,
               status ? err.text : "accepted");

    fl_job_from_path(text, &episode, &kind, &format);
    FUZZ_CHECK(kind == fl_format_kind(format), "kind %d, format %d", kind, format);
    FUZZ_CHECK(!episode.ptr || (episode.len > 0 && episode.ptr >= text.ptr &&
                                episode.ptr + episode.len <= text.ptr + text.len &&
                                !memchr(episode.ptr, '/', episode.len)),
               "episode '%.*s'", FL_ARGS(episode));
    FUZZ_CHECK(!episode.ptr == (format == FL_FORMAT_NONE), "episode '%.*s', format %d", FL_ARGS(episode),
               format);

    status = fl_manifest_check_source(text, &err);
    if (status != FL_OK)
        fuzz_check_err(status, &err);
    bool is_good =
        text.len > 0 && text.len <= FL_MANIFEST_SOURCE_BYTES && fuzz_is_text(text) && !leads_out(text);
    FUZZ_CHECK((status == FL_OK) == is_good, "source '%.*s': %s", FL_ARGS(text),
               status ? err.text : "accepted");
    free(exact);
}

/* ---- settings: input as the configuration file ---- */

/* Without the variables of whoever runs this. */
static void forget_variables(void)
{
    static bool is_done;
    char name[256];
    if (is_done)
        return;
    is_done = true;
    for (char **entry = environ; *entry;) {
        size_t length = strcspn(*entry, "=");
        if (strncmp(*entry, "FENCELINE_", 10) == 0 && length < sizeof name) {
            snprintf(name, sizeof name, "%.*s", (int)length, *entry);
            unsetenv(name);
            entry = environ;
        } else {
            entry++;
        }
    }
}

static fl_status load(struct fl_slice text, struct fl_settings *settings, struct fl_err *err)
{
    char path[64];
    int fd = memfd_create("fenceline.conf", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0, "no file in memory");
    FUZZ_CHECK(write(fd, text.ptr, text.len) == (ssize_t)text.len, "no room in memory");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    fl_status status = fl_settings_load(settings, path, err);
    close(fd);
    return status;
}

/* All values within their ranges; set again from their own text they are the same. */
static void check_settings(const struct fl_settings *settings)
{
    static struct fl_settings again;
    struct fl_err err;
    size_t count;
    const struct fl_setting *table = fl_settings_table(&count);
    const struct fl_origin origin = {FL_ORIGIN_OPTION, fl_slice_from("again"), 0};
    fl_settings_init(&again);
    for (size_t i = 0; i < count; i++) {
        const struct fl_setting *setting = &table[i];
        const char *text = (const char *)settings + setting->offset;
        char digits[32];
        if (setting->type == FL_SETTING_TEXT) {
            FUZZ_CHECK(memchr(text, '\0', FL_SETTINGS_TEXT_BYTES), "%s has no end", setting->name);
        } else {
            int64_t number = fl_settings_number(settings, setting);
            FUZZ_CHECK(number >= setting->min && number <= setting->max, "%s = %" PRId64, setting->name,
                       number);
            snprintf(digits, sizeof digits, "%" PRId64, number);
            text = digits;
        }
        FUZZ_CHECK(fl_settings_set(&again, setting->name, text, &origin, &err) == FL_OK, "%s", err.text);
        if (setting->type == FL_SETTING_TEXT)
            FUZZ_CHECK(strcmp((const char *)&again + setting->offset, text) == 0, "%s", setting->name);
        else
            FUZZ_CHECK(fl_settings_number(&again, setting) == fl_settings_number(settings, setting), "%s",
                       setting->name);
    }
    fl_status status = fl_settings_check(settings, &err);
    if (status != FL_OK)
        fuzz_check_err(status, &err);
}

void fuzz_settings(struct fl_slice input)
{
    static struct fl_settings settings, twice;
    struct fl_err err, err_twice;
    forget_variables();
    memset(&settings, 0, sizeof settings);
    memset(&twice, 0, sizeof twice);
    fl_status status = load(input, &settings, &err);
    FUZZ_CHECK(load(input, &twice, &err_twice) == status, "the second time something else");
    FUZZ_CHECK(status == FL_OK || status == FL_USAGE, "status %d", (int)status);
    if (status == FL_OK)
        check_settings(&settings);
    else
        fuzz_check_err(status, &err);
    FUZZ_CHECK(status == FL_OK || strstr(err.text, "/proc/self/fd/"), "the file is not named: %s", err.text);
}

/* ---- times: input as a duration, and as a point in time ---- */

static void check_duration(struct fl_slice text)
{
    static const char UNITS[] = "smhd";
    static const int64_t MS[] = {1000, 60000, 3600000, 86400000};
    int64_t ms = -1;
    struct fl_err err;
    fl_status status = fl_when_duration(text, "since", &ms, &err);
    if (status != FL_OK) {
        fuzz_check_err(status, &err);
        return;
    }
    const char *unit = strchr(UNITS, text.ptr[text.len - 1]);
    FUZZ_CHECK(unit && text.ptr[text.len - 1], "'%.*s'", FL_ARGS(text));
    uint64_t number = 0;
    for (size_t i = 0; i + 1 < text.len; i++) {
        FUZZ_CHECK(text.ptr[i] >= '0' && text.ptr[i] <= '9', "'%.*s'", FL_ARGS(text));
        number = number * 10 + (uint64_t)(text.ptr[i] - '0');
        FUZZ_CHECK(number <= INT64_C(36525) * 86400, "'%.*s'", FL_ARGS(text));
    }
    FUZZ_CHECK(ms == (int64_t)number * MS[unit - UNITS] && ms <= INT64_C(36525) * 86400000,
               "%" PRId64 " ms of '%.*s'", ms, FL_ARGS(text));
}

static void check_time(struct fl_slice text)
{
    int64_t ms = -1, again = -1;
    struct fl_err err;
    struct tm tm;
    char canonical[64];
    fl_status status = fl_when_time(text, "since", &ms, &err);
    FUZZ_CHECK((status == FL_OK) == fl_iso_time(text, &again), "the two differ");
    if (status != FL_OK) {
        fuzz_check_err(status, &err);
        return;
    }
    /* An offset may lead a day out of the years that can be written. */
    FUZZ_CHECK(ms >= -86400000 && ms < INT64_C(253402300800000) + 86400000, "%" PRId64 " ms of '%.*s'", ms,
               FL_ARGS(text));
    time_t seconds = (time_t)(ms < 0 ? 0 : ms / 1000);
    FUZZ_CHECK(gmtime_r(&seconds, &tm), "%" PRId64, ms);
    if (ms < 0 || tm.tm_year > 9999 - 1900)
        return;
    size_t length = strftime(canonical, sizeof canonical, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(canonical + length, sizeof canonical - length, ".%03dZ", (int)(ms % 1000));
    FUZZ_CHECK(fl_iso_time(fl_slice_from(canonical), &again) && again == ms,
               "'%.*s' is %s, and that is %" PRId64, FL_ARGS(text), canonical, again);
    FUZZ_CHECK(text.len < 10 || text.ptr[text.len - 1] != 'Z' || memcmp(text.ptr, canonical, 10) == 0 ||
                   memcmp(text.ptr + text.len - 3, "60Z", 3) == 0 || memmem(text.ptr, text.len, ":60", 3),
               "'%.*s' is %s", FL_ARGS(text), canonical);
}

void fuzz_times(struct fl_slice input)
{
    char *exact = fuzz_exact(input);
    check_duration((struct fl_slice){exact, input.len});
    check_time((struct fl_slice){exact, input.len});
    free(exact);
}

/* ---- urls: input as the address of a Redis and of a Postgres, by itself and with a password put in ---- */

static void check_redis(const char *url, const char *secret)
{
    static struct fl_redis_address address;
    struct fl_err err;
    fl_status status = fl_redis_parse_url(url, &address, &err);
    if (status != FL_OK) {
        fuzz_check_err(status, &err);
        FUZZ_CHECK(status == FL_USAGE, "status %d", (int)status);
        FUZZ_CHECK(!secret || !strstr(err.text, secret), "a password is shown: %s", err.text);
        return;
    }
    FUZZ_CHECK(memchr(address.host, '\0', sizeof address.host) &&
                   memchr(address.user, '\0', sizeof address.user) &&
                   memchr(address.password, '\0', sizeof address.password) &&
                   memchr(address.shown, '\0', sizeof address.shown),
               "a text has no end");
    FUZZ_CHECK(address.host[0], "no host in %s", url);
    FUZZ_CHECK(address.port >= 0 && address.port <= 65535 && address.db >= 0 && address.db <= 65535,
               "port %d, database %d", address.port, address.db);
    FUZZ_CHECK((address.port == 0) == (strncmp(url, "unix:", 5) == 0), "port %d", address.port);
    FUZZ_CHECK(!secret || !strstr(address.shown, secret), "a password is shown: %s", address.shown);
    char shown[sizeof address.shown];
    snprintf(shown, sizeof shown, address.port ? "%s:%d" : "%s", address.host, address.port);
    FUZZ_CHECK(strcmp(shown, address.shown) == 0, "%s is shown as %s", shown, address.shown);
}

static void check_postgres(const char *dsn, const char *secret)
{
    bool has_password;
    struct fl_err err;
    fl_status status = fl_pg_dsn_check(dsn, &has_password, &err);
    if (status == FL_OK)
        return;
    fuzz_check_err(status, &err);
    FUZZ_CHECK(status == FL_USAGE && (!secret || !strstr(err.text, secret)), "a password is shown: %s",
               err.text);
}

void fuzz_urls(struct fl_slice input)
{
    char text[TEXT_MAX_BYTES], with_secret[TEXT_MAX_BYTES + 64];
    if (input.len >= sizeof text || (input.len && memchr(input.ptr, '\0', input.len)))
        return; /* the caller has a string */
    snprintf(text, sizeof text, "%.*s", FL_ARGS(input));
    check_redis(text, NULL);
    check_postgres(text, NULL);
    if (strstr(text, SECRET))
        return;
    snprintf(with_secret, sizeof with_secret, "redis://user:" SECRET "@%s", text);
    check_redis(with_secret, SECRET);
    snprintf(with_secret, sizeof with_secret, "redis://:" SECRET "%s@localhost", text);
    check_redis(with_secret, strchr(text, '@') ? NULL : SECRET);
    snprintf(with_secret, sizeof with_secret, "postgresql://user:" SECRET "%s", text);
    check_postgres(with_secret, SECRET);
    snprintf(with_secret, sizeof with_secret, "password=" SECRET "%s", text);
    check_postgres(with_secret, SECRET);
}
