/* redis_rights.h - what fenceline's user in Redis may do, and which of that a user lacks.
 *
 * config/redis.acl is the only list; it is embedded at build time and read from there. */
#ifndef FL_IO_REDIS_RIGHTS_H
#define FL_IO_REDIS_RIGHTS_H

#include "fenceline/err.h"
#include "fenceline/types.h"

struct fl_arena;

extern const char fl_redis_acl[]; /* the file: one ACL rule a line, # begins a comment */

/* The next rule ("+get", "~fenceline:*", "-@all"); false at the end. lines: begun with fl_lines_init
 * (slice.h). */
struct fl_lines;
bool fl_redis_acl_next(struct fl_lines *lines, struct fl_slice *rule);

struct fl_redis_rights {
    struct fl_slice user; /* whom the address logs in as; "default" if it names nobody */
    bool is_known;        /* false: the user may not even ask, so that only "+multi" is known to be missing */
    size_t needed, missing_count;
    struct fl_slice *missing; /* rules: "+xadd", "~fenceline:*", "&fenceline:wake:*" */
    /* "ACL SETUSER fenceline resetkeys ... +get ...": all that is needed and no more, for an administrator to
     * send; passwords stay as they are. For the user "default", which others use too, it names "fenceline"
     * instead. */
    struct fl_slice line;
};

/* What the user of this address lacks. Connects, asks for each command whether it would be allowed (inside a
 * transaction that is discarded: nothing is changed), and leaves. What is refused stands in Redis' ACL LOG.
 * Everything in *rights lives in arena. FL_USAGE: the address is wrong; FL_UNAVAILABLE: not reachable, no
 * login, no answer in timeout_ms. */
FL_CHECKED fl_status fl_redis_rights_check(const char *url, int64_t timeout_ms, struct fl_arena *arena,
                                           struct fl_redis_rights *rights, struct fl_err *err);

#endif
