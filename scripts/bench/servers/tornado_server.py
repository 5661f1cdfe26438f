"""The same servers on Tornado: `tornado_server.py SERVICE PORT [FILE |
UPSTREAM]`, with BENCH_CERT and BENCH_KEY in the environment for TLS."""

import os
import socket
import ssl
import sys

from tornado.ioloop import IOLoop
from tornado.iostream import IOStream, StreamClosedError
from tornado.tcpserver import TCPServer

service, port, argument = (sys.argv[1:] + [None])[:3]
MIB, BLOCK, BLOCKS, TAIL = 1 << 20, 65536, 1024, 64


async def lines(stream):
    while True:
        await stream.write(await stream.read_until(b"\n"))


async def frames(stream):
    while True:
        prefix = await stream.read_bytes(4)
        payload = await stream.read_bytes(int.from_bytes(prefix, "big"))
        await stream.write(prefix + payload)


async def bulk(stream):
    count = 0
    while True:
        block = await stream.read_bytes(BLOCK)
        count += 1
        if count % BLOCKS == 0:
            await stream.write(block[-TAIL:])


async def until(stream):
    while True:
        data = await stream.read_until(b"\r\n")
        await stream.write(b"%d %s" % (len(data), data[-TAIL:]))


async def source(stream):
    with open(argument, "rb") as file:
        chunks = [file.read(BLOCK) for _ in range(MIB // BLOCK)]
    while True:
        for _ in range(int(await stream.read_until(b"\n"))):
            for chunk in chunks:
                await stream.write(chunk)


async def file(stream):
    while True:
        await stream.read_until(b"\n")
        with open(argument, "rb") as opened:
            while chunk := opened.read(BLOCK):
                await stream.write(chunk)


async def forward(source, sink):
    try:
        while True:
            await sink.write(await source.read_bytes(BLOCK, partial=True))
    except StreamClosedError:
        sink.close()


async def proxy(stream):
    upstream = IOStream(socket.socket())
    await upstream.connect(("127.0.0.1", int(argument)))
    IOLoop.current().spawn_callback(forward, upstream, stream)
    await forward(stream, upstream)


class Server(TCPServer):
    async def handle_stream(self, stream, address):
        stream.set_nodelay(True)
        try:
            await globals()[service](stream)
        except StreamClosedError:
            pass


options = None
if os.environ.get("BENCH_CERT"):
    options = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    options.load_cert_chain(os.environ["BENCH_CERT"], os.environ["BENCH_KEY"])
Server(ssl_options=options).listen(int(port), "127.0.0.1", backlog=4096)
IOLoop.current().start()
