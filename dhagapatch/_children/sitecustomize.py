"""Patches a Python child before its own code runs: its parent put this folder at the head of PYTHONPATH.

The interpreter's `site` imports it.  It takes itself out of sight, so that the child sees the variables, the path and
the modules that it would see without, and has a `sitecustomize` that stands behind this one imported as ever.
"""

import json
import os
import sys

MARK = "DHAGAPATCH_CHILD"
OPT_OUT = "DHAGAPATCH_CHILDREN"


def _out_of_sight():
    """What the parent said, or None; the path and the variables are as they would be without us."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [item for item in sys.path if item != here]
    sys.path_importer_cache.pop(here, None)
    mark = os.environ.pop(MARK, None)
    if mark is None:
        return None
    said = json.loads(mark)
    if said["path"] is None:
        os.environ.pop("PYTHONPATH", None)
    else:
        os.environ["PYTHONPATH"] = said["path"]
    return said


def _is_left_alone(said):
    """What a parent knows by the command line; here it is for children that it started by way of a shell."""
    if sys.version_info < (3, 11) or sys.implementation.name != "cpython":
        return True
    if os.environ.get(OPT_OUT) == "0" and said["children"] != "0":
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
            disable=said["disable"], children=True, timeslice=said["timeslice"], offload=said["offload"], **said["looking"]
        )
    except Exception as error:  # what the parent has may be missing here, and another version knows other options
        sys.stderr.write("dhagapatch: process %d runs without what its parent has: %s\n" % (os.getpid(), error))


def _behind():
    """Import the `sitecustomize` that we stand before; ImportError, which `site` expects, if there is none."""
    del sys.modules["sitecustomize"]
    import sitecustomize  # noqa: F401


_said = _out_of_sight()
if _said is not None and not _is_left_alone(_said):
    _patch(_said)
_behind()
