"""A client or a server of a gateway, written from docs/gateway.md alone.

usage: gateway_peer.py server PORT ID KEY [CLIENTS]   answers every message until so many clients (1) have closed
       gateway_peer.py client PORT SERVER_ID COUNT    dials several times, sends, and looks at every byte that comes back
       gateway_peer.py accept PORT                    a client that waits to be dialled, and answers
       gateway_peer.py dial PORT ID KEY CLIENT_ID COUNT    a server that dials a client
       gateway_peer.py hmac PORT ID KEY [CLIENTS]     as server, but logs in with HMAC-SHA-256 and looks at the answer
       gateway_peer.py snet PORT SERVER_ID COUNT CUTS FORM ENCRYPT    as client, over a resumable stream of snet that it
                            cuts so often; FORM newer or older, ENCRYPT plain or rc4
       gateway_peer.py token PORT SERVER_ID COUNT CUTS CA  the same by a token over TLS; CA: a file of certificates

Prints "ready" when it may be reached. Exit status 0: everything was as it must be.
"""
import hashlib
import hmac
import random
import secrets
import socket
import ssl
import struct
import sys

DIAL, ACCEPT, CONNECT, REFUSE, CLOSE, PING = range(6)
VIRTUAL = 3


class Link:
    def __init__(self, port):
        self.port = port
        self.kept = b""
        self.connect()

    def open(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connect(self):
        self.open()

    def receive(self):
        came = self.socket.recv(65536)
        if not came:
            raise EOFError
        return came

    def write(self, data):
        self.socket.sendall(data)

    def read(self, size):
        while len(self.kept) < size:
            self.kept += self.receive()
        taken, self.kept = self.kept[:size], self.kept[size:]
        return taken

    def login(self, server, key):
        challenge = self.read(8)
        self.write(hashlib.md5(challenge + key.encode()).digest() + struct.pack("<I", server))

    def login_with_hmac(self, server, key):
        both = self.read(8) + (mine := secrets.token_bytes(16)) + (number := struct.pack("<I", server))
        proof = [hmac.digest(key.encode(), who + both, "sha256") for who in (b"server", b"gateway")]
        self.write(b"FERRY-LOGIN-0002" + number + mine + proof[0])
        length, connection, kind = struct.unpack("<IIB", self.read(9))
        assert (length, connection, kind) == (4 + 1 + 32, 0, 6), (length, connection, kind)
        assert hmac.compare_digest(self.read(32), proof[1])

    def send(self, connection, message):
        self.write(struct.pack("<II", len(message) + 4, connection) + message)

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


class Resuming(Link):
    """A stream of bytes that goes on over another connection whenever this one is cut, which it does itself."""

    def __init__(self, port, cuts):
        self.cuts_left = cuts
        self.written = bytearray()  # all of it, as it was sent
        self.received = 0
        self.known = False
        self.chance = random.Random(4711)
        super().__init__(port)

    def connect(self):
        self.open()
        if not self.known:
            self.begin()
            self.known = True
            return
        theirs_written, theirs_received = self.again()
        assert theirs_written >= self.received and theirs_received <= len(self.written)
        self.socket.sendall(self.written[theirs_received:])

    def exactly(self, size):
        data = b""
        while len(data) < size:
            came = self.socket.recv(size - len(data))
            if not came:
                raise EOFError
            data += came
        return data

    def maybe_cut(self):
        if self.cuts_left and self.chance.random() < 0.6:
            self.cuts_left -= 1
            self.socket.close()
            self.connect()

    def receive(self):
        self.maybe_cut()
        came = self.socket.recv(self.chance.choice((10, 1000, 65536)))
        if not came:
            raise EOFError
        self.received += len(came)
        return self.deciphered(came)

    def write(self, data):
        data = self.enciphered(data)
        self.written += data
        self.socket.sendall(data)
        self.maybe_cut()

    def deciphered(self, data):
        return data

    def enciphered(self, data):
        return data


def rc4(key):
    box, j = list(range(256)), 0
    for i in range(256):
        j = (j + box[i] + key[i % len(key)]) & 255
        box[i], box[j] = box[j], box[i]
    i = j = 0
    while True:
        i = (i + 1) & 255
        j = (j + box[i]) & 255
        box[i], box[j] = box[j], box[i]
        yield box[(box[i] + box[j]) & 255]


class Snet(Resuming):
    P, G = 0xFFFFFFFFFFFFFFC5, 5

    def __init__(self, port, cuts, form, encrypt):
        self.newer, self.encrypt = form == "newer", encrypt == "rc4"
        super().__init__(port, cuts)

    def prove(self, challenge):
        self.socket.sendall(hashlib.md5(challenge + self.key).digest())

    def begin(self):
        private = secrets.randbits(64)
        public = struct.pack("<Q", pow(self.G, private, self.P))
        self.socket.sendall(b"\0" + public if self.newer else bytes(8) + public + bytes(24))
        self.key = struct.pack("<Q", pow(struct.unpack("<Q", self.exactly(8))[0], private, self.P))
        self.outgoing, self.incoming = rc4(self.key), rc4(self.key)
        self.id = bytes(a ^ b for a, b in zip(self.exactly(8), self.incoming))
        if self.newer:
            self.prove(self.exactly(8))

    def again(self):
        said = self.id + struct.pack("<QQ", len(self.written), self.received)
        self.socket.sendall((b"\xff" if self.newer else b"") + said + hashlib.md5(said + self.key).digest())
        theirs = struct.unpack("<QQ", self.exactly(16))
        if self.newer:
            challenge = self.exactly(8)
            assert theirs != (0, 0) or challenge != bytes(8), "refused"
            self.prove(challenge)
        return theirs

    def deciphered(self, data):
        return bytes(a ^ b for a, b in zip(data, self.incoming)) if self.encrypt else data

    def enciphered(self, data):
        return bytes(a ^ b for a, b in zip(data, self.outgoing)) if self.encrypt else data


class Token(Resuming):
    def __init__(self, port, cuts, authority):
        self.context = ssl.create_default_context(cafile=authority)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        super().__init__(port, cuts)

    def open(self):
        super().open()
        self.socket = self.context.wrap_socket(self.socket, server_hostname="localhost")

    def begin(self):
        self.socket.sendall(b"FERRYRS1" + bytes(8))
        assert self.exactly(8) == bytes(8)
        self.token = self.exactly(16)

    def again(self):
        said = struct.pack("<QQ", len(self.written), self.received)
        self.socket.sendall(b"FERRYRS1\1" + bytes(7) + self.token + said)
        assert self.exactly(8) == bytes(8), "refused"
        return struct.unpack("<QQ", self.exactly(16))

    def over(self):
        """Tells that the stream ends, on a connection of its own."""
        self.socket.close()
        self.open()
        self.socket.sendall(b"FERRYRS1\2" + bytes(7) + self.token + bytes(16))
        assert self.exactly(24) == bytes(24)


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


def linked(role, port, more):
    if role == "snet":
        return Snet(port, int(more[2]), more[3], more[4])
    if role == "token":
        return Token(port, int(more[2]), more[3])
    return Link(port)


def main(role, port, *more):
    link = linked(role, int(port), more)
    if role in ("server", "dial"):
        link.login(int(more[0]), more[1])
    if role == "hmac":
        link.login_with_hmac(int(more[0]), more[1])
    link.command(PING)
    assert link.packet() == (0, (PING, ()))
    print("ready", flush=True)
    if role in ("server", "hmac", "accept"):
        answer(link, VIRTUAL * int(more[2] if len(more) > 2 else 1))
    elif role == "dial":
        ask(link, int(more[2]), int(more[3]))
    else:
        ask(link, int(more[0]), int(more[1]))
    if role in ("snet", "token"):
        assert link.cuts_left == 0, link.cuts_left
    if role == "token":
        link.over()


main(*sys.argv[1:])
