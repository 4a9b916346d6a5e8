"""Puts jobs into the queue."""

import sys

import job
import redis
import rq

queue = rq.Queue(connection=redis.Redis(port=int(sys.argv[1])))
for number in range(3):
    queue.enqueue(job.add, number, 1, job_id=f"job{number}")
