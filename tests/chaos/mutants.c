/* mutants.c - see mutants.h. Only guards that live in SQL: those of the C code and of Lua are the
 * simulator's. */
#include "mutants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/fenceline.h"

static const struct mutant {
    const char *name, *function, *from, *to;
} MUTANTS[] = {
    {"claim-condition", "claim_episodes",
     "WHERE episode_id = episode_ids[i] AND version = versions[i] AND fence = fences[i] AND tokens[i] > "
     "fence;",
     "WHERE episode_id = episode_ids[i];"},
    {"commit-guard", "enter_commit", "AND e.version = ver AND e.fence = tok AND e.nonce = my_nonce", ""},
    {"outcome-once", "enter_commit", "WHERE job_id = id AND outcome IS NULL;", "WHERE job_id = id;"},
    {"rank", "judge", "d.rank > coalesce(j.rank, j.job_id)", "false"},
    {"mode-under-lock", "enter_commit", "fenceline.judge(k, d) v WHERE k.job_id = id;",
     "fenceline.judge(k, d) v WHERE false;"},
    {"ground-under-lock", "decide_job", "IF want IN ('rejected', 'superseded') THEN", "IF false THEN"},
    {"version", "enter_commit",
     "UPDATE fenceline.episodes SET version = tok WHERE episode_id = j.episode_id;", ""},
    {"break-raises-fence", "break_claim",
     "fence = e.fence + 1, nonce = replace(gen_random_uuid()::text, '-', '')",
     "fence = e.fence, nonce = e.nonce"},
    {"unchanged-rank", "enter_commit", "IF a.outcome = 'unchanged' THEN", "IF false THEN"},
};

void mutants_apply(const char *name)
{
    for (size_t i = 0; i < sizeof MUTANTS / sizeof *MUTANTS; i++) {
        const struct mutant *mutant = &MUTANTS[i];
        if (strcmp(mutant->name, name) != 0)
            continue;
        char *sql = db_text(fenceline.db,
                            "SELECT replace(pg_get_functiondef(oid), $2, $3) FROM pg_proc WHERE proname = $1"
                            " AND pronamespace = 'fenceline'::regnamespace"
                            " AND position($2 IN pg_get_functiondef(oid)) > 0",
                            mutant->function, mutant->from, mutant->to);
        if (!sql)
            LIB_FAIL("%s: fenceline.%s does not hold that guard any more", name, mutant->function);
        db_exec(fenceline.db, sql);
        free(sql);
        return;
    }
    for (size_t i = 0; i < sizeof MUTANTS / sizeof *MUTANTS; i++)
        print_error("  %s\n", MUTANTS[i].name);
    LIB_FAIL("no such mutant: %s; those above are known", name);
}
