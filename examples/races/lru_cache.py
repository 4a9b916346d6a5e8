"""A race of a real library: up to version 0.4 `repoze.lru.LRUCache` was not thread-safe, says its changelog of version 0.5.

Two threads put a value each into a cache that has room for both.  Both find the same free place, and the later one throws the
other's value out.
"""

import threading

from repoze.lru import LRUCache


def put_from_two_threads():
    cache = LRUCache(4)
    threads = [threading.Thread(target=cache.put, args=(key, key.upper())) for key in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (cache.get("a"), cache.get("b")) == ("A", "B"), "a value was thrown out of a cache that was not full"
