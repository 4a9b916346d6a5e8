"""Drivers: they start a program under a launcher and measure it from outside, where it cannot measure itself.

Each is `python -m benchmarks.drivers.NAME options --program FILE -- prefix ...`, uses the standard library only, and
ends with the line of JSON with which the programs end.
"""
