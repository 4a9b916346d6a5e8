"""Callables that the user names run on native threads, and look like what they were."""

import copy
import functools
import hashlib
import importlib
import inspect
import os
import pickle
import sys
import tempfile
import textwrap
import threading
import time
import traceback
import types
import warnings
import zlib
from _thread import get_ident as native_ident

folder = tempfile.mkdtemp()
sys.path.insert(0, folder)
with open(f"{folder}/blocking.py", "w") as file:
    file.write(
        textwrap.dedent("""
        import contextvars
        import time
        from _thread import get_ident as who
        sleep = time.sleep
        variable = contextvars.ContextVar("variable", default=0)

        def nap(seconds: float = 0.3, *, real=None) -> str:
            "Block the thread."
            (real or sleep)(seconds)
            return who(), variable.get()

        def fail():
            raise LookupError("no such thing")

        def generate():
            yield 1

        NUMBER = 5

        class Base:
            def inherited(self):
                return who()

        class Thing(Base):
            def method(self, value):
                return who(), self, value

            @classmethod
            def of_class(cls):
                return who(), cls

            @staticmethod
            def static(value):
                return who(), value

        class Slots:
            __slots__ = ("a",)

        class Affine(Base):
            def __init__(self, fails=False):
                self.made = who()
                if fails:
                    raise ValueError("as asked")

            def __enter__(self):
                return self, who()

            def __exit__(self, *exc_info):
                pass

            def work(self):
                assert who() == self.made
                return self.more()

            def more(self):
                return who()

            def close(self):
                return who()
    """)
    )
os.makedirs(f"{folder}/later/package")
for path in ("later/__init__.py", "later/package/__init__.py"):
    with open(f"{folder}/{path}", "w"):
        pass
with open(f"{folder}/later/package/module.py", "w") as file:
    file.write("from _thread import get_ident\ndef work(): return get_ident()\n")
import blocking
from blocking import nap as early

holders = [zlib.crc32, functools.partial(zlib.adler32, b"x")]
before = {name: vars(blocking.Thing).get(name) for name in ("method", "of_class", "static", "inherited")}
update = vars(type(hashlib.md5()))["update"]

import dhagapatch
from dhagapatch import _real
from dhagapatch.core import own_native_threads
from dhagapatch.testing import Watchdog

watchdog = Watchdog(18)

# what can't be had is an error that says why, and nothing is done
for name, words in {
    "zlib": "a function's name with its module is needed",
    "zlib.": "a function's name",
    "no_such_module.function": "there is no module 'no_such_module'",
    "zlib.no_such": "zlib has no 'no_such'",
    "blocking.Thing.no_such": "blocking.Thing has no 'no_such'",
    "os.path.no.such": "has no 'no'",
    "email.no_such.thing": "email has no 'no_such'",
    "blocking.NUMBER": "no function or method, but 'int'",
    "blocking.generate": "generator",
    "blocking.Slots": "weakly",
    "io.BytesIO": "C type",
    "_io.FileIO.__init__": "only plain methods of its own",
    "sqlite3.register_adapter": "all together",
    "dhagapatch.spawn": "the runtime's own",
}.items():
    if name.startswith("email"):
        importlib.import_module("email")
    try:
        dhagapatch.patch_all(offload=["zlib.compress", name])
    except dhagapatch.PatchError as error:
        assert words in str(error), (name, str(error))
    else:
        raise AssertionError(name)
    assert type(zlib.compress) is types.BuiltinFunctionType

report = dhagapatch.patch_all(
    offload=[
        "blocking.nap, zlib.crc32", "zlib.adler32", "blocking.fail", "_hashlib.HASH.update", "blocking.Affine",
        *(f"blocking.Thing.{name}" for name in before), "later.package.module.work", "later.package.module.wrong",
    ]
)  # fmt: skip
assert "zlib.crc32" in report.replaced and "blocking.Thing.method" in report.in_place, report
assert dhagapatch.is_patched("zlib.crc32") and dhagapatch.is_patched("blocking.Thing.method")
assert early is blocking.nap and holders[0] is zlib.crc32 and holders[1].func is zlib.adler32
assert "later.package.module.work" in report.waiting, report.waiting
main = native_ident()

# others run; context variables and results come through
beats = []


def beat():
    while len(beats) < 1000:
        beats.append(1)
        time.sleep(0.01)


heart = threading.Thread(target=beat, daemon=True)
heart.start()
blocking.variable.set(7)
where, value = blocking.nap(0.3, real=_real.sleep)
assert where != main and value == 7 and len(beats) > 10, (where, value, len(beats))
assert zlib.crc32(b"abc") == 891568578 and hashlib.md5(b"x").hexdigest() == "9dd4e461268c8034f5c8564e155c67a6"
digest = hashlib.sha256()
count = len(beats)
digest.update(bytes(200_000_000))  # made by C code, of a C type
assert len(beats) > count + 2, "nobody ran"

# what it looks like
assert str(inspect.signature(blocking.nap)) == "(seconds: float = 0.3, *, real=None) -> str"
assert blocking.nap.__doc__ == "Block the thread." and blocking.nap.__name__ == "nap" and inspect.isfunction(blocking.nap)
assert inspect.getsource(blocking.nap).startswith("def nap") and isinstance(zlib.crc32, types.BuiltinFunctionType)
assert inspect.isbuiltin(zlib.crc32) and repr(zlib.crc32) == "<built-in function crc32>"
for one in (zlib.crc32, blocking.nap):
    assert pickle.loads(pickle.dumps(one)) is one and copy.copy(one) is one and copy.deepcopy(one) is one
assert pickle.loads(pickle.dumps(blocking.Thing.static))(1)[1] == 1 and blocking.Thing.static == blocking.Thing.static
thing = blocking.Thing()
where, self, value = thing.method(5)
assert where != main and self is thing and value == 5
where, self, value = blocking.Thing.method(thing, 6)
assert where != main and self is thing and value == 6
where, kind = thing.of_class()
assert where != main and kind is blocking.Thing
where, value = blocking.Thing.static(1)
assert where != main and value == 1
assert thing.inherited() != main and blocking.Base().inherited() == main
assert inspect.ismethod(thing.method) and thing.method.__self__ is thing
where, self, value = pickle.loads(pickle.dumps(thing.method))(1)
assert type(self) is blocking.Thing and value == 1


class Holder:
    crc = zlib.crc32


assert Holder().crc(b"abc") == 891568578

# exceptions
try:
    blocking.fail()
except LookupError as error:
    last = traceback.extract_tb(error.__traceback__)[-1]
    assert (last.name, last.line) == ("fail", 'raise LookupError("no such thing")'), last
    assert error.__context__ is None and error.__cause__ is None
else:
    raise AssertionError

# a limit ends the wait, and the call runs on
done = []
vars(blocking)["real_sleep"] = _real.sleep
began = time.monotonic()
try:
    with dhagapatch.Timeout(0.05):
        blocking.nap(0.3, real=lambda seconds: (_real.sleep(seconds), done.append(1)))
except TimeoutError:
    assert time.monotonic() - began < 0.25 and not done
else:
    raise AssertionError
time.sleep(0.6)
assert done == [1]
dhaga = dhagapatch.spawn(blocking.nap, 0.2, real=lambda seconds: (_real.sleep(seconds), done.append(2)))
time.sleep(0.05)
dhaga.kill()
time.sleep(0)
time.sleep(0)
assert dhaga.dead and done == [1]
time.sleep(0.4)
assert done == [1, 2]

# from a native thread, and on a worker, directly
told = []
ready = _real.allocate_lock()
ready.acquire()
_real.start_new_thread(lambda: (told.append((blocking.nap(0)[0], native_ident())), ready.release()), ())
while not ready.acquire(False):
    time.sleep(0.01)
assert told[0][0] == told[0][1], told
inner = []
blocking.nap(0, real=lambda _: inner.append((native_ident(), blocking.nap(0)[0])))
assert inner[0][0] == inner[0][1] != main

# a class: each of its objects has a native thread of its own
threads = own_native_threads()
one, two = blocking.Affine(), blocking.Affine()
assert len({one.made, two.made, main}) == 3
assert {one.work() for _ in range(20)} == {one.made} and two.work() == two.made and one.inherited() == one.made
with one as (self, where):
    assert self is one and where == one.made
assert own_native_threads() == threads + 2
workers = [threading.Thread(target=one.work) for _ in range(10)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
assert one.close() == one.made
del two
try:
    blocking.Affine(fails=True)
except ValueError:
    pass
else:
    raise AssertionError
for _ in range(200):
    if own_native_threads() == threads:
        break
    time.sleep(0.01)
assert own_native_threads() == threads, (own_native_threads(), threads)


class Derived(blocking.Affine):
    def work(self):
        return native_ident(), super().work()


outside, inside = Derived().work()
assert outside == main != inside

# a child has none of the threads, and makes its own
keeps = blocking.Affine()
pid = os.fork()
if not pid:
    assert own_native_threads() == 0
    assert keeps.more() != main and blocking.nap(0)[0] != main
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0

# modules that are imported later
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from later.package.module import work
assert work() != main and [one.category for one in caught] == [dhagapatch.PatchWarning], caught
assert "has no 'wrong'" in str(caught[0].message)
whole = str(dhagapatch.patch_all())
from dhagapatch.monkey.engine import engine

assert any(left.what == "later.package.module.wrong" for left in engine.report.left)
assert not any("later" in name for name in engine.report.waiting), engine.report.waiting

# and all of it is taken back
dhagapatch.unpatch_all()
assert type(zlib.crc32) is type(holders[0]) is types.BuiltinFunctionType and type(blocking.nap) is types.FunctionType
assert type(work) is types.FunctionType and holders[1].func is zlib.adler32
assert {name: vars(blocking.Thing).get(name) for name in before} == before and "inherited" not in vars(blocking.Affine)
assert vars(type(hashlib.md5()))["update"] is update and type(early) is types.FunctionType
assert not dhagapatch.is_patched("zlib.crc32")
