/*
 * Files and folders for tests. Every function fails the running cmocka test, with the path and the reason,
 * when the system refuses; callers need no checks. Strings returned are malloc'ed: the caller frees.
 */
#ifndef TESTS_LIB_FILES_H
#define TESTS_LIB_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* Fails the running test. Unlike fail_msg() alone, the compiler knows that nothing comes after it.
 * For the test's own thread only: cmocka leaves the test by longjmp. */
#define LIB_FAIL(...)                                                                                        \
    do {                                                                                                     \
        fail_msg(__VA_ARGS__);                                                                               \
        abort();                                                                                             \
    } while (0)

/* Prints any amount of text through cmocka's print_error, which cuts a single call short. */
void files_print(const char *text, size_t text_bytes);

/* A new empty folder "<root>/<name>-XXXXXX", mode 0700; root NULL means $TMPDIR, or else /tmp. */
char *files_temp_folder(const char *root, const char *name);

/* Removes a file or a folder with all below it; links are removed, not followed. A missing path is no error.
 * false: something is left (the only function here that does not fail the test: clean-up also uses it). */
bool files_remove_tree(const char *path);

/* "<folder>/<name>" */
char *files_join(const char *folder, const char *name);

/* Creates the folder and the missing ones above it, mode 0777 less the umask. An existing one is no error. */
void files_make_folder(const char *path);

/* Writes the file "<folder>/<name>", replacing what was there; name may contain folders, which are created.
 * Returns its path. */
char *files_write(const char *folder, const char *name, const void *bytes, size_t size_bytes);

/* The same for text that ends with NUL. */
char *files_write_text(const char *folder, const char *name, const char *text);

/* The whole file, with a NUL behind it that size_bytes (may be NULL) does not count. */
char *files_read(const char *path, size_t *size_bytes);

/* Something is there (a link that points nowhere counts too). */
bool files_exists(const char *path);

/* Size of the file; 0 if there is none. */
size_t files_size(const char *path);

/* Entries directly in the folder, without "." and "..", whose names end with suffix ("" counts all). */
size_t files_count_entries(const char *folder, const char *suffix);

/* How often needle occurs in text; occurrences do not overlap. An empty needle occurs 0 times. */
size_t files_count_text(const char *text, const char *needle);

/* Lines of a text; a last line without a newline counts too. */
size_t files_count_lines(const char *text);

#endif
