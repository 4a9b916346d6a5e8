"""How a process under test tells its owner what happens: lines of JSON, appended to a file, and dumps when asked for one.

It imports as little as it can, nothing of ours, and starts no thread: the tests are to see what a user's own start gives.
"""

import json
import os
import sys
import time

EVENTS_FD = 230  # far from what the tests use
LOG_FD = 231  # where dumps go, if what runs the tests takes descriptor 2 for itself
TEXT = 4000  # characters of a traceback that are kept

# as they are before a test replaces them
_write = os.write
_getpid = os.getpid
_dumps = json.dumps
clock = time.perf_counter


class Teller:
    """The line to the run's owner."""

    def __init__(self, events):
        file = os.open(events, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(file, EVENTS_FD, inheritable=False)
        os.close(file)
        self._pid = _getpid()

    def tell(self, **facts):
        if _getpid() == self._pid:  # a forked child that runs on into us is not the run
            _write(EVENTS_FD, (_dumps(facts) + "\n").encode())


def numbered(name, seen):
    """A test's name; a second one with the same name has a number."""
    seen[name] = seen.get(name, 0) + 1
    return name if seen[name] == 1 else f"{name}#{seen[name]}"


def children():
    """How many Python processes were started patched, and left alone."""
    startup = sys.modules.get("dhagapatch.green.startup")
    return [startup.COUNTS.patched, startup.COUNTS.left_alone] if startup is not None else [0, 0]


def dump_on_signal(log=2):
    """Tell where everything stands when the run's owner asks, with two signals that no test uses.

    The first has the dhagas dumped, by Python code, in the main one; the second the native threads, from C, whatever they do.
    """
    import faulthandler
    import signal

    faulthandler.register(signal.SIGRTMAX - 2, file=log, all_threads=True)
    if "dhagapatch" not in sys.modules:
        signal.signal(signal.SIGRTMAX - 3, signal.SIG_IGN)
        return
    import dhagapatch

    def dump(number, frame):
        _write(log, str(dhagapatch.dump()).encode("utf-8", "backslashreplace"))

    signal.signal(signal.SIGRTMAX - 3, dump)
