"""``python launch_eventlet.py program args``: eventlet has no launcher of its own."""

import sys

import eventlet

eventlet.monkey_patch()

if __name__ == "__main__":
    import runpy

    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
