# run: -m dhagapatch
"""A program that logs everything at level DEBUG reads what it logs itself, and nothing of the hub."""

import logging
import threading
import time

from dhagapatch.testing import Watchdog

seen = []


class Keep(logging.Handler):
    def emit(self, record):
        seen.append(record.getMessage())


logging.getLogger().addHandler(Keep())
logging.getLogger().setLevel(logging.DEBUG)
logging.info("before")
watchdog = Watchdog(10)
time.sleep(0.001)
threading.Thread(target=logging.info, args=("between",)).start()
time.sleep(0.001)
logging.info("after")
assert seen == ["before", "between", "after"], seen
assert not logging.getLogger("asyncio").disabled
