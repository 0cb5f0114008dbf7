-- How many rows there are, should be, and differ from what the files hold. Parameters :schema, :table, :columns.
SELECT (SELECT count(*) FROM :schema.:table), (SELECT count(*) FROM peers.expected_:table),
       (SELECT count(*)
          FROM (SELECT episode_id, order_index, :columns FROM :schema.:table
                EXCEPT ALL SELECT episode_id, order_index, :columns FROM peers.expected_:table) AS wrong);
