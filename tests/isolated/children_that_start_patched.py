# run: -m dhagapatch --children
"""Every Python child starts patched, however it is started, and sees no trace of how; isolated ones are left alone."""

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile

from dhagapatch.green.startup import COUNTS

SHOW = (
    "import sys, os, json; d = sys.modules.get('dhagapatch'); print(json.dumps([bool(d and d.is_patched('time.sleep')), "
    "sorted(k for k in os.environ if k in ('PYTHONPATH', 'DHAGAPATCH_CHILD')), os.environ.get('PYTHONPATH'), "
    "[p for p in sys.path if '_children' in p], 'sitecustomize' in sys.modules]))"
)
SEEN_BARE = [[], None, [], False]


def show(*options, **kwargs):
    return json.loads(subprocess.check_output([sys.executable, *options, "-c", SHOW], **kwargs))


IN_A_CHILD = "import dhagapatch, sys; sys.exit(0 if dhagapatch.is_patched('time.sleep') else 3)"


def main():
    path = os.environ.pop("PYTHONPATH", None)
    assert show() == [True, *SEEN_BARE]
    assert show("-I") == [False, *SEEN_BARE]
    assert show("-Wd", "-S") == [False, *SEEN_BARE]
    assert show(env={**os.environ}) == [True, *SEEN_BARE]
    assert show(env={}) == [True, *SEEN_BARE]
    assert show(env={"PYTHONPATH": "/nowhere"}) == [True, ["PYTHONPATH"], "/nowhere", [], False]
    os.environ["PYTHONPATH"] = "/nowhere"
    assert show() == [True, ["PYTHONPATH"], "/nowhere", [], False]
    del os.environ["PYTHONPATH"]

    # grandchildren, through a shell too, and a `sitecustomize` of the user's
    again = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {SHOW!r}]))"
    assert json.loads(subprocess.check_output([sys.executable, "-c", again])) == [True, *SEEN_BARE]
    shown = subprocess.check_output(f'{sys.executable} -c "{SHOW}"', shell=True)
    assert json.loads(shown) == [True, *SEEN_BARE]
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "sitecustomize.py"), "w") as file:
            file.write("import os\nos.environ['OWN'] = '1'\n")
        own = "import os, sys; print(os.environ['OWN'], sys.modules['sitecustomize'].__file__)"
        said = subprocess.check_output([sys.executable, "-c", own], env={"PYTHONPATH": folder}, text=True)
        assert said.split() == ["1", os.path.join(folder, "sitecustomize.py")], said

    # the other ways
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    code = SHOW.replace("print(", f"os.write({writer}, (", 1) + ".encode())"
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ)
    os.waitpid(pid, 0)
    assert json.loads(os.read(reader, 1000)) == [True, *SEEN_BARE]
    for replace in (os.execv, lambda *args: os.execve(*args, {})):
        pid = os.fork()
        if not pid:
            replace(sys.executable, [sys.executable, "-c", code])
        assert os.waitpid(pid, 0)[1] == 0
        assert json.loads(os.read(reader, 1000)) == [True, *SEEN_BARE]

    for method in ("spawn", "forkserver"):
        process = multiprocessing.get_context(method).Process(target=exec, args=(IN_A_CHILD,))
        process.start()
        process.join()
        assert process.exitcode == 0, (method, process.exitcode)
    assert COUNTS.left_alone == 2, COUNTS.left_alone
    assert COUNTS.patched >= 8, COUNTS.patched

    import dhagapatch

    if path is not None:
        os.environ["PYTHONPATH"] = path
    dhagapatch.unpatch_all()
    assert show()[0] is False


if __name__ == "__main__":
    main()
