"""`subprocess`, whole."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from subprocess import DEVNULL, PIPE, STDOUT, Popen
from typing import Any

BIG = 1 << 20
SLEEPER = ["/bin/sleep", "30"]
CAT = ["/bin/cat"]


def python(source: str) -> list[str]:
    return [sys.executable, "-S", "-c", source]


def scrubbed(error: BaseException) -> str:
    """A timeout's text has the seconds that were left, to the microsecond."""
    return " ".join([type(error).__name__, *(repr(getattr(error, name, None)) for name in ("cmd", "output", "stderr"))])


def case_run(t: Any) -> None:
    t.outcome("echo", subprocess.run, ["echo", "hello"], capture_output=True, text=True)
    t.outcome("shell", subprocess.run, "echo out; echo err >&2; exit 3", shell=True, capture_output=True)
    t.outcome("input", subprocess.run, CAT, input=b"through cat", stdout=PIPE)
    t.outcome("text input", subprocess.run, CAT, input="grüße\n", stdout=PIPE, encoding="utf-8")
    t.outcome("check", subprocess.run, ["false"], check=True)
    t.outcome("missing", subprocess.run, ["/nonexistent/program"])
    t.outcome("not executable", subprocess.run, ["/etc/passwd"])
    t.outcome("bad cwd", subprocess.run, ["true"], cwd="/nonexistent")
    t.outcome("no arguments", subprocess.run, [])
    t.outcome("both", subprocess.run, CAT, input=b"", stdin=PIPE)
    t.outcome("merged", subprocess.run, "echo 1; echo 2 >&2", shell=True, stdout=PIPE, stderr=STDOUT)
    t.outcome("devnull", subprocess.run, "cat; echo lost", shell=True, stdin=DEVNULL, stdout=DEVNULL)
    t.outcome("environment", subprocess.run, ["/bin/sh", "-c", "echo $A"], env={"A": "b"}, stdout=PIPE)
    t.outcome("killed", subprocess.run, "kill -9 $$", shell=True)
    t.outcome("null byte", subprocess.run, ["echo", "a\0b"])


def case_run_timeout(t: Any) -> None:
    for kwargs in ({}, {"capture_output": True}, {"stdout": PIPE, "text": True}):
        begin = time.monotonic()
        try:
            subprocess.run("echo begun; exec sleep 30", shell=True, timeout=0.2, **kwargs)  # type: ignore[call-overload]
        except subprocess.TimeoutExpired as error:
            t.note(scrubbed(error) if kwargs else type(error).__name__)
        t.note(time.monotonic() - begin < 5)


def case_call_and_check(t: Any) -> None:
    t.outcome("call", subprocess.call, ["sh", "-c", "exit 4"])
    t.outcome("check_call", subprocess.check_call, ["true"])
    t.outcome("check_call", subprocess.check_call, ["sh", "-c", "exit 4"])
    t.outcome("check_output", subprocess.check_output, ["echo", "x"])
    t.outcome("check_output", subprocess.check_output, ["echo", "x"], text=True)
    t.outcome("check_output", subprocess.check_output, "echo x; exit 5", shell=True)
    t.outcome("with input", subprocess.check_output, CAT, input=b"in")
    t.outcome("stdout is not allowed", subprocess.check_output, CAT, stdout=PIPE)
    t.outcome("getoutput", subprocess.getoutput, "echo 1; echo 2 >&2; exit 1")
    t.outcome("getstatusoutput", subprocess.getstatusoutput, "echo 1; exit 3")
    try:
        subprocess.call(SLEEPER, timeout=0.05)
    except subprocess.TimeoutExpired as error:
        t.note(type(error).__name__, error.cmd, error.timeout)
    try:
        subprocess.check_output("echo x; echo y >&2; exit 5", shell=True, stderr=STDOUT)
    except subprocess.CalledProcessError as error:
        t.note(error.returncode, error.cmd, error.output, error.stdout, error.stderr, str(error), repr(error))


def case_every_pipe_combination(t: Any) -> None:
    source = "import sys; data = sys.stdin.read(); sys.stdout.write(data.upper()); sys.stderr.write('err')"
    for stdin in (None, PIPE):
        for stdout in (None, PIPE):
            for stderr in (None, PIPE, STDOUT):
                if stdout is None and stderr is STDOUT:
                    continue
                process = Popen(
                    python(source), stdin=stdin or DEVNULL, stdout=stdout or DEVNULL,
                    stderr=DEVNULL if stderr is None else stderr,
                )  # fmt: skip
                out, err = process.communicate(b"data" if stdin else None)
                t.note(stdin, stdout, stderr, sorted(out) if stderr == STDOUT else out, err, process.returncode)


def case_big_data(t: Any) -> None:
    data = os.urandom(BIG)
    process = Popen(CAT, stdin=PIPE, stdout=PIPE)
    out, err = process.communicate(data)
    t.note(out == data, err, process.returncode)
    source = f"import sys; sys.stdout.write('o' * {BIG}); sys.stderr.write('e' * {BIG})"
    done = subprocess.run(python(source), capture_output=True)
    t.note(len(done.stdout), len(done.stderr), done.returncode)
    process = Popen(CAT, stdin=PIPE, stdout=PIPE)
    got: list[bytes] = []
    assert process.stdin is not None and process.stdout is not None
    thread = threading.Thread(target=lambda: got.append(process.stdout.read()))  # type: ignore[union-attr]
    thread.start()
    t.note(process.stdin.write(data))
    process.stdin.close()
    thread.join()
    process.stdout.close()
    t.note(got[0] == data, process.wait())


def case_communicate_timeout(t: Any) -> None:
    process = Popen(["sh", "-c", "cat; sleep 0.3; echo end"], stdin=PIPE, stdout=PIPE)
    try:
        process.communicate(b"x", timeout=0.05)
    except subprocess.TimeoutExpired as error:
        t.note(str(error), error.timeout)
    t.outcome("other input", process.communicate, b"y")
    t.outcome("again", process.communicate, timeout=20)
    t.note(process.returncode)
    process = Popen(SLEEPER, stdout=PIPE)
    try:
        process.communicate(timeout=0.05)
    except subprocess.TimeoutExpired as error:
        t.note(str(error), error.output)
    process.kill()
    t.outcome("after the kill", process.communicate)
    t.note(process.returncode)


def case_wait_poll_kill(t: Any) -> None:
    process = Popen(SLEEPER)
    t.note(process.poll(), process.returncode)
    t.outcome("wait", process.wait, timeout=0.02)
    t.outcome("wait 0", process.wait, 0)
    t.outcome("negative", process.wait, -1)
    process.terminate()
    t.note(process.wait(), process.poll(), process.wait(timeout=3), process.returncode)
    t.outcome("kill after the end", process.kill)
    for end in (signal.SIGKILL, signal.SIGINT, signal.SIGUSR1):
        process = Popen(SLEEPER)
        process.send_signal(end)
        t.note(process.wait(timeout=10))
    process = Popen(["sh", "-c", "exit 3"])
    while process.poll() is None:
        time.sleep(0.001)
    t.note(process.poll(), process.wait())


def case_waited_for_by_threads(t: Any) -> None:
    process = Popen(CAT, stdin=PIPE)
    codes: list[Any] = []
    threads = [threading.Thread(target=lambda: codes.append(process.wait())) for _ in range(4)]
    threads += [threading.Thread(target=lambda: codes.append(process.wait(timeout=10))) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert process.stdin is not None
    process.stdin.close()
    for thread in threads:
        thread.join()
    t.note(codes)


def case_killed_while_waited_for(t: Any) -> None:
    process = Popen(SLEEPER, stdout=PIPE)
    threading.Timer(0.03, process.kill).start()
    t.note(process.communicate(), process.returncode)
    process = Popen(SLEEPER)
    threading.Timer(0.03, process.terminate).start()
    t.note(process.wait())


def case_many_in_threads(t: Any) -> None:
    results: dict[int, Any] = {}

    def run(n: int) -> None:
        done = subprocess.run(["sh", "-c", f"read line; echo $line; exit {n}"], input=b"line %d\n" % n, capture_output=True)
        results[n] = (done.returncode, done.stdout)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    t.note(sorted(results.items()))


def case_dialogue(t: Any) -> None:
    """Line by line with a child, in text mode."""
    source = "import sys\nfor line in sys.stdin:\n    print(line.strip()[::-1], flush=True)"
    with Popen(python(source), stdin=PIPE, stdout=PIPE, text=True, bufsize=1) as process:
        assert process.stdin is not None and process.stdout is not None
        for word in ("first", "second", "third"):
            print(word, file=process.stdin)
            t.note(process.stdout.readline())
        process.stdin.close()
        t.note(process.stdout.read(), list(process.stdout))
    t.note(process.returncode)
    for bufsize in (-1, 0, 1, 100):
        with contextlib.ExitStack() as stack:
            stack.enter_context(__import__("warnings").catch_warnings(record=True))
            process = stack.enter_context(Popen(CAT, stdin=PIPE, stdout=PIPE, bufsize=bufsize))
            assert process.stdin is not None and process.stdout is not None
            t.note(bufsize, type(process.stdin).__name__, type(process.stdout).__name__, type(process.stdout).__module__)
            process.stdin.write(b"line 1\nline 2\n")
            process.stdin.close()
            t.note(process.stdout.readlines())


def case_text_modes(t: Any) -> None:
    for kwargs in ({"text": True}, {"universal_newlines": True}, {"encoding": "latin-1"}, {"errors": "replace"}):
        process = Popen("printf 'a\\r\\nb\\344\\n'", shell=True, stdout=PIPE, **{"errors": "replace", **kwargs})  # type: ignore[call-overload]
        assert process.stdout is not None
        t.note(type(process.stdout) is io.TextIOWrapper, process.stdout.encoding, process.stdout.errors, process.communicate())
    t.outcome("text and not", Popen, CAT, text=False, universal_newlines=True)
    process = Popen("printf '\\377'", shell=True, stdout=PIPE, encoding="utf-8")
    t.outcome("bad bytes", process.communicate)
    process.wait()


def case_reading_threads(t: Any) -> None:
    """The old recipe: a thread a stream, and a queue."""
    source = "import sys\nfor n in range(50):\n    print('out', n)\n    print('err', n, file=sys.stderr)"
    process = Popen(python(source), stdout=PIPE, stderr=PIPE, text=True)
    lines: dict[str, list[str]] = {"out": [], "err": []}

    def read(name: str, stream: Any) -> None:
        for line in stream:
            lines[name].append(line)
        stream.close()

    threads = [threading.Thread(target=read, args=args) for args in (("out", process.stdout), ("err", process.stderr))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    t.note(process.wait(), lines["out"] == [f"out {n}\n" for n in range(50)], lines["err"][-1], len(lines["err"]))


def case_broken_pipe(t: Any) -> None:
    process = Popen(["true"], stdin=PIPE)
    process.wait()
    assert process.stdin is not None
    t.outcome("write", process.stdin.write, b"x")
    t.outcome("flush", process.stdin.flush)
    t.outcome("close", process.stdin.close)
    process = Popen(["true"], stdin=PIPE, stdout=PIPE)
    t.outcome("communicate", process.communicate, b"x" * BIG)
    process = Popen(["true"], stdin=PIPE)
    process.wait()
    t.outcome("communicate", process.communicate, b"x" * BIG)


def case_options(t: Any) -> None:
    reader, writer = os.pipe()
    done = subprocess.run(python(f"import os; os.write({writer}, b'passed')"), pass_fds=[writer])
    t.note(done.returncode, os.read(reader, 100))
    done = subprocess.run(python(f"import os; os.write({writer}, b'passed')"), stderr=DEVNULL)
    t.note(done.returncode)
    os.close(reader)
    os.close(writer)
    t.outcome("preexec", subprocess.run, ["sh", "-c", "echo $A"], preexec_fn=lambda: os.environ.update(A="1"), stdout=PIPE)
    t.outcome("preexec that fails", subprocess.run, ["true"], preexec_fn=lambda: 1 / 0)
    t.outcome("umask", subprocess.run, ["sh", "-c", "umask"], umask=0o77, stdout=PIPE)
    source = "import os; print(os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid())"
    t.outcome("session", subprocess.check_output, python(source), start_new_session=True)
    t.outcome("group", subprocess.check_output, python(source), process_group=0)
    t.outcome("executable", subprocess.check_output, ["named", "-c", "echo $0"], executable="/bin/sh")
    t.outcome("cwd", subprocess.check_output, ["pwd"], cwd="/usr")
    t.outcome("path-like", subprocess.check_output, [__import__("pathlib").Path("/bin/echo"), "x"])
    t.outcome("bad bufsize", Popen, ["true"], bufsize="x")
    t.outcome("bad pass_fds", Popen, ["true"], pass_fds=["x"])
    with tempfile.TemporaryFile() as file:
        t.outcome("to a file", subprocess.run, ["echo", "into a file"], stdout=file)
        file.seek(0)
        t.note(file.read())
        file.seek(0)
        t.outcome("from a file", subprocess.run, CAT, stdin=file, stdout=PIPE)


def case_children_see_blocking_pipes(t: Any) -> None:
    source = "import os; print(os.get_blocking(0), os.get_blocking(1), os.get_blocking(2))"
    process = Popen(python(source), stdin=PIPE, stdout=PIPE, stderr=PIPE)
    t.note(process.communicate())
    process = Popen(python("import os; os.read(0, 1); " + source), stdin=PIPE, stdout=PIPE, stderr=PIPE)
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    got: list[bytes] = []
    thread = threading.Thread(target=lambda: got.append(process.stdout.read()))  # type: ignore[union-attr]
    thread.start()
    process.stdin.write(b"x")
    process.stdin.close()
    thread.join()
    t.note(got, process.wait())
    process.stdout.close()
    process.stderr.close()


def case_pipeline(t: Any) -> None:
    first = Popen(["printf", r"b\na\nc\n"], stdout=PIPE)
    second = Popen(["sort"], stdin=first.stdout, stdout=PIPE)
    assert first.stdout is not None
    first.stdout.close()
    t.note(second.communicate(), first.wait(), second.returncode)


def case_repr_and_context(t: Any) -> None:
    process = Popen(CAT, stdin=PIPE)
    t.note(repr(process))
    with process:
        t.note(process.args, process.pid > 0, process.universal_newlines, process.text_mode)
    t.note(repr(process), process.stdin.closed)  # type: ignore[union-attr]
    t.note(repr(Popen(["a"] * 40, executable="/bin/true")))
    process = Popen(["true"])
    process.wait()
    with process as same:
        t.note(same is process)
    t.note(repr(subprocess.CompletedProcess(["a"], 1, "o", "e")))


def case_interrupted_by_a_handler(t: Any) -> None:
    class Stop(Exception):
        pass

    def stop(signum: int, frame: Any) -> None:
        raise Stop("by a handler")

    old = signal.signal(signal.SIGUSR1, stop)
    try:
        for name in ("wait", "communicate"):
            process = Popen(SLEEPER, stdout=PIPE)
            threading.Timer(0.03, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            t.outcome(name, getattr(process, name))
            t.note(process.poll())
            process.kill()
            process.communicate()
        threading.Timer(0.03, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        t.outcome("run", subprocess.run, SLEEPER)
    finally:
        signal.signal(signal.SIGUSR1, old)


def case_fork_in_another_thread(t: Any) -> None:
    """The child's end of a pipe is not kept open by another thread's child."""
    stop = threading.Event()

    def spawn() -> None:
        while not stop.is_set():
            subprocess.run(["true"])

    thread = threading.Thread(target=spawn)
    thread.start()
    for _ in range(10):
        process = Popen(CAT, stdin=PIPE, stdout=PIPE)
        out, _ = process.communicate(b"x")
        assert out == b"x"
    stop.set()
    thread.join()
    t.note("all ended")
