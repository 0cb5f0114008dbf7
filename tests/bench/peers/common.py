"""common - what the peers in Python share: the work itself, and the frame around it.

The work is written for speed: one Postgres connection a thread of work, two round trips a transaction (everything up to
the check, everything after it), statements prepared once a connection, rows as one array a column (unnest), which
psycopg2 composes faster than execute_values.
"""
import json
import os
import secrets
import threading
import time

import psycopg2
import redis

ROOT = os.environ["FENCELINE_SOURCE_ROOT"]
REDIS = os.environ["FENCELINE_REDIS"]
PREPARE = """
PREPARE chapters_check (text) AS SELECT count(*) FROM peers.chapters WHERE episode_id = $1;
PREPARE chapters_clear (text) AS DELETE FROM peers.chapters WHERE episode_id = $1;
PREPARE chapters_insert (text, bigint[], bigint[], text[], text[], boolean[]) AS
 INSERT INTO peers.chapters (episode_id, order_index, start_ms, end_ms, title, url, toc)
 SELECT $1, i - 1, s, e, t, u, c FROM unnest($2, $3, $4, $5, $6) WITH ORDINALITY AS r (s, e, t, u, c, i);
PREPARE transcript_check (text) AS SELECT count(*) FROM peers.transcript_segments WHERE episode_id = $1;
PREPARE transcript_clear (text) AS DELETE FROM peers.transcript_segments WHERE episode_id = $1;
PREPARE transcript_insert (text, bigint[], bigint[], text[], text[]) AS
 INSERT INTO peers.transcript_segments (episode_id, order_index, start_ms, end_ms, speaker, body)
 SELECT $1, i - 1, s, e, p, b FROM unnest($2, $3, $4, $5) WITH ORDINALITY AS r (s, e, p, b, i);
"""
UNLOCK = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
own = threading.local()


def ms(seconds):
    if not isinstance(seconds, (int, float)) or not seconds >= 0:
        raise ValueError(f"a time is {seconds!r}")
    return round(seconds * 1000)


def columns(kind, text):
    """The columns of a document, as lists."""
    rows = json.loads(text)["chapters" if kind == "chapters" else "segments"]
    if not rows:
        raise ValueError("no rows")
    starts = [ms(row["startTime"]) for row in rows]
    if kind == "transcript":
        return (starts, [ms(row["endTime"]) for row in rows], [row.get("speaker") for row in rows],
                [row["body"] for row in rows])
    ends = [ms(row["endTime"]) if "endTime" in row else after
            for row, after in zip(rows, starts[1:] + [None])]
    return (starts, ends, [row.get("title", "") for row in rows], [row.get("url") for row in rows],
            [row.get("toc", True) for row in rows])


def connect():
    """Once a thread of work."""
    connection = psycopg2.connect(os.environ["FENCELINE_POSTGRES"])
    connection.autocommit = True
    own.cursor = connection.cursor()
    own.cursor.execute(PREPARE)
    own.redis = redis.Redis.from_url(REDIS)
    own.unlock = own.redis.register_script(UNLOCK)


def store(kind, episode, source):
    """One transaction."""
    with open(f"{ROOT}/{source}", encoding="utf-8") as file:
        lists = columns(kind, file.read())
    cursor = own.cursor
    cursor.execute(f"BEGIN; EXECUTE {kind}_check(%s)", (episode,))
    if cursor.fetchone()[0] > 0:
        cursor.execute("ROLLBACK")
        raise ValueError(f"{episode}: {kind} already imported")
    try:
        cursor.execute(f"EXECUTE {kind}_clear(%s); EXECUTE {kind}_insert(%s{', %s' * len(lists)}); COMMIT",
                       (episode, episode, *lists))
    except psycopg2.Error:
        cursor.execute("ROLLBACK")
        raise


def import_document(kind, episode, source):
    """Under a lock as redlock has it on one server: SET NX PX by a nonce, compare and delete."""
    if not hasattr(own, "cursor"):
        connect()
    key = f"lock:{{{episode}}}"
    nonce = secrets.token_hex(16)
    if not own.redis.set(key, nonce, nx=True, px=30000):
        raise ValueError(f"{episode}: locked")
    try:
        store(kind, episode, source)
    finally:
        own.unlock(keys=[key], args=[nonce])


def jobs_of(path):
    with open(path, encoding="utf-8") as file:
        return [line.split() for line in file]


def paced(jobs, schedule, send):
    """Calls send at its moments, and prints when each call began, in microseconds."""
    with open(schedule, encoding="utf-8") as file:
        offsets = [float(line) for line in file]
    begun = []
    zero = time.time() + 0.05
    for job, offset in zip(jobs, offsets):
        wait = zero + offset - time.time()
        if wait > 0:
            time.sleep(wait)
        begun.append(f"{job[1]} {time.time_ns() // 1000}")
        send(job)
    print("\n".join(begun))
