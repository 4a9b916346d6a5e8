"""`threading.local` and context variables are each thread's own."""

import contextvars
import threading
import time

from _runtime import answer, patch, together

patch()
local, variable, seen = threading.local(), contextvars.ContextVar("variable", default=0), []


def work():
    before = getattr(local, "value", 0), variable.get()
    local.value = variable.set(1) and 1
    time.sleep(0.01)
    seen.append((before, local.value, variable.get()))


together(work, 5)
answer(seen == [((0, 0), 1, 1)] * 5 and not hasattr(local, "value"))
