"""A small program as it has run for years, with threads: an inventory, its journal, and workers that use both.

It has two mistakes.  `restock` takes the locks the other way round than `sell`, so that the two may wait for each other for ever.
And `report` computes for long, in which on micro-threads nobody else runs.
"""

from __future__ import annotations

import threading
import time


class Inventory:
    """How many of each thing there are, and what has happened to them."""

    def __init__(self) -> None:
        self.stock = {"tea": 100, "rice": 100}
        self.journal: list[str] = []
        self.stock_lock = threading.Lock()
        self.journal_lock = threading.Lock()

    def sell(self, thing: str) -> None:
        """Take one out."""
        with self.stock_lock:
            self.stock[thing] -= 1
            time.sleep(0.05)  # the till is slow
            with self.journal_lock:
                self.journal.append(f"sold {thing}")

    def restock(self, thing: str) -> None:
        """Put one in."""
        with self.journal_lock:
            self.journal.append(f"bought {thing}")
            time.sleep(0.05)  # so is the scale
            with self.stock_lock:
                self.stock[thing] += 1

    def report(self, seconds: float) -> int:
        """Figures that nobody reads, in so many seconds."""
        until = time.monotonic() + seconds
        total = 0
        while time.monotonic() < until:
            total += sum(range(1000))
        return total


def main() -> None:
    """Run for some seconds, whatever becomes of the workers."""
    inventory = Inventory()
    inventory.sell("tea")
    inventory.restock("rice")
    threading.Thread(target=inventory.sell, args=("tea",), name="seller", daemon=True).start()
    threading.Thread(target=inventory.restock, args=("tea",), name="buyer", daemon=True).start()
    threading.Thread(target=inventory.report, args=(0.5,), name="reporter", daemon=True).start()
    for _ in range(8):
        time.sleep(0.5)
        print(f"open, {len(inventory.journal)} entries", flush=True)


if __name__ == "__main__":
    main()
