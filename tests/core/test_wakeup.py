"""The descriptor that ends a hub's wait."""

from __future__ import annotations

import os
import select

import pytest

from dhagapatch.core.own import OWN
from dhagapatch.core.wakeup import Wakeup


def _is_readable(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


@pytest.mark.parametrize("by_pipe", [False, True])
def test_it_is_readable_from_the_first_call_until_it_is_drained(by_pipe: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if by_pipe:
        monkeypatch.delattr(os, "eventfd")
    wakeup = Wakeup()
    assert not _is_readable(wakeup.reader)
    for _ in range(3):
        wakeup.notify()
    assert _is_readable(wakeup.reader)
    wakeup.drain()
    wakeup.drain()
    assert not _is_readable(wakeup.reader)
    wakeup.close()


@pytest.mark.parametrize("by_pipe", [False, True])
def test_who_comes_after_it_was_closed_wakes_nobody(by_pipe: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if by_pipe:
        monkeypatch.delattr(os, "eventfd")
    before = set(OWN)
    wakeup = Wakeup()
    own = OWN - before
    assert len(own) == 1 + by_pipe
    wakeup.close()
    assert before == OWN
    wakeup.notify()
    for fd in own:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


def test_a_descriptor_that_somebody_else_closed_is_told() -> None:
    wakeup = Wakeup()
    os.close(wakeup.reader)
    with pytest.raises(OSError, match="Bad file descriptor"):
        wakeup.notify()
    OWN.discard(wakeup.reader)
