"""What the package offers: sorted, complete, documented; and nothing is set in motion by importing or patching."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import dhagapatch
from dhagapatch.core.extension import speedups
from dhagapatch.monkey.table import PACKAGES, TABLE

PACKAGE = Path(dhagapatch.__file__).parent
SOURCES = {
    "dhagapatch" + "".join(f".{part}" for part in path.relative_to(PACKAGE).with_suffix("").parts if part != "__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "__main__.py" and path.parent.name != "_children"  # programs
}
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in SOURCES.items()}
EVERY_NAME_IS_PUBLIC = {"dhagapatch._real": "the C callables, by their names"}
SPLIT = [row.source.partition(":") for row in TABLE + PACKAGES]
FROM_THE_TABLE = {(f"dhagapatch.green.{module}", name) for module, _, name in SPLIT}
every_module = pytest.mark.parametrize("name", SOURCES)


def exported(name: str) -> list[str]:
    return list(getattr(importlib.import_module(name), "__all__", ()))


def ruff_order(name: str) -> tuple[int, list[Any]]:
    """CONSTANTS, Classes, then the rest; numbers in a name count as numbers."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
    return kind, [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


@every_module
def test_all_is_sorted_unique_and_resolves(name: str) -> None:
    names = exported(name)
    assert names == sorted(set(names), key=ruff_order)
    module = importlib.import_module(name)
    assert not [one for one in names if not hasattr(module, one)]


def defined(tree: ast.Module) -> set[str]:
    """The public functions and classes of a module."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")}


# Modules whose `__all__` lacks names that it defines, or that others import; one that is complete is an error here.


@every_module
def test_all_is_complete(name: str) -> None:
    """Each public function and class is exported, or stands in the table."""
    public = defined(TREES[name])
    assert not {one for one in public - set(exported(name)) if (name, one) not in FROM_THE_TABLE}


def siblings(tree: ast.Module) -> list[tuple[str, str]]:
    """The (module, name) that are imported from modules of the package."""
    return [
        (node.module, alias.name)
        for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dhagapatch")
        for alias in node.names if node.module and f"{node.module}.{alias.name}" not in SOURCES
    ]  # fmt: skip


@every_module
def test_modules_take_only_what_others_export(name: str) -> None:
    hidden = [
        f"{module}.{one}" for module, one in siblings(TREES[name])
        if module not in EVERY_NAME_IS_PUBLIC and one not in exported(module)
    ]  # fmt: skip
    assert not hidden


# the facade


def test_the_facade_exports_each_name_once_and_nothing_else() -> None:
    nodes = [node for node in TREES["dhagapatch"].body if isinstance(node, ast.ImportFrom)]
    imports = [alias.asname or alias.name for node in nodes for alias in node.names]
    imports.remove("annotations")
    imports.remove("_guard")  # dropped at once
    assert sorted(imports) == sorted(dhagapatch.__all__)
    others = {name for name, thing in vars(dhagapatch).items() if not name.startswith("_") and not isinstance(thing, ModuleType)}
    assert others - {"annotations"} <= set(dhagapatch.__all__)


@pytest.mark.parametrize("name", [name for name in dhagapatch.__all__ if not name.startswith("__") and not name.isupper()])
def test_a_public_name_is_documented_with_its_version(name: str) -> None:
    thing = getattr(dhagapatch, name)
    text = inspect.cleandoc(thing.__doc__ or "")  # its own: an inherited one says nothing of it
    assert re.match(r"\S.*\.", text), "behaviour first"
    version = re.search(r"^\.\. versionadded:: (\S+)$", text, re.MULTILINE)
    assert version, "since when?"
    assert tuple(map(int, version[1].split("."))) <= tuple(map(int, re.findall(r"\d+", dhagapatch.__version__)))


# what importing and patching do

LOOK = """
import json, os, sys, threading
if os.environ.get("DHAGAPATCH_SPEEDUPS") == "0":
    import ctypes  # some systems' libffi keeps a file open
def look():
    links = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")]
    from_core = sys.modules.get("dhagapatch.core.hub")
    return {
        "threads": threading.active_count(), "tasks": len(os.listdir("/proc/self/task")),
        "descriptors": sorted(links), "hubs": len(from_core.all_hubs()) if from_core else 0,
    }
known = set(sys.modules)
before = look()
import dhagapatch
imported = look()
modules = sorted(set(sys.modules) - known)
dhagapatch.patch_all()
patched = look()
dhagapatch.unpatch_all()
print(json.dumps([before, imported, patched, look(), modules]))
"""


@pytest.fixture(scope="module")
def fresh() -> list[Any]:
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_neither_import_nor_patch_makes_a_hub_or_a_thread(fresh: list[Any]) -> None:
    before, imported, patched, unpatched, _ = fresh
    assert before["tasks"] == 1
    assert imported == before
    # what the first wait needs is made ahead
    ahead = ["anon_inode:[eventfd]", "anon_inode:[eventpoll]", "anon_inode:[eventpoll]"]
    assert patched == {**before, "descriptors": sorted([*before["descriptors"], *ahead])}
    assert unpatched == before


HEAVY = [
    "concurrent.futures.process", "ctypes", "http", "multiprocessing", "numpy", "pdb", "requests", "rich",
    "setuptools", "sqlite3", "tkinter", "tornado.httpclient", "tornado.httpserver", "tornado.web",
    "tornado.websocket", "unittest", "urllib.request", "xml",
]  # fmt: skip


def test_importing_imports_nothing_heavy(fresh: list[Any]) -> None:
    modules = fresh[4]
    assert "dhagapatch.monkey" in modules
    # tornado takes colorama, where it is installed, and that takes ctypes; and so does the package without the compiled part
    if speedups is None or importlib.util.find_spec("colorama") is not None:
        modules = [name for name in modules if name.partition(".")[0] not in ("colorama", "ctypes", "_ctypes")]
    heavy = [name for name in modules if any(name == one or name.startswith(f"{one}.") for one in HEAVY)]
    assert not heavy
    # what other people's packages bring in: only the dependencies
    ours = {"dhagapatch", "greenlet", "tornado", "wrapt"}
    standard = {*sys.stdlib_module_names, *sys.builtin_module_names}
    others = {name.partition(".")[0] for name in modules} - ours - standard
    assert not {name for name in others if not name.startswith("__")}
