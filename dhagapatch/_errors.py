"""Every exception and warning that dhagapatch raises of its own accord."""

from __future__ import annotations

__all__ = [
    "DeadlockError",
    "DhagaExit",
    "DhagapatchError",
    "PatchConflictError",
    "PatchError",
    "PatchWarning",
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


class DhagaExit(BaseException):
    """Thrown into a dhaga to end it at its present wait; ``except Exception`` does not swallow it.

    .. versionadded:: 0.1
    """

    scope: object = None  # the innermost shield in which it is raised all the same


class PatchWarning(RuntimeWarning):
    """Something could not be made cooperative; the report of ``patch_all()`` has the details.

    .. versionadded:: 0.1
    """
