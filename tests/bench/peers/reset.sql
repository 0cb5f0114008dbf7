-- As if no peer had ever imported anything; the tables of their queues stay.
TRUNCATE peers.chapters, peers.transcript_segments, peers.wanted, peers.begun;
DO $$
DECLARE
    queue text;
BEGIN
    FOREACH queue IN ARRAY ARRAY['pgboss.job', 'graphile_worker._private_jobs'] LOOP
        IF to_regclass(queue) IS NOT NULL THEN
            EXECUTE format('TRUNCATE %s CASCADE', queue);
        END IF;
    END LOOP;
END $$;
