-- Locks as operators see and break them (docs/PROTOCOL.md, step 9).

ALTER TABLE fenceline.lock_breaks ADD COLUMN job_id bigint, ADD COLUMN cancelled boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN fenceline.episodes.claimed_at IS 'when it was claimed, or that claim broken';
COMMENT ON COLUMN fenceline.lock_breaks.job_id IS 'job of the holder; null = it was not known';
COMMENT ON COLUMN fenceline.lock_breaks.cancelled IS 'true: the job was decided as cancelled with it';

-- Imports in their own process. As with the indexes of 003: only for statements that repeat the expression to the letter.
CREATE INDEX jobs_in_process ON fenceline.jobs (job_id) WHERE coalesce(outcome, 'in process') = 'in process' AND NOT queued;

-- Is this claim in somebody's hands? Its job is open, and was not handed out or begun again since: that attempt has ended.
CREATE FUNCTION fenceline.is_in_hands(e fenceline.episodes, j fenceline.jobs) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(j.job_id = e.job_id AND j.outcome IS NULL AND (NOT j.queued OR (
                        j.dispatched_at IS NOT NULL AND e.claimed_at >= greatest(j.dispatched_at, j.started_at))), false)
$$;

-- Claims whose job is open and in somebody's hands: whoever has one may commit, with or without a lease.
CREATE VIEW fenceline.open_claims AS
SELECT e.episode_id, e.job_id
  FROM fenceline.jobs j JOIN fenceline.episodes e ON e.episode_id = j.episode_id AND e.job_id = j.job_id
 WHERE coalesce(j.outcome, 'dispatched') = 'dispatched' AND j.dispatched_at IS NOT NULL
   AND fenceline.is_in_hands(e, j)
 UNION ALL
SELECT e.episode_id, e.job_id
  FROM fenceline.jobs j JOIN fenceline.episodes e ON e.episode_id = j.episode_id AND e.job_id = j.job_id
 WHERE coalesce(j.outcome, 'in process') = 'in process' AND NOT j.queued;
COMMENT ON VIEW fenceline.open_claims IS 'Episodes that somebody has claimed for a job that is not decided';

-- The transaction that has locked an episode's row, if there is one: most often a commit that runs.
CREATE FUNCTION fenceline.episode_locker(episode text, OUT backend integer, OUT backend_start timestamptz, OUT session text,
                                         OUT state text, OUT xact_ms bigint) LANGUAGE sql VOLATILE AS $$
    SELECT a.pid, a.backend_start, a.application_name, a.state,
           (extract(epoch FROM clock_timestamp() - a.xact_start) * 1000)::bigint
      FROM fenceline.episodes e
      JOIN pg_locks l ON l.locktype = 'transactionid' AND l.transactionid = e.xmax AND l.granted
      JOIN pg_stat_activity a ON a.pid = l.pid
     WHERE e.episode_id = episode
$$;

-- PROTOCOL 9 (ii): raises the fence, if the holder is the one that was seen: from here on it cannot commit. status:
-- broken; changed: somebody has claimed or committed since, and nothing was done; locked: a transaction has the row, see
-- episode_locker; unknown: no such episode. cancel_job (null = no): that job is decided, too. waits: in the queue for the
-- row for a second, for whoever ends the session that has it in the same statement.
CREATE FUNCTION fenceline.break_claim(
    episode text, seen_version bigint, seen_fence bigint, seen_nonce text, seen_holder text, seen_job bigint, who text,
    why text, cancel_job boolean, waits boolean, OUT status text, OUT new_fence bigint, OUT job_outcome text
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM fenceline.be_durable();
    IF waits THEN
        PERFORM set_config('lock_timeout', '1000', true);
        PERFORM FROM fenceline.episodes WHERE episode_id = episode FOR NO KEY UPDATE;
    ELSE
        PERFORM FROM fenceline.episodes WHERE episode_id = episode FOR NO KEY UPDATE NOWAIT;
    END IF;
    IF NOT FOUND THEN
        status := 'unknown';
        RETURN;
    END IF;
    UPDATE fenceline.episodes e
       SET fence = e.fence + 1, nonce = replace(gen_random_uuid()::text, '-', ''), holder = NULL, job_id = NULL,
           claimed_at = clock_timestamp()
     WHERE e.episode_id = episode AND e.version = seen_version AND e.fence = seen_fence
       AND e.nonce IS NOT DISTINCT FROM seen_nonce
 RETURNING e.fence INTO new_fence;
    IF NOT FOUND THEN
        status := 'changed';
        RETURN;
    END IF;
    status := 'broken';
    IF cancel_job THEN
        job_outcome := (fenceline.decide_job(seen_job, 'cancelled', concat(
            episode, ': cancelled, with its lock, by ', who, ': ' || why))).outcome;
        PERFORM pg_notify('fenceline_queue', 'cancel ' || seen_job);
    END IF;
    INSERT INTO fenceline.lock_breaks (episode_id, broken_by, reason, seen_fence, seen_nonce, seen_holder, new_fence,
                                       job_id, cancelled)
    VALUES (episode, who, why, seen_fence, seen_nonce, break_claim.seen_holder, break_claim.new_fence, seen_job,
            coalesce(job_outcome = 'cancelled', false));
EXCEPTION WHEN lock_not_available THEN
    status := 'locked';
END $$;
