/* drive.c - see drive.h.
 *
 * Happy path: an event goes into the core's step, the action that comes out goes to the adapter that answers
 * it. Reading and parsing a source is one visit to a pool thread; PARSE then answers from what it found. The
 * import is done when the core says DONE and no renewal is in flight any more: only then may memory go. */
#include "app/drive.h"

#include "app/fail_point.h"
#include "base/list.h"
#include "io/file_read.h"

enum { ARENA_BASE_BYTES = 1024 * 1024 };

static const char *const ACTION_NAMES[] = {
    [FL_ACTION_NONE] = "none",
    [FL_ACTION_READ] = "read",
    [FL_ACTION_ENSURE] = "ensure",
    [FL_ACTION_LEASE] = "lease",
    [FL_ACTION_LEASE_CHECK] = "lease-check",
    [FL_ACTION_CLAIM] = "claim",
    [FL_ACTION_CLAIM_CHECK] = "claim-check",
    [FL_ACTION_FETCH] = "fetch",
    [FL_ACTION_PARSE] = "parse",
    [FL_ACTION_COMMIT] = "commit",
    [FL_ACTION_RESOLVE] = "resolve",
    [FL_ACTION_DECIDE] = "decide",
    [FL_ACTION_RELEASE] = "release",
    [FL_ACTION_ACK] = "ack",
    [FL_ACTION_RENEW] = "renew",
};

static void post(struct fl_drive *drive, struct fl_event event);

/* ---- loading: in a thread of the pool, which touches nothing but this drive's arena and document ---- */

static void load(struct fl_work *work)
{
    struct fl_drive *drive = FL_CONTAINER(work, struct fl_drive, work);
    struct fl_slice bytes = drive->source.body;
    drive->loaded = FL_OK;
    if (!bytes.ptr && drive->source.root && !drive->source.root[0])
        drive->loaded = fl_err_set(&drive->load_err, FL_UNREADABLE,
                                   "source.root is not set, so this worker reads no files; set it, or use "
                                   "'fenceline enqueue --inline'");
    else if (!bytes.ptr && drive->source.root)
        drive->loaded =
            fl_file_read_below(drive->source.root, drive->source.path, drive->source.limits.file_bytes,
                               &drive->arena, &bytes, &drive->load_err);
    else if (!bytes.ptr)
        drive->loaded = fl_file_read(drive->source.path, drive->source.limits.file_bytes, &drive->arena,
                                     &bytes, &drive->load_err);
    atomic_store(&drive->is_parsing, true);
    if (drive->loaded == FL_OK)
        drive->loaded = fl_parse_document(bytes, &drive->source.hint, &drive->source.limits, &drive->arena,
                                          &drive->document, &drive->load_err);
    if (drive->loaded != FL_OK &&
        drive->source.root) /* whoever reads the job's row did not name the source */
        fl_err_prefix(&drive->load_err, "%s", drive->source.path);
}

const char *fl_drive_phase(const struct fl_drive *drive)
{
    bool is_parsing = drive->import.state == FL_IMPORT_FETCH && atomic_load(&drive->is_parsing);
    return fl_import_state_name(is_parsing ? FL_IMPORT_PARSE : drive->import.state);
}

static void on_loaded(struct fl_work *work)
{
    struct fl_drive *drive = FL_CONTAINER(work, struct fl_drive, work);
    fl_fail_point("after", ACTION_NAMES[FL_ACTION_FETCH]);
    post(drive, (struct fl_event){.type = FL_EVENT_FETCHED, .op = drive->request.op, .status = FL_OK});
}

/* ---- answers ---- */

static void on_answer(struct fl_request *request, struct fl_event *event)
{
    fl_fail_point("after", ACTION_NAMES[request->action]);
    post(FL_CONTAINER(request, struct fl_drive, request), *event);
}

static void on_renewal(struct fl_request *request, struct fl_event *event)
{
    struct fl_drive *drive = FL_CONTAINER(request, struct fl_drive, renewal);
    fl_fail_point("after", ACTION_NAMES[FL_ACTION_RENEW]);
    drive->renewals_in_flight--;
    post(drive, *event);
}

/* True if a parked import must stay where it is for now. */
static bool stays_parked(struct fl_drive *drive)
{
    if (!drive->is_parked)
        return false;
    if (!drive->ports->unpark(drive->ports->owner, drive))
        return true;
    drive->is_parked = false;
    return false;
}

static void on_timer(struct fl_timer *timer)
{
    struct fl_drive *drive = FL_CONTAINER(timer, struct fl_drive, timer);
    if (stays_parked(drive))
        return;
    post(drive, (struct fl_event){.type = FL_EVENT_TIME});
}

/* ---- actions ---- */

static void send(struct fl_drive *drive, const struct fl_action *action, struct fl_request *request,
                 void (*done)(struct fl_request *, struct fl_event *))
{
    bool is_lease = action->type == FL_ACTION_LEASE || action->type == FL_ACTION_LEASE_CHECK ||
                    action->type == FL_ACTION_RELEASE || action->type == FL_ACTION_RENEW;
    bool writes_rows = action->type == FL_ACTION_COMMIT && drive->import.job.mode != FL_MODE_DELETE;
    *request = (struct fl_request){
        .action = action->type,
        .op = action->op,
        .import = &drive->import,
        .document = writes_rows ? &drive->document : NULL,
        .done = done,
    };
    if (is_lease)
        drive->ports->lease->start(drive->ports->lease->self, request);
    else
        drive->ports->store->start(drive->ports->store->self, request);
}

/* Hands the action out. True if its answer is already there, in *answer. */
static bool perform(struct fl_drive *drive, const struct fl_action *action, struct fl_event *answer)
{
    if (action->type != FL_ACTION_NONE)
        fl_fail_point("before", ACTION_NAMES[action->type]);
    switch (action->type) {
    case FL_ACTION_NONE: return false;
    case FL_ACTION_FETCH:
        drive->request = (struct fl_request){.action = action->type, .op = action->op};
        drive->work.run = load;
        drive->work.done = on_loaded;
        atomic_store(&drive->is_parsing, false);
        fl_arena_release(&drive->arena);
        drive->ports->pool->start(drive->ports->pool->self, &drive->work);
        return false;
    case FL_ACTION_PARSE:
        fl_fail_point("after", ACTION_NAMES[action->type]);
        *answer = (struct fl_event){
            .type = FL_EVENT_PARSED, .op = action->op, .status = drive->loaded, .err = &drive->load_err};
        return true;
    case FL_ACTION_ACK:
        fl_fail_point("after", ACTION_NAMES[action->type]);
        *answer = (struct fl_event){.type = FL_EVENT_ACKED, .op = action->op, .status = FL_OK};
        return true;
    case FL_ACTION_RENEW:
        if (drive->renewals_in_flight) { /* that of an earlier lease has the request still */
            *answer = (struct fl_event){.type = FL_EVENT_RENEWED, .op = action->op, .status = FL_UNAVAILABLE};
            return true;
        }
        drive->renewals_in_flight++;
        send(drive, action, &drive->renewal, on_renewal);
        return false;
    case FL_ACTION_READ:
        if (!drive->is_known)
            break;
        drive->is_known = false;
        fl_fail_point("after", ACTION_NAMES[action->type]);
        *answer =
            (struct fl_event){.type = FL_EVENT_READ, .op = action->op, .status = FL_OK, .read = drive->known};
        return true;
    case FL_ACTION_ENSURE:
    case FL_ACTION_LEASE:
    case FL_ACTION_LEASE_CHECK:
    case FL_ACTION_CLAIM:
    case FL_ACTION_CLAIM_CHECK:
    case FL_ACTION_COMMIT:
    case FL_ACTION_RESOLVE:
    case FL_ACTION_DECIDE:
    case FL_ACTION_RELEASE: break;
    }
    send(drive, action, &drive->request, on_answer);
    return false;
}

static void forget_document(struct fl_drive *drive)
{
    drive->document = (struct fl_document){.kind = FL_KIND_NONE};
    fl_arena_release(&drive->arena);
}

static void park_if_waiting(struct fl_drive *drive)
{
    if (!drive->ports->parked || drive->import.state != FL_IMPORT_WAIT || !drive->import.for_lease ||
        drive->is_parked)
        return;
    drive->is_parked = true;
    forget_document(drive);
    drive->ports->parked(drive->ports->owner, drive);
}

static void post(struct fl_drive *drive, struct fl_event event)
{
    struct fl_clock_port *clock = drive->ports->clock;
    struct fl_action action;
    do {
        event.now_ms = clock->now_ms(clock->self);
        clock->random(clock->self, event.random);
        if (event.type != FL_EVENT_TIME && event.type != FL_EVENT_RENEWED) { /* neither moves the work */
            drive->progress++;
            drive->progress_ms = event.now_ms;
        }
        event.progress = drive->progress;
        uint32_t dropped = drive->import.dropped_events;
        action = fl_import_step(&drive->import, &event);
        if (drive->ports->seen && drive->import.dropped_events == dropped)
            drive->ports->seen(drive->ports->owner, &drive->import, &event);
        if (action.note && drive->ports->note)
            drive->ports->note(drive->ports->owner, &drive->import, action.note);
    } while (perform(drive, &action, &event));
    clock->set(clock->self, &drive->timer, action.wake_at_ms);
    park_if_waiting(drive);
    if (drive->import.state == FL_IMPORT_DONE && drive->renewals_in_flight == 0) {
        clock->set(clock->self, &drive->timer, FL_NEVER_MS);
        drive->done(drive);
    }
}

void fl_drive_start(struct fl_drive *drive, const struct fl_drive_ports *ports,
                    const struct fl_import_job *job, const struct fl_import_policy *policy,
                    const struct fl_source *source, void (*done)(struct fl_drive *drive))
{
    drive->ports = ports;
    drive->source = *source;
    drive->done = done;
    drive->progress = 0;
    drive->renewals_in_flight = 0;
    drive->started_ms = ports->clock->now_ms(ports->clock->self);
    drive->timer = (struct fl_timer){.fire = on_timer, .at_ms = FL_NEVER_MS};
    drive->is_parked = false;
    forget_document(drive);
    /* The text, its repaired or unescaped copy, and the rows: each at most a small multiple of the file's
     * limit. */
    fl_arena_init(&drive->arena, source->limits.file_bytes * 8 + ARENA_BASE_BYTES);
    fl_import_init(&drive->import, job, policy);
    post(drive, (struct fl_event){.type = FL_EVENT_START});
}

void fl_drive_cancel(struct fl_drive *drive)
{
    if (drive->import.state != FL_IMPORT_DONE)
        post(drive, (struct fl_event){.type = FL_EVENT_CANCEL});
}

/* A parked one needs no slot to stop: it has no lease, and only answers. */
void fl_drive_stop(struct fl_drive *drive)
{
    if (drive->import.state != FL_IMPORT_DONE)
        post(drive, (struct fl_event){.type = FL_EVENT_STOP});
}

void fl_drive_wake(struct fl_drive *drive)
{
    if (!stays_parked(drive))
        post(drive, (struct fl_event){.type = FL_EVENT_WOKEN});
}

void fl_drive_resume(struct fl_drive *drive)
{
    drive->is_parked = false;
    post(drive, (struct fl_event){.type = FL_EVENT_WOKEN});
}

void fl_drive_release(struct fl_drive *drive)
{
    fl_arena_release(&drive->arena);
}
