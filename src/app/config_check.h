/* config_check.h - everything that is wrong with a configuration, found before a service is started with it.
 */
#ifndef FL_APP_CONFIG_CHECK_H
#define FL_APP_CONFIG_CHECK_H

#include "app/settings.h"

enum fl_config_level {
    FL_CONFIG_NOTE,    /* what could not be checked */
    FL_CONFIG_WARNING, /* works, and should not be left so */
    FL_CONFIG_ERROR    /* does not work, or fails on the first bad day */
};

/* Hears of one finding. setting: the one to change; NULL = the text names it. Both are borrowed. */
typedef void fl_config_tell(void *owner, enum fl_config_level level, const char *setting, const char *text);

/* Looks for contradictions between settings, at the files they name, and asks Postgres, if it can be reached,
 * how many connections it allows. Stricter than fl_settings_check, which every start passes: refuses also
 * what works until the first slow answer. */
void fl_config_check(const struct fl_settings *settings, fl_config_tell *tell, void *owner);

#endif
