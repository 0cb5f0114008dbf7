/*
 * What a worker answers by HTTP: metrics, health, the status page and its data; and what no client can do to
 * it.
 *
 * Each worker takes a free port, and tells which.
 */
#include "../lib/fleet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/slice.h"

enum { NAME_BYTES = 128, SLOW_CLIENTS = 80, VIEWERS = 12, WAIT_MS = 20000 };

static const char *const ANY_PORT[] = {"FENCELINE_HTTP_LISTEN=127.0.0.1:0", NULL};

/* ---- a client ---- */

static uint16_t port_of(struct process *worker)
{
    static const char WORDS[] = "status page: http://127.0.0.1:";
    process_wait_for_output(worker, WORDS, FLEET_WAIT_MS);
    int port = atoi(strstr(worker->err.bytes, WORDS) + strlen(WORDS));
    assert_in_range(port, 1, 65535);
    return (uint16_t)port;
}

static int connect_to(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_sec = WAIT_MS / 1000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void send_text(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* All until the server closes, as text, the caller's to free; a reset ends it as well. */
static char *receive_all(int fd)
{
    char *text = NULL, part[4096];
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    for (ssize_t got; (got = recv(fd, part, sizeof part, 0)) != 0;) {
        if (got < 0 && errno != ECONNRESET)
            LIB_FAIL("no answer: %s", strerror(errno));
        if (got < 0)
            break;
        fwrite(part, 1, (size_t)got, out);
    }
    fclose(out);
    close(fd);
    return text;
}

/* The whole answer to a request of these words ("GET /livez"). */
static char *ask_as(uint16_t port, const char *request, const char *host)
{
    char text[512];
    int fd = connect_to(port);
    snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", request, host);
    send_text(fd, text);
    return receive_all(fd);
}

static char *ask(uint16_t port, const char *request)
{
    return ask_as(port, request, "localhost");
}

static int status_of(const char *answer)
{
    int status = 0;
    assert_int_equal(sscanf(answer, "HTTP/1.1 %d", &status), 1);
    return status;
}

static const char *body_of(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part)) {
        files_print(text, strlen(text));
        LIB_FAIL("no '%s' in it", part);
    }
}

static void assert_answer(uint16_t port, const char *request, int status, const char *part)
{
    char *answer = ask(port, request);
    assert_int_equal(status_of(answer), status);
    assert_has(answer, part);
    free(answer);
}

/* The value of a sample, by its name with its labels; fails if there is none. */
static double value_in(const char *metrics, const char *sample)
{
    size_t length = strlen(sample);
    for (const char *line = metrics; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, sample, length) == 0 && line[length] == ' ')
            return strtod(line + length, NULL);
    LIB_FAIL("no sample %s", sample);
}

static double scrape(uint16_t port, const char *sample)
{
    char *answer = ask(port, "GET /metrics");
    double value = value_in(body_of(answer), sample);
    free(answer);
    return value;
}

/* Waits until a sample is there and has at least this value. */
static void await_sample(uint16_t port, const char *sample, double least)
{
    char line[NAME_BYTES];
    snprintf(line, sizeof line, "\n%s ", sample);
    for (int64_t end_ms = process_now_ms() + WAIT_MS;; process_sleep_ms(50)) {
        char *answer = ask(port, "GET /metrics");
        bool is_there = strstr(answer, line) && value_in(body_of(answer), sample) >= least;
        free(answer);
        if (is_there)
            return;
        if (process_now_ms() > end_ms)
            LIB_FAIL("%s is not %g in time", sample, least);
    }
}

/* ---- metrics ---- */

static void test_metrics_count_what_happens(void **state)
{
    (void)state;
    struct process *worker = fleet_start_worker_with(ANY_PORT);
    uint16_t port = port_of(worker);
    free(files_write_text(fenceline.folder, "bad.chapters.json", "{\"chapters\": [{}]}"));
    fleet_await_outcome(fleet_enqueue_chapters("ep1", "first", 3, "create"), "imported");
    fleet_await_outcome(fleet_enqueue_chapters("ep1", "again", 3, "create"), "rejected");
    fleet_await_outcome(fleet_enqueue("ep2", "chapters", "bad.chapters.json", "create"), "invalid");
    fleet_enqueue("ep3", "transcript", "missing.srt", "create");
    fenceline_set_lease("ep4", "somebody@else:1 5", 600000);
    fleet_enqueue_chapters("ep4", "waits", 2, "create");
    await_sample(port, "fenceline_retries_total{kind=\"transcript\"}", 1);
    await_sample(port, "fenceline_parks_total", 1);
    await_sample(port, "fenceline_queue_jobs{state=\"running\"}", 1);
    char *answer = ask(port, "GET /metrics");
    const char *metrics = body_of(answer);
    assert_has(answer, "Content-Type: text/plain; version=0.0.4");
    assert_true(value_in(metrics, "fenceline_jobs_total{kind=\"chapters\",outcome=\"imported\"}") == 1);
    assert_true(value_in(metrics, "fenceline_jobs_total{kind=\"chapters\",outcome=\"rejected\"}") == 1);
    assert_true(value_in(metrics, "fenceline_jobs_total{kind=\"chapters\",outcome=\"invalid\"}") == 1);
    assert_true(value_in(metrics, "fenceline_job_duration_seconds_count{kind=\"chapters\"}") == 3);
    assert_true(value_in(metrics, "fenceline_job_phase_seconds_count{phase=\"commit\"}") == 1);
    assert_true(value_in(metrics, "fenceline_job_phase_seconds_bucket{phase=\"lease\",le=\"+Inf\"}") >= 2);
    assert_true(value_in(metrics, "fenceline_job_phase_seconds_count{phase=\"wait\"}") >= 4);
    assert_true(value_in(metrics, "fenceline_leases_busy_total") >= 1);
    assert_true(value_in(metrics, "fenceline_jobs_in_hand{place=\"parked\"}") == 1);
    assert_true(value_in(metrics, "fenceline_slots") == 4);
    assert_true(value_in(metrics, "fenceline_connections{server=\"redis\"}") == 2);
    assert_true(value_in(metrics, "fenceline_connections{server=\"postgres\"}") >= 2);
    assert_true(value_in(metrics, "fenceline_ready{check=\"postgres\"}") == 1);
    assert_true(value_in(metrics, "fenceline_dispatcher") == 1);
    assert_true(value_in(metrics, "fenceline_lock_breaks_total") == 0);
    assert_true(value_in(metrics, "process_resident_memory_bytes") > 1e6);
    assert_true(value_in(metrics, "process_start_time_seconds") > 1.6e9);
    assert_true(value_in(metrics, "fenceline_loop_lag_seconds") > 0);
    free(answer);
    fenceline_drop_lease("ep4");
    fleet_stop_worker(worker);
}

static bool is_here(const char *program)
{
    return process_wait(
               process_start(&(struct process_spec){
                   .argv = (const char *const[]){"sh", "-c", "command -v \"$0\" >/dev/null", program, NULL}}),
               5000) == 0;
}

/* Prometheus' own checker of the format, of names, units and types. */
static void test_promtool_agrees(void **state)
{
    (void)state;
    if (!is_here("promtool")) {
        print_message("promtool is not here (Debian package prometheus)\n");
        skip();
    }
    struct process *worker = fleet_start_worker_with(ANY_PORT);
    uint16_t port = port_of(worker);
    fleet_await_outcome(fleet_enqueue_chapters("ep1", "first", 3, "create"), "imported");
    await_sample(port, "fenceline_queue_oldest_due_seconds", 0);
    char *answer = ask(port, "GET /metrics");
    const char *metrics = body_of(answer);
    struct process *check = process_run(
        &(struct process_spec){.argv = (const char *const[]){"promtool", "check", "metrics", NULL},
                               .input = metrics,
                               .input_bytes = strlen(metrics)},
        WAIT_MS);
    if (check->exit_code != 0 || check->err.size_bytes > 0)
        process_print(check);
    assert_int_equal(check->exit_code, 0);
    assert_int_equal(check->err.size_bytes, 0); /* what it would rather have otherwise */
    free(answer);
    check = process_run(
        &(struct process_spec){.argv = (const char *const[]){"promtool", "check", "rules",
                                                             "packaging/prometheus-alerts.yml", NULL}},
        WAIT_MS);
    if (check->exit_code != 0)
        process_print(check);
    assert_int_equal(check->exit_code, 0);
    fleet_stop_worker(worker);
}

/* Calls back with each name of a metric that stands behind these words: fenceline_ or process_, without the
 * suffixes of histograms. */
static void each_name(const char *text, const char *before, void (*found)(const char *name, const char *in),
                      const char *in)
{
    static const char *const SUFFIXES[] = {"_bucket", "_sum", "_count"};
    for (const char *at = text; *at;) {
        size_t length = strspn(at, "abcdefghijklmnopqrstuvwxyz_");
        char name[NAME_BYTES];
        size_t skipped = (size_t)(at - text), needed = strlen(before);
        bool is_metric = skipped >= needed && memcmp(at - needed, before, needed) == 0 &&
                         length < sizeof name &&
                         (strncmp(at, "fenceline_", 10) == 0 || strncmp(at, "process_", 8) == 0);
        if (is_metric) {
            snprintf(name, sizeof name, "%.*s", (int)length, at);
            for (size_t i = 0; i < 3; i++) {
                size_t end = strlen(SUFFIXES[i]);
                if (length > end && strcmp(name + length - end, SUFFIXES[i]) == 0)
                    name[length - end] = '\0';
            }
            found(name, in);
        }
        at += length ? length : 1;
    }
}

static void assert_is_metric(const char *name, const char *metrics)
{
    char line[NAME_BYTES];
    snprintf(line, sizeof line, "# TYPE %s ", name);
    assert_has(metrics, line);
}

/* "# TYPE name type" stands as "| `name` | type |" in the manual. */
static void assert_is_documented(const char *metrics, const char *manual)
{
    for (const char *at = metrics; (at = strstr(at, "# TYPE "));) {
        char name[NAME_BYTES], type[NAME_BYTES], row[3 * NAME_BYTES];
        assert_int_equal(sscanf(at, "# TYPE %127s %127s", name, type), 2);
        snprintf(row, sizeof row, "| `%s` | %s |", name, type);
        assert_has(manual, row);
        at++;
    }
}

static size_t names_found;

static void count_and_check(const char *name, const char *metrics)
{
    names_found++;
    assert_is_metric(name, metrics);
}

static void test_dashboard_alerts_and_manual_name_what_exists(void **state)
{
    (void)state;
    struct process *worker = fleet_start_worker_with(ANY_PORT);
    uint16_t port = port_of(worker);
    await_sample(port, "fenceline_lock_breaks_total", 0);
    char *answer = ask(port, "GET /metrics");
    static const char *const FILES[] = {"packaging/grafana-dashboard.json", "packaging/prometheus-alerts.yml",
                                        "docs/METRICS.md"};
    for (size_t i = 0; i < 3; i++) {
        size_t size;
        char *text = files_read(FILES[i], &size);
        names_found = 0;
        each_name(text, strstr(FILES[i], ".md") ? "| `" : "", count_and_check, answer);
        assert_true(names_found > 10);
        struct fl_json_text json;
        if (strstr(FILES[i], ".json")) {
            assert_int_equal(fl_json_parse(&json, (struct fl_slice){text, size}, NULL), FL_OK);
            fl_json_release(&json);
        } else if (strstr(FILES[i], ".md")) {
            assert_is_documented(body_of(answer), text);
        }
        free(text);
    }
    free(answer);
    fleet_stop_worker(worker);
}

/* ---- health ---- */

static void await_ready(uint16_t port, int status, const char *part)
{
    for (int64_t end_ms = process_now_ms() + WAIT_MS;; process_sleep_ms(50)) {
        char *answer = ask(port, "GET /readyz");
        bool is_so = status_of(answer) == status && strstr(answer, part);
        if (!is_so && process_now_ms() > end_ms)
            files_print(answer, strlen(answer));
        free(answer);
        if (is_so)
            return;
        if (process_now_ms() > end_ms)
            LIB_FAIL("/readyz does not say %d and '%s' in time", status, part);
    }
}

static void test_health(void **state)
{
    (void)state;
    struct process *worker = fleet_start_worker_with(ANY_PORT);
    uint16_t port = port_of(worker);
    await_ready(port, 200, "{\"ok\":true,\"worker\":");
    services_redis_stop(&fenceline.services, SERVICES_IMMEDIATE);
    await_ready(port, 503, "{\"check\":\"redis\",\"ok\":false,\"reason\":");
    assert_answer(port, "GET /livez", 200, "{\"check\":\"loop\",\"ok\":true}");
    services_redis_start(&fenceline.services);
    await_ready(port, 200, "\"troubles\":[]");
    services_postgres_stop(&fenceline.services, SERVICES_IMMEDIATE);
    await_ready(port, 503, "{\"check\":\"postgres\",\"ok\":false,\"reason\":");
    assert_answer(port, "GET /metrics", 200, "fenceline_ready{check=\"postgres\"} 0\n");
    services_postgres_start(&fenceline.services);
    fenceline_reconnect();
    await_ready(port, 200, "\"state\":\"running\"");
    fleet_stop_worker(worker);
}

/* One that drains is not ready, and goes on telling so until it ends. */
static void test_draining_is_not_ready(void **state)
{
    (void)state;
    struct process *worker = fleet_start_worker_with(ANY_PORT);
    uint16_t port = port_of(worker);
    fleet_await_outcome(fleet_enqueue_chapters("ep1", "first", 3, "create"), "imported");
    db_exec(fenceline.db, "BEGIN");
    db_exec(fenceline.db, "SELECT 1 FROM fenceline.episodes WHERE episode_id = 'ep1' FOR UPDATE");
    PGconn *other = db_open(fenceline.dsn);
    db_exec(other, "SELECT fenceline.enqueue('ep1', 'chapters', mode => 'delete', source => 'x')");
    await_sample(port, "fenceline_jobs_in_hand{place=\"running\"}", 1);
    process_signal(worker, SIGTERM);
    await_ready(port, 503, "{\"check\":\"running\",\"ok\":false,\"reason\":");
    assert_answer(port, "GET /livez", 200, "\"state\":\"draining\"");
    db_exec(fenceline.db, "ROLLBACK");
    db_close(other);
    fenceline_finish(worker, 0);
}

/* ---- what may be asked ---- */

static void test_page_and_refusals(void **state)
{
    (void)state;
    struct process *worker = fleet_start_worker_with(ANY_PORT);
    uint16_t port = port_of(worker);
    char *page = ask(port, "GET /");
    assert_int_equal(status_of(page), 200);
    assert_has(page, "Content-Security-Policy: default-src 'none'; style-src 'sha256-");
    assert_has(page, "script-src 'sha256-");
    assert_has(page, "frame-ancestors 'none'");
    assert_has(page, "X-Content-Type-Options: nosniff\r\n");
    assert_has(page, "Cache-Control: no-store\r\n");
    assert_int_equal(files_count_text(page, "://"),
                     1); /* the name space of SVG, and nothing from elsewhere */
    assert_int_equal(files_count_text(page, "unsafe"), 0);
    assert_int_equal(files_count_text(page, "innerHTML"), 0);
    free(page);
    assert_answer(port, "HEAD /", 200, "Content-Type: text/html");
    assert_answer(port, "POST /", 405, "Allow: GET, HEAD\r\n");
    assert_answer(port, "DELETE /metrics", 405, "nothing can be changed here");
    assert_answer(port, "GET /../etc/passwd", 404, "here are /");
    assert_answer(port, "GET /nothing%00/here", 404, "default-src 'none'");
    static const char *const OTHERS[] = {"evil.example", "localhost.evil.example:80", "10.0.0.1", "[::2]:1"};
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++) {
        char *refused = ask_as(port, "GET /overview.json", OTHERS[i]);
        assert_int_equal(status_of(refused), 421);
        free(refused);
    }
    static const char *const OURS[] = {"127.0.0.1:9465", "localhost:1", "[::1]:9465", "127.8.8.8"};
    for (size_t i = 0; i < sizeof OURS / sizeof *OURS; i++) {
        char *answer = ask_as(port, "GET /livez", OURS[i]);
        assert_int_equal(status_of(answer), 200);
        free(answer);
    }
    fleet_stop_worker(worker);
}

/* ---- the data of the page ---- */

static char *overview_with(uint16_t port, const char *part)
{
    for (int64_t end_ms = process_now_ms() + WAIT_MS;; process_sleep_ms(100)) {
        char *answer = ask(port, "GET /overview.json");
        assert_int_equal(status_of(answer), 200);
        if (strstr(answer, part))
            return answer;
        if (process_now_ms() > end_ms)
            files_print(answer, strlen(answer));
        free(answer);
        if (process_now_ms() > end_ms)
            LIB_FAIL("no '%s' in the overview in time", part);
    }
}

static void test_overview_tells_all(void **state)
{
    (void)state;
    struct process *worker = fleet_start_worker_with(ANY_PORT);
    uint16_t port = port_of(worker);
    static const char HOSTILE[] = "<script>alert(1)</script>\"\\ \xe2\x80\xae";
    free(files_write_text(fenceline.folder, "bad.chapters.json", "{\"chapters\": [{}]}"));
    fleet_await_outcome(fleet_enqueue_chapters("ep1", "first", 3, "create"), "imported");
    fleet_await_outcome(fleet_enqueue(HOSTILE, "chapters", "bad.chapters.json", "create"), "invalid");
    fenceline_set_lease("ep2", "somebody@else:1 5", 600000);
    char *answer = overview_with(port, "\"episode\":\"ep2\"");
    struct fl_json_text json;
    struct fl_slice body = fl_slice_from(body_of(answer));
    body.len -= body.ptr[body.len - 1] == '\n';
    assert_int_equal(fl_json_parse(&json, body, NULL), FL_OK);
    const struct fl_json *failure = fl_json_first(fl_json_get(json.root, "failures"));
    assert_true(fl_slice_is(fl_json_string(fl_json_get(failure, "episode")), HOSTILE)); /* as it is: text */
    const struct fl_json *lease = fl_json_first(fl_json_get(json.root, "leases"));
    assert_true(fl_json_string(fl_json_get(lease, "verdict")).len > 0);
    const struct fl_json *told = fl_json_first(fl_json_get(json.root, "workers"));
    assert_true(fl_slice_is(fl_json_string(fl_json_get(told, "state")), "running"));
    assert_true(fl_slice_is(fl_json_number(&json, fl_json_get(told, "slots")), "4"));
    assert_null(fl_json_first(fl_json_get(json.root, "problems")));
    int64_t decided = 0;
    for (const struct fl_json *row = fl_json_first(fl_json_get(json.root, "minutes")); row;
         row = fl_json_next(row)) {
        struct fl_slice jobs = fl_json_number(&json, fl_json_get(row, "jobs"));
        int64_t number = 0;
        assert_true(fl_slice_take_digits(&jobs, &number) > 0);
        decided += number;
    }
    assert_int_equal(decided, 2);
    fl_json_release(&json);
    free(answer);
    /* Without Postgres the workers are still told, and why the rest is not. */
    services_postgres_stop(&fenceline.services, SERVICES_IMMEDIATE);
    answer = overview_with(port, "\"problems\":[\"");
    assert_has(answer, "\"workers\":[{");
    free(answer);
    services_postgres_start(&fenceline.services);
    fenceline_reconnect();
    free(overview_with(port, "\"problems\":[]"));
    fenceline_drop_lease("ep2");
    fleet_stop_worker(worker);
}

/* Many viewers cost what one does: one session, and one reading for all who come at once. */
static void test_many_viewers_cost_one(void **state)
{
    (void)state;
    int fds[VIEWERS];
    struct process *worker = fleet_start_worker_with(ANY_PORT);
    uint16_t port = port_of(worker);
    char *first = NULL;
    for (int i = 0; i < VIEWERS; i++) {
        fds[i] = connect_to(port);
        send_text(fds[i], "GET /overview.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    }
    for (int i = 0; i < VIEWERS; i++) {
        char *answer = receive_all(fds[i]);
        assert_int_equal(status_of(answer), 200);
        if (first)
            assert_string_equal(body_of(answer),
                                body_of(first)); /* the same reading, to the heartbeat's age */
        if (!first)
            first = answer;
        else
            free(answer);
    }
    free(first);
    assert_int_equal(db_int(fenceline.db,
                            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'fenceline'"
                            "   AND datname = current_database()"),
                     1);
    fleet_stop_worker(worker);
}

/* A role that may work, and not read: the metrics of the queue are there, and the page says what is missing.
 */
static void test_least_privilege(void **state)
{
    (void)state;
    char dsn[SERVICES_DSN_BYTES + 64];
    struct process *roles = process_run(
        &(struct process_spec){.argv = (const char *const[]){"psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-f",
                                                             "config/roles.sql", fenceline.dsn, NULL}},
        WAIT_MS);
    assert_int_equal(roles->exit_code, 0);
    db_exec(fenceline.db, "DROP ROLE IF EXISTS http_worker");
    db_exec(fenceline.db, "CREATE ROLE http_worker LOGIN IN ROLE fenceline_worker");
    snprintf(dsn, sizeof dsn, "postgresql://http_worker@127.0.0.1:%d/%s",
             services_postgres_port(&fenceline.services), PQdb(fenceline.db));
    fenceline.postgres_dsn = dsn;
    struct process *worker = fleet_start_worker_with(ANY_PORT);
    uint16_t port = port_of(worker);
    await_sample(port, "fenceline_queue_jobs{state=\"waiting\"}", 0);
    char *answer = overview_with(port, "\"problems\":[\"");
    assert_has(answer, "fenceline_reader"); /* which role it takes */
    assert_has(answer, "\"queue\":{");
    assert_has(answer, "\"workers\":[{");
    free(answer);
    fleet_stop_worker(worker);
}

/* ---- who means harm ---- */

static void assert_garbage_is_harmless(uint16_t port)
{
    static const char *const GARBAGE[] = {
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "\x16\x03\x01\x02\x01\x01\xfc\x03\x03",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        "POST /metrics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: "
        "chunked\r\n\r\nffffffffffffffffffff\r\n",
        "GET /overview.json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
    };
    for (size_t i = 0; i < sizeof GARBAGE / sizeof *GARBAGE; i++) {
        int fd = connect_to(port);
        send_text(fd, GARBAGE[i]);
        shutdown(fd, SHUT_WR);
        free(receive_all(fd));
    }
    int fd = connect_to(port); /* headers without an end */
    send_text(fd, "GET / HTTP/1.1\r\nHost: localhost\r\n");
    for (int i = 0; i < 4000; i++)
        if (send(fd, "X-Long: 0123456789012345678901234567890\r\n", 41, MSG_NOSIGNAL) < 0)
            break;
    shutdown(fd, SHUT_WR);
    free(receive_all(fd));
}

/* Slow clients, more than there is room for, garbage, and one who never reads: imports and honest clients go
 * on. */
static void test_hostile_clients_disturb_nobody(void **state)
{
    (void)state;
    enum { JOBS = 24 };
    int slow[SLOW_CLIENTS], greedy[8];
    struct process *worker = fleet_start_worker_with(ANY_PORT);
    uint16_t port = port_of(worker);
    for (int i = 0; i < SLOW_CLIENTS; i++) {
        slow[i] = connect_to(port);
        send_text(slow[i], "GET / HTTP/1.1\r\nHost: loc");
    }
    for (int i = 0; i < 8; i++) { /* asks again and again, and takes nothing */
        greedy[i] = connect_to(port);
        for (int k = 0; k < 200; k++)
            if (send(greedy[i], "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 43,
                     MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                break;
    }
    int64_t jobs[JOBS];
    for (int i = 0; i < JOBS; i++) {
        char episode[NAME_BYTES];
        snprintf(episode, sizeof episode, "ep%d", i);
        jobs[i] = fleet_enqueue_chapters(episode, "body", 5, "create");
        for (int k = i; k < SLOW_CLIENTS; k += JOBS) /* a byte now and then */
            (void)!send(slow[k], "a", 1, MSG_NOSIGNAL);
    }
    assert_garbage_is_harmless(port);
    for (int i = 0; i < JOBS; i++)
        fleet_await_outcome(jobs[i], "imported");
    assert_true(scrape(port, "fenceline_http_cut_off_total") >= SLOW_CLIENTS - 64);
    assert_true(scrape(port, "fenceline_connections{server=\"http\"}") <= 64);
    assert_true(scrape(port, "fenceline_jobs_total{kind=\"chapters\",outcome=\"imported\"}") == JOBS);
    for (int i = 0; i < SLOW_CLIENTS; i++)
        close(slow[i]);
    for (int i = 0; i < 8; i++)
        close(greedy[i]);
    fleet_stop_worker(worker);
}

/* A request that never ends loses its connection by our clock, however often a byte comes. */
static void test_slow_request_is_cut_off(void **state)
{
    (void)state;
    struct process *worker = fleet_start_worker_with(ANY_PORT);
    int fd = connect_to(port_of(worker));
    send_text(fd, "GET / HTTP/1.1\r\nX: ");
    int64_t end_ms = process_now_ms() + 60000;
    for (char byte; recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;) {
        assert_true(process_now_ms() < end_ms);
        if (send(fd, "a", 1, MSG_NOSIGNAL) < 0)
            break;
        process_sleep_ms(200);
    }
    close(fd);
    fleet_stop_worker(worker);
}

/* ---- two on one machine ---- */

static void test_second_worker_goes_on_without(void **state)
{
    (void)state;
    struct process *first = fleet_start_worker_with(ANY_PORT);
    uint16_t port = port_of(first);
    char same[NAME_BYTES];
    snprintf(same, sizeof same, "FENCELINE_HTTP_LISTEN=127.0.0.1:%d", port);
    struct process *second = fleet_start_worker_with((const char *const[]){same, NULL});
    fenceline_assert_err(second, "is taken, perhaps by another worker");
    fenceline_assert_err(second, "FENCELINE_HTTP_LISTEN");
    fleet_stop_worker(first);
    fleet_await_outcome(fleet_enqueue_chapters("ep1", "first", 3, "create"), "imported");
    assert_int_equal(port_of(second), port); /* which it takes as soon as it is free */
    assert_answer(port, "GET /livez", 200, "\"state\":\"running\"");
    assert_int_equal(files_count_text(second->err.bytes, "is taken"), 1);
    fleet_stop_worker(second);
}

static void test_bad_address(void **state)
{
    (void)state;
    static const char *const BAD[] = {"9465",     "localhost",      "127.0.0.1:",     "127.0.0.1:65536",
                                      "::1:9465", "example.org:80", "[127.0.0.1]:80", ":9465",
                                      "on"};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        char variable[NAME_BYTES];
        snprintf(variable, sizeof variable, "FENCELINE_HTTP_LISTEN=%s", BAD[i]);
        struct process *refused = fenceline_run_spec(2, .argv = (const char *const[]){"worker", NULL},
                                                     .env = (const char *const[]){variable, NULL});
        fenceline_assert_err(refused, "http.listen must be ADDRESS:PORT, such as 127.0.0.1:9465");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FENCELINE_TEST(test_metrics_count_what_happens),
        FENCELINE_TEST(test_promtool_agrees),
        FENCELINE_TEST(test_dashboard_alerts_and_manual_name_what_exists),
        FENCELINE_TEST(test_health),
        FENCELINE_TEST(test_draining_is_not_ready),
        FENCELINE_TEST(test_page_and_refusals),
        FENCELINE_TEST(test_overview_tells_all),
        FENCELINE_TEST(test_many_viewers_cost_one),
        FENCELINE_TEST(test_least_privilege),
        FENCELINE_TEST(test_hostile_clients_disturb_nobody),
        FENCELINE_TEST(test_slow_request_is_cut_off),
        FENCELINE_TEST(test_second_worker_goes_on_without),
        FENCELINE_TEST(test_bad_address),
    };
    return cmocka_run_group_tests(tests, fenceline_start_group, fenceline_stop_group);
}
