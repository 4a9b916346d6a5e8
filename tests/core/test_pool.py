"""The threads of a pool: what happens to one in the instant in which it has idled for long enough."""

from __future__ import annotations

from typing import Any

import pytest

from dhagapatch.core.offload import Pool, _Worker


class _Lock:
    """A worker's lock, for which something happens just when it has been waited for in vain."""

    def __init__(self, happens: Any) -> None:
        self._happens = happens
        self.released = False

    def acquire(self, wait: bool = True, timeout: float = -1) -> bool:
        if timeout >= 0:
            self._happens()
            return False
        assert self.released, "it would wait for ever"
        return True

    def release(self) -> None:
        self.released = True


@pytest.mark.parametrize("what", ["nothing", "told to end", "given a job"])
def test_an_idle_thread_that_is_out_of_time(what: str) -> None:
    pool, job = Pool(1, 1.0), object()
    happens = {"nothing": lambda: None, "told to end": pool.end_idle, "given a job": lambda: pool.submit(job)}  # type: ignore[arg-type]
    worker: Any = _Worker.__new__(_Worker)
    worker.job, worker.lock = None, _Lock(happens[what])
    pool.threads = 1
    assert pool._next(worker) is (what == "given a job")
    assert worker.job is (job if what == "given a job" else None)
    assert pool.figures() == (1 if what == "given a job" else 0, 0, 0)
