"""Runs one test module inside the process under test, and tells each outcome as it comes.

    [python] [-m dhagapatch] agent.py MODULE EVENTS DONE

It imports as little as it can, nothing of ours, and starts no thread: the tests are to see what a user's own start gives.
A line of JSON is appended to the file EVENTS when a test begins and when it ends; the tests named in the file DONE (a JSON
list) are left out, so that a run goes on behind a test that hung or crashed.
"""

import json
import os
import sys
import time
import unittest

RESOURCES = ["audio", "cpu", "curses", "decimal", "subprocess", "tzdata", "walltime"]  # no network, no large files
LOOPBACK = ("test_socketserver",)  # asks for the network, and stays on this machine
EVENTS_FD = 230  # far from what the tests use
TEXT = 4000  # characters of a traceback that are kept

_write = os.write
_getpid = os.getpid
_clock = time.perf_counter
_dumps = json.dumps


class Told(unittest.TestResult):
    """Outcomes, told as they come."""

    def __init__(self, module):
        super().__init__()
        self._pid = _getpid()
        self._seen = {}
        self._key = module
        self._began = 0.0
        self._outcome = None

    def tell(self, **facts):
        if _getpid() == self._pid:  # a forked child that runs on into us is not the run
            _write(EVENTS_FD, (_dumps(facts) + "\n").encode())

    def startTest(self, test):
        super().startTest(test)
        self._key = key_of(test, self._seen)
        self._outcome = None
        self.tell(begin=self._key)
        self._began = _clock()

    def stopTest(self, test):
        super().stopTest(test)
        outcome, text = self._outcome or ("pass", "")
        self.tell(end=self._key, outcome=outcome, seconds=round(_clock() - self._began, 4), text=text)
        self._outcome = None

    def _had(self, test, outcome, text):
        if isinstance(test, unittest.TestCase) or hasattr(test, "test_case"):
            if self._outcome is None or self._outcome[0] in ("pass", "skip"):
                self._outcome = (outcome, text[-TEXT:])
        else:  # a fixture of a class or a module
            self.tell(begin=str(test))
            self.tell(end=str(test), outcome=outcome, seconds=0.0, text=text[-TEXT:])

    def addError(self, test, error):
        super().addError(test, error)
        self._had(test, "error", self.errors[-1][1])

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self._had(test, "fail", self.failures[-1][1])

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self._had(subtest, "fail", self._exc_info_to_string(error, test))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._had(test, "skip", reason)

    def addExpectedFailure(self, test, error):
        super().addExpectedFailure(test, error)
        self._had(test, "expected failure", "")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._had(test, "unexpected success", "")


def key_of(test, seen):
    """The test's id; a second one with the same id has a number."""
    name = test.id()
    seen[name] = seen.get(name, 0) + 1
    return name if seen[name] == 1 else f"{name}#{seen[name]}"


def flat(tests):
    """The tests of a suite, one by one, in order."""
    for test in tests:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


def dump_on_signal():
    """Tell where everything stands when the run's owner asks, with two signals that no test uses.

    The first has the dhagas dumped, by Python code, in the main one; the second the native threads, from C, whatever they do.
    """
    import faulthandler
    import signal

    faulthandler.register(signal.SIGRTMAX - 2, file=2, all_threads=True)
    if "dhagapatch" not in sys.modules:
        signal.signal(signal.SIGRTMAX - 3, signal.SIG_IGN)
        return
    from dhagapatch.testing import describe_dhagas

    def dump(number, frame):
        _write(2, describe_dhagas().encode("utf-8", "backslashreplace"))

    signal.signal(signal.SIGRTMAX - 3, dump)


def main(module, events, done):
    file = os.open(events, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(file, EVENTS_FD, inheritable=False)
    os.close(file)
    with open(done) as stream:
        left_out = set(json.load(stream))

    from test import support

    support.use_resources = RESOURCES + (["network"] if module in LOOPBACK else [])
    support.record_original_stdout(sys.stdout)
    dump_on_signal()
    result = Told(module)
    result.tell(start=module)
    try:
        suite = unittest.defaultTestLoader.loadTestsFromName(f"test.{module}")
    except unittest.SkipTest as reason:
        result.tell(begin=module)
        result.tell(end=module, outcome="skip", seconds=0.0, text=str(reason))
        suite = unittest.TestSuite()
    seen = {}
    kept = unittest.TestSuite()
    for test in flat(suite):
        key = key_of(test, seen)
        if key not in left_out:
            kept.addTest(test)
        else:
            result._seen[test.id()] = seen[test.id()]
    result.tell(loaded=kept.countTestCases())
    kept.run(result)
    startup = sys.modules.get("dhagapatch.green.startup")
    counts = [startup.COUNTS.patched, startup.COUNTS.left_alone] if startup is not None else [0, 0]
    result.tell(over=True, children=counts)


if __name__ == "__main__":
    main(*sys.argv[1:])
