# run: -m dhagapatch --no-children
"""The compiled part leaks nothing, whichever way its functions are left; what it is given wrong is an error."""

import _thread
import functools
import gc
import os
import socket
import subprocess
import sys
import threading
import time

import dhagapatch
from dhagapatch.core import compiled
from dhagapatch.core.hub import get_hub
from dhagapatch.core.netpoll import Entry, Netpoll
from dhagapatch.core.poller import MASKS

assert dhagapatch.stats()["compiled"] is (compiled.speedups is not None)

# references, after so many of each


def counts(*objects):
    gc.collect()
    return [sys.getrefcount(one) for one in (None, True, False, 0, 1, 64, *objects)]


def settle(work, *objects, rounds=300):
    """What is counted stays the same, but for a few."""
    for _ in range(20):
        work()
    before = counts(*objects)
    for _ in range(rounds):
        work()
    after = counts(*objects)
    grown = [(number, b, a) for number, (b, a) in enumerate(zip(before, after)) if abs(a - b) > rounds // 4 and b < 2**30]
    assert not grown, (work.__name__, grown)


hub = get_hub()
lock, rlock = threading.Lock(), threading.RLock()
a, b = socket.create_connection((listener := socket.create_server(("127.0.0.1", 0))).getsockname()), listener.accept()[0]


near, far = socket.socketpair()
far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)


def in_thread(*functions):
    threads = [threading.Thread(target=one) for one in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def exchange():
    buffer = bytearray(100)

    def there():
        b.sendall(b"x" * 50)
        assert b.recv(100) == b"y" * 60

    def back():
        assert a.recv_into(buffer) == 50
        a.send(b"y" * 60)

    in_thread(back, there)


def wait_for_room():
    def read():
        left = 60_000
        while left:
            left -= len(near.recv(50_000))

    in_thread(lambda: far.sendall(bytes(60_000)), read)


def share_files():
    with far.makefile("wb") as out, near.makefile("rb") as lines:
        def read():
            for _ in range(3):
                assert lines.readline() == b"line\n" and not lines.closed

        def write():
            for _ in range(6):
                out.write(b"line\n")
                out.flush()

        in_thread(read, read, write)
        for wrong in (lambda: lines.readline("x"), lambda: lines.write(b""), lambda: out.write(""), lambda: lines.peek(size=1)):
            try:
                wrong()
                raise AssertionError(wrong)
            except (TypeError, OSError):
                pass


def time_out():
    a.settimeout(0.0005)
    try:
        a.recv(10)
        raise AssertionError("nothing was sent")
    except TimeoutError as error:
        assert str(error) == "timed out" and error.__context__ is None, error.__context__
    a.settimeout(None)


def would_block():
    a.setblocking(False)
    for call in (lambda: a.recv(10), lambda: a.recv_into(bytearray(3))):
        try:
            call()
            raise AssertionError("nothing was sent")
        except BlockingIOError:
            pass
    a.setblocking(True)


def killed():
    def wait():
        a.recv(10)

    victim = dhagapatch.spawn(wait)
    time.sleep(0)
    time.sleep(0)
    victim.kill()
    while not victim.dead:
        time.sleep(0)
    assert not hub.entries[a.fileno()].readers


def killed_at_a_lock():
    with lock, rlock:
        victims = [dhagapatch.spawn(lock.acquire), dhagapatch.spawn(rlock.acquire)]
        time.sleep(0)
        for victim in victims:
            victim.kill()
        while not all(victim.dead for victim in victims):
            time.sleep(0)
    assert not lock._waiters and not rlock._waiters and not lock.locked()


def handed_over():
    def take():
        for one in (lock, rlock):
            for _ in range(3):
                with one:
                    time.sleep(0)
            assert one.acquire()
            one.release()

    in_thread(take, take, take)


def own_data():
    def use():
        own.value = 1
        own.value += 1
        assert own.value == 2 and vars(own)["value"] == 2
        for call in (lambda: own.other, lambda: setattr(own, "__dict__", {}), lambda: getattr(own, Text("more"))):
            try:
                call()
                raise AssertionError(call)
            except AttributeError:
                pass
        setattr(own, Text("more"), Unequal())
        assert Text("more") in vars(own) and own.more is vars(own)["more"]
        del own.more  # its finalizer sets the other
        del own.value

    in_thread(use, use)
    use()


class Text(str):
    """Not quite a string: `threading.local` may call its methods."""

    __hash__ = str.__hash__

    def __eq__(self, other):
        own.asked = True
        return str.__eq__(self, other)


class Unequal:
    def __del__(self):
        own.value = None


own = threading.local()


def asked_who():
    def ask():
        assert threading.get_ident() == threading.current_thread().ident and _thread.allocate_lock().acquire()

    in_thread(ask, ask)
    ask()


def misused():
    wrong = (lambda: lock.acquire(1, 2, 3), a.recv, lambda: a.recv("x"), lambda: a.recv(-1))
    for call in (lock.release, rlock.release, *wrong):
        try:
            call()
            raise AssertionError(call)
        except (RuntimeError, TypeError, ValueError):
            pass
    assert lock.acquire(False) is True and lock.acquire(False) is False and lock.acquire(True, 0.0002) is False
    lock.release()


entries = hub.entries
WORK = (
    exchange, wait_for_room, share_files, own_data, asked_who,
    time_out, would_block, killed, killed_at_a_lock, handed_over, misused,
)  # fmt: skip
for work in WORK:
    settle(work, hub, lock, rlock, own, a, b, entries, hub.netpoll, hub.runq, hub.greenlet)

# errors

if compiled.speedups is not None:
    for arguments in ((), (1, 2, 3, 4, 5), ([], {}, MASKS, hub.runq)):
        try:
            compiled.speedups.mark(*arguments)
            raise AssertionError(arguments)
        except TypeError as error:
            assert "mark(events" in str(error), error
    wrong = (
        ([(1,)], {}, MASKS, hub.runq, -1), ([1], {}, MASKS, hub.runq, -1), ([(1, 2, 3)], {}, MASKS, hub.runq, -1),
        ([(1, 1)], {1: 5}, MASKS, hub.runq, -1), ([("x", 1)], {}, MASKS, hub.runq, -1), ([], {}, MASKS, hub.runq, "x"),
        ([(2**70, 1)], {}, MASKS, hub.runq, -1), ([(7, "x")], {7: Entry(7)}, MASKS, hub.runq, -1),
        ([(7, 1)], {7: Entry(7)}, MASKS, None, -1),
    )  # fmt: skip
    waits = Entry(7)
    waits.readers.append(5)
    for call in (
        *(functools.partial(compiled.speedups.mark, *arguments) for arguments in wrong),
        lambda: compiled.speedups.mark([(7, 1)], {7: waits}, MASKS, hub.runq, -1),
    ):
        try:
            call()
        except (TypeError, OverflowError, AttributeError):
            pass

    # the set-ups take all or nothing, and only what fits

    given = {}
    real_setup = compiled.speedups

    class Recorder:
        def __getattr__(self, name):
            if not name.startswith("setup_"):
                return getattr(real_setup, name)
            return lambda names: given.update({name: names}) or getattr(real_setup, name)(names)

    compiled.speedups = Recorder()
    compiled._install()
    compiled.speedups = real_setup
    odd = (None, 5, "text", [], {}, (), object(), int, type("Odd", (), {"__slots__": ("hub",)}), print)
    for name in ("core", "sockets", "local", "tls", "threads", "files", "waiting"):
        setup = getattr(compiled.speedups, f"setup_{name}")
        for names in (*odd[:7], {"Dhaga": 1}):
            try:
                setup(names)
                raise AssertionError((name, names))
            except (KeyError, TypeError):
                pass
    for key in given["setup_core"]:
        for value in odd:
            try:
                compiled.speedups.setup_core({**given["setup_core"], key: value})
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
                pass
            compiled.speedups.setup_core(given["setup_core"])
        missing = dict(given["setup_core"])
        del missing[key]
        try:
            compiled.speedups.setup_core(missing)
            raise AssertionError(key)
        except KeyError as error:
            assert error.args == (key,), error
    exchange()  # as before
    killed_at_a_lock()
    for value in (5, (), (1, 2), (0, None), (2**63, print), "text", []):
        for function in (compiled.speedups.put_profile, lambda value: compiled.speedups.put_state(hub, value)):
            try:
                function(value)
                raise AssertionError(value)
            except TypeError:
                pass
    for function in (compiled.speedups.take_state, compiled.speedups.await_thread):
        try:
            function(None)
            raise AssertionError(function)
        except TypeError:
            pass
    for arguments in ((), (1,), (hub,), (None, None), (hub, 1, 2)):
        for function in (compiled.speedups.resume, compiled.speedups.put_state):
            try:
                function(*arguments)
                raise AssertionError(arguments)
            except TypeError:
                pass

    # before the set-up, each is an error

    UNPREPARED = """
import importlib.util, sys
import greenlet
spec = importlib.util.find_spec("dhagapatch._speedups")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
for name in dir(module):
    function = getattr(module, name)
    if callable(function):
        for arguments in ((), (None,), ({},), ([], {}, {}, [], -1), ([(1, 1)], {1: 1}, {}, [], -1), (1, 2, 3), (1,) * 5, (int,)):
            try:
                function(*arguments)
            except Exception:
                pass
"""
    path = compiled.speedups.__file__
    alone = UNPREPARED.replace('importlib.util.find_spec("dhagapatch._speedups")',
                               f'importlib.util.spec_from_file_location("dhagapatch._speedups", {path!r})')  # fmt: skip
    subprocess.run([sys.executable, "-c", alone], check=True)
    assert (Netpoll, "run") in compiled.IN_PYTHON

# without it, and with one of another version

WITHOUT, WITH = ({**os.environ, "DHAGAPATCH_SPEEDUPS": value} for value in "01")
said = subprocess.run(
    [sys.executable, "-m", "dhagapatch", "-c", "import dhagapatch as d, socket;print(d.stats()['compiled'], socket.socket.recv)"],
    env=WITHOUT, capture_output=True, text=True, check=True,
).stdout  # fmt: skip
assert said.startswith("False <functools."), said

OTHER = """
import sys, types, warnings
sys.modules["dhagapatch._speedups"] = types.SimpleNamespace(EDITION=-1)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import dhagapatch
assert dhagapatch.stats()["compiled"] is False
print([str(one.message) for one in caught])
"""
said = subprocess.run([sys.executable, "-c", OTHER], env=WITH, capture_output=True, text=True, check=True).stdout
assert "install dhagapatch again" in said, said

# what a finalizer closes while it is marked is kept as long; told of by the interpreter's own checks of its memory

FREED = """
import dhagapatch
from collections import deque
from dhagapatch.core import compiled
from dhagapatch.core.netpoll import Entry
from dhagapatch.core.poller import MASKS, _Masks

entries = {}
missing = _Masks.__missing__

def closing(self, event):  # as a collection might, in whose finalizer the descriptor is closed
    entries.clear()
    self.more = [Entry(number) for number in range(50)]
    return missing(self, event)

_Masks.__missing__ = closing
for _ in range(100):
    MASKS.clear()
    entries[77] = Entry(77)
    compiled.speedups.mark([(77, 5)], entries, MASKS, deque(), -1)
"""
if compiled.speedups is not None:
    subprocess.run([sys.executable, "-c", FREED], env={**WITH, "PYTHONMALLOC": "debug"}, check=True)
