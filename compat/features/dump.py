"""A call gives every thread's stack, those that wait too."""

import threading
import time

from _runtime import RUNTIME, answer, patch

patch()


def waits_here():
    time.sleep(5)


threading.Thread(target=waits_here, daemon=True).start()
time.sleep(0.05)
text = ""
if RUNTIME == "dhagapatch":
    import dhagapatch

    text = str(dhagapatch.dump())
elif RUNTIME == "gevent":
    import gevent.util

    text = "\n".join(gevent.util.format_run_info())
answer("waits_here" in text)
