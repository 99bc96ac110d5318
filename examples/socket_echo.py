"""Sockets of libferry_socket from Python, through ctypes: a server and a client in one process, without waiting.

usage: socket_echo.py [LIBRARY]
"""
import ctypes
import sys

ferry = ctypes.CDLL(sys.argv[1] if len(sys.argv) > 1 else "libferry_socket.so.0")
TCP, MESSAGE, AF_INET, SOL_SOCKET, SO_NONBLOCK = 2, 0, 1, 1, 1
POLLIN, POLLOUT, MSG_TEXT = 1, 4, 16


class Address(ctypes.Structure):
    _fields_ = [("host", ctypes.c_char * 256), ("port", ctypes.c_uint16), ("family", ctypes.c_uint16),
                ("path", ctypes.c_char * 1024)]


class MessageInfo(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint64), ("flags", ctypes.c_uint32), ("type", ctypes.c_uint32)]


class PollFd(ctypes.Structure):
    _fields_ = [("sid", ctypes.c_int), ("events", ctypes.c_uint32), ("revents", ctypes.c_uint32)]


for name in ("ferry_error_text", "ferry_errname", "ferry_state_name"):
    getattr(ferry, name).restype = ctypes.c_char_p
for name in ("ferry_send", "ferry_recv", "ferry_recvmsg"):
    getattr(ferry, name).restype = ctypes.c_int64
ferry.ferry_errno_location.restype = ctypes.POINTER(ctypes.c_int)
ferry.ferry_send.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint32]
ferry.ferry_recvmsg.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint32, ctypes.POINTER(MessageInfo)]


def errname():
    return ferry.ferry_errname(ferry.ferry_errno_location()[0]).decode()


def check(answer, what):
    if answer < 0:
        sys.exit(f"{what}: {errname()}: {ferry.ferry_error_text().decode()}")
    return answer


def wait(sid, events):
    entry = PollFd(sid, events, 0)
    check(ferry.ferry_poll(ctypes.byref(entry), ctypes.c_size_t(1), 60_000), "poll")
    return entry.revents


listening = check(ferry.ferry_socket(AF_INET, MESSAGE, TCP), "socket")
at = Address(b"127.0.0.1", 0, AF_INET)
check(ferry.ferry_bind(listening, ctypes.byref(at)), "bind")
check(ferry.ferry_listen(listening, 8), "listen")
check(ferry.ferry_getsockname(listening, ctypes.byref(at)), "getsockname")

client = check(ferry.ferry_socket(AF_INET, MESSAGE, TCP), "socket")
check(ferry.ferry_setopt(client, b"nonBlocking", b"on"), "setopt")
if ferry.ferry_connect(client, ctypes.byref(at)) < 0 and errname() != "EINPROGRESS":
    sys.exit(f"connect: {errname()}")
assert wait(listening, POLLIN) & POLLIN
server = check(ferry.ferry_accept(listening, None), "accept")
assert wait(client, POLLOUT) & POLLOUT

question = "what a ferry carries: 渡し舟".encode()
check(ferry.ferry_send(client, question, len(question), MSG_TEXT), "send")
buffer, info = ctypes.create_string_buffer(1024), MessageInfo()
size = check(ferry.ferry_recvmsg(server, buffer, len(buffer), 0, ctypes.byref(info)), "recvmsg")
check(ferry.ferry_send(server, buffer.raw[:size][::-1], size, 0), "send")
assert wait(client, POLLIN) & POLLIN
size = check(ferry.ferry_recvmsg(client, buffer, len(buffer), 0, ctypes.byref(info)), "recvmsg")
assert buffer.raw[:size] == question[::-1]
print(f"{size} bytes there and back, state {ferry.ferry_state_name(ferry.ferry_state(client)).decode()}")

assert ferry.ferry_recvmsg(client, buffer, len(buffer), 0, ctypes.byref(info)) == -1 and errname() == "EAGAIN"
for sid in (client, server, listening):
    check(ferry.ferry_close(sid), "close")
assert ferry.ferry_close(client) == -1 and errname() == "EBADF"
print("closed")
