/* cmd_config.c - `fenceline config check`, what is wrong with the configuration; `config show`, what it says.
 *
 * Happy path: load like every command, but tell all that is wrong and not only the first; or print each
 * setting with its origin. Failure modes: every finding is a line; an error among them is exit code 2. */
#include <stdio.h>
#include <unistd.h>

#include "app/config_check.h"
#include "app/secrets.h"
#include "app/settings_keys.h"
#include "base/slice.h"
#include "cli/commands.h"
#include "cli/print.h"

/* ---- check ---- */

struct findings {
    const struct fl_args *args;
    struct fl_json_writer json;
    size_t errors, warnings;
};

static void write_member(struct fl_json_writer *json, const char *name, const char *text)
{
    fl_json_write_name(json, name);
    fl_json_write_string(json, fl_slice_from(text)); /* NULL: null */
}

/* A finding is data; that something could not be looked at is not, except for programs. */
static void on_finding(void *owner, enum fl_config_level level, const char *setting, const char *text)
{
    static const char *const NAMES[] = {"note", "warning", "error"};
    static const enum fl_color COLORS[] = {FL_COLOR_NONE, FL_COLOR_YELLOW, FL_COLOR_RED};
    struct findings *findings = owner;
    const struct fl_args *args = findings->args;
    findings->errors += level == FL_CONFIG_ERROR;
    findings->warnings += level == FL_CONFIG_WARNING;
    if (args->json) {
        fl_json_write_begin_object(&findings->json);
        write_member(&findings->json, "level", NAMES[level]);
        write_member(&findings->json, "setting", setting);
        write_member(&findings->json, "text", text);
        fl_json_write_end_object(&findings->json);
        fl_json_write_end_line(&findings->json);
        return;
    }
    if (args->quiet && level != FL_CONFIG_ERROR)
        return;
    FILE *out = level == FL_CONFIG_NOTE ? stderr : stdout;
    bool wants_color = fl_print_wants_color(out, args->no_color);
    fprintf(out, "%s%s:%s ", fl_print_color(COLORS[level], wants_color), NAMES[level],
            fl_print_color(FL_COLOR_NONE, wants_color));
    fl_print_text(out, fl_slice_from(text));
    putc('\n', out);
}

static void on_load_error(void *owner, const struct fl_err *err)
{
    on_finding(owner, FL_CONFIG_ERROR, NULL, err->text);
}

/* What was looked at: a check of the wrong file would calm nobody who knew. */
static void print_ok(const struct findings *findings)
{
    const char *path = findings->args->config;
    if (!path && access(FL_SETTINGS_PATH, F_OK) == 0)
        path = FL_SETTINGS_PATH;
    fputs("the configuration is ok: ", stdout);
    fl_print_text(stdout, fl_slice_from(path ? path : "no file, " FL_SETTINGS_PATH " does not exist"));
    puts(findings->warnings ? ", but for the warnings above" : "");
}

int fl_cmd_config_check(struct fl_args *args, struct fl_settings *settings)
{
    struct findings findings = {.args = args};
    struct fl_err err = {0};
    fl_json_write_init(&findings.json, stdout);
    fl_status status = fl_settings_load_telling(settings, args->config, on_load_error, &findings, &err);
    if (fl_args_apply(args, settings, &err) != FL_OK)
        on_load_error(&findings, &err);
    else if (status == FL_OK)
        fl_config_check(settings, on_finding, &findings);
    if (findings.errors)
        return fl_status_exit_code(FL_USAGE);
    if (!args->json && !args->quiet)
        print_ok(&findings);
    return 0;
}

/* ---- show ---- */

static const struct fl_column COLUMNS[] = {{"setting", "setting", FL_COLUMN_WHOLE},
                                           {"value", NULL, 0},
                                           {"unit", "unit", FL_COLUMN_EXTRA},
                                           {"from", NULL, 0},
                                           {NULL, "value", 0},
                                           {NULL, "default", 0},
                                           {NULL, "source", 0},
                                           {NULL, "origin", 0},
                                           {NULL, "line", 0}};

/* What the cells of a row point to. */
struct shown {
    char value[FL_SECRETS_SHOWN_BYTES], origin[FL_ORIGIN_BYTES];
};
struct rows {
    const struct fl_settings *settings;
    struct shown *shown; /* one a row */
};

static struct fl_cell text_cell(const char *text)
{
    return (struct fl_cell){.type = FL_CELL_TEXT, .text = fl_slice_from(text)};
}

static struct fl_cell number_cell(int64_t number)
{
    return (struct fl_cell){.type = FL_CELL_NUMBER, .number = number};
}

static void get_setting(const void *pointer, size_t row, struct fl_cell *cells)
{
    static const char *const SOURCES[] = {"default", "file", "environment", "option"};
    const struct rows *rows = pointer;
    struct shown *shown = &rows->shown[row];
    size_t count;
    const struct fl_setting *setting = &fl_settings_table(&count)[row];
    const struct fl_origin *origin = fl_settings_origin(rows->settings, setting);
    bool is_text = setting->type == FL_SETTING_TEXT;
    struct fl_cell value = is_text ? text_cell(fl_secrets_mask(rows->settings, setting, shown->value))
                                   : number_cell(fl_settings_number(rows->settings, setting));
    *cells++ = text_cell(setting->name);
    *cells++ = value;
    *cells++ = text_cell(setting->unit);
    *cells++ = text_cell(fl_origin_format(origin, shown->origin));
    *cells++ = value;
    *cells++ = is_text ? text_cell(setting->default_text) : number_cell(setting->default_number);
    *cells++ = text_cell(SOURCES[origin->source]);
    *cells++ = (struct fl_cell){.type = FL_CELL_TEXT, .text = origin->name};
    *cells = origin->line ? number_cell(origin->line) : (struct fl_cell){.type = FL_CELL_NULL};
}

int fl_cmd_config_show(struct fl_args *args, struct fl_settings *settings)
{
    static struct shown shown[FL_SETTINGS_MAX];
    const struct rows rows = {.settings = settings, .shown = shown};
    struct fl_err err = {0};
    fl_status status = fl_settings_load(settings, args->config, &err);
    if (status == FL_OK)
        status = fl_args_apply(args, settings, &err);
    if (status != FL_OK) {
        fl_print_error(&err);
        return fl_status_exit_code(status);
    }
    struct fl_table table = {COLUMNS, sizeof COLUMNS / sizeof *COLUMNS, 0, get_setting, &rows};
    fl_settings_table(&table.row_count);
    if (args->json)
        fl_print_json_lines(stdout, &table);
    else
        fl_print_table(stdout, &table, 0, fl_print_style_of(stdout, args->no_color));
    return 0;
}
