"""Patches a Python child before its own code runs: its parent put this folder at the head of PYTHONPATH.

The interpreter's `site` imports it.  It takes itself out of sight, so that the child sees the variables, the path and
the modules that it would see without, and has a `sitecustomize` that stands behind this one imported as ever.
"""

import os
import sys

MARK = "DHAGAPATCH_CHILD"
OPT_OUT = "DHAGAPATCH_CHILDREN"
FIELDS = 9  # of the mark, as `dhagapatch.green.startup` writes it


def _is_sub_interpreter():
    """Whether the process has begun with another interpreter: the environment is that one's."""
    if sys.version_info < (3, 11) or sys.implementation.name != "cpython":
        return False
    import _signal

    try:
        _signal.signal(0, _signal.SIG_DFL)  # never done: it is no signal
    except ValueError as error:
        return "main" in str(error)  # the first interpreter's thread, which imports this one, gets as far as the number


def _set(name, value, here_alone):
    """Give the variable this value, or none; `here_alone`: as this interpreter shows it, and not in the C library."""
    shown = os.environ
    if here_alone:
        shown, name = shown._data, shown.encodekey(name)
        value = value if value is None else os.environ.encodevalue(value)
    if value is None:
        shown.pop(name, None)
    else:
        shown[name] = value


def _out_of_sight():
    """What the parent said, or None; the path and the variables are as they would be without us."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [item for item in sys.path if item != here]
    sys.path_importer_cache.pop(here, None)
    # HAZARD: a sub-interpreter comes later, and would take from the main one what its children are to be told
    is_sub = _is_sub_interpreter()
    mark = os.environ.get(MARK)
    said = dict(field.partition("=")[::2] for field in mark.split(";", FIELDS - 1)) if mark else {}
    # a shell on the way may have put others beside our folder
    found = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if here in found:
        path = os.pathsep.join(item for item in found if item != here)
        _set("PYTHONPATH", path if path or said.get("path") else None, is_sub)
    if mark is not None:
        _set(MARK, None, is_sub)
    return None if is_sub else said or None


def _is_left_alone(said):
    """What a parent knows by the command line; here it is for children that it started by way of a shell."""
    if sys.version_info < (3, 11) or sys.implementation.name != "cpython":
        return True
    if os.environ.get(OPT_OUT) == "0" and not said["children"]:
        return True
    # `python -m dhagapatch` patches by itself, and has options of its own
    argv = getattr(sys, "argv", [])
    word = sys.orig_argv[-len(argv)] if argv[:1] == ["-m"] and len(sys.orig_argv) > len(argv) else ""
    return word == "dhagapatch" or (word[:1] == "-" and word.endswith("mdhagapatch"))


def _patch(said):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    # another environment's packages are not for this one: it has dhagapatch itself, or goes without
    borrowed = sys.prefix == said["prefix"]
    if borrowed:
        sys.path.append(root)
    before = set(sys.modules)
    try:
        import dhagapatch
        from dhagapatch._config import MISSPELT
    except ImportError:
        for name in set(sys.modules) - before:
            if name.partition(".")[0] in ("dhagapatch", "greenlet", "wrapt", "tornado"):
                del sys.modules[name]  # it has not what it needs
        return
    finally:
        if borrowed:
            sys.path.remove(root)
    del MISSPELT[:]  # the parent has told
    try:
        dhagapatch.patch_all(
            disable=_names(said["disable"]), children=True, timeslice=float(said["timeslice"]), offload=_names(said["offload"]),
            stall=float(said["stall"]) if said["stall"] else None, track_locks=True if said["track_locks"] else None,
            inspect=True if said["inspect"] else None,
        )  # fmt: skip
    except Exception as error:  # what the parent has may be missing here, and another version knows other options
        sys.stderr.write("dhagapatch: process %d runs without what its parent has: %s\n" % (os.getpid(), error))


def _names(text):
    return [name for name in text.split(",") if name]


def _behind():
    """Import the `sitecustomize` that we stand before; ImportError, which `site` expects, if there is none."""
    del sys.modules["sitecustomize"]
    import sitecustomize  # noqa: F401


_said = _out_of_sight()
if _said is not None and not _is_left_alone(_said):
    _patch(_said)
_behind()
