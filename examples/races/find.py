"""Find a race, and show the interleaving: python examples/races/find.py lost_update"""

import importlib
import sys

import dhagapatch

dhagapatch.patch_all()

from dhagapatch.testing import ExploreError, explore  # noqa: E402


def main(names):
    for name in names or ["lost_update", "abba", "missed_notify", "double_checked"]:
        module = importlib.import_module(name)
        try:
            explore(module.broken)
        except ExploreError as error:
            print(f"{name}: {error}\n")
        found = explore(module.mended)
        print(f"{name}, mended: {found.runs} runs without a failure, of up to {found.points} points\n")


if __name__ == "__main__":
    main(sys.argv[1:])
