"""A function of a C library that blocks can be named, and runs on a native thread from then on."""

import zlib

from _runtime import Heart, answer, patch

patch(offload=["zlib.compress"])
data = bytes(range(256)) * 400_000
heart = Heart()
zlib.compress(data, 9)
answer(heart.longest_gap() < 0.2)
