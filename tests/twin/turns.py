"""Threads that take turns, in order: what each of them sees does not depend on time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


def in_turn(*functions: Callable[[Callable[[], None]], Any]) -> list[Any]:
    """Each in a thread; they take turns, in order, at each call of what they are given.  What they return, or raise."""
    turn = threading.Condition()
    alive = list(range(len(functions)))
    now = [0]
    results: list[Any] = [None] * len(functions)

    def give() -> None:
        with turn:
            me = now[0]
            now[0] = next((n for n in alive if n > me), alive[0])
            turn.notify_all()
            turn.wait_for(lambda: now[0] == me)

    def run(number: int) -> None:
        with turn:
            turn.wait_for(lambda: now[0] == number)
        try:
            results[number] = functions[number](give)
        except BaseException as error:
            results[number] = repr(error)
        with turn:
            alive.remove(number)
            if alive:
                now[0] = next((n for n in alive if n > number), alive[0])
            turn.notify_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
