"""Two threads hand something back and forth, by `--by` what. An operation is one round trip: there and back.

Only one of the two can run at any time, so each hand-over makes one thread wait and wakes the other.
"""

from __future__ import annotations

import argparse
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # no launcher puts the checkout's folder there

from benchmarks.programs.stopwatch import Stopwatch, report

FIRST = 12  # round trips before the measured section; full circles of the locks


class Game:
    """Whose turn it is, and what went wrong. A thread moves by `advance`; the first makes the even moves."""

    def __init__(self) -> None:
        self.moves = 0
        self.errors: list[str] = []

    def advance(self, player: int) -> None:
        """Count a move; note one out of turn."""
        if self.moves % 2 != player:
            self.errors.append(f"move {self.moves} was made by player {player}")
        self.moves += 1


Turn = Callable[[int], None]  # wait for one's turn, move, hand over; so many times


def by_queue(game: Game, kind: Callable[[], Any]) -> tuple[Turn, Turn]:
    """Numbers through two queues."""
    there, back = kind(), kind()

    def first(trips: int) -> None:
        for number in range(trips):
            game.advance(0)
            there.put(number)
            if (answer := back.get()) != -number:
                game.errors.append(f"{answer} came back for {number}")

    def second(trips: int) -> None:
        for _ in range(trips):
            number = there.get()
            game.advance(1)
            back.put(-number)

    return first, second


def by_semaphore(game: Game) -> tuple[Turn, Turn]:
    """Two semaphores, each released by the other thread."""
    there, back = threading.Semaphore(0), threading.Semaphore(0)

    def first(trips: int) -> None:
        for _ in range(trips):
            game.advance(0)
            there.release()
            back.acquire()

    def second(trips: int) -> None:
        for _ in range(trips):
            there.acquire()
            game.advance(1)
            back.release()

    return first, second


def by_event(game: Game) -> tuple[Turn, Turn]:
    """Two events, each set by the other thread, and cleared before the answer."""
    there, back = threading.Event(), threading.Event()

    def first(trips: int) -> None:
        for _ in range(trips):
            game.advance(0)
            there.set()
            back.wait()
            back.clear()

    def second(trips: int) -> None:
        for _ in range(trips):
            there.wait()
            there.clear()
            game.advance(1)
            back.set()

    return first, second


def by_condition(game: Game) -> tuple[Turn, Turn]:
    """One condition: each waits until the number of moves says that it is its turn."""
    condition = threading.Condition()

    def turn(player: int) -> Turn:
        def take(trips: int) -> None:
            for _ in range(trips):
                with condition:
                    while game.moves % 2 != player:
                        condition.wait()
                    game.advance(player)
                    condition.notify()

        return take

    return turn(0), turn(1)


def by_lock(game: Game, kind: Callable[[], Any]) -> tuple[Turn, Turn]:
    """Three locks in a circle, each released by the thread that acquired it, as an RLock wants it.

    One thread has two of them and moves; the other has the third and waits for one of those two. To hand over is to
    release the lock that is waited for, and then to wait for the third, which the other releases at its turn.
    """
    locks = [kind(), kind(), kind()]
    ready = threading.Event(), threading.Event()

    def first(trips: int) -> None:
        if not ready[0].is_set():
            locks[0].acquire()
            locks[1].acquire()
            ready[0].set()
            ready[1].wait()
        for trip in range(trips):
            game.advance(0)
            locks[trip % 3].release()
            locks[(trip + 2) % 3].acquire()

    def second(trips: int) -> None:
        if not ready[1].is_set():
            locks[2].acquire()
            ready[1].set()
            ready[0].wait()
            locks[0].acquire()
        for trip in range(trips):
            game.advance(1)
            locks[(trip + 2) % 3].release()
            locks[(trip + 1) % 3].acquire()

    return first, second


WAYS: dict[str, Callable[[Game], tuple[Turn, Turn]]] = {
    "lock": lambda game: by_lock(game, threading.Lock),
    "rlock": lambda game: by_lock(game, threading.RLock),
    "semaphore": by_semaphore,
    "condition": by_condition,
    "event": by_event,
    "queue": lambda game: by_queue(game, queue.Queue),
    "simple-queue": lambda game: by_queue(game, queue.SimpleQueue),
}


def main() -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--by", choices=WAYS, default="queue", help="what is handed over, or waited for (default queue)")
    parser.add_argument("--trips", type=int, default=50_000, help="round trips (default 50,000)")
    options = parser.parse_args()
    game = Game()
    first, second = WAYS[options.by](game)
    watch = Stopwatch()

    def lead() -> None:
        first(FIRST)
        watch.start()
        first(options.trips)
        watch.stop()

    def follow() -> None:
        second(FIRST)
        second(options.trips)

    leader = threading.Thread(target=lead)
    leader.start()
    threading.Thread(target=follow, daemon=True).start()  # with locks it waits for a turn that never comes
    leader.join()
    if watch.wall_seconds <= 0:
        game.errors.append("the measured section did not end")
    return report(options.trips, watch, game.errors)


if __name__ == "__main__":
    sys.exit(main())
