/* rank.pml - does an older job ever overwrite what a newer one left? (docs/PROTOCOL.md, step 5)
 *
 * Jobs 1..N of one document, each with content A or B, run in any order, each commit atomic under the episode's lock
 * (the claim sees to that; it is the subject of another model). A job whose content is there already is `unchanged`.
 * KEEP=0: it writes its outcome alone. KEEP=1: it leaves its rank behind as well, as the code does.
 *
 *     spin -DKEEP=0 -search rank.pml     assertion violated: job 3 affirmed A, then job 2 wrote B over it
 *     spin -DKEEP=1 -search rank.pml     no errors
 */
#ifndef KEEP
#define KEEP 1
#endif
#ifndef N
#define N 4
#endif

byte content, rank;  /* of the document; content 0 = none */
byte newest, wanted; /* the newest job that was answered imported or unchanged, and its content */
byte finished;

proctype Job(byte id; byte mine)
{
    atomic {
        if
        :: rank > id -> skip /* superseded */
        :: else ->
            if
            :: content == mine ->
                if
                :: KEEP -> rank = id
                :: else -> skip
                fi
            :: else -> content = mine; rank = id
            fi;
            if
            :: id > newest -> newest = id; wanted = mine
            :: else -> skip
            fi
        fi;
        assert(content == wanted);
        finished++
    }
}

init
{
    byte id = 1, mine;
    do
    :: id <= N ->
        if
        :: mine = 1
        :: mine = 2
        fi;
        atomic { run Job(id, mine); id++ }
    :: else -> break
    od;
    finished == N;
    assert(content == wanted)
}
