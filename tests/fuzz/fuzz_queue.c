/* fuzz_queue.c - the worker's side of Redis on replies that hold anything: jobs taken from the streams,
 * leases of others, messages on the worker's own channel.
 *
 * Production code (io/redis_queue.c, io/redis_lease.c) talks over a Unix socket to a server on the same loop,
 * which answers each command with the next part of the input, well-formed as Redis would send it; what it
 * holds is the input's. Parts are ended by 0x1e; the first one holds the messages, ended by 0x1f. Any other
 * begins with its type: ':' a number, '_' nil, '-' an error, '+' a status, '*' an array of parts ended by
 * 0x1f,
 * '!' the connection breaks; anything else is text. A command without a part is answered by 1.
 *
 * Whatever comes, each command is answered by exactly one event. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "io/redis_lease.h"
#include "io/redis_queue.h"

#define NONCE "0123456789abcdef0123456789abcdef"

enum { REQUESTS = 4, TURNS_MAX = 10000, TIMEOUT_MS = 5000 };

/* ---- the server ---- */

static struct {
    bool is_ready;
    uv_loop_t loop;
    uv_pipe_t listener;
    struct fl_redis_address address;
    struct fl_slice messages, parts; /* of the input, not sent yet */
    size_t message_count, peer_count;
} server;

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

/* Anything but an array. */
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
    case '*': fputs("*0\r\n", out); break;
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
        fputs("+loaded\r\n", out);
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

static void start_server(struct fl_slice input)
{
    if (!server.is_ready) {
        snprintf(server.address.host, sizeof server.address.host, "/tmp/fenceline-fuzz.%d.sock",
                 (int)getpid());
        snprintf(server.address.shown, sizeof server.address.shown, "%s", server.address.host);
        remove_socket();
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
}

/* ---- the worker ---- */

struct worker {
    struct fl_redis_lease lease;
    struct fl_redis_queue queue;
    struct fl_queue_entry entries[FL_TAKE_LIMIT];
    struct fl_request requests[REQUESTS];
    size_t entry_count, finished;
    int taken, recovered, added, checked, beaten, rescued, answered;
    size_t messages;
};

static void check_entries(const struct fl_queue_entry *entries, size_t count, size_t limit, fl_status status)
{
    FUZZ_CHECK(count <= limit && (status == FL_OK || count == 0), "%zu entries", count);
    for (size_t i = 0; i < count; i++)
        FUZZ_CHECK(entries[i].job_id >= 0 && memchr(entries[i].id, '\0', sizeof entries[i].id),
                   "job %" PRId64, entries[i].job_id);
}

/* All of them are finished at once, every other one given back. */
static void on_taken(void *owner, fl_status status, const struct fl_queue_entry *entries, size_t count,
                     bool made)
{
    struct worker *worker = owner;
    (void)made;
    worker->taken++;
    check_entries(entries, count, FL_TAKE_LIMIT, status);
    for (; worker->entry_count < count; worker->entry_count++) {
        worker->entries[worker->entry_count] = entries[worker->entry_count];
        if (entries[worker->entry_count].priority < FL_PRIORITY_HIGH ||
            entries[worker->entry_count].priority > FL_PRIORITY_LOW)
            worker->entries[worker->entry_count].priority =
                FL_PRIORITY_LOW; /* that number is a script's own */
        fl_redis_queue_finish(&worker->queue, &worker->entries[worker->entry_count], worker->entry_count % 2);
    }
}

static void on_recovered(void *owner, const struct fl_queue_entry *entries, size_t count, bool made)
{
    (void)made;
    ((struct worker *)owner)->recovered++;
    check_entries(entries, count, FL_TAKE_LIMIT, FL_OK);
}

static void on_finished(void *owner, struct fl_queue_entry *entry)
{
    struct worker *worker = owner;
    FUZZ_CHECK(entry >= worker->entries && entry < worker->entries + worker->entry_count, "another's entry");
    worker->finished++;
}

static void on_beaten(void *owner, fl_status status, bool is_dispatcher)
{
    ((struct worker *)owner)->beaten++;
    FUZZ_CHECK(status == FL_OK || !is_dispatcher, "dispatcher by a failure");
}

static void on_failed(void *owner, const struct fl_err *err)
{
    (void)owner;
    fuzz_check_err(err->code, err);
}

static void on_added(void *owner, fl_status status)
{
    (void)status;
    ((struct worker *)owner)->added++;
}

static void on_checked(void *owner, fl_status status, size_t count)
{
    ((struct worker *)owner)->checked++;
    FUZZ_CHECK(count <= 3 && (status == FL_OK || count == 0), "%zu of 3 are missing", count);
}

static void on_rescued(void *owner, fl_status status, const struct fl_queue_entry *entries,
                       const struct fl_slice *workers, size_t count)
{
    ((struct worker *)owner)->rescued++;
    check_entries(entries, count, FL_RESCUE_LIMIT, status);
    for (size_t i = 0; i < count; i++)
        FUZZ_CHECK(workers[i].ptr || workers[i].len == 0, "entry %zu has no worker", i);
}

static void on_woken(void *owner, int64_t job_id)
{
    FUZZ_CHECK(job_id >= 0, "job %" PRId64, job_id);
    ((struct worker *)owner)->messages++;
}

static void on_told(void *owner, struct fl_slice message)
{
    FUZZ_CHECK(message.ptr || message.len == 0, "an absent message of %zu bytes", message.len);
    ((struct worker *)owner)->messages++;
}

static void on_done(struct fl_request *request, struct fl_event *event)
{
    struct worker *worker = FL_CONTAINER(request - request->op, struct worker, requests);
    worker->answered++;
    FUZZ_CHECK(event->op == request->op, "an answer to %u", event->op);
    if (event->status != FL_OK) {
        fuzz_check_err(event->status, event->err);
        return;
    }
    if (event->type == FL_EVENT_LEASED && event->leased.granted)
        FUZZ_CHECK(event->leased.token.n >= 0, "token %" PRId64, event->leased.token.n);
    if (event->type == FL_EVENT_LEASED && !event->leased.granted)
        FUZZ_CHECK(event->leased.remaining_ms >= 0 && event->leased.holder.ptr, "nobody has it for %" PRId64,
                   event->leased.remaining_ms);
    if (event->type == FL_EVENT_LEASE_SEEN && event->lease_seen.mine)
        FUZZ_CHECK(event->lease_seen.token.n > 0 && event->lease_seen.token.n < INT64_C(1) << 53,
                   "token %" PRId64, event->lease_seen.token.n);
}

static void start_requests(struct worker *worker, const struct fl_import *import)
{
    static const enum fl_action_type ACTIONS[REQUESTS] = {FL_ACTION_LEASE, FL_ACTION_LEASE_CHECK,
                                                          FL_ACTION_RENEW, FL_ACTION_RELEASE};
    for (uint32_t i = 0; i < REQUESTS; i++) {
        worker->requests[i] =
            (struct fl_request){.action = ACTIONS[i], .op = i, .import = import, .done = on_done};
        worker->lease.port.start(worker->lease.port.self, &worker->requests[i]);
    }
}

static bool is_answered(const struct worker *worker)
{
    const struct fl_redis_queue *queue = &worker->queue;
    bool is_finishing =
        queue->finish_count > 0 || (!queue->finish_blocked && !fl_list_is_empty(&queue->to_finish));
    return !queue->taking && !queue->adding && !queue->checking && !queue->beating && !queue->rescuing &&
           !is_finishing && worker->answered == REQUESTS && worker->messages == server.message_count + 1;
}

static void run_until_answered(const struct worker *worker, const char *what)
{
    for (int turn = 0; !is_answered(worker); turn++) {
        FUZZ_CHECK(turn < TURNS_MAX, "%s: not answered", what);
        uv_run(&server.loop, UV_RUN_ONCE);
    }
}

static void ask_everything(struct worker *worker)
{
    struct fl_queue_id added[] = {{1, FL_PRIORITY_HIGH}, {2, FL_PRIORITY_NORMAL}, {3, FL_PRIORITY_LOW}};
    struct fl_queue_id checked[] = {{1, FL_PRIORITY_HIGH}, {2, FL_PRIORITY_NORMAL}, {3, FL_PRIORITY_LOW}};
    struct fl_import_policy policy = {.lease_ttl_ms = 10000};
    struct fl_import import = {
        .policy = &policy, .job = {.job_id = 7, .episode = FL_SLICE("ep{7}%")}, .lease = {.nonce = {NONCE}}};
    struct fl_err err;
    struct fl_redis_queue *queue = &worker->queue;
    bool is_sent = fl_redis_queue_take(queue, 8) && fl_redis_queue_rescue(queue, 1000) &&
                   fl_redis_queue_check(queue, checked, 3) && fl_redis_queue_add(queue, added, 3) &&
                   fl_redis_queue_beat(queue, FL_SLICE("{}"), 1000, true, &err);
    FUZZ_CHECK(is_sent, "a command cannot be sent");
    start_requests(worker, &import);
    run_until_answered(worker, "the first commands");
    FUZZ_CHECK(worker->taken == 1 && worker->rescued == 1 && worker->checked == 1 && worker->added == 1 &&
                   worker->beaten == 1 && worker->answered == REQUESTS,
               "%d %d %d %d %d %d", worker->taken, worker->rescued, worker->checked, worker->added,
               worker->beaten, worker->answered);
    FUZZ_CHECK(worker->finished <= worker->entry_count, "%zu of %zu entries", worker->finished,
               worker->entry_count);
    FUZZ_CHECK(fl_redis_queue_recover(queue), "a recovery cannot be sent");
    run_until_answered(worker, "the recovery");
    FUZZ_CHECK(worker->recovered <= 1 && worker->taken == 1, "%d recoveries", worker->recovered);
}

void fuzz_queue(struct fl_slice input)
{
    static struct worker worker;
    char *exact = fuzz_exact(input);
    start_server((struct fl_slice){exact, input.len});
    worker = (struct worker){.entry_count = 0};
    const struct fl_queue_events events = {.owner = &worker,
                                           .taken = on_taken,
                                           .recovered = on_recovered,
                                           .finished = on_finished,
                                           .beaten = on_beaten,
                                           .failed = on_failed};
    fl_redis_lease_init(&worker.lease, &server.loop, &server.address, TIMEOUT_MS, "worker@host:1",
                        "host:1:abcdef");
    worker.lease.port.owner = &worker;
    worker.lease.port.woken = on_woken;
    worker.lease.told = on_told;
    fl_redis_queue_init(&worker.queue, &server.loop, &worker.lease, "host:1:abcdef", &events);
    worker.queue.dispatch_events = (struct fl_dispatch_events){
        .owner = &worker, .added = on_added, .checked = on_checked, .rescued = on_rescued};
    fl_redis_lease_subscribe(&worker.lease);
    ask_everything(&worker);
    fl_redis_queue_close(&worker.queue);
    fl_redis_lease_close(&worker.lease);
    for (int turn = 0; server.peer_count > 0 || turn < 2; turn++)
        uv_run(&server.loop, server.peer_count ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    free(exact);
}
