"""A client or a server of a gateway, written from docs/gateway.md alone.

usage: gateway_peer.py server PORT ID KEY [CLIENTS]   answers every message until so many clients (1) have closed
       gateway_peer.py client PORT SERVER_ID COUNT    dials several times, sends, and looks at every byte that comes back
       gateway_peer.py accept PORT                    a client that waits to be dialled, and answers
       gateway_peer.py dial PORT ID KEY CLIENT_ID COUNT    a server that dials a client

Prints "ready" when it may be reached. Exit status 0: everything was as it must be.
"""
import hashlib
import socket
import struct
import sys

DIAL, ACCEPT, CONNECT, REFUSE, CLOSE, PING = range(6)
VIRTUAL = 3


class Link:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.kept = b""

    def read(self, size):
        while len(self.kept) < size:
            came = self.socket.recv(65536)
            if not came:
                raise EOFError
            self.kept += came
        taken, self.kept = self.kept[:size], self.kept[size:]
        return taken

    def login(self, server, key):
        challenge = self.read(8)
        self.socket.sendall(hashlib.md5(challenge + key.encode()).digest() + struct.pack("<I", server))

    def send(self, connection, message):
        self.socket.sendall(struct.pack("<II", len(message) + 4, connection) + message)

    def command(self, kind, *arguments):
        self.send(0, struct.pack("<B%dI" % len(arguments), kind, *arguments))

    def packet(self):
        """(connection, message), or (0, (type, arguments))."""
        length, connection = struct.unpack("<II", self.read(8))
        message = self.read(length - 4)
        if connection:
            return connection, message
        words = (len(message) - 1) // 4
        return 0, (message[0], struct.unpack("<%dI" % words, message[1:1 + 4 * words]))


def answer(link, ends):
    """Answers until so many virtual connections have come and been closed."""
    there, ended = set(), 0
    while ended < ends:
        connection, what = link.packet()
        if connection:
            assert connection in there, (connection, there)
            link.send(connection, what)
        elif what[0] == CONNECT:
            there.add(what[1][0])
        elif what[0] == CLOSE:
            there.remove(what[1][0])
            ended += 1
        else:
            assert what[0] == PING, what


def content(connection, number):
    size = [0, 1, 63, 64, 1000, 5000, 70000][number % 7]
    return (b"%d of %d; " % (number, connection) * (size // 8 + 2))[:size]


def ask(link, remote, count):
    numbers = []
    for _ in range(VIRTUAL):
        link.command(DIAL, remote)
        zero, (kind, arguments) = link.packet()
        assert (zero, kind) == (0, ACCEPT) and arguments[1] == remote, (kind, arguments)
        numbers.append(arguments[0])
    assert len(set(numbers)) == VIRTUAL and 0 not in numbers
    for number in range(count):
        for connection in numbers:
            link.send(connection, content(connection, number))
        came = dict(link.packet() for _ in numbers)
        for connection in numbers:
            assert came[connection] == content(connection, number), (connection, number)
    link.command(PING)
    assert link.packet() == (0, (PING, ()))
    link.command(DIAL, 4711)
    assert link.packet() == (0, (REFUSE, (4711,)))
    for connection in numbers:
        link.command(CLOSE, connection)
        assert link.packet() == (0, (CLOSE, (connection,)))
    link.send(numbers[0], b"too late")
    assert link.packet() == (0, (CLOSE, (numbers[0],)))


def main(role, port, *more):
    link = Link(int(port))
    if role in ("server", "dial"):
        link.login(int(more[0]), more[1])
    link.command(PING)
    assert link.packet() == (0, (PING, ()))
    print("ready", flush=True)
    if role in ("server", "accept"):
        answer(link, VIRTUAL * int(more[2] if len(more) > 2 else 1))
    elif role == "client":
        ask(link, int(more[0]), int(more[1]))
    else:
        ask(link, int(more[2]), int(more[3]))


main(*sys.argv[1:])
