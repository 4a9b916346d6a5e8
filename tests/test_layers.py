"""The package's layers, by its syntax: who imports whom, and what only one module may do."""

from __future__ import annotations

import ast
import functools
import gc
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import NamedTuple

import pytest

import dhagapatch
from dhagapatch import _real

PACKAGE = Path(dhagapatch.__file__).parent

# A module imports only from a lower layer, or from one that stands before it in its own.  A package's own name is its
# `__init__.py`.
LAYERS: tuple[str, ...] = (
    "_eager _guard _version _real _interpreter _errors _config _cpython _frames _locals _names _ctypes",
    """core.extension core.budget core.deadlines core.deadlock core.interrupts core.monitored core.own core.poller core.profiles
    core.room core.running core.threadstate core.tools core.wakeup""",
    "core.netpoll core.loop",
    "core.alarms",
    "core.hub core.entry core.host core.descriptors core.fork core.scopes",
    """core.parker core.waitq core.dhaga core.offload core.kernelcalls core.endable core.syscalls
    core.sync core.queues core.waits core.compiled core""",
    """green green.wording green.excepthook green.waiting green.kernel green.timeouts green.attempts green.time green.resolve
    green.select green.os green.disk green.work
    green.children green.buffers green.io green.readline green.getpass green.stdio green.socket green.connections green.ssl
    green.fcntl green.asyncexc green.sigmask green.signal green.sigwait green.timeslice green.tracing green.multiprocessing
    green.threading green.threadlocal green._thread
    green.local
    green.asyncio green.loops green.imp green.startup green.traceback green.bdb
    green.exchange green.psycopg green.pydevd green.pyopenssl green.zmq green.grpc green.sqlite_waits
    green.sys green.offload green.sqlite3 green.profile green.faulthandler""",
    """inspect.snapshot inspect.watcher inspect.place inspect.signals inspect.stalls inspect.counts inspect.rings inspect.locks
    inspect.server inspect.view inspect.client inspect.control inspect""",
    """monkey.exempt monkey.table monkey.others monkey.heap monkey.rebind monkey.frames monkey.report monkey.adopt
    monkey.adoptions monkey.unseen monkey.subclasses monkey.offloading monkey.engine
    monkey.ending monkey.hooks monkey""",
    "bridge",
    "testing.watchdog testing.strategies testing.virtual testing.interleaving testing.exploring testing . __main__",
)

# What is not allowed, except in the file and function named here.
MAY_IMPORT_INSIDE = {
    "_interpreter": "a shared library, which another thread than the main one needs alone",
    "_config": "difflib serves the text of an error alone",
    "_cpython": "linecache, and the tokenizer with it, serve the sources of `-c` alone",
    "bridge": "asyncio is imported by who uses it",
    "core.monitored": "ctypes serves where there is no compiled part",
    "core.room": "`mmap` serves programs with many threads alone",
    "core.hub": "asyncio and Tornado are imported when somebody asks for the loop: most programs never do",
    "green.kernel": "`ctypes` serves waits in the kernel alone",
    "green.stdio": "what edits lines, for a program that edits them",
    "green.buffers": "ctypes serves where there is no compiled part",
    "inspect": "the door: what is behind it is imported when it is asked for",
    "inspect.signals": "what makes the dump is imported for the first one",
    "inspect.client": "rich, and what it needs, is imported by who looks",
    "inspect.control": "each part is imported when it is turned on",
    "__main__": "the client of `inspect`, which a program that is run does not need",
    "green.wording": "ctypes names classes where there is no compiled part",
    "monkey.frames": "ctypes serves variables of functions up to 3.12 alone",
    "monkey.report": "`ast` serves a report alone",
    "core.entry": "`inspect` serves who asks for a signature",
    "monkey.engine": "the table's sources, and `inspect`, as they are needed: a module that is not patched is not imported",
}
MAY_TEST_VERSIONS = {
    "_cpython": "private knowledge of CPython lives there",
    "_frames": "and what it takes ctypes to know, there",
    "monkey.engine": "chooses the rows of the table for this Python",
}
MAY_SWITCH = {
    "core.hub": "one place keeps the running loop, the hooks and the assertions right",
    "core.alarms": "to the scheduler it is one more that has its turn",
    "core.monitored": "what they do so by",
    "core.compiled": "has the compiled part do so",
    "core.threadstate": "a dhaga's thread has ended",
    "testing.exploring": "its hub's greenlet comes to its end",
    "core.host": "between the hub and the loop that hosts it",
}
MAY_SET_ATTRIBUTES = {
    "monkey.engine": "the patcher",
    "monkey.rebind": "the patcher",
    "monkey.adopt": "the patcher",
    "monkey.subclasses": "the patcher",
    "core.compiled": "compiled methods on our own classes",
    "core.entry": "likewise, and the names of what stands for a function",
    "inspect.locks": "the methods of the locks, while they are tracked",
    "green.io:_be_native": "its own class, in the last moments",
    "green.ssl:Connection.__setattr__": "passes on to the C object that it wraps",
    "green.asyncexc:SetAsyncExc.__setattr__": "passes on to the C function that it wraps",
    "green.psycopg:_opening.opening.opens": "by which connection, on what it has opened itself",
    "_names": "what errors call the package's own classes, in the C structure",
    "_cpython:unraisable_arguments": "sys.unraisablehook for the length of one call, to get at a type that has no name",
    "core.loop:HubLoop.__init__": "asyncio's logger, for the length of one call",
    "testing.exploring:_conditions": "the hooks for exceptions of threads, for the length of an exploration",
    "__main__": "sys.argv and its like, as `python` sets them for a program",
}
MAY_NEED = {name: {"rich"} for name in ("inspect.client", "inspect.view")}  # an extra
LINES_OF_A_FILE = 500
LINES_OF_A_FUNCTION = 60


class Module(NamedTuple):
    """One source file."""

    name: str
    path: Path
    tree: ast.Module


def load() -> Iterator[Module]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.parent.name == "_children":
            continue  # a program of its own, in an interpreter that may have nothing of ours
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "."
        yield Module(name, path, ast.parse(path.read_text("utf-8")))


MODULES = {module.name: module for module in load()}
ORDER = [name for layer in LAYERS for name in layer.split()]
LAYER_OF = {name: number for number, layer in enumerate(LAYERS) for name in layer.split()}
every_module = pytest.mark.parametrize("module", MODULES.values(), ids=lambda module: module.name)


class Found(NamedTuple):
    """A place in a source file."""

    where: str  # "Class.method"
    node: ast.AST

    def __str__(self) -> str:
        return f"line {getattr(self.node, 'lineno', '?')} in {self.where or 'the module'}: {ast.unparse(self.node)[:80]}"


def walk(node: ast.AST, where: str = "") -> Iterator[Found]:
    """Every node below, with the function or class in which it stands; not what only a type checker sees."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield Found(where, child)
        named = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        yield from walk(child, f"{where}.{child.name}".lstrip(".") if named else where)  # type: ignore[attr-defined]


def in_function(module: Module, found: Found) -> bool:
    here: ast.AST = module.tree
    for part in found.where.split(".") if found.where else ():
        here = next(node for node in ast.walk(here) if getattr(node, "name", None) == part)
        if isinstance(here, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return True
    return False


def allowed(module: Module, found: Found, where: dict[str, str]) -> bool:
    return module.name in where or any(
        found.where == place or found.where.startswith(f"{place}.")
        for name, _, place in (key.partition(":") for key in where) if name == module.name and place
    )  # fmt: skip


def imported(module: Module) -> Iterator[tuple[str, Found]]:
    """The modules of the package that it imports."""
    for found in walk(module.tree):
        node = found.node
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module.name}: a relative import, {found}"
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            # a name of a package may be a module or something in it
            names = [one if one.removeprefix("dhagapatch.") in MODULES else node.module or "" for one in full]
        else:
            continue
        for name in names:
            if name.partition(".")[0] == "dhagapatch":
                yield name.removeprefix("dhagapatch.") if name != "dhagapatch" else ".", found


def nested_imports(module: Module) -> Iterator[Found]:
    """Imports inside functions."""
    for found in walk(module.tree):
        call = ast.unparse(found.node.func).rpartition(".")[2] if isinstance(found.node, ast.Call) else ""
        imports = call in ("import_module", "__import__") or isinstance(found.node, (ast.Import, ast.ImportFrom))
        if imports and in_function(module, found):
            yield found


def test_every_module_has_its_place() -> None:
    assert sorted(ORDER) == sorted(MODULES), "give a new module its place in LAYERS"


@every_module
def test_imports_point_down(module: Module) -> None:
    place = ORDER.index(module.name)
    for name, found in imported(module):
        if name == "." and module.name == "__main__":
            continue
        assert ORDER.index(name) < place, f"{module.name} (layer {LAYER_OF[module.name]}) imports {name}: {found}"


@every_module
def test_no_import_inside_a_function(module: Module) -> None:
    if module.name in MAY_IMPORT_INSIDE:
        return
    assert not list(nested_imports(module))


@every_module
def test_only_the_hub_switches(module: Module) -> None:
    if module.name in MAY_SWITCH:
        return
    for found in walk(module.tree):
        if isinstance(found.node, ast.Attribute):
            assert found.node.attr not in ("switch", "throw"), f"{module.name}: {found}"


@functools.cache
def functions() -> dict[str, list[FunctionType]]:
    """Those that are made when the modules are imported, by file."""
    for name in MODULES:
        importlib.import_module(f"dhagapatch.{name}".rstrip("."))
    found: dict[str, list[FunctionType]] = {}
    for one in gc.get_objects():
        if type(one) is FunctionType:
            found.setdefault(one.__code__.co_filename, []).append(one)
    assert found[str(MODULES["core.hub"].path)]
    return found


@every_module
def test_functions_have_builtins_that_the_program_cannot_exchange(module: Module) -> None:
    if module.name == "_eager":
        return  # what comes before `_real`; it compares strings
    theirs = [one.__qualname__ for one in functions().get(str(module.path), ()) if one.__builtins__ is not _real.BUILTINS]
    assert not theirs, f"{theirs}: import BUILTINS of `_real` as `__builtins__` before they are defined"


@every_module
def test_versions_are_tested_in_one_place(module: Module) -> None:
    if module.name in MAY_TEST_VERSIONS:
        return
    for found in walk(module.tree):
        name = found.node.attr if isinstance(found.node, ast.Attribute) else getattr(found.node, "id", None)
        assert name not in ("version_info", "hexversion"), f"{module.name}: {found}"


def changed_attributes(module: Module) -> Iterator[Found]:
    """`setattr` and `delattr`, and assignments to an attribute of a module that is not ours, or of a class in one."""
    foreign = set()
    for found in walk(module.tree):
        if isinstance(found.node, (ast.Import, ast.ImportFrom)):
            ours = isinstance(found.node, ast.ImportFrom) and (found.node.module or "").startswith("dhagapatch")
            if not ours:
                foreign |= {(alias.asname or alias.name).partition(".")[0] for alias in found.node.names}
    for found in walk(module.tree):
        node = found.node
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("setattr", "delattr", "type.__setattr__"):
            yield found
        targets: list[ast.expr] = []
        if isinstance(node, (ast.Assign, ast.Delete)):
            targets = node.targets
        elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
            targets = [node.target]
        for target in [one for whole in targets for one in ast.walk(whole)]:
            changes = isinstance(target, ast.Attribute) and isinstance(target.ctx, (ast.Store, ast.Del))
            if changes and ast.unparse(target).partition(".")[0] in foreign:
                yield found


@every_module
def test_only_the_patcher_sets_attributes_of_others(module: Module) -> None:
    for found in changed_attributes(module):
        assert allowed(module, found, MAY_SET_ATTRIBUTES), f"{module.name}: {found}"


@pytest.mark.parametrize("where", [MAY_IMPORT_INSIDE, MAY_TEST_VERSIONS, MAY_SWITCH, MAY_SET_ATTRIBUTES])
def test_an_exception_is_needed(where: dict[str, str]) -> None:
    """An exception that nothing uses any more is taken out."""
    for key in where:
        name, _, place = key.partition(":")
        module = MODULES[name]
        if where is MAY_SET_ATTRIBUTES and place:
            assert any(found.where == place for found in changed_attributes(module)), key
        elif where is MAY_SET_ATTRIBUTES:
            assert name.startswith("monkey.") or any(changed_attributes(module)), key
        elif where is MAY_TEST_VERSIONS:
            assert "version_info" in module.path.read_text("utf-8"), key
        elif where is MAY_IMPORT_INSIDE:
            assert any(nested_imports(module)), key


@every_module
def test_files_and_functions_are_short(module: Module) -> None:
    lines = len(module.path.read_text("utf-8").splitlines())
    assert lines <= LINES_OF_A_FILE, f"{module.name}: {lines} lines"
    for found in walk(module.tree):
        node = found.node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= LINES_OF_A_FUNCTION, f"{module.name}: {length} lines of {found.where}.{node.name}"


@every_module
def test_a_module_says_what_it_is_for(module: Module) -> None:
    if module.tree.body:
        assert ast.get_docstring(module.tree), "a docstring comes first"


def test_the_package_needs_nothing_but_its_dependencies() -> None:
    known = {*sys.stdlib_module_names, "dhagapatch", "greenlet", "tornado", "wrapt"}
    for module in MODULES.values():
        for found in walk(module.tree):
            if isinstance(found.node, ast.Import):
                names = [alias.name for alias in found.node.names]
            elif isinstance(found.node, ast.ImportFrom):
                names = [found.node.module or ""]
            else:
                continue
            needed = {name.partition(".")[0] for name in names} - MAY_NEED.get(module.name, set())
            assert needed <= known, f"{module.name}: {found}"
