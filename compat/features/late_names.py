"""A name that was imported before the patch (`from time import sleep`) is cooperative."""

from time import sleep

from _runtime import answer, patch, together

patch()
answer(together(lambda: sleep(0.2)) < 0.35)
