/* test_file_below.c - reading files below a root: what lies there is read, and nothing leads out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/slice.h"
#include "io/file_read.h"

enum { LIMIT = 4096 };

static char folder[] = "/tmp/fenceline-below-XXXXXX";
static char root[64];
static struct fl_arena arena;
static struct fl_err err;

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* Every test runs inside a fresh folder: root/ is the root, secret.srt lies beside it. */
static int enter(void **state)
{
    (void)state;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    fl_arena_init(&arena, 1 << 20);
    if (!mkdtemp(folder) || chdir(folder) != 0 || mkdir("root", 0700) != 0 || mkdir("root/in", 0700) != 0)
        return -1;
    snprintf(root, sizeof root, "%s/root", folder);
    write_file("secret.srt", "secret");
    write_file("root/a.srt", "a");
    write_file("root/in/b.srt", "bb");
    return 0;
}

static int leave(void **state)
{
    (void)state;
    char command[128];
    fl_arena_release(&arena);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static fl_status read_below(const char *relative, struct fl_slice *bytes)
{
    err.text[0] = '\0';
    return fl_file_read_below(root, relative, LIMIT, &arena, bytes, &err);
}

static void assert_reads(const char *relative, const char *text)
{
    struct fl_slice bytes;
    fl_status status = read_below(relative, &bytes);
    assert_string_equal(err.text, "");
    assert_int_equal(status, FL_OK);
    assert_true(fl_slice_is(bytes, text));
}

/* The path is refused with this status, nothing is read, and the message has this part. */
static void assert_refused(const char *relative, fl_status status, const char *part)
{
    struct fl_slice bytes = FL_SLICE("before");
    assert_int_equal(read_below(relative, &bytes), status);
    assert_null(bytes.ptr);
    if (!strstr(err.text, part))
        fail_msg("%s: '%s' does not contain '%s'", relative, err.text, part);
}

static void test_reads_below(void **state)
{
    (void)state;
    assert_reads("a.srt", "a");
    assert_reads("in/b.srt", "bb");
    assert_reads("./in//b.srt", "bb");
    write_file("root/in/..dots..srt", "dots"); /* two dots are no '..' in a longer name */
    write_file("root/...", "three");
    assert_reads("in/..dots..srt", "dots");
    assert_reads("...", "three");
}

static void test_refuses_what_is_no_relative_path(void **state)
{
    (void)state;
    char absolute[128];
    assert_refused("", FL_INVALID, "empty");
    assert_refused("../secret.srt", FL_INVALID, "'..'");
    assert_refused("..", FL_INVALID, "'..'");
    assert_refused("in/../../secret.srt", FL_INVALID, "'..'");
    assert_refused("in/../a.srt", FL_INVALID, "'..'"); /* even where it stays inside */
    assert_refused("in/..", FL_INVALID, "'..'");
    snprintf(absolute, sizeof absolute, "%s/a.srt", root);
    assert_refused(absolute, FL_INVALID, "absolute");
    assert_refused("/etc/passwd", FL_INVALID, "absolute");
}

static void test_links(void **state)
{
    (void)state;
    char target[128];
    assert_int_equal(symlink("../secret.srt", "root/out.srt"), 0);
    assert_int_equal(symlink("..", "root/up"), 0);
    snprintf(target, sizeof target, "%s/secret.srt", folder);
    assert_int_equal(symlink(target, "root/absolute.srt"), 0);
    snprintf(target, sizeof target, "%s/a.srt", root);
    assert_int_equal(symlink(target, "root/absolute_inside.srt"), 0);
    assert_int_equal(symlink("/proc/self/fd/0", "root/magic.srt"), 0);
    assert_int_equal(symlink("loop.srt", "root/loop.srt"), 0);
    assert_refused("out.srt", FL_INVALID, "leads out");
    assert_refused("up/secret.srt", FL_INVALID, "leads out");
    assert_refused("absolute.srt", FL_INVALID, "leads out");
    assert_refused("absolute_inside.srt", FL_INVALID, "leads out"); /* what "/" means depends on who looks */
    assert_refused("magic.srt", FL_INVALID, "link");
    assert_refused("loop.srt", FL_INVALID, "too many links");

    assert_int_equal(symlink("in/b.srt", "root/inside.srt") | symlink("../a.srt", "root/in/up.srt"), 0);
    assert_reads("inside.srt", "bb");
    assert_reads("in/up.srt", "a");
}

/* The rules of fl_file_read. */
static void test_other_rules(void **state)
{
    (void)state;
    char large[LIMIT + 2], name[300];
    memset(large, 'x', LIMIT + 1);
    large[LIMIT + 1] = '\0';
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    write_file("root/empty.srt", "");
    write_file("root/large.srt", large);
    large[LIMIT] = '\0';
    write_file("root/full.srt", large);
    assert_int_equal(mkfifo("root/pipe.srt", 0600), 0);
    assert_refused("missing.srt", FL_UNREADABLE, "no such file");
    assert_refused("a.srt/below", FL_UNREADABLE, "no such file");
    assert_refused("in", FL_UNREADABLE, "folder");
    assert_refused("pipe.srt", FL_UNREADABLE, "pipe");
    assert_refused("empty.srt", FL_INVALID, "empty");
    assert_refused("large.srt", FL_INVALID, "4097 bytes");
    assert_refused(name, FL_INVALID, "too long");
    assert_reads("full.srt", large);
    if (geteuid() == 0)
        return; /* root may read everything */
    assert_int_equal(chmod("root/a.srt", 0), 0);
    assert_refused("a.srt", FL_UNREADABLE, "no permission");
}

static void test_root_that_cannot_be_opened(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "%s/elsewhere", folder);
    assert_refused("a.srt", FL_UNREADABLE, "elsewhere");
    snprintf(root, sizeof root, "%s/secret.srt", folder);
    assert_refused("a.srt", FL_UNREADABLE, "source.root");
}

/* Makes the kernel answer openat2 with this error, for this process and for ever. */
static bool forbid_openat2(int error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* An old kernel: refused with a word on what is missing, never opened by less safe means. */
static void test_kernel_without_openat2(void **state)
{
    (void)state;
    static const int ERRORS[] = {ENOSYS, EPERM};
    for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct fl_slice bytes;
            if (!forbid_openat2(ERRORS[i]))
                _exit(77);
            fl_status status = read_below("a.srt", &bytes);
            bool good = status == FL_UNREADABLE && strstr(err.text, "openat2") && !bytes.ptr;
            _exit(good ? 0 : 1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77)
            skip(); /* no seccomp here */
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reads_below, enter, leave),
        cmocka_unit_test_setup_teardown(test_refuses_what_is_no_relative_path, enter, leave),
        cmocka_unit_test_setup_teardown(test_links, enter, leave),
        cmocka_unit_test_setup_teardown(test_other_rules, enter, leave),
        cmocka_unit_test_setup_teardown(test_root_that_cannot_be_opened, enter, leave),
        cmocka_unit_test_setup_teardown(test_kernel_without_openat2, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
