/* secrets.h - passwords that stand in files of their own, and how settings are shown without any. */
#ifndef FL_APP_SECRETS_H
#define FL_APP_SECRETS_H

#include "app/settings.h"

struct fl_setting;

/* Longest password a file may hold. */
enum { FL_SECRETS_PASSWORD_BYTES = 256, FL_SECRETS_SHOWN_BYTES = 2 * FL_SETTINGS_TEXT_BYTES };

/* Reads redis.password_file and postgres.password_file, where they are set, and puts the passwords into
 * redis_url and postgres_dsn: from here on the settings are for connecting, not for showing. Once per loaded
 * settings. FL_USAGE: the file cannot be read, holds no or more than one line, or there is a password in the
 * URL too. */
FL_CHECKED fl_status fl_secrets_read(struct fl_settings *settings, struct fl_err *err);

/* The file that a ..._file setting names: the path itself, or, of a name without '/', the systemd credential
 * ($CREDENTIALS_DIRECTORY). FL_USAGE: there are none; or neither. */
FL_CHECKED fl_status fl_secrets_path(const char *name, char out[FL_SETTINGS_TEXT_BYTES], struct fl_err *err);

/* The text of a setting with *** in place of passwords. Returns out. */
const char *fl_secrets_mask(const struct fl_settings *settings, const struct fl_setting *setting,
                            char out[FL_SECRETS_SHOWN_BYTES]);

/* Does it hold a password itself? */
bool fl_secrets_has_password(const struct fl_settings *settings, const struct fl_setting *setting);

#endif
