/* claims.pml - batches of claims: several episodes in one statement, one after the other (docs/PROTOCOL.md, step 3).
 *
 * Each worker has read the episodes of its batch and claims them with one statement in one transaction. The statement
 * takes one row lock after the other and keeps them to the end. As READ COMMITTED has it: a row whose condition is false
 * is passed without waiting; one that is locked is waited for, and the condition is evaluated again on what is there
 * then. Then the transaction commits, or is rolled back (ROLLBACKS times): then each claim goes again alone. Answers may
 * be lost (LOST times): then the worker reads, and takes for its own what has its fence and its nonce. A worker may stop
 * between any two steps, but not with an open transaction: Postgres ends that one's session.
 *
 * Tokens: a worker's are equal to those of the others, as after a Redis that went back, so that nonces alone differ.
 * WITHOUT=n leaves one guard out. Which names of the code these are: README.md, which also tells how to run it. */

/* properties: number, and what must hold */
#define NO_DEADLOCK 1        /* no two statements wait for each other (Spin itself looks for that) */
#define ONE_CLAIMANT 2       /* a fence is claimed once: of those who read the same, one gets it */
#define CLAIMED_IS_TRUE 3    /* who goes on to load has claimed, and is the last one who did */
#define REFUSED_IS_TRUE 4    /* who is told no has not claimed */

/* guards: number, and the property that does not hold without it */
#define BATCH_ORDER 1        /* finds NO_DEADLOCK */
#define CLAIM_CONDITION 2    /* finds ONE_CLAIMANT */
#define END_OF_BATCH 3       /* finds CLAIMED_IS_TRUE */
#define NONCE 4              /* finds CLAIMED_IS_TRUE */

#ifndef WITHOUT
#define WITHOUT 0
#endif
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef EPISODES
#define EPISODES 2
#endif
#ifndef ROLLBACKS
#define ROLLBACKS 1
#endif
#ifndef LOST
#define LOST 1
#endif

#ifndef ONLY
#define ONLY 0 /* n: judge this property alone */
#endif
#define HOLDS(property, what) assert((property == 0) || (ONLY != 0 && ONLY != property) || (what))
#define FREE 255
#define TOKEN(f) (f + 1)
#define MINE(w) (w + 1) /* nonce of a worker */

/* rows of episodes: what is committed, and who has the lock */
byte fence[EPISODES], nonce[EPISODES], locker[EPISODES] = FREE;
/* faults that are left */
byte rollbacks = ROLLBACKS, lost = LOST;
/* what the checker remembers: how often each fence was claimed, by whom last */
byte claims[EPISODES * (WORKERS + 1)], claimant[EPISODES];

#define CONDITION(e) (fence[e] == read_fence[e])

inline apply(e)
{
    fence[e] = TOKEN(read_fence[e]); nonce[e] = MINE(id); claimant[e] = MINE(id);
    HOLDS(ONE_CLAIMANT, claims[e * (WORKERS + 1) + fence[e]] == 0);
    claims[e * (WORKERS + 1) + fence[e]]++
}

/* one row of claim_episodes: takes its lock if the condition holds */
inline claim_row(e)
{
    if
    :: atomic { !CONDITION(e) } /* false on the snapshot: neither lock nor wait */
#if WITHOUT == CLAIM_CONDITION
    :: atomic { CONDITION(e) -> skip }; /* seen by a statement before, and not again under the lock */
       atomic { locker[e] == FREE -> locker[e] = id; has[e] = true }
#else
    :: atomic { CONDITION(e) && locker[e] == FREE -> locker[e] = id; has[e] = true }
    :: atomic { CONDITION(e) && locker[e] != FREE -> skip };
       atomic { locker[e] == FREE -> if :: CONDITION(e) -> locker[e] = id; has[e] = true :: else fi }
#endif
    fi
}

/* COMMIT or ROLLBACK: all rows at one moment */
inline end_statement(commits)
{
    i = 0;
    do
    :: i < EPISODES ->
        if
        :: has[i] && commits -> apply(i)
        :: else
        fi;
        if :: locker[i] == id -> locker[i] = FREE :: else fi;
        i++
    :: else -> break
    od
}

#define IS_MINE(e) (fence[e] == TOKEN(read_fence[e]) && nonce[e] == MINE(id))

/* the import of one episode is told */
inline tell(e, is_claimed)
{
    HOLDS(CLAIMED_IS_TRUE, !(is_claimed) || claimant[e] == MINE(id) || fence[e] > TOKEN(read_fence[e]));
    HOLDS(REFUSED_IS_TRUE, is_claimed || claimant[e] != MINE(id))
}

proctype Worker(byte id)
{
    byte i, k, order[EPISODES], read_fence[EPISODES];
    bool wanted[EPISODES], has[EPISODES], is_rolled_back, is_lost;
    /* any batch: which episodes, and in which order they came in */
    atomic {
        do
        :: i < EPISODES ->
            read_fence[i] = fence[i]; order[i] = i;
            if :: wanted[i] = true :: wanted[i] = false fi;
            i++
        :: else -> break
        od;
#if WITHOUT == BATCH_ORDER
        if
        :: true
        :: true -> i = order[0]; order[0] = order[EPISODES - 1]; order[EPISODES - 1] = i
        fi;
#endif
        i = 0
    }
    /* the statement */
    k = 0;
    do
    :: k < EPISODES ->
        if
        :: wanted[order[k]] -> claim_row(order[k])
        :: else
        fi;
        k++
    :: else -> break
    od;
#if WITHOUT == END_OF_BATCH
    /* answers are taken from the statement's result, before the transaction has ended */
    atomic { k = 0; do :: k < EPISODES -> if :: wanted[k] && has[k] -> wanted[k] = false; is_lost = true :: else fi; k++
                       :: else -> break od }
#endif
    atomic {
        if
        :: end_statement(true)
        :: rollbacks > 0 -> rollbacks--; end_statement(false); is_rolled_back = true
        fi;
#if WITHOUT == END_OF_BATCH
        k = 0;
        do
        :: k < EPISODES -> if :: has[k] -> tell(k, true) :: else fi; k++
        :: else -> break
        od;
        goto over
#endif
    }
    if
    :: is_rolled_back -> goto alone
    :: !is_rolled_back
    :: atomic { lost > 0 && !is_rolled_back -> lost--; is_lost = true }
    fi;
    if
    :: is_lost -> /* CLAIM_CHECK */
        atomic {
            k = 0;
            do
            :: k < EPISODES ->
                if
#if WITHOUT == NONCE
                :: wanted[k] && fence[k] == TOKEN(read_fence[k]) -> tell(k, true)
#else
                :: wanted[k] && IS_MINE(k) -> tell(k, true)
#endif
                :: else
                fi;
                k++
            :: else -> break
            od
        }
    :: else ->
        atomic {
            k = 0;
            do
            :: k < EPISODES ->
                if
                :: wanted[k] && has[k] -> tell(k, true)
                :: wanted[k] && !has[k] -> tell(k, false)
                :: else
                fi;
                k++
            :: else -> break
            od
        }
    fi;
    goto over;
alone: /* requeue_alone: one statement each */
    k = 0;
    do
    :: k < EPISODES ->
        has[k] = false;
        if
        :: wanted[k] ->
            claim_row(k);
            atomic {
                if
                :: has[k] -> apply(k); locker[k] = FREE; tell(k, true)
                :: else -> tell(k, false)
                fi
            }
        :: else
        fi;
        k++
    :: else -> break
    od;
over: skip
}

init
{
    byte i;
    atomic { do :: i < WORKERS -> run Worker(i); i++ :: else -> break od }
}
