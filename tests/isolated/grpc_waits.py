# run: -m dhagapatch
"""gRPC: servers and clients in threads, calls of each kind, deadlines, and coroutines, beside others that go on."""

import asyncio
import subprocess
import sys
import threading
import time
from concurrent import futures

import grpc
import grpc.aio
from shared.heart import Heart

heart = Heart()


def one(request, context):
    time.sleep(0.1)
    return request.upper()


def many(request, context):
    for number in range(3):
        time.sleep(0.01)
        yield request + b"%d" % number


def each(requests, context):
    return (request.upper() for request in requests)


HANDLERS = grpc.method_handlers_generic_handler(
    "Test",
    {
        "One": grpc.unary_unary_rpc_method_handler(one),
        "Many": grpc.unary_stream_rpc_method_handler(many),
        "Each": grpc.stream_stream_rpc_method_handler(each),
    },
)
server = grpc.server(futures.ThreadPoolExecutor(10), (HANDLERS,))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
channel = grpc.insecure_channel(f"127.0.0.1:{port}")
grpc.channel_ready_future(channel).result(10)
call, stream, both = channel.unary_unary("/Test/One"), channel.unary_stream("/Test/Many"), channel.stream_stream("/Test/Each")

answers = []
threads = [threading.Thread(target=lambda n=n: answers.append(call(b"x%d" % n, timeout=10))) for n in range(10)]
began = time.monotonic()
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert sorted(answers) == [b"X%d" % n for n in range(10)]
assert time.monotonic() - began < 0.9, "one after the other"
assert list(stream(b"q", timeout=10)) == [b"q0", b"q1", b"q2"]
assert list(both(iter([b"a", b"b"]), timeout=10)) == [b"A", b"B"]
assert call.future(b"later", timeout=10).result() == b"LATER"
unknown = channel.unary_unary("/Test/No")
for asked, code in ((lambda: call(b"x", timeout=0.02), "DEADLINE_EXCEEDED"), (lambda: unknown(b""), "UNIMPLEMENTED")):
    try:
        asked()
    except grpc.RpcError as error:
        assert error.code().name == code, error
    else:
        raise AssertionError(code)


async def by_coroutines():
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as own:
        asked = own.unary_unary("/Test/One")
        return await asyncio.gather(*(asked(b"c%d" % n, timeout=10) for n in range(5)))


assert asyncio.run(by_coroutines()) == [b"C%d" % n for n in range(5)]

names = [thread.name for thread in threading.enumerate()]
assert not any("Dummy" in name for name in names), names
longest = heart.stop()
assert longest < 0.5, f"the others stood still for {longest} s"
channel.close()
assert server.stop(None).wait(10)

# a program that closes nothing ends
source = """
import grpc
from concurrent import futures
server = grpc.server(futures.ThreadPoolExecutor(2))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
channel = grpc.insecure_channel(f"127.0.0.1:{port}")
asked = channel.unary_unary("/Test/No").future(b"")
assert asked.code().name == "UNIMPLEMENTED"
"""
options = ["-m", "dhagapatch"] if "dhagapatch" in sys.modules else []
subprocess.run([sys.executable, *options, "-c", source], check=True, timeout=15)
