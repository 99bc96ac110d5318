"""A peer for messages over a Unix socket that shares no code with the library: written from docs/compat-uds.md alone.

Each message is its length as an unsigned LEB128 varint, then that many bytes. Message number i of n bytes has the content
"i:0123456789abcdef0123..." cut after n bytes, so that both sides can check it.

    uds_peer.py read PATH CUT...      listens; takes one connection for each CUT: after so many bytes it closes the
                                      connection, 0 means at its end. Says what it received.
    uds_peer.py write PATH STEP...    connects and does the steps (see STEPS).
    uds_peer.py echo PATH COUNT SIZE  connects, sends messages, and checks that each comes back.
    uds_peer.py mirror PATH           listens; sends every message of one connection back.

What it found is said on standard output, one line each; an unexpected end is a Python error and an exit status of 1.
"""
import socket
import sys

PATTERN = b"0123456789abcdef"


def payload(number, size):
    start = b"%d:" % number
    return (start + PATTERN * (size // len(PATTERN) + 1))[:size]


def say(text):
    print(text, flush=True)


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def frame(message):
    return varint(len(message)) + message


def longer_varint(value, size):
    """The same value in exactly `size` bytes."""
    return bytes(value >> 7 * i & 0x7F | 0x80 for i in range(size - 1)) + bytes([value >> 7 * (size - 1)])


class Messages:
    """Takes the bytes of one connection apart."""

    def __init__(self, connection):
        self.connection = connection
        self.buffer = bytearray()
        self.received = 0

    def more(self, limit):
        data = self.connection.recv(min(65536, limit) if limit else 65536)
        self.received += len(data)
        self.buffer += data
        return bool(data)

    def take(self):
        """One message and whether its length was in the shortest form; None if it is not whole yet."""
        length = 0
        for index, byte in enumerate(self.buffer[:10]):
            if index == 9 and byte > 1:
                raise ValueError("length of more than 64 bits")
            length |= (byte & 0x7F) << 7 * index
            if byte & 0x80:
                continue
            start = index + 1
            if len(self.buffer) < start + length:
                return None
            message = bytes(self.buffer[start:start + length])
            del self.buffer[:start + length]
            return message, start == len(varint(length))
        return None


def listen(path):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen()
    say("listening")
    return listener


def connect(path):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(path)
    return connection


def read(path, *cuts):
    listener = listen(path)
    number = 0
    for cut in map(int, cuts):
        connection, _ = listener.accept()
        messages, whole, bad, empty, long_form = Messages(connection), 0, 0, 0, 0
        while messages.more(cut - messages.received if cut else 0):
            while taken := messages.take():
                message, shortest = taken
                whole += 1
                bad += message != payload(number, len(message))
                empty += not message
                long_form += not shortest
                number += 1
            if cut and messages.received == cut:
                break
        connection.close()
        say(f"messages {whole} bad {bad} empty {empty} not-shortest {long_form} left {len(messages.buffer)}")


def wait_for_end(connection):
    """Until the other side closes; it must not say anything."""
    try:
        said = connection.recv(1)
    except ConnectionResetError:
        said = b""
    say("spoke" if said else "closed in silence")


def bulk(connection, argument):
    count, size = map(int, argument.split("x"))
    for number in range(count):
        connection.sendall(frame(payload(number, size)))


STEPS = {
    "text": lambda c, a: c.sendall(frame(a.encode())),
    "long-form": lambda c, a: c.sendall(longer_varint(len(a), 10) + a.encode()),
    "empty": lambda c, a: c.sendall(b"\x00"),
    "empty-long-form": lambda c, a: c.sendall(b"\x80\x00"),
    "dribble": lambda c, a: [c.sendall(bytes([byte])) for byte in frame(a.encode())],
    "bulk": bulk,
    "length": lambda c, a: c.sendall(varint(int(a))),
    "overflow": lambda c, a: c.sendall(b"\xff" * 9 + b"\x02"),
    "cut": lambda c, a: c.sendall(frame(a.encode())[:-1]),
    "end": lambda c, a: c.shutdown(socket.SHUT_WR),
    "wait-for-end": lambda c, a: wait_for_end(c),
}


def write(path, *steps):
    connection = connect(path)
    for step in steps:
        name, _, argument = step.partition(":")
        STEPS[name](connection, argument)
    say("done")


def echo(path, count, size):
    connection = connect(path)
    messages = Messages(connection)
    for number in range(int(count)):
        connection.sendall(frame(payload(number, int(size))))
        while not (taken := messages.take()):
            if not messages.more(0):
                raise EOFError(f"ended after {number} messages")
        if taken[0] != payload(number, int(size)):
            raise ValueError(f"message {number} came back changed")
    connection.shutdown(socket.SHUT_WR)
    say("echoed" if not messages.more(0) else "more than was sent")


def mirror(path):
    connection, _ = listen(path).accept()
    messages = Messages(connection)
    while messages.more(0):
        while taken := messages.take():
            connection.sendall(frame(taken[0]))
    say(f"left {len(messages.buffer)}")


if __name__ == "__main__":
    {"read": read, "write": write, "echo": echo, "mirror": mirror}[sys.argv[1]](*sys.argv[2:])
