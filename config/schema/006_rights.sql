-- Rights: whoever may do something to jobs or documents does it by one of these functions, and by nothing else. They run
-- with the rights of the schema's owner, so that no program needs a right to write a table (config/roles.sql): not even
-- one that was broken into gets around the fence. Their search_path is fixed, so that nobody slips a function of theirs
-- under a name used here.

ALTER FUNCTION fenceline.submit_jobs SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION fenceline.enqueue_jobs SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION fenceline.enqueue SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION fenceline.claim_episodes SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION fenceline.commit_chapters SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION fenceline.commit_transcript SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION fenceline.stage_rows SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION fenceline.commit_staged SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION fenceline.commit_delete SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION fenceline.decide_job SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION fenceline.dispatch_jobs SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION fenceline.dispatched_jobs SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION fenceline.warm_up SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION fenceline.begin_jobs SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION fenceline.begin_suspect SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION fenceline.postpone_job SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION fenceline.suspect_jobs SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION fenceline.tidy_jobs SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION fenceline.retry_jobs SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION fenceline.cancel_jobs SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION fenceline.purge_jobs SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION fenceline.queue_depth SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION fenceline.set_paused SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION fenceline.break_claim SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
-- Not resolve_commit, which ends a session of the caller's, nor episode_locker, which looks at sessions: the owner of the
-- schema may have no right to do so.

-- Postgres lets everybody call a new function. Each later migration takes that back in the same way.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA fenceline FROM PUBLIC;
