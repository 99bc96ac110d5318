"""A browser as a WebSocket client: Chromium without a window, on a page of its own.

    browser_peer.py URL [--ca PEM] [--please TEXT]

The page comes from this script, over http from a free port of 127.0.0.1; its origin is said first, "origin ORIGIN", and
Chromium starts when a line comes on standard input (so that an allow-list can be set meanwhile). The page connects to
URL, which must echo, and checks what comes back: both kinds, sizes around every boundary up to 16 MiB, a burst; then it
closes with 4001 "good bye", or sends the text of --please, upon which the server is to close. Each finding is printed:
"compressed" or "plain", "echoed COUNT", "closed CODE REASON clean", of which a refused attempt tells only the last,
"closed 1006 unclean". The CA goes into a certificate store of Chromium's own. Status 0 when the page has reported,
whatever it said.
"""

import argparse
import ctypes
import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

PAGE = """<!doctype html><title>peer</title><script>
const wish = WISH;
const tell = (line) => fetch('/tell', { method: 'POST', body: line });
const payload = (size) => {
  const made = new Uint8Array(size);
  for (let i = 0; i < size; ++i) made[i] = (i * 7 + (i >> 8)) & 255;
  return made;
};
const text = (size) => 'é'.repeat(size >> 1) + 'x'.repeat(size & 1);
const arrived = [];
let wake = () => {};
const socket = new WebSocket(wish.url);
socket.binaryType = 'arraybuffer';
socket.onmessage = (event) => { arrived.push(event.data); wake(); };
const receive = async () => {
  while (arrived.length === 0) await new Promise((come) => { wake = come; });
  return arrived.shift();
};
const same = (got, sent) => {
  if (typeof sent === 'string') return got === sent;
  if (!(got instanceof ArrayBuffer) || got.byteLength !== sent.length) return false;
  const bytes = new Uint8Array(got);
  return bytes.every((byte, at) => byte === sent[at]);
};
let echoed = 0;
const echo = async (message) => {
  socket.send(message);
  if (!same(await receive(), message)) throw new Error('echo of ' + message.length + ' is another');
  ++echoed;
};
const converse = async () => {
  await tell(socket.extensions.includes('permessage-deflate') ? 'compressed' : 'plain');
  for (const size of [0, 1, 125, 126, 127, 65535, 65536, 1 << 20]) {
    await echo(text(size));
    await echo(payload(size));
  }
  await echo(payload(16 << 20));
  for (let i = 0; i < 500; ++i) socket.send('burst ' + i);
  for (let i = 0; i < 500; ++i)
    if (await receive() !== 'burst ' + i) throw new Error('burst ' + i);
    else ++echoed;
  await tell('echoed ' + echoed);
  if (wish.please) socket.send(wish.please);
  else socket.close(4001, 'good bye');
};
socket.onopen = () => converse().catch((failed) => tell('failed ' + failed).then(() => tell('')));
socket.onclose = async (event) => {
  await tell(['closed', event.code, event.reason, event.wasClean ? 'clean' : 'unclean'].filter((x) => x !== '').join(' '));
  await tell('');
};
</script>"""


def wishes():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--ca")
    parser.add_argument("--please")
    return parser.parse_args()


class Page(http.server.BaseHTTPRequestHandler):
    wish = None
    reported = threading.Event()

    def do_GET(self):
        found = self.path == "/"
        body = PAGE.replace("WISH", json.dumps({"url": self.wish.url, "please": self.wish.please})).encode()
        self.answer(200 if found else 404, body if found else b"")

    def do_POST(self):
        line = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if line:
            print(line, flush=True)
        else:
            self.reported.set()
        self.answer(204, b"")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *ignored):
        pass


def dies_with_us():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def adopt():
    """The browser's helpers come to us when it dies, so that end() finds them."""
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER


def end(browser):
    os.killpg(browser.pid, signal.SIGKILL)
    browser.wait()
    try:
        while True:  # its helpers, which come to us when it dies
            os.waitpid(-1, 0)
    except ChildProcessError:
        pass


def start(home, page):
    """Chromium on that page, with everything it writes below `home`; a child of ours that dies with us."""
    return subprocess.Popen(
        [
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--disable-sync",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-default-apps",
            "--disable-extensions",
            "--no-first-run",
            "--no-proxy-server",
            "--password-store=basic",
            f"--user-data-dir={home}/profile",
            page,
        ],
        env={**os.environ, "HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home, "TMPDIR": home},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=dies_with_us,
    )


def trust(home, ca):
    store = os.path.join(home, ".pki", "nssdb")
    os.makedirs(store)
    at = "sql:" + store
    subprocess.run(["certutil", "-d", at, "-N", "--empty-password"], check=True)
    subprocess.run(["certutil", "-d", at, "-A", "-t", "C,,", "-n", "test", "-i", ca], check=True)


def main():
    wish = wishes()
    Page.wish = wish
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{server.server_port}"
    print("origin", origin, flush=True)
    if not sys.stdin.readline():
        return 1
    adopt()
    home = tempfile.mkdtemp(prefix="ferry.")
    browser = None
    try:
        if wish.ca:
            trust(home, wish.ca)
        browser = start(home, origin + "/")
        if not Page.reported.wait(60):
            print("failed: the page has not reported", flush=True)
            return 1
        return 0
    finally:
        if browser:
            end(browser)
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
