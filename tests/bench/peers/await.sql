-- Whether a document that was asked for is missing. From the last backwards, so that one look is enough until the end.
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT 'documents missing: ' || EXISTS (
       SELECT FROM (SELECT episode_id FROM peers.wanted ORDER BY n DESC) AS w
        WHERE NOT EXISTS (SELECT FROM peers.:table c WHERE c.episode_id = w.episode_id AND order_index = 0))
\watch 0.25
