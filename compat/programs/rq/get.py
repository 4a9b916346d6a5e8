"""What came of the jobs."""

import sys

import redis
from rq.job import Job

connection = redis.Redis(port=int(sys.argv[1]))
print([Job.fetch(f"job{number}", connection=connection).return_value() for number in range(3)])
