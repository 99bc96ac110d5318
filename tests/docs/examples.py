"""Runs an example as a reader would: as a real pair of processes.

usage: examples.py FOLDER NAME [FAILING_FDATASYNC]

FOLDER holds the compiled examples, example_NAME among them; FAILING_FDATASYNC is a library to preload.
"""
import os
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

FOLDER, NAME = Path(sys.argv[1]), sys.argv[2]
FAILING_FDATASYNC = sys.argv[3] if len(sys.argv) > 3 else None
LIMIT = 60  # seconds that anything here may take before it counts as hanging


class Pair(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = folder.name + "/a.sock"

    def start(self, name, *arguments):
        program = subprocess.Popen([FOLDER / f"example_{name}", *arguments], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(program.communicate)
        self.addCleanup(program.kill)
        return program

    def listen(self, name, url):
        """(program, the URL to connect to)"""
        program = self.start(name, "listen", url)
        line = program.stdout.readline()
        self.assertTrue(line.startswith("listening on "), line)
        return program, line.split()[-1]

    def run_to_end(self, name, *arguments, given=""):
        """What it prints; it must end well."""
        program = self.start(name, *arguments)
        printed, _ = program.communicate(given, timeout=LIMIT)
        self.assertEqual(program.returncode, 0)
        return printed

    def ends_well(self, program, with_signal=None):
        if with_signal:
            program.send_signal(with_signal)
        self.assertEqual(program.wait(LIMIT), 0)

    def hello(self):
        # Nothing but the URL changes.
        for url in (f"ipc://{self.path}?", f"shm://hello?runtime_dir={Path(self.path).parent}&"):
            server = self.start("hello", url.rstrip("&?"), "server")
            # The client comes when it likes; this is what waits for the listener.
            url += "reconnect=on&reconnect_base=5ms&reconnect_max=5ms"
            self.assertEqual(self.run_to_end("hello", url), "Hello, Ferry\n")
            self.ends_well(server)

    def ring_ping(self):
        server = self.start("ring_ping", self.shm("ping"), "server")
        while not Path(self.path).with_name("ping.shm").exists():
            self.assertIsNone(server.poll())
        self.assertRegex(self.run_to_end("ring_ping", self.shm("ping")), r"^[0-9.e+]+ ns a round trip\n$")
        self.ends_well(server)

    def shm(self, name):
        return f"shm://{name}?runtime_dir={Path(self.path).parent}"

    def echo(self, name):
        for url in (f"ipc://{self.path}", "tcp://127.0.0.1:0"):
            server, there = self.listen(name, url)
            self.assertEqual(self.run_to_end(name, "connect", there, "one"), "one\n")
            self.assertEqual(self.run_to_end(name, "connect", there, "two"), "two\n")
            self.ends_well(server, signal.SIGTERM)

    def async_echo(self):
        self.echo("async_echo")

    def coroutine_echo(self):
        self.echo("coroutine_echo")
        server, there = self.listen("coroutine_echo", f"ipc://{self.path}")
        self.assertEqual(self.run_to_end("coroutine_echo", "connect", there, "a", "b", "c"), "a\nb\nc\n")
        self.ends_well(server, signal.SIGTERM)

    def runner_threads(self):
        server, there = self.listen("runner_threads", f"ipc://{self.path}")
        self.assertEqual(self.run_to_end("runner_threads", "connect", there, "50000"),
                         "50000 messages, sum 1250025000\n")
        self.ends_well(server)

    def foreign_loop(self):
        server, there = self.listen("async_echo", f"ipc://{self.path}")
        lines = "".join(f"line {i}\n" for i in range(2000))
        self.assertEqual(self.run_to_end("foreign_loop", there, given=lines), lines)
        self.ends_well(server, signal.SIGTERM)

    def custom_transport(self):
        server, there = self.listen("custom_transport", f"tap://{self.path}")
        self.assertEqual(there, f"tap://{self.path}")
        client = subprocess.run([FOLDER / "example_custom_transport", "connect", there, "hello"], capture_output=True,
                                text=True, timeout=LIMIT)
        self.assertEqual((client.returncode, client.stdout), (0, "hello\n"))
        self.assertIn("tap: 6 bytes in, 6 bytes out", client.stderr)  # a length of one byte, and five of payload
        self.ends_well(server)

    def order_client(self):
        script = Path(__file__).parents[2] / "examples/orders.sh"
        for scheme in ("shm", "ipc"):
            done = subprocess.run([script, FOLDER, "40", scheme], capture_output=True, text=True, timeout=LIMIT)
            self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
            self.assertRegex(done.stdout, r"^40 kills, \d+ orders: each is in the book once, in order\n$")
        if FAILING_FDATASYNC:
            self.order_server_with_a_disk_that_fails()

    def order_server_with_a_disk_that_fails(self):
        """What is not on the disk is not booked: the server says so and ends, and the order comes again."""
        folder = Path(self.path).parent
        for name in ("exchange", "alice", "books"):
            (folder / name).mkdir()
        where = f"ipc://{self.path}?session=persistent&durable=disk"
        as_server = [FOLDER / "example_order_server", f"{where}&as=exchange&dir={folder}/exchange", f"{folder}/books"]
        failing = subprocess.Popen(as_server, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env=os.environ | {"LD_PRELOAD": FAILING_FDATASYNC})
        self.addCleanup(failing.communicate)
        self.addCleanup(failing.kill)
        self.assertIn("listening on ", failing.stdout.readline())
        reconnecting = "reconnect=on&reconnect_base=5ms&reconnect_max=20ms"
        client = self.start("order_client", f"{where}&as=alice&dir={folder}/alice&{reconnecting}", "3")
        self.assertEqual(failing.wait(LIMIT), 1)
        self.assertIn("Input/output error", failing.stderr.read())
        self.assertIsNone(client.poll(), "it still waits for an answer")
        server = self.start("order_server", *as_server[1:])
        self.ends_well(client)
        self.assertEqual((folder / "books/alice.book").read_text(), "".join(f"{n} buy 100 ACME\n" for n in (1, 2, 3)))
        self.ends_well(server, signal.SIGTERM)

    def socket_echo(self):
        for place in (("tcp", "127.0.0.1", "0"), ("ipc", self.path)):
            server = self.start("socket_echo", "server", *place)
            _, _, where, port = server.stdout.readline().split()
            there = (place[0], where, port) if place[0] == "tcp" else place
            self.assertEqual(self.run_to_end("socket_echo", "client", *there, "one", "", "three"), "one\n\nthree\n")
            self.ends_well(server)

    def tcpshm_echo(self):
        folder = Path(self.path).parent
        # Shared memory has no folders.
        names = f"s{os.getpid()}", f"c{os.getpid()}"
        for one in ("_".join(names), "_".join(reversed(names))):
            self.addCleanup(Path(f"/dev/shm/{one}.shm").unlink, missing_ok=True)
        for how, speaks in (("tcp", ()), ("shm", ()), ("tcp", ()), ("tcp", ("ferry",)), ("shm", ("ferry",))):
            server = self.start("tcpshm_echo_server", folder / "server", names[0], "0", *speaks)
            port = server.stdout.readline().split()[-1]
            printed = self.run_to_end("tcpshm_echo_client", folder / "client", names[1], port, how, "1000", *speaks)
            self.assertEqual(printed, "1000 answers\n")
            server.kill()
            server.wait(LIMIT)

    def gateway_echo(self):
        key = Path(self.path).with_name("key")
        key.write_text("sekrit\n")
        doors = [f"ipc://{self.path}.{who}" for who in ("clients", "servers")]
        gateway = subprocess.Popen([FOLDER.parent / "ferry", "gateway", "--client-addr", doors[0], "--server-addr", doors[1],
                                    "--server-auth-key-file", key], cwd=key.parent, stderr=subprocess.DEVNULL)
        self.addCleanup(gateway.wait)
        self.addCleanup(gateway.kill)
        server = self.start("gateway_echo", "serve", doors[1], "7", key)  # comes again until the gateway is there
        self.assertEqual(server.stdout.readline(), "serving as 7\n")
        self.assertEqual(self.run_to_end("gateway_echo", "talk", doors[0], "7", given="one\ntwo\n"), "one\ntwo\n")

    def readings(self):
        self.assertEqual(self.run_to_end("readings"), "sensor 3: 21.5\ntoo short\n")

    def uds_pair(self):
        self.assertEqual(self.run_to_end("uds_pair", self.path), "Hello\n")


if __name__ == "__main__":
    sys.exit(not unittest.TextTestRunner().run(Pair(NAME)).wasSuccessful())
