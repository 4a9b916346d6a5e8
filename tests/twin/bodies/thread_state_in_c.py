"""What of a thread's state only C code can reach: each thread has its own where the compiled part is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from turns import in_turn


class Slow:
    def __init__(self, give: Callable[[], None]) -> None:
        self.give = give

    def __repr__(self) -> str:
        self.give()
        return "slow"


def case_guard_of_repr(t: Any) -> None:
    shared: list[Any] = []
    table: dict[str, Any] = {}

    def first(give: Callable[[], None]) -> str:
        shared.append(Slow(give))
        table["slow"] = shared
        table["self"] = table
        give()
        return repr(table)

    def second(give: Callable[[], None]) -> str:
        give()
        return repr(shared) + repr(table)

    t.note(in_turn(first, second, second))


def case_trace_function_that_waits(t: Any) -> None:
    def traced(give: Callable[[], None]) -> list[str]:
        events: list[str] = []

        def trace(frame: Any, event: str, arg: Any) -> Any:
            if frame.f_code.co_name == "step":
                events.append(event)
                give()
                return trace
            return None

        def step() -> int:
            return 1

        sys.settrace(trace)
        step()
        sys.settrace(None)
        return events

    t.note(in_turn(traced, traced, lambda give: [give(), sys.gettrace()]))
