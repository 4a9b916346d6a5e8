"""Puts tasks into the queue; the last one ends the consumer."""

import app

for number in range(5):
    app.add(number, 1)
app.stop()
