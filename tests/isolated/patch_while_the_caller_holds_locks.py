"""Locks that the program's main flow itself holds at the moment of the patch, and releases through the native object."""

import threading
import time

plain, reentrant, condition = threading.Lock(), threading.RLock(), threading.Condition()
inside: list[str] = []
together: list[tuple[str, ...]] = []


def visit(who: str) -> None:
    inside.append(who)
    if len(inside) > 1:
        together.append(tuple(inside))
    time.sleep(0.002)
    inside.remove(who)


def use(lock: "threading.Lock | threading.RLock", got: list) -> None:
    got.append(lock.acquire(timeout=5))
    lock.release()


got: list[bool] = []
with plain, reentrant:
    import dhagapatch

    report = dhagapatch.patch_all()
    threads = [threading.Thread(target=use, args=(lock, got)) for lock in (plain, reentrant)]
    for thread in threads:
        thread.start()
    with reentrant:  # its owner goes on with it
        time.sleep(0.02)
    assert got == [], got
begun = time.monotonic()
for thread in threads:
    thread.join(8)
assert got == [True, True], got
assert time.monotonic() - begun < 2, "nobody looked whether the native lock was free"
assert not plain._shared, "it is looked at for ever"
dhagapatch.unpatch_all()

# the holder waits in the condition: those who came meanwhile, and those who come later, are never inside with it
with condition:
    dhagapatch.patch_all()

    def work(name: str) -> None:
        for _ in range(15):
            with condition:
                visit(name)
                condition.notify_all()

    threads = [threading.Thread(target=work, args=(f"dhaga {n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        assert condition.wait(5)
        visit("main")
        with condition:  # again
            visit("main")
for thread in threads:
    thread.join(8)
    assert not thread.is_alive()
assert together == [], together
