/*
 * Files and folders for tests.
 *
 * Happy path: a test makes a temporary folder, writes its inputs, reads what the program wrote, removes the
 * folder. Failure modes: whatever the system refuses fails the running test with the path and the reason.
 * Only files_remove_tree reports by its result, since it also runs outside of tests.
 */
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Less than the smallest buffer of cmocka's print functions. */
enum { PRINT_PIECE_BYTES = 512, REMOVE_OPEN_FOLDERS = 16 };

void files_print(const char *text, size_t text_bytes)
{
    for (size_t done = 0; done < text_bytes;) {
        size_t left = text_bytes - done;
        int piece = (int)(left < PRINT_PIECE_BYTES ? left : PRINT_PIECE_BYTES);
        /* A NUL ends what %.*s prints: step over it, or the rest of a binary output would be lost. */
        size_t until_nul = strnlen(text + done, (size_t)piece);
        print_error("%.*s", (int)until_nul, text + done);
        done += until_nul < (size_t)piece ? until_nul + 1 : until_nul;
    }
}

static char *format_path(const char *first, const char *second, const char *third)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s%s", first, second, third) < 0)
        LIB_FAIL("out of memory for a path");
    return path;
}

char *files_temp_folder(const char *root, const char *name)
{
    if (root == NULL)
        root = getenv("TMPDIR");
    if (root == NULL || root[0] == '\0')
        root = "/tmp";
    char *path = format_path(root, name, "-XXXXXX");
    if (mkdtemp(path) == NULL)
        LIB_FAIL("cannot create the folder %s: %s", path, strerror(errno));
    return path;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    remove(path); /* what stays behind makes the removal of its folder fail, which the caller notices */
    return 0;
}

bool files_remove_tree(const char *path)
{
    nftw(path, remove_entry, REMOVE_OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS);
    return !files_exists(path);
}

char *files_join(const char *folder, const char *name)
{
    return format_path(folder, name, "");
}

static void make_one_folder(const char *path)
{
    struct stat status;
    if (mkdir(path, 0777) == 0)
        return;
    int reason = errno;
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return;
    LIB_FAIL("cannot create the folder %s: %s", path, strerror(reason));
}

void files_make_folder(const char *path)
{
    char *copy = strdup(path);
    if (copy == NULL)
        LIB_FAIL("out of memory for a path");
    for (char *slash = copy; (slash = strchr(slash + 1, '/')) != NULL;) {
        *slash = '\0';
        make_one_folder(copy);
        *slash = '/';
    }
    make_one_folder(copy);
    free(copy);
}

char *files_write(const char *folder, const char *name, const void *bytes, size_t size_bytes)
{
    char *path = files_join(folder, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    if (path[0] != '\0')
        files_make_folder(path);
    *slash = '/';

    FILE *file = fopen(path, "wbe");
    if (file == NULL)
        LIB_FAIL("cannot create %s: %s", path, strerror(errno));
    bool written = size_bytes == 0 || fwrite(bytes, 1, size_bytes, file) == size_bytes;
    if (fclose(file) != 0 || !written)
        LIB_FAIL("cannot write %s: %s", path, strerror(errno));
    return path;
}

char *files_write_text(const char *folder, const char *name, const char *text)
{
    return files_write(folder, name, text, strlen(text));
}

char *files_read(const char *path, size_t *size_bytes)
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL)
        LIB_FAIL("cannot open %s: %s", path, strerror(errno));
    size_t size = 0;
    size_t room = 4096;
    char *bytes = malloc(room);
    /* Not by the size that stat tells: the file may still grow, or be one of /proc without a size. */
    while (bytes != NULL) {
        size += fread(bytes + size, 1, room - size - 1, file);
        if (size < room - 1)
            break;
        room *= 2;
        bytes = realloc(bytes, room);
    }
    if (bytes == NULL)
        LIB_FAIL("out of memory for %s", path);
    if (ferror(file))
        LIB_FAIL("cannot read %s: %s", path, strerror(errno));
    fclose(file);
    bytes[size] = '\0';
    if (size_bytes != NULL)
        *size_bytes = size;
    return bytes;
}

bool files_exists(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

size_t files_size(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? (size_t)status.st_size : 0;
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t text_bytes = strlen(text);
    size_t suffix_bytes = strlen(suffix);
    return text_bytes >= suffix_bytes && strcmp(text + text_bytes - suffix_bytes, suffix) == 0;
}

size_t files_count_entries(const char *folder, const char *suffix)
{
    DIR *stream = opendir(folder);
    if (stream == NULL)
        LIB_FAIL("cannot open the folder %s: %s", folder, strerror(errno));
    size_t count = 0;
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (ends_with(entry->d_name, suffix))
            count++;
    }
    closedir(stream);
    return count;
}

size_t files_count_text(const char *text, const char *needle)
{
    size_t needle_bytes = strlen(needle);
    size_t count = 0;
    if (needle_bytes == 0)
        return 0;
    for (const char *found = text; (found = strstr(found, needle)) != NULL; found += needle_bytes)
        count++;
    return count;
}

size_t files_count_lines(const char *text)
{
    size_t count = files_count_text(text, "\n");
    size_t text_bytes = strlen(text);
    return text_bytes > 0 && text[text_bytes - 1] != '\n' ? count + 1 : count;
}
