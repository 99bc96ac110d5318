"""The page of `ferry demo --browser` in Chromium: it finds the service behind the gateway, and hears its echoes.

    demo_page.py FERRY

Status 77: there is no Chromium.
"""
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import browser_peer


def lines_of(program, seconds):
    """What it prints, a line at a time, until it ends or the time is over."""
    until = time.monotonic() + seconds
    text = b""
    while select.select([program.stdout], [], [], max(0, until - time.monotonic()))[0]:
        part = os.read(program.stdout.fileno(), 4096)
        if not part:
            return
        *whole, text = (text + part).split(b"\n")
        yield from (line.decode() for line in whole)


def talk(demo, home):
    lines = lines_of(demo, 100)
    opened = next(lines, "nothing")
    print(opened)
    if not opened.startswith("Open http://127.0.0.1:"):
        return 1
    browser = browser_peer.start(home, opened.split()[1])
    try:
        for line in lines:
            print(line)
            if line.startswith("page 1 is here: 20 echoes, half of them within "):
                return 0
        return 1
    finally:
        os.killpg(browser.pid, signal.SIGKILL)  # with all its helpers
        browser.wait()


def main():
    if not os.path.exists("/usr/bin/chromium"):
        print("skipped: there is no /usr/bin/chromium")
        return 77
    home = tempfile.mkdtemp(prefix="ferry.")
    place = os.path.join(home, "demo")
    os.mkdir(place)
    demo = subprocess.Popen([sys.argv[1], "demo", "--browser"], stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": place})
    try:
        heard = talk(demo, home)
        demo.send_signal(signal.SIGINT)
        ended = demo.wait(60)
        left = os.listdir(place)
        print("status", ended, "left behind", left)
        return heard if ended == 130 and left == [] else 1
    finally:
        demo.kill()
        demo.wait()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
