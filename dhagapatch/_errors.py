"""Every exception and warning that dhagapatch raises of its own accord."""

from __future__ import annotations

__all__ = [
    "DeadlockError",
    "DhagaExit",
    "DhagapatchError",
    "Interruption",
    "PatchConflictError",
    "PatchError",
    "PatchWarning",
    "TimeoutExit",
]


class DhagapatchError(Exception):
    """Base of all errors of this package.

    .. versionadded:: 0.1
    """


class PatchError(DhagapatchError):
    """A patch was asked for that can't be applied or taken back; the text says what to do.

    .. versionadded:: 0.1
    """


class PatchConflictError(PatchError):
    """Another patcher (gevent, eventlet) has changed the standard library already.

    .. versionadded:: 0.1
    """


class DeadlockError(DhagapatchError, RuntimeError):
    """Raised in the main dhaga when no dhaga can ever run again; the text lists who waits for what.

    .. versionadded:: 0.1
    """


class Interruption(BaseException):
    """What ends a dhaga's wait from outside; programs catch one of its two kinds."""

    scope: object = None  # the innermost shield in which it is raised all the same


class DhagaExit(Interruption):
    """Thrown into a dhaga to end it at its present wait; ``except Exception`` does not swallow it.

    .. versionadded:: 0.1
    """


class TimeoutExit(Interruption):
    """Raised inside a `Timeout` block whose time is over; where the block ends it becomes TimeoutError.

    Code in the block may clean up by it, and must raise it again.  Neither ``except Exception`` nor ``except DhagaExit``
    swallows it.

    .. versionadded:: 0.1
    """

    settled = False  # it has come to where the block ends


class PatchWarning(RuntimeWarning):
    """Something could not be made cooperative; the report of ``patch_all()`` has the details.

    .. versionadded:: 0.1
    """
