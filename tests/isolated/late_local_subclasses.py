"""Subclasses of a local with several bases or subclasses of their own, made before the patch: each dhaga has its data."""

import _thread
import gc
import threading
import weakref


class Mixin:
    default = "class"

    def __init__(self, *args, **kwargs):
        counts.append(self)
        self.args, self.kwargs, self.seen = args, kwargs, []

    def __getattr__(self, name):
        if name.startswith("made_up"):
            return name
        raise AttributeError(name)

    @property
    def checked(self):
        return self._checked

    @checked.setter
    def checked(self, value):
        self._checked = value + 1

    @checked.deleter
    def checked(self):
        del self._checked


class Two(Mixin, threading.local):
    pass


class Base(threading.local):
    pass


class Derived(Base):
    def __setattr__(self, name, value):
        super().__setattr__(name, value * 2)


class Slots(threading.local):
    __slots__ = ()


counts = []
held = (Two(1, 2, three=3), Derived())  # a tuple, which can't be changed
two, derived = held
two.name, two.checked, derived.number = "main", 1, 4
patched, ready, ended = (_thread.allocate_lock() for _ in range(3))
for lock in (patched, ready, ended):
    lock.acquire()
from_native = []


def native():
    two.name = "native"
    ready.release()
    patched.acquire()
    from_native.append((two.name, two.args, hasattr(derived, "number"), len(counts)))
    ended.release()


_thread.start_new_thread(native, ())
ready.acquire()

import dhagapatch

report = dhagapatch.patch_all()
assert [(left.module, left.name) for left in report.left] == [("__main__", "Slots")], report.left
assert {"__main__.Two", "__main__.Base"} <= set(report.in_place), report.in_place
assert held == (two, derived) and type(two) is Two and type(derived) is Derived
assert (two.name, two.checked, derived.number, two.default, two.made_up) == ("main", 2, 8, "class", "made_up")


def in_thread(function):
    failures = []

    def run():
        try:
            function()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def fails(function, *args):
    try:
        function(*args)
    except AttributeError as error:
        return str(error)
    raise AssertionError("no AttributeError")


def dhaga():
    del counts[:]
    assert vars(two) == {"args": (1, 2), "kwargs": {"three": 3}, "seen": []}, vars(two)
    assert len(counts) == 1 and counts[0] is two, "__init__ is called once for each thread"
    assert not hasattr(two, "name") and not hasattr(derived, "number") and not hasattr(two, "checked")
    two.name, two.default, two.checked, derived.number = "dhaga", "mine", 5, 1
    assert (two.name, two.default, two.checked, derived.number) == ("dhaga", "mine", 6, 2)
    vars(two)["checked"] = "hidden by the property, as natively"
    assert two.checked == 6 and vars(two).pop("checked")
    del two.default, two.checked, derived.number
    assert two.default == "class" and not hasattr(two, "_checked") and vars(derived) == {}
    assert fails(delattr, two, "nothing") == "'Two' object has no attribute 'nothing'"
    assert "__dict__" in fails(setattr, two, "__dict__", {}) and "__dict__" in fails(delattr, two, "__dict__")
    two.__class__ = type(two)


in_thread(dhaga)
in_thread(dhaga)  # nothing of the first one's is left
assert (two.name, two.checked, derived.number, two.default) == ("main", 2, 8, "class"), vars(two)
patched.release()
assert ended.acquire(timeout=5)
assert from_native == [("native", (1, 2), False, 1)], from_native  # the last dhaga's: __init__ is not called for it again


made = []


def makes():
    del counts[:]
    made.append(Two("late"))
    made[0].name = "maker"
    assert len(counts) == 1, "made in a dhaga: __init__ is called once"


in_thread(makes)
(late,) = made
assert late.args == ("late",) and not hasattr(late, "name") and len(counts) == 2
try:
    Base(1)
except TypeError as error:
    assert str(error) == "Initialization arguments are not supported"
else:
    raise AssertionError("Base takes no argument")


def cycle():
    ring = Two()
    ring.itself = ring
    rings.append(weakref.ref(ring))
    in_thread(lambda: setattr(ring, "itself", ring))


rings = []
cycle()
in_thread(cycle)
del counts[:]
gc.collect()
assert [ring() for ring in rings] == [None, None], "it refers to itself, and is not collected"


class Farewell:
    def __init__(self):
        self.itself, self.data = self, Base()
        in_thread(lambda: setattr(self.data, "name", "a dhaga's"))

    def __del__(self):
        found.append(getattr(self.data, "name", None))  # the first use by this thread


def in_a_cycle():
    Farewell()
    gc.collect()  # it clears weak references before it calls finalizers


found = []
in_a_cycle()
in_thread(in_a_cycle)
assert found == [None, None], f"in a finalizer: {found}"

gc.disable()
freed = [weakref.ref(Two()) for _ in range(100)]
for one in [Two() for _ in range(100)]:
    one.name = "used"
    freed.append(weakref.ref(one))
del one, counts[:]
assert not any(ref() for ref in freed), "freed by the collector only"
gc.enable()

dhagapatch.unpatch_all()
assert Two.__setattr__ is threading.local.__setattr__
assert Two.__new__ is threading.local.__new__ and Base.__getattribute__ is threading.local.__getattribute__
assert (two.name, two.checked, derived.number) == ("main", 2, 8)
two.name = "again"
dhagapatch.patch_all()
in_thread(dhaga)
assert two.name == "again"
