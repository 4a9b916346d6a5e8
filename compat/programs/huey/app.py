"""Tasks, and one that ends the consumer."""

import os
import signal

from huey import RedisHuey

huey = RedisHuey("us", port=int(os.environ["PORT"]))


@huey.task()
def add(one, other):
    return one + other


@huey.task()
def stop():
    os.kill(os.getpid(), signal.SIGINT)
