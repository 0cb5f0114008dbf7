"""celery - a queue for Python, here in Redis. Chosen for speed: four processes a worker (prefork; its pool of threads
stalls for seconds whenever all messages fetched ahead are done, since they do not wake its loop; "solo" does a third of the
work), 16 messages a process fetched ahead, no results, events, gossip or heartbeats, the parser in C for Redis (hiredis),
one connection for all messages sent.

usage: peer_celery.py worker | enqueue JOBS [SCHEDULE]
"""
import os
import sys

from celery import Celery
from celery.signals import worker_process_init

import common

app = Celery("peer_celery", broker=common.REDIS)
app.conf.update(
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    task_store_errors_even_if_ignored=False,
    worker_send_task_events=False,
    worker_enable_remote_control=False,
    worker_hijack_root_logger=False,
    worker_prefetch_multiplier=int(os.environ.get("PEERS_BATCH", "16")),
    worker_disable_rate_limits=True,
    broker_pool_limit=1,
    task_default_queue="imports",
    task_create_missing_queues=True,
)
SLOTS = os.environ.get("PEERS_SLOTS", "4")


@app.task(name="imports")
def imports(kind, episode, source):
    common.import_document(kind, episode, source)


@worker_process_init.connect
def connect(**_):
    common.connect()


def main():
    role, *rest = sys.argv[1:]
    if role == "worker":
        app.worker_main(["worker", "--pool=prefork", f"--concurrency={SLOTS}", f"--hostname=w{os.getpid()}@peers",
                         "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=ERROR"])
        return
    jobs = common.jobs_of(rest[0])
    with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
        def send(job):
            imports.apply_async(job, producer=producer)
        if len(rest) > 1:
            common.paced(jobs, rest[1], send)
        else:
            for job in jobs:
                send(job)


main()
