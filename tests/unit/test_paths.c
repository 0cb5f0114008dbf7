/* test_paths.c - PATH arguments to files, and reading those files: order, hidden entries, links, what is
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/slice.h"
#include "cli/paths.h"
#include "io/file_read.h"

static char folder[] = "/tmp/fenceline-paths-XXXXXX";
static struct fl_arena arena;

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* Every test runs inside a fresh folder. */
static int enter(void **state)
{
    (void)state;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    fl_arena_init(&arena, 1 << 26);
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave(void **state)
{
    (void)state;
    char command[128];
    fl_arena_release(&arena);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

/* "a b !c" : the paths in order, those with an error marked. */
static const char *expand(char *const *args, size_t count)
{
    static char list[4096];
    struct fl_paths paths;
    assert_int_equal(fl_paths_expand(&paths, &arena, args, count, NULL), FL_OK);
    list[0] = '\0';
    for (size_t i = 0; i < paths.count; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s%s", i ? " " : "",
                 paths.items[i].error ? "!" : "", paths.items[i].path);
    return list;
}

static const char *error_of(char *path)
{
    struct fl_paths paths;
    assert_int_equal(fl_paths_expand(&paths, &arena, &path, 1, NULL), FL_OK);
    assert_int_equal(paths.count, 1);
    return paths.items[0].error ? paths.items[0].error : "";
}

static void test_files_as_given(void **state)
{
    (void)state;
    write_file("z", "");
    write_file("a.srt", "");
    assert_string_equal(expand((char *[]){"z", "missing", "a.srt", "", "z"}, 5), "z !missing a.srt ! z");
    assert_string_equal(error_of("missing"), "no such file or folder");
    assert_string_equal(error_of("z/below"), "no such file or folder");
    assert_string_equal(error_of(""), "no such file or folder");
    assert_string_equal(expand(NULL, 0), "");
}

static void test_folder(void **state)
{
    (void)state;
    assert_int_equal(
        mkdir("d", 0700) | mkdir("d/chapters", 0700) | mkdir("d/.git", 0700) | mkdir("d/e", 0700), 0);
    static const char *const NAMES[] = {"d/b.srt",
                                        "d/a.vtt",
                                        "d/B.vtt",
                                        "d/notes.txt",
                                        "d/x.json",
                                        "d/.hidden.srt",
                                        "d/.git/x.srt",
                                        "d/e/y.chapters.json",
                                        "d/chapters/9.json",
                                        "d/chapters/10.json",
                                        "d/.srt",
                                        "d/e/readme.md"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        write_file(NAMES[i], "");
    const char *all = "d/B.vtt d/a.vtt d/b.srt d/chapters/10.json d/chapters/9.json d/e/y.chapters.json";
    assert_string_equal(expand((char *[]){"d"}, 1), all);
    assert_string_equal(expand((char *[]){"d/"}, 1), all);
    assert_string_equal(expand((char *[]){"d/e", "d/x.json"}, 2), "d/e/y.chapters.json d/x.json");
}

static void test_folder_without_files(void **state)
{
    (void)state;
    assert_int_equal(mkdir("empty", 0700) | mkdir("empty/below", 0700), 0);
    write_file("empty/below/readme.md", "");
    assert_string_equal(expand((char *[]){"empty", "empty/below/readme.md"}, 2),
                        "!empty empty/below/readme.md");
    assert_non_null(strstr(error_of("empty"), "no importable files in this folder"));
}

static void test_links(void **state)
{
    (void)state;
    assert_int_equal(mkdir("d", 0700) | mkdir("other", 0700), 0);
    write_file("other/o.srt", "");
    write_file("d/a.srt", "");
    assert_int_equal(symlink("..", "d/loop") | symlink("../other", "d/folder") | symlink("a.srt", "d/b.srt"),
                     0);
    assert_int_equal(symlink("nowhere", "d/c.srt") | symlink("../other", "d/z.srt"), 0);
    /* A link that leads nowhere stays in the list: reading it will say so. */
    assert_string_equal(expand((char *[]){"d"}, 1), "d/a.srt d/b.srt d/c.srt");
    assert_string_equal(expand((char *[]){"d/folder"}, 1), "d/folder/o.srt"); /* named by the user himself */
}

static void test_unreadable(void **state)
{
    (void)state;
    struct fl_slice bytes;
    struct fl_err err;
    assert_int_equal(chmod(folder, 0755) | mkdir("d", 0755) | mkdir("d/locked", 0000), 0);
    write_file("d/a.srt", "");
    assert_int_equal(chmod("d/a.srt", 0000), 0);
    bool is_root = geteuid() == 0; /* who may read everything: be nobody for a moment */
    if (is_root)
        assert_int_equal(seteuid(65534), 0);
    const char *list = expand((char *[]){"d"}, 1), *reason = error_of("d/locked");
    fl_status status = fl_file_read("d/a.srt", 10, &arena, &bytes, &err);
    if (is_root)
        assert_int_equal(seteuid(0), 0);
    assert_string_equal(list, "d/a.srt !d/locked");
    assert_string_equal(reason, "no permission to read it");
    assert_int_equal(status, FL_UNREADABLE);
    assert_string_equal(err.text, "no permission to read it");
}

static void test_deep_folders(void **state)
{
    (void)state;
    char path[400] = "d";
    for (int i = 0; i < 70; i++) {
        assert_int_equal(mkdir(path, 0700), 0);
        strcat(path, "/d");
    }
    char top[] = "d";
    assert_string_equal(error_of(top), "folders nested too deep");
}

static void test_stdin_once(void **state)
{
    (void)state;
    struct fl_paths paths;
    char *const args[] = {"-", "./-", "-"};
    write_file("-", "");
    assert_int_equal(fl_paths_expand(&paths, &arena, args, 3, NULL), FL_OK);
    assert_int_equal(paths.count, 3);
    assert_true(paths.items[0].is_stdin && !paths.items[0].error);
    assert_true(!paths.items[1].is_stdin && !paths.items[1].error);
    assert_string_equal(paths.items[2].error, "standard input can be read only once");
}

static void test_no_memory(void **state)
{
    (void)state;
    struct fl_paths paths;
    struct fl_arena small;
    struct fl_err err;
    char *const args[] = {"x"};
    fl_arena_init(&small, 8);
    assert_int_equal(fl_paths_expand(&paths, &small, args, 1, &err), FL_NO_MEMORY);
    fl_arena_release(&small);
}

static void assert_unread(const char *path, size_t limit_bytes, fl_status status, const char *message)
{
    struct fl_slice bytes;
    struct fl_err err;
    assert_int_equal(fl_file_read(path, limit_bytes, &arena, &bytes, &err), status);
    assert_string_equal(err.text, message);
    assert_null(bytes.ptr);
}

static void test_read(void **state)
{
    (void)state;
    struct fl_slice bytes;
    write_file("f", "hello");
    assert_int_equal(fl_file_read("f", 5, &arena, &bytes, NULL), FL_OK);
    assert_true(fl_slice_is(bytes, "hello"));
    assert_unread("f", 4, FL_INVALID, "the file has 5 bytes, more than the limit of 4 (limit.file_bytes)");
    assert_unread("none", 4, FL_UNREADABLE, "no such file or folder");
    assert_unread("", 4, FL_UNREADABLE, "no such file or folder");
    assert_unread("f/x", 4, FL_UNREADABLE, "no such file or folder");
    assert_unread("/tmp", 4, FL_UNREADABLE, "is a folder, not a file");
    assert_unread("/dev/null", 4, FL_UNREADABLE, "not a regular file");
    write_file("f", "");
    assert_unread("f", 4, FL_INVALID, "the file is empty");
    assert_int_equal(truncate("f", INT64_C(1) << 40), 0);
    assert_unread("f", 67108864, FL_INVALID,
                  "the file has 1099511627776 bytes, more than the limit of 67108864 (limit.file_bytes)");
}

static void test_read_does_not_block(void **state)
{
    (void)state;
    assert_int_equal(mkfifo("pipe", 0600), 0);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    alarm(10); /* a read that waits ends the test program */
    assert_unread("pipe", 4, FL_UNREADABLE, "is a pipe, not a regular file (use - to read standard input)");
    assert_unread("socket", 4, FL_UNREADABLE, "not a regular file");
    alarm(0);
    close(fd);
}

static void test_read_no_memory(void **state)
{
    (void)state;
    struct fl_arena small;
    struct fl_slice bytes;
    write_file("f", "hello");
    fl_arena_init(&small, 3);
    assert_int_equal(fl_file_read("f", 100, &small, &bytes, NULL), FL_NO_MEMORY);
    fl_arena_release(&small);
}

/* Puts text into a pipe in two pieces, from a child, with a pause between. */
static int open_pipe(size_t size_bytes)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    if (fork() == 0) {
        char *text = malloc(size_bytes + 1);
        memset(text, 'x', size_bytes);
        bool done = write(ends[1], text, size_bytes / 2) >= 0;
        usleep(20000);
        for (size_t at = size_bytes / 2; done && at < size_bytes;) {
            ssize_t count = write(ends[1], text + at, size_bytes - at);
            if (count < 0)
                _exit(1);
            at += (size_t)count;
        }
        _exit(0);
    }
    close(ends[1]);
    return ends[0];
}

static void test_read_descriptor(void **state)
{
    (void)state;
    static const struct {
        size_t size_bytes, limit_bytes;
        fl_status status;
    } CASES[] = {{10, 10, FL_OK},
                 {11, 10, FL_INVALID},
                 {0, 10, FL_INVALID},
                 {200000, 200000, FL_OK},
                 {200001, 200000, FL_INVALID},
                 {65536, 1000000, FL_OK},
                 {1, 1, FL_OK}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct fl_slice bytes;
        int fd = open_pipe(CASES[i].size_bytes);
        assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
        assert_int_equal(fl_file_read_descriptor(fd, CASES[i].limit_bytes, &arena, &bytes, NULL),
                         CASES[i].status);
        close(fd);
        assert_true(wait(NULL) > 0);
        assert_int_equal(bytes.len, CASES[i].status == FL_OK ? CASES[i].size_bytes : 0);
        for (size_t b = 0; b < bytes.len; b++)
            assert_int_equal(bytes.ptr[b], 'x');
    }
    struct fl_slice bytes;
    struct fl_err err;
    int fd = open("/", O_RDONLY);
    assert_int_equal(fl_file_read_descriptor(fd, 10, &arena, &bytes, &err), FL_UNREADABLE);
    assert_string_equal(err.text, "is a folder, not a file");
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_files_as_given),
        TEST(test_folder),
        TEST(test_folder_without_files),
        TEST(test_links),
        TEST(test_stdin_once),
        TEST(test_unreadable),
        TEST(test_deep_folders),
        TEST(test_no_memory),
        TEST(test_read),
        TEST(test_read_does_not_block),
        TEST(test_read_no_memory),
        TEST(test_read_descriptor),
    };
    signal(SIGPIPE, SIG_IGN); /* the writer of a pipe that we stop reading just ends */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
