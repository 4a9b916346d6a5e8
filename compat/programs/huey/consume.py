"""What `huey_consumer.py` is."""

from huey.bin.huey_consumer import consumer_main

consumer_main()
