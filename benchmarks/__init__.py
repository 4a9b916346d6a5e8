"""Benchmarks: the same threaded programs on native threads, on gevent and on dhagapatch; `python -m benchmarks`."""
