"""The client against a real gateway and a service of C++, which is connected to it over shared memory; in Node or in
Chromium.

    with_gateway.py node|chromium talk|faults CLIENT FERRY SERVICE INTEROP

CLIENT is a folder with dist/ and test/ of clients/js, FERRY the program, SERVICE examples/gateway_echo.cpp compiled,
INTEROP the folder tests/interop. talk: test/talk.mjs; faults: test/faults.mjs, for which the gateway is killed, started
again and stopped, and a server in Python dials the client. Status 77: what is needed is not there.
"""
import http.server
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

HOW, WHAT, CLIENT, FERRY, SERVICE, INTEROP = sys.argv[1:7]
EXPECTED = {
    "talk": "echoed 507\ndial refused\npinged\none closed\nother closed\n",
    "faults": "server 9 ended\nserver 9 ended\nserver 9 ended\nthe server: 0\nvirtual connection closed\n"
              "the dial that waited was answered\nold one closed\n"
              "virtual connection timeout\nsilent gateway: timeout timeout timeout\nwell\n"}
PAGE = """<!doctype html><title>client</title><script type="module">
import { GatewayClient } from '/dist/index.js';
import { WHAT } from '/test/WHAT.mjs';
const tell = (line) => fetch('/tell', { method: 'POST', body: line });
WHAT(GatewayClient, 'URL', 7, {}, tell).catch((failed) => tell('failed: ' + failed)).then(() => tell(''));
</script>"""


class Gateway:
    """The program, and a service of it; each of them ended with it."""

    def __init__(self, home):
        self.home = home
        self.key = Path(home) / "key"
        self.key.write_text("sekrit\n")
        self.programs, self.it, self.dialling = [], None, None
        # Nobody else takes this port while the gateway is away.
        self.port = socket.socket()
        self.port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.port.bind(("127.0.0.1", 0))
        self.clients = f"ws://127.0.0.1:{self.port.getsockname()[1]}/"

    def start(self):
        """@return false: it does not listen at all of that"""
        self.it = self.run([FERRY, "gateway", "--client-addr", self.clients, "--server-addr",
                            f"shm://services?runtime_dir={self.home} tcp://127.0.0.1:0", "--server-auth-key-file", self.key],
                           cwd=self.home, stderr=subprocess.PIPE)
        at = [self.next_url() for _ in range(3)]
        if None in at:
            return False
        self.clients, self.services, self.servers = at
        return True

    def run(self, call, **more):
        self.programs.append(subprocess.Popen(call, text=True, **more))
        return self.programs[-1]

    def next_url(self):
        for line in self.it.stderr:
            if "listening on " in line:
                return line.split("listening on ")[1].strip()
        return None

    def serve(self):
        service = self.run([SERVICE, "serve", self.services, "7", self.key], stdout=subprocess.PIPE)
        return service.stdout.readline() == "serving as 7\n"

    def close(self):
        for one in self.programs:
            one.kill()
            one.wait()
        self.port.close()

    def please(self, wish):
        """Does what a page asks for. @return what is to be noted, mostly nothing"""
        if wish == "let a server dial client 1":
            call = ["python3", "-B", f"{INTEROP}/gateway_peer.py", "dial", self.servers.split(":")[-1], "9", "sekrit", "1", "20"]
            self.dialling = self.run(call, stdout=subprocess.DEVNULL)
        elif wish == "say how that server ended":
            return f"the server: {self.dialling.wait(60)}\n"
        elif wish == "kill the gateway":
            self.it.kill()
            self.it.wait()
        elif wish == "start the gateway":
            assert self.start()
        else:
            self.it.send_signal({"stop the gateway": signal.SIGSTOP, "go on": signal.SIGCONT}[wish])
        return ""


class Page(http.server.BaseHTTPRequestHandler):
    gateway = None
    told = ""
    over = threading.Event()

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/":
            return self.answer(200, "text/html", PAGE.replace("URL", self.gateway.clients).replace("WHAT", WHAT).encode())
        file = Path(CLIENT) / path.lstrip("/")
        if ".." in path or file.suffix not in {".js", ".mjs"} or not file.is_file():
            return self.answer(404, "text/plain", b"")
        return self.answer(200, "text/javascript", file.read_bytes())

    def do_POST(self):
        line = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if line.startswith("please "):
            Page.told += self.gateway.please(line.removeprefix("please "))
        elif line:
            Page.told += line + "\n"
        else:
            self.over.set()
        self.answer(204, "text/plain", b"")

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *ignored):
        pass


def in_chromium(home, at):
    spec = importlib.util.spec_from_file_location("browser_peer", f"{INTEROP}/browser_peer.py")
    chromium = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(chromium)
    browser = chromium.start(home, at)
    try:
        if not Page.over.wait(60):
            Page.told += "the page has not reported\n"
    finally:
        os.killpg(browser.pid, 9)
        browser.wait()


def in_node(gateway, at):
    call = ["node", f"{CLIENT}/test/in_node.mjs", WHAT, gateway.clients, "7", at]
    done = subprocess.run(call, capture_output=True, text=True, timeout=60)
    Page.told += done.stdout + done.stderr


def main():
    for needed in [f"{CLIENT}/dist/index.js", *(["/usr/bin/chromium"] if HOW == "chromium" else [])]:
        if not os.path.exists(needed):
            print(f"skipped: there is no {needed}")
            return 77
    home = tempfile.mkdtemp(prefix="ferry.")
    gateway = Gateway(home)
    try:
        if not gateway.start():
            print("skipped: this gateway does not listen for WebSocket and in shared memory")
            return 77
        if not gateway.serve():
            print("the service does not serve")
            return 1
        Page.gateway = gateway
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        at = f"http://127.0.0.1:{server.server_port}/"
        if HOW == "node":
            in_node(gateway, at + "tell")
        else:
            in_chromium(home, at)
        print(Page.told, end="")
        return 0 if Page.told == EXPECTED[WHAT] else 1
    finally:
        gateway.close()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
