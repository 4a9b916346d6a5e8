"""As `wrong_arguments`, of what has the native words in the compiled part only."""

from __future__ import annotations

import _thread
from typing import Any

from arguments import call_methods

from dhagapatch import original


def case_methods_of_locks(t: Any) -> None:
    call_methods(t, "lock", type(original("_thread", "allocate_lock")()), lambda _: _thread.allocate_lock())
    call_methods(t, "RLock", original("_thread", "RLock"), lambda _: _thread.RLock())
