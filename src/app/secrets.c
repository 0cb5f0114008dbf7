/* secrets.c - see secrets.h.
 *
 * Happy path: a file of one line, whose text becomes the password of a URL or a connection string. Failure
 * modes: FL_USAGE that names setting and file, never anything of what the file holds. */
#include "app/secrets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/settings_keys.h"
#include "io/pg_dsn.h"
#include "io/redis_url.h"

static const struct {
    const char *file_setting, *setting;
    fl_status (*put)(const char *text, const char *password, char *out, size_t size_bytes,
                     struct fl_err *err);
    const char *(*mask)(const char *text, char *out, size_t size_bytes);
} SECRETS[] = {
    {"redis.password_file", "redis.url", fl_redis_url_with_password, fl_redis_url_mask},
    {"postgres.password_file", "postgres.dsn", fl_pg_dsn_with_password, fl_pg_dsn_mask},
};

enum { SECRET_COUNT = sizeof SECRETS / sizeof *SECRETS };

fl_status fl_secrets_path(const char *name, char out[FL_SETTINGS_TEXT_BYTES], struct fl_err *err)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (name[0] != '/' && (strchr(name, '/') || strcmp(name, "..") == 0 || strcmp(name, ".") == 0))
        return fl_err_set(err, FL_USAGE,
                          "'%s' is neither an absolute path nor the name of a systemd credential", name);
    if (name[0] != '/' && (!folder || !folder[0]))
        return fl_err_set(err, FL_USAGE,
                          "'%s' is the name of a systemd credential, which only a service has that systemd "
                          "started with LoadCredential=%s:FILE (CREDENTIALS_DIRECTORY is not set); elsewhere "
                          "give an absolute path",
                          name, name);
    bool is_path = name[0] == '/';
    int length =
        snprintf(out, FL_SETTINGS_TEXT_BYTES, "%s%s%s", is_path ? "" : folder, is_path ? "" : "/", name);
    if (length >= FL_SETTINGS_TEXT_BYTES)
        return fl_err_set(err, FL_USAGE, "the path of the file is too long");
    return FL_OK;
}

/* One line, with or without its end. */
static fl_status take_line(const char *path, char *text, size_t length, struct fl_err *err)
{
    if (length > 0 && text[length - 1] == '\n')
        length--;
    if (length > 0 && text[length - 1] == '\r')
        length--;
    if (length == 0)
        return fl_err_set(err, FL_USAGE, "%s is empty: it should hold the password and nothing else", path);
    if (length > FL_SECRETS_PASSWORD_BYTES)
        return fl_err_set(err, FL_USAGE,
                          "%s holds more than %d bytes: it should hold the password and nothing else", path,
                          FL_SECRETS_PASSWORD_BYTES);
    text[length] = '\0';
    if (strlen(text) != length || strpbrk(text, "\r\n"))
        return fl_err_set(err, FL_USAGE,
                          "%s holds more than one line: it should hold the password and nothing else", path);
    return FL_OK;
}

static fl_status read_password(const char *path, char password[FL_SECRETS_PASSWORD_BYTES + 4],
                               struct fl_err *err)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return fl_err_set(err, FL_USAGE, "cannot open %s: %s", path, strerrordesc_np(errno));
    size_t length = fread(password, 1, FL_SECRETS_PASSWORD_BYTES + 3, file);
    fl_status status = ferror(file)
                           ? fl_err_set(err, FL_USAGE, "cannot read %s: %s", path, strerrordesc_np(errno))
                           : take_line(path, password, length, err);
    fclose(file);
    return status;
}

static fl_status read_one(struct fl_settings *settings, size_t i, struct fl_err *err)
{
    const struct fl_setting *file_setting = fl_settings_find(SECRETS[i].file_setting);
    const struct fl_setting *setting = fl_settings_find(SECRETS[i].setting);
    char path[FL_SETTINGS_TEXT_BYTES], password[FL_SECRETS_PASSWORD_BYTES + 4],
        whole[FL_SETTINGS_TEXT_BYTES] = "";
    const char *name = fl_settings_text(settings, file_setting);
    if (!name[0])
        return FL_OK;
    fl_status status = fl_secrets_path(name, path, err);
    if (status == FL_OK)
        status = read_password(path, password, err);
    if (status == FL_OK)
        status = SECRETS[i].put(fl_settings_text(settings, setting), password, whole, sizeof whole, err);
    if (status == FL_OK)
        memcpy((char *)settings + setting->offset, whole, sizeof whole);
    else
        fl_err_prefix(err, "%s", SECRETS[i].file_setting);
    explicit_bzero(password, sizeof password);
    explicit_bzero(whole, sizeof whole);
    return status;
}

fl_status fl_secrets_read(struct fl_settings *settings, struct fl_err *err)
{
    fl_status status = FL_OK;
    for (size_t i = 0; i < SECRET_COUNT && status == FL_OK; i++)
        status = read_one(settings, i, err);
    return status;
}

const char *fl_secrets_mask(const struct fl_settings *settings, const struct fl_setting *setting,
                            char out[FL_SECRETS_SHOWN_BYTES])
{
    const char *text = fl_settings_text(settings, setting);
    for (size_t i = 0; i < SECRET_COUNT; i++)
        if (strcmp(setting->name, SECRETS[i].setting) == 0)
            return SECRETS[i].mask(text, out, FL_SECRETS_SHOWN_BYTES);
    snprintf(out, FL_SECRETS_SHOWN_BYTES, "%s", text);
    return out;
}

bool fl_secrets_has_password(const struct fl_settings *settings, const struct fl_setting *setting)
{
    char shown[FL_SECRETS_SHOWN_BYTES];
    const char *text = fl_settings_text(settings, setting);
    return text && strcmp(fl_secrets_mask(settings, setting, shown), text) != 0;
}
