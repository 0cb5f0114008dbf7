/* jobs.pml - jobs that are delivered several times, lost answers to their commits, the outcome that is written once
 * (docs/PROTOCOL.md, steps 1, 5 b to d, 6 and 7), and the order among the jobs of one document (the rank).
 *
 * There is no lease here and no claim: any number of deliveries run at once, and all that holds them apart is that a
 * commit finds the version that its delivery has read. So whatever holds here holds whatever Redis does. JOBS jobs of
 * one document; job 0 is delivered FIRST times, each other one SECOND times. A delivery may stop between any two steps,
 * for ever. A commit is a message: it is applied at any later time or never, also after its sender gave it up.
 *
 * Each job has any mode and content A or B; the last job may be a retry of the first: then it has its rank.
 * WITHOUT=n leaves one guard out. Which names of the code these are: README.md, which also tells how to run it. */

/* properties: number, and what must hold */
#define ONE_EFFECT 1         /* a job writes its document at most once */
#define SUCCESS_IS_TRUE 2    /* who answers imported has its effect */
#define FAILURE_IS_TRUE 3    /* a job that was answered with anything else has no effect, before or after */
#define ONE_ANSWER 4         /* all answers to one job are the same */
#define REFUSAL_IS_TRUE 5    /* rejected, superseded and unchanged were true when they were written */
#define MODE_IS_KEPT 6       /* create on nothing alone, if-version on that version alone */
#define NEWEST_IS_KEPT 7     /* the content is that of the newest job that was answered imported or unchanged */

/* guards: number, and the property that does not hold without it */
#define WRITE_ONCE 1         /* finds ONE_ANSWER */
#define OUTCOME_IN_COMMIT 2  /* finds ONE_EFFECT */
#define DECIDE_AGAIN 3       /* finds REFUSAL_IS_TRUE */
#define SUPERSEDED 4         /* finds NEWEST_IS_KEPT */
#define RANK_OF_UNCHANGED 5  /* finds NEWEST_IS_KEPT */
#define COMMAND_TAG 6        /* finds SUCCESS_IS_TRUE */
#define ANSWER_FROM_ROW 7    /* finds ONE_ANSWER */
#define JUDGE_AT_COMMIT 8    /* finds NEWEST_IS_KEPT */

#ifndef WITHOUT
#define WITHOUT 0
#endif
#ifndef JOBS
#define JOBS 2
#endif
#ifndef FIRST
#define FIRST 2
#endif
#ifndef SECOND
#define SECOND 1
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 2
#endif
#ifndef LOST
#define LOST 1
#endif
#ifndef ROLLBACKS
#define ROLLBACKS 0
#endif
#ifndef MODES
#define MODES 3
#endif
#define DELIVERIES (FIRST + (JOBS - 1) * SECOND)

#ifndef ONLY
#define ONLY 0 /* n: judge this property alone */
#endif
#define HOLDS(property, what) assert((property == 0) || (ONLY != 0 && ONLY != property) || (what))

#define CREATE 1
#define REPLACE 2
#define IF_VERSION 3

/* outcomes, and what else a commit may answer */
#define OPEN 0
#define IMPORTED 1
#define UNCHANGED 2
#define REJECTED 3
#define SUPERSEDED_ 4
#define FAILED 5
#define STALE 6
#define ROLLED_BACK 7

/* the episode, its document: content 0 = none */
byte version, content, rank;
/* jobs */
byte outcome[JOBS], mode[JOBS], wants[JOBS], body[JOBS], rank_of[JOBS];
/* faults that are left */
byte lost = LOST, rollbacks = ROLLBACKS;
/* what the checker remembers */
byte effects[JOBS], answer[JOBS], newest, newest_content;
/* answers that travel */
byte reply[DELIVERIES], awaits[DELIVERIES];
byte begun; /* deliveries of job 0 begin in the order of their numbers: any other run is one of these, renamed */

#define FORBIDDEN(j) ((mode[j] == CREATE && content != 0) || \
                      (mode[j] == IF_VERSION && (content == 0 || version != wants[j])))

/* ---- judge ---- */
#if WITHOUT == SUPERSEDED
#define JUDGE(j, o) if :: FORBIDDEN(j) -> o = REJECTED :: else -> o = OPEN fi
#else
#define JUDGE(j, o) \
    if \
    :: FORBIDDEN(j) -> o = REJECTED \
    :: !FORBIDDEN(j) && rank > rank_of[j] -> o = SUPERSEDED_ \
    :: else -> o = OPEN \
    fi
#endif

/* the outcome of a job is written */
#define WRITE(j, o) \
    HOLDS(REFUSAL_IS_TRUE, o != REJECTED || FORBIDDEN(j)); \
    HOLDS(REFUSAL_IS_TRUE, o != SUPERSEDED_ || rank > rank_of[j]); \
    HOLDS(REFUSAL_IS_TRUE, o != UNCHANGED || content == body[j]); \
    HOLDS(FAILURE_IS_TRUE, o == IMPORTED || effects[j] == 0); \
    outcome[j] = o

#define CONFIRMS(j) \
    if :: rank_of[j] >= newest -> newest = rank_of[j]; newest_content = body[j] :: else fi

#define TELL(d, n, o) if :: awaits[d] == n -> reply[d] = o :: else fi

/* ---- enter_commit: one transaction ---- */

proctype Commit(byte d, j, v, n)
{
    byte o;
    bool writes;
    atomic {
        if
        :: version != v -> TELL(d, n, STALE); goto ended
        :: version == v && rollbacks > 0 -> rollbacks--; TELL(d, n, ROLLED_BACK); goto ended
#if WITHOUT != WRITE_ONCE && WITHOUT != OUTCOME_IN_COMMIT
        :: version == v && outcome[j] != OPEN -> TELL(d, n, outcome[j]); goto ended
#endif
        :: else
        fi;
#if WITHOUT == JUDGE_AT_COMMIT
        o = OPEN;
#else
        JUDGE(j, o);
#endif
        if
        :: o == OPEN && content == body[j] ->
            o = UNCHANGED;
            WRITE(j, o);
            CONFIRMS(j);
#if WITHOUT != RANK_OF_UNCHANGED
            if :: rank < rank_of[j] -> rank = rank_of[j] :: else fi
#endif
        :: o == OPEN && content != body[j] ->
            o = IMPORTED;
            HOLDS(ONE_EFFECT, effects[j] == 0);
            HOLDS(FAILURE_IS_TRUE, answer[j] == OPEN || answer[j] == IMPORTED);
            HOLDS(MODE_IS_KEPT, !FORBIDDEN(j));
            effects[j]++;
#if WITHOUT != OUTCOME_IN_COMMIT
            WRITE(j, o);
#endif
            content = body[j]; rank = rank_of[j]; version++;
            CONFIRMS(j)
        :: else -> WRITE(j, o)
        fi;
        HOLDS(NEWEST_IS_KEPT, content == newest_content);
        TELL(d, n, o)
    }
ended: skip
}

/* Every answer that anyone gets. */
#define ANSWER(j, o) \
    HOLDS(ONE_ANSWER, answer[j] == OPEN || answer[j] == o); \
    HOLDS(SUCCESS_IS_TRUE, o != IMPORTED || effects[j] > 0); \
    HOLDS(FAILURE_IS_TRUE, o == IMPORTED || effects[j] == 0); \
    if :: answer[j] == OPEN -> answer[j] = o :: else fi

/* ---- one delivery: fl_import_step ---- */

proctype Delivery(byte d, j)
{
    byte v, o, attempt;
    do
    :: attempt >= ATTEMPTS -> break
    :: attempt < ATTEMPTS ->
        attempt++;
        /* READ: one statement, one snapshot */
        atomic {
            if :: j == 0 && attempt == 1 -> begun == d; begun++ :: else fi;
            v = version;
            if
            :: outcome[j] != OPEN -> o = outcome[j]; ANSWER(j, o); break
            :: else -> JUDGE(j, o)
            fi
        }
        if
        :: o != OPEN -> /* DECIDE: decide_job */
            atomic {
                if
#if WITHOUT != WRITE_ONCE
                :: outcome[j] != OPEN -> o = outcome[j]
                :: outcome[j] == OPEN ->
#else
                :: true ->
#endif
#if WITHOUT != DECIDE_AGAIN
                    JUDGE(j, o);
#endif
                    if :: o != OPEN -> WRITE(j, o) :: else fi
                fi
            }
            atomic { if :: o != OPEN -> ANSWER(j, o); break :: else -> goto next fi }
        :: else
        fi;
        /* COMMIT */
        atomic {
            awaits[d] = attempt; reply[d] = OPEN;
            run Commit(d, j, v, attempt)
        }
        if
        :: atomic { reply[d] != OPEN -> o = reply[d]; awaits[d] = 0; reply[d] = OPEN }
        :: atomic { lost > 0 -> lost--; o = OPEN; awaits[d] = 0; reply[d] = OPEN }
        fi;
        if
#if WITHOUT == COMMAND_TAG
        :: o == ROLLED_BACK -> atomic { o = IMPORTED; ANSWER(j, o); break }
#else
        :: o == ROLLED_BACK
#endif
        :: o == STALE
        :: o == OPEN ->
            /* RESOLVE: the row has the last word; or it gives up, which is an outcome like any other, written once */
            if
            :: skip
            :: atomic {
                if
#if WITHOUT != ANSWER_FROM_ROW
                :: outcome[j] != OPEN -> o = outcome[j]
                :: outcome[j] == OPEN -> o = FAILED; WRITE(j, o)
#else
                :: true -> o = FAILED
#endif
                fi }
               atomic { ANSWER(j, o); break }
            fi
        :: o != OPEN && o < STALE ->
#if WITHOUT == OUTCOME_IN_COMMIT
            atomic { if :: outcome[j] == OPEN -> outcome[j] = o :: else fi }
#endif
            atomic { ANSWER(j, o); break }
        fi;
next:   atomic { v = 0; o = 0 }
    od
}

init
{
    byte i, k;
    atomic {
        do
        :: i < JOBS ->
            rank_of[i] = i + 1;
            if :: i == JOBS - 1 && i > 0 -> rank_of[i] = 1 :: true fi;
            if
            :: mode[i] = REPLACE
#if MODES >= 2
            :: mode[i] = CREATE
#endif
#if MODES >= 3
            :: mode[i] = IF_VERSION; if :: wants[i] = 1 :: wants[i] = 2 fi
#endif
            fi;
            if :: body[i] = 1 :: i > 0 -> body[i] = 2 fi;
            i++
        :: else -> break
        od;
        i = 0;
        do
        :: k < DELIVERIES ->
            if
            :: k >= FIRST && (k - FIRST) % SECOND == 0 -> i++
            :: else
            fi;
            run Delivery(k, i);
            k++
        :: else -> break
        od
    }
}
