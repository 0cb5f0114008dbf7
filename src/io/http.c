/* http.c - see http.h. libmicrohttpd without threads of its own: the loop watches its epoll descriptor.
 *
 * Happy path: the descriptor is ready, the library reads and parses, asked() gives the answer, the library
 * sends it. Failure modes: a client that is slow, silent or sends garbage is the library's to refuse, or is
 * cut off by our clock, since the library's own starts again with every byte; a flood waits, because after
 * each round the descriptor is left alone for nine times as long as the round took. On close: all are cut
 * off. */
#include "io/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "base/slice.h"

enum {
    CROWDED = 48, /* connections: with more, each new one ends the slowest */
    BACKLOG = 64,
    SHARE = 9, /* so many parts of the time are the imports' */
    SWEEP_MS = 1000,
    REST_MAX_MS = 1000,
    HOST_BYTES = 300
};

static const char NOTHING_ALLOWED[] =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/* One client. */
struct client {
    struct fl_link link;
    struct MHD_Connection *connection;
    int fd;
    bool is_held;      /* its answer is not there yet: that is our time, not its */
    uint64_t since_ms; /* of the loop: it came, or has got its last answer */
};

/* ---- the address ---- */

static fl_status refuse_address(const char *text, struct fl_err *err)
{
    return fl_err_set(
        err, FL_USAGE,
        "http.listen must be ADDRESS:PORT, such as 127.0.0.1:9465, [::1]:9465 or 0.0.0.0:9465 (all "
        "interfaces), or off, not '%.60s'",
        text);
}

fl_status fl_http_parse_address(const char *text, struct fl_http_address *address, struct fl_err *err)
{
    char host[FL_HTTP_ADDRESS_BYTES];
    *address = (struct fl_http_address){.is_off = !text[0] || strcmp(text, "off") == 0};
    if (address->is_off)
        return FL_OK;
    const char *colon = strrchr(text, ':');
    struct fl_slice port = fl_slice_from(colon ? colon + 1 : "");
    int64_t number;
    bool is_port = fl_slice_take_digits(&port, &number) > 0 && port.len == 0 && number <= 65535;
    if (!is_port || (size_t)(colon - text) >= sizeof host)
        return refuse_address(text, err);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    size_t length = strlen(host);
    bool is_v6 = length > 2 && host[0] == '[' && host[length - 1] == ']';
    if (is_v6) {
        host[length - 1] = '\0';
        address->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)number)};
        if (inet_pton(AF_INET6, host + 1, &address->v6.sin6_addr) != 1)
            return refuse_address(text, err);
        address->is_loopback = IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
        return FL_OK;
    }
    address->v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)number)};
    if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &address->v4.sin_addr) != 1)
        return refuse_address(text, err);
    address->is_loopback = ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
    return FL_OK;
}

/* A page of somebody else's, under a name that points to this machine, must not read what is only for it. */
static bool is_for_us(const struct fl_http *http, const char *host_header)
{
    char host[HOST_BYTES];
    if (!http->address->is_loopback || !host_header)
        return true;
    size_t length = strcspn(host_header, host_header[0] == '[' ? "]" : ":");
    if (length >= sizeof host)
        return false;
    memcpy(host, host_header, length);
    host[length] = '\0';
    struct in_addr v4;
    bool is_loopback_v4 = inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
    return is_loopback_v4 || strcmp(host, "localhost") == 0 || strcmp(host, "[::1") == 0;
}

/* ---- answering ---- */

static enum MHD_Result send_answer(struct MHD_Connection *connection, const struct fl_http_answer *answer)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        answer->body.len, (void *)(uintptr_t)answer->body.ptr, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO; /* without memory the connection ends */
    const char *const headers[][2] = {
        {"Content-Type", answer->type},
        {"Content-Security-Policy", answer->policy ? answer->policy : NOTHING_ALLOWED},
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
        {"Cache-Control", "no-store"},
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        (void)MHD_add_response_header(response, headers[i][0], headers[i][1]);
    if (answer->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(response, "Allow", "GET, HEAD");
    enum MHD_Result sent = MHD_queue_response(connection, answer->status, response);
    MHD_destroy_response(response);
    return sent;
}

static struct client *client_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static enum MHD_Result on_request(void *owner, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_bytes, void **request)
{
    struct fl_http *http = owner;
    struct client *client = client_of(connection);
    struct fl_http_answer answer = {.type = "text/plain; charset=utf-8"};
    (void)version;
    (void)upload;
    (void)request;
    if (*upload_bytes > 0) /* of a request that was held: it is too late to answer before */
        return MHD_NO;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        answer.status = MHD_HTTP_METHOD_NOT_ALLOWED;
        answer.body = FL_SLICE("only GET and HEAD: nothing can be changed here\n");
    } else if (!is_for_us(http, MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host"))) {
        answer.status = MHD_HTTP_MISDIRECTED_REQUEST;
        answer.body =
            FL_SLICE("http.listen is for this machine alone, and this request names another host\n");
    } else if (!http->events.asked(http->events.owner, url, &answer)) {
        if (!client)
            return MHD_NO;
        client->is_held = true;
        MHD_suspend_connection(connection);
        return MHD_YES;
    }
    http->answered++;
    return send_answer(connection, &answer);
}

/* ---- connections ---- */

static void cut_off(struct fl_http *http, struct client *client)
{
    http->evicted++;
    client->since_ms = uv_now(http->loop); /* once is enough */
    shutdown(client->fd, SHUT_RDWR);
    fl_list_remove(&client->link);
    fl_list_append(&http->links, &client->link);
}

static struct client *slowest(const struct fl_http *http)
{
    for (struct fl_link *link = http->links.next; link != &http->links; link = link->next) {
        struct client *client = FL_CONTAINER(link, struct client, link);
        if (!client->is_held)
            return client;
    }
    return NULL;
}

static void cut_off_the_slow(struct fl_http *http)
{
    uint64_t now_ms = uv_now(http->loop);
    for (struct client *client; (client = slowest(http)) && now_ms - client->since_ms > FL_HTTP_PATIENCE_MS;)
        cut_off(http, client);
}

static void on_connection(void *owner, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct fl_http *http = owner;
    struct client *client = *context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (client) {
            fl_list_remove(&client->link);
            http->connection_count--;
            free(client);
        }
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    *context = client = calloc(1, sizeof *client);
    if (!client) { /* nobody would watch it */
        shutdown(info->connect_fd, SHUT_RDWR);
        return;
    }
    client->connection = connection;
    client->fd = info->connect_fd;
    client->since_ms = uv_now(http->loop);
    if (http->connection_count >= CROWDED && slowest(http))
        cut_off(http, slowest(http));
    fl_list_append(&http->links, &client->link);
    http->connection_count++;
}

static void on_completed(void *owner, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode code)
{
    struct fl_http *http = owner;
    struct client *client = client_of(connection);
    (void)request;
    (void)code;
    if (!client)
        return;
    client->since_ms = uv_now(http->loop);
    fl_list_remove(&client->link);
    fl_list_append(&http->links, &client->link);
}

/* ---- on the loop ---- */

static void run(struct fl_http *http);

static void on_ready(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    run(poll->data);
}

static void on_timer(uv_timer_t *timer)
{
    struct fl_http *http = timer->data;
    http->is_resting = false;
    cut_off_the_slow(http);
    run(http);
}

/* Not when it rests: then the timer ends that. */
static void set_timer(struct fl_http *http)
{
    MHD_UNSIGNED_LONG_LONG library_ms;
    uint64_t delay_ms = SWEEP_MS;
    if (MHD_get_timeout(http->daemon, &library_ms) == MHD_YES && library_ms < delay_ms)
        delay_ms = library_ms;
    if (http->connection_count > 0)
        uv_timer_start(&http->timer, on_timer, delay_ms, 0);
    else
        uv_timer_stop(&http->timer);
}

static void run(struct fl_http *http)
{
    if (http->is_resting)
        return;
    uint64_t from_ns = uv_hrtime();
    MHD_run(http->daemon);
    uint64_t rest_ms = (uv_hrtime() - from_ns) * SHARE / 1000000;
    if (rest_ms > 0) {
        http->is_resting = true;
        uv_poll_stop(&http->poll);
        uv_timer_start(&http->timer, on_timer, rest_ms < REST_MAX_MS ? rest_ms : REST_MAX_MS, 0);
        return;
    }
    uv_poll_start(&http->poll, UV_READABLE, on_ready);
    set_timer(http);
}

void fl_http_resume(struct fl_http *http)
{
    for (struct fl_link *link = http->links.next; link != &http->links; link = link->next) {
        struct client *client = FL_CONTAINER(link, struct client, link);
        if (client->is_held)
            MHD_resume_connection(client->connection);
        client->is_held = false;
    }
}

/* ---- beginning and end ---- */

void fl_http_init(struct fl_http *http, uv_loop_t *loop, const struct fl_http_address *address,
                  const struct fl_http_events *events)
{
    *http = (struct fl_http){.loop = loop, .address = address, .events = *events};
    fl_list_init(&http->links);
}

static void show_address(struct fl_http *http, int fd)
{
    struct fl_http_address bound = *http->address;
    socklen_t length = sizeof bound.v6;
    char host[INET6_ADDRSTRLEN] = "?";
    (void)getsockname(fd, &bound.any, &length);
    bool is_v6 = bound.any.sa_family == AF_INET6;
    inet_ntop(bound.any.sa_family, is_v6 ? (void *)&bound.v6.sin6_addr : (void *)&bound.v4.sin_addr, host,
              sizeof host);
    snprintf(http->shown, sizeof http->shown, is_v6 ? "[%s]:%d" : "%s:%d", host,
             ntohs(is_v6 ? bound.v6.sin6_port : bound.v4.sin_port));
}

/* A listening socket, or -1 with errno. */
static int listen_on(const struct fl_http_address *address)
{
    static const int ON = 1;
    bool is_v6 = address->any.sa_family == AF_INET6;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &ON,
                     sizeof ON); /* after a restart the port is ours again */
    if (bind(fd, &address->any, is_v6 ? sizeof address->v6 : sizeof address->v4) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static fl_status refuse_to_open(struct fl_http *http, int why, struct fl_err *err)
{
    char host[INET6_ADDRSTRLEN] = "?";
    const struct fl_http_address *address = http->address;
    bool is_v6 = address->any.sa_family == AF_INET6;
    inet_ntop(address->any.sa_family,
              is_v6 ? (const void *)&address->v6.sin6_addr : (const void *)&address->v4.sin_addr, host,
              sizeof host);
    int port = ntohs(is_v6 ? address->v6.sin6_port : address->v4.sin_port);
    if (why == EADDRINUSE)
        return fl_err_set(
            err, FL_UNAVAILABLE,
            "no metrics, health or status page: port %d of %s is taken, perhaps by another worker; "
            "give each its own http.listen (FENCELINE_HTTP_LISTEN), with port 0 for any that is "
            "free, or off. Tried again from time to time",
            port, host);
    return fl_err_set(err, FL_UNAVAILABLE,
                      "no metrics, health or status page: cannot listen on %s port %d: %s", host, port,
                      strerrordesc_np(why));
}

fl_status fl_http_open(struct fl_http *http, struct fl_err *err)
{
    int fd = listen_on(http->address);
    if (fd < 0)
        return refuse_to_open(http, errno, err);
    show_address(http, fd);
    http->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, http,
                                    MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd, MHD_OPTION_CONNECTION_LIMIT,
                                    (unsigned)FL_HTTP_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
                                    (unsigned)FL_HTTP_PATIENCE_MS / 1000, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                                    (size_t)FL_HTTP_REQUEST_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1,
                                    MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
                                    MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_END);
    if (!http->daemon) {
        close(fd);
        return fl_err_set(err, FL_UNAVAILABLE,
                          "no metrics, health or status page: the HTTP server did not start");
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    uv_poll_init(http->loop, &http->poll, info->epoll_fd);
    http->poll.data = http;
    uv_timer_init(http->loop, &http->timer);
    http->timer.data = http;
    uv_poll_start(&http->poll, UV_READABLE, on_ready);
    return FL_OK;
}

void fl_http_close(struct fl_http *http)
{
    if (!http->daemon)
        return;
    uv_poll_stop(&http->poll);
    uv_close((uv_handle_t *)&http->poll, NULL);
    uv_close((uv_handle_t *)&http->timer, NULL);
    fl_http_resume(http); /* the library insists */
    MHD_stop_daemon(http->daemon);
    http->daemon = NULL;
}
