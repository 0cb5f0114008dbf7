/* settings_keys.h - the table of all settings, for those who list them: tests, and commands that show them.
 */
#ifndef FL_APP_SETTINGS_KEYS_H
#define FL_APP_SETTINGS_KEYS_H

#include "app/settings.h"

enum fl_setting_type { FL_SETTING_TEXT, FL_SETTING_INT64, FL_SETTING_SIZE, FL_SETTING_UINT32 };

struct fl_setting {
    const char *name; /* "section.key" */
    enum fl_setting_type type;
    size_t offset;                    /* in struct fl_settings */
    const char *default_text;         /* FL_SETTING_TEXT */
    int64_t default_number, min, max; /* the others */
    const char *unit;                 /* "ms", "bytes", or "" */
};

/* All settings, in the order of config/fenceline.conf; at most FL_SETTINGS_MAX. Static. */
const struct fl_setting *fl_settings_table(size_t *count);

/* The one with this name; NULL = there is none. */
const struct fl_setting *fl_settings_find(const char *key);

/* The value of a setting: its number (0 of a text), its text (NULL of a number), and where it came from. */
int64_t fl_settings_number(const struct fl_settings *settings, const struct fl_setting *setting);
const char *fl_settings_text(const struct fl_settings *settings, const struct fl_setting *setting);
const struct fl_origin *fl_settings_origin(const struct fl_settings *settings,
                                           const struct fl_setting *setting);

#endif
