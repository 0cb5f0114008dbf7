/* test_settings.c - every key: its default, its range, and that config/fenceline.conf says the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/settings.h"
#include "app/settings_keys.h"
#include "base/nearest.h"
#include "base/slice.h"

#ifndef CONFIG_PATH
#define CONFIG_PATH "config/fenceline.conf"
#endif

static const struct fl_origin ORIGIN = {FL_ORIGIN_OPTION, {"test", 4}, 0},
                              TTL = {FL_ORIGIN_OPTION, {"--ttl", 5}, 0};
static char file_path[] = "/tmp/fenceline-settings-XXXXXX";

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(file_path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(file_path);
}

static fl_status load(struct fl_settings *settings, const char *text, struct fl_err *err)
{
    FILE *file = fopen(file_path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    memset(err, 0, sizeof *err);
    return fl_settings_load(settings, file_path, err);
}

static void assert_refused(const char *text, const char *message_part)
{
    struct fl_settings settings;
    struct fl_err err;
    assert_int_equal(load(&settings, text, &err), FL_USAGE);
    if (!strstr(err.text, message_part))
        fail_msg("'%s' is not in: %s", message_part, err.text);
    assert_null(strstr(err.text, "hunter2"));
}

static void test_defaults(void **state)
{
    (void)state;
    struct fl_settings s;
    fl_settings_init(&s);
    assert_string_equal(s.redis_url, "redis://127.0.0.1:6379");
    assert_string_equal(s.postgres_dsn, "");
    assert_int_equal(s.redis_timeout_ms, 5000);
    assert_int_equal(s.postgres_timeout_ms, 15000);
    assert_int_equal(s.postgres_connections, 3);
    assert_int_equal(s.import_jobs, 8);
    assert_int_equal(s.limits.file_bytes, 67108864);
    assert_int_equal(s.limits.rows, 200000);
    assert_int_equal(s.limits.field_bytes, 65536);
    assert_false(s.limits.strict || s.limits.repair);
    assert_int_equal(s.policy.lease_ttl_ms, 8000);
    assert_int_equal(s.policy.lease_max_ms, 600000);
    assert_int_equal(s.policy.lease_stall_ms, 60000);
    assert_int_equal(s.policy.wait_lock_ms, 10000);
    assert_int_equal(s.policy.look_ms, 500);
    assert_int_equal(s.policy.max_attempts, 10);
    assert_int_equal(s.policy.backoff_base_ms, 50);
    assert_int_equal(s.policy.backoff_max_ms, 2000);
    assert_int_equal(fl_settings_check(&s, NULL), FL_OK);
}

static void test_ranges(void **state)
{
    (void)state;
    size_t count;
    const struct fl_setting *table = fl_settings_table(&count);
    for (size_t i = 0; i < count; i++) {
        struct fl_settings s;
        fl_settings_init(&s);
        if (table[i].type == FL_SETTING_TEXT)
            continue;
        const int64_t numbers[] = {table[i].min, table[i].max, table[i].min - 1, table[i].max + 1};
        for (int n = 0; n < 4; n++) {
            char text[32];
            snprintf(text, sizeof text, "%" PRId64, numbers[n]);
            assert_int_equal(fl_settings_set(&s, table[i].name, text, &ORIGIN, NULL),
                             n < 2 ? FL_OK : FL_USAGE);
        }
        assert_in_range(table[i].default_number, table[i].min, table[i].max);
    }
}

static void test_number_syntax(void **state)
{
    (void)state;
    static const char *const BAD[] = {"",   " ",   "x",    "5x",  "-5",
                                      "+5", "5.0", "0x10", "1e3", "99999999999999999999"};
    struct fl_settings s;
    struct fl_err err;
    fl_settings_init(&s);
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_int_equal(fl_settings_set(&s, "import.jobs", BAD[i], &ORIGIN, NULL), FL_USAGE);
    assert_int_equal(s.import_jobs, 8);
    assert_int_equal(fl_settings_set(&s, "lease.ttl_ms", "499", &TTL, &err), FL_USAGE);
    assert_string_equal(err.text,
                        "--ttl: lease.ttl_ms must be a whole number of ms from 500 to 600000, not '499'");
    assert_int_equal(fl_settings_set(&s, "lease.ttl_ms", " 501 ", &TTL, &err), FL_OK);
    assert_int_equal(s.policy.lease_ttl_ms, 501);
    assert_int_equal(s.policy.lease_max_ms, 600000); /* no neighbour was touched */
}

/* Takes "(ms, 100 to 600000, default 5000)" and "#key = value" out of the shipped file. */
static void test_shipped_file(void **state)
{
    (void)state;
    FILE *file = fopen(CONFIG_PATH, "r");
    if (!file) {
        print_message("skip: run from the folder that holds " CONFIG_PATH "\n");
        skip();
    }
    size_t count, at = 0;
    const struct fl_setting *table = fl_settings_table(&count);
    char line[512], section[64] = "", about[512] = "";
    while (fgets(line, sizeof line, file)) {
        char key[64], value[256] = "", name[160], expected[512], default_text[300];
        line[strcspn(line, "\n")] = '\0';
        if (strlen(line) > 120)
            fail_msg("too long: %s", line);
        if (sscanf(line, "[%63[a-z]]", section) == 1)
            continue;
        if (strncmp(line, "# (", 3) == 0)
            strcpy(about, line);
        if (sscanf(line, "#%63[a-z_] = %255[^\n]", key, value) < 1 || !strstr(line, " ="))
            continue;
        snprintf(name, sizeof name, "%s.%s", section, key);
        if (at >= count)
            fail_msg("%s is in no table", name);
        const struct fl_setting *setting = &table[at++];
        assert_string_equal(name, setting->name);
        if (setting->type == FL_SETTING_TEXT) {
            snprintf(default_text, sizeof default_text, "%s", setting->default_text);
            snprintf(expected, sizeof expected, "# (text, default %s)",
                     default_text[0] ? default_text : "empty");
        } else {
            snprintf(default_text, sizeof default_text, "%" PRId64, setting->default_number);
            snprintf(expected, sizeof expected, "# (%s%s%" PRId64 " to %" PRId64 ", default %s)",
                     setting->unit, setting->unit[0] ? ", " : "", setting->min, setting->max, default_text);
        }
        assert_string_equal(about, expected);
        assert_string_equal(value, default_text);
    }
    fclose(file);
    assert_int_equal(at, count);
}

static void test_shipped_file_loads(void **state)
{
    (void)state;
    struct fl_settings s, defaults;
    struct fl_err err;
    if (access(CONFIG_PATH, R_OK) != 0) {
        print_message("skip: run from the folder that holds " CONFIG_PATH "\n");
        skip();
    }
    fl_settings_init(&defaults);
    assert_int_equal(fl_settings_load(&s, CONFIG_PATH, &err), FL_OK);
    assert_memory_equal(&s, &defaults, sizeof s);
}

static void test_file(void **state)
{
    (void)state;
    struct fl_settings s;
    struct fl_err err;
    assert_int_equal(load(&s,
                          "; comment\n[redis]\nurl = redis://h:1/2\n  timeout_ms=700 ; inline\n[postgres]\n"
                          "dsn = host=x dbname=y\n",
                          &err),
                     FL_OK);
    assert_string_equal(s.redis_url, "redis://h:1/2");
    assert_int_equal(s.redis_timeout_ms, 700);
    assert_string_equal(s.postgres_dsn, "host=x dbname=y");
    char text[1200] = "[postgres]\ndsn = ";
    memset(text + strlen(text), 'a', 900);
    assert_int_equal(load(&s, text, &err), FL_OK);
    assert_int_equal(strlen(s.postgres_dsn), 900);
}

static void test_file_errors(void **state)
{
    (void)state;
    char text[8192] = "[postgres]\ndsn = hunter2";
    assert_refused("[lease]\nttl = 5\n", ":2: unknown setting 'lease.ttl'; did you mean 'lease.ttl_ms'?");
    assert_refused("[leese]\nttl_ms = 5000\n", "did you mean 'lease.ttl_ms'?");
    assert_refused("[zzz]\nqqqqqq = 5\n", "unknown setting 'zzz.qqqqqq'; 'fenceline config show' lists");
    assert_refused("[lease]\n\nttl_ms = 5\n", ":3: lease.ttl_ms must be");
    assert_refused("ttl_ms = 5000\n", ":1: 'ttl_ms' stands before the first [section]");
    assert_refused("[lease]\nttl_ms = 5000\nlook_ms = 100\nttl_ms = 6000\n",
                   ":4: lease.ttl_ms was given in line 2");
    assert_refused("[lease]\nhunter2\n", ":2: neither");
    memset(text + strlen(text), 'x', 3000);
    assert_refused(text, ":2: the line is too long");
    text[11 + 6 + 7 + 1500] = '\0';
    assert_refused(text, "postgres.dsn has 1507 bytes; at most 1023");
    struct fl_settings s;
    struct fl_err err;
    assert_int_equal(fl_settings_load(&s, "/nowhere/x.conf", &err), FL_USAGE);
    assert_non_null(strstr(err.text, "/nowhere/x.conf: No such file"));
    assert_int_equal(fl_settings_load(&s, "/tmp", &err), FL_USAGE);
    assert_non_null(strstr(err.text, "/tmp: Is a directory"));
}

static void test_environment(void **state)
{
    (void)state;
    struct fl_settings s;
    struct fl_err err;
    setenv("FENCELINE_REDIS", "redis://env", 1);
    setenv("FENCELINE_REDIS_URL", "redis://long", 1);
    setenv("FENCELINE_LEASE_TTL_MS", "4321", 1);
    setenv("FENCELINE_IMPORT_JOBS", "", 1);
    setenv("FENCELINE_SOMETHING_ELSE", "x", 1);
    assert_int_equal(load(&s, "[lease]\nttl_ms = 1000\nlook_ms = 77\n[import]\njobs = 5\n", &err), FL_OK);
    assert_string_equal(s.redis_url, "redis://env");
    assert_int_equal(s.policy.lease_ttl_ms, 4321);
    assert_int_equal(s.policy.look_ms, 77);
    assert_int_equal(s.import_jobs, 5);
    setenv("FENCELINE_LEASE_TTL", "4321", 1);
    assert_int_equal(load(&s, "", &err), FL_USAGE);
    assert_string_equal(err.text,
                        "FENCELINE_LEASE_TTL: unknown setting 'lease.ttl'; did you mean 'lease.ttl_ms'?");
    unsetenv("FENCELINE_LEASE_TTL");
    unsetenv("FENCELINE_REDIS");
    assert_int_equal(load(&s, "", &err), FL_OK);
    assert_string_equal(s.redis_url, "redis://long");
    clearenv();
    assert_int_equal(load(&s, "", &err), FL_OK);
    assert_string_equal(s.redis_url, "redis://127.0.0.1:6379");
}

static void assert_origin(const struct fl_settings *settings, const char *key, enum fl_origin_source source,
                          const char *text)
{
    char out[FL_ORIGIN_BYTES];
    const struct fl_origin *origin = fl_settings_origin(settings, fl_settings_find(key));
    assert_int_equal(origin->source, source);
    assert_string_equal(fl_origin_format(origin, out), text);
}

/* The strongest source is the one that is named, and a refused value leaves value and origin as they were. */
static void test_origins(void **state)
{
    (void)state;
    struct fl_settings s;
    struct fl_err err;
    char place[64];
    setenv("FENCELINE_LEASE_TTL_MS", "4321", 1);
    setenv("FENCELINE_POSTGRES", "dbname=short", 1);
    setenv("FENCELINE_POSTGRES_DSN", "dbname=long", 1);
    assert_int_equal(load(&s, "[lease]\nttl_ms = 1000\n\nlook_ms = 77\n[import]\njobs = 5\n", &err), FL_OK);
    assert_origin(&s, "lease.ttl_ms", FL_ORIGIN_ENVIRONMENT, "FENCELINE_LEASE_TTL_MS");
    assert_origin(&s, "postgres.dsn", FL_ORIGIN_ENVIRONMENT, "FENCELINE_POSTGRES");
    snprintf(place, sizeof place, "%s:4", file_path);
    assert_origin(&s, "lease.look_ms", FL_ORIGIN_FILE, place);
    snprintf(place, sizeof place, "%s:6", file_path);
    assert_origin(&s, "import.jobs", FL_ORIGIN_FILE, place);
    assert_origin(&s, "worker.slots", FL_ORIGIN_DEFAULT, "default");
    assert_int_equal(fl_settings_set(&s, "import.jobs", "0", &TTL, &err), FL_USAGE);
    assert_origin(&s, "import.jobs", FL_ORIGIN_FILE, place);
    assert_int_equal(fl_settings_set(&s, "import.jobs", "7", &TTL, &err), FL_OK);
    assert_origin(&s, "import.jobs", FL_ORIGIN_OPTION, "--ttl");
    unsetenv("FENCELINE_LEASE_TTL_MS");
    unsetenv("FENCELINE_POSTGRES");
    unsetenv("FENCELINE_POSTGRES_DSN");
}

static void keep_text(void *owner, const struct fl_err *err)
{
    strcat(owner, err->text);
    strcat(owner, "\n");
}

/* Whoever wants to hear of all hears of all, in order; what is right counts. */
static void test_all_errors(void **state)
{
    (void)state;
    struct fl_settings s;
    struct fl_err err = {0};
    char heard[4096] = "", expected[4096];
    FILE *file = fopen(file_path, "w");
    assert_non_null(file);
    fputs("[lease]\nttl = 5\nttl_ms = 1\nlook_ms = 77\nlook_ms = 78\nnonsense\n[job]\nmax_deaths=0\n", file);
    assert_int_equal(fclose(file), 0);
    setenv("FENCELINE_JOB_MAX_DEATH", "3", 1);
    assert_int_equal(fl_settings_load_telling(&s, file_path, keep_text, heard, &err), FL_USAGE);
    unsetenv("FENCELINE_JOB_MAX_DEATH");
    snprintf(expected, sizeof expected,
             "%s:2: unknown setting 'lease.ttl'; did you mean 'lease.ttl_ms'?\n"
             "%s:3: lease.ttl_ms must be a whole number of ms from 500 to 600000, not '1'\n"
             "%s:5: lease.look_ms was given in line 4 already\n"
             "%s:8: job.max_deaths must be a whole number from 1 to 100, not '0'\n"
             "%s:6: neither 'key = value' nor '[section]' nor a comment\n"
             "FENCELINE_JOB_MAX_DEATH: unknown setting 'job.max_death'; did you mean 'job.max_deaths'?\n",
             file_path, file_path, file_path, file_path, file_path);
    assert_string_equal(heard, expected);
    assert_non_null(strstr(err.text, ":2: unknown setting"));
    assert_int_equal(s.policy.look_ms, 77);
    assert_int_equal(s.policy.lease_ttl_ms, 8000);
}

/* Number and text of each setting, as the table describes it. */
static void test_values(void **state)
{
    (void)state;
    struct fl_settings s;
    size_t count;
    const struct fl_setting *table = fl_settings_table(&count);
    fl_settings_init(&s);
    for (size_t i = 0; i < count; i++) {
        bool is_text = table[i].type == FL_SETTING_TEXT;
        assert_ptr_equal(fl_settings_find(table[i].name), &table[i]);
        assert_int_equal(fl_settings_number(&s, &table[i]), is_text ? 0 : table[i].default_number);
        assert_int_equal(fl_settings_text(&s, &table[i]) != NULL, is_text);
        if (is_text)
            assert_string_equal(fl_settings_text(&s, &table[i]), table[i].default_text);
    }
    assert_null(fl_settings_find("lease.ttl"));
}

static void test_contradictions(void **state)
{
    (void)state;
    struct fl_settings s;
    struct fl_err err;
    fl_settings_init(&s);
    s.policy.lease_max_ms = s.policy.lease_ttl_ms;
    assert_int_equal(fl_settings_check(&s, &err), FL_OK);
    s.policy.lease_max_ms--;
    assert_int_equal(fl_settings_check(&s, &err), FL_USAGE);
    assert_string_equal(err.text, "lease.max_ms (7999) is shorter than lease.ttl_ms (8000)");
    fl_settings_init(&s);
    s.policy.backoff_base_ms = 2001;
    assert_int_equal(fl_settings_check(&s, &err), FL_USAGE);
    fl_settings_init(&s);
    s.redis_url[0] = '\0';
    assert_int_equal(fl_settings_check(&s, &err), FL_USAGE);
}

static void test_nearest(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        size_t distance;
    } CASES[] = {{"", "", 0},
                 {"abc", "", 3},
                 {"", "abc", 3},
                 {"abc", "abc", 0},
                 {"abc", "ABC", 0},
                 {"abcd", "abdc", 1},
                 {"kitten", "sitting", 3},
                 {"ca", "abc", 3},
                 {"import", "improt", 1}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_int_equal(fl_nearest_distance(fl_slice_from(CASES[i].a), fl_slice_from(CASES[i].b)),
                         CASES[i].distance);
    char longest[200];
    memset(longest, 'x', sizeof longest);
    struct fl_nearest nearest;
    fl_nearest_init(&nearest, (struct fl_slice){longest, sizeof longest});
    fl_nearest_offer(&nearest, "x");
    assert_null(nearest.best);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_number_syntax),
        cmocka_unit_test(test_shipped_file),
        cmocka_unit_test(test_shipped_file_loads),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_file_errors),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_all_errors),
        cmocka_unit_test(test_values),
    };
    /* A developer's own servers are no matter here. */
    unsetenv("FENCELINE_REDIS");
    unsetenv("FENCELINE_POSTGRES");
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
