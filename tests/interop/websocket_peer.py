"""WebSocket peers that know nothing of ferry, on Python's libraries `websockets` and `autobahn`.

    websocket_peer.py LIBRARY serve [--deflate] [--tls PEM] [--protocol NAME]
        Listens on a free port of 127.0.0.1 and says "listening on PORT". Echoes every message in its kind. The text
        "please close CODE REASON" makes it close with these, "please ping" makes it ping and answer "pong came";
        "please split" makes it answer with one text in three frames, "one two three".
        Says how each connection ended: "closed CODE REASON". Ends with its standard input.
    websocket_peer.py LIBRARY talk URL [--deflate] [--ca PEM] [--protocol NAME] [--origin ORIGIN] [--close CODE REASON]
        Connects to an echoing peer and checks what comes back: both kinds, sizes around every boundary up to 16 MiB,
        fragments, pings. Then closes, with 1000 if nothing else is wished, and says "closed CODE REASON" with what came
        back. Status 0 if all was well; else 1, and the reason on standard error.

Compression is agreed with --deflate and only then; that it was is checked. websocket_peer.js is the same on npm's ws.
"""

import argparse
import asyncio
import contextlib
import os
import ssl
import sys

MAX = 17 << 20
SIZES = [0, 1, 125, 126, 127, 65535, 65536, 1 << 20]
LARGE = 16 << 20


def payload(size):
    """Deterministic, neither constant nor wholly random, and no UTF-8."""
    block = bytes((i * 7 + i // 251) % 256 for i in range(4096))
    return (block * (size // len(block) + 1))[:size]


def text(size):
    """UTF-8 of that many bytes."""
    return "é" * (size // 2) + "x" * (size % 2)


def check(good, what):
    if not good:
        raise AssertionError(what)


async def until_input_ends():
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


def say(line):
    print(line, flush=True)


async def converse(peer, deflate):
    """`peer` has send(message or list of fragments), receive(), ping(payload), and knows whether it compresses."""
    check(peer.deflates == deflate, f"compression: {peer.deflates}")
    for size in SIZES:
        for message in (text(size), payload(size)):
            await peer.send(message)
            check(await peer.receive() == message, f"echo of {size} bytes, {type(message).__name__}")
    large = payload(LARGE)
    await peer.send(large)
    check(await peer.receive() == large, "echo of 16 MiB")
    await peer.send(["fr", "ag", "", "ments"])
    check(await peer.receive() == "fragments", "text in fragments")
    await peer.send([b"\xff", payload(70000), b"\xfe"])
    check(await peer.receive() == b"\xff" + payload(70000) + b"\xfe", "binary in fragments")
    for many in range(200):
        await peer.send(str(many))
    for many in range(200):
        check(await peer.receive() == str(many), f"message {many} of a burst")
    for ping in (b"", b"ping", b"p" * 125):
        await peer.ping(ping)


# websockets ----------------------------------------------------------------------------------------------------------


class OnWebsockets:
    def __init__(self, connection):
        self.connection = connection
        self.deflates = any(e.name == "permessage-deflate" for e in connection.extensions)

    async def send(self, message):
        await self.connection.send(message)

    async def receive(self):
        return await self.connection.recv()

    async def ping(self, data):
        await (await self.connection.ping(data))

    async def close(self, code, reason):
        await self.connection.close(code, reason)
        await self.connection.wait_closed()
        return self.connection.close_code, self.connection.close_reason


async def websockets_serve(wish):
    import websockets

    async def handle(connection):
        peer = OnWebsockets(connection)
        check(peer.deflates == wish.deflate, f"compression: {peer.deflates}")
        with contextlib.suppress(websockets.ConnectionClosed):
            async for message in connection:
                if isinstance(message, str) and message.startswith("please "):
                    words = message.split(" ", 3)
                    if words[1] == "close":
                        await connection.close(int(words[2]), words[3])
                    elif words[1] == "ping":
                        await peer.ping(b"are you there")
                        await connection.send("pong came")
                    else:
                        await connection.send(["one ", "two ", "three"])
                else:
                    await connection.send(message)
        await connection.wait_closed()
        say(f"closed {connection.close_code} {connection.close_reason}".rstrip())

    async with websockets.serve(
        handle,
        "127.0.0.1",
        0,
        ssl=server_tls(wish),
        max_size=MAX,
        compression="deflate" if wish.deflate else None,
        subprotocols=[wish.protocol] if wish.protocol else None,
    ) as server:
        say(f"listening on {server.sockets[0].getsockname()[1]}")
        await until_input_ends()


async def websockets_talk(wish):
    import websockets

    try:
        connection = await websockets.connect(
            wish.url,
            ssl=client_tls(wish),
            max_size=MAX,
            compression="deflate" if wish.deflate else None,
            subprotocols=[wish.protocol] if wish.protocol else None,
            origin=wish.origin,
        )
    except websockets.InvalidStatusCode as refused:
        say(f"refused {refused.status_code}")
        return
    check(connection.subprotocol == wish.protocol, f"subprotocol {connection.subprotocol}")
    peer = OnWebsockets(connection)
    await converse(peer, wish.deflate)
    code, reason = await peer.close(*wish.close)
    say(f"closed {code} {reason}".rstrip())


# autobahn ------------------------------------------------------------------------------------------------------------


def autobahn_protocol(base):
    from autobahn.websocket.protocol import WebSocketProtocol

    class Peer(base):
        def __init__(self):
            super().__init__()
            self.arrived = asyncio.Queue()
            self.pongs = asyncio.Queue()
            self.opened = asyncio.get_running_loop().create_future()
            self.ended = asyncio.get_running_loop().create_future()

        # What the library calls.
        def onOpen(self):
            if not self.opened.done():
                self.opened.set_result(None)

        def onMessage(self, data, isBinary):
            self.arrived.put_nowait(data if isBinary else data.decode())

        def onPong(self, data):
            self.pongs.put_nowait(data)

        def onClose(self, wasClean, code, reason):
            answer = (self.remoteCloseCode or 1005, self.remoteCloseReason or "")
            if self.opened.done() is False:
                self.opened.set_exception(ConnectionError(reason))
            if not self.ended.done():
                self.ended.set_result(answer if wasClean else (1006, ""))
            self.arrived.put_nowait(None)

        # What `converse` calls.
        @property
        def deflates(self):
            return self._perMessageCompress is not None

        async def send(self, message):
            if isinstance(message, list):
                encoded = [p.encode() if isinstance(p, str) else p for p in message]
                self.beginMessage(isBinary=isinstance(message[0], bytes))
                for part in encoded:
                    self.sendMessageFrame(part)
                self.endMessage()
            elif isinstance(message, str):
                self.sendMessage(message.encode(), isBinary=False)
            else:
                self.sendMessage(message, isBinary=True)

        async def receive(self):
            message = await self.arrived.get()
            check(message is not None, "the connection ended")
            return message

        async def ping(self, data):
            self.sendPing(data)
            check(await self.pongs.get() == data, "pong")

        async def close(self, code, reason):
            self.sendClose(code, reason)
            return await self.ended

    return Peer


async def autobahn_serve(wish):
    from autobahn.asyncio.websocket import WebSocketServerFactory, WebSocketServerProtocol
    from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept

    class Peer(autobahn_protocol(WebSocketServerProtocol)):
        def onConnect(self, request):
            return wish.protocol if wish.protocol in request.protocols else None

        def onOpen(self):
            super().onOpen()
            self.echoing = asyncio.ensure_future(self.echo())

        async def echo(self):
            check(self.deflates == wish.deflate, f"compression: {self.deflates}")
            while (message := await self.arrived.get()) is not None:
                if isinstance(message, str) and message.startswith("please "):
                    words = message.split(" ", 3)
                    if words[1] == "close":
                        self.sendClose(int(words[2]), words[3])
                    elif words[1] == "ping":
                        await self.ping(b"are you there")
                        await self.send("pong came")
                    else:
                        await self.send(["one ", "two ", "three"])
                else:
                    await self.send(message)
            code, reason = await self.ended
            say(f"closed {code} {reason}".rstrip())

    factory = WebSocketServerFactory(protocols=[wish.protocol] if wish.protocol else None)
    factory.protocol = Peer

    def accept(offers):
        for offer in offers:
            if isinstance(offer, PerMessageDeflateOffer):
                return PerMessageDeflateOfferAccept(offer)

    factory.setProtocolOptions(
        maxMessagePayloadSize=MAX, maxFramePayloadSize=MAX, **({"perMessageCompressionAccept": accept} if wish.deflate else {})
    )
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0, ssl=server_tls(wish))
    say(f"listening on {server.sockets[0].getsockname()[1]}")
    await until_input_ends()
    server.close()


async def autobahn_talk(wish):
    from urllib.parse import urlsplit

    from autobahn.asyncio.websocket import WebSocketClientFactory, WebSocketClientProtocol
    from autobahn.websocket.compress import (
        PerMessageDeflateOffer,
        PerMessageDeflateResponse,
        PerMessageDeflateResponseAccept,
    )

    factory = WebSocketClientFactory(wish.url, origin=wish.origin, protocols=[wish.protocol] if wish.protocol else None)
    factory.protocol = autobahn_protocol(WebSocketClientProtocol)
    options = {"maxMessagePayloadSize": MAX, "maxFramePayloadSize": MAX}
    if wish.deflate:
        options["perMessageCompressionOffers"] = [PerMessageDeflateOffer()]
        options["perMessageCompressionAccept"] = lambda response: (
            PerMessageDeflateResponseAccept(response) if isinstance(response, PerMessageDeflateResponse) else None
        )
    factory.setProtocolOptions(**options)
    at = urlsplit(wish.url)
    tls = client_tls(wish)
    _, peer = await asyncio.get_running_loop().create_connection(
        factory, at.hostname, at.port, ssl=tls, server_hostname=at.hostname if tls else None
    )
    try:
        await peer.opened
    except ConnectionError as refused:
        say(f"refused {refused}")
        return
    check(peer.websocket_protocol_in_use == wish.protocol, f"subprotocol {peer.websocket_protocol_in_use}")
    await converse(peer, wish.deflate)
    code, reason = await peer.close(*wish.close)
    say(f"closed {code} {reason}".rstrip())


# ---------------------------------------------------------------------------------------------------------------------


def server_tls(wish):
    if not wish.tls:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(wish.tls)
    return made


def client_tls(wish):
    return ssl.create_default_context(cafile=wish.ca) if wish.url.startswith("wss:") else None


def wishes():
    parser = argparse.ArgumentParser()
    parser.add_argument("library", choices=["websockets", "autobahn"])
    roles = parser.add_subparsers(dest="role", required=True)
    serve = roles.add_parser("serve")
    talk = roles.add_parser("talk")
    serve.add_argument("--tls")
    talk.add_argument("url")
    talk.add_argument("--ca")
    talk.add_argument("--origin")
    talk.add_argument("--close", nargs=2, default=["1000", ""])
    for role in (serve, talk):
        role.add_argument("--deflate", action="store_true")
        role.add_argument("--protocol")
    wish = parser.parse_args()
    if wish.role == "talk":
        wish.close = (int(wish.close[0]), wish.close[1])
    return wish


def main():
    wish = wishes()
    asyncio.run(globals()[f"{wish.library}_{wish.role}"](wish))


if __name__ == "__main__":
    try:
        main()
    except Exception as failed:  # noqa: BLE001: whatever it is, it is the answer
        print(f"{type(failed).__name__}: {failed}", file=sys.stderr, flush=True)
        os._exit(1)
