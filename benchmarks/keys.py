"""Certificates for the programs that speak TLS: made anew for each run of the harness, valid for the loopback address."""

from __future__ import annotations

from pathlib import Path

import trustme

__all__ = ["make_keys"]


def make_keys(folder: Path) -> None:
    """Write `cert.pem` and `key.pem` for 127.0.0.1 and the authority's `ca.pem` into a folder."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    (folder / "cert.pem").write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
