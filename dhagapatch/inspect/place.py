"""Where the socket of a process is found."""

from __future__ import annotations

import os
import stat
import tempfile

from dhagapatch._errors import DhagapatchError
from dhagapatch._real import BUILTINS as __builtins__

__all__ = ["usual_path"]


def usual_path(pid: int, make: bool = False) -> str:
    """The path for a process of this user; with `make` the folder is made, with mode 0700.

    It is ``dhagapatch`` in the user's runtime folder (XDG_RUNTIME_DIR), or ``dhagapatch-UID`` in that for temporary files.
    DhagapatchError if the folder is somebody else's, or open to others.
    """
    user = os.geteuid()
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folder = os.path.join(runtime, "dhagapatch") if runtime else os.path.join(tempfile.gettempdir(), f"dhagapatch-{user}")
    if make:
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            pass
        except OSError as error:
            raise DhagapatchError(f"inspect: can't make {folder}: {error.strerror}; give a path") from None
        # HAZARD: in a folder for everybody's temporary files somebody else may have made it
        found = os.lstat(folder)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != user or found.st_mode & 0o077:
            raise DhagapatchError(f"inspect: {folder} is not a folder that only its owner, this user, may enter; give a path")
    return os.path.join(folder, f"{pid}.sock")
