"""rq - a queue in Redis, for Python. Chosen for speed: no fork and no timer a job, results not kept, jobs as JSON, the
parser in C for Redis (hiredis), jobs added in bulk.

usage: peer_rq.py worker | enqueue JOBS [SCHEDULE]
"""
import logging
import sys

import redis
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer
from rq.timeouts import BaseDeathPenalty

import common


class NoPenalty(BaseDeathPenalty):
    """No timer a job: two system calls less."""

    def setup_death_penalty(self):
        pass

    def cancel_death_penalty(self):
        pass


class Worker(SimpleWorker):
    """Does the work in its own process: a fork a job, which is rq's default, costs several times the import."""

    death_penalty_class = NoPenalty


def main():
    role, *rest = sys.argv[1:]
    connection = redis.Redis.from_url(common.REDIS)
    queue = Queue("imports", connection=connection, serializer=JSONSerializer)
    options = {"result_ttl": 0, "timeout": 60}
    if role == "worker":
        logging.getLogger("rq.worker").setLevel(logging.WARNING)
        common.connect()
        Worker([queue], connection=connection, serializer=JSONSerializer).work(logging_level="WARNING")
        return
    jobs = common.jobs_of(rest[0])
    name = "common.import_document"
    if len(rest) > 1:
        common.paced(jobs, rest[1], lambda job: queue.enqueue_call(name, args=job, **options))
    else:
        queue.enqueue_many([Queue.prepare_data(name, args=job, **options) for job in jobs])


main()
