"""A pytest plugin that tells each outcome as it comes: ``python -m pytest -p compat_pytest``.

The owner says in the environment, in COMPAT_RUN, where: a JSON object with the file of events, the file with the list of
tests that are done, so that a run goes on behind one that hung or crashed, patterns of what is left out, and the prefix
of the tests' names.
Tests, and what they start, see neither that nor our folder on the path.
"""

import fnmatch
import json
import os
import sys

import compat_tell
import pytest

LATE = "dhagapatch-late"
FINISHED = (0, 1, 5)  # all passed, some failed, none collected: not interrupted, no internal error


def _out_of_sight():
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [item for item in sys.path if item != here]
    path = [item for item in os.environ.get("PYTHONPATH", "").split(os.pathsep) if item not in ("", here)]
    os.environ.pop("PYTHONPATH", None)
    if path:
        os.environ["PYTHONPATH"] = os.pathsep.join(path)
    return json.loads(os.environ.pop("COMPAT_RUN"))


class Told:
    """Outcomes, told as they come."""

    def __init__(self, run):
        self._tell = compat_tell.Teller(run["events"]).tell
        self._prefix = run["prefix"]
        self._late = run["launcher"] == LATE
        with open(run["done"]) as stream:
            self._done = set(json.load(stream))
        self._patterns = run["left_out"]
        self._keys = {}
        self._seen = {}
        self._outcomes = []
        self._complete = False
        self._finished = False
        os.dup2(2, compat_tell.LOG_FD, inheritable=False)  # pytest takes the descriptors 1 and 2 for itself
        compat_tell.dump_on_signal(compat_tell.LOG_FD)
        self._tell(start=self._prefix)

    def _left_out(self, key):
        return key in self._done or any(key == known or fnmatch.fnmatchcase(key, known) for known in self._patterns)

    def _had(self, node, outcome, text):
        key = compat_tell.numbered(self._prefix + (node or "the session"), self._seen)
        if not self._left_out(key):
            self._tell(begin=key)
            self._tell(end=key, outcome=outcome, seconds=0.0, text=text[-compat_tell.TEXT :])

    def pytest_collectreport(self, report):
        if report.skipped:
            self._had(report.nodeid, "skip", str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr))
        elif report.failed:
            self._had(report.nodeid, "error", str(report.longrepr))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config, items):
        kept, dropped = [], []
        for item in items:
            key = self._keys[item] = compat_tell.numbered(self._prefix + item.nodeid, self._seen)
            (dropped if self._left_out(key) else kept).append(item)
        if dropped:
            config.hook.pytest_deselected(items=dropped)
            items[:] = kept

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session):
        if self._late:
            import dhagapatch

            left = dhagapatch.patch_all().as_dict()["left"]
            compat_tell.dump_on_signal(compat_tell.LOG_FD)
            self._tell(left=[f"{item['what']}: {item['module']}.{item['name']} ({item['why']})" for item in left])
        self._tell(loaded=len(session.items))

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item):
        self._outcomes, self._complete = [], False
        key = self._keys.get(item, self._prefix + item.nodeid)
        self._tell(begin=key)
        began = compat_tell.clock()
        yield
        if self._complete:  # else something ends the session
            outcome, text = min(self._outcomes, key=lambda known: ORDER.index(known[0]), default=("pass", ""))
            seconds = round(compat_tell.clock() - began, 4)
            self._tell(end=key, outcome=outcome, seconds=seconds, text=text[-compat_tell.TEXT :])

    def pytest_runtest_logreport(self, report):
        if report.when == "setup":
            self._outcomes = []  # a second try of the same test counts, not the first
        self._complete = report.when == "teardown"
        text = report.longreprtext
        if report.failed:
            self._outcomes.append(("fail" if report.when == "call" else "error", text))
        elif report.skipped:
            self._outcomes.append(("expected failure" if hasattr(report, "wasxfail") else "skip", text))
        elif report.when == "call" and hasattr(report, "wasxfail"):
            self._outcomes.append(("unexpected success", text))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus):
        self._finished = int(exitstatus) in FINISHED

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self):
        if self._finished:
            self._tell(over=True, children=compat_tell.children())


ORDER = ("fail", "error", "skip", "unexpected success", "expected failure")  # the first of what a test had is its outcome
_told = Told(_out_of_sight())  # now, before pytest takes the descriptors


def pytest_configure(config):
    config.pluginmanager.register(_told, "compat-told")
