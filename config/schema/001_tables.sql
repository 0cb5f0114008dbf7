-- Tables. Rows of documents are written only by the functions in 002, inside the transaction of a commit.

-- What one value may be stands in a domain, and is checked where that value is set. A CHECK of the table would be read
-- and evaluated anew by each UPDATE of the row, whatever it sets; those that compare two columns have to be.
CREATE DOMAIN fenceline.episode_id AS text COLLATE "C" CHECK (octet_length(VALUE) BETWEEN 1 AND 255);
CREATE DOMAIN fenceline.kind AS text CHECK (VALUE IN ('chapters', 'transcript'));
CREATE DOMAIN fenceline.mode AS text CHECK (VALUE IN ('create', 'replace', 'if-version', 'delete'));
CREATE DOMAIN fenceline.outcome AS text CHECK (
    VALUE IN ('imported', 'unchanged', 'rejected', 'superseded', 'deleted', 'invalid', 'failed', 'cancelled'));

CREATE TABLE fenceline.episodes (
    episode_id fenceline.episode_id PRIMARY KEY,
    version    bigint NOT NULL DEFAULT 0,
    fence      bigint NOT NULL DEFAULT 0,
    nonce      text,
    holder     text,
    job_id     bigint,
    claimed_at timestamptz,
    CHECK (version >= 0 AND fence >= version)
) WITH (fillfactor = 70);
COMMENT ON TABLE fenceline.episodes IS
    'One row per episode, for ever: deleting it would let its fence start again below living tokens';
COMMENT ON COLUMN fenceline.episodes.version IS 'fencing token of the last commit; 0 = nothing was ever committed';
COMMENT ON COLUMN fenceline.episodes.fence IS 'highest token ever claimed, or raised by a break';
COMMENT ON COLUMN fenceline.episodes.nonce IS 'nonce of the claim: with fence, the only holder who may commit';
COMMENT ON COLUMN fenceline.episodes.holder IS 'who claimed last: program@host:process; null = the claim was broken';
COMMENT ON COLUMN fenceline.episodes.job_id IS 'for which job; once that is decided, nobody holds the episode any more';
COMMENT ON COLUMN fenceline.episodes.claimed_at IS 'when';

CREATE TABLE fenceline.jobs (
    job_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rank        bigint,
    episode_id  fenceline.episode_id NOT NULL,
    kind        fenceline.kind NOT NULL,
    mode        fenceline.mode NOT NULL DEFAULT 'create',
    if_version  bigint,
    source      text,
    body        bytea,
    priority    smallint NOT NULL DEFAULT 0,
    not_before  timestamptz,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts    integer NOT NULL DEFAULT 0,
    last_error  text,
    worker      text,
    request     uuid,
    outcome     fenceline.outcome,
    message     text,
    version     bigint,
    row_count   integer,
    token       bigint,
    lease_ms    integer,
    claim_ms    integer,
    load_ms     integer,
    finished_at timestamptz,
    CHECK ((mode = 'if-version') = (if_version IS NOT NULL) AND if_version >= 0),
    CHECK ((outcome IS NULL) = (finished_at IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX jobs_by_episode ON fenceline.jobs (episode_id, job_id);
COMMENT ON TABLE fenceline.jobs IS 'Queue, ledger and history in one: every import that was ever asked for';
COMMENT ON COLUMN fenceline.jobs.rank IS
    'order among the jobs of a document; null = the job''s own id. A retry keeps the rank of the job it retries';
COMMENT ON COLUMN fenceline.jobs.worker IS 'who runs it; set from the start for an import that runs in its own process';
COMMENT ON COLUMN fenceline.jobs.request IS
    'key of the statement that wrote it: sent again after a lost reply, it finds its rows instead of doubling them';
COMMENT ON COLUMN fenceline.jobs.outcome IS 'the final answer, written once; null = open';
COMMENT ON COLUMN fenceline.jobs.message IS 'the answer in words, where the outcome alone does not say it';
COMMENT ON COLUMN fenceline.jobs.token IS 'fencing token under which its commit ran; null = decided without one';
COMMENT ON COLUMN fenceline.jobs.lease_ms IS 'until it had the lease, waiting included';
COMMENT ON COLUMN fenceline.jobs.claim_ms IS 'from the lease to the claim';
COMMENT ON COLUMN fenceline.jobs.load_ms IS 'to read and parse the input';
COMMENT ON COLUMN fenceline.jobs.version IS 'version of the document that the answer speaks of';

CREATE TABLE fenceline.lost_claims (
    lost_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    episode_id text COLLATE "C" NOT NULL,
    token      bigint NOT NULL,
    holder     text,
    job_id     bigint NOT NULL REFERENCES fenceline.jobs ON DELETE CASCADE,
    claimed_at timestamptz,
    lost_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    lost_to    bigint NOT NULL
);
CREATE INDEX lost_claims_by_episode ON fenceline.lost_claims (episode_id, lost_id);
CREATE INDEX lost_claims_by_job ON fenceline.lost_claims (job_id);
COMMENT ON TABLE fenceline.lost_claims IS 'Claims that ended without a decision: the episode was claimed again';
COMMENT ON COLUMN fenceline.lost_claims.lost_to IS 'token of the claim that came after';

CREATE TABLE fenceline.documents (
    episode_id  text COLLATE "C" NOT NULL,
    kind        fenceline.kind NOT NULL,
    version     bigint NOT NULL,
    job_id      bigint NOT NULL,
    rank        bigint NOT NULL,
    deleted     boolean NOT NULL DEFAULT false,
    row_count   integer NOT NULL,
    sha256      bytea NOT NULL,
    format      text,
    source      text,
    imported_at timestamptz NOT NULL,
    warnings    jsonb NOT NULL DEFAULT '[]',
    blocks      bytea,
    PRIMARY KEY (episode_id, kind)
) WITH (fillfactor = 80);
COMMENT ON TABLE fenceline.documents IS 'What is imported now. A deleted document keeps its row, and with it its rank';
COMMENT ON COLUMN fenceline.documents.version IS 'fencing token of the commit that wrote it';
COMMENT ON COLUMN fenceline.documents.rank IS 'rank of the job that wrote it: an older job cannot overwrite it';
COMMENT ON COLUMN fenceline.documents.sha256 IS 'of the normalised rows; equal content is not rewritten';
COMMENT ON COLUMN fenceline.documents.blocks IS
    '16 bytes for each 16 rows: rows whose block is the same are not rewritten. null = all are';
COMMENT ON COLUMN fenceline.documents.warnings IS 'what was dropped or repaired: [{"line", "rule", "text"}]';

CREATE TABLE fenceline.chapters (
    episode_id  text COLLATE "C" NOT NULL,
    order_index integer NOT NULL,
    start_ms    bigint NOT NULL,
    end_ms      bigint,
    title       text NOT NULL,
    url         text,
    img         text,
    toc         boolean NOT NULL,
    location    jsonb,
    PRIMARY KEY (episode_id, order_index),
    CHECK (start_ms >= 0 AND end_ms >= start_ms)
);
COMMENT ON TABLE fenceline.chapters IS 'Chapters of the current document, from order_index 0; times in milliseconds';
COMMENT ON COLUMN fenceline.chapters.end_ms IS 'null = until the end of the episode';
COMMENT ON COLUMN fenceline.chapters.toc IS 'false = not shown in the table of contents';

CREATE TABLE fenceline.transcript_segments (
    episode_id  text COLLATE "C" NOT NULL,
    order_index integer NOT NULL,
    start_ms    bigint NOT NULL,
    end_ms      bigint,
    speaker     text,
    body        text NOT NULL,
    PRIMARY KEY (episode_id, order_index),
    CHECK (start_ms >= 0 AND end_ms >= start_ms)
);
COMMENT ON TABLE fenceline.transcript_segments IS
    'Segments of the current transcript, from order_index 0; times in milliseconds';
COMMENT ON COLUMN fenceline.transcript_segments.end_ms IS 'null = not known (the last one)';

CREATE UNLOGGED TABLE fenceline.staged_rows (
    xid       xid8 NOT NULL,
    job_id    bigint NOT NULL,
    base      integer NOT NULL,
    starts    bigint[] NOT NULL,
    ends      bigint[] NOT NULL,
    speakers  text[],
    bodies    text[],
    titles    text[],
    urls      text[],
    imgs      text[],
    tocs      boolean[],
    locations text[],
    PRIMARY KEY (xid, job_id, base)
) WITH (autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_scale_factor = 0);
ALTER TABLE fenceline.staged_rows
    ALTER starts SET STORAGE EXTERNAL, ALTER ends SET STORAGE EXTERNAL, ALTER speakers SET STORAGE EXTERNAL,
    ALTER bodies SET STORAGE EXTERNAL, ALTER titles SET STORAGE EXTERNAL, ALTER urls SET STORAGE EXTERNAL,
    ALTER imgs SET STORAGE EXTERNAL, ALTER tocs SET STORAGE EXTERNAL, ALTER locations SET STORAGE EXTERNAL;
COMMENT ON TABLE fenceline.staged_rows IS
    'Pieces of large documents on their way, between two statements of one transaction: to all others it is empty';
COMMENT ON COLUMN fenceline.staged_rows.base IS 'order_index of the first row of the piece';

CREATE TABLE fenceline.lock_breaks (
    break_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    episode_id  text COLLATE "C" NOT NULL,
    broken_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    broken_by   text NOT NULL,
    reason      text,
    seen_fence  bigint NOT NULL,
    seen_nonce  text,
    seen_holder text,
    new_fence   bigint NOT NULL
);
CREATE INDEX lock_breaks_by_episode ON fenceline.lock_breaks (episode_id, break_id);
COMMENT ON TABLE fenceline.lock_breaks IS 'Who broke which claim, when and why, and what was seen';

CREATE VIEW fenceline.segments_with_chapters AS
SELECT s.episode_id, s.order_index, s.start_ms, s.end_ms, s.speaker, s.body,
       c.order_index AS chapter_index, c.title AS chapter_title
  FROM fenceline.transcript_segments s
  LEFT JOIN LATERAL (
       SELECT order_index, title
         FROM fenceline.chapters
        WHERE episode_id = s.episode_id AND start_ms <= s.start_ms AND (end_ms IS NULL OR end_ms > s.start_ms)
        ORDER BY order_index DESC
        LIMIT 1) c ON true;
COMMENT ON VIEW fenceline.segments_with_chapters IS
    'Each segment with the chapter whose span holds its start, whichever was imported first';
