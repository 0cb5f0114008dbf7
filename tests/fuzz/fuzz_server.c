/* fuzz_server.c - see fuzz_server.h. */
#include "fuzz_server.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct fuzz_server server;

struct peer {
    uv_pipe_t pipe;
    redisReader *requests;
};

static void on_peer_closed(uv_handle_t *handle)
{
    struct peer *peer = handle->data;
    redisReaderFree(peer->requests);
    free(peer);
    server.peer_count--;
}

static void end_peer(struct peer *peer)
{
    if (!uv_is_closing((uv_handle_t *)&peer->pipe))
        uv_close((uv_handle_t *)&peer->pipe, on_peer_closed);
}

static void put_text(FILE *out, struct fl_slice text)
{
    fprintf(out, "$%zu\r\n", text.len);
    if (text.len)
        fwrite(text.ptr, 1, text.len, out);
    fputs("\r\n", out);
}

/* Error and status: one line. */
static void put_line(FILE *out, char type, struct fl_slice text)
{
    fputc(type, out);
    for (size_t i = 0; i < text.len; i++)
        fputc(text.ptr[i] == '\r' || text.ptr[i] == '\n' ? ' ' : text.ptr[i], out);
    fputs("\r\n", out);
}

static void put_texts(FILE *out, struct fl_slice texts)
{
    size_t count = 0;
    for (struct fl_slice rest = texts; rest.len; count++)
        (void)fuzz_take(&rest, '\x1d');
    fprintf(out, "*%zu\r\n", count);
    while (texts.len)
        put_text(out, fuzz_take(&texts, '\x1d'));
}

/* An array is one of texts here. */
static void put_part(FILE *out, struct fl_slice part)
{
    char type = part.len ? part.ptr[0] : ' ';
    struct fl_slice rest = part;
    (void)fuzz_take_byte(&rest);
    switch (type) {
    case ':': {
        bool is_negative = fl_slice_starts(rest, "-");
        if (is_negative)
            (void)fuzz_take_byte(&rest);
        fprintf(out, ":%s%" PRId64 "\r\n", is_negative ? "-" : "", fuzz_number(rest, INT64_MAX));
        break;
    }
    case '_': fputs("$-1\r\n", out); break;
    case '*': put_texts(out, rest); break;
    case '-':
    case '+': put_line(out, type, rest); break;
    default: put_text(out, part);
    }
}

static void put_reply(FILE *out, struct fl_slice part)
{
    if (!fl_slice_starts(part, "*")) {
        put_part(out, part);
        return;
    }
    (void)fuzz_take_byte(&part);
    size_t count = 0;
    for (struct fl_slice rest = part; rest.len; count++)
        (void)fuzz_take(&rest, '\x1f');
    fprintf(out, "*%zu\r\n", count);
    while (part.len)
        put_part(out, fuzz_take(&part, '\x1f'));
}

static void put_messages(FILE *out, struct fl_slice channel)
{
    fputs("*3\r\n$9\r\nsubscribe\r\n", out);
    put_text(out, channel);
    fputs(":1\r\n", out);
    while (server.messages.len) {
        fputs("*3\r\n$7\r\nmessage\r\n", out);
        put_text(out, channel);
        put_text(out, fuzz_take(&server.messages, '\x1f'));
    }
}

/* False: the connection is to break. */
static bool answer(FILE *out, const redisReply *request)
{
    FUZZ_CHECK(request->type == REDIS_REPLY_ARRAY && request->elements > 0, "a request of type %d",
               request->type);
    const char *command = request->element[0]->str;
    if (strcmp(command, "SUBSCRIBE") == 0) {
        put_messages(out, (struct fl_slice){request->element[1]->str, request->element[1]->len});
    } else if (strcmp(command, "SCRIPT") == 0) {
        put_text(out, FL_SLICE("the name of a script"));
    } else if (server.parts.len == 0) {
        fputs(":1\r\n", out);
    } else {
        struct fl_slice part = fuzz_take(&server.parts, '\x1e');
        if (fl_slice_starts(part, "!"))
            return false;
        put_reply(out, part);
    }
    return true;
}

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    static char room[65536];
    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(room, sizeof room);
}

static void on_bytes(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct peer *peer = stream->data;
    char *text = NULL;
    size_t text_bytes = 0;
    void *request = NULL;
    if (count < 0) {
        end_peer(peer);
        return;
    }
    FUZZ_CHECK(redisReaderFeed(peer->requests, buffer->base, (size_t)count) == REDIS_OK, "no memory");
    FILE *out = open_memstream(&text, &text_bytes);
    FUZZ_CHECK(out, "no memory");
    bool goes_on = true;
    while (goes_on && redisReaderGetReply(peer->requests, &request) == REDIS_OK && request) {
        goes_on = answer(out, request);
        freeReplyObject(request);
    }
    fclose(out);
    uv_buf_t written = uv_buf_init(text, (unsigned)text_bytes);
    if (text_bytes) /* fails only where the client has gone */
        (void)!uv_try_write(stream, &written, 1);
    free(text);
    if (!goes_on)
        end_peer(peer);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct peer *peer = calloc(1, sizeof *peer);
    FUZZ_CHECK(status == 0 && peer, "no connection: %d", status);
    peer->requests = redisReaderCreate();
    FUZZ_CHECK(peer->requests && uv_pipe_init(listener->loop, &peer->pipe, 0) == 0, "no memory");
    peer->pipe.data = peer;
    server.peer_count++;
    FUZZ_CHECK(uv_accept(listener, (uv_stream_t *)&peer->pipe) == 0, "nobody to accept");
    uv_read_start((uv_stream_t *)&peer->pipe, give_room, on_bytes);
}

static void remove_socket(void)
{
    unlink(server.address.host);
}

struct fuzz_server *fuzz_server_start(struct fl_slice input)
{
    if (!server.is_ready) {
        snprintf(server.address.host, sizeof server.address.host, "/tmp/fenceline-fuzz.%d.sock",
                 (int)getpid());
        snprintf(server.address.shown, sizeof server.address.shown, "%s", server.address.host);
        remove_socket();
        signal(SIGPIPE, SIG_IGN); /* as main() has it */
        FUZZ_CHECK(uv_loop_init(&server.loop) == 0 && uv_pipe_init(&server.loop, &server.listener, 0) == 0 &&
                       uv_pipe_bind(&server.listener, server.address.host) == 0 &&
                       uv_listen((uv_stream_t *)&server.listener, 8, on_connection) == 0,
                   "no server at %s", server.address.host);
        atexit(remove_socket);
        server.is_ready = true;
    }
    server.messages = fuzz_take(&input, '\x1e');
    server.parts = input;
    server.message_count = 0;
    for (struct fl_slice rest = server.messages; rest.len; server.message_count++)
        (void)fuzz_take(&rest, '\x1f');
    return &server;
}

void fuzz_server_drain(struct fuzz_server *this)
{
    for (int turn = 0; this->peer_count > 0 || turn < 2; turn++)
        uv_run(&this->loop, this->peer_count ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}
