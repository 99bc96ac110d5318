"""The client against a real gateway and a service of C++, which is connected to it over shared memory; in Node or in
Chromium.

    with_gateway.py node|chromium CLIENT FERRY SERVICE BROWSER_PEER

CLIENT is a folder with dist/ and test/ of clients/js, FERRY the program, SERVICE examples/gateway_echo.cpp compiled,
BROWSER_PEER tests/interop/browser_peer.py. Status 77: what is needed is not there.
"""
import http.server
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

HOW, CLIENT, FERRY, SERVICE, BROWSER_PEER = sys.argv[1:6]
EXPECTED = "echoed 507\ndial refused\npinged\none closed\nother closed\n"
PAGE = """<!doctype html><title>client</title><script type="module">
import { GatewayClient } from '/dist/index.js';
import { talk } from '/test/talk.mjs';
const tell = (line) => fetch('/tell', { method: 'POST', body: line });
talk(GatewayClient, 'URL', 7, {}, tell).catch((failed) => tell('failed: ' + failed)).then(() => tell(''));
</script>"""


def listening(program):
    """The next URL that it says it listens at; None: it has ended."""
    for line in program.stderr:
        if "listening on " in line:
            return line.split("listening on ")[1].strip()
    return None


class Page(http.server.BaseHTTPRequestHandler):
    url = ""
    told = ""
    over = threading.Event()

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/":
            return self.answer(200, "text/html", PAGE.replace("URL", self.url).encode())
        file = Path(CLIENT) / path.lstrip("/")
        if ".." in path or file.suffix not in {".js", ".mjs"} or not file.is_file():
            return self.answer(404, "text/plain", b"")
        return self.answer(200, "text/javascript", file.read_bytes())

    def do_POST(self):
        line = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if line:
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


def in_chromium(url, home):
    spec = importlib.util.spec_from_file_location("browser_peer", BROWSER_PEER)
    chromium = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(chromium)
    Page.url = url
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = chromium.start(home, f"http://127.0.0.1:{server.server_port}/")
    try:
        if not Page.over.wait(60):
            return "the page has not reported\n"
        return Page.told
    finally:
        os.killpg(browser.pid, 9)
        browser.wait()


def in_node(url):
    done = subprocess.run(["node", f"{CLIENT}/test/talk_node.mjs", url, "7"], capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def main():
    for needed in [f"{CLIENT}/dist/index.js", *(["/usr/bin/chromium"] if HOW == "chromium" else [])]:
        if not os.path.exists(needed):
            print(f"skipped: there is no {needed}")
            return 77
    home = tempfile.mkdtemp(prefix="ferry.")
    programs = []
    try:
        key = Path(home) / "key"
        key.write_text("sekrit\n")
        gateway = subprocess.Popen([FERRY, "gateway", "--client-addr", "ws://127.0.0.1:0/", "--server-addr",
                                    f"shm://services?runtime_dir={home}", "--server-auth-key-file", key],
                                   stderr=subprocess.PIPE, text=True)
        programs.append(gateway)
        clients, servers = listening(gateway), listening(gateway)
        if servers is None:
            print("skipped: this gateway does not listen for WebSocket and in shared memory")
            return 77
        service = subprocess.Popen([SERVICE, "serve", servers, "7", key], stdout=subprocess.PIPE, text=True)
        programs.append(service)
        if service.stdout.readline() != "serving as 7\n":
            print("the service does not serve")
            return 1
        told = in_node(clients) if HOW == "node" else in_chromium(clients, home)
        print(told, end="")
        return 0 if told == EXPECTED else 1
    finally:
        for one in programs:
            one.kill()
            one.wait()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
