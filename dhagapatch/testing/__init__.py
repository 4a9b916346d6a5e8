"""Help for testing on dhagas: interleavings of threads explored, and a watchdog that ends a hang."""

from __future__ import annotations

from dhagapatch.testing.exploring import Exploration, ExploreError, explore
from dhagapatch.testing.interleaving import Step
from dhagapatch.testing.watchdog import Watchdog

__all__ = ["Exploration", "ExploreError", "Step", "Watchdog", "explore"]
