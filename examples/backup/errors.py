"""Exit codes and the exceptions that lead to them.

Every failure a user can meet is a `BackupError`: its text says what happened
and what to do, its `exit_code` is what the program ends with.
"""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """What `client.py` and `server.py` exit with."""

    OK = 0
    DIFFERENT = 1  # something differed, or some files were not backed up or restored
    USAGE = 2  # bad arguments, a missing file, a destination that is not empty
    AUTHENTICATION = 3  # wrong token, or a certificate that does not verify
    UNREACHABLE = 4  # no server within --retry-seconds
    STORE_FULL = 5  # the server's quota or disk is used up
    PROTOCOL = 6  # the other side speaks another version, or refused the request
    HOSTILE = 7  # a manifest that would write outside the destination
    INTERRUPTED = 130  # Ctrl-C


class BackupError(Exception):
    """A failure with a message for the user and an exit code."""

    exit_code = ExitCode.DIFFERENT


class UsageError(BackupError):
    """The command line or its files cannot be used as given."""

    exit_code = ExitCode.USAGE


class AuthenticationError(BackupError):
    """The token or the certificate was not accepted."""

    exit_code = ExitCode.AUTHENTICATION


class UnreachableError(BackupError):
    """The server did not answer within the time allowed for retries."""

    exit_code = ExitCode.UNREACHABLE


class StoreFullError(BackupError):
    """The store has no room; what it already holds is untouched."""

    exit_code = ExitCode.STORE_FULL


class ProtocolError(BackupError):
    """A frame or a request broke the protocol; `code` is sent to the peer."""

    exit_code = ExitCode.PROTOCOL

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class HostileManifestError(BackupError):
    """A manifest names a place outside the destination; nothing was written."""

    exit_code = ExitCode.HOSTILE


class CancelledError(BackupError):
    """Another thread failed first, or the user interrupted; stop quietly."""

    exit_code = ExitCode.INTERRUPTED
