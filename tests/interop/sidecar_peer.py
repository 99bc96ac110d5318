"""A service or a sidecar, written from docs/sidecar.md alone: protobuf by python3-protobuf, rings by mmap, locks by flock.

usage: sidecar_peer.py serve DIR SERVICE ENTITY PIPES          a service that answers until its standard input ends
       sidecar_peer.py take DIR SERVICE ENTITY PIPES           the same, but it takes the route of its entity first
       sidecar_peer.py ask DIR SERVICE ENTITY PIPES TO COUNT   one that asks entity TO, and looks at every answer; after
                           half of them it says so and waits for a line
       sidecar_peer.py sidecar DIR ENTITY COUNT                a sidecar with one service, which it asks

Prints "ready" when it is registered, or may be reached. Exit status 0: everything was as it must be.
"""
import ctypes
import fcntl
import mmap
import os
import select
import socket
import struct
import sys
import time

import sidecar_messages as page

CONTROL, HEADER, PRE_HEAD = 1024, struct.Struct("<QIQBBII"), struct.Struct("<III")
VALIDATION, FILLER, MESSAGE = 0xEFEFFEFEEFEFFEFE, 5, 7
PATIENCE = 60
HEARTBEAT, REGISTER, REGISTERED, UNREGISTER, CHANGE_PIPE, PIPE_CHANGED = 201, 203, 204, 211, 214, 215
assert HEADER.size == 30


class Ring:
    """One ring, whose head is ours if we read it, else its tail."""

    def __init__(self, path):
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 0)
        control, self.size = struct.unpack_from("<II", self.memory)
        assert control == CONTROL and CONTROL + self.size == len(self.memory), (control, self.size, len(self.memory))
        self.head = ctypes.c_uint32.from_buffer(self.memory, 8)
        self.tail = ctypes.c_uint32.from_buffer(self.memory, 12)

    @staticmethod
    def create(path, size):
        with open(path + ".new", "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(struct.pack("<IIII", CONTROL, size, 0, 0))
            file.truncate(CONTROL + size)
        os.rename(path + ".new", path)
        return Ring(path)

    def write(self, route, payload):
        """Whether there was room."""
        length = HEADER.size + len(route) + len(payload)
        head, tail = self.head.value, self.tail.value
        if tail < head:
            if length > head - tail - 1:
                return False
            at = tail
        elif length < self.size - tail:
            at = tail
        elif length <= head - 1:
            if self.size - tail >= HEADER.size:
                HEADER.pack_into(self.memory, CONTROL + tail, VALIDATION, 1, self.now(), FILLER, 1, self.size - tail, 0)
            at = 0
        else:
            return False
        HEADER.pack_into(self.memory, CONTROL + at, VALIDATION, 1, self.now(), MESSAGE, 1, length, len(route))
        start = CONTROL + at + HEADER.size
        self.memory[start:start + len(route) + len(payload)] = route + payload
        self.tail.value = at + length
        return True

    def read(self):
        """Route head and payload of the oldest message, or nothing."""
        head, tail = self.head.value, self.tail.value
        while head != tail:
            if self.size - head >= HEADER.size:
                validation, version, sent, kind, head_type, length, route = HEADER.unpack_from(self.memory, CONTROL + head)
                assert validation == VALIDATION and version == 1 and head_type == 1, (hex(validation), version, head_type)
                assert abs(sent - self.now()) < 3_600_000, sent
                if kind == MESSAGE:
                    assert HEADER.size + route <= length <= (tail - head if tail > head else self.size - head), length
                    start = CONTROL + head + HEADER.size
                    whole = self.memory[start:start + length - HEADER.size]
                    self.head.value = head + length
                    return whole[:route], whole[route:]
                assert kind == FILLER, kind
            assert tail < head, "nothing goes on at the start"
            head = self.head.value = 0
        return None

    @staticmethod
    def now():
        return int(time.time()) * 1000


def with_pre_head(head, rest):
    assert head
    return PRE_HEAD.pack(len(head), len(rest), 0) + head


def behind_pre_head(data, rest):
    head, body, tail = PRE_HEAD.unpack_from(data)
    assert head > 0 and tail == 0 and PRE_HEAD.size + head + body == len(data) + rest, (head, body, tail, len(data), rest)
    return data[PRE_HEAD.size:PRE_HEAD.size + head], data[PRE_HEAD.size + head:]


class Control:
    """Whole control messages on a socket."""

    def __init__(self, connected):
        self.socket = connected
        self.socket.settimeout(PATIENCE)

    def send(self, number, message):
        head = message.SerializeToString()
        self.socket.sendall(struct.pack("<iiii", number, len(head), 16 + len(head), 0) + head)

    def exactly(self, size):
        came = b""
        while len(came) < size:
            some = self.socket.recv(size - len(came))
            if not some:
                raise EOFError
            came += some
        return came

    def receive(self):
        number, head, whole, flag = struct.unpack("<iiii", self.exactly(16))
        assert 101 <= number <= 59999 and whole >= head + 16 and flag == 0, (number, head, whole, flag)
        return number, self.exactly(whole - 16)[:head]

    def expect(self, wanted, kind):
        while True:
            number, head = self.receive()
            if number == wanted:
                return kind.FromString(head)
            assert number == HEARTBEAT, number

    def ready(self):
        return bool(select.select([self.socket], [], [], 0)[0])


def until(what, done):
    end = time.monotonic() + PATIENCE
    while not (found := done()):
        assert time.monotonic() < end, "gave up waiting for " + what
        select.select([], [], [], 0.0005)
    return found


class Ends:
    """Two rings and how messages lie in them."""

    def put(self, route, package, body):
        package_head = package.SerializeToString()
        payload = with_pre_head(package_head, body) + body
        route_head = with_pre_head(route.SerializeToString(), payload)
        until("room in the ring", lambda: self.out.write(route_head, payload))

    def take(self):
        found = self.incoming.read()
        if found is None:
            return None
        route_head, payload = found
        route, more = behind_pre_head(route_head, len(payload))
        assert not more
        package, body = behind_pre_head(payload, 0)
        return page.RouteHead.FromString(route), page.PackageHead.FromString(package), body


class Service(Ends):
    def __init__(self, folder, service, entity, pipes):
        self.folder, self.service, self.entity, self.pipes = folder, service, entity, pipes
        self.version = time.time_ns()
        self.unique = os.getpid()
        self.pick()
        name = "" if self.pipe == 0 else str(self.pipe)
        ring = lambda which: until(which, lambda: os.path.exists(f"{folder}/{which}{name}") and Ring(f"{folder}/{which}{name}"))
        self.incoming, self.out = ring("recv.shm"), ring("send.shm")
        self.register()

    def pick(self):
        found = []
        for i in range(self.pipes):
            lock = os.open(f"{self.folder}/client.lock{i}", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found.append((i, lock))
            except BlockingIOError:
                os.close(lock)
        assert found, "no pipe is free"
        self.pipe, self.lock = found.pop()
        for _, lock in found:
            os.close(lock)
        os.ftruncate(self.lock, 0)
        os.pwrite(self.lock, f"{self.version} {int(time.time()) + 60}".encode(), 0)

    def register(self):
        def connected():
            one = socket.socket(socket.AF_UNIX)
            try:
                one.connect(f"{self.folder}/sidecar.sock")
                return one
            except OSError:
                one.close()

        self.control = Control(until("the control socket", connected))
        asked = page.RegisterRequest()
        asked.svc_info.ServiceName, asked.svc_info.ServiceID = str(self.service), str(self.entity)
        option = asked.register_option
        option.static_weight, option.is_health, option.pipe_idx = 100, True, self.pipe
        option.svr_unqueid, option.version = self.unique, self.version
        self.control.send(REGISTER, asked)
        answer = self.control.expect(REGISTERED, page.RegisterResponse)
        assert answer.result.err_code == 0, answer
        self.beat()
        print("ready", flush=True)

    def beat(self):
        self.beat_at = time.monotonic() + 1
        self.control.send(HEARTBEAT, page.HeartBeat(state=0, pipe_idx=self.pipe, svr_unqueid=self.unique))

    def live(self):
        if time.monotonic() >= self.beat_at:
            self.beat()
        while self.control.ready():
            number, _ = self.control.receive()
            assert number == HEARTBEAT or 801 <= number <= 805, number

    def next(self):
        def look():
            self.live()
            return self.take()

        return until("a message", look)

    def send(self, to, package, body):
        package.Meta[f"{self.entity}ShmPipeIdx"] = str(self.pipe)
        self.put(page.RouteHead(SrcEntityID=self.entity, p2p=page.P2P(DstEntityID=to)), package, body)

    def leave(self):
        until("the sidecar to take everything", lambda: self.out.head.value == self.out.tail.value)
        self.control.send(UNREGISTER, page.UnRegister(dummy=1, service_id=str(self.entity), pipe_idx=self.pipe,
                                                      svr_unqueid=self.unique))
        os.close(self.lock)


def answer_all(one):
    while True:
        one.live()
        found = one.take()
        if found:
            route, asked, body = found
            assert route.p2p.DstEntityID == one.entity, route
            # Who asked is found by the note that came with the question.
            one.send(route.SrcEntityID, page.PackageHead(MsgID="answer", CliPkgSeq=asked.CliPkgSeq, Meta=asked.Meta), body)
        elif select.select([sys.stdin], [], [], 0.0005)[0]:
            return one.leave()


def serve(folder, service, entity, pipes):
    answer_all(Service(folder, int(service), int(entity), int(pipes)))


def take(folder, service, entity, pipes):
    one = Service(folder, int(service), int(entity), int(pipes))
    one.control.send(CHANGE_PIPE, page.ChangePipeRequest(pipeidx=one.pipe))
    while True:
        number, head = one.control.receive()
        if number == PIPE_CHANGED:
            break
        assert number == HEARTBEAT or 801 <= number <= 805, number
    assert page.ChangePipeResponse.FromString(head).result == 0
    print("took", flush=True)
    answer_all(one)


def body_of(i):
    return bytes((i * 31 + k * 7) & 255 for k in range(i * 97 % 3000))


def ask(folder, service, entity, pipes, to, count):
    one = Service(folder, int(service), int(entity), int(pipes))
    for i in range(int(count)):
        one.send(int(to), page.PackageHead(MsgID="ask", CliPkgSeq=i), body_of(i))
        route, answer, body = one.next()
        assert route.SrcEntityID == int(to) and route.p2p.DstEntityID == one.entity, route
        assert answer.CliPkgSeq == i and body == body_of(i), (i, answer)
        assert answer.Meta[f"{one.entity}ShmPipeIdx"] == str(one.pipe), answer
        if i == int(count) // 2:
            print("half", flush=True)
            sys.stdin.readline()
    print("answered", flush=True)
    one.leave()


class Sidecar(Ends):
    def __init__(self, folder):
        self.out = Ring.create(folder + "/recv.shm", 16384)
        self.incoming = Ring.create(folder + "/send.shm", 16384)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(folder + "/sidecar.sock")
        listener.listen()
        listener.settimeout(PATIENCE)
        print("ready", flush=True)
        self.control = Control(listener.accept()[0])


def sidecar(folder, entity, count):
    one = Sidecar(folder)
    asked = one.control.expect(REGISTER, page.RegisterRequest)
    assert asked.svc_info.ServiceID == entity and asked.register_option.pipe_idx == 0, asked
    with open(folder + "/client.lock0", encoding="ascii") as lock:
        version, expiry = map(int, lock.read().split())
        assert version == asked.register_option.version and 0 < expiry - time.time() <= 61, (version, expiry)
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            raise AssertionError("the service does not hold its lock")
        except BlockingIOError:
            pass
    one.control.send(REGISTERED, page.RegisterResponse(is_main=1))
    route = page.RouteHead(SrcEntityID=7, MsgID="ask", p2p=page.P2P(DstEntityID=int(entity)))
    for i in range(int(count)):
        package = page.PackageHead(MsgID="ask", CliPkgSeq=i)
        package.Meta["7ShmPipeIdx"] = "1"
        one.put(route, package, body_of(i))
        back, answer, body = until("an answer", one.take)
        assert back.SrcEntityID == int(entity) and back.p2p.DstEntityID == 7, back
        assert answer.CliPkgSeq == i and body == body_of(i), (i, answer)
        assert answer.Meta["7ShmPipeIdx"] == "1" and answer.Meta[entity + "ShmPipeIdx"] == "0", answer
    one.control.send(PIPE_CHANGED, page.ChangePipeResponse(result=0))  # nobody asked: passed over
    print("asked", flush=True)
    left = one.control.expect(UNREGISTER, page.UnRegister)
    assert left.dummy == 1 and left.service_id == entity, left


if __name__ == "__main__":
    {"serve": serve, "take": take, "ask": ask, "sidecar": sidecar}[sys.argv[1]](*sys.argv[2:])
