"""Fixtures of the tests of the examples."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

sys.path.insert(0, str(Path(__file__).resolve().parent))

from backup_rig import LAUNCHERS, TOKEN, Rig


@pytest.fixture(scope="module")
def backup_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(directory / "other-ca.pem"))
    issued.private_key_pem.write_to_path(str(directory / "key.pem"))
    (directory / "cert.pem").write_bytes(b"".join(b.bytes() for b in issued.cert_chain_pems))
    (directory / "token").write_bytes(TOKEN)
    (directory / "wrong-token").write_bytes(TOKEN[::-1])
    return directory


@pytest.fixture(params=LAUNCHERS, ids=["native", "dhagapatch"])
def rig(request: pytest.FixtureRequest, tmp_path: Path, backup_keys: Path) -> Iterator[Rig]:
    rig = Rig(request.param, tmp_path, backup_keys)
    yield rig
    rig.dispose()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    directory = tmp_path / "tree"
    directory.mkdir()
    return directory
