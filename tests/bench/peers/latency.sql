-- p50 and p99 in ms, from the call that enqueued a job to the commit of its rows, both by the clock of this machine, the
-- commit by Postgres' own note; and the mean time of a flush of the log, which that note does not hold. The first
-- second, in which programs warm up, does not count. Parameter :schema.
SELECT round((percentile_disc(0.50) WITHIN GROUP (ORDER BY ms))::numeric, 2),
       round((percentile_disc(0.99) WITHIN GROUP (ORDER BY ms))::numeric, 2),
       (SELECT round((wal_sync_time / greatest(wal_sync, 1))::numeric, 2) FROM pg_stat_wal)
  FROM (SELECT extract(epoch FROM pg_xact_commit_timestamp(c.xmin)) * 1000 - b.us / 1000.0 AS ms
          FROM peers.begun b JOIN :schema.chapters c USING (episode_id)
         WHERE order_index = 0 AND b.us >= (SELECT min(us) FROM peers.begun) + 1000000) AS m;
