"""What stands for what was made before the patch, and how its state goes back into the native object."""

from __future__ import annotations

from typing import Any

from dhagapatch import _real
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import owner_token
from dhagapatch.green import _thread as green_thread
from dhagapatch.monkey.adopt import Adopted, AdoptedSimpleQueue

__all__ = ["Adoption", "adoptions_of"]


class Adoption:
    """A native object and its counterpart; no tuple, in which they would be found."""

    __slots__ = ("green", "real")

    def __init__(self, real: Any, green: Any) -> None:
        self.real = real
        self.green = green

    def give_back(self) -> None:
        """Bring the state into the native object, of which all others get hold now."""
        if hasattr(self.green, "give_back"):
            self.green.give_back()
        elif isinstance(self.green, green_thread.RLock):
            if self.green._is_owned() and owner_token() == _real.get_ident():
                for _ in range(self.green._recursion_count()):
                    _real.RLock.acquire(self.real, False)
        elif isinstance(self.green, green_thread.SimpleQueue) and not isinstance(self.green, AdoptedSimpleQueue):
            while self.green._items:
                _real.SimpleQueue.put(self.real, self.green._items.popleft())
        if isinstance(self.real, (_real.RLock, _real.SimpleQueue)) and hasattr(self.real, "__dict__"):  # of a subclass
            vars(self.real).clear()
            vars(self.real).update(vars(self.green))


def adoptions_of(done: Adopted) -> list[Adoption]:
    """Those that somebody holds."""
    held = done.held()
    return [Adoption(real, green) for real, green in done.pairs if id(real) in held]
