"""``python launch_eventlet.py [-m] program args``: eventlet has no launcher of its own."""

import sys

import eventlet

eventlet.monkey_patch()

if __name__ == "__main__":
    import os
    import runpy

    del sys.argv[0]
    if sys.argv[0] == "-m":
        del sys.argv[0]
        sys.path[0] = os.getcwd()
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")
