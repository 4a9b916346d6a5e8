"""A gRPC server and its clients, in threads, leave the others running."""

import threading
import time
from concurrent import futures

from _runtime import answer, patch

patch()
import grpc  # noqa: E402


def slow(request, context):
    time.sleep(0.2)
    return request.upper()


handlers = grpc.method_handlers_generic_handler("Test", {"Slow": grpc.unary_unary_rpc_method_handler(slow)})
server = grpc.server(futures.ThreadPoolExecutor(5), (handlers,))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
channel = grpc.insecure_channel(f"127.0.0.1:{port}")
call = channel.unary_unary("/Test/Slow")
answers = []
threads = [threading.Thread(target=lambda n=n: answers.append(call(b"x%d" % n, timeout=10)), daemon=True) for n in range(5)]
began = time.monotonic()
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(10)
took = time.monotonic() - began
channel.close()
server.stop(None)
answer(sorted(answers) == [b"X%d" % n for n in range(5)] and took < 0.9)
