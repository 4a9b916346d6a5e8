"""psycopg2 gets a wait callback, if nobody set one, and loses nothing by it, whether it comes before or after the patch."""

import importlib
import io
import os
import signal
import socket
import threading
import time

from shared.packages import put_in_place

import dhagapatch

MODULE = """
_callback, files = None, []

def set_wait_callback(callback):
    global _callback
    _callback = callback

def get_wait_callback():
    return _callback

class connection:
    closed = 0

    def __init__(self, said):
        self.said, self.busy = said, False

    def _query(self, what, wait):
        if self.busy:
            raise RuntimeError("a second query on a busy connection")
        self.busy = True
        self.said.append(what)
        wait()
        self.busy = False

    def commit(self, wait):
        self._query("commit", wait)

    cursor_factory = None

    def lobject(self, lobject_factory=None):
        opened = (lobject_factory or lobject)()
        opened.said_by = self  # of which the C type tells nobody
        opened.callback = _callback
        return opened

    def cursor(self, name=None, cursor_factory=None):
        made = (cursor_factory or cursor)(self)
        made.name = name
        return made

class cursor:
    name = None

    def __init__(self, connection):
        self.connection = connection

    def fetchone(self, wait):
        self.connection._query("row", wait)

    def __next__(self):
        import time
        self.connection._query("next", lambda: time.sleep(0.01))

    def execute(self, what, wait):
        self.connection._query(what, wait)

    def copy_from(self, read):
        files.append(read)
        if _callback is not None:
            raise RuntimeError("refused")
        try:
            self.connection._query("copy", getattr(read, "read", read))
        except ZeroDivisionError:
            raise
        except BaseException as error:
            raise ValueError(f"error in .read() call: {error!r}")
        return _callback

class lobject:
    def __init__(self):
        self.pieces = []

    def write(self, data):
        self.pieces.append(data)
        return len(data)

    def read(self, wait):
        self.said_by._query("read", wait)
"""


class Connection:
    """As psycopg2's: `poll` says what it waits for; room to write first, then an answer."""

    OperationalError = ConnectionError
    status = 1

    def __init__(self, ours, states):
        self._ours, self._states = ours, states

    def fileno(self):
        return self._ours.fileno()

    def poll(self):
        state = self._states.pop(0)
        if state == 0:
            self._ours.recv(1)
        return state


put_in_place("psycopg2", _psycopg=MODULE)

dhagapatch.patch_all()
module = importlib.import_module("psycopg2._psycopg")
assert dhagapatch.is_patched("psycopg2._psycopg.set_wait_callback")
wait = module.get_wait_callback()

ours, theirs = socket.socketpair()
ours.setblocking(False)  # as libpq does
threading.Thread(target=lambda: (time.sleep(0.1), theirs.send(b"x"))).start()
ticks = []
ticker = threading.Thread(target=lambda: [(time.sleep(0.01), ticks.append(1)) for _ in range(5)])
ticker.start()
wait(Connection(ours, [2, 1, 0]))
assert len(ticks) == 5, "the others did not run while it waited"
try:
    wait(Connection(ours, [7]))
except ConnectionError as error:
    assert str(error) == "bad state from poll: 7"
else:
    raise AssertionError

# a handler that raises, a kill, and a block whose time is up: the query comes to its end first, and the connection stays


class Interrupt(Exception):
    pass


def interrupt(*_):
    raise Interrupt


class Query(Connection):
    cancelled = 0

    def cancel(self):
        type(self).cancelled += 1
        theirs.send(b"x")


def run(query):
    module.cursor(other_connection).execute("query", lambda: wait(query))


other_connection = module.connection([])
signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 0.05)
threading.Timer(0.1, theirs.send, (b"x",)).start()
try:
    run(Query(ours, [1, 1, 0]))
except Interrupt:
    assert not other_connection.busy and Query.cancelled == 0
else:
    raise AssertionError
ended = []


def ends():
    try:
        run(Query(ours, [1, 1, 0]))
        ended.append("not killed")
    finally:
        ended.append(other_connection.busy)


dhaga = dhagapatch.spawn(ends)
time.sleep(0.05)
dhaga.kill()
while not dhaga.dead:
    time.sleep(0.01)
assert ended == [False] and Query.cancelled == 1, ended
try:
    with dhagapatch.Timeout(0.05):
        run(Query(ours, [1, 1, 0]))
except TimeoutError:
    assert not other_connection.busy and Query.cancelled == 2
else:
    raise AssertionError


class Connecting(Connection):
    status = 0

    def get_dsn_parameters(self):
        return {"host": "here", "port": "1", "connect_timeout": "1"}


began = time.monotonic()
try:
    wait(Connecting(ours, [1, 1]))
except ConnectionError as error:
    assert str(error) == 'connection to server at "here", port 1 failed: timeout expired\n', error
else:
    raise AssertionError
assert 1.9 < time.monotonic() - began < 5, "libpq's least is two seconds"

# who uses a connection takes turns, as threads do natively
said, napping = [], lambda: time.sleep(0.01)
shared = module.connection(said)
threads = [threading.Thread(target=module.cursor(shared).execute, args=(number, napping)) for number in range(3)]
threads.append(threading.Thread(target=shared.commit, args=(napping,)))
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert said == [0, 1, 2, "commit"], said
# of a large object, and of a cursor with a name, too
del said[:]
large, named, plain = shared.lobject(), shared.cursor("named"), shared.cursor()
uses = [lambda: large.read(napping), lambda: named.fetchone(napping), lambda: next(named), lambda: plain.execute("q", napping)]
threads = [threading.Thread(target=use) for use in uses]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert said == ["read", "row", "next", "q"], said
assert isinstance(named, module.cursor) and type(named).__name__ == "cursor" and type(plain) is module.cursor
# but not on two connections
other, both = module.connection([]), threading.Barrier(2, timeout=5)
threads = [threading.Thread(target=one.commit, args=(both.wait,)) for one in (shared, other)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
# and a dhaga that holds its turn may come again; one that is killed, or fails, gives it up
module.cursor(shared).copy_from(lambda: module.cursor(other).execute("within", lambda: None))
assert other.said[-1] == "within"
fails = module.connection([])
for _ in range(2):
    fails.busy = True
    try:
        fails.commit(napping)
    except RuntimeError as error:
        assert "busy" in str(error)
    else:
        raise AssertionError

# COPY and large objects run without the callback; the last one gives it back
first, second = threading.Event(), threading.Event()
threads = [
    threading.Thread(target=module.cursor(module.connection([])).copy_from, args=(event.wait,)) for event in (first, second)
]
for thread in threads:
    thread.start()
time.sleep(0.01)
assert module.get_wait_callback() is None
first.set()
threads[0].join()
assert module.get_wait_callback() is None, "the second still runs"
child = os.fork()
if child == 0:
    os._exit(module.get_wait_callback() is None)  # nobody is here who would give it back
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
second.set()
threads[1].join()
assert module.get_wait_callback() is wait
assert shared.lobject().callback is None and isinstance(shared.lobject(), module.lobject)
try:
    module.cursor(shared).copy_from(lambda: 1 / 0)
except ZeroDivisionError:
    shared.busy = False
assert module.get_wait_callback() is wait, "given back after an error"
mine = lambda connection: None  # noqa: E731
module.set_wait_callback(mine)
try:
    module.cursor(shared).copy_from(lambda: None)
except RuntimeError as error:
    assert str(error) == "refused", "the program's own callback stays, with what psycopg2 makes of it"
else:
    raise AssertionError
module.set_wait_callback(wait)

# a file is read when there is room on the connection, and the others run until then
ours.setblocking(False)
try:
    while True:
        ours.send(b"x" * 10000)
except BlockingIOError:
    pass
reads = []
source = type("Source", (), {"read": lambda self: reads.append(list(ticks))})()
module.connection.fileno = lambda self: ours.fileno()
ticks.clear()
threading.Thread(target=lambda: (time.sleep(0.05), ticks.append("room"), theirs.recv(1 << 20))).start()
module.cursor(shared).copy_from(source)
assert reads == [["room"]], reads
text = type("Text", (io.StringIO,), {})("text")
module.cursor(shared).copy_from(text)
assert text.read() == "" and isinstance(module.files[-1], io.TextIOBase) and module.files[-1].write("more") == 4
# a kill while it waits for room ends the dhaga, whatever psycopg2 makes of it
try:
    while True:
        ours.send(b"x" * 10000)
except BlockingIOError:
    pass
ended = []


def copies():
    try:
        module.cursor(module.connection([])).copy_from(source)
        ended.append("went on")
    except Exception:
        ended.append("an error of its own")


dhaga = dhagapatch.spawn(copies)
time.sleep(0.02)
dhaga.kill()
while not dhaga.dead:
    time.sleep(0.01)
assert ended == [], ended
theirs.recv(1 << 20)

# and a large object is written in pieces, which fit
large = module.lobject()
for data in (b"x" * 20000, "y" * 8193, b""):
    assert large.write(data) == len(data)
assert list(map(len, large.pieces)) == [8192, 8192, 3616, 8192, 1, 0]

# nothing is given back after the patch has gone
last = threading.Event()
thread = threading.Thread(target=module.cursor(module.connection([])).copy_from, args=(last.wait,))
thread.start()
time.sleep(0.01)
dhagapatch.unpatch_all()
last.set()
thread.join()
assert module.get_wait_callback() is None
for kind, name in ((module.cursor, "execute"), (module.cursor, "copy_from"), (module.connection, "commit")):
    assert not hasattr(getattr(kind, name), "__wrapped__"), name
dhagapatch.patch_all()
wait = module.get_wait_callback()
dhagapatch.unpatch_all()
assert module.get_wait_callback() is None
dhagapatch.patch_all(disable=["packages"])
assert module.get_wait_callback() is None
dhagapatch.unpatch_all()
dhagapatch.patch_all()
assert module.get_wait_callback() is wait, "it was there before the patch"
module.set_wait_callback(print)
dhagapatch.unpatch_all()
assert module.get_wait_callback() is print, "what the program set since is its own"
dhagapatch.patch_all()
assert module.get_wait_callback() is print, "the program has its own"
assert not dhagapatch.is_patched("psycopg2._psycopg.set_wait_callback")
