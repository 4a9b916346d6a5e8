"""The part of the package that is compiled, if a C compiler is there; everything else stands in pyproject.toml."""

from pathlib import Path

from setuptools import Extension, setup

NAMES = (
    "shared", "budget", "entry", "files", "heap", "hub", "local", "locks", "loop", "pool", "sockets", "sqlite", "threads", "tls",
    "work",
)  # fmt: skip
SOURCES = [f"dhagapatch/_c/{name}.h" for name in NAMES]

try:
    import greenlet
except ImportError:  # its header is needed; without it the package is as good, and slower
    extensions = []
else:
    headers = Path(greenlet.__file__).parents[1]
    extensions = [
        Extension(
            "dhagapatch._speedups", ["dhagapatch/_c/module.c"], include_dirs=[str(headers)], depends=SOURCES, optional=True,
            extra_compile_args=["-O2"],  # more only makes frames larger, which are copied when threads are switched
        )
    ]

setup(ext_modules=extensions)
