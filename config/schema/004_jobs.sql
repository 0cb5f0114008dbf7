-- Jobs as operators see them: which ones, again, no more, and away with the old.

-- The few jobs that operators look for, among the many that went well. As with the indexes of 003: only for statements
-- that repeat the expression to the letter.
CREATE INDEX jobs_in_trouble ON fenceline.jobs (job_id)
    WHERE coalesce(outcome, 'open') IN ('rejected', 'invalid', 'failed', 'cancelled');

-- What an operator was told of must survive a crash of the server, whatever the role's default is.
CREATE FUNCTION fenceline.be_durable() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
END $$;

-- Jobs that meet every condition that is not null; outcome 'open' = none yet; a worker as `jobs list` or `worker list`
-- show it, its host, or its program. Planned together with the statement around it, so that only the conditions given
-- count, and the indexes with them.
CREATE FUNCTION fenceline.jobs_matching(
    my_outcome text, my_episode text, my_kind text, my_worker text, my_error text, older_than_ms bigint
) RETURNS SETOF fenceline.jobs LANGUAGE sql STABLE AS $$
    SELECT *
      FROM fenceline.jobs
     WHERE CASE WHEN my_outcome IS NULL THEN true
                WHEN my_outcome IN ('open', 'rejected', 'invalid', 'failed', 'cancelled')
                    THEN coalesce(outcome, 'open') = my_outcome -- as the indexes say it
                ELSE outcome = my_outcome END
       AND (my_episode IS NULL OR episode_id = my_episode)
       AND (my_kind IS NULL OR kind = my_kind)
       AND (my_worker IS NULL OR worker = my_worker OR starts_with(worker, my_worker || '@')
            OR worker = 'worker@' || regexp_replace(my_worker, ':[0-9a-f]{6}$', '')
            OR starts_with(worker, 'worker@' || my_worker || ':'))
       AND (my_error IS NULL OR position(lower(my_error) IN lower(concat(last_error, ' ', message))) > 0)
       AND (older_than_ms IS NULL OR created_at <= now() - older_than_ms * interval '1 millisecond')
$$;

-- Where an open job is.
CREATE FUNCTION fenceline.job_state(j fenceline.jobs) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN j.outcome IS NOT NULL THEN j.outcome
                WHEN NOT j.queued THEN 'running'
                WHEN j.dispatched_at IS NOT NULL AND j.started_at >= j.dispatched_at THEN 'running'
                WHEN j.dispatched_at IS NOT NULL THEN 'dispatched'
                WHEN j.not_before > now() AND j.attempts > 0 THEN 'to be tried again'
                WHEN j.not_before > now() THEN 'scheduled'
                ELSE 'waiting' END
$$;

-- From a to b in ms; null where one of them is, or b came first.
CREATE FUNCTION fenceline.ms_between(a timestamptz, b timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN b >= a THEN (extract(epoch FROM b - a) * 1000)::bigint END
$$;

-- The queue in numbers, for the metrics of workers, which need no right to read a job for it.
CREATE FUNCTION fenceline.queue_depth()
RETURNS TABLE (waiting bigint, scheduled bigint, retrying bigint, dispatched bigint, running bigint, oldest_due_ms bigint,
               breaks bigint, paused boolean) LANGUAGE sql STABLE AS $$
    SELECT count(*) FILTER (WHERE state = 'waiting'), count(*) FILTER (WHERE state = 'scheduled'),
           count(*) FILTER (WHERE state = 'to be tried again'), count(*) FILTER (WHERE state = 'dispatched'),
           count(*) FILTER (WHERE state = 'running'), max(fenceline.ms_between(due_at, now())),
           (SELECT count(*) FROM fenceline.lock_breaks), (SELECT c.paused FROM fenceline.queue_control c)
      FROM (SELECT fenceline.job_state(j) AS state, greatest(j.created_at, j.not_before) AS due_at
              FROM fenceline.jobs j WHERE coalesce(j.outcome, 'open') = 'open') open
$$;

-- How long a job was in each phase, in ms, in order; null = not known. waiting: until a worker began it last; commit: what
-- that attempt had left after lease, claim and load; total: from the moment it was due. An import in its own process is
-- not begun by a worker: its waiting and its commit are not known. (Not of whole rows, so that many can be sorted.)
CREATE FUNCTION fenceline.job_phases(
    due_at timestamptz, started_at timestamptz, finished_at timestamptz, token bigint, lease_ms integer,
    claim_ms integer, load_ms integer
) RETURNS TABLE (place integer, phase text, ms bigint) LANGUAGE sql IMMUTABLE AS $$
    VALUES (1, 'waiting', fenceline.ms_between(due_at, started_at)),
           (2, 'lease', lease_ms::bigint),
           (3, 'claim', claim_ms::bigint),
           (4, 'load', load_ms::bigint),
           (5, 'commit', CASE WHEN token IS NOT NULL AND started_at <= finished_at THEN
                             greatest(fenceline.ms_between(started_at, finished_at) - coalesce(lease_ms, 0)
                                      - coalesce(claim_ms, 0) - coalesce(load_ms, 0), 0) END),
           (6, 'total', fenceline.ms_between(due_at, finished_at))
$$;

-- A job, those it retries, and those that retry it, in order. Purged ones are missing, and what was before them.
CREATE FUNCTION fenceline.retry_chain(id bigint) RETURNS SETOF fenceline.jobs LANGUAGE sql STABLE AS $$
    WITH RECURSIVE
    earlier AS (SELECT job_id, episode_id FROM fenceline.jobs WHERE job_id = id
                UNION ALL
                SELECT j.job_id, j.episode_id
                  FROM earlier e JOIN fenceline.jobs j ON j.episode_id = e.episode_id AND j.retried_by = e.job_id
                 WHERE j.job_id < e.job_id),
    later AS (SELECT job_id, retried_by FROM fenceline.jobs WHERE job_id = id
              UNION ALL
              SELECT j.job_id, j.retried_by
                FROM later l JOIN fenceline.jobs j ON j.job_id = l.retried_by
               WHERE j.job_id > l.job_id)
    SELECT *
      FROM fenceline.jobs
     WHERE job_id IN (SELECT job_id FROM earlier UNION SELECT job_id FROM later)
     ORDER BY job_id
$$;

-- New attempts for jobs that were given up, under new jobs. A new job keeps the rank of the old one, so that it cannot
-- overwrite what came after; as_new gives it a rank of its own. problem: why there is no new job.
CREATE FUNCTION fenceline.retry_jobs(ids bigint[], as_new boolean)
RETURNS TABLE (old_id bigint, new_id bigint, problem text) LANGUAGE plpgsql AS $$
DECLARE
    j fenceline.jobs;
BEGIN
    PERFORM fenceline.be_durable();
    -- One order for all who retry, so that they wait for each other and not in a circle.
    PERFORM FROM fenceline.jobs WHERE job_id = ANY (ids) ORDER BY job_id FOR NO KEY UPDATE;
    FOREACH old_id IN ARRAY ids LOOP
        SELECT * INTO j FROM fenceline.jobs WHERE job_id = old_id;
        new_id := NULL;
        problem := CASE
            WHEN NOT FOUND THEN 'there is no such job'
            WHEN j.outcome IS NULL THEN 'it is still open'
            WHEN j.retried_by IS NOT NULL THEN format('job %s retries it already', j.retried_by)
            WHEN j.outcome NOT IN ('failed', 'invalid', 'cancelled', 'rejected')
                THEN format('it is %s: there is nothing to retry', j.outcome)
            WHEN NOT j.queued AND j.body IS NULL AND j.mode <> 'delete'
                THEN format('it was an import of %s in its own process: import it again', coalesce(j.source, 'a file'))
            END;
        IF problem IS NULL THEN
            INSERT INTO fenceline.jobs (queued, rank, episode_id, kind, mode, if_version, source, body, format, strict,
                                        repair, priority)
            SELECT true, CASE WHEN as_new THEN NULL ELSE coalesce(o.rank, o.job_id) END, o.episode_id, o.kind, o.mode,
                   o.if_version, o.source, o.body, o.format, o.strict, o.repair, o.priority
              FROM fenceline.jobs o -- not from j: PL/pgSQL keeps the word "strict" for itself
             WHERE o.job_id = old_id
         RETURNING job_id INTO new_id;
            UPDATE fenceline.jobs SET retried_by = new_id WHERE job_id = old_id;
        END IF;
        RETURN NEXT;
    END LOOP;
    PERFORM pg_notify('fenceline_queue', 'work');
END $$;

-- Decides open jobs as cancelled: under their episodes' locks, so that a commit comes before or not at all. A worker that
-- runs one of them is told, and stops early. problem: why it is not cancelled.
CREATE FUNCTION fenceline.cancel_jobs(ids bigint[], reason text)
RETURNS TABLE (id bigint, problem text) LANGUAGE plpgsql AS $$
DECLARE
    j record;
    answer fenceline.answer;
BEGIN
    PERFORM fenceline.be_durable();
    FOR j IN SELECT u.job_id, jobs.episode_id, jobs.outcome
               FROM (SELECT DISTINCT i FROM unnest(ids) i) u (job_id)
               LEFT JOIN fenceline.jobs ON jobs.job_id = u.job_id
              ORDER BY jobs.episode_id, u.job_id LOOP
        id := j.job_id;
        problem := CASE WHEN j.episode_id IS NULL THEN 'there is no such job' END;
        IF problem IS NULL AND j.outcome IS NULL THEN
            answer := fenceline.decide_job(j.job_id, 'cancelled', concat(j.episode_id, ': cancelled', ': ' || reason));
            j.outcome := answer.outcome;
            PERFORM pg_notify('fenceline_queue', 'cancel ' || j.job_id);
            IF answer.outcome = 'cancelled' THEN
                RETURN NEXT;
                CONTINUE;
            END IF;
        END IF;
        problem := coalesce(problem, format('it is decided already: %s', j.outcome));
        RETURN NEXT;
    END LOOP;
END $$;

-- Deletes rows of jobs that were decided long ago, some at a time, and none that another purge is deleting. Fences and
-- ranks stay: episodes and documents have them. Returns how many.
CREATE FUNCTION fenceline.purge_jobs(older_than_ms bigint, my_outcome text, how_many integer) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    purged bigint;
BEGIN
    DELETE FROM fenceline.jobs
     WHERE job_id IN (SELECT job_id FROM fenceline.jobs
                       WHERE finished_at <= now() - older_than_ms * interval '1 millisecond'
                         AND (my_outcome IS NULL OR outcome = my_outcome)
                       ORDER BY job_id LIMIT how_many
                         FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN purged;
END $$;

-- Pauses or resumes all workers. Returns how it was before.
CREATE FUNCTION fenceline.set_paused(pause boolean, who text, why text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    was boolean;
BEGIN
    PERFORM fenceline.be_durable();
    SELECT paused INTO was FROM fenceline.queue_control FOR UPDATE;
    IF was <> pause THEN
        UPDATE fenceline.queue_control
           SET paused = pause, paused_by = CASE WHEN pause THEN who END, reason = CASE WHEN pause THEN why END,
               paused_at = CASE WHEN pause THEN clock_timestamp() END;
        PERFORM pg_notify('fenceline_queue', 'pause');
    END IF;
    RETURN was;
END $$;
