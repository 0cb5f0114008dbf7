/*
 * Real servers for tests.
 *
 * Happy path: make a folder, reserve ports, run initdb or copy what it made before, start the servers as
 * children, poll until they answer and are the ones started here (not a stranger on the same port), hand out
 * databases; stop, remove the folder. Failure modes: a port that was taken in between is replaced by another
 * one and the start is tried again; a server that ends or does not answer in time fails the running test with
 * the end of its log. On the death of the test program: the kernel sends each server its death signal
 * (SIGQUIT to PostgreSQL, which it passes on to its backends; SIGKILL to Redis), and the janitor, a forked
 * process in its own session, wakes, waits for PostgreSQL to be gone and removes the folder.
 */
#include "services.h"
#include "db.h"
#include "files.h"
#include "process.h"
#include "rdb.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <limits.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    START_TIMEOUT_MS = 60000,
    STOP_TIMEOUT_MS = 30000,
    START_ATTEMPTS = 5,
    START_POLL_MS = 10,
    TAIL_LINES = 30,
    ARGS_MAX = 64,
    PORT_LOWEST = 10000,
    PORT_FALLBACK_HIGHEST = 32767,
    JANITOR_ROUNDS = 1000,
    JANITOR_ROUND_MS = 10,
};

struct server {
    struct process *process; /* NULL while it is stopped */
    uint16_t port;
    int port_fd; /* keeps the port reserved */
    char *log_path;
    const char *const *args; /* further ones; NULL: none */
};

struct services_state {
    struct services_state *next;
    pid_t owner, janitor;
    unsigned flags;
    char *folder, *data, *pg_bin;
    struct passwd *user; /* for PostgreSQL; NULL: as we are */
    struct server redis, postgres;
    char redis_url[64];
    unsigned databases;
};

enum readiness { READY, PORT_TAKEN, NOT_YET };

static struct services_state *started; /* what clean-up at exit has to look at */

/* Ports */

/* The system picks the near ends of outgoing connections from its own range. A port in it could be taken
 * while our server is down; a client that tries again and again could even be connected to itself. */
static unsigned highest_port(void)
{
    unsigned lowest_of_system = 0;
    FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
    if (file == NULL)
        return PORT_FALLBACK_HIGHEST;
    int got = fscanf(file, "%u", &lowest_of_system);
    fclose(file);
    return got == 1 && lowest_of_system > PORT_LOWEST + 1000 ? lowest_of_system - 1 : PORT_FALLBACK_HIGHEST;
}

/* A socket with an abstract name serves as the lock of a port among test programs: it goes with its process.
 */
static int lock_port(unsigned port)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "fenceline-test-port-%u", port);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t address_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, address_bytes) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool port_is_free(unsigned port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool is_free = bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return is_free;
}

static uint16_t reserve_port(int *fd)
{
    static unsigned offset;
    unsigned span = highest_port() - PORT_LOWEST + 1;
    /* Programs started one after the other begin far from each other. */
    if (offset == 0)
        offset = (unsigned)getpid() * 7919U;
    for (unsigned tries = 0; tries < span; tries++) {
        unsigned port = PORT_LOWEST + offset++ % span;
        *fd = lock_port(port);
        if (*fd < 0)
            continue;
        if (port_is_free(port))
            return (uint16_t)port;
        close(*fd);
    }
    LIB_FAIL("no free port from %d on", PORT_LOWEST);
}

uint16_t services_free_port(void)
{
    int fd; /* stays open: the reservation ends with the program */
    return reserve_port(&fd);
}

/* Programs */

static bool is_in_path(const char *name)
{
    const char *path = getenv("PATH");
    char *copy = strdup(path != NULL ? path : "");
    bool found = false;
    char *rest = copy;
    for (char *folder; !found && (folder = strsep(&rest, ":")) != NULL;) {
        char *file = files_join(folder, name);
        found = access(file, X_OK) == 0;
        free(file);
    }
    free(copy);
    return found;
}

/* The folder of PostgreSQL's programs; "" means PATH, NULL means that there is none. */
static char *find_postgres(void)
{
    const char *given = getenv("FENCELINE_TEST_PG_BIN");
    if (given != NULL && given[0] != '\0')
        return strdup(given);
    char *best = NULL;
    int best_version = 0;
    glob_t found;
    if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            int version = atoi(found.gl_pathv[i] + strlen("/usr/lib/postgresql/"));
            if (version <= best_version)
                continue;
            best_version = version;
            free(best);
            best = strndup(found.gl_pathv[i], strlen(found.gl_pathv[i]) - strlen("/initdb"));
        }
        globfree(&found);
    }
    if (best == NULL && is_in_path("initdb") && is_in_path("postgres"))
        best = strdup("");
    return best;
}

static char *postgres_program(const struct services_state *state, const char *name)
{
    return state->pg_bin[0] == '\0' ? strdup(name) : files_join(state->pg_bin, name);
}

const char *services_missing(unsigned flags)
{
    if ((flags & SERVICES_REDIS) != 0 && !is_in_path("redis-server"))
        return "redis-server";
    if ((flags & SERVICES_POSTGRES) != 0) {
        char *folder = find_postgres();
        free(folder);
        if (folder == NULL)
            return "postgres";
    }
    return NULL;
}

/* The janitor */

static pid_t read_pid(const char *path)
{
    int pid = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    int got = fscanf(file, "%d", &pid);
    fclose(file);
    return got == 1 && pid > 0 ? (pid_t)pid : 0;
}

static _Noreturn void janitor_main(const char *folder, const char *pid_path, pid_t owner)
{
    sigset_t all;
    int signal_number;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    setsid();
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int stream = 0; stream < 3; stream++)
        dup2(null_fd, stream);
    close_range(3, ~0U, 0);
    prctl(PR_SET_NAME, "test-janitor");
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    while (getppid() == owner)
        sigwait(&all, &signal_number);
    for (int round = 0; round < JANITOR_ROUNDS; round++) {
        pid_t postmaster = read_pid(pid_path);
        bool gone = postmaster == 0 || kill(postmaster, SIGCONT) < 0;
        if (gone && files_remove_tree(folder))
            break;
        process_sleep_ms(JANITOR_ROUND_MS);
    }
    _exit(0);
}

static void start_janitor(struct services_state *state)
{
    char *pid_path = files_join(state->data, "postmaster.pid");
    state->janitor = fork();
    if (state->janitor < 0)
        LIB_FAIL("cannot fork: %s", strerror(errno));
    if (state->janitor == 0)
        janitor_main(state->folder, pid_path, state->owner);
    free(pid_path);
}

/* Stopping without a word, for every way out */

static void end_server(struct server *server, int signal_number)
{
    struct process *process = server->process;
    if (process == NULL)
        return;
    if (!process_ended(process, 0)) {
        kill(process->pid, signal_number);
        kill(process->pid, SIGCONT);
        process_ended(process, STOP_TIMEOUT_MS);
    }
    process_release(process); /* kills what has not listened */
    server->process = NULL;
}

static void release_server(struct server *server)
{
    free(server->log_path);
    if (server->port_fd >= 0)
        close(server->port_fd);
}

static void release_state(struct services_state *state)
{
    end_server(&state->redis, SIGKILL);
    end_server(&state->postgres, SIGQUIT);
    if (state->janitor > 0) {
        kill(state->janitor, SIGKILL);
        waitpid(state->janitor, NULL, 0);
    }
    if (state->folder != NULL && !files_remove_tree(state->folder)) {
        print_error("cannot remove the folder %s\n", state->folder);
    }
    release_server(&state->redis);
    release_server(&state->postgres);
    free(state->folder);
    free(state->data);
    free(state->pg_bin);
    free(state);
}

static void release_all_at_exit(void)
{
    while (started != NULL) {
        struct services_state *state = started;
        started = state->next;
        /* A process that a test forked has a copy of the list, and no business with the servers. */
        if (state->owner == getpid())
            release_state(state);
    }
}

void services_stop(struct services *services)
{
    struct services_state *state = services->state;
    if (state == NULL)
        return;
    struct services_state **place = &started;
    while (*place != state)
        place = &(*place)->next;
    *place = state->next;
    services->state = NULL;
    release_state(state);
}

/* Logs */

static void print_tail(const char *name, const char *path, int lines)
{
    if (path == NULL || !files_exists(path))
        return;
    size_t size_bytes = 0;
    char *text = files_read(path, &size_bytes);
    size_t start = size_bytes;
    for (int seen = 0; start > 0; start--) {
        if (text[start - 1] == '\n' && start < size_bytes && ++seen == lines)
            break;
    }
    print_error("--- the end of the log of %s:\n", name);
    files_print(text + start, size_bytes - start);
    print_error("---\n");
    free(text);
}

void services_postgres_log_tail(const struct services *services, int lines)
{
    print_tail("PostgreSQL", services->state->postgres.log_path, lines);
}

void services_redis_log_tail(const struct services *services, int lines)
{
    print_tail("Redis", services->state->redis.log_path, lines);
}

/* Both servers say it in the same words of the C library. */
static bool log_says_port_taken(const struct server *server, size_t log_start)
{
    char *text = files_read(server->log_path, NULL);
    bool taken = strstr(text + log_start, "Address already in use") != NULL;
    free(text);
    return taken;
}

/* Starting */

static void postgres_dsn(uint16_t port, const char *database, char dsn[SERVICES_DSN_BYTES])
{
    snprintf(dsn, SERVICES_DSN_BYTES,
             "postgresql://postgres@127.0.0.1:%u/%s?sslmode=disable&gssencmode=disable", (unsigned)port,
             database);
}

static bool postgres_answers(const struct services_state *state)
{
    char dsn[SERVICES_DSN_BYTES];
    postgres_dsn(state->postgres.port, "postgres", dsn);
    PGconn *conn = PQconnectdb(dsn);
    bool answers = false;
    if (PQstatus(conn) == CONNECTION_OK) {
        PGresult *result = PQexec(conn, "SHOW data_directory");
        answers = PQntuples(result) == 1 && strcmp(PQgetvalue(result, 0, 0), state->data) == 0;
        PQclear(result);
    }
    PQfinish(conn);
    return answers;
}

static bool redis_answers(const struct services_state *state)
{
    const struct timeval limit = {.tv_sec = 1};
    char wanted[64];
    snprintf(wanted, sizeof wanted, "process_id:%d\r", (int)state->redis.process->pid);
    redisContext *redis = redisConnectWithTimeout("127.0.0.1", state->redis.port, limit);
    bool answers = false;
    if (redis != NULL && redis->err == 0 && redisSetTimeout(redis, limit) == REDIS_OK) {
        redisReply *reply = redisCommand(redis, "INFO server");
        answers = reply != NULL && reply->type == REDIS_REPLY_STRING && strstr(reply->str, wanted) != NULL;
        if (reply != NULL)
            freeReplyObject(reply);
    }
    if (redis != NULL)
        redisFree(redis);
    return answers;
}

static enum readiness await_answer(const struct services_state *state, struct server *server,
                                   size_t log_start, bool (*answers)(const struct services_state *state))
{
    int64_t deadline_ms = process_now_ms() + START_TIMEOUT_MS;
    while (process_now_ms() < deadline_ms) {
        if (process_ended(server->process, START_POLL_MS)) {
            process_release(server->process);
            server->process = NULL;
            return log_says_port_taken(server, log_start) ? PORT_TAKEN : NOT_YET;
        }
        if (answers(state))
            return READY;
    }
    return NOT_YET;
}

/* The arguments that are always given, and then those of the test. Both lists end with NULL. */
static void join_args(const char *const *fixed, const struct server *server, const char *argv[ARGS_MAX])
{
    size_t count = 0;
    for (; *fixed != NULL; fixed++)
        argv[count++] = *fixed;
    for (const char *const *arg = server->args; arg != NULL && *arg != NULL; arg++) {
        assert_true(count + 1 < ARGS_MAX);
        argv[count++] = *arg;
    }
    argv[count] = NULL;
}

static enum readiness try_postgres(struct services_state *state)
{
    char port[sizeof "--port=65535"];
    snprintf(port, sizeof port, "--port=%u", (unsigned)state->postgres.port);
    char *program = postgres_program(state, "postgres");
    const char *argv[ARGS_MAX];
    const char *const fixed[] = {
        program,
        "-D",
        state->data,
        port,
        "--listen_addresses=127.0.0.1",
        "--unix_socket_directories=",
        (state->flags & SERVICES_FSYNC) != 0 ? "--fsync=on" : "--fsync=off",
        "--synchronous_commit=on",
        "--shared_buffers=32MB",
        "--max_connections=200",
        "--autovacuum_naptime=1h", /* each database of a test would get a worker of its own every second */
        "--logging_collector=off",
        "--log_destination=stderr",
        "--timezone=UTC",
        "--log_timezone=UTC",
        NULL,
    };
    join_args(fixed, &state->postgres, argv);
    size_t log_start = files_size(state->postgres.log_path);
    state->postgres.process = process_start(&(struct process_spec){
        .argv = argv,
        .clean_env = true,
        .env = (const char *const[]){"LC_ALL=C", NULL},
        .folder = state->folder,
        .log_path = state->postgres.log_path,
        .user = state->user,
        .death_signal = SIGQUIT,
        .outlives_tests = true,
    });
    free(program);
    return await_answer(state, &state->postgres, log_start, postgres_answers);
}

static enum readiness try_redis(struct services_state *state)
{
    char port[sizeof "65535"];
    snprintf(port, sizeof port, "%u", (unsigned)state->redis.port);
    /* Without a file of settings, Redis stays in the foreground and writes its log to stdout. */
    const char *argv[ARGS_MAX];
    const char *const fixed[] = {
        "redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", state->folder, NULL,
    };
    join_args(fixed, &state->redis, argv);
    size_t log_start = files_size(state->redis.log_path);
    state->redis.process = process_start(&(struct process_spec){
        .argv = argv,
        .clean_env = true,
        .env = (const char *const[]){"LC_ALL=C", NULL},
        .folder = state->folder,
        .log_path = state->redis.log_path,
        .outlives_tests = true,
    });
    return await_answer(state, &state->redis, log_start, redis_answers);
}

static void start_server(struct services_state *state, struct server *server, const char *name,
                         enum readiness (*try_start)(struct services_state *state))
{
    bool port_is_known = server->port != 0;
    if (server->process != NULL)
        LIB_FAIL("%s already runs", name);
    for (int attempt = 0; attempt < START_ATTEMPTS; attempt++) {
        if (!port_is_known) {
            if (server->port_fd >= 0)
                close(server->port_fd);
            server->port = reserve_port(&server->port_fd);
        }
        enum readiness readiness = try_start(state);
        if (readiness == READY)
            return;
        if (readiness == NOT_YET || port_is_known)
            break;
    }
    print_tail(name, server->log_path, TAIL_LINES);
    LIB_FAIL("%s did not start on port %u", name, (unsigned)server->port);
}

static void run_initdb(struct services_state *state, const char *program)
{
    /* The server's user must reach its folder, and only root can make one for another user. */
    if (mkdir(state->data, 0700) < 0)
        LIB_FAIL("cannot create %s: %s", state->data, strerror(errno));
    if (state->user != NULL && chown(state->data, state->user->pw_uid, state->user->pw_gid) < 0) {
        LIB_FAIL("cannot give %s to the user %s: %s", state->data, state->user->pw_name, strerror(errno));
    }
    const char *const argv[] = {
        program,           "--pgdata",   state->data, "--username=postgres", "--auth=trust",
        "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions",   NULL,
    };
    struct process *initdb = process_start(&(struct process_spec){
        .argv = argv,
        .clean_env = true,
        .env = (const char *const[]){"LC_ALL=C", "TZ=UTC", "PATH=/usr/bin:/bin", NULL},
        .folder = state->folder,
        .user = state->user,
    });
    process_wait_code(initdb, 0, START_TIMEOUT_MS);
    process_release(initdb);
}

static void copy_tree(const char *from, const char *to)
{
    process_release(process_run(
        &(struct process_spec){.argv = (const char *const[]){"cp", "-a", "--reflink=auto", from, to, NULL}},
        START_TIMEOUT_MS));
}

/* initdb takes a second, and makes the same each time: one result for all programs of a build, beside their
 * folders. */
static char *kept_cluster(const char *initdb)
{
    char exe[PATH_MAX], *path = NULL;
    struct stat made;
    ssize_t length = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (length <= 0 || strchr(initdb, '/') == NULL || stat(initdb, &made) < 0)
        return NULL;
    exe[length] = '\0';
    if (asprintf(&path, "%s/../initdb-%lld", dirname(exe), (long long)made.st_mtime) < 0)
        LIB_FAIL("out of memory for a path");
    return path;
}

/* Several programs may keep theirs at once: the first one that renames has done it. */
static void keep_cluster(const char *data, const char *kept)
{
    char *mine = NULL;
    if (asprintf(&mine, "%s.%d", kept, (int)getpid()) < 0)
        LIB_FAIL("out of memory for a path");
    copy_tree(data, mine);
    if (rename(mine, kept) < 0 && !files_remove_tree(mine))
        LIB_FAIL("cannot remove %s", mine);
    free(mine);
}

static void make_cluster(struct services_state *state)
{
    char *initdb = postgres_program(state, "initdb");
    char *kept = kept_cluster(initdb);
    if (kept != NULL && files_exists(kept)) {
        copy_tree(kept, state->data);
    } else {
        run_initdb(state, initdb);
        if (kept != NULL)
            keep_cluster(state->data, kept);
    }
    free(kept);
    free(initdb);
}

static struct services_state *new_state(unsigned flags)
{
    static bool exit_is_watched;
    struct services_state *state = calloc(1, sizeof *state);
    if (state == NULL)
        LIB_FAIL("out of memory for the servers");
    state->owner = getpid();
    state->flags = flags;
    state->redis.port_fd = state->postgres.port_fd = -1;
    state->next = started;
    started = state;
    if (!exit_is_watched)
        atexit(release_all_at_exit);
    exit_is_watched = true;
    return state;
}

void services_start(struct services *services, unsigned flags)
{
    const char *missing = services_missing(flags);
    if (missing != NULL)
        LIB_FAIL("%s is not installed", missing);
    struct services_state *state = new_state(flags);
    services->state = state;
    state->pg_bin = find_postgres();
    state->folder = files_temp_folder(NULL, "fenceline-test");
    if (chmod(state->folder, 0711) < 0)
        LIB_FAIL("cannot open up %s: %s", state->folder, strerror(errno));
    state->data = files_join(state->folder, "postgres");
    state->postgres.log_path = files_join(state->folder, "postgres.log");
    state->redis.log_path = files_join(state->folder, "redis.log");
    start_janitor(state);
    if ((flags & SERVICES_REDIS) != 0)
        services_redis_start(services);
    if ((flags & SERVICES_POSTGRES) == 0)
        return;
    if (geteuid() == 0) {
        state->user = getpwnam("postgres");
        if (state->user == NULL)
            LIB_FAIL("PostgreSQL does not run as root, and there is no user postgres");
    }
    make_cluster(state);
    services_postgres_start(services);
}

void services_postgres_start(struct services *services)
{
    start_server(services->state, &services->state->postgres, "PostgreSQL", try_postgres);
}

void services_redis_start(struct services *services)
{
    struct services_state *state = services->state;
    start_server(state, &state->redis, "Redis", try_redis);
    snprintf(state->redis_url, sizeof state->redis_url, "redis://127.0.0.1:%u", (unsigned)state->redis.port);
}

void services_postgres_stop(struct services *services, enum services_stop_mode mode)
{
    end_server(&services->state->postgres, mode == SERVICES_FAST ? SIGINT : SIGQUIT);
}

void services_postgres_restart(struct services *services, enum services_stop_mode mode)
{
    services_postgres_stop(services, mode);
    services_postgres_start(services);
}

void services_redis_stop(struct services *services, enum services_stop_mode mode)
{
    end_server(&services->state->redis, mode == SERVICES_FAST ? SIGTERM : SIGKILL);
}

/* What tests ask for */

void services_postgres_set_args(struct services *services, const char *const *args)
{
    services->state->postgres.args = args;
}

void services_redis_set_args(struct services *services, const char *const *args)
{
    services->state->redis.args = args;
}

char *services_postgres_program(const struct services *services, const char *name)
{
    return postgres_program(services->state, name);
}

const struct passwd *services_postgres_user(const struct services *services)
{
    return services->state->user;
}

uint16_t services_redis_port(const struct services *services)
{
    return services->state->redis.port;
}

uint16_t services_postgres_port(const struct services *services)
{
    return services->state->postgres.port;
}

static pid_t pid_of(const struct server *server)
{
    return server->process != NULL ? server->process->pid : -1;
}

pid_t services_redis_pid(const struct services *services)
{
    return pid_of(&services->state->redis);
}

pid_t services_postgres_pid(const struct services *services)
{
    return pid_of(&services->state->postgres);
}

const char *services_redis_url(const struct services *services)
{
    return services->state->redis_url;
}

const char *services_postgres_log_path(const struct services *services)
{
    return services->state->postgres.log_path;
}

const char *services_folder(const struct services *services)
{
    return services->state->folder;
}

static void create_database(struct services_state *state, const char *from, char dsn[SERVICES_DSN_BYTES])
{
    char admin_dsn[SERVICES_DSN_BYTES];
    char name[32];
    char sql[160];
    snprintf(name, sizeof name, "test_%u", ++state->databases);
    /* Names cannot be parameters; both are made here, of letters, digits and underscores. */
    snprintf(sql, sizeof sql, "CREATE DATABASE %s TEMPLATE %s STRATEGY file_copy", name, from);
    postgres_dsn(state->postgres.port, "postgres", admin_dsn);
    PGconn *conn = db_open(admin_dsn);
    db_exec(conn, sql);
    db_close(conn);
    postgres_dsn(state->postgres.port, name, dsn);
}

void services_new_database(struct services *services, char dsn[SERVICES_DSN_BYTES])
{
    /* Unlike template1, nobody can be connected to template0, which would make this fail. */
    create_database(services->state, "template0", dsn);
}

void services_copy_database(struct services *services, const char *from_dsn, char dsn[SERVICES_DSN_BYTES])
{
    unsigned number;
    char from[32];
    const char *name = strstr(from_dsn, "/test_");
    if (name == NULL || sscanf(name, "/test_%u?", &number) != 1 || number > services->state->databases) {
        LIB_FAIL("%s is no database made by services_new_database", from_dsn);
    }
    snprintf(from, sizeof from, "test_%u", number);
    create_database(services->state, from, dsn);
}

void services_dsn_on_port(const char *dsn, uint16_t port, char result[SERVICES_DSN_BYTES])
{
    static const char before_port[] = "@127.0.0.1:";
    const char *found = strstr(dsn, before_port);
    if (found == NULL)
        LIB_FAIL("%s is not a DSN made by services_new_database", dsn);
    char *rest = strdupa(found + strlen(before_port));
    int head_bytes = (int)(found - dsn);
    char *head = strndupa(dsn, (size_t)head_bytes);
    snprintf(result, SERVICES_DSN_BYTES, "%s%s%u%s", head, before_port, (unsigned)port,
             rest + strspn(rest, "0123456789"));
}
