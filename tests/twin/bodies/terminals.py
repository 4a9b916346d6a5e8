"""Lines typed on a terminal: `input` with and without readline, `code`, `cmd`, and what cuts them short."""

from __future__ import annotations

import os
import select
import signal
import sys
import textwrap
import time
from collections.abc import Sequence
from typing import Any

from programs import launcher

_LIMIT = 10.0  # seconds, for one program
_WAY = "import os; os.environ.pop('PYTHONSTARTUP', None); os.environ['INPUTRC'] = '/dev/null'\n"


def typed(t: Any, label: str, source: str, script: Sequence[tuple[str, str]], *, echo: bool = True) -> None:
    """Run `source` on a terminal of its own; wait for a text, then type another; note the terminal's text at the end."""
    command = [*launcher(), "-c", _WAY + textwrap.dedent(source)]
    pid, master = os.forkpty()
    if pid == 0:
        os.environ.update(TERM="dumb", INPUTRC="/dev/null")
        os.execv(sys.executable, command)
    end = time.monotonic() + _LIMIT
    text, place = b"", 0
    for awaited, answer in [*script, ("\0", "")]:
        wanted = awaited.encode()
        while wanted not in text[place:] and time.monotonic() < end:
            if not select.select([master], [], [], 0.1)[0]:
                continue
            try:
                text += os.read(master, 4096)
            except OSError:
                break  # the program has ended
        if wanted not in text[place:]:
            break
        place = text.index(wanted, place) + len(wanted)
        if "\x03" in answer:
            time.sleep(0.1)  # natively too a signal that comes just before the read does not end it
        os.write(master, answer.encode())
    if time.monotonic() >= end:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    os.close(master)
    said = text.decode().replace("\r", "").splitlines()
    t.note(label, os.waitstatus_to_exitcode(status), said if echo else [line for line in said if line.startswith("=")])


_EDITORS = {"plain": "", "readline": "import readline\n"}


def _each(t: Any, source: str, script: Sequence[tuple[str, str]], without: Sequence[str] = ()) -> None:
    for label, first in _EDITORS.items():
        if label not in without:
            typed(t, label, first + textwrap.dedent(source), script)


def case_ctrl_c(t: Any) -> None:
    _each(
        t,
        """
        try:
            input("c> ")
        except KeyboardInterrupt as error:
            print("=", repr(error), error.__context__)
        print("=", repr(input("d> ")))
        try:
            input("e> ")
        except KeyboardInterrupt:
            print("= again")
        print("=", repr(input("f> ")))
        """,
        [("c> ", "\x03"), ("d> ", "hey\n"), ("e> ", "half"), ("half", "\x03"), ("f> ", "whole\n")],
    )


def case_handlers(t: Any) -> None:
    """One that raises ends the wait, one that does not lets it go on."""
    _each(
        t,
        """
        import signal, os, threading, time
        class Timeout(Exception):
            pass
        def fail(*_):
            raise Timeout
        signal.signal(signal.SIGALRM, fail)
        for n in range(3):
            signal.setitimer(signal.ITIMER_REAL, .05)
            try:
                input(f"{n}> ")
            except Timeout as error:
                print("= timed out", repr(error.__context__))
        signal.signal(signal.SIGALRM, lambda *_: print("= handled"))
        signal.setitimer(signal.ITIMER_REAL, .05)
        print("=", repr(input("last> ")))
        """,
        [("= handled\r\n", "typed\n")],
    )


def case_end_of_input(t: Any) -> None:
    _each(
        t,
        """
        for _ in range(2):
            try:
                input("? ")
            except EOFError as error:
                print("=", repr(error), error.__context__)
        print("=", repr(input("! ")))
        """,
        [("? ", "\x04"), ("? ", "\x04"), ("! ", "more\n")],
    )


def case_ahead_of_the_program(t: Any) -> None:
    """What is typed before it is asked for."""
    _each(t, "import time\nprint('go', flush=True)\ntime.sleep(.1)\nprint('=', [input() for _ in range(3)])",
          [("go\r\n", "one\ntwo\nthree\n")])  # fmt: skip


def case_single_keys(t: Any) -> None:
    """A terminal that gives each key at once."""
    typed(
        t, "cbreak",
        """
        import sys, tty
        tty.setcbreak(0)
        print("=", repr(input("a> ")))
        print("=", repr(input("b> ")))
        print("=", repr(sys.stdin.readline()))
        """,
        [("a> ", "fi"), ("fi", "rst\nsec"), ("b> ", "ond\n"), ("second", "third\n")],
    )  # fmt: skip


def case_prompts(t: Any) -> None:
    _each(
        t,
        """
        import sys
        class Thing:
            def __str__(self):
                return "thing> "
        class Bad:
            def __str__(self):
                raise LookupError("no text")
        print("=", repr(input(Thing())), repr(input()), repr(input("")), repr(input("ä> ")))
        for prompt in (Bad(), "\\ud800"):
            try:
                input(prompt)
            except Exception as error:
                print("=", type(error).__name__, str(error)[:40])
        events = []
        sys.addaudithook(lambda name, args: name.startswith("builtins.input") and events.append((name, args)))
        input("audited> ")
        print("=", events)
        """,
        [("thing> ", "1\n2\n3\n"), ("ä> ", "ö\n"), ("audited> ", "yes\n")],
    )


def case_streams_that_are_replaced(t: Any) -> None:
    _each(
        t,
        """
        import contextlib, io, sys
        with contextlib.redirect_stdout(io.StringIO()) as out:
            line = input("hidden> ")
        print("=", repr(line), repr(out.getvalue()))
        sys.stdin = io.StringIO("from memory\\n")
        print("=", repr(input("m> ")))
        sys.stdin = None
        try:
            input("n> ")
        except RuntimeError as error:
            print("=", error)
        sys.stdin = sys.__stdin__
        print("=", repr(input("o> ")), repr(sys.stdin.readline()), repr(input("p> ")))
        sys.stdin = open(0, closefd=False)
        print("=", repr(input("q> ")))
        sys.stderr = None
        try:
            input("r> ")
        except RuntimeError as error:
            print("=", error)
        """,
        [("", "no echo needed\n"), ("o> ", "1\n2\n"), ("p> ", "3\n"), ("q> ", "4\n")],
    )


def case_threads(t: Any) -> None:
    """Others run while a line is typed; two that ask take turns; it may be asked for in any thread."""
    _each(
        t,
        """
        import threading, time
        ticks = []
        def tick():
            while True:
                time.sleep(.002)
                ticks.append(1)
        threading.Thread(target=tick, daemon=True).start()
        lines = []
        first = threading.Thread(target=lambda: lines.append(input("a> ")))
        first.start()
        time.sleep(.03)
        second = threading.Thread(target=lambda: lines.append(input("b> ")))
        second.start()
        before = len(ticks)
        first.join()
        second.join()
        print("=", lines, len(ticks) - before > 10)
        """,
        [("a> ", "on"), ("on", "e\n"), ("b> ", "two\n")],
    )


def case_history(t: Any) -> None:
    typed(
        t, "readline",
        """
        import readline
        readline.clear_history()
        def history():
            return [readline.get_history_item(n + 1) for n in range(readline.get_current_history_length())]
        input("a> "), input("b> "), input("c> "), input("d> ")
        print("=", history())
        readline.set_auto_history(False)
        print("=", input("e> "), history())
        readline.set_auto_history(True)
        print("=", input("f> "), history())
        """,
        [("a> ", "one\n"), ("b> ", "one\n"), ("c> ", "\n"), ("d> ", "two\n"), ("e> ", "three\n"), ("f> ", "\x10!\n")],
        echo=False,
    )  # fmt: skip


def case_editing(t: Any) -> None:
    """Keys that edit, completion, hooks."""
    typed(
        t, "keys", "import readline\nprint('=', repr(input('a> ')), repr(input('b> ')))",
        [("a> ", "helo\x02l\x01[\x05]\n"), ("b> ", "one two\x17three\x7f\x7fs\n")], echo=False,
    )  # fmt: skip
    typed(
        t, "completion",
        """
        import readline
        readline.parse_and_bind("tab: complete")
        readline.set_completer(lambda text, state: [one for one in ("spam", "ham") if one.startswith(text)][state])
        readline.set_startup_hook(lambda: readline.insert_text("=>"))
        print("=", repr(input("a> ")))
        readline.set_startup_hook()
        print("=", repr(input("b> ")))
        """,
        [("=>", " s\t!\n"), ("b> ", "h\t?\n")], echo=False,
    )  # fmt: skip


def case_code(t: Any) -> None:
    typed(
        t, "interact", "import code; code.interact(banner='hello', exitmsg='bye', local={'x': 5})",
        [(">>> ", "x + 1\n"), (">>> ", "abc\x03"), (">>> ", "x + 2\n"), (">>> ", "\x04")], echo=False,
    )  # fmt: skip
    typed(
        t, "what it says", "import code; print('=', code.InteractiveConsole().raw_input('? '))", [("? ", "typed\n")], echo=False,
    )  # fmt: skip


def case_cmd(t: Any) -> None:
    typed(
        t, "cmdloop",
        """
        import cmd
        class Shell(cmd.Cmd):
            prompt = "$ "
            def do_say(self, what):
                print("=", what)
            def do_EOF(self, _):
                return True
        while True:
            try:
                Shell().cmdloop()
                break
            except KeyboardInterrupt:
                print("= interrupted")
        """,
        [("$ ", "say one\n"), ("$ ", "say tw\x03"), ("$ ", "say three\n"), ("$ ", "\x04")], echo=False,
    )  # fmt: skip


def case_standard_input_itself(t: Any) -> None:
    typed(
        t, "readline",
        """
        import sys
        for _ in range(2):
            try:
                print("=", repr(sys.stdin.readline()))
            except KeyboardInterrupt:
                print("= interrupted", flush=True)
        print("=", repr(input("? ")))
        """,
        [("", ""), ("", "one\n"), ("= 'one", "\x03"), ("= interrupted", ""), ("? ", "two\n")],
    )  # fmt: skip


def case_forks(t: Any) -> None:
    """A child that is forked while a thread waits for a line reads its own."""
    _each(
        t,
        """
        import os, threading, time, warnings
        warnings.simplefilter("ignore")
        thread = threading.Thread(target=lambda: print("=", input("a> ")), daemon=True)
        thread.start()
        time.sleep(.05)
        pid = os.fork()
        if not pid:
            os._exit(7)
        print("= child", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        thread.join()
        """,
        [("= child 7\r\n", "typed\n")],
    )


def case_exits(t: Any) -> None:
    """The program ends while a thread waits for a line."""
    _each(
        t,
        """
        import atexit, threading, time
        threading.Thread(target=input, args=("a> ",), daemon=True).start()
        time.sleep(.05)
        atexit.register(print, "= over")
        """,
        [("a> ", "")],
        without=["plain"] if sys.version_info >= (3, 14) else [],  # natively it never ends then
    )


def case_passwords(t: Any) -> None:
    source = """
        import getpass, os, termios, threading, time
        terminal = os.open("/dev/tty", os.O_RDWR)
        before = termios.tcgetattr(terminal)
        def run():
            while termios.tcgetattr(terminal)[3] & termios.ECHO:
                time.sleep(.001)
            os.write(1, b"others run\\n")
        thread = threading.Thread(target=run)
        thread.start()
        try:
            print("got", getpass.getpass(""))
        except KeyboardInterrupt:
            print("interrupted")
        thread.join()
        print(termios.tcgetattr(terminal) == before)
    """
    typed(t, "a line", source, [("others run", "secret\n")])
    typed(t, "Ctrl-C", source, [("others run", "\x03")])
    if sys.version_info >= (3, 14):  # key by key
        source = source.replace('getpass("")', 'getpass("", echo_char="*")')
        typed(t, "shown as stars", source, [("others run", "se"), ("**", "c"), ("*", "r\x7fret\n")])
        typed(t, "Ctrl-C beside stars", source, [("others run", "se"), ("**", "\x03")])
