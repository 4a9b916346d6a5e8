"""`select.epoll` is there, and its wait leaves the others running."""

import os
import select

from _runtime import Heart, answer, patch

patch()
if not hasattr(select, "epoll"):
    answer(False)
reader, _ = os.pipe()
heart = Heart()
with select.epoll() as poller:
    poller.register(reader, select.EPOLLIN)
    assert poller.poll(0.4) == []
answer(heart.longest_gap() < 0.2)
