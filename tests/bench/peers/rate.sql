-- Imports per second by Postgres' own note of their commits: those after the first tenth up to the last, over the time
-- between these two. Neither the workers' start nor the end, when one of them is done, counts. Parameters :schema, :table.
SELECT round(count(*) FILTER (WHERE at > low AND at <= high) / extract(epoch FROM max(high) - max(low)), 1)
  FROM (SELECT pg_xact_commit_timestamp(xmin) AS at FROM :schema.:table WHERE order_index = 0) AS c,
       (SELECT percentile_disc(0.1) WITHIN GROUP (ORDER BY at) AS low,
               percentile_disc(0.9) WITHIN GROUP (ORDER BY at) AS high
          FROM (SELECT pg_xact_commit_timestamp(xmin) AS at FROM :schema.:table WHERE order_index = 0) AS all_of_them) AS q;
