/*
 * A TCP proxy with rules, for tests.
 *
 * Happy path: one thread polls the listener and all connections. A connection has two lanes, one a direction.
 * A lane reads pieces from its source, looks for the patterns of the rules, and appends to its queue; the
 * queue is written to the lane's destination in order, each item when it is due. What a rule does is an item
 * of the same queue (end of file, cut, hold), so that it happens at its exact place in the stream.
 *
 *     source -> read_lane (patterns) -> items: DATA DATA HOLD DATA CUT -> write_lane -> destination
 *
 * Failure modes: when a socket fails, what it sent before is still forwarded, then both sides are closed. The
 * thread cannot fail a test: out of memory aborts the program. On stop: every connection is closed at once,
 * whatever is queued; the thread has ended when proxy_stop returns.
 *
 * Locking: the thread holds the mutex all the time except inside poll. The test's thread changes the state
 * under the mutex, then wakes the thread through an eventfd.
 */
#include "proxy.h"
#include "files.h"
#include "process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 64 * 1024,
    OVERLAP_BYTES =
        PROXY_PATTERN_MAX_BYTES - 1, /* a pattern that ends in this piece begins at most so far back */
    QUEUE_LIMIT_BYTES = 4 * 1024 * 1024,
    BACKLOG = 128,
    BIND_ATTEMPTS = 20,
    POLLS_PER_LINK = 4,
    NO_RULE = -1,
};

enum item_kind { ITEM_DATA, ITEM_END, ITEM_CUT, ITEM_HOLD };

struct item {
    struct item *next;
    enum item_kind kind;
    int rule; /* whose action this carries out, or NO_RULE */
    int64_t due_ms;
    bool started;          /* ITEM_HOLD: counted as fired */
    unsigned resumes_seen; /* ITEM_HOLD: lasts until the proxy was resumed once more */
    size_t size_bytes, done_bytes;
    unsigned char bytes[];
};

struct lane {
    struct item *first, **end;
    size_t queued_bytes;
    bool read_closed; /* nothing more is read: end of file, or a cut is queued */
    bool finished;    /* the end of file was passed on */
    bool full;        /* the destination takes no more for now */
    unsigned char overlap[OVERLAP_BYTES];
    size_t overlap_bytes;
};

/* Lane d reads from fds[!d] and writes to fds[d], with fds indexed by the receiver's direction. */
struct link {
    struct link *next;
    int fds[2];
    struct lane lanes[2];
    bool connecting; /* to the server */
    bool closed;
    int swallow_rule; /* the PROXY_CUT_REPLY at work, or NO_RULE */
};

struct rule {
    struct proxy_rule spec;
    unsigned char pattern[PROXY_PATTERN_MAX_BYTES], until[PROXY_PATTERN_MAX_BYTES];
    unsigned hits, fired;
    bool disarmed;
};

struct proxy_state {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int listen_fd, wake_fd;
    uint16_t target_port;
    bool stopping, silent, refusing, cut_all, cut_all_reset;
    unsigned resumes;
    int delay_ms[2];
    struct rule rules[PROXY_RULES_MAX];
    int rule_count; /* ever armed: rule n is in place n % PROXY_RULES_MAX */
    struct link *links;
    unsigned accepted, open;
    struct pollfd *polls;
    size_t polls_room;
    /* Room for the overlap in front of what is read, to search both as one. */
    unsigned char window[OVERLAP_BYTES + PIECE_BYTES];
};

/* Connections */

static void close_socket(int *fd, bool reset)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (*fd < 0)
        return;
    if (reset)
        setsockopt(*fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(*fd);
    *fd = -1;
}

static void close_link(struct proxy_state *state, struct link *link, bool reset_server, bool reset_client)
{
    if (link->closed)
        return;
    close_socket(&link->fds[PROXY_TO_SERVER], reset_server);
    close_socket(&link->fds[PROXY_TO_CLIENT], reset_client);
    link->closed = true;
    state->open--;
    pthread_cond_broadcast(&state->changed);
}

static void drop_queue(struct lane *lane)
{
    for (struct item *item = lane->first, *next; item != NULL; item = next) {
        next = item->next;
        free(item);
    }
    lane->first = NULL;
    lane->end = &lane->first;
    lane->queued_bytes = 0;
}

static void free_link(struct link *link)
{
    drop_queue(&link->lanes[PROXY_TO_SERVER]);
    drop_queue(&link->lanes[PROXY_TO_CLIENT]);
    free(link);
}

static void *allocate(size_t size_bytes)
{
    void *memory = calloc(1, size_bytes);
    if (memory == NULL)
        abort();
    return memory;
}

static int connect_to(uint16_t port, bool *connecting)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *connecting = false;
    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    *connecting = errno == EINPROGRESS;
    if (!*connecting)
        close_socket(&fd, false);
    return fd;
}

static void accept_links(struct proxy_state *state)
{
    const int on = 1;
    int client_fd;
    while ((client_fd = accept4(state->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct link *link = allocate(sizeof *link);
        link->fds[PROXY_TO_CLIENT] = client_fd;
        link->fds[PROXY_TO_SERVER] = connect_to(state->target_port, &link->connecting);
        link->swallow_rule = NO_RULE;
        link->next = state->links;
        state->links = link;
        for (int direction = 0; direction < 2; direction++) {
            link->lanes[direction].end = &link->lanes[direction].first;
            setsockopt(link->fds[direction], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        }
        state->accepted++;
        state->open++;
        if (link->fds[PROXY_TO_SERVER] < 0)
            close_link(state, link, false, true);
        pthread_cond_broadcast(&state->changed);
    }
}

/* Reading: patterns, and what they put into the queue */

static struct item *queue_item(struct proxy_state *state, struct link *link, enum proxy_direction direction,
                               enum item_kind kind, const unsigned char *bytes, size_t size_bytes)
{
    struct lane *lane = &link->lanes[direction];
    struct item *item = allocate(sizeof *item + size_bytes);
    item->kind = kind;
    item->rule = NO_RULE;
    item->due_ms = process_now_ms() + state->delay_ms[direction];
    item->resumes_seen = state->resumes;
    item->size_bytes = size_bytes;
    if (size_bytes > 0)
        memcpy(item->bytes, bytes, size_bytes);
    *lane->end = item;
    lane->end = &item->next;
    lane->queued_bytes += size_bytes;
    if (kind == ITEM_END || kind == ITEM_CUT)
        lane->read_closed = true;
    return item;
}

/* The socket of one side has failed. What it sent before stays in the queue to the other side, as packets
 * under way would: a held request reaches the server even when the client is long dead. */
static void lose_side(struct proxy_state *state, struct link *link, enum proxy_direction side)
{
    struct lane *to_it = &link->lanes[side];
    enum proxy_direction from_it = side == PROXY_TO_SERVER ? PROXY_TO_CLIENT : PROXY_TO_SERVER;
    drop_queue(to_it);
    to_it->read_closed = to_it->finished = true;
    if (link->lanes[from_it].finished) {
        close_link(state, link, false, false);
    } else if (!link->lanes[from_it].read_closed) {
        queue_item(state, link, from_it, ITEM_END, NULL, 0);
    }
}

static int rules_known(const struct proxy_state *state)
{
    return state->rule_count < PROXY_RULES_MAX ? state->rule_count : PROXY_RULES_MAX;
}

/* Counts the occurrences that end in this piece. Returns where the one to act at begins, counted from the
 * start of the piece (negative: in the overlap), or PTRDIFF_MAX. Occurrences may overlap: so the count does
 * not depend on how the stream was cut. */
static ptrdiff_t match_rule(struct proxy_state *state, struct rule *rule, const struct lane *lane,
                            size_t piece_bytes)
{
    size_t pattern_bytes = rule->spec.pattern_bytes;
    size_t back = pattern_bytes - 1 < lane->overlap_bytes ? pattern_bytes - 1 : lane->overlap_bytes;
    const unsigned char *piece = state->window + OVERLAP_BYTES;
    const unsigned char *from = piece - back;
    const unsigned char *end = piece + piece_bytes;
    ptrdiff_t act_at = PTRDIFF_MAX;
    while ((from = memmem(from, (size_t)(end - from), rule->pattern, pattern_bytes)) != NULL) {
        rule->hits++;
        bool acts = rule->spec.every ? rule->hits >= rule->spec.nth : rule->hits == rule->spec.nth;
        if (acts && act_at == PTRDIFF_MAX)
            act_at = from - piece;
        from++;
        pthread_cond_broadcast(&state->changed);
    }
    return act_at;
}

/* The first rule that acts in this piece, or NO_RULE; all of them count. */
static int match_rules(struct proxy_state *state, const struct lane *lane, enum proxy_direction direction,
                       size_t piece_bytes, ptrdiff_t *act_at)
{
    int acting = NO_RULE;
    for (int i = 0; i < rules_known(state); i++) {
        struct rule *rule = &state->rules[i];
        if (rule->disarmed || rule->spec.direction != direction)
            continue;
        ptrdiff_t at = match_rule(state, rule, lane, piece_bytes);
        if (at == PTRDIFF_MAX || rule->spec.action == PROXY_COUNT || acting != NO_RULE)
            continue;
        acting = i;
        *act_at = at;
    }
    return acting;
}

static void keep_overlap(struct proxy_state *state, struct lane *lane, size_t piece_bytes)
{
    size_t known = lane->overlap_bytes + piece_bytes;
    size_t kept = known < OVERLAP_BYTES ? known : OVERLAP_BYTES;
    memcpy(lane->overlap, state->window + OVERLAP_BYTES + piece_bytes - kept, kept);
    lane->overlap_bytes = kept;
}

static void take_piece(struct proxy_state *state, struct link *link, enum proxy_direction direction,
                       size_t piece_bytes)
{
    const unsigned char *piece = state->window + OVERLAP_BYTES;
    ptrdiff_t act_at = 0;
    int acting = match_rules(state, &link->lanes[direction], direction, piece_bytes, &act_at);
    enum proxy_action action = acting == NO_RULE ? PROXY_COUNT : state->rules[acting].spec.action;
    size_t front_bytes = piece_bytes;
    if (action == PROXY_CUT_BEFORE || action == PROXY_HOLD || action == PROXY_END_BEFORE)
        front_bytes = act_at > 0 ? (size_t)act_at : 0;
    if (front_bytes > 0)
        queue_item(state, link, direction, ITEM_DATA, piece, front_bytes);
    switch (action) {
    case PROXY_COUNT: break;
    case PROXY_CUT_BEFORE:
    case PROXY_CUT_AFTER: queue_item(state, link, direction, ITEM_CUT, NULL, 0)->rule = acting; break;
    case PROXY_CUT_REPLY: link->swallow_rule = acting; break;
    case PROXY_END_BEFORE: queue_item(state, link, direction, ITEM_END, NULL, 0)->rule = acting; break;
    case PROXY_HOLD:
        queue_item(state, link, direction, ITEM_HOLD, NULL, 0)->rule = acting;
        queue_item(state, link, direction, ITEM_DATA, piece + front_bytes, piece_bytes - front_bytes);
        break;
    }
}

/* The server's answer that the client must not see. */
static void swallow_piece(struct proxy_state *state, struct link *link, size_t piece_bytes)
{
    const struct rule *rule = &state->rules[link->swallow_rule];
    const struct lane *lane = &link->lanes[PROXY_TO_CLIENT];
    size_t until_bytes = rule->spec.until_bytes;
    if (until_bytes > 0) {
        /* As in match_rule, only what ends in this piece: the overlap may hold an earlier answer. */
        size_t back = until_bytes - 1 < lane->overlap_bytes ? until_bytes - 1 : lane->overlap_bytes;
        const unsigned char *from = state->window + OVERLAP_BYTES - back;
        if (memmem(from, back + piece_bytes, rule->until, until_bytes) == NULL)
            return;
    }
    queue_item(state, link, PROXY_TO_CLIENT, ITEM_CUT, NULL, 0)->rule = link->swallow_rule;
}

static void read_lane(struct proxy_state *state, struct link *link, enum proxy_direction direction)
{
    struct lane *lane = &link->lanes[direction];
    if (link->closed || lane->read_closed || lane->queued_bytes >= QUEUE_LIMIT_BYTES)
        return;
    bool swallowing = direction == PROXY_TO_CLIENT && link->swallow_rule != NO_RULE;
    ssize_t got = recv(link->fds[!direction], state->window + OVERLAP_BYTES, PIECE_BYTES, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0 && swallowing) {
        queue_item(state, link, direction, ITEM_CUT, NULL, 0)->rule = link->swallow_rule;
    } else if (got < 0) {
        lose_side(state, link, direction == PROXY_TO_SERVER ? PROXY_TO_CLIENT : PROXY_TO_SERVER);
    } else if (got == 0) {
        queue_item(state, link, direction, ITEM_END, NULL, 0);
    } else {
        size_t piece_bytes = (size_t)got;
        memcpy(state->window + OVERLAP_BYTES - lane->overlap_bytes, lane->overlap, lane->overlap_bytes);
        if (swallowing) {
            swallow_piece(state, link, piece_bytes);
        } else {
            take_piece(state, link, direction, piece_bytes);
        }
        keep_overlap(state, lane, piece_bytes);
    }
}

/* Writing: the queue */

static void note_fired(struct proxy_state *state, int rule)
{
    if (rule == NO_RULE)
        return;
    state->rules[rule].fired++;
    pthread_cond_broadcast(&state->changed);
}

static void carry_out_cut(struct proxy_state *state, struct link *link, enum proxy_direction direction,
                          const struct item *item)
{
    const struct proxy_rule *rule = &state->rules[item->rule].spec;
    bool reset_side[2] = {rule->reset, rule->reset};
    if (rule->action == PROXY_CUT_AFTER)
        reset_side[direction] = false;
    close_link(state, link, reset_side[PROXY_TO_SERVER], reset_side[PROXY_TO_CLIENT]);
    note_fired(state, item->rule);
}

/* Works on the first item of the queue. false: it must wait. */
static bool write_item(struct proxy_state *state, struct link *link, enum proxy_direction direction)
{
    struct lane *lane = &link->lanes[direction];
    struct item *item = lane->first;
    switch (item->kind) {
    case ITEM_DATA: {
        ssize_t sent = send(link->fds[direction], item->bytes + item->done_bytes,
                            item->size_bytes - item->done_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
        lane->full = sent < 0 && (errno == EAGAIN || errno == EINTR);
        if (lane->full)
            return false;
        if (sent < 0) {
            lose_side(state, link, direction);
            return false;
        }
        item->done_bytes += (size_t)sent;
        lane->queued_bytes -= (size_t)sent;
        return item->done_bytes == item->size_bytes;
    }
    case ITEM_END:
        lane->finished = true;
        shutdown(link->fds[direction], SHUT_WR);
        note_fired(state, item->rule);
        if (link->lanes[!direction].finished)
            close_link(state, link, false, false);
        return true;
    case ITEM_CUT: carry_out_cut(state, link, direction, item); return true;
    case ITEM_HOLD:
        if (!item->started)
            note_fired(state, item->rule);
        item->started = true;
        return state->resumes != item->resumes_seen;
    }
    return false;
}

static void write_lane(struct proxy_state *state, struct link *link, enum proxy_direction direction,
                       int64_t now_ms)
{
    struct lane *lane = &link->lanes[direction];
    while (!link->closed && lane->first != NULL && lane->first->due_ms <= now_ms) {
        if (!write_item(state, link, direction))
            return;
        struct item *done = lane->first;
        lane->first = done->next;
        if (lane->first == NULL)
            lane->end = &lane->first;
        free(done);
    }
}

static void finish_connect(struct proxy_state *state, struct link *link)
{
    int error = 0;
    socklen_t error_bytes = sizeof error;
    struct pollfd writable = {.fd = link->fds[PROXY_TO_SERVER], .events = POLLOUT};
    if (poll(&writable, 1, 0) != 1)
        return;
    getsockopt(writable.fd, SOL_SOCKET, SO_ERROR, &error, &error_bytes);
    link->connecting = false;
    if (error != 0)
        close_link(state, link, false, true);
}

static void work_on_link(struct proxy_state *state, struct link *link)
{
    if (link->connecting)
        finish_connect(state, link);
    if (link->closed || link->connecting || state->silent)
        return;
    /* The server's side first: an answer that is here already belongs to an earlier request than the ones
     * about to be read, and PROXY_CUT_REPLY must not take it for the answer to those. */
    read_lane(state, link, PROXY_TO_CLIENT);
    read_lane(state, link, PROXY_TO_SERVER);
    int64_t now_ms = process_now_ms();
    write_lane(state, link, PROXY_TO_CLIENT, now_ms);
    write_lane(state, link, PROXY_TO_SERVER, now_ms);
}

/* The thread */

static void work_on_links(struct proxy_state *state)
{
    for (struct link **place = &state->links; *place != NULL;) {
        struct link *link = *place;
        if (state->cut_all)
            close_link(state, link, state->cut_all_reset, state->cut_all_reset);
        work_on_link(state, link);
        if (link->closed) {
            *place = link->next;
            free_link(link);
        } else {
            place = &link->next;
        }
    }
    if (state->cut_all)
        pthread_cond_broadcast(&state->changed);
    state->cut_all = false;
}

static int soonest(int wait_ms, int64_t due_ms, int64_t now_ms)
{
    int64_t left_ms = due_ms > now_ms ? due_ms - now_ms : 0;
    return wait_ms < 0 || left_ms < wait_ms ? (int)left_ms : wait_ms;
}

/* Adds what this link waits for. poll reports hang-ups even where nothing is asked for, so that a side which
 * is not of interest now must not be in the list at all. */
static nfds_t poll_link(struct proxy_state *state, const struct link *link, nfds_t used, int *wait_ms)
{
    if (link->connecting) {
        state->polls[used++] = (struct pollfd){.fd = link->fds[PROXY_TO_SERVER], .events = POLLOUT};
        return used;
    }
    if (state->silent)
        return used;
    int64_t now_ms = process_now_ms();
    for (int direction = 0; direction < 2; direction++) {
        const struct lane *lane = &link->lanes[direction];
        const struct item *item = lane->first;
        if (!lane->read_closed && lane->queued_bytes < QUEUE_LIMIT_BYTES) {
            state->polls[used++] = (struct pollfd){.fd = link->fds[!direction], .events = POLLIN};
        }
        if (item == NULL || (item->kind == ITEM_HOLD && item->started))
            continue;
        if (item->kind == ITEM_DATA && lane->full) {
            state->polls[used++] = (struct pollfd){.fd = link->fds[direction], .events = POLLOUT};
        } else {
            *wait_ms = soonest(*wait_ms, item->due_ms, now_ms);
        }
    }
    return used;
}

static nfds_t build_polls(struct proxy_state *state, int *wait_ms)
{
    size_t room = 2 + (size_t)state->open * POLLS_PER_LINK;
    nfds_t used = 0;
    if (room > state->polls_room) {
        free(state->polls);
        state->polls = allocate(room * sizeof *state->polls);
        state->polls_room = room;
    }
    *wait_ms = -1;
    state->polls[used++] = (struct pollfd){.fd = state->wake_fd, .events = POLLIN};
    state->polls[used++] = (struct pollfd){.fd = state->refusing ? -1 : state->listen_fd, .events = POLLIN};
    for (const struct link *link = state->links; link != NULL; link = link->next) {
        used = poll_link(state, link, used, wait_ms);
    }
    return used;
}

static void *run_thread(void *argument)
{
    struct proxy_state *state = argument;
    pthread_mutex_lock(&state->mutex);
    while (!state->stopping) {
        uint64_t wakes;
        int wait_ms;
        if (!state->refusing)
            accept_links(state);
        work_on_links(state);
        nfds_t used = build_polls(state, &wait_ms);
        pthread_mutex_unlock(&state->mutex);
        poll(state->polls, used, wait_ms);
        pthread_mutex_lock(&state->mutex);
        if (read(state->wake_fd, &wakes, sizeof wakes) < 0 && errno != EAGAIN)
            break;
    }
    for (struct link *link = state->links, *next; link != NULL; link = next) {
        next = link->next;
        close_link(state, link, false, false);
        free_link(link);
    }
    pthread_mutex_unlock(&state->mutex);
    return NULL;
}

/* The test's side */

static void wake(struct proxy_state *state)
{
    const uint64_t one = 1;
    pthread_mutex_unlock(&state->mutex);
    if (write(state->wake_fd, &one, sizeof one) < 0)
        LIB_FAIL("cannot wake the proxy: %s", strerror(errno));
}

static struct proxy_state *lock(struct proxy *proxy)
{
    if (proxy->state == NULL)
        LIB_FAIL("the proxy has not been started");
    pthread_mutex_lock(&proxy->state->mutex);
    return proxy->state;
}

/* Binds a new socket; *port 0 is replaced by the port that the system picked. -1: the port is taken. */
static int bind_port(uint16_t *port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t address_bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    if (fd < 0)
        return -1;
    /* Or connections that are still open would forbid to listen again after PROXY_REFUSE. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &address_bytes) < 0) {
        close_socket(&fd, false);
    }
    *port = ntohs(address.sin_port);
    return fd;
}

/* Let the system pick a port, then bind to it by its number: only so does the socket keep the port while
 * PROXY_REFUSE has ended its listening. */
static uint16_t listen_somewhere(struct proxy_state *state)
{
    state->listen_fd = -1;
    for (int attempt = 0; attempt < BIND_ATTEMPTS && state->listen_fd < 0; attempt++) {
        uint16_t port = 0;
        int picked_fd = bind_port(&port);
        close_socket(&picked_fd, false);
        state->listen_fd = bind_port(&port);
        if (state->listen_fd >= 0 && listen(state->listen_fd, BACKLOG) == 0)
            return port;
        close_socket(&state->listen_fd, false);
    }
    LIB_FAIL("the proxy cannot listen: %s", strerror(errno));
}

uint16_t proxy_start(struct proxy *proxy, uint16_t target_port)
{
    struct proxy_state *state = allocate(sizeof *state);
    pthread_condattr_t clock;
    uint16_t port = listen_somewhere(state);
    state->target_port = target_port;
    state->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (state->wake_fd < 0)
        LIB_FAIL("the proxy has no eventfd: %s", strerror(errno));
    pthread_mutex_init(&state->mutex, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&state->changed, &clock);
    pthread_condattr_destroy(&clock);

    /* Signals are for the test's own thread. */
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&state->thread, NULL, run_thread, state);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0)
        LIB_FAIL("the proxy has no thread: %s", strerror(error));
    proxy->state = state;
    return port;
}

void proxy_stop(struct proxy *proxy)
{
    struct proxy_state *state = proxy->state;
    if (state == NULL)
        return;
    lock(proxy);
    state->stopping = true;
    wake(state);
    pthread_join(state->thread, NULL);
    pthread_cond_destroy(&state->changed);
    pthread_mutex_destroy(&state->mutex);
    close(state->listen_fd);
    close(state->wake_fd);
    free(state->polls);
    free(state);
    proxy->state = NULL;
}

static size_t copy_pattern(unsigned char *copy, const void *pattern, size_t pattern_bytes)
{
    if (pattern == NULL)
        return 0;
    if (pattern_bytes == 0)
        pattern_bytes = strlen(pattern);
    if (pattern_bytes == 0 || pattern_bytes > PROXY_PATTERN_MAX_BYTES) {
        LIB_FAIL("a pattern of %zu bytes; it must have 1 to %d", pattern_bytes, PROXY_PATTERN_MAX_BYTES);
    }
    memcpy(copy, pattern, pattern_bytes);
    return pattern_bytes;
}

int proxy_arm(struct proxy *proxy, const struct proxy_rule *spec)
{
    struct rule rule = {.spec = *spec};
    if (spec->action == PROXY_CUT_REPLY && spec->direction != PROXY_TO_SERVER) {
        LIB_FAIL("PROXY_CUT_REPLY needs a pattern that goes to the server");
    }
    if (spec->pattern == NULL)
        LIB_FAIL("a rule of the proxy needs a pattern");
    rule.spec.pattern_bytes = copy_pattern(rule.pattern, spec->pattern, spec->pattern_bytes);
    rule.spec.until_bytes = copy_pattern(rule.until, spec->until, spec->until_bytes);
    rule.spec.pattern = rule.spec.until = NULL; /* the caller's memory may be gone later */
    if (rule.spec.nth == 0)
        rule.spec.nth = 1;
    struct proxy_state *state = lock(proxy);
    int number = state->rule_count;
    struct rule *place = &state->rules[number % PROXY_RULES_MAX];
    bool has_room = number < PROXY_RULES_MAX || place->disarmed;
    if (has_room) {
        *place = rule;
        state->rule_count++;
    }
    wake(state);
    if (!has_room)
        LIB_FAIL("more than %d rules for one proxy", PROXY_RULES_MAX);
    return number;
}

void proxy_set_target(struct proxy *proxy, uint16_t target_port)
{
    struct proxy_state *state = lock(proxy);
    state->target_port = target_port;
    wake(state);
}

void proxy_disarm_all(struct proxy *proxy)
{
    struct proxy_state *state = lock(proxy);
    for (int i = 0; i < rules_known(state); i++)
        state->rules[i].disarmed = true;
    wake(state);
}

/* Waits, with the mutex held, until *number reaches count; returns it. */
static unsigned wait_number(struct proxy *proxy, const unsigned *number, unsigned count, int timeout_ms)
{
    int64_t deadline_ms = process_now_ms() + timeout_ms;
    const struct timespec deadline = {.tv_sec = deadline_ms / 1000,
                                      .tv_nsec = (long)(deadline_ms % 1000) * 1000000};
    struct proxy_state *state = lock(proxy);
    while (*number < count && pthread_cond_timedwait(&state->changed, &state->mutex, &deadline) == 0)
        continue;
    unsigned reached = *number;
    pthread_mutex_unlock(&state->mutex);
    return reached;
}

static const struct rule *rule_of(const struct proxy *proxy, int rule)
{
    int count = proxy->state != NULL ? proxy->state->rule_count : 0;
    if (rule < 0 || rule >= count || rule < count - PROXY_RULES_MAX)
        LIB_FAIL("the proxy has no rule %d", rule);
    return &proxy->state->rules[rule % PROXY_RULES_MAX];
}

static const struct proxy_state *state_of(const struct proxy *proxy)
{
    if (proxy->state == NULL)
        LIB_FAIL("the proxy has not been started");
    return proxy->state;
}

unsigned proxy_hits(struct proxy *proxy, int rule)
{
    return wait_number(proxy, &rule_of(proxy, rule)->hits, 0, 0);
}

unsigned proxy_fired(struct proxy *proxy, int rule)
{
    return wait_number(proxy, &rule_of(proxy, rule)->fired, 0, 0);
}

bool proxy_wait_hits(struct proxy *proxy, int rule, unsigned count, int timeout_ms)
{
    return wait_number(proxy, &rule_of(proxy, rule)->hits, count, timeout_ms) >= count;
}

bool proxy_wait_fired(struct proxy *proxy, int rule, unsigned count, int timeout_ms)
{
    return wait_number(proxy, &rule_of(proxy, rule)->fired, count, timeout_ms) >= count;
}

unsigned proxy_connections(struct proxy *proxy)
{
    return wait_number(proxy, &state_of(proxy)->accepted, 0, 0);
}

unsigned proxy_open_connections(struct proxy *proxy)
{
    return wait_number(proxy, &state_of(proxy)->open, 0, 0);
}

bool proxy_wait_connections(struct proxy *proxy, unsigned count, int timeout_ms)
{
    return wait_number(proxy, &state_of(proxy)->accepted, count, timeout_ms) >= count;
}

void proxy_block(struct proxy *proxy, enum proxy_block block)
{
    struct proxy_state *state = lock(proxy);
    if (block == PROXY_SILENT)
        state->silent = true;
    if (block == PROXY_REFUSE && !state->refusing) {
        /* On Linux this ends the listening but keeps the port. */
        state->refusing = true;
        shutdown(state->listen_fd, SHUT_RD);
    }
    wake(state);
}

void proxy_resume(struct proxy *proxy)
{
    struct proxy_state *state = lock(proxy);
    int error = 0;
    if (state->refusing && listen(state->listen_fd, BACKLOG) < 0)
        error = errno;
    state->silent = state->refusing = false;
    state->resumes++;
    wake(state);
    if (error != 0)
        LIB_FAIL("the proxy cannot listen again: %s", strerror(error));
}

void proxy_cut_all(struct proxy *proxy, bool reset)
{
    struct proxy_state *state = lock(proxy);
    state->cut_all = true;
    state->cut_all_reset = reset;
    wake(state);
    lock(proxy);
    while (state->cut_all)
        pthread_cond_wait(&state->changed, &state->mutex);
    pthread_mutex_unlock(&state->mutex);
}

void proxy_delay(struct proxy *proxy, enum proxy_direction direction, int delay_ms)
{
    struct proxy_state *state = lock(proxy);
    state->delay_ms[direction] = delay_ms;
    wake(state);
}
