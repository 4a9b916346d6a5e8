"""The table of what is patched, against the interpreter that runs this: it resolves, it agrees, and nothing is missing."""

from __future__ import annotations

import ctypes
import enum
import importlib
import inspect
import json
import runpy
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import pytest
from run_isolated import run_isolated

from dhagapatch.monkey.exempt import BLOCKING, EXEMPT, Exempt
from dhagapatch.monkey.table import GROUPS, REPLACE, SET, TABLE, TELL, WRAP, Row

VERSION = sys.version_info[:2]
OLDEST, NEWEST = (3, 11), (3, 15)
MISSING = object()
# pytest puts hooks of its own there
KEPT_BESIDE = {("threading", "excepthook"): "__excepthook__", ("sys", "unraisablehook"): "__unraisablehook__"}

# Every public callable of these is a row, or has a line in exempt.py.
AUDITED = (
    "_imp", "_io", "_multiprocessing", "_posixshmem", "_posixsubprocess", "_queue", "_signal", "_socket", "_thread", "asyncio",
    "builtins", "concurrent.futures", "fcntl", "grp", "importlib", "io", "logging", "logging.handlers", "mmap",
    "multiprocessing", "multiprocessing.connection", "multiprocessing.managers", "multiprocessing.pool",
    "multiprocessing.queues", "multiprocessing.shared_memory", "multiprocessing.synchronize", "os", "posix", "pty", "pwd",
    "queue", "sched", "select", "selectors", "shutil", "signal", "socket", "socketserver", "sqlite3", "ssl", "subprocess", "sys",
    "tempfile", "termios", "threading", "time", "tty",
)  # fmt: skip
# C code whose names are documented as those of another module, which is audited.
C_PARTS = {"_sitebuiltins": "builtins", "_ssl": "ssl", "_sqlite3": "sqlite3"}

ROWS = [row for row in TABLE if row.since <= VERSION < row.until and (not row.platforms or sys.platform in row.platforms)]


def name_of(row: Row) -> str:
    return f"{row.module}.{row.name}"


def import_quietly(name: str) -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def find(module: str, name: str) -> Any:
    """What stands there, a class's attribute as the class holds it; MISSING for nothing."""
    thing: Any = import_quietly(module)
    for part in KEPT_BESIDE.get((module, name), name).split("."):
        # a module, or a library, may make a name at the first look (`concurrent.futures`, `ctypes.pythonapi`)
        thing = (getattr if isinstance(thing, (ModuleType, ctypes.PyDLL)) else inspect.getattr_static)(thing, part, MISSING)
        if thing is MISSING:
            return MISSING
    return thing


def green_of(row: Row) -> Any:
    module, _, name = row.source.partition(":")
    green = getattr(importlib.import_module(f"dhagapatch.green.{module}"), name)
    if row.action == WRAP and isinstance(real := find(row.module, row.name), type):
        return green(real)
    return green


def is_here(line: Exempt) -> bool:
    return line.since <= VERSION < line.until and (not line.platforms or sys.platform in line.platforms)


# the rows


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_a_row_names_what_is_there_and_what_stands_for_it(row: Row) -> None:
    assert find(row.module, row.name) is not MISSING
    assert callable(green_of(row)) or isinstance(green_of(row), property)


@pytest.mark.parametrize("row", [row for row in TABLE if row not in ROWS], ids=lambda row: f"{name_of(row)} {row.source}")
def test_a_row_for_another_version_or_platform_is_not_needed_here(row: Row) -> None:
    if row.platforms and sys.platform not in row.platforms:
        pytest.skip("the name may exist here too")
    if name_of(row) in ("sys.monitoring.set_events", "sys.monitoring.restart_events") and row.until <= VERSION:
        return  # dhagas see to it themselves from then on
    assert find(row.module, row.name) is MISSING


def test_rows_are_unique_and_well_formed() -> None:
    many = [name for name, count in Counter(map(name_of, TABLE)).items() if count > 1]
    assert not many
    for row in TABLE:
        assert row.action in (SET, REPLACE, WRAP, TELL), row
        # set in place is what is in a class, and what only a module's own functions use
        in_a_module = "." not in row.name or row.name.startswith("monitoring.")  # which is in another one alone
        assert row.action == WRAP or in_a_module or row.action == SET, row
        assert row.action != SET or "." in row.name or row.name.startswith("_"), row
        assert OLDEST <= row.since < row.until, row
        assert row.since <= NEWEST, row
        assert row.group in GROUPS


@pytest.mark.parametrize("line", [*TABLE, *EXEMPT, *BLOCKING], ids=lambda line: f"{line.module}.{line[1][:30]}")
def test_a_reason_is_a_fragment_of_a_sentence(line: Row | Exempt) -> None:
    assert line.why == line.why.strip()
    assert 5 <= len(line.why) <= 120
    assert line.why[-1] not in ".,;:"
    first = line.why.split()[0]
    assert first[0].islower() or first.isupper() or not first.isalpha(), "a name may stand first, a sentence does not"


# signatures


# Why a green object does not show the signature of the real one.
SHOWN_OTHERWISE = {
    "_thread._local": "a subclass may take arguments; a signature set on the class would hide the subclass's own",
    "cProfile.Profile.enable": "on 3.11, where it is put in its place, the real one shows none",
}


REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def parameters(function: Any) -> list[tuple[str, Any, Any]] | None:
    """Names, kinds and defaults; None where the real object tells nothing."""
    if isinstance(function, type) and "__init__" not in dir_of(function) and function.__text_signature__ is None:
        return None  # `inspect` takes the signature of `object` for that of a C type
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError, AttributeError):  # the last for `select.epoll`, whose module has a `select` in it
        return None
    # `self` is only ever given by place
    return [(one.name, one.kind, one.default) for one in signature.parameters.values() if one.name != "self"]


def dir_of(kind: type) -> set[str]:
    """The names that a class and its bases define, `object` aside."""
    return {name for base in kind.__mro__[:-1] for name in vars(base)}


def assert_agrees(real: Any, green: Any, where: str) -> None:
    wanted, found = parameters(real), parameters(green)
    if wanted is None or found is None:
        assert wanted is None or found is not None, f"{where}: the green one has no signature"
        return
    if isinstance(green, FunctionType):  # what it shows to users is a matter of its own (below)
        found, wanted = without_names(found), without_names(wanted)
        if found and found[-1][1] in REST:  # the rest it passes on to the real one
            found = [one for one in found if one[1] not in REST]
            wanted = wanted[: len(found)]
    assert nameless(found, wanted) == nameless(wanted, wanted), where


def without_names(shown: list[Any]) -> list[Any]:
    """Parameters that are only ever given by place: whether they have a default is all that counts."""
    by_place, none = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.empty
    return [("", kind, default is not none) if kind == by_place else (name, kind, default) for name, kind, default in shown]


def nameless(shown: list[Any], real: list[Any]) -> list[Any]:
    """`object` is the C code's placeholder for a parameter that has no name."""
    return [one[1:] for one in shown] if any(one[0] == "object" for one in real) else shown


def check_signature(row: Row) -> None:
    real, green = find(row.module, row.name), green_of(row)
    if name_of(row) in SHOWN_OTHERWISE:
        pytest.skip(SHOWN_OTHERWISE[name_of(row)])
    if isinstance(green, property) or (row.action == WRAP and not isinstance(real, type)):
        # the latter has no signature; what is noted only is passed on
        assert not callable(real) or row.source == "sys:noted" or isinstance(real, ctypes._CFuncPtr)
    elif row.action == TELL:
        assert isinstance(real, type)  # it stays
    elif isinstance(real, type):
        assert isinstance(green, type)
        for name in public(real):
            assert_agrees(getattr(real, name), getattr(green, name, None), f"{name_of(row)}.{name}")
        assert_agrees(real, green, name_of(row))
    else:
        assert_agrees(real, green, name_of(row))


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_a_green_object_takes_what_the_real_one_takes(row: Row) -> None:
    check_signature(row)


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.action != TELL and isinstance(find(row.module, row.name), type)], ids=name_of
)
def test_a_green_class_has_all_that_the_real_one_has(row: Row) -> None:
    real, green = find(row.module, row.name), green_of(row)
    assert isinstance(green, type)
    lacking = [
        name for name in vars(real)
        if not hasattr(green, name) and (not name.startswith("_") or name in ("__enter__", "__exit__", "__class_getitem__"))
    ]  # fmt: skip
    assert not lacking


SHOW = """
import importlib, inspect, json, sys
import dhagapatch
from dhagapatch.monkey.table import TABLE

def look():
    found = {}
    for row in TABLE:
        try:
            thing = importlib.import_module(row.module)
            for part in row.name.split("."):
                thing = inspect.getattr_static(thing, part)
        except AttributeError:
            continue
        if isinstance(thing, type) or not callable(thing):
            continue
        try:
            shown = inspect.signature(thing).parameters.values()
            shown = [(one.name, int(one.kind) if one.name != "self" else 0, repr(one.default)) for one in shown]
        except (ValueError, TypeError, AttributeError):
            continue
        found[f"{row.module}.{row.name}"] = shown, thing.__name__, thing.__doc__
    return found

before = look()
dhagapatch.patch_all()
after = look()
print(json.dumps([before, after]))
"""


def test_what_is_patched_shows_the_signature_name_and_manual_of_the_real_one() -> None:
    before, after = json.loads(run_isolated(SHOW))
    # a class that stands for a function (`select.poll`) shows itself
    different = {}
    for name, (shown, *texts) in before.items():
        if name in after:
            now, *texts_now = after[name]
            if (nameless(now, shown), texts_now) != (nameless(shown, shown), texts):
                different[name] = before[name], after[name]
    assert not different


# completeness


def is_data(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, (BaseException, enum.Enum, tuple))


def public(thing: Any) -> list[str]:
    """The callables that programs may use of a module or of a class."""
    names = dict.fromkeys([*getattr(thing, "__all__", ()), *(vars(thing) if isinstance(thing, ModuleType) else dir(thing))])
    found = []
    for name in names:
        if name.startswith("_"):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one = getattr(thing, name, None)
        if callable(one) and not is_data(one) and (not isinstance(thing, ModuleType) or belongs(thing, name, one)):
            found.append(name)
    return found


def belongs(module: ModuleType, name: str, thing: Any) -> bool:
    """Whether it is the module's own name, and not one that its source imports for its own use."""
    if name in getattr(module, "__all__", ()):
        return True
    home = getattr(thing, "__module__", None) or module.__name__
    home = C_PARTS.get(home, home)
    return home == module.__name__ or (not hasattr(module, "__all__") and home in AUDITED)


def resolved(lines: tuple[Exempt, ...]) -> Iterator[tuple[str, str, Any]]:
    for line in lines:
        if not is_here(line):
            continue
        for name in line.names.split():
            if name == "*":
                yield from ((line.module, one, find(line.module, one)) for one in public(import_quietly(line.module)))
            else:
                yield line.module, name, find(line.module, name)


def uncovered(table: list[Row], exempt: tuple[Exempt, ...]) -> list[str]:
    """The public callables that no row and no line accounts for."""
    # objects are kept, and compared by identity, as another name of the same one is the same
    objects = [find(row.module, row.name) for row in table] + [thing for _, _, thing in resolved(exempt)]
    known = {id(thing) for thing in objects}
    names = {name_of(row) for row in table} | {f"{module}.{name}" for module, name, _ in resolved(exempt)}
    by_method = {name.rpartition(".")[0] for name in names}
    lacking = []
    for module_name in AUDITED:
        module = import_quietly(module_name)
        for name in public(module):
            where, thing = f"{module_name}.{name}", find(module_name, name)
            if where in by_method:
                methods = [(f"{where}.{one}", find(module_name, f"{name}.{one}")) for one in public(thing)]
                lacking += [method for method, one in methods if method not in names and id(one) not in known]
            elif where not in names and id(thing) not in known and not any(thing is one for one in classes(by_method)):
                lacking.append(where)
    return lacking


def classes(names: set[str]) -> list[Any]:
    """The classes of which each method is accounted for."""
    found = []
    for name in names:
        module, _, kind = name.rpartition(".")
        if module in AUDITED:
            found.append(find(module, kind))
    return [thing for thing in found if isinstance(thing, type)]


def test_every_public_callable_is_a_row_or_has_its_reason() -> None:
    assert uncovered(ROWS, EXEMPT + BLOCKING) == []


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_a_row_that_is_taken_out_is_missed(row: Row) -> None:
    if name_of(row) in SEAMS:
        return  # the next test misses it
    assert uncovered([other for other in ROWS if other is not row], EXEMPT + BLOCKING), "nobody would notice"


# What no walk misses: private names, what is no callable, constructors, two names of one object, a debugger's tools.
SEAMS = {
    "_thread.LockType", "_thread._ThreadHandle", "_thread._count", "_thread._excepthook", "_thread._get_name", "_thread._local",
    "sys.unraisablehook", "traceback.walk_tb", "traceback.walk_stack", "traceback._walk_tb_with_full_positions",
    "bdb.Bdb.stop_here", "_thread._make_thread_handle", "_thread._set_sentinel", "_thread._shutdown", "_thread.lock",
    "asyncio.base_events.BaseEventLoop._run_once", "cProfile.Profile.enable", "faulthandler.dump_traceback",
    "ctypes.pythonapi.PyThreadState_SetAsyncExc", "ctypes.get_errno", "ctypes.set_errno", "socket.socket.__init__",
    "socket.socket._accept", "socket.socket._real_close", "socket.socket.timeout", "ssl.SSLContext._wrap_socket",
    "sys._current_exceptions", "sys._current_frames", "sys._setprofileallthreads", "sys._settraceallthreads", "sys.stderr",
    "sys.stdin", "sys.stdout", "sys.monitoring.restart_events", "sys.monitoring.set_events", "sys.monitoring.use_tool_id",
    "_thread.allocate_lock", "readline.set_auto_history", "getpass._raw_input", "threading._allocate_lock",
    "threading._maintain_shutdown_locks",
}  # fmt: skip


def test_the_seams_are_rows() -> None:
    assert {name_of(row) for row in TABLE} >= SEAMS


@pytest.mark.parametrize("line", EXEMPT + BLOCKING, ids=lambda line: f"{line.module} {line.names[:30]}")
def test_what_is_exempt_exists(line: Exempt) -> None:
    assert OLDEST <= line.since <= NEWEST
    assert line.since < line.until
    assert line.module in AUDITED or line in BLOCKING, "nobody looks whether the rest of this module is exempt"
    if line.names == "*":
        file = import_quietly(line.module).__file__ or ""
        assert file.endswith(".py"), "C code must be named"
        return
    names = line.names.split()
    assert "*" not in names
    if line.platforms and sys.platform not in line.platforms:
        pytest.skip(f"for {line.platforms}")
    gone = [name for name in names if (find(line.module, name) is not MISSING) != is_here(line)]
    if sys.platform != "linux":
        return  # what the kernel lacks, the module lacks
    assert not gone, "these names are not there, or are there although `since` and `until` say that they are not"


def test_a_name_is_accounted_for_once() -> None:
    rows = {name_of(row) for row in ROWS}
    by_id = {id(find(row.module, row.name)): name_of(row) for row in ROWS}
    seen: dict[str, str] = {}
    for kind, lines in (("EXEMPT", EXEMPT), ("BLOCKING", BLOCKING)):
        for line in lines:
            for name in line.names.split():
                if name == "*" or not is_here(line):
                    continue
                where = f"{line.module}.{name}"
                assert where not in rows, f"{where} is in TABLE and in {kind}"
                held = by_id.get(id(find(line.module, name)))
                assert held is None, f"{where} is the object of the row {held}"
                assert where not in seen, f"{where} is in {seen[where]} and in {kind}"
                seen[where] = kind


def test_green_functions_are_functions() -> None:
    """What stands for a C function is a plain function, which the engine makes a built-in one, or a compiled one."""
    for row in ROWS:
        if row.action == REPLACE and not isinstance(find(row.module, row.name), type):
            green = green_of(row)
            assert isinstance(green, (FunctionType, BuiltinFunctionType, type)), row


def test_the_reference_page_is_what_the_table_says() -> None:
    generator = Path(__file__).parent.parent / "docs" / "generate_patched.py"
    assert runpy.run_path(str(generator))["page"]() == (generator.parent / "reference" / "patched.md").read_text("utf-8"), (
        "run python docs/generate_patched.py"
    )
