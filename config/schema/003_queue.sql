-- The queue: jobs that workers run. Postgres holds them, Redis Streams hand them out (docs/PROTOCOL.md, "Jobs").
-- A job waits here (dispatched_at null) until it is due and no older job for its document is on its way; then a
-- dispatcher marks it and adds it to a stream. The channel fenceline_queue wakes workers: 'work', 'pause',
-- 'schema', 'cancel <job>'.

ALTER TABLE fenceline.jobs
    ADD COLUMN queued        boolean NOT NULL DEFAULT false,
    ADD COLUMN format        text,
    ADD COLUMN strict        boolean NOT NULL DEFAULT false,
    ADD COLUMN repair        boolean NOT NULL DEFAULT false,
    ADD COLUMN dispatched_at timestamptz,
    ADD COLUMN started_at    timestamptz,
    ADD COLUMN deaths        smallint NOT NULL DEFAULT 0,
    ADD COLUMN retried_by    bigint,
    ADD CHECK (priority BETWEEN -1 AND 1),
    ADD CHECK (NOT queued OR mode = 'delete' OR source IS NOT NULL OR body IS NOT NULL);
ALTER TABLE fenceline.jobs ALTER COLUMN queued SET DEFAULT true; -- a row that a program inserts is for the workers
COMMENT ON COLUMN fenceline.jobs.queued IS 'true: workers run it. false: an import runs it in its own process';
COMMENT ON COLUMN fenceline.jobs.priority IS '-1 high, 0 normal, 1 low';
COMMENT ON COLUMN fenceline.jobs.not_before IS 'it is not handed out before; null = at once';
COMMENT ON COLUMN fenceline.jobs.source IS 'path below source.root, or what the body was called';
COMMENT ON COLUMN fenceline.jobs.body IS 'the input itself, where workers cannot read the source; gone after a success';
COMMENT ON COLUMN fenceline.jobs.attempts IS 'how often it was begun';
COMMENT ON COLUMN fenceline.jobs.worker IS 'who runs it, or ran it last';
COMMENT ON COLUMN fenceline.jobs.dispatched_at IS 'when it was handed to Redis; null = it waits here';
COMMENT ON COLUMN fenceline.jobs.started_at IS 'when a worker began it last';
COMMENT ON COLUMN fenceline.jobs.deaths IS 'workers in a row that died with it; above 0 a worker runs no other such job beside it';
COMMENT ON COLUMN fenceline.jobs.retried_by IS 'the job that retries this dead letter';

-- Each of these serves the statements that repeat its condition to the letter, and no others: with "outcome IS NULL" a
-- planner without statistics would read one of them from end to end where a look-up by job_id was meant.
CREATE INDEX jobs_open ON fenceline.jobs (episode_id, kind, job_id) WHERE coalesce(outcome, 'open') = 'open';
CREATE INDEX jobs_waiting ON fenceline.jobs (priority, (coalesce(not_before, '-infinity')), job_id)
    WHERE coalesce(outcome, 'waiting') = 'waiting' AND dispatched_at IS NULL AND queued;
CREATE INDEX jobs_dispatched ON fenceline.jobs (job_id)
    WHERE coalesce(outcome, 'dispatched') = 'dispatched' AND dispatched_at IS NOT NULL;

CREATE TABLE fenceline.job_attempts (
    job_id  bigint NOT NULL REFERENCES fenceline.jobs ON DELETE CASCADE,
    attempt integer NOT NULL,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    worker  text,
    error   text NOT NULL
);
CREATE INDEX job_attempts_by_job ON fenceline.job_attempts (job_id);
COMMENT ON TABLE fenceline.job_attempts IS 'Attempts that met an error: of each job, which, when, where, and why';

CREATE TABLE fenceline.queue_control (
    only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    paused    boolean NOT NULL DEFAULT false,
    paused_by text,
    paused_at timestamptz,
    reason    text
);
INSERT INTO fenceline.queue_control DEFAULT VALUES;
COMMENT ON TABLE fenceline.queue_control IS 'One row: are all workers paused, since when, by whom and why';

-- The rows that a request has written, if it was sent before (again) and has arrived after all. The lock waits for one
-- that is still on its way.
CREATE FUNCTION fenceline.find_request(my_request uuid, again boolean, episode_ids text[]) RETURNS SETOF bigint
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(my_request::text, 0));
    IF again THEN
        RETURN QUERY
        SELECT job_id FROM fenceline.jobs WHERE episode_id = ANY (episode_ids) AND request = my_request ORDER BY job_id;
    END IF;
END $$;

-- An import in its own process: its rows are not for the workers.
DROP FUNCTION fenceline.submit_jobs;
CREATE FUNCTION fenceline.submit_jobs(
    my_request uuid, again boolean, episode_ids text[], kinds text[], modes text[], if_versions bigint[], sources text[],
    my_worker text
) RETURNS SETOF bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM fenceline.find_request(my_request, again, episode_ids);
    IF FOUND THEN
        RETURN;
    END IF;
    INSERT INTO fenceline.episodes (episode_id)
    SELECT DISTINCT e COLLATE "C" FROM unnest(episode_ids) e ORDER BY 1
        ON CONFLICT DO NOTHING;
    RETURN QUERY
    INSERT INTO fenceline.jobs (queued, episode_id, kind, mode, if_version, source, worker, request, attempts)
    SELECT false, u.e, u.k, u.m, u.v, u.s, my_worker, my_request, 1
      FROM unnest(episode_ids, kinds, modes, if_versions, sources) WITH ORDINALITY AS u (e, k, m, v, s, i)
     ORDER BY u.i
 RETURNING job_id;
END $$;

-- `fenceline enqueue`: many jobs at once. The same request sent again finds its rows, as in submit_jobs.
CREATE FUNCTION fenceline.enqueue_jobs(
    my_request uuid, again boolean, episode_ids text[], kinds text[], modes text[], if_versions bigint[], sources text[],
    bodies bytea[], formats text[], stricts boolean[], repairs boolean[], priorities bigint[], not_before_ms bigint[]
) RETURNS SETOF bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM fenceline.find_request(my_request, again, episode_ids);
    IF FOUND THEN
        RETURN;
    END IF;
    INSERT INTO fenceline.episodes (episode_id)
    SELECT DISTINCT e COLLATE "C" FROM unnest(episode_ids) e ORDER BY 1
        ON CONFLICT DO NOTHING;
    RETURN QUERY
    INSERT INTO fenceline.jobs (queued, episode_id, kind, mode, if_version, source, body, format, strict, repair,
                                priority, not_before, request)
    SELECT true, u.e, u.k, u.m, u.v, u.s, u.b, u.f, u.st, u.r, u.p, timestamptz 'epoch' + u.n * interval '1 millisecond',
           my_request
      FROM unnest(episode_ids, kinds, modes, if_versions, sources, bodies, formats, stricts, repairs, priorities,
                  not_before_ms) WITH ORDINALITY AS u (e, k, m, v, s, b, f, st, r, p, n, i)
     ORDER BY u.i
 RETURNING job_id;
    PERFORM pg_notify('fenceline_queue', 'work');
END $$;

-- For applications: one job, inside the caller's own transaction; it starts when that commits.
--     SELECT fenceline.enqueue('ep39', 'chapters', source => 'in/ep39.chapters.json', mode => 'replace');
CREATE FUNCTION fenceline.enqueue(
    episode text, kind text, source text DEFAULT NULL, body bytea DEFAULT NULL, mode text DEFAULT 'create',
    if_version bigint DEFAULT NULL, priority text DEFAULT 'normal', not_before timestamptz DEFAULT NULL,
    format text DEFAULT NULL, strict boolean DEFAULT false, repair boolean DEFAULT false
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    level smallint := CASE priority WHEN 'high' THEN -1 WHEN 'normal' THEN 0 WHEN 'low' THEN 1 END;
    id bigint;
BEGIN
    IF episode IS NULL OR octet_length(episode) NOT BETWEEN 1 AND 255 OR episode ~ '[[:cntrl:]]' THEN
        RAISE 'fenceline.enqueue: an episode id has 1 to 255 bytes and no control characters' USING ERRCODE = '22023';
    ELSIF kind IS NULL OR kind NOT IN ('chapters', 'transcript') THEN
        RAISE 'fenceline.enqueue: %: kind is chapters or transcript, not %', episode, coalesce(kind, 'null')
              USING ERRCODE = '22023';
    ELSIF level IS NULL THEN
        RAISE 'fenceline.enqueue: %: priority is high, normal or low, not %', episode, coalesce(priority, 'null')
              USING ERRCODE = '22023';
    ELSIF mode IS NULL OR mode NOT IN ('create', 'replace', 'if-version', 'delete') THEN
        RAISE 'fenceline.enqueue: %: mode is create, replace, if-version or delete, not %', episode,
              coalesce(mode, 'null') USING ERRCODE = '22023';
    ELSIF (mode = 'if-version') <> (if_version IS NOT NULL) OR if_version < 0 THEN
        RAISE 'fenceline.enqueue: %: mode if-version needs if_version => N with N >= 0, and no other mode has it', episode
              USING ERRCODE = '22023';
    ELSIF mode <> 'delete' AND source IS NULL AND body IS NULL THEN
        RAISE 'fenceline.enqueue: %: give source => a path below source.root, or body => the input itself', episode
              USING ERRCODE = '22023';
    ELSIF octet_length(body) > 1048576 THEN
        RAISE 'fenceline.enqueue: %: the body has % bytes, more than 1048576; give a source instead', episode,
              octet_length(body) USING ERRCODE = '22023';
    ELSIF format IS NOT NULL AND format NOT IN ('chapters-json', 'srt', 'vtt', 'transcript-json', 'timed-text') THEN
        RAISE 'fenceline.enqueue: %: format is chapters-json, srt, vtt, transcript-json or timed-text, not %', episode,
              format USING ERRCODE = '22023';
    END IF;
    INSERT INTO fenceline.episodes (episode_id) VALUES (episode) ON CONFLICT DO NOTHING;
    INSERT INTO fenceline.jobs (queued, episode_id, kind, mode, if_version, source, body, format, strict, repair,
                                priority, not_before)
    VALUES (true, episode, enqueue.kind, enqueue.mode, enqueue.if_version, enqueue.source, enqueue.body, enqueue.format,
            enqueue.strict, enqueue.repair, level, enqueue.not_before)
 RETURNING job_id INTO id;
    PERFORM pg_notify('fenceline_queue', 'work');
    RETURN id;
END $$;
COMMENT ON FUNCTION fenceline.enqueue IS
    'Enqueues one import for the workers, in the caller''s transaction. Returns the job id';

-- Hands jobs to a dispatcher: at most so many of each priority that are due, none behind an older job for the same
-- document that is on its way. The last row has no job: due_in_ms tells when the next scheduled one is due.
CREATE FUNCTION fenceline.dispatch_jobs(high integer, normal integer, low integer)
RETURNS TABLE (id bigint, level smallint, due_in_ms bigint) LANGUAGE plpgsql AS $$
DECLARE
    due timestamptz := clock_timestamp(); -- no index serves a comparison with a function that changes as it goes
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true); -- a mark that is lost is made again
    RETURN QUERY
    WITH ready AS (
        SELECT r.job_id
          FROM (VALUES (-1, high), (0, normal), (1, low)) AS l (p, room),
               LATERAL (
                   SELECT j.job_id
                     FROM fenceline.jobs j
                    WHERE coalesce(j.outcome, 'waiting') = 'waiting' AND j.dispatched_at IS NULL AND j.queued
                      AND j.priority = l.p AND coalesce(j.not_before, '-infinity') <= due
                      AND NOT EXISTS (
                          SELECT FROM fenceline.jobs o
                           WHERE o.episode_id = j.episode_id AND o.kind = j.kind AND coalesce(o.outcome, 'open') = 'open'
                             AND o.queued AND o.job_id < j.job_id AND o.priority <= j.priority
                             AND (o.dispatched_at IS NOT NULL
                                  OR coalesce(o.not_before, '-infinity') <= due))
                    ORDER BY coalesce(j.not_before, '-infinity'), j.job_id
                    LIMIT l.room
                      FOR UPDATE SKIP LOCKED) r)
    UPDATE fenceline.jobs j SET dispatched_at = clock_timestamp()
      FROM ready WHERE j.job_id = ready.job_id
 RETURNING j.job_id, j.priority, NULL::bigint;
    id := NULL;
    level := NULL;
    SELECT min(extract(epoch FROM next.at - due) * 1000)::bigint INTO due_in_ms
      FROM (VALUES (-1), (0), (1)) AS l (p),
           LATERAL (SELECT coalesce(j.not_before, '-infinity') AS at
                      FROM fenceline.jobs j
                     WHERE coalesce(j.outcome, 'waiting') = 'waiting' AND j.dispatched_at IS NULL AND j.queued
                       AND j.priority = l.p
                       AND coalesce(j.not_before, '-infinity') > due
                     ORDER BY coalesce(j.not_before, '-infinity')
                     LIMIT 1) AS next;
    RETURN NEXT;
END $$;

-- A worker begins jobs: the open ones among them, with all that it needs. What is not returned is decided or gone.
-- One with deaths > 0 is not begun yet: that takes begin_suspect. From rank on: PROTOCOL 1, the read.
CREATE FUNCTION fenceline.begin_jobs(ids bigint[], my_worker text)
RETURNS TABLE (id bigint, episode text, kind text, mode text, if_version bigint, source text, body bytea, format text,
               strict boolean, repair boolean, attempts integer, deaths smallint, waited_ms bigint, rank bigint,
               version bigint, fence bigint, document_version bigint, document_rank bigint, document_deleted boolean)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    RETURN QUERY
    WITH begun AS (
        UPDATE fenceline.jobs j
           SET worker = my_worker, started_at = clock_timestamp(),
               attempts = j.attempts + CASE WHEN j.deaths = 0 THEN 1 ELSE 0 END
          FROM unnest(ids) u (id)
         WHERE j.job_id = u.id AND j.outcome IS NULL
     RETURNING j.*)
    SELECT b.job_id, b.episode_id::text, b.kind::text, b.mode::text, b.if_version, b.source, b.body, b.format, b."strict", b.repair,
           b.attempts, b.deaths,
           (extract(epoch FROM b.started_at - greatest(b.created_at, b.not_before)) * 1000)::bigint,
           coalesce(b.rank, b.job_id), e.version, e.fence, d.version, d.rank, d.deleted
      FROM begun b
      LEFT JOIN fenceline.episodes e ON e.episode_id = b.episode_id
      LEFT JOIN fenceline.documents d ON d.episode_id = b.episode_id AND d.kind = b.kind;
END $$;

-- A session plans each statement at its first use, and that takes ten times as long as an import. A worker's session calls
-- this when it opens: all is used once, on an episode and a job of its own, and taken back.
CREATE FUNCTION fenceline.warm_up() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    me text := 'fenceline warm-up ' || pg_backend_pid();
    chapters bigint := -2 * pg_backend_pid();
    transcript bigint := chapters + 1;
BEGIN
    PERFORM set_config('lock_timeout', '100', true); -- a session that has to wait for a table is better cold than late
    PERFORM fenceline.dispatch_jobs(0, 0, 0);
    INSERT INTO fenceline.episodes (episode_id) VALUES (me);
    INSERT INTO fenceline.jobs (job_id, episode_id, kind, source) OVERRIDING SYSTEM VALUE
    VALUES (chapters, me, 'chapters', me), (transcript, me, 'transcript', me);
    PERFORM fenceline.begin_jobs(ARRAY[chapters, transcript], me);
    PERFORM fenceline.claim_episodes(ARRAY[me], ARRAY[0], ARRAY[0], ARRAY[1], ARRAY[me], me, ARRAY[chapters]);
    PERFORM fenceline.commit_chapters(chapters, me, 1, 0, me, ARRAY[0, 0, 0], '', 'chapters-json', '[]', ARRAY[0], ARRAY[0],
                                      ARRAY[me], ARRAY[me], ARRAY[me], ARRAY[true], ARRAY['{}']);
    PERFORM fenceline.commit_transcript(transcript, me, 1, 1, me, ARRAY[0, 0, 0], '', 'vtt', '[]', ARRAY[0], ARRAY[0],
                                        ARRAY[me], ARRAY[me]);
    RAISE 'taken back' USING ERRCODE = 'FL000';
EXCEPTION WHEN SQLSTATE 'FL000' OR lock_not_available THEN
    NULL;
END $$;

-- A job with which a worker died is counted before it is begun again, since the count could not be written after.
-- False: it died too often, and is decided.
CREATE FUNCTION fenceline.begin_suspect(my_id bigint, my_worker text, max_deaths integer) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE fenceline.jobs
       SET deaths = deaths + 1, attempts = attempts + 1, worker = my_worker, started_at = clock_timestamp()
     WHERE job_id = my_id AND outcome IS NULL AND deaths < max_deaths;
    IF FOUND THEN
        RETURN true;
    END IF;
    PERFORM fenceline.decide_job(my_id, 'failed', format(
        '%s: %s workers in a row died while they ran this job; it is not begun again. Look at its input, then use '
        '''fenceline jobs retry %s''.', episode_id, deaths, job_id))
       FROM fenceline.jobs WHERE job_id = my_id AND outcome IS NULL;
    RETURN false;
END $$;

-- An attempt ended without an outcome. With an error it is kept, and the job waits for delay_ms, or is given up as
-- failed after max_attempts. Without one the job was handed back unharmed, and waits for nothing but delay_ms.
-- Returns the outcome, null = open.
CREATE FUNCTION fenceline.postpone_job(
    my_id bigint, my_worker text, my_error text, delay_ms bigint, max_attempts integer
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    j fenceline.jobs;
BEGIN
    SELECT * INTO j FROM fenceline.jobs WHERE job_id = my_id AND outcome IS NULL;
    IF NOT FOUND THEN
        RETURN (SELECT outcome FROM fenceline.jobs WHERE job_id = my_id);
    END IF;
    IF my_error IS NOT NULL THEN
        INSERT INTO fenceline.job_attempts (job_id, attempt, worker, error)
        VALUES (my_id, j.attempts, my_worker, my_error);
        IF j.attempts >= max_attempts THEN
            RETURN (fenceline.decide_job(my_id, 'failed', format('gave up after %s attempts; the last: %s', j.attempts,
                                                                 my_error))).outcome;
        END IF;
    END IF;
    UPDATE fenceline.jobs
       SET dispatched_at = NULL, last_error = coalesce(my_error, last_error),
           -- It ran, and its worker lives; or it did not run, and its possible death was counted for nothing.
           deaths = CASE WHEN my_error IS NOT NULL THEN 0 WHEN deaths > 1 THEN deaths - 1 ELSE deaths END,
           not_before = CASE WHEN delay_ms > 0 THEN clock_timestamp() + delay_ms * interval '1 millisecond'
                             ELSE not_before END,
           attempts = attempts - CASE WHEN my_error IS NULL THEN 1 ELSE 0 END
     WHERE job_id = my_id AND outcome IS NULL;
    PERFORM pg_notify('fenceline_queue', 'work');
    RETURN NULL;
END $$;

-- Workers died with these jobs: whoever begins them next must know. A job whose row is locked is just being decided: it
-- came as far as its commit, so it is not what kills workers, and nobody waits for it here.
CREATE FUNCTION fenceline.suspect_jobs(ids bigint[], workers text[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO fenceline.job_attempts (job_id, attempt, worker, error)
    SELECT j.job_id, j.attempts, u.w, 'the worker died, or was cut off, while it had this job'
      FROM unnest(ids, workers) u (id, w) JOIN fenceline.jobs j ON j.job_id = u.id
     WHERE j.outcome IS NULL;
    UPDATE fenceline.jobs
       SET deaths = greatest(deaths, 1)
     WHERE job_id IN (SELECT job_id FROM fenceline.jobs
                       WHERE job_id = ANY (ids) AND outcome IS NULL
                         FOR NO KEY UPDATE SKIP LOCKED);
$$;

-- Jobs that should have an entry in Redis for at least age_ms.
CREATE FUNCTION fenceline.dispatched_jobs(age_ms bigint, after bigint, how_many integer)
RETURNS TABLE (id bigint, level smallint) LANGUAGE sql AS $$
    SELECT job_id, priority
      FROM fenceline.jobs
     WHERE coalesce(outcome, 'dispatched') = 'dispatched' AND dispatched_at IS NOT NULL AND job_id > after
       AND dispatched_at <= clock_timestamp() - age_ms * interval '1 millisecond'
     ORDER BY job_id
     LIMIT how_many
$$;

-- Once in a while: imports whose process ended without an outcome a day ago, and decided jobs beyond retention
-- (0 days = keep all). Fences and ranks do not live in jobs: both guarantees outlive any purge. Returns what it did.
CREATE FUNCTION fenceline.tidy_jobs(retention_days bigint, how_many integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    purged bigint := 0;
BEGIN
    PERFORM fenceline.decide_job(a.job_id, 'cancelled', format(
        '%s: the process that imported it (%s) ended without an outcome. Import it again.', a.episode_id, a.worker))
       FROM (SELECT job_id, episode_id, worker
               FROM fenceline.jobs
              WHERE coalesce(outcome, 'open') = 'open' AND NOT queued
                AND created_at < clock_timestamp() - interval '1 day'
              ORDER BY episode_id LIMIT how_many) a;
    IF retention_days > 0 THEN
        DELETE FROM fenceline.jobs
         WHERE job_id IN (SELECT job_id FROM fenceline.jobs
                           WHERE finished_at < clock_timestamp() - retention_days * interval '1 day'
                           ORDER BY job_id LIMIT how_many
                             FOR UPDATE SKIP LOCKED);
        GET DIAGNOSTICS purged = ROW_COUNT;
    END IF;
    RETURN purged;
END $$;

-- When a job is decided: its input is not needed any more after a success, and the next one for its document may go.
CREATE FUNCTION fenceline.on_job_decided() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.outcome IN ('imported', 'unchanged', 'superseded', 'deleted') THEN
        NEW.body := NULL;
        NEW.source := coalesce(NEW.source, 'body');
    END IF;
    IF EXISTS (SELECT FROM fenceline.jobs
                WHERE episode_id = NEW.episode_id AND kind = NEW.kind AND coalesce(outcome, 'open') = 'open'
                  AND dispatched_at IS NULL AND queued AND job_id <> NEW.job_id) THEN
        PERFORM pg_notify('fenceline_queue', 'work');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER job_decided BEFORE UPDATE ON fenceline.jobs
    FOR EACH ROW WHEN (OLD.outcome IS NULL AND NEW.outcome IS NOT NULL) EXECUTE FUNCTION fenceline.on_job_decided();
