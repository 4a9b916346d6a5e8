# run: -m dhagapatch
"""Coverage and debuggers are turned on beside a hundred dhagas that wait: they are told of these, and these end as ever."""

import bdb
import io
import pdb
import sys
import threading
import warnings

import coverage

warnings.simplefilter("ignore", coverage.exceptions.CoverageWarning)
WAITERS = 100
HERE = (lambda: 0).__code__.co_filename
CORES = ["ctrace", "pytrace", *(["sysmon"] if sys.version_info >= (3, 12) else [])]
BACKENDS = [{"backend": "settrace"}, {"backend": "monitoring"}] if sys.version_info >= (3, 14) else [{}]


def fails(event):
    if not event.wait(0.2):
        raise TimeoutError


def wait(event, told):
    try:
        fails(event)
    except TimeoutError:
        told.append("late")
    threading.Event().wait(0.001)
    told.append("over")


def covered(core):
    measured = coverage.Coverage(data_file=None, concurrency="thread", omit=["*/dhagapatch/*"], config_file=False)
    measured.set_option("run:core", core)
    measured.start()

    def stop():
        measured.stop()
        lines = set(measured.get_data().lines(HERE) or ())
        code = wait.__code__
        [last] = [line for _, _, line in list(code.co_lines())[-3:-2]]
        assert last in lines, (core, last, lines)

    return stop


class Stepper(bdb.Bdb):
    def __init__(self, **backend):
        super().__init__(skip=["threading"], **backend)
        self.lines = 0

    def user_line(self, frame):
        self.lines += 1
        if self.lines < 4:
            self.set_next(frame)
        else:
            self.set_continue()


def stepped(backend):
    stepper = Stepper(**backend)
    stepper.set_break(HERE, fails.__code__.co_firstlineno + 1)  # or `set_continue` would turn it off
    stepper.set_trace()

    def stop():
        stepper.clear_all_breaks()
        stepper.set_continue()
        sys.settrace(None)
        assert stepper.lines > 0, backend

    return stop


def debugged(backend):
    written = io.StringIO()
    debugger = pdb.Pdb(stdin=io.StringIO("n\nn\nw\nc\n"), stdout=written, nosigint=True, readrc=False, **backend)
    debugger.set_trace()

    def stop():
        sys.settrace(None)
        assert written.getvalue().count("(Pdb)") == 4, written.getvalue()

    return stop


def beside_waiters(turn_on, how):
    event, told = threading.Event(), []
    threads = [threading.Thread(target=wait, args=(event, told)) for _ in range(WAITERS)]
    for thread in threads:
        thread.start()
    stop = turn_on(how)
    other = threading.Thread(target=wait, args=(event, told))
    other.start()
    for thread in [*threads, other]:
        thread.join()
    stop()
    assert told.count("late") == told.count("over") == WAITERS + 1, (turn_on, how, told)


for core in CORES:
    beside_waiters(covered, core)
for backend in BACKENDS:
    beside_waiters(stepped, backend)
    beside_waiters(debugged, backend)
