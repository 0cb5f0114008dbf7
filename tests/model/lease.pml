/* lease.pml - one episode, one document: leases, claims, commits, breaks (docs/PROTOCOL.md, steps 1 to 5, 8 and 9).
 *
 * A pause and a crash are interleavings: an import may stop between any two steps, for ever. A lease may run out at any
 * time (EXPIRIES of them). A commit is a message: it is applied at any later time or never, also after its sender gave
 * it up; so is a claim whose answer was lost (LOST answers). Redis may lose its state (LOSSES times): all of it, or by
 * going back, the counter by any distance, the lease kept, gone, or an earlier one brought back. CHAOS=1: Redis does
 * anything: each acquire is granted, with any token. An operator may break what he sees (BREAKS times).
 *
 * Each attempt asks for something of its own (MODES 1: replace; 2: or create; 3: or if-version).
 * WITHOUT=n leaves one guard out. Which names of the code these are: README.md, which also tells how to run it. */

/* properties: number, and what must hold */
#define VERSIONS_RISE 1         /* versions that are committed rise strictly */
#define ROWS_OF_ONE_FILE 2      /* the rows are those of one file, at any moment */
#define ACKNOWLEDGED_IS_KEPT 3  /* what was acknowledged has happened, and nothing older comes after it */
#define ONLY_THE_CLAIMANT 4     /* nobody commits but the one who claimed last */
#define MODE_IS_KEPT 5          /* create on nothing alone, if-version on that version alone */
#define OWN_LEASE_ONLY 6        /* a lease is deleted or renewed by its own nonce alone */
#define PROGRESS 7              /* once faults have stopped, an import succeeds within as many attempts as are in flight */
#define NOTHING_IS_WASTED 8     /* without a fault no commit is refused: no load was in vain */
#define BROKEN_STAYS_BROKEN 9   /* after a break that was acknowledged, its holder does not commit */
#define CLAIMS_RISE 10          /* tokens that are claimed, or raised by a break, rise strictly */

/* guards: number, and the property that does not hold without it */
#define CLAIM_CONDITION 1       /* finds BROKEN_STAYS_BROKEN */
#define TOKEN_ABOVE_FENCE 2     /* finds CLAIMS_RISE */
#define NONCE 3                 /* finds ONLY_THE_CLAIMANT */
#define READ_BEFORE_LEASE 4     /* finds BROKEN_STAYS_BROKEN */
#define COMMIT_CONDITION 5      /* finds MODE_IS_KEPT */
#define BREAK_FENCE 6           /* finds BROKEN_STAYS_BROKEN */
#define ONE_TRANSACTION 7       /* finds ROWS_OF_ONE_FILE */
#define COMMAND_TAG 8           /* finds ACKNOWLEDGED_IS_KEPT */
#define FLOOR 9                 /* finds PROGRESS */
#define RELEASE_COMPARE 10      /* finds OWN_LEASE_ONLY */
#define RENEW_COMPARE 11        /* finds OWN_LEASE_ONLY */

#ifndef WITHOUT
#define WITHOUT 0
#endif
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 1
#endif
#ifndef MODES
#define MODES 3
#endif
#ifndef EXPIRIES
#define EXPIRIES 1
#endif
#ifndef LOSSES
#define LOSSES 1
#endif
#ifndef LOST
#define LOST 1
#endif
#ifndef ROLLBACKS
#define ROLLBACKS 0
#endif
#ifndef BREAKS
#define BREAKS 0
#endif
#ifndef CHAOS
#define CHAOS 0
#endif
#ifndef PROBE
#define PROBE 0
#endif
#define TOKEN_LIMIT 4 /* of the tokens that CHAOS invents */

#ifndef ONLY
#define ONLY 0 /* n: judge this property alone */
#endif
#define HOLDS(property, what) assert((property == 0) || (ONLY != 0 && ONLY != property) || (what))
#if PROBE
#define BEFORE_THE_END provided (!is_calm)
#define ALSO_THE_PROBE provided (!is_calm || _pid == probe)
#else
#define BEFORE_THE_END
#define ALSO_THE_PROBE
#endif

#define REPLACE 1
#define CREATE 2
#define IF_VERSION 3

#define DONE 1
#define STALE 2
#define ROLLED_BACK 3

/* Postgres: the row of the episode, its document, two of the document's rows */
byte version, fence, nonce;
bool present;
byte row_a, row_b;
/* Redis: the nonce of the lease, that of the one before, the last token */
byte lease, last_lease, counter;
/* faults that are left */
byte expiries = EXPIRIES, losses = LOSSES, lost = LOST, rollbacks = ROLLBACKS;
bool is_faulty, is_calm;
byte probe = 255;
/* what the checker remembers */
byte nonces;             /* given out so far: each acquire has one of its own */
byte claimant, claimed;  /* the last claim's nonce, and the highest token claimed */
byte acknowledged;       /* highest version that was */
byte broken_lease, broken_claim;
byte in_flight;
byte reply[WORKERS + 1], awaits[WORKERS + 1];
short committed;         /* bit n: nonce n has committed */

#define FRESH(n) atomic { nonces++; n = nonces }

/* ---- claim_episodes: what the statement does, whenever it arrives ---- */

#if WITHOUT == CLAIM_CONDITION
#define MAY_CLAIM(v, f, tok) (tok > fence)
#elif WITHOUT == TOKEN_ABOVE_FENCE
#define MAY_CLAIM(v, f, tok) (version == v && fence == f)
#else
#define MAY_CLAIM(v, f, tok) (version == v && fence == f && tok > fence)
#endif

#define CLAIM(v, f, tok, my) \
    HOLDS(CLAIMS_RISE, tok > claimed); \
    fence = tok; nonce = my; claimant = my; \
    if :: tok > claimed -> claimed = tok :: else fi

proctype LateClaim(byte v, f, tok, my) BEFORE_THE_END
{
    atomic {
        if
        :: MAY_CLAIM(v, f, tok) -> CLAIM(v, f, tok, my)
        :: else
        fi;
        in_flight--
    }
}

/* ---- enter_commit ---- */

#if WITHOUT == COMMIT_CONDITION
#define MAY_COMMIT(v, tok, my) true
#elif WITHOUT == NONCE
#define MAY_COMMIT(v, tok, my) (version == v && fence == tok)
#else
#define MAY_COMMIT(v, tok, my) (version == v && fence == tok && nonce == my)
#endif

proctype Commit(byte id, mode, v, tok, my, want)
{
    bool ok;
    atomic {
        ok = MAY_COMMIT(v, tok, my);
        if
        :: ok && rollbacks > 0 -> /* the transaction is aborted, and COMMIT answers ROLLBACK */
            rollbacks--; is_faulty = true; in_flight--;
            if :: awaits[id] == my -> reply[id] = ROLLED_BACK :: else fi;
            goto ended
        :: ok ->
            HOLDS(VERSIONS_RISE, tok > version);
            HOLDS(ONLY_THE_CLAIMANT, my == claimant);
            HOLDS(MODE_IS_KEPT, mode != CREATE || !present);
            HOLDS(MODE_IS_KEPT, mode != IF_VERSION || (present && version == want));
            HOLDS(ACKNOWLEDGED_IS_KEPT, tok > acknowledged);
#if BREAKS
            HOLDS(BROKEN_STAYS_BROKEN, my != broken_lease && my != broken_claim);
#endif
            row_a = my;
#if WITHOUT != ONE_TRANSACTION
            row_b = my;
#endif
            HOLDS(ROWS_OF_ONE_FILE, row_a == row_b);
            present = true; version = tok; committed = committed | (1 << my);
            if :: awaits[id] == my -> reply[id] = DONE :: else fi
        :: else ->
            HOLDS(NOTHING_IS_WASTED, is_faulty);
            if :: awaits[id] == my -> reply[id] = STALE :: else fi
        fi;
        in_flight--
    }
#if WITHOUT == ONE_TRANSACTION
    if :: ok -> row_b = my :: else fi;
#endif
ended: skip
}

/* ---- one worker: fl_import_step ---- */

#if WITHOUT == RENEW_COMPARE
#define MAY_RENEW (lease != 0)
#else
#define MAY_RENEW (lease == my)
#endif
#if WITHOUT == RELEASE_COMPARE
#define MAY_RELEASE (lease != 0)
#else
#define MAY_RELEASE (lease == my)
#endif
#define FORBIDDEN ((mode == CREATE && is_there) || (mode == IF_VERSION && (!is_there || v != want)))

proctype Import(byte id) ALSO_THE_PROBE
{
    byte v, f, tok, my, mode, want, attempt, limit = ATTEMPTS;
    bool is_there, is_done;
    if
    :: id < WORKERS
    :: id == WORKERS -> /* faults stop, everybody else has died, leases have run out */
        atomic { !is_calm -> probe = _pid; is_calm = true; is_faulty = true; lease = 0; limit = in_flight + 1 }
    fi;
    do
    :: attempt >= limit ->
#if PROBE
        HOLDS(PROGRESS, id < WORKERS || is_done);
#endif
        break
    :: attempt < limit && !is_done ->
        attempt++;
        if
        :: mode = REPLACE
#if MODES >= 2
        :: id < WORKERS -> mode = CREATE
#endif
#if MODES >= 3
        :: id < WORKERS -> atomic { mode = IF_VERSION; want = version }
#endif
        fi;
        /* READ */
        atomic { v = version; f = fence; is_there = present }
        if :: FORBIDDEN -> goto next :: else fi;
        /* LEASE */
#if CHAOS
        atomic {
            nonces++; my = nonces; tok = 1;
            do :: tok < TOKEN_LIMIT -> tok++ :: break od;
            last_lease = lease; lease = my; is_faulty = true
        }
#else
        atomic {
            lease == 0;
            nonces++; my = nonces; last_lease = lease; lease = my;
#if WITHOUT != FLOOR
            if :: counter < f -> counter = f :: else fi;
#endif
            counter++; tok = counter
        }
#endif
#if WITHOUT == READ_BEFORE_LEASE
        atomic { v = version; f = fence; is_there = present }
        if :: FORBIDDEN -> goto release :: else fi;
#endif
#if WITHOUT != TOKEN_ABOVE_FENCE
        if :: tok <= f -> goto release :: else fi; /* fl_fence_check_token */
#endif
        /* CLAIM, CLAIM_CHECK */
        atomic {
            if
            :: MAY_CLAIM(v, f, tok) -> CLAIM(v, f, tok, my); goto load
            :: !MAY_CLAIM(v, f, tok) -> goto release
            :: lost > 0 && !is_calm && MAY_CLAIM(v, f, tok) -> /* it took effect, and nobody knows */
                lost--; is_faulty = true; CLAIM(v, f, tok, my)
            :: lost > 0 && !is_calm -> /* it may take effect later */
                lost--; is_faulty = true; in_flight++; run LateClaim(v, f, tok, my)
            fi
        }
#if WITHOUT == NONCE
        if :: fence == tok :: fence != tok -> goto release fi;
#else
        if :: fence == tok && nonce == my :: else -> goto release fi; /* fl_fence_is_mine */
#endif
load:   /* FETCH, PARSE, RENEW */
        if
        :: atomic { MAY_RENEW -> HOLDS(OWN_LEASE_ONLY, lease == my) }
        :: atomic { !(MAY_RENEW) }
        fi;
        /* COMMIT */
        atomic {
            awaits[id] = my; reply[id] = 0; in_flight++;
            run Commit(id, mode, v, tok, my, want)
        }
        if
#if WITHOUT == COMMAND_TAG
        :: atomic { reply[id] == DONE || reply[id] == ROLLED_BACK ->
#else
        :: atomic { reply[id] == DONE ->
#endif
            HOLDS(ACKNOWLEDGED_IS_KEPT, committed & (1 << my));
            is_done = true;
            if :: tok > acknowledged -> acknowledged = tok :: else fi }
        :: reply[id] == STALE
#if WITHOUT != COMMAND_TAG
        :: reply[id] == ROLLED_BACK
#endif
        :: atomic { lost > 0 && !is_calm -> lost--; is_faulty = true }
        fi;
        atomic { awaits[id] = 0; reply[id] = 0 }
release: /* RELEASE */
        atomic {
            if
            :: MAY_RELEASE -> HOLDS(OWN_LEASE_ONLY, lease == my); last_lease = lease; lease = 0
            :: else
            fi
        }
next:   atomic {
            v = 0; f = 0; tok = 0; my = 0; mode = 0; want = 0; is_there = false;
            if :: id < WORKERS -> is_done = false :: else fi /* its next attempt is another import */
        }
    :: attempt < limit && is_done -> break
    od
}

/* ---- Redis goes wrong ---- */

proctype Redis() BEFORE_THE_END
{
    do
    :: atomic { lease != 0 && expiries > 0 -> expiries--; is_faulty = true; last_lease = lease; lease = 0 }
    :: atomic {
        losses > 0 -> losses--; is_faulty = true;
        if
        :: counter = 0; lease = 0
        :: if :: lease = 0 :: lease = last_lease :: skip fi;
           do :: counter > 0 -> counter-- :: break od
        fi
    }
    od
}

/* ---- PROTOCOL 9: break_claim ---- */

#if BREAKS
proctype Operator() BEFORE_THE_END
{
    byte seen_version, seen_fence, seen_nonce, seen_lease, fresh;
    bool is_broken;
    atomic {
        lease != 0 || fence != 0;
        seen_version = version; seen_fence = fence; seen_nonce = nonce; seen_lease = lease
    }
    atomic {
        is_faulty = true;
        if
        :: version == seen_version && fence == seen_fence && nonce == seen_nonce ->
#if WITHOUT != BREAK_FENCE
            FRESH(fresh); fence++; nonce = fresh; claimant = fresh;
            HOLDS(CLAIMS_RISE, fence > claimed); claimed = fence;
#endif
            broken_lease = (seen_lease != 0 -> seen_lease : 255);
            broken_claim = (seen_nonce != 0 -> seen_nonce : 255);
            is_broken = true
        :: else /* its holder has changed: nothing is broken */
        fi
    }
    atomic { if :: is_broken && lease == seen_lease && lease != 0 -> last_lease = lease; lease = 0 :: else fi }
}
#endif

init
{
    byte i;
    atomic {
        do :: i < WORKERS -> run Import(i); i++ :: else -> break od;
        run Redis();
#if PROBE
        run Import(WORKERS);
#endif
#if BREAKS
        run Operator();
#endif
    }
}
