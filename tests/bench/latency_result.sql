-- Times in ms. The last transaction that changed a job's row is the one that imported it.
SELECT round((percentile_disc(0.50) WITHIN GROUP (ORDER BY committed))::numeric, 2),
       round((percentile_disc(0.99) WITHIN GROUP (ORDER BY committed))::numeric, 2),
       round(max(committed)::numeric, 2),
       round((percentile_disc(0.99) WITHIN GROUP (ORDER BY decided))::numeric, 2),
       (SELECT round((wal_sync_time / greatest(wal_sync, 1))::numeric, 2) FROM pg_stat_wal),
       round(((count(*) - 1) / extract(epoch FROM max(created_at) - min(created_at)))::numeric, 1)
  FROM (SELECT created_at, 1000 * extract(epoch FROM pg_xact_commit_timestamp(xmin) - created_at) AS committed,
               1000 * extract(epoch FROM finished_at - created_at) AS decided
          FROM fenceline.jobs) AS j;
