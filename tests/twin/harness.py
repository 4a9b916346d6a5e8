"""Runs the cases of one body in this process and writes each one's transcript as a line of JSON.

    python harness.py BODY [--late] [--after CASE]

The same file is started by plain `python` and by `python -m dhagapatch`; with ``--late`` plain Python imports the body
(and with it everything that the body holds: names, locks, sockets, contexts) and only then patches.
"""

from __future__ import annotations

import functools
import gc
import importlib.util
import json
import os
import re
import sys
import traceback
from collections.abc import Callable
from typing import Any

LIMIT = 12.0 * float(os.environ.get("TEST_PATIENCE", "1"))  # seconds for one case without a word

_SCRUB = (
    (re.compile(r"0x[0-9a-fA-F]{4,}"), "0x..."),
    (re.compile(r"\bfd=\d+"), "fd=N"),
    (re.compile(r"('(?:127\.0\.0\.1|::1|0\.0\.0\.0|::|localhost)', )\d+"), r"\1PORT"),
    (re.compile(r"\b\d{12,}\b"), "IDENT"),
    (re.compile(r"/tmp/[\w./-]+"), "TMP"),
)


class Transcript:
    """What a case says of itself; two runs of it must say the same."""

    def __init__(self, alive: Callable[[], object] = lambda: None) -> None:
        self.lines: list[str] = []
        self._alive = alive  # called with each thing said: a case may run many programs, on a busy machine

    def note(self, *values: object) -> None:
        """Add values, by their repr (a string as it is)."""
        text = " ".join(value if isinstance(value, str) else repr(value) for value in values)
        for pattern, instead in _SCRUB:
            text = pattern.sub(instead, text)
        self.lines.append(text)
        self._alive()

    def outcome(self, label: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call, and add the value or the exception (type, text, errno, context, cause); the value, or None."""
        try:
            value = function(*args, **kwargs)
        except BaseException as error:
            self.error(label, error)
            return None
        self.note(label, "->", value)
        return value

    def error(self, label: str, error: BaseException) -> None:
        """Add an exception."""
        kind = type(error)
        details = [f"{kind.__module__}.{kind.__qualname__}: {error}", f"args={error.args!r}"]
        if isinstance(error, OSError):
            details.append(f"errno={error.errno}")
        for name in ("__cause__", "__context__"):
            other = getattr(error, name)
            if other is not None:
                details.append(f"{name}={type(other).__qualname__}: {other}")
        self.note(label, "!!", "; ".join(details))


def _load(path: str) -> Any:
    spec = importlib.util.spec_from_file_location(os.path.splitext(os.path.basename(path))[0], path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def main(argv: list[str]) -> None:
    """Run the cases, each under the watchdog, and leave without waiting for what they left behind."""
    body = argv[0]
    after = argv[argv.index("--after") + 1] if "--after" in argv else None
    from dhagapatch.testing import Watchdog  # patches nothing

    report = os.dup(1)
    os.dup2(2, 1)  # whatever a case prints must not mix with the transcripts
    os.set_inheritable(report, False)
    watchdog = Watchdog(LIMIT)
    module = _load(body)
    if "--late" in argv:
        import dhagapatch

        dhagapatch.patch_all()
    names = [name for name in vars(module) if name.startswith("case_")]
    if after is not None:
        names = names[names.index(after) + 1 :]
    for name in names:
        watchdog.feed(name)
        os.write(report, (json.dumps({"begin": name}) + "\n").encode())
        transcript = Transcript(functools.partial(watchdog.feed, name))
        try:
            getattr(module, name)(transcript)
        except BaseException as error:
            transcript.lines.append("the case itself failed: " + "".join(traceback.format_exception(error)))
        os.write(report, (json.dumps({"case": name, "lines": transcript.lines}) + "\n").encode())
        del transcript
        gc.collect()
    watchdog.stop()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
