# run: -m dhagapatch
"""What lies between a program and its children keeps them patched: sub-interpreters, and shells that set PYTHONPATH.

No child loads what only the way there would need.
"""

import os
import shlex
import subprocess
import sys
import tempfile

import dhagapatch
from dhagapatch.core.extension import speedups
from dhagapatch.green.startup import CHILDREN

SEEN = "import os, sys; print(os.environ.get('PYTHONPATH'), 'DHAGAPATCH_CHILD' in os.environ, 'dhagapatch' in sys.modules)"
AFTER_A_SUB_INTERPRETER = """
import os, subprocess, sys
try:
    import _interpreters as interpreters
    run = interpreters.exec
except ImportError:
    import _xxsubinterpreters as interpreters
    run = interpreters.run_string
seen = {seen!r} + "; assert not any('_children' in item for item in sys.path); sys.stdout.flush()"
identity = interpreters.create()
assert run(identity, seen) is None
interpreters.destroy(identity)
for command in ([sys.executable, "-c", {seen!r}], sys.executable + ' -c "' + {seen!r} + '"'):
    print(subprocess.check_output(command, shell=type(command) is str, text=True), end="", flush=True)
"""


def sub_interpreters():
    """One begins in a child, and finds what it would find; the child's children start patched as before."""
    code = AFTER_A_SUB_INTERPRETER.format(seen=SEEN)
    said = subprocess.check_output([sys.executable, "-c", code], text=True, env={**os.environ, "PYTHONPATH": "/nowhere"})
    assert said.splitlines() == ["/nowhere False False", *["/nowhere False True"] * 2], said


def shells():
    """They put folders beside ours; the child, and whatever it starts, see those, and not ours."""
    python = f'{sys.executable} -c "{SEEN}"'
    again = f"{sys.executable} -c 'import os, sys; sys.exit(os.system(sys.argv[1]))' {shlex.quote(python)}"
    for before, set_to, after, command in (
        (None, "/a:$PYTHONPATH", "/a", python),
        (None, "/a${PYTHONPATH:+:$PYTHONPATH}", "/a", again),
        ("/b:", "$PYTHONPATH:/a", "/b::/a", python),
        ("", "$PYTHONPATH", "", python),
    ):
        env = {**os.environ, **({} if before is None else {"PYTHONPATH": before})}
        said = subprocess.check_output(f"export PYTHONPATH={set_to}; {command}", shell=True, text=True, env=env)
        assert said == f"{after} False True\n", (before, set_to, said)


def little_is_loaded():
    """Not what would take the mark apart, nor what would look into the frames of the start-up."""
    wanted = "import sys; print(sorted({'json', 'tornado', 'asyncio', 'pathlib', CTYPES} & {*sys.modules} - {*BEFORE}))"
    wanted = wanted.replace("CTYPES", "'json'" if speedups is None else "'ctypes'")  # without the compiled part it is needed
    native = subprocess.check_output([sys.executable, "-c", "import sys; print([*sys.modules])"], text=True, env=ALONE)
    for options in ((), ("-m", "dhagapatch")):
        code = wanted.replace("BEFORE", native.strip())
        said = subprocess.check_output([sys.executable, *options, "-c", code], text=True)
        assert said == "[]\n", (options, said)


def homes():
    """An interpreter finds its environment by the name that it is given, not by the file that is executed."""
    code = "import sys; print(sys.prefix == PREFIX)".replace("PREFIX", repr(sys.prefix))
    for name in (sys.executable, "whatever"):
        done = subprocess.run([name, "-c", code], executable=sys.executable, stdout=subprocess.PIPE, text=True)
        said = done.stdout  # empty for an interpreter that was moved, and finds its library by its name alone
        assert done.returncode == 0 or name != sys.executable, done
        [child] = [child for child in CHILDREN if child.command.startswith(f"{name} -c {code[:30]}")]
        assert (child.why == "") == (said == "True\n") or sys.prefix == sys.base_prefix, (child, said)


ALONE = {**os.environ, "DHAGAPATCH_CHILDREN": "0"}
path = os.environ.pop("PYTHONPATH", None)
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    sub_interpreters()
    shells()
    little_is_loaded()
    homes()
    os.chdir("/")
if path is not None:
    os.environ["PYTHONPATH"] = path
dhagapatch.unpatch_all()
