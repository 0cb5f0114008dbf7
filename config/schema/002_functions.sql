-- The protocol's statements (docs/PROTOCOL.md). Each is VOLATILE PL/pgSQL: every statement inside sees what is
-- committed at that moment, and a blocked row lock re-evaluates its condition on the newest row.

CREATE TYPE fenceline.answer AS (
    status    text,    -- commit: done, stale, decided; decide: done, retry; resolve: decided, never, running
    outcome   text,    -- of the job's row
    message   text,
    version   bigint,
    row_count integer,
    xid       bigint   -- transaction of a commit
);

-- PROTOCOL, Jobs: rows before anything else. Returns the job ids in the order of the arrays. The request names
-- this call: after a lost reply it is sent again, and finds its rows, or waits for them to be committed.
CREATE FUNCTION fenceline.submit_jobs(
    my_request uuid, episode_ids text[], kinds text[], modes text[], if_versions bigint[], sources text[], my_worker text
) RETURNS SETOF bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(my_request::text, 0));
    RETURN QUERY
    SELECT job_id FROM fenceline.jobs WHERE episode_id = ANY (episode_ids) AND request = my_request ORDER BY job_id;
    IF FOUND THEN
        RETURN;
    END IF;
    INSERT INTO fenceline.episodes (episode_id)
    SELECT DISTINCT e COLLATE "C" FROM unnest(episode_ids) e ORDER BY 1
        ON CONFLICT DO NOTHING;
    RETURN QUERY
    INSERT INTO fenceline.jobs (episode_id, kind, mode, if_version, source, worker, request, attempts)
    SELECT u.e, u.k, u.m, u.v, u.s, my_worker, my_request, 1
      FROM unnest(episode_ids, kinds, modes, if_versions, sources) WITH ORDINALITY AS u (e, k, m, v, s, i)
     ORDER BY u.i
 RETURNING job_id;
END $$;

-- PROTOCOL 3: claims, one compare-and-set an episode, in the order of the arrays. The caller sorts them by
-- episode id (bytewise), so that two batches cannot deadlock. A claim that this one overtakes is kept for the history,
-- unless its job was decided: most often there is none, since fence = version.
CREATE FUNCTION fenceline.claim_episodes(
    episode_ids text[], versions bigint[], fences bigint[], tokens bigint[], nonces text[], holder_name text,
    job_ids bigint[]
) RETURNS boolean[] LANGUAGE plpgsql AS $$
DECLARE
    claimed boolean[] := '{}';
    e fenceline.episodes;
BEGIN
    FOR i IN 1 .. cardinality(episode_ids) LOOP
        e := NULL;
        IF fences[i] > versions[i] THEN
            SELECT * INTO e FROM fenceline.episodes
             WHERE episode_id = episode_ids[i] AND version = versions[i] AND fence = fences[i] AND tokens[i] > fence
               FOR NO KEY UPDATE;
        END IF;
        UPDATE fenceline.episodes
           SET fence = tokens[i], nonce = nonces[i], holder = holder_name, job_id = job_ids[i],
               claimed_at = clock_timestamp()
         WHERE episode_id = episode_ids[i] AND version = versions[i] AND fence = fences[i] AND tokens[i] > fence;
        claimed := claimed || FOUND;
        IF e.job_id IS NOT NULL THEN
            INSERT INTO fenceline.lost_claims (episode_id, token, holder, job_id, claimed_at, lost_to)
            SELECT e.episode_id, e.fence, e.holder, e.job_id, e.claimed_at, tokens[i]
              FROM fenceline.jobs WHERE jobs.job_id = e.job_id AND outcome IS NULL;
        END IF;
    END LOOP;
    RETURN claimed;
END $$;

-- A word for the shell inside a message that is itself quoted with '...'; one that looks like an option comes after --.
CREATE FUNCTION fenceline.shell_word(word text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN word ~ '^-' THEN '-- ' ELSE '' END ||
           CASE WHEN word ~ '^[A-Za-z0-9._/:@%+,-]+$' THEN word
                ELSE '"' || regexp_replace(word, '(["\\$`!])', '\\\1', 'g') || '"' END
$$;

-- "12 chapters, version 7, 2026-01-18 10:03 by job 41" (UTC)
CREATE FUNCTION fenceline.describe(d fenceline.documents) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format('%s %s, version %s, %s by job %s', d.row_count,
                  CASE WHEN d.kind = 'chapters' THEN 'chapter' ELSE 'segment' END
                      || CASE WHEN d.row_count = 1 THEN '' ELSE 's' END,
                  d.version, to_char(d.imported_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), d.job_id)
$$;

-- PROTOCOL 5b and 7: may this job be applied to this document? Null outcome = yes. d is all null if there is none.
CREATE FUNCTION fenceline.judge(
    j fenceline.jobs, d fenceline.documents, OUT outcome text, OUT message text
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    present boolean := d.episode_id IS NOT NULL AND NOT d.deleted;
    verb text := CASE WHEN j.kind = 'chapters' THEN 'are' ELSE 'is' END;
BEGIN
    IF j.mode = 'create' AND present THEN
        outcome := 'rejected';
        message := format('%s: %s already imported (%s). Use --mode replace, or ''fenceline delete %s %s''.',
                          j.episode_id, j.kind, fenceline.describe(d), fenceline.shell_word(j.episode_id), j.kind);
    ELSIF j.mode = 'if-version' AND j.if_version = 0 AND present THEN
        outcome := 'rejected';
        message := format('%s: %s must not exist for --if-version 0, but %s there (%s). Use --if-version %s.',
                          j.episode_id, j.kind, verb, fenceline.describe(d), d.version);
    ELSIF j.mode = 'if-version' AND j.if_version > 0 AND NOT present THEN
        outcome := 'rejected';
        message := format('%s: no %s imported, so there is no version %s to replace. Use --mode create.',
                          j.episode_id, j.kind, j.if_version);
    ELSIF j.mode = 'if-version' AND j.if_version > 0 AND d.version <> j.if_version THEN
        outcome := 'rejected';
        message := format('%s: %s %s not at version %s (%s). Look at it with ''fenceline show %s %s'', then use '
                          '--if-version %s.', j.episode_id, j.kind, verb, j.if_version, fenceline.describe(d),
                          fenceline.shell_word(j.episode_id), j.kind, d.version);
    ELSIF d.rank > coalesce(j.rank, j.job_id) THEN
        outcome := 'superseded';
        message := format('%s: superseded: a newer job for its %s was applied before job %s (%s). Nothing to do.',
                          j.episode_id, j.kind, j.job_id,
                          CASE WHEN d.deleted THEN 'it deleted them' ELSE fenceline.describe(d) END);
    END IF;
END $$;

-- The answer that stands in the job's row.
CREATE FUNCTION fenceline.job_answer(id bigint, status text) RETURNS fenceline.answer LANGUAGE sql VOLATILE AS $$
    SELECT status, outcome, message, version, row_count, NULL::bigint FROM fenceline.jobs WHERE job_id = id
$$;

-- PROTOCOL 5, all but the rows of the document: lock the episode under the claim, decide from current rows, write the
-- outcome once, and with imported or deleted the document's row and the episode's version. doc_format null: to delete.
-- old_rows: for an outcome that writes, how many rows are stored, whose digests are old_blocks; null = there is nothing
-- to write. Nothing is written before the outcome, so that no answer needs a rollback and several commits can share a transaction.
CREATE FUNCTION fenceline.enter_commit(
    id bigint, tok bigint, ver bigint, my_nonce text, times_ms bigint[], doc_kind text, doc_sha256 bytea,
    doc_rows integer, doc_format text, doc_warnings jsonb, doc_blocks bytea, OUT answer fenceline.answer,
    OUT old_rows integer, OUT old_blocks bytea
) LANGUAGE plpgsql AS $$
DECLARE
    j record;
    d fenceline.documents;
    a fenceline.answer;
    decided_at timestamptz;
BEGIN
    -- What is read of the job never changes; the episode's row is the newest there is, and locked.
    SELECT k.episode_id, k.kind, k.mode, coalesce(k.rank, k.job_id) AS rank, k.source INTO j
      FROM fenceline.jobs k JOIN fenceline.episodes e ON e.episode_id = k.episode_id
     WHERE k.job_id = id AND k.kind = doc_kind AND (k.mode = 'delete') = (doc_format IS NULL)
       AND e.version = ver AND e.fence = tok AND e.nonce = my_nonce
       FOR NO KEY UPDATE OF e;
    IF NOT FOUND THEN
        answer.status := 'stale';
        RETURN;
    END IF;
    SELECT * INTO d FROM fenceline.documents WHERE episode_id = j.episode_id AND kind = j.kind;
    IF FOUND OR j.mode = 'if-version' THEN
        SELECT v.outcome, v.message INTO a.outcome, a.message
          FROM fenceline.jobs k, fenceline.judge(k, d) v WHERE k.job_id = id;
        a.version := d.version;
        a.row_count := d.row_count;
    END IF;
    a.status := 'done';
    a.xid := pg_current_xact_id()::text::bigint;
    IF a.outcome IS NULL AND j.mode = 'delete' THEN
        a.outcome := CASE WHEN d.deleted IS FALSE THEN 'deleted' ELSE 'unchanged' END;
    ELSIF a.outcome IS NULL THEN
        a.outcome := CASE WHEN d.deleted IS FALSE AND d.sha256 = doc_sha256 THEN 'unchanged' ELSE 'imported' END;
    END IF;
    IF a.outcome IN ('imported', 'deleted') THEN
        old_rows := CASE WHEN d.deleted IS FALSE THEN d.row_count ELSE 0 END;
        old_blocks := d.blocks || ''; -- out of TOAST once, not for each block
        a.version := tok;
        a.row_count := doc_rows;
    END IF;
    decided_at := clock_timestamp();
    UPDATE fenceline.jobs
       SET outcome = a.outcome, message = a.message, version = a.version, row_count = a.row_count,
           token = tok, lease_ms = times_ms[1], claim_ms = times_ms[2], load_ms = times_ms[3],
           finished_at = decided_at
     WHERE job_id = id AND outcome IS NULL;
    IF NOT FOUND THEN
        answer := fenceline.job_answer(id, 'decided');
        old_rows := NULL;
        RETURN;
    END IF;
    answer := a;
    IF old_rows IS NOT NULL THEN
        INSERT INTO fenceline.documents AS o (episode_id, kind, version, job_id, rank, deleted, row_count, sha256,
                                              format, source, imported_at, warnings, blocks)
        VALUES (j.episode_id, j.kind, tok, id, j.rank, j.mode = 'delete', doc_rows, doc_sha256, doc_format, j.source,
                decided_at, doc_warnings, doc_blocks)
            ON CONFLICT (episode_id, kind) DO UPDATE
           SET version = excluded.version, job_id = excluded.job_id, rank = excluded.rank,
               deleted = excluded.deleted, row_count = excluded.row_count, sha256 = excluded.sha256,
               format = excluded.format, source = excluded.source, imported_at = excluded.imported_at,
               warnings = excluded.warnings, blocks = excluded.blocks;
        UPDATE fenceline.episodes SET version = tok WHERE episode_id = j.episode_id;
    ELSIF a.outcome = 'unchanged' THEN
        -- The content is this job's too: an older job must not replace it later (tests/model/rank.pml).
        UPDATE fenceline.documents SET rank = j.rank
         WHERE episode_id = j.episode_id AND kind = j.kind AND rank < j.rank;
    END IF;
END $$;

-- What a commit has to do to the rows that are stored, under the lock of the episode. A document has a digest of 16
-- bytes for each 16 rows; a block whose digest is the same is left alone. Where few blocks differ, their rows are
-- compared and updated in place, for which their pages most often have room; else everything from the first of them
-- on is written anew. Without digests, or with too few of them, every block differs. kept: rows that stay; differing:
-- blocks among them to compare.
CREATE FUNCTION fenceline.plan_rewrite(
    old_rows integer, old_blocks bytea, new_rows integer, new_blocks bytea, OUT kept integer, OUT differing integer[]
) LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    kept := least(old_rows, new_rows);
    differing := '{}';
    IF kept = 0 THEN
        RETURN;
    END IF;
    SELECT array_agg(b) INTO differing
      FROM generate_series(0, (kept + 15) / 16 - 1) b
     WHERE (substr(old_blocks, b * 16 + 1, 16) = substr(new_blocks, b * 16 + 1, 16)
            AND octet_length(old_blocks) = (old_rows + 15) / 16 * 16
            AND octet_length(new_blocks) = (new_rows + 15) / 16 * 16) IS NOT TRUE;
    differing := coalesce(differing, '{}');
    IF cardinality(differing) > 8 THEN
        kept := differing[1] * 16;
        differing := '{}';
    END IF;
END $$;

-- A block of rows that are all there: those that differ. base: order_index of its first.
CREATE FUNCTION fenceline.update_chapters(
    episode text, base integer, starts bigint[], ends bigint[], titles text[], urls text[], imgs text[],
    tocs boolean[], locations text[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE fenceline.chapters c
       SET start_ms = starts[c.order_index - base + 1], end_ms = ends[c.order_index - base + 1],
           title = titles[c.order_index - base + 1], url = urls[c.order_index - base + 1],
           img = imgs[c.order_index - base + 1], toc = tocs[c.order_index - base + 1],
           location = locations[c.order_index - base + 1]::jsonb
     WHERE c.episode_id = episode AND c.order_index BETWEEN base AND base + cardinality(starts) - 1
       AND (c.start_ms, c.end_ms, c.title, c.url, c.img, c.toc, c.location) IS DISTINCT FROM
           (starts[c.order_index - base + 1], ends[c.order_index - base + 1], titles[c.order_index - base + 1],
            urls[c.order_index - base + 1], imgs[c.order_index - base + 1], tocs[c.order_index - base + 1],
            locations[c.order_index - base + 1]::jsonb);
END $$;

CREATE FUNCTION fenceline.update_segments(
    episode text, base integer, starts bigint[], ends bigint[], speakers text[], bodies text[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE fenceline.transcript_segments s
       SET start_ms = starts[s.order_index - base + 1], end_ms = ends[s.order_index - base + 1],
           speaker = speakers[s.order_index - base + 1], body = bodies[s.order_index - base + 1]
     WHERE s.episode_id = episode AND s.order_index BETWEEN base AND base + cardinality(starts) - 1
       AND (s.start_ms, s.end_ms, s.speaker, s.body) IS DISTINCT FROM
           (starts[s.order_index - base + 1], ends[s.order_index - base + 1], speakers[s.order_index - base + 1],
            bodies[s.order_index - base + 1]);
END $$;

-- The rows of a document from order_index base on, or a piece of them, as plan_rewrite has planned it; what is not kept
-- has been deleted. base is a multiple of 16.
CREATE FUNCTION fenceline.write_chapters(
    episode text, base integer, kept integer, differing integer[], starts bigint[], ends bigint[], titles text[],
    urls text[], imgs text[], tocs boolean[], locations text[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    b integer;
    f integer;
BEGIN
    FOREACH b IN ARRAY differing LOOP
        f := b * 16 - base + 1;
        CONTINUE WHEN f NOT BETWEEN 1 AND cardinality(starts);
        PERFORM fenceline.update_chapters(
            episode, b * 16, starts[f:f + 15], ends[f:f + 15], titles[f:f + 15], urls[f:f + 15], imgs[f:f + 15],
            tocs[f:f + 15], locations[f:f + 15]);
    END LOOP;
    IF base + cardinality(starts) > kept THEN
        INSERT INTO fenceline.chapters (episode_id, order_index, start_ms, end_ms, title, url, img, toc, location)
        SELECT episode, base + u.i - 1, u.s, u.e, u.t, u.l, u.p, u.c, u.o::jsonb
          FROM unnest(starts, ends, titles, urls, imgs, tocs, locations)
               WITH ORDINALITY AS u (s, e, t, l, p, c, o, i)
         WHERE base + u.i > kept;
    END IF;
END $$;

CREATE FUNCTION fenceline.write_segments(
    episode text, base integer, kept integer, differing integer[], starts bigint[], ends bigint[], speakers text[],
    bodies text[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    b integer;
    f integer;
BEGIN
    FOREACH b IN ARRAY differing LOOP
        f := b * 16 - base + 1;
        CONTINUE WHEN f NOT BETWEEN 1 AND cardinality(starts);
        PERFORM fenceline.update_segments(
            episode, b * 16, starts[f:f + 15], ends[f:f + 15], speakers[f:f + 15], bodies[f:f + 15]);
    END LOOP;
    IF base + cardinality(starts) > kept THEN
        INSERT INTO fenceline.transcript_segments (episode_id, order_index, start_ms, end_ms, speaker, body)
        SELECT episode, base + u.i - 1, u.s, u.e, u.w, u.b
          FROM unnest(starts, ends, speakers, bodies) WITH ORDINALITY AS u (s, e, w, b, i)
         WHERE base + u.i > kept;
    END IF;
END $$;

CREATE FUNCTION fenceline.commit_chapters(
    id bigint, episode text, tok bigint, ver bigint, my_nonce text, times_ms bigint[], doc_sha256 bytea,
    doc_format text,
    doc_warnings jsonb, starts bigint[], ends bigint[], titles text[], urls text[], imgs text[], tocs boolean[],
    locations text[], doc_blocks bytea DEFAULT NULL
) RETURNS fenceline.answer LANGUAGE plpgsql AS $$
DECLARE
    doc_rows integer := cardinality(starts);
    c record := fenceline.enter_commit(id, tok, ver, my_nonce, times_ms, 'chapters', doc_sha256, doc_rows, doc_format,
                                       doc_warnings, doc_blocks);
    p record;
BEGIN
    IF c.old_rows IS NOT NULL THEN
        p := fenceline.plan_rewrite(c.old_rows, c.old_blocks, doc_rows, doc_blocks);
        IF c.old_rows > p.kept THEN
            DELETE FROM fenceline.chapters WHERE episode_id = episode AND order_index >= p.kept;
        END IF;
        PERFORM fenceline.write_chapters(episode, 0, p.kept, p.differing, starts, ends, titles, urls, imgs, tocs,
                                         locations);
    END IF;
    RETURN c.answer;
END $$;

CREATE FUNCTION fenceline.commit_transcript(
    id bigint, episode text, tok bigint, ver bigint, my_nonce text, times_ms bigint[], doc_sha256 bytea,
    doc_format text,
    doc_warnings jsonb, starts bigint[], ends bigint[], speakers text[], bodies text[],
    doc_blocks bytea DEFAULT NULL
) RETURNS fenceline.answer LANGUAGE plpgsql AS $$
DECLARE
    doc_rows integer := cardinality(starts);
    c record := fenceline.enter_commit(id, tok, ver, my_nonce, times_ms, 'transcript', doc_sha256, doc_rows, doc_format,
                                       doc_warnings, doc_blocks);
    p record;
BEGIN
    IF c.old_rows IS NOT NULL THEN
        p := fenceline.plan_rewrite(c.old_rows, c.old_blocks, doc_rows, doc_blocks);
        IF c.old_rows > p.kept THEN
            DELETE FROM fenceline.transcript_segments WHERE episode_id = episode AND order_index >= p.kept;
        END IF;
        PERFORM fenceline.write_segments(episode, 0, p.kept, p.differing, starts, ends, speakers, bodies);
    END IF;
    RETURN c.answer;
END $$;

-- A large document comes in pieces, so that neither its sender nor Postgres has it whole in memory, and before the
-- lock is taken, so that a sender that stops in the middle holds up nobody. base is a multiple of 16.
CREATE FUNCTION fenceline.stage_rows(
    id bigint, base integer, starts bigint[], ends bigint[], speakers text[], bodies text[], titles text[],
    urls text[], imgs text[], tocs boolean[], locations text[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO fenceline.staged_rows
    VALUES (pg_current_xact_id(), id, base, starts, ends, speakers, bodies, titles, urls, imgs, tocs, locations);
END $$;

-- The same commit as above, with the rows that this transaction has staged.
CREATE FUNCTION fenceline.commit_staged(
    id bigint, episode text, doc_kind text, tok bigint, ver bigint, my_nonce text, times_ms bigint[],
    doc_sha256 bytea, doc_format text, doc_warnings jsonb, doc_rows integer, doc_blocks bytea
) RETURNS fenceline.answer LANGUAGE plpgsql AS $$
DECLARE
    me xid8 := pg_current_xact_id();
    c record := fenceline.enter_commit(id, tok, ver, my_nonce, times_ms, doc_kind, doc_sha256, doc_rows, doc_format,
                                       doc_warnings, doc_blocks);
    p record;
    s fenceline.staged_rows;
    next_row integer := 0;
BEGIN
    IF c.old_rows IS NOT NULL THEN
        p := fenceline.plan_rewrite(c.old_rows, c.old_blocks, doc_rows, doc_blocks);
        IF c.old_rows > p.kept AND doc_kind = 'chapters' THEN
            DELETE FROM fenceline.chapters WHERE episode_id = episode AND order_index >= p.kept;
        ELSIF c.old_rows > p.kept THEN
            DELETE FROM fenceline.transcript_segments WHERE episode_id = episode AND order_index >= p.kept;
        END IF;
        FOR s IN SELECT * FROM fenceline.staged_rows WHERE xid = me AND job_id = id ORDER BY base LOOP
            IF s.base <> next_row THEN
                RAISE EXCEPTION 'job %: rows from % on were not staged', id, next_row;
            ELSIF doc_kind = 'chapters' THEN
                PERFORM fenceline.write_chapters(episode, s.base, p.kept, p.differing, s.starts, s.ends, s.titles,
                                                 s.urls, s.imgs, s.tocs, s.locations);
            ELSE
                PERFORM fenceline.write_segments(episode, s.base, p.kept, p.differing, s.starts, s.ends,
                                                 s.speakers, s.bodies);
            END IF;
            next_row := next_row + cardinality(s.starts);
        END LOOP;
        IF next_row <> doc_rows THEN
            RAISE EXCEPTION 'job %: % rows were staged instead of %', id, next_row, doc_rows;
        END IF;
    END IF;
    DELETE FROM fenceline.staged_rows WHERE xid = me AND job_id = id;
    RETURN c.answer;
END $$;

CREATE FUNCTION fenceline.commit_delete(
    id bigint, episode text, doc_kind text, tok bigint, ver bigint, my_nonce text, times_ms bigint[]
) RETURNS fenceline.answer LANGUAGE plpgsql AS $$
DECLARE
    c record := fenceline.enter_commit(id, tok, ver, my_nonce, times_ms, doc_kind, '', 0, NULL, '[]', NULL);
BEGIN
    IF c.old_rows > 0 AND doc_kind = 'chapters' THEN
        DELETE FROM fenceline.chapters WHERE episode_id = episode;
    ELSIF c.old_rows > 0 THEN
        DELETE FROM fenceline.transcript_segments WHERE episode_id = episode;
    END IF;
    RETURN c.answer;
END $$;

-- PROTOCOL 7: an outcome without an import. rejected and superseded are judged again under the lock; if the
-- ground has gone, nothing is written (status retry).
CREATE FUNCTION fenceline.decide_job(id bigint, want text, reason text) RETURNS fenceline.answer
LANGUAGE plpgsql AS $$
DECLARE
    j fenceline.jobs;
    d fenceline.documents;
    a fenceline.answer;
BEGIN
    SELECT * INTO j FROM fenceline.jobs WHERE job_id = id;
    PERFORM FROM fenceline.episodes WHERE episode_id = j.episode_id FOR NO KEY UPDATE;
    SELECT * INTO d FROM fenceline.documents WHERE episode_id = j.episode_id AND kind = j.kind;
    a.outcome := want;
    a.message := reason;
    IF want IN ('rejected', 'superseded') THEN
        SELECT v.outcome, v.message INTO a.outcome, a.message FROM fenceline.judge(j, d) v;
        IF a.outcome IS NULL THEN
            a.status := 'retry';
            RETURN a;
        END IF;
    END IF;
    UPDATE fenceline.jobs
       SET outcome = a.outcome, message = a.message, version = d.version, row_count = d.row_count,
           finished_at = clock_timestamp(),
           last_error = CASE WHEN a.outcome IN ('invalid', 'failed') THEN a.message ELSE last_error END
     WHERE job_id = id AND outcome IS NULL;
    RETURN fenceline.job_answer(id, 'done');
END $$;

-- PROTOCOL 6: what became of a commit whose reply was lost? xid null = not known; then the backend it was sent to
-- tells: while it lives, it is told to end; once it is gone, the row has the last word.
CREATE FUNCTION fenceline.resolve_commit(id bigint, xid bigint, backend integer, backend_start timestamptz)
RETURNS fenceline.answer LANGUAGE plpgsql AS $$
DECLARE
    a fenceline.answer;
    over boolean := false;
BEGIN
    IF xid IS NOT NULL THEN
        over := coalesce(pg_xact_status(xid::text::xid8), 'in progress') IN ('committed', 'aborted');
    END IF;
    IF NOT over THEN
        PERFORM pg_terminate_backend(pid) FROM pg_stat_activity s
          WHERE s.pid = backend AND s.backend_start = resolve_commit.backend_start;
        over := NOT FOUND;
    END IF;
    a := fenceline.job_answer(id, 'decided');
    IF a.outcome IS NULL THEN
        a.status := CASE WHEN over THEN 'never' ELSE 'running' END;
    END IF;
    RETURN a;
END $$;
