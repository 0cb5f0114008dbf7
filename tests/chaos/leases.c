/* leases.c - see leases.h.
 *
 * MONITOR shows a script with its arguments, and after it each command that the script gives. The nonce that
 * a script was called with is held against the one that the lease was last set with. What a lease was before
 * the log began, or after it was deleted or lost, is not known, and then anybody may. Failure modes: a line
 * that was cut off at the end of the log is ignored. */
#include "leases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { WORDS = 16, WORD_BYTES = 160, NONCE_BYTES = 32, EPISODES = 1024 };

static const char TAIL[] = ":lease";

struct line {
    char words[WORDS][WORD_BYTES]; /* cut off at that; the last ones of a long line are missing */
    int count;
    bool is_in_script;
};

struct lease {
    char key[WORD_BYTES], nonce[NONCE_BYTES + 1]; /* "" = not known */
};

struct leases {
    struct judge *judge;
    struct lease list[EPISODES];
    int count;
    char caller[NONCE_BYTES + 1]; /* the nonce that the script was called with */
};

/* TIME [0 WHO] "WORD" "WORD" ..., as redis-cli prints it; quotes and the like are escaped. */
static bool read_line(const char *text, struct line *line)
{
    const char *at = strchr(text, ']');
    if (!at || text[strlen(text) - 1] != '\n')
        return false;
    line->count = 0;
    line->is_in_script = at - text >= 4 && memcmp(at - 4, " lua", 4) == 0;
    while (line->count < WORDS && (at = strchr(at, '"')) != NULL) {
        char *word = line->words[line->count++];
        size_t length = 0;
        for (at++; *at && *at != '"'; at++) {
            if (*at == '\\' && at[1])
                at++;
            if (length + 1 < WORD_BYTES)
                word[length++] = *at;
        }
        word[length] = '\0';
        at += *at == '"';
    }
    return line->count > 0;
}

static bool is_lease(const char *key)
{
    size_t length = strlen(key), tail = sizeof TAIL - 1;
    return length > tail && strcmp(key + length - tail, TAIL) == 0;
}

static struct lease *lease_of(struct leases *leases, const char *key)
{
    int i = 0;
    while (i < leases->count && strcmp(leases->list[i].key, key) != 0)
        i++;
    if (i == EPISODES)
        abort();
    if (i == leases->count) {
        leases->list[leases->count++] = (struct lease){0};
        snprintf(leases->list[i].key, WORD_BYTES, "%s", key);
    }
    return &leases->list[i];
}

/* EVALSHA DIGEST KEYS key... nonce ...: of the scripts of a lease the nonce is the first argument. */
static void begin_command(struct leases *leases, const struct line *line)
{
    bool is_script =
        line->count > 3 && (strcmp(line->words[0], "EVALSHA") == 0 || strcmp(line->words[0], "EVAL") == 0);
    int nonce = is_script ? 3 + atoi(line->words[2]) : 0;
    leases->caller[0] = '\0';
    if (is_script && nonce < line->count && is_lease(line->words[3]))
        snprintf(leases->caller, sizeof leases->caller, "%.*s", NONCE_BYTES, line->words[nonce]);
}

static void judge_write(struct leases *leases, const struct line *line)
{
    const char *command = line->words[0], *key = line->words[1];
    struct lease *lease = lease_of(leases, key);
    bool is_set = line->count > 2 && strcasecmp(command, "SET") == 0,
         is_renewed = strcasecmp(command, "PEXPIRE") == 0;
    char owner[NONCE_BYTES + 1];
    snprintf(owner, sizeof owner, "%.*s", NONCE_BYTES, is_set ? line->words[2] : lease->nonce);
    leases->judge->leases++;
    if ((is_set || owner[0]) && strcmp(owner, leases->caller) != 0)
        judge_report(leases->judge, 10, key, "%s of the lease of nonce %s by nonce %s", command, owner,
                     leases->caller[0] ? leases->caller : "(none)");
    snprintf(lease->nonce, sizeof lease->nonce, "%s", is_set || is_renewed ? owner : "");
}

static void judge_line(struct leases *leases, const struct line *line)
{
    static const char *const READS[] = {"GET", "PTTL", "GETRANGE", "EXISTS", "TYPE", "EVAL", "EVALSHA"};
    if (strcasecmp(line->words[0], "FLUSHALL") == 0)
        leases->count = 0;
    if (!line->is_in_script)
        begin_command(leases, line);
    for (size_t i = 0; i < sizeof READS / sizeof *READS; i++)
        if (strcasecmp(line->words[0], READS[i]) == 0)
            return;
    if (line->count > 1 && is_lease(line->words[1]))
        judge_write(leases, line);
}

bool leases_judge(struct judge *judge, const char *path)
{
    static struct leases leases;
    static struct line line;
    char *text = NULL;
    size_t room = 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    memset(&leases, 0, sizeof leases);
    leases.judge = judge;
    while (getline(&text, &room, file) > 0)
        if (read_line(text, &line))
            judge_line(&leases, &line);
    free(text);
    fclose(file);
    return true;
}
