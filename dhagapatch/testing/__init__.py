"""Help for testing on dhagas: a watchdog that ends a hang and says where each dhaga stands."""

from __future__ import annotations

from dhagapatch.testing.watchdog import Watchdog, describe_dhagas

__all__ = ["Watchdog", "describe_dhagas"]
