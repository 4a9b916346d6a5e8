"""Patches a Python child before its own code runs: its parent put this folder at the head of PYTHONPATH.

The interpreter's `site` imports it.  It takes itself out of sight, so that the child sees the variables, the path and
the modules that it would see without, and has a `sitecustomize` that stands behind this one imported as ever.
"""

import json
import os
import sys

MARK = "DHAGAPATCH_CHILD"


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


def _patch(said):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    sys.path.append(root)
    try:
        import dhagapatch
    except ImportError:
        return  # another interpreter, without what it needs
    finally:
        sys.path.remove(root)
    dhagapatch.patch_all(
        disable=said["disable"], children=True, timeslice=said["timeslice"], offload=said["offload"], **said["looking"]
    )


def _behind():
    """Import the `sitecustomize` that we stand before; ImportError, which `site` expects, if there is none."""
    del sys.modules["sitecustomize"]
    import sitecustomize  # noqa: F401


_said = _out_of_sight()
if _said is not None and sys.version_info >= (3, 11):
    _patch(_said)
_behind()
