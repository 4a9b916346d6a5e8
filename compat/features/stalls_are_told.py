"""Code that holds the OS thread for too long is reported, with its stack, while it does."""

import logging
import time

from _runtime import RUNTIME, answer, patch

said = []


class Handler(logging.Handler):
    def emit(self, record):
        said.append(record.getMessage())


logging.getLogger().addHandler(Handler())


class Stream:
    def write(self, text):
        said.append(text)

    def flush(self):
        pass


patch(stall=0.1)
if RUNTIME == "gevent":
    import gevent

    gevent.config.monitor_thread = True
    gevent.config.max_blocking_time = 0.1
    gevent.get_hub().exception_stream = Stream()
    gevent.get_hub().start_periodic_monitoring_thread()
elif RUNTIME == "eventlet":
    answer(False)  # its detector raises an error in that code, on a signal
time.sleep(0.05)


def computes_here():
    until = time.monotonic() + 0.8
    while time.monotonic() < until:
        pass


computes_here()
time.sleep(0.3)
answer(any("computes_here" in text for text in said))
