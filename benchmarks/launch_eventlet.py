"""``python benchmarks/launch_eventlet.py prog.py arg ...``: run a program under eventlet, which has no launcher of its own."""

import sys

import eventlet  # type: ignore[import-untyped, import-not-found, unused-ignore]

eventlet.monkey_patch()

if __name__ == "__main__":
    import runpy  # after the patch: it is the program's first import

    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
