"""`concurrent.futures.ThreadPoolExecutor` works, and its workers wait at once."""

import time
from concurrent.futures import ThreadPoolExecutor

from _runtime import answer, patch

patch()
begin = time.monotonic()
with ThreadPoolExecutor(20) as pool:
    assert list(pool.map(lambda n: time.sleep(0.1) or n, range(20))) == list(range(20))
answer(time.monotonic() - begin < 0.5)
