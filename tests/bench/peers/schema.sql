-- What the peers import into: tables like fenceline's own, with the same keys and checks, and none of its guards.
DROP SCHEMA IF EXISTS peers CASCADE;
CREATE SCHEMA peers;
CREATE TABLE peers.chapters (LIKE fenceline.chapters INCLUDING ALL);
CREATE TABLE peers.transcript_segments (LIKE fenceline.transcript_segments INCLUDING ALL);

-- What was asked for, in order, and when (latency only).
CREATE TABLE peers.wanted (n integer PRIMARY KEY, kind text, episode_id text COLLATE "C" NOT NULL, source text);
CREATE TABLE peers.begun (episode_id text COLLATE "C" NOT NULL, us bigint NOT NULL);

-- Rows that tests/bench/generate writes into files, as they must stand in the tables.
CREATE VIEW peers.expected_chapters AS
SELECT w.episode_id, i AS order_index, i * 90500 AS start_ms, CASE WHEN i < 19 THEN (i + 1) * 90500 END AS end_ms,
       format('Part %s of evening %s, by the lamp', i + 1, f.n) AS title,
       format('https://example.org/%s/%s', f.n, i) AS url
  FROM peers.wanted w, LATERAL (SELECT substring(w.source FROM '(\d+)\.json$')) f (n), generate_series(0, 19) i
 WHERE w.kind = 'chapters';
CREATE VIEW peers.expected_transcript_segments AS
SELECT w.episode_id, i AS order_index, i * 4250 AS start_ms, i * 4250 + 4000 AS end_ms,
       CASE WHEN i % 2 = 1 THEN 'Keeper' ELSE 'Guest' END AS speaker,
       format('The lamp was lit at %s, and evening %s went on from there.', i, f.n) AS body
  FROM peers.wanted w, LATERAL (SELECT substring(w.source FROM '(\d+)\.json$')) f (n), generate_series(0, 399) i
 WHERE w.kind = 'transcript';
