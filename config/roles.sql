-- roles.sql - the roles of fenceline in Postgres, and exactly the rights that each needs.
--
-- Run it in fenceline's database, as the owner of the schema or a superuser, after `fenceline migrate`, and again after
-- each migrate that changed something; running it twice does no harm:
--     psql -v ON_ERROR_STOP=1 -f roles.sql DATABASE
-- It creates four roles without login. Give them to the users that programs and people log in as:
--     CREATE ROLE importer LOGIN IN ROLE fenceline_worker;       then, in psql: \password importer
--
--     fenceline_reader     show, history, jobs list, show and stats, locks list, show and watch, migrate --status
--     fenceline_operator   the same, and jobs retry, cancel, purge, pause and resume, locks break, doctor
--     fenceline_worker     import, delete, enqueue, worker
--     fenceline_enqueuer   your own programs: SELECT fenceline.enqueue(...), and nothing else
--
-- None of them can write a table by other SQL: the functions run with the rights of the schema's owner, who also runs
-- `fenceline migrate`. `fenceline doctor` compares a user with these lists; it reads the GRANTs below, so each is written
-- as GRANT rights ON SCHEMA, TABLE or FUNCTION names TO roles, or GRANT role TO roles.

BEGIN;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['fenceline_reader', 'fenceline_operator', 'fenceline_worker', 'fenceline_enqueuer'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        END IF;
    END LOOP;
END $$;

-- From nothing, so that what an older version needed goes.
REVOKE ALL ON SCHEMA fenceline FROM fenceline_reader, fenceline_operator, fenceline_worker, fenceline_enqueuer;
REVOKE ALL ON ALL TABLES IN SCHEMA fenceline
    FROM fenceline_reader, fenceline_operator, fenceline_worker, fenceline_enqueuer;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA fenceline
    FROM fenceline_reader, fenceline_operator, fenceline_worker, fenceline_enqueuer;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA fenceline
    FROM PUBLIC, fenceline_reader, fenceline_operator, fenceline_worker, fenceline_enqueuer;

GRANT USAGE ON SCHEMA fenceline TO fenceline_reader, fenceline_worker, fenceline_enqueuer;

-- ---- fenceline_reader: looks at everything, changes nothing ----

GRANT SELECT ON TABLE
    fenceline.schema_versions,
    fenceline.documents,
    fenceline.chapters,
    fenceline.transcript_segments,
    fenceline.segments_with_chapters,
    fenceline.episodes,
    fenceline.jobs,
    fenceline.job_attempts,
    fenceline.queue_control,
    fenceline.lock_breaks,
    fenceline.lost_claims,
    fenceline.open_claims
    TO fenceline_reader;
GRANT EXECUTE ON FUNCTION
    fenceline.is_in_hands,
    fenceline.jobs_matching,
    fenceline.job_state,
    fenceline.job_phases,
    fenceline.ms_between,
    fenceline.queue_depth,
    fenceline.retry_chain
    TO fenceline_reader;

-- ---- fenceline_operator: changes what becomes of jobs and claims, and no document ----

GRANT fenceline_reader TO fenceline_operator;
GRANT EXECUTE ON FUNCTION
    fenceline.retry_jobs,
    fenceline.cancel_jobs,
    fenceline.purge_jobs,
    fenceline.set_paused,
    fenceline.break_claim,
    fenceline.episode_locker,
    fenceline.dispatched_jobs -- doctor
    TO fenceline_operator;

-- ---- fenceline_worker: writes documents, by the functions of the protocol ----

GRANT SELECT (version) ON TABLE fenceline.schema_versions TO fenceline_worker;
GRANT SELECT (job_id, rank, episode_id, kind, mode, source, outcome, message, version, row_count)
    ON TABLE fenceline.jobs TO fenceline_worker;
GRANT SELECT (episode_id, version, fence, nonce), INSERT (episode_id) ON TABLE fenceline.episodes TO fenceline_worker;
GRANT SELECT ON TABLE fenceline.documents TO fenceline_worker;
GRANT SELECT (paused) ON TABLE fenceline.queue_control TO fenceline_worker;
GRANT EXECUTE ON FUNCTION
    -- an import, step by step
    fenceline.submit_jobs,
    fenceline.claim_episodes,
    fenceline.commit_chapters,
    fenceline.commit_transcript,
    fenceline.stage_rows,
    fenceline.commit_staged,
    fenceline.commit_delete,
    fenceline.decide_job,
    fenceline.resolve_commit,
    fenceline.job_answer, -- resolve_commit calls it as the caller
    -- import --dry-run
    fenceline.judge,
    fenceline.describe,   -- judge calls these two as the caller
    fenceline.shell_word,
    -- the queue
    fenceline.warm_up,
    fenceline.enqueue_jobs,
    fenceline.dispatch_jobs,
    fenceline.dispatched_jobs,
    fenceline.begin_jobs,
    fenceline.begin_suspect,
    fenceline.postpone_job,
    fenceline.suspect_jobs,
    fenceline.tidy_jobs,
    -- its metrics
    fenceline.queue_depth
    TO fenceline_worker;

-- ---- fenceline_enqueuer: a program's own transaction asks for an import ----

GRANT EXECUTE ON FUNCTION fenceline.enqueue TO fenceline_enqueuer;

-- ---- nobody: parts of the functions above, called with the owner's rights ----

REVOKE ALL ON TABLE fenceline.staged_rows FROM PUBLIC;
REVOKE ALL ON FUNCTION
    fenceline.be_durable,
    fenceline.find_request,
    fenceline.enter_commit,
    fenceline.plan_rewrite,
    fenceline.update_chapters,
    fenceline.update_segments,
    fenceline.write_chapters,
    fenceline.write_segments,
    fenceline.on_job_decided
    FROM PUBLIC;

COMMIT;

-- Rights on the whole server, all databases, so that it takes an administrator to grant them; strike them out if operators
-- may not have them. Without the first, `doctor` and `locks` say less of sessions of other users: how long, what they wait
-- for. Without the second, `locks break` names the session that is stuck in a commit, for an administrator to end it.
GRANT pg_read_all_stats, pg_signal_backend TO fenceline_operator;
