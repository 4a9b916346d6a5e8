"""``python -m dhagapatch [options] prog.py args...``: run an unmodified program on dhagas.

The program sees what plain Python would give it: ``sys.argv``, ``sys.path[0]``, ``__main__``, its exit code, and
tracebacks without a frame of ours.
"""

from __future__ import annotations

import atexit
import importlib
import importlib.machinery
import io
import os
import runpy
import signal
import sys
from collections.abc import Callable
from types import ModuleType, TracebackType
from typing import Any, NoReturn

from dhagapatch import __version__
from dhagapatch._config import (
    MISSPELT,
    SETTINGS,
    check_dump_signal,
    check_stall,
    check_timeslice,
    fail,
    nearest,
    split_names,
)  # fmt: skip
from dhagapatch._cpython import MAIN_HAS_ANNOTATIONS, MAIN_TELLS_ITS_CACHE, register_source
from dhagapatch._errors import DhagapatchError
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.monkey import patch_all
from dhagapatch.monkey.engine import engine

__all__ = ["main"]

USAGE = """\
usage: python -m dhagapatch [option] ... [-c code | -m module | prog.py | folder | -] [arg] ...
       python -m dhagapatch top PID [--once]   show what a program does that was started with --inspect
       python -m dhagapatch dump PID [--json]  print a dump of it

Run a program written with threads and blocking sockets on micro-threads.

options:
  --disable NAME   leave a group ("ssl") or a name ("time.sleep") as it is; may be given more than once
  --no-children    leave the Python processes that the program starts unpatched (else they start patched too)
  --timeslice S    a thread that has run for S seconds without a wait makes room for the others (0.01 is a good value)
  --offload NAME   run a function or method ("zlib.compress", "package.module.Class.method"), the methods of a class
                   ("package.module.Class", one native thread an object), or "sqlite3" on native threads; may be repeated
  --dump-signal NAME  the signal on which a dump of all threads is printed to standard error (SIGQUIT, that is Ctrl-\\;
                   "none": none); the program goes on
  --stall S        log the stack of a thread that runs for S seconds without a wait, while it does (0.1 is a good value)
  --track-locks    know who holds each lock, and where it was made, for dumps and reports
  --inspect, --inspect=PATH
                   open a UNIX socket, for "top" and "dump"
  --audit          print what was patched, and what could not be, to standard error when the program ends
  --version        print the version
  --help           print this

Environment: DHAGAPATCH_DISABLE (names, comma separated), DHAGAPATCH_POLLER (auto, epoll, kqueue, poll),
DHAGAPATCH_OFFLOAD_THREADS, DHAGAPATCH_OFFLOAD_IDLE, DHAGAPATCH_CHILDREN (0: as --no-children), DHAGAPATCH_TIMESLICE,
DHAGAPATCH_OFFLOAD (names, comma separated), DHAGAPATCH_DUMP_SIGNAL, DHAGAPATCH_STALL, DHAGAPATCH_TRACK_LOCKS (1),
DHAGAPATCH_INSPECT (1, or a path).
"""


class _Options:
    def __init__(self) -> None:
        self.disable: list[str] = []
        self.audit = False
        self.children: bool | None = None
        self.timeslice: float | None = None
        self.offload: list[str] | None = None
        self.dump_signal: str | None = None
        self.stall: float | None = None
        self.track_locks: bool | None = None
        self.inspect: str | bool | None = None
        self.kind = ""  # "c", "m", "file" or "stdin"
        self.what = ""
        self.args: list[str] = []


_FLAGS = {
    "--audit": ("audit", True), "--children": ("children", True), "--no-children": ("children", False),
    "--track-locks": ("track_locks", True), "--inspect": ("inspect", True),
}  # fmt: skip
_WITH_VALUE: dict[str, tuple[str, Callable[[str], Any]]] = {
    "--disable": ("a name, ssl or time.sleep say", lambda text: list(split_names([text]))),
    "--offload": ("a name, zlib.compress say", lambda text: list(split_names([text]))),
    "--dump-signal": ('a name, SIGQUIT say, or "none"', lambda text: text and str(check_dump_signal(text, "--dump-signal"))),
    "--stall": ("seconds, 0.1 say", lambda text: check_stall(float(text), "--stall")),
    "--timeslice": ("seconds, 0.01 say", lambda text: check_timeslice(float(text), "--timeslice")),
    "--inspect": ("a path, or stands alone", str),
}
_INTERPRETERS = "bBdEhiIOPqRsStuvVWxX"  # its own options, of one letter


def _set_option(options: _Options, word: str, rest: list[str]) -> None:
    name, equals, value = word.partition("=")
    if not equals and name in _FLAGS:
        setattr(options, *_FLAGS[name])
        return
    if name not in _WITH_VALUE:
        fail(f"{name} takes no value: leave out ={value}")
    needed, read = _WITH_VALUE[name]
    if not equals:
        value = rest.pop(0) if rest else ""
    try:
        found = read(value)
    except ValueError:
        found = ""
    except DhagapatchError as error:
        fail(str(error))
    if found in ("", []):
        fail(f"{name} needs {needed}" + (f"; got {value!r}" if value else ""))
    before = getattr(options, name.strip("-").replace("-", "_"))
    setattr(options, name.strip("-").replace("-", "_"), [*(before or ()), *found] if isinstance(found, list) else found)


def _refuse(word: str) -> NoReturn:
    if (word[1:2] in _INTERPRETERS and word[:2] != "--") or word == "--check-hash-based-pycs":
        value = " ..." if word in ("-W", "-X", "--check-hash-based-pycs") else ""
        fail(f"{word} is an option of the interpreter: put it before -m, as in python {word}{value} -m dhagapatch prog.py")
    meant = nearest(word.partition("=")[0], {*_FLAGS, *_WITH_VALUE, "--help", "--version"})
    fail(f"unknown option: {word}; " + (f"did you mean {meant}?" if meant else "python -m dhagapatch --help lists them"))


def parse(argv: list[str]) -> _Options:
    """Our options, which end where the program's begin."""
    options = _Options()
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word in ("--help", "-h", "-?"):
            print(USAGE, end="")
            raise SystemExit(0)
        if word in ("--version", "-V"):
            print(f"dhagapatch {__version__}")
            raise SystemExit(0)
        if word.partition("=")[0] in {*_FLAGS, *_WITH_VALUE}:
            _set_option(options, word, rest)
        elif word[:2] in ("-c", "-m"):
            value = word[2:] or (rest.pop(0) if rest else "")
            if not value:
                fail(f"{word} needs {'the code' if word == '-c' else 'the name of the module'} that is to be run")
            options.kind, options.what, options.args = word[1], value, rest
            return options
        elif word == "-":
            options.kind, options.args = "stdin", rest
            return options
        elif word == "--" and rest:
            options.kind, options.what, options.args = "file", rest.pop(0), rest
            return options
        elif word.startswith("-") and word != "--":
            _refuse(word)
        elif word != "--":
            options.kind, options.what, options.args = "file", word, rest
            return options
    fail("nothing to run: name a program, a module (-m NAME), or code (-c CODE)")


_AS_IT_IS: dict[str, Any] = {"dump_signal": None, "stall": None, "track_locks": None, "inspect": None}


def _fresh_main() -> dict[str, Any]:
    """A new `__main__`, as the interpreter makes it."""
    module = ModuleType("__main__")
    module.__dict__["__builtins__"] = sys.modules["builtins"]
    if MAIN_HAS_ANNOTATIONS:
        module.__dict__.update(__annotations__={})
    sys.modules["__main__"] = module
    return module.__dict__


def _set_path(first: str | None) -> None:
    """`sys.path[0]`, which `-m dhagapatch` set to the current folder."""
    if getattr(sys.flags, "safe_path", False):
        return
    if sys.path:
        del sys.path[0]
    if first is not None:
        sys.path.insert(0, first)


def _hide_frames(depth: int) -> None:
    """Have the interpreter report the exception on its way out without the outermost `depth` frames.

    The exception itself goes on to the interpreter, which knows best what to do with it: exit codes, the death
    by SIGINT, the hooks.
    """
    hook = vars(sys).get("excepthook")  # the program may have deleted it

    def report(kind: type[BaseException], value: BaseException, traceback: TracebackType | None) -> Any:
        if hook is not None:
            sys.excepthook = hook
        else:
            del sys.excepthook
        for _ in range(depth):
            traceback = traceback.tb_next if traceback is not None else None
        value.__traceback__ = traceback
        sys.last_traceback = traceback
        if hook is None:
            print("sys.excepthook is missing", file=sys.stderr)
            return sys.__excepthook__(kind, value, traceback)
        try:
            return hook(kind, value, traceback)
        except SystemExit:
            raise
        except BaseException as error:  # as the interpreter tells of it, which would show this frame
            error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
            print("Error in sys.excepthook:", file=sys.stderr)
            sys.__excepthook__(type(error), error, error.__traceback__)
            print("\nOriginal exception was:", file=sys.stderr)
            sys.__excepthook__(kind, value, traceback)

    sys.excepthook = report


def _depth(traceback: TracebackType | None, own: Callable[[str], bool]) -> int:
    """How many frames, from the outermost on, are not the program's."""
    depth = 0
    at = 0
    while traceback is not None:
        at += 1
        if own(traceback.tb_frame.f_code.co_filename):
            depth = at
        traceback = traceback.tb_next
    return depth


def _run_code(code: Any, namespace: dict[str, Any]) -> None:
    exec(code, namespace)


def _run_string(options: _Options) -> None:
    sys.argv = ["-c", *options.args]
    _set_path("")
    namespace = _fresh_main()
    namespace.update({"__spec__": None, "__loader__": importlib.machinery.BuiltinImporter, "__package__": None})
    source = options.what + "\n"
    code = compile(source, "<string>", "exec")
    register_source(code, source)
    _run_code(code, namespace)


def _run_stdin(options: _Options) -> None:
    sys.argv = ["-", *options.args]
    _set_path("")
    namespace = _fresh_main()
    namespace.update({"__spec__": None, "__loader__": importlib.machinery.BuiltinImporter, "__package__": None})
    _run_code(compile(sys.stdin.read(), "<stdin>", "exec"), namespace)


def _run_module(options: _Options) -> None:
    sys.argv = ["-m", *options.args]  # runpy sets the first item, when it has found the module
    _set_path(os.getcwd())
    _fresh_main()
    runpy._run_module_as_main(options.what)  # type: ignore[attr-defined]


def _run_file(options: _Options) -> None:
    path = options.what
    sys.argv = [path, *options.args]
    if os.path.isdir(path) or _is_zip(path):
        _set_path(os.path.join(os.getcwd(), path))
        _fresh_main()
        runpy._run_module_as_main("__main__", False)  # type: ignore[attr-defined]
        return
    try:
        with io.open_code(os.path.abspath(path)) as file:
            source = file.read()
    except OSError as error:
        shown = os.path.abspath(path)
        print(f"{sys.executable}: can't open file {shown!r}: [Errno {error.errno}] {error.strerror}", file=sys.stderr)
        raise SystemExit(2) from None
    _set_path(os.path.dirname(os.path.realpath(path)))
    namespace = _fresh_main()
    loader_kind = importlib.machinery.SourcelessFileLoader if path.endswith(".pyc") else importlib.machinery.SourceFileLoader
    loader = loader_kind("__main__", path)
    shown = os.path.abspath(path)
    namespace.update({"__spec__": None, "__loader__": loader, "__package__": None, "__file__": shown})
    if MAIN_TELLS_ITS_CACHE:
        namespace["__cached__"] = None
    code = loader.get_code("__main__") if path.endswith(".pyc") else compile(source, shown, "exec", dont_inherit=True)
    _run_code(code, namespace)


def _is_zip(path: str) -> bool:
    return path.endswith((".zip", ".pyz", ".egg", ".whl")) and os.path.isfile(path)


def main(argv: list[str]) -> None:
    """Patch, then run the program that `argv` names."""
    if argv and argv[0] in ("top", "dump") and (len(argv) > 1 or not os.path.exists(argv[0])):
        importlib.import_module("dhagapatch.inspect.client").main(argv)
        return
    options = parse(argv)
    children = SETTINGS.children if options.children is None else options.children
    for line in MISSPELT:
        print(f"python -m dhagapatch: {line}", file=sys.stderr)
    MISSPELT.clear()
    try:
        patch_all(
            disable=options.disable, children=children is not False, timeslice=options.timeslice, offload=options.offload,
            dump_signal=options.dump_signal, stall=options.stall, track_locks=options.track_locks, inspect=options.inspect,
        )  # fmt: skip
        if options.dump_signal is None and SETTINGS.dump_signal is None and hasattr(signal, "SIGQUIT"):
            engine.look_at(must=False, **{**_AS_IT_IS, "dump_signal": int(signal.SIGQUIT)})
    except DhagapatchError as error:
        fail(str(error))
    if options.audit:
        atexit.register(lambda: print(engine.report, file=sys.stderr))
    run = {"c": _run_string, "m": _run_module, "file": _run_file, "stdin": _run_stdin}[options.kind]
    try:
        run(options)
    except SystemExit:
        raise
    except BaseException as error:
        here = __file__
        # runpy's frames come first (for `-m dhagapatch`), then ours; runpy's that come after ours are what
        # plain `python -m module` shows too
        traceback = error.__traceback__
        del error
        _hide_frames(_outer_frames() + _depth(traceback, lambda name: name == here))
        raise


def _outer_frames() -> int:
    """The frames outside of `main`: the module's own and runpy's."""
    frame: Any = sys._getframe(2)
    depth = 0
    while frame is not None:
        depth += 1
        frame = frame.f_back
    return depth


if __name__ == "__main__":
    main(sys.argv[1:])
