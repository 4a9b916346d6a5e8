"""Token authentication: an HMAC-SHA256 challenge in both directions.

The token never crosses the wire. Each side sends a fresh nonce; the client
proves that it knows the token, then the server does, so that neither a client
without the token nor a server without it gets any further.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path

from errors import UsageError

NONCE_BYTES = 32
MIN_TOKEN_BYTES = 16


def new_nonce() -> str:
    """A fresh challenge, as hex."""
    return secrets.token_hex(NONCE_BYTES)


def prove(token: bytes, role: str, server_nonce: str, client_nonce: str, client: str) -> str:
    """The proof, as hex, that `role` ("client" or "server") knows `token`."""
    message = "\0".join([role, server_nonce, client_nonce, client]).encode("utf-8", "replace")
    return hmac.new(token, message, hashlib.sha256).hexdigest()


def proof_is_good(expected: str, given: object) -> bool:
    """Whether `given` is the expected proof, compared in constant time."""
    return isinstance(given, str) and hmac.compare_digest(
        expected.encode(), given.encode("utf-8", "replace")
    )


def read_token(path: Path) -> bytes:
    """The token in a file, without surrounding blanks.

    Raises UsageError if the file cannot be read or the token is too short.
    """
    try:
        token = path.read_bytes().strip()
    except OSError as error:
        raise UsageError(f"cannot read the token file {path}: {error.strerror}") from None
    if len(token) < MIN_TOKEN_BYTES:
        raise UsageError(
            f"the token in {path} has {len(token)} bytes, at least {MIN_TOKEN_BYTES} are "
            "needed: python -c 'import secrets; print(secrets.token_hex(32))' makes one"
        )
    return token
