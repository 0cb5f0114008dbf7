/* show_export.h - `show --format`: one document as a file again. Used by cmd_show.c only. */
#ifndef FL_CLI_SHOW_EXPORT_H
#define FL_CLI_SHOW_EXPORT_H

#include "app/settings.h"
#include "cli/args.h"

/* Writes the document of args->kind in args->format to stdout, and to stderr (unless --quiet) a warning for
 * each thing that the format cannot carry. Returns the exit code; unless it is 0, stdout is empty. */
int fl_show_export(struct fl_args *args, const struct fl_settings *settings);

#endif
