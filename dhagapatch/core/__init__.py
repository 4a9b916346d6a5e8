"""The core: hub, scheduler, primitives.  It patches nothing and imports nothing from the layers above."""

from __future__ import annotations

from dhagapatch.core import compiled
from dhagapatch.core.dhaga import Dhaga, current_dhaga, owner_token, running_dhaga, spawn, start_thread
from dhagapatch.core.entry import give_way
from dhagapatch.core.hub import Hub, get_hub, hub_for_wait
from dhagapatch.core.netpoll import Entry
from dhagapatch.core.offload import (
    forget_native_threads,
    offload,
    offload_wait,
    other_native_threads,
    own_native_threads,
    start_helper,
)
from dhagapatch.core.parker import make_parker
from dhagapatch.core.poller import READ, WRITE
from dhagapatch.core.queues import Queue
from dhagapatch.core.scopes import Timeout, shield
from dhagapatch.core.sync import Lock, RLock, deadline_of
from dhagapatch.core.waits import program_frame, report

__all__ = [
    "READ",
    "WRITE",
    "Dhaga",
    "Entry",
    "Hub",
    "Lock",
    "Queue",
    "RLock",
    "Timeout",
    "compiled",
    "current_dhaga",
    "deadline_of",
    "forget_native_threads",
    "get_hub",
    "give_way",
    "hub_for_wait",
    "make_parker",
    "offload",
    "offload_wait",
    "other_native_threads",
    "own_native_threads",
    "owner_token",
    "program_frame",
    "report",
    "running_dhaga",
    "shield",
    "spawn",
    "start_helper",
    "start_thread",
]
