"""TLS contexts for both sides: TLS 1.2 or later, certificates verified."""

from __future__ import annotations

import ssl
from pathlib import Path

from errors import UsageError


def server_context(cert: Path, key: Path) -> ssl.SSLContext:
    """A context presenting the certificate chain in `cert` with the key in `key`.

    Raises UsageError if either cannot be loaded.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key)
    except OSError as error:
        raise UsageError(f"cannot load certificate {cert} with key {key}: {error}") from None
    return context


def client_context(cafile: Path) -> ssl.SSLContext:
    """A context that trusts only the authorities in `cafile` and checks the host name.

    Raises UsageError if the file cannot be loaded.
    """
    try:
        return ssl.create_default_context(cafile=str(cafile))
    except OSError as error:
        raise UsageError(f"cannot load the authorities in {cafile}: {error}") from None
