"""Help for testing on dhagas: a watchdog that ends a hang and says where each dhaga stands."""

from __future__ import annotations

from dhagapatch.testing.watchdog import Watchdog

__all__ = ["Watchdog"]
