-- What pgbench commits: episodes that are claimed and jobs that are open, as if all protocol steps before the commit
-- cost nothing. Parameters :count.
DROP SEQUENCE IF EXISTS bench_next;
CREATE SEQUENCE bench_next CACHE 50;
TRUNCATE fenceline.episodes, fenceline.jobs, fenceline.job_attempts, fenceline.lost_claims, fenceline.documents, fenceline.chapters,
    fenceline.transcript_segments RESTART IDENTITY;
INSERT INTO fenceline.episodes (episode_id, fence, nonce)
SELECT 'bench' || n, 1, repeat('0', 32) FROM generate_series(1, :count) n;
INSERT INTO fenceline.jobs (episode_id, kind, source)
SELECT 'bench' || n, :'kind', 'bench' FROM generate_series(1, :count) n ORDER BY n;
VACUUM ANALYZE fenceline.episodes, fenceline.jobs;
CHECKPOINT;
