"""Plan, apply, journal, undo: the one place that sets an attribute of the standard library."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from types import BuiltinFunctionType, FunctionType, MethodDescriptorType
from typing import Any

from dhagapatch import _real
from dhagapatch._config import SETTINGS, nearest
from dhagapatch._cpython import forget_at_end, gil_is_enabled, monitoring_debugger
from dhagapatch._errors import DhagapatchError, PatchConflictError, PatchError, PatchWarning
from dhagapatch._real import BUILTINS as __builtins__
from dhagapatch.core import forget_native_threads
from dhagapatch.core.entry import entry_function, entry_method
from dhagapatch.core.fork import after_fork_in_child, begin_fork, end_fork
from dhagapatch.core.hub import all_hubs, on_new_hub
from dhagapatch.core.wakeup import discard_prepared, prepare
from dhagapatch.monkey.adopt import adopt_objects
from dhagapatch.monkey.adoptions import Adoption, adoptions_of
from dhagapatch.monkey.frames import Frames
from dhagapatch.monkey.heap import instances
from dhagapatch.monkey.others import beneath, owner_of, who
from dhagapatch.monkey.rebind import Holder, Undo, is_ours, name_of, rebind
from dhagapatch.monkey.report import Adopted, Left, PatchReport, Rebound, Wrapped
from dhagapatch.monkey.subclasses import follow
from dhagapatch.monkey.table import GROUPS, OFFLOAD, OFFLOAD_GROUPS, PACKAGES, SET, TABLE, TELL, WRAP, Row
from dhagapatch.monkey.unseen import unseen

__all__ = ["Engine", "engine"]

_MISSING = object()
_ROWS = TABLE + PACKAGES
_BUILT_IN = frozenset(sys.builtin_module_names)


class Engine:
    """What is patched in this process, and how to take it back."""

    def __init__(self) -> None:
        self.groups: set[str] = set()
        self.report = PatchReport()
        self.looking: dict[str, Any] = {}  # what of `inspect` is on
        self.originals: dict[tuple[str, str], Any] = {}
        # the module, or the class, that had it done; what C code was told may be moved by name besides
        self._applied: dict[tuple[str, str, bool], Any] = {}
        self._undo: list[Callable[[], object]] = []
        self._in_classes: list[Undo] = []  # of them
        self._pairs: list[tuple[Any, Any]] = []  # (real, green) of what was replaced by name
        self._adoptions: list[Adoption] = []
        self._sought: set[int] = set()  # the ids of those that somebody else holds than modules
        self._hooked = False
        self.timeslice: float | None = None  # nobody has said
        self._sliced = True  # as `timeslice` says; not after the patch was taken back
        self.offloaded: list[str] = []  # names that the user gave for native threads
        self.watched: set[str] = set()  # further modules whose import is of interest
        self._offload_rows: list[Row] = []
        self._offload_later: list[str] = []

    # planning

    def check(self, groups: tuple[str, ...], disabled: frozenset[str] = frozenset()) -> None:
        """An error that says what to do, if these groups can't be patched here and now."""
        for group in groups:
            if group not in GROUPS:
                raise PatchError(f"no group {group!r}; the groups are {', '.join(GROUPS)}")
        names = {f"{row.module}.{row.name}" for row in _ROWS} | set(GROUPS)
        for name in sorted(disabled - names):
            meant = nearest(name, names)
            advice = f"did you mean {meant}?" if meant is not None else f"the groups are {', '.join(GROUPS)}"
            where = "DHAGAPATCH_DISABLE: " if name in SETTINGS.disable else ""
            raise PatchError(f"{where}no group or name {name!r} to leave as it is; {advice}")
        if not gil_is_enabled():
            raise DhagapatchError(
                "this interpreter runs without the GIL, on which the runtime's locks rely: "
                "start it with PYTHON_GIL=1, or -X gil=1"
            )
        other = _real.other_patcher()
        if other is not None and not self.groups:
            raise PatchConflictError(
                f"{other} has patched the standard library already; two patchers can't share it. "
                f"Take out the call of {other}'s monkey patching, or don't call dhagapatch"
            )

    def rows(self, groups: frozenset[str], off: frozenset[str]) -> list[Row]:
        """The rows of these groups for this Python, without those switched off."""
        version = sys.version_info[:2]
        return [
            row
            for row in _ROWS
            if row.group in groups and row.since <= version < row.until and f"{row.module}.{row.name}" not in off
        ]

    # applying

    def patch(self, groups: tuple[str, ...], off: frozenset[str] = frozenset()) -> PatchReport:
        """Patch `groups`, leaving out the names in `off`; what this call did."""
        disabled = frozenset(SETTINGS.disable) | off
        self.check(groups, disabled)
        wanted = frozenset(groups) - disabled
        new = wanted - self.groups
        report = PatchReport(off=sorted(disabled & ({f"{row.module}.{row.name}" for row in _ROWS} | set(groups))))
        if not new:
            report.waiting, report.children = self.report.waiting, self.report.children
            return report
        self._install_hooks()
        if not all_hubs():
            prepare()
        pairs: list[tuple[Any, Any]] = []
        if "children" in new:
            self.report.children = importlib.import_module("dhagapatch.green.startup").CHILDREN
        report.children = self.report.children
        left_over = self.rows(new, disabled)
        # HAZARD: the green modules import modules of the table too
        while here := [row for row in left_over if row.module in sys.modules or (row.module in _BUILT_IN and row.action != TELL)]:
            left_over = [row for row in left_over if row not in here]
            for row in here:
                self._apply(row, report, pairs)
        self._rebind(pairs, report, Frames())
        pairs.clear()
        adopted = adopt_objects(new, report)
        self._adoptions += adoptions_of(adopted)
        self._undo += [holder.undo for holder in reversed(adopted.holders) if holder.undo is not None]
        known = [self.originals, *(undo.args for undo in self._undo if isinstance(undo, Undo))]
        report.left += unseen(adopted, self._pairs, self._sought, known)
        self._sought.clear()
        self.groups |= new
        _hide_from_pytest()
        self._disabled = disabled
        for module in {row.module for row in left_over} & sys.modules.keys():  # imported by the patching itself
            self.patch_module(module)
        if "signal" in new:
            importlib.import_module("dhagapatch.green.signal").install()
        self._adopt_sockets(new, report)
        report.waiting = sorted({row.module for row in self.rows(wanted, disabled)} - set(sys.modules))
        self._tell_children()
        self.report.merge(report)
        return report

    def _apply(self, row: Row, report: PatchReport, pairs: list[tuple[Any, Any]]) -> None:
        key = (row.module, row.name)
        importlib.import_module(row.module)
        owner, name = owner_of(row), row.name.rpartition(".")[2]
        applied = (*key, row.action == OFFLOAD)
        if self._applied.get(applied) is owner:
            return  # and if it is another one, the module was imported afresh
        before = vars(owner).get(name, _MISSING)  # a look may put it there
        real = getattr(owner, name, _MISSING)
        if real is _MISSING:
            return  # not on this platform
        source_module, _, attribute = row.source.partition(":")
        source = importlib.import_module(f"dhagapatch.green.{source_module}")
        green = getattr(source, attribute)
        if row.action == OFFLOAD:
            self._apply_offload(row, owner, name, green, report, pairs)
            return
        if row.action == TELL:
            undo = green(real)
            if undo is not None:
                self._undo.append(undo)
                self._applied[applied] = owner
                report.in_place.append(f"{row.module}.{row.name}")
            return
        if row.action == WRAP:
            green = green(real)
            if green is real:
                return
        first = beneath(row, owner) if self.real_of(real) is None else None
        wrapper, real = real, real if first is None else first
        if isinstance(green, FunctionType):
            if row.action == SET and isinstance(real, MethodDescriptorType):
                green = entry_method(green, real, row.cost, row.quick)
            elif row.action == SET:
                _dress(green, real)
            elif isinstance(real, BuiltinFunctionType):
                green = self._green_for(real, green, row)
        self._applied[applied] = owner
        self.originals.setdefault(key, real)
        if first is not None:
            report.wrapped.append(Wrapped(f"{row.module}.{row.name}", who(wrapper)))
            if first is not wrapper:
                pairs.append((real, green))
            return
        self._set(owner, name, green, before)
        public = row.name if row.action == SET else f"{row.module}.{row.name}"
        if row.action == SET:
            report.in_place.append(f"{row.module}.{row.name}")
            if isinstance(real, (FunctionType, MethodDescriptorType)):
                pairs.append((real, green))  # whoever kept the method of the class, and calls it or sets it again
        else:
            report.replaced.append(public)
            pairs.append((real, green))

    def _apply_offload(
        self, row: Row, owner: Any, name: str, green: Callable[..., Any], report: PatchReport, pairs: list[tuple[Any, Any]]
    ) -> None:
        offloading = importlib.import_module("dhagapatch.monkey.offloading")
        real, before = offloading.raw_attribute(owner, name), vars(owner).get(name, _MISSING)
        wrapped = green(real)
        if isinstance(owner, type) and offloading.is_fixed(owner):
            if not offloading.set_method(owner, name, wrapped):
                raise PatchError(f"offload={row.module}.{row.name!r}: this interpreter doesn't let it be exchanged; leave it out")
            self._undo.append(Undo(offloading.set_method, owner, name, real))
        else:
            self._set(owner, name, wrapped, before)
        self._applied[row.module, row.name, True] = owner
        self.originals.setdefault((row.module, row.name), real)
        (report.in_place if isinstance(owner, type) else report.replaced).append(f"{row.module}.{row.name}")
        # of a class's base it is left alone
        if not isinstance(owner, type) or (before is real and isinstance(real, (FunctionType, MethodDescriptorType))):
            pairs.append((real, wrapped))

    def _green_for(self, real: Any, function: FunctionType, row: Row) -> Any:
        for known, green in self._pairs:
            if known is real:
                return green
        return entry_function(function, real, row.cost, row.quick)

    def _set(self, owner: Any, name: str, value: Any, before: Any) -> None:
        setattr(owner, name, value)
        undo = Undo(delattr, owner, name) if before is _MISSING else Undo(setattr, owner, name, before)
        self._undo.append(undo)
        if isinstance(owner, type):
            self._in_classes.append(undo)

    def _rebind(self, pairs: list[tuple[Any, Any]], report: PatchReport, frames: Frames | None = None) -> None:
        unique: dict[int, tuple[Any, Any]] = {id(real): (real, green) for real, green in pairs}
        if not unique:
            return
        todo = list(unique.values())
        greens = [green for _, green in todo]  # what is wrapped is held by what wraps it
        functions = [green for green in greens if isinstance(green, FunctionType)]
        own = [part for green in functions for part in (vars(green), *(green.__closure__ or ()))]
        private = [unique, self._pairs, self.originals, *self._pairs, *pairs, pairs, self._undo, *greens, greens, *own, own]
        holders = frames.rebind(todo) if frames is not None else []  # first: a tuple may be held by a variable alone
        holders += rebind(todo, private=private, sought=self._sought)
        self._pairs += todo
        self._note(holders, report)
        for real, green in todo:
            if isinstance(real, type):
                follow(real, green, name_of(real), self._undo, report, self._adoptions)

    def _note(self, holders: list[Holder], report: PatchReport) -> None:
        """What became of the holders of what is replaced by name."""
        names = {id(real): name_of(real) for real, _ in self._pairs} if holders else {}
        for holder in holders:
            what = names[holder.target]
            if holder.undo is not None:
                self._undo.append(holder.undo)
            if holder.done:
                report.rebound.append(Rebound(what, holder.holder, holder.name, holder.file, holder.line))
            else:
                why = f"held by {holder.holder}, which can't be changed; import it after the patch"
                report.left.append(Left(what, holder.module, holder.name, holder.file, holder.line, why))

    def _adopt_sockets(self, groups: frozenset[str], report: PatchReport) -> None:
        if "socket" in groups:
            green = importlib.import_module("dhagapatch.green.timeouts")
            stdlib = sys.modules["socket"]
            for thing in instances(stdlib.socket):
                if _real.sock_fileno(thing) >= 0 and _real.sock_gettimeout(thing):
                    report.adopted.append(Adopted("socket with a timeout", f"{_real.sock_gettimeout(thing)} s", 1))
                    green.adopt_timeout(thing)
        if "ssl" in groups and "ssl" in sys.modules:
            green_ssl = importlib.import_module("dhagapatch.green.ssl")
            for thing in instances(sys.modules["ssl"].SSLSocket):
                native = thing._sslobj
                if native is not None and not isinstance(native, green_ssl.Connection):
                    thing._sslobj = green_ssl.adopt(native, thing)
                    report.adopted.append(Adopted("TLS socket", repr(thing.version()), 1))

    def patch_module(self, module: str) -> None:
        """A module has been imported: apply the rows that waited for it."""
        if not self.groups:
            return
        pairs: list[tuple[Any, Any]] = []
        report = PatchReport()
        self._find_offloaded(module, report)
        for row in (*self.rows(frozenset(self.groups), self._disabled), *self._offload_rows):
            if row.module == module:
                self._apply(row, report, pairs)
        self._rebind(pairs, report)
        _hide_from_pytest()
        self.report.merge(report)
        self.report.waiting = sorted(set(self.report.waiting) - {module})

    def offload_groups(self, names: Iterable[str]) -> tuple[set[str], tuple[str, ...]]:
        """The groups among the names for native threads, and the others; PatchError for what is no name."""
        offloading = importlib.import_module("dhagapatch.monkey.offloading")
        groups, rest = offloading.groups_of(names)
        for name in rest:
            offloading.find(name)  # before anything is done
        return groups, tuple(rest)

    def offload(self, names: Iterable[str]) -> PatchReport:
        """Have the callables with these names run on native threads; PatchError, and nothing done, if one can't."""
        report = PatchReport()
        new = [name for name in dict.fromkeys(names) if name not in self.offloaded]
        if not new:
            return report
        offloading = importlib.import_module("dhagapatch.monkey.offloading")
        found = {name: offloading.find(name) for name in new}
        pairs: list[tuple[Any, Any]] = []
        for name, rows in found.items():
            self.offloaded.append(name)
            self.watched.update(offloading.prefixes(name))
            if isinstance(rows, offloading.Later):
                self._offload_later.append(name)
                continue
            self._offload_rows += rows
            for row in rows:
                self._apply(row, report, pairs)
        self._rebind(pairs, report, Frames())
        report.waiting = sorted({*self.report.waiting, *self._offload_later})
        self.report.merge(report)
        self._tell_children()
        return report

    def _find_offloaded(self, module: str, report: PatchReport) -> None:
        """Which names that waited are to be found now that `module` is imported."""
        for name in [one for one in self._offload_later if one.startswith(f"{module}.")]:
            offloading = importlib.import_module("dhagapatch.monkey.offloading")
            try:
                rows = offloading.find(name)
                if isinstance(rows, offloading.Later):
                    continue
                self._offload_rows += rows
            except PatchError as error:  # the import is somebody else's, and goes on
                report.left.append(Left(name, module, name.rpartition(".")[2], None, None, str(error)))
                warnings.warn(str(error), PatchWarning, stacklevel=2)
            self._offload_later.remove(name)
            self.report.waiting = sorted({*self.report.waiting} - {name})

    def slice_time(self, seconds: float) -> None:
        """Give dhagas time slices of so many seconds; 0: none."""
        before, self.timeslice = self.timeslice or 0.0, seconds
        if seconds != before or not self._sliced:
            self._sliced = True
            slices = importlib.import_module("dhagapatch.green.timeslice")
            slices.start(seconds) if seconds else slices.stop()
            self._tell_children()

    def _tell_children(self) -> None:
        """What those that start from now on do."""
        if "children" in self.groups:
            names = [*(group for group in OFFLOAD_GROUPS if group in self.groups), *self.offloaded]
            startup = importlib.import_module("dhagapatch.green.startup")
            startup.install(self._disabled, self.timeslice or 0.0, names, self.looking)

    def look_at(self, must: bool = True, **asked: Any) -> None:
        """Turn the parts of `inspect` on and off, as `patch_all` says; None: as it is, at first as the settings say."""
        set_up = SETTINGS._replace(dump_signal=SETTINGS.dump_signal or 0)._asdict()
        now = {name: self.looking.get(name, set_up[name]) for name in asked}
        wanted = {name: now[name] if value is None else value for name, value in asked.items()}
        if any(wanted.values()) or any(self.looking.values()):
            control = importlib.import_module("dhagapatch.inspect.control")
            wanted = control.turn(wanted, {name for name, value in asked.items() if must and value is not None})
        self.looking = wanted
        self._tell_children()

    def _install_hooks(self) -> None:
        """What can't be taken out again, and does nothing while nothing is patched; once in a process."""
        if self._hooked:
            return
        self._hooked = True
        connections = importlib.import_module("dhagapatch.green.connections")
        imports = importlib.import_module("dhagapatch.green.imp")
        # HAZARD: an import in another dhaga must not be cut in two by the fork
        os.register_at_fork(before=begin_fork, after_in_parent=end_fork)
        os.register_at_fork(before=imports.acquire_lock, after_in_parent=imports.release_lock, after_in_child=self._after_fork)
        os.register_at_fork(after_in_child=imports.after_fork_in_child)  # when the identities are those of the child
        os.register_at_fork(after_in_child=importlib.import_module("dhagapatch.green.signal").mask_of_child)
        os.register_at_fork(after_in_parent=connections.note_sharing, after_in_child=connections.note_sharing)
        signals = importlib.import_module("dhagapatch.green.signal")
        on_new_hub(lambda hub: signals.install(hub) if "signal" in self.groups else None)

    def _after_fork(self) -> None:
        forget_native_threads()
        if all_hubs() or self.groups:
            after_fork_in_child(keep="os" in self.groups)
        end_fork()

    # taking back

    def unpatch(self) -> None:
        """Take back every change, the last one first."""
        if not self.groups:
            return
        discard_prepared()
        self.slice_time(0)
        self.timeslice = None
        self.look_at(dump_signal=0, stall=0.0, track_locks=False, inspect="")
        self.looking = {}
        if "children" in self.groups:
            importlib.import_module("dhagapatch.green.startup").uninstall()
        self.groups.clear()
        importlib.import_module("dhagapatch.green.signal").uninstall()
        failure: Exception | None = None
        while self._undo:
            try:
                self._undo.pop()()
            except Exception as error:  # a holder that can't be changed any more: the others are put back all the same
                failure = failure or error
        # whoever came after the patch and took a green object then; of several reals the first stands for them
        first = {id(green): (green, real) for real, green in reversed(self._pairs)}
        pairs = list(first.values())
        for adoption in self._adoptions:
            adoption.give_back()
            pairs.append((adoption.green, adoption.real))
        rebind(pairs, private=[self._pairs, *self._pairs, *pairs, pairs, first])
        Frames().rebind(pairs)
        if "socket" in sys.modules:
            green = importlib.import_module("dhagapatch.green.timeouts")
            stdlib = sys.modules["socket"]
            for thing in instances(stdlib.socket):
                green.restore_timeout(thing)
            green.drop_dead()  # HAZARD: a socket that is made while nothing is patched may have the identity of one that is gone
        for names in (self.offloaded, self.watched, self._offload_rows, self._offload_later, self._in_classes):
            names.clear()
        self._applied.clear()
        self._pairs.clear()
        self._adoptions.clear()
        self.originals.clear()
        self.report = PatchReport()
        self._leave_running()
        if failure is not None:
            raise failure

    def forget(self) -> None:
        """Give classes their own methods again, and let go of everything: nothing will be taken back any more."""
        while self._in_classes:
            try:
                self._in_classes.pop()()
            except Exception:  # the program has changed it since
                pass
        if monitoring_debugger() is not None and self.real_of(vars(sys).get("unraisablehook")) is not None:
            sys.unraisablehook = _real.unraisablehook  # HAZARD: a Python function's frame would be told to its cleared module
        for things in (self._undo, self._pairs, self._offload_rows, self._adoptions):
            things.clear()
        self._applied.clear()
        self.originals.clear()
        self.report = PatchReport()

    def _leave_running(self) -> None:
        """Nothing is patched any more; the dhagas that are there run on."""
        idents = [dhaga.ident for hub in list(all_hubs()) for dhaga in list(hub.dhagas)]
        for ident in idents:
            forget_at_end(ident)
        if idents:
            self._sliced = False
            importlib.import_module("dhagapatch.green.timeslice").slice_the_rest()

    # asking

    def is_patched(self, name: str) -> bool:
        """Whether a group ("socket"), or a name ("time.sleep", "socket.socket.recv"), is patched now."""
        if name in GROUPS:
            return name in self.groups
        module, _, rest = name.partition(".")
        if any(f"{row_module}.{row_name}" == name for row_module, row_name, _ in self._applied):
            return True
        thing: Any = sys.modules.get(module)
        for part in rest.split("."):
            thing = getattr(thing, part, None)
        return thing is not None and any(thing is green for _, green in self._pairs)

    def original(self, module: str, name: str) -> Any:
        """The real object behind a patched name; the present one if it is not patched."""
        found = self.originals.get((module, name), _MISSING)
        if found is not _MISSING:
            return found
        thing: Any = importlib.import_module(module)
        for part in name.split("."):
            thing = getattr(thing, part)
        real = self.real_of(thing)
        return thing if real is None else real

    def real_of(self, green: Any) -> Any:
        """What `green` was put in the place of; None for another thing."""
        return next((real for real, one in self._pairs if one is green), None)


def _hide_from_pytest() -> None:
    for name in filter(is_ours, list(sys.modules)):
        vars(sys.modules[name])["__tracebackhide__"] = not SETTINGS.frames


def _dress(green: FunctionType, real: Any) -> None:
    """Let a method that is set on a class look like the one that it stands for."""
    for attribute in ("__name__", "__qualname__", "__doc__", "__module__"):
        value = getattr(real, attribute, None)
        if isinstance(value, str):
            setattr(green, attribute, value)


engine = Engine()
