/* cases_document.c - what a job of each mode may do to a document in each state, as READ tells it, as COMMIT
 * and DECIDE judge it (PROTOCOL 1, 5 and 7). Three questions on each row of one table. See contract.h. */
#include "attempt.h"

/* What the job finds. Newer, older: the rank of the document, beside the job's. */
enum state { NONE, OLDER, OLDER_DELETED, NEWER, NEWER_DELETED };

enum { OTHER_VERSION = 4000000, THIS_VERSION = -1 };

struct row {
    enum state state;
    enum fl_kind kind;
    enum fl_mode mode;
    int64_t if_version; /* THIS_VERSION = of the document that is there */
    int content;        /* the document that is there is document 0 */
    enum fl_outcome outcome;
};

#define CH FL_CHAPTERS
#define TR FL_TRANSCRIPT
#define ROWS(X)                                                                                              \
    X("create on nothing", NONE, CH, CREATE, 0, 1, IMPORTED)                                                 \
    X("create on nothing, transcript", NONE, TR, CREATE, 0, 1, IMPORTED)                                     \
    X("replace on nothing", NONE, TR, REPLACE, 0, 1, IMPORTED)                                               \
    X("if-version 0 on nothing", NONE, CH, IF_VERSION, 0, 1, IMPORTED)                                       \
    X("if-version on nothing", NONE, CH, IF_VERSION, OTHER_VERSION, 1, REJECTED)                             \
    X("delete of nothing", NONE, CH, DELETE, 0, -1, UNCHANGED)                                               \
    X("create on an older one", OLDER, CH, CREATE, 0, 1, REJECTED)                                           \
    X("create of the same content", OLDER, CH, CREATE, 0, 0, REJECTED)                                       \
    X("replace of an older one", OLDER, CH, REPLACE, 0, 1, IMPORTED)                                         \
    X("replace of an older one, transcript", OLDER, TR, REPLACE, 0, 1, IMPORTED)                             \
    X("replace by the same content", OLDER, CH, REPLACE, 0, 0, UNCHANGED)                                    \
    X("replace by the same content, transcript", OLDER, TR, REPLACE, 0, 0, UNCHANGED)                        \
    X("if-version 0 on an older one", OLDER, CH, IF_VERSION, 0, 1, REJECTED)                                 \
    X("if-version, the right one", OLDER, CH, IF_VERSION, THIS_VERSION, 1, IMPORTED)                         \
    X("if-version, the right one, same content", OLDER, TR, IF_VERSION, THIS_VERSION, 0, UNCHANGED)          \
    X("if-version, a wrong one", OLDER, CH, IF_VERSION, OTHER_VERSION, 1, REJECTED)                          \
    X("delete of an older one", OLDER, CH, DELETE, 0, -1, DELETED)                                           \
    X("delete of an older one, transcript", OLDER, TR, DELETE, 0, -1, DELETED)                               \
    X("create on a deleted one", OLDER_DELETED, CH, CREATE, 0, 1, IMPORTED)                                  \
    X("replace of a deleted one", OLDER_DELETED, CH, REPLACE, 0, 0, IMPORTED)                                \
    X("if-version 0 on a deleted one", OLDER_DELETED, TR, IF_VERSION, 0, 1, IMPORTED)                        \
    X("if-version of the deletion", OLDER_DELETED, CH, IF_VERSION, THIS_VERSION, 1, REJECTED)                \
    X("delete of a deleted one", OLDER_DELETED, CH, DELETE, 0, -1, UNCHANGED)                                \
    X("create on a newer one", NEWER, CH, CREATE, 0, 1, REJECTED)                                            \
    X("replace of a newer one", NEWER, CH, REPLACE, 0, 1, SUPERSEDED)                                        \
    X("replace of a newer one by the same content", NEWER, TR, REPLACE, 0, 0, SUPERSEDED)                    \
    X("if-version of a newer one", NEWER, CH, IF_VERSION, THIS_VERSION, 1, SUPERSEDED)                       \
    X("if-version, a wrong one, of a newer one", NEWER, CH, IF_VERSION, OTHER_VERSION, 1, REJECTED)          \
    X("delete of a newer one", NEWER, CH, DELETE, 0, -1, SUPERSEDED)                                         \
    X("create after a newer deletion", NEWER_DELETED, CH, CREATE, 0, 1, SUPERSEDED)                          \
    X("replace after a newer deletion", NEWER_DELETED, TR, REPLACE, 0, 1, SUPERSEDED)                        \
    X("if-version 0 after a newer deletion", NEWER_DELETED, CH, IF_VERSION, 0, 1, SUPERSEDED)                \
    X("if-version after a newer deletion", NEWER_DELETED, CH, IF_VERSION, THIS_VERSION, 1, REJECTED)         \
    X("delete after a newer deletion", NEWER_DELETED, CH, DELETE, 0, -1, SUPERSEDED)

static int64_t first; /* older than all that the row is about */

/* Brings the document into the row's state. */
static void set_up(const struct row *row)
{
    first = contract_add(row->kind, FL_MODE_REPLACE);
    if (row->state != NONE)
        contract_import(0, row->kind, 0);
    if (row->state == OLDER_DELETED || row->state == NEWER_DELETED)
        contract_delete(0, row->kind);
}

/* A job as the row says. Its if_version must be known before it exists, so a newer document than it is one
 * that is newer than its rank. */
static struct attempt *add_job(const struct row *row)
{
    struct contract_document document = contract.backend->document(contract.episodes[0], row->kind);
    bool is_newer = row->state == NEWER || row->state == NEWER_DELETED;
    const struct contract_job job = {.episode = contract.episodes[0],
                                     .kind = row->kind,
                                     .mode = row->mode,
                                     .if_version =
                                         row->if_version == THIS_VERSION ? document.version : row->if_version,
                                     .rank = is_newer ? first : 0};
    struct attempt *a = contract_attempt(0, 0, contract_add_job(&job), row->kind, row->mode);
    a->import.job.if_version = job.if_version;
    return a;
}

static void check_read(const struct row *row)
{
    struct attempt *a = add_job(row);
    struct contract_document document = contract.backend->document(contract.episodes[0], row->kind);
    const struct fl_event *ev = contract_ask(a, FL_ACTION_READ);
    bool is_newer = row->state == NEWER || row->state == NEWER_DELETED;
    assert_true(ev->read.job_found);
    assert_int_equal(ev->read.answer.outcome, FL_OUTCOME_OPEN);
    assert_int_equal(ev->read.episode_found, row->state != NONE);
    assert_int_equal(ev->read.document_found, row->state != NONE);
    if (row->state == NONE)
        return;
    struct contract_episode episode = contract_row_of(0);
    assert_int_equal(ev->read.version.n, episode.version);
    assert_int_equal(ev->read.fence.n, episode.fence);
    assert_int_equal(ev->read.document_deleted, row->state == OLDER_DELETED || row->state == NEWER_DELETED);
    assert_int_equal(ev->read.document_version, document.version);
    assert_int_equal(ev->read.document_rank, document.rank);
    assert_int_equal(ev->read.document_rank > ev->read.rank, is_newer);
}

static void check_written(const struct row *row, const struct attempt *a)
{
    struct contract_document document = contract.backend->document(contract.episodes[0], row->kind);
    bool is_deleted = row->outcome == FL_OUTCOME_DELETED;
    assert_true(document.is_there);
    assert_int_equal(document.is_deleted, is_deleted);
    assert_int_equal(document.version, a->import.lease.token.n);
    assert_int_equal(document.job_id, a->import.job.job_id);
    assert_int_equal(document.rank, a->import.job.job_id);
    assert_int_equal(document.content, is_deleted ? -1 : row->content);
    assert_int_equal(document.row_count,
                     is_deleted ? 0 : (int64_t)contract_document(row->kind, row->content)->row_count);
    assert_int_equal(a->answer.committed.answer.version, a->import.lease.token.n);
    assert_int_equal(contract_row_of(0).version, a->import.lease.token.n);
}

static void check_commit(const struct row *row)
{
    struct attempt *a = add_job(row);
    contract_take(a);
    struct contract_document before = contract.backend->document(contract.episodes[0], row->kind);
    struct contract_episode episode = contract_row_of(0);
    const struct fl_event *ev = contract_commit(a, row->content);
    assert_int_equal(ev->committed.status, FL_COMMIT_DONE);
    assert_string_equal(fl_outcome_name(ev->committed.answer.outcome), fl_outcome_name(row->outcome));
    struct contract_row written = contract.backend->row(a->import.job.job_id);
    struct contract_document after = contract.backend->document(contract.episodes[0], row->kind);
    assert_string_equal(fl_outcome_name(written.outcome), fl_outcome_name(row->outcome));
    assert_int_equal(written.version, ev->committed.answer.version);
    assert_int_equal(written.row_count, ev->committed.answer.row_count);
    assert_int_equal(written.row_count, after.row_count);
    if (row->outcome == FL_OUTCOME_IMPORTED || row->outcome == FL_OUTCOME_DELETED) {
        check_written(row, a);
        return;
    }
    assert_int_equal(written.version, before.version);
    if (row->outcome == FL_OUTCOME_UNCHANGED && before.is_there)
        before.rank = a->import.job.job_id; /* and that is all that has changed */
    contract_assert_same_document(&before, &after);
    struct contract_episode episode_after = contract_row_of(0);
    contract_assert_same_episode(&episode, &episode_after);
}

/* Whichever of rejected and superseded was wanted, the one that is true is written. */
static void check_decide(const struct row *row, enum fl_outcome want)
{
    bool has_ground = row->outcome == FL_OUTCOME_REJECTED || row->outcome == FL_OUTCOME_SUPERSEDED;
    struct attempt *a = add_job(row);
    struct contract_document before = contract.backend->document(contract.episodes[0], row->kind);
    struct contract_episode episode = contract_row_of(0);
    a->import.want = want;
    const struct fl_event *ev = contract_ask(a, FL_ACTION_DECIDE);
    assert_int_equal(ev->decided.ground_gone, !has_ground);
    contract_assert_row(a->import.job.job_id, has_ground ? row->outcome : FL_OUTCOME_OPEN);
    if (has_ground) {
        assert_string_equal(fl_outcome_name(ev->decided.answer.outcome), fl_outcome_name(row->outcome));
        assert_int_equal(ev->decided.answer.version, before.version);
        assert_int_equal(ev->decided.answer.row_count, before.row_count);
    }
    struct contract_document after = contract.backend->document(contract.episodes[0], row->kind);
    struct contract_episode episode_after = contract_row_of(0);
    contract_assert_same_document(&before, &after);
    contract_assert_same_episode(&episode, &episode_after);
}

static void test_row(const void *data)
{
    set_up(data);
    check_read(data);
    check_decide(data, FL_OUTCOME_REJECTED);
    check_decide(data, FL_OUTCOME_SUPERSEDED);
    check_commit(data);
}

#define ROW(state, kind, mode, if_version, content, outcome)                                                 \
    &(const struct row)                                                                                      \
    {                                                                                                        \
        state, kind, FL_MODE_##mode, if_version, content, FL_OUTCOME_##outcome                               \
    }
#define CASE(text, ...) {text, test_row, ROW(__VA_ARGS__)},

const struct contract_case contract_document_cases[] = {ROWS(CASE)};
CASES_END(document);
