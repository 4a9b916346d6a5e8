# run: -m dhagapatch
"""A thread that runs where another one did has none of its context, and none of what was due to it."""

import contextvars
import threading
import time

from dhagapatch.core.dhaga import find_dhaga

variable = contextvars.ContextVar("variable", default="nobody's")
seen = []


def in_turn(*functions):
    """Each in a thread of its own, one after another; whether all of them ran in one dhaga."""
    idents = []
    for function in functions:
        thread = threading.Thread(target=function)
        thread.start()
        idents.append(thread.ident)
        thread.join()
    return len(set(idents)) == 1


def look():
    seen.append(variable.get())
    time.sleep(0.001)
    seen.append("lived")


assert in_turn(lambda: variable.set("the first's"), look)
assert seen == ["nobody's", "lived"], seen

# killed by itself, or by another one, after its last wait
seen.clear()
assert in_turn(lambda: find_dhaga(threading.get_ident()).kill(), look)
assert seen == ["nobody's", "lived"], seen
