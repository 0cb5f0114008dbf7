-- Imports per second by Postgres' own note of their commits: those after the first tenth up to the last tenth, over the
-- time in between. Neither the workers' start nor the end, when one of them is done, counts. Parameters :schema, :table.
WITH commits AS (SELECT pg_xact_commit_timestamp(xmin) AS at FROM :schema.:table WHERE order_index = 0)
SELECT round(count(*) FILTER (WHERE at > low AND at <= high) / extract(epoch FROM max(high) - max(low)), 1)
  FROM commits,
       (SELECT percentile_disc(0.1) WITHIN GROUP (ORDER BY at) AS low,
               percentile_disc(0.9) WITHIN GROUP (ORDER BY at) AS high FROM commits) AS q;
