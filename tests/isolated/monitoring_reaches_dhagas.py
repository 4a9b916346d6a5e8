"""What `sys.monitoring` is told to look for, it sees in functions that dhagas are in at that time, and not only when they are
called anew: a debugger that a client attaches to a program that runs needs it."""

import sys
import threading
import time

import dhagapatch

monitoring = getattr(sys, "monitoring", None)  # since 3.12
TOOL = 3
ended = threading.Event()


def work(turns):
    while not ended.is_set():
        turns.append(1)
        time.sleep(0.001)


def wait_for(things, count=3):
    end = time.monotonic() + 10
    while len(things) < count and time.monotonic() < end:
        time.sleep(0.001)
    return len(things) >= count


def go_round():
    """Until the thread has been through its loop."""
    turns.clear()
    assert wait_for(turns)


def main():
    lines, answer = [], []

    def line(code, number):
        if code is work.__code__:
            lines.append(number - work.__code__.co_firstlineno)
        return answer[0] if answer else None

    monitoring.use_tool_id(TOOL, "test")
    monitoring.register_callback(TOOL, monitoring.events.LINE, line)
    monitoring.set_events(TOOL, monitoring.events.LINE)
    assert wait_for(lines) and {*lines} <= {1, 2, 3}
    answer.append(monitoring.DISABLE)
    go_round()
    lines.clear()
    go_round()
    assert not lines
    monitoring.restart_events()
    assert wait_for(lines)
    monitoring.set_events(TOOL, 0)
    lines.clear()
    go_round()
    assert not lines
    assert monitoring.get_local_events(TOOL, work.__code__) == 0
    monitoring.set_local_events(TOOL, work.__code__, monitoring.events.PY_START)
    monitoring.set_events(TOOL, 0)
    monitoring.restart_events()
    assert monitoring.get_local_events(TOOL, work.__code__) == monitoring.events.PY_START
    for wrong, message in ((lambda: monitoring.set_events(9, 1), "invalid tool"), (lambda: monitoring.set_events(TOOL), "2 arg")):
        try:
            wrong()
        except (ValueError, TypeError) as error:
            assert message in str(error), error
        else:
            raise AssertionError(message)
    monitoring.free_tool_id(TOOL)
    monitoring.restart_events()


if monitoring is not None:
    native = monitoring.set_events
    dhagapatch.patch_all()
    turns = []
    thread = threading.Thread(target=work, args=(turns,))
    thread.start()
    try:
        assert wait_for(turns)
        main()
    finally:
        ended.set()
        thread.join()
    dhagapatch.unpatch_all()
    assert monitoring.set_events is native
