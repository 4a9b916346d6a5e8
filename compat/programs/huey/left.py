"""What the consumer left."""

import app

print(len(app.huey))
