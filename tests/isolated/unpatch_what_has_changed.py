"""unpatch_all() puts real objects back where the patch's still are, and nowhere else: the program may have changed the place."""

import ast
import collections
import functools
import importlib
import socket
import threading
import time
import types


class Keeper:
    __slots__ = ("lock", "other")


class Sections(dict):
    """A dictionary with a `get` of its own."""

    def get(self, section, option):
        return None


class Closed:
    __slots__ = ("is_open", "lock")

    def __getattribute__(self, name):
        if not object.__getattribute__(self, "is_open"):
            raise RuntimeError("closed")
        return object.__getattribute__(self, name)


class Sealed:
    __slots__ = ("is_sealed", "lock")

    def __setattr__(self, name, value):
        if getattr(self, "is_sealed", False):
            raise RuntimeError("sealed")
        object.__setattr__(self, name, value)


first, second, third = threading.Lock(), threading.Lock(), threading.Lock()
stays = [first, second, third]
shifted = [first, "b", second]
shrunk = collections.deque([first, second, third])
known = {"kept": first, "dropped": second, "changed": third, "moved": time.sleep}
group, keeper, gone = {first, second}, Keeper(), Keeper()
sections, closed = Sections(kept=first, sleep=time.sleep), Closed()
closed.is_open, closed.lock = True, first
sealed = [Sealed() for _ in range(3)]
for one in sealed:
    one.lock = second
keeper.lock = keeper.other = gone.lock = first
here = types.SimpleNamespace(sleep=time.sleep, pause=time.sleep)
wait = functools.partial(time.sleep, 0)


def pause(sleep=time.sleep):
    sleep(0)


def pause_too(sleep=time.sleep):
    sleep(0)


import dhagapatch

parsed: list[int] = []
parse = ast.parse


def counting(source, *args, **kwargs):
    parsed.append(hash(source))
    return parse(source, *args, **kwargs)


report = dhagapatch.patch_all()
with socket.socket() as one:
    one.settimeout(1)
del one
ast.parse = counting
as_dict = report.as_dict()
text = str(report)
ast.parse = parse
assert parsed and len(parsed) <= 2 * len(set(parsed)), "a file is read once for a report"
found = [item for item in as_dict["rebound"] if item["line"] and item["holder"].startswith("module ")]
for item in found:
    assert item["name"] in open(item["file"]).read().splitlines()[item["line"] - 1], item  # noqa: SIM115
assert found

green = stays[0]
assert green is not first or type(first) is type(green)
shifted.insert(0, "a")
while shrunk:
    shrunk.pop()
del known["dropped"]
known["changed"] = "something else"
known["elsewhere"] = known.pop("moved")
group.discard(second)
keeper.other = None
del gone.lock
here.pause = len
pause_too.__defaults__ = (len,)
closed.is_open = False
for one in sealed:
    one.is_sealed = True
try:
    dhagapatch.unpatch_all()
except RuntimeError as error:  # what can't be put back is told, when all the rest has been
    assert str(error) == "sealed"
else:
    raise AssertionError("who is sealed was changed")
assert not dhagapatch.is_patched("time.sleep")

real = type(threading.Lock())
assert [type(lock) for lock in stays] == [real] * 3, stays
assert shifted[:1] == ["a"] and shifted[2] == "b" and {type(shifted[1]), type(shifted[3])} == {real}, shifted
assert not shrunk
timeouts = importlib.import_module("dhagapatch.green.timeouts")
assert not timeouts.HIDDEN, "a socket that is made now may have the identity of the one that is gone"
assert type(sections["kept"]) is real and sections["sleep"] is time.sleep
closed.is_open = True
assert type(closed.lock) is real
assert known.keys() == {"kept", "changed", "elsewhere"} and known["changed"] == "something else", known
assert type(known["kept"]) is real and known["elsewhere"] is time.sleep
assert len(group) == 1 and {type(lock) for lock in group} == {real}, group
assert type(keeper.lock) is real and keeper.other is None and not hasattr(gone, "lock")
assert here.sleep is time.sleep and here.pause is len
assert pause.__defaults__ == (time.sleep,) and pause_too.__defaults__ == (len,) and wait.func is time.sleep
