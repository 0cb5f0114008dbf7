/* drive.h - carries the actions of one import to the adapters and their answers back: a switch and nothing
 * else. */
#ifndef FL_APP_DRIVE_H
#define FL_APP_DRIVE_H

#include <stdatomic.h>

#include "base/arena.h"
#include "core/parse.h"
#include "fenceline/ports.h"

struct fl_drive;

/* What all imports of a process share. */
struct fl_drive_ports {
    struct fl_store_port *store;
    struct fl_lease_port *lease;
    struct fl_pool_port *pool;
    struct fl_clock_port *clock;
    /* Something worth a log line, or NULL: static text. */
    void (*note)(void *owner, const struct fl_import *import, const char *note);
    /* Every event, after its step, unless it came too late; for who counts. May be NULL. */
    void (*seen)(void *owner, const struct fl_import *import, const struct fl_event *event);
    /* For who runs more imports than may work at once; both NULL, or both set. parked: the import waits for
     * another holder's lease, and needs no memory meanwhile. unpark: may it go on? false = fl_drive_resume
     * will be called. */
    void (*parked)(void *owner, struct fl_drive *drive);
    bool (*unpark)(void *owner, struct fl_drive *drive);
    void *owner;
};

/* Where the document comes from: a file, or bytes that are there already. Borrowed. */
struct fl_source {
    const char *root; /* path is below it, and nothing leads out of it; NULL = path stands for itself */
    const char *path; /* NUL-terminated; read if body is absent */
    struct fl_slice body;
    struct fl_parse_hint hint;
    struct fl_limits limits;
};

struct fl_drive {
    const struct fl_drive_ports *ports;
    struct fl_import import;
    struct fl_source source;
    struct fl_arena arena;       /* bytes and document, from FETCH to the end */
    struct fl_document document; /* valid if loaded is FL_OK and it was fetched */
    fl_status loaded;
    struct fl_err load_err;
    struct fl_request request, renewal;
    struct fl_work work;
    atomic_bool is_parsing; /* set by the thread that loads */
    struct fl_timer timer;
    uint64_t progress;   /* steps so far, */
    int64_t progress_ms; /* and when the last one was */
    uint32_t renewals_in_flight;
    int64_t started_ms;
    struct fl_reading known; /* valid if is_known: the first read has been done, and is not sent */
    bool is_known;           /* set by the caller before fl_drive_start; over with that read */
    bool is_parked;          /* waits for another holder's lease, or then for fl_drive_resume */
    void (*done)(struct fl_drive *drive); /* the import is DONE and nothing of it is in flight */
};

/* Starts an import; done is called later, never from within. job and source are copied, what they point to is
 * borrowed until done. *drive must be zeroed, or have been done before (its arena is used again). */
void fl_drive_start(struct fl_drive *drive, const struct fl_drive_ports *ports,
                    const struct fl_import_job *job, const struct fl_import_policy *policy,
                    const struct fl_source *source, void (*done)(struct fl_drive *drive));

/* Asks to stop between steps. done follows, with outcome cancelled, or with that of a commit already sent. */
void fl_drive_cancel(struct fl_drive *drive);

/* Asks to stop between steps without a decision, for another worker to go on. done follows, with
 * import.stopped, or with the outcome of a commit already sent. */
void fl_drive_stop(struct fl_drive *drive);

/* The holder of the episode that this import waits for has released it. */
void fl_drive_wake(struct fl_drive *drive);

/* A parked import that unpark() refused may go on. */
void fl_drive_resume(struct fl_drive *drive);

/* What it does now: the core's state, and "parse" while the thread that loads has come that far. Static. */
const char *fl_drive_phase(const struct fl_drive *drive);

/* Gives back the memory of a drive that is not running. */
void fl_drive_release(struct fl_drive *drive);

#endif
