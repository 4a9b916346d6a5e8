# run: -m dhagapatch
"""Every Python child starts patched, however it is started, and sees no trace of how; some are left alone; each is named."""

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile

import dhagapatch
from dhagapatch.green.startup import CHILDREN, COUNTS

SHOW = (
    "import sys, os, json; d = sys.modules.get('dhagapatch'); print(json.dumps([bool(d and d.is_patched('time.sleep')), "
    "sorted(k for k in os.environ if k in ('PYTHONPATH', 'DHAGAPATCH_CHILD')), os.environ.get('PYTHONPATH'), "
    "[p for p in sys.path if '_children' in p], 'sitecustomize' in sys.modules]))"
)
SEEN_BARE = [[], None, [], False]


def show(*options, **kwargs):
    return json.loads(subprocess.check_output([sys.executable, *options, "-c", SHOW], **kwargs))


IN_A_CHILD = "import dhagapatch, sys; sys.exit(0 if dhagapatch.is_patched('time.sleep') else 3)"


def left_alone():
    """Those that have a launcher, or a purpose, of their own, and those that are told to be."""
    off = {**os.environ, "DHAGAPATCH_CHILDREN": "0"}
    alone = [False, *SEEN_BARE]
    assert show(env=off) == alone
    again = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {SHOW!r}]))"
    assert json.loads(subprocess.check_output([sys.executable, "-c", again], env=off)) == alone
    shell = f'DHAGAPATCH_CHILDREN=0 {sys.executable} -c "{SHOW}"'
    assert json.loads(subprocess.check_output(shell, shell=True)) == alone
    os.environ["DHAGAPATCH_CHILDREN"] = "0"
    assert show() == alone
    assert json.loads(subprocess.check_output(f'{sys.executable} -c "{SHOW}"', shell=True)) == alone
    del os.environ["DHAGAPATCH_CHILDREN"]
    assert show() == [True, *SEEN_BARE]

    own = "import sys, dhagapatch; print([dhagapatch.is_patched(name) for name in ('time.sleep', 'socket', 'children')])"
    words = [sys.executable, "-m", "dhagapatch", "--disable", "time", "--no-children", "-c", own]
    for command in (words, ["/bin/sh", "-c", " ".join(words[:-1]) + f' "{own}"']):
        assert subprocess.check_output(command, text=True) == "[False, True, False]\n"
    with tempfile.TemporaryDirectory() as folder:
        adapter = os.path.join(folder, "debugpy", "adapter")
        os.makedirs(adapter)
        with open(os.path.join(adapter, "__main__.py"), "w") as file:
            file.write(SHOW)
        assert json.loads(subprocess.check_output([sys.executable, adapter]))[0] is False


def in_other_places():
    """Scripts, by way of `env`, and an environment that has no dhagapatch: it runs on, and says nothing."""
    with tempfile.TemporaryDirectory() as folder:
        for options, patched in (("", True), (" -S", False)):
            script = os.path.join(folder, f"script{patched}")
            with open(script, "w") as file:
                file.write(f"#!{sys.executable}{options}\n{SHOW}\n")
            os.chmod(script, 0o700)
            assert json.loads(subprocess.check_output([script]))[0] is patched
        assert json.loads(subprocess.check_output(["env", "A=1", sys.executable, "-c", SHOW]))[0] is True
        subprocess.check_call([sys.executable, "-m", "venv", "--without-pip", os.path.join(folder, "bare")])
        python = os.path.join(folder, "bare", "bin", "python")
        loaded = "; print([name for name in sys.modules if name.partition('.')[0] in ('dhagapatch', 'greenlet', 'tornado')])"
        done = subprocess.run([python, "-c", SHOW + loaded], capture_output=True, text=True, check=True)
        patched, seen = done.stdout.splitlines()
        assert json.loads(patched) == [False, *SEEN_BARE] and seen == "[]" and not done.stderr, done


def named():
    """By the report: each command, how often, what became of it, and why."""
    report = dhagapatch.patch_all()
    shown = [line for line in str(report).splitlines() if line.startswith("  child ")]
    assert len(shown) == len(CHILDREN) == len(report.as_dict()["children"]) > 10
    for command, fate in (
        (f"{sys.executable} -I -c import sys", "left alone: option -I"),
        ("scriptTrue", "patched"),
        ("scriptFalse", "left alone: option -S"),
        ("-m dhagapatch", "left alone: it patches itself"),
        ("resource_tracker", "left alone: it serves multiprocessing"),
        (os.path.join("debugpy", "adapter"), "left alone: the debugger's own"),
        ("bare/bin/python", "patched, if dhagapatch is installed there"),
        (sys.executable, "left alone: DHAGAPATCH_CHILDREN=0"),
    ):
        assert any(command in line and fate in line for line in shown), (command, fate, shown)
    assert any(" times): patched" in line for line in shown), shown


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
    assert COUNTS.left_alone == 3, CHILDREN  # and what multiprocessing starts for itself
    assert COUNTS.patched >= 8, COUNTS.patched
    left_alone()
    in_other_places()
    named()

    if path is not None:
        os.environ["PYTHONPATH"] = path
    dhagapatch.unpatch_all()
    assert show()[0] is False


if __name__ == "__main__":
    main()
