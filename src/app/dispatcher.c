/* dispatcher.c - see dispatcher.h.
 *
 * Happy path: woken, it asks Postgres for as many due jobs as the streams have room for, which marks them,
 * then adds them. Failure modes: between mark and entry anything may die: the search finds jobs that are
 * marked and have no entry, and adds them. What does not work now is done with a later heartbeat. */
#include "app/dispatcher.h"

#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "base/slice.h"

enum {
    AHEAD = 2048, /* entries of each priority in Redis; the rest waits in Postgres */
    LOW = 1024,   /* all entries together: then it is time for more */
    TIDY_MS = 60000,
};

static int64_t now_ms(const struct fl_dispatcher *dispatcher)
{
    return dispatcher->clock->now_ms(dispatcher->clock->self);
}

/* ---- jobs that are due ---- */

static void on_due(struct fl_timer *timer)
{
    fl_dispatcher_wake(FL_CONTAINER(timer, struct fl_dispatcher, due));
}

static bool make_room(struct fl_dispatcher *dispatcher)
{
    bool any = false;
    for (int i = 0; i < FL_PRIORITY_COUNT; i++) {
        int64_t room = AHEAD - dispatcher->queue->depth.entries[i];
        dispatcher->dispatch.room[i] = room < 0 ? 0 : room > FL_DISPATCH_LIMIT ? FL_DISPATCH_LIMIT : room;
        any = any || room > 0;
    }
    return any;
}

static void add_dispatched(struct fl_dispatcher *dispatcher)
{
    dispatcher->must_add = false;
    dispatcher->lookup_adds = false;
    if (!fl_redis_queue_add(dispatcher->queue, dispatcher->dispatch.jobs, dispatcher->dispatch.count))
        dispatcher->must_add = true;
}

static void end_dispatch(struct fl_dispatcher *dispatcher)
{
    dispatcher->is_busy = false;
    bool goes_on = dispatcher->dispatch.count > 0 && dispatcher->has_more && make_room(dispatcher);
    if (dispatcher->wanted || goes_on)
        fl_dispatcher_wake(dispatcher);
}

static void on_dispatched(struct fl_request *request, struct fl_event *event)
{
    struct fl_dispatcher *dispatcher = FL_CONTAINER(request, struct fl_dispatcher, dispatch.call.request);
    struct fl_queue_dispatch *dispatch = &dispatcher->dispatch;
    if (event->status != FL_OK) {
        dispatcher->is_busy = false;
        dispatcher->wanted = true; /* with the next tick */
        return;
    }
    dispatcher->has_more = dispatch->more;
    int64_t due_ms =
        dispatch->due_in_ms == FL_NEVER_MS ? FL_NEVER_MS : now_ms(dispatcher) + dispatch->due_in_ms + 1;
    dispatcher->clock->set(dispatcher->clock->self, &dispatcher->due, due_ms);
    if (dispatch->count == 0) {
        const int64_t *room = dispatch->room; /* what there was no room for was not looked at */
        dispatcher->has_more = room[0] == 0 || room[1] == 0 || room[2] == 0;
        end_dispatch(dispatcher);
    } else if (dispatcher->queue->adding) { /* the search is adding */
        dispatcher->must_add = true;
    } else {
        add_dispatched(dispatcher);
    }
}

void fl_dispatcher_wake(struct fl_dispatcher *dispatcher)
{
    dispatcher->wanted = true;
    if (!dispatcher->is_active || dispatcher->is_busy)
        return;
    if (!make_room(dispatcher)) {
        dispatcher->has_more = true;
        return;
    }
    dispatcher->wanted = false;
    dispatcher->is_busy = true;
    fl_pg_queue_dispatch(dispatcher->store, &dispatcher->dispatch, on_dispatched);
}

void fl_dispatcher_ran_low(struct fl_dispatcher *dispatcher)
{
    const int64_t *entries = dispatcher->queue->depth.entries;
    bool is_low = entries[0] + entries[1] + entries[2] < LOW;
    if (is_low && (dispatcher->has_more || dispatcher->wanted))
        fl_dispatcher_wake(dispatcher);
}

/* ---- jobs that Redis has lost ---- */

static void end_look(struct fl_dispatcher *dispatcher, bool again_at_once)
{
    dispatcher->is_looking = false;
    if (!again_at_once)
        dispatcher->look_at_ms = now_ms(dispatcher) + dispatcher->settings->worker.sweep_ms;
}

static void on_listed(struct fl_request *request, struct fl_event *event);

static void look(struct fl_dispatcher *dispatcher, int64_t after)
{
    dispatcher->is_looking = true;
    dispatcher->dispatched.after = after;
    dispatcher->dispatched.age_ms = dispatcher->look_age_ms;
    fl_pg_queue_dispatched(dispatcher->store, &dispatcher->dispatched, on_listed);
}

static void on_listed(struct fl_request *request, struct fl_event *event)
{
    struct fl_dispatcher *dispatcher = FL_CONTAINER(request, struct fl_dispatcher, dispatched.call.request);
    struct fl_queue_dispatched *found = &dispatcher->dispatched;
    if (event->status != FL_OK || found->count == 0) {
        bool is_over = event->status == FL_OK;
        if (is_over)
            dispatcher->look_age_ms = dispatcher->settings->worker.sweep_ms;
        end_look(dispatcher, !is_over);
        return;
    }
    found->after = found->jobs[found->count - 1].job_id;
    if (!fl_redis_queue_check(dispatcher->queue, found->jobs, found->count))
        end_look(dispatcher, true);
}

static void on_checked(void *owner, fl_status status, size_t count)
{
    struct fl_dispatcher *dispatcher = owner;
    if (status != FL_OK || dispatcher->queue->adding) {
        end_look(dispatcher, true);
    } else if (count == 0) {
        look(dispatcher, dispatcher->dispatched.after);
    } else {
        dispatcher->lookup_adds = true;
        dispatcher->found_lost += count;
        if (!fl_redis_queue_add(dispatcher->queue, dispatcher->dispatched.jobs, count))
            end_look(dispatcher, true);
    }
}

static void on_added(void *owner, fl_status status)
{
    struct fl_dispatcher *dispatcher = owner;
    if (dispatcher->lookup_adds) {
        dispatcher->lookup_adds = false;
        if (status == FL_OK)
            look(dispatcher, dispatcher->dispatched.after);
        else
            end_look(dispatcher, true);
        if (dispatcher->must_add)
            add_dispatched(dispatcher);
    } else if (status != FL_OK) {
        dispatcher->must_add = true;
    } else {
        end_dispatch(dispatcher);
    }
}

void fl_dispatcher_redis_was_empty(struct fl_dispatcher *dispatcher)
{
    dispatcher->look_age_ms = 0;
    dispatcher->look_at_ms = 0;
    if (dispatcher->is_active && !dispatcher->is_looking)
        look(dispatcher, 0);
}

/* ---- dead workers ---- */

static void rescue(struct fl_dispatcher *dispatcher)
{
    dispatcher->is_rescuing = fl_redis_queue_rescue(dispatcher->queue, dispatcher->settings->worker.dead_ms);
}

static void on_suspected(struct fl_request *request, struct fl_event *event)
{
    struct fl_dispatcher *dispatcher = FL_CONTAINER(request, struct fl_dispatcher, suspect.call.request);
    dispatcher->is_rescuing = false;
    if (event->status != FL_OK) /* they stay this worker's until it works, with a later tick */
        return;
    size_t count = dispatcher->rescued_count;
    dispatcher->rescued_left = count;
    dispatcher->rescued_count = 0;
    for (size_t i = 0; i < count; i++)
        fl_redis_queue_finish(dispatcher->queue, &dispatcher->rescued[i], dispatcher->rescued[i].job_id != 0);
}

static void tell_postgres(struct fl_dispatcher *dispatcher)
{
    dispatcher->is_rescuing = true;
    fl_pg_queue_suspect(dispatcher->store, &dispatcher->suspect, on_suspected);
}

static void on_rescued(void *owner, fl_status status, const struct fl_queue_entry *entries,
                       const struct fl_slice *workers, size_t count)
{
    struct fl_dispatcher *dispatcher = owner;
    dispatcher->is_rescuing = false;
    if (status != FL_OK || count == 0)
        return;
    for (size_t i = 0; i < count; i++) {
        dispatcher->rescued[i] = entries[i];
        dispatcher->suspect.ids[i] = entries[i].job_id;
        snprintf(dispatcher->suspect.workers[i], FL_WORKER_BYTES, "%.*s", FL_ARGS(workers[i]));
    }
    dispatcher->rescued_count = dispatcher->suspect.count = count;
    dispatcher->taken_over += count;
    tell_postgres(dispatcher);
}

bool fl_dispatcher_holds(const struct fl_dispatcher *dispatcher, const struct fl_queue_entry *entry)
{
    bool holds_any = dispatcher->rescued_count > 0 || dispatcher->rescued_left > 0;
    for (size_t i = 0; holds_any && i < dispatcher->suspect.count; i++)
        if (strcmp(dispatcher->rescued[i].id, entry->id) == 0)
            return true;
    return false;
}

bool fl_dispatcher_finished(struct fl_dispatcher *dispatcher, const struct fl_queue_entry *entry)
{
    bool is_mine = entry >= dispatcher->rescued && entry < dispatcher->rescued + FL_SUSPECT_LIMIT;
    if (is_mine)
        dispatcher->rescued_left--;
    return is_mine;
}

/* ---- regularly ---- */

static void on_tidied(struct fl_request *request, struct fl_event *event)
{
    struct fl_dispatcher *dispatcher = FL_CONTAINER(request, struct fl_dispatcher, tidy.call.request);
    bool is_more = event->status == FL_OK && dispatcher->tidy.purged > 0;
    dispatcher->is_tidying = false;
    dispatcher->tidy_at_ms = is_more ? 0 : now_ms(dispatcher) + TIDY_MS;
}

void fl_dispatcher_tick(struct fl_dispatcher *dispatcher)
{
    bool owes_rescued = dispatcher->rescued_count > 0 && !dispatcher->is_rescuing;
    if (owes_rescued) /* whoever dispatches by now: these are in this worker's hands */
        tell_postgres(dispatcher);
    if (!dispatcher->is_active)
        return;
    int64_t now = now_ms(dispatcher);
    if (dispatcher->must_add && !dispatcher->queue->adding)
        add_dispatched(dispatcher);
    bool is_time = now >= dispatcher->look_at_ms;
    if (is_time && !dispatcher->is_looking)
        look(dispatcher, 0);
    if (dispatcher->wanted || is_time)
        fl_dispatcher_wake(dispatcher);
    if (!dispatcher->is_rescuing && dispatcher->rescued_left == 0)
        rescue(dispatcher);
    if (now >= dispatcher->tidy_at_ms && !dispatcher->is_tidying) {
        dispatcher->is_tidying = true;
        dispatcher->tidy.retention_days = dispatcher->settings->worker.retention_days;
        fl_pg_queue_tidy(dispatcher->store, &dispatcher->tidy, on_tidied);
    }
}

void fl_dispatcher_set_active(struct fl_dispatcher *dispatcher, bool is_active)
{
    bool is_new = is_active && !dispatcher->is_active;
    dispatcher->is_active = is_active;
    if (!is_new)
        return;
    dispatcher->look_age_ms = 0;
    dispatcher->look_at_ms = 0;
    fl_dispatcher_wake(dispatcher);
}

bool fl_dispatcher_is_idle(const struct fl_dispatcher *dispatcher)
{
    /* What was marked and could not be added is found by the next dispatcher's search. */
    bool is_dispatching = dispatcher->is_busy && !dispatcher->must_add;
    return !is_dispatching && !dispatcher->is_looking && !dispatcher->is_rescuing &&
           !dispatcher->is_tidying && dispatcher->rescued_left == 0;
}

void fl_dispatcher_init(struct fl_dispatcher *dispatcher)
{
    dispatcher->due = (struct fl_timer){.fire = on_due, .at_ms = FL_NEVER_MS};
    dispatcher->look_age_ms = 0;
    dispatcher->queue->dispatch_events = (struct fl_dispatch_events){
        .owner = dispatcher, .added = on_added, .checked = on_checked, .rescued = on_rescued};
}
