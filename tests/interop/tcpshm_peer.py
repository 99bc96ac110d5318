"""One side of a numbered echo over tcpshm, written from docs/compat-tcpshm.md alone; to be killed and started again.

usage: tcpshm_peer.py server DIR LOG NAME [SHAPE]          answers every message
       tcpshm_peer.py client DIR LOG NAME tcp|shm [SHAPE]  sends numbers as fast as they are taken

LOG is the file of tests/crash/tcpshm_log.hpp. Sizes are those of the original's documentation; SHAPE, as 24,8,big, is
the size of names, that of user data, which is its alignment too, and the byte order over TCP.
"""
import mmap
import os
import select
import socket
import struct
import sys
import time

TEXT = 32
QUEUE, RING = 2000, 2048
HEARTBEAT_EVERY, DEAD_AFTER = 0.003, 30.0


def padded(size):
    return (size + 7) // 8 * 8


def struct_of(fields, alignment):
    """(struct with the padding behind it, its size without that to 8, bytes of its fields)"""
    used = struct.calcsize(fields)
    size = 8 + -(-(used - 8) // alignment) * alignment
    return struct.Struct(f"{fields}{padded(size) - used}x"), size, used


def take_shape(name, data, order):
    global HEADER, DATA, LOGIN, LOGIN_SIZE, LOGIN_USED, ANSWER, ANSWER_SIZE, ANSWER_USED
    order, alignment, DATA = {"little": "<", "big": ">"}[order], max(4, data), data
    HEADER = struct.Struct(f"{order}HHI")
    LOGIN, LOGIN_SIZE, LOGIN_USED = struct_of(f"{order}HHIII{data}s?{name}s{name}s", alignment)
    ANSWER, ANSWER_SIZE, ANSWER_USED = struct_of(f"{order}HHIII{data}sB{name}s{TEXT}s", alignment)


take_shape(16, 1, "little")
assert (LOGIN_SIZE, LOGIN.size, ANSWER_SIZE, ANSWER.size) == (52, 56, 68, 72)


def within(start, number, end):
    return (number - start) % 2**32 <= (end - start) % 2**32


def mapped(path, size):
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    if os.fstat(fd).st_size < size:
        os.ftruncate(fd, size)
    made = mmap.mmap(fd, size)
    os.close(fd)
    return made


class Words:
    """Numbers in mapped memory. Each store is one copy of its bytes; pack_into() would store zeros first."""

    def __init__(self, memory, kind):
        self.memory, self.one = memory, struct.Struct("@" + kind)

    def get(self, at):
        return self.one.unpack_from(self.memory, at)[0]

    def put(self, at, value):
        self.memory[at:at + self.one.size] = self.one.pack(value)


class Log:
    def __init__(self, path):
        self.words = Words(mapped(path, 4096), "Q")

    PORT, WRONG, LOGINS, ECHOED, SERVED, SPREAD = range(0, 48, 8)
    SERVER, SENDS, RECEIVES, COMPLAINT = 64, 120, 176, 232

    def complain(self, text):
        if self.words.get(self.WRONG) == 0:
            said = ("python: " + text).encode()[:255]
            self.words.memory[self.COMPLAINT:self.COMPLAINT + len(said)] = said
        self.words.put(self.WRONG, self.words.get(self.WRONG) + 1)

    def note(self, which, number, where):
        turn = self.words.get(which) + 1
        for i, value in enumerate((number, *where)):
            self.words.put(which + 8 + turn % 2 * 24 + 8 * i, value)
        self.words.put(which, turn)

    def noted(self, which):
        """(number, popped, pushed), or None"""
        turn = self.words.get(which)
        return tuple(self.words.get(which + 8 + turn % 2 * 24 + 8 * i) for i in range(3)) if turn else None


class Queue:
    """The send queue in DIR/FROM_TO.ptcp."""
    WRITE, READ, SEND, NUMBER, ACK = range(QUEUE, QUEUE + 20, 4)

    def __init__(self, path):
        self.memory = mapped(path, QUEUE + 20)
        self.words = Words(self.memory, "I")
        self.sent = self.words.get(self.READ) * 8  # bytes

    def header(self, block):
        return HEADER.unpack_from(self.memory, block * 8)

    def numbers(self):
        """(ack, start, end)"""
        start = end = self.words.get(self.NUMBER)
        block, write = self.words.get(self.READ), self.words.get(self.WRITE)
        while block < write:
            size = self.header(block)[0]
            assert size >= 8, f"a message of size {size}"
            block += padded(size) // 8
            end += 1
        assert block == write
        return self.words.get(self.ACK), start, end % 2**32

    def reset(self):
        self.put(0, 0, 0, 0)
        self.words.put(self.ACK, 0)

    def put(self, write, read, send, number):
        self.memory[QUEUE:QUEUE + 16] = struct.pack("=4I", write, read, send, number)

    def push(self, kind, body):
        size = 8 + len(body)
        blocks = padded(size) // 8
        write, read, number = (self.words.get(at) for at in (self.WRITE, self.READ, self.NUMBER))
        if write + blocks > QUEUE // 8:
            live = write - read
            if live > read or live + blocks > QUEUE // 8:
                return False
            self.memory[0:live * 8] = self.memory[read * 8:write * 8]
            self.sent -= read * 8
            self.put(live, 0, self.sent // 8, number)
            write = live
        at = write * 8
        self.memory[at:at + blocks * 8] = HEADER.pack(size, kind, self.words.get(self.ACK)) + body.ljust(blocks * 8 - 8, b"\xee")
        self.words.put(self.WRITE, write + blocks)
        return True

    def acknowledge(self, number):
        write, read, start = (self.words.get(at) for at in (self.WRITE, self.READ, self.NUMBER))
        steps = (number - start) % 2**32
        if steps == 0 or steps >= 2**31:
            return
        for _ in range(steps):
            assert read < write, f"{number} acknowledges what was never pushed"
            read += padded(self.header(read)[0]) // 8
        if read == write:
            self.sent = read = write = 0
        self.put(write, read, self.sent // 8, number)

    def resume(self, number):
        self.sent = self.words.get(self.WRITE) * 8
        self.acknowledge(number)
        self.sent = self.words.get(self.READ) * 8


class Ring:
    """One direction of shared memory."""
    WRITE, SEEN, READ = RING, RING + 4, RING + 128

    def __init__(self, name):
        self.memory = mapped("/dev/shm/" + name, RING + 256)
        self.words = Words(self.memory, "I")

    def reset(self):
        for at in (self.READ, self.SEEN, self.WRITE):
            self.words.put(at, 0)

    def push(self, kind, body):
        size = 8 + len(body)
        blocks, all_blocks = -(-size // 64), RING // 64
        write, read = self.words.get(self.WRITE), self.words.get(self.READ)
        to_end = all_blocks - write % all_blocks
        pad = to_end if blocks > to_end else 0
        if (write + pad + blocks - read) % 2**32 > all_blocks:
            return False
        self.words.put(self.SEEN, read)
        if pad:
            # As the original does: the pad is published before its message.
            self.memory[write % all_blocks * 64:write % all_blocks * 64 + 2] = b"\0\0"
            write = (write + pad) % 2**32
            self.words.put(self.WRITE, write)
        at = write % all_blocks * 64
        self.memory[at:at + size] = struct.pack("=HHI", size, kind, 0) + body
        self.words.put(self.WRITE, (write + blocks) % 2**32)
        return True

    def front(self):
        """(kind, body, position behind it), or None"""
        all_blocks = RING // 64
        write, read = self.words.get(self.WRITE), self.words.get(self.READ)
        if read == write:
            return None
        size, kind, _ = struct.unpack_from("=HHI", self.memory, read % all_blocks * 64)
        if size == 0:
            read = (read + all_blocks - read % all_blocks) % 2**32
            self.words.put(self.READ, read)
            if read == write:
                return None
            size, kind, _ = struct.unpack_from("=HHI", self.memory, read % all_blocks * 64)
        at = read % all_blocks * 64
        return kind, self.memory[at + 8:at + size], (read + -(-size // 64)) % 2**32

    def pop(self, behind):
        self.words.put(self.READ, behind)


class Connection:
    """What lasts while the peer is away, and its socket while it is there."""

    def __init__(self, folder, local, remote, shm):
        self.socket, self.shm = None, shm
        if shm:
            self.out, self.into = Ring(f"{local}_{remote}.shm"), Ring(f"{remote}_{local}.shm")
        else:
            self.queue = Queue(f"{folder}/{local}_{remote}.ptcp")
        self.came, self.waiting = b"", []

    def numbers(self):
        return (0, 0, 0) if self.shm else self.queue.numbers()

    def reset(self):
        for one in (self.out, self.into) if self.shm else (self.queue,):
            one.reset()

    def where(self):
        """(popped, pushed); in shared memory the original's pads count as pushes, so messages there take one block"""
        if self.shm:
            return self.into.words.get(Ring.READ), self.out.words.get(Ring.WRITE)
        ack, _, end = self.queue.numbers()
        return ack, end

    def open(self, connected, remote_ack, came=b""):
        connected.setblocking(False)
        self.socket, self.came, self.waiting = connected, came, []
        self.last_sent = self.last_received = time.monotonic()
        if not self.shm:
            self.queue.resume(remote_ack)

    def close(self):
        self.socket.close()
        self.socket = None

    def push(self, kind, body):
        if self.shm:
            return self.out.push(kind, body)
        return self.queue.push(kind, body) and (self.flush() or True)

    def flush(self):
        if self.shm or not self.socket:
            return
        rest = self.queue.memory[self.queue.sent:self.queue.words.get(Queue.WRITE) * 8]
        if rest:
            self.send(rest, counts=True)

    def send(self, data, counts=False):
        try:
            done = self.socket.send(data)
        except BlockingIOError:
            return
        except OSError:
            return self.close()
        self.last_sent = time.monotonic()
        if counts:
            self.queue.sent += done
            self.queue.words.put(Queue.SEND, self.queue.sent // 8)
        else:
            assert done == len(data)

    def poll(self):
        """The oldest message as (kind, body), or None."""
        now = time.monotonic()
        self.flush()
        if self.socket:
            self.receive(now)
        idle = self.socket and now - self.last_sent >= HEARTBEAT_EVERY
        if idle and (self.shm or self.queue.sent == self.queue.words.get(Queue.WRITE) * 8):
            self.send(HEADER.pack(8, 0, 0 if self.shm else self.queue.words.get(Queue.ACK)))
        if self.socket and now - self.last_received >= DEAD_AFTER:
            self.close()
        if not self.socket:
            return None
        if self.shm:
            found = self.into.front()
            return found and found[:2]
        return self.waiting[0] if self.waiting else None

    def receive(self, now):
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            return self.close()
        if not data:
            return self.close()
        self.last_received = now
        self.came += data
        # Acknowledgements count at once: room that they give may be what a message waits for.
        while len(self.came) >= 8:
            size, kind, ack = HEADER.unpack_from(self.came)
            assert size >= 8, f"a message of size {size} came"
            if len(self.came) < padded(size):
                return
            assert not any(self.came[size:padded(size)]), "padding that is not zero"
            if not self.shm:
                self.queue.acknowledge(ack)
            if kind != 0:
                self.waiting.append((kind, self.came[8:size]))
            self.came = self.came[padded(size):]

    def pop(self):
        if self.shm:
            self.into.pop(self.into.front()[2])
        else:
            self.waiting.pop(0)
            self.queue.words.put(Queue.ACK, (self.queue.words.get(Queue.ACK) + 1) % 2**32)


def kind_of(number):
    return 1 + number % 1000


def name_of(field):
    return field.split(b"\0")[0].decode()


class Side:
    def __init__(self, folder, log, name):
        self.folder, self.log, self.name = folder, Log(log), name

    def body_of(self, number):
        size = 8 + number * 7 % self.log.words.get(Log.SPREAD)
        return struct.pack("<Q", number) + bytes((number * 31 + i) & 255 for i in range(8, size))

    def check(self, message, wanted):
        if message != (kind_of(wanted), self.body_of(wanted)):
            number = struct.unpack("<Q", message[1][:8])[0] if len(message[1]) >= 8 else None
            self.log.complain(f"got {number} of {len(message[1])} bytes, type {message[0]}, not {wanted}")


class Server(Side):
    """Of one client: what it answers is one echo."""

    def run(self):
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setblocking(False)
        self.conn, self.client, self.next, self.owed = None, None, 0, None
        self.log.words.put(Log.PORT, listening.getsockname()[1])
        while True:
            try:
                accepted, _ = listening.accept()
                self.log_in(accepted)
            except BlockingIOError:
                pass
            if self.conn and self.conn.socket:
                self.serve()
            else:
                select.select([listening], [], [], 0.01)

    def log_in(self, accepted):
        accepted.settimeout(5)
        try:
            said = accepted.recv(LOGIN.size)  # in one segment, or not at all
        except OSError:
            return accepted.close()
        if len(said) != LOGIN.size:
            return accepted.close()
        size, kind, ack, start, end, _, shm, client, last = LOGIN.unpack(said)
        if (size, kind) != (LOGIN_SIZE, 1) or any(said[LOGIN_USED:]):
            self.log.complain(f"a login of size {size}, type {kind}: {said.hex()}")
        if self.conn and self.conn.socket:
            self.conn.poll()  # has it gone?
        if self.conn and self.conn.socket:
            return self.answer(accepted, (0, 0, 0), 2, b"Already loggned on")
        if self.conn is None:
            self.conn = Connection(self.folder, self.name, name_of(client), shm)
        remote = (ack, start, end)
        begins = name_of(last) != self.name
        if begins:
            self.conn.reset()
            remote = (0, 0, 0)
        local = self.conn.numbers()
        if not (within(local[1], remote[0], local[2]) and within(remote[1], local[0], remote[2])):
            self.log.complain(f"mismatch {local} {remote}")
            return self.answer(accepted, local, 1, b"")
        if not self.answer(accepted, local, 0, b""):
            return None
        if self.client is None:
            self.client = name_of(client)
            self.recover()
        return self.conn.open(accepted, remote[0])

    def answer(self, to, numbers, status, text):
        try:
            to.sendall(ANSWER.pack(ANSWER_SIZE, 2, *numbers, b"\x5a" * DATA, status, self.name.encode(), text or b"\xa5" * TEXT))
        except OSError:
            to.close()
            return False
        if status:
            to.close()
        return True

    def recover(self):
        noted = self.log.noted(Log.SERVER)
        if noted:
            number, popped, pushed = noted
            now = self.conn.where()
            self.next = number + (now[0] != popped)
            if now[0] != popped and now[1] == pushed:
                self.owed = number

    def serve(self):
        message = self.conn.poll()
        if self.owed is not None:
            if self.conn.push(kind_of(self.owed), self.body_of(self.owed)):
                self.owed = None
            return
        if message is None:
            return
        self.check(message, self.next)
        self.log.note(Log.SERVER, self.next, self.conn.where())
        self.conn.pop()
        self.owed = self.next
        self.next += 1
        self.log.words.put(Log.SERVED, self.next)
        if self.conn.push(kind_of(self.owed), self.body_of(self.owed)):
            self.owed = None


class Client(Side):
    def run(self, shm):
        self.shm, self.conn, self.known = shm, None, False
        self.next = self.wanted = 0
        while True:
            if not (self.conn and self.conn.socket):
                self.log_in()
                continue
            message = self.conn.poll()
            if message is not None:
                self.check(message, self.wanted)
                self.log.note(Log.RECEIVES, self.wanted, self.conn.where())
                self.conn.pop()
                self.wanted += 1
                self.log.words.put(Log.ECHOED, self.wanted)
            if self.conn.socket and self.next - self.wanted < 20:
                before = self.conn.where()
                self.log.note(Log.SENDS, self.next, before)
                if self.conn.push(kind_of(self.next), self.body_of(self.next)):
                    self.next += 1

    def last_server(self):
        try:
            with open(f"{self.folder}/{self.name}.lastserver", "rb") as file:
                return name_of(file.read())
        except FileNotFoundError:
            return ""

    def log_in(self):
        last = self.last_server()
        if self.conn is None and last:
            self.conn = Connection(self.folder, self.name, last, self.shm)
        numbers = self.conn.numbers() if self.conn else (0, 0, 0)
        port = self.log.words.get(Log.PORT)
        try:
            connected = socket.create_connection(("127.0.0.1", port), 5) if port else None
            if connected is None:
                return time.sleep(0.001)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.sendall(LOGIN.pack(LOGIN_SIZE, 1, *numbers, bytes(DATA), self.shm, self.name.encode(), last.encode()))
            said = connected.recv(ANSWER.size, socket.MSG_WAITALL)
        except OSError:
            return None
        if len(said) != ANSWER.size:
            return connected.close()
        size, kind, ack, start, end, data, status, server, text = ANSWER.unpack(said)
        if (size, kind) != (ANSWER_SIZE, 2) or any(said[ANSWER_USED:]) or any(data) or (status == 0 and any(text)):
            self.log.complain(f"an answer of size {size}, type {kind}: {said.hex()}")
        if status:
            if name_of(text) != "Already loggned on":
                self.log.complain(f"status {status} {text}: {numbers} {(ack, start, end)}")
            return connected.close()
        if name_of(server) != last:
            self.conn = Connection(self.folder, self.name, name_of(server), self.shm)
            # In shared memory the server has emptied both, and may have begun to write.
            if not self.shm:
                self.conn.reset()
            with open(f"{self.folder}/new", "wb") as file:
                file.write(server)
            os.rename(f"{self.folder}/new", f"{self.folder}/{self.name}.lastserver")
        if not self.known:
            self.recover()
        self.log.words.put(Log.LOGINS, self.log.words.get(Log.LOGINS) + 1)
        return self.conn.open(connected, ack)

    def recover(self):
        self.known = True
        now = self.conn.where()
        sent, received = self.log.noted(Log.SENDS), self.log.noted(Log.RECEIVES)
        if sent:
            self.next = sent[0] + (now[1] != sent[2])
        if received:
            self.wanted = received[0] + (now[0] != received[1])


def main(role, folder, log, name, *more):
    more = list(more)
    shm = role == "client" and more.pop(0) == "shm"
    if more:
        names, data, order = more[0].split(",")
        take_shape(int(names), int(data), order)
    if role == "server":
        Server(folder, log, name).run()
    else:
        Client(folder, log, name).run(shm)


if __name__ == "__main__":
    main(*sys.argv[1:])
