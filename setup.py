"""The part of the package that is compiled, if a C compiler is there; everything else stands in pyproject.toml."""

from pathlib import Path

from setuptools import Extension, setup

SOURCES = ["dhagapatch/_c/shared.h", "dhagapatch/_c/hub.h", "dhagapatch/_c/locks.h", "dhagapatch/_c/loop.h",
           "dhagapatch/_c/sockets.h"]

try:
    import greenlet
except ImportError:  # its header is needed; without it the package is as good, and slower
    extensions = []
else:
    headers = Path(greenlet.__file__).parents[1]
    extensions = [
        Extension("dhagapatch._speedups", ["dhagapatch/_c/module.c"], include_dirs=[str(headers)], depends=SOURCES, optional=True)
    ]

setup(ext_modules=extensions)
