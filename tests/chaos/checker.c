/* checker.c - judges a run of the chaos test: `checker DSN LOG [MONITOR...]`.
 *
 * It knows only the database (what the triggers of audit.c have written down, and what is stored in the end),
 * the log of what programs answered, and what each Redis was told as MONITOR shows it (leases.c). Happy path:
 * read the changes of one episode after the other, judge them (judge.c), compare the jobs' rows, then the
 * answers, print the counts. Exit code 0: all true; 1: something is not; 2: it could not be judged, which is
 * no success either.
 *
 * Lines of the log, words with one blank in between:
 *     enqueued JOB                                       a job was enqueued
 *     answer JOB OUTCOME VERSION ROWS EXIT               a program said so (VERSION, ROWS -1: it said none)
 *     broken EPISODE SEEN_FENCE NEW_FENCE                a break was acknowledged
 *     calm JOB                                           jobs above JOB ran without faults
 *     fault COUNT KIND                                   so many of this kind were injected
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "judge.h"
#include "leases.h"

enum { LINE_BYTES = 512, EXIT_WRONG = 1, EXIT_UNKNOWN = 2, EVENTS_START = 1024 };

static const char EVENTS_SQL[] =
    "SELECT episode, what, c.n, a.xid, job, version, old_version, fence, old_fence, if_version, rank, "
    "row_count, token,"
    "       kind, mode, outcome, nonce, digest, source, deleted, queued"
    "  FROM chaos.audit a JOIN chaos.commits c USING (xid) ORDER BY episode, c.n, seq";
enum {
    EPISODE,
    WHAT,
    COMMIT,
    XID,
    JOB,
    VERSION,
    OLD_VERSION,
    FENCE,
    OLD_FENCE,
    IF_VERSION,
    RANK,
    ROW_COUNT,
    TOKEN,
    KIND,
    MODE,
    OUTCOME,
    NONCE,
    DIGEST,
    SOURCE,
    IS_DELETED,
    QUEUED
};

static const char FINAL_SQL[] =
    "SELECT e.episode_id, e.version, e.fence, c.version, c.job_id, coalesce(c.deleted, false), rc.row_count, "
    "rc.digest,"
    "       t.version, t.job_id, coalesce(t.deleted, false), rt.row_count, rt.digest"
    "  FROM fenceline.episodes e"
    "  LEFT JOIN fenceline.documents c ON c.episode_id = e.episode_id AND c.kind = 'chapters'"
    "  LEFT JOIN fenceline.documents t ON t.episode_id = e.episode_id AND t.kind = 'transcript',"
    "       chaos.rows_digest(e.episode_id, 'chapters') rc, chaos.rows_digest(e.episode_id, 'transcript') rt"
    " ORDER BY e.episode_id COLLATE \"C\"";

struct episode {
    struct event *events;
    size_t count, room;
    char name[JUDGE_TEXT_BYTES];
};

static void give_up(const char *what, const char *why)
{
    fprintf(stderr, "checker: %s: %s\n", what, why);
    exit(EXIT_UNKNOWN);
}

/* ---- rows of results ---- */

static int64_t number(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) ? JUDGE_NONE : strtoll(PQgetvalue(result, row, column), NULL, 10);
}

static void text(const PGresult *result, int row, int column, char copy[JUDGE_TEXT_BYTES])
{
    const char *value = PQgetvalue(result, row, column);
    if (strlen(value) >= JUDGE_TEXT_BYTES)
        give_up("a text is too long", value);
    snprintf(copy, JUDGE_TEXT_BYTES, "%s", value);
}

static bool is_true(const PGresult *result, int row, int column)
{
    return PQgetvalue(result, row, column)[0] == 't';
}

static enum event_what what_of(const char *name)
{
    static const char *const NAMES[] = {"new episode", "episode",  "job",  "outcome",
                                        "rows",        "document", "break"};
    size_t i = 0;
    while (i < sizeof NAMES / sizeof *NAMES && strcmp(NAMES[i], name) != 0)
        i++;
    return (enum event_what)i;
}

static enum judge_mode mode_of(const char *name)
{
    static const char *const NAMES[] = {"create", "replace", "if-version", "delete"};
    size_t i = 0;
    while (i < 3 && strcmp(NAMES[i], name) != 0)
        i++;
    return (enum judge_mode)i;
}

static struct event read_event(const PGresult *row)
{
    struct event event = {
        .what = what_of(PQgetvalue(row, 0, WHAT)),
        .commit = number(row, 0, COMMIT),
        .xid = number(row, 0, XID),
        .job = number(row, 0, JOB),
        .version = number(row, 0, VERSION),
        .old_version = number(row, 0, OLD_VERSION),
        .fence = number(row, 0, FENCE),
        .old_fence = number(row, 0, OLD_FENCE),
        .if_version = number(row, 0, IF_VERSION),
        .rank = number(row, 0, RANK),
        .row_count = number(row, 0, ROW_COUNT),
        .token = number(row, 0, TOKEN),
        .kind = strcmp(PQgetvalue(row, 0, KIND), "transcript") == 0 ? CONTENT_TRANSCRIPT : CONTENT_CHAPTERS,
        .mode = mode_of(PQgetvalue(row, 0, MODE)),
        .outcome = PQgetisnull(row, 0, OUTCOME) ? OPEN : judge_outcome_from(PQgetvalue(row, 0, OUTCOME)),
        .number = content_number(PQgetvalue(row, 0, SOURCE)),
        .deleted = is_true(row, 0, IS_DELETED),
        .queued = is_true(row, 0, QUEUED),
    };
    text(row, 0, WHAT, event.name);
    text(row, 0, NONCE, event.nonce);
    text(row, 0, DIGEST, event.digest);
    return event;
}

/* ---- episodes ---- */

struct finals {
    PGresult *result;
    int next;
};

static struct judge_final read_final(const PGresult *result, int row)
{
    enum { OF_CHAPTERS = 3, OF_TRANSCRIPT = 8 };
    static const int FIRST[CONTENT_KINDS] = {
        [CONTENT_CHAPTERS] = OF_CHAPTERS, [CONTENT_TRANSCRIPT] = OF_TRANSCRIPT};
    struct judge_final final = {.version = number(result, row, 1), .fence = number(result, row, 2)};
    for (int kind = 0; kind < CONTENT_KINDS; kind++) {
        int at = FIRST[kind];
        final.doc_version[kind] = number(result, row, at);
        final.doc_job[kind] = number(result, row, at + 1);
        final.doc_deleted[kind] = is_true(result, row, at + 2);
        final.rows[kind] = number(result, row, at + 3);
        text(result, row, at + 4, final.digest[kind]);
    }
    return final;
}

static void end_episode(struct judge *judge, struct episode *episode, struct finals *finals)
{
    if (episode->count == 0)
        return;
    bool is_stored = finals->next < PQntuples(finals->result) &&
                     strcmp(PQgetvalue(finals->result, finals->next, 0), episode->name) == 0;
    if (is_stored) {
        struct judge_final final = read_final(finals->result, finals->next++);
        judge_episode(judge, episode->name, episode->events, episode->count, &final);
    } else {
        judge_report(judge, 3, episode->name, "its row has gone");
    }
    episode->count = 0;
}

static void take_event(struct judge *judge, struct episode *episode, struct finals *finals,
                       const PGresult *row)
{
    if (strcmp(PQgetvalue(row, 0, EPISODE), episode->name) != 0)
        end_episode(judge, episode, finals);
    text(row, 0, EPISODE, episode->name);
    if (episode->count == episode->room) {
        episode->room = episode->room ? 2 * episode->room : EVENTS_START;
        episode->events = realloc(episode->events, episode->room * sizeof *episode->events);
        if (!episode->events)
            abort();
    }
    episode->events[episode->count++] = read_event(row);
}

static PGresult *ask(PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        give_up("cannot ask Postgres", PQerrorMessage(conn));
    return result;
}

static void judge_episodes(struct judge *judge, PGconn *conn)
{
    struct episode episode = {0};
    struct finals finals = {.result = ask(conn, FINAL_SQL)};
    if (!PQsendQuery(conn, EVENTS_SQL) || !PQsetSingleRowMode(conn))
        give_up("cannot ask Postgres", PQerrorMessage(conn));
    for (PGresult *row; (row = PQgetResult(conn)) != NULL; PQclear(row)) {
        ExecStatusType status = PQresultStatus(row);
        if (status == PGRES_SINGLE_TUPLE)
            take_event(judge, &episode, &finals, row);
        else if (status != PGRES_TUPLES_OK)
            give_up("cannot read the changes", PQerrorMessage(conn));
    }
    end_episode(judge, &episode, &finals);
    if (finals.next != PQntuples(finals.result))
        judge_report(judge, 3, PQgetvalue(finals.result, finals.next, 0), "it is stored, and has no history");
    PQclear(finals.result);
    free(episode.events);
}

static void judge_jobs(struct judge *judge, PGconn *conn)
{
    PGresult *result = ask(conn, "SELECT job_id, coalesce(outcome, 'open'), version, row_count, attempts FROM"
                                 " fenceline.jobs ORDER BY job_id");
    for (int i = 0; i < PQntuples(result); i++)
        judge_final_job(judge, number(result, i, 0), judge_outcome_from(PQgetvalue(result, i, 1)),
                        number(result, i, 2), number(result, i, 3), number(result, i, 4));
    if ((uint64_t)PQntuples(result) != judge->jobs_count)
        judge_report(judge, 3, "*", "%d jobs are stored, and %" PRIu64 " were inserted", PQntuples(result),
                     judge->jobs_count);
    PQclear(result);
}

/* ---- the log ---- */

static bool is_on_record(PGconn *conn, const char *episode, int64_t seen, int64_t raised)
{
    char numbers[2][24];
    const char *const params[] = {episode, numbers[0], numbers[1]};
    snprintf(numbers[0], sizeof numbers[0], "%" PRId64, seen);
    snprintf(numbers[1], sizeof numbers[1], "%" PRId64, raised);
    PGresult *result = PQexecParams(conn,
                                    "SELECT 1 FROM chaos.audit WHERE what = 'break' AND episode = $1"
                                    " AND old_fence = $2::bigint AND fence = $3::bigint",
                                    3, NULL, params, NULL, NULL, 0);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        give_up("cannot ask Postgres", PQerrorMessage(conn));
    bool found = PQntuples(result) == 1;
    PQclear(result);
    return found;
}

static void judge_line(struct judge *judge, PGconn *conn, const char *line)
{
    char word[JUDGE_TEXT_BYTES];
    int64_t job, version, rows, code;
    if (sscanf(line, "enqueued %" SCNd64, &job) == 1)
        judge_enqueued(judge, job);
    else if (sscanf(line, "answer %" SCNd64 " %39s %" SCNd64 " %" SCNd64 " %" SCNd64, &job, word, &version,
                    &rows, &code) == 5)
        judge_answer(judge, job, judge_outcome_from(word), version, rows, code);
    else if (sscanf(line, "broken %39s %" SCNd64 " %" SCNd64, word, &version, &rows) == 3)
        judge_break(judge, word, version, rows, is_on_record(conn, word, version, rows));
    else if (strncmp(line, "fault ", 6) != 0 && strncmp(line, "calm ", 5) != 0)
        give_up("a line of the log is not understood", line);
}

/* Before all the rest: from which job on there was calm. After it: the answers. */
static void read_log(struct judge *judge, PGconn *conn, const char *path, bool is_first)
{
    char line[LINE_BYTES];
    FILE *file = fopen(path, "re");
    if (!file)
        give_up("cannot read the log", path);
    while (fgets(line, sizeof line, file)) {
        if (!is_first)
            judge_line(judge, conn, line);
        else if (strncmp(line, "calm ", 5) == 0)
            judge->calm_after_job = strtoll(line + 5, NULL, 10);
        else if (strncmp(line, "fault ", 6) == 0 && strncmp(line, "fault 0 ", 8) != 0)
            printf("  %s", line);
    }
    fclose(file);
}

static uint64_t decided_of(const struct judge *judge)
{
    uint64_t decided = 0;
    for (int i = OPEN + 1; i < JUDGE_OUTCOMES; i++)
        decided += judge->counts[i];
    return decided;
}

static void print_counts(const struct judge *judge)
{
    uint64_t decided = decided_of(judge);
    printf("%" PRIu64 " imports judged:", decided);
    for (int i = OPEN + 1; i < JUDGE_OUTCOMES; i++)
        printf(" %" PRIu64 " %s%s", judge->counts[i], judge_outcome_name((enum judge_outcome)i),
               i + 1 < JUDGE_OUTCOMES ? "," : "\n");
    printf("%" PRIu64 " changes, %" PRIu64 " claims (%" PRIu64 " overtaken), %" PRIu64 " versions, %" PRIu64
           " breaks, %" PRIu64 " answers, %" PRIu64 " enqueued, %" PRIu64
           " leases set, renewed or deleted, at most %" PRIu64 " attempts at a job\n",
           judge->events, judge->claims, judge->overtaken, judge->versions, judge->breaks, judge->answers,
           judge->enqueues, judge->leases, judge->most_attempts);
    printf("%" PRIu64 " violation%s\n", judge->violations, judge->violations == 1 ? "" : "s");
}

int main(int argc, char **argv)
{
    struct judge judge = {.calm_after_job = JUDGE_NONE};
    if (argc < 3)
        give_up("usage", "checker DSN LOG [MONITOR...]");
    PGconn *conn = PQconnectdb(argv[1]);
    if (PQstatus(conn) != CONNECTION_OK)
        give_up("cannot connect", PQerrorMessage(conn));
    read_log(&judge, conn, argv[2], true);
    judge_episodes(&judge, conn);
    judge_jobs(&judge, conn);
    read_log(&judge, conn, argv[2], false);
    for (int i = 3; i < argc; i++)
        if (!leases_judge(&judge, argv[i]))
            give_up("cannot read what Redis was told", argv[i]);
    print_counts(&judge);
    if (argc > 3 && judge.leases == 0)
        give_up("nothing to judge", "Redis was told of no lease");
    if (decided_of(&judge) == 0)
        give_up("nothing to judge", "no job was decided in this database");
    PQfinish(conn);
    judge_release(&judge);
    return judge.violations ? EXIT_WRONG : 0;
}
